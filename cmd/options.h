/*
 * options.h: the long options of a program, from a table: reading argv, and the page of --help. What a value means is the program's own.
 * One thread, at start.
 */
#ifndef HOLDFAST_CMD_OPTIONS_H
#define HOLDFAST_CMD_OPTIONS_H

#include "core/base.h"

#include <stdio.h>

#define OPTIONS_MAX 40

struct option_row {
	const char *name, *arg; /* as in --name ARG; arg NULL: a flag */
	const char *otherwise; /* the default as one would type it; NULL: none */
	const char *help;
};

struct option_table {
	const void *rows; /* each begins with a struct option_row; at most OPTIONS_MAX, then one whose name is NULL */
	size_t row_bytes;
	/* Puts a value (NULL: of a flag) into the program's struct. 0; -1: why. Borrows the text. */
	int (*set)(void *options, int row, const char *value, struct why *);
};

/* Sets the defaults, then what argv says. The index of the first word that is no option; -1: why. */
int options_read(const struct option_table *, void *options, int argc, char **argv, struct why *);
/* A line each; `width` columns for what stands left. */
void options_help(const struct option_table *, int width, FILE *);

#endif
