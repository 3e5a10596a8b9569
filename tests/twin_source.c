/*
 * twin_source.c: the naive twin's identities of events (D27 to D30): sources, what was seen, free ids, the quarantine. The
 * whole content of every event is kept and compared, never a digest.
 */
#include "tests/twin_inner.h"

static struct twin_content
content_of(const struct event_command *e)
{
	struct twin_content c = { .kind = e->kind, .defective = e->defect != STATUS_OK };
	if (c.defective) {
		c.raw_n = e->raw.n;
		c.raw = malloc(e->raw.n + 1);
		if (e->raw.n)
			memcpy(c.raw, e->raw.at, e->raw.n);
		return c;
	}
	c.sku = text_of(e->sku);
	c.location = text_of(e->location);
	c.ref = text_of(e->ref);
	c.reason = text_of(e->reason);
	c.qty = e->qty;
	c.at = e->at;
	c.as_of = e->as_of;
	c.has_expected = e->has_expected;
	c.expected = e->has_expected ? e->expected : 0;
	c.to_unsellable = e->to_unsellable;
	return c;
}

static bool
content_same(const struct twin_content *a, const struct twin_content *b)
{
	if (a->defective != b->defective)
		return false;
	if (a->defective)
		return a->raw_n == b->raw_n && memcmp(a->raw, b->raw, a->raw_n) == 0;
	return a->kind == b->kind && text_same(&a->sku, text_bytes(&b->sku)) && text_same(&a->location, text_bytes(&b->location))
	    && text_same(&a->ref, text_bytes(&b->ref)) && text_same(&a->reason, text_bytes(&b->reason)) && a->qty == b->qty
	    && a->at == b->at && a->as_of == b->as_of && a->has_expected == b->has_expected && a->expected == b->expected
	    && a->to_unsellable == b->to_unsellable;
}

uint32_t
twin_source_find(const struct twin *t, struct bytes name)
{
	for (uint32_t i = 0; i < t->sources_n; i++)
		if (text_same(&t->sources[i].name, name))
			return i;
	return NONE;
}

static struct twin_mark *
mark_find(const struct twin_source *s, uint64_t n)
{
	for (uint32_t i = 0; i < s->marks_n; i++)
		if (s->marks[i].n == n)
			return &s->marks[i];
	return NULL;
}

/* D28: digests are kept for the 4,096 numbers up to the highest. */
static bool
remembered(const struct twin_source *s, uint64_t n)
{
	return n <= s->highest && s->highest - n < SOURCE_WINDOW;
}

static enum twin_seen
number_seen(struct twin *t, const struct event_command *e, const struct twin_content *c)
{
	uint32_t i = twin_source_find(t, e->source);
	if (i == NONE)
		return e->n > SOURCE_WINDOW ? TWIN_TOO_WIDE : TWIN_NEW;
	const struct twin_source *s = &t->sources[i];
	const struct twin_mark *m = mark_find(s, e->n);
	if (e->n <= s->highest && !remembered(s, e->n))
		return (e->at >= 0 ? e->at : t->now) > s->last_at ? TWIN_CONFLICT : TWIN_DUPLICATE;
	if (m)
		return content_same(&m->content, c) ? TWIN_DUPLICATE : TWIN_CONFLICT;
	if (e->n <= s->contiguous)
		return TWIN_LOST;
	return e->n > s->contiguous + SOURCE_WINDOW ? TWIN_TOO_WIDE : TWIN_NEW;
}

/* The newest one of (source, id) that the ring and the time still remember. */
static enum twin_seen
id_seen(struct twin *t, const struct event_command *e, const struct twin_content *c)
{
	for (uint32_t i = t->free_ids_n; i-- > 0;) {
		const struct twin_free_id *f = &t->free_ids[i];
		if (t->free_ids_n - i > t->limits.free_ids_max || t->now - f->arrived >= t->options.value[OPTION_FREE_ID_MS])
			break;
		if (text_same(&f->source, e->source) && text_same(&f->id, e->id))
			return content_same(&f->content, c) ? TWIN_DUPLICATE : TWIN_CONFLICT;
	}
	return TWIN_NEW;
}

