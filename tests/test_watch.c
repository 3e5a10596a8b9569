/* test_watch.c: what a watcher of a live server is told: filters, forms, positions, refusals. With one loop and with two. */
#include "tests/watch_rig.h"

static void
a_watcher_is_told_what_changes(void)
{
	check(watch_begin("1G"));
	check(event("receipt", "A", "L", 5) > 0);
	check(like(peer_ask(&watcher, "[0,7,'watch',[]]"), "[1, 7, nil, {\"seq\"=>*}]"));
	long seq = event("receipt", "A", "L", 2);
	check(told("[%ld, \"A\", \"L\", 7, 5]]]", seq));
	seq = event("sale", "A", "L", 10);
	check(told("[%ld, \"A\", \"L\", -3, 7]]]", seq));
	seq = event("receipt", "B", "M", 1);
	check(told("[%ld, \"B\", \"M\", 1, 0]]]", seq));
	/* Long enough for the watcher to be told of the hold before its end: a machine that stands still would have both told as one. */
	check(like(peer_ask(&writer, "[0,2,'reserve',['r1',[['B','M',1]],{'ttl_ms':1000}]]"), "[1, 2, nil, *"));
	check(told("[%ld, \"B\", \"M\", 0, 1]]]", seq + 1));
	check(told("[%ld, \"B\", \"M\", 1, 0]]]", seq + 2)); /* its end was nobody's command */
	watch_end();
}

static void
filters_leave_out_what_is_not_asked_for(void)
{
	static const struct { const char *filter, *cell; } rows[] = {
		{ "'location':'L2'", "\"A\", \"L2\", 1, 0" },
		{ "'sku':'B'", "\"B\", \"L1\", 1, 0" },
		{ "'sku':'A','location':'L3'", "\"A\", \"L3\", 1, 0" },
		{ "'group':'G','sku':'A'", "\"A\", \"L3\", 1, 0" },
		{ "'sku':nil,'location':nil,'else':1", "\"A\", \"L1\", 1, 0" },
	};
	struct peer p[5];
	check(watch_begin("1G"));
	check(event("receipt", "A", "L1", 1) && event("receipt", "B", "L2", 1) && event("receipt", "C", "L3", 1));
	check(event("sale", "A", "L1", 1) && event("sale", "B", "L2", 1) && event("sale", "C", "L3", 1));
	check(like(peer_ask(&writer, "[0,2,'policy',[{'set':{'groups':{'G':{'members':['L3','L1']}}}}]]"), "[1, 2, nil, *"));
	for (int i = 0; i < 5; i++) {
		check(peer_open(&p[i], rig_server.rpc));
		check(like(peer_ask(&p[i], "[0,1,'watch',[{%s}]]", rows[i].filter), "[1, 1, nil, {\"seq\"=>*}]"));
	}
	check(event("receipt", "A", "L1", 1) && event("receipt", "A", "L2", 1) && event("receipt", "A", "L3", 1) && event("receipt", "B", "L1", 1));
	for (int i = 0; i < 5; i++) {
		const char *text = peer_answer(&p[i]);
		if (i == 3) {
			check(like(text, "[2, \"changed\", [[*, \"A\", \"L1\", 1, 0]*"));
			if (!wire_like(text, "*\"L3\"*"))
				check(like(peer_answer(&p[i]), "[2, \"changed\", [[*, %s]]]", rows[i].cell));
			else
				check(!wire_like(text, "*\"L2\"*"));
		} else {
			check(like(text, "[2, \"changed\", [[*, %s]*", rows[i].cell));
		}
		peer_close(&p[i]);
	}
	watch_end();
}

static void
a_group_means_its_members_of_now(void)
{
	check(watch_begin("1G"));
	check(event("receipt", "A", "L1", 1) && event("receipt", "A", "L2", 1));
	check(like(peer_ask(&writer, "[0,2,'policy',[{'set':{'groups':{'G':{'members':['L1']}}}}]]"), "[1, 2, nil, *"));
	check(like(peer_ask(&watcher, "[0,1,'watch',[{'group':'G'}]]"), "[1, 1, nil, {\"seq\"=>*}]"));
	check(event("receipt", "A", "L2", 1) && event("receipt", "A", "L1", 1));
	check(told("[*, \"A\", \"L1\", 2, 1]]]%s", ""));
	check(like(peer_ask(&writer, "[0,2,'policy',[{'set':{'groups':{'G':{'members':['L2']}}}}]]"), "[1, 2, nil, *"));
	check(event("receipt", "A", "L1", 1) && event("receipt", "A", "L2", 1));
	check(told("[*, \"A\", \"L2\", 3, 2]]]%s", ""));
	check(like(peer_ask(&writer, "[0,2,'policy',[{'set':{'groups':{'G':nil}}}]]"), "[1, 2, nil, *"));
	check(event("receipt", "A", "L2", 1));
	check(like(peer_answer(&watcher), "[2, \"reached\", [*]]")); /* no group any more: nothing is told */
	watch_end();
}

