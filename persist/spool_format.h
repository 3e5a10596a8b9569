/*
 * spool_format.h: the two headers of the spool's files (SPOOL.md has the offsets): encoded, decoded, checked. Pure; any thread.
 */
#ifndef HOLDFAST_PERSIST_SPOOL_FORMAT_H
#define HOLDFAST_PERSIST_SPOOL_FORMAT_H

#include "core/base.h"

#define SPOOL_SECTOR_BYTES 512u
#define SPOOL_BODY_OFFSET 4096u /* of the first group: the header block is before it */
#define SPOOL_HEAD_BYTES 64u /* of a group's head, in front of its payload */
#define SPOOL_NAME_BYTES 27
#define SPOOL_NEW_NAME "spool.new" /* a spare while it is made */

struct spool_segment_head {
	uint64_t generation; /* the number in the file's name */
	uint64_t first; /* number of the first event of the segment */
	uint64_t bytes; /* of the file */
	uint64_t salt; /* drawn when the segment began: event bytes cannot look like a group's head */
};

enum spool_kind { SPOOL_EVENTS = 1, SPOOL_TABLE = 2, SPOOL_MARK = 3, SPOOL_CLOSE = 4 };

struct spool_group_head {
	enum spool_kind kind;
	uint64_t generation, salt;
	uint64_t first; /* EVENTS: number of its first event; else: of the next event to come */
	uint64_t delivered; /* everything up to that number had been delivered */
	int64_t stamp_ms;
	uint32_t count, payload_n, payload_crc;
};

/* The bytes that a group of so much payload takes on disk. */
static inline uint64_t
spool_group_bytes(uint64_t payload_n)
{
	return (SPOOL_HEAD_BYTES + payload_n + SPOOL_SECTOR_BYTES - 1) / SPOOL_SECTOR_BYTES * SPOOL_SECTOR_BYTES;
}

static inline void
spool_put(uint8_t *at, uint64_t v, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++)
		at[i] = (uint8_t)(v >> 8 * i);
}

static inline uint64_t
spool_get(const uint8_t *at, uint32_t bytes)
{
	uint64_t v = 0;
	for (uint32_t i = bytes; i-- > 0;)
		v = v << 8 | at[i];
	return v;
}

void spool_name(char name[SPOOL_NAME_BYTES], uint64_t generation);
bool spool_name_parse(const char *name, uint64_t *generation);

/* The whole header block. */
void spool_segment_encode(uint8_t block[SPOOL_BODY_OFFSET], const struct spool_segment_head *);
/* S1. False: neither copy is valid for that generation. */
bool spool_segment_decode(const uint8_t *block, size_t n, uint64_t generation, struct spool_segment_head *);

void spool_group_encode(uint8_t head[SPOOL_HEAD_BYTES], const struct spool_group_head *);
/* False: no head, or its checksum is wrong. Whether it belongs here (S2, S3) is for the caller to judge. */
bool spool_group_decode(const uint8_t head[SPOOL_HEAD_BYTES], struct spool_group_head *);
/* Is it a trace of a group of this generation, valid or not? For telling a torn tail from unused space. */
bool spool_group_trace(const uint8_t head[SPOOL_HEAD_BYTES], uint64_t generation);

#endif
