#include "core/evolve.h"

void
evolve_count_key(struct engine *e, struct cell *cell, const struct cell_image *now)
{
	uint8_t id[1 + NAME_BYTES_MAX] = { (uint8_t)now->count_id.n };
	if (cell->flags & CELL_COUNT_BY_ID)
		blobs_free(&e->blobs, (uint32_t)cell->count_key);
	cell->count_key = now->count_n;
	if (now->flags & CELL_COUNT_BY_ID) {
		memcpy(id + 1, now->count_id.at, now->count_id.n);
		cell->count_key = blobs_put(&e->blobs, id, 1 + now->count_id.n);
	}
	cell->count_source = now->count_source;
}
