/* peer.c: see peer.h. */
#include "tests/peer.h"
#include "net/scanner.h"
#include "tests/wire_text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TEXT_BYTES_MAX 8192

bool
peer_open(struct peer *p, uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int on = 1;
	*p = (struct peer){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	if (p->fd < 0 || connect(p->fd, (struct sockaddr *)&to, sizeof to) < 0) {
		peer_close(p);
		return false;
	}
	setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return true;
}

void
peer_close(struct peer *p)
{
	if (p->fd >= 0)
		close(p->fd);
	buffer_fini(&p->in);
	buffer_fini(&p->out);
	*p = (struct peer){ .fd = -1 };
}

static void
write_list(struct peer *p, const char *format, va_list list)
{
	char text[TEXT_BYTES_MAX];
	vsnprintf(text, sizeof text, format, list);
	wire_from_text(&p->out, text);
}

void
peer_write(struct peer *p, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	write_list(p, format, list);
	va_end(list);
}

bool
peer_send_bytes(struct peer *p, const void *bytes, size_t n)
{
	for (size_t at = 0; at < n;) {
		ssize_t sent = send(p->fd, (const char *)bytes + at, n - at, MSG_NOSIGNAL);
		if (sent <= 0)
			return false;
		at += (size_t)sent;
	}
	return true;
}

bool
peer_flush(struct peer *p)
{
	bool sent = peer_send_bytes(p, p->out.at, p->out.used);
	p->out.used = 0;
	return sent;
}

/* 1: more bytes; 0: the end; -1: not in time. */
static int
receive(struct peer *p)
{
	struct pollfd ready = { .fd = p->fd, .events = POLLIN };
	uint8_t *room = buffer_room(&p->in, 65536);
	if (!room || poll(&ready, 1, PEER_PATIENCE_MS) <= 0)
		return -1;
	ssize_t n = recv(p->fd, room, 65536, 0);
	if (n <= 0)
		return 0;
	p->in.used += (size_t)n;
	return 1;
}

const char *
peer_answer(struct peer *p)
{
	struct scanner scanner;
	size_t end;
	buffer_consume(&p->in, p->shown);
	p->shown = 0;
	scanner_init(&scanner);
	while (p->in.used == 0 || scanner_scan(&scanner, p->in.at, p->in.used, SIZE_MAX, &end) != SCAN_WHOLE) {
		int more = receive(p);
		if (more <= 0)
			return more < 0 ? "nothing" : "closed";
	}
	p->shown = end;
	return wire_to_text(p->in.at, end);
}

const char *
peer_ask(struct peer *p, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	write_list(p, format, list);
	va_end(list);
	return peer_flush(p) ? peer_answer(p) : "closed";
}

bool
peer_is_closed(struct peer *p)
{
	int more;
	while ((more = receive(p)) > 0)
		p->in.used = 0;
	return more == 0;
}
