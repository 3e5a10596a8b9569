/* decide_settle.c: what becomes of a reservation: commit, release, fulfil, extend, pin, move, expiry (D15 to D19, D22) */
#include "core/state.h"

#include "core/hash.h"

/* One row a command: which units it moves and where they go. The drawing of D12 as a table. */
struct settle_rule {
	bool takes_held, takes_committed;
	enum reservation_state to;
	const char *none; /* message when there is nothing to move */
};
static const struct settle_rule settle_rules[] = {
	[CAUSE_COMMIT] = { true, false, RESERVATION_COMMITTED, "nothing is held any more" },
	[CAUSE_RELEASE] = { true, true, RESERVATION_RELEASED, "nothing is held or committed any more" },
	[CAUSE_FULFIL] = { false, true, RESERVATION_FULFILLED, "nothing is committed" },
};

/* The reservation in the hand of a command: record, lines in scratch, extra behind its owner. */
struct hand {
	uint32_t slot;
	struct reservation_record r;
	enum reservation_state state;
	uint64_t held, committed;
};

static bool
hand_take(struct engine *e, struct bytes id, struct hand *h, struct result *result)
{
	struct scratch *s = e->scratch;
	h->slot = reservations_find(&e->reservations, id);
	if (h->slot == SLOT_NONE) {
		refuse(result, STATUS_NOT_FOUND, "no such reservation (refused ones are not remembered)");
		return false;
	}
	reservation_load(&e->reservations, h->slot, &h->r, s->lines, s->id);
	h->r.extra = reservation_extra(&e->reservations, h->slot, s->old_extra);
	h->state = reservation_state(&h->r);
	h->held = h->committed = 0;
	for (uint32_t i = 0; i < h->r.lines_n; i++) {
		h->held += s->lines[i].held;
		h->committed += s->lines[i].committed;
	}
	return true;
}

/* Dead by the stamped time, whether or not expiry has come by. */
static bool
dead(const struct engine *e, const struct hand *h)
{
	return h->held > 0 && e->now >= h->r.expires_at;
}

static void
wrong_state(const struct hand *h, const char *message, struct result *result)
{
	result->state = h->state;
	if (h->state == RESERVATION_EXPIRED)
		refuse(result, STATUS_EXPIRED, "the hold has expired");
	else
		refuse(result, STATUS_WRONG_STATE, message);
}

/* ---- refs (D16) ---- */

static uint64_t
call_digest(struct engine *e, enum cause_kind cause, const struct settle_command *c)
{
	uint8_t *start = e->scratch->content, *at = start;
	*at++ = (uint8_t)cause;
	for (uint32_t i = 0; i < c->lines_n; i++) {
		const struct bytes names[] = { c->lines[i].sku, c->lines[i].location };
		for (int k = 0; k < 2; k++) {
			*at++ = (uint8_t)names[k].n;
			memcpy(at, names[k].at, names[k].n);
			at += names[k].n;
		}
		memcpy(at, &c->lines[i].qty, sizeof c->lines[i].qty);
		at += sizeof c->lines[i].qty;
	}
	return XXH3_64bits(start, (size_t)(at - start));
}

/* The call was made before under this ref: the first result again, or a conflict. *refs_n counts those there are. */
static bool
answered_before(struct engine *e, const struct hand *h, struct bytes wanted, uint64_t digest, uint32_t *refs_n, struct result *result)
{
	struct scratch *s = e->scratch;
	struct refs refs;
	struct ref ref;
	*refs_n = 0;
	refs_begin(h->r.extra, &refs);
	while (refs_next(&refs, &ref)) {
		++*refs_n;
		if (wanted.n == 0 || !bytes_equal(ref.ref, wanted))
			continue;
		if (ref.digest != digest) {
			refuse(result, STATUS_CONFLICT, "this ref was used for another call on the reservation");
			return true;
		}
		const uint8_t *at = ref.moved;
		for (uint32_t i = 0; i < ref.moved_n; i++) {
			uint32_t line, units;
			at = ref_moved(at, refs.end, &line, &units);
			s->result_lines[i] = line_of(e, s->lines[line].cell, units);
		}
		result->again = true;
		result->seq = ref.seq;
		result->state = (enum reservation_state)ref.state;
		result->lines = s->result_lines;
		result->lines_n = ref.moved_n;
		return true;
	}
	return false;
}

