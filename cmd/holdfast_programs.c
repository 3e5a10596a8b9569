/* holdfast_programs.c: the contract is in holdfast_programs.h. */
#include "cmd/holdfast_programs.h"
#include "cmd/gate_options.h"
#include "net/config.h"

#include <string.h>

#define HELP_BYTES 300

static struct cli_option server_options[PROGRAM_OPTIONS_MAX + 1], gate_options[PROGRAM_OPTIONS_MAX + 1];
static char server_help[PROGRAM_OPTIONS_MAX][HELP_BYTES], gate_help[PROGRAM_OPTIONS_MAX][HELP_BYTES];

static void
fill(struct cli_option *o, char help[HELP_BYTES], const char *name, const char *arg, const char *text, const char *otherwise)
{
	bool has = otherwise && *otherwise;
	snprintf(help, HELP_BYTES, "%s%s%s%s", text, has ? " (" : "", has ? otherwise : "", has ? ")" : "");
	*o = (struct cli_option){ name, arg, help };
}

const struct program *
programs(const struct cli *cli)
{
	static struct program all[PROGRAMS];
	struct config_flag f;
	for (unsigned i = 0; i < PROGRAM_OPTIONS_MAX && config_flag(i, &f); i++)
		fill(&server_options[i], server_help[i], f.name, f.value_name, f.help, f.otherwise);
	for (unsigned i = 0; i < PROGRAM_OPTIONS_MAX && gate_option_rows[i].name; i++)
		fill(&gate_options[i], gate_help[i], gate_option_rows[i].name, gate_option_rows[i].arg, gate_option_rows[i].help,
		    gate_option_rows[i].otherwise);
	all[0] = (struct program){ "holdfast", "asks and operates a Holdfast server", "[options] SUBCOMMAND ...", 1, NULL, cli->globals };
	all[1] = (struct program){ "holdfastd", config_about, "[--data DIR] [--listen HOST:PORT] [options]", 8, config_more, server_options };
	all[2] = (struct program){ "holdfast-gate", gate_options_about, "[--server HOST:PORT] [--events HOST:PORT] [options]", 8,
		gate_options_more, gate_options };
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
