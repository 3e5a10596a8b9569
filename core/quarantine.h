/*
 * quarantine.h: events that could not be applied, kept with their reason until somebody replays or drops them (D30).
 * Numbers grow for ever; number mod max is the slot. The engine's thread only.
 */
#ifndef HOLDFAST_CORE_QUARANTINE_H
#define HOLDFAST_CORE_QUARANTINE_H

#include "core/record.h"

struct kept_event {
	uint64_t seq;
	int64_t at;
	uint16_t raw_n;
	uint8_t reason;
	uint8_t raw[EVENT_BYTES_MAX];
};

struct quarantine {
	struct kept_event *at;
	uint64_t *number; /* by slot, of what is kept there; 0: nothing. Apart from the items, so that a walk over all is a matter of microseconds */
	uint32_t max, kept;
	uint64_t last; /* greatest number given */
};

void quarantine_init(struct quarantine *, struct carve *, uint32_t max);
/* The number a new item would get; 0: full. */
uint64_t quarantine_next(const struct quarantine *);
/* NULL: nothing is kept under this number. */
const struct kept_event *quarantine_find(const struct quarantine *, uint64_t number);
/* The least number above `after` under which something is kept; 0: none. */
uint64_t quarantine_after(const struct quarantine *, uint64_t after);
void quarantine_evolve(struct quarantine *, uint64_t seq, const struct quarantine_record *);

#endif
