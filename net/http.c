/* http.c: three pages by libevent's evhttp. The contract is in http.h. */
#include "net/http.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_BYTES_MAX 8192
#define TIMEOUT_S        10 /* without a byte */
#define SWEEP_AFTER_MS   1000

/*
 * One connection, so that they can be counted and ended: evhttp does neither. We keep a reference; evhttp has let go when no callback is
 * set any more, and the descriptor is closed by the last one who lets go (BEV_OPT_CLOSE_ON_FREE).
 */
struct slot {
	struct bufferevent *bev; /* NULL: free */
	int64_t since_ms;
};

struct http {
	struct evhttp *server;
	struct evhttp_bound_socket *bound;
	struct http_calls calls;
	struct loop *loop;
	struct event *pause; /* no more descriptors or slots: it does not accept for a while */
	struct event *sweep;
	struct slot slots[HTTP_CONNECTIONS_MAX];
	unsigned slots_n;
};

static void
reply(struct evhttp_request *request, int code, const char *reason, const char *type, struct evbuffer *body)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	evhttp_add_header(headers, "Content-Type", type);
	evhttp_add_header(headers, "Cache-Control", "no-store");
	evhttp_add_header(headers, "Connection", "close"); /* one request a connection: HTTP_MS_MAX is for both */
	evhttp_send_reply(request, code, reason, body);
}

static void
page_healthz(struct http *h, struct evhttp_request *request, struct evbuffer *body)
{
	evbuffer_add_printf(body, "ok\n");
	reply(request, HTTP_OK, "OK", "text/plain; charset=utf-8", body);
}

static void
page_readyz(struct http *h, struct evhttp_request *request, struct evbuffer *body)
{
	const char *why = h->calls.not_ready(h->calls.context);
	evbuffer_add_printf(body, "%s\n", why ? why : "ready");
	reply(request, why ? HTTP_SERVUNAVAIL : HTTP_OK, why ? "Service Unavailable" : "OK", "text/plain; charset=utf-8", body);
}

static void
figure_add(void *context, const char *name, const char *help, bool counter, uint64_t value)
{
	struct evbuffer *body = context;
	const char *suffix = counter ? "_total" : "";
	evbuffer_add_printf(body, "# HELP holdfast_%s%s %s\n# TYPE holdfast_%s%s %s\nholdfast_%s%s %llu\n", name, suffix, help, name, suffix,
	    counter ? "counter" : "gauge", name, suffix, (unsigned long long)value);
}

static void
page_metrics(struct http *h, struct evhttp_request *request, struct evbuffer *body)
{
	h->calls.figures(h->calls.context, figure_add, body);
	reply(request, HTTP_OK, "OK", "text/plain; version=0.0.4; charset=utf-8", body);
}

static const struct {
	const char *path;
	void (*page)(struct http *, struct evhttp_request *, struct evbuffer *);
} pages[] = {
	{ "/healthz", page_healthz },
	{ "/readyz", page_readyz },
	{ "/metrics", page_metrics },
};

static void
on_request(struct evhttp_request *request, void *arg)
{
	const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));
	struct evbuffer *body = evbuffer_new();
	if (!body) {
		evhttp_send_error(request, HTTP_INTERNAL, NULL);
		return;
	}
	for (size_t i = 0; i < sizeof pages / sizeof *pages; i++)
		if (path && strcmp(path, pages[i].path) == 0) {
			pages[i].page(arg, request, body);
			evbuffer_free(body);
			return;
		}
	evbuffer_add_printf(body, "there is /metrics, /healthz and /readyz\n");
	reply(request, HTTP_NOTFOUND, "Not Found", "text/plain; charset=utf-8", body);
	evbuffer_free(body);
}

/* ---- how many, and how long ---- */

static bool
let_go(struct bufferevent *bev)
{
	bufferevent_data_cb read, write;
	bufferevent_event_cb event;
	void *context;
	bufferevent_getcb(bev, &read, &write, &event, &context);
	return !read && !write && !event;
}

/* Frees the slots of those that have ended; ends those that take too long. */
static void
slots_sweep(struct http *h)
{
	int64_t now = clock_steady_ms();
	for (unsigned i = 0; i < HTTP_CONNECTIONS_MAX; i++) {
		struct slot *s = &h->slots[i];
		if (s->bev && let_go(s->bev)) {
			bufferevent_decref(s->bev);
			s->bev = NULL;
			h->slots_n--;
		} else if (s->bev && now - s->since_ms > HTTP_MS_MAX) {
			counters_add(&h->loop->counters, COUNTER_HTTP_LATE, 1);
			shutdown(bufferevent_getfd(s->bev), SHUT_RDWR); /* evhttp sees the end and lets go */
			s->since_ms = now;
		}
	}
}

