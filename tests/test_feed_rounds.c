/*
 * test_feed_rounds.c: the feed's rounds by hand: an engine's own batches in a log in memory, a clock that stands where the test puts it, and
 * the durable position given to each round; no server and no thread. What load and luck would bring about in a live one is made here:
 * positions inside a batch, a watcher that waits for the live stream, a journal that is trimmed under one who catches up, old snapshots.
 */
#include "tests/check.h"
#include "tests/image_rig.h"
#include "tests/sim_log.h"

#include "core/engine.h"
#include "net/batcher.h"
#include "net/codec_read.h"
#include "net/feed_part.h"
#include "net/methods.h"
#include "persist/changes.h"

#define NOW INT64_C(1700000000000)
#define BATCHES_MADE 12
#define STEPS_MAX 7 /* of a batch */
#define CHANGES_MAX (BATCHES_MADE * STEPS_MAX)
#define SKUS 20
#define SLOTS (WATCHERS_MAX + 8)

static struct {
	void *memory;
	struct engine *engine;
	struct sim_store *store;
	struct log *log;
	struct batcher *batcher;
	struct service service;
	struct feed *feed;
	struct feed_road *road;
	struct change changes[CHANGES_MAX]; /* all there are, in order: one a step */
	uint32_t n;
	uint64_t first, last, oldest; /* positions of the changes; where the log begins */
	struct log_batch kept[BATCHES_MADE];
} w;

/* ---- the world ---- */

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
	w.memory = aligned_alloc(64, (n + 63) / 64 * 64);
	ensure(n > 0 && w.memory);
	memset(w.memory, 0, n);
	w.engine = engine_init(w.memory, &limits);
	ensure(!engine_load_done(w.engine));
	engine_begin(w.engine, NOW, steps);
	struct engine_options options = engine_options_default;
	options.value[OPTION_HISTORY_MAX] = limits.history_max;
	options.value[OPTION_FREE_IDS_MAX] = limits.free_ids_max;
	ensure(!engine_set_options(w.engine, &options));
}

static void
receipt(uint64_t n, uint32_t sku)
{
	char name[16];
	struct result r;
	snprintf(name, sizeof name, "S%u", sku);
	struct command c = { .kind = COMMAND_EVENT, .event = { .source = text("wms"), .n = n, .kind = EVENT_RECEIPT, .sku = text(name),
		.location = text("L"), .qty = 1 + (int64_t)(n % 3), .at = NOW } };
	engine_execute(w.engine, &c, &r);
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
			ensure(w.n < CHANGES_MAX);
			w.changes[w.n++] = step[i];
		}
}

static uint64_t
oldest(void *context)
{
	return w.oldest;
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
	for (int i = 0; i < BATCHES_MADE; i++) {
		for (uint64_t count = 2 + draw(&seed) % (STEPS_MAX - 1); count > 0; count--) {
			n++;
			receipt(n, n <= SKUS ? (uint32_t)n : (uint32_t)(draw(&seed) % SKUS));
		}
		struct log_batch b = { .epoch = tail->epoch, .first_seq = steps.first_seq, .steps = steps.steps, .stamp_ms = NOW, .payload = steps.bytes,
			.payload_n = steps.used };
		ensure(w.log->calls->append(w.log, &b, &why) == LOG_DURABLE);
		changes_note(&b);
		w.kept[i] = b;
		w.kept[i].payload = memcpy(malloc(b.payload_n), b.payload, b.payload_n);
		tail->last_seq = b.first_seq + b.steps - 1;
		engine_begin(w.engine, NOW, &steps);
	}
	free(steps.bytes);
}

static void
world_begin(void)
{
	struct log_tail tail;
	struct why why;
	memset(&w, 0, sizeof w);
	w.store = sim_store_new();
	w.log = sim_log_open(w.store);
	ensure(w.log->calls->claim(w.log, &tail, &why) == 0);
	batches_make(&tail);
	w.first = w.changes[0].seq;
	w.last = tail.last_seq;
	w.oldest = w.kept[0].first_seq;
	w.batcher = batcher_new(w.engine, w.log, &tail, BATCH_BYTES_MIN, &why);
	w.service = (struct service){ .engine = w.engine };
	const struct feed_parts parts = { .service = &w.service, .batcher = w.batcher, .log = w.log, .oldest = oldest };
	ensure(w.batcher && batcher_durable(w.batcher) == w.last);
	w.feed = feed_open(&parts, &why);
	w.road = w.feed ? feed_join(w.feed, NULL, SLOTS) : NULL;
	ensure(w.road);
	w.feed->now_ms = 1000000;
}

