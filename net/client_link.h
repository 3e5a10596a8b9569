/*
 * client_link.h: the line of a client: addresses, one socket that never blocks, bytes out, whole messages in. Both kinds of
 * connections of libholdfast stand on it; it knows nothing of requests.
 *
 * L1: `out` holds whole messages, written in order. What lies before `out_at` has been given to the kernel, `written` counts it all.
 * L2: what lies in `in` before `in_at` has been taken; a frame that was given out borrows from `in` until the next read.
 * L3: once `broken`, nothing is sent or read any more until the next start; whole messages that are here can still be taken.
 */
#ifndef HOLDFAST_NET_CLIENT_LINK_H
#define HOLDFAST_NET_CLIENT_LINK_H

#include "holdfast/holdfast.h"
#include "net/buffer.h"
#include "net/scanner.h"

#include <netdb.h>

#define CLIENT_REPLY_BYTES_MAX ((size_t)16 << 20) /* 100 lines for each of 1,000 reservations */
#define CLIENT_QUEUE_BYTES_MAX ((size_t)64 << 20) /* requests built and not yet written; answers come and not yet taken */

struct client_link {
	int fd; /* -1: none */
	char peer[128]; /* "127.0.0.1:7400", for messages */
	struct buffer out, in;
	size_t out_at, in_at;
	uint64_t written; /* bytes since the start */
	struct scanner scanner;
	size_t whole; /* bytes of the message at in_at when it is known to be whole, else 0 */
	bool blocked; /* the kernel took less than it was given */
	bool broken;
	bool answered; /* this peer has sent at least one message, so it is a Holdfast */
	bool foreign; /* what it sent is no MessagePack-RPC: nothing of ours has happened */
	char what[200]; /* why it is broken: "closed the connection"; a whole sentence when foreign */
};

void client_link_init(struct client_link *, const char *host, uint16_t port);
void client_link_fini(struct client_link *);

/*
 * The addresses of a name; freeaddrinfo() is the caller's. Blocks unless the host is numeric (then *numeric). NULL: *failure says
 * why.
 */
struct addrinfo *client_link_resolve(const char *host, uint16_t port, bool *numeric, struct hf_failure *failure);
/* A fresh socket on its way to an address; what an earlier one left is dropped. 0: under way or there; else the errno. */
int client_link_start(struct client_link *, const struct addrinfo *);
/* Waits at most wait_ms. 0: connected. EINPROGRESS: not yet. Else the errno, and the socket is closed. */
int client_link_started(struct client_link *, int wait_ms);
/* Closes the socket; what was read stays. */
void client_link_end(struct client_link *);
/* One sentence about a start that failed, with the way out. */
void client_link_why(const struct client_link *, int error, int64_t timeout_ms, struct hf_failure *failure);

bool client_link_unwritten(const struct client_link *);
/* As much as goes without waiting; false: it broke. */
bool client_link_write(struct client_link *);
bool client_link_read(struct client_link *);
/* The message at in_at is here as a whole; also false when what came can be no message (then it is broken). */
bool client_link_look(struct client_link *);
/* Takes it; borrowed until the next read. NULL: none is whole. */
const uint8_t *client_link_take(struct client_link *, size_t *n);
/* Breaks it, with printf's words. */
void client_link_break(struct client_link *, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
