#include "core/digest.h"

#include "core/hash.h"
#include "core/state.h"

/* Canonical bytes of one thing, hashed; things are summed, so that their order does not matter. */
struct ink {
	uint8_t bytes[1024];
	size_t n;
};

static void
ink_number(struct ink *ink, int64_t v)
{
	ensure(ink->n + sizeof v <= sizeof ink->bytes);
	memcpy(ink->bytes + ink->n, &v, sizeof v);
	ink->n += sizeof v;
}

static void
ink_bytes(struct ink *ink, struct bytes b)
{
	ink_number(ink, b.n);
	ensure(ink->n + b.n <= sizeof ink->bytes);
	if (b.n)
		memcpy(ink->bytes + ink->n, b.at, b.n);
	ink->n += b.n;
}

static unsigned __int128
ink_hash(const struct ink *ink)
{
	XXH128_hash_t h = XXH3_128bits(ink->bytes, ink->n);
	return (unsigned __int128)h.high64 << 64 | h.low64;
}

static struct bytes
sku_of(const struct engine *e, uint32_t cell)
{
	return names_get(&e->names[NAMES_SKU], e->cells.at[cell].sku);
}

static struct bytes
location_of(const struct engine *e, uint32_t cell)
{
	return names_get(&e->names[NAMES_LOCATION], e->cells.at[cell].location);
}

static bool
in_scope(const struct engine *e, uint32_t cell)
{
	const struct digest_walk *w = &e->digest;
	if (w->location.n && !bytes_equal(location_of(e, cell), w->location))
		return false;
	if (w->sku_from.n && bytes_compare(sku_of(e, cell), w->sku_from) < 0)
		return false;
	return w->sku_to.n == 0 || bytes_compare(sku_of(e, cell), w->sku_to) < 0;
}

/* ---- stock (R33) ---- */

static void
add_cell(struct engine *e, uint32_t n)
{
	struct cell_image c;
	struct ink ink = { .n = 0 };
	cell_load(&e->cells.at[n], &c);
	bool zero = !(c.on_hand | c.unsellable | c.reserved | c.committed | c.promised | c.safety_stock | c.oversell_limit);
	if (zero || !in_scope(e, n))
		return;
	ink_number(&ink, 1);
	ink_bytes(&ink, sku_of(e, n));
	ink_bytes(&ink, location_of(e, n));
	const int64_t numbers[] = { c.on_hand, c.unsellable, c.reserved, c.committed, c.promised, c.safety_stock, c.oversell_limit };
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		ink_number(&ink, numbers[i]);
	e->digest.sum += ink_hash(&ink);
	e->digest.cells++;
}

static void
add_lines(struct engine *e, uint32_t slot)
{
	uint8_t scratch[NAME_BYTES_MAX];
	const struct reservation *r = &e->reservations.at[slot];
	if (r->terms.id_n == 0 || r->terms.flags & RESERVATION_FINISHED)
		return;
	struct bytes id = reservation_id(&e->reservations, slot, scratch);
	for (uint32_t i = 0, n = slot; i < r->terms.lines_n; i++, n = e->reservations.lines[n].next - 1) {
		const struct line_record *l = &e->reservations.lines[n].is;
		struct ink ink = { .n = 0 };
		if (l->held + l->committed == 0 || !in_scope(e, l->cell))
			continue;
		ink_number(&ink, 2);
		ink_bytes(&ink, id);
		ink_bytes(&ink, sku_of(e, l->cell));
		ink_bytes(&ink, location_of(e, l->cell));
		ink_number(&ink, l->held);
		ink_number(&ink, l->committed);
		e->digest.sum += ink_hash(&ink);
	}
}

static void
add_source(struct engine *e, uint32_t id)
{
	const struct source *s = &e->sources.at[id];
	struct ink ink = { .n = 0 };
	if (!s->known)
		return;
	ink_number(&ink, 3);
	ink_bytes(&ink, names_get(&e->names[NAMES_SOURCE], id));
	ink_number(&ink, (int64_t)s->contiguous);
	size_t head = ink.n;
	e->digest.sum += ink_hash(&ink);
	for (uint64_t n = s->contiguous + 1; n <= s->highest; n++) {
		if (!sources_has(&e->sources, id, n))
			continue;
		ink.n = head;
		ink_number(&ink, (int64_t)n);
		e->digest.sum += ink_hash(&ink);
	}
}

