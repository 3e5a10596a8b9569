/*
 * rehearse_talk.h: what shoppers and tills say, as bytes, and what an answer says. Functions begin with talk_. It keeps nothing; one thread.
 */
#ifndef HOLDFAST_BENCH_REHEARSE_TALK_H
#define HOLDFAST_BENCH_REHEARSE_TALK_H

#include "bench/rehearse_plan.h"
#include "net/buffer.h"
#include "net/codec_read.h"

/* Whole requests with this msgid, behind what is there. */
void talk_hold(struct buffer *, uint32_t msgid, const struct plan *, uint32_t shopper);
void talk_settle(struct buffer *, uint32_t msgid, const char *method, const struct plan *, uint32_t shopper);
void talk_look(struct buffer *, uint32_t msgid, const struct plan *, const uint32_t *cells, uint32_t n);
/* The body of a message to the gate: its events. */
void talk_message(struct buffer *, const struct plan *, const struct till_message *);

struct answer {
	uint32_t msgid;
	enum status status; /* STATUS_OK, or the error's code; STATUS_COUNT: no known one */
	/* of the result of reserve, commit, release, fulfil */
	uint64_t seq;
	int64_t expires_at;
	bool again;
	/* of an error's detail */
	int64_t retry_after_ms;
	uint32_t failing_line;
	struct reader result; /* at the result, for who wants more of it (the seq of ats is behind its array's head) */
};
/* false: no answer. */
bool talk_answer(const uint8_t *bytes, size_t n, struct answer *);
/* Of ats: up to n values into ats[]; nil is 0. false: something else. */
bool talk_ats(struct reader result, int64_t *ats, uint32_t n);

enum told { TOLD_APPLIED, TOLD_DUPLICATE, TOLD_OTHER }; /* of an event */
/* A gate's answer: {seq, outcomes}, as many outcomes as events. false: something else. */
bool talk_outcomes(const uint8_t *bytes, size_t n, uint64_t *seq, enum told *outcomes, uint32_t events_n);

#endif
