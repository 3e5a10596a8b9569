/*
 * test_changes.c: from batches to changes to windows: what the change feed is made of, without a server. The batches are an engine's own.
 */
#include "tests/check.h"
#include "tests/wire_text.h"

#include "core/engine.h"
#include "net/feed_window.h"
#include "persist/changes.h"

#define NOW INT64_C(1700000000000)

static void *memory;
static struct engine *engine;
static struct step_buffer steps;
static uint64_t event_n;
static struct window window;
static struct change step[CHANGES_STEP_MAX];

static void
begin(void)
{
	static const struct engine_limits limits = { .cells_max = 20000, .skus_max = 20000, .locations_max = 16, .sources_max = 16,
		.channels_max = 8, .groups_max = 4, .reservations_max = 64, .extra_lines_max = 8192, .blobs_max = 64, .quarantine_max = 4,
		.history_max = 65536, .free_ids_max = 64 };
	size_t n = engine_memory_bytes(&limits);
	free(memory);
	memory = aligned_alloc(64, (n + 63) / 64 * 64);
	steps.size = 64 * STEP_ROOM;
	steps.bytes = steps.bytes ? steps.bytes : malloc(steps.size);
	ensure(n > 0 && memory && steps.bytes);
	memset(memory, 0, n);
	engine = engine_init(memory, &limits, 1);
	ensure(!engine_load_done(engine));
	engine_begin(engine, NOW, &steps);
	struct engine_options options = engine_options_default;
	options.value[OPTION_HISTORY_MAX] = limits.history_max;
	options.value[OPTION_FREE_IDS_MAX] = limits.free_ids_max;
	ensure(!engine_set_options(engine, &options));
	event_n = 0;
	steps.used = steps.steps = 0;
}

static struct bytes
text(const char *s)
{
	return (struct bytes){ (const uint8_t *)s, (uint32_t)strlen(s) };
}

static void
event(enum event_kind kind, const char *sku, const char *location, int64_t qty)
{
	struct command c = { .kind = COMMAND_EVENT };
	struct result r;
	c.event = (struct event_command){ .source = text("wms"), .n = ++event_n, .kind = kind, .sku = text(sku), .location = text(location),
		.qty = qty, .at = NOW };
	engine_execute(engine, &c, &r);
	ensure(r.status == STATUS_OK);
}

/* What was decided since the last call, as the log would give it. */
static struct log_batch
batch(void)
{
	static uint8_t kept[1 << 24];
	struct log_batch b = { .first_seq = steps.first_seq, .steps = steps.steps, .payload = kept, .payload_n = steps.used };
	ensure(steps.used <= sizeof kept);
	memcpy(kept, steps.bytes, steps.used);
	engine_begin(engine, NOW, &steps);
	return b;
}

static void
fill(const struct log_batch *b)
{
	struct change_walk walk;
	struct why why;
	uint32_t n;
	change_walk_begin(&walk, b);
	for (uint64_t seq = walk.seq; change_walk_step(&walk, step, &n, &why) == 1; seq = walk.seq)
		ensure(window_add(&window, seq, step, n));
	window_sort(&window);
}

static const char *
shown(enum window_form form)
{
	static struct buffer out;
	out.used = 0;
	buffer_append(&out, "\xdd\0\0\0", 4);
	buffer_append(&out, &(uint8_t){ (uint8_t)window.n }, 1);
	for (uint32_t i = 0; i < window.n; i++)
		window_put(&window, i, form, engine, &out);
	return wire_to_text(out.at, out.used);
}

static void
each_cell_of_a_step_is_a_change_at_the_steps_position(void)
{
	struct change_walk walk;
	struct why why;
	uint32_t n;
	begin();
	uint64_t before = engine_seq(engine);
	event(EVENT_RECEIPT, "a", "l1", 5);
	event(EVENT_RECEIPT, "b", "l2", 7);
	struct command c = { .kind = COMMAND_RESERVE };
	struct asked_line lines[] = { { text("a"), text("l1"), 2 }, { text("b"), text("l2"), 3 } };
	struct result r;
	c.reserve = (struct reserve_command){ .id = text("r1"), .lines = lines, .lines_n = 2, .ttl_ms = 60000 };
	engine_execute(engine, &c, &r);
	check_equal(r.status, STATUS_OK);
	struct log_batch b = batch();
	change_walk_begin(&walk, &b);
	check_equal(change_walk_step(&walk, step, &n, &why), 1);
	check(n == 1 && step[0].seq == before + 1 && step[0].was == 0 && step[0].ats == 5 && step[0].on_hand == 5);
	check_equal(change_walk_step(&walk, step, &n, &why), 1);
	check(n == 1 && step[0].seq == before + 2 && step[0].ats == 7);
	check_equal(change_walk_step(&walk, step, &n, &why), 1);
	check(n == 2 && step[0].seq == before + 3 && step[1].seq == before + 3);
	check(step[0].was == 5 && step[0].ats == 3 && step[0].on_hand == 5 && step[1].was == 7 && step[1].ats == 4);
	check_equal(change_walk_step(&walk, step, &n, &why), 0);
	check_equal(walk.seq, engine_seq(engine) + 1);
}

