/* backup.c: see backup.h. What is copied and how it is checked is image_copy.c's; here is judged from where and to where. */
#include "persist/backup.h"

#include "persist/backup_place.h"
#include "persist/image_private.h"
#include "persist/journal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct backup {
	struct disk *data; /* locked, unless it is in use */
	bool in_use;
	struct image *image;
	uint64_t journal_seq;
	struct why journal_damage; /* of a folder at rest; empty: none */
};

/* ---- from where ---- */

struct walk {
	const struct progress *progress;
	uint64_t last_seq;
	struct why damage; /* the first one */
};

static void
add_finding(void *context, const struct journal_finding *f)
{
	struct walk *w = context;
	if (f->state == JOURNAL_DAMAGED && w->damage.text[0] == '\0')
		why_say(&w->damage, "journal file %s is damaged at offset %llu: %s", f->name, (unsigned long long)f->offset, f->detail);
	if (f->state != JOURNAL_SPARE && f->state != JOURNAL_SUPERSEDED && f->last_seq > w->last_seq)
		w->last_seq = f->last_seq;
	progress_tell(w->progress, "reading the journal", f->nth, f->of);
}

/* Nobody works in it: whole checks of both, then the image as it stands. */
static struct image *
open_stopped(struct backup *b, const char *data, const struct progress *progress, struct why *why)
{
	char path[IMAGE_PATH_MAX];
	struct walk walk = { .progress = progress };
	struct image_findings found;
	struct why inner;
	if (image_inspect(data, progress, &found, &inner) < 0) {
		why_say(why, "%.400s. `holdfast doctor %.80s` says what can be done", inner.text, data);
		return NULL;
	}
	if (journal_inspect(b->data, add_finding, &walk, why) < 0 || image_path(path, data, IMAGE_NAME, why) < 0)
		return NULL;
	b->journal_damage = walk.damage;
	b->journal_seq = walk.last_seq;
	return image_open_still(path, why);
}

static int
open_image(struct backup *b, const char *data, const struct progress *progress, struct why *why)
{
	int64_t bytes = image_file_bytes(b->data, IMAGE_NAME);
	if (bytes < 0 && errno == ENOENT)
		return why_say(why, "%s is no data folder: there is no image in it", data);
	if (bytes < 0)
		return why_say(why, "%s/%s cannot be looked at: %s%s", data, IMAGE_NAME, strerror(errno),
		    errno == EACCES ? ": run this as the server's user" : "");
	b->image = b->in_use ? image_open_beside(data, why) : open_stopped(b, data, progress, why);
	return b->image == NULL ? -1 : 0;
}

struct backup *
backup_open(const char *data, const struct progress *progress, struct why *why)
{
	struct backup *b = calloc(1, sizeof(*b));
	if (b == NULL) {
		why_say(why, "no memory");
		return NULL;
	}
	if (!disk_posix_is_folder(data)) {
		why_say(why, "there is no folder %s on this machine", data);
	} else if ((b->data = disk_posix_open(data, why)) != NULL) {
		b->in_use = b->data->calls->lock(b->data) < 0;
		if (b->in_use && errno != EWOULDBLOCK)
			why_say(why, "%s cannot be locked: %s", data, strerror(errno));
		else if (open_image(b, data, progress, why) == 0)
			return b;
	}
	backup_close(b);
	return NULL;
}

void
backup_close(struct backup *b)
{
	if (b == NULL)
		return;
	image_close(b->image);
	if (b->data != NULL)
		b->data->calls->end(b->data);
	free(b);
}

bool
backup_in_use(const struct backup *b)
{
	return b->in_use;
}

uint64_t
backup_seq(const struct backup *b)
{
	struct image_meta meta;
	image_meta(b->image, &meta);
	return meta.seq;
}

uint64_t
backup_journal_seq(const struct backup *b)
{
	return b->journal_seq;
}

const char *
backup_journal_damage(const struct backup *b)
{
	return b->journal_damage.text[0] ? b->journal_damage.text : NULL;
}

/* ---- to where ---- */

/* New, empty, or with a backup that is not ahead of the one to come (another server's, or an older state of this one). */
static int
check_place(struct disk *disk, const char *to, uint64_t seq, const struct progress *progress, struct why *why)
{
	struct place_found found;
	struct image_findings earlier;
	struct why damage;
	if (place_look(disk, to, &found, why) < 0)
		return -1;
	if (found.journal)
		return why_say(why, "%s is a server's data folder: a backup needs a folder of its own, new or empty", to);
	if (found.other[0])
		return why_say(why, "%s holds '%s', which is no part of a backup: give a new or empty folder", to, found.other);
	if (found.image && image_inspect(to, progress, &earlier, &damage) == 0 && earlier.meta.seq > seq)
		return why_say(why, "%s holds a backup up to position %llu, which is ahead of this one (%llu): give another folder, or remove "
		    "that backup first", to, (unsigned long long)earlier.meta.seq, (unsigned long long)seq);
	return 0;
}

int
backup_copy(struct backup *b, const char *to, const struct progress *progress, struct image_findings *found, struct why *why)
{
	struct disk *disk = disk_posix_open(to, why);
	int rc = -1;
	if (disk == NULL)
		return -1;
	if (disk->calls->lock(disk) < 0)
		why_say(why, "%s cannot be locked: %s", to, errno == EWOULDBLOCK ? "another backup or a server works there" : strerror(errno));
	else if (check_place(disk, to, backup_seq(b), progress, why) == 0 &&
	    (rc = image_copy_begin(b->image, disk, to, progress, why)) == 0 && (rc = image_copy_end(disk, to, progress, found, why)) < 0)
		disk->calls->remove(disk, IMAGE_NEW_NAME);
	disk->calls->end(disk);
	return rc;
}
