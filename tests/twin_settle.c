/*
 * twin_settle.c: the naive twin's moves of a reservation: commit, release, fulfil, extend, pin, move (D15 to D18, D22;
 * readings R5 to R9, R11).
 */
#include "tests/twin_inner.h"

static int64_t
movable(enum command_kind kind, const struct twin_line *l)
{
	return kind == COMMAND_COMMIT ? l->held : kind == COMMAND_FULFIL ? l->committed : l->held + l->committed;
}

static int64_t
movable_in_all(enum command_kind kind, const struct twin_reservation *r)
{
	int64_t sum = 0;
	for (uint32_t i = 0; i < r->lines_n; i++)
		sum += movable(kind, &r->lines[i]);
	return sum;
}

/* Moves up to `want` units of a line; release takes held ones first. */
static int64_t
take(enum command_kind kind, struct twin_line *l, int64_t want)
{
	int64_t from_held = kind == COMMAND_FULFIL ? 0 : l->held < want ? l->held : want;
	int64_t rest = want - from_held;
	int64_t from_committed = kind == COMMAND_COMMIT ? 0 : l->committed < rest ? l->committed : rest;
	l->held -= from_held;
	l->committed -= from_committed;
	if (kind == COMMAND_COMMIT)
		l->committed += from_held;
	else if (kind == COMMAND_RELEASE)
		l->released += from_held + from_committed;
	else
		l->fulfilled += from_committed;
	return from_held + from_committed;
}

static const struct twin_ref *
find_ref(const struct twin_reservation *r, struct bytes ref)
{
	for (uint32_t i = 0; i < r->refs_n; i++)
		if (text_same(&r->refs[i].ref, ref))
			return &r->refs[i];
	return NULL;
}

static bool
same_call(const struct twin_ref *f, enum command_kind kind, const struct settle_command *c)
{
	if (f->kind != kind || f->asked_n != c->lines_n)
		return false;
	for (uint32_t i = 0; i < c->lines_n; i++)
		if (!text_same(&f->asked[i].sku, c->lines[i].sku) || !text_same(&f->asked[i].location, c->lines[i].location)
		    || f->asked[i].qty != c->lines[i].qty)
			return false;
	return true;
}

static void
answer_again(struct twin *t, const struct twin_ref *f, struct twin_result *out)
{
	for (uint32_t i = 0; i < f->lines_n; i++)
		twin_answer_line(t, f->lines[i].sku, f->lines[i].place, f->lines[i].qty);
	out->r.again = true;
	out->r.state = f->state;
	out->r.seq = f->seq;
}

/* R6, R7: nothing in the state that would move. */
static void
answer_nothing_to_move(enum command_kind kind, bool whole, const struct twin_reservation *r, struct twin_result *out)
{
	enum reservation_state s = twin_state(r);
	bool done;
	if (kind == COMMAND_COMMIT)
		done = whole && (s == RESERVATION_COMMITTED || s == RESERVATION_FULFILLED || s == RESERVATION_HANDED_OVER);
	else if (kind == COMMAND_RELEASE)
		done = s == RESERVATION_RELEASED || s == RESERVATION_EXPIRED;
	else
		done = whole && s == RESERVATION_FULFILLED;
	if (done) {
		out->r.again = true;
		out->r.state = s;
	} else if (s == RESERVATION_EXPIRED)
		twin_refuse(out, STATUS_EXPIRED, NULL);
	else {
		twin_refuse(out, STATUS_WRONG_STATE, NULL);
		out->r.state = s;
	}
}

/* The first asked line whose cell has less than its lines ask in sum; false: none. */
static bool
asks_too_much(struct twin *t, enum command_kind kind, const struct twin_reservation *r, const struct settle_command *c, int64_t *left)
{
	for (uint32_t i = 0; i < c->lines_n; i++) {
		int64_t sum = 0;
		for (uint32_t j = 0; j < c->lines_n; j++)
			if (bytes_equal(c->lines[i].sku, c->lines[j].sku) && bytes_equal(c->lines[i].location, c->lines[j].location))
				sum += c->lines[j].qty;
		*left = 0;
		for (uint32_t l = 0; l < r->lines_n; l++)
			if (text_same(&t->skus[r->lines[l].sku], c->lines[i].sku) && text_same(&t->places[r->lines[l].place], c->lines[i].location))
				*left += movable(kind, &r->lines[l]);
		if (sum > *left)
			return true;
	}
	return false;
}

