/*
 * image_snapshot.c: the image of one instant, read over many calls while the folding thread goes on committing. Each snapshot is
 * one read transaction of LMDB (MDB_NOTLS, so a thread may hold several), which keeps the pages it sees from being reused.
 */
#include "persist/image_lmdb.h"
#include "persist/image_record.h"

#include <errno.h>
#include <stdlib.h>

struct image_snapshot {
	struct image *image;
	struct image_snapshot *after; /* in the image's list */
	MDB_txn *txn; /* NULL: the environment was opened anew */
	MDB_cursor *cursor;
	uint8_t *bytes; /* the record that is lent: a copy, so that an environment may be closed under it */
	size_t bytes_max;
};

/* The transaction, its cursor and its meta record. 0, an LMDB code, or -1: *wrong says what. */
static int
begin(struct image_snapshot *s, struct image_meta *meta, const char **wrong)
{
	struct image *im = s->image;
	int rc = mdb_txn_begin(im->env, NULL, MDB_RDONLY, &s->txn);
	if (rc)
		return rc;
	rc = mdb_cursor_open(s->txn, im->records, &s->cursor);
	if (rc == 0 && (*wrong = image_meta_get(s->txn, im->records, meta)) != NULL)
		rc = -1;
	return rc;
}

static void
end(struct image_snapshot *s)
{
	if (s->cursor != NULL)
		mdb_cursor_close(s->cursor);
	if (s->txn != NULL)
		mdb_txn_abort(s->txn);
	s->cursor = NULL;
	s->txn = NULL;
}

static int
open_locked(struct image_snapshot *s, struct image_meta *meta, struct why *why)
{
	struct image *im = s->image;
	const char *wrong = NULL;
	if (im->env == NULL)
		return why_say(why, "image %s: is not open after an earlier failure", im->path);
	if (im->snapshots_n >= IMAGE_SNAPSHOTS_MAX)
		return why_say(why, "image %s: %d snapshots are open already", im->path, IMAGE_SNAPSHOTS_MAX);
	int rc = begin(s, meta, &wrong);
	if (rc != 0) {
		end(s);
		return wrong ? why_say(why, "image %s: cannot be read: %s", im->path, wrong)
			     : image_say(why, im->path, "cannot be read", rc);
	}
	s->after = im->snapshots;
	im->snapshots = s;
	im->snapshots_n++;
	return 0;
}

struct image_snapshot *
image_snapshot_open(struct image *im, struct image_meta *meta, struct why *why)
{
	struct image_snapshot *s = calloc(1, sizeof(*s));
	if (s == NULL) {
		why_say(why, "no memory for a snapshot of the image");
		return NULL;
	}
	s->image = im;
	pthread_mutex_lock(&im->lock);
	int rc = open_locked(s, meta, why);
	pthread_mutex_unlock(&im->lock);
	if (rc == 0)
		return s;
	free(s);
	return NULL;
}

static int
keep(struct image_snapshot *s, const MDB_val *v)
{
	if (v->mv_size > s->bytes_max) {
		uint8_t *more = realloc(s->bytes, v->mv_size);
		if (more == NULL)
			return -1;
		s->bytes = more;
		s->bytes_max = v->mv_size;
	}
	memcpy(s->bytes, v->mv_data, v->mv_size);
	return 0;
}

/* Finds and copies. 1, 0, or -1 with why. */
static int
next_locked(struct image_snapshot *s, uint64_t *key, MDB_val *v, struct why *why)
{
	MDB_val k = { 8, key };
	if (s->txn == NULL)
		return why_say(why, "image %s: was opened anew after a failure of the disk, so the snapshot is gone", s->image->path);
	int rc = mdb_cursor_get(s->cursor, &k, v, MDB_SET_RANGE);
	if (rc == MDB_NOTFOUND)
		return 0;
	if (rc != 0)
		return image_say(why, s->image->path, "cannot be read", rc);
	if (k.mv_size != 8)
		return why_say(why, "image %s: a key is not 8 bytes long", s->image->path);
	memcpy(key, k.mv_data, 8);
	return keep(s, v) < 0 ? why_say(why, "no memory for a record of the image") : 1;
}

int
image_snapshot_next(struct image_snapshot *s, enum entry_kind kind, uint64_t *key, uint64_t *seq, struct entry_bytes *e, struct why *why)
{
	MDB_val v;
	if (*key >> RECORD_KIND_SHIFT != 0)
		return 0;
	uint64_t at = record_key(kind, *key);
	pthread_mutex_lock(&s->image->lock);
	int got = next_locked(s, &at, &v, why);
	pthread_mutex_unlock(&s->image->lock);
	if (got <= 0 || record_kind(at) != kind)
		return got < 0 ? -1 : 0;
	if (!record_sound(at, s->bytes, v.mv_size))
		return why_say(why, "image %s: record %s %llu: its checksum is wrong", s->image->path, entry_kind_name(kind),
		    (unsigned long long)record_entry_key(at));
	*seq = record_decode(at, s->bytes, v.mv_size, e);
	*key = record_entry_key(at);
	return 1;
}

void
image_snapshot_close(struct image_snapshot *s)
{
	if (s == NULL)
		return;
	struct image *im = s->image;
	pthread_mutex_lock(&im->lock);
	struct image_snapshot **link = &im->snapshots;
	while (*link != s)
		link = &(*link)->after;
	*link = s->after;
	im->snapshots_n--;
	end(s);
	pthread_mutex_unlock(&im->lock);
	free(s->bytes);
	free(s);
}

void
image_snapshots_end(struct image *im)
{
	for (struct image_snapshot *s = im->snapshots; s != NULL; s = s->after)
		end(s);
}
