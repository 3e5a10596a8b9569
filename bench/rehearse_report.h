/*
 * rehearse_report.h: the report as a JSON object (bench/REPORT.md is its page) and as a table of text, which is made from that object and has
 * nothing of its own. Functions begin with report_.
 */
#ifndef HOLDFAST_BENCH_REHEARSE_REPORT_H
#define HOLDFAST_BENCH_REHEARSE_REPORT_H

#include "bench/rehearse_house.h"

#include <jansson.h>
#include <math.h>

/* The report of a command before its first run. New reference. */
json_t *report_new(const char *command, const struct scenario *, const struct house *);
/* Adds a run. */
void report_add(json_t *report, const struct play *, const struct verdict *, uint64_t seed);
/* Medians, the verdict of all, which run is shown; complete false: why says what happened ("" : Ctrl-C). */
void report_finish(json_t *report, bool complete, const char *why);
/* report_finish() found all runs good. */
bool report_good(const json_t *report);

/* rehearse_table.c: the text. */
void report_print(FILE *, const json_t *report);

/* The median of the report's runs by this name of summary; NAN: it has none. */
double report_summary(const json_t *report, const char *name);

/* ---- for its files ---- */
/* 12,345 in one of a few buffers of its own: several fit into one printf. */
const char *report_number(double);
static inline void
report_put(json_t *o, const char *name, json_t *v)
{
	json_object_set_new(o, name, v);
}
/* Three decimals are enough for anybody, and keep the file small. */
static inline json_t *
report_real(double v)
{
	return isfinite(v) ? json_real(round(v * 1000) / 1000) : json_null();
}
static inline json_t *
report_whole(int64_t v)
{
	return json_integer(v);
}

#endif
