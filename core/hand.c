#include "core/hand.h"

void
hand_take_slot(struct engine *e, uint32_t slot, struct hand *h)
{
	struct scratch *s = e->scratch;
	h->slot = slot;
	reservation_load(&e->reservations, slot, &h->r, s->lines, s->id);
	h->r.extra = reservation_extra(&e->reservations, slot, s->old_extra);
}

bool
hand_take(struct engine *e, struct bytes id, struct hand *h, struct result *result)
{
	struct scratch *s = e->scratch;
	h->slot = reservations_find(&e->reservations, id);
	if (h->slot == SLOT_NONE) {
		refuse(result, STATUS_NOT_FOUND, "no such reservation (refused ones are not remembered)");
		return false;
	}
	hand_take_slot(e, h->slot, h);
	h->state = reservation_state(&h->r);
	h->held = h->committed = 0;
	for (uint32_t i = 0; i < h->r.terms.lines_n; i++) {
		h->held += s->lines[i].held;
		h->committed += s->lines[i].committed;
	}
	return true;
}

bool
hand_is_dead(const struct engine *e, const struct hand *h)
{
	return h->held > 0 && e->now >= terms_expire_at(&h->r.terms);
}

void
hand_wrong_state(const struct hand *h, const char *message, struct result *result)
{
	result->state = h->state;
	if (h->state == RESERVATION_EXPIRED)
		refuse(result, STATUS_EXPIRED, "the hold has expired");
	else
		refuse(result, STATUS_WRONG_STATE, message);
}

void
hand_line_move(struct engine *e, struct line_record *l, enum reservation_state to, uint32_t units)
{
	struct cell_change *change = change_of(e, l->cell);
	uint32_t held = to == RESERVATION_FULFILLED ? 0 : units < l->held ? units : l->held, committed = units - held;
	l->held -= held;
	l->committed -= committed;
	change->r.now.reserved -= held;
	change->r.now.committed -= committed;
	change->changed = true;
	switch (to) {
	case RESERVATION_COMMITTED:
		l->committed += units;
		change->r.now.committed += units;
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
