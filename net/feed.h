/*
 * feed.h: the thread that reads journal and image for those who follow: `watch`, and `scan` of one instant. What it tells is a fold of
 * the journal up to the durable position, never of live tables, so nothing that it told is ever taken back.
 *
 *                   frames                                        one window at a time
 *      loop ──────── ring ───▶ watcher ─┬─ catching up: a reader of its own, paced by its own reading ─┐
 *        ▲                              └─ waiting: begins ahead of the live reader                   ├─▶ live: one reader for all
 *        └─ ring ◀── replies, messages ◀───────────────────────────────────────────────────────────────┘
 *
 * F4 A watcher is told every step behind its `since` once, in order: it changes readers only where both stand at the same position.
 * F5 It costs the engine and the journal nothing while nobody follows: it sleeps, and no batch rings it.
 * F6 Who does not read is never waited for: a live watcher with WATCH_UNREAD_MAX unread is closed, one that catches up gets no more
 *    before it has read (and dies by PROGRESS_MS_MAX when it reads nothing).
 *
 * Threads: feed_open .. feed_join before feed_start; the feed's own thread runs what methods call; a loop's thread uses its own road;
 * figures from any.
 */
#ifndef HOLDFAST_NET_FEED_H
#define HOLDFAST_NET_FEED_H

#include "core/view.h"
#include "net/counters.h"
#include "net/ring.h"
#include "persist/image.h"
#include "persist/log.h"

#define WATCHERS_MAX      1024 /* beyond: `limit` watchers */
#define WATCH_UNREAD_MAX  ((uint64_t)1 << 20) /* a live watcher with more is closed */
/* One that catches up gets the next window below this: far enough below OUTPUT_STALL_BYTES for its requests to be read between two. */
#define WATCH_PACE_BYTES  ((uint64_t)64 << 10)
#define WATCH_BREATH_BYTES ((uint64_t)256 << 10) /* a live one above this gets a moment to read */
#define WATCH_BREATH_MS   50 /* so long the live reader waits for it, before it goes on without mercy */
#define WATCH_GAP_MS      5 /* between live windows: in a busy server what came meanwhile is merged and told at once */
#define WATCH_REACHED_MS  1000 /* how often a watcher that was told nothing hears how far it is */
#define SNAPSHOTS_MAX     8 /* open at a time; beyond: `limit` snapshots */
#define SNAPSHOT_IDLE_MS  60000 /* without a request for the next page it ends: `gone` */
#define SNAPSHOT_AGE_MS   600000 /* and after this anyway: the image cannot use its old pages again meanwhile, and grows */
#define SNAPSHOT_CURSOR_SHIFT 32 /* a cursor is the snapshot's number, then the next cell */
#define CATCH_READERS_MAX 32 /* readers of those who catch up (up to 2 MiB of buffer each); others take turns */

struct batcher;
struct feed;
struct feed_road; /* one loop's way to the feed and back */
struct loop;
struct service;

/* What it borrows. */
struct feed_parts {
	const struct service *service;
	struct batcher *batcher;
	struct log *log;
	struct image *image;
	uint64_t (*oldest)(void *context); /* first position that the log still has */
	void *context;
};

/* NULL: why. */
struct feed *feed_open(const struct feed_parts *, struct why *);
/* A road for a loop with so many slots of connections. NULL: no memory. */
struct feed_road *feed_join(struct feed *, const struct loop *, uint32_t connections_max);
int feed_start(struct feed *, struct why *);
/* Ends the thread; the loops have ended, but their bells are still there. */
void feed_stop(struct feed *);
void feed_close(struct feed *); /* may be NULL */

/* ---- a loop's side ---- */

/* A request for the feed. False: no room now. Rung by feed_ring() at the round's end. */
bool feed_hand(struct feed_road *, uint64_t token, const uint8_t *frame, size_t n);
/* RING_REPLY, RING_TOLD, RING_CUT. As ring_get and ring_release. */
bool feed_get(struct feed_road *, struct ring_record *);
void feed_release(struct feed_road *);
/* Once a round: wakes the feed when frames were handed, or when it waits for room that there is now. */
void feed_ring(struct feed_road *);
/* So much of all bytes that came for this connection is no longer unread here. */
void feed_taken(struct feed_road *, uint64_t token, uint64_t taken);
void feed_gone(struct feed_road *, uint64_t token); /* the connection has closed */

/* ---- what methods ask, on the feed's thread, for the request that it is handling ---- */

struct watch_ask {
	struct bytes place, sku; /* empty: all. A place is a location or a group */
	bool threshold_only, full, has_since;
	uint64_t since;
};
/* The answer to one: `number` is the position it begins behind, or the refusal's detail (oldest, seq); `which` of `limit`. */
struct watch_answer {
	enum status status;
	const char *message, *which;
	uint64_t number;
};
void feed_watch(struct feed *, const struct watch_ask *, struct watch_answer *);

struct snapshot_ask {
	struct scan_filter filter;
	uint64_t cursor; /* 0: opens a snapshot */
	uint64_t min_seq; /* an earlier instant is `behind`, at once */
	uint32_t limit;
};
struct snapshot_answer {
	enum status status;
	const char *message;
	uint64_t seq; /* the instant's position */
	uint64_t cursor; /* 0: the end, and the snapshot is closed */
};
/* Opens or finds the snapshot: the answer has its seq. False: a refusal. Until its page was taken nothing else may be asked. */
bool feed_snapshot(struct feed *, const struct snapshot_ask *, struct snapshot_answer *);
/* Then its next page: up to `limit` cells, fewer (also none) when SCAN_VISIT_MAX were looked at. False: a refusal. */
bool feed_snapshot_page(struct feed *, const struct snapshot_ask *, void (*each)(void *context, const struct cell_view *), void *context,
    struct snapshot_answer *);

/* ---- figures, any thread ---- */
struct feed_figures {
	uint64_t watchers, catching, snapshots, position; /* position: the live reader's; 0: there is none */
};
void feed_figures(const struct feed *, struct feed_figures *);
const struct counters *feed_counters(const struct feed *);

#endif
