/*
 * ahead.h: brings into the cache what a coming command will touch. A command walks from names to cells over five lines of
 * memory, each found in the one before: from memory that is a microsecond of waiting, ten times what the work itself takes. Who has
 * several commands in hand lets each make one step of that walk at a time, so that the waits of all of them run side by side.
 *
 *      begin ──▶ step ──▶ step ──▶ step ──▶ step ──▶ the command itself        (other commands between the arrows)
 *      hashes    name     number   cell     neighbour
 *
 * A1 Nothing is decided here: a step looks at tables as they are now and asks for memory, it changes nothing. A wrong guess (a name
 *    that is not the one of that hash, a cell that is made meanwhile) costs a line of cache and nothing else.
 * A2 A step touches only what the step before asked for, so none of them waits.
 * A3 What the walk found may be given to the command as a hint (engine_hint() in engine.h), so that it does not look for it again. A hint
 *    is checked against the command's own bytes before it is believed: a wrong one costs a comparison.
 *
 * Engine's thread, or any thread for what has no id (view.h reads the same tables).
 */
#ifndef HOLDFAST_CORE_AHEAD_H
#define HOLDFAST_CORE_AHEAD_H

#include "core/base.h"

struct engine;

#define AHEAD_STEPS 4 /* behind begin */
#define AHEAD_NOTHING UINT32_MAX

struct ahead {
	uint64_t sku_hash, id_hash, pair_hash;
	uint32_t name, location_name; /* places of the names (names.h); all four as found so far, AHEAD_NOTHING: not (yet) */
	uint32_t cell, slot;
	uint8_t step;
	bool has_cell, event;
	struct bytes id; /* whose hash that is, lent until the command is executed; empty: it has none */
};

/* It names nothing: no step does anything, and it is no hint. */
void ahead_none(struct ahead *);
/* id empty: the command has none (an event, a read), or none that could be one. sku empty: it names no cell itself (commit, ...). */
void ahead_begin(const struct engine *, struct ahead *, struct bytes id, struct bytes sku, struct bytes location);
/* The same of a stock event, which keeps a delta of its cell (history.h); the engine's thread. */
void ahead_begin_event(const struct engine *, struct ahead *, struct bytes sku, struct bytes location);
/* The next step; more than AHEAD_STEPS do nothing. */
void ahead_step(const struct engine *, struct ahead *);

/* Those in hand, in the order in which they will be handled. All zero: nobody. */
#define AHEAD_DISTANCE 4 /* commands from one step to the next: handling them takes as long as memory takes to answer */
#define AHEAD_WINDOW   (AHEAD_DISTANCE * (AHEAD_STEPS + 1))
struct ahead_line {
	unsigned first, n;
	struct ahead at[AHEAD_WINDOW];
};

static inline bool
ahead_line_full(const struct ahead_line *line)
{
	return line->n == AHEAD_WINDOW;
}

/* The number in `at` of the i-th from the first on. */
static inline unsigned
ahead_line_place(const struct ahead_line *line, unsigned i)
{
	return line->first + i < AHEAD_WINDOW ? line->first + i : line->first + i - AHEAD_WINDOW;
}

/* The place at the end, its number in `at`; the line is not full. The caller begins it. */
static inline unsigned
ahead_line_end(const struct ahead_line *line)
{
	return ahead_line_place(line, line->n);
}
struct ahead *ahead_line_add(struct ahead_line *);
/* The first is handled now: it leaves, those who stand at a step's distance behind it make their step. */
void ahead_line_next(const struct engine *, struct ahead_line *);

#endif
