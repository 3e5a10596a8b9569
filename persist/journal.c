/*
 * journal.c: the writing end. A batch is laid out in one buffer (header, payload, padding to 4096), written with one call and
 * synced with one call; then it is durable. A batch that does not fit rolls into the next spare, whose header is durable
 * before the batch is written (J9).
 *
 * Power fails ...                    the next claim finds
 *   before the batch's sync ended    the batch, or a torn tail that it cuts: nobody was told
 *   between header and batch         a segment without batches, which its own segment supersedes (J8)
 */
#include "persist/journal_private.h"

#include <errno.h>
#include <stdlib.h>

void
journal_options_init(struct journal_options *options)
{
	*options = (struct journal_options){
		.segment_bytes = UINT64_C(64) << 20,
		.history_bytes = UINT64_C(1) << 30,
		.spares_max = JOURNAL_SPARES_MAX,
		.journal_bytes_max = UINT64_C(4) << 30,
	};
}

/* Header block before it, close marker behind it. */
uint32_t
journal_payload_max(const struct journal_options *options)
{
	uint64_t room = options->segment_bytes - 2 * JOURNAL_BLOCK_BYTES - BATCH_HEAD_BYTES;
	return room < JOURNAL_PAYLOAD_BYTES_MAX ? (uint32_t)room : JOURNAL_PAYLOAD_BYTES_MAX;
}

void
journal_break(struct journal *j, const struct why *why)
{
	pthread_mutex_lock(&j->list);
	if (!j->broken)
		j->broken_why = *why;
	j->broken = true;
	pthread_mutex_unlock(&j->list);
}

bool
journal_segment_of(struct journal *j, uint64_t seq, struct segment_head *head)
{
	bool found = false;

	pthread_mutex_lock(&j->list);
	for (size_t i = j->segments_n; i-- > 0 && !found;)
		if (j->segments[i].first_seq <= seq) {
			*head = j->segments[i];
			found = true;
		}
	pthread_mutex_unlock(&j->list);
	return found;
}

int
journal_segment_begin(struct journal *j, int file, const struct segment_head *head, struct why *why)
{
	uint8_t block[JOURNAL_BLOCK_BYTES];

	segment_head_encode(block, head);
	if (j->disk->calls->write_at(j->disk, file, block, sizeof block, 0))
		return journal_why_disk(why, "write the header of", head->generation);
	if (j->disk->calls->sync(j->disk, file))
		return journal_why_disk(why, "sync", head->generation);
	if (j->file >= 0)
		j->disk->calls->close(j->disk, j->file);
	j->file = file;
	j->generation = head->generation;
	pthread_mutex_lock(&j->list);
	j->segments[j->segments_n++] = *head;
	pthread_mutex_unlock(&j->list);
	return 0;
}

static int
roll(struct journal *j, struct why *why)
{
	struct segment_head head = {
		.epoch = j->epoch,
		.first_seq = j->last_seq + 1,
		.prev_hash = j->hash,
		.prev_stamp_ms = j->last_stamp_ms,
		.segment_bytes = j->options.segment_bytes,
	};
	char name[JOURNAL_NAME_BYTES];

	pthread_mutex_lock(&j->list);
	bool full = j->segments_n >= JOURNAL_SEGMENTS_MAX;
	pthread_mutex_unlock(&j->list);
	if (full)
		return why_say(why, "the journal has %d segments, which is its limit", JOURNAL_SEGMENTS_MAX);
	if (journal_spare_take(j, &head.generation, why))
		return -1;
	journal_name(name, head.generation);
	int file = j->disk->calls->open(j->disk, name, 0);
	if (file < 0)
		return journal_why_disk(why, "open", head.generation);
	if (journal_segment_begin(j, file, &head, why)) {
		j->disk->calls->close(j->disk, file);
		return -1;
	}
	j->offset = JOURNAL_BLOCK_BYTES;
	return 0;
}

/* Lays a batch (or the close marker) out in the buffer; returns its bytes on disk. */
static uint64_t
lay_out(struct journal *j, struct batch_head *head, const uint8_t *payload)
{
	uint64_t bytes = batch_disk_bytes(head->payload_n);
	uint8_t *at = j->buffer + BATCH_HEAD_BYTES;

	if (head->payload_n)
		memcpy(at, payload, head->payload_n);
	memset(at + head->payload_n, 0, (size_t)(bytes - BATCH_HEAD_BYTES - head->payload_n));
	head->generation = j->generation;
	head->hash = batch_hash(j->hash, head, at);
	batch_encode(j->buffer, head);
	return bytes;
}

static int
batch_write(struct journal *j, struct batch_head *head, const uint8_t *payload, struct why *why)
{
	/* The close marker always has room. */
	if (j->offset + batch_disk_bytes(head->payload_n) + JOURNAL_BLOCK_BYTES > j->options.segment_bytes && roll(j, why))
		return -1;
	uint64_t bytes = lay_out(j, head, payload);
	ensure(j->offset + bytes + JOURNAL_BLOCK_BYTES <= j->options.segment_bytes);
	if (j->disk->calls->write_at(j->disk, j->file, j->buffer, (size_t)bytes, j->offset))
		return journal_why_disk(why, "write a batch to", head->generation);
	if (j->disk->calls->sync(j->disk, j->file))
		return journal_why_disk(why, "sync", head->generation);
	j->offset += bytes;
	j->hash = head->hash;
	return 0;
}

