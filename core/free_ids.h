/*
 * free_ids.h: remembered free ids of events (D27): a ring in order of arrival and an index by id. Identity is (source, id).
 * The engine's thread only; changes come through free_ids_evolve().
 */
#ifndef HOLDFAST_CORE_FREE_IDS_H
#define HOLDFAST_CORE_FREE_IDS_H

#include "core/record.h"

struct free_id {
	uint64_t id[2];
	uint64_t digest;
	uint64_t seq_outcome; /* as in struct mark; 0: empty */
	int64_t arrival;
	uint32_t source;
};

struct free_ids {
	struct free_id *at;
	struct index index;
	uint32_t ring;
	uint64_t next; /* number of the next one */
};

void free_ids_init(struct free_ids *, struct carve *, uint32_t ring);
void free_id_key(struct bytes id, uint64_t key[2]);
/* The newest of the source (or of any source if NAME_NONE); NULL: unknown. */
const struct free_id *free_ids_find(const struct free_ids *, uint32_t source, struct bytes id);
/* Of one that is there. */
uint64_t free_ids_number(const struct free_ids *, const struct free_id *);
void free_ids_evolve(struct free_ids *, uint64_t seq, const struct free_id_record *);

#endif
