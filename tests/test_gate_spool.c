/*
 * test_gate_spool.c: a gate with --spool before a real server that comes and goes: what is answered, what survives, in which order it
 * is delivered, what becomes of events that the server refuses. A long absence of three stores is test_store_offline.c.
 */
#define _GNU_SOURCE
#include "tests/check.h"

#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

#include "net/clock.h"
#include "tests/gate_rig.h"
#include "tests/peer.h"
#include "tests/spawn.h"
#include "tests/wire_text.h"

#define PATIENCE_MS 20000

static const char *const no_gate[] = { "--gate", "off", NULL };

/* ---- a store: a server elsewhere, a gate with a spool ---- */

struct store {
	struct server server;
	struct gate_process gate;
	char folder[300]; /* of the spool */
	uint16_t rpc; /* the server comes back where it was */
	const char *more[8]; /* options of the gate */
};

static bool
server_up(struct store *s)
{
	char listen[32];
	const char *arguments[] = { "--gate", "off", "--http", "off", "--listen", listen, NULL };
	struct why why = { "" };
	snprintf(listen, sizeof listen, "127.0.0.1:%u", s->rpc);
	bool up = server_start(&s->server, s->rpc ? arguments : no_gate, &why) == 0;
	if (!up)
		printf("     %s\n", why.text);
	s->rpc = s->server.rpc;
	return up;
}

static bool
gate_up(struct store *s)
{
	char server[32], events[32];
	const char *options[20] = { "--server", server, "--events", events, "--push", "off", "--feed", "off", "--spool", s->folder };
	int n = 10;
	for (int i = 0; s->more[i]; i++)
		options[n++] = s->more[i];
	snprintf(server, sizeof server, "127.0.0.1:%u", s->rpc);
	snprintf(events, sizeof events, "127.0.0.1:%u", s->gate.ports[DOOR_EVENTS]);
	return rig_start_with(&s->gate, options);
}

/* The server runs once, so that its port is known. */
static bool
store_open(struct store *s)
{
	struct why why = { "" };
	memset(s, 0, sizeof *s);
	if (server_init(&s->server, &why) < 0 || !server_up(s))
		return false;
	snprintf(s->folder, sizeof s->folder, "%s/spool", s->server.folder);
	return true;
}

static void
store_close(struct store *s)
{
	if (s->gate.pid)
		rig_end(&s->gate, SIGKILL);
	char command[400];
	snprintf(command, sizeof command, "rm -rf '%s'", s->folder);
	if (system(command) != 0)
		printf("     cannot remove %s\n", s->folder);
	server_remove(&s->server);
}

/* ---- asking ---- */

/* Sends text (wire_text.h) to the gate; its answer as text, static. */
static const char *
ask(int till, const char *format, ...)
{
	static uint8_t body[1 << 20];
	static uint32_t number;
	struct buffer message = { 0 };
	char text[8192];
	uint32_t word = 0;
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	wire_from_text(&message, text);
	bool sent = till_send(till, ++number | REQUEST_BIT, message.at, message.used);
	buffer_fini(&message);
	int64_t n = sent ? till_receive(till, &word, body, sizeof body) : -1;
	return n < 0 || word != (number | REQUEST_BIT) ? "no answer" : wire_to_text(body, (size_t)n);
}

static bool
answered(const char *got, const char *pattern)
{
	bool like = wire_like(got, pattern);
	if (!like)
		printf("     answered %s\n     instead of %s\n", got, pattern);
	return like;
}

#define RECEIPT "{'source': '%s', 'n': %u, 'kind': 'receipt', 'sku': 'S', 'location': 'L', 'qty': 1}"

/* A full spool is 216,000 events: under a sanitizer they take half a minute. */
#define DRAIN_PATIENCE_MS (6 * PATIENCE_MS)

/* Waits until the server answers this request so. */
static bool
server_says(struct store *s, const char *pattern, const char *request)
{
	struct peer peer;
	const char *got = "";
	int64_t end_ms = clock_steady_ms() + DRAIN_PATIENCE_MS;
	if (!peer_open(&peer, s->rpc))
		return false;
	while (clock_steady_ms() < end_ms && !wire_like(got = peer_ask(&peer, "%s", request), pattern))
		poll(NULL, 0, 5);
	bool like = answered(got, pattern);
	peer_close(&peer);
	return like;
}

/* ---- tests ---- */

