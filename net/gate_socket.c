/* gate_socket.c: see gate_socket.h. */
#include "net/gate_socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>
#include <nanomsg/nn.h>
#include <nanomsg/pipeline.h>
#include <nanomsg/pubsub.h>
#include <nanomsg/reqrep.h>
#include <nanomsg/tcp.h>

static const struct door {
	const char *name, *what; /* its option, and what is listened for */
	int domain, protocol;
	bool receives;
} doors[DOOR_COUNT] = {
	[DOOR_EVENTS] = { "events", "stock events", AF_SP_RAW, NN_REP, true },
	[DOOR_PUSH] = { "push", "pushed stock events", AF_SP, NN_PULL, true },
	[DOOR_FEED] = { "feed", "subscribers of the change feed", AF_SP, NN_PUB, false },
};

const char *
gate_door_name(enum gate_door door)
{
	return doors[door].name;
}

/* 0: none. */
static uint16_t
free_port(const struct gate_address *address)
{
	struct sockaddr_storage a;
	socklen_t n = gate_address_socket(address, &a);
	int fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool bound = fd >= 0 && bind(fd, (struct sockaddr *)&a, n) == 0 && getsockname(fd, (struct sockaddr *)&a, &n) == 0;
	if (fd >= 0)
		close(fd);
	if (!bound)
		return 0;
	return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port : ((struct sockaddr_in *)&a)->sin_port);
}

static int
bind_port(struct gate_socket *s, const struct gate_address *address, uint16_t port)
{
	struct gate_address chosen = *address;
	char text[GATE_ADDRESS_TEXT_BYTES], url[GATE_ADDRESS_TEXT_BYTES + 8];
	chosen.port = port;
	gate_address_text(&chosen, text);
	snprintf(url, sizeof url, "tcp://%s", text);
	if (nn_bind(s->socket, url) < 0)
		return -1;
	s->port = port;
	return 0;
}

static int
bind_any(struct gate_socket *s, const struct gate_address *address)
{
	for (int i = 0; i < SOCKET_PORT_TRIES; i++) {
		uint16_t port = free_port(address);
		if (port && bind_port(s, address, port) == 0)
			return 0;
	}
	return -1;
}

/* -1: errno. No delay: answers are small, and an acknowledgement that the other side puts off would hold the next one back. */
static int
options_set(struct gate_socket *s, const struct door *door, bool six)
{
	int receive_bytes = SOCKET_MESSAGE_BYTES_MAX, send_bytes = SOCKET_SEND_BYTES, four_only = !six, on = 1;
	size_t size = sizeof s->fd;
	if (nn_setsockopt(s->socket, NN_SOL_SOCKET, NN_RCVMAXSIZE, &receive_bytes, sizeof receive_bytes) < 0 ||
	    nn_setsockopt(s->socket, NN_SOL_SOCKET, NN_SNDBUF, &send_bytes, sizeof send_bytes) < 0 ||
	    nn_setsockopt(s->socket, NN_SOL_SOCKET, NN_IPV4ONLY, &four_only, sizeof four_only) < 0 ||
	    nn_setsockopt(s->socket, NN_TCP, NN_TCP_NODELAY, &on, sizeof on) < 0)
		return -1;
	return door->receives ? nn_getsockopt(s->socket, NN_SOL_SOCKET, NN_RCVFD, &s->fd, &size) : 0;
}

static int
socket_fail(struct gate_socket *s, const struct door *door, const struct gate_address *address, struct why *why)
{
	char text[GATE_ADDRESS_TEXT_BYTES];
	int error = errno;
	gate_address_text(address, text);
	snprintf(why->text, sizeof why->text, "cannot listen for %s on %s: %s", door->what, text, nn_strerror(error));
	if (error == EADDRINUSE) {
		size_t used = strlen(why->text);
		snprintf(why->text + used, sizeof why->text - used, "; another gate runs there, or --%s names a port that is taken (0: choose one)",
		    door->name);
	}
	gate_socket_close(s);
	return -1;
}

int
gate_socket_open(struct gate_socket *s, enum gate_door which, const struct gate_address *address, struct why *why)
{
	const struct door *door = &doors[which];
	*s = (struct gate_socket){ .socket = nn_socket(door->domain, door->protocol), .fd = -1 };
	if (s->socket < 0 || options_set(s, door, address->six) < 0 ||
	    (address->port ? bind_port(s, address, address->port) : bind_any(s, address)) < 0)
		return socket_fail(s, door, address, why);
	return 0;
}

void
gate_socket_close(struct gate_socket *s)
{
	if (s->socket >= 0)
		nn_close(s->socket);
	*s = (struct gate_socket){ .socket = -1, .fd = -1 };
}
