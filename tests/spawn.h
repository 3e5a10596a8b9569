/*
 * spawn.h: a holdfastd of one's own: started on free ports over a folder, waited for, stopped, killed. For tests and for the
 * demo. The program is looked for in $HOLDFAST_BIN, else beside the running program (or one folder up, for tests).
 *
 * S1: a server that was started is ended by server_stop(), server_kill(), or at exit() of the one who started it.
 * One thread at a time per struct server.
 */
#ifndef HOLDFAST_TESTS_SPAWN_H
#define HOLDFAST_TESTS_SPAWN_H

#include <sys/types.h>

#include "core/base.h"

#define SPAWN_PATIENCE_MS 60000 /* for the start, recovery included, and for a graceful stop */
#define SPAWN_ARGS_MAX 32

struct server {
	pid_t pid; /* 0: not running */
	bool apart; /* set before a start: in a process group of its own, so that Ctrl-C does not reach it */
	char folder[256]; /* holds data/ and the port file; removed by server_remove() */
	uint16_t rpc, events, push, feed, http; /* 0: not offered */
	int64_t ready_ms; /* from the start of the program to its port file */
	int64_t patience_ms; /* instead of SPAWN_PATIENCE_MS; 0: that */
};

/* Full path of a program that is built beside this one ("holdfastd"). */
void spawn_program(const char *name, char *path, size_t n);

/* Makes a temporary folder for it. 0, or -1 with *why. */
int server_init(struct server *, struct why *);
/*
 * Starts holdfastd over the folder on free loopback ports, with further arguments (NULL-terminated; may be NULL), and waits
 * until its port file is there. 0, or -1 with *why (and nothing is left running). May be called again after kill or stop.
 */
int server_start(struct server *, const char *const *arguments, struct why *);
/* SIGKILL, and waits. */
void server_kill(struct server *);
/* SIGTERM, and waits: the exit status, or -1 when it had to be killed. */
int server_stop(struct server *);
/* Ends the server when it still runs, and removes its folder. */
void server_remove(struct server *);

#endif
