/*
 * listener.h: the listening socket of the first loop. It accepts, bounds the number of connections of all loops, and gives each
 * connection to the next loop in turn. When descriptors or memory run out it pauses instead of spinning.
 *
 * The first loop's thread only.
 */
#ifndef HOLDFAST_NET_LISTENER_H
#define HOLDFAST_NET_LISTENER_H

#include "net/loop.h"

#define LISTEN_BACKLOG  1024
#define ACCEPTS_A_ROUND 64
#define ACCEPT_PAUSE_MS 100
#define SOCKET_BYTES    (256 << 10) /* the kernel's buffer of a connection, each way; Linux takes twice that with its own overhead */
#define KEEPALIVE_IDLE_S  60 /* a peer that says nothing for so long is asked whether it lives: KEEPALIVE_PROBES times, */
#define KEEPALIVE_EACH_S  10 /* so far apart; then its connection ends */
#define KEEPALIVE_PROBES  3

struct listener;

/* "HOST:PORT" with a numeric host or "localhost"; "[::1]:7400" for IPv6. -1: why, which names the option. */
struct address {
	char host[64];
	uint16_t port;
};
int address_parse(const char *text, const char *option, struct address *, struct why *);
/* 127.0.0.0/8, ::1 or localhost: what may be listened on while there are no tokens. */
bool address_is_loopback(const struct address *);
/* Of a socket that is bound; 0: it is not. */
uint16_t address_port(int fd);

/* Binds and listens; accepts from the loop's next round on. loops[0..n) share the connections. NULL: why. */
struct listener *listener_open(struct loop *loops, unsigned n, const struct address *, uint64_t connections_max, struct why *);
uint16_t listener_port(const struct listener *);
void listener_close(struct listener *); /* NULL is fine */

#endif
