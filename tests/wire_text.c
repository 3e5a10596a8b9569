/*
 * wire_text.c: a reader of a small JSON by hand, and msgpack-c's printer.
 */
#include "tests/wire_text.h"

#include "net/codec_write.h"

#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

static const char *
value(struct buffer *b, const char *at);

static const char *
between(const char *at)
{
	return at + strspn(at, " ,:");
}

static const char *
container(struct buffer *b, const char *at)
{
	bool map = *at == '{';
	size_t head = b->used;
	uint32_t n = 0;
	buffer_append(b, map ? "\xdf\0\0\0\0" : "\xdd\0\0\0\0", 5);
	for (at = between(at + 1); *at != ']' && *at != '}'; n++)
		at = between(value(b, at));
	wire_big_endian(b->at + head, map ? 0xdf : 0xdd, map ? n / 2 : n, 4);
	return at + 1;
}

static const char *
value(struct buffer *b, const char *at)
{
	if (*at == '[' || *at == '{')
		return container(b, at);
	if (*at == '\'') {
		const char *end = strchr(at + 1, '\'');
		put_str(b, (struct bytes){ (const uint8_t *)at + 1, (uint32_t)(end - at - 1) });
		return end + 1;
	}
	size_t n = strcspn(at, ",:]} ");
	if (strncmp(at, "nil", 3) == 0)
		put_nil(b);
	else if (strncmp(at, "true", 4) == 0 || strncmp(at, "false", 5) == 0)
		put_bool(b, *at == 't');
	else if (memchr(at, '.', n))
		buffer_append(b, "\xcb\x40\0\0\0\0\0\0\0", 9);
	else
		put_int(b, strtoll(at, NULL, 10));
	return at + n;
}

void
wire_from_text(struct buffer *b, const char *text)
{
	value(b, between(text));
}

const char *
wire_to_text(const void *bytes, size_t n)
{
	static char text[65536];
	msgpack_unpacked object;
	size_t at = 0;
	msgpack_unpacked_init(&object);
	if (msgpack_unpack_next(&object, bytes, n, &at) != MSGPACK_UNPACK_SUCCESS || at != n)
		strcpy(text, "not one object");
	else
		msgpack_object_print_buffer(text, sizeof text, object.data);
	msgpack_unpacked_destroy(&object);
	return text;
}

bool
wire_like(const char *text, const char *pattern)
{
	for (; *pattern && *pattern != '*'; text++, pattern++) {
		if (*text != *pattern)
			return false;
	}
	if (!*pattern)
		return !*text;
	for (; !wire_like(text, pattern + 1); text++) {
		if (!*text)
			return false;
	}
	return true;
}
