/*
 * twin_reserve.c: the naive twin's reservations: reserve, expiry, forgetting (D12 to D15, D18 to D20, D23).
 */
#include "tests/twin_inner.h"

uint32_t
twin_reservation_find(const struct twin *t, struct bytes id)
{
	for (uint32_t i = 0; i < t->reservations_n; i++)
		if (text_same(&t->reservations[i].id, id))
			return i;
	return NONE;
}

enum reservation_state
twin_state(const struct twin_reservation *r)
{
	int64_t held = 0, committed = 0, fulfilled = 0, handed_over = 0, released = 0;
	for (uint32_t i = 0; i < r->lines_n; i++) {
		held += r->lines[i].held;
		committed += r->lines[i].committed;
		fulfilled += r->lines[i].fulfilled;
		handed_over += r->lines[i].handed_over;
		released += r->lines[i].released;
	}
	return held ? RESERVATION_HELD : committed ? RESERVATION_COMMITTED : fulfilled ? RESERVATION_FULFILLED
	    : handed_over ? RESERVATION_HANDED_OVER : released ? RESERVATION_RELEASED : RESERVATION_EXPIRED;
}

bool
twin_is_open(const struct twin_reservation *r)
{
	return twin_state(r) <= RESERVATION_COMMITTED;
}

void
twin_finish_if_done(struct twin *t, uint32_t i)
{
	if (!t->reservations[i].finished && !twin_is_open(&t->reservations[i]))
		t->reservations[i].finished = ++t->finishes;
}

void
twin_answer_line(struct twin *t, uint32_t sku, uint32_t place, int64_t qty)
{
	struct result_line *l = twin_add(t->out_lines, t->out_lines_n, t->out_lines_cap);
	*l = (struct result_line){ text_bytes(&t->skus[sku]), text_bytes(&t->places[place]), qty };
}

/* Holds whose instant has come, earliest first; those of one instant finish with one rank. */
void
twin_expire(struct twin *t)
{
	for (;;) {
		int64_t earliest = INT64_MAX;
		for (uint32_t i = 0; i < t->reservations_n; i++) {
			const struct twin_reservation *r = &t->reservations[i];
			if (twin_state(r) == RESERVATION_HELD && r->expires_at <= t->now && r->expires_at < earliest)
				earliest = r->expires_at;
		}
		if (earliest == INT64_MAX)
			return;
		uint64_t rank = ++t->finishes;
		for (uint32_t i = 0; i < t->reservations_n; i++) {
			struct twin_reservation *r = &t->reservations[i];
			if (twin_state(r) != RESERVATION_HELD || r->expires_at != earliest)
				continue;
			for (uint32_t l = 0; l < r->lines_n; l++) {
				r->lines[l].expired += r->lines[l].held;
				r->lines[l].held = 0;
			}
			if (!twin_is_open(r))
				r->finished = rank;
		}
	}
}

/* ---- who gives way (D14, R3) ---- */

static bool
gone(struct twin *t, uint32_t i)
{
	return t->reservations[i].finished && t->hints.forgotten && t->hints.forgotten(t->hints.context, text_bytes(&t->reservations[i].id));
}

/* Blocks that a reservation's texts take at the least: its id, its owner and refs. */
static uint32_t
text_blocks(const struct twin_reservation *r)
{
	uint32_t n = r->id.n > 36 ? (r->id.n + 59) / 60 : 0, extra = r->owner.n || r->refs_n ? 1 + r->owner.n : 0;
	for (uint32_t i = 0; i < r->refs_n; i++)
		extra += r->refs[i].ref.n + 13 + 2 * r->refs[i].lines_n;
	return n + (extra + 59) / 60;
}

/* It is among the oldest of those that have what is needed. */
static bool
may_go(struct twin *t, uint32_t i, bool lines, bool text)
{
	const struct twin_reservation *r = &t->reservations[i];
	lines &= r->lines_n > 1;
	text &= text_blocks(r) > 0;
	for (uint32_t k = 0; k < t->reservations_n && (lines || text); k++) {
		const struct twin_reservation *older = &t->reservations[k];
		if (!older->finished || older->finished >= r->finished || gone(t, k))
			continue;
		lines &= older->lines_n <= 1;
		text &= text_blocks(older) == 0;
	}
	return lines || text;
}

