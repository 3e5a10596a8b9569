/*
 * holdfast_quarantine.c: `quarantine`: events that could not be applied, seen, decided again, or dropped; page by page.
 */
#include "cmd/holdfast_cli.h"
#include "cmd/holdfast_page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_ITEMS 400 /* the server's bound of a list */
#define CALL_IDS 1000 /* the server's bound of a replay or drop */
#define SHOWN_DEFAULT 100

const struct cli_option cli_quarantine_options[] = {
	{ "after", "NUMBER", "list: only those behind this number" },
	{ "limit", "N", "list: at most so many (100)" },
	{ "all", NULL, "list, replay or drop everything that is kept" },
	{ NULL, NULL, NULL },
};

const char cli_quarantine_more[] =
    "  quarantine list              what is kept, and why\n"
    "  quarantine replay NUMBER...  decide these again: what is applied now leaves the quarantine\n"
    "  quarantine drop NUMBER...    forget these for good\n"
    "Mend the cause first (post what is missing, create the location), then replay.\n";

/* ---- list ---- */

static enum hf_outcome
ask_page(struct cli *cli, int64_t after, int64_t limit, const struct hf_value **items)
{
	const struct hf_value *v;
	hf_begin(cli->hf, "quarantine");
	hf_array(cli->hf, 1);
	hf_map(cli->hf, 3);
	hf_put_str(cli->hf, "op");
	hf_put_str(cli->hf, "list");
	hf_put_str(cli->hf, "limit");
	hf_put_int(cli->hf, limit < PAGE_ITEMS ? limit : PAGE_ITEMS);
	hf_put_str(cli->hf, "after");
	hf_put_int(cli->hf, after);
	enum hf_outcome got = hf_call(cli->hf, &v);
	*items = got == HF_OK ? hf_get(v, "items") : NULL;
	return got;
}

/*
 * Calls take() with each item behind `after`, at most `limit`. *last: the number of the last one; *more: there may be more behind it.
 * Fails like the call that failed.
 */
static enum hf_outcome
each_item(struct cli *cli, int64_t after, int64_t limit, void (*take)(void *, const struct hf_value *), void *context, int64_t *last, bool *more)
{
	const struct hf_value *items;
	*last = after;
	for (*more = true; *more && limit > 0;) {
		int64_t asked = limit < PAGE_ITEMS ? limit : PAGE_ITEMS;
		enum hf_outcome got = ask_page(cli, *last, asked, &items);
		if (got != HF_OK)
			return got;
		uint32_t n = items && items->type == HF_ARRAY ? items->array.n : 0;
		for (uint32_t i = 0; i < n; i++)
			take(context, &items->array.items[i]);
		if (n)
			*last = hf_int(hf_get(&items->array.items[n - 1], "quarantine"), *last);
		*more = n == (uint32_t)asked;
		limit -= n;
	}
	return HF_OK;
}

static void
item_into_table(void *context, const struct hf_value *item)
{
	char when[WORDS];
	json_t *event = page_json(hf_get(item, "event"));
	char *text = json_dumps(event, JSON_COMPACT | JSON_ENCODE_ANY);
	table_cell(context, "%lld", (long long)hf_int(hf_get(item, "quarantine"), 0));
	table_value(context, hf_get(item, "reason"));
	table_cell(context, "%s", words_instant(when, hf_int(hf_get(item, "at"), 0)));
	table_cell(context, "%s", text ? text : "");
	free(text);
	json_decref(event);
}

static void
item_into_json(void *context, const struct hf_value *item)
{
	json_array_append_new(context, page_json(item));
}

static int
list(struct cli *cli, int argc, char **argv)
{
	static const char *const heads[] = { ">NUMBER", "REASON", "KEPT SINCE", "EVENT" };
	const char *after = cli_value(cli, "after"), *limit = cli_value(cli, "limit");
	int64_t after_n = 0, limit_n = SHOWN_DEFAULT, last;
	bool more;
	struct table t;
	if (argc != 1)
		return cli_usage(cli, "list takes no numbers");
	if ((after && !cli_number(after, 0, INT64_C(1) << 53, &after_n)) || (limit && !cli_number(limit, 1, INT64_C(1) << 53, &limit_n)))
		return cli_usage(cli, "--after and --limit take whole numbers");
	if (cli_value(cli, "all"))
		limit_n = INT64_MAX;
	if (!cli_connect(cli))
		return CLI_UNREACHABLE;
	table_begin(&t, heads, 4);
	json_t *items = json_array();
	enum hf_outcome got = each_item(cli, after_n, limit_n, cli->json ? item_into_json : item_into_table, cli->json ? (void *)items : &t, &last, &more);
	if (got == HF_OK && cli->json)
		page_json_out(json_pack("{s:O, s:b}", "items", items, "more", more));
	else if (got == HF_OK && t.used > 0)
		table_end(&t);
	else if (got == HF_OK)
		puts(after ? "nothing is kept behind that number" : "the quarantine is empty");
	if (got == HF_OK && more && !cli->json)
		fprintf(stderr, "there may be more: --after %lld, or --all\n", (long long)last);
	table_drop(&t);
	json_decref(items);
	return got == HF_OK ? CLI_OK : cli_failed_read(cli, got);
}

