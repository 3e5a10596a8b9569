#include "core/history.h"

#define SOURCE_BITS 20
#define ARRIVAL_HIGH_BITS 11

void
history_init(struct history *h, struct carve *c, uint32_t ring, uint32_t cells_max)
{
	h->ring = ring;
	h->at = carve(c, ring, sizeof *h->at);
	h->of_cell = carve(c, cells_max, sizeof *h->of_cell);
	h->floor = carve(c, cells_max, sizeof *h->floor);
}

static int64_t
delta_at(const struct delta *d)
{
	return (int64_t)(d->at_source >> SOURCE_BITS);
}

static int64_t
delta_arrival(const struct delta *d)
{
	return (int64_t)((d->n_arrival & ((1u << ARRIVAL_HIGH_BITS) - 1)) << 32 | d->arrival);
}

int64_t
history_floor_of(const struct history *h, uint32_t cell)
{
	return h->floor[cell] == 0 ? FLOOR_NONE : h->floor[cell] - 1;
}

/* How many deltas came after the one in `slot`. */
static uint32_t
age_of(const struct history *h, uint32_t slot)
{
	return (uint32_t)((h->next - 1 - slot) % h->ring);
}

/* The next older slot + 1 of a chain; 0: the chain ends, or its next was overwritten (then its age would not grow). */
static uint32_t
older(const struct history *h, uint32_t slot)
{
	uint32_t next = h->at[slot].older;
	return next && age_of(h, next - 1) > age_of(h, slot) ? next : 0;
}

/* First of a cell's chain, unless the ring has passed over it: then its slot is another's. */
static uint32_t
newest(const struct history *h, uint32_t cell)
{
	uint32_t head = h->cells->at[cell].history_head;
	return head && h->at[head - 1].cell == cell + 1 ? head : 0;
}

/* The last count's as_of; FLOOR_NONE: never counted. */
static int64_t
counted_at(const struct history *h, uint32_t cell)
{
	int64_t at = atomic_load_explicit(&h->cells->at[cell].count_at, memory_order_relaxed);
	return at ? at - 1 : FLOOR_NONE;
}

void
history_sum(const struct history *h, uint32_t cell, int64_t as_of, int64_t oldest_arrival, struct history_sum *sum)
{
	*sum = (struct history_sum){ 0, history_floor_of(h, cell) };
	int64_t inside = counted_at(h, cell);
	for (uint32_t slot = newest(h, cell); slot; slot = older(h, slot - 1)) {
		const struct delta *d = &h->at[slot - 1];
		int64_t at = delta_at(d);
		if (d->cell != cell + 1)
			break;
		if (at <= inside || at <= history_floor_of(h, cell))
			continue;
		if (delta_arrival(d) < oldest_arrival && at > sum->floor)
			sum->floor = at;
		if (at > as_of)
			sum->after += d->qty;
	}
}

/* The greatest `at` in the older half of a full chain: what the cell's floor becomes. */
static int64_t
half_floor(const struct history *h, uint32_t cell)
{
	int64_t floor = history_floor_of(h, cell);
	uint32_t seen = 0;
	for (uint32_t slot = newest(h, cell); slot; slot = older(h, slot - 1)) {
		if (h->at[slot - 1].cell != cell + 1)
			break;
		if (++seen > DELTAS_OF_CELL_MAX / 2 && delta_at(&h->at[slot - 1]) > floor)
			floor = delta_at(&h->at[slot - 1]);
	}
	return floor;
}

uint32_t
history_evicts(const struct history *h, uint32_t cell, struct floor_record out[2])
{
	uint32_t n = 0;
	struct delta_record old;
	if (history_slot(h, h->next_slot, &old))
		out[n++] = (struct floor_record){ old.cell, old.at };
	if (h->of_cell[cell] >= DELTAS_OF_CELL_MAX) {
		int64_t floor = half_floor(h, cell);
		if (n == 1 && out[0].cell == cell)
			n = 0, floor = floor > old.at ? floor : old.at;
		/* Also when the floor stays: what lies below it hangs in the chain until a floor record prunes it. */
		out[n++] = (struct floor_record){ cell, floor };
	}
	return n;
}

static void
hang(struct history *h, uint32_t slot)
{
	struct delta *d = &h->at[slot];
	uint32_t cell = d->cell - 1;
	d->older = newest(h, cell);
	h->cells->at[cell].history_head = slot + 1;
	h->of_cell[cell]++;
}

void
history_append(struct history *h, const struct delta_record *r)
{
	uint32_t slot = r->slot;
	struct delta *d = &h->at[slot];
	if (d->cell && !h->loading)
		h->of_cell[d->cell - 1]--;
	*d = (struct delta){
		.at_source = (uint64_t)r->at << SOURCE_BITS | r->source,
		.n_arrival = r->n << ARRIVAL_HIGH_BITS | ((uint64_t)r->arrival >> 32 & ((1u << ARRIVAL_HIGH_BITS) - 1)),
		.arrival = (uint32_t)r->arrival, .cell = r->cell + 1, .qty = (int32_t)r->qty,
	};
	if (r->number >= h->next) {
		h->next = r->number + 1;
		h->next_slot = slot + 1 == h->ring ? 0 : slot + 1;
	}
	if (!h->loading)
		hang(h, slot);
}

/* Takes what no longer matters out of a cell's chain. */
static void
prune(struct history *h, uint32_t cell, int64_t up_to)
{
	uint32_t *link = &h->cells->at[cell].history_head;
	*link = newest(h, cell);
	while (*link) {
		struct delta *d = &h->at[*link - 1];
		uint32_t next = older(h, *link - 1);
		if (next && h->at[next - 1].cell != cell + 1)
			next = 0;
		if (delta_at(d) <= up_to) {
			d->cell = 0;
			h->of_cell[cell]--;
			*link = next;
		} else {
			d->older = next;
			link = &d->older;
		}
	}
}

void
history_raise_floor(struct history *h, const struct floor_record *r)
{
	h->floor[r->cell] = r->floor + 1;
	if (!h->loading && h->of_cell[r->cell] >= DELTAS_OF_CELL_MAX)
		prune(h, r->cell, r->floor);
}

void
history_counted(struct history *h, uint32_t cell, int64_t as_of)
{
	if (!h->loading)
		prune(h, cell, as_of);
}

bool
history_slot(const struct history *h, uint32_t slot, struct delta_record *r)
{
	const struct delta *d = &h->at[slot];
	if (d->cell == 0)
		return false;
	*r = (struct delta_record){
		.cell = d->cell - 1, .at = delta_at(d), .arrival = delta_arrival(d), .qty = d->qty, .slot = slot,
		.source = (uint32_t)(d->at_source & ((1u << SOURCE_BITS) - 1)), .n = d->n_arrival >> ARRIVAL_HIGH_BITS,
	};
	return r->at > counted_at(h, r->cell) && r->at > history_floor_of(h, r->cell);
}

void
history_load_done(struct history *h)
{
	struct delta_record r;
	uint64_t first = h->next > h->ring ? h->next - h->ring : 0;
	h->loading = false;
	for (uint64_t number = first; number < h->next; number++) {
		uint32_t slot = (uint32_t)(number % h->ring);
		if (history_slot(h, slot, &r))
			hang(h, slot);
		else
			h->at[slot].cell = 0;
	}
}
