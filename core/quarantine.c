#include "core/quarantine.h"

void
quarantine_init(struct quarantine *q, struct carve *c, uint32_t max)
{
	q->max = max;
	q->at = carve(c, max, sizeof *q->at);
}

uint64_t
quarantine_next(const struct quarantine *q)
{
	if (q->kept == q->max)
		return 0;
	uint64_t number = q->last + 1;
	while (q->at[number % q->max].kept)
		number++;
	return number;
}

const struct kept_event *
quarantine_find(const struct quarantine *q, uint64_t number)
{
	const struct kept_event *item = &q->at[number % q->max];
	return item->kept && item->number == number ? item : NULL;
}

void
quarantine_evolve(struct quarantine *q, uint64_t seq, const struct quarantine_record *r)
{
	struct kept_event *item = &q->at[r->slot];
	q->kept += (uint32_t)r->kept - (uint32_t)item->kept;
	item->number = r->number;
	item->seq = seq;
	item->at = r->at;
	item->reason = (uint8_t)r->reason;
	item->kept = r->kept;
	item->raw_n = (uint16_t)r->raw.n;
	if (r->raw.n)
		memcpy(item->raw, r->raw.at, r->raw.n);
	if (r->number > q->last)
		q->last = r->number;
}
