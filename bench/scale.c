/*
 * scale.c: what size, the image's writing and time do to the server. Each measurement starts servers of its own in a temporary folder
 * (TMPDIR), prints a page of Markdown, and leaves figures to plot in the folder OUT; bench/scale.sh puts both where they belong.
 *
 *   holdfast-scale sizes OUT [SECONDS [CELLS...]]      memory, rate, restart, image by number of cells
 *   holdfast-scale image OUT [ROUNDS [SECONDS]]        latency of a durable reserve with and without the image being written
 *   holdfast-scale soak OUT [SECONDS [RATE]]           a long steady load that closes what it opens, and whether anything grows
 *
 * The exit code is the verdict: 1 when a bound that is stated does not hold.
 */
#include "bench/scale.h"

#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>

#define OPTIONS_MAX 24
#define PATIENCE_MS 900000 /* a start over 100 M cells */

struct server scale_running;
const char *scale_out;

void
scale_die(const char *format, ...)
{
	va_list list;
	fputs("scale: ", stderr);
	va_start(list, format);
	vfprintf(stderr, format, list);
	va_end(list);
	fputc('\n', stderr);
	server_remove(&scale_running);
	exit(2);
}

void
scale_say(const char *format, ...)
{
	va_list list;
	fputs("     ", stderr);
	va_start(list, format);
	vfprintf(stderr, format, list);
	va_end(list);
	fputc('\n', stderr);
}

bool
scale_verdict(bool holds, const char *what)
{
	printf("- %s %s\n", holds ? "ok" : "**FAIL**", what);
	return holds;
}

FILE *
scale_figures(const char *name)
{
	char path[512];
	snprintf(path, sizeof path, "%s/%s", scale_out, name);
	FILE *f = fopen(path, "w");
	if (!f)
		scale_die("cannot write %s", path);
	return f;
}

void
scale_server(struct server *s, const char *const *options)
{
	/* What waits is measured, not refused. */
	static const char *const usual[] = { "--gate", "off", "--http", "off", "--journal-bytes-max", "64G", "--queue-age-ms", "0" };
	const char *all[OPTIONS_MAX];
	struct why why = { "" };
	size_t n = 0;
	for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
		all[n++] = usual[i];
	for (; *options && n < OPTIONS_MAX - 1; options++)
		all[n++] = *options;
	all[n] = NULL;
	if (!s->folder[0] && server_init(s, &why) < 0)
		scale_die("%s", why.text);
	s->patience_ms = PATIENCE_MS;
	if (server_start(s, all, &why) < 0)
		scale_die("%s", why.text);
}

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} tasks[] = { { "sizes", scale_sizes }, { "image", scale_image }, { "soak", scale_soak } };

int
main(int argc, char **argv)
{
	setlocale(LC_NUMERIC, ""); /* thousands in groups, where the locale has any */
	for (size_t i = 0; argc >= 3 && i < sizeof tasks / sizeof *tasks; i++)
		if (strcmp(argv[1], tasks[i].name) == 0) {
			scale_out = argv[2];
			int verdict = tasks[i].run(argc - 3, argv + 3);
			server_remove(&scale_running);
			return verdict;
		}
	fputs("usage: holdfast-scale sizes OUT [SECONDS [CELLS...]]\n"
	    "       holdfast-scale image OUT [ROUNDS [SECONDS]]\n"
	    "       holdfast-scale soak OUT [SECONDS [RATE]]\n", stderr);
	return 2;
}
