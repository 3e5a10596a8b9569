/* connection_turn.c: whose turn it is, and one turn: a read and what it brought. The contract, T1..T3, is in connection.h. */
#define _GNU_SOURCE
#include "net/connection_part.h"
#include "net/feed.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <unistd.h>

_Static_assert(WATCH_PACE_BYTES < OUTPUT_STALL_BYTES / 2, "who catches up by watch gets other answers between two windows");

bool
connection_report(struct connection *c, bool on)
{
	if (c->reported == on)
		return true;
	if ((on ? event_add(c->readable, NULL) : event_del(c->readable)) < 0)
		return false;
	c->reported = on;
	return true;
}

/* ---- the lines ---- */

static struct connection_list *
line_of(struct connection *c)
{
	return c->line == LINE_LIGHT ? &c->loop->light : &c->loop->heavy;
}

/* Who waits in the heavy line may wait for rounds: it is not reported meanwhile. */
static void
line_join(struct connection *c)
{
	c->line = c->weight > 0 ? LINE_HEAVY : LINE_LIGHT;
	TAILQ_INSERT_TAIL(line_of(c), c, line_link);
	if (c->line == LINE_HEAVY)
		connection_report(c, false);
}

void
connection_line_leave(struct connection *c)
{
	if (c->line == LINE_NONE)
		return;
	TAILQ_REMOVE(line_of(c), c, line_link);
	c->line = LINE_NONE;
}

static void
discard(struct connection *c)
{
	ssize_t n = read(c->fd, c->loop->in, READ_BYTES);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		connection_close(c);
}

void
connection_readable(int fd, short what, void *arg)
{
	struct connection *c = arg;
	struct loop *l = c->loop;
	if (c->state != CONNECTION_OPEN) {
		discard(c);
		return;
	}
	if (c->line != LINE_NONE)
		return;
	if (l->reported_ns == 0)
		l->reported_ns = clock_steady_ns();
	c->since_ns = c->full_ns ? c->full_ns : l->reported_ns;
	line_join(c);
}

void
connection_resume(struct connection *c)
{
	if (c->stall == STALL_OUTPUT) {
		if (connection_output_is_long(c, OUTPUT_STALL_BYTES / 2))
			return;
		c->since_ns = c->full_ns = clock_steady_ns(); /* it made itself wait */
	}
	connection_stall_clear(c);
	line_join(c);
}

/* ---- a turn ---- */

/* Where the next bytes go: behind a short tail in the loop's buffer, or behind a long one where it is. */
static uint8_t *
read_place(struct connection *c, size_t *before, size_t *room)
{
	struct loop *l = c->loop;
	*before = c->in.used;
	*room = READ_BYTES;
	if (c->in.used <= TAIL_COPY_MAX) {
		if (c->in.used)
			memcpy(l->in, c->in.at, c->in.used);
		else if (c->weight > 0)
			*room = READ_HEAVY_BYTES;
		return l->in;
	}
	*room = READ_BYTES / 4;
	return buffer_room(&c->in, *room) ? c->in.at : NULL;
}

/* One read and its frames. False: the connection is gone. */
static bool
read_and_handle(struct connection *c)
{
	struct loop *l = c->loop;
	size_t before, room;
	uint8_t *bytes = read_place(c, &before, &room);
	ssize_t n = bytes ? read(c->fd, bytes + before, room) : -1;
	counters_add(&l->counters, COUNTER_READS, 1);
	if (n < 0) {
		bool later = bytes && (errno == EAGAIN || errno == EINTR);
		if (!later)
			connection_close(c);
		return later;
	}
	if (n == 0) {
		c->peer_ended = true;
		connection_finish(c);
		return true;
	}
	counters_add(&l->counters, COUNTER_BYTES_IN, (uint64_t)n);
	c->full_ns = (size_t)n == room ? l->turn.now_ns : 0;
	if (bytes == c->in.at)
		c->in.used += (size_t)n;
	size_t done = connection_parse(c, bytes, before + (size_t)n);
	connection_tail_keep(c, bytes, done, before + (size_t)n);
	connection_held_count(c);
	return true;
}

/* What a stall or the end of a turn left. */
static void
rest_handle(struct connection *c)
{
	scanner_init(&c->scanner);
	size_t done = connection_parse(c, c->in.at, c->in.used);
	connection_tail_keep(c, c->in.at, done, c->in.used);
	connection_held_count(c);
}

int64_t
connection_turn(struct connection *c, int64_t now_ns)
{
	struct loop *l = c->loop;
	unsigned weight = c->weight;
	loop_turn_begin(l, now_ns, &l->judges[c->line == LINE_HEAVY]);
	loop_turn_aged(l, c->since_ns);
	connection_line_leave(c);
	bool alive = true;
	if (c->rest)
		rest_handle(c);
	else
		alive = read_and_handle(c);
	int64_t end_ns = clock_steady_ns();
	if (!alive || c->state != CONNECTION_OPEN)
		return end_ns;
	if (end_ns - now_ns > TURN_NS_MAX)
		c->weight = LIGHT_TURNS;
	else if (c->weight > 0 && c->weight == weight)
		c->weight--;
	if (c->stall != STALL_NONE)
		return end_ns;
	if (c->rest)
		line_join(c);
	else if (!connection_report(c, true))
		connection_close(c);
	return end_ns;
}
