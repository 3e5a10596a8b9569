/*
 * load_wire.c: what the servers' files share: a connection that blocks, for what is said before the load, and requests in the making.
 */
#include "bench/load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define FILE_BYTES_MAX 8192

int
wire_connect(const struct load_options *o, struct why *why)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(o->port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && inet_pton(AF_INET, o->host, &a.sin_addr) == 1 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
		return fd;
	snprintf(why->text, sizeof why->text, "cannot connect to %s:%u: %s", o->host, o->port, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

int
wire_send(int fd, const void *bytes, size_t n)
{
	const char *at = bytes;
	while (n > 0) {
		ssize_t written = send(fd, at, n, MSG_NOSIGNAL);
		if (written <= 0)
			return -1;
		at += written, n -= (size_t)written;
	}
	return 0;
}

int
wire_receive(int fd, void *bytes, size_t n)
{
	char *at = bytes;
	while (n > 0) {
		ssize_t got = recv(fd, at, n, 0);
		if (got <= 0)
			return -1;
		at += got, n -= (size_t)got;
	}
	return 0;
}

const char *
wire_file(const char *name, size_t *n, struct why *why)
{
	static char text[FILE_BYTES_MAX];
	FILE *f = fopen(name, "r");
	*n = f ? fread(text, 1, sizeof text - 1, f) : 0;
	if (f)
		fclose(f);
	if (*n > 0 && *n < sizeof text - 1) {
		text[*n] = 0;
		return text;
	}
	snprintf(why->text, sizeof why->text, "cannot read %s (run it from the project's folder)", name);
	return NULL;
}

size_t
request_append(struct request *r, const void *bytes, size_t n)
{
	size_t at = r->n;
	ensure(r->n + n <= sizeof r->bytes);
	memcpy(r->bytes + r->n, bytes, n);
	r->n += n;
	return at;
}

void
request_append_sku(struct request *r)
{
	ensure(r->skus_n < CELLS_EACH_MAX);
	r->sku_at[r->skus_n++] = APPEND(r, "0000000");
}
