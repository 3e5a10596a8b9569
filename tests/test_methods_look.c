/*
 * test_methods_look.c: a request that is taken in one look, and walked ahead for, gets the same answer, byte by byte, as one that is
 * scanned first and decoded in its turn; and what is broken, or cut, is cut out and refused in the same words. Two engines are asked the
 * same streams of requests, drawn in all forms of MessagePack and then damaged.
 */
#include "core/engine.h"
#include "net/codec_write.h"
#include "net/lookahead.h"
#include "tests/check.h"

#include <sys/mman.h>

#define NOW_MS  INT64_C(1600000000000)
#define STREAMS 3000
#define STREAM_FRAMES 60

struct rig {
	struct engine *engine;
	size_t bytes;
	struct step_buffer steps;
	struct service service;
	struct buffer replies;
	struct handling handling;
	unsigned looked; /* requests */
};
static struct rig quick, plain;
static uint64_t seed;

static uint32_t
draw(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

/* ---- the two engines ---- */

static uint64_t
rig_durable(void *host)
{
	return engine_seq(((struct rig *)host)->engine);
}

static bool overloaded;

static bool
rig_overloaded(void *host)
{
	return overloaded;
}

static void
batch_begin(struct rig *rig, int64_t now_ms)
{
	engine_begin(rig->engine, now_ms, &rig->steps);
	while (engine_next_deadline(rig->engine) <= now_ms && engine_expire(rig->engine, EXPIRE_SLICE))
		continue;
}

static struct bytes
bytes_of(const char *s)
{
	return (struct bytes){ (const uint8_t *)s, (uint32_t)strlen(s) };
}

/* Of four of the six SKUs that are asked for, at two of the four places. */
static void
stock(struct engine *engine)
{
	for (unsigned i = 0; i < 8; i++) {
		char sku[8], place[8];
		struct result result;
		snprintf(sku, sizeof sku, "sku-%u", i / 2);
		snprintf(place, sizeof place, "S%u", i % 2);
		struct command c = { .kind = COMMAND_EVENT, .event = { .source = bytes_of("wms"), .n = i + 1, .kind = EVENT_RECEIPT,
			.sku = bytes_of(sku), .location = bytes_of(place), .qty = 100000, .at = -1, .as_of = -1, .raw = bytes_of("x") } };
		engine_execute(engine, &c, &result);
	}
}

static void
rig_open(struct rig *rig)
{
	static const struct engine_limits limits = { .cells_max = 1000, .skus_max = 100, .locations_max = 16, .sources_max = 4,
		.channels_max = 4, .groups_max = 2, .reservations_max = 1000, .extra_lines_max = 1000, .blobs_max = 1000, .quarantine_max = 4,
		.history_max = 1000, .free_ids_max = 100 };
	*rig = (struct rig){ .bytes = engine_memory_bytes(&limits), .replies = { .limit = 64 << 20 } };
	void *memory = mmap(NULL, rig->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ensure(memory != MAP_FAILED);
	rig->engine = engine_init(memory, &limits, 1);
	ensure(!engine_load_done(rig->engine));
	rig->steps.size = 4 * STEP_ROOM;
	rig->steps.bytes = malloc(rig->steps.size);
	rig->service = (struct service){ .engine = rig->engine, .server = "test", .node = "n", .durable = rig_durable, .host = rig,
		.overloaded = rig_overloaded };
	batch_begin(rig, NOW_MS);
	stock(rig->engine);
}

static void
rig_close(struct rig *rig)
{
	munmap(rig->engine, rig->bytes);
	free(rig->steps.bytes);
	buffer_fini(&rig->replies);
}

/* ---- requests in all forms ---- */

static struct buffer stream = { .limit = 1 << 20 };

static void
byte(uint8_t b)
{
	buffer_append(&stream, &b, 1);
}

static void
number(uint8_t form, uint64_t v, int width)
{
	uint8_t bytes[WIRE_INT_BYTES_MAX];
	buffer_append(&stream, bytes, (size_t)(wire_big_endian(bytes, form, v, width) - bytes));
}

/* Mostly the shortest form, now and then any that fits: `fix` below fix_n, or one of three from `first` on. */
static void
head(uint8_t fix, uint32_t fix_n, uint8_t first, bool has_8, uint32_t n)
{
	unsigned form = draw(8);
	if (form > 2 && n < fix_n)
		byte((uint8_t)(fix | n));
	else if (form == 2 || !has_8)
		number((uint8_t)(first + (form == 1) + has_8), n, form == 1 ? 4 : 2);
	else
		number((uint8_t)(first + 2 * (form == 1)), n, form == 1 ? 4 : 1);
}

static void
array(uint32_t n)
{
	head(0x90, 16, 0xdc, false, n);
}

static void
text(const char *s)
{
	head(0xa0, 32, 0xd9, true, (uint32_t)strlen(s));
	buffer_append(&stream, s, strlen(s));
}

static void
integer(uint64_t v)
{
	unsigned form = draw(6);
	if (v <= 0x7f && form > 1)
		byte((uint8_t)v);
	else if (v <= 0xffff && form == 2)
		number(0xcd, v, 2);
	else if (v <= INT32_MAX && form > 2)
		number(form == 3 ? 0xd2 : 0xce, v, 4);
	else
		number(form ? 0xcf : 0xd3, v, 8);
}

static void
name(const char *stem, unsigned many)
{
	static const char *const longer[] = { "", "-of-a-name", "-of-a-name-that-is-rather-long", "-\xc3\xa9", "\x01", "\xff" };
	char s[80];
	unsigned which = draw(40);
	snprintf(s, sizeof s, "%s%u%s", stem, draw(many), which < 6 ? longer[which] : "");
	text(s);
}

/* The odd one is none, or of another type. */
static void
line(bool qty)
{
	unsigned odd = draw(60);
	array(odd == 0 ? 2u + !qty : 2u + qty);
	name("sku-", 6);
	if (odd == 1)
		integer(7);
	else
		name("S", 4);
	if (qty && odd != 0)
		integer(odd == 2 ? 0 : 1 + draw(5));
}

static void
lines(bool qty)
{
	uint32_t n = draw(20) ? 1 + draw(3) : draw(8);
	array(n);
	for (; n > 0; n--)
		line(qty);
}

/* Options that are known, are of a later version, are of nobody; the values of the last are nested more or less deep. */
static void
options(void)
{
	uint32_t n = draw(3);
	head(0x80, 16, 0xde, false, n);
	for (; n > 0; n--)
		switch (draw(9)) {
		case 0: case 1: text("ttl_ms"), integer(2000 + draw(2)); break;
		case 2: text("owner"), text("somebody"); break;
		case 3: text("mode"), text(draw(3) ? "partial" : "wholly"); break;
		case 4: text("ref"), draw(2) ? text("r-1") : byte(0xc0); break;
		case 5: text("wait_ms"), integer(5); break;
		case 6: text("min_seq"), integer(draw(3)); break;
		case 7: text("lines"), lines(true); break;
		default:
			text("whatever");
			for (unsigned deep = draw(draw(8) ? 8 : 16); deep > 0; deep--)
				byte(0x91);
			byte(0xc0);
		}
}

static void
request(void)
{
	static const char *const methods[] = { "reserve", "reserve", "ats", "ats", "stock", "commit", "release", "fulfil", "extend", "pin", "move",
		"digest", "post", "position", "status", "nothing" };
	unsigned which = draw(sizeof methods / sizeof *methods), more = draw(2);
	array(draw(500) ? 4 : 3);
	integer(draw(500) ? 0 : draw(3));
	integer(draw(1000));
	text(methods[which]);
	switch (which) {
	case 0: case 1: array(2 + more), name("order-", 500), lines(true); break;
	case 2: case 3: case 4: array(1 + more), lines(false); break;
	case 5: case 6: case 7: array(1 + more), name("order-", 500); break;
	case 8: case 9: array(2), name("order-", 500), integer(1000 + draw(9)), more = 0; break;
	case 10: array(3), name("order-", 500), integer(draw(3)), name("S", 4), more = 0; break;
	case 12: array(1), array(1), head(0x80, 16, 0xde, false, 0), more = 0; break;
	default: array(more);
	}
	if (more)
		draw(8) ? options() : byte(0xc0);
}

/* Some requests; of every other stream a few bytes are other ones, and the end may be missing. */
static void
stream_draw(void)
{
	stream.used = 0;
	for (uint32_t n = 1 + draw(STREAM_FRAMES); n > 0; n--)
		request();
	if (draw(2))
		return;
	for (uint32_t n = draw(4); n > 0; n--)
		stream.at[draw((uint32_t)stream.used)] = (uint8_t)draw(256);
	if (draw(2))
		stream.used -= draw((uint32_t)stream.used);
}

/* ---- both ways ---- */

/* One request answered to the end. False: its connection would be closed. */
static bool
handle(struct rig *rig, const uint8_t *frame, size_t n, const struct request *asked, int64_t now_ms)
{
	struct handling *h = &rig->handling;
	uint64_t job;
	struct result result;
	*h = (struct handling){ 0 };
	if (rig->steps.size - rig->steps.used < STEP_ROOM + EXPIRE_ROOM)
		batch_begin(rig, now_ms);
	rig->looked += asked != NULL;
	enum handled handled = asked ? methods_execute(&rig->service, PLACE_ENGINE, now_ms, asked, &rig->replies, h)
	                             : methods_handle(&rig->service, PLACE_ENGINE, now_ms, frame, n, &rig->replies, h);
	if (handled == HANDLED_WAIT) {
		h->waited = true;
		handled = methods_handle(&rig->service, PLACE_ENGINE, now_ms, frame, n, &rig->replies, h);
	} else if (handled == HANDLED_LATER) {
		while (!engine_job_run(rig->engine, &job, &result))
			continue;
		methods_finish(&rig->service, h->msgid, h->method, &result, &rig->replies);
	}
	put_uint(&rig->replies, handled); /* so that it is compared, too */
	return handled != HANDLED_CLOSE;
}

static enum scan
handle_plain(int64_t now_ms)
{
	struct scanner scanner;
	size_t at = 0, n;
	enum scan scan;
	scanner_init(&scanner);
	while (at < stream.used && (scan = scanner_scan(&scanner, stream.at + at, stream.used - at, FRAME_BYTES_MAX, &n)) == SCAN_WHOLE) {
		scanner_init(&scanner);
		if (!handle(&plain, stream.at + at, n, NULL, now_ms))
			return SCAN_WHOLE;
		at += n;
	}
	return at < stream.used ? scan : SCAN_MORE;
}

static enum scan
handle_quick(int64_t now_ms)
{
	struct lookahead ahead;
	struct scanner scanner;
	const struct request *asked;
	size_t at = 0, end;
	enum scan scan;
	scanner_init(&scanner);
	lookahead_begin(&ahead, quick.engine, PLACE_ENGINE, &scanner, stream.at, stream.used);
	for (; (scan = lookahead_next(&ahead, &end, &asked)) == SCAN_WHOLE; at = end)
		if (!handle(&quick, stream.at + at, end - at, asked, now_ms))
			break;
	return scan;
}

static bool
handlings_agree(const struct handling *a, const struct handling *b)
{
	return a->wait_for == b->wait_for && a->job == b->job && a->msgid == b->msgid && a->reply_at == b->reply_at && a->method == b->method &&
	    a->refused == b->refused && a->costly == b->costly && a->good_until_ms == b->good_until_ms;
}

static void
one_look_and_two_answer_alike(void)
{
	uint64_t a[2], b[2];
	seed = check_seed(7);
	rig_open(&quick);
	rig_open(&plain);
	for (unsigned i = 0; i < STREAMS; i++) {
		int64_t now_ms = NOW_MS + i * 40;
		overloaded = draw(20) == 0;
		batch_begin(&quick, now_ms);
		batch_begin(&plain, now_ms);
		quick.replies.used = plain.replies.used = 0;
		stream_draw();
		check_equal(handle_quick(now_ms), handle_plain(now_ms));
		check(handlings_agree(&quick.handling, &plain.handling));
		check(quick.replies.used == plain.replies.used && memcmp(quick.replies.at, plain.replies.at, plain.replies.used) == 0);
	}
	engine_digest_state(quick.engine, a);
	engine_digest_state(plain.engine, b);
	check(a[0] == b[0] && a[1] == b[1] && engine_seq(quick.engine) == engine_seq(plain.engine));
	check(engine_seq(quick.engine) > 1000 && quick.looked > 10 * STREAMS);
	rig_close(&quick);
	rig_close(&plain);
}

/* No beginning of a request is taken for one, and what stands behind it does not matter. */
static void
a_look_takes_a_whole_request_or_nothing(void)
{
	seed = check_seed(8);
	struct request asked;
	unsigned whole = 0;
	for (unsigned i = 0; i < STREAMS; i++) {
		stream.used = 0;
		request();
		size_t n = stream.used, looked = methods_look(PLACE_ENGINE, stream.at, n, &asked);
		check(looked == 0 || looked == n);
		whole += looked == n;
		byte((uint8_t)draw(256));
		check_equal(methods_look(PLACE_ENGINE, stream.at, stream.used, &asked), looked);
		for (size_t cut = 0; looked && cut < n; cut++)
			check_equal(methods_look(PLACE_ENGINE, stream.at, cut, &asked), 0);
	}
	check(whole > STREAMS / 4);
}

/* A command is decoded where it is executed: another loop hands its frame over. */
static void
another_loop_takes_only_reads(void)
{
	struct request asked;
	unsigned taken = 0, reads = 0;
	seed = check_seed(9);
	for (unsigned i = 0; i < STREAMS; i++) {
		stream.used = 0;
		request();
		size_t here = methods_look(PLACE_ENGINE, stream.at, stream.used, &asked), there = methods_look(PLACE_ANY_LOOP, stream.at, stream.used, &asked);
		check(there == 0 || there == here);
		taken += here > 0;
		reads += there > 0;
	}
	check(reads > 0 && reads < taken);
}

int
main(int argc, char **argv)
{
	static const struct check tests[] = {
		CHECK(one_look_and_two_answer_alike),
		CHECK(a_look_takes_a_whole_request_or_nothing),
		CHECK(another_loop_takes_only_reads),
	};
	int result = check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv);
	buffer_fini(&stream);
	return result;
}
