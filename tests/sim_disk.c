/*
 * sim_disk.c: inodes with two images (cached, durable) and a dirty mark per sector; a folder with two lists of names and the
 * changes between them. See sim_disk.h for the fault model.
 */
#include "tests/sim_disk.h"

#include "core/base.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <stdio.h>

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

const char *const sim_call_names[SIM_CALL_COUNT] = { "open", "read", "write", "sync", "size", "allocate", "rename", "remove",
	"sync_folder", "list", "lock", "free" };

static struct sim_disk *
sim_of(const struct disk *disk)
{
	return (struct sim_disk *)disk;
}

static uint64_t
random_next(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* --- names --- */

static int
name_find(const struct folder *folder, const char *text)
{
	for (size_t i = 0; i < folder->n; i++)
		if (strcmp(folder->names[i].text, text) == 0)
			return (int)i;
	return -1;
}

static void
name_put(struct folder *folder, const char *text, int inode)
{
	int at = name_find(folder, text);

	if (at < 0) {
		ensure(folder->n < NAMES && strlen(text) < NAME_MAX_);
		at = (int)folder->n++;
		snprintf(folder->names[at].text, NAME_MAX_, "%s", text);
	}
	folder->names[at].inode = inode;
}

static void
name_drop(struct folder *folder, const char *text)
{
	int at = name_find(folder, text);

	if (at >= 0)
		folder->names[at] = folder->names[--folder->n];
}

static void
change_apply(struct folder *folder, const struct change *change)
{
	int at;

	switch (change->kind) {
	case CHANGE_CREATE:
		name_put(folder, change->to, change->inode);
		break;
	case CHANGE_RENAME:
		if ((at = name_find(folder, change->from)) >= 0) {
			int inode = folder->names[at].inode;
			name_drop(folder, change->from);
			name_put(folder, change->to, inode);
		}
		break;
	case CHANGE_REMOVE:
		name_drop(folder, change->from);
		break;
	}
}

static void
change_add(struct sim_disk *s, enum change_kind kind, const char *from, const char *to, int inode)
{
	ensure(s->changes_n < CHANGES);
	struct change *change = &s->changes[s->changes_n++];
	*change = (struct change){ .kind = kind, .inode = inode };
	snprintf(change->from, NAME_MAX_, "%s", from);
	snprintf(change->to, NAME_MAX_, "%s", to);
	change_apply(&s->now, change);
}

/* --- bytes --- */

static size_t
sectors(size_t n)
{
	return (n + SECTOR - 1) / SECTOR;
}

static void
inode_size(struct inode *inode, size_t n)
{
	if (n <= inode->now_n)
		return;
	size_t old = sectors(inode->now_n), new = sectors(n);
	inode->now = realloc(inode->now, new * SECTOR);
	inode->durable = realloc(inode->durable, new * SECTOR);
	inode->dirty = realloc(inode->dirty, new);
	ensure(inode->now && inode->durable && inode->dirty);
	memset(inode->now + old * SECTOR, 0, (new - old) * SECTOR);
	memset(inode->durable + old * SECTOR, 0, (new - old) * SECTOR);
	memset(inode->dirty + old, 0, new - old);
	inode->now_n = n;
}

static void
inode_write(struct inode *inode, const uint8_t *bytes, size_t n, uint64_t offset)
{
	inode_size(inode, (size_t)offset + n);
	memcpy(inode->now + offset, bytes, n);
	for (uint64_t at = offset / SECTOR; at * SECTOR < offset + n; at++)
		inode->dirty[at] = 1;
}

static void
inode_sync(struct inode *inode)
{
	for (size_t i = 0; i < sectors(inode->now_n); i++)
		if (inode->dirty[i] == 1) {
			memcpy(inode->durable + i * SECTOR, inode->now + i * SECTOR, SECTOR);
			inode->dirty[i] = 0;
		}
	if (!inode->size_forgotten)
		inode->durable_n = inode->now_n;
}

static void
inode_forget(struct inode *inode)
{
	for (size_t i = 0; i < sectors(inode->now_n); i++)
		if (inode->dirty[i])
			inode->dirty[i] = 2;
	inode->size_forgotten |= inode->durable_n != inode->now_n;
}

/* --- calls --- */

/* Counts the call under the lock, which stays held. 0: go on; else errno to fail with, or SIM_SHORT. */
static int
enter(struct sim_disk *s, enum sim_call call)
{
	pthread_mutex_lock(&s->lock);
	s->calls++;
	s->counts.calls[call]++;
	if (s->off || (s->stop_after != UINT64_MAX && s->calls > s->stop_after)) {
		s->off = true;
		return EIO;
	}
	if (s->fail_at == 0 || s->calls != s->fail_at)
		return 0;
	s->fired = true;
	s->counts.faults[call]++;
	return s->fail_error == SIM_SHORT && call != SIM_WRITE ? EIO : s->fail_error;
}

static int
leave(struct sim_disk *s, int error, int result)
{
	pthread_mutex_unlock(&s->lock);
	if (error == 0)
		return result;
	errno = error == SIM_SHORT ? ENOSPC : error;
	return -1;
}

static struct inode *
inode_of(struct sim_disk *s, int file)
{
	ensure(file >= 0 && file < HANDLES && s->handles[file]);
	return &s->inodes[s->handles[file] - 1];
}

static int
sim_open(struct disk *disk, const char *name, int create)
{
	struct sim_disk *s = sim_of(disk);
	int error = enter(s, SIM_OPEN), handle = 0;

	if (error)
		return leave(s, error, -1);
	int at = name_find(&s->now, name);
	if ((at >= 0) == (create != 0))
		return leave(s, create ? EEXIST : ENOENT, -1);
	if (create) {
		ensure(s->inodes_n < INODES);
		change_add(s, CHANGE_CREATE, "", name, s->inodes_n++);
		at = name_find(&s->now, name);
	}
	while (s->handles[handle])
		ensure(++handle < HANDLES);
	s->handles[handle] = s->now.names[at].inode + 1;
	return leave(s, 0, handle);
}

static void
sim_close(struct disk *disk, int file)
{
	struct sim_disk *s = sim_of(disk);

	pthread_mutex_lock(&s->lock);
	ensure(s->handles[file]);
	s->handles[file] = 0;
	pthread_mutex_unlock(&s->lock);
}

static ssize_t
sim_read_at(struct disk *disk, int file, void *buffer, size_t n, uint64_t offset)
{
	struct sim_disk *s = sim_of(disk);
	int error = enter(s, SIM_READ);

	if (error)
		return leave(s, error, -1);
	struct inode *inode = inode_of(s, file);
	size_t left = offset < inode->now_n ? inode->now_n - (size_t)offset : 0;
	if (n > left)
		n = left;
	if (n)
		memcpy(buffer, inode->now + offset, n);
	leave(s, 0, 0);
	return (ssize_t)n;
}

static int
sim_write_at(struct disk *disk, int file, const void *bytes, size_t n, uint64_t offset)
{
	struct sim_disk *s = sim_of(disk);
	int error = enter(s, SIM_WRITE);

	if (error == 0)
		inode_write(inode_of(s, file), bytes, n, offset);
	if (error == SIM_SHORT)
		inode_write(inode_of(s, file), bytes, n / 2, offset);
	return leave(s, error, 0);
}

static int
sim_sync(struct disk *disk, int file)
{
	struct sim_disk *s = sim_of(disk);
	int error = enter(s, SIM_SYNC);

	if (error == 0)
		inode_sync(inode_of(s, file));
	else if (!s->off)
		inode_forget(inode_of(s, file));
	return leave(s, error, 0);
}

static int64_t
sim_size(struct disk *disk, int file)
{
	struct sim_disk *s = sim_of(disk);
	int error = enter(s, SIM_SIZE);
	int64_t size = error ? -1 : (int64_t)inode_of(s, file)->now_n;

	leave(s, error, 0);
	return size;
}

static int
sim_allocate(struct disk *disk, int file, uint64_t bytes)
{
	struct sim_disk *s = sim_of(disk);
	int error = enter(s, SIM_ALLOCATE);

	if (!error && (int64_t)bytes > s->free_bytes)
		error = ENOSPC;
	if (!error) {
		s->free_bytes -= (int64_t)bytes;
		inode_size(inode_of(s, file), (size_t)bytes);
	}
	return leave(s, error, 0);
}

static int
sim_rename(struct disk *disk, const char *from, const char *to)
{
	struct sim_disk *s = sim_of(disk);
	int error = enter(s, SIM_RENAME);

	if (!error && name_find(&s->now, from) < 0)
		error = ENOENT;
	if (!error)
		change_add(s, CHANGE_RENAME, from, to, 0);
	return leave(s, error, 0);
}

static int
sim_remove(struct disk *disk, const char *name)
{
	struct sim_disk *s = sim_of(disk);
	int error = enter(s, SIM_REMOVE), at;

	if (!error && (at = name_find(&s->now, name)) < 0)
		error = ENOENT;
	if (!error) {
		s->free_bytes += (int64_t)s->inodes[s->now.names[at].inode].now_n;
		change_add(s, CHANGE_REMOVE, name, "", 0);
	}
	return leave(s, error, 0);
}

static int
sim_sync_folder(struct disk *disk)
{
	struct sim_disk *s = sim_of(disk);
	int error = enter(s, SIM_SYNC_FOLDER);
	size_t kept = 0;

	for (size_t i = 0; i < s->changes_n && !s->off; i++) {
		if (error || s->changes[i].forgotten) {
			s->changes[i].forgotten = true;
			s->changes[kept++] = s->changes[i];
		} else {
			change_apply(&s->durable, &s->changes[i]);
		}
	}
	if (!s->off)
		s->changes_n = kept;
	return leave(s, error, 0);
}

static int
sim_list(struct disk *disk, void (*each)(void *context, const char *name), void *context)
{
	struct sim_disk *s = sim_of(disk);
	int error = enter(s, SIM_LIST);

	for (size_t i = 0; i < s->now.n && !error; i++)
		each(context, s->now.names[i].text);
	return leave(s, error, 0);
}

static int
sim_lock(struct disk *disk)
{
	struct sim_disk *s = sim_of(disk);
	int error = enter(s, SIM_LOCK);

	if (!error && s->locked)
		error = EWOULDBLOCK;
	if (!error)
		s->locked = true;
	return leave(s, error, 0);
}

static int64_t
sim_free(struct disk *disk)
{
	struct sim_disk *s = sim_of(disk);
	int error = enter(s, SIM_FREE);
	int64_t left = error ? -1 : s->free_bytes;

	leave(s, error, 0);
	return left;
}

static void
sim_end(struct disk *disk)
{
	struct sim_disk *s = sim_of(disk);

	for (int i = 0; i < s->inodes_n; i++) {
		free(s->inodes[i].now);
		free(s->inodes[i].durable);
		free(s->inodes[i].dirty);
	}
	free(s->now.names);
	free(s->durable.names);
	free(s->changes);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static const struct disk_calls sim_calls = { sim_open, sim_close, sim_read_at, sim_write_at, sim_sync, sim_size, sim_allocate,
	sim_rename, sim_remove, sim_sync_folder, sim_list, sim_lock, sim_free, sim_end };

struct disk *
sim_disk_new(void)
{
	struct sim_disk *s = calloc(1, sizeof *s);

	ensure(s);
	s->disk.calls = &sim_calls;
	s->now.names = calloc(NAMES, sizeof *s->now.names);
	s->durable.names = calloc(NAMES, sizeof *s->durable.names);
	s->changes = calloc(CHANGES, sizeof *s->changes);
	ensure(s->now.names && s->durable.names && s->changes);
	s->stop_after = UINT64_MAX;
	s->free_bytes = INT64_C(1) << 40;
	pthread_mutex_init(&s->lock, NULL);
	return &s->disk;
}

struct disk *
sim_disk_clone(const struct disk *disk)
{
	const struct sim_disk *from = sim_of(disk);
	struct sim_disk *s = sim_of(sim_disk_new());

	for (int i = 0; i < from->inodes_n; i++) {
		const struct inode *old = &from->inodes[i];
		struct inode *new = &s->inodes[i];
		size_t n = sectors(old->now_n);
		inode_size(new, old->now_n);
		if (n) {
			memcpy(new->now, old->now, n * SECTOR);
			memcpy(new->durable, old->durable, n * SECTOR);
			memcpy(new->dirty, old->dirty, n);
		}
		new->durable_n = old->durable_n;
		new->size_forgotten = old->size_forgotten;
	}
	s->inodes_n = from->inodes_n;
	memcpy(s->now.names, from->now.names, from->now.n * sizeof *s->now.names);
	memcpy(s->durable.names, from->durable.names, from->durable.n * sizeof *s->durable.names);
	memcpy(s->changes, from->changes, from->changes_n * sizeof *s->changes);
	s->now.n = from->now.n;
	s->durable.n = from->durable.n;
	s->changes_n = from->changes_n;
	s->free_bytes = from->free_bytes;
	return &s->disk;
}

/* --- faults and crashes --- */

void
sim_disk_fail(struct disk *disk, uint64_t k, int error)
{
	struct sim_disk *s = sim_of(disk);

	s->calls = 0;
	s->fired = false;
	s->fail_at = k;
	s->fail_error = error;
	s->stop_after = UINT64_MAX;
}

void
sim_disk_stop_after(struct disk *disk, uint64_t k)
{
	sim_disk_fail(disk, 0, 0);
	sim_of(disk)->stop_after = k;
}

uint64_t
sim_disk_calls(const struct disk *disk)
{
	return sim_of(disk)->calls;
}

bool
sim_disk_fired(const struct disk *disk)
{
	return sim_of(disk)->fired;
}

const struct sim_counts *
sim_disk_counts(const struct disk *disk)
{
	return &sim_of(disk)->counts;
}

void
sim_disk_kill(struct disk *disk)
{
	struct sim_disk *s = sim_of(disk);

	sim_disk_fail(disk, 0, 0);
	memset(s->handles, 0, sizeof s->handles);
	s->locked = s->off = false;
}

/* The cache is gone: what is durable is what there is. */
static void
inode_restart(struct inode *inode)
{
	size_t n = sectors(inode->now_n);

	inode->now_n = inode->durable_n;
	if (n) {
		memcpy(inode->now, inode->durable, n * SECTOR);
		memset(inode->dirty, 0, n);
	}
	inode->size_forgotten = false;
}

static void
restart(struct sim_disk *s)
{
	for (int i = 0; i < s->inodes_n; i++)
		inode_restart(&s->inodes[i]);
	memcpy(s->now.names, s->durable.names, s->durable.n * sizeof *s->now.names);
	s->now.n = s->durable.n;
	s->changes_n = 0;
	s->counts.crashes++;
	sim_disk_kill(&s->disk);
}

static void
sector_crash(struct sim_disk *s, struct inode *inode, size_t i, uint64_t *seed)
{
	uint64_t dice = random_next(seed);
	size_t n = dice % 5 < 2 ? SECTOR : dice % 5 < 4 ? 0 : (size_t)(dice >> 32) % SECTOR;

	memcpy(inode->durable + i * SECTOR, inode->now + i * SECTOR, n);
	s->counts.sectors_kept += n == SECTOR;
	s->counts.sectors_lost += n == 0;
	s->counts.sectors_torn += n > 0 && n < SECTOR;
}

void
sim_disk_crash(struct disk *disk, uint64_t seed)
{
	struct sim_disk *s = sim_of(disk);

	for (int i = 0; i < s->inodes_n; i++) {
		struct inode *inode = &s->inodes[i];
		for (size_t k = 0; k < sectors(inode->now_n); k++)
			if (inode->dirty[k])
				sector_crash(s, inode, k, &seed);
		if (inode->durable_n != inode->now_n && random_next(&seed) % 2)
			inode->durable_n = inode->now_n;
	}
	for (size_t i = 0; i < s->changes_n; i++) {
		bool kept = random_next(&seed) % 2;
		if (kept)
			change_apply(&s->durable, &s->changes[i]);
		*(kept ? &s->counts.names_kept : &s->counts.names_lost) += 1;
	}
	restart(s);
}

void
sim_disk_crash_at(struct disk *disk, uint64_t keep)
{
	struct sim_disk *s = sim_of(disk);

	for (int i = 0; i < s->inodes_n; i++) {
		struct inode *inode = &s->inodes[i];
		for (size_t k = 0; k < sectors(inode->now_n) && keep; k++)
			if (inode->dirty[k]) {
				memcpy(inode->durable + k * SECTOR, inode->now + k * SECTOR, SECTOR);
				keep--;
			}
		inode->durable_n = inode->now_n;
	}
	for (size_t i = 0; i < s->changes_n; i++)
		change_apply(&s->durable, &s->changes[i]);
	restart(s);
}

uint64_t
sim_disk_unsynced(const struct disk *disk)
{
	struct sim_disk *s = sim_of(disk);
	uint64_t n = 0;

	for (int i = 0; i < s->inodes_n; i++)
		for (size_t k = 0; k < sectors(s->inodes[i].now_n); k++)
			n += s->inodes[i].dirty[k] != 0;
	return n;
}

uint8_t *
sim_disk_bytes(struct disk *disk, const char *name, size_t *n)
{
	struct sim_disk *s = sim_of(disk);
	int at = name_find(&s->now, name);

	if (at < 0)
		return NULL;
	*n = s->inodes[s->now.names[at].inode].now_n;
	return s->inodes[s->now.names[at].inode].now;
}

void
sim_disk_flip(struct disk *disk, const char *name, uint64_t bit)
{
	struct sim_disk *s = sim_of(disk);
	int at = name_find(&s->now, name);

	ensure(at >= 0);
	struct inode *inode = &s->inodes[s->now.names[at].inode];
	ensure(bit / 8 < inode->now_n);
	inode->now[bit / 8] ^= (uint8_t)(1 << bit % 8);
	inode->durable[bit / 8] ^= (uint8_t)(1 << bit % 8);
}

void
sim_disk_truncate(struct disk *disk, const char *name, uint64_t bytes)
{
	struct sim_disk *s = sim_of(disk);
	int at = name_find(&s->now, name);

	ensure(at >= 0);
	struct inode *inode = &s->inodes[s->now.names[at].inode];
	if (bytes < inode->now_n)
		inode->now_n = inode->durable_n = (size_t)bytes;
}

void
sim_disk_set_free(struct disk *disk, int64_t bytes)
{
	sim_of(disk)->free_bytes = bytes;
}
