#include "core/encode.h"
#include "core/evolve.h"
#include "core/hash.h"

/* Before the name or group can be seen: who sees it sees this position too (view_named()). */
static void
named(struct engine *e)
{
	atomic_store_explicit(&e->named_view, e->seq, memory_order_release);
}

uint32_t
emit_name(struct engine *e, enum name_table table, struct bytes name)
{
	struct name_record r = { table, names_count(&e->names[table]), name };
	e->at = name_encode(e->at, &r);
	if (table == NAMES_SKU || table == NAMES_LOCATION)
		named(e);
	evolve_name(e, &r);
	return r.id;
}

void
emit_option(struct engine *e, enum option option, int64_t value)
{
	struct option_record r = { option, value };
	e->at = option_encode(e->at, &r);
	evolve_option(e, &r);
}

void
emit_group(struct engine *e, const struct group_record *r)
{
	e->at = group_encode(e->at, r);
	named(e);
	evolve_group(e, r);
}

void
emit_reservation(struct engine *e, const struct reservation_record *r)
{
	e->at = reservation_encode(e->at, r);
	evolve_reservation(e, e->seq, r);
}

void
emit_source(struct engine *e, const struct source_record *r)
{
	e->at = source_encode(e->at, r);
	evolve_source(e, e->seq, r);
}

void
emit_mark(struct engine *e, const struct mark_record *r)
{
	e->at = mark_encode(e->at, r);
	evolve_mark(e, e->seq, r);
}

void
emit_free_id(struct engine *e, const struct free_id_record *r)
{
	e->at = free_id_encode(e->at, r);
	evolve_free_id(e, e->seq, r);
}

void
emit_delta(struct engine *e, struct delta_record *r)
{
	struct floor_record floors[2];
	uint32_t n = history_evicts(&e->history, r->cell, floors);
	for (uint32_t i = 0; i < n; i++) {
		e->at = floor_encode(e->at, &floors[i]);
		evolve_floor(e, &floors[i]);
	}
	r->number = e->history.next;
	r->slot = e->history.next_slot;
	e->at = delta_encode(e->at, r);
	evolve_delta(e, r);
}

void
emit_quarantine(struct engine *e, const struct quarantine_record *r)
{
	e->at = quarantine_encode(e->at, r);
	evolve_quarantine(e, e->seq, r);
}

/* ---- changes ---- */

static uint32_t
home_of(const struct changes *c, uint32_t sku, uint32_t location)
{
	return (uint32_t)(hash_placed_pair(&c->seed, sku, location) >> 32) & (CHANGE_SLOTS - 1);
}

static uint32_t
home_of_number(const struct changes *c, uint32_t i)
{
	return home_of(c, c->at[i].r.now.sku, c->at[i].r.now.location);
}

void
changes_forget(struct changes *c)
{
	if (c->n > CHANGE_SLOTS / 64) {
		memset(c->slot, 0, sizeof c->slot);
		return;
	}
	for (uint32_t i = 0; i < c->n; i++)
		for (uint32_t at = home_of_number(c, i); c->slot[at]; at = (at + 1) & (CHANGE_SLOTS - 1))
			c->slot[at] = 0;
}

static bool
is_of(const struct cell_change *change, uint32_t sku, uint32_t location)
{
	return change->r.now.sku == sku && change->r.now.location == location;
}

/* The change of a pair; NULL: none yet. */
static struct cell_change *
change_find(struct changes *c, uint32_t sku, uint32_t location)
{
	if (c->n <= CHANGES_FEW) {
		for (uint32_t i = 0; i < c->n; i++)
			if (is_of(&c->at[i], sku, location))
				return &c->at[i];
		return NULL;
	}
	for (uint32_t at = home_of(c, sku, location); c->slot[at]; at = (at + 1) & (CHANGE_SLOTS - 1))
		if (is_of(&c->at[c->slot[at] - 1], sku, location))
			return &c->at[c->slot[at] - 1];
	return NULL;
}

static void
slot_put(struct changes *c, uint32_t i)
{
	uint32_t at = home_of_number(c, i);
	while (c->slot[at])
		at = (at + 1) & (CHANGE_SLOTS - 1);
	c->slot[at] = (uint16_t)(i + 1);
}

