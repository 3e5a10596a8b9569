/*
 * journal_rig.h: batches whose whole content follows from their first position, so that every batch that is read can be
 * judged alone: steps, stamp, size and bytes. For the tests of the journal and of what stands on a log.
 */
#ifndef HOLDFAST_TESTS_JOURNAL_RIG_H
#define HOLDFAST_TESTS_JOURNAL_RIG_H

#include "persist/journal.h"
#include "tests/sim_disk.h"

/*
 * Under a sanitizer each open of a journal costs milliseconds (its buffers are fenced anew), so the long loops take every
 * RIG_STRIDE-th case there; the plain build takes all.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RIG_STRIDE 9
#else
#define RIG_STRIDE 1
#endif

/* The batch that begins at first_seq. Lent until the next call. */
struct log_batch rig_batch(uint64_t epoch, uint64_t first_seq, size_t payload_max);
/* Is it that batch (of whatever epoch)? */
bool rig_is(const struct log_batch *, size_t payload_max);

/* Appends batches behind *last until `batches` were durable; moves *last. The first outcome that is not DURABLE ends it. */
enum log_outcome rig_append(struct log *, uint64_t epoch, uint64_t *last, int batches, size_t payload_max);

struct rig_read {
	uint64_t first, last, batches; /* of what was read and was right */
	bool wrong; /* a batch was read that was never appended, or out of order */
	bool damaged; /* read_next answered -1 */
	struct why why;
};
/* Reads from `from` (0: oldest) to the end, judging every batch. */
struct rig_read rig_read(struct log *, uint64_t from, size_t payload_max);

/* Small segments, no history kept. */
struct journal_options rig_options(uint64_t segment_bytes);
/* Opens and claims. NULL: why. */
struct log *rig_open(struct disk *, uint64_t segment_bytes, struct log_tail *, struct why *);

/* The process dies: from now on the disk refuses all, and the log's memory is freed. Go on with sim_disk_kill or _crash. */
void rig_die(struct log *, struct disk *);

#endif
