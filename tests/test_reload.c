/*
 * test_reload.c: the smallest tables there can be: one reservation, one item of quarantine, rings of one to three slots. Beside its naive twin the engine runs a while, is replayed from its own batches into a fresh engine, must be the same
 * state there, and goes on in that one.
 *
 *   HOLDFAST_SEED=N   another first seed       HOLDFAST_RUNS=N   more of them
 */
#include "tests/check.h"
#include "tests/twin_run.h"

#define STEPS   240
#define RELOADS 6

static struct draw_profile
tiny(uint32_t ring)
{
	struct draw_profile p = {
		.name = "tiny", .skus = 3, .places = 4, .groups = 2, .sources = 2, .ids = 12, .owners = 2, .qty_max = 6, .ttl_max_ms = 300,
		.pause_max_ms = 50, .jump_ms = 2000, .at_span_ms = 60000, .batch = 6, .partial = 25, .owned = 40, .shuffled = 40,
		.repeated = 20, .odd = 15, .counts = 25, .fresh = 50,
		.reserve = 30, .settle = 25, .extend = 3, .pin = 2, .move = 4, .event = 40, .skip = 1, .policy = 3, .group = 12, .quarantine = 6,
		.limits = { .cells_max = 64, .skus_max = 16, .locations_max = 16, .sources_max = 4, .channels_max = 2, .groups_max = 4,
		    .reservations_max = 1, .extra_lines_max = 4, .blobs_max = 20, .quarantine_max = 1, .history_max = ring, .free_ids_max = ring },
		.options = engine_options_default,
	};
	p.options.value[OPTION_HISTORY_MAX] = p.options.value[OPTION_FREE_IDS_MAX] = ring;
	return p;
}

/* Everything that was journaled, into a fresh engine; NULL: it was refused or is another state. */
static struct engine *
reload(struct run *r, void **memory)
{
	uint64_t before[2], after[2];
	const char *wrong = NULL;
	struct engine *e = run_engine(&r->profile->limits, memory);
	for (uint32_t i = 0; i < r->batches_n && wrong == NULL; i++) {
		const struct run_batch *b = &r->batches[i];
		wrong = b->steps ? engine_replay(e, b->first_seq, b->steps, b->stamp_ms, b->bytes, b->n) : NULL;
	}
	if (wrong == NULL)
		wrong = engine_load_done(e);
	if (wrong)
		printf("     %s\n", wrong);
	engine_digest_state(r->engine, before);
	engine_digest_state(e, after);
	if (wrong == NULL && memcmp(before, after, sizeof before) == 0)
		return e;
	free(*memory);
	return NULL;
}

static void
run_one(const struct draw_profile *p, uint64_t seed, uint32_t *finished)
{
	struct run *r = run_new(p, seed);
	bool fine = true;
	for (uint32_t i = 0; i < RELOADS && fine; i++) {
		void *memory;
		struct engine *e = NULL;
		for (uint32_t s = 0; s < STEPS && fine; s++)
			fine = run_step(r, i * STEPS + s);
		if (fine && (fine = run_settle_down(r)) && (fine = (e = reload(r, &memory)) != NULL))
			run_adopt(r, e, memory);
	}
	*finished += fine;
	if (!fine)
		printf("     ring of %u, HOLDFAST_SEED=%llu: %s\n", p->limits.history_max, (unsigned long long)seed, r->failure);
	run_free(r);
}

static void
an_engine_of_the_smallest_tables_comes_back_as_it_was(void)
{
	const char *more = getenv("HOLDFAST_RUNS");
	uint64_t first = check_seed(1), runs = more ? strtoull(more, NULL, 0) : 12;
	uint32_t finished = 0;
	for (uint64_t seed = first; seed < first + runs; seed++) {
		struct draw_profile p = tiny(1 + (uint32_t)(seed % 3));
		run_one(&p, seed, &finished);
	}
	check_equal(finished, runs);
}

/* Two engines, which run_engine() gives seeds of their own, and the same commands. */
static void
the_seed_of_the_indexes_changes_no_byte_that_is_kept(void)
{
	struct draw_profile p = tiny(3);
	p.limits.reservations_max = 200, p.limits.extra_lines_max = 400, p.limits.blobs_max = 400;
	struct run *runs[2] = { run_new(&p, check_seed(1)), run_new(&p, check_seed(1)) };
	uint64_t digest[2][2];
	for (int i = 0; i < 2; i++) {
		bool fine = true;
		for (uint32_t s = 0; s < RELOADS * STEPS && fine; s++)
			fine = run_step(runs[i], s);
		check(fine && run_settle_down(runs[i]));
		engine_digest_state(runs[i]->engine, digest[i]);
	}
	check(memcmp(digest[0], digest[1], sizeof digest[0]) == 0);
	check(runs[0]->batches_n > 100);
	check_equal(runs[0]->batches_n, runs[1]->batches_n);
	for (uint32_t i = 0; i < runs[0]->batches_n; i++) {
		const struct run_batch *a = &runs[0]->batches[i], *b = &runs[1]->batches[i];
		check_equal(a->n, b->n);
		check(memcmp(a->bytes, b->bytes, a->n) == 0);
	}
	run_free(runs[0]);
	run_free(runs[1]);
}

