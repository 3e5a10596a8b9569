/*
 * test_journal_crash.c: a scripted run of the journal on the simulated disk, with the power cut or one call failing at every
 * call there is. What was answered DURABLE must be there, byte for byte, after any of it (P1); nothing is answered DURABLE
 * that is not (P9).
 */
#include "tests/check.h"
#include "tests/journal_rig.h"
#include "persist/journal_format.h"
#include "tests/sim_disk.h"

#include <errno.h>
#include <inttypes.h>

#define SEGMENT_BYTES (UINT64_C(32) << 10)
#define PAYLOAD_MAX   9000

struct script {
	uint64_t durable; /* last position that was answered DURABLE (or that a claim told) */
	uint64_t floor; /* positions below may have been trimmed */
	uint64_t epoch;
	bool claimed, all; /* all: nothing failed */
	bool false_answer; /* DURABLE after UNKNOWN */
	struct why why;
};

/* Claim, then batches with prepare and trim between them, then close: some ten rolls, a recycled segment after the fourth. */
static void
script_run(struct disk *disk, struct script *s, int batches)
{
	struct log_tail tail;
	struct why why;
	bool failed = false;
	struct log *log = rig_open(disk, SEGMENT_BYTES, &tail, &s->why);

	s->all = false;
	s->claimed = log != NULL;
	if (!log)
		return;
	s->epoch = tail.epoch;
	s->durable = tail.last_seq;
	for (int i = 0; i < batches; i++) {
		enum log_outcome outcome = rig_append(log, tail.epoch, &s->durable, 1, PAYLOAD_MAX);
		s->false_answer |= failed && outcome == LOG_DURABLE;
		failed |= outcome != LOG_DURABLE;
		if (i % 4 == 1)
			log->calls->prepare(log, &why);
		if (i % 8 == 7) {
			s->floor = s->durable > 12 ? s->durable - 12 : 1;
			log->calls->trim(log, s->floor, &why);
		}
	}
	s->all = !failed;
	log->calls->close(log);
}

static void
damage_count(void *context, const struct journal_finding *finding)
{
	uint64_t *damaged = context;
	if (finding->state == JOURNAL_DAMAGED)
		printf("     %s: %s at %" PRIu64 "\n", finding->name, finding->detail, finding->offset);
	*damaged += finding->state == JOURNAL_DAMAGED;
}

/* No crash looks like damage to the doctor. Everything durable is there and right, the epoch rises, and the log goes on. */
static void
judge(struct disk *disk, const struct script *s, struct log_tail *tail)
{
	struct why why;
	uint64_t damaged = 0;

	check_equal(journal_inspect(disk, damage_count, &damaged, &why), 0);
	check_equal(damaged, 0);
	struct log *log = rig_open(disk, SEGMENT_BYTES, tail, &why);
	if (!log)
		printf("     claim: %s\n", why.text);
	check(log);
	check(tail->last_seq >= s->durable);
	check(tail->epoch > s->epoch);
	check(tail->oldest_seq <= (s->floor ? s->floor : 1));
	struct rig_read read = rig_read(log, 0, PAYLOAD_MAX);
	if (read.damaged)
		printf("     read: %s\n", read.why.text);
	check(!read.damaged && !read.wrong);
	check_equal(read.last, tail->last_seq);
	check(read.first <= tail->oldest_seq || tail->last_seq == 0);
	uint64_t last = tail->last_seq;
	check_equal(rig_append(log, tail->epoch, &last, 2, PAYLOAD_MAX), LOG_DURABLE);
	read = rig_read(log, 0, PAYLOAD_MAX);
	check(!read.damaged && !read.wrong);
	check_equal(read.last, last);
	log->calls->close(log);
	sim_disk_kill(disk);
}

static uint64_t
script_calls(struct disk *disk, int batches)
{
	struct script script = { 0 };
	struct disk *dry = sim_disk_clone(disk);

	sim_disk_fail(dry, 0, 0);
	script_run(dry, &script, batches);
	uint64_t calls = script.all ? sim_disk_calls(dry) : 0;
	dry->calls->end(dry);
	return calls;
}

