#include "core/record.h"

/* ---- writing: a word at a time, of which the lowest `n` bytes count; what is written next covers the rest ---- */

static inline uint8_t *
put(uint8_t *at, uint64_t value, unsigned n)
{
	memcpy(at, &value, sizeof value);
	return at + n;
}

#define INSTANT_BYTES 6
#define SEQ_BYTES     7

uint8_t *
name_encode(uint8_t *start, const struct name_record *r)
{
	uint8_t *at = start + ENTRY_HEAD_BYTES;
	memory_copy(at, r->name.at, r->name.n);
	return entry_end(start, ENTRY_NAME, (uint64_t)r->table << 32 | r->id, at + r->name.n);
}

uint8_t *
option_encode(uint8_t *start, const struct option_record *r)
{
	uint8_t *at = put(start + ENTRY_HEAD_BYTES, (uint64_t)r->value, 8);
	return entry_end(start, ENTRY_OPTION, r->option, at);
}

uint8_t *
group_encode(uint8_t *start, const struct group_record *r)
{
	uint8_t *at = start + ENTRY_HEAD_BYTES;
	for (uint32_t i = 0; i < r->members_n; i++)
		at = put(at, r->members[i], 4);
	return entry_end(start, ENTRY_GROUP, (uint64_t)r->location * 2 + r->building, at);
}

/*
 * A cell: its head, then on hand, reserved, committed and ats_before in 4 bytes each and previous in 5, or, where one of them needs
 * it (CELL_WIDE), all of them in 8; last_event_at; then what most cells have not (CELL_RARE).
 */
#define CELL_WIDE 1u
#define CELL_RARE 2u
struct cell_head {
	uint64_t sku : 32, location : 20, flags : 8, form : 4;
};
_Static_assert(sizeof(struct cell_head) == 8, "one word");
#define PREVIOUS_BYTES 5

