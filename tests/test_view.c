/*
 * test_view.c: what other threads may read while the engine's thread writes (P10). Relation tests: every field of a written
 * value is a function of one number, so a torn read breaks the relation. Run under the thread sanitizer too.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/ahead.h"
#include "core/cells.h"
#include "core/engine.h"
#include "core/groups.h"
#include "core/names.h"
#include "core/view.h"
#include "tests/check.h"

#define READERS 2
#define READS   150000 /* the writer goes on until so many reads were made beside it */

static _Atomic bool writing;
static _Atomic uint64_t torn, read_whole, went_back;

/* A test's readers, started together and joined when the writer is done. */
static void
readers_run(void *(*reader)(void *), void *context, void (*write)(void *))
{
	pthread_t threads[READERS];
	atomic_store(&writing, true);
	torn = read_whole = went_back = 0;
	for (int i = 0; i < READERS; i++)
		if (pthread_create(&threads[i], NULL, reader, context) != 0)
			abort();
	write(context);
	atomic_store(&writing, false);
	for (int i = 0; i < READERS; i++)
		pthread_join(threads[i], NULL);
}

/* ---- one cell ---- */

static void
cell_write(void *context)
{
	struct cell *cell = context;
	for (int64_t i = 1; atomic_load(&read_whole) < READS; i++) {
		struct cell_image image = { .on_hand = i, .unsellable = -i, .reserved = 2 * i, .committed = 3 * i, .promised = 5 * i,
			.inbound = 7 * i, .safety_stock = i & 0xffff, .oversell_limit = ~i & 0xffff, .last_event_at = 11 * i, .count_at = 13 * i };
		cell_store(cell, &image, (uint64_t)i);
	}
}

static bool
cell_related(const struct cell_image *c, uint64_t seq)
{
	int64_t i = (int64_t)seq;
	return c->on_hand == i && c->unsellable == -i && c->reserved == 2 * i && c->committed == 3 * i && c->promised == 5 * i &&
	    c->inbound == 7 * i && c->last_event_at == 11 * i && c->count_at == 13 * i &&
	    (i == 0 || (c->safety_stock == (i & 0xffff) && c->oversell_limit == (~i & 0xffff)));
}

static void *
cell_reader(void *context)
{
	uint64_t last = 0;
	while (atomic_load(&writing)) {
		struct cell_image image;
		struct cell_terms terms;
		uint64_t seq;
		cell_read_all(context, &image, &seq);
		torn += !cell_related(&image, seq);
		went_back += seq < last;
		cell_read(context, &terms);
		torn += terms.on_hand != (int64_t)terms.seq || terms.committed != 3 * (int64_t)terms.seq;
		went_back += terms.seq < seq;
		last = terms.seq;
		read_whole++;
	}
	return NULL;
}

static void
no_reader_sees_a_torn_cell(void)
{
	struct cell *cell = aligned_alloc(64, sizeof *cell);
	memset(cell, 0, sizeof *cell);
	readers_run(cell_reader, cell, cell_write);
	check_equal(torn, 0);
	check_equal(went_back, 0);
	free(cell);
}

/* ---- names ---- */

#define NAMES 400000

static struct bytes
name_of(uint32_t i, uint8_t scratch[16])
{
	return (struct bytes){ scratch, (uint32_t)snprintf((char *)scratch, 16, "name-%u", i) };
}

static void
names_write(void *context)
{
	uint8_t scratch[16];
	for (uint32_t i = 0; i < NAMES; i++) {
		names_add(context, name_of(i, scratch));
		names_cell(context, i, i, 2 * i);
		names_cell(context, i, i, 7); /* not the first */
	}
}

/* What was counted can be found, under its own number, with its own bytes; the first cell is not known yet or is its own. */
static void *
names_reader(void *context)
{
	uint8_t scratch[16];
	uint32_t seed = 1;
	while (atomic_load(&writing)) {
		uint32_t count = names_count(context);
		if (count == 0)
			continue;
		seed = seed * 1664525u + 1013904223u;
		uint32_t i = seed % 4 ? count - 1 : seed % count, cell;
		const struct name *found = names_look(context, name_of(i, scratch));
		torn += !found || found->id != i || !bytes_equal(names_get(context, i), name_of(i, scratch));
		cell = found ? name_cell(found, i) : NAME_NONE;
		torn += cell != NAME_NONE && cell != 2 * i;
		read_whole++;
	}
	return NULL;
}

