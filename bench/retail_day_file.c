/*
 * retail_day_file.c: a day (or a year) from a CSV file with the columns of the Online Retail export, found by name:
 *
 *   ts, sku, loc, qty, kind and, when there, txn
 *
 * kind: sale, free (a sale at no price), return, adjust; other kinds are passed over and counted by nobody. Every second
 * transaction is taken as a web order: its sales become a basket that is reserved, committed and shipped over RPC (or
 * cancelled, or abandoned). All else goes through the gate as stock events. Opening stock is the least with which the file
 * never goes below zero, and at least one unit, so that every SKU is known.
 */
#include "bench/retail_day.h"

#include <csv.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <zlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum column { TS, TXN, SKU, LOC, QTY, KIND, COLUMNS };
static const char *const column_name[COLUMNS] = { "ts", "txn", "sku", "loc", "qty", "kind" };
#define FIELDS_MAX 64

/* Names to numbers: open addressing over a list of names of one size. */
struct dictionary {
	uint32_t *slot; /* number + 1 */
	uint32_t slots_n, n;
};

struct row {
	int64_t at;
	uint32_t cell;
	int32_t qty; /* signed effect on the stock */
	uint64_t txn; /* hash */
	uint8_t kind;
};

struct reading {
	struct day *day;
	struct row *rows;
	uint32_t rows_n, rows_room, skus_room, locations_room, cells_room;
	struct dictionary skus, locations, cells;
	int of_field[FIELDS_MAX];
	char field[COLUMNS][256];
	int field_n;
	uint64_t line;
	struct why *why;
	bool failed, all_web;
};

static void
fail(struct reading *r, const char *what)
{
	if (!r->failed)
		snprintf(r->why->text, sizeof r->why->text, "line %llu: %s", (unsigned long long)r->line, what);
	r->failed = true;
}

static void
dictionary_room(struct dictionary *d, const char *keys, size_t key_bytes)
{
	if (d->n * 2 < d->slots_n)
		return;
	free(d->slot);
	d->slots_n = d->slots_n ? d->slots_n * 4 : 4096;
	d->slot = calloc(d->slots_n, sizeof *d->slot);
	for (uint32_t i = 0; i < d->n; i++) {
		uint32_t at = (uint32_t)XXH3_64bits(keys + i * key_bytes, key_bytes) & (d->slots_n - 1);
		while (d->slot[at])
			at = (at + 1) & (d->slots_n - 1);
		d->slot[at] = i + 1;
	}
}

/* The number of the key; d->n grows when it is new (the caller then stores it). */
static uint32_t
dictionary_find(struct dictionary *d, const char *keys, size_t key_bytes, const void *key)
{
	dictionary_room(d, keys, key_bytes);
	uint32_t at = (uint32_t)XXH3_64bits(key, key_bytes) & (d->slots_n - 1);
	for (; d->slot[at]; at = (at + 1) & (d->slots_n - 1))
		if (memcmp(keys + (size_t)(d->slot[at] - 1) * key_bytes, key, key_bytes) == 0)
			return d->slot[at] - 1;
	d->slot[at] = ++d->n;
	return d->n - 1;
}

static uint32_t
find_cell(struct reading *r, const char *sku_name, const char *location_name)
{
	struct day *d = r->day;
	char sku[sizeof *d->skus] = "", location[sizeof *d->locations] = "";
	snprintf(sku, sizeof sku, "%.*s", (int)sizeof sku - 1, sku_name);
	snprintf(location, sizeof location, "%.*s", (int)sizeof location - 1, location_name);
	struct cell cell;
	memset(&cell, 0, sizeof cell); /* compared as bytes */
	cell.sku = dictionary_find(&r->skus, (const char *)d->skus, sizeof sku, sku);
	if (cell.sku == d->skus_n) {
		d->skus = day_grow(d->skus, d->skus_n, &r->skus_room, sizeof sku);
		memcpy(d->skus[d->skus_n++], sku, sizeof sku);
	}
	cell.location = dictionary_find(&r->locations, (const char *)d->locations, sizeof location, location);
	if (cell.location == d->locations_n) {
		d->locations = day_grow(d->locations, d->locations_n, &r->locations_room, sizeof location);
		memcpy(d->locations[d->locations_n++], location, sizeof location);
	}
	uint32_t number = dictionary_find(&r->cells, (const char *)d->cells, sizeof cell, &cell);
	if (number == d->cells_n) {
		d->cells = day_grow(d->cells, d->cells_n, &r->cells_room, sizeof cell);
		d->cells[d->cells_n++] = cell;
	}
	return number;
}

