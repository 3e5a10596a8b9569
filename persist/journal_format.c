/*
 * journal_format.c: encodes and checks the two headers of the journal. Integers are little-endian; the offsets are those of
 * FORMAT.md and appear nowhere else.
 */
#include "persist/journal_format.h"

#include "persist/crc32c.h"
#include "persist/journal.h"

#include <stdio.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define SEGMENT_MAGIC UINT64_C(0x4745534c414e524a) /* "JRNALSEG" */
#define BATCH_MAGIC   UINT32_C(0x48435442) /* "BTCH" */

/* Offsets in a copy of the segment header, and where the two copies stand (different sectors, so that what destroys
 * one leaves the other). */
enum { SEG_MAGIC = 0, SEG_VERSION = 8, SEG_BLOCK = 12, SEG_GENERATION = 16, SEG_EPOCH = 24, SEG_FIRST = 32,
	SEG_PREV_HASH = 40, SEG_BYTES = 48, SEG_PREV_STAMP = 56, SEG_CRC = 508, SEG_COPY_BYTES = 512 };
static const size_t segment_copies[] = { 0, 2048 };

/* Offsets in the batch header. */
enum { BAT_MAGIC = 0, BAT_FLAGS = 4, BAT_GENERATION = 8, BAT_EPOCH = 16, BAT_FIRST = 24, BAT_STAMP = 32, BAT_STEPS = 40,
	BAT_PAYLOAD_N = 44, BAT_HASH = 48, BAT_CRC = 56, BAT_HEAD_CRC = 60 };

static void
put_u32(uint8_t *at, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(v >> 8 * i);
}

static void
put_u64(uint8_t *at, uint64_t v)
{
	put_u32(at, (uint32_t)v);
	put_u32(at + 4, (uint32_t)(v >> 32));
}

