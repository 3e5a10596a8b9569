/*
 * holdfast_post.c: `holdfast post FILE`. Rows become messages, messages go out many in flight, outcomes come back and are counted.
 *
 * A row whose number is too far ahead (gap_too_wide), or that the server refused for the moment, is put back and sent again once
 * everything else is answered, as long as that makes progress: a shuffled file, or one that arrives through a restarted gate, ends
 * whole. Memory is POST_SLOTS messages and the rows put back, whatever the file's length.
 */
#include "cmd/holdfast_cli.h"
#include "cmd/post_link.h"
#include "cmd/post_resume.h"
#include "cmd/post_row.h"
#include "cmd/post_tally.h"
#include "net/clock.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCH_DEFAULT 500
#define BACK_ROWS_MAX 16384 /* rows put back; at half of it the file rests until they are through */
#define BACK_PATIENCE_MS 60000 /* a server that refuses for the moment is asked again for so long */
#define BACK_PAUSE_MS 100
#define DRAIN_MS 3000 /* after Ctrl-C: for the answers of what is in flight */
#define LOOK_MS 200
/*
 * Rows that do not say when they happened can be recognised as repeats only among the 4,096 newest numbers of their source (D28), so
 * no more of them are on their way at a time: what is sent again after a lost answer is then a duplicate, never a conflict.
 */
#define UNDATED_MAX SOURCE_WINDOW
#define UNDATED_MESSAGE_MAX (SOURCE_WINDOW / 8)

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
	{ "resume", NULL, "ask --server how far each source has come and skip what it has" },
	{ "rejected", "PATH", "where rejected rows go, with their reasons (FILE.rejected.csv)" },
	{ NULL, NULL, NULL },
};

const char cli_post_more[] =
    "CSV columns and JSON keys: source n id kind sku location qty at ref reason to as_of expected.\n"
    "kind: sale return receipt adjust unsell resell count fulfil. An empty field is not given.\n"
    "Times: milliseconds since 1970, or 2010-12-01T08:26:00 (UTC).\n"
    "A row needs source and either n (1, 2, 3, ... of its source) or a free id, so that posting a file\n"
    "twice changes nothing. Example, a till's day without numbers:\n"
    "  holdfast post day.csv.gz --source pos-17 --number-from 1 --column txn=ref --ignore price\n";

static volatile sig_atomic_t interrupted;

struct post {
	struct cli *cli;
	struct post_file *file;
	struct post_rows *rows;
	struct post_link *link;
	struct post_resume *resume; /* NULL: everything is sent */
	struct post_tally tally;
	struct post_message slot[POST_SLOTS];
	int idle[POST_SLOTS], idle_n; /* slots without a message */
	int filling; /* the slot that takes rows, or -1 */
	struct post_message back, again; /* rows put back; the same while they are sent again */
	uint32_t undated; /* rows in flight that do not say when they happened */
	bool any_undated;
	bool for_now; /* some were refused for the moment only */
	struct why why;
};

static void
on_interrupt(int signal)
{
	if (interrupted)
		_exit(CLI_INTERRUPTED);
	interrupted = 1;
}

/* ---- outcomes ---- */

static bool
put_back(struct post *p, const struct post_message *m, const struct post_row *r)
{
	struct bytes line = { m->lines.at + r->line_at, r->line_n }, event = { m->events.at + r->event_at, r->event_n };
	return !interrupted && post_message_add(&p->back, r->number, event, line, r->dated);
}

static void
row_refused(struct post *p, const struct post_message *m, const struct post_row *r, const char *code, const char *message)
{
	static const char *const momentary[] = { "overloaded", "rate_limited", "behind", "unknown", "not_leader" };
	bool wide = strcmp(code, "gap_too_wide") == 0, now = false;
	for (size_t i = 0; i < sizeof momentary / sizeof *momentary; i++)
		now |= strcmp(code, momentary[i]) == 0;
	if ((wide || now) && put_back(p, m, r)) {
		p->for_now |= now;
		return;
	}
	post_tally_rejected(&p->tally, r->number, code, message, (struct bytes){ m->lines.at + r->line_at, r->line_n });
}

static bool
is(const struct hf_value *v, const char *text)
{
	size_t n = strlen(text);
	return v->type == HF_STR && v->str.n == n && memcmp(v->str.at, text, n) == 0;
}

static void
copy_text(char *to, size_t size, const struct hf_value *v, const char *otherwise)
{
	if (v && v->type == HF_STR)
		snprintf(to, size, "%.*s", (int)v->str.n, v->str.at);
	else
		snprintf(to, size, "%s", otherwise);
}

