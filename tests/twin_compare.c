/*
 * twin_compare.c: what "the same" means between the engine and its twin.
 */
#include "tests/twin_run.h"

#include <stdio.h>

bool
compare_differs(struct run *r, const char *what, long long engine, long long twin)
{
	snprintf(r->failure, sizeof r->failure, "%s: the engine says %lld, the rules %lld", what, engine, twin);
	return false;
}

#define same(what, a, b) \
	do { \
		if ((a) != (b)) \
			return compare_differs(r, what, (long long)(a), (long long)(b)); \
	} while (0)

static bool
differs_at(struct run *r, const char *what, struct bytes sku, struct bytes place, long long engine, long long twin)
{
	snprintf(r->failure, sizeof r->failure, "%s of %.*s at %.*s: the engine says %lld, the rules %lld", what, (int)sku.n,
	    (const char *)sku.at, (int)place.n, (const char *)place.at, engine, twin);
	return false;
}

static bool
differs_status(struct run *r)
{
	snprintf(r->failure, sizeof r->failure, "the engine answers %s (%s), the rules %s", status_name(r->result.status),
	    r->result.message && r->result.status ? r->result.message : "", status_name(r->expected.r.status));
	return false;
}

/* ---- answers ---- */

static bool
compare_lines(struct run *r)
{
	const struct result *a = &r->result, *b = &r->expected.r;
	same("lines of the answer", a->lines_n, b->lines_n);
	for (uint32_t i = 0; i < a->lines_n; i++) {
		same("SKU of a line", bytes_equal(a->lines[i].sku, b->lines[i].sku), true);
		same("location of a line", bytes_equal(a->lines[i].location, b->lines[i].location), true);
		same("quantity of a line", a->lines[i].qty, b->lines[i].qty);
	}
	return true;
}

static bool
compare_shorts(struct run *r)
{
	const struct result *a = &r->result, *b = &r->expected.r;
	same("failing lines", a->shorts_n, b->shorts_n);
	for (uint32_t i = 0; i < a->shorts_n; i++) {
		const struct short_line *x = &a->shorts[i], *y = &b->shorts[i];
		same("index of a failing line", x->line, y->line);
		same("SKU of a failing line", bytes_equal(x->sku, y->sku), true);
		same("location of a failing line", bytes_equal(x->location, y->location), true);
		same("asked", x->asked, y->asked);
		same("available", x->available, y->available);
		same("next release", x->next_release_at, y->next_release_at);
		if (y->next_release_at >= 0)
			same("units of the next release", x->next_release_qty, y->next_release_qty);
	}
	return true;
}

static bool
compare_which(struct run *r)
{
	const char *a = r->result.which;
	bool found = false;
	if (r->result.status == STATUS_LIMIT && r->expected.r.which)
		found = a && strcmp(a, r->expected.r.which) == 0;
	else if (r->result.status == STATUS_CAPACITY)
		for (uint32_t i = 0; i < r->expected.which_n; i++)
			found |= a && strcmp(a, r->expected.which[i]) == 0;
	else
		return true;
	if (!found)
		snprintf(r->failure, sizeof r->failure, "bound: the engine says %s, the rules %s", a ? a : "none",
		    r->expected.r.which ? r->expected.r.which : "none");
	return found;
}

static bool
compare_event_answer(struct run *r)
{
	const struct result *a = &r->result, *b = &r->expected.r;
	same("outcome of the event", a->outcome, b->outcome);
	same("quarantine number", a->quarantine, b->quarantine);
	if (a->outcome == OUTCOME_RECONCILED) {
		same("was", a->was, b->was);
		same("counted", a->counted, b->counted);
		same("reapplied", a->reapplied, b->reapplied);
		same("variance", a->variance, b->variance);
	}
	if (a->outcome == OUTCOME_APPLIED || a->outcome == OUTCOME_ABSORBED)
		same("unmatched", a->unmatched, b->unmatched);
	return true;
}

