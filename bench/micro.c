/*
 * micro.c: what one operation of each part costs, alone and on one thread: instructions do not depend on the machine's mood, so
 * tests/test_instructions.sh runs each row under callgrind and holds it to a bound; run by hand it prints nanoseconds.
 *
 *     holdfast-micro [ROW [N [CELLS]]]
 *
 * A row prepares its world, then runs the operation N times in micro_run(), which is what callgrind counts (--toggle-collect).
 */
#define _GNU_SOURCE
#include "core/ahead.h"
#include "core/engine.h"
#include "core/view.h"
#include "net/buffer.h"
#include "net/methods.h"
#include "net/scanner.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define BATCH_BYTES ((size_t)8 << 20)
#define NOW_MS      INT64_C(1600000000000)

struct world {
	struct engine *engine;
	struct step_buffer out;
	struct buffer reply;
	struct service service;
	uint64_t cells, random, next_id;
	int64_t now_ms;
	uint64_t wrong; /* operations that did not do what they are for */
	uint8_t frame[256];
	size_t frame_n;
	size_t frame_id_at, frame_sku_at;
};

struct row {
	const char *name, *help;
	void (*run)(struct world *, uint64_t n);
	uint64_t n; /* usual number of operations */
};

static uint64_t
random_next(struct world *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	return w->random ^= w->random << 17;
}

static void
digits_put(char *to, int n, uint64_t v)
{
	for (; n-- > 0; v /= 10)
		to[n] = (char)('0' + v % 10);
}

static struct bytes
text(const char *at, uint32_t n)
{
	return (struct bytes){ (const uint8_t *)at, n };
}

/* The host's part: a full batch is as good as durable here. */
static void
batch_ready(struct world *w)
{
	if (w->out.size - w->out.used >= 2 * STEP_ROOM)
		return;
	w->now_ms += 10;
	engine_begin(w->engine, w->now_ms, &w->out);
	while (engine_next_deadline(w->engine) <= w->now_ms && engine_expire(w->engine, EXPIRE_SLICE))
		continue;
}

static void
stock_put(struct world *w)
{
	char sku[] = "s0000000";
	for (uint64_t i = 0; i < w->cells; i++) {
		struct command c = { .kind = COMMAND_EVENT };
		struct result result;
		digits_put(sku + 1, 7, i);
		c.event = (struct event_command){ .source = text("micro", 5), .n = i + 1, .kind = EVENT_RECEIPT, .sku = text(sku, 8),
			.location = text("ST-0001", 7), .qty = 1000000, .at = -1, .as_of = -1, .raw = text("x", 1) };
		batch_ready(w);
		engine_execute(w->engine, &c, &result);
		w->wrong += result.status != STATUS_OK;
	}
}

/* ---- the rows ---- */

static void
run_reserve(struct world *w, uint64_t n)
{
	char id[] = "order-0000000000", sku[] = "s0000000";
	struct asked_line line = { .sku = text(sku, 8), .location = text("ST-0001", 7), .qty = 1 };
	for (uint64_t i = 0; i < n; i++) {
		struct command c = { .kind = COMMAND_RESERVE };
		struct result result;
		digits_put(id + 6, 10, w->next_id++);
		digits_put(sku + 1, 7, random_next(w) % w->cells);
		c.reserve = (struct reserve_command){ .id = text(id, 16), .lines = &line, .lines_n = 1, .ttl_ms = 3600000 };
		batch_ready(w);
		engine_execute(w->engine, &c, &result);
		w->wrong += result.status != STATUS_OK;
	}
}

/* The same with the commands that are in hand looked at ahead, as the server does with a client's pipeline. */
struct in_hand {
	char id[16], sku[8];
	struct ahead ahead;
};

static void
in_hand_take(struct world *w, struct in_hand *h)
{
	memcpy(h->id, "order-", 6);
	digits_put(h->id + 6, 10, w->next_id++);
	h->sku[0] = 's';
	digits_put(h->sku + 1, 7, random_next(w) % w->cells);
	ahead_begin(w->engine, &h->ahead, text(h->id, 16), text(h->sku, 8), text("ST-0001", 7));
}

