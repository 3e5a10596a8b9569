/*
 * test_recovery.c: the engine, the journal, the checkpointer and the image in one folder, ended at any moment and started again:
 * the state must be the one before (P11), and what cannot be started from must be refused with a way out that really is one.
 */
#include "tests/check.h"
#include "tests/image_rig.h"
#include "tests/journal_rig.h"
#include "tests/twin_run.h"

#include "persist/backup.h"
#include "persist/checkpoint.h"
#include "persist/doctor.h"
#include "persist/recovery.h"

#include <unistd.h>

#define MIB   (UINT64_C(1) << 20)
#define KIB   (UINT64_C(1) << 10)
#define STEPS 400 /* drawn commands between two ends */

static struct draw_profile world = {
	.name = "recovery", .skus = 8, .places = 6, .groups = 3, .sources = 4, .ids = 80, .owners = 4, .qty_max = 6, .ttl_max_ms = 300,
	.pause_max_ms = 50, .jump_ms = 2000, .at_span_ms = 60000, .batch = 12, .partial = 25, .owned = 40, .shuffled = 40, .repeated = 20,
	.odd = 10, .counts = 12, .fresh = 30,
	.reserve = 40, .settle = 25, .extend = 3, .pin = 2, .move = 4, .event = 30, .skip = 1, .policy = 3, .group = 3, .quarantine = 3,
	.limits = { .cells_max = 4096, .skus_max = 256, .locations_max = 64, .sources_max = 16, .channels_max = 16, .groups_max = 8,
	    .reservations_max = 256, .extra_lines_max = 8192, .blobs_max = 32768, .quarantine_max = 2048, .history_max = 512,
	    .free_ids_max = 64 },
	.options = { .value = { [OPTION_CREATE_UNKNOWN] = 1, [OPTION_TTL_DEFAULT_MS] = 900000, [OPTION_TTL_MAX_MS] = 86400000,
	    [OPTION_PIN_MAX_MS] = 900000, [OPTION_FUTURE_MS] = 300000, [OPTION_COUNT_WINDOW_MS] = 172800000,
	    [OPTION_FREE_ID_MS] = 172800000, [OPTION_HISTORY_MAX] = 512, [OPTION_FREE_IDS_MAX] = 64 } },
};

/* A data folder and who works in it. */
struct place {
	char dir[256], copy[300];
	struct disk *disk;
	struct log *log;
	struct image *image;
	struct checkpoint *checkpoint;
	struct recovery r;
	uint64_t last_seq, epoch; /* appended */
	uint32_t given; /* batches of the run */
	bool copies;
	struct why why;
};

static void
place_new(struct place *p)
{
	*p = (struct place){ 0 };
	folder_new(p->dir);
	snprintf(p->copy, sizeof(p->copy), "%s/copy", p->dir);
}

/* A start up to a recovered engine. */
static struct engine *
place_open(struct place *p, void **memory)
{
	struct journal_options options = rig_options(64 * KIB);
	struct checkpoint_options often = { .records_max = 60, .bytes_max = 64 * KIB, .age_ms_max = 100, .copy_dir = p->copies ? p->copy : NULL };
	struct engine *e = run_engine(&world.limits, memory);
	struct image_probe probe;
	image_probe(p->dir, &probe);
	if ((p->disk = disk_posix_open(p->dir, &p->why)) == NULL)
		return NULL;
	struct recovery_folder folder = { .dir = p->dir, .copy = p->copies ? p->copy : NULL, .disk = p->disk, .probe = &probe, .walk = image_inspect_into };
	if (recovery_load(e, &folder, &p->r, NULL, NULL, &p->why) < 0)
		return NULL;
	if ((p->image = image_open(p->dir, 64 * MIB, &p->why)) == NULL || (p->log = journal_open(p->disk, &options, &p->why)) == NULL)
		return NULL;
	if (recover(e, p->image, p->log, &p->r, NULL, NULL, &p->why) < 0)
		return NULL;
	p->last_seq = p->r.tail.last_seq;
	p->epoch = p->r.tail.epoch;
	p->checkpoint = checkpoint_open(p->log, p->image, &often, &p->why);
	return p->checkpoint ? e : NULL;
}

/* An end, with whatever the checkpointer had not written. */
static void
place_close(struct place *p)
{
	checkpoint_close(p->checkpoint);
	image_close(p->image);
	if (p->log != NULL)
		p->log->calls->close(p->log);
	if (p->disk != NULL)
		p->disk->calls->end(p->disk);
	p->checkpoint = NULL;
	p->image = NULL;
	p->log = NULL;
	p->disk = NULL;
}

