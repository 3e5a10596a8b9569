/*
 * holdfast_post.c: `holdfast post FILE`: its options, the file's rows into the flow, and the report. What happens to rows on their way
 * is in post_flow.c.
 */
#include "cmd/holdfast_cli.h"
#include "cmd/post_flow.h"
#include "cmd/post_resume.h"
#include "cmd/post_row.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCH_DEFAULT 500
#define PATIENCE_DEFAULT_MS 60000

const struct cli_option cli_post_options[] = {
	{ "events", "HOST:PORT", "the gate's port, default 127.0.0.1:7401, or the environment's HOLDFAST_EVENTS" },
	{ "rpc", NULL, "not through the gate: straight to --server" },
	{ "source", "NAME", "the source of rows that name none" },
	{ "number-from", "N", "rows without n get N, N+1, ... by their place in the file" },
	{ "set", "KEY=VALUE", "a value for rows that do not give it: --set kind=sale (repeatable)" },
	{ "column", "NAME=KEY", "the CSV column NAME holds this key (repeatable)" },
	{ "ignore", "NAME", "pass the CSV column NAME over (repeatable)" },
	{ "format", "csv|jsonl", "else told by the first byte" },
	{ "batch", "N", "events of one message, 1 to 10000 (500)" },
	{ "patience", "TIME", "what is refused for now (a full spool, a busy server) is tried again until so long nothing gets through (1m)" },
	{ "resume", NULL, "ask --server how far each source has come and skip what it has" },
	{ "rejected", "PATH", "where rejected rows go, with their reasons (FILE.rejected.csv)" },
	{ NULL, NULL, NULL },
};

const char cli_post_more[] =
    "CSV columns and JSON keys: source n id kind sku location qty at ref reason to as_of expected.\n"
    "kind: sale return receipt adjust unsell resell count fulfil. An empty field is not given.\n"
    "Times: milliseconds since 1970, or 2010-12-01T08:26:00 (UTC).\n"
    "A .gz file is read once to its end before the first row leaves, so that nothing of a damaged one is sent; stdin cannot be.\n"
    "A row needs source and either n (1, 2, 3, ... of its source) or a free id, so that posting a file\n"
    "twice changes nothing. Example, a till's day without numbers:\n"
    "  holdfast post day.csv.gz --source pos-17 --number-from 1 --column txn=ref --ignore price\n";

static volatile sig_atomic_t interrupted;

struct post {
	struct cli *cli;
	struct post_file *file;
	struct post_rows *rows;
	struct post_resume *resume; /* NULL: everything is sent */
	struct post_tally tally;
	struct post_flow flow;
	struct why why;
};

static void
on_interrupt(int signal)
{
	if (interrupted)
		_exit(CLI_INTERRUPTED);
	interrupted = 1;
}

/* ---- rows ---- */

/* 1: go on; 0: the file ends; -1: the file; -2: the link. */
static int
one_row(struct post *p)
{
	struct post_event e;
	int got = post_rows_next(p->rows, p->file, &e, &p->why);
	if (got != 1)
		return got;
	uint64_t row = post_rows_count(p->rows);
	if (e.defect) {
		post_tally_rejected(&p->tally, row, "bad_request", e.defect, post_read_record(p->file));
		return 1;
	}
	if (p->resume && post_resume_has(p->resume, e.source, e.number)) {
		p->tally.skipped++;
		post_tally_bar(&p->tally, post_read_share(p->file));
		return 1;
	}
	if (post_flow_add(&p->flow, row, (struct bytes){ e.bytes, e.n }, post_read_record(p->file), e.dated) < 0)
		return -2;
	return post_flow_rests(&p->flow) && post_flow_drain(&p->flow) < 0 ? -2 : 1;
}

static enum cli_exit
run(struct post *p)
{
	int got;
	do
		got = one_row(p);
	while (got == 1 && !interrupted);
	if (got == 0 || got == -1)
		got = post_flow_drain(&p->flow) < 0 ? -2 : got;
	if (interrupted)
		post_flow_last(&p->flow);
	post_flow_lost(&p->flow);
	if (interrupted)
		return CLI_INTERRUPTED;
	if (got == -2)
		return CLI_UNKNOWN;
	return got == -1 ? CLI_FILE : p->tally.rejected ? CLI_REJECTED : CLI_OK;
}

