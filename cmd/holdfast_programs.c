/* holdfast_programs.c: the contract is in holdfast_programs.h. */
#include "cmd/holdfast_programs.h"
#include "cmd/bench_options.h"
#include "cmd/gate_options.h"
#include "net/config.h"

#include <string.h>

#define HELP_BYTES 300
#define MORE_BYTES 4096

static struct cli_option server_options[PROGRAM_OPTIONS_MAX + 1], gate_options[PROGRAM_OPTIONS_MAX + 1], bench_options[PROGRAM_OPTIONS_MAX + 1];
static char server_help[PROGRAM_OPTIONS_MAX][HELP_BYTES], gate_help[PROGRAM_OPTIONS_MAX][HELP_BYTES], bench_help[PROGRAM_OPTIONS_MAX][HELP_BYTES];

static void
fill(struct cli_option *o, char help[HELP_BYTES], const struct option_row *row)
{
	bool has = row->otherwise && *row->otherwise;
	snprintf(help, HELP_BYTES, "%s%s%s%s", row->help, has ? " (" : "", has ? row->otherwise : "", has ? ")" : "");
	*o = (struct cli_option){ row->name, row->arg, help };
}

/* The commands of holdfast-bench, and what its --help says below the options. */
static const char *
bench_more(char words[256])
{
	static char more[MORE_BYTES];
	size_t used = 0, words_used = 0;
	for (const struct bench_command *c = bench_commands; c->name; c++) {
		used += (size_t)snprintf(more + used, sizeof more - used, "  %-9s %-9s %s\n", c->name, c->arg ? c->arg : "", c->help);
		words_used += (size_t)snprintf(words + words_used, 256 - words_used, "%s%s", words_used ? " " : "", c->name);
	}
	snprintf(more + used, sizeof more - used, "\n%s", bench_options_more);
	return more;
}

const struct program *
programs(const struct cli *cli)
{
	static struct program all[PROGRAMS];
	static char bench_words[256];
	struct config_flag f;
	for (unsigned i = 0; i < PROGRAM_OPTIONS_MAX && config_flag(i, &f); i++)
		fill(&server_options[i], server_help[i], &(struct option_row){ f.name, f.value_name, f.otherwise, f.help });
	for (unsigned i = 0; i < PROGRAM_OPTIONS_MAX && gate_option_rows[i].option.name; i++)
		fill(&gate_options[i], gate_help[i], &gate_option_rows[i].option);
	all[0] = (struct program){ "holdfast", "asks and operates a Holdfast server", "[options] SUBCOMMAND ...", 1, NULL, cli->globals, NULL };
	all[1] = (struct program){ "holdfastd", config_about, "[--data DIR] [--listen HOST:PORT] [options]", 8, config_more, server_options, NULL };
	all[2] = (struct program){ "holdfast-gate", gate_options_about, "[--server HOST:PORT] [--events HOST:PORT] [options]", 8,
		gate_options_more, gate_options, NULL };
	for (unsigned i = 0; i < PROGRAM_OPTIONS_MAX && bench_option_rows[i].name; i++)
		fill(&bench_options[i], bench_help[i], &bench_option_rows[i]);
	all[3] = (struct program){ "holdfast-bench", bench_options_about, "COMMAND [options]", 1, bench_more(bench_words), bench_options, bench_words };
	return all;
}

enum arg_kind
arg_kind(const char *arg, char words[256])
{
	size_t used = 0;
	words[0] = 0;
	if (!arg)
		return ARG_OTHER;
	if (strncmp(arg, "FILE", 4) == 0 || strncmp(arg, "PATH", 4) == 0)
		return ARG_FILE;
	if (strncmp(arg, "DIR", 3) == 0)
		return ARG_DIR;
	if (!strchr(arg, '|'))
		return ARG_OTHER;
	for (const char *at = arg; *at && strncmp(at, " ...", 4) != 0 && used < 254; at++) {
		bool apart = strchr("[]| ", *at) != NULL;
		if (!apart || (used > 0 && words[used - 1] != ' '))
			words[used++] = apart ? ' ' : *at;
	}
	words[used] = 0;
	return ARG_WORDS;
}
