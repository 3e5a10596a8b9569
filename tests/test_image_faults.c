/*
 * test_image_faults.c: each file call of an image's opening, commit, copy and restore fails in each way, LMDB's own calls included:
 * it is told, what was there is there, what was collected is kept, and the next try (or opening) succeeds. Never does an image
 * that is not what was committed verify (P9).
 */
#define _GNU_SOURCE
#include "tests/check.h"
#include "tests/disk_faults.h"
#include "tests/image_rig.h"

#include "persist/backup.h"

#define MIB (UINT64_C(1) << 20)
/* Checks of whole images in a child are what takes the time, and most of it under a sanitizer. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STRIDE 5
#else
#define STRIDE 1
#endif

static const struct batch_shape shape = { .steps = 30, .entries = 3, .keys = 120, .body_max = 300 };
static uint64_t points;

static bool
grow(struct image *image, struct fold_twin *twin, uint64_t *seed, int batches)
{
	struct why why;
	for (int i = 0; i < batches; i++) {
		const struct log_batch *b = draw_batch(seed, image_collected_seq(image), &shape);
		if (image_collect(image, b, &why) < 0)
			return false;
		fold_twin_fold(twin, b);
	}
	return true;
}

/* A failure prints where it was. */
static bool
tell(bool good, const char *what, const char *detail)
{
	if (!good)
		printf("     call %llu (%s) fails with %s%s: %s: %s\n", (unsigned long long)faults->fail_at,
		    fault_call_names[atomic_load(&faults->last)], fault_way_names[faults->way], faults->stuck ? ", and all later ones" : "", what, detail);
	return good;
}

/* ---- commits --------------------------------------------------------------------------------------------------------- */

/*
 * An image of some commits; the next one meets the fault, and is made again until it succeeds. False: a promise is broken; *fired
 * says whether call k was reached.
 */
static bool
commit_with(uint64_t k, enum fault_way way, bool stuck, bool *fired)
{
	char dir[256];
	struct why why = { "" };
	struct fold_twin twin;
	uint64_t seed = check_seed(1);
	struct image_meta before;
	folder_new(dir);
	fold_twin_init(&twin);
	struct image *image = image_open(dir, 64 * MIB, &why);
	bool good = image != NULL;
	for (int i = 0; good && i < 3; i++)
		good = grow(image, &twin, &seed, 4) && image_commit(image, &why) == 0;
	good = good && grow(image, &twin, &seed, 4);
	if (!tell(good, "the beginning", why.text))
		return false;
	uint64_t waiting = image_collected(image);
	image_meta(image, &before);
	faults_arm("image", k, way, stuck);
	int rc = image_commit(image, &why);
	for (int again = 0; rc < 0 && stuck && again < 2; again++) /* the second of these has to open the environment anew */
		good = good && tell(image_commit(image, &why) < 0, "a disk that is gone takes a commit", "");
	*fired = faults_disarm();
	/* A call that failed need not matter (LMDB only hints with some), but what is told must be so. */
	if (rc < 0) {
		struct image_meta now;
		image_meta(image, &now);
		good = good && tell(why.text[0] && strstr(why.text, "image"), "the sentence", why.text);
		if (way == FAULT_ENOSPC && !stuck)
			good = good && tell(strstr(why.text, "Way out: make room: up to 1 MiB are needed, the folder") != NULL, "the way out", why.text);
		good = good && tell(image_collected(image) == waiting && memcmp(&now, &before, sizeof now) == 0, "what was collected", "is not kept");
		good = good && tell(image_verify(dir, &why) == 0, "the file after it", why.text);
		good = good && tell(image_commit(image, &why) == 0, "the next try", why.text);
	}
	good = good && tell(image_collected(image) == 0 && fold_twin_is(&twin, image), "what is in it", "is not what was collected");
	good = good && tell(grow(image, &twin, &seed, 4) && image_commit(image, &why) == 0, "the commit after it", why.text);
	image_close(image);
	good = good && tell(image_verify(dir, &why) == 0, "the file at the end", why.text);
	image = good ? image_open(dir, 64 * MIB, &why) : NULL;
	good = good && tell(image && fold_twin_is(&twin, image), "what is read back", why.text);
	image_close(image);
	fold_twin_fini(&twin);
	folder_remove(dir);
	return good;
}

