/*
 * retail_day_recount.c: the judge. It takes what was sent and what was answered, puts everything in the order of the positions
 * that the answers named, and does the sums again with tables of its own:
 *
 *   - a grant is good if the units it took were there at its position (D2)
 *   - at the end each cell must hold what the sums say: on hand, reserved, committed, ATS
 *   - each reservation must be in the state that was answered last; each source must stand at the last number sent
 *
 * An expiry has no answer. It belongs before the first grant whose stamp is not earlier than its instant (D19), and every
 * grant's stamp is known: its end less its time to live.
 */
#include "bench/retail_day.h"

#include <stdio.h>
#include <stdlib.h>

#include "net/clock.h"

#define CELLS_AT_ONCE 500
#define IN_FLIGHT 64
#define CALL_MS 20000

enum effect_kind { EFFECT_END, EFFECT_FACT, EFFECT_GRANT }; /* what frees units comes first at its position */

struct effect {
	uint64_t seq;
	uint32_t index; /* fact or basket */
	uint8_t kind;
};

struct delta {
	int64_t at;
	int32_t qty;
	uint32_t next; /* + 1 */
};

/* A cell by the judge's own sums. */
struct sum {
	int64_t on_hand, held, committed;
	int64_t as_of; /* of its last count */
	uint32_t deltas; /* + 1; only of cells that are counted */
	bool resent, any_count;
};

struct judge {
	struct day *day;
	struct hf *hf;
	struct verdict *verdict;
	struct sum *sums;
	struct effect *effects;
	struct delta *deltas;
	uint32_t effects_n, effects_room, deltas_n, deltas_room;
	struct why *why;
};

static int
failed(struct judge *j, const char *what)
{
	snprintf(j->why->text, sizeof j->why->text, "%s: %s", what, hf_error(j->hf)->message);
	return -1;
}

/* ---- the sums ---- */

static void
add_effect(struct judge *j, enum effect_kind kind, uint64_t seq, uint32_t index)
{
	j->effects = day_grow(j->effects, j->effects_n, &j->effects_room, sizeof *j->effects);
	j->effects[j->effects_n++] = (struct effect){ seq, index, (uint8_t)kind };
}

static int
effect_order(const void *a, const void *b)
{
	const struct effect *x = a, *y = b;
	return x->seq != y->seq ? (x->seq > y->seq) - (x->seq < y->seq) : x->kind - y->kind;
}

/* Where a hold that was left to expire stopped counting; UINT64_MAX: after the last grant. */
static uint64_t
expiry_seq(const struct judge *j, uint32_t grants_n, const struct basket *b)
{
	uint32_t low = 0, high = grants_n;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (j->day->baskets[j->effects[middle].index].stamp >= b->expires_at)
			high = middle;
		else
			low = middle + 1;
	}
	return low < grants_n ? j->effects[low].seq : UINT64_MAX;
}

static void
order_effects(struct judge *j)
{
	struct day *d = j->day;
	for (uint32_t i = 0; i < d->baskets_n; i++)
		if (d->baskets[i].granted_seq)
			add_effect(j, EFFECT_GRANT, d->baskets[i].granted_seq, i);
	uint32_t grants_n = j->effects_n;
	qsort(j->effects, grants_n, sizeof *j->effects, effect_order);
	for (uint32_t i = 0; i < d->baskets_n; i++) {
		struct basket *b = &d->baskets[i];
		if (b->state == BASKET_HELD && b->fate == FATE_ABANDON) {
			b->state = BASKET_EXPIRED;
			b->ended_seq = expiry_seq(j, grants_n, b);
		}
		if (b->ended_seq)
			add_effect(j, EFFECT_END, b->ended_seq, i);
	}
	for (uint32_t i = 0; i < d->facts_n; i++)
		add_effect(j, EFFECT_FACT, d->facts[i].seq, i);
	qsort(j->effects, j->effects_n, sizeof *j->effects, effect_order);
}

/* A change of what is there (D32 to D34): what its outcome must be. */
static enum fact_outcome
move_on_hand(struct judge *j, uint32_t cell, int64_t at, int32_t qty)
{
	struct sum *s = &j->sums[cell];
	if (!j->day->cells[cell].counted) {
		s->on_hand += qty;
		return FACT_APPLIED;
	}
	if (s->any_count && at <= s->as_of)
		return FACT_ABSORBED;
	s->on_hand += qty;
	j->deltas = day_grow(j->deltas, j->deltas_n, &j->deltas_room, sizeof *j->deltas);
	j->deltas[j->deltas_n++] = (struct delta){ at, qty, s->deltas };
	s->deltas = j->deltas_n;
	return FACT_APPLIED;
}

/* D33, D35 */
static enum fact_outcome
count(struct judge *j, const struct fact *f)
{
	struct sum *s = &j->sums[f->cell];
	if (s->any_count && f->at <= s->as_of)
		return FACT_REJECTED;
	s->any_count = true;
	s->as_of = f->at;
	s->on_hand = f->qty;
	for (uint32_t i = s->deltas; i; i = j->deltas[i - 1].next)
		if (j->deltas[i - 1].at > f->at)
			s->on_hand += j->deltas[i - 1].qty;
	return FACT_APPLIED;
}

