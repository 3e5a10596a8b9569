/*
 * supervisor.h: starts holdfast-gate and keeps one running: it says its ports over a pipe; when it ends it is started again, after a
 * pause that doubles while it keeps dying young; with the server it is asked to end, then made to. A gate is a guardian and two
 * processes with doors, which it starts again by itself; over a second pipe it tells of each.
 *
 *      down ──start──▶ starting ──ports──▶ up ──ended──▶ down (waits) ...
 *
 * SUP1 At most one gate is alive, and none after supervisor_close().
 * SUP2 Once a gate has said its ports, every later one gets those ports, so that sources find it again.
 *
 * The first loop's thread.
 */
#ifndef HOLDFAST_NET_SUPERVISOR_H
#define HOLDFAST_NET_SUPERVISOR_H

#include "net/loop.h"

#define GATE_PAUSE_MS_MIN        20
#define GATE_PAUSE_MS_MAX        500 /* of a gate that came up: it is back within a second however often it dies */
#define GATE_PAUSE_MS_FAILED_MAX 10000 /* of one that did not */
#define GATE_YOUNG_MS            10000 /* a gate that lived longer is started again after the shortest pause */
#define GATE_END_MS_MAX          6000 /* after SIGTERM; then SIGKILL */

/* The gate's processes that have doors: stock events, pushed or not, and the feed. */
enum supervisor_part { SUPERVISOR_PART_GATE, SUPERVISOR_PART_FEED, SUPERVISOR_PARTS };

/* The gate's doors; the names are those of its options and of its lines when it says its ports. */
enum supervisor_door { SUPERVISOR_EVENTS, SUPERVISOR_PUSH, SUPERVISOR_FEED, SUPERVISOR_DOORS };

struct supervisor;

struct supervisor_setup {
	const char *program; /* path of the gate */
	const char *server; /* HOST:PORT it posts to */
	struct {
		char host[64];
		uint16_t port; /* 0: the gate chooses */
		bool off;
	} doors[SUPERVISOR_DOORS];
	/* Called once, when the first gate has said its ports: the same setup with the ports in force; 0: that door is off. */
	void (*ready)(void *context, const struct supervisor_setup *);
	void *context;
};

/* Copies the setup. NULL: why. A gate that cannot be started is no error here: it is tried again, and counted. */
struct supervisor *supervisor_open(struct loop *, const struct supervisor_setup *, struct why *);
/* NULL: none is started here: 0 and false, as of a part all of whose doors are off. */
uint64_t supervisor_starts(const struct supervisor *, enum supervisor_part);
bool supervisor_up(const struct supervisor *, enum supervisor_part);
/*
 * Asks the gate to end: it answers what it has in flight, for which the server must go on meanwhile. ended is called when it has, or
 * when it took too long (then close kills it).
 */
void supervisor_stop(struct supervisor *, void (*ended)(void *context));
/* SIGTERM, waits, SIGKILL. NULL is fine. */
void supervisor_close(struct supervisor *);

#endif