/* The new extra: the old one and this call's ref with what it moved. false: it would pass its bound. */
static bool
extra_grow(struct engine *e, struct hand *h, const struct ref *ref)
{
	struct scratch *s = e->scratch;
	uint8_t *at = s->extra;
	size_t most = h->r.extra.n + NAME_BYTES_MAX + 48 + (size_t)ref->moved_n * 10;
	if (most > EXTRA_BYTES_MAX)
		return false;
	if (h->r.extra.n) {
		memcpy(at, h->r.extra.at, h->r.extra.n);
		at += h->r.extra.n;
	} else {
		at = refs_put_owner(at, (struct bytes){ NULL, 0 });
	}
	at = ref_put(at, ref);
	for (uint32_t i = 0; i < h->r.lines_n; i++)
		if (s->moved[i])
			at = ref_put_moved(at, i, s->moved[i]);
	h->r.extra = (struct bytes){ s->extra, (uint32_t)(at - s->extra) };
	return true;
}

/* ---- what moves ---- */

static uint32_t
movable(const struct settle_rule *rule, const struct line_record *l)
{
	return (rule->takes_held ? l->held : 0) + (rule->takes_committed ? l->committed : 0);
}

static bool
line_is_of(const struct engine *e, const struct line_record *l, const struct asked_line *asked)
{
	struct result_line name = line_of(e, l->cell, 0);
	return bytes_equal(name.sku, asked->sku) && bytes_equal(name.location, asked->location);
}

/* Asked for in all at the cell of line `a`, against what is there: asked lines of one cell are judged on their sum (R7). */
static bool
enough(const struct engine *e, const struct hand *h, const struct settle_rule *rule, const struct settle_command *c, uint32_t a, int64_t *there)
{
	int64_t asked = 0;
	*there = 0;
	for (uint32_t k = 0; k < c->lines_n; k++)
		if (bytes_equal(c->lines[k].sku, c->lines[a].sku) && bytes_equal(c->lines[k].location, c->lines[a].location))
			asked += c->lines[k].qty;
	for (uint32_t i = 0; i < h->r.lines_n; i++)
		if (line_is_of(e, &h->r.lines[i], &c->lines[a]))
			*there += movable(rule, &h->r.lines[i]);
	return asked <= *there;
}

/* Spreads the asked lines over the resolved ones, in line order. false: more than is there. */
static bool
spread(struct engine *e, const struct hand *h, const struct settle_rule *rule, const struct settle_command *c, struct result *result)
{
	struct scratch *s = e->scratch;
	memset(s->moved, 0, h->r.lines_n * sizeof s->moved[0]);
	for (uint32_t a = 0; a < c->lines_n; a++) {
		int64_t wanted = c->lines[a].qty, there;
		if (!enough(e, h, rule, c, a, &there)) {
			refuse(result, STATUS_BAD_REQUEST, "more than the reservation has left there");
			result->number = there;
			return false;
		}
		for (uint32_t i = 0; i < h->r.lines_n && wanted > 0; i++) {
			if (!line_is_of(e, &s->lines[i], &c->lines[a]))
				continue;
			int64_t left = (int64_t)movable(rule, &s->lines[i]) - s->moved[i];
			int64_t part = left < wanted ? left : wanted;
			s->moved[i] += (uint32_t)part;
			wanted -= part;
		}
	}
	return true;
}

/* Moves units of one line and its cell, in the hand. */
static void
line_move(struct engine *e, struct line_record *l, enum reservation_state to, uint32_t units, uint32_t *from_held)
{
	struct cell_change *change = change_of(e, l->cell);
	uint32_t held = to == RESERVATION_FULFILLED ? 0 : units < l->held ? units : l->held, committed = units - held;
	*from_held = held;
	l->held -= held;
	l->committed -= committed;
	change->now.reserved -= held;
	change->now.committed -= committed;
	change->changed = true;
	switch (to) {
	case RESERVATION_COMMITTED:
		l->committed += units;
		change->now.committed += units;
		break;
	case RESERVATION_RELEASED:
		l->released += units;
		break;
	case RESERVATION_FULFILLED:
		l->fulfilled += units;
		break;
	case RESERVATION_EXPIRED:
		l->expired += units;
		break;
	case RESERVATION_HELD:
	case RESERVATION_HANDED_OVER:
		ensure(!"a move that is not in the drawing");
	}
}

