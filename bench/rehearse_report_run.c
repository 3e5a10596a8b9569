/* rehearse_report_run.c: one run of the report. The contract is in rehearse_report.h, the names in REPORT.md. */
#include "bench/rehearse_report.h"

#include <math.h>
#include <stdio.h>

#define SKUS_SHOWN 20 /* half of them, at most, where most was refused; then the hottest */
#define POINTS_MAX 200
#define LATE_MS 5. /* a p99 of lateness above this ... */
#define OTHERS_CPU .2 /* others that use more processors than this are told of */
#define LATE_SHARE .25 /* ... and above this share of the p99 of latency: the client was the bottleneck */

/* ---- latencies ---- */

static json_t *
spread_json(const struct spread *s)
{
	const struct histogram *h = &s->histogram;
	return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "n", (json_int_t)h->n, "mean", report_real((double)s->sum_ns / (double)h->n / 1e6), "p50",
	    report_real(histogram_ms(h, .5)), "p90", report_real(histogram_ms(h, .9)), "p99", report_real(histogram_ms(h, .99)), "p999", report_real(histogram_ms(h, .999)), "max",
	    report_real((double)s->max_ns / 1e6));
}

static json_t *
spreads_json(const struct spread *all)
{
	json_t *o = json_object();
	for (int w = 0; w < WORKS; w++)
		if (all[w].histogram.n > 0)
			report_put(o, work_name[w], spread_json(&all[w]));
	return o;
}

static json_t *
distribution_json(const struct spread *s)
{
	json_t *points = json_array();
	for (int i = 0; i < POINTS_MAX; i++) {
		/* Half of the points are in the last hundredth, where it is interesting. */
		double share = i < POINTS_MAX / 2 ? .99 * i / (POINTS_MAX / 2) : 1 - .01 * pow(1e-4, (i - POINTS_MAX / 2.) / (POINTS_MAX / 2.));
		if (s->histogram.n > 0 && (1 - share) * (double)s->histogram.n >= 1)
			json_array_append_new(points, json_pack("[o, f]", report_real(histogram_ms(&s->histogram, share)), share));
	}
	json_array_append_new(points, json_pack("[o, f]", report_real((double)s->max_ns / 1e6), 1.));
	return points;
}

static json_t *
distributions_json(const struct spread *all)
{
	json_t *o = json_object();
	for (int w = 0; w < WORKS; w++)
		if (all[w].histogram.n > 0)
			report_put(o, work_name[w], distribution_json(&all[w]));
	return o;
}

/* ---- series ---- */

/* A column by a function of the interval. */
typedef json_t *column_value(const struct play *, uint32_t i);

static json_t *
per_second(const struct play *p, uint32_t n)
{
	return report_real((double)n / ((double)p->series.interval_ns / 1e9));
}
static json_t *column_t(const struct play *p, uint32_t i) { return report_real((double)(i * p->series.interval_ns) / 1e9); }
static json_t *column_arrivals(const struct play *p, uint32_t i) { return per_second(p, p->series.at[i].arrivals); }
static json_t *column_asked(const struct play *p, uint32_t i) { return per_second(p, p->series.at[i].asked); }
static json_t *column_answered(const struct play *p, uint32_t i) { return per_second(p, p->series.at[i].answered); }
static json_t *column_granted(const struct play *p, uint32_t i) { return per_second(p, p->series.at[i].granted); }
static json_t *column_in_flight(const struct play *p, uint32_t i) { return p->series.at[i].sampled ? report_whole(p->series.at[i].in_flight) : json_null(); }
static json_t *column_late(const struct play *p, uint32_t i)
{
	return p->series.late[i].histogram.n ? report_real(histogram_ms(&p->series.late[i].histogram, .99)) : json_null();
}
static json_t *known(const struct interval *i, double v) { return i->sampled && v >= 0 ? report_real(v) : json_null(); }
static json_t *column_server_cpu(const struct play *p, uint32_t i) { return known(&p->series.at[i], p->series.at[i].server_cpu); }
static json_t *column_gate_cpu(const struct play *p, uint32_t i) { return known(&p->series.at[i], p->series.at[i].gate_cpu); }
static json_t *column_client_cpu(const struct play *p, uint32_t i) { return known(&p->series.at[i], p->series.at[i].client_cpu); }
static json_t *known_bytes(const struct interval *i, int64_t v) { return i->sampled && v >= 0 ? report_whole(v) : json_null(); }
static json_t *column_server_rss(const struct play *p, uint32_t i) { return known_bytes(&p->series.at[i], p->series.at[i].server_rss_bytes); }
static json_t *column_gate_rss(const struct play *p, uint32_t i) { return known_bytes(&p->series.at[i], p->series.at[i].gate_rss_bytes); }

