/*
 * gate_options.h: every option of holdfast-gate, once, in one table: its name, kind, bounds, default and help. Parsing, --help, the man
 * page and shell completion read it; a new option is a row here and a field of the struct. One thread, at start.
 */
#ifndef HOLDFAST_CMD_GATE_OPTIONS_H
#define HOLDFAST_CMD_GATE_OPTIONS_H

#include "cmd/options.h"

#define GATE_VERSION "holdfast-gate 0.1"

struct gate_options {
	const char *server, *events, *push, *feed; /* push, feed: a gate on another port than the default has none unless asked */
	const char *port_file; /* NULL: none */
	int64_t port_fd, life_fd; /* -1: none */
	const char *spool; /* NULL: none */
	int64_t spool_bytes_max, drain_rate;
	bool die_with_parent, no_guardian;
	bool help, version; /* asked for instead of a gate */
};

enum gate_option_kind {
	GATE_OPTION_FLAG, /* a bool */
	GATE_OPTION_TEXT, /* a const char * */
	GATE_OPTION_NUMBER, /* an int64_t: plain digits */
	GATE_OPTION_SIZE, /* an int64_t of bytes: digits, perhaps K, M or G behind them */
};

struct gate_option {
	struct option_row option;
	enum gate_option_kind kind;
	size_t offset; /* in struct gate_options */
	int64_t low, high; /* of a number or size */
};

/* Ends with a row without a name. */
extern const struct gate_option gate_option_rows[];
/* What stands below the options, on the page of --help and in the manual. */
extern const char gate_options_about[], gate_options_more[];

/* Defaults, then argv. 0; -1: why. The texts borrow from argv. */
int gate_options_read(struct gate_options *, int argc, char **argv, struct why *);
/* The page of --help. */
void gate_options_help(FILE *);

#endif
