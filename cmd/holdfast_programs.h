/*
 * holdfast_programs.h: the programs in one shape, for the manual and completion: what each is, its options out of its own table,
 * what its page says besides. The subcommands of `holdfast` are in struct cli.
 */
#ifndef HOLDFAST_CMD_HOLDFAST_PROGRAMS_H
#define HOLDFAST_CMD_HOLDFAST_PROGRAMS_H

#include "cmd/holdfast_cli.h"

#define PROGRAMS 4
#define PROGRAM_OPTIONS_MAX 100

struct program {
	const char *name, *about, *usage; /* usage: behind the name */
	int section; /* of the manual */
	const char *more; /* NULL: nothing */
	const struct cli_option *options; /* help has the default in brackets */
	const char *commands; /* the words that may come first, of `holdfast` those in struct cli; NULL: none. A file may follow */
};

/* 0: holdfast, 1: holdfastd, 2: holdfast-gate, 3: holdfast-bench. Static; filled anew by each call. */
const struct program *programs(const struct cli *);

enum arg_kind { ARG_OTHER, ARG_WORDS, ARG_FILE, ARG_DIR };
/* What an argument is, told by its name in a table: "FILE", "DIR", "csv|jsonl" (the words, apart by spaces, into words[256]). */
enum arg_kind arg_kind(const char *arg, char words[256]);

#endif
