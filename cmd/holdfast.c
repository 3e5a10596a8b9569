/*
 * holdfast.c: the operator's command line. The table of subcommands is the program; help, option parsing and dispatch read it.
 */
#include "cmd/holdfast_cli.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVER_DEFAULT "127.0.0.1:7400"
#define TIMEOUT_MS_DEFAULT 5000
#define OPTIONS_MAX 40

static const struct cli_command command[] = {
	{ "status", "", "the server at a glance: position, tables, connections, lag, gate, warnings", NULL, cli_status, NULL },
	{ "ats", "SKU LOCATION...", "available to sell, at locations or groups", NULL, cli_ats, NULL },
	{ "stock", "SKU LOCATION...", "every quantity of a SKU at locations or groups", NULL, cli_stock, NULL },
	{ "scan", "", "all stock as CSV or JSON lines, whole or by filters", cli_scan_options, cli_scan, cli_scan_more },
	{ "watch", "", "changes of stock as they happen, and from a position on", cli_watch_options, cli_watch, cli_watch_more },
	{ "reserve", "SKU LOCATION QTY...", "hold units for a time: all lines or none", cli_reserve_options, cli_reserve, NULL },
	{ "commit", "ID [SKU LOCATION QTY]...", "make a hold firm, whole or in part", cli_settle_options, cli_commit, NULL },
	{ "release", "ID [SKU LOCATION QTY]...", "give units back, whole or in part", cli_settle_options, cli_release, NULL },
	{ "fulfil", "ID [SKU LOCATION QTY]...", "committed goods have left, whole or in part", cli_settle_options, cli_fulfil, NULL },
	{ "extend", "ID TIME", "let a hold last longer: so long from now", NULL, cli_extend, NULL },
	{ "pin", "ID TIME", "keep a hold from ending while a payment runs", NULL, cli_pin, NULL },
	{ "move", "ID LINE LOCATION", "fulfil a line of a reservation from another location", NULL, cli_move, NULL },
	{ "show", "ID", "a reservation: its state and what became of each line", NULL, cli_show, NULL },
	{ "post", "FILE", "send stock events: CSV or JSON lines, plain or .gz, '-' for stdin", cli_post_options, cli_post, cli_post_more },
	{ "position", "SOURCE", "how far a source's numbered events have come, and what is missing", cli_position_options, cli_position, NULL },
	{ "policy", "set-safety | set-oversell | group | get ...", "safety stock, oversell limits, location groups", cli_group_options,
	    cli_policy, cli_policy_more },
	{ "quarantine", "list | replay | drop ...", "events that could not be applied", cli_quarantine_options, cli_quarantine,
	    cli_quarantine_more },
	{ "digest", "", "a checksum of all stock, to compare two servers", cli_digest_options, cli_digest, NULL },
	{ "backup", "DIR", "a checked copy of a running server's image", cli_backup_options, cli_backup, cli_backup_more },
	{ "restore", "DIR", "make a data folder of a backup", cli_restore_options, cli_restore, cli_restore_more },
	{ "doctor", "DIR", "check a data folder offline: journal and image", cli_doctor_options, cli_doctor, NULL },
	{ "gate", "[HOST:PORT]", "a gate at a glance: its line, its queue, its spool, what it refused", NULL, cli_gate, cli_gate_more },
	{ "completion", "bash|zsh", "what the shell needs to complete this command line", NULL, cli_completion, cli_completion_more },
	{ "man", "[holdfast|holdfastd|holdfast-gate|holdfast-bench]", "a page of the manual, as roff", NULL, cli_man, NULL },
	{ NULL, NULL, NULL, NULL, NULL, NULL },
};

static const struct cli_option global_options[] = {
	{ "server", "HOST:PORT", "default " SERVER_DEFAULT ", or the environment's HOLDFAST_SERVER" },
	{ "timeout", "TIME", "how long to wait for the server's next bytes: 500ms, 5s (default), 1m" },
	{ "json", NULL, "one JSON object on stdout, for scripts" },
	{ "help", NULL, "this page; after a subcommand, its page" },
	{ "version", NULL, "the version" },
	{ NULL, NULL, NULL },
};

/* ---- help ---- */

static void
print_options(const char *title, const struct cli_option *o)
{
	if (!o || !o->name)
		return;
	printf("\n%s\n", title);
	for (; o->name; o++)
		printf("  --%s%s%-*s %s\n", o->name, o->arg ? " " : "", 24 - (int)strlen(o->name) - !!o->arg, o->arg ? o->arg : "", o->help);
}

static void
help_all(void)
{
	puts("holdfast: asks and operates a Holdfast server\n\nusage: holdfast [options] SUBCOMMAND ...\n");
	for (const struct cli_command *c = command; c->name; c++)
		printf("  %-11s %s\n", c->name, c->help);
	print_options("options, before or after the subcommand:", global_options);
	puts("\nexit codes:");
#define X(name, number, text) printf("  %-4d %s\n", number, text);
	CLI_EXIT_LIST(X)
#undef X
	puts("\nOne subcommand's page: holdfast SUBCOMMAND --help");
}

