/* micro_engine.c: rows of the core: decide and evolve, a cell's read, a look into an index. */
#include "bench/micro.h"

#include "core/ahead.h"
#include "core/view.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

void
texts_ready(struct world *w, uint64_t n)
{
	w->texts = malloc(n * sizeof *w->texts);
	ensure(w->texts != NULL);
	for (uint64_t i = 0; i < n; i++) {
		memcpy(w->texts[i].id, "order-", 6);
		digits_put(w->texts[i].id + 6, 10, (uint32_t)w->next_id++);
		w->texts[i].sku[0] = 's';
		digits_put(w->texts[i].sku + 1, 7, random_cell(w));
	}
}

static inline void
reserve(struct world *w, struct command *c, struct asked_line *line, const struct asked_text *asked)
{
	struct result result;
	c->reserve.id = text(asked->id, sizeof asked->id);
	line->sku = text(asked->sku, sizeof asked->sku);
	engine_execute(w->engine, c, &result);
	w->wrong += result.status != STATUS_OK;
}

static inline struct command
reserve_of(const struct asked_line *line)
{
	return (struct command){ .kind = COMMAND_RESERVE, .reserve = { .lines = line, .lines_n = 1, .ttl_ms = 3600000 } };
}

void
run_reserve(struct world *w, uint64_t n)
{
	struct asked_line line = { .location = text("ST-0001", 7), .qty = 1 };
	struct command c = reserve_of(&line);
	for (uint64_t i = 0; i < n; i++) {
		batch_ready(w);
		reserve(w, &c, &line, &w->texts[i]);
	}
}

/* The same with a block of commands in hand looked at ahead, as the server does with a client's pipeline. */
static void
block_take(struct world *w, struct ahead *walks, const struct asked_text *asked, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		ahead_begin(w->engine, &walks[i], text(asked[i].id, sizeof asked[i].id), text(asked[i].sku, sizeof asked[i].sku), text("ST-0001", 7));
	ahead_walk(w->engine, walks, n);
}

void
run_reserve_ahead(struct world *w, uint64_t n)
{
	static struct ahead walks[AHEAD_BLOCK];
	struct asked_line line = { .location = text("ST-0001", 7), .qty = 1 };
	struct command c = reserve_of(&line);
	for (uint64_t i = 0; i < n; i++) {
		if (i % AHEAD_BLOCK == 0)
			block_take(w, walks, &w->texts[i], n - i < AHEAD_BLOCK ? (unsigned)(n - i) : AHEAD_BLOCK);
		batch_ready(w);
		engine_hint(w->engine, &walks[i % AHEAD_BLOCK]);
		reserve(w, &c, &line, &w->texts[i]);
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
		w->wrong += view_ats(w->engine, text(sku, 8), text("ST-0001", 7), NULL, &ats, &seq) != VIEW_OK;
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
