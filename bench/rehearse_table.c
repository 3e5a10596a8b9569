/* rehearse_table.c: the report as text, for a terminal: all of it out of the JSON object. The contract is in rehearse_report.h. */
#include "bench/rehearse_report.h"

#include <stdio.h>
#include <stdlib.h>

#define SKUS_PRINTED 5

static double
number(const json_t *o, const char *name)
{
	return json_number_value(json_object_get(o, name));
}

static const char *
words(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));
	return s ? s : "";
}

const char *
report_number(double v)
{
	static char text[16][32];
	static int turn;
	char digits[32], *to = text[turn++ % 16], *start = to;
	int n = snprintf(digits, sizeof digits, "%.0f", v < 0 ? -v : v);
	if (v < 0)
		*to++ = '-';
	for (int i = 0; i < n && to - start < 30; i++) {
		if (i && (n - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = 0;
	return start;
}

static const json_t *
shown(const json_t *report)
{
	return json_array_get(json_object_get(report, "runs"), (size_t)json_integer_value(json_object_get(report, "shown_run")));
}

static void
print_head(FILE *to, const json_t *report)
{
	const json_t *machine = json_object_get(report, "machine"), *server = json_object_get(report, "server"), *scenario = json_object_get(report, "scenario");
	fprintf(to, "%s: %s\n", words(scenario, "name"), words(scenario, "about"));
	fprintf(to, "  %s, %.0f processors, %.1f GiB, %s; server %s at %s%s\n", words(machine, "cpu"), number(machine, "cpus_n"),
	    number(machine, "memory_bytes") / (1 << 30), words(machine, "system"), words(server, "version"), words(server, "address"),
	    json_is_true(json_object_get(server, "own")) ? ", started for this on the same machine" : "");
}

static void
print_summary(FILE *to, const json_t *report)
{
	static const struct { const char *name, *text, *unit; int decimals; } rows[] = { { "arrivals_per_s", "shoppers came", "/s", 0 },
		{ "answered_per_s", "requests answered", "/s", 0 }, { "granted_per_s", "holds granted", "/s", 0 }, { "hold_p50_ms", "hold, p50", "ms", 2 },
		{ "hold_p99_ms", "hold, p99", "ms", 2 }, { "hold_p999_ms", "hold, p99.9", "ms", 2 }, { "read_p99_ms", "read, p99", "ms", 2 },
		{ "settle_p99_ms", "commit and the like, p99", "ms", 2 }, { "till_p99_ms", "till message, p99", "ms", 2 },
		{ "server_cpu", "server, processors", "", 2 }, { "server_rss_bytes", "server, memory", "MiB", 0 } };
	const json_t *summary = json_object_get(report, "summary");
	size_t n = json_array_size(json_object_get(report, "runs"));
	fprintf(to, "\n  %zu run%s%-21s %12s %12s %12s\n", n, n == 1 ? " " : "s", "", n == 1 ? "" : "median", n == 1 ? "" : "lowest", n == 1 ? "" : "highest");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const json_t *row = json_object_get(summary, rows[i].name);
		double by = strcmp(rows[i].unit, "MiB") == 0 ? 1 << 20 : 1;
		static const char *const names[] = { "median", "low", "high" };
		if (!row)
			continue;
		fprintf(to, "  %-27s", rows[i].text);
		for (int c = 0; c < (n == 1 ? 1 : 3); c++)
			if (rows[i].decimals)
				fprintf(to, " %12.*f", rows[i].decimals, number(row, names[c]) / by);
			else
				fprintf(to, " %12s", report_number(number(row, names[c]) / by));
		fprintf(to, " %s\n", rows[i].unit);
	}
}

static void
print_counts(FILE *to, const json_t *run)
{
	const json_t *c = json_object_get(run, "counts");
	const char *reason;
	json_t *v;
	fprintf(to, "\n  shoppers %s, holds granted %s; bought %s, given back %s, expired unused %s", report_number(number(c, "shoppers_n")), report_number(number(c, "granted_n")),
	    report_number(number(c, "committed_n")), report_number(number(c, "released_n")), report_number(number(c, "expired_n")));
	if (number(c, "till_events_n") > 0)
		fprintf(to, "; till events %s", report_number(number(c, "till_events_n")));
	fputs("\n  refused:", to);
	json_object_foreach(json_object_get(c, "refused"), reason, v)
		fprintf(to, " %s %s;", strcmp(reason, "insufficient") == 0 ? "sold out" : reason, report_number(json_number_value(v)));
	fprintf(to, "%s\n", json_object_size(json_object_get(c, "refused")) ? "" : " nobody");
}

static void
print_skus(FILE *to, const json_t *run)
{
	size_t i;
	json_t *sku;
	bool refused = number(json_array_get(json_object_get(run, "skus"), 0), "refused_units_n") > 0;
	fprintf(to, "\n  %-24s %10s %10s %10s %10s %10s %10s %10s %12s\n", refused ? "most refused" : "most wanted", "stock", "sold", "returned", "held", "left", "refused",
	    "in units", "sold out at");
	json_array_foreach(json_object_get(run, "skus"), i, sku) {
		char name[64];
		if (i == SKUS_PRINTED)
			break;
		snprintf(name, sizeof name, "%.30s %.30s", words(sku, "sku"), words(sku, "location"));
		fprintf(to, "  %-24s %10s %10s %10s %10s %10s %10s %10s ", name, report_number(number(sku, "stock_n")), report_number(number(sku, "sold_n")),
		    report_number(number(sku, "returned_n")), report_number(number(sku, "held_n")), report_number(number(sku, "left_n")), report_number(number(sku, "refused_n")), report_number(number(sku, "refused_units_n")));
		if (json_is_number(json_object_get(sku, "sold_out_at_s")))
			fprintf(to, "%10.2f s\n", number(sku, "sold_out_at_s"));
		else
			fprintf(to, "%12s\n", "-");
	}
}

static void
print_capacity(FILE *to, const json_t *capacity)
{
	size_t i;
	json_t *step;
	fprintf(to, "\n  %12s %12s %12s %10s %10s\n", "rate/s", "hold p99 ms", "overloaded", "server cpu", "client cpu");
	json_array_foreach(json_object_get(capacity, "steps"), i, step)
		fprintf(to, "  %12s %12.2f %12s %10.2f %10.2f   %s%s\n", report_number(number(step, "rate_per_s")), number(step, "hold_p99_ms"), report_number(number(step, "overloaded_n")),
		    number(step, "server_cpu"), number(step, "client_cpu"), json_is_true(json_object_get(step, "kept")) ? "kept" : "not kept: ",
		    words(step, "text"));
	fprintf(to, "\nCAPACITY: %s\n", words(capacity, "text"));
}

static void
print_verdict(FILE *to, const json_t *report)
{
	const json_t *v = json_object_get(report, "verdict");
	size_t i;
	json_t *check;
	bool checks_good = true;
	fputs("\n", to);
	json_array_foreach(json_object_get(v, "checks"), i, check) {
		checks_good &= json_is_true(json_object_get(check, "good"));
		fprintf(to, "  %-4s %-10s %8s   %s\n", json_is_true(json_object_get(check, "good")) ? "ok" : "FAIL", words(check, "name"),
		    report_number(number(check, "value")), words(check, "text"));
	}
	fprintf(to, "       lost sales: %s\n", words(json_object_get(v, "lost_sales"), "text"));
	fprintf(to, "       fairness: %s\n", words(json_object_get(v, "fairness"), "text"));
	if (checks_good && !json_is_true(json_object_get(report, "complete")))
		fputs("\nVERDICT: none, because it was not played to its end; nothing wrong was seen\n", to);
	else
		fprintf(to, "\nVERDICT: %s\n", json_is_true(json_object_get(v, "good")) ? "good" : "NOT good");
}

void
report_print(FILE *to, const json_t *report)
{
	const json_t *run = shown(report), *client = json_object_get(run, "client");
	print_head(to, report);
	if (!json_is_true(json_object_get(report, "complete")))
		fprintf(to, "  not complete: %s\n", *words(report, "why") ? words(report, "why") : "interrupted");
	if (run) {
		print_summary(to, report);
		print_counts(to, run);
		print_skus(to, run);
		fprintf(to, "\n  %s%s\n", json_is_true(json_object_get(client, "bottleneck")) ? "NOTE: " : "", words(client, "text"));
	}
	print_verdict(to, report);
	if (json_object_get(report, "capacity"))
		print_capacity(to, json_object_get(report, "capacity"));
}
