/* changes.c: see changes.h. */
#include "persist/changes.h"

#include "core/record.h"

#include <stdio.h>

void
change_walk_begin(struct change_walk *w, const struct log_batch *batch)
{
	*w = (struct change_walk){ batch->payload, batch->payload + batch->payload_n, batch->first_seq };
}

static int
damage(const struct change_walk *w, const char *what, struct why *why)
{
	snprintf(why->text, sizeof why->text, "the step at position %llu: %s", (unsigned long long)w->seq, what);
	return -1;
}

int
change_walk_step(struct change_walk *w, struct change changes[CHANGES_STEP_MAX], uint32_t *n, struct why *why)
{
	const uint8_t *entries, *entries_end;
	struct entry_bytes entry;
	struct cause cause;
	int got = step_next(&w->at, w->end, &cause, &entries, &entries_end);
	*n = 0;
	if (got <= 0)
		return got == 0 ? 0 : damage(w, "cannot be read", why);
	while ((got = entry_next(&entries, entries_end, &entry)) == 1) {
		struct cell_record r;
		if (entry.kind != ENTRY_CELL)
			continue;
		if (*n == CHANGES_STEP_MAX || !cell_decode(&entry, &r))
			return damage(w, "has a cell that cannot be read, or too many", why);
		changes[(*n)++] = (struct change){ .seq = w->seq, .cell = r.cell, .sku = r.now.sku, .location = r.now.location,
			.ats = cell_ats(&r.now), .was = r.ats_before, .on_hand = r.now.on_hand };
	}
	if (got < 0)
		return damage(w, "has an entry that cannot be read", why);
	w->seq++;
	return 1;
}
