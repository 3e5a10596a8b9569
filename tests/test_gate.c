/*
 * test_gate.c: what passes a gate and what does not, and what comes again. The server is a fake in a thread (tests/fake_server.h).
 */
#define _GNU_SOURCE
#include "tests/check.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "net/clock.h"
#include "net/scanner.h"
#include "tests/fake_server.h"
#include "tests/gate_rig.h"

/* ---- what passes ---- */

static void
many_in_flight_are_answered_and_reach_the_server_in_order(void)
{
	struct fake_server fake;
	struct gate_process gate;
	struct posting tally = { 0 };
	check(fake_start(&fake));
	check(rig_start(&gate, fake.port, 0));
	struct gate_post *p = post_open(gate.ports[DOOR_EVENTS]);
	check(p);
	check(post_all(p, 1, 5000, &tally, NULL, NULL));
	gate_post_close(p);
	check_equal(tally.applied, 5000);
	check_equal(tally.late, 0);
	check_equal(fake_count(&fake).events, 5000);
	check_equal(fake_count(&fake).out_of_order, 0);
	check_equal(rig_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

static void
a_map_and_an_array_of_maps_pass_as_they_are(void)
{
	static uint8_t message[1 << 18];
	struct fake_server fake;
	struct gate_process gate;
	struct posting tally = { 0 };
	struct why why;
	check(fake_start(&fake));
	check(rig_start(&gate, fake.port, 0));
	struct gate_post *p = post_open(gate.ports[DOOR_EVENTS]);
	check(p);
	check_equal(gate_post_send(p, 1, message, put_event(message, 1), &why), 1);
	check(post_answer(p, &tally, RIG_PATIENCE_MS, 1));
	check_equal(gate_post_send(p, 2, message, put_events(message, 2, 100), &why), 1);
	check(post_answer(p, &tally, RIG_PATIENCE_MS, 100));
	check_equal(gate_post_send(p, 3, message, put_events(message, 102, 10000), &why), 1);
	check(post_answer(p, &tally, RIG_PATIENCE_MS, 10000));
	check_equal(gate_post_send(p, 4, message, put_events(message, 1, 0), &why), 1);
	check(post_answer(p, &tally, RIG_PATIENCE_MS, 0));
	gate_post_close(p);
	check_equal(tally.applied, 3);
	check_equal(fake_count(&fake).events, 10101);
	check_equal(rig_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

static void
two_clients_at_once_get_their_own_answers(void)
{
	struct fake_server fake;
	struct gate_process gate;
	struct posting a = { 0 }, b = { 0 };
	struct why why;
	uint8_t message[64];
	check(fake_start(&fake));
	check(rig_start(&gate, fake.port, 0));
	struct gate_post *one = post_open(gate.ports[DOOR_EVENTS]), *two = post_open(gate.ports[DOOR_EVENTS]);
	check(one && two);
	for (uint32_t i = 0; i < 2000; i++) {
		check_equal(gate_post_send(one, i, message, put_event(message, 1 + i), &why), 1);
		check_equal(gate_post_send(two, i, message, put_event(message, 100001 + i), &why), 1);
		while (gate_post_in_flight(one) >= 32 || gate_post_in_flight(two) >= 32) {
			check(post_answer(one, &a, 10, 1));
			check(post_answer(two, &b, 10, 1));
		}
	}
	int64_t end_ms = clock_steady_ms() + RIG_PATIENCE_MS;
	while (a.answered + b.answered < 4000 && clock_steady_ms() < end_ms) {
		check(post_answer(one, &a, 10, 1));
		check(post_answer(two, &b, 10, 1));
	}
	gate_post_close(one);
	gate_post_close(two);
	check_equal(a.applied, 2000);
	check_equal(b.applied, 2000);
	check_equal(rig_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

/* ---- what does not ---- */

static void
undecodable_bytes_are_answered_and_the_gate_lives(void)
{
	static const struct row {
		const char *name;
		const char *bytes;
		size_t n;
	} rows[] = {
		{ "nothing", "", 0 },
		{ "reserved byte", "\xc1", 1 },
		{ "a text", "\xa3" "abc", 4 },
		{ "a number", "\x07", 1 },
		{ "nil", "\xc0", 1 },
		{ "cut inside a map", "\x82\xa1n", 3 },
		{ "cut inside a head", "\xde\x00", 2 },
		{ "bytes behind", "\x80\x80", 2 },
		{ "reserved byte inside", "\x81\xa1n\xc1", 4 },
		{ "an array of 4 G", "\xdd\xff\xff\xff\xff", 5 },
		{ "a map of 4 G", "\xdf\xff\xff\xff\xff", 5 },
		{ "a text of 4 G", "\x81\xa1n\xdb\xff\xff\xff\xff", 8 },
		{ "too deep", "\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\xc0", 16 },
	};
	struct fake_server fake;
	struct gate_process gate;
	uint8_t event[64];
	check(fake_start(&fake));
	check(rig_start(&gate, fake.port, 0));
	int fd = till_open(gate.ports[DOOR_EVENTS]);
	check(fd >= 0);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		bool fine = till_expect(fd, rows[i].bytes, rows[i].n, rows[i].bytes[0] == '\xdd' ? "too_large" : "bad_request");
		if (!fine)
			printf("     in row '%s'\n", rows[i].name);
		check(fine);
	}
	/* Fourteen levels in the message are sixteen with the request around it: the deepest that passes. */
	check(till_expect(fd, "\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\xc0", 15, "bad_event"));
	check(till_expect(fd, event, put_event(event, 1), "applied"));
	check_equal(fake_count(&fake).connects, 1);
	close(fd);
	check_equal(rig_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

static void
what_is_too_large_is_answered_so(void)
{
	static uint8_t message[(2 << 20) + 1];
	struct fake_server fake;
	struct gate_process gate;
	uint8_t event[64];
	uint32_t word;
	check(fake_start(&fake));
	check(rig_start(&gate, fake.port, 0));
	int fd = till_open(gate.ports[DOOR_EVENTS]);
	check(fd >= 0);
	/* {n: 1, x: a binary that fills the message to exactly 1 MiB} */
	static const uint8_t head[] = { 0x82, 0xa1, 'n', 1, 0xa1, 'x', 0xc6 };
	memcpy(message, head, sizeof head);
	size_t fill = MESSAGE_BYTES_MAX - sizeof head - 4;
	for (int i = 0; i < 4; i++)
		message[sizeof head + i] = (uint8_t)(fill >> (24 - 8 * i));
	check(till_expect(fd, message, MESSAGE_BYTES_MAX, "applied"));
	check(till_expect(fd, message, MESSAGE_BYTES_MAX + 1, "too_large"));
	check(till_expect(fd, message, SOCKET_MESSAGE_BYTES_MAX - 4, "too_large")); /* nanomsg counts the header's word */
	check(till_expect(fd, message, put_events(message, 1, 10001), "too_large"));
	/* Longer than the socket takes: nanomsg closes this connection, and only this one. */
	till_send(fd, 77 | REQUEST_BIT, message, SOCKET_MESSAGE_BYTES_MAX + 1);
	check_equal(till_receive(fd, &word, event, sizeof event), -1);
	close(fd);
	fd = till_open(gate.ports[DOOR_EVENTS]);
	check(fd >= 0);
	check(till_expect(fd, event, put_event(event, 2), "applied"));
	close(fd);
	check_equal(rig_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

static void
wrong_nanomsg_bytes_harm_only_their_connection(void)
{
	static const struct row {
		const char *bytes;
		size_t n;
	} rows[] = {
		{ "GET / HTTP/1.1\r\n\r\n", 18 },
		{ "\0SP\0\0\x50\0\0", 8 }, /* a PUSH peer */
		{ "\0SP\0\0\x30\0\0\xff\xff\xff\xff\xff\xff\xff\xff", 16 }, /* a message of 16 EiB */
		{ "\0SP\0\0\x30\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", 16 },
		{ "\0SP\0\0\x30\0\0\0\0\0\0\0\0\0\0", 16 }, /* an empty one, without even a header */
		{ "\0SP\0\0\x30\0\0\0\0\0\0\0\0\0\3abc", 19 },
		{ "\0SP\0\0\x30\0\0\0\0\0\0\0\0\0\10\0\0\0\1\0\0\0\2", 24 }, /* a header without its end */
	};
	struct fake_server fake;
	struct gate_process gate;
	uint8_t event[64];
	check(fake_start(&fake));
	check(rig_start(&gate, fake.port, 0));
	int good = till_open(gate.ports[DOOR_EVENTS]);
	check(good >= 0);
	for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int fd = till_connect(gate.ports[DOOR_EVENTS]);
		check(fd >= 0);
		check(till_write(fd, rows[i].bytes, rows[i].n));
		check(till_expect(good, event, put_event(event, 1 + i), "applied"));
		close(fd);
	}
	close(good);
	check_equal(rig_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

/* ---- what comes again ---- */

static void
a_request_that_comes_again_is_posted_once_and_answered_again(void)
{
	struct fake_server fake;
	struct gate_process gate;
	uint8_t event[64], body[256];
	char first[65];
	uint32_t word;
	int64_t seq;
	check(fake_start(&fake));
	check(rig_start(&gate, fake.port, 0));
	int fd = till_open(gate.ports[DOOR_EVENTS]), other = till_open(gate.ports[DOOR_EVENTS]);
	check(fd >= 0 && other >= 0);
	size_t n = put_event(event, 5);
	fake_hold(&fake, true);
	check(till_send(fd, 9 | REQUEST_BIT, event, n) && fake_wait_events(&fake, 1));
	/* While it is unanswered, also from a new connection: the answer goes where it was asked last. */
	check(till_send(other, 9 | REQUEST_BIT, event, n));
	check(till_expect(other, "\xc0", 1, "bad_request"));
	fake_hold(&fake, false);
	int64_t got = till_receive(other, &word, body, sizeof body);
	check(got > 0 && answer_read(body, (size_t)got, &seq, first) == 1 && strcmp(first, "applied") == 0);
	/* After it was answered, on the same connection: the same answer. */
	check(till_send(other, 9 | REQUEST_BIT, event, n));
	got = till_receive(other, &word, body, sizeof body);
	check(got > 0 && answer_read(body, (size_t)got, &seq, first) == 1 && strcmp(first, "applied") == 0);
	check_equal(fake_count(&fake).posts, 1);
	/* Another number, another connection, or other bytes under the same number: posted. */
	check(till_expect(other, event, n, "duplicate"));
	check(till_send(fd, 9 | REQUEST_BIT, event, n));
	got = till_receive(fd, &word, body, sizeof body);
	check(got > 0 && answer_read(body, (size_t)got, &seq, first) == 1 && strcmp(first, "duplicate") == 0);
	n = put_event(event, 6);
	check(till_send(other, 9 | REQUEST_BIT, event, n));
	got = till_receive(other, &word, body, sizeof body);
	check(got > 0 && answer_read(body, (size_t)got, &seq, first) == 1 && strcmp(first, "applied") == 0);
	check_equal(fake_count(&fake).posts, 4);
	close(fd);
	close(other);
	check_equal(rig_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

/* The peer reads nothing until all is answered: nanomsg drops what does not fit. Then it asks for what it misses. */
static void
answers_that_nanomsg_dropped_are_given_again(void)
{
	enum { MESSAGES = 4000, EVENTS = 100 };
	static uint8_t message[1 << 14], body[1 << 14];
	static bool have[MESSAGES];
	struct fake_server fake;
	struct gate_process gate;
	int dropped = 0;
	char first[65];
	uint32_t word;
	int64_t seq;
	check(fake_start(&fake));
	check(rig_start(&gate, fake.port, 0));
	int fd = till_open(gate.ports[DOOR_EVENTS]);
	check(fd >= 0);
	for (uint32_t i = 0; i < MESSAGES; i++)
		check(till_send(fd, i | REQUEST_BIT, message, put_events(message, i * EVENTS, EVENTS)));
	check(fake_wait_events(&fake, MESSAGES * EVENTS));
	struct pollfd p = { .fd = fd, .events = POLLIN };
	memset(have, 0, sizeof have);
	while (poll(&p, 1, 300) > 0) {
		check(till_receive(fd, &word, body, sizeof body) > 0);
		have[word & ~REQUEST_BIT] = true;
	}
	for (uint32_t i = 0; i < MESSAGES; i++) {
		if (have[i])
			continue;
		dropped++;
		check(till_send(fd, i | REQUEST_BIT, message, put_events(message, i * EVENTS, EVENTS)));
		int64_t got = till_receive(fd, &word, body, sizeof body);
		check(got > 0 && word == (i | REQUEST_BIT));
		check_equal(answer_read(body, (size_t)got, &seq, first), EVENTS);
		check(strcmp(first, "applied") == 0);
	}
	check(dropped > 0);
	check_equal(fake_count(&fake).posts, MESSAGES);
	close(fd);
	check_equal(rig_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

static const struct check tests[] = {
	CHECK(many_in_flight_are_answered_and_reach_the_server_in_order),
	CHECK(a_map_and_an_array_of_maps_pass_as_they_are),
	CHECK(two_clients_at_once_get_their_own_answers),
	CHECK(undecodable_bytes_are_answered_and_the_gate_lives),
	CHECK(what_is_too_large_is_answered_so),
	CHECK(wrong_nanomsg_bytes_harm_only_their_connection),
	CHECK(a_request_that_comes_again_is_posted_once_and_answered_again),
	CHECK(answers_that_nanomsg_dropped_are_given_again),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof tests[0], argc, argv);
}
