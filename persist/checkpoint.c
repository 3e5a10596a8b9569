/*
 * checkpoint.c: see checkpoint.h. A step is: collect, commit when due, copy when due, trim, prepare. Each part is tried even
 * when an earlier one failed, since trimming and preparing are what frees room; the first failure is the one that is told.
 */
#include "persist/checkpoint.h"
#include "persist/disk_pace.h"

#include <stdio.h>
#include <stdlib.h>

struct checkpoint {
	struct log *log;
	struct image *image;
	struct checkpoint_options options;
	struct log_reader *reader; /* NULL: opened when there is something to read */
	uint64_t trimmed_seq; /* told to the log */
	int64_t waiting_since_ms; /* of the oldest collected record; valid while collected beyond the commit */
	int64_t retry_commit_ms, copy_at_ms; /* not before */
	bool waiting, copy_scheduled, started;
	uint64_t recovered_seq; /* durable at the first step: K4 */
	struct checkpoint_status status;
};

/*
 * Position of the copy that is there; 0: none that counts. A damaged one is as good as none: the next one replaces it, and until then
 * nothing is trimmed. So is one of another history: this image has not come so far, so it never was a copy of it.
 */
static uint64_t
copy_found(const char *copy_dir, const struct image *image)
{
	struct image_findings copy = { 0 };
	struct image_meta meta;
	struct why ignored;
	if (copy_dir == NULL || image_inspect(copy_dir, NULL, &copy, &ignored) < 0)
		return 0;
	image_meta(image, &meta);
	return copy.meta.seq <= meta.seq && copy.meta.epoch <= meta.epoch ? copy.meta.seq : 0;
}

struct checkpoint *
checkpoint_open(struct log *log, struct image *image, const struct checkpoint_options *options, struct why *why)
{
	struct checkpoint *c = calloc(1, sizeof(*c));
	if (c == NULL) {
		strcpy(why->text, "no memory for the checkpointer");
		return NULL;
	}
	c->log = log;
	c->image = image;
	c->options = *options;
	c->retry_commit_ms = INT64_MIN;
	c->status.copied_seq = copy_found(options->copy_dir, image);
	return c;
}

void
checkpoint_close(struct checkpoint *c)
{
	if (c == NULL)
		return;
	if (c->reader != NULL)
		c->log->calls->read_close(c->reader);
	free(c);
}

static uint64_t
committed_seq(const struct checkpoint *c)
{
	struct image_meta meta;
	image_meta(c->image, &meta);
	return meta.seq;
}

static bool
full(const struct checkpoint *c)
{
	return image_collected(c->image) >= c->options.records_max || image_collected_bytes(c->image) >= c->options.bytes_max;
}

/* A reader that failed is opened again by the next step, at the position where the image stands. */
static int
read_failed(struct checkpoint *c)
{
	if (c->reader != NULL)
		c->log->calls->read_close(c->reader);
	c->reader = NULL;
	return -1;
}

static int
open_reader(struct checkpoint *c, struct why *why)
{
	bool gone = false;
	if (c->reader == NULL)
		c->reader = c->log->calls->read_open(c->log, image_collected_seq(c->image) + 1, &gone, why);
	return c->reader == NULL ? -1 : 0;
}

/* 1: more could be read now; 0: all that is durable is collected, or a commit must come first. */
static int
collect(struct checkpoint *c, uint64_t durable_seq, int64_t now_ms, struct why *why)
{
	uint64_t bytes = 0;
	while (image_collected_seq(c->image) < durable_seq && !full(c)) {
		struct log_batch batch;
		if (bytes >= CHECKPOINT_STEP_BYTES)
			return 1;
		if (open_reader(c, why) < 0)
			return -1;
		int got = c->log->calls->read_next(c->reader, durable_seq, &batch, why);
		if (got == 0)
			return 0;
		if (got < 0 || image_collect(c->image, &batch, why) < 0)
			return read_failed(c);
		ensure(image_collected_seq(c->image) <= durable_seq); /* K1 */
		if (!c->waiting)
			c->waiting_since_ms = now_ms;
		c->waiting = true;
		bytes += batch.payload_n;
	}
	return 0;
}

