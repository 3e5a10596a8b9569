/*
 * test_server.c: holdfastd as a process, over its socket: framing, order, back-pressure, durability over kill and stop, what it
 * refuses. What concerns loops runs with one and with two.
 */
#define _GNU_SOURCE
#include "tests/check.h"
#include "tests/peer.h"
#include "tests/spawn.h"
#include "tests/wire_text.h"

#include "net/clock.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct server server;
static char loops_text[4] = "1";

static const char *const small[] = { "--gate", "off", "--cells-max", "100000", "--reservations-max", "200000", "--history-max", "100000",
	"--free-ids-max", "1000", "--extra-lines-max", "400000", "--segment-bytes", "16M", "--loops", loops_text, NULL };

static bool
begin(void)
{
	struct why why;
	if (server_init(&server, &why) < 0 || server_start(&server, small, &why) < 0) {
		printf("%s\n", why.text);
		return false;
	}
	return true;
}

static bool
again(void)
{
	struct why why;
	if (server_start(&server, small, &why) == 0)
		return true;
	printf("%s\n", why.text);
	return false;
}

/* `qty` of SKU "A" at location "L" by source "wms", event number n. */
static bool
receive_stock(struct peer *p, int n, const char *sku, int qty)
{
	return wire_like(peer_ask(p, "[0,%d,'post',[[{'v':1,'source':'wms','n':%d,'kind':'receipt','sku':'%s','location':'L','qty':%d}]]]",
	    n, n, sku, qty), "[1, *, nil, [*, [\"applied\"]]]");
}

static long
ats(struct peer *p, const char *sku)
{
	long seq, n = -1;
	const char *answer = peer_ask(p, "[0,7,'ats',[[['%s','L']]]]", sku);
	return sscanf(answer, "[1, 7, nil, [%ld, [%ld]]]", &seq, &n) == 2 ? n : -1;
}

/* ---- the order of things ---- */

static void
kept_over_a_kill_and_over_a_stop(void)
{
	struct peer p;
	check(begin());
	check(peer_open(&p, server.rpc));
	check(receive_stock(&p, 1, "A", 10));
	check(wire_like(peer_ask(&p, "[0,2,'reserve',['r1',[['A','L',3]],{'ttl_ms':60000}]]"), "[1, 2, nil, *\"held\"*"));
	check(wire_like(peer_ask(&p, "[0,3,'commit',['r1']]"), "[1, 3, nil, *\"committed\"*"));
	peer_close(&p);
	server_kill(&server);
	check(again());
	check(peer_open(&p, server.rpc));
	check_equal(ats(&p, "A"), 7);
	check(wire_like(peer_ask(&p, "[0,4,'reserve',['r2',[['A','L',2]],{'ttl_ms':60000}]]"), "[1, 4, nil, *\"held\"*"));
	peer_close(&p);
	check_equal(server_stop(&server), 0);
	check(again());
	check(peer_open(&p, server.rpc));
	check_equal(ats(&p, "A"), 5);
	check(wire_like(peer_ask(&p, "[0,5,'reserve',['r2',[['A','L',2]],{'ttl_ms':1}]]"), "[1, 5, nil, *\"again\"*true*"));
	peer_close(&p);
	server_remove(&server);
}

static void
the_last_units_go_to_as_many_as_there_are(void)
{
	enum { PEERS = 60, EACH = 20, UNITS = 500 };
	static struct peer peers[PEERS];
	int granted = 0, refused = 0;
	check(begin());
	check(peer_open(&peers[0], server.rpc));
	check(receive_stock(&peers[0], 1, "A", UNITS));
	for (int i = 1; i < PEERS; i++)
		check(peer_open(&peers[i], server.rpc));
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
	check_equal(ats(&peers[0], "A"), 0);
	for (int i = 0; i < PEERS; i++)
		peer_close(&peers[i]);
	server_remove(&server);
}

static void
half_frames_are_put_together(void)
{
	struct peer p;
	struct buffer bytes = { 0 };
	check(begin());
	check(peer_open(&p, server.rpc));
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
	server_remove(&server);
}

static void
a_client_that_ends_its_side_still_gets_its_answers(void)
{
	struct peer p;
	check(begin());
	check(peer_open(&p, server.rpc));
	check(receive_stock(&p, 1, "A", 100));
	for (int i = 0; i < 50; i++)
		peer_write(&p, "[0,%d,'reserve',['r%d',[['A','L',1]],{'ttl_ms':60000}]]", i, i);
	check(peer_flush(&p));
	shutdown(p.fd, SHUT_WR);
	for (int i = 0; i < 50; i++)
		check(wire_like(peer_answer(&p), "[1, *\"held\"*"));
	check(strcmp(peer_answer(&p), "closed") == 0);
	peer_close(&p);
	server_remove(&server);
}

