/*
 * test_server_life.c: how a server starts, what it refuses to start over, its pages and its gate, how it stops.
 */
#define _GNU_SOURCE
#include "tests/server_rig.h"

#include "net/clock.h"
#include "tests/hostile.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void
a_stop_answers_what_it_took_and_what_was_answered_is_kept(void)
{
	enum { ASKED = 20000 };
	struct peer p;
	int answered = 0;
	check(rig_begin(rig_small));
	check(peer_open(&p, rig_server.rpc));
	check(rig_receive(&p, 1, "A", ASKED));
	for (int i = 0; i < ASKED; i++)
		peer_write(&p, "[0,%d,'reserve',['r%d',[['A','L',1]],{'ttl_ms':600000}]]", i, i);
	struct why why;
	pid_t sender = fork();
	if (sender == 0) {
		peer_flush(&p);
		_exit(0);
	}
	check(wire_like(peer_answer(&p), "[1, 0, nil, *"));
	kill(rig_server.pid, SIGTERM);
	for (answered = 1;; answered++) {
		const char *answer = peer_answer(&p);
		if (strcmp(answer, "closed") == 0)
			break;
		check(wire_like(answer, "[1, *\"held\"*"));
	}
	peer_close(&p);
	waitpid(sender, NULL, 0);
	check_equal(server_stop(&rig_server), 0);
	check(server_start(&rig_server, rig_small, &why) == 0);
	check(peer_open(&p, rig_server.rpc));
	long left = rig_ats(&p, "A");
	check(left <= ASKED - answered); /* at least what was answered; beyond it at most what was under way */
	peer_close(&p);
	server_remove(&rig_server);
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
	check(rig_begin(rig_small));
	snprintf(arguments, sizeof arguments, "--data %s/data --listen 127.0.0.1:0 --gate off", rig_server.folder);
	check_equal(run_to_its_end(arguments, said, sizeof said), 1);
	check(strstr(said, "is in use"));
	check_equal(server_stop(&rig_server), 0);
	server_remove(&rig_server);
}

static void
a_port_that_is_taken_is_said(void)
{
	char arguments[400], said[2048];
	check(rig_begin(rig_small));
	snprintf(arguments, sizeof arguments, "--data %s/other --listen 127.0.0.1:%u --http 127.0.0.1:0 --gate off", rig_server.folder, rig_server.rpc);
	check_equal(run_to_its_end(arguments, said, sizeof said), 1);
	check(strstr(said, "another server running"));
	server_remove(&rig_server);
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
	check(server_init(&rig_server, &why) == 0);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		snprintf(arguments, sizeof arguments, "--data %s/data --gate off %s", rig_server.folder, rows[i].arguments);
		check_equal(run_to_its_end(arguments, said, sizeof said), 2);
		check(strstr(said, rows[i].sentence));
	}
	server_remove(&rig_server);
}

/* ---- the side door and the gate ---- */

static bool
http_get(const char *path, const char *expected)
{
	struct peer p;
	char request[128], answer[16384] = "";
	size_t used = 0;
	ssize_t n;
	if (!peer_open(&p, rig_server.http))
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
	check(rig_begin(rig_small));
	check(http_get("/healthz", "200 OK"));
	check(http_get("/readyz", "ready\n"));
	check(http_get("/metrics", "holdfast_durable 1\n"));
	check(http_get("/metrics", "# TYPE holdfast_frames_total counter"));
	check(http_get("/", "404 Not Found"));
	server_remove(&rig_server);
}

static void
a_gate_that_dies_is_started_again_on_its_port_and_ends_with_the_server(void)
{
	static const char *const with_gate[] = { "--cells-max", "1000", "--reservations-max", "1000", "--history-max", "1000", "--free-ids-max", "1000",
		"--segment-bytes", "16M", NULL };
	char command[64];
	check(rig_begin(with_gate));
	check(rig_server.events != 0);
	pid_t first = process_gate(rig_server.pid);
	check(first > 0);
	kill(first, SIGKILL);
	int64_t until = clock_steady_ms() + PEER_PATIENCE_MS;
	while (!http_get("/metrics", "holdfast_gate_starts_total 2\n") || !http_get("/metrics", "holdfast_gate_up 1\n"))
		check(clock_steady_ms() < until);
	pid_t second = process_gate(rig_server.pid);
	check(second > 0 && second != first);
	struct peer p;
	check(peer_open(&p, rig_server.events));
	peer_close(&p);
	check_equal(server_stop(&rig_server), 0);
	snprintf(command, sizeof command, "/proc/%d/exe", (int)second);
	check(access(command, F_OK) != 0);
	server_remove(&rig_server);
}

/* What concerns loops, with one and with two. */
#define LOOPED(X) \
	X(a_stop_answers_what_it_took_and_what_was_answered_is_kept)

LOOPED(RIG_TWO_LOOPS)

static const struct check tests[] = {
	LOOPED(RIG_CHECK_BOTH)
	CHECK(a_second_server_on_the_folder_is_refused),
	CHECK(a_port_that_is_taken_is_said),
	CHECK(only_loopback_is_listened_on),
	CHECK(operators_have_three_pages),
	CHECK(a_gate_that_dies_is_started_again_on_its_port_and_ends_with_the_server),
};

int
main(int argc, char **argv)
{
	return rig_run(tests, sizeof tests / sizeof *tests, argc, argv);
}
