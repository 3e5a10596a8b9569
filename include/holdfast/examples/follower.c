/*
 * follower.c: keeps a copy of a server's stock in a file of its own, as a search index or a cache would: begins with a snapshot,
 * goes on with the changes behind it, and may be killed at any moment. The file is an LMDB database: `stock` has for each cell
 * (SKU, zero byte, location) its position, ATS and on hand; `place` has `since`, the position up to which it is complete.
 *
 *   follower PORT FILE                follows until it is told to end (SIGTERM, SIGINT)
 *   follower --until SEQ PORT FILE    the same, and ends once the copy has reached that position
 *   follower --check PORT FILE        compares the copy with a scan of the server, which must be quiet; exit 0: equal
 *
 * F1: changes and the `since` behind them are written in one transaction: whatever is killed, nothing is lost or applied to the
 *     wrong past. What was received and not written is told again by the server.
 * F2: without `since` the copy is not whole (a snapshot was cut off): it begins again.
 */
#include <holdfast/async.h>

#include <lmdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define FILE_BYTES_MAX ((size_t)16 << 30) /* of address space; the file has what it needs */
#define KEY_BYTES_MAX (64 + 1 + 32)
#define CHANGES_EACH_COMMIT 50000
#define DIFFERENCES_SHOWN 5

struct cell {
	int64_t seq, ats, on_hand;
};

struct copy {
	struct hf *hf;
	MDB_env *env;
	MDB_txn *txn; /* NULL: nothing to be written */
	MDB_dbi stock, place;
	uint32_t unwritten; /* changes in txn */
	int64_t since; /* -1: not whole */
	int64_t snapshot; /* the position of the one under way */
};

static volatile sig_atomic_t told_to_end;

static void
on_signal(int number)
{
	told_to_end = 1;
}

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "follower: %s: %s\n", what, why);
	exit(1);
}

/* ---- the file ---- */

static void
must(int error, const char *what)
{
	if (error)
		die(what, mdb_strerror(error));
}

static void
copy_begin(struct copy *c)
{
	if (!c->txn)
		must(mdb_txn_begin(c->env, NULL, 0, &c->txn), "begin");
}

static void
copy_commit(struct copy *c)
{
	MDB_val key = { 5, "since" }, value = { sizeof c->since, &c->since };
	if (!c->txn)
		return;
	if (c->since >= 0)
		must(mdb_put(c->txn, c->place, &key, &value, 0), "since");
	must(mdb_txn_commit(c->txn), "commit");
	c->txn = NULL;
	c->unwritten = 0;
}

static void
copy_open(struct copy *c, const char *file)
{
	MDB_val key = { 5, "since" }, value;
	must(mdb_env_create(&c->env), "memory");
	must(mdb_env_set_maxdbs(c->env, 2), file);
	must(mdb_env_set_mapsize(c->env, FILE_BYTES_MAX), file);
	must(mdb_env_open(c->env, file, MDB_NOSUBDIR, 0644), file);
	copy_begin(c);
	must(mdb_dbi_open(c->txn, "stock", MDB_CREATE, &c->stock), file);
	must(mdb_dbi_open(c->txn, "place", MDB_CREATE, &c->place), file);
	c->since = -1;
	if (mdb_get(c->txn, c->place, &key, &value) == 0 && value.mv_size == sizeof c->since)
		memcpy(&c->since, value.mv_data, sizeof c->since);
	copy_commit(c);
}

/* A key is built in `bytes`; false: these are no names. */
static bool
key_of(const struct hf_value *sku, const struct hf_value *location, char *bytes, MDB_val *key)
{
	if (sku->type != HF_STR || location->type != HF_STR || sku->str.n + 1 + location->str.n > KEY_BYTES_MAX)
		return false;
	memcpy(bytes, sku->str.at, sku->str.n);
	bytes[sku->str.n] = 0;
	memcpy(bytes + sku->str.n + 1, location->str.at, location->str.n);
	*key = (MDB_val){ sku->str.n + 1 + location->str.n, bytes };
	return true;
}

static void
copy_put(struct copy *c, const struct hf_value *sku, const struct hf_value *location, struct cell cell)
{
	char bytes[KEY_BYTES_MAX];
	MDB_val key, value = { sizeof cell, &cell };
	if (!key_of(sku, location, bytes, &key))
		die("the server", "sent a cell without names");
	copy_begin(c);
	must(mdb_put(c->txn, c->stock, &key, &value, 0), "put");
	if (++c->unwritten >= CHANGES_EACH_COMMIT && c->since < 0)
		copy_commit(c); /* a page of a snapshot: `since` is not there yet */
}

