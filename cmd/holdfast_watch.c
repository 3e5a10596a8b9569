/*
 * holdfast_watch.c: `watch`: changes of cells as they happen, one a line, across lost servers. What it prints last is the position to go on
 * from. The connection that lasts is the library's (holdfast/async.h).
 */
#include "cmd/holdfast_cli.h"
#include "cmd/holdfast_page.h"

#include <holdfast/async.h>

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 500 /* Ctrl-C between a look at the flag and the wait is seen after so long */
#define NAME_COLUMNS_MAX 40

const struct cli_option cli_watch_options[] = {
	{ "location", "LOCATION", "only cells of this location" },
	{ "group", "GROUP", "only cells of the locations of this group" },
	{ "sku", "SKU", "only this SKU" },
	{ "since", "SEQ", "begin with the changes after this position; else with those from now on" },
	{ "threshold-only", NULL, "only when a cell runs out, or is back" },
	{ "full", NULL, "every change of a cell, with what is on hand; else only those of ATS" },
	{ "limit", "N", "end after so many changes" },
	{ NULL, NULL, NULL },
};

const char cli_watch_more[] =
    "Several changes of one cell that happen together are told as one. A server that goes away is waited for, and\n"
    "what happened meanwhile is told then. At its end the position is shown with which --since goes on: nothing is\n"
    "lost in between. With --json one object a line {\"seq\", \"sku\", \"location\", \"ats\", \"was\"}, with --full also\n"
    "\"on_hand\" and \"threshold\" (\"out\", \"back\" or null), and {\"since\"} as the last one. To keep a copy:\n"
    "  holdfast scan --snapshot --out stock.csv     and then, with the position that it shows\n"
    "  holdfast watch --full --since POSITION --json\n";

static volatile sig_atomic_t interrupted;

struct watch {
	struct cli *cli;
	struct hf *hf; /* the one that lasts */
	int64_t since; /* everything up to here is printed; -1: nothing is known yet */
	int64_t limit; /* 0: none */
	uint64_t changes;
	bool full, lost;
	int sku_columns, location_columns;
	int exit; /* -1: go on */
};

static void
on_interrupt(int signal)
{
	interrupted = 1;
}

/* ---- changes ---- */

enum part { SEQ, SKU, LOCATION, ATS, WAS, ON_HAND, THRESHOLD };
static const char *const part_name[] = { "seq", "sku", "location", "ats", "was", "on_hand", "threshold" };

static const struct hf_value *
part_of(const struct hf_value *change, enum part i)
{
	return change->type == HF_ARRAY && i < change->array.n ? &change->array.items[i] : NULL;
}

static void
change_as_json(const struct watch *w, const struct hf_value *change)
{
	json_t *j = json_object();
	for (enum part i = SEQ; i <= (w->full ? THRESHOLD : WAS); i++)
		json_object_set_new(j, part_name[i], page_json(part_of(change, i)));
	page_json_out(j);
}

/* Columns grow with what has come: a stream cannot know what will. */
static void
print_name(const struct hf_value *v, int *columns)
{
	char name[256];
	int wide = words_width(words_text(name, sizeof name, v));
	if (wide > *columns && wide <= NAME_COLUMNS_MAX)
		*columns = wide;
	printf("%s%*s  ", name, wide < *columns ? *columns - wide : 0, "");
}

static void
change_for_people(struct watch *w, const struct hf_value *change)
{
	char a[WORDS], b[WORDS], threshold[16];
	printf("%12s  ", words_count(a, hf_int(part_of(change, SEQ), 0)));
	print_name(part_of(change, SKU), &w->sku_columns);
	print_name(part_of(change, LOCATION), &w->location_columns);
	printf("%9s -> %s", words_count(a, hf_int(part_of(change, WAS), 0)), words_count(b, hf_int(part_of(change, ATS), 0)));
	if (w->full)
		printf("  on hand %s", words_count(a, hf_int(part_of(change, ON_HAND), 0)));
	if (*words_text(threshold, sizeof threshold, part_of(change, THRESHOLD)))
		printf("  %s", threshold);
	putchar('\n');
}

/* --limit ends between two positions, so that --since goes on exactly there. */
static void
take_changes(struct watch *w, const struct hf_value *changes)
{
	for (uint32_t i = 0; changes && changes->type == HF_ARRAY && i < changes->array.n; i++) {
		const struct hf_value *change = &changes->array.items[i];
		int64_t seq = hf_int(part_of(change, SEQ), w->since);
		if (w->limit && w->changes >= (uint64_t)w->limit && seq != w->since) {
			w->exit = CLI_OK;
			break;
		}
		if (w->cli->json)
			change_as_json(w, change);
		else
			change_for_people(w, change);
		w->changes++;
		w->since = seq;
	}
	if (w->limit && w->changes >= (uint64_t)w->limit)
		w->exit = CLI_OK;
	if (fflush(stdout) != 0)
		w->exit = CLI_FILE;
}

/* ---- what else happens ---- */