/* ---- bytes that are no request ---- */

static void
an_endless_message_is_answered_and_the_connection_closed(void)
{
	/* [0, 9, "post", [bin of 2^31 bytes]]: the claim alone is too much. */
	static const uint8_t endless[] = { 0x94, 0, 9, 0xa4, 'p', 'o', 's', 't', 0x91, 0xc6, 0x7f, 0xff, 0xff, 0xff };
	struct peer p;
	check(begin());
	check(peer_open(&p, server.rpc));
	check(peer_send_bytes(&p, endless, sizeof endless));
	check(wire_like(peer_answer(&p), "[1, 9, [\"too_large\", *], nil]"));
	check(peer_is_closed(&p));
	peer_close(&p);
	server_remove(&server);
}

static void
a_message_too_long_is_answered_although_more_is_on_its_way(void)
{
	static uint8_t rest[3 << 20];
	uint8_t head[] = { 0x94, 0, 9, 0xa4, 'p', 'o', 's', 't', 0xdd, 0x7f, 0xff, 0xff, 0xff };
	struct peer p;
	check(begin());
	check(peer_open(&p, server.rpc));
	memset(rest, 0xc0, sizeof rest);
	check(peer_send_bytes(&p, head, sizeof head));
	peer_send_bytes(&p, rest, sizeof rest); /* the server may have closed in the middle */
	check(wire_like(peer_answer(&p), "[1, 9, [\"too_large\", *], nil]"));
	check(peer_is_closed(&p));
	peer_close(&p);
	server_remove(&server);
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
	check(begin());
	check(peer_open(&good, server.rpc));
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		check(peer_open(&bad, server.rpc));
		check(peer_send_bytes(&bad, rows[i].bytes, rows[i].n));
		const char *answer = peer_answer(&bad);
		check(rows[i].answer ? wire_like(answer, rows[i].answer) : strcmp(answer, "closed") == 0);
		check(peer_is_closed(&bad));
		peer_close(&bad);
	}
	check(wire_like(peer_ask(&good, "[0,1,'hello',[{'v':1}]]"), "[1, 1, nil, *"));
	check(wire_like(peer_ask(&good, "[0,2,'dance',[]]"), "[1, 2, [\"unknown_method\", *"));
	peer_close(&good);
	server_remove(&server);
}

/* ---- back-pressure ---- */

static void
a_client_that_reads_nothing_is_not_read_and_loses_nothing(void)
{
	enum { ASKED = 100000, SOCKET_BYTES = 16384 };
	struct peer lazy, other;
	int little = SOCKET_BYTES, much = 1 << 20;
	struct buffer bytes = { 0 };
	check(begin());
	check(peer_open(&lazy, server.rpc));
	check(peer_open(&other, server.rpc));
	check(receive_stock(&other, 1, "A", 5));
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
			check_equal(ats(&other, "A"), 5); /* a round trip with somebody else, instead of a sleep */
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
	server_remove(&server);
}

