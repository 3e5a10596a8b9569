/* config.c: the table of options and the three ways into it. The contract is in config.h. */
#include "net/config.h"
#include "net/ini_text.h"
#include "persist/disk.h"
#include "net/listener.h"
#include "net/batcher.h"
#include "persist/journal.h"

#include <errno.h>
#include <ini.h>
#include <stdlib.h>

enum kind {
	KIND_TEXT,
	KIND_COUNT, /* plain digits */
	KIND_BYTES, /* digits, and K, M, G or T (1024) */
	KIND_MS, /* digits, and ms, s, m, h or d */
};

struct option_row {
	const char *name, *value_name; /* as in --name VALUE */
	enum kind kind;
	size_t offset, size;
	int64_t low, high;
	const char *otherwise; /* the default, as one would type it */
	const char *help;
};

#define AT(field) offsetof(struct config, field), sizeof(((struct config *)0)->field)
#define LIMIT(name, field, high, otherwise, help) { name, "N", KIND_COUNT, AT(limits.field), 1, high, otherwise, help }
#define ENGINE_MS(name, option, low, high, otherwise, help) \
	{ name, "TIME", KIND_MS, AT(engine.value[option]), low, high, otherwise, help }
#define DAY_MS  INT64_C(86400000)
#define TEXT(name, value_name, field, otherwise, help) { name, value_name, KIND_TEXT, AT(field), 0, 0, otherwise, help }

