/*
 * journal_cursor.c: chunks of the file into a buffer, batches out of the buffer. A batch is judged only on bytes that were
 * read once and are not read again, so what is lent is what was checked, whatever happens to the file meanwhile.
 */
#include "persist/journal_cursor.h"

#include "persist/journal.h"

#include <errno.h>
#include <stdlib.h>

/* Small chunks at the tail, where what is read ahead is thrown away; large ones in a replay. */
#define CHUNK_BYTES_MIN ((size_t)64 << 10)
#define CHUNK_BYTES_MAX ((size_t)2 << 20)
/* The longest batch, and so how far behind an invalid one the next could begin. */
#define BATCH_BYTES_MAX (JOURNAL_PAYLOAD_BYTES_MAX + JOURNAL_BLOCK_BYTES)

int
journal_cursor_init(struct journal_cursor *c, struct disk *disk)
{
	*c = (struct journal_cursor){ .disk = disk, .file = -1, .chunk_bytes = CHUNK_BYTES_MIN };
	/* Mapped lazily: a reader that meets small batches only touches its chunk. */
	c->buffer = malloc(BATCH_BYTES_MAX);
	return c->buffer ? 0 : -1;
}

void
journal_cursor_fini(struct journal_cursor *c)
{
	if (c->file >= 0)
		c->disk->calls->close(c->disk, c->file);
	free(c->buffer);
	c->file = -1;
	c->buffer = NULL;
}

int
journal_cursor_open(struct journal_cursor *c, const struct segment_head *head)
{
	char name[JOURNAL_NAME_BYTES];

	if (c->file >= 0)
		c->disk->calls->close(c->disk, c->file);
	journal_name(name, head->generation);
	c->file = c->disk->calls->open(c->disk, name, 0);
	c->head = *head;
	c->offset = JOURNAL_BLOCK_BYTES;
	c->next_seq = head->first_seq;
	c->hash = head->prev_hash;
	c->buffer_n = 0;
	return c->file < 0 ? -1 : 0;
}

/* Reads at least `need` bytes from c->offset on, as far as the file has them. */
static int
refill(struct journal_cursor *c, size_t need)
{
	uint64_t left = c->head.segment_bytes > c->offset ? c->head.segment_bytes - c->offset : 0;
	size_t n = c->chunk_bytes > need ? c->chunk_bytes : need;

	if (n > left)
		n = (size_t)left;
	c->buffer_n = 0;
	c->buffer_at = c->offset;
	ssize_t got = n ? c->disk->calls->read_at(c->disk, c->file, c->buffer, n, c->offset) : 0;
	if (got < 0)
		return -1;
	c->buffer_n = (size_t)got;
	return 0;
}

static size_t
buffered(const struct journal_cursor *c)
{
	uint64_t end = c->buffer_at + c->buffer_n;
	return c->buffer_n && c->offset >= c->buffer_at && c->offset < end ? (size_t)(end - c->offset) : 0;
}

/* J3..J6, on what is buffered at c->offset. *need: how many bytes would be needed to say more (0: it is invalid). */
static enum cursor_found
judge(struct journal_cursor *c, struct batch_head *head, size_t *need)
{
	const uint8_t *at = c->buffer + (c->offset - c->buffer_at);
	size_t n = buffered(c);

	*need = 0;
	if (n < BATCH_HEAD_BYTES) {
		*need = BATCH_HEAD_BYTES;
		return CURSOR_INVALID;
	}
	if (!batch_head_decode(at, c->head.generation, head) || head->first_seq != c->next_seq ||
	    head->epoch > c->head.epoch || head->steps > SEQ_MAX - head->first_seq)
		return CURSOR_INVALID;
	if (n < BATCH_HEAD_BYTES + (size_t)head->payload_n) {
		*need = BATCH_HEAD_BYTES + (size_t)head->payload_n;
		return CURSOR_INVALID;
	}
	if (!batch_payload_valid(at, head) || batch_hash(c->hash, head, at + BATCH_HEAD_BYTES) != head->hash)
		return CURSOR_INVALID;
	return head->flags & BATCH_CLOSE ? CURSOR_CLOSE : CURSOR_BATCH;
}

enum cursor_found
journal_cursor_next(struct journal_cursor *c, struct batch_head *head, const uint8_t **payload)
{
	size_t need = BATCH_HEAD_BYTES;
	enum cursor_found found = CURSOR_INVALID;
	bool fresh = false; /* the buffer was read in this call */

	if (buffered(c))
		found = judge(c, head, &need);
	while (found == CURSOR_INVALID) {
		if (fresh && need == 0)
			break;
		/* Chunks grow while they are used up, and start small again when what was read ahead was not yet written. */
		c->chunk_bytes = need == 0 ? CHUNK_BYTES_MIN : c->chunk_bytes < CHUNK_BYTES_MAX ? c->chunk_bytes * 2 : c->chunk_bytes;
		size_t before = fresh ? c->buffer_n : 0;
		if (refill(c, need))
			return CURSOR_FAILED;
		if (fresh && c->buffer_n <= before)
			break; /* the file ends here */
		fresh = true;
		found = judge(c, head, &need);
	}
	if (found == CURSOR_INVALID) {
		c->buffer_n = 0;
		c->chunk_bytes = CHUNK_BYTES_MIN;
	}
	if (found != CURSOR_BATCH)
		return found;
	*payload = c->buffer + (c->offset - c->buffer_at) + BATCH_HEAD_BYTES;
	c->offset += batch_disk_bytes(head->payload_n);
	c->next_seq += head->steps;
	c->hash = head->hash;
	return CURSOR_BATCH;
}

/* The header at `offset`, whatever it continues. 1 valid, 0 not, -1 the disk failed. */
static int
peek(struct journal_cursor *c, uint64_t offset, uint8_t bytes[BATCH_HEAD_BYTES], struct batch_head *head)
{
	memset(bytes, 0, BATCH_HEAD_BYTES);
	ssize_t got = c->disk->calls->read_at(c->disk, c->file, bytes, BATCH_HEAD_BYTES, offset);
	if (got < 0)
		return -1;
	return got == BATCH_HEAD_BYTES && batch_head_decode(bytes, c->head.generation, head);
}

int
journal_cursor_behind(struct journal_cursor *c, uint64_t *trace_bytes)
{
	uint8_t bytes[BATCH_HEAD_BYTES];
	struct batch_head head;
	uint64_t end = c->head.segment_bytes;
	int valid;

	*trace_bytes = 0;
	if (c->offset >= end)
		return 0;
	valid = peek(c, c->offset, bytes, &head);
	if (valid < 0)
		return -1;
	if (valid)
		*trace_bytes = batch_disk_bytes(head.payload_n);
	else if (batch_is_trace(bytes, c->head.generation, c->next_seq))
		*trace_bytes = JOURNAL_BLOCK_BYTES;
	if (end - c->offset > BATCH_BYTES_MAX + JOURNAL_BLOCK_BYTES)
		end = c->offset + BATCH_BYTES_MAX + JOURNAL_BLOCK_BYTES;
	for (uint64_t at = c->offset + JOURNAL_BLOCK_BYTES; at < end; at += JOURNAL_BLOCK_BYTES)
		if ((valid = peek(c, at, bytes, &head)))
			return valid;
	return 0;
}
