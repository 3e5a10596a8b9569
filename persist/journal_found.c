/*
 * journal_found.c: a journal that does not begin at position 1 (FORMAT.md, J14): one segment with a close marker and no batch, as
 * short as a segment may be. The first claim takes over from it as it does from any segment that was closed before a batch.
 */
#include "persist/journal_private.h"

#include <errno.h>

#define FOUNDING_GENERATION 1

/* Header and close marker, all that is not zero in the file. */
static void
lay_out(uint8_t bytes[2 * JOURNAL_BLOCK_BYTES], const struct segment_head *head)
{
	struct batch_head marker = { .flags = BATCH_CLOSE, .generation = head->generation, .epoch = head->epoch,
		.first_seq = head->first_seq, .stamp_ms = head->prev_stamp_ms };
	memset(bytes, 0, 2 * JOURNAL_BLOCK_BYTES);
	segment_head_encode(bytes, head);
	marker.hash = batch_hash(head->prev_hash, &marker, bytes + JOURNAL_BLOCK_BYTES + BATCH_HEAD_BYTES);
	batch_encode(bytes + JOURNAL_BLOCK_BYTES, &marker);
}

static int
file_fill(struct disk *disk, const struct segment_head *head)
{
	uint8_t bytes[2 * JOURNAL_BLOCK_BYTES], zeroes[JOURNAL_BLOCK_BYTES] = { 0 };
	int file = disk->calls->open(disk, JOURNAL_NEW_NAME, 1);
	if (file < 0)
		return -1;
	lay_out(bytes, head);
	int failed = disk->calls->write_at(disk, file, bytes, sizeof bytes, 0);
	for (uint64_t at = sizeof bytes; at < head->segment_bytes && !failed; at += sizeof zeroes)
		failed = disk->calls->write_at(disk, file, zeroes, sizeof zeroes, at);
	if (!failed)
		failed = disk->calls->sync(disk, file);
	int error = errno;
	disk->calls->close(disk, file);
	errno = error;
	return failed ? -1 : 0;
}

int
journal_found(struct disk *disk, uint64_t epoch, uint64_t last_seq, int64_t last_stamp_ms, struct why *why)
{
	char name[JOURNAL_NAME_BYTES];
	const struct segment_head head = { .generation = FOUNDING_GENERATION, .epoch = epoch, .first_seq = last_seq + 1,
		.prev_stamp_ms = last_stamp_ms, .segment_bytes = JOURNAL_SEGMENT_BYTES_MIN };

	journal_name(name, head.generation);
	if (disk->calls->remove(disk, JOURNAL_NEW_NAME) && errno != ENOENT)
		return why_say(why, "cannot remove %s: %s", JOURNAL_NEW_NAME, strerror(errno));
	if (file_fill(disk, &head))
		return why_say(why, "cannot write the journal's first segment: %s", strerror(errno));
	if (disk->calls->sync_folder(disk) || disk->calls->rename(disk, JOURNAL_NEW_NAME, name) || disk->calls->sync_folder(disk))
		return why_say(why, "cannot name the journal's first segment: %s", strerror(errno));
	return 0;
}
