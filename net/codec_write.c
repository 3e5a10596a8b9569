/*
 * codec_write.c: the replies. What is asked a million times a second is written in place into room measured beforehand; the
 * rest goes through msgpack-c's packer.
 */
#include "net/codec_write.h"

#include <msgpack/pack.h>

#define RETRY_AFTER_MS 100 /* the engine's own `overloaded`: a queue of jobs that ends soon */

static int
packed(void *buffer, const char *bytes, size_t n)
{
	buffer_append(buffer, bytes, n);
	return 0;
}

static inline msgpack_packer
packer(struct buffer *b)
{
	return (msgpack_packer){ .data = b, .callback = packed };
}

void
put_nil(struct buffer *b)
{
	msgpack_packer p = packer(b);
	msgpack_pack_nil(&p);
}

void
put_bool(struct buffer *b, bool v)
{
	msgpack_packer p = packer(b);
	if (v)
		msgpack_pack_true(&p);
	else
		msgpack_pack_false(&p);
}

void
put_int(struct buffer *b, int64_t v)
{
	msgpack_packer p = packer(b);
	msgpack_pack_int64(&p, v);
}

void
put_uint(struct buffer *b, uint64_t v)
{
	msgpack_packer p = packer(b);
	msgpack_pack_uint64(&p, v);
}

void
put_str(struct buffer *b, struct bytes s)
{
	msgpack_packer p = packer(b);
	msgpack_pack_str(&p, s.n);
	msgpack_pack_str_body(&p, s.at, s.n);
}

void
put_text(struct buffer *b, const char *text)
{
	put_str(b, (struct bytes){ (const uint8_t *)text, (uint32_t)strlen(text) });
}

void
put_array(struct buffer *b, uint32_t n)
{
	msgpack_packer p = packer(b);
	msgpack_pack_array(&p, n);
}

void
put_map(struct buffer *b, uint32_t pairs)
{
	msgpack_packer p = packer(b);
	msgpack_pack_map(&p, pairs);
}

void
put_raw(struct buffer *b, struct bytes s)
{
	buffer_append(b, s.at, s.n);
}

void
put_instant(struct buffer *b, int64_t ms)
{
	if (ms < 0)
		put_nil(b);
	else
		put_int(b, ms);
}

void
put_field(struct buffer *b, const char *key, int64_t value)
{
	put_text(b, key);
	put_int(b, value);
}

void
put_head(struct buffer *b, uint32_t msgid)
{
	put_array(b, 4);
	put_int(b, 1);
	put_uint(b, msgid);
	put_nil(b);
}

/* D23. Nothing is inbound in this version. */
static void
put_short(struct buffer *b, const struct short_line *line)
{
	put_map(b, 8);
	put_field(b, "line", line->line);
	put_text(b, "sku");
	put_str(b, line->sku);
	put_text(b, "location");
	put_str(b, line->location);
	put_field(b, "asked", line->asked);
	put_field(b, "available", line->available);
	put_text(b, "next_release_at");
	put_instant(b, line->next_release_at);
	put_field(b, "next_release_qty", line->next_release_qty);
	put_text(b, "next_inbound_at");
	put_nil(b);
}

static void
put_detail_text(struct buffer *b, const char *key, const char *value)
{
	put_map(b, value != NULL);
	if (!value)
		return;
	put_text(b, key);
	put_text(b, value);
}

static void
put_detail(struct buffer *b, enum status status, const struct result *result)
{
	switch (status) {
	case STATUS_INSUFFICIENT:
		put_map(b, 1);
		put_text(b, "lines");
		put_array(b, result->shorts_n);
		for (uint32_t i = 0; i < result->shorts_n; i++)
			put_short(b, &result->shorts[i]);
		break;
	case STATUS_WRONG_STATE:
		put_detail_text(b, "state", reservation_state_name(result->state));
		break;
	case STATUS_LIMIT:
	case STATUS_CAPACITY:
		put_detail_text(b, "which", result->which);
		break;
	case STATUS_MISMATCH:
		put_map(b, 1);
		put_field(b, "on_hand", result->number);
		break;
	case STATUS_STALE:
	case STATUS_GONE:
		put_map(b, 1);
		put_text(b, "oldest");
		put_instant(b, result->number);
		break;
	case STATUS_BAD_REQUEST:
		put_map(b, result->number >= 0);
		if (result->number >= 0)
			put_field(b, "left", result->number);
		break;
	case STATUS_OVERLOADED:
	case STATUS_RATE_LIMITED:
		put_map(b, 1);
		put_field(b, "retry_after_ms", RETRY_AFTER_MS);
		break;
	default:
		put_map(b, 0);
	}
}

static void
put_message(struct buffer *b, enum status status, const char *message)
{
	put_text(b, message ? message : status_name(status));
}

