/*
 * disk_faults.h: the file calls of a whole program, ours and LMDB's, of which a test lets one fail, or all from one on. Included
 * by the main file of a test and by nothing else: it defines the calls, and in a library it would define them for every program.
 *
 * Counted are calls on files whose path holds `only`, while armed. What fails has not happened (a short write: half of it has).
 * FAULT_FORGET: a sync fails, and what was written since the last good one is no more, as kernels do it that drop the pages of a
 * failed sync. FAULT_DONE: a write or sync that is told as failed and has happened all the same. The control block is shared memory: a server in a child of the test obeys it too.
 */
#ifndef HOLDFAST_TESTS_DISK_FAULTS_H
#define HOLDFAST_TESTS_DISK_FAULTS_H

#ifndef _GNU_SOURCE
#error "define _GNU_SOURCE first"
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum fault_way { FAULT_EIO, FAULT_ENOSPC, FAULT_SHORT, FAULT_FORGET, FAULT_DONE, FAULT_STALL, FAULT_WAYS };
static const char *const fault_way_names[FAULT_WAYS] = { "EIO", "ENOSPC", "short write", "failed sync that forgets", "EIO although it is done", "stall" };
enum fault_call { CALL_OPEN, CALL_WRITE, CALL_SYNC, CALL_TRUNCATE, CALL_ALLOCATE, CALL_MAP, CALL_RENAME, CALL_REMOVE, CALL_READ, CALL_COUNT };
static const char *const fault_call_names[CALL_COUNT] = { "open", "write", "sync", "truncate", "allocate", "map", "rename", "remove", "read" };

#define FAULT_UNSYNCED_MAX 4096

struct disk_faults {
	_Atomic bool armed;
	_Atomic uint64_t calls, fired;
	_Atomic uint64_t fired_of[CALL_COUNT];
	_Atomic int last; /* enum fault_call of the last one that fired */
	uint64_t fail_at; /* from 1 */
	bool stuck; /* all later ones fail, too */
	bool appends; /* only writes and syncs are counted: who follows a file behind its writer opens and reads it when it likes */
	enum fault_way way;
	int stall_ms;
	char only[512];
};
static struct disk_faults *faults;

/* What FAULT_FORGET takes back; of one process. */
struct unsynced {
	char path[512]; /* the descriptor may be closed before the sync, which may be by another one */
	off_t at;
	size_t n;
	uint8_t *old;
};
static struct unsynced unsynced[FAULT_UNSYNCED_MAX];
static size_t unsynced_n;
static _Atomic int unsynced_lock;

