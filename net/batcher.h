/*
 * batcher.h: the way of a batch between the engine and the log: opened and stamped, filled by commands, handed to the journal
 * thread, durable, free again. It owns the batches' memory, the journal thread, and the durable position that every reply waits
 * for.
 *
 *      free ──begin──▶ open ──end──▶ sealed (waits) ──▶ being appended ──▶ durable ──▶ free
 *
 * B1 One append at a time, in the order the batches were opened; meanwhile the engine fills the next ones (group commit). All that wait
 *    when an append ends go into the next one together, as one batch of the log with the last one's stamp: entries carry every instant that
 *    matters, so the log needs no stamp between them, and behind a slow sync each would pay one of its own.
 * B2 A batch is sealed when the journal thread is idle, when it is full, or when it has been open for OPEN_MS_MAX and another is free: so
 *    the journal's thread goes on without waiting for the engine's.
 * B3 No command is handled while a hold is due (D19): the open batch is stamped anew each millisecond and what is due ends in it first. Only
 *    when it is full and no other is free, everybody waits: a disk that stalls for a while stops neither time nor reads.
 * B4 After a failed append the durable position never moves again (L4), so nothing is acknowledged any more.
 * B5 When the journal comes to rest, its replies leave and their clients ask again within microseconds. Sealing what is open at that
 *    moment would split them into two groups that take turns, each paying a sync of its own. So a small open batch waits until as
 *    many steps came as the batch sealed last had, at most as long as three appends like the last one and at most HOPE_NS_MAX; a wait in vain turns the
 *    waiting off for HOPELESS_BATCHES. One client alone never waits, large batches never do.
 *
 * begin, room, end, settle: the engine's thread. durable, failed, stalled: any thread. follow: one thread.
 */
#ifndef HOLDFAST_NET_BATCHER_H
#define HOLDFAST_NET_BATCHER_H

#include "core/engine.h"
#include "persist/log.h"

#define BATCHES          16 /* one open, the others appended or waiting */
#define WAITING_FEW      3 /* so many may wait however long they are; more only below WAITING_BYTES_MAX: what a slow disk has before it, */
#define WAITING_BYTES_MAX (1 << 20) /* clients wait for, and the queue's age (admission.h) cannot see it */
#define BATCH_BYTES_MIN  (EXPIRE_ROOM + 2 * STEP_ROOM) /* so that there is room for a command beside what falls due */
#define OPEN_MS_MAX      5
#define STALL_MS         1000 /* an append that takes longer: new holds are `overloaded`, /readyz says no */
#define PACE_BYTES_MIN   (128 << 10) /* appends from here on tell the disk's pace; shorter ones what a sync costs */
#define HOPE_NS_MAX      1000000
#define HOPE_STEPS_MAX   256 /* from here on a sync costs less than the work it is shared by */
#define HOPELESS_BATCHES 16
#define WATCH_STEPS_MIN  16 /* a small shared batch is worth watching for HOPE_NS_MAX: waking up costs as much as a fifth of its sync */
#define BELLS_MAX        64 /* loops */

struct batcher;

/*
 * Borrows engine and log (claimed; the tail says where it stands). batch_bytes is the longest payload that the log takes, at least
 * BATCH_BYTES_MIN. NULL: why.
 */
struct batcher *batcher_new(struct engine *, struct log *, const struct log_tail *, size_t batch_bytes, struct why *);
/* An eventfd that is written once for each batch that became durable, and at a failure. The engine's thread, at any time. */
void batcher_bell(struct batcher *, int eventfd);
int batcher_start(struct batcher *, struct why *);
/* Ends the thread after what is sealed, and frees. */
void batcher_free(struct batcher *);

/*
 * Makes sure that a batch is open, stamped, and that no due hold is left. True: commands may be handled now (ask room() before
 * each). False: everything waits for the journal; try again when the bell rings.
 */
bool batcher_begin(struct batcher *, int64_t now_ms);
/* Opens the first batch of all, so that options can be journaled before anything falls due. Needs no running thread. */
void batcher_open(struct batcher *, int64_t now_ms);
/* The open batch takes another step. */
bool batcher_room(const struct batcher *);
/* The end of a wake-up: hands the open batch over when the journal is idle (B5) or the batch is full. */
void batcher_end(struct batcher *);
/* The open batch waits for a moment (B5): look again without sleeping. */
bool batcher_hoping(const struct batcher *);
/* Hands over what is open and waits until all is durable. -1: the append failed. For start and stop, not for a running loop. */
int batcher_settle(struct batcher *, struct why *);
/* The same without waiting: true when everything decided is durable (or never will be). */
bool batcher_settled(struct batcher *);

/*
 * About how long the disk will take for all that is decided and not yet durable, at the pace of its latest long appends; 0: none has
 * been seen. The engine's thread.
 */
int64_t batcher_ahead_ns(struct batcher *);
uint64_t batcher_durable(const struct batcher *);
/*
 * For one thread that follows the log and sleeps in between: `eventfd` is written once, at the next batch that becomes durable or at a
 * failure (-1 takes it back). Gives the durable position; if that is past what the follower has seen, it must not wait for the bell.
 */
uint64_t batcher_follow(struct batcher *, int eventfd);
/* The append failed: nothing is acknowledged any more. */
bool batcher_failed(const struct batcher *);
const char *batcher_failure(const struct batcher *); /* the sentence; valid once failed */
/* The append in flight has been running for more than STALL_MS. */
bool batcher_stalled(const struct batcher *);

struct batcher_figures {
	uint64_t batches, steps, payload_bytes, expire_rounds;
	uint64_t append_us_last, append_us_max;
};
void batcher_figures(const struct batcher *, struct batcher_figures *);

#endif
