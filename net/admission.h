/*
 * admission.h: whether new holds are taken, by the age of the queue. A pure judge: it is told the time, how long the request at hand
 * has waited to be looked at and how long the disk will take for what was taken before it, and says whether a new hold is refused. A
 * slow disk is no queue: how long an answer waits for its sync is no reason to begin refusing.
 *
 *                 for OLD_NS all were older than the limit
 *      passing ─────────────────────────────────────────────▶ refusing ─▶ what is older than limit / REFUSING_DIVISOR, or
 *         ▲  ▲                                                 │    │ ▲      behind more than limit / AHEAD_DIVISOR of the disk's work
 *         │  └───── for CALM_NS none had to be refused ────────┘    │ │ for PROBE_OLD_NS all were older than the limit
 *         └── for CALM_NS that did not happen ── probing ◀─ now and then┘
 *
 * A1 The queue is as old as the youngest request of a while: a thread that did not get its core for a moment, or a burst, makes old
 *    requests, but not an old queue, and is never refused. Nor do fewer than OLD_LOOKS_MIN looks make a queue. A look that finds a young
 *    request begins the while anew, so that an old queue is known OLD_NS after it became one: who is taken until then waits longest.
 * A2 When more comes than can be done, everybody would wait for the whole limit for ever. So the limit falls: what is taken is
 *    answered soon, the rest is told at once.
 *    Soon means from the disk, too: while it takes all it can, whatever waits behind one slow sync makes the next one as long, for
 *    ever; so what is taken also stays below what the disk does in a part of the limit.
 * A3 Clients that ask again as soon as they are refused could keep the lowered limit in force although the whole one suffices for
 *    them. So the whole limit is tried again after PROBE_NS_MIN, then after twice that, and so on up to PROBE_NS_MAX.
 * A4 When nobody came for CALM_NS the load has ended.
 *
 * One thread a struct.
 */
#ifndef HOLDFAST_NET_ADMISSION_H
#define HOLDFAST_NET_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

#define QUEUE_AGE_MS      20 /* the default of --queue-age-ms */
#define REFUSING_DIVISOR  8
#define AHEAD_DIVISOR     2
#define OLD_LOOKS_MIN     8
#define OLD_NS            INT64_C(10000000)
#define PROBE_OLD_NS      INT64_C(8000000)
#define CALM_NS           INT64_C(50000000)
#define PROBE_NS_MIN      INT64_C(20000000000)
#define PROBE_NS_MAX      INT64_C(80000000000)

enum admission_state { ADMISSION_PASSING, ADMISSION_REFUSING, ADMISSION_PROBING };

struct admission {
	int64_t limit_ns; /* 0: nothing is ever refused */
	enum admission_state state;
	int64_t began_ns; /* the state */
	int64_t looked_ns; /* the last look */
	int64_t since_ns; /* passing, probing: the first of the old ones; refusing: the last that was refused */
	unsigned old; /* passing, probing: so many old ones in a row */
	int64_t probe_after_ns; /* the next probe, from the beginning of the refusing */
};

void admission_init(struct admission *, int64_t limit_ms);
/* now_ns is steady and never falls. ahead_ns: what is taken now will wait so long for the disk (batcher_ahead_ns). */
bool admission_refuses(struct admission *, int64_t now_ns, int64_t age_ns, int64_t ahead_ns);

#endif
