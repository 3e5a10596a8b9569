/* test_gate_ask.c: questions over REP: the position of a source from the server, the gate's own counters; and what is no such question. */
#define _GNU_SOURCE
#include "tests/check.h"

#include <signal.h>
#include <unistd.h>

#include "tests/fake_server.h"
#include "tests/gate_rig.h"
#include "tests/wire_text.h"

#define POSITION "\x83\xa1v\x01\xa3" "ask\xa8position\xa6source\xa6pos-17"
#define STATUS   "\x82\xa1v\x01\xa3" "ask\xa6status"
#define BYTES(literal) literal, sizeof(literal) - 1

/* Asks, and shows the answer as text (static). */
static const char *
ask(int fd, const char *bytes, size_t n)
{
	static uint8_t body[4096];
	static uint32_t number;
	uint32_t word;
	int64_t got = till_send(fd, ++number | REQUEST_BIT, bytes, n) ? till_receive(fd, &word, body, sizeof body) : -1;
	if (got < 0 || word != (number | REQUEST_BIT))
		return "nothing";
	return wire_to_text(body, (size_t)got);
}

static bool
says(const char *text, const char *part)
{
	if (strstr(text, part))
		return true;
	printf("     '%s' does not say '%s'\n", text, part);
	return false;
}

static void
a_position_is_answered_by_the_server(void)
{
	struct fake_server fake;
	struct gate_process gate;
	uint8_t event[64];
	check(fake_start(&fake));
	check(rig_start(&gate, fake.port, 0));
	int fd = till_open(gate.ports[DOOR_EVENTS]);
	check(fd >= 0);
	check(till_expect(fd, event, put_event(event, 1), "applied"));
	const char *text = ask(fd, BYTES(POSITION));
	check(says(text, "position") && says(text, "contiguous") && says(text, "highest"));
	check_equal(fake_count(&fake).positions, 1);
	check(till_expect(fd, event, put_event(event, 2), "applied"));
	check(rig_counts(&gate, "messages=3 ") && rig_counts(&gate, "answered=2 ") && rig_counts(&gate, "asks=1 asks_refused=0 "));
	close(fd);
	check_equal(rig_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

static void
a_position_waits_for_a_server_that_is_away_and_is_asked_again_after_a_refusal_for_now(void)
{
	struct fake_server fake;
	struct gate_process gate;
	uint8_t body[256];
	uint32_t word;
	check(fake_start(&fake));
	fake_away(&fake, true);
	check(rig_start(&gate, fake.port, 0));
	int fd = till_open(gate.ports[DOOR_EVENTS]);
	check(fd >= 0);
	check(till_send(fd, 1 | REQUEST_BIT, BYTES(POSITION)));
	check(rig_counts(&gate, "in_flight=1 "));
	fake_refuse(&fake, "overloaded", 2);
	fake_away(&fake, false);
	check(till_receive(fd, &word, body, sizeof body) > 0);
	check_equal(fake_count(&fake).positions, 3);
	fake_refuse(&fake, "forbidden", 1);
	const char *text = ask(fd, BYTES(POSITION));
	check(says(text, "rejected") && says(text, "forbidden") && !strstr(text, "outcomes"));
	close(fd);
	check_equal(rig_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

static void
the_status_is_the_gates_own_counters_while_the_server_is_away_too(void)
{
	struct gate_process gate;
	check(rig_start(&gate, 1, 0));
	int fd = till_open(gate.ports[DOOR_EVENTS]);
	check(fd >= 0);
	const char *text = ask(fd, BYTES(STATUS));
	check(says(text, "gate") && says(text, "messages") && says(text, "server_up") && says(text, "feed_seq"));
	close(fd);
	check_equal(rig_end(&gate, SIGTERM), 0);
}

static void
what_is_no_question_is_refused_or_an_event(void)
{
	static const struct row {
		const char *bytes;
		size_t n;
		const char *says;
	} rows[] = {
		{ BYTES("\x81\xa3" "ask\xa4what"), "an ask is" },
		{ BYTES("\x81\xa3" "ask\x01"), "an ask is" },
		{ BYTES("\x81\xa3" "ask\xa0"), "an ask is" },
		{ BYTES("\x81\xa3" "ask\xa8position"), "for a source" },
		{ BYTES("\x82\xa3" "ask\xa8position\xa6source\xa0"), "for a source" },
		{ BYTES("\x82\xa3" "ask\xa8position\xa6source\x05"), "for a source" },
		{ BYTES("\x82\xa3" "ask\xa8position\xa6source\xa2\xff\xff"), "for a source" },
		{ BYTES("\x82\xa3" "ask\xa8position\xa6source\xd9\x21" "123456789012345678901234567890123"), "for a source" },
		{ BYTES("\x91\x81\xa3" "ask\xa6status"), "outcomes" }, /* in an array there are only events */
		{ BYTES("\x80"), "outcomes" },
	};
	struct fake_server fake;
	struct gate_process gate;
	check(fake_start(&fake));
	check(rig_start(&gate, fake.port, 0));
	int fd = till_open(gate.ports[DOOR_EVENTS]);
	check(fd >= 0);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		bool fine = says(ask(fd, rows[i].bytes, rows[i].n), rows[i].says);
		if (!fine)
			printf("     in row %zu\n", i);
		check(fine);
	}
	check_equal(fake_count(&fake).positions, 0);
	check(rig_counts(&gate, "asks=8 asks_refused=8 "));
	close(fd);
	check_equal(rig_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

static const struct check tests[] = {
	CHECK(a_position_is_answered_by_the_server),
	CHECK(a_position_waits_for_a_server_that_is_away_and_is_asked_again_after_a_refusal_for_now),
	CHECK(the_status_is_the_gates_own_counters_while_the_server_is_away_too),
	CHECK(what_is_no_question_is_refused_or_an_event),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof tests[0], argc, argv);
}
