/* connection_output.c: replies behind their marks, and the way out. The contract, C2..C5, is in connection.h. */
#define _GNU_SOURCE
#include "net/connection_part.h"
#include "net/codec_read.h"
#include "net/dispatch.h"
#include "net/feed.h"

#include <errno.h>
#include <event2/event.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

void
connection_dirty_add(struct connection *c)
{
	if (c->in_dirty || c->blocked)
		return;
	c->in_dirty = true;
	TAILQ_INSERT_TAIL(&c->loop->dirty, c, dirty_link);
}

void
connection_dirty_remove(struct connection *c)
{
	if (!c->in_dirty)
		return;
	c->in_dirty = false;
	TAILQ_REMOVE(&c->loop->dirty, c, dirty_link);
}

static uint64_t
out_end(const struct connection *c)
{
	return c->out_base + c->out.used;
}

bool
connection_output_is_long(const struct connection *c, size_t bound)
{
	return out_end(c) - c->sent + c->reads.used > bound;
}

/* Behind the last reply that has its mark: a part of a reply may stand beyond it. */
static uint64_t
marked_end(const struct connection *c)
{
	return c->marks_n ? c->marks[(c->marks_first + c->marks_n - 1) % MARKS].end : c->cleared;
}

static void
mark_at(struct connection *c, uint64_t end, uint64_t position)
{
	if (c->marks_n) {
		unsigned last = (c->marks_first + c->marks_n - 1) % MARKS;
		if (c->marks[last].position >= position || c->marks_n == MARKS) {
			c->marks[last].end = end;
			if (c->marks[last].position < position)
				c->marks[last].position = position;
			return;
		}
	}
	unsigned at = (c->marks_first + c->marks_n++) % MARKS;
	c->marks[at].end = end;
	c->marks[at].position = position;
}

void
connection_mark(struct connection *c, uint64_t position)
{
	mark_at(c, out_end(c), position);
	connection_dirty_add(c);
}

/* ---- reads that wait (C5) ---- */

/* Stands in `reads`, its frame behind it. */
struct waiting_read {
	uint64_t begin, end; /* its reply, stream offsets */
	int64_t good_until_ms, since_ms;
	size_t n;
};

static void
read_keep(struct connection *c, uint64_t begin, uint64_t end, const struct asked *asked)
{
	struct waiting_read r = { begin, end, asked->good_until_ms, asked->since_ms, asked->n };
	uint8_t *room = buffer_room(&c->reads, sizeof r + asked->n);
	if (!room) { /* no memory to ask again with */
		connection_finish(c);
		c->reads.full = false;
		return;
	}
	memcpy(room, &r, sizeof r);
	memcpy(room + sizeof r, asked->frame, asked->n);
	c->reads.used += sizeof r + asked->n;
}

/* The newest reply waits for the log, by itself or behind one that does (C2). */
static bool
output_waits(const struct connection *c)
{
	return c->marks[(c->marks_first + c->marks_n - 1) % MARKS].position > batcher_durable(c->loop->batcher);
}

void
connection_mark_read(struct connection *c, size_t from, uint64_t position, const struct asked *asked)
{
	connection_mark(c, position);
	if (output_waits(c))
		read_keep(c, c->out_base + from, out_end(c), asked);
}

/* What of `reads` belongs to replies that may go now, in bytes. */
static size_t
reads_cleared(const struct connection *c, int64_t late_ms, bool *stale)
{
	struct waiting_read r;
	size_t at = 0;
	for (; at < c->reads.used; at += sizeof r + r.n) {
		memcpy(&r, c->reads.at + at, sizeof r);
		if (r.end > c->cleared)
			break;
		*stale |= r.good_until_ms < late_ms;
	}
	return at;
}

