/* rehearse_judge.c: the sums in the order of positions, and the comparison. The contract is in rehearse_judge.h. */
#include "bench/rehearse_judge.h"

#include <stdio.h>
#include <stdlib.h>

enum effect_kind { EFFECT_END, EFFECT_FACT, EFFECT_GRANT }; /* what frees units comes first at its position */

struct effect {
	uint64_t seq;
	uint32_t index; /* of the shopper or the event */
	uint8_t kind;
};

struct judge {
	const struct plan *plan;
	const struct found *found;
	struct verdict *verdict;
	struct effect *effects;
	uint64_t effects_n;
};

int64_t
judge_expired_ms(const struct shopper *s, int64_t at_ms)
{
	bool ends = s->granted_seq && (s->state == SHOPPER_HELD || s->state == SHOPPER_TOO_LATE);
	return ends && s->expires_at <= at_ms ? s->expires_at : 0;
}

static int
effect_order(const void *a, const void *b)
{
	const struct effect *x = a, *y = b;
	return x->seq != y->seq ? (x->seq > y->seq) - (x->seq < y->seq) : x->kind - y->kind;
}

static void
add_effect(struct judge *j, enum effect_kind kind, uint64_t seq, uint32_t index)
{
	j->effects[j->effects_n++] = (struct effect){ seq, index, (uint8_t)kind };
}

/* J2; UINT64_MAX: after the last grant. */
static uint64_t
expiry_seq(const struct judge *j, uint64_t grants_n, int64_t expires_at)
{
	uint64_t low = 0, high = grants_n;
	int64_t hold_ms = j->plan->scenario->hold_ms;
	while (low < high) {
		uint64_t middle = (low + high) / 2;
		if (j->plan->shoppers[j->effects[middle].index].expires_at - hold_ms >= expires_at)
			high = middle;
		else
			low = middle + 1;
	}
	return low < grants_n ? j->effects[low].seq : UINT64_MAX;
}

static void
order_effects(struct judge *j)
{
	const struct plan *p = j->plan;
	int64_t at_ms = j->found->at_ms ? j->found->at_ms : p->ended_ms;
	for (uint32_t i = 0; i < p->shoppers_n; i++)
		if (p->shoppers[i].granted_seq)
			add_effect(j, EFFECT_GRANT, p->shoppers[i].granted_seq, i);
	uint64_t grants_n = j->effects_n;
	qsort(j->effects, grants_n, sizeof *j->effects, effect_order);
	for (uint32_t i = 0; i < p->shoppers_n; i++) {
		int64_t expired_ms = judge_expired_ms(&p->shoppers[i], at_ms);
		if (expired_ms) {
			j->verdict->expired_unused += !p->shoppers[i].warm;
			add_effect(j, EFFECT_END, expiry_seq(j, grants_n, expired_ms), i);
		} else if (p->shoppers[i].ended_seq)
			add_effect(j, EFFECT_END, p->shoppers[i].ended_seq, i);
	}
	for (uint32_t i = 0; i < p->events_n; i++)
		if (p->events[i].applied_n > 0)
			add_effect(j, EFFECT_FACT, p->events[i].seq, i);
	qsort(j->effects, j->effects_n, sizeof *j->effects, effect_order);
}

/* ---- sums ---- */

static int64_t
ats(const struct cell_sum *s)
{
	return s->on_hand - s->held - s->committed;
}

static void
look_at_ats(struct cell_sum *s, int64_t now_ns)
{
	if (ats(s) <= 0 && s->sold_out_ns < 0)
		s->sold_out_ns = now_ns > 0 ? now_ns : 0;
}

static void
sum_grant(struct judge *j, const struct shopper *s)
{
	bool good = true;
	for (uint32_t i = 0; i < s->lines_n; i++) {
		const struct plan_line *line = &j->plan->lines[s->line + i];
		struct cell_sum *sum = &j->verdict->sums[line->cell];
		sum->held += line->qty;
		good &= ats(sum) >= 0 || sum->unsure;
		look_at_ats(sum, s->answered_ns);
	}
	j->verdict->grants++;
	j->verdict->oversold += !good;
}

