/*
 * test_gate_guardian.c: a gate that dies is back on the same ports, started by hand or by holdfastd; nothing that was acknowledged is
 * lost. It is killed with SIGKILL. Bytes that nanomsg aborts on, which anybody can send to the feed, end the feed and nothing else.
 */
#define _GNU_SOURCE
#include "tests/check.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/clock.h"
#include "net/gate_guardian.h"
#include "net/supervisor.h"
#include "tests/fake_server.h"
#include "tests/gate_rig.h"
#include "tests/spawn.h"

#include <holdfast/holdfast.h>

#define KIND_PUB 32
#define KIND_SUB 33
#define KILLS 6

_Static_assert(GUARDIAN_END_MS < GATE_END_MS_MAX, "a guardian ends its worker before it is killed itself");

static bool
guarded_start(struct gate_process *gate, uint16_t server_port, const char *more)
{
	char server[32];
	snprintf(server, sizeof server, "127.0.0.1:%u", server_port);
	return rig_start_guarded(gate, (const char *[]){ "--server", server, "--events", "127.0.0.1:0", more, NULL });
}

/* Waits until the feed has been started again more than `before` times, as the gate tells it. How many times; -1: it was not. */
static int64_t
feed_another(uint16_t events_port, int64_t before)
{
	int64_t end_ms = clock_steady_ms() + RIG_PATIENCE_MS, n;
	while ((n = rig_told(events_port, "feed_restarts")) <= before)
		if (clock_steady_ms() >= end_ms)
			return -1;
	return n;
}

/* A subscriber that talks: nanomsg's PUB side asserts that none does. Waits for a feed that is not there yet. */
static bool
say_the_wrong_thing(uint16_t feed_port)
{
	int64_t end_ms = clock_steady_ms() + RIG_PATIENCE_MS;
	bool said = false;
	while (!said && clock_steady_ms() < end_ms) {
		int fd = till_open_as(feed_port, KIND_SUB, KIND_PUB, 0);
		said = fd >= 0 && till_push(fd, "\x01", 1);
		if (fd >= 0)
			close(fd);
		else
			poll(NULL, 0, 2);
	}
	return said;
}