/* Takes the stale replies of reads.at[0..n) out of what may go; everything behind moves up. */
static void
stale_cut(struct connection *c, size_t n, int64_t late_ms)
{
	struct waiting_read r;
	size_t from = c->sent - c->out_base, to = from;
	for (size_t at = 0; at < n; at += sizeof r + r.n) {
		memcpy(&r, c->reads.at + at, sizeof r);
		if (r.good_until_ms >= late_ms)
			continue;
		size_t kept = r.begin - c->out_base - from;
		memmove(c->out.at + to, c->out.at + from, kept);
		to += kept;
		from = r.end - c->out_base;
	}
	size_t gone = from - to;
	memmove(c->out.at + to, c->out.at + from, c->out.used - from);
	c->out.used -= gone;
	c->cleared -= gone;
	if (c->resuming)
		c->handling.reply_at -= gone;
	for (unsigned i = 0; i < c->marks_n; i++)
		c->marks[(c->marks_first + i) % MARKS].end -= gone;
	for (size_t at = n; at < c->reads.used; at += sizeof r + r.n) {
		memcpy(&r, c->reads.at + at, sizeof r);
		r.begin -= gone;
		r.end -= gone;
		memcpy(c->reads.at + at, &r, sizeof r);
	}
}

/* C5, once `cleared` has moved. */
static void
reads_settle(struct connection *c)
{
	bool stale = false;
	int64_t late_ms = clock_now_ms(&c->loop->clock) - READ_LATE_MS;
	struct waiting_read r;
	size_t n = reads_cleared(c, late_ms, &stale);
	if (stale)
		stale_cut(c, n, late_ms);
	for (size_t at = 0; stale && at < n; at += sizeof r + r.n) {
		memcpy(&r, c->reads.at + at, sizeof r);
		if (r.good_until_ms < late_ms)
			dispatch_ask_again(c, &(struct asked){ .since_ms = r.since_ms, .frame = c->reads.at + at + sizeof r, .n = r.n });
	}
	buffer_consume(&c->reads, n);
	if (c->reads.used == 0 && c->reads.size > OUTPUT_STALL_BYTES)
		buffer_fini(&c->reads);
}

/* ---- replies ---- */

void
connection_out_ready(struct connection *c)
{
	if (!c->out.at)
		c->out = loop_buffer_take(c->loop);
	c->out.limit = OUTPUT_STALL_BYTES + REPLY_BYTES_MAX;
}

/* Encoded elsewhere: it stands before the part of a reply that has no end yet. */
static void
out_insert(struct connection *c, const uint8_t *bytes, size_t n, uint64_t position, const struct asked *asked)
{
	connection_out_ready(c);
	size_t at = c->resuming ? c->handling.reply_at : c->out.used, part = c->out.used - at;
	uint8_t *room = buffer_room(&c->out, n);
	if (!room) {
		connection_finish(c);
		return;
	}
	memmove(c->out.at + at + n, c->out.at + at, part);
	memcpy(c->out.at + at, bytes, n);
	c->out.used += n;
	if (c->resuming)
		c->handling.reply_at += n;
	mark_at(c, c->out_base + at + n, position);
	if (asked) /* it may have waited on its way here */
		read_keep(c, c->out_base + at, c->out_base + at + n, asked);
}

void
connection_reply(struct connection *c, const uint8_t *bytes, size_t n, uint64_t position, const struct asked *asked)
{
	if (c->owed > 0)
		c->owed--;
	connection_dirty_add(c);
	if (c->state != CONNECTION_LINGERING && !c->failed && n > 0)
		out_insert(c, bytes, n, position, asked);
}

void
connection_told(struct connection *c, const uint8_t *bytes, size_t n)
{
	if (c->state != CONNECTION_OPEN)
		return;
	connection_dirty_add(c);
	out_insert(c, bytes, n, 0, NULL);
}

/* Tells the feed how much of what it sent has gone; what else is unread counts as the feed's. */
static void
taken_tell(const struct connection *c)
{
	uint64_t unread = out_end(c) - c->sent;
	feed_taken(c->loop->feed, connection_token(c), c->fed_bytes - (unread < c->fed_bytes ? unread : c->fed_bytes));
}

/* Drops what was sent: at once when it is all, else when it is more than what is left to move. */
static void
out_compact(struct connection *c)
{
	size_t gone = c->sent - c->out_base;
	if (gone == 0 || (gone < c->out.used && gone < c->out.used / 2))
		return;
	buffer_consume(&c->out, gone);
	c->out_base = c->sent;
	if (c->resuming)
		c->handling.reply_at -= gone;
	if (c->out.used == 0 && !c->resuming) {
		loop_buffer_give(c->loop, &c->out);
	}
}