/* Lines beyond the first: of all reservations, and of the finished ones. */
static int64_t
extra_lines(const struct twin *t, bool finished)
{
	int64_t n = 0;
	for (uint32_t i = 0; i < t->reservations_n; i++)
		n += finished && !t->reservations[i].finished ? 0 : (int64_t)t->reservations[i].lines_n - 1;
	return n;
}

/* Free extra lines; of those a new reservation may take fewer. */
static int64_t
free_lines(const struct twin *t, bool newcomer)
{
	int64_t max = t->limits.extra_lines_max, free = (newcomer ? max - max / 8 : max) - extra_lines(t, false);
	return free > 0 ? free : 0;
}

void
twin_pools_full(struct twin *t, const struct twin_need *need, struct twin_result *out)
{
	int64_t blocks = 0;
	if (need->lines > free_lines(t, need->newcomer) + extra_lines(t, true))
		twin_full(out, "extra_lines");
	for (uint32_t i = 0; i < t->reservations_n; i++)
		blocks += t->reservations[i].finished ? text_blocks(&t->reservations[i]) : 0;
	if (t->hints.pool_full && need->text && blocks < need->blocks)
		twin_full(out, t->hints.pool_full);
}

/* The oldest finished one, when all slots are taken: of several that finished at one instant the one that the engine took. */
static void
make_slot(struct twin *t)
{
	uint64_t oldest = UINT64_MAX;
	uint32_t chosen = NONE;
	for (uint32_t i = 0; i < t->reservations_n; i++)
		if (t->reservations[i].finished && t->reservations[i].finished < oldest)
			oldest = t->reservations[i].finished;
	for (uint32_t i = 0; i < t->reservations_n; i++)
		if (t->reservations[i].finished == oldest && (chosen == NONE || gone(t, i)))
			chosen = i;
	twin_reservation_forget(t, chosen);
}

void
twin_make_room(struct twin *t, const struct twin_need *need)
{
	bool lines = need->lines > free_lines(t, true);
	for (uint32_t i = t->reservations_n; i-- > 0 && (lines || need->text);)
		if (gone(t, i) && may_go(t, i, lines, need->text))
			twin_reservation_forget(t, i);
	if (need->newcomer && t->reservations_n >= t->limits.reservations_max)
		make_slot(t);
}

static bool
same_content(const struct twin_reservation *r, const struct reserve_command *c)
{
	if (r->asked_n != c->lines_n || r->partial != c->partial || !text_same(&r->channel, c->channel) || !text_same(&r->owner, c->owner)
	    || !text_same(&r->replaces, c->replaces))
		return false;
	for (uint32_t i = 0; i < c->lines_n; i++)
		if (!text_same(&r->asked[i].sku, c->lines[i].sku) || !text_same(&r->asked[i].location, c->lines[i].location)
		    || r->asked[i].qty != c->lines[i].qty)
			return false;
	return true;
}

static void
answer_first(struct twin *t, const struct twin_reservation *r, struct twin_result *out)
{
	for (uint32_t i = 0; i < r->asked_n; i++)
		twin_answer_line(t, twin_find(t->skus, t->skus_n, text_bytes(&r->asked[i].sku)),
		    twin_find(t->places, t->places_n, text_bytes(&r->asked[i].location)), r->granted[i]);
	out->r.again = true;
	out->r.state = RESERVATION_HELD;
	out->r.expires_at = r->first_expires_at;
	out->r.seq = r->first_seq;
	out->effect = TWIN_NOTHING;
}

