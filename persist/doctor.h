/*
 * doctor.h: the offline check of a data folder: every batch of the journal, every page and record of the image, whether the two
 * fit together, and what to do. Plain data for whoever shows it (`holdfast doctor DIR`, for people or as JSON). Changes nothing,
 * never prints. Before any thread exists (the image is checked in a child).
 */
#ifndef HOLDFAST_PERSIST_DOCTOR_H
#define HOLDFAST_PERSIST_DOCTOR_H

#include "persist/disk.h"
#include "persist/image.h"
#include "persist/journal.h"

enum doctor_verdict {
	DOCTOR_SOUND, /* a start finds everything */
	DOCTOR_TORN, /* the same, after the start has cut a torn tail that was never acknowledged */
	DOCTOR_EMPTY, /* no position in it yet */
	DOCTOR_IMAGE_DAMAGED,
	DOCTOR_JOURNAL_DAMAGED,
	DOCTOR_GAP, /* the journal begins behind the image's end */
	DOCTOR_IMAGE_AHEAD, /* the journal ends before the image: its end is lost */
};
/* "sound", "torn", "empty", "image_damaged", "journal_damaged", "gap", "image_ahead" */
const char *doctor_verdict_name(enum doctor_verdict);
/* Whether a server would start. */
bool doctor_verdict_good(enum doctor_verdict);

struct doctor_journal {
	uint64_t segments, spares, superseded; /* files in use; ready for use; about to be recycled */
	uint64_t batches, bytes;
	uint64_t oldest_seq, last_seq; /* 0: empty */
	uint64_t epoch;
	bool torn, damaged, closed; /* closed: the last segment carries a close marker */
	struct why damage; /* file, offset and what is wrong, of the first damage */
	/* When damaged: the files behind the last damage, if any; with a later image they are all that a start needs. */
	char sound_file[32];
	uint64_t sound_from, sound_last; /* 0: none */
};

struct doctor_image {
	bool sound;
	struct image_findings found; /* .exists false: there is none */
	struct why damage;
};

struct doctor_report {
	struct doctor_journal journal;
	struct doctor_image image;
	bool copy_asked;
	struct doctor_image copy; /* the restore point, when asked for */
	bool rebuild, restore; /* the journal alone has everything; the copy and the journal have everything */
	bool cut; /* the journal is damaged, but the image and what is behind the damage have everything */
	enum doctor_verdict verdict;
	struct why summary; /* one sentence */
	struct why way_out; /* one sentence; empty when the verdict is good */
};

/*
 * Checks folder `dir`, under its lock. `copy`: the folder of the image's copy, or NULL. `each` (may be NULL) is called for every
 * journal file; progress: may be NULL. 0: the report is filled, damage included; -1: why (no such folder, a server has it, the disk fails).
 */
int doctor_examine(const char *dir, const char *copy, void (*each)(void *context, const struct journal_finding *), void *context,
    const struct progress *, struct doctor_report *, struct why *);
/* The same for who holds the lock already: `disk` is the folder `dir`. */
int doctor_look(const char *dir, struct disk *disk, const char *copy, void (*each)(void *context, const struct journal_finding *),
    void *context, const struct progress *, struct doctor_report *, struct why *);

#endif
