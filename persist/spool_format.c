/* spool_format.c: integers are little-endian; the offsets are those of SPOOL.md and appear nowhere else. */
#include "persist/spool_format.h"

#include "persist/crc32c.h"

#include <stdio.h>

#define VERSION 1

/* In a copy of the segment's header, and where the two copies stand. */
enum { SEG_MAGIC = 0, SEG_VERSION = 8, SEG_GENERATION = 16, SEG_FIRST = 24, SEG_BYTES = 32, SEG_SALT = 40, SEG_CRC = 508 };
static const uint32_t copies[] = { 0, 2048 };
static const char segment_magic[8] = { 'S', 'P', 'O', 'O', 'L', 'S', 'E', 'G' };

/* In a group's head. */
enum { GRP_MAGIC = 0, GRP_KIND = 4, GRP_GENERATION = 8, GRP_SALT = 16, GRP_FIRST = 24, GRP_DELIVERED = 32, GRP_STAMP = 40, GRP_COUNT = 48,
	GRP_PAYLOAD_N = 52, GRP_PAYLOAD_CRC = 56, GRP_CRC = 60 };
static const char group_magic[4] = { 'S', 'P', 'G', 'R' };

void
spool_name(char name[SPOOL_NAME_BYTES], uint64_t generation)
{
	snprintf(name, SPOOL_NAME_BYTES, "spool-%016llx.seg", (unsigned long long)generation);
}

bool
spool_name_parse(const char *name, uint64_t *generation)
{
	char again[SPOOL_NAME_BYTES];
	unsigned long long number;
	if (strlen(name) != SPOOL_NAME_BYTES - 1 || sscanf(name, "spool-%16llx.seg", &number) != 1)
		return false;
	*generation = number;
	spool_name(again, number);
	return strcmp(name, again) == 0;
}

void
spool_segment_encode(uint8_t block[SPOOL_BODY_OFFSET], const struct spool_segment_head *head)
{
	uint8_t *at = block + copies[0];
	memset(block, 0, SPOOL_BODY_OFFSET);
	memcpy(at + SEG_MAGIC, segment_magic, sizeof segment_magic);
	spool_put(at + SEG_VERSION, VERSION, 8);
	spool_put(at + SEG_GENERATION, head->generation, 8);
	spool_put(at + SEG_FIRST, head->first, 8);
	spool_put(at + SEG_BYTES, head->bytes, 8);
	spool_put(at + SEG_SALT, head->salt, 8);
	spool_put(at + SEG_CRC, crc32c(0, at, SEG_CRC), 4);
	memcpy(block + copies[1], at, SPOOL_SECTOR_BYTES);
}

static bool
copy_decode(const uint8_t *at, uint64_t generation, struct spool_segment_head *head)
{
	if (memcmp(at + SEG_MAGIC, segment_magic, sizeof segment_magic) != 0 || spool_get(at + SEG_CRC, 4) != crc32c(0, at, SEG_CRC)
	    || spool_get(at + SEG_VERSION, 8) != VERSION || spool_get(at + SEG_GENERATION, 8) != generation)
		return false;
	*head = (struct spool_segment_head){ .generation = generation, .first = spool_get(at + SEG_FIRST, 8),
		.bytes = spool_get(at + SEG_BYTES, 8), .salt = spool_get(at + SEG_SALT, 8) };
	return true;
}

bool
spool_segment_decode(const uint8_t *block, size_t n, uint64_t generation, struct spool_segment_head *head)
{
	for (size_t i = 0; i < sizeof copies / sizeof copies[0]; i++)
		if (copies[i] + SPOOL_SECTOR_BYTES <= n && copy_decode(block + copies[i], generation, head))
			return true;
	return false;
}

void
spool_group_encode(uint8_t at[SPOOL_HEAD_BYTES], const struct spool_group_head *head)
{
	memcpy(at + GRP_MAGIC, group_magic, sizeof group_magic);
	spool_put(at + GRP_KIND, head->kind, 4);
	spool_put(at + GRP_GENERATION, head->generation, 8);
	spool_put(at + GRP_SALT, head->salt, 8);
	spool_put(at + GRP_FIRST, head->first, 8);
	spool_put(at + GRP_DELIVERED, head->delivered, 8);
	spool_put(at + GRP_STAMP, (uint64_t)head->stamp_ms, 8);
	spool_put(at + GRP_COUNT, head->count, 4);
	spool_put(at + GRP_PAYLOAD_N, head->payload_n, 4);
	spool_put(at + GRP_PAYLOAD_CRC, head->payload_crc, 4);
	spool_put(at + GRP_CRC, crc32c(0, at, GRP_CRC), 4);
}

bool
spool_group_decode(const uint8_t at[SPOOL_HEAD_BYTES], struct spool_group_head *head)
{
	uint32_t kind = (uint32_t)spool_get(at + GRP_KIND, 4);
	if (memcmp(at + GRP_MAGIC, group_magic, sizeof group_magic) != 0 || spool_get(at + GRP_CRC, 4) != crc32c(0, at, GRP_CRC)
	    || kind < SPOOL_EVENTS || kind > SPOOL_CLOSE)
		return false;
	*head = (struct spool_group_head){ .kind = (enum spool_kind)kind, .generation = spool_get(at + GRP_GENERATION, 8),
		.salt = spool_get(at + GRP_SALT, 8), .first = spool_get(at + GRP_FIRST, 8), .delivered = spool_get(at + GRP_DELIVERED, 8),
		.stamp_ms = (int64_t)spool_get(at + GRP_STAMP, 8), .count = (uint32_t)spool_get(at + GRP_COUNT, 4),
		.payload_n = (uint32_t)spool_get(at + GRP_PAYLOAD_N, 4), .payload_crc = (uint32_t)spool_get(at + GRP_PAYLOAD_CRC, 4) };
	return true;
}

bool
spool_group_trace(const uint8_t at[SPOOL_HEAD_BYTES], uint64_t generation)
{
	return memcmp(at + GRP_MAGIC, group_magic, sizeof group_magic) == 0 && spool_get(at + GRP_GENERATION, 8) == generation;
}
