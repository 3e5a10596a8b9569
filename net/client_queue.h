/*
 * client_queue.h: the requests of a connection that lasts, from being taken to being told. Knows the link's bytes, no sockets.
 *
 *              add ──▶ waiting ──send──▶ sent ──answered──▶ the caller's: freed, or ──delay──▶ delayed ──due──▶ waiting
 *                        ▲                │ lost
 *                        └──repeatable────┤
 *                                         └──else──▶ done ◀──deadline── waiting, delayed, sent
 *
 * Q1: each request that was added is given back exactly once: by client_queue_answered() or client_queue_done().
 * Q2: a slot is one request that the server has and has not answered, also when its end has been told already (its request is
 *     gone then): the server never has more than window_n.
 * Q3: `doubt` is true while some copy of it may have been executed without an answer: such a request never ends as FAILED, and a
 *     refusal of the moment (client_is_refused_for_now) does not end it at all.
 * Q4: waiting is in the order of the first sending, but for those that were delayed.
 */
#ifndef HOLDFAST_NET_CLIENT_QUEUE_H
#define HOLDFAST_NET_CLIENT_QUEUE_H

#include "net/client_link.h"

#include <sys/queue.h>

#define CLIENT_WINDOW_MAX 4096
#define CLIENT_OUT_BYTES ((size_t)64 << 10) /* on their way to the kernel; what is behind can still be given up unsent */

struct client_request {
	TAILQ_ENTRY(client_request) next;
	uint32_t number, slot, sent_n;
	void *context;
	int64_t deadline_ms, due_ms; /* steady clock; due: of a delayed one */
	uint64_t starts_at; /* its first byte in what the link writes */
	bool repeat, doubt;
	enum hf_outcome outcome; /* of a done one: HF_UNKNOWN or HF_FAILED */
	size_t n;
	uint8_t bytes[];
};
TAILQ_HEAD(client_requests, client_request);

struct client_queue {
	struct client_requests waiting, sent, delayed, done;
	struct client_request **slots; /* NULL: free, or its end has been told */
	uint32_t *free_slots, free_n, window_n;
	uint32_t n, n_max;
	size_t bytes;
	int64_t next_deadline_ms, next_due_ms; /* not later than the earliest; INT64_MAX: none */
};

bool client_queue_init(struct client_queue *, uint32_t window_n, uint32_t n_max);
void client_queue_fini(struct client_queue *);
/* Copies the bytes of a request. NULL: the queue is full (n_max, or CLIENT_QUEUE_BYTES_MAX). The caller fills in the rest. */
struct client_request *client_queue_add(struct client_queue *, const uint8_t *bytes, size_t n, int64_t deadline_ms);
void client_queue_free(struct client_queue *, struct client_request *);

/* Those that are due again wait again. */
void client_queue_due(struct client_queue *, int64_t now_ms);
bool client_queue_sendable(const struct client_queue *);
/* Moves requests into the link's output, as far as window and CLIENT_OUT_BYTES go. */
void client_queue_send(struct client_queue *, struct client_link *);
/* Requests that the server has not answered. */
uint32_t client_queue_on_wire(const struct client_queue *);
/* The answer with this number is here. Gives the request; NULL: of one whose end has been told, or of none. */
struct client_request *client_queue_answered(struct client_queue *, uint32_t number);
/* Takes it back, to be sent again at due_ms. */
void client_queue_delay(struct client_queue *, struct client_request *, int64_t due_ms);
/* The link is lost: its requests wait again, or are done where a repeat is not safe. */
void client_queue_lost(struct client_queue *, const struct client_link *);
/* What is past its deadline is done. */
void client_queue_expire(struct client_queue *, int64_t now_ms);
/* Gives the next one whose end is known here; NULL: none. */
struct client_request *client_queue_done(struct client_queue *);

/* A refusal that says nothing about the request itself: the server did not look at it. */
bool client_is_refused_for_now(const char *code);
/* What a method is by the table of async.h. */
bool client_repeats(const uint8_t *request, size_t n);

#endif
