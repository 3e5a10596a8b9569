/*
 * test_room.c: what is remembered of finished reservations gives way to what is new, and new reservations leave room to what exists
 * (D14, R3). One SKU with plenty of stock; pools so small that every test fills them.
 */
#include "tests/check.h"
#include "tests/twin_run.h"

#define SLOTS 120
#define LONG_OWNER "a shopper of one block, beside whom a ref needs another" /* 1 + 55 of 60 bytes */

struct rig {
	struct engine_limits limits;
	struct engine *engine;
	void *memory;
	struct step_buffer out;
	struct result result;
};

static const struct bytes sku = { (const uint8_t *)"s", 1 }, place = { (const uint8_t *)"p", 1 };

static void
rig_init(struct rig *g, uint32_t slots, uint32_t extra_lines, uint32_t blobs)
{
	struct engine_options options = engine_options_default;
	struct event_command event = { .source = { (const uint8_t *)"till", 4 }, .n = 1, .kind = EVENT_RECEIPT, .sku = sku, .location = place,
		.qty = 1000000, .at = -1, .as_of = -1 };
	options.value[OPTION_HISTORY_MAX] = options.value[OPTION_FREE_IDS_MAX] = 16;
	*g = (struct rig){ .limits = { .cells_max = 16, .skus_max = 4, .locations_max = 4, .sources_max = 2, .channels_max = 2, .groups_max = 1,
		.reservations_max = slots, .extra_lines_max = extra_lines, .blobs_max = blobs, .quarantine_max = 4, .history_max = 16,
		.free_ids_max = 16 } };
	g->out = (struct step_buffer){ .bytes = malloc(4 * STEP_ROOM), .size = 4 * STEP_ROOM };
	g->engine = run_engine(&g->limits, &g->memory);
	check(engine_load_done(g->engine) == NULL);
	engine_begin(g->engine, DRAW_EPOCH, &g->out);
	check(engine_set_options(g->engine, &options) == NULL);
	engine_execute(g->engine, &(struct command){ .kind = COMMAND_EVENT, .event = event }, &g->result);
	check_equal(g->result.outcome, OUTCOME_APPLIED);
}

/* Everything that was decided, replayed into a fresh engine, is the same state. */
static void
rig_fini(struct rig *g)
{
	uint64_t before[2], after[2];
	void *memory;
	struct engine *e = run_engine(&g->limits, &memory);
	const char *wrong = engine_replay(e, g->out.first_seq, g->out.steps, DRAW_EPOCH, g->out.bytes, g->out.used);
	if (wrong)
		printf("     %s\n", wrong);
	check(wrong == NULL && engine_load_done(e) == NULL);
	engine_digest_state(g->engine, before);
	engine_digest_state(e, after);
	check(memcmp(before, after, sizeof before) == 0);
	free(memory);
	free(g->memory);
	free(g->out.bytes);
}

static struct bytes
id_of(int cart, char text[NAME_BYTES_MAX])
{
	return (struct bytes){ (const uint8_t *)text, (uint32_t)snprintf(text, NAME_BYTES_MAX, "cart %d", cart) };
}

static enum status
reserve(struct rig *g, int cart, uint32_t lines_n, const char *owner)
{
	char text[NAME_BYTES_MAX];
	struct asked_line lines[LINES_ASKED_MAX];
	for (uint32_t i = 0; i < lines_n; i++)
		lines[i] = (struct asked_line){ sku, place, 1 };
	engine_execute(g->engine, &(struct command){ .kind = COMMAND_RESERVE, .reserve = { .id = id_of(cart, text), .lines = lines,
		.lines_n = lines_n, .ttl_ms = -1, .owner = { (const uint8_t *)owner, owner ? (uint32_t)strlen(owner) : 0 } } }, &g->result);
	return g->result.status;
}

static enum status
settle(struct rig *g, enum command_kind kind, int cart, const char *ref)
{
	char text[NAME_BYTES_MAX];
	engine_execute(g->engine, &(struct command){ .kind = kind, .settle = { .id = id_of(cart, text),
		.ref = { (const uint8_t *)ref, ref ? (uint32_t)strlen(ref) : 0 } } }, &g->result);
	return g->result.status;
}

