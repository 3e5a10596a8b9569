/* server_part.h: what server.c (stopping, the end), server_start.c and server_asked.c (what methods and HTTP ask) share; nobody else includes it. */
#ifndef HOLDFAST_NET_SERVER_PART_H
#define HOLDFAST_NET_SERVER_PART_H

#include "net/feed.h"
#include "net/host.h"
#include "net/http.h"
#include "net/listener.h"
#include "net/loop.h"
#include "net/methods.h"
#include "net/server.h"
#include "net/supervisor.h"

#include <limits.h>
#include <pthread.h>

struct server {
	const struct config *config;
	const struct server_calls *calls;
	struct address listen, http_at;
	struct host_options host_options;
	struct host *host;
	struct service service;
	struct feed *feed;
	char data[PATH_MAX]; /* absolute */
	struct loop loops[LOOPS_MAX];
	pthread_t threads[LOOPS_MAX];
	unsigned loops_n, threads_n; /* loops made; threads running (the first loop is this thread) */
	struct listener *listener;
	struct http *http;
	struct supervisor *gate;
	struct event *signals[2];
	struct server_ports ports;
	unsigned asked_to_stop;
	uint64_t pressure_stamp; /* the first loop's `stamps` when ... */
	bool pressure; /* ... it was looked whether new holds must be refused */
	bool not_started;
	struct why why;
	/* all loops: see loop.h and listener.h */
	_Atomic int draining;
	_Atomic uint64_t connections_open, held_bytes;
	_Atomic unsigned extra_alive; /* an extra loop that has ended wakes the first */
};

/* One line for the operator. */
void server_say(struct server *, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- server_start.c ---- */

/* All its parts, in the order of server.h. 0; -1: s->why, and what was opened is closed as after a run. */
int server_open(struct server *);

/* ---- server_asked.c ---- */

/* s->service: how methods ask the host. */
void server_service_fill(struct server *);
/* The first position that the feed can still tell. Any thread. */
uint64_t server_oldest(void *server);
/* Every figure of the host, once for both forms. The first loop's thread. */
void server_figures(void *server, figure_fn *each, void *to);
/* Why no load balancer should send anything here; NULL: it may. */
const char *server_not_ready(void *server);

/* ---- server.c: callbacks of the loops, which end by them ---- */

/* Closes the listener and has all loops end, in this way (DRAIN_*). */
void server_drain(struct server *, int how);
/* A signal: first the gate, which needs the server to answer what it has in flight; then everybody else. */
void server_stop_asked(int signal, short what, void *server);
/* Of the first loop, each round: a journal that failed ends the server. */
void server_first_round(void *server, struct loop *);
bool server_may_end(void *server, const struct loop *);

#endif
