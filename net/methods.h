/*
 * methods.h: one whole MessagePack-RPC frame in, one reply out: the table of methods (name, decoder, handler, where it may
 * run) stands in methods.c. It touches the engine or the views and a buffer, nothing else: no sockets, no clock, no threads.
 */
#ifndef HOLDFAST_NET_METHODS_H
#define HOLDFAST_NET_METHODS_H

#include "core/base.h"
#include "core/command.h"
#include "net/buffer.h"

struct ahead;
struct engine;
struct engine_options;
struct feed;

/* Facts about the host that some replies show. Filled by the host; read only here. */
struct service {
	struct engine *engine;
	struct feed *feed; /* for requests that are handled at PLACE_FEED; NULL: none is */
	const char *server; /* "holdfastd 0.1" */
	const char *node;
	const char *data; /* the data folder, absolute; NULL: there is none */
	int64_t image_age_ms; /* what is durable waits for the image at most so long, and as long as its commit takes */
	uint64_t epoch;
	const struct engine_options *options; /* in force, for `hello`; NULL: the defaults */
	/* Position that is durable now (atomic behind the call), and the host's counters for `status`. */
	uint64_t (*durable)(void *host);
	uint64_t (*lost)(void *host, uint64_t seq); /* 0; else seq lies in what a restore lost, which ends there. NULL: nothing was ever restored */
	void (*status)(void *host, struct buffer *out); /* appends one msgpack map: host figures for the `status` method */
	void *host;
	bool (*room)(void *host); /* engine thread: true while the batch buffer takes another step (STEP_ROOM) */
	bool (*late)(void *host); /* engine thread: a long request has had its time: HANDLED_AGAIN */
	bool (*overloaded)(void *host); /* new holds are answered `overloaded` (disk reserve) */
	const char *(*read_only)(void *host); /* NULL, or why commands are refused. holdfastd never refuses them for that */
};

/* Where a request may be handled. */
enum place { PLACE_ANY_LOOP, PLACE_ENGINE, PLACE_FEED };

enum handled {
	HANDLED_REPLY, /* a whole reply was appended; send it when wait_for is durable (0: at once) */
	HANDLED_NOTHING, /* a notification: ignored, count it */
	HANDLED_LATER, /* no reply yet: give `job` and msgid to methods_finish() when the engine ends the job */
	HANDLED_ENGINE, /* called at another place, but this one needs the engine: hand the frame over */
	HANDLED_FEED, /* the same of the feed; never of a request that was at the engine or was waiting */
	HANDLED_AGAIN, /* the batch buffer is full: keep the frame, call again after the next batch began (progress is kept in `resume`) */
	HANDLED_WAIT, /* a read with min_seq and wait_ms: call again when durable() >= wait_for or at the latest after wait_ms */
	HANDLED_CLOSE, /* not MessagePack-RPC: an error reply was appended when a msgid is known; close after it */
};

struct handling {
	uint64_t wait_for;
	uint64_t job;
	uint32_t msgid;
	int64_t wait_ms; /* HANDLED_WAIT; on the call again set `waited` */
	bool waited; /* in: the wait is over, answer `behind` now if still behind */
	uint32_t resume; /* in/out: items of reserve_many or post already done; out->used then holds the partial reply: leave it alone */
	size_t resume_left; /* with resume: so many bytes of the frame are still to be read */
	size_t reply_at; /* in/out with resume: where the partial reply starts in out */
	const char *method; /* name from the table, for counters; NULL: none */
	bool refused; /* the reply is an error */
	bool costly; /* its length does not tell what it cost */
	int64_t good_until_ms; /* the reply counts holds, of which none ends before; 0: it counts none */
};

/*
 * Handles one frame (a whole object as the scanner found it), at PLACE_ENGINE: on the engine's thread, between engine_begin() and the
 * hand-over of the batch, with at least STEP_ROOM free; at PLACE_FEED: on the feed's; otherwise only views may be touched.
 * now_ms: the host's clock, only to compare with the engine's next deadline on other loops.
 */
enum handled methods_handle(const struct service *, enum place, int64_t now_ms, const uint8_t *frame, size_t n, struct buffer *out,
    struct handling *);

/*
 * A request of a usual form, taken by its method's own decoder in one look at fresh bytes: it needs no scanner before and no decoder
 * behind it. Borrows the bytes.
 */
#define REQUEST_LINES_MAX 4 /* one with more is handled from its frame */
struct request {
	const struct method *method;
	uint32_t msgid;
	uint32_t lines_n;
	struct bytes id; /* of the reservation; empty: it has none */
	const struct ahead *found; /* what a walk ahead found for its command, or for its first cell (core/ahead.h); NULL: there was none */
	struct command command; /* of a method that executes one */
	struct asked_line lines[REQUEST_LINES_MAX]; /* of the command; or the cells of a read, without a quantity */
};
/*
 * The request that bytes[0..n) begin with, which will be handled at `place`: how long its frame is. 0: look closer, by the scanner and
 * methods_handle(), which say the same of everything that this takes, and word what is wrong with the rest.
 */
size_t methods_look(enum place, const uint8_t *bytes, size_t n, struct request *);
/* As methods_handle() of its frame. Never HANDLED_AGAIN nor HANDLED_WAIT. */
enum handled methods_execute(const struct service *, enum place, int64_t now_ms, const struct request *, struct buffer *out,
    struct handling *);

/* Appends the reply to the request `msgid` that HANDLED_LATER left open. method is handling.method of then. */
void methods_finish(const struct service *, uint32_t msgid, const char *method, const struct result *, struct buffer *out);

/*
 * A request for a new or a longer hold is answered `overloaded`, before its params are looked at: many times cheaper than deciding
 * it. False: it is none (or no request), and nothing was appended.
 */
bool methods_refuse_hold(const uint8_t *frame, size_t n, struct buffer *out);
bool methods_refuse_request(const struct request *, struct buffer *out); /* the same of a request */

/* Appends an error reply: [1, msgid, [code, message, detail], nil]; retry_after_ms < 0: an empty detail. */
void methods_refuse(uint32_t msgid, enum status, const char *message, int64_t retry_after_ms, struct buffer *out);

#endif
