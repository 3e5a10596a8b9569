/*
 * doctor.c: see doctor.h. Nothing is judged twice: the journal's own walk and the image's own check find the damage; here it is
 * only weighed which of the parts, alone or together, still have everything.
 */
#include "persist/doctor.h"
#include "persist/why.h"

#include <errno.h>
#include <stdio.h>

static const char *const verdict_names[] = {
	[DOCTOR_SOUND] = "sound",
	[DOCTOR_TORN] = "torn",
	[DOCTOR_EMPTY] = "empty",
	[DOCTOR_IMAGE_DAMAGED] = "image_damaged",
	[DOCTOR_JOURNAL_DAMAGED] = "journal_damaged",
	[DOCTOR_GAP] = "gap",
	[DOCTOR_IMAGE_AHEAD] = "image_ahead",
};

const char *
doctor_verdict_name(enum doctor_verdict verdict)
{
	return verdict_names[verdict];
}

bool
doctor_verdict_good(enum doctor_verdict verdict)
{
	return verdict == DOCTOR_SOUND || verdict == DOCTOR_TORN || verdict == DOCTOR_EMPTY;
}

/* ---- looking ------------------------------------------------------------------------------------------------------ */

struct look {
	struct doctor_journal *journal;
	void (*each)(void *context, const struct journal_finding *);
	void *context;
	const struct progress *progress;
};

/* A file in use: the findings come oldest first. */
static void
add_segment(struct doctor_journal *j, const struct journal_finding *f)
{
	if (j->segments++ == 0)
		j->oldest_seq = f->first_seq;
	j->last_seq = f->last_seq;
	j->epoch = f->epoch;
	j->batches += f->batches;
	j->bytes += f->bytes;
	j->torn |= f->state == JOURNAL_TORN;
	j->closed = f->state == JOURNAL_CLOSED;
}

/* What is behind damage cannot be reached from before it; but an image that ends there can go on with it. */
static void
add_sound(struct doctor_journal *j, const struct journal_finding *f)
{
	if (f->state == JOURNAL_DAMAGED) {
		j->sound_from = j->sound_last = 0;
		return;
	}
	if (j->sound_from == 0) {
		j->sound_from = f->first_seq;
		snprintf(j->sound_file, sizeof(j->sound_file), "%s", f->name);
	}
	j->sound_last = f->last_seq;
}

static void
add_finding(void *context, const struct journal_finding *f)
{
	struct look *look = context;
	struct doctor_journal *j = look->journal;
	if (f->state == JOURNAL_SPARE)
		j->spares++;
	else if (f->state == JOURNAL_SUPERSEDED)
		j->superseded++;
	else if (!j->damaged)
		add_segment(j, f);
	else
		add_sound(j, f);
	if (f->state == JOURNAL_DAMAGED && !j->damaged) {
		j->damaged = true;
		why_say(&j->damage, "journal file %s is damaged at offset %llu: %s", f->name, (unsigned long long)f->offset, f->detail);
	}
	if (look->each != NULL)
		look->each(look->context, f);
	progress_tell(look->progress, "reading the journal", f->nth, f->of);
}

static void
look_at_image(const char *dir, const struct progress *progress, struct doctor_image *image)
{
	image->sound = image_inspect(dir, progress, &image->found, &image->damage) == 0;
	if (image->sound)
		image->damage.text[0] = '\0';
}

/* ---- weighing ----------------------------------------------------------------------------------------------------- */

/*
 * Whether an image that ends at seq and the journal (behind its damage, if there is any) have everything: it ends inside the
 * journal or right before it.
 */
static bool
fits(const struct doctor_journal *j, const struct doctor_image *image)
{
	uint64_t seq = image->found.meta.seq, from = j->damaged ? j->sound_from : j->oldest_seq, last = j->damaged ? j->sound_last : j->last_seq;
	return image->sound && (!j->damaged || (from > 0 && image->found.exists)) && seq + 1 >= from && seq <= last;
}

static enum doctor_verdict
judge(const struct doctor_report *r)
{
	const struct doctor_journal *j = &r->journal;
	if (j->damaged)
		return DOCTOR_JOURNAL_DAMAGED;
	if (!r->image.sound)
		return DOCTOR_IMAGE_DAMAGED;
	if (r->image.found.meta.seq > j->last_seq)
		return DOCTOR_IMAGE_AHEAD;
	if (r->image.found.meta.seq + 1 < j->oldest_seq)
		return DOCTOR_GAP;
	if (j->torn)
		return DOCTOR_TORN;
	return j->last_seq == 0 ? DOCTOR_EMPTY : DOCTOR_SOUND;
}