/* Appends what the run made since the last time, with some steps of the checkpointer between. */
static bool
place_append(struct place *p, struct run *run, uint64_t *seed, bool checkpoint)
{
	for (; p->given < run->batches_n; p->given++) {
		const struct run_batch *b = &run->batches[p->given];
		struct log_batch batch = { p->epoch, b->first_seq, b->steps, b->stamp_ms, b->bytes, b->n };
		if (p->log->calls->append(p->log, &batch, &p->why) != LOG_DURABLE)
			return false;
		p->last_seq = b->first_seq + b->steps - 1;
		if (checkpoint && draw(seed) % 4 == 0 && checkpoint_step(p->checkpoint, p->last_seq, b->stamp_ms, &p->why) < 0)
			return false;
	}
	return true;
}

/* Whether the engine agrees with its twin is test_model's question: here both only make a believable history. */
static void
run_some(struct run *run, uint64_t *step)
{
	for (uint64_t end = *step + STEPS; *step < end; ++*step)
		run_step(run, *step);
	for (int tries = 0; tries < 50 && !run_settle_down(run); tries++)
		;
}

static bool
same_state(struct engine *a, struct engine *b)
{
	uint64_t x[2], y[2];
	engine_digest_state(a, x);
	engine_digest_state(b, y);
	return x[0] == y[0] && x[1] == y[1] && engine_seq(a) == engine_seq(b);
}

/* Rounds of work, an end at any moment of the checkpointer, a start; the run goes on with the recovered engine and its twin. */
static void
work_and_restart(bool checkpoint, bool finish, bool copies)
{
	struct place p;
	uint64_t seed = check_seed(5), step = 0;
	uint64_t replayed = 0, loaded = 0, commits = 0;
	void *memory;
	place_new(&p);
	p.copies = copies;
	struct run *run = run_new(&world, seed);
	struct engine *e = place_open(&p, &memory);
	check(e != NULL);
	free(memory);
	for (int round = 0; round < 6; round++) {
		struct checkpoint_status status;
		run_some(run, &step);
		check(place_append(&p, run, &seed, checkpoint));
		if (finish)
			check_equal(checkpoint_finish(p.checkpoint, p.last_seq, &p.why), 0);
		checkpoint_status(p.checkpoint, &status);
		commits += status.commits;
		place_close(&p);
		e = place_open(&p, &memory);
		if (e == NULL)
			printf("     %s\n", p.why.text);
		check(e != NULL);
		check(same_state(e, run->engine));
		replayed += p.r.steps_replayed;
		loaded += p.r.records_loaded;
		run_adopt(run, e, memory);
	}
	check(checkpoint == (commits > 6) || finish);
	check((replayed == 0) == finish);
	check((loaded > 0) == (checkpoint || finish));
	place_close(&p);
	folder_remove(p.dir);
	run_free(run);
}

static void
the_journal_alone_gives_the_state_before(void)
{
	work_and_restart(false, false, false);
}

static void
image_and_journal_behind_it_give_the_state_before(void)
{
	work_and_restart(true, false, false);
}

static void
the_image_alone_gives_the_state_after_a_clean_end(void)
{
	work_and_restart(true, true, false);
}

static void
copies_change_nothing(void)
{
	work_and_restart(true, false, true);
}

/* ---- what cannot be started from --------------------------------------------------------------------------------- */

/* Work, ended with everything folded; returns the run, whose engine is the state to get back. */
static struct run *
worked(struct place *p, bool checkpoint)
{
	uint64_t seed = check_seed(6), step = 0;
	void *memory;
	struct run *run = run_new(&world, seed);
	struct engine *e = place_open(p, &memory);
	ensure(e != NULL);
	free(memory);
	run_some(run, &step);
	run_some(run, &step);
	ensure(place_append(p, run, &seed, checkpoint));
	if (!checkpoint) {
		/* All into one commit of the image, behind the back of a log that is never told to trim. */
		struct log_batch b;
		bool gone;
		struct log_reader *reader = p->log->calls->read_open(p->log, 1, &gone, &p->why);
		while (p->log->calls->read_next(reader, p->last_seq, &b, &p->why) == 1)
			ensure(image_collect(p->image, &b, &p->why) == 0);
		p->log->calls->read_close(reader);
		ensure(image_commit(p->image, &p->why) == 0);
	} else {
		ensure(checkpoint_finish(p->checkpoint, p->last_seq, &p->why) == 0);
	}
	place_close(p);
	return run;
}

