/*
 * hostile_bytes.c: what bad neighbours say, at each door in its own language: MessagePack-RPC, nanomsg's stream (greeting, then a
 * length of 8 bytes and the message), HTTP. `i` counts the connections, so that one function has several variants.
 */
#include "tests/hostile.h"

#include <stdio.h>
#include <string.h>

#include "net/codec_write.h"

#define NEST 10000
#define GARBAGE_BYTES 4096
#define HUNGRY_SCANS 200
#define HUNGRY_PAGES 50
#define HUNGRY_MESSAGES 40
#define HUNGRY_EVENTS 200

#define APPEND(b, literal) buffer_append((b), (literal), sizeof(literal) - 1)

/* ---- the languages ---- */

/* nanomsg's greeting as the other half of what listens there. */
static void
greet(struct buffer *b, enum door door)
{
	uint8_t hello[] = { 0, 'S', 'P', 0, 0, door == DOOR_EVENTS ? 0x30 : door == DOOR_PUSH ? 0x50 : 0x21, 0, 0 };
	buffer_append(b, hello, sizeof hello);
}

static void
put_length(struct buffer *b, uint64_t n)
{
	uint8_t bytes[9];
	wire_big_endian(bytes, 0, n, 8);
	buffer_append(b, bytes + 1, 8);
}

/* One nanomsg message; a request carries its number. */
static void
put_message(struct buffer *b, enum door door, unsigned i, const struct buffer *body)
{
	uint8_t number[5];
	put_length(b, body->used + (door == DOOR_EVENTS ? 4 : 0));
	wire_big_endian(number, 0, 0x80000000u | i, 4);
	if (door == DOOR_EVENTS)
		buffer_append(b, number + 1, 4);
	buffer_append(b, body->at, body->used);
}

/* A stock event; `sku` and `qty` are msgpack already. */
static void
put_event(struct buffer *b, unsigned i, struct bytes sku, struct bytes qty)
{
	put_map(b, 6);
	put_text(b, "source"), put_text(b, "foe");
	put_text(b, "n"), put_int(b, 1 + i);
	put_text(b, "kind"), put_text(b, "receipt");
	put_text(b, "sku"), put_raw(b, sku);
	put_text(b, "location"), put_text(b, "FOE");
	put_text(b, "qty"), put_raw(b, qty);
}

#define RAW(literal) ((struct bytes){ (const uint8_t *)(literal), sizeof(literal) - 1 })

static void
put_http(struct buffer *b, const char *text)
{
	buffer_append(b, text, strlen(text));
}

/* An event brought to the door's server. */
static void
bring_event(struct buffer *b, enum door door, unsigned i, struct bytes sku, struct bytes qty)
{
	struct buffer body = { 0 };
	put_event(&body, i, sku, qty);
	if (door == DOOR_RPC) {
		APPEND(b, "\x94\x00\x01\xa4post\x91\x91");
		buffer_append(b, body.at, body.used);
	} else {
		greet(b, door);
		put_message(b, door, i, &body);
	}
	buffer_fini(&body);
}

/* Bytes that are the whole body of a message at the door. */
static void
bring_body(struct buffer *b, enum door door, unsigned i, const struct buffer *body)
{
	if (door == DOOR_RPC)
		buffer_append(b, body->at, body->used);
	else {
		greet(b, door);
		put_message(b, door, i, body);
	}
}

/* ---- what is said ---- */

