/*
 * sim_disk_inner.h: what the files of the simulated disk share; nobody else includes it.
 *
 *   sim_disk.c        the calls of the disk
 *   sim_disk_state.c  inodes with two images (cached, durable) and a mark per sector; names with the changes between them
 *   sim_disk_crash.c  faults, kills, crashes, and what tests do to the bytes
 */
#ifndef HOLDFAST_TESTS_SIM_DISK_INNER_H
#define HOLDFAST_TESTS_SIM_DISK_INNER_H

#include "core/base.h"
#include "tests/sim_disk.h"

#include <pthread.h>

#define SECTOR    512
#define INODES    4096
#define NAMES     4096
#define HANDLES   256
#define CHANGES   4096
#define NAME_MAX_ 64

struct inode {
	uint8_t *now, *durable;
	uint8_t *dirty; /* per sector: 1 unsynced, 2 unsynced and forgotten by a failed sync */
	size_t now_n, durable_n;
	bool size_forgotten;
};

struct name {
	char text[NAME_MAX_];
	int inode;
};

enum change_kind { CHANGE_CREATE, CHANGE_RENAME, CHANGE_REMOVE };
struct change {
	enum change_kind kind;
	char from[NAME_MAX_], to[NAME_MAX_];
	int inode;
	bool forgotten;
};

struct folder {
	struct name *names;
	size_t n;
};

struct sim_disk {
	struct disk disk;
	pthread_mutex_t lock;
	struct inode inodes[INODES];
	int inodes_n;
	struct folder now, durable;
	struct change *changes;
	size_t changes_n;
	int handles[HANDLES]; /* inode + 1; 0 free */
	bool locked, off, fired;
	uint64_t calls, fail_at, stop_after;
	int fail_error;
	int64_t free_bytes;
	struct sim_counts counts;
};

static inline struct sim_disk *
sim_of(const struct disk *disk)
{
	return (struct sim_disk *)disk;
}

static inline size_t
sim_sectors(size_t n)
{
	return (n + SECTOR - 1) / SECTOR;
}

int sim_name_find(const struct folder *, const char *text); /* index or -1 */
void sim_change_apply(struct folder *, const struct change *);
void sim_change_add(struct sim_disk *, enum change_kind, const char *from, const char *to, int inode); /* and applies it to the cache */
void sim_inode_size(struct inode *, size_t n); /* grows */
void sim_inode_write(struct inode *, const uint8_t *, size_t n, uint64_t offset);
void sim_inode_sync(struct inode *);
void sim_inode_forget(struct inode *); /* a sync failed */

#endif