/* Of hf_error(), in the words of every other subcommand. */
static int
refused(struct watch *w, const struct hf_failure *f)
{
	char oldest[WORDS], since[WORDS];
	bool gone = strcmp(f->code, "gone") == 0, behind = strcmp(f->code, "behind") == 0;
	if (w->cli->json || !(gone || behind))
		return cli_refused(w->cli, f);
	words_count(since, w->since);
	words_count(oldest, hf_int(hf_get(f->detail, gone ? "oldest" : "seq"), 0));
	if (gone)
		fprintf(stderr, "holdfast watch: the changes after position %s are no longer kept; the journal begins at %s (gone)\n"
		    "hint: begin anew with the whole: holdfast scan --snapshot --out FILE, then watch --since the position it shows;\n"
		    "      the server's --history-bytes keeps more\n", since, oldest);
	else
		fprintf(stderr, "holdfast watch: position %s lies in the future: the server is at %s (behind)\n"
		    "hint: is it another server, or was it restored from a backup? Begin anew with: holdfast scan --snapshot\n", since, oldest);
	return CLI_REFUSED;
}

/* On stderr, behind what was printed before it. */
__attribute__((format(printf, 1, 2))) static void
told(const char *format, ...)
{
	va_list args;
	fflush(stdout);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
}

static void
take_event(struct watch *w, const struct hf_event *e)
{
	char seq[WORDS];
	switch (e->kind) {
	case HF_WATCHING:
		if (w->since < 0)
			w->since = (int64_t)e->seq;
		if (!w->lost && !w->cli->json)
			told("watching from position %s on (Ctrl-C ends)\n", words_count(seq, w->since));
		if (w->lost)
			told("the server is back at position %s; going on without a gap\n", words_count(seq, (int64_t)e->seq));
		w->lost = false;
		break;
	case HF_CHANGED:
		take_changes(w, e->value);
		break;
	case HF_REACHED:
		w->since = (int64_t)e->seq > w->since ? (int64_t)e->seq : w->since;
		break;
	case HF_DISCONNECTED:
		if (!w->lost)
			told("holdfast watch: %s; trying again until it is back (Ctrl-C ends)\n", e->failure ? e->failure->message : "the line is lost");
		w->lost = true;
		break;
	case HF_WATCH_ENDED:
		w->exit = refused(w, e->failure);
		break;
	case HF_CONNECTED:
	case HF_ANSWER:
		break;
	}
}

static void
follow(struct watch *w)
{
	struct hf_event event;
	while (w->exit < 0 && !interrupted) {
		hf_async_wait(w->hf, LOOK_MS);
		while (w->exit < 0 && !interrupted && hf_async_next(w->hf, &event))
			take_event(w, &event);
	}
	if (w->exit < 0)
		w->exit = CLI_INTERRUPTED;
}

static void
say_since(const struct watch *w)
{
	char seq[WORDS];
	snprintf(seq, sizeof seq, "%lld", (long long)w->since);
	if (w->since < 0 || w->exit == CLI_REFUSED)
		return;
	if (w->cli->json)
		page_json_out(json_pack("{s:I}", "since", (json_int_t)w->since));
	else
		told("go on with: holdfast watch --since %s\n", seq);
}

/* ---- beginning and end ---- */

static int
begin(struct watch *w)
{
	struct cli *cli = w->cli;
	const struct hf_value *v;
	struct hf_failure failure;
	struct hf_watch watch = { .location = cli_value(cli, "location"), .group = cli_value(cli, "group"), .sku = cli_value(cli, "sku"),
		.since = w->since < 0 ? HF_FROM_NOW : w->since, .threshold_only = cli_value(cli, "threshold-only") != NULL, .full = w->full };
	/* A first contact that fails is a mistake more often than bad luck: it is told like everywhere, and not waited for. */
	if (!cli_connect(cli))
		return CLI_UNREACHABLE;
	enum hf_outcome got = hf_hello(cli->hf, &v);
	if (got != HF_OK)
		return cli_failed_read(cli, got);
	w->hf = hf_async_open(cli->host, cli->port, NULL, &failure);
	if (!w->hf)
		return cli_say(cli, CLI_UNREACHABLE, "unreachable", "%s", failure.message);
	hf_close(cli->hf);
	cli->hf = NULL;
	hf_async_watch(w->hf, &watch);
	return -1;
}

int
cli_watch(struct cli *cli, int argc, char **argv)
{
	struct sigaction stop = { .sa_handler = on_interrupt };
	const char *since = cli_value(cli, "since"), *limit = cli_value(cli, "limit");
	struct watch w = { .cli = cli, .since = -1, .full = cli_value(cli, "full") != NULL };
	if (argc != 0)
		return cli_usage(cli, "it takes no words, only options: --sku '%s'?", argv[0]);
	if (since && !cli_number(since, 0, (INT64_C(1) << 53) - 1, &w.since))
		return cli_usage(cli, "--since takes a position: a whole number, not '%s'", since);
	if (limit && !cli_number(limit, 1, INT64_C(1) << 53, &w.limit))
		return cli_usage(cli, "--limit takes a whole number from 1 on, not '%s'", limit);
	if (cli_value(cli, "location") && cli_value(cli, "group"))
		return cli_usage(cli, "--location or --group, not both");
	w.exit = begin(&w);
	if (w.exit < 0) {
		sigaction(SIGINT, &stop, NULL);
		sigaction(SIGTERM, &stop, NULL);
		sigaction(SIGHUP, &stop, NULL);
		follow(&w);
		say_since(&w);
	}
	hf_close(w.hf);
	return w.exit;
}
