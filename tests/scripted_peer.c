/* scripted_peer.c: see scripted_peer.h. */
#include "tests/scripted_peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/buffer.h"
#include "net/scanner.h"
#include "tests/wire_text.h"

static void *
peer_main(void *arg)
{
	struct scripted_peer *p = arg;
	struct requests *r = malloc(sizeof *r);
	for (; r && *p->parts; p->parts++) {
		int fd = accept(p->listener, NULL, NULL);
		if (fd < 0)
			break;
		memset(r, 0, offsetof(struct requests, bytes));
		r->fd = fd;
		(*p->parts)(r);
		close(fd);
		pthread_mutex_lock(&p->lock);
		p->played++;
		pthread_cond_signal(&p->ended);
		pthread_mutex_unlock(&p->lock);
	}
	close(p->listener);
	free(r);
	return NULL;
}

void
scripted_start(struct scripted_peer *p, const peer_part *parts)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;
	p->parts = parts;
	p->played = 0;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->ended, NULL);
	p->listener = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(p->listener, (struct sockaddr *)&a, sizeof a) < 0 || listen(p->listener, 4) < 0)
		abort();
	getsockname(p->listener, (struct sockaddr *)&a, &n);
	p->port = ntohs(a.sin_port);
	pthread_create(&p->thread, NULL, peer_main, p);
}

void
scripted_stop(struct scripted_peer *p)
{
	shutdown(p->listener, SHUT_RDWR);
	pthread_join(p->thread, NULL);
	pthread_cond_destroy(&p->ended);
	pthread_mutex_destroy(&p->lock);
}

void
scripted_played(struct scripted_peer *p, int n)
{
	pthread_mutex_lock(&p->lock);
	while (p->played < n)
		pthread_cond_wait(&p->ended, &p->lock);
	pthread_mutex_unlock(&p->lock);
}

bool
request_next(struct requests *r, uint32_t *number)
{
	struct scanner s;
	memmove(r->bytes, r->bytes + r->end, r->used - r->end);
	r->used -= r->end;
	r->end = 0;
	scanner_init(&s);
	while (r->used == 0 || scanner_scan(&s, r->bytes, r->used, sizeof r->bytes, &r->end) != SCAN_WHOLE) {
		ssize_t n = read(r->fd, r->bytes + r->used, sizeof r->bytes - r->used);
		if (n <= 0)
			return false;
		r->used += (size_t)n;
	}
	*number = (uint32_t)r->bytes[3] << 24 | (uint32_t)r->bytes[4] << 16 | (uint32_t)r->bytes[5] << 8 | r->bytes[6];
	return true;
}

/* Behind [0, number, ...: a str below 32 bytes, and the params up to the end. */
const char *
request_text(struct requests *r, uint32_t *number)
{
	static char text[512];
	if (!request_next(r, number))
		return "gone";
	size_t n = r->bytes[7] & 0x1f;
	snprintf(text, sizeof text, "%.*s%s", (int)n, (const char *)r->bytes + 8, wire_to_text(r->bytes + 8 + n, r->end - 8 - n));
	return text;
}

static void
say(struct requests *r, struct buffer *b)
{
	for (size_t at = 0; at < b->used;) {
		ssize_t n = send(r->fd, b->at + at, b->used - at, MSG_NOSIGNAL);
		if (n <= 0)
			break;
		at += (size_t)n;
	}
	buffer_fini(b);
}

void
answer_text(struct requests *r, uint32_t number, const char *error, const char *result)
{
	const uint8_t head[] = { 0x94, 1, 0xce, (uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number };
	struct buffer b = { 0 };
	buffer_append(&b, head, sizeof head);
	wire_from_text(&b, error);
	wire_from_text(&b, result);
	say(r, &b);
}

void
notify_text(struct requests *r, const char *method, const char *params)
{
	struct buffer b = { 0 };
	buffer_append(&b, "\x93\x02", 2);
	wire_from_text(&b, method);
	wire_from_text(&b, params);
	say(r, &b);
}

void
request_drain(struct requests *r)
{
	uint32_t number;
	while (request_next(r, &number))
		;
}
