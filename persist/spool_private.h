/* spool_private.h: what the spool's files share; nobody else includes it. */
#ifndef HOLDFAST_PERSIST_SPOOL_PRIVATE_H
#define HOLDFAST_PERSIST_SPOOL_PRIVATE_H

#include "persist/spool.h"
#include "persist/spool_format.h"
#include "persist/why.h"

#define WINDOW_BYTES ((size_t)256 << 10) /* read ahead of the delivery; a longer group is read whole */

/* A segment with a valid header. */
struct spool_file {
	struct spool_segment_head head;
	uint64_t last; /* number of its last event; head.first - 1: it has none yet */
	uint64_t end; /* offset behind its last group */
};

/* A part of one file in memory. */
struct spool_window {
	int fd; /* -1: none */
	uint8_t *buffer; /* window_size() bytes */
	uint64_t from;
	size_t n;
};

struct spool_cursor {
	struct spool_window window;
	uint64_t generation; /* of the file in the window */
	uint64_t offset; /* of the next group */
	struct bytes left; /* records of the group in hand, in the window */
	uint64_t next; /* number of the next event */
	int64_t stamp_ms;
};

struct spool {
	struct disk *disk;
	struct spool_options options;
	struct spool_file *files; /* oldest first; the last one is written */
	uint32_t files_n, files_max;
	int fd; /* of the last one */
	uint64_t spare, spare_bytes; /* its generation; 0: none */
	uint64_t generation_next;
	int64_t spare_due_ms; /* not tried before */
	bool no_room;
	bool failed;
	struct why why; /* failed */
	struct accepted accepted;
	uint8_t *group; /* head, then payload: what was added */
	size_t payload_n, payload_max;
	uint32_t count;
	uint64_t last; /* durable */
	uint64_t delivered, delivered_written;
	int64_t marked_ms; /* when that was written */
	struct spool_cursor cursor;
	uint64_t commits, rolls, recycled;
};

static inline struct spool_file *
spool_current(const struct spool *s)
{
	return &s->files[s->files_n - 1];
}

static inline size_t
spool_window_size(void)
{
	return spool_group_bytes(SPOOL_PAYLOAD_BYTES_MAX);
}

/* "cannot `what` FILE: errno's text". */
int spool_why_disk(struct why *, const char *what, uint64_t generation);
/* File, offset, what is wrong, and the way out. */
int spool_why_damage(struct why *, uint64_t generation, uint64_t offset, const char *what);
/* The spool is at its end; -1. */
int spool_fail(struct spool *, struct why *);

/* spool_read.c: bytes[offset..offset+need) of the window's file, below limit, in memory. NULL: errno. */
const uint8_t *spool_window_at(const struct spool *, struct spool_window *, uint64_t offset, size_t need, uint64_t limit);
/* The group at the offset, whole and below `limit`. 1: payload is borrowed from the window; 0: *what is wrong there; -1: errno. */
int spool_group_read(const struct spool *, struct spool_window *, const struct spool_file *, uint64_t offset, uint64_t limit,
    struct spool_group_head *, const uint8_t **payload, const char **what);
/* Takes one record off the front. False: there is none, or it is malformed. */
bool spool_record(struct bytes *records, struct bytes *event);

/* spool_segments.c */
int spool_spare_make(struct spool *, struct why *); /* 0 also when the disk has no room: then there is no spare */
int spool_roll(struct spool *, struct why *); /* the spare becomes the last file */
int spool_recycle(struct spool *, struct why *); /* all that is delivered but the last file */

#endif
