/*
 * scanner.c: one table says what each first byte is; the scan walks it with a counter per open level.
 *
 * S1: `at` never passes what was given, and never passes the limit.
 * S2: left[0..depth) are all above 0 between calls: a level that is done is closed at once.
 * S3: an object that claims more children than bytes are left under the limit is refused at its head, if they are more than SHORT_CHILDREN.
 */
#include "net/scanner.h"

#define SHORT_CHILDREN 30 /* as many as one byte of head can claim */

struct form {
	uint8_t length_bytes; /* of the length field behind the first byte */
	uint8_t mask; /* without a length field: the bits of the first byte that are the length */
	uint8_t extra; /* payload besides the length: numbers, the type of an extension */
	uint8_t children; /* per unit of length: array 1, map 2; 0: payload */
};

static const struct form forms[256] = {
	[0x80 ... 0x8f] = { .mask = 0x0f, .children = 2 },
	[0x90 ... 0x9f] = { .mask = 0x0f, .children = 1 },
	[0xa0 ... 0xbf] = { .mask = 0x1f },
	[0xc4] = { .length_bytes = 1 }, [0xc5] = { .length_bytes = 2 }, [0xc6] = { .length_bytes = 4 }, /* bin */
	[0xc7] = { .length_bytes = 1, .extra = 1 }, [0xc8] = { .length_bytes = 2, .extra = 1 }, /* ext */
	[0xc9] = { .length_bytes = 4, .extra = 1 },
	[0xca] = { .extra = 4 }, [0xcb] = { .extra = 8 }, /* float */
	[0xcc] = { .extra = 1 }, [0xcd] = { .extra = 2 }, [0xce] = { .extra = 4 }, [0xcf] = { .extra = 8 }, /* uint */
	[0xd0] = { .extra = 1 }, [0xd1] = { .extra = 2 }, [0xd2] = { .extra = 4 }, [0xd3] = { .extra = 8 }, /* int */
	[0xd4] = { .extra = 2 }, [0xd5] = { .extra = 3 }, [0xd6] = { .extra = 5 }, [0xd7] = { .extra = 9 }, /* fixext */
	[0xd8] = { .extra = 17 },
	[0xd9] = { .length_bytes = 1 }, [0xda] = { .length_bytes = 2 }, [0xdb] = { .length_bytes = 4 }, /* str */
	[0xdc] = { .length_bytes = 2, .children = 1 }, [0xdd] = { .length_bytes = 4, .children = 1 },
	[0xde] = { .length_bytes = 2, .children = 2 }, [0xdf] = { .length_bytes = 4, .children = 2 },
};

/*
 * What the first byte alone tells, the same facts as in `forms`. Low half: the bytes until the next object begins, 0: another kind.
 * High half: the objects inside of an array or map of at most SHORT_CHILDREN that is not empty.
 */
#define FIX4(n) n, n + 1, n + 2, n + 3
#define INSIDE(n) ((n) << 16 | 1)
static const uint32_t plain[256] = {
	[0x00 ... 0x7f] = 1, [0xe0 ... 0xff] = 1,
	[0x81] = INSIDE(2), INSIDE(4), INSIDE(6), INSIDE(8), INSIDE(10), INSIDE(12), INSIDE(14), INSIDE(16), INSIDE(18), INSIDE(20),
	INSIDE(22), INSIDE(24), INSIDE(26), INSIDE(28), INSIDE(30),
	[0x91] = INSIDE(1), INSIDE(2), INSIDE(3), INSIDE(4), INSIDE(5), INSIDE(6), INSIDE(7), INSIDE(8), INSIDE(9), INSIDE(10),
	INSIDE(11), INSIDE(12), INSIDE(13), INSIDE(14), INSIDE(15),
	[0xa0] = FIX4(1), FIX4(5), FIX4(9), FIX4(13), FIX4(17), FIX4(21), FIX4(25), FIX4(29),
	[0xc0] = 1, [0xc2] = 1, [0xc3] = 1, [0xca] = 5, [0xcb] = 9, [0xcc] = 2, [0xcd] = 3, [0xce] = 5, [0xcf] = 9, [0xd0] = 2,
	[0xd1] = 3, [0xd2] = 5, [0xd3] = 9,
};

void
scanner_init(struct scanner *s)
{
	s->depth = 0;
	s->at = 0;
	s->skip = 0;
}

static uint64_t
length_of(const uint8_t *head, const struct form *form)
{
	if (form->length_bytes == 0)
		return head[0] & form->mask;
	uint64_t n = 0;
	for (uint32_t i = 1; i <= form->length_bytes; i++)
		n = n << 8 | head[i];
	return n;
}

/* S3. Every child is one byte at least. */
static bool
claims_too_much(const struct scanner *s, size_t limit)
{
	uint64_t claimed = 0;
	for (uint32_t i = 0; i < s->depth; i++)
		claimed += s->left[i];
	return claimed > limit - s->at;
}

static enum scan
open_level(struct scanner *s, uint64_t children, size_t limit)
{
	if (s->depth == SCAN_DEPTH_MAX)
		return SCAN_TOO_DEEP;
	if (children > 0)
		s->left[s->depth++] = children;
	return children > SHORT_CHILDREN && claims_too_much(s, limit) ? SCAN_TOO_LONG : SCAN_WHOLE;
}

