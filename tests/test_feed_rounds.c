/*
 * test_feed_rounds.c: streams and watchers, round by round (feed_world.h). What load and luck would bring about in a live server is made
 * here: positions inside a batch, a watcher that waits for the live stream, a journal that is trimmed under one who catches up.
 */
#include "tests/check.h"
#include "tests/feed_world.h"

#include "net/codec_read.h"

/* ---- what is told ---- */

struct seen {
	uint64_t last; /* position of the last item */
	int64_t ats[FEED_WORLD_SKUS + 1]; /* of each SKU, as told last; -1: not told */
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
	fine = fine && number <= FEED_WORLD_SKUS && (uint64_t)seq >= s->last && (s->ats[number] < 0 || s->ats[number] == was);
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
	for (; feed_get(feed_world.road, &m); feed_release(feed_world.road)) {
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
		for (int k = 0; k <= FEED_WORLD_SKUS; k++)
			seen[i].ats[k] = -1;
	return seen;
}

/* What comes behind `since` and nothing else: what each SKU had in the end, and nothing of one that did not change. */
static bool
seen_rightly(const struct seen *s, uint64_t since, uint32_t n)
{
	int64_t ats[FEED_WORLD_SKUS + 1];
	memset(ats, -1, sizeof ats);
	for (uint32_t i = 0; i < feed_world.n; i++) {
		struct bytes name = view_sku_name(feed_world.engine, feed_world.changes[i].sku);
		if (feed_world.changes[i].seq > since)
			ats[strtoul((const char *)name.at + 1, NULL, 10)] = feed_world.changes[i].ats;
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
	const struct window *window = &feed_world.feed->window;
	uint32_t found = 0;
	for (uint32_t i = 0; i < feed_world.n; i++) {
		const struct change *c = &feed_world.changes[i], *first = NULL, *last = NULL;
		for (uint32_t k = 0; k < feed_world.n; k++)
			if (feed_world.changes[k].cell == c->cell && feed_world.changes[k].seq > from && feed_world.changes[k].seq <= end) {
				first = first ? first : &feed_world.changes[k];
				last = &feed_world.changes[k];
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
	feed_world_begin();
	for (uint64_t from = feed_world.first - 1; from < feed_world.last; from++)
		for (uint64_t end = from + 1; end <= feed_world.last; end++) {
			struct stream s = { .seq = from };
			check_equal(stream_window(feed_world.feed, &s, feed_world.last, end, &why), 1);
			check_equal(s.seq, end);
			check(window_is(from, end));
			/* And from there on, with the same reader. */
			if (end < feed_world.last) {
				check_equal(stream_window(feed_world.feed, &s, feed_world.last, feed_world.last, &why), 1);
				check(window_is(end, feed_world.last));
			}
			stream_close(feed_world.feed, &s);
		}
	feed_world_end();
}

/* ---- watchers ---- */

/* Rounds until nothing is left to do (each may end at the position of one who waits); the clock goes on as in a quiet server. */
static void
rounds(uint64_t durable)
{
	for (int i = 0; i < 4 * FEED_WORLD_CHANGES_MAX; i++) {
		int64_t sleep_ms = 0;
		feed_world.feed->now_ms += WATCH_GAP_MS;
		watchers_round(feed_world.feed, durable, &sleep_ms);
	}
}

static void
who_waits_for_the_live_stream_is_told_from_his_own_position_on(void)
{
	feed_world_begin();
	uint64_t begun = feed_world.first + 3;
	uint32_t n = (uint32_t)(feed_world.last - begun) + 1;
	struct seen *seen = seen_new(n + 1);
	check(feed_world_watch(0, begun).status == STATUS_OK);
	rounds(begun); /* it is live where the server stands then */
	check(feed_world.feed->live && feed_world.feed->watchers[0]->state == WATCHER_LIVE);
	for (uint32_t i = 1; i <= n; i++) {
		check(feed_world_watch(i, begun + i - 1).status == STATUS_OK);
		check(feed_world.feed->watchers[i]->state == (i == 1 ? WATCHER_LIVE : WATCHER_WAITING));
	}
	rounds(feed_world.last);
	all_taken(seen, n + 1);
	for (uint32_t i = 0; i <= n; i++) {
		check(feed_world.feed->watchers[i]->state == WATCHER_LIVE);
		check(seen_rightly(&seen[i], i ? begun + i - 1 : begun, i));
	}
	free(seen);
	feed_world_end();
}

static void
who_catches_up_is_told_from_his_own_position_on(void)
{
	feed_world_begin();
	uint32_t n = (uint32_t)(feed_world.last - feed_world.first) + 2;
	struct seen *seen = seen_new(n);
	for (uint32_t i = 0; i < n; i++)
		check(feed_world_watch(i, feed_world.first - 1 + i).status == STATUS_OK);
	rounds(feed_world.last);
	all_taken(seen, n);
	for (uint32_t i = 0; i < n; i++) {
		check(feed_world.feed->watchers[i]->state == WATCHER_LIVE);
		check(seen_rightly(&seen[i], feed_world.first - 1 + i, i));
	}
	free(seen);
	feed_world_end();
}

static void
who_is_overtaken_by_the_trimming_is_closed_and_told_gone_when_he_comes_again(void)
{
	struct why why;
	feed_world_begin();
	uint64_t middle = feed_world.kept[FEED_WORLD_BATCHES / 2].first_seq;
	struct seen *seen = seen_new(3);
	check(feed_world_watch(0, feed_world.last).status == STATUS_OK);
	rounds(feed_world.last);
	check(feed_world_watch(1, feed_world.first - 1).status == STATUS_OK); /* the journal still goes back so far ... */
	check(feed_world_watch(2, middle - 1).status == STATUS_OK);
	check_equal(feed_world.log->calls->trim(feed_world.log, middle, &why), 0); /* ... and now no longer */
	feed_world.oldest = middle;
	rounds(feed_world.last);
	all_taken(seen, 3);
	check(seen[1].cut && seen[1].items == 0);
	check_equal(counters_get(&feed_world.feed->counters, COUNTER_WATCHERS_GONE), 1);
	check(!seen[0].cut && seen_rightly(&seen[2], middle - 1, 2));
	struct watch_answer a = feed_world_watch(1, feed_world.first - 1);
	check(a.status == STATUS_GONE && a.number == middle);
	check(feed_world_watch(1, middle - 2).status == STATUS_GONE);
	check(feed_world_watch(1, middle - 1).status == STATUS_OK);
	free(seen);
	feed_world_end();
}

static void
there_are_1024_watchers_and_one_of_each_connection(void)
{
	feed_world_begin();
	check(feed_world_watch(0, feed_world.last).status == STATUS_OK);
	struct watch_answer a = feed_world_watch(0, feed_world.last);
	check(a.status == STATUS_LIMIT && strcmp(a.which, "watch") == 0);
	for (uint32_t i = 1; i < WATCHERS_MAX; i++)
		check(feed_world_watch(i, feed_world.last).status == STATUS_OK);
	a = feed_world_watch(WATCHERS_MAX, feed_world.last);
	check(a.status == STATUS_LIMIT && strcmp(a.which, "watchers") == 0);
	atomic_store(&feed_world.road->gauges[5].token, 0); /* that connection has closed */
	check(feed_world_watch(WATCHERS_MAX, feed_world.last).status == STATUS_OK);
	a = feed_world_watch(WATCHERS_MAX + 1, feed_world.last);
	check(a.status == STATUS_LIMIT && strcmp(a.which, "watchers") == 0);
	feed_world_end();
}

static const struct check tests[] = {
	CHECK(a_stream_goes_on_behind_any_position_also_inside_a_batch),
	CHECK(who_waits_for_the_live_stream_is_told_from_his_own_position_on),
	CHECK(who_catches_up_is_told_from_his_own_position_on),
	CHECK(who_is_overtaken_by_the_trimming_is_closed_and_told_gone_when_he_comes_again),
	CHECK(there_are_1024_watchers_and_one_of_each_connection),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof tests[0], argc, argv);
}
