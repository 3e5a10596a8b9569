/*
 * gate.h: the gate: stock event messages in over nanomsg, on to the server as `post`; over REP each is answered when the server's reply
 * says that it is durable, over PULL nobody is. GATE.md is the page about it.
 *
 * It keeps: a message is answered only with the server's reply to it, or with the reason why it can never be posted. What is not
 * answered when the server goes away is posted again, in the order it came; the events' identities make that harmless. Without a spool
 * nothing is kept on disk: what a gate had not answered when it died, its clients send again. With one (gate_spool.h) a message is answered
 * when it is durable there.
 *
 * The change feed (gate_feed.h) is in the same process or, better, in one of its own: a gate with no other door, which posts nothing.
 *
 * One thread, one poll(). One gate in a process: it takes the signals SIGTERM and SIGINT (stop) and SIGUSR1 (say the counters).
 */
#ifndef HOLDFAST_NET_GATE_H
#define HOLDFAST_NET_GATE_H

#include "net/gate_counters.h"
#include "net/gate_socket.h"

#define GATE_STOP_MS 5000 /* for the replies in flight after a stop signal; what is not answered then stays with its clients */

struct gate;

/* Addresses as gate_address_read() reads them, or "off". A gate without the door for events has no other but the feed's. */
struct gate_setup {
	const char *server;
	const char *doors[DOOR_COUNT];
	const char *spool; /* its folder; NULL: none */
	uint64_t spool_bytes_max, drain_rate;
	void (*say)(const char *line); /* lines for people, without line end */
	uint64_t restarts; /* by a guardian so far: counted, that is all */
	struct feed_counters *feed_counters; /* where the feed counts, whichever process has it; NULL: this one */
};

/*
 * Opens the nanomsg sockets; the server may be away. NULL: *why. Blocks the three signals in this thread and takes them by itself
 * from then on.
 */
struct gate *gate_open(const struct gate_setup *, struct why *);
/* 0: that door is off. */
uint16_t gate_port(const struct gate *, enum gate_door);
/* Works until a stop signal, then until everything in flight is answered, or GATE_STOP_MS. 0; -1: *why (nanomsg, poll, or the spool's disk broke). */
int gate_run(struct gate *, struct why *);
void gate_count(const struct gate *, struct gate_counters *);
void gate_close(struct gate *);

#endif
