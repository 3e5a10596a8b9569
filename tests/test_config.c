/* test_config.c: the table of options: defaults, flags, file, bounds, and that names agree with the engine's. */
#include "tests/check.h"

#include "net/config.h"

#include <unistd.h>

static struct config config;
static struct why why;

static int
read_args(const char *a, const char *b, const char *c, const char *d)
{
	char *argv[] = { (char *)(uintptr_t)"holdfastd", (char *)(uintptr_t)a, (char *)(uintptr_t)b, (char *)(uintptr_t)c,
		(char *)(uintptr_t)d, NULL };
	int argc = 1;
	while (argc < 5 && argv[argc])
		argc++;
	return config_read(&config, argc, argv, &why);
}

/* A file with this text; its name is static. */
static const char *
file_of(const char *text)
{
	static char path[256];
	const char *tmp = getenv("TMPDIR");
	snprintf(path, sizeof path, "%s/holdfast-config-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	int fd = mkstemp(path);
	FILE *f = fdopen(fd, "w");
	fputs(text, f);
	fclose(f);
	return path;
}

/* Field by field: between them lies padding. */
static int
limits_equal(const struct engine_limits *a, const struct engine_limits *b)
{
	return a->cells_max == b->cells_max && a->skus_max == b->skus_max && a->locations_max == b->locations_max &&
	    a->sources_max == b->sources_max && a->channels_max == b->channels_max && a->groups_max == b->groups_max &&
	    a->reservations_max == b->reservations_max && a->extra_lines_max == b->extra_lines_max && a->blobs_max == b->blobs_max &&
	    a->quarantine_max == b->quarantine_max && a->history_max == b->history_max && a->free_ids_max == b->free_ids_max;
}

static void
without_arguments_the_defaults_are_in_force(void)
{
	struct engine_limits expected = ENGINE_LIMITS_DEFAULT;
	check_equal(read_args(NULL, NULL, NULL, NULL), 0);
	check(strcmp(config.listen, "127.0.0.1:7400") == 0);
	check(strcmp(config.events, "127.0.0.1:7401") == 0);
	check(strcmp(config.http, "127.0.0.1:7404") == 0);
	check_equal(config.loops, 1);
	check(limits_equal(&config.limits, &expected));
	for (int i = 0; i < OPTION_HISTORY_MAX; i++)
		check_equal(config.engine.value[i], engine_options_default.value[i]);
}

static void
every_engine_option_has_a_row_of_its_name(void)
{
	check_equal(read_args(NULL, NULL, NULL, NULL), 0);
	for (int i = 0; i < OPTION_COUNT; i++) {
		char value[32];
		snprintf(value, sizeof value, "%d", i == OPTION_CREATE_UNKNOWN ? 0 : 5000 + i);
		check_equal(config_set(&config, option_name((enum option)i), value, &why), 0);
		if (i < OPTION_HISTORY_MAX)
			check_equal(config.engine.value[i], i == OPTION_CREATE_UNKNOWN ? 0 : 5000 + i);
	}
	check_equal(config.limits.history_max, 5000 + OPTION_HISTORY_MAX);
	check_equal(config.limits.free_ids_max, 5000 + OPTION_FREE_IDS_MAX);
}

static void
port_0_of_the_server_makes_0_the_default_of_the_others(void)
{
	check_equal(read_args("--listen", "127.0.0.1:0", NULL, NULL), 0);
	check(strcmp(config.events, "127.0.0.1:0") == 0);
	check(strcmp(config.http, "127.0.0.1:0") == 0);
	check_equal(read_args("--listen", "127.0.0.1:0", "--http", "127.0.0.1:99"), 0);
	check(strcmp(config.http, "127.0.0.1:99") == 0);
	check_equal(read_args("--listen", "127.0.0.1:9", NULL, NULL), 0);
	check(strcmp(config.http, "127.0.0.1:7404") == 0);
}

static void
flags_win_over_the_file_and_the_file_over_defaults(void)
{
	const char *file = file_of("# a comment\nnode = shop-1\ncells_max = 4000\nttl-default-ms = 2m\n");
	check_equal(read_args("--node=shop-2", "--config", file, NULL), 0);
	unlink(file);
	check(strcmp(config.node, "shop-2") == 0);
	check_equal(config.limits.cells_max, 4000);
	check_equal(config.engine.value[OPTION_TTL_DEFAULT_MS], 120000);
	check_equal(config.loops, 1);
}

static void
what_is_wrong_is_named(void)
{
	static const struct {
		const char *a, *b, *sentence;
	} rows[] = {
		{ "--nodes", "x", "no option 'nodes'" },
		{ "node", NULL, "'node' is no option" },
		{ "--node", NULL, "--node needs a value" },
		{ "--loops", "0", "loops: '0' is no number from 1 to 16" },
		{ "--loops", "two", "loops: 'two'" },
		{ "--cells-max", "3000000000", "cells-max" },
		{ "--segment-bytes", "1M", "segment-bytes: '1M' is no size (as in 64M) from 16M to 1T" },
		{ "--segment-bytes", "64X", "segment-bytes" },
		{ "--history-bytes", "99999999T", "history-bytes" },
		{ "--ttl-max-ms", "1s", "ttl-default-ms is greater" },
		{ "--listen", "7400", "HOST:PORT" },
		{ "--listen", "127.0.0.1:70000", "HOST:PORT" },
		{ "--listen", "127.0.0.1:", "HOST:PORT" },
		{ "--config", "/nowhere/at/all", "cannot read /nowhere/at/all" },
		{ "--config", "/", "cannot read /" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		check_equal(read_args(rows[i].a, rows[i].b, NULL, NULL), -1);
		check(strstr(why.text, rows[i].sentence));
	}
}

#define LONG "a line longer than what the parser keeps of one, which must neither end up as two lines nor be cut off in silence: " \
	"twohundredtwohundredtwohundredtwohundredtwohundredtwohundredtwohundredtwohundredtwohundredtwohundred"

static void
a_wrong_line_of_the_file_is_named(void)
{
	static const struct {
		const char *text, *sentence;
	} rows[] = {
		{ "node = a\nloops = 99\n", "line 2: loops: '99'" },
		{ "\n\nnodes = a\n", "line 3: there is no option 'nodes'" },
		{ "[server]\nnode = a\n", "no sections" },
		{ "node\n", "line 1" },
		{ "node = a\nno pair\nloops = 99\n", "line 2: not 'name = value'" },
		{ "node = a\n  loops = 99\n", "line 2: loops: '99'" },
		{ "# " LONG "\n\n; a comment\nloops = 99\n", "line 4: loops: '99'" },
		{ "node = a\ndata = " LONG "\n", "line 2: too long; give that option as a flag" },
		{ "node = a\n\n[server]\nloops = 1\n", "line 4: there are no sections, but this is below '[server]'" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *file = file_of(rows[i].text);
		check_equal(read_args("--config", file, NULL, NULL), -1);
		unlink(file);
		check(strstr(why.text, rows[i].sentence));
	}
}

static void
what_is_printed_can_be_read_again(void)
{
	static struct config first;
	char *text = NULL;
	size_t n = 0;
	check_equal(read_args("--node", "x", "--journal-bytes-max", "7G"), 0);
	first = config;
	FILE *out = open_memstream(&text, &n);
	config_print(&config, out);
	fclose(out);
	const char *file = file_of(text);
	free(text);
	check_equal(read_args("--config", file, NULL, NULL), 0);
	unlink(file);
	check(strcmp(config.node, "x") == 0);
	check_equal(config.journal_bytes_max, UINT64_C(7) << 30);
	check(limits_equal(&config.limits, &first.limits));
	check(memcmp(&config.engine, &first.engine, sizeof first.engine) == 0);
}

static void
help_shows_every_option(void)
{
	char *text = NULL, flag[80];
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);
	config_help(out);
	fclose(out);
	for (unsigned i = 0; config_name(i); i++) {
		snprintf(flag, sizeof flag, "  --%s ", config_name(i));
		if (!strstr(text, flag))
			printf("%s is missing\n", flag);
		check(strstr(text, flag));
	}
	free(text);
}

static const struct check tests[] = {
	CHECK(without_arguments_the_defaults_are_in_force),
	CHECK(every_engine_option_has_a_row_of_its_name),
	CHECK(port_0_of_the_server_makes_0_the_default_of_the_others),
	CHECK(flags_win_over_the_file_and_the_file_over_defaults),
	CHECK(what_is_wrong_is_named),
	CHECK(a_wrong_line_of_the_file_is_named),
	CHECK(what_is_printed_can_be_read_again),
	CHECK(help_shows_every_option),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv);
}