static void
row_outcome(struct post *p, const struct post_message *m, const struct post_row *r, const struct hf_value *o)
{
	const struct hf_value *rejected = hf_get(o, "rejected"), *reconciled = hf_get(o, "reconciled");
	char code[32], message[300];
	if (is(o, "applied")) {
		p->tally.applied++;
	} else if (is(o, "duplicate")) {
		p->tally.duplicate++;
	} else if (is(o, "absorbed")) {
		p->tally.absorbed++;
	} else if (reconciled) {
		p->tally.reconciled++;
		p->tally.off += hf_int(hf_get(reconciled, "variance"), 0) != 0;
	} else {
		copy_text(code, sizeof code, rejected, "internal");
		copy_text(message, sizeof message, hf_get(o, "message"), rejected ? "" : "an outcome of an unknown shape");
		row_refused(p, m, r, code, message);
	}
}

/* One outcome per row; or a single one, or a refusal, for the whole message. */
static void
take_answer(struct post *p, const struct post_answer *a)
{
	struct post_message *m = &p->slot[a->slot];
	const struct hf_value *o = a->outcomes;
	for (uint32_t i = 0; i < m->n; i++) {
		if (!o)
			row_refused(p, m, &m->rows[i], a->refusal->code, a->refusal->message);
		else if (o->array.n == m->n || o->array.n == 1)
			row_outcome(p, m, &m->rows[i], &o->array.items[o->array.n == 1 ? 0 : i]);
		else
			row_refused(p, m, &m->rows[i], "internal", "the answer has another number of outcomes than the message has events");
	}
	p->undated -= m->undated;
	p->idle[p->idle_n++] = a->slot;
}

/* Waits about timeout_ms for one answer. 1, 0, or -1 with p->why. */
static int
receive(struct post *p, int timeout_ms)
{
	struct post_answer a;
	int got = post_link_receive(p->link, timeout_ms, &a, &p->why);
	if (got == 1)
		take_answer(p, &a);
	post_tally_bar(&p->tally, post_read_share(p->file), false);
	return got;
}

/* ---- messages ---- */

/* Makes sure that a slot takes rows. */
static int
slot_ready(struct post *p)
{
	while (p->filling < 0 && p->idle_n == 0 && !interrupted)
		if (receive(p, LOOK_MS) < 0)
			return -1;
	if (p->filling < 0 && p->idle_n > 0) {
		p->filling = p->idle[--p->idle_n];
		post_message_clear(&p->slot[p->filling]);
	}
	return 0;
}

static int
send_filled(struct post *p)
{
	int slot = p->filling;
	if (slot < 0 || p->slot[slot].n == 0)
		return 0;
	while (p->undated > 0 && p->undated + p->slot[slot].undated > UNDATED_MAX && !interrupted)
		if (receive(p, LOOK_MS) < 0)
			return -1;
	if (interrupted)
		return 0;
	p->filling = -1;
	p->undated += p->slot[slot].undated;
	post_message_seal(&p->slot[slot]);
	return post_link_send(p->link, slot, &p->slot[slot], &p->why);
}

static int
add_row(struct post *p, uint64_t number, struct bytes event, struct bytes line, bool dated)
{
	p->any_undated |= !dated;
	while (!interrupted) {
		if (slot_ready(p) < 0)
			return -1;
		struct post_message *m = p->filling < 0 ? NULL : &p->slot[p->filling];
		if (m && (dated || m->undated < UNDATED_MESSAGE_MAX) && post_message_add(m, number, event, line, dated))
			break;
		if (m && send_filled(p) < 0)
			return -1;
	}
	return 0;
}

static int
in_flight(const struct post *p)
{
	return POST_SLOTS - p->idle_n - (p->filling >= 0);
}

static int
settle(struct post *p)
{
	if (!interrupted && send_filled(p) < 0)
		return -1;
	while (in_flight(p) > 0 && !interrupted)
		if (receive(p, LOOK_MS) < 0)
			return -1;
	return 0;
}

/* Sends the rows put back once more. */
static int
send_back(struct post *p)
{
	struct post_message rows = p->back;
	p->back = p->again;
	p->again = rows;
	post_message_clear(&p->back);
	p->for_now = false;
	for (uint32_t i = 0; i < rows.n && !interrupted; i++) {
		const struct post_row *r = &rows.rows[i];
		struct bytes line = { rows.lines.at + r->line_at, r->line_n }, event = { rows.events.at + r->event_at, r->event_n };
		if (add_row(p, r->number, event, line, r->dated) < 0)
			return -1;
	}
	return settle(p);
}

