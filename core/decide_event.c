/* decide_event.c: what happened at a till, in a warehouse (D27 to D40). Facts are never refused for lack of stock (D9). */
#include "core/arrival.h"

/* ---- what can be wrong with any kind ---- */

/* Its id is kept with the cell: text. */
static bool
counts_by_id(const struct arrival *a)
{
	return a->c->kind == EVENT_COUNT && a->c->n == 0;
}

static const char *
named_table_full(struct engine *e, const struct arrival *a, const struct cell_change *cell)
{
	const struct names *skus = &e->names[NAMES_SKU], *locations = &e->names[NAMES_LOCATION];
	if (a->sku == NAME_NONE && names_count(skus) == skus->max)
		return "skus";
	if (a->location == NAME_NONE && names_count(locations) == locations->max)
		return "locations";
	if (cell->fresh && cells_count(&e->cells) == e->cells.max)
		return "cells";
	return counts_by_id(a) ? room_find(e, &(struct room_need){ .blocks = blobs_needed(1 + NAME_BYTES_MAX) }) : NULL;
}

static bool
sound(struct engine *e, struct arrival *a)
{
	const struct event_command *c = a->c;
	int64_t latest = e->now + e->options.value[OPTION_FUTURE_MS];
	if (c->defect != STATUS_OK) {
		arrival_reject(a, c->defect, c->defect_message);
		return false;
	}
	if (c->at > latest || (c->kind == EVENT_COUNT && c->as_of > latest)) {
		arrival_reject(a, STATUS_BAD_REQUEST, "the event lies in the future: is the source's clock right?");
		return false;
	}
	if (c->kind == EVENT_ADJUST && (c->reason.n == 0 || c->qty == 0)) {
		arrival_reject(a, STATUS_BAD_REQUEST, "an adjust needs a reason and a quantity that is not 0");
		return false;
	}
	if (c->kind == EVENT_FULFIL && c->ref.n == 0) {
		arrival_reject(a, STATUS_BAD_REQUEST, "a fulfil event needs the reservation as its ref");
		return false;
	}
	const struct name *sku = hint_sku(e, c->sku), *place = hint_location(e, c->location);
	a->sku = sku ? sku->id : NAME_NONE;
	a->location = place ? place->id : NAME_NONE;
	bool create = e->options.value[OPTION_CREATE_UNKNOWN];
	if (a->location != NAME_NONE && is_group(e, a->location))
		arrival_reject(a, STATUS_BAD_REQUEST, "the location is a group: events happen at locations");
	else if (a->sku == NAME_NONE && !create)
		arrival_reject(a, STATUS_UNKNOWN_SKU, "the SKU is unknown, and create_unknown is off");
	else if (a->location == NAME_NONE && !create)
		arrival_reject(a, STATUS_UNKNOWN_LOCATION, "the location is unknown, and create_unknown is off");
	return a->result->status == STATUS_OK;
}

/* ---- the kinds: each changes the cell in the hand; what it needs beside that is in struct effect ---- */

struct effect {
	bool keeps_delta;
	struct delta_record delta;
	bool reservation_changed;
	struct reservation_record reservation;
};

/* D32 to D34: on hand changes at the event's instant, unless the last count has it already. */
static void
apply_delta(struct engine *e, struct arrival *a, struct cell_change *cell, int64_t qty, struct effect *effect)
{
	bool fits;
	effect->keeps_delta = delta_apply(cell, qty, a->at, &fits);
	effect->delta = (struct delta_record){ .cell = cell->r.cell, .at = a->at, .arrival = e->now, .qty = qty, .source = a->source + 1,
		.n = a->c->n };
	if (!fits)
		arrival_reject_which(a, STATUS_LIMIT, "quantity", "on hand would leave its bounds");
	a->result->outcome = !fits ? OUTCOME_REJECTED : effect->keeps_delta ? OUTCOME_APPLIED : OUTCOME_ABSORBED;
}

static void
apply_unsellable(struct engine *e, struct arrival *a, struct cell_change *cell, int64_t qty, struct effect *effect)
{
	if (!qty_fits(cell->r.now.unsellable + qty)) {
		arrival_reject_which(a, STATUS_LIMIT, "quantity", "unsellable would leave its bounds");
		return;
	}
	cell->r.now.unsellable += qty;
}

static void
apply_return(struct engine *e, struct arrival *a, struct cell_change *cell, int64_t qty, struct effect *effect)
{
	apply_delta(e, a, cell, qty, effect);
	if (a->c->to_unsellable && a->result->status == STATUS_OK)
		apply_unsellable(e, a, cell, qty, effect);
}

