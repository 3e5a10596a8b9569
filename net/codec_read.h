/*
 * codec_read.h: a pull reader over msgpack bytes that the scanner has found whole. It allocates nothing, copies nothing and
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
/* Any integer form that fits; floats, even whole ones, are no integers (D6). */
bool reader_int(struct reader *, int64_t *);
/* The same within low..high. */
bool reader_int_in(struct reader *, int64_t low, int64_t high, int64_t *);
bool reader_str(struct reader *, struct bytes *);
bool reader_array(struct reader *, uint32_t *n);
bool reader_map(struct reader *, uint32_t *pairs);
/* Passes over any one object; false: the bytes end before it, or are no msgpack. */
bool reader_skip(struct reader *);

/* D7: 1 to `most` bytes of valid UTF-8, none below 0x20. */
bool text_valid(struct bytes, uint32_t most);
/* A string that is text_valid(). */
bool reader_text(struct reader *, uint32_t most, struct bytes *);

/* The keys of a map in the order writers usually send them. */
struct key {
	const char *name;
	uint32_t n;
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
