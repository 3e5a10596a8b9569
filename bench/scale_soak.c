/*
 * scale_soak.c: a long steady load that closes what it opens, and whether anything grows. An open loop sends RATE commands a second:
 * holds, of which three of five are committed and fulfilled, one of four is released, the rest expires after two seconds. After a
 * warm-up (a tenth of the time, a minute at most) in which tables, rings and files reach their size, twenty windows are compared:
 *
 *   SK1 memory: no window's most is more than 5 % and 32 MB above that of the first window
 *   SK2 files: the same for journal and image together, with 10 % and 256 MB
 *   SK3 latency: the median p99 of the last five windows is at most twice that of the first five, or at most 10 ms
 *   SK4 the image keeps up: its greatest lag in the last five windows is at most 1.5 times that of the first five, and 5 s
 *   SK5 every command was answered, and none was refused; the load was sent as planned
 *
 * Few reservations are kept (--reservations-max), few deltas for counts (--history-max: each fulfilment leaves one) and little journal
 * (--history-bytes), so that all are full before the first window and their places are used again all the time; a run under three minutes is too short for that.
 */
#include "bench/scale.h"
#include "net/clock.h"

#include <inttypes.h>
#include <stdlib.h>

#define CELLS       1000000
#define HELD        "1000000"
#define HISTORY     "128M"
#define DELTAS      "1000000"
#define HOLD_TTL_MS 2000
#define CONNECTIONS 32
#define WINDOWS     20
#define EDGE        5 /* windows at either end that are compared */

struct window {
	struct flow_figures figures;
	uint64_t anon_bytes, files_bytes; /* the most */
	double lag_s;
};

static struct window windows[WINDOWS];

/* The sights of the window that ends now. */
static void
window_close(struct window *w, const struct sight *s, uint32_t n)
{
	for (; n-- > 0; s++) {
		uint64_t files = s->journal_bytes + s->image_bytes;
		w->anon_bytes = s->anon_bytes > w->anon_bytes ? s->anon_bytes : w->anon_bytes;
		w->files_bytes = files > w->files_bytes ? files : w->files_bytes;
		w->lag_s = s->lag_s > w->lag_s ? s->lag_s : w->lag_s;
	}
}

static int
ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double
edge_p99_ms(uint32_t first)
{
	double v[EDGE];
	for (uint32_t i = 0; i < EDGE; i++)
		v[i] = histogram_ms(&windows[first + i].figures.waited, .99);
	qsort(v, EDGE, sizeof *v, ascending);
	return v[EDGE / 2];
}

static double
edge_lag_s(uint32_t first)
{
	double most = 0;
	for (uint32_t i = first; i < first + EDGE; i++)
		most = windows[i].lag_s > most ? windows[i].lag_s : most;
	return most;
}

static void
table(double window_s)
{
	FILE *f = scale_figures("soak.tsv");
	fputs("# minutes, commands/s, p50 ms, p99 ms, p99.9 ms, memory MB, files MB, lag s\n", f);
	puts("| minutes | commands/s | p50 ms | p99 ms | p99.9 ms | memory MB | journal and image MB | image's lag s |");
	puts("|---|---|---|---|---|---|---|---|");
	for (uint32_t i = 0; i < WINDOWS; i++) {
		const struct window *w = &windows[i];
		double at = window_s * (i + 1) / 60, rate = (double)w->figures.answers / window_s;
		double p50 = histogram_ms(&w->figures.waited, .5), p99 = histogram_ms(&w->figures.waited, .99), p999 = histogram_ms(&w->figures.waited, .999);
		printf("| %.1f | %'.0f | %.2f | %.2f | %.2f | %.0f | %.0f | %.1f |\n", at, rate, p50, p99, p999, (double)w->anon_bytes / 1e6,
		    (double)w->files_bytes / 1e6, w->lag_s);
		fprintf(f, "%.3f\t%.0f\t%.3f\t%.3f\t%.3f\t%.1f\t%.1f\t%.2f\n", at, rate, p50, p99, p999, (double)w->anon_bytes / 1e6,
		    (double)w->files_bytes / 1e6, w->lag_s);
	}
	puts("");
	fclose(f);
}

