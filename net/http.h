/*
 * http.h: the operator's side door on the first loop: GET /healthz (the process runs), /readyz (it takes commands; otherwise 503 and
 * why), /metrics (Prometheus text). Nothing else is answered, nothing is changed by it. Small limits: headers 8 KiB, no body, one
 * request a connection within HTTP_MS_MAX, HTTP_CONNECTIONS_MAX at a time; more wait in the kernel.
 */
#ifndef HOLDFAST_NET_HTTP_H
#define HOLDFAST_NET_HTTP_H

#include "net/listener.h"
#include "net/loop.h"

#define HTTP_CONNECTIONS_MAX 64
#define HTTP_MS_MAX          10000

/* One figure: a name as in `status`, one line of help. */
typedef void figure_fn(void *context, const char *name, const char *help, bool counter, uint64_t value);

struct http_calls {
	const char *(*not_ready)(void *context); /* NULL: ready; else why not */
	void (*figures)(void *context, figure_fn *each, void *each_context);
	void *context;
};

struct http;
/* Borrows nothing but the loop. NULL: why. */
struct http *http_open(struct loop *, const struct address *, const struct http_calls *, struct why *);
uint16_t http_port(const struct http *);
void http_close(struct http *); /* NULL is fine */

#endif
