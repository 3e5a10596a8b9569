/* test_fold.c: the coalescing table against the plainest fold, and its order for keys of every shape. */
#include "tests/check.h"
#include "tests/image_rig.h"

#include "persist/fold.h"

static void
fold_keeps_the_last_writer_of_each_key(void)
{
	struct fold *fold = fold_new();
	struct fold_twin twin;
	uint64_t seed = check_seed(11), before = 0;
	uint8_t body[128];
	fold_twin_init(&twin);
	check(fold != NULL);
	for (int round = 0; round < 3; round++) {
		for (uint64_t seq = 1; seq <= 20000; seq++) {
			struct entry_bytes e = { ENTRY_CELL, draw(&seed) % 6000, body, (uint32_t)(draw(&seed) % sizeof(body)) };
			memset(body, (int)draw(&seed), e.body_n);
			check_equal(fold_put(fold, e.key, seq, e.body, e.body_n), 0);
			fold_twin_put(&twin, seq, &e);
		}
		check_equal(fold_records(fold), twin.n);
		check_equal(fold_sort(fold), 0);
		struct fold_walk walk = { 0 };
		struct fold_item item;
		for (uint32_t i = 0; i < twin.n; i++) {
			uint32_t t = 0;
			check(fold_next(fold, &walk, &item));
			check(i == 0 || item.key > before);
			before = item.key;
			while (t < twin.n && twin.records[t].key != item.key)
				t++;
			check(t < twin.n);
			check(twin.records[t].seq == item.seq && twin.records[t].body_n == item.body_n);
			check(memcmp(twin.records[t].body, item.body, item.body_n) == 0);
		}
		check(!fold_next(fold, &walk, &item));
		fold_clear(fold);
		check_equal(fold_records(fold), 0);
		fold_twin_fini(&twin);
		fold_twin_init(&twin);
	}
	fold_twin_fini(&twin);
	fold_free(fold);
}

struct written {
	uint64_t key, seq;
};

/* By key, and the latest of a key first. */
static int
written_order(const void *a, const void *b)
{
	const struct written *x = a, *y = b;
	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return (x->seq < y->seq) - (x->seq > y->seq);
}

/* Slots in their order, a ring that goes round, a small stock, a great one at random, keys of all 56 bits, kinds without a window. */
static uint64_t
key_of_some_shape(uint64_t *seed, uint64_t i)
{
	static const uint64_t kinds[] = { 0, 4, 6, FOLD_KINDS - 1, FOLD_KINDS, 255 };
	uint64_t kind = kinds[draw(seed) % 6], key = draw(seed);
	switch (draw(seed) % 5) {
	case 0: key = FOLD_WINDOW_KEYS - 2000 + i; break;
	case 1: key = (3 * FOLD_WINDOW_KEYS + i) % (3 * FOLD_WINDOW_KEYS + 700); break;
	case 2: key %= 1000; break;
	case 3: key %= 4 * FOLD_WINDOW_KEYS; break;
	}
	return kind << FOLD_KIND_SHIFT | (key & ((UINT64_C(1) << FOLD_KIND_SHIFT) - 1));
}

static void
keys_of_any_shape_come_back_in_their_order(void)
{
	enum { PUTS = 30000 };
	static struct written all[PUTS];
	struct fold *fold = fold_new();
	uint64_t seed = check_seed(12);
	check(fold != NULL);
	for (int round = 0; round < 4; round++) {
		struct fold_walk walk = { 0 };
		struct fold_item item;
		uint64_t keys = 0;
		for (uint64_t i = 0; i < PUTS; i++) {
			if (round == 1 && i == PUTS / 2) /* for a commit that failed: more comes behind it */
				check_equal(fold_sort(fold), 0);
			all[i] = (struct written){ key_of_some_shape(&seed, i), i };
			check_equal(fold_put(fold, all[i].key, i, (const uint8_t *)&all[i], sizeof(all[i])), 0);
		}
		qsort(all, PUTS, sizeof(all[0]), written_order);
		check_equal(fold_sort(fold), 0);
		for (uint64_t i = 0; i < PUTS; i++) {
			if (i > 0 && all[i].key == all[i - 1].key)
				continue;
			check(fold_next(fold, &walk, &item));
			check(item.key == all[i].key && item.seq == all[i].seq);
			check(item.body_n == sizeof(all[i]) && memcmp(item.body, &all[i], sizeof(all[i])) == 0);
			keys++;
		}
		check(!fold_next(fold, &walk, &item));
		check_equal(fold_records(fold), keys);
		fold_clear(fold);
	}
	fold_free(fold);
}

static const struct check tests[] = {
	CHECK(fold_keeps_the_last_writer_of_each_key),
	CHECK(keys_of_any_shape_come_back_in_their_order),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
