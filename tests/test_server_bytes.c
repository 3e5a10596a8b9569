/*
 * test_server_bytes.c: what a connection may send and how it may read: pieces of frames, bytes that are no request, more than anybody
 * should, nothing at all. With one loop and with two.
 */
#define _GNU_SOURCE
#include "tests/server_rig.h"

#include "net/clock.h"

#include <sys/socket.h>

static void
half_frames_are_put_together(void)
{
	struct peer p;
	struct buffer bytes = { 0 };
	check(rig_begin(rig_small));
	check(peer_open(&p, rig_server.rpc));
	wire_from_text(&bytes, "[0,1,'hello',[{'v':1}]]");
	size_t first = bytes.used;
	wire_from_text(&bytes, "[0,2,'ats',[[['A','L']]]]");
	for (size_t i = 0; i < bytes.used; i++)
		check(peer_send_bytes(&p, bytes.at + i, 1));
	check(wire_like(peer_answer(&p), "[1, 1, nil, *"));
	check(wire_like(peer_answer(&p), "[1, 2, nil, [*, [nil]]]"));
	/* The end of one and the beginning of the next in one piece. */
	check(peer_send_bytes(&p, bytes.at, 5));
	check(peer_send_bytes(&p, bytes.at + 5, first - 5 + 4));
	check(wire_like(peer_answer(&p), "[1, 1, nil, *"));
	check(peer_send_bytes(&p, bytes.at + first + 4, bytes.used - first - 4));
	check(wire_like(peer_answer(&p), "[1, 2, nil, *"));
	buffer_fini(&bytes);
	peer_close(&p);
	server_remove(&rig_server);
}

static void
a_client_that_ends_its_side_still_gets_its_answers(void)
{
	struct peer p;
	check(rig_begin(rig_small));
	check(peer_open(&p, rig_server.rpc));
	check(rig_receive(&p, 1, "A", 100));
	for (int i = 0; i < 50; i++)
		peer_write(&p, "[0,%d,'reserve',['r%d',[['A','L',1]],{'ttl_ms':60000}]]", i, i);
	check(peer_flush(&p));
	shutdown(p.fd, SHUT_WR);
	for (int i = 0; i < 50; i++)
		check(wire_like(peer_answer(&p), "[1, *\"held\"*"));
	check(strcmp(peer_answer(&p), "closed") == 0);
	peer_close(&p);
	server_remove(&rig_server);
}

/* ---- bytes that are no request ---- */

static void
an_endless_message_is_answered_and_the_connection_closed(void)
{
	/* [0, 9, "post", [bin of 2^31 bytes]]: the claim alone is too much. */
	static const uint8_t endless[] = { 0x94, 0, 9, 0xa4, 'p', 'o', 's', 't', 0x91, 0xc6, 0x7f, 0xff, 0xff, 0xff };
	struct peer p;
	check(rig_begin(rig_small));
	check(peer_open(&p, rig_server.rpc));
	check(peer_send_bytes(&p, endless, sizeof endless));
	check(wire_like(peer_answer(&p), "[1, 9, [\"too_large\", *], nil]"));
	check(peer_is_closed(&p));
	peer_close(&p);
	server_remove(&rig_server);
}

static void
a_message_too_long_is_answered_although_more_is_on_its_way(void)
{
	static uint8_t rest[3 << 20];
	uint8_t head[] = { 0x94, 0, 9, 0xa4, 'p', 'o', 's', 't', 0xdd, 0x7f, 0xff, 0xff, 0xff };
	struct peer p;
	check(rig_begin(rig_small));
	check(peer_open(&p, rig_server.rpc));
	memset(rest, 0xc0, sizeof rest);
	check(peer_send_bytes(&p, head, sizeof head));
	peer_send_bytes(&p, rest, sizeof rest); /* the server may have closed in the middle */
	check(wire_like(peer_answer(&p), "[1, 9, [\"too_large\", *], nil]"));
	check(peer_is_closed(&p));
	peer_close(&p);
	server_remove(&rig_server);
}

static void
wrong_bytes_close_the_connection_and_nobody_elses(void)
{
	static const struct {
		const char *bytes;
		size_t n;
		const char *answer; /* NULL: none */
	} rows[] = {
		{ "\xc1", 1, NULL },
		{ "\x05", 1, NULL },
		{ "\x94\x00\x03\xc1", 4, "[1, 3, [\"bad_request\", *" },
		{ "\x94\x00\x03\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91", 20, "[1, 3, [\"bad_request\", *" },
		{ "GET / HTTP/1.0\r\n\r\n", 18, NULL },
	};
	struct peer good, bad;
	check(rig_begin(rig_small));
	check(peer_open(&good, rig_server.rpc));
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		check(peer_open(&bad, rig_server.rpc));
		check(peer_send_bytes(&bad, rows[i].bytes, rows[i].n));
		const char *answer = peer_answer(&bad);
		check(rows[i].answer ? wire_like(answer, rows[i].answer) : strcmp(answer, "closed") == 0);
		check(peer_is_closed(&bad));
		peer_close(&bad);
	}
	check(wire_like(peer_ask(&good, "[0,1,'hello',[{'v':1}]]"), "[1, 1, nil, *"));
	check(wire_like(peer_ask(&good, "[0,2,'dance',[]]"), "[1, 2, [\"unknown_method\", *"));
	peer_close(&good);
	server_remove(&rig_server);
}

