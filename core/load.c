/* load.c: recovery: image entries, then batches, through the same evolve functions; every byte is checked before it is believed */
#include "core/evolve.h"

#define MADE_WITH " differs from the one this folder was made with: start with "
#define TEXT_FULL "more text than the table takes: raise blobs_max"

/* ---- one entry: decode, check its numbers against the tables, evolve ---- */

static const char *
load_name(struct engine *e, uint64_t seq, const struct entry_bytes *raw)
{
	struct name_record r;
	if (!name_decode(raw, &r) || r.table >= NAME_TABLES || (r.table != NAMES_SKU && r.name.n > PLACE_BYTES_MAX))
		return "a name entry that cannot be read";
	if (r.id != names_count(&e->names[r.table]))
		return "a name entry out of order";
	if (r.id >= e->names[r.table].max)
		return "more names than the table takes: raise skus_max, locations_max, sources_max or channels_max";
	evolve_name(e, &r);
	return NULL;
}

/* "NAME differs ...: start with --OPTION VALUE", with nothing to print it with. */
static const char *
set_back(struct engine *e, const char *parts[3], uint64_t value)
{
	char *to = e->scratch->said, *end = to + sizeof e->scratch->said - 1, digits[20];
	size_t n = 0;
	for (int i = 0; i < 3; i++)
		for (const char *at = parts[i]; *at && to < end; at++)
			*to++ = *at;
	do
		digits[n++] = (char)('0' + value % 10);
	while ((value /= 10) > 0);
	while (n > 0 && to < end)
		*to++ = digits[--n];
	*to = '\0';
	return e->scratch->said;
}

static const char *
load_option(struct engine *e, uint64_t seq, const struct entry_bytes *raw)
{
	struct option_record r;
	if (!option_decode(raw, &r))
		return "an option entry that cannot be read";
	if (r.option == OPTION_HISTORY_MAX && r.value != e->limits.history_max)
		return set_back(e, (const char *[]){ "history_max", MADE_WITH, "--history-max " }, (uint64_t)r.value);
	if (r.option == OPTION_FREE_IDS_MAX && r.value != e->limits.free_ids_max)
		return set_back(e, (const char *[]){ "free_ids_max", MADE_WITH, "--free-ids-max " }, (uint64_t)r.value);
	evolve_option(e, &r);
	return NULL;
}

static bool
location_known(const struct engine *e, uint32_t id)
{
	return id < names_count(&e->names[NAMES_LOCATION]);
}

static const char *
load_group(struct engine *e, uint64_t seq, const struct entry_bytes *raw)
{
	struct group_record r;
	if (!group_decode(raw, &r, e->scratch->members) || !location_known(e, r.location))
		return "a group entry that cannot be read";
	/* A definition that lands takes the place it was built in, one that is built anew its own old one. */
	bool taken = groups_building(&e->groups, r.location) != NULL;
	for (uint32_t i = 0; i < r.members_n; i++)
		if (!location_known(e, r.members[i]) || (!taken && e->groups.of_location[r.members[i]].n == 2 * GROUPS_OF_LOCATION_MAX))
			return "a group entry with a member that cannot be";
	if (r.members_n && !taken && e->groups.live_n + e->groups.building_n >= 2 * e->groups.max)
		return "more groups than the table takes: raise groups_max";
	evolve_group(e, &r);
	return NULL;
}

/* Blocks that the id of a cell's last count takes: evolve gives them back first. */
static uint32_t
count_id_blocks(const struct engine *e, const struct cell *cell)
{
	uint8_t n = 0;
	if (!(cell->flags & CELL_COUNT_BY_ID))
		return 0;
	blobs_get(&e->blobs, (uint32_t)cell->count_key, &n, 1);
	return blobs_needed(1u + n);
}

static const char *
load_cell(struct engine *e, uint64_t seq, const struct entry_bytes *raw)
{
	struct cell_record r;
	if (!cell_decode(raw, &r) || r.now.sku >= names_count(&e->names[NAMES_SKU]) || !location_known(e, r.now.location))
		return "a cell entry that cannot be read";
	uint32_t count = cells_count(&e->cells);
	if (r.cell > count)
		return "a cell entry out of order";
	if (r.cell >= e->cells.max)
		return "more cells than the table takes: raise cells_max";
	if (r.cell < count && (e->cells.at[r.cell].sku != r.now.sku || e->cells.at[r.cell].location != r.now.location))
		return "a cell entry under another cell's number";
	uint32_t back = r.cell < count ? count_id_blocks(e, &e->cells.at[r.cell]) : 0;
	uint32_t wanted = r.now.flags & CELL_COUNT_BY_ID ? blobs_needed(1 + r.now.count_id.n) : 0;
	if (!blobs_room(&e->blobs, wanted > back ? wanted - back : 0))
		return TEXT_FULL;
	evolve_cell(e, seq, &r);
	return NULL;
}

static const char *
load_floor(struct engine *e, uint64_t seq, const struct entry_bytes *raw)
{
	struct floor_record r;
	if (!floor_decode(raw, &r) || r.cell >= cells_count(&e->cells))
		return "a floor entry that cannot be read";
	evolve_floor(e, &r);
	return NULL;
}