static const struct { const char *name; column_value *value; } columns[] = {
	{ "t_s", column_t }, { "arrivals_per_s", column_arrivals }, { "asked_per_s", column_asked }, { "answered_per_s", column_answered },
	{ "granted_per_s", column_granted }, { "in_flight_n", column_in_flight }, { "client_late_p99_ms", column_late },
	{ "server_cpu", column_server_cpu }, { "server_rss_bytes", column_server_rss }, { "gate_cpu", column_gate_cpu },
	{ "gate_rss_bytes", column_gate_rss }, { "client_cpu", column_client_cpu },
};

static const char *
reason_name(uint32_t status)
{
	return status < STATUS_COUNT ? status_name(status) : "other";
}

static json_t *
series_refused(const struct play *p, uint32_t n)
{
	json_t *o = json_object();
	for (uint32_t status = 0; status <= STATUS_COUNT; status++) {
		json_t *column = json_array();
		uint64_t any = 0;
		for (uint32_t i = 0; i < n; i++) {
			any += p->series.at[i].refused[status];
			json_array_append_new(column, per_second(p, p->series.at[i].refused[status]));
		}
		if (any > 0)
			json_object_set(o, reason_name(status), column);
		json_decref(column);
	}
	return o;
}

static json_t *
series_latency(const struct play *p, enum work w, uint32_t n)
{
	static const struct { const char *name; double share; } which[] = { { "p50", .5 }, { "p99", .99 }, { "p999", .999 } };
	json_t *o = json_object();
	for (size_t q = 0; q < sizeof which / sizeof *which; q++) {
		json_t *column = json_array();
		for (uint32_t i = 0; i < n; i++) {
			const struct histogram *h = &p->series.waited[w][i].histogram;
			json_array_append_new(column, h->n ? report_real(histogram_ms(h, which[q].share)) : json_null());
		}
		report_put(o, which[q].name, column);
	}
	return o;
}

static json_t *
series_stock(const struct play *p, uint32_t n)
{
	json_t *all = json_array();
	for (uint32_t w = 0; w < p->watched_n; w++) {
		const struct plan_cell *c = &p->plan->cells[p->watched[w]];
		json_t *left = json_array();
		for (uint32_t i = 0; i < n; i++)
			json_array_append_new(left, p->series.at[i].looked ? report_whole(p->series.at[i].left[w]) : json_null());
		json_array_append_new(all, json_pack("{s:s, s:s, s:o}", "sku", p->plan->skus[c->sku], "location", p->plan->locations[c->location], "left_n", left));
	}
	return all;
}

static json_t *
series_json(const struct play *p)
{
	json_t *o = json_object(), *latency = json_object();
	uint32_t n = p->series.used;
	for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
		json_t *column = json_array();
		for (uint32_t i = 0; i < n; i++)
			json_array_append_new(column, columns[c].value(p, i));
		report_put(o, columns[c].name, column);
	}
	for (int w = 0; w < WORKS; w++)
		if (p->series.all_waited[w].histogram.n > 0)
			report_put(latency, work_name[w], series_latency(p, w, n));
	report_put(o, "refused_per_s", series_refused(p, n));
	report_put(o, "latency_ms", latency);
	report_put(o, "stock_left", series_stock(p, n));
	return o;
}

/* ---- a run ---- */

