/*
 * answerer.c: nanomsg with nothing behind it: takes messages at a REP socket and answers each with a few bytes. What the gate's door can
 * reach at most; `make bench-peers` sets the gate beside it.
 *
 *     holdfast-answerer PORT
 */
#include <nanomsg/nn.h>
#include <nanomsg/reqrep.h>
#include <nanomsg/tcp.h>
#include <poll.h>
#include <stdio.h>

#include "net/gate_raw.h"

#define MESSAGE_BYTES_MAX (2 << 20)
#define BUFFER_BYTES (1 << 20)

static int
open_door(const char *port)
{
	char address[64];
	int door = nn_socket(AF_SP_RAW, NN_REP), on = 1, most = MESSAGE_BYTES_MAX, buffer = BUFFER_BYTES;
	snprintf(address, sizeof address, "tcp://127.0.0.1:%s", port);
	if (door < 0 || nn_setsockopt(door, NN_TCP, NN_TCP_NODELAY, &on, sizeof on) != 0 ||
	    nn_setsockopt(door, NN_SOL_SOCKET, NN_RCVMAXSIZE, &most, sizeof most) != 0 ||
	    nn_setsockopt(door, NN_SOL_SOCKET, NN_RCVBUF, &buffer, sizeof buffer) != 0 || nn_bind(door, address) < 0)
		return -1;
	return door;
}

int
main(int argc, char **argv)
{
	static const struct raw_part answer = { "answered, no more than that", 27 };
	int door = argc == 2 ? open_door(argv[1]) : -1, wakes;
	size_t n = sizeof wakes;
	if (door < 0 || nn_getsockopt(door, NN_SOL_SOCKET, NN_RCVFD, &wakes, &n) != 0) {
		fprintf(stderr, "holdfast-answerer: cannot listen (usage: holdfast-answerer PORT)\n");
		return 1;
	}
	for (;;) {
		struct raw_header from;
		uint8_t *body;
		struct pollfd p = { .fd = wakes, .events = POLLIN };
		int got = raw_receive(door, &from, &body, &n);
		if (got < 0 || (got == 0 && poll(&p, 1, -1) < 0))
			return 1;
		if (got == 0)
			continue;
		raw_free(body);
		raw_send(door, &from, &answer, 1);
	}
}
