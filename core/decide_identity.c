/* decide_identity.c: is it new? Numbers, free ids, what is kept in quarantine, and the operator's hand on both (D27 to D30) */
#include "core/arrival.h"

#include "core/hash.h"

static uint8_t *
put_bytes(uint8_t *at, struct bytes b)
{
	*at++ = (uint8_t)b.n;
	memory_copy(at, b.at, b.n);
	return at + b.n;
}

static uint8_t *
put_number(uint8_t *at, int64_t v)
{
	memcpy(at, &v, sizeof v);
	return at + sizeof v;
}

/* D28: what makes two events of one identity the same (R15). */
static uint64_t
content_digest(struct engine *e, const struct event_command *c)
{
	uint8_t *start = e->scratch->content, *at = start;
	if (c->defect != STATUS_OK)
		return hash_bytes(c->raw);
	*at++ = (uint8_t)c->kind;
	*at++ = (uint8_t)(c->has_expected | c->to_unsellable << 1);
	at = put_number(at, c->qty);
	at = put_number(at, c->at);
	at = put_number(at, c->as_of);
	at = put_number(at, c->has_expected ? c->expected : 0);
	at = put_bytes(at, c->sku);
	at = put_bytes(at, c->location);
	at = put_bytes(at, c->ref);
	at = put_bytes(at, c->reason);
	return XXH3_64bits(start, (size_t)(at - start));
}

struct arrival
arrival_of(struct engine *e, const struct event_command *c, int64_t received, struct result *result)
{
	result->number = -1;
	return (struct arrival){ .c = c, .result = result, .source = NAME_NONE, .sku = NAME_NONE, .location = NAME_NONE,
		.at = c->at == -1 ? received : c->at, .digest = content_digest(e, c) };
}

void
arrival_reject(struct arrival *a, enum status status, const char *message)
{
	refuse(a->result, status, message);
	a->result->outcome = OUTCOME_REJECTED;
}

void
arrival_reject_which(struct arrival *a, enum status status, const char *which, const char *message)
{
	arrival_reject(a, status, message);
	a->result->which = which;
}

/* ---- marks and quarantine: how an event ends ---- */

/* For the source's last at: nothing when its clock is wrong, else all that is right would count as long ago until then (R16). */
static int64_t
believed_at(const struct engine *e, const struct arrival *a)
{
	return a->at > e->now + e->options.value[OPTION_FUTURE_MS] ? -1 : a->at;
}

static void
emit_seen_number(struct engine *e, const struct arrival *a, enum event_outcome outcome, enum status status)
{
	const struct event_command *c = a->c;
	struct mark_record m = { .source = a->source, .n = c->n, .digest = a->digest, .outcome = outcome, .status = status };
	const struct mark *mark;
	if (a->replay && (sources_look(&e->sources, a->source, c->n, &mark) != SEEN_KNOWN || mark->digest != a->digest))
		return;
	sources_after(&e->sources, a->source, c->n, believed_at(e, a), &m);
	emit_mark(e, &m);
}

static void
emit_seen_id(struct engine *e, const struct arrival *a, enum event_outcome outcome, enum status status)
{
	const struct free_ids *ids = &e->free_ids;
	const struct free_id *old = a->replay ? free_ids_find(ids, a->source, a->c->id) : NULL;
	if (a->replay && (old == NULL || old->digest != a->digest))
		return;
	struct free_id_record f = { .number = old ? free_ids_number(ids, old) : ids->next, .source = a->source, .digest = a->digest,
		.arrival = old ? old->arrival : e->now, .outcome = outcome, .status = status };
	f.slot = (uint32_t)(f.number % ids->ring);
	free_id_key(a->c->id, f.id);
	emit_free_id(e, &f);
}

/* Remembers the identity with its outcome. A replayed one only where the ring still has this very event: a replayed conflict
 * leaves number or id to the event that had it first, whose repeats stay duplicates. */
void
arrival_emit_seen(struct engine *e, const struct arrival *a, enum event_outcome outcome, enum status status)
{
	if (a->c->n)
		emit_seen_number(e, a, outcome, status);
	else
		emit_seen_id(e, a, outcome, status);
}

static void
emit_kept(struct engine *e, const struct arrival *a, uint64_t number, enum status reason)
{
	struct quarantine_record q = { .slot = (uint32_t)(number % e->quarantine.max), .number = number, .kept = true,
		.reason = reason, .at = a->replay ? quarantine_find(&e->quarantine, number)->at : e->now, .raw = a->c->raw };
	emit_quarantine(e, &q);
}

void
arrival_emit_dropped(struct engine *e, uint64_t number)
{
	struct quarantine_record q = { .slot = (uint32_t)(number % e->quarantine.max), .number = number };
	emit_quarantine(e, &q);
}

#define RESENT_LOOK 64 /* newest items compared, so that a resent conflict is not kept twice */

static uint64_t
kept_already(const struct engine *e, struct bytes raw)
{
	for (uint64_t n = e->quarantine.last, i = 0; n > 0 && i < RESENT_LOOK; n--, i++) {
		const struct kept_event *k = quarantine_find(&e->quarantine, n);
		if (k && bytes_equal((struct bytes){ k->raw, k->raw_n }, raw))
			return n;
	}
	return 0;
}

