#include "core/quarantine.h"

void
quarantine_init(struct quarantine *q, struct carve *c, uint32_t max)
{
	q->max = max;
	q->at = carve(c, max, sizeof *q->at);
	q->number = carve(c, max, sizeof *q->number);
}

uint64_t
quarantine_next(const struct quarantine *q)
{
	if (q->kept == q->max)
		return 0;
	uint64_t number = q->last + 1;
	while (q->number[number % q->max])
		number++;
	return number;
}

const struct kept_event *
quarantine_find(const struct quarantine *q, uint64_t number)
{
	uint64_t slot = number % q->max;
	return number && q->number[slot] == number ? &q->at[slot] : NULL;
}

uint64_t
quarantine_after(const struct quarantine *q, uint64_t after)
{
	if (q->kept == 0 || after >= q->last)
		return 0;
	/* Once around the slots: numbers of one round stand in their order. */
	uint64_t number = after + 1, left = q->last - after, next = 0;
	uint32_t slot = (uint32_t)(number % q->max);
	for (uint32_t i = 0; i < q->max && i < left; i++, number++) {
		if (q->number[slot] == number)
			return number;
		slot = slot + 1 == q->max ? 0 : slot + 1;
	}
	if (left <= q->max)
		return 0;
	for (slot = 0; slot < q->max; slot++)
		if (q->number[slot] > after && (next == 0 || q->number[slot] < next))
			next = q->number[slot];
	return next;
}

void
quarantine_evolve(struct quarantine *q, uint64_t seq, const struct quarantine_record *r)
{
	struct kept_event *item = &q->at[r->slot];
	q->kept += (uint32_t)r->kept - (uint32_t)(q->number[r->slot] != 0);
	q->number[r->slot] = r->kept ? r->number : 0;
	item->seq = seq;
	item->at = r->at;
	item->reason = (uint8_t)r->reason;
	item->raw_n = (uint16_t)r->raw.n;
	if (r->raw.n)
		memcpy(item->raw, r->raw.at, r->raw.n);
	if (r->number > q->last)
		q->last = r->number;
}
