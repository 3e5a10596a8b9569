/*
 * admission.h: whether new holds are taken, by the age of the queue. A pure judge: it is told the time and how long the request at
 * hand has waited to be looked at, and says whether a new hold is refused. A slow disk is no queue: how long an answer waits for its
 * sync does not count.
 *
 *                 for WINDOW_NS all were older than the limit
 *      passing ─────────────────────────────────────────────────▶ refusing ─▶ what is older than limit / REFUSING_DIVISOR
 *         ▲  ▲                                                     │    │ ▲
 *         │  └────────── for WINDOW_NS none had to be refused ─────┘    │ │ for PROBE_WINDOW_NS all were older than the limit
 *         └── for WINDOW_NS that did not happen ── probing ◀─ now and then┘
 *
 * A1 The queue's age is that of the youngest request of a while: a thread that did not get its core for a moment, or a burst, makes
 *    old requests, but not an old queue, and is never refused. Nor do fewer than JUDGED_MIN looks in a while make a queue.
 * A2 When more comes than can be done, everybody would wait for the whole limit for ever. So the limit falls: what is taken is
 *    answered soon, the rest is told at once.
 * A3 Clients that ask again as soon as they are refused could keep the lowered limit in force although the whole one suffices for
 *    them. So the whole limit is tried again after PROBE_NS_MIN, then after twice that, and so on up to PROBE_NS_MAX.
 *
 * One thread a struct.
 */
#ifndef HOLDFAST_NET_ADMISSION_H
#define HOLDFAST_NET_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

#define QUEUE_AGE_MS      20 /* the default of --queue-age-ms */
#define REFUSING_DIVISOR  8
#define JUDGED_MIN        8
#define WINDOW_NS         INT64_C(50000000)
#define PROBE_WINDOW_NS   INT64_C(10000000)
#define PROBE_NS_MIN      INT64_C(5000000000)
#define PROBE_NS_MAX      INT64_C(80000000000)

enum admission_state { ADMISSION_PASSING, ADMISSION_REFUSING, ADMISSION_PROBING };

struct admission {
	int64_t limit_ns; /* 0: nothing is ever refused */
	enum admission_state state;
	int64_t began_ns, window_end_ns; /* of the state; of the window */
	int64_t youngest_ns, oldest_ns; /* ages seen in this window; INT64_MAX, 0: none */
	unsigned judged; /* how many looks that were */
	int64_t probe_after_ns; /* the next probe, from the beginning of the refusing */
};

void admission_init(struct admission *, int64_t limit_ms);
/* now_ns is steady and never falls. */
bool admission_refuses(struct admission *, int64_t now_ns, int64_t age_ns);

#endif
