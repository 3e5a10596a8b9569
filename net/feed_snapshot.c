/*
 * feed_snapshot.c: pages of one instant: a read transaction of the image, kept between the pages of one scan. Names come from the live
 * tables, which only grow; all else, groups too, is of the instant.
 *
 * Its position is behind the journal's oldest one when it opens, for the journal is trimmed only behind a commit of the image. It may be
 * trimmed past it later: then `watch` since that position is `gone`, and the reader begins again.
 */
#include "net/feed_part.h"

#include "core/record.h"

#include <stdlib.h>

static void
snapshot_close(struct feed *f, struct snapshot *s)
{
	image_snapshot_close(s->image);
	*s = (struct snapshot){ 0 };
	f->snapshots_n--;
}

void
snapshots_round(struct feed *f, int64_t *sleep_ms)
{
	for (struct snapshot *s = f->snapshots; f->snapshots_n > 0 && s < f->snapshots + SNAPSHOTS_MAX; s++) {
		int64_t until = s->used_ms + SNAPSHOT_IDLE_MS, end = s->opened_ms + SNAPSHOT_AGE_MS;
		until = until < end ? until : end;
		if (!s->image)
			continue;
		if (f->now_ms < until && feed_alive(s->road, s->token)) {
			feed_sleep_until(f, until, sleep_ms);
			continue;
		}
		counters_add(&f->counters, COUNTER_SNAPSHOTS_EXPIRED, f->now_ms >= until);
		snapshot_close(f, s);
	}
}

void
snapshots_end(struct feed *f)
{
	for (struct snapshot *s = f->snapshots; s < f->snapshots + SNAPSHOTS_MAX; s++)
		if (s->image)
			snapshot_close(f, s);
}

static bool
refuse(struct snapshot_answer *a, enum status status, const char *message)
{
	*a = (struct snapshot_answer){ .status = status, .message = message };
	return false;
}

/* ---- opening, finding ---- */

/* A cursor of an earlier start must not be taken for one of this: the epoch is in the number. */
static uint32_t
number_next(struct feed *f)
{
	uint32_t number = ((uint32_t)f->parts.service->epoch << 12) + ++f->snapshots_opened;
	number &= INT32_MAX;
	return number ? number : number_next(f);
}

static bool
snapshot_open(struct feed *f, struct snapshot_answer *a)
{
	struct image_meta meta;
	struct snapshot *s = f->snapshots;
	int64_t never = INT64_MAX;
	snapshots_round(f, &never);
	if (f->snapshots_n == SNAPSHOTS_MAX)
		return refuse(a, STATUS_LIMIT, "the server has as many snapshots open as it keeps");
	while (s->image)
		s++;
	struct image_snapshot *image = image_snapshot_open(f->parts.image, &meta, &f->why);
	if (!image)
		return refuse(a, STATUS_INTERNAL, f->why.text);
	*s = (struct snapshot){ .image = image, .road = f->asking, .token = f->asking_token, .number = number_next(f), .seq = meta.seq,
		.opened_ms = f->now_ms };
	f->snapshots_n++;
	f->asked = s;
	return true;
}

bool
feed_snapshot(struct feed *f, const struct snapshot_ask *ask, struct snapshot_answer *a)
{
	f->asked = NULL;
	if (ask->cursor == 0) {
		if (!snapshot_open(f, a))
			return false;
	} else {
		for (struct snapshot *s = f->snapshots; s < f->snapshots + SNAPSHOTS_MAX; s++)
			if (s->image && s->number == ask->cursor >> SNAPSHOT_CURSOR_SHIFT && s->road == f->asking && s->token == f->asking_token)
				f->asked = s;
		if (!f->asked)
			return refuse(a, STATUS_GONE, "this snapshot has ended: scan again");
	}
	if (f->asked->seq < ask->min_seq) {
		*a = (struct snapshot_answer){ .status = STATUS_BEHIND, .message = "the image has not come that far", .seq = f->asked->seq };
		snapshot_close(f, f->asked);
		return false;
	}
	f->asked->used_ms = f->now_ms;
	*a = (struct snapshot_answer){ .status = STATUS_OK, .seq = f->asked->seq };
	return true;
}

/* ---- pages ---- */

