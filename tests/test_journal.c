/*
 * test_journal.c: what the journal does when nothing breaks: append, read, roll, recycle, claim, close. Crashes are in
 * test_journal_crash.c, damaged bytes in test_journal_damage.c.
 */
#include "tests/check.h"
#include "tests/journal_rig.h"
#include "tests/sim_disk.h"

#define KIB (UINT64_C(1) << 10)

static void
what_is_appended_is_read_back(void)
{
	struct disk *disk = sim_disk_new();
	struct log_tail tail;
	struct why why;
	struct log *log = rig_open(disk, 64 * KIB, &tail, &why);
	uint64_t last = 0;

	check(log);
	check_equal(tail.epoch, 1);
	check_equal(tail.last_seq, 0);
	check_equal(tail.oldest_seq, 1);
	check_equal(rig_append(log, 1, &last, 200, 9000), LOG_DURABLE);
	struct rig_read read = rig_read(log, 0, 9000);
	check(!read.wrong && !read.damaged);
	check_equal(read.batches, 200);
	check_equal(read.first, 1);
	check_equal(read.last, last);
	struct rig_read from_middle = rig_read(log, last / 2, 9000);
	check(!from_middle.wrong && !from_middle.damaged);
	check(from_middle.first <= last / 2 && from_middle.first > last / 2 - 3);
	check_equal(from_middle.last, last);
	struct journal_status status;
	journal_status(log, &status);
	check(status.segments > 10);
	log->calls->close(log);
	disk->calls->end(disk);
}

static void
batch_of_eight_mebibytes_goes_through_a_real_disk(void)
{
	char path[] = "/tmp/test_journal_XXXXXX";
	struct why why;
	struct log_tail tail;
	check(mkdtemp(path));
	struct disk *disk = disk_posix_open(path, &why);
	check(disk);
	struct log *log = rig_open(disk, UINT64_C(12) << 20, &tail, &why);
	check(log);
	uint64_t last = 0;
	uint8_t *payload = malloc(JOURNAL_PAYLOAD_BYTES_MAX);
	check(payload);
	for (size_t i = 0; i < JOURNAL_PAYLOAD_BYTES_MAX; i++)
		payload[i] = (uint8_t)(i * i >> 7);
	for (int i = 0; i < 3; i++) {
		struct log_batch batch = { .epoch = 1, .first_seq = ++last, .steps = 1, .stamp_ms = 5, .payload = payload,
			.payload_n = JOURNAL_PAYLOAD_BYTES_MAX - (size_t)i };
		check_equal(log->calls->append(log, &batch, &why), LOG_DURABLE);
	}
	bool gone;
	struct log_reader *reader = log->calls->read_open(log, 1, &gone, &why);
	struct log_batch batch;
	check(reader);
	for (int i = 0; i < 3; i++) {
		check_equal(log->calls->read_next(reader, last, &batch, &why), 1);
		check_equal(batch.payload_n, JOURNAL_PAYLOAD_BYTES_MAX - (size_t)i);
		check(memcmp(batch.payload, payload, batch.payload_n) == 0);
	}
	check_equal(log->calls->read_next(reader, last, &batch, &why), 0);
	log->calls->read_close(reader);
	log->calls->close(log);
	struct log *second;
	struct disk *other = disk_posix_open(path, &why);
	check(other);
	second = rig_open(other, UINT64_C(12) << 20, &tail, &why);
	check(second == NULL); /* the first disk still holds the lock */
	check(strstr(why.text, "another server"));
	disk->calls->end(disk);
	second = rig_open(other, UINT64_C(12) << 20, &tail, &why);
	check(second);
	check_equal(tail.last_seq, 3);
	check(tail.closed_cleanly);
	second->calls->close(second);
	other->calls->end(other);
	free(payload);
	char command[64];
	snprintf(command, sizeof command, "rm -r %s", path);
	check_equal(system(command), 0);
}

