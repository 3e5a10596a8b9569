/* rehearse_capacity.c: the contract is in rehearse_capacity.h. */
#include "bench/rehearse_capacity.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define STEP_MS_MAX 6000 /* of a step's curve */
#define TIMES_MAX 1024.
#define TIMES_MIN (1 / 64.)
#define SHOPPERS_MIN 100. /* a p99 of fewer says nothing */
#define CLOSE 1.08 /* the search ends when the lowest rate that failed is within this of the highest that was kept */
#define OVERLOADED_SHARE .01 /* more refusals for load than this: not kept */
#define OTHERS_SHARE .25 /* of the processors, used by others */
#define BUSY .85 /* of the processors */
#define SHOPPERS_MAX 5000000
#define COLUMN_MAX 1000

static double
number(const json_t *o, const char *name)
{
	return json_number_value(json_object_get(o, name));
}

static int
double_order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static const json_t *
only_run(const json_t *report)
{
	return json_array_get(json_object_get(report, "runs"), 0);
}

/* Of holds; without any, of looks; without any, of tills. */
static double
p99_of(const json_t *report)
{
	static const char *const kinds[] = { "hold", "read", "till" };
	const json_t *latency = json_object_get(only_run(report), "latency_ms"), *v = NULL;
	for (int i = 0; i < 3 && !v; i++)
		v = json_object_get(json_object_get(latency, kinds[i]), "p99");
	return v ? json_number_value(v) : NAN;
}

static double
overloaded_share(const json_t *report)
{
	const json_t *counts = json_object_get(only_run(report), "counts");
	double shoppers = number(counts, "shoppers_n");
	return shoppers > 0 ? (number(json_object_get(counts, "refused"), "overloaded") + number(counts, "asked_again_n")) / shoppers : 0;
}

static double
answered_share(const json_t *report)
{
	const json_t *counts = json_object_get(only_run(report), "counts");
	return number(counts, "asked_n") > 0 ? number(counts, "answered_n") / number(counts, "asked_n") : 0;
}

bool
capacity_kept(const json_t *report, double p99_ms)
{
	double p99 = p99_of(report);
	return only_run(report) && report_good(report) && p99 <= p99_ms && answered_share(report) >= 1 && overloaded_share(report) <= OVERLOADED_SHARE;
}

/* What a column of processors came to when it was busiest: the mean of its upper quarter. */
static double
column_busiest(const json_t *report, const char *name)
{
	double values[COLUMN_MAX], sum = 0;
	size_t n = 0, i;
	json_t *v;
	json_array_foreach(json_object_get(json_object_get(only_run(report), "series"), name), i, v)
		if (json_is_number(v) && n < COLUMN_MAX)
			values[n++] = json_number_value(v);
	qsort(values, n, sizeof *values, double_order);
	size_t upper = (n + 3) / 4;
	for (i = n - upper; i < n; i++)
		sum += values[i];
	return upper ? sum / (double)upper : 0;
}

const char *
capacity_gave_way(const json_t *report, double p99_ms, char *text, size_t n)
{
	const json_t *run = only_run(report), *client = json_object_get(run, "client"), *machine = json_object_get(report, "machine");
	double late = number(json_object_get(client, "late_ms"), "p99"), server = column_busiest(report, "server_cpu"), gate = column_busiest(report, "gate_cpu");
	double own = column_busiest(report, "client_cpu"), cpus = number(machine, "cpus_n");
	double sync = number(json_object_get(json_object_get(report, "server"), "disk_sync_ms"), "p99");
	double loops = atof(json_string_value(json_object_get(json_object_get(json_object_get(report, "scenario"), "values"), "loops")));
	if (!json_is_true(json_object_get(report, "complete"))) {
		const char *why = json_string_value(json_object_get(report, "why"));
		snprintf(text, n, "the run broke off: %s", why ? why : "it was interrupted");
		return "the run";
	}
	if (number(client, "others_cpu") > OTHERS_SHARE * cpus) {
		snprintf(text, n, "other programs on this machine used %.2f of its %.0f processors: try again when it is quiet", number(client, "others_cpu"), cpus);
		return "other programs";
	}
	if (json_is_true(json_object_get(client, "bottleneck"))) {
		snprintf(text, n, "this program was late against its own schedule (p99 %.1f ms): the server may take more than could be offered here", late);
		return "the load generator";
	}
	if (server + gate + own >= BUSY * cpus) {
		snprintf(text, n, "all processors were busy in the busiest quarter: server %.2f, gate %.2f, this program %.2f of %.0f", server, gate, own, cpus);
		return "the machine's processors";
	}
	if (server >= BUSY * loops) {
		snprintf(text, n, "the server used %.2f processors in the busiest quarter, with %.0f network thread%s", server, loops, loops > 1 ? "s" : "");
		return "the server's threads";
	}
	if (sync >= p99_ms / 2) {
		snprintf(text, n, "processors were free (server %.2f of %.0f), but answers wait for the disk, whose sync alone has a p99 of %.1f ms", server, cpus, sync);
		return "the disk";
	}
	if (overloaded_share(report) > OVERLOADED_SHARE) {
		snprintf(text, n, "the server told %.1f %% of the shoppers `overloaded`: its queue was old, with processors free", overloaded_share(report) * 100);
		return "the server's queue";
	}
	snprintf(text, n, "answers waited with processors free (server %.2f of %.0f) and a quick disk (sync p99 %.1f ms): stalls, perhaps of others on this machine",
	    server, cpus, sync);
	return "stalls";
}

/* ---- the search ---- */

struct search {
	const struct rehearsal *rehearsal;
	struct scenario scenario; /* of a step */
	double p99_ms, base_per_s, seconds;
	double kept, failed; /* times the scenario's own rate; 0: none yet */
	json_t *kept_report, *failed_report, *steps;
};

