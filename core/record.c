#include "core/encode.h"

/* A cursor that turns to NULL at the first byte that does not fit. */

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
	uint64_t head = u(&c, 8), form = head >> CELL_FORM_SHIFT;
	size_t width = form & CELL_WIDE ? 8 : 4;
	*r = (struct cell_record){ .cell = (uint32_t)e->key, .now = { .sku = (uint32_t)head,
		.location = head >> CELL_LOCATION_SHIFT & ((1u << (CELL_FLAGS_SHIFT - CELL_LOCATION_SHIFT)) - 1),
		.flags = head >> CELL_FLAGS_SHIFT & ((1u << (CELL_FORM_SHIFT - CELL_FLAGS_SHIFT)) - 1) } };
	r->now.on_hand = s(&c, width), r->now.reserved = quantity(&c, width), r->now.committed = quantity(&c, width);
	r->ats_before = s(&c, width), r->previous = u(&c, width == 8 ? 8 : PREVIOUS_BYTES);
	r->now.last_event_at = (int64_t)u(&c, INSTANT_BYTES);
	if (form & CELL_RARE)
		rare_decode(&c, &r->now);
	return whole(&c) && e->key < CELL_NONE && form <= (CELL_WIDE | CELL_RARE);
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