static void
faults_init(void)
{
	faults = mmap(NULL, sizeof *faults, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static void
faults_forget_all(void)
{
	for (size_t i = 0; i < unsynced_n; i++)
		free(unsynced[i].old);
	unsynced_n = 0;
}

static void
faults_arm(const char *only, uint64_t fail_at, enum fault_way way, bool stuck)
{
	atomic_store(&faults->armed, false);
	faults_forget_all();
	snprintf(faults->only, sizeof faults->only, "%s", only);
	faults->fail_at = fail_at;
	faults->way = way;
	faults->stuck = stuck;
	atomic_store(&faults->calls, 0);
	atomic_store(&faults->fired, 0);
	atomic_store(&faults->armed, true);
}

/* True when it had fired. */
static bool
faults_disarm(void)
{
	atomic_store(&faults->armed, false);
	return atomic_load(&faults->fired) > 0;
}

static bool
fault_path(int fd, char path[4096])
{
	char link[64];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	long n = syscall(SYS_readlink, link, path, 4095);
	path[n > 0 ? n : 0] = 0;
	return n > 0 && path[0] == '/';
}

/* 0: the call goes through. Else errno, or -1: half of it. */
static int
fault_decide(enum fault_call call, const char *path)
{
	if (!faults || !atomic_load(&faults->armed) || !strstr(path, faults->only))
		return 0;
	if (faults->appends && call != CALL_WRITE && call != CALL_SYNC)
		return 0;
	/* These two ways are of one call only; another one is not counted, so that every number is a fault. */
	if ((faults->way == FAULT_FORGET || faults->way == FAULT_STALL) && call != CALL_SYNC)
		return 0;
	if (faults->way == FAULT_SHORT && call != CALL_WRITE)
		return 0;
	if (faults->way == FAULT_DONE && call != CALL_WRITE && call != CALL_SYNC)
		return 0;
	uint64_t n = atomic_fetch_add(&faults->calls, 1) + 1;
	if (n < faults->fail_at || (n > faults->fail_at && !faults->stuck))
		return 0;
	atomic_fetch_add(&faults->fired, 1);
	atomic_fetch_add(&faults->fired_of[call], 1);
	atomic_store(&faults->last, call);
	if (faults->way == FAULT_STALL) {
		struct timespec t = { faults->stall_ms / 1000, faults->stall_ms % 1000 * 1000000L };
		nanosleep(&t, NULL);
		return 0;
	}
	return faults->way == FAULT_SHORT ? -1 : faults->way == FAULT_ENOSPC ? ENOSPC : EIO;
}

static int
fault_of(enum fault_call call, int fd)
{
	char path[4096];
	if (!faults || !atomic_load(&faults->armed) || !fault_path(fd, path))
		return 0;
	return fault_decide(call, path);
}

static void
unsynced_hold(bool on)
{
	while (on && atomic_exchange(&unsynced_lock, 1))
		;
	if (!on)
		atomic_store(&unsynced_lock, 0);
}

static void
fault_remember(int fd, off_t at, size_t n)
{
	char path[4096];
	if (!faults || !atomic_load(&faults->armed) || faults->way != FAULT_FORGET || !fault_path(fd, path) || !strstr(path, faults->only))
		return;
	unsynced_hold(true);
	if (unsynced_n < FAULT_UNSYNCED_MAX) {
		struct unsynced *u = &unsynced[unsynced_n++];
		*u = (struct unsynced){ "", at, n, calloc(1, n) };
		memcpy(u->path, path, sizeof u->path - 1);
		int other = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY, 0);
		(void)!syscall(SYS_pread64, other, u->old, n, at); /* beyond its end: zeroes */
		syscall(SYS_close, other);
	}
	unsynced_hold(false);
}

/* A good one does nothing: no test here pulls the plug, and real syncs would make them take minutes. */
static int
fault_sync(int fd)
{
	int error = fault_of(CALL_SYNC, fd);
	if (!error) {
		unsynced_hold(true);
		faults_forget_all();
		unsynced_hold(false);
		return 0;
	}
	unsynced_hold(true);
	for (size_t i = error && faults->way == FAULT_FORGET ? unsynced_n : 0; i-- > 0;) {
		int other = (int)syscall(SYS_openat, AT_FDCWD, unsynced[i].path, O_WRONLY, 0);
		(void)!syscall(SYS_pwrite64, other, unsynced[i].old, unsynced[i].n, unsynced[i].at);
		syscall(SYS_close, other);
	}
	faults_forget_all();
	unsynced_hold(false);
	errno = error;
	return -1;
}

/* ---- the calls ---- */

int fdatasync(int fd);
int
fdatasync(int fd)
{
	return fault_sync(fd);
}

int
fsync(int fd)
{
	return fault_sync(fd);
}

ssize_t
pwrite(int fd, const void *bytes, size_t n, off_t at)
{
	int error = fault_of(CALL_WRITE, fd);
	if (error > 0 && faults->way == FAULT_DONE)
		syscall(SYS_pwrite64, fd, bytes, n, at);
	if (error > 0) {
		errno = error;
		return -1;
	}
	fault_remember(fd, at, n);
	return syscall(SYS_pwrite64, fd, bytes, error ? n / 2 : n, at);
}

ssize_t
write(int fd, const void *bytes, size_t n)
{
	int error = fault_of(CALL_WRITE, fd);
	if (error > 0) {
		errno = error;
		return -1;
	}
	if (faults && atomic_load(&faults->armed))
		fault_remember(fd, syscall(SYS_lseek, fd, 0, SEEK_CUR), n);
	return syscall(SYS_write, fd, bytes, error ? n / 2 : n);
}

ssize_t
writev(int fd, const struct iovec *parts, int n)
{
	int error = fault_of(CALL_WRITE, fd);
	if (error > 0) {
		errno = error;
		return -1;
	}
	off_t at = syscall(SYS_lseek, fd, 0, SEEK_CUR);
	for (int i = 0; i < n && at >= 0; at += (off_t)parts[i].iov_len, i++)
		fault_remember(fd, at, parts[i].iov_len);
	return syscall(SYS_writev, fd, parts, error ? (n + 1) / 2 : n);
}

int
ftruncate(int fd, off_t to)
{
	int error = fault_of(CALL_TRUNCATE, fd);
	errno = error;
	return error ? -1 : (int)syscall(SYS_ftruncate, fd, to);
}

int
posix_fallocate(int fd, off_t at, off_t n)
{
	int error = fault_of(CALL_ALLOCATE, fd);
	return error ? error : syscall(SYS_fallocate, fd, 0, at, n) < 0 ? errno : 0;
}

void *
mmap(void *at, size_t n, int protection, int flags, int fd, off_t from)
{
	int error = fd < 0 ? 0 : fault_of(CALL_MAP, fd);
	if (error) {
		errno = error == EIO ? ENODEV : ENOMEM; /* what a map fails with */
		return MAP_FAILED;
	}
	return (void *)syscall(SYS_mmap, at, n, protection, flags, fd, from);
}

ssize_t
pread(int fd, void *to, size_t n, off_t at)
{
	int error = fault_of(CALL_READ, fd);
	errno = EIO;
	return error ? -1 : syscall(SYS_pread64, fd, to, n, at);
}

static int
fault_open(int folder, const char *path, int flags, mode_t mode)
{
	int error = fault_decide(CALL_OPEN, path);
	errno = error;
	return error ? -1 : (int)syscall(SYS_openat, folder, path, flags, mode);
}

#define FAULT_MODE(flags, mode) \
	do { \
		va_list rest; \
		va_start(rest, flags); \
		mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
		va_end(rest); \
	} while (0)

int
open(const char *path, int flags, ...)
{
	mode_t mode;
	FAULT_MODE(flags, mode);
	return fault_open(AT_FDCWD, path, flags, mode);
}

int
openat(int folder, const char *path, int flags, ...)
{
	mode_t mode;
	FAULT_MODE(flags, mode);
	return fault_open(folder, path, flags, mode);
}

int
renameat(int from_folder, const char *from, int to_folder, const char *to)
{
	int error = fault_decide(CALL_RENAME, to);
	errno = error;
	return error ? -1 : (int)syscall(SYS_renameat, from_folder, from, to_folder, to);
}

int
unlinkat(int folder, const char *path, int flags)
{
	int error = fault_decide(CALL_REMOVE, path);
	errno = error;
	return error ? -1 : (int)syscall(SYS_unlinkat, folder, path, flags);
}

#endif
