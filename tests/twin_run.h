/*
 * twin_run.h: one run of the engine beside its twin: each drawn command goes to both, everything they answer and show is
 * compared, and the batches the engine made are kept for replay. Stops at the first difference with a sentence in `failure`.
 */
#ifndef HOLDFAST_TESTS_TWIN_RUN_H
#define HOLDFAST_TESTS_TWIN_RUN_H

#include "tests/twin_draw.h"

struct run_batch {
	uint8_t *bytes;
	size_t n;
	uint64_t first_seq;
	uint32_t steps;
	int64_t stamp_ms;
};

struct run_job {
	uint64_t engine, twin; /* numbers; twin 0: the twin refused it with `refused` when it was asked */
	enum status refused;
};

struct run {
	const struct draw_profile *profile;
	uint64_t seed;
	struct engine *engine;
	void *memory;
	struct twin *twin;
	struct draw draw;
	struct step_buffer out;
	int64_t now;
	struct run_batch *batches;
	uint32_t batches_n, batches_cap;
	struct run_job jobs[32];
	uint32_t jobs_n;
	/* what really happened, so that a run that tests nothing is noticed */
	uint32_t again, refused, granted;
	uint32_t statuses[STATUS_COUNT], outcomes[8];
	struct { /* limits and capacities reached, by name */
		const char *which;
		uint32_t times;
	} bounds[32];
	bool trace;
	char failure[1024];
	/* of the command at hand */
	struct result result;
	struct twin_result expected;
};

struct run *run_new(const struct draw_profile *, uint64_t seed);
void run_free(struct run *);
/* One drawn step; false: they differ. */
bool run_step(struct run *, uint64_t step);
/* Ends the open batch, so that `batches` has everything, and compares all cells, positions and the quarantine. */
bool run_settle_down(struct run *);
/*
 * A fresh engine of the same limits; its memory in *memory. Each has a seed of its own for its indexes: whoever compares two of them sees
 * that nothing else depends on it.
 */
struct engine *run_engine(const struct engine_limits *, void **memory);
/* Goes on with another engine that ought to be the same; the old one is freed. */
void run_adopt(struct run *, struct engine *, void *memory);

/* ---- twin_compare.c: each false sets failure ---- */
bool compare_results(struct run *, const struct command *);
bool compare_touched(struct run *, const struct command *); /* cells, reservation, source named by the command */
bool compare_all(struct run *);
bool compare_differs(struct run *, const char *what, long long engine, long long twin);

#endif
