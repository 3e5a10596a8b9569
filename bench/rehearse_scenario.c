/* rehearse_scenario.c: the table of keys and the ways into it and out. The contract is in rehearse_scenario.h. */
#include "bench/rehearse_scenario.h"
#include "net/ini_text.h"
#include "persist/disk.h"

#include <dirent.h>
#include <errno.h>
#include <ini.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENDING ".ini"
#define PATH_BYTES 600

enum kind {
	KIND_NUMBER, /* digits */
	KIND_REAL,
	KIND_TIME, /* digits, and ms, s, m or h; in milliseconds */
	KIND_WORD, /* one of a list; its index */
	KIND_SHARES, /* figures apart by spaces: of one, of two, ... */
	KIND_TEXT,
};

struct key_row {
	const char *section, *name;
	enum kind kind;
	size_t offset;
	double low, high;
	const char *otherwise, *help;
	const char *words; /* of KIND_WORD, apart by | */
};

#define AT(field) offsetof(struct scenario, field)
#define DAY_MS 86400000

static const struct key_row rows[] = {
	{ "", "about", KIND_TEXT, AT(about), 0, 0, "", "one line that says what this is", NULL },

	{ "stock", "skus", KIND_NUMBER, AT(skus), 1, 1000000, "1000", "SKUs, each at every location", NULL },
	{ "stock", "locations", KIND_NUMBER, AT(locations), 1, 10000, "1", "locations", NULL },
	{ "stock", "units", KIND_NUMBER, AT(units), 1, 1000000000, "1000", "units of a cell (a SKU at a location) when the curve begins, on average", NULL },
	{ "stock", "spread", KIND_WORD, AT(by_demand), 0, 1, "even", "even: each cell has as many; demand: popular ones have more", "even|demand" },

	{ "popularity", "zipf", KIND_REAL, AT(zipf), 0, 3, "0.83", "exponent: the n-th SKU is asked for n to the -zipf as often; 0: all alike", NULL },
	{ "popularity", "location_zipf", KIND_REAL, AT(location_zipf), 0, 3, "0.3", "the same of locations", NULL },
	{ "popularity", "hot_skus", KIND_NUMBER, AT(hot_skus), 0, 1000000, "0", "so many SKUs are on offer ...", NULL },
	{ "popularity", "hot_share", KIND_REAL, AT(hot_share), 0, 1, "0", "... and get this share of all lines, besides their own", NULL },

	{ "shoppers", "shoppers", KIND_NUMBER, AT(shoppers), 0, 5000000, "10000", "how many come during the curve", NULL },
	{ "shoppers", "looking", KIND_REAL, AT(looking), 0, 1, "0", "share that only looks (ats); the others ask for a hold", NULL },
	{ "shoppers", "read_cells", KIND_NUMBER, AT(read_cells), 1, 1000, "1", "cells in one look", NULL },
	{ "shoppers", "basket", KIND_SHARES, AT(basket), 0, 1e6, "1", "baskets of one line, of two, ... (shares)", NULL },
	{ "shoppers", "quantity", KIND_SHARES, AT(quantity), 0, 1e6, "1", "lines of one unit, of two, ... (shares)", NULL },
	{ "shoppers", "hold", KIND_TIME, AT(hold_ms), 1, DAY_MS, "15m", "how long a hold lasts", NULL },
	{ "shoppers", "think", KIND_TIME, AT(think_ms), 0, 600000, "1s", "from the hold to what follows, half to one and a half of it", NULL },
	{ "shoppers", "commit", KIND_REAL, AT(commit), 0, 1, "0.7", "share of holds that is bought", NULL },
	{ "shoppers", "cancel", KIND_REAL, AT(cancel), 0, 1, "0.1", "share that is given back; what is left is abandoned and expires", NULL },
	{ "shoppers", "fulfil", KIND_REAL, AT(fulfil), 0, 1, "0", "share of what was bought that leaves during the run", NULL },
	{ "shoppers", "pressed_twice", KIND_REAL, AT(pressed_twice), 0, 1, "0.01", "share of requests that is sent a second time at once (same id)", NULL },
	{ "shoppers", "patience", KIND_TIME, AT(patience_ms), 0, 600000, "3s", "so long `overloaded` is followed by another try when the server says", NULL },

	{ "tills", "tills", KIND_NUMBER, AT(tills), 0, TILLS_MAX, "0", "tills that post sales through the gate meanwhile, by turns of all locations", NULL },
	{ "tills", "till_events", KIND_REAL, AT(till_events), 0, 1000000, "0", "events a second of all tills, on average; they follow the curve, too", NULL },
	{ "tills", "till_lines", KIND_NUMBER, AT(till_lines), 1, 100, "3", "events in a message", NULL },
	{ "tills", "returns", KIND_REAL, AT(returns), 0, 1, "0.016", "share of the events that is a return", NULL },

	{ "arrivals", "curve", KIND_WORD, AT(curve), 0, 4, "steady", "how the rate goes", "steady|ramp|spike|waves|shape" },
	{ "arrivals", "duration", KIND_TIME, AT(duration_ms), 100, 3600000, "10s", "of the curve", NULL },
	{ "arrivals", "peak", KIND_REAL, AT(peak), 1, 1000, "2", "highest rate in mean rates: ramp and waves up to 2, spike any (its opening)", NULL },
	{ "arrivals", "waves", KIND_NUMBER, AT(waves), 1, 1000, "4", "how many", NULL },
	{ "arrivals", "shape", KIND_SHARES, AT(shape), 0, 1e9, "1", "rates of equal parts of the duration, one behind the other", NULL },
	{ "arrivals", "warm_up", KIND_TIME, AT(warm_up_ms), 0, 600000, "1s", "before the curve, at its mean rate, on a SKU of its own; counts in no figure", NULL },
	{ "arrivals", "loop", KIND_WORD, AT(closed), 0, 1, "open", "open: arrivals do not wait for answers; closed: the next one comes when one is answered", "open|closed" },

	{ "run", "connections", KIND_NUMBER, AT(connections), 1, CONNECTIONS_MAX, "16", "of the shoppers' front end to the server", NULL },
	{ "run", "in_flight", KIND_NUMBER, AT(in_flight), 1, 1000, "8", "loop = closed: requests without an answer on each connection", NULL },
	{ "run", "runs", KIND_NUMBER, AT(runs), 1, 100, "3", "how often all of it is done; the report has medians and spread", NULL },
	{ "run", "seed", KIND_NUMBER, AT(seed), 0, 1000000000, "1", "of the first run; the next one has the next", NULL },
	{ "run", "loops", KIND_NUMBER, AT(loops), 1, 16, "1", "network threads of the server that is started", NULL },
};
#define ROWS (sizeof rows / sizeof *rows)

