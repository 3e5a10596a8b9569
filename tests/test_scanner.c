/*
 * The scanner: finds ends, keeps its place over any cut, refuses what would be dear to decode.
 */
#include "net/scanner.h"
#include "tests/check.h"

struct scan_row {
	const char *what;
	const char *bytes;
	size_t n, limit;
	enum scan expected;
	size_t end; /* of the object when it is whole */
};
#define ROW(text, literal, most, scan, ends) { text, literal, sizeof(literal) - 1, most, scan, ends }
#define DEEP_16 "\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91"

static const struct scan_row rows[] = {
	ROW("a small integer", "\x05", 100, SCAN_WHOLE, 1),
	ROW("a negative one", "\xff\x01", 100, SCAN_WHOLE, 1),
	ROW("nil, and more behind it", "\xc0\xc0", 100, SCAN_WHOLE, 1),
	ROW("nothing", "", 100, SCAN_MORE, 0),
	ROW("a request", "\x94\x00\x01\xa3" "ats\x90", 100, SCAN_WHOLE, 8),
	ROW("a request that lacks its params", "\x94\x00\x01\xa3" "ats", 100, SCAN_MORE, 0),
	ROW("an empty array", "\x90", 100, SCAN_WHOLE, 1),
	ROW("an empty map", "\x80", 100, SCAN_WHOLE, 1),
	ROW("a map of two pairs", "\x82\xa1" "a\x01\xa1" "b\x02", 100, SCAN_WHOLE, 7),
	ROW("str 8", "\xd9\x03" "abc", 100, SCAN_WHOLE, 5),
	ROW("str 16", "\xda\x00\x03" "abc", 100, SCAN_WHOLE, 6),
	ROW("str 32", "\xdb\x00\x00\x00\x03" "abc", 100, SCAN_WHOLE, 8),
	ROW("bin 8", "\xc4\x02" "ab", 100, SCAN_WHOLE, 4),
	ROW("bin 16 cut in its length", "\xc5\x00", 100, SCAN_MORE, 0),
	ROW("ext 8 of 2 bytes", "\xc7\x02\x01" "ab", 100, SCAN_WHOLE, 5),
	ROW("fixext 16", "\xd8\x01" "0123456789abcdef", 100, SCAN_WHOLE, 18),
	ROW("double", "\xcb" "12345678", 100, SCAN_WHOLE, 9),
	ROW("uint 64", "\xcf" "12345678", 100, SCAN_WHOLE, 9),
	ROW("array 16", "\xdc\x00\x02\x01\x02", 100, SCAN_WHOLE, 5),
	ROW("map 32", "\xdf\x00\x00\x00\x01\x01\x02", 100, SCAN_WHOLE, 7),
	ROW("16 levels", DEEP_16 "\x01", 100, SCAN_WHOLE, 17),
	ROW("17 levels", DEEP_16 "\x91\x01", 100, SCAN_TOO_DEEP, 0),
	ROW("17 levels, the last one empty", DEEP_16 "\x90", 100, SCAN_TOO_DEEP, 0),
	ROW("the reserved byte", "\xc1", 100, SCAN_BAD, 0),
	ROW("the reserved byte inside", "\x92\x01\xc1", 100, SCAN_BAD, 0),
	ROW("as long as the limit", "\xa3" "abc", 4, SCAN_WHOLE, 4),
	ROW("longer than the limit", "\xa4" "abc", 4, SCAN_TOO_LONG, 0),
	ROW("a string that claims 4 GiB", "\xdb\xff\xff\xff\xff", 100, SCAN_TOO_LONG, 0),
	ROW("an extension that claims 4 GiB", "\xc9\xff\xff\xff\xff\x01", 100, SCAN_TOO_LONG, 0),
	ROW("an array that claims 4 G members", "\xdd\xff\xff\xff\xff", 100, SCAN_TOO_LONG, 0),
	ROW("a map that claims 4 G pairs", "\xdf\xff\xff\xff\xff", 100, SCAN_TOO_LONG, 0),
	ROW("arrays that claim too much together", "\xdc\x00\x3c\xdc\x00\x3c", 100, SCAN_TOO_LONG, 0),
	ROW("an array that claims one more than is left", "\xdc\x00\x62", 100, SCAN_TOO_LONG, 0),
	ROW("an array that claims what is left", "\xdc\x00\x61", 100, SCAN_MORE, 0),
};

static void
each_form_ends_where_the_format_says(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct scan_row *row = &rows[i];
		struct scanner s;
		size_t end = 0;
		scanner_init(&s);
		enum scan got = scanner_scan(&s, (const uint8_t *)row->bytes, row->n, row->limit, &end);
		if (got != row->expected || end != row->end)
			printf("row \"%s\": %d, end %zu\n", row->what, got, end);
		check_equal(got, row->expected);
		check_equal(end, row->end);
	}
}

/* One byte more at a time: the same verdict, and never whole before the end is there. */
static void
any_cut_gives_the_same_verdict(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct scan_row *row = &rows[i];
		struct scanner s;
		size_t end = 0, n = 0;
		enum scan got = SCAN_MORE;
		scanner_init(&s);
		for (; n <= row->n && got == SCAN_MORE; n++)
			got = scanner_scan(&s, (const uint8_t *)row->bytes, n, row->limit, &end);
		check_equal(got, row->expected);
		check_equal(end, row->end);
		if (got == SCAN_WHOLE)
			check_equal(n - 1, row->end);
	}
}

