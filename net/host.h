/*
 * host.h: an engine with its data folder: opened, recovered, kept durable, folded into the image, closed. It owns disk, journal,
 * image, the engine's memory, the batcher, the checkpointer thread and the one that makes room ahead; whoever serves requests borrows
 * engine and batcher.
 *
 * open: lock the folder, check and load the image (LMDB in a child first), claim the journal, replay, journal the options, end what is due.
 * close: (after the last batch) fold everything into the image, mark the journal's clean end.
 *
 * The thread that opens is the engine's. host_pressure() and the figures: any thread.
 */
#ifndef HOLDFAST_NET_HOST_H
#define HOLDFAST_NET_HOST_H

#include "core/engine.h"
#include "net/batcher.h"
#include "net/clock.h"
#include "persist/checkpoint.h"
#include "persist/journal.h"
#include "persist/recovery.h"

#define CHECKPOINT_IDLE_MS 50 /* how often the checkpointer looks for new batches */

struct host_options {
	const char *data, *copy; /* copy: folder of the image's verified copy; NULL: none */
	struct engine_limits limits;
	struct engine_options engine;
	struct journal_options journal;
	uint64_t image_map_bytes;
	uint32_t reservations_ready, history_ready; /* that have their memory when host_open() returns */
	struct checkpoint_options checkpoint;
	void (*progress)(void *context, const char *phase, double fraction); /* may be NULL */
	void (*say)(void *context, const char *line); /* troubles with the disk, on threads of the host; may be NULL */
	void *context;
};

struct host;

/* Everything up to the point where commands may come. The options are borrowed until close. NULL: why. */
struct host *host_open(const struct host_options *, struct why *);
struct engine *host_engine(struct host *);
struct batcher *host_batcher(struct host *);
const struct recovery *host_recovery(const struct host *);
/* For the feed, which reads both beside their writers. */
struct log *host_log(struct host *);
struct image *host_image(struct host *);
/* The first position that the journal still has. Any thread. */
uint64_t host_oldest(struct host *);

/* Holds should be refused: the disk has no room for the journal to grow, or the append does not move. */
bool host_pressure(const struct host *);

struct host_figures {
	uint64_t folded_seq, copied_seq, image_commits, image_failures, journal_bytes;
	bool journal_low;
};
void host_figures(const struct host *, struct host_figures *);

enum host_end {
	HOST_CLOSED,
	HOST_JOURNAL_FAILED, /* before, or in the last append: what was not durable then is unknown */
	HOST_IMAGE_FAILED, /* the journal has everything */
};
/* Ends the threads, folds to the end, closes and frees. *why: of the latter two. */
enum host_end host_close(struct host *, struct why *);

#endif
