/*
 * methods_world.h: methods over a live engine, without sockets: the host's part (durable position, room, overload) is played by a
 * test through `world`. Everything that was decided is durable after each request. One thread.
 */
#ifndef HOLDFAST_TESTS_METHODS_WORLD_H
#define HOLDFAST_TESTS_METHODS_WORLD_H

#include "core/engine.h"
#include "core/view.h"
#include "net/methods.h"
#include "tests/check.h"
#include "tests/wire_text.h"

struct world {
	struct {
		uint64_t durable;
		int room; /* 0: each batch takes one step; -1: any number */
		bool overloaded;
		const char *read_only;
	} host;
	struct service service;
	struct buffer frame, out; /* of the last request */
	struct handling handling;
	enum handled handled;
	int64_t now_ms;
	bool on_engine; /* false: asked on another loop */
};

extern struct world world;

/* A new empty engine. */
void world_begin(void);
/* The same with 10 of sku a and 5 of sku b at l1, 3 of a at l2. */
void world_stock(void);
void world_end(void);
/* A batch of its own, with expiry first, as the host does it. */
void world_batch(void);
/* Handles one frame made of `text`; the reply printed, or "" when there is none. */
const char *world_text(const char *text);
/* The reply to [0, 7, method, params] without its "[1, 7, " and "]". */
const char *world_ask(const char *method, const char *params);

struct world_row {
	const char *method, *params, *reply; /* * stands for anything */
};
/* Asks them one after the other; a check fails at the first whose reply is another. */
void world_rows(const struct world_row *, size_t n);
#define WORLD_ROWS(rows) world_rows(rows, sizeof rows / sizeof rows[0])

#endif
