/*
 * holdfast_status.c: the `status` page: what the server says of itself, and in words what an operator should know of it.
 */
#include "cmd/holdfast_cli.h"
#include "cmd/holdfast_page.h"

#include <stdio.h>
#include <string.h>

#define NEARLY_FULL 0.9

static int64_t
figure(const struct hf_value *map, const char *key)
{
	return hf_int(hf_get(map, key), 0);
}

/* Of a row [used, max] of the tables: 0 used, 1 max. */
static const struct hf_value *
of_row(const struct hf_value *row, uint32_t i)
{
	return row && row->type == HF_ARRAY && i < row->array.n ? &row->array.items[i] : NULL;
}

static void
print_tables(const struct hf_value *tables)
{
	static const char *const heads[] = { "TABLE", ">USED", ">MAX", ">FULL" };
	char name[64];
	struct table t;
	table_begin(&t, heads, 4);
	for (uint32_t i = 0; tables && tables->type == HF_MAP && i < tables->map.n; i++) {
		const struct hf_value *row = &tables->map.pairs[2 * i + 1];
		double most = (double)hf_int(of_row(row, 1), 0);
		table_cell(&t, "%s", words_text(name, sizeof name, &tables->map.pairs[2 * i]));
		table_value(&t, of_row(row, 0));
		table_value(&t, of_row(row, 1));
		table_cell(&t, "%.0f %%", most > 0 ? (double)hf_int(of_row(row, 0), 0) * 100 / most : 0);
	}
	table_end(&t);
}

/* A figure of the host in the unit that its name ends in. */
static void
print_value(const char *indent, const char *name, const struct hf_value *v)
{
	char words[WORDS], text[512];
	size_t n = strlen(name);
	printf("%s%-26s", indent, name);
	if (v->type == HF_STR)
		printf("%s\n", words_text(text, sizeof text, v));
	else if (v->type == HF_BOOL)
		printf("%s\n", v->boolean ? "yes" : "no");
	else if (v->type != HF_INT)
		puts("-");
	else if (n > 3 && strcmp(name + n - 3, "_at") == 0)
		printf("%s\n", words_instant(words, v->integer));
	else if (n > 3 && strcmp(name + n - 3, "_ms") == 0)
		printf("%s\n", words_duration(words, v->integer));
	else if (n > 6 && strstr(name, "bytes"))
		printf("%s\n", words_bytes(words, v->integer));
	else
		printf("%s\n", words_count(words, v->integer));
}

static void
print_map(const char *indent, const struct hf_value *map)
{
	char name[64];
	for (uint32_t i = 0; map && map->type == HF_MAP && i < map->map.n; i++) {
		const struct hf_value *v = &map->map.pairs[2 * i + 1];
		words_text(name, sizeof name, &map->map.pairs[2 * i]);
		if (v->type == HF_MAP && *indent == 0) {
			printf("%s\n", name);
			print_map("  ", v);
		} else {
			print_value(indent, name, v);
		}
	}
}

static void
warn_tables(const struct hf_value *tables)
{
	char name[64], used[WORDS], most[WORDS];
	for (uint32_t i = 0; tables && tables->type == HF_MAP && i < tables->map.n; i++) {
		const struct hf_value *row = &tables->map.pairs[2 * i + 1];
		int64_t n = hf_int(of_row(row, 0), 0), max = hf_int(of_row(row, 1), 0);
		words_text(name, sizeof name, &tables->map.pairs[2 * i]);
		/* Rings overwrite their oldest, and finished reservations make room: those may be full. */
		bool ring = strcmp(name, "history") == 0 || strcmp(name, "free_ids") == 0 || strcmp(name, "reservations") == 0;
		if (!ring && max > 0 && (double)n >= (double)max * NEARLY_FULL)
			printf("warning: the table '%s' holds %s of %s: what needs more is refused as 'capacity' (--%s-max)\n", name,
			    words_count(used, n), words_count(most, max), name);
	}
}

static void
warnings(const struct hf_value *v)
{
	const struct hf_value *tables = hf_get(v, "tables"), *host = hf_get(v, "host"), *said;
	char words[WORDS], text[512];
	int64_t open = figure(v, "reservations_open"), kept = hf_int(of_row(hf_get(tables, "reservations"), 1), 0);
	warn_tables(tables);
	if (kept > 0 && (double)open >= (double)kept * NEARLY_FULL)
		printf("warning: %s reservations are open: at the table's end new ones are refused as 'capacity'\n", words_count(words, open));
	if (figure(v, "missing") > 0)
		printf("warning: %s numbered events are missing: 'holdfast position SOURCE' says which\n", words_count(words, figure(v, "missing")));
	if (hf_int(of_row(hf_get(tables, "quarantine"), 0), 0) > 0)
		printf("warning: %s events are in quarantine: 'holdfast quarantine list'\n",
		    words_count(words, hf_int(of_row(hf_get(tables, "quarantine"), 0), 0)));
	if ((said = hf_get(host, "read_only")) != NULL && said->type == HF_STR && said->str.n)
		printf("warning: no commands are taken: %s\n", words_text(text, sizeof text, said));
}

static void
status_for_people(const struct cli *cli, const struct hf_value *v)
{
	char seq[WORDS], durable[WORDS], server[64], node[64], age[WORDS];
	const struct hf_value *forgotten = hf_get(v, "youngest_forgotten_age_ms");
	printf("%s on %s:%u, node %s, epoch %lld\n", words_text(server, sizeof server, hf_get(v, "server")), cli->host, cli->port,
	    words_text(node, sizeof node, hf_get(v, "node")), (long long)figure(v, "epoch"));
	printf("position %s, durable %s\n", words_count(seq, figure(v, "seq")), words_count(durable, figure(v, "durable")));
	printf("open reservations %s", words_count(seq, figure(v, "reservations_open")));
	if (forgotten && forgotten->type == HF_INT)
		printf(", the youngest forgotten one ended %s ago", words_duration(age, forgotten->integer));
	puts("\n");
	print_tables(hf_get(v, "tables"));
	puts("");
	print_map("", hf_get(v, "host"));
	warnings(v);
}

int
cli_status(struct cli *cli, int argc, char **argv)
{
	const struct hf_value *v;
	if (argc != 0)
		return cli_usage(cli, "it takes no words");
	if (!cli_connect(cli))
		return CLI_UNREACHABLE;
	hf_begin(cli->hf, "status");
	hf_array(cli->hf, 0);
	enum hf_outcome got = hf_call(cli->hf, &v);
	if (got != HF_OK)
		return cli_failed_read(cli, got);
	if (cli->json)
		page_json_out(page_json(v));
	else
		status_for_people(cli, v);
	return CLI_OK;
}
