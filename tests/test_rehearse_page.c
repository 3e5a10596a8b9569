/*
 * test_rehearse_page.c: the page of a report is one file that refers to nothing outside it (HP1), holds the report whole (HP2), and
 * cannot be broken by a name in it (HP3). Whether it draws is for test_page_browser.sh.
 */
#define _GNU_SOURCE
#include "bench/rehearse_page.h"
#include "tests/check.h"

#include <string.h>

static const char report_begin[] = "<script type=\"application/json\" id=\"report\">";
static const char hostile[] = "</script><script>alert(1)</script><!-- <img src=http://evil.example/x> \xe2\x80\xa8 \xf0\x9f\x91\x9f @css@ \" & ]]>";

struct page {
	char *text;
	size_t n;
	int result;
};

static void
page_make(struct page *page, const json_t *report)
{
	FILE *to = open_memstream(&page->text, &page->n);
	page->result = rehearse_page_write(to, report);
	fclose(to);
}

/* A small report; `word` stands wherever a planner's own words may. */
static json_t *
report_with(const char *word)
{
	return json_pack("{s:s, s:i, s:s, s:{s:s, s:s, s:s, s:{s:s}}, s:i, s:[{s:i, s:[{s:s, s:s, s:i}]}], s:f}", "format", "holdfast-bench report",
	    "version", 1, "command", "run", "scenario", "name", word, "about", word, "text", word, "values", "units", word, "shown_run", 0, "runs",
	    "seed", 7, "skus", "sku", word, "location", word, "sold_n", 10000, "half", 0.5);
}

/* The text between the report's tag and the next end of a script, as a browser finds it. The caller frees it. */
static char *
report_text(const struct page *page)
{
	const char *from = strstr(page->text, report_begin);
	const char *to = from ? strcasestr(from, "</script") : NULL;
	return to ? strndup(from + strlen(report_begin), (size_t)(to - from) - strlen(report_begin)) : NULL;
}

static size_t
occurrences(const char *text, const char *word)
{
	size_t n = 0;
	for (const char *at = strcasestr(text, word); at; at = strcasestr(at + 1, word))
		n++;
	return n;
}

static void
the_report_parses_back_out_of_the_page(void)
{
	struct page page;
	json_t *report = report_with("flash-sale");
	page_make(&page, report);
	char *text = report_text(&page);
	json_t *back = text ? json_loads(text, 0, NULL) : NULL;
	int same = back && json_equal(back, report);
	json_decref(report);
	json_decref(back);
	free(text);
	free(page.text);
	check_equal(page.result, 0);
	check(same);
}

static void
a_name_that_ends_a_script_breaks_nothing(void)
{
	struct page page, tame;
	json_t *report = report_with(hostile), *harmless = report_with("flash-sale");
	page_make(&page, report);
	page_make(&tame, harmless);
	char *text = report_text(&page);
	json_t *back = text ? json_loads(text, 0, NULL) : NULL;
	int same = back && json_equal(back, report);
	int angled = text && strchr(text, '<');
	int ascii = 1;
	for (const char *at = text; at && *at; at++)
		ascii &= (unsigned char)*at < 0x80;
	size_t scripts = occurrences(page.text, "<script"), scripts_tame = occurrences(tame.text, "<script");
	size_t ends = occurrences(page.text, "</script"), ends_tame = occurrences(tame.text, "</script");
	json_decref(report);
	json_decref(harmless);
	json_decref(back);
	free(text);
	free(page.text);
	free(tame.text);
	check(same);
	check(!angled);
	check(ascii);
	check_equal(scripts, scripts_tame);
	check_equal(ends, ends_tame);
	check_equal(ends, scripts);
}

/* No part may end the script that it stands in: as many ends as beginnings, and the library has none. */
static void
the_page_is_whole(void)
{
	struct page page;
	json_t *report = report_with("flash-sale");
	page_make(&page, report);
	json_decref(report);
	int begins = strncmp(page.text, "<!DOCTYPE html>", 15) == 0;
	int ends = page.n > 10 && strcmp(page.text + page.n - 8, "</html>\n") == 0;
	size_t scripts = occurrences(page.text, "</script"), styles = occurrences(page.text, "</style");
	int drawn = strstr(page.text, "Chart.js v") && strstr(page.text, "const runPlots = [") && strstr(page.text, "--plot-1");
	int licence = strstr(page.text, "Released under the MIT License") != NULL;
	int marks_left = strstr(page.text, "@css@") || strstr(page.text, "@report@") || strstr(page.text, "@chart@") || strstr(page.text, "@plots@");
	free(page.text);
	check(begins);
	check(ends);
	check_equal(scripts, 4); /* the report, the library, text.js, plots.js */
	check_equal(styles, 1);
	check(drawn);
	check(licence);
	check(!marks_left);
}

/* Whatever makes a browser fetch something. In the library addresses stand in comments; the policy covers it all the same. */
static void
the_page_refers_to_nothing_outside_it(void)
{
	static const char *const fetches[] = { " src=", "<link", "@import", "url(", "<iframe", "<object", "<embed", "<base", "import(", "fetch(",
		"XMLHttpRequest", "WebSocket", "sendBeacon", "EventSource", "importScripts" };
	struct page page;
	json_t *report = report_with("flash-sale");
	page_make(&page, report);
	json_decref(report);
	const char *found = NULL;
	for (size_t i = 0; i < sizeof(fetches) / sizeof(fetches[0]); i++)
		if (strstr(page.text, fetches[i]))
			found = fetches[i];
	int forbidden = strstr(page.text, "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'unsafe-inline'; "
	    "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'\">") != NULL;
	free(page.text);
	if (found)
		printf("     found: %s\n", found);
	check(found == NULL);
	check(forbidden);
}

static void
a_full_disk_is_told(void)
{
	static char larger_than_a_page[1 << 20];
	json_t *report = report_with("flash-sale");
	for (int late = 0; late < 2; late++) { /* while writing, and not before the stream is flushed */
		FILE *full = fopen("/dev/full", "w");
		int result = -1;
		if (full) {
			if (late)
				setvbuf(full, larger_than_a_page, _IOFBF, sizeof(larger_than_a_page));
			result = rehearse_page_write(full, report);
			fclose(full);
		}
		if (result != -1)
			json_decref(report);
		check_equal(result, -1);
	}
	json_decref(report);
}

int
main(int argc, char **argv)
{
	static const struct check tests[] = {
		CHECK(the_report_parses_back_out_of_the_page),
		CHECK(a_name_that_ends_a_script_breaks_nothing),
		CHECK(the_page_is_whole),
		CHECK(the_page_refers_to_nothing_outside_it),
		CHECK(a_full_disk_is_told),
	};
	return check_run(argv[0], tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
