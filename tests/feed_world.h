/*
 * feed_world.h: a feed whose rounds are made by hand: an engine's own batches in a log in memory, a clock that stands where the test puts
 * it (feed->now_ms), and the durable position given to each round; no server and no thread. One world at a time.
 */
#ifndef HOLDFAST_TESTS_FEED_WORLD_H
#define HOLDFAST_TESTS_FEED_WORLD_H

#include "tests/sim_log.h"

#include "core/engine.h"
#include "net/batcher.h"
#include "net/feed_part.h"
#include "net/methods.h"
#include "persist/changes.h"

#define FEED_WORLD_BATCHES 12
#define FEED_WORLD_STEPS_MAX 7 /* of a batch */
#define FEED_WORLD_CHANGES_MAX (FEED_WORLD_BATCHES * FEED_WORLD_STEPS_MAX)
#define FEED_WORLD_SKUS 20 /* S1.. */

extern struct feed_world {
	void *memory;
	struct engine *engine;
	struct sim_store *store;
	struct log *log;
	struct batcher *batcher;
	struct service service;
	struct feed *feed;
	struct feed_road *road;
	struct change changes[FEED_WORLD_CHANGES_MAX]; /* all there are, in order: one a step */
	uint32_t n;
	uint64_t first, last, oldest; /* positions of the changes; where the log begins */
	struct log_batch kept[FEED_WORLD_BATCHES];
} feed_world;

void feed_world_begin(void);
void feed_world_end(void);
/* Of connection number i, whose token is that slot's. */
uint64_t feed_world_token(uint32_t i);
/* Connection i asks to watch what comes behind this position. */
struct watch_answer feed_world_watch(uint32_t i, uint64_t since);

#endif
