/*
 * twin_event.c: the naive twin's stock events: what each kind does (D9, D31 to D39) and the order of refusals (R15).
 */
#include "tests/twin_inner.h"

static const struct {
	int on_hand, unsellable; /* sign with which qty counts */
} effects[EVENT_KIND_UNKNOWN] = {
	[EVENT_SALE] = { -1, 0 }, [EVENT_RETURN] = { 1, 0 }, [EVENT_RECEIPT] = { 1, 0 }, [EVENT_ADJUST] = { 1, 0 },
	[EVENT_UNSELL] = { 0, 1 }, [EVENT_RESELL] = { 0, -1 }, [EVENT_FULFIL] = { -1, 0 },
};

struct stage { /* an event with its defaults filled in and its names looked up */
	int64_t at, as_of;
	uint32_t sku, place, cell;
};

static int64_t
now_on_hand(struct twin *t, const struct stage *g)
{
	return g->cell == NONE ? 0 : twin_on_hand(&t->cells[g->cell]);
}

/* What the bytes alone say: defects, missing parts, instants. */
static enum status
malformed(struct twin *t, const struct event_command *e, const struct stage *g)
{
	if (e->defect != STATUS_OK)
		return e->defect;
	int64_t horizon = t->now + t->options.value[OPTION_FUTURE_MS];
	if (g->at > horizon || (e->kind == EVENT_COUNT && g->as_of > horizon))
		return STATUS_BAD_REQUEST;
	if (e->kind == EVENT_ADJUST && (!e->reason.n || !e->qty))
		return STATUS_BAD_REQUEST;
	if (e->kind == EVENT_FULFIL && !e->ref.n)
		return STATUS_BAD_REQUEST;
	if (twin_find(t->group_names, t->group_names_n, e->location) != NONE)
		return STATUS_BAD_REQUEST;
	return STATUS_OK;
}

/* R23: the greatest instant of a delta that is no longer kept. */
static int64_t
floor_of(struct twin *t, const struct twin_cell *c)
{
	int64_t floor = -1;
	for (uint32_t i = 0; i < c->deltas_n; i++) {
		const struct twin_delta *d = &c->deltas[i];
		bool kept = d->number != UINT64_MAX && t->deltas_kept <= d->number + t->limits.history_max
		    && t->now - d->arrived <= t->options.value[OPTION_COUNT_WINDOW_MS];
		if (d->number != UINT64_MAX && !kept && d->at > floor)
			floor = d->at;
	}
	return floor;
}

/* D35, D38: a count that comes too late. *oldest: the as_of that would do. */
static bool
count_is_stale(struct twin *t, const struct event_command *e, const struct stage *g, int64_t *oldest)
{
	if (g->cell == NONE)
		return false;
	const struct twin_cell *c = &t->cells[g->cell];
	const struct twin_count *last = twin_last_count(c);
	int64_t floor = floor_of(t, c);
	bool stale = false;
	if (last) {
		int order = (g->as_of > last->as_of) - (g->as_of < last->as_of);
		if (!order)
			order = bytes_compare(e->source, text_bytes(&last->source));
		if (!order && (e->n != 0) != (last->n != 0))
			order = e->n ? -1 : 1;
		if (!order)
			order = e->n ? (e->n > last->n) - (e->n < last->n) : bytes_compare(e->id, text_bytes(&last->id));
		stale = order <= 0;
	}
	*oldest = stale ? last->as_of : floor;
	return stale || g->as_of < floor;
}

static void
count(struct twin *t, const struct event_command *e, const struct stage *g, struct twin_result *out)
{
	struct twin_cell *c = &t->cells[g->cell];
	out->r.was = twin_on_hand(c);
	struct twin_count *k = twin_add(c->counts, c->counts_n, c->counts_cap);
	*k = (struct twin_count){ .as_of = g->as_of, .qty = e->qty, .source = text_of(e->source), .n = e->n };
	if (!e->n)
		k->id = text_of(e->id);
	out->r.outcome = OUTCOME_RECONCILED;
	out->r.counted = e->qty;
	out->r.reapplied = twin_on_hand(c) - e->qty;
	out->r.variance = twin_on_hand(c) - out->r.was;
}

/* R27: commits first, then holds, each in line order. The answer is what found no unit. */
static int64_t
retire(struct twin *t, struct bytes id, const struct stage *g, int64_t qty)
{
	uint32_t i = twin_reservation_find(t, id);
	if (i == NONE)
		return qty;
	struct twin_reservation *r = &t->reservations[i];
	for (int from_commit = 1; from_commit >= 0; from_commit--)
		for (uint32_t l = 0; l < r->lines_n; l++) {
			if (r->lines[l].sku != g->sku || r->lines[l].place != g->place)
				continue;
			int64_t *from = from_commit ? &r->lines[l].committed : &r->lines[l].held;
			int64_t units = *from < qty ? *from : qty;
			*from -= units;
			r->lines[l].fulfilled += units;
			qty -= units;
			if (units)
				t->note_reservation = i;
		}
	twin_finish_if_done(t, i);
	return qty;
}

