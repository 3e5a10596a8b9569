#include "core/refs.h"

static const uint8_t *
get_string(const uint8_t *at, const uint8_t *end, struct bytes *b)
{
	uint64_t n = 0;
	at = varint_get(at, end, &n);
	ensure(at != NULL && n <= (uint64_t)(end - at)); /* evolve wrote it */
	*b = (struct bytes){ at, (uint32_t)n };
	return at + n;
}

struct bytes
refs_begin(struct bytes extra, struct refs *refs)
{
	struct bytes owner = { NULL, 0 };
	*refs = (struct refs){ extra.at, extra.n ? extra.at + extra.n : extra.at };
	if (extra.n)
		refs->at = get_string(refs->at, refs->end, &owner);
	return owner;
}

const uint8_t *
ref_moved(const uint8_t *at, const uint8_t *end, uint32_t *line, uint32_t *units)
{
	uint64_t l = 0, u = 0;
	at = varint_get(at, end, &l);
	at = varint_get(at, end, &u);
	ensure(at != NULL);
	*line = (uint32_t)l;
	*units = (uint32_t)u;
	return at;
}

bool
refs_next(struct refs *refs, struct ref *r)
{
	uint64_t v = 0;
	uint32_t ignored;
	if (refs->at == refs->end)
		return false;
	r->operation = *refs->at++;
	refs->at = get_string(refs->at, refs->end, &r->ref);
	memcpy(&r->digest, refs->at, sizeof r->digest);
	refs->at = varint_get(refs->at + sizeof r->digest, refs->end, &r->seq);
	r->state = *refs->at++;
	refs->at = varint_get(refs->at, refs->end, &v);
	r->moved_n = (uint32_t)v;
	r->moved = refs->at;
	for (uint32_t i = 0; i < r->moved_n; i++)
		refs->at = ref_moved(refs->at, refs->end, &ignored, &ignored);
	return true;
}

static uint8_t *
put_string(uint8_t *at, struct bytes b)
{
	at = varint_put(at, b.n);
	if (b.n)
		memcpy(at, b.at, b.n);
	return at + b.n;
}

uint8_t *
refs_put_owner(uint8_t *at, struct bytes owner)
{
	return put_string(at, owner);
}

uint8_t *
ref_put(uint8_t *at, const struct ref *r)
{
	*at++ = r->operation;
	at = put_string(at, r->ref);
	memcpy(at, &r->digest, sizeof r->digest);
	at = varint_put(at + sizeof r->digest, r->seq);
	*at++ = r->state;
	return varint_put(at, r->moved_n);
}

uint8_t *
ref_put_moved(uint8_t *at, uint32_t line, uint32_t units)
{
	return varint_put(varint_put(at, line), units);
}
