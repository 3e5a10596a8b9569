/*
 * client_value.c: msgpack for the client. Requests are packed straight into the connection's queue; an answer is unpacked by
 * msgpack-c (after the scanner found it whole and harmless) and turned into a tree of struct hf_value in the same zone.
 */
#include "net/client.h"

#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ZONE_CHUNK_BYTES 8192

struct client_zone {
	msgpack_zone zone;
};

struct client_zone *
client_zone_new(void)
{
	struct client_zone *z = malloc(sizeof *z);
	if (z && !msgpack_zone_init(&z->zone, ZONE_CHUNK_BYTES)) {
		free(z);
		return NULL;
	}
	return z;
}

void
client_zone_free(struct client_zone *z)
{
	if (!z)
		return;
	msgpack_zone_destroy(&z->zone);
	free(z);
}

/* ---- answers ---- */

static bool value_from(msgpack_zone *, const msgpack_object *, struct hf_value *);

static bool
value_array(msgpack_zone *zone, const msgpack_object *o, struct hf_value *v)
{
	uint32_t n = o->via.array.size;
	struct hf_value *items = msgpack_zone_malloc(zone, (n ? n : 1) * sizeof *items);
	if (!items)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (!value_from(zone, &o->via.array.ptr[i], &items[i]))
			return false;
	v->type = HF_ARRAY;
	v->array.items = items;
	v->array.n = n;
	return true;
}

static bool
value_map(msgpack_zone *zone, const msgpack_object *o, struct hf_value *v)
{
	uint32_t n = o->via.map.size;
	struct hf_value *pairs = msgpack_zone_malloc(zone, (n ? n : 1) * 2 * sizeof *pairs);
	if (!pairs)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (!value_from(zone, &o->via.map.ptr[i].key, &pairs[2 * i]) ||
		    !value_from(zone, &o->via.map.ptr[i].val, &pairs[2 * i + 1]))
			return false;
	v->type = HF_MAP;
	v->map.pairs = pairs;
	v->map.n = n;
	return true;
}

/* Recursion is bounded by SCAN_DEPTH_MAX. Floats and extensions are not in the protocol: nil. */
static bool
value_from(msgpack_zone *zone, const msgpack_object *o, struct hf_value *v)
{
	switch (o->type) {
	case MSGPACK_OBJECT_BOOLEAN:
		v->type = HF_BOOL;
		v->boolean = o->via.boolean;
		return true;
	case MSGPACK_OBJECT_POSITIVE_INTEGER:
		v->type = HF_INT;
		v->integer = o->via.u64 > INT64_MAX ? INT64_MAX : (int64_t)o->via.u64;
		return true;
	case MSGPACK_OBJECT_NEGATIVE_INTEGER:
		v->type = HF_INT;
		v->integer = o->via.i64;
		return true;
	case MSGPACK_OBJECT_STR:
		v->type = HF_STR;
		v->str.at = o->via.str.ptr;
		v->str.n = o->via.str.size;
		return true;
	case MSGPACK_OBJECT_BIN:
		v->type = HF_BIN;
		v->str.at = o->via.bin.ptr;
		v->str.n = o->via.bin.size;
		return true;
	case MSGPACK_OBJECT_ARRAY:
		return value_array(zone, o, v);
	case MSGPACK_OBJECT_MAP:
		return value_map(zone, o, v);
	default:
		v->type = HF_NIL;
		return true;
	}
}

const struct hf_value *
client_parse(struct client_zone *z, const uint8_t *bytes, size_t n)
{
	size_t off = 0;
	msgpack_object object;
	msgpack_zone_clear(&z->zone);
	struct hf_value *v = msgpack_zone_malloc(&z->zone, sizeof *v);
	msgpack_unpack_return got = msgpack_unpack((const char *)bytes, n, &off, &z->zone, &object);
	if (!v || (got != MSGPACK_UNPACK_SUCCESS && got != MSGPACK_UNPACK_EXTRA_BYTES) || !value_from(&z->zone, &object, v))
		return NULL;
	return v;
}

bool
client_decode(struct client_zone *z, const uint8_t *frame, size_t n, struct client_answer *answer)
{
	const struct hf_value *v = client_parse(z, frame, n);
	if (!v || v->type != HF_ARRAY || v->array.n < 3)
		return false;
	const struct hf_value *part = v->array.items;
	memset(answer, 0, sizeof *answer);
	if (part[0].type != HF_INT)
		return false;
	if (part[0].integer == 2) {
		answer->notification = true;
		answer->method = &part[1];
		answer->params = &part[2];
		return v->array.n == 3 && part[1].type == HF_STR && part[2].type == HF_ARRAY;
	}
	if (v->array.n != 4 || part[0].integer != 1 || part[1].type != HF_INT || part[1].integer < 0 || part[1].integer > UINT32_MAX)
		return false;
	answer->number = (uint32_t)part[1].integer;
	answer->error = part[2].type == HF_NIL ? NULL : &part[2];
	answer->result = &part[3];
	return true;
}