/* All moves of a call, in the hand: lines, cells, and for fulfil the deltas that history must keep. -1: out of bounds. */
static int
move_all(struct engine *e, const struct hand *h, enum reservation_state to)
{
	struct scratch *s = e->scratch;
	int deltas = 0;
	uint32_t from_held;
	changes_begin(e);
	for (uint32_t i = 0; i < h->r.lines_n; i++) {
		bool fits;
		if (s->moved[i] == 0)
			continue;
		line_move(e, &s->lines[i], to, s->moved[i], &from_held);
		if (to != RESERVATION_FULFILLED)
			continue;
		struct cell_change *change = change_of(e, s->lines[i].cell);
		if (delta_apply(change, -(int64_t)s->moved[i], e->now, &fits))
			s->deltas[deltas++] = (struct delta_record){ .cell = s->lines[i].cell, .at = e->now, .arrival = e->now,
				.qty = -(int64_t)s->moved[i] };
		if (!fits)
			return -1;
	}
	return deltas;
}

static void
settle_result(struct engine *e, const struct hand *h, struct result *result)
{
	struct scratch *s = e->scratch;
	result->state = reservation_state(&h->r);
	result->lines = s->result_lines;
	result->lines_n = 0;
	for (uint32_t i = 0; i < h->r.lines_n; i++)
		if (s->moved[i])
			s->result_lines[result->lines_n++] = line_of(e, s->lines[i].cell, s->moved[i]);
}

/* Nothing that this call could move is there: already at its end, or the wrong state (R6, R7). */
static void
nothing_to_move(const struct hand *h, enum cause_kind cause, bool partial, struct result *result)
{
	static const bool at_end[][RESERVATION_EXPIRED + 1] = {
		[CAUSE_COMMIT] = { [RESERVATION_COMMITTED] = true, [RESERVATION_FULFILLED] = true, [RESERVATION_HANDED_OVER] = true },
		[CAUSE_RELEASE] = { [RESERVATION_RELEASED] = true, [RESERVATION_EXPIRED] = true },
		[CAUSE_FULFIL] = { [RESERVATION_FULFILLED] = true },
	};
	if (at_end[cause][h->state] && (!partial || cause == CAUSE_RELEASE)) {
		result->again = true;
		result->state = h->state;
		return;
	}
	wrong_state(h, settle_rules[cause].none, result);
}

void
decide_settle(struct engine *e, enum cause_kind cause, const struct settle_command *c, struct result *result)
{
	struct scratch *s = e->scratch;
	const struct settle_rule *rule = &settle_rules[cause];
	struct hand h;
	uint32_t refs_n;
	if (c->lines_n && c->ref.n == 0) {
		refuse(result, STATUS_BAD_REQUEST, "a call on lines needs a ref, so that a repeat is known");
		return;
	}
	if (!hand_take(e, c->id, &h, result))
		return;
	uint64_t digest = call_digest(e, cause, c);
	if (answered_before(e, &h, c->ref, digest, &refs_n, result))
		return;
	if (cause == CAUSE_COMMIT && dead(e, &h)) {
		refuse(result, STATUS_EXPIRED, "the hold has expired");
		return;
	}
	uint64_t there = (rule->takes_held ? h.held : 0) + (rule->takes_committed ? h.committed : 0);
	if (there == 0) {
		nothing_to_move(&h, cause, c->lines_n > 0, result);
		return;
	}
	if (c->lines_n == 0)
		for (uint32_t i = 0; i < h.r.lines_n; i++)
			s->moved[i] = movable(rule, &s->lines[i]);
	else if (!spread(e, &h, rule, c, result))
		return;
	if (c->ref.n && refs_n == REFS_MAX) {
		refuse_which(result, STATUS_LIMIT, "refs", "a reservation takes at most 32 refs");
		return;
	}
	int deltas = move_all(e, &h, rule->to);
	if (deltas < 0) {
		refuse_which(result, STATUS_LIMIT, "quantity", "the cell's on hand would leave its bounds");
		return;
	}
	settle_result(e, &h, result);
	struct ref ref = { (uint8_t)cause, c->ref, digest, e->seq + 1, (uint8_t)result->state, result->lines_n, NULL };
	if (c->ref.n && !extra_grow(e, &h, &ref)) {
		refuse_which(result, STATUS_LIMIT, "refs", "the refs of this reservation take more room than one may");
		return;
	}
	uint32_t back = blobs_needed(e->reservations.at[h.slot].extra_n), blocks = blobs_needed(h.r.extra.n);
	if (!blobs_room(&e->blobs, blocks > back ? blocks - back : 0)) {
		refuse_which(result, STATUS_CAPACITY, "blobs", "a table of the server is full");
		return;
	}
	step_begin(e, cause, c->ref, (struct bytes){ NULL, 0 });
	changes_emit(e);
	for (int i = 0; i < deltas; i++)
		emit_delta(e, &s->deltas[i]);
	emit_reservation(e, &h.r);
	step_end(e);
	result->seq = e->seq;
}

