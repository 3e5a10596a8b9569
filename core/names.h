/*
 * names.h: names interned once into dense ids, one table each for SKUs, locations (with groups), sources and channels.
 *
 * N1 Append-only: an id keeps its bytes for ever, so readers on other threads need no lock (index.h).
 * N2 Ids are given in order 0, 1, 2, ...; recovery brings them back in that order.
 */
#ifndef HOLDFAST_CORE_NAMES_H
#define HOLDFAST_CORE_NAMES_H

#include "core/base.h"
#include "core/carve.h"
#include "core/index.h"

enum name_table { NAMES_SKU, NAMES_LOCATION, NAMES_SOURCE, NAMES_CHANNEL, NAME_TABLES };

#define NAME_NONE INDEX_NONE

struct names {
	struct index index;
	uint64_t *offset; /* of the length byte in the arena */
	uint8_t *arena;
	uint64_t arena_used;
	_Atomic uint32_t count; /* released after the name is whole; readers acquire to walk */
	uint32_t max;
};

void names_init(struct names *, struct carve *, uint32_t max, uint32_t bytes_max);
/* The id; NAME_NONE: unknown. Any thread. */
uint32_t names_find(const struct names *, struct bytes);
/* The bytes of a known id. Any thread. */
struct bytes names_get(const struct names *, uint32_t id);
uint32_t names_count(const struct names *);
/* Appends (the caller knows that it is new and that there is room). Gives id == count before. */
uint32_t names_add(struct names *, struct bytes);

#endif
