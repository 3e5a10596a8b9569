/*
 * engine.h: the whole engine behind one handle: decide and evolve over names, cells, reservations and source marks.
 *
 * It is a pure function of its input: no clock, no I/O, no threads, no allocation (the caller brings the memory), no
 * randomness. Exactly one thread may call the functions here; other threads read through view.h.
 *
 * The host's round:
 *     engine_begin(e, now, out)                 stamp the batch; time never runs backwards (D11)
 *     while (engine_next_deadline(e) <= now)    dead holds stop counting before anybody is answered (D19)
 *             engine_expire(e, EXPIRE_SLICE)
 *     engine_execute(e, &command, &result)      any number of times, while STEP_ROOM bytes of out are free
 *     engine_job_run(e, &token, &result)        once per round while engine_job_waiting()
 *     hand out->bytes to the log, with out->first_seq, out->steps and the stamp; begin again with the other buffer
 *
 * A reply may be sent when result.seq is durable. What execute() did is in memory at once: later commands of the batch are
 * decided on it.
 */
#ifndef HOLDFAST_CORE_ENGINE_H
#define HOLDFAST_CORE_ENGINE_H

#include "core/base.h"
#include "core/command.h"
#include "core/entry.h"

struct engine;

/* Sizes of the tables. All are capacities of memory that is mapped at start and touched lazily. */
struct engine_limits {
	uint64_t cells_max; /* at most 2^31 */
	uint32_t skus_max, locations_max, sources_max, channels_max, groups_max;
	uint32_t reservations_max; /* open and remembered finished ones together (D14) */
	uint32_t extra_lines_max; /* lines beyond the first of each reservation, all reservations together */
	uint32_t blobs_max; /* 60-byte blocks for owners, refs and count ids */
	uint32_t quarantine_max;
	/* Sizes of rings: fixed when a folder is made, journaled, and the same ever after. */
	uint32_t history_max; /* deltas kept for counts, 32 B each (D38) */
	uint32_t free_ids_max; /* remembered free event ids (D27) */
};

#define ENGINE_LIMITS_DEFAULT { .cells_max = 10000000, .skus_max = 2000000, .locations_max = 65536, .sources_max = 4096, \
	.channels_max = 1024, .groups_max = 64, .reservations_max = 4000000, .extra_lines_max = 8000000, \
	.blobs_max = 8000000, .quarantine_max = 65536, .history_max = 16000000, .free_ids_max = 1000000 }

/* Options that decide or evolve reads: entries themselves. */
enum option {
	OPTION_CREATE_UNKNOWN, /* 1: events create what they name (D8) */
	OPTION_TTL_DEFAULT_MS, OPTION_TTL_MAX_MS, OPTION_PIN_MAX_MS, /* D18 */
	OPTION_FUTURE_MS, /* D31 */
	OPTION_COUNT_WINDOW_MS, /* D38 */
	OPTION_FREE_ID_MS, /* D27 */
	OPTION_HISTORY_MAX, OPTION_FREE_IDS_MAX, /* ring sizes: set once */
	OPTION_COUNT
};
struct engine_options {
	int64_t value[OPTION_COUNT];
};
extern const struct engine_options engine_options_default;
const char *option_name(enum option); /* as in the configuration file */

/* Where a batch's steps are encoded. The caller owns the bytes; `size` must be at least STEP_ROOM x 2. */
struct step_buffer {
	uint8_t *bytes;
	size_t used, size;
	uint64_t first_seq; /* of the first step; valid when steps > 0 */
	uint32_t steps;
};

/* No command makes a step longer than this: room that must be free before engine_execute(). */
#define STEP_ROOM   ((size_t)768 << 10)
/* Kept free for due expiries beyond STEP_ROOM (D19). */
#define EXPIRE_ROOM ((size_t)2 << 20)
#define EXPIRE_SLICE 10000

/* Bytes of memory an engine with these limits needs; 0: a limit is out of its range. Must be zeroed, 64-byte aligned. */
size_t engine_memory_bytes(const struct engine_limits *);
/*
 * Makes an engine in the caller's memory, which it keeps. Never fails. `seed` says where the indexes put things and nothing else: no answer,
 * no entry and no digest depends on it. A server draws a new one at each start, so that no client can choose names that all
 * fall on one place.
 */
struct engine *engine_init(void *memory, const struct engine_limits *, uint64_t seed);

