/*
 * test_journal_damage.c: bytes that change on the disk (P6). Detected (the claim or a read stops, naming file and offset), or
 * harmless (everything is read as it was), or in the last batch of a journal that was not closed (which looks like a torn
 * tail: cut and reported). Never an altered payload. The full dose, every bit: HOLDFAST_FULL=1.
 */
#include "tests/check.h"
#include "tests/journal_rig.h"
#include "tests/sim_disk.h"

#include "persist/crc32c.h"
#include "persist/journal_format.h"

#include <inttypes.h>

#define SEGMENT_BYTES JOURNAL_SEGMENT_BYTES_MIN
#define PAYLOAD_MAX   3000

struct names {
	char text[16][JOURNAL_NAME_BYTES];
	enum journal_state state[16];
	size_t n;
};

static void
name_collect(void *context, const struct journal_finding *finding)
{
	struct names *names = context;
	names->state[names->n] = finding->state;
	snprintf(names->text[names->n++], JOURNAL_NAME_BYTES, "%s", finding->name);
}

/* Four segments with what recycling leaves in them: 64 KiB. */
static struct disk *
journal_make(uint64_t *last, uint64_t *last_batch, bool closed, struct names *names)
{
	struct disk *disk = sim_disk_new();
	struct log_tail tail;
	struct why why;
	struct log *log = rig_open(disk, SEGMENT_BYTES, &tail, &why);

	*last = 0;
	*names = (struct names){ 0 };
	for (int i = 0; i < 12 && log; i++) {
		*last_batch = *last + 1;
		if (rig_append(log, 1, last, 1, PAYLOAD_MAX) != LOG_DURABLE || log->calls->trim(log, *last > 10 ? *last - 10 : 1, &why))
			*last = 0;
	}
	if (log && closed) {
		log->calls->close(log);
		sim_disk_kill(disk);
	} else if (log) {
		rig_die(log, disk);
		sim_disk_crash(disk, 1);
	}
	if (journal_inspect(disk, name_collect, names, &why))
		*last = 0;
	return disk;
}

struct tally {
	uint64_t tried, stopped, harmless, cut;
};

/* Claims and reads a damaged journal. last_batch..last is the batch that may be missing when `may_cut`. */
static void
judge(struct disk *disk, uint64_t last, uint64_t last_batch, bool may_cut, struct tally *tally)
{
	struct log_tail tail;
	struct why why = { "" };
	struct log *log = rig_open(disk, SEGMENT_BYTES, &tail, &why);

	tally->tried++;
	if (!log) {
		check(strstr(why.text, "journal-") && strstr(why.text, "at offset"));
		tally->stopped++;
		return;
	}
	struct rig_read read = rig_read(log, 0, PAYLOAD_MAX);
	check(!read.wrong);
	if (read.damaged) {
		check(strstr(read.why.text, "journal-") && strstr(read.why.text, "at offset"));
		tally->stopped++;
	} else if (tail.last_seq == last) {
		check_equal(read.last, last);
		tally->harmless++;
	} else {
		check(may_cut);
		check_equal(tail.last_seq, last_batch - 1);
		check_equal(read.last, tail.last_seq);
		check(tail.cut_bytes > 0);
		tally->cut++;
	}
	log->calls->close(log);
}