static bool
judge(const struct flow_figures *whole, double rate, double window_s, uint64_t missing)
{
	uint64_t memory = 0, files = 0, answers = 0, refused = whole->refused;
	for (uint32_t i = 0; i < WINDOWS; i++) {
		memory = windows[i].anon_bytes > memory ? windows[i].anon_bytes : memory;
		files = windows[i].files_bytes > files ? windows[i].files_bytes : files;
		answers += windows[i].figures.answers;
		refused += windows[i].figures.refused;
	}
	double first_ms = edge_p99_ms(0), last_ms = edge_p99_ms(WINDOWS - EDGE), first_s = edge_lag_s(0), last_s = edge_lag_s(WINDOWS - EDGE);
	bool right = scale_verdict((double)memory <= (double)windows[0].anon_bytes * 1.05 + (32 << 20), "SK1 memory does not grow");
	right &= scale_verdict((double)files <= (double)windows[0].files_bytes * 1.1 + (256 << 20), "SK2 files do not grow");
	right &= scale_verdict(last_ms <= 2 * first_ms || last_ms <= 10, "SK3 latency does not grow");
	right &= scale_verdict(last_s <= 1.5 * first_s + 5, "SK4 the image keeps up with the journal");
	right &= scale_verdict(missing == 0 && refused == 0 && (double)answers >= .98 * rate * window_s * WINDOWS,
	    "SK5 every command was answered and none refused, at the rate that was planned");
	if (refused || missing)
		printf("  (%" PRIu64 " refused, %" PRIu64 " never answered)\n", refused, missing);
	return right;
}

int
scale_soak(int argc, char **argv)
{
	static struct flow_figures rest;
	double seconds = argc > 0 ? strtod(argv[0], NULL) : 1200, rate = argc > 1 ? strtod(argv[1], NULL) : 200000;
	double warm_s = seconds / 10 < 60 ? seconds / 10 : 60, window_s = (seconds - warm_s) / WINDOWS;
	if (seconds < 10 || rate < 100)
		scale_die("at least 10 s and 100 commands a second");
	scale_server(&scale_running, (const char *[]){ "--reservations-max", HELD, "--history-bytes", HISTORY, "--history-max", DELTAS, NULL });
	scale_fill(scale_running.rpc, CELLS);
	struct watch *w = watch_open(&scale_running);
	watch_image(w, WATCH_IMAGE_S);
	struct flow *f = flow_open(&(struct flow_options){ .port = scale_running.rpc, .connections = CONNECTIONS, .rate = rate, .closes = true, .cells = CELLS,
		.ttl_ms = HOLD_TTL_MS });
	watch_start(w);
	flow_run(f, warm_s, &rest);
	for (uint32_t i = 0; i < WINDOWS; i++) {
		const struct sight *sights;
		uint32_t from = watch_sights(w, &sights);
		flow_run(f, window_s, &windows[i].figures);
		window_close(&windows[i], sights + from, watch_sights(w, &sights) - from);
		scale_say("%4.0f s: %.0f commands/s, p99 %.2f ms, memory %.0f MB, files %.0f MB, lag %.1f s", warm_s + window_s * (i + 1),
		    (double)windows[i].figures.answers / window_s, histogram_ms(&windows[i].figures.waited, .99), (double)windows[i].anon_bytes / 1e6,
		    (double)windows[i].files_bytes / 1e6, windows[i].lag_s);
	}
	watch_stop(w);
	uint64_t missing = flow_close(f, &rest);
	printf("%.0f s at %'.0f commands a second, the first %.0f s not counted; %d connections, an open loop; %'d cells.\n\n", seconds, rate, warm_s, CONNECTIONS, CELLS);
	table(window_s);
	bool right = judge(&rest, rate, window_s, missing);
	watch_close(w);
	return right ? 0 : 1;
}
