/*
 * test_timers.c: the two circles alone (T1, T2), beside an array of deadlines that is searched from the start: over the seams of
 * the circles, through jumps of milliseconds and of days, and no call longer than the work it was given.
 */
#include "tests/check.h"

#include "core/timers.h"

#define HOLDS 400
#define HOUR  (INT64_C(3600) * 1000)
#define FINE  (INT64_C(1) << TIMER_FINE_BITS)
#define STEP  (INT64_C(1) << TIMER_STEP_BITS)
#define START INT64_C(1700000000123)

static uint64_t
draw(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

struct hold {
	struct timer timer;
	int64_t ends;
	bool put;
};

struct rig {
	struct timers t;
	void *memory;
	struct hold *holds;
	uint32_t n;
	int64_t now;
};

static void
rig_start(struct rig *g, uint32_t holds)
{
	struct carve c = { NULL, 0 };
	*g = (struct rig){ .n = holds, .now = START, .holds = calloc(holds, sizeof *g->holds) };
	timers_init(&g->t, &c);
	g->memory = calloc(1, c.used);
	c = (struct carve){ g->memory, 0 };
	g->t = (struct timers){ 0 };
	timers_init(&g->t, &c);
	timers_bind(&g->t, &g->holds[0].timer, sizeof *g->holds, offsetof(struct hold, ends) - offsetof(struct hold, timer));
	timers_set_now(&g->t, g->now);
}

static void
rig_end(struct rig *g)
{
	free(g->memory);
	free(g->holds);
}

static void
put(struct rig *g, uint32_t slot, int64_t ends)
{
	g->holds[slot].ends = ends;
	g->holds[slot].put = true;
	timers_put(&g->t, slot);
}

static void
take(struct rig *g, uint32_t slot)
{
	timers_remove(&g->t, slot);
	g->holds[slot].put = false;
}

static int64_t
earliest(const struct rig *g)
{
	int64_t at = INT64_MAX;
	for (uint32_t i = 0; i < g->n; i++)
		if (g->holds[i].put && g->holds[i].ends < at)
			at = g->holds[i].ends;
	return at;
}

/* Time goes to `now` as the host makes it go: everything due is handed out, in slices of `work`, and nothing else. */
static void
go(struct rig *g, int64_t now, uint32_t work, uint32_t *ended)
{
	g->now = now;
	timers_advance(&g->t, now);
	check(timers_soonest(&g->t) <= earliest(g) || (earliest(g) < now && timers_soonest(&g->t) < now)); /* T2 */
	for (uint32_t calls = 0; timers_next(&g->t) <= now; calls++) {
		uint32_t left = work, slot = timers_due(&g->t, now, &left);
		check(calls < 100000);
		check(left <= work);
		if (slot == UINT32_MAX)
			continue; /* out of work, or the bound was a lower one */
		check(g->holds[slot].put && g->holds[slot].ends <= now);
		take(g, slot);
		++*ended;
	}
	timers_advance(&g->t, now);
	check(earliest(g) > now);
	check(timers_next(&g->t) <= earliest(g));
	check(g->t.now == now); /* so that what is put next lies inside the circles */
}

/* Deadlines just before, at and behind each seam. */
static void
every_deadline_at_a_seam_ends_at_its_millisecond(void)
{
	static const int64_t seams[] = { 0, 1, 2, STEP, FINE - 4 * STEP, FINE, FINE + STEP, 2 * FINE, HOUR, 24 * HOUR, TIMER_SPAN_MS - 4 * STEP };
	struct rig g;
	uint32_t ended = 0, n = 0;
	rig_start(&g, HOLDS);
	for (size_t i = 0; i < sizeof seams / sizeof seams[0]; i++)
		for (int64_t d = -2; d <= 2; d++)
			put(&g, n++, START + seams[i] + d);
	while (earliest(&g) != INT64_MAX) {
		int64_t at = earliest(&g);
		uint32_t before = ended, due = 0;
		for (uint32_t i = 0; i < n; i++)
			due += g.holds[i].put && g.holds[i].ends <= (at > g.now ? at : g.now);
		if (at - 1 > g.now) {
			go(&g, at - 1, 1000, &ended);
			check_calm();
			check_equal(ended, before);
		}
		go(&g, at > g.now ? at : g.now, 1000, &ended);
		check_calm();
		check_equal(ended, before + due);
	}
	check_equal(ended, n);
	check_equal(timers_next(&g.t), INT64_MAX);
	rig_end(&g);
}

static int64_t
some_span(uint64_t *seed, int64_t most)
{
	int64_t span = (int64_t)(draw(seed) % (uint64_t)most);
	return span >> draw(seed) % 36;
}

static void
any_course_of_puts_removals_and_jumps_agrees_with_a_plain_list(void)
{
	uint64_t seed = check_seed(1);
	for (int round = 0; round < 20; round++) {
		struct rig g;
		uint32_t ended = 0, puts = 0, removals = 0;
		rig_start(&g, HOLDS);
		for (int step = 0; step < 3000; step++) {
			uint32_t slot = (uint32_t)(draw(&seed) % HOLDS);
			if (!g.holds[slot].put) {
				put(&g, slot, g.now - (draw(&seed) % 50 == 0) + some_span(&seed, TIMER_SPAN_MS));
				puts++;
			} else if (draw(&seed) % 2) {
				take(&g, slot);
				removals++;
			}
			if (draw(&seed) % 8 == 0) {
				go(&g, g.now + some_span(&seed, draw(&seed) % 4 ? HOUR : 90 * HOUR), 1 + (uint32_t)(draw(&seed) % 30), &ended);
				if (check_failed_now)
					printf("     round %d, step %d\n", round, step);
				check_calm();
			}
		}
		go(&g, g.now + 90 * HOUR, 7, &ended);
		check_calm();
		check_equal(ended + removals, puts);
		check(ended > 100 && removals > 100);
		rig_end(&g);
	}
}

/* Many holds in one coarse slot, and time jumps over it: each call moves no more than it may. */
static void
a_full_coarse_slot_is_opened_a_few_holds_a_call(void)
{
	struct rig g;
	uint32_t ended = 0, calls = 0;
	rig_start(&g, 20000);
	for (uint32_t i = 0; i < g.n; i++)
		put(&g, i, START + 2 * HOUR + i % 7);
	while (ended < g.n) {
		uint32_t work = 100, given = work, moves = 0, slot;
		while ((slot = timers_due(&g.t, START + 3 * HOUR, &work)) != UINT32_MAX) {
			check(g.holds[slot].ends <= START + 3 * HOUR);
			take(&g, slot);
			ended++;
			moves++;
		}
		check(work <= given && moves <= g.n);
		check(ended == g.n || work == 0);
		check(++calls < 1000);
	}
	check(calls >= g.n / 100);
	rig_end(&g);
}

static const struct check tests[] = {
	CHECK(every_deadline_at_a_seam_ends_at_its_millisecond),
	CHECK(any_course_of_puts_removals_and_jumps_agrees_with_a_plain_list),
	CHECK(a_full_coarse_slot_is_opened_a_few_holds_a_call),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof tests[0], argc, argv);
}
