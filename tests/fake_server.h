/*
 * fake_server.h: a server for the gate's tests, in a thread: it answers `post` and nothing else, remembers which event numbers
 * it has taken, and gets into trouble on demand. What it has taken stays taken when it breaks off, as after a durable batch whose
 * replies were lost.
 *
 * The test's thread calls everything here; the fake's own thread shares `state` under its lock.
 */
#ifndef HOLDFAST_TESTS_FAKE_SERVER_H
#define HOLDFAST_TESTS_FAKE_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fake_state;

struct fake_server {
	uint16_t port;
	struct fake_state *state;
};

struct fake_counts {
	uint32_t posts, events; /* requests, and distinct event numbers taken */
	uint32_t out_of_order; /* an event with a smaller number than the one before it */
	uint32_t connects;
};

/* Listens on a free port of 127.0.0.1. */
bool fake_start(struct fake_server *);
void fake_stop(struct fake_server *);

/* Takes posts but keeps the replies, until false. */
void fake_hold(struct fake_server *, bool);
/* Reads nothing, so that what is sent to it gets stuck in the middle, until false. */
void fake_deaf(struct fake_server *, bool);
/* Refuses the next `times` posts with this code, retry_after_ms 5 in the detail; takes nothing of them. */
void fake_refuse(struct fake_server *, const char *code, uint32_t times);
/* Closes all connections in the middle: what was taken and not replied to stays unanswered. Returns when it is done. */
void fake_break(struct fake_server *);
/* Refuses connections, until false. */
void fake_away(struct fake_server *, bool);
/* Sends these bytes on each new connection. */
void fake_greet(struct fake_server *, const char *bytes, size_t n);

struct fake_counts fake_count(struct fake_server *);
/* Waits until so many distinct events were taken; false: not in time. */
bool fake_wait_events(struct fake_server *, uint32_t events);
/* The events taken, once no more have come for a while. */
uint32_t fake_settled(struct fake_server *);

#endif