static bool
compare_granted(struct run *r, const struct command *c)
{
	const struct result *a = &r->result, *b = &r->expected.r;
	same("again", a->again, b->again);
	if (c->kind == COMMAND_RESERVE || c->kind == COMMAND_EXTEND || c->kind == COMMAND_PIN)
		same("end of the hold", a->expires_at, b->expires_at);
	if (c->kind != COMMAND_EXTEND && c->kind != COMMAND_PIN) {
		same("state", a->state, b->state);
		if (!compare_lines(r))
			return false;
	}
	if (b->again && b->seq)
		same("position of the first answer", a->seq, b->seq);
	return true;
}

bool
compare_results(struct run *r, const struct command *c)
{
	const struct result *a = &r->result, *b = &r->expected.r;
	if (a->status != b->status)
		return differs_status(r);
	if (!c)
		return true;
	if (!(a->again && b->seq))
		same("position of the answer", a->seq, engine_seq(r->engine));
	bool event = c->kind == COMMAND_EVENT || c->kind == COMMAND_QUARANTINE_REPLAY;
	if (event && !(c->kind == COMMAND_QUARANTINE_REPLAY && a->status == STATUS_NOT_FOUND) && !compare_event_answer(r))
		return false;
	if (c->kind <= COMMAND_MOVE && a->status == STATUS_OK)
		return compare_granted(r, c);
	if (a->status == STATUS_INSUFFICIENT && c->kind == COMMAND_RESERVE)
		return compare_shorts(r);
	if (a->status == STATUS_MISMATCH)
		same("on hand of the mismatch", a->number, b->number);
	if (a->status == STATUS_STALE && c->kind == COMMAND_EVENT && c->event.kind == EVENT_COUNT)
		same("oldest as-of", a->number, b->number);
	if (a->status == STATUS_BAD_REQUEST && c->kind >= COMMAND_COMMIT && c->kind <= COMMAND_FULFIL)
		same("what is left", a->number, b->number);
	return compare_which(r);
}

/* ---- what is shown ---- */

#define cell_same(what, field) \
	do { \
		if (a.field != b.field) \
			return differs_at(r, what, sku, place, (long long)a.field, (long long)b.field); \
	} while (0)

static bool
compare_cell(struct run *r, struct bytes sku, struct bytes place)
{
	struct cell_view a, b;
	int64_t ats = 0;
	uint64_t seq = 0;
	bool known = twin_cell(r->twin, sku, place, &b);
	if ((view_cell(r->engine, sku, place, &a) == VIEW_OK) != known || (view_ats(r->engine, sku, place, NULL, &ats, &seq) == VIEW_OK) != known)
		return differs_at(r, "being known", sku, place, !known, known);
	if (!known)
		return true;
	cell_same("ATS", ats);
	if (ats != b.ats)
		return differs_at(r, "ATS alone", sku, place, ats, b.ats);
	struct bytes member;
	if (twin_group(r->twin, place, &member, 1) >= 0)
		return true;
	cell_same("on hand", on_hand);
	cell_same("unsellable", unsellable);
	cell_same("reserved", reserved);
	cell_same("committed", committed);
	cell_same("safety stock", safety_stock);
	cell_same("oversell limit", oversell_limit);
	cell_same("short", short_units);
	cell_same("promised", promised);
	cell_same("last event", last_event_at);
	cell_same("last count", last_count_at);
	return true;
}