static void
change(struct twin *t, const struct event_command *e, const struct stage *g, struct twin_result *out)
{
	int64_t unsellable = effects[e->kind].unsellable * e->qty;
	if (e->kind == EVENT_RETURN && e->to_unsellable)
		unsellable = e->qty;
	bool absorbed = twin_delta(t, g->cell, g->at, effects[e->kind].on_hand * e->qty, unsellable, effects[e->kind].on_hand != 0);
	out->r.outcome = absorbed ? OUTCOME_ABSORBED : OUTCOME_APPLIED;
	if (e->kind == EVENT_FULFIL)
		out->r.unmatched = retire(t, e->ref, g, e->qty);
}

/* R25: no quantity may pass 2^53. */
static bool
quantity_limit(struct twin *t, const struct event_command *e, const struct stage *g)
{
	if (g->cell == NONE)
		return false;
	const struct twin_cell *c = &t->cells[g->cell];
	const struct twin_count *last = twin_last_count(c);
	int64_t on_hand = twin_on_hand(c), unsellable = twin_unsellable(c);
	if (e->kind == EVENT_COUNT)
		return false;
	if (!last || g->at > last->as_of)
		on_hand += effects[e->kind].on_hand * e->qty;
	unsellable += effects[e->kind].unsellable * e->qty + (e->kind == EVENT_RETURN && e->to_unsellable ? e->qty : 0);
	return on_hand > QTY_CELL_MAX || on_hand < -QTY_CELL_MAX || unsellable > QTY_CELL_MAX || unsellable < -QTY_CELL_MAX;
}

static enum status
judge(struct twin *t, const struct event_command *e, const struct stage *g, struct twin_result *out)
{
	enum status s = malformed(t, e, g);
	bool create = t->options.value[OPTION_CREATE_UNKNOWN];
	if (s != STATUS_OK)
		return s;
	if (!create && g->sku == NONE)
		return STATUS_UNKNOWN_SKU;
	if (!create && g->place == NONE)
		return STATUS_UNKNOWN_LOCATION;
	if ((e->kind == EVENT_COUNT || e->kind == EVENT_ADJUST) && e->has_expected && e->expected != now_on_hand(t, g)) {
		out->r.number = now_on_hand(t, g);
		return STATUS_MISMATCH;
	}
	if (e->kind == EVENT_COUNT && count_is_stale(t, e, g, &out->r.number))
		return STATUS_STALE;
	if (quantity_limit(t, e, g)) {
		out->r.which = "quantity";
		return STATUS_LIMIT;
	}
	return STATUS_OK;
}

/* The id of a cell's last count is kept. */
static bool
text_needed(const struct event_command *e)
{
	return e->kind == EVENT_COUNT && !e->n;
}

static bool
tables_full(struct twin *t, const struct event_command *e, const struct stage *g, bool replayed, struct twin_result *out)
{
	if (g->sku == NONE && t->skus_n >= t->limits.skus_max)
		twin_full(out, "skus");
	if (g->place == NONE && t->places_n >= t->limits.locations_max)
		twin_full(out, "locations");
	if (g->cell == NONE && t->cells_n >= t->limits.cells_max)
		twin_full(out, "cells");
	if (!replayed && twin_source_find(t, e->source) == NONE && t->sources_n >= t->limits.sources_max)
		twin_full(out, "sources");
	twin_pools_full(t, &(struct twin_need){ .text = text_needed(e), .blocks = 2 }, out);
	return out->which_n != 0;
}

void
twin_event_apply(struct twin *t, const struct event_command *e, bool replayed, struct twin_result *out)
{
	struct stage g = { .at = e->at >= 0 ? e->at : t->now, .cell = NONE };
	g.as_of = e->as_of >= 0 ? e->as_of : g.at;
	g.sku = twin_find(t->skus, t->skus_n, e->sku);
	g.place = twin_find(t->places, t->places_n, e->location);
	if (g.sku != NONE && g.place != NONE)
		g.cell = twin_cell_find(t, g.sku, g.place);
	enum status s = judge(t, e, &g, out);
	out->r.outcome = OUTCOME_REJECTED;
	if (s != STATUS_OK) {
		twin_refuse(out, s, out->r.which);
		return;
	}
	if (tables_full(t, e, &g, replayed, out))
		return;
	twin_make_room(t, &(struct twin_need){ .text = text_needed(e) });
	if (g.sku == NONE) {
		*twin_add(t->skus, t->skus_n, t->skus_cap) = text_of(e->sku);
		g.sku = t->skus_n - 1;
	}
	if (g.place == NONE) {
		*twin_add(t->places, t->places_n, t->places_cap) = text_of(e->location);
		g.place = t->places_n - 1;
	}
	g.cell = twin_cell_make(t, g.sku, g.place);
	if (e->kind == EVENT_COUNT)
		count(t, e, &g, out);
	else
		change(t, e, &g, out);
	if (g.at > t->cells[g.cell].last_event_at)
		t->cells[g.cell].last_event_at = g.at;
	out->effect = TWIN_STEP;
}
