/*
 * post_flow.c: which message takes rows, which are under way, what their answers mean, and what is tried once more. The contract is
 * in post_flow.h.
 */
#include "cmd/post_flow.h"
#include "cmd/holdfast_page.h"
#include "net/clock.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#define BACK_PAUSE_MS 100
#define DRAIN_MS 3000 /* after Ctrl-C: for the answers of what is in flight */
#define LOOK_MS 200
/*
 * Rows that do not say when they happened can be recognised as repeats only among the 4,096 newest numbers of their source (D28), so
 * no more of them are on their way at a time: what is sent again after a lost answer is then a duplicate, never a conflict.
 */
#define UNDATED_MAX SOURCE_WINDOW
#define UNDATED_MESSAGE_MAX (SOURCE_WINDOW / 8)

static bool
interrupted(const struct post_flow *f)
{
	return *f->interrupted != 0;
}

bool
post_flow_init(struct post_flow *f, uint32_t rows_max)
{
	uint32_t flying = POST_SLOTS * rows_max;
	f->back_rows = flying > BACK_ROWS_MIN ? flying : BACK_ROWS_MIN;
	bool room = post_message_init(&f->back, f->back_rows + flying) && post_message_init(&f->again, f->back_rows + flying);
	f->back.events.limit = f->again.events.limit = SIZE_MAX;
	f->filling = -1;
	for (int i = 0; i < POST_SLOTS; i++) {
		room = post_message_init(&f->slot[i], rows_max) && room;
		f->idle[f->idle_n++] = i;
	}
	return room;
}

void
post_flow_fini(struct post_flow *f)
{
	post_link_close(f->link);
	for (int i = 0; i < POST_SLOTS; i++)
		post_message_fini(&f->slot[i]);
	post_message_fini(&f->back);
	post_message_fini(&f->again);
}

/* ---- outcomes ---- */

static bool
put_back(struct post_flow *f, const struct post_message *m, const struct post_row *r)
{
	struct bytes line = { m->lines.at + r->line_at, r->line_n }, event = { m->events.at + r->event_at, r->event_n };
	return !interrupted(f) && post_message_add(&f->back, r->number, event, line, r->dated);
}