static enum log_outcome
journal_append(struct log *log, const struct log_batch *batch, struct why *why)
{
	struct journal *j = journal_of(log);
	struct batch_head head = {
		.steps = batch->steps,
		.payload_n = (uint32_t)batch->payload_n,
		.epoch = batch->epoch,
		.first_seq = batch->first_seq,
		.stamp_ms = batch->stamp_ms,
	};

	pthread_mutex_lock(&j->list);
	bool broken = j->broken;
	if (broken)
		*why = j->broken_why;
	pthread_mutex_unlock(&j->list);
	if (broken)
		return LOG_UNKNOWN;
	if (!j->claimed || batch->epoch < j->epoch) {
		why_say(why, "epoch %llu has been followed by epoch %llu", (unsigned long long)batch->epoch,
		    (unsigned long long)j->epoch);
		return LOG_FENCED;
	}
	ensure(batch->epoch == j->epoch && batch->first_seq == j->last_seq + 1 && batch->steps > 0);
	ensure(batch->payload_n <= journal_payload_max(&j->options));
	if (batch_write(j, &head, batch->payload, why)) {
		journal_break(j, why);
		return LOG_UNKNOWN;
	}
	pthread_mutex_lock(&j->list);
	j->last_seq += batch->steps;
	j->last_stamp_ms = batch->stamp_ms;
	pthread_mutex_unlock(&j->list);
	return LOG_DURABLE;
}

static uint64_t
kept_bytes(const struct journal *j)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < j->segments_n; i++)
		bytes += j->segments[i].segment_bytes;
	return bytes;
}

static uint64_t
journal_bytes(struct log *log)
{
	struct journal *j = journal_of(log);

	pthread_mutex_lock(&j->list);
	uint64_t bytes = kept_bytes(j);
	pthread_mutex_unlock(&j->list);
	return bytes;
}

bool
journal_free_low(struct log *log)
{
	struct journal_status status;

	journal_status(log, &status);
	return status.free_low;
}

void
journal_status(struct log *log, struct journal_status *status)
{
	struct journal *j = journal_of(log);

	pthread_mutex_lock(&j->list);
	*status = (struct journal_status){
		.epoch = j->epoch,
		.generation = j->segments_n ? j->segments[j->segments_n - 1].generation : 0,
		.oldest_seq = j->segments_n ? j->segments[0].first_seq : 1,
		.last_seq = j->last_seq,
		.segments = j->segments_n,
		.spares = j->spares_n,
		.bytes = kept_bytes(j),
		.broken = j->broken,
	};
	status->free_low = j->free_low || j->spare_failed ||
	    (j->options.journal_bytes_max && status->bytes >= j->options.journal_bytes_max);
	pthread_mutex_unlock(&j->list);
}

/* The marker is a courtesy: when it cannot be written, the next claim only finds no clean end. */
static void
journal_close(struct log *log)
{
	struct journal *j = journal_of(log);
	struct batch_head marker = { .flags = BATCH_CLOSE, .epoch = j->epoch, .first_seq = j->last_seq + 1, .stamp_ms = j->last_stamp_ms };

	if (j->claimed && !j->broken) {
		uint64_t bytes = lay_out(j, &marker, NULL);
		if (j->disk->calls->write_at(j->disk, j->file, j->buffer, (size_t)bytes, j->offset) == 0)
			j->disk->calls->sync(j->disk, j->file);
	}
	if (j->file >= 0)
		j->disk->calls->close(j->disk, j->file);
	pthread_mutex_destroy(&j->list);
	pthread_mutex_destroy(&j->making);
	free(j->segments);
	free(j->buffer);
	free(j);
}

static const struct log_calls journal_calls = {
	.claim = journal_claim,
	.append = journal_append,
	.resolve = journal_resolve,
	.read_open = journal_read_open,
	.read_next = journal_read_next,
	.read_close = journal_read_close,
	.trim = journal_trim,
	.prepare = journal_prepare,
	.bytes = journal_bytes,
	.close = journal_close,
};

static int
options_check(const struct journal_options *options, struct why *why)
{
	if (options->segment_bytes < JOURNAL_SEGMENT_BYTES_MIN || options->segment_bytes > JOURNAL_SEGMENT_BYTES_MAX)
		return why_say(why, "segment_bytes must be from %llu to %llu", (unsigned long long)JOURNAL_SEGMENT_BYTES_MIN,
		    (unsigned long long)JOURNAL_SEGMENT_BYTES_MAX);
	if (options->spares_max < 1 || options->spares_max > JOURNAL_SPARES_MAX)
		return why_say(why, "spares_max must be from 1 to %d", JOURNAL_SPARES_MAX);
	if (options->segment_bytes % JOURNAL_BLOCK_BYTES)
		return why_say(why, "segment_bytes must be a multiple of %d", JOURNAL_BLOCK_BYTES);
	return 0;
}

struct log *
journal_open(struct disk *disk, const struct journal_options *options, struct why *why)
{
	struct journal *j;

	if (options_check(options, why))
		return NULL;
	if (!(j = calloc(1, sizeof *j)))
		goto no_journal;
	*j = (struct journal){ .log.calls = &journal_calls, .disk = disk, .options = *options, .file = -1, .next_generation = 1 };
	/* 3 MiB, touched as used. One more: the oldest that trim takes off may come back when its place was taken (journal_segments.c). */
	if (!(j->segments = malloc((JOURNAL_SEGMENTS_MAX + 1) * sizeof *j->segments)))
		goto no_segments;
	if (posix_memalign((void **)&j->buffer, JOURNAL_BLOCK_BYTES, batch_disk_bytes(journal_payload_max(options))))
		goto no_buffer;
	pthread_mutex_init(&j->making, NULL);
	pthread_mutex_init(&j->list, NULL);
	return &j->log;
no_buffer:
	free(j->segments);
no_segments:
	free(j);
no_journal:
	why_say(why, "no memory for the journal");
	return NULL;
}