/* ---- beginning and end ---- */

/* A value that no event has room for would make every row one that cannot be sent. */
static int
set_defaults(struct cli *cli, struct post_rows *rows)
{
	const char *v, *equals, *source = cli_value(cli, "source");
	if (source && strlen(source) > EVENT_BYTES_MAX)
		return cli_usage(cli, "the name after --source is longer than a whole event may be: %d bytes", EVENT_BYTES_MAX);
	if (source)
		post_rows_default(rows, "source", 6, source);
	for (int at = 0; (v = cli_each(cli, "set", &at)) != NULL;) {
		if (strlen(v) > EVENT_BYTES_MAX)
			return cli_usage(cli, "--set %.20s... is longer than a whole event may be: %d bytes", v, EVENT_BYTES_MAX);
		if (!(equals = strchr(v, '=')) || !post_rows_default(rows, v, (size_t)(equals - v), equals + 1))
			return cli_usage(cli, "--set takes KEY=VALUE with a key of an event, not '%s'", v);
	}
	return CLI_OK;
}

static int
set_columns(struct cli *cli, struct post_rows *rows)
{
	const char *v, *equals;
	for (int at = 0; (v = cli_each(cli, "column", &at)) != NULL;)
		if (!(equals = strrchr(v, '=')) || !post_rows_column(rows, v, (size_t)(equals - v), equals + 1))
			return cli_usage(cli, "--column takes NAME=KEY with a key of an event, not '%s'", v);
	for (int at = 0; (v = cli_each(cli, "ignore", &at)) != NULL;)
		if (!post_rows_column(rows, v, strlen(v), NULL))
			return cli_usage(cli, "too many --ignore and --column");
	return CLI_OK;
}

static int
set_rows(struct cli *cli, struct post_rows *rows)
{
	const char *format = cli_value(cli, "format"), *from = cli_value(cli, "number-from");
	int64_t first = 0;
	if (from && !cli_number(from, 1, (INT64_C(1) << 53) - 1, &first))
		return cli_usage(cli, "--number-from takes a number from 1 on, not '%s'", from);
	if (first)
		post_rows_number(rows, first);
	if (format && strcmp(format, "csv") != 0 && strcmp(format, "jsonl") != 0)
		return cli_usage(cli, "--format is csv or jsonl, not '%s'", format);
	if (format)
		post_rows_format(rows, *format == 'c' ? POST_CSV : POST_JSON);
	int got = set_defaults(cli, rows);
	return got == CLI_OK ? set_columns(cli, rows) : got;
}

static int
open_link(struct post *p)
{
	struct cli *cli = p->cli;
	char host[256];
	uint16_t port;
	bool named;
	if (cli_value(cli, "rpc")) {
		p->flow.link = post_link_rpc(cli->host, cli->port, cli->timeout_ms, &p->why);
	} else {
		if (!cli_gate_address(cli, cli_value(cli, "events"), host, &port, &named))
			return CLI_USAGE;
		/* Another server than the default one has another gate: guessing would post to the wrong place. */
		if (!named && (cli->port != 7400 || strcmp(cli->host, "127.0.0.1") != 0))
			return cli_usage(cli, "which gate? --server names %s:%u: name its gate too (--events HOST:PORT), or post by --rpc", cli->host,
			    cli->port);
		p->flow.link = post_link_gate(host, port, &p->why);
	}
	if (p->flow.link)
		return CLI_OK;
	return cli_say(cli, CLI_UNREACHABLE, "unreachable", "%s", p->why.text);
}

static int
open_all(struct post *p, const char *name)
{
	struct cli *cli = p->cli;
	const char *batch = cli_value(cli, "batch"), *patience = cli_value(cli, "patience");
	int64_t batch_n = BATCH_DEFAULT;
	int got = set_rows(cli, p->rows);
	if (got != CLI_OK)
		return got;
	if (batch && !cli_number(batch, 1, EVENTS_MAX, &batch_n))
		return cli_usage(cli, "--batch takes 1 to %d, not '%s'", EVENTS_MAX, batch);
	p->flow.patience_ms = PATIENCE_DEFAULT_MS;
	if (patience && !cli_duration(patience, &p->flow.patience_ms))
		return cli_usage(cli, "--patience takes a time, as in 30s or 2h, not '%s'", patience);
	struct bar bar;
	bar_begin(&bar, "lines checked", true);
	if (!(p->file = post_read_open(name, &p->why)) || post_read_verify(p->file, &bar, &p->why) < 0 || post_rows_begin(p->rows, p->file, &p->why) < 0)
		return cli_say(cli, CLI_FILE, "file", "%s", p->why.text);
	if (!post_flow_init(&p->flow, (uint32_t)batch_n))
		return cli_say(cli, CLI_FILE, "failed", "out of memory");
	if (cli_value(cli, "resume")) {
		if (!cli_connect(cli))
			return CLI_UNREACHABLE;
		if (!(p->resume = post_resume_new(cli->hf)))
			return cli_say(cli, CLI_FILE, "failed", "out of memory");
	}
	return open_link(p);
}