static void
epoch_rises_with_every_claim_and_older_epochs_are_fenced(void)
{
	struct disk *disk = sim_disk_new();
	struct log_tail tail;
	struct why why;
	uint64_t last = 0;

	for (uint64_t epoch = 1; epoch <= 6; epoch++) {
		struct log *log = rig_open(disk, 64 * KIB, &tail, &why);
		check(log);
		check_equal(tail.epoch, epoch);
		check_equal(tail.last_seq, last);
		if (epoch > 1) {
			uint64_t unmoved = last;
			check_equal(rig_append(log, epoch - 1, &unmoved, 1, 100), LOG_FENCED);
			check_equal(unmoved, last);
		}
		if (epoch % 2)
			check_equal(rig_append(log, epoch, &last, 3, 100), LOG_DURABLE);
		log->calls->close(log);
		sim_disk_kill(disk);
	}
	struct log *log = rig_open(disk, 64 * KIB, &tail, &why);
	check(log);
	struct rig_read read = rig_read(log, 1, 100);
	check(!read.wrong && !read.damaged);
	check_equal(read.last, last);
	check_equal(read.batches, 9);
	log->calls->close(log);
	disk->calls->end(disk);
}

static void
a_second_server_is_refused_by_the_lock(void)
{
	struct disk *disk = sim_disk_new();
	struct log_tail tail;
	struct why why;
	struct log *log = rig_open(disk, 64 * KIB, &tail, &why);

	check(log);
	check(rig_open(disk, 64 * KIB, &tail, &why) == NULL);
	check(strstr(why.text, "another server"));
	log->calls->close(log);
	disk->calls->end(disk);
}

static void
clean_close_is_seen_and_a_kill_is_not_one(void)
{
	struct disk *disk = sim_disk_new();
	struct log_tail tail;
	struct why why;
	uint64_t last = 0;

	struct log *log = rig_open(disk, 64 * KIB, &tail, &why);
	check(log);
	check(!tail.closed_cleanly);
	check_equal(rig_append(log, 1, &last, 5, 3000), LOG_DURABLE);
	log->calls->close(log);
	sim_disk_kill(disk);
	check((log = rig_open(disk, 64 * KIB, &tail, &why)));
	check(tail.closed_cleanly);
	check_equal(tail.cut_bytes, 0);
	check_equal(rig_append(log, 2, &last, 5, 3000), LOG_DURABLE);
	rig_die(log, disk);
	sim_disk_kill(disk);
	check((log = rig_open(disk, 64 * KIB, &tail, &why)));
	check(!tail.closed_cleanly);
	check_equal(tail.cut_bytes, 0);
	check_equal(tail.last_seq, last);
	log->calls->close(log);
	disk->calls->end(disk);
}

/* Ten batches of one step, each alone in its segment of 16 KiB, 1,000 ms apart. */
static struct log *
ten_segments(struct disk *disk, uint64_t history_bytes, uint64_t history_age_ms)
{
	struct journal_options options = rig_options(16 * KIB);
	struct log_tail tail;
	struct why why;
	static uint8_t payload[8000];

	options.history_bytes = history_bytes;
	options.history_age_ms = history_age_ms;
	struct log *log = journal_open(disk, &options, &why);
	if (!log || log->calls->claim(log, &tail, &why))
		return NULL;
	for (uint64_t seq = 1; seq <= 10; seq++) {
		struct log_batch batch = { .epoch = 1, .first_seq = seq, .steps = 1, .stamp_ms = (int64_t)seq * 1000, .payload = payload,
			.payload_n = sizeof payload };
		if (log->calls->append(log, &batch, &why) != LOG_DURABLE)
			return NULL;
	}
	return log;
}

