/* rehearse_series.c: the contract is in rehearse_series.h. */
#include "bench/rehearse_series.h"

#include <stdlib.h>

const char *const work_name[WORKS] = { "hold", "read", "settle", "till" };

/* The least of these that gives at most INTERVALS_WANTED. */
static int64_t
interval_choose(int64_t duration_ns)
{
	static const int64_t choices_ms[] = { 50, 100, 200, 250, 500, 1000, 2000, 5000, 10000, 20000 };
	size_t i = 0;
	while (i + 1 < sizeof choices_ms / sizeof *choices_ms && duration_ns / 1000000 > choices_ms[i] * INTERVALS_WANTED)
		i++;
	return choices_ms[i] * 1000000;
}

int
series_init(struct series *s, int64_t duration_ns, int64_t more_ns)
{
	*s = (struct series){ .interval_ns = interval_choose(duration_ns) };
	s->n = (uint32_t)((duration_ns + more_ns) / s->interval_ns) + 2;
	s->at = calloc(s->n, sizeof *s->at);
	s->late = calloc(s->n, sizeof *s->late);
	bool good = s->at && s->late;
	for (int w = 0; w < WORKS; w++) {
		s->waited[w] = calloc(s->n, sizeof *s->waited[w]);
		good &= s->waited[w] != NULL;
	}
	if (good)
		return 0;
	series_fini(s);
	return -1;
}

void
series_fini(struct series *s)
{
	free(s->at);
	free(s->late);
	for (int w = 0; w < WORKS; w++) {
		free(s->waited[w]);
		s->waited[w] = NULL;
	}
	s->at = NULL;
	s->late = NULL;
}

struct interval *
series_at(struct series *s, int64_t ns)
{
	if (ns < 0)
		return NULL;
	uint64_t i = (uint64_t)(ns / s->interval_ns);
	i = i < s->n ? i : s->n - 1;
	s->used = i >= s->used ? (uint32_t)i + 1 : s->used;
	return &s->at[i];
}

void
spread_add(struct spread *s, int64_t ns)
{
	uint64_t v = ns > 0 ? (uint64_t)ns : 0;
	histogram_add(&s->histogram, v);
	s->sum_ns += v;
	s->max_ns = v > s->max_ns ? v : s->max_ns;
}

void
series_asked(struct series *s, int64_t due_ns, int64_t sent_ns)
{
	struct interval *i = series_at(s, due_ns);
	if (!i)
		return;
	i->asked++;
	spread_add(&s->late[i - s->at], sent_ns - due_ns);
	spread_add(&s->all_late, sent_ns - due_ns);
}

void
series_answered(struct series *s, enum work work, int64_t due_ns, int64_t sent_ns, int64_t now_ns)
{
	struct interval *i = series_at(s, due_ns);
	if (!i)
		return;
	spread_add(&s->waited[work][i - s->at], now_ns - due_ns);
	spread_add(&s->all_waited[work], now_ns - due_ns);
	spread_add(&s->all_service[work], now_ns - sent_ns);
	series_at(s, now_ns)->answered++;
}
