/* query.c: what the engine's thread can tell without changing anything */
#include "core/state.h"

bool
engine_reservation(struct engine *e, struct bytes id, struct reservation_view *view)
{
	struct scratch *s = e->scratch;
	struct reservation_record r;
	struct refs refs;
	uint32_t slot = reservations_find(&e->reservations, id);
	if (slot == SLOT_NONE)
		return false;
	reservation_load(&e->reservations, slot, &r, s->lines, s->id);
	const struct reservation *stored = &e->reservations.at[slot];
	*view = (struct reservation_view){
		.id = record_id(&r), .seq = stored->seq, .first_seq = r.terms.first_seq, .state = reservation_state(&r), .created_at = r.terms.created_at,
		.expires_at = stored->expires_at, .first_expires_at = r.terms.created_at + r.terms.ttl_ms, .pinned = r.terms.flags & RESERVATION_PINNED,
		.lines = s->line_views, .lines_n = r.terms.lines_n,
	};
	r.extra = reservation_extra(&e->reservations, slot, s->old_extra);
	view->owner = refs_begin(record_extra(&r), &refs);
	if (r.terms.channel)
		view->channel = names_get(&e->names[NAMES_CHANNEL], r.terms.channel - 1);
	for (uint32_t i = 0; i < r.terms.lines_n; i++) {
		const struct line_record *l = &r.lines[i];
		struct result_line name = line_of(e, l->cell, 0);
		int64_t here = (int64_t)l->held + l->committed + l->fulfilled + l->released + l->expired + l->handed_over;
		s->line_views[i] = (struct line_view){ name.sku, name.location, here, l->held, l->committed, l->fulfilled, l->released,
			l->expired, l->handed_over };
	}
	return true;
}

void
engine_outcome_n(struct engine *e, struct bytes source, uint64_t n, struct event_outcome_view *view)
{
	const struct mark *mark;
	uint32_t id = names_find(&e->names[NAMES_SOURCE], source);
	*view = (struct event_outcome_view){ .known = false };
	if (id == NAME_NONE || n == 0)
		return;
	switch (sources_look(&e->sources, id, n, &mark)) {
	case SEEN_KNOWN:
		*view = (struct event_outcome_view){ true, mark_seq(mark), mark_outcome(mark), mark_status(mark) };
		break;
	case SEEN_LONG_AGO:
		view->known = true;
		break;
	case SEEN_NEW:
	case SEEN_TOO_FAR:
	case SEEN_LOST:
		break;
	}
}

void
engine_outcome_id(struct engine *e, struct bytes id, struct event_outcome_view *view)
{
	const struct free_id *f = free_ids_find(&e->free_ids, NAME_NONE, id);
	*view = (struct event_outcome_view){ .known = false };
	if (f == NULL || f->arrival + e->options.value[OPTION_FREE_ID_MS] <= e->now)
		return;
	struct mark as_mark = { .seq_outcome = f->seq_outcome };
	*view = (struct event_outcome_view){ true, mark_seq(&as_mark), mark_outcome(&as_mark), mark_status(&as_mark) };
}

void
engine_position(struct engine *e, struct bytes source, struct position_view *view)
{
	uint32_t id = names_find(&e->names[NAMES_SOURCE], source);
	*view = (struct position_view){ .last_at = -1 };
	if (id == NAME_NONE || !e->sources.at[id].known)
		return;
	const struct source *s = &e->sources.at[id];
	view->contiguous = s->contiguous;
	view->highest = s->highest;
	view->last_at = s->last_at;
	view->missing_count = s->missing;
	for (uint64_t n = s->contiguous + 1; n <= s->highest && view->missing_n < RANGES_MAX; n++) {
		if (sources_has(&e->sources, id, n))
			continue;
		uint64_t *range = view->missing[view->missing_n++];
		for (range[0] = n; n + 1 <= s->highest && !sources_has(&e->sources, id, n + 1); n++)
			;
		range[1] = n;
	}
}

bool
engine_quarantine_item(struct engine *e, uint64_t number, struct quarantine_view *view)
{
	const struct kept_event *item = quarantine_find(&e->quarantine, number);
	if (item == NULL)
		return false;
	*view = (struct quarantine_view){ number, (enum status)item->reason, item->at, { item->raw, item->raw_n } };
	return true;
}

bool
engine_quarantine_next(struct engine *e, uint64_t after, struct quarantine_view *view)
{
	return engine_quarantine_item(e, quarantine_after(&e->quarantine, after), view); /* under 0 is nothing */
}

enum status
engine_policy_cell(struct engine *e, struct bytes sku, struct bytes location, struct policy_view *view)
{
	uint32_t s = names_find(&e->names[NAMES_SKU], sku), l = names_find(&e->names[NAMES_LOCATION], location);
	*view = (struct policy_view){ 0 };
	if (s == NAME_NONE)
		return STATUS_UNKNOWN_SKU;
	if (l == NAME_NONE || is_group(e, l))
		return STATUS_UNKNOWN_LOCATION;
	uint32_t n = cells_find(&e->cells, s, l);
	if (n != CELL_NONE) {
		struct cell_image c;
		cell_load(&e->cells.at[n], &c);
		*view = (struct policy_view){ c.safety_stock, c.oversell_limit };
	}
	return STATUS_OK;
}

int
engine_group(struct engine *e, struct bytes name, struct bytes *members, uint32_t most)
{
	uint32_t location = names_find(&e->names[NAMES_LOCATION], name);
	const struct group *group = location == NAME_NONE ? NULL : groups_live(&e->groups, location);
	if (group == NULL)
		return -1;
	for (uint32_t i = 0; i < group->members_n && i < most; i++)
		members[i] = names_get(&e->names[NAMES_LOCATION], group->members[i]);
	return (int)group->members_n;
}

void
engine_usage(const struct engine *e, struct engine_usage *u)
{
	const struct reservations *v = &e->reservations;
	*u = (struct engine_usage){
		.cells = cells_count(&e->cells), .skus = names_count(&e->names[NAMES_SKU]),
		.locations = names_count(&e->names[NAMES_LOCATION]), .groups = e->groups.live_n, .sources = names_count(&e->names[NAMES_SOURCE]),
		.channels = names_count(&e->names[NAMES_CHANNEL]), .reservations_open = v->open, .reservations_kept = v->high - v->finished[FINISHED_BLANK].n,
		.extra_lines = v->extra_used, .blobs = e->blobs.used,
		.history = e->history.next < e->history.ring ? e->history.next : e->history.ring,
		.free_ids = e->free_ids.next < e->free_ids.ring ? e->free_ids.next : e->free_ids.ring, .quarantined = e->quarantine.kept,
		.youngest_forgotten_age_ms = v->forgotten_created_at < 0 ? -1 : e->now - v->forgotten_created_at,
	};
	for (uint32_t id = 0; id < u->sources; id++)
		u->missing += e->sources.at[id].missing;
}
