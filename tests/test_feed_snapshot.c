/* test_feed_snapshot.c: how long a snapshot lives, by a clock of the test's own (feed_world.h). */
#include "tests/check.h"
#include "tests/feed_world.h"
#include "tests/image_rig.h"

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
	feed_world.feed->asking = feed_world.road;
	feed_world.feed->asking_token = feed_world_token(0);
	if (!feed_snapshot(feed_world.feed, &ask, &a) || !feed_snapshot_page(feed_world.feed, &ask, count, cells, &a))
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
	feed_world_begin();
	folder_new(dir);
	struct image *image = feed_world.feed->parts.image = image_open(dir, 64 << 20, &why);
	for (int i = 0; i < FEED_WORLD_BATCHES; i++)
		check(image && image_collect(image, &feed_world.kept[i], &why) == 0);
	check_equal(image_commit(image, &why), 0);
	/* Idle. */
	check_equal(page(&cursor, &cells), STATUS_OK);
	feed_world.feed->now_ms += SNAPSHOT_IDLE_MS - 1;
	snapshots_round(feed_world.feed, &never);
	check(never == 1 && page(&cursor, &cells) == STATUS_OK);
	feed_world.feed->now_ms += SNAPSHOT_IDLE_MS;
	snapshots_round(feed_world.feed, &never);
	check_equal(counters_get(&feed_world.feed->counters, COUNTER_SNAPSHOTS_EXPIRED), 1);
	check_equal(page(&cursor, &cells), STATUS_GONE);
	/* Old, however busy. */
	int64_t opened_ms = feed_world.feed->now_ms;
	cursor = 0;
	check_equal(page(&cursor, &cells), STATUS_OK);
	while (feed_world.feed->now_ms + 50000 < opened_ms + SNAPSHOT_AGE_MS) {
		feed_world.feed->now_ms += 50000;
		snapshots_round(feed_world.feed, &never);
		check_equal(page(&cursor, &cells), STATUS_OK);
		check(cursor != 0);
	}
	feed_world.feed->now_ms = opened_ms + SNAPSHOT_AGE_MS - 1;
	snapshots_round(feed_world.feed, &never);
	check_equal(page(&cursor, &cells), STATUS_OK);
	feed_world.feed->now_ms++;
	snapshots_round(feed_world.feed, &never);
	check_equal(page(&cursor, &cells), STATUS_GONE);
	check_equal(counters_get(&feed_world.feed->counters, COUNTER_SNAPSHOTS_EXPIRED), 2);
	feed_world_end();
	image_close(image);
	folder_remove(dir);
}

static const struct check tests[] = {
	CHECK(a_snapshot_ends_a_minute_after_its_last_page_and_ten_after_its_first),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof tests[0], argc, argv);
}
