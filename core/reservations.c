#include "core/reservations.h"

void
reservations_init(struct reservations *v, struct carve *c, uint32_t max, uint32_t extra_max)
{
	v->max = max;
	v->extra_max = extra_max;
	v->forgotten_created_at = -1;
	v->at = carve(c, max, sizeof *v->at);
	v->lines = carve(c, (uint64_t)max + extra_max, sizeof *v->lines);
	v->index.slots_n = index_slots(max);
	v->index.slots = carve(c, v->index.slots_n, sizeof *v->index.slots);
}

struct bytes
reservation_id(const struct reservations *v, uint32_t slot, uint8_t scratch[NAME_BYTES_MAX])
{
	const struct reservation *r = &v->at[slot];
	if (r->terms.id_n <= ID_INLINE)
		return (struct bytes){ r->id, r->terms.id_n };
	blobs_get(v->blobs, r->id_blob, scratch, r->terms.id_n);
	return (struct bytes){ scratch, r->terms.id_n };
}

uint32_t
reservations_find(const struct reservations *v, struct bytes id)
{
	return reservations_look(v, index_hash(&v->index, id), id);
}

/* ---- the finished lists, in the links of the timers ---- */

static struct finished *
finished_list(struct reservations *v, uint32_t slot)
{
	return &v->finished[reservation_gives(&v->at[slot].terms)];
}

static void
finished_append(struct reservations *v, uint32_t slot)
{
	struct timer *links = &v->at[slot].timer;
	struct finished *list = finished_list(v, slot);
	links->next = 0;
	links->prev = list->tail;
	if (list->tail)
		v->at[list->tail - 1].timer.next = slot + 1;
	else
		list->head = slot + 1;
	list->tail = slot + 1;
	list->n++;
}

static void
finished_remove(struct reservations *v, uint32_t slot)
{
	struct timer *links = &v->at[slot].timer;
	struct finished *list = finished_list(v, slot);
	if (links->prev)
		v->at[links->prev - 1].timer.next = links->next;
	else
		list->head = links->next;
	if (links->next)
		v->at[links->next - 1].timer.prev = links->prev;
	else
		list->tail = links->prev;
	links->next = links->prev = 0;
	list->n--;
}

/* ---- open lines of a cell ---- */

static void
open_append(struct reservations *v, uint32_t n)
{
	struct line *line = &v->lines[n];
	struct cell *cell = &v->cells->at[line->is.cell];
	line->cell_next = 0;
	line->cell_prev = cell->lines_tail;
	if (cell->lines_tail)
		v->lines[cell->lines_tail - 1].cell_next = n + 1;
	else
		cell->lines_head = n + 1;
	cell->lines_tail = n + 1;
}

static void
open_remove(struct reservations *v, uint32_t n)
{
	struct line *line = &v->lines[n];
	struct cell *cell = &v->cells->at[line->is.cell];
	if (line->cell_prev)
		v->lines[line->cell_prev - 1].cell_next = line->cell_next;
	else
		cell->lines_head = line->cell_next;
	if (line->cell_next)
		v->lines[line->cell_next - 1].cell_prev = line->cell_prev;
	else
		cell->lines_tail = line->cell_prev;
}

/* ---- lines ---- */

static uint32_t
extra_take(struct reservations *v)
{
	uint32_t n = v->extra_free;
	if (n) {
		v->extra_free = v->lines[n - 1].next;
	} else {
		ensure(v->extra_high < v->extra_max);
		n = v->max + ++v->extra_high;
	}
	v->extra_used++;
	return n - 1;
}

/* A new line of `slot` with nothing on it yet, behind line `last`. */
static uint32_t
line_append(struct reservations *v, uint32_t slot, uint32_t last)
{
	uint32_t n = extra_take(v);
	v->lines[last].next = n + 1;
	v->lines[n] = (struct line){ .slot = slot };
	return n;
}

static inline void
line_set(struct reservations *v, uint32_t n, const struct line_record *to)
{
	struct line *line = &v->lines[n];
	bool was_open = line->is.held + line->is.committed > 0, is_open = to->held + to->committed > 0;
	ensure(!was_open || line->is.cell == to->cell);
	line->is = *to;
	if (is_open && !was_open)
		open_append(v, n);
	else if (was_open && !is_open)
		open_remove(v, n);
}

