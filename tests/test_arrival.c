/*
 * test_arrival.c: whatever way events arrive, they mean the same: repeated and shuffled inside the window (P3), deltas and counts
 * in every order (P4). Judged by the stock digest and by arithmetic that knows only D33 to D35.
 *
 *   HOLDFAST_SEED=N   another first seed       HOLDFAST_RUNS=N   more of them
 */
#include "tests/check.h"
#include "tests/twin_run.h"

#include "core/digest.h"

static const struct engine_limits limits = { .cells_max = 8192, .skus_max = 8192, .locations_max = 16, .sources_max = 8, .channels_max = 2,
	.groups_max = 2, .reservations_max = 64, .extra_lines_max = 64, .blobs_max = 65536, .quarantine_max = 8192, .history_max = 65536,
	.free_ids_max = 65536 };

struct rig {
	struct engine *engine;
	void *memory;
	struct step_buffer out;
	int64_t now;
	uint64_t applied, absorbed, reconciled, duplicates, stale, other;
};

static void
rig_open(struct rig *g, const struct engine_limits *l)
{
	*g = (struct rig){ .now = DRAW_EPOCH };
	g->engine = run_engine(l, &g->memory);
	g->out = (struct step_buffer){ .bytes = malloc(STEP_ROOM * 2), .size = STEP_ROOM * 2 };
	struct engine_options options = engine_options_default;
	options.value[OPTION_HISTORY_MAX] = limits.history_max;
	options.value[OPTION_FREE_IDS_MAX] = limits.free_ids_max;
	if (engine_load_done(g->engine))
		abort();
	engine_begin(g->engine, g->now, &g->out);
	if (engine_set_options(g->engine, &options))
		abort();
}

static void
rig_start(struct rig *g)
{
	rig_open(g, &limits);
}

static void
rig_end(struct rig *g)
{
	free(g->memory);
	free(g->out.bytes);
}

static void
rig_post(struct rig *g, const struct event_command *e)
{
	struct command c = { .kind = COMMAND_EVENT, .event = *e };
	struct result r;
	if (g->out.size - g->out.used < STEP_ROOM)
		engine_begin(g->engine, ++g->now, &g->out);
	engine_execute(g->engine, &c, &r);
	g->applied += r.outcome == OUTCOME_APPLIED;
	g->absorbed += r.outcome == OUTCOME_ABSORBED;
	g->reconciled += r.outcome == OUTCOME_RECONCILED;
	g->duplicates += r.outcome == OUTCOME_DUPLICATE;
	g->stale += r.status == STATUS_STALE;
	g->other += r.outcome == OUTCOME_REJECTED && r.status != STATUS_STALE;
}

/* `beside` (may be NULL) posts between the slices; how many slices it took. The state digest is there. */
static int
rig_digest_beside(struct rig *g, uint64_t digest[2], void (*beside)(struct rig *), bool *state)
{
	struct command c = { .kind = COMMAND_DIGEST };
	struct result r;
	uint64_t job;
	int slices = 1;
	engine_begin(g->engine, ++g->now, &g->out);
	engine_execute(g->engine, &c, &r);
	if (r.job == 0)
		abort();
	for (; !engine_job_run(g->engine, &job, &r); slices++) {
		engine_begin(g->engine, ++g->now, &g->out);
		if (beside)
			beside(g);
	}
	memcpy(digest, r.digest_stock, sizeof r.digest_stock);
	*state = r.has_state;
	return slices;
}

static void
rig_digest(struct rig *g, uint64_t digest[2])
{
	bool state;
	rig_digest_beside(g, digest, NULL, &state);
}

/* ---- P3 ---- */

static const struct draw_profile facts = { .name = "facts", .skus = 12, .places = 4, .sources = 4, .ids = 50, .qty_max = 9, .at_span_ms = 60000,
	.counts = 15, .limits = { .cells_max = 1 } };

/* Events that do not ask how things stand: those are answered by arrival, and rightly so. */
static void
plain_event(struct draw *d, uint32_t source, uint64_t n, struct event_command *e)
{
	struct draw_event_key key = { .source = source, .n = n };
	d->arena_n = 0;
	draw_event(d, &key, e);
	e->has_expected = false;
	if (e->at < 0)
		e->at = DRAW_EPOCH + 1;
}

