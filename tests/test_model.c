/*
 * test_model.c: the engine beside its naive twin (P2, P3, P4, P11). Every profile is a little world that is drawn from a seed;
 * a difference prints the profile, the seed, the step and the shortest run of commands that still shows it.
 *
 *   HOLDFAST_SEED=N    another first seed        HOLDFAST_RUNS=N   more seeds of each profile
 *   HOLDFAST_STEPS=N   longer runs               HOLDFAST_TRACE=1  print every command of every run
 *   HOLDFAST_DIGEST=1  print the state digests, to compare compilers and levels (P11)
 */
#include "tests/check.h"
#include "tests/twin_run.h"

#define LIMITS { .cells_max = 4096, .skus_max = 256, .locations_max = 64, .sources_max = 16, .channels_max = 16, .groups_max = 8, \
	.reservations_max = 4096, .extra_lines_max = 8192, .blobs_max = 32768, .quarantine_max = 2048, .history_max = 8192, \
	.free_ids_max = 4096 }
#define OPTIONS(create, future, window, free_id) { .value = { [OPTION_CREATE_UNKNOWN] = create, [OPTION_TTL_DEFAULT_MS] = 900000, \
	[OPTION_TTL_MAX_MS] = 86400000, [OPTION_PIN_MAX_MS] = 900000, [OPTION_FUTURE_MS] = future, [OPTION_COUNT_WINDOW_MS] = window, \
	[OPTION_FREE_ID_MS] = free_id } }
#define WORLD .skus = 4, .places = 3, .groups = 3, .sources = 3, .ids = 60, .owners = 4, .qty_max = 6, .pause_max_ms = 50, \
	.jump_ms = 2000, .at_span_ms = 60000, .batch = 6, .partial = 25, .owned = 40, .shuffled = 40, .repeated = 20, .odd = 6, .counts = 12, .whole = 50
#define USUAL .reserve = 40, .settle = 25, .extend = 3, .pin = 2, .move = 4, .event = 25, .skip = 1, .policy = 2, .group = 1, .quarantine = 2
#define USUAL_OPTIONS OPTIONS(1, 300000, 172800000, 172800000)

static struct draw_profile profiles[] = {
	{ .name = "usual", WORLD, USUAL, .limits = LIMITS, .options = USUAL_OPTIONS },
	{ .name = "hot", WORLD, .reserve = 60, .settle = 30, .event = 20, .fresh = 50, .limits = LIMITS, .options = USUAL_OPTIONS },
	{ .name = "short_holds", WORLD, USUAL, .ttl_max_ms = 120, .fresh = 30, .limits = LIMITS, .options = USUAL_OPTIONS },
	{ .name = "long_holds", WORLD, USUAL, .ttl_max_ms = 86000000, .limits = LIMITS, .options = USUAL_OPTIONS },
	{ .name = "events", WORLD, .event = 90, .skip = 2, .quarantine = 6, .reserve = 4, .settle = 4, .limits = LIMITS, .options = USUAL_OPTIONS },
	{ .name = "counts", WORLD, .event = 95, .reserve = 3, .settle = 6, .quarantine = 2, .limits = LIMITS, .options = USUAL_OPTIONS },
	{ .name = "odd", WORLD, USUAL, .limits = LIMITS, .options = USUAL_OPTIONS },
	{ .name = "groups", WORLD, .reserve = 30, .settle = 10, .event = 30, .policy = 8, .group = 20, .move = 4, .limits = LIMITS,
	    .options = USUAL_OPTIONS },
	{ .name = "known_only", WORLD, USUAL, .create_off_later = true, .limits = LIMITS, .options = USUAL_OPTIONS },
	{ .name = "short_memory", WORLD, USUAL, .limits = LIMITS, .options = OPTIONS(1, 300000, 3000, 2000) },
	{ .name = "full", WORLD, USUAL, .fresh = 60, .limits = LIMITS, .options = USUAL_OPTIONS },
	{ .name = "long_names", WORLD, USUAL, .long_names = true, .fresh = 30, .limits = LIMITS, .options = USUAL_OPTIONS },
	{ .name = "crowded", WORLD, USUAL, .ttl_max_ms = 120, .long_names = true, .fresh = 70, .limits = LIMITS, .options = USUAL_OPTIONS },
	{ .name = "many_refs", WORLD, .reserve = 6, .settle = 80, .event = 10, .limits = LIMITS, .options = USUAL_OPTIONS },
};

