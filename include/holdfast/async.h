/*
 * async.h: connections that last, for event loops and for programs that want to be left alone with broken lines.
 *
 * Such a connection connects by itself, comes back with back-off when it is lost, sends again what is safe to send again, gives
 * every request a deadline, and resumes its watch. Nothing of yours is called from inside: what has happened is taken with
 * hf_async_next(). It has no thread and no global state. Only names are looked up blocking (in hf_async_open, and again when no
 * address of a name answers); numeric addresses never block. Linux.
 *
 *	struct hf *hf = hf_async_open("127.0.0.1", 7400, NULL, &failure);
 *	... in the loop: wait until hf_async_fd(hf) is readable or hf_async_wait_ms(hf) have passed; then
 *	hf_async_step(hf);
 *	while (hf_async_next(hf, &event))
 *		...
 *	... anywhere: build a request with the functions of holdfast.h and
 *	hf_async_send(hf, &how);
 *
 * The blocking calls of holdfast.h (hf_call, hf_receive, hf_reserve, ...) work on it as long as it does not watch: they wait
 * through lost connections until the answer is there or the deadline has passed.
 *
 * ---- What became of a request: exactly one HF_ANSWER event each, with
 *
 *   HF_OK       the result, durable
 *   HF_REFUSED  the server said no: nothing changed. With sent_n above 1 that is said of the last time: a commit that happened and
 *               whose answer was lost is `wrong_state` when somebody has released it since (ask hf_reservation)
 *   HF_FAILED   it never left this process before its deadline: nothing happened
 *   HF_UNKNOWN  it left and no answer came in time. It may or may not have happened, and may even happen a little later: ask
 *               (hf_outcome_of, hf_reservation), or send the same again. Never send it with a new id.
 *
 * ---- What is sent again after a lost connection (until the deadline, in the order it was first sent)
 *
 *   ats, stock, scan, reservation, outcome,    yes   they change nothing
 *   digest, status, hello, explain, atp
 *   reserve, reserve_many                      yes   by id: the first reply, with `again`
 *   commit, release, fulfil, whole             yes   by state: a repeat finds it done (`again`; `lines` are then empty)
 *   commit, release, fulfil with `lines`       yes   by `ref`, which the server demands: the first reply again
 *   extend                                     yes   the later of both ends counts: a repeat never shortens
 *   move                                       yes   by line and place: `again`
 *   post                                       yes   by source and number, or id: a repeat says "duplicate"
 *   position                                   yes   skip_to below what is known changes nothing
 *   pin                                        no    a second pin is refused: the repeat would hide that the first was granted
 *   policy                                     no    it could undo what somebody else set in between; `get` may be repeated
 *   quarantine                                 no    a repeat says not_found of what the first has done; `list` may be repeated
 *   any other                                  no
 *
 * struct hf_async_how says otherwise where you know better. What is not repeated ends as HF_UNKNOWN when the connection is lost
 * behind it, at once; what had not been written yet is kept and sent. The server executes the commands of one connection in
 * order, and so they are sent again in order; only a request that was refused for a time (retry_refused) loses its place.
 */
#ifndef HOLDFAST_ASYNC_H
#define HOLDFAST_ASYNC_H

#include <holdfast/holdfast.h>

#ifdef __cplusplus
extern "C" {
#endif

struct hf_async_options { /* zero: the default of each */
	uint32_t window_n; /* requests unanswered by the server at a time, 1 to 4,096; default 256 */
	uint32_t queue_n; /* requests taken and not answered to you, those of the window included; default 65,536 */
	int64_t deadline_ms; /* of a request that names none; default 10,000 */
	int64_t connect_ms; /* for one attempt at one address; default 2,000 */
	int64_t silence_ms; /* requests are out and nothing at all comes: the line is taken for dead and made anew; default 5,000 */
	int64_t back_off_ms, back_off_ms_max; /* between attempts: doubled from the first to the second; default 20 and 2,000 */
	uint64_t seed; /* of the jitter: each pause is between half and all of the back-off; 0: drawn from the clock */
	bool retry_refused; /* `overloaded` and `rate_limited`: again after the server's retry_after_ms while the deadline allows */
};

/*
 * A connection that lasts; gives it at once and connects with the steps. NULL: the name has no address, or no memory; *failure says
 * so. hf_close() ends it; what is unanswered then is yours to know about.
 */
struct hf *hf_async_open(const char *host, uint16_t port, const struct hf_async_options *, struct hf_failure *failure);

/* ---- for the loop ---- */
/* The same descriptor for life: readable when hf_async_step() has something to do. Not to be read from. */
int hf_async_fd(const struct hf *);
/* How long the loop may wait for the descriptor at most: 0 not at all, -1 as long as it likes. Ask before each wait. */
int hf_async_wait_ms(const struct hf *);
/* Writes, reads, connects, as far as that goes without waiting. */
void hf_async_step(struct hf *);
/* For a program with no loop of its own: waits at most timeout_ms (-1: for ever) until there is something to do, and steps. */
void hf_async_wait(struct hf *, int timeout_ms);

/* ---- requests ---- */
enum hf_repeat { HF_REPEAT_BY_METHOD = 0, HF_REPEAT_YES, HF_REPEAT_NO };
struct hf_async_how { /* zero: the default of each */
	void *context; /* comes back in the event */
	int64_t deadline_ms; /* from now */
	enum hf_repeat repeat;
};
/*
 * Takes the request that was built (hf_begin ... or hf_build_...). Its number (> 0), or 0: hf_error() says why (no whole array of
 * parameters, longer than 1 MiB, the queue is full) and nothing will happen. how NULL: the defaults, as with hf_send().
 */
uint32_t hf_async_send(struct hf *, const struct hf_async_how *how);

/* ---- watching ---- */
#define HF_FROM_NOW ((int64_t)-1)
struct hf_watch {
	const char *location, *group, *sku; /* filters; NULL: any */
	int64_t since; /* changes after this position; HF_FROM_NOW: from where the server is */
	bool threshold_only, full;
};
/*
 * One watch a connection, from now until hf_close() or HF_WATCH_ENDED: after a lost connection it goes on behind the last seq that
 * hf_async_next() has given. Another call begins anew (and makes a new connection). Borrows nothing.
 */
void hf_async_watch(struct hf *, const struct hf_watch *);

/* ---- what has happened ---- */
enum hf_event_kind {
	HF_ANSWER, /* number, context, outcome, value or failure, sent_n */
	HF_CONNECTED, HF_DISCONNECTED, /* failure of the latter: why. A first attempt that fails is a HF_DISCONNECTED, further ones are silent */
	HF_WATCHING, /* the watch stands; seq: every change behind it is told from now on (`since`, or where the server is) */
	HF_CHANGED, /* value: the changes, an array as in PROTOCOL.md; seq: that of the last */
	HF_REACHED, /* seq: everything up to here has been told */
	HF_WATCH_ENDED /* failure: `gone` (detail: oldest): begin with a snapshot; `behind`: that position is not this server's; ... */
};
struct hf_event {
	enum hf_event_kind kind;
	enum hf_outcome outcome;
	uint32_t number;
	uint32_t sent_n; /* how often it was written: above 1, an `again` or "duplicate" may speak of its own first time */
	void *context;
	const struct hf_value *value; /* NULL: none. Values and failures are lent until the next step, next or close */
	const struct hf_failure *failure;
	uint64_t seq;
};
/* The next thing that has happened; false: nothing more now. Take all of them after each step. */
bool hf_async_next(struct hf *, struct hf_event *);

#ifdef __cplusplus
}
#endif
#endif
