/*
 * test_image.c: the image against the plainest fold; full maps and disks; copies; a kill amid commits.
 * Damaged files are in test_image_damage.c.
 */
#include "tests/check.h"
#include "tests/image_rig.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (UINT64_C(1) << 20)

static const struct batch_shape small = { .steps = 40, .entries = 4, .keys = 300, .body_max = 300 };

/* Draws batches into both until `batches` are collected. */
static bool
collect(struct image *image, struct fold_twin *twin, uint64_t *seed, int batches, const struct batch_shape *shape)
{
	struct why why;
	for (int i = 0; i < batches; i++) {
		const struct log_batch *b = draw_batch(seed, image_collected_seq(image), shape);
		if (image_collect(image, b, &why) < 0)
			return false;
		if (twin != NULL)
			fold_twin_fold(twin, b);
	}
	return true;
}

static void
what_was_committed_is_there_after_reopening(void)
{
	char dir[256];
	struct why why = { "" };
	struct fold_twin twin;
	uint64_t seed = check_seed(22);
	folder_new(dir);
	fold_twin_init(&twin);
	for (int round = 0; round < 8; round++) {
		struct image_meta meta;
		struct image *image = image_open(dir, 64 * MIB, &why);
		check(image != NULL);
		check(fold_twin_is(&twin, image));
		for (int commits = 0; commits < 3; commits++) {
			check(collect(image, &twin, &seed, 10, &small));
			check_equal(image_commit(image, &why), 0);
			check_equal(image_collected(image), 0);
		}
		image_meta(image, &meta);
		check_equal(meta.seq, (round + 1) * 1200);
		check_equal(meta.records, twin.n);
		check_equal(meta.stamp_ms, 1000 + meta.seq - 40);
		check(fold_twin_is(&twin, image));
		image_close(image);
		check_equal(image_verify(dir, &why), 0);
	}
	fold_twin_fini(&twin);
	folder_remove(dir);
}

static void
large_bodies_come_and_go(void)
{
	char dir[256];
	struct why why = { "" };
	struct fold_twin twin;
	uint64_t seed = check_seed(33);
	struct batch_shape large = { .steps = 10, .entries = 2, .keys = 20, .body_max = 60000 };
	folder_new(dir);
	fold_twin_init(&twin);
	struct image *image = image_open(dir, 256 * MIB, &why);
	check(image != NULL);
	for (int round = 0; round < 20; round++) {
		check(collect(image, &twin, &seed, 3, &large));
		check_equal(image_commit(image, &why), 0);
		check(fold_twin_is(&twin, image));
		check_equal(image_verify(dir, &why), 0);
	}
	image_close(image);
	fold_twin_fini(&twin);
	folder_remove(dir);
}

static void
what_was_only_collected_is_not_there(void)
{
	char dir[256];
	struct why why = { "" };
	struct fold_twin twin;
	uint64_t seed = check_seed(44);
	folder_new(dir);
	fold_twin_init(&twin);
	struct image *image = image_open(dir, 64 * MIB, &why);
	check(image != NULL && collect(image, NULL, &seed, 5, &small));
	check(image_collected(image) > 0);
	check_equal(image_collected_seq(image), 200);
	image_close(image);
	check_equal(image_verify(dir, &why), 0);
	image = image_open(dir, 64 * MIB, &why);
	check(image != NULL && fold_twin_is(&twin, image));
	check_equal(image_collected_seq(image), 0);
	image_close(image);
	fold_twin_fini(&twin);
	folder_remove(dir);
}

