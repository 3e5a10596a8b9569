/*
 * journal.h: the local journal: a log (log.h) in segments of one folder. FORMAT.md has its bytes and the rules J1..
 *
 * Invariant: what append called DURABLE is read back byte for byte after any crash, or the claim (or the read) fails with
 * file and offset. After the first failed write or sync nothing is DURABLE any more (L4).
 *
 * Threads: one appends; others may call prepare, trim, bytes, journal_free_low and journal_status; each reader belongs to
 * one thread. open, claim and close are alone. Never reads a clock: ages are those of the batches' stamps.
 */
#ifndef HOLDFAST_PERSIST_JOURNAL_H
#define HOLDFAST_PERSIST_JOURNAL_H

#include "persist/disk.h"
#include "persist/log.h"

#define JOURNAL_PAYLOAD_BYTES_MAX (UINT32_C(8) << 20) /* of a batch; and a batch must fit in its segment */
#define JOURNAL_SEGMENT_BYTES_MIN (UINT64_C(16) << 10) /* header, two batches, close marker */
#define JOURNAL_SEGMENT_BYTES_MAX (UINT64_C(1) << 40)
#define JOURNAL_SEGMENTS_MAX      65536 /* 4 TiB at 64 MiB; beyond: append is UNKNOWN with that sentence */
#define JOURNAL_HISTORY_SEGMENTS_MAX 61440 /* history is kept in so many, whatever is asked: the rest is for what the image does not hold yet */
#define JOURNAL_SPARES_MAX        8 /* a commit of the image gives several back at once, and until the next one they are used again instead of being made */
#define JOURNAL_FREE_RESERVE_BYTES (INT64_C(256) << 20) /* less free disk than this: journal_free_low */

struct journal_options {
	uint64_t segment_bytes; /* a multiple of 4096 */
	uint64_t history_bytes; /* trim keeps the newest segments of at least so many bytes, JOURNAL_HISTORY_SEGMENTS_MAX at most */
	uint64_t history_age_ms; /* and of those recycles what is older than this against the newest stamp; 0: no age */
	uint32_t spares_max; /* trim keeps so many files to be used again, 1 to JOURNAL_SPARES_MAX, and removes the rest */
	uint64_t journal_bytes_max; /* kept bytes from which journal_free_low is true; 0: none */
};

/* 64 MiB, 1 GiB, no age, 8 spares, 4 GiB. */
void journal_options_init(struct journal_options *);

/*
 * Checks the options and acquires memory; touches no file before claim. Borrows the disk: end it after close.
 * NULL: why.
 */
struct log *journal_open(struct disk *, const struct journal_options *, struct why *);

/* The greatest payload append takes with these options. More is a bug of the caller. */
uint32_t journal_payload_max(const struct journal_options *);

/*
 * True when requests that may be refused should be: the last prepare could make no spare, the disk has less than
 * JOURNAL_FREE_RESERVE_BYTES free, or journal_bytes_max is reached. As of the last prepare or trim: call prepare about
 * once a second and after every roll.
 */
bool journal_free_low(struct log *);

struct journal_status {
	uint64_t epoch, generation; /* of the segment being written */
	uint64_t oldest_seq, last_seq; /* oldest > last: empty */
	uint64_t segments, spares, bytes;
	bool free_low, broken; /* broken: a write or sync failed, all appends are UNKNOWN */
};
void journal_status(struct log *, struct journal_status *);

/*
 * Founds a journal in a folder that has none (J14): its first position is last_seq + 1, and the first claim gets an epoch above
 * `epoch`. Durable when it returns. -1: why.
 */
int journal_found(struct disk *, uint64_t epoch, uint64_t last_seq, int64_t last_stamp_ms, struct why *);

enum journal_state {
	JOURNAL_WHOLE, /* every batch from first_seq on, up to where the next segment begins */
	JOURNAL_CLOSED, /* the same, with a close marker */
	JOURNAL_TORN, /* the last segment ends in an invalid batch at `offset` with nothing valid behind it: claim will cut it */
	JOURNAL_DAMAGED, /* `detail` says what is wrong at `offset`: claim or a read stops there */
	JOURNAL_SPARE, /* not in use; its content is noise */
	JOURNAL_SUPERSEDED, /* holds nothing that a later segment does not hold: claim will recycle it */
};

/* Another version of Holdfast wrote the journal of this folder: why, with the way out. Reads headers only; what it cannot read is none. */
bool journal_is_foreign(struct disk *, struct why *);

/* What one file holds. first_seq..last_seq, batches and bytes count what was found sound before `offset`. */
struct journal_finding {
	const char *name; /* borrowed for the call */
	uint64_t nth, of; /* it is the nth of so many files */
	uint64_t generation, epoch, first_seq, last_seq, batches;
	uint64_t bytes; /* of batches, with padding */
	uint64_t file_bytes;
	enum journal_state state;
	uint64_t offset; /* behind the last sound batch; of the damage */
	const char *detail; /* borrowed for the call; "" when there is nothing to say */
};
const char *journal_state_name(enum journal_state);

/*
 * Walks every journal file of the folder, oldest first, reading every batch, changing nothing, without the lock.
 * 0: all findings were told, damage included; -1: why (the disk failed).
 */
int journal_inspect(struct disk *, void (*each)(void *context, const struct journal_finding *), void *context, struct why *);

#endif
