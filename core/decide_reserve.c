/* decide_reserve.c: may I have these? (D2, D10, D12, D13, D18, D20, D23, D26) */
#include "core/state.h"

#include "core/hash.h"

/* What the command comes to, beside what of it stands in the scratch for each line. */
struct asked {
	uint64_t digest, id_hash;
	int64_t ttl;
	struct bytes extra;
	bool unknown_sku, unknown_location, group; /* of any line */
};

/*
 * D13: lines in order, channel, owner, mode, replaces; not ttl, not ref. By ids, not by bytes: a name that has none was in no command
 * that was granted.
 */
static inline uint64_t
digest_line(uint64_t digest, const struct name *sku, const struct name *location, int64_t qty)
{
	uint64_t pair = (uint64_t)(sku ? sku->id : NAME_NONE) << 32 | (location ? location->id : NAME_NONE);
	return hash_numbers(digest, pair, (uint64_t)qty);
}

static uint64_t
digest_end(uint64_t digest, const struct reserve_command *c)
{
	if (c->channel.n | c->owner.n | c->replaces.n) {
		digest = hash_bytes_from(~digest, c->channel);
		digest = hash_bytes_from(digest, c->owner);
		digest = hash_bytes_from(digest, c->replaces);
	}
	return digest;
}

/* The first reply again, whatever happened since. */
static void
first_reply(struct engine *e, uint32_t slot, struct result *result)
{
	struct scratch *s = e->scratch;
	struct reservation_record r;
	reservation_load(&e->reservations, slot, &r, s->lines, s->id);
	result->seq = r.terms.first_seq;
	result->state = RESERVATION_HELD;
	result->expires_at = r.terms.created_at + r.terms.ttl_ms;
	result->lines = s->result_lines;
	result->lines_n = 0;
	for (uint32_t i = 0; i < r.terms.lines_n && r.lines[i].origin == 0; i++)
		s->result_lines[result->lines_n++] = line_of(e, r.lines[i].cell, r.lines[i].granted);
}

bool
engine_first_reply(struct engine *e, struct bytes id, struct result *result)
{
	*result = (struct result){ 0 };
	uint32_t slot = reservations_find(&e->reservations, id);
	if (slot == SLOT_NONE)
		return false;
	first_reply(e, slot, result);
	return true;
}

#define RELEASE_FEW 64 /* so few open lines are looked at each time */

void
next_release(struct engine *e, uint32_t n, struct short_line *s)
{
	s->next_release_at = -1;
	s->next_release_qty = 0;
	if (n == CELL_NONE)
		return;
	struct release_cached *cached = &e->scratch->release[n % RELEASE_CACHE];
	if (cached->cell != n + 1 || cached->looked_at < e->now - 1000 || (cached->at >= 0 && cached->at <= e->now)) {
		uint32_t link = e->cells.at[n].lines_head;
		*cached = (struct release_cached){ n + 1, e->now, -1, 0 };
		uint32_t seen = 0;
		for (; link && seen < LINES_MAX; seen++) {
			const struct line *line = &e->reservations.lines[link - 1];
			int64_t ends = e->reservations.at[line->slot].expires_at;
			if (line->is.held && (cached->at < 0 || ends < cached->at))
				cached->at = ends, cached->qty = 0;
			if (line->is.held && ends == cached->at)
				cached->qty += line->is.held;
			link = line->cell_next;
		}
		if (seen < RELEASE_FEW)
			cached->looked_at = INT64_MIN;
	}
	s->next_release_at = cached->at;
	s->next_release_qty = cached->qty;
}

/* The walks of some lines of a cart, side by side: alone, each would wait for memory five times. One line's was made by the host. */
static void
lines_ahead(struct engine *e, const struct reserve_command *c, uint32_t first)
{
	struct ahead *walks = e->scratch->walks;
	uint32_t n = c->lines_n - first < AHEAD_BLOCK ? c->lines_n - first : AHEAD_BLOCK;
	for (uint32_t i = 0; i < n; i++)
		ahead_begin(e, &walks[i], (struct bytes){ NULL, 0 }, c->lines[first + i].sku, c->lines[first + i].location);
	ahead_walk(e, walks, n);
}

/* Every line's names: their ids, NAME_NONE where there is none, what the answer says, and the content's digest. */
static void
lines_look(struct engine *e, const struct reserve_command *c, struct asked *asked)
{
	struct scratch *s = e->scratch;
	uint64_t digest = c->partial;
	for (uint32_t i = 0; i < c->lines_n; i++) {
		const struct asked_line *line = &c->lines[i];
		if (c->lines_n > 1) {
			if (i % AHEAD_BLOCK == 0)
				lines_ahead(e, c, i);
			hint_names(e, &s->walks[i % AHEAD_BLOCK]);
		}
		const struct name *sku = hint_sku(e, line->sku), *location = hint_location(e, line->location);
		uint64_t place = location ? group_place(&e->groups, location->id) : PLACE_GROUP_HIDDEN;
		s->cell[i] = hint_first(e->hint.cell, sku, location);
		asked->group |= place > PLACE_GROUP_HIDDEN;
		asked->unknown_sku |= sku == NULL;
		asked->unknown_location |= place != PLACE_LOCATION;
		s->sku[i] = sku ? sku->id : NAME_NONE;
		s->location[i] = place == PLACE_LOCATION ? location->id : NAME_NONE;
		s->result_lines[i].sku = sku ? name_bytes(sku) : line->sku;
		s->result_lines[i].location = location ? name_bytes(location) : line->location;
		digest = digest_line(digest, sku, location, line->qty);
	}
	asked->digest = digest_end(digest, c);
}