static void
add_groups(struct engine *e)
{
	for (uint32_t i = 0; i < 2 * e->groups.max; i++) {
		const struct group *g = &e->groups.at[i];
		if (!g->used || !g->live)
			continue;
		for (uint32_t k = 0; k < g->members_n; k++) {
			struct ink ink = { .n = 0 };
			ink_number(&ink, 4);
			ink_bytes(&ink, names_get(&e->names[NAMES_LOCATION], g->location));
			ink_bytes(&ink, names_get(&e->names[NAMES_LOCATION], g->members[k]));
			ink_number(&ink, k);
			e->digest.sum += ink_hash(&ink);
		}
	}
}

static uint64_t
cell_seq(const struct engine *e, uint32_t n)
{
	return atomic_load_explicit(&e->cells.at[n].seq, memory_order_relaxed) / 2;
}

static uint64_t
ring_used(uint64_t next, uint32_t ring)
{
	return next < ring ? next : ring;
}

/* What engine_digest_state() will walk over. */
static uint64_t
state_slots(const struct engine *e)
{
	uint64_t slots = cells_count(&e->cells) + (uint64_t)e->reservations.high + ring_used(e->history.next, e->history.ring) +
	    ring_used(e->free_ids.next, e->free_ids.ring) + e->quarantine.kept;
	for (int t = 0; t < NAME_TABLES; t++)
		slots += names_count(&e->names[t]);
	for (uint32_t id = 0; id < names_count(&e->names[NAMES_SOURCE]); id++)
		slots += sources_marks(&e->sources, id);
	return slots;
}

void
digest_begin(struct engine *e, const struct digest_command *c)
{
	struct digest_walk *w = &e->digest;
	const struct bytes *from[] = { &c->location, &c->sku_from, &c->sku_to };
	struct bytes *to[] = { &w->location, &w->sku_from, &w->sku_to };
	*w = (struct digest_walk){ .active = true, .start = e->seq, .source = UINT32_MAX };
	bool whole = true;
	for (int i = 0; i < 3; i++) {
		if (from[i]->n)
			memcpy(w->text[i], from[i]->at, from[i]->n);
		*to[i] = (struct bytes){ w->text[i], from[i]->n };
		whole &= from[i]->n == 0;
	}
	if (!whole)
		return;
	w->source = 0;
	add_groups(e);
	w->has_state = state_slots(e) <= DIGEST_STATE_MAX;
	if (w->has_state) {
		uint64_t state[2];
		engine_digest_state(e, state);
		w->state = (unsigned __int128)state[0] << 64 | state[1];
	}
}

bool
digest_slice(struct engine *e)
{
	struct digest_walk *w = &e->digest;
	int64_t budget = DIGEST_SLICE;
	for (; w->source < names_count(&e->names[NAMES_SOURCE]); w->source++) {
		const struct source *s = &e->sources.at[w->source];
		if (budget <= 0)
			return false;
		budget -= 1 + (int64_t)(s->highest - s->contiguous);
		if (s->seq <= w->start)
			add_source(e, w->source);
	}
	for (; w->cell < cells_count(&e->cells); w->cell++) {
		if (budget-- <= 0)
			return false;
		if (cell_seq(e, w->cell) <= w->start)
			add_cell(e, w->cell);
	}
	for (; w->slot < e->reservations.high; w->slot++) {
		if (budget-- <= 0)
			return false;
		if (e->reservations.at[w->slot].seq <= w->start)
			add_lines(e, w->slot);
	}
	w->active = false;
	return true;
}

void
digest_source_changes(struct engine *e, uint32_t source)
{
	if (source >= e->digest.source && e->sources.at[source].seq <= e->digest.start)
		add_source(e, source);
}

