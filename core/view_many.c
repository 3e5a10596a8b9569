/*
 * view_many.c: many cells in one read. They lie anywhere in memory, each at the end of a walk as in ahead.h; here all walks of a block
 * go side by side: a line of memory is asked for by all of them before the first reads it.
 */
#include "core/view.h"

#include "core/state.h"

struct walk {
	const struct name *sku, *location; /* NULL: unknown */
	uint64_t hash; /* of the SKU's name, then of the pair */
	uint32_t found; /* the place of the SKU's name, then the cell, as far as the hash tells; AHEAD_NOTHING: none */
};

static inline void
fetch(const void *at)
{
	__builtin_prefetch(at, 0, 3);
}

static inline void
fetch_home(const struct index *index, uint64_t hash)
{
	fetch((const void *)&index->slots[index_home(index, (uint32_t)(hash >> 32))]);
}

static void
walks_to_names(const struct engine *e, const struct asked_line *cells, uint32_t n, struct walk *walks)
{
	const struct names *skus = &e->names[NAMES_SKU];
	for (uint32_t i = 0; i < n; i++) {
		struct walk *w = &walks[i];
		w->hash = index_hash(&skus->index, cells[i].sku);
		if (i > 0 && cells[i].location.at == cells[i - 1].location.at) /* a page of one shop */
			w->location = walks[i - 1].location;
		else
			w->location = names_look(&e->names[NAMES_LOCATION], cells[i].location);
	}
	for (uint32_t i = 0; i < n; i++)
		fetch_home(&skus->index, walks[i].hash);
	for (uint32_t i = 0; i < n; i++)
		if ((walks[i].found = index_guess(&skus->index, walks[i].hash)) != AHEAD_NOTHING) {
			const struct name *name = names_at(skus, walks[i].found);
			fetch(name);
			fetch(name->at + cells[i].sku.n - 1); /* it may reach into the next line */
		}
}

static inline void
fetch_cell(const struct engine *e, uint32_t cell, bool cold)
{
	fetch(&e->cells.at[cell]);
	if (cold)
		fetch((const void *)&e->cells.at[cell].promised);
}

/* cold: with the second line of each cell. */
static void
walks_to_cells(const struct engine *e, const struct asked_line *cells, uint32_t n, struct walk *walks, bool cold)
{
	uint32_t behind[VIEW_MANY], behind_n = 0; /* the index: not their SKU's first cells */
	for (uint32_t i = 0; i < n; i++) {
		struct walk *w = &walks[i];
		w->sku = hint_name(&e->names[NAMES_SKU], w->found, cells[i].sku);
		if (!w->sku || !w->location) {
			w->found = AHEAD_NOTHING;
		} else if ((w->found = name_cell(w->sku, w->location->id)) != AHEAD_NOTHING) {
			fetch_cell(e, w->found, cold);
		} else {
			w->hash = index_hash_pair(&e->cells.index, w->sku->id, w->location->id);
			fetch_home(&e->cells.index, w->hash);
			behind[behind_n++] = i;
		}
	}
	for (uint32_t i = 0; i < behind_n; i++) {
		struct walk *w = &walks[behind[i]];
		if ((w->found = index_guess(&e->cells.index, w->hash)) != AHEAD_NOTHING)
			fetch_cell(e, w->found, cold);
	}
}

void
view_ahead(const struct engine *e, const struct asked_line *cells, uint32_t n)
{
	struct walk walks[VIEW_MANY];
	ensure(n <= VIEW_MANY);
	walks_to_names(e, cells, n, walks);
	walks_to_cells(e, cells, n, walks, true);
}

/* The walk ends at the cell that was asked for, at a location: nearly always. */
static inline bool
walk_arrived(const struct engine *e, const struct walk *w)
{
	const struct cell *cell = w->found != AHEAD_NOTHING ? &e->cells.at[w->found] : NULL;
	return cell && cell->sku == w->sku->id && cell->location == w->location->id &&
	    group_place(&e->groups, w->location->id) == PLACE_LOCATION;
}

void
view_ats_many(const struct engine *e, const struct asked_line *cells, uint32_t n, int64_t *ats, uint64_t *newest)
{
	struct walk walks[VIEW_MANY];
	uint64_t seq, latest = *newest;
	ensure(n <= VIEW_MANY);
	walks_to_names(e, cells, n, walks);
	walks_to_cells(e, cells, n, walks, false);
	for (uint32_t i = 0; i < n; i++) {
		const struct walk *w = &walks[i];
		if (walk_arrived(e, w)) {
			struct cell_terms t;
			cell_read(&e->cells.at[w->found], &t);
			ats[i] = cell_terms_ats(&t);
			seq = t.seq;
		} else if (view_ats_named(e, w->sku, w->location, w->found, &ats[i], &seq) != VIEW_OK) {
			ats[i] = VIEW_ATS_UNKNOWN;
		}
		latest = seq > latest ? seq : latest;
	}
	*newest = latest;
}
