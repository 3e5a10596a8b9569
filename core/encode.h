/*
 * encode.h: the encoders of record.h's entries, in line where they are emitted: with the widths known, a body is a row of stores.
 *
 * Each writes head and body and returns the end; it may write eight bytes beyond that.
 */
#ifndef HOLDFAST_CORE_ENCODE_H
#define HOLDFAST_CORE_ENCODE_H

#include "core/record.h"

/* A word at a time, of which the lowest `n` bytes count; what is written next covers the rest. */

static inline uint8_t *
encode_number(uint8_t *at, uint64_t value, unsigned n)
{
	memcpy(at, &value, sizeof value);
	return at + n;
}

#define INSTANT_BYTES 6
#define SEQ_BYTES     7

static inline uint8_t *
name_encode(uint8_t *start, const struct name_record *r)
{
	uint8_t *at = start + ENTRY_HEAD_BYTES;
	memory_copy(at, r->name.at, r->name.n);
	return entry_end(start, ENTRY_NAME, (uint64_t)r->table << 32 | r->id, at + r->name.n);
}

static inline uint8_t *
option_encode(uint8_t *start, const struct option_record *r)
{
	uint8_t *at = encode_number(start + ENTRY_HEAD_BYTES, (uint64_t)r->value, 8);
	return entry_end(start, ENTRY_OPTION, r->option, at);
}

static inline uint8_t *
group_encode(uint8_t *start, const struct group_record *r)
{
	uint8_t *at = start + ENTRY_HEAD_BYTES;
	for (uint32_t i = 0; i < r->members_n; i++)
		at = encode_number(at, r->members[i], 4);
	return entry_end(start, ENTRY_GROUP, (uint64_t)r->location * 2 + r->building, at);
}

/*
 * A cell: its head, then on hand, reserved, committed and ats_before in 4 bytes each and previous in 5, or, where one of them needs
 * it (CELL_WIDE), all of them in 8; last_event_at; then what most cells have not (CELL_RARE).
 */
#define CELL_WIDE 1u
#define CELL_RARE 2u
#define PREVIOUS_BYTES 5
/* The head in one word: sku 32 bits, location 20, flags 8, form 4. */
#define CELL_LOCATION_SHIFT 32
#define CELL_FLAGS_SHIFT    52
#define CELL_FORM_SHIFT     60