/* The earliest class of refusal decides (D26). */
static bool
names_known(const struct asked *asked, struct result *result)
{
	if (asked->unknown_sku)
		refuse(result, STATUS_UNKNOWN_SKU, "a line names a SKU that no event or policy ever named");
	else if (asked->unknown_location)
		refuse(result, STATUS_UNKNOWN_LOCATION, "a line names a location that no event ever named");
	return result->status == STATUS_OK;
}

static bool
shape_ok(const struct reserve_command *c, const struct asked *asked, struct result *result)
{
	if (c->replaces.n && c->owner.n == 0)
		refuse(result, STATUS_BAD_REQUEST, "replaces needs an owner: only the owner's own hold can be replaced");
	else if (c->replaces.n && bytes_equal(c->replaces, c->id))
		refuse(result, STATUS_BAD_REQUEST, "a reservation cannot replace itself");
	else if (asked->group)
		refuse(result, STATUS_BAD_REQUEST, "sourcing from a group is not supported yet: name locations");
	return result->status == STATUS_OK;
}

/* The old reservation that `replaces` names, loaded with its lines; SLOT_NONE: gone. false: refused. */
static uint32_t
replaced_find(struct engine *e, const struct reserve_command *c, struct reservation_record *old, struct result *result)
{
	struct scratch *s = e->scratch;
	struct refs refs;
	if (c->replaces.n == 0)
		return SLOT_NONE;
	uint32_t slot = reservations_find(&e->reservations, c->replaces);
	if (slot == SLOT_NONE || e->reservations.at[slot].terms.flags & RESERVATION_FINISHED)
		return SLOT_NONE;
	reservation_load(&e->reservations, slot, old, s->old_lines, s->old_id);
	old->extra = reservation_extra(&e->reservations, slot, s->old_extra);
	struct bytes owner = refs_begin(record_extra(old), &refs);
	enum reservation_state state = reservation_state(old);
	uint64_t committed = 0;
	for (uint32_t i = 0; i < old->terms.lines_n; i++)
		committed += old->lines[i].committed;
	if (state == RESERVATION_HELD && committed == 0 && e->now >= terms_expire_at(&old->terms))
		return SLOT_NONE;
	if (!bytes_equal(owner, c->owner))
		refuse(result, STATUS_FORBIDDEN, "the reservation to replace has another owner");
	else if (committed)
		result->state = RESERVATION_COMMITTED; /* wrong_state, but only after names and limits (D26) */
	return slot;
}

/* Gives the old hold's units back, in the hand. */
static void
replaced_release(struct engine *e, const struct reservation_record *old)
{
	for (uint32_t i = 0; i < old->terms.lines_n; i++) {
		struct line_record *l = &e->scratch->old_lines[i];
		if (l->held == 0)
			continue;
		struct cell_change *change = change_of(e, l->cell);
		change->r.now.reserved -= l->held;
		change->changed = true;
		l->released += l->held;
		l->held = 0;
	}
}

/* Judges the lines in order against what each cell has left (D2, D12); fills s->lines and, when refused, s->shorts. */
static bool
lines_grant(struct engine *e, const struct reserve_command *c, struct result *result)
{
	struct scratch *s = e->scratch;
	uint64_t granted_all = 0;
	uint32_t shorts_n = 0;
	for (uint32_t i = 0; i < c->lines_n; i++) {
		e->hint.cell = s->cell[i];
		struct cell_change *change = change_of_pair(e, s->sku[i], s->location[i]);
		int64_t left = cell_ats(&change->r.now), qty = c->lines[i].qty;
		int64_t granted = qty <= left ? qty : c->partial ? qty_floor(left) : 0;
		s->lines[i] = (struct line_record){ .cell = change->r.cell, .granted = (uint32_t)granted, .held = (uint32_t)granted };
		s->result_lines[i].qty = granted;
		if (granted < qty) {
			struct short_line *sl = &s->shorts[shorts_n++];
			*sl = (struct short_line){ .line = i, .sku = c->lines[i].sku, .location = c->lines[i].location, .asked = qty,
				.available = qty_floor(left) };
			s->change[shorts_n - 1] = change->fresh ? CELL_NONE : change->r.cell;
		}
		/* A line that fails still counts against the later lines of its cell (R1). */
		change->r.now.reserved += c->partial ? granted : qty;
		change->changed |= granted > 0;
		granted_all += (uint64_t)granted;
	}
	if (shorts_n == 0 || (c->partial && granted_all > 0))
		return true;
	for (uint32_t i = 0; i < shorts_n; i++)
		next_release(e, s->change[i], &s->shorts[i]);
	refuse(result, STATUS_INSUFFICIENT, "not enough available to sell");
	result->shorts = s->shorts;
	result->shorts_n = shorts_n;
	return false;
}

