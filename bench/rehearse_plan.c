/* rehearse_plan.c: a plan from a scenario. The contract is in rehearse_plan.h. */
#include "bench/rehearse_plan.h"
#include "bench/popularity.h"
#include "bench/rehearse_curve.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define WARM_UNITS 1000000000
#define WARM_SKU "WARM-UP"

struct maker {
	struct plan *plan;
	const struct scenario *scenario;
	uint64_t random;
	double *sku_below, *location_below; /* cumulated popularity */
	uint32_t lines_room, events_room;
};

void *
plan_grow(void *array, uint32_t used, uint32_t *room, size_t item_bytes)
{
	if (used < *room)
		return array;
	*room = *room ? *room * 2 : 1024;
	void *more = realloc(array, *room * item_bytes);
	if (!more) {
		free(array);
		return NULL;
	}
	memset((char *)more + used * item_bytes, 0, (*room - used) * item_bytes);
	return more;
}

/* Which of the shares: 1 for the first. */
static uint32_t
pick_share(const struct shares *s, double x)
{
	double sum = 0;
	uint32_t i = 0;
	for (i = 0; i < s->n; i++)
		sum += s->at[i];
	x *= sum;
	for (i = 0; i < s->n - 1 && x >= s->at[i]; i++)
		x -= s->at[i];
	return i + 1;
}

/* SKUs on offer are the popular ones (the first), and get hot_share more. */
static void
make_hot(struct maker *m)
{
	double before = 0, sum = 0, share = m->scenario->hot_share;
	uint32_t n = (uint32_t)m->scenario->skus, hot = (uint32_t)m->scenario->hot_skus;
	for (uint32_t i = 0; i < n && hot > 0; i++) {
		double own = m->sku_below[i] - before;
		before = m->sku_below[i];
		m->sku_below[i] = sum += own * (1 - share) + (i < hot ? share / hot : 0);
	}
}

static void
name_all(struct plan *p)
{
	for (uint32_t i = 0; i + 1 < p->skus_n; i++)
		snprintf(p->skus[i], sizeof *p->skus, "%sSKU-%07u", p->stamp, i + 1);
	for (uint32_t i = 0; i < p->locations_n; i++)
		snprintf(p->locations[i], sizeof *p->locations, "%sST-%04u", p->stamp, i + 1);
}

/* Cell number: location * skus + sku. */
static void
make_cells(struct maker *m)
{
	struct plan *p = m->plan;
	uint32_t skus = (uint32_t)m->scenario->skus;
	double units = (double)m->scenario->units, all = units * skus * p->locations_n, sum = 0;
	for (uint32_t l = 0, cell = 0; l < p->locations_n; l++)
		for (uint32_t s = 0; s < skus; s++, cell++) {
			double share = popularity_share(m->sku_below, s) * popularity_share(m->location_below, l);
			p->cells[cell] = (struct plan_cell){ s, l, (int64_t)(m->scenario->by_demand ? ceil(all * share) : units) };
			p->cells_below[cell] = sum += share;
		}
}

static int
make_basket(struct maker *m, struct shopper *s)
{
	struct plan *p = m->plan;
	uint32_t location = popularity_pick(m->location_below, p->locations_n, random_next(&m->random));
	s->line = p->lines_n;
	s->lines_n = (uint8_t)pick_share(&m->scenario->basket, random_next(&m->random));
	for (uint32_t i = 0; i < s->lines_n; i++) {
		uint32_t sku = popularity_pick(m->sku_below, (uint32_t)m->scenario->skus, random_next(&m->random));
		p->lines = plan_grow(p->lines, p->lines_n, &m->lines_room, sizeof *p->lines);
		if (!p->lines)
			return -1;
		p->lines[p->lines_n++] = (struct plan_line){ location * (uint32_t)m->scenario->skus + sku,
			(int32_t)pick_share(&m->scenario->quantity, random_next(&m->random)) };
	}
	return 0;
}

static int
make_shoppers(struct maker *m)
{
	struct plan *p = m->plan;
	p->shoppers_n = (uint32_t)m->scenario->shoppers;
	p->shoppers = calloc((size_t)p->shoppers_n + 1, sizeof *p->shoppers);
	int64_t *due_ns = calloc((size_t)p->shoppers_n + 1, sizeof *due_ns);
	bool good = p->shoppers && due_ns;
	if (good)
		curve_draw(m->scenario, &m->random, due_ns, p->shoppers_n);
	for (uint32_t i = 0; i < p->shoppers_n && good; i++) {
		struct shopper *s = &p->shoppers[i];
		s->due_ns = m->scenario->closed ? 0 : due_ns[i];
		s->looks = random_next(&m->random) < m->scenario->looking;
		good = s->looks || make_basket(m, s) == 0;
	}
	free(due_ns);
	return good ? 0 : -1;
}

