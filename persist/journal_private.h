/*
 * journal_private.h: what the files of the journal share; nobody else includes it.
 *
 *   journal.c           open, append, roll, close and the table of calls
 *   journal_claim.c     from a folder to a tail: damage, torn tail, copy of the last batch
 *   journal_segments.c  makes, recycles and removes segment files: prepare, trim
 *   journal_read.c      readers, resolve
 *
 * Two locks, taken in this order:
 *   making  files are being made, renamed or removed; may be held for a second
 *   list    the fields below it; never held over a call of the disk
 */
#ifndef HOLDFAST_PERSIST_JOURNAL_PRIVATE_H
#define HOLDFAST_PERSIST_JOURNAL_PRIVATE_H

#include "persist/journal.h"
#include "persist/journal_cursor.h"
#include "persist/journal_folder.h"

#include <pthread.h>

struct journal {
	struct log log;
	struct disk *disk;
	struct journal_options options;

	/* Of the appending thread (and of claim and close). */
	int file; /* the segment being written; -1 before claim */
	uint64_t generation, offset, hash;
	uint8_t *buffer; /* one batch */
	bool claimed;

	pthread_mutex_t making;
	uint64_t next_generation; /* under making */
	uint64_t forgotten; /* under making: the pages of segments up to this generation were given back */

	pthread_mutex_t list;
	struct segment_head *segments; /* oldest first; the last one is being written */
	size_t segments_n;
	uint64_t spares[JOURNAL_SPARES_MAX]; /* generations, lowest first */
	size_t spares_n;
	uint64_t epoch, last_seq; /* last_seq: durable */
	int64_t last_stamp_ms;
	bool free_low, spare_failed;
	bool broken; /* L4 */
	struct why broken_why;
};

static inline struct journal *
journal_of(struct log *log)
{
	return (struct journal *)log;
}

/* L4: from now on every append is UNKNOWN. The first reason stays. */
void journal_break(struct journal *, const struct why *);

/* The segment that holds position seq: the last one that begins at or before it. false: all begin later. Takes list. */
bool journal_segment_of(struct journal *, uint64_t seq, struct segment_head *);

/* journal_segments.c */
int journal_spare_make(struct journal *, struct why *); /* making is held */
int journal_spare_take(struct journal *, uint64_t *generation, struct why *); /* makes one when there is none */
/* Turns a file that is in no list into a spare or nothing. making is held. */
int journal_retire(struct journal *, uint64_t generation, uint64_t bytes, struct why *);
int journal_trim(struct log *, uint64_t before, struct why *);
int journal_prepare(struct log *, struct why *);

/* journal_claim.c */
int journal_claim(struct log *, struct log_tail *, struct why *);

/* journal.c: writes and syncs the segment's header; the file becomes the one that is written. */
int journal_segment_begin(struct journal *, int file, const struct segment_head *, struct why *);

/* journal_read.c */
struct log_reader *journal_read_open(struct log *, uint64_t from, bool *gone, struct why *);
int journal_read_next(struct log_reader *, uint64_t up_to, struct log_batch *, struct why *);
void journal_read_close(struct log_reader *);
enum log_outcome journal_resolve(struct log *, uint64_t first_seq, struct why *);

#endif
