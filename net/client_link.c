/* client_link.c: see client_link.h. */
#include "net/client_link.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES ((size_t)64 << 10)
/* A peer whose machine is gone is found after 10 + 3 x 5 s, also when nothing is asked of it. */
#define KEEPALIVE_IDLE_S 10
#define KEEPALIVE_EACH_S 5
#define KEEPALIVE_TIMES 3

void
client_link_init(struct client_link *l, const char *host, uint16_t port)
{
	memset(l, 0, sizeof *l);
	l->fd = -1;
	l->out.limit = l->in.limit = CLIENT_QUEUE_BYTES_MAX;
	scanner_init(&l->scanner);
	snprintf(l->peer, sizeof l->peer, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
}

void
client_link_end(struct client_link *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
}

void
client_link_fini(struct client_link *l)
{
	client_link_end(l);
	buffer_fini(&l->out);
	buffer_fini(&l->in);
}

void
client_link_break(struct client_link *l, const char *format, ...)
{
	va_list args;
	if (l->broken)
		return;
	l->broken = true;
	va_start(args, format);
	vsnprintf(l->what, sizeof l->what, format, args);
	va_end(args);
}

/* ---- connecting ---- */

struct addrinfo *
client_link_resolve(const char *host, uint16_t port, bool *numeric, struct hf_failure *failure)
{
	char service[8];
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV }, *list = NULL;
	snprintf(service, sizeof service, "%u", port);
	int got = getaddrinfo(host, service, &hints, &list);
	*numeric = got == 0;
	hints.ai_flags = 0;
	if (got != 0)
		got = getaddrinfo(host, service, &hints, &list);
	if (got == 0)
		return list;
	memset(failure, 0, sizeof *failure);
	snprintf(failure->code, sizeof failure->code, "failed");
	snprintf(failure->message, sizeof failure->message, "no address for '%s': %s", host, gai_strerror(got));
	return NULL;
}

static void
options_set(int fd)
{
	int on = 1, idle = KEEPALIVE_IDLE_S, each = KEEPALIVE_EACH_S, times = KEEPALIVE_TIMES;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &each, sizeof each);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &times, sizeof times);
}

int
client_link_start(struct client_link *l, const struct addrinfo *a)
{
	client_link_end(l);
	l->out.used = l->in.used = l->out_at = l->in_at = l->whole = 0;
	l->out.full = l->in.full = false;
	l->written = 0;
	l->blocked = l->broken = l->answered = l->foreign = false;
	scanner_init(&l->scanner);
	l->fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);
	if (l->fd < 0)
		return errno;
	options_set(l->fd);
	if (connect(l->fd, a->ai_addr, a->ai_addrlen) == 0 || errno == EINPROGRESS || errno == EINTR)
		return 0;
	int error = errno;
	client_link_end(l);
	return error;
}

