/*
 * holdfast_manual.c: `man`: the pages of the manual as roff, out of the tables that parsing and --help read, so that they cannot say
 * anything else. `make man` keeps them in files.
 */
#include "cmd/holdfast_cli.h"
#include "cmd/holdfast_programs.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define PAGE_DATE "2026-11-21" /* of the tables' last change that a reader of the pages should know of */

/* Text as it is: a dash is a dash, a backslash one, and a line that begins with a dot is no request. */
static void
text(const char *s)
{
	bool begins = true;
	for (; *s; s++) {
		if (begins && (*s == '.' || *s == '\''))
			fputs("\\&", stdout);
		if (*s == '-')
			fputs("\\-", stdout);
		else if (*s == '\\')
			fputs("\\e", stdout);
		else
			putchar(*s);
		begins = *s == '\n';
	}
}

static void
bold(const char *s)
{
	fputs("\\fB", stdout);
	text(s);
	fputs("\\fP", stdout);
}

static void
section(const char *name)
{
	printf(".SH %s\n", name);
}

/* Lines that stand as they are. */
static void
block(const char *s)
{
	puts(".nf");
	text(s);
	puts(".fi");
}

static void
options(const struct cli_option *o)
{
	for (; o && o->name; o++) {
		puts(".TP");
		fputs("\\fB\\-\\-", stdout);
		text(o->name);
		fputs("\\fP", stdout);
		if (o->arg) {
			fputs(" \\fI", stdout);
			text(o->arg);
			fputs("\\fP", stdout);
		}
		putchar('\n');
		text(o->help);
		putchar('\n');
	}
}

static void
subcommands(const struct cli_command *c)
{
	section("SUBCOMMANDS");
	for (; c->name; c++) {
		fputs(".SS \"", stdout);
		text(c->name);
		if (*c->args)
			putchar(' ');
		text(c->args);
		puts("\"");
		printf("%c", toupper((unsigned char)c->help[0]));
		text(c->help + 1);
		puts(".");
		options(c->options);
		if (c->more) {
			puts(".PP");
			block(c->more);
		}
	}
}

static void
exit_codes(void)
{
	section("EXIT STATUS");
#define X(name, number, meaning) \
	puts(".TP"); \
	bold(#number); \
	putchar('\n'); \
	text(meaning); \
	putchar('\n');
	CLI_EXIT_LIST(X)
#undef X
}

static const struct {
	const char *name, *says;
} environment[] = {
	{ "HOLDFAST_SERVER", "the server to ask, HOST:PORT, when --server does not name one" },
	{ "HOLDFAST_EVENTS", "the gate to post to and to ask, HOST:PORT, when --events does not name one" },
};

static const char output_text[] =
    "What is asked for goes to stdout; everything said about it (errors, hints, the progress bar) goes to stderr. "
    "With --json, stdout is one JSON object, also for a refusal; of scan and watch it is one object a line. "
    "An id or a ref that is made up is shown on stderr before it is sent, and with --json in the object, be it an answer or an error: "
    "give it with --id or --ref to repeat a command whose answer was lost. "
    "Colours are not used; the bar is drawn only for a terminal.\n";

static const char examples[] =
    "  printf 'kind,sku,location,qty\\nreceipt,APPLE,ST-0001,12\\n' | holdfast post - --source demo --number-from 1\n"
    "  holdfast ats APPLE ST-0001\n"
    "  holdfast reserve APPLE ST-0001 2 --id order-1 --ttl 10m\n"
    "  holdfast commit order-1\n"
    "  holdfast scan --snapshot --out stock.csv\n";

static void
page_of_holdfast(const struct cli *cli)
{
	section("DESCRIPTION");
	text(output_text);
	subcommands(cli->commands);
	exit_codes();
	section("ENVIRONMENT");
	for (size_t i = 0; i < sizeof environment / sizeof *environment; i++) {
		puts(".TP");
		bold(environment[i].name);
		putchar('\n');
		text(environment[i].says);
		putchar('\n');
	}
	section("EXAMPLES");
	block(examples);
}

static void
page(const struct cli *cli, const struct program *all, int which)
{
	const struct program *p = &all[which];
	char upper[32] = "";
	for (size_t i = 0; p->name[i] && i < sizeof upper - 1; i++)
		upper[i] = (char)toupper((unsigned char)p->name[i]);
	printf(".TH %s %d %s \"Holdfast %s\" \"Holdfast\"\n.nh\n.ad l\n", upper, p->section, PAGE_DATE, CLI_VERSION);
	section("NAME");
	text(p->name);
	fputs(" \\- ", stdout);
	const char *end = strstr(p->about, ". "); /* one sentence is enough there */
	for (const char *at = p->about; at != end && *at; at++)
		putchar(*at);
	putchar('\n');
	section("SYNOPSIS");
	bold(p->name);
	putchar(' ');
	text(p->usage);
	putchar('\n');
	if (end) {
		section("DESCRIPTION");
		text(end + 2);
		puts(".");
	}
	if (which == 0)
		page_of_holdfast(cli);
	section("OPTIONS");
	if (which == 0)
		puts("Before or after the subcommand:");
	options(p->options);
	if (p->more) {
		section("NOTES");
		block(p->more);
	}
	section("SEE ALSO");
	for (int i = 0, n = 0; i < PROGRAMS; i++)
		if (i != which) {
			fputs(n++ ? ", " : "", stdout);
			bold(all[i].name);
			printf("(%d)", all[i].section);
		}
	putchar('\n');
}

int
cli_man(struct cli *cli, int argc, char **argv)
{
	const struct program *all = programs(cli);
	if (argc > 1)
		return cli_usage(cli, "one page at a time");
	for (int i = 0; i < PROGRAMS; i++)
		if (argc == 0 || strcmp(argv[0], all[i].name) == 0) {
			page(cli, all, i);
			return CLI_OK;
		}
	return cli_usage(cli, "there is no page '%s': holdfast, holdfastd, holdfast-gate or holdfast-bench", argv[0]);
}
