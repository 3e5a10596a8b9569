#include "core/view.h"

#include "core/state.h"

static void
view_fill(const struct engine *e, uint32_t sku, uint32_t location, struct cell_view *v)
{
	*v = (struct cell_view){ .sku = names_get(&e->names[NAMES_SKU], sku), .location = names_get(&e->names[NAMES_LOCATION], location),
		.last_event_at = -1, .last_count_at = -1 };
}

/* Adds a cell's value: alone it is the cell, over members it is the group (D4). */
static void
view_add(const struct engine *e, uint32_t n, struct cell_view *v)
{
	struct cell_image c;
	uint64_t seq;
	cell_read_all(&e->cells.at[n], &c, &seq);
	v->on_hand += c.on_hand;
	v->unsellable += c.unsellable;
	v->reserved += c.reserved;
	v->committed += c.committed;
	v->promised += c.promised;
	v->safety_stock += c.safety_stock;
	v->oversell_limit += c.oversell_limit;
	v->inbound += c.inbound;
	v->ats += cell_ats(&c);
	v->short_units += qty_floor(c.reserved + c.committed - (c.on_hand - c.unsellable) - c.oversell_limit);
	if (seq > v->seq)
		v->seq = seq;
	if (c.last_event_at - 1 > v->last_event_at)
		v->last_event_at = c.last_event_at - 1;
	if (c.count_at - 1 > v->last_count_at)
		v->last_count_at = c.count_at - 1;
}

/* What a name of the shared namespace means now. */
enum meaning { MEANS_NOTHING, MEANS_LOCATION, MEANS_GROUP };

static inline enum meaning
meaning_now(const struct engine *e, uint32_t location, uint64_t *place)
{
	*place = group_place(&e->groups, location);
	return *place == PLACE_LOCATION ? MEANS_LOCATION : *place == PLACE_GROUP_HIDDEN ? MEANS_NOTHING : MEANS_GROUP;
}

static enum meaning
meaning_of(const struct engine *e, struct bytes name, uint32_t *location, uint64_t *place)
{
	*location = names_find(&e->names[NAMES_LOCATION], name);
	return *location == NAME_NONE ? MEANS_NOTHING : meaning_now(e, *location, place);
}

enum view_status
view_ats_named(const struct engine *e, const struct name *s, const struct name *l, uint32_t cell, int64_t *ats, uint64_t *seq)
{
	uint64_t place;
	*ats = 0;
	*seq = 0;
	for (;;) {
		enum meaning means = s && l ? meaning_now(e, l->id, &place) : MEANS_NOTHING;
		if (means == MEANS_NOTHING)
			return VIEW_UNKNOWN;
		if (means == MEANS_LOCATION)
			break;
		if (group_read(&e->groups, l->id, place, s->id, ats, seq))
			return VIEW_OK;
	}
	uint32_t n = hint_pair(e, hint_first(cell, s, l), s->id, l->id);
	if (n != CELL_NONE) {
		struct cell_terms t;
		cell_read(&e->cells.at[n], &t);
		*ats = cell_terms_ats(&t);
		*seq = t.seq;
	}
	return VIEW_OK;
}

enum view_status
view_ats(const struct engine *e, struct bytes sku, struct bytes name, const struct ahead *hint, int64_t *ats, uint64_t *seq)
{
	const struct name *s = hint_name(&e->names[NAMES_SKU], hint ? hint->name : AHEAD_NOTHING, sku);
	const struct name *l = hint_name(&e->names[NAMES_LOCATION], hint ? hint->location_name : AHEAD_NOTHING, name);
	return view_ats_named(e, s, l, hint ? hint->cell : AHEAD_NOTHING, ats, seq);
}

enum view_status
view_cell(const struct engine *e, struct bytes sku, struct bytes name, struct cell_view *v)
{
	uint32_t members[GROUP_MEMBERS_MAX];
	uint64_t place;
	uint32_t location, s = names_find(&e->names[NAMES_SKU], sku), members_n;
	for (;;) {
		enum meaning means = meaning_of(e, name, &location, &place);
		if (s == NAME_NONE || means == MEANS_NOTHING)
			return VIEW_UNKNOWN;
		view_fill(e, s, location, v);
		if (means == MEANS_LOCATION) {
			uint32_t n = cells_find(&e->cells, s, location);
			if (n != CELL_NONE)
				view_add(e, n, v);
			return VIEW_OK;
		}
		if ((members_n = group_members(&e->groups, location, place, members)) > 0)
			break;
	}
	int64_t ats = 0;
	for (uint32_t i = 0; i < members_n; i++) {
		uint32_t n = cells_find(&e->cells, s, members[i]);
		v->ats = 0;
		if (n != CELL_NONE)
			view_add(e, n, v);
		ats += qty_floor(v->ats);
	}
	v->ats = ats;
	return VIEW_OK;
}