void
digest_cell_changes(struct engine *e, uint32_t n)
{
	if (n >= e->digest.cell && cell_seq(e, n) <= e->digest.start)
		add_cell(e, n);
}

void
digest_reservation_changes(struct engine *e, uint32_t slot)
{
	if (slot >= e->digest.slot && e->reservations.at[slot].seq <= e->digest.start)
		add_lines(e, slot);
}

/* ---- state: everything evolve keeps ---- */

struct sum {
	unsigned __int128 all;
	struct ink ink;
};

static void
sum_begin(struct sum *s, int kind, uint64_t key)
{
	s->ink.n = 0;
	ink_number(&s->ink, kind);
	ink_number(&s->ink, (int64_t)key);
}

static void
sum_end(struct sum *s)
{
	s->all += ink_hash(&s->ink);
}

static void
state_names(const struct engine *e, struct sum *s)
{
	for (int t = 0; t < NAME_TABLES; t++)
		for (uint32_t id = 0; id < names_count(&e->names[t]); id++) {
			sum_begin(s, ENTRY_NAME, (uint64_t)t << 32 | id);
			ink_bytes(&s->ink, names_get(&e->names[t], id));
			sum_end(s);
		}
	for (uint32_t o = 0; o < OPTION_COUNT; o++) {
		sum_begin(s, ENTRY_OPTION, o);
		ink_number(&s->ink, e->options.value[o]);
		sum_end(s);
	}
}

static void
state_groups(const struct engine *e, struct sum *s)
{
	for (uint32_t i = 0; i < 2 * e->groups.max; i++) {
		const struct group *g = &e->groups.at[i];
		for (uint32_t k = 0; g->used && k < g->members_n; k++) {
			sum_begin(s, ENTRY_GROUP, (uint64_t)g->location * 2 + !g->live);
			ink_number(&s->ink, k);
			ink_number(&s->ink, g->members[k]);
			sum_end(s);
		}
	}
}

static void
state_cells(const struct engine *e, struct sum *s)
{
	for (uint32_t n = 0; n < cells_count(&e->cells); n++) {
		const struct cell *cell = &e->cells.at[n];
		struct cell_image c;
		uint8_t id[1 + NAME_BYTES_MAX] = { 0 };
		cell_load(cell, &c);
		sum_begin(s, ENTRY_CELL, n);
		const int64_t numbers[] = { c.on_hand, c.unsellable, c.reserved, c.committed, c.promised, c.inbound, c.safety_stock,
			c.oversell_limit, c.last_event_at, c.count_at, (int64_t)c.count_n, c.count_source, c.sku, c.location, c.flags,
			(int64_t)cell_seq(e, n), history_floor_of(&e->history, n) };
		for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
			ink_number(&s->ink, numbers[i]);
		if (c.flags & CELL_COUNT_BY_ID) {
			blobs_get(&e->blobs, (uint32_t)cell->count_key, id, 1);
			blobs_get(&e->blobs, (uint32_t)cell->count_key, id, 1u + id[0]);
			ink_bytes(&s->ink, (struct bytes){ id + 1, id[0] });
		}
		sum_end(s);
	}
}

static void
state_reservation(const struct engine *e, uint32_t slot, struct sum *s)
{
	uint8_t id[NAME_BYTES_MAX];
	struct reservation_record r;
	reservation_load(&e->reservations, slot, &r, e->scratch->lines, id);
	r.extra = reservation_extra(&e->reservations, slot, e->scratch->old_extra);
	sum_begin(s, ENTRY_RESERVATION, slot);
	ink_bytes(&s->ink, record_id(&r));
	const struct reservation_terms *t = &r.terms;
	const int64_t numbers[] = { t->flags, t->channel, t->created_at, t->life_ms, t->ttl_ms, (int64_t)t->first_seq, (int64_t)t->digest,
		t->lines_n, (int64_t)e->reservations.at[slot].seq, (int64_t)hash_bytes(record_extra(&r)) };
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		ink_number(&s->ink, numbers[i]);
	sum_end(s);
	for (uint32_t i = 0; i < r.terms.lines_n; i++) {
		sum_begin(s, ENTRY_RESERVATION, (uint64_t)slot << 16 | i);
		const struct line_record *l = &r.lines[i];
		const uint32_t units[] = { l->cell, l->granted, l->held, l->committed, l->fulfilled, l->released, l->expired, l->handed_over,
			l->origin };
		for (size_t k = 0; k < sizeof units / sizeof units[0]; k++)
			ink_number(&s->ink, units[k]);
		sum_end(s);
	}
}

