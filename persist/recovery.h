/*
 * recovery.h: from a data folder to an engine that is as it was: check and load the image in one pass, claim the log, replay the
 * journal behind it, finish. The order is the design's: names, options, policies, cells, reservations (sums must equal the
 * cells), marks, history; then the journal; then groups, indexes, timers.
 *
 * R1 The engine afterwards stands exactly at the log's tail: every durable batch is in it, each once, in order.
 * R2 Nothing is served from damage: a start that cannot keep R1 stops with a sentence that says what is wrong and the way out.
 *
 * Before any other thread exists. Never prints.
 */
#ifndef HOLDFAST_PERSIST_RECOVERY_H
#define HOLDFAST_PERSIST_RECOVERY_H

#include "core/engine.h"
#include "persist/disk.h"
#include "persist/image.h"
#include "persist/log.h"

struct recovery {
	struct log_tail tail;
	struct image_meta image;
	uint64_t records_loaded, batches_replayed, steps_replayed;
};

struct recovery_folder {
	const char *dir, *copy; /* copy: the folder of the image's verified copy; NULL: none */
	struct disk *disk; /* `dir`, open */
	const struct image_probe *probe; /* NULL: none was made */
	/* image_inspect_into, or what reads for it on another thread; the sink is called on the caller's. */
	int (*walk)(const char *dir, const struct image_probe *, const struct image_sink *, struct image_findings *, struct why *);
};

/*
 * First, before image_open: the image into a new engine. When it is damaged the journal and the copy are read too, so that the sentence
 * says which way out really is one. `progress` (may be NULL) is called now and then with a phase name and a fraction 0..1. 0: all of it is
 * sound and loaded, or there is none; -1: why, and the engine is of no use; nothing on the disk was changed.
 */
int recovery_load(struct engine *, const struct recovery_folder *, struct recovery *,
    void (*progress)(void *context, const char *phase, double fraction), void *context, struct why *);

/*
 * Then, with the image open and what recovery_load found. 0: the engine stands at tail.last_seq;
 * -1: why, with file and offset or record where known; nothing was changed but what log->claim changed.
 */
int recover(struct engine *, struct image *, struct log *, struct recovery *,
    void (*progress)(void *context, const char *phase, double fraction), void *context, struct why *);

/*
 * After recover() failed: when it is the folder that is damaged, adds the way out to the sentence, having looked with the doctor,
 * and names the doctor and the folder. Reads the whole journal.
 */
void recovery_explain(const char *dir, struct disk *disk, const char *copy, struct why *);

#endif
