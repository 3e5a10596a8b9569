/* feed_world.c: the contract is in feed_world.h. */
#include "tests/feed_world.h"
#include "tests/check.h"
#include "tests/image_rig.h"

#define NOW INT64_C(1700000000000)
#define SLOTS (WATCHERS_MAX + 8)

struct feed_world feed_world;

static struct bytes
text(const char *s)
{
	return (struct bytes){ (const uint8_t *)s, (uint32_t)strlen(s) };
}

static void
engine_make(struct step_buffer *steps)
{
	static const struct engine_limits limits = { .cells_max = 2000, .skus_max = 200, .locations_max = 16, .sources_max = 16, .channels_max = 8,
		.groups_max = 4, .reservations_max = 64, .extra_lines_max = 8192, .blobs_max = 64, .quarantine_max = 4, .history_max = 65536,
		.free_ids_max = 64 };
	size_t n = engine_memory_bytes(&limits);
	feed_world.memory = aligned_alloc(64, (n + 63) / 64 * 64);
	ensure(n > 0 && feed_world.memory);
	memset(feed_world.memory, 0, n);
	feed_world.engine = engine_init(feed_world.memory, &limits, 1);
	ensure(!engine_load_done(feed_world.engine));
	engine_begin(feed_world.engine, NOW, steps);
	struct engine_options options = engine_options_default;
	options.value[OPTION_HISTORY_MAX] = limits.history_max;
	options.value[OPTION_FREE_IDS_MAX] = limits.free_ids_max;
	ensure(!engine_set_options(feed_world.engine, &options));
}

static void
receipt(uint64_t n, uint32_t sku)
{
	char name[16];
	struct result r;
	snprintf(name, sizeof name, "S%u", sku);
	struct command c = { .kind = COMMAND_EVENT, .event = { .source = text("wms"), .n = n, .kind = EVENT_RECEIPT, .sku = text(name),
		.location = text("L"), .qty = 1 + (int64_t)(n % 3), .at = NOW } };
	engine_execute(feed_world.engine, &c, &r);
	ensure(r.status == STATUS_OK);
}

/* By another way than the feed's: each step of each batch. */
static void
changes_note(const struct log_batch *b)
{
	static struct change step[CHANGES_STEP_MAX];
	struct change_walk walk;
	struct why why;
	uint32_t n;
	change_walk_begin(&walk, b);
	while (change_walk_step(&walk, step, &n, &why) == 1)
		for (uint32_t i = 0; i < n; i++) {
			ensure(feed_world.n < FEED_WORLD_CHANGES_MAX);
			feed_world.changes[feed_world.n++] = step[i];
		}
}

static uint64_t
oldest(void *context)
{
	return feed_world.oldest;
}

static void
batches_make(struct log_tail *tail)
{
	struct step_buffer steps = { .size = 64 * STEP_ROOM };
	struct why why;
	uint64_t n = 0, seed = check_seed(5);
	steps.bytes = malloc(steps.size);
	ensure(steps.bytes);
	engine_make(&steps);
	for (int i = 0; i < FEED_WORLD_BATCHES; i++) {
		for (uint64_t count = 2 + draw(&seed) % (FEED_WORLD_STEPS_MAX - 1); count > 0; count--) {
			n++;
			receipt(n, n <= FEED_WORLD_SKUS ? (uint32_t)n : (uint32_t)(draw(&seed) % FEED_WORLD_SKUS));
		}
		struct log_batch b = { .epoch = tail->epoch, .first_seq = steps.first_seq, .steps = steps.steps, .stamp_ms = NOW, .payload = steps.bytes,
			.payload_n = steps.used };
		ensure(feed_world.log->calls->append(feed_world.log, &b, &why) == LOG_DURABLE);
		changes_note(&b);
		feed_world.kept[i] = b;
		feed_world.kept[i].payload = memcpy(malloc(b.payload_n), b.payload, b.payload_n);
		tail->last_seq = b.first_seq + b.steps - 1;
		engine_begin(feed_world.engine, NOW, &steps);
	}
	free(steps.bytes);
}

void
feed_world_begin(void)
{
	struct log_tail tail;
	struct why why;
	memset(&feed_world, 0, sizeof feed_world);
	feed_world.store = sim_store_new();
	feed_world.log = sim_log_open(feed_world.store);
	ensure(feed_world.log->calls->claim(feed_world.log, &tail, &why) == 0);
	batches_make(&tail);
	feed_world.first = feed_world.changes[0].seq;
	feed_world.last = tail.last_seq;
	feed_world.oldest = feed_world.kept[0].first_seq;
	feed_world.batcher = batcher_new(feed_world.engine, feed_world.log, &tail, BATCH_BYTES_MIN, &why);
	feed_world.service = (struct service){ .engine = feed_world.engine };
	const struct feed_parts parts = { .service = &feed_world.service, .batcher = feed_world.batcher, .log = feed_world.log, .oldest = oldest };
	ensure(feed_world.batcher && batcher_durable(feed_world.batcher) == feed_world.last);
	feed_world.feed = feed_open(&parts, &why);
	feed_world.road = feed_world.feed ? feed_join(feed_world.feed, NULL, SLOTS) : NULL;
	ensure(feed_world.road);
	feed_world.feed->now_ms = 1000000;
}

void
feed_world_end(void)
{
	watchers_end(feed_world.feed);
	snapshots_end(feed_world.feed);
	feed_close(feed_world.feed);
	batcher_free(feed_world.batcher);
	feed_world.log->calls->close(feed_world.log);
	sim_store_free(feed_world.store);
	for (int i = 0; i < FEED_WORLD_BATCHES; i++)
		free((void *)(uintptr_t)feed_world.kept[i].payload);
	free(feed_world.memory);
}

uint64_t
feed_world_token(uint32_t i)
{
	uint64_t token = (UINT64_C(7) << 32) | i;
	atomic_store(&feed_world.road->gauges[i].token, token);
	return token;
}

struct watch_answer
feed_world_watch(uint32_t i, uint64_t since)
{
	struct watch_ask ask = { .full = true, .has_since = true, .since = since };
	struct watch_answer a;
	feed_world.feed->asking = feed_world.road;
	feed_world.feed->asking_token = feed_world_token(i);
	feed_watch(feed_world.feed, &ask, &a);
	return a;
}
