/*
 * rehearse_fair.c: who was passed over, and whose wish could have been granted later: of the cells that refused somebody. Part of the judge
 * (rehearse_judge.h). Refusals have no position, so these two go by the client's clock; they are for people to judge, not for the verdict.
 */
#include "bench/rehearse_judge.h"

#include <stdlib.h>

#define EXPIRY_EARLY_NS 5000000 /* what the clocks may differ */
#define EXPIRY_LATE_NS 50000000 /* and the batch that ends it */
#define WANTED_MAX 32 /* who wants more units is taken for one who wants so many */

/*
 * A shopper at a cell: granted (at the moment of the answer) or refused there (at the moment of the question, so that all between a mark and
 * a later one may explain it); or units that came back to it: the earliest moment, and once more, without units, the latest.
 */
struct mark {
	uint32_t cell;
	int32_t qty;
	int64_t at_ns;
	int64_t came_ns; /* of a shopper: when it came */
	uint64_t seq;
	enum { MARK_GRANTED, MARK_REFUSED, MARK_BACK } kind;
};

struct marks {
	struct mark *at;
	uint32_t n, room;
};

static void
mark_add(struct marks *m, struct mark mark)
{
	m->at = plan_grow(m->at, m->n, &m->room, sizeof *m->at);
	if (m->at)
		m->at[m->n++] = mark;
	else
		m->n = m->room = 0;
}

static int
mark_order(const void *a, const void *b)
{
	const struct mark *x = a, *y = b;
	return x->cell != y->cell ? (x->cell > y->cell) - (x->cell < y->cell) : (x->at_ns > y->at_ns) - (x->at_ns < y->at_ns);
}

/* Units come back between two moments that are known. */
static void
mark_back(struct marks *m, struct mark mark, int64_t from_ns, int64_t to_ns)
{
	mark.kind = MARK_BACK;
	mark.at_ns = from_ns;
	mark_add(m, mark);
	mark.at_ns = to_ns;
	mark.qty = 0;
	mark_add(m, mark);
}

static void
mark_shopper(struct marks *m, const struct plan *p, const struct verdict *v, const struct shopper *s)
{
	int64_t expired_ns = (s->expires_at - p->begun_ms) * 1000000, settle_ns = s->answered_ns + (int64_t)s->think_ms * 1000000;
	for (uint32_t l = 0; l < s->lines_n; l++) {
		const struct plan_line *line = &p->lines[s->line + l];
		struct mark mark = { .cell = line->cell, .qty = line->qty, .came_ns = s->due_ns, .seq = s->granted_seq };
		if (v->sums[line->cell].refused_shoppers == 0)
			continue;
		mark.kind = s->granted_seq ? MARK_GRANTED : MARK_REFUSED;
		mark.at_ns = s->granted_seq ? s->answered_ns : s->asked_ns;
		if (s->granted_seq || (s->state == SHOPPER_REFUSED && s->reason == STATUS_INSUFFICIENT && l == s->failing_line))
			mark_add(m, mark);
		if (s->state == SHOPPER_RELEASED)
			mark_back(m, mark, settle_ns, s->ended_ns);
		else if (s->granted_seq && (s->state == SHOPPER_HELD || s->state == SHOPPER_TOO_LATE))
			mark_back(m, mark, expired_ns - EXPIRY_EARLY_NS, expired_ns + EXPIRY_LATE_NS);
	}
}

static void
mark_events(struct marks *m, const struct plan *p, const struct verdict *v)
{
	for (uint32_t i = 0; i < p->messages_n; i++)
		for (uint32_t e = p->messages[i].first; e < p->messages[i].first + p->messages[i].events_n; e++)
			if (p->events[e].kind != TILL_SALE && p->events[e].applied_n > 0 && v->sums[p->events[e].cell].refused_shoppers > 0)
				mark_back(m, (struct mark){ .cell = p->events[e].cell, .qty = p->events[e].qty }, p->messages[i].due_ns,
				    p->messages[i].answered_ns);
}

/* ---- one cell's marks, in the order of their instants ---- */

