/* gate_counters.c: see gate_counters.h. */
#include "net/gate_counters.h"

#include <inttypes.h>

static const struct row {
	const char *name;
	size_t offset;
} rows[] = {
#define X(name, help) { #name, offsetof(struct gate_counters, name) },
	GATE_COUNTERS(X)
#undef X
};
#define ROWS (sizeof rows / sizeof rows[0])
#define ROW_BYTES_MAX 40 /* a name of 18, '=', 20 digits and a space */

_Static_assert(ROWS * ROW_BYTES_MAX <= GATE_COUNTERS_LINE_BYTES, "the line holds every counter");

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
