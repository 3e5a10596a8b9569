/*
 * gate_frame.h: the bytes the gate puts around event messages and around their outcomes. Pure: no memory of its own, no sockets.
 *
 *   a message (one map, or an array of maps)  ->  [0, msgid, "post", [[event, ...]]]
 *   [1, msgid, nil, [seq, [outcome, ...]]]    ->  {seq, outcomes: [outcome, ...]}
 *   [1, msgid, [code, message, detail], nil]  ->  try again, or {seq: 0, outcomes: [{rejected: code, message, detail}]}
 *   an ask's source  ->  [0, msgid, "position", [source]]  ->  {position: result}, or {rejected: code, message, detail}
 *
 * Events and outcomes pass through as the bytes they are; nothing in them is decoded here.
 */
#ifndef HOLDFAST_NET_GATE_FRAME_H
#define HOLDFAST_NET_GATE_FRAME_H

#include "core/base.h"
#include "net/gate_raw.h"

#define FRAME_HEAD_BYTES_MAX 20
#define FRAME_ANSWER_PARTS 4
#define FRAME_REFUSAL_BYTES_MAX 512 /* besides the detail */
#define FRAME_MESSAGE_BYTES_MAX 256 /* of an error's message; what is longer is cut */

/* What a request to the server looks like: the body that came in, and what stands around it. */
enum frame_form {
	FRAME_POST, /* the body is an array of events */
	FRAME_POST_ONE, /* one event: an array goes around it */
	FRAME_POSITION, /* a source's name */
};

/* May this message be posted? STATUS_OK, its form and how many events it claims to have, or STATUS_BAD_REQUEST or STATUS_TOO_LARGE with a sentence for people. */
enum status frame_check(const uint8_t *message, size_t n, enum frame_form *form, uint32_t *events_n, const char **sentence);

/* Writes what stands before the body in its request; the body is the request's end. Returns the length. */
uint32_t frame_head(uint8_t head[FRAME_HEAD_BYTES_MAX], uint32_t msgid, enum frame_form form);

struct frame_reply {
	uint32_t msgid;
	bool refused;
	struct bytes result; /* refused false: one whole msgpack object, borrowed from the reply */
	struct bytes code, message; /* refused true: texts; detail one msgpack map */
	struct bytes detail;
	int64_t retry_after_ms; /* from the detail; -1: not said */
};

/* False: the bytes, one whole msgpack object, are no reply of MessagePack-RPC. */
bool frame_reply_read(const uint8_t *bytes, size_t n, struct frame_reply *);

/* Is this whole object a map? */
bool frame_is_map(struct bytes result);

/* Is this an error that passes, so that the same message is posted again later? */
bool frame_passes(struct bytes code);

struct frame_outcomes {
	struct bytes seq, outcomes; /* whole msgpack objects: an integer, an array */
};

/* False: the result is not that of a `post`. */
bool frame_outcomes_read(struct bytes result, struct frame_outcomes *);

/* The answer to an accepted message, in parts that borrow from the reply. */
void frame_answer(const struct frame_outcomes *, struct raw_part parts[FRAME_ANSWER_PARTS]);

/* The same to an ask: {name: result}. Returns the parts. */
int frame_told(const char *name, struct bytes result, struct raw_part parts[FRAME_ANSWER_PARTS]);

/*
 * The answer to a refused message, {rejected, message, detail}, for events as the only outcome: fills head[] and parts; a detail of
 * {NULL, 0} is written as an empty map. Returns the parts.
 */
int frame_refusal(uint8_t head[FRAME_REFUSAL_BYTES_MAX], bool events, struct bytes code, struct bytes message, struct bytes detail,
    struct raw_part parts[FRAME_ANSWER_PARTS]);

#endif
