/*
 * fake_server.h: a server for the gate's tests, in a thread: it answers `post`, `position` of any source, `hello` and `watch`, remembers
 * which event numbers it has taken, and gets into trouble on demand. What it has taken stays taken when it breaks off, as after a durable batch whose
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
	uint32_t watches, watching; /* asked so far; connections that watch now */
	uint64_t since; /* of the last watch; UINT64_MAX: it began live */
	uint32_t positions, hellos; /* asked so far */
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
/* The same for the next `times` watches. */
void fake_refuse_watch(struct fake_server *, const char *code, uint32_t times);
/* The position it has; hello and a live watch say it. */
void fake_stand(struct fake_server *, uint64_t seq);
/* Says this to every connection that watches. */
void fake_tell(struct fake_server *, const void *bytes, size_t n);
/* Waits until one watches. */
bool fake_wait_watch(struct fake_server *);
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
