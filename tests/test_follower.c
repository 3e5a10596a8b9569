/*
 * test_follower.c: the follower (include/holdfast/examples/follower.c) keeps its copy equal to a loaded server through kills of both;
 * and a slow one does not slow the server. HOLDFAST_CHANGES=N: the dose (make prove-follower); HOLDFAST_SEED draws the kills.
 */
#include "tests/check.h"
#include "tests/spawn.h"
#include "holdfast/async.h"
#include "net/clock.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHANGES 20000 /* in the suite */
#define BATCH 100
#define BATCHES_IN_FLIGHT 40 /* x BATCH: within a source's window of 4,096 */
#define SKUS 2000
#define LOCATIONS 20
#define KILLS_MAX 100 /* of each side */
#define ROUNDS 5 /* with and without the slow follower, in turn */
#define HOLD_MS_MAX 100
#define SLOW_EACH_MS 200 /* it takes at most 256 KiB each time */

extern char **environ;

static struct server server;
static struct why why;
static uint64_t random_state;

static uint64_t
draw(uint64_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % below;
}

static int64_t
dose(void)
{
	const char *text = getenv("HOLDFAST_CHANGES");
	return text ? atoll(text) : CHANGES;
}

/* ---- the server and the follower ---- */

static void
start(void)
{
	char address[32];
	snprintf(address, sizeof address, "127.0.0.1:%u", server.rpc);
	const char *arguments[] = { "--gate", "off", "--http", "off", "--listen", address, NULL };
	if (server_start(&server, arguments, &why) < 0)
		printf("FAIL %s\n", why.text), check_failed_now = 1;
}

/* Starts the follower on the copy in the server's folder; its words go into a file beside it. */
static pid_t
follower(const char *option, const char *value)
{
	char path[600], port[8], file[300], log[300];
	const char *argv[] = { "follower", port, file, NULL, NULL, NULL };
	posix_spawn_file_actions_t files;
	pid_t pid = 0;
	int n = 1;
	snprintf(port, sizeof port, "%u", server.rpc);
	snprintf(file, sizeof file, "%s/copy", server.folder);
	snprintf(log, sizeof log, "%s/copy.log", server.folder);
	if (option)
		argv[n++] = option;
	if (value)
		argv[n++] = value;
	argv[n++] = port;
	argv[n++] = file;
	spawn_program("examples/follower", path, sizeof path);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	posix_spawn_file_actions_adddup2(&files, 1, 2);
	if (posix_spawn(&pid, path, &files, NULL, (char *const *)argv, environ) != 0)
		pid = 0;
	posix_spawn_file_actions_destroy(&files);
	return pid;
}

static int
ended(pid_t pid)
{
	int status = -1;
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* It has come as far as to end by itself when it is told. */
static bool
minds_sigterm(pid_t pid)
{
	char path[40], line[128];
	unsigned long long caught = 0;
	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	FILE *f = fopen(path, "r");
	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "SigCgt: %llx", &caught) == 1)
			break;
	if (f)
		fclose(f);
	return caught >> (SIGTERM - 1) & 1;
}

/* Its exit status. */
static int
told_to_end(pid_t pid)
{
	const struct timespec moment = { 0, 5000000 };
	for (int64_t until = clock_steady_ms() + 20000; !minds_sigterm(pid) && clock_steady_ms() < until;)
		nanosleep(&moment, NULL);
	kill(pid, SIGTERM);
	return ended(pid);
}

static void
show_log(void)
{
	char command[400];
	snprintf(command, sizeof command, "tail -4 %s/copy.log | sed 's/^/     /'", server.folder);
	fflush(stdout);
	if (system(command) != 0)
		printf("     no log\n");
}

/* ---- the load: numbered events of one source, all of them a change ---- */

struct load {
	struct hf *hf;
	int64_t events_n; /* sent */
	int64_t answered_n;
	int64_t bad;
};

