/* till.c: see till.h. */
#include "tests/till.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/clock.h"

int
till_connect(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
		return fd;
	close(fd);
	return -1;
}

bool
till_read(int fd, uint8_t *at, size_t n)
{
	int64_t end_ms = clock_steady_ms() + TILL_PATIENCE_MS;
	for (size_t have = 0; have < n;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		if (clock_steady_ms() >= end_ms || poll(&p, 1, 100) < 0)
			return false;
		if (!p.revents)
			continue;
		ssize_t got = recv(fd, at + have, n - have, 0);
		if (got <= 0)
			return false;
		have += (size_t)got;
	}
	return true;
}

bool
till_write(int fd, const void *bytes, size_t n)
{
	for (size_t done = 0; done < n;) {
		ssize_t sent = send(fd, (const uint8_t *)bytes + done, n - done, MSG_NOSIGNAL);
		if (sent <= 0)
			return false;
		done += (size_t)sent;
	}
	return true;
}

int
till_open_as(uint16_t port, uint8_t kind, uint8_t other, int receive_bytes)
{
	const uint8_t ours[8] = { 0, 'S', 'P', 0, 0, kind, 0, 0 };
	uint8_t greeting[8];
	int fd = till_connect(port);
	if (fd < 0)
		return -1;
	if (receive_bytes)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
	if (till_write(fd, ours, sizeof ours) && till_read(fd, greeting, sizeof greeting) && greeting[5] == other)
		return fd;
	close(fd);
	return -1;
}

int
till_open(uint16_t port)
{
	return till_open_as(port, 48, 49, 0);
}

static void
put_length(uint8_t head[8], uint64_t n)
{
	for (int i = 0; i < 8; i++)
		head[i] = (uint8_t)(n >> (56 - 8 * i));
}

bool
till_send(int fd, uint32_t word, const void *bytes, size_t n)
{
	uint8_t head[12];
	put_length(head, n + 4);
	for (int i = 0; i < 4; i++)
		head[8 + i] = (uint8_t)(word >> (24 - 8 * i));
	return till_write(fd, head, sizeof head) && till_write(fd, bytes, n);
}

bool
till_push(int fd, const void *bytes, size_t n)
{
	uint8_t head[8];
	put_length(head, n);
	return till_write(fd, head, sizeof head) && till_write(fd, bytes, n);
}

int64_t
till_pull(int fd, uint8_t *body, size_t size)
{
	uint8_t head[8];
	uint64_t n = 0;
	if (!till_read(fd, head, sizeof head))
		return -1;
	for (int i = 0; i < 8; i++)
		n = n << 8 | head[i];
	return n <= size && till_read(fd, body, (size_t)n) ? (int64_t)n : -1;
}

int64_t
till_receive(int fd, uint32_t *word, uint8_t *body, size_t size)
{
	uint8_t head[12];
	uint64_t n = 0;
	if (!till_read(fd, head, sizeof head))
		return -1;
	for (int i = 0; i < 8; i++)
		n = n << 8 | head[i];
	*word = (uint32_t)head[8] << 24 | (uint32_t)head[9] << 16 | (uint32_t)head[10] << 8 | head[11];
	if (n < 4 || n - 4 > size || !till_read(fd, body, (size_t)n - 4))
		return -1;
	return (int64_t)n - 4;
}