/* Held and committed are told apart at the end; here only their sum matters. */
static void
sum_end(struct judge *j, const struct shopper *s)
{
	for (uint32_t i = 0; i < s->lines_n; i++) {
		const struct plan_line *line = &j->plan->lines[s->line + i];
		struct cell_sum *sum = &j->verdict->sums[line->cell];
		sum->held -= line->qty;
		if (s->state == SHOPPER_FULFILLED) {
			sum->on_hand -= line->qty;
			sum->fulfilled += line->qty;
		} else
			*(s->state == SHOPPER_RELEASED ? &sum->released : &sum->expired) += line->qty;
	}
}

static int64_t
event_answered_ns(const struct plan *p, uint32_t event)
{
	uint32_t low = 0, high = p->messages_n;
	while (high - low > 1) {
		uint32_t middle = (low + high) / 2;
		if (p->messages[middle].first <= event)
			low = middle;
		else
			high = middle;
	}
	return p->messages[low].answered_ns;
}

static void
sum_event(struct judge *j, uint32_t index)
{
	const struct till_event *e = &j->plan->events[index];
	struct cell_sum *sum = &j->verdict->sums[e->cell];
	sum->on_hand += e->kind == TILL_SALE ? -e->qty : e->qty;
	*(e->kind == TILL_SALE ? &sum->till_sold : &sum->returned) += e->qty;
	look_at_ats(sum, event_answered_ns(j->plan, index));
}

static void
sum_all(struct judge *j)
{
	for (uint64_t i = 0; i < j->effects_n; i++) {
		const struct effect *e = &j->effects[i];
		if (e->kind == EFFECT_FACT)
			sum_event(j, e->index);
		else if (e->kind == EFFECT_GRANT)
			sum_grant(j, &j->plan->shoppers[e->index]);
		else
			sum_end(j, &j->plan->shoppers[e->index]);
	}
}

/* Who bought, who was refused; what cannot be compared (J4); answers that the rules do not allow. */
static void
sum_shoppers(struct judge *j)
{
	const struct plan *p = j->plan;
	for (uint32_t i = 0; i < p->shoppers_n; i++) {
		const struct shopper *s = &p->shoppers[i];
		j->verdict->wrong += s->wrong;
		j->verdict->doubled += s->grants_n > 1;
		for (uint32_t l = 0; l < s->lines_n && !s->looks; l++) {
			const struct plan_line *line = &p->lines[s->line + l];
			struct cell_sum *sum = &j->verdict->sums[line->cell];
			sum->unsure |= s->waiting > 0;
			if (s->state == SHOPPER_COMMITTED) {
				sum->held -= line->qty;
				sum->committed += line->qty;
			}
			sum->bought += s->state == SHOPPER_COMMITTED || s->state == SHOPPER_FULFILLED ? line->qty : 0;
			sum->refused_shoppers += s->state == SHOPPER_REFUSED && (s->reason != STATUS_INSUFFICIENT || l == s->failing_line);
			sum->refused_units += s->state == SHOPPER_REFUSED && (s->reason != STATUS_INSUFFICIENT || l == s->failing_line) ? line->qty : 0;
		}
	}
}

static void
mark_unsure(struct judge *j)
{
	const struct plan *p = j->plan;
	for (uint32_t m = 0; m < p->messages_n; m++)
		for (uint32_t i = 0; i < p->messages[m].events_n; i++) {
			const struct till_event *e = &p->events[p->messages[m].first + i];
			j->verdict->sums[e->cell].unsure |= p->messages[m].answered_ns == 0;
			j->verdict->wrong += e->wrong;
			j->verdict->doubled += e->applied_n > 1;
			j->verdict->lost += p->messages[m].answered_ns != 0 && e->applied_n == 0 && !e->wrong;
			j->verdict->events++;
		}
	for (uint32_t i = 0; i < p->shoppers_n; i++)
		for (uint32_t l = 0; l < p->shoppers[i].lines_n && p->shoppers[i].waiting > 0; l++)
			j->verdict->sums[p->lines[p->shoppers[i].line + l].cell].unsure = true;
}