/* What is still put back when it made no progress: its reason is final. */
static void
give_up(struct post *p)
{
	for (uint32_t i = 0; i < p->back.n; i++) {
		const struct post_row *r = &p->back.rows[i];
		struct bytes line = { p->back.lines.at + r->line_at, r->line_n };
		post_tally_rejected(&p->tally, r->number, p->for_now ? "overloaded" : "gap_too_wide",
		    p->for_now ? "the server refused it for the moment, again and again"
			       : "more than 4,096 beyond the last number without a gap: 'holdfast position SOURCE' shows what is missing", line);
	}
	post_message_clear(&p->back);
}

static int
drain_back(struct post *p)
{
	int64_t since_ms = clock_steady_ms();
	if (settle(p) < 0)
		return -1;
	while (p->back.n > 0 && !interrupted) {
		uint64_t before = post_tally_done(&p->tally);
		if (p->for_now)
			poll(NULL, 0, BACK_PAUSE_MS);
		if (send_back(p) < 0)
			return -1;
		if (post_tally_done(&p->tally) > before)
			since_ms = clock_steady_ms();
		else if (!p->for_now || clock_steady_ms() - since_ms > BACK_PATIENCE_MS)
			give_up(p);
	}
	return 0;
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
		post_tally_bar(&p->tally, post_read_share(p->file), false);
		return 1;
	}
	if (add_row(p, row, (struct bytes){ e.bytes, e.n }, post_read_record(p->file), e.dated) < 0)
		return -2;
	return p->back.n >= BACK_ROWS_MAX / 2 && drain_back(p) < 0 ? -2 : 1;
}

/* After Ctrl-C: what was sent is still counted, as far as it comes soon. */
static void
last_answers(struct post *p)
{
	int64_t until_ms = clock_steady_ms() + DRAIN_MS;
	if (p->filling >= 0) {
		p->idle[p->idle_n++] = p->filling; /* never sent */
		p->filling = -1;
	}
	while (in_flight(p) > 0 && clock_steady_ms() < until_ms)
		if (receive(p, LOOK_MS) < 0)
			break;
}

static void
count_lost(struct post *p)
{
	bool idle[POST_SLOTS] = { false };
	for (int i = 0; i < p->idle_n; i++)
		idle[p->idle[i]] = true;
	for (int i = 0; i < POST_SLOTS; i++)
		if (!idle[i] && i != p->filling)
			p->tally.lost += p->slot[i].n;
}

static enum cli_exit
run(struct post *p)
{
	int got;
	do
		got = one_row(p);
	while (got == 1 && !interrupted);
	if (got == 0 || got == -1)
		got = drain_back(p) < 0 ? -2 : got;
	if (interrupted)
		last_answers(p);
	count_lost(p);
	if (interrupted)
		return CLI_INTERRUPTED;
	if (got == -2)
		return CLI_UNKNOWN;
	return got == -1 ? CLI_FILE : p->tally.rejected ? CLI_REJECTED : CLI_OK;
}

/* ---- beginning and end ---- */

static int
set_rows(struct cli *cli, struct post_rows *rows)
{
	const char *v, *equals, *format = cli_value(cli, "format"), *source = cli_value(cli, "source"), *from = cli_value(cli, "number-from");
	int64_t first = 0;
	if (source)
		post_rows_default(rows, "source", 6, source);
	if (from && !cli_number(from, 1, (INT64_C(1) << 53) - 1, &first))
		return cli_usage(cli, "--number-from takes a number from 1 on, not '%s'", from);
	if (first)
		post_rows_number(rows, first);
	for (int at = 0; (v = cli_each(cli, "set", &at)) != NULL;)
		if (!(equals = strchr(v, '=')) || !post_rows_default(rows, v, (size_t)(equals - v), equals + 1))
			return cli_usage(cli, "--set takes KEY=VALUE with a key of an event, not '%s'", v);
	for (int at = 0; (v = cli_each(cli, "column", &at)) != NULL;)
		if (!(equals = strrchr(v, '=')) || !post_rows_column(rows, v, (size_t)(equals - v), equals + 1))
			return cli_usage(cli, "--column takes NAME=KEY with a key of an event, not '%s'", v);
	for (int at = 0; (v = cli_each(cli, "ignore", &at)) != NULL;)
		if (!post_rows_column(rows, v, strlen(v), NULL))
			return cli_usage(cli, "too many --ignore and --column");
	if (format && strcmp(format, "csv") != 0 && strcmp(format, "jsonl") != 0)
		return cli_usage(cli, "--format is csv or jsonl, not '%s'", format);
	if (format)
		post_rows_format(rows, *format == 'c' ? POST_CSV : POST_JSON);
	return CLI_OK;
}

