/*
 * image_still.c: an image opened by somebody who does not fold: as it stands and unguarded (nobody writes it), beside the server
 * that writes it, and the one change that a restore makes to its copy.
 */
#include "persist/image_lmdb.h"
#include "persist/image_record.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#define COPY_LOOK_MS 100

/*
 * Opens for reading with further flags and reads the meta record. The map is as long as the file says (the server's limit), since
 * a server beside may have made the file longer a moment later.
 */
static struct image *
open_read(const char *path, unsigned flags, struct why *why)
{
	struct image *im = image_new();
	MDB_txn *txn = NULL;
	const char *wrong = NULL;
	int rc = im == NULL ? ENOMEM : mdb_env_create(&im->env);
	if (rc == 0)
		rc = mdb_env_open(im->env, path, MDB_NOSUBDIR | MDB_RDONLY | MDB_NOTLS | flags, IMAGE_FILE_MODE);
	if (rc == 0)
		rc = mdb_txn_begin(im->env, NULL, MDB_RDONLY, &txn);
	if (rc == 0)
		rc = mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, &im->records);
	if (rc == 0)
		wrong = image_meta_get(txn, im->records, &im->meta);
	mdb_txn_abort(txn);
	if (rc == 0 && wrong == NULL)
		return im;
	why_say(why, "image %.300s: LMDB does not open it: %s%s", path, wrong ? wrong : mdb_strerror(rc),
	    rc == EACCES ? ": run this as the server's user" : "");
	image_close(im);
	return NULL;
}

struct image *
image_open_still(const char *path, struct why *why)
{
	return open_read(path, MDB_NOLOCK, why);
}

struct image *
image_open_beside(const char *dir, struct why *why)
{
	char path[IMAGE_PATH_MAX];
	return image_path(path, dir, IMAGE_NAME, why) < 0 ? NULL : open_read(path, 0, why);
}

uint64_t
image_bytes(struct image *im)
{
	MDB_envinfo info = { .me_last_pgno = 0 };
	MDB_stat stat = { .ms_psize = 0 };
	if (im->env != NULL && mdb_env_info(im->env, &info) == 0 && mdb_env_stat(im->env, &stat) == 0)
		return (info.me_last_pgno + 1) * (uint64_t)stat.ms_psize;
	return 0;
}

/* The last key before the next kind's first. */
static uint64_t
key_end(MDB_cursor *cursor, enum entry_kind kind)
{
	uint64_t next = record_key(kind + 1, 0), last;
	MDB_val k = { 8, &next }, v;
	int rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
	rc = mdb_cursor_get(cursor, &k, &v, rc == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
	if (rc != 0 || k.mv_size != 8)
		return 0;
	memcpy(&last, k.mv_data, 8);
	return record_kind(last) == kind ? record_entry_key(last) + 1 : 0;
}

void
image_key_ends(struct image *im, uint64_t ends[ENTRY_KIND_END])
{
	MDB_txn *txn;
	MDB_cursor *cursor;
	if (mdb_txn_begin(im->env, NULL, MDB_RDONLY, &txn) != 0)
		return;
	if (mdb_cursor_open(txn, im->records, &cursor) == 0) {
		for (enum entry_kind kind = 1; kind < ENTRY_KIND_END; kind++)
			ends[kind] = key_end(cursor, kind);
		mdb_cursor_close(cursor);
	}
	mdb_txn_abort(txn);
}

struct copying {
	MDB_env *env;
	const char *path;
	int rc;
	int ended; /* a pipe's end, closed when the copy is made */
};

static void *
copy_main(void *context)
{
	struct copying *c = context;
	c->rc = mdb_env_copy2(c->env, c->path, MDB_CP_COMPACT);
	close(c->ended);
	return NULL;
}

/* LMDB says nothing while it copies: it does so in a thread of its own, and its file is looked at. LMDB's code. */
static int
copy_watched(struct image *im, struct disk *disk, const char *name, const char *path, const struct progress *progress)
{
	struct copying c = { .env = im->env, .path = path };
	uint64_t of = image_bytes(im);
	pthread_t thread;
	int ends[2], ready;
	if (progress == NULL || pipe(ends) < 0)
		return mdb_env_copy2(im->env, path, MDB_CP_COMPACT);
	c.ended = ends[1];
	progress_tell(progress, "copying", 0, of);
	bool apart = pthread_create(&thread, NULL, copy_main, &c) == 0;
	if (!apart)
		copy_main(&c);
	struct pollfd end = { .fd = ends[0], .events = POLLIN };
	while ((ready = poll(&end, 1, COPY_LOOK_MS)) == 0 || (ready < 0 && errno == EINTR)) {
		int64_t bytes = image_file_bytes(disk, name);
		progress_tell(progress, "copying", bytes < 0 ? 0 : (uint64_t)bytes, of);
	}
	if (apart)
		pthread_join(thread, NULL);
	close(ends[0]);
	return c.rc;
}

int
image_copy_compact(struct image *im, struct disk *disk, const char *name, const char *path, const struct progress *progress, struct why *why)
{
	if (im->env == NULL)
		return why_say(why, "image %s: is not open after an earlier failure", im->path);
	int rc = copy_watched(im, disk, name, path, progress);
	if (rc)
		image_say(why, path, "the copy cannot be written", rc);
	return rc;
}

static void
lost_add(struct image_meta *meta, uint64_t to)
{
	if (meta->lost_n == IMAGE_LOST_MAX) {
		meta->lost[0].to = meta->lost[1].to;
		memmove(meta->lost + 1, meta->lost + 2, (IMAGE_LOST_MAX - 2) * sizeof(meta->lost[0]));
		meta->lost_n--;
	}
	meta->lost[meta->lost_n++] = (struct image_lost){ meta->seq, to };
}

uint64_t
image_lost_until(const struct image_meta *meta, uint64_t seq)
{
	for (uint32_t i = 0; i < meta->lost_n; i++)
		if (seq > meta->lost[i].from && seq < meta->lost[i].to)
			return meta->lost[i].to;
	return 0;
}

/* In one transaction, which LMDB makes durable before it returns. 0, an LMDB code, or -1: *wrong. */
static int
move(MDB_env *env, uint64_t seq, const char **wrong)
{
	MDB_txn *txn;
	MDB_dbi records;
	struct image_meta meta;
	uint8_t bytes[RECORD_META_BYTES_MAX];
	uint64_t key = RECORD_META_KEY;
	MDB_val k = { 8, &key }, v = { 0, bytes };
	int rc = mdb_txn_begin(env, NULL, 0, &txn);
	if (rc)
		return rc;
	rc = mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, &records);
	if (rc == 0 && (*wrong = image_meta_get(txn, records, &meta)) != NULL)
		rc = -1;
	if (rc == 0) {
		ensure(seq >= meta.seq);
		lost_add(&meta, seq);
		meta.seq = seq;
		v.mv_size = record_meta_encode(bytes, &meta);
		rc = mdb_put(txn, records, &k, &v, 0);
	}
	if (rc == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return rc;
}

int
image_move_ahead(const char *path, uint64_t seq, struct why *why)
{
	MDB_env *env = NULL;
	const char *wrong = NULL;
	int rc = mdb_env_create(&env);
	if (rc == 0)
		rc = mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOLOCK, IMAGE_FILE_MODE);
	if (rc == 0)
		rc = move(env, seq, &wrong);
	if (env != NULL)
		mdb_env_close(env);
	if (wrong != NULL)
		return why_say(why, "image %s: %s", path, wrong);
	return rc ? image_say(why, path, "its position cannot be written", rc) : 0;
}
