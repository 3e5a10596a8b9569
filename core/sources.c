#include "core/sources.h"

void
sources_init(struct sources *sources, struct carve *c, uint32_t max)
{
	sources->max = max;
	sources->at = carve(c, max, sizeof *sources->at);
	sources->ring = carve(c, (uint64_t)max * SOURCE_WINDOW, sizeof *sources->ring);
}

static struct mark *
slot_of(const struct sources *sources, uint32_t source, uint64_t n)
{
	return &sources->ring[(uint64_t)source * SOURCE_WINDOW + n % SOURCE_WINDOW];
}

bool
sources_has(const struct sources *sources, uint32_t source, uint64_t n)
{
	return slot_of(sources, source, n)->n == n;
}

enum seen
sources_look(const struct sources *sources, uint32_t source, uint64_t n, const struct mark **mark)
{
	const struct source *s = &sources->at[source];
	*mark = slot_of(sources, source, n);
	if (n <= s->highest && s->highest - n >= SOURCE_WINDOW) /* also while its slot is not overwritten yet (D28) */
		return SEEN_LONG_AGO;
	if ((*mark)->n == n)
		return SEEN_KNOWN;
	if (n > s->contiguous)
		return n - s->contiguous > SOURCE_WINDOW ? SEEN_TOO_FAR : SEEN_NEW;
	return SEEN_LOST;
}

/* Grows over what was seen beyond; `n` counts as seen although it is not in the ring yet. */
static uint64_t
grow(const struct sources *sources, uint32_t source, uint64_t contiguous, uint64_t n)
{
	while (contiguous + 1 == n || sources_has(sources, source, contiguous + 1))
		contiguous++;
	return contiguous;
}

void
sources_after(const struct sources *sources, uint32_t source, uint64_t n, int64_t at, struct mark_record *r)
{
	const struct source *s = &sources->at[source];
	r->contiguous = n == s->contiguous + 1 ? grow(sources, source, s->contiguous, n) : s->contiguous;
	r->highest = n > s->highest ? n : s->highest;
	r->last_at = s->known && s->last_at > at ? s->last_at : at;
}

void
sources_skip(const struct sources *sources, uint32_t source, uint64_t skip_to, struct source_record *r)
{
	const struct source *s = &sources->at[source];
	uint64_t from = skip_to > s->contiguous ? skip_to : s->contiguous;
	*r = (struct source_record){ .source = source, .contiguous = grow(sources, source, from, 0) };
	r->highest = s->highest > r->contiguous ? s->highest : r->contiguous;
	r->last_at = s->known ? s->last_at : -1;
}

uint64_t
sources_missing(const struct sources *sources, uint32_t source)
{
	const struct source *s = &sources->at[source];
	uint64_t missing = 0;
	for (uint64_t n = s->contiguous + 1; n <= s->highest; n++)
		missing += !sources_has(sources, source, n);
	return missing;
}

static void
advance(struct sources *sources, uint32_t source, uint64_t seq, uint64_t contiguous, uint64_t highest, int64_t last_at)
{
	struct source *s = &sources->at[source];
	if (s->known && seq < s->seq)
		return; /* at load marks come by slot, not by position: the latest position has the marks */
	*s = (struct source){ .contiguous = contiguous, .highest = highest, .last_at = last_at, .seq = seq, .known = true };
}

void
sources_mark(struct sources *sources, uint64_t seq, const struct mark_record *r)
{
	struct mark *mark = slot_of(sources, r->source, r->n);
	ensure(r->highest - r->contiguous <= SOURCE_WINDOW);
	*mark = (struct mark){ r->n, r->digest, seq << 11 | (uint64_t)r->status << 3 | r->outcome };
	advance(sources, r->source, seq, r->contiguous, r->highest, r->last_at);
}

void
sources_set(struct sources *sources, uint64_t seq, const struct source_record *r)
{
	advance(sources, r->source, seq, r->contiguous, r->highest, r->last_at);
}
