/*
 * holdfast_bar.h: the progress bar of whatever takes long: one line on stderr, drawn over itself at most ten times a second, never wider than
 * the terminal; nothing at all where no terminal looks on (or one that cannot move back: TERM=dumb).
 */
#ifndef HOLDFAST_CMD_HOLDFAST_BAR_H
#define HOLDFAST_CMD_HOLDFAST_BAR_H

#include <stdbool.h>
#include <stdint.h>

struct bar {
	const char *unit; /* "rows"; or the phase: "copying" */
	bool wanted, visible; /* a terminal looks on; a line of ours stands there now */
	int64_t begun_us, drawn_us;
};

/* wanted false: never draws, only keeps the time. */
void bar_begin(struct bar *, const char *unit, bool wanted);
/* n: units done so far, of which `fresh` make the rate. share: of the whole, 0 to 1, or -1: nobody knows. */
void bar_draw(struct bar *, double share, uint64_t n, uint64_t fresh);
/* For a struct progress (persist/progress.h) whose context is the bar: shows the phase and how far it is. */
void bar_tell(void *bar, const char *phase, double share);
/* Takes the line away, so that something else can be said there. */
void bar_clear(struct bar *);
/* Since bar_begin(); above 0. */
double bar_seconds(const struct bar *);

#endif
