/*
 * holdfast.h: the C client of Holdfast, the available-to-sell engine. Blocking, with pipelining; usable from C++.
 *
 * A connection belongs to one thread at a time. There is no global state, and no thread inside. Strings are UTF-8; quantities
 * are base units; instants are milliseconds since 1970 (UTC), durations milliseconds.
 *
 * Two kinds of connections, with the same requests and answers:
 *   hf_connect()                     connects now, and is over when it is lost: every loss is told at once
 *   hf_async_open() of async.h       connects by itself, again and again, repeats what is safe to repeat, watches, and fits any
 *                                    event loop; the blocking calls below work on it, too
 *
 * Two ways to ask:
 *   hf_call()                        one request, one answer
 *   hf_send() ... hf_receive()       many requests in flight; answers come in any order, matched by the number send returned
 *
 * What an error means (enum hf_outcome):
 *   HF_OK       the answer is here, and durable
 *   HF_REFUSED  the server said no: hf_error() has code, message and detail; nothing changed
 *   HF_UNKNOWN  the answer was lost (connection closed, deadline passed): it may or may not have happened. Repeat the same call
 *               with the same id (commands are idempotent by id), or ask hf_outcome_of()
 *   HF_FAILED   never sent: no connection, or a message that cannot be built; nothing happened
 */
#ifndef HOLDFAST_HOLDFAST_H
#define HOLDFAST_HOLDFAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct hf; /* a connection */

enum hf_outcome { HF_OK = 0, HF_REFUSED = 1, HF_UNKNOWN = 2, HF_FAILED = 3 };

/* A value of an answer: borrowed from the connection until its next receive. Plain tagged tree, no library shows through. */
enum hf_type { HF_NIL, HF_BOOL, HF_INT, HF_STR, HF_BIN, HF_ARRAY, HF_MAP };
struct hf_value {
	enum hf_type type;
	union {
		bool boolean;
		int64_t integer;
		struct { const char *at; uint32_t n; } str; /* also BIN; not terminated */
		struct { const struct hf_value *items; uint32_t n; } array;
		struct { const struct hf_value *pairs; uint32_t n; } map; /* key at 2i, value at 2i + 1 */
	};
};
/* The value under `key` of a map; NULL: not there, or no map. */
const struct hf_value *hf_get(const struct hf_value *map, const char *key);
/* Its integer, or `otherwise`. */
int64_t hf_int(const struct hf_value *, int64_t otherwise);

struct hf_failure {
	char code[32]; /* "insufficient", ...; for UNKNOWN and FAILED: "unknown", "failed" */
	char message[256];
	const struct hf_value *detail; /* a map; NULL: none */
};

/*
 * Connects within timeout_ms for each address that a name has, one after another (and the time of looking it up); as long may each later
 * wait for the server's next bytes last. NULL: *failure says why and the way out.
 */
struct hf *hf_connect(const char *host, uint16_t port, int timeout_ms, struct hf_failure *failure);
void hf_close(struct hf *);
const struct hf_failure *hf_error(const struct hf *);

/* ---- building requests: an array of parameters in msgpack; all may be called in any order between begin and send ---- */
void hf_begin(struct hf *, const char *method);
void hf_array(struct hf *, uint32_t n);
void hf_map(struct hf *, uint32_t n);
void hf_put_str(struct hf *, const char *);
void hf_put_bytes(struct hf *, const char *, size_t n); /* as a string */
void hf_put_int(struct hf *, int64_t);
void hf_put_bool(struct hf *, bool);
void hf_put_nil(struct hf *);
void hf_put_value(struct hf *, const struct hf_value *); /* of an answer, handed back as it came (the cursor of scan) */
void hf_put_raw(struct hf *, const void *msgpack, size_t n); /* one whole object, already encoded */
/* Queues the request (params must be one array). Its number (> 0), or 0: failed. Written by the next receive or flush. */
uint32_t hf_send(struct hf *);
/* Writes all that is queued; HF_OK, HF_UNKNOWN or HF_FAILED. */
enum hf_outcome hf_flush(struct hf *);
/*
 * Waits for any answer. *number says whose it is; *value is its result. in flight: hf_in_flight(). *number 0: no answer came,
 * and the outcome holds for everything in flight.
 */
