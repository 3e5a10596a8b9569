/*
 * test_log.c: the contract of log.h (L1..L4), row by row over both implementations: the local journal and the log in memory.
 * And the one test with threads: an appender, a reader at the durable position, a housekeeper that prepares and trims.
 */
#include "tests/check.h"
#include "tests/journal_rig.h"
#include "tests/sim_disk.h"
#include "tests/sim_log.h"

#include <errno.h>
#include <pthread.h>

#define PAYLOAD_MAX 3000

/* One log, whatever it is made of. */
struct place {
	const char *name;
	struct disk *disk;
	struct sim_store *store;
	struct log *log;
	struct log_tail tail;
	struct why why;
};

static void
place_claim(struct place *p)
{
	if (p->disk) {
		sim_disk_kill(p->disk);
		p->log = rig_open(p->disk, UINT64_C(32) << 10, &p->tail, &p->why);
		return;
	}
	p->log = sim_log_open(p->store);
	if (p->log->calls->claim(p->log, &p->tail, &p->why)) {
		p->log->calls->close(p->log);
		p->log = NULL;
	}
}

static void
each_log(void (*test)(struct place *))
{
	struct place journal = { .name = "journal", .disk = sim_disk_new() };
	struct place memory = { .name = "memory", .store = sim_store_new() };
	struct place *places[] = { &journal, &memory };

	for (size_t i = 0; i < 2 && !check_failed_now; i++) {
		place_claim(places[i]);
		test(places[i]);
		if (places[i]->log)
			places[i]->log->calls->close(places[i]->log);
		if (check_failed_now)
			printf("     over the log of %s\n", places[i]->name);
	}
	journal.disk->calls->end(journal.disk);
	sim_store_free(memory.store);
}

static void
claims_and_tails(struct place *p)
{
	uint64_t last = 0;

	for (uint64_t epoch = 1; epoch <= 5; epoch++) {
		check(p->log);
		check_equal(p->tail.epoch, epoch);
		check_equal(p->tail.last_seq, last);
		check_equal(p->tail.oldest_seq, 1);
		check_equal(p->tail.closed_cleanly, epoch > 1);
		check_equal(p->tail.last_stamp_ms == 0, last == 0);
		check_equal(rig_append(p->log, epoch, &last, 7, PAYLOAD_MAX), LOG_DURABLE);
		struct rig_read read = rig_read(p->log, 0, PAYLOAD_MAX);
		check(!read.wrong && !read.damaged);
		check_equal(read.batches, 7 * epoch);
		check_equal(read.last, last);
		p->log->calls->close(p->log);
		place_claim(p);
	}
}

static void
epochs_rise_and_tails_are_told(void)
{
	each_log(claims_and_tails);
}

static void
older_epoch(struct place *p)
{
	uint64_t last = 0, unmoved;

	check_equal(rig_append(p->log, 1, &last, 3, PAYLOAD_MAX), LOG_DURABLE);
	p->log->calls->close(p->log);
	place_claim(p);
	unmoved = last;
	check_equal(rig_append(p->log, 1, &unmoved, 1, PAYLOAD_MAX), LOG_FENCED);
	struct rig_read read = rig_read(p->log, 0, PAYLOAD_MAX);
	check_equal(read.last, last);
	check_equal(rig_append(p->log, 2, &last, 1, PAYLOAD_MAX), LOG_DURABLE);
}

static void
an_append_of_an_older_epoch_is_fenced_and_not_applied(void)
{
	each_log(older_epoch);
}

static void
unknown_then_resolve(struct place *p, bool applied)
{
	uint64_t last = 0;

	check_equal(rig_append(p->log, 1, &last, 3, PAYLOAD_MAX), LOG_DURABLE);
	if (p->disk)
		sim_disk_fail(p->disk, applied ? 2 : 1, EIO); /* the sync, or the write before it */
	else
		sim_log_unknown_at(p->store, 1, applied);
	uint64_t asked = last + 1;
	for (int i = 0; i < 3; i++)
		check_equal(rig_append(p->log, 1, &last, 1, PAYLOAD_MAX), LOG_UNKNOWN);
	p->log->calls->close(p->log);
	place_claim(p);
	check(p->log);
	check_equal(p->log->calls->resolve(p->log, asked, &p->why), applied ? LOG_DURABLE : LOG_FENCED);
	check_equal(p->tail.last_seq >= asked, applied);
	check(!p->tail.closed_cleanly);
	last = p->tail.last_seq;
	check_equal(rig_append(p->log, 2, &last, 3, PAYLOAD_MAX), LOG_DURABLE);
}

static void
unknown_applied(struct place *p)
{
	unknown_then_resolve(p, true);
}

static void
unknown_not_applied(struct place *p)
{
	unknown_then_resolve(p, false);
}

static void
after_unknown_all_is_unknown_and_a_new_claim_resolves_it(void)
{
	each_log(unknown_applied);
	if (!check_failed_now)
		each_log(unknown_not_applied);
}

