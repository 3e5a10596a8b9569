/*
 * codec_read.h: a pull reader over msgpack bytes, scanned before or looked at for the first time. It allocates nothing, copies nothing and
 * never reads past its end, whatever the bytes are.
 *
 * Each reader_x() returns true and moves behind the object when it is an x; otherwise false, and stands where it was. Strings
 * are borrowed from the message. Any thread; a reader belongs to one.
 */
#ifndef HOLDFAST_NET_CODEC_READ_H
#define HOLDFAST_NET_CODEC_READ_H

#include "core/base.h"

struct reader {
	const uint8_t *at, *end;
};

static inline bool
reader_nil(struct reader *r)
{
	if (r->at == r->end || *r->at != 0xc0)
		return false;
	r->at++;
	return true;
}

bool reader_bool(struct reader *, bool *);
/* The forms that are longer, or wrong, or cut: what the inline readers below leave. */
bool reader_int_long(struct reader *, int64_t *);
bool reader_str_long(struct reader *, struct bytes *);
bool reader_array_long(struct reader *, uint32_t *n);
bool reader_map_long(struct reader *, uint32_t *pairs);

/* Any integer form that fits; floats, even whole ones, are no integers (D6). */
static inline bool
reader_int(struct reader *r, int64_t *v)
{
	size_t left = (size_t)(r->end - r->at);
	uint32_t four;
	if (left > 0 && *r->at <= 0x7f) {
		*v = *r->at++;
		return true;
	}
	if (left < 5 || *r->at != 0xce) /* numbers of messages, times to live */
		return reader_int_long(r, v);
	memcpy(&four, r->at + 1, sizeof four);
	*v = __builtin_bswap32(four);
	r->at += 5;
	return true;
}

/* The same within low..high. */
static inline bool
reader_int_in(struct reader *r, int64_t low, int64_t high, int64_t *v)
{
	const uint8_t *before = r->at;
	int64_t got;
	if (!reader_int(r, &got) || got < low || got > high) {
		r->at = before;
		return false;
	}
	*v = got;
	return true;
}

static inline bool
reader_str(struct reader *r, struct bytes *s)
{
	size_t left = (size_t)(r->end - r->at);
	if (left == 0 || *r->at < 0xa0 || *r->at > 0xbf || (size_t)(*r->at & 0x1f) >= left)
		return reader_str_long(r, s);
	*s = (struct bytes){ r->at + 1, *r->at & 0x1f };
	r->at += 1 + s->n;
	return true;
}

static inline bool
reader_array(struct reader *r, uint32_t *n)
{
	if (r->at == r->end || (*r->at & 0xf0) != 0x90)
		return reader_array_long(r, n);
	*n = *r->at++ & 0x0f;
	return true;
}

static inline bool
reader_map(struct reader *r, uint32_t *pairs)
{
	if (r->at == r->end || (*r->at & 0xf0) != 0x80)
		return reader_map_long(r, pairs);
	*pairs = *r->at++ & 0x0f;
	return true;
}

/* Passes over any one object; false: the bytes end before it, or are no msgpack. */
bool reader_skip(struct reader *);

/* Eight bytes that are all plain: none below 0x20, none above 0x7f. The subtraction borrows only from a byte that fails. */
static inline bool
text_plain8(const uint8_t *at)
{
	uint64_t x;
	memcpy(&x, at, sizeof x);
	return ((x | (x - UINT64_C(0x2020202020202020))) & UINT64_C(0x8080808080808080)) == 0;
}

static inline bool
text_plain4(const uint8_t *at)
{
	uint32_t x;
	memcpy(&x, at, sizeof x);
	return ((x | (x - 0x20202020u)) & 0x80808080u) == 0;
}

/* The same of any string, byte by byte where it must be. */
bool text_valid_long(struct bytes, uint32_t most);

/* D7: 1 to `most` bytes of valid UTF-8, none below 0x20. */
static inline bool
text_valid(struct bytes s, uint32_t most)
{
	if (s.n >= 8 && s.n <= 32 && s.n <= most && text_plain8(s.at) && text_plain8(s.at + s.n - 8) &&
	    (s.n <= 16 || (text_plain8(s.at + 8) && text_plain8(s.at + s.n - 16))))
		return true; /* most names */
	if (s.n >= 4 && s.n < 8 && s.n <= most && text_plain4(s.at) && text_plain4(s.at + s.n - 4))
		return true; /* most places */
	return text_valid_long(s, most);
}

/* A short string's text, looked at in words: 32 bytes may be read at `at`, n of them, 1 to 31, count. */
static inline bool
text_plain_short(const uint8_t *at, uint32_t n)
{
	uint64_t bad = 0, x;
	uint32_t i = 0;
	for (; i + 8 < n; i += 8) {
		memcpy(&x, at + i, sizeof x);
		bad |= x | (x - UINT64_C(0x2020202020202020));
	}
	memcpy(&x, at + i, sizeof x);
	bad |= (x | (x - UINT64_C(0x2020202020202020))) << 8 * (8 - (n - i)); /* what lies behind the text is shifted out */
	return (bad & UINT64_C(0x8080808080808080)) == 0;
}

/* What reader_text() leaves: long ones, those at the end of the bytes, those that are not plain, and what is none. */
bool reader_text_long(struct reader *, uint32_t most, struct bytes *);

/* A string that is text_valid(). */
static inline bool
reader_text(struct reader *r, uint32_t most, struct bytes *s)
{
	const uint8_t *at = r->at;
	uint32_t n = r->end - at > 32 ? *at ^ 0xa0u : 0;
	if (n == 0 || n > 31 || n > most || !text_plain_short(at + 1, n))
		return reader_text_long(r, most, s);
	*s = (struct bytes){ at + 1, n };
	r->at = at + 1 + n;
	return true;
}

/* The text that was read before (empty: none), in its shortest form again. */
static inline bool
reader_text_again(struct reader *r, struct bytes before)
{
	if (before.n - 1 >= 31 || (size_t)(r->end - r->at) <= before.n || *r->at != (0xa0 | before.n) || !memory_equal(r->at + 1, before.at, before.n))
		return false;
	r->at += 1 + before.n;
	return true;
}

/* The keys of a map in the order writers usually send them. */
struct key {
	const char *name;
	uint32_t n; /* below 32 */
};
#define KEY(text) { text, sizeof(text) - 1 }
#define KEY_UNKNOWN (-1)
#define KEY_BROKEN  (-2)
/*
 * Reads one key (any object) and says its index in `keys`, KEY_UNKNOWN (the caller skips the value) or KEY_BROKEN (the bytes
 * end). *hint: where to look first, 0 at the start of a map; kept from pair to pair, an ordered map costs one comparison a key.
 */
int reader_key(struct reader *, const struct key *keys, int keys_n, int *hint);

/*
 * The head of what wants to be a request, also of one that is not whole or has a wrong form: its message number, so that it can be
 * answered. A response or a notification has none: nobody waits for an answer to it.
 */
bool reader_msgid(const uint8_t *frame, size_t n, uint32_t *msgid);

#endif
