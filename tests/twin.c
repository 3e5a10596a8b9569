/*
 * twin.c: the naive twin's handle, names, cells and what their quantities are by definition (D1, D4, D33 to D35).
 */
#include "tests/twin_inner.h"

void
twin_grow(void **list, uint32_t *n, uint32_t *cap, size_t size)
{
	if (*n == *cap) {
		*cap = *cap ? *cap * 2 : 8;
		*list = realloc(*list, *cap * size);
		if (!*list)
			abort();
	}
	*n += 1;
}

struct text
text_of(struct bytes b)
{
	struct text t = { .n = b.n };
	if (b.n > sizeof t.at)
		abort();
	if (b.n)
		memcpy(t.at, b.at, b.n);
	return t;
}

struct bytes
text_bytes(const struct text *t)
{
	return (struct bytes){ t->at, t->n };
}

bool
text_same(const struct text *t, struct bytes b)
{
	return bytes_equal(text_bytes(t), b);
}

uint32_t
twin_find(const struct text *list, uint32_t n, struct bytes name)
{
	for (uint32_t i = 0; i < n; i++)
		if (text_same(&list[i], name))
			return i;
	return NONE;
}

struct twin *
twin_new(const struct engine_limits *limits, const struct engine_options *options)
{
	struct twin *t = calloc(1, sizeof *t);
	if (!t)
		abort();
	t->limits = *limits;
	t->options = *options;
	return t;
}

static void
reservation_fini(struct twin_reservation *r)
{
	for (uint32_t i = 0; i < r->refs_n; i++) {
		free(r->refs[i].asked);
		free(r->refs[i].lines);
	}
	free(r->refs);
	free(r->asked);
	free(r->granted);
	free(r->lines);
}

void
twin_reservation_forget(struct twin *t, uint32_t i)
{
	reservation_fini(&t->reservations[i]);
	t->reservations_n--;
	memmove(&t->reservations[i], &t->reservations[i + 1], (t->reservations_n - i) * sizeof t->reservations[0]);
}

void
twin_free(struct twin *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; i < t->cells_n; i++) {
		free(t->cells[i].deltas);
		free(t->cells[i].counts);
	}
	while (t->reservations_n)
		twin_reservation_forget(t, t->reservations_n - 1);
	while (t->jobs_n)
		twin_job_forget(t, t->jobs[0].number);
	for (uint32_t i = 0; i < t->groups_n; i++)
		free(t->groups[i].members);
	twin_sources_free(t);
	free(t->skus);
	free(t->places);
	free(t->channels);
	free(t->cells);
	free(t->reservations);
	free(t->groups);
	free(t->group_names);
	free(t->jobs);
	free(t->out_lines);
	free(t->out_shorts);
	free(t->out_views);
	free(t);
}

struct twin_hints *
twin_hints(struct twin *t)
{
	return &t->hints;
}

void
twin_begin(struct twin *t, int64_t now_ms)
{
	if (now_ms > t->now)
		t->now = now_ms;
}

void
twin_set_options(struct twin *t, const struct engine_options *options)
{
	t->options = *options;
}

/* ---- cells ---- */

uint32_t
twin_cell_find(struct twin *t, uint32_t sku, uint32_t place)
{
	for (uint32_t i = 0; i < t->cells_n; i++)
		if (t->cells[i].sku == sku && t->cells[i].place == place)
			return i;
	return NONE;
}

uint32_t
twin_cell_make(struct twin *t, uint32_t sku, uint32_t place)
{
	uint32_t i = twin_cell_find(t, sku, place);
	if (i != NONE)
		return i;
	struct twin_cell *c = twin_add(t->cells, t->cells_n, t->cells_cap);
	c->sku = sku;
	c->place = place;
	c->last_event_at = -1;
	return t->cells_n - 1;
}

/* D35: the order of counts; the last of a cell is the greatest accepted one. */
static int
count_compare(const struct twin_count *a, const struct twin_count *b)
{
	if (a->as_of != b->as_of)
		return a->as_of < b->as_of ? -1 : 1;
	int c = bytes_compare(text_bytes(&a->source), text_bytes(&b->source));
	if (c)
		return c;
	if ((a->n != 0) != (b->n != 0))
		return a->n ? -1 : 1;
	if (a->n != b->n)
		return a->n < b->n ? -1 : 1;
	return a->n ? 0 : bytes_compare(text_bytes(&a->id), text_bytes(&b->id));
}