bool
view_sku_known(const struct engine *e, struct bytes sku)
{
	return names_find(&e->names[NAMES_SKU], sku) != NAME_NONE;
}

bool
view_place_known(const struct engine *e, struct bytes name)
{
	uint32_t location;
	uint64_t place;
	return meaning_of(e, name, &location, &place) != MEANS_NOTHING;
}

/* ---- scan ---- */

static bool
has_prefix(struct bytes name, struct bytes prefix)
{
	return name.n >= prefix.n && (prefix.n == 0 || memcmp(name.at, prefix.at, prefix.n) == 0);
}

/* Which locations a scan wants, in order. */
struct wanted {
	bool all;
	uint32_t n, location[GROUP_MEMBERS_MAX];
};

/* The first of the n that is not below a location; n: none. */
static uint32_t
wanted_from(const struct wanted *w, uint32_t n, uint32_t location)
{
	uint32_t low = 0;
	while (n > low) {
		uint32_t middle = low + (n - low) / 2;
		if (w->location[middle] < location)
			low = middle + 1;
		else
			n = middle;
	}
	return low;
}

static bool
wanted_has(const struct wanted *w, uint32_t location)
{
	uint32_t i = w->all ? 0 : wanted_from(w, w->n, location);
	return w->all || (i < w->n && w->location[i] == location);
}

/* Members come by priority. */
static void
wanted_sort(struct wanted *w)
{
	for (uint32_t i = 1; i < w->n; i++) {
		uint32_t location = w->location[i], at = wanted_from(w, i, location);
		memmove(w->location + at + 1, w->location + at, (i - at) * sizeof *w->location);
		w->location[at] = location;
	}
}

static enum view_status
wanted_find(const struct engine *e, struct bytes name, struct wanted *w)
{
	uint64_t place;
	uint32_t location;
	w->all = name.n == 0;
	w->n = 0;
	while (!w->all && w->n == 0) {
		switch (meaning_of(e, name, &location, &place)) {
		case MEANS_NOTHING:
			return VIEW_UNKNOWN;
		case MEANS_LOCATION:
			w->location[w->n++] = location;
			break;
		case MEANS_GROUP:
			w->n = group_members(&e->groups, location, place, w->location);
			wanted_sort(w);
			break;
		}
	}
	return VIEW_OK;
}

/*
 * The next cell number at or after `from` that can match: a scan of one location jumps along its list, others look at every
 * cell. cursor = cell number + 1; cells of a list are in order of their numbers.
 */
static uint32_t
following(const struct engine *e, const struct wanted *w, uint32_t at)
{
	if (w->all || w->n > 1)
		return at + 1 < cells_count(&e->cells) ? at + 1 : CELL_NONE;
	return atomic_load_explicit(&e->cells.at[at].next_of_location, memory_order_acquire) - 1; /* 0 - 1: CELL_NONE */
}

static uint32_t
starting(const struct engine *e, const struct wanted *w, uint64_t cursor)
{
	if (cursor)
		return cursor - 1 < cells_count(&e->cells) ? (uint32_t)(cursor - 1) : CELL_NONE;
	if (w->all || w->n > 1)
		return cells_count(&e->cells) ? 0 : CELL_NONE;
	return atomic_load_explicit(&e->cells.location_head[w->location[0]], memory_order_acquire) - 1;
}

enum view_status
view_scan(const struct engine *e, const struct scan_filter *f, uint64_t *cursor, uint32_t most, uint32_t *visits,
    void (*each)(void *context, const struct cell_view *), void *context)
{
	struct wanted w;
	uint32_t found = 0;
	if (wanted_find(e, f->place, &w) != VIEW_OK)
		return VIEW_UNKNOWN;
	uint32_t n = starting(e, &w, *cursor);
	for (; n != CELL_NONE && found < most && *visits > 0; n = following(e, &w, n), --*visits) {
		const struct cell *cell = &e->cells.at[n];
		struct cell_view v;
		if (!wanted_has(&w, cell->location) || !has_prefix(names_get(&e->names[NAMES_SKU], cell->sku), f->sku_prefix))
			continue;
		view_fill(e, cell->sku, cell->location, &v);
		view_add(e, n, &v);
		if (v.seq <= f->since)
			continue;
		each(context, &v);
		found++;
	}
	*cursor = n == CELL_NONE ? 0 : (uint64_t)n + 1;
	return VIEW_OK;
}

/* ---- by number ---- */