static void
flips_try(bool closed)
{
	uint64_t last, last_batch;
	struct names names;
	struct tally tally = { 0 };
	struct disk *whole = journal_make(&last, &last_batch, closed, &names);
	bool full = getenv("HOLDFAST_FULL") != NULL;

	check(last > 10);
	check(names.n >= 4);
	for (size_t f = 0; f < names.n; f++)
		for (uint64_t bit = 0; bit < SEGMENT_BYTES * 8; bit++) {
			bool head = bit / 8 % JOURNAL_BLOCK_BYTES < BATCH_HEAD_BYTES;
			if (!full && !(head && f + 3 > names.n && bit % RIG_STRIDE == 0) && bit % (211 * RIG_STRIDE) != f)
				continue;
			struct disk *disk = sim_disk_clone(whole);
			uint64_t harmless = tally.harmless;
			sim_disk_flip(disk, names.text[f], bit);
			judge(disk, last, last_batch, !closed, &tally);
			if (bit / 8 < JOURNAL_BLOCK_BYTES && !check_failed_now)
				check_equal(tally.harmless, harmless + 1); /* the other copy of the header is enough */
			disk->calls->end(disk);
			if (check_failed_now)
				printf("     %s bit %" PRIu64 ", closed %d\n", names.text[f], bit, closed);
			check_calm();
		}
	printf("     %" PRIu64 " bits flipped: %" PRIu64 " stopped, %" PRIu64 " harmless, %" PRIu64 " cut as a torn tail\n", tally.tried,
	    tally.stopped, tally.harmless, tally.cut);
	check(tally.stopped > 0 && tally.harmless > 0 && (tally.cut > 0) == !closed);
	whole->calls->end(whole);
}

static void
every_flipped_bit_is_detected_or_harmless(void)
{
	flips_try(false);
}

static void
in_a_journal_that_was_closed_nothing_is_taken_for_a_torn_tail(void)
{
	flips_try(true);
}

static void
truncation_at_every_byte_is_detected_or_harmless(void)
{
	uint64_t last, last_batch;
	struct names names;
	struct tally tally = { 0 };
	struct disk *whole = journal_make(&last, &last_batch, false, &names);
	uint64_t step = getenv("HOLDFAST_FULL") ? 1 : 7 * RIG_STRIDE;

	check(last > 10);
	for (size_t f = 0; f < names.n; f++)
		for (uint64_t bytes = f; bytes < SEGMENT_BYTES; bytes += step) {
			struct disk *disk = sim_disk_clone(whole);
			sim_disk_truncate(disk, names.text[f], bytes);
			judge(disk, last, last_batch, false, &tally);
			disk->calls->end(disk);
			if (check_failed_now)
				printf("     %s cut to %" PRIu64 " bytes\n", names.text[f], bytes);
			check_calm();
		}
	printf("     %" PRIu64 " truncations: %" PRIu64 " stopped, %" PRIu64 " harmless\n", tally.tried, tally.stopped, tally.harmless);
	check(tally.stopped > 0);
	whole->calls->end(whole);
}

/* A segment that is gone leaves a hole, wherever it was. */
static void
a_missing_segment_is_found_when_it_is_read(void)
{
	uint64_t last, last_batch;
	struct names names;
	struct disk *whole = journal_make(&last, &last_batch, false, &names);
	size_t begun = 0;

	check(last > 10);
	while (begun < names.n && names.state[begun] != JOURNAL_SPARE)
		begun++;
	check(begun >= 3);
	struct disk *disk = sim_disk_clone(whole);
	check_equal(disk->calls->remove(disk, names.text[1]), 0);
	struct log_tail tail;
	struct why why;
	struct log *log = rig_open(disk, SEGMENT_BYTES, &tail, &why);
	check(log);
	struct rig_read read = rig_read(log, 0, PAYLOAD_MAX);
	check(read.damaged && !read.wrong);
	log->calls->close(log);
	disk->calls->end(disk);
	whole->calls->end(whole);
}

/* Both copies of a header are gone: the batches behind it say that it was there. */
static void
a_lost_segment_header_is_damage_while_batches_stand_behind_it(void)
{
	uint64_t last, last_batch;
	struct names names;
	struct tally tally = { 0 };
	struct disk *whole = journal_make(&last, &last_batch, false, &names);
	uint64_t segments = 0;

	check(last > 10);
	for (size_t f = 0; f < names.n; f++) {
		struct disk *disk = sim_disk_clone(whole);
		size_t n;
		memset(sim_disk_bytes(disk, names.text[f], &n), 0, JOURNAL_BLOCK_BYTES);
		judge(disk, last, last_batch, false, &tally);
		disk->calls->end(disk);
		check_calm();
		segments += names.state[f] != JOURNAL_SPARE;
	}
	check_equal(tally.stopped, segments);
	whole->calls->end(whole);
}