#define EVENTS 3000
struct posting {
	uint32_t source;
	uint64_t n, place; /* order of delivery */
};

static int
by_place(const void *a, const void *b)
{
	const struct posting *x = a, *y = b;
	return x->place < y->place ? -1 : x->place > y->place;
}

static void
repeats_and_shuffles_leave_the_same_stock(void)
{
	const char *more = getenv("HOLDFAST_RUNS");
	uint64_t first = check_seed(1), runs = more ? strtoull(more, NULL, 0) : 3;
	for (uint64_t seed = first; seed < first + runs; seed++) {
		struct twin *twin = twin_new(&limits, &engine_options_default);
		struct draw d = { .profile = &facts, .twin = twin, .seed = seed };
		struct event_command e;
		struct rig straight, shuffled;
		uint64_t a[2], b[2], n_of[4] = { 0 };
		static struct posting list[EVENTS * 5];
		uint32_t n = 0;
		rig_start(&straight);
		rig_start(&shuffled);
		draw_begin(&d, 0);
		for (uint64_t i = 0; i < EVENTS; i++) {
			uint32_t source = (uint32_t)draw_random(&d, 4);
			n_of[source]++;
			for (uint64_t times = 1 + draw_random(&d, 5); times; times--) { /* 400 ahead: inside every source's window */
				uint64_t place = (i + draw_random(&d, 400)) << 20;
				list[n++] = (struct posting){ source, n_of[source], place | draw_random(&d, 1 << 20) };
			}
			uint64_t state = d.state;
			plain_event(&d, source, n_of[source], &e);
			d.state = state;
			rig_post(&straight, &e);
		}
		qsort(list, n, sizeof list[0], by_place);
		for (uint32_t i = 0; i < n; i++) {
			plain_event(&d, list[i].source, list[i].n, &e);
			rig_post(&shuffled, &e);
		}
		rig_digest(&straight, a);
		rig_digest(&shuffled, b);
		uint64_t repeated = shuffled.duplicates, other = shuffled.other + straight.other + straight.duplicates;
		rig_end(&straight);
		rig_end(&shuffled);
		twin_free(twin);
		if (a[0] != b[0] || a[1] != b[1])
			printf("     again: HOLDFAST_SEED=%llu test_arrival repeats_and_shuffles_leave_the_same_stock\n", (unsigned long long)seed);
		check(a[0] == b[0] && a[1] == b[1]);
		check_equal(repeated, n - EVENTS);
		check_equal(other, 0);
	}
}

/* ---- P4 ---- */

struct fact { /* a delta, or a count when is_count */
	bool is_count;
	int64_t at, qty;
	const char *source, *id; /* the D35 order of equal instants */
};

/* Sets of facts with equal instants, ties of counts, counts before, between and behind the deltas. */
static const struct fact sets[][6] = {
	{ { false, 10, 5, "a", "1" }, { false, 20, -2, "a", "2" }, { true, 15, 4, "a", "3" } },
	{ { false, 10, 5, "a", "1" }, { false, 10, -2, "b", "2" }, { true, 10, 4, "a", "3" }, { true, 10, 9, "b", "3" } },
	{ { false, 1, 7, "a", "1" }, { false, 2, -3, "a", "2" }, { false, 3, 4, "a", "3" }, { true, 2, 50, "a", "4" }, { true, 3, 60, "a", "5" } },
	{ { true, 5, 1, "a", "1" }, { true, 6, 2, "a", "2" }, { true, 7, 3, "a", "3" }, { false, 6, 10, "b", "1" }, { false, 8, 20, "b", "2" } },
	{ { true, 5, 8, "a", "x" }, { true, 5, 9, "a", "y" }, { true, 5, 7, "b", "a" }, { false, 5, 1, "c", "1" }, { false, 6, 2, "c", "2" },
	    { false, 4, 3, "c", "3" } },
	{ { false, 9, 1, "a", "1" }, { false, 9, 2, "a", "2" }, { false, 9, 4, "a", "3" }, { true, 8, 0, "b", "1" }, { true, 9, 0, "b", "2" },
	    { false, 10, 8, "a", "4" } },
	{ { true, 100, 0, "z", "1" }, { false, 99, -9, "a", "1" }, { false, 101, -9, "a", "2" }, { true, 101, 3, "a", "9" }, { true, 101, 4, "a", "8" },
	    { false, 102, 1, "a", "3" } },
};

