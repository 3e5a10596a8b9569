#include "core/engine.h"

#include "core/state.h"
#include "core/view.h"

/* ---- memory ---- */

static bool
limits_sound(const struct engine_limits *l)
{
	return l->cells_max >= 1 && l->cells_max <= UINT64_C(1) << 31 && l->skus_max >= 1 && l->skus_max <= NAMES_MAX &&
	    l->locations_max >= 1 && l->locations_max <= 1u << 20 && l->sources_max >= 1 && l->sources_max <= SOURCES_LIMIT &&
	    l->channels_max >= 1 && l->channels_max < UINT16_MAX && l->groups_max >= 1 && l->groups_max <= 16384 &&
	    l->reservations_max >= 1 && (uint64_t)l->reservations_max + l->extra_lines_max < UINT32_MAX / 2 && l->blobs_max < UINT32_MAX / 2 &&
	    l->quarantine_max >= 1 && l->history_max >= 1 && l->history_max < UINT32_MAX / 2 && l->free_ids_max >= 1 &&
	    l->free_ids_max < UINT32_MAX / 2;
}

static struct engine *
layout(struct carve *c, const struct engine_limits *l)
{
	struct engine none, *e = carve(c, 1, sizeof *e), *t = e ? e : &none;
	if (e == NULL)
		memset(&none, 0, sizeof none);
	t->scratch = carve(c, 1, sizeof *t->scratch);
	names_init(&t->names[NAMES_SKU], c, l->skus_max, NAME_BYTES_MAX);
	names_init(&t->names[NAMES_LOCATION], c, l->locations_max, PLACE_BYTES_MAX);
	names_init(&t->names[NAMES_SOURCE], c, l->sources_max, PLACE_BYTES_MAX);
	names_init(&t->names[NAMES_CHANNEL], c, l->channels_max, PLACE_BYTES_MAX);
	cells_init(&t->cells, c, (uint32_t)l->cells_max, l->locations_max);
	groups_init(&t->groups, c, l->groups_max, l->skus_max, l->locations_max);
	timers_init(&t->timers, c);
	blobs_init(&t->blobs, c, l->blobs_max);
	reservations_init(&t->reservations, c, l->reservations_max, l->extra_lines_max);
	sources_init(&t->sources, c, l->sources_max);
	free_ids_init(&t->free_ids, c, l->free_ids_max);
	history_init(&t->history, c, l->history_max, (uint32_t)l->cells_max);
	quarantine_init(&t->quarantine, c, l->quarantine_max);
	return e;
}

size_t
engine_memory_bytes(const struct engine_limits *limits)
{
	struct carve c = { NULL, 0 };
	if (!limits_sound(limits))
		return 0;
	layout(&c, limits);
	return c.used;
}

static void
seed_set(struct engine *e, uint64_t secret)
{
	struct index *indexes[] = { &e->cells.index, &e->reservations.index, &e->free_ids.index };
	struct hash_seed seed = hash_seed(secret);
	for (size_t i = 0; i < sizeof indexes / sizeof *indexes; i++)
		indexes[i]->seed = seed;
	for (int t = 0; t < NAME_TABLES; t++)
		e->names[t].index.seed = seed;
	e->scratch->changes.seed = seed;
}

struct engine *
engine_init(void *memory, const struct engine_limits *limits, uint64_t seed)
{
	struct carve c = { memory, 0 };
	ensure(limits_sound(limits) && (uintptr_t)memory % 64 == 0);
	struct engine *e = layout(&c, limits);
	e->limits = *limits;
	e->options = engine_options_default;
	e->options.value[OPTION_HISTORY_MAX] = limits->history_max;
	e->options.value[OPTION_FREE_IDS_MAX] = limits->free_ids_max;
	e->reservations.timers = &e->timers;
	e->reservations.blobs = &e->blobs;
	e->reservations.cells = &e->cells;
	e->history.cells = &e->cells;
	timers_bind(&e->timers, &e->reservations.at->timer, sizeof *e->reservations.at,
	    offsetof(struct reservation, expires_at) - offsetof(struct reservation, timer));
	seed_set(e, seed);
	hint_clear(e);
	e->source_place = AHEAD_NOTHING;
	atomic_store_explicit(&e->deadline_view, INT64_MAX, memory_order_relaxed);
	return e;
}

/* ---- options ---- */

struct option_bounds {
	int64_t least, most;
};
static const struct option_bounds option_bounds[OPTION_COUNT] = {
	[OPTION_CREATE_UNKNOWN] = { 0, 1 },
	[OPTION_TTL_DEFAULT_MS] = { 1, 24 * 3600 * 1000 },
	[OPTION_TTL_MAX_MS] = { 1, 24 * 3600 * 1000 },
	[OPTION_PIN_MAX_MS] = { 1, 3600 * 1000 },
	[OPTION_FUTURE_MS] = { 0, INT64_C(365) * 24 * 3600 * 1000 },
	[OPTION_COUNT_WINDOW_MS] = { 0, INT64_C(3660) * 24 * 3600 * 1000 },
	[OPTION_FREE_ID_MS] = { 0, INT64_C(3660) * 24 * 3600 * 1000 },
	[OPTION_HISTORY_MAX] = { 1, INT32_MAX },
	[OPTION_FREE_IDS_MAX] = { 1, INT32_MAX },
};

