/*
 * journal_claim.c: from whatever a crash left to a writable end.
 *
 *   lock the folder, sync it -> list and judge the files -> find the last whole batch -> copy it into a spare, sync -> write that
 *   spare's header with epoch + 1, sync: claimed -> recycle what is superseded
 *
 * The header is the point of no return: before it a crash leaves the old tail as it was (J9), after it the old segment ends
 * where the new one begins (J8), so its torn tail is never looked at again. The copy is made because the last batch may be
 * in the page cache only, after a sync that failed.
 */
#include "persist/journal_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* The end of the chain. */
struct tail {
	uint64_t last_seq, hash;
	int64_t stamp_ms;
	bool batch; /* there is a last batch; else the fields above are those of the first segment's header */
	uint64_t generation, offset, prev_hash; /* where it stands; the hash before it */
	struct batch_head head;
	uint64_t cut_bytes;
	bool closed;
};

/* What ends the walk through the last segment: the marker, nothing, a torn tail, or damage. */
static int
end_judge(struct journal_cursor *c, enum cursor_found found, struct tail *tail, struct why *why)
{
	tail->closed = found == CURSOR_CLOSE;
	if (tail->closed)
		return 0;
	int behind = journal_cursor_behind(c, &tail->cut_bytes);
	if (behind < 0)
		return journal_why_disk(why, "read", c->head.generation);
	if (behind)
		return journal_why_damage(why, c->head.generation, c->offset, "an invalid batch before valid ones");
	return 0;
}

/* Walks one segment up to its end, or up to where `after` begins. Leaves its last batch in tail. */
static int
segment_walk(struct journal_cursor *c, const struct segment_head *head, const struct segment_head *after, struct tail *tail,
    struct why *why)
{
	struct batch_head batch;
	const uint8_t *payload;
	enum cursor_found found = CURSOR_BATCH;

	if (journal_cursor_open(c, head))
		return journal_why_disk(why, "open", head->generation);
	while (!after || c->next_seq < after->first_seq) {
		uint64_t offset = c->offset, hash = c->hash;
		found = journal_cursor_next(c, &batch, &payload);
		if (found != CURSOR_BATCH)
			break;
		*tail = (struct tail){ .last_seq = c->next_seq - 1, .hash = c->hash, .stamp_ms = batch.stamp_ms, .batch = true,
			.generation = head->generation, .offset = offset, .prev_hash = hash, .head = batch };
	}
	if (found == CURSOR_FAILED)
		return journal_why_disk(why, "read", head->generation);
	if (!after)
		return end_judge(c, found, tail, why);
	if (c->next_seq != after->first_seq)
		return journal_why_damage(why, head->generation, c->offset, "the segment ends before the next one begins");
	if (c->hash != after->prev_hash)
		return journal_why_damage(why, after->generation, 0, "the segment does not continue the one before it");
	return 0;
}

/* From the last segment back until one holds a batch: one step, or two after a roll that a crash cut short. */
static int
tail_find(struct journal *j, const struct journal_folder *folder, struct tail *tail, struct why *why)
{
	struct journal_cursor cursor;
	int failed = 0;

	*tail = (struct tail){ 0 };
	if (journal_cursor_init(&cursor, j->disk))
		return why_say(why, "no memory to read the journal");
	for (size_t i = folder->files_n; i-- > 0 && !failed && !tail->batch;) {
		const struct journal_file *file = &folder->files[i];
		const struct journal_file *after = journal_folder_after(folder, i);
		if (!file->begun || file->superseded)
			continue;
		bool closed = tail->closed;
		uint64_t cut_bytes = tail->cut_bytes;
		*tail = (struct tail){ .last_seq = file->head.first_seq - 1, .hash = file->head.prev_hash, .stamp_ms = file->head.prev_stamp_ms };
		failed = segment_walk(&cursor, &file->head, after ? &after->head : NULL, tail, why);
		tail->closed |= closed;
		tail->cut_bytes += cut_bytes;
	}
	journal_cursor_fini(&cursor);
	return failed;
}

static int
damage_tell(const struct journal_folder *folder, struct why *why)
{
	for (size_t i = 0; i < folder->files_n; i++) {
		const struct journal_file *file = &folder->files[i];
		if (file->damage)
			return journal_why_damage(why, file->generation, file->damage_at, file->damage);
	}
	return 0;
}

/*
 * A file without a header below one with a header: noise if the chain goes on without it (its header's sync had failed
 * when it was claimed), else a segment that lost its header and its first batch.
 */
