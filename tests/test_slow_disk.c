/*
 * test_slow_disk.c: what readers see while a sync takes long (D19, C5): no answer counts a hold that has ended, none is lost, and
 * after a second there is `overloaded`. The server runs in a child of this program, whose fdatasync() waits as long as a test says.
 */
#define _GNU_SOURCE
#include "tests/check.h"
#include "net/config.h"
#include "net/server.h"
#include "tests/peer.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static _Atomic int *nap_ms; /* shared with the child: how long each sync takes */
static char folder[256];
static pid_t child;
static int told; /* the child's port comes out here */

int fdatasync(int fd);
int
fdatasync(int fd)
{
	int ms = nap_ms ? atomic_load(nap_ms) : 0;
	struct timespec t = { ms / 1000, ms % 1000 * 1000000L };
	if (ms)
		nanosleep(&t, NULL);
	return (int)syscall(SYS_fdatasync, fd);
}

static void
say(void *context, const char *line)
{
}

static int
ready(void *context, const struct server_ports *ports, struct why *why)
{
	return write(*(int *)context, &ports->rpc, sizeof ports->rpc) == sizeof ports->rpc ? 0 : -1;
}

static void
serve(const char *loops, int to)
{
	static struct config config;
	struct why why;
	struct server_calls calls = { .say = say, .ready = ready, .context = &to };
	char *argv[] = { "holdfastd", "--data", folder, "--listen", "127.0.0.1:0", "--http", "off", "--gate", "off", "--cells-max", "1000",
		"--reservations-max", "1000", "--history-max", "1000", "--free-ids-max", "1000", "--segment-bytes", "16M", "--loops",
		(char *)(uintptr_t)loops };
	_exit(config_read(&config, sizeof argv / sizeof *argv, argv, &why) < 0 ? SERVER_USAGE : (int)server_run(&config, &calls));
}

static uint16_t
server_up(const char *loops)
{
	int ends[2];
	uint16_t port = 0;
	snprintf(folder, sizeof folder, "%s/holdfast-slow.XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(folder) || pipe(ends) < 0)
		return 0;
	atomic_store(nap_ms, 0);
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed check leaves no server behind */
		serve(loops, ends[1]);
	}
	close(ends[1]);
	told = ends[0];
	return read(told, &port, sizeof port) == sizeof port ? port : 0;
}

static void
server_down(void)
{
	char command[300];
	int status = -1;
	atomic_store(nap_ms, 0);
	kill(child, SIGTERM);
	check(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	close(told);
	snprintf(command, sizeof command, "rm -rf '%s'", folder);
	check_equal(system(command), 0);
}

/* One SKU with ten units. */
static void
stocked(struct peer *p, uint16_t port)
{
	check(peer_open(p, port));
	check(strstr(peer_ask(p, "[0,1,'post',[[{'v':1,'source':'s','n':1,'kind':'receipt','sku':'A','location':'L','qty':10}]]]"), "applied") != NULL);
}

/* What comes for message number `id`; answers to others are passed over. */
static const char *
answer_to(struct peer *p, int id)
{
	char head[16];
	const char *text = "";
	snprintf(head, sizeof head, "[1, %d,", id);
	for (int i = 0; i < 10; i++) {
		text = peer_answer(p);
		if (strncmp(text, head, strlen(head)) == 0)
			return text;
	}
	return text;
}

/* The read is decided while the hold lives, on a change that a sync of 200 ms keeps from being shown until the hold has ended. */
static void
reads_meet_a_slow_sync(const char *loops, const char *method, const char *params, const char *dead, const char *alive)
{
	struct peer p, other;
	uint16_t port = server_up(loops);
	check(port != 0);
	stocked(&p, port);
	check(peer_open(&other, port)); /* of two loops it is on the second */
	atomic_store(nap_ms, 200);
	peer_write(&other, "[0,3,'reserve',['r',[['A','L',4]],{'ttl_ms':60}]]");
	peer_write(&other, "[0,4,'%s',%s]", method, params);
	check(peer_flush(&other));
	const char *text = answer_to(&other, 4);
	check(strstr(text, dead) == NULL);
	check(strstr(text, alive) != NULL || strstr(text, "overloaded") != NULL);
	if (strstr(text, dead) || (!strstr(text, alive) && !strstr(text, "overloaded")))
		printf("  got %s\n", text);
	peer_close(&other);
	peer_close(&p);
	server_down();
}

static void
an_ats_held_back_by_a_slow_sync_counts_no_dead_hold(void)
{
	reads_meet_a_slow_sync("1", "ats", "[[['A','L']]]", ", [6]]", ", [10]]");
}

static void
a_stock_read_and_a_reservation_neither(void)
{
	reads_meet_a_slow_sync("1", "stock", "[[['A','L']]]", "\"reserved\"=>4", "\"reserved\"=>0");
	reads_meet_a_slow_sync("1", "reservation", "['r']", "\"held\"=>4", "\"expired\"=>4");
}

static void
nor_with_two_loops(void)
{
	reads_meet_a_slow_sync("2", "reservation", "['r']", "\"held\"=>4", "\"expired\"=>4");
}

static const struct check tests[] = {
	CHECK(an_ats_held_back_by_a_slow_sync_counts_no_dead_hold),
	CHECK(a_stock_read_and_a_reservation_neither),
	CHECK(nor_with_two_loops),
};

int
main(int argc, char **argv)
{
	nap_ms = mmap(NULL, sizeof *nap_ms, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (nap_ms == MAP_FAILED)
		return 1;
	return check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv);
}