static const struct option_row rows[] = {
	TEXT("data", "DIR", data, "data", "the data folder: journal and image; made when missing"),
	TEXT("listen", "HOST:PORT", listen, "127.0.0.1:7400", "MessagePack-RPC; port 0 chooses one, and makes 0 the default of the others"),
	TEXT("events", "HOST:PORT", events, "127.0.0.1:7401", "where the gate takes stock events (nanomsg REP)"),
	TEXT("push", "HOST:PORT", push, "127.0.0.1:7402", "where the gate takes stock events fire and forget (nanomsg PULL); 'off' for none"),
	TEXT("feed", "HOST:PORT", feed, "127.0.0.1:7403", "where the gate publishes every change of stock (nanomsg PUB); 'off' for none"),
	TEXT("http", "HOST:PORT", http, "127.0.0.1:7404", "/metrics, /healthz, /readyz; 'off' for none"),
	TEXT("port-file", "FILE", port_file, "", "gets name=port, a line each, written whole once all are ready"),
	TEXT("gate", "on|off|PATH", gate, "on", "start and supervise holdfast-gate; on: the one beside this program"),
	TEXT("node", "NAME", node, "holdfast", "this server's name, shown by hello"),
	{ "loops", "N", KIND_COUNT, AT(loops), 1, LOOPS_MAX, "1", "network threads; the first is also the engine's" },
	{ "connections-max", "N", KIND_COUNT, AT(connections_max), 1, 1000000, "10000", "clients at a time; one more is closed at once" },
	{ "memory-max", "BYTES", KIND_BYTES, AT(memory_max), INT64_C(1) << 20, INT64_C(1) << 46, "512M", "buffers of all connections; beyond it the greediest is closed" },
	{ "queue-age-ms", "TIME", KIND_MS, AT(queue_age_ms), 0, 60000, "20ms", "a queue that stays older than this refuses new holds; 0: never" },

	LIMIT("cells-max", cells_max, INT64_C(1) << 31, "10000000", "cells (SKU x location)"),
	LIMIT("skus-max", skus_max, UINT32_MAX, "2000000", "SKUs"),
	LIMIT("locations-max", locations_max, UINT32_MAX, "65536", "locations"),
	LIMIT("sources-max", sources_max, UINT32_MAX, "4096", "sources of stock events"),
	LIMIT("channels-max", channels_max, UINT32_MAX, "1024", "channels"),
	LIMIT("groups-max", groups_max, UINT32_MAX, "64", "location groups"),
	LIMIT("reservations-max", reservations_max, UINT32_MAX, "4000000", "reservations, open and remembered ones together"),
	LIMIT("extra-lines-max", extra_lines_max, UINT32_MAX, "8000000", "lines beyond the first of each reservation, all together; new reservations take at most 7/8 of them"),
	LIMIT("blobs-max", blobs_max, UINT32_MAX, "8000000", "60-byte blocks for owners, refs and long ids; new reservations take at most 7/8 of them"),
	LIMIT("quarantine-max", quarantine_max, UINT32_MAX, "65536", "events kept in quarantine"),
	LIMIT("history-max", history_max, UINT32_MAX, "16000000", "deltas kept for counts; fixed when the folder is made"),
	{ "reservations-ready", "N", KIND_COUNT, AT(reservations_ready), 0, UINT32_MAX, "0", "reservations that get their memory at the start, 0.2 GB a million, instead of when they come: for a sale" },
	{ "history-ready", "N", KIND_COUNT, AT(history_ready), 0, UINT32_MAX, "0", "the same for deltas of stock events, 32 MB a million" },
	LIMIT("free-ids-max", free_ids_max, UINT32_MAX, "1000000", "remembered event ids; fixed when the folder is made"),

	{ "create-unknown", "0|1", KIND_COUNT, AT(engine.value[OPTION_CREATE_UNKNOWN]), 0, 1, "1", "events create the SKUs and locations they name" },
	ENGINE_MS("ttl-default-ms", OPTION_TTL_DEFAULT_MS, 1, DAY_MS, "15m", "life of a hold that asks for none"),
	ENGINE_MS("ttl-max-ms", OPTION_TTL_MAX_MS, 1, DAY_MS, "24h", "longest life of a hold"),
	ENGINE_MS("pin-max-ms", OPTION_PIN_MAX_MS, 1, DAY_MS / 24, "15m", "longest pin"),
	ENGINE_MS("future-ms", OPTION_FUTURE_MS, 0, 365 * DAY_MS, "5m", "how far in the future an event's instant may lie"),
	ENGINE_MS("count-window-ms", OPTION_COUNT_WINDOW_MS, 1, 365 * DAY_MS, "48h", "how long deltas are kept for counts"),
	ENGINE_MS("free-id-ms", OPTION_FREE_ID_MS, 1, 365 * DAY_MS, "48h", "how long free event ids are remembered"),

	{ "segment-bytes", "BYTES", KIND_BYTES, AT(segment_bytes), INT64_C(16) << 20, INT64_C(1) << 40, "64M", "one journal file" },
	{ "history-bytes", "BYTES", KIND_BYTES, AT(history_bytes), 0, INT64_C(1) << 50, "1G", "journal kept for the ledger" },
	{ "history-age-ms", "TIME", KIND_MS, AT(history_age_ms), 0, 3650 * DAY_MS, "0", "older journal may be recycled all the same; 0: no age" },
	{ "journal-bytes-max", "BYTES", KIND_BYTES, AT(journal_bytes_max), 0, INT64_C(1) << 50, "4G", "journal size from which holds are refused; 0: none" },
	{ "image-map-bytes", "BYTES", KIND_BYTES, AT(image_map_bytes), INT64_C(16) << 20, INT64_C(1) << 46, "64G", "greatest size of the image" },
	{ "image-age-ms", "TIME", KIND_MS, AT(image_age_ms), 1, DAY_MS, "10s", "longest time that a change waits for the image" },
	TEXT("image-copy", "DIR", image_copy, "", "keep a verified copy of the image there; the journal is then kept behind it"),
	{ "image-copy-ms", "TIME", KIND_MS, AT(image_copy_ms), 1000, 365 * DAY_MS, "1h", "from one copy to the next" },
};
#define ROWS (sizeof rows / sizeof *rows)

/* The addresses that --listen's port 0 changes when nobody gave them. */
static const struct other {
	const char *name;
	size_t text, given; /* in struct config */
	bool may_be_off;
} others[] = {
	{ "events", offsetof(struct config, events), offsetof(struct config, given_events), false },
	{ "push", offsetof(struct config, push), offsetof(struct config, given_push), true },
	{ "feed", offsetof(struct config, feed), offsetof(struct config, given_feed), true },
	{ "http", offsetof(struct config, http), offsetof(struct config, given_http), true },
};
#define OTHERS (sizeof others / sizeof *others)

/* Dash and underscore are the same, so that a file may say cells_max. */
static bool
name_equal(const char *a, const char *b)
{
	for (; *a && *b; a++, b++)
		if (*a != *b && !((*a == '-' || *a == '_') && (*b == '-' || *b == '_')))
			return false;
	return *a == *b;
}

