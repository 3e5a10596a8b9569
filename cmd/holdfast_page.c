/*
 * holdfast_page.c: tables, JSON, and figures as people write them. Running out of memory here ends the program: it is the
 * operator's command line, and nothing is lost with it.
 */
#define _GNU_SOURCE /* vasprintf, wcwidth, newlocale */
#include "cmd/holdfast_page.h"

#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

static void *
or_die(void *p)
{
	if (!p) {
		fputs("holdfast: out of memory\n", stderr);
		abort();
	}
	return p;
}

/* ---- text on a terminal ---- */

/*
 * What a terminal would obey instead of show: C0, DEL, and C1 (0xc2 0x80 to 0x9f in UTF-8; 0x9b begins sequences on some). Names of
 * stock are data of others.
 */
static void
make_harmless(char *s)
{
	for (; *s; s++) {
		unsigned char a = (unsigned char)s[0], b = (unsigned char)s[1];
		if (a < 0x20 || a == 0x7f)
			s[0] = '?';
		else if (a == 0xc2 && b >= 0x80 && b < 0xa0)
			s[0] = s[1] = '?';
	}
}

/* Columns of one code point, by the table of the C library; what it does not know takes one. */
static int
columns(wchar_t c)
{
	static locale_t utf8;
	if (!utf8)
		utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	locale_t before = utf8 ? uselocale(utf8) : (locale_t)0;
	int n = wcwidth(c);
	if (utf8)
		uselocale(before);
	return n < 0 ? 1 : n;
}

int
words_width(const char *s)
{
	int n = 0;
	while (*s) {
		unsigned char head = (unsigned char)*s++;
		wchar_t c = head < 0x80 ? head : head < 0xe0 ? head & 0x1f : head < 0xf0 ? head & 0x0f : head & 0x07;
		for (; (*s & 0xc0) == 0x80; s++)
			c = c << 6 | (*s & 0x3f);
		n += columns(c);
	}
	return n;
}

/* ---- tables ---- */

void
table_begin(struct table *t, const char *const *heads, int columns)
{
	*t = (struct table){ .columns = columns, .heads = heads };
}

void
table_cell(struct table *t, const char *format, ...)
{
	char *text;
	va_list args;
	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = or_die(NULL);
	va_end(args);
	make_harmless(text);
	if (t->used == t->size) {
		t->size = t->size ? t->size * 2 : 64;
		t->cells = or_die(realloc(t->cells, t->size * sizeof *t->cells));
	}
	t->cells[t->used++] = text;
}

void
table_value(struct table *t, const struct hf_value *v)
{
	char words[WORDS];
	if (v && v->type == HF_INT)
		table_cell(t, "%s", words_count(words, v->integer));
	else if (v && v->type == HF_STR)
		table_cell(t, "%.*s", (int)v->str.n, v->str.at);
	else if (v && v->type == HF_BOOL)
		table_cell(t, "%s", v->boolean ? "yes" : "no");
	else
		table_cell(t, "-");
}

static void
print_cell(const char *text, int wide, bool right, bool last)
{
	int pad = wide - words_width(text);
	if (right)
		printf("%*s%s", pad, "", text);
	else if (last)
		printf("%s", text);
	else
		printf("%s%*s", text, pad, "");
	fputs(last ? "\n" : "  ", stdout);
}

void
table_end(struct table *t)
{
	int wide[TABLE_COLUMNS_MAX];
	for (int c = 0; c < t->columns; c++) {
		wide[c] = words_width(t->heads[c] + (*t->heads[c] == '>'));
		for (size_t i = (size_t)c; i < t->used; i += (size_t)t->columns)
			if (words_width(t->cells[i]) > wide[c])
				wide[c] = words_width(t->cells[i]);
	}
	for (int c = 0; c < t->columns; c++)
		print_cell(t->heads[c] + (*t->heads[c] == '>'), wide[c], *t->heads[c] == '>', c == t->columns - 1);
	for (size_t i = 0; i < t->used; i++) {
		int c = (int)(i % (size_t)t->columns);
		print_cell(t->cells[i], wide[c], *t->heads[c] == '>', c == t->columns - 1);
	}
	table_drop(t);
}

void
table_drop(struct table *t)
{
	for (size_t i = 0; i < t->used; i++)
		free(t->cells[i]);
	free(t->cells);
	t->cells = NULL;
	t->used = t->size = 0;
}

/* ---- JSON ---- */

static json_t *
json_hex(const struct hf_value *v)
{
	static const char digit[] = "0123456789abcdef";
	char *text = or_die(malloc((size_t)v->str.n * 2 + 1));
	for (uint32_t i = 0; i < v->str.n; i++) {
		text[2 * i] = digit[(uint8_t)v->str.at[i] >> 4];
		text[2 * i + 1] = digit[(uint8_t)v->str.at[i] & 15];
	}
	json_t *j = json_stringn(text, (size_t)v->str.n * 2);
	free(text);
	return or_die(j);
}

static json_t *
json_map(const struct hf_value *v)
{
	char key[256];
	json_t *j = or_die(json_object());
	for (uint32_t i = 0; i < v->map.n; i++) {
		const struct hf_value *k = &v->map.pairs[2 * i];
		if (k->type == HF_INT)
			snprintf(key, sizeof key, "%lld", (long long)k->integer);
		else
			snprintf(key, sizeof key, "%.*s", k->type == HF_STR ? (int)k->str.n : 0, k->type == HF_STR ? k->str.at : "");
		json_object_set_new(j, key, page_json(k + 1));
	}
	return j;
}

