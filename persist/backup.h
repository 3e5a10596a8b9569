/*
 * backup.h: a backup is a folder with one file, `image`: a compact copy of a data folder's image, every page and record of it
 * checked. backup_* make one, also while a server works in the folder; restore() makes a data folder of one.
 *
 * B1 A folder that holds an earlier backup keeps it, whole, until the new one is checked and durable.
 * B2 What is restored is the fold of everything up to the backup's position and nothing else. Its own first position is 2^40
 *    behind that: no position that the lost server may have given out is given out again, so that who kept one (min_seq, watch
 *    since) meets `gone` or waits, never another history. A backup that is restored a second time begins at the same
 *    positions as the first time: who followed the first restored server must begin anew.
 * B3 A restore goes into a folder without a journal and without an image only; the image gets its name last, so that a folder
 *    whose restore broke off never starts.
 *
 * One thread, before any other exists (images are checked in a child). Never prints: who shows how far it is gives a progress, which may be
 * NULL.
 */
#ifndef HOLDFAST_PERSIST_BACKUP_H
#define HOLDFAST_PERSIST_BACKUP_H

#include "persist/image.h"

struct backup;

/*
 * Opens the image of the data folder `data`. A folder in use is read beside its server; one that is not is locked, and its image
 * and journal are checked first. NULL: why (no such folder, a damaged image, nothing in it yet, no right to read).
 */
struct backup *backup_open(const char *data, const struct progress *, struct why *);
bool backup_in_use(const struct backup *); /* a server works there */
uint64_t backup_seq(const struct backup *); /* the image's position when it was opened */
uint64_t backup_journal_seq(const struct backup *); /* of a folder that is not in use: where its journal ends */
const char *backup_journal_damage(const struct backup *); /* likewise: what is wrong with it; NULL: nothing */
/*
 * Copies into the folder `to`: new, empty, or with an earlier backup that is not ahead of this one. -1: why; what was in it
 * stays as it was.
 */
int backup_copy(struct backup *, const char *to, const struct progress *, struct image_findings *, struct why *);
void backup_close(struct backup *); /* may be NULL */

#define RESTORE_SKIP    (UINT64_C(1) << 40)
#define RESTORE_SEQ_MAX (UINT64_C(1) << 53) /* positions stay below: every msgpack client's integers reach so far */

struct restored {
	struct image_findings backup;
	bool damaged; /* why restore() failed: the backup is */
	uint64_t seq; /* where the new folder stands: the next position is the one behind */
	uint64_t epoch; /* the next start claims one above */
};

/*
 * Makes a data folder `dir` (made when missing) of the backup in folder `from`. -1: why (there is something in it, the backup is
 * damaged, no position is left, the disk is full) and the way out.
 */
int restore(const char *from, const char *dir, const struct progress *, struct restored *, struct why *);

#endif