static json_t *
counts_json(const struct play *p, const struct verdict *v)
{
	const struct counts *c = &p->counts;
	json_t *refused = json_object();
	uint64_t shoppers = 0;
	for (uint32_t s = 0; s <= STATUS_COUNT; s++)
		if (c->refused[s] > 0)
			report_put(refused, reason_name(s), report_whole((int64_t)c->refused[s]));
	for (uint32_t i = 0; i < p->plan->shoppers_n; i++)
		shoppers += !p->plan->shoppers[i].warm && p->plan->shoppers[i].state != SHOPPER_TO_COME;
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "shoppers_n", (json_int_t)shoppers, "asked_n",
	    (json_int_t)c->asked, "answered_n", (json_int_t)c->answered, "unanswered_n", (json_int_t)c->unanswered, "granted_n",
	    (json_int_t)c->granted, "refused", refused, "asked_again_n", (json_int_t)c->asked_again, "pressed_twice_n", (json_int_t)c->twice,
	    "reads_n", (json_int_t)c->reads, "committed_n", (json_int_t)c->committed, "fulfilled_n", (json_int_t)c->fulfilled, "released_n",
	    (json_int_t)c->released, "expired_n", (json_int_t)v->expired_unused, "till_events_n", (json_int_t)c->till_events);
}

static json_t *
client_json(const struct play *p)
{
	const struct spread *late = &p->series.all_late;
	double late_ms = histogram_ms(&late->histogram, .99), most_ms = 0;
	char text[320];
	for (int w = 0; w < WORKS; w++)
		if (p->series.all_waited[w].histogram.n > 0)
			most_ms = fmax(most_ms, histogram_ms(&p->series.all_waited[w].histogram, .99));
	bool bottleneck = late_ms > LATE_MS && late_ms > LATE_SHARE * most_ms;
	if (bottleneck)
		snprintf(text, sizeof text, "the client was late against its own schedule: 1 %% of its requests left more than %.1f ms late. The server may be "
		    "faster than this says", late_ms);
	else
		snprintf(text, sizeof text, "the client kept its schedule: 99 %% of its requests left within %.2f ms", late_ms);
	if (p->others_cpu > OTHERS_CPU)
		snprintf(text + strlen(text), sizeof text - strlen(text), ". Other programs on this machine used %.2f processors meanwhile", p->others_cpu);
	return json_pack("{s:o, s:{s:o, s:o, s:o}, s:o, s:b, s:s}", "others_cpu", p->others_cpu < 0 ? json_null() : report_real(p->others_cpu), "late_ms", "p50", report_real(histogram_ms(&late->histogram, .5)), "p99", report_real(late_ms), "max",
	    report_real((double)late->max_ns / 1e6), "cpu", report_real(p->client_cpu), "bottleneck", bottleneck, "text", text);
}

static json_t *
sum_json(const struct cell_sum *s)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "stock_n", (json_int_t)s->stock, "sold_n", (json_int_t)(s->bought + s->till_sold),
	    "returned_n", (json_int_t)s->returned, "committed_n", (json_int_t)s->bought, "held_n", (json_int_t)s->held, "released_n", (json_int_t)s->released, "expired_n",
	    (json_int_t)s->expired, "refused_n", (json_int_t)s->refused_shoppers, "refused_units_n", (json_int_t)s->refused_units, "left_n",
	    (json_int_t)(s->on_hand - s->held - s->committed));
}

static void
sum_add(struct cell_sum *to, const struct cell_sum *s)
{
	to->stock += s->stock, to->on_hand += s->on_hand, to->held += s->held, to->committed += s->committed, to->bought += s->bought;
	to->till_sold += s->till_sold, to->returned += s->returned, to->released += s->released, to->expired += s->expired;
	to->refused_shoppers += s->refused_shoppers, to->refused_units += s->refused_units;
}

/* The cells where most units were refused, at most `most`, in order. */
static uint32_t
most_refused(const struct plan *p, const struct verdict *v, uint32_t *cells, uint32_t most)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i + 1 < p->cells_n; i++) {
		int64_t units = v->sums[i].refused_units;
		uint32_t at;
		if (units == 0 || (n == most && units <= v->sums[cells[n - 1]].refused_units))
			continue;
		for (at = n < most ? n++ : n - 1; at > 0 && v->sums[cells[at - 1]].refused_units < units; at--)
			cells[at] = cells[at - 1];
		cells[at] = i;
	}
	return n;
}