static int
out_of_place_check(struct journal *j, const struct journal_folder *folder, struct why *why)
{
	const struct journal_file *before = NULL;
	struct journal_cursor cursor;
	struct tail tail;
	int failed = 0;

	if (journal_cursor_init(&cursor, j->disk))
		return why_say(why, "no memory to read the journal");
	for (size_t i = 0; i < folder->files_n && !failed; i++) {
		const struct journal_file *file = &folder->files[i];
		const struct journal_file *after = journal_folder_after(folder, i);
		if (file->out_of_place && before && after)
			failed = segment_walk(&cursor, &before->head, &after->head, &tail, why);
		if (file->begun && !file->superseded)
			before = file;
	}
	journal_cursor_fini(&cursor);
	return failed;
}

static bool
is_spare(const struct journal *j, const struct journal_file *file)
{
	return !file->begun && !file->copied && !file->out_of_place && file->bytes == j->options.segment_bytes;
}

/*
 * Lists the spares that are left over and removes a half-made file. What is out of place or holds an unfinished claim's
 * copy gets a new generation, which makes noise of it; last, since the list is in the order of generations.
 */
static int
spares_collect(struct journal *j, const struct journal_folder *folder, struct why *why)
{
	if (folder->files_n)
		j->next_generation = folder->files[folder->files_n - 1].generation + 1;
	if (folder->new_left && j->disk->calls->remove(j->disk, JOURNAL_NEW_NAME))
		return why_say(why, "cannot remove %s: %s", JOURNAL_NEW_NAME, strerror(errno));
	for (size_t i = 0; i < folder->files_n; i++)
		if (is_spare(j, &folder->files[i]) && j->spares_n < j->options.spares_max)
			j->spares[j->spares_n++] = folder->files[i].generation;
	for (size_t i = 0; i < folder->files_n; i++) {
		const struct journal_file *file = &folder->files[i];
		bool listed = false;
		for (size_t s = 0; s < j->spares_n; s++)
			listed |= j->spares[s] == file->generation;
		if (!file->begun && !listed && journal_retire(j, file->generation, file->bytes, why))
			return -1;
	}
	return 0;
}

/* Writes the last batch as the first one of the new segment and syncs it. Returns its bytes on disk, or -1. */
static int64_t
batch_copy(struct journal *j, const struct tail *tail, int to, uint64_t generation, struct why *why)
{
	char name[JOURNAL_NAME_BYTES];
	struct batch_head head = tail->head;
	size_t bytes = (size_t)batch_disk_bytes(head.payload_n);

	if (bytes + 2 * JOURNAL_BLOCK_BYTES > j->options.segment_bytes)
		return why_say(why, "segment_bytes is too small for the last batch of the journal, of %zu bytes", bytes);
	journal_name(name, tail->generation);
	int from = j->disk->calls->open(j->disk, name, 0);
	if (from < 0)
		return journal_why_disk(why, "open", tail->generation);
	memset(j->buffer, 0, bytes);
	ssize_t got = j->disk->calls->read_at(j->disk, from, j->buffer, BATCH_HEAD_BYTES + head.payload_n, tail->offset);
	j->disk->calls->close(j->disk, from);
	if (got < 0)
		return journal_why_disk(why, "read", tail->generation);
	if (batch_hash(tail->prev_hash, &head, j->buffer + BATCH_HEAD_BYTES) != head.hash)
		return journal_why_damage(why, tail->generation, tail->offset, "the last batch reads differently a second time");
	head.flags = BATCH_COPY;
	head.generation = generation;
	batch_encode(j->buffer, &head);
	if (j->disk->calls->write_at(j->disk, to, j->buffer, bytes, JOURNAL_BLOCK_BYTES))
		return journal_why_disk(why, "write the copied batch to", generation);
	if (j->disk->calls->sync(j->disk, to))
		return journal_why_disk(why, "sync", generation);
	return (int64_t)bytes;
}

static uint64_t
claim_first_seq(const struct tail *tail)
{
	return tail->batch ? tail->head.first_seq : tail->last_seq + 1;
}

