/*
 * holdfast_out.h: an output that is whole or not there: stdout, or a file that is written beside its place and renamed at the end. What
 * stood there before stays until then.
 */
#ifndef HOLDFAST_CMD_HOLDFAST_OUT_H
#define HOLDFAST_CMD_HOLDFAST_OUT_H

#include "core/base.h"

#include <stdio.h>

#define OUT_PATH_BYTES 4096

struct out {
	FILE *file;
	char path[OUT_PATH_BYTES]; /* "": stdout */
	char draft[OUT_PATH_BYTES + 32]; /* "": none on the disk */
};

/* path NULL: stdout. -1: *why says what is wrong with the place, nothing was made. */
int out_open(struct out *, const char *path, struct why *);
/* Puts it into its place. -1: *why, and nothing is left of it; what stood there still stands. */
int out_keep(struct out *, struct why *);
/* Gives it up. Harmless after out_keep(), and on a zeroed struct. */
void out_drop(struct out *);
/* The same from a signal handler, for a program that ends at once. */
void out_drop_now(const struct out *);

#endif
