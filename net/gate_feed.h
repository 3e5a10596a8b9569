/*
 * gate_feed.h: the change feed: watches the server over a connection of its own and publishes each change by the PUB door, as the
 * SKU, one zero byte, and the item's bytes as the server sent them.
 *
 *   RESTING ──somebody subscribes──▶ ASKED ──{seq}──▶ WATCHING
 *      ▲                               │                 │
 *      └─ connection lost, refused, or nobody is left ◀──┘
 *
 * F1: while the gate lives and the server keeps the history, everything that became durable since the first of today's subscribers came
 *     is published once for each connection made to the server, in order: `since` is where the next watch begins. At rest it follows
 *     the server's position, taken while nobody was there; then it is the last position published.
 * F2: a subscriber that does not read costs nothing: nanomsg drops what does not fit its connection.
 * F3: while nobody subscribes the server is not watched: following costs it a thread's work.
 *
 * The gate's thread.
 */
#ifndef HOLDFAST_NET_GATE_FEED_H
#define HOLDFAST_NET_GATE_FEED_H

#include "net/gate_counters.h"
#include "net/gate_line.h"
#include "net/gate_socket.h"

#define FEED_LOOK_MS 200 /* how often it looks whether somebody subscribes; at rest it asks for the position as often */
#define FEED_SILENCE_MS 30000 /* an answer is awaited so long; WATCHING may be silent for ever, when nothing changes */
#define FEED_MESSAGE_BYTES_MAX ((size_t)16 << 20) /* one of the server's: many changes */

enum feed_state { FEED_RESTING, FEED_ASKED, FEED_WATCHING };

struct gate_feed {
	struct gate_line line;
	const struct gate_socket *door; /* closed: no feed at all */
	struct feed_counters *counters;
	void (*say)(const char *line);
	enum feed_state state;
	bool has_since, has_position, asked_position;
	bool alone; /* RESTING: nobody was connected at the last look */
	uint64_t since; /* the watch begins behind it */
	uint64_t position; /* RESTING: the server's, when it answered last */
	int64_t look_ms; /* the next look is due */
	bool told; /* that the server refuses to be watched: once until it works */
};

void gate_feed_init(struct gate_feed *, const struct gate_address *server, const struct gate_socket *door, struct feed_counters *,
    void (*say)(const char *));
void gate_feed_fini(struct gate_feed *);

/* As gate_server_poll() and gate_server_step(). */
int gate_feed_poll(const struct gate_feed *, short *events, int64_t *until_ms);
void gate_feed_step(struct gate_feed *, short revents, int64_t now_ms);

#endif