/* Reads the head of one object at s->at and passes over as much of its payload as is there. SCAN_WHOLE: go on. */
static enum scan
scan_object(struct scanner *s, const uint8_t *bytes, size_t n, size_t limit)
{
	const uint8_t *head = bytes + s->at;
	const struct form *form = &forms[head[0]];
	if (head[0] == 0xc1)
		return SCAN_BAD;
	if (1u + form->length_bytes > limit - s->at)
		return SCAN_TOO_LONG;
	if (1u + form->length_bytes > n - s->at)
		return SCAN_MORE;
	uint64_t length = length_of(head, form);
	s->at += 1u + form->length_bytes;
	if (s->depth > 0)
		s->left[s->depth - 1]--;
	if (form->children)
		return open_level(s, length * form->children, limit);
	length += form->extra;
	if (length > limit - s->at)
		return SCAN_TOO_LONG;
	size_t here = length < n - s->at ? length : n - s->at;
	s->at += here;
	s->skip = length - here;
	return SCAN_WHOLE;
}

/* The same of longer strings, and of arrays with two bytes of length: they are frequent, too. Long ones are left to the levels. */
#define LONG_INSIDE_MAX 64
static __attribute__((noinline)) uint32_t
long_head(const uint8_t *head, size_t n)
{
	if (n >= 2 && head[0] == 0xd9)
		return 2u + head[1];
	uint32_t inside = n >= 3 && head[0] == 0xdc ? (uint32_t)head[1] << 8 | head[2] : 0;
	return inside > 0 && inside <= LONG_INSIDE_MAX ? INSIDE(inside) + 2 : 0;
}

/*
 * The common case, a request of one line: an object that is all here, of such parts, so few of them containers that it cannot be too
 * deep. Returns its length, or 0: look closer.
 */
static size_t
scan_small(const uint8_t *bytes, size_t bound)
{
	size_t at = 0, left = 1;
	unsigned containers = 0;
	while (at < bound) {
		uint32_t head = plain[bytes[at]];
		if (__builtin_expect(head == 0, 0) && (head = long_head(bytes + at, bound - at)) == 0)
			return 0;
		at += head & 0xffff;
		if (head > 0xffff && ++containers == SCAN_DEPTH_MAX)
			return 0;
		left += head >> 16;
		if (--left == 0)
			return at <= bound ? at : 0;
	}
	return 0;
}

/* Passes over whole objects that hold no others, at most *left of them. */
static inline const uint8_t *
leaves_pass(const uint8_t *at, const uint8_t *end, uint64_t *left)
{
	uint64_t n = *left;
	for (; n > 0 && at < end; n--) {
		uint32_t head = plain[*at];
		if (head - 1 >= 0xffff || head > (size_t)(end - at))
			break;
		at += head;
	}
	*left = n;
	return at;
}

/* The same of pairs of short texts, the cells of a long read: two bytes are looked at for each, and what they are is not looked up. */
#define PAIR_BYTES_MAX 65
static inline const uint8_t *
pairs_pass(const uint8_t *at, const uint8_t *end, uint64_t *left)
{
	uint64_t n = *left;
	for (; n > 0 && end - at >= PAIR_BYTES_MAX && at[0] == 0x92; n--) {
		uint32_t first = at[1] ^ 0xa0u;
		if (first > 31)
			break;
		uint32_t second = at[2 + first] ^ 0xa0u;
		if (second > 31)
			break;
		at += 3 + first + second;
	}
	*left = n;
	return at;
}

/* The same within an object, level by level. Leaves everything else, and what is cut, to scan_object(). */
static void
scan_plain(struct scanner *s, const uint8_t *bytes, size_t bound)
{
	const uint8_t *at = bytes + s->at, *end = bytes + bound;
	uint32_t depth = s->depth;
	uint64_t left = s->left[depth - 1];
	for (;;) {
		at = leaves_pass(at, end, &left);
		if (depth < SCAN_DEPTH_MAX)
			at = pairs_pass(at, end, &left);
		if (left == 0) {
			if (depth == 1)
				break;
			left = s->left[--depth - 1];
			continue;
		}
		uint32_t head = at < end ? plain[*at] : 0;
		if (head <= 0xffff || depth == SCAN_DEPTH_MAX)
			break;
		at++;
		s->left[depth++ - 1] = left - 1;
		left = head >> 16;
	}
	s->at = (size_t)(at - bytes);
	s->depth = depth;
	s->left[depth - 1] = left;
}

enum scan
scanner_scan(struct scanner *s, const uint8_t *bytes, size_t n, size_t limit, size_t *end)
{
	size_t bound = n < limit ? n : limit;
	if (scanner_rests(s) && (*end = scan_small(bytes, bound)) > 0) /* a caller may have set levels around it */
		return SCAN_WHOLE;
	if (s->skip > 0) {
		size_t here = s->skip < n - s->at ? s->skip : n - s->at;
		s->at += here;
		s->skip -= here;
	}
	for (;;) {
		if (s->skip > 0)
			return SCAN_MORE;
		if (s->depth > 0)
			scan_plain(s, bytes, bound);
		while (s->depth > 0 && s->left[s->depth - 1] == 0)
			s->depth--; /* S2 */
		if (s->depth == 0 && s->at > 0)
			break;
		if (s->at >= limit)
			return SCAN_TOO_LONG;
		if (s->at >= n)
			return SCAN_MORE;
		enum scan scan = scan_object(s, bytes, n, limit);
		if (scan != SCAN_WHOLE)
			return scan;
	}
	*end = s->at;
	return SCAN_WHOLE;
}