/* Which of the rare numbers are not 0, those, and the last count. */
static inline uint8_t *
rare_encode(uint8_t *at, const struct cell_image *c)
{
	const int64_t numbers[] = { c->unsellable, c->promised, c->inbound, c->safety_stock, c->oversell_limit };
	uint8_t *mask = at++;
	*mask = 0;
	for (unsigned i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		if (numbers[i])
			at = encode_number(at, (uint64_t)numbers[i], 8), *mask |= (uint8_t)(1u << i);
	if (!(c->flags & CELL_COUNTED))
		return at;
	at = encode_number(at, (uint64_t)c->count_at, INSTANT_BYTES);
	at = encode_number(at, c->count_source, 4);
	at = encode_number(at, c->count_n, SEQ_BYTES);
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

static inline uint8_t *
cell_encode(uint8_t *start, const struct cell_record *r)
{
	const struct cell_image *c = &r->now;
	unsigned form = cell_form(r), width = form & CELL_WIDE ? 8 : 4;
	uint8_t *at = start + ENTRY_HEAD_BYTES;
	at = encode_number(at, c->sku | (uint64_t)c->location << CELL_LOCATION_SHIFT | (uint64_t)c->flags << CELL_FLAGS_SHIFT |
	    (uint64_t)form << CELL_FORM_SHIFT, 8);
	at = encode_number(at, (uint64_t)c->on_hand, width);
	at = encode_number(at, (uint64_t)c->reserved, width);
	at = encode_number(at, (uint64_t)c->committed, width);
	at = encode_number(at, (uint64_t)r->ats_before, width);
	at = encode_number(at, r->previous, width == 8 ? 8 : PREVIOUS_BYTES);
	at = encode_number(at, (uint64_t)c->last_event_at, INSTANT_BYTES);
	if (form & CELL_RARE)
		at = rare_encode(at, c);
	return entry_end(start, ENTRY_CELL, r->cell, at);
}

static inline uint8_t *
floor_encode(uint8_t *start, const struct floor_record *r)
{
	return entry_end(start, ENTRY_FLOOR, r->cell, encode_number(start + ENTRY_HEAD_BYTES, (uint64_t)r->floor, 8));
}

/* A line: cell, granted, which of its other numbers are not 0, those: most lines have one. */
static inline uint8_t *
line_encode(uint8_t *at, const struct line_record *l)
{
	uint8_t *mask = at + 8;
	memcpy(at, l, 8);
	at += 9;
	*mask = 0;
#define UNLESS_ZERO(i, number) if ((number) != 0) at = encode_number(at, (number), 4), *mask |= 1u << (i)
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

static inline uint8_t *
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

static inline uint8_t *
source_encode(uint8_t *start, const struct source_record *r)
{
	uint8_t *at = start + ENTRY_HEAD_BYTES;
	at = encode_number(at, r->contiguous, 8);
	at = encode_number(at, r->highest, 8);
	at = encode_number(at, (uint64_t)r->last_at, 8);
	return entry_end(start, ENTRY_SOURCE, r->source, at);
}

static inline uint8_t *
mark_encode(uint8_t *start, const struct mark_record *r)
{
	uint8_t *at = start + ENTRY_HEAD_BYTES;
	at = encode_number(at, r->digest, 8);
	at = encode_number(at, r->n, SEQ_BYTES);
	at = encode_number(at, r->contiguous, SEQ_BYTES);
	at = encode_number(at, r->highest - r->contiguous, 2);
	at = encode_number(at, (uint64_t)(r->last_at + 1), INSTANT_BYTES);
	at = encode_number(at, r->outcome, 1);
	at = encode_number(at, r->status, 1);
	return entry_end(start, ENTRY_MARK, (uint64_t)r->source << 12 | r->n % SOURCE_WINDOW, at);
}

static inline uint8_t *
free_id_encode(uint8_t *start, const struct free_id_record *r)
{
	uint8_t *at = start + ENTRY_HEAD_BYTES;
	at = encode_number(at, r->id[0], 8);
	at = encode_number(at, r->id[1], 8);
	at = encode_number(at, r->digest, 8);
	at = encode_number(at, r->number, SEQ_BYTES);
	at = encode_number(at, r->source, 4);
	at = encode_number(at, (uint64_t)r->arrival, INSTANT_BYTES);
	at = encode_number(at, r->outcome, 1);
	at = encode_number(at, r->status, 1);
	return entry_end(start, ENTRY_FREE_ID, r->slot, at);
}

static inline uint8_t *
delta_encode(uint8_t *start, const struct delta_record *r)
{
	uint8_t *at = start + ENTRY_HEAD_BYTES;
	at = encode_number(at, r->number, SEQ_BYTES);
	at = encode_number(at, r->cell, 4);
	at = encode_number(at, (uint64_t)r->at, INSTANT_BYTES);
	at = encode_number(at, (uint64_t)r->arrival, INSTANT_BYTES);
	at = encode_number(at, (uint64_t)r->qty, 4);
	at = encode_number(at, r->source, 3);
	at = encode_number(at, r->n, SEQ_BYTES);
	return entry_end(start, ENTRY_DELTA, r->slot, at);
}

static inline uint8_t *
quarantine_encode(uint8_t *start, const struct quarantine_record *r)
{
	uint8_t *at = start + ENTRY_HEAD_BYTES;
	at = encode_number(at, r->number, 8);
	at = encode_number(at, r->kept, 1);
	at = encode_number(at, r->reason, 1);
	at = encode_number(at, (uint64_t)r->at, INSTANT_BYTES);
	memory_copy(at, r->raw.at, r->raw.n);
	return entry_end(start, ENTRY_QUARANTINE, r->slot, at + r->raw.n);
}

#endif
