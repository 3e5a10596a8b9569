/*
 * test_gate_guardian.c: a gate that dies is back on the same ports, whoever starts it again: the guardian of a gate started by hand, or
 * holdfastd; nothing that was acknowledged is lost. It is killed with SIGKILL, and with bytes that nanomsg aborts on.
 */
#define _GNU_SOURCE
#include "tests/check.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/clock.h"
#include "tests/fake_server.h"
#include "tests/gate_rig.h"
#include "tests/spawn.h"

#define KIND_PUB 32
#define KIND_SUB 33
#define KILLS 6

static bool
guarded_start(struct gate_process *gate, uint16_t server_port, const char *more)
{
	char server[32];
	snprintf(server, sizeof server, "127.0.0.1:%u", server_port);
	return rig_start_guarded(gate, (const char *[]){ "--server", server, "--events", "127.0.0.1:0", more, NULL });
}

/* A subscriber that talks: nanomsg's PUB side asserts that none does. */
static bool
say_the_wrong_thing(uint16_t feed_port)
{
	int fd = till_open_as(feed_port, KIND_SUB, KIND_PUB, 0);
	bool said = fd >= 0 && till_push(fd, "\x01", 1);
	if (fd >= 0)
		close(fd);
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
		check_equal(rig_told(gate.ports[DOOR_EVENTS], "restarts"), i);
		int push = till_open_as(gate.ports[DOOR_PUSH], 80, 81, 0);
		check(push >= 0);
		close(push);
	}
	check_equal(fake_count(&fake).events, KILLS);
	check_equal(rig_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

static void
bytes_that_nanomsg_aborts_on_cost_a_restart_and_no_event(void)
{
	struct fake_server fake;
	struct gate_process gate;
	struct posting tally = { 0 };
	char said[4096];
	check(fake_start(&fake));
	check(guarded_start(&gate, fake.port, NULL));
	struct gate_post *p = post_open(gate.ports[DOOR_EVENTS]);
	check(p);
	int64_t pid = rig_another(gate.ports[DOOR_EVENTS], 0);
	for (uint32_t round = 0; round < 4; round++) {
		check(say_the_wrong_thing(gate.ports[DOOR_FEED]));
		memset(&tally, 0, sizeof tally);
		check(post_all(p, 1 + round * 500, 500, &tally, NULL, NULL));
		check_equal(tally.other, 0);
		pid = rig_another(gate.ports[DOOR_EVENTS], pid);
		check(pid > 0);
	}
	gate_post_close(p);
	check_equal(fake_count(&fake).events, 2000);
	check(rig_says(&gate, "signal 6; it is started again", said, sizeof said));
	check_equal(rig_end(&gate, SIGTERM), 0);
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
	check(rig_says(&gate, "the port is a number", said, sizeof said));
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

/* holdfastd's own gate: no guardian, the server starts it again. */
static void
the_gate_of_a_server_is_back_after_the_same_bytes(void)
{
	struct server server;
	struct why why = { "" };
	uint8_t event[128];
	check(server_init(&server, &why) == 0);
	if (server_start(&server, (const char *[]){ "--cells-max", "1000", NULL }, &why) < 0)
		printf("     %s\n", why.text);
	check(server.events && server.push && server.feed);
	int64_t pid = rig_another(server.events, 0);
	for (uint32_t i = 1; i <= KILLS; i++) {
		int fd = till_open(server.events);
		check(fd >= 0);
		check(till_expect(fd, event, put_receipt(event, "pos", i), "applied"));
		check(say_the_wrong_thing(server.feed));
		close(fd);
		pid = rig_another(server.events, pid);
		check(pid > 0);
	}
	int fd = till_open(server.events);
	check(till_expect(fd, event, put_receipt(event, "pos", KILLS), "duplicate"));
	close(fd);
	check_equal(server_stop(&server), 0);
	server_remove(&server);
}

static const struct check tests[] = {
	CHECK(a_worker_that_is_killed_is_back_on_its_ports_and_keeps_what_it_acknowledged),
	CHECK(bytes_that_nanomsg_aborts_on_cost_a_restart_and_no_event),
	CHECK(the_guardian_takes_its_worker_along),
	CHECK(sigterm_through_the_guardian_answers_what_is_in_flight),
	CHECK(a_first_start_that_fails_is_the_end_and_a_port_file_is_written_once),
	CHECK(the_gate_of_a_server_is_back_after_the_same_bytes),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof tests[0], argc, argv);
}