/* ---- back-pressure ---- */

static void
a_client_that_reads_nothing_is_not_read_and_loses_nothing(void)
{
	enum { ASKED = 100000, SOCKET_BYTES = 16384 };
	struct peer lazy, other;
	int little = SOCKET_BYTES, much = 1 << 20;
	struct buffer bytes = { 0 };
	check(rig_begin(rig_small));
	check(peer_open(&lazy, rig_server.rpc));
	check(peer_open(&other, rig_server.rpc));
	check(rig_receive(&other, 1, "A", 5));
	wire_from_text(&bytes, "[0,1,'stock',[[['A','L'],['A','L'],['A','L'],['A','L']]]]");
	setsockopt(lazy.fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof little);
	setsockopt(lazy.fd, SOL_SOCKET, SO_SNDBUF, &little, sizeof little);
	/* Far more answers than sockets and the server hold. Sending stops when the server stops reading. */
	size_t sent = 0, all = bytes.used * ASKED, at = 0;
	int blocked = 0;
	while (sent < all && blocked < 50) {
		ssize_t n = send(lazy.fd, bytes.at + at, bytes.used - at, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n <= 0) {
			blocked++;
			check_equal(rig_ats(&other, "A"), 5); /* a round trip with somebody else, instead of a sleep */
			continue;
		}
		blocked = 0;
		sent += (size_t)n;
		at = (at + (size_t)n) % bytes.used;
	}
	check(sent < all);
	setsockopt(lazy.fd, SOL_SOCKET, SO_RCVBUF, &much, sizeof much); /* a small window that was shut opens again at a crawl */
	for (size_t i = 0; i < sent / bytes.used; i++)
		check(wire_like(peer_answer(&lazy), "[1, 1, nil, *"));
	check(peer_send_bytes(&lazy, bytes.at + at, bytes.used - at)); /* and it is read again */
	check(wire_like(peer_answer(&lazy), "[1, 1, nil, *"));
	buffer_fini(&bytes);
	peer_close(&lazy);
	peer_close(&other);
	server_remove(&rig_server);
}

static void
one_connection_too_many_is_closed_and_there_is_room_again_later(void)
{
	static const char *const few[] = { "--gate", "off", "--cells-max", "1000", "--reservations-max", "1000", "--history-max", "1000", "--free-ids-max",
		"1000", "--segment-bytes", "16M", "--connections-max", "3", "--loops", rig_loops, "--queue-age-ms", "0", NULL };
	struct peer p[4];
	check(rig_begin(few));
	for (int i = 0; i < 3; i++) {
		check(peer_open(&p[i], rig_server.rpc));
		check(wire_like(peer_ask(&p[i], "[0,1,'hello',[{'v':1}]]"), "[1, 1, nil, *"));
	}
	check(peer_open(&p[3], rig_server.rpc));
	check(peer_is_closed(&p[3]));
	peer_close(&p[3]);
	peer_close(&p[0]);
	int64_t until = clock_steady_ms() + PEER_PATIENCE_MS;
	bool served = false;
	while (!served && clock_steady_ms() < until) {
		check(peer_open(&p[0], rig_server.rpc));
		served = wire_like(peer_ask(&p[0], "[0,1,'hello',[{'v':1}]]"), "[1, 1, nil, *");
		if (!served)
			peer_close(&p[0]);
	}
	check(served);
	for (int i = 0; i < 3; i++)
		peer_close(&p[i]);
	server_remove(&rig_server);
}

/* What concerns loops, with one and with two. */
#define LOOPED(X) \
	X(half_frames_are_put_together) \
	X(a_client_that_ends_its_side_still_gets_its_answers) \
	X(an_endless_message_is_answered_and_the_connection_closed) \
	X(a_message_too_long_is_answered_although_more_is_on_its_way) \
	X(wrong_bytes_close_the_connection_and_nobody_elses) \
	X(a_client_that_reads_nothing_is_not_read_and_loses_nothing) \
	X(one_connection_too_many_is_closed_and_there_is_room_again_later)

LOOPED(RIG_TWO_LOOPS)

static const struct check tests[] = {
	LOOPED(RIG_CHECK_BOTH)
};

int
main(int argc, char **argv)
{
	return rig_run(tests, sizeof tests / sizeof *tests, argc, argv);
}
