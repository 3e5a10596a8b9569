/*
 * recovery.c: see recovery.h. The claim, which changes the journal, waits until the image is known to be sound; whether the two fit
 * together is asked before anything is replayed.
 */
#include "persist/recovery.h"

#include "persist/doctor.h"
#include "persist/journal.h"
#include "persist/why.h"

#include <stdio.h>

#define PROGRESS_RECORDS 65536 /* records or steps from one call of progress to the next */

struct run {
	struct engine *engine;
	struct recovery *r;
	void (*progress)(void *context, const char *phase, double fraction);
	void *context;
	/* the first record that the engine did not take */
	const char *refused; /* NULL: none */
	enum entry_kind refused_kind;
	uint64_t refused_key;
};

void
recovery_explain(const char *dir, struct disk *disk, const char *copy, struct why *why)
{
	struct doctor_report report;
	struct why said = *why, inner;
	if (doctor_look(dir, disk, copy, NULL, NULL, NULL, &report, &inner) < 0 || doctor_verdict_good(report.verdict))
		return;
	why_say(why, "%.160s. `holdfast doctor %.80s` shows all that is there. Way out: %.330s", said.text, dir, report.way_out.text);
}

/* ---- the parts ---------------------------------------------------------------------------------------------------- */

static void
tell(const struct run *run, const char *phase, uint64_t done, uint64_t of)
{
	if (run->progress != NULL)
		run->progress(run->context, phase, of == 0 ? 1.0 : (double)done / (double)of);
}

/* The image must end inside what the journal knows, and the journal must begin at or before its end. */
static int
check_positions(const struct image_meta *image, const struct log_tail *tail, struct why *why)
{
	if (image->seq > tail->last_seq || image->epoch > tail->epoch || image->stamp_ms > tail->last_stamp_ms)
		return why_say(why, "the image stands at position %llu, but the journal ends at %llu: the end of the journal is lost",
		    (unsigned long long)image->seq, (unsigned long long)tail->last_seq);
	if (image->seq + 1 < tail->oldest_seq)
		return why_say(why, "the image ends at position %llu, but the journal begins at %llu: what is between is missing",
		    (unsigned long long)image->seq, (unsigned long long)tail->oldest_seq);
	return 0;
}

/* ---- the image ---- */

static void
load_begin(void *context, const struct image_meta *meta)
{
	struct run *run = context;
	run->r->image = *meta;
}

/* A record that is refused ends the loading, not the check: damage behind it would be the better reason. */
static void
load_record(void *context, uint64_t seq, const struct entry_bytes *entry)
{
	struct run *run = context;
	if (run->refused != NULL)
		return;
	if (run->r->records_loaded++ % PROGRESS_RECORDS == 0)
		tell(run, "loading the image", run->r->records_loaded - 1, run->r->image.records);
	run->refused = seq > run->r->image.seq ? "its position is beyond the image's" : engine_load_entry(run->engine, seq, entry);
	run->refused_kind = entry->kind;
	run->refused_key = entry->key;
}

static int
damaged(const struct recovery_folder *f, struct why *why)
{
	struct doctor_report report;
	struct why inner, damage = *why;
	if (doctor_look(f->dir, f->disk, f->copy, NULL, NULL, NULL, &report, &inner) < 0)
		return why_say(why, "%.300s; and the journal cannot be read: %.180s", damage.text, inner.text);
	return why_say(why, "%.170s. Way out: %.330s", damage.text, report.way_out.text);
}

int
recovery_load(struct engine *engine, const struct recovery_folder *f, struct recovery *r,
    void (*progress)(void *context, const char *phase, double fraction), void *context, struct why *why)
{
	struct run run = { .engine = engine, .r = r, .progress = progress, .context = context };
	struct image_sink sink = { load_begin, load_record, &run };
	struct image_findings found;
	*r = (struct recovery){ 0 };
	if (journal_is_foreign(f->disk, why)) /* its image would look damaged */
		return -1;
	if (f->walk(f->dir, f->probe, &sink, &found, why) < 0)
		return damaged(f, why);
	if (run.refused == NULL)
		return 0;
	why_say(why, "image %s/image: record %s %llu: %s", f->dir, entry_kind_name(run.refused_kind), (unsigned long long)run.refused_key, run.refused);
	recovery_explain(f->dir, f->disk, f->copy, why);
	return -1;
}

