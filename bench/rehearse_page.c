/*
 * rehearse_page.c: the parts of the page, built into the program (the page must not look for files), and putting them together: the
 * template bench/page/report.html names each part as @name@.
 */
#include "bench/rehearse_page.h"

#include <string.h>

/* PAGE_CHART_JS is the installed library's file, from the Makefile. A part ends with a NUL, so that it is a string. */
#define PART(name, file) \
	__asm__(".pushsection .rodata\n.global page_" #name "\npage_" #name ":\n.incbin \"" file "\"\n.byte 0\n.popsection\n"); \
	extern const char page_##name[]
PART(template, "bench/page/report.html");
PART(css, "bench/page/report.css");
PART(text, "bench/page/text.js");
PART(plots, "bench/page/plots.js");
PART(chart, PAGE_CHART_JS);

struct part {
	const char *mark;
	const char *text;
};

/* JSON as it may stand inside <script>: plain ASCII, and `<` as an escape, so that no string of it is read as a tag (HP3). In JSON `<`
 * occurs in strings only, where \u003c is the same letter (HP2). */
static int
report_write(FILE *to, const char *json)
{
	while (*json) {
		size_t n = strcspn(json, "<");
		if (fwrite(json, 1, n, to) != n)
			return -1;
		json += n;
		if (*json == '<') {
			if (fputs("\\u003c", to) < 0)
				return -1;
			json++;
		}
	}
	return 0;
}

static int
mark_write(FILE *to, const char *mark, size_t n, const char *json)
{
	const struct part parts[] = {
		{ "css", page_css },
		{ "chart", page_chart },
		{ "text", page_text },
		{ "plots", page_plots },
	};
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (strlen(parts[i].mark) == n && memcmp(parts[i].mark, mark, n) == 0)
			return fputs(parts[i].text, to) < 0 ? -1 : 0;
	return report_write(to, json); /* the only other mark: @report@ */
}

int
rehearse_page_write(FILE *to, const json_t *report)
{
	char *json = json_dumps(report, JSON_COMPACT | JSON_ENSURE_ASCII);
	const char *at = page_template;
	int failed = json == NULL;
	while (!failed) {
		size_t n = strcspn(at, "@");
		failed = fwrite(at, 1, n, to) != n;
		if (failed || at[n] == 0)
			break;
		const char *mark = at + n + 1;
		size_t mark_n = strcspn(mark, "@");
		failed = mark_write(to, mark, mark_n, json);
		at = mark + mark_n + 1;
	}
	free(json);
	return failed || fflush(to) != 0 ? -1 : 0;
}