/* Power off after call k of the script; again after call m of the recovery. m 0: the recovery is left in peace. */
static void
crash_twice(const struct disk *start, struct script script, uint64_t k, uint64_t m, uint64_t seed, struct sim_counts *sum)
{
	struct disk *disk = sim_disk_clone(start);
	struct log_tail tail;
	struct why why;

	sim_disk_stop_after(disk, k);
	script_run(disk, &script, 24);
	sim_disk_crash(disk, seed);
	if (m) {
		sim_disk_stop_after(disk, m);
		struct log *log = rig_open(disk, SEGMENT_BYTES, &tail, &why);
		if (log) {
			script.epoch = tail.epoch;
			script.durable = tail.last_seq;
			rig_die(log, disk);
		}
		sim_disk_crash(disk, seed + 1);
	}
	judge(disk, &script, &tail);
	const struct sim_counts *counts = sim_disk_counts(disk);
	sum->sectors_kept += counts->sectors_kept;
	sum->sectors_lost += counts->sectors_lost;
	sum->sectors_torn += counts->sectors_torn;
	sum->names_kept += counts->names_kept;
	sum->names_lost += counts->names_lost;
	sum->crashes += counts->crashes;
	disk->calls->end(disk);
	if (check_failed_now)
		printf("     crash after call %" PRIu64 ", then %" PRIu64 ", HOLDFAST_SEED=%" PRIu64 "\n", k, m, seed);
}

/* An empty folder, and one in the middle of its life. */
static struct disk *
disk_start(bool used, struct script *script)
{
	struct disk *disk = sim_disk_new();

	*script = (struct script){ 0 };
	if (used) {
		script_run(disk, script, 20);
		sim_disk_kill(disk);
	}
	return disk;
}

static void
power_cut_after_every_call_loses_nothing_acknowledged(void)
{
	uint64_t seed = check_seed(1);
	struct sim_counts sum = { 0 };

	for (int used = 0; used < 2; used++) {
		struct script script;
		struct disk *start = disk_start(used, &script);
		uint64_t calls = script_calls(start, 24);
		check(calls > 50);
		for (uint64_t k = 0; k <= calls; k += RIG_STRIDE)
			for (uint64_t i = 0; i < 4; i++) {
				crash_twice(start, script, k, 0, seed + i, &sum);
				check_calm();
			}
		start->calls->end(start);
	}
	printf("     %" PRIu64 " crashes; sectors kept %" PRIu64 ", lost %" PRIu64 ", torn %" PRIu64 "; names kept %" PRIu64 ", lost %" PRIu64 "\n",
	    sum.crashes, sum.sectors_kept, sum.sectors_lost, sum.sectors_torn, sum.names_kept, sum.names_lost);
	check(sum.sectors_kept && sum.sectors_lost && sum.sectors_torn && sum.names_kept && sum.names_lost);
}

static void
power_cut_during_recovery_loses_nothing_either(void)
{
	uint64_t seed = check_seed(7);
	struct sim_counts sum = { 0 };
	struct script script;
	struct disk *start = disk_start(true, &script);
	uint64_t calls = script_calls(start, 24);

	for (uint64_t k = 20; k <= calls; k += 5 * RIG_STRIDE)
		for (uint64_t m = 1; m < 60; m += 1 + k % 3) {
			crash_twice(start, script, k, m, seed + k * 64 + m, &sum);
			check_calm();
		}
	printf("     %" PRIu64 " crashes\n", sum.crashes);
	start->calls->end(start);
}

/* The last batch is written but not synced: exactly its first `keep` sectors survive, 0 to all. */
static void
torn_tail_is_cut_at_the_last_whole_batch(void)
{
	for (uint64_t keep = 0; keep <= 20; keep++) {
		struct disk *disk = sim_disk_new();
		struct log_tail tail;
		struct why why;
		struct script script = { .epoch = 1 };
		uint64_t last = 0;
		struct log *log = rig_open(disk, SEGMENT_BYTES * 8, &tail, &why); /* no roll comes between */
		check(log);
		while (rig_batch(1, last + 1, PAYLOAD_MAX).payload_n < 4200 || last < 10)
			check_equal(rig_append(log, 1, &last, 1, PAYLOAD_MAX), LOG_DURABLE);
		script.durable = last;
		size_t whole = BATCH_HEAD_BYTES + rig_batch(1, last + 1, PAYLOAD_MAX).payload_n;
		uint64_t torn = last;
		sim_disk_fail(disk, 2, EIO); /* call 1 writes, call 2 syncs */
		check_equal(rig_append(log, 1, &torn, 1, PAYLOAD_MAX), LOG_UNKNOWN);
		rig_die(log, disk);
		sim_disk_crash_at(disk, keep);
		struct disk *again = sim_disk_clone(disk);
		judge(again, &script, &tail);
		check_calm();
		again->calls->end(again);
		if (keep * 512 >= whole)
			check(tail.last_seq > last && tail.cut_bytes == 0);
		else
			check(tail.last_seq == last && (tail.cut_bytes > 0) == (keep > 0));
		disk->calls->end(disk);
	}
}

