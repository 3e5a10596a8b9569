/*
 * server.h: the whole of holdfastd put together: host (engine, journal, image), loops, listener, HTTP, gate. Opened in that order,
 * closed in reverse.
 *
 *      opening ──▶ serving ──SIGTERM──▶ draining ──▶ closed (exit 0)
 *                     └──the journal fails──▶ telling `unknown` ──▶ closed (exit 3)
 */
#ifndef HOLDFAST_NET_SERVER_H
#define HOLDFAST_NET_SERVER_H

#include "net/config.h"

#define SERVER_VERSION "holdfastd 0.1"

/* Exit codes of the program, documented in --help. */
enum server_end { SERVER_STOPPED = 0, SERVER_NOT_STARTED = 1, SERVER_USAGE = 2, SERVER_JOURNAL_FAILED = 3, SERVER_IMAGE_FAILED = 4 };

struct server_ports {
	uint16_t rpc, events, push, feed, http; /* 0: not offered */
};

/* What the program does for it: showing lines and progress, writing the port file. */
struct server_calls {
	void (*say)(void *context, const char *line); /* also on the checkpointer's thread */
	void (*progress)(void *context, const char *phase, double fraction);
	int (*ready)(void *context, const struct server_ports *, struct why *); /* all ports are bound; -1 ends the server */
	void *context;
};

/* Runs until it is told to stop. */
enum server_end server_run(const struct config *, const struct server_calls *);

#endif
