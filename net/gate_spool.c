/* gate_spool.c: see gate_spool.h. */
#include "net/clock.h"
#include "net/codec_write.h"
#include "net/gate_spool_part.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define REFUSAL_BYTES_MAX 160 /* index, code, a sentence of ours */
#define MARK_LOOK_MS 1000 /* the spool is tended so often when nothing else happens */

/* ---- taking ---- */

bool
gate_spool_room(const struct gate_spool *g)
{
	return g->taken_n < SPOOL_TAKEN_MAX && g->taken_bytes < SPOOL_TAKEN_BYTES_MAX && !g->failed;
}

static void
spool_failed(struct gate_spool *g, const struct why *why)
{
	if (!g->failed)
		g->why = *why;
	g->failed = true;
}

static void
refusal_put(struct gate_spool *g, uint32_t index, enum status status, const char *sentence)
{
	const char *code = status_name(status);
	uint8_t *at = buffer_room(&g->refusals, REFUSAL_BYTES_MAX);
	if (!at)
		return;
	uint8_t *p = wire_array(at, 3);
	p = wire_uint(p, index);
	p = wire_str(p, (struct bytes){ (const uint8_t *)code, (uint32_t)strlen(code) });
	p = wire_str(p, (struct bytes){ (const uint8_t *)sentence, (uint32_t)strlen(sentence) });
	g->refusals.used += (size_t)(p - at);
}

/* S7. A message of a full spool is refused whole, at once. */
static void
refuse_full(struct gate_spool *g, const struct raw_header *to)
{
	static const char detail[] = "\x81\xa5which\xa5spool";
	static const char sentence[] = "the spool is full: send it again later";
	uint8_t head[FRAME_REFUSAL_BYTES_MAX];
	struct raw_part parts[FRAME_ANSWER_PARTS];
	const char *name = status_name(STATUS_CAPACITY);
	g->setup.counters->spool_full++;
	if (to->n == 0)
		return;
	int parts_n = frame_refusal(head, true, (struct bytes){ (const uint8_t *)name, (uint32_t)strlen(name) },
	    (struct bytes){ (const uint8_t *)sentence, sizeof sentence - 1 }, (struct bytes){ (const uint8_t *)detail, sizeof detail - 1 }, parts);
	g->setup.answer(g->setup.context, to, parts, parts_n);
}

/* A full spool may have got room since. */
static bool
fits(struct gate_spool *g, size_t bytes)
{
	struct why why;
	if (spool_fits(g->spool, bytes, false))
		return true;
	if (spool_tend(g->spool, clock_steady_ms(), &why))
		spool_failed(g, &why);
	return !g->failed && spool_fits(g->spool, bytes, false);
}

static void
event_take(struct gate_spool *g, struct taken *t, uint32_t index)
{
	const struct split_event *event = &g->events[index];
	struct why why;
	if (event->status != STATUS_OK) {
		t->refused_n++;
		refusal_put(g, index, event->status, event->sentence);
		return;
	}
	if (spool_payload(g->spool) + SPOOL_RECORD_BYTES + event->bytes.n > spool_payload_max(g->spool)
	    && spool_commit(g->spool, clock_wall_ms(), &why)) {
		spool_failed(g, &why);
		return;
	}
	t->last = spool_add(g->spool, event->bytes);
	t->first = t->first ? t->first : t->last;
	g->setup.counters->spool_queued++;
}

void
gate_spool_take(struct gate_spool *g, const struct raw_header *to, const uint8_t *message, size_t n)
{
	struct taken *t = &g->taken[g->taken_n];
	size_t bytes;
	ensure(g->taken_n < SPOOL_TAKEN_MAX);
	uint32_t count = split_message(message, n, g->events, &bytes);
	if (!fits(g, bytes)) {
		if (!g->failed)
			refuse_full(g, to);
		return;
	}
	*t = (struct taken){ .to = *to, .refusals_at = g->refusals.used };
	for (uint32_t i = 0; i < count && !g->failed; i++)
		event_take(g, t, i);
	t->refusals_n = g->refusals.used - t->refusals_at;
	g->setup.counters->spool_unfit += t->refused_n;
	g->taken_bytes += n + t->refusals_n;
	if (to->n)
		g->taken_n++;
	else
		g->refusals.used = t->refusals_at; /* nobody is told */
}