/* ---- replay, drop ---- */

struct numbers {
	int64_t *at;
	size_t n, size;
};

static void
number_add(struct numbers *numbers, int64_t n)
{
	if (numbers->n == numbers->size) {
		numbers->size = numbers->size ? numbers->size * 2 : 64;
		numbers->at = realloc(numbers->at, numbers->size * sizeof *numbers->at);
		if (!numbers->at)
			abort(); /* like everything else that the command line has no memory for */
	}
	numbers->at[numbers->n++] = n;
}

static void
item_into_numbers(void *context, const struct hf_value *item)
{
	number_add(context, hf_int(hf_get(item, "quarantine"), 0));
}

/* true: it is done with. */
static bool
take_outcome(int64_t number, const struct hf_value *o, json_t *outcomes)
{
	const struct hf_value *rejected = hf_get(o, "rejected");
	char code[64], text[512];
	if (outcomes) {
		json_array_append_new(outcomes, json_pack("{s:I, s:o}", "quarantine", (json_int_t)number, "outcome", page_json(o)));
		return !rejected;
	}
	if (rejected) {
		words_text(code, sizeof code, rejected);
		printf("%lld  %s, %s: %s\n", (long long)number, strcmp(code, "not_found") == 0 ? "not there" : "still rejected", code,
		    words_text(text, sizeof text, hf_get(o, "message")));
	} else {
		printf("%lld  %s\n", (long long)number, o->type == HF_STR ? words_text(text, sizeof text, o) : "reconciled");
	}
	return !rejected;
}

/* One call of the server. -1: a failure that is said; else how many are not done with. */
static int
decide_some(struct cli *cli, const char *op, const int64_t *number, size_t n, json_t *outcomes, int *exit)
{
	const struct hf_value *v;
	int left = 0;
	hf_begin(cli->hf, "quarantine");
	hf_array(cli->hf, 1);
	hf_map(cli->hf, 2);
	hf_put_str(cli->hf, "op");
	hf_put_str(cli->hf, op);
	hf_put_str(cli->hf, "ids");
	hf_array(cli->hf, (uint32_t)n);
	for (size_t i = 0; i < n; i++)
		hf_put_int(cli->hf, number[i]);
	enum hf_outcome got = hf_call(cli->hf, &v);
	const struct hf_value *list = got == HF_OK && v->type == HF_ARRAY && v->array.n == 2 ? &v->array.items[1] : NULL;
	if (got != HF_OK)
		*exit = cli_failed(cli, got);
	else if (!list || list->type != HF_ARRAY || list->array.n != n)
		*exit = cli_say(cli, CLI_UNREACHABLE, "failed", "the server's answer has an unknown shape: do its version and this one fit?");
	else
		for (size_t i = 0; i < n; i++)
			left += !take_outcome(number[i], &list->array.items[i], outcomes);
	return *exit ? -1 : left;
}

static int
decide_all(struct cli *cli, const char *op, const struct numbers *numbers)
{
	json_t *outcomes = cli->json ? json_array() : NULL;
	int exit = CLI_OK, left = 0, some = 0;
	for (size_t at = 0; at < numbers->n && some >= 0; at += CALL_IDS, left += some > 0 ? some : 0)
		some = decide_some(cli, op, numbers->at + at, numbers->n - at < CALL_IDS ? numbers->n - at : CALL_IDS, outcomes, &exit);
	if (outcomes && exit == CLI_OK)
		page_json_out(json_pack("{s:O, s:i}", "outcomes", outcomes, "left", left));
	json_decref(outcomes);
	if (!cli->json && numbers->n == 0)
		puts("the quarantine is empty");
	return exit ? exit : left ? CLI_REJECTED : CLI_OK;
}

static int
decide(struct cli *cli, int argc, char **argv)
{
	struct numbers numbers = { 0 };
	bool all = cli_value(cli, "all") != NULL, more;
	int64_t number, last;
	int exit = CLI_OK;
	if (all ? argc != 1 : argc < 2)
		return cli_usage(cli, "%s takes the numbers that 'quarantine list' shows, or --all", argv[0]);
	for (int i = 1; i < argc; i++)
		if (!cli_number(argv[i], 1, INT64_C(1) << 53, &number))
			return cli_usage(cli, "'%s' is no number", argv[i]);
	if (!cli_connect(cli))
		return CLI_UNREACHABLE;
	for (int i = 1; i < argc; i++)
		if (cli_number(argv[i], 1, INT64_C(1) << 53, &number))
			number_add(&numbers, number);
	enum hf_outcome got = all ? each_item(cli, 0, INT64_MAX, item_into_numbers, &numbers, &last, &more) : HF_OK;
	exit = got == HF_OK ? decide_all(cli, argv[0], &numbers) : cli_failed_read(cli, got);
	free(numbers.at);
	return exit;
}

int
cli_quarantine(struct cli *cli, int argc, char **argv)
{
	static const struct cli_verb verb[] = { { "list", list }, { "replay", decide }, { "drop", decide } };
	return cli_verb(cli, verb, sizeof verb / sizeof *verb, argc, argv);
}