/* The same, and the first batch too: nothing in the file tells of it any more, but the chain does. */
static void
a_segment_that_lost_header_and_first_batch_is_damage_unless_it_is_the_last(void)
{
	uint64_t last, last_batch;
	struct names names;
	struct tally tally = { 0 };
	struct disk *whole = journal_make(&last, &last_batch, false, &names);

	check(last > 10);
	for (size_t f = 0; f + 1 < names.n && names.state[f + 1] != JOURNAL_SPARE; f++) {
		struct disk *disk = sim_disk_clone(whole);
		size_t n;
		memset(sim_disk_bytes(disk, names.text[f], &n), 0, 2 * JOURNAL_BLOCK_BYTES);
		struct log_tail tail;
		struct why why;
		check(!rig_open(disk, SEGMENT_BYTES, &tail, &why)); /* before anything is recycled */
		sim_disk_kill(disk);
		judge(disk, last, last_batch, false, &tally);
		disk->calls->end(disk);
		check_calm();
		check_equal(tally.stopped, f + 1);
	}
	check(tally.tried >= 2);
	whole->calls->end(whole);
}

/* Changes a byte of the batch at `at` and makes its checksums right again, as a writer with another history would. */
static void
batch_forge(uint8_t *at, uint64_t generation)
{
	struct batch_head head;

	check(batch_head_decode(at, generation, &head));
	at[BATCH_HEAD_BYTES + head.payload_n / 2] ^= 0x40;
	batch_encode(at, &head);
}

static void
a_batch_of_another_history_is_damage_though_its_checksums_are_right(void)
{
	struct disk *disk = sim_disk_new();
	struct log_tail tail;
	struct tally tally = { 0 };
	struct why why;
	struct names names = { 0 };
	uint64_t last = 0, generation;
	size_t n;
	struct log *log = rig_open(disk, 4 * SEGMENT_BYTES, &tail, &why);

	check(log);
	while (last < 3 || rig_batch(1, 1, PAYLOAD_MAX).payload_n == 0)
		check_equal(rig_append(log, 1, &last, 1, PAYLOAD_MAX), LOG_DURABLE);
	log->calls->close(log);
	sim_disk_kill(disk);
	check_equal(journal_inspect(disk, name_collect, &names, &why), 0);
	check(journal_name_parse(names.text[0], &generation));
	batch_forge(sim_disk_bytes(disk, names.text[0], &n) + JOURNAL_BLOCK_BYTES, generation);
	check_calm();
	judge(disk, last, last, false, &tally);
	check_equal(tally.stopped, 1);
	disk->calls->end(disk);
}

/* A whole segment of another history: sound in itself, but it does not continue the one before it. */
static void
a_segment_of_another_history_is_damage_though_it_is_sound_in_itself(void)
{
	uint64_t last, last_batch, generation;
	struct names names;
	struct tally tally = { 0 };
	struct segment_head segment;
	struct batch_head head;
	size_t n;
	struct disk *disk = journal_make(&last, &last_batch, false, &names);

	check(last > 10);
	check(journal_name_parse(names.text[1], &generation));
	uint8_t *bytes = sim_disk_bytes(disk, names.text[1], &n);
	check(segment_head_decode(bytes, n, generation, &segment));
	uint64_t hash = segment.prev_hash ^= 1;
	segment_head_encode(bytes, &segment);
	for (uint8_t *at = bytes + JOURNAL_BLOCK_BYTES; batch_head_decode(at, generation, &head);
	     at += batch_disk_bytes(head.payload_n)) {
		hash = head.hash = batch_hash(hash, &head, at + BATCH_HEAD_BYTES);
		batch_encode(at, &head);
	}
	judge(disk, last, last_batch, false, &tally);
	check_equal(tally.stopped, 1);
	disk->calls->end(disk);
}