int
client_link_started(struct client_link *l, int wait_ms)
{
	struct pollfd p = { .fd = l->fd, .events = POLLOUT };
	int error = 0, ready;
	socklen_t n = sizeof error;
	while ((ready = poll(&p, 1, wait_ms)) < 0 && errno == EINTR)
		;
	if (ready == 0)
		return EINPROGRESS;
	if (ready < 0 || getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
		error = errno;
	if (error)
		client_link_end(l);
	return error;
}

void
client_link_why(const struct client_link *l, int error, int64_t timeout_ms, struct hf_failure *failure)
{
	memset(failure, 0, sizeof *failure);
	snprintf(failure->code, sizeof failure->code, "failed");
	char *to = failure->message;
	size_t size = sizeof failure->message;
	if (error == ECONNREFUSED)
		snprintf(to, size, "nothing listens on %s: start a server there with 'holdfastd --data DIR', or name another one", l->peer);
	else if (error == ETIMEDOUT || error == EINPROGRESS)
		snprintf(to, size, "no connection to %s within %lld ms: is the address right, is a firewall in between?", l->peer,
		    (long long)timeout_ms);
	else
		snprintf(to, size, "no connection to %s: %s", l->peer, strerror(error));
}

/* ---- bytes ---- */

bool
client_link_unwritten(const struct client_link *l)
{
	return l->out_at < l->out.used;
}

bool
client_link_write(struct client_link *l)
{
	if (l->broken || !client_link_unwritten(l))
		return !l->broken;
	size_t n = l->out.used - l->out_at;
	ssize_t sent = send(l->fd, l->out.at + l->out_at, n, MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN && errno != EINTR) {
		client_link_break(l, "%s", strerror(errno));
		return false;
	}
	l->blocked = sent < (ssize_t)n;
	if (sent <= 0)
		return true;
	l->written += (uint64_t)sent;
	l->out_at += (size_t)sent;
	if (l->out_at >= l->out.used / 2) {
		buffer_consume(&l->out, l->out_at);
		l->out_at = 0;
	}
	return true;
}

/*
 * The first byte of every message is 0x94 (an array of four), of a notification 0x93. Others are told by what they greet with, so
 * that a wrong port gets a sentence and not a time-out.
 */
static bool
no_stranger(struct client_link *l)
{
	const uint8_t *at = l->in.at + l->in_at;
	size_t n = l->in.used - l->in_at;
	if (n == 0 || at[0] == 0x94 || at[0] == 0x93)
		return true;
	l->foreign = !l->answered;
	l->broken = false; /* a stranger's greeting tells more than the end that follows it */
	if (n >= 4 && memcmp(at, "HTTP", 4) == 0)
		client_link_break(l, "%s speaks HTTP, not Holdfast's RPC: name the port of --listen (7400 unless set)", l->peer);
	else if (n >= 3 && memcmp(at, "\0SP", 3) == 0)
		client_link_break(l, "%s speaks nanomsg, not Holdfast's RPC: name the port of --listen (7400 unless set), not of --events",
		    l->peer);
	else
		client_link_break(l, "something answers on %s, but it is not Holdfast's RPC", l->peer);
	return false;
}

/* Drops what was taken, once that is most of the buffer: amortised, each byte moves at most once. */
static void
compact(struct client_link *l)
{
	if (l->in_at == 0 || l->in_at < l->in.used / 2)
		return;
	buffer_consume(&l->in, l->in_at);
	l->in_at = 0;
}

bool
client_link_read(struct client_link *l)
{
	if (l->broken)
		return false;
	compact(l);
	uint8_t *room = buffer_room(&l->in, READ_BYTES);
	if (!room) {
		client_link_break(l, "sends more than this client keeps");
		return false;
	}
	ssize_t n = recv(l->fd, room, READ_BYTES, 0);
	if (n > 0)
		l->in.used += (size_t)n;
	else if (n == 0)
		client_link_break(l, "closed the connection");
	else if (errno != EAGAIN && errno != EINTR)
		client_link_break(l, "%s", strerror(errno));
	return (l->whole > 0 || no_stranger(l)) && !l->broken;
}

bool
client_link_look(struct client_link *l)
{
	if (l->whole > 0)
		return true;
	if (l->in.used == l->in_at || l->foreign)
		return false;
	size_t end;
	switch (scanner_scan(&l->scanner, l->in.at + l->in_at, l->in.used - l->in_at, CLIENT_REPLY_BYTES_MAX, &end)) {
	case SCAN_WHOLE:
		l->whole = end;
		return true;
	case SCAN_TOO_LONG:
		client_link_break(l, "sent an answer beyond 16 MiB");
		return false;
	case SCAN_TOO_DEEP:
	case SCAN_BAD:
		client_link_break(l, "sent bytes that are no answer");
		return false;
	case SCAN_MORE:
		break;
	}
	return false;
}

const uint8_t *
client_link_take(struct client_link *l, size_t *n)
{
	if (!client_link_look(l))
		return NULL;
	const uint8_t *frame = l->in.at + l->in_at;
	*n = l->whole;
	l->in_at += l->whole;
	l->whole = 0;
	l->answered = true;
	scanner_init(&l->scanner);
	return frame;
}
