/*
 * image.c: see image.h. One LMDB environment in the file DIR/image (its lock file beside it), one unnamed database, keys u64
 * in numeric order; image_record.h has the bytes. Only defaults that keep LMDB's promises are used: no NOSYNC, WRITEMAP,
 * DUPSORT or nested transaction.
 *
 * The sum (I2) is kept by read-modify-write: an overwritten record's hash is taken off, the new one's is added, in the
 * transaction that writes both. The base is always the meta record read in that transaction, never the one in memory, so a
 * commit whose outcome is unknown may simply be made again.
 */
#include "persist/image.h"

#include "persist/disk_pace.h"
#include "persist/fold.h"
#include "persist/image_lmdb.h"
#include "persist/image_record.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define MAP_UNIT UINT64_C(4096)
#define REST_RECORDS 512 /* written between two rests: less than a millisecond */

int
image_path(char path[IMAGE_PATH_MAX], const char *dir, const char *name, struct why *why)
{
	int n = snprintf(path, IMAGE_PATH_MAX, "%s/%s", dir, name);
	return n > 0 && n < IMAGE_PATH_MAX ? 0 : why_say(why, "the path of the data folder is too long");
}

int
image_say(struct why *why, const char *path, const char *doing, int rc)
{
	return why_say(why, "image %s: %s: %s", path, doing, mdb_strerror(rc));
}

/* ---- opening ------------------------------------------------------------------------------------------------------ */

const char *
image_meta_get(MDB_txn *txn, MDB_dbi records, struct image_meta *meta)
{
	uint64_t key = RECORD_META_KEY;
	MDB_val k = { 8, &key }, v;
	*meta = (struct image_meta){ 0 };
	int rc = mdb_get(txn, records, &k, &v);
	if (rc == MDB_NOTFOUND)
		return NULL;
	return rc ? mdb_strerror(rc) : record_meta_decode(v.mv_data, v.mv_size, meta);
}

/* Opens the environment at im->path and reads its meta record. */
static int
env_open(struct image *im, struct why *why)
{
	MDB_txn *txn = NULL;
	const char *wrong = NULL;
	int rc = mdb_env_create(&im->env);
	if (rc == 0)
		rc = mdb_env_set_mapsize(im->env, im->map_bytes);
	if (rc == 0)
		rc = mdb_env_open(im->env, im->path, MDB_NOSUBDIR | MDB_NOTLS, IMAGE_FILE_MODE);
	if (rc == 0)
		rc = mdb_txn_begin(im->env, NULL, 0, &txn);
	if (rc == 0)
		rc = mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, &im->records);
	if (rc == 0)
		wrong = image_meta_get(txn, im->records, &im->meta);
	if (rc == 0 && wrong == NULL)
		rc = mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	if (rc == 0 && wrong == NULL)
		return 0;
	mdb_env_close(im->env);
	im->env = NULL;
	return why_say(why, "image %s: cannot be opened: %s", im->path, wrong ? wrong : mdb_strerror(rc));
}

/* A file without any commit is made anew, since a crash may have left half of its first pages. */
static int
remove_unborn(struct disk *disk)
{
	int file = disk->calls->open(disk, IMAGE_NAME, 0);
	if (file < 0)
		return errno == ENOENT ? 0 : -1;
	int64_t bytes = disk->calls->size(disk, file);
	disk->calls->close(disk, file);
	if (bytes < 0 || (uint64_t)bytes > IMAGE_EMPTY_BYTES)
		return bytes < 0 ? -1 : 0;
	return disk->calls->remove(disk, IMAGE_NAME);
}

/* The folder entry and the first two pages must be durable before any trim relies on a commit behind them. */
static int
open_durable(struct image *im, struct disk *disk, struct why *why)
{
	if (remove_unborn(disk) < 0)
		return image_say(why, im->path, "cannot be looked at", errno);
	if (env_open(im, why) < 0)
		return -1;
	int rc = mdb_env_sync(im->env, 1);
	if (rc == 0 && disk->calls->sync_folder(disk) < 0)
		rc = errno;
	return rc ? image_say(why, im->path, "cannot be synced", rc) : 0;
}