static void
damage_image(struct place *p)
{
	size_t n;
	uint8_t *bytes = file_get(p->dir, "image", &n);
	memset(bytes + 8192, 0, n - 8192);
	file_put(p->dir, "image", bytes, n);
	free(bytes);
}

static void
remove_file(struct place *p, const char *name)
{
	char path[600];
	snprintf(path, sizeof(path), "%s/%s", p->dir, name);
	ensure(remove(path) == 0);
}

static enum doctor_verdict
verdict(struct place *p, struct doctor_report *report)
{
	ensure(doctor_examine(p->dir, p->copies ? p->copy : NULL, NULL, NULL, NULL, report, &p->why) == 0);
	return report->verdict;
}

static void
a_damaged_image_is_rebuilt_when_the_journal_reaches_back(void)
{
	struct place p;
	struct doctor_report report;
	void *memory;
	place_new(&p);
	struct run *run = worked(&p, false);
	check_equal(verdict(&p, &report), DOCTOR_SOUND);
	check(report.image.found.meta.seq == report.journal.last_seq && report.journal.oldest_seq == 1);
	damage_image(&p);
	check_equal(verdict(&p, &report), DOCTOR_IMAGE_DAMAGED);
	check(report.rebuild && strstr(report.way_out.text, "remove ") == report.way_out.text);
	check(place_open(&p, &memory) == NULL);
	check(strstr(p.why.text, "damaged: page") != NULL && strstr(p.why.text, "Way out: remove ") != NULL);
	free(memory);
	place_close(&p);
	remove_file(&p, "image");
	struct engine *e = place_open(&p, &memory);
	check(e != NULL && same_state(e, run->engine));
	free(memory);
	place_close(&p);
	folder_remove(p.dir);
	run_free(run);
}

static void
a_damaged_image_is_not_offered_for_removal_when_the_journal_was_trimmed(void)
{
	struct place p;
	struct doctor_report report;
	void *memory;
	place_new(&p);
	struct run *run = worked(&p, true);
	check_equal(verdict(&p, &report), DOCTOR_SOUND);
	check(report.journal.oldest_seq > 1);
	damage_image(&p);
	check_equal(verdict(&p, &report), DOCTOR_IMAGE_DAMAGED);
	check(!report.rebuild && !report.restore);
	check(place_open(&p, &memory) == NULL);
	check(strstr(p.why.text, "Way out: put the image back from a backup") != NULL);
	free(memory);
	place_close(&p);
	remove_file(&p, "image");
	check_equal(verdict(&p, &report), DOCTOR_GAP);
	check(place_open(&p, &memory) == NULL);
	check(strstr(p.why.text, "what is between is missing") != NULL);
	free(memory);
	place_close(&p);
	folder_remove(p.dir);
	run_free(run);
}

static void
the_copy_and_the_journal_replace_a_damaged_image(void)
{
	struct place p;
	struct doctor_report report;
	void *memory;
	place_new(&p);
	p.copies = true;
	struct run *run = worked(&p, true);
	check_equal(verdict(&p, &report), DOCTOR_SOUND);
	check(report.copy.found.exists && report.copy.found.meta.seq <= report.image.found.meta.seq);
	damage_image(&p);
	check_equal(verdict(&p, &report), DOCTOR_IMAGE_DAMAGED);
	check(!report.rebuild && report.restore && strncmp(report.way_out.text, "copy ", 5) == 0);
	check(place_open(&p, &memory) == NULL);
	check(strstr(p.why.text, "Way out: copy ") != NULL);
	free(memory);
	place_close(&p);
	check_equal(image_restore(p.dir, p.copy, &p.why), 0);
	struct engine *e = place_open(&p, &memory);
	check(e != NULL && same_state(e, run->engine));
	check_equal(p.r.steps_replayed, p.last_seq - report.copy.found.meta.seq);
	free(memory);
	place_close(&p);
	folder_remove(p.dir);
	run_free(run);
}

/* The image of one folder with the journal of another, younger one: the end of the journal is lost. */
static void
an_image_ahead_of_the_journal_is_refused(void)
{
	struct place p, other;
	struct doctor_report report;
	size_t n;
	void *memory;
	place_new(&p);
	place_new(&other);
	struct run *run = worked(&p, true);
	check(place_open(&other, &memory) != NULL);
	free(memory);
	place_close(&other);
	uint8_t *bytes = file_get(p.dir, "image", &n);
	file_put(other.dir, "image", bytes, n);
	free(bytes);
	check_equal(verdict(&other, &report), DOCTOR_IMAGE_AHEAD);
	check(place_open(&other, &memory) == NULL);
	check(strstr(other.why.text, "the end of the journal is lost") != NULL);
	free(memory);
	place_close(&other);
	folder_remove(other.dir);
	folder_remove(p.dir);
	run_free(run);
}

