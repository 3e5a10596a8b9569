/*
 * follower.h: a client that keeps a copy of all cells, by the rules of net/PROTOCOL.md and nothing else: from a scan, a snapshot or the
 * beginning, then by `watch`. And a writer of random events to follow. For tests of the feed.
 *
 * SKUs are "S0" .. , locations "L0" ..; a cell that it never heard of has ATS 0.
 */
#ifndef HOLDFAST_TESTS_FOLLOWER_H
#define HOLDFAST_TESTS_FOLLOWER_H

#include "tests/peer.h"

#include <stdint.h>

#define COPY_SKUS      40
#define COPY_LOCATIONS 5

struct copy {
	struct copied { uint64_t seq; int64_t ats, on_hand; } cell[COPY_SKUS][COPY_LOCATIONS];
	bool full; /* on_hand is kept, and the seq of every change */
	uint64_t since; /* all up to here is in it */
	uint64_t messages, changes;
	bool wrong; /* a message broke the protocol's rules; said on stdout */
};

/* The pages of `scan [{...}]`: options in the text of wire_text.h, "" or "'snapshot': true, ". False: refused. *seq: of the first page. */
bool copy_scan(struct copy *, struct peer *, const char *options, uint64_t *seq);
/* `watch` since copy->since. False: refused (the answer is peer's last). */
bool copy_watch(struct copy *, struct peer *);
/* Takes one message of the watcher. False: the connection ended, or nothing came in time. */
bool copy_take(struct copy *, struct peer *);
/* Takes messages until the copy stands at `seq` or past it. */
bool copy_follow(struct copy *, struct peer *, uint64_t seq);
/* The same ATS everywhere; with on_hand and positions when both are full. Says the first difference. */
bool copy_equal(const struct copy *, const struct copy *);

/* Random events, `events` in one `post` on `peer`: sent, not waited for. The generator's state is *random; *event_n numbers them. */
void writer_put(struct peer *, uint64_t *random, uint64_t *event_n, unsigned events);
/* The same of one's own making: the head of a `post` of so many events, each of them, peer_flush(). */
void writer_begin(struct peer *, unsigned events);
void writer_event(struct peer *, uint64_t n, const char *kind, const char *sku, const char *location, int64_t qty);
/* Its answer: the position, 0: refused, or the connection ended. */
uint64_t writer_answer(struct peer *);

#endif