/* Who loads a reservation mostly changes its cells and takes its lines out of their lists. */
static inline void
line_ahead(const struct reservations *v, const struct line *line)
{
	const uint8_t *cell = (const uint8_t *)&v->cells->at[line->is.cell];
	__builtin_prefetch(cell, 1);
	__builtin_prefetch(cell + 64, 1);
	if (line->cell_prev)
		__builtin_prefetch(&v->lines[line->cell_prev - 1], 1);
	if (line->cell_next)
		__builtin_prefetch(&v->lines[line->cell_next - 1], 1);
	__asm__ volatile (""); /* else gcc drops all of it (fetch() in ahead.c) */
}

void
reservation_load(const struct reservations *v, uint32_t slot, struct reservation_record *record, struct line_record lines[LINES_MAX],
    uint8_t id_scratch[NAME_BYTES_MAX])
{
	const struct reservation *r = &v->at[slot];
	*record = (struct reservation_record){ .slot = slot, .terms = r->terms, .id = reservation_id(v, slot, id_scratch).at, .lines = lines };
	record->terms.flags &= (uint8_t)~(RESERVATION_TIMED | RESERVATION_FINISHED);
	uint32_t n = slot;
	for (uint32_t i = 0; i < r->terms.lines_n; i++, n = v->lines[n].next - 1) {
		line_ahead(v, &v->lines[n]);
		lines[i] = v->lines[n].is;
	}
}

const uint8_t *
reservation_extra(const struct reservations *v, uint32_t slot, uint8_t *scratch)
{
	const struct reservation *r = &v->at[slot];
	blobs_get(v->blobs, r->extra, scratch, r->terms.extra_n);
	return scratch;
}

enum reservation_state
reservation_state(const struct reservation_record *r)
{
	uint64_t units[RESERVATION_EXPIRED + 1] = { 0 };
	for (uint32_t i = 0; i < r->terms.lines_n; i++) {
		const struct line_record *l = &r->lines[i];
		units[RESERVATION_HELD] += l->held;
		units[RESERVATION_COMMITTED] += l->committed;
		units[RESERVATION_FULFILLED] += l->fulfilled;
		units[RESERVATION_HANDED_OVER] += l->handed_over;
		units[RESERVATION_RELEASED] += l->released;
	}
	enum reservation_state state = RESERVATION_HELD;
	while (state < RESERVATION_EXPIRED && units[state] == 0)
		state++;
	return state;
}

/* ---- evolve ---- */

static uint64_t
slot_hash(const struct reservations *v, uint32_t slot)
{
	uint8_t scratch[NAME_BYTES_MAX];
	return index_hash(&v->index, reservation_id(v, slot, scratch));
}

/* Forgets the finished reservation, or the blank, in a slot that is wanted again (V1). */
static void
forget(struct reservations *v, uint32_t slot)
{
	struct reservation *r = &v->at[slot];
	bool blank = reservation_is_blank(&r->terms);
	ensure(r->terms.flags & RESERVATION_FINISHED);
	finished_remove(v, slot);
	if (!blank)
		index_remove(&v->index, slot_hash(v, slot), slot);
	if (r->terms.id_n > ID_INLINE)
		blobs_free(v->blobs, r->id_blob);
	blobs_free(v->blobs, r->extra);
	uint32_t n = v->lines[slot].next;
	for (uint32_t i = 1; i < r->terms.lines_n; i++) {
		uint32_t next = v->lines[n - 1].next;
		v->lines[n - 1] = (struct line){ .slot = SLOT_NONE, .next = v->extra_free };
		v->extra_free = n;
		v->extra_used--;
		n = next;
	}
	if (!blank && r->terms.created_at > v->forgotten_created_at)
		v->forgotten_created_at = r->terms.created_at;
	*r = (struct reservation){ .terms.id_n = 0 };
}

/* A new reservation: its slot, its first line with nothing on it yet, its id. */
static inline void
adopt(struct reservations *v, struct reservation *r, const struct reservation_record *record)
{
	uint32_t slot = record->slot;
	struct bytes id = record_id(record);
	v->lines[slot] = (struct line){ .slot = slot };
	if (id.n <= ID_INLINE)
		memory_copy(r->id, id.at, id.n);
	else
		r->id_blob = blobs_put(v->blobs, id.at, id.n);
	if (!v->unindexed && !reservation_is_blank(&record->terms))
		index_put(&v->index, record->id_hash ? record->id_hash : index_hash(&v->index, id), slot);
	if (slot >= v->high)
		v->high = slot + 1;
	v->open++;
}

static inline void
extra_set(struct reservations *v, struct reservation *r, struct bytes extra)
{
	if (extra.n == 0 && r->terms.extra_n == 0)
		return;
	blobs_free(v->blobs, r->extra);
	r->extra = blobs_put(v->blobs, extra.at, extra.n);
}

