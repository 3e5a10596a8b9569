/*
 * sim_record.h: what the clients of the simulated host ask, what they were told, and what must therefore be true. Knows
 * nothing of logs and crashes; only sim_host.c uses it.
 */
#ifndef HOLDFAST_TESTS_SIM_RECORD_H
#define HOLDFAST_TESTS_SIM_RECORD_H

#include "core/engine.h"
#include "core/view.h"
#include "tests/sim_host.h"

#include <stdbool.h>

struct sim_cell_record {
	int64_t received; /* sum of all answered receipts */
	int64_t fulfilled; /* sum of all answered fulfils */
	uint64_t shown_seq; /* the newest answer of any reader */
	int64_t shown_ats;
};

struct sim_hold_record {
	uint64_t number; /* the id is "h<client>-<number>" */
	uint32_t cells[3], lines_n;
	int64_t granted[3];
	uint64_t seq;
	int64_t expires_at;
	bool committed, fulfilled, released; /* answered */
};

enum sim_ask { SIM_RECEIPT, SIM_RESERVE, SIM_COMMIT, SIM_RELEASE, SIM_FULFIL, SIM_SHOW, SIM_ASKS };

struct sim_client {
	enum sim_ask ask;
	bool asking; /* without an answer yet */
	bool sent; /* by the host of now: do not send again before a crash */
	uint32_t tries;
	uint64_t receipts; /* n of the last one */
	uint64_t holds; /* number of the last one */
	uint32_t cells[3], lines_n; /* of what is asked now */
	int64_t qty[3], ttl_ms;
	struct sim_hold_record *kept; /* every granted hold */
	uint32_t kept_n, kept_cap;
};

struct sim_record {
	const struct sim_options *options;
	struct sim_client clients[SIM_CLIENTS_MAX];
	struct sim_cell_record cells[SIM_CELLS_MAX];
	uint64_t random;
	uint64_t answered_seq; /* the greatest position any answer waited for */
	struct sim_figures *figures;
	char failure[512];
};

uint64_t sim_random(struct sim_record *, uint64_t below);
/* The client thinks of something new to ask. */
void sim_client_think(struct sim_record *, uint32_t client);
/* Its question as a command; strings live in `arena` (512 bytes). A SHOW has no command. */
void sim_client_command(const struct sim_record *, uint32_t client, struct command *, char *arena, struct asked_line lines[3]);
/* The answer, now that it is durable. lines are copied by the caller's grace: valid during the call. */
void sim_client_told(struct sim_record *, uint32_t client, const struct result *, const int64_t *line_qty);
void sim_client_shown(struct sim_record *, uint32_t client, uint64_t seq, int64_t ats);
/* After a crash: who has no answer asks again. */
void sim_clients_ask_again(struct sim_record *);
/* Held against a recovered engine, S1 to S4; `now` is the last stamp. False: failure is set. */
bool sim_record_check(struct sim_record *, struct engine *, bool quiet);

#endif
