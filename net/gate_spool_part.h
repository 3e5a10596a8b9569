/* gate_spool_part.h: what gate_spool.c and gate_spool_position.c share; nobody else includes it. */
#ifndef HOLDFAST_NET_GATE_SPOOL_PART_H
#define HOLDFAST_NET_GATE_SPOOL_PART_H

#include "net/gate_spool.h"
#include "net/gate_spool_drain.h"
#include "net/gate_spool_split.h"

/* A message that waits for the commit. */
struct taken {
	struct raw_header to;
	uint64_t first, last; /* 0: none of its events could be queued */
	uint32_t refused_n;
	size_t refusals_at, refusals_n; /* in the buffer */
};

struct gate_spool {
	struct disk *disk;
	struct spool *spool;
	struct gate_refused refused;
	struct drain drain;
	struct gate_spool_setup setup;
	struct taken taken[SPOOL_TAKEN_MAX];
	uint32_t taken_n;
	size_t taken_bytes;
	struct buffer refusals; /* of the taken ones: [index, code, message] one behind the other */
	struct split_event events[EVENTS_MAX];
	int64_t tend_ms;
	bool away; /* said so */
	uint64_t back_from; /* events waited when the server came back; 0: not draining a backlog */
	int64_t back_ms;
	bool failed;
	struct why why;
};

#endif
