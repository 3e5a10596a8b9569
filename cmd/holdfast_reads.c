/*
 * holdfast_reads.c: the subcommands that only look: ats, stock, show, position, digest.
 */
#include "cmd/holdfast_cli.h"
#include "cmd/holdfast_page.h"

#include <stdio.h>
#include <string.h>

/* argv = SKU LOCATION...; the number of cells, or -1. */
static int
cells(struct cli *cli, int argc, char **argv, struct hf_line *cell)
{
	if (argc < 2) {
		cli_usage(cli, "a SKU and at least one location or group are needed");
		return -1;
	}
	if (argc - 1 > CLI_LINES_MAX) {
		cli_usage(cli, "at most %d locations at once", CLI_LINES_MAX);
		return -1;
	}
	for (int i = 1; i < argc; i++)
		cell[i - 1] = (struct hf_line){ .sku = argv[0], .location = argv[i] };
	return argc - 1;
}

/* [seq, [...]] with one item per cell; NULL: of another shape. */
static const struct hf_value *
items_of(const struct hf_value *v, int n)
{
	if (!v || v->type != HF_ARRAY || v->array.n != 2)
		return NULL;
	const struct hf_value *items = &v->array.items[1];
	return items->type == HF_ARRAY && items->array.n == (uint32_t)n ? items : NULL;
}

static int
strange_answer(const struct cli *cli)
{
	return cli_say(cli, CLI_UNREACHABLE, "failed", "the server's answer has an unknown shape: do its version and this one fit?");
}

/* Which of the two names is unknown? A scan of the location tells. The answer's values are gone after it. */
static void
say_unknown(struct cli *cli, const struct hf_line *cell)
{
	const struct hf_value *v;
	hf_begin(cli->hf, "scan");
	hf_array(cli->hf, 1);
	hf_map(cli->hf, 2);
	hf_put_str(cli->hf, "location");
	hf_put_str(cli->hf, cell->location);
	hf_put_str(cli->hf, "limit");
	hf_put_int(cli->hf, 1);
	enum hf_outcome got = hf_call(cli->hf, &v);
	bool place = got == HF_REFUSED && strcmp(hf_error(cli->hf)->code, "unknown_location") == 0;
	if (got == HF_OK)
		fprintf(stderr, "holdfast %s: unknown SKU '%s'\n", cli->command->name, cell->sku);
	else if (place)
		fprintf(stderr, "holdfast %s: unknown location or group '%s'\n", cli->command->name, cell->location);
	else
		fprintf(stderr, "holdfast %s: '%s' or '%s' is unknown\n", cli->command->name, cell->sku, cell->location);
	fputs("hint: stock events create SKUs and locations: was anything posted yet? Case and leading zeros count\n", stderr);
}

/* ---- ats, stock ---- */

static void
ats_for_people(const struct hf_line *cell, const struct hf_value *items)
{
	static const char *const heads[] = { "LOCATION", ">ATS" };
	struct table t;
	table_begin(&t, heads, 2);
	for (uint32_t i = 0; i < items->array.n; i++) {
		table_cell(&t, "%s", cell[i].location);
		table_value(&t, &items->array.items[i]);
	}
	table_end(&t);
}

static const char *const term[] = { "on_hand", "unsellable", "reserved", "committed", "promised", "safety_stock", "oversell_limit", "ats",
	"short", "inbound" };
#define TERMS (sizeof term / sizeof *term)

/* One column per location, one row per term, so that D1 can be added up downwards. */
static void
stock_for_people(const struct hf_line *cell, const struct hf_value *items)
{
	static const char *const word[] = { "on hand", "unsellable", "reserved", "committed", "promised", "safety stock", "oversell limit",
		"ATS", "short", "inbound" };
	static const char *const heads[] = { "LOCATION", ">ON HAND", ">UNSELLABLE", ">RESERVED", ">COMMITTED", ">SAFETY", ">OVERSELL", ">ATS",
		">SHORT", "LAST EVENT" };
	static const int column[] = { 0, 1, 2, 3, 5, 6, 7, 8 };
	char when[WORDS];
	struct table t;
	if (items->array.n == 1 && items->array.items[0].type == HF_MAP) {
		const struct hf_value *c = &items->array.items[0];
		printf("%s at %s\n", cell->sku, cell->location);
		for (size_t i = 0; i < TERMS; i++)
			printf("  %-16s%16s\n", word[i], words_count(when, hf_int(hf_get(c, term[i]), 0)));
		printf("  %-16s%s\n", "last event", words_instant(when, hf_int(hf_get(c, "last_event_at"), 0)));
		printf("  %-16s%s\n", "last count", words_instant(when, hf_int(hf_get(c, "last_count_at"), 0)));
		return;
	}
	table_begin(&t, heads, 10);
	for (uint32_t i = 0; i < items->array.n; i++) {
		const struct hf_value *c = &items->array.items[i];
		table_cell(&t, "%s", cell[i].location);
		for (size_t k = 0; k < sizeof column / sizeof *column; k++)
			table_value(&t, hf_get(c, term[column[k]]));
		table_cell(&t, "%s", c->type == HF_MAP ? words_instant(when, hf_int(hf_get(c, "last_event_at"), 0)) : "-");
	}
	table_end(&t);
}