void
bytes_request(struct buffer *b, enum door door, unsigned i)
{
	if (door == DOOR_HTTP)
		put_http(b, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
	else if (door == DOOR_FEED)
		greet(b, door);
	else
		bring_event(b, door, i % 100, RAW("\xa3SKU"), RAW("\x01"));
}

void
bytes_half(struct buffer *b, enum door door, unsigned i)
{
	bytes_request(b, door, i);
	b->used -= b->used / 3;
}

void
bytes_truncated(struct buffer *b, enum door door, unsigned i)
{
	bytes_request(b, door, i);
	b->used = 1 + (i * 7) % b->used;
}

void
bytes_nested(struct buffer *b, enum door door, unsigned i)
{
	struct buffer body = { 0 };
	if (door == DOOR_HTTP)
		put_http(&body, "GET ");
	else if (i & 1)
		APPEND(&body, "\x94\x00\x01\xa3" "ats\x91");
	for (int k = 0; k < NEST; k++)
		put_http(&body, door == DOOR_HTTP ? "/.." : i & 2 ? "\x81" : "\x91");
	put_http(&body, door == DOOR_HTTP ? " HTTP/1.1\r\n\r\n" : "\xc0");
	if (door == DOOR_HTTP)
		buffer_append(b, body.at, body.used);
	else
		bring_body(b, door, i, &body);
	buffer_fini(&body);
}

/* Lengths of 4 GiB and more: of strings, arrays, maps, binaries, extensions, and of the message itself. */
void
bytes_length(struct buffer *b, enum door door, unsigned i)
{
	static const uint8_t forms[] = { 0xdb, 0xdd, 0xdf, 0xc6, 0xc9 };
	static const uint64_t lengths[] = { 0xffffffff, UINT64_C(1) << 32, UINT64_C(1) << 40, UINT64_MAX, INT64_MAX };
	struct buffer body = { 0 };
	if (door == DOOR_HTTP)
		put_http(b, i & 1 ? "POST /metrics HTTP/1.1\r\nContent-Length: 4294967296\r\n\r\nx" :
		    "POST /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\nx");
	else if (door != DOOR_RPC && (i & 1)) {
		greet(b, door);
		put_length(b, lengths[i / 2 % 5]);
		APPEND(b, "\x80\0\0\1\x81\xa1");
	} else {
		APPEND(&body, "\x94\x00\x01\xa4post\x91");
		if (i & 4)
			body.used = 0;
		buffer_append(&body, &forms[i / 2 % 5], 1);
		APPEND(&body, "\xff\xff\xff\xff\x01\x02\x03");
		bring_body(b, door, i, &body);
	}
	buffer_fini(&body);
}

void
bytes_float(struct buffer *b, enum door door, unsigned i)
{
	bring_event(b, door, i, RAW("\xa3SKU"), i & 1 ? RAW("\xcb\x3f\xf8\0\0\0\0\0\0") : RAW("\xca\x7f\xc0\0\0"));
}

void
bytes_text(struct buffer *b, enum door door, unsigned i)
{
	if (door == DOOR_HTTP)
		put_http(b, "GET /\xff\xfe\xc0\x80%zz HTTP/1.1\r\n\xff: \xfe\r\n\r\n");
	else
		bring_event(b, door, i, i & 1 ? RAW("\xa4\xff\xfe\xc0\x80") : RAW("\xa3\xed\xa0\x80"), RAW("\x01"));
}

void
bytes_garbage(struct buffer *b, enum door door, unsigned i)
{
	uint64_t x = 0x9e3779b97f4a7c15u * (i + 1);
	if (door != DOOR_RPC && door != DOOR_HTTP && (i & 1))
		greet(b, door);
	for (int k = 0; k < GARBAGE_BYTES; k += 8) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		buffer_append(b, &x, 8);
	}
}

/* Asks for far more than it will read. */
void
bytes_hungry(struct buffer *b, enum door door, unsigned i)
{
	struct buffer body = { 0 };
	if (door == DOOR_RPC)
		for (int k = 0; k < HUNGRY_SCANS; k++)
			APPEND(b, "\x94\x00\x01\xa4scan\x91\x81\xa5limit\xcd\x27\x10");
	else if (door == DOOR_HTTP)
		for (int k = 0; k < HUNGRY_PAGES; k++)
			put_http(b, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
	else {
		greet(b, door);
		put_array(&body, HUNGRY_EVENTS);
		for (int k = 0; k < HUNGRY_EVENTS; k++)
			APPEND(&body, "\x81\xa4kind\xa4sale");
		for (unsigned k = 0; k < HUNGRY_MESSAGES && door == DOOR_EVENTS; k++)
			put_message(b, door, i * HUNGRY_MESSAGES + k, &body);
	}
	buffer_fini(&body);
}