/* Which of the rare numbers are not 0, those, and the last count. */
static uint8_t *
rare_encode(uint8_t *at, const struct cell_image *c)
{
	const int64_t numbers[] = { c->unsellable, c->promised, c->inbound, c->safety_stock, c->oversell_limit };
	uint8_t *mask = at++;
	*mask = 0;
	for (unsigned i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		if (numbers[i])
			at = put(at, (uint64_t)numbers[i], 8), *mask |= (uint8_t)(1u << i);
	if (!(c->flags & CELL_COUNTED))
		return at;
	at = put(at, (uint64_t)c->count_at, INSTANT_BYTES);
	at = put(at, c->count_source, 4);
	at = put(at, c->count_n, SEQ_BYTES);
	return string_put(at, c->count_id);
}

static inline unsigned
cell_form(const struct cell_record *r)
{
	const struct cell_image *c = &r->now;
	uint64_t high = (uint64_t)(c->on_hand ^ c->on_hand >> 63) | (uint64_t)(r->ats_before ^ r->ats_before >> 63) |
	    (uint64_t)c->reserved | (uint64_t)c->committed | r->previous >> (8 * PREVIOUS_BYTES - 31);
	bool rare = (c->unsellable | c->promised | c->inbound | c->safety_stock | c->oversell_limit) != 0 || c->flags & CELL_COUNTED;
	return (high >> 31 ? CELL_WIDE : 0) | (rare ? CELL_RARE : 0);
}

uint8_t *
cell_encode(uint8_t *start, const struct cell_record *r)
{
	const struct cell_image *c = &r->now;
	struct cell_head head = { c->sku, c->location, c->flags, cell_form(r) };
	unsigned width = head.form & CELL_WIDE ? 8 : 4;
	uint8_t *at = start + ENTRY_HEAD_BYTES;
	memcpy(at, &head, sizeof head);
	at = put(at + sizeof head, (uint64_t)c->on_hand, width);
	at = put(at, (uint64_t)c->reserved, width);
	at = put(at, (uint64_t)c->committed, width);
	at = put(at, (uint64_t)r->ats_before, width);
	at = put(at, r->previous, width == 8 ? 8 : PREVIOUS_BYTES);
	at = put(at, (uint64_t)c->last_event_at, INSTANT_BYTES);
	if (head.form & CELL_RARE)
		at = rare_encode(at, c);
	return entry_end(start, ENTRY_CELL, r->cell, at);
}

uint8_t *
floor_encode(uint8_t *start, const struct floor_record *r)
{
	return entry_end(start, ENTRY_FLOOR, r->cell, put(start + ENTRY_HEAD_BYTES, (uint64_t)r->floor, 8));
}

/* A line: cell, granted, which of its other numbers are not 0, those: most lines have one. */
static inline uint8_t *
line_encode(uint8_t *at, const struct line_record *l)
{
	uint8_t *mask = at + 8;
	memcpy(at, l, 8);
	at += 9;
	*mask = 0;
#define UNLESS_ZERO(i, number) if ((number) != 0) at = put(at, (number), 4), *mask |= 1u << (i)
	UNLESS_ZERO(0, l->held);
	if (l->committed | l->fulfilled | l->released | l->expired | l->handed_over | l->origin) {
		UNLESS_ZERO(1, l->committed);
		UNLESS_ZERO(2, l->fulfilled);
		UNLESS_ZERO(3, l->released);
		UNLESS_ZERO(4, l->expired);
		UNLESS_ZERO(5, l->handed_over);
		UNLESS_ZERO(6, l->origin);
	}
#undef UNLESS_ZERO
	return at;
}

uint8_t *
reservation_encode(uint8_t *start, const struct reservation_record *r)
{
	uint8_t *at = start + ENTRY_HEAD_BYTES;
	memcpy(at, &r->terms, sizeof r->terms);
	at += sizeof r->terms;
	memory_copy(at, r->id, r->terms.id_n);
	at += r->terms.id_n;
	for (uint32_t i = 0; i < r->terms.lines_n; i++)
		at = line_encode(at, &r->lines[i]);
	memory_copy(at, r->extra, r->terms.extra_n);
	return entry_end(start, ENTRY_RESERVATION, r->slot, at + r->terms.extra_n);
}

uint8_t *
source_encode(uint8_t *start, const struct source_record *r)
{
	uint8_t *at = start + ENTRY_HEAD_BYTES;
	at = put(at, r->contiguous, 8);
	at = put(at, r->highest, 8);
	at = put(at, (uint64_t)r->last_at, 8);
	return entry_end(start, ENTRY_SOURCE, r->source, at);
}

uint8_t *
mark_encode(uint8_t *start, const struct mark_record *r)
{
	uint8_t *at = start + ENTRY_HEAD_BYTES;
	at = put(at, r->digest, 8);
	at = put(at, r->n, SEQ_BYTES);
	at = put(at, r->contiguous, SEQ_BYTES);
	at = put(at, r->highest - r->contiguous, 2);
	at = put(at, (uint64_t)(r->last_at + 1), INSTANT_BYTES);
	at = put(at, r->outcome, 1);
	at = put(at, r->status, 1);
	return entry_end(start, ENTRY_MARK, (uint64_t)r->source << 12 | r->n % SOURCE_WINDOW, at);
}

uint8_t *
free_id_encode(uint8_t *start, const struct free_id_record *r)
{
	uint8_t *at = start + ENTRY_HEAD_BYTES;
	at = put(at, r->id[0], 8);
	at = put(at, r->id[1], 8);
	at = put(at, r->digest, 8);
	at = put(at, r->number, SEQ_BYTES);
	at = put(at, r->source, 4);
	at = put(at, (uint64_t)r->arrival, INSTANT_BYTES);
	at = put(at, r->outcome, 1);
	at = put(at, r->status, 1);
	return entry_end(start, ENTRY_FREE_ID, r->slot, at);
}

uint8_t *
delta_encode(uint8_t *start, const struct delta_record *r)
{
	uint8_t *at = start + ENTRY_HEAD_BYTES;
	at = put(at, r->number, SEQ_BYTES);
	at = put(at, r->cell, 4);
	at = put(at, (uint64_t)r->at, INSTANT_BYTES);
	at = put(at, (uint64_t)r->arrival, INSTANT_BYTES);
	at = put(at, (uint64_t)r->qty, 4);
	at = put(at, r->source, 3);
	at = put(at, r->n, SEQ_BYTES);
	return entry_end(start, ENTRY_DELTA, r->slot, at);
}

uint8_t *
quarantine_encode(uint8_t *start, const struct quarantine_record *r)
{
	uint8_t *at = start + ENTRY_HEAD_BYTES;
	at = put(at, r->number, 8);
	at = put(at, r->kept, 1);
	at = put(at, r->reason, 1);
	at = put(at, (uint64_t)r->at, INSTANT_BYTES);
	memory_copy(at, r->raw.at, r->raw.n);
	return entry_end(start, ENTRY_QUARANTINE, r->slot, at + r->raw.n);
}

/* ---- reading: a cursor that turns to NULL at the first byte that does not fit ---- */

struct cursor {
	const uint8_t *at, *end;
};

static inline void
raw(struct cursor *c, void *to, size_t n)
{
	if (c->at == NULL || n > (size_t)(c->end - c->at)) {
		c->at = NULL;
		return;
	}
	memcpy(to, c->at, n);
	c->at += n;
}

static inline uint64_t
u(struct cursor *c, size_t n)
{
	uint64_t v = 0;
	raw(c, &v, n);
	return v;
}

/* A number that the format bounds; a larger one is no such record. */
static uint64_t
u_max(struct cursor *c, size_t n, uint64_t max)
{
	uint64_t v = u(c, n);
	if (v > max)
		c->at = NULL;
	return v;
}

/* Signed, in 4 bytes or 8. */
static inline int64_t
s(struct cursor *c, size_t n)
{
	uint64_t v = u(c, n);
	return n == 4 ? (int32_t)v : (int64_t)v;
}

static inline int64_t
quantity(struct cursor *c, size_t n)
{
	int64_t v = s(c, n);
	if (v < 0)
		c->at = NULL;
	return v;
}

/* Borrowed. */
static const uint8_t *
part(struct cursor *c, size_t n)
{
	const uint8_t *at = c->at;
	if (at == NULL || n > (size_t)(c->end - at)) {
		c->at = NULL;
		return NULL;
	}
	c->at += n;
	return at;
}

static struct bytes
rest(struct cursor *c, uint32_t max)
{
	uint32_t n = c->at ? (uint32_t)(c->end - c->at) : 0;
	struct bytes b = { part(c, n), n };
	if (n > max)
		c->at = NULL;
	return b;
}

static struct cursor
cursor_of(const struct entry_bytes *e)
{
	return (struct cursor){ e->body, e->body + e->body_n };
}

static bool
whole(const struct cursor *c)
{
	return c->at != NULL && c->at == c->end;
}

bool
name_decode(const struct entry_bytes *e, struct name_record *r)
{
	struct cursor c = cursor_of(e);
	*r = (struct name_record){ .table = (uint32_t)(e->key >> 32), .id = (uint32_t)e->key };
	r->name = rest(&c, NAME_BYTES_MAX);
	return whole(&c) && r->name.n > 0;
}

bool
option_decode(const struct entry_bytes *e, struct option_record *r)
{
	struct cursor c = cursor_of(e);
	*r = (struct option_record){ .option = (uint32_t)e->key, .value = s(&c, 8) };
	return whole(&c) && e->key < OPTION_COUNT;
}

bool
group_decode(const struct entry_bytes *e, struct group_record *r, uint32_t members[GROUP_MEMBERS_MAX])
{
	*r = (struct group_record){ .location = (uint32_t)(e->key / 2), .building = e->key & 1, .members = members, .members_n = e->body_n / 4 };
	if (e->body_n % 4 != 0 || r->members_n > GROUP_MEMBERS_MAX)
		return false;
	if (e->body_n)
		memcpy(members, e->body, e->body_n);
	return true;
}

static void
rare_decode(struct cursor *c, struct cell_image *i)
{
	uint8_t mask = (uint8_t)u_max(c, 1, 31);
	i->unsellable = mask & 1 ? s(c, 8) : 0;
	i->promised = mask & 2 ? quantity(c, 8) : 0;
	i->inbound = mask & 4 ? quantity(c, 8) : 0;
	i->safety_stock = mask & 8 ? (int64_t)u_max(c, 8, QTY_LINE_MAX) : 0;
	i->oversell_limit = mask & 16 ? (int64_t)u_max(c, 8, QTY_LINE_MAX) : 0;
	if (!(i->flags & CELL_COUNTED))
		return;
	i->count_at = (int64_t)u(c, INSTANT_BYTES), i->count_source = (uint32_t)u(c, 4), i->count_n = u(c, SEQ_BYTES);
	c->at = string_get(c->at, c->end, &i->count_id);
	if (i->count_id.n > NAME_BYTES_MAX)
		c->at = NULL;
}

bool
cell_decode(const struct entry_bytes *e, struct cell_record *r)
{
	struct cursor c = cursor_of(e);
	struct cell_head head = { 0 };
	raw(&c, &head, sizeof head);
	size_t width = head.form & CELL_WIDE ? 8 : 4;
	*r = (struct cell_record){ .cell = (uint32_t)e->key, .now = { .sku = head.sku, .location = head.location, .flags = head.flags } };
	r->now.on_hand = s(&c, width), r->now.reserved = quantity(&c, width), r->now.committed = quantity(&c, width);
	r->ats_before = s(&c, width), r->previous = u(&c, width == 8 ? 8 : PREVIOUS_BYTES);
	r->now.last_event_at = (int64_t)u(&c, INSTANT_BYTES);
	if (head.form & CELL_RARE)
		rare_decode(&c, &r->now);
	return whole(&c) && e->key < CELL_NONE && head.form <= (CELL_WIDE | CELL_RARE);
}

bool
floor_decode(const struct entry_bytes *e, struct floor_record *r)
{
	struct cursor c = cursor_of(e);
	*r = (struct floor_record){ .cell = (uint32_t)e->key, .floor = s(&c, 8) };
	return whole(&c);
}

static void
line_decode(struct cursor *c, struct line_record *l)
{
	uint32_t *const numbers[] = { &l->held, &l->committed, &l->fulfilled, &l->released, &l->expired, &l->handed_over, &l->origin };
	*l = (struct line_record){ 0 };
	raw(c, l, 8);
	uint8_t mask = (uint8_t)u(c, 1);
	for (uint32_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		if (mask & 1u << i)
			*numbers[i] = (uint32_t)u(c, 4);
}

bool
reservation_decode(const struct entry_bytes *e, struct reservation_record *r, struct line_record lines[LINES_MAX])
{
	struct cursor c = cursor_of(e);
	*r = (struct reservation_record){ .slot = (uint32_t)e->key, .lines = lines };
	raw(&c, &r->terms, sizeof r->terms);
	if (c.at == NULL || r->terms.id_n == 0 || r->terms.id_n > NAME_BYTES_MAX || r->terms.lines_n == 0 || r->terms.lines_n > LINES_MAX)
		return false;
	r->id = part(&c, r->terms.id_n);
	for (uint32_t i = 0; c.at && i < r->terms.lines_n; i++)
		line_decode(&c, &lines[i]);
	r->extra = part(&c, r->terms.extra_n);
	return whole(&c) && r->terms.created_at >= 0;
}

bool
source_decode(const struct entry_bytes *e, struct source_record *r)
{
	struct cursor c = cursor_of(e);
	*r = (struct source_record){ .source = (uint32_t)e->key };
	r->contiguous = u(&c, 8), r->highest = u(&c, 8), r->last_at = s(&c, 8);
	return whole(&c);
}

bool
mark_decode(const struct entry_bytes *e, struct mark_record *r)
{
	struct cursor c = cursor_of(e);
	*r = (struct mark_record){ .source = (uint32_t)(e->key >> 12) };
	r->digest = u(&c, 8), r->n = u(&c, SEQ_BYTES), r->contiguous = u(&c, SEQ_BYTES);
	r->highest = r->contiguous + u(&c, 2), r->last_at = (int64_t)u(&c, INSTANT_BYTES) - 1;
	r->outcome = (uint32_t)u(&c, 1), r->status = (uint32_t)u(&c, 1);
	return whole(&c) && r->n % SOURCE_WINDOW == (e->key & (SOURCE_WINDOW - 1));
}

bool
free_id_decode(const struct entry_bytes *e, struct free_id_record *r)
{
	struct cursor c = cursor_of(e);
	*r = (struct free_id_record){ .slot = (uint32_t)e->key, .id = { u(&c, 8) } };
	r->id[1] = u(&c, 8), r->digest = u(&c, 8), r->number = u(&c, SEQ_BYTES), r->source = (uint32_t)u(&c, 4);
	r->arrival = (int64_t)u(&c, INSTANT_BYTES), r->outcome = (uint32_t)u(&c, 1), r->status = (uint32_t)u(&c, 1);
	return whole(&c);
}

bool
delta_decode(const struct entry_bytes *e, struct delta_record *r)
{
	struct cursor c = cursor_of(e);
	*r = (struct delta_record){ .slot = (uint32_t)e->key, .number = u(&c, SEQ_BYTES) };
	r->cell = (uint32_t)u(&c, 4), r->at = (int64_t)u(&c, INSTANT_BYTES), r->arrival = (int64_t)u(&c, INSTANT_BYTES);
	r->qty = s(&c, 4), r->source = (uint32_t)u(&c, 3), r->n = u(&c, SEQ_BYTES);
	return whole(&c);
}

bool
quarantine_decode(const struct entry_bytes *e, struct quarantine_record *r)
{
	struct cursor c = cursor_of(e);
	*r = (struct quarantine_record){ .slot = (uint32_t)e->key, .number = u(&c, 8) };
	r->kept = u_max(&c, 1, 1), r->reason = (uint32_t)u_max(&c, 1, STATUS_COUNT - 1), r->at = (int64_t)u(&c, INSTANT_BYTES);
	r->raw = rest(&c, EVENT_BYTES_MAX);
	return whole(&c);
}
