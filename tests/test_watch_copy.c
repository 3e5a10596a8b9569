/*
 * test_watch_copy.c: a copy of all cells, kept by `watch`, must equal a fresh scan: over ends of both sides, from scans under load and
 * from snapshots, over history that is gone. With one loop and with two.
 */
#include "tests/watch_rig.h"

#include "net/feed.h"

static void
history_that_is_gone_is_said(void)
{
	static struct copy copy, truth;
	uint64_t seq = 0;
	long oldest = 1;
	check(watch_begin("0"));
	copy = (struct copy){ .full = true };
	check(copy_scan(&copy, &third, "", &seq));
	check(load(3) > 0 && watch_again() && load(3) > 0); /* a start begins a new segment */
	while (sscanf(peer_ask(&watcher, "[0,1,'watch',[{'since':0}]]"), "[1, 1, [\"gone\", %*[^{]{\"oldest\"=>%ld}], nil]", &oldest) != 1)
		check(watch_anew(&watcher)); /* until it was trimmed */
	check(oldest > 1);
	check(like(peer_ask(&watcher, "[0,1,'watch',[{'since':%ld}]]", oldest - 2), "[1, 1, [\"gone\", *"));
	/* What is left: the cells that have changed since, and watch from there. */
	char since[48];
	snprintf(since, sizeof since, "'since':%llu,", (unsigned long long)copy.since);
	check(copy_scan(&copy, &third, since, &seq));
	check(copy_watch(&copy, &watcher));
	seq = load(2);
	check(copy_follow(&copy, &watcher, seq));
	check(!copy.wrong && fresh(&truth) && copy_equal(&copy, &truth));
	watch_end();
}

/* The copy follows over ends of the connection and of the server; W1 and F4 with every since there may be. */
static void
a_copy_goes_on_over_kills_of_both_sides(void)
{
	static struct copy plain, full, truth;
	check(watch_begin("1G"));
	plain = (struct copy){ 0 };
	full = (struct copy){ .full = true };
	for (int round = 0; round < 12; round++) {
		check(copy_watch(&plain, &watcher) && copy_watch(&full, &third));
		for (int i = 0; i < 6; i++) {
			writer_put(&writer, &random_state, &event_n, 200);
			check(copy_take(&plain, &watcher) && copy_take(&full, &third));
			check(writer_answer(&writer) > 0);
		}
		check(round % 4 == 3 ? watch_again() : watch_anew(&watcher) && watch_anew(&third));
	}
	uint64_t seq = load(3);
	check(copy_watch(&plain, &watcher) && copy_watch(&full, &third));
	check(copy_follow(&plain, &watcher, seq) && copy_follow(&full, &third, seq));
	check(!plain.wrong && !full.wrong);
	check(watch_anew(&third) && fresh(&truth));
	check(copy_equal(&full, &truth) && copy_equal(&plain, &truth));
	check(full.changes < event_n); /* something was merged */
	watch_end();
}

/* W2: the scan's clock is another than the watch's. */
static void
a_scan_under_load_and_a_watch_make_a_whole_copy(void)
{
	static struct copy copy, truth;
	uint64_t seq = 0, last = 0;
	check(watch_begin("1G"));
	check(load(2) > 0);
	for (int round = 0; round < 10; round++) {
		copy = (struct copy){ .full = round % 2 == 0 };
		for (int i = 0; i < 4; i++)
			writer_put(&writer, &random_state, &event_n, 300);
		check(copy_scan(&copy, &watcher, "", &seq));
		check(copy_watch(&copy, &watcher));
		for (int i = 0; i < 4; i++)
			check((last = writer_answer(&writer)) > 0);
		check(copy_follow(&copy, &watcher, last));
		check(!copy.wrong && fresh(&truth) && copy_equal(&copy, &truth));
		check(watch_anew(&watcher));
	}
	watch_end();
}

