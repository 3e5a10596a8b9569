/*
 * test_journal_limit.c: the journal at its greatest number of segments, over a disk of its own: sim_disk looks names up one by one, and
 * remembers what is durable. This one finds a file by the generation in its name, and of each block keeps only the beginning.
 */
#include "tests/check.h"
#include "tests/journal_rig.h"

#include "persist/journal_folder.h"

#include <errno.h>
#include <stdlib.h>

#define SEGMENT_BLOCKS 4 /* header, a batch of two, the close marker */
#define SEGMENT_BYTES  (SEGMENT_BLOCKS * JOURNAL_BLOCK_BYTES)
#define PAYLOAD_BYTES  (JOURNAL_BLOCK_BYTES + 100) /* all zero; one batch fills a segment */
#define KEPT_BYTES     512 /* of a block: one copy of the segment's header, or a batch's head; the rest reads as zero */
#define FILES          (JOURNAL_SEGMENTS_MAX + 200) /* generations; the file in the making is number 0 */

struct file {
	bool there;
	uint8_t blocks[SEGMENT_BLOCKS][KEPT_BYTES];
};

struct wide_disk {
	struct disk disk;
	struct file *files;
	uint32_t forgotten; /* pages of whole files given back; the file in the making does not count */
};

static struct file *
file_of(struct disk *disk, int file)
{
	return &((struct wide_disk *)disk)->files[file];
}

/* -1: no file of the journal's. */
static int
number_of(const char *name)
{
	uint64_t generation = 0;
	if (strcmp(name, JOURNAL_NEW_NAME) != 0 && !journal_name_parse(name, &generation))
		return -1;
	ensure(generation < FILES);
	return (int)generation;
}

static int
wide_open(struct disk *disk, const char *name, int create)
{
	int file = number_of(name);
	bool there = file >= 0 && file_of(disk, file)->there;
	if (there == (create != 0)) {
		errno = there ? EEXIST : ENOENT;
		return -1;
	}
	file_of(disk, file)->there = true;
	return file;
}

static void
wide_close(struct disk *disk, int file)
{
}

static ssize_t
wide_read_at(struct disk *disk, int file, void *to, size_t n, uint64_t offset)
{
	n = offset >= SEGMENT_BYTES ? 0 : offset + n > SEGMENT_BYTES ? (size_t)(SEGMENT_BYTES - offset) : n;
	memset(to, 0, n);
	for (size_t read = 0, step; read < n; read += step) {
		size_t in_block = (offset + read) % JOURNAL_BLOCK_BYTES, kept = in_block < KEPT_BYTES ? KEPT_BYTES - in_block : 0;
		step = JOURNAL_BLOCK_BYTES - in_block;
		kept = kept < n - read ? kept : n - read;
		memcpy((uint8_t *)to + read, file_of(disk, file)->blocks[(offset + read) / JOURNAL_BLOCK_BYTES] + (kept ? in_block : 0), kept);
	}
	return (ssize_t)n;
}

static int
wide_write_at(struct disk *disk, int file, const void *from, size_t n, uint64_t offset)
{
	ensure(n % JOURNAL_BLOCK_BYTES == 0 && offset % JOURNAL_BLOCK_BYTES == 0 && offset + n <= SEGMENT_BYTES);
	for (size_t at = 0; at < n; at += JOURNAL_BLOCK_BYTES)
		memcpy(file_of(disk, file)->blocks[(offset + at) / JOURNAL_BLOCK_BYTES], (const uint8_t *)from + at, KEPT_BYTES);
	return 0;
}

static int
wide_sync(struct disk *disk, int file)
{
	return 0;
}

static int64_t
wide_size(struct disk *disk, int file)
{
	return SEGMENT_BYTES;
}

static void
wide_ahead(struct disk *disk, int file, uint64_t offset, uint64_t n)
{
}

static void
wide_forget(struct disk *disk, int file, uint64_t offset, uint64_t n)
{
	((struct wide_disk *)disk)->forgotten += file > 0 && offset == 0 && n == SEGMENT_BYTES;
}

static int
wide_allocate(struct disk *disk, int file, uint64_t bytes)
{
	return 0;
}

static int
wide_remove(struct disk *disk, const char *name)
{
	*file_of(disk, number_of(name)) = (struct file){ 0 };
	return 0;
}

static int
wide_rename(struct disk *disk, const char *from, const char *to)
{
	*file_of(disk, number_of(to)) = *file_of(disk, number_of(from));
	return wide_remove(disk, from);
}

static int
wide_sync_folder(struct disk *disk)
{
	return 0;
}

static int
wide_list(struct disk *disk, void (*each)(void *, const char *), void *context)
{
	char name[JOURNAL_NAME_BYTES];
	for (int i = 1; i < FILES; i++) {
		journal_name(name, (uint64_t)i);
		if (file_of(disk, i)->there)
			each(context, name);
	}
	return 0;
}

static int
wide_lock(struct disk *disk)
{
	return 0;
}

static int64_t
wide_free(struct disk *disk)
{
	return INT64_C(1) << 40;
}

static void
wide_end(struct disk *disk)
{
	free(((struct wide_disk *)disk)->files);
	free(disk);
}

static struct disk *
wide_disk_new(void)
{
	static const struct disk_calls calls = { wide_open, wide_close, wide_read_at, wide_write_at, wide_write_at, wide_sync, wide_size, wide_ahead, wide_forget,
		wide_allocate, wide_rename, wide_remove, wide_sync_folder, wide_list, wide_lock, wide_free, wide_end };
	struct wide_disk *w = calloc(1, sizeof *w);
	ensure(w);
	w->disk.calls = &calls;
	w->files = calloc(FILES, sizeof *w->files);
	ensure(w->files);
	return &w->disk;
}

