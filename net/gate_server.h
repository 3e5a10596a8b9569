/*
 * gate_server.h: the gate's one connection to the server. It writes the queue's messages as `post` requests, many in one system
 * call and many in flight, and hands each reply on. It never blocks; the caller polls.
 *
 *            connect()              established
 *   AWAY ----------------> CALLING ------------> UP
 *    ^ (waits for retry_at_ms) |                  |
 *    +-------------------------+------------------+   refused, closed, silent, or not MessagePack-RPC
 *
 * V1: on the way to AWAY everything sent and not replied to becomes QUEUED again, so the next connection gets all of it, in order.
 */
#ifndef HOLDFAST_NET_GATE_SERVER_H
#define HOLDFAST_NET_GATE_SERVER_H

#include "net/buffer.h"
#include "net/gate_address.h"
#include "net/gate_counters.h"
#include "net/gate_queue.h"
#include "net/scanner.h"

#define SERVER_BACKOFF_MS 20 /* first wait after a lost connection; doubled up to: */
#define SERVER_BACKOFF_MS_MAX 1000
#define SERVER_CALL_MS 5000 /* for a connection to be made */
#define SERVER_SILENCE_MS 30000 /* requests are out and no byte comes: the connection is given up */
#define SERVER_REPLY_BYTES_MAX ((size_t)16 << 20) /* 10,000 refused events with their details fit; more: the connection is given up */
#define SERVER_WAIT_MS 100 /* after a refusal for now that names no time */
#define SERVER_WAIT_MS_MIN 5 /* ... and the bounds of one that does */
#define SERVER_WAIT_MS_MAX 5000

enum server_state { SERVER_AWAY, SERVER_CALLING, SERVER_UP };

/* What became of a reply. */
enum server_use {
	SERVER_USED, /* the request is done with */
	SERVER_LATER, /* a refusal for now: the request stays and is sent again */
	SERVER_WRONG, /* no reply to such a request: the connection is given up */
};

struct gate_server {
	struct gate_address address;
	struct gate_queue *queue;
	/* Takes each reply. */
	enum server_use (*reply)(void *context, struct gate_request *, const struct frame_reply *);
	void (*say)(const char *line); /* one line for people when the connection comes or goes */
	void *context;

	enum server_state state;
	int fd; /* CALLING, UP; else -1 */
	int64_t due_ms; /* AWAY: connect then; CALLING: give up then */
	int64_t pause_ms; /* nothing is sent before: the server said "later" */
	int64_t heard_ms; /* UP: when bytes came last, or when there was last nothing to wait for */
	int backoff_ms;
	bool said; /* that the server is away: once per absence */
	uint64_t cursor; /* the next request to look at for sending */
	uint64_t writing; /* UP: the request of which a part was written already ... */
	size_t written; /* ... so many bytes of it; 0: none */
	struct buffer in;
	struct scanner scanner;
	struct gate_counters *counters; /* connects, resent, strays */
};

void gate_server_init(struct gate_server *, const struct gate_address *, struct gate_queue *, struct gate_counters *);
void gate_server_fini(struct gate_server *);

/* What to poll for (fd -1: nothing) and until when at the latest (INT64_MAX: no limit). */
int gate_server_poll(const struct gate_server *, int64_t now_ms, short *events, int64_t *until_ms);
/* Does what is due: connects, reads, writes. revents as poll() gave them, 0 when it named nothing. */
void gate_server_step(struct gate_server *, short revents, int64_t now_ms);

#endif
