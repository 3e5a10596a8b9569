/*
 * client_async.h: the connection that lasts, for its two files: client_async.c makes it go (connecting, the step, requests taken), and
 * client_events.c says what has happened.
 *
 *   DOWN ──until_ms──▶ CONNECTING ──▶ UP ──link broken, and its whole messages taken──▶ DOWN
 *    ▲                     │ no address answers
 *    └──────back-off───────┘
 *
 * A1: whole messages that came before a line broke are told before what was in flight is judged: an answer that is here counts.
 * A2: deadlines are judged by hf_async_next() behind the messages that are here, for the same reason.
 * A3: the descriptor is an epoll of its own with the present socket in it, so that it stays the same for life.
 */
#ifndef HOLDFAST_NET_CLIENT_ASYNC_H
#define HOLDFAST_NET_CLIENT_ASYNC_H

#include "holdfast/async.h"
#include "net/client.h"
#include "net/client_queue.h"
#include "net/client_watch.h"

enum client_state { DOWN, CONNECTING, UP };

struct client_async {
	enum client_state state;
	struct hf_async_options options;
	char *host;
	uint16_t port;
	bool numeric;
	struct addrinfo *addresses, *address; /* all; the one that is tried */
	int epoll;
	uint32_t armed; /* what the socket is watched for; 0: it is not in the epoll */
	int64_t now_ms; /* of the last step */
	int64_t until_ms; /* DOWN: when to try; CONNECTING: how long this attempt may last */
	int64_t quiet_ms; /* UP: since when requests are out and nothing has come */
	int64_t back_off_ms;
	uint64_t random;
	bool tell_up, tell_down; /* to be told by next */
	bool told_down; /* and not up since */
	bool none_answers; /* of the addresses: they are looked up again before the next attempt */
	struct hf_failure trouble; /* why it is down */
	struct hf_failure failure; /* of the event that was told last */
	struct client_queue queue;
	struct client_watch watch;
};

/* The link is broken and nothing whole is left to take (A1): down, with a pause. */
void client_async_lose(struct hf *);

#endif
