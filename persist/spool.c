/* spool.c: groups in, marks, closing. */
#include "persist/spool_private.h"

#include "persist/crc32c.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define MARKS_BYTES (2 * SPOOL_SECTOR_BYTES) /* left free at the end of a segment: a mark and the close */

int
spool_why_disk(struct why *why, const char *what, uint64_t generation)
{
	char name[SPOOL_NAME_BYTES];
	spool_name(name, generation);
	return why_say(why, "the spool cannot %s %s: %s", what, name, strerror(errno));
}

int
spool_why_damage(struct why *why, uint64_t generation, uint64_t offset, const char *what)
{
	char name[SPOOL_NAME_BYTES];
	spool_name(name, generation);
	return why_say(why, "the spool's %s is damaged at offset %llu: %s. Way out: move it and the later ones (their names ascend) out of the "
	    "folder; what stands before is delivered, and what their tills still have is found missing by `position` and sent again",
	    name, (unsigned long long)offset, what);
}

int
spool_fail(struct spool *s, struct why *why)
{
	if (!s->failed)
		s->why = *why;
	s->failed = true;
	*why = s->why;
	return -1;
}

uint64_t
spool_segment_bytes(uint64_t bytes_max)
{
	uint64_t bytes = bytes_max / 16 / SPOOL_BODY_OFFSET * SPOOL_BODY_OFFSET;
	return bytes < SPOOL_SEGMENT_BYTES_MIN ? SPOOL_SEGMENT_BYTES_MIN : bytes > SPOOL_SEGMENT_BYTES_MAX ? SPOOL_SEGMENT_BYTES_MAX : bytes;
}

size_t
spool_payload_max(const struct spool *s)
{
	return s->payload_max;
}

size_t
spool_payload(const struct spool *s)
{
	return s->payload_n;
}

uint64_t
spool_last(const struct spool *s)
{
	return s->last;
}

struct accepted *
spool_accepted(struct spool *s)
{
	return &s->accepted;
}

/* What the last file can still take. */
static uint64_t
current_room(const struct spool *s)
{
	const struct spool_file *file = spool_current(s);
	uint64_t free_bytes = file->head.bytes - file->end;
	return free_bytes < MARKS_BYTES ? 0 : free_bytes - MARKS_BYTES;
}

static uint64_t
bytes_in_use(const struct spool *s)
{
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < s->files_n; i++)
		bytes += s->files[i].head.bytes;
	return bytes;
}

/*
 * S7. What waits and what is asked for may become two groups when it does not fit in one, hence the extra sector. A fresh segment
 * takes two full groups (payload_max is chosen so).
 */
bool
spool_fits(const struct spool *s, size_t bytes, bool reserve)
{
	uint64_t kept_back = reserve ? 0 : s->options.segment_bytes;
	if (s->failed || bytes > s->payload_max)
		return false;
	if (!reserve && bytes_in_use(s) + kept_back > s->options.bytes_max)
		return false;
	if (spool_group_bytes(s->payload_n + bytes) + SPOOL_SECTOR_BYTES + SPOOL_HEAD_BYTES <= current_room(s))
		return true;
	return s->spare && bytes_in_use(s) + s->spare_bytes + kept_back <= s->options.bytes_max;
}

uint64_t
spool_add(struct spool *s, struct bytes event)
{
	ensure(event.n > 0 && event.n <= EVENT_BYTES_MAX && s->payload_n + SPOOL_RECORD_BYTES + event.n <= s->payload_max);
	uint8_t *at = s->group + SPOOL_HEAD_BYTES + s->payload_n;
	spool_put(at, event.n, SPOOL_RECORD_BYTES);
	memcpy(at + SPOOL_RECORD_BYTES, event.at, event.n);
	s->payload_n += SPOOL_RECORD_BYTES + event.n;
	return s->last + ++s->count;
}

/* Writes s->group, whose payload is in place, behind the last group, and syncs. */
static int
group_write(struct spool *s, enum spool_kind kind, int64_t now_ms, struct why *why)
{
	struct spool_file *file = spool_current(s);
	struct spool_group_head head = { .kind = kind, .generation = file->head.generation, .salt = file->head.salt, .first = s->last + 1,
		.delivered = s->delivered, .stamp_ms = now_ms, .count = s->count, .payload_n = (uint32_t)s->payload_n };
	uint64_t bytes = spool_group_bytes(s->payload_n);
	head.payload_crc = crc32c(0, s->group + SPOOL_HEAD_BYTES, s->payload_n);
	spool_group_encode(s->group, &head);
	memset(s->group + SPOOL_HEAD_BYTES + s->payload_n, 0, bytes - SPOOL_HEAD_BYTES - s->payload_n);
	ensure(file->end + bytes <= file->head.bytes);
	if (s->disk->calls->write_at(s->disk, s->fd, s->group, bytes, file->end) || s->disk->calls->sync(s->disk, s->fd)) {
		spool_why_disk(why, "write to", file->head.generation);
		return spool_fail(s, why);
	}
	file->end += bytes;
	file->last += s->count;
	s->delivered_written = s->delivered;
	s->marked_ms = now_ms;
	return 0;
}

