/*
 * holdfast_scan.c: `scan`: every cell, or those that a filter lets through, as CSV or JSON lines. Page by page, so memory is one page
 * whatever there is; into a file it is written whole or not at all.
 */
#include "cmd/holdfast_bar.h"
#include "cmd/holdfast_cli.h"
#include "cmd/holdfast_out.h"
#include "cmd/holdfast_page.h"

#include <csv.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE_CELLS 10000 /* the server's bound of a page */
#define CURSOR_BYTES_MAX 256
#define COLUMNS 5 /* of a cell: sku, location, seq, ats, on_hand */

const struct cli_option cli_scan_options[] = {
	{ "location", "LOCATION", "only cells of this location" },
	{ "group", "GROUP", "only cells of the locations of this group" },
	{ "sku-prefix", "TEXT", "only SKUs that begin so" },
	{ "since", "SEQ", "only cells that changed after this position" },
	{ "limit", "N", "at most so many cells" },
	{ "snapshot", NULL, "all of one instant, a little in the past; 'watch --since' goes on from there without a gap" },
	{ "out", "FILE", "into FILE, which is there when it is whole; else to stdout" },
	{ NULL, NULL, NULL },
};

const char cli_scan_more[] =
    "CSV with the header sku,location,seq,ats,on_hand: seq is the position of the cell's last change. With\n"
    "--json one object a line, and {\"seq\", \"cells\"} as the last one. A field with a comma or a quote is quoted.\n"
    "Without --snapshot the pages are of different moments; what changed meanwhile is found by asking again\n"
    "with --since and the position that is shown at the end. Examples:\n"
    "  holdfast scan --snapshot --out stock.csv\n"
    "  holdfast scan --location ST-0042 --since 123456 --json\n";

static volatile sig_atomic_t interrupted;
static struct out out; /* where a second Ctrl-C finds it */

struct scan {
	struct cli *cli;
	struct bar bar;
	int64_t since, limit; /* -1, 0: not given */
	int64_t seq; /* of the first page */
	uint64_t cells;
	int64_t total; /* how many there will be; 0: nobody knows */
	uint8_t cursor[CURSOR_BYTES_MAX];
	uint32_t cursor_n; /* 0: the first page, or behind the last */
	bool cursor_text; /* a string, not an integer */
	int64_t cursor_int;
	bool more;
};

static void
on_interrupt(int signal)
{
	if (interrupted) {
		out_drop_now(&out);
		_exit(CLI_INTERRUPTED);
	}
	interrupted = 1;
}

/* ---- pages ---- */

static void
put_text(struct hf *hf, const char *key, const char *value)
{
	if (!value)
		return;
	hf_put_str(hf, key);
	hf_put_str(hf, value);
}

static void
put_int(struct hf *hf, const char *key, bool given, int64_t value)
{
	if (!given)
		return;
	hf_put_str(hf, key);
	hf_put_int(hf, value);
}

static void
ask(const struct scan *s)
{
	const struct cli *cli = s->cli;
	const char *location = cli_value(cli, "location"), *group = cli_value(cli, "group"), *prefix = cli_value(cli, "sku-prefix");
	bool snapshot = cli_value(cli, "snapshot") != NULL;
	int64_t left = s->limit ? s->limit - (int64_t)s->cells : PAGE_CELLS;
	struct hf *hf = cli->hf;
	hf_begin(hf, "scan");
	hf_array(hf, 1);
	hf_map(hf, 1 + !!location + !!group + !!prefix + (s->since >= 0) + snapshot + s->more);
	put_int(hf, "limit", true, left < PAGE_CELLS ? left : PAGE_CELLS);
	put_text(hf, "location", location);
	put_text(hf, "group", group);
	put_text(hf, "sku_prefix", prefix);
	put_int(hf, "since", s->since >= 0, s->since);
	if (snapshot) {
		hf_put_str(hf, "snapshot");
		hf_put_bool(hf, true);
	}
	if (s->more) {
		hf_put_str(hf, "cursor");
		if (s->cursor_text)
			hf_put_bytes(hf, (const char *)s->cursor, s->cursor_n);
		else
			hf_put_int(hf, s->cursor_int);
	}
}

