/* decide_hold.c: how long a hold lasts and where it stands: extend, pin, move, expiry (D17 to D19, D22) */
#include "core/hand.h"

/* ---- extend, pin (D18) ---- */

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
	else if (!pin && until - h.r.terms.created_at > option[OPTION_TTL_MAX_MS])
		refuse_which(result, STATUS_LIMIT, "life", "a hold lives at most ttl_max_ms in all");
	else if (pin && h.r.terms.flags & RESERVATION_PINNED)
		refuse_which(result, STATUS_LIMIT, "pin", "a hold is pinned at most once");
	else if (hand_is_dead(e, &h))
		refuse(result, STATUS_EXPIRED, "the hold has expired");
	else if (h.held == 0)
		hand_wrong_state(&h, "nothing is held any more", result);
	if (result->status != STATUS_OK)
		return;
	if (until > terms_expire_at(&h.r.terms))
		h.r.terms.life_ms = (uint32_t)(until - h.r.terms.created_at);
	if (pin)
		h.r.terms.flags |= RESERVATION_PINNED;
	step_begin(e, pin ? CAUSE_PIN : CAUSE_EXTEND, (struct bytes){ NULL, 0 }, (struct bytes){ NULL, 0 });
	emit_reservation(e, &h.r);
	step_end(e);
	result->expires_at = terms_expire_at(&h.r.terms);
	result->state = h.state;
	result->seq = e->seq;
}

/* ---- move (D22) ---- */

/* An earlier move took this line to that location: index of the new line, or lines_n. */
static uint32_t
moved_before(const struct engine *e, const struct hand *h, uint32_t line, uint32_t location)
{
	uint32_t i = 0;
	while (i < h->r.terms.lines_n && !(e->scratch->lines[i].origin == line + 1 && e->cells.at[e->scratch->lines[i].cell].location == location))
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
	struct line_record *from = &s->lines[index], *to = &s->lines[h->r.terms.lines_n];
	uint32_t units = from->held + from->committed;
	changes_begin(e);
	struct cell_change *target = change_of_pair(e, e->cells.at[from->cell].sku, location);
	if (units > cell_ats(&target->r.now)) {
		struct result_line name = line_of(e, from->cell, 0);
		s->shorts[0] = (struct short_line){ .line = index, .sku = name.sku, .location = names_get(&e->names[NAMES_LOCATION], location),
			.asked = units, .available = qty_floor(cell_ats(&target->r.now)) };
		next_release(e, target->fresh ? CELL_NONE : target->r.cell, &s->shorts[0]);
		refuse(result, STATUS_INSUFFICIENT, "the other location has not enough available to sell");
		result->shorts = s->shorts;
		result->shorts_n = 1;
		return;
	}
	const char *full = changes_room(e) ? room_find(e, &(struct room_need){ .lines = 1 }) : "cells";
	if (full) {
		refuse_which(result, STATUS_CAPACITY, full, "a table of the server is full");
		return;
	}
	struct cell_change *source = change_of(e, from->cell);
	source->r.now.reserved -= from->held;
	source->r.now.committed -= from->committed;
	target->r.now.reserved += from->held;
	target->r.now.committed += from->committed;
	source->changed = target->changed = true;
	*to = (struct line_record){ .cell = target->r.cell, .granted = units, .held = from->held, .committed = from->committed, .origin = index + 1 };
	from->held = from->committed = 0;
	h->r.terms.lines_n++;
	step_begin(e, CAUSE_MOVE, (struct bytes){ NULL, 0 }, (struct bytes){ NULL, 0 });
	room_emit(e);
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
	if (c->line >= h.r.terms.lines_n) {
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
	} else if (units == 0 && earlier < h.r.terms.lines_n) {
		move_answer(e, s->lines[earlier].cell, s->lines[earlier].granted, result);
		result->again = true;
	} else if (units == 0) {
		hand_wrong_state(&h, "nothing is left on that line", result);
	} else if (line->held && hand_is_dead(e, &h)) {
		refuse(result, STATUS_EXPIRED, "the hold has expired");
	} else if (h.r.terms.lines_n == LINES_MAX) {
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
	struct hand h;
	hand_take_slot(e, slot, &h);
	ensure(terms_expire_at(&h.r.terms) <= e->now);
	changes_begin(e);
	for (uint32_t i = 0; i < h.r.terms.lines_n; i++)
		if (s->lines[i].held)
			hand_line_move(e, &s->lines[i], RESERVATION_EXPIRED, s->lines[i].held);
	step_begin(e, CAUSE_EXPIRE, (struct bytes){ NULL, 0 }, (struct bytes){ NULL, 0 });
	changes_emit(e);
	emit_reservation(e, &h.r);
	step_end(e);
}