static int
open_link(struct post *p)
{
	struct cli *cli = p->cli;
	const char *events = cli_value(cli, "events");
	char host[256] = "127.0.0.1";
	uint16_t port = 7401;
	if (!events)
		events = getenv("HOLDFAST_EVENTS");
	if (cli_value(cli, "rpc")) {
		p->link = post_link_rpc(cli->host, cli->port, cli->timeout_ms, &p->why);
	} else {
		if (events && *events && !cli_address(events, host, &port))
			return cli_usage(cli, "'%s' is no HOST:PORT", events);
		/* Another server than the default one has another gate: guessing would post to the wrong place. */
		if ((!events || !*events) && (cli->port != 7400 || strcmp(cli->host, "127.0.0.1") != 0))
			return cli_usage(cli, "which gate? --server names %s:%u: name its gate too (--events HOST:PORT), or post by --rpc", cli->host,
			    cli->port);
		p->link = post_link_gate(host, port, &p->why);
	}
	if (p->link)
		return CLI_OK;
	return cli_say(cli, CLI_UNREACHABLE, "unreachable", "%s", p->why.text);
}

static int
open_all(struct post *p, const char *name)
{
	struct cli *cli = p->cli;
	const char *batch = cli_value(cli, "batch");
	int64_t batch_n = BATCH_DEFAULT;
	int got = set_rows(cli, p->rows);
	if (got != CLI_OK)
		return got;
	if (batch && !cli_number(batch, 1, EVENTS_MAX, &batch_n))
		return cli_usage(cli, "--batch takes 1 to %d, not '%s'", EVENTS_MAX, batch);
	if (!(p->file = post_read_open(name, &p->why)) || post_rows_begin(p->rows, p->file, &p->why) < 0)
		return cli_say(cli, CLI_FILE, "file", "%s", p->why.text);
	bool room = post_message_init(&p->back, BACK_ROWS_MAX) && post_message_init(&p->again, BACK_ROWS_MAX);
	p->back.events.limit = p->again.events.limit = SIZE_MAX;
	for (int i = 0; i < POST_SLOTS; i++) {
		room = post_message_init(&p->slot[i], (uint32_t)batch_n) && room;
		p->idle[p->idle_n++] = i;
	}
	if (!room)
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
	post_link_close(p->link);
	post_resume_free(p->resume);
	post_rows_free(p->rows);
	post_read_close(p->file);
	for (int i = 0; i < POST_SLOTS; i++)
		post_message_fini(&p->slot[i]);
	post_message_fini(&p->back);
	post_message_fini(&p->again);
}

static void
hints(const struct post *p)
{
	if (p->any_undated && post_tally_code(&p->tally, "conflict"))
		fputs("hint: rows here have no 'at', so those older than the 4,096 newest numbers of their source cannot be told from other events\n"
		      "      with used numbers: to post a file again, give 'at' (a column, or --set at=TIME) or skip with --resume\n", stderr);
	if (post_tally_code(&p->tally, "gap_too_wide"))
		fputs("hint: numbers are missing before these: 'holdfast position SOURCE' shows which, --skip-to declares them lost\n", stderr);
}

static int
report(struct post *p, enum cli_exit exit)
{
	struct post_tally *t = &p->tally;
	uint64_t resent = post_link_resent(p->link);
	bool failed = exit == CLI_UNKNOWN || exit == CLI_FILE;
	if (exit == CLI_UNKNOWN && post_tally_done(t) == 0 && t->lost == 0)
		exit = CLI_UNREACHABLE;
	post_tally_bar(t, 0, true);
	bool kept = post_tally_end(t);
	const char *failure = failed ? p->why.text : p->resume && post_resume_failure(p->resume) ? post_resume_failure(p->resume)
	    : kept ? NULL : t->why.text;
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
	p->filling = -1;
	snprintf(beside, sizeof beside, "%s.rejected.csv", strcmp(argv[0], "-") == 0 ? "stdin" : argv[0]);
	int exit = open_all(p, argv[0]);
	if (exit == CLI_OK) {
		sigaction(SIGINT, &stop, NULL);
		sigaction(SIGTERM, &stop, NULL);
		post_tally_begin(&p->tally, argv[0], path ? path : beside);
		exit = report(p, run(p));
	}
	close_all(p);
	free(p);
	return exit;
}