/* A record may only overwrite itself or a finished reservation, keep its lines' cells, and fit the tables. */
static const char *
reservation_misfit(struct engine *e, const struct reservation_record *r)
{
	struct reservations *v = &e->reservations;
	if (r->slot >= v->max)
		return "more reservations than the table takes: raise reservations_max";
	if (!reservations_extra_room(v, r->slot, r->terms.lines_n - 1))
		return "more lines than the table takes: raise extra_lines_max";
	if (r->slot > v->high && !e->history.loading)
		return "a reservation entry out of order";
	if (v->unindexed && v->at[r->slot].terms.id_n)
		return "a reservation entry that comes twice";
	const struct reservation_terms *old = &v->at[r->slot].terms;
	bool same = reservation_is_of(v, r);
	uint32_t back = blobs_needed(old->extra_n) + (same || old->id_n <= ID_INLINE ? 0 : blobs_needed(old->id_n));
	uint32_t wanted = blobs_needed(r->terms.extra_n) + (same || r->terms.id_n <= ID_INLINE ? 0 : blobs_needed(r->terms.id_n));
	if (!blobs_room(&e->blobs, wanted > back ? wanted - back : 0))
		return TEXT_FULL;
	if (old->id_n && !same && !(old->flags & RESERVATION_FINISHED))
		return "a reservation entry over an open one";
	uint32_t n = r->slot, open = 0;
	for (uint32_t i = 0; i < r->terms.lines_n; i++) {
		if (r->lines[i].cell >= cells_count(&e->cells))
			return "a reservation entry with an unknown cell";
		if (same && i < old->lines_n) {
			if (v->lines[n].is.cell != r->lines[i].cell)
				return "a reservation entry that changes a line's cell";
			n = v->lines[n].next - 1;
		}
		open += r->lines[i].held + r->lines[i].committed > 0;
	}
	if (reservation_is_blank(&r->terms) && (open || r->terms.lines_n > 1 || r->terms.extra_n))
		return "a blank reservation entry with something on it";
	if (same && (r->terms.lines_n < old->lines_n || (old->flags & RESERVATION_FINISHED && open)))
		return "a reservation entry that goes back";
	return NULL;
}

static const char *
load_reservation(struct engine *e, uint64_t seq, const struct entry_bytes *raw)
{
	struct reservation_record r;
	if (!reservation_decode(raw, &r, e->scratch->lines) || r.terms.extra_n > EXTRA_BYTES_MAX ||
	    r.terms.channel > names_count(&e->names[NAMES_CHANNEL]) || r.terms.created_at >= INSTANT_MAX || r.terms.life_ms >= TIMER_SPAN_MS ||
	    r.terms.flags > (RESERVATION_PARTIAL | RESERVATION_PINNED))
		return "a reservation entry that cannot be read";
	const char *misfit = reservation_misfit(e, &r);
	if (misfit)
		return misfit;
	evolve_reservation(e, seq, &r);
	return NULL;
}

static const char *
load_source(struct engine *e, uint64_t seq, const struct entry_bytes *raw)
{
	struct source_record r;
	if (!source_decode(raw, &r) || r.source >= names_count(&e->names[NAMES_SOURCE]) || r.highest < r.contiguous ||
	    r.highest - r.contiguous > SOURCE_WINDOW)
		return "a source entry that cannot be read";
	evolve_source(e, seq, &r);
	return NULL;
}

static const char *
load_mark(struct engine *e, uint64_t seq, const struct entry_bytes *raw)
{
	struct mark_record r;
	if (!mark_decode(raw, &r) || r.source >= names_count(&e->names[NAMES_SOURCE]) || r.highest - r.contiguous > SOURCE_WINDOW)
		return "a mark entry that cannot be read";
	evolve_mark(e, seq, &r);
	return NULL;
}

static const char *
load_free_id(struct engine *e, uint64_t seq, const struct entry_bytes *raw)
{
	struct free_id_record r;
	if (!free_id_decode(raw, &r) || r.slot != r.number % e->limits.free_ids_max)
		return "a free id entry that cannot be read";
	evolve_free_id(e, seq, &r);
	return NULL;
}

static const char *
load_delta(struct engine *e, uint64_t seq, const struct entry_bytes *raw)
{
	struct delta_record r;
	if (!delta_decode(raw, &r) || r.slot != r.number % e->limits.history_max || r.cell >= cells_count(&e->cells) || r.at < 0 || r.at >= INSTANT_MAX)
		return "a delta entry that cannot be read";
	evolve_delta(e, &r);
	return NULL;
}

static const char *
load_quarantine(struct engine *e, uint64_t seq, const struct entry_bytes *raw)
{
	struct quarantine_record r;
	if (!quarantine_decode(raw, &r))
		return "a quarantine entry that cannot be read";
	if (r.slot >= e->quarantine.max || r.number % e->quarantine.max != r.slot)
		return "quarantine_max differs from the one this folder was made with: start with that --quarantine-max (without one if none was given then)";
	evolve_quarantine(e, seq, &r);
	return NULL;
}

