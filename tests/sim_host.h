/*
 * sim_host.h: a whole server in one thread over a log whose disk may die at any call: rounds of the engine, batches appended
 * one behind (the next one is decided while one waits for the disk, as in the real host), answers given only when durable.
 *
 * Clients stand outside. Each has one command under way and asks again with the same id until it is answered, also after a
 * crash. What they were told is the record; sim_host_check() holds a recovered engine against it:
 *
 *   S1 everything that was answered is there (the position, and the thing itself under its id)
 *   S2 nothing happened twice: each event and each reservation counts once, whatever was resent
 *   S3 nothing is oversold: no facts here take stock away, so that no ATS may ever be below zero
 *   S4 what was shown is never taken back: a cell's position is at or past what any reader saw, and the same there
 *   S5 the recovered state is byte for byte one that the engine had at the end of a batch
 */
#ifndef HOLDFAST_TESTS_SIM_HOST_H
#define HOLDFAST_TESTS_SIM_HOST_H

#include "core/engine.h"
#include "persist/image.h"
#include "persist/log.h"
#include "tests/sim_disk.h"

struct sim_options {
	uint32_t clients; /* at most SIM_CLIENTS_MAX */
	uint32_t skus, places; /* cells = skus x places, at most SIM_CELLS_MAX */
	uint64_t segment_bytes; /* of the journal */
	int64_t ttl_ms; /* of holds, some of them */
	const char *image_dir; /* NULL: recovery from the journal alone. Else the journal is trimmed behind the image kept there */
};
#define SIM_CLIENTS_MAX 64
#define SIM_CELLS_MAX   64

struct sim_host;

/* Makes the disk, too. */
struct sim_host *sim_host_new(const struct sim_options *, uint64_t seed);
void sim_host_free(struct sim_host *);
struct disk *sim_host_disk(struct sim_host *);

/* Opens, claims, recovers and checks. False: the disk died under way (crash again), or sim_host_failure() is not empty. */
bool sim_host_start(struct sim_host *);
/* One round: clients ask, the engine decides, one batch goes to the log, answers go out. False: the disk died. */
bool sim_host_round(struct sim_host *);
/* The host is gone (its memory, not its disk); then what the disk does is the caller's: sim_disk_crash, sim_disk_kill. */
void sim_host_die(struct sim_host *);
/* Rounds until every client has its answer, then everything against the record. */
bool sim_host_finish(struct sim_host *);

/* A sentence about what a promise lost; empty: none. */
const char *sim_host_failure(const struct sim_host *);

struct sim_figures {
	uint64_t rounds, batches, answered, resent, again, refused, expired, shown, recoveries, replayed_steps, images;
	uint64_t lost_unanswered; /* decided, never answered, gone after a crash: allowed */
};
const struct sim_figures *sim_host_figures(const struct sim_host *);

#endif
