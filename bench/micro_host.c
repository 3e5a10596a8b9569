/* micro_host.c: rows of what stands around the engine: a batch into the journal, a record from one thread's ring to another's. */
#define _GNU_SOURCE
#include "bench/micro.h"

#include "net/ring.h"
#include "persist/disk.h"
#include "persist/journal.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define APPEND_BYTES ((size_t)16 << 10) /* a batch of about 150 reserves of one line */
#define HOP_BYTES    80 /* a reserve request */

static int
entry_remove(const char *path, const struct stat *info, int what, struct FTW *walk)
{
	return remove(path);
}

static void
batches_append(struct world *w, struct log *log, uint64_t epoch, uint64_t n)
{
	static uint8_t payload[APPEND_BYTES];
	struct why why;
	for (uint64_t i = 0; i < n; i++) {
		struct log_batch batch = { .epoch = epoch, .first_seq = i + 1, .steps = 1, .stamp_ms = w->now_ms, .payload = payload,
			.payload_n = sizeof payload };
		memcpy(payload, &i, sizeof i);
		w->wrong += log->calls->append(log, &batch, &why) != LOG_DURABLE;
	}
}

/* A batch, with its sync, into a journal in $TMPDIR. */
void
run_append(struct world *w, uint64_t n)
{
	char folder[256];
	struct why why;
	struct journal_options options;
	struct log_tail tail;
	snprintf(folder, sizeof folder, "%s/holdfast-micro.XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	struct disk *disk = mkdtemp(folder) ? disk_posix_open(folder, &why) : NULL;
	journal_options_init(&options);
	struct log *log = disk ? journal_open(disk, &options, &why) : NULL;
	if (log && log->calls->claim(log, &tail, &why) == 0)
		batches_append(w, log, tail.epoch, n);
	else
		w->wrong = n;
	if (log)
		log->calls->close(log);
	if (disk)
		disk->calls->end(disk);
	nftw(folder, entry_remove, 8, FTW_DEPTH | FTW_PHYS);
}

/* One record in and out; both ends on this thread, so that nobody waits. */
void
run_hop(struct world *w, uint64_t n)
{
	uint8_t bytes[HOP_BYTES] = { 0 };
	struct ring *ring = ring_new();
	for (uint64_t i = 0; i < n && ring; i++) {
		struct ring_record in = { .kind = RING_FRAME, .token = i, .bytes = bytes, .n = sizeof bytes }, out;
		w->wrong += !ring_put(ring, &in) || !ring_get(ring, &out) || out.token != i;
		ring_release(ring);
	}
	w->wrong += ring == NULL;
	if (ring)
		ring_free(ring);
}