static void
half_a_batch_is_never_committed(void)
{
	char dir[256];
	struct why why = { "" };
	struct fold_twin twin;
	uint64_t seed = check_seed(55);
	folder_new(dir);
	fold_twin_init(&twin);
	struct image *image = image_open(dir, 64 * MIB, &why);
	check(image != NULL && collect(image, &twin, &seed, 5, &small));
	check_equal(image_commit(image, &why), 0);
	struct log_batch b = *draw_batch(&seed, 200, &small);
	b.first_seq++;
	check_equal(image_collect(image, &b, &why), -1); /* a gap: refused before anything is taken */
	check_equal(image_collected(image), 0);
	b.first_seq--;
	b.payload_n--;
	check_equal(image_collect(image, &b, &why), -1);
	check(strstr(why.text, "201") != NULL);
	check_equal(image_commit(image, &why), -1);
	check(fold_twin_is(&twin, image));
	image_close(image);
	image = image_open(dir, 64 * MIB, &why);
	check(image != NULL && fold_twin_is(&twin, image));
	image_close(image);
	fold_twin_fini(&twin);
	folder_remove(dir);
}

static void
a_full_map_keeps_what_was_collected_and_says_so(void)
{
	char dir[256];
	struct why why = { "" };
	struct fold_twin twin, before;
	uint64_t seed = check_seed(66), again;
	struct batch_shape many = { .steps = 1000, .entries = 1, .keys = 1500, .body_max = 300 };
	folder_new(dir);
	fold_twin_init(&twin);
	fold_twin_init(&before);
	struct image *image = image_open(dir, MIB / 4, &why);
	check(image != NULL && collect(image, &twin, &seed, 1, &small));
	check_equal(image_commit(image, &why), 0);
	again = seed;
	check(collect(image, &twin, &seed, 6, &many));
	uint64_t waiting = image_collected(image);
	for (int tries = 0; tries < 3; tries++) {
		check_equal(image_commit(image, &why), -1);
		check(strstr(why.text, "262144 bytes, is reached") != NULL);
		check_equal(image_collected(image), waiting);
	}
	image_close(image);
	/* With more room the journal is read again from where the image stands. */
	check_equal(image_verify(dir, &why), 0);
	image = image_open(dir, 64 * MIB, &why);
	check(image != NULL);
	check_equal(image_collected_seq(image), 40);
	check(collect(image, NULL, &again, 6, &many));
	check_equal(image_commit(image, &why), 0);
	check(fold_twin_is(&twin, image));
	image_close(image);
	fold_twin_fini(&twin);
	fold_twin_fini(&before);
	folder_remove(dir);
}

/* A limit on the size of files stands in for the full disk: the write fails in LMDB's commit. */
static void
a_full_disk_is_an_answer_and_the_next_try_succeeds(void)
{
	char dir[256];
	struct why why = { "" };
	struct fold_twin twin;
	struct rlimit limit, small_files;
	uint64_t seed = check_seed(77);
	folder_new(dir);
	fold_twin_init(&twin);
	struct image *image = image_open(dir, 64 * MIB, &why);
	check(image != NULL && collect(image, &twin, &seed, 5, &small));
	check_equal(image_commit(image, &why), 0);
	check(collect(image, &twin, &seed, 20, &small));
	getrlimit(RLIMIT_FSIZE, &limit);
	small_files = limit;
	small_files.rlim_cur = 60000;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &small_files);
	int rc = image_commit(image, &why);
	setrlimit(RLIMIT_FSIZE, &limit);
	check_equal(rc, -1);
	check(image_collected(image) > 0);
	check_equal(image_verify(dir, &why), 0);
	check_equal(image_commit(image, &why), 0);
	check(fold_twin_is(&twin, image));
	image_close(image);
	check_equal(image_verify(dir, &why), 0);
	fold_twin_fini(&twin);
	folder_remove(dir);
}

static void
a_file_that_never_had_a_commit_is_made_anew(void)
{
	static const uint8_t zeros[8192];
	char dir[256];
	struct why why = { "" };
	folder_new(dir);
	for (size_t n = 0; n <= sizeof(zeros); n += 1024) {
		file_put(dir, "image", zeros, n);
		check_equal(image_verify(dir, &why), 0);
		struct image *image = image_open(dir, 16 * MIB, &why);
		check(image != NULL);
		check_equal(image_collected_seq(image), 0);
		image_close(image);
	}
	folder_remove(dir);
}