static int
segment_claim(struct journal *j, const struct tail *tail, struct why *why)
{
	char name[JOURNAL_NAME_BYTES];
	struct segment_head head = {
		.epoch = j->epoch,
		.first_seq = claim_first_seq(tail),
		.prev_hash = tail->batch ? tail->prev_hash : tail->hash,
		.prev_stamp_ms = tail->stamp_ms,
		.segment_bytes = j->options.segment_bytes,
	};
	int64_t copied = 0;

	if (journal_spare_take(j, &head.generation, why))
		return -1;
	journal_name(name, head.generation);
	int file = j->disk->calls->open(j->disk, name, 0);
	if (file < 0)
		return journal_why_disk(why, "open", head.generation);
	if (tail->batch)
		copied = batch_copy(j, tail, file, head.generation, why);
	if (copied < 0 || journal_segment_begin(j, file, &head, why)) {
		j->disk->calls->close(j->disk, file);
		return -1;
	}
	j->offset = JOURNAL_BLOCK_BYTES + (uint64_t)copied;
	j->hash = tail->hash;
	return 0;
}

/* It stays a segment below one that begins there. */
static bool
is_kept(const struct journal_file *file, uint64_t first_seq)
{
	return file->begun && !file->superseded && file->head.first_seq < first_seq;
}

/*
 * A journal at its limit is claimed, with the one place that is left for that: what trims it, the image, is made of what is read from it.
 * What is appended meanwhile stands in the claim's own segment; a start behind that one, without a trim between, is refused.
 */
static int
room_check(const struct journal_folder *folder, const struct tail *tail, struct why *why)
{
	size_t kept = 0;
	for (size_t i = 0; i < folder->files_n; i++)
		kept += is_kept(&folder->files[i], claim_first_seq(tail));
	if (kept > JOURNAL_SEGMENTS_MAX)
		return why_say(why, "the journal has %zu segments, more than its limit of %d", kept, JOURNAL_SEGMENTS_MAX);
	return 0;
}

/*
 * Takes over the segments below the new one; those that it supersedes become spares again, the latest first: its header may
 * never have become durable (the claim that wrote it failed), and without an earlier segment before it that would be damage (J11).
 */
static int
segments_keep(struct journal *j, const struct journal_folder *folder, struct why *why)
{
	struct segment_head claimed = j->segments[0];
	size_t kept = 0;
	int failed = 0;

	for (size_t i = 0; i < folder->files_n; i++) {
		const struct journal_file *file = &folder->files[i];
		if (is_kept(file, claimed.first_seq))
			j->segments[kept++] = file->head;
	}
	j->segments[kept++] = claimed;
	j->segments_n = kept;
	for (size_t i = folder->files_n; i-- > 0 && !failed;) {
		const struct journal_file *file = &folder->files[i];
		if (file->begun && !is_kept(file, claimed.first_seq))
			failed = journal_retire(j, file->generation, file->bytes, why);
	}
	return failed;
}

static int
folder_claim(struct journal *j, const struct journal_folder *folder, struct log_tail *result, struct why *why)
{
	struct tail tail;

	if (damage_tell(folder, why) || out_of_place_check(j, folder, why) || tail_find(j, folder, &tail, why) ||
	    room_check(folder, &tail, why) || spares_collect(j, folder, why))
		return -1;
	for (size_t i = 0; i < folder->files_n; i++)
		if (folder->files[i].begun && folder->files[i].head.epoch > j->epoch)
			j->epoch = folder->files[i].head.epoch;
	j->epoch++;
	j->last_seq = tail.last_seq;
	j->last_stamp_ms = tail.stamp_ms;
	if (segment_claim(j, &tail, why) || segments_keep(j, folder, why))
		return -1;
	*result = (struct log_tail){
		.epoch = j->epoch,
		.last_seq = tail.last_seq,
		.last_stamp_ms = tail.stamp_ms,
		.oldest_seq = j->segments[0].first_seq,
		.cut_bytes = tail.cut_bytes,
		.closed_cleanly = tail.closed,
	};
	return 0;
}

int
journal_claim(struct log *log, struct log_tail *result, struct why *why)
{
	struct journal *j = journal_of(log);
	struct journal_folder folder;

	ensure(!j->claimed && j->file < 0);
	if (j->disk->calls->lock(j->disk)) {
		if (errno == EWOULDBLOCK)
			return why_say(why, "another server uses this data folder (it is locked)");
		return why_say(why, "cannot lock the data folder: %s", strerror(errno));
	}
	/* What an earlier process removed or renamed before a sync failed must be durable before anything builds on it. */
	if (j->disk->calls->sync_folder(j->disk))
		return why_say(why, "cannot sync the journal's folder: %s", strerror(errno));
	int failed = journal_folder_read(&folder, j->disk, why) || folder_claim(j, &folder, result, why) ? -1 : 0;
	journal_folder_free(&folder);
	j->claimed = !failed;
	return failed;
}