/* ---- recovery: image entries in key order, then batches, then done. NULL, or what is wrong (static sentence). ---- */
const char *engine_load_entry(struct engine *, uint64_t seq, const struct entry_bytes *);
/* The image is complete up to seq, stamped: checks that sums of lines equal the cells (D6). */
const char *engine_load_image_done(struct engine *, uint64_t seq, int64_t stamp_ms);
/* One batch's payload. */
const char *engine_replay(struct engine *, uint64_t first_seq, uint32_t steps, int64_t stamp_ms, const uint8_t *payload, size_t n);
/* Groups, timers. After it the host runs begin/expire until the backlog is gone, then it is ready. */
const char *engine_load_done(struct engine *);
/* Journals the options that differ (first command of the first batch). A changed ring size: the sentence. */
const char *engine_set_options(struct engine *, const struct engine_options *);

/* ---- running ---- */
void engine_begin(struct engine *, int64_t now_ms, struct step_buffer *out);
/* The same batch goes on at a later instant; replay needs no stamp between its steps, since entries carry every instant that matters. */
void engine_stamp(struct engine *, int64_t now_ms);
int64_t engine_now(const struct engine *); /* the stamp in force, never less than an earlier one */
int64_t engine_next_deadline(const struct engine *); /* INT64_MAX: none. A lower bound: expire() may find nothing yet */
/* Expires at most `most` due holds; true: more are due. Needs EXPIRE_ROOM / EXPIRE_SLICE bytes each. */
bool engine_expire(struct engine *, uint32_t most);
void engine_execute(struct engine *, const struct command *, struct result *);
/* What ahead.h's walk found for the next command, copied; optional, and forgotten at the end of that command. */
struct ahead;
void engine_hint(struct engine *, const struct ahead *);
uint64_t engine_seq(const struct engine *); /* last position decided */

/* Commands answered later. run() works one slice (at most LINES_MAX cells); true: the job `*job` ended with *result. */
bool engine_job_waiting(const struct engine *);
bool engine_job_run(struct engine *, uint64_t *job, struct result *);

/* ---- queries on the engine's thread (no entries) ---- */
struct line_view {
	struct bytes sku, location;
	int64_t qty, held, committed, fulfilled, released, expired, handed_over;
};
struct reservation_view {
	struct bytes id, owner, channel;
	uint64_t seq, first_seq; /* last change; creation */
	enum reservation_state state;
	int64_t created_at, expires_at, first_expires_at;
	bool pinned;
	const struct line_view *lines; /* engine scratch */
	uint32_t lines_n;
};
bool engine_reservation(struct engine *, struct bytes id, struct reservation_view *);
/* The first reply of a granted reservation again (outcome, D13); false: unknown. */
bool engine_first_reply(struct engine *, struct bytes id, struct result *);

struct event_outcome_view {
	bool known;
	uint64_t seq; /* 0: older than what is remembered in detail */
	enum event_outcome outcome; /* NONE: older than that too */
	enum status status; /* of a rejected one */
};
void engine_outcome_n(struct engine *, struct bytes source, uint64_t n, struct event_outcome_view *);
void engine_outcome_id(struct engine *, struct bytes id, struct event_outcome_view *); /* newest of any source */

#define RANGES_MAX 100
struct position_view {
	uint64_t contiguous, highest;
	int64_t last_at; /* -1: none */
	uint32_t missing_n;
	uint64_t missing[RANGES_MAX][2];
	uint64_t missing_count; /* numbers, all ranges */
};
void engine_position(struct engine *, struct bytes source, struct position_view *);

struct quarantine_view {
	uint64_t number;
	enum status reason;
	int64_t at; /* when it was kept */
	struct bytes raw;
};
/* false: nothing is kept under this number. */
bool engine_quarantine_item(struct engine *, uint64_t number, struct quarantine_view *);
/* The next item with number > after; false: none. */
bool engine_quarantine_next(struct engine *, uint64_t after, struct quarantine_view *);

struct policy_view {
	int64_t safety_stock, oversell_limit;
};
enum status engine_policy_cell(struct engine *, struct bytes sku, struct bytes location, struct policy_view *);
/* Members by priority, NULL-terminated use: returns their number, -1 unknown group. */
int engine_group(struct engine *, struct bytes name, struct bytes *members, uint32_t most);

/* The "state" digest: everything evolve keeps. Stops for the walk: tests, and small engines. */
void engine_digest_state(struct engine *, uint64_t digest[2]);

/* Use of every table, for `status`. */
struct engine_usage {
	uint64_t cells, skus, locations, groups, sources, channels, reservations_open, reservations_kept, extra_lines, blobs,
	    history, free_ids, quarantined;
	int64_t youngest_forgotten_age_ms; /* D14; -1: nothing was forgotten */
	uint64_t missing; /* numbers missing over all sources (D29) */
};
void engine_usage(const struct engine *, struct engine_usage *);
const struct engine_limits *engine_limits_of(const struct engine *);

#endif
