/*
 * holdfast_holds.c: the subcommands that reserve, commit, release, fulfil, extend, pin and move.
 */
#include "cmd/holdfast_cli.h"
#include "cmd/holdfast_page.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

const struct cli_option cli_reserve_options[] = {
	{ "id", "ID", "the reservation's id, which makes a repeat harmless; made up and shown when absent" },
	{ "ttl", "TIME", "how long it holds: 90s, 15m (the server's default), 2h" },
	{ "owner", "OWNER", "whose it is: the shopper" },
	{ "channel", "CHANNEL", "where the demand comes from: web, store" },
	{ "replaces", "ID", "take the place of the owner's older hold in one step" },
	{ "ref", "REF", "a reference for the ledger" },
	{ "partial", NULL, "take what there is of each line, at least one unit in all" },
	{ NULL, NULL, NULL },
};

const struct cli_option cli_settle_options[] = {
	{ "ref", "REF", "makes a call in part (with lines) repeatable; made up and shown when absent" },
	{ NULL, NULL, NULL },
};

/* 80 random bits: as unique as an id needs to be, and short enough to read aloud. */
static void
make_id(char to[WORDS], const char *prefix)
{
	uint8_t bytes[10] = { 0 };
	if (getrandom(bytes, sizeof bytes, 0) < 0)
		memset(bytes, 0, sizeof bytes);
	int n = snprintf(to, WORDS, "%s", prefix);
	for (size_t i = 0; i < sizeof bytes; i++)
		n += snprintf(to + n, WORDS - (size_t)n, "%02x", bytes[i]);
}

/* Lines of an answer: [[sku, location, qty], ...]. */
static void
print_lines(const struct hf_value *lines)
{
	static const char *const heads[] = { "SKU", "LOCATION", ">QTY" };
	struct table t;
	if (!lines || lines->type != HF_ARRAY || lines->array.n == 0)
		return;
	table_begin(&t, heads, 3);
	for (uint32_t i = 0; i < lines->array.n; i++) {
		const struct hf_value *l = &lines->array.items[i];
		for (uint32_t k = 0; k < 3; k++)
			table_value(&t, l->type == HF_ARRAY && k < l->array.n ? &l->array.items[k] : NULL);
	}
	table_end(&t);
}

static bool
again(const struct hf_value *v)
{
	const struct hf_value *a = hf_get(v, "again");
	return a && a->type == HF_BOOL && a->boolean;
}

/* The answer with the names a script may not know: the id and the ref that were made up. */
static int
answer_as_json(const struct hf_value *v, const char *id, const char *ref)
{
	json_t *j = page_json(v);
	json_object_set_new(j, "id", json_string(id));
	if (ref)
		json_object_set_new(j, "ref", json_string(ref));
	page_json_out(j);
	return CLI_OK;
}

int
cli_reserve(struct cli *cli, int argc, char **argv)
{
	struct hf_line lines[CLI_LINES_MAX];
	char made[WORDS], text[64], when[WORDS];
	const char *id = cli_value(cli, "id"), *ttl = cli_value(cli, "ttl");
	const struct hf_value *v;
	struct hf_reserve_options options = { .channel = cli_value(cli, "channel"), .owner = cli_value(cli, "owner"),
		.replaces = cli_value(cli, "replaces"), .ref = cli_value(cli, "ref"), .partial = cli_value(cli, "partial") != NULL };
	int n = cli_lines(cli, argc, argv, lines);
	if (n < 0)
		return CLI_USAGE;
	if (n == 0)
		return cli_usage(cli, "what? SKU LOCATION QTY");
	if (ttl && !cli_duration(ttl, &options.ttl_ms))
		return cli_usage(cli, "'%s' is no time: 90s, 15m, 2h", ttl);
	if (!id) {
		make_id(made, "cli-");
		id = made;
	}
	if (!cli_connect(cli))
		return CLI_UNREACHABLE;
	enum hf_outcome got = hf_reserve(cli->hf, id, lines, (uint32_t)n, &options, &v);
	if (got != HF_OK) {
		if (got == HF_UNKNOWN && !cli->json)
			fprintf(stderr, "the id is %s\n", id);
		return cli_failed(cli, got);
	}
	if (cli->json)
		return answer_as_json(v, id, NULL);
	printf("%s %s%s, until %s\n", words_text(text, sizeof text, hf_get(v, "state")), id, again(v) ? " (again: it was granted before)" : "",
	    words_instant(when, hf_int(hf_get(v, "expires_at"), 0)));
	print_lines(hf_get(v, "lines"));
	return CLI_OK;
}

