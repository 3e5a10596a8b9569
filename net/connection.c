/*
 * connection.c: opening, bytes into frames, closing; whose turn it is to be read is in connection_turn.c, what goes back in
 * connection_output.c. The contract, C1..C5, T1..T3 and the drawing of the states are in connection.h.
 */
#define _GNU_SOURCE
#include "net/connection_part.h"
#include "net/codec_read.h"
#include "net/dispatch.h"
#include "net/feed.h"
#include "net/lookahead.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

uint64_t
connection_token(const struct connection *c)
{
	return (uint64_t)c->loop->generations[c->slot] << 32 | c->slot;
}

struct connection *
connection_find(struct loop *l, uint64_t token)
{
	uint32_t slot = (uint32_t)token;
	if (slot >= l->slots_n || l->generations[slot] != token >> 32)
		return NULL;
	return l->slots[slot];
}

/* ---- opening, closing ---- */

static bool
slot_take(struct loop *l, uint32_t *slot)
{
	for (uint32_t i = 0; i < l->slots_n; i++) {
		uint32_t at = (l->free_slot_hint + i) % l->slots_n;
		if (!l->slots[at]) {
			*slot = at;
			l->free_slot_hint = at + 1;
			return true;
		}
	}
	return false;
}

void
connection_open(struct loop *l, int fd)
{
	struct connection *c = calloc(1, sizeof *c);
	uint32_t slot;
	if (!c || !slot_take(l, &slot)) {
		atomic_fetch_sub_explicit(l->connections_open, 1, memory_order_relaxed);
		counters_add(&l->counters, COUNTER_CONNECTIONS_REFUSED, 1);
		free(c);
		close(fd);
		return;
	}
	c->loop = l;
	c->fd = fd;
	c->slot = slot;
	l->slots[slot] = c;
	l->connections_n++;
	c->weight = 1;
	scanner_init(&c->scanner);
	counters_add(&l->counters, COUNTER_CONNECTIONS_OPENED, 1);
	c->readable = event_new(l->base, fd, EV_READ | EV_PERSIST, connection_readable, c);
	c->writable = event_new(l->base, fd, EV_WRITE, connection_writable, c);
	if (!c->readable || !c->writable || !connection_report(c, true))
		connection_close(c);
	else if (l->drain_seen)
		connection_finish(c);
}

void
connection_stall_clear(struct connection *c)
{
	if (c->stall == STALL_NONE)
		return;
	c->stall = STALL_NONE;
	TAILQ_REMOVE(&c->loop->stalled, c, stalled_link);
}

void
connection_close(struct connection *c)
{
	struct loop *l = c->loop;
	if (c->followed)
		feed_gone(l->feed, connection_token(c));
	if (c->readable)
		event_free(c->readable);
	if (c->writable)
		event_free(c->writable);
	close(c->fd);
	connection_dirty_remove(c);
	connection_line_leave(c);
	connection_stall_clear(c);
	atomic_fetch_sub_explicit(l->held_bytes, c->held, memory_order_relaxed);
	loop_buffer_give(l, &c->in);
	loop_buffer_give(l, &c->out);
	buffer_fini(&c->reads);
	l->slots[c->slot] = NULL;
	l->generations[c->slot]++;
	l->connections_n--;
	atomic_fetch_sub_explicit(l->connections_open, 1, memory_order_relaxed);
	counters_add(&l->counters, COUNTER_CONNECTIONS_CLOSED, 1);
	free(c);
}

/* ---- input ---- */

/* Says no to bytes that are no request, or too long, when a message number can be read; ends the connection. */
static void
frame_refuse(struct connection *c, enum scan scan, const uint8_t *bytes, size_t n)
{
	uint32_t msgid;
	counters_add(&c->loop->counters, COUNTER_FRAMES_BROKEN, 1);
	if (reader_msgid(bytes, n, &msgid)) {
		connection_out_ready(c);
		if (scan == SCAN_TOO_LONG)
			methods_refuse(msgid, STATUS_TOO_LARGE, "a message may have 1 MiB", -1, &c->out);
		else
			methods_refuse(msgid, STATUS_BAD_REQUEST,
			    scan == SCAN_TOO_DEEP ? "nested deeper than 16" : "not MessagePack", -1, &c->out);
		connection_mark(c, 0);
	}
	connection_finish(c);
}

static void
stall_set(struct connection *c, enum stall why)
{
	static const enum counter counted[] = { [STALL_ENGINE] = COUNTER_ENGINE_STALLS, [STALL_OUTPUT] = COUNTER_OUTPUT_STALLS,
		[STALL_RING] = COUNTER_RING_STALLS };
	counters_add(&c->loop->counters, counted[why], 1);
	c->stall = why;
	c->rest = true;
	TAILQ_INSERT_TAIL(&c->loop->stalled, c, stalled_link);
	connection_report(c, false);
}

