/*
 * codec_read.c: numbers are big-endian on the wire; a string is checked eight bytes at a time while it is plain ASCII.
 */
#include "net/codec_read.h"

#include "net/scanner.h"

static inline size_t
left(const struct reader *r)
{
	return (size_t)(r->end - r->at);
}

static inline uint64_t
big_endian(const uint8_t *at, uint32_t n)
{
	uint64_t v = 0;
	for (uint32_t i = 0; i < n; i++)
		v = v << 8 | at[i];
	return v;
}

bool
reader_bool(struct reader *r, bool *v)
{
	if (left(r) == 0 || (*r->at != 0xc2 && *r->at != 0xc3))
		return false;
	*v = *r->at++ == 0xc3;
	return true;
}

bool
reader_int_long(struct reader *r, int64_t *v)
{
	if (left(r) == 0)
		return false;
	uint8_t b = *r->at;
	if (b <= 0x7f || b >= 0xe0) {
		*v = (int8_t)b;
		r->at++;
		return true;
	}
	if (b < 0xcc || b > 0xd3)
		return false;
	uint32_t width = 1u << (b & 3); /* 0xcc..0xcf and 0xd0..0xd3: 1, 2, 4, 8 bytes */
	if (left(r) < 1 + width)
		return false;
	uint64_t u = big_endian(r->at + 1, width);
	if (b == 0xcf && u > INT64_MAX)
		return false;
	uint32_t unused = 64 - 8 * width;
	*v = b >= 0xd0 ? (int64_t)(u << unused) >> unused : (int64_t)u;
	r->at += 1 + width;
	return true;
}

/* A length field of `width` bytes behind the first byte. */
static bool
long_head(struct reader *r, uint32_t width, uint32_t *n)
{
	if (left(r) < 1 + width)
		return false;
	*n = (uint32_t)big_endian(r->at + 1, width);
	r->at += 1 + width;
	return true;
}

bool
reader_str_long(struct reader *r, struct bytes *s)
{
	struct reader before = *r;
	uint32_t n = 0;
	if (left(r) == 0)
		return false;
	uint8_t b = *r->at;
	if (b >= 0xa0 && b <= 0xbf) {
		n = b & 0x1f;
		r->at++;
	} else if (b < 0xd9 || b > 0xdb || !long_head(r, 1u << (b - 0xd9), &n)) {
		return false;
	}
	if (n > left(r)) {
		*r = before;
		return false;
	}
	*s = (struct bytes){ r->at, n };
	r->at += n;
	return true;
}

static bool
container(struct reader *r, uint8_t fix, uint8_t first_long, uint32_t *n)
{
	if (left(r) == 0)
		return false;
	uint8_t b = *r->at;
	if ((b & 0xf0) == fix) {
		*n = b & 0x0f;
		r->at++;
		return true;
	}
	if (b != first_long && b != first_long + 1)
		return false;
	return long_head(r, b == first_long ? 2 : 4, n);
}

bool
reader_array_long(struct reader *r, uint32_t *n)
{
	return container(r, 0x90, 0xdc, n);
}

bool
reader_map_long(struct reader *r, uint32_t *pairs)
{
	return container(r, 0x80, 0xde, pairs);
}

bool
reader_skip(struct reader *r)
{
	struct scanner s;
	size_t end;
	scanner_init(&s);
	if (left(r) == 0 || scanner_scan(&s, r->at, left(r), left(r), &end) != SCAN_WHOLE)
		return false;
	r->at += end;
	return true;
}

/* One multi-byte UTF-8 sequence at `at`: its length, or 0. Overlong forms, surrogates and beyond U+10FFFF are none. */
static uint32_t
sequence(const uint8_t *at, uint32_t n)
{
	static const uint32_t lowest[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t width = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
	if (at[0] < 0xc2 || at[0] > 0xf4 || width > n)
		return 0;
	uint32_t point = at[0] & (0x7fu >> width);
	for (uint32_t i = 1; i < width; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (at[i] & 0x3f);
	}
	bool surrogate = point >= 0xd800 && point <= 0xdfff;
	return point < lowest[width] || surrogate || point > 0x10ffff ? 0 : width;
}

bool
text_valid_long(struct bytes s, uint32_t most)
{
	if (s.n == 0 || s.n > most)
		return false;
	for (uint32_t i = 0; i < s.n;) {
		if (s.n - i >= 8 && text_plain8(s.at + i)) {
			i += 8;
		} else if (s.at[i] < 0x80) {
			if (s.at[i] < 0x20)
				return false;
			i++;
		} else {
			uint32_t width = sequence(s.at + i, s.n - i);
			if (width == 0)
				return false;
			i += width;
		}
	}
	return true;
}

bool
reader_text_long(struct reader *r, uint32_t most, struct bytes *s)
{
	const uint8_t *before = r->at;
	struct bytes got;
	if (!reader_str(r, &got) || !text_valid(got, most)) {
		r->at = before;
		return false;
	}
	*s = got;
	return true;
}

/* Of its own length: the shortest by a loop, which beats a call, longer ones by words. */
static inline bool
key_is(const struct key *key, const uint8_t *at)
{
	uint32_t i = 0;
	if (key->n >= 4)
		return memory_equal((const uint8_t *)key->name, at, key->n);
	while (i < key->n && (uint8_t)key->name[i] == at[i])
		i++;
	return i == key->n;
}

/* The key is not the one that was expected. */
static __attribute__((noinline)) int
key_search(struct reader *r, const struct key *keys, int keys_n, int *hint)
{
	struct bytes name;
	if (!reader_str(r, &name))
		return reader_skip(r) ? KEY_UNKNOWN : KEY_BROKEN;
	int i = *hint;
	for (int tried = 0; tried < keys_n; tried++, i++) {
		if (i >= keys_n)
			i = 0;
		if (keys[i].n == name.n && key_is(&keys[i], name.at)) {
			*hint = i + 1;
			return i;
		}
	}
	return KEY_UNKNOWN;
}

int
reader_key(struct reader *r, const struct key *keys, int keys_n, int *hint)
{
	int i = *hint < keys_n ? *hint : 0;
	if (left(r) <= keys[i].n || *r->at != (0xa0 | keys[i].n) || !key_is(&keys[i], r->at + 1))
		return key_search(r, keys, keys_n, hint);
	r->at += 1 + keys[i].n;
	*hint = i + 1;
	return i;
}

bool
reader_msgid(const uint8_t *frame, size_t n, uint32_t *msgid)
{
	struct reader r = { frame, frame + n };
	uint32_t parts;
	int64_t type = 0, id;
	if (!reader_array(&r, &parts) || parts < 2 || (!reader_int(&r, &type) && !reader_skip(&r)))
		return false;
	if (type == 1 || type == 2 || !reader_int_in(&r, 0, UINT32_MAX, &id))
		return false;
	*msgid = (uint32_t)id;
	return true;
}