json_t *
page_json(const struct hf_value *v)
{
	json_t *j;
	switch (v ? v->type : HF_NIL) {
	case HF_BOOL:
		return json_boolean(v->boolean);
	case HF_INT:
		return or_die(json_integer(v->integer));
	case HF_STR:
		j = json_stringn(v->str.at, v->str.n);
		return j ? j : json_hex(v); /* no UTF-8 */
	case HF_BIN:
		return json_hex(v);
	case HF_ARRAY:
		j = or_die(json_array());
		for (uint32_t i = 0; i < v->array.n; i++)
			json_array_append_new(j, page_json(&v->array.items[i]));
		return j;
	case HF_MAP:
		return json_map(v);
	case HF_NIL:
		break;
	}
	return json_null();
}

json_t *
page_json_name(const char *name)
{
	struct hf_value v = { .type = HF_STR, .str = { name, (uint32_t)strlen(name) } };
	return page_json(&v);
}

/* Of the letter that begins here; 0: none does. */
static size_t
letter_bytes(const char *at, size_t left)
{
	for (size_t n = 1; n <= 4 && n <= left; n++) {
		json_t *j = json_stringn(at, n);
		json_decref(j);
		if (j)
			return n;
	}
	return 0;
}

json_t *
page_json_text(const char *text)
{
	static const char unknown[] = "\xef\xbf\xbd";
	json_t *j = json_string(text);
	if (j)
		return j;
	size_t n = strlen(text), used = 0;
	char *to = or_die(malloc((sizeof unknown - 1) * n + 1));
	for (size_t i = 0; i < n;) {
		size_t letter = letter_bytes(text + i, n - i), copied = letter ? letter : sizeof unknown - 1;
		memcpy(to + used, letter ? text + i : unknown, copied);
		used += copied;
		i += letter ? letter : 1;
	}
	j = json_stringn(to, used);
	free(to);
	return or_die(j);
}

void
page_json_out(json_t *j)
{
	json_dumpf(j, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(j);
}

/* ---- counters ---- */

static void
print_counter(const char *name, int64_t n)
{
	char words[WORDS];
	size_t len = strlen(name);
	if (len > 3 && strcmp(name + len - 3, "_ms") == 0)
		words_duration(words, n);
	else if (strstr(name, "bytes"))
		words_bytes(words, n);
	else
		words_count(words, n);
	printf("  %-24s%16s\n", name, words);
}

void
page_counters(const struct hf_value *map, const char *const *elsewhere, size_t n)
{
	char name[64];
	bool first = true;
	for (uint32_t i = 0; map && map->type == HF_MAP && i < map->map.n; i++) {
		int64_t value = hf_int(&map->map.pairs[2 * i + 1], 0);
		words_text(name, sizeof name, &map->map.pairs[2 * i]);
		bool skip = value == 0;
		for (size_t k = 0; k < n; k++)
			skip |= strcmp(name, elsewhere[k]) == 0;
		if (skip)
			continue;
		if (first)
			puts("\ncounters that are not 0");
		first = false;
		print_counter(name, value);
	}
}

/* ---- words ---- */

const char *
words_count(char *to, int64_t n)
{
	char digits[24];
	int d = snprintf(digits, sizeof digits, "%llu", n < 0 ? 0 - (unsigned long long)n : (unsigned long long)n);
	char *at = to;
	if (n < 0)
		*at++ = '-';
	for (int i = 0; i < d; i++) {
		if (i && (d - i) % 3 == 0)
			*at++ = ',';
		*at++ = digits[i];
	}
	*at = 0;
	return to;
}

const char *
words_instant(char *to, int64_t ms)
{
	time_t s = (time_t)(ms / 1000);
	struct tm tm;
	char day[32];
	if (ms <= 0 || !gmtime_r(&s, &tm) || !strftime(day, sizeof day, "%Y-%m-%d %H:%M:%S", &tm))
		snprintf(to, WORDS, "never");
	else
		snprintf(to, WORDS, "%s.%03d UTC", day, (int)(ms % 1000));
	return to;
}

const char *
words_duration(char *to, int64_t ms)
{
	if (ms < 1000)
		snprintf(to, WORDS, "%lld ms", (long long)ms);
	else if (ms < 120 * 1000)
		snprintf(to, WORDS, "%.3g s", (double)ms / 1e3);
	else if (ms < 120 * 60 * 1000)
		snprintf(to, WORDS, "%.3g min", (double)ms / 60e3);
	else
		snprintf(to, WORDS, "%.3g h", (double)ms / 3600e3);
	return to;
}

const char *
words_bytes(char *to, int64_t n)
{
	static const char *const unit[] = { "B", "kB", "MB", "GB", "TB" };
	double v = (double)n;
	int u = 0;
	for (; v >= 1000 && u < 4; u++)
		v /= 1000;
	snprintf(to, WORDS, u && v < 100 ? "%.1f %s" : "%.0f %s", v, unit[u]);
	return to;
}

const char *
words_text(char *to, size_t size, const struct hf_value *v)
{
	if (v && v->type == HF_STR)
		snprintf(to, size, "%.*s", (int)v->str.n, v->str.at);
	else
		to[0] = 0;
	make_harmless(to);
	return to;
}