static void
send_batch(struct load *l)
{
	static struct hf_stock_event event[BATCH];
	static char sku[BATCH][8], location[BATCH][8];
	for (int i = 0; i < BATCH; i++) {
		int64_t n = ++l->events_n;
		uint64_t hash = (uint64_t)n * 0x9e3779b97f4a7c15U;
		snprintf(sku[i], sizeof sku[i], "S%04u", (unsigned)(hash >> 40) % SKUS);
		snprintf(location[i], sizeof location[i], "L%02u", (unsigned)(hash >> 20) % LOCATIONS);
		event[i] = (struct hf_stock_event){ .source = "load", .n = n, .kind = n % 3 ? "sale" : "receipt", .sku = sku[i],
			.location = location[i], .qty = 1 + (int64_t)(hash % 7) };
	}
	hf_build_post(l->hf, event, BATCH);
	l->bad += hf_send(l->hf) == 0;
	/* A hold now and then that ends by itself: changes that no request asks for. */
	if (draw(20) > 0)
		return;
	struct hf_line line = { sku[0], location[0], 1 };
	struct hf_reserve_options options = { .ttl_ms = 1 + (int64_t)draw(HOLD_MS_MAX) };
	char id[32];
	snprintf(id, sizeof id, "hold-%lld", (long long)l->events_n);
	hf_build_reserve(l->hf, id, &line, 1, &options);
	l->bad += hf_send(l->hf) == 0;
}

/* One round: as many batches as fit, then what has come. */
static void
pump(struct load *l, int64_t until)
{
	struct hf_event e;
	while (l->events_n < until && hf_in_flight(l->hf) < BATCHES_IN_FLIGHT)
		send_batch(l);
	hf_async_wait(l->hf, 10);
	while (hf_async_next(l->hf, &e)) {
		if (e.kind != HF_ANSWER)
			continue;
		const struct hf_value *outcomes = e.outcome == HF_OK && e.value->type == HF_ARRAY ? &e.value->array.items[1] : NULL;
		if (outcomes)
			l->answered_n += outcomes->array.n;
		else if (e.outcome == HF_UNKNOWN || e.outcome == HF_FAILED)
			l->bad++;
		for (uint32_t i = 0; outcomes && i < outcomes->array.n; i++)
			l->bad += outcomes->array.items[i].type != HF_STR; /* else applied, or a duplicate */
	}
}

static bool
begin(struct load *l)
{
	struct hf_async_options options = { .deadline_ms = 600000, .seed = 11 };
	struct hf_failure failure;
	memset(l, 0, sizeof *l);
	random_state = check_seed((uint64_t)clock_steady_ns()) | 1;
	printf("     HOLDFAST_SEED=%llu\n", (unsigned long long)random_state);
	if (server_init(&server, &why) < 0)
		printf("FAIL %s\n", why.text), check_failed_now = 1;
	else
		start();
	l->hf = check_failed_now ? NULL : hf_async_open("127.0.0.1", server.rpc, &options, &failure);
	return l->hf != NULL;
}

/* The holds have ended, nothing moves: the position, by a read of everything. */
static int64_t
quiet_seq(struct load *l)
{
	const struct hf_value *value;
	int64_t seq = -1;
	for (int64_t before = -2; before != seq;) {
		before = seq;
		int64_t until = clock_steady_ms() + 2 * HOLD_MS_MAX;
		while (clock_steady_ms() < until)
			hf_async_wait(l->hf, 10);
		hf_begin(l->hf, "digest");
		hf_array(l->hf, 0);
		if (hf_call(l->hf, &value) != HF_OK)
			return -1;
		seq = hf_int(hf_get(value, "seq"), -1);
	}
	return seq;
}

/* Brings the copy to the server's position, and lets the follower itself compare. */
static void
copy_is_equal(struct load *l)
{
	char seq[24];
	const struct hf_value *value;
	snprintf(seq, sizeof seq, "%lld", (long long)quiet_seq(l));
	check(hf_position(l->hf, "load", &value) == HF_OK);
	check_equal(hf_int(hf_get(value, "contiguous"), -1), l->events_n);
	check_equal(l->bad, 0);
	check_equal(ended(follower("--until", seq)), 0);
	int got = ended(follower("--check", NULL));
	show_log();
	check_equal(got, 0);
}

/* ---- kills on both sides ---- */

static void
the_copy_is_equal_after_kills_on_both_sides(void)
{
	struct load l;
	int64_t all = dose(), next = 0, kills_each = all / 100000 + 3;
	int server_kills = 0, follower_kills = 0;
	check(begin(&l));
	kills_each = kills_each > KILLS_MAX ? KILLS_MAX : kills_each;
	pid_t pid = follower(NULL, NULL);
	int64_t began = clock_steady_ms();
	while (l.answered_n < all) {
		pump(&l, all);
		check(l.bad == 0);
		if (l.answered_n < next)
			continue;
		next = l.answered_n + (int64_t)draw((uint64_t)(all / kills_each));
		if (draw(2)) {
			kill(pid, SIGKILL);
			ended(pid);
			pid = follower(NULL, NULL);
			follower_kills++;
		} else {
			server_kill(&server);
			start();
			check_calm();
			server_kills++;
		}
	}
	printf("     %lld changes in %.1f s, %d kills of the server, %d of the follower\n", (long long)all,
	    (double)(clock_steady_ms() - began) / 1000, server_kills, follower_kills);
	check_equal(told_to_end(pid), 0);
	copy_is_equal(&l);
	hf_close(l.hf);
	server_remove(&server);
}