static bool
as_expected(struct arrival *a, const struct cell_change *cell)
{
	if (!a->c->has_expected || a->c->expected == cell->r.now.on_hand)
		return true;
	arrival_reject(a, STATUS_MISMATCH, "on hand is not what the event expected");
	a->result->number = cell->r.now.on_hand;
	return false;
}

/* D35: (as_of, source, n before ids). */
static bool
count_is_later(const struct engine *e, const struct arrival *a, int64_t as_of, const struct cell_image *last)
{
	if (!(last->flags & CELL_COUNTED) || as_of != last->count_at - 1)
		return !(last->flags & CELL_COUNTED) || as_of > last->count_at - 1;
	int order = bytes_compare(a->c->source, names_get(&e->names[NAMES_SOURCE], last->count_source));
	if (order == 0)
		order = (a->c->n == 0) - ((last->flags & CELL_COUNT_BY_ID) != 0);
	if (order == 0)
		order = a->c->n ? (a->c->n > last->count_n) - (a->c->n < last->count_n) : bytes_compare(a->c->id, last->count_id);
	return order > 0;
}

static void
apply_count(struct engine *e, struct arrival *a, struct cell_change *cell, int64_t qty, struct effect *effect)
{
	const struct event_command *c = a->c;
	int64_t as_of = c->as_of != -1 ? c->as_of : a->at;
	struct history_sum sum = { 0, FLOOR_NONE };
	if (!count_is_later(e, a, as_of, &cell->r.now)) {
		arrival_reject(a, STATUS_STALE, "a later count of this cell is already in force");
		a->result->number = cell->r.now.count_at - 1;
		return;
	}
	if (!cell->fresh)
		history_sum(&e->history, cell->r.cell, as_of, e->now - e->options.value[OPTION_COUNT_WINDOW_MS], &sum);
	if (as_of < sum.floor) {
		arrival_reject(a, STATUS_STALE, "the count is older than the deltas that are still kept for this cell");
		a->result->number = sum.floor;
		return;
	}
	int64_t was = cell->r.now.on_hand, now = qty + sum.after;
	if (!qty_fits(now)) {
		arrival_reject_which(a, STATUS_LIMIT, "quantity", "on hand would leave its bounds");
		return;
	}
	cell->r.now.on_hand = now;
	cell->r.now.flags = (cell->r.now.flags & ~CELL_COUNT_BY_ID) | CELL_COUNTED | (c->n ? 0 : CELL_COUNT_BY_ID);
	cell->r.now.count_at = as_of + 1;
	cell->r.now.count_source = a->source;
	cell->r.now.count_n = c->n;
	cell->r.now.count_id = c->n ? (struct bytes){ NULL, 0 } : c->id;
	struct result *r = a->result;
	r->outcome = OUTCOME_RECONCILED;
	r->was = was, r->counted = qty, r->reapplied = sum.after, r->variance = now - was;
}

/* Takes up to `units` of a line's committed, or held, units as gone. */
static uint32_t
retire(struct line_record *l, struct cell_change *cell, uint64_t units, bool held)
{
	uint32_t *from = held ? &l->held : &l->committed;
	uint32_t part = (uint64_t)*from < units ? *from : (uint32_t)units;
	*from -= part;
	l->fulfilled += part;
	*(held ? &cell->r.now.reserved : &cell->r.now.committed) -= part;
	return part;
}

/* The goods of a reservation have left: on hand falls whatever we think of it, the reservation's units here are retired. */
static void
apply_fulfil(struct engine *e, struct arrival *a, struct cell_change *cell, int64_t qty, struct effect *effect)
{
	struct scratch *s = e->scratch;
	uint64_t left = (uint64_t)a->c->qty;
	apply_delta(e, a, cell, qty, effect);
	if (a->result->status != STATUS_OK)
		return;
	uint32_t slot = reservations_find(&e->reservations, a->c->ref);
	if (slot != SLOT_NONE) {
		struct reservation_record *r = &effect->reservation;
		reservation_load(&e->reservations, slot, r, s->lines, s->id);
		r->extra = reservation_extra(&e->reservations, slot, s->old_extra);
		for (int held = 0; held < 2; held++)
			for (uint32_t i = 0; i < r->terms.lines_n && left > 0; i++)
				if (s->lines[i].cell == cell->r.cell)
					left -= retire(&s->lines[i], cell, left, held);
		effect->reservation_changed = left < (uint64_t)a->c->qty;
	}
	a->result->unmatched = (int64_t)left;
}

