/* rehearse_report.c: the report's object, but for its runs (rehearse_report_run.c). The contract is in rehearse_report.h, the names in REPORT.md. */
#include "bench/rehearse_report.h"
#include "bench/rehearse_machine.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

json_t *
report_new(const char *command, const struct scenario *s, const struct house *h)
{
	char begun[32], address[200], value[SCENARIO_TEXT_MAX];
	time_t now = time(NULL);
	struct tm utc;
	json_t *values = json_object(), *options = json_array();
	strftime(begun, sizeof begun, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
	snprintf(address, sizeof address, "%s:%u", h->target.host, h->target.rpc);
	const char *name;
	for (unsigned i = 0; (name = scenario_value(s, i, value)); i++)
		report_put(values, name, json_string(value));
	for (uint32_t i = 0; i < h->arguments_n; i++)
		json_array_append_new(options, json_string(h->arguments[i]));
	json_t *o = json_pack("{s:s, s:i, s:s, s:s, s:b, s:n, s:o}", "format", "holdfast-bench report", "version", 1, "command", command, "begun_at", begun,
	    "complete", false, "why", "machine", machine_json());
	json_t *sync = h->sync_ms[0] < 0 ? json_null() : json_pack("{s:o, s:o, s:o}", "p50", report_real(h->sync_ms[0]), "p99", report_real(h->sync_ms[1]), "max",
	    report_real(h->sync_ms[2]));
	report_put(o, "server", json_pack("{s:b, s:s, s:s, s:o, s:o}", "own", h->own, "address", address, "version", h->version, "options", options, "disk_sync_ms",
	    sync));
	report_put(o, "scenario", json_pack("{s:s, s:s, s:s, s:o}", "name", s->name, "about", s->about, "text", s->text, "values", values));
	report_put(o, "runs", json_array());
	return o;
}

static int
double_order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* The values of one figure in all runs, ascending. */
static size_t
figure_values(const json_t *report, const char *name, double *values, size_t most)
{
	size_t n = 0, i;
	json_t *run, *v;
	json_array_foreach(json_object_get(report, "runs"), i, run)
		if ((v = json_object_get(json_object_get(run, "figures"), name)) && json_is_number(v) && n < most)
			values[n++] = json_number_value(v);
	qsort(values, n, sizeof *values, double_order);
	return n;
}

static double
middle(const double *values, size_t n)
{
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static json_t *
summary_json(const json_t *report)
{
	json_t *o = json_object(), *v;
	double values[100];
	const char *name;
	json_t *first = json_object_get(json_array_get(json_object_get(report, "runs"), 0), "figures");
	json_object_foreach(first, name, v) {
		size_t n = figure_values(report, name, values, 100);
		if (n > 0)
			report_put(o, name, json_pack("{s:o, s:o, s:o}", "median", report_real(middle(values, n)), "low", report_real(values[0]), "high", report_real(values[n - 1])));
	}
	return o;
}

double
report_summary(const json_t *report, const char *name)
{
	const json_t *v = json_object_get(json_object_get(json_object_get(report, "summary"), name), "median");
	return json_is_number(v) ? json_number_value(v) : NAN;
}

/* The run whose p99 is the lower median. */
static size_t
shown_run(const json_t *report)
{
	static const char *const names[] = { "hold_p99_ms", "read_p99_ms", "till_p99_ms" };
	double values[100];
	size_t n = 0, i;
	json_t *run;
	const char *name = names[0];
	for (size_t k = 0; k < 3 && n == 0; k++)
		n = figure_values(report, name = names[k], values, 100);
	json_array_foreach(json_object_get(report, "runs"), i, run)
		if (n > 0 && json_number_value(json_object_get(json_object_get(run, "figures"), name)) == values[(n - 1) / 2])
			return i;
	return 0;
}

/* Of each check the worst run's; texts are the worst run's, too. */
static json_t *
verdict_of_all(const json_t *report)
{
	json_t *worst = NULL, *run, *v;
	size_t i;
	double most = -1;
	json_array_foreach(json_object_get(report, "runs"), i, run) {
		double sum = 0;
		size_t c;
		json_t *check;
		v = json_object_get(run, "verdict");
		json_array_foreach(json_object_get(v, "checks"), c, check)
			sum += json_number_value(json_object_get(check, "value"));
		sum += !json_is_true(json_object_get(v, "good"));
		worst = sum > most ? v : worst;
		most = sum > most ? sum : most;
	}
	json_t *all = worst ? json_deep_copy(worst) : json_pack("{s:b, s:[]}", "good", false, "checks");
	json_array_foreach(json_object_get(report, "runs"), i, run) {
		size_t c;
		json_t *check, *mine;
		json_array_foreach(json_object_get(json_object_get(run, "verdict"), "checks"), c, check) {
			mine = json_array_get(json_object_get(all, "checks"), c);
			if (json_number_value(json_object_get(check, "value")) > json_number_value(json_object_get(mine, "value")))
				json_array_set(json_object_get(all, "checks"), c, check);
		}
	}
	return all;
}

void
report_finish(json_t *report, bool complete, const char *why)
{
	report_put(report, "complete", json_boolean(complete));
	report_put(report, "why", *why ? json_string(why) : json_null());
	report_put(report, "summary", summary_json(report));
	report_put(report, "shown_run", report_whole((json_int_t)shown_run(report)));
	report_put(report, "verdict", verdict_of_all(report));
	if (!complete)
		report_put(json_object_get(report, "verdict"), "good", json_false());
}

bool
report_good(const json_t *report)
{
	return json_is_true(json_object_get(json_object_get(report, "verdict"), "good"));
}