static const struct option_row *
row_find(const char *name)
{
	for (size_t i = 0; i < ROWS; i++)
		if (name_equal(rows[i].name, name))
			return &rows[i];
	return NULL;
}

const char *
config_name(unsigned i)
{
	return i < ROWS ? rows[i].name : NULL;
}

/* Flags that are no keys of the file. */
static const struct config_flag special[] = {
	{ "config", "FILE", "", "read options from there, a 'name = value' a line; flags win" },
	{ "check-config", NULL, "", "check the options, print those in force and end: 0, or 2 and a line that says why" },
	{ "help", NULL, "", "this page" },
	{ "version", NULL, "", "the version" },
};
#define SPECIALS (sizeof special / sizeof *special)

bool
config_flag(unsigned i, struct config_flag *flag)
{
	if (i < SPECIALS)
		*flag = special[i];
	else if (i - SPECIALS < ROWS)
		*flag = (struct config_flag){ rows[i - SPECIALS].name, rows[i - SPECIALS].value_name, rows[i - SPECIALS].otherwise,
			rows[i - SPECIALS].help };
	return i < SPECIALS + ROWS;
}

static const struct {
	enum kind kind;
	const char *unit;
	int64_t factor;
} units[] = {
	{ KIND_BYTES, "K", INT64_C(1) << 10 }, { KIND_BYTES, "M", INT64_C(1) << 20 }, { KIND_BYTES, "G", INT64_C(1) << 30 },
	{ KIND_BYTES, "T", INT64_C(1) << 40 }, { KIND_MS, "ms", 1 }, { KIND_MS, "s", 1000 }, { KIND_MS, "m", 60000 },
	{ KIND_MS, "h", 3600000 }, { KIND_MS, "d", DAY_MS },
};
#define UNITS (sizeof units / sizeof *units)

/* The factor of a unit; 0: no such unit. */
static int64_t
unit_factor(enum kind kind, const char *unit)
{
	if (!*unit)
		return 1;
	for (size_t i = 0; i < UNITS; i++)
		if (units[i].kind == kind && strcmp(units[i].unit, unit) == 0)
			return units[i].factor;
	return 0;
}

/* As one would type it: in the greatest unit that leaves it whole. */
static const char *
bound_text(char to[24], enum kind kind, int64_t v)
{
	snprintf(to, 24, "%lld", (long long)v);
	for (size_t i = 0; i < UNITS && v; i++)
		if (units[i].kind == kind && v % units[i].factor == 0)
			snprintf(to, 24, "%lld%s", (long long)(v / units[i].factor), units[i].unit);
	return to;
}

static int
number_set(struct config *c, const struct option_row *row, const char *value, struct why *why)
{
	char *unit, low[24], high[24];
	errno = 0;
	long long n = strtoll(value, &unit, 10);
	int64_t factor = unit_factor(row->kind, unit), v;
	if (unit == value || errno || !factor || __builtin_mul_overflow((int64_t)n, factor, &v) || v < row->low || v > row->high) {
		snprintf(why->text, sizeof why->text, "%s: '%s' is no %s from %s to %s", row->name, value,
		    row->kind == KIND_BYTES ? "size (as in 64M)" : row->kind == KIND_MS ? "time (as in 15m)" : "number",
		    bound_text(low, row->kind, row->low), bound_text(high, row->kind, row->high));
		return -1;
	}
	uint8_t *at = (uint8_t *)c + row->offset;
	if (row->size == 4)
		*(uint32_t *)(void *)at = (uint32_t)v;
	else
		*(int64_t *)(void *)at = v;
	return 0;
}

int
config_set(struct config *c, const char *name, const char *value, struct why *why)
{
	const struct option_row *row = row_find(name);
	if (!row) {
		snprintf(why->text, sizeof why->text, "there is no option '%s'; --help lists them", name);
		return -1;
	}
	if (row->kind != KIND_TEXT)
		return number_set(c, row, value, why);
	if (strlen(value) >= row->size) {
		snprintf(why->text, sizeof why->text, "%s: longer than %zu bytes", row->name, row->size - 1);
		return -1;
	}
	strcpy((char *)c + row->offset, value);
	for (size_t i = 0; i < OTHERS; i++)
		*(bool *)((uint8_t *)c + others[i].given) |= strcmp(row->name, others[i].name) == 0;
	return 0;
}

