/*
 * spool.h: the offline queue of a gate: events (bytes that nobody here decodes), numbered densely from 1, in segments of one folder.
 * They go in at one end in groups, each durable before its commit returns, and are read at the other end in order; what has been
 * delivered is given back segment by segment. SPOOL.md has the bytes on disk and the rules S1..S8.
 *
 * What survives: every event of a group whose commit returned 0. How far the delivery was is only remembered now and then, so that
 * after a crash some events are read again.
 *
 * After the first write or sync that fails the spool takes nothing more: every later call that needs the disk says the same
 * sentence. The way on is to close it and to open it anew.
 *
 * One thread. Memory is acquired by open: a group, a window for reading (1 MiB each), the table of sources (600 bytes each).
 */
#ifndef HOLDFAST_PERSIST_SPOOL_H
#define HOLDFAST_PERSIST_SPOOL_H

#include "core/base.h"
#include "persist/disk.h"
#include "persist/spool_accepted.h"

#define SPOOL_BYTES_MIN ((uint64_t)16 << 20) /* of all files: four segments of the smallest size */
#define SPOOL_SEGMENT_BYTES_MIN ((uint64_t)4 << 20) /* a table and two groups fit */
#define SPOOL_SEGMENT_BYTES_MAX ((uint64_t)64 << 20)
#define SPOOL_SOURCES_MAX 1024
#define SPOOL_PAYLOAD_BYTES_MAX (((size_t)1 << 20) + ((size_t)32 << 10)) /* of a group: a message of 1 MiB and 10,000 events fits */
#define SPOOL_RECORD_BYTES 2 /* in front of each event of a group: its length */
#define SPOOL_MARK_MS 1000 /* how far the delivery is is written alone at most so often */
#define SPOOL_SPARE_MS 1000 /* after a segment that could not be made, until it is tried again */

/* Whose event it is, as the spool's owner reads it. */
struct spool_identity {
	struct bytes source;
	uint64_t n; /* 0: it has an id only */
	int64_t at; /* -1: not given */
};

struct spool_options {
	uint64_t bytes_max; /* of all files together; at least four segments */
	uint64_t segment_bytes; /* a multiple of 4096 */
	uint32_t sources_max;
	uint64_t salt; /* something that who sends events cannot guess */
	void (*identify)(struct bytes event, struct spool_identity *); /* source.n 0: none */
};
/* Segments for so many bytes in all, at their usual size: a sixteenth, within the bounds. */
uint64_t spool_segment_bytes(uint64_t bytes_max);

struct spool_found {
	uint64_t last, delivered; /* numbers */
	uint64_t cut_bytes; /* of a torn tail; 0: none */
	bool closed; /* the last one closed it */
};

struct spool_event {
	uint64_t number;
	int64_t stamp_ms; /* of its commit */
	struct bytes bytes;
};

struct spool_figures {
	uint64_t waiting; /* events not delivered */
	uint64_t bytes, bytes_max; /* files in use, spare included */
	uint64_t segments, spares;
	uint64_t commits, rolls, recycled;
	bool no_room; /* the disk had no room for another segment when it was last tried */
	bool unmarked; /* how far the delivery is is not written yet */
};

struct spool;

/*
 * Locks the folder, checks all that is there, cuts a torn tail, makes the end durable, and keeps the disk until close (the caller
 * ends it then). NULL: why (another process has it; damage, with file, offset and a way out; the disk failed); nothing was changed
 * but for a torn tail.
 */
struct spool *spool_open(struct disk *, const struct spool_options *, struct spool_found *, struct why *);
/* Writes how far the delivery is, and frees. What was added and not committed is lost. NULL is allowed. */
void spool_close(struct spool *);

/* ---- in ---- */

/* The most bytes of events, SPOOL_RECORD_BYTES each included, that may wait for one commit. */
size_t spool_payload_max(const struct spool *);
/* Of what was added and not committed. */
size_t spool_payload(const struct spool *);
/*
 * Is there surely room for so many bytes more (records included, at most spool_payload_max)? reserve: for events that come back from
 * the other end; they may use the last segment, which new events may not (S7).
 */
bool spool_fits(const struct spool *, size_t bytes, bool reserve);
/* Adds one event (1 to EVENT_BYTES_MAX bytes, copied) that fits, to the group. Its number. */
uint64_t spool_add(struct spool *, struct bytes event);
/* Makes what was added durable, as one group stamped now_ms. 0; -1: why, nothing of it is promised, the spool is at its end. */
int spool_commit(struct spool *, int64_t now_ms, struct why *);
/* The number of the last durable event. */
uint64_t spool_last(const struct spool *);

/* ---- out ---- */

/* The next event to deliver, borrowed until the next call. 1; 0: none; -1: why (damage, or the disk failed). */
int spool_next(struct spool *, struct spool_event *, struct why *);
/* Number and stamp of what spool_next() would give. As above. */
int spool_peek(struct spool *, uint64_t *number, int64_t *stamp_ms, struct why *);
/* Everything up to this number is delivered (not above what was read). Never falls. */
void spool_delivered(struct spool *, uint64_t number);

/* ---- beside ---- */

/*
 * What is due: gives back what is delivered, makes a spare segment, writes how far the delivery is when nothing else did. 0; -1: why.
 * Cheap when nothing is due. A full disk is no failure (figures.no_room).
 */
int spool_tend(struct spool *, int64_t now_ms, struct why *);
/* The last number of the oldest segment when that one is full and waits to be delivered and given back; 0: it is not. */
uint64_t spool_oldest_full(const struct spool *);
void spool_figures(const struct spool *, struct spool_figures *);
/* The table of accepted numbers: durable events, and what the caller adds. */
struct accepted *spool_accepted(struct spool *);

#endif