static void
world_end(void)
{
	watchers_end(w.feed);
	snapshots_end(w.feed);
	feed_close(w.feed);
	batcher_free(w.batcher);
	w.log->calls->close(w.log);
	sim_store_free(w.store);
	for (int i = 0; i < BATCHES_MADE; i++)
		free((void *)(uintptr_t)w.kept[i].payload);
	free(w.memory);
}

/* ---- what is asked ---- */

/* Of connection number i, whose token is that slot's. */
static uint64_t
token_of(uint32_t i)
{
	uint64_t token = (UINT64_C(7) << 32) | i;
	atomic_store(&w.road->gauges[i].token, token);
	return token;
}

static struct watch_answer
watch(uint32_t i, uint64_t since)
{
	struct watch_ask ask = { .full = true, .has_since = true, .since = since };
	struct watch_answer a;
	w.feed->asking = w.road;
	w.feed->asking_token = token_of(i);
	feed_watch(w.feed, &ask, &a);
	return a;
}

/* Rounds until nothing is left to do (each may end at the position of one who waits); the clock goes on as in a quiet server. */
static void
rounds(uint64_t durable)
{
	for (int i = 0; i < 4 * CHANGES_MAX; i++) {
		int64_t sleep_ms = 0;
		w.feed->now_ms += WATCH_GAP_MS;
		watchers_round(w.feed, durable, &sleep_ms);
	}
}

/* ---- what is told ---- */

struct seen {
	uint64_t last; /* position of the last item */
	int64_t ats[SKUS + 1]; /* of each SKU, as told last; -1: not told */
	uint32_t items;
	bool cut, wrong;
};

/* [seq, sku, location, ats, was, on_hand, threshold] behind what was told of that SKU. */
static void
item_take(struct reader *r, struct seen *s)
{
	struct bytes sku, location;
	uint32_t members, number;
	int64_t seq, ats, was;
	char name[16];
	bool fine = reader_array(r, &members) && members == 7 && reader_int(r, &seq) && reader_str(r, &sku) && reader_str(r, &location)
	    && reader_int(r, &ats) && reader_int(r, &was) && reader_skip(r) && reader_skip(r);
	snprintf(name, sizeof name, "%.*s", fine ? (int)sku.n : 0, fine ? (const char *)sku.at : "");
	number = (uint32_t)strtoul(name + 1, NULL, 10);
	fine = fine && number <= SKUS && (uint64_t)seq >= s->last && (s->ats[number] < 0 || s->ats[number] == was);
	s->wrong |= !fine;
	if (!fine)
		return;
	s->ats[number] = ats;
	s->last = (uint64_t)seq;
	s->items++;
}

static void
message_take(const struct ring_record *m, struct seen *s)
{
	struct reader r = { m->bytes, m->bytes + m->n };
	struct bytes method;
	uint32_t n = 0;
	if (!reader_array(&r, &n) || !reader_skip(&r) || !reader_str(&r, &method) || !reader_array(&r, &n)) {
		s->wrong = true;
		return;
	}
	if (method.n == 7 && memcmp(method.at, "changed", 7) == 0)
		while (n-- > 0)
			item_take(&r, s);
}

static void
all_taken(struct seen *seen, uint32_t seen_n)
{
	struct ring_record m;
	for (; feed_get(w.road, &m); feed_release(w.road)) {
		struct seen *s = &seen[(uint32_t)m.token];
		ensure((uint32_t)m.token < seen_n);
		s->cut |= m.kind == RING_CUT;
		if (m.kind == RING_TOLD)
			message_take(&m, s);
	}
}

static struct seen *
seen_new(uint32_t n)
{
	struct seen *seen = calloc(n, sizeof *seen);
	ensure(seen);
	for (uint32_t i = 0; i < n; i++)
		for (int k = 0; k <= SKUS; k++)
			seen[i].ats[k] = -1;
	return seen;
}

/* What comes behind `since` and nothing else: what each SKU had in the end, and nothing of one that did not change. */
static bool
seen_rightly(const struct seen *s, uint64_t since, uint32_t n)
{
	int64_t ats[SKUS + 1];
	memset(ats, -1, sizeof ats);
	for (uint32_t i = 0; i < w.n; i++) {
		struct bytes name = view_sku_name(w.engine, w.changes[i].sku);
		if (w.changes[i].seq > since)
			ats[strtoul((const char *)name.at + 1, NULL, 10)] = w.changes[i].ats;
	}
	bool right = !s->wrong && !s->cut && memcmp(ats, s->ats, sizeof ats) == 0;
	if (!right)
		printf("     the watcher since %llu (number %u) was told %u items up to %llu%s%s, and not what changed\n", (unsigned long long)since, n,
		    s->items, (unsigned long long)s->last, s->wrong ? ", out of order" : "", s->cut ? ", and cut" : "");
	return right;
}

