/*
 * disk.h: every file call that persist makes (but LMDB's own), as a table, so that the simulator can stand in for the disk
 * and fail, tear, delay or lose any of them. disk_posix.c is the only file with system calls on files.
 *
 * All calls return -1 (or a negative number) with errno set as POSIX does. Paths are relative to the folder that was opened.
 */
#ifndef HOLDFAST_PERSIST_DISK_H
#define HOLDFAST_PERSIST_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct disk;
struct disk_calls {
	int (*open)(struct disk *, const char *name, int create); /* read-write; create: O_CREAT|O_EXCL when 1; a handle >= 0 */
	void (*close)(struct disk *, int file);
	ssize_t (*read_at)(struct disk *, int file, void *, size_t, uint64_t offset); /* as pread; whole unless at the end */
	int (*write_at)(struct disk *, int file, const void *, size_t, uint64_t offset); /* all or -1 */
	int (*write_past)(struct disk *, int file, const void *, size_t, uint64_t offset); /* write_at past the page cache, where that can be; all on 4096 */
	int (*sync)(struct disk *, int file); /* fdatasync */
	int64_t (*size)(struct disk *, int file);
	void (*ahead)(struct disk *, int file, uint64_t offset, uint64_t n); /* a hint: this is about to be read */
	void (*forget)(struct disk *, int file, uint64_t offset, uint64_t n); /* a hint: what is synced there will not be read soon */
	int (*allocate)(struct disk *, int file, uint64_t bytes); /* really reserves: ENOSPC here, not at a commit */
	int (*rename)(struct disk *, const char *from, const char *to);
	int (*remove)(struct disk *, const char *name);
	int (*sync_folder)(struct disk *);
	int (*list)(struct disk *, void (*each)(void *context, const char *name), void *context);
	int (*lock)(struct disk *); /* the folder, for this process's life; EWOULDBLOCK: another server has it */
	int64_t (*free_bytes)(struct disk *);
	void (*end)(struct disk *); /* closes the folder and frees */
};
struct disk {
	const struct disk_calls *calls; /* first member of every implementation */
};

struct why;
/* Opens the folder `path` (made when missing). NULL: why. */
struct disk *disk_posix_open(const char *path, struct why *);
/* Whether there is such a folder: for who must not make one (a check, a copy). */
bool disk_posix_is_folder(const char *path);
/* A whole small file as text, terminated: its length, below size. -1: errno; EFBIG: it does not fit, EISDIR: a folder. */
ssize_t disk_posix_text(const char *path, char *text, size_t size);

#endif