static void
trim_keeps_what_history_and_readers_of_later_positions_need(void)
{
	static const struct {
		uint64_t before, history_bytes, history_age_ms, oldest;
	} rows[] = {
		{ 1, 0, 0, 1 },
		{ 2, 0, 0, 2 },
		{ 5, 0, 0, 5 },
		{ 11, 0, 0, 10 }, /* the segment that is written stays */
		{ 99, 0, 0, 10 },
		{ 11, 4 * 16 * KIB, 0, 7 }, /* the newest four */
		{ 11, 4 * 16 * KIB - 1, 0, 7 },
		{ 11, 4 * 16 * KIB + 1, 0, 6 },
		{ 5, 4 * 16 * KIB, 0, 5 },
		{ 11, 1000 * KIB, 0, 1 },
		{ 11, 1000 * KIB, 3000, 7 }, /* older than 3 s at 10 s: stamps below 7 s */
		{ 3, 1000 * KIB, 3000, 3 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct disk *disk = sim_disk_new();
		struct log *log = ten_segments(disk, rows[i].history_bytes, rows[i].history_age_ms);
		struct journal_status status;
		struct why why;
		check(log);
		check_equal(log->calls->bytes(log), 10 * 16 * KIB);
		check_equal(log->calls->trim(log, rows[i].before, &why), 0);
		journal_status(log, &status);
		check_equal(status.oldest_seq, rows[i].oldest);
		check_equal(status.segments, 11 - rows[i].oldest);
		check_equal(status.spares, rows[i].oldest > 2 ? 2 : rows[i].oldest - 1);
		check_equal(log->calls->bytes(log), status.segments * 16 * KIB);
		bool gone;
		struct log_reader *reader = log->calls->read_open(log, rows[i].oldest, &gone, &why);
		struct log_batch batch;
		check(reader && !gone);
		for (uint64_t seq = rows[i].oldest; seq <= 10; seq++) {
			check_equal(log->calls->read_next(reader, 10, &batch, &why), 1);
			check_equal(batch.first_seq, seq);
		}
		log->calls->read_close(reader);
		if (rows[i].oldest > 1) {
			check(!log->calls->read_open(log, rows[i].oldest - 1, &gone, &why));
			check(gone);
		}
		log->calls->close(log);
		disk->calls->end(disk);
	}
}

static void
a_reader_whose_segment_is_recycled_is_told_gone_and_gets_no_other_bytes(void)
{
	struct disk *disk = sim_disk_new();
	struct log *log = ten_segments(disk, 0, 0);
	struct log_batch batch;
	struct why why;
	bool gone;

	check(log);
	struct log_reader *reader = log->calls->read_open(log, 0, &gone, &why);
	check(reader);
	check_equal(log->calls->read_next(reader, 10, &batch, &why), 1);
	check_equal(log->calls->trim(log, 9, &why), 0);
	check_equal(log->calls->read_next(reader, 10, &batch, &why), -1);
	check(strstr(why.text, "gone"));
	log->calls->read_close(reader);
	log->calls->close(log);
	disk->calls->end(disk);
}

static void
a_reader_goes_no_further_than_it_is_told(void)
{
	struct disk *disk = sim_disk_new();
	struct log *log = ten_segments(disk, 1000 * KIB, 0);
	struct log_batch batch;
	struct why why;
	bool gone;

	check(log);
	struct log_reader *reader = log->calls->read_open(log, 1, &gone, &why);
	check(reader);
	for (uint64_t up_to = 0; up_to <= 12; up_to++) {
		check_equal(log->calls->read_next(reader, up_to, &batch, &why), up_to >= 1 && up_to <= 10);
		check_equal(log->calls->read_next(reader, up_to, &batch, &why), 0);
	}
	log->calls->read_close(reader);
	log->calls->close(log);
	disk->calls->end(disk);
}

/* It has read ahead what was not written then, and must not believe it. */
static void
a_reader_at_the_tail_sees_each_batch_as_it_comes(void)
{
	struct disk *disk = sim_disk_new();
	struct log_tail tail;
	struct log_batch batch;
	struct why why;
	bool gone;
	uint64_t last = 0;
	struct log *log = rig_open(disk, 256 * KIB, &tail, &why);

	check(log);
	struct log_reader *reader = log->calls->read_open(log, 1, &gone, &why);
	check(reader);
	for (int i = 0; i < 300; i++) {
		check_equal(log->calls->read_next(reader, last, &batch, &why), 0);
		check_equal(rig_append(log, 1, &last, 1, 5000), LOG_DURABLE);
		check_equal(log->calls->read_next(reader, last, &batch, &why), 1);
		check(rig_is(&batch, 5000));
		check_equal(batch.first_seq + batch.steps - 1, last);
	}
	log->calls->read_close(reader);
	log->calls->close(log);
	disk->calls->end(disk);
}

static void
a_full_disk_is_met_by_prepare_and_told(void)
{
	struct disk *disk = sim_disk_new();
	struct log_tail tail;
	struct why why;
	struct log *log = rig_open(disk, 64 * KIB, &tail, &why);
	uint64_t last = 0;

	check(log);
	check_equal(log->calls->prepare(log, &why), 0);
	check(!journal_free_low(log));
	sim_disk_set_free(disk, (int64_t)(32 * KIB));
	check_equal(log->calls->prepare(log, &why), 0); /* a spare is there */
	check(journal_free_low(log)); /* but less than the reserve */
	struct journal_status status;
	do {
		check_equal(rig_append(log, 1, &last, 1, 4000), LOG_DURABLE);
		journal_status(log, &status);
	} while (status.segments < 2);
	check_equal(log->calls->prepare(log, &why), -1);
	check(strstr(why.text, "No space"));
	check(journal_free_low(log));
	check_equal(rig_append(log, 1, &last, 3, 4000), LOG_DURABLE); /* what is there is still there */
	sim_disk_set_free(disk, INT64_C(1) << 40);
	check_equal(log->calls->prepare(log, &why), 0);
	check(!journal_free_low(log));
	check_equal(rig_append(log, 1, &last, 50, 4000), LOG_DURABLE);
	log->calls->close(log);
	disk->calls->end(disk);
}

static void
options_that_cannot_work_are_refused_with_a_sentence(void)
{
	static const uint64_t sizes[] = { 0, 4096, 16 * KIB - 4096, 16 * KIB + 1, UINT64_MAX };
	struct disk *disk = sim_disk_new();

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct journal_options options = rig_options(sizes[i]);
		struct why why = { "" };
		check(!journal_open(disk, &options, &why));
		check(strstr(why.text, "segment_bytes"));
	}
	disk->calls->end(disk);
}

