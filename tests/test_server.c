/*
 * test_server.c: holdfastd as a process, over its socket: what is answered is kept, the last units, reads that wait, time. With one
 * loop and with two.
 */
#define _GNU_SOURCE
#include "tests/server_rig.h"

#include "net/clock.h"

#include <sys/socket.h>

static void
kept_over_a_kill_and_over_a_stop(void)
{
	struct peer p;
	check(rig_begin(rig_small));
	check(peer_open(&p, rig_server.rpc));
	check(rig_receive(&p, 1, "A", 10));
	check(wire_like(peer_ask(&p, "[0,2,'reserve',['r1',[['A','L',3]],{'ttl_ms':60000}]]"), "[1, 2, nil, *\"held\"*"));
	check(wire_like(peer_ask(&p, "[0,3,'commit',['r1']]"), "[1, 3, nil, *\"committed\"*"));
	peer_close(&p);
	server_kill(&rig_server);
	check(rig_again());
	check(peer_open(&p, rig_server.rpc));
	check_equal(rig_ats(&p, "A"), 7);
	check(wire_like(peer_ask(&p, "[0,4,'reserve',['r2',[['A','L',2]],{'ttl_ms':60000}]]"), "[1, 4, nil, *\"held\"*"));
	peer_close(&p);
	check_equal(server_stop(&rig_server), 0);
	check(rig_again());
	check(peer_open(&p, rig_server.rpc));
	check_equal(rig_ats(&p, "A"), 5);
	check(wire_like(peer_ask(&p, "[0,5,'reserve',['r2',[['A','L',2]],{'ttl_ms':1}]]"), "[1, 5, nil, *\"again\"*true*"));
	peer_close(&p);
	server_remove(&rig_server);
}

static void
the_last_units_go_to_as_many_as_there_are(void)
{
	enum { PEERS = 60, EACH = 20, UNITS = 500 };
	static struct peer peers[PEERS];
	int granted = 0, refused = 0;
	check(rig_begin(rig_small));
	check(peer_open(&peers[0], rig_server.rpc));
	check(rig_receive(&peers[0], 1, "A", UNITS));
	for (int i = 1; i < PEERS; i++)
		check(peer_open(&peers[i], rig_server.rpc));
	for (int i = 0; i < PEERS; i++) {
		for (int k = 0; k < EACH; k++)
			peer_write(&peers[i], "[0,%d,'reserve',['r-%d-%d',[['A','L',1]],{'ttl_ms':600000}]]", k, i, k);
		check(peer_flush(&peers[i]));
	}
	for (int i = 0; i < PEERS; i++)
		for (int k = 0; k < EACH; k++) {
			const char *answer = peer_answer(&peers[i]);
			char head[32];
			snprintf(head, sizeof head, "[1, %d, *", k);
			check(wire_like(answer, head)); /* one connection, one place: in the order sent */
			granted += wire_like(answer, "*\"held\"*");
			refused += wire_like(answer, "*\"insufficient\"*\"available\"*");
		}
	check_equal(granted, UNITS);
	check_equal(refused, PEERS * EACH - UNITS);
	check_equal(rig_ats(&peers[0], "A"), 0);
	for (int i = 0; i < PEERS; i++)
		peer_close(&peers[i]);
	server_remove(&rig_server);
}

/* One reserve_many whose steps pass the room of a batch several times over. */
static void
a_request_that_fills_batches_is_answered_whole(void)
{
	enum { MANY = 1000, LINES = 90 };
	struct peer p, other;
	struct buffer bytes = { 0 };
	char text[64];
	check(rig_begin(rig_small));
	check(peer_open(&p, rig_server.rpc));
	check(peer_open(&other, rig_server.rpc));
	for (int i = 0; i < LINES; i++) {
		snprintf(text, sizeof text, "%d", i);
		check(rig_receive(&other, i + 1, text, MANY));
	}
	static const uint8_t head[] = { 0x94, 0, 1, 0xac, 'r', 'e', 's', 'e', 'r', 'v', 'e', '_', 'm', 'a', 'n', 'y', 0x91, 0xdc, MANY >> 8, MANY & 255 };
	buffer_append(&bytes, head, sizeof head);
	for (int i = 0; i < MANY; i++) {
		uint8_t item[16];
		int n = snprintf((char *)item + 2, sizeof item - 2, "%05d", i);
		item[0] = 0x92;
		item[1] = (uint8_t)(0xa0 | n);
		buffer_append(&bytes, item, (size_t)n + 2);
		buffer_append(&bytes, "\xdc\x00\x5a", 3);
		for (int k = 0; k < LINES; k++) {
			snprintf(text, sizeof text, "['%d','L',1]", k);
			wire_from_text(&bytes, text);
		}
	}
	check(bytes.used < 1 << 20);
	check(peer_send_bytes(&p, bytes.at, bytes.used));
	while (rig_ats(&other, "0") > 0) /* others are served in between, and see it grow */
		;
	check(wire_like(peer_answer(&p), "[1, 1, nil, [*"));
	check_equal(rig_ats(&other, "89"), 0);
	check(wire_like(peer_ask(&other, "[0,3,'reserve',['one',[['3','L',1]],{'ttl_ms':1000}]]"), "[1, 3, [\"insufficient\", *"));
	buffer_fini(&bytes);
	peer_close(&p);
	peer_close(&other);
	server_remove(&rig_server);
}

/* ---- time ---- */