static void
cells_as_json(const struct hf_line *cell, const struct hf_value *seq, const struct hf_value *items, bool plain)
{
	json_t *list = json_array();
	for (uint32_t i = 0; i < items->array.n; i++) {
		const struct hf_value *c = &items->array.items[i];
		json_t *j = json_pack("{s:o, s:o}", "sku", page_json_name(cell[i].sku), "location", page_json_name(cell[i].location));
		if (plain)
			json_object_set_new(j, "ats", page_json(c));
		else
			json_object_set_new(j, "stock", page_json(c));
		json_array_append_new(list, j);
	}
	page_json_out(json_pack("{s:o, s:o}", "seq", page_json(seq), "cells", list));
}

static int
cells_command(struct cli *cli, int argc, char **argv, bool plain)
{
	struct hf_line cell[CLI_LINES_MAX];
	const struct hf_value *v;
	int n = cells(cli, argc, argv, cell), unknown = -1;
	if (n < 0)
		return CLI_USAGE;
	if (!cli_connect(cli))
		return CLI_UNREACHABLE;
	enum hf_outcome got = (plain ? hf_ats : hf_stock)(cli->hf, cell, (uint32_t)n, &v);
	if (got != HF_OK)
		return cli_failed_read(cli, got);
	const struct hf_value *items = items_of(v, n);
	if (!items)
		return strange_answer(cli);
	for (int i = n; i-- > 0;)
		unknown = items->array.items[i].type == HF_NIL ? i : unknown;
	if (cli->json)
		cells_as_json(cell, &v->array.items[0], items, plain);
	else if (n > 1 || unknown < 0)
		(plain ? ats_for_people : stock_for_people)(cell, items);
	if (unknown >= 0 && !cli->json)
		say_unknown(cli, &cell[unknown]);
	return unknown >= 0 ? CLI_REFUSED : CLI_OK;
}

int
cli_ats(struct cli *cli, int argc, char **argv)
{
	return cells_command(cli, argc, argv, true);
}

int
cli_stock(struct cli *cli, int argc, char **argv)
{
	return cells_command(cli, argc, argv, false);
}

/* ---- show ---- */

static void
show_for_people(const struct hf_value *v)
{
	static const char *const heads[] = { "LINE", "SKU", "LOCATION", ">QTY", ">HELD", ">COMMITTED", ">FULFILLED", ">RELEASED", ">EXPIRED" };
	static const char *const part[] = { "sku", "location", "qty", "held", "committed", "fulfilled", "released", "expired" };
	static const char *const said[] = { "state", "owner", "channel" };
	char words[WORDS], text[256];
	struct table t;
	printf("reservation %s\n", words_text(text, sizeof text, hf_get(v, "id")));
	for (size_t i = 0; i < sizeof said / sizeof *said; i++)
		if (*words_text(text, sizeof text, hf_get(v, said[i])))
			printf("  %-9s%s\n", said[i], text);
	printf("  %-9s%s\n", "created", words_instant(words, hf_int(hf_get(v, "created_at"), 0)));
	printf("  %-9s%s", "expires", words_instant(words, hf_int(hf_get(v, "expires_at"), 0)));
	const struct hf_value *pinned = hf_get(v, "pinned");
	puts(pinned && pinned->type == HF_BOOL && pinned->boolean ? " (pinned)" : "");
	const struct hf_value *lines = hf_get(v, "lines");
	table_begin(&t, heads, 9);
	for (uint32_t i = 0; lines && lines->type == HF_ARRAY && i < lines->array.n; i++) {
		table_cell(&t, "%u", i);
		for (size_t k = 0; k < sizeof part / sizeof *part; k++)
			table_value(&t, hf_get(&lines->array.items[i], part[k]));
	}
	table_end(&t);
}

int
cli_show(struct cli *cli, int argc, char **argv)
{
	const struct hf_value *v;
	if (argc != 1)
		return cli_usage(cli, "one reservation id is needed");
	if (!cli_connect(cli))
		return CLI_UNREACHABLE;
	enum hf_outcome got = hf_reservation(cli->hf, argv[0], &v);
	if (got != HF_OK)
		return cli_failed_read(cli, got);
	if (cli->json)
		page_json_out(page_json(v));
	else
		show_for_people(v);
	return CLI_OK;
}