/* The scenario with its people and its goods multiplied. */
static void
step_scenario(struct search *s, double times)
{
	const struct scenario *own = s->rehearsal->scenario;
	double length = (double)s->scenario.duration_ms / (double)own->duration_ms;
	double units = (double)own->units * times * length;
	s->scenario.shoppers = (int64_t)fmax(own->shoppers > 0, round((double)own->shoppers * times * length));
	s->scenario.till_events = own->till_events * times;
	s->scenario.units = (int64_t)(units < 1 ? 1 : units > 1e9 ? 1e9 : units);
	s->scenario.runs = 1;
}

static json_t *
step_json(const struct search *s, const json_t *report, double rate, bool kept)
{
	const json_t *run = only_run(report), *counts = json_object_get(run, "counts"), *late = json_object_get(json_object_get(run, "client"), "late_ms");
	const json_t *figures = json_object_get(run, "figures");
	char text[300] = "";
	double p99 = p99_of(report);
	if (!kept)
		capacity_gave_way(report, s->p99_ms, text, sizeof text);
	return json_pack("{s:f, s:b, s:o, s:f, s:f, s:O, s:o, s:O, s:s}", "rate_per_s", round(rate), "kept", kept, "hold_p99_ms",
	    isnan(p99) ? json_null() : json_real(p99), "answered_share", answered_share(report), "overloaded_n",
	    number(json_object_get(counts, "refused"), "overloaded") + number(counts, "asked_again_n"), "server_cpu",
	    json_object_get(figures, "server_cpu") ? json_object_get(figures, "server_cpu") : json_null(), "client_cpu",
	    json_real(number(json_object_get(run, "client"), "cpu")), "client_late_p99_ms", json_object_get(late, "p99"), "text", text);
}

/* One step. false: it could not begin, or somebody wants to stop. */
static bool
step(struct search *s, double times, struct why *why)
{
	struct rehearsal r = *s->rehearsal;
	r.scenario = &s->scenario;
	step_scenario(s, times);
	json_t *report = rehearse(&r, why);
	bool kept = report && capacity_kept(report, s->p99_ms);
	if (!report || !only_run(report) || rehearse_stopped()) {
		json_decref(report);
		return false;
	}
	json_array_append_new(s->steps, step_json(s, report, s->base_per_s * times, kept));
	if (!r.quiet && isatty(STDERR_FILENO))
		fprintf(stderr, "%10.0f/s  p99 %8.2f ms  %s\n", s->base_per_s * times, p99_of(report), kept ? "kept" : "not kept");
	json_t **to = kept ? &s->kept_report : &s->failed_report;
	json_decref(*to);
	*to = report;
	*(kept ? &s->kept : &s->failed) = times;
	return true;
}

static void
search(struct search *s, struct why *why)
{
	const struct scenario *own = s->rehearsal->scenario;
	bool going = step(s, 1, why);
	while (going && !s->failed && s->kept < TIMES_MAX && (double)own->shoppers * s->kept * 2 * s->seconds < SHOPPERS_MAX * (double)own->duration_ms / 1000)
		going = step(s, s->kept * 2, why);
	while (going && !s->kept && s->failed > TIMES_MIN && s->base_per_s * s->failed / 2 * s->seconds >= SHOPPERS_MIN)
		going = step(s, s->failed / 2, why);
	while (going && s->kept > 0 && s->failed > s->kept * CLOSE)
		going = step(s, sqrt(s->kept * s->failed), why);
}

static json_t *
answer(const struct search *s)
{
	char text[600], gave[400] = "";
	const char *what = s->failed_report ? capacity_gave_way(s->failed_report, s->p99_ms, gave, sizeof gave) : NULL;
	if (s->kept > 0 && what)
		snprintf(text, sizeof text, "%s a second keep a p99 of %g ms; at %s %s gave way: %s", report_number(s->base_per_s * s->kept), s->p99_ms,
		    report_number(s->base_per_s * s->failed), what, gave);
	else if (s->kept > 0)
		snprintf(text, sizeof text, "%s a second keep a p99 of %g ms; more was not tried", report_number(s->base_per_s * s->kept), s->p99_ms);
	else
		snprintf(text, sizeof text, "no rate that was tried keeps a p99 of %g ms: %s", s->p99_ms, gave);
	return json_pack("{s:f, s:f, s:s?, s:s, s:O}", "p99_limit_ms", s->p99_ms, "rate_per_s", round(s->base_per_s * s->kept), "gave_way", what, "text", text,
	    "steps", s->steps);
}

json_t *
capacity(const struct rehearsal *r, double p99_ms, struct why *why)
{
	struct search *s = calloc(1, sizeof *s);
	json_t *report = NULL;
	if (!s)
		return NULL;
	*s = (struct search){ .rehearsal = r, .scenario = *r->scenario, .p99_ms = p99_ms, .steps = json_array() };
	s->scenario.duration_ms = r->scenario->duration_ms < STEP_MS_MAX ? r->scenario->duration_ms : STEP_MS_MAX;
	s->seconds = (double)s->scenario.duration_ms / 1000;
	s->base_per_s = r->scenario->shoppers ? (double)r->scenario->shoppers / (double)r->scenario->duration_ms * 1000 : r->scenario->till_events;
	search(s, why);
	report = s->kept_report ? s->kept_report : s->failed_report;
	if (report) {
		json_incref(report);
		json_object_set_new(report, "command", json_string("capacity"));
		json_object_set_new(report, "capacity", answer(s));
	} else if (rehearse_stopped())
		snprintf(why->text, sizeof why->text, "interrupted before the first step was over");
	json_decref(s->kept_report);
	json_decref(s->failed_report);
	json_decref(s->steps);
	free(s);
	return report;
}
