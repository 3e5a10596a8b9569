/*
 * test_image_snapshot.c: an instant of the image stays what it was while commits go on, in one thread and beside another; several
 * at once; what a closed one held is reused.
 */
#include "tests/check.h"
#include "tests/image_rig.h"

#include "persist/image_record.h"

#include <pthread.h>
#include <sys/stat.h>

#define MIB (UINT64_C(1) << 20)

static const struct batch_shape small = { .steps = 40, .entries = 4, .keys = 300, .body_max = 300 };
static const enum entry_kind kinds[] = { ENTRY_NAME, ENTRY_CELL, ENTRY_RESERVATION, ENTRY_MARK, ENTRY_DELTA };

static bool
grow(struct image *image, struct fold_twin *twin, uint64_t *seed, int batches, const struct batch_shape *shape)
{
	struct why why;
	for (int i = 0; i < batches; i++) {
		const struct log_batch *b = draw_batch(seed, image_collected_seq(image), shape);
		if (image_collect(image, b, &why) < 0)
			return false;
		if (twin != NULL)
			fold_twin_fold(twin, b);
	}
	return image_commit(image, &why) == 0;
}

/* Every record of every kind, in order; what stands in the snapshot when its sum is taken anew. */
static bool
walk(struct image_snapshot *s, uint64_t *records, record_sum *sum, uint64_t *seq_max, struct why *why)
{
	uint8_t value[4096];
	*records = *seq_max = 0;
	*sum = 0;
	for (int kind = 1; kind < ENTRY_KIND_END; kind++) {
		struct entry_bytes e;
		uint64_t key = 0, seq, before = 0;
		int got;
		while ((got = image_snapshot_next(s, (enum entry_kind)kind, &key, &seq, &e, why)) == 1) {
			uint64_t at = record_key(e.kind, e.key);
			if ((int)e.kind != kind || e.key != key || (before > 0 && key < before))
				return false;
			record_encode(value, at, seq, e.body, e.body_n);
			*sum += record_hash(at, value, RECORD_HEAD_BYTES + (size_t)e.body_n);
			*seq_max = seq > *seq_max ? seq : *seq_max;
			++*records;
			before = ++key;
		}
		if (got < 0)
			return false;
	}
	return true;
}

/* Whether the data are those that the meta record speaks of. */
static bool
whole(struct image_snapshot *s, const struct image_meta *meta)
{
	struct why why = { "" };
	uint64_t records, seq;
	record_sum sum;
	if (!walk(s, &records, &sum, &seq, &why)) {
		printf("     %s\n", why.text);
		return false;
	}
	return records == meta->records && seq <= meta->seq && memcmp(&sum, meta->sum, sizeof(sum)) == 0;
}

static uint64_t
image_bytes(const char *dir)
{
	char path[300];
	struct stat st = { 0 };
	snprintf(path, sizeof(path), "%s/image", dir);
	stat(path, &st);
	return (uint64_t)st.st_size;
}

static void
an_instant_stays_what_it_was_while_commits_go_on(void)
{
	char dir[256];
	struct why why = { "" };
	struct image_meta meta, later;
	uint64_t seed = check_seed(1), key = 0, seq, first_seq;
	struct entry_bytes e;
	folder_new(dir);
	struct image *image = image_open(dir, 64 * MIB, &why);
	struct image_snapshot *empty = image_snapshot_open(image, &meta, &why);
	check(image != NULL && empty != NULL);
	check_equal(meta.seq, 0);
	check(grow(image, NULL, &seed, 5, &small));
	struct image_snapshot *s = image_snapshot_open(image, &meta, &why);
	check(s != NULL);
	check_equal(meta.seq, 200);
	check_equal(image_snapshot_next(s, ENTRY_CELL, &key, &first_seq, &e, &why), 1);
	for (int round = 0; round < 20; round++) {
		uint64_t again = key;
		check(grow(image, NULL, &seed, 5, &small));
		check(whole(s, &meta));
		check_equal(image_snapshot_next(s, ENTRY_CELL, &again, &seq, &e, &why), 1);
		check(again == key && seq == first_seq);
		check(whole(empty, &(struct image_meta){ 0 }));
	}
	image_meta(image, &later);
	check_equal(later.seq, 4200);
	image_snapshot_close(empty);
	image_snapshot_close(s);
	image_close(image);
	check_equal(image_verify(dir, &why), 0);
	folder_remove(dir);
}

static void
each_record_is_found_from_any_key_before_it(void)
{
	char dir[256];
	struct why why = { "" };
	struct fold_twin twin;
	struct image_meta meta;
	struct entry_bytes e;
	uint64_t seed = check_seed(2), seq, past = UINT64_C(1) << RECORD_KIND_SHIFT;
	folder_new(dir);
	fold_twin_init(&twin);
	struct image *image = image_open(dir, 64 * MIB, &why);
	check(image != NULL && grow(image, &twin, &seed, 20, &small));
	struct image_snapshot *s = image_snapshot_open(image, &meta, &why);
	check(s != NULL);
	check_equal(meta.records, twin.n);
	for (uint32_t i = 0; i < twin.n; i++) {
		uint64_t key = twin.records[i].key;
		check_equal(image_snapshot_next(s, twin.records[i].kind, &key, &seq, &e, &why), 1);
		check(key == twin.records[i].key && seq == twin.records[i].seq && e.body_n == twin.records[i].body_n);
		check(memcmp(e.body, twin.records[i].body, e.body_n) == 0);
	}
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		uint64_t last = past - 1;
		check_equal(image_snapshot_next(s, kinds[i], &last, &seq, &e, &why), 0);
		check_equal(image_snapshot_next(s, kinds[i], &past, &seq, &e, &why), 0);
	}
	image_snapshot_close(s);
	image_close(image);
	fold_twin_fini(&twin);
	folder_remove(dir);
}

