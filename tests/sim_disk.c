/*
 * sim_disk.c: the calls of the simulated disk, each counted and failed as sim_disk_fail and sim_disk_stop_after ask.
 */
#include "tests/sim_disk_inner.h"

#include <errno.h>
#include <stdlib.h>

const char *const sim_call_names[SIM_CALL_COUNT] = { "open", "read", "write", "sync", "size", "allocate", "rename", "remove",
	"sync_folder", "list", "lock", "free" };

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
	int at = sim_name_find(&s->now, name);
	if ((at >= 0) == (create != 0))
		return leave(s, create ? EEXIST : ENOENT, -1);
	if (create) {
		ensure(s->inodes_n < INODES);
		sim_change_add(s, CHANGE_CREATE, "", name, s->inodes_n++);
		at = sim_name_find(&s->now, name);
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
		sim_inode_write(inode_of(s, file), bytes, n, offset);
	if (error == SIM_SHORT)
		sim_inode_write(inode_of(s, file), bytes, n / 2, offset);
	return leave(s, error, 0);
}

static int
sim_sync(struct disk *disk, int file)
{
	struct sim_disk *s = sim_of(disk);
	int error = enter(s, SIM_SYNC);

	if (error == 0)
		sim_inode_sync(inode_of(s, file));
	else if (!s->off)
		sim_inode_forget(inode_of(s, file));
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
		sim_inode_size(inode_of(s, file), (size_t)bytes);
	}
	return leave(s, error, 0);
}

static int
sim_rename(struct disk *disk, const char *from, const char *to)
{
	struct sim_disk *s = sim_of(disk);
	int error = enter(s, SIM_RENAME);

	if (!error && sim_name_find(&s->now, from) < 0)
		error = ENOENT;
	if (!error)
		sim_change_add(s, CHANGE_RENAME, from, to, 0);
	return leave(s, error, 0);
}

static int
sim_remove(struct disk *disk, const char *name)
{
	struct sim_disk *s = sim_of(disk);
	int error = enter(s, SIM_REMOVE), at;

	if (!error && (at = sim_name_find(&s->now, name)) < 0)
		error = ENOENT;
	if (!error) {
		s->free_bytes += (int64_t)s->inodes[s->now.names[at].inode].now_n;
		sim_change_add(s, CHANGE_REMOVE, name, "", 0);
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
			sim_change_apply(&s->durable, &s->changes[i]);
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

static void
sim_ahead(struct disk *disk, int file, uint64_t offset, uint64_t n)
{
}

static void
sim_forget(struct disk *disk, int file, uint64_t offset, uint64_t n)
{
}

static const struct disk_calls sim_calls = { sim_open, sim_close, sim_read_at, sim_write_at, sim_write_at, sim_sync, sim_size, sim_ahead, sim_forget,
	sim_allocate, sim_rename, sim_remove, sim_sync_folder, sim_list, sim_lock, sim_free, sim_end };

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
		size_t n = sim_sectors(old->now_n);
		sim_inode_size(new, old->now_n);
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
