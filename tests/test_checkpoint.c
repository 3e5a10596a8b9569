/*
 * test_checkpoint.c: the checkpointer's step over a log in memory: what it reads, when it commits, what it gives back (K1..K3).
 */
#include "tests/check.h"
#include "tests/image_rig.h"
#include "tests/sim_log.h"

#include "persist/checkpoint.h"

#include <signal.h>
#include <sys/resource.h>

#define MIB     (UINT64_C(1) << 20)
#define BATCHES 100

static const struct batch_shape shape = { .steps = 20, .entries = 3, .keys = 400, .body_max = 200 };

struct bench {
	char dir[256], copy[300];
	struct sim_store *store;
	struct log *log;
	struct image *image;
	struct checkpoint *checkpoint;
	struct fold_twin twin; /* of what was appended */
	uint64_t last_seq, seed;
	struct why why;
};

/* A log of BATCHES batches, not yet folded. */
static void
bench_open(struct bench *b, const struct checkpoint_options *options, uint64_t map_bytes, bool copies)
{
	struct checkpoint_options o = *options;
	struct log_tail tail;
	*b = (struct bench){ .seed = check_seed(3) };
	folder_new(b->dir);
	snprintf(b->copy, sizeof(b->copy), "%s/copy", b->dir);
	o.copy_dir = copies ? b->copy : NULL;
	fold_twin_init(&b->twin);
	b->store = sim_store_new();
	b->log = sim_log_open(b->store);
	ensure(b->log->calls->claim(b->log, &tail, &b->why) == 0);
	for (int i = 0; i < BATCHES; i++) {
		struct log_batch batch = *draw_batch(&b->seed, b->last_seq, &shape);
		batch.epoch = tail.epoch;
		fold_twin_fold(&b->twin, &batch);
		ensure(b->log->calls->append(b->log, &batch, &b->why) == LOG_DURABLE);
		b->last_seq += batch.steps;
	}
	b->image = image_open(b->dir, map_bytes, &b->why);
	b->checkpoint = checkpoint_open(b->log, b->image, &o, &b->why);
	ensure(b->image != NULL && b->checkpoint != NULL);
}

static void
bench_close(struct bench *b)
{
	checkpoint_close(b->checkpoint);
	image_close(b->image);
	b->log->calls->close(b->log);
	sim_store_free(b->store);
	fold_twin_fini(&b->twin);
	folder_remove(b->dir);
}

static struct checkpoint_status
status_of(struct bench *b)
{
	struct checkpoint_status s;
	checkpoint_status(b->checkpoint, &s);
	return s;
}

static bool
readable_from(struct bench *b, uint64_t from)
{
	bool gone = false;
	struct log_reader *reader = b->log->calls->read_open(b->log, from, &gone, &b->why);
	if (reader != NULL)
		b->log->calls->read_close(reader);
	return reader != NULL && !gone;
}

static const struct checkpoint_options unhurried = { .records_max = 100000, .bytes_max = 64 * MIB, .age_ms_max = 1000 };

static void
nothing_beyond_the_durable_position_is_read(void)
{
	struct bench b;
	bench_open(&b, &unhurried, 64 * MIB, false);
	for (uint64_t durable = 0; durable <= b.last_seq; durable += 7) {
		check_equal(checkpoint_step(b.checkpoint, durable, 0, &b.why), 0);
		check_equal(status_of(&b).collected_seq, durable / shape.steps * shape.steps);
	}
	check_equal(status_of(&b).commits, 0);
	bench_close(&b);
}

static void
a_commit_is_due_by_records_by_bytes_or_by_age(void)
{
	static const struct {
		struct checkpoint_options options;
		int64_t later_ms;
		bool commits;
	} rows[] = {
		{ { .records_max = 100000, .bytes_max = 64 * MIB, .age_ms_max = 1000 }, 999, false },
		{ { .records_max = 100000, .bytes_max = 64 * MIB, .age_ms_max = 1000 }, 1000, true },
		{ { .records_max = 500, .bytes_max = 64 * MIB, .age_ms_max = 1000 }, 0, true },
		{ { .records_max = 100000, .bytes_max = 30000, .age_ms_max = 1000 }, 0, true },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bench b;
		bench_open(&b, &rows[i].options, 64 * MIB, false);
		check(checkpoint_step(b.checkpoint, 0, 50, &b.why) >= 0); /* nothing was there at the start (K4) */
		check(checkpoint_step(b.checkpoint, b.last_seq, 50, &b.why) >= 0);
		check(checkpoint_step(b.checkpoint, b.last_seq, 50 + rows[i].later_ms, &b.why) >= 0);
		check_equal(status_of(&b).commits > 0, rows[i].commits);
		bench_close(&b);
	}
}

