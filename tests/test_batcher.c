/*
 * test_batcher.c: the batches between a real engine and a log of the test's own, which holds an append until it is told, fails when it
 * is told, and keeps what it was given.
 */
#include "tests/check.h"

#include "net/batcher.h"
#include "net/clock.h"

#include <pthread.h>
#include <stdbool.h>
#include <sys/mman.h>

#define NOW INT64_C(1700000000000)
#define ADDED_MAX 4096

struct slow_log {
	struct log log;
	pthread_mutex_t lock;
	pthread_cond_t turn;
	bool hold, fail;
	unsigned entered, appended; /* appends begun; done */
	uint64_t next_seq;
	bool gap; /* a batch did not follow the one before */
	int64_t stamps[ADDED_MAX];
};

static struct slow_log slow;
static struct engine *engine;
static struct batcher *batcher;
static void *memory;
static size_t memory_bytes;

static enum log_outcome
slow_append(struct log *log, const struct log_batch *batch, struct why *why)
{
	struct slow_log *s = (struct slow_log *)log;
	enum log_outcome outcome = LOG_DURABLE;
	pthread_mutex_lock(&s->lock);
	s->entered++;
	pthread_cond_broadcast(&s->turn);
	while (s->hold)
		pthread_cond_wait(&s->turn, &s->lock);
	s->gap |= batch->first_seq != s->next_seq;
	s->next_seq = batch->first_seq + batch->steps;
	s->stamps[s->appended++ % ADDED_MAX] = batch->stamp_ms;
	if (s->fail) {
		snprintf(why->text, sizeof why->text, "as told");
		outcome = LOG_UNKNOWN;
	}
	pthread_mutex_unlock(&s->lock);
	return outcome;
}

static const struct log_calls slow_calls = { .append = slow_append };

static void
slow_set(bool hold, bool fail)
{
	pthread_mutex_lock(&slow.lock);
	slow.hold = hold;
	slow.fail = fail;
	pthread_cond_broadcast(&slow.turn);
	pthread_mutex_unlock(&slow.lock);
}

/* Waits until the n-th append has begun. */
static void
slow_wait(unsigned n)
{
	pthread_mutex_lock(&slow.lock);
	while (slow.entered < n)
		pthread_cond_wait(&slow.turn, &slow.lock);
	pthread_mutex_unlock(&slow.lock);
}

