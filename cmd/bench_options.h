/*
 * bench_options.h: the command line of holdfast-bench: its commands and options, each once, in two tables. Parsing, --help, the manual and
 * completion read them. The keys of a scenario stand in bench/rehearse_scenario.c. One thread, at start.
 */
#ifndef HOLDFAST_CMD_BENCH_OPTIONS_H
#define HOLDFAST_CMD_BENCH_OPTIONS_H

#include "cmd/options.h"

#define BENCH_VERSION "holdfast-bench 0.1"
#define BENCH_SETS_MAX 64

enum bench_command_kind { BENCH_LIST, BENCH_SHOW, BENCH_KEYS, BENCH_RUN, BENCH_CAPACITY, BENCH_REPLAY, BENCH_PAGE };

struct bench_options {
	enum bench_command_kind command;
	const char *subject; /* the scenario or the file; NULL: none */
	const char *sets[BENCH_SETS_MAX]; /* name=value of the scenario */
	uint32_t sets_n;
	const char *json, *page, *server, *events, *runs; /* NULL: not given */
	double p99_ms, speed, stock;
	bool quiet;
	bool help, version; /* asked for instead of a command */
};

struct bench_command {
	const char *name, *arg; /* arg NULL: takes none */
	enum bench_command_kind kind;
	const char *help;
};
/* Each ends with a row whose name is NULL. */
extern const struct bench_command bench_commands[];
extern const struct option_row bench_option_rows[];
extern const char bench_options_about[], bench_options_more[];

/* 0; -1: why. The texts borrow from argv. */
int bench_options_read(struct bench_options *, int argc, char **argv, struct why *);
/* The page of --help. */
void bench_options_help(FILE *);

#endif