/* ---- streams ---- */

/* The window's merged changes are those of the steps in (from, end]. */
static bool
window_is(uint64_t from, uint64_t end)
{
	const struct window *window = &w.feed->window;
	uint32_t found = 0;
	for (uint32_t i = 0; i < w.n; i++) {
		const struct change *c = &w.changes[i], *first = NULL, *last = NULL;
		for (uint32_t k = 0; k < w.n; k++)
			if (w.changes[k].cell == c->cell && w.changes[k].seq > from && w.changes[k].seq <= end) {
				first = first ? first : &w.changes[k];
				last = &w.changes[k];
			}
		if (last != c)
			continue;
		found++;
		bool there = false;
		for (uint32_t k = 0; k < window->n; k++) {
			const struct change *m = &window->at[k].change;
			there |= m->cell == c->cell && m->seq == c->seq && m->ats == c->ats && m->was == first->was;
		}
		if (!there)
			return false;
	}
	return window->n == found;
}

static void
a_stream_goes_on_behind_any_position_also_inside_a_batch(void)
{
	struct why why;
	world_begin();
	for (uint64_t from = w.first - 1; from < w.last; from++)
		for (uint64_t end = from + 1; end <= w.last; end++) {
			struct stream s = { .seq = from };
			check_equal(stream_window(w.feed, &s, w.last, end, &why), 1);
			check_equal(s.seq, end);
			check(window_is(from, end));
			/* And from there on, with the same reader. */
			if (end < w.last) {
				check_equal(stream_window(w.feed, &s, w.last, w.last, &why), 1);
				check(window_is(end, w.last));
			}
			stream_close(w.feed, &s);
		}
	world_end();
}

/* ---- watchers ---- */

static void
who_waits_for_the_live_stream_is_told_from_his_own_position_on(void)
{
	world_begin();
	uint64_t begun = w.first + 3;
	uint32_t n = (uint32_t)(w.last - begun) + 1;
	struct seen *seen = seen_new(n + 1);
	check(watch(0, begun).status == STATUS_OK);
	rounds(begun); /* it is live where the server stands then */
	check(w.feed->live && w.feed->watchers[0]->state == WATCHER_LIVE);
	for (uint32_t i = 1; i <= n; i++) {
		check(watch(i, begun + i - 1).status == STATUS_OK);
		check(w.feed->watchers[i]->state == (i == 1 ? WATCHER_LIVE : WATCHER_WAITING));
	}
	rounds(w.last);
	all_taken(seen, n + 1);
	for (uint32_t i = 0; i <= n; i++) {
		check(w.feed->watchers[i]->state == WATCHER_LIVE);
		check(seen_rightly(&seen[i], i ? begun + i - 1 : begun, i));
	}
	free(seen);
	world_end();
}

static void
who_catches_up_is_told_from_his_own_position_on(void)
{
	world_begin();
	uint32_t n = (uint32_t)(w.last - w.first) + 2;
	struct seen *seen = seen_new(n);
	for (uint32_t i = 0; i < n; i++)
		check(watch(i, w.first - 1 + i).status == STATUS_OK);
	rounds(w.last);
	all_taken(seen, n);
	for (uint32_t i = 0; i < n; i++) {
		check(w.feed->watchers[i]->state == WATCHER_LIVE);
		check(seen_rightly(&seen[i], w.first - 1 + i, i));
	}
	free(seen);
	world_end();
}

static void
who_is_overtaken_by_the_trimming_is_closed_and_told_gone_when_he_comes_again(void)
{
	struct why why;
	world_begin();
	uint64_t middle = w.kept[BATCHES_MADE / 2].first_seq;
	struct seen *seen = seen_new(3);
	check(watch(0, w.last).status == STATUS_OK);
	rounds(w.last);
	check(watch(1, w.first - 1).status == STATUS_OK); /* the journal still goes back so far ... */
	check(watch(2, middle - 1).status == STATUS_OK);
	check_equal(w.log->calls->trim(w.log, middle, &why), 0); /* ... and now no longer */
	w.oldest = middle;
	rounds(w.last);
	all_taken(seen, 3);
	check(seen[1].cut && seen[1].items == 0);
	check_equal(counters_get(&w.feed->counters, COUNTER_WATCHERS_GONE), 1);
	check(!seen[0].cut && seen_rightly(&seen[2], middle - 1, 2));
	struct watch_answer a = watch(1, w.first - 1);
	check(a.status == STATUS_GONE && a.number == middle);
	check(watch(1, middle - 2).status == STATUS_GONE);
	check(watch(1, middle - 1).status == STATUS_OK);
	free(seen);
	world_end();
}