static void
state_collect(void *context, const struct journal_finding *finding)
{
	struct journal_finding *worst = context;
	if (finding->state == JOURNAL_DAMAGED || finding->state == JOURNAL_TORN)
		*worst = *finding;
}

/* A sound header of another version, of both copies: told as that, with the way out, by claim and inspect. */
static void
a_journal_of_another_version_is_told_as_one_and_left_alone(void)
{
	uint64_t last, last_batch;
	struct names names = { .n = 0 };
	struct disk *disk = journal_make(&last, &last_batch, true, &names);
	struct log_tail tail;
	struct why why;
	check(!journal_is_foreign(disk, &why));
	for (size_t i = 0; i < names.n; i++) {
		uint8_t block[JOURNAL_BLOCK_BYTES];
		uint32_t other = JOURNAL_VERSION - 1, crc;
		int file = disk->calls->open(disk, names.text[i], 0);
		check(file >= 0 && disk->calls->read_at(disk, file, block, sizeof block, 0) == sizeof block);
		for (size_t at = 0; at < sizeof block; at += 2048) {
			memcpy(block + at + 8, &other, 4);
			crc = crc32c(0, block + at, 508);
			memcpy(block + at + 508, &crc, 4);
		}
		check_equal(disk->calls->write_at(disk, file, block, sizeof block, 0), 0);
		disk->calls->close(disk, file);
	}
	check(journal_is_foreign(disk, &why));
	check(strstr(why.text, "is whole, but of format 1, and this Holdfast reads format 2. Way out: ") != NULL && strstr(why.text, "damage") == NULL);
	check(rig_open(disk, SEGMENT_BYTES, &tail, &why) == NULL && strstr(why.text, "of format 1") != NULL);
	check(journal_inspect(disk, name_collect, &names, &why) < 0 && strstr(why.text, "of format 1") != NULL);
	disk->calls->end(disk);
}

/* What doctor shows: nothing of a sound journal, file and offset of a flipped bit, and no byte is changed. */
static void
inspect_finds_damage_and_changes_nothing(void)
{
	uint64_t last, last_batch;
	struct names names;
	struct journal_finding worst = { 0 };
	struct why why;
	struct disk *disk = journal_make(&last, &last_batch, true, &names);

	check(last > 10);
	uint64_t calls = sim_disk_counts(disk)->calls[SIM_WRITE] + sim_disk_counts(disk)->calls[SIM_SYNC];
	check_equal(journal_inspect(disk, state_collect, &worst, &why), 0);
	check(worst.generation == 0);
	sim_disk_flip(disk, names.text[0], (JOURNAL_BLOCK_BYTES + 100) * 8 + 3);
	check_equal(journal_inspect(disk, state_collect, &worst, &why), 0);
	check_equal(worst.state, JOURNAL_DAMAGED);
	check_equal(worst.offset, JOURNAL_BLOCK_BYTES);
	check_equal(worst.batches, 0);
	check(strstr(worst.detail, "ends before"));
	check_equal(sim_disk_counts(disk)->calls[SIM_WRITE] + sim_disk_counts(disk)->calls[SIM_SYNC], calls);
	disk->calls->end(disk);
}

static const struct check tests[] = {
	CHECK(every_flipped_bit_is_detected_or_harmless),
	CHECK(in_a_journal_that_was_closed_nothing_is_taken_for_a_torn_tail),
	CHECK(truncation_at_every_byte_is_detected_or_harmless),
	CHECK(a_missing_segment_is_found_when_it_is_read),
	CHECK(a_lost_segment_header_is_damage_while_batches_stand_behind_it),
	CHECK(a_segment_that_lost_header_and_first_batch_is_damage_unless_it_is_the_last),
	CHECK(a_batch_of_another_history_is_damage_though_its_checksums_are_right),
	CHECK(a_segment_of_another_history_is_damage_though_it_is_sound_in_itself),
	CHECK(a_journal_of_another_version_is_told_as_one_and_left_alone),
	CHECK(inspect_finds_damage_and_changes_nothing),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv);
}
