/*
 * rehearse_take.c: what an answer means for its shopper, and what the shopper does next.
 *
 *   to come ──hold──▶ held ──think, commit──▶ committed ──think, fulfil──▶ fulfilled
 *      │ ▲              ├────think, release──▶ released
 *      │ └ overloaded,  └────(commit or release came too late)──▶ too late
 *      │   patience
 *      └──▶ refused
 */
#include "bench/rehearse_play.h"

#define CLOCKS_APART_MS 1000 /* so much the server's clock may differ from ours before an `expired` is called wrong */

/* By the rules a hold may be refused so; all else is a fault of the server's (or of this program). */
static bool
may_refuse_hold(enum status s)
{
	return s == STATUS_INSUFFICIENT || s == STATUS_OVERLOADED || s == STATUS_LIMIT || s == STATUS_CAPACITY || s == STATUS_READ_ONLY ||
	    s == STATUS_RATE_LIMITED;
}

static void
refusal_count(struct play *p, const struct shopper *s, enum status status, int64_t now)
{
	struct interval *i = series_at(&p->series, now);
	if (i && !s->warm)
		i->refused[status]++;
}

static void
next_step(struct play *p, uint32_t index, int64_t now)
{
	static const enum step next[] = { [INTENT_COMMIT] = STEP_COMMIT, [INTENT_FULFIL] = STEP_COMMIT, [INTENT_CANCEL] = STEP_RELEASE };
	struct shopper *s = &p->plan->shoppers[index];
	int64_t due_ns = now + (int64_t)s->think_ms * 1000000;
	if (s->state == SHOPPER_HELD && s->intent != INTENT_ABANDON)
		play_later(p, due_ns, index, next[s->intent]);
	else if (s->state == SHOPPER_COMMITTED && s->intent == INTENT_FULFIL)
		play_later(p, due_ns, index, STEP_FULFIL);
}

static void
hold_granted(struct play *p, struct shopper *s, const struct answer *a, int64_t now)
{
	s->grants_n = (uint8_t)(s->grants_n + !a->again);
	s->wrong |= s->state == SHOPPER_HELD && s->granted_seq != a->seq;
	if (s->state == SHOPPER_HELD)
		return;
	s->state = SHOPPER_HELD;
	s->granted_seq = a->seq;
	s->expires_at = a->expires_at;
	s->answered_ns = now;
	struct interval *i = series_at(&p->series, now);
	if (i && !s->warm) {
		i->granted++;
		p->counts.granted++;
	}
}

/* Asked again when the server says, with the same id, while the shopper is patient. */
static bool
asks_again(struct play *p, uint32_t index, const struct answer *a, int64_t now)
{
	const struct shopper *s = &p->plan->shoppers[index];
	int64_t again_ns = now + (a->retry_after_ms > 0 ? a->retry_after_ms : 1) * 1000000;
	if (a->status != STATUS_OVERLOADED || again_ns - s->asked_ns > p->scenario->patience_ms * 1000000)
		return false;
	p->counts.asked_again += !s->warm;
	play_later(p, again_ns, index, STEP_HOLD);
	return true;
}

static void
take_hold(struct play *p, uint32_t index, const struct answer *a, int64_t now)
{
	struct shopper *s = &p->plan->shoppers[index];
	s->waiting--;
	if (a->status == STATUS_OK)
		hold_granted(p, s, a, now);
	else {
		refusal_count(p, s, a->status, now);
		s->wrong |= !may_refuse_hold(a->status);
	}
	if (s->state != SHOPPER_HELD && a->status != STATUS_OK) {
		s->reason = (uint8_t)a->status;
		s->failing_line = a->failing_line < s->lines_n ? (uint8_t)a->failing_line : 0;
		s->answered_ns = now;
	}
	if (s->waiting > 0)
		return;
	if (s->state == SHOPPER_HELD)
		next_step(p, index, now);
	else if (!asks_again(p, index, a, now)) {
		s->state = SHOPPER_REFUSED;
		p->counts.refused[s->reason] += !s->warm;
	}
}

static void
settled(struct play *p, struct shopper *s, enum step step, const struct answer *a, int64_t now)
{
	static const enum shopper_state after[] = { [STEP_COMMIT] = SHOPPER_COMMITTED, [STEP_FULFIL] = SHOPPER_FULFILLED, [STEP_RELEASE] = SHOPPER_RELEASED };
	uint64_t *const count[] = { [STEP_COMMIT] = &p->counts.committed, [STEP_FULFIL] = &p->counts.fulfilled, [STEP_RELEASE] = &p->counts.released };
	if (s->state == after[step])
		return; /* the second of two */
	/* A release that finds nothing to do, and was not sent before: the hold had expired (D17). */
	if (step == STEP_RELEASE && a->again) {
		s->state = SHOPPER_TOO_LATE;
		return;
	}
	s->state = after[step];
	*count[step] += !s->warm;
	if (step != STEP_COMMIT) {
		s->ended_seq = a->seq;
		s->ended_ns = now;
	}
}

