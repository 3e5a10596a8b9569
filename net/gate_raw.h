/*
 * gate_raw.h: whole messages in and out of a raw nanomsg socket (AF_SP_RAW), with the routing header that the plain sockets hide.
 * A PULL socket may be received from just so.
 *
 * A header is a stack of big-endian words: at the replying side first the key of the connection it came by (which nanomsg
 * puts in front), then one per device on the way, last the request's own number with the top bit set. A reply goes out with the
 * header of its request, unchanged; a requester sends only the last word. One thread per socket.
 */
#ifndef HOLDFAST_NET_GATE_RAW_H
#define HOLDFAST_NET_GATE_RAW_H

#include <stddef.h>
#include <stdint.h>

/* Key, NN_MAXTTL = 8 hops (its default, the last is the number), and room to spare. */
#define RAW_HEADER_BYTES_MAX 60
#define RAW_PARTS_MAX 8

struct raw_header {
	uint32_t n; /* 0: came over a socket whose messages have none (PULL): nobody waits for an answer */
	uint8_t at[RAW_HEADER_BYTES_MAX];
};

struct raw_part {
	const void *at;
	size_t n;
};

/*
 * Takes the next message, without waiting. 1: *body[0..*n) gives the bytes (raw_free() them); 0: none now; -1: the socket is broken
 * (errno). A message whose header does not fit is dropped: it passed more devices than anybody builds.
 */
int raw_receive(int socket, struct raw_header *, uint8_t **body, size_t *n);
void raw_free(uint8_t *body);
/* Room for a message that raw_free() will free. NULL: no memory. */
uint8_t *raw_allocate(size_t n);

/* Sends the parts as one message (copied), with this header (NULL: over a socket whose messages have none), without waiting. 1: taken; 0: no connection takes it now; -1: broken (errno). */
int raw_send(int socket, const struct raw_header *, const struct raw_part *, int parts_n);

/* Peers that are connected now. */
int raw_connections(int socket);

#endif