/* A batch of one step. */
static enum log_outcome
append(struct log *log, const struct log_tail *tail, uint64_t seq, size_t payload_n, struct why *why)
{
	static const uint8_t payload[PAYLOAD_BYTES];
	struct log_batch batch = { .epoch = tail->epoch, .first_seq = seq, .steps = 1, .stamp_ms = (int64_t)seq, .payload = payload,
		.payload_n = payload_n };
	return log->calls->append(log, &batch, why);
}

/* One for which a segment of its own is needed. */
static enum log_outcome
append_one(struct log *log, const struct log_tail *tail, uint64_t seq, struct why *why)
{
	return append(log, tail, seq, PAYLOAD_BYTES, why);
}

static uint64_t
segments_of(struct log *log)
{
	struct journal_status status;
	journal_status(log, &status);
	return status.segments;
}

/* Begins anew, as a server that is started again. */
static struct log *
again(struct log *log, struct disk *disk, struct log_tail *tail, struct why *why)
{
	if (log)
		log->calls->close(log);
	return rig_open(disk, SEGMENT_BYTES, tail, why);
}

static void
the_last_segment_is_an_answer_and_the_next_start_finds_all_and_makes_room(void)
{
	struct disk *disk = wide_disk_new();
	struct log_tail tail;
	struct why why = { "" };
	struct log *log = again(NULL, disk, &tail, &why);
	uint64_t last = 0;
	check(log);
	while (append_one(log, &tail, last + 1, &why) == LOG_DURABLE)
		last++;
	check_equal(last, JOURNAL_SEGMENTS_MAX);
	check_equal(segments_of(log), JOURNAL_SEGMENTS_MAX);
	check(strcmp(why.text, "the journal has 65536 segments, which is its limit") == 0);
	for (int i = 0; i < 2; i++) { /* each start claims with a segment; the one it copied the last batch from is free then */
		check(log = again(log, disk, &tail, &why));
		check_equal(tail.last_seq, last);
		check_equal(tail.oldest_seq, 1);
		check_equal(append_one(log, &tail, last + 1, &why), LOG_UNKNOWN);
	}
	check(log = again(log, disk, &tail, &why));
	check_equal(log->calls->trim(log, 11, &why), 0);
	check_equal(segments_of(log), JOURNAL_SEGMENTS_MAX - 10);
	for (int i = 0; i < 10; i++)
		check_equal(append_one(log, &tail, ++last, &why), LOG_DURABLE);
	check_equal(append_one(log, &tail, last + 1, &why), LOG_UNKNOWN);
	log->calls->close(log);
	disk->calls->end(disk);
}

/* Two batches in its last segment: the claim's copy of one leaves the other, and that segment. */
static void
a_journal_beyond_its_limit_is_refused_with_a_sentence(void)
{
	struct disk *disk = wide_disk_new();
	struct log_tail tail;
	struct why why = { "" };
	struct log *log = again(NULL, disk, &tail, &why);
	uint64_t last = 0;
	check(log);
	while (last < JOURNAL_SEGMENTS_MAX - 1)
		check_equal(append_one(log, &tail, ++last, &why), LOG_DURABLE);
	for (int starts = 0; starts < 2; starts++) {
		check_equal(append(log, &tail, ++last, 1, &why), LOG_DURABLE);
		if (starts == 0)
			check_equal(append(log, &tail, ++last, 1, &why), LOG_DURABLE);
		check_equal(segments_of(log), JOURNAL_SEGMENTS_MAX + starts);
		log = again(log, disk, &tail, &why);
		check((log != NULL) == (starts == 0));
	}
	check(strcmp(why.text, "the journal has 65537 segments, more than its limit of 65536") == 0);
	disk->calls->end(disk);
}

/* However much history is asked for, there is room for what comes. */
static void
history_keeps_clear_of_the_limit(void)
{
	struct disk *disk = wide_disk_new();
	struct journal_options options = rig_options(SEGMENT_BYTES);
	struct log_tail tail;
	struct why why = { "" };
	uint64_t last = 0;
	options.history_bytes = UINT64_C(1) << 50;
	struct log *log = journal_open(disk, &options, &why);
	check(log);
	check_equal(log->calls->claim(log, &tail, &why), 0);
	while (last < JOURNAL_HISTORY_SEGMENTS_MAX + 50)
		check_equal(append_one(log, &tail, ++last, &why), LOG_DURABLE);
	check_equal(log->calls->trim(log, last, &why), 0);
	check_equal(segments_of(log), JOURNAL_HISTORY_SEGMENTS_MAX);
	for (int i = 0; i < 2; i++) { /* all but the one that is being written, each once */
		check_equal(((struct wide_disk *)disk)->forgotten, JOURNAL_HISTORY_SEGMENTS_MAX - 1);
		check_equal(log->calls->trim(log, last, &why), 0);
	}
	log->calls->close(log);
	disk->calls->end(disk);
}

int
main(int argc, char **argv)
{
	static const struct check tests[] = {
		CHECK(the_last_segment_is_an_answer_and_the_next_start_finds_all_and_makes_room),
		CHECK(a_journal_beyond_its_limit_is_refused_with_a_sentence),
		CHECK(history_keeps_clear_of_the_limit),
	};
	return check_run(argv[0], tests, sizeof tests / sizeof tests[0], argc, argv);
}
