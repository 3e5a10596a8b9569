/* server.c: runs the parts, and takes them apart again. The drawing is in server.h. */
#define _GNU_SOURCE
#include "net/server_part.h"

#include "net/dispatch.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void
server_say(struct server *s, const char *format, ...)
{
	char line[768];
	va_list list;
	va_start(list, format);
	vsnprintf(line, sizeof line, format, list);
	va_end(list);
	s->calls->say(s->calls->context, line);
}

/* ---- stopping ---- */

void
server_drain(struct server *s, int how)
{
	if (atomic_load_explicit(&s->draining, memory_order_relaxed) >= how)
		return;
	listener_close(s->listener);
	s->listener = NULL;
	atomic_store_explicit(&s->draining, how, memory_order_release);
	for (unsigned i = 0; i < s->loops_n; i++)
		loop_ring(&s->loops[i]);
}

static void
gate_ended(void *context)
{
	server_drain(context, DRAIN_FINISH);
}

void
server_stop_asked(int signal, short what, void *arg)
{
	struct server *s = arg;
	if (s->asked_to_stop++ > 0) {
		if (signal == SIGINT)
			_exit(128 + signal); /* a person who does not want to wait; the journal has everything */
		return;
	}
	server_say(s, "stopping: answering what is under way");
	if (s->gate)
		supervisor_stop(s->gate, gate_ended);
	else
		server_drain(s, DRAIN_FINISH);
}

void
server_first_round(void *context, struct loop *l)
{
	struct server *s = context;
	if (batcher_failed(l->batcher))
		server_drain(s, DRAIN_LOG_FAILED);
}

bool
server_may_end(void *context, const struct loop *l)
{
	struct server *s = context;
	if (l->index > 0)
		return true;
	return atomic_load_explicit(&s->extra_alive, memory_order_acquire) == 0 && batcher_settled(l->batcher);
}

/* ---- the end ---- */

static void
loops_end(struct server *s)
{
	sigset_t term;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &term, NULL); /* asked once is asked; SIGINT ends at once from here on */
	server_drain(s, DRAIN_FINISH);
	for (unsigned i = 1; i <= s->threads_n; i++)
		pthread_join(s->threads[i], NULL);
	feed_stop(s->feed);
	supervisor_close(s->gate);
	http_close(s->http);
	loop_unwatch(s->signals[0]);
	loop_unwatch(s->signals[1]);
}

/* Only behind host_close: the journal's thread rings the loops' bells up to its end. */
static void
loops_free(struct server *s)
{
	for (unsigned i = s->loops_n; i-- > 0;) {
		struct dispatch *d = s->loops[i].dispatch;
		loop_fini(&s->loops[i]);
		dispatch_free(d);
	}
	feed_close(s->feed);
}

static enum server_end
server_close(struct server *s, bool opened)
{
	struct why why = { "" };
	loops_end(s);
	if (s->host && opened && !batcher_failed(host_batcher(s->host)))
		server_say(s, "writing the image");
	enum host_end closed = s->host ? host_close(s->host, &why) : HOST_CLOSED;
	loops_free(s);
	if (!opened || s->not_started) {
		server_say(s, "%s", s->why.text);
		return SERVER_NOT_STARTED;
	}
	if (closed == HOST_JOURNAL_FAILED) {
		server_say(s, "the journal failed: %s. What was answered is durable; what was in flight is unknown. Start again to recover", why.text);
		return SERVER_JOURNAL_FAILED;
	}
	if (closed == HOST_IMAGE_FAILED) {
		server_say(s, "stopped, but the image could not be written: %s. The journal has everything", why.text);
		return SERVER_IMAGE_FAILED;
	}
	server_say(s, "stopped");
	return SERVER_STOPPED;
}

enum server_end
server_run(const struct config *config, const struct server_calls *calls)
{
	struct server *s = calloc(1, sizeof *s);
	if (!s)
		return SERVER_NOT_STARTED;
	s->config = config;
	s->calls = calls;
	bool opened = server_open(s) == 0;
	if (opened)
		loop_run(&s->loops[0]);
	enum server_end end = server_close(s, opened);
	free(s);
	return end;
}
