/*
 * test_overload.c: who is refused when more comes than can be done (A1, T3), and who is closed for taking too long. The server runs in
 * a child of this program whose clock is simulated: every look at the time costs as much as a test says, and it can be set forward.
 * So a request takes long because the test says so, and not because the machine is busy.
 */
#define _GNU_SOURCE
#include "tests/check.h"
#include "net/clock.h"
#include "net/config.h"
#include "net/server.h"
#include "tests/peer.h"
#include "tests/wire_text.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MS INT64_C(1000000)
#define STEP_NS MS
#define LOOKS 700 /* below the second after which a disk that seems not to move is what requests are refused for */

/* ---- the clock (instead of net/clock.c) ---- */

static struct sim {
	_Atomic int64_t looks, ahead_ns; /* so many more looks cost STEP_NS each; how far the clock is set forward */
} *sim;
static bool simulated; /* in the child */

static int64_t
real_ns(clockid_t which)
{
	struct timespec t;
	clock_gettime(which, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t
ahead_ns(void)
{
	if (!simulated)
		return 0;
	bool costs = atomic_load(&sim->looks) > 0 && atomic_fetch_sub(&sim->looks, 1) > 0;
	return atomic_fetch_add(&sim->ahead_ns, costs ? STEP_NS : 0);
}

int64_t
clock_steady_ns(void)
{
	return real_ns(CLOCK_MONOTONIC) + ahead_ns();
}

int64_t
clock_wall_ms(void)
{
	return (real_ns(CLOCK_REALTIME) + ahead_ns()) / MS;
}

void
clock_init(struct clock *c, int64_t floor_ms)
{
	int64_t wall = clock_wall_ms();
	c->ahead_ms = (wall > floor_ms ? wall : floor_ms) - clock_steady_ms();
}

int64_t
clock_now_ms(struct clock *c)
{
	return clock_steady_ms() + c->ahead_ms;
}

/* ---- the server ---- */

static char folder[256];
static pid_t child;
static int told; /* the child's ports come out here */

static void
say(void *context, const char *line)
{
}

static int
ready(void *context, const struct server_ports *ports, struct why *why)
{
	return write(*(int *)context, ports, sizeof *ports) == sizeof *ports ? 0 : -1;
}

static void
serve(const char *loops, const char *queue_age, int to)
{
	static struct config config;
	struct why why;
	struct server_calls calls = { .say = say, .ready = ready, .context = &to };
	char *argv[] = { "holdfastd", "--data", folder, "--listen", "127.0.0.1:0", "--gate", "off", "--cells-max", "1000", "--reservations-max",
		"20000", "--history-max", "1000", "--free-ids-max", "1000", "--segment-bytes", "16M", "--loops", (char *)(uintptr_t)loops,
		"--queue-age-ms", (char *)(uintptr_t)queue_age };
	simulated = true;
	_exit(config_read(&config, sizeof argv / sizeof *argv, argv, &why) < 0 ? SERVER_USAGE : (int)server_run(&config, &calls));
}

static struct server_ports
server_up(const char *loops, const char *queue_age)
{
	struct server_ports ports = { 0 };
	int ends[2];
	snprintf(folder, sizeof folder, "%s/holdfast-overload.XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(folder) || pipe(ends) < 0)
		return ports;
	atomic_store(&sim->looks, 0);
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed check leaves no server behind */
		serve(loops, queue_age, ends[1]);
	}
	close(ends[1]);
	told = ends[0];
	return read(told, &ports, sizeof ports) == sizeof ports ? ports : (struct server_ports){ 0 };
}

static void
server_down(void)
{
	char command[300];
	int status = -1;
	atomic_store(&sim->looks, 0);
	kill(child, SIGTERM);
	check(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	close(told);
	snprintf(command, sizeof command, "rm -rf '%s'", folder);
	check_equal(system(command), 0);
}

/* ---- ten times the load ---- */

enum { CROWD = 120, EACH = 5 };
static struct peer crowd[CROWD];
static int taken, refused, committed, posted, other;

/* Everybody has something to commit. */
static void
crowd_comes(uint16_t port)
{
	for (int i = 0; i < CROWD; i++) {
		check(peer_open(&crowd[i], port));
		if (i == 0)
			check(strstr(peer_ask(&crowd[0], "[0,1,'post',[[{'source':'s','n':1,'kind':'receipt','sku':'A','location':'L','qty':100000}]]]"),
			    "applied"));
		check(strstr(peer_ask(&crowd[i], "[0,1,'reserve',['c-%d',[['A','L',1]]]]", i), "\"held\""));
	}
}

/* While the server stands still everybody asks; then it goes on, and its looks at the time cost a millisecond each. */
static void
crowd_asks(int n)
{
	check_equal(kill(child, SIGSTOP), 0);
	for (int i = 0; i < CROWD; i++) {
		for (int k = 0; k < EACH; k++)
			peer_write(&crowd[i], "[0,%d,'reserve',['r-%d-%d-%d',[['A','L',1]]]]", 10 + k, n, i, k);
		peer_write(&crowd[i], "[0,2,'commit',['c-%d']]", i);
		peer_write(&crowd[i], "[0,3,'post',[[{'source':'p-%d','n':%d,'kind':'sale','sku':'A','location':'L','qty':1}]]]", i, n);
		check(peer_flush(&crowd[i]));
	}
	atomic_store(&sim->looks, LOOKS);
	check_equal(kill(child, SIGCONT), 0);
}

static void
answers_count(void)
{
	taken = refused = committed = posted = other = 0;
	for (int i = 0; i < CROWD; i++)
		for (int k = 0; k < EACH + 2; k++) {
			const char *text = peer_answer(&crowd[i]);
			if (wire_like(text, "[1, 2, nil, *\"committed\"*"))
				committed++;
			else if (wire_like(text, "[1, 3, nil, [*, [\"applied\"]]]"))
				posted++;
			else if (wire_like(text, "[1, 1*, nil, *\"held\"*"))
				taken++;
			else if (wire_like(text, "[1, 1*, [\"overloaded\", *, {\"retry_after_ms\"=>*}], nil]"))
				refused++;
			else {
				if (other++ == 0)
					printf("  got %s\n", text);
			}
		}
}

static void
under_load(const char *loops, const char *queue_age, bool refuses)
{
	uint16_t port = server_up(loops, queue_age).rpc;
	check(port != 0);
	crowd_comes(port);
	check_calm();
	crowd_asks(1);
	answers_count();
	check_equal(other, 0);
	check_equal(committed, CROWD);
	check_equal(posted, CROWD);
	check_equal(taken + refused, CROWD * EACH);
	check(taken > 0);
	check(refuses ? refused > 0 : refused == 0);
	atomic_store(&sim->looks, 0);
	for (int i = 0; i < CROWD; i++) {
		check(strstr(peer_ask(&crowd[i], "[0,4,'reserve',['after-%d',[['A','L',1]]]]", i), "\"held\""));
		peer_close(&crowd[i]);
	}
	server_down();
}

static void
an_old_queue_refuses_new_holds_and_nothing_else(void)
{
	under_load("1", "20", true);
}

static void
so_it_does_with_two_loops(void)
{
	under_load("2", "20", true);
}

static void
without_a_limit_everybody_is_taken(void)
{
	under_load("1", "0", false);
}

/* ---- those who take their time ---- */

/* The loops look for them once a second of the real clock. */
static void
a_request_that_does_not_end_ends_its_connection_and_idle_ones_stay(void)
{
	struct peer slow, idle;
	uint16_t port = server_up("1", "20").rpc;
	check(port != 0 && peer_open(&slow, port) && peer_open(&idle, port));
	check(wire_like(peer_ask(&idle, "[0,1,'hello',[{'v':1}]]"), "[1, 1, nil, *"));
	for (int i = 0; i < 4; i++) { /* a byte every ten seconds is no progress */
		check(peer_send_bytes(&slow, &"\x94\x00\x01\xa5"[i], 1));
		check(wire_like(peer_ask(&idle, "[0,1,'hello',[{'v':1}]]"), "[1, 1, nil, *"));
		atomic_fetch_add(&sim->ahead_ns, 10000 * MS);
	}
	check(peer_is_closed(&slow));
	check(wire_like(peer_ask(&idle, "[0,1,'hello',[{'v':1}]]"), "[1, 1, nil, *"));
	check(strstr(peer_ask(&idle, "[0,1,'status',[]]"), "\"frames_late\"=>1,"));
	peer_close(&slow);
	peer_close(&idle);
	server_down();
}

static void
an_http_request_that_does_not_end_ends_its_connection(void)
{
	struct peer slow;
	struct server_ports ports = server_up("1", "20");
	check(ports.http != 0 && peer_open(&slow, ports.http));
	check(peer_send_bytes(&slow, "GET /healthz HTTP/1.1\r\n", 23));
	struct peer asking; /* its answer comes after the slow one was accepted */
	check(peer_open(&asking, ports.http) && peer_send_bytes(&asking, "GET /healthz HTTP/1.1\r\n\r\n", 25) && peer_is_closed(&asking));
	peer_close(&asking);
	atomic_fetch_add(&sim->ahead_ns, 11000 * MS);
	check(peer_is_closed(&slow));
	peer_close(&slow);
	server_down();
}

static const struct check tests[] = {
	CHECK(an_old_queue_refuses_new_holds_and_nothing_else),
	CHECK(so_it_does_with_two_loops),
	CHECK(without_a_limit_everybody_is_taken),
	CHECK(a_request_that_does_not_end_ends_its_connection_and_idle_ones_stay),
	CHECK(an_http_request_that_does_not_end_ends_its_connection),
};

int
main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	sim = mmap(NULL, sizeof *sim, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (sim == MAP_FAILED)
		return 1;
	return check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv);
}
