/*
 * rehearse_play.h: plays a plan against a server. One thread, one epoll: what is due leaves, whether answers come or not (open loop); answers
 * are written into the plan's records and counted in the series. It judges nothing. Functions begin with play_.
 *
 *   rehearse_play.c   when what leaves; the loop
 *   rehearse_take.c   what an answer means, and what its shopper does next
 *
 * R1: a request is late if it is written after its intended moment; each one's lateness is counted, so that a report can say that the client
 *     was slow, not the server.
 * R2: what a shopper does next is intended for a moment that counts from the answer before, so that one slow answer is one slow answer.
 * R3: with `twice`, the same bytes leave a second time at once; the shopper goes on when both are answered.
 */
#ifndef HOLDFAST_BENCH_REHEARSE_PLAY_H
#define HOLDFAST_BENCH_REHEARSE_PLAY_H

#include "bench/rehearse_link.h"
#include "bench/rehearse_plan.h"
#include "bench/rehearse_series.h"
#include "bench/rehearse_talk.h"

#include <signal.h>
#include <sys/types.h>

#define REQUESTS_MAX (1u << 20) /* without an answer; one more ends the run: that server does not answer */
#define DRAIN_MS 10000 /* for answers, behind everything that is planned */

enum step { STEP_HOLD, STEP_COMMIT, STEP_FULFIL, STEP_RELEASE, STEP_LOOK, STEP_MESSAGE, STEP_WATCH };

struct request {
	int64_t due_ns, sent_ns;
	uint32_t index; /* of the shopper, the message, the interval; of a free one: the next free one */
	uint8_t step;
	bool used;
};

struct todo {
	int64_t due_ns;
	uint32_t shopper;
	uint8_t step;
};

/* Where the load goes, and whose processor and memory are looked at (0: nobody's). */
struct target {
	char host[128];
	uint16_t rpc, events;
	pid_t server_pid;
};

struct counts {
	uint64_t asked, answered, unanswered, granted, asked_again, twice, reads, committed, fulfilled, released, till_events;
	uint64_t refused[STATUS_COUNT + 1]; /* shoppers, by their last answer */
};

/* Called about ten times a second: at_s: since the curve's beginning. */
struct play;
typedef void play_tell(const struct play *, double at_s, void *context);

struct play {
	struct plan *plan;
	const struct scenario *scenario;
	struct series series;
	struct counts counts;
	struct target target;
	const volatile sig_atomic_t *stop; /* set: ends soon */
	play_tell *tell;
	void *tell_context;
	bool broke_off, interrupted;
	struct why why; /* it broke off: why */
	int64_t begun_ns; /* the curve's beginning, steady */
	int64_t played_ns; /* of the curve */
	int64_t rss_peak_bytes;
	double server_cpu, client_cpu; /* processors, during the curve; server_cpu below 0: not known */
	double others_cpu; /* all others on this machine; below 0: not known, or the server may be among them */
	uint32_t watched[WATCHED_MAX], watched_n;

	/* inner */
	int epoll;
	struct link *links; /* the shoppers', then the tills', then one that watches */
	uint32_t links_n;
	struct request *requests;
	uint32_t requests_free, requests_made, under_way;
	struct todo *todos; /* a heap */
	uint32_t todos_n, todos_room;
	uint32_t next_shopper, next_message;
	uint64_t random;
	int64_t sample_ns; /* when the next one is due */
};

/* Plays it. 0: it is played, perhaps not to its end (broke_off, interrupted); -1: it could not begin, *why. */
int play_run(struct play *, struct why *);
void play_fini(struct play *);

/* ---- for rehearse_take.c ---- */
/* Since the curve's beginning. */
int64_t play_now(const struct play *);
void play_later(struct play *, int64_t due_ns, uint32_t shopper, enum step);
void play_break(struct play *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Takes all whole messages of a link. */
void take_all(struct play *, struct link *);

#endif