static void
a_copy_is_whole_and_can_be_put_back(void)
{
	char dir[256], copy[300], nowhere[300];
	struct why why = { "" };
	struct image_findings found;
	struct fold_twin twin;
	uint64_t seed = check_seed(88);
	folder_new(dir);
	snprintf(copy, sizeof(copy), "%s/copy", dir);
	snprintf(nowhere, sizeof(nowhere), "%s/no/where", dir);
	fold_twin_init(&twin);
	struct image *image = image_open(dir, 64 * MIB, &why);
	check(image != NULL);
	for (int round = 0; round < 3; round++) {
		check(collect(image, &twin, &seed, 10, &small));
		check_equal(image_commit(image, &why), 0);
		check_equal(image_copy(image, copy, &found, &why), 0);
		check_equal(found.meta.seq, image_collected_seq(image));
	}
	check_equal(image_copy(image, nowhere, &found, &why), -1);
	check(collect(image, NULL, &seed, 10, &small));
	check_equal(image_commit(image, &why), 0);
	image_close(image);
	check_equal(image_restore(dir, copy, &why), 0);
	check_equal(image_verify(dir, &why), 0);
	image = image_open(dir, 64 * MIB, &why);
	check(image != NULL && fold_twin_is(&twin, image));
	check(collect(image, &twin, &seed, 10, &small));
	check_equal(image_commit(image, &why), 0);
	check(fold_twin_is(&twin, image));
	image_close(image);
	check_equal(image_verify(dir, &why), 0);
	fold_twin_fini(&twin);
	folder_remove(dir);
}

/* The child tells each commit through the pipe; it is killed at some moment after one of them. */
_Noreturn static void
commit_until_killed(const char *dir, uint64_t seed, int out)
{
	struct why why;
	struct image *image = image_open(dir, 64 * MIB, &why);
	while (image != NULL && collect(image, NULL, &seed, 2, &small) && image_commit(image, &why) == 0) {
		uint64_t seq = image_collected_seq(image);
		if (write(out, &seq, sizeof(seq)) != (ssize_t)sizeof(seq))
			break;
	}
	_exit(1);
}

static void
a_kill_amid_commits_leaves_a_whole_commit(void)
{
	struct why why = { "" };
	uint64_t seed = check_seed(99);
	for (int round = 0; round < 10; round++) {
		char dir[256];
		int ends[2];
		uint64_t told = 0, from = seed;
		struct fold_twin twin;
		folder_new(dir);
		fold_twin_init(&twin);
		check_equal(pipe(ends), 0);
		pid_t child = fork();
		if (child == 0)
			commit_until_killed(dir, seed, ends[1]);
		close(ends[1]);
		for (uint64_t commits = 1 + draw(&seed) % 10; commits > 0; commits--)
			check_equal(read(ends[0], &told, sizeof(told)), sizeof(told));
		for (volatile uint64_t spin = draw(&seed) % 500000; spin > 0; spin--)
			;
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		close(ends[0]);
		check_equal(image_verify(dir, &why), 0);
		struct image *image = image_open(dir, 64 * MIB, &why);
		check(image != NULL);
		check(image_collected_seq(image) >= told && image_collected_seq(image) % 80 == 0);
		for (uint64_t seq = 0; seq < image_collected_seq(image); seq += 40)
			fold_twin_fold(&twin, draw_batch(&from, seq, &small));
		check(fold_twin_is(&twin, image));
		image_close(image);
		fold_twin_fini(&twin);
		folder_remove(dir);
	}
}

static const struct check tests[] = {
	CHECK(what_was_committed_is_there_after_reopening),
	CHECK(large_bodies_come_and_go),
	CHECK(what_was_only_collected_is_not_there),
	CHECK(half_a_batch_is_never_committed),
	CHECK(a_full_map_keeps_what_was_collected_and_says_so),
	CHECK(a_full_disk_is_an_answer_and_the_next_try_succeeds),
	CHECK(a_file_that_never_had_a_commit_is_made_anew),
	CHECK(a_copy_is_whole_and_can_be_put_back),
	CHECK(a_kill_amid_commits_leaves_a_whole_commit),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
