#include "core/record.h"

/* ---- writing ---- */

static uint64_t
zigzag(int64_t v)
{
	return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}

static inline uint8_t *
put_string(uint8_t *at, struct bytes b)
{
	at = varint_put(at, b.n);
	memory_copy(at, b.at, b.n);
	return at + b.n;
}

#define U(value) at = varint_put(at, (value))
#define S(value) at = varint_put(at, zigzag(value))
#define STR(value) at = put_string(at, (value))

/* Leaves room for a one-byte length; record_end() makes it wider when the body turned out longer. */
static inline uint8_t *
record_begin(uint8_t *start, enum entry_kind kind, uint64_t key)
{
	*start = (uint8_t)kind;
	return varint_put(start + 2, key);
}

static uint8_t *
record_widen(uint8_t *start, size_t n)
{
	uint8_t length[VARINT_BYTES_MAX];
	size_t wide = (size_t)(varint_put(length, n) - length);
	memmove(start + 1 + wide, start + 2, n);
	memcpy(start + 1, length, wide);
	return start + 1 + wide + n;
}

static inline uint8_t *
record_end(uint8_t *start, uint8_t *end)
{
	size_t n = (size_t)(end - (start + 2));
	if (n >= 0x80)
		return record_widen(start, n);
	start[1] = (uint8_t)n;
	return end;
}

uint8_t *
name_encode(uint8_t *start, const struct name_record *r)
{
	uint8_t *at = record_begin(start, ENTRY_NAME, (uint64_t)r->table << 32 | r->id);
	STR(r->name);
	return record_end(start, at);
}

uint8_t *
option_encode(uint8_t *start, const struct option_record *r)
{
	uint8_t *at = record_begin(start, ENTRY_OPTION, r->option);
	S(r->value);
	return record_end(start, at);
}

uint8_t *
group_encode(uint8_t *start, const struct group_record *r)
{
	uint8_t *at = record_begin(start, ENTRY_GROUP, (uint64_t)r->location * 2 + r->building);
	U(r->members_n);
	for (uint32_t i = 0; i < r->members_n; i++)
		U(r->members[i]);
	return record_end(start, at);
}

uint8_t *
cell_encode(uint8_t *start, const struct cell_record *r)
{
	const struct cell_image *c = &r->now;
	uint8_t *at = record_begin(start, ENTRY_CELL, r->cell);
	U(c->sku), U(c->location), U(c->flags);
	S(c->on_hand), S(c->unsellable), U((uint64_t)c->reserved), U((uint64_t)c->committed);
	U((uint64_t)c->promised), U((uint64_t)c->inbound), U((uint64_t)c->safety_stock), U((uint64_t)c->oversell_limit);
	U((uint64_t)c->last_event_at);
	U(r->previous), S(r->ats_before);
	if (c->flags & CELL_COUNTED) {
		U((uint64_t)c->count_at), U(c->count_source), U(c->count_n);
		STR(c->count_id);
	}
	return record_end(start, at);
}

uint8_t *
floor_encode(uint8_t *start, const struct floor_record *r)
{
	uint8_t *at = record_begin(start, ENTRY_FLOOR, r->cell);
	S(r->floor);
	return record_end(start, at);
}

/* Which of a line's numbers are not 0: most lines have one. */
static uint8_t *
line_encode(uint8_t *at, const struct line_record *l)
{
	uint8_t mask = 0;
	U(l->cell), U(l->granted);
	uint8_t *mask_at = at++;
#define UNLESS_ZERO(i, number) if ((number) != 0) U(number), mask |= 1u << (i)
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
	*mask_at = mask;
	return at;
}

uint8_t *
reservation_encode(uint8_t *start, const struct reservation_record *r)
{
	uint8_t *at = record_begin(start, ENTRY_RESERVATION, r->slot);
	STR(r->id);
	U(r->flags), U(r->channel), U((uint64_t)r->created_at), S(r->expires_at - r->created_at), U((uint64_t)r->ttl_ms);
	U(r->first_seq);
	memcpy(at, &r->digest, sizeof r->digest);
	at += sizeof r->digest;
	U(r->lines_n);
	for (uint32_t i = 0; i < r->lines_n; i++)
		at = line_encode(at, &r->lines[i]);
	STR(r->extra);
	return record_end(start, at);
}

uint8_t *
source_encode(uint8_t *start, const struct source_record *r)
{
	uint8_t *at = record_begin(start, ENTRY_SOURCE, r->source);
	U(r->contiguous), U(r->highest), S(r->last_at);
	return record_end(start, at);
}

