/*
 * disk_posix.c: the real disk: one folder, its files by handle. The only file of Holdfast that makes system calls on files
 * (cmd and clients use stdio for their own). No state but the folder's descriptor, so any thread may call.
 */
#define _GNU_SOURCE
#include "persist/disk.h"

#include "core/base.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct disk_posix {
	struct disk disk;
	int folder;
};

static int
folder_of(struct disk *disk)
{
	return ((struct disk_posix *)disk)->folder;
}

static int
posix_file_open(struct disk *disk, const char *name, int create)
{
	int flags = O_RDWR | O_CLOEXEC | (create ? O_CREAT | O_EXCL : 0);
	int file = openat(folder_of(disk), name, flags, 0640);
	if (file < 0 && !create && (errno == EROFS || errno == EACCES)) /* the doctor only reads, perhaps a mounted backup */
		file = openat(folder_of(disk), name, O_RDONLY | O_CLOEXEC);
	return file;
}

static void
posix_file_close(struct disk *disk, int file)
{
	close(file);
}

static ssize_t
posix_read_at(struct disk *disk, int file, void *buffer, size_t n, uint64_t offset)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = pread(file, (uint8_t *)buffer + done, n - done, (off_t)(offset + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

/* A short write is a failure: the kernel had a reason, and the rest would only find out which. */
static int
posix_write_at(struct disk *disk, int file, const void *bytes, size_t n, uint64_t offset)
{
	ssize_t done;

	do
		done = pwrite(file, bytes, n, (off_t)offset);
	while (done < 0 && errno == EINTR);
	if (done < 0 && errno == EBADF)
		errno = EROFS; /* opened for reading only, above */
	if (done >= 0 && (size_t)done != n) {
		errno = ENOSPC;
		return -1;
	}
	return done < 0 ? -1 : 0;
}

/* A file system that knows no O_DIRECT says so to one of the two calls. */
static int
posix_write_past(struct disk *disk, int file, const void *bytes, size_t n, uint64_t offset)
{
	int flags = fcntl(file, F_GETFL);
	if (flags < 0 || fcntl(file, F_SETFL, flags | O_DIRECT) < 0)
		return posix_write_at(disk, file, bytes, n, offset);
	int failed = posix_write_at(disk, file, bytes, n, offset), error = errno;
	fcntl(file, F_SETFL, flags);
	if (failed && error == EINVAL)
		return posix_write_at(disk, file, bytes, n, offset);
	errno = error;
	return failed;
}

static int
posix_sync(struct disk *disk, int file)
{
	return fdatasync(file);
}

static int64_t
posix_size(struct disk *disk, int file)
{
	struct stat st;
	return fstat(file, &st) ? -1 : (int64_t)st.st_size;
}

/* In the order of the file and without waiting for it; what is in the page cache costs a look. */
static void
posix_ahead(struct disk *disk, int file, uint64_t offset, uint64_t n)
{
	posix_fadvise(file, (off_t)offset, (off_t)n, POSIX_FADV_WILLNEED);
}

static void
posix_forget(struct disk *disk, int file, uint64_t offset, uint64_t n)
{
	posix_fadvise(file, (off_t)offset, (off_t)n, POSIX_FADV_DONTNEED);
}

static int
posix_allocate(struct disk *disk, int file, uint64_t bytes)
{
	int error;

	do
		error = posix_fallocate(file, 0, (off_t)bytes);
	while (error == EINTR);
	errno = error;
	return error ? -1 : 0;
}

static int
posix_rename(struct disk *disk, const char *from, const char *to)
{
	return renameat(folder_of(disk), from, folder_of(disk), to);
}

static int
posix_remove(struct disk *disk, const char *name)
{
	return unlinkat(folder_of(disk), name, 0);
}

static int
posix_sync_folder(struct disk *disk)
{
	return fsync(folder_of(disk));
}

/* A descriptor of its own, since walking moves the position that all copies of one descriptor share. */
static int
posix_list(struct disk *disk, void (*each)(void *context, const char *name), void *context)
{
	int fd = openat(folder_of(disk), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		int error = errno;
		if (fd >= 0)
			close(fd);
		errno = error;
		return -1;
	}
	struct dirent *entry;
	for (errno = 0; (entry = readdir(dir)); errno = 0)
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			each(context, entry->d_name);
	int error = errno;
	closedir(dir);
	errno = error;
	return error ? -1 : 0;
}

/* flock goes with the open folder: it ends with the process, however that ends. */
static int
posix_lock(struct disk *disk)
{
	return flock(folder_of(disk), LOCK_EX | LOCK_NB);
}

static int64_t
posix_free_bytes(struct disk *disk)
{
	struct statvfs fs;
	return fstatvfs(folder_of(disk), &fs) ? -1 : (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
}

static void
posix_end(struct disk *disk)
{
	close(folder_of(disk));
	free(disk);
}

static const struct disk_calls posix_calls = {
	.open = posix_file_open,
	.close = posix_file_close,
	.read_at = posix_read_at,
	.write_at = posix_write_at,
	.write_past = posix_write_past,
	.sync = posix_sync,
	.size = posix_size,
	.ahead = posix_ahead,
	.forget = posix_forget,
	.allocate = posix_allocate,
	.rename = posix_rename,
	.remove = posix_remove,
	.sync_folder = posix_sync_folder,
	.list = posix_list,
	.lock = posix_lock,
	.free_bytes = posix_free_bytes,
	.end = posix_end,
};

/*
 * A new folder's own name must survive as well: sync its parent. Also that of one that is there already: who made it may have
 * been killed before. Then a parent that cannot be opened is no failure.
 */
static int
folder_make(const char *path)
{
	bool made = mkdir(path, 0750) == 0;
	if (!made && errno != EEXIST)
		return -1;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	int parent = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int failed = parent < 0 || fsync(parent);
	int error = errno;
	if (parent >= 0)
		close(parent);
	close(fd);
	errno = error;
	return failed && made ? -1 : 0;
}

struct disk *
disk_posix_open(const char *path, struct why *why)
{
	struct disk_posix *disk = NULL;
	int folder = -1;

	if (folder_make(path) == 0)
		folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder >= 0)
		disk = malloc(sizeof *disk);
	if (!disk) {
		snprintf(why->text, sizeof why->text, "cannot open the folder %s: %s", path, strerror(errno));
		if (folder >= 0)
			close(folder);
		return NULL;
	}
	*disk = (struct disk_posix){ .disk.calls = &posix_calls, .folder = folder };
	return &disk->disk;
}

bool
disk_posix_is_folder(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

ssize_t
disk_posix_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t n = fd < 0 ? -1 : 1;
	while (n > 0 && used < size) {
		n = read(fd, text + used, size - used);
		used += n > 0 ? (size_t)n : 0;
	}
	int error = n < 0 ? errno : EFBIG;
	if (fd >= 0)
		close(fd);
	errno = error;
	if (n < 0 || used == size)
		return -1;
	text[used] = 0;
	return (ssize_t)used;
}
