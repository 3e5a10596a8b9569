/*
 * scanner.h: finds where a msgpack object ends, without allocation and resumable, before anything is decoded. It refuses what
 * msgpack-c would choke on: nesting deeper than SCAN_DEPTH_MAX, more bytes than the bound (a claimed length counts at once),
 * the reserved byte 0xc1.
 */
#ifndef HOLDFAST_NET_SCANNER_H
#define HOLDFAST_NET_SCANNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCAN_DEPTH_MAX   16
#define MESSAGE_BYTES_MAX ((size_t)1 << 20)
/* What wrapping an event message of MESSAGE_BYTES_MAX into a `post` request adds, and a little. */
#define FRAME_BYTES_MAX  (MESSAGE_BYTES_MAX + 1024)

struct scanner {
	uint64_t left[SCAN_DEPTH_MAX]; /* objects still expected at each open level */
	uint32_t depth;
	size_t at; /* bytes of the object seen and understood so far */
	size_t skip; /* payload bytes still to pass over */
};

enum scan { SCAN_MORE, SCAN_WHOLE, SCAN_TOO_DEEP, SCAN_TOO_LONG, SCAN_BAD };

void scanner_init(struct scanner *);
/* It is in the middle of nothing. */
static inline bool
scanner_rests(const struct scanner *s)
{
	return s->at == 0 && s->depth == 0;
}
/*
 * bytes[0..n) is the object from its first byte on, as far as it has come (the scanner remembers how far it looked).
 * SCAN_WHOLE: the object is bytes[0..*end); init before the next one. SCAN_MORE: call again with more bytes. Else refused.
 */
enum scan scanner_scan(struct scanner *, const uint8_t *bytes, size_t n, size_t limit, size_t *end);

#endif