static void
take_settle(struct play *p, uint32_t index, enum step step, const struct answer *a, int64_t now)
{
	struct shopper *s = &p->plan->shoppers[index];
	int64_t wall_ms = p->plan->begun_ms + now / 1000000;
	s->waiting--;
	if (a->status == STATUS_OK)
		settled(p, s, step, a, now);
	else if (a->status == STATUS_OVERLOADED || a->status == STATUS_UNKNOWN) {
		play_later(p, now + (a->retry_after_ms > 0 ? a->retry_after_ms : 1) * 1000000, index, step);
		return;
	} else if (a->status == STATUS_EXPIRED && step == STEP_COMMIT) {
		s->state = SHOPPER_TOO_LATE;
		s->wrong |= wall_ms < s->expires_at - CLOCKS_APART_MS;
	} else
		s->wrong = true;
	if (s->waiting == 0)
		next_step(p, index, now);
}

static void
take_message(struct play *p, uint32_t index, const uint8_t *bytes, size_t n, int64_t now)
{
	struct till_message *m = &p->plan->messages[index];
	enum told outcomes[100];
	uint64_t seq;
	if (!talk_outcomes(bytes, n, &seq, outcomes, m->events_n)) {
		play_break(p, "the gate answered something else than outcomes");
		return;
	}
	for (uint32_t i = 0; i < m->events_n; i++) {
		struct till_event *e = &p->plan->events[m->first + i];
		e->wrong |= outcomes[i] == TOLD_OTHER;
		if (outcomes[i] != TOLD_APPLIED)
			continue;
		e->applied_n++;
		e->seq = seq - (m->events_n - 1 - i); /* consecutive positions, seq is the last one's */
		p->counts.till_events++;
	}
	m->answered_ns = m->answered_ns ? m->answered_ns : now;
}

static void
take_watch(struct play *p, uint32_t interval, const struct answer *a)
{
	struct interval *i = &p->series.at[interval];
	i->looked = a->status == STATUS_OK && talk_ats(a->result, i->left, p->watched_n);
}

static void
take_look(struct play *p, uint32_t index, const struct answer *a)
{
	struct shopper *s = &p->plan->shoppers[index];
	s->waiting--;
	s->state = SHOPPER_LOOKED;
	p->counts.reads += !s->warm;
	s->wrong |= a->status != STATUS_OK && a->status != STATUS_OVERLOADED;
}

static bool
is_warm(const struct play *p, const struct request *r)
{
	return r->step < STEP_MESSAGE ? p->plan->shoppers[r->index].warm : r->step == STEP_WATCH;
}

static void
take(struct play *p, uint32_t number, const struct answer *a, const uint8_t *bytes, size_t n, int64_t now)
{
	static const enum work work[] = { [STEP_HOLD] = WORK_HOLD, [STEP_COMMIT] = WORK_SETTLE, [STEP_FULFIL] = WORK_SETTLE,
		[STEP_RELEASE] = WORK_SETTLE, [STEP_LOOK] = WORK_READ, [STEP_MESSAGE] = WORK_TILL };
	if (number >= p->requests_made || !p->requests[number].used) {
		play_break(p, "an answer to nothing that was asked");
		return;
	}
	struct request r = p->requests[number];
	p->requests[number] = (struct request){ .index = p->requests_free };
	p->requests_free = number;
	p->under_way -= r.step != STEP_WATCH;
	if (!is_warm(p, &r)) {
		p->counts.answered++;
		series_answered(&p->series, work[r.step], r.due_ns, r.sent_ns, now);
	}
	switch ((enum step)r.step) {
	case STEP_HOLD: take_hold(p, r.index, a, now); return;
	case STEP_COMMIT:
	case STEP_FULFIL:
	case STEP_RELEASE: take_settle(p, r.index, r.step, a, now); return;
	case STEP_LOOK: take_look(p, r.index, a); return;
	case STEP_MESSAGE: take_message(p, r.index, bytes, n, now); return;
	case STEP_WATCH: take_watch(p, r.index, a); return;
	}
}

void
take_all(struct play *p, struct link *k)
{
	int64_t now = play_now(p);
	const uint8_t *bytes;
	struct answer a = { 0 };
	uint32_t word;
	size_t n;
	while (!p->broke_off && (bytes = link_take(k, &n, &word))) {
		if (!k->gate && !talk_answer(bytes, n, &a)) {
			play_break(p, "the server answered something else than answers");
			return;
		}
		take(p, k->gate ? word & 0x7fffffff : a.msgid, &a, bytes, n, now);
	}
}
