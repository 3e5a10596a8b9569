/*
 * test_lookahead.c: looking ahead finds the same frames as looking at one after the other, and changes nothing in the engine.
 */
#include "core/ahead.h"
#include "core/engine.h"
#include "net/lookahead.h"
#include "tests/check.h"
#include "tests/wire_text.h"

#include <sys/mman.h>

#define NOW_MS  INT64_C(1600000000000)
#define STREAMS 2000

static struct engine *engine;
static size_t engine_bytes;
static struct step_buffer out;
static uint64_t seed;

static uint32_t
draw(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

static struct bytes
text(const char *s)
{
	return (struct bytes){ (const uint8_t *)s, (uint32_t)strlen(s) };
}

static void
rig_open(void)
{
	struct engine_limits limits = { .cells_max = 1000, .skus_max = 1000, .locations_max = 16, .sources_max = 4, .channels_max = 4,
		.groups_max = 2, .reservations_max = 1000, .extra_lines_max = 1000, .blobs_max = 1000, .quarantine_max = 4, .history_max = 1000,
		.free_ids_max = 1000 };
	engine_bytes = engine_memory_bytes(&limits);
	void *memory = mmap(NULL, engine_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		abort();
	engine = engine_init(memory, &limits, 1);
	out.size = 4 * STEP_ROOM;
	out.bytes = malloc(out.size);
	engine_begin(engine, NOW_MS, &out);
}

static void
rig_close(void)
{
	munmap(engine, engine_bytes);
	free(out.bytes);
}

static void
stock(const char *sku, const char *location)
{
	static uint64_t n;
	struct command c = { .kind = COMMAND_EVENT, .event = { .source = text("wms"), .n = ++n, .kind = EVENT_RECEIPT, .sku = text(sku),
		.location = text(location), .qty = 9, .at = -1, .as_of = -1, .raw = text("x") } };
	struct result result;
	engine_execute(engine, &c, &result);
}

static void
hold(const char *id, const char *sku, const char *location)
{
	struct asked_line line = { text(sku), text(location), 1 };
	struct command c = { .kind = COMMAND_RESERVE, .reserve = { .id = text(id), .lines = &line, .lines_n = 1, .ttl_ms = -1 } };
	struct result result;
	engine_execute(engine, &c, &result);
}

/* ---- frames ---- */

static const char *const requests[] = {
	"[0, 1, 'reserve', ['order-1', [['A', 'S1', 1]], {'ttl_ms': 60000}]]",
	"[0, 2, 'ats', [[['A', 'S1'], ['B', 'S1']]]]",
	"[0, 3, 'commit', ['order-0']]",
	"[0, 4, 'post', [[{'source': 'wms', 'n': 4}]]]",
	"[0, 5, 'status', []]",
	"[2, 'whatever', [1]]",
	"[0, 6, 'reserve', ['order-7', [], {}]]",
	"[0, 7, 'reserve', [7, [[1, 2]]]]",
	"{'no': 'request'}",
	"17",
	"[0, 8, 'reserve', ['nobody', [['nowhere', 'S9', 1]]]]",
};
#define REQUESTS (sizeof requests / sizeof *requests)

/* Frames, and now and then the beginning of one, or bytes that are none, behind them. */
static void
stream_draw(struct buffer *b)
{
	for (uint32_t n = draw(3 * AHEAD_BLOCK); n > 0; n--)
		wire_from_text(b, requests[draw(REQUESTS)]);
	size_t whole = b->used;
	switch (draw(3)) {
	case 0:
		wire_from_text(b, requests[0]);
		b->used = whole + 1 + draw((uint32_t)(b->used - whole - 1));
		break;
	case 1:
		buffer_append(b, "\xc1", 1);
		break;
	}
}

static void
a_read_is_cut_into_the_same_frames_as_one_by_one(void)
{
	rig_open();
	stock("A", "S1");
	seed = check_seed(1);
	for (unsigned stream = 0; stream < STREAMS; stream++) {
		struct buffer b = { .limit = 1 << 20 };
		struct scanner one, many;
		struct lookahead l;
		const struct request *request;
		size_t at = 0, n, end = 0;
		stream_draw(&b);
		scanner_init(&one);
		scanner_init(&many);
		lookahead_begin(&l, engine, PLACE_ENGINE, &many, b.at, b.used);
		for (;;) {
			enum scan wanted = at < b.used ? scanner_scan(&one, b.at + at, b.used - at, FRAME_BYTES_MAX, &n) : SCAN_MORE;
			check_equal(lookahead_next(&l, &end, &request), wanted);
			if (wanted != SCAN_WHOLE)
				break;
			scanner_init(&one);
			at += n;
			check_equal(end, at);
		}
		check_equal(many.at, one.at); /* a frame that is not whole is remembered as far as it was seen */
		buffer_fini(&b);
	}
	rig_close();
}

static void
looking_ahead_changes_nothing(void)
{
	uint64_t before[2], after[2];
	rig_open();
	stock("A", "S1");
	stock("B", "S1");
	hold("order-0", "A", "S1");
	hold("order-1", "A", "S1");
	hold("order-2", "A", "S1");
	engine_digest_state(engine, before);
	static const char *const ids[] = { "", "order-0", "order-1", "order-2", "nobody" };
	static const char *const skus[] = { "", "A", "B", "nothing" }, *const places[] = { "S1", "nowhere" };
	struct ahead walks[5 * 4 * 2];
	for (unsigned i = 0; i < 5 * 4 * 2; i++)
		ahead_begin(engine, &walks[i], text(ids[i % 5]), text(skus[i / 5 % 4]), text(places[i / 20]));
	ahead_walk(engine, walks, 5 * 4 * 2);
	engine_digest_state(engine, after);
	check(before[0] == after[0] && before[1] == after[1]);
	check_equal(engine_seq(engine), 5);
	rig_close();
}

/* Else a turn that ends after a few long frames would leave twenty of them to be scanned again by the next one. */
static void
of_long_frames_few_are_looked_at_ahead(void)
{
	struct buffer b = { .limit = 1 << 20 };
	struct lookahead l;
	struct scanner scanner;
	const struct request *request;
	size_t end, whole = 0;
	rig_open();
	for (unsigned i = 0; i < AHEAD_BLOCK; i++) {
		static const uint8_t head[] = { 0x94, 0x00, 0x01, 0xa4, 'p', 'o', 's', 't', 0x91, 0xc5, 0x0f, 0xf0 };
		static const uint8_t body[0x0ff0];
		buffer_append(&b, head, sizeof head);
		buffer_append(&b, body, sizeof body);
		whole = whole ? whole : b.used;
	}
	scanner_init(&scanner);
	lookahead_begin(&l, engine, PLACE_ENGINE, &scanner, b.at, b.used);
	for (unsigned i = 1; i <= AHEAD_BLOCK; i++) {
		check_equal(lookahead_next(&l, &end, &request), SCAN_WHOLE);
		check(!request);
		check_equal(end, i * whole);
		check(l.found <= end + whole);
	}
	check_equal(lookahead_next(&l, &end, &request), SCAN_MORE);
	buffer_fini(&b);
	rig_close();
}

int
main(int argc, char **argv)
{
	static const struct check tests[] = {
		CHECK(a_read_is_cut_into_the_same_frames_as_one_by_one),
		CHECK(looking_ahead_changes_nothing),
		CHECK(of_long_frames_few_are_looked_at_ahead),
	};
	return check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv);
}