static void
close_all(struct post *p)
{
	post_flow_fini(&p->flow);
	post_resume_free(p->resume);
	post_rows_free(p->rows);
	post_read_close(p->file);
}

static void
hints(const struct post *p)
{
	if (p->flow.any_undated && post_tally_code(&p->tally, "conflict"))
		fputs("hint: rows here have no 'at', so those older than the 4,096 newest numbers of their source cannot be told from other events\n"
		      "      with used numbers: to post a file again, give 'at' (a column, or --set at=TIME) or skip with --resume\n", stderr);
	if (p->flow.spool_refused)
		fputs("hint: the gate's spool is full: 'holdfast gate' shows whether its server is away. Post the file again when it has drained (what got\n"
		      "      through changes nothing the second time), with a longer --patience, or give holdfast-gate a larger --spool-bytes-max\n", stderr);
	if (post_tally_code(&p->tally, "gap_too_wide"))
		fputs("hint: numbers are missing before these: 'holdfast position SOURCE' shows which, --skip-to declares them lost\n", stderr);
}

/* What ended it, or what the user should know besides; NULL: nothing. */
static const char *
failure_of(const struct post *p, enum cli_exit exit, bool kept)
{
	if (exit == CLI_UNKNOWN || exit == CLI_UNREACHABLE)
		return p->flow.why.text;
	if (exit == CLI_FILE)
		return p->why.text;
	if (p->resume && post_resume_failure(p->resume))
		return post_resume_failure(p->resume);
	return kept ? NULL : p->tally.why.text;
}

static int
report(struct post *p, enum cli_exit exit)
{
	struct post_tally *t = &p->tally;
	uint64_t resent = post_link_resent(p->flow.link);
	if (exit == CLI_UNKNOWN && post_tally_done(t) == 0 && t->lost == 0)
		exit = CLI_UNREACHABLE;
	bar_clear(&t->bar);
	bool kept = post_tally_end(t);
	const char *failure = failure_of(p, exit, kept);
	if (p->cli->json)
		post_tally_as_json(t, resent, exit == CLI_INTERRUPTED, failure);
	else
		post_tally_for_people(t, resent, exit == CLI_INTERRUPTED);
	if (failure && !p->cli->json)
		fprintf(stderr, "holdfast post: %s\n", failure);
	if (!p->cli->json)
		hints(p);
	return !kept && exit == CLI_REJECTED ? CLI_FILE : exit;
}

int
cli_post(struct cli *cli, int argc, char **argv)
{
	struct sigaction stop = { .sa_handler = on_interrupt };
	const char *path = cli_value(cli, "rejected");
	char beside[4200];
	if (argc != 1)
		return cli_usage(cli, "one FILE is needed, or '-' for stdin");
	struct post *p = calloc(1, sizeof *p);
	if (!p || !(p->rows = post_rows_new())) {
		free(p);
		return cli_say(cli, CLI_FILE, "failed", "out of memory");
	}
	p->cli = cli;
	p->flow.tally = &p->tally;
	p->flow.interrupted = &interrupted;
	snprintf(beside, sizeof beside, "%s.rejected.csv", strcmp(argv[0], "-") == 0 ? "stdin" : argv[0]);
	int exit = open_all(p, argv[0]);
	if (exit == CLI_OK) {
		sigaction(SIGINT, &stop, NULL);
		sigaction(SIGTERM, &stop, NULL);
		p->flow.file = p->file;
		post_tally_begin(&p->tally, argv[0], path ? path : beside);
		exit = report(p, run(p));
	}
	close_all(p);
	free(p);
	return exit;
}
