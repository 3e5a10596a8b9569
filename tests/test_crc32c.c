/*
 * test_crc32c.c: the fast checksum against the slow one and a known value.
 */
#include "tests/check.h"

#include "persist/crc32c.h"

static void
checksum_is_castagnoli_and_chains(void)
{
	uint8_t bytes[1000];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 13);
	check_equal(crc32c(0, "123456789", 9), 0xe3069283);
	check_equal(crc32c_slow(0, "123456789", 9), 0xe3069283);
	for (size_t from = 0; from < 9; from++)
		for (size_t n = 0; n < sizeof bytes - from; n += 1 + n / 16)
			check_equal(crc32c(5, bytes + from, n), crc32c_slow(5, bytes + from, n));
	check_equal(crc32c(crc32c(0, bytes, 333), bytes + 333, 667), crc32c(0, bytes, 1000));
}

static void
long_ones_are_the_same_around_the_lengths_of_their_lanes(void)
{
	static uint8_t bytes[10000];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 31 + i / 7 + (i >> 9));
	for (size_t lanes = 3072; lanes <= 9216; lanes += 3072)
		for (size_t n = lanes - 9; n <= lanes + 9; n++)
			check_equal(crc32c(77, bytes + n % 8, n), crc32c_slow(77, bytes + n % 8, n));
}

static const struct check tests[] = {
	CHECK(checksum_is_castagnoli_and_chains),
	CHECK(long_ones_are_the_same_around_the_lengths_of_their_lanes),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv);
}
