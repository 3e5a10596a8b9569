/*
 * test_cli_restore.c: who follows a server by positions, when that was restored from a backup: a position in what was lost is told `gone`
 * by every way of going on, and a whole scan is right; also through a second restore, and through more of them than are kept apart.
 */
#include "tests/check.h"
#include "tests/cli.h"

#include <stdlib.h>

#include "persist/backup.h"
#include "persist/image_private.h"
#include "tests/image_rig.h"

#define MIB (UINT64_C(1) << 20)

static long long
position_now(void)
{
	cli("digest --json");
	return cli_json("seq");
}

/* The data are lost; what the backup `kept` holds takes their place. */
static bool
disaster(void)
{
	static const char *const words[] = { "--loops", "1", "--image-age-ms", "200ms", NULL };
	char line[1024];
	struct why why = { "" };
	server_kill(&cli_server);
	int code = cli("restore kept --data next");
	snprintf(line, sizeof line, "cd %s && rm -rf data && mv next data", cli_server.folder);
	bool fine = code == 0 && system(line) == 0 && server_start(&cli_server, words, &why) == 0;
	if (!fine)
		printf("     %s%s\n", cli_err, why.text);
	return fine;
}

/* Each way of going on from `since` says that it cannot be, and from where it can. */
static void
check_lost(long long since, long long until)
{
	check_cli(1, "watch --since %lld", since);
	check_says(cli_err, "(gone)");
	check_says(cli_err, "begin anew with the whole: holdfast scan --snapshot");
	check_cli(1, "watch --since %lld --json", since);
	check_equal(cli_json("error.detail.oldest"), until + 1);
	static const char *const ways[] = { "", "--sku-prefix A", "--snapshot" };
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		check_cli(1, "scan --since %lld %s", since, ways[i]);
		check_says(cli_err, "begin with a whole scan");
		check_cli(1, "scan --since %lld --json %s", since, ways[i]);
		check_says(cli_out, "\"code\":\"gone\"");
		check_equal(cli_json("error.detail.oldest"), until + 1);
	}
}

static void
a_position_that_a_restore_lost_is_gone_and_a_whole_scan_is_right(void)
{
	check_stocked("A", 10);
	check_cli(0, "backup kept");
	long long kept = position_now(), until = kept + (long long)RESTORE_SKIP;
	check_cli(0, "reserve A L1 1 --id lost-1");
	check_cli(0, "reserve A L1 2 --id lost-2"); /* a follower has seen this: 7 */
	long long lost = position_now();
	check(lost > kept + 1);
	check(disaster());
	check_stocked("B", 5);
	check_lost(kept + 1, until);
	check_lost(lost, until);
	check_lost(until - 1, until);
	check_cli(0, "scan");
	check_says(cli_out, "A,L1,");
	check_says(cli_out, ",10,10"); /* what the follower would have kept for ever */
	/* What is on either side of the lost part is a position like any other. */
	const long long fine[] = { kept, until, position_now() };
	for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
		check_cli(0, "scan --since %lld", fine[i]);
		check((strstr(cli_out, "B,L1,") != NULL) == (i < 2) && !strstr(cli_out, "A,L1,"));
	}
	check_cli(0, "watch --since %lld --limit 1", until);
	check_says(cli_out, "B  L1");
	/* A backup of the restored one remembers what the first one lost. */
	check_cli(0, "backup kept");
	long long second = position_now();
	check_cli(0, "reserve B L1 1 --id lost-3");
	long long lost_too = position_now();
	check(disaster());
	check_lost(lost_too, second + (long long)RESTORE_SKIP);
	check_cli(1, "scan --since %lld", lost);
	check_says(cli_err, "begin with a whole scan");
	check_cli(0, "scan --since %lld", second);
}

/* More restores than are kept apart: what lies between the oldest ones counts as lost, never the other way. */
static void
no_lost_position_is_taken_for_a_good_one_after_many_restores(void)
{
	enum { RESTORES = IMAGE_LOST_MAX + 4, STEP = 1000 };
	char dir[256], path[300];
	struct why why = { "" };
	struct image_meta meta;
	const struct batch_shape shape = { .steps = 10, .entries = 2, .keys = 20, .body_max = 60 };
	uint64_t seed = 7;
	folder_new(dir);
	snprintf(path, sizeof path, "%s/%s", dir, IMAGE_NAME);
	struct image *image = image_open(dir, 64 * MIB, &why);
	check(image && image_collect(image, draw_batch(&seed, 0, &shape), &why) == 0 && image_commit(image, &why) == 0);
	image_meta(image, &meta);
	image_close(image);
	uint64_t first = meta.seq;
	check(first > 0 && first < STEP && meta.lost_n == 0);
	for (uint64_t i = 1; i <= RESTORES; i++) {
		check_equal(image_move_ahead(path, i * STEP, &why), 0);
		image = image_open(dir, 64 * MIB, &why); /* a commit keeps what is noted */
		check(image && image_collect(image, draw_batch(&seed, i * STEP, &shape), &why) == 0 && image_commit(image, &why) == 0);
		image_meta(image, &meta);
		image_close(image);
		check_equal(image_verify(dir, &why), 0);
		check(meta.lost_n == (i < IMAGE_LOST_MAX ? i : IMAGE_LOST_MAX));
		for (uint64_t k = 1; k <= i; k++) {
			check_equal(image_lost_until(&meta, k * STEP - 1) >= k * STEP, 1);
			check_equal(image_lost_until(&meta, k * STEP) % STEP, 0);
		}
		check_equal(image_lost_until(&meta, first), 0);
		check_equal(image_lost_until(&meta, i * STEP), 0);
		check_equal(image_lost_until(&meta, i * STEP - 1), i * STEP);
	}
	folder_remove(dir);
}

static const struct check tests[] = {
	CHECK(a_position_that_a_restore_lost_is_gone_and_a_whole_scan_is_right),
	CHECK(no_lost_position_is_taken_for_a_good_one_after_many_restores),
};

int
main(int argc, char **argv)
{
	return cli_run(tests, sizeof tests / sizeof *tests, argc, argv);
}