struct image *
image_open(const char *dir, uint64_t map_bytes, struct why *why)
{
	struct image *im = image_new();
	struct disk *disk = NULL;
	if (im == NULL || (im->fold = fold_new()) == NULL) {
		why_say(why, "no memory for the image");
		goto failed;
	}
	im->map_bytes = map_bytes & ~(MAP_UNIT - 1);
	if (image_path(im->path, dir, IMAGE_NAME, why) < 0 || (disk = disk_posix_open(dir, why)) == NULL)
		goto failed;
	if (open_durable(im, disk, why) < 0)
		goto failed;
	im->epoch = im->meta.epoch;
	im->seq = im->meta.seq;
	im->stamp_ms = im->meta.stamp_ms;
	disk->calls->end(disk);
	return im;
failed:
	if (disk != NULL)
		disk->calls->end(disk);
	image_close(im);
	return NULL;
}

struct image *
image_new(void)
{
	struct image *im = calloc(1, sizeof(*im));
	if (im != NULL)
		pthread_mutex_init(&im->lock, NULL);
	return im;
}

void
image_close(struct image *im)
{
	if (im == NULL)
		return;
	ensure(im->snapshots == NULL);
	if (im->env != NULL)
		mdb_env_close(im->env);
	pthread_mutex_destroy(&im->lock);
	fold_free(im->fold);
	free(im);
}

void
image_meta(const struct image *im, struct image_meta *meta)
{
	*meta = im->meta;
}

/* ---- collecting --------------------------------------------------------------------------------------------------- */

static const char *
collect_step(struct image *im, uint64_t seq, const uint8_t *at, const uint8_t *end)
{
	struct entry_bytes e;
	int got;
	while ((got = entry_next(&at, end, &e)) == 1) {
		if (e.kind == 0 || e.kind >= ENTRY_KIND_END || e.key >> RECORD_KIND_SHIFT != 0)
			return "an entry's kind or key is out of range";
		if (fold_put(im->fold, record_key(e.kind, e.key), seq, e.body, e.body_n) < 0)
			return "no memory to collect its entries";
	}
	return got < 0 ? "an entry cannot be read" : NULL;
}

static const char *
collect_steps(struct image *im, const struct log_batch *b)
{
	const uint8_t *at = b->payload, *end = b->payload + b->payload_n, *entries, *entries_end;
	const char *wrong = NULL;
	struct cause cause;
	uint64_t seq = b->first_seq;
	int got = 1;
	while (wrong == NULL && (got = step_next(&at, end, &cause, &entries, &entries_end)) == 1)
		wrong = collect_step(im, seq++, entries, entries_end);
	if (wrong != NULL || got < 0)
		return wrong ? wrong : "a step cannot be read";
	return seq - b->first_seq == b->steps ? NULL : "the number of steps is wrong";
}

int
image_collect(struct image *im, const struct log_batch *b, struct why *why)
{
	const char *wrong = NULL;
	if (im->half)
		wrong = "an earlier batch was half collected";
	else if (b->first_seq != im->seq + 1)
		wrong = "it does not follow what was collected";
	else if ((wrong = collect_steps(im, b)) != NULL)
		im->half = true;
	if (wrong != NULL)
		return why_say(why, "image: the batch at position %llu: %s", (unsigned long long)b->first_seq, wrong);
	im->epoch = b->epoch;
	im->seq = b->first_seq + b->steps - 1;
	im->stamp_ms = b->stamp_ms;
	return 0;
}

uint64_t
image_collected(const struct image *im)
{
	return fold_records(im->fold);
}

uint64_t
image_collected_bytes(const struct image *im)
{
	return fold_bytes(im->fold);
}

uint64_t
image_collected_seq(const struct image *im)
{
	return im->seq;
}

/* ---- committing --------------------------------------------------------------------------------------------------- */

/*
 * Writes one record and keeps the sum. NOOVERWRITE finds the place and, when the key is there, lends the old value; the
 * cursor then stands on it, so that overwriting needs no second search.
 */
static int
put_record(MDB_cursor *cursor, const struct fold_item *item, record_sum *sum, uint64_t *records)
{
	uint64_t key = item->key;
	size_t n = RECORD_HEAD_BYTES + (size_t)item->body_n;
	MDB_val k = { 8, &key }, v = { n, NULL };
	int rc = mdb_cursor_put(cursor, &k, &v, MDB_NOOVERWRITE | MDB_RESERVE);
	if (rc == MDB_KEYEXIST) {
		*sum -= record_hash(key, v.mv_data, v.mv_size);
		v = (MDB_val){ n, NULL };
		rc = mdb_cursor_put(cursor, &k, &v, MDB_CURRENT | MDB_RESERVE);
	} else if (rc == 0) {
		++*records;
	}
	if (rc != 0)
		return rc;
	record_encode(v.mv_data, key, item->seq, item->body, item->body_n);
	*sum += record_hash(key, v.mv_data, n);
	return 0;
}