static uint32_t
cells_shown(const struct plan *p, const struct verdict *v, uint32_t cells[SKUS_SHOWN])
{
	uint32_t hottest[SKUS_SHOWN], hottest_n = plan_hottest(p, hottest, SKUS_SHOWN), n = most_refused(p, v, cells, SKUS_SHOWN / 2), refused_n = n;
	for (uint32_t i = 0; i < hottest_n && n < SKUS_SHOWN; i++) {
		bool there = false;
		for (uint32_t r = 0; r < refused_n; r++)
			there |= cells[r] == hottest[i];
		if (!there)
			cells[n++] = hottest[i];
	}
	return n;
}

static void
put_skus(json_t *run, const struct plan *p, const struct verdict *v)
{
	uint32_t shown[SKUS_SHOWN], n = cells_shown(p, v, shown);
	struct cell_sum others = { 0 };
	json_t *skus = json_array(), *rest;
	for (uint32_t i = 0; i + 1 < p->cells_n; i++)
		sum_add(&others, &v->sums[i]);
	for (uint32_t i = 0; i < n; i++) {
		const struct cell_sum *s = &v->sums[shown[i]];
		struct cell_sum less = { -s->stock, -s->on_hand, -s->held, -s->committed, -s->bought, -s->till_sold, -s->returned, -s->fulfilled,
			-s->released, -s->expired, -s->refused_shoppers, -s->refused_units, 0, false };
		json_t *one = sum_json(s);
		report_put(one, "sku", json_string(p->skus[p->cells[shown[i]].sku]));
		report_put(one, "location", json_string(p->locations[p->cells[shown[i]].location]));
		report_put(one, "sold_out_at_s", s->sold_out_ns >= 0 ? report_real((double)s->sold_out_ns / 1e9) : json_null());
		json_array_append_new(skus, one);
		sum_add(&others, &less);
	}
	rest = sum_json(&others);
	report_put(rest, "cells_n", report_whole(p->cells_n - 1 - n));
	report_put(run, "skus", skus);
	report_put(run, "others", rest);
}

static json_t *
check_json(const char *name, uint64_t value, const char *format, ...) __attribute__((format(printf, 3, 4)));
static json_t *
check_json(const char *name, uint64_t value, const char *format, ...)
{
	char text[300];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return json_pack("{s:s, s:I, s:b, s:s}", "name", name, "value", (json_int_t)value, "good", value == 0, "text", text);
}

static void
fairness_say(const struct fairness *f, char *to, size_t size)
{
	int n = snprintf(to, size, "%.2f %% of pairs of granted shoppers were granted against the order of their arrival; %s refused shoppers came before one who "
	    "was granted", f->out_of_order_share * 100, report_number((double)f->passed_over));
	if (f->unexplained > 0)
		snprintf(to + n, size - (size_t)n, ", %s of them although no unit had come back in between (by %.1f ms at most)", report_number((double)f->unexplained),
		    f->worst_ms);
	else if (f->passed_over > 0)
		snprintf(to + n, size - (size_t)n, ", each because units had come back in between");
}