static void
each_way(bool (*with)(uint64_t, enum fault_way, bool, bool *), bool stuck)
{
	for (enum fault_way way = FAULT_EIO; way <= FAULT_DONE; way++) {
		bool fired = true;
		for (uint64_t k = 1; fired; k += STRIDE) {
			check(with(k, way, stuck, &fired));
			points += fired;
		}
	}
}

static void
a_commit_that_fails_at_any_call_is_made_again(void)
{
	points = 0;
	each_way(commit_with, false);
	check_calm();
	printf("     %llu faults\n", (unsigned long long)points);
	check(points >= 8 / STRIDE);
}

static void
a_disk_that_is_gone_for_a_while_costs_no_commit(void)
{
	points = 0;
	each_way(commit_with, true);
	check_calm();
	printf("     %llu faults\n", (unsigned long long)points);
	check(points >= 8 / STRIDE);
}

/* ---- opening --------------------------------------------------------------------------------------------------------- */

/* A new image, or one with commits: told, or opened; and the next opening finds what was there. */
static bool
open_one(uint64_t k, enum fault_way way, bool stuck, bool filled, bool *fired)
{
	char dir[256];
	struct why why = { "" };
	struct fold_twin twin;
	uint64_t seed = check_seed(2);
	folder_new(dir);
	fold_twin_init(&twin);
	struct image *image = filled ? image_open(dir, 64 * MIB, &why) : NULL;
	bool good = !filled || (image && grow(image, &twin, &seed, 4) && image_commit(image, &why) == 0);
	image_close(image);
	faults_arm("image", k, way, stuck);
	image = image_open(dir, 64 * MIB, &why);
	*fired = faults_disarm();
	good = good && tell(image || why.text[0], "nothing is said", "");
	if (image)
		good = good && tell(grow(image, &twin, &seed, 2) && image_commit(image, &why) == 0, "a commit after it", why.text);
	image_close(image);
	good = good && tell(image_verify(dir, &why) == 0, "the file after it", why.text);
	image = good ? image_open(dir, 64 * MIB, &why) : NULL;
	good = good && tell(image && fold_twin_is(&twin, image), "the next opening", why.text);
	image_close(image);
	fold_twin_fini(&twin);
	folder_remove(dir);
	return good;
}

static bool
open_new(uint64_t k, enum fault_way way, bool stuck, bool *fired)
{
	return open_one(k, way, stuck, false, fired);
}

static bool
open_filled(uint64_t k, enum fault_way way, bool stuck, bool *fired)
{
	return open_one(k, way, stuck, true, fired);
}

static void
an_opening_that_fails_at_any_call_says_so_and_harms_nothing(void)
{
	points = 0;
	each_way(open_new, false);
	check_calm();
	each_way(open_filled, false);
	check_calm();
	each_way(open_filled, true);
	check_calm();
	printf("     %llu faults\n", (unsigned long long)points);
	check(points >= 30 / STRIDE);
}

/* ---- copies and restores --------------------------------------------------------------------------------------------- */

