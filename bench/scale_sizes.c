/*
 * scale_sizes.c: memory, rate, restart and image by the number of cells. For each size:
 *
 *   1. an empty server with tables of that size: what it takes before the first cell
 *   2. fill; wait for the image; stop; start: memory of the cells, time to ready
 *   3. a million holds of one line (in small sizes as many as there is time for); stop; start, with the files in the page cache and
 *      without: memory of a hold, time to ready
 *   4. with places for 16 million more: holds as fast as it takes them, 50 connections x 128 in flight, each durable before its answer, the image being written
 *
 * Memory of cells and holds is taken after a start, when nothing else has grown yet (the image writer's collection, the connections'
 * buffers); the most that was resident while it was loaded is told beside it.
 */
#define _GNU_SOURCE
#include "bench/scale.h"
#include "net/clock.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#define SIZES_MAX    8
#define HOLDS        UINT64_C(1000000)
#define HOLDS_MORE   16000000 /* places for what the loaded server grants */
#define HOLD_TTL_MS  86400000
#define CONNECTIONS  50
#define IN_FLIGHT    128
#define WARM_S       2.0
#define CELL_BYTES   144.0 /* the bounds that are judged */
#define HOLD_BYTES   192.0
#define READY_MS     5000
#define JUDGED_CELLS UINT64_C(10000000) /* below, what a server takes anyway outweighs its cells */

struct size {
	uint64_t cells;
	double fill_s, image_s; /* image_s: from the last count's answer until the image had them all */
	uint64_t empty, filled, held, peak; /* memory of its own, bytes */
	uint64_t mapped; /* of the image's file, after a start */
	uint64_t image_bytes;
	int64_t ready_cells_ms, ready_warm_ms, ready_cold_ms;
	double rate, p50_ms, p99_ms, lag_s;
	uint64_t refused;
};

static double
per(uint64_t more, uint64_t less, uint64_t n)
{
	return more > less ? (double)(more - less) / (double)n : 0;
}

/* Takes the server's files out of the page cache. */
static void
cache_drop(const struct server *s)
{
	char path[700];
	snprintf(path, sizeof path, "%s/data", s->folder);
	DIR *folder = opendir(path);
	for (struct dirent *e; folder && (e = readdir(folder));) {
		snprintf(path, sizeof path, "%s/data/%s", s->folder, e->d_name);
		int file = open(path, O_RDONLY);
		if (file >= 0) {
			fdatasync(file);
			posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
			close(file);
		}
	}
	if (folder)
		closedir(folder);
}

static void
start(uint64_t cells, uint64_t holds, struct sight *s)
{
	char cells_max[24], skus_max[24], holds_max[24];
	snprintf(cells_max, sizeof cells_max, "%" PRIu64, cells);
	snprintf(skus_max, sizeof skus_max, "%" PRIu64, cells / SCALE_LOCATIONS);
	snprintf(holds_max, sizeof holds_max, "%" PRIu64, holds);
	scale_server(&scale_running, (const char *[]){ "--cells-max", cells_max, "--skus-max", skus_max, "--reservations-max", holds_max, NULL });
	struct watch *w = watch_open(&scale_running);
	watch_look(w, s);
	watch_close(w);
}

static void
stop(void)
{
	if (server_stop(&scale_running) != 0)
		scale_die("the server did not stop as it should");
}

static void
fill(struct size *z)
{
	struct sight s;
	start(z->cells, HOLDS, &s);
	z->empty = s.anon_bytes;
	scale_say("%" PRIu64 " cells: fill", z->cells);
	z->fill_s = scale_fill(scale_running.rpc, z->cells);
	struct watch *w = watch_open(&scale_running);
	z->image_s = watch_image(w, WATCH_IMAGE_S);
	watch_look(w, &s);
	watch_close(w);
	z->peak = s.anon_bytes;
	scale_say("%" PRIu64 " cells: filled in %.1f s, the image whole %.1f s later; %.0f MB resident", z->cells, z->fill_s, z->image_s, (double)s.anon_bytes / 1e6);
	stop();
	start(z->cells, HOLDS, &s);
	scale_say("%" PRIu64 " cells: ready in %.1f s; %.1f MB resident, %.1f MB of the image mapped", z->cells, (double)scale_running.ready_ms / 1e3,
	    (double)s.anon_bytes / 1e6, (double)s.file_bytes / 1e6);
	z->filled = s.anon_bytes;
	z->mapped = s.file_bytes;
	z->ready_cells_ms = scale_running.ready_ms;
}

static void
hold(struct size *z)
{
	struct flow_figures figures = { 0 };
	struct sight s;
	scale_say("%" PRIu64 " cells: %" PRIu64 " holds", z->cells, HOLDS);
	struct flow *f = flow_open(&(struct flow_options){ .port = scale_running.rpc, .connections = CONNECTIONS, .in_flight = IN_FLIGHT,
		.cells = z->cells, .limit = HOLDS, .ttl_ms = HOLD_TTL_MS });
	flow_run(f, 600, &figures);
	if (flow_close(f, &figures) || figures.refused || figures.answers != HOLDS)
		scale_die("a hold was not granted: %s", figures.code);
	struct watch *w = watch_open(&scale_running);
	watch_image(w, WATCH_IMAGE_S);
	watch_look(w, &s);
	watch_close(w);
	z->peak = s.anon_bytes > z->peak ? s.anon_bytes : z->peak;
	z->image_bytes = s.image_bytes;
	stop();
	cache_drop(&scale_running);
	start(z->cells, HOLDS, &s);
	z->ready_cold_ms = scale_running.ready_ms;
	z->held = s.anon_bytes;
	stop();
	start(z->cells, HOLDS, &s);
	z->ready_warm_ms = scale_running.ready_ms;
	scale_say("%" PRIu64 " cells and holds: ready in %.1f s, in %.1f s from a cold page cache; %.1f MB resident", z->cells,
	    (double)z->ready_warm_ms / 1e3, (double)z->ready_cold_ms / 1e3, (double)z->held / 1e6);
	stop();
}

