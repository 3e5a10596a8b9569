/*
 * test_host_load.c: an image that is read by one thread and loaded by another gives the same records in the same order, refuses the same
 * damage, and neither hangs nor loses a record whichever of the two is slower.
 */
#include "tests/check.h"
#include "tests/image_rig.h"

#include "net/host_load.h"

#include <sched.h>

#define MIB (UINT64_C(1) << 20)
#define COMMITS 10

static const struct batch_shape shape = { .steps = 200, .entries = 4, .keys = 1200, .body_max = 2500 };
static struct fold_twin twin;
static char dir[256];
static uint64_t seed;

static void
image_make(void)
{
	struct why why;
	struct image *image = image_open(dir, 64 * MIB, &why);
	ensure(image != NULL);
	for (int i = 0; i < COMMITS; i++) {
		const struct log_batch *b = draw_batch(&seed, image_collected_seq(image), &shape);
		ensure(image_collect(image, b, &why) == 0 && image_commit(image, &why) == 0);
		fold_twin_fold(&twin, b);
	}
	ensure(fold_twin_is(&twin, image)); /* puts the twin in the order of keys */
	image_close(image);
}

struct loader {
	bool begun, right, slow;
	uint32_t n;
	uint64_t records; /* that the meta record told */
};

static void
load_begin(void *context, const struct image_meta *meta)
{
	struct loader *l = context;
	l->right = !l->begun && l->n == 0;
	l->begun = true;
	l->records = meta->records;
}

static void
load_record(void *context, uint64_t seq, const struct entry_bytes *e)
{
	struct loader *l = context;
	const struct twin_record *r = &twin.records[l->n];
	for (int i = 0; l->slow && i < 3; i++)
		sched_yield();
	l->right &= l->begun && l->n < twin.n && r->kind == e->kind && r->key == e->key && r->seq == seq && r->body_n == e->body_n &&
	    memcmp(r->body, e->body, e->body_n) == 0;
	l->n += l->n < twin.n;
}

static int
walk(struct loader *l, struct why *why)
{
	struct image_sink sink = { load_begin, load_record, l };
	struct image_findings found;
	struct image_probe probe;
	image_probe(dir, &probe);
	return host_load_walk(dir, &probe, &sink, &found, why);
}

static void
every_record_comes_once_and_in_order(void)
{
	for (int slow = 0; slow < 2; slow++) {
		struct loader l = { .slow = slow };
		struct why why = { "" };
		check_equal(walk(&l, &why), 0);
		check(l.begun && l.right);
		check_equal(l.n, twin.n);
		check_equal(l.records, twin.n);
	}
}

static void
no_image_is_an_empty_load(void)
{
	struct loader l = { 0 };
	struct image_sink sink = { load_begin, load_record, &l };
	struct image_findings found;
	struct why why = { "" };
	char empty[256];
	folder_new(empty);
	check_equal(host_load_walk(empty, NULL, &sink, &found, &why), 0);
	check(!found.exists && !l.begun && l.n == 0);
	folder_remove(empty);
}

static void
damage_anywhere_is_told_as_by_the_check_alone(void)
{
	size_t n;
	uint8_t *bytes = file_get(dir, "image", &n);
	int refused = 0;
	for (int i = 0; i < 12; i++) {
		struct loader l = { .slow = i % 2 };
		struct why why, same;
		size_t bit = draw(&seed) % (n * 8);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		file_put(dir, "image", bytes, n);
		int rc = image_verify(dir, &same);
		check_equal(walk(&l, &why), rc);
		check(rc == 0 || strcmp(why.text, same.text) == 0);
		check(l.n == 0 || l.right); /* up to the damage */
		refused += rc < 0;
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	file_put(dir, "image", bytes, n);
	free(bytes);
	check(refused > 0);
}

static const struct check tests[] = {
	CHECK(every_record_comes_once_and_in_order),
	CHECK(no_image_is_an_empty_load),
	CHECK(damage_anywhere_is_told_as_by_the_check_alone),
};

int
main(int argc, char **argv)
{
	seed = check_seed(9);
	fold_twin_init(&twin);
	folder_new(dir);
	image_make();
	int rc = check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv);
	folder_remove(dir);
	fold_twin_fini(&twin);
	return rc;
}