/* ---- answering ---- */

/* SP1: after the commit. */
static void
answer_queued(struct gate_spool *g, const struct taken *t)
{
	uint8_t head[64], *p = head;
	struct raw_part parts[2];
	p = t->refused_n ? WIRE(p, "\x82\xa6queued") : WIRE(p, "\x81\xa6queued");
	if (t->first) {
		p = wire_array(p, 2);
		p = wire_uint(p, t->first);
		p = wire_uint(p, t->last);
	} else {
		*p++ = 0xc0;
	}
	if (t->refused_n) {
		p = WIRE(p, "\xa7refused");
		p = wire_array(p, t->refused_n);
	}
	parts[0] = (struct raw_part){ head, (size_t)(p - head) };
	parts[1] = (struct raw_part){ g->refusals.at + t->refusals_at, t->refusals_n };
	g->setup.answer(g->setup.context, &t->to, parts, t->refused_n ? 2 : 1);
}

static int
taken_commit(struct gate_spool *g, struct why *why)
{
	if (spool_commit(g->spool, clock_wall_ms(), why))
		return -1;
	for (uint32_t i = 0; i < g->taken_n; i++)
		answer_queued(g, &g->taken[i]);
	g->taken_n = 0;
	g->taken_bytes = 0;
	g->refusals.used = 0;
	g->refusals.full = false;
	return 0;
}

/* ---- the step ---- */

__attribute__((format(printf, 2, 3))) static void
spool_say(const struct gate_spool *g, const char *format, ...)
{
	char line[256];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	if (g->setup.say)
		g->setup.say(line);
}

static double
seconds_since(int64_t wall_ms)
{
	int64_t ms = clock_wall_ms() - wall_ms;
	return wall_ms < 0 || ms < 0 ? 0 : (double)ms / 1000;
}

/* What the operator sees of an absence: its beginning, its end, and that the backlog is gone. */
static void
line_tell(struct gate_spool *g, bool away, int64_t now_ms)
{
	struct spool_figures f;
	if (away == g->away && g->back_from == 0)
		return;
	spool_figures(g->spool, &f);
	if (away && !g->away)
		spool_say(g, "spool: events are kept until the server is back: %" PRIu64 " wait, %" PRIu64 " of %" PRIu64 " MiB are used",
		    f.waiting, f.bytes >> 20, f.bytes_max >> 20);
	if (!away && g->away && f.waiting) {
		g->back_from = f.waiting;
		g->back_ms = now_ms;
		spool_say(g, "spool: delivering %" PRIu64 " events, the oldest of them %.0f s old", f.waiting, seconds_since(drain_oldest_ms(&g->drain)));
		drain_hurry(&g->drain, now_ms);
	}
	g->away = away;
	if (away || g->back_from == 0 || f.waiting > later_count(&g->drain.later) + DRAIN_BATCH_EVENTS)
		return;
	spool_say(g, "spool: the backlog of %" PRIu64 " events is delivered after %.1f s, %u wait to be tried again", g->back_from,
	    (double)(now_ms - g->back_ms) / 1000, later_count(&g->drain.later));
	g->back_from = 0;
}

int
gate_spool_step(struct gate_spool *g, bool up, bool away, int64_t now_ms, struct why *why)
{
	if (g->failed) {
		*why = g->why;
		return -1;
	}
	if (taken_commit(g, why))
		return -1;
	if (up && drain_step(&g->drain, now_ms, clock_wall_ms(), why))
		return -1;
	line_tell(g, away, now_ms);
	g->tend_ms = now_ms + MARK_LOOK_MS;
	return spool_tend(g->spool, now_ms, why);
}

