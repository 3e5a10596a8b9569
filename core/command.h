/*
 * command.h: what may be asked of the engine, decoded, and what it answers. All strings are borrowed from the caller's
 * message for the length of the call; results borrow from the engine until its next call.
 *
 * The decoder (net) guarantees shapes: lengths (D7), UTF-8, counts, integer ranges (D6). The engine judges everything else.
 */
#ifndef HOLDFAST_CORE_COMMAND_H
#define HOLDFAST_CORE_COMMAND_H

#include "core/base.h"

enum command_kind {
	COMMAND_RESERVE, COMMAND_COMMIT, COMMAND_RELEASE, COMMAND_FULFIL, COMMAND_EXTEND, COMMAND_PIN, COMMAND_MOVE,
	COMMAND_EVENT, COMMAND_SKIP_TO, COMMAND_POLICY_CELLS, COMMAND_POLICY_GROUP, COMMAND_QUARANTINE_DROP,
	COMMAND_QUARANTINE_REPLAY, COMMAND_DIGEST,
};

enum event_kind {
	EVENT_SALE, EVENT_RETURN, EVENT_RECEIPT, EVENT_ADJUST, EVENT_UNSELL, EVENT_RESELL, EVENT_COUNT, EVENT_FULFIL,
	EVENT_KIND_UNKNOWN /* not readable or not supported yet: `defect` is set */
};

struct asked_line {
	struct bytes sku, location;
	int64_t qty; /* 1..QTY_LINE_MAX */
};

struct reserve_command {
	struct bytes id;
	const struct asked_line *lines;
	uint32_t lines_n; /* 1..LINES_ASKED_MAX */
	int64_t ttl_ms; /* -1: the default */
	struct bytes channel, owner, replaces, ref;
	bool partial; /* mode: "partial" */
};

/* commit, release, fulfil. lines_n = 0: the whole. */
struct settle_command {
	struct bytes id, ref;
	const struct asked_line *lines;
	uint32_t lines_n;
};

struct extend_command { /* extend, pin */
	struct bytes id;
	int64_t ttl_ms; /* any integer >= 1; the engine judges the bound (D18) */
};

struct move_command {
	struct bytes id, to_location;
	uint32_t line; /* index of the resolved line */
};

/* One stock event. An unreadable one that has an identity carries a defect, so that it can be quarantined (D30). */
struct event_command {
	struct bytes source; /* empty: no identity */
	uint64_t n; /* 0: not given; else 1..2^53-1 */
	struct bytes id; /* empty: not given */
	enum event_kind kind;
	struct bytes sku, location;
	int64_t qty; /* signed for adjust, >= 0 for count, else >= 1 */
	int64_t at; /* ms; -1: not given = arrival */
	int64_t as_of; /* count: ms; -1: not given = at, or arrival */
	int64_t expected; /* count, adjust; valid if has_expected */
	bool has_expected;
	bool to_unsellable; /* return */
	struct bytes ref, reason;
	enum status defect; /* STATUS_OK, or why it cannot be applied */
	const char *defect_message; /* static */
	struct bytes raw; /* the event's own msgpack bytes, at most EVENT_BYTES_MAX */
};

struct policy_cell {
	struct bytes sku, location;
	bool has_safety_stock, has_oversell_limit;
	int64_t safety_stock, oversell_limit; /* 0..QTY_LINE_MAX; nil on the wire = 0 */
};

struct policy_cells_command {
	const struct policy_cell *cells;
	uint32_t cells_n; /* 1..CELLS_POLICY_MAX */
};

/* Defines, redefines (members_n > 0) or removes (members_n = 0) one group. Answered later (result.job != 0). */
struct policy_group_command {
	struct bytes name;
	const struct bytes *members; /* locations, by priority */
	uint32_t members_n;
};

struct skip_command {
	struct bytes source;
	uint64_t skip_to; /* 1..2^53-1: numbers up to and including it that are missing are declared lost */
};

struct quarantine_command {
	uint64_t number; /* drop */
	const struct event_command *event; /* replay: decoded again by the caller from the kept bytes */
};

struct digest_command {
	struct bytes location, sku_from, sku_to; /* empty: all; sku_from <= sku < sku_to in byte order */
};

struct command {
	enum command_kind kind;
	union {
		struct reserve_command reserve;
		struct settle_command settle;
		struct extend_command extend;
		struct move_command move;
		struct event_command event;
		struct skip_command skip;
		struct policy_cells_command policy_cells;
		struct policy_group_command policy_group;
		struct quarantine_command quarantine;
		struct digest_command digest;
	};
};

/* D15, in the order of the rule: the state is the first that any unit has. */
enum reservation_state {
	RESERVATION_HELD, RESERVATION_COMMITTED, RESERVATION_FULFILLED, RESERVATION_HANDED_OVER, RESERVATION_RELEASED,
	RESERVATION_EXPIRED
};
const char *reservation_state_name(enum reservation_state); /* "held", ..., "handed_over", ... */

enum event_outcome { OUTCOME_NONE, OUTCOME_APPLIED, OUTCOME_ABSORBED, OUTCOME_RECONCILED, OUTCOME_DUPLICATE, OUTCOME_REJECTED };
const char *event_outcome_name(enum event_outcome);

/* A resolved line of an answer. sku and location are borrowed from the names table: valid for ever. */
struct result_line {
	struct bytes sku, location;
	int64_t qty;
};

/* D23. Instants -1: none. */
struct short_line {
	uint32_t line; /* index of the asked line */
	struct bytes sku, location;
	int64_t asked, available; /* available >= 0 */
	int64_t next_release_at, next_release_qty;
};

struct result {
	enum status status;
	const char *message; /* static sentence for people when status is not OK */
	uint64_t seq; /* where the effect stands, or the last position when nothing changed: the reply waits for it */
	uint64_t job; /* not 0: answered later by engine_job_run() under this number; nothing else is valid */

	/* reservations: status OK */
	bool again;
	enum reservation_state state;
	int64_t expires_at; /* ms */
	const struct result_line *lines; /* reserve: granted lines; others: what this call moved */
	uint32_t lines_n;

	/* events: an event's rejection is status != OK with outcome REJECTED; quarantine != 0 when it was kept */
	enum event_outcome outcome;
	uint64_t quarantine;
	int64_t was, counted, reapplied, variance; /* OUTCOME_RECONCILED (D37); nothing is ambiguous before margins exist */
	int64_t unmatched; /* fulfil event: units beyond the reservation's */

	/* details of refusals */
	const char *which; /* limit, capacity: the name of the bound or table */
	int64_t number; /* mismatch: on_hand; stale: oldest or -1; bad_request on a partial call: what is left, else -1 */
	const struct short_line *shorts; /* insufficient */
	uint32_t shorts_n;

	/* digest */
	uint64_t digest_stock[2], digest_state[2]; /* 128 bits, high first */
	bool has_state;
	uint64_t cells;
};

#endif