static void
there_are_1024_watchers_and_one_of_each_connection(void)
{
	world_begin();
	check(watch(0, w.last).status == STATUS_OK);
	struct watch_answer a = watch(0, w.last);
	check(a.status == STATUS_LIMIT && strcmp(a.which, "watch") == 0);
	for (uint32_t i = 1; i < WATCHERS_MAX; i++)
		check(watch(i, w.last).status == STATUS_OK);
	a = watch(WATCHERS_MAX, w.last);
	check(a.status == STATUS_LIMIT && strcmp(a.which, "watchers") == 0);
	atomic_store(&w.road->gauges[5].token, 0); /* that connection has closed */
	check(watch(WATCHERS_MAX, w.last).status == STATUS_OK);
	a = watch(WATCHERS_MAX + 1, w.last);
	check(a.status == STATUS_LIMIT && strcmp(a.which, "watchers") == 0);
	world_end();
}

/* ---- snapshots ---- */

static void
count(void *context, const struct cell_view *cell)
{
	++*(uint32_t *)context;
}

/* The next page of one cell, at this cursor. The status; *cursor goes on. */
static enum status
page(uint64_t *cursor, uint32_t *cells)
{
	struct snapshot_ask ask = { .cursor = *cursor, .limit = 1 };
	struct snapshot_answer a;
	w.feed->asking = w.road;
	w.feed->asking_token = token_of(0);
	if (!feed_snapshot(w.feed, &ask, &a) || !feed_snapshot_page(w.feed, &ask, count, cells, &a))
		return a.status;
	*cursor = a.cursor;
	return STATUS_OK;
}

static void
a_snapshot_ends_a_minute_after_its_last_page_and_ten_after_its_first(void)
{
	char dir[256];
	struct why why;
	uint32_t cells = 0;
	uint64_t cursor = 0;
	int64_t never = INT64_MAX;
	world_begin();
	folder_new(dir);
	struct image *image = w.feed->parts.image = image_open(dir, 64 << 20, &why);
	for (int i = 0; i < BATCHES_MADE; i++)
		check(image && image_collect(image, &w.kept[i], &why) == 0);
	check_equal(image_commit(image, &why), 0);
	/* Idle. */
	check_equal(page(&cursor, &cells), STATUS_OK);
	w.feed->now_ms += SNAPSHOT_IDLE_MS - 1;
	snapshots_round(w.feed, &never);
	check(never == 1 && page(&cursor, &cells) == STATUS_OK);
	w.feed->now_ms += SNAPSHOT_IDLE_MS;
	snapshots_round(w.feed, &never);
	check_equal(counters_get(&w.feed->counters, COUNTER_SNAPSHOTS_EXPIRED), 1);
	check_equal(page(&cursor, &cells), STATUS_GONE);
	/* Old, however busy. */
	int64_t opened_ms = w.feed->now_ms;
	cursor = 0;
	check_equal(page(&cursor, &cells), STATUS_OK);
	while (w.feed->now_ms + 50000 < opened_ms + SNAPSHOT_AGE_MS) {
		w.feed->now_ms += 50000;
		snapshots_round(w.feed, &never);
		check_equal(page(&cursor, &cells), STATUS_OK);
		check(cursor != 0);
	}
	w.feed->now_ms = opened_ms + SNAPSHOT_AGE_MS - 1;
	snapshots_round(w.feed, &never);
	check_equal(page(&cursor, &cells), STATUS_OK);
	w.feed->now_ms++;
	snapshots_round(w.feed, &never);
	check_equal(page(&cursor, &cells), STATUS_GONE);
	check_equal(counters_get(&w.feed->counters, COUNTER_SNAPSHOTS_EXPIRED), 2);
	world_end();
	image_close(image);
	folder_remove(dir);
}

static const struct check tests[] = {
	CHECK(a_stream_goes_on_behind_any_position_also_inside_a_batch),
	CHECK(who_waits_for_the_live_stream_is_told_from_his_own_position_on),
	CHECK(who_catches_up_is_told_from_his_own_position_on),
	CHECK(who_is_overtaken_by_the_trimming_is_closed_and_told_gone_when_he_comes_again),
	CHECK(there_are_1024_watchers_and_one_of_each_connection),
	CHECK(a_snapshot_ends_a_minute_after_its_last_page_and_ten_after_its_first),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof tests[0], argc, argv);
}