void
decide_extend(struct engine *e, bool pin, const struct extend_command *c, struct result *result)
{
	const int64_t *option = e->options.value;
	struct hand h;
	if (!hand_take(e, c->id, &h, result))
		return;
	int64_t until = e->now + (c->ttl_ms < INSTANT_MAX ? c->ttl_ms : INSTANT_MAX);
	if (c->ttl_ms < 1)
		refuse_which(result, STATUS_LIMIT, pin ? "pin_ttl" : "ttl", "ttl_ms must be at least 1");
	else if (pin && c->ttl_ms > option[OPTION_PIN_MAX_MS])
		refuse_which(result, STATUS_LIMIT, "pin_ttl", "a pin lasts at most pin_max_ms");
	else if (!pin && c->ttl_ms > option[OPTION_TTL_MAX_MS])
		refuse_which(result, STATUS_LIMIT, "ttl", "ttl_ms is above ttl_max_ms");
	else if (!pin && until - h.r.created_at > option[OPTION_TTL_MAX_MS])
		refuse_which(result, STATUS_LIMIT, "life", "a hold lives at most ttl_max_ms in all");
	else if (pin && h.r.flags & RESERVATION_PINNED)
		refuse_which(result, STATUS_LIMIT, "pin", "a hold is pinned at most once");
	else if (dead(e, &h))
		refuse(result, STATUS_EXPIRED, "the hold has expired");
	else if (h.held == 0)
		wrong_state(&h, "nothing is held any more", result);
	if (result->status != STATUS_OK)
		return;
	if (until > h.r.expires_at)
		h.r.expires_at = until;
	if (pin)
		h.r.flags |= RESERVATION_PINNED;
	step_begin(e, pin ? CAUSE_PIN : CAUSE_EXTEND, (struct bytes){ NULL, 0 }, (struct bytes){ NULL, 0 });
	emit_reservation(e, &h.r);
	step_end(e);
	result->expires_at = h.r.expires_at;
	result->state = h.state;
	result->seq = e->seq;
}

/* ---- move (D22) ---- */

/* An earlier move took this line to that location: index of the new line, or lines_n. */
static uint32_t
moved_before(const struct engine *e, const struct hand *h, uint32_t line, uint32_t location)
{
	uint32_t i = 0;
	while (i < h->r.lines_n && !(e->scratch->lines[i].origin == line + 1 && e->cells.at[e->scratch->lines[i].cell].location == location))
		i++;
	return i;
}

static void
move_answer(struct engine *e, uint32_t cell, int64_t units, struct result *result)
{
	e->scratch->result_lines[0] = line_of(e, cell, units);
	result->lines = e->scratch->result_lines;
	result->lines_n = 1;
}