static uint32_t
get_u32(const uint8_t *at)
{
	return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint64_t
get_u64(const uint8_t *at)
{
	return get_u32(at) | (uint64_t)get_u32(at + 4) << 32;
}

/* J2: the checksum of a batch begins with the generation, so that a batch of the file's earlier life is noise. */
static uint32_t
crc_of_generation(uint64_t generation)
{
	uint8_t bytes[8];
	put_u64(bytes, generation);
	return crc32c(0, bytes, sizeof bytes);
}

void
journal_name(char name[JOURNAL_NAME_BYTES], uint64_t generation)
{
	snprintf(name, JOURNAL_NAME_BYTES, "journal-%016llx.seg", (unsigned long long)generation);
}

bool
journal_name_parse(const char *name, uint64_t *generation)
{
	char again[JOURNAL_NAME_BYTES];
	unsigned long long number;

	if (strlen(name) != JOURNAL_NAME_BYTES - 1 || sscanf(name, "journal-%16llx.seg", &number) != 1)
		return false;
	*generation = number;
	journal_name(again, number);
	return strcmp(name, again) == 0;
}

void
segment_head_encode(uint8_t block[JOURNAL_BLOCK_BYTES], const struct segment_head *head)
{
	memset(block, 0, JOURNAL_BLOCK_BYTES);
	for (size_t i = 0; i < sizeof segment_copies / sizeof *segment_copies; i++) {
		uint8_t *at = block + segment_copies[i];
		put_u64(at + SEG_MAGIC, SEGMENT_MAGIC);
		put_u32(at + SEG_VERSION, JOURNAL_VERSION);
		put_u32(at + SEG_BLOCK, JOURNAL_BLOCK_BYTES);
		put_u64(at + SEG_GENERATION, head->generation);
		put_u64(at + SEG_EPOCH, head->epoch);
		put_u64(at + SEG_FIRST, head->first_seq);
		put_u64(at + SEG_PREV_HASH, head->prev_hash);
		put_u64(at + SEG_BYTES, head->segment_bytes);
		put_u64(at + SEG_PREV_STAMP, (uint64_t)head->prev_stamp_ms);
		put_u32(at + SEG_CRC, crc32c(0, at, SEG_CRC));
	}
}

static bool
segment_copy_sound(const uint8_t *at)
{
	return get_u64(at + SEG_MAGIC) == SEGMENT_MAGIC && get_u32(at + SEG_CRC) == crc32c(0, at, SEG_CRC);
}

uint32_t
segment_head_version(const uint8_t *block, size_t n, uint64_t generation)
{
	for (size_t i = 0; i < sizeof segment_copies / sizeof *segment_copies; i++) {
		const uint8_t *at = block + segment_copies[i];
		if (n >= segment_copies[i] + SEG_COPY_BYTES && segment_copy_sound(at) && get_u64(at + SEG_GENERATION) == generation)
			return get_u32(at + SEG_VERSION);
	}
	return 0;
}

static bool
segment_copy_decode(const uint8_t *at, uint64_t generation, struct segment_head *head)
{
	if (!segment_copy_sound(at))
		return false;
	*head = (struct segment_head){
		.generation = get_u64(at + SEG_GENERATION),
		.epoch = get_u64(at + SEG_EPOCH),
		.first_seq = get_u64(at + SEG_FIRST),
		.prev_hash = get_u64(at + SEG_PREV_HASH),
		.segment_bytes = get_u64(at + SEG_BYTES),
		.prev_stamp_ms = (int64_t)get_u64(at + SEG_PREV_STAMP),
	};
	return head->generation == generation && get_u32(at + SEG_VERSION) == JOURNAL_VERSION &&
	    get_u32(at + SEG_BLOCK) == JOURNAL_BLOCK_BYTES && head->segment_bytes >= JOURNAL_SEGMENT_BYTES_MIN &&
	    head->segment_bytes <= JOURNAL_SEGMENT_BYTES_MAX && head->first_seq > 0;
}

bool
segment_head_decode(const uint8_t *block, size_t n, uint64_t generation, struct segment_head *head)
{
	for (size_t i = 0; i < sizeof segment_copies / sizeof *segment_copies; i++)
		if (n >= segment_copies[i] + SEG_COPY_BYTES && segment_copy_decode(block + segment_copies[i], generation, head))
			return true;
	return false;
}

uint64_t
batch_hash(uint64_t prev_hash, const struct batch_head *head, const uint8_t *payload)
{
	uint8_t fields[40];

	put_u64(fields, head->epoch);
	put_u64(fields + 8, head->first_seq);
	put_u64(fields + 16, (uint64_t)head->stamp_ms);
	put_u32(fields + 24, head->steps);
	put_u32(fields + 28, head->payload_n);
	put_u64(fields + 32, XXH3_64bits_withSeed(payload, head->payload_n, prev_hash));
	return XXH3_64bits_withSeed(fields, sizeof fields, prev_hash);
}

static uint32_t
batch_crc(const uint8_t *at, uint64_t generation, uint32_t payload_n)
{
	uint32_t crc = crc32c(crc_of_generation(generation), at, BAT_CRC);
	return crc32c(crc, at + BATCH_HEAD_BYTES, payload_n);
}

void
batch_encode(uint8_t *at, const struct batch_head *head)
{
	put_u32(at + BAT_MAGIC, BATCH_MAGIC);
	put_u32(at + BAT_FLAGS, head->flags);
	put_u64(at + BAT_GENERATION, head->generation);
	put_u64(at + BAT_EPOCH, head->epoch);
	put_u64(at + BAT_FIRST, head->first_seq);
	put_u64(at + BAT_STAMP, (uint64_t)head->stamp_ms);
	put_u32(at + BAT_STEPS, head->steps);
	put_u32(at + BAT_PAYLOAD_N, head->payload_n);
	put_u64(at + BAT_HASH, head->hash);
	put_u32(at + BAT_CRC, batch_crc(at, head->generation, head->payload_n));
	put_u32(at + BAT_HEAD_CRC, crc32c(crc_of_generation(head->generation), at, BAT_HEAD_CRC));
}

bool
batch_head_decode(const uint8_t *at, uint64_t generation, struct batch_head *head)
{
	if (get_u32(at + BAT_MAGIC) != BATCH_MAGIC || get_u64(at + BAT_GENERATION) != generation ||
	    get_u32(at + BAT_HEAD_CRC) != crc32c(crc_of_generation(generation), at, BAT_HEAD_CRC))
		return false;
	*head = (struct batch_head){
		.flags = get_u32(at + BAT_FLAGS),
		.generation = generation,
		.epoch = get_u64(at + BAT_EPOCH),
		.first_seq = get_u64(at + BAT_FIRST),
		.stamp_ms = (int64_t)get_u64(at + BAT_STAMP),
		.steps = get_u32(at + BAT_STEPS),
		.payload_n = get_u32(at + BAT_PAYLOAD_N),
		.hash = get_u64(at + BAT_HASH),
		.crc = get_u32(at + BAT_CRC),
	};
	if (head->flags & BATCH_CLOSE)
		return head->steps == 0 && head->payload_n == 0;
	return head->steps > 0 && head->payload_n <= JOURNAL_PAYLOAD_BYTES_MAX;
}

bool
batch_payload_valid(const uint8_t *at, const struct batch_head *head)
{
	return batch_crc(at, head->generation, head->payload_n) == head->crc;
}

bool
batch_is_trace(const uint8_t *at, uint64_t generation, uint64_t first_seq)
{
	int marks = (get_u32(at + BAT_MAGIC) == BATCH_MAGIC) + (get_u64(at + BAT_GENERATION) == generation) +
	    (get_u64(at + BAT_FIRST) == first_seq);
	return marks >= 2;
}
