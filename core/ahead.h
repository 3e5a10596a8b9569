/*
 * ahead.h: brings into the cache what coming commands will touch. A command walks from names to cells over four or five lines of
 * memory, each found in the one before: from memory that is a microsecond of waiting, ten times what the work itself takes. Who has
 * several commands in hand begins the walks of all of them and lets them go side by side, each step a short loop over all: so all wait at
 * once, for the lines and for the places of their pages.
 *
 *      begin ──▶ name ──▶ number ──▶ cell ──▶ neighbour ──▶ the commands themselves, one after the other
 *      hashes    └────────────── ahead_walk() ────────┘
 *
 * A1 Nothing is decided here: a step looks at tables as they are now and asks for memory, it changes nothing. A wrong guess (a name
 *    that is not the one of that hash, a cell that is made meanwhile) costs a line of cache and nothing else.
 * A2 A step touches only what the step before asked for, which the others of the block gave time to come.
 * A3 What the walk found may be given to the command as a hint (engine_hint() in engine.h), so that it does not look for it again. A hint
 *    is checked against the command's own bytes before it is believed: a wrong one costs a comparison.
 *
 * Engine's thread, or any thread for what has no id (view.h reads the same tables).
 */
#ifndef HOLDFAST_CORE_AHEAD_H
#define HOLDFAST_CORE_AHEAD_H

#include "core/base.h"

struct engine;

#define AHEAD_BLOCK 16 /* walks side by side: more than a processor waits for at once, and what they fetch stays in its first cache */
#define AHEAD_NOTHING UINT32_MAX

struct ahead {
	uint64_t sku_hash, id_hash, pair_hash;
	uint32_t name, location_name; /* places of the names (names.h); all four as found so far, AHEAD_NOTHING: not (yet) */
	uint32_t cell, slot;
	uint8_t sku_n;
	bool has_cell, event;
	struct bytes id; /* whose hash that is, lent until the command is executed; empty: it has none */
};

/* It names nothing: no step does anything, and it is no hint. */
void ahead_none(struct ahead *);
/* id empty: the command has none (an event, a read), or none that could be one. sku empty: it names no cell itself (commit, ...). */
void ahead_begin(const struct engine *, struct ahead *, struct bytes id, struct bytes sku, struct bytes location);
/* The same of a stock event, which keeps a delta of its cell (history.h); the engine's thread. */
void ahead_begin_event(const struct engine *, struct ahead *, struct bytes sku, struct bytes location);
/* The way from there to the cells, of n that have begun. */
void ahead_walk(const struct engine *, struct ahead *, unsigned n);

#endif