/* Fills moved[] per resolved line. */
static void
move_units(struct twin *t, enum command_kind kind, struct twin_reservation *r, const struct settle_command *c, int64_t *moved)
{
	for (uint32_t l = 0; !c->lines_n && l < r->lines_n; l++)
		moved[l] = take(kind, &r->lines[l], movable(kind, &r->lines[l]));
	for (uint32_t i = 0; i < c->lines_n; i++) {
		int64_t want = c->lines[i].qty;
		for (uint32_t l = 0; l < r->lines_n; l++) {
			if (!text_same(&t->skus[r->lines[l].sku], c->lines[i].sku) || !text_same(&t->places[r->lines[l].place], c->lines[i].location))
				continue;
			int64_t got = take(kind, &r->lines[l], want);
			moved[l] += got;
			want -= got;
		}
	}
}

/* D32: the goods of a fulfil command leave at the stamped time, one delta a line (R23). */
static void
goods_leave(struct twin *t, const struct twin_reservation *r, const int64_t *moved)
{
	for (uint32_t l = 0; l < r->lines_n; l++)
		if (moved[l])
			twin_delta(t, twin_cell_make(t, r->lines[l].sku, r->lines[l].place), t->now, -moved[l], 0, true);
}

static void
remember_ref(struct twin *t, struct twin_reservation *r, enum command_kind kind, const struct settle_command *c)
{
	struct twin_ref *f = twin_add(r->refs, r->refs_n, r->refs_cap);
	f->ref = text_of(c->ref);
	f->kind = kind;
	f->state = twin_state(r);
	f->asked = calloc(c->lines_n + 1, sizeof *f->asked);
	f->asked_n = c->lines_n;
	for (uint32_t i = 0; i < c->lines_n; i++)
		f->asked[i] = (struct twin_asked){ text_of(c->lines[i].sku), text_of(c->lines[i].location), c->lines[i].qty };
	f->lines = calloc(t->out_lines_n + 1, sizeof *f->lines);
	f->lines_n = t->out_lines_n;
	for (uint32_t i = 0; i < f->lines_n; i++)
		f->lines[i] = (struct twin_moved){ twin_find(t->skus, t->skus_n, t->out_lines[i].sku),
			twin_find(t->places, t->places_n, t->out_lines[i].location), t->out_lines[i].qty };
	t->note_ref = true;
}

/* One more ref of a call that moves every line takes at most so many. */
static uint32_t
ref_blocks(const struct twin_reservation *r)
{
	return (2 + NAME_BYTES_MAX + 30 + 10 * r->lines_n) / 60 + 2;
}

static bool
settle_refused(struct twin *t, enum command_kind kind, const struct settle_command *c, struct twin_reservation *r, struct twin_result *out)
{
	const struct twin_ref *f = c->ref.n ? find_ref(r, c->ref) : NULL;
	int64_t left = 0;
	if (f && same_call(f, kind, c))
		return answer_again(t, f, out), true;
	if (f)
		return twin_refuse(out, STATUS_CONFLICT, NULL), true;
	if (!movable_in_all(kind, r))
		return answer_nothing_to_move(kind, !c->lines_n, r, out), true;
	if (asks_too_much(t, kind, r, c, &left)) {
		twin_refuse(out, STATUS_BAD_REQUEST, NULL);
		out->r.number = left;
		return true;
	}
	if (c->ref.n && r->refs_n == REFS_MAX)
		return twin_refuse(out, STATUS_LIMIT, "refs"), true;
	twin_pools_full(t, &(struct twin_need){ .text = c->ref.n > 0, .blocks = ref_blocks(r) }, out);
	return out->which_n > 0;
}

void
twin_settle(struct twin *t, enum command_kind kind, const struct settle_command *c, struct twin_result *out)
{
	uint32_t i = twin_reservation_find(t, c->id);
	if (c->lines_n && !c->ref.n) {
		twin_refuse(out, STATUS_BAD_REQUEST, NULL);
		return;
	}
	if (i == NONE) {
		twin_refuse(out, STATUS_NOT_FOUND, NULL);
		return;
	}
	if (settle_refused(t, kind, c, &t->reservations[i], out))
		return;
	twin_make_room(t, &(struct twin_need){ .text = c->ref.n > 0 });
	i = twin_reservation_find(t, c->id);
	struct twin_reservation *r = &t->reservations[i];
	int64_t *moved = calloc(r->lines_n, sizeof *moved);
	move_units(t, kind, r, c, moved);
	if (kind == COMMAND_FULFIL)
		goods_leave(t, r, moved);
	for (uint32_t l = 0; l < r->lines_n; l++)
		if (moved[l])
			twin_answer_line(t, r->lines[l].sku, r->lines[l].place, moved[l]);
	free(moved);
	if (c->ref.n)
		remember_ref(t, r, kind, c);
	twin_finish_if_done(t, i);
	t->note_reservation = i;
	out->r.state = twin_state(r);
	out->effect = TWIN_STEP;
}

/* ---- extend, pin ---- */

static bool
not_held(const struct twin_reservation *r, struct twin_result *out)
{
	enum reservation_state s = twin_state(r);
	if (s == RESERVATION_HELD)
		return false;
	twin_refuse(out, s == RESERVATION_EXPIRED ? STATUS_EXPIRED : STATUS_WRONG_STATE, NULL);
	out->r.state = s;
	return true;
}