/* ---- the snapshot ---- */

static void
ask_page(struct copy *c, const struct hf_value *cursor, bool snapshot)
{
	hf_begin(c->hf, "scan");
	hf_array(c->hf, 1);
	hf_map(c->hf, (uint32_t)(1 + snapshot + !!cursor));
	hf_put_str(c->hf, "limit");
	hf_put_int(c->hf, 10000);
	if (snapshot) {
		hf_put_str(c->hf, "snapshot");
		hf_put_bool(c->hf, true);
	}
	if (cursor) {
		hf_put_str(c->hf, "cursor");
		hf_put_value(c->hf, cursor);
	}
	if (!hf_send(c->hf))
		die("scan", hf_error(c->hf)->message);
}

static void
begin_again(struct copy *c, const char *why)
{
	fprintf(stderr, "follower: begins with a snapshot: %s\n", why);
	MDB_val key = { 5, "since" };
	c->since = -1;
	copy_begin(c);
	must(mdb_drop(c->txn, c->stock, 0), "empty the copy");
	int error = mdb_del(c->txn, c->place, &key, NULL);
	must(error == MDB_NOTFOUND ? 0 : error, "empty the copy");
	copy_commit(c);
	ask_page(c, NULL, true);
}

static void
follow(struct copy *c)
{
	hf_async_watch(c->hf, &(struct hf_watch){ .since = c->since, .full = true });
}

static void
take_page(struct copy *c, const struct hf_event *e)
{
	const struct hf_value *cells = hf_get(e->value, "cells"), *cursor = hf_get(e->value, "cursor");
	if (e->outcome == HF_REFUSED && strcmp(e->failure->code, "gone") != 0)
		die("scan", e->failure->message);
	if (e->outcome != HF_OK) { /* "gone": it took too long, or the connection is another one now */
		begin_again(c, e->failure->message);
		return;
	}
	c->snapshot = hf_int(hf_get(e->value, "seq"), 0);
	for (uint32_t i = 0; cells && i < cells->array.n; i++) {
		const struct hf_value *v = cells->array.items[i].array.items;
		copy_put(c, &v[0], &v[1], (struct cell){ hf_int(&v[2], 0), hf_int(&v[3], 0), hf_int(&v[4], 0) });
	}
	if (cursor && cursor->type != HF_NIL) {
		ask_page(c, cursor, true);
		return;
	}
	c->since = c->snapshot;
	copy_begin(c);
	copy_commit(c);
	follow(c);
}

/* ---- following ---- */

static void
take_changes(struct copy *c, const struct hf_event *e)
{
	for (uint32_t i = 0; i < e->value->array.n; i++) {
		const struct hf_value *v = e->value->array.items[i].array.items; /* seq, sku, location, ats, was, on_hand, threshold */
		copy_put(c, &v[1], &v[2], (struct cell){ hf_int(&v[0], 0), hf_int(&v[3], 0), hf_int(&v[5], 0) });
	}
	c->since = (int64_t)e->seq;
	if (c->unwritten >= CHANGES_EACH_COMMIT)
		copy_commit(c);
}

static void
take(struct copy *c, const struct hf_event *e)
{
	switch (e->kind) {
	case HF_ANSWER:
		take_page(c, e);
		break;
	case HF_CHANGED:
		take_changes(c, e);
		break;
	case HF_REACHED:
		c->since = (int64_t)e->seq;
		copy_begin(c);
		break;
	case HF_WATCH_ENDED:
		if (strcmp(e->failure->code, "gone") != 0 && strcmp(e->failure->code, "behind") != 0)
			die("watch", e->failure->message);
		begin_again(c, e->failure->message);
		break;
	case HF_DISCONNECTED:
		fprintf(stderr, "follower: %s\n", e->failure->message);
		break;
	case HF_CONNECTED:
	case HF_WATCHING:
		break;
	}
}

static int
run(struct copy *c, int64_t until)
{
	struct hf_event e;
	if (c->since < 0)
		begin_again(c, "there is no whole copy yet");
	else
		follow(c);
	while (!told_to_end && (c->since < 0 || c->since < until)) {
		hf_async_wait(c->hf, 1000);
		while (hf_async_next(c->hf, &e))
			take(c, &e);
		copy_commit(c); /* F1 */
	}
	printf("%lld\n", (long long)c->since);
	return 0;
}

/* ---- checking ---- */

struct digest {
	uint64_t low, high; /* the sum over all cells: their order does not matter */
	uint64_t cells;
};