static const struct key_row *
row_find(const char *name)
{
	for (size_t i = 0; i < ROWS; i++)
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	return NULL;
}

/* ---- values in ---- */

static int
word_index(const char *words, const char *value)
{
	size_t n = strlen(value);
	int index = 0;
	for (const char *at = words; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL, index++)
		if (n > 0 && strncmp(at, value, n) == 0 && (at[n] == '|' || at[n] == 0))
			return index;
	return -1;
}

static double
time_factor(const char *unit)
{
	static const struct { const char *unit; double ms; } units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 } };
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (strcmp(units[i].unit, unit) == 0)
			return units[i].ms;
	return 0;
}

static bool
shares_read(struct shares *s, const char *value)
{
	char *end;
	double sum = 0;
	*s = (struct shares){ .n = 0 };
	for (; *value && s->n < SHARES_MAX; value = end, s->n++) {
		s->at[s->n] = strtod(value, &end);
		if (end == value || !(s->at[s->n] >= 0) || isinf(s->at[s->n]))
			return false;
		sum += s->at[s->n];
		end += strspn(end, " \t,");
	}
	return !*value && sum > 0;
}

static bool
figure_read(const struct key_row *row, const char *value, double *v)
{
	char *unit;
	*v = strtod(value, &unit);
	if (unit == value || isnan(*v))
		return false;
	if (row->kind == KIND_TIME)
		*v *= time_factor(unit);
	else if (*unit)
		return false;
	return (row->kind != KIND_TIME || *v > 0 || strspn(value, "0") > 0) && *v >= row->low && *v <= row->high &&
	    (row->kind == KIND_REAL || *v == floor(*v));
}

