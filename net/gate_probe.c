/* gate_probe.c: resolve, connect, greet, read the greeting; each failure with its way out. */
#include "net/gate_probe.h"

#include "net/clock.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define GREETING_BYTES 8
#define KIND_REQ 48
#define KIND_REP 49

struct probe {
	const char *host;
	uint16_t port;
	int timeout_ms;
	int64_t end_ms;
};

static int
wait_for(const struct probe *probe, int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };
	for (;;) {
		int64_t left = probe->end_ms - clock_steady_ms();
		int ready = poll(&p, 1, left > 0 ? (int)left : 0);
		if (ready >= 0 || errno != EINTR)
			return ready;
	}
}

/* The connected socket, or -1 with *error set. */
static int
probe_connect(const struct probe *probe, const struct addrinfo *a, int *error)
{
	socklen_t n = sizeof *error;
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	*error = 0;
	if (fd < 0) {
		*error = errno;
		return -1;
	}
	if (connect(fd, a->ai_addr, a->ai_addrlen) < 0)
		*error = errno;
	if (*error == EINPROGRESS) {
		*error = ETIMEDOUT;
		if (wait_for(probe, fd, POLLOUT) > 0)
			getsockopt(fd, SOL_SOCKET, SO_ERROR, error, &n);
	}
	if (*error) {
		close(fd);
		return -1;
	}
	return fd;
}

/* The number of greeting bytes read before the peer closed or the time was over; *closed tells which. */
static size_t
probe_greet(const struct probe *probe, int fd, uint8_t greeting[GREETING_BYTES], bool *closed)
{
	static const uint8_t ours[GREETING_BYTES] = { 0, 'S', 'P', 0, 0, KIND_REQ, 0, 0 };
	size_t have = 0;
	*closed = send(fd, ours, sizeof ours, MSG_NOSIGNAL) != (ssize_t)sizeof ours;
	while (!*closed && have < GREETING_BYTES && wait_for(probe, fd, POLLIN) > 0) {
		ssize_t got = recv(fd, greeting + have, GREETING_BYTES - have, 0);
		*closed = got <= 0;
		have += got > 0 ? (size_t)got : 0;
	}
	return have;
}

static int
probe_judge(const struct probe *probe, int fd, struct why *why)
{
	static const uint8_t head[] = { 0, 'S', 'P', 0, 0 };
	uint8_t greeting[GREETING_BYTES];
	bool closed;
	size_t n = probe_greet(probe, fd, greeting, &closed);
	bool peer = n == GREETING_BYTES && memcmp(greeting, head, sizeof head) == 0;
	if (peer && greeting[5] == KIND_REP)
		return 0;
	if (peer)
		snprintf(why->text, sizeof why->text, "%s:%u is a nanomsg socket, but not one that acknowledges stock events (its kind is %u, not REP): "
		    "use the port of the gate's --events, 'events' in the port file", probe->host, probe->port, greeting[5]);
	else if (n || closed)
		snprintf(why->text, sizeof why->text, "what listens on %s:%u is not a Holdfast gate: use the port of the gate's --events "
		    "('events' in the port file, default 7401), not the server's --listen", probe->host, probe->port);
	else
		snprintf(why->text, sizeof why->text, "%s:%u accepts connections but says nothing for %d ms: it is not a Holdfast gate, or a stopped "
		    "one", probe->host, probe->port, probe->timeout_ms);
	return -1;
}

static void
probe_unreachable(const struct probe *probe, int error, struct why *why)
{
	if (error == ECONNREFUSED)
		snprintf(why->text, sizeof why->text, "nothing listens on %s:%u: start 'holdfastd --data DIR' (it starts a gate itself unless told "
		    "--gate off) or a gate with 'holdfast-gate', or name another address", probe->host, probe->port);
	else
		snprintf(why->text, sizeof why->text, "no connection to the gate at %s:%u: %s", probe->host, probe->port, strerror(error));
}

int
gate_probe(const char *host, uint16_t port, int timeout_ms, char address[PROBE_ADDRESS_BYTES], struct why *why)
{
	struct probe probe = { host, port, timeout_ms, 0 };
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM }, *list;
	char service[8], number[INET6_ADDRSTRLEN] = "";
	int error = 0, fd = -1, result = -1;
	snprintf(service, sizeof service, "%u", port);
	int failed = getaddrinfo(host, service, &hints, &list);
	if (failed) {
		snprintf(why->text, sizeof why->text, "the gate's host '%s' has no address: %s", host, gai_strerror(failed));
		return -1;
	}
	for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
		probe.end_ms = clock_steady_ms() + timeout_ms;
		fd = probe_connect(&probe, a, &error);
		if (fd >= 0)
			getnameinfo(a->ai_addr, a->ai_addrlen, number, sizeof number, NULL, 0, NI_NUMERICHOST);
	}
	freeaddrinfo(list);
	if (fd < 0) {
		probe_unreachable(&probe, error, why);
		return -1;
	}
	result = probe_judge(&probe, fd, why);
	close(fd);
	if (result == 0)
		snprintf(address, PROBE_ADDRESS_BYTES, strchr(number, ':') ? "[%s]:%u" : "%s:%u", number, port);
	return result;
}
