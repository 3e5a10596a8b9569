/*
 * scale.h: what the measurements of size, of the image's writing and of a long run share.
 *
 *   scale_flow.c    a client: reserves in a closed loop, or commands that close what they open in an open one
 *   scale_fill.c    cells by the million, as a stock-taking that is posted
 *   scale_watch.c   a thread that asks a running server and its files how they are, twice a second
 *   scale_sizes.c, scale_image.c, scale_soak.c   the measurements, each a page of Markdown on stdout and figures for a plot
 *
 * A cell's number c stands for SKU c / SCALE_LOCATIONS at location c % SCALE_LOCATIONS.
 */
#ifndef HOLDFAST_BENCH_SCALE_H
#define HOLDFAST_BENCH_SCALE_H

#include "bench/histogram.h"
#include "core/base.h"
#include "holdfast/holdfast.h"
#include "tests/spawn.h"

#include <stdio.h>

#define SCALE_LOCATIONS 100
#define SCALE_UNITS 2000000000 /* of stock in each cell: every hold is granted */
#define SKU_DIGITS 8
#define LOCATION_DIGITS 2
#define ID_DIGITS 16

/* Says it and ends, with the server that runs. */
_Noreturn void scale_die(const char *format, ...) __attribute__((format(printf, 1, 2)));
void scale_say(const char *format, ...) __attribute__((format(printf, 1, 2))); /* progress, to stderr */
extern const char *scale_out; /* folder for figures to plot */
FILE *scale_figures(const char *name); /* opens scale_out/name to write */
bool scale_verdict(bool holds, const char *what); /* prints it as a line of the page; holds */

/* Writes digits, hex or decimal, without a terminator. */
static inline void
digits_patch(uint8_t *to, int digits, uint64_t v, unsigned base)
{
	for (int i = digits - 1; i >= 0; i--, v /= base)
		to[i] = (uint8_t)"0123456789abcdef"[v % base];
}

/* ---- scale_flow.c ---- */

enum flow_command { FLOW_RESERVE, FLOW_COMMIT, FLOW_RELEASE, FLOW_FULFIL, FLOW_COMMANDS };

struct flow_options {
	uint16_t port;
	uint32_t connections;
	uint32_t in_flight; /* closed loop: requests under way on each connection; 0: open loop */
	double rate; /* open loop: commands a second */
	bool closes; /* open loop: three of five holds are committed and fulfilled, one of four is released, the rest expires */
	uint64_t cells, limit; /* limit: reserves in all; 0: none */
	int64_t ttl_ms;
};

struct flow_figures {
	uint64_t sent[FLOW_COMMANDS], answers, refused;
	char code[32]; /* of the first refusal */
	struct histogram waited;
};

struct flow;
/* Connects; the open loop's clock starts. */
struct flow *flow_open(const struct flow_options *);
/* Goes on for so long, or until the limit is reached and answered. What is answered meanwhile is added to *to. */
void flow_run(struct flow *, double seconds, struct flow_figures *to);
/* Takes the answers that are missing (20 s at most), closes. How many never came. */
uint64_t flow_close(struct flow *, struct flow_figures *to);

/* ---- scale_fill.c ---- */

/* Posts SCALE_UNITS for each of the cells as a count. Seconds it took. */
double scale_fill(uint16_t port, uint64_t cells);

/* ---- scale_watch.c ---- */

struct sight {
	double at_s; /* since the watch began */
	uint64_t position, durable, image; /* positions */
	double lag_s; /* how long ago `durable` was what `image` is now */
	uint64_t journal_bytes, image_bytes;
	uint64_t anon_bytes, file_bytes; /* resident memory of its own; resident pages of the image's file, which the kernel may take back */
	uint64_t commits;
};

struct watch;
struct watch *watch_open(const struct server *);
/* One look, now; not while the thread runs. */
void watch_look(struct watch *, struct sight *);
/* Waits until all that is durable now is in the image, at most so long. Seconds waited. The same. */
double watch_image(struct watch *, double most_s);
#define WATCH_IMAGE_S 600.0
/* A thread looks twice a second from now on, once in a watch's life. */
void watch_start(struct watch *);
/* Its sights so far. */
uint32_t watch_sights(const struct watch *, const struct sight **);
void watch_stop(struct watch *);
void watch_close(struct watch *);

/* ---- the measurements: 0, or 1 when a bound is broken ---- */
int scale_sizes(int argc, char **argv);
int scale_image(int argc, char **argv);
int scale_soak(int argc, char **argv);

/* Starts the server with these options besides the usual ones of a measurement; dies when it does not start. */
void scale_server(struct server *, const char *const *options);
extern struct server scale_running; /* the one that scale_die() ends */

#endif
