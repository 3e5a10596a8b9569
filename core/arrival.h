/*
 * arrival.h: one event on its way through the checks, shared by decide_identity.c (who sent it, did it come before, how it
 * ends when it cannot be applied) and decide_event.c (what it does). Private to core.
 */
#ifndef HOLDFAST_CORE_ARRIVAL_H
#define HOLDFAST_CORE_ARRIVAL_H

#include "core/state.h"

struct arrival {
	const struct event_command *c;
	struct result *result;
	bool replay; /* from the quarantine: already seen */
	uint64_t replay_number;
	uint32_t source; /* id; NAME_NONE: not known yet */
	uint64_t digest;
	int64_t at; /* its instant, or arrival */
	uint32_t sku, location; /* ids; NAME_NONE: to be created */
};

/* An arrival of `c`, received at `received`; result borrows. */
struct arrival arrival_of(struct engine *, const struct event_command *c, int64_t received, struct result *);
void arrival_reject(struct arrival *, enum status, const char *message);
void arrival_reject_which(struct arrival *, enum status, const char *which, const char *message);
/* true: its identity is new (or it is a replay) and it may go on; else result has the outcome. Finds the source. */
bool arrival_is_new(struct engine *, struct arrival *);
/* Rejected for the reason in result: kept in the quarantine (D30). `seen`: its identity counts as seen from now on. */
void arrival_keep(struct engine *, struct arrival *, bool seen);
/* Inside a step: remembers the identity with its outcome. */
void arrival_emit_seen(struct engine *, const struct arrival *, enum event_outcome, enum status);
/* Inside a step: takes an item out of the quarantine. */
void arrival_emit_dropped(struct engine *, uint64_t number);
/* All of it: identity, rule, end. */
void arrival_decide(struct engine *, struct arrival *);

#endif