/* One reserve_many whose steps pass the room of a batch several times over. */
static void
a_request_that_fills_batches_is_answered_whole(void)
{
	enum { MANY = 1000, LINES = 90 };
	struct peer p, other;
	struct buffer bytes = { 0 };
	char text[64];
	check(begin());
	check(peer_open(&p, server.rpc));
	check(peer_open(&other, server.rpc));
	for (int i = 0; i < LINES; i++) {
		snprintf(text, sizeof text, "%d", i);
		check(receive_stock(&other, i + 1, text, MANY));
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
	while (ats(&other, "0") > 0) /* others are served in between, and see it grow */
		;
	check(wire_like(peer_answer(&p), "[1, 1, nil, [*"));
	check_equal(ats(&other, "89"), 0);
	check(wire_like(peer_ask(&other, "[0,3,'reserve',['one',[['3','L',1]],{'ttl_ms':1000}]]"), "[1, 3, [\"insufficient\", *"));
	buffer_fini(&bytes);
	peer_close(&p);
	peer_close(&other);
	server_remove(&server);
}

static void
one_connection_too_many_is_closed_and_there_is_room_again_later(void)
{
	static const char *const few[] = { "--gate", "off", "--cells-max", "1000", "--reservations-max", "1000", "--history-max", "1000", "--free-ids-max",
		"1000", "--segment-bytes", "16M", "--connections-max", "3", "--loops", loops_text, NULL };
	struct peer p[4];
	struct why why;
	check(server_init(&server, &why) == 0 && server_start(&server, few, &why) == 0);
	for (int i = 0; i < 3; i++) {
		check(peer_open(&p[i], server.rpc));
		check(wire_like(peer_ask(&p[i], "[0,1,'hello',[{'v':1}]]"), "[1, 1, nil, *"));
	}
	check(peer_open(&p[3], server.rpc));
	check(peer_is_closed(&p[3]));
	peer_close(&p[3]);
	peer_close(&p[0]);
	int64_t until = clock_steady_ms() + PEER_PATIENCE_MS;
	bool served = false;
	while (!served && clock_steady_ms() < until) {
		check(peer_open(&p[0], server.rpc));
		served = wire_like(peer_ask(&p[0], "[0,1,'hello',[{'v':1}]]"), "[1, 1, nil, *");
		if (!served)
			peer_close(&p[0]);
	}
	check(served);
	for (int i = 0; i < 3; i++)
		peer_close(&p[i]);
	server_remove(&server);
}

/* ---- time ---- */

static void
a_hold_ends_on_time_although_nobody_asks(void)
{
	struct peer p;
	long seq = 0;
	check(begin());
	check(peer_open(&p, server.rpc));
	check(receive_stock(&p, 1, "A", 10));
	const char *answer = peer_ask(&p, "[0,2,'reserve',['r',[['A','L',4]],{'ttl_ms':40}]]");
	const char *at = strstr(answer, "\"seq\"");
	check(at && (seq = strtol(at + strcspn(at, "0123456789"), NULL, 10)) > 0);
	/* The next position can only be the expiry's: the read waits for it, within its second. */
	answer = peer_ask(&p, "[0,3,'ats',[[['A','L']],{'min_seq':%ld,'wait_ms':1000}]]", seq + 1);
	check(wire_like(answer, "[1, 3, nil, [*, [10]]]"));
	peer_close(&p);
	server_remove(&server);
}

static void
a_read_that_waits_is_answered_when_its_position_comes_or_the_wait_ends(void)
{
	struct peer p, q;
	check(begin());
	check(peer_open(&p, server.rpc));
	check(peer_open(&q, server.rpc));
	check(receive_stock(&p, 1, "A", 10));
	check(wire_like(peer_ask(&p, "[0,2,'ats',[[['A','L']],{'min_seq':1000,'wait_ms':30}]]"), "[1, 2, [\"behind\", *"));
	check(wire_like(peer_ask(&p, "[0,3,'ats',[[['A','L']],{'min_seq':1000}]]"), "[1, 3, [\"behind\", *"));
	peer_write(&p, "[0,4,'ats',[[['A','L']],{'min_seq':3,'wait_ms':1000}]]");
	check(peer_flush(&p));
	check(wire_like(peer_ask(&q, "[0,1,'reserve',['r',[['A','L',4]],{'ttl_ms':60000}]]"), "[1, 1, nil, *"));
	check(wire_like(peer_answer(&p), "[1, 4, nil, [3, [6]]]"));
	peer_close(&p);
	peer_close(&q);
	server_remove(&server);
}

/* The place of a closed connection is taken again; its last answer is not for the newcomer. */
static void
what_is_answered_too_late_finds_nobody(void)
{
	static const char *const two[] = { "--gate", "off", "--cells-max", "1000", "--reservations-max", "1000", "--history-max", "1000", "--free-ids-max",
		"1000", "--segment-bytes", "16M", "--connections-max", "2", "--loops", loops_text, NULL };
	struct peer p, gone, next;
	struct why why;
	check(server_init(&server, &why) == 0 && server_start(&server, two, &why) == 0);
	check(peer_open(&p, server.rpc));
	check(receive_stock(&p, 1, "A", 10));
	check(peer_open(&gone, server.rpc));
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
		check(peer_open(&next, server.rpc));
		open = wire_like(peer_ask(&next, "[0,1,'hello',[{'v':1}]]"), "[1, 1, nil, *");
		if (!open)
			peer_close(&next);
	}
	check(open);
	check(wire_like(peer_ask(&p, "[0,2,'reserve',['r',[['A','L',4]],{'ttl_ms':60000}]]"), "[1, 2, nil, *"));
	check(wire_like(peer_ask(&next, "[0,5,'ats',[[['A','L']]]]"), "[1, 5, nil, [3, [6]]]"));
	peer_close(&p);
	peer_close(&next);
	server_remove(&server);
}

