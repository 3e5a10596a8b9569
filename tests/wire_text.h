/*
 * wire_text.h: msgpack written and shown as text, so that tests of the protocol read as what a person would type.
 */
#ifndef HOLDFAST_TESTS_WIRE_TEXT_H
#define HOLDFAST_TESTS_WIRE_TEXT_H

#include "net/buffer.h"

/*
 * Appends one value: JSON with single quotes, nil for null; a number with a point becomes the double 2.0. Containers get
 * their longest form, the others what msgpack-c chooses. The text must be well formed.
 */
void wire_from_text(struct buffer *, const char *text);

/* What msgpack-c reads in the bytes, printed in its own way; static. "not one object" when they are none or more. */
const char *wire_to_text(const void *bytes, size_t n);

/* True when `text` is `pattern`, in which each * stands for any run of characters. */
bool wire_like(const char *text, const char *pattern);

#endif
