/*
 * gate_queue.h: the messages a gate has taken and not yet answered, in the order they came, and the last answers it gave.
 *
 *          add             written whole                answer                   room needed
 *   (free) ----> QUEUED -----------------> SENT --------------> ANSWERED ----------------------> (free)
 *                  ^                         |
 *                  +-------------------------+  connection lost, or refused for now
 *
 * Numbers only grow: kept <= first <= next. [kept, first) are all ANSWERED; [first, next) holds the unanswered ones, at most
 * GATE_MESSAGES_MAX of them and (but for the last one taken) GATE_BYTES_MAX bytes. A number's low 32 bits are its msgid.
 *
 * Two lines: a message of more than HEAVY_EVENTS_MIN events is heavy, and so is whatever comes behind it by the same connection while it is
 * unanswered (by PUSH: by anybody), so that nobody's messages change their order. Of heavy messages only so many are with the server at
 * a time; a till's single sale overtakes the rest. Connections are told apart by a hash: two that share one are heavy together.
 *
 * Why answers are kept: nanomsg drops an answer whose connection is full, silently, and the client asks again. A request that comes
 * again (same request number, same bytes) while the first is unanswered takes the first one's place; when it was answered on the same
 * connection it gets the same answer once more. Without this it would be posted twice: right, but "duplicate" instead of "applied".
 */
#ifndef HOLDFAST_NET_GATE_QUEUE_H
#define HOLDFAST_NET_GATE_QUEUE_H

#include "core/base.h"
#include "core/hash.h"
#include "net/gate_frame.h"
#include "net/gate_raw.h"

#define GATE_MESSAGES_MAX 8192 /* unanswered; at the limit the gate takes no message from nanomsg: clients wait */
#define GATE_BYTES_MAX ((size_t)64 << 20) /* unanswered bytes; the same */
#define GATE_SLOTS (2 * GATE_MESSAGES_MAX) /* unanswered and kept together */
#define GATE_KEPT_BYTES_MAX ((size_t)8 << 20) /* of kept answers; the oldest are forgotten */
#define HEAVY_EVENTS_MIN 17
#define HEAVY_SENT_MAX 8192 /* events of heavy messages that are with the server; its turn for them is a few milliseconds */
#define GATE_PEERS 4096 /* hashes of connections */

enum gate_line_of { QUEUE_LIGHT, QUEUE_HEAVY, QUEUE_LINES };
enum gate_request_state { REQUEST_QUEUED, REQUEST_SENT, REQUEST_ANSWERED };

/* Where a message came from: this decides what becomes of the server's reply to it (gate_intake.c). */
enum gate_origin {
	ORIGIN_EVENTS, /* over REP: answered */
	ORIGIN_PUSH, /* over PULL: nobody waits */
	ORIGIN_ASK, /* over REP, a question to the server */
	ORIGIN_SPOOL, /* a batch out of the spool (gate_spool.h) */
};

/* One message on its way in. */
struct gate_message {
	enum gate_origin origin;
	struct raw_header header; /* whom to answer; n 0: nobody */
	uint64_t number; /* ORIGIN_SPOOL: which batch */
	uint8_t *at; /* owned: from raw_receive() or raw_allocate() */
	size_t n;
	enum frame_form form; /* of its request to the server ... */
	struct bytes body; /* ... and what of the message is in it; borrowed from the message */
	uint32_t events_n; /* that it claims to have */
	uint64_t digest; /* of the request number and the message, since gate_queue_find() */
};

struct gate_request {
	enum gate_request_state state;
	enum gate_origin origin;
	enum gate_line_of line;
	uint32_t events_n;
	uint16_t peer;
	struct raw_header header;
	uint64_t number; /* ORIGIN_SPOOL: which batch */
	uint64_t digest; /* of the request number and the message */
	uint64_t next_alike; /* the next older number in the same bucket + 1; 0: none */
	uint32_t head_n; /* QUEUED, SENT: what stands before the message in its request to the server */
	uint8_t head[FRAME_HEAD_BYTES_MAX];
	uint8_t *message; /* QUEUED, SENT: owned, as it came */
	size_t n;
	struct bytes body; /* QUEUED, SENT: borrowed from the message: what stands behind the head */
	uint8_t *answer; /* ANSWERED: owned, malloc; NULL: none kept */
	size_t answer_n;
};

struct gate_queue {
	uint64_t kept, first, next;
	uint32_t unanswered;
	size_t bytes, kept_bytes;
	uint32_t heavy_sent; /* events of heavy messages that are SENT */
	uint16_t heavy_of[GATE_PEERS]; /* unanswered heavy messages by connection; GATE_MESSAGES_MAX fits */
	struct gate_request *slots; /* GATE_SLOTS; number % GATE_SLOTS */
	uint64_t *buckets; /* GATE_SLOTS heads by digest: number + 1 */
	struct hash_seed seed; /* of the digests: which bucket a message comes to cannot be chosen from outside */
};

/* secret: something that who sends messages cannot guess. -1: no memory. */
int gate_queue_init(struct gate_queue *, uint64_t secret);
void gate_queue_fini(struct gate_queue *);

static inline struct gate_request *
gate_queue_at(struct gate_queue *q, uint64_t number)
{
	return &q->slots[number % GATE_SLOTS];
}

/* May another message be taken? */
bool gate_queue_room(const struct gate_queue *);
/* Keeps the message as QUEUED; needs room, and that one that is to be answered was not found here. The kept answers give way. */
void gate_queue_add(struct gate_queue *, const struct gate_message *);
/*
 * The same request, when it is here already: unanswered (its answer will now go to this header) or answered on this connection
 * (its answer is kept). NULL: it is new, or nobody waits for its answer.
 */
struct gate_request *gate_queue_find(struct gate_queue *, struct gate_message *);
/* It was written whole, or has to be written again. */
void gate_queue_turn(struct gate_queue *, struct gate_request *, enum gate_request_state);
/* The unanswered request a reply of the server belongs to, and its number; NULL: none, or it was not sent. */
struct gate_request *gate_queue_sent(struct gate_queue *, uint32_t msgid, uint64_t *number);
/* Keeps the answer (copied) when memory and bounds allow and there is one (parts_n > 0), frees the message. */
void gate_queue_answered(struct gate_queue *, struct gate_request *, const struct raw_part *, int parts_n);

#endif
