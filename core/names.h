/*
 * names.h: names interned once into dense ids, one table each for SKUs, locations (with groups), sources and channels.
 *
 * N1 Append-only: an id keeps its bytes for ever, so readers on other threads need no lock (index.h).
 * N2 Ids are given in order 0, 1, 2, ...; recovery brings them back in that order.
 *
 * N3 The hint of a SKU is set once, by its first cell, and never changes.
 *
 * A name and its id stand side by side in the arena and the index leads there, so that a look touches two lines of memory: a slot and
 * a name. From an id to its name it is two as well, another array and the name. A SKU's name also tells where its first cell is, for most SKUs
 * the only one: who asks for just that needs no index of cells.
 */
#ifndef HOLDFAST_CORE_NAMES_H
#define HOLDFAST_CORE_NAMES_H

#include "core/base.h"
#include "core/carve.h"
#include "core/index.h"

enum name_table { NAMES_SKU, NAMES_LOCATION, NAMES_SOURCE, NAMES_CHANNEL, NAME_TABLES };

#define NAME_NONE INDEX_NONE

struct name {
	uint32_t id;
	_Atomic uint32_t first_cell; /* of a SKU: number + 1, 0: none; released when the cell and the place are known */
	uint16_t first_place; /* the low half of its location's id: a hint, the cell says which it is */
	uint8_t n, at[];
};

/* Places in the arena count in 4 bytes; the longest names (75 bytes with what is before them) of so many must have one below INDEX_NONE. */
#define NAME_UNIT 4
#define NAMES_MAX (UINT32_MAX / 19)

struct names {
	struct index index; /* of places */
	uint32_t *place; /* by id */
	uint8_t *arena;
	uint32_t used;
	_Atomic uint32_t count; /* released after the name is whole; readers acquire to walk */
	uint32_t max;
};

static inline const struct name *
names_at(const struct names *names, uint32_t place)
{
	return (const struct name *)(names->arena + (uint64_t)place * NAME_UNIT);
}

static inline uint32_t
names_place(const struct names *names, const struct name *name)
{
	return (uint32_t)(((const uint8_t *)name - names->arena) / NAME_UNIT);
}

/* The number of the SKU's cell at a location, if that is its first; NAME_NONE: look into the index. Any thread; to be checked. */
static inline uint32_t
name_cell(const struct name *sku, uint32_t location)
{
	uint32_t first = atomic_load_explicit(&sku->first_cell, memory_order_acquire);
	return first && sku->first_place == (uint16_t)location ? first - 1 : NAME_NONE;
}

static inline struct bytes
name_bytes(const struct name *name)
{
	return (struct bytes){ name->at, name->n };
}

void names_init(struct names *, struct carve *, uint32_t max, uint32_t bytes_max);
/* The id; NAME_NONE: unknown. Any thread. */
uint32_t names_find(const struct names *, struct bytes);
/* The same, the name itself; NULL: unknown. */
const struct name *names_look(const struct names *, struct bytes);
/* The bytes of a known id. Any thread. */
struct bytes names_get(const struct names *, uint32_t id);
uint32_t names_count(const struct names *);
/* Appends (the caller knows that it is new and that there is room). Gives id == count before. */
uint32_t names_add(struct names *, struct bytes);
/* A new cell of the SKU, which is whole: the first becomes the hint. */
void names_cell(struct names *, uint32_t sku, uint32_t location, uint32_t cell);

#endif