/* ---- the file ---- */

#define FILE_BYTES_MAX 65536

struct reading {
	struct ini_text text; /* first: inih's reader gets it */
	struct config *config;
	struct why why; /* of the first pair that was wrong */
	int failed_line; /* from 1; 0: none */
};

static int
file_pair(void *context, const char *section, const char *name, const char *value)
{
	struct reading *r = context;
	struct why why;
	bool fine = !*section && config_set(r->config, name, value, &why) == 0;
	if (*section)
		snprintf(why.text, sizeof why.text, "there are no sections, but this is below '[%.100s]'", section);
	if (!fine && !r->failed_line) {
		r->why = why;
		r->failed_line = r->text.line;
	}
	return fine;
}

static int
file_read(struct config *c, struct why *why)
{
	static char text[FILE_BYTES_MAX];
	struct reading r = { .text = { .at = text }, .config = c };
	if (disk_posix_text(c->file, text, sizeof text) < 0) {
		snprintf(why->text, sizeof why->text, "--config: cannot read %s: %s", c->file, strerror(errno));
		return -1;
	}
	int line = ini_parse_stream(ini_text_line, &r, file_pair, &r);
	if (line > 0 && line == r.failed_line)
		snprintf(why->text, sizeof why->text, "%.200s, line %d: %.200s", c->file, line, r.why.text);
	else if (line > 0)
		snprintf(why->text, sizeof why->text, "%s, line %d: not 'name = value'", c->file, line);
	else if (r.text.too_long)
		snprintf(why->text, sizeof why->text, "%s, line %d: too long; give that option as a flag", c->file, r.text.line);
	return line > 0 || r.text.too_long ? -1 : 0;
}

/* ---- the command line ---- */

/* What asks for something else than a server; and the file. */
static bool
flag_special(struct config *c, const char *name)
{
	if (strcmp(name, "help") == 0)
		c->help = true;
	else if (strcmp(name, "version") == 0)
		c->version = true;
	else if (strcmp(name, "check-config") == 0)
		c->check = true;
	else
		return false;
	return true;
}

/* Splits argument *i (and the next one) into name and value. -1: why. */
static int
flag_split(int argc, char **argv, int *i, char *name, size_t name_n, const char **value, struct why *why)
{
	const char *flag = argv[*i], *equals = strchr(flag, '=');
	size_t n = equals ? (size_t)(equals - flag) : strlen(flag);
	if (strncmp(flag, "--", 2) != 0 || n <= 2 || n - 2 >= name_n) {
		snprintf(why->text, sizeof why->text, "'%s' is no option; --help lists them", flag);
		return -1;
	}
	memcpy(name, flag + 2, n - 2);
	name[n - 2] = 0;
	*value = equals ? equals + 1 : NULL;
	struct config ignored;
	if (!equals && !flag_special(&ignored, name)) {
		if (++*i >= argc) {
			snprintf(why->text, sizeof why->text, "--%s needs a value", name);
			return -1;
		}
		*value = argv[*i];
	}
	return 0;
}

/* Twice over the flags: first what names the file, then what wins over it. */
static int
flags_read(struct config *c, int argc, char **argv, bool first, struct why *why)
{
	char name[64];
	const char *value;
	for (int i = 1; i < argc; i++) {
		if (flag_split(argc, argv, &i, name, sizeof name, &value, why) < 0)
			return -1;
		if (!value) {
			flag_special(c, name);
		} else if (strcmp(name, "config") == 0) {
			if (strlen(value) >= sizeof c->file) {
				snprintf(why->text, sizeof why->text, "--config: longer than %zu bytes", sizeof c->file - 1);
				return -1;
			}
			strcpy(c->file, value);
		} else if (!first && config_set(c, name, value, why) < 0) {
			return -1;
		}
	}
	return 0;
}

