/*
 * view.h: what any thread may read while the engine writes: names and cells. No locks: names are append-only, a cell is
 * copied between two equal readings of its sequence word (cells.h has the ordering argument).
 *
 * Values are what the engine has decided, durable or not: a reader holds its answer back until `seq` is durable, and asks the
 * engine instead when a deadline is due (engine_deadline_view) so that a dead hold is never counted (D19).
 */
#ifndef HOLDFAST_CORE_VIEW_H
#define HOLDFAST_CORE_VIEW_H

#include "core/command.h"

struct engine;

struct cell_view {
	struct bytes sku, location;
	uint64_t seq; /* position of the last change; 0: known names, no cell yet, all quantities 0 (D8) */
	int64_t on_hand, unsellable, reserved, committed, promised, safety_stock, oversell_limit, inbound;
	int64_t ats; /* D1; for a group D4 */
	int64_t short_units; /* D2 */
	int64_t last_event_at, last_count_at; /* ms; -1: none */
};

enum view_status { VIEW_OK, VIEW_UNKNOWN };

/* ATS alone: one or two cache lines. The hint is checked (A3 of ahead.h); NULL: none. */
struct ahead;
enum view_status view_ats(const struct engine *, struct bytes sku, struct bytes place, const struct ahead *hint, int64_t *ats, uint64_t *seq);
enum view_status view_cell(const struct engine *, struct bytes sku, struct bytes place, struct cell_view *);

#define VIEW_MANY 32 /* some three times as many lines of memory as a processor waits for side by side */
#define VIEW_ATS_UNKNOWN INT64_MIN /* no ATS is that small */
/* The ATS of up to VIEW_MANY cells, whose memory is waited for side by side; *newest rises to the greatest seq. */
void view_ats_many(const struct engine *, const struct asked_line *, uint32_t n, int64_t *ats, uint64_t *newest);
/* Brings into the cache what view_cell() will read of up to VIEW_MANY cells. */
void view_ahead(const struct engine *, const struct asked_line *, uint32_t n);

/* Finds names without reading a cell: for messages. */
bool view_sku_known(const struct engine *, struct bytes);
bool view_place_known(const struct engine *, struct bytes); /* a location or a live group */

struct scan_filter {
	struct bytes place; /* empty: all; a location or a group (its members) */
	struct bytes sku_prefix;
	uint64_t since; /* only cells with seq > since */
};
#define SCAN_VISIT_MAX 8192 /* cells that a host looks at for one page: a millisecond or two when all are passed over */
/*
 * Calls `each` for up to `most` matching cells from *cursor (0: the start) on and leaves in *cursor where to go on (0: the
 * end). Looks at *visits cells at most, and leaves how many are not used up: at 0 fewer than `most` may have come although *cursor is not 0.
 * VIEW_UNKNOWN: no such place.
 */
enum view_status view_scan(const struct engine *, const struct scan_filter *, uint64_t *cursor, uint32_t most, uint32_t *visits,
    void (*each)(void *context, const struct cell_view *), void *context);

/* ---- by number: for who reads the journal or the image, where names are ids ---- */
#define VIEW_NONE UINT32_MAX
uint32_t view_sku_id(const struct engine *, struct bytes); /* VIEW_NONE: unknown */
uint32_t view_place_id(const struct engine *, struct bytes); /* of a location or a live group; VIEW_NONE: unknown */
uint32_t view_location_id(const struct engine *, struct bytes); /* whatever the name means now */
/* The name of an id that a durable entry has told, lent for ever. */
struct bytes view_sku_name(const struct engine *, uint32_t id);
struct bytes view_location_name(const struct engine *, uint32_t id);
/*
 * What a place id means now: a location is its own only member, a name that is no group any more has none. *version (0 at first) tells
 * that nothing has changed: then false, and members are as they were.
 */
bool view_members(const struct engine *, uint32_t place, uint64_t *version, uint32_t members[GROUP_MEMBERS_MAX], uint32_t *n);

/*
 * Memory that coming reservations and events will be the first to touch, for a host that wants pages there before the engine needs them:
 * pools that are used from the beginning on and over again. view_used(): places ever used, and of how many; any thread, a figure late.
 */
struct view_range {
	void *at;
	size_t bytes;
};
enum view_pool { VIEW_SLOTS, VIEW_EXTRA_LINES, VIEW_HISTORY, VIEW_POOLS };
#define VIEW_RANGES 2
uint32_t view_used(const struct engine *, enum view_pool, uint32_t *max);
/* Of places from..to, from <= to <= max. */
void view_pool_memory(const struct engine *, enum view_pool, uint32_t from, uint32_t to, struct view_range ranges[VIEW_RANGES]);
/* The same for tables that an image is about to fill with so many cells and reservations, in the order in which it will touch them. */
#define VIEW_TABLES 5
void view_tables_memory(const struct engine *, uint64_t cells, uint64_t reservations, struct view_range ranges[VIEW_TABLES]);
/* The indexes of SKUs, cells and reservations: touched anywhere from their first records on. False: no SKU is known yet. */
#define VIEW_INDEXES 3
bool view_indexes_memory(const struct engine *, struct view_range ranges[VIEW_INDEXES]);

/* Published at the end of each engine call: the last position, and the next deadline (ms). */
uint64_t view_seq(const struct engine *);
int64_t view_deadline(const struct engine *);
/*
 * The last position that gave a name or changed a group, as far as a reader can have seen it: a view that shows nothing, or 0, of a
 * cell that does not exist shows names and groups, and stays true after a crash once this is durable (P5). Ask it behind the look.
 */
uint64_t view_named(const struct engine *);

#endif
