/*
 * counters.h: what the network side counts, named once for `status` and /metrics. Each loop counts for itself (one writer, so plain
 * relaxed stores do); whoever shows the figures adds up the loops. A stale value shows a figure late, nothing else.
 */
#ifndef HOLDFAST_NET_COUNTERS_H
#define HOLDFAST_NET_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

#define COUNTER_LIST(X) \
	X(CONNECTIONS_OPENED, "connections_opened", "connections accepted") \
	X(CONNECTIONS_CLOSED, "connections_closed", "connections closed, for whatever reason") \
	X(CONNECTIONS_REFUSED, "connections_refused", "connections closed at once: connections-max was reached") \
	X(ACCEPT_PAUSES, "accept_pauses", "pauses of the listener because descriptors or memory ran out") \
	X(BYTES_IN, "bytes_in", "bytes read from clients") \
	X(BYTES_OUT, "bytes_out", "bytes sent to clients") \
	X(READS, "reads", "system calls that read") \
	X(WRITES, "writes", "system calls that wrote") \
	X(FRAMES, "frames", "requests taken") \
	X(REFUSED, "refused", "requests answered with an error") \
	X(NOTIFICATIONS_IGNORED, "notifications_ignored", "notifications from clients") \
	X(FRAMES_BROKEN, "frames_broken", "connections closed for bytes that are no request, too long or too deep") \
	X(HTTP_LATE, "http_late", "HTTP connections ended: they took too long") \
	X(FRAMES_LATE, "frames_late", "connections closed: a request was not whole in time") \
	X(OUTPUT_STALLS, "output_stalls", "times a client was not read for its own unread output") \
	X(OUTPUT_DEAD, "output_dead", "connections closed: output waited and nothing moved") \
	X(MEMORY_CLOSED, "memory_closed", "connections closed: they held most when memory-max was passed") \
	X(ENGINE_STALLS, "engine_stalls", "times a connection waited for a free batch") \
	X(RING_STALLS, "ring_stalls", "times a connection waited for room on the way to the engine") \
	X(TURNS_CUT, "turns_cut", "turns of a connection that ended with requests left for the next one") \
	X(HOLDS_REFUSED, "holds_refused", "new or longer holds answered `overloaded` for the age of the queue") \
	X(OVERLOADED, "overloaded", "requests answered `overloaded` because the disk does not move") \
	X(READS_AGAIN, "reads_again", "reads decided anew: a slow disk held their answers back until a hold had ended") \
	X(PARKED_FULL, "parked_full", "reads answered `behind` at once: too many were waiting") \
	X(WATCHES, "watches", "watches that began") \
	X(CHANGES_TOLD, "changes_told", "changes told to watchers, merged") \
	X(WATCH_MESSAGES, "watch_messages", "messages to watchers") \
	X(WATCHERS_SLOW, "watchers_closed_slow", "watchers closed: more than 1 MiB unread") \
	X(WATCHERS_GONE, "watchers_closed_gone", "watchers closed: the journal was trimmed, or could not be read, where they were") \
	X(SNAPSHOT_PAGES, "snapshot_pages", "pages of snapshots") \
	X(SNAPSHOTS_EXPIRED, "snapshots_expired", "snapshots ended because nobody asked for their next page in time") \
	X(FEED_STALLS, "feed_stalls", "times the feed waited for room on the way to a loop") \
	X(ROUNDS, "rounds", "wake-ups of the loops")

enum counter {
#define X(name, text, help) COUNTER_##name,
	COUNTER_LIST(X)
#undef X
	COUNTER_COUNT
};

struct counters {
	_Atomic uint64_t value[COUNTER_COUNT];
};

static inline void
counters_add(struct counters *c, enum counter which, uint64_t n)
{
	uint64_t was = atomic_load_explicit(&c->value[which], memory_order_relaxed);
	atomic_store_explicit(&c->value[which], was + n, memory_order_relaxed);
}

static inline uint64_t
counters_get(const struct counters *c, enum counter which)
{
	return atomic_load_explicit(&c->value[which], memory_order_relaxed);
}

const char *counter_name(enum counter);
const char *counter_help(enum counter);

#endif
