/*
 * ring.h: a bounded one-way road for byte records between two threads: one puts, one gets. It joins an extra network loop with the
 * engine's loop, and each loop with the feed, one ring each way.
 *
 * Descriptors travel in a Concurrency Kit ring (single producer, single consumer); the bytes lie in a circular store beside it. A
 * record above RING_COPY_MAX travels as a heap block of its own, so no record is too long for the store.
 *
 * G1 Records come out in the order they went in, whole.
 * G2 What get() lent stays untouched until release(); the producer reuses a place only after it has seen the release.
 * A full ring is told to the producer (put returns false), who stops reading its client: nothing is ever dropped.
 */
#ifndef HOLDFAST_NET_RING_H
#define HOLDFAST_NET_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RING_RECORDS_MAX  8192 /* a power of two */
#define RING_STORE_BYTES  ((size_t)2 << 20)
#define RING_COPY_MAX     ((size_t)64 << 10)
#define RING_HEAP_MAX     ((size_t)16 << 20) /* of records that travel as heap blocks; one alone may be longer */

enum ring_kind {
	RING_FRAME, RING_REPLY, RING_SOCKET,
	RING_TOLD, /* the feed's: a message nobody asked for */
	RING_CUT, /* the feed's: the connection is closed at once */
};

struct ring_record {
	enum ring_kind kind;
	uint32_t flags; /* as producer and consumer agree */
	uint64_t token; /* connection, or the descriptor of an accepted socket */
	uint64_t wait_for; /* RING_REPLY: the position that must be durable first */
	int64_t since_ns; /* RING_FRAME: since when it has waited to be handled, steady */
	int64_t good_until_ms; /* RING_REPLY, 0: none. Otherwise the last asked_n of the bytes are the request (C5) */
	size_t asked_n;
	const uint8_t *bytes; /* put borrows; get lends until release */
	size_t n;
};

struct ring;

struct ring *ring_new(void); /* NULL: no memory */
/* Both threads have ended or never began. Frees what is still inside. */
void ring_free(struct ring *);

/* Producer's thread. False: full, nothing was taken. */
bool ring_put(struct ring *, const struct ring_record *);

/* Consumer's thread. At most one record is lent at a time. */
bool ring_get(struct ring *, struct ring_record *);
void ring_release(struct ring *);
/*
 * Whether the producer met a full ring since the last question: then it wants to hear that there is room again. A full fence: what the
 * asker loads behind it is no older than what it put, into any ring, before.
 */
bool ring_was_full(struct ring *);

#endif
