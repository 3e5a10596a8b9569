/*
 * image_copy.c: restore points: a compact copy of the image elsewhere, and the way back. A copy takes its name only after every
 * record of it was checked and the file is durable, so that what carries the name `image` is always whole.
 */
#include "persist/image_private.h"

#include <errno.h>

static int
sync_file(struct disk *disk, const char *name)
{
	int file = disk->calls->open(disk, name, 0);
	if (file < 0)
		return -1;
	int rc = disk->calls->sync(disk, file);
	int error = errno;
	disk->calls->close(disk, file);
	errno = error;
	return rc;
}

/* LMDB calls a write that the full disk cut short an I/O error, so that one is judged by what is left. */
void
image_say_room(struct why *why, int rc, const char *folder, uint64_t needed)
{
	struct why said = *why, ignored;
	struct disk *disk = disk_posix_is_folder(folder) ? disk_posix_open(folder, &ignored) : NULL;
	int64_t left = disk ? disk->calls->free_bytes(disk) : -1;
	if (disk)
		disk->calls->end(disk);
	if (rc == ENOSPC || rc == EDQUOT || rc == EFBIG || (rc == EIO && left >= 0 && (uint64_t)left < needed))
		why_say(why, "%.250s. Way out: make room: up to %llu MiB are needed, the folder %.120s has %lld MiB left", said.text,
		    (unsigned long long)(needed >> 20) + 1, folder, (long long)(left < 0 ? 0 : left >> 20));
}

int
image_copy_begin(struct image *im, struct disk *disk, const char *to, const struct progress *progress, struct why *why)
{
	char path[IMAGE_PATH_MAX];
	if (image_path(path, to, IMAGE_NEW_NAME, why) < 0)
		return -1;
	if (disk->calls->remove(disk, IMAGE_NEW_NAME) < 0 && errno != ENOENT)
		return why_say(why, "image %s: an unfinished copy cannot be removed: %s", path, strerror(errno));
	int rc = image_copy_compact(im, disk, IMAGE_NEW_NAME, path, progress, why);
	if (rc == 0)
		return 0;
	disk->calls->remove(disk, IMAGE_NEW_NAME); /* first, so that what it took counts as room */
	image_say_room(why, rc, to, image_bytes(im));
	return -1;
}

int
image_copy_end(struct disk *disk, const char *to, const struct progress *progress, struct image_findings *found, struct why *why)
{
	struct image_watch watch = { .progress = progress, .phase = "checking the copy" };
	struct image_sink sink = image_watch(&watch);
	char path[IMAGE_PATH_MAX];
	if (image_path(path, to, IMAGE_NEW_NAME, why) < 0)
		return -1;
	if (sync_file(disk, IMAGE_NEW_NAME) < 0)
		return why_say(why, "image %s: the copy cannot be synced: %s", path, strerror(errno));
	if (image_check_file(disk, IMAGE_NEW_NAME, path, progress ? &sink : NULL, found, why) < 0)
		return -1;
	if (disk->calls->rename(disk, IMAGE_NEW_NAME, IMAGE_NAME) < 0 || disk->calls->sync_folder(disk) < 0)
		return why_say(why, "image %s: the copy cannot be renamed: %s", path, strerror(errno));
	return 0;
}

int
image_copy(struct image *im, const char *to, struct image_findings *found, struct why *why)
{
	struct image_findings ignored;
	struct disk *disk = disk_posix_open(to, why);
	if (disk == NULL)
		return -1;
	int rc = image_copy_begin(im, disk, to, NULL, why);
	if (rc == 0 && (rc = image_copy_end(disk, to, NULL, found ? found : &ignored, why)) < 0)
		disk->calls->remove(disk, IMAGE_NEW_NAME);
	disk->calls->end(disk);
	return rc;
}

int
image_restore(const char *dir, const char *from, struct why *why)
{
	char path[IMAGE_PATH_MAX];
	if (image_verify(from, why) < 0 || image_path(path, from, IMAGE_NAME, why) < 0)
		return -1;
	struct image *copy = image_open_still(path, why);
	int rc = copy == NULL ? -1 : image_copy(copy, dir, NULL, why);
	image_close(copy);
	return rc;
}
