/*
 * scale_image.c: how long a durable reserve waits while the image is written, and while it is not. A server whose image commits all the
 * time (each second, or when its collection is full) and one whose image commits nothing during the measurement are loaded in turn:
 *
 *   half load   an open loop at half of what a closed loop of 50 x 128 reached; latency counts from when a request was due
 *   full load   the closed loop of 50 x 128 itself
 *
 * Cells and reservations kept are so few that what the silent image collects never forces a commit (CHECKPOINT_OPTIONS_DEFAULT). Both
 * collect: what differs is the writing; a silent image that commits all the same makes the run void.
 * The last phases are open loops, three times as long, at nine tenths of full load, and a tenth less as long as the image's lag grows or
 * clients wait for seconds: the highest rate that can be sustained, and what the image's lag comes to there.
 */
#include "bench/scale.h"
#include "net/clock.h"

#include <inttypes.h>
#include <stdlib.h>

#define CELLS       200000
#define HOLD_TTL_MS 300
#define CONNECTIONS 50
#define IN_FLIGHT   128
#define WARM_S      2.0
#define SETTLE_S    5.0
#define ROUNDS_MAX  16
#define HELD        "600000" /* reservations kept */
#define FULL        .9 /* of the closed loop's rate: the first one tried as sustained */
#define FULL_STEP   .1
#define FULL_LEAST  .35
#define SUSTAINED_MS 1000.0 /* the p99 of what is sustained */
#define P99_TIMES   2.0 /* the bounds that are judged, at half load */
#define P999_MS     10.0

enum load { HALF, FULL_LOAD, LOADS };
static const char *const load_names[LOADS] = { "half", "full (50 x 128)" };

struct run {
	struct flow_figures figures;
	double rate, commits; /* commits of the image, a second */
};

/* [load][writing][round] */
static struct run runs[LOADS][2][ROUNDS_MAX];

/* What was journaled before the start is committed at once, whatever the options say: that is waited for. */
static void
server_up(bool writing)
{
	scale_server(&scale_running, (const char *[]){ "--reservations-max", HELD, "--image-age-ms", writing ? "1s" : "1d", NULL });
	struct watch *w = watch_open(&scale_running);
	watch_image(w, SETTLE_S);
	watch_close(w);
}

static void
measure(const struct flow_options *o, double seconds, struct run *r)
{
	static struct flow_figures warm;
	struct flow_options options = *o;
	struct sight before, after;
	struct watch *w = watch_open(&scale_running);
	options.port = scale_running.rpc;
	struct flow *f = flow_open(&options);
	flow_run(f, WARM_S, &warm);
	watch_look(w, &before);
	int64_t start_ns = clock_steady_ns();
	flow_run(f, seconds, &r->figures);
	r->rate = (double)r->figures.answers * 1e9 / (double)(clock_steady_ns() - start_ns);
	flow_close(f, &warm);
	watch_look(w, &after);
	r->commits = (double)(after.commits - before.commits) / (after.at_s - before.at_s);
	watch_close(w);
}

static double
ms_of(const struct run *r, double share)
{
	return histogram_ms(&r->figures.waited, share);
}

static int
ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Of the rounds. share 0: of the rate; 2: of the commits a second. */
static double
median(const struct run *r, uint32_t rounds, double share)
{
	double v[ROUNDS_MAX];
	for (uint32_t i = 0; i < rounds; i++)
		v[i] = share <= 0 ? r[i].rate : share >= 2 ? r[i].commits : ms_of(&r[i], share);
	qsort(v, rounds, sizeof *v, ascending);
	return rounds % 2 ? v[rounds / 2] : (v[rounds / 2 - 1] + v[rounds / 2]) / 2;
}

static void
table(uint32_t rounds)
{
	puts("| load | the image | commits/s | reserves/s | p50 ms | p99 ms | p99.9 ms |");
	puts("|---|---|---|---|---|---|---|");
	for (int load = 0; load < LOADS; load++)
		for (int writing = 0; writing < 2; writing++) {
			const struct run *r = runs[load][writing];
			printf("| %s | %s | %.1f | %'.0f | %.2f | %.2f | %.2f |\n", load_names[load], writing ? "is written" : "is not written",
			    median(r, rounds, 2), median(r, rounds, 0), median(r, rounds, .5), median(r, rounds, .99), median(r, rounds, .999));
		}
	puts("");
}

static void
figures_write(uint32_t rounds)
{
	static const double shares[] = { .5, .9, .99, .995, .999, .9999 };
	FILE *f = scale_figures("image.tsv");
	fputs("# share, half without, half with, full without, full with (ms)\n", f);
	for (size_t i = 0; i < sizeof shares / sizeof *shares; i++)
		fprintf(f, "%g\t%.4f\t%.4f\t%.4f\t%.4f\n", shares[i], median(runs[HALF][0], rounds, shares[i]), median(runs[HALF][1], rounds, shares[i]),
		    median(runs[FULL_LOAD][0], rounds, shares[i]), median(runs[FULL_LOAD][1], rounds, shares[i]));
	fclose(f);
}

