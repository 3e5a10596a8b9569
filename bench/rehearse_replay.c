/* rehearse_replay.c: the contract is in rehearse_replay.h. */
#include "bench/rehearse_replay.h"
#include "bench/rehearse_curve.h"
#include "bench/retail_day.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define DURATION_MS_MIN 1000
#define DURATION_MS_MAX 3600000

static struct {
	struct day day;
	double speed, stock;
	int64_t first_ms, grain_ms; /* the file's instants are whole multiples of grain_ms: orders are spread over it */
} r;

void
scenario_replay(struct scenario *s)
{
	static const char *const otherwise[] = { "commit=1", "cancel=0", "fulfil=1", "pressed_twice=0", "runs=1" };
	struct why why;
	scenario_init(s);
	for (size_t i = 0; i < sizeof otherwise / sizeof *otherwise; i++)
		ensure(scenario_set(s, otherwise[i], &why) == 0);
}

/* All of the file's instants: the first, the last, and what they are multiples of. */
static int64_t
instants(void)
{
	static const int64_t grains_ms[] = { 86400000, 3600000, 60000, 1000 };
	const struct day *d = &r.day;
	int64_t last_ms = INT64_MIN;
	size_t grain = 0;
	r.first_ms = INT64_MAX;
	for (uint32_t i = d->openings; i < d->facts_n + d->baskets_n; i++) {
		int64_t at = i < d->facts_n ? d->facts[i].at : d->baskets[i - d->facts_n].at;
		r.first_ms = at < r.first_ms ? at : r.first_ms;
		last_ms = at > last_ms ? at : last_ms;
		while (grain + 1 < sizeof grains_ms / sizeof *grains_ms && at % grains_ms[grain])
			grain++;
	}
	r.grain_ms = grains_ms[grain];
	return last_ms - r.first_ms + r.grain_ms;
}

int
replay_open(const char *path, double speed, double stock, struct scenario *s, struct why *why)
{
	struct why inner = { "" };
	replay_close();
	if (day_read_orders(&r.day, path, &inner) < 0) {
		snprintf(why->text, sizeof why->text, "%.200s: %.250s", path, inner.text);
		return -1;
	}
	const char *slash = strrchr(path, '/');
	r.speed = speed;
	r.stock = stock;
	double ms = (double)instants() / speed;
	if (ms > DURATION_MS_MAX || r.day.baskets_n == 0) {
		snprintf(why->text, sizeof why->text, ms > DURATION_MS_MAX ? "%.300s: that takes %.1f hours; one is the most, so --speed %.0f or more"
		    : "%.300s: no orders in it", path, ms / 3600000, ceil(ms * speed / DURATION_MS_MAX));
		return -1;
	}
	snprintf(s->name, sizeof s->name, "replay");
	snprintf(s->about, sizeof s->about, "%u recorded orders of %.60s at %.10g times their speed", r.day.baskets_n, slash ? slash + 1 : path, speed);
	s->duration_ms = ms > DURATION_MS_MIN ? (int64_t)ms : DURATION_MS_MIN;
	s->shoppers = r.day.baskets_n;
	s->skus = r.day.skus_n;
	s->locations = r.day.locations_n;
	s->tills = r.day.facts_n > r.day.openings ? 1 : 0;
	s->till_events = (double)(r.day.facts_n - r.day.openings) / ((double)s->duration_ms / 1000);
	s->till_lines = 1;
	return 0;
}

void
replay_close(void)
{
	day_fini(&r.day);
}

static int64_t
due_ns(int64_t at_ms, uint64_t *random)
{
	return (int64_t)(((double)(at_ms - r.first_ms) + random_next(random) * (double)r.grain_ms) / r.speed * 1e6);
}

/* Names longer than ours are cut, with their number behind, so that they stay different. */
static void
name_take(char to[PLAN_NAME_BYTES], const char *stamp, const char *name, uint32_t number, size_t most)
{
	if (strlen(stamp) + strlen(name) <= most)
		snprintf(to, PLAN_NAME_BYTES, "%.15s%.32s", stamp, name);
	else
		snprintf(to, PLAN_NAME_BYTES, "%.15s%.*s~%u", stamp, (int)(most > strlen(stamp) + 9 ? most - strlen(stamp) - 9 : 0), name, number);
}

static void
names_take(struct plan *p)
{
	for (uint32_t i = 0; i < r.day.skus_n; i++)
		name_take(p->skus[i], p->stamp, r.day.skus[i], i, PLACE_BYTES_MAX);
	for (uint32_t i = 0; i < r.day.locations_n; i++)
		name_take(p->locations[i], p->stamp, r.day.locations[i], i, PLACE_BYTES_MAX);
}