static void
finish_profiles(void)
{
	for (size_t i = 0; i < sizeof profiles / sizeof profiles[0]; i++) {
		struct draw_profile *p = &profiles[i];
		struct engine_limits *l = &p->limits;
		if (!strcmp(p->name, "counts"))
			p->counts = 35;
		if (!strcmp(p->name, "hot"))
			p->skus = 1, p->places = 2;
		if (!strcmp(p->name, "odd"))
			p->odd = 35;
		if (!strcmp(p->name, "long_holds"))
			p->pause_max_ms = 600000, p->jump_ms = 30000000, p->fresh = 30;
		if (!strcmp(p->name, "events"))
			p->odd = 25;
		if (!strcmp(p->name, "groups"))
			p->skus = 8, p->places = 6;
		if (!strcmp(p->name, "short_memory"))
			p->counts = 30, p->jump_ms = 2500, l->history_max = 64, l->free_ids_max = 16, l->reservations_max = 64;
		if (!strcmp(p->name, "many_refs"))
			p->ids = 3, p->qty_max = 90, p->fresh = 0, p->whole = 1, p->counts = 0, p->skus = 2, p->places = 2;
		if (!strcmp(p->name, "long_names"))
			p->counts = 30, l->blobs_max = 30;
		if (!strcmp(p->name, "crowded"))
			l->reservations_max = 48, l->extra_lines_max = 24, l->blobs_max = 40;
		if (!strcmp(p->name, "full")) {
			p->places = 4, p->skus = 8, p->groups = 0, p->odd = 20, p->group = 0;
			*l = (struct engine_limits){ .cells_max = 16, .skus_max = 7, .locations_max = 3, .sources_max = 3, .channels_max = 2,
				.groups_max = 1, .reservations_max = 24, .extra_lines_max = 2, .blobs_max = 12, .quarantine_max = 6, .history_max = 64,
				.free_ids_max = 16 };
		}
		p->options.value[OPTION_HISTORY_MAX] = l->history_max;
		p->options.value[OPTION_FREE_IDS_MAX] = l->free_ids_max;
	}
}

static uint64_t
setting(const char *name, uint64_t otherwise)
{
	const char *s = getenv(name);
	return s ? strtoull(s, NULL, 0) : otherwise;
}

/* ---- shortening ---- */

struct attempt {
	const struct draw_profile *profile;
	uint64_t seed, steps;
	uint8_t *leave_out; /* per step */
};

/* Runs again without some steps; false: it still fails, and says how in `failure`. */
static bool
passes(const struct attempt *a, bool trace, char failure[1024])
{
	struct run *r = run_new(a->profile, a->seed);
	bool fine = true;
	r->trace = trace;
	for (uint64_t i = 0; fine && i < a->steps; i++)
		if (!a->leave_out[i])
			fine = run_step(r, i);
	fine = fine && run_settle_down(r);
	memcpy(failure, r->failure, sizeof r->failure);
	run_free(r);
	return fine;
}

#define SHORTEN_TRIES 3000
static void
shorten(struct attempt *a)
{
	char failure[1024];
	int tries = 0;
	for (uint64_t chunk = a->steps / 2; chunk; chunk /= 2)
		for (uint64_t from = 0; from < a->steps && tries < SHORTEN_TRIES; from += chunk, tries++) {
			uint8_t *before = malloc(a->steps);
			memcpy(before, a->leave_out, a->steps);
			memset(a->leave_out + from, 1, from + chunk > a->steps ? a->steps - from : chunk);
			if (memcmp(before, a->leave_out, a->steps) != 0 && passes(a, false, failure))
				memcpy(a->leave_out, before, a->steps);
			free(before);
		}
}

static void
report(const struct draw_profile *p, uint64_t seed, uint64_t steps, const char *failure)
{
	struct attempt a = { p, seed, steps, calloc(steps, 1) };
	char shorter[1024];
	printf("     profile %s, seed %llu: %s\n", p->name, (unsigned long long)seed, failure);
	printf("     again: HOLDFAST_SEED=%llu test_model the_engine_agrees_with_its_twin_%s\n", (unsigned long long)seed, p->name);
	shorten(&a);
	printf("     the shortest run of these commands that shows it:\n");
	if (!passes(&a, true, shorter))
		printf("     %s\n", shorter);
	free(a.leave_out);
}

/* ---- replay (P11) ---- */

struct kept_entry {
	uint64_t key, seq;
	enum entry_kind kind;
	const uint8_t *body;
	uint32_t body_n;
};