/* ---- a group that is built anew while its table is full ---- */

struct rig {
	struct engine *engine;
	void *memory;
	struct step_buffer out;
};

static void
group_define(struct rig *g, const char *name, const struct bytes *members, uint32_t n)
{
	struct command c = { .kind = COMMAND_POLICY_GROUP,
		.policy_group = { { (const uint8_t *)name, (uint32_t)strlen(name) }, members, n } };
	struct result r;
	uint64_t job;
	engine_execute(g->engine, &c, &r);
	check(r.status == STATUS_OK && r.job != 0);
	while (!engine_job_run(g->engine, &job, &r))
		check(engine_job_waiting(g->engine));
	check(r.status == STATUS_OK);
}

static void
a_redefined_group_is_replayed_though_its_table_is_full(void)
{
	static const struct bytes members[] = { { (const uint8_t *)"a", 1 }, { (const uint8_t *)"b", 1 } };
	struct draw_profile p = tiny(1);
	p.limits.groups_max = 1;
	struct rig g = { .out = { .bytes = malloc(2 * STEP_ROOM), .size = 2 * STEP_ROOM } };
	struct event_command event = { .source = { (const uint8_t *)"till", 4 }, .kind = EVENT_RECEIPT,
		.sku = { (const uint8_t *)"s", 1 }, .qty = 5, .at = -1, .as_of = -1 };
	struct result r;
	g.engine = run_engine(&p.limits, &g.memory);
	check(engine_load_done(g.engine) == NULL);
	engine_begin(g.engine, DRAW_EPOCH, &g.out);
	check(engine_set_options(g.engine, &p.options) == NULL);
	for (event.n = 1; event.n <= 2; event.n++) {
		event.location = members[event.n - 1];
		engine_execute(g.engine, &(struct command){ .kind = COMMAND_EVENT, .event = event }, &r);
		check_equal(r.outcome, OUTCOME_APPLIED);
	}
	group_define(&g, "g", members, 1);
	check_calm();
	group_define(&g, "g", members, 2);
	check_calm();
	uint64_t before[2], after[2];
	void *memory;
	struct engine *e = run_engine(&p.limits, &memory);
	const char *wrong = engine_replay(e, g.out.first_seq, g.out.steps, DRAW_EPOCH, g.out.bytes, g.out.used);
	if (wrong)
		printf("     %s\n", wrong);
	check(wrong == NULL && engine_load_done(e) == NULL);
	engine_digest_state(g.engine, before);
	engine_digest_state(e, after);
	check(memcmp(before, after, sizeof before) == 0);
	free(memory);
	free(g.memory);
	free(g.out.bytes);
}

/* ---- what is remembered gives way to what is new ---- */

static void
finished_carts_never_fill_a_pool_so_that_no_cart_is_granted_any_more(void)
{
	struct draw_profile p = tiny(1);
	p.limits.reservations_max = 1000;
	p.limits.extra_lines_max = 40;
	p.limits.blobs_max = 60;
	struct rig g = { .out = { .bytes = malloc(4 * STEP_ROOM), .size = 4 * STEP_ROOM } };
	static const struct bytes a = { (const uint8_t *)"a", 1 }, sku = { (const uint8_t *)"s", 1 };
	struct event_command event = { .source = { (const uint8_t *)"till", 4 }, .n = 1, .kind = EVENT_RECEIPT, .sku = sku, .location = a,
		.qty = 50, .at = -1, .as_of = -1 };
	struct asked_line lines[] = { { sku, a, 1 }, { sku, a, 2 }, { sku, a, 3 } };
	struct result r;
	g.engine = run_engine(&p.limits, &g.memory);
	check(engine_load_done(g.engine) == NULL);
	engine_begin(g.engine, DRAW_EPOCH, &g.out);
	check(engine_set_options(g.engine, &p.options) == NULL);
	engine_execute(g.engine, &(struct command){ .kind = COMMAND_EVENT, .event = event }, &r);
	for (int i = 0; i < 300; i++) {
		char id[64];
		snprintf(id, sizeof id, "a cart whose id is longer than a record has room for %03d", i);
		struct bytes name = { (const uint8_t *)id, (uint32_t)strlen(id) };
		engine_execute(g.engine, &(struct command){ .kind = COMMAND_RESERVE, .reserve = { .id = name, .lines = lines,
			.lines_n = 1 + (uint32_t)i % 3, .ttl_ms = -1, .owner = a } }, &r);
		check_equal(r.status, STATUS_OK);
		engine_execute(g.engine, &(struct command){ .kind = COMMAND_RELEASE, .settle = { .id = name } }, &r);
		check_equal(r.status, STATUS_OK);
	}
	free(g.memory);
	free(g.out.bytes);
}

static const struct check tests[] = {
	CHECK(an_engine_of_the_smallest_tables_comes_back_as_it_was),
	CHECK(the_seed_of_the_indexes_changes_no_byte_that_is_kept),
	CHECK(a_redefined_group_is_replayed_though_its_table_is_full),
	CHECK(finished_carts_never_fill_a_pool_so_that_no_cart_is_granted_any_more),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof tests[0], argc, argv);
}
