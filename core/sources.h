/*
 * sources.h: what is remembered of each source's numbered events (D27 to D29).
 *
 * M1 n is seen if n <= contiguous (and not declared lost), or its ring slot (n mod 4096) holds n.
 * M2 contiguous <= highest <= contiguous + 4096: the ring covers both the window and the last 4,096 digests.
 *
 * The engine's thread only; changes come through sources_mark() and sources_set() (evolve).
 */
#ifndef HOLDFAST_CORE_SOURCES_H
#define HOLDFAST_CORE_SOURCES_H

#include "core/record.h"

struct mark {
	uint64_t n; /* 0: empty */
	uint64_t digest;
	uint64_t seq_outcome; /* position << 11 | status << 3 | outcome */
};

struct source {
	uint64_t contiguous, highest;
	int64_t last_at; /* ms; -1: none */
	uint64_t seq; /* of the last record, to order marks at load */
	uint32_t missing; /* numbers from contiguous to highest that have not come */
	bool known;
};

struct sources {
	struct source *at;
	struct mark *ring; /* SOURCE_WINDOW a source */
	uint32_t max;
};

enum seen { SEEN_NEW, SEEN_TOO_FAR, SEEN_LOST, SEEN_KNOWN, SEEN_LONG_AGO };

void sources_init(struct sources *, struct carve *, uint32_t max);
/* KNOWN: *mark is its ring slot. LONG_AGO: seen, its digest is no longer kept. LOST: declared lost, never came. */
enum seen sources_look(const struct sources *, uint32_t source, uint64_t n, const struct mark **mark);
static inline enum event_outcome
mark_outcome(const struct mark *m)
{
	return (enum event_outcome)(m->seq_outcome & 7);
}
static inline enum status
mark_status(const struct mark *m)
{
	return (enum status)(m->seq_outcome >> 3 & 255);
}
static inline uint64_t
mark_seq(const struct mark *m)
{
	return m->seq_outcome >> 11;
}
/* Fills contiguous, highest and last_at of a record that marks n as seen; at -1: its instant counts for nothing. */
void sources_after(const struct sources *, uint32_t source, uint64_t n, int64_t at, struct mark_record *);
/* The same for skip_to. */
void sources_skip(const struct sources *, uint32_t source, uint64_t skip_to, struct source_record *);
void sources_mark(struct sources *, uint64_t seq, const struct mark_record *);
void sources_set(struct sources *, uint64_t seq, const struct source_record *);
/* Behind an image: what is missing, counted anew, since its marks came by slot and not in their order. */
void sources_load_done(struct sources *, uint32_t n);
/* Slots of its ring that may hold a mark, from the first on. */
static inline uint32_t
sources_marks(const struct sources *sources, uint32_t source)
{
	uint64_t highest = sources->at[source].highest;
	return highest < SOURCE_WINDOW ? (uint32_t)highest + 1 : SOURCE_WINDOW;
}
/* n is in the ring. */
bool sources_has(const struct sources *, uint32_t source, uint64_t n);

#endif