static bool
compare_reservation(struct run *r, struct bytes id)
{
	struct reservation_view a, b;
	bool known = twin_reservation(r->twin, id, &b);
	same("reservation known", engine_reservation(r->engine, id, &a), known);
	if (!known)
		return true;
	same("state of the reservation", a.state, b.state);
	same("created at", a.created_at, b.created_at);
	same("expires at", a.expires_at, b.expires_at);
	same("first end", a.first_expires_at, b.first_expires_at);
	same("pinned", a.pinned, b.pinned);
	same("first position", a.first_seq, b.first_seq);
	same("owner", bytes_equal(a.owner, b.owner), true);
	same("channel", bytes_equal(a.channel, b.channel), true);
	same("lines of the reservation", a.lines_n, b.lines_n);
	for (uint32_t i = 0; i < a.lines_n; i++) {
		const struct line_view *x = &a.lines[i], *y = &b.lines[i];
		same("SKU", bytes_equal(x->sku, y->sku), true);
		same("location", bytes_equal(x->location, y->location), true);
		same("qty", x->qty, y->qty);
		same("held", x->held, y->held);
		same("committed", x->committed, y->committed);
		same("fulfilled", x->fulfilled, y->fulfilled);
		same("released", x->released, y->released);
		same("expired", x->expired, y->expired);
		same("handed over", x->handed_over, y->handed_over);
	}
	return true;
}

static bool
compare_position(struct run *r, struct bytes source)
{
	static struct position_view a, b;
	engine_position(r->engine, source, &a);
	twin_position(r->twin, source, &b);
	same("contiguous", a.contiguous, b.contiguous);
	same("highest", a.highest, b.highest);
	same("last at", a.last_at, b.last_at);
	same("missing numbers", a.missing_count, b.missing_count);
	same("missing ranges", a.missing_n, b.missing_n);
	for (uint32_t i = 0; i < a.missing_n; i++) {
		same("start of a missing range", a.missing[i][0], b.missing[i][0]);
		same("end of a missing range", a.missing[i][1], b.missing[i][1]);
	}
	return true;
}

static bool
compare_outcome(struct run *r, struct bytes source, uint64_t n)
{
	struct event_outcome_view a, b;
	twin_outcome_n(r->twin, source, n, &b);
	if (!b.known)
		return true;
	engine_outcome_n(r->engine, source, n, &a);
	same("outcome known", a.known, b.known);
	same("outcome", a.outcome, b.outcome);
	same("status of the outcome", a.status, b.status);
	same("position of the outcome", a.seq, b.seq);
	return true;
}

/* A request never takes an ATS below zero; the twin agrees already, this says it of the engine alone (P2). */
static bool
not_oversold(struct run *r, const struct reserve_command *c)
{
	for (uint32_t i = 0; i < r->result.lines_n; i++) {
		int64_t ats = 0;
		uint64_t seq = 0;
		view_ats(r->engine, c->lines[i].sku, c->lines[i].location, NULL, &ats, &seq);
		if (ats < 0 && r->result.lines[i].qty && !r->result.again)
			return differs_at(r, "ATS after a grant", c->lines[i].sku, c->lines[i].location, ats, 0);
	}
	return true;
}

bool
compare_touched(struct run *r, const struct command *c)
{
	switch (c->kind) {
	case COMMAND_RESERVE:
		for (uint32_t i = 0; i < c->reserve.lines_n; i++)
			if (!compare_cell(r, c->reserve.lines[i].sku, c->reserve.lines[i].location))
				return false;
		if (r->result.status == STATUS_OK && !not_oversold(r, &c->reserve))
			return false;
		if (c->reserve.replaces.n && !compare_reservation(r, c->reserve.replaces))
			return false;
		return compare_reservation(r, c->reserve.id);
	case COMMAND_COMMIT:
	case COMMAND_RELEASE:
	case COMMAND_FULFIL: return compare_reservation(r, c->settle.id);
	case COMMAND_EXTEND:
	case COMMAND_PIN: return compare_reservation(r, c->extend.id);
	case COMMAND_MOVE: return compare_reservation(r, c->move.id);
	case COMMAND_EVENT:
		if (c->event.source.n && c->event.n && !compare_outcome(r, c->event.source, c->event.n))
			return false;
		return compare_cell(r, c->event.sku, c->event.location) && (!c->event.source.n || compare_position(r, c->event.source));
	case COMMAND_SKIP_TO: return compare_position(r, c->skip.source);
	case COMMAND_QUARANTINE_REPLAY: return compare_cell(r, c->quarantine.event->sku, c->quarantine.event->location);
	default: return true;
	}
}

