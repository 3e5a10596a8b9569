/*
 * client.h: inside of libholdfast, shared by its three files; programs include holdfast/holdfast.h instead.
 *
 *   client.c        the socket: connect, write, read, deadlines, and what a broken connection means
 *   client_value.c  msgpack both ways: building requests, answers as trees of struct hf_value (the only msgpack here)
 *   client_calls.c  the usual calls
 *
 * C1: `out` holds whole requests, written in order; the one being built is the bytes behind `building`.
 * C2: `in` holds received bytes; what lies before `in_at` is consumed, and values borrow from it (and from the zone) until
 *     the next receive.
 * C3: once `broken`, nothing is sent or read any more; whatever is in flight has an unknown end.
 */
#ifndef HOLDFAST_NET_CLIENT_H
#define HOLDFAST_NET_CLIENT_H

#include "holdfast/holdfast.h"
#include "net/buffer.h"
#include "net/scanner.h"

#define CLIENT_REPLY_BYTES_MAX ((size_t)16 << 20) /* a full page of scan is about 1.5 MB */
#define CLIENT_QUEUE_BYTES_MAX ((size_t)64 << 20) /* requests built and not yet written; answers come and not yet taken */

struct client_zone; /* memory of the present answer */

struct hf {
	int fd;
	int timeout_ms;
	char peer[128]; /* "127.0.0.1:7400", for messages */
	struct buffer out, in;
	size_t out_at; /* written so far */
	size_t in_at; /* taken so far */
	size_t building; /* where the request being built starts in out */
	size_t params; /* where its parameters start */
	uint32_t number; /* of the last request begun */
	uint32_t in_flight;
	bool begun, broken;
	bool answered; /* this peer has sent at least one answer, so it is a Holdfast */
	bool foreign; /* what it sent is no MessagePack-RPC: nothing of ours has happened */
	struct scanner scanner;
	struct client_zone *zone;
	struct hf_failure failure;
};

/* An answer taken apart: [1, number, error, result]. */
struct client_answer {
	uint32_t number;
	const struct hf_value *error; /* NULL: none */
	const struct hf_value *result;
};

struct client_zone *client_zone_new(void);
void client_zone_free(struct client_zone *);
/*
 * One whole msgpack object that a scanner has passed, as a tree. Borrows from the bytes and the zone, which is emptied first.
 * NULL: no msgpack, or no memory.
 */
const struct hf_value *client_parse(struct client_zone *, const uint8_t *, size_t n);
/* Decodes one whole frame; everything borrows from the frame and the zone, which is emptied first. false: no answer. */
bool client_decode(struct client_zone *, const uint8_t *frame, size_t n, struct client_answer *);

/* Fills hf->failure: code "unknown" or "failed", or the server's own; returns `outcome`. */
enum hf_outcome client_fail(struct hf *, enum hf_outcome, const char *format, ...) __attribute__((format(printf, 3, 4)));
void client_refused(struct hf_failure *, const struct hf_value *error);

#endif
