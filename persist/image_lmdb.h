/*
 * image_lmdb.h: the image's own fields, for the files that touch LMDB: image.c (the folding thread), image_snapshot.c (readers
 * on any thread) and image_still.c (whoever only copies). What the first two share is the environment, which LMDB itself guards, but for one thing: after an error in
 * writing a meta page the environment must be closed and opened anew, and no reader may stand in it then. `lock` is held over
 * that, and over each call of a snapshot.
 */
#ifndef HOLDFAST_PERSIST_IMAGE_LMDB_H
#define HOLDFAST_PERSIST_IMAGE_LMDB_H

#include "persist/image_private.h"

#include <lmdb.h>
#include <pthread.h>

struct image {
	MDB_env *env; /* NULL: an opening anew failed. Changed under `lock` only */
	MDB_dbi records; /* the same number each time the environment is opened */
	struct image_meta meta; /* as committed */
	struct fold *fold; /* what came since */
	uint64_t epoch, seq; /* collected up to */
	int64_t stamp_ms;
	bool half; /* a batch failed in its middle: what is in the fold is no fold of whole batches (I1) */
	uint64_t map_bytes;
	pthread_mutex_t lock;
	struct image_snapshot *snapshots; /* open ones; under `lock` */
	uint32_t snapshots_n;
	char path[IMAGE_PATH_MAX];
};

#define IMAGE_FILE_MODE 0640

/* Zeroes and the lock; image_close takes it back. NULL: no memory. */
struct image *image_new(void);
/* Fills why with a failed LMDB or system call; always -1. */
int image_say(struct why *, const char *path, const char *doing, int rc);
/* The meta record of a transaction; zeros when nothing was ever committed. NULL, or what is wrong. */
const char *image_meta_get(MDB_txn *, MDB_dbi records, struct image_meta *);
/* Ends every snapshot's transaction, since the environment is about to be closed: each says so when it is used again. Under `lock`. */
void image_snapshots_end(struct image *);

#endif