static void
what_is_answered_later_finds_its_asker(void)
{
	struct peer p, gone;
	check(begin());
	check(peer_open(&p, server.rpc));
	check(peer_open(&gone, server.rpc));
	check(receive_stock(&p, 1, "A", 10));
	peer_write(&gone, "[0,9,'policy',[{'set':{'groups':{'H':{'members':['L']}}}}]]");
	check(peer_flush(&gone));
	peer_close(&gone);
	check(wire_like(peer_ask(&p, "[0,2,'policy',[{'set':{'groups':{'G':{'members':['L']}}}}]]"), "[1, 2, nil, *"));
	check(wire_like(peer_ask(&p, "[0,3,'ats',[[['A','G']]]]"), "[1, 3, nil, [*, [10]]]"));
	peer_close(&p);
	server_remove(&server);
}

/* ---- the end ---- */

static void
a_stop_answers_what_it_took_and_what_was_answered_is_kept(void)
{
	enum { ASKED = 20000 };
	struct peer p;
	int answered = 0;
	check(begin());
	check(peer_open(&p, server.rpc));
	check(receive_stock(&p, 1, "A", ASKED));
	for (int i = 0; i < ASKED; i++)
		peer_write(&p, "[0,%d,'reserve',['r%d',[['A','L',1]],{'ttl_ms':600000}]]", i, i);
	struct why why;
	pid_t sender = fork();
	if (sender == 0) {
		peer_flush(&p);
		_exit(0);
	}
	check(wire_like(peer_answer(&p), "[1, 0, nil, *"));
	kill(server.pid, SIGTERM);
	for (answered = 1;; answered++) {
		const char *answer = peer_answer(&p);
		if (strcmp(answer, "closed") == 0)
			break;
		check(wire_like(answer, "[1, *\"held\"*"));
	}
	peer_close(&p);
	waitpid(sender, NULL, 0);
	check_equal(server_stop(&server), 0);
	check(server_start(&server, small, &why) == 0);
	check(peer_open(&p, server.rpc));
	long left = ats(&p, "A");
	check(left <= ASKED - answered); /* at least what was answered; beyond it at most what was under way */
	peer_close(&p);
	server_remove(&server);
}

/* Runs holdfastd to its end and gives its status; what it said is in `said`. */
static int
run_to_its_end(const char *arguments, char *said, size_t n)
{
	char program[600], command[1400];
	spawn_program("holdfastd", program, sizeof program);
	snprintf(command, sizeof command, "%s %s 2>&1", program, arguments);
	FILE *f = popen(command, "r");
	if (!f)
		return -1;
	said[fread(said, 1, n - 1, f)] = 0;
	int status = pclose(f);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
a_second_server_on_the_folder_is_refused(void)
{
	char arguments[400], said[2048];
	check(begin());
	snprintf(arguments, sizeof arguments, "--data %s/data --listen 127.0.0.1:0 --gate off", server.folder);
	check_equal(run_to_its_end(arguments, said, sizeof said), 1);
	check(strstr(said, "is in use"));
	check_equal(server_stop(&server), 0);
	server_remove(&server);
}

static void
a_port_that_is_taken_is_said(void)
{
	char arguments[400], said[2048];
	check(begin());
	snprintf(arguments, sizeof arguments, "--data %s/other --listen 127.0.0.1:%u --http 127.0.0.1:0 --gate off", server.folder, server.rpc);
	check_equal(run_to_its_end(arguments, said, sizeof said), 1);
	check(strstr(said, "another server running"));
	server_remove(&server);
}

static void
only_loopback_is_listened_on(void)
{
	static const struct {
		const char *arguments, *sentence;
	} rows[] = {
		{ "--listen 0.0.0.0:0", "--listen 0.0.0.0 is refused" },
		{ "--listen 192.0.2.1:7400", "--listen 192.0.2.1 is refused" },
		{ "--listen '[::]:0'", "--listen :: is refused" },
		{ "--listen 127.0.0.1:0 --events 0.0.0.0:0", "--events 0.0.0.0 is refused" },
		{ "--listen 127.0.0.1:0 --http 0.0.0.0:0", "--http 0.0.0.0 is refused" },
	};
	char arguments[400], said[2048];
	struct why why;
	check(server_init(&server, &why) == 0);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		snprintf(arguments, sizeof arguments, "--data %s/data --gate off %s", server.folder, rows[i].arguments);
		check_equal(run_to_its_end(arguments, said, sizeof said), 2);
		check(strstr(said, rows[i].sentence));
	}
	server_remove(&server);
}

/* ---- the side door and the gate ---- */

