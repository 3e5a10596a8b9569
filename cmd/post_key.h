/*
 * post_key.h: the keys of a stock event as a file names them, what a row that lacks one gets, and how the text of a value becomes the
 * value: digits an integer, a date an instant.
 *
 * P1: a value that does not fit its key (a quantity "x") is sent as the text it is. The server refuses such an event, and because
 *     it has an identity keeps it in the quarantine and counts its number as seen, so that one bad row leaves no gap.
 */
#ifndef HOLDFAST_CMD_POST_KEY_H
#define HOLDFAST_CMD_POST_KEY_H

#include "core/base.h"

/* X(name, wire name, kind of value), in the order in which decoders like them. */
#define POST_KEYS(X) \
	X(SOURCE, "source", TEXT) X(N, "n", INTEGER) X(KIND, "kind", TEXT) X(SKU, "sku", TEXT) X(LOCATION, "location", TEXT) \
	X(QTY, "qty", INTEGER) X(AT, "at", INSTANT) X(ID, "id", TEXT) X(UNIT, "unit", TEXT) X(REF, "ref", TEXT) X(REASON, "reason", TEXT) \
	X(TO, "to", TEXT) X(TO_LOCATION, "to_location", TEXT) X(RETIRES, "retires", TEXT) X(AS_OF, "as_of", INSTANT) \
	X(EXPECTED, "expected", INTEGER) X(DUE, "due", INSTANT) X(ABSENT, "absent", TEXT)

enum post_key {
#define X(name, text, kind) POST_##name,
	POST_KEYS(X)
#undef X
	POST_KEY_COUNT
};

#define POST_NUMBER_TEXT 24 /* a number's digits */

struct post_defaults {
	struct bytes value[POST_KEY_COUNT];
	int64_t next_number; /* 0: rows are not numbered */
};

/* The key with this name, or -1. */
int post_key_find(const char *name, size_t n);
const char *post_key_name(enum post_key);
/* What a row without this key gets; empty: nothing. Borrowed, or in `text`. */
struct bytes post_key_default(const struct post_defaults *, enum post_key, char text[POST_NUMBER_TEXT]);
/* Writes key and value as the key's kind asks for (P1); returns where it ends. NULL: no room before `end`, nothing was written. */
uint8_t *post_key_put(uint8_t *, const uint8_t *end, enum post_key, struct bytes value, int64_t *number);

#endif