static void
events_are_queued_while_the_server_is_away_and_delivered_when_it_is_back(void)
{
	struct store s;
	check(store_open(&s));
	server_kill(&s.server);
	check(gate_up(&s));
	int till = till_open(s.gate.ports[DOOR_EVENTS]);
	check(till >= 0);
	check(answered(ask(till, RECEIPT, "a", 1), "{\"queued\"=>[1, 1]}"));
	check(answered(ask(till, "[" RECEIPT "," RECEIPT "]", "a", 2, "a", 3), "{\"queued\"=>[2, 3]}"));
	check(answered(ask(till, "[]"), "{\"queued\"=>nil}"));
	check(server_up(&s));
	check(server_says(&s, "*\"contiguous\"=>3, \"highest\"=>3, \"missing\"=>[]*", "[0, 1, 'position', ['a']]"));
	check(answered(ask(till, RECEIPT, "a", 4), "{\"queued\"=>[4, 4]}"));
	check(server_says(&s, "*\"contiguous\"=>4*", "[0, 1, 'position', ['a']]"));
	check(rig_counts(&s.gate, " spool_queued=4 spool_unfit=0 spool_full=0 spool_delivered=4 spool_kept=0 spool_refused=0 spool_carried=0 spool_waiting=0 "));
	close(till);
	store_close(&s);
}

static void
what_was_answered_survives_kill_9_of_the_gate(void)
{
	struct store s;
	check(store_open(&s));
	server_kill(&s.server);
	for (uint32_t round = 0; round < 4; round++) {
		check(gate_up(&s));
		int till = till_open(s.gate.ports[DOOR_EVENTS]);
		check(till >= 0);
		for (uint32_t i = 1; i <= 25; i++)
			check(strncmp(ask(till, RECEIPT, "a", 25 * round + i), "{\"queued\"", 9) == 0);
		close(till);
		check_equal(rig_end(&s.gate, SIGKILL), -1);
	}
	check(gate_up(&s));
	check(server_up(&s));
	check(server_says(&s, "*\"contiguous\"=>100, \"highest\"=>100, \"missing\"=>[]*", "[0, 1, 'position', ['a']]"));
	check(server_says(&s, "[1, 1, nil, [*, [{\"on_hand\"=>100, *", "[0, 1, 'stock', [[['S', 'L']]]]"));
	store_close(&s);
}

static void
a_stop_keeps_the_spool_and_a_start_says_what_is_there(void)
{
	struct store s;
	char said[2048];
	check(store_open(&s));
	server_kill(&s.server);
	check(gate_up(&s));
	int till = till_open(s.gate.ports[DOOR_EVENTS]);
	check(answered(ask(till, "[" RECEIPT "," RECEIPT "]", "a", 1, "a", 2), "{\"queued\"=>[1, 2]}"));
	close(till);
	check(rig_says(&s.gate, "events are kept until the server is back", said, sizeof said));
	check_equal(rig_end(&s.gate, SIGTERM), 0);
	check(gate_up(&s));
	check(rig_says(&s.gate, "2 events are here from before", said, sizeof said));
	store_close(&s);
}

static void
what_has_no_identity_or_is_too_long_is_told_in_the_same_answer(void)
{
	struct store s;
	char reason[3000];
	memset(reason, 'x', sizeof reason - 1);
	reason[sizeof reason - 1] = 0;
	check(store_open(&s));
	check(gate_up(&s));
	int till = till_open(s.gate.ports[DOOR_EVENTS]);
	check(answered(ask(till, "[" RECEIPT ", {'source': 'a'}, 5, " RECEIPT ", {'source': 'a', 'n': 9, 'reason': '%s'}]", "a", 1, "a", 2, reason),
	    "{\"queued\"=>[1, 2], \"refused\"=>[[1, \"bad_request\", \"n or id is missing\"], [2, \"bad_request\", \"an event must be a map\"], "
	    "[4, \"too_large\", *]]}"));
	check(answered(ask(till, "{'source': 7, 'n': 1}"), "{\"queued\"=>nil, \"refused\"=>[[0, \"bad_request\", \"source must be*\"]]}"));
	check(answered(ask(till, "{'source': 'a', 'n': 2.0}"), "{\"queued\"=>nil, \"refused\"=>[[0, \"bad_request\", \"n must be*\"]]}"));
	check(answered(ask(till, "{'source': 'a', 'n': 1, 'id': 3}"), "{\"queued\"=>nil, \"refused\"=>[[0, \"bad_request\", \"id must be*\"]]}"));
	check(answered(ask(till, "'text'"), "{\"seq\"=>0, \"outcomes\"=>[{\"rejected\"=>\"bad_request\"*"));
	check(answered(ask(till, "{'source': 'a', 'id': 'free', 'kind': 'nonsense'}"), "{\"queued\"=>[3, 3]}"));
	/* That one is for the server to judge: it is kept in its quarantine. */
	check(server_says(&s, "*\"free\"*", "[0, 1, 'quarantine', [{'op': 'list'}]]"));
	check(rig_counts(&s.gate, " spool_delivered=3 spool_kept=1 spool_refused=0 "));
	store_close(&s);
}

