/*
 * image.h: the LMDB image: for every entry key the latest entry up to one position. It is a fold of the journal that knows no
 * rule of stock: (kind, key) -> position, bytes.
 *
 * I1 A transaction holds all keys changed by the batches up to `seq` and the meta record with seq, stamp, epoch and the sum.
 * I2 Each record carries its own CRC32C; the meta record carries the sum mod 2^128 of the XXH3-128 of all records.
 * I3 The image never passes the durable position, and is never read from the live tables.
 *
 * One thread folds; snapshots may be opened and read on any other.
 */
#ifndef HOLDFAST_PERSIST_IMAGE_H
#define HOLDFAST_PERSIST_IMAGE_H

#include "core/base.h"
#include "core/entry.h"
#include "persist/log.h"
#include "persist/progress.h"

struct image;

/* A restore: what had followed `from` elsewhere is lost, and positions go on behind `to`. */
struct image_lost {
	uint64_t from, to;
};
#define IMAGE_LOST_MAX 16 /* when there are more, the two oldest become one, which takes in what lies between them */

struct image_meta {
	uint64_t epoch, seq; /* folded up to; 0: empty */
	int64_t stamp_ms;
	uint64_t records;
	uint8_t sum[16];
	uint32_t lost_n; /* restores that led here, in the order of positions */
	struct image_lost lost[IMAGE_LOST_MAX];
};

/*
 * Of a position that somebody was told once. 0: what is here goes on from it; else it lies in a part that a restore lost, and the
 * least position behind that part is given.
 */
uint64_t image_lost_until(const struct image_meta *, uint64_t seq);

/* Opens (makes) DIR/image. map_bytes is the greatest size it may reach. NULL: why. */
struct image *image_open(const char *dir, uint64_t map_bytes, struct why *);
void image_close(struct image *);
void image_meta(const struct image *, struct image_meta *);

/* What a check of the whole image found out. */
struct image_findings {
	bool exists; /* false: no image, or one that never had a commit; the rest is 0 then */
	struct image_meta meta;
	uint64_t records_of_kind[ENTRY_KIND_END];
	uint64_t bytes; /* of the file */
	uint64_t pages_used, pages_free, pages_lost; /* lost: in no tree and not free; harmless */
};

/*
 * Checks every record, the sum and LMDB's own pages (pages.h says which damage is found) in a child process, since LMDB may
 * crash on a damaged page. Call it before image_open and before any thread exists. 0: sound (or no image yet); -1: why says
 * what is damaged. Nobody may write the image meanwhile.
 */
int image_verify(const char *dir, struct why *);
/* The same, and what was found up to the damage. progress: may be NULL. */
int image_inspect(const char *dir, const struct progress *, struct image_findings *, struct why *);

/*
 * The same in one pass with a load: the pages are checked here and now, by code that follows no offset unchecked, and each record goes to
 * the sink as it is found sound, in the order of keys, which is recovery's. What it got counts only when 0 is returned: the
 * sum over all comes last.
 */
struct image_sink {
	void (*begin)(void *context, const struct image_meta *); /* before the first record; not called when there is no image */
	void (*record)(void *context, uint64_t seq, const struct entry_bytes *); /* lent until it returns */
	void *context;
};
struct image_probe;
int image_inspect_into(const char *dir, const struct image_probe *, const struct image_sink *, struct image_findings *, struct why *);

/*
 * What remains to a child process is LMDB's own opening, before that and before any thread exists. Never fails: what it complains of is
 * judged by image_inspect_into (to which NULL is a probe that was not made).
 */
struct image_probe {
	int opened; /* -1: why */
	struct image_findings found; /* meta; records_of_kind: the greatest key of each kind and one more, where keys are dense a count; unchecked */
	struct why why;
};
void image_probe(const char *dir, struct image_probe *);

/*
 * Collects a batch's entries, coalesced per key, in memory. -1: the payload is damaged, or does not follow the last one, or
 * memory is out; the image then takes and commits nothing more until it is opened again (half a batch is no fold).
 */
int image_collect(struct image *, const struct log_batch *, struct why *);
uint64_t image_collected(const struct image *); /* records waiting */
uint64_t image_collected_bytes(const struct image *); /* memory that their bodies take */
uint64_t image_collected_seq(const struct image *); /* collected up to; never below the meta's seq */
/* Writes what was collected, sorted, in one transaction. -1: why (map full, disk full); what was collected is kept. */
int image_commit(struct image *, struct why *);

/*
 * The records of one instant, by kind and key, over as many calls as it takes while commits go on. A snapshot belongs to one
 * thread at a time, not the folding one; a thread may hold several. While it is open the pages it sees are not reused, so the
 * file grows by what is overwritten meanwhile: whoever opens one bounds its age. All are closed before the image.
 */
struct image_snapshot;
#define IMAGE_SNAPSHOTS_MAX 64 /* open at once; LMDB has places for 126 readers, the rest is for reporting tools */
/* *meta is the instant's. Its seq is 0 before the first commit. NULL: why. */
struct image_snapshot *image_snapshot_open(struct image *, struct image_meta *meta, struct why *);
/*
 * The first record of that kind with a key >= *key, checked. 1: found, *key is its key (go on at *key + 1); *e is lent until the
 * next call. 0: none of that kind is left. -1: why: damage, or the image was opened anew after a failure of the disk and the
 * instant with it is gone.
 */
int image_snapshot_next(struct image_snapshot *, enum entry_kind, uint64_t *key, uint64_t *seq, struct entry_bytes *e, struct why *);
void image_snapshot_close(struct image_snapshot *); /* may be NULL */

/*
 * A compact copy of the image in the folder `to` (made when missing), checked whole before it takes the place of an earlier
 * copy: a restore point. *found (may be NULL) is what the check of the copy found. Reads in a transaction of its own. -1: why,
 * of a full disk with what is needed and what is there; an earlier copy stays.
 */
int image_copy(struct image *, const char *to, struct image_findings *found, struct why *);
/*
 * The image of a folder whose server may be running: for image_meta (as of now), image_copy and image_close only. NULL: why.
 */
struct image *image_open_beside(const char *dir, struct why *);
/* Puts the copy in folder `from` in the place of DIR/image, checked first. The image must not be open. -1: why. */
int image_restore(const char *dir, const char *from, struct why *);

#endif