enum twin_seen
twin_event_seen(struct twin *t, const struct event_command *e)
{
	struct twin_content c = content_of(e);
	enum twin_seen seen = e->n ? number_seen(t, e, &c) : id_seen(t, e, &c);
	free(c.raw);
	return seen;
}

static struct twin_source *
source_make(struct twin *t, struct bytes name)
{
	uint32_t i = twin_source_find(t, name);
	if (i != NONE)
		return &t->sources[i];
	struct twin_source *s = twin_add(t->sources, t->sources_n, t->sources_cap);
	s->name = text_of(name);
	s->last_at = -1;
	return s;
}

static void
grow_contiguous(struct twin_source *s)
{
	if (s->contiguous < s->lost_to)
		s->contiguous = s->lost_to;
	while (mark_find(s, s->contiguous + 1))
		s->contiguous++;
	if (s->highest < s->contiguous)
		s->highest = s->contiguous;
}

/* R16: the greatest instant of what was seen, but for those that lie in the future. */
static void
raise_last_at(struct twin *t, struct twin_source *s, int64_t at)
{
	if (at > s->last_at && at <= t->now + t->options.value[OPTION_FUTURE_MS])
		s->last_at = at;
}

void
twin_event_mark(struct twin *t, const struct event_command *e, enum event_outcome outcome, enum status status)
{
	struct twin_source *s = source_make(t, e->source);
	int64_t at = e->at >= 0 ? e->at : t->now;
	if (!e->n) {
		struct twin_free_id *f = twin_add(t->free_ids, t->free_ids_n, t->free_ids_cap);
		*f = (struct twin_free_id){ text_of(e->source), text_of(e->id), t->now, content_of(e) };
		return;
	}
	raise_last_at(t, s, at); /* R14: free ids are apart from the numbers */
	struct twin_mark *m = twin_add(s->marks, s->marks_n, s->marks_cap);
	*m = (struct twin_mark){ .n = e->n, .content = content_of(e), .outcome = outcome, .status = status };
	if (e->n > s->highest)
		s->highest = e->n;
	grow_contiguous(s);
	t->note_source = (uint32_t)(s - t->sources);
	t->note_n = e->n;
}

/* ---- quarantine ---- */

static bool
quarantine(struct twin *t, const struct event_command *e, enum status reason, struct twin_result *out)
{
	if (t->items_n >= t->limits.quarantine_max)
		twin_full(out, "quarantine");
	if (twin_source_find(t, e->source) == NONE && t->sources_n >= t->limits.sources_max)
		twin_full(out, "sources");
	if (out->which_n)
		return false;
	struct twin_item *q = twin_add(t->items, t->items_n, t->items_cap);
	t->items_made = t->hints.quarantine > t->items_made ? t->hints.quarantine : t->items_made + 1;
	*q = (struct twin_item){ .number = t->items_made, .reason = reason, .at = t->now, .raw_n = e->raw.n };
	q->raw = malloc(e->raw.n + 1);
	if (e->raw.n)
		memcpy(q->raw, e->raw.at, e->raw.n);
	out->r.quarantine = q->number;
	out->effect = TWIN_STEP;
	return true;
}

/* R18: which rejections are kept. */
static bool
is_kept(enum status s)
{
	return s == STATUS_BAD_REQUEST || s == STATUS_UNKNOWN_SKU || s == STATUS_UNKNOWN_LOCATION || s == STATUS_LIMIT || s == STATUS_STALE;
}

static void
reject(struct twin *t, const struct event_command *e, enum status status, bool seen_after, struct twin_result *out)
{
	twin_refuse(out, status, out->r.which);
	out->r.outcome = OUTCOME_REJECTED;
	if (quarantine(t, e, status, out) && seen_after)
		twin_event_mark(t, e, OUTCOME_REJECTED, status);
}

