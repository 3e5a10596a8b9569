/* listener.c: accepting. The contract is in listener.h. */
#define _GNU_SOURCE
#include "net/listener.h"
#include "net/connection.h"
#include "net/dispatch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct listener {
	struct loop *loops;
	unsigned loops_n, next;
	uint64_t connections_max;
	int fd;
	struct event *ready, *pause;
};

int
address_parse(const char *text, const char *option, struct address *a, struct why *why)
{
	const char *colon = strrchr(text, ':'), *host = text;
	size_t n = colon ? (size_t)(colon - text) : 0;
	char *end;
	long port = colon && colon[1] ? strtol(colon + 1, &end, 10) : -1;
	if (n >= 2 && host[0] == '[' && host[n - 1] == ']') {
		host++;
		n -= 2;
	}
	if (n == 0 || n >= sizeof a->host || port < 0 || port > 65535 || *end) {
		snprintf(why->text, sizeof why->text, "--%s %s: an address is HOST:PORT, as in 127.0.0.1:7400", option, text);
		return -1;
	}
	memcpy(a->host, host, n);
	a->host[n] = 0;
	a->port = (uint16_t)port;
	return 0;
}

bool
address_is_loopback(const struct address *a)
{
	struct in_addr v4;
	struct in6_addr v6;
	if (strcmp(a->host, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, a->host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, a->host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* What accepted sockets take over from the one that listens (Linux). What fails leaves the system's own value. */
static void
options_set(int fd)
{
	static const struct { int level, name, value; } options[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1 }, { SOL_SOCKET, SO_RCVBUF, SOCKET_BYTES }, { SOL_SOCKET, SO_SNDBUF, SOCKET_BYTES },
		{ SOL_SOCKET, SO_KEEPALIVE, 1 }, { IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S },
		{ IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_EACH_S }, { IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES },
	};
	for (size_t i = 0; i < sizeof options / sizeof *options; i++)
		setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof options[i].value);
}

static int
bind_and_listen(const struct address *a, struct why *why)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV }, *found = NULL;
	char port[8];
	int fd = -1, on = 1;
	snprintf(port, sizeof port, "%u", a->port);
	hints.ai_family = strcmp(a->host, "localhost") == 0 ? AF_INET : AF_UNSPEC;
	int failure = getaddrinfo(a->host, port, &hints, &found);
	if (failure) {
		snprintf(why->text, sizeof why->text, "cannot listen on %s:%s: %s", a->host, port, gai_strerror(failure));
		return -1;
	}
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
	    bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, LISTEN_BACKLOG) < 0) {
		snprintf(why->text, sizeof why->text, "cannot listen on %s:%s: %s%s", a->host, port, strerror(errno),
		    errno == EADDRINUSE ? " (is another server running? --listen takes another port)" : "");
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	freeaddrinfo(found);
	if (fd >= 0)
		options_set(fd);
	return fd;
}

static void
pause_over(int none, short what, void *arg)
{
	struct listener *a = arg;
	loop_unwatch(a->pause);
	a->pause = NULL;
	event_add(a->ready, NULL);
}

/* Out of descriptors or memory: the queue of the kernel keeps the clients meanwhile. */
static void
pause_begin(struct listener *a)
{
	counters_add(&a->loops[0].counters, COUNTER_ACCEPT_PAUSES, 1);
	event_del(a->ready);
	a->pause = loop_after(&a->loops[0], ACCEPT_PAUSE_MS, pause_over, a);
	if (!a->pause)
		event_add(a->ready, NULL);
}

static void
give_away(struct listener *a, int fd)
{
	struct loop *first = &a->loops[0];
	if (atomic_fetch_add_explicit(first->connections_open, 1, memory_order_relaxed) >= a->connections_max) {
		atomic_fetch_sub_explicit(first->connections_open, 1, memory_order_relaxed);
		counters_add(&first->counters, COUNTER_CONNECTIONS_REFUSED, 1);
		close(fd);
		return;
	}
	unsigned to = a->next++ % a->loops_n;
	if (to == 0 || !dispatch_socket(first, to, fd))
		connection_open(first, fd);
}

static void
on_ready(int listening, short what, void *arg)
{
	struct listener *a = arg;
	for (int i = 0; i < ACCEPTS_A_ROUND; i++) {
		int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			give_away(a, fd);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			pause_begin(a);
		if (errno != ECONNABORTED && errno != EINTR)
			return;
	}
}

struct listener *
listener_open(struct loop *loops, unsigned n, const struct address *address, uint64_t connections_max, struct why *why)
{
	struct listener *a = calloc(1, sizeof *a);
	if (!a) {
		snprintf(why->text, sizeof why->text, "no memory for the listener");
		return NULL;
	}
	*a = (struct listener){ .loops = loops, .loops_n = n, .connections_max = connections_max };
	a->fd = bind_and_listen(address, why);
	if (a->fd < 0) {
		free(a);
		return NULL;
	}
	a->ready = loop_watch(&loops[0], a->fd, on_ready, a);
	if (!a->ready) {
		snprintf(why->text, sizeof why->text, "no memory for the listener");
		listener_close(a);
		return NULL;
	}
	return a;
}

uint16_t
listener_port(const struct listener *a)
{
	return address_port(a->fd);
}

uint16_t
address_port(int fd)
{
	struct sockaddr_storage name;
	socklen_t n = sizeof name;
	if (getsockname(fd, (struct sockaddr *)&name, &n) < 0)
		return 0;
	return ntohs(name.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&name)->sin6_port : ((struct sockaddr_in *)&name)->sin_port);
}

void
listener_close(struct listener *a)
{
	if (!a)
		return;
	loop_unwatch(a->ready);
	loop_unwatch(a->pause);
	close(a->fd);
	free(a);
}