/* There are no tokens yet, so anybody who reaches the server could change stock. */
static int
address_check(const char *text, const char *name, struct address *a, struct why *why)
{
	if (address_parse(text, name, a, why) < 0)
		return -1;
	if (address_is_loopback(a))
		return 0;
	snprintf(why->text, sizeof why->text, "--%s %s is refused: there are no tokens yet, so that anybody who reaches it could change stock; "
	    "listen on 127.0.0.1", name, a->host);
	return -1;
}

/* Port 0 in --listen makes 0 the default of the others. */
static int
addresses_settle(struct config *c, struct why *why)
{
	struct address listen, other;
	if (address_check(c->listen, "listen", &listen, why) < 0)
		return -1;
	for (size_t i = 0; i < OTHERS; i++) {
		char *text = (char *)c + others[i].text;
		if (listen.port == 0 && !*(const bool *)((const uint8_t *)c + others[i].given))
			strcpy(text, "127.0.0.1:0");
		if (!(others[i].may_be_off && strcmp(text, "off") == 0) && address_check(text, others[i].name, &other, why) < 0)
			return -1;
	}
	return 0;
}

/* Options that must fit each other. */
static int
together(const struct config *c, struct why *why)
{
	if (c->engine.value[OPTION_TTL_DEFAULT_MS] > c->engine.value[OPTION_TTL_MAX_MS]) {
		snprintf(why->text, sizeof why->text, "ttl-default-ms is greater than ttl-max-ms");
		return -1;
	}
	if (engine_memory_bytes(&c->limits) == 0) {
		snprintf(why->text, sizeof why->text, "a table size (cells-max and the like) is out of its range");
		return -1;
	}
	return 0;
}

int
config_read(struct config *c, int argc, char **argv, struct why *why)
{
	memset(c, 0, sizeof *c);
	for (size_t i = 0; i < ROWS; i++) {
		int wrong = config_set(c, rows[i].name, rows[i].otherwise, why);
		ensure(wrong == 0);
	}
	for (size_t i = 0; i < OTHERS; i++)
		*(bool *)((uint8_t *)c + others[i].given) = false;
	if (flags_read(c, argc, argv, true, why) < 0 || (c->file[0] && file_read(c, why) < 0) ||
	    flags_read(c, argc, argv, false, why) < 0)
		return -1;
	c->engine.value[OPTION_HISTORY_MAX] = c->limits.history_max;
	c->engine.value[OPTION_FREE_IDS_MAX] = c->limits.free_ids_max;
	return addresses_settle(c, why) < 0 ? -1 : together(c, why);
}

const char config_about[] = "serves the stock of one data folder. Every option may also stand in the file of --config, as 'name = value'";

const char config_more[] =
    "Sizes take K, M, G, T; times ms, s, m, h, d.\n"
    "SIGTERM or SIGINT: answers what is under way, writes the image, exits 0; a second SIGINT ends at once.\n"
    "exit: 0 stopped as asked, 1 could not start (a line says why), 2 wrong usage, 3 the journal failed: what was answered\n"
    "is durable, what was in flight is unknown; 4 stopped, but the image could not be written (the journal has everything)\n";

void
config_help(FILE *out)
{
	struct config_flag f;
	fprintf(out, "holdfastd: %s\n\nusage: holdfastd [--data DIR] [--listen HOST:PORT] [OPTIONS]\n\n", config_about);
	for (unsigned i = 0; config_flag(i, &f); i++) {
		char left[64];
		snprintf(left, sizeof left, "--%s %s", f.name, f.value_name ? f.value_name : "");
		fprintf(out, "  %-30s %s%s%s%s%s", left, f.help, *f.otherwise ? " (" : "", f.otherwise, *f.otherwise ? ")" : "",
		    i + 1 == SPECIALS ? "\n\n" : "\n");
	}
	fprintf(out, "\n%s", config_more);
}

void
config_print(const struct config *c, FILE *out)
{
	for (size_t i = 0; i < ROWS; i++) {
		const uint8_t *at = (const uint8_t *)c + rows[i].offset;
		if (rows[i].kind == KIND_TEXT)
			fprintf(out, "%s = %s\n", rows[i].name, (const char *)at);
		else if (rows[i].size == 4)
			fprintf(out, "%s = %u\n", rows[i].name, *(const uint32_t *)(const void *)at);
		else
			fprintf(out, "%s = %lld\n", rows[i].name, (long long)*(const int64_t *)(const void *)at);
	}
}