static void
state_sources(const struct engine *e, struct sum *s)
{
	for (uint32_t id = 0; id < names_count(&e->names[NAMES_SOURCE]); id++) {
		const struct source *source = &e->sources.at[id];
		if (!source->known)
			continue;
		sum_begin(s, ENTRY_SOURCE, id);
		ink_number(&s->ink, (int64_t)source->contiguous);
		ink_number(&s->ink, (int64_t)source->highest);
		ink_number(&s->ink, source->last_at);
		sum_end(s);
		for (uint32_t k = 0, marks = sources_marks(&e->sources, id); k < marks; k++) {
			const struct mark *m = &e->sources.ring[(uint64_t)id * SOURCE_WINDOW + k];
			if (m->n == 0)
				continue;
			sum_begin(s, ENTRY_MARK, (uint64_t)id << 12 | k);
			ink_number(&s->ink, (int64_t)m->n);
			ink_number(&s->ink, (int64_t)m->digest);
			ink_number(&s->ink, (int64_t)m->seq_outcome);
			sum_end(s);
		}
	}
}

static void
state_rings(const struct engine *e, struct sum *s)
{
	for (uint64_t i = 0; i < e->free_ids.ring && i < e->free_ids.next; i++) {
		const struct free_id *f = &e->free_ids.at[i];
		sum_begin(s, ENTRY_FREE_ID, i);
		const uint64_t numbers[] = { f->id[0], f->id[1], f->digest, f->seq_outcome, (uint64_t)f->arrival, f->source };
		for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++)
			ink_number(&s->ink, (int64_t)numbers[k]);
		sum_end(s);
	}
	for (uint64_t i = 0; i < e->history.ring && i < e->history.next; i++) {
		struct delta_record d;
		if (!history_slot(&e->history, (uint32_t)i, &d))
			continue;
		sum_begin(s, ENTRY_DELTA, i);
		const int64_t numbers[] = { d.cell, d.at, d.arrival, d.qty, d.source, (int64_t)d.n };
		for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++)
			ink_number(&s->ink, numbers[k]);
		sum_end(s);
	}
	for (uint32_t i = 0; i < e->quarantine.max && e->quarantine.last > 0; i++) {
		const struct kept_event *k = &e->quarantine.at[i];
		if (e->quarantine.number[i] == 0)
			continue;
		sum_begin(s, ENTRY_QUARANTINE, e->quarantine.number[i]);
		ink_number(&s->ink, k->at);
		ink_number(&s->ink, k->reason);
		ink_number(&s->ink, (int64_t)hash_bytes((struct bytes){ k->raw, k->raw_n }));
		sum_end(s);
	}
	sum_begin(s, ENTRY_KIND_END, 0); /* not the position: a restore moves it and nothing else */
	ink_number(&s->ink, (int64_t)e->history.next);
	ink_number(&s->ink, (int64_t)e->free_ids.next);
	ink_number(&s->ink, (int64_t)e->quarantine.last);
	sum_end(s);
}

void
engine_digest_state(struct engine *e, uint64_t digest[2])
{
	struct sum s = { .all = 0 };
	state_names(e, &s);
	state_groups(e, &s);
	state_cells(e, &s);
	for (uint32_t slot = 0; slot < e->reservations.high; slot++)
		state_reservation(e, slot, &s);
	state_sources(e, &s);
	state_rings(e, &s);
	digest[0] = (uint64_t)(s.all >> 64);
	digest[1] = (uint64_t)s.all;
}
