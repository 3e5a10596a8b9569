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

/* What stands in sentences above, and is left out of the list of counters. */
static const char *const in_sentences[] = { "position", "durable", "image_position", "copy_position", "image_commits", "image_failures",
	"journal_bytes", "journal_low", "journal_failed", "batches", "append_us_last", "append_us_max", "connections", "connections_opened",
	"connections_refused", "memory_held", "memory_max", "gate_up", "gate_starts", "gate_feed_up", "gate_feed_starts", "gate_port_events",
	"gate_port_push", "gate_port_feed", "bytes_in", "bytes_out", "frames", "refused" };

static void
print_gate(const struct hf_value *h)
{
	static const struct { const char *port, *says; } doors[] = { { "gate_port_events", "takes events on port" }, { "gate_port_push", "pushed ones on" },
		{ "gate_port_feed", "publishes on" } };
	printf("gate         %s%s", figure(h, "gate_up") ? "up" : figure(h, "gate_starts") ? "down" : "none is started by this server",
	    figure(h, "gate_feed_starts") == 0 ? "" : figure(h, "gate_feed_up") ? ", its feed up" : ", its feed down");
	for (size_t i = 0; i < sizeof doors / sizeof *doors; i++)
		if (figure(h, doors[i].port))
			printf("%s %s %lld", i ? "," : ";", doors[i].says, (long long)figure(h, doors[i].port));
	putchar('\n');
}

static void
print_sentences(const struct hf_value *h)
{
	char a[WORDS], b[WORDS], c[WORDS];
	printf("journal      %s kept, %s batches since the start, the last in %.1f ms, the slowest in %.1f ms\n",
	    words_bytes(a, figure(h, "journal_bytes")), words_count(b, figure(h, "batches")), (double)figure(h, "append_us_last") / 1e3,
	    (double)figure(h, "append_us_max") / 1e3);
	printf("image        at position %s, %s behind\n", words_count(a, figure(h, "image_position")),
	    words_count(b, figure(h, "durable") - figure(h, "image_position")));
	printf("connections  %s now, %s since the start; ", words_count(a, figure(h, "connections")), words_count(b, figure(h, "connections_opened")));
	printf("their buffers have %s, at most %s\n", words_bytes(a, figure(h, "memory_held")), words_bytes(b, figure(h, "memory_max")));
	printf("requests     %s, %s of them refused; %s in, ", words_count(a, figure(h, "frames")), words_count(b, figure(h, "refused")),
	    words_bytes(c, figure(h, "bytes_in")));
	printf("%s out\n", words_bytes(a, figure(h, "bytes_out")));
	print_gate(h);
}

static void
print_host(const struct hf_value *h)
{
	if (!h || h->type != HF_MAP || h->map.n == 0)
		return;
	print_sentences(h);
	page_counters(h, in_sentences, sizeof in_sentences / sizeof *in_sentences);
}

/* Figures of the host that an operator should not overlook. */
static const struct {
	const char *name;
	int64_t above;
	const char *says;
} host_warning[] = {
	{ "journal_failed", 0, "the journal's disk has failed: nothing is acknowledged any more; see the server's log" },
	{ "journal_low", 0, "the disk is nearly full: new holds are refused until there is room" },
	{ "image_failures", 0, "the image could not be written %s times: the journal grows until it can; see the server's log" },
	{ "gate_starts", 1, "the gate was started %s times: it dies; see the server's log" },
	{ "gate_feed_starts", 1, "the change feed was started %s times: it dies, as when a subscriber talks; see the server's log" },
	{ "connections_refused", 0, "%s connections were closed at once: --connections-max is reached" },
	{ "accept_pauses", 0, "%s times no connection could be taken: descriptors (ulimit -n) or memory run out" },
	{ "memory_closed", 0, "%s connections were closed because buffers reached their bound" },
	{ "overloaded", 0, "%s requests were answered 'overloaded'" },
};

static void
warn_host(const struct hf_value *h)
{
	char words[WORDS], text[256];
	for (size_t i = 0; i < sizeof host_warning / sizeof *host_warning; i++) {
		int64_t n = figure(h, host_warning[i].name);
		const char *says = host_warning[i].says, *gap = strstr(says, "%s");
		if (n <= host_warning[i].above)
			continue;
		if (gap)
			snprintf(text, sizeof text, "%.*s%s%s", (int)(gap - says), says, words_count(words, n), gap + 2);
		printf("warning: %s\n", gap ? text : says);
	}
	if (h && hf_get(h, "gate_starts") && figure(h, "gate_starts") > 0 && figure(h, "gate_up") == 0)
		puts("warning: the gate is down: stock events over nanomsg wait with their senders");
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
	const struct hf_value *tables = hf_get(v, "tables");
	char words[WORDS];
	int64_t open = figure(v, "reservations_open"), kept = hf_int(of_row(hf_get(tables, "reservations"), 1), 0);
	warn_tables(tables);
	if (kept > 0 && (double)open >= (double)kept * NEARLY_FULL)
		printf("warning: %s reservations are open: at the table's end new ones are refused as 'capacity'\n", words_count(words, open));
	if (figure(v, "missing") > 0)
		printf("warning: %s numbered events are missing: 'holdfast position SOURCE' says which\n", words_count(words, figure(v, "missing")));
	if (hf_int(of_row(hf_get(tables, "quarantine"), 0), 0) > 0)
		printf("warning: %s events are in quarantine: 'holdfast quarantine list'\n",
		    words_count(words, hf_int(of_row(hf_get(tables, "quarantine"), 0), 0)));
	warn_host(hf_get(v, "host"));
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
	print_host(hf_get(v, "host"));
	puts("");
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
