/*
 * holdfast_page.h: the two forms of output: aligned columns for people, JSON for scripts; and words for figures.
 */
#ifndef HOLDFAST_CMD_HOLDFAST_PAGE_H
#define HOLDFAST_CMD_HOLDFAST_PAGE_H

#include "holdfast/holdfast.h"

#include <jansson.h>

#define TABLE_COLUMNS_MAX 16
#define WORDS 64 /* bytes of a figure in words */

/* Rows of text, printed once all widths are known. Names that start with '>' are right-aligned columns. */
struct table {
	int columns;
	const char *const *heads;
	char **cells;
	size_t used, size;
};

void table_begin(struct table *, const char *const *heads, int columns);
void table_cell(struct table *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A string of an answer, an integer with its thousands apart, "-" for nil. */
void table_value(struct table *, const struct hf_value *);
/* Prints to stdout and frees. */
void table_end(struct table *);
/* Frees without printing. */
void table_drop(struct table *);

/* An answer as JSON: byte strings in hexadecimal. New reference. */
json_t *page_json(const struct hf_value *);
/* A name that was given on the command line, as page_json() has those of answers: hexadecimal when it is no UTF-8. New reference. */
json_t *page_json_name(const char *);
/* A sentence or a path: letters that are no UTF-8 become U+FFFD. New reference. */
json_t *page_json_text(const char *);
/* Prints one object on one line and drops the reference. */
void page_json_out(json_t *);

/* The counters of a map that are not 0, in the units that their names speak of, but for those named (they stand elsewhere). */
void page_counters(const struct hf_value *map, const char *const *elsewhere, size_t n);

/* Into to[WORDS]; return to. */
const char *words_count(char *to, int64_t n); /* 1,234,567 */
const char *words_instant(char *to, int64_t ms); /* 2026-11-21 09:12:33.456 UTC */
const char *words_duration(char *to, int64_t ms); /* 90 s, 15 min, 2.5 h */
const char *words_bytes(char *to, int64_t n); /* 1.5 MB */
/* How many columns of a terminal it takes: wide letters are two. */
int words_width(const char *);
/* The string of a value as text for people, "" when it is none; into to[size]. What a terminal would obey becomes '?'. */
const char *words_text(char *to, size_t size, const struct hf_value *);

#endif
