/*
 * dispatch.h: where a whole frame goes, and where its answer comes back from: handled here and now, handed to the engine's loop
 * over a ring, parked until a position is durable, or left to a job.
 *
 *      frame ─▶ methods_handle ─┬─▶ reply, marked
 *                               ├─▶ ring ─▶ engine's loop ─▶ ring ─▶ reply, marked     (extra loops)
 *                               ├─▶ ring ─▶ feed ─▶ ring ─▶ reply, and messages later    (watch, snapshots)
 *                               ├─▶ parked (min_seq and wait_ms) ─▶ methods_handle again
 *                               └─▶ job ─▶ engine_job_run ─▶ methods_finish
 *
 * A struct dispatch belongs to its loop's thread; the rings inside join exactly two threads.
 */
#ifndef HOLDFAST_NET_DISPATCH_H
#define HOLDFAST_NET_DISPATCH_H

#include "net/connection.h"
#include "net/loop.h"

#define PARKED_MAX       1024 /* reads that wait in one loop; beyond: answered `behind` at once */
#define PARKED_BYTES_MAX ((size_t)16 << 20) /* the same of their frames */
#define JOBS_MAX         256 /* open jobs; the engine takes far fewer */
#define REMOTE_FRAMES_MAX 4096 /* of one extra loop in one wake-up of the engine's */
#define FEED_RECORDS_MAX 256 /* of the feed in one wake-up of a loop */

struct dispatch;

/* loops[0..n) stay where they are. Makes the rings. NULL: no memory. */
struct dispatch *dispatch_new(struct loop *loops, unsigned n, unsigned index);
/* Gives each extra loop's rings to the first one's dispatch. Before any thread runs. */
void dispatch_join(struct dispatch *first, struct dispatch *extra);
void dispatch_free(struct dispatch *);

enum dispatched { DISPATCH_DONE, DISPATCH_STALL, DISPATCH_TURN_OVER, DISPATCH_CLOSE };
/*
 * request: what the frame asks, or NULL. On DISPATCH_STALL connection->stall says why, and the same frame must come again; on DISPATCH_TURN_OVER in its next
 * turn.
 */
enum dispatched dispatch_frame(struct connection *, const uint8_t *frame, size_t n, const struct request *);

/*
 * C5: the answer to this read came too late to be true; it is asked again in the next round. asked->good_until_ms is not looked at.
 */
void dispatch_ask_again(struct connection *, const struct asked *);

/* The end of a round: rings, parked reads, jobs. */
void dispatch_round(struct loop *);
/* Wakes those that were sent something that they would not hear of otherwise. */
void dispatch_bells(struct loop *);
/* When the loop must wake for a parked read (its clock); INT64_MAX: none. */
int64_t dispatch_deadline(const struct loop *);
/* Nothing is under way between this loop and others. */
bool dispatch_quiet(const struct loop *);

/* The first loop gives an accepted socket to loop `to`. False: its ring is full. */
bool dispatch_socket(struct loop *first, unsigned to, int fd);

#endif