uint32_t
view_sku_id(const struct engine *e, struct bytes sku)
{
	return names_find(&e->names[NAMES_SKU], sku); /* NAME_NONE is VIEW_NONE */
}

uint32_t
view_place_id(const struct engine *e, struct bytes name)
{
	uint32_t location;
	uint64_t place;
	return meaning_of(e, name, &location, &place) == MEANS_NOTHING ? VIEW_NONE : location;
}

uint32_t
view_location_id(const struct engine *e, struct bytes name)
{
	return names_find(&e->names[NAMES_LOCATION], name);
}

struct bytes
view_sku_name(const struct engine *e, uint32_t id)
{
	ensure(id < names_count(&e->names[NAMES_SKU]));
	return names_get(&e->names[NAMES_SKU], id);
}

struct bytes
view_location_name(const struct engine *e, uint32_t id)
{
	ensure(id < names_count(&e->names[NAMES_LOCATION]));
	return names_get(&e->names[NAMES_LOCATION], id);
}

bool
view_members(const struct engine *e, uint32_t id, uint64_t *version, uint32_t members[GROUP_MEMBERS_MAX], uint32_t *n)
{
	for (;;) {
		uint64_t place = group_place(&e->groups, id);
		if (*version == place + 1)
			return false;
		*version = place + 1;
		*n = 0;
		if (place == PLACE_GROUP_HIDDEN)
			return true;
		if (place == PLACE_LOCATION) {
			members[(*n)++] = id;
			return true;
		}
		if ((*n = group_members(&e->groups, id, place, members)) > 0)
			return true;
	}
}

static uint32_t
pool_max(const struct engine *e, enum view_pool pool)
{
	return pool == VIEW_SLOTS ? e->reservations.max : pool == VIEW_EXTRA_LINES ? e->reservations.extra_max : e->history.ring;
}

uint32_t
view_used(const struct engine *e, enum view_pool pool, uint32_t *max)
{
	*max = pool_max(e, pool);
	return atomic_load_explicit(&e->pools_view[pool], memory_order_relaxed);
}

void
view_pool_memory(const struct engine *e, enum view_pool pool, uint32_t from, uint32_t to, struct view_range ranges[VIEW_RANGES])
{
	const struct reservations *v = &e->reservations;
	uint32_t first = pool == VIEW_SLOTS ? 0 : v->max, slots = pool == VIEW_SLOTS ? to - from : 0;
	ensure(from <= to && to <= pool_max(e, pool));
	if (pool == VIEW_HISTORY)
		ranges[0] = (struct view_range){ e->history.at + from, (to - from) * sizeof *e->history.at };
	else
		ranges[0] = (struct view_range){ v->lines + first + from, (to - from) * sizeof *v->lines };
	ranges[1] = (struct view_range){ v->at + (slots ? from : 0), slots * sizeof *v->at };
}

/* An index is worth it when nearly every page of it will be touched: eight slots in each. */
static struct view_range
index_memory(const struct index *index, uint64_t n)
{
	return (struct view_range){ (void *)index->slots, n >= index->slots_n / 64 ? index->slots_n * sizeof *index->slots : 0 };
}

void
view_tables_memory(const struct engine *e, uint64_t cells, uint64_t reservations, struct view_range ranges[VIEW_TABLES])
{
	const struct reservations *v = &e->reservations;
	cells = cells < e->cells.max ? cells : e->cells.max;
	reservations = reservations < v->max ? reservations : v->max;
	ranges[0] = (struct view_range){ e->cells.at, cells * sizeof *e->cells.at };
	ranges[1] = (struct view_range){ v->at, reservations * sizeof *v->at };
	ranges[2] = (struct view_range){ v->lines, reservations * sizeof *v->lines };
	ranges[3] = index_memory(&e->cells.index, cells);
	ranges[4] = index_memory(&v->index, reservations);
}

bool
view_indexes_memory(const struct engine *e, struct view_range ranges[VIEW_INDEXES])
{
	const struct index *indexes[VIEW_INDEXES] = { &e->names[NAMES_SKU].index, &e->cells.index, &e->reservations.index };
	for (int i = 0; i < VIEW_INDEXES; i++)
		ranges[i] = index_memory(indexes[i], indexes[i]->slots_n);
	return names_count(&e->names[NAMES_SKU]) > 0;
}

uint64_t
view_seq(const struct engine *e)
{
	return atomic_load_explicit(&e->seq_view, memory_order_acquire);
}

int64_t
view_deadline(const struct engine *e)
{
	return atomic_load_explicit(&e->deadline_view, memory_order_acquire);
}

uint64_t
view_named(const struct engine *e)
{
	return atomic_load_explicit(&e->named_view, memory_order_acquire);
}
