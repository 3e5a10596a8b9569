/* rehearse.c: runs one after another, progress, Ctrl-C. The contract is in rehearse.h. */
#include "bench/rehearse.h"
#include "net/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BAR 30

static volatile sig_atomic_t stop;

static void
stop_take(int number)
{
	stop = 1;
}

static void
stop_watch(void)
{
	struct sigaction a = { .sa_handler = stop_take, .sa_flags = (int)SA_RESETHAND };
	const int which[] = { SIGINT, SIGTERM, SIGHUP };
	for (size_t i = 0; i < sizeof which / sizeof *which; i++)
		sigaction(which[i], &a, NULL);
	signal(SIGPIPE, SIG_IGN);
}

bool
rehearse_stopped(void)
{
	return stop != 0;
}

/* ---- progress, on a terminal only ---- */

struct progress {
	int64_t run, runs;
	bool visible;
};

static void
progress_say(struct progress *g, const char *what)
{
	fprintf(stderr, "\r\033[Krun %lld of %lld: %s", (long long)g->run, (long long)g->runs, what);
	fflush(stderr);
}

static void
progress_draw(const struct play *p, double at_s, void *context)
{
	char bar[BAR + 1], text[200];
	double share = at_s / ((double)p->plan->duration_ns / 1e9);
	uint64_t refused = 0;
	int64_t tenth = (int64_t)(at_s * 1e9 / (double)p->series.interval_ns) - 1;
	for (int s = 0; s <= STATUS_COUNT; s++)
		refused += p->counts.refused[s];
	for (int i = 0; i < BAR; i++)
		bar[i] = i < (int)(share * BAR) ? '#' : '.';
	bar[BAR] = 0;
	double p99 = tenth >= 0 && tenth < p->series.n ? histogram_ms(&p->series.waited[WORK_HOLD][tenth].histogram, .99) : 0;
	snprintf(text, sizeof text, "[%s] %5.1f s  %llu granted, %llu refused, p99 %.1f ms", bar, at_s, (unsigned long long)p->counts.granted,
	    (unsigned long long)refused, p99);
	progress_say(context, at_s < 0 ? "warming up" : text);
}

/* ---- runs ---- */

static void
stamp_make(char *stamp, size_t n, bool own)
{
	stamp[0] = 0;
	if (!own)
		snprintf(stamp, n, "%llx-", (unsigned long long)clock_wall_ms());
}

/* Judges what was played and adds it to the report. */
static int
run_judge(const struct rehearsal *r, const struct house *h, struct play *p, uint64_t seed, json_t *report, struct progress *g, struct why *why)
{
	struct found found = { .at_ms = 0 };
	struct verdict v;
	if (g->visible)
		progress_say(g, "waiting for holds to end, asking for all that is there");
	if (!p->broke_off && !p->interrupted && house_ask(h, p->plan, &stop, &found, why) < 0)
		return -1;
	int result = judge_run(p->plan, &found, p->counts.unanswered, &v, why);
	if (result == 0)
		report_add(report, p, &v, seed);
	judge_fini(&v);
	found_fini(&found);
	return result;
}

/* One run against a house that is open. *whole false: it was cut short, *why says by what ("": Ctrl-C). -1: it could not begin. */
static int
run_play(const struct rehearsal *r, const struct house *h, uint64_t seed, json_t *report, struct progress *g, bool *whole, struct why *why)
{
	struct plan plan;
	char stamp[16];
	struct play *p = calloc(1, sizeof *p);
	if (!p)
		return -1;
	stamp_make(stamp, sizeof stamp, h->own);
	int result = (r->make ? r->make : plan_make)(&plan, r->scenario, seed, stamp, why);
	if (result == 0) {
		*p = (struct play){ .plan = &plan, .target = h->target, .stop = &stop, .tell = g->visible ? progress_draw : NULL, .tell_context = g };
		if (g->visible)
			progress_say(g, "putting the stock there");
		result = house_stock(h, &plan, why) == 0 && play_run(p, why) == 0 ? run_judge(r, h, p, seed, report, g, why) : -1;
		*whole = !p->broke_off && !p->interrupted && !stop;
		if (result == 0 && !*whole)
			snprintf(why->text, sizeof why->text, "%s", p->broke_off ? p->why.text : "");
		play_fini(p);
		plan_fini(&plan);
	}
	free(p);
	return result;
}

json_t *
rehearse(const struct rehearsal *r, struct why *why)
{
	struct progress g = { .runs = r->scenario->runs, .visible = !r->quiet && isatty(STDERR_FILENO) };
	struct house *h = calloc(1, sizeof *h);
	json_t *report = NULL;
	bool whole = true;
	int result = h ? 0 : -1;
	stop_watch();
	for (g.run = 1; g.run <= g.runs && result == 0 && whole; g.run++) {
		uint64_t seed = (uint64_t)(r->scenario->seed + g.run - 1);
		if ((result = house_open(h, r->scenario, r->server, r->events, why)) < 0)
			break;
		report = report ? report : report_new(r->command, r->scenario, h);
		result = run_play(r, h, seed, report, &g, &whole, why);
		house_close(h);
	}
	if (g.visible)
		fputs("\r\033[K", stderr);
	free(h);
	/* What was measured before a run that could not begin is a report, too. */
	if (report && (result == 0 || json_array_size(json_object_get(report, "runs")) > 0))
		report_finish(report, result == 0 && whole, result == 0 && whole ? "" : why->text);
	else {
		json_decref(report);
		report = NULL;
	}
	return report;
}