/* The same bytes are kept already, among the newest numbers: a resent conflict is not kept twice. */
#define RESENT_LOOK 64
static bool
resent_conflict(struct twin *t, const struct event_command *e, struct twin_result *out)
{
	for (uint32_t i = t->items_n; i-- > 0;) {
		const struct twin_item *q = &t->items[i];
		if (t->items_made - q->number >= RESENT_LOOK || q->raw_n != e->raw.n || memcmp(q->raw, e->raw.at, q->raw_n) != 0)
			continue;
		twin_refuse(out, STATUS_CONFLICT, NULL);
		out->r.outcome = OUTCOME_REJECTED;
		out->r.quarantine = q->number;
		return true;
	}
	return false;
}

void
twin_event(struct twin *t, const struct event_command *e, struct twin_result *out)
{
	if (!e->source.n || (!e->n && !e->id.n)) {
		twin_refuse(out, e->defect != STATUS_OK ? e->defect : STATUS_BAD_REQUEST, NULL);
		out->r.outcome = OUTCOME_REJECTED;
		return;
	}
	if (twin_source_find(t, e->source) == NONE && t->sources_n >= t->limits.sources_max) {
		twin_full(out, "sources");
		out->r.outcome = OUTCOME_REJECTED;
		return;
	}
	switch (twin_event_seen(t, e)) {
	case TWIN_DUPLICATE: out->r.outcome = OUTCOME_DUPLICATE; return;
	case TWIN_CONFLICT:
		if (!resent_conflict(t, e, out))
			reject(t, e, STATUS_CONFLICT, false, out);
		return;
	case TWIN_LOST: reject(t, e, STATUS_STALE, true, out); return;
	case TWIN_TOO_WIDE:
		twin_refuse(out, STATUS_GAP_TOO_WIDE, NULL);
		out->r.outcome = OUTCOME_REJECTED;
		return;
	case TWIN_NEW: break;
	}
	twin_event_apply(t, e, false, out);
	if (out->r.status == STATUS_OK)
		twin_event_mark(t, e, out->r.outcome, STATUS_OK);
	else if (is_kept(out->r.status))
		reject(t, e, out->r.status, true, out);
}

static struct twin_item *
item_find(struct twin *t, uint64_t number)
{
	for (uint32_t i = 0; i < t->items_n; i++)
		if (t->items[i].number == number)
			return &t->items[i];
	return NULL;
}

static void
item_remove(struct twin *t, struct twin_item *q)
{
	free(q->raw);
	t->items_n--;
	memmove(q, q + 1, (size_t)(&t->items[t->items_n] - q) * sizeof *q);
}

void
twin_drop(struct twin *t, const struct quarantine_command *c, struct twin_result *out)
{
	struct twin_item *q = item_find(t, c->number);
	if (!q) {
		twin_refuse(out, STATUS_NOT_FOUND, NULL);
		return;
	}
	item_remove(t, q);
	out->effect = TWIN_STEP;
}

/* What became of it, unless the number is another event's (a conflict). */
static void
replayed_mark(struct twin *t, const struct event_command *e, enum event_outcome outcome, enum status status)
{
	uint32_t i = twin_source_find(t, e->source);
	struct twin_mark *m = i != NONE && e->n ? mark_find(&t->sources[i], e->n) : NULL;
	struct twin_content c = content_of(e);
	if (m && remembered(&t->sources[i], e->n) && content_same(&m->content, &c)) {
		m->outcome = outcome;
		m->status = status;
		raise_last_at(t, &t->sources[i], e->at);
		t->note_source = i;
		t->note_n = e->n;
	}
	free(c.raw);
}

