/* feed_part.h: what feed.c (thread, roads, sleep), feed_watch.c (watchers), feed_stream.c (readers) and feed_snapshot.c share; nobody else includes it. */
#ifndef HOLDFAST_NET_FEED_PART_H
#define HOLDFAST_NET_FEED_PART_H

#include "net/clock.h"
#include "net/feed.h"
#include "net/feed_window.h"
#include "net/loop.h"

#include <pthread.h>
#include <stdatomic.h>

/*
 * What a loop and the feed tell each other of one connection beside the ring.
 *
 * token, taken: loop -> feed. wake_at: feed -> loop, who takes it back. A feed that waits stores wake_at and looks at `taken` again; a
 * loop stores `taken` and then looks at wake_at; all sequentially consistent, so one of them sees the other.
 */
struct gauge {
	_Atomic uint64_t token; /* 0: closed. A stale one: the next message finds nobody */
	_Atomic uint64_t taken; /* of all bytes that came; a stale one: it looks slower than it is */
	_Atomic uint64_t wake_at; /* 0: nobody waits */
	uint64_t put_token, put; /* the feed's own: bytes put for that token */
};

struct feed_road {
	struct feed *feed;
	const struct loop *loop;
	struct ring *in, *out; /* loop -> feed; feed -> loop */
	struct gauge *gauges; /* by slot */
	uint32_t slots_n;
	bool handed; /* the loop's own: since the last feed_ring() */
	bool told; /* the feed's own: since the loop was last rung */
};

/* For qsort and bsearch over numbers of locations. */
static inline int
feed_by_number(const void *a, const void *b)
{
	uint32_t l = *(const uint32_t *)a, r = *(const uint32_t *)b;
	return (l > r) - (l < r);
}

/* A reader of the log with the place inside a batch. */
struct stream {
	struct log_reader *reader; /* NULL: opened when it is needed */
	uint64_t seq; /* everything up to here was taken out */
	struct change_walk walk; /* of the batch it stands in */
	bool inside;
};

enum watcher_state {
	WATCHER_CATCHING, /* by its own stream, behind the live one or while there is none */
	WATCHER_WAITING, /* the live stream is still before its position */
	WATCHER_LIVE, /* at the live stream's position */
};

struct watcher {
	enum watcher_state state;
	struct feed_road *road;
	uint64_t token;
	uint64_t seq; /* told, or of no concern, up to here */
	uint64_t said; /* the last position that a message named */
	int64_t said_ms;
	struct stream stream; /* CATCHING */
	int64_t thirsty_ms; /* CATCHING: since when it has too much unread; 0: it has not */
	int64_t breath_ms; /* LIVE: the same */
	uint32_t sku, place; /* VIEW_NONE: all */
	uint64_t members_version;
	uint32_t members_n, *members; /* of `place`, in order; NULL: all */
	bool threshold_only, full;
};

struct snapshot {
	struct image_snapshot *image; /* NULL: not in use */
	struct feed_road *road; /* it is its connection's */
	uint64_t token;
	uint32_t number;
	uint64_t seq;
	int64_t used_ms, opened_ms;
};

struct feed {
	struct feed_parts parts;
	int bell; /* eventfd: loops and the journal ring it */
	struct feed_road *roads[LOOPS_MAX];
	unsigned roads_n;
	pthread_t thread;
	bool running;
	_Atomic bool stop; /* server -> feed, behind it the bell */

	int64_t now_ms; /* steady, as of this round */
	struct feed_road *asking; /* whose request is being handled */
	uint64_t asking_token;
	struct watcher *watchers[WATCHERS_MAX];
	uint32_t watchers_n, turn; /* turn: who catches up next */
	uint32_t readers_n; /* of those who catch up */
	bool live; /* there is somebody LIVE or WAITING */
	struct stream stream; /* theirs */
	int64_t told_ms, tick_ms; /* last live window; next look at who was told nothing */
	struct snapshot snapshots[SNAPSHOTS_MAX], *asked; /* asked: by the request that is being handled */
	uint32_t snapshots_n, snapshots_opened;
	struct window window;
	struct change step[CHANGES_STEP_MAX];
	struct buffer message, reply;
	struct why why; /* of the request that is being handled */

	struct counters counters;
	_Atomic uint64_t watchers_shown, catching_shown, snapshots_shown, position_shown; /* feed -> any, for figures */
};

/* ---- feed.c ---- */
/* Puts a record on a road, waiting for room as long as the connection lives. False: it does not. */
bool feed_put(struct feed_road *, const struct ring_record *);
bool feed_alive(const struct feed_road *, uint64_t token);
/* Bytes that came for it and are not taken. */
uint64_t feed_unread(const struct feed_road *, uint64_t token);
/* The bell will ring once no more than `most` is unread. True: it is so already. */
bool feed_wait_taken(struct feed_road *, uint64_t token, uint64_t most);

/* Lowers *sleep_ms to what is left until at_ms. */
static inline void
feed_sleep_until(const struct feed *f, int64_t at_ms, int64_t *sleep_ms)
{
	int64_t wait = at_ms > f->now_ms ? at_ms - f->now_ms : 0;
	*sleep_ms = wait < *sleep_ms ? wait : *sleep_ms;
}

/* ---- feed_stream.c ---- */
void stream_close(struct feed *, struct stream *);
/*
 * Fills the window from the stream's position on, whole steps, up to `end`; `durable` is durable. 1: it has at least a step; 0: nothing
 * is there; -1: why, the stream is closed.
 */
int stream_window(struct feed *, struct stream *, uint64_t durable, uint64_t end, struct why *);

/* ---- feed_watch.c ---- */
/* A round of all watchers. True: there is more to do at once; else *sleep_ms is lowered to when there will be. */
bool watchers_round(struct feed *, uint64_t durable, int64_t *sleep_ms);
void watchers_end(struct feed *);

/* ---- feed_snapshot.c ---- */
/* Ends the ones that nobody asks for any more. */
void snapshots_round(struct feed *, int64_t *sleep_ms);
void snapshots_end(struct feed *);

#endif