static void
beyond_a_gap_events_wait_without_holding_up_others(void)
{
	struct store s;
	check(store_open(&s));
	check(gate_up(&s));
	int till = till_open(s.gate.ports[DOOR_EVENTS]);
	check(answered(ask(till, "[" RECEIPT "," RECEIPT "," RECEIPT "]", "a", 9000, "a", 9001, "b", 1), "{\"queued\"=>[1, 3]}"));
	check(server_says(&s, "*\"contiguous\"=>1*", "[0, 1, 'position', ['b']]"));
	check(rig_counts(&s.gate, " spool_waiting=3 spool_later=2 "));
	check(server_says(&s, "*\"seq\"=>*", "[0, 1, 'position', ['a', {'skip_to': 8999}]]"));
	check(server_says(&s, "*\"contiguous\"=>9001*", "[0, 1, 'position', ['a']]"));
	check(rig_counts(&s.gate, " spool_waiting=0 spool_later=0 "));
	store_close(&s);
}

static void
what_the_server_will_never_keep_is_kept_in_a_file(void)
{
	struct store s;
	check(store_open(&s));
	check(gate_up(&s));
	int till = till_open(s.gate.ports[DOOR_EVENTS]);
	check(answered(ask(till, "[" RECEIPT ", {'source': 'a', 'n': 2, 'kind': 'count', 'sku': 'S', 'location': 'L', 'qty': 5, 'expected': 77}]", "a", 1),
	    "{\"queued\"=>[1, 2]}"));
	check(rig_counts(&s.gate, " spool_delivered=2 spool_kept=0 spool_refused=1 "));
	char file[400];
	uint8_t bytes[4096];
	snprintf(file, sizeof file, "%s/refused", s.folder);
	FILE *f = fopen(file, "rb");
	check(f);
	size_t n = fread(bytes, 1, sizeof bytes, f);
	fclose(f);
	check(answered(wire_to_text(bytes, n), "[2, *, \"mismatch\", *, {\"source\"=>\"a\", \"n\"=>2, *}]"));
	check_equal(rig_end(&s.gate, SIGTERM), 0);
	char said[1024];
	check(gate_up(&s));
	check(rig_says(&s.gate, "holds 1 events that the server will never keep", said, sizeof said));
	store_close(&s);
}

#define POSITION "{'v': 1, 'ask': 'position', 'source': 'a'}"

static void
position_is_answered_while_the_line_is_down_and_put_together_when_it_is_up(void)
{
	struct store s;
	check(store_open(&s));
	check(gate_up(&s));
	int till = till_open(s.gate.ports[DOOR_EVENTS]);
	check(answered(ask(till, "[" RECEIPT "," RECEIPT "]", "a", 1, "a", 2), "{\"queued\"=>[1, 2]}"));
	check(server_says(&s, "*\"contiguous\"=>2*", "[0, 1, 'position', ['a']]"));
	/* By another way than this gate: */
	check(server_says(&s, "[1, 1, nil, [*, [\"applied\"]]]", "[0, 1, 'post', [[" "{'source': 'a', 'n': 3, 'kind': 'receipt', 'sku': 'S', 'location': 'L', 'qty': 1}" "]]]"));
	check(answered(ask(till, POSITION), "{\"position\"=>{\"contiguous\"=>3, \"highest\"=>3, \"missing\"=>[], \"last_at\"=>*, \"server\"=>true}}"));
	server_kill(&s.server);
	check(rig_counts(&s.gate, " server_up=0 "));
	check(answered(ask(till, RECEIPT, "a", 7), "{\"queued\"=>[3, 3]}"));
	check(answered(ask(till, POSITION), "{\"position\"=>{\"contiguous\"=>3, \"highest\"=>7, \"missing\"=>[[4, 6]], \"last_at\"=>*, \"server\"=>false}}"));
	check(answered(ask(till, "[" RECEIPT "," RECEIPT "]", "a", 4, "a", 6), "{\"queued\"=>[4, 5]}"));
	close(till);
	/* It survives; what the server had said is asked again. */
	check_equal(rig_end(&s.gate, SIGKILL), -1);
	check(gate_up(&s));
	till = till_open(s.gate.ports[DOOR_EVENTS]);
	check(answered(ask(till, POSITION), "{\"position\"=>{\"contiguous\"=>2, \"highest\"=>7, \"missing\"=>[[3, 3], [5, 5]], \"last_at\"=>*, \"server\"=>false}}"));
	check(server_up(&s));
	check(server_says(&s, "*\"contiguous\"=>4, \"highest\"=>7, \"missing\"=>[[5, 5]]*", "[0, 1, 'position', ['a']]"));
	check(rig_counts(&s.gate, " server_up=1 "));
	check(answered(ask(till, POSITION), "{\"position\"=>{\"contiguous\"=>4, \"highest\"=>7, \"missing\"=>[[5, 5]], \"last_at\"=>*, \"server\"=>true}}"));
	close(till);
	store_close(&s);
}

