#include "core/ahead.h"

#include "core/state.h"

static inline void
fetch(const void *at)
{
	__builtin_prefetch(at, 1, 3);
	__asm__ volatile (""); /* gcc takes a function that only fetches for one without effect, and drops its calls */
}

static inline void
fetch_home(const struct index *index, uint64_t hash)
{
	fetch((const void *)&index->slots[index_home(index, (uint32_t)(hash >> 32))]);
}

void
ahead_none(struct ahead *a)
{
	a->location_name = a->name = a->cell = a->slot = AHEAD_NOTHING;
	a->has_cell = false;
	a->id.n = 0;
}

void
ahead_begin(const struct engine *e, struct ahead *a, struct bytes id, struct bytes sku, struct bytes location)
{
	a->location_name = a->name = a->cell = a->slot = AHEAD_NOTHING;
	a->event = false;
	a->has_cell = sku.n > 0;
	a->id = id;
	if (id.n) {
		a->id_hash = index_hash(&e->reservations.index, id);
		fetch_home(&e->reservations.index, a->id_hash);
	}
	if (a->has_cell) {
		a->sku_n = (uint8_t)sku.n;
		a->sku_hash = index_hash(&e->names[NAMES_SKU].index, sku);
		fetch_home(&e->names[NAMES_SKU].index, a->sku_hash);
		const struct index *locations = &e->names[NAMES_LOCATION].index; /* few: they stay in the cache */
		a->location_name = index_guess(locations, index_hash(locations, location));
	}
}

void
ahead_begin_event(const struct engine *e, struct ahead *a, struct bytes sku, struct bytes location)
{
	ahead_begin(e, a, (struct bytes){ NULL, 0 }, sku, location);
	a->event = true;
}

/* What stands behind the hashes. */
static inline void
step_name(const struct engine *e, struct ahead *a)
{
	if (a->id.n && (a->slot = index_guess(&e->reservations.index, a->id_hash)) != AHEAD_NOTHING) {
		const uint8_t *reservation = (const uint8_t *)&e->reservations.at[a->slot];
		fetch(reservation);
		fetch(reservation + 64);
		fetch(reservation + sizeof(struct reservation) - 1);
		fetch(&e->reservations.lines[a->slot]);
	}
	if (a->has_cell && (a->name = index_guess(&e->names[NAMES_SKU].index, a->sku_hash)) != AHEAD_NOTHING) {
		const struct name *name = names_at(&e->names[NAMES_SKU], a->name);
		fetch(name);
		fetch(name->at + a->sku_n - 1); /* it may reach into the next line */
	}
}

static void
fetch_cell(const struct engine *e, const struct ahead *a)
{
	const struct cell *cell = &e->cells.at[a->cell];
	fetch(cell);
	if (a->id.n || a->event) /* a read of ATS ends with the hot line */
		fetch((const void *)&cell->promised);
}

/* Of its SKU's first cell the name knows the number; of another one the index. */
static inline void
step_number(const struct engine *e, struct ahead *a)
{
	if (a->name == AHEAD_NOTHING || a->location_name == AHEAD_NOTHING)
		return;
	const struct name *sku = names_at(&e->names[NAMES_SKU], a->name);
	uint32_t location = names_at(&e->names[NAMES_LOCATION], a->location_name)->id;
	if ((a->cell = name_cell(sku, location)) != AHEAD_NOTHING) {
		fetch_cell(e, a);
		return;
	}
	a->pair_hash = index_hash_pair(&e->cells.index, sku->id, location);
	fetch_home(&e->cells.index, a->pair_hash);
}

static inline void
step_cell(const struct engine *e, struct ahead *a)
{
	if (a->cell != AHEAD_NOTHING)
		return;
	if (a->name != AHEAD_NOTHING && a->location_name != AHEAD_NOTHING)
		a->cell = index_guess(&e->cells.index, a->pair_hash);
	else if (!a->has_cell && a->slot != AHEAD_NOTHING)
		a->cell = e->reservations.lines[a->slot].is.cell;
	if (a->cell != AHEAD_NOTHING)
		fetch_cell(e, a);
}

/* The deltas that a new one is hung before (history.c). */
static void
fetch_history(const struct engine *e, uint32_t cell)
{
	uint32_t head = e->cells.at[cell].history_head;
	fetch(&e->history.of_cell[cell]);
	if (head)
		fetch(&e->history.at[head - 1]);
}

/* What is chained to the cell: the open line a new one is put behind, or those around the one that ends. */
static inline void
step_neighbour(const struct engine *e, struct ahead *a)
{
	if (a->cell != AHEAD_NOTHING && a->event)
		fetch_history(e, a->cell);
	if (a->cell == AHEAD_NOTHING || !a->id.n) /* lines belong to the engine's thread */
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
ahead_walk(const struct engine *e, struct ahead *walks, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		step_name(e, &walks[i]);
	for (unsigned i = 0; i < n; i++)
		step_number(e, &walks[i]);
	for (unsigned i = 0; i < n; i++)
		step_cell(e, &walks[i]);
	for (unsigned i = 0; i < n; i++)
		step_neighbour(e, &walks[i]);
}

/* ---- hints: what a walk found, believed after a look (A3) ---- */

void
engine_hint(struct engine *e, const struct ahead *a)
{
	e->hint = *a;
}