void
twin_replay(struct twin *t, const struct quarantine_command *c, struct twin_result *out)
{
	struct twin_item *q = item_find(t, c->number);
	if (!q) {
		twin_refuse(out, STATUS_NOT_FOUND, NULL);
		return;
	}
	struct event_command e = *c->event;
	if (e.at < 0)
		e.at = q->at; /* D31: it arrived when it was kept */
	twin_event_apply(t, &e, true, out);
	if (out->r.status != STATUS_CAPACITY)
		replayed_mark(t, c->event, out->r.outcome, out->r.status);
	if (out->r.status == STATUS_OK) {
		item_remove(t, q);
		return;
	}
	if (out->r.status == STATUS_CAPACITY)
		return;
	out->r.quarantine = q->number;
	out->effect = TWIN_EITHER;
	q->reason = out->r.status;
}

bool
twin_quarantine_next(struct twin *t, uint64_t after, struct quarantine_view *v)
{
	for (uint32_t i = 0; i < t->items_n; i++)
		if (t->items[i].number > after) {
			const struct twin_item *q = &t->items[i];
			*v = (struct quarantine_view){ q->number, q->reason, q->at, { q->raw, q->raw_n } };
			return true;
		}
	return false;
}

/* ---- gaps ---- */

void
twin_skip(struct twin *t, const struct skip_command *c, struct twin_result *out)
{
	uint32_t i = twin_source_find(t, c->source);
	if (i == NONE && t->sources_n >= t->limits.sources_max) {
		twin_full(out, "sources");
		return;
	}
	struct twin_source *s = source_make(t, c->source);
	if (c->skip_to <= s->contiguous)
		return;
	s->lost_to = c->skip_to;
	grow_contiguous(s);
	out->effect = TWIN_STEP;
}

void
twin_position(struct twin *t, struct bytes source, struct position_view *v)
{
	uint32_t i = twin_source_find(t, source);
	memset(v, 0, sizeof *v);
	v->last_at = -1;
	if (i == NONE)
		return;
	const struct twin_source *s = &t->sources[i];
	v->contiguous = s->contiguous;
	v->highest = s->highest;
	v->last_at = s->last_at;
	bool seen[SOURCE_WINDOW + 1] = { false };
	for (uint32_t m = 0; m < s->marks_n; m++)
		if (s->marks[m].n > s->contiguous && s->marks[m].n <= s->contiguous + SOURCE_WINDOW)
			seen[s->marks[m].n - s->contiguous] = true;
	for (uint64_t k = 1; s->contiguous + k <= s->highest; k++) {
		if (seen[k])
			continue;
		v->missing_count++;
		if (!seen[k - 1] && k > 1 && v->missing_n && v->missing[v->missing_n - 1][1] == s->contiguous + k - 1)
			v->missing[v->missing_n - 1][1]++;
		else if ((seen[k - 1] || k == 1) && v->missing_n < RANGES_MAX) {
			v->missing[v->missing_n][0] = v->missing[v->missing_n][1] = s->contiguous + k;
			v->missing_n++;
		}
	}
}

void
twin_outcome_n(struct twin *t, struct bytes source, uint64_t n, struct event_outcome_view *v)
{
	uint32_t i = twin_source_find(t, source);
	memset(v, 0, sizeof *v);
	if (i == NONE || !remembered(&t->sources[i], n))
		return;
	const struct twin_mark *m = mark_find(&t->sources[i], n);
	if (m)
		*v = (struct event_outcome_view){ true, m->seq, m->outcome, m->status };
}

void
twin_sources_free(struct twin *t)
{
	for (uint32_t i = 0; i < t->sources_n; i++) {
		for (uint32_t m = 0; m < t->sources[i].marks_n; m++)
			free(t->sources[i].marks[m].content.raw);
		free(t->sources[i].marks);
	}
	for (uint32_t i = 0; i < t->free_ids_n; i++)
		free(t->free_ids[i].content.raw);
	for (uint32_t i = 0; i < t->items_n; i++)
		free(t->items[i].raw);
	free(t->sources);
	free(t->free_ids);
	free(t->items);
}
