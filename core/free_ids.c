#include "core/free_ids.h"

#include "core/hash.h"
#include "core/names.h"

void
free_ids_init(struct free_ids *ids, struct carve *c, uint32_t ring)
{
	ids->ring = ring;
	ids->at = carve(c, ring, sizeof *ids->at);
	ids->index.slots_n = index_slots(ring);
	ids->index.slots = carve(c, ids->index.slots_n, sizeof *ids->index.slots);
}

void
free_id_key(struct bytes id, uint64_t key[2])
{
	XXH128_hash_t h = XXH3_128bits(id.at, id.n);
	key[0] = h.high64;
	key[1] = h.low64;
}

static uint64_t
place_of(const struct free_ids *ids, const uint64_t key[2])
{
	return index_hash(&ids->index, (struct bytes){ (const uint8_t *)key, 2 * sizeof *key });
}

const struct free_id *
free_ids_find(const struct free_ids *ids, uint32_t source, struct bytes id)
{
	const struct free_id *found = NULL;
	uint64_t key[2];
	free_id_key(id, key);
	struct index_probe probe = index_first(&ids->index, place_of(ids, key));
	for (uint32_t n; (n = index_next(&ids->index, &probe)) != INDEX_NONE;) {
		const struct free_id *f = &ids->at[n];
		if (f->id[0] != key[0] || f->id[1] != key[1] || (source != NAME_NONE && f->source != source))
			continue;
		if (found == NULL || f->seq_outcome > found->seq_outcome)
			found = f;
	}
	return found;
}

uint64_t
free_ids_number(const struct free_ids *ids, const struct free_id *f)
{
	uint64_t newest = ids->next - 1;
	return newest - (newest - (uint64_t)(f - ids->at)) % ids->ring;
}

void
free_ids_evolve(struct free_ids *ids, uint64_t seq, const struct free_id_record *r)
{
	struct free_id *f = &ids->at[r->slot];
	if (f->seq_outcome)
		index_remove(&ids->index, place_of(ids, f->id), r->slot);
	*f = (struct free_id){ { r->id[0], r->id[1] }, r->digest, seq << 11 | (uint64_t)r->status << 3 | r->outcome, r->arrival, r->source };
	index_put(&ids->index, place_of(ids, f->id), r->slot);
	if (r->number >= ids->next)
		ids->next = r->number + 1;
}