bool
twin_first_reply(struct twin *t, struct bytes id, struct twin_result *out)
{
	uint32_t i = twin_reservation_find(t, id);
	*out = (struct twin_result){ .r = { .status = STATUS_OK, .number = -1 } };
	t->out_lines_n = 0;
	if (i == NONE)
		return false;
	answer_first(t, &t->reservations[i], out);
	out->r.lines = t->out_lines;
	out->r.lines_n = t->out_lines_n;
	return true;
}

/* Refusals that need no quantity, in the order of R13. True: *out says no, or repeats. */
static bool
refused_early(struct twin *t, const struct reserve_command *c, uint32_t *old, struct twin_result *out)
{
	if (c->replaces.n && (!c->owner.n || bytes_equal(c->replaces, c->id)))
		return twin_refuse(out, STATUS_BAD_REQUEST, NULL), true;
	for (uint32_t i = 0; i < c->lines_n; i++)
		if (twin_group_find(t, c->lines[i].location) != NONE)
			return twin_refuse(out, STATUS_BAD_REQUEST, NULL), true;
	uint32_t same = twin_reservation_find(t, c->id);
	if (same != NONE) {
		if (same_content(&t->reservations[same], c))
			answer_first(t, &t->reservations[same], out);
		else
			twin_refuse(out, STATUS_CONFLICT, NULL);
		return true;
	}
	*old = c->replaces.n ? twin_reservation_find(t, c->replaces) : NONE;
	if (*old != NONE && !twin_is_open(&t->reservations[*old]))
		*old = NONE;
	if (*old != NONE && !text_same(&t->reservations[*old].owner, c->owner))
		return twin_refuse(out, STATUS_FORBIDDEN, NULL), true;
	for (uint32_t i = 0; i < c->lines_n; i++)
		if (twin_find(t->skus, t->skus_n, c->lines[i].sku) == NONE)
			return twin_refuse(out, STATUS_UNKNOWN_SKU, NULL), true;
	for (uint32_t i = 0; i < c->lines_n; i++)
		if (twin_find(t->places, t->places_n, c->lines[i].location) == NONE)
			return twin_refuse(out, STATUS_UNKNOWN_LOCATION, NULL), true;
	if (c->ttl_ms > t->options.value[OPTION_TTL_MAX_MS])
		return twin_refuse(out, STATUS_LIMIT, "ttl"), true;
	for (uint32_t i = 0; *old != NONE && i < t->reservations[*old].lines_n; i++)
		if (t->reservations[*old].lines[i].committed)
			return twin_refuse(out, STATUS_WRONG_STATE, NULL), true;
	return false;
}

/* ATS of a line's cell as the request sees it: with the replaced hold's units back. */
static int64_t
seen_ats(struct twin *t, uint32_t sku, uint32_t place, uint32_t old)
{
	int64_t ats = twin_cell_ats(t, sku, place);
	for (uint32_t i = 0; old != NONE && i < t->reservations[old].lines_n; i++)
		if (t->reservations[old].lines[i].sku == sku && t->reservations[old].lines[i].place == place)
			ats += t->reservations[old].lines[i].held;
	return ats;
}

static void
answer_short(struct twin *t, const struct asked_line *l, uint32_t line, uint32_t sku, uint32_t place, int64_t ats)
{
	struct short_line *s = twin_add(t->out_shorts, t->out_shorts_n, t->out_shorts_cap);
	*s = (struct short_line){ .line = line, .sku = l->sku, .location = l->location, .asked = l->qty, .available = ats > 0 ? ats : 0,
		.next_release_at = -1 };
	for (uint32_t i = 0; i < t->reservations_n; i++) {
		const struct twin_reservation *r = &t->reservations[i];
		for (uint32_t j = 0; j < r->lines_n; j++) {
			if (r->lines[j].sku != sku || r->lines[j].place != place || !r->lines[j].held)
				continue;
			if (s->next_release_at == -1 || r->expires_at < s->next_release_at) {
				s->next_release_at = r->expires_at;
				s->next_release_qty = 0;
			}
			if (r->expires_at == s->next_release_at)
				s->next_release_qty += r->lines[j].held;
		}
	}
}

