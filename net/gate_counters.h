/*
 * gate_counters.h: what a gate counts, each once, in one list: SIGUSR1's line and the answer to `ask: "status"` read it.
 * Plain numbers of one thread; the parts of the gate share one struct. What the feed counts is apart, for it may be another process.
 */
#ifndef HOLDFAST_NET_GATE_COUNTERS_H
#define HOLDFAST_NET_GATE_COUNTERS_H

#include "core/base.h"

#include <stdatomic.h>
#include <stdio.h>

/* In the order they are shown. The last ones are as of now, all others only grow. */
#define GATE_COUNTERS(X) \
	X(messages, "messages taken over REP") \
	X(bytes, "bytes of messages taken, over REP and PULL") \
	X(answered, "messages answered with the server's outcomes") \
	X(refused, "messages refused here: no msgpack, too large") \
	X(rejected, "messages answered with an error of the server") \
	X(repeated, "messages that came again while they were known: not posted twice") \
	X(asks, "questions taken over REP, beside the messages") \
	X(asks_refused, "of them: refused, here or by the server") \
	X(resent, "messages posted again: after a lost connection, or a refusal for now") \
	X(strays, "replies of the server to nothing") \
	X(connects, "connections made to the server") \
	X(pushed, "messages taken over PULL") \
	X(push_posted, "of them: the server's outcomes came") \
	X(push_refused, "of them: dropped here, no msgpack or too large") \
	X(push_rejected, "of them: dropped, by an error of the server") \
	X(feed_published, "changes published over PUB") \
	X(feed_watches, "times the server was asked to be watched from a position on, or live") \
	X(feed_gone, "of them: the history was gone, so that changes were left out") \
	X(feed_refused, "of them: refused otherwise") \
	X(feed_subscribers, "connections of subscribers now") \
	X(feed_seq, "the position up to which everything is published; 0: nobody subscribes, or not known") \
	X(spool_queued, "events taken into the spool") \
	X(spool_unfit, "events refused: no identity, too long") \
	X(spool_full, "messages refused: the spool was full") \
	X(spool_delivered, "events of the spool that are done with") \
	X(spool_kept, "of them: the server keeps them in its quarantine") \
	X(spool_refused, "of them: neither taken nor kept by the server, they are in the file `refused`") \
	X(spool_carried, "events carried from the spool's oldest segment to its end, to be tried again there") \
	X(spool_waiting, "events in the spool that are not done with now") \
	X(spool_later, "of them: refused for now, to be tried again") \
	X(spool_oldest_ms, "age of the oldest of them") \
	X(spool_bytes, "bytes of the spool's files") \
	X(spool_bytes_max, "the most they may be; 0: no spool") \
	X(spool_refused_bytes, "bytes of the file `refused`") \
	X(restarts, "times the guardian started the gate again") \
	X(feed_restarts, "times it started the feed again") \
	X(pid, "the gate's process") \
	X(server_up, "1: connected to the server") \
	X(in_flight, "messages not answered now, of both doors") \
	X(in_flight_bytes, "bytes of them")

struct gate_counters {
#define X(name, help) uint64_t name;
	GATE_COUNTERS(X)
#undef X
};

/*
 * The feed's, written by the process that has the feed and by no other, read by the one that is asked. Each stands for itself: relaxed,
 * a value of a moment ago is as good.
 */
#define FEED_COUNTERS(X) X(feed_published) X(feed_watches) X(feed_gone) X(feed_refused) X(feed_subscribers) X(feed_seq) X(feed_restarts)

struct feed_counters {
#define X(name) _Atomic uint64_t name;
	FEED_COUNTERS(X)
#undef X
};

static inline void
feed_counter_set(_Atomic uint64_t *counter, uint64_t value)
{
	atomic_store_explicit(counter, value, memory_order_relaxed);
}

static inline void
feed_counter_add(_Atomic uint64_t *counter)
{
	feed_counter_set(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1);
}

/* Memory that later forks share, zeros; never given back. NULL: errno. */
struct feed_counters *feed_counters_new(void);
void feed_counters_read(struct feed_counters *, struct gate_counters *to);

#define GATE_COUNTERS_LINE_BYTES 2560

/* "name=value name=value ..." */
void gate_counters_line(const struct gate_counters *, char line[GATE_COUNTERS_LINE_BYTES]);

#define GATE_COUNTERS_MAP_BYTES 2560

/* {name: value, ...} as msgpack. Returns its length. */
size_t gate_counters_map(const struct gate_counters *, uint8_t map[GATE_COUNTERS_MAP_BYTES]);

#endif
