/*
 * image_rig.h: random batches of well-formed steps, and the plainest possible fold of them: an array that is searched from the
 * start. For the tests of the image and of what stands on it.
 */
#ifndef HOLDFAST_TESTS_IMAGE_RIG_H
#define HOLDFAST_TESTS_IMAGE_RIG_H

#include "core/entry.h"
#include "persist/image.h"
#include "persist/log.h"

#define FOLD_TWIN_MAX 8192

struct twin_record {
	uint64_t seq, key;
	enum entry_kind kind;
	uint8_t *body;
	uint32_t body_n;
};
struct fold_twin {
	struct twin_record *records;
	uint32_t n;
};
void fold_twin_init(struct fold_twin *);
void fold_twin_fini(struct fold_twin *);
void fold_twin_put(struct fold_twin *, uint64_t seq, const struct entry_bytes *);
/* Every step of a batch. */
void fold_twin_fold(struct fold_twin *, const struct log_batch *);
/* Whether loading the image gives exactly these records, in order. */
bool fold_twin_is(struct fold_twin *, struct image *);

/* A seeded source of numbers. */
uint64_t draw(uint64_t *state);

struct batch_shape {
	uint32_t steps, entries; /* of a batch; of a step: at most, at least 1 */
	uint32_t keys; /* per kind */
	uint32_t body_max;
};
/* A batch of random steps behind last_seq. Lent until the next call. */
const struct log_batch *draw_batch(uint64_t *state, uint64_t last_seq, const struct batch_shape *);

/* A new folder under TMPDIR, and its end with all that is in it. */
void folder_new(char path[256]);
void folder_remove(const char *path);

/* A whole file, from malloc; and the way back. */
uint8_t *file_get(const char *dir, const char *name, size_t *n);
void file_put(const char *dir, const char *name, const uint8_t *, size_t n);

#endif