static int
settle(struct cli *cli, int argc, char **argv,
    enum hf_outcome (*call)(struct hf *, const char *, const struct hf_line *, uint32_t, const char *, const struct hf_value **))
{
	struct hf_line lines[CLI_LINES_MAX];
	char made[WORDS], text[64];
	const char *ref = cli_value(cli, "ref");
	const struct hf_value *v;
	int n = argc < 1 ? 0 : cli_lines(cli, argc - 1, argv + 1, lines);
	if (argc < 1)
		return cli_usage(cli, "a reservation id is needed");
	if (n < 0)
		return CLI_USAGE;
	if (n > 0 && !ref) {
		make_id(made, "cli-");
		ref = made;
		if (!cli->json)
			fprintf(stderr, "ref %s (give it with --ref to repeat this very call)\n", ref);
	}
	if (!cli_connect(cli))
		return CLI_UNREACHABLE;
	enum hf_outcome got = call(cli->hf, argv[0], n ? lines : NULL, (uint32_t)n, ref, &v);
	if (got != HF_OK)
		return cli_failed(cli, got);
	if (cli->json)
		return answer_as_json(v, argv[0], ref);
	printf("%s is %s%s\n", argv[0], words_text(text, sizeof text, hf_get(v, "state")), again(v) ? " (again: it was so before)" : "");
	print_lines(hf_get(v, "lines"));
	return CLI_OK;
}

int
cli_commit(struct cli *cli, int argc, char **argv)
{
	return settle(cli, argc, argv, hf_commit);
}

int
cli_release(struct cli *cli, int argc, char **argv)
{
	return settle(cli, argc, argv, hf_release);
}

int
cli_fulfil(struct cli *cli, int argc, char **argv)
{
	return settle(cli, argc, argv, hf_fulfil);
}

/* ---- longer, elsewhere ---- */

/* extend and pin: the same question about the same instant, expires_at. */
static int
longer(struct cli *cli, int argc, char **argv, const char *says)
{
	const struct hf_value *v;
	char when[WORDS];
	int64_t ttl_ms;
	if (argc != 2)
		return cli_usage(cli, "a reservation id and a time are needed: %s cart-1 10m", cli->command->name);
	if (!cli_duration(argv[1], &ttl_ms))
		return cli_usage(cli, "'%s' is no time: 90s, 15m, 2h", argv[1]);
	if (!cli_connect(cli))
		return CLI_UNREACHABLE;
	hf_begin(cli->hf, cli->command->name);
	hf_array(cli->hf, 2);
	hf_put_str(cli->hf, argv[0]);
	hf_put_int(cli->hf, ttl_ms);
	enum hf_outcome got = hf_call(cli->hf, &v);
	if (got != HF_OK)
		return cli_failed(cli, got);
	if (cli->json)
		return answer_as_json(v, argv[0], NULL);
	printf("%s %s %s\n", argv[0], says, words_instant(when, hf_int(hf_get(v, "expires_at"), 0)));
	return CLI_OK;
}

int
cli_extend(struct cli *cli, int argc, char **argv)
{
	return longer(cli, argc, argv, "now holds until");
}

int
cli_pin(struct cli *cli, int argc, char **argv)
{
	return longer(cli, argc, argv, "is pinned, and holds at least until");
}

int
cli_move(struct cli *cli, int argc, char **argv)
{
	const struct hf_value *v;
	int64_t line;
	if (argc != 3)
		return cli_usage(cli, "a reservation id, the number of its line (0 is the first) and a location are needed: move cart-1 0 ST-0002");
	if (!cli_number(argv[1], 0, UINT32_MAX, &line))
		return cli_usage(cli, "'%s' is no number of a line: 'holdfast show ID' numbers them from 0", argv[1]);
	if (!cli_connect(cli))
		return CLI_UNREACHABLE;
	hf_begin(cli->hf, "move");
	hf_array(cli->hf, 3);
	hf_put_str(cli->hf, argv[0]);
	hf_put_int(cli->hf, line);
	hf_put_str(cli->hf, argv[2]);
	enum hf_outcome got = hf_call(cli->hf, &v);
	if (got != HF_OK)
		return cli_failed(cli, got);
	if (cli->json)
		return answer_as_json(v, argv[0], NULL);
	printf("line %lld of %s is at %s%s\n", (long long)line, argv[0], argv[2], again(v) ? " (again: it was so before)" : "");
	print_lines(hf_get(v, "lines"));
	return CLI_OK;
}
