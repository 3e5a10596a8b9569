/*
 * post_row.c: CSV rows through libcsv, a line at a time, so that the original row is at hand when it is refused. Fields are
 * gathered by key and written in the keys' order, whatever the order of the columns. Nothing is allocated per row.
 */
#include "cmd/post_row.h"
#include "net/codec_write.h"

#include <csv.h>
#include <stdio.h>
#include <stdlib.h>

#define COLUMN_PASSED (-1)
#define CSV_HEAD_BYTES_MAX 3 /* of a map of so many keys */
#define RENAMES_MAX 32

struct post_rows {
	enum post_format format;
	struct post_defaults defaults;
	struct {
		const char *from;
		size_t from_n;
		int key;
	} renamed[RENAMES_MAX];
	int renamed_n;
	struct csv_parser csv;
	uint64_t count;
	int column[POST_COLUMNS_MAX]; /* key of each, or COLUMN_PASSED */
	int columns, at; /* of the header; of the present row */
	bool header, whole, too_wide, unclosed, unknown_column;
	struct bytes field[POST_KEY_COUNT];
	size_t scratch_used;
	struct why *why;
	uint8_t scratch[RECORD_BYTES_MAX]; /* the fields of the present row */
	uint8_t event[POST_EVENT_ROOM];
};

/*
 * A row ends where its line does (post_read.h), and nowhere else: were a carriage return an end, too, as libcsv has it, what stands behind
 * one would go on in the next record. Before a line's end it is a blank.
 */
static int
ends_row(unsigned char c)
{
	return c == '\n';
}

