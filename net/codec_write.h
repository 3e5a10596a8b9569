/*
 * codec_write.h: msgpack out. Two ways to the same bytes:
 *
 *   wire_x()  writes at a pointer into room that the caller has made sure of, inline: for the replies of the hot path
 *   put_x()   appends to a buffer through msgpack-c: for all others
 *
 * Below them the replies that more than one method shares. Nothing here allocates but the buffer. Any thread; a buffer
 * belongs to one.
 */
#ifndef HOLDFAST_NET_CODEC_WRITE_H
#define HOLDFAST_NET_CODEC_WRITE_H

#include "core/command.h"
#include "net/buffer.h"

#define WIRE_INT_BYTES_MAX 9
#define WIRE_STR_HEAD_MAX 5
#define WIRE_HEAD_BYTES_MAX 8 /* [1, msgid, nil: what stands before a result */

static inline uint8_t *
wire_big_endian(uint8_t *p, uint8_t form, uint64_t v, int width)
{
	v = __builtin_bswap64(v << (64 - 8 * width));
	*p++ = form;
	memcpy(p, &v, (size_t)width);
	return p + width;
}

static inline uint8_t *
wire_uint(uint8_t *p, uint64_t v)
{
	if (v <= 0x7f) {
		*p++ = (uint8_t)v;
		return p;
	}
	if (v <= 0xff)
		return wire_big_endian(p, 0xcc, v, 1);
	if (v <= 0xffff)
		return wire_big_endian(p, 0xcd, v, 2);
	return v <= 0xffffffff ? wire_big_endian(p, 0xce, v, 4) : wire_big_endian(p, 0xcf, v, 8);
}

static inline uint8_t *
wire_int(uint8_t *p, int64_t v)
{
	if (v >= 0)
		return wire_uint(p, (uint64_t)v);
	if (v >= -32) {
		*p++ = (uint8_t)v;
		return p;
	}
	if (v >= INT8_MIN)
		return wire_big_endian(p, 0xd0, (uint64_t)v, 1);
	if (v >= INT16_MIN)
		return wire_big_endian(p, 0xd1, (uint64_t)v, 2);
	return v >= INT32_MIN ? wire_big_endian(p, 0xd2, (uint64_t)v, 4) : wire_big_endian(p, 0xd3, (uint64_t)v, 8);
}

static inline uint8_t *
wire_array(uint8_t *p, uint32_t n)
{
	if (n <= 15) {
		*p++ = (uint8_t)(0x90 | n);
		return p;
	}
	return n <= 0xffff ? wire_big_endian(p, 0xdc, n, 2) : wire_big_endian(p, 0xdd, n, 4);
}

static inline uint8_t *
wire_str(uint8_t *p, struct bytes s)
{
	if (s.n <= 31)
		*p++ = (uint8_t)(0xa0 | s.n);
	else
		p = s.n <= 0xff ? wire_big_endian(p, 0xd9, s.n, 1) : wire_big_endian(p, 0xdb, s.n, 4);
	memory_copy(p, s.at, s.n);
	return p + s.n;
}

/* Bytes that are msgpack already, as a literal: WIRE(p, "\x93\xc0"). */
#define WIRE(p, literal) (memcpy((p), (literal), sizeof(literal) - 1), (p) + sizeof(literal) - 1)

/* [1, msgid, nil, and the result must follow. */
static inline uint8_t *
wire_head(uint8_t *p, uint32_t msgid)
{
	p = WIRE(p, "\x94\x01");
	p = wire_uint(p, msgid);
	*p++ = 0xc0;
	return p;
}

/* An unsigned of fixed width, to be overwritten when its value is known. */
#define WIRE_FIXED_BYTES 9
static inline uint8_t *
wire_fixed(uint8_t *p, uint64_t v)
{
	return wire_big_endian(p, 0xcf, v, 8);
}

void put_nil(struct buffer *);
void put_bool(struct buffer *, bool);
void put_int(struct buffer *, int64_t);
void put_uint(struct buffer *, uint64_t);
void put_str(struct buffer *, struct bytes);
void put_text(struct buffer *, const char *); /* terminated by zero */
void put_array(struct buffer *, uint32_t n);
void put_map(struct buffer *, uint32_t pairs);
void put_raw(struct buffer *, struct bytes); /* msgpack already, copied as it is */
void put_instant(struct buffer *, int64_t ms); /* -1: nil */
void put_field(struct buffer *, const char *key, int64_t value);
void put_head(struct buffer *, uint32_t msgid); /* as wire_head */

/* [code, message, detail]; result NULL: an empty detail. */
void put_error(struct buffer *, enum status, const char *message, const struct result *);
/* The whole reply [1, msgid, [code, message, detail], nil]. */
void put_error_reply(struct buffer *, uint32_t msgid, enum status, const char *message, const struct result *);
/* An error reply whose detail is one integer, or one text. */
void put_error_number(struct buffer *, uint32_t msgid, enum status, const char *message, const char *key, int64_t value);
void put_error_text(struct buffer *, uint32_t msgid, enum status, const char *message, const char *key, const char *value);

/* The result of reserve, commit, release, fulfil: the map alone. */
void put_reservation(struct buffer *, bool reserve, const struct result *);
void put_lines(struct buffer *, const struct result_line *, uint32_t n);
/* What became of one event: an outcome string or map. */
void put_outcome(struct buffer *, const struct result *);
void put_outcome_rejected(struct buffer *, enum status, const char *message);

#endif