bool
reservation_is_of(const struct reservations *v, const struct reservation_record *record)
{
	uint8_t scratch[NAME_BYTES_MAX];
	const struct reservation_terms *t = &v->at[record->slot].terms;
	return t->id_n && reservation_is_blank(t) == reservation_is_blank(&record->terms) &&
	    bytes_equal(reservation_id(v, record->slot, scratch), record_id(record));
}

void
reservation_evolve(struct reservations *v, uint64_t seq, const struct reservation_record *record)
{
	uint32_t slot = record->slot, open = 0, held = 0;
	struct reservation *r = &v->at[slot];
	if (r->terms.id_n && !reservation_is_of(v, record))
		forget(v, slot);
	bool finished = r->terms.flags & RESERVATION_FINISHED;
	if (finished)
		finished_remove(v, slot);
	if (r->terms.id_n == 0)
		adopt(v, r, record);
	else if (r->terms.flags & RESERVATION_TIMED)
		timers_remove(v->timers, slot);
	for (uint32_t i = 0, n = slot; i < record->terms.lines_n; i++) {
		const struct line_record *to = &record->lines[i];
		if (i > 0)
			n = i < r->terms.lines_n ? v->lines[n].next - 1 : line_append(v, slot, n);
		line_set(v, n, to);
		held |= to->held;
		open |= to->held | to->committed;
	}
	extra_set(v, r, record_extra(record));
	ensure(!(finished && open)); /* the end of a reservation is final */
	r->seq = seq;
	r->expires_at = terms_expire_at(&record->terms);
	r->terms = record->terms;
	if (held && !v->untimed) {
		r->terms.flags |= RESERVATION_TIMED;
		timers_put(v->timers, slot);
	}
	if (open)
		return;
	r->terms.flags |= RESERVATION_FINISHED;
	v->open -= !finished;
	finished_append(v, slot);
}

/* ---- recovery ---- */

/* Merge sort of the finished list by position, in its own links: no memory to ask for. */
static uint32_t
merge(struct reservations *v, uint32_t a, uint32_t b)
{
	uint32_t head = 0, *link = &head;
	while (a && b) {
		uint32_t *first = v->at[a - 1].seq <= v->at[b - 1].seq ? &a : &b;
		*link = *first;
		link = &v->at[*first - 1].timer.next;
		*first = *link;
	}
	*link = a ? a : b;
	return head;
}

static void
finished_sort(struct reservations *v, struct finished *list)
{
	uint32_t runs[33] = { 0 };
	for (uint32_t slot = list->head, next; slot; slot = next) {
		next = v->at[slot - 1].timer.next;
		v->at[slot - 1].timer.next = 0;
		uint32_t run = slot, i = 0;
		for (; runs[i]; i++) {
			run = merge(v, runs[i], run);
			runs[i] = 0;
		}
		runs[i] = run;
	}
	uint32_t all = 0;
	for (uint32_t i = 0; i < 33; i++)
		all = all && runs[i] ? merge(v, runs[i], all) : all ? all : runs[i];
	list->head = all;
	list->tail = 0;
	for (uint32_t slot = all; slot; slot = v->at[slot - 1].timer.next) {
		v->at[slot - 1].timer.prev = list->tail;
		list->tail = slot;
	}
}

static void
index_all(struct reservations *v)
{
	for (uint32_t slot = 0; v->unindexed && slot < v->high; slot++) {
		if (slot + INDEX_AHEAD < v->high)
			index_ahead(&v->index, slot_hash(v, slot + INDEX_AHEAD));
		if (!reservation_is_blank(&v->at[slot].terms))
			index_put(&v->index, slot_hash(v, slot), slot);
	}
	v->unindexed = false;
}

void
reservations_image_done(struct reservations *v)
{
	index_all(v);
	for (unsigned i = 0; i < FINISHED_LISTS; i++)
		finished_sort(v, &v->finished[i]);
}

void
reservations_load_done(struct reservations *v)
{
	v->untimed = false;
	for (uint32_t slot = 0; slot < v->high; slot++) {
		struct reservation *r = &v->at[slot];
		uint64_t held = 0;
		if (r->terms.flags & (RESERVATION_FINISHED | RESERVATION_TIMED))
			continue;
		for (uint32_t i = 0, n = slot; i < r->terms.lines_n; i++, n = v->lines[n].next - 1)
			held += v->lines[n].is.held;
		if (held) {
			r->terms.flags |= RESERVATION_TIMED;
			timers_put(v->timers, slot);
		}
	}
}
