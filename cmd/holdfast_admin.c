/*
 * holdfast_admin.c: `policy`: safety stock, oversell limits, groups; and what subcommands with verbs share.
 */
#include "cmd/holdfast_cli.h"
#include "cmd/holdfast_page.h"

#include <stdio.h>
#include <string.h>

static int
say_done(struct cli *cli, enum hf_outcome got, const struct hf_value *v, const char *what)
{
	if (got != HF_OK)
		return cli_failed(cli, got);
	if (cli->json)
		page_json_out(page_json(v));
	else
		puts(what);
	return CLI_OK;
}

/* ---- policy ---- */

const struct cli_option cli_group_options[] = {
	{ "remove", NULL, "group NAME: remove it" },
	{ NULL, NULL, NULL },
};

const char cli_policy_more[] =
    "  policy set-safety SKU LOCATION N       hold N units back\n"
    "  policy set-oversell SKU LOCATION N     sell up to N units beyond what is there\n"
    "  policy group NAME LOCATION...          define a group anew, locations by priority\n"
    "  policy group NAME --remove             remove it\n"
    "  policy get SKU LOCATION                what is set for a cell\n"
    "  policy get GROUP                       the locations of a group\n"
    "0 takes a limit away. A group can be read when the ATS of all its cells is known, which the answer waits for.\n";

/* The outer shape of a request: policy [{set or get: {what: ...}}]. */
static void
begin_policy(struct hf *hf, const char *verb, const char *what)
{
	hf_begin(hf, "policy");
	hf_array(hf, 1);
	hf_map(hf, 1);
	hf_put_str(hf, verb);
	hf_map(hf, 1);
	hf_put_str(hf, what);
}

static int
policy_set(struct cli *cli, int argc, char **argv, const char *key)
{
	const struct hf_value *v;
	char said[512];
	int64_t n;
	if (argc != 4)
		return cli_usage(cli, "%s takes SKU LOCATION N", argv[0]);
	if (!cli_number(argv[3], 0, 2147483647, &n))
		return cli_usage(cli, "'%s' is not a whole number from 0 to 2147483647", argv[3]);
	if (!cli_connect(cli))
		return CLI_UNREACHABLE;
	begin_policy(cli->hf, "set", "cells");
	hf_array(cli->hf, 1);
	hf_array(cli->hf, 3);
	hf_put_str(cli->hf, argv[1]);
	hf_put_str(cli->hf, argv[2]);
	hf_map(cli->hf, 1);
	hf_put_str(cli->hf, key);
	hf_put_int(cli->hf, n);
	enum hf_outcome got = hf_call(cli->hf, &v);
	snprintf(said, sizeof said, "%s of %s at %s is now %lld", strcmp(key, "safety_stock") == 0 ? "safety stock" : "oversell limit", argv[1],
	    argv[2], (long long)n);
	return say_done(cli, got, v, said);
}

static int
policy_safety(struct cli *cli, int argc, char **argv)
{
	return policy_set(cli, argc, argv, "safety_stock");
}

static int
policy_oversell(struct cli *cli, int argc, char **argv)
{
	return policy_set(cli, argc, argv, "oversell_limit");
}

static int
policy_group(struct cli *cli, int argc, char **argv)
{
	const struct hf_value *v;
	char said[256];
	bool away = cli_value(cli, "remove") != NULL;
	if (argc < 2 || (away ? argc != 2 : argc < 3))
		return cli_usage(cli, "group takes NAME and its locations by priority, or NAME --remove");
	if (!cli_connect(cli))
		return CLI_UNREACHABLE;
	begin_policy(cli->hf, "set", "groups");
	hf_map(cli->hf, 1);
	hf_put_str(cli->hf, argv[1]);
	if (away) {
		hf_put_nil(cli->hf);
	} else {
		hf_map(cli->hf, 1);
		hf_put_str(cli->hf, "members");
		hf_array(cli->hf, (uint32_t)argc - 2);
		for (int i = 2; i < argc; i++)
			hf_put_str(cli->hf, argv[i]);
	}
	enum hf_outcome got = hf_call(cli->hf, &v);
	if (away)
		snprintf(said, sizeof said, "group %s is removed", argv[1]);
	else
		snprintf(said, sizeof said, "group %s has %d location%s", argv[1], argc - 2, argc == 3 ? "" : "s");
	return say_done(cli, got, v, said);
}

static void
print_policy(const struct hf_value *v)
{
	const struct hf_value *cells = hf_get(v, "cells"), *groups = hf_get(v, "groups");
	char name[80];
	for (uint32_t i = 0; cells && cells->type == HF_ARRAY && i < cells->array.n; i++) {
		const struct hf_value *c = &cells->array.items[i];
		const struct hf_value *set = c->type == HF_ARRAY && c->array.n == 3 ? &c->array.items[2] : NULL;
		printf("safety stock    %lld\noversell limit  %lld\n", (long long)hf_int(hf_get(set, "safety_stock"), 0),
		    (long long)hf_int(hf_get(set, "oversell_limit"), 0));
	}
	for (uint32_t i = 0; groups && groups->type == HF_MAP && i < groups->map.n; i++) {
		const struct hf_value *members = hf_get(&groups->map.pairs[2 * i + 1], "members");
		printf("%s\n", words_text(name, sizeof name, &groups->map.pairs[2 * i]));
		for (uint32_t k = 0; members && members->type == HF_ARRAY && k < members->array.n; k++)
			printf("  %u  %s\n", k + 1, words_text(name, sizeof name, &members->array.items[k]));
	}
}

static int
policy_get(struct cli *cli, int argc, char **argv)
{
	const struct hf_value *v;
	if (argc != 2 && argc != 3)
		return cli_usage(cli, "get takes SKU LOCATION, or GROUP");
	if (!cli_connect(cli))
		return CLI_UNREACHABLE;
	begin_policy(cli->hf, "get", argc == 3 ? "cells" : "groups");
	hf_array(cli->hf, 1);
	if (argc == 3)
		hf_array(cli->hf, 2);
	for (int i = 1; i < argc; i++)
		hf_put_str(cli->hf, argv[i]);
	enum hf_outcome got = hf_call(cli->hf, &v);
	if (got != HF_OK)
		return cli_failed_read(cli, got);
	if (cli->json)
		page_json_out(page_json(v));
	else
		print_policy(v);
	return CLI_OK;
}

int
cli_verb(struct cli *cli, const struct cli_verb *verb, size_t n, int argc, char **argv)
{
	char words[256] = "";
	for (size_t i = 0; argc > 0 && i < n; i++)
		if (strcmp(verb[i].name, argv[0]) == 0)
			return verb[i].run(cli, argc, argv);
	for (size_t i = 0; i < n; i++)
		snprintf(words + strlen(words), sizeof words - strlen(words), "%s%s", i == 0 ? "" : i + 1 == n ? " or " : ", ", verb[i].name);
	if (argc > 0)
		return cli_usage(cli, "there is no '%s %s': %s", cli->command->name, argv[0], words);
	return cli_usage(cli, "what? %s", words);
}

int
cli_policy(struct cli *cli, int argc, char **argv)
{
	static const struct cli_verb verb[] = { { "set-safety", policy_safety }, { "set-oversell", policy_oversell }, { "group", policy_group },
		{ "get", policy_get } };
	return cli_verb(cli, verb, sizeof verb / sizeof *verb, argc, argv);
}