/* There are too many to look through: the last one, and if it is the first of the many all before it, into the slots. */
static void
slots_fill(struct changes *c)
{
	for (uint32_t i = c->n == CHANGES_FEW + 1 ? 0 : c->n - 1; i < c->n; i++)
		slot_put(c, i);
}

/* The new change at the end of the list has its names: from now on it is found. */
static inline struct cell_change *
change_add(struct changes *c)
{
	struct cell_change *change = &c->at[c->n++];
	change->changed = change->fresh = false;
	if (c->n > CHANGES_FEW)
		slots_fill(c);
	return change;
}

static void
count_id_load(struct engine *e, const struct cell *cell, struct cell_change *change)
{
	uint8_t bytes[1 + NAME_BYTES_MAX];
	blobs_get(&e->blobs, (uint32_t)cell->count_key, bytes, 1);
	blobs_get(&e->blobs, (uint32_t)cell->count_key, bytes, 1u + bytes[0]);
	memcpy(change->count_id, bytes + 1, bytes[0]);
	change->r.now.count_id = (struct bytes){ change->count_id, bytes[0] };
}

static inline struct cell_change *
change_take(struct engine *e, uint32_t n)
{
	struct changes *c = &e->scratch->changes;
	const struct cell *cell = &e->cells.at[n];
	struct cell_change *change = c->n ? change_find(c, cell->sku, cell->location) : NULL;
	if (change)
		return change;
	ensure(c->n < CHANGES_MAX);
	if (cell->lines_tail)
		__builtin_prefetch(&e->reservations.lines[cell->lines_tail - 1], 1); /* a new line is put behind it */
	struct cell_record *r = &c->at[c->n].r;
	r->cell = n;
	cell_load(cell, &r->now);
	r->ats_before = cell_ats(&r->now);
	r->previous = atomic_load_explicit(&cell->seq, memory_order_relaxed) / 2;
	if (cell->flags & CELL_COUNT_BY_ID)
		count_id_load(e, cell, &c->at[c->n]);
	return change_add(c);
}

struct cell_change *
change_of(struct engine *e, uint32_t n)
{
	return change_take(e, n);
}

/* A cell that does not exist yet. */
static struct cell_change *
change_fresh(struct engine *e, uint32_t sku, uint32_t location)
{
	struct changes *c = &e->scratch->changes;
	struct cell_change *change = change_find(c, sku, location);
	if (change)
		return change;
	ensure(c->n < CHANGES_MAX);
	c->at[c->n].r = (struct cell_record){ .cell = cells_count(&e->cells) + c->fresh_n++, .now = { .sku = sku, .location = location } };
	change = change_add(c);
	change->fresh = true;
	return change;
}

struct cell_change *
change_of_pair(struct engine *e, uint32_t sku, uint32_t location)
{
	uint32_t n = hint_cell(e, sku, location);
	return n != CELL_NONE ? change_take(e, n) : change_fresh(e, sku, location);
}

void
changes_emit(struct engine *e)
{
	struct changes *c = &e->scratch->changes;
	for (uint32_t i = 0; i < c->n; i++) {
		struct cell_change *change = &c->at[i];
		if (!change->changed && !change->fresh)
			continue;
		e->at = cell_encode(e->at, &change->r);
		evolve_cell(e, e->seq, &change->r);
	}
}

bool
delta_apply(struct cell_change *c, int64_t qty, int64_t at, bool *fits)
{
	bool absorbed = c->r.now.flags & CELL_COUNTED && at <= c->r.now.count_at - 1;
	*fits = absorbed || qty_fits(c->r.now.on_hand + qty);
	if (absorbed || !*fits)
		return false;
	c->r.now.on_hand += qty;
	c->changed = true;
	return true;
}

struct result_line
line_of(const struct engine *e, uint32_t n, int64_t qty)
{
	const struct cell *cell = &e->cells.at[n];
	return (struct result_line){ names_get(&e->names[NAMES_SKU], cell->sku), names_get(&e->names[NAMES_LOCATION], cell->location), qty };
}

void
refuse(struct result *r, enum status status, const char *message)
{
	r->status = status;
	r->message = message;
}

void
refuse_which(struct result *r, enum status status, const char *which, const char *message)
{
	refuse(r, status, message);
	r->which = which;
}