/* which: what is full; "": nothing, or nobody said. */
static void
row_refused(struct post_flow *f, const struct post_message *m, const struct post_row *r, const char *code, const char *message,
    const char *which)
{
	static const char *const momentary[] = { "overloaded", "rate_limited", "behind", "unknown", "not_leader" };
	bool wide = strcmp(code, "gap_too_wide") == 0, spool = strcmp(which, "spool") == 0, now = spool; /* a spool drains */
	for (size_t i = 0; i < sizeof momentary / sizeof *momentary; i++)
		now |= strcmp(code, momentary[i]) == 0;
	if ((wide || now) && put_back(f, m, r)) {
		f->for_now |= now;
		f->spool_full |= spool;
		return;
	}
	f->spool_refused |= spool;
	post_tally_rejected(f->tally, r->number, code, message, (struct bytes){ m->lines.at + r->line_at, r->line_n });
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
row_outcome(struct post_flow *f, const struct post_message *m, const struct post_row *r, const struct hf_value *o)
{
	const struct hf_value *rejected = hf_get(o, "rejected"), *reconciled = hf_get(o, "reconciled");
	char code[32], message[300], which[32];
	if (is(o, "applied")) {
		f->tally->applied++;
	} else if (is(o, "duplicate")) {
		f->tally->duplicate++;
	} else if (is(o, "absorbed")) {
		f->tally->absorbed++;
	} else if (reconciled) {
		f->tally->reconciled++;
		f->tally->off += hf_int(hf_get(reconciled, "variance"), 0) != 0;
	} else {
		copy_text(code, sizeof code, rejected, "internal");
		copy_text(message, sizeof message, hf_get(o, "message"), rejected ? "" : "an outcome of an unknown shape");
		copy_text(which, sizeof which, hf_get(hf_get(o, "detail"), "which"), "");
		row_refused(f, m, r, code, message, which);
	}
}

/* A spool has the message, but for the rows in the list: their outcomes come later, and not here. */
static void
take_queued(struct post_flow *f, const struct post_message *m, const struct hf_value *refused)
{
	uint32_t n = refused && refused->type == HF_ARRAY ? refused->array.n : 0;
	char code[32], message[300];
	f->tally->queued += m->n;
	for (uint32_t i = 0; i < n; i++) {
		const struct hf_value *row = &refused->array.items[i];
		int64_t index = row->type == HF_ARRAY && row->array.n == 3 ? hf_int(&row->array.items[0], -1) : -1;
		if (index < 0 || index >= m->n)
			continue;
		copy_text(code, sizeof code, &row->array.items[1], "internal");
		copy_text(message, sizeof message, &row->array.items[2], "");
		f->tally->queued--;
		row_refused(f, m, &m->rows[index], code, message, "");
	}
}

/* One outcome per row; or a single one, or a refusal, for the whole message. */
static void
take_answer(struct post_flow *f, const struct post_answer *a)
{
	struct post_message *m = &f->slot[a->slot];
	const struct hf_value *o = a->outcomes;
	if (a->queued)
		take_queued(f, m, a->refused);
	for (uint32_t i = 0; !a->queued && i < m->n; i++) {
		if (!o)
			row_refused(f, m, &m->rows[i], a->refusal->code, a->refusal->message, "");
		else if (o->array.n == m->n || o->array.n == 1)
			row_outcome(f, m, &m->rows[i], &o->array.items[o->array.n == 1 ? 0 : i]);
		else
			row_refused(f, m, &m->rows[i], "internal", "the answer has another number of outcomes than the message has events", "");
	}
	f->undated -= m->undated;
	f->idle[f->idle_n++] = a->slot;
}

/* Waits about timeout_ms for one answer. 1, 0, or -1 with f->why. */
static int
receive(struct post_flow *f, int timeout_ms)
{
	struct post_answer a;
	int got = post_link_receive(f->link, timeout_ms, &a, &f->why);
	if (got == 1)
		take_answer(f, &a);
	post_tally_bar(f->tally, post_read_share(f->file));
	return got;
}

/* ---- messages ---- */

/* Makes sure that a slot takes rows. */
static int
slot_ready(struct post_flow *f)
{
	while (f->filling < 0 && f->idle_n == 0 && !interrupted(f))
		if (receive(f, LOOK_MS) < 0)
			return -1;
	if (f->filling < 0 && f->idle_n > 0) {
		f->filling = f->idle[--f->idle_n];
		post_message_clear(&f->slot[f->filling]);
	}
	return 0;
}

static int
send_filled(struct post_flow *f)
{
	int slot = f->filling;
	if (slot < 0 || f->slot[slot].n == 0)
		return 0;
	while (f->undated > 0 && f->undated + f->slot[slot].undated > UNDATED_MAX && !interrupted(f))
		if (receive(f, LOOK_MS) < 0)
			return -1;
	if (interrupted(f))
		return 0;
	f->filling = -1;
	f->undated += f->slot[slot].undated;
	post_message_seal(&f->slot[slot]);
	return post_link_send(f->link, slot, &f->slot[slot], &f->why);
}

int
post_flow_add(struct post_flow *f, uint64_t number, struct bytes event, struct bytes line, bool dated)
{
	f->any_undated |= !dated;
	while (!interrupted(f)) {
		if (slot_ready(f) < 0)
			return -1;
		struct post_message *m = f->filling < 0 ? NULL : &f->slot[f->filling];
		if (m && (dated || m->undated < UNDATED_MESSAGE_MAX) && post_message_add(m, number, event, line, dated))
			break;
		if (m && send_filled(f) < 0)
			return -1;
	}
	return 0;
}

static int
in_flight(const struct post_flow *f)
{
	return POST_SLOTS - f->idle_n - (f->filling >= 0);
}

static int
settle(struct post_flow *f)
{
	if (!interrupted(f) && send_filled(f) < 0)
		return -1;
	while (in_flight(f) > 0 && !interrupted(f))
		if (receive(f, LOOK_MS) < 0)
			return -1;
	return 0;
}

/* Sends the rows put back once more. */
static int
send_back(struct post_flow *f)
{
	struct post_message rows = f->back;
	f->back = f->again;
	f->again = rows;
	post_message_clear(&f->back);
	f->for_now = f->spool_full = false;
	for (uint32_t i = 0; i < rows.n && !interrupted(f); i++) {
		const struct post_row *r = &rows.rows[i];
		struct bytes line = { rows.lines.at + r->line_at, r->line_n }, event = { rows.events.at + r->event_at, r->event_n };
		if (post_flow_add(f, r->number, event, line, r->dated) < 0)
			return -1;
	}
	return settle(f);
}

/* A spool may be full for hours, and a person should know what it is that takes so long. */
static void
wait_tell(struct post_flow *f)
{
	char patience[WORDS];
	if (f->spool_full && !f->told && !f->given_up) {
		bar_clear(&f->tally->bar);
		fprintf(stderr, "holdfast post: the gate's spool is full: its rows are tried again until %s bring nothing ('holdfast gate' shows how it drains)\n",
		    words_duration(patience, f->patience_ms));
		f->told = true;
	}
}

/* What is still put back when it made no progress: its reason is final. Later rows are tried once, until one gets through. */
static void
give_up(struct post_flow *f)
{
	const char *code = f->spool_full ? "capacity" : f->for_now ? "overloaded" : "gap_too_wide";
	const char *message = f->spool_full ? "the gate's spool is full and did not drain"
	    : f->for_now ? "the server refused it for the moment, again and again"
			 : "more than 4,096 beyond the last number without a gap: 'holdfast position SOURCE' shows what is missing";
	f->given_up = f->for_now;
	f->spool_refused |= f->spool_full;
	for (uint32_t i = 0; i < f->back.n; i++) {
		const struct post_row *r = &f->back.rows[i];
		struct bytes line = { f->back.lines.at + r->line_at, r->line_n };
		post_tally_rejected(f->tally, r->number, code, message, line);
	}
	post_message_clear(&f->back);
}

bool
post_flow_rests(const struct post_flow *f)
{
	return f->back.n >= f->back_rows || f->back.events.used >= BACK_BYTES;
}

int
post_flow_drain(struct post_flow *f)
{
	int64_t since_ms = clock_steady_ms();
	if (settle(f) < 0)
		return -1;
	while (f->back.n > 0 && !interrupted(f)) {
		uint64_t before = post_tally_done(f->tally);
		if (f->for_now) {
			wait_tell(f);
			poll(NULL, 0, f->given_up ? 0 : BACK_PAUSE_MS);
		}
		if (send_back(f) < 0)
			return -1;
		if (post_tally_done(f->tally) > before) {
			since_ms = clock_steady_ms();
			f->given_up = false;
		} else if (!f->for_now || f->given_up || clock_steady_ms() - since_ms > f->patience_ms) {
			give_up(f);
		}
	}
	return 0;
}

void
post_flow_last(struct post_flow *f)
{
	int64_t until_ms = clock_steady_ms() + DRAIN_MS;
	if (f->filling >= 0) {
		f->idle[f->idle_n++] = f->filling; /* never sent */
		f->filling = -1;
	}
	while (in_flight(f) > 0 && clock_steady_ms() < until_ms)
		if (receive(f, LOOK_MS) < 0)
			break;
}

void
post_flow_lost(struct post_flow *f)
{
	bool idle[POST_SLOTS] = { false };
	for (int i = 0; i < f->idle_n; i++)
		idle[f->idle[i]] = true;
	for (int i = 0; i < POST_SLOTS; i++)
		if (!idle[i] && i != f->filling)
			f->tally->lost += f->slot[i].n;
}
