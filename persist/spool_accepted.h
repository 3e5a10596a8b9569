/*
 * spool_accepted.h: which numbers of which sources have been accepted: per source up to ACCEPTED_RANGES_MAX ranges of n, ascending,
 * apart from each other. It answers `position` while the server is away. In memory; its image stands at the head of each segment.
 *
 * A1: what it says was accepted was accepted. What it has forgotten (a range or a source too many: the shortest range, the source
 * heard of longest ago) is only asked for again, and then is a duplicate.
 *
 * One thread. Memory is acquired by init: some 600 bytes a source.
 */
#ifndef HOLDFAST_PERSIST_SPOOL_ACCEPTED_H
#define HOLDFAST_PERSIST_SPOOL_ACCEPTED_H

#include "core/base.h"
#include "core/hash.h"

#define ACCEPTED_RANGES_MAX 32
/* Of one source in the image: length, name, last_at, number of ranges, ranges. */
#define ACCEPTED_SOURCE_BYTES_MAX (1 + PLACE_BYTES_MAX + 8 + 1 + 16 * ACCEPTED_RANGES_MAX)

struct accepted_range {
	uint64_t from, to;
};

struct accepted_source {
	uint8_t name[PLACE_BYTES_MAX];
	uint8_t name_n, ranges_n;
	int64_t last_at; /* the greatest instant among its events; -1: none */
	uint64_t heard; /* the later heard of, the greater */
	struct accepted_range ranges[ACCEPTED_RANGES_MAX];
};

struct accepted {
	struct accepted_source *sources;
	uint32_t *index; /* by hash of the name, open addressing: source + 1 */
	struct hash_seed seed; /* of the index: where a name stands cannot be chosen from outside */
	uint32_t n, max, index_n, latest;
	uint64_t heard;
};

/* secret: something that who names sources cannot guess; no answer and no image depends on it. -1: no memory. */
int accepted_init(struct accepted *, uint32_t sources_max, uint64_t secret);
void accepted_fini(struct accepted *);
/* from..to of that source (1 to 32 bytes) is accepted, 1 <= from <= to; at: an instant, -1: none. */
void accepted_add(struct accepted *, struct bytes source, uint64_t from, uint64_t to, int64_t at);
/* NULL: nothing is known of it. Borrowed until the next add. */
const struct accepted_source *accepted_find(const struct accepted *, struct bytes source);

/* The most bytes that encode() writes. */
size_t accepted_bytes_max(const struct accepted *);
size_t accepted_encode(const struct accepted *, uint8_t *at);
/* Adds what the image holds. False: it is none. */
bool accepted_decode(struct accepted *, const uint8_t *at, size_t n);

#endif