/* Fills granted[], line by line on what earlier lines of the cell left (R1); false: insufficient, and the short lines are noted. */
static bool
grant(struct twin *t, const struct reserve_command *c, uint32_t old, int64_t *granted)
{
	int64_t in_all = 0;
	for (uint32_t i = 0; i < c->lines_n; i++) {
		uint32_t sku = twin_find(t->skus, t->skus_n, c->lines[i].sku);
		uint32_t place = twin_find(t->places, t->places_n, c->lines[i].location);
		int64_t left = seen_ats(t, sku, place, old);
		for (uint32_t j = 0; j < i; j++)
			if (bytes_equal(c->lines[j].sku, c->lines[i].sku) && bytes_equal(c->lines[j].location, c->lines[i].location))
				left -= granted[j];
		granted[i] = c->lines[i].qty;
		if (c->partial && left < granted[i])
			granted[i] = left > 0 ? left : 0;
		in_all += granted[i];
		if (granted[i] > left && !c->partial)
			answer_short(t, &c->lines[i], i, sku, place, left);
	}
	for (uint32_t i = 0; !in_all && i < c->lines_n; i++) {
		uint32_t sku = twin_find(t->skus, t->skus_n, c->lines[i].sku);
		uint32_t place = twin_find(t->places, t->places_n, c->lines[i].location);
		answer_short(t, &c->lines[i], i, sku, place, seen_ats(t, sku, place, old));
	}
	return in_all && !t->out_shorts_n;
}

/* A line that got nothing in `partial` mode has a cell all the same. */
static uint32_t
new_cells(struct twin *t, const struct reserve_command *c)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < c->lines_n; i++) {
		bool earlier = false;
		for (uint32_t j = 0; j < i; j++)
			earlier |= bytes_equal(c->lines[j].sku, c->lines[i].sku) && bytes_equal(c->lines[j].location, c->lines[i].location);
		n += !earlier && twin_cell_find(t, twin_find(t->skus, t->skus_n, c->lines[i].sku),
		    twin_find(t->places, t->places_n, c->lines[i].location)) == NONE;
	}
	return n;
}

static void
keep(struct twin *t, const struct reserve_command *c, const int64_t *granted)
{
	struct twin_reservation *r = twin_add(t->reservations, t->reservations_n, t->reservations_cap);
	r->id = text_of(c->id);
	r->channel = text_of(c->channel);
	r->owner = text_of(c->owner);
	r->replaces = text_of(c->replaces);
	r->partial = c->partial;
	r->created_at = t->now;
	r->expires_at = r->first_expires_at = t->now + (c->ttl_ms < 0 ? t->options.value[OPTION_TTL_DEFAULT_MS] : c->ttl_ms);
	r->asked = calloc(c->lines_n, sizeof *r->asked);
	r->granted = calloc(c->lines_n, sizeof *r->granted);
	r->asked_n = c->lines_n;
	for (uint32_t i = 0; i < c->lines_n; i++) {
		r->asked[i] = (struct twin_asked){ text_of(c->lines[i].sku), text_of(c->lines[i].location), c->lines[i].qty };
		r->granted[i] = granted[i];
		struct twin_line *l = twin_add(r->lines, r->lines_n, r->lines_cap);
		l->sku = twin_find(t->skus, t->skus_n, c->lines[i].sku);
		l->place = twin_find(t->places, t->places_n, c->lines[i].location);
		l->qty = l->held = granted[i];
		l->moved_to = NONE;
		twin_cell_make(t, l->sku, l->place);
		twin_answer_line(t, l->sku, l->place, granted[i]);
	}
}

static void
give_back(struct twin *t, uint32_t old)
{
	struct twin_reservation *r = &t->reservations[old];
	for (uint32_t i = 0; i < r->lines_n; i++) {
		r->lines[i].released += r->lines[i].held;
		r->lines[i].held = 0;
	}
	twin_finish_if_done(t, old);
}