enum hf_outcome hf_receive(struct hf *, uint32_t *number, const struct hf_value **value);
uint32_t hf_in_flight(const struct hf *);
/* send, then receive that one answer (nothing else may be in flight). */
enum hf_outcome hf_call(struct hf *, const struct hf_value **value);

/* ---- the usual calls: each is an hf_build_...() below and an hf_call() ---- */
struct hf_line {
	const char *sku, *location; /* zero-terminated */
	int64_t qty;
};
struct hf_reserve_options { /* zero: the default of each */
	int64_t ttl_ms;
	const char *channel, *owner, *replaces, *ref;
	bool partial;
};
/* A stock event. It needs `source` and `n` (from 1), or `source` and `id`: with them it may be posted any number of times. */
struct hf_stock_event { /* zero: left out */
	const char *source, *id, *kind, *sku, *location; /* kind: "sale", "receipt", "return", "adjust", "count", "fulfil", ... */
	int64_t n, qty, at, as_of; /* at, as_of: instants */
	const char *ref, *reason, *to;
	const int64_t *expected;
};
enum hf_outcome hf_hello(struct hf *, const struct hf_value **value);
enum hf_outcome hf_ats(struct hf *, const struct hf_line *cells, uint32_t n, const struct hf_value **value);
enum hf_outcome hf_stock(struct hf *, const struct hf_line *cells, uint32_t n, const struct hf_value **value);
enum hf_outcome hf_reserve(struct hf *, const char *id, const struct hf_line *, uint32_t n, const struct hf_reserve_options *,
    const struct hf_value **value);
/* lines NULL: the whole. ref NULL: none (needed when lines are given). */
enum hf_outcome hf_commit(struct hf *, const char *id, const struct hf_line *, uint32_t n, const char *ref, const struct hf_value **);
enum hf_outcome hf_release(struct hf *, const char *id, const struct hf_line *, uint32_t n, const char *ref, const struct hf_value **);
enum hf_outcome hf_fulfil(struct hf *, const char *id, const struct hf_line *, uint32_t n, const char *ref, const struct hf_value **);
enum hf_outcome hf_reservation(struct hf *, const char *id, const struct hf_value **value);
/* What became of the reservation or event `key` after a lost answer. */
enum hf_outcome hf_outcome_of(struct hf *, const char *key, const struct hf_value **value);
enum hf_outcome hf_outcome_of_event(struct hf *, const char *source, uint64_t n, const struct hf_value **value);
/* 1 to 10,000 events; the answer has an outcome for each: [seq, [outcome, ...]]. */
enum hf_outcome hf_post(struct hf *, const struct hf_stock_event *, uint32_t n, const struct hf_value **value);
/* Which numbers of a source the server has: {contiguous, highest, missing: [[from, to], ...], ...}. */
enum hf_outcome hf_position(struct hf *, const char *source, const struct hf_value **value);

/* ---- the same requests built and not sent: hf_send(), or hf_async_send() of async.h, is next ---- */
void hf_build_hello(struct hf *);
void hf_build_ats(struct hf *, const struct hf_line *cells, uint32_t n);
void hf_build_stock(struct hf *, const struct hf_line *cells, uint32_t n);
void hf_build_reserve(struct hf *, const char *id, const struct hf_line *, uint32_t n, const struct hf_reserve_options *);
void hf_build_commit(struct hf *, const char *id, const struct hf_line *, uint32_t n, const char *ref);
void hf_build_release(struct hf *, const char *id, const struct hf_line *, uint32_t n, const char *ref);
void hf_build_fulfil(struct hf *, const char *id, const struct hf_line *, uint32_t n, const char *ref);
void hf_build_reservation(struct hf *, const char *id);
void hf_build_outcome_of(struct hf *, const char *key);
void hf_build_outcome_of_event(struct hf *, const char *source, uint64_t n);
void hf_build_post(struct hf *, const struct hf_stock_event *, uint32_t n);
void hf_build_position(struct hf *, const char *source);

#ifdef __cplusplus
}
#endif
#endif