/* K4 */
static void
what_was_there_at_the_start_is_committed_at_once(void)
{
	struct bench b;
	bench_open(&b, &unhurried, 64 * MIB, false);
	check(checkpoint_step(b.checkpoint, b.last_seq, 0, &b.why) >= 0);
	check_equal(status_of(&b).commits, 1);
	check_equal(status_of(&b).committed_seq, b.last_seq);
	bench_close(&b);
}

static void
steps_end_with_everything_committed_and_the_log_trimmed_behind_it(void)
{
	struct bench b;
	struct checkpoint_options few = { .records_max = 300, .bytes_max = 64 * MIB, .age_ms_max = 0 };
	int more;
	bench_open(&b, &few, 64 * MIB, false);
	do {
		more = checkpoint_step(b.checkpoint, b.last_seq, 0, &b.why);
		check(more >= 0);
		check(readable_from(&b, status_of(&b).committed_seq + 1) || status_of(&b).committed_seq == b.last_seq);
		check(!readable_from(&b, 1));
	} while (more > 0);
	check(status_of(&b).commits > 5);
	check_equal(status_of(&b).committed_seq, b.last_seq);
	check(fold_twin_is(&b.twin, b.image));
	bench_close(&b);
}

static void
while_commits_fail_the_log_is_kept_and_memory_stays_bounded(void)
{
	struct bench b;
	struct checkpoint_options few = { .records_max = 1200, .bytes_max = 64 * MIB, .age_ms_max = 0 };
	bench_open(&b, &few, 64 << 10, false);
	int failed = 0;
	for (int64_t now = 0; now < 20 * CHECKPOINT_RETRY_MS; now += CHECKPOINT_RETRY_MS / 4)
		failed += checkpoint_step(b.checkpoint, b.last_seq, now, &b.why) < 0;
	check_equal(failed, 20); /* a try each CHECKPOINT_RETRY_MS, not each step */
	check(strstr(b.why.text, "is reached") != NULL);
	check(status_of(&b).records_waiting < few.records_max + shape.steps * shape.entries);
	check(status_of(&b).collected_seq < b.last_seq);
	check(readable_from(&b, 1));
	check_equal(checkpoint_finish(b.checkpoint, b.last_seq, &b.why), -1);
	check(readable_from(&b, 1));
	bench_close(&b);
}

static void
with_copies_the_log_is_kept_behind_the_last_checked_copy(void)
{
	struct bench b;
	struct checkpoint_options few = { .records_max = 300, .bytes_max = 64 * MIB, .age_ms_max = 0, .copy_ms = 5000 };
	bench_open(&b, &few, 64 * MIB, true);
	for (int64_t now = 0; now < 10000; now += 500) {
		check(checkpoint_step(b.checkpoint, b.last_seq, now, &b.why) >= 0);
		check(readable_from(&b, status_of(&b).copied_seq + 1) || status_of(&b).copied_seq == b.last_seq);
		check(status_of(&b).copied_seq <= status_of(&b).committed_seq);
	}
	check_equal(status_of(&b).copies, 2);
	check_equal(image_verify(b.copy, &b.why), 0);
	/* A later checkpointer knows the copy that is there. */
	struct checkpoint_options again = { .records_max = 300, .bytes_max = 64 * MIB, .age_ms_max = 0, .copy_dir = b.copy, .copy_ms = 5000 };
	uint64_t copied = status_of(&b).copied_seq;
	checkpoint_close(b.checkpoint);
	b.checkpoint = checkpoint_open(b.log, b.image, &again, &b.why);
	check_equal(status_of(&b).copied_seq, copied);
	bench_close(&b);
}

/* The same checkpointer's log and image, with copies in another folder. */
static void
copies_into(struct bench *b, const char *copy)
{
	static struct checkpoint_options hourly = { .records_max = 300, .bytes_max = 64 * MIB, .age_ms_max = 0, .copy_ms = 3600000 };
	hourly.copy_dir = copy;
	checkpoint_close(b->checkpoint);
	b->checkpoint = checkpoint_open(b->log, b->image, &hourly, &b->why);
	ensure(b->checkpoint != NULL);
}

/* Another leader claims the log and appends a batch. */
static void
next_epoch(struct bench *b)
{
	struct log_tail tail;
	struct log *log = sim_log_open(b->store);
	ensure(log->calls->claim(log, &tail, &b->why) == 0);
	struct log_batch batch = *draw_batch(&b->seed, b->last_seq, &shape);
	batch.epoch = tail.epoch;
	ensure(log->calls->append(log, &batch, &b->why) == LOG_DURABLE);
	b->last_seq += batch.steps;
	b->log->calls->close(b->log);
	b->log = log;
}