static void
a_full_spool_refuses_and_drops_nothing(void)
{
	struct store s;
	static uint8_t message[1 << 20];
	uint8_t body[4096];
	uint32_t word, n = 0, rounds = 0;
	size_t used;
	int64_t got = 0;
	check(store_open(&s));
	server_kill(&s.server);
	s.more[0] = "--spool-bytes-max";
	s.more[1] = "16M";
	check(gate_up(&s));
	int till = till_open(s.gate.ports[DOOR_EVENTS]);
	/* Messages of 9,000 events until one is refused. */
	for (bool full = false; !full && rounds < 100; rounds++) {
		message[0] = 0xdc;
		message[1] = 9000 >> 8;
		message[2] = 9000 & 255;
		used = 3;
		for (uint32_t i = 0; i < 9000; i++)
			used += put_receipt(message + used, "a", n + i + 1);
		check(till_send(till, (rounds + 1) | REQUEST_BIT, message, used));
		got = till_receive(till, &word, body, sizeof body);
		check(got > 0);
		full = body[0] != 0x81;
		n += full ? 0 : 9000;
	}
	check(answered(wire_to_text(body, (size_t)got),
	    "{\"seq\"=>0, \"outcomes\"=>[{\"rejected\"=>\"capacity\", \"message\"=>*, \"detail\"=>{\"which\"=>\"spool\"}}]}"));
	check(n > 90000);
	check(server_up(&s));
	char pattern[64];
	snprintf(pattern, sizeof pattern, "*\"contiguous\"=>%u, *", n);
	check(server_says(&s, pattern, "[0, 1, 'position', ['a']]"));
	check(till_send(till, 999 | REQUEST_BIT, message, used));
	got = till_receive(till, &word, body, sizeof body);
	check(got > 0 && body[0] == 0x81);
	close(till);
	store_close(&s);
}

static void
a_second_gate_on_the_folder_is_refused(void)
{
	struct store s;
	struct gate_process second;
	char said[1024];
	check(store_open(&s));
	check(gate_up(&s));
	check(!rig_start_with(&second, (const char *[]){ "--events", "127.0.0.1:0", "--spool", s.folder, NULL }));
	check(rig_says(&second, "another gate uses this spool folder", said, sizeof said));
	check_equal(rig_wait(&second), 1);
	check(!rig_start_with(&second, (const char *[]){ "--spool", s.folder, "--spool-bytes-max", "15M", NULL }));
	check_equal(rig_wait(&second), 2);
	store_close(&s);
}

int
main(int argc, char **argv)
{
	static const struct check tests[] = {
		CHECK(events_are_queued_while_the_server_is_away_and_delivered_when_it_is_back),
		CHECK(what_was_answered_survives_kill_9_of_the_gate),
		CHECK(a_stop_keeps_the_spool_and_a_start_says_what_is_there),
		CHECK(what_has_no_identity_or_is_too_long_is_told_in_the_same_answer),
		CHECK(beyond_a_gap_events_wait_without_holding_up_others),
		CHECK(what_the_server_will_never_keep_is_kept_in_a_file),
		CHECK(position_is_answered_while_the_line_is_down_and_put_together_when_it_is_up),
		CHECK(a_full_spool_refuses_and_drops_nothing),
		CHECK(a_second_gate_on_the_folder_is_refused),
	};
	return check_run("tests/test_gate_spool", tests, sizeof tests / sizeof tests[0], argc, argv);
}