/* ---- everything ---- */

static bool
compare_quarantine(struct run *r)
{
	struct quarantine_view a, b;
	uint64_t after = 0;
	for (;;) {
		bool more = twin_quarantine_next(r->twin, after, &b);
		same("one more kept event", engine_quarantine_next(r->engine, after, &a), more);
		if (!more)
			return true;
		same("number of a kept event", a.number, b.number);
		same("reason of a kept event", a.reason, b.reason);
		same("instant of a kept event", a.at, b.at);
		same("bytes of a kept event", bytes_equal(a.raw, b.raw), true);
		after = b.number;
	}
}

static bool
compare_groups(struct run *r)
{
	struct bytes a[64], b[64];
	for (uint32_t g = 0; g <= r->profile->groups; g++) {
		struct bytes name = draw_name(&r->draw, 'G', g);
		int n = twin_group(r->twin, name, b, 64);
		same("members of a group", engine_group(r->engine, name, a, 64), n);
		for (int i = 0; i < n; i++)
			same("a member", bytes_equal(a[i], b[i]), true);
	}
	return true;
}

static bool
compare_usage(struct run *r)
{
	struct engine_usage u;
	struct quarantine_view q;
	uint64_t kept = 0;
	engine_usage(r->engine, &u);
	same("open reservations", u.reservations_open, twin_open_count(r->twin));
	same("kept reservations", u.reservations_kept, twin_kept_count(r->twin));
	for (uint64_t after = 0; twin_quarantine_next(r->twin, after, &q); after = q.number)
		kept++;
	same("events in quarantine", u.quarantined, kept);
	return true;
}

/* Many cells in one read are what each is alone; ends with none. */
static bool
compare_many(struct run *r, const struct asked_line *lines, uint32_t *n)
{
	int64_t ats[VIEW_MANY];
	uint64_t newest = 0;
	view_ats_many(r->engine, lines, *n, ats, &newest);
	for (; *n > 0; --*n) {
		struct cell_view v;
		const struct asked_line *line = &lines[*n - 1];
		int64_t wanted = twin_cell(r->twin, line->sku, line->location, &v) ? v.ats : VIEW_ATS_UNKNOWN;
		if (ats[*n - 1] != wanted)
			return differs_at(r, "ATS of many", line->sku, line->location, (long long)ats[*n - 1], (long long)wanted);
	}
	return newest <= engine_seq(r->engine) || compare_differs(r, "the position of many reads", (long long)newest, (long long)engine_seq(r->engine));
}

bool
compare_all(struct run *r)
{
	struct asked_line lines[VIEW_MANY] = { 0 };
	uint32_t lines_n = 0;
	for (uint32_t p = 0; twin_place_at(r->twin, p, &lines[lines_n].location); p++)
		for (uint32_t s = 0; twin_sku_at(r->twin, s, &lines[lines_n].sku); s++) {
			struct bytes place = lines[lines_n].location;
			if (!compare_cell(r, lines[lines_n].sku, place))
				return false;
			if (++lines_n == VIEW_MANY && !compare_many(r, lines, &lines_n))
				return false;
			lines[lines_n].location = place;
		}
	if (!compare_many(r, lines, &lines_n))
		return false;
	draw_begin(&r->draw, UINT64_MAX);
	for (uint32_t i = 0; i < r->profile->ids && i < 300; i++) {
		r->draw.arena_n = 0;
		if (!compare_reservation(r, draw_name(&r->draw, 'r', i)))
			return false;
	}
	r->draw.arena_n = 0;
	for (uint32_t i = 0; i < r->profile->sources + 3; i++)
		if (!compare_position(r, draw_name(&r->draw, 's', i)))
			return false;
	return compare_quarantine(r) && compare_groups(r) && compare_usage(r);
}
