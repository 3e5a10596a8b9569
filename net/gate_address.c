/* gate_address.c: see gate_address.h. */
#include "net/gate_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

static int
address_bad(const char *text, const char *what, struct why *why)
{
	snprintf(why->text, sizeof why->text, "'%.200s' is no address to use here: %s", text, what);
	return -1;
}

/* False: neither a number nor localhost. */
static bool
host_read(const char *host, size_t n, struct gate_address *a)
{
	struct in6_addr number;
	bool brackets = n > 2 && host[0] == '[' && host[n - 1] == ']';
	size_t length = brackets ? n - 2 : n;
	if (length >= sizeof a->host)
		return false;
	memcpy(a->host, host + brackets, length);
	a->host[length] = 0;
	a->six = brackets;
	if (!brackets && strcmp(a->host, "localhost") == 0)
		strcpy(a->host, "127.0.0.1");
	return inet_pton(brackets ? AF_INET6 : AF_INET, a->host, &number) == 1;
}

static bool
is_loopback(const struct gate_address *a)
{
	struct sockaddr_storage s;
	gate_address_socket(a, &s);
	if (a->six)
		return IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)&s)->sin6_addr);
	return ntohl(((struct sockaddr_in *)&s)->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

int
gate_address_read(const char *text, struct gate_address *a, struct why *why)
{
	const char *colon = strrchr(text, ':');
	char *end;
	if (!colon || colon == text)
		return address_bad(text, "HOST:PORT is needed, as 127.0.0.1:7401", why);
	errno = 0;
	unsigned long port = strtoul(colon + 1, &end, 10);
	if (colon[1] < '0' || colon[1] > '9' || *end || errno || port > UINT16_MAX)
		return address_bad(text, "the port is a number from 0 to 65535", why);
	memset(a, 0, sizeof *a);
	a->port = (uint16_t)port;
	if (!host_read(text, (size_t)(colon - text), a))
		return address_bad(text, "the host is an IPv4 number, localhost, or an IPv6 number in brackets as in [::1]:7401", why);
	if (!is_loopback(a))
		return address_bad(text, "only loopback addresses (127.0.0.1, [::1]) are accepted as long as there are no tokens", why);
	return 0;
}

socklen_t
gate_address_socket(const struct gate_address *a, struct sockaddr_storage *to)
{
	memset(to, 0, sizeof *to);
	if (a->six) {
		struct sockaddr_in6 *six = (struct sockaddr_in6 *)to;
		six->sin6_family = AF_INET6;
		six->sin6_port = htons(a->port);
		inet_pton(AF_INET6, a->host, &six->sin6_addr);
		return sizeof *six;
	}
	struct sockaddr_in *four = (struct sockaddr_in *)to;
	four->sin_family = AF_INET;
	four->sin_port = htons(a->port);
	inet_pton(AF_INET, a->host, &four->sin_addr);
	return sizeof *four;
}

void
gate_address_text(const struct gate_address *a, char text[GATE_ADDRESS_TEXT_BYTES])
{
	snprintf(text, GATE_ADDRESS_TEXT_BYTES, a->six ? "[%s]:%u" : "%s:%u", a->host, a->port);
}
