/*
 * loop.h: a network loop: one thread, one libevent base, its connections, and the order of things in one wake-up. The first loop is
 * the engine's thread; extra loops (--loops N) hand it what they cannot answer over rings.
 *
 * One wake-up (a round):
 *      events      who can be read is put in line
 *      turns       sockets are read, frames handled; replies are encoded and marked with the position they wait for. First those whose
 *                  requests are light, for LIGHT_NS_ROUND; then the heavy ones, for HEAVY_NS_ROUND; who is left goes on next round
 *      loop_end    rings are drained, waiting reads tried again, a slice of a job is run; the batch goes to the journal; every reply
 *                  that is durable is written, one write a connection; bells are rung
 *
 * L1 One turn ends after TURN_NS_MAX, at most one frame, or one slice of a long frame, late. The time is looked at for every LOOK_BYTES
 *    that were handled or answered, and behind each request whose cost its length does not tell.
 *
 * Everything here belongs to the loop's own thread, but: bell (anybody rings it), counters (read by others), draining (set by others).
 */
#ifndef HOLDFAST_NET_LOOP_H
#define HOLDFAST_NET_LOOP_H

#include "core/base.h"
#include "net/admission.h"
#include "net/batcher.h"
#include "net/buffer.h"
#include "net/clock.h"
#include "net/counters.h"
#include "net/methods.h"
#include "net/ring.h"

#include <sys/queue.h>

#define LOOPS_MAX        16
#define READ_BYTES       ((size_t)256 << 10) /* one read of one connection in one wake-up */
#define READ_HEAVY_BYTES ((size_t)64 << 10) /* the same of a connection with heavy requests: what is left of it must be kept */
#define TAIL_COPY_MAX    ((size_t)16 << 10) /* an incomplete frame up to this is copied before the next bytes, so that it holds no big buffer */
#define POOL_BUFFERS     64 /* idle buffers a loop keeps */
#define POOL_BUFFER_MAX  ((size_t)256 << 10) /* longer ones are freed */
#define STAMP_BYTES_MAX  ((size_t)16 << 10) /* of frames handled on one look at the clock */
#define TURN_NS_MAX      1000000
#define LIGHT_NS_ROUND   5000000
#define HEAVY_NS_ROUND   1000000
#define LOOK_BYTES       ((size_t)16 << 10)
#define SWEEP_MS         1000 /* how often timeouts are looked for */
#define DRAIN_MS_MAX     5000 /* a graceful stop waits so long for replies to be taken */

#define DRAIN_TICK_MS    20

struct connection;
struct dispatch;
struct event;
struct event_base;
struct feed_road;

enum drain { DRAIN_NOT, DRAIN_FINISH, DRAIN_LOG_FAILED };

TAILQ_HEAD(connection_list, connection);

/* Whoever is being handled now: one connection, or the frames of one extra loop. Steady time. */
struct turn {
	int64_t now_ns; /* as of the last look */
	int64_t until_ns; /* L1 */
	int64_t since_ns; /* the request at hand has waited since then, if not longer */
	struct admission *judge; /* of the queue it waited in */
	size_t bytes; /* since the last look */
	bool refuse; /* it has waited too long for new holds */
};

struct loop {
	unsigned index; /* 0: the engine's thread */
	struct event_base *base;
	const struct service *service;
	struct batcher *batcher;
	struct dispatch *dispatch;
	struct feed_road *feed; /* to the feed's thread and back */
	struct counters counters;
	_Atomic uint64_t *connections_open; /* of all loops, for the listener's bound */

	int bell; /* eventfd */
	struct event *bell_event, *sweep_event, *alarm_event;
	int64_t alarm_ms; /* what the alarm is set to; INT64_MAX: off */
	struct clock clock;
	int64_t now_ms; /* as of the last loop_begin() */
	bool begun; /* in this round, and the engine takes commands */
	size_t begun_bytes; /* of frames since */
	uint64_t stamps; /* loop_begin()s so far */
	bool busy; /* work is left: do not sleep */