static void
several_instants_stand_side_by_side_up_to_a_limit(void)
{
	char dir[256];
	struct why why = { "" };
	struct image_snapshot *s[IMAGE_SNAPSHOTS_MAX];
	struct image_meta meta[IMAGE_SNAPSHOTS_MAX], none;
	uint64_t seed = check_seed(3);
	folder_new(dir);
	struct image *image = image_open(dir, 64 * MIB, &why);
	check(image != NULL);
	for (int i = 0; i < IMAGE_SNAPSHOTS_MAX; i++) {
		check(grow(image, NULL, &seed, 1, &small));
		s[i] = image_snapshot_open(image, &meta[i], &why);
		check(s[i] != NULL);
		check_equal(meta[i].seq, 40 * (i + 1));
	}
	check(image_snapshot_open(image, &none, &why) == NULL);
	check(strstr(why.text, "64 snapshots are open already") != NULL);
	for (int i = 0; i < IMAGE_SNAPSHOTS_MAX; i++)
		check(whole(s[i], &meta[i]));
	/* In another order than they were opened. */
	for (int i = 0; i < IMAGE_SNAPSHOTS_MAX; i++)
		image_snapshot_close(s[i * 7 % IMAGE_SNAPSHOTS_MAX]);
	s[0] = image_snapshot_open(image, &meta[0], &why);
	check(s[0] != NULL && whole(s[0], &meta[0]));
	image_snapshot_close(s[0]);
	image_close(image);
	folder_remove(dir);
}

/* An open instant makes the file grow with each commit; when it is closed the same commits fit into what is there. */
static void
a_closed_snapshot_gives_its_pages_back(void)
{
	char dir[256];
	struct why why = { "" };
	struct image_meta meta;
	uint64_t seed = check_seed(4);
	folder_new(dir);
	struct image *image = image_open(dir, 256 * MIB, &why);
	check(image != NULL && grow(image, NULL, &seed, 60, &small));
	for (int i = 0; i < 10; i++)
		check(grow(image, NULL, &seed, 20, &small));
	uint64_t before = image_bytes(dir);
	for (int round = 0; round < 3; round++) {
		struct image_snapshot *s = image_snapshot_open(image, &meta, &why);
		check(s != NULL);
		for (int i = 0; i < 20; i++)
			check(grow(image, NULL, &seed, 20, &small));
		check(whole(s, &meta));
		image_snapshot_close(s);
		if (round == 0)
			check(image_bytes(dir) > before * 2);
		else
			check(image_bytes(dir) <= before * 5 / 4);
		before = image_bytes(dir);
	}
	image_close(image);
	folder_remove(dir);
}

/* ---- beside the folding thread ------------------------------------------------------------------------------------ */

struct reader {
	struct image *image;
	bool failed;
	uint64_t seq; /* of the last snapshot */
};

/* Snapshot after snapshot, two at a time, until one shows the last commit. */
static void *
read_beside(void *argument)
{
	struct reader *r = argument;
	struct why why;
	struct image_snapshot *before = NULL;
	struct image_meta meta, meta_before = { 0 };
	while (!r->failed && r->seq < 4000) {
		struct image_snapshot *s = image_snapshot_open(r->image, &meta, &why);
		r->failed = s == NULL || meta.seq < r->seq || meta.seq % 40 != 0 || !whole(s, &meta) ||
		    (before != NULL && !whole(before, &meta_before));
		r->seq = meta.seq;
		image_snapshot_close(before);
		before = s;
		meta_before = meta;
	}
	image_snapshot_close(before);
	return NULL;
}

static void
instants_are_whole_while_another_thread_commits(void)
{
	char dir[256];
	struct why why = { "" };
	uint64_t seed = check_seed(5);
	struct batch_shape few = { .steps = 40, .entries = 2, .keys = 60, .body_max = 100 };
	pthread_t threads[2];
	folder_new(dir);
	struct image *image = image_open(dir, 64 * MIB, &why);
	check(image != NULL);
	struct reader readers[2] = { { image, false, 0 }, { image, false, 0 } };
	for (int i = 0; i < 2; i++)
		check_equal(pthread_create(&threads[i], NULL, read_beside, &readers[i]), 0);
	bool grown = true;
	for (int i = 0; i < 100; i++)
		grown = grown && grow(image, NULL, &seed, 1, &few);
	if (!grown)
		readers[0].failed = readers[1].failed = true;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	check(grown && !readers[0].failed && !readers[1].failed);
	image_close(image);
	check_equal(image_verify(dir, &why), 0);
	folder_remove(dir);
}

static const struct check tests[] = {
	CHECK(an_instant_stays_what_it_was_while_commits_go_on),
	CHECK(each_record_is_found_from_any_key_before_it),
	CHECK(several_instants_stand_side_by_side_up_to_a_limit),
	CHECK(a_closed_snapshot_gives_its_pages_back),
	CHECK(instants_are_whole_while_another_thread_commits),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
