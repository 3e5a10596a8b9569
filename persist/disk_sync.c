/*
 * disk_sync.c: the program's fdatasync, for our files and for LMDB's, which the dynamic linker resolves to it: disk_pace.h says why. It
 * stands alone, so that a test that brings its own gets that.
 */
#include "persist/disk_pace.h"

#include <unistd.h>

int
fdatasync(int file)
{
	return disk_pace_sync(file);
}