static bool
value_set(struct scenario *s, const struct key_row *row, const char *value)
{
	char *at = (char *)s + row->offset;
	double v = 0;
	switch (row->kind) {
	case KIND_TEXT:
		snprintf(at, SCENARIO_TEXT_MAX, "%s", value);
		return true;
	case KIND_SHARES:
		return shares_read((struct shares *)(void *)at, value);
	case KIND_WORD:
		*(int64_t *)(void *)at = word_index(row->words, value);
		return *(int64_t *)(void *)at >= 0;
	case KIND_REAL:
		return figure_read(row, value, (double *)(void *)at);
	case KIND_NUMBER:
	case KIND_TIME:
		break;
	}
	if (!figure_read(row, value, &v))
		return false;
	*(int64_t *)(void *)at = (int64_t)v;
	return true;
}

static void
time_write(int64_t ms, char *value)
{
	static const struct { const char *unit; int64_t ms; } units[] = { { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 } };
	size_t i = 0;
	while (ms % units[i].ms || (ms == 0 && units[i].ms > 1))
		i++;
	snprintf(value, SCENARIO_TEXT_MAX, "%lld%s", (long long)(ms / units[i].ms), units[i].unit);
}

/* What would have been a value of this key. */
static void
row_bounds(const struct key_row *row, char *to, size_t n)
{
	char most[SCENARIO_TEXT_MAX];
	switch (row->kind) {
	case KIND_TEXT: snprintf(to, n, "a text"); return;
	case KIND_WORD: snprintf(to, n, "%s", row->words); return;
	case KIND_SHARES: snprintf(to, n, "up to %d figures", SHARES_MAX); return;
	case KIND_TIME:
		time_write((int64_t)row->high, most);
		snprintf(to, n, "a time, as in 500ms, 10s, 15m, up to %.20s", most);
		return;
	case KIND_REAL:
	case KIND_NUMBER: snprintf(to, n, "%s%.10g to %.10g", row->kind == KIND_NUMBER ? "a whole number, " : "", row->low, row->high); return;
	}
}

static int
pair_set(struct scenario *s, const char *section, const char *name, const char *value, struct why *why)
{
	const struct key_row *row = row_find(name);
	char bounds[160];
	if (!row)
		snprintf(why->text, sizeof why->text, "there is no key '%.60s'; 'holdfast-bench keys' lists them", name);
	else if (section && strcmp(section, row->section) != 0)
		snprintf(why->text, sizeof why->text, "'%s' belongs below %s%s%s, not below '[%.60s]'", name, *row->section ? "'[" : "the first line",
		    row->section, *row->section ? "]'" : "", section);
	else if (!value_set(s, row, value)) {
		row_bounds(row, bounds, sizeof bounds);
		snprintf(why->text, sizeof why->text, "%s: '%.100s' is not %s", name, value, bounds);
	} else
		return 0;
	return -1;
}

int
scenario_set(struct scenario *s, const char *pair, struct why *why)
{
	char name[64];
	const char *equals = strchr(pair, '=');
	if (!equals || equals == pair || equals - pair >= (ptrdiff_t)sizeof name) {
		snprintf(why->text, sizeof why->text, "'%.100s' is not name=value", pair);
		return -1;
	}
	snprintf(name, sizeof name, "%.*s", (int)(equals - pair), pair);
	return pair_set(s, NULL, name, equals + 1, why);
}

