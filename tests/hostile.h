/*
 * hostile.h: a good client, its neighbours, and a look at the server meanwhile. tests/test_hostile.c puts them together.
 *
 *   good     checkouts on four connections, and one till at the gate, at a steady rate whatever the answers do (an open loop): an
 *            answer's time counts from the instant its request was due, so a server that stops cannot hide it (hostile_good.c)
 *   attack   a table of what hurts: bytes (hostile_bytes.c) and the manner in which connections bring them (hostile_attack.c)
 *   look     the server's and its gate's memory, descriptors and restarts (hostile_look.c)
 *
 * Each of the three has a thread or is called by one; the functions here are for the thread that started them.
 */
#ifndef HOLDFAST_TESTS_HOSTILE_H
#define HOLDFAST_TESTS_HOSTILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "net/buffer.h"
#include "tests/histogram.h"
#include "tests/spawn.h"

/* ---- the good client ---- */

struct good;

/* What it got wrong or did not get at all. */
struct good_account {
	uint64_t asked, answered;
	uint64_t wrong; /* answers that are not what the rules say */
	uint64_t broken; /* connections that the server ended */
	uint64_t events, events_answered, events_wrong;
	char first[160]; /* the first of them in words */
};

/* Fills stock and starts the two threads. NULL: *why says. `a_second` checkouts' requests; tills post a tenth of it. */
struct good *good_start(const struct server *, unsigned a_second, struct why *);
/* From now on what becomes due is measured in these (NULL: in none). Comes back when all that was due before has been answered. */
void good_measure(struct good *, struct histogram *checkout, struct histogram *till);
/* Waits for all answers, ends both and compares the server's stock with what was granted and posted. False: *account.first says. */
bool good_stop(struct good *, struct good_account *account);

/* ---- attacks ---- */

enum door { DOOR_RPC, DOOR_EVENTS, DOOR_PUSH, DOOR_FEED, DOOR_HTTP, DOOR_COUNT };
extern const char *const door_names[DOOR_COUNT];
/* 0: the server does not offer it. */
uint16_t door_port(const struct server *, enum door);

enum manner {
	MANNER_SPRAY, /* connects, says it, listens for a moment, leaves: with a FIN or with a RST */
	MANNER_HOLD, /* says it and is silent */
	MANNER_DRIP, /* says it byte by byte, over and over */
	MANNER_SIP, /* says it and takes the answers a few bytes at a time */
	MANNER_DEAF, /* says it and vanishes: not even the kernel acknowledges anything any more */
	MANNER_SYN, /* never completes the handshake */
};

struct attack {
	const char *name;
	enum manner manner;
	unsigned connections; /* at a time */
	unsigned a_second; /* so many are opened at most */
	void (*bytes)(struct buffer *, enum door, unsigned i); /* what the i-th says; NULL: nothing */
	unsigned doors; /* bits: where it makes sense */
};
#define DOOR_BIT(d) (1u << (d))

extern const struct attack attacks[];
extern const unsigned attacks_n;

struct assault;
/* Begins, with at most `most` connections, in a thread of the lowest priority: elsewhere it would not use the server's processors. */
struct assault *assault_start(const struct attack *, const struct server *, enum door, unsigned most, struct why *);
/* Connections it has now; how many it ever opened; how many the server has ended. */
void assault_figures(const struct assault *, unsigned *now, uint64_t *opened, uint64_t *ended);
/* Ends with a RST on every connection, at the pace at which they came. */
void assault_stop(struct assault *);

void bytes_truncated(struct buffer *, enum door, unsigned);
void bytes_nested(struct buffer *, enum door, unsigned);
void bytes_length(struct buffer *, enum door, unsigned);
void bytes_float(struct buffer *, enum door, unsigned);
void bytes_text(struct buffer *, enum door, unsigned);
void bytes_garbage(struct buffer *, enum door, unsigned);
void bytes_request(struct buffer *, enum door, unsigned);
void bytes_half(struct buffer *, enum door, unsigned);
void bytes_hungry(struct buffer *, enum door, unsigned);

/* ---- a look at the server ---- */

#define LOOK_GATES_N 2 /* the processes with doors that a gate has */

struct look {
	pid_t server, gates_now[LOOK_GATES_N]; /* 0: gone */
	uint64_t server_bytes_max, gate_bytes_max; /* resident, the most seen */
	unsigned gates, gates_first; /* how many different processes of gates were seen; at the first look */
};

void look_init(struct look *, const struct server *);
/* Looks once. False: the server is gone. */
bool look_now(struct look *);
uint64_t process_bytes(pid_t);
unsigned process_descriptors(pid_t);
pid_t process_gate(pid_t server); /* its child, the gate's guardian; 0: none */
/* The living ones. */
unsigned process_children(pid_t parent, pid_t *children, unsigned most);

#endif
