/* bench_options.c: the two tables and the way into them. The contract is in bench_options.h. */
#include "cmd/bench_options.h"

#include <math.h>
#include <stdlib.h>

const struct bench_command bench_commands[] = {
	{ "list", NULL, BENCH_LIST, "the scenarios that are shipped" },
	{ "show", "SCENARIO", BENCH_SHOW, "a scenario's text: copy it, change it, run it" },
	{ "keys", NULL, BENCH_KEYS, "every key of a scenario: what it means, bounds, default" },
	{ "run", "SCENARIO", BENCH_RUN, "play it and judge it" },
	{ "capacity", "SCENARIO", BENCH_CAPACITY, "find the highest rate of shoppers that keeps --p99, and what gave way first" },
	{ "replay", "FILE", BENCH_REPLAY, "play recorded orders (CSV: ts,txn,sku,loc,qty,kind; may be gzipped) at --speed" },
	{ "page", "FILE", BENCH_PAGE, "make the HTML page of a report that --json wrote, to stdout or --page" },
	{ NULL, NULL, BENCH_LIST, NULL },
};

enum { OPTION_SET, OPTION_RUNS, OPTION_JSON, OPTION_PAGE, OPTION_SERVER, OPTION_EVENTS, OPTION_P99, OPTION_SPEED, OPTION_STOCK, OPTION_QUIET,
	OPTION_HELP, OPTION_VERSION };

const struct option_row bench_option_rows[] = {
	[OPTION_SET] = { "set", "NAME=VALUE", NULL, "change a key of the scenario (repeatable)" },
	[OPTION_RUNS] = { "runs", "N", NULL, "the same as --set runs=N" },
	[OPTION_JSON] = { "json", "FILE", NULL, "write the whole report there" },
	[OPTION_PAGE] = { "page", "FILE", NULL, "write the report as one HTML page there, with plots, to send to a colleague" },
	[OPTION_SERVER] = { "server", "HOST:PORT", NULL, "a server that runs already, instead of one of its own; names of its own are left there" },
	[OPTION_EVENTS] = { "events", "HOST:PORT", NULL, "that server's gate, when the scenario has tills" },
	[OPTION_P99] = { "p99", "MS", "10", "capacity: the p99 of holds that is to be kept, in ms" },
	[OPTION_SPEED] = { "speed", "N", "60", "replay: so many times as fast as recorded" },
	[OPTION_STOCK] = { "stock", "SHARE", "1", "replay: opening stock, in what the file needs so that nobody is refused" },
	[OPTION_QUIET] = { "quiet", NULL, NULL, "no progress on the terminal" },
	[OPTION_HELP] = { "help", NULL, NULL, "this page" },
	[OPTION_VERSION] = { "version", NULL, NULL, "the version" },
	{ NULL, NULL, NULL, NULL },
};

const char bench_options_about[] = "rehearses a sale against a Holdfast server and judges it by the clients' own records";

const char bench_options_more[] =
    "SCENARIO is the name of a shipped one, or a file. Unless --server is given, a server is started for it in a temporary folder, on free\n"
    "loopback ports, and removed. Ctrl-C ends with the report so far.\n"
    "exit: 0 the verdict is good, 1 it is not (or not complete; of capacity: no rate keeps the p99), 2 wrong usage or a fault in the scenario,\n"
    "3 the server cannot be started or reached, 7 a file cannot be read or written\n";

static bool
figure(const char *text, double *v)
{
	char *end;
	*v = strtod(text, &end);
	return end != text && !*end && isfinite(*v) && *v > 0;
}

static int
option_set(void *to_fill, int which, const char *value, struct why *why)
{
	struct bench_options *o = to_fill;
	double *const to = which == OPTION_P99 ? &o->p99_ms : which == OPTION_SPEED ? &o->speed : &o->stock;
	switch (which) {
	case OPTION_SET:
		if (o->sets_n == BENCH_SETS_MAX) {
			snprintf(why->text, sizeof why->text, "more than %d --set", BENCH_SETS_MAX);
			return -1;
		}
		o->sets[o->sets_n++] = value;
		return 0;
	case OPTION_RUNS: o->runs = value; return 0;
	case OPTION_JSON: o->json = value; return 0;
	case OPTION_PAGE: o->page = value; return 0;
	case OPTION_SERVER: o->server = value; return 0;
	case OPTION_EVENTS: o->events = value; return 0;
	case OPTION_QUIET: o->quiet = true; return 0;
	case OPTION_HELP: o->help = true; return 0;
	case OPTION_VERSION: o->version = true; return 0;
	}
	if (figure(value, to))
		return 0;
	snprintf(why->text, sizeof why->text, "--%s: '%s' is no number above 0", bench_option_rows[which].name, value);
	return -1;
}

static int
command_set(struct bench_options *o, int n, char **words, struct why *why)
{
	const struct bench_command *c = bench_commands;
	while (n > 0 && c->name && strcmp(c->name, words[0]) != 0)
		c++;
	if (n == 0)
		snprintf(why->text, sizeof why->text, "what is to be done? 'holdfast-bench list' shows the scenarios, --help the rest");
	else if (!c->name)
		snprintf(why->text, sizeof why->text, "there is no command '%.100s'; --help lists them", words[0]);
	else if ((n > 1) != (c->arg != NULL) || n > 2)
		snprintf(why->text, sizeof why->text, "'%s' takes %s", c->name, c->arg ? c->arg : "no argument");
	else if (o->events && !o->server)
		snprintf(why->text, sizeof why->text, "--events goes with --server");
	else {
		o->command = c->kind;
		o->subject = n > 1 ? words[1] : NULL;
		return 0;
	}
	return -1;
}

static const struct option_table options = { bench_option_rows, sizeof *bench_option_rows, option_set };

int
bench_options_read(struct bench_options *o, int argc, char **argv, struct why *why)
{
	*o = (struct bench_options){ .command = BENCH_LIST };
	int words = options_read(&options, o, argc, argv, why);
	if (words < 0)
		return -1;
	return o->help || o->version ? 0 : command_set(o, argc - words, argv + words, why);
}

void
bench_options_help(FILE *out)
{
	char left[64];
	fprintf(out, "%s: %s\n\nusage: holdfast-bench COMMAND [OPTIONS]\n\n", BENCH_VERSION, bench_options_about);
	for (const struct bench_command *c = bench_commands; c->name; c++) {
		snprintf(left, sizeof left, "%s %s", c->name, c->arg ? c->arg : "");
		fprintf(out, "  %-20s %s\n", left, c->help);
	}
	fputs("\n", out);
	options_help(&options, 20, out);
	fprintf(out, "\n%s", bench_options_more);
}
