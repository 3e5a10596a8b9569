/*
 * fold_index.c: see fold_index.h. A window's array is cleared as far as keys reach it, before it is read: a page of zeroes that is read
 * first and written later costs two faults and interrupts every other thread of the process.
 */
#include "persist/fold_index.h"

#include <stdlib.h>

#define GRAIN            UINT64_C(1024) /* keys cleared at once: a page of numbers */
#define WINDOW_BACK      (UINT64_C(1) << 16) /* a window that does not begin at 0 begins at a multiple of this */
#define PLACES_LOG2_LEAST 12

void
fold_index_fini(struct fold_index *x)
{
	for (int i = 0; i < FOLD_KINDS; i++)
		free(x->windows[i].numbers);
	free(x->places);
	free(x->order);
	free(x->order_spare);
}

/* ---- windows ---- */

static bool
window_begin(struct fold_window *w, uint64_t key)
{
	uint64_t kind = key >> FOLD_KIND_SHIFT << FOLD_KIND_SHIFT, of_kind = key - kind;
	if (w->numbers == NULL)
		w->numbers = malloc(FOLD_WINDOW_KEYS * sizeof(*w->numbers));
	w->first = of_kind < FOLD_WINDOW_KEYS ? kind : key - of_kind % WINDOW_BACK;
	w->low = w->high = (uint32_t)((key - w->first) & ~(GRAIN - 1));
	return w->numbers != NULL;
}

/* So that [low, high) holds number i. */
static void
window_reach(struct fold_window *w, uint32_t i)
{
	uint32_t low = i & ~(uint32_t)(GRAIN - 1), high = low + (uint32_t)GRAIN;
	if (low < w->low) {
		memset(w->numbers + low, 0, (w->low - low) * sizeof(*w->numbers));
		w->low = low;
	}
	if (high > w->high) {
		memset(w->numbers + w->high, 0, (high - w->high) * sizeof(*w->numbers));
		w->high = high;
	}
}

/* ---- the hash table ---- */

static struct fold_place *
place_find(struct fold_place *places, uint32_t log2, uint64_t key)
{
	uint64_t mask = (UINT64_C(1) << log2) - 1, i = key * UINT64_C(0x9e3779b97f4a7c15) >> (64 - log2);
	while (places[i].number != 0 && places[i].key != key)
		i = (i + 1) & mask;
	return &places[i];
}

/* A table of twice the places. The old one stands until the new one is complete. */
static bool
places_grow(struct fold_index *x)
{
	uint32_t log2 = x->places == NULL ? PLACES_LOG2_LEAST : x->places_log2 + 1;
	struct fold_place *places = log2 < 32 ? calloc((size_t)1 << log2, sizeof(*places)) : NULL;
	if (places == NULL)
		return false;
	for (uint64_t i = 0; x->places != NULL && i < UINT64_C(1) << x->places_log2; i++)
		if (x->places[i].number != 0)
			*place_find(places, log2, x->places[i].key) = x->places[i];
	free(x->places);
	x->places = places;
	x->places_log2 = log2;
	return true;
}

/* A place that is left free all the same only makes the table grow a little earlier. */
static uint32_t *
place_at(struct fold_index *x, uint64_t key)
{
	if ((x->places == NULL || x->places_used >= UINT32_C(1) << (x->places_log2 - 1)) && !places_grow(x))
		return NULL;
	struct fold_place *p = place_find(x->places, x->places_log2, key);
	if (p->number == 0) {
		x->places_used++;
		p->key = key;
	}
	return &p->number;
}

uint32_t *
fold_index_at(struct fold_index *x, uint64_t key)
{
	if (key >> FOLD_KIND_SHIFT >= FOLD_KINDS)
		return place_at(x, key);
	struct fold_window *w = &x->windows[key >> FOLD_KIND_SHIFT];
	if (w->low == w->high && !window_begin(w, key))
		return NULL;
	uint64_t i = key - w->first;
	if (i >= FOLD_WINDOW_KEYS)
		return place_at(x, key);
	if (i < w->low || i >= w->high)
		window_reach(w, (uint32_t)i);
	return &w->numbers[i];
}

/* ---- order ---- */

/* One pass of a radix sort by the byte at `shift`; false: all keys share that byte, nothing was moved. */
static bool
sort_pass(const struct fold_place *from, struct fold_place *to, uint32_t n, unsigned shift)
{
	uint32_t count[256] = { 0 }, sum = 0;
	for (uint32_t i = 0; i < n; i++)
		count[from[i].key >> shift & 255]++;
	if (count[from[0].key >> shift & 255] == n)
		return false;
	for (int b = 0; b < 256; b++) {
		uint32_t here = count[b];
		count[b] = sum;
		sum += here;
	}
	for (uint32_t i = 0; i < n; i++)
		to[count[from[i].key >> shift & 255]++] = from[i];
	return true;
}

static bool
order_room(struct fold_index *x)
{
	if (x->order_max >= x->places_used)
		return true;
	free(x->order);
	free(x->order_spare);
	x->order = malloc(x->places_used * sizeof(*x->order));
	x->order_spare = malloc(x->places_used * sizeof(*x->order_spare));
	x->order_max = x->order != NULL && x->order_spare != NULL ? x->places_used : 0;
	return x->order_max > 0;
}

int
fold_index_sort(struct fold_index *x)
{
	x->order_n = 0;
	if (x->places_used == 0)
		return 0;
	if (!order_room(x))
		return -1;
	for (uint64_t i = 0; i < UINT64_C(1) << x->places_log2; i++)
		if (x->places[i].number != 0)
			x->order[x->order_n++] = x->places[i];
	for (unsigned shift = 0; shift < 64 && x->order_n > 1; shift += 8) {
		if (sort_pass(x->order, x->order_spare, x->order_n, shift)) {
			struct fold_place *swap = x->order;
			x->order = x->order_spare;
			x->order_spare = swap;
		}
	}
	return 0;
}

/* The next key of the windows from the walk's place on; false: none is left. */
static bool
window_next(const struct fold_index *x, struct fold_walk *walk, uint64_t *key)
{
	for (; walk->kind < FOLD_KINDS; walk->kind++, walk->at = 0) {
		const struct fold_window *w = &x->windows[walk->kind];
		for (uint32_t i = walk->at > w->low ? walk->at : w->low; i < w->high; i++)
			if (w->numbers[i] != 0) {
				walk->at = i;
				*key = w->first + i;
				return true;
			}
	}
	return false;
}

bool
fold_index_next(const struct fold_index *x, struct fold_walk *walk, uint64_t *key, uint32_t *number)
{
	bool any = window_next(x, walk, key);
	if (walk->ordered < x->order_n && (!any || x->order[walk->ordered].key < *key)) {
		*key = x->order[walk->ordered].key;
		*number = x->order[walk->ordered++].number;
		return true;
	}
	if (any)
		*number = x->windows[walk->kind].numbers[walk->at++];
	return any;
}

void
fold_index_clear(struct fold_index *x)
{
	for (int i = 0; i < FOLD_KINDS; i++)
		x->windows[i].low = x->windows[i].high = 0;
	if (x->places_used > 0)
		memset(x->places, 0, ((size_t)1 << x->places_log2) * sizeof(*x->places));
	x->places_used = x->order_n = 0;
}