static json_t *
verdict_json(const struct verdict *v)
{
	const struct fairness *f = &v->fairness;
	const struct lost_sales *l = &v->lost_sales;
	char lost[300], fair[300];
	const char *not_compared = v->compared ? "" : " (the server's end was not compared)";
	json_t *checks = json_array();
	json_array_append_new(checks, check_json("oversold", v->oversold, "%s grants, the warm-up's too, each checked at its position: were the units there?",
	    report_number((double)v->grants)));
	json_array_append_new(checks, check_json("lost", v->lost, "%s reservations, %s cells, %s events of %s tills, the warm-up's too, are at the server as answered%s",
	    report_number((double)v->reservations), report_number((double)v->cells), report_number((double)v->events), report_number((double)v->tills), not_compared));
	json_array_append_new(checks, check_json("doubled", v->doubled, "nothing that was sent twice happened twice, no unit moved without a record%s",
	    not_compared));
	json_array_append_new(checks, check_json("unanswered", v->unanswered, "requests without an answer when the run ended"));
	json_array_append_new(checks, check_json("wrong", v->wrong, "answers that the rules do not allow"));
	if (l->shoppers == 0)
		snprintf(lost, sizeof lost, "nobody who was refused could have been served later");
	else
		snprintf(lost, sizeof lost, "%s units came back to cells where somebody had been refused: enough for %s of these shoppers (%s units), had they waited; "
		    "%s of these units were left at the end", report_number((double)l->came_back), report_number((double)l->shoppers), report_number((double)l->units),
		    report_number((double)l->unsold_units));
	if (f->granted == 0)
		snprintf(fair, sizeof fair, "nothing ran out, so nobody was before another");
	else
		fairness_say(f, fair, sizeof fair);
	return json_pack("{s:b, s:o, s:{s:I, s:I, s:I, s:I, s:s}, s:{s:I, s:f, s:I, s:I, s:o, s:s}, s:I}", "good", judge_good(v), "checks", checks,
	    "lost_sales", "shoppers_n", (json_int_t)l->shoppers, "units_n", (json_int_t)l->units, "came_back_n", (json_int_t)l->came_back,
	    "unsold_units_n", (json_int_t)l->unsold_units, "text", lost, "fairness", "granted_n", (json_int_t)f->granted, "out_of_order_share", f->out_of_order_share, "passed_over_n", (json_int_t)f->passed_over,
	    "unexplained_n", (json_int_t)f->unexplained, "worst_ms", report_real(f->worst_ms), "text", fair, "expired_unused_n", (json_int_t)v->expired_unused);
}

static void
put_run_figures(json_t *run, const struct play *p)
{
	static const struct { const char *name; enum work work; double share; } latencies[] = { { "hold_p50_ms", WORK_HOLD, .5 },
		{ "hold_p99_ms", WORK_HOLD, .99 }, { "hold_p999_ms", WORK_HOLD, .999 }, { "read_p99_ms", WORK_READ, .99 },
		{ "settle_p99_ms", WORK_SETTLE, .99 }, { "till_p99_ms", WORK_TILL, .99 } };
	json_t *o = json_object();
	double seconds = (double)p->played_ns / 1e9;
	uint64_t arrivals = 0, answered = 0, granted = 0;
	for (uint32_t i = 0; i < p->series.used; i++) {
		arrivals += p->series.at[i].arrivals;
		if ((int64_t)(i + 1) * p->series.interval_ns <= p->played_ns)
			answered += p->series.at[i].answered, granted += p->series.at[i].granted;
	}
	report_put(o, "arrivals_per_s", report_real((double)arrivals / seconds));
	report_put(o, "answered_per_s", report_real((double)answered / seconds));
	report_put(o, "granted_per_s", report_real((double)granted / seconds));
	for (size_t i = 0; i < sizeof latencies / sizeof *latencies; i++)
		if (p->series.all_waited[latencies[i].work].histogram.n > 0)
			report_put(o, latencies[i].name, report_real(histogram_ms(&p->series.all_waited[latencies[i].work].histogram, latencies[i].share)));
	if (p->server_cpu >= 0 && p->target.server_pid > 0) {
		report_put(o, "server_cpu", report_real(p->server_cpu));
		report_put(o, "server_rss_bytes", report_whole(p->rss_peak_bytes));
	}
	report_put(run, "figures", o);
}

void
report_add(json_t *report, const struct play *p, const struct verdict *v, uint64_t seed)
{
	json_t *run = json_pack("{s:I, s:f, s:b}", "seed", (json_int_t)seed, "duration_s", (double)p->plan->duration_ns / 1e9, "closed_loop",
	    (int)p->scenario->closed);
	report_put(run, "counts", counts_json(p, v));
	put_run_figures(run, p);
	report_put(run, "latency_ms", spreads_json(p->series.all_waited));
	report_put(run, "service_ms", spreads_json(p->series.all_service));
	report_put(run, "distribution", distributions_json(p->series.all_waited));
	report_put(run, "client", client_json(p));
	report_put(run, "series", series_json(p));
	put_skus(run, p->plan, v);
	report_put(run, "verdict", verdict_json(v));
	report_put(report, "interval_ms", report_whole(p->series.interval_ns / 1000000));
	json_array_append_new(json_object_get(report, "runs"), run);
}