static int
facts_of(const struct fact *set)
{
	int n = 0;
	while (n < 6 && set[n].source)
		n++;
	return n;
}

/* D33 and D35, of the whole set at once. */
static int64_t
by_definition(const struct fact *set, int n)
{
	const struct fact *last = NULL;
	int64_t sum = 0;
	for (int i = 0; i < n; i++) {
		int order = !last ? 1 : set[i].at != last->at ? (set[i].at > last->at ? 1 : -1) : strcmp(set[i].source, last->source);
		if (set[i].is_count && (order > 0 || (order == 0 && strcmp(set[i].id, last->id) > 0)))
			last = &set[i];
	}
	for (int i = 0; i < n; i++)
		if (!set[i].is_count && (!last || set[i].at > last->at))
			sum += set[i].qty;
	return sum + (last ? last->qty : 0);
}

static struct bytes
text(const char *s)
{
	return (struct bytes){ (const uint8_t *)s, (uint32_t)strlen(s) };
}

/* Posts the set in one order, to an SKU of its own; the ids keep their order behind a common prefix. */
static int64_t
arrive(struct rig *g, const struct fact *set, const int *order, int n, uint32_t number)
{
	char sku[16], ids[6][24];
	struct cell_view v;
	sprintf(sku, "P%u", number);
	for (int i = 0; i < n; i++) {
		const struct fact *f = &set[order[i]];
		sprintf(ids[i], "%s-%u", f->id, number);
		struct event_command e = { .source = text(f->source), .id = text(ids[i]), .kind = f->is_count ? EVENT_COUNT : EVENT_ADJUST,
			.sku = text(sku), .location = text("L"), .qty = f->qty, .at = DRAW_EPOCH + f->at, .as_of = f->is_count ? DRAW_EPOCH + f->at : -1,
			.reason = text("t"), .raw = text(ids[i]) };
		rig_post(g, &e);
	}
	return view_cell(g->engine, text(sku), text("L"), &v) == VIEW_OK ? v.on_hand : INT64_MIN;
}

static bool
next_order(int *order, int n)
{
	int i = n - 2, j = n - 1;
	while (i >= 0 && order[i] > order[i + 1])
		i--;
	if (i < 0)
		return false;
	while (order[j] < order[i])
		j--;
	int swap = order[i];
	order[i] = order[j], order[j] = swap;
	for (int a = i + 1, b = n - 1; a < b; a++, b--)
		swap = order[a], order[a] = order[b], order[b] = swap;
	return true;
}

static void
every_order_of_deltas_and_counts_gives_the_same_on_hand(void)
{
	struct rig g;
	uint32_t tried = 0;
	rig_start(&g);
	for (size_t s = 0; s < sizeof sets / sizeof sets[0]; s++) {
		int order[6] = { 0, 1, 2, 3, 4, 5 }, n = facts_of(sets[s]);
		int64_t right = by_definition(sets[s], n);
		do {
			int64_t got = arrive(&g, sets[s], order, n, tried++);
			if (got != right)
				printf("     set %zu in the order %d %d %d %d %d %d\n", s, order[0], order[1], order[2], order[3], order[4], order[5]);
			check_equal(got, right);
		} while (next_order(order, n));
	}
	check(g.absorbed > 100 && g.reconciled > 100 && g.stale > 100 && g.applied > 100);
	check_equal(g.other, 0);
	rig_end(&g);
	check_equal(tried, 6 + 24 + 120 + 120 + 3 * 720);
}

/* ---- the digest itself ---- */

static void
numbered(struct rig *g, uint32_t source, uint64_t n)
{
	char name[16];
	sprintf(name, "till-%u", source);
	struct event_command e = { .source = text(name), .n = n, .kind = EVENT_RECEIPT, .sku = text("S"), .location = text("L"), .qty = 1,
		.at = -1, .as_of = -1, .raw = text("raw") };
	rig_post(g, &e);
}

