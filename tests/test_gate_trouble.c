/*
 * test_gate_trouble.c: a gate whose server refuses, breaks off, stays away, does not read, or is killed: nothing is lost, nothing counts twice.
 */
#define _GNU_SOURCE
#include "tests/check.h"

#include <signal.h>
#include <unistd.h>

#include "net/clock.h"
#include "net/gate_queue.h"
#include "tests/fake_server.h"
#include "tests/gate_rig.h"
#include "tests/spawn.h"

/* ---- a server in trouble ---- */

static void
a_refusal_for_now_is_posted_again_and_another_one_is_the_answer(void)
{
	static const struct row {
		const char *code;
		const char *outcome;
	} rows[] = {
		{ "overloaded", "applied" },
		{ "rate_limited", "applied" },
		{ "unknown", "applied" },
		{ "not_leader", "applied" },
		{ "read_only", "applied" },
		{ "internal", "internal" },
		{ "forbidden", "forbidden" },
		{ "bad_request", "bad_request" },
	};
	struct fake_server fake;
	struct gate_process gate;
	uint8_t event[64];
	check(fake_start(&fake));
	check(rig_start(&gate, fake.port, 0));
	int fd = till_open(gate.ports[DOOR_EVENTS]);
	check(fd >= 0);
	for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		fake_refuse(&fake, rows[i].code, 2);
		check(till_expect(fd, event, put_event(event, 1 + i), rows[i].outcome));
		fake_refuse(&fake, rows[i].code, 0);
		if (check_failed_now)
			printf("     in row '%s'\n", rows[i].code);
	}
	close(fd);
	struct posting tally = { 0 };
	struct gate_post *p = post_open(gate.ports[DOOR_EVENTS]);
	check(p);
	fake_refuse(&fake, "overloaded", 300);
	check(post_all(p, 100, 2000, &tally, NULL, NULL));
	gate_post_close(p);
	check_equal(tally.applied, 2000);
	check_equal(fake_count(&fake).connects, 1);
	check_equal(rig_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

/* ---- the real server ---- */

#define RECEIPTS_OF_MESSAGE 20

/* Posts receipts 1..RECEIPTS_OF_MESSAGE * messages, and calls half() when half is answered. */
static void
post_receipts(uint16_t port, uint32_t messages, struct posting *tally, void (*half)(void *), void *context)
{
	int64_t end_ms = clock_steady_ms() + 2 * RIG_PATIENCE_MS;
	static uint8_t message[8192];
	struct why why = { "" };
	uint32_t sent = 0;
	struct gate_post *p = post_open(port);
	check(p);
	while (tally->answered < messages && !check_failed_now && clock_steady_ms() < end_ms) {
		while (sent < messages && gate_post_in_flight(p) < 16) {
			size_t n = 3;
			memcpy(message, "\xdc\x00\x14", 3);
			for (uint32_t i = 1; i <= RECEIPTS_OF_MESSAGE; i++)
				n += put_receipt(message + n, "pos", sent * RECEIPTS_OF_MESSAGE + i);
			check_equal(gate_post_send(p, sent, message, n, &why), 1);
			sent++;
		}
		check(post_answer(p, tally, 100, RECEIPTS_OF_MESSAGE));
		if (half && tally->answered >= messages / 2) {
			half(context);
			half = NULL;
		}
	}
	gate_post_close(p);
	check_equal(tally->answered, messages);
	check_equal(tally->other, 0);
}

struct life {
	struct server *server;
	const char *const *arguments;
	bool started;
};

static void
kill_and_restart(void *context)
{
	struct life *life = context;
	struct why why = { "" };
	server_kill(life->server);
	life->started = server_start(life->server, life->arguments, &why) == 0;
	if (!life->started)
		printf("     %s\n", why.text);
}

static void
a_server_killed_and_restarted_has_every_event_once(void)
{
	char address[32];
	const char *first[] = { "--gate", "off", "--cells-max", "1000", NULL };
	const char *again[] = { "--gate", "off", "--cells-max", "1000", "--listen", address, NULL };
	struct server server;
	struct life life = { &server, again, false };
	struct gate_process gate;
	struct posting tally = { 0 };
	struct why why = { "" };
	check(server_init(&server, &why) == 0);
	if (server_start(&server, first, &why) < 0)
		printf("     %s\n", why.text);
	check(server.rpc != 0);
	snprintf(address, sizeof address, "127.0.0.1:%u", server.rpc);
	check(rig_start(&gate, server.rpc, 0));
	if (!check_failed_now)
		post_receipts(gate.ports[DOOR_EVENTS], 400, &tally, kill_and_restart, &life);
	if (!check_failed_now && life.started)
		check_equal(rig_on_hand(server.rpc), 400 * RECEIPTS_OF_MESSAGE);
	check_equal(rig_end(&gate, SIGTERM), 0);
	server_remove(&server);
	check(life.started);
}

static void
a_server_that_takes_its_gate_with_it_has_every_event_once(void)
{
	char address[32];
	const char *first[] = { "--cells-max", "1000", NULL };
	const char *again[] = { "--cells-max", "1000", "--events", address, NULL };
	struct server server;
	struct life life = { &server, again, false };
	struct posting tally = { 0 };
	struct why why = { "" };
	check(server_init(&server, &why) == 0);
	if (server_start(&server, first, &why) < 0)
		printf("     %s\n", why.text);
	check(server.events != 0);
	snprintf(address, sizeof address, "127.0.0.1:%u", server.events);
	post_receipts(server.events, 400, &tally, kill_and_restart, &life);
	if (!check_failed_now && life.started)
		check_equal(rig_on_hand(server.rpc), 400 * RECEIPTS_OF_MESSAGE);
	check_equal(server_stop(&server), 0);
	server_remove(&server);
	check(life.started);
}

static void
break_off(void *context)
{
	fake_break(context);
}

static void
a_server_that_breaks_off_loses_nothing(void)
{
	struct fake_server fake;
	struct gate_process gate;
	struct posting tally = { 0 };
	check(fake_start(&fake));
	check(rig_start(&gate, fake.port, 0));
	struct gate_post *p = post_open(gate.ports[DOOR_EVENTS]);
	check(p);
	for (uint32_t round = 0; round < 10; round++) {
		memset(&tally, 0, sizeof tally);
		check(post_all(p, 1 + round * 400, 400, &tally, break_off, &fake));
		check_equal(tally.other, 0);
	}
	gate_post_close(p);
	check_equal(fake_count(&fake).events, 4000);
	check(fake_count(&fake).connects >= 11);
	check_equal(rig_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

/* Big messages to a server that does not read end in the middle of one; the connection then goes on, or breaks off just there. */
static void
a_request_half_written_is_finished_or_sent_anew(void)
{
	enum { MESSAGES = 24, EVENTS = 10000 };
	static uint8_t message[1 << 19];
	struct fake_server fake;
	struct gate_process gate;
	struct why why;
	check(fake_start(&fake));
	check(rig_start(&gate, fake.port, 0));
	struct gate_post *p = post_open(gate.ports[DOOR_EVENTS]);
	check(p);
	for (uint32_t round = 0; round < 4; round++) {
		struct posting tally = { 0 };
		fake_deaf(&fake, true);
		for (uint32_t i = 0; i < MESSAGES; i++)
			check_equal(gate_post_send(p, i, message, put_events(message, (round * MESSAGES + i) * 100, EVENTS), &why), 1);
		/* By then it has written what fits, or it does so in a moment: both are fine. */
		check(post_answer(p, &tally, 100, EVENTS));
		check_equal(tally.answered, 0);
		if (round % 2)
			fake_break(&fake);
		fake_deaf(&fake, false);
		int64_t end_ms = clock_steady_ms() + RIG_PATIENCE_MS;
		while (tally.answered < MESSAGES && !check_failed_now && clock_steady_ms() < end_ms)
			check(post_answer(p, &tally, 100, EVENTS));
		check_equal(tally.answered, MESSAGES);
		check_equal(tally.other, 0);
	}
	gate_post_close(p);
	check_equal(fake_count(&fake).events, (4 * MESSAGES - 1) * 100 + EVENTS);
	check_equal(fake_count(&fake).connects, 3);
	check_equal(rig_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

static void
messages_wait_for_a_server_that_is_away(void)
{
	struct fake_server fake;
	struct gate_process gate;
	struct posting tally = { 0 };
	char said[1024];
	struct why why;
	uint8_t message[64];
	check(fake_start(&fake));
	fake_away(&fake, true);
	check(rig_start(&gate, fake.port, 0));
	check(rig_says(&gate, "trying again", said, sizeof said));
	struct gate_post *p = post_open(gate.ports[DOOR_EVENTS]);
	check(p);
	for (uint32_t i = 0; i < POST_IN_FLIGHT_MAX; i++)
		check_equal(gate_post_send(p, i, message, put_event(message, i + 1), &why), 1);
	check_equal(gate_post_send(p, 99, message, put_event(message, 99), &why), 0);
	check(post_answer(p, &tally, 50, 1));
	check_equal(tally.answered, 0);
	fake_away(&fake, false);
	int64_t end_ms = clock_steady_ms() + RIG_PATIENCE_MS;
	while (tally.answered < POST_IN_FLIGHT_MAX && !check_failed_now && clock_steady_ms() < end_ms)
		check(post_answer(p, &tally, 100, 1));
	gate_post_close(p);
	check_equal(tally.applied, POST_IN_FLIGHT_MAX);
	check_equal(fake_count(&fake).out_of_order, 0);
	check_equal(rig_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

static void
what_is_in_flight_is_bounded_and_the_rest_waits(void)
{
	static uint8_t body[4096];
	struct fake_server fake;
	struct gate_process gate;
	uint8_t event[64];
	uint32_t word;
	check(fake_start(&fake));
	check(rig_start(&gate, fake.port, 0));
	int fd = till_open(gate.ports[DOOR_EVENTS]);
	check(fd >= 0);
	fake_hold(&fake, true);
	for (uint32_t i = 1; i <= GATE_MESSAGES_MAX + 500; i++)
		check(till_send(fd, i | REQUEST_BIT, event, put_event(event, i)));
	check(fake_wait_events(&fake, GATE_MESSAGES_MAX));
	check_equal(fake_settled(&fake), GATE_MESSAGES_MAX);
	fake_hold(&fake, false);
	for (uint32_t i = 1; i <= GATE_MESSAGES_MAX + 500; i++)
		check(till_receive(fd, &word, body, sizeof body) > 0);
	check_equal(fake_count(&fake).events, GATE_MESSAGES_MAX + 500);
	close(fd);
	check_equal(rig_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

/* G6. The fake takes posts and keeps the replies: what the gate has sent is what it may send. */
static void
a_short_message_overtakes_long_ones_but_not_of_its_own_connection(void)
{
	enum { EACH = 2000, LONG = HEAVY_SENT_MAX / EACH + 1, MORE = 3 };
	static uint8_t message[EACH * 20], body[EACH * 10];
	struct fake_server fake;
	struct gate_process gate;
	uint32_t word, sent = 0;
	check(fake_start(&fake));
	check(rig_start(&gate, fake.port, 0));
	int bulk = till_open(gate.ports[DOOR_EVENTS]), till = till_open(gate.ports[DOOR_EVENTS]);
	check(bulk >= 0 && till >= 0);
	fake_hold(&fake, true);
	for (; sent < LONG + MORE; sent++)
		check(till_send(bulk, (sent + 1) | REQUEST_BIT, message, put_events(message, sent * EACH + 1, EACH)));
	check(fake_wait_events(&fake, LONG * EACH));
	check_equal(fake_settled(&fake), LONG * EACH);
	check(till_send(bulk, (sent + 1) | REQUEST_BIT, message, put_event(message, sent * EACH + 1)));
	check_equal(fake_settled(&fake), LONG * EACH);
	check(till_send(till, 1 | REQUEST_BIT, message, put_event(message, sent * EACH + 2)));
	check(fake_wait_events(&fake, LONG * EACH + 1));
	check_equal(fake_settled(&fake), LONG * EACH + 1);
	fake_hold(&fake, false);
	check(till_receive(till, &word, body, sizeof body) > 0);
	for (uint32_t i = 0; i < sent + 1; i++)
		check(till_receive(bulk, &word, body, sizeof body) > 0);
	check_equal(fake_count(&fake).events, sent * EACH + 2);
	check_equal(fake_count(&fake).out_of_order, 1); /* the till's was ahead */
	close(bulk);
	close(till);
	check_equal(rig_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

/* However soon the connection stands: seen before the message is sent, or only afterwards. A spool would keep both. */
static void
the_first_message_on_a_new_connection_is_sent_once(void)
{
	struct fake_server fake;
	struct gate_process gate;
	uint64_t resent = 0;
	check(fake_start(&fake));
	check(rig_start(&gate, fake.port, 0));
	for (uint32_t i = 1; i <= 200; i++) {
		struct gate_post *p = post_open(gate.ports[DOOR_EVENTS]);
		struct posting tally = { 0 };
		check(p);
		fake_hold(&fake, true); /* the answer is not there before the sender has looked again */
		uint8_t event[64];
		struct why why;
		check_equal(gate_post_send(p, i, event, put_event(event, i), &why), 1);
		for (int look = 0; look < 300; look++)
			check(post_answer(p, &tally, 0, 1));
		fake_hold(&fake, false);
		while (tally.answered == 0)
			check(post_answer(p, &tally, RIG_PATIENCE_MS, 1));
		resent += gate_post_resent(p);
		gate_post_close(p);
	}
	check_equal(resent, 0);
	check_equal(rig_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

static const struct check tests[] = {
	CHECK(the_first_message_on_a_new_connection_is_sent_once),
	CHECK(a_refusal_for_now_is_posted_again_and_another_one_is_the_answer),
	CHECK(a_server_killed_and_restarted_has_every_event_once),
	CHECK(a_server_that_takes_its_gate_with_it_has_every_event_once),
	CHECK(a_server_that_breaks_off_loses_nothing),
	CHECK(a_request_half_written_is_finished_or_sent_anew),
	CHECK(messages_wait_for_a_server_that_is_away),
	CHECK(what_is_in_flight_is_bounded_and_the_rest_waits),
	CHECK(a_short_message_overtakes_long_ones_but_not_of_its_own_connection),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof tests[0], argc, argv);
}