static void
a_hold_ends_on_time_although_nobody_asks(void)
{
	struct peer p;
	long seq = 0;
	check(rig_begin(rig_small));
	check(peer_open(&p, rig_server.rpc));
	check(rig_receive(&p, 1, "A", 10));
	const char *answer = peer_ask(&p, "[0,2,'reserve',['r',[['A','L',4]],{'ttl_ms':40}]]");
	const char *at = strstr(answer, "\"seq\"");
	check(at && (seq = strtol(at + strcspn(at, "0123456789"), NULL, 10)) > 0);
	/* The next position can only be the expiry's: the read waits for it, within its second. */
	answer = peer_ask(&p, "[0,3,'ats',[[['A','L']],{'min_seq':%ld,'wait_ms':1000}]]", seq + 1);
	check(wire_like(answer, "[1, 3, nil, [*, [10]]]"));
	peer_close(&p);
	server_remove(&rig_server);
}

static void
a_read_that_waits_is_answered_when_its_position_comes_or_the_wait_ends(void)
{
	struct peer p, q;
	check(rig_begin(rig_small));
	check(peer_open(&p, rig_server.rpc));
	check(peer_open(&q, rig_server.rpc));
	check(rig_receive(&p, 1, "A", 10));
	check(wire_like(peer_ask(&p, "[0,2,'ats',[[['A','L']],{'min_seq':1000,'wait_ms':30}]]"), "[1, 2, [\"behind\", *"));
	check(wire_like(peer_ask(&p, "[0,3,'ats',[[['A','L']],{'min_seq':1000}]]"), "[1, 3, [\"behind\", *"));
	peer_write(&p, "[0,4,'ats',[[['A','L']],{'min_seq':3,'wait_ms':1000}]]");
	check(peer_flush(&p));
	check(wire_like(peer_ask(&q, "[0,1,'reserve',['r',[['A','L',4]],{'ttl_ms':60000}]]"), "[1, 1, nil, *"));
	check(wire_like(peer_answer(&p), "[1, 4, nil, [3, [6]]]"));
	peer_close(&p);
	peer_close(&q);
	server_remove(&rig_server);
}

/* The place of a closed connection is taken again; its last answer is not for the newcomer. */
static void
what_is_answered_too_late_finds_nobody(void)
{
	static const char *const two[] = { "--gate", "off", "--cells-max", "1000", "--reservations-max", "1000", "--history-max", "1000", "--free-ids-max",
		"1000", "--segment-bytes", "16M", "--connections-max", "2", "--loops", rig_loops, "--queue-age-ms", "0", NULL };
	struct peer p, gone, next;
	check(rig_begin(two));
	check(peer_open(&p, rig_server.rpc));
	check(rig_receive(&p, 1, "A", 10));
	check(peer_open(&gone, rig_server.rpc));
	check(wire_like(peer_ask(&gone, "[0,8,'hello',[{'v':1}]]"), "[1, 8, nil, *"));
	peer_write(&gone, "[0,9,'ats',[[['A','L']],{'min_seq':3,'wait_ms':1000}]]");
	check(peer_flush(&gone));
	struct linger reset = { .l_onoff = 1 }; /* a reset: nobody is there for the answer */
	setsockopt(gone.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	check(wire_like(peer_ask(&p, "[0,3,'ats',[[['A','L']]]]"), "[1, 3, *")); /* a round trip: the read waits by now */
	peer_close(&gone);
	bool open = false;
	int64_t until = clock_steady_ms() + PEER_PATIENCE_MS;
	while (!open && clock_steady_ms() < until) {
		check(peer_open(&next, rig_server.rpc));
		open = wire_like(peer_ask(&next, "[0,1,'hello',[{'v':1}]]"), "[1, 1, nil, *");
		if (!open)
			peer_close(&next);
	}
	check(open);
	check(wire_like(peer_ask(&p, "[0,2,'reserve',['r',[['A','L',4]],{'ttl_ms':60000}]]"), "[1, 2, nil, *"));
	check(wire_like(peer_ask(&next, "[0,5,'ats',[[['A','L']]]]"), "[1, 5, nil, [3, [6]]]"));
	peer_close(&p);
	peer_close(&next);
	server_remove(&rig_server);
}

static void
what_is_answered_later_finds_its_asker(void)
{
	struct peer p, gone;
	check(rig_begin(rig_small));
	check(peer_open(&p, rig_server.rpc));
	check(peer_open(&gone, rig_server.rpc));
	check(rig_receive(&p, 1, "A", 10));
	peer_write(&gone, "[0,9,'policy',[{'set':{'groups':{'H':{'members':['L']}}}}]]");
	check(peer_flush(&gone));
	peer_close(&gone);
	check(wire_like(peer_ask(&p, "[0,2,'policy',[{'set':{'groups':{'G':{'members':['L']}}}}]]"), "[1, 2, nil, *"));
	check(wire_like(peer_ask(&p, "[0,3,'ats',[[['A','G']]]]"), "[1, 3, nil, [*, [10]]]"));
	peer_close(&p);
	server_remove(&rig_server);
}

/* What concerns loops, with one and with two. */
#define LOOPED(X) \
	X(kept_over_a_kill_and_over_a_stop) \
	X(the_last_units_go_to_as_many_as_there_are) \
	X(a_request_that_fills_batches_is_answered_whole) \
	X(a_hold_ends_on_time_although_nobody_asks) \
	X(a_read_that_waits_is_answered_when_its_position_comes_or_the_wait_ends) \
	X(what_is_answered_too_late_finds_nobody) \
	X(what_is_answered_later_finds_its_asker)

LOOPED(RIG_TWO_LOOPS)

static const struct check tests[] = {
	LOOPED(RIG_CHECK_BOTH)
};

int
main(int argc, char **argv)
{
	return rig_run(tests, sizeof tests / sizeof *tests, argc, argv);
}