/* It may have been exchanged since it was loaded, and all of it must have come. */
static int
image_done(struct run *run, struct image *image, struct why *why)
{
	struct recovery *r = run->r;
	struct image_meta now;
	image_meta(image, &now);
	if (memcmp(&now, &r->image, sizeof(now)) != 0)
		return why_say(why, "the image at position %llu is not the one that was loaded, at %llu", (unsigned long long)now.seq,
		    (unsigned long long)r->image.seq);
	if (r->records_loaded != r->image.records)
		return why_say(why, "the image has %llu records, but says %llu", (unsigned long long)r->records_loaded,
		    (unsigned long long)r->image.records);
	const char *wrong = engine_load_image_done(run->engine, r->image.seq, r->image.stamp_ms);
	return wrong ? why_say(why, "the image at position %llu does not add up: %s", (unsigned long long)r->image.seq, wrong) : 0;
}

/* ---- the journal ---- */

static int
replay_batch(struct run *run, const struct log_batch *b, uint64_t expected_seq, struct why *why)
{
	if (b->first_seq != expected_seq)
		return why_say(why, "the journal's batch behind position %llu begins at %llu", (unsigned long long)expected_seq - 1,
		    (unsigned long long)b->first_seq);
	const char *wrong = engine_replay(run->engine, b->first_seq, b->steps, b->stamp_ms, b->payload, b->payload_n);
	if (wrong != NULL)
		return why_say(why, "the journal's batch at position %llu cannot be replayed: %s", (unsigned long long)b->first_seq, wrong);
	uint64_t before = run->r->steps_replayed;
	run->r->batches_replayed++;
	run->r->steps_replayed += b->steps;
	if (before / PROGRESS_RECORDS != run->r->steps_replayed / PROGRESS_RECORDS)
		tell(run, "replaying the journal", run->r->steps_replayed, run->r->tail.last_seq - run->r->image.seq);
	return 0;
}

static int
replay_all(struct run *run, struct log *log, struct log_reader *reader, struct why *why)
{
	uint64_t last = run->r->tail.last_seq, next = run->r->image.seq + 1;
	while (next <= last) {
		struct log_batch batch;
		int got = log->calls->read_next(reader, last, &batch, why);
		if (got < 0)
			return -1;
		if (got == 0)
			return why_say(why, "the journal ends before position %llu, although its claim found %llu", (unsigned long long)next,
			    (unsigned long long)last);
		if (replay_batch(run, &batch, next, why) < 0)
			return -1;
		next += batch.steps;
	}
	return 0;
}

static int
replay(struct run *run, struct log *log, struct why *why)
{
	bool gone = false;
	tell(run, "replaying the journal", 0, run->r->tail.last_seq - run->r->image.seq);
	if (run->r->tail.last_seq == run->r->image.seq)
		return 0;
	struct log_reader *reader = log->calls->read_open(log, run->r->image.seq + 1, &gone, why);
	if (reader == NULL)
		return -1;
	int rc = replay_all(run, log, reader, why);
	log->calls->read_close(reader);
	return rc;
}

int
recover(struct engine *engine, struct image *image, struct log *log, struct recovery *r,
    void (*progress)(void *context, const char *phase, double fraction), void *context, struct why *why)
{
	struct run run = { .engine = engine, .r = r, .progress = progress, .context = context };
	if (log->calls->claim(log, &r->tail, why) < 0)
		return -1;
	if (check_positions(&r->image, &r->tail, why) < 0 || image_done(&run, image, why) < 0 || replay(&run, log, why) < 0)
		return -1;
	tell(&run, "finishing", 0, 1);
	const char *wrong = engine_load_done(engine);
	if (wrong != NULL)
		return why_say(why, "what was loaded does not add up: %s", wrong);
	if (engine_seq(engine) != r->tail.last_seq) /* R1 */
		return why_say(why, "after replay the engine stands at position %llu, the journal at %llu",
		    (unsigned long long)engine_seq(engine), (unsigned long long)r->tail.last_seq);
	tell(&run, "finishing", 1, 1);
	return 0;
}