/* S8: a number counts as accepted when its group is durable, not before. */
static void
group_accept(struct spool *s)
{
	struct bytes records = { s->group + SPOOL_HEAD_BYTES, (uint32_t)s->payload_n }, event;
	struct spool_identity identity;
	while (spool_record(&records, &event)) {
		s->options.identify(event, &identity);
		if (identity.source.n && identity.n)
			accepted_add(&s->accepted, identity.source, identity.n, identity.n, identity.at);
	}
}

int
spool_commit(struct spool *s, int64_t now_ms, struct why *why)
{
	if (s->failed)
		return spool_fail(s, why);
	if (s->count == 0)
		return 0;
	if (spool_group_bytes(s->payload_n) > current_room(s)) {
		if (!s->spare && spool_spare_make(s, why))
			return spool_fail(s, why);
		if (!s->spare) {
			why_say(why, "the spool has no room for what it took");
			return spool_fail(s, why);
		}
		if (spool_roll(s, why))
			return spool_fail(s, why);
	}
	if (group_write(s, SPOOL_EVENTS, now_ms, why))
		return -1;
	group_accept(s);
	s->last += s->count;
	s->count = 0;
	s->payload_n = 0;
	s->commits++;
	return 0;
}

void
spool_delivered(struct spool *s, uint64_t number)
{
	ensure(number < s->cursor.next);
	s->delivered = number > s->delivered ? number : s->delivered;
}

/* Only with nothing added, and where the close still fits behind it. */
static int
mark_write(struct spool *s, enum spool_kind kind, int64_t now_ms, struct why *why)
{
	const struct spool_file *file = spool_current(s);
	uint64_t needed = kind == SPOOL_CLOSE ? SPOOL_SECTOR_BYTES : MARKS_BYTES;
	if (s->count || file->end + needed > file->head.bytes)
		return 0;
	return group_write(s, kind, now_ms, why);
}

int
spool_tend(struct spool *s, int64_t now_ms, struct why *why)
{
	if (s->failed)
		return spool_fail(s, why);
	if (spool_recycle(s, why))
		return spool_fail(s, why);
	if (!s->spare && now_ms >= s->spare_due_ms && bytes_in_use(s) + s->options.segment_bytes <= s->options.bytes_max) {
		s->spare_due_ms = now_ms + SPOOL_SPARE_MS;
		if (spool_spare_make(s, why))
			return spool_fail(s, why);
	}
	if (s->delivered > s->delivered_written && now_ms - s->marked_ms >= SPOOL_MARK_MS)
		return mark_write(s, SPOOL_MARK, now_ms, why);
	return 0;
}

uint64_t
spool_oldest_full(const struct spool *s)
{
	return s->files_n > 1 ? s->files[0].last : 0;
}

void
spool_figures(const struct spool *s, struct spool_figures *f)
{
	*f = (struct spool_figures){ .waiting = s->last - s->delivered, .bytes = bytes_in_use(s) + (s->spare ? s->spare_bytes : 0),
		.bytes_max = s->options.bytes_max, .segments = s->files_n, .spares = s->spare != 0, .commits = s->commits, .rolls = s->rolls,
		.recycled = s->recycled, .no_room = s->no_room,
		.unmarked = s->delivered > s->delivered_written };
}

void
spool_close(struct spool *s)
{
	struct why why;
	if (!s)
		return;
	s->count = 0;
	s->payload_n = 0;
	if (!s->failed && s->fd >= 0)
		mark_write(s, SPOOL_CLOSE, s->marked_ms, &why);
	if (s->fd >= 0)
		s->disk->calls->close(s->disk, s->fd);
	if (s->cursor.window.fd >= 0)
		s->disk->calls->close(s->disk, s->cursor.window.fd);
	free(s->cursor.window.buffer);
	free(s->group);
	free(s->files);
	accepted_fini(&s->accepted);
	free(s);
}