/* The oldest journal file that is not the last one; its name. */
struct oldest {
	char name[64], second[64];
	int n;
};

static void
note_file(void *context, const struct journal_finding *f)
{
	struct oldest *o = context;
	if (f->state == JOURNAL_SPARE || f->state == JOURNAL_SUPERSEDED)
		return;
	if (o->n < 2)
		snprintf(o->n ? o->second : o->name, sizeof(o->name), "%s", f->name);
	o->n++;
}

/* What the image has is not needed of the journal: damage there does not end the world, and the doctor knows. */
static void
damage_that_the_image_has_behind_it_is_cut_off(void)
{
	struct place p;
	struct doctor_report report;
	struct oldest files = { .n = 0 };
	char doctor[300];
	size_t n;
	void *memory;
	place_new(&p);
	struct run *run = worked(&p, false);
	check_equal(doctor_examine(p.dir, NULL, note_file, &files, NULL, &report, &p.why), 0);
	check(files.n > 2 && report.verdict == DOCTOR_SOUND);
	uint8_t *bytes = file_get(p.dir, files.name, &n);
	memset(bytes, 0, 4096);
	file_put(p.dir, files.name, bytes, n);
	free(bytes);
	check_equal(verdict(&p, &report), DOCTOR_JOURNAL_DAMAGED);
	check(report.cut && strncmp(report.way_out.text, "move the journal files before ", 30) == 0);
	check(strstr(report.way_out.text, files.second) != NULL);
	check(place_open(&p, &memory) == NULL);
	free(memory);
	recovery_explain(p.dir, p.disk, NULL, &p.why);
	snprintf(doctor, sizeof(doctor), "`holdfast doctor %.80s` shows", p.dir);
	check(strstr(p.why.text, files.name) && strstr(p.why.text, doctor) && strstr(p.why.text, "Way out: move the journal files before"));
	place_close(&p);
	remove_file(&p, files.name);
	check_equal(verdict(&p, &report), DOCTOR_SOUND);
	struct engine *e = place_open(&p, &memory);
	check(e != NULL && same_state(e, run->engine));
	free(memory);
	place_close(&p);
	folder_remove(p.dir);
	run_free(run);
}

/* The end of the journal is lost, but the image is sound: a backup of it, restored, is the state at its position. */
static void
an_image_without_its_journal_goes_on_through_a_backup(void)
{
	struct place p, next;
	struct doctor_report report;
	struct image_findings found;
	struct restored r;
	struct oldest files = { .n = 0 };
	char to[300];
	uint64_t x[2], y[2];
	void *memory;
	place_new(&p);
	place_new(&next);
	snprintf(to, sizeof(to), "%s/kept", next.dir);
	struct run *run = worked(&p, true);
	check_equal(doctor_examine(p.dir, NULL, note_file, &files, NULL, &report, &p.why), 0);
	remove_file(&p, files.name);
	check_equal(verdict(&p, &report), DOCTOR_IMAGE_AHEAD);
	check(strstr(report.way_out.text, "--now`, then `holdfast restore B --data NEW` has everything up to position") != NULL);
	struct backup *b = backup_open(p.dir, NULL, &p.why);
	check(b != NULL && !backup_in_use(b) && backup_seq(b) > backup_journal_seq(b));
	check_equal(backup_copy(b, to, NULL, &found, &p.why), 0);
	backup_close(b);
	folder_remove(p.dir);
	check_equal(restore(to, p.dir, NULL, &r, &p.why), 0);
	struct engine *e = place_open(&p, &memory);
	check(e != NULL);
	engine_digest_state(e, x);
	engine_digest_state(run->engine, y);
	check(x[0] == y[0] && x[1] == y[1] && engine_seq(e) == engine_seq(run->engine) + RESTORE_SKIP);
	free(memory);
	place_close(&p);
	folder_remove(p.dir);
	folder_remove(next.dir);
	run_free(run);
}

