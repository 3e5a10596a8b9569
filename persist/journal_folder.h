/*
 * journal_folder.h: which segment files a folder holds and what each one is (FORMAT.md, J7..J10), from their headers alone.
 * One thread; changes nothing on the disk.
 */
#ifndef HOLDFAST_PERSIST_JOURNAL_FOLDER_H
#define HOLDFAST_PERSIST_JOURNAL_FOLDER_H

#include "core/base.h"
#include "persist/disk.h"
#include "persist/journal_format.h"
#include "persist/why.h"

#define JOURNAL_NEW_NAME "journal.new" /* a segment while it is made */

struct journal_file {
	uint64_t generation;
	uint64_t bytes;
	uint32_t foreign; /* not 0: the version of its header, which is sound and not ours (J1) */
	bool begun; /* has a valid header: a segment; else a spare */
	bool superseded; /* a later segment begins at or before its first position */
	bool copied; /* not begun, but holds a claim's copy: an unfinished claim */
	bool out_of_place; /* not begun, but a later file is: noise only if the chain goes on without it */
	struct segment_head head; /* when begun */
	const char *damage; /* NULL or what is wrong */
	uint64_t damage_at;
};

struct journal_folder {
	struct journal_file *files; /* by generation */
	size_t files_n, files_max;
	bool new_left; /* a half-made JOURNAL_NEW_NAME */
	bool memory_out;
	bool foreign; /* one of the files is */
};

/*
 * Lists, reads headers and judges. Damage is told in the files. -1: why (the disk failed, or another version of Holdfast wrote the
 * journal). Free it in either case.
 */
int journal_folder_read(struct journal_folder *, struct disk *, struct why *);
void journal_folder_free(struct journal_folder *);

/* The segment that follows files[i]: the next begun one that is not superseded; NULL: files[i] is the last. */
const struct journal_file *journal_folder_after(const struct journal_folder *, size_t i);

/* "cannot `what` the segment: errno's text". */
int journal_why_disk(struct why *, const char *what, uint64_t generation);
int journal_why_damage(struct why *, uint64_t generation, uint64_t offset, const char *what);

#endif