static void
run_reserve_ahead(struct world *w, uint64_t n)
{
	static struct in_hand hands[AHEAD_WINDOW];
	struct asked_line line = { .location = text("ST-0001", 7), .qty = 1 };
	for (unsigned i = 0; i < AHEAD_WINDOW; i++)
		in_hand_take(w, &hands[i]);
	for (uint64_t i = 0; i < n; i++) {
		struct in_hand *h = &hands[i % AHEAD_WINDOW];
		struct command c = { .kind = COMMAND_RESERVE };
		struct result result;
		for (unsigned s = 1; s <= AHEAD_STEPS; s++)
			ahead_step(w->engine, &hands[(i + s * AHEAD_DISTANCE) % AHEAD_WINDOW].ahead);
		line.sku = text(h->sku, 8);
		c.reserve = (struct reserve_command){ .id = text(h->id, 16), .lines = &line, .lines_n = 1, .ttl_ms = 3600000 };
		batch_ready(w);
		engine_execute(w->engine, &c, &result);
		w->wrong += result.status != STATUS_OK;
		in_hand_take(w, h);
	}
}

static void
run_sale(struct world *w, uint64_t n)
{
	char sku[] = "s0000000";
	for (uint64_t i = 0; i < n; i++) {
		struct command c = { .kind = COMMAND_EVENT };
		struct result result;
		digits_put(sku + 1, 7, random_next(w) % w->cells);
		c.event = (struct event_command){ .source = text("till-1", 6), .n = ++w->next_id, .kind = EVENT_SALE, .sku = text(sku, 8),
			.location = text("ST-0001", 7), .qty = 1, .at = w->now_ms, .as_of = -1, .raw = text("x", 1) };
		batch_ready(w);
		engine_execute(w->engine, &c, &result);
		w->wrong += result.status != STATUS_OK;
	}
}

static void
run_view_ats(struct world *w, uint64_t n)
{
	char sku[] = "s0000000";
	for (uint64_t i = 0; i < n; i++) {
		int64_t ats;
		uint64_t seq;
		digits_put(sku + 1, 7, random_next(w) % w->cells);
		w->wrong += view_ats(w->engine, text(sku, 8), text("ST-0001", 7), &ats, &seq) != VIEW_OK;
	}
}

static void
frame_make(struct world *w)
{
	static const char frame[] = "\x94\x00\xce\x00\x00\x00\x01\xa7reserve\x93\xb0order-0000000000\x91\x93\xa8s0000000\xa7ST-0001\x01"
	    "\x81\xa6ttl_ms\xce\x00\x36\xee\x80";
	w->frame_n = sizeof frame - 1;
	memcpy(w->frame, frame, w->frame_n);
	w->frame_id_at = (size_t)((uint8_t *)memmem(w->frame, w->frame_n, "order-", 6) - w->frame) + 6;
	w->frame_sku_at = (size_t)((uint8_t *)memmem(w->frame, w->frame_n, "s0000000", 8) - w->frame) + 1;
}

static void
run_scan(struct world *w, uint64_t n)
{
	struct scanner scanner;
	size_t end;
	frame_make(w);
	for (uint64_t i = 0; i < n; i++) {
		scanner_init(&scanner);
		w->wrong += scanner_scan(&scanner, w->frame, w->frame_n, FRAME_BYTES_MAX, &end) != SCAN_WHOLE;
	}
}

/* The whole way of a frame but sockets and disk: decode, decide, evolve, encode the reply. */
static void
run_frame(struct world *w, uint64_t n)
{
	frame_make(w);
	for (uint64_t i = 0; i < n; i++) {
		struct handling handling = { 0 };
		digits_put((char *)w->frame + w->frame_id_at, 10, w->next_id++);
		digits_put((char *)w->frame + w->frame_sku_at, 7, random_next(w) % w->cells);
		batch_ready(w);
		w->reply.used = 0;
		w->wrong += methods_handle(&w->service, PLACE_ENGINE, w->now_ms, w->frame, w->frame_n, &w->reply, &handling) != HANDLED_REPLY ||
		    handling.refused;
	}
}