static void
turn_end(struct connection *c)
{
	counters_add(&c->loop->counters, COUNTER_TURNS_CUT, 1);
	c->rest = true;
}

/* One whole frame. False: it stays where it is, or the connection takes no more. */
static bool
frame_handle(struct connection *c, const uint8_t *frame, size_t n, const struct request *request)
{
	if (n >= HEAVY_FRAME_BYTES && c->weight == 0) {
		c->weight = LIGHT_TURNS;
		turn_end(c);
		return false;
	}
	if (!c->resuming && connection_output_is_long(c, OUTPUT_STALL_BYTES)) {
		stall_set(c, STALL_OUTPUT);
		return false;
	}
	connection_out_ready(c);
	switch (dispatch_frame(c, frame, n, request)) {
	case DISPATCH_DONE:
		return true;
	case DISPATCH_STALL:
		stall_set(c, c->stall);
		return false;
	case DISPATCH_TURN_OVER:
		turn_end(c);
		return false;
	case DISPATCH_CLOSE:
		connection_finish(c);
		return false;
	}
	return false;
}

size_t
connection_parse(struct connection *c, const uint8_t *bytes, size_t n)
{
	struct lookahead ahead;
	size_t at = 0, end;
	enum scan scan = SCAN_WHOLE;
	c->rest = false;
	const struct request *request;
	lookahead_begin(&ahead, c->loop->service->engine, loop_place(c->loop), &c->scanner, bytes, n);
	while (at < n && c->state == CONNECTION_OPEN && (scan = lookahead_next(&ahead, &end, &request)) != SCAN_MORE) {
		if (scan != SCAN_WHOLE) {
			frame_refuse(c, scan, bytes + at, n - at);
			break;
		}
		size_t before = c->out.used;
		if (!frame_handle(c, bytes + at, end - at, request))
			break;
		size_t said = c->out.used > before ? c->out.used - before : 0, read = end - at;
		at = end;
		if (loop_turn_spent(c->loop, c->handling.costly ? LOOK_BYTES : read + said) && at < n) {
			turn_end(c);
			break;
		}
	}
	if (scan != SCAN_MORE)
		scanner_init(&c->scanner); /* it is ahead of what was handled */
	return c->state == CONNECTION_OPEN ? at : n;
}

void
connection_tail_keep(struct connection *c, const uint8_t *bytes, size_t done, size_t n)
{
	if (bytes == c->in.at) {
		buffer_consume(&c->in, done);
	} else {
		c->in.used = 0;
		if (done < n) {
			if (!c->in.at)
				c->in = loop_buffer_take(c->loop);
			buffer_append(&c->in, bytes + done, n - done);
		}
	}
	if (c->in.full) { /* no memory: the frame cannot be kept, so nothing behind it can be read either */
		connection_finish(c);
		c->in.full = false;
		c->in.used = 0;
	}
	if (c->in.used == 0 && c->in.at) {
		loop_buffer_give(c->loop, &c->in);
	}
	if (done > 0 || c->frame_since_ms == 0)
		c->frame_since_ms = c->loop->turn.now_ns / 1000000;
	if (c->in.used == 0)
		c->frame_since_ms = 0;
}

/* ---- the end ---- */

void
connection_finish(struct connection *c)
{
	if (c->state != CONNECTION_OPEN)
		return;
	c->state = CONNECTION_CLOSING;
	connection_stall_clear(c);
	connection_line_leave(c);
	connection_report(c, false);
	if (c->resuming) { /* the part of a reply that will have no end */
		c->out.used = c->handling.reply_at;
		c->resuming = false;
	}
	c->progress_ms = clock_steady_ms();
	connection_dirty_add(c); /* the next flush sees whether anything is left */
}

void
connection_greedy_close(struct loop *l)
{
	while (atomic_load_explicit(l->held_bytes, memory_order_relaxed) > l->memory_max) {
		struct connection *greediest = NULL;
		for (uint32_t i = 0; i < l->slots_n; i++)
			if (l->slots[i] && (!greediest || l->slots[i]->held > greediest->held))
				greediest = l->slots[i];
		if (!greediest || greediest->held == 0)
			return; /* another loop's hold it */
		counters_add(&l->counters, COUNTER_MEMORY_CLOSED, 1);
		connection_close(greediest);
	}
}

void
connection_sweep(struct connection *c, int64_t steady_ms)
{
	if (c->state == CONNECTION_LINGERING) {
		if (steady_ms - c->progress_ms > LINGER_MS_MAX)
			connection_close(c);
	} else if (c->blocked && steady_ms - c->progress_ms > PROGRESS_MS_MAX) {
		counters_add(&c->loop->counters, COUNTER_OUTPUT_DEAD, 1);
		connection_close(c);
	} else if (c->frame_since_ms && !c->rest && steady_ms - c->frame_since_ms > PROGRESS_MS_MAX) {
		counters_add(&c->loop->counters, COUNTER_FRAMES_LATE, 1);
		connection_finish(c);
	}
}