/* A cart that comes and goes. */
static void
pass_by(struct rig *g, int cart, uint32_t lines_n, const char *owner)
{
	check_equal(reserve(g, cart, lines_n, owner), STATUS_OK);
	check_equal(settle(g, COMMAND_RELEASE, cart, NULL), STATUS_OK);
}

static bool
known(struct rig *g, int cart)
{
	char text[NAME_BYTES_MAX];
	struct reservation_view v;
	return engine_reservation(g->engine, id_of(cart, text), &v);
}

static struct engine_usage
usage(struct rig *g)
{
	struct engine_usage u;
	engine_usage(g->engine, &u);
	return u;
}

static void
finished_carts_of_few_lines_give_way_to_carts_of_many(void)
{
	struct rig g;
	rig_init(&g, SLOTS, SLOTS, 16);
	check_calm();
	for (int i = 0; i < SLOTS; i++) { /* of one line and of two: these fill half the extra lines */
		pass_by(&g, i, 1 + (uint32_t)i % 2, NULL);
		check_calm();
	}
	check_equal(usage(&g).reservations_kept, SLOTS);
	for (int i = SLOTS; i < SLOTS + 60; i++) {
		pass_by(&g, i, 10, NULL);
		check_calm();
	}
	pass_by(&g, 1000, 100, NULL);
	check_calm();
	rig_fini(&g);
}

static void
only_what_gives_lines_is_forgotten_for_lines_and_the_oldest_first(void)
{
	struct rig g;
	rig_init(&g, SLOTS, 80, 16); /* new carts stop at 70 */
	check_calm();
	for (int i = 0; i < 80; i++) {
		pass_by(&g, i, 1 + (uint32_t)i % 2, NULL);
		check_calm();
	}
	check_equal(usage(&g).extra_lines, 40);
	pass_by(&g, 80, 31, NULL); /* the pool is at the line, nobody had to go */
	check_calm();
	check_equal(usage(&g).reservations_kept, 81);
	check_equal(usage(&g).youngest_forgotten_age_ms, -1);
	pass_by(&g, 81, 4, NULL);
	check_calm();
	for (int i = 0; i < 80; i++)
		check_equal(known(&g, i), i != 1 && i != 3 && i != 5);
	check(known(&g, 80) && known(&g, 81));
	check_equal(usage(&g).reservations_kept, 79);
	check_equal(usage(&g).extra_lines, 70);
	for (int i = 82; i < 84; i++) { /* into the slots of the two that went beside the one whose slot was taken */
		pass_by(&g, i, 1, NULL);
		check_calm();
	}
	check_equal(usage(&g).reservations_kept, 81);
	rig_fini(&g);
}

static void
open_carts_alone_fill_a_pool(void)
{
	struct rig g;
	int carts = 0;
	rig_init(&g, SLOTS, 80, 16);
	check_calm();
	for (int i = 0; i < 40; i++) {
		pass_by(&g, 1000 + i, 2, NULL);
		check_calm();
	}
	while (reserve(&g, carts, 8, NULL) == STATUS_OK)
		carts++;
	check_equal(g.result.status, STATUS_CAPACITY);
	check(strcmp(g.result.which, "extra_lines") == 0);
	check_equal(carts, 10);
	check_equal(usage(&g).reservations_kept, 10);
	check_equal(settle(&g, COMMAND_RELEASE, 3, NULL), STATUS_OK);
	check_equal(reserve(&g, 99, 8, NULL), STATUS_OK);
	rig_fini(&g);
}

/* New carts with an owner, until one is refused. How many. */
static int
texts_fill(struct rig *g)
{
	int carts = 0;
	while (reserve(g, carts, 1, LONG_OWNER) == STATUS_OK)
		carts++;
	return carts;
}