static void
sum_fact(struct judge *j, const struct fact *f)
{
	j->sums[f->cell].resent |= f->resent;
	enum fact_outcome outcome =
	    f->kind == FACT_COUNT ? count(j, f) : move_on_hand(j, f->cell, f->at, f->kind == FACT_SALE ? -f->qty : f->qty);
	j->verdict->misanswered += outcome != (enum fact_outcome)f->outcome;
}

static void
sum_grant(struct judge *j, const struct basket *b)
{
	bool good = true;
	for (uint32_t i = 0; i < b->lines_n; i++) {
		struct line *line = &j->day->lines[b->line + i];
		struct sum *s = &j->sums[line->cell];
		s->held += line->qty;
		s->resent |= b->resent;
		good &= s->on_hand - s->held - s->committed >= 0;
	}
	j->verdict->grants++;
	j->verdict->oversold += !good;
}

/* Released, expired or shipped. Held and committed are told apart at the end; here only their sum matters. */
static void
sum_end(struct judge *j, const struct basket *b)
{
	for (uint32_t i = 0; i < b->lines_n; i++) {
		struct line *line = &j->day->lines[b->line + i];
		j->sums[line->cell].held -= line->qty;
		if (b->state == BASKET_FULFILLED)
			move_on_hand(j, line->cell, INT64_MAX, -line->qty);
	}
}

static void
sum_all(struct judge *j)
{
	struct day *d = j->day;
	for (uint32_t i = 0; i < j->effects_n; i++) {
		const struct effect *e = &j->effects[i];
		if (e->kind == EFFECT_FACT)
			sum_fact(j, &d->facts[e->index]);
		else if (e->kind == EFFECT_GRANT)
			sum_grant(j, &d->baskets[e->index]);
		else
			sum_end(j, &d->baskets[e->index]);
	}
	for (uint32_t i = 0; i < d->baskets_n; i++)
		for (uint32_t l = 0; d->baskets[i].state == BASKET_COMMITTED && l < d->baskets[i].lines_n; l++) {
			struct line *line = &d->lines[d->baskets[i].line + l];
			j->sums[line->cell].held -= line->qty;
			j->sums[line->cell].committed += line->qty;
		}
}

/* ---- the server's side ---- */

static void
compare_cell(struct judge *j, uint32_t cell, const struct hf_value *v)
{
	struct verdict *out = j->verdict;
	const struct sum *s = &j->sums[cell];
	int64_t ats = s->on_hand - s->held - s->committed;
	bool same = hf_int(hf_get(v, "on_hand"), INT64_MIN) == s->on_hand && hf_int(hf_get(v, "reserved"), -1) == s->held &&
	    hf_int(hf_get(v, "committed"), -1) == s->committed && hf_int(hf_get(v, "unsellable"), -1) == 0 &&
	    hf_int(hf_get(v, "ats"), INT64_MIN) == ats;
	out->cells++;
	out->differences += !same;
	out->doubled += !same && s->resent;
	out->on_hand += s->on_hand;
	out->reserved += s->held;
	out->committed += s->committed;
	out->short_cells += ats < 0;
	if (!same && out->differences <= 5)
		printf("    differs: %s at %s: on hand %lld, reserved %lld, committed %lld; by the sums %lld, %lld, %lld\n",
		    j->day->skus[j->day->cells[cell].sku], j->day->locations[j->day->cells[cell].location],
		    (long long)hf_int(hf_get(v, "on_hand"), -1), (long long)hf_int(hf_get(v, "reserved"), -1),
		    (long long)hf_int(hf_get(v, "committed"), -1), (long long)s->on_hand, (long long)s->held, (long long)s->committed);
}

static int
compare_cells(struct judge *j)
{
	struct day *d = j->day;
	struct hf_line ask[CELLS_AT_ONCE];
	const struct hf_value *value;
	for (uint32_t first = 0; first < d->cells_n; first += CELLS_AT_ONCE) {
		uint32_t n = d->cells_n - first < CELLS_AT_ONCE ? d->cells_n - first : CELLS_AT_ONCE;
		for (uint32_t i = 0; i < n; i++)
			ask[i] = (struct hf_line){ d->skus[d->cells[first + i].sku], d->locations[d->cells[first + i].location], 0 };
		if (hf_stock(j->hf, ask, n, &value) != HF_OK)
			return failed(j, "stock");
		if (value->type != HF_ARRAY || value->array.n != 2 || value->array.items[1].type != HF_ARRAY || value->array.items[1].array.n != n)
			return failed(j, "stock answered something else");
		for (uint32_t i = 0; i < n; i++)
			compare_cell(j, first + i, &value->array.items[1].array.items[i]);
	}
	return 0;
}