static void
summarize(struct doctor_report *r)
{
	unsigned long long image = r->image.found.meta.seq, oldest = r->journal.oldest_seq, last = r->journal.last_seq;
	switch (r->verdict) {
	case DOCTOR_SOUND:
		why_say(&r->summary, "sound: the image ends at position %llu, the journal at %llu", image, last);
		return;
	case DOCTOR_TORN:
		why_say(&r->summary, "sound up to position %llu; behind it is the torn rest of a batch that was never acknowledged", last);
		return;
	case DOCTOR_EMPTY:
		why_say(&r->summary, "empty: nothing was ever written here");
		return;
	case DOCTOR_IMAGE_DAMAGED:
		r->summary = r->image.damage;
		return;
	case DOCTOR_JOURNAL_DAMAGED:
		r->summary = r->journal.damage;
		return;
	case DOCTOR_GAP:
		why_say(&r->summary, "the image ends at position %llu, but the journal begins at %llu: what is between is missing", image, oldest);
		return;
	case DOCTOR_IMAGE_AHEAD:
		why_say(&r->summary, "the image stands at position %llu, but the journal ends at %llu: its end is lost", image, last);
		return;
	}
}

/* The journal is damaged, or its end is lost: who has what is behind? */
static void
find_way_out_of_journal(struct doctor_report *r, const char *dir, const char *copy)
{
	const struct doctor_journal *j = &r->journal;
	unsigned long long image = r->image.found.meta.seq;
	if (r->cut)
		why_say(&r->way_out, "move the journal files before %s out of %.200s and start: the image ends at position %llu, behind the damage",
		    j->sound_file, dir, image);
	else if (j->damaged && r->restore)
		why_say(&r->way_out, "copy %.150s/image over %.150s/image, move the journal files before %s out of it and start: the copy ends at position %llu, "
		    "behind the damage", copy, dir, j->sound_file, (unsigned long long)r->copy.found.meta.seq);
	else if (r->image.sound && image > 0)
		why_say(&r->way_out, "put the journal back from a copy of the folder. If there is none: `holdfast backup B --data %.150s --now`, then `holdfast "
		    "restore B --data NEW` has everything up to position %llu, and nothing that came after it", dir, image);
	else
		why_say(&r->way_out, "put the journal back from a backup; nothing else has what is behind the damage");
}

/* Removing the image is offered only when the journal has every position since the first, up to where the image was. */
static void
find_way_out(struct doctor_report *r, const char *dir, const char *copy)
{
	const struct doctor_journal *j = &r->journal;
	unsigned long long oldest = j->oldest_seq;
	r->rebuild = !j->damaged && j->oldest_seq <= 1 && r->image.found.meta.seq <= j->last_seq;
	r->restore = r->copy_asked && r->copy.found.exists && fits(j, &r->copy);
	r->cut = j->damaged && fits(j, &r->image);
	r->way_out.text[0] = '\0';
	if (doctor_verdict_good(r->verdict))
		return;
	if (r->verdict == DOCTOR_JOURNAL_DAMAGED || r->verdict == DOCTOR_IMAGE_AHEAD)
		find_way_out_of_journal(r, dir, copy);
	else if (r->rebuild)
		why_say(&r->way_out, "remove %.400s/image and start: the journal reaches back to position 1, so all of it is built again", dir);
	else if (r->restore)
		why_say(&r->way_out, "copy %.200s/image over %.200s/image and start: the journal goes on from it", copy, dir);
	else
		why_say(&r->way_out, "put the image back from a backup (or the folder of --image-copy) that ends at position %llu or later: the journal begins "
		    "at %llu. `holdfast doctor %.120s --copy BACKUP` says whether one fits", oldest - 1, oldest, dir);
}

int
doctor_look(const char *dir, struct disk *disk, const char *copy, void (*each)(void *context, const struct journal_finding *),
    void *context, const struct progress *progress, struct doctor_report *r, struct why *why)
{
	struct look look = { &r->journal, each, context, progress };
	*r = (struct doctor_report){ .copy_asked = copy != NULL };
	if (journal_inspect(disk, add_finding, &look, why) < 0)
		return -1;
	look_at_image(dir, progress, &r->image);
	if (copy != NULL)
		look_at_image(copy, progress, &r->copy);
	r->verdict = judge(r);
	summarize(r);
	find_way_out(r, dir, copy);
	return 0;
}

int
doctor_examine(const char *dir, const char *copy, void (*each)(void *context, const struct journal_finding *), void *context,
    const struct progress *progress, struct doctor_report *r, struct why *why)
{
	if (!disk_posix_is_folder(dir)) {
		why_say(why, "there is no folder %s", dir);
		return -1;
	}
	struct disk *disk = disk_posix_open(dir, why);
	if (disk == NULL)
		return -1;
	int rc = -1;
	if (disk->calls->lock(disk) < 0)
		why_say(why, "%s %s", dir, errno == EWOULDBLOCK ? "is in use by a server: stop it first" : strerror(errno));
	else
		rc = doctor_look(dir, disk, copy, each, context, progress, r, why);
	disk->calls->end(disk);
	return rc;
}