static void
take_field(void *text, size_t n, void *reading)
{
	struct reading *r = reading;
	int i = r->field_n++;
	if (i >= FIELDS_MAX)
		return;
	if (r->line == 1) {
		r->of_field[i] = -1;
		for (int c = 0; c < COLUMNS; c++)
			if (n == strlen(column_name[c]) && memcmp(text, column_name[c], n) == 0)
				r->of_field[i] = c;
		return;
	}
	if (r->of_field[i] < 0)
		return;
	char *to = r->field[r->of_field[i]];
	if (n >= sizeof r->field[0])
		n = sizeof r->field[0] - 1;
	memcpy(to, text, n);
	to[n] = 0;
}

static void
check_header(struct reading *r)
{
	char what[64];
	for (int c = 0; c < COLUMNS; c++) {
		bool there = c == TXN;
		for (int i = 0; i < r->field_n && i < FIELDS_MAX; i++)
			there |= r->of_field[i] == c;
		snprintf(what, sizeof what, "the header names no column '%s'", column_name[c]);
		if (!there)
			fail(r, what);
	}
}

static bool
parse_ts(const char *text, int64_t *at)
{
	struct tm tm = { 0 };
	int n = sscanf(text, "%d-%d-%dT%d:%d:%d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec);
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	*at = (int64_t)timegm(&tm) * 1000;
	return n >= 3;
}

static void
take_row(struct reading *r)
{
	static const struct { const char *name; enum fact_kind kind; int sign; } kinds[] = {
		{ "sale", FACT_SALE, -1 }, { "free", FACT_SALE, -1 }, { "return", FACT_RETURN, 1 }, { "adjust", FACT_ADJUST, 0 },
	};
	size_t k = 0;
	char *end;
	while (k < sizeof kinds / sizeof *kinds && strcmp(r->field[KIND], kinds[k].name) != 0)
		k++;
	if (k == sizeof kinds / sizeof *kinds)
		return;
	long qty = strtol(r->field[QTY], &end, 10);
	if (end == r->field[QTY] || *end || labs(qty) > QTY_LINE_MAX) {
		fail(r, "qty is not a whole number of units");
		return;
	}
	r->rows = day_grow(r->rows, r->rows_n, &r->rows_room, sizeof *r->rows);
	struct row *row = &r->rows[r->rows_n];
	if (!parse_ts(r->field[TS], &row->at))
		fail(r, "ts is not like 2010-12-01T08:26:00");
	if (!r->field[SKU][0] || !r->field[LOC][0])
		fail(r, "sku or loc is empty");
	if (qty == 0)
		return;
	row->kind = (uint8_t)kinds[k].kind;
	row->qty = (int32_t)(kinds[k].sign ? kinds[k].sign * labs(qty) : qty);
	row->txn = r->field[TXN][0] ? XXH3_64bits(r->field[TXN], strlen(r->field[TXN])) | 1 : 0;
	row->cell = find_cell(r, r->field[SKU], r->field[LOC]);
	r->rows_n++;
}

static void
end_row(int c, void *reading)
{
	struct reading *r = reading;
	if (r->line == 1)
		check_header(r);
	else if (!r->failed)
		take_row(r);
	r->line++;
	r->field_n = 0;
	for (int i = 0; i < COLUMNS; i++)
		r->field[i][0] = 0;
}

static void
add_opening(struct reading *r, uint32_t *room)
{
	struct day *d = r->day;
	int64_t *now = calloc(d->cells_n, sizeof *now), *least = calloc(d->cells_n, sizeof *least);
	for (uint32_t i = 0; i < r->rows_n; i++) {
		uint32_t cell = r->rows[i].cell;
		now[cell] += r->rows[i].qty;
		if (now[cell] < least[cell])
			least[cell] = now[cell];
	}
	for (uint32_t i = 0; i < d->cells_n; i++) {
		d->facts = day_grow(d->facts, d->facts_n, room, sizeof *d->facts);
		d->facts[d->facts_n++] = (struct fact){ .at = r->rows[0].at - 60000, .cell = i, .qty = least[i] < 0 ? (int32_t)-least[i] : 1,
			.source = 1, .kind = FACT_RECEIPT, .n = ++d->sent_n[1] };
	}
	d->openings = d->facts_n;
	free(now);
	free(least);
}

/* Rows of one web order follow one another in the file; the basket is closed by another order, or when it is full. */
static void
split_rows(struct reading *r, uint32_t facts_room)
{
	struct day *d = r->day;
	uint32_t baskets_room = 0, lines_room = 0;
	uint64_t open_txn = 0, random = 1;
	for (uint32_t i = 0; i < r->rows_n; i++) {
		const struct row *row = &r->rows[i];
		double due = (double)i / r->rows_n;
		bool web = row->kind == FACT_SALE && (r->all_web || (row->txn && (row->txn >> 1) % 2));
		if (!web) {
			d->facts = day_grow(d->facts, d->facts_n, &facts_room, sizeof *d->facts);
			d->facts[d->facts_n++] = (struct fact){ .at = row->at, .due = due, .cell = row->cell, .kind = row->kind,
				.qty = row->kind == FACT_SALE ? -row->qty : row->qty, .n = ++d->sent_n[0] };
			continue;
		}
		if (row->txn != open_txn || !row->txn || d->baskets[d->baskets_n - 1].lines_n == BASKET_LINES_MAX) {
			d->baskets = day_grow(d->baskets, d->baskets_n, &baskets_room, sizeof *d->baskets);
			d->baskets[d->baskets_n++] = (struct basket){ .due = due, .at = row->at, .line = d->lines_n, .fate = (uint8_t)day_fate(day_random(&random)) };
			open_txn = row->txn;
		}
		d->lines = day_grow(d->lines, d->lines_n, &lines_room, sizeof *d->lines);
		d->lines[d->lines_n++] = (struct line){ row->cell, -row->qty };
		d->baskets[d->baskets_n - 1].lines_n++;
	}
}

static int
parse_file(struct reading *r, const char *path)
{
	static char bytes[1 << 18];
	struct csv_parser csv;
	int n = 0;
	gzFile f = gzopen(path, "rb");
	if (!f || csv_init(&csv, CSV_APPEND_NULL) != 0) {
		snprintf(r->why->text, sizeof r->why->text, "cannot open it");
		return -1;
	}
	r->line = 1;
	while (!r->failed && (n = gzread(f, bytes, sizeof bytes)) > 0)
		if (csv_parse(&csv, bytes, (size_t)n, take_field, end_row, r) != (size_t)n)
			fail(r, csv_strerror(csv_error(&csv)));
	csv_fini(&csv, take_field, end_row, r);
	csv_free(&csv);
	gzclose(f);
	if (n < 0)
		fail(r, "the file is damaged or cut short");
	else if (!r->failed && r->rows_n == 0)
		fail(r, "no row that moves stock (kind sale, free, return, adjust)");
	return r->failed ? -1 : 0;
}

static int
read_day(struct day *d, const char *path, bool all_web, struct why *why)
{
	static struct reading r;
	uint32_t facts_room = 0;
	r = (struct reading){ .day = d, .all_web = all_web, .why = why };
	*d = (struct day){ .what = path, .sources_n = 2 };
	d->sources = calloc(2, sizeof *d->sources);
	d->sent_n = calloc(2, sizeof *d->sent_n);
	strcpy(d->sources[0], "shop");
	strcpy(d->sources[1], "opening");
	int result = parse_file(&r, path);
	if (result == 0) {
		add_opening(&r, &facts_room);
		split_rows(&r, facts_room);
	}
	free(r.rows);
	free(r.skus.slot);
	free(r.locations.slot);
	free(r.cells.slot);
	return result;
}

int
day_read(struct day *d, const char *path, struct why *why)
{
	return read_day(d, path, false, why);
}

int
day_read_orders(struct day *d, const char *path, struct why *why)
{
	return read_day(d, path, true, why);
}

void
day_fini(struct day *d)
{
	void *const all[] = { d->skus, d->locations, d->sources, d->sent_n, d->cells, d->facts, d->baskets, d->lines };
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		free(all[i]);
	*d = (struct day){ .what = NULL };
}
