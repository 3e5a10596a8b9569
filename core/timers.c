#include "core/timers.h"

#define FINE_N   (1u << TIMER_FINE_BITS)
#define COARSE_N (1u << TIMER_COARSE_BITS)
#define NOWHERE  UINT32_MAX
#define ADVANCE_MOVES 256 /* holds moved ahead per batch: far more than a batch per millisecond can add beyond the circle */
#define LEFT_ALONE_MS (4 * (1 << TIMER_STEP_BITS)) /* a coarse slot moves over when it is this far inside the fine circle */

static struct timer *
timer_at(const struct timers *t, uint32_t slot)
{
	return (struct timer *)(t->first + (size_t)slot * t->stride);
}

static int64_t
deadline_of(const struct timers *t, uint32_t slot)
{
	int64_t deadline;
	memcpy(&deadline, t->first + (size_t)slot * t->stride + t->deadline_offset, sizeof deadline);
	return deadline;
}

static void
circle_init(struct circle *circle, struct carve *c, uint32_t bits)
{
	circle->head = carve(c, 1u << bits, sizeof *circle->head);
	circle->levels = 0;
	for (uint32_t words = (1u << bits) / 64;; words = (words + 63) / 64) {
		circle->bits[circle->levels++] = carve(c, words, sizeof(uint64_t));
		if (words <= 1 || circle->levels == 4)
			break;
	}
}

/* A bit that is set already has all those above it set, too. */
static void
circle_mark(struct circle *circle, uint32_t at)
{
	for (uint32_t level = 0; level < circle->levels; level++, at /= 64) {
		uint64_t *word = &circle->bits[level][at / 64], bit = UINT64_C(1) << at % 64;
		if (*word & bit)
			return;
		*word |= bit;
	}
}

static void
circle_clear(struct circle *circle, uint32_t at)
{
	for (uint32_t level = 0; level < circle->levels; level++, at /= 64) {
		circle->bits[level][at / 64] &= ~(UINT64_C(1) << at % 64);
		if (circle->bits[level][at / 64] != 0)
			return;
	}
}

/* The first marked slot >= from (no wrapping); NOWHERE: none. Climbs to where a later bit is set, then down again. */
static uint32_t
circle_seek(const struct circle *circle, uint32_t from, uint32_t n)
{
	uint64_t at = from;
	for (uint32_t level = 0; level < circle->levels; level++, at = at / 64 + 1) {
		if (at > (n - 1) >> (6 * level))
			return NOWHERE;
		uint64_t word = circle->bits[level][at / 64] & (UINT64_MAX << at % 64);
		if (word == 0)
			continue;
		at = at / 64 * 64 + (uint32_t)__builtin_ctzll(word);
		while (level-- > 0)
			at = at * 64 + (uint32_t)__builtin_ctzll(circle->bits[level][at]);
		return (uint32_t)at;
	}
	return NOWHERE;
}

/* The first marked slot from `from` on around the circle. */
static uint32_t
circle_next(const struct circle *circle, uint32_t from, uint32_t n)
{
	uint32_t at = circle_seek(circle, from, n);
	return at != NOWHERE || from == 0 ? at : circle_seek(circle, 0, n);
}

void
timers_init(struct timers *t, struct carve *c)
{
	circle_init(&t->fine, c, TIMER_FINE_BITS);
	circle_init(&t->coarse, c, TIMER_COARSE_BITS);
	t->soonest = INT64_MAX;
}

void
timers_bind(struct timers *t, void *first, size_t stride, size_t deadline_offset)
{
	t->first = first;
	t->stride = stride;
	t->deadline_offset = deadline_offset;
}

void
timers_set_now(struct timers *t, int64_t now)
{
	t->now = now;
}

/* Where T1 says that a deadline belongs while `now` is in force. */
enum belongs { BELONGS_DUE, BELONGS_FINE, BELONGS_COARSE };

static enum belongs
belongs(const struct timers *t, int64_t deadline)
{
	if (deadline < t->now)
		return BELONGS_DUE;
	return deadline - t->now < FINE_N ? BELONGS_FINE : BELONGS_COARSE;
}

static void
push(struct timers *t, uint32_t *head, uint32_t slot)
{
	struct timer *timer = timer_at(t, slot);
	timer->prev = 0;
	timer->next = *head;
	if (*head)
		timer_at(t, *head - 1)->prev = slot + 1;
	*head = slot + 1;
}