	uint8_t *in; /* where sockets are read into: TAIL_COPY_MAX + READ_BYTES */
	struct buffer pool[POOL_BUFFERS];
	unsigned pool_n;
	_Atomic uint64_t *held_bytes; /* buffers of the connections of all loops; a stale value closes one too many or one round late */
	uint64_t memory_max; /* of them */

	struct connection **slots;
	uint32_t *generations;
	uint32_t slots_n, free_slot_hint, connections_n;
	struct connection_list dirty, stalled; /* has output that may go out; waits to be read on */
	struct connection_list light, heavy; /* in line for a turn */
	int64_t reported_ns; /* when this round's first event came; 0: none yet */
	struct turn turn;
	struct admission judges[3]; /* of the light line, of the heavy line, of the rings: each a queue with an age of its own */

	_Atomic int *draining; /* shared by all loops: enum drain; it only rises */
	int drain_seen; /* how far it has followed */
	int64_t drain_until_ms; /* steady */
	bool (*may_end)(void *context, const struct loop *); /* no connection is left: is anything else? */
	void (*each_round)(void *context, struct loop *); /* the first loop: what its owner wants to look at */
	void *context;
};

/* Bounds come from the caller; borrows service and batcher. -1: why. */
int loop_init(struct loop *, unsigned index, uint32_t connections_max, struct why *);
void loop_fini(struct loop *);
/* Runs until draining is over. */
void loop_run(struct loop *);
/* Wakes the loop; any thread. */
void loop_ring(const struct loop *);

/* Where its requests are handled. */
static inline enum place
loop_place(const struct loop *l)
{
	return l->index == 0 ? PLACE_ENGINE : PLACE_ANY_LOOP;
}

static inline void
loop_turn_begin(struct loop *l, int64_t now_ns, struct admission *judge)
{
	l->turn = (struct turn){ .now_ns = now_ns, .until_ns = now_ns + TURN_NS_MAX, .judge = judge };
}
/* New holds are refused from here on, or not. */
static inline void
loop_turn_judge(struct loop *l)
{
	struct turn *t = &l->turn;
	t->refuse = admission_refuses(t->judge, t->now_ns, t->now_ns - t->since_ns, l->index == 0 ? batcher_ahead_ns(l->batcher) : 0);
}
/* The next request of the turn has waited since then. */
static inline void
loop_turn_aged(struct loop *l, int64_t since_ns)
{
	l->turn.since_ns = since_ns;
	loop_turn_judge(l);
}
/* Takes the time. True: the turn is over (L1). */
bool loop_turn_look(struct loop *);
/* After so many bytes in and out were handled. */
static inline bool
loop_turn_spent(struct loop *l, size_t bytes)
{
	l->turn.bytes += bytes;
	return l->turn.bytes >= LOOK_BYTES && loop_turn_look(l);
}

/*
 * Before a frame is handled: takes the time; on the first loop also sees to the batch and what is due. False: the engine waits for
 * the journal.
 */
bool loop_begin(struct loop *);

/* Buffers of connections that have nothing in them are shared; give leaves *buffer empty. */
struct buffer loop_buffer_take(struct loop *);
void loop_buffer_give(struct loop *, struct buffer *);

/*
 * For parts of the server that watch something beside connections (the supervisor), so that they need not know libevent.
 * The watch ends by loop_unwatch(); a timer fires once. NULL: no memory.
 */
struct event *loop_watch(struct loop *, int fd, void (*ready)(int fd, short, void *context), void *context);
struct event *loop_after(struct loop *, int64_t ms, void (*due)(int fd, short, void *context), void *context);
void loop_unwatch(struct event *); /* also frees a timer, fired or not; NULL is fine */
struct event *loop_signal(struct loop *, int signal, void (*came)(int signal, short, void *context), void *context);

#endif
