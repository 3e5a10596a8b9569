/*
 * base.h: the words every layer shares: byte strings, the list of status codes, the named limits and the
 * three kinds of "no".
 *
 *   a bug                  ensure(): says where and aborts; on in every build
 *   a failure of the world -1 (or NULL) and one sentence in a struct why
 *   a refusal              an enum status, with its detail in a struct result
 *
 * Any thread may use what is here. Nothing here allocates or asks the world for anything.
 */
#ifndef HOLDFAST_CORE_BASE_H
#define HOLDFAST_CORE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A borrowed string of exact bytes (D7). Never terminated by zero. {NULL, 0} means "not given". */
struct bytes {
	const uint8_t *at;
	uint32_t n;
};

/* memcmp() == 0 and memcpy() of what names and ids mostly are, up to 16 and 4 to 32 bytes, without a call: two words that may overlap. */
static inline bool
memory_equal(const uint8_t *a, const uint8_t *b, size_t n)
{
	uint64_t x, y, u, v;
	uint32_t s, t, p, q;
	if (n > 16 || n < 4)
		return n > 16 ? memcmp(a, b, n) == 0 : n == 0 || (a[0] == b[0] && a[n / 2] == b[n / 2] && a[n - 1] == b[n - 1]);
	if (n >= 8) {
		memcpy(&x, a, 8), memcpy(&y, b, 8), memcpy(&u, a + n - 8, 8), memcpy(&v, b + n - 8, 8);
		return ((x ^ y) | (u ^ v)) == 0;
	}
	memcpy(&s, a, 4), memcpy(&t, b, 4), memcpy(&p, a + n - 4, 4), memcpy(&q, b + n - 4, 4);
	return ((s ^ t) | (p ^ q)) == 0;
}

static inline void
memory_copy(uint8_t *restrict to, const uint8_t *restrict from, size_t n)
{
	if (n > 32 || n < 4) {
		if (n)
			memcpy(to, from, n);
	} else if (n >= 16) {
		memcpy(to, from, 16), memcpy(to + n - 16, from + n - 16, 16);
	} else if (n >= 8) {
		memcpy(to, from, 8), memcpy(to + n - 8, from + n - 8, 8);
	} else {
		memcpy(to, from, 4), memcpy(to + n - 4, from + n - 4, 4);
	}
}

static inline bool
bytes_equal(struct bytes a, struct bytes b)
{
	return a.n == b.n && memory_equal(a.at, b.at, a.n);
}

/* Byte order, then length: the order of sources and ids that D35 asks for. */
static inline int
bytes_compare(struct bytes a, struct bytes b)
{
	uint32_t n = a.n < b.n ? a.n : b.n;
	int c = n ? memcmp(a.at, b.at, n) : 0;
	return c ? c : (a.n > b.n) - (a.n < b.n);
}

/* The only codes a client ever sees (the wire names are fixed). The order is not part of the wire. */
#define STATUS_LIST(X) \
	X(OK, "ok") \
	X(BAD_REQUEST, "bad_request") \
	X(UNKNOWN_METHOD, "unknown_method") \
	X(TOO_LARGE, "too_large") \
	X(UNAUTHENTICATED, "unauthenticated") \
	X(FORBIDDEN, "forbidden") \
	X(VERSION_UNSUPPORTED, "version_unsupported") \
	X(UNKNOWN_SKU, "unknown_sku") \
	X(UNKNOWN_LOCATION, "unknown_location") \
	X(INSUFFICIENT, "insufficient") \
	X(NOT_FOUND, "not_found") \
	X(WRONG_STATE, "wrong_state") \
	X(EXPIRED, "expired") \
	X(CONFLICT, "conflict") \
	X(MISMATCH, "mismatch") \
	X(LIMIT, "limit") \
	X(CAPACITY, "capacity") \
	X(GAP_TOO_WIDE, "gap_too_wide") \
	X(STALE, "stale") \
	X(GONE, "gone") \
	X(RATE_LIMITED, "rate_limited") \
	X(OVERLOADED, "overloaded") \
	X(BEHIND, "behind") \
	X(READ_ONLY, "read_only") \
	X(NOT_LEADER, "not_leader") \
	X(UNKNOWN, "unknown") \
	X(INTERNAL, "internal")

enum status {
#define X(name, text) STATUS_##name,
	STATUS_LIST(X)
#undef X
	STATUS_COUNT
};

/* The wire name of a code; never NULL. */
const char *status_name(enum status);

/* Limits that are part of the rules (domain.md numbers them). Sizes of tables are in struct engine_limits. */
#define QTY_CELL_MAX     (INT64_C(1) << 53) /* D6: a cell quantity stays within +- this */
#define QTY_LINE_MAX     INT64_C(2147483647) /* D6: 2^31 - 1 units in a line or an event */
#define NAME_BYTES_MAX   64 /* SKU, reservation id, event id, owner, ref, reason */
#define PLACE_BYTES_MAX  32 /* location, group, channel, source */
#define LINES_ASKED_MAX  100 /* D12 */
#define LINES_MAX        4096 /* D12: resolved lines of a reservation; also the cells one step may touch */
#define REFS_MAX         32 /* D16 */
#define SOURCE_WINDOW    4096 /* D28 */
#define EVENT_BYTES_MAX  2048 /* one event's msgpack map; longer: too_large, neither seen nor quarantined */
#define EVENTS_MAX       10000 /* events of one message */
#define BATCH_MAX        1000 /* reservations of one reserve_many */
#define CELLS_POLICY_MAX 1000 /* cells of one policy command: one step */
#define GROUP_MEMBERS_MAX 1024
#define GROUPS_OF_LOCATION_MAX 16
#define INSTANT_MAX      (INT64_C(1) << 44) /* ms since 1970: the year 2527; beyond: bad_request */
#define SEQ_MAX          ((UINT64_C(1) << 53) - 1)

/* A failure of the world (or a damaged file), worded once where it is found. */
struct why {
	char text[512];
};

/* Implemented by whoever links the core: prints the sentence with the place and aborts. */
_Noreturn void ensure_failed(const char *what, const char *file, int line);
#define ensure(condition) ((condition) ? (void)0 : ensure_failed(#condition, __FILE__, __LINE__))

#endif
