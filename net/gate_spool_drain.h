/*
 * gate_spool_drain.h: the delivery of a spool: batches of events in order, as `post` requests in the gate's queue, a bounded number of them in
 * flight and at a bounded rate, so that other gates' live events keep their latency. Each outcome decides what becomes of its event:
 *
 *   applied, absorbed, duplicate, reconciled, or kept in the quarantine     done
 *   refused by a code that passes (gap_too_wide, capacity, ...)             tried again later (gate_spool_later)
 *   refused for good and not kept (mismatch, no identity, ...)              into the file `refused`, then done
 *
 * DR1: the spool is told "delivered" up to a number when everything up to it is done.
 * DR2: what waits to be tried again holds up nobody: when there is too much of it, or the spool needs the room of its oldest segment, it is
 * carried to the spool's end (durable there first).
 *
 * The gate's thread.
 */
#ifndef HOLDFAST_NET_GATE_SPOOL_DRAIN_H
#define HOLDFAST_NET_GATE_SPOOL_DRAIN_H

#include "net/buffer.h"
#include "net/gate_counters.h"
#include "net/gate_queue.h"
#include "net/gate_spool_later.h"
#include "net/gate_spool_refused.h"
#include "persist/spool.h"

#define DRAIN_RATE 100000 /* events a second unless told otherwise; 0: as fast as the server answers */
#define DRAIN_BATCH_EVENTS 256
#define DRAIN_BATCHES_MAX 16 /* in flight: at 100,000/s answers may take 40 ms */
#define DRAIN_RETRIES_MAX 4 /* of them with events that are tried again */
#define DRAIN_BURST_MS 10 /* what of the rate may be saved up */
#define DRAIN_CARRY_MAX 4096 /* events in one step */
#define DRAIN_LAP_MS_MAX 5000 /* between two readings of what was carried and came back */
#define DRAIN_HELD_WORTH 4 /* so many events are carried for each one delivered without a pause, to give back the oldest segment */

struct drain_batch {
	bool used, retry;
	uint64_t id;
	uint32_t n;
	int64_t stamp_ms; /* of its first event */
	uint64_t numbers[DRAIN_BATCH_EVENTS];
	uint32_t offsets[DRAIN_BATCH_EVENTS + 1]; /* of its events in the message */
};

struct drain {
	struct spool *spool;
	struct gate_queue *queue;
	struct gate_counters *counters;
	struct gate_refused *refused;
	struct gate_later later;
	struct drain_batch batches[DRAIN_BATCHES_MAX];
	uint32_t retries; /* of the batches */
	uint64_t next_id;
	uint64_t read; /* the last number that was read from the spool */
	uint64_t rate;
	int64_t saved; /* thousandths of events that may be sent now */
	int64_t saved_ms; /* when that was so */
	uint64_t lap; /* the first number that was carried because there was too much; 0: none */
	int64_t lap_due_ms, lap_wait_ms;
	uint64_t held_lap; /* the first number of the lap of what holds the oldest segment; from here on all was carried in it */
	uint64_t held_carried, held_delivered; /* in this lap; as of its begin */
	int64_t held_due_ms, held_wait_ms;
	struct buffer message; /* that is being built */
	struct why why;
	bool failed;
};

void drain_init(struct drain *, struct spool *, uint64_t delivered, uint64_t rate, struct gate_refused *, struct gate_queue *,
    struct gate_counters *);
void drain_fini(struct drain *);
/* Puts what may leave now into the queue. 0; -1: *why (the spool's disk, damage). */
int drain_step(struct drain *, int64_t now_ms, int64_t wall_ms, struct why *);
/* When drain_step() has something to do, unless a reply comes before; INT64_MAX: never. */
int64_t drain_due_ms(const struct drain *, int64_t now_ms);
/* The server's result to one of its requests. False: it is none of a `post`. */
bool drain_result(struct drain *, const struct gate_request *, struct bytes result, int64_t now_ms, int64_t wall_ms);
/* The server refused the whole request, for good: its events are tried again one by one. */
void drain_error(struct drain *, const struct gate_request *, const struct frame_reply *, int64_t now_ms, int64_t wall_ms);
/* The stamp of the oldest event that is not done; -1: there is none. */
int64_t drain_oldest_ms(struct drain *);
/* The server is back: what waits is tried at once. */
void drain_hurry(struct drain *, int64_t now_ms);

#endif
