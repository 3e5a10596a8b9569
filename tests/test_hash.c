/*
 * test_hash.c: what a reservation's content is told apart by (D13): small numbers, as ids and quantities are, in every combination.
 */
#include "tests/check.h"

#include "core/hash.h"

#include <stdlib.h>

#define BEFORE 8
#define IDS    16
#define QTY    64

static int
by_value(const void *a, const void *b)
{
	const uint64_t *l = a, *r = b;
	return (*l > *r) - (*l < *r);
}

static void
contents_of_small_numbers_have_hashes_of_their_own(void)
{
	enum { ALL = BEFORE * IDS * IDS * QTY };
	static uint64_t hashes[ALL];
	size_t n = 0;
	for (uint64_t before = 0; before < BEFORE; before++)
		for (uint64_t sku = 0; sku < IDS; sku++)
			for (uint64_t location = 0; location < IDS; location++)
				for (uint64_t qty = 1; qty <= QTY; qty++)
					hashes[n++] = hash_numbers(before, sku << 32 | location, qty);
	check_equal(n, ALL);
	qsort(hashes, n, sizeof *hashes, by_value);
	for (size_t i = 1; i < n; i++)
		check(hashes[i] != hashes[i - 1]);
}

int
main(int argc, char **argv)
{
	static const struct check tests[] = {
		CHECK(contents_of_small_numbers_have_hashes_of_their_own),
	};
	return check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv);
}