static void pause_begin(struct http *);

static void
pause_over(int none, short what, void *arg)
{
	struct http *h = arg;
	loop_unwatch(h->pause);
	h->pause = NULL;
	slots_sweep(h);
	if (h->slots_n == HTTP_CONNECTIONS_MAX)
		pause_begin(h);
	else
		evconnlistener_enable(evhttp_bound_socket_get_listener(h->bound));
}

static void
pause_begin(struct http *h)
{
	struct evconnlistener *listener = evhttp_bound_socket_get_listener(h->bound);
	if (h->pause)
		return;
	evconnlistener_disable(listener);
	counters_add(&h->loop->counters, COUNTER_ACCEPT_PAUSES, 1);
	h->pause = loop_after(h->loop, ACCEPT_PAUSE_MS, pause_over, h);
	if (!h->pause)
		evconnlistener_enable(listener);
}

/* evhttp accepted one and wants a bufferevent for it. The last slot that is taken stops the accepting, so one is always free here. */
static struct bufferevent *
slot_take(struct event_base *base, void *arg)
{
	struct http *h = arg;
	struct bufferevent *bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	for (unsigned i = 0; bev && i < HTTP_CONNECTIONS_MAX; i++) {
		if (h->slots[i].bev)
			continue;
		bufferevent_incref(bev);
		h->slots[i] = (struct slot){ bev, clock_steady_ms() };
		h->slots_n++;
		break;
	}
	if (h->slots_n == HTTP_CONNECTIONS_MAX)
		pause_begin(h);
	return bev;
}

static void
sweep_due(int none, short what, void *arg)
{
	struct http *h = arg;
	loop_unwatch(h->sweep);
	slots_sweep(h);
	h->sweep = loop_after(h->loop, SWEEP_AFTER_MS, sweep_due, h);
}

/* Left alone, libevent would try again at once and for ever. Its callback carries evhttp's context, so ours is reached by `the_one`. */
static _Thread_local struct http *the_one;

static void
accept_failed(struct evconnlistener *listener, void *context)
{
	pause_begin(the_one);
}

struct http *
http_open(struct loop *loop, const struct address *address, const struct http_calls *calls, struct why *why)
{
	struct http *h = calloc(1, sizeof *h);
	if (!h || !(h->server = evhttp_new(loop->base))) {
		snprintf(why->text, sizeof why->text, "no memory for the HTTP side");
		free(h);
		return NULL;
	}
	h->calls = *calls;
	h->loop = loop;
	evhttp_set_max_headers_size(h->server, HEADER_BYTES_MAX);
	evhttp_set_max_body_size(h->server, 0);
	evhttp_set_timeout(h->server, TIMEOUT_S);
	evhttp_set_allowed_methods(h->server, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
	evhttp_set_gencb(h->server, on_request, h);
	evhttp_set_bevcb(h->server, slot_take, h);
	const char *host = strcmp(address->host, "localhost") == 0 ? "127.0.0.1" : address->host;
	h->bound = evhttp_bind_socket_with_handle(h->server, host, address->port);
	if (!h->bound) {
		snprintf(why->text, sizeof why->text, "cannot listen on %s:%u for HTTP: %s (--http takes another port, --http off does without)",
		    address->host, address->port, strerror(errno));
		http_close(h);
		return NULL;
	}
	the_one = h;
	h->sweep = loop_after(loop, SWEEP_AFTER_MS, sweep_due, h);
	evconnlistener_set_error_cb(evhttp_bound_socket_get_listener(h->bound), accept_failed);
	return h;
}

uint16_t
http_port(const struct http *h)
{
	return address_port(evhttp_bound_socket_get_fd(h->bound));
}

void
http_close(struct http *h)
{
	if (!h)
		return;
	loop_unwatch(h->pause);
	loop_unwatch(h->sweep);
	evhttp_free(h->server);
	for (unsigned i = 0; i < HTTP_CONNECTIONS_MAX; i++)
		if (h->slots[i].bev)
			bufferevent_decref(h->slots[i].bev);
	free(h);
}