/* ---- position ---- */

const struct cli_option cli_position_options[] = {
	{ "skip-to", "N", "declare what is missing up to and including N lost for good" },
	{ NULL, NULL, NULL },
};

static void
position_for_people(const char *source, const struct hf_value *v)
{
	const struct hf_value *missing = hf_get(v, "missing");
	char a[WORDS], b[WORDS];
	printf("source %s\n", source);
	printf("  all up to     %s\n", words_count(a, hf_int(hf_get(v, "contiguous"), 0)));
	printf("  highest seen  %s\n", words_count(a, hf_int(hf_get(v, "highest"), 0)));
	printf("  last event    %s\n", words_instant(a, hf_int(hf_get(v, "last_at"), 0)));
	for (uint32_t i = 0; missing && missing->type == HF_ARRAY && i < missing->array.n; i++) {
		const struct hf_value *range = &missing->array.items[i];
		if (range->type == HF_ARRAY && range->array.n == 2)
			printf("  missing       %s to %s\n", words_count(a, hf_int(&range->array.items[0], 0)),
			    words_count(b, hf_int(&range->array.items[1], 0)));
	}
}

int
cli_position(struct cli *cli, int argc, char **argv)
{
	const char *skip = cli_value(cli, "skip-to");
	const struct hf_value *v;
	int64_t n = 0;
	if (argc != 1)
		return cli_usage(cli, "one source is needed");
	if (skip && !cli_number(skip, 1, (INT64_C(1) << 53) - 1, &n))
		return cli_usage(cli, "--skip-to takes a number from 1 to 2^53 - 1, not '%s'", skip);
	if (!cli_connect(cli))
		return CLI_UNREACHABLE;
	hf_begin(cli->hf, "position");
	hf_array(cli->hf, skip ? 2 : 1);
	hf_put_str(cli->hf, argv[0]);
	if (skip) {
		hf_map(cli->hf, 1);
		hf_put_str(cli->hf, "skip_to");
		hf_put_int(cli->hf, n);
	}
	enum hf_outcome got = hf_call(cli->hf, &v);
	if (got != HF_OK)
		return skip ? cli_failed(cli, got) : cli_failed_read(cli, got);
	if (cli->json)
		page_json_out(page_json(v));
	else
		position_for_people(argv[0], v);
	return CLI_OK;
}

/* ---- digest ---- */

const struct cli_option cli_digest_options[] = {
	{ "location", "LOCATION", "only the cells of this location" },
	{ "from", "SKU", "only SKUs from this one on, in byte order" },
	{ "to", "SKU", "only SKUs before this one" },
	{ NULL, NULL, NULL },
};

static void
digest_for_people(const struct hf_value *v)
{
	static const char *const part[] = { "stock", "state" };
	char words[WORDS];
	for (size_t i = 0; i < 2; i++) {
		const struct hf_value *d = hf_get(v, part[i]);
		json_t *j = page_json(d);
		if (json_is_string(j))
			printf("%-6s %s\n", part[i], json_string_value(j));
		json_decref(j);
	}
	printf("%-6s %s\n", "cells", words_count(words, hf_int(hf_get(v, "cells"), 0)));
	printf("%-6s %s\n", "seq", words_count(words, hf_int(hf_get(v, "seq"), 0)));
}

int
cli_digest(struct cli *cli, int argc, char **argv)
{
	static const char *const key[][2] = { { "location", "location" }, { "from", "sku_from" }, { "to", "sku_to" } };
	const struct hf_value *v;
	uint32_t n = 0;
	if (argc != 0)
		return cli_usage(cli, "it takes no words, only options");
	if (!cli_connect(cli))
		return CLI_UNREACHABLE;
	for (size_t i = 0; i < 3; i++)
		n += cli_value(cli, key[i][0]) != NULL;
	hf_begin(cli->hf, "digest");
	hf_array(cli->hf, n ? 1 : 0);
	if (n)
		hf_map(cli->hf, n);
	for (size_t i = 0; i < 3; i++)
		if (cli_value(cli, key[i][0])) {
			hf_put_str(cli->hf, key[i][1]);
			hf_put_str(cli->hf, cli_value(cli, key[i][0]));
		}
	enum hf_outcome got = hf_call(cli->hf, &v);
	if (got != HF_OK)
		return cli_failed_read(cli, got);
	if (cli->json)
		page_json_out(page_json(v));
	else
		digest_for_people(v);
	return CLI_OK;
}
