/*
 * fold_index.h: from a key to a number that its owner chose (not 0), and all of them in the order of keys.
 *
 * Keys are dense numbers under a kind in the top byte, and what is changed between two commits lies mostly together: the slots that are
 * taken next, the ring that goes round, all cells of a small stock. So each kind has a *window* of keys whose numbers stand in an array,
 * four bytes a key, with no search and in order; it begins anew, where the first key falls, after each clear. A key outside its kind's
 * window stands in a hash table, which is sorted when the order is asked for.
 *
 * One thread.
 */
#ifndef HOLDFAST_PERSIST_FOLD_INDEX_H
#define HOLDFAST_PERSIST_FOLD_INDEX_H

#include "core/base.h"

#define FOLD_KINDS       32 /* that have a window */
#define FOLD_KIND_SHIFT  56
#define FOLD_WINDOW_KEYS (UINT64_C(1) << 22) /* 16 MiB of addresses; touched as far as keys were seen */

struct fold_window {
	uint32_t *numbers; /* NULL: the kind was never seen */
	uint64_t first; /* key of numbers[0] */
	uint32_t low, high; /* numbers[low, high) hold something; equal: the kind has nothing in its window */
};

struct fold_place {
	uint64_t key;
	uint32_t number; /* 0: the place is free */
};

struct fold_index {
	struct fold_window windows[FOLD_KINDS];
	struct fold_place *places; /* 1 << places_log2, at least twice places_used; NULL: none was needed yet */
	struct fold_place *order, *order_spare;
	uint32_t places_log2, places_used, order_n, order_max;
};

/* All zero is an empty index. */
void fold_index_fini(struct fold_index *);

/*
 * Where the key's number stands: 0 is none yet, to be replaced by the owner or left. Valid until the next call. NULL: no memory, and the
 * index is as before.
 */
uint32_t *fold_index_at(struct fold_index *, uint64_t key);

/* Makes ready for walks in the order of keys; they end with the next fold_index_at(): sort again then. -1: no memory. */
int fold_index_sort(struct fold_index *);

struct fold_walk {
	uint32_t kind, at, ordered; /* all 0: the beginning */
};
/* False: that was the last one. */
bool fold_index_next(const struct fold_index *, struct fold_walk *, uint64_t *key, uint32_t *number);

/* Forgets everything, keeps the memory. */
void fold_index_clear(struct fold_index *);

#endif
