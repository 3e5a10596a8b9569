/*
 * journal_inspect.c: the walk of `holdfast doctor`: every file, every batch, as data, changing nothing. It uses the same folder
 * judge and the same cursor as claim, so that it finds what claim would find, and goes on behind it.
 */
#include "persist/journal.h"
#include "persist/journal_cursor.h"
#include "persist/journal_folder.h"

#include <errno.h>

const char *
journal_state_name(enum journal_state state)
{
	static const char *const names[] = {
		[JOURNAL_WHOLE] = "whole",
		[JOURNAL_CLOSED] = "closed",
		[JOURNAL_TORN] = "torn tail",
		[JOURNAL_DAMAGED] = "damaged",
		[JOURNAL_SPARE] = "spare",
		[JOURNAL_SUPERSEDED] = "superseded",
	};
	return names[state];
}

static void
damaged(struct journal_finding *finding, uint64_t offset, const char *detail)
{
	finding->state = JOURNAL_DAMAGED;
	finding->offset = offset;
	finding->detail = detail;
}

/* What ended the walk, judged as claim does. -1: the disk failed. */
static int
end_judge(struct journal_cursor *c, const struct segment_head *after, enum cursor_found found, struct journal_finding *finding)
{
	uint64_t trace_bytes;

	if (found == CURSOR_FAILED)
		return -1;
	if (after && c->next_seq != after->first_seq)
		damaged(finding, c->offset, "the segment ends before the next one begins");
	else if (after && c->hash != after->prev_hash)
		damaged(finding, c->offset, "the next segment does not continue this one");
	else if (found == CURSOR_CLOSE)
		finding->state = JOURNAL_CLOSED;
	if (after || found == CURSOR_CLOSE)
		return 0;
	int behind = journal_cursor_behind(c, &trace_bytes);
	if (behind < 0)
		return -1;
	if (behind)
		damaged(finding, c->offset, "an invalid batch before valid ones");
	else if (trace_bytes)
		finding->state = JOURNAL_TORN;
	return 0;
}

static int
segment_inspect(struct journal_cursor *c, const struct segment_head *head, const struct segment_head *after, struct journal_finding *finding)
{
	struct batch_head batch;
	const uint8_t *payload;
	enum cursor_found found = CURSOR_BATCH;

	if (journal_cursor_open(c, head))
		return -1;
	finding->state = JOURNAL_WHOLE;
	while (!after || c->next_seq < after->first_seq) {
		if ((found = journal_cursor_next(c, &batch, &payload)) != CURSOR_BATCH)
			break;
		finding->batches++;
	}
	finding->last_seq = c->next_seq - 1;
	finding->bytes = c->offset - JOURNAL_BLOCK_BYTES;
	finding->offset = c->offset;
	return end_judge(c, after, found, finding);
}

static int
file_inspect(struct journal_cursor *c, const struct journal_folder *folder, size_t i, struct journal_finding *finding)
{
	const struct journal_file *file = &folder->files[i];
	const struct journal_file *after = journal_folder_after(folder, i);

	finding->generation = file->generation;
	finding->file_bytes = file->bytes;
	finding->state = JOURNAL_SPARE;
	if (file->begun) {
		finding->epoch = file->head.epoch;
		finding->first_seq = file->head.first_seq;
		finding->last_seq = file->head.first_seq - 1;
		finding->state = JOURNAL_SUPERSEDED;
		finding->offset = JOURNAL_BLOCK_BYTES;
	}
	if (file->begun && !file->superseded && segment_inspect(c, &file->head, after ? &after->head : NULL, finding))
		return -1;
	if (file->damage && finding->state != JOURNAL_DAMAGED)
		damaged(finding, file->damage_at, file->damage);
	return 0;
}

int
journal_inspect(struct disk *disk, void (*each)(void *context, const struct journal_finding *), void *context, struct why *why)
{
	struct journal_folder folder;
	struct journal_cursor cursor;
	int failed = -1;

	if (journal_folder_read(&folder, disk, why))
		goto no_folder;
	if (journal_cursor_init(&cursor, disk)) {
		why_say(why, "no memory to read the journal");
		goto no_folder;
	}
	for (size_t i = 0; i < folder.files_n; i++) {
		char name[JOURNAL_NAME_BYTES];
		struct journal_finding finding = { .name = name, .nth = i + 1, .of = folder.files_n, .detail = "" };
		journal_name(name, folder.files[i].generation);
		if (file_inspect(&cursor, &folder, i, &finding)) {
			journal_why_disk(why, "read", folder.files[i].generation);
			goto no_walk;
		}
		each(context, &finding);
	}
	failed = 0;
no_walk:
	journal_cursor_fini(&cursor);
no_folder:
	journal_folder_free(&folder);
	return failed;
}
