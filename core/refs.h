/*
 * refs.h: what a reservation keeps beside its lines, as one string of bytes (the `extra` of its record): the owner, then each
 * ref with the result of its first call (D16).
 *
 *   extra = string owner, ref*      ref = u8 operation, string ref, u64 digest, varint seq, u8 state, varint moved_n, moved*
 *   moved = varint line index, varint units
 *
 * Empty when there is neither. Pure functions.
 */
#ifndef HOLDFAST_CORE_REFS_H
#define HOLDFAST_CORE_REFS_H

#include "core/record.h"

#define EXTRA_BYTES_MAX 16384 /* beyond: limit, which "refs" */

struct ref {
	uint8_t operation; /* enum cause_kind */
	struct bytes ref;
	uint64_t digest, seq;
	uint8_t state;
	uint32_t moved_n;
	const uint8_t *moved; /* read with ref_moved() */
};

/* A walk over an extra. */
struct refs {
	const uint8_t *at, *end;
};
/* The owner; the walk then stands at the first ref. */
struct bytes refs_begin(struct bytes extra, struct refs *);
/* true: the next ref; the walk then stands behind it. */
bool refs_next(struct refs *, struct ref *);
/* Next (line, units) of a ref's moved list, starting from ref.moved. */
const uint8_t *ref_moved(const uint8_t *at, const uint8_t *end, uint32_t *line, uint32_t *units);
/* Writers. Each returns the end. */
uint8_t *refs_put_owner(uint8_t *, struct bytes owner);
uint8_t *ref_put(uint8_t *, const struct ref *); /* moved is put behind it by the caller */
uint8_t *ref_put_moved(uint8_t *, uint32_t line, uint32_t units);

#endif