/* What is there at once takes short ways that what comes byte by byte does not: nested, empty, cut, too deep. */
static void
whole_and_in_pieces_are_the_same(void)
{
	static const uint8_t kinds[] = { 0x91, 0x92, 0x93, 0x81, 0x82, 0x91, 0x91, 0x88, 0x9f, 0x90, 0x80, 0xa1, 0xa3, 0xc0, 0xcc, 0xce, 0xd9, 0xdc, 0, 0, 0xc1, 1, 0xff };
	uint64_t seed = check_seed(11);
	uint8_t bytes[192];
	unsigned whole = 0, deep = 0;
	for (int round = 0; round < 100000; round++) {
		struct scanner once, pieces;
		size_t end_once = 0, end_pieces = 0, n = 0, most = 1 + (size_t)round % sizeof kinds;
		for (size_t i = 0; i < sizeof bytes; i++) {
			seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
			bytes[i] = seed >> 40 & 7 ? kinds[(seed >> 32 & 0xff) % most] : (uint8_t)(seed >> 56);
		}
		scanner_init(&once);
		scanner_init(&pieces);
		enum scan got_once = scanner_scan(&once, bytes, sizeof bytes, 160, &end_once), got = SCAN_MORE;
		while (got == SCAN_MORE && n++ < sizeof bytes)
			got = scanner_scan(&pieces, bytes, n, 160, &end_pieces);
		check_equal(got_once, got);
		check_equal(end_once, end_pieces);
		whole += got == SCAN_WHOLE;
		deep += got == SCAN_TOO_DEEP;
	}
	check(whole > 1000 && deep > 1000);
}

/* The cells of a long read, now and then one that is no pair of short texts: at any depth, in any two pieces, the end is the same. */
static void
a_list_of_pairs_ends_behind_the_last(void)
{
	static const char *const odd[] = { "\x92\x01\xa1" "a", "\x92\xa1" "a\xcd\x01\x02", "\x93\xa1" "a\xa1" "b\xc0", "\x92\x91\xa1" "a\xa1" "b", "\xa1" "a" };
	uint8_t bytes[8192];
	for (unsigned depth = 1; depth <= SCAN_DEPTH_MAX; depth++) {
		size_t n = depth - 1, end = 0;
		memset(bytes, 0x91, n);
		memcpy(bytes + n, "\xdc\x00\x64", 3), n += 3;
		for (unsigned i = 0; i < 100; i++) {
			unsigned sku_n = i * 7 % 32, place_n = i * 5 % 32;
			if (i % 17 == 5 && depth < SCAN_DEPTH_MAX - 1) {
				memcpy(bytes + n, odd[i % 5], strlen(odd[i % 5])), n += strlen(odd[i % 5]);
				continue;
			}
			bytes[n++] = 0x92;
			bytes[n++] = (uint8_t)(0xa0 | sku_n), memset(bytes + n, 0xc1, sku_n), n += sku_n;
			bytes[n++] = (uint8_t)(0xa0 | place_n), memset(bytes + n, 0xc1, place_n), n += place_n;
		}
		memset(bytes + n, 0x92, 100); /* the next one's */
		for (size_t first = 1; first <= n; first += depth == 1 ? 1 : 97) {
			struct scanner s;
			scanner_init(&s);
			enum scan got = scanner_scan(&s, bytes, first, sizeof bytes, &end);
			if (got == SCAN_MORE)
				got = scanner_scan(&s, bytes, n + 100, sizeof bytes, &end);
			check_equal(got, depth == SCAN_DEPTH_MAX ? SCAN_TOO_DEEP : SCAN_WHOLE);
			check_equal(end, depth == SCAN_DEPTH_MAX ? 0 : n);
		}
	}
}

/* A long payload is passed over without being there at once, and is not looked at again. */
static void
a_long_payload_may_come_in_pieces(void)
{
	static uint8_t bytes[70000];
	size_t end = 0;
	struct scanner s;
	memcpy(bytes, "\x92\xdb\x00\x01\x00\x00", 6);
	memset(bytes + 6, 0xc1, 65536);
	bytes[6 + 65536] = 7;
	scanner_init(&s);
	for (size_t n = 0; n < 6 + 65536; n += 1000)
		check_equal(scanner_scan(&s, bytes, n, sizeof bytes, &end), SCAN_MORE);
	check_equal(scanner_scan(&s, bytes, 6 + 65536, sizeof bytes, &end), SCAN_MORE);
	check_equal(scanner_scan(&s, bytes, sizeof bytes, sizeof bytes, &end), SCAN_WHOLE);
	check_equal(end, 6 + 65536 + 1);
}

static void
random_bytes_never_pass_the_limit(void)
{
	uint64_t seed = check_seed(7);
	uint8_t bytes[256];
	for (int round = 0; round < 200000; round++) {
		struct scanner s;
		size_t end = 0, limit = 1 + round % 200, n = 0;
		for (size_t i = 0; i < sizeof bytes; i++) {
			seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
			bytes[i] = (uint8_t)(seed >> 56);
		}
		scanner_init(&s);
		enum scan got = SCAN_MORE;
		while (got == SCAN_MORE && n < sizeof bytes) {
			n += 1 + (seed & 31);
			n = n < sizeof bytes ? n : sizeof bytes;
			got = scanner_scan(&s, bytes, n, limit, &end);
			check(s.at <= n && s.at <= limit && s.depth <= SCAN_DEPTH_MAX);
		}
		check(got != SCAN_MORE && (got != SCAN_WHOLE || (end <= n && end <= limit)));
	}
}

int
main(int argc, char **argv)
{
	static const struct check tests[] = {
		CHECK(each_form_ends_where_the_format_says),
		CHECK(any_cut_gives_the_same_verdict),
		CHECK(whole_and_in_pieces_are_the_same),
		CHECK(a_list_of_pairs_ends_behind_the_last),
		CHECK(a_long_payload_may_come_in_pieces),
		CHECK(random_bytes_never_pass_the_limit),
	};
	return check_run(argv[0], tests, sizeof tests / sizeof tests[0], argc, argv);
}
