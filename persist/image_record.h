/*
 * image_record.h: the bytes of the image's records (FORMAT.md, "Image"), shared by what writes them and what checks them.
 *
 *   key    u64 = kind << 56 | entry key; 0 is the meta record
 *   value  u32 crc32c(key, rest of the value), u64 seq, body
 *   meta   u32 crc32c(key, rest of the value), u32 version, u64 epoch, u64 seq, i64 stamp_ms, u64 records, 16 bytes sum,
 *          and u64 from, u64 to for each restore
 *
 * All little-endian. The sum is over all records but the meta record, modulo 2^128, of the XXH3-128 of the value, seeded with
 * the key: a record that is lost, doubled, exchanged for an older one of itself or moved under another key changes it.
 *
 * Pure functions; any thread.
 */
#ifndef HOLDFAST_PERSIST_IMAGE_RECORD_H
#define HOLDFAST_PERSIST_IMAGE_RECORD_H

#include "core/base.h"
#include "core/entry.h"
#include "persist/crc32c.h"
#include "persist/image.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define IMAGE_FORMAT       2
#define RECORD_META_KEY    UINT64_C(0)
#define RECORD_HEAD_BYTES  12 /* crc, seq */
#define RECORD_META_BYTES  56 /* without restores */
#define RECORD_LOST_BYTES  16
#define RECORD_META_BYTES_MAX (RECORD_META_BYTES + IMAGE_LOST_MAX * RECORD_LOST_BYTES)
#define RECORD_KIND_SHIFT  56

typedef unsigned __int128 record_sum;

static inline uint64_t
record_key(enum entry_kind kind, uint64_t key)
{
	return (uint64_t)kind << RECORD_KIND_SHIFT | key;
}

static inline enum entry_kind
record_kind(uint64_t key)
{
	return (enum entry_kind)(key >> RECORD_KIND_SHIFT);
}

static inline uint64_t
record_entry_key(uint64_t key)
{
	return key & ((UINT64_C(1) << RECORD_KIND_SHIFT) - 1);
}

static inline uint32_t
record_crc(uint64_t key, const uint8_t *value, size_t n)
{
	return crc32c(crc32c(0, &key, 8), value + 4, n - 4);
}

/* Whether the value is long enough and its checksum right. */
static inline bool
record_sound(uint64_t key, const uint8_t *value, size_t n)
{
	uint32_t crc;
	if (n < RECORD_HEAD_BYTES)
		return false;
	memcpy(&crc, value, 4);
	return crc == record_crc(key, value, n);
}

static inline record_sum
record_hash(uint64_t key, const uint8_t *value, size_t n)
{
	XXH128_hash_t h = XXH3_128bits_withSeed(value, n, key);
	return (record_sum)h.high64 << 64 | h.low64;
}

/* Fills RECORD_HEAD_BYTES + body_n bytes. */
static inline void
record_encode(uint8_t *value, uint64_t key, uint64_t seq, const uint8_t *body, uint32_t body_n)
{
	memcpy(value + 4, &seq, 8);
	if (body_n > 0)
		memcpy(value + RECORD_HEAD_BYTES, body, body_n);
	uint32_t crc = record_crc(key, value, RECORD_HEAD_BYTES + (size_t)body_n);
	memcpy(value, &crc, 4);
}

/* Of a sound record. */
static inline uint64_t
record_decode(uint64_t key, const uint8_t *value, size_t n, struct entry_bytes *e)
{
	uint64_t seq;
	memcpy(&seq, value + 4, 8);
	*e = (struct entry_bytes){ record_kind(key), record_entry_key(key), value + RECORD_HEAD_BYTES,
		(uint32_t)(n - RECORD_HEAD_BYTES) };
	return seq;
}

/* Returns its length. */
static inline size_t
record_meta_encode(uint8_t value[RECORD_META_BYTES_MAX], const struct image_meta *m)
{
	size_t n = RECORD_META_BYTES;
	uint32_t format = IMAGE_FORMAT;
	memcpy(value + 4, &format, 4);
	memcpy(value + 8, &m->epoch, 8);
	memcpy(value + 16, &m->seq, 8);
	memcpy(value + 24, &m->stamp_ms, 8);
	memcpy(value + 32, &m->records, 8);
	memcpy(value + 40, m->sum, 16);
	for (uint32_t i = 0; i < m->lost_n; i++, n += RECORD_LOST_BYTES) {
		memcpy(value + n, &m->lost[i].from, 8);
		memcpy(value + n + 8, &m->lost[i].to, 8);
	}
	uint32_t crc = record_crc(RECORD_META_KEY, value, n);
	memcpy(value, &crc, 4);
	return n;
}

/* NULL, or what is wrong (static sentence). */
static inline const char *
record_meta_decode(const uint8_t *value, size_t n, struct image_meta *m)
{
	uint32_t format;
	if (n < RECORD_HEAD_BYTES || !record_sound(RECORD_META_KEY, value, n))
		return "the meta record's checksum is wrong";
	memcpy(&format, value + 4, 4);
	if (format != IMAGE_FORMAT || n < RECORD_META_BYTES || n > RECORD_META_BYTES_MAX || (n - RECORD_META_BYTES) % RECORD_LOST_BYTES != 0)
		return "the image was written in a format this version does not know";
	memcpy(&m->epoch, value + 8, 8);
	memcpy(&m->seq, value + 16, 8);
	memcpy(&m->stamp_ms, value + 24, 8);
	memcpy(&m->records, value + 32, 8);
	memcpy(m->sum, value + 40, 16);
	m->lost_n = (uint32_t)((n - RECORD_META_BYTES) / RECORD_LOST_BYTES);
	for (uint32_t i = 0; i < m->lost_n; i++) {
		memcpy(&m->lost[i].from, value + RECORD_META_BYTES + i * RECORD_LOST_BYTES, 8);
		memcpy(&m->lost[i].to, value + RECORD_META_BYTES + i * RECORD_LOST_BYTES + 8, 8);
	}
	return NULL;
}

#endif