static int
commit(struct checkpoint *c, int64_t now_ms, struct why *why)
{
	if (image_commit(c->image, why) < 0) {
		c->status.failures++;
		c->retry_commit_ms = now_ms + CHECKPOINT_RETRY_MS;
		return -1;
	}
	c->waiting = false;
	c->status.commits++;
	return 0;
}

static int
commit_when_due(struct checkpoint *c, int64_t now_ms, struct why *why)
{
	if (!c->waiting || now_ms < c->retry_commit_ms)
		return 0;
	bool behind = committed_seq(c) < c->recovered_seq && image_collected_seq(c->image) >= c->recovered_seq; /* K4 */
	if (!full(c) && !behind && now_ms - c->waiting_since_ms < c->options.age_ms_max)
		return 0;
	return commit(c, now_ms, why);
}

static int
copy_when_due(struct checkpoint *c, int64_t now_ms, struct why *why)
{
	struct image_findings copy;
	if (c->options.copy_dir == NULL || committed_seq(c) <= c->status.copied_seq)
		return 0;
	if (c->copy_scheduled && now_ms < c->copy_at_ms)
		return 0;
	c->copy_scheduled = true;
	if (image_copy(c->image, c->options.copy_dir, &copy, why) < 0) {
		c->status.failures++;
		c->copy_at_ms = now_ms + CHECKPOINT_RETRY_MS;
		return -1;
	}
	c->copy_at_ms = now_ms + c->options.copy_ms;
	c->status.copied_seq = copy.meta.seq;
	c->status.copies++;
	return 0;
}

/* K2 */
static int
trim(struct checkpoint *c, struct why *why)
{
	uint64_t behind = committed_seq(c);
	if (c->options.copy_dir != NULL && c->status.copied_seq < behind)
		behind = c->status.copied_seq;
	if (behind <= c->trimmed_seq)
		return 0;
	if (c->log->calls->trim(c->log, behind + 1, why) < 0)
		return -1;
	c->trimmed_seq = behind;
	return 0;
}

/* Keeps the first sentence. */
static int
worse(int so_far, int now, struct why *why, const struct why *latest)
{
	if (now < 0 && so_far >= 0)
		*why = *latest;
	return now < 0 ? -1 : so_far;
}

int
checkpoint_step(struct checkpoint *c, uint64_t durable_seq, int64_t now_ms, struct why *why)
{
	struct why latest;
	uint64_t before = committed_seq(c);
	if (!c->started)
		c->recovered_seq = durable_seq;
	c->started = true;
	int more = collect(c, durable_seq, now_ms, &latest);
	int answer = worse(0, more, why, &latest);
	answer = worse(answer, commit_when_due(c, now_ms, &latest), why, &latest);
	answer = worse(answer, copy_when_due(c, now_ms, &latest), why, &latest);
	answer = worse(answer, trim(c, &latest), why, &latest);
	const struct disk_pace *pace = disk_pace_set(NULL); /* an append may wait for the file that is made here */
	answer = worse(answer, c->log->calls->prepare(c->log, &latest), why, &latest);
	disk_pace_set(pace);
	if (answer < 0)
		return -1;
	return more > 0 || (committed_seq(c) > before && image_collected_seq(c->image) < durable_seq);
}

int
checkpoint_finish(struct checkpoint *c, uint64_t durable_seq, struct why *why)
{
	uint64_t before, committed;
	int more;
	do {
		before = image_collected_seq(c->image);
		committed = committed_seq(c);
		more = collect(c, durable_seq, 0, why);
		if (more < 0 || (more == 0 && c->waiting && commit(c, 0, why) < 0))
			return -1;
		/* After a commit, too: it may be that nothing was collected only because all places were taken. */
	} while (image_collected_seq(c->image) > before || (before < durable_seq && committed_seq(c) > committed));
	if (before < durable_seq) {
		snprintf(why->text, sizeof(why->text), "the journal ends at position %llu, but %llu was durable",
		    (unsigned long long)before, (unsigned long long)durable_seq);
		return -1;
	}
	return trim(c, why);
}

void
checkpoint_status(const struct checkpoint *c, struct checkpoint_status *status)
{
	*status = c->status;
	status->collected_seq = image_collected_seq(c->image);
	status->committed_seq = committed_seq(c);
	status->records_waiting = image_collected(c->image);
}
