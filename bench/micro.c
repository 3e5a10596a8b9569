/*
 * micro.c: what one operation of each part costs, alone: instructions do not depend on the machine's mood, so
 * tests/test_instructions.sh runs each row under callgrind and holds it to a bound; run by hand it prints nanoseconds.
 *
 *     holdfast-micro [ROW [N [CELLS]]]
 *
 * A row prepares its world, then runs the operation N times in micro_run(), which is what callgrind counts (--toggle-collect).
 */
#define _GNU_SOURCE
#include "bench/micro.h"

#include "core/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define BATCH_BYTES ((size_t)8 << 20)
#define NOW_MS      INT64_C(1600000000000)

struct row {
	const char *name, *help;
	micro_row *run;
	uint64_t n; /* usual number of operations */
	micro_row *prepare; /* before the run; NULL: nothing */
};

static const struct row rows[] = {
	{ "reserve", "decide and evolve a reservation of one line", run_reserve, 1000000, texts_ready },
	{ "reserve_ahead", "the same, looked at ahead", run_reserve_ahead, 1000000, texts_ready },
	{ "sale", "decide and evolve a sale", run_sale, 1000000, NULL },
	{ "ats", "read one cell's ATS by names", run_ats, 3000000, NULL },
	{ "ats_written", "the same, of 64 cells that another thread writes", run_ats_written, 3000000, NULL },
	{ "index", "find one name among as many as there are cells", run_index, 3000000, NULL },
	{ "ats_many", "one cell of a read of 100, from bytes to reply", run_ats_many, 3000000, NULL },
	{ "scan", "find the end of a reserve request", run_scan, 3000000, NULL },
	{ "decode", "a reserve request into a command", run_decode, 3000000, NULL },
	{ "encode", "a grant into a reply", run_encode, 3000000, NULL },
	{ "frame", "a reserve request of a pipeline, from the bytes of a read to reply", run_frame, 1000000, NULL },
	{ "append", "a batch of 16 KiB into the journal, with its sync", run_append, 2000, NULL },
	{ "hop", "a request through a ring", run_hop, 3000000, NULL },
};
#define ROWS (sizeof rows / sizeof *rows)

char digit_pairs[100][2];

void
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
		digits_put(sku + 1, 7, (uint32_t)i);
		c.event = (struct event_command){ .source = text("micro", 5), .n = i + 1, .kind = EVENT_RECEIPT, .sku = text(sku, 8),
			.location = text("ST-0001", 7), .qty = 1000000, .at = -1, .as_of = -1, .raw = text("x", 1) };
		batch_ready(w);
		engine_execute(w->engine, &c, &result);
		w->wrong += result.status != STATUS_OK;
	}
}

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

/*
 * The pages of the reservations to come are there, as a server's helper thread sees to it, and those of their index, which the first seconds
 * of a server have touched: no row pays for clearing them.
 */
static void
pages_ready(struct world *w, uint32_t n)
{
	struct view_range ranges[VIEW_TABLES];
	view_tables_memory(w->engine, 0, n, ranges);
	for (int i = 0; i < VIEW_TABLES; i++) {
		uintptr_t begin = (uintptr_t)ranges[i].at & ~(uintptr_t)4095;
		if (ranges[i].bytes > 0)
			madvise((void *)begin, (uintptr_t)ranges[i].at + ranges[i].bytes - begin, MADV_POPULATE_WRITE);
	}
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
	w->engine = engine_init(memory, &limits, 1);
	w->service = (struct service){ .engine = w->engine, .server = "micro", .node = "micro", .durable = service_durable };
	struct engine_options options = engine_options_default;
	options.value[OPTION_HISTORY_MAX] = limits.history_max;
	options.value[OPTION_FREE_IDS_MAX] = limits.free_ids_max;
	engine_begin(w->engine, w->now_ms, &w->out);
	engine_set_options(w->engine, &options);
	stock_put(w);
	pages_ready(w, limits.reservations_max);
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
	if (row->prepare)
		row->prepare(&w, n);
	double begin = now_s();
	micro_run(row, &w, n);
	double took = now_s() - begin;
	printf("%-13s %9.1f ns  %8.2f M/s   %s\n", row->name, took / (double)n * 1e9, (double)n / took / 1e6, row->help);
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
	for (int i = 0; i < 100; i++) {
		digit_pairs[i][0] = (char)('0' + i / 10);
		digit_pairs[i][1] = (char)('0' + i % 10);
	}
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
