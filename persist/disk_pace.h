/*
 * disk_pace.h: a long sync in slices. A commit of LMDB writes up to hundreds of megabytes and syncs them at once; a flush that the journal
 * asks for meanwhile waits until the disk has them all, and every reply with it. LMDB cannot be asked to go slower, so the
 * program's fdatasync is its own (disk_sync.c): on a thread that has a pace the file's dirty pages are written out slice by slice, with
 * rests between, before the sync itself.
 *
 * DP1 The sync itself always follows, of the whole file: what fdatasync promises holds, and LMDB's order with it.
 * DP2 A slice that could not be written fails the sync: the kernel tells an error once for each descriptor.
 *
 * A pace belongs to the thread that set it.
 */
#ifndef HOLDFAST_PERSIST_DISK_PACE_H
#define HOLDFAST_PERSIST_DISK_PACE_H

#define DISK_SLICE_BYTES (INT64_C(4) << 20) /* of the file, dirty or not */

struct disk_pace {
	void (*rest)(void *context); /* called behind each piece of work; decides by itself whether and how long */
	void *context;
};

/* From now on, on this thread; kept until it is set to another one or NULL (none). Gives the one before. */
const struct disk_pace *disk_pace_set(const struct disk_pace *);
/* A piece of work for the disk is done: rests as the thread's pace says, if it has one. */
void disk_pace_rest(void);
/* As fdatasync. */
int disk_pace_sync(int file);

#endif