/* Everything collected and the meta record, in `txn`. 0 or an LMDB code; *meta is the new one. */
static int
put_all(struct image *im, MDB_txn *txn, struct image_meta *meta)
{
	MDB_cursor *cursor;
	record_sum sum;
	uint8_t bytes[RECORD_META_BYTES_MAX];
	uint64_t key = RECORD_META_KEY, n = 0;
	struct fold_walk walk = { 0 };
	struct fold_item item;
	MDB_val k = { 8, &key }, v = { 0, bytes };
	if (image_meta_get(txn, im->records, meta) != NULL)
		return MDB_CORRUPTED;
	memcpy(&sum, meta->sum, sizeof(sum));
	int rc = mdb_cursor_open(txn, im->records, &cursor);
	if (rc)
		return rc;
	while (rc == 0 && fold_next(im->fold, &walk, &item)) {
		rc = put_record(cursor, &item, &sum, &meta->records);
		if (++n % REST_RECORDS == 0)
			disk_pace_rest();
	}
	mdb_cursor_close(cursor);
	memcpy(meta->sum, &sum, sizeof(sum));
	meta->epoch = im->epoch;
	meta->seq = im->seq;
	meta->stamp_ms = im->stamp_ms;
	v.mv_size = record_meta_encode(bytes, meta);
	return rc ? rc : mdb_put(txn, im->records, &k, &v, 0);
}

/* What a commit may need: each record's page anew, at most all there are, and the bodies twice over (the map, the free list). */
static uint64_t
commit_bytes(struct image *im)
{
	uint64_t pages = fold_records(im->fold) * MAP_UNIT, all = image_bytes(im);
	return (pages < all || all == 0 ? pages : all) + 2 * fold_bytes(im->fold) + 16 * MAP_UNIT;
}

static int
commit_failed(struct image *im, int rc, struct why *why)
{
	unsigned long long n = fold_records(im->fold);
	char dir[IMAGE_PATH_MAX];
	if (rc == MDB_MAP_FULL)
		return why_say(why, "image %.300s: %llu records could not be written: its greatest size, %llu bytes, is reached. Way out: start with "
		    "a greater --image-map-bytes", im->path, n, (unsigned long long)im->map_bytes);
	why_say(why, "image %.300s: %llu records could not be written: %s", im->path, n, mdb_strerror(rc));
	snprintf(dir, sizeof(dir), "%.*s", (int)(strlen(im->path) - strlen("/" IMAGE_NAME)), im->path);
	image_say_room(why, rc, dir, commit_bytes(im));
	return -1;
}

/* Closes the environment, with what reads in it, and opens it again. -1: why. */
static int
open_anew(struct image *im, struct why *why)
{
	/* What the opened file shows may be in the page cache only: the journal is not trimmed behind it before a commit. */
	struct image_meta durable = im->meta;
	pthread_mutex_lock(&im->lock);
	image_snapshots_end(im);
	if (im->env != NULL)
		mdb_env_close(im->env);
	im->env = NULL;
	int rc = env_open(im, why);
	pthread_mutex_unlock(&im->lock);
	im->meta = durable;
	return rc;
}

/*
 * A write transaction. After an error in writing a meta page LMDB refuses everything with MDB_PANIC until it is opened again.
 * 0; an LMDB code; -1: why.
 */
static int
begin(struct image *im, MDB_txn **txn, struct why *why)
{
	int stale, rc = MDB_PANIC;
	if (im->env != NULL) {
		mdb_reader_check(im->env, &stale); /* a reader that died would keep old pages from reuse for ever */
		rc = mdb_txn_begin(im->env, NULL, 0, txn);
	}
	if (rc != MDB_PANIC)
		return rc;
	return open_anew(im, why) < 0 ? -1 : mdb_txn_begin(im->env, NULL, 0, txn);
}

int
image_commit(struct image *im, struct why *why)
{
	MDB_txn *txn;
	struct image_meta meta;
	if (im->half)
		return why_say(why, "image %s: a batch was half collected, so nothing is written", im->path);
	if (im->seq == im->meta.seq)
		return 0;
	if (fold_sort(im->fold) < 0)
		return commit_failed(im, ENOMEM, why);
	int rc = begin(im, &txn, why);
	if (rc)
		return rc < 0 ? -1 : commit_failed(im, rc, why);
	rc = put_all(im, txn, &meta);
	if (rc)
		mdb_txn_abort(txn);
	else
		rc = mdb_txn_commit(txn);
	if (rc)
		return commit_failed(im, rc, why);
	im->meta = meta;
	fold_clear(im->fold);
	return 0;
}