static bool
keep_cursor(struct scan *s, const struct hf_value *cursor)
{
	s->more = cursor && cursor->type != HF_NIL;
	if (!s->more)
		return true;
	s->cursor_text = cursor->type == HF_STR;
	s->cursor_int = hf_int(cursor, 0);
	if (!s->cursor_text)
		return cursor->type == HF_INT;
	if (cursor->str.n > CURSOR_BYTES_MAX)
		return false;
	memcpy(s->cursor, cursor->str.at, cursor->str.n);
	s->cursor_n = cursor->str.n;
	return true;
}

/* ---- rows ---- */

/* RFC 4180: quoted only where it must be, so that other programs' eyes and `cut` see plain fields. */
static void
csv_field(const struct hf_value *v)
{
	if (v->type == HF_INT)
		fprintf(out.file, "%lld", (long long)v->integer);
	else if (v->type != HF_STR)
		return; /* an empty field */
	else if (memchr(v->str.at, ',', v->str.n) || memchr(v->str.at, '"', v->str.n))
		csv_fwrite(out.file, v->str.at, v->str.n);
	else
		fwrite(v->str.at, 1, v->str.n, out.file);
}

static void
row_as_csv(const struct hf_value *cell)
{
	for (uint32_t i = 0; i < COLUMNS; i++) {
		if (i)
			putc(',', out.file);
		csv_field(&cell[i]);
	}
	putc('\n', out.file);
}

static void
line_as_json(json_t *j)
{
	json_dumpf(j, out.file, JSON_COMPACT);
	putc('\n', out.file);
	json_decref(j);
}

static void
row_as_json(const struct hf_value *cell)
{
	static const char *const name[COLUMNS] = { "sku", "location", "seq", "ats", "on_hand" };
	json_t *j = json_object();
	for (uint32_t i = 0; i < COLUMNS; i++)
		json_object_set_new(j, name[i], page_json(&cell[i]));
	line_as_json(j);
}

/* false: an answer of another shape. */
static bool
take_page(struct scan *s, const struct hf_value *v, bool first)
{
	const struct hf_value *cells = hf_get(v, "cells");
	if (!cells || cells->type != HF_ARRAY || !keep_cursor(s, hf_get(v, "cursor")))
		return false;
	if (first)
		s->seq = hf_int(hf_get(v, "seq"), 0);
	if (first && !s->cli->json)
		fputs("sku,location,seq,ats,on_hand\n", out.file);
	for (uint32_t i = 0; i < cells->array.n; i++) {
		const struct hf_value *cell = &cells->array.items[i];
		if (cell->type != HF_ARRAY || cell->array.n < COLUMNS)
			return false;
		(s->cli->json ? row_as_json : row_as_csv)(cell->array.items);
	}
	s->cells += cells->array.n;
	return true;
}

/* ---- the whole ---- */

/* How many cells there are, for the bar: known when nothing is filtered. */
static int64_t
count_cells(const struct scan *s)
{
	const struct hf_value *v;
	static const char *const filter[] = { "location", "group", "sku-prefix", "since" };
	for (size_t i = 0; i < sizeof filter / sizeof *filter; i++)
		if (cli_value(s->cli, filter[i]))
			return 0;
	hf_begin(s->cli->hf, "status");
	hf_array(s->cli->hf, 0);
	if (!s->bar.wanted || hf_call(s->cli->hf, &v) != HF_OK)
		return 0;
	const struct hf_value *row = hf_get(hf_get(v, "tables"), "cells");
	int64_t n = row && row->type == HF_ARRAY && row->array.n ? hf_int(&row->array.items[0], 0) : 0;
	return s->limit && s->limit < n ? s->limit : n;
}