void
scenario_init(struct scenario *s)
{
	memset(s, 0, sizeof *s);
	for (size_t i = 0; i < ROWS; i++)
		ensure(value_set(s, &rows[i], rows[i].otherwise));
}

int
scenario_check(const struct scenario *s, struct why *why)
{
	if (s->commit + s->cancel > 1)
		snprintf(why->text, sizeof why->text, "commit and cancel are more than 1 together");
	else if (s->hot_skus > s->skus)
		snprintf(why->text, sizeof why->text, "hot_skus are more than skus");
	else if (s->skus * s->locations > 2000000)
		snprintf(why->text, sizeof why->text, "skus times locations are more than 2,000,000 cells");
	else if ((s->curve == CURVE_RAMP || s->curve == CURVE_WAVES) && s->peak > 2)
		snprintf(why->text, sizeof why->text, "the peak of a ramp or of waves is 2 at most: the rate would fall below 0 elsewhere");
	else if ((s->tills > 0) != (s->till_events > 0))
		snprintf(why->text, sizeof why->text, "tills and till_events need each other");
	else if (s->closed && s->tills > 0)
		snprintf(why->text, sizeof why->text, "loop = closed has no tills: they follow a curve");
	else if (s->till_events * (double)s->duration_ms / 1000 > 5e6)
		snprintf(why->text, sizeof why->text, "more than 5,000,000 events of tills");
	else if (s->shoppers == 0 && s->tills == 0)
		snprintf(why->text, sizeof why->text, "nobody comes: shoppers and tills are 0");
	else
		return 0;
	return -1;
}

/* ---- the file ---- */

struct reading {
	struct ini_text text; /* first: inih's reader gets it */
	struct scenario *scenario;
	struct why why; /* of the first pair that was wrong */
	int failed_line; /* 0: none */
};

static int
reading_pair(void *context, const char *section, const char *name, const char *value)
{
	struct reading *r = context;
	struct why why;
	bool fine = pair_set(r->scenario, section, name, value, &why) == 0;
	if (!fine && !r->failed_line) {
		r->why = why;
		r->failed_line = r->text.line;
	}
	return fine;
}

/* A word without a slash is a shipped one's name, unless such a file is here. */
static bool
path_find(const char *where, char path[PATH_BYTES])
{
	char folder[PATH_BYTES - 100];
	if (strchr(where, '/') || access(where, R_OK) == 0)
		return snprintf(path, PATH_BYTES, "%s", where) < PATH_BYTES;
	return scenario_folder(folder, sizeof folder) && snprintf(path, PATH_BYTES, "%s/%.80s" ENDING, folder, where) < PATH_BYTES;
}

static void
name_set(struct scenario *s, const char *path)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	snprintf(s->name, sizeof s->name, "%.60s", base);
	char *dot = strrchr(s->name, '.');
	if (dot && dot > s->name)
		*dot = 0;
}

int
scenario_read(struct scenario *s, const char *where, struct why *why)
{
	char path[PATH_BYTES];
	scenario_init(s);
	if (!path_find(where, path) || disk_posix_text(path, s->text, sizeof s->text) < 0) {
		snprintf(why->text, sizeof why->text, "no scenario '%.200s'%s%s; 'holdfast-bench list' shows those that are shipped", where,
		    strchr(where, '/') ? ": " : "", strchr(where, '/') ? strerror(errno) : "");
		return -1;
	}
	name_set(s, path);
	struct reading r = { .text = { .at = s->text }, .scenario = s };
	int line = ini_parse_stream(ini_text_line, &r, reading_pair, &r);
	if (line > 0 && line == r.failed_line)
		snprintf(why->text, sizeof why->text, "%.200s, line %d: %.250s", path, line, r.why.text);
	else if (line > 0)
		snprintf(why->text, sizeof why->text, "%.300s, line %d: not 'name = value'", path, line);
	else if (r.text.too_long)
		snprintf(why->text, sizeof why->text, "%.300s, line %d: too long", path, r.text.line);
	return line > 0 || r.text.too_long ? -1 : 0;
}

