/* overload_judge.c: the table and the verdict of prove-overload, from the figures of its phases. The contract is in overload.h. */
#include "bench/overload.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define NEVER_MS 1e9 /* what overload_normal_ms() makes of a refused one is longer */

void
overload_row_print(const struct phase *p)
{
	printf("  %-12s %9.0f %9.0f %8.3f %8.3f %9.0f %9llu %6llu %8.3f\n", p->name, (double)p->sent / p->took, (double)p->taken / p->took,
	    histogram_ms(&p->waited, .5), histogram_ms(&p->waited, .99), (double)p->refused / p->took, (unsigned long long)p->passed,
	    (unsigned long long)p->passed_not, histogram_ms(&p->pass_waited, .99));
}

double
overload_normal_ms(const struct phase *after)
{
	static struct histogram rest;
	rest = (struct histogram){ 0 };
	for (int i = NORMAL_MS / WINDOW_MS; i < WINDOWS; i++) {
		histogram_merge(&rest, &after->windows[i].waited);
		for (uint64_t k = 0; k < after->windows[i].refused; k++)
			histogram_add(&rest, INT64_MAX);
	}
	return histogram_ms(&rest, .99);
}

bool
overload_verdict(const char *text, bool good)
{
	printf("  %-4s %s\n", good ? "ok" : "FAIL", text);
	return good;
}

static int
compare_doubles(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* O1, O4: the median of the rounds' ratios, each within its round; sorts them. */
static bool
ratio_judge(const char *what, double ratios[], int n)
{
	char text[200];
	qsort(ratios, (size_t)n, sizeof *ratios, compare_doubles);
	snprintf(text, sizeof text, "%s: %.2f times that of half the load (%d rounds: %.2f to %.2f)", what, ratios[n / 2], n, ratios[0], ratios[n - 1]);
	return overload_verdict(text, ratios[n / 2] <= 2);
}

/* What all rounds came to. */
static struct phase
sum(const struct round *rounds, int n)
{
	struct phase all = { 0 };
	for (int i = 0; i < 3 * n; i++) {
		const struct phase *of[] = { &rounds[i / 3].half, &rounds[i / 3].ten, &rounds[i / 3].after }, *p = of[i % 3];
		all.passed += p->passed, all.passed_not += p->passed_not, all.wrong += p->wrong;
		all.refused += p == of[1] ? p->refused : 0;
		all.without_time += p->without_time;
	}
	return all;
}

bool
overload_judge(const struct round *rounds, int n, double capacity)
{
	const struct phase all = sum(rounds, n);
	double under[ROUNDS_MAX], normal[ROUNDS_MAX], least = INFINITY;
	char text[160];
	bool good = true;
	for (int i = 0; i < n; i++) {
		const struct round *r = &rounds[i];
		double p99 = histogram_ms(&r->half.waited, .99), offered = (double)r->ten.sent / r->ten.took / capacity;
		under[i] = r->ten.taken > 0 ? histogram_ms(&r->ten.waited, .99) / p99 : INFINITY;
		normal[i] = r->normal_ms < NEVER_MS ? r->normal_ms / p99 : INFINITY;
		least = offered < least ? offered : least;
	}
	snprintf(text, sizeof text, "offered %.1f times the capacity", least);
	good &= overload_verdict(text, least >= 9);
	good &= ratio_judge("O1 p99 of what was taken", under, n);
	snprintf(text, sizeof text, "O2 refused with a time: %llu; without: %llu; answered otherwise: %llu", (unsigned long long)all.refused,
	    (unsigned long long)all.without_time, (unsigned long long)all.wrong);
	good &= overload_verdict(text, all.refused > 0 && all.without_time + all.wrong == 0);
	snprintf(text, sizeof text, "O3 commits, releases, events that passed: %llu; that did not: %llu", (unsigned long long)all.passed,
	    (unsigned long long)all.passed_not);
	good &= overload_verdict(text, all.passed > 0 && all.passed_not == 0);
	snprintf(text, sizeof text, "O4 p99 from %d ms after it on", NORMAL_MS);
	good &= ratio_judge(text, normal, n);
	return good;
}
