/* decide_settle.c: what becomes of a reservation's units: commit, release, fulfil (D15 to D17) */
#include "core/hand.h"

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
	refs_begin(record_extra(&h->r), &refs);
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
	size_t most = h->r.terms.extra_n + NAME_BYTES_MAX + 48 + (size_t)ref->moved_n * 10;
	if (most > EXTRA_BYTES_MAX)
		return false;
	if (h->r.terms.extra_n) {
		memcpy(at, h->r.extra, h->r.terms.extra_n);
		at += h->r.terms.extra_n;
	} else {
		at = refs_put_owner(at, (struct bytes){ NULL, 0 });
	}
	at = ref_put(at, ref);
	for (uint32_t i = 0; i < h->r.terms.lines_n; i++)
		if (s->moved[i])
			at = ref_put_moved(at, i, s->moved[i]);
	h->r.extra = s->extra;
	h->r.terms.extra_n = (uint16_t)(at - s->extra);
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
	for (uint32_t i = 0; i < h->r.terms.lines_n; i++)
		if (line_is_of(e, &h->r.lines[i], &c->lines[a]))
			*there += movable(rule, &h->r.lines[i]);
	return asked <= *there;
}

/* Spreads the asked lines over the resolved ones, in line order. false: more than is there. */
static bool
spread(struct engine *e, const struct hand *h, const struct settle_rule *rule, const struct settle_command *c, struct result *result)
{
	struct scratch *s = e->scratch;
	memset(s->moved, 0, h->r.terms.lines_n * sizeof s->moved[0]);
	for (uint32_t a = 0; a < c->lines_n; a++) {
		int64_t wanted = c->lines[a].qty, there;
		if (!enough(e, h, rule, c, a, &there)) {
			refuse(result, STATUS_BAD_REQUEST, "more than the reservation has left there");
			result->number = there;
			return false;
		}
		for (uint32_t i = 0; i < h->r.terms.lines_n && wanted > 0; i++) {
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

/* All moves of a call, in the hand: lines, cells, and for fulfil the deltas that history must keep. -1: out of bounds. */
static int
move_all(struct engine *e, const struct hand *h, enum reservation_state to)
{
	struct scratch *s = e->scratch;
	int deltas = 0;
	changes_begin(e);
	for (uint32_t i = 0; i < h->r.terms.lines_n; i++) {
		bool fits;
		if (s->moved[i] == 0)
			continue;
		hand_line_move(e, &s->lines[i], to, s->moved[i]);
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
	for (uint32_t i = 0; i < h->r.terms.lines_n; i++)
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
	hand_wrong_state(h, settle_rules[cause].none, result);
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
	if (cause == CAUSE_COMMIT && hand_is_dead(e, &h)) {
		refuse(result, STATUS_EXPIRED, "the hold has expired");
		return;
	}
	uint64_t there = (rule->takes_held ? h.held : 0) + (rule->takes_committed ? h.committed : 0);
	if (there == 0) {
		nothing_to_move(&h, cause, c->lines_n > 0, result);
		return;
	}
	if (c->lines_n == 0)
		for (uint32_t i = 0; i < h.r.terms.lines_n; i++)
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
	uint32_t back = blobs_needed(e->reservations.at[h.slot].terms.extra_n), blocks = blobs_needed(h.r.terms.extra_n);
	const char *full = room_find(e, &(struct room_need){ .blocks = blocks > back ? blocks - back : 0 });
	if (full) {
		refuse_which(result, STATUS_CAPACITY, full, "a table of the server is full");
		return;
	}
	step_begin(e, cause, c->ref, (struct bytes){ NULL, 0 });
	room_emit(e);
	changes_emit(e);
	for (int i = 0; i < deltas; i++)
		emit_delta(e, &s->deltas[i]);
	emit_reservation(e, &h.r);
	step_end(e);
	result->seq = e->seq;
}
