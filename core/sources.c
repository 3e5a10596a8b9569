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

static void
count_missing(struct sources *sources, uint32_t source)
{
	struct source *s = &sources->at[source];
	s->missing = 0;
	for (uint64_t n = s->contiguous + 1; n <= s->highest; n++)
		s->missing += !sources_has(sources, source, n);
}

void
sources_load_done(struct sources *sources, uint32_t n)
{
	for (uint32_t source = 0; source < n; source++)
		count_missing(sources, source);
}

static void
advance(struct sources *sources, uint32_t source, uint64_t seq, uint64_t contiguous, uint64_t highest, int64_t last_at)
{
	struct source *s = &sources->at[source];
	if (s->known && seq < s->seq)
		return; /* at load marks come by slot, not by position: the latest position has the marks */
	s->contiguous = contiguous;
	s->highest = highest;
	s->last_at = last_at;
	s->seq = seq;
	s->known = true;
}

void
sources_mark(struct sources *sources, uint64_t seq, const struct mark_record *r)
{
	struct mark *mark = slot_of(sources, r->source, r->n);
	struct source *s = &sources->at[r->source];
	ensure(r->highest - r->contiguous <= SOURCE_WINDOW);
	if (r->n > s->contiguous && mark->n != r->n) /* those up to it are missing, but not itself; one that was given up is not counted */
		s->missing += (uint32_t)(r->highest - s->highest) - 1;
	*mark = (struct mark){ r->n, r->digest, seq << 11 | (uint64_t)r->status << 3 | r->outcome };
	advance(sources, r->source, seq, r->contiguous, r->highest, r->last_at);
}

void
sources_set(struct sources *sources, uint64_t seq, const struct source_record *r)
{
	advance(sources, r->source, seq, r->contiguous, r->highest, r->last_at);
	count_missing(sources, r->source);
}
