/*
 * gate_server.h: the gate's connection to the server for what comes in (a gate_line). It writes the queue's messages as requests, many
 * in one system call and many in flight, and hands each reply on. It never blocks; the caller polls.
 * Light messages go first, heavy ones while HEAVY_SENT_MAX allows (gate_queue.h).
 *
 * V1: when the connection is lost, everything sent and not replied to becomes QUEUED again, so the next one gets all of it, in order.
 */
#ifndef HOLDFAST_NET_GATE_SERVER_H
#define HOLDFAST_NET_GATE_SERVER_H

#include "net/gate_counters.h"
#include "net/gate_line.h"
#include "net/gate_queue.h"

#define SERVER_SILENCE_MS 30000 /* requests are out and no byte comes: the connection is given up */
#define SERVER_REPLY_BYTES_MAX ((size_t)16 << 20) /* 10,000 refused events with their details fit; more: the connection is given up */
#define SERVER_WAIT_MS 100 /* after a refusal for now that names no time */
#define SERVER_WAIT_MS_MIN 5 /* ... and the bounds of one that does */
#define SERVER_WAIT_MS_MAX 5000

/* What became of a reply. */
enum server_use {
	SERVER_USED, /* the request is done with */
	SERVER_LATER, /* a refusal for now: the request stays and is sent again */
	SERVER_WRONG, /* no reply to such a request: the connection is given up */
};

struct gate_server {
	struct gate_line line;
	struct gate_queue *queue;
	struct gate_counters *counters; /* connects, resent, strays */
	/* Takes each reply. */
	enum server_use (*reply)(void *context, struct gate_request *, const struct frame_reply *);
	void *context;

	int64_t pause_ms; /* nothing is sent before: the server said "later" */
	uint64_t cursor[QUEUE_LINES]; /* of each line, the next request to look at for sending */
	uint64_t writing; /* the request of which a part was written already ... */
	size_t written; /* ... so many bytes of it; 0: none */
};

void gate_server_init(struct gate_server *, const struct gate_address *, struct gate_queue *, struct gate_counters *);
void gate_server_fini(struct gate_server *);

/* What to poll for (fd -1: nothing) and until when at the latest (INT64_MAX: no limit). */
int gate_server_poll(const struct gate_server *, int64_t now_ms, short *events, int64_t *until_ms);
/* Does what is due: connects, reads, writes. revents as poll() gave them, 0 when it named nothing. */
void gate_server_step(struct gate_server *, short revents, int64_t now_ms);

#endif
