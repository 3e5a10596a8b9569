/*
 * retail_day_make.c: a generated retail day. The shapes are measured ones, from three public data sets:
 *
 *   FreshRetailNet-50K (107 stores of one city)   hours of the day, units of a line, popularity of SKUs (Zipf), stores' shares
 *   WideWorldImporters orders                     lines of a basket
 *   UCI Online Retail                             share of returns
 *
 * The rates are far above theirs: a whole day is played in half a minute.
 */
#include "bench/popularity.h"
#include "bench/retail_day.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define STORES 20
#define SKUS 2000
#define TILL_LINES 330000
#define BASKETS 150000
#define RECEIPTS 16000
#define COUNTS 1500
#define ADJUSTS 1500
#define DAY_MS INT64_C(86400000)
#define DAY_START INT64_C(1718150400000) /* 2024-06-12 00:00 UTC, a day of FreshRetailNet's span */

#define ZIPF_EXPONENT 0.83 /* popularity of SKUs by lines */
#define RETURN_SHARE 0.01622 /* of lines */
#define LATE_SHARE 0.01 /* of till lines arrive late, by up to LATE_MOST of the day: a store that was offline for a while */
#define LATE_MOST 0.05
#define SHORTEST_TIME 0.55 /* least and greatest opening stock, in expected days of demand */
#define LONGEST_TIME 1.9

static const double hour_share[24] = { .0143, .0096, .0062, .0045, .0037, .0083, .0238, .0463, .0707, .0852, .0858, .0720, .0613, .0592,
	.0666, .0787, .0799, .0631, .0464, .0385, .0304, .0212, .0144, .0101 };
static const double line_units[] = { .6036, .2150, .0851, .0386, .0196, .0116, .0056, .0037, .0027, .0019 }; /* 1.. */
static const double basket_lines[] = { .1168, .2292, .2325, .2314, .1901 }; /* 1.. */

struct maker {
	struct day *day;
	uint64_t random;
	double sku_below[SKUS], store_below[STORES]; /* cumulated shares */
	uint32_t facts_room, baskets_room, lines_room;
};

/* splitmix64 */
double
day_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

void *
day_grow(void *array, uint32_t used, uint32_t *room, size_t item_bytes)
{
	if (used < *room)
		return array;
	*room = *room ? *room * 2 : 1024;
	array = realloc(array, *room * item_bytes);
	if (!array) {
		fputs("no memory for the day\n", stderr);
		exit(1);
	}
	memset((char *)array + used * item_bytes, 0, (*room - used) * item_bytes);
	return array;
}

/* Of a hundred shoppers with a hold. */
enum fate
day_fate(double random)
{
	static const double below[FATES] = { .58, .66, .70, .78, .96, 1. };
	int fate = 0;
	while (fate < FATES - 1 && random >= below[fate])
		fate++;
	return (enum fate)fate;
}

static uint32_t
pick_share(const double *share, uint32_t n, double x)
{
	uint32_t i = 0;
	while (i < n - 1 && x >= share[i])
		x -= share[i++];
	return i;
}

static double
pick_due(struct maker *m)
{
	double x = day_random(&m->random);
	uint32_t hour = pick_share(hour_share, 24, x);
	return (hour + day_random(&m->random)) / 24;
}

static uint32_t
pick_sku(struct maker *m)
{
	return popularity_pick(m->sku_below, SKUS, day_random(&m->random));
}

static uint32_t
pick_store(struct maker *m)
{
	return popularity_pick(m->store_below, STORES, day_random(&m->random));
}

static int32_t
pick_units(struct maker *m)
{
	return (int32_t)pick_share(line_units, sizeof line_units / sizeof *line_units, day_random(&m->random)) + 1;
}

static struct fact *
add_fact(struct maker *m, enum fact_kind kind, uint32_t store, uint32_t sku, int32_t qty, double due)
{
	struct day *d = m->day;
	d->facts = day_grow(d->facts, d->facts_n, &m->facts_room, sizeof *d->facts);
	struct fact *f = &d->facts[d->facts_n++];
	/* A store has a till server, a back door (the warehouse's receipts) and a clerk who counts. */
	uint32_t part = kind == FACT_RECEIPT ? 1 : kind == FACT_SALE || kind == FACT_RETURN ? 0 : 2;
	*f = (struct fact){ .at = DAY_START + (int64_t)(due * (double)DAY_MS), .due = due, .cell = store * SKUS + sku, .qty = qty,
		.source = part * STORES + store, .kind = (uint8_t)kind };
	return f;
}

static void
name_all(struct day *d)
{
	static const char *const part[] = { "till", "wms", "clerk" };
	d->skus = calloc(SKUS, sizeof *d->skus);
	d->locations = calloc(STORES, sizeof *d->locations);
	d->sources = calloc(3 * STORES, sizeof *d->sources);
	d->sent_n = calloc(3 * STORES, sizeof *d->sent_n);
	d->cells = calloc((size_t)SKUS * STORES, sizeof *d->cells);
	for (uint32_t i = 0; i < SKUS; i++)
		snprintf(d->skus[i], sizeof d->skus[i], "SKU-%05u", 10001 + i * 7);
	for (uint32_t i = 0; i < STORES; i++)
		snprintf(d->locations[i], sizeof d->locations[i], "ST-%04u", i + 1);
	for (uint32_t i = 0; i < 3 * STORES; i++)
		snprintf(d->sources[i], sizeof d->sources[i], "%s-%02u", part[i / STORES], i % STORES + 1);
	for (uint32_t i = 0; i < SKUS * STORES; i++)
		d->cells[i] = (struct cell){ .sku = i % SKUS, .location = i / SKUS };
	d->skus_n = SKUS, d->locations_n = STORES, d->sources_n = 3 * STORES, d->cells_n = SKUS * STORES;
}