static int
add_message(struct maker *m, struct till_message *message)
{
	struct plan *p = m->plan;
	message->first = p->events_n;
	message->events_n = (uint32_t)m->scenario->till_lines;
	message->twice = random_next(&m->random) < m->scenario->pressed_twice;
	for (uint32_t i = 0; i < message->events_n; i++) {
		p->events = plan_grow(p->events, p->events_n, &m->events_room, sizeof *p->events);
		if (!p->events)
			return -1;
		uint32_t sku = popularity_pick(m->sku_below, (uint32_t)m->scenario->skus, random_next(&m->random));
		p->events[p->events_n++] = (struct till_event){ .cell = message->till % p->locations_n * (uint32_t)m->scenario->skus + sku,
			.qty = (int32_t)pick_share(&m->scenario->quantity, random_next(&m->random)), .n = ++p->till_last[message->till],
			.kind = random_next(&m->random) < m->scenario->returns ? TILL_RETURN : TILL_SALE };
	}
	return 0;
}

static int
make_tills(struct maker *m)
{
	struct plan *p = m->plan;
	p->tills_n = (uint32_t)m->scenario->tills;
	p->till_last = calloc(p->tills_n + 1, sizeof *p->till_last);
	uint32_t n = p->tills_n ? (uint32_t)(m->scenario->till_events * (double)m->scenario->duration_ms / 1000 / (double)m->scenario->till_lines) : 0;
	p->messages = calloc((size_t)n + 1, sizeof *p->messages);
	int64_t *due_ns = calloc((size_t)n + 1, sizeof *due_ns);
	bool good = p->till_last && p->messages && due_ns;
	if (good)
		curve_draw(m->scenario, &m->random, due_ns, n);
	for (uint32_t i = 0; i < n && good; i++) {
		p->messages[i].due_ns = due_ns[i];
		p->messages[i].till = (uint32_t)(random_next(&m->random) * p->tills_n);
		good = add_message(m, &p->messages[i]) == 0;
	}
	p->messages_n = n;
	free(due_ns);
	return good ? 0 : -1;
}

static enum intent
pick_intent(const struct scenario *s, uint64_t *random)
{
	double x = random_next(random), ships = random_next(random);
	if (x < s->commit)
		return ships < s->fulfil ? INTENT_FULFIL : INTENT_COMMIT;
	return x < s->commit + s->cancel ? INTENT_CANCEL : INTENT_ABANDON;
}

/* Evenly before the curve, at its mean rate. Looks are warmed up as looks. */
static int
make_warm_up(struct plan *p, uint32_t n)
{
	const struct scenario *s = p->scenario;
	struct shopper *all = calloc((size_t)p->shoppers_n + n + 1, sizeof *all);
	struct plan_line *lines = realloc(p->lines, (p->lines_n + 1) * sizeof *lines);
	if (lines)
		p->lines = lines;
	if (!all || !lines) {
		free(all);
		return -1;
	}
	p->lines[p->lines_n] = (struct plan_line){ p->cells_n - 1, 1 };
	memcpy(all + n, p->shoppers, p->shoppers_n * sizeof *all);
	for (uint32_t i = 0; i < n; i++)
		all[i] = (struct shopper){ .due_ns = (int64_t)((double)i - n) * s->warm_up_ms * 1000000 / n, .line = p->lines_n, .lines_n = 1,
			.looks = i < n * s->looking, .warm = true };
	free(p->shoppers);
	p->shoppers = all;
	p->shoppers_n += n;
	p->lines_n++;
	return 0;
}

