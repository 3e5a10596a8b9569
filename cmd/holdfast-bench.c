/* holdfast-bench.c: the rehearsal tool's main: which command, which files. The options are in cmd/bench_options.c, the work in bench/rehearse*.c. */
#include "bench/rehearse_capacity.h"
#include "bench/rehearse_page.h"
#include "bench/rehearse_replay.h"
#include "cmd/bench_options.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXIT_BAD 1
#define EXIT_USAGE 2
#define EXIT_SERVER 3
#define EXIT_FILE 7

static int
say(int code, const char *text)
{
	fprintf(stderr, "holdfast-bench: %s\n", text);
	return code;
}

static int
file_failed(const char *path)
{
	fprintf(stderr, "holdfast-bench: cannot write %s: %s\n", path, strerror(errno));
	return EXIT_FILE;
}

static int
write_json(const char *path, const json_t *report)
{
	FILE *f = fopen(path, "w");
	bool written = f && json_dumpf(report, f, JSON_COMPACT | JSON_REAL_PRECISION(9)) == 0 && fputc('\n', f) != EOF;
	if (f)
		written = fclose(f) == 0 && written;
	return written ? 0 : file_failed(path);
}

static int
write_page(const char *path, const json_t *report)
{
	FILE *f = fopen(path, "w");
	bool written = f && rehearse_page_write(f, report) == 0;
	if (f)
		written = fclose(f) == 0 && written;
	return written ? 0 : file_failed(path);
}

/* The page of a report that is in a file. */
static int
page(const struct bench_options *o)
{
	json_error_t error;
	json_t *report = json_load_file(o->subject, 0, &error);
	const char *format = json_string_value(json_object_get(report, "format"));
	int code = 0;
	if (!report || !format || strcmp(format, "holdfast-bench report") != 0) {
		fprintf(stderr, "holdfast-bench: %s is no report that --json wrote%s%s\n", o->subject, report ? "" : ": ", report ? "" : error.text);
		code = EXIT_FILE;
	} else if (o->page)
		code = write_page(o->page, report);
	else if (rehearse_page_write(stdout, report) < 0 || fflush(stdout) != 0)
		code = file_failed("the page");
	json_decref(report);
	return code;
}

/* The report's files, and the table. */
static int
tell(const struct bench_options *o, const json_t *report)
{
	const json_t *capacity = json_object_get(report, "capacity");
	bool good = report_good(report) && (!capacity || json_number_value(json_object_get(capacity, "rate_per_s")) > 0);
	int code = good ? 0 : EXIT_BAD, failed = 0;
	report_print(stdout, report);
	fflush(stdout);
	if (o->json)
		failed = write_json(o->json, report);
	if (o->page && write_page(o->page, report) != 0)
		failed = EXIT_FILE;
	return failed ? failed : code;
}

/* A report that cannot be written is told before it is made. What is there is not opened: it may be a pipe. NULL: none is asked for. */
static int
can_write(const char *path)
{
	struct stat st;
	if (path && stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		errno = EISDIR;
		return file_failed(path);
	}
	if (!path || access(path, W_OK) == 0)
		return 0;
	FILE *f = errno == ENOENT ? fopen(path, "w") : NULL;
	if (!f)
		return file_failed(path);
	fclose(f);
	remove(path);
	return 0;
}

/* The scenario that is meant, with what the command line changes. */
static int
scenario_of(const struct bench_options *o, struct scenario *s, struct why *why)
{
	char runs[64];
	if (o->command == BENCH_REPLAY)
		scenario_replay(s);
	else if (scenario_read(s, o->subject, why) < 0)
		return -1;
	for (uint32_t i = 0; i < o->sets_n; i++)
		if (scenario_set(s, o->sets[i], why) < 0)
			return -1;
	snprintf(runs, sizeof runs, "runs=%.40s", o->runs ? o->runs : "");
	return o->runs && scenario_set(s, runs, why) < 0 ? -1 : scenario_check(s, why);
}

static int
play(const struct bench_options *o)
{
	static struct scenario s;
	struct why why = { "" };
	struct rehearsal r = { .command = bench_commands[o->command].name, .scenario = &s, .server = o->server, .events = o->events, .quiet = o->quiet };
	if (scenario_of(o, &s, &why) < 0)
		return say(EXIT_USAGE, why.text);
	if (can_write(o->json) != 0 || can_write(o->page) != 0)
		return EXIT_FILE;
	if (o->command == BENCH_REPLAY) {
		if (replay_open(o->subject, o->speed, o->stock, &s, &why) < 0)
			return say(EXIT_FILE, why.text);
		r.make = replay_plan;
	}
	json_t *report = o->command == BENCH_CAPACITY ? capacity(&r, o->p99_ms, &why) : rehearse(&r, &why);
	replay_close();
	if (!report)
		return say(EXIT_SERVER, why.text);
	int code = tell(o, report);
	json_decref(report);
	return code;
}

static int
show(const char *where)
{
	static struct scenario s;
	struct why why;
	if (scenario_read(&s, where, &why) < 0)
		return say(EXIT_USAGE, why.text);
	fputs(s.text, stdout);
	return 0;
}

static int
list(void)
{
	struct why why;
	if (scenario_list(stdout, &why) < 0)
		return say(EXIT_FILE, why.text);
	puts("\n'holdfast-bench show NAME' prints one, 'holdfast-bench run NAME' plays it. For one of your own: show, change, run ./my-file.ini");
	return 0;
}

int
main(int argc, char **argv)
{
	struct bench_options o;
	struct why why = { "" };
	if (bench_options_read(&o, argc, argv, &why) < 0)
		return say(EXIT_USAGE, why.text);
	if (o.help || o.version) {
		o.help ? bench_options_help(stdout) : (void)puts(BENCH_VERSION);
		return 0;
	}
	switch (o.command) {
	case BENCH_LIST: return list();
	case BENCH_SHOW: return show(o.subject);
	case BENCH_KEYS: scenario_help(stdout); return 0;
	case BENCH_RUN:
	case BENCH_CAPACITY:
	case BENCH_REPLAY: return play(&o);
	case BENCH_PAGE: return page(&o);
	}
	return EXIT_USAGE;
}
