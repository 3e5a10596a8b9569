/*
 * test_gate_life.c: how a gate starts, stops and dies, and what its sender says when no gate listens.
 */
#define _GNU_SOURCE
#include "tests/check.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/clock.h"
#include "tests/fake_server.h"
#include "tests/gate_rig.h"

/* ---- life and death ---- */

static void
gate_restart(void *context)
{
	struct { struct gate_process *gate; uint16_t server_port; } *both = context;
	rig_end(both->gate, SIGKILL);
	if (!rig_start_again(both->gate, both->server_port))
		printf("     the gate does not start on the ports it had\n");
}

static void
a_gate_that_is_killed_and_restarted_loses_nothing(void)
{
	struct fake_server fake;
	struct gate_process gate;
	struct posting tally = { 0 };
	check(fake_start(&fake));
	check(rig_start(&gate, fake.port, 0));
	struct gate_post *p = post_open(gate.ports[DOOR_EVENTS]);
	check(p);
	struct { struct gate_process *gate; uint16_t server_port; } both = { &gate, fake.port };
	check(post_all(p, 1, 3000, &tally, gate_restart, &both));
	gate_post_close(p);
	check_equal(tally.other, 0);
	check_equal(fake_count(&fake).events, 3000);
	check_equal(rig_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

static void
sigterm_answers_what_is_in_flight_and_ends_with_0(void)
{
	struct fake_server fake;
	struct gate_process gate;
	uint8_t event[64], body[256];
	char said[1024];
	uint32_t word;
	check(fake_start(&fake));
	check(rig_start(&gate, fake.port, 0));
	int fd = till_open(gate.ports[DOOR_EVENTS]);
	check(fd >= 0);
	fake_hold(&fake, true);
	for (uint32_t i = 1; i <= 100; i++)
		check(till_send(fd, i | REQUEST_BIT, event, put_event(event, i)));
	check(fake_wait_events(&fake, 100));
	kill(gate.pid, SIGTERM);
	kill(gate.pid, SIGUSR1);
	check(rig_says(&gate, "in_flight=100 ", said, sizeof said));
	check(strstr(said, "messages=100 "));
	/* What comes now is not taken any more. */
	check(till_send(fd, 101 | REQUEST_BIT, event, put_event(event, 101)));
	fake_hold(&fake, false);
	for (uint32_t i = 1; i <= 100; i++)
		check(till_receive(fd, &word, body, sizeof body) > 0);
	check_equal(rig_wait(&gate), 0);
	check_equal(fake_count(&fake).events, 100);
	close(fd);
	fake_stop(&fake);
}

static void
sigterm_does_not_wait_for_a_server_that_is_away(void)
{
	struct fake_server fake;
	struct gate_process gate;
	uint8_t event[64];
	check(fake_start(&fake));
	check(rig_start(&gate, fake.port, 0));
	int fd = till_open(gate.ports[DOOR_EVENTS]);
	check(fd >= 0);
	fake_hold(&fake, true);
	check(till_send(fd, 1 | REQUEST_BIT, event, put_event(event, 1)) && fake_wait_events(&fake, 1));
	fake_away(&fake, true);
	fake_break(&fake);
	int64_t from_ms = clock_steady_ms();
	check_equal(rig_end(&gate, SIGTERM), 0);
	check(clock_steady_ms() - from_ms < 3000);
	close(fd);
	fake_stop(&fake);
}

static void
a_start_that_cannot_be_says_why(void)
{
	static const struct row {
		const char *server, *events, *more;
		int status;
		const char *says;
	} rows[] = {
		{ "127.0.0.1:7400", "0.0.0.0:0", NULL, 1, "only loopback" },
		{ "192.0.2.1:7400", "127.0.0.1:0", NULL, 1, "only loopback" },
		{ "127.0.0.1:7400", "127.0.0.1", NULL, 1, "HOST:PORT is needed" },
		{ "127.0.0.1:7400", "127.0.0.1:70000", NULL, 1, "from 0 to 65535" },
		{ "127.0.0.1:7400", "127.0.0.1:0", "--frobnicate", 2, "--help" },
		{ "127.0.0.1:7400", "127.0.0.1:0", "word", 2, "'word' is no option" },
		{ "127.0.0.1:7400", "127.0.0.1:0", "--port-file=/nowhere/there", 1, "/nowhere/there" },
	};
	struct gate_process gate, second;
	char said[1024], taken[32];
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		rig_start_with(&gate, (const char *[]){ "--server", rows[i].server, "--events", rows[i].events, rows[i].more, NULL });
		bool says = rig_says(&gate, rows[i].says, said, sizeof said);
		if (!says)
			printf("     row %zu says '%s'\n", i, said);
		check_equal(rig_wait(&gate), rows[i].status);
		check(says);
	}
	check(rig_start(&gate, 1, 0));
	snprintf(taken, sizeof taken, "127.0.0.1:%u", gate.ports[DOOR_EVENTS]);
	rig_start_with(&second, (const char *[]){ "--server", "localhost:1", "--events", taken, NULL });
	check(rig_says(&second, "another gate runs there", said, sizeof said));
	check_equal(rig_wait(&second), 1);
	check_equal(rig_end(&gate, SIGTERM), 0);
}

static void
the_port_file_is_written_when_ready(void)
{
	char folder[256], option[512], line[64] = "";
	struct gate_process gate;
	snprintf(folder, sizeof folder, "%s/holdfast-gate.XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	check(mkdtemp(folder));
	snprintf(option, sizeof option, "--port-file=%s/port", folder);
	check(rig_start_with(&gate, (const char *[]){ "--server", "127.0.0.1:1", "--events", "localhost:0", option, NULL }));
	FILE *f = fopen(option + strlen("--port-file="), "r");
	check(f);
	unsigned port = 0;
	check(fgets(line, sizeof line, f) && sscanf(line, "events=%u", &port) == 1);
	fclose(f);
	check_equal(port, gate.ports[DOOR_EVENTS]);
	check_equal(rig_end(&gate, SIGINT), 0);
	remove(option + strlen("--port-file="));
	check(rmdir(folder) == 0);
}

static void
the_gate_ends_with_the_process_that_started_it(void)
{
	int fds[2];
	pid_t pid = 0;
	check(pipe(fds) == 0);
	pid_t parent = fork();
	if (parent == 0) {
		struct gate_process gate;
		check(rig_start(&gate, 1, 0));
		ssize_t written = write(fds[1], &gate.pid, sizeof gate.pid);
		_exit(written == sizeof gate.pid && gate.ports[DOOR_EVENTS] ? 0 : 1);
	}
	check(read(fds[0], &pid, sizeof pid) == sizeof pid);
	waitpid(parent, NULL, 0);
	close(fds[0]);
	close(fds[1]);
	/* Somebody else reaps it: it is gone, or a zombie with nothing in its command line. */
	int64_t end_ms = clock_steady_ms() + RIG_PATIENCE_MS;
	bool gone = false;
	while (!gone && clock_steady_ms() < end_ms) {
		char path[64], c;
		snprintf(path, sizeof path, "/proc/%ld/cmdline", (long)pid);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		gone = fd < 0 || read(fd, &c, 1) <= 0;
		if (fd >= 0)
			close(fd);
		poll(NULL, 0, 2);
	}
	check(gone);
}

/* By holdfast itself, which speaks to it by that address, too; all three doors. */
static void
a_gate_listens_on_the_loopback_address_of_version_6(void)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct fake_server fake;
	struct gate_process gate;
	struct posting tally = { 0 };
	struct why why = { "" };
	char server[32];
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	bool there = fd >= 0 && bind(fd, (struct sockaddr *)&six, sizeof six) == 0;
	if (fd >= 0)
		close(fd);
	if (!there) {
		printf("     no IPv6 on this machine\n");
		return;
	}
	check(fake_start(&fake));
	snprintf(server, sizeof server, "127.0.0.1:%u", fake.port);
	check(rig_start_guarded(&gate, (const char *[]){ "--server", server, "--events", "[::1]:0", "--push", "[::1]:0", "--feed", "[::1]:0", NULL }));
	check(gate.ports[DOOR_PUSH] && gate.ports[DOOR_FEED]);
	check(till_connect(gate.ports[DOOR_EVENTS]) < 0); /* and on no other */
	struct gate_post *p = gate_post_open("::1", gate.ports[DOOR_EVENTS], &why);
	if (!p)
		printf("     %s\n", why.text);
	check(p && post_all(p, 1, 100, &tally, NULL, NULL));
	check_equal(tally.applied, 100);
	gate_post_close(p);
	check_equal(rig_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

/* ---- who listens there ---- */

static void
the_sender_says_what_listens_instead_of_a_gate(void)
{
	struct fake_server fake;
	struct gate_process gate;
	struct why why = { "" };
	uint8_t byte = 0;
	check(!gate_post_open("127.0.0.1", 1, &why) && strstr(why.text, "nothing listens on 127.0.0.1:1"));
	check(!gate_post_open("no.such.host.invalid", 7401, &why) && strstr(why.text, "no.such.host.invalid"));
	check(fake_start(&fake));
	check(!gate_post_open("127.0.0.1", fake.port, &why) && strstr(why.text, "not a Holdfast gate"));
	fake_greet(&fake, "\0SP\0\0\x51\0\0", 8); /* a PULL socket */
	check(!gate_post_open("127.0.0.1", fake.port, &why) && strstr(why.text, "not one that acknowledges"));
	fake_stop(&fake);
	check(rig_start(&gate, 1, 0));
	struct gate_post *p = gate_post_open("127.0.0.1", gate.ports[DOOR_EVENTS], &why);
	check(p);
	check_equal(gate_post_send(p, 1, &byte, POST_MESSAGE_BYTES_MAX + 1, &why), -1);
	check(strstr(why.text, "1048576"));
	gate_post_close(p);
	check_equal(rig_end(&gate, SIGTERM), 0);
}

static void
the_sender_notices_a_gate_that_is_gone(void)
{
	struct gate_process gate;
	struct posting tally = { 0 };
	struct why why = { "" };
	uint8_t event[64];
	const uint8_t *reply;
	uint64_t number;
	size_t n;
	int got = 0;
	check(rig_start(&gate, 1, 0));
	uint16_t port = gate.ports[DOOR_EVENTS];
	struct gate_post *p = post_open(port);
	check(p);
	gate_post_patience(p, 300);
	check_equal(gate_post_send(p, 1, event, put_event(event, 1), &why), 1);
	check(post_answer(p, &tally, 1000, 1)); /* it is there and holds the message, for a server that is away: no reason to give up */
	check_equal(tally.answered, 0);
	rig_end(&gate, SIGKILL);
	int64_t end_ms = clock_steady_ms() + RIG_PATIENCE_MS;
	while (got == 0 && clock_steady_ms() < end_ms)
		got = gate_post_receive(p, 100, &number, &reply, &n, &why);
	check_equal(got, -1);
	check(strstr(why.text, "the gate is gone: nothing listens on") && strstr(why.text, "What became of 1 messages is unknown"));
	gate_post_close(p);
}

static const struct check tests[] = {
	CHECK(a_gate_that_is_killed_and_restarted_loses_nothing),
	CHECK(sigterm_answers_what_is_in_flight_and_ends_with_0),
	CHECK(sigterm_does_not_wait_for_a_server_that_is_away),
	CHECK(a_start_that_cannot_be_says_why),
	CHECK(the_port_file_is_written_when_ready),
	CHECK(the_gate_ends_with_the_process_that_started_it),
	CHECK(a_gate_listens_on_the_loopback_address_of_version_6),
	CHECK(the_sender_says_what_listens_instead_of_a_gate),
	CHECK(the_sender_notices_a_gate_that_is_gone),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof tests[0], argc, argv);
}