int
plan_finish(struct plan *p, uint64_t *random, struct why *why)
{
	const struct scenario *s = p->scenario;
	double rate = (double)p->shoppers_n / ((double)p->duration_ns / 1e9);
	uint32_t warm = s->closed ? 0 : (uint32_t)(rate * (double)s->warm_up_ms / 1000);
	snprintf(p->skus[p->skus_n - 1], sizeof *p->skus, "%s" WARM_SKU, p->stamp);
	p->cells[p->cells_n - 1] = (struct plan_cell){ p->skus_n - 1, 0, WARM_UNITS };
	if (make_warm_up(p, warm) < 0) {
		snprintf(why->text, sizeof why->text, "no memory for the plan");
		return -1;
	}
	for (uint32_t i = 0; i < p->shoppers_n; i++) {
		struct shopper *shopper = &p->shoppers[i];
		shopper->intent = (uint8_t)pick_intent(s, random);
		shopper->think_ms = (uint32_t)((double)s->think_ms * (.5 + random_next(random)));
		shopper->twice = !shopper->looks && random_next(random) < s->pressed_twice;
	}
	return 0;
}

int
plan_make(struct plan *p, const struct scenario *s, uint64_t seed, const char *stamp, struct why *why)
{
	struct maker m = { .plan = p, .scenario = s, .random = seed };
	uint32_t skus = (uint32_t)s->skus;
	*p = (struct plan){ .scenario = s, .duration_ns = s->duration_ms * 1000000, .skus_n = skus + 1, .locations_n = (uint32_t)s->locations };
	snprintf(p->stamp, sizeof p->stamp, "%s", stamp);
	p->cells_n = skus * p->locations_n + 1;
	p->skus = calloc(p->skus_n, sizeof *p->skus);
	p->locations = calloc(p->locations_n, sizeof *p->locations);
	p->cells = calloc(p->cells_n, sizeof *p->cells);
	p->cells_below = calloc(p->cells_n, sizeof *p->cells_below);
	m.sku_below = calloc(skus, sizeof *m.sku_below);
	m.location_below = calloc(p->locations_n, sizeof *m.location_below);
	bool good = p->skus && p->locations && p->cells && p->cells_below && m.sku_below && m.location_below;
	if (good) {
		name_all(p);
		popularity_make(m.sku_below, skus, s->zipf);
		make_hot(&m);
		popularity_make(m.location_below, p->locations_n, s->location_zipf);
		make_cells(&m);
		good = make_shoppers(&m) == 0 && make_tills(&m) == 0;
	}
	free(m.sku_below);
	free(m.location_below);
	if (!good)
		snprintf(why->text, sizeof why->text, "no memory for the plan");
	if (good && plan_finish(p, &m.random, why) == 0)
		return 0;
	plan_fini(p);
	return -1;
}

void
plan_fini(struct plan *p)
{
	void *const all[] = { p->skus, p->locations, p->cells, p->cells_below, p->shoppers, p->lines, p->events, p->messages, p->till_last };
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		free(all[i]);
	*p = (struct plan){ .scenario = NULL };
}

uint32_t
plan_look(const struct plan *p, uint64_t *random)
{
	double x = random_next(random);
	return p->cells_below ? popularity_pick(p->cells_below, p->cells_n - 1, x) : (uint32_t)(x * (p->cells_n - 1));
}

uint32_t
plan_hottest(const struct plan *p, uint32_t *cells, uint32_t n)
{
	int64_t *units = calloc(p->cells_n, sizeof *units);
	uint32_t found = 0;
	for (uint32_t i = 0; i < p->shoppers_n && units; i++)
		for (uint32_t l = 0; l < p->shoppers[i].lines_n && !p->shoppers[i].looks; l++)
			units[p->lines[p->shoppers[i].line + l].cell] += p->lines[p->shoppers[i].line + l].qty;
	for (uint32_t i = 0; i < p->events_n && units; i++)
		units[p->events[i].cell] += p->events[i].qty;
	for (uint32_t i = 0; i + 1 < p->cells_n && units; i++) {
		uint32_t at = found < n ? found++ : n;
		if (at == n && (n == 0 || units[i] <= units[cells[n - 1]]))
			continue;
		for (at = at == n ? n - 1 : at; at > 0 && units[cells[at - 1]] < units[i]; at--)
			cells[at] = cells[at - 1];
		cells[at] = i;
	}
	free(units);
	return found;
}

void
plan_hold_id(const struct plan *p, uint32_t shopper, char *to)
{
	snprintf(to, PLAN_NAME_BYTES, "%sh-%08x", p->stamp, shopper);
}

void
plan_till_name(const struct plan *p, uint32_t till, char *to)
{
	snprintf(to, PLAN_NAME_BYTES, "%still-%03u", p->stamp, till + 1);
}
