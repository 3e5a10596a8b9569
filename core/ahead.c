#include "core/ahead.h"

#include "core/hash.h"
#include "core/state.h"

#define AHEAD_NOTHING UINT32_MAX

static inline void
fetch(const void *at)
{
	__builtin_prefetch(at, 1, 3);
}

static inline void
fetch_home(const struct index *index, uint64_t hash)
{
	fetch((const void *)&index->slots[index_home(index, (uint32_t)(hash >> 32))]);
}

/* The first record whose tag agrees: nearly always the one. */
static inline uint32_t
guess(const struct index *index, uint64_t hash)
{
	struct index_probe probe = index_first(index, hash);
	return index_next(index, &probe);
}

void
ahead_begin(const struct engine *e, struct ahead *a, struct bytes id, struct bytes sku, struct bytes location)
{
	*a = (struct ahead){ .location = AHEAD_NOTHING, .sku = AHEAD_NOTHING, .cell = AHEAD_NOTHING, .slot = AHEAD_NOTHING,
		.has_cell = sku.n > 0, .has_id = id.n > 0 };
	if (a->has_id) {
		a->id_hash = hash_bytes(id);
		fetch_home(&e->reservations.index, a->id_hash);
	}
	if (a->has_cell) {
		a->sku_hash = hash_bytes(sku);
		fetch_home(&e->names[NAMES_SKU].index, a->sku_hash);
		a->location = guess(&e->names[NAMES_LOCATION].index, hash_bytes(location)); /* few: they stay in the cache */
	}
}

/* Numbers behind the hashes; the words of the name, and where the cell's number stands. */
static void
step_numbers(const struct engine *e, struct ahead *a)
{
	if (a->has_id && (a->slot = guess(&e->reservations.index, a->id_hash)) != AHEAD_NOTHING) {
		const uint8_t *reservation = (const uint8_t *)&e->reservations.at[a->slot];
		fetch(reservation);
		fetch(reservation + 64);
		fetch(reservation + sizeof(struct reservation) - 1);
		fetch(&e->reservations.lines[a->slot]);
	}
	if (!a->has_cell)
		return;
	a->sku = guess(&e->names[NAMES_SKU].index, a->sku_hash);
	if (a->sku == AHEAD_NOTHING)
		return;
	fetch(&e->names[NAMES_SKU].offset[a->sku]);
	if (a->location != AHEAD_NOTHING)
		fetch_home(&e->cells.index, hash_pair(a->sku, a->location));
}

static void
fetch_cell(const struct engine *e, uint32_t n)
{
	const uint8_t *cell = (const uint8_t *)&e->cells.at[n];
	fetch(cell);
	fetch(cell + 64);
}

static void
step_cell(const struct engine *e, struct ahead *a)
{
	if (a->sku != AHEAD_NOTHING) {
		fetch(e->names[NAMES_SKU].arena + e->names[NAMES_SKU].offset[a->sku]);
		if (a->location != AHEAD_NOTHING)
			a->cell = guess(&e->cells.index, hash_pair(a->sku, a->location));
	} else if (a->slot != AHEAD_NOTHING) {
		a->cell = e->reservations.lines[a->slot].cell;
	}
	if (a->cell != AHEAD_NOTHING)
		fetch_cell(e, a->cell);
}

/* What is chained to the cell: the open line a new one is put behind, or those around the one that ends. */
static void
step_neighbour(const struct engine *e, struct ahead *a)
{
	if (a->cell == AHEAD_NOTHING || !a->has_id) /* lines belong to the engine's thread */
		return;
	const struct line *lines = e->reservations.lines;
	if (a->slot != AHEAD_NOTHING) {
		const struct line *line = &lines[a->slot];
		if (line->cell_prev)
			fetch(&lines[line->cell_prev - 1]);
		if (line->cell_next)
			fetch(&lines[line->cell_next - 1]);
	} else if (e->cells.at[a->cell].lines_tail) {
		fetch(&lines[e->cells.at[a->cell].lines_tail - 1]);
	}
}

void
ahead_step(const struct engine *e, struct ahead *a)
{
	static void (*const steps[AHEAD_STEPS])(const struct engine *, struct ahead *) = { step_numbers, step_cell, step_neighbour };
	if (a->step < AHEAD_STEPS)
		steps[a->step++](e, a);
}

struct ahead *
ahead_line_add(struct ahead_line *line)
{
	ensure(line->n < AHEAD_WINDOW);
	return &line->at[(line->first + line->n++) % AHEAD_WINDOW];
}

void
ahead_line_next(const struct engine *e, struct ahead_line *line)
{
	for (unsigned i = AHEAD_DISTANCE; i < line->n; i += AHEAD_DISTANCE)
		ahead_step(e, &line->at[(line->first + i) % AHEAD_WINDOW]);
	line->first = (line->first + 1) % AHEAD_WINDOW;
	line->n--;
}
