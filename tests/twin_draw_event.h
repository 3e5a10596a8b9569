/*
 * twin_draw_event.h: what the two files of the drawer share. Nobody else includes it.
 */
#ifndef HOLDFAST_TESTS_TWIN_DRAW_EVENT_H
#define HOLDFAST_TESTS_TWIN_DRAW_EVENT_H

#include "tests/twin_draw.h"

/* Makes the next draws a function of (seed, a, b, c); answers the state to put back. */
uint64_t draw_fork(struct draw *, uint64_t a, uint64_t b, uint64_t c);
/* Copies bytes into the step's arena. */
struct bytes draw_keep(struct draw *, const void *, size_t n);
void draw_event_command(struct draw *, struct command *);
void draw_skip(struct draw *, struct command *);

#endif
