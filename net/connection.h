/*
 * connection.h: one client's socket: bytes in, frames out to dispatch, replies back in order of their marks.
 *
 * C1 A frame is handled once it is whole, in order. What was read behind a frame that cannot be handled yet is kept, and the socket
 *    is not read until it can (a stall).
 * C2 Replies leave in the order they were encoded, each no earlier than its position is durable. A mark says "output up to here waits
 *    for that position"; marks only ever rise, so a handful is enough: a full list widens its last one.
 * C3 Nothing is handled for a client that has OUTPUT_STALL_BYTES of unread output, or of requests kept under C5.
 * C4 A token names a connection for its life: slot and generation. A reply for one that has closed finds nobody.
 * T1 A readable connection waits in line for its turn: one read and what it brought. Whose turns are long, or who sent a frame of
 *    HEAVY_FRAME_BYTES, stands in the heavy line until LIGHT_TURNS of its turns were short; a newcomer until the first one was.
 * T2 A turn that is over leaves the rest of what was read for the next one, behind everybody who waits in the same line.
 * T3 since_ns never lies beyond the moment at which the bytes that are handled next had come: the report of the socket, or the earlier
 *    read that found more than it took. So what admission.h is told is never more than how long a request waited for the server.
 * C5 A reply that counts holds and had to wait for the log is not sent when a hold may have ended more than READ_LATE_MS ago: its
 *    request is asked again, after ASK_MS_MAX answered `overloaded` (D19).
 *
 *      open ──peer's end, broken frame, drain──▶ closing ──all answered and sent──▶ lingering ──peer's end or time──▶ closed
 *        └──────────────────────── error, nothing moves, no memory ──────────────────────────────────────────────────▶
 *
 * The loop's thread only.
 */
#ifndef HOLDFAST_NET_CONNECTION_H
#define HOLDFAST_NET_CONNECTION_H

#include "net/loop.h"
#include "net/scanner.h"

#define HEAVY_FRAME_BYTES  ((size_t)16 << 10)
#define LIGHT_TURNS        8
#define OUTPUT_STALL_BYTES ((size_t)256 << 10) /* C3 */
#define REPLY_BYTES_MAX    ((size_t)32 << 20) /* one reply: 100 short lines for each of 1,000 reservations fit */
#define PROGRESS_MS_MAX    30000 /* output waits and nothing moves; a frame is begun and does not end */
#define LINGER_MS_MAX      1000 /* after our end, the peer has so long to take the rest and to close */
#define MARKS              8
#define READ_LATE_MS       5 /* D19: so long after its end a hold may still be counted */
#define ASK_MS_MAX         1000 /* D19: so long a read is asked again */

enum stall { STALL_NONE, STALL_ENGINE, STALL_OUTPUT, STALL_RING };
enum line { LINE_NONE, LINE_LIGHT, LINE_HEAVY };
enum connection_state { CONNECTION_OPEN, CONNECTION_CLOSING, CONNECTION_LINGERING };

/* A read's request, kept as long as its answer waits for the log (C5). */
struct asked {
	int64_t good_until_ms; /* as of struct handling */
	int64_t since_ms; /* wall time of the first answer */
	const uint8_t *frame;
	size_t n;
};

struct connection {
	struct loop *loop;
	struct event *readable, *writable;
	int fd;
	uint32_t slot;
	enum connection_state state;
	enum stall stall;
	bool peer_ended, blocked, in_dirty, failed; /* failed: what still waits for the log was answered `unknown` */
	TAILQ_ENTRY(connection) dirty_link, stalled_link, line_link;

	enum line line;
	bool reported; /* its socket is reported when it can be read */
	unsigned weight; /* T1: so many short turns until it counts as light */
	int64_t since_ns, full_ns; /* T3; the last read found more than it took, then (0: it took all) */

	struct scanner scanner;
	struct buffer in; /* the frame that is not whole, or what a stall or the end of a turn left */
	bool rest; /* the latter */
	int64_t frame_since_ms; /* steady, since when `in` waits for its end */
	struct handling handling; /* of the frame that is handled in parts */
	bool resuming; /* a part of its reply stands in `out` from handling.reply_at on */
	bool followed; /* the feed's thread knows this connection */
	uint64_t fed_bytes; /* of all that it sent here */
	uint32_t owed; /* requests that others will answer: the engine's loop, a job, a waiting read */

	struct buffer out;
	uint64_t out_base; /* stream offset of out.at[0] */
	uint64_t sent, cleared; /* stream offsets: gone; may go */
	struct { uint64_t end, position; } marks[MARKS];
	unsigned marks_first, marks_n;
	struct buffer reads; /* struct waiting_read and its frame, of each reply under C5, in the order of `out` */
	int64_t progress_ms; /* steady: blocked: since when nothing moves; lingering: since when */
	size_t held; /* as counted in *loop->held_bytes */
};

/* Takes the socket over (closes it on failure). */
void connection_open(struct loop *, int fd);
void connection_close(struct connection *);

uint64_t connection_token(const struct connection *);
struct connection *connection_find(struct loop *, uint64_t token); /* NULL: closed since */

/* The reply that stands at the end of `out` waits for `position` (0: for nothing). */
void connection_mark(struct connection *, uint64_t position);
/* The same of a read whose reply begins at out.at[from] and falls under C5. Copies the frame when there is something to wait for. */
void connection_mark_read(struct connection *, size_t from, uint64_t position, const struct asked *);
/* The answer to one owed request, encoded elsewhere; n = 0: it has none. asked: it falls under C5; else NULL. */
void connection_reply(struct connection *, const uint8_t *bytes, size_t n, uint64_t position, const struct asked *);
/* A message of the feed, which nobody asked for: durable, so it waits for nothing but what stands before it. */
void connection_told(struct connection *, const uint8_t *bytes, size_t n);
/* No more frames; closes when everything owed is answered and sent. */
void connection_finish(struct connection *);

/* In line for what a stall left, if that is over. */
void connection_resume(struct connection *);
/* The turn of the first in a line. May close it. Returns what time it is then. */
int64_t connection_turn(struct connection *, int64_t now_ns);
/* Writes what is durable; `durable` as of now. May close. */
void connection_flush(struct connection *, uint64_t durable);
/* The log failed: what waits for it is answered `unknown`, then the connection finishes. */
void connection_fail(struct connection *);
/* M1: while the connections of all loops hold more than the loop's memory_max, those of this loop that hold most are closed. */
void connection_greedy_close(struct loop *);
/* Closes the connection when one of its times is over. */
void connection_sweep(struct connection *, int64_t steady_ms);

#endif