static void
a_counted_name_is_found_with_its_bytes(void)
{
	struct names names = { .max = 0 };
	struct carve measure = { NULL, 0 };
	names_init(&names, &measure, NAMES, 16);
	uint8_t *memory = aligned_alloc(64, measure.used);
	memset(memory, 0, measure.used);
	names = (struct names){ .max = 0 };
	names_init(&names, &(struct carve){ memory, 0 }, NAMES, 16);
	names.index.seed = hash_seed(1);
	readers_run(names_reader, &names, names_write);
	check_equal(torn, 0);
	check_equal(names_count(&names), NAMES);
	free(memory);
}

/* ---- a whole engine: cells, a group that is redefined meanwhile, scans ---- */

struct rig {
	struct engine *engine;
	struct step_buffer out;
	uint64_t n;
};

static struct bytes
text(const char *s)
{
	return (struct bytes){ (const uint8_t *)s, (uint32_t)strlen(s) };
}

static void
rig_execute(struct rig *r, const struct command *c)
{
	struct result result;
	uint64_t job;
	engine_begin(r->engine, 1700000000000, &r->out);
	engine_execute(r->engine, c, &result);
	while (engine_job_waiting(r->engine))
		engine_job_run(r->engine, &job, &result);
}

static void
rig_event(struct rig *r, enum event_kind kind, const char *location, int64_t qty)
{
	struct command c = { .kind = COMMAND_EVENT };
	c.event = (struct event_command){ .source = text("till"), .n = ++r->n, .kind = kind, .sku = text("S"), .location = text(location),
		.qty = qty, .at = -1, .as_of = -1, .reason = text("test"), .raw = text("raw") };
	rig_execute(r, &c);
}

static void
rig_group(struct rig *r, uint32_t members_n)
{
	struct bytes members[] = { text("L1"), text("L2") };
	struct command c = { .kind = COMMAND_POLICY_GROUP };
	c.policy_group = (struct policy_group_command){ .name = text("G"), .members = members, .members_n = members_n };
	rig_execute(r, &c);
}

/* L1 always has an even on hand, L2 an odd one; the group is {L1}, {L1, L2} or nothing, so its ATS is never above 2001. */
static void
engine_write(void *context)
{
	struct rig *r = context;
	for (int i = 0; atomic_load(&read_whole) < READS; i++) {
		rig_event(r, EVENT_ADJUST, "L1", i % 2 ? -2 : 2);
		rig_event(r, EVENT_ADJUST, "L2", i % 2 ? -4 : 4);
		if (i % 8 == 0)
			rig_group(r, (uint32_t)(i / 8 % 3));
	}
}

static void
scanned(void *context, const struct cell_view *v)
{
	uint32_t *seen = context;
	++*seen;
	torn += v->ats != v->on_hand;
}

static void *
engine_reader(void *context)
{
	const struct engine *e = ((struct rig *)context)->engine;
	while (atomic_load(&writing)) {
		int64_t ats;
		uint64_t seq, cursor = 0;
		uint32_t seen = 0;
		struct cell_view v;
		if (view_ats(e, text("S"), text("L1"), NULL, &ats, &seq) == VIEW_OK)
			torn += ats % 2 != 0;
		if (view_ats(e, text("S"), text("L2"), NULL, &ats, &seq) == VIEW_OK)
			torn += ats % 2 == 0;
		if (view_ats(e, text("S"), text("G"), NULL, &ats, &seq) == VIEW_OK)
			torn += ats < 0 || ats > 2007;
		if (view_cell(e, text("S"), text("G"), &v) == VIEW_OK)
			torn += v.ats != v.on_hand;
		view_scan(e, &(struct scan_filter){ .place = { NULL, 0 } }, &cursor, 10, &(uint32_t){ SCAN_VISIT_MAX }, scanned, &seen);
		went_back += seen != 2 || view_seq(e) == 0;
		read_whole++;
	}
	return NULL;
}

