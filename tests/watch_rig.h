/*
 * watch_rig.h: what the tests of the feed share: a small server, a writer of events, and two connections that watch. For one test at a
 * time; watch_end() removes everything, rig_run() what a failed test left.
 */
#ifndef HOLDFAST_TESTS_WATCH_RIG_H
#define HOLDFAST_TESTS_WATCH_RIG_H

#include "tests/follower.h"
#include "tests/server_rig.h"

#include <stdbool.h>

extern struct peer writer, watcher, third;
extern uint64_t event_n; /* the last event of the source "wms" */
extern uint64_t random_state; /* of HOLDFAST_SEED */

/* A server with its image some milliseconds old and so much history; the three connections. */
bool watch_begin(const char *history_bytes);
/* SIGKILL, and a new start; new connections. */
bool watch_again(void);
void watch_end(void);
/* A new connection in the place of that one. */
bool watch_anew(struct peer *);

/* One event of the writer: its position, 0 when it was not applied. */
long event(const char *kind, const char *sku, const char *location, int qty);
/* Posts so many messages of 500 random events, a few in flight. The last position; 0: refused. */
uint64_t load(unsigned posts);
/* The copy of a scan while nobody writes. */
bool fresh(struct copy *);
/* One of the server's figures, on `third`; name up to its last letters. */
long figure(const char *name);

/* wire_like() that says what it saw instead. */
bool like(const char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The watcher's next message is [2, "changed", [...]] and goes on like this. */
#define told(...) like(peer_answer(&watcher), "[2, \"changed\", [" __VA_ARGS__)

#endif
