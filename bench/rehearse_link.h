/*
 * rehearse_link.h: a connection of the load: bytes out as far as the kernel takes them, whole messages in, never waiting. Of two kinds: to the
 * server (MessagePack-RPC) or to the gate (nanomsg's REQ over plain TCP, so that a thousand tills need no thousand threads). Functions
 * begin with link_.
 *
 * One thread.
 */
#ifndef HOLDFAST_BENCH_REHEARSE_LINK_H
#define HOLDFAST_BENCH_REHEARSE_LINK_H

#include "core/base.h"
#include "net/buffer.h"

struct link {
	int fd; /* -1: none */
	int epoll;
	bool gate;
	bool waits; /* for room to write: EPOLLOUT is asked for */
	struct buffer in, out;
	size_t in_at, out_at;
};

/* Connects (waiting), greets a gate, and is in the epoll with `number` as its data. 0; -1: *why. */
int link_open(struct link *, const char *host, uint16_t port, bool gate, int epoll, uint32_t number, struct why *);
void link_close(struct link *);

/* Where a request is put: behind what waits in `out`. To a gate: begin, the body, end with the request's word. */
size_t link_begin(struct link *);
void link_end(struct link *, size_t begun, uint32_t word);
/* As much as goes; number: as in link_open(). 0; -1: the peer is gone. */
int link_flush(struct link *, uint32_t number);
/* Reads once. 0; -1: the peer is gone, or sends what is no message. */
int link_read(struct link *);
/* The next whole message, without its frame; *word: of a gate's. Borrowed until the next read. NULL: none. */
const uint8_t *link_take(struct link *, size_t *n, uint32_t *word);

#endif
