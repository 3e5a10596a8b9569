/* gate_socket.c: see gate_socket.h. */
#include "net/gate_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <nanomsg/nn.h>
#include <nanomsg/reqrep.h>

/* ---- addresses ---- */

static int
address_bad(const char *text, const char *what, struct why *why)
{
	snprintf(why->text, sizeof why->text, "'%.200s' is no address to use here: %s", text, what);
	return -1;
}

int
gate_address(const char *text, struct sockaddr_in *address, struct why *why)
{
	const char *colon = strrchr(text, ':');
	char host[INET_ADDRSTRLEN], *end;
	if (!colon || colon == text || (size_t)(colon - text) >= sizeof host)
		return address_bad(text, "HOST:PORT is needed, as 127.0.0.1:7401", why);
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = 0;
	errno = 0;
	unsigned long port = strtoul(colon + 1, &end, 10);
	if (colon[1] < '0' || colon[1] > '9' || *end || errno || port > UINT16_MAX)
		return address_bad(text, "the port is a number from 0 to 65535", why);
	*address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	if (strcmp(host, "localhost") == 0)
		address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else if (inet_pton(AF_INET, host, &address->sin_addr) != 1)
		return address_bad(text, "the host is an IPv4 number or localhost", why);
	if (ntohl(address->sin_addr.s_addr) >> 24 != IN_LOOPBACKNET)
		return address_bad(text, "only loopback addresses (127.0.0.1) are accepted as long as there are no tokens", why);
	return 0;
}

/* ---- the socket ---- */

/* 0: none. */
static uint16_t
free_port(const struct sockaddr_in *address)
{
	struct sockaddr_in a = *address;
	socklen_t n = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool bound = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && getsockname(fd, (struct sockaddr *)&a, &n) == 0;
	if (fd >= 0)
		close(fd);
	return bound ? ntohs(a.sin_port) : 0;
}

static int
bind_port(struct gate_socket *s, const struct sockaddr_in *address, uint16_t port)
{
	char url[64], host[INET_ADDRSTRLEN];
	inet_ntop(AF_INET, &address->sin_addr, host, sizeof host);
	snprintf(url, sizeof url, "tcp://%s:%u", host, port);
	s->port = port;
	return nn_bind(s->socket, url) < 0 ? -1 : 0;
}

static int
bind_any(struct gate_socket *s, const struct sockaddr_in *address)
{
	for (int i = 0; i < SOCKET_PORT_TRIES; i++) {
		uint16_t port = free_port(address);
		if (port && bind_port(s, address, port) == 0)
			return 0;
	}
	return -1;
}

static int
socket_fail(struct gate_socket *s, const struct sockaddr_in *address, struct why *why)
{
	char host[INET_ADDRSTRLEN];
	int error = errno;
	inet_ntop(AF_INET, &address->sin_addr, host, sizeof host);
	snprintf(why->text, sizeof why->text, "cannot listen for stock events on %s:%u: %s%s", host, ntohs(address->sin_port), nn_strerror(error),
	    error == EADDRINUSE ? "; another gate runs there, or --events names a port that is taken (0: choose one)" : "");
	gate_socket_close(s);
	return -1;
}

int
gate_socket_open(struct gate_socket *s, const struct sockaddr_in *address, struct why *why)
{
	int receive_bytes = SOCKET_MESSAGE_BYTES_MAX, send_bytes = SOCKET_SEND_BYTES;
	size_t size = sizeof s->fd;
	*s = (struct gate_socket){ .socket = nn_socket(AF_SP_RAW, NN_REP), .fd = -1 };
	if (s->socket < 0)
		return socket_fail(s, address, why);
	if (nn_setsockopt(s->socket, NN_SOL_SOCKET, NN_RCVMAXSIZE, &receive_bytes, sizeof receive_bytes) < 0
	    || nn_setsockopt(s->socket, NN_SOL_SOCKET, NN_SNDBUF, &send_bytes, sizeof send_bytes) < 0
	    || nn_getsockopt(s->socket, NN_SOL_SOCKET, NN_RCVFD, &s->fd, &size) < 0)
		return socket_fail(s, address, why);
	if (address->sin_port ? bind_port(s, address, ntohs(address->sin_port)) : bind_any(s, address))
		return socket_fail(s, address, why);
	return 0;
}

void
gate_socket_close(struct gate_socket *s)
{
	if (s->socket >= 0)
		nn_close(s->socket);
	s->socket = -1;
}
