/*
 * test_disk_pace.c: the program's fdatasync: on a thread with a pace it rests between slices, LMDB's own calls included, and is a sync all
 * the same; on others nothing is different.
 */
#define _GNU_SOURCE
#include "tests/check.h"
#include "tests/image_rig.h"

#include "persist/disk_pace.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MIB INT64_C(1048576)
#define COMMIT_BATCHES 12

static char dir[256];
static int rests;

static void
count(void *context)
{
	++*(int *)context;
}

static const struct disk_pace pace = { count, &rests };

/* Bytes of a new file. */
static int
file_new(int64_t bytes)
{
	char path[300];
	snprintf(path, sizeof path, "%s/file", dir);
	unlink(path);
	int file = open(path, O_RDWR | O_CREAT, 0600);
	ensure(file >= 0 && pwrite(file, "x", 1, bytes - 1) == 1);
	return file;
}

static void
a_long_file_is_synced_in_slices(void)
{
	int file = file_new(10 * MIB);
	rests = 0;
	disk_pace_set(&pace);
	check_equal(fdatasync(file), 0);
	check_equal(rests, 3);
	disk_pace_set(NULL);
	check_equal(fdatasync(file), 0);
	check_equal(rests, 3);
	close(file);
}

static void
a_short_file_is_synced_in_one_go(void)
{
	int file = file_new(DISK_SLICE_BYTES);
	rests = 0;
	disk_pace_set(&pace);
	check_equal(fdatasync(file), 0);
	disk_pace_set(NULL);
	check_equal(rests, 0);
	close(file);
}

static void
what_cannot_be_synced_says_so(void)
{
	int ends[2];
	ensure(pipe(ends) == 0);
	disk_pace_set(&pace);
	check(fdatasync(ends[1]) < 0 && errno == EINVAL);
	check(fdatasync(-1) < 0 && errno == EBADF);
	disk_pace_set(NULL);
	close(ends[0]);
	close(ends[1]);
}

/* The C library's, with a failure that is told once, as the kernel does; and one of the call itself, which asks for nothing then. */
static int slice_error, call_error;
int
sync_file_range(int file, off_t offset, off_t n, unsigned flags)
{
	int *error = flags ? &slice_error : &call_error;
	if (*error == 0)
		return (int)syscall(SYS_sync_file_range, file, offset, n, flags);
	errno = *error;
	*error = 0;
	return -1;
}

static void
a_slice_that_fails_in_any_way_fails_the_sync(void)
{
	/* The last ones also mean "no such call here". As the end of a writing they mean that it was not written. */
	static const int failures[] = { EIO, ENOSPC, EDQUOT, ENODATA, ETIMEDOUT, EREMOTEIO, EILSEQ, ENOLINK, EUCLEAN, ESTALE,
		EINVAL, ESPIPE, ENOSYS, EOPNOTSUPP, EPERM };
	int file = file_new(3 * DISK_SLICE_BYTES);
	disk_pace_set(&pace);
	for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
		slice_error = failures[i];
		check(fdatasync(file) < 0 && errno == failures[i]);
	}
	disk_pace_set(NULL);
	close(file);
}

static void
where_slices_are_not_known_all_is_synced_in_one_go(void)
{
	static const int unknown[] = { EINVAL, ESPIPE, ENOSYS, EOPNOTSUPP, EPERM };
	int file = file_new(3 * DISK_SLICE_BYTES);
	rests = 0;
	disk_pace_set(&pace);
	for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
		call_error = unknown[i];
		check_equal(fdatasync(file), 0);
	}
	disk_pace_set(NULL);
	check_equal(rests, 0);
	close(file);
}

static void *
sync_on_another(void *arg)
{
	ensure(fdatasync(*(int *)arg) == 0);
	return NULL;
}

static void
a_pace_is_its_threads_own(void)
{
	pthread_t other;
	int file = file_new(10 * MIB);
	rests = 0;
	disk_pace_set(&pace);
	ensure(pthread_create(&other, NULL, sync_on_another, &file) == 0);
	pthread_join(other, NULL);
	disk_pace_set(NULL);
	check_equal(rests, 0);
	close(file);
}

/* LMDB calls fdatasync from its own library: it must get ours. */
static void
a_commit_of_the_image_is_paced(void)
{
	const struct batch_shape many = { .steps = 1200, .entries = 4, .keys = 100000, .body_max = 4000 }, one = { .steps = 1, .entries = 1, .keys = 1, .body_max = 8 };
	uint64_t seed = check_seed(11);
	struct why why = { "" };
	size_t n;
	struct image *image = image_open(dir, 256 * (uint64_t)MIB, &why);
	check(image != NULL);
	for (int i = 0; i < COMMIT_BATCHES; i++)
		check_equal(image_collect(image, draw_batch(&seed, image_collected_seq(image), &many), &why), 0);
	rests = 0;
	disk_pace_set(&pace);
	check_equal(image_commit(image, &why), 0);
	check(rests > 3); /* between its records, too */
	check_equal(image_collect(image, draw_batch(&seed, image_collected_seq(image), &one), &why), 0);
	rests = 0;
	check_equal(image_commit(image, &why), 0);
	disk_pace_set(NULL);
	free(file_get(dir, "image", &n));
	check(n > 2 * (size_t)DISK_SLICE_BYTES);
	check(rests >= 2); /* one record: in the sync alone */
	image_close(image);
	check_equal(image_verify(dir, &why), 0);
}

static const struct check tests[] = {
	CHECK(a_long_file_is_synced_in_slices),
	CHECK(a_short_file_is_synced_in_one_go),
	CHECK(what_cannot_be_synced_says_so),
	CHECK(a_slice_that_fails_in_any_way_fails_the_sync),
	CHECK(where_slices_are_not_known_all_is_synced_in_one_go),
	CHECK(a_pace_is_its_threads_own),
	CHECK(a_commit_of_the_image_is_paced),
};

int
main(int argc, char **argv)
{
	folder_new(dir);
	int rc = check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv);
	folder_remove(dir);
	return rc;
}