static void
trim_and_read(struct place *p)
{
	uint64_t last = 0;
	bool gone;

	check_equal(rig_append(p->log, 1, &last, 60, PAYLOAD_MAX), LOG_DURABLE);
	uint64_t before = p->log->calls->bytes(p->log);
	check_equal(p->log->calls->trim(p->log, last / 2, &p->why), 0);
	check(p->log->calls->bytes(p->log) < before);
	check(!p->log->calls->read_open(p->log, 1, &gone, &p->why));
	check(gone);
	struct rig_read read = rig_read(p->log, 0, PAYLOAD_MAX);
	check(!read.wrong && !read.damaged && read.first > 1 && read.first <= last / 2);
	check_equal(read.last, last);
	read = rig_read(p->log, last + 1, PAYLOAD_MAX);
	check(!read.damaged);
	check_equal(read.batches, 0);
	check_equal(p->log->calls->resolve(p->log, 1, &p->why) == LOG_UNKNOWN, 0);
}

static void
trimmed_positions_are_gone_and_later_ones_are_read(void)
{
	each_log(trim_and_read);
}

static void
another_leader_fences_this_one(void)
{
	struct sim_store *store = sim_store_new();
	struct log *log = sim_log_open(store);
	struct log_tail tail;
	struct why why;
	uint64_t last = 0;

	check_equal(log->calls->claim(log, &tail, &why), 0);
	sim_log_fence_at(store, 3);
	check_equal(rig_append(log, 1, &last, 2, 100), LOG_DURABLE);
	for (int i = 0; i < 3; i++)
		check_equal(rig_append(log, 1, &last, 1, 100), LOG_FENCED);
	check_equal(sim_log_fired(store), 1);
	log->calls->close(log);
	sim_store_free(store);
}

/* --- threads --- */

struct traffic {
	struct log *log;
	pthread_mutex_t lock;
	uint64_t durable, read; /* under the lock */
	bool done, failed, housed;
};

static uint64_t
durable_now(struct traffic *t, bool *done)
{
	pthread_mutex_lock(&t->lock);
	uint64_t durable = t->durable;
	*done = t->done;
	pthread_mutex_unlock(&t->lock);
	return durable;
}

static void *
read_along(void *arg)
{
	struct traffic *t = arg;
	struct why why;
	struct log_batch batch;
	bool gone, done = false, failed = false;
	uint64_t read = 0, durable = 0;
	struct log_reader *reader = t->log->calls->read_open(t->log, 1, &gone, &why);

	failed = reader == NULL;
	while (!failed && !(done && read >= durable)) {
		durable = durable_now(t, &done);
		int got;
		while ((got = t->log->calls->read_next(reader, durable, &batch, &why)) > 0) {
			failed |= batch.first_seq != read + 1 || !rig_is(&batch, PAYLOAD_MAX);
			read = batch.first_seq + batch.steps - 1;
			failed |= read > durable;
		}
		failed |= got < 0;
		pthread_mutex_lock(&t->lock);
		t->read = read;
		pthread_mutex_unlock(&t->lock);
	}
	if (reader)
		t->log->calls->read_close(reader);
	pthread_mutex_lock(&t->lock);
	t->failed |= failed;
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

static void *
keep_house(void *arg)
{
	struct traffic *t = arg;
	struct why why;
	bool done = false, failed = false;

	while (!done && !failed) {
		durable_now(t, &done);
		pthread_mutex_lock(&t->lock);
		uint64_t read = t->read;
		pthread_mutex_unlock(&t->lock);
		failed |= t->log->calls->prepare(t->log, &why) != 0;
		failed |= t->log->calls->trim(t->log, read, &why) != 0;
		failed |= t->log->calls->bytes(t->log) == 0;
	}
	pthread_mutex_lock(&t->lock);
	t->failed |= failed;
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

static void
reader_and_housekeeper_run_beside_appends(void)
{
	struct disk *disk = sim_disk_new();
	struct log_tail tail;
	struct why why;
	struct traffic t = { .log = rig_open(disk, UINT64_C(32) << 10, &tail, &why) };
	pthread_t reader, housekeeper;
	uint64_t last = 0;

	check(t.log);
	pthread_mutex_init(&t.lock, NULL);
	check_equal(pthread_create(&reader, NULL, read_along, &t), 0);
	check_equal(pthread_create(&housekeeper, NULL, keep_house, &t), 0);
	enum log_outcome outcome = LOG_DURABLE;
	for (int i = 0; i < 3000 && outcome == LOG_DURABLE; i++) {
		outcome = rig_append(t.log, 1, &last, 1, PAYLOAD_MAX);
		pthread_mutex_lock(&t.lock);
		t.durable = last;
		pthread_mutex_unlock(&t.lock);
	}
	pthread_mutex_lock(&t.lock);
	t.done = true;
	pthread_mutex_unlock(&t.lock);
	pthread_join(reader, NULL);
	pthread_join(housekeeper, NULL);
	check_equal(outcome, LOG_DURABLE);
	check(!t.failed);
	check_equal(t.read, last);
	t.log->calls->close(t.log);
	pthread_mutex_destroy(&t.lock);
	disk->calls->end(disk);
}

static const struct check tests[] = {
	CHECK(epochs_rise_and_tails_are_told),
	CHECK(an_append_of_an_older_epoch_is_fenced_and_not_applied),
	CHECK(after_unknown_all_is_unknown_and_a_new_claim_resolves_it),
	CHECK(trimmed_positions_are_gone_and_later_ones_are_read),
	CHECK(another_leader_fences_this_one),
	CHECK(reader_and_housekeeper_run_beside_appends),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv);
}
