/* rehearse_link.c: the contract is in rehearse_link.h. */
#include "bench/rehearse_link.h"
#include "net/scanner.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES (256u << 10)
#define ANSWER_BYTES_MAX ((size_t)16 << 20)
#define GATE_HEAD 12 /* a length of 64 bits, a word of 32 */
#define GREETING_BYTES 8
#define CONNECT_S 10

static int
connect_to(const char *host, uint16_t port)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *all = NULL;
	const struct timeval patience = { CONNECT_S, 0 };
	char service[8];
	int fd = -1, on = 1;
	snprintf(service, sizeof service, "%u", port);
	if (getaddrinfo(host, service, &hints, &all) != 0)
		return -1;
	for (struct addrinfo *a = all; a && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
		if (fd < 0)
			continue;
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience); /* bounds connect(), too */
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
			break;
		close(fd);
		fd = -1;
	}
	freeaddrinfo(all);
	return fd;
}

/* Each side says what it is: REQ (48) meets REP (49). */
static bool
greet(int fd)
{
	const uint8_t ours[GREETING_BYTES] = { 0, 'S', 'P', 0, 0, 48, 0, 0 }, theirs[GREETING_BYTES] = { 0, 'S', 'P', 0, 0, 49, 0, 0 };
	uint8_t got[GREETING_BYTES];
	return send(fd, ours, sizeof ours, MSG_NOSIGNAL) == sizeof ours && recv(fd, got, sizeof got, MSG_WAITALL) == sizeof got &&
	    memcmp(got, theirs, sizeof got) == 0;
}

int
link_open(struct link *k, const char *host, uint16_t port, bool gate, int epoll, uint32_t number, struct why *why)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u32 = number };
	*k = (struct link){ .fd = connect_to(host, port), .epoll = epoll, .gate = gate };
	if (k->fd >= 0 && (!gate || greet(k->fd)) && fcntl(k->fd, F_SETFL, O_NONBLOCK) == 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, k->fd, &e) == 0)
		return 0;
	snprintf(why->text, sizeof why->text, "no %s at %.100s:%u: %s", gate ? "gate (--events)" : "server", host, port,
	    k->fd >= 0 ? "what listens there is something else" : strerror(errno));
	link_close(k);
	return -1;
}

void
link_close(struct link *k)
{
	if (k->fd >= 0)
		close(k->fd);
	buffer_fini(&k->in);
	buffer_fini(&k->out);
	*k = (struct link){ .fd = -1 };
}

size_t
link_begin(struct link *k)
{
	static const uint8_t head[GATE_HEAD] = { 0 };
	size_t begun = k->out.used;
	if (k->gate)
		buffer_append(&k->out, head, sizeof head);
	return begun;
}

void
link_end(struct link *k, size_t begun, uint32_t word)
{
	uint64_t length = __builtin_bswap64(k->out.used - begun - sizeof length);
	word = htonl(word);
	if (!k->gate)
		return;
	memcpy(k->out.at + begun, &length, sizeof length);
	memcpy(k->out.at + begun + sizeof length, &word, sizeof word);
}

static void
wait_for_room(struct link *k, bool waits, uint32_t number)
{
	struct epoll_event e = { .events = EPOLLIN | (waits ? EPOLLOUT : 0), .data.u32 = number };
	if (waits != k->waits)
		epoll_ctl(k->epoll, EPOLL_CTL_MOD, k->fd, &e);
	k->waits = waits;
}

int
link_flush(struct link *k, uint32_t number)
{
	while (k->out_at < k->out.used) {
		ssize_t n = send(k->fd, k->out.at + k->out_at, k->out.used - k->out_at, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -1;
		if (n < 0 && errno == EAGAIN)
			break;
		k->out_at += n > 0 ? (size_t)n : 0;
	}
	if (k->out_at == k->out.used)
		k->out_at = k->out.used = 0;
	wait_for_room(k, k->out.used > 0, number);
	return 0;
}

int
link_read(struct link *k)
{
	if (k->in_at > 0)
		buffer_consume(&k->in, k->in_at);
	k->in_at = 0;
	uint8_t *room = k->in.used < ANSWER_BYTES_MAX ? buffer_room(&k->in, READ_BYTES) : NULL;
	ssize_t n = room ? recv(k->fd, room, READ_BYTES, 0) : 0;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		return -1;
	k->in.used += n > 0 ? (size_t)n : 0;
	return 0;
}

static const uint8_t *
take_from_gate(struct link *k, size_t *n, uint32_t *word)
{
	const uint8_t *at = k->in.at + k->in_at;
	size_t have = k->in.used - k->in_at;
	uint64_t length;
	if (have < GATE_HEAD)
		return NULL;
	memcpy(&length, at, sizeof length);
	memcpy(word, at + sizeof length, sizeof *word);
	length = __builtin_bswap64(length);
	*word = ntohl(*word);
	if (length < sizeof *word || have < sizeof length + length)
		return NULL;
	*n = length - sizeof *word;
	k->in_at += sizeof length + length;
	return at + GATE_HEAD;
}

const uint8_t *
link_take(struct link *k, size_t *n, uint32_t *word)
{
	struct scanner scanner;
	const uint8_t *at = k->in.at + k->in_at;
	if (k->gate)
		return take_from_gate(k, n, word);
	scanner_init(&scanner);
	if (k->in_at == k->in.used || scanner_scan(&scanner, at, k->in.used - k->in_at, ANSWER_BYTES_MAX, n) != SCAN_WHOLE)
		return NULL;
	k->in_at += *n;
	return at;
}