/* How far the image is behind at a rate. True: it is sustained. */
static bool
lag_tell(double rate, double seconds)
{
	static struct flow_figures figures;
	const struct sight *sights;
	double first_s = 0, second_s = 0;
	figures = (struct flow_figures){ 0 };
	struct watch *w = watch_open(&scale_running);
	struct flow *f = flow_open(&(struct flow_options){ .port = scale_running.rpc, .connections = CONNECTIONS, .rate = rate, .cells = CELLS, .ttl_ms = HOLD_TTL_MS });
	watch_start(w);
	flow_run(f, seconds, &figures);
	watch_stop(w);
	uint32_t n = watch_sights(w, &sights);
	for (uint32_t i = 0; i < n; i++) {
		double *most = i < n / 2 ? &first_s : &second_s;
		*most = sights[i].lag_s > *most ? sights[i].lag_s : *most;
	}
	printf("At %'.0f reserves/s for %.0f s (an open loop; p99 %.1f ms) the image was at most %.1f s behind the journal in the first half and %.1f s in the second, "
	    "%'" PRIu64 " positions at the end; the journal took %'.0f MB, the image %'.0f MB. The last change is in it %.1f s after the load ends.\n\n", rate, seconds,
	    histogram_ms(&figures.waited, .99), first_s, second_s, n ? sights[n - 1].durable - sights[n - 1].image : 0,
	    n ? (double)sights[n - 1].journal_bytes / 1e6 : 0, n ? (double)sights[n - 1].image_bytes / 1e6 : 0, watch_image(w, WATCH_IMAGE_S));
	flow_close(f, &figures);
	watch_close(w);
	return second_s <= 1.5 * first_s + 1 && histogram_ms(&figures.waited, .99) <= SUSTAINED_MS;
}

/* Both servers stand on the same folder, in turn. */
static void
round_run(uint32_t round, double rate, double seconds)
{
	for (int k = 0; k < 2; k++) {
		bool writing = (round + (uint32_t)k) % 2 == 0;
		server_up(writing);
		measure(&(struct flow_options){ .connections = CONNECTIONS, .rate = rate / 2, .cells = CELLS, .ttl_ms = HOLD_TTL_MS }, seconds, &runs[HALF][writing][round]);
		measure(&(struct flow_options){ .connections = CONNECTIONS, .in_flight = IN_FLIGHT, .cells = CELLS, .ttl_ms = HOLD_TTL_MS }, seconds,
		    &runs[FULL_LOAD][writing][round]);
		scale_say("round %u, image %s: half p99 %.2f ms, p99.9 %.2f ms; full %.0f/s", round + 1, writing ? "is written" : "is not written",
		    ms_of(&runs[HALF][writing][round], .99), ms_of(&runs[HALF][writing][round], .999), runs[FULL_LOAD][writing][round].rate);
		if (server_stop(&scale_running) != 0)
			scale_die("the server did not stop as it should");
	}
}

int
scale_image(int argc, char **argv)
{
	static struct run closed;
	uint32_t rounds = argc > 0 ? (uint32_t)strtoul(argv[0], NULL, 10) : 3;
	double seconds = argc > 1 ? strtod(argv[1], NULL) : 10;
	if (rounds == 0 || rounds > ROUNDS_MAX || seconds <= 0)
		scale_die("ROUNDS is 1 to %d, SECONDS more than 0", ROUNDS_MAX);
	server_up(true);
	scale_fill(scale_running.rpc, CELLS);
	measure(&(struct flow_options){ .connections = CONNECTIONS, .in_flight = IN_FLIGHT, .cells = CELLS, .ttl_ms = HOLD_TTL_MS }, seconds, &closed);
	if (server_stop(&scale_running) != 0)
		scale_die("the server did not stop as it should");
	for (uint32_t round = 0; round < rounds; round++)
		round_run(round, closed.rate, seconds);
	table(rounds);
	figures_write(rounds);
	server_up(true);
	bool keeps_up = false;
	for (double share = FULL; !keeps_up && share > FULL_LEAST; share -= FULL_STEP)
		keeps_up = lag_tell(share * median(runs[FULL_LOAD][1], rounds, 0), 3 * seconds);
	uint64_t refused = 0;
	double silent_commits = 0;
	for (uint32_t i = 0; i < rounds; i++)
		for (int k = 0; k < 2 * LOADS; k++) {
			refused += runs[k / 2][k % 2][i].figures.refused;
			silent_commits += k % 2 == 0 ? runs[k / 2][0][i].commits : 0;
		}
	double without_ms = median(runs[HALF][0], rounds, .99), with_ms = median(runs[HALF][1], rounds, .99);
	char text[160];
	snprintf(text, sizeof text, "half load: the p99 beside the image's writing is within twice that without (%.2f times)", with_ms / without_ms);
	bool right = scale_verdict(with_ms <= P99_TIMES * without_ms, text);
	right &= scale_verdict(median(runs[HALF][1], rounds, .999) <= P999_MS, "half load: the p99.9 beside it is at most 10 ms");
	right &= scale_verdict(refused == 0, "every hold was granted");
	right &= scale_verdict(keeps_up, "at the last of these rates the image's lag does not go on growing, and the p99 is below a second");
	right &= scale_verdict(silent_commits <= 0, "the silent image did not commit");
	return right ? 0 : 1;
}