static void
readers_beside_an_engine_see_whole_values(void)
{
	struct engine_limits limits = { .cells_max = 16, .skus_max = 4, .locations_max = 8, .sources_max = 2, .channels_max = 1,
		.groups_max = 2, .reservations_max = 4, .extra_lines_max = 4, .blobs_max = 4, .quarantine_max = 2, .history_max = 64,
		.free_ids_max = 4 };
	size_t size = engine_memory_bytes(&limits);
	void *memory = aligned_alloc(64, (size + 63) & ~(size_t)63);
	memset(memory, 0, size);
	struct rig r = { .engine = engine_init(memory, &limits, 1), .out = { .bytes = malloc(4 * STEP_ROOM), .size = 4 * STEP_ROOM } };
	rig_event(&r, EVENT_RECEIPT, "L1", 1000);
	rig_event(&r, EVENT_RECEIPT, "L2", 1001);
	check(engine_load_done(r.engine) == NULL); /* group numbers are derived from here on */
	readers_run(engine_reader, &r, engine_write);
	check_equal(torn, 0);
	check_equal(went_back, 0);
	free(r.out.bytes);
	free(memory);
}

/* ---- the first cell of a SKU ---- */

#define FOLDED 65536 /* a name keeps 16 bits of its first cell's place: this place and the first one look the same there */

static void
folded_receipt(struct rig *r, const char *sku, uint32_t place, int64_t qty)
{
	char location[16];
	struct command c = { .kind = COMMAND_EVENT };
	sprintf(location, "l-%u", place);
	c.event = (struct event_command){ .source = text("till"), .n = ++r->n, .kind = EVENT_RECEIPT, .sku = text(sku), .location = text(location),
		.qty = qty, .at = -1, .as_of = -1, .raw = text("raw") };
	rig_execute(r, &c);
}

/* All ways of reading S there. */
static void
folded_check(const struct engine *e, const char *place, int64_t wanted)
{
	struct asked_line line = { .sku = text("S"), .location = text(place) };
	struct ahead walk;
	struct cell_view v;
	int64_t ats;
	uint64_t seq = 0;
	check(view_ats(e, line.sku, line.location, NULL, &ats, &seq) == VIEW_OK);
	check_equal(ats, wanted);
	ahead_begin(e, &walk, (struct bytes){ NULL, 0 }, line.sku, line.location);
	ahead_walk(e, &walk, 1);
	check(view_ats(e, line.sku, line.location, &walk, &ats, &seq) == VIEW_OK);
	check_equal(ats, wanted);
	view_ats_many(e, &line, 1, &ats, &seq);
	check_equal(ats, wanted);
	check(view_cell(e, line.sku, line.location, &v) == VIEW_OK);
	check_equal(v.ats, wanted);
}

static void
the_first_cell_of_a_sku_is_not_taken_for_that_of_another_place(void)
{
	struct engine_limits limits = { .cells_max = FOLDED + 3, .skus_max = 2, .locations_max = FOLDED + 2, .sources_max = 2,
		.channels_max = 1, .groups_max = 2, .reservations_max = 4, .extra_lines_max = 4, .blobs_max = 4, .quarantine_max = 2,
		.history_max = 64, .free_ids_max = 4 };
	size_t size = engine_memory_bytes(&limits);
	void *memory = aligned_alloc(64, (size + 63) & ~(size_t)63);
	memset(memory, 0, size);
	struct rig r = { .engine = engine_init(memory, &limits, 1), .out = { .bytes = malloc(4 * STEP_ROOM), .size = 4 * STEP_ROOM } };
	check(engine_load_done(r.engine) == NULL);
	folded_receipt(&r, "S", 0, 5);
	for (uint32_t place = 1; place <= FOLDED; place++)
		folded_receipt(&r, "T", place, 1);
	folded_check(r.engine, "l-0", 5);
	folded_check(r.engine, "l-1", 0);
	folded_check(r.engine, "l-65536", 0); /* no cell yet */
	folded_receipt(&r, "S", FOLDED, 7);
	folded_receipt(&r, "S", 1, 9);
	folded_check(r.engine, "l-65536", 7);
	folded_check(r.engine, "l-1", 9);
	folded_check(r.engine, "l-0", 5);
	free(r.out.bytes);
	free(memory);
}