int64_t
gate_spool_due_ms(const struct gate_spool *g, bool up, int64_t now_ms)
{
	int64_t due_ms = up ? drain_due_ms(&g->drain, now_ms) : INT64_MAX;
	struct spool_figures f;
	spool_figures(g->spool, &f);
	/* A mark, a spare that is missing: looked after now and then. An idle spool waits for ever. */
	bool tend = f.waiting || f.spares == 0 || f.unmarked;
	return tend && g->tend_ms < due_ms ? g->tend_ms : due_ms;
}

bool
gate_spool_result(struct gate_spool *g, const struct gate_request *request, struct bytes result)
{
	return drain_result(&g->drain, request, result, clock_steady_ms(), clock_wall_ms());
}

void
gate_spool_error(struct gate_spool *g, const struct gate_request *request, const struct frame_reply *reply)
{
	drain_error(&g->drain, request, reply, clock_steady_ms(), clock_wall_ms());
}

void
gate_spool_count(struct gate_spool *g, struct gate_counters *c)
{
	struct spool_figures f;
	int64_t oldest_ms = drain_oldest_ms(&g->drain), now_ms = clock_wall_ms();
	spool_figures(g->spool, &f);
	c->spool_waiting = f.waiting;
	c->spool_bytes = f.bytes;
	c->spool_bytes_max = f.bytes_max;
	c->spool_later = later_count(&g->drain.later);
	c->spool_oldest_ms = oldest_ms < 0 || oldest_ms > now_ms ? 0 : (uint64_t)(now_ms - oldest_ms);
	c->spool_refused_bytes = g->refused.end;
}

/* ---- opening and closing ---- */

static int
spool_start(struct gate_spool *g, struct why *why)
{
	struct spool_found found;
	struct spool_options options = { .bytes_max = g->setup.bytes_max, .segment_bytes = spool_segment_bytes(g->setup.bytes_max),
		.sources_max = SPOOL_SOURCES_MAX, .salt = g->setup.salt, .identify = split_identify };
	g->disk = disk_posix_open(g->setup.folder, why);
	g->spool = g->disk ? spool_open(g->disk, &options, &found, why) : NULL;
	if (!g->spool || refused_open(&g->refused, g->disk, why) < 0)
		return -1;
	if (found.cut_bytes)
		spool_say(g, "spool: a torn end of %" PRIu64 " bytes was cut: a message that was never answered", found.cut_bytes);
	if (found.last > found.delivered)
		spool_say(g, "spool: %" PRIu64 " events are here from before", found.last - found.delivered);
	if (g->refused.count)
		spool_say(g, "spool: the file %s holds %" PRIu64 " events that the server will never keep", REFUSED_NAME, g->refused.count);
	drain_init(&g->drain, g->spool, found.delivered, g->setup.drain_rate, &g->refused, g->setup.queue, g->setup.counters);
	return spool_tend(g->spool, clock_steady_ms(), why);
}

struct gate_spool *
gate_spool_open(const struct gate_spool_setup *setup, struct why *why)
{
	struct gate_spool *g = calloc(1, sizeof *g);
	if (!g) {
		snprintf(why->text, sizeof why->text, "no memory for the spool");
		return NULL;
	}
	g->setup = *setup;
	g->refused.fd = -1;
	g->refusals.limit = 2 * SPOOL_TAKEN_BYTES_MAX;
	if (spool_start(g, why) == 0)
		return g;
	gate_spool_close(g);
	return NULL;
}

void
gate_spool_close(struct gate_spool *g)
{
	if (!g)
		return;
	drain_fini(&g->drain);
	refused_close(&g->refused);
	spool_close(g->spool);
	if (g->disk)
		g->disk->calls->end(g->disk);
	buffer_fini(&g->refusals);
	free(g);
}