void
timers_put(struct timers *t, uint32_t slot)
{
	int64_t deadline = deadline_of(t, slot);
	uint32_t at;
	if (deadline < t->soonest)
		t->soonest = deadline;
	switch (belongs(t, deadline)) {
	case BELONGS_DUE:
		push(t, &t->due, slot);
		break;
	case BELONGS_FINE:
		at = (uint32_t)deadline & (FINE_N - 1);
		push(t, &t->fine.head[at], slot);
		circle_mark(&t->fine, at);
		break;
	case BELONGS_COARSE:
		ensure(deadline - t->now < TIMER_SPAN_MS);
		at = (uint32_t)(deadline >> TIMER_STEP_BITS) & (COARSE_N - 1);
		push(t, &t->coarse.head[at], slot);
		circle_mark(&t->coarse, at);
		break;
	}
}

void
timers_remove(struct timers *t, uint32_t slot)
{
	struct timer *timer = timer_at(t, slot);
	if (timer->next)
		timer_at(t, timer->next - 1)->prev = timer->prev;
	if (timer->prev) {
		timer_at(t, timer->prev - 1)->next = timer->next;
	} else {
		/* First of a list: which one follows from the deadline and from whose head it is. */
		int64_t deadline = deadline_of(t, slot);
		uint32_t fine = (uint32_t)deadline & (FINE_N - 1);
		uint32_t coarse = (uint32_t)(deadline >> TIMER_STEP_BITS) & (COARSE_N - 1);
		if (t->fine.head[fine] == slot + 1) {
			t->fine.head[fine] = timer->next;
			if (timer->next == 0)
				circle_clear(&t->fine, fine);
		} else if (t->coarse.head[coarse] == slot + 1) {
			t->coarse.head[coarse] = timer->next;
			if (timer->next == 0)
				circle_clear(&t->coarse, coarse);
		} else {
			ensure(t->due == slot + 1);
			t->due = timer->next;
		}
	}
	timer->next = timer->prev = 0;
}

/* The start of the first coarse slot that holds something; INT64_MAX: none. */
static int64_t
coarse_next(const struct timers *t)
{
	uint32_t here = (uint32_t)(t->now >> TIMER_STEP_BITS) & (COARSE_N - 1);
	uint32_t at = circle_next(&t->coarse, here, COARSE_N);
	if (at == NOWHERE)
		return INT64_MAX;
	return ((t->now >> TIMER_STEP_BITS) + ((at - here) & (COARSE_N - 1))) << TIMER_STEP_BITS;
}

static int64_t
fine_next(const struct timers *t)
{
	uint32_t here = (uint32_t)t->now & (FINE_N - 1);
	uint32_t at = circle_next(&t->fine, here, FINE_N);
	return at == NOWHERE ? INT64_MAX : t->now + ((at - here) & (FINE_N - 1));
}

int64_t
timers_next(const struct timers *t)
{
	if (t->due)
		return t->now - 1;
	int64_t fine = fine_next(t), coarse = coarse_next(t);
	return fine < coarse ? fine : coarse;
}

/* Moves holds of the first coarse slot over while it lies inside the fine circle. */
static void
cascade(struct timers *t, uint32_t *work)
{
	for (;;) {
		int64_t start = coarse_next(t);
		if (start == INT64_MAX || start - t->now >= FINE_N - LEFT_ALONE_MS)
			return;
		uint32_t *head = &t->coarse.head[(uint32_t)(start >> TIMER_STEP_BITS) & (COARSE_N - 1)];
		while (*head) {
			if (*work == 0)
				return;
			uint32_t slot = *head - 1;
			timers_remove(t, slot);
			timers_put(t, slot);
			(*work)--;
		}
	}
}

void
timers_advance(struct timers *t, int64_t now)
{
	uint32_t work = ADVANCE_MOVES;
	cascade(t, &work);
	t->soonest = timers_next(t);
	if (t->soonest > now && now > t->now)
		t->now = now;
}

uint32_t
timers_due(struct timers *t, int64_t now, uint32_t *work)
{
	for (;;) {
		cascade(t, work);
		if (t->due)
			return t->due - 1;
		int64_t fine = fine_next(t), coarse = coarse_next(t);
		if (fine <= coarse && fine <= now) {
			t->now = fine;
			return t->fine.head[(uint32_t)fine & (FINE_N - 1)] - 1;
		}
		if (*work == 0)
			return NOWHERE;
		if (coarse > now) {
			if (now > t->now)
				t->now = now;
			return NOWHERE;
		}
		/* Only after a jump of time: go to that coarse slot and let cascade() open it. */
		if (coarse > t->now)
			t->now = coarse;
	}
}