/* The folder was begun anew, or an old one was put back, and what --image-copy names was left as it was. */
static void
a_copy_of_another_history_counts_for_nothing(void)
{
	struct bench old, anew;
	struct image_findings found;
	bench_open(&old, &unhurried, 64 * MIB, false);
	next_epoch(&old);
	copies_into(&old, old.copy);
	check(checkpoint_step(old.checkpoint, old.last_seq, 0, &old.why) >= 0);
	check_equal(checkpoint_finish(old.checkpoint, old.last_seq, &old.why), 0);
	check_equal(image_copy(old.image, old.copy, &found, &old.why), 0);
	check(found.meta.seq == old.last_seq && found.meta.epoch == 2);
	bench_open(&anew, &unhurried, 64 * MIB, false);
	copies_into(&anew, old.copy);
	check_equal(status_of(&anew).copied_seq, 0); /* further than this image */
	check(checkpoint_step(anew.checkpoint, anew.last_seq, 0, &anew.why) >= 0);
	check_equal(status_of(&anew).copies, 1);
	check_equal(status_of(&anew).copied_seq, status_of(&anew).committed_seq);
	check_equal(image_inspect(old.copy, NULL, &found, &anew.why), 0);
	check_equal(found.meta.seq, status_of(&anew).committed_seq);
	check_equal(image_copy(old.image, old.copy, &found, &old.why), 0);
	for (struct log_batch batch; anew.last_seq <= old.last_seq; anew.last_seq += batch.steps) {
		batch = *draw_batch(&anew.seed, anew.last_seq, &shape);
		batch.epoch = 1;
		ensure(anew.log->calls->append(anew.log, &batch, &anew.why) == LOG_DURABLE);
	}
	check_equal(checkpoint_finish(anew.checkpoint, anew.last_seq, &anew.why), 0);
	copies_into(&anew, old.copy);
	check_equal(status_of(&anew).copied_seq, 0); /* of a later epoch */
	bench_close(&anew);
	bench_close(&old);
}

static void
finish_folds_everything(void)
{
	struct bench b;
	bench_open(&b, &unhurried, 64 * MIB, false);
	check_equal(checkpoint_finish(b.checkpoint, b.last_seq, &b.why), 0);
	check_equal(status_of(&b).committed_seq, b.last_seq);
	check(fold_twin_is(&b.twin, b.image));
	check_equal(checkpoint_finish(b.checkpoint, b.last_seq, &b.why), 0);
	check_equal(status_of(&b).commits, 1);
	check_equal(checkpoint_finish(b.checkpoint, b.last_seq + 1, &b.why), -1);
	bench_close(&b);
}

/* Of every file that is written; RLIM_INFINITY: no bound. */
static void
room_set(rlim_t bytes)
{
	struct rlimit room;
	ensure(getrlimit(RLIMIT_FSIZE, &room) == 0);
	room.rlim_cur = bytes < room.rlim_max ? bytes : room.rlim_max;
	ensure(setrlimit(RLIMIT_FSIZE, &room) == 0);
}

static void
what_a_failed_commit_kept_full_is_finished_when_there_is_room_again(void)
{
	struct bench b;
	struct checkpoint_options few = { .records_max = 600, .bytes_max = 64 * MIB, .age_ms_max = 0 };
	bench_open(&b, &few, 64 * MIB, false);
	signal(SIGXFSZ, SIG_IGN);
	room_set(32 << 10);
	int failed = checkpoint_step(b.checkpoint, b.last_seq, 0, &b.why);
	room_set(RLIM_INFINITY);
	check_equal(failed, -1);
	check(status_of(&b).records_waiting >= few.records_max && status_of(&b).collected_seq < b.last_seq);
	check_equal(status_of(&b).commits, 0);
	check_equal(checkpoint_finish(b.checkpoint, b.last_seq, &b.why), 0);
	check_equal(status_of(&b).committed_seq, b.last_seq);
	check(fold_twin_is(&b.twin, b.image));
	bench_close(&b);
}

static const struct check tests[] = {
	CHECK(what_a_failed_commit_kept_full_is_finished_when_there_is_room_again),
	CHECK(nothing_beyond_the_durable_position_is_read),
	CHECK(a_commit_is_due_by_records_by_bytes_or_by_age),
	CHECK(what_was_there_at_the_start_is_committed_at_once),
	CHECK(steps_end_with_everything_committed_and_the_log_trimmed_behind_it),
	CHECK(while_commits_fail_the_log_is_kept_and_memory_stays_bounded),
	CHECK(with_copies_the_log_is_kept_behind_the_last_checked_copy),
	CHECK(a_copy_of_another_history_counts_for_nothing),
	CHECK(finish_folds_everything),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
