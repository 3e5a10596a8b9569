/* micro_engine.c: rows of the core: decide and evolve, a cell's read, a look into an index. */
#include "bench/micro.h"

#include "core/ahead.h"
#include "core/view.h"

#include <pthread.h>
#include <stdatomic.h>

void
run_reserve(struct world *w, uint64_t n)
{
	char id[] = "order-0000000000", sku[] = "s0000000";
	struct asked_line line = { .sku = text(sku, 8), .location = text("ST-0001", 7), .qty = 1 };
	for (uint64_t i = 0; i < n; i++) {
		struct command c;
		struct result result;
		digits_put(id + 6, 10, (uint32_t)w->next_id++);
		digits_put(sku + 1, 7, random_cell(w));
		c.kind = COMMAND_RESERVE;
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
	digits_put(h->id + 6, 10, (uint32_t)w->next_id++);
	h->sku[0] = 's';
	digits_put(h->sku + 1, 7, random_cell(w));
	ahead_begin(w->engine, &h->ahead, text(h->id, 16), text(h->sku, 8), text("ST-0001", 7));
}

void
run_reserve_ahead(struct world *w, uint64_t n)
{
	static struct in_hand hands[AHEAD_WINDOW];
	struct asked_line line = { .location = text("ST-0001", 7), .qty = 1 };
	for (unsigned i = 0; i < AHEAD_WINDOW; i++)
		in_hand_take(w, &hands[i]);
	for (uint64_t i = 0; i < n; i++) {
		struct in_hand *h = &hands[i % AHEAD_WINDOW];
		struct command c;
		struct result result;
		for (unsigned s = 1; s <= AHEAD_STEPS; s++)
			ahead_step(w->engine, &hands[(i + s * AHEAD_DISTANCE) % AHEAD_WINDOW].ahead);
		line.sku = text(h->sku, 8);
		c.kind = COMMAND_RESERVE;
		c.reserve = (struct reserve_command){ .id = text(h->id, 16), .lines = &line, .lines_n = 1, .ttl_ms = 3600000 };
		batch_ready(w);
		engine_hint(w->engine, &h->ahead);
		engine_execute(w->engine, &c, &result);
		w->wrong += result.status != STATUS_OK;
		in_hand_take(w, h);
	}
}

void
run_sale(struct world *w, uint64_t n)
{
	char sku[] = "s0000000";
	for (uint64_t i = 0; i < n; i++) {
		struct command c;
		struct result result;
		digits_put(sku + 1, 7, random_cell(w));
		c.kind = COMMAND_EVENT;
		c.event = (struct event_command){ .source = text("till-1", 6), .n = ++w->next_id, .kind = EVENT_SALE, .sku = text(sku, 8),
			.location = text("ST-0001", 7), .qty = 1, .at = w->now_ms, .as_of = -1, .raw = text("x", 1) };
		batch_ready(w);
		engine_execute(w->engine, &c, &result);
		w->wrong += result.status != STATUS_OK;
	}
}

void
run_ats(struct world *w, uint64_t n)
{
	char sku[] = "s0000000";
	for (uint64_t i = 0; i < n; i++) {
		int64_t ats;
		uint64_t seq;
		digits_put(sku + 1, 7, random_cell(w));
		w->wrong += view_ats(w->engine, text(sku, 8), text("ST-0001", 7), &ats, &seq) != VIEW_OK;
	}
}

/* ---- the same while another thread writes just those cells ---- */

#define WRITTEN_CELLS 64

struct writer {
	struct world *world; /* the writer's alone while it runs */
	atomic_bool stop;
	uint64_t sales;
};

static void *
writer_main(void *arg)
{
	struct writer *writer = arg;
	for (; !atomic_load(&writer->stop); writer->sales += 100)
		run_sale(writer->world, 100);
	return NULL;
}

void
run_ats_written(struct world *w, uint64_t n)
{
	w->cells = w->cells < WRITTEN_CELLS ? w->cells : WRITTEN_CELLS;
	struct world reader = *w;
	struct writer writer = { .world = w };
	pthread_t thread;
	if (pthread_create(&thread, NULL, writer_main, &writer) != 0) {
		w->wrong++;
		return;
	}
	run_ats(&reader, n);
	atomic_store(&writer.stop, true);
	pthread_join(thread, NULL);
	w->wrong += reader.wrong + (writer.sales == 0);
}

/* One look by name among as many names as there are cells. */
void
run_index(struct world *w, uint64_t n)
{
	char sku[] = "s0000000";
	for (uint64_t i = 0; i < n; i++) {
		uint32_t wanted = random_cell(w);
		digits_put(sku + 1, 7, wanted);
		w->wrong += view_sku_id(w->engine, text(sku, 8)) != wanted;
	}
}
