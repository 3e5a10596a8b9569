/*
 * gate_line.h: a connection to the server that comes and goes by itself: it calls, reads whole messages, gives up, waits, calls again.
 * What is said over it belongs to its owner: gate_server posts by one, gate_feed watches by another.
 *
 *            connect()             established
 *   AWAY ----------------> CALLING ------------> UP
 *    ^ (waits for due_ms)      |                  |
 *    +-------------------------+------------------+   refused, closed, silent, or not MessagePack-RPC: gate_line_lost()
 *
 * It never blocks; the caller polls. The gate's thread.
 */
#ifndef HOLDFAST_NET_GATE_LINE_H
#define HOLDFAST_NET_GATE_LINE_H

#include "net/buffer.h"
#include "net/gate_address.h"
#include "net/scanner.h"

#define LINE_BACKOFF_MS 20 /* first wait after a lost connection; doubled up to: */
#define LINE_BACKOFF_MS_MAX 1000
#define LINE_CALL_MS 5000 /* for a connection to be made */

enum line_state { LINE_AWAY, LINE_CALLING, LINE_UP };

struct gate_line {
	struct gate_address address;
	const char *name; /* what it is for, in lines for people */
	size_t message_bytes_max; /* a longer one: given up */
	void (*say)(const char *line); /* when the connection comes or goes; NULL: nobody listens */

	enum line_state state;
	int fd; /* CALLING, UP; else -1 */
	int64_t due_ms; /* AWAY: connect then; CALLING: give up then */
	int64_t heard_ms; /* UP: when bytes came last, or when there was last nothing to wait for (the owner says so) */
	int backoff_ms;
	bool said; /* that it is away: once per absence */
	uint64_t connects;
	struct buffer in;
	struct scanner scanner;
};

void gate_line_init(struct gate_line *, const struct gate_address *, const char *name, size_t message_bytes_max);
void gate_line_fini(struct gate_line *);

/* AWAY, CALLING: does what is due; revents as poll() gave them. True: it has just come UP. */
bool gate_line_come(struct gate_line *, short revents, int64_t now_ms);
/* To AWAY. `what` says why, and `more` what that means (told once per absence). What was read and not handed on is dropped. */
void gate_line_lost(struct gate_line *, const char *what, const char *more, int64_t now_ms);
/* The other side does what it should: the next absence is told again, and its first wait is the shortest. */
void gate_line_fine(struct gate_line *);
/*
 * UP: reads what is there, not without end, and hands on each whole message (borrowed); the hook says NULL, or why the connection
 * cannot go on. Returns NULL, or why it cannot: the caller then says gate_line_lost(). What was read before its end is handed on.
 */
const char *gate_line_read(struct gate_line *, const char *(*message)(void *context, const uint8_t *, size_t n, int64_t now_ms), void *context,
    int64_t now_ms);
/* What to poll for (fd -1: nothing) and, unless UP, until when at the latest. */
int gate_line_poll(const struct gate_line *, short *events, int64_t *until_ms);

#endif