/* ---- the server's end ---- */

/* Fewer units moved than the records say: lost; more: doubled. */
static void
compare_quantity(struct verdict *v, int64_t expected, int64_t found)
{
	v->lost += found < expected ? (uint64_t)(expected - found) : 0;
	v->doubled += found > expected ? (uint64_t)(found - expected) : 0;
}

static void
compare_cells(struct judge *j)
{
	for (uint32_t i = 0; i < j->plan->cells_n; i++) {
		const struct cell_sum *s = &j->verdict->sums[i];
		const struct found_cell *f = &j->found->cells[i];
		if (s->unsure)
			continue;
		j->verdict->cells++;
		/* A sale takes units away: more on hand than expected is a lost one, unless a return was doubled; both are bad. */
		compare_quantity(j->verdict, -s->on_hand, -f->on_hand);
		compare_quantity(j->verdict, s->held, f->reserved);
		compare_quantity(j->verdict, s->committed, f->committed);
	}
}

static void
compare_reservations(struct judge *j)
{
	for (uint32_t i = 0; i < j->plan->shoppers_n; i++) {
		const struct shopper *s = &j->plan->shoppers[i];
		if (!s->granted_seq || s->waiting > 0)
			continue;
		uint8_t expected = judge_expired_ms(s, j->found->at_ms) ? SHOPPER_TOO_LATE : s->state;
		j->verdict->reservations++;
		j->verdict->lost += j->found->states[i] != expected;
	}
}

static void
compare_tills(struct judge *j)
{
	const struct plan *p = j->plan;
	uint64_t *answered = calloc(p->tills_n + 1, sizeof *answered);
	for (uint32_t m = 0; m < p->messages_n && answered; m++)
		if (p->messages[m].answered_ns)
			answered[p->messages[m].till] += p->messages[m].events_n;
	for (uint32_t t = 0; t < p->tills_n && answered; t++) {
		const struct found_till *f = &j->found->tills[t];
		j->verdict->tills++;
		j->verdict->lost += f->contiguous < (int64_t)answered[t] ? answered[t] - (uint64_t)f->contiguous : 0;
		j->verdict->doubled += f->highest > (int64_t)p->till_last[t] ? (uint64_t)f->highest - p->till_last[t] : 0;
	}
	free(answered);
}

int
judge_run(const struct plan *p, const struct found *found, uint64_t unanswered, struct verdict *v, struct why *why)
{
	struct judge j = { .plan = p, .found = found, .verdict = v };
	*v = (struct verdict){ .unanswered = unanswered };
	v->sums = calloc(p->cells_n, sizeof *v->sums);
	j.effects = calloc((size_t)p->shoppers_n * 2 + p->events_n + 1, sizeof *j.effects);
	bool good = v->sums && j.effects;
	if (good) {
		for (uint32_t i = 0; i < p->cells_n; i++)
			v->sums[i] = (struct cell_sum){ .stock = p->cells[i].stock, .on_hand = p->cells[i].stock, .sold_out_ns = -1 };
		order_effects(&j);
		mark_unsure(&j);
		sum_all(&j);
		sum_shoppers(&j);
		good = judge_fairness(p, v) == 0;
	}
	if (good && found->at_ms) {
		v->compared = true;
		compare_cells(&j);
		compare_reservations(&j);
		compare_tills(&j);
	}
	free(j.effects);
	if (good)
		return 0;
	judge_fini(v);
	snprintf(why->text, sizeof why->text, "no memory for the verdict");
	return -1;
}

void
judge_fini(struct verdict *v)
{
	free(v->sums);
	v->sums = NULL;
}

bool
judge_good(const struct verdict *v)
{
	return v->oversold + v->lost + v->doubled + v->unanswered + v->wrong == 0 && v->compared;
}

void
found_fini(struct found *f)
{
	free(f->cells);
	free(f->states);
	free(f->tills);
	*f = (struct found){ .at_ms = 0 };
}
