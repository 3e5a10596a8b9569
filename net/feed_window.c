/* feed_window.c: see feed_window.h. */
#include "net/feed_window.h"

#include "core/view.h"
#include "net/codec_write.h"

#include <stdlib.h>

#define CHANGE_WIRE_BYTES_MAX (1 + 4 * WIRE_INT_BYTES_MAX + 2 * WIRE_STR_HEAD_MAX + NAME_BYTES_MAX + PLACE_BYTES_MAX + 5)

void
window_clear(struct window *w, uint64_t seq)
{
	w->seq = seq;
	w->n = w->steps = 0;
	w->wire.used = 0;
	memset(w->slots, 0, sizeof w->slots);
}

static struct merged *
merged_of(struct window *w, const struct change *c)
{
	uint32_t at = c->cell * UINT32_C(2654435761) >> 18;
	for (;; at = (at + 1) % WINDOW_SLOTS) {
		if (w->slots[at] == 0)
			break;
		if (w->at[w->slots[at] - 1].change.cell == c->cell)
			return &w->at[w->slots[at] - 1];
	}
	struct merged *m = &w->at[w->n++];
	w->slots[at] = (uint16_t)w->n;
	*m = (struct merged){ .change = *c };
	return m;
}

bool
window_add(struct window *w, uint64_t seq, const struct change *changes, uint32_t n)
{
	if (w->steps == WINDOW_STEPS_MAX || (w->n > 0 && w->n + n > WINDOW_CELLS_MAX))
		return false;
	ensure(seq > w->seq && n <= CHANGES_STEP_MAX);
	for (uint32_t i = 0; i < n; i++) {
		const struct change *c = &changes[i];
		struct merged *m = merged_of(w, c);
		m->moved |= c->ats != c->was;
		m->crossed |= (c->ats > 0) != (c->was > 0);
		m->change.seq = c->seq;
		m->change.ats = c->ats;
		m->change.on_hand = c->on_hand;
	}
	w->seq = seq;
	w->steps++;
	return true;
}

static int
by_position(const void *a, const void *b)
{
	const struct change *l = &((const struct merged *)a)->change, *r = &((const struct merged *)b)->change;
	if (l->seq != r->seq)
		return l->seq < r->seq ? -1 : 1;
	return (l->cell > r->cell) - (l->cell < r->cell);
}

void
window_sort(struct window *w)
{
	qsort(w->at, w->n, sizeof w->at[0], by_position);
}

static uint8_t *
wire_threshold(uint8_t *p, const struct change *c)
{
	if (c->was > 0 && c->ats <= 0)
		return WIRE(p, "\xa3out");
	if (c->was <= 0 && c->ats > 0)
		return WIRE(p, "\xa4" "back");
	*p++ = 0xc0;
	return p;
}

static void
encode(struct window *w, struct merged *m, const struct engine *engine)
{
	const struct change *c = &m->change;
	uint8_t *room = buffer_room(&w->wire, CHANGE_WIRE_BYTES_MAX), *p = room;
	if (!room)
		return;
	p = wire_uint(p, c->seq);
	p = wire_str(p, view_sku_name(engine, c->sku));
	p = wire_str(p, view_location_name(engine, c->location));
	p = wire_int(p, c->ats);
	p = wire_int(p, c->was);
	m->wire_at = (uint32_t)w->wire.used;
	m->wire_plain = (uint32_t)(p - room);
	p = wire_int(p, c->on_hand);
	p = wire_threshold(p, c);
	m->wire_full = (uint32_t)(p - room);
	w->wire.used += m->wire_full;
}

void
window_put(struct window *w, uint32_t i, enum window_form form, const struct engine *engine, struct buffer *out)
{
	struct merged *m = &w->at[i];
	if (m->wire_full == 0)
		encode(w, m, engine);
	uint32_t n = form == WINDOW_FULL ? m->wire_full : m->wire_plain;
	uint8_t *room = buffer_room(out, 1 + n);
	if (m->wire_full == 0 || !room) {
		out->full = true; /* no memory: the message is not sent, its watcher is closed */
		return;
	}
	room[0] = form == WINDOW_FULL ? 0x97 : 0x95;
	memcpy(room + 1, w->wire.at + m->wire_at, n);
	out->used += 1 + n;
}
