/*
 * journal_cursor.h: walks the batches of one segment file, checking J3..J6 on bytes in a buffer of its own. Claim, readers
 * and inspect all read through it, so there is one judge of what a batch is. One thread a cursor.
 *
 * It does not judge what invalid bytes mean: that depends on where the segment stands.
 */
#ifndef HOLDFAST_PERSIST_JOURNAL_CURSOR_H
#define HOLDFAST_PERSIST_JOURNAL_CURSOR_H

#include "core/base.h"
#include "persist/disk.h"
#include "persist/journal_format.h"

struct journal_cursor {
	struct disk *disk;
	int file; /* -1: not open */
	struct segment_head head;
	uint64_t offset; /* of the next batch */
	uint64_t next_seq, hash; /* what the next batch must continue */
	uint8_t *buffer; /* holds buffer_n bytes of the file from buffer_at on */
	uint64_t buffer_at;
	size_t buffer_n, chunk_bytes;
};

enum cursor_found {
	CURSOR_BATCH,
	CURSOR_CLOSE, /* the close marker; the cursor stays before it */
	CURSOR_INVALID, /* no batch that continues the chain; the cursor stays */
	CURSOR_FAILED, /* the disk failed: errno */
};

/* 0 or -1 without memory. Touches no file. */
int journal_cursor_init(struct journal_cursor *, struct disk *);
void journal_cursor_fini(struct journal_cursor *);

/* Goes to the first batch of the segment (closing the file of the one before). -1: errno. */
int journal_cursor_open(struct journal_cursor *, const struct segment_head *);

/* The next batch, lent until the next call. */
enum cursor_found journal_cursor_next(struct journal_cursor *, struct batch_head *, const uint8_t **payload);

/*
 * What stands at and behind an invalid batch at cursor->offset: 1 a valid batch header of the generation further on, so
 * the invalid one is damage; 0 none. *trace_bytes: what is left of the invalid batch (0: nothing was ever there).
 * -1: the disk failed.
 */
int journal_cursor_behind(struct journal_cursor *, uint64_t *trace_bytes);

#endif
