/*
 * gate_intake.h: the one way in for every message, by whichever door it came, and the one way out for what became of it.
 *
 *   gate_intake_receive ─▶ gate_intake_take ─▶ frame_check ─▶ an ask? ─▶ known already? ─▶ gate_queue ─▶ (gate_server)
 *          answer, or a counter  ◀─ by the request's origin ◀─ gate_intake_reply ◀──────────────────────────┘
 *
 * IN1: every message that was taken is queued, answered, or (when nobody waits for an answer) counted as dropped with its reason.
 * IN2: nothing is taken while the queue has no room: nanomsg and TCP hold the senders of both doors back.
 *
 * With a spool a message goes there instead, whichever door it came by, and is answered by it; the queue then holds the spool's batches.
 *
 * The gate's thread.
 */
#ifndef HOLDFAST_NET_GATE_INTAKE_H
#define HOLDFAST_NET_GATE_INTAKE_H

#include "net/gate_counters.h"
#include "net/gate_queue.h"
#include "net/gate_server.h"
#include "net/gate_socket.h"
#include "net/gate_spool.h"

#define INTAKE_RECEIVE_MAX 256 /* messages taken by one door before the other one and the server's side get their turn */

struct gate_intake {
	struct gate_queue *queue;
	struct gate_socket *events, *push; /* push: may be closed */
	struct gate_spool *spool; /* NULL: messages are posted as they are */
	struct gate_counters *counters;
	struct feed_counters *feed_counters; /* perhaps of another process */
	bool was_up; /* the server, when it was last looked at */
	bool push_first; /* which door goes first next time: the last free places of the queue are for both */
};

/* May anything be taken now? */
bool gate_intake_room(const struct gate_intake *);
/* Takes what is there, by both doors, as far as there is room. 0, or -1: nanomsg broke (errno). */
int gate_intake_receive(struct gate_intake *);
/* One message, from anywhere; owns its bytes. Needs room. */
void gate_intake_take(struct gate_intake *, struct gate_message *);
/* With a spool: when the line is lost, questions that wait for the server are answered by the spool. To be called each wake-up. */
void gate_intake_line(struct gate_intake *);
/* All counters, with those as of now. */
void gate_intake_count(const struct gate_intake *, struct gate_counters *);
/* What the server said to a request: struct gate_server's hook; context is the intake. */
enum server_use gate_intake_reply(void *context, struct gate_request *, const struct frame_reply *);

#endif
