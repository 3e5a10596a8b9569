/*
 * supervisor.h: starts holdfast-gate and keeps one running: it says its port over a pipe; when it ends it is started again, after a
 * pause that doubles while it keeps dying young; with the server it is asked to end, then made to.
 *
 *      down ──start──▶ starting ──port──▶ up ──ended──▶ down (waits) ...
 *
 * SUP1 At most one gate is alive, and none after supervisor_close().
 * SUP2 Once a gate has said its port, every later one gets that port, so that sources find it again.
 *
 * The first loop's thread.
 */
#ifndef HOLDFAST_NET_SUPERVISOR_H
#define HOLDFAST_NET_SUPERVISOR_H

#include "net/loop.h"

#define GATE_PAUSE_MS_MIN 100
#define GATE_PAUSE_MS_MAX 10000
#define GATE_YOUNG_MS     10000 /* a gate that lived longer is started again after the shortest pause */
#define GATE_END_MS_MAX   6000 /* after SIGTERM; then SIGKILL */

struct supervisor;

/*
 * program: path of the gate; server and events: HOST:PORT. ready is called once, when the first gate has said its port.
 * NULL: why. A gate that cannot be started is no error here: it is tried again, and counted.
 */
struct supervisor *supervisor_open(struct loop *, const char *program, const char *server, const char *events_host, uint16_t events_port,
    void (*ready)(void *context, uint16_t port), void *context, struct why *);
uint64_t supervisor_starts(const struct supervisor *);
bool supervisor_up(const struct supervisor *);
/*
 * Asks the gate to end: it answers what it has in flight, for which the server must go on meanwhile. ended is called when it has, or
 * when it took too long (then close kills it).
 */
void supervisor_stop(struct supervisor *, void (*ended)(void *context));
/* SIGTERM, waits, SIGKILL. NULL is fine. */
void supervisor_close(struct supervisor *);

#endif
