/*
 * Any bytes as what a connection sends: frames are cut out by the scanner and handled over one live engine that keeps what
 * earlier inputs did. The engine's own assertions are the judge, and the form of the replies: each request gets one whole
 * msgpack object with its number.
 */
#include "core/engine.h"
#include "core/view.h"
#include "net/codec_read.h"
#include "net/methods.h"
#include "net/scanner.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static struct service service = { .server = "fuzz", .node = "n", .epoch = 1 };
static struct step_buffer steps;
static struct buffer out = { .limit = (size_t)4 << 20 };
static int64_t now_ms = INT64_C(1700000000000);
static unsigned room;

static uint64_t
durable(void *host)
{
	return engine_seq(service.engine);
}

/* Every third step ends the batch. */
static bool
has_room(void *host)
{
	return ++room % 3 != 0;
}

static void
engine_make(void)
{
	static const struct engine_limits limits = { .cells_max = 1024, .skus_max = 256, .locations_max = 64, .sources_max = 16,
		.channels_max = 8, .groups_max = 8, .reservations_max = 256, .extra_lines_max = 1024, .blobs_max = 1024,
		.quarantine_max = 32, .history_max = 512, .free_ids_max = 128 };
	struct engine_options options = engine_options_default;
	size_t n = engine_memory_bytes(&limits);
	void *memory = aligned_alloc(64, (n + 63) / 64 * 64);
	steps.size = 4 * STEP_ROOM + EXPIRE_ROOM;
	steps.bytes = malloc(steps.size);
	ensure(n > 0 && memory && steps.bytes);
	memset(memory, 0, n);
	service.engine = engine_init(memory, &limits, 1);
	service.durable = durable;
	service.room = has_room;
	options.value[OPTION_HISTORY_MAX] = limits.history_max;
	options.value[OPTION_FREE_IDS_MAX] = limits.free_ids_max;
	ensure(!engine_load_done(service.engine));
	engine_begin(service.engine, now_ms, &steps);
	ensure(!engine_set_options(service.engine, &options));
}

static void
batch_begin(void)
{
	uint64_t job;
	struct result result;
	engine_begin(service.engine, now_ms, &steps);
	while (engine_next_deadline(service.engine) <= now_ms && engine_expire(service.engine, EXPIRE_SLICE))
		;
	if (engine_job_waiting(service.engine))
		engine_job_run(service.engine, &job, &result);
}

/* One whole object that answers `msgid`. */
static void
reply_check(uint32_t msgid)
{
	struct scanner s;
	struct reader r = { out.at, out.at + out.used };
	size_t end = 0;
	uint32_t parts;
	int64_t type, id;
	scanner_init(&s);
	ensure(scanner_scan(&s, out.at, out.used, SIZE_MAX, &end) == SCAN_WHOLE && end == out.used);
	ensure(reader_array(&r, &parts) && parts == 4 && reader_int(&r, &type) && type == 1 && reader_int(&r, &id) && id == msgid);
}

static enum handled
frame_handle(const uint8_t *frame, size_t n)
{
	struct handling handling = { 0 };
	enum handled handled;
	out.used = 0;
	handled = methods_handle(&service, (n & 1) == 0 ? PLACE_ENGINE : PLACE_ANY_LOOP, now_ms, frame, n, &out, &handling);
	if (handled == HANDLED_ENGINE) {
		batch_begin();
		handled = methods_handle(&service, PLACE_ENGINE, now_ms, frame, n, &out, &handling);
	}
	while (handled == HANDLED_AGAIN || handled == HANDLED_WAIT) {
		batch_begin();
		handling.waited = true;
		handled = methods_handle(&service, PLACE_ENGINE, now_ms, frame, n, &out, &handling);
	}
	ensure(handled != HANDLED_ENGINE && handling.wait_for <= engine_seq(service.engine));
	ensure((handled == HANDLED_REPLY) <= (out.used > 0));
	if (out.used > 0)
		reply_check(handling.msgid);
	return handled;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	enum handled handled = HANDLED_REPLY;
	if (!service.engine)
		engine_make();
	now_ms += 1 + n % 100;
	batch_begin();
	while (n > 0 && handled != HANDLED_CLOSE) {
		struct scanner s;
		size_t end = 0;
		scanner_init(&s);
		if (scanner_scan(&s, bytes, n, FRAME_BYTES_MAX, &end) != SCAN_WHOLE)
			break;
		handled = frame_handle(bytes, end);
		bytes += end;
		n -= end;
	}
	return 0;
}