/* Every table that the grant needs a place in. */
static bool
room(struct engine *e, const struct reserve_command *c, size_t extra_n, struct result *result)
{
	const struct names *channels = &e->names[NAMES_CHANNEL];
	const char *full = NULL;
	if (!changes_room(e))
		full = "cells";
	else if (c->channel.n && names_find(channels, c->channel) == NAME_NONE && names_count(channels) == channels->max)
		full = "channels";
	else
		full = room_find(e, &(struct room_need){ .newcomer = true, .lines = c->lines_n - 1,
			.blocks = blobs_needed(extra_n) + (c->id.n > ID_INLINE ? blobs_needed(c->id.n) : 0) });
	if (full)
		refuse_which(result, STATUS_CAPACITY, full, "a table of the server is full");
	return full == NULL;
}

static uint16_t
channel_id(struct engine *e, struct bytes channel)
{
	if (channel.n == 0)
		return 0;
	uint32_t id = names_find(&e->names[NAMES_CHANNEL], channel);
	return (uint16_t)(1 + (id == NAME_NONE ? emit_name(e, NAMES_CHANNEL, channel) : id));
}

static void
grant(struct engine *e, const struct reserve_command *c, const struct asked *asked, uint32_t old_slot, struct reservation_record *old,
    struct result *result)
{
	struct scratch *s = e->scratch;
	step_begin(e, CAUSE_RESERVE, c->ref, (struct bytes){ NULL, 0 });
	room_emit(e);
	uint16_t channel = channel_id(e, c->channel);
	changes_emit(e);
	if (old_slot != SLOT_NONE)
		emit_reservation(e, old);
	struct reservation_record r = {
		.slot = s->room.slot, .id = c->id.at, .lines = s->lines, .extra = asked->extra.at, .id_hash = asked->id_hash,
		.terms = {
			.created_at = e->now, .first_seq = e->seq, .digest = asked->digest, .ttl_ms = (uint32_t)asked->ttl, .life_ms = (uint32_t)asked->ttl,
			.lines_n = (uint16_t)c->lines_n, .extra_n = (uint16_t)asked->extra.n, .channel = channel,
			.flags = c->partial ? RESERVATION_PARTIAL : 0, .id_n = (uint8_t)c->id.n,
		},
	};
	emit_reservation(e, &r);
	step_end(e);
	result->state = RESERVATION_HELD;
	result->expires_at = terms_expire_at(&r.terms);
	result->lines = s->result_lines;
	result->lines_n = c->lines_n;
	result->seq = e->seq;
}

void
decide_reserve(struct engine *e, const struct reserve_command *c, struct result *result)
{
	struct scratch *s = e->scratch;
	struct reservation_record old;
	struct asked asked = { .id_hash = hint_id_hash(e, c->id) };
	lines_look(e, c, &asked);
	if (!shape_ok(c, &asked, result))
		return;
	uint32_t slot = reservations_look(&e->reservations, asked.id_hash, c->id);
	if (slot != SLOT_NONE && e->reservations.at[slot].terms.digest != asked.digest) {
		refuse(result, STATUS_CONFLICT, "this id was used for another reservation");
		return;
	}
	if (slot != SLOT_NONE) {
		first_reply(e, slot, result);
		result->again = true;
		return;
	}
	uint32_t old_slot = replaced_find(e, c, &old, result);
	if (result->status != STATUS_OK || !names_known(&asked, result))
		return;
	asked.ttl = c->ttl_ms == -1 ? e->options.value[OPTION_TTL_DEFAULT_MS] : c->ttl_ms;
	if (asked.ttl < 1 || asked.ttl > e->options.value[OPTION_TTL_MAX_MS]) {
		refuse_which(result, STATUS_LIMIT, "ttl", "ttl_ms is out of its bounds");
		return;
	}
	if (old_slot != SLOT_NONE && result->state == RESERVATION_COMMITTED) {
		refuse(result, STATUS_WRONG_STATE, "the reservation to replace is committed");
		return;
	}
	changes_begin(e);
	if (old_slot != SLOT_NONE)
		replaced_release(e, &old);
	if (c->owner.n)
		asked.extra = (struct bytes){ s->extra, (uint32_t)(refs_put_owner(s->extra, c->owner) - s->extra) };
	if (lines_grant(e, c, result) && room(e, c, asked.extra.n, result))
		grant(e, c, &asked, old_slot, &old, result);
}