/* A read of 100 cells, from bytes to reply. One operation is one cell. */
static void
run_ats_many(struct world *w, uint64_t n)
{
	static uint8_t frame[4096] = "\x94\x00\x01\xa3" "ats\x91\xdc\x00\x64";
	size_t head = 11, used = head;
	for (unsigned i = 0; i < 100; i++, used += 18)
		memcpy(frame + used, "\x92\xa8s0000000\xa7ST-0001", 18);
	for (uint64_t i = 0; i < n; i += 100) {
		struct handling handling = { 0 };
		for (unsigned k = 0; k < 100; k++)
			digits_put((char *)frame + head + k * 18 + 3, 7, random_next(w) % w->cells);
		w->reply.used = 0;
		w->wrong += methods_handle(&w->service, PLACE_ENGINE, w->now_ms, frame, used, &w->reply, &handling) != HANDLED_REPLY || handling.refused;
	}
}

static const struct row rows[] = {
	{ "reserve", "decide and evolve a reservation of one line", run_reserve, 1000000 },
	{ "reserve_ahead", "the same, looked at ahead", run_reserve_ahead, 1000000 },
	{ "sale", "decide and evolve a sale", run_sale, 1000000 },
	{ "ats", "read one cell's ATS by names", run_view_ats, 3000000 },
	{ "ats_many", "one cell of a read of 100, from bytes to reply", run_ats_many, 3000000 },
	{ "scan", "find the end of a reserve request", run_scan, 3000000 },
	{ "frame", "a reserve request from bytes to reply", run_frame, 1000000 },
};
#define ROWS (sizeof rows / sizeof *rows)

/* ---- the run ---- */

void micro_run(const struct row *, struct world *, uint64_t n);

void __attribute__((noinline))
micro_run(const struct row *row, struct world *w, uint64_t n)
{
	row->run(w, n);
}

static uint64_t
service_durable(void *host)
{
	return SEQ_MAX;
}

static bool
world_open(struct world *w, uint64_t cells, uint64_t n)
{
	static struct engine_limits limits = ENGINE_LIMITS_DEFAULT;
	limits.reservations_max = n + 1000 < limits.reservations_max ? (uint32_t)n + 1000 : limits.reservations_max;
	size_t bytes = engine_memory_bytes(&limits);
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	*w = (struct world){ .cells = cells, .random = 88172645463325252u, .now_ms = NOW_MS, .out = { .bytes = malloc(BATCH_BYTES), .size = BATCH_BYTES },
		.reply = { .limit = 1 << 20 } };
	if (memory == MAP_FAILED || !w->out.bytes)
		return false;
	madvise(memory, bytes, MADV_HUGEPAGE);
	w->engine = engine_init(memory, &limits);
	w->service = (struct service){ .engine = w->engine, .server = "micro", .node = "micro", .durable = service_durable };
	struct engine_options options = engine_options_default;
	options.value[OPTION_HISTORY_MAX] = limits.history_max;
	options.value[OPTION_FREE_IDS_MAX] = limits.free_ids_max;
	engine_begin(w->engine, w->now_ms, &w->out);
	engine_set_options(w->engine, &options);
	stock_put(w);
	return true;
}

static double
now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int
row_measure(const struct row *row, uint64_t n, uint64_t cells)
{
	struct world w;
	if (!world_open(&w, cells, n)) {
		fputs("holdfast-micro: no memory for the tables\n", stderr);
		return 1;
	}
	double begin = now_s();
	micro_run(row, &w, n);
	double took = now_s() - begin;
	printf("%-10s %9.1f ns  %8.2f M/s   %s\n", row->name, took / (double)n * 1e9, (double)n / took / 1e6, row->help);
	if (w.wrong)
		fprintf(stderr, "holdfast-micro: %s: %llu operations did not do their work\n", row->name, (unsigned long long)w.wrong);
	return w.wrong ? 1 : 0;
}

int
main(int argc, char **argv)
{
	const char *only = argc > 1 ? argv[1] : NULL;
	uint64_t n = argc > 2 ? strtoull(argv[2], NULL, 10) : 0, cells = argc > 3 ? strtoull(argv[3], NULL, 10) : 1000000;
	int result = 0;
	bool found = false;
	for (size_t i = 0; i < ROWS; i++) {
		if (only && strcmp(only, rows[i].name) != 0)
			continue;
		found = true;
		result |= row_measure(&rows[i], n ? n : rows[i].n, cells);
	}
	if (!found)
		fprintf(stderr, "holdfast-micro: there is no row '%s'\n", only);
	return found ? result : 2;
}