static int
is_blank(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

struct post_rows *
post_rows_new(void)
{
	struct post_rows *r = calloc(1, sizeof *r);
	if (r && csv_init(&r->csv, 0) != 0) {
		free(r);
		return NULL;
	}
	if (r) {
		csv_set_term_func(&r->csv, ends_row);
		csv_set_space_func(&r->csv, is_blank);
	}
	return r;
}

void
post_rows_free(struct post_rows *r)
{
	if (!r)
		return;
	csv_free(&r->csv);
	free(r);
}

bool
post_rows_default(struct post_rows *r, const char *key, size_t key_n, const char *value)
{
	int k = post_key_find(key, key_n);
	if (k < 0)
		return false;
	r->defaults.value[k] = (struct bytes){ (const uint8_t *)value, (uint32_t)strlen(value) };
	return true;
}

bool
post_rows_column(struct post_rows *r, const char *from, size_t from_n, const char *key)
{
	int k = key ? post_key_find(key, strlen(key)) : COLUMN_PASSED;
	if ((key && k < 0) || r->renamed_n == RENAMES_MAX)
		return false;
	r->renamed[r->renamed_n].from = from;
	r->renamed[r->renamed_n].from_n = from_n;
	r->renamed[r->renamed_n++].key = k;
	return true;
}

void
post_rows_number(struct post_rows *r, int64_t first)
{
	r->defaults.next_number = first;
}

void
post_rows_format(struct post_rows *r, enum post_format format)
{
	r->format = format;
}

uint64_t
post_rows_count(const struct post_rows *r)
{
	return r->count;
}

/* ---- CSV ---- */

static bool
is_text(const char *name, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((uint8_t)name[i] < ' ')
			return false;
	return true;
}

/* The one column that gives a key; a second one would win silently. */
static void
header_take(struct post_rows *r, int key)
{
	for (int i = 0; key != COLUMN_PASSED && i < r->columns && !r->unknown_column; i++)
		if (r->column[i] == key) {
			r->unknown_column = true;
			snprintf(r->why->text, sizeof r->why->text, "the header has two columns for '%s': leave one out, or rename it and pass it over by --ignore",
			    post_key_name((enum post_key)key));
		}
	r->column[r->columns++] = key;
}

static void
header_field(struct post_rows *r, const char *name, size_t n)
{
	int key = post_key_find(name, n);
	if (r->columns == POST_COLUMNS_MAX) {
		snprintf(r->why->text, sizeof r->why->text, "the header has more than %d columns", POST_COLUMNS_MAX);
		r->unknown_column = true;
		return;
	}
	bool known = key >= 0;
	for (int i = 0; i < r->renamed_n; i++)
		if (r->renamed[i].from_n == n && memcmp(r->renamed[i].from, name, n) == 0) {
			key = r->renamed[i].key;
			known = true;
		}
	if (!known && !r->unknown_column) {
		r->unknown_column = true;
		bool tabs = memchr(name, '\t', n) != NULL;
		if (tabs || memchr(name, ';', n))
			snprintf(r->why->text, sizeof r->why->text, "the header's fields are separated by %s: commas are needed", tabs ? "tabs" : "semicolons");
		else if (!is_text(name, n))
			snprintf(r->why->text, sizeof r->why->text, "the header is no text: is this a CSV file?");
		else
			snprintf(r->why->text, sizeof r->why->text,
			    "the header has a column '%.*s' that is no key of an event: --column %.*s=KEY says which it is, --ignore %.*s passes it over",
			    (int)(n < 64 ? n : 64), name, (int)(n < 64 ? n : 64), name, (int)(n < 64 ? n : 64), name);
	}
	header_take(r, key);
}

static void
on_field(void *bytes, size_t n, void *data)
{
	struct post_rows *r = data;
	if (r->header) {
		header_field(r, bytes, n);
		return;
	}
	int column = r->at++;
	if (column >= r->columns) {
		r->too_wide |= n > 0;
		return;
	}
	int key = r->column[column];
	if (key == COLUMN_PASSED || n == 0)
		return;
	uint8_t *to = r->scratch + r->scratch_used;
	ensure(n <= sizeof r->scratch - r->scratch_used); /* fields together are never longer than their record */
	memcpy(to, bytes, n);
	r->scratch_used += n;
	r->field[key] = (struct bytes){ to, (uint32_t)n };
}

static void
on_row(int end, void *data)
{
	((struct post_rows *)data)->whole = true;
}

static bool
blank(struct bytes line)
{
	for (uint32_t i = 0; i < line.n; i++)
		if (!memchr(" \t\r\n", line.at[i], 4))
			return false;
	return true;
}

/* Parses lines until a record is whole. 1; 0: end; -1: *why. */
static int
csv_record(struct post_rows *r, struct post_file *f, struct why *why)
{
	struct bytes line;
	int got;
	do
		got = post_read_line(f, false, &line, why);
	while (got == 1 && blank(line));
	r->at = 0;
	r->scratch_used = 0;
	r->whole = r->too_wide = r->unclosed = false;
	memset(r->field, 0, sizeof r->field);
	while (got == 1) {
		size_t taken = csv_parse(&r->csv, line.at, line.n, on_field, on_row, r);
		if (taken == line.n && line.at[line.n - 1] != '\n')
			taken -= csv_parse(&r->csv, "\n", 1, on_field, on_row, r) != 1; /* the last line has no end: a quote may still be open */
		if (taken != line.n) {
			snprintf(why->text, sizeof why->text, "row %llu: %s", (unsigned long long)r->count + 1, csv_strerror(csv_error(&r->csv)));
			return -1;
		}
		if (r->whole)
			return 1;
		got = post_read_line(f, true, &line, why);
		r->unclosed = got == 0;
	}
	if (!r->unclosed)
		return got;
	csv_fini(&r->csv, on_field, on_row, r);
	return 1;
}

static void
csv_event(struct post_rows *r, struct post_event *event)
{
	uint8_t *first = r->event + CSV_HEAD_BYTES_MAX, *p = WIRE(first, "\xa1v\x01");
	const uint8_t *end = r->event + sizeof r->event;
	uint32_t pairs = 1;
	int64_t unused;
	char text[POST_NUMBER_TEXT];
	*event = (struct post_event){ .bytes = r->event };
	for (int k = 0; k < POST_KEY_COUNT && p; k++) {
		struct bytes value = r->field[k].n ? r->field[k] : post_key_default(&r->defaults, (enum post_key)k, text);
		if (!value.n)
			continue;
		if (k == POST_SOURCE)
			event->source = value;
		event->dated |= k == POST_AT;
		p = post_key_put(p, end, (enum post_key)k, value, k == POST_N ? &event->number : &unused);
		pairs++;
	}
	if (!p) {
		event->defect = POST_TOO_LONG;
		return;
	}
	uint8_t *head = first - (pairs > 15 ? CSV_HEAD_BYTES_MAX : 1);
	if (pairs > 15)
		wire_big_endian(head, 0xde, pairs, 2);
	else
		*head = (uint8_t)(0x80 | pairs);
	event->bytes = head;
	event->n = (uint32_t)(p - head);
}

/* ---- the file ---- */

static int
csv_header(struct post_rows *r, struct post_file *f, struct why *why)
{
	r->header = true;
	r->why = why;
	int got = csv_record(r, f, why);
	r->header = false;
	r->why = NULL;
	if (got < 0 || r->unknown_column)
		return -1;
	if (got == 0) {
		snprintf(why->text, sizeof why->text, "the file is empty: not even a header line");
		return -1;
	}
	bool has[POST_KEY_COUNT] = { false };
	for (int c = 0; c < r->columns; c++)
		if (r->column[c] != COLUMN_PASSED)
			has[r->column[c]] = true;
	const char *lacks = !has[POST_SOURCE] && !r->defaults.value[POST_SOURCE].n ? "no source: add a column 'source', or --source NAME"
	    : !has[POST_N] && !has[POST_ID] && !r->defaults.next_number
	    ? "no identity: add a column 'n' or 'id', or number the rows with --number-from 1"
	    : !has[POST_KIND] && !r->defaults.value[POST_KIND].n ? "no kind: add a column 'kind', or --set kind=sale (or whatever they are)"
	    : NULL;
	if (lacks)
		snprintf(why->text, sizeof why->text, "the rows have %s", lacks);
	return lacks ? -1 : 0;
}

/* The first byte that is not blank decides: '{' is JSON. A byte order mark is passed over. */
int
post_rows_begin(struct post_rows *r, struct post_file *f, struct why *why)
{
	struct bytes first = post_read_peek(f, why);
	if (!first.at)
		return -1;
	uint32_t i = first.n >= 3 && memcmp(first.at, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
	post_read_pass(f, i);
	while (i < first.n && memchr(" \t\r\n", first.at[i], 4))
		i++;
	if (r->format == POST_UNDECIDED)
		r->format = i < first.n && first.at[i] == '{' ? POST_JSON : POST_CSV;
	return r->format == POST_CSV ? csv_header(r, f, why) : 0;
}

static int
json_record(struct post_file *f, struct why *why)
{
	struct bytes line;
	int got;
	do
		got = post_read_line(f, false, &line, why);
	while (got == 1 && blank(line));
	return got;
}

int
post_rows_next(struct post_rows *r, struct post_file *f, struct post_event *event, struct why *why)
{
	int got = r->format == POST_CSV ? csv_record(r, f, why) : json_record(f, why);
	if (got < 0) { /* where it is, for a person with an editor */
		struct why what = *why;
		snprintf(why->text, sizeof why->text, "%.440s (after row %llu)", what.text, (unsigned long long)r->count);
	}
	if (got != 1)
		return got;
	r->count++;
	if (r->format == POST_CSV)
		csv_event(r, event);
	else
		post_json_event(&r->defaults, post_read_record(f), r->event, event);
	if (r->defaults.next_number)
		r->defaults.next_number++;
	if (r->unclosed)
		event->defect = "a quote is opened and never closed";
	else if (r->too_wide)
		event->defect = "the row has more fields than the header";
	else if (!event->defect && event->n > EVENT_BYTES_MAX)
		event->defect = POST_TOO_LONG;
	return 1;
}