void
twin_reserve(struct twin *t, const struct reserve_command *c, struct twin_result *out)
{
	uint32_t old = NONE;
	int64_t granted[LINES_ASKED_MAX];
	if (refused_early(t, c, &old, out))
		return;
	if (!grant(t, c, old, granted)) {
		twin_refuse(out, STATUS_INSUFFICIENT, NULL);
		return;
	}
	bool new_channel = c->channel.n && twin_find(t->channels, t->channels_n, c->channel) == NONE;
	if (new_channel && t->channels_n >= t->limits.channels_max)
		twin_full(out, "channels");
	bool slot = t->reservations_n < t->limits.reservations_max;
	for (uint32_t i = 0; i < t->reservations_n; i++)
		slot |= t->reservations[i].finished != 0;
	if (!slot)
		twin_full(out, "reservations");
	if (t->cells_n + new_cells(t, c) > t->limits.cells_max)
		twin_full(out, "cells");
	struct twin_need need = { .newcomer = true, .lines = c->lines_n - 1, .text = c->owner.n || c->id.n > 36,
		.blocks = (c->owner.n ? (1 + c->owner.n + 59) / 60 : 0) + (c->id.n > 36 ? (c->id.n + 59) / 60 : 0) };
	twin_pools_full(t, &need, out);
	if (out->which_n)
		return;
	struct text old_id = old == NONE ? (struct text){ .n = 0 } : t->reservations[old].id;
	twin_make_room(t, &need);
	if (new_channel)
		*twin_add(t->channels, t->channels_n, t->channels_cap) = text_of(c->channel);
	if (old != NONE)
		give_back(t, twin_reservation_find(t, text_bytes(&old_id)));
	keep(t, c, granted);
	t->note_reservation = t->reservations_n - 1;
	t->note_old = old == NONE ? NONE : twin_reservation_find(t, text_bytes(&old_id));
	t->note_first = true;
	out->r.state = RESERVATION_HELD;
	out->r.expires_at = t->reservations[t->reservations_n - 1].expires_at;
	out->effect = TWIN_STEP;
}

void
twin_note(struct twin *t, uint64_t seq)
{
	if (t->note_old != NONE)
		t->reservations[t->note_old].seq = seq;
	if (t->note_reservation != NONE) {
		struct twin_reservation *r = &t->reservations[t->note_reservation];
		r->seq = seq;
		if (t->note_first)
			r->first_seq = seq;
		if (t->note_ref)
			r->refs[r->refs_n - 1].seq = seq;
	}
	if (t->note_source != NONE) {
		struct twin_source *s = &t->sources[t->note_source];
		for (uint32_t i = 0; i < s->marks_n; i++)
			if (s->marks[i].n == t->note_n)
				s->marks[i].seq = seq;
	}
}

bool
twin_reservation(struct twin *t, struct bytes id, struct reservation_view *v)
{
	uint32_t i = twin_reservation_find(t, id);
	if (i == NONE)
		return false;
	const struct twin_reservation *r = &t->reservations[i];
	t->out_views_n = 0;
	for (uint32_t l = 0; l < r->lines_n; l++) {
		const struct twin_line *x = &r->lines[l];
		struct line_view *y = twin_add(t->out_views, t->out_views_n, t->out_views_cap);
		*y = (struct line_view){ text_bytes(&t->skus[x->sku]), text_bytes(&t->places[x->place]), x->qty, x->held, x->committed, x->fulfilled,
			x->released, x->expired, x->handed_over };
	}
	*v = (struct reservation_view){ .id = text_bytes(&r->id), .owner = text_bytes(&r->owner), .channel = text_bytes(&r->channel),
		.seq = r->seq, .first_seq = r->first_seq, .state = twin_state(r), .created_at = r->created_at, .expires_at = r->expires_at,
		.first_expires_at = r->first_expires_at, .pinned = r->pinned, .lines = t->out_views, .lines_n = t->out_views_n };
	return true;
}

uint32_t
twin_open_count(struct twin *t)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < t->reservations_n; i++)
		n += twin_is_open(&t->reservations[i]);
	return n;
}

uint32_t
twin_kept_count(struct twin *t)
{
	return t->reservations_n;
}
