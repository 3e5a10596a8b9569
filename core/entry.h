/*
 * entry.h: the form of facts. A command that changes something becomes one *step*; a step is its cause and the
 * entries it made; an entry is an after-image under a key.
 *
 *   batch payload = step*
 *   step          = u24 bytes that follow, cause, entry*
 *   cause         = u8 enum cause_kind, u8 flags (1: ref, 2: reason), [string ref], [string reason]
 *   entry         = head, body      head = u8 enum entry_kind, u16 bytes of the body, u40 key: one word, written with one store
 *                   a body of 65,535 bytes or more: that number in the head and a u32 with the truth behind it
 *   string        = u8 length, bytes      all numbers little-endian
 *
 * Positions: the first step of a batch has the batch's first position, each further step the next one. An entry's
 * position is its step's. So a cart's cells share one position and the chain of a cell names steps (E1: a step has
 * at most one entry per key).
 *
 * E2: the key is enough to fold: for every kind the latest entry of a key replaces the earlier ones (rings name the
 *     ring slot as their key). A follower that knows no rule of stock (the image, a standby) can keep the latest bytes
 *     per (kind, key) with their position and has everything; loading is evolve over them in the order of kinds.
 * E3: the key is the dense number of the thing, never its name.
 *
 * Pure functions; any thread. Decoding borrows from the bytes it was given.
 */
#ifndef HOLDFAST_CORE_ENTRY_H
#define HOLDFAST_CORE_ENTRY_H

#include "core/base.h"

/* The order is the order of recovery. Numbers are part of the journal's format: never reuse one. */
enum entry_kind {
	ENTRY_NAME = 1, /* key = enum name_table << 32 | id */
	ENTRY_OPTION = 2, /* key = enum option */
	ENTRY_GROUP = 3, /* key = location id x 2 + (1: the definition being built, 0: the live one) */
	ENTRY_CELL = 4, /* key = cell number */
	ENTRY_FLOOR = 5, /* key = cell number: deltas dropped from the count window */
	ENTRY_RESERVATION = 6, /* key = reservation slot */
	ENTRY_SOURCE = 7, /* key = source id: an operator's skip_to */
	ENTRY_MARK = 8, /* key = source id << 12 | n mod 4096 */
	ENTRY_FREE_ID = 9, /* key = number mod the ring's size */
	ENTRY_DELTA = 10, /* key = number mod the ring's size */
	ENTRY_QUARANTINE = 11, /* key = slot */
	ENTRY_KIND_END = 32 /* kinds 12..31 are kept for quotas, units, aliases, inbound, transfers, feeds, hand-over */
};

enum cause_kind {
	CAUSE_RESERVE = 1, CAUSE_COMMIT = 2, CAUSE_RELEASE = 3, CAUSE_FULFIL = 4, CAUSE_EXTEND = 5, CAUSE_PIN = 6,
	CAUSE_MOVE = 7, CAUSE_EXPIRE = 8,
	CAUSE_SALE = 16, CAUSE_RETURN = 17, CAUSE_RECEIPT = 18, CAUSE_ADJUST = 19, CAUSE_UNSELL = 20, CAUSE_RESELL = 21,
	CAUSE_COUNT = 22, CAUSE_FULFIL_EVENT = 23, CAUSE_REJECTED_EVENT = 24,
	CAUSE_SKIP = 40, CAUSE_POLICY = 41, CAUSE_GROUP = 42, CAUSE_QUARANTINE = 43, CAUSE_OPTION = 44,
};

struct cause {
	enum cause_kind kind;
	struct bytes ref, reason;
};

#define STEP_HEAD_BYTES  5
#define STEP_BYTES_MAX   ((1u << 24) - 1)
#define ENTRY_HEAD_BYTES 8
#define ENTRY_KEY_MAX    ((UINT64_C(1) << 40) - 1)
#define ENTRY_BODY_LONG  UINT16_MAX
/* Longest LEB128 form of 64 bits. */
#define VARINT_BYTES_MAX 10

/* One raw entry: kind, key and the body behind the key. */
struct entry_bytes {
	enum entry_kind kind; /* may be one this version does not know: keep or skip it */
	uint64_t key;
	const uint8_t *body;
	uint32_t body_n;
};

/*
 * Reads the step at *at (which ends before `end`), its cause and where its entries are; moves *at behind the step.
 * 1: a step; 0: *at == end; -1: the bytes are no step (damage that the checksum missed, or a bug).
 */
int step_next(const uint8_t **at, const uint8_t *end, struct cause *, const uint8_t **entries, const uint8_t **entries_end);

/* The same for the entries of a step. */
int entry_next(const uint8_t **at, const uint8_t *end, struct entry_bytes *);

/* A body stands at start + ENTRY_HEAD_BYTES and ends at `end`: puts the head before it; the entry's end. */
uint8_t *entry_end_long(uint8_t *start, enum entry_kind, uint64_t key, size_t n);
static inline uint8_t *
entry_end(uint8_t *start, enum entry_kind kind, uint64_t key, uint8_t *end)
{
	size_t n = (size_t)(end - start) - ENTRY_HEAD_BYTES;
	uint64_t head = (uint64_t)kind | n << 8 | key << 24;
	if (n >= ENTRY_BODY_LONG)
		return entry_end_long(start, kind, key, n);
	memcpy(start, &head, sizeof head);
	return end;
}

/* The same for a step: its flags, strings and entries stand at start + STEP_HEAD_BYTES. */
static inline void
step_end_at(uint8_t *start, enum cause_kind cause, uint8_t flags, const uint8_t *end)
{
	uint32_t head = (uint32_t)(end - start - 3) | (uint32_t)cause << 24;
	memcpy(start, &head, sizeof head);
	start[4] = flags;
}

/* A string of at most 255 bytes; the end. */
static inline uint8_t *
string_put(uint8_t *at, struct bytes string)
{
	*at++ = (uint8_t)string.n;
	memory_copy(at, string.at, string.n);
	return at + string.n;
}
/* NULL: it does not end before `end`. */
static inline const uint8_t *
string_get(const uint8_t *at, const uint8_t *end, struct bytes *string)
{
	if (at == NULL || at >= end || *at > end - at - 1)
		return NULL;
	*string = (struct bytes){ at + 1, *at };
	return at + 1 + *at;
}

/* Varints, for what is mostly tiny (refs.h). Put returns the end; get returns NULL past `end` or on overlong input. */
uint8_t *varint_put(uint8_t *, uint64_t);
const uint8_t *varint_get(const uint8_t *at, const uint8_t *end, uint64_t *);

/* "cell", "reservation", ...: for doctor and messages; "unknown kind" otherwise. */
const char *entry_kind_name(enum entry_kind);
const char *cause_kind_name(enum cause_kind);

#endif