static int
by_key(const void *a, const void *b)
{
	const struct kept_entry *x = a, *y = b;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* What a follower that knows no rule of stock keeps of the first n batches: the latest entry of each key. */
static uint32_t
fold(const struct run *r, uint32_t batches, struct kept_entry **list)
{
	uint32_t n = 0, cap = 0, kept = 0;
	*list = NULL;
	for (uint32_t i = 0; i < batches; i++) {
		const uint8_t *at = r->batches[i].bytes, *end = at + r->batches[i].n, *entries, *entries_end;
		struct cause cause;
		struct entry_bytes e;
		for (uint64_t seq = r->batches[i].first_seq; step_next(&at, end, &cause, &entries, &entries_end) == 1; seq++)
			while (entry_next(&entries, entries_end, &e) == 1) {
				if (n == cap)
					*list = realloc(*list, (cap = cap ? cap * 2 : 1024) * sizeof **list);
				(*list)[n++] = (struct kept_entry){ e.key, seq, e.kind, e.body, e.body_n };
			}
	}
	if (n)
		qsort(*list, n, sizeof **list, by_key);
	for (uint32_t i = 0; i < n; i++)
		if (i + 1 == n || (*list)[i + 1].key != (*list)[i].key || (*list)[i + 1].kind != (*list)[i].kind)
			(*list)[kept++] = (*list)[i];
	return kept;
}

/* An engine from the image of the first `folded` batches and the journal of the rest. NULL: *wrong. */
static struct engine *
recovered(const struct run *r, uint32_t folded, void **memory, const char **wrong)
{
	struct engine *e = run_engine(&r->profile->limits, memory);
	struct kept_entry *list;
	uint32_t n = fold(r, folded, &list);
	*wrong = NULL;
	for (uint32_t i = 0; !*wrong && i < n; i++) {
		struct entry_bytes b = { list[i].kind, list[i].key, list[i].body, list[i].body_n };
		*wrong = engine_load_entry(e, list[i].seq, &b);
	}
	free(list);
	if (!*wrong && folded) {
		const struct run_batch *last = &r->batches[folded - 1];
		*wrong = engine_load_image_done(e, last->first_seq + last->steps - 1, last->stamp_ms);
	}
	for (uint32_t i = folded; !*wrong && i < r->batches_n; i++) {
		const struct run_batch *b = &r->batches[i];
		*wrong = engine_replay(e, b->first_seq, b->steps, b->stamp_ms, b->bytes, b->n);
	}
	if (!*wrong)
		*wrong = engine_load_done(e);
	if (*wrong)
		free(*memory);
	return *wrong ? NULL : e;
}

static bool
same_state(struct run *r, struct engine *other)
{
	uint64_t a[2], b[2];
	struct engine_usage used, used_there;
	engine_digest_state(r->engine, a);
	engine_digest_state(other, b);
	engine_usage(r->engine, &used);
	engine_usage(other, &used_there);
	return a[0] == b[0] && a[1] == b[1] && engine_seq(r->engine) == engine_seq(other) && used.missing == used_there.missing;
}

/* Replays everything, folds everything, folds a part: the state must be the same; the last one goes on with the run. */
static bool
replays_exactly(struct run *r)
{
	uint32_t folded[] = { 0, r->batches_n, (uint32_t)(r->seed % (r->batches_n + 1)) };
	for (int i = 0; i < 3; i++) {
		void *memory;
		const char *wrong;
		struct engine *e = recovered(r, folded[i], &memory, &wrong);
		if (!e) {
			snprintf(r->failure, sizeof r->failure, "recovery with %u of %u batches folded: %s", folded[i], r->batches_n, wrong);
			return false;
		}
		if (!same_state(r, e)) {
			snprintf(r->failure, sizeof r->failure, "the state digest after recovery with %u of %u batches folded differs", folded[i],
			    r->batches_n);
			free(memory);
			return false;
		}
		if (i < 2)
			free(memory);
		else
			run_adopt(r, e, memory);
	}
	return true;
}

/* ---- what was reached ---- */

static uint64_t seen_status[STATUS_COUNT], seen_outcome[8], seen_again, seen_runs;
static struct {
	const char *which;
	uint64_t times;
} seen_bound[64];

static void
count_seen(const struct run *r)
{
	seen_runs++;
	seen_again += r->again;
	for (int i = 0; i < STATUS_COUNT; i++)
		seen_status[i] += r->statuses[i];
	for (int i = 0; i < 8; i++)
		seen_outcome[i] += r->outcomes[i];
	for (int i = 0; i < 32 && r->bounds[i].which; i++)
		for (int j = 0; j < 64; j++)
			if (!seen_bound[j].which || strcmp(seen_bound[j].which, r->bounds[i].which) == 0) {
				seen_bound[j].which = r->bounds[i].which;
				seen_bound[j].times += r->bounds[i].times;
				break;
			}
}

static bool
bound_seen(const char *which)
{
	for (int j = 0; j < 64 && seen_bound[j].which; j++)
		if (strcmp(seen_bound[j].which, which) == 0)
			return true;
	printf("     never reached: %s\n", which);
	return false;
}

/* ---- the runs ---- */

static void
agree(const char *name)
{
	const struct draw_profile *p = profiles;
	while (strcmp(p->name, name) != 0)
		p++;
	uint64_t runs = setting("HOLDFAST_RUNS", 4), steps = setting("HOLDFAST_STEPS", 1500);
	uint64_t first = check_seed(1), granted = 0, refused = 0;
	for (uint64_t seed = first; seed < first + runs; seed++) {
		struct run *r = run_new(p, seed);
		bool fine = true;
		uint64_t step = 0;
		r->trace = getenv("HOLDFAST_TRACE") != NULL;
		while (fine && step < steps)
			fine = run_step(r, step++);
		fine = fine && run_settle_down(r);
		if (!fine)
			report(p, seed, step, r->failure);
		bool agreed = fine;
		fine = fine && replays_exactly(r) && compare_all(r);
		for (uint64_t more = steps; fine && more < steps + steps / 4; more++)
			fine = run_step(r, more);
		if (agreed && !fine)
			printf("     profile %s, seed %llu, after recovery: %s\n", name, (unsigned long long)seed, r->failure);
		if (fine && getenv("HOLDFAST_DIGEST")) {
			uint64_t digest[2];
			engine_digest_state(r->engine, digest);
			printf("     state %s %llu %016llx%016llx\n", name, (unsigned long long)seed, (unsigned long long)digest[0],
			    (unsigned long long)digest[1]);
		}
		count_seen(r);
		granted += r->granted;
		refused += r->refused;
		run_free(r);
		check(fine);
	}
	check(granted > steps / 8 && refused > steps / 50);
}

#define AGREE(profile) \
	static void \
	the_engine_agrees_with_its_twin_##profile(void) \
	{ \
		agree(#profile); \
	}
AGREE(usual)
AGREE(hot)
AGREE(short_holds)
AGREE(long_holds)
AGREE(events)
AGREE(counts)
AGREE(odd)
AGREE(groups)
AGREE(known_only)
AGREE(short_memory)
AGREE(full)
AGREE(long_names)
AGREE(crowded)
AGREE(many_refs)

/* A comparison that never met a refusal says nothing about it. */
static void
every_kind_of_answer_was_compared(void)
{
	static const enum status statuses[] = { STATUS_OK, STATUS_BAD_REQUEST, STATUS_FORBIDDEN, STATUS_UNKNOWN_SKU, STATUS_UNKNOWN_LOCATION,
		STATUS_INSUFFICIENT, STATUS_NOT_FOUND, STATUS_WRONG_STATE, STATUS_EXPIRED, STATUS_CONFLICT, STATUS_MISMATCH, STATUS_LIMIT,
		STATUS_CAPACITY, STATUS_GAP_TOO_WIDE, STATUS_STALE };
	static const char *const bounds[] = { "ttl", "life", "pin_ttl", "pin", "refs", "skus", "locations", "cells", "sources", "channels",
		"reservations", "extra_lines", "blobs", "quarantine" };
	if (seen_runs < 40)
		return; /* single profiles were asked for */
	for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
		printf("     %s %llu,", status_name(statuses[i]), (unsigned long long)seen_status[statuses[i]]);
		check(seen_status[statuses[i]] > 0);
	}
	printf(" again %llu\n     bounds:", (unsigned long long)seen_again);
	for (int j = 0; j < 64 && seen_bound[j].which; j++)
		printf(" %s %llu,", seen_bound[j].which, (unsigned long long)seen_bound[j].times);
	printf("\n");
	for (int i = OUTCOME_APPLIED; i <= OUTCOME_REJECTED; i++)
		check(seen_outcome[i] > 0);
	for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++)
		check(bound_seen(bounds[i]));
	check(seen_again > 0);
}

int
main(int argc, char **argv)
{
	static const struct check tests[] = {
		CHECK(the_engine_agrees_with_its_twin_usual),
		CHECK(the_engine_agrees_with_its_twin_hot),
		CHECK(the_engine_agrees_with_its_twin_short_holds),
		CHECK(the_engine_agrees_with_its_twin_long_holds),
		CHECK(the_engine_agrees_with_its_twin_events),
		CHECK(the_engine_agrees_with_its_twin_counts),
		CHECK(the_engine_agrees_with_its_twin_odd),
		CHECK(the_engine_agrees_with_its_twin_groups),
		CHECK(the_engine_agrees_with_its_twin_known_only),
		CHECK(the_engine_agrees_with_its_twin_short_memory),
		CHECK(the_engine_agrees_with_its_twin_full),
		CHECK(the_engine_agrees_with_its_twin_long_names),
		CHECK(the_engine_agrees_with_its_twin_crowded),
		CHECK(the_engine_agrees_with_its_twin_many_refs),
		CHECK(every_kind_of_answer_was_compared),
	};
	finish_profiles();
	return check_run(argv[0], tests, sizeof tests / sizeof tests[0], argc, argv);
}