static void
set_end(struct twin *t, uint32_t i, int64_t end, bool pin, struct twin_result *out)
{
	struct twin_reservation *r = &t->reservations[i];
	out->effect = pin || end > r->expires_at ? TWIN_STEP : TWIN_EITHER;
	if (end > r->expires_at)
		r->expires_at = end;
	r->pinned |= pin;
	t->note_reservation = i;
	out->r.state = twin_state(r);
	out->r.expires_at = r->expires_at;
}

void
twin_extend(struct twin *t, const struct extend_command *c, struct twin_result *out)
{
	uint32_t i = twin_reservation_find(t, c->id);
	if (i == NONE)
		twin_refuse(out, STATUS_NOT_FOUND, NULL);
	else if (c->ttl_ms > t->options.value[OPTION_TTL_MAX_MS])
		twin_refuse(out, STATUS_LIMIT, "ttl");
	else if (t->now + c->ttl_ms - t->reservations[i].created_at > t->options.value[OPTION_TTL_MAX_MS])
		twin_refuse(out, STATUS_LIMIT, "life");
	else if (!not_held(&t->reservations[i], out))
		set_end(t, i, t->now + c->ttl_ms, false, out);
}

void
twin_pin(struct twin *t, const struct extend_command *c, struct twin_result *out)
{
	uint32_t i = twin_reservation_find(t, c->id);
	if (i == NONE)
		twin_refuse(out, STATUS_NOT_FOUND, NULL);
	else if (c->ttl_ms > t->options.value[OPTION_PIN_MAX_MS])
		twin_refuse(out, STATUS_LIMIT, "pin_ttl");
	else if (t->reservations[i].pinned)
		twin_refuse(out, STATUS_LIMIT, "pin");
	else if (!not_held(&t->reservations[i], out))
		set_end(t, i, t->now + c->ttl_ms, true, out);
}

/* ---- move ---- */

static bool
move_refused(struct twin *t, const struct move_command *c, struct twin_reservation *r, uint32_t place, struct twin_result *out)
{
	if (c->line >= r->lines_n)
		return twin_refuse(out, STATUS_BAD_REQUEST, NULL), true;
	if (place == NONE)
		return twin_refuse(out, STATUS_UNKNOWN_LOCATION, NULL), true;
	struct twin_line *l = &r->lines[c->line];
	if (place == l->place) {
		twin_answer_line(t, l->sku, l->place, l->qty);
		out->r.state = twin_state(r);
		return true;
	}
	if (l->held + l->committed == 0) {
		if (l->moved_to != NONE && r->lines[l->moved_to].place == place) {
			twin_answer_line(t, l->sku, place, l->moved_qty);
			out->r.again = true;
			out->r.state = twin_state(r);
			return true;
		}
		twin_refuse(out, twin_state(r) == RESERVATION_EXPIRED ? STATUS_EXPIRED : STATUS_WRONG_STATE, NULL);
		out->r.state = twin_state(r);
		return true;
	}
	if (r->lines_n >= LINES_MAX)
		return twin_refuse(out, STATUS_LIMIT, "lines"), true;
	if (twin_cell_ats(t, l->sku, place) < l->held + l->committed)
		return twin_refuse(out, STATUS_INSUFFICIENT, NULL), true;
	twin_pools_full(t, &(struct twin_need){ .lines = 1 }, out);
	return out->which_n > 0;
}

void
twin_move(struct twin *t, const struct move_command *c, struct twin_result *out)
{
	uint32_t i = twin_reservation_find(t, c->id), place = twin_find(t->places, t->places_n, c->to_location);
	if (twin_group_find(t, c->to_location) != NONE) {
		twin_refuse(out, STATUS_BAD_REQUEST, NULL);
		return;
	}
	if (i == NONE) {
		twin_refuse(out, STATUS_NOT_FOUND, NULL);
		return;
	}
	if (move_refused(t, c, &t->reservations[i], place, out))
		return;
	twin_make_room(t, &(struct twin_need){ .lines = 1 });
	i = twin_reservation_find(t, c->id);
	struct twin_reservation *r = &t->reservations[i];
	struct twin_line *to = twin_add(r->lines, r->lines_n, r->lines_cap), *from = &r->lines[c->line];
	*to = (struct twin_line){ .sku = from->sku, .place = place, .held = from->held, .committed = from->committed, .moved_to = NONE };
	to->qty = from->held + from->committed;
	from->qty -= to->qty;
	from->held = from->committed = 0;
	from->moved_to = r->lines_n - 1;
	from->moved_qty = to->qty;
	twin_answer_line(t, to->sku, place, to->qty);
	t->note_reservation = i;
	out->r.state = twin_state(r);
	out->effect = TWIN_STEP;
}
