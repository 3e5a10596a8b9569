/*
 * fold.h: the coalescing table: for every key the latest bytes given, kept in memory until the image writes them.
 *
 * F1 After put(key, ...) the table answers that put for the key and no earlier one: the last writer wins.
 * F2 fold_next() goes in the order of the image's keys, so that LMDB is written from left to right.
 *
 * An index (fold_index.h) over records that stand one behind the other in one arena. A body that fits where the key's last one stood is
 * written there; a longer one goes to the arena's end and the old place is lost until fold_clear(). Both grow by doubling: the
 * checkpointer bounds them by committing (checkpoint.h), so they grow past the bound by one batch at most.
 *
 * One thread; never prints, asks the world for nothing but memory.
 */
#ifndef HOLDFAST_PERSIST_FOLD_H
#define HOLDFAST_PERSIST_FOLD_H

#include "core/base.h"
#include "persist/fold_index.h"

struct fold;

struct fold_item {
	uint64_t key, seq;
	const uint8_t *body;
	uint32_t body_n;
};

/* NULL: no memory. */
struct fold *fold_new(void);
void fold_free(struct fold *);

/* Copies body. -1: no memory; the table is as before. */
int fold_put(struct fold *, uint64_t key, uint64_t seq, const uint8_t *body, uint32_t body_n);
uint64_t fold_records(const struct fold *);
uint64_t fold_bytes(const struct fold *); /* of the arena, heads and lost places included */

/* Makes ready for walks: fold_next() until the next put. -1: no memory. */
int fold_sort(struct fold *);
/* The next record of a walk, which begins all zero. It borrows from the table until the next put or clear. False: no more. */
bool fold_next(const struct fold *, struct fold_walk *, struct fold_item *);

/* Forgets everything, keeps the memory. */
void fold_clear(struct fold *);

#endif