static void
bytes_that_are_no_step_are_told(void)
{
	struct change_walk walk;
	struct why why;
	uint32_t n;
	begin();
	event(EVENT_RECEIPT, "a", "l1", 5);
	struct log_batch b = batch();
	b.payload_n--;
	change_walk_begin(&walk, &b);
	check_equal(change_walk_step(&walk, step, &n, &why), -1);
	check(strstr(why.text, "cannot be read"));
}

static void
changes_of_a_cell_are_merged_from_its_first_was_to_its_last_value(void)
{
	begin();
	window_clear(&window, engine_seq(engine));
	event(EVENT_RECEIPT, "a", "l1", 5);
	event(EVENT_RECEIPT, "b", "l1", 1);
	event(EVENT_SALE, "a", "l1", 2);
	struct log_batch b = batch();
	fill(&b);
	check_equal(window.n, 2);
	check_equal(window.seq, engine_seq(engine));
	char pattern[160];
	unsigned long long last = engine_seq(engine);
	snprintf(pattern, sizeof pattern, "[[%llu, \"b\", \"l1\", 1, 0], [%llu, \"a\", \"l1\", 3, 0]]", last - 1, last);
	check(wire_like(shown(WINDOW_PLAIN), pattern));
	snprintf(pattern, sizeof pattern, "[[%llu, \"b\", \"l1\", 1, 0, 1, \"back\"], [%llu, \"a\", \"l1\", 3, 0, 3, \"back\"]]", last - 1, last);
	check(wire_like(shown(WINDOW_FULL), pattern));
}

/* W2 */
static void
an_ats_that_moved_and_came_back_has_moved(void)
{
	begin();
	event(EVENT_RECEIPT, "a", "l1", 2);
	event(EVENT_RECEIPT, "b", "l1", 2);
	batch();
	window_clear(&window, engine_seq(engine));
	event(EVENT_SALE, "a", "l1", 2);
	event(EVENT_RECEIPT, "a", "l1", 2);
	event(EVENT_SALE, "b", "l1", 1);
	struct log_batch b = batch();
	fill(&b);
	check_equal(window.n, 2);
	check(window.at[0].change.was == 2 && window.at[0].change.ats == 2 && window.at[0].moved && window.at[0].crossed);
	check(window.at[1].moved && !window.at[1].crossed);
	check(wire_like(shown(WINDOW_FULL), "[[*, \"a\", \"l1\", 2, 2, 2, nil], [*, \"b\", \"l1\", 1, 2, 1, nil]]"));
}

static void
a_window_ends_before_the_step_that_would_make_it_too_long(void)
{
	static struct change many[CHANGES_STEP_MAX];
	for (uint32_t i = 0; i < CHANGES_STEP_MAX; i++)
		many[i] = (struct change){ .cell = i, .ats = 1 };
	window_clear(&window, 10);
	check(window_add(&window, 11, many, WINDOW_CELLS_MAX));
	check(!window_add(&window, 12, many + WINDOW_CELLS_MAX, 1));
	check_equal(window.seq, 11);
	check(window_add(&window, 12, many, 0)); /* a step without cells takes no room */
	check_equal(window.seq, 12);
	window_clear(&window, 11);
	check(window_add(&window, 12, many, CHANGES_STEP_MAX)); /* one alone must pass */
	check_equal(window.n, CHANGES_STEP_MAX);
	window_clear(&window, 0);
	for (uint64_t i = 1; i <= WINDOW_STEPS_MAX; i++)
		check(window_add(&window, i, many, 1));
	check_equal(window.n, 1);
	check(!window_add(&window, WINDOW_STEPS_MAX + 1, many, 1)); /* merged or not, nobody waits for ever */
}

int
main(int argc, char **argv)
{
	static const struct check tests[] = {
		CHECK(each_cell_of_a_step_is_a_change_at_the_steps_position),
		CHECK(bytes_that_are_no_step_are_told),
		CHECK(changes_of_a_cell_are_merged_from_its_first_was_to_its_last_value),
		CHECK(an_ats_that_moved_and_came_back_has_moved),
		CHECK(a_window_ends_before_the_step_that_would_make_it_too_long),
	};
	return check_run(argv[0], tests, sizeof tests / sizeof tests[0], argc, argv);
}