static void
digest_add(struct digest *d, const MDB_val *key, const struct cell *cell)
{
	XXH3_state_t state;
	XXH3_128bits_reset(&state);
	XXH3_128bits_update(&state, key->mv_data, key->mv_size);
	XXH3_128bits_update(&state, cell, sizeof *cell);
	XXH128_hash_t hash = XXH3_128bits_digest(&state);
	d->high += hash.high64 + __builtin_add_overflow(d->low, hash.low64, &d->low);
	d->cells++;
}

static void
digest_print(const char *whose, const struct digest *d, int64_t seq)
{
	printf("%-7s %016llx%016llx  %llu cells, seq %lld\n", whose, (unsigned long long)d->high, (unsigned long long)d->low,
	    (unsigned long long)d->cells, (long long)seq);
}

static void
differs(struct copy *c, const MDB_val *key, const struct cell *there, int *shown)
{
	MDB_val value;
	struct cell here = { -1, 0, 0 };
	if (mdb_get(c->txn, c->stock, (MDB_val *)key, &value) == 0)
		memcpy(&here, value.mv_data, sizeof here);
	if (memcmp(&here, there, sizeof here) == 0 || ++*shown > DIFFERENCES_SHOWN)
		return;
	const char *name = key->mv_data;
	int sku = (int)strnlen(name, key->mv_size);
	printf("%.*s %.*s: copy seq %lld ats %lld on_hand %lld, server seq %lld ats %lld on_hand %lld\n", sku, name,
	    (int)key->mv_size - sku - 1, name + sku + 1, (long long)here.seq, (long long)here.ats, (long long)here.on_hand,
	    (long long)there->seq, (long long)there->ats, (long long)there->on_hand);
}

/* The digest of the server's cells by a plain scan; its position. */
static int64_t
server_digest(struct copy *c, struct digest *d)
{
	const struct hf_value *page, *cursor = NULL, *cells;
	uint32_t number;
	int shown = 0;
	do {
		ask_page(c, cursor, false);
		if (hf_receive(c->hf, &number, &page) != HF_OK)
			die("scan", hf_error(c->hf)->message);
		cells = hf_get(page, "cells");
		for (uint32_t i = 0; cells && i < cells->array.n; i++) {
			const struct hf_value *v = cells->array.items[i].array.items;
			struct cell there = { hf_int(&v[2], 0), hf_int(&v[3], 0), hf_int(&v[4], 0) };
			char bytes[KEY_BYTES_MAX];
			MDB_val key;
			if (!key_of(&v[0], &v[1], bytes, &key))
				die("the server", "sent a cell without names");
			digest_add(d, &key, &there);
			differs(c, &key, &there, &shown);
		}
		cursor = hf_get(page, "cursor");
	} while (cursor && cursor->type != HF_NIL);
	return hf_int(hf_get(page, "seq"), 0);
}

static int
check(struct copy *c)
{
	struct digest mine = { 0 }, theirs = { 0 };
	struct cell cell;
	MDB_cursor *at;
	MDB_val key, value;
	must(mdb_txn_begin(c->env, NULL, MDB_RDONLY, &c->txn), "read");
	must(mdb_cursor_open(c->txn, c->stock, &at), "read");
	while (mdb_cursor_get(at, &key, &value, MDB_NEXT) == 0) {
		memcpy(&cell, value.mv_data, sizeof cell);
		digest_add(&mine, &key, &cell);
	}
	mdb_cursor_close(at);
	int64_t seq = server_digest(c, &theirs);
	mdb_txn_abort(c->txn);
	c->txn = NULL;
	digest_print("copy", &mine, c->since);
	digest_print("server", &theirs, seq);
	bool equal = memcmp(&mine, &theirs, sizeof mine) == 0;
	puts(equal ? "equal" : "NOT equal");
	return equal ? 0 : 1;
}

int
main(int argc, char **argv)
{
	struct copy c = { .since = -1 };
	struct hf_failure failure;
	bool checks = argc == 4 && strcmp(argv[1], "--check") == 0, has_until = argc == 5 && strcmp(argv[1], "--until") == 0;
	if (argc != 3 && !checks && !has_until) {
		fprintf(stderr, "usage: follower [--until SEQ | --check] PORT FILE\n");
		return 2;
	}
	struct sigaction end = { .sa_handler = on_signal };
	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGINT, &end, NULL);
	copy_open(&c, argv[argc - 1]);
	c.hf = hf_async_open("127.0.0.1", (uint16_t)atoi(argv[argc - 2]), NULL, &failure);
	if (!c.hf)
		die("connect", failure.message);
	int status = checks ? check(&c) : run(&c, has_until ? atoll(argv[2]) : INT64_MAX);
	hf_close(c.hf);
	mdb_env_close(c.env);
	return status;
}
