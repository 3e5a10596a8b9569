/*
 * journal_format.h: the bytes of segment and batch headers (FORMAT.md, J1..J6). Pure functions; any thread.
 *
 * A decode returns false for bytes that are not valid *for the given generation*: noise and damage look alike here; what
 * invalid bytes mean is judged by position, in journal_claim.c and journal_read.c.
 */
#ifndef HOLDFAST_PERSIST_JOURNAL_FORMAT_H
#define HOLDFAST_PERSIST_JOURNAL_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JOURNAL_VERSION     2
#define JOURNAL_BLOCK_BYTES 4096 /* segment header; alignment of batches */
#define BATCH_HEAD_BYTES    64 /* within one 512-byte sector, so whole or absent */

/* "journal-" 16 hex digits ".seg" and zero. */
#define JOURNAL_NAME_BYTES 29

struct segment_head {
	uint64_t generation; /* the number in the file's name: a recycled file gets a new one */
	uint64_t epoch; /* that claimed the log when the segment began */
	uint64_t first_seq; /* of the batch at offset 4096 */
	uint64_t prev_hash; /* of the batch before that one; 0 at the very beginning */
	uint64_t segment_bytes;
	int64_t prev_stamp_ms; /* of the batch before; 0 at the very beginning */
};

enum batch_flags {
	BATCH_COPY = 1, /* claim copied it from the segment before */
	BATCH_CLOSE = 2, /* no batch: the clean end of the journal */
};

struct batch_head {
	uint32_t flags;
	uint32_t steps, payload_n;
	uint64_t generation, epoch, first_seq;
	int64_t stamp_ms;
	uint64_t hash; /* batch_hash() */
	uint32_t crc; /* of generation, header and payload */
};

void journal_name(char name[JOURNAL_NAME_BYTES], uint64_t generation);
/* false: not the name of a segment. */
bool journal_name_parse(const char *name, uint64_t *generation);

/* Fills the whole block, with two copies of the header. */
void segment_head_encode(uint8_t block[JOURNAL_BLOCK_BYTES], const struct segment_head *);
/* From either copy. `n`: how many bytes of the block there are. */
bool segment_head_decode(const uint8_t *block, size_t n, uint64_t generation, struct segment_head *);

/* The version of a sound header of this generation, be it known or not; 0: there is no sound header. */
uint32_t segment_head_version(const uint8_t *block, size_t n, uint64_t generation);

/* Bytes that a batch takes on disk, header and padding included. */
static inline uint64_t
batch_disk_bytes(uint64_t payload_n)
{
	return (BATCH_HEAD_BYTES + payload_n + JOURNAL_BLOCK_BYTES - 1) / JOURNAL_BLOCK_BYTES * JOURNAL_BLOCK_BYTES;
}

/* The chain: over epoch, position, stamp, steps and payload, and through prev_hash over everything before. Not over the
 * generation or the flags: a copy has the hash of its original. */
uint64_t batch_hash(uint64_t prev_hash, const struct batch_head *, const uint8_t *payload);

/* Writes the header in front of the payload, which stands at at + BATCH_HEAD_BYTES. head->hash is given; crc is made here. */
void batch_encode(uint8_t *at, const struct batch_head *);
/* The header alone: magic, its own checksum, generation, sane lengths. */
bool batch_head_decode(const uint8_t *at, uint64_t generation, struct batch_head *);
/* The payload behind a decoded header. */
bool batch_payload_valid(const uint8_t *at, const struct batch_head *);
/* Do invalid bytes look like what is left of the batch that begins at first_seq? Two of magic, generation and position
 * are there: one flipped bit cannot hide it, old noise does not have it. */
bool batch_is_trace(const uint8_t *at, uint64_t generation, uint64_t first_seq);

#endif