static void
full_tells_every_change_and_thresholds(void)
{
	check(watch_begin("1G"));
	check(like(peer_ask(&watcher, "[0,1,'watch',[{'full':true}]]"), "[1, 1, nil, {\"seq\"=>*}]"));
	check(like(peer_ask(&third, "[0,1,'watch',[{'threshold_only':true}]]"), "[1, 1, nil, {\"seq\"=>*}]"));
	check(event("receipt", "A", "L", 2));
	check(told("[*, \"A\", \"L\", 2, 0, 2, \"back\"]]]%s", ""));
	check(like(peer_answer(&third), "[2, \"changed\", [[*, \"A\", \"L\", 2, 0]]]"));
	check(event("unsell", "A", "L", 1) && event("sale", "A", "L", 1));
	const char *text = peer_answer(&watcher);
	if (wire_like(text, "[2, \"changed\", [[*, \"A\", \"L\", 1, 2, 2, nil]]]")) /* or merged with the next */
		text = peer_answer(&watcher);
	check(like(text, "[2, \"changed\", [[*, \"A\", \"L\", 0, *, 1, \"out\"]]]"));
	check(like(peer_answer(&third), "[2, \"changed\", [[*, \"A\", \"L\", 0, *]]]"));
	/* A fulfilment moves on_hand and leaves the ATS: only full tells it. */
	check(event("receipt", "A", "L", 3));
	check(told("[*, \"A\", \"L\", 3, 0, 4, \"back\"]]]%s", ""));
	check(like(peer_answer(&third), "[2, \"changed\", [[*, \"A\", \"L\", 3, 0]]]"));
	check(like(peer_ask(&writer, "[0,2,'reserve',['r1',[['A','L',1]]]]"), "[1, 2, nil, *"));
	check(told("[*, \"A\", \"L\", 2, 3, 4, nil]]]%s", ""));
	check(like(peer_ask(&writer, "[0,2,'commit',['r1']]"), "[1, 2, nil, *"));
	check(told("[*, \"A\", \"L\", 2, 2, 4, nil]]]%s", ""));
	check(like(peer_ask(&writer, "[0,2,'fulfil',['r1']]"), "[1, 2, nil, *"));
	check(told("[*, \"A\", \"L\", 2, 2, 3, nil]]]%s", ""));
	check(like(peer_answer(&third), "[2, \"reached\", [*]]"));
	watch_end();
}

static void
a_quiet_watcher_hears_how_far_it_is(void)
{
	check(watch_begin("1G"));
	check(event("receipt", "A", "L", 1) && event("receipt", "B", "L", 1));
	check(like(peer_ask(&watcher, "[0,1,'watch',[{'sku':'A'}]]"), "[1, 1, nil, *"));
	long seq = event("receipt", "B", "L", 1);
	check(like(peer_answer(&watcher), "[2, \"reached\", [%ld]]", seq));
	seq = event("receipt", "A", "L", 1);
	check(told("[%ld, \"A\", \"L\", 2, 1]]]", seq));
	watch_end();
}

static void
since_goes_on_and_says_when_it_cannot(void)
{
	check(watch_begin("1G"));
	long first = event("receipt", "A", "L", 1);
	long second = event("receipt", "A", "L", 2);
	check(like(peer_ask(&watcher, "[0,1,'watch',[{'since':%ld}]]", first), "[1, 1, nil, {\"seq\"=>%ld}]", first));
	check(told("[%ld, \"A\", \"L\", 3, 1]]]", second));
	check(like(peer_ask(&watcher, "[0,2,'watch',[]]"), "[1, 2, [\"limit\", *, {\"which\"=>\"watch\"}], nil]"));
	check(like(peer_ask(&third, "[0,1,'watch',[{'since':%ld}]]", second + 5), "[1, 1, [\"behind\", *, {\"seq\"=>%ld}], nil]", second));
	check(like(peer_ask(&third, "[0,1,'watch',[{'sku':'X'}]]"), "[1, 1, [\"unknown_sku\", *"));
	check(like(peer_ask(&third, "[0,1,'watch',[{'location':'X'}]]"), "[1, 1, [\"unknown_location\", *"));
	check(like(peer_ask(&third, "[0,1,'watch',[{'location':'L','group':'L'}]]"), "[1, 1, [\"bad_request\", *"));
	check(like(peer_ask(&third, "[0,1,'watch',[{'since':1.5}]]"), "[1, 1, [\"bad_request\", *"));
	check(like(peer_ask(&third, "[0,1,'watch',[{'full':1}]]"), "[1, 1, [\"bad_request\", *"));
	check(like(peer_ask(&third, "[0,1,'watch',[7]]"), "[1, 1, [\"bad_request\", *"));
	check(like(peer_ask(&third, "[0,1,'watch',[{'since':0}]]"), "[1, 1, nil, *")); /* what was refused is no watch */
	check(like(peer_answer(&third), "[2, \"changed\", [[%ld, \"A\", \"L\", 3, 0]]]", second)); /* merged */
	long now = event("sale", "A", "L", 1); /* both are live now */
	check(told("[%ld, \"A\", \"L\", 2, 3]]]", now));
	check(like(peer_answer(&third), "[2, \"changed\", [[%ld, \"A\", \"L\", 2, 3]]]", now));
	watch_end();
}

static void
a_stop_ends_the_watchers(void)
{
	check(watch_begin("1G"));
	check(like(peer_ask(&watcher, "[0,1,'watch',[]]"), "[1, 1, nil, *"));
	check(event("receipt", "A", "L", 1));
	check(told("[*, \"A\", \"L\", 1, 0]]]%s", ""));
	check_equal(server_stop(&rig_server), 0);
	check(strcmp(peer_answer(&watcher), "closed") == 0);
	watch_end();
}

#define LOOPED(X) \
	X(a_watcher_is_told_what_changes) \
	X(filters_leave_out_what_is_not_asked_for) \
	X(a_group_means_its_members_of_now) \
	X(full_tells_every_change_and_thresholds) \
	X(a_quiet_watcher_hears_how_far_it_is) \
	X(since_goes_on_and_says_when_it_cannot) \
	X(a_stop_ends_the_watchers)
LOOPED(RIG_TWO_LOOPS)

int
main(int argc, char **argv)
{
	static const struct check tests[] = { LOOPED(RIG_CHECK_BOTH) };
	return rig_run(tests, sizeof tests / sizeof tests[0], argc, argv);
}
