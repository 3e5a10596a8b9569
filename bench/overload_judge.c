/* overload_judge.c: the table and the verdict of prove-overload, from the figures of its phases. The contract is in overload.h. */
#include "bench/overload.h"

#include <stdio.h>

void
overload_row_print(const struct phase *p)
{
	printf("  %-12s %9.0f %9.0f %8.3f %8.3f %9.0f %9llu %6llu %8.3f\n", p->name, (double)p->sent / p->took, (double)p->taken / p->took,
	    histogram_ms(&p->waited, .5), histogram_ms(&p->waited, .99), (double)p->refused / p->took, (unsigned long long)p->passed,
	    (unsigned long long)p->passed_not, histogram_ms(&p->pass_waited, .99));
}

/* O4: the p99 of what was due NORMAL_MS after the overload and later; a refused one is later than any bound. */
static double
normal_p99(const struct phase *after)
{
	static struct histogram rest;
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

bool
overload_judge(const struct phase *half, const struct phase *ten, const struct phase *after, double capacity)
{
	double p99 = histogram_ms(&half->waited, .99), under = histogram_ms(&ten->waited, .99);
	double normal = normal_p99(after);
	char text[160];
	bool good = true;
	snprintf(text, sizeof text, "offered %.1f times the capacity", (double)ten->sent / ten->took / capacity);
	good &= overload_verdict(text, (double)ten->sent / ten->took >= 9 * capacity);
	snprintf(text, sizeof text, "O1 p99 of what was taken: %.3f ms, %.2f times that of half the load", under, under / p99);
	good &= overload_verdict(text, under <= 2 * p99 && ten->taken > 0);
	snprintf(text, sizeof text, "O2 refused with a time: %llu; without: %llu; answered otherwise: %llu", (unsigned long long)ten->refused,
	    (unsigned long long)ten->without_time, (unsigned long long)(ten->wrong + half->wrong + after->wrong));
	good &= overload_verdict(text, ten->refused > 0 && ten->without_time + ten->wrong + half->wrong + after->wrong == 0);
	snprintf(text, sizeof text, "O3 commits, releases, events that passed: %llu; that did not: %llu",
	    (unsigned long long)(half->passed + ten->passed + after->passed),
	    (unsigned long long)(half->passed_not + ten->passed_not + after->passed_not));
	good &= overload_verdict(text, ten->passed > 0 && half->passed_not + ten->passed_not + after->passed_not == 0);
	snprintf(text, sizeof text, "O4 p99 from %d ms after it on: %.3f ms, %.2f times that of half the load before", NORMAL_MS, normal, normal / p99);
	good &= overload_verdict(text, normal <= 2 * p99);
	return good;
}