void
connection_held_count(struct connection *c)
{
	size_t held = c->in.size + c->out.size + c->reads.size;
	if (held == c->held)
		return;
	atomic_fetch_add_explicit(c->loop->held_bytes, held - c->held, memory_order_relaxed); /* modulo 2^64: may fall */
	c->held = held;
}

/* Everything is answered and sent. Closing with unread input would reset the connection and take the last replies along. */
static void
linger_or_close(struct connection *c)
{
	int unread = 0;
	if (c->peer_ended || (c->loop->drain_seen && ioctl(c->fd, FIONREAD, &unread) == 0 && unread == 0)) {
		connection_close(c);
		return;
	}
	c->state = CONNECTION_LINGERING;
	c->progress_ms = clock_steady_ms();
	connection_dirty_remove(c);
	if (shutdown(c->fd, SHUT_WR) < 0 || !connection_report(c, true))
		connection_close(c);
}

/* What is durable may go. */
static void
marks_clear(struct connection *c, uint64_t durable)
{
	while (c->marks_n && c->marks[c->marks_first].position <= durable) {
		c->cleared = c->marks[c->marks_first].end;
		c->marks_first = (c->marks_first + 1) % MARKS;
		c->marks_n--;
	}
}

void
connection_flush(struct connection *c, uint64_t durable)
{
	if (c->blocked || c->state == CONNECTION_LINGERING)
		return;
	marks_clear(c, durable);
	if (c->reads.used > 0)
		reads_settle(c);
	if (c->cleared > c->sent) {
		ssize_t n = send(c->fd, c->out.at + (c->sent - c->out_base), c->cleared - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			connection_close(c);
			return;
		}
		counters_add(&c->loop->counters, COUNTER_WRITES, 1);
		c->sent += n > 0 ? (uint64_t)n : 0;
		counters_add(&c->loop->counters, COUNTER_BYTES_OUT, n > 0 ? (uint64_t)n : 0);
		if (c->sent < c->cleared) {
			connection_dirty_remove(c);
			c->blocked = true;
			c->progress_ms = clock_steady_ms();
			if (event_add(c->writable, NULL) < 0) {
				connection_close(c);
				return;
			}
		}
		out_compact(c);
	}
	if (c->followed)
		taken_tell(c);
	connection_held_count(c);
	if (c->stall == STALL_OUTPUT && !connection_output_is_long(c, OUTPUT_STALL_BYTES / 2))
		c->loop->busy = true; /* it is read on in the next round, which must come */
	if (c->sent == c->cleared && c->marks_n == 0) {
		connection_dirty_remove(c);
		if (c->state == CONNECTION_CLOSING && c->owed == 0)
			linger_or_close(c);
	}
}

void
connection_writable(int fd, short what, void *arg)
{
	struct connection *c = arg;
	c->blocked = false;
	connection_dirty_add(c);
}

/* ---- a log that failed ---- */

/* Takes the replies behind `cleared` apart again and answers each message number `unknown`. */
static void
replies_unsay(struct connection *c)
{
	struct buffer said = c->out;
	size_t at = c->cleared - c->out_base, end = marked_end(c) - c->out_base, n;
	struct scanner scanner;
	uint32_t msgid;
	c->out = (struct buffer){ 0 };
	buffer_append(&c->out, said.at, at);
	for (; at < end; at += n) {
		scanner_init(&scanner);
		if (scanner_scan(&scanner, said.at + at, end - at, SIZE_MAX, &n) != SCAN_WHOLE)
			break;
		/* [1, msgid, ...]: the number stands where a request has it. */
		uint8_t head[8] = { 0 };
		memcpy(head, said.at + at, n < sizeof head ? n : sizeof head);
		head[1] = 0;
		if (reader_msgid(head, sizeof head, &msgid))
			methods_refuse(msgid, STATUS_UNKNOWN, "the log failed: it may or may not have happened", -1, &c->out);
	}
	buffer_fini(&said);
	c->marks_n = 0;
	c->reads.used = 0;
	mark_at(c, out_end(c), 0);
}

void
connection_fail(struct connection *c)
{
	if (c->state == CONNECTION_LINGERING)
		return;
	connection_finish(c);
	marks_clear(c, batcher_durable(c->loop->batcher));
	if (c->marks_n)
		replies_unsay(c);
	c->owed = 0;
	c->failed = true;
	connection_dirty_add(c);
}