/* Each call fails once, each way; then the process dies and the power fails, or it does not. */
static void
failing_calls_never_give_a_false_answer(void)
{
	static const int errors[] = { EIO, ENOSPC, SIM_SHORT };
	uint64_t fired[SIM_CALL_COUNT] = { 0 };
	uint64_t seed = check_seed(3);

	for (int used = 0; used < 2; used++) {
		struct script before;
		struct disk *start = disk_start(used, &before);
		uint64_t calls = script_calls(start, 24);
		for (uint64_t k = 1; k <= calls; k++)
			for (int way = 0; way < 6; way += RIG_STRIDE > 1 ? 5 : 1) {
				struct disk *disk = sim_disk_clone(start);
				struct script script = before;
				struct log_tail tail;
				sim_disk_fail(disk, k, errors[way % 3]);
				script_run(disk, &script, 24);
				check(!script.false_answer);
				check(sim_disk_fired(disk));
				if (way < 3)
					sim_disk_kill(disk);
				else
					sim_disk_crash(disk, seed + k);
				judge(disk, &script, &tail);
				for (int call = 0; call < SIM_CALL_COUNT; call++)
					fired[call] += sim_disk_counts(disk)->faults[call];
				disk->calls->end(disk);
				if (check_failed_now)
					printf("     call %" PRIu64 " of %" PRIu64 ", way %d, HOLDFAST_SEED=%" PRIu64 "\n", k, calls, way, seed);
				check_calm();
			}
		start->calls->end(start);
	}
	printf("     faults:");
	for (int call = 0; call < SIM_CALL_COUNT; call++) {
		printf(" %s %" PRIu64, sim_call_names[call], fired[call]);
		check(fired[call] > 0);
	}
	printf("\n");
}

/* A batch whose sync failed: written, in the page cache, perhaps nowhere else. */
static struct disk *
disk_with_unsynced_batch(uint64_t before, uint64_t *lost)
{
	struct disk *disk = sim_disk_new();
	struct log_tail tail;
	struct why why;
	uint64_t last = 0;
	struct log *log = rig_open(disk, 4 * SEGMENT_BYTES, &tail, &why);

	if (log && rig_append(log, 1, &last, (int)before, PAYLOAD_MAX) == LOG_DURABLE) {
		*lost = last + 1;
		sim_disk_fail(disk, 2, EIO); /* call 1 writes, call 2 syncs */
		if (rig_append(log, 1, &last, 1, PAYLOAD_MAX) != LOG_UNKNOWN)
			*lost = 0;
		sim_disk_fail(disk, 0, 0);
		for (int i = 0; i < 3; i++) /* L4: the disk is well again, the journal is not */
			if (rig_append(log, 1, &last, 1, PAYLOAD_MAX) != LOG_UNKNOWN)
				*lost = 0;
		rig_die(log, disk);
		sim_disk_kill(disk);
	}
	return disk;
}

static void
after_unknown_every_append_is_unknown_until_it_is_claimed_anew(void)
{
	for (uint64_t seed = check_seed(1), i = 0; i < 20; i++) {
		uint64_t lost = 0;
		struct disk *disk = disk_with_unsynced_batch(5, &lost);
		struct log_tail tail;
		struct why why;
		check(lost);
		struct log *log = rig_open(disk, SEGMENT_BYTES, &tail, &why);
		check(log);
		check(tail.last_seq >= lost); /* it was in the page cache: it is copied, and there for good */
		check_equal(log->calls->resolve(log, lost, &why), LOG_DURABLE);
		check_equal(log->calls->resolve(log, tail.last_seq + 1, &why), LOG_FENCED);
		rig_die(log, disk);
		sim_disk_crash(disk, seed + i);
		uint64_t last = tail.last_seq;
		check((log = rig_open(disk, SEGMENT_BYTES, &tail, &why)));
		check_equal(tail.last_seq, last);
		log->calls->close(log);
		disk->calls->end(disk);
	}
}

/* The power fails during the claim that copies such a batch; whatever the next claim tells about it stays so. */
static void
what_a_claim_told_about_an_unsynced_batch_stays_so(void)
{
	uint64_t seed = check_seed(1), there = 0, not_there = 0;

	for (uint64_t before = 0; before < 4; before += 3)
		for (uint64_t k = 1; k < 40; k += RIG_STRIDE)
			for (uint64_t i = 0; i < 24; i++) {
				uint64_t lost = 0;
				struct disk *disk = disk_with_unsynced_batch(before, &lost);
				struct log_tail tail, again;
				struct why why;
				check(lost);
				sim_disk_stop_after(disk, k);
				struct log *log = rig_open(disk, SEGMENT_BYTES, &tail, &why);
				if (log)
					rig_die(log, disk);
				sim_disk_crash(disk, seed + i);
				check((log = rig_open(disk, SEGMENT_BYTES, &tail, &why)));
				*(tail.last_seq >= lost ? &there : &not_there) += 1;
				rig_die(log, disk);
				sim_disk_crash(disk, seed + i + 100);
				check((log = rig_open(disk, SEGMENT_BYTES, &again, &why)));
				check_equal(again.last_seq, tail.last_seq);
				check(again.epoch > tail.epoch);
				log->calls->close(log);
				disk->calls->end(disk);
			}
	printf("     there %" PRIu64 " times, not there %" PRIu64 "\n", there, not_there);
	check(there && not_there);
}