const struct hf_value *
hf_get(const struct hf_value *map, const char *key)
{
	if (!map || map->type != HF_MAP)
		return NULL;
	size_t n = strlen(key);
	for (uint32_t i = 0; i < map->map.n; i++) {
		const struct hf_value *k = &map->map.pairs[2 * i];
		if (k->type == HF_STR && k->str.n == n && memcmp(k->str.at, key, n) == 0)
			return k + 1;
	}
	return NULL;
}

int64_t
hf_int(const struct hf_value *v, int64_t otherwise)
{
	return v && v->type == HF_INT ? v->integer : otherwise;
}

static void
text_of(const struct hf_value *v, char *to, size_t size)
{
	if (v->type == HF_STR)
		snprintf(to, size, "%.*s", (int)v->str.n, v->str.at);
	else
		snprintf(to, size, "internal");
}

/* The server's refusal [code, message, detail]. */
void
client_refused(struct hf_failure *failure, const struct hf_value *error)
{
	memset(failure, 0, sizeof *failure);
	if (error->type != HF_ARRAY || error->array.n < 2) {
		snprintf(failure->code, sizeof failure->code, "internal");
		snprintf(failure->message, sizeof failure->message, "the server answered an error of an unknown shape");
		return;
	}
	text_of(&error->array.items[0], failure->code, sizeof failure->code);
	text_of(&error->array.items[1], failure->message, sizeof failure->message);
	if (error->array.n > 2 && error->array.items[2].type == HF_MAP)
		failure->detail = &error->array.items[2];
}

/* ---- requests ---- */

static int
put(void *data, const char *bytes, size_t n)
{
	buffer_append(data, bytes, n);
	return 0; /* a full buffer is found once, by hf_send() */
}

static msgpack_packer
packer(struct hf *hf)
{
	msgpack_packer p;
	msgpack_packer_init(&p, &hf->building, put);
	return p;
}

/* A request that was begun and never sent is dropped by the next begin. */
void
hf_begin(struct hf *hf, const char *method)
{
	hf->begun = true;
	hf->building.used = 0;
	hf->building.full = false;
	hf->number = hf->number == UINT32_MAX ? 1 : hf->number + 1;
	msgpack_packer p = packer(hf);
	msgpack_pack_array(&p, 4);
	msgpack_pack_uint8(&p, 0);
	msgpack_pack_fix_uint32(&p, hf->number);
	hf_put_str(hf, method);
	hf->params = hf->building.used;
}

void
hf_array(struct hf *hf, uint32_t n)
{
	msgpack_packer p = packer(hf);
	msgpack_pack_array(&p, n);
}

void
hf_map(struct hf *hf, uint32_t n)
{
	msgpack_packer p = packer(hf);
	msgpack_pack_map(&p, n);
}

void
hf_put_bytes(struct hf *hf, const char *s, size_t n)
{
	msgpack_packer p = packer(hf);
	msgpack_pack_str(&p, n);
	msgpack_pack_str_body(&p, s, n);
}

void
hf_put_str(struct hf *hf, const char *s)
{
	hf_put_bytes(hf, s, strlen(s));
}

void
hf_put_int(struct hf *hf, int64_t i)
{
	msgpack_packer p = packer(hf);
	msgpack_pack_int64(&p, i);
}

void
hf_put_bool(struct hf *hf, bool b)
{
	msgpack_packer p = packer(hf);
	if (b)
		msgpack_pack_true(&p);
	else
		msgpack_pack_false(&p);
}

void
hf_put_nil(struct hf *hf)
{
	msgpack_packer p = packer(hf);
	msgpack_pack_nil(&p);
}

void
hf_put_raw(struct hf *hf, const void *bytes, size_t n)
{
	buffer_append(&hf->building, bytes, n);
}

void
hf_put_value(struct hf *hf, const struct hf_value *v)
{
	msgpack_packer p = packer(hf);
	switch (v->type) {
	case HF_NIL:
		msgpack_pack_nil(&p);
		break;
	case HF_BOOL:
		hf_put_bool(hf, v->boolean);
		break;
	case HF_INT:
		msgpack_pack_int64(&p, v->integer);
		break;
	case HF_STR:
		hf_put_bytes(hf, v->str.at, v->str.n);
		break;
	case HF_BIN:
		msgpack_pack_bin(&p, v->str.n);
		msgpack_pack_bin_body(&p, v->str.at, v->str.n);
		break;
	case HF_ARRAY:
		hf_array(hf, v->array.n);
		for (uint32_t i = 0; i < v->array.n; i++)
			hf_put_value(hf, &v->array.items[i]);
		break;
	case HF_MAP:
		hf_map(hf, v->map.n);
		for (uint32_t i = 0; i < 2 * v->map.n; i++)
			hf_put_value(hf, &v->map.pairs[i]);
		break;
	}
}
