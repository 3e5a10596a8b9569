/* options.c: getopt_long() over a table. The contract is in options.h. */
#include "cmd/options.h"

#include <getopt.h>

static const struct option_row *
row_at(const struct option_table *t, int n)
{
	const struct option_row *row = (const void *)((const uint8_t *)t->rows + (size_t)n * t->row_bytes);
	return row->name ? row : NULL;
}

int
options_read(const struct option_table *t, void *options, int argc, char **argv, struct why *why)
{
	struct option table[OPTIONS_MAX + 1] = { { 0 } };
	const struct option_row *row;
	int got;
	for (int n = 0; (row = row_at(t, n)); n++) {
		ensure(n < OPTIONS_MAX);
		table[n] = (struct option){ row->name, row->arg ? required_argument : no_argument, NULL, n + 1 };
		if (row->otherwise && t->set(options, n, row->otherwise, why) < 0)
			return -1;
	}
	opterr = 0;
	while ((got = getopt_long(argc, argv, ":", table, NULL)) != -1) {
		if (got == '?' || got == ':') {
			snprintf(why->text, sizeof why->text, got == ':' ? "%.200s needs a value" : "there is no option %.200s; --help lists them",
			    argv[optind - 1]);
			return -1;
		}
		if (t->set(options, got - 1, optarg, why) < 0)
			return -1;
	}
	return optind;
}

void
options_help(const struct option_table *t, int width, FILE *out)
{
	const struct option_row *row;
	char left[64];
	for (int n = 0; (row = row_at(t, n)); n++) {
		snprintf(left, sizeof left, "--%s%s%s", row->name, row->arg ? " " : "", row->arg ? row->arg : "");
		fprintf(out, "  %-*s %s%s%s%s\n", width, left, row->help, row->otherwise ? " (" : "", row->otherwise ? row->otherwise : "",
		    row->otherwise ? ")" : "");
	}
}
