/*
 * gate.h: the gate: stock event messages in over nanomsg, on to the server as `post`, each answered when the server's reply says
 * that it is durable. GATE.md is the page about it.
 *
 * It keeps: a message is answered only with the server's reply to it, or with the reason why it can never be posted. What is not
 * answered when the server goes away is posted again, in the order it came; the events' identities make that harmless. Nothing is
 * kept on disk: what a gate had not answered when it died, its clients send again.
 *
 * One thread, one poll(). One gate in a process: it takes the signals SIGTERM and SIGINT (stop) and SIGUSR1 (say the counters).
 */
#ifndef HOLDFAST_NET_GATE_H
#define HOLDFAST_NET_GATE_H

#include "core/base.h"

#define GATE_STOP_MS 5000 /* for the replies in flight after a stop signal; what is not answered then stays with its clients */
#define GATE_RECEIVE_MAX 256 /* messages taken from nanomsg before the server's side gets its turn */

struct gate_counters {
	uint64_t messages, bytes; /* taken from nanomsg */
	uint64_t answered; /* with the server's outcomes */
	uint64_t refused; /* answered here: no msgpack, too large */
	uint64_t rejected; /* answered with an error of the server */
	uint64_t repeated; /* came again from a client while it was known: not posted twice */
	uint64_t resent; /* posted again: after a lost connection, or a refusal for now */
	uint64_t strays; /* replies to nothing */
	uint64_t connects; /* connections made to the server */
	uint64_t in_flight, in_flight_bytes; /* not answered now */
};

struct gate;

/*
 * Opens the nanomsg socket; the server may be away. Addresses as gate_address() reads them. say() is called with lines for people
 * (without line end). NULL: *why. Blocks the three signals in this thread and takes them by itself from then on.
 */
struct gate *gate_open(const char *server, const char *events, void (*say)(const char *line), struct why *);
uint16_t gate_port(const struct gate *);
/* Works until a stop signal, then until everything in flight is answered, or GATE_STOP_MS. 0; -1: *why (nanomsg or poll broke). */
int gate_run(struct gate *, struct why *);
void gate_count(const struct gate *, struct gate_counters *);
void gate_close(struct gate *);

#endif