static bool
begin(void)
{
	struct engine_limits limits = { .cells_max = 1000, .skus_max = 1000, .locations_max = 10, .sources_max = 10, .channels_max = 10,
		.groups_max = 4, .reservations_max = 100000, .extra_lines_max = 1000, .blobs_max = 1000, .quarantine_max = 10,
		.history_max = 1000, .free_ids_max = 1000 };
	struct log_tail tail = { .epoch = 1 };
	struct why why;
	slow = (struct slow_log){ .log = { &slow_calls }, .next_seq = 1 };
	pthread_mutex_init(&slow.lock, NULL);
	pthread_cond_init(&slow.turn, NULL);
	memory_bytes = engine_memory_bytes(&limits);
	memory = mmap(NULL, memory_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	engine = engine_init(memory, &limits, 1);
	batcher = batcher_new(engine, &slow.log, &tail, (size_t)8 << 20, &why);
	return batcher && engine_load_done(engine) == NULL && batcher_start(batcher, &why) == 0;
}

static void
end(void)
{
	slow_set(false, slow.fail);
	batcher_free(batcher);
	munmap(memory, memory_bytes);
}

static struct bytes
text(const char *s)
{
	return (struct bytes){ (const uint8_t *)s, (uint32_t)strlen(s) };
}

static void
receive_stock(void)
{
	static uint64_t n;
	struct command command = { .kind = COMMAND_EVENT, .event = { .source = text("s"), .n = ++n, .kind = EVENT_RECEIPT,
		.sku = text("A"), .location = text("L"), .qty = 1000000, .at = -1, .as_of = -1, .raw = text("x") } };
	struct result result;
	if (engine_seq(engine) == 0)
		command.event.n = n = 1;
	engine_execute(engine, &command, &result);
	if (result.status != STATUS_OK)
		printf("receipt: %s\n", result.message);
}

static uint64_t
reserve(const char *id, int64_t ttl_ms)
{
	struct asked_line line = { text("A"), text("L"), 1 };
	struct command command = { .kind = COMMAND_RESERVE, .reserve = { .id = text(id), .lines = &line, .lines_n = 1, .ttl_ms = ttl_ms } };
	struct result result;
	engine_execute(engine, &command, &result);
	return result.status == STATUS_OK ? result.seq : 0;
}

/* The journal's thread stands in the append of the first batch. */
static bool
begin_stalled(void)
{
	bool begun = begin();
	slow_set(true, false);
	begun = begun && batcher_begin(batcher, NOW);
	receive_stock();
	batcher_end(batcher);
	slow_wait(1);
	return begun;
}

static void
what_is_decided_is_durable_only_after_its_append(void)
{
	check(begin_stalled());
	check_equal(batcher_durable(batcher), 0);
	struct why why;
	slow_set(false, false);
	check_equal(batcher_settle(batcher, &why), 0);
	check_equal(batcher_durable(batcher), engine_seq(engine));
	end();
}

static void
while_one_batch_is_appended_the_next_one_gathers(void)
{
	struct why why;
	char id[16];
	check(begin_stalled());
	for (int i = 0; i < 100; i++) { /* a hundred rounds */
		check(batcher_begin(batcher, NOW + 1));
		snprintf(id, sizeof id, "r%d", i);
		check(reserve(id, 60000) != 0);
		batcher_end(batcher);
	}
	slow_set(false, false);
	check_equal(batcher_settle(batcher, &why), 0);
	check_equal(slow.appended, 2);
	check(!slow.gap);
	check_equal(batcher_durable(batcher), engine_seq(engine));
	end();
}

static void
holds_end_on_time_however_slow_the_disk(void)
{
	enum { HOLDS = 500 };
	struct why why;
	char id[16];
	int64_t now = NOW;
	check(begin());
	slow_set(true, false);
	check(batcher_begin(batcher, now));
	receive_stock();
	for (int i = 0; i < HOLDS; i++) {
		snprintf(id, sizeof id, "r%d", i);
		check(reserve(id, 1 + i) != 0);
	}
	batcher_end(batcher);
	slow_wait(1);
	/* Each millisecond a hold ends while the append stands still: time goes on, and who asks is answered by it. */
	for (int i = 0; i < HOLDS; i++) {
		check(batcher_begin(batcher, ++now));
		check_equal(engine_now(engine), now);
		check(engine_next_deadline(engine) > now);
		snprintf(id, sizeof id, "n%d", i);
		check(reserve(id, 60000) != 0);
		batcher_end(batcher);
	}
	slow_set(false, false);
	check_equal(batcher_settle(batcher, &why), 0);
	check(!slow.gap);
	check_equal(batcher_durable(batcher), engine_seq(engine));
	check(slow.appended <= 3); /* the first, all that waited behind it, and what was open then */
	for (unsigned i = 1; i < slow.appended; i++)
		check(slow.stamps[i] >= slow.stamps[i - 1]);
	check_equal(slow.stamps[slow.appended - 1], now);
	end();
}

static void
when_every_batch_is_full_and_the_disk_stands_everybody_waits(void)
{
	struct why why;
	char id[16];
	int n = 0;
	check(begin_stalled());
	for (; batcher_begin(batcher, NOW) && batcher_room(batcher); n++) {
		snprintf(id, sizeof id, "r%d", n);
		check(reserve(id, 60000) != 0);
		if (!batcher_room(batcher))
			batcher_end(batcher);
	}
	check(n > 1000);
	check(!batcher_begin(batcher, NOW)); /* still */
	slow_set(false, false);
	while (!batcher_begin(batcher, NOW)) /* free again as soon as one append is done */
		;
	check_equal(batcher_settle(batcher, &why), 0);
	check(!slow.gap);
	check_equal(batcher_durable(batcher), engine_seq(engine));
	end();
}

static void
a_batch_that_has_been_open_for_long_waits_for_the_journal_sealed(void)
{
	struct why why;
	check(begin_stalled());
	check(batcher_begin(batcher, NOW + 1));
	check(reserve("a", 60000) != 0);
	check(batcher_begin(batcher, NOW + 2 + OPEN_MS_MAX));
	check_equal(engine_now(engine), NOW + 2 + OPEN_MS_MAX);
	slow_set(false, false);
	slow_wait(2); /* nobody handed it over */
	check_equal(slow.stamps[1], NOW + 1);
	check_equal(batcher_settle(batcher, &why), 0);
	end();
}

static void
mass_expiry_ends_before_anything_else_is_handled(void)
{
	enum { HOLDS = 60000 };
	struct why why;
	char id[16];
	check(begin());
	check(batcher_begin(batcher, NOW));
	receive_stock();
	for (int i = 0; i < HOLDS; i++) {
		if (!batcher_room(batcher)) {
			batcher_end(batcher);
			while (!batcher_begin(batcher, NOW))
				;
		}
		snprintf(id, sizeof id, "r%d", i);
		check(reserve(id, 5) != 0);
	}
	while (!batcher_begin(batcher, NOW + 5))
		;
	check(engine_next_deadline(engine) > NOW + 5);
	struct engine_usage usage;
	engine_usage(engine, &usage);
	check_equal(usage.reservations_open, 0);
	check_equal(batcher_settle(batcher, &why), 0);
	check(!slow.gap);
	check_equal(batcher_durable(batcher), engine_seq(engine));
	end();
}

static void
after_a_failed_append_nothing_is_acknowledged_any_more(void)
{
	struct why why;
	check(begin());
	check(batcher_begin(batcher, NOW));
	receive_stock();
	check_equal(batcher_settle(batcher, &why), 0);
	uint64_t durable = batcher_durable(batcher);
	check(batcher_begin(batcher, NOW + 1));
	check(reserve("a", 60000) != 0);
	slow_set(false, true);
	check_equal(batcher_settle(batcher, &why), -1);
	check(strcmp(why.text, "as told") == 0);
	check(batcher_failed(batcher));
	check(!batcher_begin(batcher, NOW + 2));
	check_equal(batcher_durable(batcher), durable);
	check_equal(slow.appended, 2);
	end();
}

static void
reserve_some(const char *prefix, int n)
{
	char id[16];
	for (int i = 0; i < n; i++) {
		snprintf(id, sizeof id, "%s%d", prefix, i);
		check(reserve(id, 60000) != 0);
	}
}

static void
a_long_append_tells_how_long_what_waits_will_take(void)
{
	struct why why;
	check(begin());
	check(batcher_begin(batcher, NOW));
	receive_stock();
	reserve_some("a", 2000); /* some 250 KB */
	slow_set(true, false);
	batcher_end(batcher);
	slow_wait(1);
	check(batcher_begin(batcher, NOW + 1));
	reserve_some("b", 500); /* the append takes as long; this one, of 60 KB, tells nothing of the pace */
	check_equal(batcher_ahead_ns(batcher), 0);
	slow_set(false, false);
	check_equal(batcher_settle(batcher, &why), 0);
	check_equal(batcher_ahead_ns(batcher), 0);
	check(batcher_begin(batcher, NOW + 2));
	reserve_some("c", 100);
	int64_t ahead_ns = batcher_ahead_ns(batcher);
	check(ahead_ns > 0);
	slow_set(true, false);
	batcher_end(batcher);
	slow_wait(3);
	check_equal(batcher_ahead_ns(batcher), ahead_ns);
	check(batcher_begin(batcher, NOW + 3));
	reserve_some("d", 100);
	check(batcher_ahead_ns(batcher) > ahead_ns);
	slow_set(false, false);
	check_equal(batcher_settle(batcher, &why), 0);
	check_equal(batcher_ahead_ns(batcher), 0);
	end();
}

static const struct check tests[] = {
	CHECK(what_is_decided_is_durable_only_after_its_append),
	CHECK(while_one_batch_is_appended_the_next_one_gathers),
	CHECK(holds_end_on_time_however_slow_the_disk),
	CHECK(when_every_batch_is_full_and_the_disk_stands_everybody_waits),
	CHECK(a_batch_that_has_been_open_for_long_waits_for_the_journal_sealed),
	CHECK(mass_expiry_ends_before_anything_else_is_handled),
	CHECK(a_long_append_tells_how_long_what_waits_will_take),
	CHECK(after_a_failed_append_nothing_is_acknowledged_any_more),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv);
}
