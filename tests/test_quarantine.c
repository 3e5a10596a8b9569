/*
 * test_quarantine.c: what is kept, by number, beside an array that is searched from the start: the next one above any number, also when most
 * were dropped and the rest are many rounds of the slots apart.
 */
#include "tests/check.h"

#include "core/quarantine.h"

#define SLOTS   13
#define NUMBERS 4000

static bool kept[NUMBERS];

static uint64_t
by_search(uint64_t after)
{
	for (uint64_t n = after + 1; n < NUMBERS; n++)
		if (kept[n])
			return n;
	return 0;
}

static void
keep(struct quarantine *q, uint64_t number, bool yes)
{
	static uint64_t seq;
	quarantine_evolve(q, ++seq, &(struct quarantine_record){ .slot = (uint32_t)(number % q->max), .number = number, .kept = yes });
	kept[number] = yes;
}

static void
the_next_number_is_found_however_far_it_is(void)
{
	struct carve measure = { NULL, 0 };
	struct quarantine q = { .max = 0 };
	uint64_t random = check_seed(1), far = 0, none = 0;
	quarantine_init(&q, &measure, SLOTS);
	void *memory = calloc(1, measure.used);
	quarantine_init(&q, &(struct carve){ memory, 0 }, SLOTS);
	for (uint64_t number; q.last < NUMBERS - SLOTS && (number = quarantine_next(&q)) < NUMBERS;) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		uint64_t drop = quarantine_after(&q, (random >> 33) % NUMBERS), old = by_search(0);
		if (number)
			keep(&q, number, true);
		if (old && old + 40 * SLOTS < q.last) /* the oldest stays for long */
			keep(&q, old, false);
		for (drop = drop ? drop : q.last; drop && (number == 0 || random >> 62); drop = 0)
			if (drop != old || number == 0)
				keep(&q, drop, false);
		for (uint64_t after = q.last > 50 * SLOTS ? q.last - 50 * SLOTS : 0; after <= q.last + 2; after++) {
			uint64_t next = by_search(after);
			check_equal(quarantine_after(&q, after), next);
			check_equal(quarantine_find(&q, after) != NULL, kept[after]);
			far += next > after + SLOTS;
			none += next == 0;
		}
	}
	check_equal(quarantine_after(&q, UINT64_MAX), 0);
	check(quarantine_find(&q, 0) == NULL);
	check(far > 1000 && none > 1000);
	free(memory);
}

int
main(int argc, char **argv)
{
	static const struct check tests[] = {
		CHECK(the_next_number_is_found_however_far_it_is),
	};
	return check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv);
}
