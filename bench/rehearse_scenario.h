/*
 * rehearse_scenario.h: what is rehearsed: a text file of 'name = value' lines in sections (INI, read by inih), as a plain struct. Every key
 * stands once, in the table of rehearse_scenario.c: section, name, kind, bounds, default, help. Functions begin with scenario_.
 *
 * One thread.
 */
#ifndef HOLDFAST_BENCH_REHEARSE_SCENARIO_H
#define HOLDFAST_BENCH_REHEARSE_SCENARIO_H

#include "core/base.h"

#include <stdio.h>

#define SCENARIO_TEXT_MAX 160 /* of a value that is a text */
#define SCENARIO_BYTES_MAX 65536 /* of a file */
#define SHARES_MAX 48
#define TILLS_MAX 1000
#define CONNECTIONS_MAX 1000

enum curve { CURVE_STEADY, CURVE_RAMP, CURVE_SPIKE, CURVE_WAVES, CURVE_SHAPE };

struct shares {
	double at[SHARES_MAX];
	uint32_t n;
};

struct scenario {
	char name[64]; /* the file's, without folder and ending */
	char text[SCENARIO_BYTES_MAX]; /* the file as it was read */
	char about[SCENARIO_TEXT_MAX];
	/* stock */
	int64_t skus, locations, units, by_demand;
	double zipf, location_zipf, hot_share;
	int64_t hot_skus;
	/* shoppers */
	int64_t shoppers;
	double looking, commit, cancel, fulfil, pressed_twice;
	int64_t read_cells, hold_ms, think_ms, patience_ms;
	struct shares basket, quantity;
	/* tills */
	int64_t tills, till_lines;
	double till_events, returns;
	/* arrivals */
	int64_t curve, duration_ms, warm_up_ms, waves, closed;
	double peak;
	struct shares shape;
	/* the run */
	int64_t connections, in_flight, runs, seed, loops;
};

/* All defaults, no name. */
void scenario_init(struct scenario *);
/*
 * Reads a file over the defaults. where: a path, or the name of a shipped scenario. 0; -1: *why names the file's line, or says what scenarios
 * there are.
 */
int scenario_read(struct scenario *, const char *where, struct why *);
/* "name=value" of the command line. -1: *why. */
int scenario_set(struct scenario *, const char *pair, struct why *);
/* Keys that must fit each other. -1: *why. */
int scenario_check(const struct scenario *, struct why *);

/* The i-th key: its name, and its value as one would type it, into value[SCENARIO_TEXT_MAX]. NULL: behind the last. */
const char *scenario_value(const struct scenario *, unsigned i, char *value);
/* All keys with bounds, defaults and help. */
void scenario_help(FILE *);

/* The folder of the shipped ones into folder[n]: beside the program's folder when it is installed, or in the project's. false: there is none. */
bool scenario_folder(char *folder, size_t n);
/* Name and `about` of each shipped one, a line each. -1: *why. */
int scenario_list(FILE *, struct why *);

#endif
