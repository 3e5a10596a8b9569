/*
 * groups.h: location groups: definitions, and the ATS of each (SKU, group) kept so that a group is one read (D4).
 *
 * G1 For a live group: its number for a SKU = sum over members of max(0, ATS of the member's cell).
 * G2 A definition being built keeps G1 for all SKUs below its cursor; the old one stays in force until the new one lands.
 * G3 Group numbers are derived by evolve and never journaled; after a restart they are rebuilt from the cells.
 *
 * The engine's thread writes; any thread reads group_read(). place[] says what a location id is; a reader looks at it again
 * after reading (a removed or redefined group's numbers may be another's by then; the serial number in it never comes back).
 */
#ifndef HOLDFAST_CORE_GROUPS_H
#define HOLDFAST_CORE_GROUPS_H

#include "core/cells.h"
#include "core/record.h"

struct group_number { /* one (SKU, group): same protocol as a cell's sequence word */
	_Atomic uint64_t seq;
	_Atomic int64_t ats;
};

struct group {
	uint32_t location;
	bool used, live;
	uint32_t cursor; /* SKUs below it are derived */
	_Atomic uint32_t members_n; /* atomic for group_members() alone */
	_Atomic uint32_t members[GROUP_MEMBERS_MAX];
};

struct membership { /* groups that a location is in: live ones and ones being built */
	uint16_t n;
	uint16_t group[2 * GROUPS_OF_LOCATION_MAX];
};

#define PLACE_LOCATION 0
#define PLACE_GROUP_HIDDEN 1 /* a group's name, but nothing is live under it */

struct groups {
	struct group *at; /* 2 x groups_max: the second of a redefinition */
	struct group_number *numbers; /* [group][sku] */
	_Atomic uint64_t *place; /* per location id: LOCATION, GROUP_HIDDEN, or serial << 32 | group + 2 */
	struct membership *of_location;
	uint32_t max, skus_max, locations_max;
	uint32_t live_n, building_n;
	uint64_t serial;
	bool deriving; /* false while loading: numbers are built at the end */
};

void groups_init(struct groups *, struct carve *, uint32_t max, uint32_t skus_max, uint32_t locations_max);
/* The live group of a location id, or the one being built; NULL: none. The engine's thread. */
struct group *groups_live(const struct groups *, uint32_t location);
struct group *groups_building(const struct groups *, uint32_t location);
/* Any of those being built, for the job; NULL: none. */
struct group *groups_any_building(const struct groups *);
/* Names that are or are about to be groups: one that is being built anew counts once. */
uint32_t groups_defined(const struct groups *);
bool groups_is_name(const struct groups *, uint32_t location); /* a group's name, live or not */
void groups_evolve(struct groups *, const struct group_record *);
/* A cell of `location` changes its ATS: only if somebody asks; most locations are in no group. */
static inline bool
groups_ask(const struct groups *g, uint32_t location)
{
	return g->of_location[location].n && g->deriving;
}
void groups_cell_changed(struct groups *, uint32_t sku, uint32_t location, int64_t was, int64_t now, uint64_t seq);
/* Derives the next SKUs of a group, at most LINES_MAX cells; true: it has all `skus`. */
bool groups_build(struct groups *, struct group *, const struct cells *, uint32_t skus, uint64_t seq);
/* After recovery: every live group at once. */
void groups_load_done(struct groups *, const struct cells *, uint32_t skus, uint64_t seq);
/* Any thread: what `location` is now: PLACE_... or the word to give to group_read(). */
static inline uint64_t
group_place(const struct groups *g, uint32_t location)
{
	return atomic_load_explicit(&g->place[location], memory_order_acquire);
}
/* Any thread. false: the group is no longer what `place` said: look again. */
bool group_read(const struct groups *, uint32_t location, uint64_t place, uint32_t sku, int64_t *ats, uint64_t *seq);
/* Members of a place word, copied; 0: it changed meanwhile. Any thread. */
uint32_t group_members(const struct groups *, uint32_t location, uint64_t place, uint32_t members[GROUP_MEMBERS_MAX]);

#endif