const struct twin_count *
twin_last_count(const struct twin_cell *c)
{
	const struct twin_count *last = NULL;
	for (uint32_t i = 0; i < c->counts_n; i++)
		if (!last || count_compare(&c->counts[i], last) > 0)
			last = &c->counts[i];
	return last;
}

/* D33: what was counted, plus every delta after it. */
int64_t
twin_on_hand(const struct twin_cell *c)
{
	const struct twin_count *last = twin_last_count(c);
	int64_t sum = last ? last->qty : 0;
	for (uint32_t i = 0; i < c->deltas_n; i++)
		if (!last || c->deltas[i].at > last->as_of)
			sum += c->deltas[i].qty;
	return sum;
}

int64_t
twin_unsellable(const struct twin_cell *c)
{
	int64_t sum = 0;
	for (uint32_t i = 0; i < c->deltas_n; i++)
		sum += c->deltas[i].unsellable;
	return sum;
}

int64_t
twin_reserved(const struct twin *t, uint32_t sku, uint32_t place)
{
	int64_t sum = 0;
	for (uint32_t i = 0; i < t->reservations_n; i++)
		for (uint32_t l = 0; l < t->reservations[i].lines_n; l++)
			if (t->reservations[i].lines[l].sku == sku && t->reservations[i].lines[l].place == place)
				sum += t->reservations[i].lines[l].held;
	return sum;
}

int64_t
twin_committed(const struct twin *t, uint32_t sku, uint32_t place)
{
	int64_t sum = 0;
	for (uint32_t i = 0; i < t->reservations_n; i++)
		for (uint32_t l = 0; l < t->reservations[i].lines_n; l++)
			if (t->reservations[i].lines[l].sku == sku && t->reservations[i].lines[l].place == place)
				sum += t->reservations[i].lines[l].committed;
	return sum;
}

int64_t
twin_cell_ats(struct twin *t, uint32_t sku, uint32_t place)
{
	uint32_t i = twin_cell_find(t, sku, place);
	if (i == NONE)
		return 0;
	const struct twin_cell *c = &t->cells[i];
	int64_t unsellable = twin_unsellable(c);
	return twin_on_hand(c) - (unsellable > 0 ? unsellable : 0) - twin_reserved(t, sku, place) - twin_committed(t, sku, place)
	    - c->safety_stock + c->oversell_limit;
}

bool
twin_delta(struct twin *t, uint32_t cell, int64_t at, int64_t qty, int64_t unsellable, bool stock)
{
	struct twin_cell *c = &t->cells[cell];
	const struct twin_count *last = twin_last_count(c);
	bool absorbed = stock && last && at <= last->as_of;
	struct twin_delta *d = twin_add(c->deltas, c->deltas_n, c->deltas_cap);
	*d = (struct twin_delta){ .at = at, .arrived = t->now, .qty = qty, .unsellable = unsellable, .number = UINT64_MAX };
	if (stock && !absorbed)
		d->number = t->deltas_kept++;
	return absorbed;
}

/* ---- what is seen from outside ---- */

uint32_t
twin_group_find(const struct twin *t, struct bytes name)
{
	for (uint32_t i = 0; i < t->groups_n; i++)
		if (text_same(&t->groups[i].name, name))
			return i;
	return NONE;
}

