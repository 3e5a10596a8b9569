/*
 * post_json.c: one line of JSON as one stock event. Keys that the row lacks come from the defaults; unknown keys go along as they
 * are (the server ignores what it does not know).
 */
#include "cmd/post_row.h"
#include "net/codec_write.h"

#include <jansson.h>
#include <stdlib.h>

#define DEPTH_MAX 8

/* Every JSON value has a msgpack form not longer than its text plus nine bytes; `end` bounds it all the same. NULL: no room. */
static uint8_t *
put_json(uint8_t *p, const uint8_t *end, const json_t *j, int depth)
{
	const char *key;
	json_t *item;
	size_t i;
	if (depth > DEPTH_MAX || end - p < WIRE_INT_BYTES_MAX)
		return NULL;
	switch (json_typeof(j)) {
	case JSON_STRING: {
		struct bytes s = { (const uint8_t *)json_string_value(j), (uint32_t)json_string_length(j) };
		return (size_t)(end - p) < s.n + (size_t)WIRE_STR_HEAD_MAX ? NULL : wire_str(p, s);
	}
	case JSON_INTEGER:
		return wire_int(p, json_integer_value(j));
	case JSON_REAL: {
		double v = json_real_value(j);
		uint64_t bits;
		memcpy(&bits, &v, sizeof bits);
		return wire_big_endian(p, 0xcb, bits, 8);
	}
	case JSON_TRUE:
	case JSON_FALSE:
		*p++ = json_is_true(j) ? 0xc3 : 0xc2;
		return p;
	case JSON_NULL:
		*p++ = 0xc0;
		return p;
	case JSON_ARRAY:
		p = wire_array(p, (uint32_t)json_array_size(j));
		json_array_foreach(j, i, item)
			if (p)
				p = put_json(p, end, item, depth + 1);
		return p;
	case JSON_OBJECT:
		p = wire_big_endian(p, 0xdf, json_object_size(j), 4);
		json_object_foreach((json_t *)(uintptr_t)j, key, item) {
			size_t n = strlen(key);
			if (!p || (size_t)(end - p) < n + WIRE_STR_HEAD_MAX)
				return NULL;
			p = wire_str(p, (struct bytes){ (const uint8_t *)key, (uint32_t)n });
			p = put_json(p, end, item, depth + 1);
		}
		return p;
	}
	return NULL;
}

/* A time given as text becomes an instant, as in CSV; all other texts stay what they are. */
static uint8_t *
put_member(uint8_t *p, const uint8_t *end, const char *key, const json_t *item, struct post_event *event)
{
	size_t n = strlen(key);
	int k = post_key_find(key, n);
	int64_t unused;
	if ((size_t)(end - p) < n + WIRE_STR_HEAD_MAX)
		return NULL;
	if ((k == POST_AT || k == POST_AS_OF || k == POST_DUE) && json_is_string(item) && json_string_length(item) < 64)
		return post_key_put(p, end, (enum post_key)k,
		    (struct bytes){ (const uint8_t *)json_string_value(item), (uint32_t)json_string_length(item) }, &unused);
	if (k == POST_N && json_is_integer(item))
		event->number = json_integer_value(item);
	p = wire_str(p, (struct bytes){ (const uint8_t *)key, (uint32_t)n });
	return put_json(p, end, item, 0);
}

/* Values that the row itself lacks. One with an id needs no number. */
static uint8_t *
put_defaults(const struct post_defaults *d, uint8_t *p, const uint8_t *end, const json_t *j, uint32_t *pairs, struct post_event *event)
{
	bool has_id = json_object_get(j, "id") != NULL;
	int64_t unused;
	char text[POST_NUMBER_TEXT];
	for (int k = 0; k < POST_KEY_COUNT && p; k++) {
		struct bytes value = k == POST_N && has_id ? d->value[k] : post_key_default(d, (enum post_key)k, text);
		if (!value.n || json_object_get(j, post_key_name((enum post_key)k)))
			continue;
		p = post_key_put(p, end, (enum post_key)k, value, k == POST_N ? &event->number : &unused);
		++*pairs;
	}
	return p;
}

void
post_json_event(const struct post_defaults *d, struct bytes line, uint8_t *room, struct post_event *event)
{
	const uint8_t *end = room + POST_EVENT_ROOM;
	uint8_t *p = room + WIRE_FIXED_BYTES;
	const char *key;
	json_t *item, *j = json_loadb((const char *)line.at, line.n, JSON_REJECT_DUPLICATES, NULL);
	*event = (struct post_event){ .bytes = room };
	if (!json_is_object(j)) {
		event->defect = "the line is no JSON object";
		json_decref(j);
		return;
	}
	uint32_t pairs = (uint32_t)json_object_size(j);
	json_object_foreach(j, key, item)
		if (p)
			p = put_member(p, end, key, item, event);
	if (p)
		p = put_defaults(d, p, end, j, &pairs, event);
	event->dated = json_object_get(j, "at") || d->value[POST_AT].n;
	const json_t *source = json_object_get(j, "source");
	size_t n = source ? json_string_length(source) : 0;
	if (n > 0 && n <= sizeof event->kept) {
		memcpy(event->kept, json_string_value(source), n);
		event->source = (struct bytes){ event->kept, (uint32_t)n };
	} else if (!source) {
		event->source = d->value[POST_SOURCE];
	}
	json_decref(j);
	if (!p) {
		event->defect = POST_TOO_LONG;
		return;
	}
	/* The head has a fixed width of five bytes, right before the first key. */
	wire_big_endian(room + WIRE_FIXED_BYTES - 5, 0xdf, pairs, 4);
	event->bytes = room + WIRE_FIXED_BYTES - 5;
	event->n = (uint32_t)(p - event->bytes);
}
