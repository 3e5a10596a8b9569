/*
 * journal_rig.c: see journal_rig.h.
 */
#include "tests/journal_rig.h"

static uint64_t
mix(uint64_t x)
{
	x ^= x >> 33;
	x *= UINT64_C(0xff51afd7ed558ccd);
	x ^= x >> 33;
	x *= UINT64_C(0xc4ceb9fe1a85ec53);
	return x ^ (x >> 33);
}

static void
fill(uint8_t *at, size_t n, uint64_t first_seq)
{
	for (size_t i = 0; i < n; i++)
		at[i] = (uint8_t)(mix(first_seq * 1000003 + i / 8) >> 8 * (i % 8));
}

struct log_batch
rig_batch(uint64_t epoch, uint64_t first_seq, size_t payload_max)
{
	static _Thread_local uint8_t payload[JOURNAL_PAYLOAD_BYTES_MAX];
	uint64_t dice = mix(first_seq);
	size_t n = payload_max ? dice % (payload_max + 1) : 0;

	fill(payload, n, first_seq);
	return (struct log_batch){ .epoch = epoch, .first_seq = first_seq, .steps = 1 + (uint32_t)(dice >> 40) % 3,
		.stamp_ms = (int64_t)first_seq * 10, .payload = payload, .payload_n = n };
}

bool
rig_is(const struct log_batch *batch, size_t payload_max)
{
	struct log_batch right = rig_batch(0, batch->first_seq, payload_max);

	return batch->steps == right.steps && batch->stamp_ms == right.stamp_ms && batch->payload_n == right.payload_n &&
	    memcmp(batch->payload, right.payload, right.payload_n) == 0;
}

enum log_outcome
rig_append(struct log *log, uint64_t epoch, uint64_t *last, int batches, size_t payload_max)
{
	struct why why;

	while (batches-- > 0) {
		struct log_batch batch = rig_batch(epoch, *last + 1, payload_max);
		enum log_outcome outcome = log->calls->append(log, &batch, &why);
		if (outcome != LOG_DURABLE)
			return outcome;
		*last += batch.steps;
	}
	return LOG_DURABLE;
}

struct rig_read
rig_read(struct log *log, uint64_t from, size_t payload_max)
{
	struct rig_read result = { 0 };
	struct log_batch batch;
	bool gone;
	struct log_reader *reader = log->calls->read_open(log, from, &gone, &result.why);
	int got = -1;

	while (reader && (got = log->calls->read_next(reader, UINT64_MAX, &batch, &result.why)) > 0) {
		if (!result.batches++)
			result.first = batch.first_seq;
		result.wrong |= !rig_is(&batch, payload_max) || (result.last && batch.first_seq != result.last + 1);
		result.last = batch.first_seq + batch.steps - 1;
	}
	result.damaged = got < 0;
	if (reader)
		log->calls->read_close(reader);
	return result;
}

struct journal_options
rig_options(uint64_t segment_bytes)
{
	struct journal_options options;

	journal_options_init(&options);
	options.segment_bytes = segment_bytes;
	options.history_bytes = 0;
	options.spares_max = 2; /* so that some are removed */
	options.journal_bytes_max = 0;
	return options;
}

struct log *
rig_open(struct disk *disk, uint64_t segment_bytes, struct log_tail *tail, struct why *why)
{
	struct journal_options options = rig_options(segment_bytes);
	struct log *log = journal_open(disk, &options, why);

	if (log && log->calls->claim(log, tail, why)) {
		log->calls->close(log);
		return NULL;
	}
	return log;
}

void
rig_die(struct log *log, struct disk *disk)
{
	sim_disk_stop_after(disk, 0);
	log->calls->close(log);
}