/* What its quantity does to the cell, with its sign. */
struct kind {
	enum cause_kind cause;
	int sign;
	void (*apply)(struct engine *, struct arrival *, struct cell_change *, int64_t qty, struct effect *);
};
static const struct kind kinds[] = {
	[EVENT_SALE] = { CAUSE_SALE, -1, apply_delta }, [EVENT_RETURN] = { CAUSE_RETURN, 1, apply_return },
	[EVENT_RECEIPT] = { CAUSE_RECEIPT, 1, apply_delta }, [EVENT_ADJUST] = { CAUSE_ADJUST, 1, apply_delta },
	[EVENT_UNSELL] = { CAUSE_UNSELL, 1, apply_unsellable }, [EVENT_RESELL] = { CAUSE_RESELL, -1, apply_unsellable },
	[EVENT_COUNT] = { CAUSE_COUNT, 1, apply_count }, [EVENT_FULFIL] = { CAUSE_FULFIL_EVENT, -1, apply_fulfil },
};

/* ---- granted: names, cell, reservation, history, mark ---- */

static void
emit_effect(struct engine *e, struct arrival *a, struct effect *effect)
{
	step_begin(e, kinds[a->c->kind].cause, a->c->ref, a->c->reason);
	if (counts_by_id(a))
		room_emit(e);
	if (a->source == NAME_NONE)
		a->source = emit_name(e, NAMES_SOURCE, a->c->source);
	if (a->sku == NAME_NONE)
		a->sku = emit_name(e, NAMES_SKU, a->c->sku);
	if (a->location == NAME_NONE)
		a->location = emit_name(e, NAMES_LOCATION, a->c->location);
	changes_emit(e);
	if (effect->reservation_changed)
		emit_reservation(e, &effect->reservation);
	if (effect->keeps_delta)
		emit_delta(e, &effect->delta);
	arrival_emit_seen(e, a, a->result->outcome, STATUS_OK);
	if (a->replay)
		arrival_emit_dropped(e, a->replay_number);
	step_end(e);
}

/* The ids that the new names are going to get, so that the cell in the hand has its key. */
static uint32_t
id_or_next(const struct engine *e, enum name_table table, uint32_t id)
{
	return id == NAME_NONE ? names_count(&e->names[table]) : id;
}

static bool
kept_when_rejected(enum status status)
{
	return status != STATUS_MISMATCH && status != STATUS_CAPACITY;
}

/* Judges the rule of the kind on the cell in the hand; NULL: rejected, result says why. */
static struct cell_change *
judge(struct engine *e, struct arrival *a, struct effect *effect)
{
	uint32_t source = a->source;
	if (!sound(e, a))
		return NULL;
	changes_begin(e);
	struct cell_change *cell = change_of_pair(e, id_or_next(e, NAMES_SKU, a->sku), id_or_next(e, NAMES_LOCATION, a->location));
	a->source = id_or_next(e, NAMES_SOURCE, source);
	if (as_expected(a, cell))
		kinds[a->c->kind].apply(e, a, cell, kinds[a->c->kind].sign * a->c->qty, effect);
	a->source = source;
	const char *full = a->result->status == STATUS_OK ? named_table_full(e, a, cell) : NULL;
	if (full)
		arrival_reject_which(a, STATUS_CAPACITY, full, "a table of the server is full");
	return a->result->status == STATUS_OK ? cell : NULL;
}

void
arrival_decide(struct engine *e, struct arrival *a)
{
	struct effect effect = { 0 };
	if (!arrival_is_new(e, a))
		return;
	struct cell_change *cell = judge(e, a, &effect);
	if (cell == NULL) {
		a->result->outcome = OUTCOME_REJECTED;
		if (a->replay ? a->result->status != STATUS_CAPACITY : kept_when_rejected(a->result->status))
			arrival_keep(e, a, true);
		return;
	}
	if (a->result->outcome == OUTCOME_NONE)
		a->result->outcome = OUTCOME_APPLIED;
	if (a->at + 1 > cell->r.now.last_event_at)
		cell->r.now.last_event_at = a->at + 1;
	cell->changed = true;
	emit_effect(e, a, &effect);
}

void
decide_event(struct engine *e, const struct event_command *c, struct result *result)
{
	struct arrival a = arrival_of(e, c, e->now, result);
	arrival_decide(e, &a);
	result->seq = e->seq;
}
