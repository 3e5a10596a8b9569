/*
 * test_history.c: the ring of kept deltas alone (H1, H2, D38), beside an array that is searched from the start: what the ring
 * overwrites or the bound per cell drops must raise the floor, and nothing else may be lost; no chain outgrows its bound.
 */
#include "tests/check.h"

#include "core/history.h"

#define CELLS  3
#define ALWAYS INT64_MIN /* no age */

static uint64_t
draw(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* The ring, and all that was ever appended. */
struct rig {
	struct history h;
	struct cells cells;
	void *memory;
	struct delta_record *all;
	uint32_t all_n;
};

static void
layout(struct rig *g, struct carve *c, uint32_t ring)
{
	history_init(&g->h, c, ring, CELLS);
	cells_init(&g->cells, c, CELLS, 1);
}

static void
rig_start(struct rig *g, uint32_t ring, uint32_t deltas)
{
	struct carve c = { NULL, 0 };
	*g = (struct rig){ .all = malloc(deltas * sizeof *g->all) };
	layout(g, &c, ring);
	g->memory = aligned_alloc(64, c.used);
	memset(g->memory, 0, c.used);
	c = (struct carve){ g->memory, 0 };
	g->h = (struct history){ .cells = &g->cells };
	g->cells = (struct cells){ 0 };
	layout(g, &c, ring);
	for (uint32_t n = 0; n < CELLS; n++)
		cells_add(&g->cells, n, 0);
}

static void
rig_end(struct rig *g)
{
	free(g->memory);
	free(g->all);
}

/* As the step does it: floors first, then the delta. */
static void
append(struct rig *g, uint32_t cell, int64_t at, int64_t arrival, int64_t qty)
{
	struct floor_record floors[2];
	struct delta_record r = { .slot = g->h.next_slot, .number = g->h.next, .cell = cell, .at = at, .arrival = arrival, .qty = qty };
	uint32_t n = history_evicts(&g->h, cell, floors);
	for (uint32_t i = 0; i < n; i++)
		history_raise_floor(&g->h, &floors[i]);
	history_append(&g->h, &r);
	g->all[g->all_n++] = r;
}

/* A count as the engine takes it. */
static void
count(struct rig *g, uint32_t cell, int64_t as_of)
{
	atomic_store(&g->cells.at[cell].count_at, as_of + 1);
	history_counted(&g->h, cell, as_of);
}

/* What the array says of the deltas behind the last count. */
static struct history_sum
naive(const struct rig *g, uint32_t cell, int64_t as_of, int64_t oldest_arrival)
{
	struct history_sum sum = { 0, FLOOR_NONE };
	int64_t counted = atomic_load(&g->cells.at[cell].count_at) - 1;
	for (uint32_t i = 0; i < g->all_n; i++) {
		const struct delta_record *r = &g->all[i];
		if (r->cell != cell || r->at <= counted)
			continue;
		if ((r->number + g->h.ring < g->h.next || r->arrival < oldest_arrival) && r->at > sum.floor)
			sum.floor = r->at;
		if (r->at > as_of)
			sum.after += r->qty;
	}
	return sum;
}

/* A count that is not stale sees exactly what there was; the floor never lies below what was dropped. */
static void
compare(const struct rig *g, uint32_t cell, int64_t as_of, int64_t oldest_arrival, uint32_t *taken)
{
	struct history_sum is, ought = naive(g, cell, as_of, oldest_arrival);
	history_sum(&g->h, cell, as_of, oldest_arrival, &is);
	check(is.floor >= ought.floor);
	if (as_of < is.floor)
		return;
	++*taken;
	check_equal(is.after, ought.after);
}

static void
rings_of_any_size_keep_what_they_do_not_overwrite(void)
{
	static const uint32_t rings[] = { 1, 2, 3, 5, 8, 64, 100 };
	uint64_t seed = check_seed(1);
	uint32_t taken = 0;
	for (size_t k = 0; k < sizeof rings / sizeof rings[0]; k++) {
		struct rig g;
		rig_start(&g, rings[k], 3000);
		for (int64_t now = 1000; now < 4000; now++) {
			uint32_t cell = (uint32_t)(draw(&seed) % CELLS);
			int64_t at = now - (int64_t)(draw(&seed) % 40);
			bool open = at > (int64_t)atomic_load(&g.cells.at[cell].count_at) - 1; /* else the last count has it */
			if (open)
				append(&g, cell, at, now, (int64_t)(draw(&seed) % 19) - 9);
			for (uint32_t c = 0; c < CELLS; c++) {
				compare(&g, c, now - (int64_t)(draw(&seed) % 50), ALWAYS, &taken);
				compare(&g, c, now - (int64_t)(draw(&seed) % 50), now - 20, &taken);
			}
			check_calm();
			if (open && draw(&seed) % 40 == 0 && at >= history_floor_of(&g.h, cell))
				count(&g, cell, at);
		}
		rig_end(&g);
	}
	printf("     %u counts would have been taken\n", taken);
	check(taken > 10000);
}

/* Slots come in any order; what hung in chains hangs there again. */
static void
a_ring_that_is_loaded_slot_by_slot_answers_as_before(void)
{
	uint64_t seed = check_seed(2);
	for (uint32_t ring = 1; ring < 40; ring += 3) {
		struct rig g, again;
		uint32_t taken = 0;
		rig_start(&g, ring, 200);
		for (int64_t now = 1000; now < 1100; now++)
			append(&g, (uint32_t)(draw(&seed) % CELLS), now - (int64_t)(draw(&seed) % 30), now, (int64_t)(draw(&seed) % 19) - 9);
		rig_start(&again, ring, 200);
		again.h.loading = true;
		for (uint32_t cell = 0; cell < CELLS; cell++)
			if (history_floor_of(&g.h, cell) != FLOOR_NONE)
				history_raise_floor(&again.h, &(struct floor_record){ cell, history_floor_of(&g.h, cell) });
		for (uint32_t slot = 0; slot < ring && slot < g.all_n; slot++)
			for (uint32_t i = g.all_n; i-- > 0;)
				if (g.all[i].number % ring == slot) {
					history_append(&again.h, &g.all[i]);
					break;
				}
		history_load_done(&again.h);
		check_equal(again.h.next, g.h.next);
		for (uint32_t cell = 0; cell < CELLS; cell++)
			for (int64_t as_of = 960; as_of < 1110; as_of++) {
				struct history_sum is, was;
				history_sum(&again.h, cell, as_of, ALWAYS, &is);
				history_sum(&g.h, cell, as_of, ALWAYS, &was);
				check(is.after == was.after && is.floor == was.floor);
				taken++;
			}
		check(taken > 0);
		rig_end(&again);
		rig_end(&g);
	}
}

static void
at_its_bound_a_cell_drops_the_older_half_and_says_so(void)
{
	struct rig g;
	struct history_sum sum;
	rig_start(&g, 3 * DELTAS_OF_CELL_MAX, DELTAS_OF_CELL_MAX + 2);
	for (int64_t i = 0; i < DELTAS_OF_CELL_MAX; i++)
		append(&g, 1, 1000 + i, 1000 + i, 1);
	check(history_floor_of(&g.h, 1) == FLOOR_NONE);
	history_sum(&g.h, 1, 999, ALWAYS, &sum);
	check_equal(sum.after, DELTAS_OF_CELL_MAX);
	append(&g, 1, 1000 + DELTAS_OF_CELL_MAX, 1000 + DELTAS_OF_CELL_MAX, 1);
	check_equal(history_floor_of(&g.h, 1), 1000 + DELTAS_OF_CELL_MAX / 2 - 1);
	check_equal(g.h.of_cell[1], DELTAS_OF_CELL_MAX / 2 + 1);
	history_sum(&g.h, 1, history_floor_of(&g.h, 1), ALWAYS, &sum);
	check_equal(sum.after, DELTAS_OF_CELL_MAX / 2 + 1);
	rig_end(&g);
}

/* A till that was long offline: all that it sends lies below a floor that something later has raised. */
static void
deltas_below_the_floor_do_not_make_the_chain_longer_than_its_bound(void)
{
	struct rig g;
	uint32_t longest = 0;
	rig_start(&g, 4 * DELTAS_OF_CELL_MAX, 3 * DELTAS_OF_CELL_MAX);
	history_raise_floor(&g.h, &(struct floor_record){ 0, 9000000 });
	for (int64_t i = 0; i < 2 * DELTAS_OF_CELL_MAX + 100; i++) {
		append(&g, 0, 1000 + i, 9000001 + i, 1);
		longest = g.h.of_cell[0] > longest ? g.h.of_cell[0] : longest;
	}
	check(longest <= DELTAS_OF_CELL_MAX);
	check_equal(history_floor_of(&g.h, 0), 9000000);
	rig_end(&g);
}

static const struct check tests[] = {
	CHECK(rings_of_any_size_keep_what_they_do_not_overwrite),
	CHECK(a_ring_that_is_loaded_slot_by_slot_answers_as_before),
	CHECK(at_its_bound_a_cell_drops_the_older_half_and_says_so),
	CHECK(deltas_below_the_floor_do_not_make_the_chain_longer_than_its_bound),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof tests[0], argc, argv);
}
