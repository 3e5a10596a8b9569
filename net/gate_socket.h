/*
 * gate_socket.h: the nanomsg REP socket tills and warehouses send their stock events to. Raw, so that any number of requests may be
 * unanswered at a time; each is answered with the header it came with (gate_raw.h).
 *
 * The longest message nanomsg takes is SOCKET_MESSAGE_BYTES_MAX: more than a gate accepts, so that it can answer `too_large`. Beyond it
 * nanomsg closes that connection; the limit is never switched off, since nanomsg then aborts on a made-up length.
 */
#ifndef HOLDFAST_NET_GATE_SOCKET_H
#define HOLDFAST_NET_GATE_SOCKET_H

#include "core/base.h"
#include "net/gate_raw.h"

#include <netinet/in.h>

#define SOCKET_MESSAGE_BYTES_MAX (2 << 20)
#define SOCKET_SEND_BYTES (1 << 20) /* asked of the kernel for each client: answers that do not fit are dropped by nanomsg */
#define SOCKET_PORT_TRIES 32 /* of free ports chosen for port 0 */

struct gate_socket {
	int socket; /* nanomsg's number; -1: closed */
	int fd; /* readable when a message is there */
	uint16_t port;
};

/*
 * Binds. Port 0: nanomsg cannot choose, so a free port is found by binding and closing a TCP socket, and another one when
 * somebody took it in between. 0, or -1: *why. Starts nanomsg's worker thread (it inherits the signal mask): no fork after this.
 */
int gate_socket_open(struct gate_socket *, const struct sockaddr_in *, struct why *);
void gate_socket_close(struct gate_socket *);

/* "HOST:PORT" with an IPv4 loopback address or "localhost": nothing else, until there are tokens. 0, or -1: *why. */
int gate_address(const char *text, struct sockaddr_in *, struct why *);

#endif