static void
help_one(const struct cli_command *c)
{
	printf("holdfast %s: %s\n\nusage: holdfast %s%s%s%s\n", c->name, c->help, c->name, c->options ? " [options]" : "", *c->args ? " " : "", c->args);
	print_options("options:", c->options);
	print_options("options of every subcommand:", global_options);
	if (c->more)
		printf("\n%s", c->more);
}

/* ---- options ---- */

static int
add_options(const struct cli_option *from, const struct cli_option **row, struct option *to, int n)
{
	for (; from && from->name && n < OPTIONS_MAX; from++, n++) {
		row[n] = from;
		to[n] = (struct option){ from->name, from->arg ? required_argument : no_argument, NULL, n + 1 };
	}
	return n;
}

/* Parses argv from optind on into cli->given; stops at the first word when no subcommand is chosen yet. false: said. */
static bool
parse(struct cli *cli, int argc, char **argv)
{
	const struct cli_option *row[OPTIONS_MAX];
	struct option options[OPTIONS_MAX + 1];
	int n = add_options(global_options, row, options, 0), got;
	if (cli->command)
		n = add_options(cli->command->options, row, options, n);
	options[n] = (struct option){ NULL, 0, NULL, 0 };
	while ((got = getopt_long(argc, argv, cli->command ? ":h" : "+:h", options, NULL)) != -1) {
		if (got == '?' || got == ':') {
			cli_usage(cli, got == '?' ? "no option %s" : "%s needs a value", argv[optind - 1]);
			return false;
		}
		if (cli->given_n == CLI_GIVEN_MAX) {
			cli_usage(cli, "more than %d options", CLI_GIVEN_MAX);
			return false;
		}
		cli->given[cli->given_n].option = got == 'h' ? &global_options[3] : row[got - 1];
		cli->given[cli->given_n++].value = got == 'h' ? NULL : optarg;
	}
	return true;
}

static bool
take_globals(struct cli *cli)
{
	const char *server = cli_value(cli, "server"), *timeout = cli_value(cli, "timeout");
	int64_t ms = TIMEOUT_MS_DEFAULT;
	if (!server)
		server = getenv("HOLDFAST_SERVER");
	cli_address(SERVER_DEFAULT, cli->host, &cli->port);
	if (server && *server && !cli_address(server, cli->host, &cli->port)) {
		cli_usage(cli, "'%s' is no HOST:PORT", server);
		return false;
	}
	if (timeout && (!cli_duration(timeout, &ms) || ms > 3600000)) {
		cli_usage(cli, "'%s' is no time of at most an hour: 500ms, 5s, 1m", timeout);
		return false;
	}
	cli->timeout_ms = (int)ms;
	cli->json = cli_value(cli, "json") != NULL;
	return true;
}

static const struct cli_command *
find(const char *name)
{
	for (const struct cli_command *c = command; c->name; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

static int
no_command(const struct cli *cli, const char *name)
{
	for (const struct cli_command *c = command; c->name; c++)
		if (strncmp(c->name, name, 3) == 0)
			return cli_usage(cli, "no subcommand '%s': did you mean '%s'?", name, c->name);
	return cli_usage(cli, "no subcommand '%s'", name);
}

/* -1: go on to the subcommand. */
static int
answer_globals(const struct cli *cli)
{
	if (cli_value(cli, "version")) {
		puts("holdfast " CLI_VERSION);
		return CLI_OK;
	}
	if (!cli_value(cli, "help"))
		return -1;
	if (cli->command)
		help_one(cli->command);
	else
		help_all();
	return CLI_OK;
}

int
main(int argc, char **argv)
{
	static struct cli cli = { .commands = command, .globals = global_options };
	int done;
	if (!parse(&cli, argc, argv))
		return CLI_USAGE;
	if (optind < argc && strcmp(argv[optind], "help") == 0) {
		cli.command = optind + 1 < argc ? find(argv[optind + 1]) : NULL;
		cli.given[0].option = &global_options[3];
		cli.given_n = 1;
		return answer_globals(&cli);
	}
	if (optind == argc) {
		if ((done = answer_globals(&cli)) >= 0)
			return done;
		help_all();
		return CLI_USAGE;
	}
	argc -= optind;
	argv += optind;
	optind = 0; /* getopt begins anew: from here on options may stand anywhere */
	if (!(cli.command = find(argv[0])))
		return no_command(&cli, argv[0]);
	if (!parse(&cli, argc, argv))
		return CLI_USAGE;
	if ((done = answer_globals(&cli)) >= 0)
		return done;
	if (!take_globals(&cli))
		return CLI_USAGE;
	done = cli.command->run(&cli, argc - optind, argv + optind);
	hf_close(cli.hf);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fputs("holdfast: the output cannot be written\n", stderr);
		return done ? done : CLI_FILE;
	}
	return done;
}
