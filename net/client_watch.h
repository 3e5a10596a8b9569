/*
 * client_watch.h: the watch of a connection that lasts: what is asked for, and where it goes on after a lost connection.
 *
 * W1: once the watch has stood, `since` is a position up to which everything has been told to the program, so that asking again
 *     with it loses nothing; what was received and not taken is asked for again.
 */
#ifndef HOLDFAST_NET_CLIENT_WATCH_H
#define HOLDFAST_NET_CLIENT_WATCH_H

#include "holdfast/async.h"
#include "net/client.h"

#define CLIENT_WATCH_NUMBER UINT32_MAX /* of its request; slots are below CLIENT_WINDOW_MAX */

struct client_watch {
	bool wanted; /* by the program, and not ended */
	bool asked; /* on this connection; until then no message of it is this watch's */
	char *location, *group, *sku; /* own copies; NULL: any */
	bool threshold_only, full;
	int64_t since;
	int64_t due_ms; /* not asked before */
};

/* false: no memory. */
bool client_watch_set(struct client_watch *, const struct hf_watch *);
void client_watch_fini(struct client_watch *);
/* Puts the request into the link's output. */
void client_watch_ask(struct client_watch *, struct hf *);
/* An answer to it, or a notification: true when *event is to be told. The failure of an end is put into *failure. */
bool client_watch_answer(struct client_watch *, const struct client_answer *, int64_t now_ms, struct hf_event *, struct hf_failure *);
bool client_watch_notified(struct client_watch *, const struct client_answer *, struct hf_event *);

#endif