/* A second copy over a first one: either it is there, or the first one is, whole. */
static bool
copy_with(uint64_t k, enum fault_way way, bool stuck, bool *fired)
{
	char dir[256], to[300];
	struct why why = { "" };
	struct fold_twin twin;
	struct image_findings first, second, there;
	uint64_t seed = check_seed(3);
	folder_new(dir);
	snprintf(to, sizeof to, "%s/copy", dir);
	fold_twin_init(&twin);
	struct image *image = image_open(dir, 64 * MIB, &why);
	bool good = image && grow(image, &twin, &seed, 4) && image_commit(image, &why) == 0 && image_copy(image, to, &first, &why) == 0 &&
	    grow(image, &twin, &seed, 4) && image_commit(image, &why) == 0;
	faults_arm("image", k, way, stuck);
	int rc = image_copy(image, to, &second, &why);
	*fired = faults_disarm();
	good = good && tell(rc == 0 || why.text[0], "nothing is said", "");
	if (rc < 0 && way == FAULT_ENOSPC && *fired && atomic_load(&faults->last) == CALL_WRITE)
		good = good && tell(strstr(why.text, "Way out: make room: up to 1 MiB are needed, the folder") != NULL, "the way out of a full disk", why.text);
	struct why ignored;
	good = good && tell(image_inspect(to, NULL, &there, &ignored) == 0, "the copy", ignored.text);
	good = good && tell(there.meta.seq == (rc == 0 ? second : first).meta.seq || there.meta.seq == 240, "the copy", "is another one");
	good = good && tell(image_copy(image, to, &second, &why) == 0 && second.meta.seq == 240, "the next copy", why.text);
	good = good && tell(fold_twin_is(&twin, image), "the image", "has changed");
	image_close(image);
	fold_twin_fini(&twin);
	folder_remove(dir);
	return good;
}

static void
a_copy_that_fails_at_any_call_leaves_the_one_before(void)
{
	points = 0;
	each_way(copy_with, false);
	check_calm();
	each_way(copy_with, true);
	check_calm();
	printf("     %llu faults\n", (unsigned long long)points);
	check(points >= 20 / STRIDE);
}

/* A restore: done, or told and nothing in the way of the next. */
static bool
restore_with(uint64_t k, enum fault_way way, bool stuck, bool *fired)
{
	char dir[256], kept[300], to[300];
	struct why why = { "" };
	struct fold_twin twin;
	struct restored r;
	uint64_t seed = check_seed(4);
	folder_new(dir);
	snprintf(kept, sizeof kept, "%s/kept", dir);
	snprintf(to, sizeof to, "%s/to", dir);
	fold_twin_init(&twin);
	struct image *image = image_open(dir, 64 * MIB, &why);
	bool good = image && grow(image, &twin, &seed, 4) && image_commit(image, &why) == 0 && image_copy(image, kept, NULL, &why) == 0;
	image_close(image);
	faults_arm("", k, way, stuck);
	int rc = restore(kept, to, NULL, &r, &why);
	*fired = faults_disarm();
	good = good && tell(rc == 0 || why.text[0], "nothing is said", "");
	if (rc < 0)
		good = good && tell(restore(kept, to, NULL, &r, &why) == 0 || (stuck && strstr(why.text, "is not empty")), "the next restore", why.text);
	if (rc == 0 || !stuck) {
		image = good ? image_open(to, 64 * MIB, &why) : NULL;
		good = good && tell(image && fold_twin_is(&twin, image) && image_verify(to, &why) == 0, "what was restored", why.text);
		image_close(image);
	}
	fold_twin_fini(&twin);
	folder_remove(dir);
	return good;
}

static void
a_restore_that_fails_at_any_call_is_made_again(void)
{
	points = 0;
	each_way(restore_with, false);
	check_calm();
	bool fired = true;
	for (uint64_t k = 1; fired; k += STRIDE)
		check(restore_with(k, FAULT_EIO, true, &fired));
	printf("     %llu faults\n", (unsigned long long)points);
	check(points >= 30 / STRIDE);
}

static const struct check tests[] = {
	CHECK(a_commit_that_fails_at_any_call_is_made_again),
	CHECK(a_disk_that_is_gone_for_a_while_costs_no_commit),
	CHECK(an_opening_that_fails_at_any_call_says_so_and_harms_nothing),
	CHECK(a_copy_that_fails_at_any_call_leaves_the_one_before),
	CHECK(a_restore_that_fails_at_any_call_is_made_again),
};

int
main(int argc, char **argv)
{
	faults_init();
	return faults == MAP_FAILED ? 1 : check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv);
}