bool
scenario_folder(char *folder, size_t n)
{
	static const char *const places[] = { "%s/../share/holdfast/scenarios", "%s/../bench/scenarios", "%s/../../bench/scenarios" };
	char self[PATH_BYTES];
	ssize_t used = readlink("/proc/self/exe", self, sizeof self - 1);
	self[used > 0 ? used : 0] = 0;
	char *slash = strrchr(self, '/');
	if (!slash)
		return false;
	*slash = 0;
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		int length = snprintf(folder, n, places[i], self);
		if (length > 0 && (size_t)length < n && access(folder, R_OK) == 0)
			return true;
	}
	return false;
}

/* ---- values out ---- */

static void
shares_write(const struct shares *s, char *value)
{
	size_t used = 0;
	value[0] = 0;
	for (uint32_t i = 0; i < s->n && used < SCENARIO_TEXT_MAX; i++)
		used += (size_t)snprintf(value + used, SCENARIO_TEXT_MAX - used, "%s%.4g", i ? " " : "", s->at[i]);
}

const char *
scenario_value(const struct scenario *s, unsigned i, char *value)
{
	if (i >= ROWS)
		return NULL;
	const struct key_row *row = &rows[i];
	const char *at = (const char *)s + row->offset, *word = row->words;
	switch (row->kind) {
	case KIND_TEXT: snprintf(value, SCENARIO_TEXT_MAX, "%s", at); break;
	case KIND_SHARES: shares_write((const struct shares *)(const void *)at, value); break;
	case KIND_TIME: time_write(*(const int64_t *)(const void *)at, value); break;
	case KIND_REAL: snprintf(value, SCENARIO_TEXT_MAX, "%.10g", *(const double *)(const void *)at); break;
	case KIND_NUMBER: snprintf(value, SCENARIO_TEXT_MAX, "%lld", (long long)*(const int64_t *)(const void *)at); break;
	case KIND_WORD:
		for (int64_t n = *(const int64_t *)(const void *)at; n > 0; n--)
			word = strchr(word, '|') + 1;
		snprintf(value, SCENARIO_TEXT_MAX, "%.*s", (int)strcspn(word, "|"), word);
	}
	return row->name;
}

void
scenario_help(FILE *to)
{
	const char *section = "";
	char bounds[160];
	for (size_t i = 0; i < ROWS; i++) {
		if (strcmp(section, rows[i].section) != 0)
			fprintf(to, "\n[%s]\n", rows[i].section);
		section = rows[i].section;
		row_bounds(&rows[i], bounds, sizeof bounds);
		fprintf(to, "  %-14s %s\n  %14s %s%s%s\n", rows[i].name, rows[i].help, "", bounds, *rows[i].otherwise ? "; default " : "",
		    rows[i].otherwise);
	}
}

static int
shipped(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name);
	return n > strlen(ENDING) && strcmp(entry->d_name + n - strlen(ENDING), ENDING) == 0;
}

int
scenario_list(FILE *to, struct why *why)
{
	static struct scenario s;
	char folder[PATH_BYTES - 100], path[PATH_BYTES];
	struct dirent **entries = NULL;
	int n = scenario_folder(folder, sizeof folder) ? scandir(folder, &entries, shipped, alphasort) : -1, result = n < 0 ? -1 : 0;
	if (n < 0)
		snprintf(why->text, sizeof why->text, "no folder of scenarios beside the program");
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof path, "%.400s/%.80s", folder, entries[i]->d_name);
		if (result == 0 && (result = scenario_read(&s, path, why)) == 0)
			fprintf(to, "  %-14s %s\n", s.name, s.about);
		free(entries[i]);
	}
	free(entries);
	return result;
}
