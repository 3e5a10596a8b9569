/*
 * methods_part.h: what methods.c shares with its parts, methods_*.c; nobody else includes it.
 *
 * A handler is called with the params array opened. It appends one whole reply to call->out and returns HANDLED_REPLY, or
 * says by another `enum handled` why there is none yet. It never leaves half a reply behind, except under HANDLED_AGAIN.
 */
#ifndef HOLDFAST_NET_METHODS_PART_H
#define HOLDFAST_NET_METHODS_PART_H

#include "core/engine.h"
#include "core/view.h"
#include "net/codec_params.h"
#include "net/codec_write.h"
#include "net/methods.h"

/* Bounds of one read, so that no step is long and no reply is longer than a message: beyond them `too_large`. */
#define ATS_CELLS_MAX   10000
#define STOCK_CELLS_MAX 4000 /* a cell's map is at most 240 bytes */
#define SCAN_LIMIT_MAX  10000
#define SCAN_LIMIT_DEFAULT 1000
#define SCAN_CELL_BYTES_MAX 140
#define WAIT_MS_MAX     1000
#define GROUPS_GET_MAX  16 /* groups of 1,024 names of 32 bytes */
#define QUARANTINE_LIST_MAX 400 /* items of one page, of EVENT_BYTES_MAX bytes */
#define QUARANTINE_IDS_MAX 1000
#define LATE_PARTS      32 /* so many parts of a request between two looks at the time; a power of two */
#define RETRY_HOLD_MS   50 /* what `overloaded` tells a checkout: a queue of 20 ms is gone by then */

struct call;
struct method {
	const char *name;
	uint32_t name_n;
	enum place place;
	bool hold; /* asks for units or time: shed first when overloaded */
	bool command; /* changes something whatever its params: refused when read_only */
	bool shows_holds; /* a read whose answer is wrong once a hold has ended (D19) */
	bool costly; /* what it costs does not show in the bytes of request and answer */
	enum status (*decode)(struct reader *, uint32_t params_n, struct decode_space *, struct command *); /* for handle_command */
	bool (*look)(struct reader *, uint32_t params_n, struct request *); /* the params in one look; NULL: never */
	enum handled (*handle)(struct call *);
	void (*result)(struct buffer *, const struct result *); /* the result of a success: handle_command, methods_finish */
};

struct call {
	const struct service *service;
	const struct method *method;
	enum place place; /* where it is handled now */
	int64_t now_ms;
	uint32_t msgid;
	struct reader params;
	uint32_t params_n;
	struct buffer *out;
	struct handling *handling;
	struct decode_space *space;
	const struct request *request; /* what it asks, taken in one look: no params to read; else NULL */
};

/* ---- the envelope (methods.c) ---- */
enum envelope { ENVELOPE_REQUEST, ENVELOPE_NOTIFICATION, ENVELOPE_NONE, ENVELOPE_BROKEN };
/*
 * [0, msgid, method, params] or [2, method, params]. BROKEN: no RPC, but the number is known. Of a notification nothing is looked
 * at: it is ignored, and there are clients (pynvim) that greet with one whose method is a `bin`.
 */
enum envelope envelope_open(struct reader *, uint32_t *msgid, struct bytes *name);
const struct method *method_find(struct bytes name); /* NULL: there is none */

/* ---- in one look (methods_look.c) ---- */
bool look_command(struct reader *, uint32_t params_n, struct request *);
bool look_cells(struct reader *, uint32_t params_n, struct request *);

/* ---- answers (methods.c) ---- */
/* An error reply without detail; marks the handling as refused. */
enum handled call_refuse(struct call *, enum status, const char *message);
/* STATUS_BAD_REQUEST with the words in the space. */
enum handled call_bad(struct call *);
/* An error reply with the detail of an engine's result. */
enum handled call_refuse_result(struct call *, const struct result *);
/* An engine's answer of any kind waits for what it was decided on (P1). */
void call_wait_engine(struct call *);
/* The host's verdicts, answered: true when *handled is the reply. */
bool call_read_only(struct call *, enum handled *);
bool call_overloaded(struct call *, enum handled *);
/* Whether part i of a long request may be handled now. */
bool call_room(const struct call *, uint32_t i);

/* ---- handlers ---- */
enum handled handle_command(struct call *);
enum handled handle_reserve_many(struct call *);
enum handled handle_post(struct call *);
enum handled handle_policy(struct call *);
enum handled handle_quarantine(struct call *);
enum handled handle_hello(struct call *);
enum handled handle_ats(struct call *);
enum handled handle_stock(struct call *);
enum handled handle_scan(struct call *);
enum handled handle_reservation(struct call *);
enum handled handle_outcome(struct call *);
enum handled handle_position(struct call *);
enum handled handle_status(struct call *);
enum handled handle_watch(struct call *);
enum handled handle_later(struct call *);

/* ---- shared by reads ---- */
struct read_options {
	bool has_min_seq;
	int64_t min_seq, wait_ms;
	struct bytes channel;
	uint64_t skip_to; /* position only; 0: none */
};
/* [sku, place], each a text (D7). */
bool read_cell_name(struct reader *, struct asked_line *);
/* The optional map of a read as the next param. */
enum status read_options(struct call *, bool given, struct read_options *);
/* min_seq against `position`: true when *handled is the answer (an error, or HANDLED_WAIT). */
bool read_behind(struct call *, const struct read_options *, uint64_t position, enum handled *);
/* On another loop than the engine's, a due deadline sends a view's read to the engine (Q3 of methods_read.c). */
bool read_needs_engine(const struct call *);
/* A view's reply waits for the newest cell that it shows (0: none) and for the names and groups that it knew, or did not (Q1). */
void read_shown(struct call *, uint64_t newest);
/* The engine's position as the answer's `seq`; the reply waits for it. */
uint64_t query_seq(struct call *);
/* The head of a reply whose result is a map of so many pairs, the first of which, `seq`, is put too. */
void query_head(struct call *, uint32_t pairs);
/* policy {get: ...}, quarantine {op: "list"}; the reader stands at the value, or the pairs behind `op`. */
enum handled read_policy(struct call *);
enum handled read_quarantine(struct call *, uint64_t after, uint32_t limit);

#endif