static void
orders_take(struct plan *p, uint64_t *random)
{
	for (uint32_t i = 0; i < r.day.baskets_n; i++) {
		const struct basket *b = &r.day.baskets[i];
		p->shoppers[i] = (struct shopper){ .due_ns = due_ns(b->at, random), .line = b->line, .lines_n = (uint8_t)b->lines_n };
	}
	for (uint32_t i = 0; i < r.day.lines_n; i++)
		p->lines[i] = (struct plan_line){ r.day.lines[i].cell, r.day.lines[i].qty };
	p->shoppers_n = r.day.baskets_n;
	p->lines_n = r.day.lines_n;
}

static void
facts_take(struct plan *p, uint64_t *random)
{
	for (uint32_t i = r.day.openings; i < r.day.facts_n; i++) {
		const struct fact *f = &r.day.facts[i];
		bool out = f->kind == FACT_SALE || f->qty < 0;
		p->messages[p->messages_n++] = (struct till_message){ .due_ns = due_ns(f->at, random), .first = p->events_n, .events_n = 1 };
		p->events[p->events_n++] = (struct till_event){ .cell = f->cell, .qty = abs(f->qty),
			.kind = out ? TILL_SALE : f->kind == FACT_RETURN ? TILL_RETURN : TILL_RECEIPT };
	}
}

static int
by_due_shopper(const void *a, const void *b)
{
	const struct shopper *x = a, *y = b;
	return (x->due_ns > y->due_ns) - (x->due_ns < y->due_ns);
}

static int
by_due_message(const void *a, const void *b)
{
	const struct till_message *x = a, *y = b;
	return (x->due_ns > y->due_ns) - (x->due_ns < y->due_ns);
}

/* P1 and P3: in the order of due_ns, and numbered in it. */
static int
order(struct plan *p)
{
	struct till_event *events = calloc((size_t)p->events_n + 1, sizeof *events);
	if (!events)
		return -1;
	qsort(p->shoppers, p->shoppers_n, sizeof *p->shoppers, by_due_shopper);
	qsort(p->messages, p->messages_n, sizeof *p->messages, by_due_message);
	for (uint32_t i = 0; i < p->messages_n; i++) {
		events[i] = p->events[p->messages[i].first];
		events[i].n = ++p->till_last[0];
		p->messages[i].first = i;
	}
	free(p->events);
	p->events = events;
	return 0;
}

int
replay_plan(struct plan *p, const struct scenario *s, uint64_t seed, const char *stamp, struct why *why)
{
	uint64_t random = seed;
	*p = (struct plan){ .scenario = s, .duration_ns = s->duration_ms * 1000000, .skus_n = r.day.skus_n + 1, .locations_n = r.day.locations_n,
		.cells_n = r.day.cells_n + 1, .tills_n = (uint32_t)s->tills };
	snprintf(p->stamp, sizeof p->stamp, "%s", stamp);
	p->skus = calloc(p->skus_n, sizeof *p->skus);
	p->locations = calloc(p->locations_n, sizeof *p->locations);
	p->cells = calloc(p->cells_n, sizeof *p->cells);
	p->shoppers = calloc((size_t)r.day.baskets_n + 1, sizeof *p->shoppers);
	p->lines = calloc((size_t)r.day.lines_n + 1, sizeof *p->lines);
	p->events = calloc((size_t)r.day.facts_n + 1, sizeof *p->events);
	p->messages = calloc((size_t)r.day.facts_n + 1, sizeof *p->messages);
	p->till_last = calloc(p->tills_n + 1, sizeof *p->till_last);
	bool good = p->skus && p->locations && p->cells && p->shoppers && p->lines && p->events && p->messages && p->till_last;
	if (good) {
		names_take(p);
		for (uint32_t i = 0; i < r.day.cells_n; i++)
			p->cells[i] = (struct plan_cell){ r.day.cells[i].sku, r.day.cells[i].location, (int64_t)fmax(1, round(r.day.facts[i].qty * r.stock)) };
		orders_take(p, &random);
		facts_take(p, &random);
		good = order(p) == 0;
	}
	if (good && plan_finish(p, &random, why) == 0)
		return 0;
	if (!good)
		snprintf(why->text, sizeof why->text, "no memory for the plan");
	plan_fini(p);
	return -1;
}
