/*
 * gate_post.h: sends stock event messages to a gate over nanomsg and takes the acknowledgements, many in flight.
 *
 * What it keeps: every message accepted by gate_post_send() stays here until its answer was handed out, and is sent again after
 * a lost connection or POST_RESEND_MS without an answer. So each message is answered at least once by the gate; the events in it
 * have an identity (source and n, or id), which makes a repeat harmless: at worst an outcome says "duplicate".
 * Messages are sent in the order given. Answers come in any order, each number once.
 *
 * One thread at a time per struct gate_post. nanomsg keeps a worker thread of its own: never fork after the first open.
 */
#ifndef HOLDFAST_NET_GATE_POST_H
#define HOLDFAST_NET_GATE_POST_H

#include "core/base.h"

#define POST_IN_FLIGHT_MAX 64 /* messages not answered yet; beyond: gate_post_send() returns 0 */
#define POST_MESSAGE_BYTES_MAX ((size_t)1 << 20) /* what a gate takes (MESSAGE_BYTES_MAX); beyond: gate_post_send() fails */
#define POST_REPLY_BYTES_MAX (16 << 20) /* 10,000 refusals with their details fit several times */
#define POST_CONNECT_MS 5000 /* for the first contact: resolve, connect, exchange of greetings */
#define POST_RESEND_MS 5000 /* without an answer for so long: sent again; doubled each time up to the next */
#define POST_RESEND_MS_MAX 30000
#define POST_GONE_MS 20000 /* something is in flight and no connection stood for so long, and a probe finds no gate: receive fails */
#define POST_GONE_PROBE_MS 1000
#define POST_SILENCE_MS 120000 /* something is in flight and nothing at all was answered for so long: receive fails */

struct gate_post;

/*
 * Connects to the gate at host:port. NULL: *why says what is wrong and the way out (nothing listens; what listens is not a gate;
 * the name does not resolve).
 */
struct gate_post *gate_post_open(const char *host, uint16_t port, struct why *);

/*
 * Sends one message: bytes[0..n) is one msgpack map (one event) or an array of at most EVENTS_MAX of them, copied. `number` is
 * the caller's, handed back with the answer; distinct among those in flight.
 * 1: accepted; 0: the window is full, receive an answer first; -1: *why says (too long), nothing was sent.
 */
int gate_post_send(struct gate_post *, uint64_t number, const uint8_t *bytes, size_t n, struct why *);

/*
 * Waits up to timeout_ms (0: looks only) for an answer, and sends again what is due. 1: *reply[0..*n) is the answer to *number,
 * one msgpack map {seq, outcomes} (borrowed until the next call); 0: none in that time; -1: *why says (no gate for POST_GONE_MS, which is
 * longer than a gate or a small server takes to be back, or nothing answered for POST_SILENCE_MS): what is in flight is unknown,
 * and may be posted again later with the same identities.
 */
int gate_post_receive(struct gate_post *, int timeout_ms, uint64_t *number, const uint8_t **reply, size_t *n, struct why *);

/* How long a gate that is gone is waited for, instead of POST_GONE_MS. */
void gate_post_patience(struct gate_post *, int64_t gone_ms);
/* Messages accepted whose answer was not handed out yet. */
uint32_t gate_post_in_flight(const struct gate_post *);
/* Messages sent more than once so far. */
uint64_t gate_post_resent(const struct gate_post *);

/* NULL is allowed. What is in flight is forgotten here; the gate and the server may still take it. */
void gate_post_close(struct gate_post *);

#endif
