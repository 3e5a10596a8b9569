/*
 * holdfast_holds.c: the subcommands that reserve, commit, release, fulfil, extend, pin and move.
 */
#include "cmd/holdfast_cli.h"
#include "cmd/holdfast_page.h"
#include "core/base.h"

#include <stdio.h>
#include <sys/random.h>

const struct cli_option cli_reserve_options[] = {
	{ "id", "ID", "the reservation's id, which makes a repeat harmless; made up, and shown before it is sent, when absent" },
	{ "ttl", "TIME", "how long it holds: 90s, 15m (the server's default), 2h" },
	{ "owner", "OWNER", "whose it is: the shopper" },
	{ "channel", "CHANNEL", "where the demand comes from: web, store" },
	{ "replaces", "ID", "take the place of the owner's older hold in one step" },
	{ "ref", "REF", "a reference for the ledger" },
	{ "partial", NULL, "take what there is of each line, at least one unit in all" },
	{ NULL, NULL, NULL },
};

const struct cli_option cli_settle_options[] = {
	{ "ref", "REF", "makes a call in part (with lines) repeatable; made up, and shown before it is sent, when absent" },
	{ NULL, NULL, NULL },
};

/*
 * A name for --id or --ref that nobody gave: 80 random bits, as unique as it needs to be and short enough to read aloud. It is shown before
 * anything is sent, so that the same can be asked again whatever ends this program meanwhile.
 */
static const char *
make_up(char to[WORDS], const char *option)
{
	uint8_t bytes[10];
	ensure(getrandom(bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes);
	int n = snprintf(to, WORDS, "cli-");
	for (size_t i = 0; i < sizeof bytes; i++)
		n += snprintf(to + n, WORDS - (size_t)n, "%02x", bytes[i]);
	fprintf(stderr, "%s %s (give it with --%s to repeat this very call)\n", option, to, option);
	return to;
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

static int
answer_as_json(const struct cli *cli, const struct hf_value *v)
{
	cli_json_out(cli, page_json(v));
	return CLI_OK;
}

int
cli_reserve(struct cli *cli, int argc, char **argv)
{
	struct hf_line lines[CLI_LINES_MAX];
	char made[WORDS], text[64], when[WORDS];
	const char *ttl = cli_value(cli, "ttl");
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
	if (!cli_connect(cli))
		return CLI_UNREACHABLE;
	cli->id = cli_value(cli, "id") ? cli_value(cli, "id") : make_up(made, "id");
	enum hf_outcome got = hf_reserve(cli->hf, cli->id, lines, (uint32_t)n, &options, &v);
	if (got != HF_OK)
		return cli_failed(cli, got);
	if (cli->json)
		return answer_as_json(cli, v);
	printf("%s %s%s, until %s\n", words_text(text, sizeof text, hf_get(v, "state")), cli->id, again(v) ? " (again: it was granted before)" : "",
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
	const struct hf_value *v;
	int n = argc < 1 ? 0 : cli_lines(cli, argc - 1, argv + 1, lines);
	if (argc < 1)
		return cli_usage(cli, "a reservation id is needed");
	if (n < 0)
		return CLI_USAGE;
	if (!cli_connect(cli))
		return CLI_UNREACHABLE;
	cli->id = argv[0];
	cli->ref = n > 0 && !cli_value(cli, "ref") ? make_up(made, "ref") : cli_value(cli, "ref");
	enum hf_outcome got = call(cli->hf, cli->id, n ? lines : NULL, (uint32_t)n, cli->ref, &v);
	if (got != HF_OK)
		return cli_failed(cli, got);
	if (cli->json)
		return answer_as_json(cli, v);
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
	cli->id = argv[0];
	hf_begin(cli->hf, cli->command->name);
	hf_array(cli->hf, 2);
	hf_put_str(cli->hf, argv[0]);
	hf_put_int(cli->hf, ttl_ms);
	enum hf_outcome got = hf_call(cli->hf, &v);
	if (got != HF_OK)
		return cli_failed(cli, got);
	if (cli->json)
		return answer_as_json(cli, v);
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
	cli->id = argv[0];
	hf_begin(cli->hf, "move");
	hf_array(cli->hf, 3);
	hf_put_str(cli->hf, argv[0]);
	hf_put_int(cli->hf, line);
	hf_put_str(cli->hf, argv[2]);
	enum hf_outcome got = hf_call(cli->hf, &v);
	if (got != HF_OK)
		return cli_failed(cli, got);
	if (cli->json)
		return answer_as_json(cli, v);
	printf("line %lld of %s is at %s%s\n", (long long)line, argv[0], argv[2], again(v) ? " (again: it was so before)" : "");
	print_lines(hf_get(v, "lines"));
	return CLI_OK;
}