uint8_t *
mark_encode(uint8_t *start, const struct mark_record *r)
{
	uint8_t *at = record_begin(start, ENTRY_MARK, (uint64_t)r->source << 12 | r->n % SOURCE_WINDOW);
	U(r->n);
	memcpy(at, &r->digest, sizeof r->digest);
	at += sizeof r->digest;
	U(r->outcome), U(r->status), U(r->contiguous), U(r->highest - r->contiguous), S(r->last_at);
	return record_end(start, at);
}

uint8_t *
free_id_encode(uint8_t *start, const struct free_id_record *r)
{
	uint8_t *at = record_begin(start, ENTRY_FREE_ID, r->number % r->ring);
	U(r->number), U(r->ring);
	memcpy(at, r->id, sizeof r->id);
	memcpy(at + 16, &r->digest, sizeof r->digest);
	at += 24;
	U(r->source), S(r->arrival), U(r->outcome), U(r->status);
	return record_end(start, at);
}

uint8_t *
delta_encode(uint8_t *start, const struct delta_record *r)
{
	uint8_t *at = record_begin(start, ENTRY_DELTA, r->number % r->ring);
	U(r->number), U(r->ring), U(r->cell), S(r->at), S(r->arrival - r->at), S(r->qty), U(r->source), U(r->n);
	return record_end(start, at);
}

uint8_t *
quarantine_encode(uint8_t *start, const struct quarantine_record *r)
{
	uint8_t *at = record_begin(start, ENTRY_QUARANTINE, r->slot);
	U(r->number), U(r->kept), U(r->reason), S(r->at);
	STR(r->raw);
	return record_end(start, at);
}

#undef U
#undef S
#undef STR

/* ---- reading: a cursor that turns to NULL at the first byte that does not fit ---- */

struct cursor {
	const uint8_t *at, *end;
};

static uint64_t
u(struct cursor *c)
{
	uint64_t v = 0;
	c->at = varint_get(c->at, c->end, &v);
	return v;
}

/* A number that the format bounds; a larger one is no such record. */
static uint64_t
u_max(struct cursor *c, uint64_t max)
{
	uint64_t v = u(c);
	if (v > max)
		c->at = NULL;
	return v;
}

static uint32_t
u32(struct cursor *c)
{
	return (uint32_t)u_max(c, UINT32_MAX);
}

static int64_t
quantity(struct cursor *c)
{
	return (int64_t)u_max(c, (uint64_t)INT64_MAX);
}

