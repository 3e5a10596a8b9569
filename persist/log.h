/*
 * log.h: the narrow interface under the engine. A log is an ordered sequence of batches, each durable wholly or not at all.
 * Who implements it: the local journal (journal.h), the simulator's log (tests). A replicated log fits the same calls.
 *
 * L1 A position is (epoch, seq). claim() raises the epoch; an append of an older epoch is FENCED, never applied.
 * L2 No byte of batch n+1 is written before batch n is durable: at most one append is in flight.
 * L3 Batches are chained by hash: a batch is read only if everything before it was.
 * L4 After UNKNOWN no append is accepted until the log is opened again: nothing may be acknowledged any more.
 *
 * One thread appends. Readers are separate handles and may live on other threads; they never pass the position they are told.
 */
#ifndef HOLDFAST_PERSIST_LOG_H
#define HOLDFAST_PERSIST_LOG_H

#include "core/base.h"

struct log_batch {
	uint64_t epoch;
	uint64_t first_seq; /* of the first step: exactly the last position + 1 */
	uint32_t steps; /* >= 1 */
	int64_t stamp_ms;
	const uint8_t *payload; /* append borrows; read lends until the next read */
	size_t payload_n;
};

enum log_outcome { LOG_DURABLE, LOG_FENCED, LOG_UNKNOWN };

struct log_tail {
	uint64_t epoch; /* the claimed one */
	uint64_t last_seq; /* 0: empty */
	int64_t last_stamp_ms; /* 0: empty */
	uint64_t oldest_seq; /* first position that can still be read; last_seq + 1 when none */
	uint64_t cut_bytes; /* a torn tail of so many bytes was cut (0: none) */
	bool closed_cleanly;
};

struct log_reader;
struct log;

struct log_calls {
	/* Becomes the only writer: raises the epoch durably, finds the tail. -1: why (damage names file and offset). */
	int (*claim)(struct log *, struct log_tail *, struct why *);
	/* Blocks until durable. why is filled unless DURABLE. */
	enum log_outcome (*append)(struct log *, const struct log_batch *, struct why *);
	/* After UNKNOWN, on a log opened and claimed anew: is the batch that starts at first_seq there? DURABLE or FENCED (it is not). */
	enum log_outcome (*resolve)(struct log *, uint64_t first_seq, struct why *);
	/* Opens a reader whose first batch contains `from` (or starts at the oldest kept when from is 0). NULL: why; *gone if trimmed. */
	struct log_reader *(*read_open)(struct log *, uint64_t from, bool *gone, struct why *);
	/* 1: *batch; 0: nothing whole with last position <= up_to yet (call again later); -1: damage. */
	int (*read_next)(struct log_reader *, uint64_t up_to, struct log_batch *, struct why *);
	void (*read_close)(struct log_reader *);
	/* Batches wholly below `before` may be recycled. Keeps what retention asks. Safe beside append and readers behind it. */
	int (*trim)(struct log *, uint64_t before, struct why *);
	/* Makes room ahead (spare segments) so that append meets no allocation. Other threads than append's may call it. -1: disk full etc. */
	int (*prepare)(struct log *, struct why *);
	/* Bytes kept, for retention and `status`. */
	uint64_t (*bytes)(struct log *);
	/* Marks a clean end when nothing failed, releases everything. */
	void (*close)(struct log *);
};

struct log {
	const struct log_calls *calls; /* first member of every implementation */
};

#endif
