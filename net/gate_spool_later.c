/* gate_spool_later.c: a sorted array; what is gone is closed up when it is half of it. */
#include "net/gate_spool_later.h"

#include <stdlib.h>

void
later_init(struct gate_later *l)
{
	*l = (struct gate_later){ .wait_ms = LATER_WAIT_MS };
}

void
later_fini(struct gate_later *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		free(l->events[i].at);
	free(l->events);
	later_init(l);
}

bool
later_full(const struct gate_later *l)
{
	return later_count(l) >= LATER_EVENTS_MAX || l->bytes >= LATER_BYTES_MAX;
}

static void
close_up(struct gate_later *l)
{
	uint32_t kept = 0, round = l->round;
	for (uint32_t i = 0; i < l->n; i++) {
		if (i == l->round)
			round = kept;
		if (l->events[i].state != LATER_GONE)
			l->events[kept++] = l->events[i];
	}
	l->round = l->round >= l->n ? kept : round;
	l->n = kept;
	l->gone = 0;
}

uint64_t
later_first(struct gate_later *l)
{
	if (l->gone && (l->gone > l->n / 2 || l->events[0].state == LATER_GONE))
		close_up(l);
	return l->n ? l->events[0].number : UINT64_MAX;
}

static bool
grow(struct gate_later *l)
{
	if (l->n < l->max)
		return true;
	uint32_t max = l->max ? 2 * l->max : 256;
	void *events = realloc(l->events, max * sizeof *l->events);
	if (!events)
		return false;
	l->events = events;
	l->max = max;
	return true;
}

bool
later_add(struct gate_later *l, uint64_t number, int64_t stamp_ms, struct bytes event, bool alone, int64_t now_ms)
{
	uint8_t *copy = malloc(event.n);
	if (!copy || !grow(l)) {
		free(copy);
		return false;
	}
	memcpy(copy, event.at, event.n);
	uint32_t at = l->n;
	while (at > 0 && l->events[at - 1].number > number)
		at--;
	memmove(&l->events[at + 1], &l->events[at], (l->n - at) * sizeof *l->events);
	l->events[at] = (struct later_event){ .number = number, .stamp_ms = stamp_ms, .at = copy, .n = (uint16_t)event.n, .alone = alone };
	if (later_count(l) == 0) { /* the first one: a round begins after a wait */
		l->due_ms = now_ms + l->wait_ms;
		l->round = l->n + 1;
	} else if (l->round >= l->n || at < l->round) {
		l->round++; /* not in this round */
	}
	l->n++;
	l->bytes += event.n;
	return true;
}

struct later_event *
later_find(struct gate_later *l, uint64_t number)
{
	uint32_t low = 0, high = l->n;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (l->events[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < l->n && l->events[low].number == number && l->events[low].state != LATER_GONE ? &l->events[low] : NULL;
}

void
later_carried(struct gate_later *l, struct later_event *event)
{
	l->bytes -= event->n;
	free(event->at);
	event->at = NULL;
	event->state = LATER_GONE;
	l->gone++;
}

void
later_settle(struct gate_later *l, struct later_event *event)
{
	later_carried(l, event);
	l->progress = true;
}

/*
 * A round ends when it has looked at all; the next one begins after a wait. What it settles is known when its replies are here, so
 * it counts for the wait after the next one.
 */
static void
round_end(struct gate_later *l, int64_t now_ms)
{
	if (l->progress)
		l->wait_ms = LATER_WAIT_MS;
	else if (l->wait_ms < LATER_WAIT_MS_MAX)
		l->wait_ms = 2 * l->wait_ms < LATER_WAIT_MS_MAX ? 2 * l->wait_ms : LATER_WAIT_MS_MAX;
	l->progress = false;
	l->due_ms = now_ms + l->wait_ms;
}

struct later_event *
later_next(struct gate_later *l, int64_t now_ms)
{
	if (later_count(l) == 0)
		return NULL;
	if (l->round >= l->n) {
		if (now_ms < l->due_ms)
			return NULL;
		l->round = 0;
	}
	while (l->round < l->n) {
		struct later_event *event = &l->events[l->round++];
		if (l->round == l->n)
			round_end(l, now_ms);
		if (event->state == LATER_WAITING)
			return event;
	}
	return NULL;
}

int64_t
later_due_ms(const struct gate_later *l)
{
	return later_count(l) == 0 ? INT64_MAX : l->round < l->n ? 0 : l->due_ms;
}

void
later_hurry(struct gate_later *l, int64_t now_ms)
{
	l->wait_ms = LATER_WAIT_MS;
	if (l->due_ms > now_ms)
		l->due_ms = now_ms;
}
