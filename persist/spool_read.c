/* spool_read.c: groups out of a window over a file; the cursor of the delivery. */
#include "persist/spool_private.h"

#include "persist/crc32c.h"

#include <errno.h>

const uint8_t *
spool_window_at(const struct spool *s, struct spool_window *w, uint64_t offset, size_t need, uint64_t limit)
{
	if (offset >= w->from && offset + need <= w->from + w->n)
		return w->buffer + (offset - w->from);
	size_t most = need > WINDOW_BYTES ? need : WINDOW_BYTES;
	if (most > limit - offset)
		most = (size_t)(limit - offset);
	w->n = 0;
	ssize_t got = s->disk->calls->read_at(s->disk, w->fd, w->buffer, most, offset);
	if (got >= 0 && (size_t)got < need)
		errno = EIO;
	if (got < 0 || (size_t)got < need)
		return NULL;
	w->from = offset;
	w->n = (size_t)got;
	return w->buffer;
}

bool
spool_record(struct bytes *records, struct bytes *event)
{
	if (records->n <= SPOOL_RECORD_BYTES)
		return false;
	uint32_t n = (uint32_t)spool_get(records->at, SPOOL_RECORD_BYTES);
	if (n == 0 || n > EVENT_BYTES_MAX || n > records->n - SPOOL_RECORD_BYTES)
		return false;
	*event = (struct bytes){ records->at + SPOOL_RECORD_BYTES, n };
	records->at += SPOOL_RECORD_BYTES + n;
	records->n -= SPOOL_RECORD_BYTES + n;
	return true;
}

static bool
records_fine(const uint8_t *payload, const struct spool_group_head *head)
{
	struct bytes records = { payload, head->payload_n }, event;
	uint32_t count = 0;
	while (spool_record(&records, &event))
		count++;
	return records.n == 0 && count == head->count;
}

int
spool_group_read(const struct spool *s, struct spool_window *w, const struct spool_file *file, uint64_t offset, uint64_t limit,
    struct spool_group_head *head, const uint8_t **payload, const char **what)
{
	*what = "no group's head";
	if (offset + SPOOL_HEAD_BYTES > limit)
		return 0;
	const uint8_t *at = spool_window_at(s, w, offset, SPOOL_HEAD_BYTES, limit);
	if (!at)
		return -1;
	if (!spool_group_decode(at, head) || head->generation != file->head.generation || head->salt != file->head.salt)
		return 0;
	*what = "the length of the group";
	if (head->payload_n > SPOOL_PAYLOAD_BYTES_MAX || offset + spool_group_bytes(head->payload_n) > limit)
		return 0;
	at = spool_window_at(s, w, offset, spool_group_bytes(head->payload_n), limit);
	if (!at)
		return -1;
	*what = "the group's checksum";
	*payload = at + SPOOL_HEAD_BYTES;
	if (crc32c(0, *payload, head->payload_n) != head->payload_crc)
		return 0;
	*what = "the lengths of its events";
	return head->kind != SPOOL_EVENTS || records_fine(*payload, head);
}

/* ---- the cursor ---- */

/* The file that holds the event, or will. */
static const struct spool_file *
file_of(const struct spool *s, uint64_t number)
{
	uint32_t i = s->files_n - 1;
	while (i > 0 && s->files[i].head.first > number)
		i--;
	return &s->files[i];
}

static int
cursor_file(struct spool *s, const struct spool_file *file, struct why *why)
{
	struct spool_cursor *c = &s->cursor;
	char name[SPOOL_NAME_BYTES];
	if (c->window.fd >= 0 && c->generation == file->head.generation)
		return 0;
	if (c->window.fd >= 0)
		s->disk->calls->close(s->disk, c->window.fd);
	spool_name(name, file->head.generation);
	c->window.n = 0;
	c->window.fd = s->disk->calls->open(s->disk, name, 0);
	if (c->window.fd < 0)
		return spool_why_disk(why, "open", file->head.generation);
	c->generation = file->head.generation;
	c->offset = SPOOL_BODY_OFFSET;
	return 0;
}

/* Takes the next group in hand that holds c->next. It is known to be there: anything else is damage that came since the start. */
static int
cursor_group(struct spool *s, struct why *why)
{
	struct spool_cursor *c = &s->cursor;
	const struct spool_file *file = file_of(s, c->next);
	struct spool_group_head head;
	const uint8_t *payload;
	const char *what;
	struct bytes event;
	if (cursor_file(s, file, why))
		return -1;
	for (;;) {
		int got = spool_group_read(s, &c->window, file, c->offset, file->end, &head, &payload, &what);
		if (got < 0)
			return spool_why_disk(why, "read", file->head.generation);
		if (got == 0)
			return spool_why_damage(why, file->head.generation, c->offset, what);
		c->offset += spool_group_bytes(head.payload_n);
		if (head.kind == SPOOL_EVENTS && head.first + head.count > c->next)
			break;
	}
	if (head.first > c->next)
		return spool_why_damage(why, file->head.generation, c->offset, "events are missing before it");
	c->left = (struct bytes){ payload, head.payload_n };
	c->stamp_ms = head.stamp_ms;
	for (uint64_t number = head.first; number < c->next; number++)
		spool_record(&c->left, &event);
	return 0;
}

int
spool_peek(struct spool *s, uint64_t *number, int64_t *stamp_ms, struct why *why)
{
	struct spool_cursor *c = &s->cursor;
	if (s->failed)
		return spool_fail(s, why);
	if (c->next > s->last)
		return 0;
	if (c->left.n == 0 && cursor_group(s, why))
		return spool_fail(s, why);
	*number = c->next;
	*stamp_ms = c->stamp_ms;
	return 1;
}

int
spool_next(struct spool *s, struct spool_event *event, struct why *why)
{
	int got = spool_peek(s, &event->number, &event->stamp_ms, why);
	if (got == 1) {
		ensure(spool_record(&s->cursor.left, &event->bytes));
		s->cursor.next++;
	}
	return got;
}