static int
lost(struct scan *s, enum hf_outcome got)
{
	int exit = cli_failed_read(s->cli, got);
	if (!s->cli->json && s->cells > 0)
		fprintf(stderr, "the export ended after %llu cells and is not whole%s\n", (unsigned long long)s->cells,
		    out.path[0] ? ": nothing was kept of it" : "");
	return exit;
}

static int
run(struct scan *s)
{
	const struct hf_value *v;
	bool first = true;
	s->total = count_cells(s);
	do {
		ask(s);
		enum hf_outcome got = hf_call(s->cli->hf, &v);
		if (got != HF_OK || interrupted) {
			bar_clear(&s->bar);
			return interrupted ? CLI_INTERRUPTED : lost(s, got);
		}
		if (!take_page(s, v, first)) {
			bar_clear(&s->bar);
			return cli_say(s->cli, CLI_UNREACHABLE, "failed", "the server's answer has an unknown shape: do its version and this one fit?");
		}
		first = false;
		bar_draw(&s->bar, s->total > 0 ? (double)s->cells / (double)s->total : -1, s->cells, s->cells);
	} while (s->more && !(s->limit && s->cells >= (uint64_t)s->limit) && !ferror(out.file) && !interrupted);
	bar_clear(&s->bar);
	return interrupted ? CLI_INTERRUPTED : CLI_OK;
}

static void
summary(const struct scan *s)
{
	char cells[WORDS], seq[WORDS];
	bool snapshot = cli_value(s->cli, "snapshot") != NULL, cut = s->more;
	fprintf(stderr, "%s cell%s%s%s, %s position %s\n", words_count(cells, (int64_t)s->cells), s->cells == 1 ? "" : "s",
	    out.path[0] ? " in " : "", out.path, snapshot ? "as of" : "at or past", words_count(seq, s->seq));
	if (cut)
		fputs("--limit ended it: there may be more\n", stderr);
	else
		fprintf(stderr, "what changes from here on: holdfast %s --since %lld\n", snapshot ? "watch" : "scan", (long long)s->seq);
}

static int
finish(struct scan *s, int exit)
{
	struct why why;
	if (exit == CLI_OK && s->cli->json)
		line_as_json(json_pack("{s:I, s:I, s:b}", "seq", (json_int_t)s->seq, "cells", (json_int_t)s->cells, "more", s->more));
	if (exit != CLI_OK) {
		out_drop(&out);
		if (exit == CLI_INTERRUPTED)
			fprintf(stderr, "interrupted%s\n", out.path[0] ? ": nothing was kept of the export" : "");
		return exit;
	}
	if (out_keep(&out, &why) < 0)
		return cli_say(s->cli, CLI_FILE, "file", "%s", why.text);
	if (!s->cli->json || out.path[0])
		summary(s);
	return CLI_OK;
}

int
cli_scan(struct cli *cli, int argc, char **argv)
{
	struct sigaction stop = { .sa_handler = on_interrupt };
	const char *since = cli_value(cli, "since"), *limit = cli_value(cli, "limit");
	struct scan s = { .cli = cli, .since = -1 };
	struct why why;
	if (argc != 0)
		return cli_usage(cli, "it takes no words, only options");
	if (since && !cli_number(since, 0, (INT64_C(1) << 53) - 1, &s.since))
		return cli_usage(cli, "--since takes a position: a whole number, not '%s'", since);
	if (limit && !cli_number(limit, 1, INT64_C(1) << 53, &s.limit))
		return cli_usage(cli, "--limit takes a whole number from 1 on, not '%s'", limit);
	if (cli_value(cli, "location") && cli_value(cli, "group"))
		return cli_usage(cli, "--location or --group, not both");
	if (!cli_connect(cli))
		return CLI_UNREACHABLE;
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGHUP, &stop, NULL);
	if (out_open(&out, cli_value(cli, "out"), &why) < 0)
		return cli_say(cli, CLI_FILE, "file", "%s", why.text);
	bar_begin(&s.bar, "cells", out.path[0] || !isatty(STDOUT_FILENO));
	return finish(&s, run(&s));
}