/* ---- a slow follower ---- */

struct slow {
	struct hf *hf; /* NULL: not there now */
	int64_t next_ms, closed_n, changes_n, since;
	bool watches;
};

static void
slow_take(struct slow *s, const struct hf_event *e)
{
	s->watches |= e->kind == HF_WATCHING;
	s->closed_n += e->kind == HF_DISCONNECTED;
	s->changes_n += e->kind == HF_CHANGED ? e->value->array.n : 0;
	if (e->kind == HF_CHANGED || e->kind == HF_REACHED || e->kind == HF_WATCHING)
		s->since = (int64_t)e->seq;
	if (e->kind == HF_WATCH_ENDED) /* the journal was trimmed: from now on */
		hf_async_watch(s->hf, &(struct hf_watch){ .since = HF_FROM_NOW, .full = true });
}

/* A little now and then. */
static void
slow_look(struct slow *s)
{
	struct hf_event e;
	if (!s->hf || clock_steady_ms() < s->next_ms)
		return;
	s->next_ms = clock_steady_ms() + SLOW_EACH_MS;
	hf_async_step(s->hf);
	while (hf_async_next(s->hf, &e))
		slow_take(s, &e);
}

/* Goes on where it was, and is there when this returns. */
static void
slow_come(struct slow *s)
{
	struct hf_failure failure;
	struct hf_event e;
	s->hf = hf_async_open("127.0.0.1", server.rpc, NULL, &failure);
	check(s->hf != NULL);
	hf_async_watch(s->hf, &(struct hf_watch){ .since = s->since, .full = true });
	s->watches = false;
	for (int64_t until = clock_steady_ms() + 20000; !s->watches && clock_steady_ms() < until;) {
		hf_async_wait(s->hf, 10);
		while (!s->watches && hf_async_next(s->hf, &e))
			slow_take(s, &e);
	}
	check(s->watches);
}

static void
slow_go(struct slow *s)
{
	hf_close(s->hf);
	s->hf = NULL;
}

static int
by_rate(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void
a_slow_follower_does_not_slow_the_server(void)
{
	struct load l;
	struct slow slow = { .since = HF_FROM_NOW };
	double rate[2][ROUNDS];
	int64_t each = dose() / (2 * ROUNDS);
	check(begin(&l));
	pid_t pid = follower(NULL, NULL); /* a good one, all the time */
	for (int i = 0; i < 2 * ROUNDS; i++) {
		int with = i & 1;
		if (with)
			slow_come(&slow);
		check_calm();
		int64_t began = clock_steady_ns(), from = l.answered_n;
		while (l.answered_n < from + each) {
			pump(&l, l.answered_n + each + BATCHES_IN_FLIGHT * BATCH); /* the pipeline is never empty */
			slow_look(&slow);
			check(l.bad == 0);
		}
		rate[with][i / 2] = (double)(l.answered_n - from) * 1e9 / (double)(clock_steady_ns() - began);
		if (with)
			slow_go(&slow);
	}
	while (hf_in_flight(l.hf) > 0)
		pump(&l, 0);
	qsort(rate[0], ROUNDS, sizeof rate[0][0], by_rate);
	qsort(rate[1], ROUNDS, sizeof rate[1][0], by_rate);
	double without = rate[0][ROUNDS / 2], with = rate[1][ROUNDS / 2];
	printf("     medians of %d rounds each: %.0f changes/s without, %.0f with a slow follower: ratio %.2f\n"
	    "     the slow one took %lld changes and was closed %lld times\n", ROUNDS, without, with, with / without, (long long)slow.changes_n,
	    (long long)slow.closed_n);
	check_equal(told_to_end(pid), 0);
	copy_is_equal(&l);
	hf_close(l.hf);
	server_remove(&server);
}

static const struct check tests[] = {
	CHECK(the_copy_is_equal_after_kills_on_both_sides),
	CHECK(a_slow_follower_does_not_slow_the_server),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv);
}