static void
segments_of_another_size_are_read_and_not_reused(void)
{
	struct disk *disk = sim_disk_new();
	struct log_tail tail;
	struct why why;
	uint64_t last = 0;

	for (uint64_t round = 1; round <= 8; round++) {
		struct log *log = rig_open(disk, round % 2 ? 64 * KIB : 32 * KIB, &tail, &why);
		check(log);
		check_equal(tail.last_seq, last);
		check_equal(rig_append(log, round, &last, 20, 5000), LOG_DURABLE);
		check_equal(log->calls->prepare(log, &why), 0);
		struct rig_read read = rig_read(log, 0, 5000);
		check(!read.wrong && !read.damaged);
		check_equal(read.last, last);
		if (round == 4)
			check_equal(log->calls->trim(log, last - 30, &why), 0);
		log->calls->close(log);
		sim_disk_kill(disk);
	}
	disk->calls->end(disk);
}

static const struct check tests[] = {
	CHECK(what_is_appended_is_read_back),
	CHECK(batch_of_eight_mebibytes_goes_through_a_real_disk),
	CHECK(epoch_rises_with_every_claim_and_older_epochs_are_fenced),
	CHECK(a_second_server_is_refused_by_the_lock),
	CHECK(clean_close_is_seen_and_a_kill_is_not_one),
	CHECK(trim_keeps_what_history_and_readers_of_later_positions_need),
	CHECK(a_reader_whose_segment_is_recycled_is_told_gone_and_gets_no_other_bytes),
	CHECK(a_reader_goes_no_further_than_it_is_told),
	CHECK(a_reader_at_the_tail_sees_each_batch_as_it_comes),
	CHECK(a_full_disk_is_met_by_prepare_and_told),
	CHECK(options_that_cannot_work_are_refused_with_a_sentence),
	CHECK(segments_of_another_size_are_read_and_not_reused),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv);
}
