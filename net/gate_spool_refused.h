/*
 * gate_spool_refused.h: the file `refused` beside the spool: events that were acknowledged as queued, that the server has not kept
 * and will never keep. A stream of msgpack objects that any reader of msgpack can read:
 *
 *   [number in the spool, when (ms since 1970), code, message, event]     nil: nothing (what was left of a torn write)
 *
 * RF1: an event counts as refused when its record is durable. At REFUSED_BYTES_MAX, or while the disk does not take it, it stays
 * with those that are tried again, so nothing acknowledged disappears. The operator moves the file away; a new one begins at the
 * next start.
 *
 * The gate's thread. Memory only while it opens.
 */
#ifndef HOLDFAST_NET_GATE_SPOOL_REFUSED_H
#define HOLDFAST_NET_GATE_SPOOL_REFUSED_H

#include "core/base.h"
#include "net/buffer.h"
#include "persist/disk.h"

#define REFUSED_NAME "refused"
#define REFUSED_BYTES_MAX ((uint64_t)16 << 20)
#define REFUSED_TEXT_BYTES_MAX 256 /* of a message; what is longer is left out */

struct gate_refused {
	struct disk *disk;
	int fd; /* -1: not open */
	uint64_t end, count; /* bytes and events in it */
	uint64_t left; /* up to there a failed write may have left something behind the end */
	struct buffer pending; /* records not written yet */
	uint64_t pending_n;
};

/* Opens or makes it; the disk is borrowed. 0; -1: *why. */
int refused_open(struct gate_refused *, struct disk *, struct why *);
void refused_close(struct gate_refused *);
/* Adds one for the next write. False: there is no room for it. */
bool refused_add(struct gate_refused *, uint64_t number, int64_t wall_ms, struct bytes code, struct bytes message, struct bytes event);
/* Writes what was added and syncs. False: none of it is there; it is forgotten here. */
bool refused_write(struct gate_refused *);

#endif