static void
a_worker_that_is_killed_is_back_on_its_ports_and_keeps_what_it_acknowledged(void)
{
	struct fake_server fake;
	struct gate_process gate;
	uint8_t event[64];
	check(fake_start(&fake));
	check(guarded_start(&gate, fake.port, NULL));
	int64_t pid = rig_another(gate.ports[DOOR_EVENTS], 0);
	check(pid > 0 && pid != gate.pid);
	for (uint32_t i = 1; i <= KILLS; i++) {
		int fd = till_open(gate.ports[DOOR_EVENTS]);
		check(fd >= 0);
		check(till_expect(fd, event, put_event(event, i), "applied"));
		check(kill((pid_t)pid, SIGKILL) == 0);
		close(fd);
		pid = rig_another(gate.ports[DOOR_EVENTS], pid);
		check(pid > 0);
		/* Once more when somebody's outgoing connection had its port for a moment: a worker that finds it taken ends. */
		check(rig_told(gate.ports[DOOR_EVENTS], "restarts") >= i);
		int push = till_open_as(gate.ports[DOOR_PUSH], 80, 81, 0);
		check(push >= 0);
		close(push);
	}
	check_equal(fake_count(&fake).events, KILLS);
	check_equal(rig_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

/* The till's connection stands all the time: it is the same gate that answers it, with nothing sent again. */
static void
a_subscriber_that_talks_ends_the_feed_alone(void)
{
	struct fake_server fake;
	struct gate_process gate;
	struct posting tally = { 0 };
	char said[4096];
	check(fake_start(&fake));
	check(guarded_start(&gate, fake.port, NULL));
	struct gate_post *p = post_open(gate.ports[DOOR_EVENTS]);
	check(p);
	int64_t pid = rig_another(gate.ports[DOOR_EVENTS], 0), restarts = 0;
	for (uint32_t round = 0; round < 4; round++) {
		check(say_the_wrong_thing(gate.ports[DOOR_FEED]));
		memset(&tally, 0, sizeof tally);
		check(post_all(p, 1 + round * 500, 500, &tally, NULL, NULL));
		check_equal(tally.applied, 500);
		restarts = feed_another(gate.ports[DOOR_EVENTS], restarts);
		check(restarts > 0);
	}
	gate_post_close(p);
	check_equal(rig_told(gate.ports[DOOR_EVENTS], "pid"), pid);
	check_equal(rig_told(gate.ports[DOOR_EVENTS], "restarts"), 0);
	check_equal(rig_told(gate.ports[DOOR_EVENTS], "resent"), 0);
	check_equal(fake_count(&fake).events, 2000);
	check(rig_says(&gate, "the feed was ended by signal 6; it is started again", said, sizeof said));
	check_equal(rig_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

/* The options that leave one process: each has its doors and nothing else. */
static void
a_gate_without_a_feed_and_a_feed_without_a_gate(void)
{
	struct fake_server fake;
	struct gate_process gate;
	char said[1024], server[32];
	check(fake_start(&fake));
	check(guarded_start(&gate, fake.port, "--feed=off"));
	check(gate.ports[DOOR_EVENTS] && gate.ports[DOOR_PUSH] && !gate.ports[DOOR_FEED]);
	check_equal(rig_end(&gate, SIGTERM), 0);
	uint64_t connects = fake_count(&fake).connects;
	snprintf(server, sizeof server, "127.0.0.1:%u", fake.port);
	check(!rig_start_guarded(&gate, (const char *[]){ "--server", server, "--events", "off", "--feed", "127.0.0.1:0", NULL }));
	check(gate.ports[DOOR_FEED] && !gate.ports[DOOR_PUSH]);
	int fd = till_open_as(gate.ports[DOOR_FEED], KIND_SUB, KIND_PUB, 0);
	check(fd >= 0);
	check(fake_wait_watch(&fake));
	check_equal(fake_count(&fake).connects, connects + 1); /* it does not post */
	close(fd);
	check_equal(rig_end(&gate, SIGTERM), 0);
	check(!rig_start_guarded(&gate, (const char *[]){ "--events", "off", "--feed", "off", NULL }));
	check(rig_says(&gate, "leaves only the feed", said, sizeof said));
	check_equal(rig_wait(&gate), 2);
	fake_stop(&fake);
}

static void
the_guardian_takes_its_worker_along(void)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGKILL };
	struct gate_process gate;
	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
		check(guarded_start(&gate, 1, NULL));
		int64_t pid = rig_another(gate.ports[DOOR_EVENTS], 0), end_ms = clock_steady_ms() + RIG_PATIENCE_MS;
		check_equal(rig_end(&gate, signals[i]), signals[i] == SIGKILL ? -1 : 0);
		while (rig_told(gate.ports[DOOR_EVENTS], "pid") == pid && clock_steady_ms() < end_ms)
			poll(NULL, 0, 2);
		check_equal(rig_told(gate.ports[DOOR_EVENTS], "pid"), -1);
	}
}

/* Each process of a gate holds the other end of this pipe. */
static bool
all_have_ended(struct gate_process *gate)
{
	int64_t end_ms = clock_steady_ms() + RIG_PATIENCE_MS;
	struct pollfd errors = { .fd = gate->errors, .events = POLLIN };
	char said[256];
	while (clock_steady_ms() < end_ms)
		if (poll(&errors, 1, 50) > 0 && read(gate->errors, said, sizeof said) == 0)
			return true;
	return false;
}

/* One that is stopped keeps every signal but SIGKILL for later, and its ports. */
static void
a_worker_that_is_stopped_does_not_outlive_its_guardian(void)
{
	struct gate_process gate;
	check(guarded_start(&gate, 1, NULL));
	int64_t pid = rig_another(gate.ports[DOOR_EVENTS], 0);
	check(pid > 0 && kill((pid_t)pid, SIGSTOP) == 0);
	check(kill(gate.pid, SIGKILL) == 0);
	bool ended = all_have_ended(&gate);
	if (!ended)
		kill((pid_t)pid, SIGKILL);
	check(ended);
	check_equal(rig_wait(&gate), -1);
}

/* ---- a guardian without a gate ---- */

static int
life_of_a_worker_that_stops(void *context, int worker, int said)
{
	bool fine = write(said, "x=1\n", 4) == 4 && close(said) == 0;
	while (fine)
		raise(SIGSTOP);
	_exit(1);
}

/* What a service manager does, once all are up. */
static int
ask_oneself_to_end(void *context, const char *lines)
{
	return kill(getpid(), SIGTERM);
}

static void
hear(const char *line)
{
}

static void
who_does_not_end_when_asked_is_killed(void)
{
	int64_t end_ms = clock_steady_ms() + RIG_PATIENCE_MS;
	int status = 0;
	pid_t ended, pid = fork();
	if (pid == 0) {
		struct guardian guardian = { .workers_n = 2, .names = { "one", "other" }, .work = life_of_a_worker_that_stops,
			.ready = ask_oneself_to_end, .say = hear, .end_ms = 20 };
		_exit(gate_guardian_run(&guardian));
	}
	while ((ended = waitpid(pid, &status, WNOHANG)) == 0 && clock_steady_ms() < end_ms)
		poll(NULL, 0, 2);
	if (ended == 0) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	check(ended == pid);
	check(WIFEXITED(status));
	check_equal(WEXITSTATUS(status), 128 + SIGKILL);
}

static void
sigterm_through_the_guardian_answers_what_is_in_flight(void)
{
	struct fake_server fake;
	struct gate_process gate;
	uint8_t event[64], body[256];
	uint32_t word;
	check(fake_start(&fake));
	check(guarded_start(&gate, fake.port, NULL));
	int fd = till_open(gate.ports[DOOR_EVENTS]);
	check(fd >= 0);
	fake_hold(&fake, true);
	check(till_send(fd, 1 | REQUEST_BIT, event, put_event(event, 1)) && fake_wait_events(&fake, 1));
	kill(gate.pid, SIGTERM);
	check(rig_counts(&gate, "in_flight=1 "));
	fake_hold(&fake, false);
	check(till_receive(fd, &word, body, sizeof body) > 0);
	check_equal(rig_wait(&gate), 0);
	close(fd);
	fake_stop(&fake);
}

static void
a_first_start_that_fails_is_the_end_and_a_port_file_is_written_once(void)
{
	char folder[256], option[512];
	struct gate_process gate;
	char said[1024];
	check(!guarded_start(&gate, 1, "--push=127.0.0.1:1x"));
	check(rig_says(&gate, "--push: '127.0.0.1:1x' is no address to use here: the port is a number", said, sizeof said));
	check_equal(rig_wait(&gate), 1);
	check(!guarded_start(&gate, 1, "--port-file=/nowhere/there"));
	check(rig_says(&gate, "/nowhere/there", said, sizeof said));
	check_equal(rig_wait(&gate), 1);
	snprintf(folder, sizeof folder, "%s/holdfast-gate.XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	check(mkdtemp(folder));
	snprintf(option, sizeof option, "--port-file=%s/port", folder);
	const char *path = option + strlen("--port-file=");
	check(guarded_start(&gate, 1, option));
	check(unlink(path) == 0);
	int64_t pid = rig_another(gate.ports[DOOR_EVENTS], 0);
	check(kill((pid_t)pid, SIGKILL) == 0);
	check(rig_another(gate.ports[DOOR_EVENTS], pid) > 0);
	check(access(path, F_OK) < 0);
	check_equal(rig_end(&gate, SIGTERM), 0);
	check(rmdir(folder) == 0);
}

/* A figure of the server's host, once it is what is wanted; else what it is after the patience. */
static int64_t
starts_told(uint16_t rpc, const char *name, int64_t wanted)
{
	int64_t end_ms = clock_steady_ms() + RIG_PATIENCE_MS, n = -1;
	const struct hf_value *value;
	struct hf_failure failure;
	struct hf *hf = hf_connect("127.0.0.1", rpc, RIG_PATIENCE_MS, &failure);
	while (hf && n != wanted && clock_steady_ms() < end_ms && (hf_begin(hf, "status"), hf_array(hf, 0), hf_call(hf, &value)) == HF_OK)
		n = hf_int(hf_get(hf_get(value, "host"), name), -1);
	if (hf)
		hf_close(hf);
	return n;
}

/* holdfastd's own gate: it is told of both processes, and starts the guardian again. */
static void
the_gate_of_a_server_is_back_whichever_of_its_processes_dies(void)
{
	struct server server;
	struct why why = { "" };
	uint8_t event[128];
	check(server_init(&server, &why) == 0);
	if (server_start(&server, (const char *[]){ "--cells-max", "1000", NULL }, &why) < 0)
		printf("     %s\n", why.text);
	check(server.events && server.push && server.feed);
	int64_t pid = rig_another(server.events, 0), restarts = 0;
	for (uint32_t i = 1; i <= KILLS; i++) {
		int fd = till_open(server.events);
		check(fd >= 0);
		check(till_expect(fd, event, put_receipt(event, "pos", i), "applied"));
		close(fd);
		if (i % 2) {
			check(say_the_wrong_thing(server.feed));
			restarts = feed_another(server.events, restarts);
			check(restarts > 0);
		} else {
			check(kill((pid_t)pid, SIGKILL) == 0);
			pid = rig_another(server.events, pid);
			check(pid > 0);
		}
	}
	int fd = till_open(server.events);
	check(till_expect(fd, event, put_receipt(event, "pos", KILLS), "duplicate"));
	close(fd);
	check_equal(starts_told(server.rpc, "gate_starts", 1 + KILLS / 2), 1 + KILLS / 2);
	check_equal(starts_told(server.rpc, "gate_feed_starts", 1 + KILLS / 2), 1 + KILLS / 2);
	check_equal(server_stop(&server), 0);
	server_remove(&server);
}

static const struct check tests[] = {
	CHECK(a_worker_that_is_killed_is_back_on_its_ports_and_keeps_what_it_acknowledged),
	CHECK(a_subscriber_that_talks_ends_the_feed_alone),
	CHECK(a_gate_without_a_feed_and_a_feed_without_a_gate),
	CHECK(the_guardian_takes_its_worker_along),
	CHECK(a_worker_that_is_stopped_does_not_outlive_its_guardian),
	CHECK(who_does_not_end_when_asked_is_killed),
	CHECK(sigterm_through_the_guardian_answers_what_is_in_flight),
	CHECK(a_first_start_that_fails_is_the_end_and_a_port_file_is_written_once),
	CHECK(the_gate_of_a_server_is_back_whichever_of_its_processes_dies),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof tests[0], argc, argv);
}