static void
a_table_of_another_size_is_told_with_the_size_it_was(void)
{
	struct place p;
	void *memory;
	place_new(&p);
	struct run *run = worked(&p, true);
	struct engine_limits was = world.limits;
	world.limits.history_max = 1024;
	check(place_open(&p, &memory) == NULL);
	world.limits = was;
	check(strstr(p.why.text, "history_max differs from the one this folder was made with: start with --history-max 512") != NULL);
	free(memory);
	place_close(&p);
	folder_remove(p.dir);
	run_free(run);
}

static void
the_doctor_says_what_there_is(void)
{
	struct place p;
	struct doctor_report report;
	struct why why;
	void *memory;
	char nowhere[300];
	place_new(&p);
	snprintf(nowhere, sizeof(nowhere), "%s/nowhere", p.dir);
	check_equal(doctor_examine(nowhere, NULL, NULL, NULL, NULL, &report, &why), -1);
	check(!disk_posix_is_folder(nowhere));
	check_equal(verdict(&p, &report), DOCTOR_EMPTY);
	check(place_open(&p, &memory) != NULL);
	free(memory);
	check_equal(p.disk->calls->lock(p.disk), 0);
	check_equal(doctor_examine(p.dir, NULL, NULL, NULL, NULL, &report, &why), -1);
	check(strstr(why.text, "in use by a server") != NULL);
	place_close(&p);
	check_equal(verdict(&p, &report), DOCTOR_EMPTY);
	struct run *run = worked(&p, true);
	check_equal(verdict(&p, &report), DOCTOR_SOUND);
	check(report.way_out.text[0] == '\0' && report.journal.segments > 0 && report.image.found.records_of_kind[ENTRY_CELL] > 0);
	folder_remove(p.dir);
	run_free(run);
}

struct heard {
	char phases[256];
	const char *last;
	double share;
	bool wrong;
};

static void
hear(void *context, const char *phase, double share)
{
	struct heard *h = context;
	bool same = h->last && strcmp(h->last, phase) == 0;
	size_t n = strlen(h->phases);
	if (!same)
		snprintf(h->phases + n, sizeof(h->phases) - n, "%s, ", phase);
	h->wrong |= share < 0 || share > 1 || (same && share < h->share);
	h->last = phase;
	h->share = share;
}

static void
whoever_looks_on_hears_how_far_long_work_is(void)
{
	struct place p, next;
	char to[300];
	struct doctor_report report;
	struct image_findings found;
	struct restored r;
	struct heard h[3] = { { .share = 0 } };
	const struct progress progress[3] = { { hear, &h[0] }, { hear, &h[1] }, { hear, &h[2] } };
	place_new(&p);
	place_new(&next);
	snprintf(to, sizeof(to), "%s/kept", next.dir);
	struct run *run = worked(&p, true);
	check_equal(doctor_examine(p.dir, NULL, NULL, NULL, &progress[0], &report, &p.why), 0);
	struct backup *b = backup_open(p.dir, &progress[1], &p.why);
	check(b != NULL);
	check_equal(backup_copy(b, to, &progress[1], &found, &p.why), 0);
	backup_close(b);
	folder_remove(p.dir);
	check_equal(restore(to, p.dir, &progress[2], &r, &p.why), 0);
	check(strcmp(h[0].phases, "reading the journal, checking the image, ") == 0);
	check(strcmp(h[1].phases, "checking the image, reading the journal, copying, checking the copy, ") == 0);
	check(strcmp(h[2].phases, "checking the image, copying, checking the copy, ") == 0);
	for (int i = 0; i < 3; i++)
		check(!h[i].wrong);
	folder_remove(to);
	folder_remove(p.dir);
	folder_remove(next.dir);
	run_free(run);
}

static const struct check tests[] = {
	CHECK(the_journal_alone_gives_the_state_before),
	CHECK(image_and_journal_behind_it_give_the_state_before),
	CHECK(the_image_alone_gives_the_state_after_a_clean_end),
	CHECK(copies_change_nothing),
	CHECK(a_damaged_image_is_rebuilt_when_the_journal_reaches_back),
	CHECK(a_damaged_image_is_not_offered_for_removal_when_the_journal_was_trimmed),
	CHECK(the_copy_and_the_journal_replace_a_damaged_image),
	CHECK(an_image_ahead_of_the_journal_is_refused),
	CHECK(damage_that_the_image_has_behind_it_is_cut_off),
	CHECK(an_image_without_its_journal_goes_on_through_a_backup),
	CHECK(whoever_looks_on_hears_how_far_long_work_is),
	CHECK(a_table_of_another_size_is_told_with_the_size_it_was),
	CHECK(the_doctor_says_what_there_is),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