const char *
engine_set_options(struct engine *e, const struct engine_options *wanted)
{
	bool first = e->seq == 0, differs = first;
	for (uint32_t o = 0; o < OPTION_COUNT; o++) {
		int64_t v = wanted->value[o];
		if (v < option_bounds[o].least || v > option_bounds[o].most)
			return "an option is out of its bounds";
		if ((o == OPTION_HISTORY_MAX && v != e->limits.history_max) || (o == OPTION_FREE_IDS_MAX && v != e->limits.free_ids_max))
			return "history_max and free_ids_max are fixed when a folder is made: set them back";
		differs |= v != e->options.value[o];
	}
	if (!differs)
		return NULL;
	step_begin(e, CAUSE_OPTION, (struct bytes){ NULL, 0 }, (struct bytes){ NULL, 0 });
	for (uint32_t o = 0; o < OPTION_COUNT; o++)
		if (first || wanted->value[o] != e->options.value[o])
			emit_option(e, (enum option)o, wanted->value[o]);
	step_end(e);
	return NULL;
}

/* ---- the host's round ---- */

static void
publish(struct engine *e)
{
	atomic_store_explicit(&e->seq_view, e->seq, memory_order_release);
	atomic_store_explicit(&e->deadline_view, timers_soonest(&e->timers), memory_order_release);
	atomic_store_explicit(&e->pools_view[VIEW_SLOTS], e->reservations.high, memory_order_relaxed);
	atomic_store_explicit(&e->pools_view[VIEW_EXTRA_LINES], e->reservations.extra_high, memory_order_relaxed);
	uint64_t deltas = e->history.next < e->history.ring ? e->history.next : e->history.ring;
	atomic_store_explicit(&e->pools_view[VIEW_HISTORY], (uint32_t)deltas, memory_order_relaxed);
}

void
engine_stamp(struct engine *e, int64_t now_ms)
{
	ensure(!e->step_open);
	if (now_ms > e->now)
		e->now = now_ms;
	timers_advance(&e->timers, e->now);
	publish(e);
}

void
engine_begin(struct engine *e, int64_t now_ms, struct step_buffer *out)
{
	ensure(out->size >= 2 * STEP_ROOM && !e->step_open);
	out->used = 0;
	out->steps = 0;
	out->first_seq = e->seq + 1;
	e->out = out;
	engine_stamp(e, now_ms);
}

int64_t
engine_now(const struct engine *e)
{
	return e->now;
}

int64_t
engine_next_deadline(const struct engine *e)
{
	return timers_next(&e->timers);
}

bool
engine_expire(struct engine *e, uint32_t most)
{
	uint32_t work = most;
	bool more = true;
	while (most-- > 0 && e->out->size - e->out->used >= STEP_ROOM) {
		uint32_t slot = timers_due(&e->timers, e->now, &work);
		if (slot == UINT32_MAX) {
			more = timers_next(&e->timers) <= e->now;
			break;
		}
		expire_one(e, slot);
	}
	/* The timers' time follows even when the last due hold used up `most`: what is put next must lie within their span. */
	timers_advance(&e->timers, e->now);
	publish(e);
	return more && e->timers.soonest <= e->now;
}

uint64_t
engine_seq(const struct engine *e)
{
	return e->seq;
}

void
engine_execute(struct engine *e, const struct command *c, struct result *result)
{
	memset(result, 0, sizeof *result);
	result->seq = e->seq;
	result->number = -1;
	switch (c->kind) {
	case COMMAND_RESERVE: decide_reserve(e, &c->reserve, result); break;
	case COMMAND_COMMIT: decide_settle(e, CAUSE_COMMIT, &c->settle, result); break;
	case COMMAND_RELEASE: decide_settle(e, CAUSE_RELEASE, &c->settle, result); break;
	case COMMAND_FULFIL: decide_settle(e, CAUSE_FULFIL, &c->settle, result); break;
	case COMMAND_EXTEND: decide_extend(e, false, &c->extend, result); break;
	case COMMAND_PIN: decide_extend(e, true, &c->extend, result); break;
	case COMMAND_MOVE: decide_move(e, &c->move, result); break;
	case COMMAND_EVENT: decide_event(e, &c->event, result); break;
	case COMMAND_SKIP_TO: decide_skip(e, &c->skip, result); break;
	case COMMAND_POLICY_CELLS: decide_policy_cells(e, &c->policy_cells, result); break;
	case COMMAND_POLICY_GROUP: decide_policy_group(e, &c->policy_group, result); break;
	case COMMAND_QUARANTINE_DROP: decide_quarantine_drop(e, &c->quarantine, result); break;
	case COMMAND_QUARANTINE_REPLAY: decide_quarantine_replay(e, &c->quarantine, result); break;
	case COMMAND_DIGEST: decide_digest(e, &c->digest, result); break;
	}
	hint_clear(e);
	publish(e);
}

const struct engine_limits *
engine_limits_of(const struct engine *e)
{
	return &e->limits;
}