typedef const char *load_kind(struct engine *, uint64_t, const struct entry_bytes *);
static load_kind *const loads[ENTRY_KIND_END] = {
	[ENTRY_NAME] = load_name, [ENTRY_OPTION] = load_option, [ENTRY_GROUP] = load_group, [ENTRY_CELL] = load_cell,
	[ENTRY_FLOOR] = load_floor, [ENTRY_RESERVATION] = load_reservation, [ENTRY_SOURCE] = load_source, [ENTRY_MARK] = load_mark,
	[ENTRY_FREE_ID] = load_free_id, [ENTRY_DELTA] = load_delta, [ENTRY_QUARANTINE] = load_quarantine,
};

static const char *
load(struct engine *e, uint64_t seq, const struct entry_bytes *raw)
{
	if ((unsigned)raw->kind >= ENTRY_KIND_END || loads[raw->kind] == NULL)
		return "an entry of a kind that this version does not know: written by a newer one";
	return loads[raw->kind](e, seq, raw);
}

/* ---- the image ---- */

const char *
engine_load_entry(struct engine *e, uint64_t seq, const struct entry_bytes *raw)
{
	e->reservations.untimed = true;
	e->reservations.unindexed = true;
	e->cells.unindexed = true;
	e->history.loading = true;
	return load(e, seq, raw);
}

/* D6: what the cells say is held and committed is the sum over their open lines. */
static const char *
sums_check(struct engine *e)
{
	for (uint32_t n = 0; n < cells_count(&e->cells); n++) {
		uint64_t held = 0, committed = 0;
		const struct cell *c = &e->cells.at[n];
		for (uint32_t link = c->lines_head; link; link = e->reservations.lines[link - 1].cell_next) {
			held += e->reservations.lines[link - 1].is.held;
			committed += e->reservations.lines[link - 1].is.committed;
		}
		if ((uint64_t)atomic_load_explicit(&c->reserved, memory_order_relaxed) != held ||
		    (uint64_t)atomic_load_explicit(&c->committed, memory_order_relaxed) != committed)
			return "a cell's reserved or committed is not the sum of its open lines";
	}
	return NULL;
}

/* Slots below `high` are all used (V1). */
static const char *
slots_check(const struct engine *e)
{
	for (uint32_t slot = 0; slot < e->reservations.high; slot++)
		if (e->reservations.at[slot].terms.id_n == 0)
			return "a reservation slot is missing";
	return NULL;
}

const char *
engine_load_image_done(struct engine *e, uint64_t seq, int64_t stamp_ms)
{
	const char *wrong = slots_check(e);
	if (wrong == NULL)
		wrong = sums_check(e);
	if (wrong)
		return wrong;
	e->seq = seq;
	e->now = stamp_ms;
	e->summed = true;
	cells_index(&e->cells);
	reservations_image_done(&e->reservations);
	history_load_done(&e->history);
	sources_load_done(&e->sources, names_count(&e->names[NAMES_SOURCE]));
	return NULL;
}

/* ---- the journal ---- */

static const char *
replay_step(struct engine *e, uint64_t seq, const uint8_t *at, const uint8_t *end)
{
	struct entry_bytes raw;
	int more;
	while ((more = entry_next(&at, end, &raw)) == 1) {
		const char *wrong = load(e, seq, &raw);
		if (wrong)
			return wrong;
	}
	return more == 0 ? NULL : "a step that is cut short";
}

const char *
engine_replay(struct engine *e, uint64_t first_seq, uint32_t steps, int64_t stamp_ms, const uint8_t *payload, size_t n)
{
	const uint8_t *end = payload + n, *entries, *entries_end;
	struct cause cause;
	uint32_t seen = 0;
	if (first_seq != e->seq + 1)
		return "a batch out of order";
	e->reservations.untimed = true;
	e->summed = false;
	if (stamp_ms > e->now)
		e->now = stamp_ms;
	for (int more; (more = step_next(&payload, end, &cause, &entries, &entries_end)) != 0; seen++) {
		if (more < 0)
			return "a batch that cannot be read";
		const char *wrong = replay_step(e, first_seq + seen, entries, entries_end);
		if (wrong)
			return wrong;
		e->seq = first_seq + seen;
	}
	return seen == steps ? NULL : "a batch with another number of steps than it says";
}

const char *
engine_load_done(struct engine *e)
{
	const char *wrong = e->summed ? NULL : sums_check(e);
	if (wrong)
		return wrong;
	timers_set_now(&e->timers, e->now);
	reservations_load_done(&e->reservations);
	groups_load_done(&e->groups, &e->cells, names_count(&e->names[NAMES_SKU]), e->seq);
	atomic_store_explicit(&e->seq_view, e->seq, memory_order_release);
	atomic_store_explicit(&e->named_view, e->seq, memory_order_release);
	atomic_store_explicit(&e->deadline_view, timers_next(&e->timers), memory_order_release);
	return NULL;
}