/* A call of the first claim fails, the second claim meets a power cut: what the first left in the page cache only may be gone. */
static void
a_claim_that_failed_and_one_that_was_cut_short_leave_no_damage(void)
{
	uint64_t seed = check_seed(1);

	for (uint64_t k = 1; k < 70; k += RIG_STRIDE)
		for (uint64_t m = 1 + k % 2; m < 90; m += 2) {
			uint64_t i = (k + m / 2) % 3;
			uint64_t lost = 0;
			struct disk *disk = disk_with_unsynced_batch(i, &lost);
			struct log_tail tail;
			struct why why;
			check(lost);
			sim_disk_fail(disk, k, EIO);
			struct log *log = rig_open(disk, SEGMENT_BYTES, &tail, &why);
			if (log)
				rig_die(log, disk);
			sim_disk_kill(disk);
			sim_disk_stop_after(disk, m);
			if ((log = rig_open(disk, SEGMENT_BYTES, &tail, &why)))
				rig_die(log, disk);
			sim_disk_crash(disk, seed + i + k * 40 + m);
			struct script script = { .epoch = 1, .durable = lost - 1 };
			judge(disk, &script, &tail);
			disk->calls->end(disk);
			if (check_failed_now)
				printf("     fault at call %" PRIu64 ", power cut after %" PRIu64 ", HOLDFAST_SEED=%" PRIu64 "\n", k, m, seed);
			check_calm();
		}
}

/*
 * The same for a server that is started again and again and appends nothing: every segment then holds the same one batch, and
 * the latest superseded one may have lost its header.
 */
static void
claims_that_fail_one_after_another_leave_no_damage(void)
{
	uint64_t seed = check_seed(1);

	for (uint64_t k = 1; k < 60; k += RIG_STRIDE)
		for (uint64_t m = 1; m < 60; m++) {
			struct disk *disk = sim_disk_new();
			struct log_tail tail;
			struct why why;
			uint64_t last = 0;
			struct log *log = rig_open(disk, SEGMENT_BYTES, &tail, &why);
			check(log);
			check_equal(rig_append(log, tail.epoch, &last, 3, PAYLOAD_MAX), LOG_DURABLE);
			for (int again = 0; again < 2; again++) {
				rig_die(log, disk);
				sim_disk_kill(disk);
				check((log = rig_open(disk, SEGMENT_BYTES, &tail, &why)));
			}
			check_equal(log->calls->trim(log, last + 1, &why), 0);
			struct script script = { .epoch = tail.epoch, .durable = last, .floor = tail.last_seq };
			rig_die(log, disk);
			sim_disk_kill(disk);
			sim_disk_fail(disk, k, EIO);
			if ((log = rig_open(disk, SEGMENT_BYTES, &tail, &why)))
				rig_die(log, disk);
			sim_disk_kill(disk);
			sim_disk_stop_after(disk, m);
			if ((log = rig_open(disk, SEGMENT_BYTES, &tail, &why)))
				rig_die(log, disk);
			sim_disk_crash(disk, seed + k * 60 + m);
			judge(disk, &script, &tail);
			disk->calls->end(disk);
			if (check_failed_now)
				printf("     fault at call %" PRIu64 ", power cut after %" PRIu64 ", HOLDFAST_SEED=%" PRIu64 "\n", k, m, seed);
			check_calm();
		}
}

static const struct check tests[] = {
	CHECK(power_cut_after_every_call_loses_nothing_acknowledged),
	CHECK(power_cut_during_recovery_loses_nothing_either),
	CHECK(torn_tail_is_cut_at_the_last_whole_batch),
	CHECK(failing_calls_never_give_a_false_answer),
	CHECK(after_unknown_every_append_is_unknown_until_it_is_claimed_anew),
	CHECK(what_a_claim_told_about_an_unsynced_batch_stays_so),
	CHECK(a_claim_that_failed_and_one_that_was_cut_short_leave_no_damage),
	CHECK(claims_that_fail_one_after_another_leave_no_damage),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv);
}