/* Commits them with a ref that needs another block, until one is refused. How many. */
static int
texts_pay(struct rig *g, int carts)
{
	int paid = 0;
	while (paid < carts && settle(g, COMMAND_COMMIT, paid, "payment 4711") == STATUS_OK)
		paid++;
	return paid;
}

static void
a_paid_cart_is_committed_with_its_ref_when_new_carts_have_filled_the_texts(void)
{
	struct rig g;
	rig_init(&g, SLOTS, 16, 64);
	check_calm();
	int carts = texts_fill(&g);
	check_equal(g.result.status, STATUS_CAPACITY);
	check(strcmp(g.result.which, "blobs") == 0);
	check(carts > 0 && usage(&g).blobs <= 56);
	check(texts_pay(&g, carts) >= 8);
	rig_fini(&g);
}

static void
a_commit_with_a_ref_makes_finished_carts_give_their_texts(void)
{
	struct rig g;
	rig_init(&g, SLOTS, 16, 64);
	check_calm();
	for (int i = 0; i < 300; i++) {
		char ref[NAME_BYTES_MAX + 1];
		snprintf(ref, sizeof ref, "the payment of a cart that was filled with care, number %05d", i);
		check_equal(reserve(&g, i, 1, "a shopper"), STATUS_OK);
		check_equal(settle(&g, COMMAND_COMMIT, i, ref), STATUS_OK);
		check_equal(settle(&g, COMMAND_FULFIL, i, "gone"), STATUS_OK);
		check(usage(&g).blobs <= 58);
	}
	check(usage(&g).reservations_kept >= 20);
	rig_fini(&g);
}

static void
what_was_taken_beyond_the_line_is_free_again_when_carts_have_finished(void)
{
	struct rig g;
	rig_init(&g, SLOTS, 16, 64);
	check_calm();
	int carts = texts_fill(&g);
	texts_pay(&g, carts);
	check(usage(&g).blobs >= 63);
	for (int i = 0; i < carts; i++)
		check_equal(settle(&g, COMMAND_RELEASE, i, NULL), STATUS_OK);
	for (int i = 0; i < 10; i++) {
		pass_by(&g, 1000 + i, 1, "another one");
		check_calm();
	}
	check(usage(&g).blobs <= 56);
	rig_fini(&g);
}

static void
the_id_of_a_count_finds_room_among_finished_carts(void)
{
	struct rig g;
	rig_init(&g, SLOTS, 16, 16);
	check_calm();
	for (int i = 0; i < 40; i++) {
		pass_by(&g, i, 1, "a shopper");
		check_calm();
	}
	for (int i = 0; i < 4; i++) {
		const struct bytes there = { (const uint8_t *)"abcd" + i, 1 };
		struct event_command event = { .source = { (const uint8_t *)"till", 4 }, .kind = EVENT_COUNT, .sku = sku, .location = there, .qty = 5,
			.at = -1, .as_of = -1, .id = { (const uint8_t *)"a count by hand whose id is longer than one block of the texts takes", 64 } };
		event.id.n -= (uint32_t)i;
		engine_execute(g.engine, &(struct command){ .kind = COMMAND_EVENT, .event = event }, &g.result);
		check_equal(g.result.outcome, i < 3 ? OUTCOME_RECONCILED : OUTCOME_REJECTED);
	}
	check(strcmp(g.result.which, "locations") == 0);
	check(usage(&g).blobs <= 16);
	rig_fini(&g);
}

static const struct check tests[] = {
	CHECK(finished_carts_of_few_lines_give_way_to_carts_of_many),
	CHECK(only_what_gives_lines_is_forgotten_for_lines_and_the_oldest_first),
	CHECK(open_carts_alone_fill_a_pool),
	CHECK(a_paid_cart_is_committed_with_its_ref_when_new_carts_have_filled_the_texts),
	CHECK(a_commit_with_a_ref_makes_finished_carts_give_their_texts),
	CHECK(what_was_taken_beyond_the_line_is_free_again_when_carts_have_finished),
	CHECK(the_id_of_a_count_finds_room_among_finished_carts),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof tests[0], argc, argv);
}
