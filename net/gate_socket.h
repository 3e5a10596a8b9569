/*
 * gate_socket.h: the gate's doors, each one nanomsg socket that listens:
 *
 *   events   REP, raw: any number of requests may be unanswered at a time, each is answered with the header it came with (gate_raw.h)
 *   push     PULL: messages in, nothing out
 *   feed     PUB: messages out to whoever listens, nothing in
 *
 * The longest message nanomsg takes is SOCKET_MESSAGE_BYTES_MAX: more than a gate accepts, so that it can answer `too_large`. Beyond it
 * nanomsg closes that connection; the limit is never switched off, since nanomsg then aborts on a made-up length.
 */
#ifndef HOLDFAST_NET_GATE_SOCKET_H
#define HOLDFAST_NET_GATE_SOCKET_H

#include "core/base.h"
#include "net/gate_address.h"

#define SOCKET_MESSAGE_BYTES_MAX (2 << 20)
#define SOCKET_SEND_BYTES (1 << 20) /* asked of the kernel for each client: what does not fit is dropped by nanomsg */
#define SOCKET_PORT_TRIES 32 /* of free ports chosen for port 0 */

enum gate_door { DOOR_EVENTS, DOOR_PUSH, DOOR_FEED, DOOR_COUNT };

struct gate_socket {
	int socket; /* nanomsg's number; -1: closed */
	int fd; /* readable when a message is there; -1: nothing comes in by this door */
	uint16_t port; /* 0: closed */
};

/* The name of a door, as its option and its line in the port file have it. */
const char *gate_door_name(enum gate_door);
/*
 * Binds. Port 0: nanomsg cannot choose, so a free port is found by binding and closing a TCP socket, and another one when
 * somebody took it in between. 0, or -1: *why. Starts nanomsg's worker thread (it inherits the signal mask): no fork after this.
 */
int gate_socket_open(struct gate_socket *, enum gate_door, const struct gate_address *, struct why *);
void gate_socket_close(struct gate_socket *);

#endif
