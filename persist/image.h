/*
 * image.h: the LMDB image: for every entry key the latest entry up to one position. It is a fold of the journal that knows no
 * rule of stock: (kind, key) -> position, bytes.
 *
 * I1 A transaction holds all keys changed by the batches up to `seq` and the meta record with seq, stamp, epoch and the sum.
 * I2 Each record carries its own CRC32C; the meta record carries the sum mod 2^128 of the XXH3-128 of all records.
 * I3 The image never passes the durable position, and is never read from the live tables.
 *
 * One thread folds. image.c is the only file that includes lmdb.h.
 */
#ifndef HOLDFAST_PERSIST_IMAGE_H
#define HOLDFAST_PERSIST_IMAGE_H

#include "core/base.h"
#include "core/entry.h"
#include "persist/log.h"

struct image;

struct image_meta {
	uint64_t epoch, seq; /* folded up to; 0: empty */
	int64_t stamp_ms;
	uint64_t records;
	uint8_t sum[16];
};

/* Opens (makes) DIR/image. map_bytes is the greatest size it may reach. NULL: why. */
struct image *image_open(const char *dir, uint64_t map_bytes, struct why *);
void image_close(struct image *);
void image_meta(const struct image *, struct image_meta *);

/*
 * Checks every record, the sum and LMDB's own pages in a child process, since LMDB may crash on a damaged page. Call it
 * before image_open and before any thread exists. 0: sound (or no image yet); -1: why says what is damaged.
 */
int image_verify(const char *dir, struct why *);

/* Calls each record in key order (the order of recovery). each returns NULL or a sentence, which ends the walk. -1: why. */
int image_load(struct image *, const char *(*each)(void *context, uint64_t seq, const struct entry_bytes *), void *context, struct why *);

/* Collects a batch's entries, coalesced per key, in memory. -1: the payload is damaged. */
int image_collect(struct image *, const struct log_batch *, struct why *);
uint64_t image_collected(const struct image *); /* records waiting */
/* Writes what was collected, sorted, in one transaction. -1: why (map full, disk full); what was collected is kept. */
int image_commit(struct image *, struct why *);
/* A compact copy of the image into the existing folder `to` (restore point; read transaction). -1: why. */
int image_copy(struct image *, const char *to, struct why *);

#endif