/* D4: the group's ATS of each SKU is the sum of its locations', each at least 0. */
static int
compare_groups(struct judge *j)
{
	struct day *d = j->day;
	int64_t *sums = calloc(d->skus_n, sizeof *sums);
	struct hf_line *ask = calloc(d->skus_n, sizeof *ask);
	const struct hf_value *value;
	int result = 0;
	for (uint32_t i = 0; i < d->cells_n; i++) {
		int64_t ats = j->sums[i].on_hand - j->sums[i].held - j->sums[i].committed;
		sums[d->cells[i].sku] += ats > 0 ? ats : 0;
	}
	for (uint32_t i = 0; i < d->skus_n; i++)
		ask[i] = (struct hf_line){ d->skus[i], GROUP_NAME, 0 };
	for (uint32_t first = 0; first < d->skus_n && result == 0; first += CELLS_AT_ONCE) {
		uint32_t n = d->skus_n - first < CELLS_AT_ONCE ? d->skus_n - first : CELLS_AT_ONCE;
		if (hf_ats(j->hf, ask + first, n, &value) != HF_OK || value->type != HF_ARRAY || value->array.n != 2)
			result = failed(j, "ats");
		for (uint32_t i = 0; i < n && result == 0; i++)
			j->verdict->group_differences += hf_int(&value->array.items[1].array.items[i], -1) != sums[first + i];
	}
	j->verdict->groups = d->skus_n;
	free(ask);
	free(sums);
	return result;
}

static void
compare_reservation(struct judge *j, const struct basket *b, enum hf_outcome got, const struct hf_value *value)
{
	static const char *const name[] = { "", "", "held", "committed", "fulfilled", "released", "expired" };
	const struct hf_value *state = got == HF_OK ? hf_get(value, "state") : NULL;
	const char *want = name[b->state];
	j->verdict->reservations++;
	j->verdict->reservations_lost +=
	    !state || state->type != HF_STR || state->str.n != strlen(want) || memcmp(state->str.at, want, state->str.n) != 0;
}

/* Every reservation that was granted, many questions in flight. */
static int
compare_reservations(struct judge *j)
{
	struct day *d = j->day;
	uint32_t number, asked[IN_FLIGHT * 2], next = 0;
	char id[24];
	const struct hf_value *value;
	while (next < d->baskets_n || hf_in_flight(j->hf) > 0) {
		for (; next < d->baskets_n && hf_in_flight(j->hf) < IN_FLIGHT; next++) {
			if (!d->baskets[next].granted_seq)
				continue;
			basket_id(next, id);
			hf_begin(j->hf, "reservation");
			hf_array(j->hf, 1);
			hf_put_str(j->hf, id);
			number = hf_send(j->hf);
			asked[number % (IN_FLIGHT * 2)] = next;
		}
		for (uint32_t low = hf_in_flight(j->hf) / 2; hf_in_flight(j->hf) > low;) {
			enum hf_outcome got = hf_receive(j->hf, &number, &value);
			if (number == 0)
				return failed(j, "reservation");
			compare_reservation(j, &d->baskets[asked[number % (IN_FLIGHT * 2)]], got, value);
		}
	}
	return 0;
}

static int
compare_sources(struct judge *j)
{
	struct day *d = j->day;
	const struct hf_value *value;
	for (uint32_t i = 0; i < d->sources_n; i++) {
		hf_begin(j->hf, "position");
		hf_array(j->hf, 1);
		hf_put_str(j->hf, d->sources[i]);
		if (hf_call(j->hf, &value) != HF_OK)
			return failed(j, "position");
		uint64_t contiguous = (uint64_t)hf_int(hf_get(value, "contiguous"), 0), highest = (uint64_t)hf_int(hf_get(value, "highest"), 0);
		j->verdict->facts_lost += contiguous < d->sent_n[i] ? d->sent_n[i] - contiguous : 0;
		j->verdict->facts_more += highest > d->sent_n[i] ? highest - d->sent_n[i] : 0;
		j->verdict->sources++;
	}
	return 0;
}

int
day_judge(struct day *d, uint16_t rpc, struct verdict *verdict, struct why *why)
{
	int64_t start = clock_steady_ns();
	struct hf_failure failure;
	struct judge j = { .day = d, .verdict = verdict, .why = why };
	*verdict = (struct verdict){ .cells = 0 };
	j.sums = calloc(d->cells_n, sizeof *j.sums);
	j.hf = hf_connect("127.0.0.1", rpc, CALL_MS, &failure);
	if (!j.hf) {
		snprintf(why->text, sizeof why->text, "%s", failure.message);
		return -1;
	}
	order_effects(&j);
	sum_all(&j);
	int result = compare_cells(&j) || compare_reservations(&j) || compare_sources(&j) ? -1 : 0;
	if (result == 0 && d->locations_n > 1)
		result = compare_groups(&j);
	hf_close(j.hf);
	free(j.sums);
	free(j.effects);
	free(j.deltas);
	verdict->seconds = (double)(clock_steady_ns() - start) / 1e9;
	return result;
}
