/*
 * client.h: inside of libholdfast, shared by its files; programs include holdfast/holdfast.h and holdfast/async.h instead.
 *
 *   client_link.c    the line: addresses, the socket, bytes, whole messages
 *   client_value.c   msgpack both ways: building requests, answers as trees of struct hf_value (the only msgpack here)
 *   client_calls.c   the usual calls
 *   client.c         the blocking connection: waiting, and what a broken line means there
 *   client_async.c   the connection that lasts: its states, the step
 *   client_events.c  what has happened on it
 *   client_queue.c   its requests: taken, sent, sent again, given up
 *   client_watch.c   its watch
 *
 * C1: `building` holds the one request that is being built, from its first byte on, and nothing else.
 * C2: values of an answer borrow from the link's input and the zone, until the next receive.
 * C3: once the link of a blocking connection is broken, whatever is in flight has an unknown end.
 */
#ifndef HOLDFAST_NET_CLIENT_H
#define HOLDFAST_NET_CLIENT_H

#include "net/client_link.h"

#define CLIENT_NUMBER_AT 3 /* where a request has its number: four bytes, behind 0xce */
#define CLIENT_METHOD_AT 7 /* and its method: a str of msgpack */

struct client_zone; /* memory of the present answer */
struct client_async;

struct hf {
	struct client_link link;
	int timeout_ms;
	struct buffer building;
	size_t params; /* where its parameters start */
	bool begun;
	uint32_t number; /* of the last request begun */
	uint32_t in_flight;
	struct client_zone *zone;
	struct hf_failure failure;
	struct client_async *async; /* NULL: a blocking connection */
};

/* An answer [1, number, error, result], or a notification [2, method, params]. */
struct client_answer {
	bool notification;
	uint32_t number;
	const struct hf_value *error; /* NULL: none */
	const struct hf_value *result;
	const struct hf_value *method, *params; /* of a notification */
};

struct client_zone *client_zone_new(void);
void client_zone_free(struct client_zone *);
/*
 * One whole msgpack object that a scanner has passed, as a tree. Borrows from the bytes and the zone, which is emptied first.
 * NULL: no msgpack, or no memory.
 */
const struct hf_value *client_parse(struct client_zone *, const uint8_t *, size_t n);
/* Decodes one whole frame; everything borrows from the frame and the zone, which is emptied first. false: neither of the two. */
bool client_decode(struct client_zone *, const uint8_t *frame, size_t n, struct client_answer *);

/* A connection with nothing in it yet; NULL: no memory, and *failure says so. hf_close() frees it. */
struct hf *client_new(const char *host, uint16_t port, struct hf_failure *failure);
/* Ends the building: true when `building` holds a whole request; else the failure says why it is none. */
bool client_built(struct hf *);

/* Fills hf->failure: code "unknown" or "failed", or the server's own; returns `outcome`. */
enum hf_outcome client_fail(struct hf *, enum hf_outcome, const char *format, ...) __attribute__((format(printf, 3, 4)));
void client_refused(struct hf_failure *, const struct hf_value *error);

/* ---- what the blocking calls do on a connection that lasts ---- */
void client_async_free(struct client_async *);
uint32_t client_async_send(struct hf *);
enum hf_outcome client_async_receive(struct hf *, uint32_t *number, const struct hf_value **value);

#endif