/* Ends in quarantine with the reason in result (D30); `seen`: its number counts as seen from now on. */
void
arrival_keep(struct engine *e, struct arrival *a, bool seen)
{
	enum status reason = a->result->status;
	uint64_t number = a->replay ? a->replay_number : seen ? 0 : kept_already(e, a->c->raw);
	if (number && !a->replay) {
		a->result->quarantine = number;
		return;
	}
	if (!a->replay && (number = quarantine_next(&e->quarantine)) == 0) {
		arrival_reject_which(a, STATUS_CAPACITY, "quarantine", "the quarantine is full: replay or drop what it keeps");
		return;
	}
	step_begin(e, CAUSE_REJECTED_EVENT, a->c->ref, a->c->reason);
	if (a->source == NAME_NONE)
		a->source = emit_name(e, NAMES_SOURCE, a->c->source);
	if (seen)
		arrival_emit_seen(e, a, OUTCOME_REJECTED, reason);
	emit_kept(e, a, number, reason);
	step_end(e);
	a->result->quarantine = number;
}

/* ---- identity (D27 to D29) ---- */

/* Same identity came before: a repeat, or two facts under one name. */
static void
seen_before(struct engine *e, struct arrival *a, bool same)
{
	if (same) {
		a->result->outcome = OUTCOME_DUPLICATE;
		return;
	}
	arrival_reject(a, STATUS_CONFLICT, "this source sent another event under the same number or id");
	arrival_keep(e, a, false);
}

/* true: the event is new and may go on. */
static bool
number_is_new(struct engine *e, struct arrival *a)
{
	const struct mark *mark;
	enum seen seen = a->source == NAME_NONE ? (a->c->n > SOURCE_WINDOW ? SEEN_TOO_FAR : SEEN_NEW)
						: sources_look(&e->sources, a->source, a->c->n, &mark);
	switch (seen) {
	case SEEN_NEW:
		return true;
	case SEEN_TOO_FAR:
		arrival_reject(a, STATUS_GAP_TOO_WIDE, "more than 4096 numbers ahead of what is complete: send what is missing first, or skip_to");
		return false;
	case SEEN_LOST:
		arrival_reject(a, STATUS_STALE, "this number was declared lost");
		a->result->number = -1;
		arrival_keep(e, a, true);
		return false;
	case SEEN_KNOWN:
		seen_before(e, a, mark->digest == a->digest);
		return false;
	case SEEN_LONG_AGO:
		seen_before(e, a, a->at <= e->sources.at[a->source].last_at);
		return false;
	}
	return false;
}

static bool
id_is_new(struct engine *e, struct arrival *a)
{
	const struct free_id *f = a->source == NAME_NONE ? NULL : free_ids_find(&e->free_ids, a->source, a->c->id);
	if (f == NULL || f->arrival + e->options.value[OPTION_FREE_ID_MS] <= e->now)
		return true;
	seen_before(e, a, f->digest == a->digest);
	return false;
}

/* Most events of a message are of one source: the last one is looked at first. */
static uint32_t
source_look(struct engine *e, struct bytes source)
{
	const struct names *sources = &e->names[NAMES_SOURCE];
	const struct name *name = hint_name(sources, e->source_place, source);
	if (name == NULL)
		return NAME_NONE;
	e->source_place = names_place(sources, name);
	return name->id;
}

bool
arrival_is_new(struct engine *e, struct arrival *a)
{
	const struct event_command *c = a->c;
	if (c->source.n == 0 || (c->n == 0 && c->id.n == 0)) {
		if (c->defect != STATUS_OK)
			arrival_reject(a, c->defect, c->defect_message);
		else
			arrival_reject(a, STATUS_BAD_REQUEST, "an event needs a source and a number n or an id");
		return false;
	}
	a->source = source_look(e, c->source);
	if (a->source == NAME_NONE && names_count(&e->names[NAMES_SOURCE]) == e->names[NAMES_SOURCE].max) {
		arrival_reject_which(a, STATUS_CAPACITY, "sources", "a table of the server is full");
		return false;
	}
	return a->replay || (c->n ? number_is_new(e, a) : id_is_new(e, a));
}

/* ---- the operator's side ---- */

void
decide_skip(struct engine *e, const struct skip_command *c, struct result *result)
{
	const struct names *sources = &e->names[NAMES_SOURCE];
	uint32_t id = names_find(sources, c->source);
	struct source_record r;
	if (id == NAME_NONE && names_count(sources) == sources->max) {
		refuse_which(result, STATUS_CAPACITY, "sources", "a table of the server is full");
		return;
	}
	if (id != NAME_NONE && c->skip_to <= e->sources.at[id].contiguous)
		return;
	step_begin(e, CAUSE_SKIP, (struct bytes){ NULL, 0 }, (struct bytes){ NULL, 0 });
	if (id == NAME_NONE)
		id = emit_name(e, NAMES_SOURCE, c->source);
	sources_skip(&e->sources, id, c->skip_to, &r);
	emit_source(e, &r);
	step_end(e);
	result->seq = e->seq;
}

void
decide_quarantine_drop(struct engine *e, const struct quarantine_command *c, struct result *result)
{
	if (quarantine_find(&e->quarantine, c->number) == NULL) {
		refuse(result, STATUS_NOT_FOUND, "the quarantine keeps no item of that number");
		return;
	}
	step_begin(e, CAUSE_QUARANTINE, (struct bytes){ NULL, 0 }, (struct bytes){ NULL, 0 });
	arrival_emit_dropped(e, c->number);
	step_end(e);
	result->seq = e->seq;
}

void
decide_quarantine_replay(struct engine *e, const struct quarantine_command *c, struct result *result)
{
	const struct kept_event *kept = quarantine_find(&e->quarantine, c->number);
	if (kept == NULL) {
		refuse(result, STATUS_NOT_FOUND, "the quarantine keeps no item of that number");
		return;
	}
	/* D31: without an instant of its own it happened when it arrived, and it arrived when it was kept. */
	struct arrival a = arrival_of(e, c->event, kept->at, result);
	a.replay = true;
	a.replay_number = c->number;
	arrival_decide(e, &a);
	result->seq = e->seq;
}
