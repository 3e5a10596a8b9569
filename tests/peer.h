/*
 * peer.h: a raw client of a server under test: sends what a test says, byte for byte, and shows whole answers as text
 * (tests/wire_text.h). Blocking, with a bound on every wait. One thread.
 */
#ifndef HOLDFAST_TESTS_PEER_H
#define HOLDFAST_TESTS_PEER_H

#include "net/buffer.h"

#define PEER_PATIENCE_MS 20000

struct peer {
	int fd; /* -1: not connected */
	struct buffer in, out;
	size_t shown; /* bytes of `in` that the last answer took */
};

/* Connects to 127.0.0.1. */
bool peer_open(struct peer *, uint16_t port);
void peer_close(struct peer *);
/* Text (single quotes, nil) into the output, which leaves with the next flush or answer. */
void peer_write(struct peer *, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool peer_flush(struct peer *);
bool peer_send_bytes(struct peer *, const void *, size_t n);
/* The next whole message as text, static; "closed" at the end of the stream, "nothing" when none came in time. */
const char *peer_answer(struct peer *);
/* Write, flush, answer. */
const char *peer_ask(struct peer *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* True when the other side ends the stream within the bound; what comes before is thrown away. */
bool peer_is_closed(struct peer *);

#endif
