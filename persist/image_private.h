/*
 * image_private.h: what the files of the image share: image.c (all that touches LMDB), image_check.c (the check in a child) and
 * image_copy.c (restore points).
 */
#ifndef HOLDFAST_PERSIST_IMAGE_PRIVATE_H
#define HOLDFAST_PERSIST_IMAGE_PRIVATE_H

#include "persist/disk.h"
#include "persist/image.h"

#define IMAGE_NAME     "image"
#define IMAGE_NEW_NAME "image.new" /* a copy until it is checked */
#define IMAGE_PATH_MAX 4096
/* LMDB's two meta pages: a file no longer than these has never had a commit and holds no record. */
#define IMAGE_EMPTY_BYTES (UINT64_C(2) * 4096)

/* Fills why; always -1. */
__attribute__((format(printf, 2, 3))) int image_fail(struct why *, const char *form, ...);
int image_path(char path[IMAGE_PATH_MAX], const char *dir, const char *name, struct why *);
/* The file's length; -1 with errno. */
int64_t image_file_bytes(struct disk *, const char *name);

/* Checks every page and record of a file of the folder (pages.h), here and now. `path` is for the sentence. -1: why. */
int image_check_file(struct disk *, const char *name, const char *path, struct image_findings *, struct why *);
/* For image_meta, image_copy_compact and image_close only, while nobody writes: opens with LMDB as it stands. NULL: why. */
struct image *image_open_still(const char *path, struct why *);
/* LMDB's compact copy of all committed records into a new file, unsynced. -1: why. */
int image_copy_compact(struct image *, const char *path, struct why *);

#endif