/* Opening stock: some cells last the day, some do not. Neighbours are of different stores, so that no source runs far ahead. */
static void
make_openings(struct maker *m, double units)
{
	for (uint32_t sku = 0; sku < SKUS; sku++)
		for (uint32_t store = 0; store < STORES; store++) {
			double of_sku = popularity_share(m->sku_below, sku);
			double of_store = popularity_share(m->store_below, store);
			double days = SHORTEST_TIME + (LONGEST_TIME - SHORTEST_TIME) * day_random(&m->random);
			add_fact(m, FACT_RECEIPT, store, sku, (int32_t)ceil(units * of_sku * of_store * days) + 1, 0);
		}
	m->day->openings = m->day->facts_n;
}

static void
make_facts(struct maker *m, double scale)
{
	for (uint32_t i = 0; i < (uint32_t)(TILL_LINES * scale); i++) {
		bool back = day_random(&m->random) < RETURN_SHARE;
		struct fact *f = add_fact(m, back ? FACT_RETURN : FACT_SALE, pick_store(m), pick_sku(m), pick_units(m), pick_due(m));
		if (day_random(&m->random) < LATE_SHARE)
			f->due = fmin(f->due + LATE_MOST * day_random(&m->random), 1);
	}
	/* Deliveries come in the morning, counts and corrections when the store is calm. */
	for (uint32_t i = 0; i < (uint32_t)(RECEIPTS * scale); i++)
		add_fact(m, FACT_RECEIPT, pick_store(m), pick_sku(m), 6 + 6 * (int32_t)(4 * day_random(&m->random)), .25 + .15 * day_random(&m->random));
	for (uint32_t i = 0; i < (uint32_t)(ADJUSTS * scale); i++)
		add_fact(m, FACT_ADJUST, pick_store(m), pick_sku(m), day_random(&m->random) < .7 ? -1 : 1, .3 + .6 * day_random(&m->random));
	for (uint32_t i = 0; i < (uint32_t)(COUNTS * scale); i++)
		add_fact(m, FACT_COUNT, pick_store(m), pick_sku(m), 0, .3 + .6 * day_random(&m->random));
}

static void
make_baskets(struct maker *m, double scale)
{
	struct day *d = m->day;
	uint32_t n = (uint32_t)(BASKETS * scale);
	d->baskets = calloc(n, sizeof *d->baskets);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t store = pick_store(m);
		struct basket *b = &d->baskets[d->baskets_n++];
		*b = (struct basket){ .due = pick_due(m), .line = d->lines_n, .fate = (uint8_t)day_fate(day_random(&m->random)) };
		b->lines_n = pick_share(basket_lines, sizeof basket_lines / sizeof *basket_lines, day_random(&m->random)) + 1;
		for (uint32_t l = 0; l < b->lines_n; l++) {
			d->lines = day_grow(d->lines, d->lines_n, &m->lines_room, sizeof *d->lines);
			d->lines[d->lines_n++] = (struct line){ store * SKUS + pick_sku(m), pick_units(m) };
		}
	}
}

static int
fact_order(const void *a, const void *b)
{
	const struct fact *x = a, *y = b;
	return x->due != y->due ? (x->due > y->due) - (x->due < y->due) : (x->cell > y->cell) - (x->cell < y->cell);
}

static int
basket_order(const void *a, const void *b)
{
	double x = ((const struct basket *)a)->due, y = ((const struct basket *)b)->due;
	return (x > y) - (x < y);
}

/* Numbers of the sources, and counts that find about what the books say. */
static void
finish(struct maker *m)
{
	struct day *d = m->day;
	int64_t *book = calloc(d->cells_n, sizeof *book);
	for (uint32_t i = 0; i < d->facts_n; i++) {
		struct fact *f = &d->facts[i];
		f->n = ++d->sent_n[f->source];
		if (f->kind == FACT_COUNT) {
			int64_t found = book[f->cell] + (int64_t)(3 * day_random(&m->random)) - 1;
			f->qty = found > 0 ? (int32_t)found : 0;
			d->cells[f->cell].counted = true;
		} else
			book[f->cell] += f->kind == FACT_SALE ? -f->qty : f->qty;
	}
	free(book);
}

void
day_make(struct day *d, uint64_t seed, double scale)
{
	static struct maker m;
	m = (struct maker){ .day = d, .random = seed };
	*d = (struct day){ .what = "generated", .by_clock = true };
	name_all(d);
	popularity_make(m.sku_below, SKUS, ZIPF_EXPONENT);
	popularity_make(m.store_below, STORES, .3);
	make_openings(&m, (TILL_LINES + BASKETS * 3.14 * .6) * 1.84 * scale);
	make_facts(&m, scale);
	make_baskets(&m, scale);
	qsort(d->facts + d->openings, d->facts_n - d->openings, sizeof *d->facts, fact_order);
	qsort(d->baskets, d->baskets_n, sizeof *d->baskets, basket_order);
	finish(&m);
}
