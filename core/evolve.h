/*
 * evolve.h: the only functions that change state; each applies one entry and cannot fail. In line, for the two who call them: a
 * command that is granted (step.c) and recovery (load.c). Private to core.
 */
#ifndef HOLDFAST_CORE_EVOLVE_H
#define HOLDFAST_CORE_EVOLVE_H

#include "core/state.h"

/* Keeps whose count was the last: its n, or its id as a blob of length and bytes. */
void evolve_count_key(struct engine *, struct cell *, const struct cell_image *);

static inline void
evolve_name(struct engine *e, const struct name_record *r)
{
	ensure(names_count(&e->names[r->table]) == r->id); /* N2 */
	names_add(&e->names[r->table], r->name);
}

static inline void
evolve_option(struct engine *e, const struct option_record *r)
{
	e->options.value[r->option] = r->value;
}

static inline void
evolve_group(struct engine *e, const struct group_record *r)
{
	groups_evolve(&e->groups, r);
}

static inline void
evolve_cell(struct engine *e, uint64_t seq, const struct cell_record *r)
{
	const struct cell_image *now = &r->now;
	if (r->cell == cells_count(&e->cells)) {
		cells_add(&e->cells, now->sku, now->location);
		names_cell(&e->names[NAMES_SKU], now->sku, now->location, r->cell);
	}
	struct cell *cell = &e->cells.at[r->cell];
	ensure(r->cell < cells_count(&e->cells) && cell->sku == now->sku && cell->location == now->location);
	if (e->digest.active)
		digest_cell_changes(e, r->cell);
	int64_t count_at = atomic_load_explicit(&cell->count_at, memory_order_relaxed);
	if (now->flags & CELL_COUNTED)
		evolve_count_key(e, cell, now);
	cell->flags = now->flags;
	cell_store(cell, now, seq);
	if (now->count_at != count_at)
		history_counted(&e->history, r->cell, now->count_at - 1);
	if (groups_ask(&e->groups, now->location))
		groups_cell_changed(&e->groups, now->sku, now->location, r->ats_before, cell_ats(now), seq);
}

static inline void
evolve_floor(struct engine *e, const struct floor_record *r)
{
	history_raise_floor(&e->history, r);
}

static inline void
evolve_reservation(struct engine *e, uint64_t seq, const struct reservation_record *r)
{
	if (e->digest.active)
		digest_reservation_changes(e, r->slot);
	reservation_evolve(&e->reservations, seq, r);
}

static inline void
evolve_source(struct engine *e, uint64_t seq, const struct source_record *r)
{
	if (e->digest.active)
		digest_source_changes(e, r->source);
	sources_set(&e->sources, seq, r);
}

static inline void
evolve_mark(struct engine *e, uint64_t seq, const struct mark_record *r)
{
	if (e->digest.active)
		digest_source_changes(e, r->source);
	sources_mark(&e->sources, seq, r);
}

static inline void
evolve_free_id(struct engine *e, uint64_t seq, const struct free_id_record *r)
{
	free_ids_evolve(&e->free_ids, seq, r);
}

static inline void
evolve_delta(struct engine *e, const struct delta_record *r)
{
	history_append(&e->history, r);
}

static inline void
evolve_quarantine(struct engine *e, uint64_t seq, const struct quarantine_record *r)
{
	quarantine_evolve(&e->quarantine, seq, r);
}

#endif
