/*
 * test_index.c: the hash index alone, beside an array of what is in it: crowded to its capacity, with homes that collide and runs
 * that wrap around the end, so that every removal has a gap to close.
 */
#include "tests/check.h"

#include "core/index.h"

#define CAPACITY_MAX 96

static uint64_t
draw(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

struct rig {
	struct index index;
	_Atomic uint64_t slots[CAPACITY_MAX * 2 + 8];
	uint64_t hash[CAPACITY_MAX];
	bool there[CAPACITY_MAX];
	uint32_t capacity;
};

static void
rig_start(struct rig *g, uint32_t capacity)
{
	memset(g, 0, sizeof *g);
	g->capacity = capacity;
	g->index = (struct index){ .slots = g->slots, .slots_n = index_slots(capacity) };
}

static bool
found(const struct rig *g, uint32_t number)
{
	struct index_probe probe = index_first(&g->index, g->hash[number]);
	for (uint32_t n; (n = index_next(&g->index, &probe)) != INDEX_NONE;)
		if (n == number)
			return true;
	return false;
}

/* Hashes whose homes crowd around the end of the table; a few are equal to each other. */
static uint64_t
crowded(struct rig *g, uint64_t *seed, uint32_t homes)
{
	if (draw(seed) % 8 == 0)
		return g->hash[draw(seed) % g->capacity];
	uint64_t home = (g->index.slots_n - homes / 2 + draw(seed) % homes) % g->index.slots_n;
	uint32_t tag = (uint32_t)(((home << 32) + g->index.slots_n - 1) / g->index.slots_n + draw(seed) % 3);
	return (uint64_t)tag << 32 | (uint32_t)draw(seed);
}

static void
removals_close_every_gap_also_around_the_end(void)
{
	uint64_t seed = check_seed(1);
	uint32_t wrapped = 0, removals = 0;
	for (uint32_t capacity = 1; capacity <= CAPACITY_MAX; capacity += 1 + capacity / 5)
		for (uint32_t homes = 1; homes <= 16; homes *= 2) {
			struct rig g;
			rig_start(&g, capacity);
			for (int step = 0; step < 2000; step++) {
				uint32_t number = (uint32_t)(draw(&seed) % capacity);
				if (g.there[number]) {
					index_remove(&g.index, g.hash[number], number);
					removals++;
				} else {
					g.hash[number] = crowded(&g, &seed, homes);
					index_put(&g.index, g.hash[number], number);
				}
				g.there[number] = !g.there[number];
				wrapped += g.slots[0] != 0 && g.slots[g.index.slots_n - 1] != 0;
				uint32_t used = 0, there = 0;
				for (uint32_t i = 0; i < capacity; i++) {
					check_equal(found(&g, i), g.there[i]);
					there += g.there[i];
				}
				for (uint64_t at = 0; at < g.index.slots_n; at++)
					used += g.slots[at] != 0;
				check_equal(used, there);
			}
		}
	printf("     %u removals, %u times a run went around the end\n", removals, wrapped);
	check(removals > 10000 && wrapped > 10000);
}

static void
every_home_lies_in_the_table(void)
{
	static const uint64_t capacities[] = { 1, 2, 3, 1000, 10000000, UINT64_C(1) << 31 };
	for (size_t i = 0; i < sizeof capacities / sizeof capacities[0]; i++) {
		struct index index = { .slots_n = index_slots(capacities[i]) };
		check(index.slots_n > capacities[i] && index.slots_n < UINT64_C(1) << 32);
		check_equal(index_home(&index, 0), 0);
		check(index_home(&index, UINT32_MAX) < index.slots_n);
	}
}

/* Eight bytes that a client may name, chosen by turning the public hash around: of that all have the tag 0xdeadbeef. */
static const char *const chosen[] = { "YZ3Z=&B!", "qT16Iqu+", "Te#YyOrc", "a_=0!(xh", "iuV.Pm &", "Y=Z]0lQ+" };
#define CHOSEN (sizeof chosen / sizeof *chosen)

static struct bytes
chosen_bytes(size_t i)
{
	return (struct bytes){ (const uint8_t *)chosen[i], (uint32_t)strlen(chosen[i]) };
}

static void
names_chosen_for_one_place_of_the_public_hash_stand_apart(void)
{
	for (size_t i = 0; i < CHOSEN; i++)
		check_equal(hash_bytes(chosen_bytes(i)) >> 32, 0xdeadbeef);
	for (uint64_t secret = 0; secret < 1000; secret++) {
		struct index index = { .slots_n = index_slots(1000000), .seed = hash_seed(secret) };
		uint32_t tags[CHOSEN];
		for (size_t i = 0; i < CHOSEN; i++) {
			tags[i] = (uint32_t)(index_hash(&index, chosen_bytes(i)) >> 32);
			for (size_t k = 0; k < i; k++)
				check(tags[i] != tags[k]);
		}
	}
}

/* The same of what no client can choose yet but its order: numbers, whose hash is as public. */
static uint64_t
unshifted(uint64_t h, uint64_t prime)
{
	uint64_t inverse = prime;
	for (int i = 0; i < 6; i++)
		inverse *= 2 - prime * inverse;
	h *= inverse;
	return h ^ h >> 33;
}

static void
pairs_chosen_for_one_place_of_the_public_hash_stand_apart(void)
{
	struct index index = { .slots_n = index_slots(1000000), .seed = hash_seed(1) };
	uint32_t tags[64];
	for (uint32_t i = 0; i < 64; i++) {
		uint64_t h = UINT64_C(0xdeadbeef00000000) | i;
		h ^= h >> 33;
		uint64_t pair = unshifted(unshifted(h, UINT64_C(0xc4ceb9fe1a85ec53)), UINT64_C(0xff51afd7ed558ccd));
		check_equal(hash_pair((uint32_t)(pair >> 32), (uint32_t)pair) >> 32, 0xdeadbeef);
		tags[i] = (uint32_t)(index_hash_pair(&index, (uint32_t)(pair >> 32), (uint32_t)pair) >> 32);
		for (uint32_t k = 0; k < i; k++)
			check(tags[i] != tags[k]);
	}
}

static const struct check tests[] = {
	CHECK(names_chosen_for_one_place_of_the_public_hash_stand_apart),
	CHECK(pairs_chosen_for_one_place_of_the_public_hash_stand_apart),
	CHECK(removals_close_every_gap_also_around_the_end),
	CHECK(every_home_lies_in_the_table),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof tests[0], argc, argv);
}
