/*
 * image_private.h: what the files of the image share: image.c, image_snapshot.c and image_still.c (which touch LMDB, image_lmdb.h),
 * image_check.c (the check in a child) and image_copy.c (restore points); and what backup.c and restore.c take from them.
 */
#ifndef HOLDFAST_PERSIST_IMAGE_PRIVATE_H
#define HOLDFAST_PERSIST_IMAGE_PRIVATE_H

#include "persist/disk.h"
#include "persist/image.h"
#include "persist/why.h"

#define IMAGE_NAME     "image"
#define IMAGE_NEW_NAME "image.new" /* a copy until it is checked */
#define IMAGE_PATH_MAX 4096
/* LMDB's two meta pages: a file no longer than these has never had a commit and holds no record. */
#define IMAGE_EMPTY_BYTES (UINT64_C(2) * 4096)

int image_path(char path[IMAGE_PATH_MAX], const char *dir, const char *name, struct why *);
/* Adds the way out to the sentence of a failed write (rc: errno) when the disk is full: what is needed, where, what is left. */
void image_say_room(struct why *, int rc, const char *folder, uint64_t needed);
/* The file's length; -1 with errno. */
int64_t image_file_bytes(struct disk *, const char *name);

/* Checks every page and record of a file of the folder (pages.h), here and now. `path` is for the sentence; no sink: NULL. -1: why. */
int image_check_file(struct disk *, const char *name, const char *path, const struct image_sink *, struct image_findings *, struct why *);
/* A sink that only tells how far a check has come. */
struct image_watch {
	const struct progress *progress;
	const char *phase;
	uint64_t records, of;
};
struct image_sink image_watch(struct image_watch *);
/* For image_meta, image_copy_compact and image_close only, while nobody writes: opens with LMDB as it stands. NULL: why. */
struct image *image_open_still(const char *path, struct why *);
/* The greatest key of each kind, and one more; 0: none. Hints: what cannot be read stays 0. */
void image_key_ends(struct image *, uint64_t ends[ENTRY_KIND_END]);
/* Of the file, as far as it is in use: what a copy takes at most. */
uint64_t image_bytes(struct image *);
/*
 * LMDB's compact copy of all committed records into a new file (`name` in the folder, which is `path`), unsynced. 0 or an errno or LMDB's
 * code with why.
 */
int image_copy_compact(struct image *, struct disk *, const char *name, const char *path, const struct progress *, struct why *);
/* Moves the position of an image that nobody has open up to `seq`, with nothing in between, and notes it as lost: for a restore. Durable. -1: why. */
int image_move_ahead(const char *path, uint64_t seq, struct why *);

/* ---- a copy in two steps (image_copy.c), into the folder behind `disk`; `to` is its name for sentences ---- */

/*
 * The compact copy under IMAGE_NEW_NAME, not yet synced. -1: why, with the way out of a full disk; nothing is left. progress, here and
 * below: may be NULL.
 */
int image_copy_begin(struct image *, struct disk *, const char *to, const struct progress *, struct why *);
/* Synced, every page and record checked, then it gets the name IMAGE_NAME. -1: why; an earlier image stays. */
int image_copy_end(struct disk *, const char *to, const struct progress *, struct image_findings *, struct why *);

#endif