static int64_t
s(struct cursor *c)
{
	uint64_t v = u(c);
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/* A number told as its distance from another one; whatever the bytes say, it wraps and does not overflow. */
static int64_t
s_from(struct cursor *c, int64_t from)
{
	return (int64_t)((uint64_t)from + (uint64_t)s(c));
}

static struct bytes
str(struct cursor *c, uint32_t max)
{
	uint64_t n = u_max(c, max);
	if (c->at == NULL || n > (uint64_t)(c->end - c->at)) {
		c->at = NULL;
		return (struct bytes){ NULL, 0 };
	}
	struct bytes b = { c->at, (uint32_t)n };
	c->at += n;
	return b;
}

static void
raw(struct cursor *c, void *to, size_t n)
{
	if (c->at == NULL || n > (size_t)(c->end - c->at)) {
		c->at = NULL;
		return;
	}
	memcpy(to, c->at, n);
	c->at += n;
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
	r->name = str(&c, NAME_BYTES_MAX);
	return whole(&c) && r->name.n > 0;
}

bool
option_decode(const struct entry_bytes *e, struct option_record *r)
{
	struct cursor c = cursor_of(e);
	*r = (struct option_record){ .option = (uint32_t)e->key, .value = s(&c) };
	return whole(&c) && e->key < OPTION_COUNT;
}

bool
group_decode(const struct entry_bytes *e, struct group_record *r, uint32_t members[GROUP_MEMBERS_MAX])
{
	struct cursor c = cursor_of(e);
	*r = (struct group_record){ .location = (uint32_t)(e->key / 2), .building = e->key & 1, .members = members };
	r->members_n = (uint32_t)u_max(&c, GROUP_MEMBERS_MAX);
	for (uint32_t i = 0; c.at && i < r->members_n; i++)
		members[i] = u32(&c);
	return whole(&c);
}

bool
cell_decode(const struct entry_bytes *e, struct cell_record *r)
{
	struct cursor c = cursor_of(e);
	*r = (struct cell_record){ .cell = (uint32_t)e->key };
	struct cell_image *i = &r->now;
	i->sku = u32(&c), i->location = u32(&c), i->flags = u32(&c);
	i->on_hand = s(&c), i->unsellable = s(&c), i->reserved = quantity(&c), i->committed = quantity(&c);
	i->promised = quantity(&c), i->inbound = quantity(&c);
	i->safety_stock = (int64_t)u_max(&c, QTY_LINE_MAX), i->oversell_limit = (int64_t)u_max(&c, QTY_LINE_MAX);
	i->last_event_at = quantity(&c);
	r->previous = u(&c), r->ats_before = s(&c);
	if (i->flags & CELL_COUNTED) {
		i->count_at = quantity(&c), i->count_source = u32(&c), i->count_n = u(&c);
		i->count_id = str(&c, NAME_BYTES_MAX);
	}
	return whole(&c) && e->key < CELL_NONE;
}

bool
floor_decode(const struct entry_bytes *e, struct floor_record *r)
{
	struct cursor c = cursor_of(e);
	*r = (struct floor_record){ .cell = (uint32_t)e->key, .floor = s(&c) };
	return whole(&c);
}

static void
line_decode(struct cursor *c, struct line_record *l)
{
	uint32_t *const numbers[] = { &l->held, &l->committed, &l->fulfilled, &l->released, &l->expired, &l->handed_over, &l->origin };
	uint8_t mask = 0;
	*l = (struct line_record){ .cell = u32(c) };
	l->granted = u32(c);
	raw(c, &mask, 1);
	for (uint32_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		if (mask & 1u << i)
			*numbers[i] = u32(c);
}

bool
reservation_decode(const struct entry_bytes *e, struct reservation_record *r, struct line_record lines[LINES_MAX])
{
	struct cursor c = cursor_of(e);
	*r = (struct reservation_record){ .slot = (uint32_t)e->key, .lines = lines };
	r->id = str(&c, NAME_BYTES_MAX);
	r->flags = u32(&c), r->channel = u32(&c), r->created_at = quantity(&c);
	r->expires_at = s_from(&c, r->created_at), r->ttl_ms = quantity(&c);
	r->first_seq = u(&c);
	raw(&c, &r->digest, sizeof r->digest);
	r->lines_n = (uint32_t)u_max(&c, LINES_MAX);
	for (uint32_t i = 0; c.at && i < r->lines_n; i++)
		line_decode(&c, &lines[i]);
	r->extra = str(&c, UINT32_MAX);
	return whole(&c) && r->id.n > 0 && r->lines_n > 0;
}

bool
source_decode(const struct entry_bytes *e, struct source_record *r)
{
	struct cursor c = cursor_of(e);
	*r = (struct source_record){ .source = (uint32_t)e->key };
	r->contiguous = u(&c), r->highest = u(&c), r->last_at = s(&c);
	return whole(&c);
}

bool
mark_decode(const struct entry_bytes *e, struct mark_record *r)
{
	struct cursor c = cursor_of(e);
	*r = (struct mark_record){ .source = (uint32_t)(e->key >> 12), .n = u(&c) };
	raw(&c, &r->digest, sizeof r->digest);
	r->outcome = u32(&c), r->status = u32(&c), r->contiguous = u(&c);
	r->highest = r->contiguous + u(&c), r->last_at = s(&c);
	return whole(&c) && r->n % SOURCE_WINDOW == (e->key & (SOURCE_WINDOW - 1));
}

bool
free_id_decode(const struct entry_bytes *e, struct free_id_record *r)
{
	struct cursor c = cursor_of(e);
	*r = (struct free_id_record){ .number = u(&c), };
	r->ring = u32(&c);
	raw(&c, r->id, sizeof r->id);
	raw(&c, &r->digest, sizeof r->digest);
	r->source = u32(&c), r->arrival = s(&c), r->outcome = u32(&c), r->status = u32(&c);
	return whole(&c) && r->ring > 0 && r->number % r->ring == e->key;
}

bool
delta_decode(const struct entry_bytes *e, struct delta_record *r)
{
	struct cursor c = cursor_of(e);
	*r = (struct delta_record){ .number = u(&c) };
	r->ring = u32(&c), r->cell = u32(&c), r->at = s(&c), r->arrival = s_from(&c, r->at), r->qty = s(&c);
	r->source = u32(&c), r->n = u(&c);
	return whole(&c) && r->ring > 0 && r->number % r->ring == e->key;
}

bool
quarantine_decode(const struct entry_bytes *e, struct quarantine_record *r)
{
	struct cursor c = cursor_of(e);
	*r = (struct quarantine_record){ .slot = (uint32_t)e->key, .number = u(&c) };
	r->kept = u_max(&c, 1), r->reason = (uint32_t)u_max(&c, STATUS_COUNT - 1), r->at = s(&c);
	r->raw = str(&c, EVENT_BYTES_MAX);
	return whole(&c);
}