static bool
http_get(const char *path, const char *expected)
{
	struct peer p;
	char request[128], answer[16384] = "";
	size_t used = 0;
	ssize_t n;
	if (!peer_open(&p, server.http))
		return false;
	int length = snprintf(request, sizeof request, "GET %s HTTP/1.0\r\n\r\n", path);
	peer_send_bytes(&p, request, (size_t)length);
	while (used < sizeof answer - 1 && (n = recv(p.fd, answer + used, sizeof answer - 1 - used, 0)) > 0)
		used += (size_t)n;
	answer[used] = 0;
	peer_close(&p);
	return strstr(answer, expected) != NULL;
}

static void
operators_have_three_pages(void)
{
	check(begin());
	check(http_get("/healthz", "200 OK"));
	check(http_get("/readyz", "ready\n"));
	check(http_get("/metrics", "holdfast_durable 1\n"));
	check(http_get("/metrics", "# TYPE holdfast_frames_total counter"));
	check(http_get("/", "404 Not Found"));
	server_remove(&server);
}

/* The server's only child. */
static pid_t
gate_pid(void)
{
	char path[64];
	int pid = 0;
	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)server.pid, (int)server.pid);
	FILE *f = fopen(path, "r");
	if (!f)
		return 0;
	if (fscanf(f, "%d", &pid) != 1)
		pid = 0;
	fclose(f);
	return pid;
}

static void
a_gate_that_dies_is_started_again_on_its_port_and_ends_with_the_server(void)
{
	static const char *const with_gate[] = { "--cells-max", "1000", "--reservations-max", "1000", "--history-max", "1000", "--free-ids-max", "1000",
		"--segment-bytes", "16M", NULL };
	struct why why;
	char command[64];
	check(server_init(&server, &why) == 0 && server_start(&server, with_gate, &why) == 0);
	check(server.events != 0);
	pid_t first = gate_pid();
	check(first > 0);
	kill(first, SIGKILL);
	int64_t until = clock_steady_ms() + PEER_PATIENCE_MS;
	while (!http_get("/metrics", "holdfast_gate_starts_total 2\n") || !http_get("/metrics", "holdfast_gate_up 1\n"))
		check(clock_steady_ms() < until);
	pid_t second = gate_pid();
	check(second > 0 && second != first);
	struct peer p;
	check(peer_open(&p, server.events));
	peer_close(&p);
	check_equal(server_stop(&server), 0);
	snprintf(command, sizeof command, "/proc/%d/exe", (int)second);
	check(access(command, F_OK) != 0);
	server_remove(&server);
}

static void
with_two_loops(void (*test)(void))
{
	strcpy(loops_text, "2");
	test();
	strcpy(loops_text, "1");
}

/* What concerns loops, with one and with two. */
#define LOOPED(X) \
	X(kept_over_a_kill_and_over_a_stop) \
	X(the_last_units_go_to_as_many_as_there_are) \
	X(half_frames_are_put_together) \
	X(a_client_that_ends_its_side_still_gets_its_answers) \
	X(an_endless_message_is_answered_and_the_connection_closed) \
	X(a_message_too_long_is_answered_although_more_is_on_its_way) \
	X(wrong_bytes_close_the_connection_and_nobody_elses) \
	X(a_client_that_reads_nothing_is_not_read_and_loses_nothing) \
	X(a_request_that_fills_batches_is_answered_whole) \
	X(one_connection_too_many_is_closed_and_there_is_room_again_later) \
	X(a_hold_ends_on_time_although_nobody_asks) \
	X(a_read_that_waits_is_answered_when_its_position_comes_or_the_wait_ends) \
	X(what_is_answered_too_late_finds_nobody) \
	X(what_is_answered_later_finds_its_asker) \
	X(a_stop_answers_what_it_took_and_what_was_answered_is_kept)

#define X(test) \
	static void test##_with_two_loops(void) \
	{ \
		with_two_loops(test); \
	}
LOOPED(X)
#undef X

static const struct check tests[] = {
#define X(test) CHECK(test), CHECK(test##_with_two_loops),
	LOOPED(X)
#undef X
	CHECK(a_second_server_on_the_folder_is_refused),
	CHECK(a_port_that_is_taken_is_said),
	CHECK(only_loopback_is_listened_on),
	CHECK(operators_have_three_pages),
	CHECK(a_gate_that_dies_is_started_again_on_its_port_and_ends_with_the_server),
};

int
main(int argc, char **argv)
{
	int status;
	setvbuf(stdout, NULL, _IOLBF, 0);
	status = check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv);
	server_remove(&server);
	return status;
}
