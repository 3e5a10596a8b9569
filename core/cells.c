#include "core/cells.h"

/* As cell_terms_copy() reads them. */
#define get(field) atomic_load_explicit(&(field), memory_order_acquire)

void
cells_init(struct cells *cells, struct carve *c, uint32_t max, uint32_t locations_max)
{
	cells->max = max;
	cells->at = carve(c, max, sizeof *cells->at);
	cells->index.slots_n = index_slots(max);
	cells->index.slots = carve(c, cells->index.slots_n, sizeof *cells->index.slots);
	cells->location_head = carve(c, locations_max, sizeof *cells->location_head);
	cells->location_tail = carve(c, locations_max, sizeof *cells->location_tail);
}

uint32_t
cells_find(const struct cells *cells, uint32_t sku, uint32_t location)
{
	struct index_probe probe = index_first(&cells->index, index_hash_pair(&cells->index, sku, location));
	for (;;) {
		uint32_t n = index_next(&cells->index, &probe);
		if (n == INDEX_NONE || (cells->at[n].sku == sku && cells->at[n].location == location))
			return n;
	}
}

/* Appends to the location's list in order of creation; release: a scan that follows the link finds the cell whole. */
static void
chain(struct cells *cells, uint32_t location, uint32_t n)
{
	uint32_t *tail = &cells->location_tail[location];
	_Atomic uint32_t *link = *tail == LINK_NONE ? &cells->location_head[location] : &cells->at[*tail - 1].next_of_location;
	atomic_store_explicit(link, n + 1, memory_order_release);
	*tail = n + 1;
}

uint32_t
cells_add(struct cells *cells, uint32_t sku, uint32_t location)
{
	uint32_t n = cells_count(cells);
	ensure(n < cells->max);
	cells->at[n].sku = sku;
	cells->at[n].location = location;
	if (!cells->unindexed)
		index_put(&cells->index, index_hash_pair(&cells->index, sku, location), n);
	chain(cells, location, n);
	atomic_store_explicit(&cells->count, n + 1, memory_order_release);
	return n;
}

void
cells_index(struct cells *cells)
{
	uint32_t count = cells_count(cells);
	if (!cells->unindexed)
		return;
	cells->unindexed = false;
	for (uint32_t n = 0; n < count; n++) {
		if (n + INDEX_AHEAD < count)
			index_ahead(&cells->index, index_hash_pair(&cells->index, cells->at[n + INDEX_AHEAD].sku, cells->at[n + INDEX_AHEAD].location));
		index_put(&cells->index, index_hash_pair(&cells->index, cells->at[n].sku, cells->at[n].location), n);
	}
}

/* All but the count's key and the flags, which belong to the engine's thread. */
static inline void
image_copy(const struct cell *cell, struct cell_image *image)
{
	uint64_t policy = get(cell->policy);
	image->on_hand = get(cell->on_hand);
	image->unsellable = get(cell->unsellable);
	image->reserved = get(cell->reserved);
	image->committed = get(cell->committed);
	image->safety_stock = (int64_t)(policy & UINT32_MAX);
	image->oversell_limit = (int64_t)(policy >> 32);
	image->promised = get(cell->promised);
	image->inbound = get(cell->inbound);
	image->last_event_at = get(cell->last_event_at);
	image->count_at = get(cell->count_at);
	image->sku = cell->sku;
	image->location = cell->location;
}

void
cell_read_all(const struct cell *cell, struct cell_image *image, uint64_t *seq)
{
	CELL_READ_STEADY(cell, *seq, image_copy(cell, image));
}