static void
load(struct size *z, double seconds)
{
	struct flow_figures warm = { 0 }, figures = { 0 };
	const struct sight *sights;
	struct sight s;
	start(z->cells, HOLDS + HOLDS_MORE, &s);
	scale_say("%" PRIu64 " cells: load", z->cells);
	struct watch *w = watch_open(&scale_running);
	struct flow *f = flow_open(&(struct flow_options){ .port = scale_running.rpc, .connections = CONNECTIONS, .in_flight = IN_FLIGHT,
		.cells = z->cells, .ttl_ms = HOLD_TTL_MS });
	watch_start(w);
	flow_run(f, WARM_S, &warm);
	int64_t start_ns = clock_steady_ns();
	flow_run(f, seconds, &figures);
	z->rate = (double)figures.answers * 1e9 / (double)(clock_steady_ns() - start_ns);
	z->p50_ms = histogram_ms(&figures.waited, .5);
	z->p99_ms = histogram_ms(&figures.waited, .99);
	z->refused = figures.refused;
	flow_close(f, &warm);
	watch_stop(w);
	uint32_t n = watch_sights(w, &sights);
	for (uint32_t i = 0; i < n; i++) {
		z->peak = sights[i].anon_bytes > z->peak ? sights[i].anon_bytes : z->peak;
		z->lag_s = sights[i].lag_s > z->lag_s ? sights[i].lag_s : z->lag_s;
	}
	watch_close(w);
	server_kill(&scale_running);
	server_remove(&scale_running);
}

/* ---- what is said ---- */

static void
table(FILE *out, const struct size *z, uint32_t n)
{
	fputs("| cells | fill, cells/s | memory of an empty server | B a cell | B an open one-line hold | most resident, loaded | reserves/s, durable, 50 x 128 | p50, p99 ms "
	    "| ready: cells alone | + 1 M holds | the same, files not cached | image | image whole, after the last count | image's lag, loaded |\n"
	    "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n", out);
	for (uint32_t i = 0; i < n; i++, z++)
		fprintf(out, "| %'" PRIu64 " | %'.0f | %.0f MB | %.1f | %.1f | %'.0f MB | %'.0f | %.1f, %.1f | %.2f s | %.2f s | %.2f s | %'.0f MB | %.1f s | %.1f s |\n",
		    z->cells, (double)z->cells / z->fill_s, (double)z->empty / 1e6, per(z->filled, z->empty, z->cells), per(z->held, z->filled, HOLDS),
		    (double)z->peak / 1e6, z->rate, z->p50_ms, z->p99_ms, (double)z->ready_cells_ms / 1e3, (double)z->ready_warm_ms / 1e3,
		    (double)z->ready_cold_ms / 1e3, (double)z->image_bytes / 1e6, z->image_s, z->lag_s);
}

static void
figures_write(const struct size *z, uint32_t n)
{
	FILE *f = scale_figures("sizes.tsv");
	fputs("# cells, bytes a cell, bytes a hold, reserves/s, ready s, image MB\n", f);
	for (; n-- > 0; z++)
		fprintf(f, "%" PRIu64 "\t%.2f\t%.2f\t%.0f\t%.3f\t%.1f\n", z->cells, per(z->filled, z->empty, z->cells), per(z->held, z->filled, HOLDS), z->rate,
		    (double)z->ready_warm_ms / 1e3, (double)z->image_bytes / 1e6);
	fclose(f);
}

static bool
judge(const struct size *z, uint32_t n)
{
	bool right = true, refused = false;
	for (uint32_t i = 0; i < n; i++) {
		char text[128];
		refused |= z[i].refused > 0;
		if (z[i].cells < JUDGED_CELLS)
			continue;
		snprintf(text, sizeof text, "%'" PRIu64 " cells: at most %.0f bytes a cell and %.0f an open one-line hold, resident", z[i].cells, CELL_BYTES, HOLD_BYTES);
		right &= scale_verdict(per(z[i].filled, z[i].empty, z[i].cells) <= CELL_BYTES && per(z[i].held, z[i].filled, HOLDS) <= HOLD_BYTES, text);
		if (z[i].cells == JUDGED_CELLS)
			right &= scale_verdict(z[i].ready_warm_ms <= READY_MS, "10,000,000 cells and 1,000,000 holds: ready within 5 s");
	}
	if (n > 1)
		right &= scale_verdict(z[n - 1].rate * 2 >= z[0].rate, "from the least to the greatest size the rate falls by less than half");
	return scale_verdict(!refused, "every hold was granted") && right;
}

int
scale_sizes(int argc, char **argv)
{
	static struct size sizes[SIZES_MAX] = { { .cells = 10000 }, { .cells = 1000000 }, { .cells = 10000000 }, { .cells = 100000000 } };
	double seconds = argc > 0 ? strtod(argv[0], NULL) : 10;
	uint32_t n = 4;
	if (argc > 1)
		for (n = 0; (int)n < argc - 1 && n < SIZES_MAX; n++)
			sizes[n] = (struct size){ .cells = strtoull(argv[n + 1], NULL, 10) };
	for (uint32_t i = 0; i < n; i++) {
		fill(&sizes[i]);
		hold(&sizes[i]);
		load(&sizes[i], seconds);
		table(stderr, &sizes[i], 1);
	}
	table(stdout, sizes, n);
	puts("");
	figures_write(sizes, n);
	return judge(sizes, n) ? 0 : 1;
}