/* Locations of a filter, in order. */
struct wanted {
	bool all;
	uint32_t n, location[GROUP_MEMBERS_MAX];
};

/* What the name meant at the instant. 1; 0: nothing; -1: f->why. */
static int
wanted_find(struct feed *f, const struct scan_filter *filter, struct wanted *w)
{
	struct group_record group;
	struct entry_bytes entry;
	uint64_t seq, key;
	w->all = filter->place.n == 0;
	if (w->all)
		return 1;
	uint32_t place = view_location_id(f->parts.service->engine, filter->place);
	if (place == VIEW_NONE)
		return 0;
	key = (uint64_t)place * 2;
	int got = image_snapshot_next(f->asked->image, ENTRY_GROUP, &key, &seq, &entry, &f->why);
	if (got < 0)
		return -1;
	if (got == 1 && key == (uint64_t)place * 2) {
		if (!group_decode(&entry, &group, w->location) || group.members_n == 0)
			return 0;
		w->n = group.members_n;
		qsort(w->location, w->n, sizeof w->location[0], feed_by_number);
		return 1;
	}
	w->location[0] = place;
	w->n = 1;
	return 1;
}

static bool
wanted_has(const struct wanted *w, uint32_t location)
{
	return w->all || bsearch(&location, w->location, w->n, sizeof w->location[0], feed_by_number);
}

/* The cell as a view shows it. False: the filter leaves it out. */
static bool
cell_view_of(const struct feed *f, const struct scan_filter *filter, const struct wanted *w, uint64_t seq, const struct cell_record *r,
    struct cell_view *v)
{
	const struct engine *engine = f->parts.service->engine;
	if (seq <= filter->since || !wanted_has(w, r->now.location))
		return false;
	*v = (struct cell_view){ .sku = view_sku_name(engine, r->now.sku), .location = view_location_name(engine, r->now.location), .seq = seq,
		.on_hand = r->now.on_hand, .ats = cell_ats(&r->now) };
	uint32_t prefix_n = filter->sku_prefix.n;
	return prefix_n == 0 || (v->sku.n >= prefix_n && memcmp(v->sku.at, filter->sku_prefix.at, prefix_n) == 0);
}

/* Walks on from *key. 1: there may be more; 0: the end; -1: f->why. */
static int
page_fill(struct feed *f, const struct snapshot_ask *ask, const struct wanted *w, uint64_t *key,
    void (*each)(void *, const struct cell_view *), void *context)
{
	uint32_t found = 0, seen = 0;
	struct entry_bytes entry;
	struct cell_record cell;
	struct cell_view view;
	uint64_t seq;
	int got = 1;
	for (; found < ask->limit && seen < SCAN_VISIT_MAX; seen++, ++*key) {
		got = image_snapshot_next(f->asked->image, ENTRY_CELL, key, &seq, &entry, &f->why);
		if (got <= 0)
			return got;
		if (!cell_decode(&entry, &cell)) {
			strcpy(f->why.text, "a cell of the image cannot be read");
			return -1;
		}
		if (!cell_view_of(f, &ask->filter, w, seq, &cell, &view))
			continue;
		each(context, &view);
		found++;
	}
	return got;
}

bool
feed_snapshot_page(struct feed *f, const struct snapshot_ask *ask, void (*each)(void *, const struct cell_view *), void *context,
    struct snapshot_answer *a)
{
	struct snapshot *s = f->asked;
	struct wanted w;
	uint64_t key = ask->cursor & UINT32_MAX;
	*a = (struct snapshot_answer){ .status = STATUS_OK, .seq = s->seq };
	int got = wanted_find(f, &ask->filter, &w);
	if (got == 0) {
		snapshot_close(f, s);
		return refuse(a, STATUS_UNKNOWN_LOCATION, "no location or group had this name");
	}
	if (got > 0)
		got = page_fill(f, ask, &w, &key, each, context);
	if (got > 0)
		a->cursor = (uint64_t)s->number << SNAPSHOT_CURSOR_SHIFT | key;
	else
		snapshot_close(f, s);
	counters_add(&f->counters, COUNTER_SNAPSHOT_PAGES, got >= 0);
	return got >= 0 || refuse(a, STATUS_INTERNAL, f->why.text);
}
