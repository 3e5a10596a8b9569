/*
 * gate_spool.h: the gate's offline queue (--spool DIR): every event message goes through it. It splits messages into events, queues those that have
 * an identity, answers once they are durable, and delivers them in order while the server is there. GATE.md has what clients see.
 *
 *   message ─▶ take: split, judge ─▶ spool (one commit a wake-up) ─▶ {queued: [first, last], refused: [[index, code, message], ...]}
 *                                        └─▶ drain ─▶ gate_queue ─▶ gate_server ─▶ outcomes ─▶ done, later, or the file `refused`
 *
 * SP1: {queued} is answered when the events are durable (S8). A message is queued whole, but for events that are told in `refused`, or not at all.
 * SP2: nothing that was answered `queued` is given up: it is delivered, kept by the server in its quarantine, or in the file `refused`.
 * SP3: what is taken in one wake-up is bounded (SPOOL_TAKEN_MAX); beyond it nothing is received until it is committed.
 *
 * The gate's thread. A commit waits for the disk.
 */
#ifndef HOLDFAST_NET_GATE_SPOOL_H
#define HOLDFAST_NET_GATE_SPOOL_H

#include "net/gate_counters.h"
#include "net/gate_queue.h"
#include "persist/spool_accepted.h"

#define SPOOL_BYTES_DEFAULT ((uint64_t)1 << 30)
#define SPOOL_TAKEN_MAX 512 /* messages of one commit */
#define SPOOL_TAKEN_BYTES_MAX ((size_t)4 << 20) /* of them, and of what is said about refused events */
#define SPOOL_POSITION_BYTES_MAX 1024 /* of an encoded position: 33 missing ranges */

struct gate_spool_setup {
	const char *folder;
	uint64_t bytes_max, drain_rate;
	uint64_t salt; /* as in struct spool_options */
	struct gate_queue *queue; /* batches go there, as ORIGIN_SPOOL */
	struct gate_counters *counters;
	void (*answer)(void *context, const struct raw_header *to, const struct raw_part *, int parts_n);
	void *context;
	void (*say)(const char *line);
};

struct gate_spool;

/* NULL: *why: the folder is in use, damaged (with the way out), or cannot be written. */
struct gate_spool *gate_spool_open(const struct gate_spool_setup *, struct why *);
/* Keeps how far the delivery is. What was taken and not answered is not promised. NULL is allowed. */
void gate_spool_close(struct gate_spool *);

/* SP3. */
bool gate_spool_room(const struct gate_spool *);
/* A message that frame_check() has passed; borrowed. to->n 0: nobody is answered. */
void gate_spool_take(struct gate_spool *, const struct raw_header *to, const uint8_t *message, size_t n);
/*
 * Commits what was taken, answers, and puts what may be delivered into the queue when the server is there (up; away: it has been
 * said that it is not). 0; -1: *why: the spool's disk failed; nothing that was not durable is answered, and the gate ends.
 */
int gate_spool_step(struct gate_spool *, bool up, bool away, int64_t now_ms, struct why *);
/* When the next step is due at the latest; INT64_MAX: when something comes. */
int64_t gate_spool_due_ms(const struct gate_spool *, bool up, int64_t now_ms);

/* What the server said to a request with ORIGIN_SPOOL. False: it is no result of a `post`. */
bool gate_spool_result(struct gate_spool *, const struct gate_request *, struct bytes result);
void gate_spool_error(struct gate_spool *, const struct gate_request *, const struct frame_reply *);

/* What the server says of a source (the result of its `position`, a map): added to what the spool knows. */
void gate_spool_learn(struct gate_spool *, struct bytes source, struct bytes result);
/*
 * {contiguous, highest, missing: [[from, to], ...], last_at, server}: what has been accepted of that source, delivered or not, as far as
 * the spool knows. server: whether the server was asked now. Returns its length.
 */
uint32_t gate_spool_position(struct gate_spool *, struct bytes source, bool server, uint8_t at[SPOOL_POSITION_BYTES_MAX]);

/* Those of the spool as of now. */
void gate_spool_count(struct gate_spool *, struct gate_counters *);

#endif
