/*
 * restore.c: restore() and place_look(). In which order things become durable: the copy under its draft name, moved ahead and
 * checked; the journal's founding segment; the image's name.
 */
#include "persist/backup.h"

#include "persist/backup_place.h"
#include "persist/image_private.h"
#include "persist/journal.h"
#include "persist/journal_format.h"

#include <errno.h>
#include <stdio.h>

/* ---- what is there ---- */

/* Drafts that a broken attempt left, LMDB's lock table, and what mkfs puts into a new file system: in nobody's way. */
static bool
is_no_matter(const char *name)
{
	static const char *const names[] = { IMAGE_NEW_NAME, IMAGE_NAME "-lock", "journal.new", "lost+found" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static void
look_at(void *context, const char *name)
{
	struct place_found *found = context;
	uint64_t generation;
	if (is_no_matter(name))
		return;
	if (strcmp(name, IMAGE_NAME) == 0) {
		found->image = true;
	} else if (journal_name_parse(name, &generation)) {
		found->journal = true;
		snprintf(found->journal_name, sizeof(found->journal_name), "%s", name);
	} else if (found->other[0] == '\0') {
		snprintf(found->other, sizeof(found->other), "%s", name);
	}
}

int
place_look(struct disk *disk, const char *path, struct place_found *found, struct why *why)
{
	*found = (struct place_found){ .image = false };
	if (disk->calls->list(disk, look_at, found) < 0)
		return why_say(why, "the folder %s cannot be read: %s", path, strerror(errno));
	return 0;
}

/* ---- restoring ---- */

/* The backup: there, a backup and not a data folder, sound, and not at the end of all positions. */
static int
check_backup(const char *from, const struct progress *progress, struct restored *r, struct why *why)
{
	struct place_found found;
	struct disk *disk;
	if (!disk_posix_is_folder(from))
		return why_say(why, "there is no folder %s", from);
	if ((disk = disk_posix_open(from, why)) == NULL)
		return -1;
	int rc = place_look(disk, from, &found, why);
	disk->calls->end(disk);
	if (rc < 0)
		return -1;
	if (found.journal)
		return why_say(why, "%s is a data folder, no backup: start holdfastd on it, or make a backup of it with `holdfast backup DIR "
		    "--data %s`", from, from);
	if (!found.image)
		return why_say(why, "%s holds no backup: there is no image in it", from);
	if (image_inspect(from, progress, &r->backup, why) < 0) {
		r->damaged = true;
		return -1;
	}
	if (r->backup.meta.seq == 0)
		return why_say(why, "%s holds no backup: nothing was ever written to the image in it", from);
	if (r->backup.meta.seq >= RESTORE_SEQ_MAX - 2 * RESTORE_SKIP)
		return why_say(why, "the backup's position %llu is too near to the last one there can be (2^53), and a restore skips 2^40: post "
		    "the stock into a new data folder instead", (unsigned long long)r->backup.meta.seq);
	return 0;
}

static int
check_place(struct disk *disk, const char *dir, struct why *why)
{
	struct place_found found;
	if (disk->calls->lock(disk) < 0)
		return why_say(why, "%s cannot be locked: %s", dir, errno == EWOULDBLOCK ? "a server or another restore works there" : strerror(errno));
	if (place_look(disk, dir, &found, why) < 0)
		return -1;
	if (!found.image && !found.journal && found.other[0] == '\0')
		return 0;
	return why_say(why, "%s is not empty: it holds %s%s%s. A restore overwrites nothing: give a new folder, or move this one away first", dir,
	    found.image ? "an image" : found.journal ? "" : found.other, found.image && found.journal ? " and " : "",
	    found.journal ? found.journal_name : "");
}

static int
write_draft(const char *from, struct disk *disk, const char *dir, uint64_t seq, const struct progress *progress, struct why *why)
{
	char path[IMAGE_PATH_MAX];
	if (image_path(path, from, IMAGE_NAME, why) < 0)
		return -1;
	struct image *image = image_open_still(path, why);
	int rc = image == NULL ? -1 : image_copy_begin(image, disk, dir, progress, why);
	image_close(image);
	if (rc < 0 || image_path(path, dir, IMAGE_NEW_NAME, why) < 0)
		return -1;
	return image_move_ahead(path, seq, why);
}

static int
write_all(const char *from, struct disk *disk, const char *dir, const struct progress *progress, struct restored *r, struct why *why)
{
	struct image_findings found;
	const struct image_meta *meta = &r->backup.meta;
	if (write_draft(from, disk, dir, r->seq, progress, why) < 0 || journal_found(disk, r->epoch, r->seq, meta->stamp_ms, why) < 0)
		return -1;
	if (image_copy_end(disk, dir, progress, &found, why) < 0)
		return -1;
	if (found.meta.seq != r->seq || memcmp(found.meta.sum, meta->sum, sizeof(meta->sum)) != 0)
		return why_say(why, "the image in %s is not the one that was written: its disk lies", dir);
	return 0;
}

/* What a failed restore leaves is of no use to anybody, and would be in the way of the next. */
static void
remove_draft(struct disk *disk)
{
	char name[JOURNAL_NAME_BYTES];
	journal_name(name, 1);
	disk->calls->remove(disk, name);
	disk->calls->remove(disk, "journal.new");
	disk->calls->remove(disk, IMAGE_NEW_NAME);
	disk->calls->remove(disk, IMAGE_NAME); /* it has its name when only the folder's last sync failed */
}

int
restore(const char *from, const char *dir, const struct progress *progress, struct restored *r, struct why *why)
{
	*r = (struct restored){ .damaged = false };
	if (check_backup(from, progress, r, why) < 0)
		return -1;
	struct disk *disk = disk_posix_open(dir, why);
	if (disk == NULL)
		return -1;
	r->seq = r->backup.meta.seq + RESTORE_SKIP;
	r->epoch = r->backup.meta.epoch + 1;
	int rc = check_place(disk, dir, why);
	if (rc == 0 && (rc = write_all(from, disk, dir, progress, r, why)) < 0)
		remove_draft(disk);
	disk->calls->end(disk);
	return rc;
}