static void
pages_of_a_snapshot_are_of_one_instant(void)
{
	static struct copy snapshot, truth;
	uint64_t seq = 0, last = 0;
	check(watch_begin("1G"));
	check(load(3) > 0);
	for (int round = 0; round < 6; round++) {
		snapshot = (struct copy){ .full = true };
		for (int i = 0; i < 4; i++)
			writer_put(&writer, &random_state, &event_n, 300);
		do { /* until the image holds something, and not by a hair */
			check(copy_scan(&snapshot, &watcher, "'snapshot':true,", &seq));
		} while (seq < 200);
		struct copy keep = snapshot;
		check(copy_watch(&snapshot, &watcher)); /* what is behind it */
		for (int i = 0; i < 4; i++)
			check((last = writer_answer(&writer)) > 0);
		check(copy_follow(&snapshot, &watcher, last));
		check(!snapshot.wrong && fresh(&truth) && copy_equal(&snapshot, &truth));
		for (int s = 0; s < COPY_SKUS; s++)
			for (int l = 0; l < COPY_LOCATIONS; l++)
				check(keep.cell[s][l].seq <= seq); /* nothing of a later instant */
		check(watch_anew(&watcher));
	}
	do /* and with nobody writing it is what there is */
		check(copy_scan(&snapshot, &watcher, "'snapshot':true,", &seq));
	while (seq < last);
	check(copy_equal(&snapshot, &truth));
	watch_end();
}

static void
a_snapshot_belongs_to_its_connection_and_there_are_eight(void)
{
	struct peer p[SNAPSHOTS_MAX];
	long long cursor = 0;
	long seq = 0;
	check(watch_begin("1G"));
	check(event("receipt", "A", "L", 1) && event("receipt", "B", "L", 1));
	for (int i = 0; i < SNAPSHOTS_MAX; i++) {
		check(peer_open(&p[i], rig_server.rpc));
		do
			sscanf(peer_ask(&p[i], "[0,1,'scan',[{'snapshot':true,'limit':1}]]"), "[1, 1, nil, {\"seq\"=>%ld, \"cells\"=>[[\"A\", \"L\", %*d, 1, 1]], \"cursor\"=>%lld}", &seq, &cursor);
		while (cursor == 0);
	}
	check(like(peer_ask(&watcher, "[0,1,'scan',[{'snapshot':true}]]"), "[1, 1, [\"limit\", *, {\"which\"=>\"snapshots\"}], nil]"));
	check(like(peer_ask(&watcher, "[0,2,'scan',[{'snapshot':true,'cursor':%lld}]]", cursor), "[1, 2, [\"gone\", *, {}], nil]"));
	/* The cursor alone says what it is of. */
	check(like(peer_ask(&p[SNAPSHOTS_MAX - 1], "[0,3,'scan',[{'cursor':%lld}]]", cursor),
	    "[1, 3, nil, {\"seq\"=>%ld, \"cells\"=>[[\"B\", \"L\", *, 1, 1]], \"cursor\"=>nil}]", seq));
	check(like(peer_ask(&p[SNAPSHOTS_MAX - 1], "[0,3,'scan',[{'cursor':%lld}]]", cursor), "[1, 3, [\"gone\", *"));
	check(like(peer_ask(&watcher, "[0,1,'scan',[{'snapshot':true,'min_seq':%ld}]]", seq + 100), "[1, 1, [\"behind\", *"));
	check(like(peer_ask(&watcher, "[0,1,'scan',[{'snapshot':true,'location':'X'}]]"), "[1, 1, [\"unknown_location\", *"));
	check(like(peer_ask(&watcher, "[0,1,'scan',[{'snapshot':true,'sku_prefix':'B','location':'L','since':1}]]"),
	    "[1, 1, nil, {\"seq\"=>*, \"cells\"=>[[\"B\", *]], \"cursor\"=>nil}]"));
	for (int i = 0; i < SNAPSHOTS_MAX; i++)
		peer_close(&p[i]);
	/* With their connections they are gone. */
	for (int i = 0; i < SNAPSHOTS_MAX; i++) {
		check(peer_open(&p[i], rig_server.rpc));
		while (wire_like(peer_ask(&p[i], "[0,1,'scan',[{'snapshot':true,'limit':1}]]"), "*\"limit\"*"))
			;
	}
	for (int i = 0; i < SNAPSHOTS_MAX; i++)
		peer_close(&p[i]);
	watch_end();
}

#define LOOPED(X) \
	X(history_that_is_gone_is_said) \
	X(a_copy_goes_on_over_kills_of_both_sides) \
	X(a_scan_under_load_and_a_watch_make_a_whole_copy) \
	X(pages_of_a_snapshot_are_of_one_instant) \
	X(a_snapshot_belongs_to_its_connection_and_there_are_eight)
LOOPED(RIG_TWO_LOOPS)

int
main(int argc, char **argv)
{
	static const struct check tests[] = { LOOPED(RIG_CHECK_BOTH) };
	return rig_run(tests, sizeof tests / sizeof tests[0], argc, argv);
}