/* Each source goes on in each round, from the last to the first: summed ones, the one that is next, and such as come late. */
static void
sources_go_on(struct rig *g)
{
	static uint64_t n = 2;
	for (uint32_t source = 7; source-- > 0; n++)
		numbered(g, source, 2 + n % 4000);
	numbered(g, 7, 2 + n % 4000);
}

static void
the_stock_digest_is_of_one_instant_though_sources_go_on(void)
{
	uint64_t before[2], beside[2], after[2];
	struct engine_usage usage;
	struct rig g;
	bool state;
	rig_start(&g);
	for (uint32_t source = 0; source < 7; source++)
		numbered(&g, source, 1 + source % 2), numbered(&g, source, SOURCE_WINDOW);
	rig_digest(&g, before);
	engine_usage(g.engine, &usage);
	check_equal(usage.missing, 7 * (SOURCE_WINDOW - 2));
	check(rig_digest_beside(&g, beside, sources_go_on, &state) > 5);
	check(memcmp(before, beside, sizeof before) == 0 && state);
	rig_digest(&g, after);
	check(memcmp(before, after, sizeof before) != 0);
	rig_end(&g);
}

/* It stops the engine for its walk, so all that it walks over counts: here the marks of many sources. */
static void
the_state_digest_is_left_out_when_there_are_too_many_marks(void)
{
	struct engine_limits many = limits;
	uint32_t enough = DIGEST_STATE_MAX / SOURCE_WINDOW;
	uint64_t digest[2];
	struct rig g;
	bool state;
	many.sources_max = 2 * enough;
	rig_open(&g, &many);
	for (uint32_t source = 0; source < enough - 10; source++)
		numbered(&g, source, SOURCE_WINDOW);
	rig_digest_beside(&g, digest, NULL, &state);
	check(state);
	for (uint32_t source = enough - 10; source < enough + 1; source++)
		numbered(&g, source, SOURCE_WINDOW);
	rig_digest_beside(&g, digest, NULL, &state);
	check(!state);
	rig_end(&g);
}

/* Large random sets, a few hundred facts on one cell. */
static void
random_orders_of_many_deltas_and_counts_give_the_same_on_hand(void)
{
	struct twin *twin = twin_new(&limits, &engine_options_default);
	struct draw d = { .profile = &facts, .twin = twin, .seed = check_seed(3) };
	static struct fact set[300];
	static char ids[300][24], *names[3] = { "a", "b", "c" };
	static int order[300];
	for (uint32_t round = 0; round < 20; round++) {
		draw_begin(&d, round);
		for (int i = 0; i < 300; i++) {
			sprintf(ids[i], "%03d", i);
			set[i] = (struct fact){ .is_count = draw_percent(&d, 20), .source = names[i % 3], .id = ids[i] };
			set[i].at = (int64_t)draw_random(&d, 60);
			set[i].qty = 1 + (int64_t)draw_random(&d, 50);
		}
		struct rig g;
		int64_t right = by_definition(set, 300), got = 0;
		rig_start(&g);
		for (uint32_t again = 0; again < 3; again++) {
			for (int i = 0; i < 300; i++) {
				int j = (int)draw_random(&d, (uint64_t)i + 1);
				order[i] = order[j];
				order[j] = i;
			}
			char sku[16], unique[24];
			struct cell_view v;
			sprintf(sku, "R%u", again);
			for (int i = 0; i < 300; i++) {
				const struct fact *f = &set[order[i]];
				sprintf(unique, "%s-%u", f->id, again);
				rig_post(&g, &(struct event_command){ .source = text(f->source), .id = text(unique), .kind = f->is_count ? EVENT_COUNT : EVENT_RECEIPT,
				    .sku = text(sku), .location = text("L"), .qty = f->qty, .at = DRAW_EPOCH + f->at,
				    .as_of = f->is_count ? DRAW_EPOCH + f->at : -1, .raw = text(unique) });
			}
			got = view_cell(g.engine, text(sku), text("L"), &v) == VIEW_OK ? v.on_hand : INT64_MIN;
			if (got != right)
				break;
		}
		rig_end(&g);
		check_equal(got, right);
	}
	twin_free(twin);
}

/* ---- an event at a time ---- */

