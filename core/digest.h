/*
 * digest.h: two fingerprints of a whole engine.
 *
 * stock: quantities, policies, open lines, source marks, by name and independent of the order of arrival: what two stores of
 *        one truth must agree on. Made by a job in slices while the engine goes on: what changes before the walk comes to
 *        it is added as it was at the start (digest_..._changes), so the sum is of one instant.
 * state: everything evolve keeps, slot by slot, but not the position that the engine stands at; for tests and small engines, in
 *        one stop.
 */
#ifndef HOLDFAST_CORE_DIGEST_H
#define HOLDFAST_CORE_DIGEST_H

#include "core/base.h"
#include "core/command.h"

struct engine;

struct digest_walk {
	bool active;
	uint64_t start; /* position whose state is summed */
	uint32_t source, cell, slot; /* cursors: below them all is summed */
	unsigned __int128 sum;
	uint64_t cells;
	/* filter, copied */
	uint8_t text[3][NAME_BYTES_MAX];
	struct bytes location, sku_from, sku_to;
	unsigned __int128 state;
	bool has_state;
};

#define DIGEST_SLICE 4096 /* cells, slots or numbers looked at; the numbers of one source are never parted */
/* The state digest stops the engine for its walk: only offered up to so many slots in use, all tables and marks together. */
#define DIGEST_STATE_MAX 1000000

void digest_begin(struct engine *, const struct digest_command *);
/* true: done. */
bool digest_slice(struct engine *);
/* Called by evolve before it changes a source, a cell or a reservation, while a walk is active. */
void digest_source_changes(struct engine *, uint32_t source);
void digest_cell_changes(struct engine *, uint32_t cell);
void digest_reservation_changes(struct engine *, uint32_t slot);

#endif
