/* gate_counters.c: see gate_counters.h. */
#include "net/gate_counters.h"

#include <inttypes.h>
#include <sys/mman.h>

static const struct row {
	const char *name;
	size_t offset;
} rows[] = {
#define X(name, help) { #name, offsetof(struct gate_counters, name) },
	GATE_COUNTERS(X)
#undef X
};
#define ROWS (sizeof rows / sizeof rows[0])
#define ROW_BYTES_MAX 41 /* a name of 19, '=', 20 digits and a space */

_Static_assert(ROWS * ROW_BYTES_MAX <= GATE_COUNTERS_LINE_BYTES && ROWS * ROW_BYTES_MAX + 3 <= GATE_COUNTERS_MAP_BYTES,
    "line and map hold every counter");

static uint64_t
value(const struct gate_counters *c, const struct row *row)
{
	uint64_t v;
	memcpy(&v, (const uint8_t *)c + row->offset, sizeof v);
	return v;
}

void
gate_counters_line(const struct gate_counters *c, char line[GATE_COUNTERS_LINE_BYTES])
{
	size_t n = 0;
	for (size_t i = 0; i < ROWS; i++)
		n += (size_t)snprintf(line + n, GATE_COUNTERS_LINE_BYTES - n, "%s%s=%" PRIu64, i ? " " : "", rows[i].name, value(c, &rows[i]));
}

size_t
gate_counters_map(const struct gate_counters *c, uint8_t map[GATE_COUNTERS_MAP_BYTES])
{
	uint8_t *at = map;
	*at++ = 0xde;
	*at++ = ROWS >> 8;
	*at++ = ROWS & 255;
	for (size_t i = 0; i < ROWS; i++) {
		size_t n = strlen(rows[i].name);
		uint64_t v = value(c, &rows[i]);
		ensure(n < 32);
		*at++ = (uint8_t)(0xa0 | n);
		memcpy(at, rows[i].name, n);
		at += n;
		*at++ = 0xcf;
		for (int shift = 56; shift >= 0; shift -= 8)
			*at++ = (uint8_t)(v >> shift);
	}
	return (size_t)(at - map);
}

struct feed_counters *
feed_counters_new(void)
{
	void *at = mmap(NULL, sizeof(struct feed_counters), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return at == MAP_FAILED ? NULL : at;
}

void
feed_counters_read(struct feed_counters *from, struct gate_counters *to)
{
#define X(name) to->name = atomic_load_explicit(&from->name, memory_order_relaxed);
	FEED_COUNTERS(X)
#undef X
}
