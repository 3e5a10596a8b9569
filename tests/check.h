/*
 * check.h: the test harness. A test is a function named as a sentence; a program lists its tests in a table and calls
 * check_run(). Prints "ok NAME" or "FAIL NAME file:line: what" and one closing line for the runner.
 * `program NAME...` runs only those. HOLDFAST_SEED=N sets check_seed().
 */
#ifndef HOLDFAST_TESTS_CHECK_H
#define HOLDFAST_TESTS_CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct check {
	const char *name;
	void (*run)(void);
};
#define CHECK(test) { #test, test }

/* One for all files of a program: a test may be run by another file (server_rig.c), or call helpers of one. */
__attribute__((weak)) int check_failed_now;

/* A failed check ends its test by return. */
#define check(condition) \
	do { \
		if (!(condition)) { \
			printf("FAIL %s:%d: %s\n", __FILE__, __LINE__, #condition); \
			check_failed_now = 1; \
			return; \
		} \
	} while (0)
#define check_equal(a, b) \
	do { \
		long long check_a = (long long)(a), check_b = (long long)(b); \
		if (check_a != check_b) { \
			printf("FAIL %s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #a, check_a, check_b); \
			check_failed_now = 1; \
			return; \
		} \
	} while (0)
/* Ends the caller too when a helper function failed a check. */
#define check_calm() \
	do { \
		if (check_failed_now) \
			return; \
	} while (0)

static inline uint64_t
check_seed(uint64_t otherwise)
{
	const char *s = getenv("HOLDFAST_SEED");
	return s ? strtoull(s, NULL, 0) : otherwise;
}

static inline int
check_run(const char *program, const struct check *tests, size_t n, int argc, char **argv)
{
	int passed = 0, failed = 0;
	for (size_t i = 0; i < n; i++) {
		int wanted = argc < 2;
		for (int a = 1; a < argc; a++)
			wanted |= strcmp(argv[a], tests[i].name) == 0;
		if (!wanted)
			continue;
		check_failed_now = 0;
		tests[i].run();
		printf("%s %s\n", check_failed_now ? "FAIL" : "ok", tests[i].name);
		if (check_failed_now)
			printf("     again: %s %s\n", program, tests[i].name);
		fflush(stdout);
		*(check_failed_now ? &failed : &passed) += 1;
	}
	printf("%d passed, %d failed\n", passed, failed);
	return failed != 0;
}

#endif