/* ---- scans ---- */

#define PLACES 60
#define SKUS   (3 * SCAN_VISIT_MAX / PLACES)

static void
rig_receipt(struct rig *r, uint32_t sku, uint32_t place)
{
	char name[16], location[16];
	struct command c = { .kind = COMMAND_EVENT };
	sprintf(name, "sku-%u", sku);
	sprintf(location, "l-%u", place);
	c.event = (struct event_command){ .source = text("till"), .n = ++r->n, .kind = EVENT_RECEIPT, .sku = text(name), .location = text(location),
		.qty = 1, .at = -1, .as_of = -1, .raw = text("raw") };
	rig_execute(r, &c);
}

static uint32_t seen_in[PLACES], pages;

static void
count_place(void *context, const struct cell_view *v)
{
	uint32_t place = 0;
	(void)context;
	for (uint32_t i = 2; i < v->location.n; i++)
		place = place * 10 + v->location.at[i] - '0';
	seen_in[place]++;
}

/* Two calls a page, which may look at SCAN_VISIT_MAX cells together. */
static void
scan_all(const struct engine *e, const struct scan_filter *filter)
{
	uint64_t cursor = 0;
	memset(seen_in, 0, sizeof seen_in);
	for (pages = 0; pages == 0 || cursor > 0; pages++) {
		uint32_t visits = SCAN_VISIT_MAX;
		if (view_scan(e, filter, &cursor, 100, &visits, count_place, NULL) != VIEW_OK)
			return;
		if (cursor > 0)
			view_scan(e, filter, &cursor, UINT32_MAX, &visits, count_place, NULL);
	}
}

/* Members come by priority, which is no order of numbers. */
static void
a_scan_of_a_group_shows_its_members_and_no_other_place(void)
{
	struct engine_limits limits = { .cells_max = SKUS * PLACES, .skus_max = SKUS, .locations_max = PLACES + 1, .sources_max = 2,
		.channels_max = 1, .groups_max = 2, .reservations_max = 4, .extra_lines_max = 4, .blobs_max = 4, .quarantine_max = 2,
		.history_max = 64, .free_ids_max = 4 };
	static char names[PLACES][16];
	struct bytes members[PLACES];
	struct command c = { .kind = COMMAND_POLICY_GROUP, .policy_group = { .name = text("G"), .members = members } };
	size_t size = engine_memory_bytes(&limits);
	void *memory = aligned_alloc(64, (size + 63) & ~(size_t)63);
	memset(memory, 0, size);
	struct rig r = { .engine = engine_init(memory, &limits, 1), .out = { .bytes = malloc(4 * STEP_ROOM), .size = 4 * STEP_ROOM } };
	check(engine_load_done(r.engine) == NULL);
	for (uint32_t sku = 0; sku < SKUS; sku++)
		for (uint32_t place = 0; place < PLACES; place++)
			rig_receipt(&r, sku, place);
	for (uint32_t i = 0; i < PLACES; i++) {
		uint32_t place = i * 37 % PLACES;
		if (place % 3 == 1)
			continue;
		sprintf(names[place], "l-%u", place);
		members[c.policy_group.members_n++] = text(names[place]);
	}
	rig_execute(&r, &c);
	scan_all(r.engine, &(struct scan_filter){ .place = text("G") });
	for (uint32_t place = 0; place < PLACES; place++)
		check_equal(seen_in[place], place % 3 == 1 ? 0 : SKUS);
	check_equal(pages, (SKUS * PLACES + SCAN_VISIT_MAX - 1) / SCAN_VISIT_MAX);
	free(r.out.bytes);
	free(memory);
}

static const struct check tests[] = {
	CHECK(a_scan_of_a_group_shows_its_members_and_no_other_place),
	CHECK(no_reader_sees_a_torn_cell),
	CHECK(a_counted_name_is_found_with_its_bytes),
	CHECK(readers_beside_an_engine_see_whole_values),
	CHECK(the_first_cell_of_a_sku_is_not_taken_for_that_of_another_place),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof tests[0], argc, argv);
}
