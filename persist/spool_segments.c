/* spool_segments.c: spares, the step to the next segment, and what becomes of delivered ones. */
#include "persist/spool_private.h"

#include "persist/crc32c.h"

#include <errno.h>
#include <stdlib.h>

/*
 * Made under another name, with its room reserved, and renamed when all of that is durable; so a file with a segment's name has its
 * full length. What cannot be made for want of room is tried again later; after a failed sync of the folder nobody knows which
 * names survive, so that ends the spool.
 */
int
spool_spare_make(struct spool *s, struct why *why)
{
	const struct disk_calls *calls = s->disk->calls;
	char name[SPOOL_NAME_BYTES];
	int fd = calls->open(s->disk, SPOOL_NEW_NAME, 1);
	if (fd < 0 && errno == EEXIST && calls->remove(s->disk, SPOOL_NEW_NAME) == 0)
		fd = calls->open(s->disk, SPOOL_NEW_NAME, 1);
	bool made = fd >= 0 && calls->allocate(s->disk, fd, s->options.segment_bytes) == 0 && calls->sync(s->disk, fd) == 0;
	if (fd >= 0)
		calls->close(s->disk, fd);
	spool_name(name, s->generation_next);
	made = made && calls->rename(s->disk, SPOOL_NEW_NAME, name) == 0;
	if (!made && fd >= 0)
		calls->remove(s->disk, SPOOL_NEW_NAME);
	s->no_room = !made;
	if (!made)
		return 0;
	if (calls->sync_folder(s->disk))
		return why_say(why, "the spool cannot sync its folder: %s", strerror(errno));
	s->spare = s->generation_next++;
	s->spare_bytes = s->options.segment_bytes;
	return 0;
}

/* S6: table durable, then the header. */
static int
segment_begin(struct spool *s, int fd, const struct spool_segment_head *segment, uint64_t *end)
{
	const struct disk_calls *calls = s->disk->calls;
	size_t size = spool_group_bytes(accepted_bytes_max(&s->accepted));
	uint8_t *group = calloc(1, size > SPOOL_BODY_OFFSET ? size : SPOOL_BODY_OFFSET);
	if (!group)
		return -1;
	struct spool_group_head head = { .kind = SPOOL_TABLE, .generation = segment->generation, .salt = segment->salt, .first = segment->first,
		.delivered = s->delivered, .payload_n = (uint32_t)accepted_encode(&s->accepted, group + SPOOL_HEAD_BYTES) };
	uint64_t bytes = spool_group_bytes(head.payload_n);
	head.payload_crc = crc32c(0, group + SPOOL_HEAD_BYTES, head.payload_n);
	spool_group_encode(group, &head);
	int failed = calls->write_at(s->disk, fd, group, bytes, SPOOL_BODY_OFFSET) || calls->sync(s->disk, fd);
	if (!failed) {
		spool_segment_encode(group, segment);
		failed = calls->write_at(s->disk, fd, group, SPOOL_BODY_OFFSET, 0) || calls->sync(s->disk, fd);
	}
	*end = SPOOL_BODY_OFFSET + bytes;
	free(group);
	return failed ? -1 : 0;
}

int
spool_roll(struct spool *s, struct why *why)
{
	struct spool_file file = { .head = { .generation = s->spare, .first = s->last + 1, .bytes = s->spare_bytes }, .last = s->last };
	char name[SPOOL_NAME_BYTES];
	ensure(s->spare && s->files_n < s->files_max);
	file.head.salt = s->options.salt ^ s->spare * UINT64_C(0x9e3779b97f4a7c15);
	spool_name(name, s->spare);
	int fd = s->disk->calls->open(s->disk, name, 0);
	if (fd < 0)
		return spool_why_disk(why, "open", s->spare);
	if (segment_begin(s, fd, &file.head, &file.end)) {
		spool_why_disk(why, "begin", s->spare);
		s->disk->calls->close(s->disk, fd);
		return -1;
	}
	if (s->fd >= 0)
		s->disk->calls->close(s->disk, s->fd);
	s->fd = fd;
	s->spare = 0;
	s->files[s->files_n++] = file;
	s->rolls++;
	return 0;
}

/* The oldest file becomes the spare, or goes. */
static int
oldest_recycle(struct spool *s, struct why *why)
{
	struct spool_segment_head head = s->files[0].head;
	const struct disk_calls *calls = s->disk->calls;
	char name[SPOOL_NAME_BYTES], next[SPOOL_NAME_BYTES];
	bool spare = !s->spare && head.bytes == s->options.segment_bytes;
	spool_name(name, head.generation);
	spool_name(next, s->generation_next);
	if (spare ? calls->rename(s->disk, name, next) : calls->remove(s->disk, name))
		return spool_why_disk(why, "recycle", head.generation);
	if (calls->sync_folder(s->disk))
		return why_say(why, "the spool cannot sync its folder: %s", strerror(errno));
	if (spare) {
		s->spare = s->generation_next++;
		s->spare_bytes = head.bytes;
	}
	s->files_n--;
	memmove(s->files, s->files + 1, s->files_n * sizeof *s->files);
	s->recycled++;
	return 0;
}

int
spool_recycle(struct spool *s, struct why *why)
{
	while (s->files_n > 1 && s->files[0].last <= s->delivered)
		if (oldest_recycle(s, why))
			return -1;
	return 0;
}
