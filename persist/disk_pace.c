/* disk_pace.c: see disk_pace.h. */
#define _GNU_SOURCE
#include "persist/disk_pace.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Thread_local const struct disk_pace *pace;

const struct disk_pace *
disk_pace_set(const struct disk_pace *p)
{
	const struct disk_pace *before = pace;
	pace = p;
	return before;
}

void
disk_pace_rest(void)
{
	if (pace != NULL)
		pace->rest(pace->context);
}

/*
 * Where slices are not known (a pipe, a kernel or a sandbox without the call) nothing is tried, and all is synced in one go. A call that asks
 * for nothing finds that out. Later it would be too late: whatever a slice says may be what became of the writing, also the words
 * for "unknown here", and the kernel tells it once (DP2).
 */
static bool
knows_slices(int file)
{
	return sync_file_range(file, 0, 0, 0) == 0;
}

static int
slices_write(int file)
{
	struct stat st;
	if (fstat(file, &st) < 0 || st.st_size <= DISK_SLICE_BYTES || !knows_slices(file))
		return 0;
	for (int64_t at = 0; at < st.st_size; at += DISK_SLICE_BYTES) {
		if (sync_file_range(file, at, DISK_SLICE_BYTES, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER) < 0)
			return -1;
		disk_pace_rest();
	}
	return 0;
}

int
disk_pace_sync(int file)
{
	if (pace != NULL && slices_write(file) < 0)
		return -1;
	return (int)syscall(SYS_fdatasync, file);
}
