/*
 * gate_address.h: the addresses a gate listens on and calls: loopback only, as long as there are no tokens. Pure.
 */
#ifndef HOLDFAST_NET_GATE_ADDRESS_H
#define HOLDFAST_NET_GATE_ADDRESS_H

#include "core/base.h"

#include <sys/socket.h>

#define GATE_HOST_BYTES 46 /* the longest number form of an IPv6 address, and its zero */
#define GATE_ADDRESS_TEXT_BYTES 64

struct gate_address {
	char host[GATE_HOST_BYTES]; /* in number form, without brackets */
	uint16_t port;
	bool six; /* IPv6 */
};

/* "HOST:PORT": a number of 127.0.0.0/8, "localhost" (127.0.0.1), or "[::1]". Nothing else. 0, or -1: *why. */
int gate_address_read(const char *text, struct gate_address *, struct why *);
/* For bind() and connect(). Returns its length. */
socklen_t gate_address_socket(const struct gate_address *, struct sockaddr_storage *);
/* "127.0.0.1:7401", "[::1]:7401". */
void gate_address_text(const struct gate_address *, char text[GATE_ADDRESS_TEXT_BYTES]);

#endif
