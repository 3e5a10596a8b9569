/* overload_fill.c: what a server holds before the load of prove-overload: stock, and holds to commit and release. The contract is in overload.h. */
#include "bench/overload.h"
#include "net/scanner.h"

#include <stdio.h>
#include <sys/socket.h>

#define UNITS      2000000000
#define MANY       1000 /* in a request */
#define REPLY_BYTES (1 << 20)

/* Sends a request and waits for its answer. NULL, or what is wrong. */
static const char *
ask(int fd, const struct buffer *to)
{
	static uint8_t in[REPLY_BYTES];
	struct scanner scanner;
	size_t end, used = 0;
	if (send(fd, to->at, to->used, MSG_NOSIGNAL) != (ssize_t)to->used)
		return "the set-up found no room";
	do {
		ssize_t n = recv(fd, in + used, sizeof in - used, 0);
		if (n <= 0)
			return "the set-up was not answered";
		used += (size_t)n;
		scanner_init(&scanner);
	} while (scanner_scan(&scanner, in, used, sizeof in, &end) == SCAN_MORE);
	return used < 6 || memchr(in, 0xc0, 8) == NULL ? "the set-up was refused" : NULL;
}

static const char *
stock_put(int fd)
{
	struct buffer to = { 0 };
	const char *wrong = NULL;
	char sku[16];
	for (int first = 0; first < CELLS && !wrong; first += MANY) {
		to.used = 0;
		buffer_append(&to, "\x94\x00\x01\xa4post\x91", 9);
		put_array(&to, MANY);
		for (int i = first; i < first + MANY; i++) {
			put_map(&to, 6);
			put_text(&to, "source"), put_text(&to, "stock");
			put_key(&to, "n", i + 1);
			put_text(&to, "kind"), put_text(&to, "receipt");
			snprintf(sku, sizeof sku, "S%05d", i);
			put_text(&to, "sku"), put_text(&to, sku);
			put_text(&to, "location"), put_text(&to, "L");
			put_key(&to, "qty", UNITS);
		}
		wrong = ask(fd, &to);
	}
	buffer_fini(&to);
	return wrong;
}

/* What will be committed and released. */
static const char *
holds_put(int fd)
{
	struct buffer to = { 0 };
	const char *wrong = NULL;
	char id[24];
	for (int first = 0; first < PASS_MAX && !wrong; first += MANY) {
		to.used = 0;
		buffer_append(&to, "\x94\x00\x01\xacreserve_many\x91", 17);
		put_array(&to, MANY);
		for (int i = first; i < first + MANY; i++) {
			snprintf(id, sizeof id, "p-%d", i);
			put_array(&to, 3);
			put_text(&to, id);
			put_array(&to, 1);
			put_array(&to, 3);
			put_text(&to, "S00001"), put_text(&to, "L"), put_int(&to, 1);
			put_map(&to, 1);
			put_key(&to, "ttl_ms", 3600000);
		}
		wrong = ask(fd, &to);
	}
	buffer_fini(&to);
	return wrong;
}

const char *
overload_fill(int fd)
{
	const char *wrong = stock_put(fd);
	return wrong ? wrong : holds_put(fd);
}
