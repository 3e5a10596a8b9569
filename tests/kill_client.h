/*
 * kill_client.h: a client of test_kill: a thread that reserves, commits, fulfils, releases and posts, many requests in flight, and keeps
 * a record of all that it sent and all that was answered, outside the server.
 *
 * A client belongs to its thread while that runs, and to who joined it afterwards.
 */
#ifndef HOLDFAST_TESTS_KILL_CLIENT_H
#define HOLDFAST_TESTS_KILL_CLIENT_H

#include <pthread.h>

#include "core/base.h"
#include "holdfast/holdfast.h"

#define KILL_CLIENTS 4
#define KILL_LANES 24 /* of a client, one request in flight each */
#define KILL_CELLS 16
#define KILL_LINES 3
#define KILL_TTL_SHORT_MS 150
#define KILL_TTL_LONG_MS 3600000

enum state { NEVER, HELD, COMMITTED, FULFILLED, RELEASED, EXPIRED, STATES };
enum op { OP_RESERVE, OP_COMMIT, OP_FULFIL, OP_RELEASE, OP_POST, OPS };

struct reservation {
	struct { uint8_t cell, qty; } line[KILL_LINES];
	uint8_t lines_n, state;
	bool brief; /* a short time to live, and left to expire */
	int64_t expires_at;
};

struct lane {
	enum op op;
	bool open; /* in flight */
	uint32_t reservation; /* of the client */
	uint64_t n; /* post: of the source */
	uint8_t cell;
	int8_t qty; /* post: what it adds to on hand */
};

struct kill_client {
	uint32_t index;
	pthread_t thread;
	struct hf *hf;
	struct lane lane[KILL_LANES];
	uint32_t lane_of[KILL_LANES * 2]; /* by request number */
	struct reservation *reservations;
	uint32_t reservations_n, room, first_of_round;
	uint64_t n, seq_seen, answers, unanswered, had_happened;
	int64_t on_hand[KILL_CELLS], held[KILL_CELLS], committed[KILL_CELLS];
	uint64_t random;
	char wrong[200]; /* what a thread found; empty: nothing */
};

/* By enum state: as the server says it; by enum op: its method. */
extern const char *const kill_state_name[STATES], *const kill_op_method[OPS];

uint32_t kill_draw(struct kill_client *, uint32_t below);
const char *kill_sku(uint32_t cell);
const char *kill_location(uint32_t cell);
/* Tills sell from odd SKUs only: the ATS of the others never falls below 0. */
bool kill_guarded(uint32_t cell);
/* Something is not as it must be; the first is kept. */
void kill_wrong(struct kill_client *, const char *what, const char *detail);
void kill_move_to(struct kill_client *, struct reservation *, enum state);
void kill_reservation_id(const struct kill_client *, uint32_t reservation, char id[32]);
bool kill_text_is(const struct hf_value *, const char *text);

/* Sends the lane's request; its number, 0: not sent. */
uint32_t kill_send(struct kill_client *, const struct lane *);
/* A hold refused for the moment: the disk stood still (machines are shared). Nothing happened. */
bool kill_busy(struct kill_client *, const struct lane *, enum hf_outcome got);
/* The answer to the lane's request. Sold out and, for a moment, overloaded are the only refusals that may come. */
void kill_take(struct kill_client *, struct lane *, enum hf_outcome got, const struct hf_value *, bool resent);
/* A thread: load, until the connection dies with the server. */
void *kill_client_main(void *client);

#endif