void
put_error(struct buffer *b, enum status status, const char *message, const struct result *result)
{
	put_array(b, 3);
	put_text(b, status_name(status));
	put_message(b, status, message);
	if (result)
		put_detail(b, status, result);
	else
		put_map(b, 0);
}

static void
put_error_head(struct buffer *b, uint32_t msgid)
{
	put_array(b, 4);
	put_int(b, 1);
	put_uint(b, msgid);
}

void
put_error_reply(struct buffer *b, uint32_t msgid, enum status status, const char *message, const struct result *result)
{
	put_error_head(b, msgid);
	put_error(b, status, message, result);
	put_nil(b);
}

void
put_error_number(struct buffer *b, uint32_t msgid, enum status status, const char *message, const char *key, int64_t value)
{
	put_error_head(b, msgid);
	put_array(b, 3);
	put_text(b, status_name(status));
	put_message(b, status, message);
	put_map(b, 1);
	put_field(b, key, value);
	put_nil(b);
}

void
put_error_text(struct buffer *b, uint32_t msgid, enum status status, const char *message, const char *key, const char *value)
{
	put_error_head(b, msgid);
	put_array(b, 3);
	put_text(b, status_name(status));
	put_message(b, status, message);
	put_detail_text(b, key, value);
	put_nil(b);
}

/* ---- the hot ones ---- */

#define LINE_BYTES_MAX (1 + WIRE_STR_HEAD_MAX + NAME_BYTES_MAX + WIRE_STR_HEAD_MAX + PLACE_BYTES_MAX + WIRE_INT_BYTES_MAX)
#define RESERVATION_BYTES_MAX 128 /* the keys, two integers, a state */

static inline uint8_t *
wire_lines(uint8_t *p, const struct result_line *lines, uint32_t n)
{
	p = wire_array(p, n);
	for (uint32_t i = 0; i < n; i++) {
		*p++ = 0x93;
		p = wire_str(p, lines[i].sku);
		p = wire_str(p, lines[i].location);
		p = wire_int(p, lines[i].qty);
	}
	return p;
}

void
put_lines(struct buffer *b, const struct result_line *lines, uint32_t n)
{
	uint8_t *room = buffer_room(b, WIRE_INT_BYTES_MAX + (size_t)n * LINE_BYTES_MAX);
	if (room)
		b->used += (size_t)(wire_lines(room, lines, n) - room);
}

void
put_reservation(struct buffer *b, bool reserve, const struct result *result)
{
	const char *state = reservation_state_name(result->state);
	uint8_t *room = buffer_room(b, RESERVATION_BYTES_MAX + (size_t)result->lines_n * LINE_BYTES_MAX), *p = room;
	if (!room)
		return;
	*p++ = reserve ? 0x85 : 0x84;
	p = WIRE(p, "\xa3seq");
	p = wire_uint(p, result->seq);
	p = WIRE(p, "\xa5state");
	p = wire_str(p, (struct bytes){ (const uint8_t *)state, (uint32_t)strlen(state) });
	if (reserve) {
		p = WIRE(p, "\xaa" "expires_at");
		p = wire_int(p, result->expires_at);
	}
	p = WIRE(p, "\xa5lines");
	p = wire_lines(p, result->lines, result->lines_n);
	p = WIRE(p, "\xa5" "again");
	*p++ = result->again ? 0xc3 : 0xc2;
	b->used += (size_t)(p - room);
}

static void
put_reconciled(struct buffer *b, const struct result *result)
{
	put_map(b, 1);
	put_text(b, "reconciled");
	put_map(b, 5);
	put_field(b, "was", result->was);
	put_field(b, "counted", result->counted);
	put_field(b, "reapplied", result->reapplied);
	put_field(b, "variance", result->variance);
	put_text(b, "ambiguous");
	put_array(b, 0);
}

static void
put_rejected(struct buffer *b, enum status status, const char *message, const struct result *result)
{
	bool kept = result && result->quarantine != 0;
	put_map(b, 3 + kept);
	put_text(b, "rejected");
	put_text(b, status_name(status));
	put_text(b, "message");
	put_message(b, status, message);
	put_text(b, "detail");
	if (result)
		put_detail(b, status, result);
	else
		put_map(b, 0);
	if (!kept)
		return;
	put_text(b, "quarantine");
	put_uint(b, result->quarantine);
}

void
put_outcome_rejected(struct buffer *b, enum status status, const char *message)
{
	put_rejected(b, status, message, NULL);
}

void
put_outcome(struct buffer *b, const struct result *result)
{
	if (result->status != STATUS_OK)
		put_rejected(b, result->status, result->message, result);
	else if (result->outcome == OUTCOME_APPLIED)
		buffer_append(b, "\xa7" "applied", 8);
	else if (result->outcome == OUTCOME_DUPLICATE)
		buffer_append(b, "\xa9" "duplicate", 10);
	else if (result->outcome == OUTCOME_RECONCILED)
		put_reconciled(b, result);
	else
		put_text(b, event_outcome_name(result->outcome));
}