static struct event_command
receipt(uint64_t n, int64_t at)
{
	return (struct event_command){ .source = { (const uint8_t *)"till", 4 }, .n = n, .kind = EVENT_RECEIPT, .sku = { (const uint8_t *)"s", 1 },
		.location = { (const uint8_t *)"p", 1 }, .qty = 1, .at = at, .as_of = -1, .raw = { (const uint8_t *)&"0123456789"[n % 10], 1 } };
}

static void
post(struct rig *g, struct event_command e, struct result *r)
{
	if (g->out.size - g->out.used < STEP_ROOM)
		engine_begin(g->engine, g->now, &g->out);
	engine_execute(g->engine, &(struct command){ .kind = COMMAND_EVENT, .event = e }, r);
}

/* A till that was installed anew numbers from 1 again: what it sells must not pass for what came long ago. */
static void
one_event_of_a_wrong_clock_does_not_make_later_ones_duplicates(void)
{
	struct rig g;
	struct result r;
	struct position_view v;
	uint64_t n = 1;
	rig_start(&g);
	for (; n <= SOURCE_WINDOW + 100; n++) {
		post(&g, receipt(n, DRAW_EPOCH), &r);
		check_equal(r.outcome, OUTCOME_APPLIED);
	}
	post(&g, receipt(n, DRAW_EPOCH + INT64_C(10) * 365 * 86400000), &r);
	check_equal(r.status, STATUS_BAD_REQUEST);
	check(r.quarantine > 0);
	engine_position(g.engine, receipt(1, 0).source, &v);
	check_equal(v.contiguous, n);
	check_equal(v.last_at, DRAW_EPOCH);
	post(&g, receipt(1, DRAW_EPOCH), &r);
	check_equal(r.outcome, OUTCOME_DUPLICATE);
	g.now += 60000;
	engine_begin(g.engine, g.now, &g.out);
	post(&g, receipt(1, g.now), &r);
	check_equal(r.status, STATUS_CONFLICT);
	check(r.quarantine > 0);
	rig_end(&g);
}

/* Number and free id alike. */
static void
a_replay_changes_the_outcome_of_its_event(void)
{
	struct event_command events[2] = { receipt(1, DRAW_EPOCH + 1000000), receipt(2, DRAW_EPOCH + 1000000) };
	uint64_t kept[2];
	struct rig g;
	struct result r;
	events[1].n = 0;
	events[1].id = (struct bytes){ (const uint8_t *)"by hand", 7 };
	rig_start(&g);
	for (int i = 0; i < 2; i++) {
		post(&g, events[i], &r);
		check_equal(r.status, STATUS_BAD_REQUEST);
		kept[i] = r.quarantine;
	}
	for (int later = 0; later < 2; later++) {
		engine_begin(g.engine, DRAW_EPOCH + later * 1000000, &g.out);
		for (int i = 0; i < 2; i++) {
			struct event_outcome_view v;
			engine_execute(g.engine, &(struct command){ .kind = COMMAND_QUARANTINE_REPLAY, .quarantine = { kept[i], &events[i] } }, &r);
			check_equal(r.outcome, later ? OUTCOME_APPLIED : OUTCOME_REJECTED);
			if (i == 0)
				engine_outcome_n(g.engine, events[i].source, 1, &v);
			else
				engine_outcome_id(g.engine, events[i].id, &v);
			check(v.known);
			check_equal(v.outcome, r.outcome);
			check_equal(v.status, r.status);
			check_equal(v.seq, engine_seq(g.engine));
			post(&g, events[i], &r);
			check_equal(r.outcome, OUTCOME_DUPLICATE);
		}
	}
	rig_end(&g);
}

int
main(int argc, char **argv)
{
	static const struct check tests[] = {
	CHECK(the_stock_digest_is_of_one_instant_though_sources_go_on),
	CHECK(the_state_digest_is_left_out_when_there_are_too_many_marks),
		CHECK(repeats_and_shuffles_leave_the_same_stock),
		CHECK(every_order_of_deltas_and_counts_gives_the_same_on_hand),
		CHECK(random_orders_of_many_deltas_and_counts_give_the_same_on_hand),
		CHECK(one_event_of_a_wrong_clock_does_not_make_later_ones_duplicates),
		CHECK(a_replay_changes_the_outcome_of_its_event),
	};
	return check_run(argv[0], tests, sizeof tests / sizeof tests[0], argc, argv);
}
