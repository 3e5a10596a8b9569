/*
 * image_rig.c: see image_rig.h. The twin is written from entry.h's E2 alone: the latest entry of a key replaces the earlier ones.
 */
#define _GNU_SOURCE
#include "tests/image_rig.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void
fold_twin_init(struct fold_twin *t)
{
	t->records = calloc(FOLD_TWIN_MAX, sizeof(*t->records));
	t->n = 0;
	ensure(t->records != NULL);
}

void
fold_twin_fini(struct fold_twin *t)
{
	for (uint32_t i = 0; i < t->n; i++)
		free(t->records[i].body);
	free(t->records);
}

void
fold_twin_put(struct fold_twin *t, uint64_t seq, const struct entry_bytes *e)
{
	uint32_t i = 0;
	while (i < t->n && (t->records[i].kind != e->kind || t->records[i].key != e->key))
		i++;
	ensure(i < FOLD_TWIN_MAX);
	if (i == t->n)
		t->n++;
	else
		free(t->records[i].body);
	t->records[i] = (struct twin_record){ seq, e->key, e->kind, malloc(e->body_n + 1), e->body_n };
	memcpy(t->records[i].body, e->body, e->body_n);
}

void
fold_twin_fold(struct fold_twin *t, const struct log_batch *b)
{
	const uint8_t *at = b->payload, *end = at + b->payload_n, *entries, *entries_end;
	struct cause cause;
	struct entry_bytes e;
	for (uint64_t seq = b->first_seq; step_next(&at, end, &cause, &entries, &entries_end) == 1; seq++)
		while (entry_next(&entries, entries_end, &e) == 1)
			fold_twin_put(t, seq, &e);
}

struct comparison {
	const struct fold_twin *twin;
	uint32_t seen;
};

static const char *
compare_one(void *context, uint64_t seq, const struct entry_bytes *e)
{
	struct comparison *c = context;
	const struct twin_record *r = &c->twin->records[c->seen];
	if (c->seen++ >= c->twin->n)
		return "there are more records than expected";
	if (r->kind != e->kind || r->key != e->key || r->seq != seq || r->body_n != e->body_n)
		return "another record was expected";
	return memcmp(r->body, e->body, e->body_n) == 0 ? NULL : "other bytes were expected";
}

static int
record_order(const void *a, const void *b)
{
	const struct twin_record *x = a, *y = b;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return (x->key > y->key) - (x->key < y->key);
}

bool
fold_twin_is(struct fold_twin *t, struct image *image)
{
	struct comparison c = { t, 0 };
	struct image_meta meta;
	struct why why = { "" };
	const char *wrong = NULL;
	int got = 0;
	qsort(t->records, t->n, sizeof(*t->records), record_order);
	struct image_snapshot *s = image_snapshot_open(image, &meta, &why);
	for (enum entry_kind kind = 1; s != NULL && kind < ENTRY_KIND_END && wrong == NULL && got >= 0; kind++) {
		struct entry_bytes e;
		uint64_t seq;
		for (uint64_t key = 0; wrong == NULL && (got = image_snapshot_next(s, kind, &key, &seq, &e, &why)) == 1; key++)
			wrong = compare_one(&c, seq, &e);
	}
	image_snapshot_close(s);
	bool right = s != NULL && got == 0 && wrong == NULL && c.seen == t->n && meta.records == t->n;
	if (!right)
		printf("     %s (%u of %u records)\n", wrong ? wrong : why.text, c.seen, t->n);
	return right;
}

uint64_t
draw(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static uint8_t *
draw_entry(uint64_t *state, uint8_t *at, const struct batch_shape *shape, uint64_t step)
{
	static const enum entry_kind kinds[] = { ENTRY_NAME, ENTRY_CELL, ENTRY_RESERVATION, ENTRY_MARK, ENTRY_DELTA };
	size_t kind = draw(state) % 5;
	uint64_t key = draw(state) % shape->keys;
	if (kinds[kind] == ENTRY_NAME)
		key |= UINT64_C(1) << 32;
	/* Most bodies are short and keep their size, some are not and do not. */
	uint32_t body_n = draw(state) % 8 ? 40 : (uint32_t)(draw(state) % (shape->body_max + 1));
	uint8_t *body = at + ENTRY_HEAD_BYTES;
	for (uint32_t i = 0; i < body_n; i++)
		body[i] = (uint8_t)(step * 31 + key * 7 + i);
	return entry_end(at, kinds[kind], key, body + body_n);
}

const struct log_batch *
draw_batch(uint64_t *state, uint64_t last_seq, const struct batch_shape *shape)
{
	static uint8_t payload[8 << 20], step[4 << 20];
	static struct log_batch b;
	uint8_t *at = payload;
	b = (struct log_batch){ .epoch = 1, .first_seq = last_seq + 1, .stamp_ms = (int64_t)(1000 + last_seq), .payload = payload };
	for (b.steps = 0; b.steps < shape->steps; b.steps++) {
		uint32_t entries = 1 + (uint32_t)(draw(state) % shape->entries);
		uint8_t *inside = step + STEP_HEAD_BYTES;
		for (uint32_t i = 0; i < entries; i++)
			inside = draw_entry(state, inside, shape, last_seq + b.steps);
		ensure(payload + sizeof(payload) - at > inside - step);
		step_end_at(step, CAUSE_ADJUST, 0, inside);
		memcpy(at, step, (size_t)(inside - step));
		at += inside - step;
	}
	b.payload_n = (size_t)(at - payload);
	return &b;
}

void
folder_new(char path[256])
{
	const char *under = getenv("TMPDIR");
	snprintf(path, 256, "%s/holdfast-image.XXXXXX", under ? under : "/tmp");
	ensure(mkdtemp(path) != NULL);
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *walk)
{
	return remove(path);
}

void
folder_remove(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static FILE *
file_open(const char *dir, const char *name, const char *mode)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, mode);
	ensure(f != NULL);
	return f;
}

uint8_t *
file_get(const char *dir, const char *name, size_t *n)
{
	FILE *f = file_open(dir, name, "rb");
	ensure(fseek(f, 0, SEEK_END) == 0);
	*n = (size_t)ftell(f);
	rewind(f);
	uint8_t *bytes = aligned_alloc(4096, (*n + 4095) / 4096 * 4096 + 4096);
	ensure(bytes != NULL && fread(bytes, 1, *n, f) == *n);
	fclose(f);
	return bytes;
}

void
file_put(const char *dir, const char *name, const uint8_t *bytes, size_t n)
{
	FILE *f = file_open(dir, name, "wb");
	ensure(fwrite(bytes, 1, n, f) == n);
	ensure(fclose(f) == 0);
}