/* Shifts held and committed units to a new line at the other cell, if that has them. */
static void
move_units(struct engine *e, struct hand *h, uint32_t index, uint32_t location, struct result *result)
{
	struct scratch *s = e->scratch;
	struct line_record *from = &s->lines[index], *to = &s->lines[h->r.lines_n];
	uint32_t units = from->held + from->committed;
	changes_begin(e);
	struct cell_change *target = change_of_pair(e, e->cells.at[from->cell].sku, location);
	if (units > cell_ats(&target->now)) {
		struct result_line name = line_of(e, from->cell, 0);
		s->shorts[0] = (struct short_line){ .line = index, .sku = name.sku, .location = names_get(&e->names[NAMES_LOCATION], location),
			.asked = units, .available = qty_floor(cell_ats(&target->now)) };
		next_release(e, target->fresh ? CELL_NONE : target->cell, &s->shorts[0]);
		refuse(result, STATUS_INSUFFICIENT, "the other location has not enough available to sell");
		result->shorts = s->shorts;
		result->shorts_n = 1;
		return;
	}
	if (!reservations_extra_room(&e->reservations, h->slot, h->r.lines_n)) {
		refuse_which(result, STATUS_CAPACITY, "extra_lines", "a table of the server is full");
		return;
	}
	if (!changes_room(e)) {
		refuse_which(result, STATUS_CAPACITY, "cells", "a table of the server is full");
		return;
	}
	struct cell_change *source = change_of(e, from->cell);
	source->now.reserved -= from->held;
	source->now.committed -= from->committed;
	target->now.reserved += from->held;
	target->now.committed += from->committed;
	source->changed = target->changed = true;
	*to = (struct line_record){ .cell = target->cell, .granted = units, .held = from->held, .committed = from->committed, .origin = index + 1 };
	from->held = from->committed = 0;
	h->r.lines_n++;
	step_begin(e, CAUSE_MOVE, (struct bytes){ NULL, 0 }, (struct bytes){ NULL, 0 });
	changes_emit(e);
	emit_reservation(e, &h->r);
	step_end(e);
	move_answer(e, to->cell, units, result);
	result->seq = e->seq;
}

void
decide_move(struct engine *e, const struct move_command *c, struct result *result)
{
	struct scratch *s = e->scratch;
	struct hand h;
	uint32_t location = names_find(&e->names[NAMES_LOCATION], c->to_location);
	if (location != NAME_NONE && group_place(&e->groups, location) > PLACE_GROUP_HIDDEN) {
		refuse(result, STATUS_BAD_REQUEST, "a line moves to a location, not to a group");
		return;
	}
	if (!hand_take(e, c->id, &h, result))
		return;
	if (c->line >= h.r.lines_n) {
		refuse(result, STATUS_BAD_REQUEST, "the reservation has no line of that index");
		return;
	}
	if (location == NAME_NONE || is_group(e, location)) {
		refuse(result, STATUS_UNKNOWN_LOCATION, "no event ever named that location");
		return;
	}
	const struct line_record *line = &s->lines[c->line];
	uint32_t units = line->held + line->committed, earlier = moved_before(e, &h, c->line, location);
	result->state = h.state;
	if (e->cells.at[line->cell].location == location) {
		move_answer(e, line->cell, (int64_t)units + line->fulfilled + line->released + line->expired + line->handed_over, result);
	} else if (units == 0 && earlier < h.r.lines_n) {
		move_answer(e, s->lines[earlier].cell, s->lines[earlier].granted, result);
		result->again = true;
	} else if (units == 0) {
		wrong_state(&h, "nothing is left on that line", result);
	} else if (line->held && dead(e, &h)) {
		refuse(result, STATUS_EXPIRED, "the hold has expired");
	} else if (h.r.lines_n == LINES_MAX) {
		refuse_which(result, STATUS_LIMIT, "lines", "a reservation has at most 4096 lines");
	} else {
		move_units(e, &h, c->line, location, result);
	}
}

/* ---- expiry: a command of the host's time (D19) ---- */

void
expire_one(struct engine *e, uint32_t slot)
{
	struct scratch *s = e->scratch;
	struct hand h = { .slot = slot };
	uint32_t from_held;
	reservation_load(&e->reservations, slot, &h.r, s->lines, s->id);
	h.r.extra = reservation_extra(&e->reservations, slot, s->old_extra);
	ensure(h.r.expires_at <= e->now);
	changes_begin(e);
	for (uint32_t i = 0; i < h.r.lines_n; i++)
		if (s->lines[i].held)
			line_move(e, &s->lines[i], RESERVATION_EXPIRED, s->lines[i].held, &from_held);
	step_begin(e, CAUSE_EXPIRE, (struct bytes){ NULL, 0 }, (struct bytes){ NULL, 0 });
	changes_emit(e);
	emit_reservation(e, &h.r);
	step_end(e);
}