/* What came back goes to those who were refused before, first come first served (in mind: others have had it). */
static void
lost_sales(const struct mark *at, uint32_t n, int64_t left, struct lost_sales *lost)
{
	uint32_t waiting = 0;
	int64_t back = 0, came = 0, served = 0;
	bool refused = false;
	for (uint32_t i = 0; i < n; i++) {
		refused |= at[i].kind == MARK_REFUSED;
		if (at[i].kind != MARK_BACK || !refused)
			continue;
		came += at[i].qty;
		back += at[i].qty;
		for (; waiting < i && (at[waiting].kind != MARK_REFUSED || at[waiting].qty <= back); waiting++)
			if (at[waiting].kind == MARK_REFUSED) {
				back -= at[waiting].qty;
				served += at[waiting].qty;
				lost->shoppers++;
			}
	}
	lost->came_back += came;
	lost->units += served;
	lost->unsold_units += left < 0 ? 0 : left < served ? left : served;
}

/*
 * From the end: `latest` is the last comer among those granted behind here who wanted no less, by what was wanted; `near` the same, but only
 * up to where units came back.
 */
static void
passed_over(const struct mark *at, uint32_t n, struct fairness *f)
{
	int64_t latest[WANTED_MAX + 1], near[WANTED_MAX + 1];
	for (int q = 0; q <= WANTED_MAX; q++)
		latest[q] = near[q] = INT64_MIN;
	for (uint32_t i = n; i-- > 0;) {
		const struct mark *m = &at[i];
		int wanted = m->qty < WANTED_MAX ? m->qty : WANTED_MAX;
		for (int q = 0; m->kind != MARK_REFUSED && q <= WANTED_MAX; q++)
			if (m->kind == MARK_BACK)
				near[q] = INT64_MIN;
			else if (q <= wanted) {
				latest[q] = m->came_ns > latest[q] ? m->came_ns : latest[q];
				near[q] = m->came_ns > near[q] ? m->came_ns : near[q];
			}
		if (m->kind != MARK_REFUSED || latest[wanted] <= m->came_ns)
			continue;
		f->passed_over++;
		if (near[wanted] <= m->came_ns)
			continue;
		f->unexplained++;
		double ms = (double)(near[wanted] - m->came_ns) / 1e6;
		f->worst_ms = ms > f->worst_ms ? ms : f->worst_ms;
	}
}

static int
seq_order(const void *a, const void *b)
{
	const struct mark *x = a, *y = b;
	return (x->seq > y->seq) - (x->seq < y->seq);
}

/* Pairs granted against the order of coming, by merging: at[0..n) is sorted by came_ns afterwards. */
static uint64_t
inversions(struct mark *at, struct mark *spare, uint32_t n)
{
	uint32_t half = n / 2, left = 0, right = half, to = 0;
	if (n < 2)
		return 0;
	uint64_t found = inversions(at, spare, half) + inversions(at + half, spare, n - half);
	while (left < half || right < n)
		if (right == n || (left < half && at[left].came_ns <= at[right].came_ns))
			spare[to++] = at[left++];
		else {
			found += half - left;
			spare[to++] = at[right++];
		}
	memcpy(at, spare, n * sizeof *at);
	return found;
}

static void
cell_judge(struct mark *at, struct mark *spare, uint32_t n, struct verdict *v, double *pairs, double *against)
{
	uint32_t granted = 0;
	const struct cell_sum *sum = &v->sums[at[0].cell];
	lost_sales(at, n, sum->on_hand - sum->held - sum->committed, &v->lost_sales);
	passed_over(at, n, &v->fairness);
	for (uint32_t i = 0; i < n; i++)
		if (at[i].kind == MARK_GRANTED)
			at[granted++] = at[i];
	qsort(at, granted, sizeof *at, seq_order);
	*against += (double)inversions(at, spare, granted);
	*pairs += (double)granted * (granted - 1.) / 2;
	v->fairness.granted += granted;
}

int
judge_fairness(const struct plan *p, struct verdict *v)
{
	struct marks m = { .n = 0 };
	double pairs = 0, against = 0;
	for (uint32_t i = 0; i < p->shoppers_n; i++)
		if (!p->shoppers[i].warm && !p->shoppers[i].looks)
			mark_shopper(&m, p, v, &p->shoppers[i]);
	mark_events(&m, p, v);
	struct mark *spare = calloc(m.n + 1, sizeof *spare);
	if (m.n > 0)
		qsort(m.at, m.n, sizeof *m.at, mark_order);
	for (uint32_t from = 0, to; from < m.n && spare; from = to) {
		for (to = from; to < m.n && m.at[to].cell == m.at[from].cell; to++)
			;
		cell_judge(m.at + from, spare, to - from, v, &pairs, &against);
	}
	v->fairness.out_of_order_share = pairs > 0 ? against / pairs : 0;
	free(m.at);
	free(spare);
	return spare ? 0 : -1;
}
