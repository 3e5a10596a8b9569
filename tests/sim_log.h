/*
 * sim_log.h: a log (log.h) in memory. One store is the log; every opened handle is a process that may claim it, so that an old
 * leader can be watched being fenced. Appends can be made UNKNOWN, with the batch there or not there.
 *
 * One mutex in the store: handles and readers may be on any thread. What a reader lends stays until the store is freed.
 */
#ifndef HOLDFAST_TESTS_SIM_LOG_H
#define HOLDFAST_TESTS_SIM_LOG_H

#include "persist/log.h"

struct sim_store;

struct sim_store *sim_store_new(void);
void sim_store_free(struct sim_store *); /* after all handles are closed */

/* A handle of its own, not yet claimed. Its close() marks a clean end if it is still the claimed one and nothing failed. */
struct log *sim_log_open(struct sim_store *);

/* Append number k from now (any handle's; 1 is the next) is UNKNOWN; `applied`: its batch is in the log all the same. */
void sim_log_unknown_at(struct sim_store *, uint64_t k, bool applied);
/* Before append number k from now another leader claims the log: it and all later ones of this handle are FENCED. */
void sim_log_fence_at(struct sim_store *, uint64_t k);
/* Appends that were made UNKNOWN or FENCED by the two above. */
uint64_t sim_log_fired(const struct sim_store *);

#endif