bool
twin_cell(struct twin *t, struct bytes sku, struct bytes place, struct cell_view *v)
{
	uint32_t s = twin_find(t->skus, t->skus_n, sku), g = twin_group_find(t, place);
	uint32_t p = twin_find(t->places, t->places_n, place);
	*v = (struct cell_view){ .sku = sku, .location = place, .last_event_at = -1, .last_count_at = -1 };
	if (s == NONE || (g == NONE && p == NONE))
		return false;
	if (g != NONE) {
		for (uint32_t i = 0; i < t->groups[g].members_n; i++) {
			int64_t ats = twin_cell_ats(t, s, t->groups[g].members[i]);
			v->ats += ats > 0 ? ats : 0;
		}
		return true;
	}
	uint32_t i = twin_cell_find(t, s, p);
	if (i == NONE)
		return true;
	const struct twin_cell *c = &t->cells[i];
	v->on_hand = twin_on_hand(c);
	v->unsellable = twin_unsellable(c);
	v->reserved = twin_reserved(t, s, p);
	v->committed = twin_committed(t, s, p);
	v->safety_stock = c->safety_stock;
	v->oversell_limit = c->oversell_limit;
	v->ats = twin_cell_ats(t, s, p);
	int64_t lacking = v->reserved + v->committed - (v->on_hand - v->unsellable) - v->oversell_limit;
	v->short_units = lacking > 0 ? lacking : 0;
	v->last_event_at = c->last_event_at;
	const struct twin_count *last = twin_last_count(c);
	v->last_count_at = last ? last->as_of : -1;
	return true;
}

bool
twin_ats(struct twin *t, struct bytes sku, struct bytes place, int64_t *ats)
{
	struct cell_view v;
	bool known = twin_cell(t, sku, place, &v);
	*ats = v.ats;
	return known;
}

bool
twin_policy(struct twin *t, struct bytes sku, struct bytes place, struct policy_view *v)
{
	struct cell_view c;
	bool known = twin_cell(t, sku, place, &c);
	*v = (struct policy_view){ c.safety_stock, c.oversell_limit };
	return known;
}

bool
twin_sku_at(struct twin *t, uint32_t i, struct bytes *b)
{
	if (i < t->skus_n)
		*b = text_bytes(&t->skus[i]);
	return i < t->skus_n;
}

bool
twin_place_at(struct twin *t, uint32_t i, struct bytes *b)
{
	if (i < t->places_n)
		*b = text_bytes(&t->places[i]);
	else if (i - t->places_n < t->groups_n)
		*b = text_bytes(&t->groups[i - t->places_n].name);
	else
		return false;
	return true;
}

/* ---- dispatch ---- */

void
twin_refuse(struct twin_result *out, enum status status, const char *which)
{
	out->r.status = status;
	out->r.which = which;
	out->effect = TWIN_NOTHING;
}

void
twin_full(struct twin_result *out, const char *which)
{
	twin_refuse(out, STATUS_CAPACITY, which);
	if (out->which_n < TWIN_WHICH_MAX)
		out->which[out->which_n++] = which;
}

void
twin_execute(struct twin *t, const struct command *c, struct twin_result *out)
{
	*out = (struct twin_result){ .r = { .status = STATUS_OK, .number = -1 } };
	t->out_lines_n = t->out_shorts_n = 0;
	t->note_reservation = t->note_old = t->note_source = NONE;
	t->note_ref = t->note_first = false;
	switch (c->kind) {
	case COMMAND_RESERVE: twin_reserve(t, &c->reserve, out); break;
	case COMMAND_COMMIT:
	case COMMAND_RELEASE:
	case COMMAND_FULFIL: twin_settle(t, c->kind, &c->settle, out); break;
	case COMMAND_EXTEND: twin_extend(t, &c->extend, out); break;
	case COMMAND_PIN: twin_pin(t, &c->extend, out); break;
	case COMMAND_MOVE: twin_move(t, &c->move, out); break;
	case COMMAND_EVENT: twin_event(t, &c->event, out); break;
	case COMMAND_SKIP_TO: twin_skip(t, &c->skip, out); break;
	case COMMAND_POLICY_CELLS: twin_policy_cells(t, &c->policy_cells, out); break;
	case COMMAND_POLICY_GROUP: twin_policy_group(t, &c->policy_group, out); break;
	case COMMAND_QUARANTINE_DROP: twin_drop(t, &c->quarantine, out); break;
	case COMMAND_QUARANTINE_REPLAY: twin_replay(t, &c->quarantine, out); break;
	case COMMAND_DIGEST: break;
	}
	out->r.lines = t->out_lines;
	out->r.lines_n = t->out_lines_n;
	out->r.shorts = t->out_shorts;
	out->r.shorts_n = t->out_shorts_n;
}
