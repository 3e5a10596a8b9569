/*
 * post_link.h: how `holdfast post` reaches a server: messages of events out, their outcomes back, many in flight. Two ways with one
 * face: through the gate (nanomsg), or straight by MessagePack-RPC. A message may be sent more than once after a lost connection;
 * events have an identity, so that is harmless.
 */
#ifndef HOLDFAST_CMD_POST_LINK_H
#define HOLDFAST_CMD_POST_LINK_H

#include "core/base.h"
#include "holdfast/holdfast.h"
#include "net/buffer.h"

#define POST_SLOTS 32 /* messages in flight; a gate takes 64 of one sender */
#define POST_RECONNECT_MS 60000 /* by RPC: how long a lost server is waited for, until it answers */

struct post_row {
	uint64_t number; /* of the row in the file, from 1 */
	uint32_t event_at, event_n; /* its bytes in events */
	uint32_t line_at, line_n; /* its original line in lines */
	bool dated;
};

/* Rows on their way. A message is a msgpack array whose head has a fixed width, so that rows can be added. */
struct post_message {
	struct buffer events; /* MESSAGE_HEAD_BYTES, then events */
	struct buffer lines;
	struct post_row *rows;
	uint32_t n, rows_max, undated;
};
#define MESSAGE_HEAD_BYTES 3

bool post_message_init(struct post_message *, uint32_t rows_max);
void post_message_fini(struct post_message *);
void post_message_clear(struct post_message *);
/* false: it is full (rows, or 1 MiB); nothing was added. */
bool post_message_add(struct post_message *, uint64_t number, struct bytes event, struct bytes line, bool dated);
/* Writes the head; the message is events.at[0..events.used). */
void post_message_seal(struct post_message *);

struct post_link;

/*
 * What came back for one message: outcomes as a list; or one refusal of the whole; or that a gate's spool has it, but for some rows.
 * Borrowed until the next receive.
 */
struct post_answer {
	int slot;
	const struct hf_value *outcomes; /* NULL: refused, or queued */
	const struct hf_failure *refusal;
	bool queued;
	const struct hf_value *refused; /* of a queued one: [[index, code, message], ...]; NULL: none */
};

/* Through a gate. NULL: *why. */
struct post_link *post_link_gate(const char *host, uint16_t port, struct why *);
/* Straight to a server. NULL: *why. */
struct post_link *post_link_rpc(const char *host, uint16_t port, int timeout_ms, struct why *);
void post_link_close(struct post_link *);
/* Sends the sealed message under this slot (0..POST_SLOTS-1), which must stay as it is until answered. -1: *why. */
int post_link_send(struct post_link *, int slot, const struct post_message *, struct why *);
/* 1: *answer; 0: none within about timeout_ms; -1: *why: what is in flight has an unknown end. */
int post_link_receive(struct post_link *, int timeout_ms, struct post_answer *, struct why *);
/* Messages sent again so far; by RPC of those that were answered. */
uint64_t post_link_resent(const struct post_link *);

#endif
