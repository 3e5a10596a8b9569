/*
 * test_gate_push.c: fire and forget: what is pushed is posted, nothing is answered, what cannot be posted is counted, and a full gate
 * takes nothing by either door. The proof that `position` finds what was lost is test_push.c.
 */
#define _GNU_SOURCE
#include "tests/check.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "net/gate_queue.h"
#include "net/scanner.h"
#include "tests/fake_server.h"
#include "tests/gate_rig.h"

#define KIND_PUSH 80
#define KIND_PULL 81

static int
push_open(const struct gate_process *gate)
{
	return till_open_as(gate->ports[DOOR_PUSH], KIND_PUSH, KIND_PULL, 0);
}

static void
what_is_pushed_is_posted_in_order_and_not_answered(void)
{
	static uint8_t message[1 << 16];
	struct fake_server fake;
	struct gate_process gate;
	check(fake_start(&fake));
	check(rig_start(&gate, fake.port, 0));
	int fd = push_open(&gate);
	check(fd >= 0);
	for (uint32_t i = 0; i < 3000; i++)
		check(till_push(fd, message, put_event(message, i)));
	check(till_push(fd, message, put_events(message, 3000, 1000)));
	check(fake_wait_events(&fake, 4000));
	check_equal(fake_count(&fake).out_of_order, 0);
	check(rig_counts(&gate, "pushed=3001 push_posted=3001 push_refused=0 push_rejected=0 "));
	struct pollfd p = { .fd = fd, .events = POLLIN };
	check_equal(poll(&p, 1, 50), 0);
	close(fd);
	check_equal(rig_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

static void
what_cannot_be_posted_is_dropped_and_counted(void)
{
	static const struct row {
		const char *bytes;
		size_t n;
	} rows[] = { { "", 0 }, { "\xc1", 1 }, { "\xa3" "abc", 4 }, { "\x82\xa1n", 3 }, { "\x80\x80", 2 }, { "\xdd\xff\xff\xff\xff", 5 } };
	static uint8_t large[MESSAGE_BYTES_MAX + 1];
	struct fake_server fake;
	struct gate_process gate;
	uint8_t event[64];
	check(fake_start(&fake));
	check(rig_start(&gate, fake.port, 0));
	int fd = push_open(&gate);
	check(fd >= 0);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		check(till_push(fd, rows[i].bytes, rows[i].n));
	check(till_push(fd, large, sizeof large));
	fake_refuse(&fake, "forbidden", 2);
	for (uint32_t i = 1; i <= 3; i++)
		check(till_push(fd, event, put_event(event, i)));
	check(fake_wait_events(&fake, 1));
	check(rig_counts(&gate, "pushed=10 push_posted=1 push_refused=7 push_rejected=2 "));
	check_equal(fake_count(&fake).connects, 1);
	close(fd);
	check_equal(rig_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

static void
a_refusal_for_now_is_posted_again(void)
{
	struct fake_server fake;
	struct gate_process gate;
	uint8_t event[64];
	check(fake_start(&fake));
	check(rig_start(&gate, fake.port, 0));
	int fd = push_open(&gate);
	check(fd >= 0);
	fake_refuse(&fake, "overloaded", 50);
	for (uint32_t i = 1; i <= 100; i++)
		check(till_push(fd, event, put_event(event, i)));
	check(fake_wait_events(&fake, 100));
	check(rig_counts(&gate, "push_posted=100 push_refused=0 push_rejected=0 "));
	close(fd);
	check_equal(rig_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

/* One queue: what is pushed fills it for requests too, and nothing is lost by waiting. */
static void
a_full_gate_takes_nothing_by_either_door(void)
{
	struct fake_server fake;
	struct gate_process gate;
	uint8_t event[64], body[256];
	uint32_t word;
	check(fake_start(&fake));
	check(rig_start(&gate, fake.port, 0));
	int push = push_open(&gate), ask = till_open(gate.ports[DOOR_EVENTS]);
	check(push >= 0 && ask >= 0);
	fake_hold(&fake, true);
	for (uint32_t i = 1; i <= GATE_MESSAGES_MAX + 500; i++)
		check(till_push(push, event, put_event(event, i)));
	check(fake_wait_events(&fake, GATE_MESSAGES_MAX));
	check(till_send(ask, 1 | REQUEST_BIT, event, put_event(event, 400000)));
	check_equal(fake_settled(&fake), GATE_MESSAGES_MAX);
	fake_hold(&fake, false);
	check(till_receive(ask, &word, body, sizeof body) > 0);
	check(fake_wait_events(&fake, GATE_MESSAGES_MAX + 501));
	close(push);
	close(ask);
	check_equal(rig_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

static void
an_event_that_comes_by_both_doors_is_answered_at_the_one_that_asks(void)
{
	struct fake_server fake;
	struct gate_process gate;
	uint8_t event[64];
	check(fake_start(&fake));
	check(rig_start(&gate, fake.port, 0));
	int push = push_open(&gate), ask = till_open(gate.ports[DOOR_EVENTS]);
	check(push >= 0 && ask >= 0);
	size_t n = put_event(event, 7);
	check(till_push(push, event, n) && fake_wait_events(&fake, 1));
	check(till_expect(ask, event, n, "duplicate"));
	close(push);
	close(ask);
	check_equal(rig_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

static void
doors_that_are_off_are_not_there(void)
{
	struct gate_process gate;
	check(rig_start_with(&gate, (const char *[]){ "--server", "127.0.0.1:1", "--events", "127.0.0.1:0", "--push", "off", "--feed", "off", NULL }));
	check_equal(gate.ports[DOOR_PUSH], 0);
	check_equal(gate.ports[DOOR_FEED], 0);
	uint16_t port = gate.ports[DOOR_EVENTS];
	check_equal(rig_end(&gate, SIGTERM), 0);
	/* Another port than the default one, and nothing said of the others: they are off. */
	check(rig_start(&gate, 1, port));
	check_equal(gate.ports[DOOR_PUSH], 0);
	check_equal(gate.ports[DOOR_FEED], 0);
	check_equal(rig_end(&gate, SIGTERM), 0);
}

static const struct check tests[] = {
	CHECK(what_is_pushed_is_posted_in_order_and_not_answered),
	CHECK(what_cannot_be_posted_is_dropped_and_counted),
	CHECK(a_refusal_for_now_is_posted_again),
	CHECK(a_full_gate_takes_nothing_by_either_door),
	CHECK(an_event_that_comes_by_both_doors_is_answered_at_the_one_that_asks),
	CHECK(doors_that_are_off_are_not_there),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof tests[0], argc, argv);
}
