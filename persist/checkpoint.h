/*
 * checkpoint.h: the checkpointer's work as a step function: follow the journal up to the durable position, collect, commit the
 * image when enough came together, give the journal's room back, keep spare room ahead. The thread that calls it, its priority
 * and its clock belong to the host.
 *
 * K1 Nothing beyond the durable position it is told is ever read (I3).
 * K2 The journal is trimmed only behind a durable commit of the image, and, when copies are on, behind the last checked copy of it: one
 *    that an earlier history left in the folder counts for nothing.
 * K3 What waits in memory is bounded by the options and one batch: while a commit fails nothing more is collected.
 * K4 What was durable at the first step is committed as soon as it is collected: a server that dies again and again still gets
 *    its journal trimmed, and no recovery replays what an earlier one did.
 *
 * One thread. It never reads the engine's tables.
 */
#ifndef HOLDFAST_PERSIST_CHECKPOINT_H
#define HOLDFAST_PERSIST_CHECKPOINT_H

#include "persist/image.h"
#include "persist/log.h"

struct checkpoint_options {
	uint64_t records_max; /* a commit is due from so many records on ... */
	uint64_t bytes_max; /* ... or from so many bytes of bodies ... */
	int64_t age_ms_max; /* ... or when the oldest one has waited so long */
	const char *copy_dir; /* NULL: no copies. Kept: must outlive the checkpointer */
	int64_t copy_ms; /* from one copy to the next */
};
/*
 * Nearly a million records are one commit of about a second: 4 bytes of index and some 100 of record and body each; at most 310 MB, when
 * bodies are long and keys lie far apart.
 */
#define CHECKPOINT_OPTIONS_DEFAULT { .records_max = 900000, .bytes_max = UINT64_C(128) << 20, .age_ms_max = 10000, \
	.copy_dir = NULL, .copy_ms = 3600000 }

#define CHECKPOINT_STEP_BYTES (UINT64_C(4) << 20) /* of batches, read in one step: about 30 ms */
#define CHECKPOINT_RETRY_MS   1000 /* after a failed commit or copy */

struct checkpoint;

/* Borrows both; the log is claimed and the image loaded. Call it before any thread exists (a copy is checked in a child). NULL: why. */
struct checkpoint *checkpoint_open(struct log *, struct image *, const struct checkpoint_options *, struct why *);
/* Commits nothing: call checkpoint_finish first for a clean end. */
void checkpoint_close(struct checkpoint *);

/*
 * One step. `durable_seq` is a position known to be durable, `now_ms` a time that never falls. 1: there is more to do at once;
 * 0: nothing until the durable position moves or CHECKPOINT_RETRY_MS have passed; -1: why (disk or map full, damage): it is
 * tried again in later steps, and the rest of the step was done all the same.
 */
int checkpoint_step(struct checkpoint *, uint64_t durable_seq, int64_t now_ms, struct why *);
/* Folds everything up to durable_seq and commits it. -1: why. */
int checkpoint_finish(struct checkpoint *, uint64_t durable_seq, struct why *);

struct checkpoint_status {
	uint64_t collected_seq, committed_seq, copied_seq; /* copied 0: none */
	uint64_t records_waiting, commits, copies, failures;
};
/* On the checkpointer's thread. */
void checkpoint_status(const struct checkpoint *, struct checkpoint_status *);

#endif
