/* server.c: the parts put together, and taken apart again. The drawing is in server.h. */
#define _GNU_SOURCE
#include "net/server.h"
#include "net/codec_write.h"
#include "net/connection.h"
#include "net/dispatch.h"
#include "net/feed.h"
#include "net/host.h"
#include "net/http.h"
#include "net/listener.h"
#include "net/methods.h"
#include "net/supervisor.h"
#include "net/thread.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define DESCRIPTORS_BESIDE 64 /* what is open beside connections */
#define ADDRESS_TEXT_BYTES 96

struct server {
	const struct config *config;
	const struct server_calls *calls;
	struct address listen, http_at;
	struct host_options host_options;
	struct host *host;
	struct service service;
	struct feed *feed;
	char data[PATH_MAX]; /* absolute */
	struct loop loops[LOOPS_MAX];
	pthread_t threads[LOOPS_MAX];
	unsigned loops_n, threads_n; /* loops made; threads running (the first loop is this thread) */
	struct listener *listener;
	struct http *http;
	struct supervisor *gate;
	struct event *signals[2];
	struct server_ports ports;
	unsigned asked_to_stop;
	bool not_started;
	struct why why;
	/* all loops: see loop.h and listener.h */
	_Atomic int draining;
	_Atomic uint64_t connections_open, held_bytes;
	_Atomic unsigned extra_alive; /* an extra loop that has ended wakes the first */
};

static void __attribute__((format(printf, 2, 3)))
say(struct server *s, const char *format, ...)
{
	char line[768];
	va_list list;
	va_start(list, format);
	vsnprintf(line, sizeof line, format, list);
	va_end(list);
	s->calls->say(s->calls->context, line);
}

/* ---- what methods ask the host ---- */

static uint64_t
service_durable(void *host)
{
	return batcher_durable(host_batcher(((struct server *)host)->host));
}

static uint64_t
service_lost(void *host, uint64_t seq)
{
	return image_lost_until(&host_recovery(((struct server *)host)->host)->image, seq);
}

static bool
service_room(void *host)
{
	return batcher_room(host_batcher(((struct server *)host)->host));
}

static uint64_t
feed_oldest(void *context)
{
	return host_oldest(((struct server *)context)->host);
}

static bool
service_late(void *host)
{
	return loop_turn_look(&((struct server *)host)->loops[0]);
}

static bool
service_overloaded(void *host)
{
	return host_pressure(((struct server *)host)->host);
}

static uint64_t
counter_sum(const struct server *s, enum counter which)
{
	uint64_t sum = counters_get(feed_counters(s->feed), which);
	for (unsigned i = 0; i < s->loops_n; i++)
		sum += counters_get(&s->loops[i].counters, which);
	return sum;
}

/* Every figure of the host, once for both forms. The first loop's thread. */
static void
server_figures(void *context, figure_fn *each, void *to)
{
	struct server *s = context;
	struct batcher_figures b;
	struct host_figures h;
	struct feed_figures f;
	feed_figures(s->feed, &f);
	batcher_figures(host_batcher(s->host), &b);
	host_figures(s->host, &h);
	each(to, "position", "last position decided", false, engine_seq(host_engine(s->host)));
	each(to, "durable", "last durable position", false, service_durable(s));
	each(to, "image_position", "the image is folded up to here", false, h.folded_seq);
	each(to, "copy_position", "the image's copy is complete up to here", false, h.copied_seq);
	each(to, "image_commits", "transactions of the image", true, h.image_commits);
	each(to, "image_failures", "failed transactions or copies of the image, tried again", true, h.image_failures);
	each(to, "journal_bytes", "bytes of the journal's files", false, h.journal_bytes);
	each(to, "journal_low", "1: the journal is short of room, holds are refused", false, h.journal_low);
	each(to, "journal_failed", "1: the journal failed, nothing is acknowledged", false, batcher_failed(host_batcher(s->host)));
	each(to, "batches", "batches made durable", true, b.batches);
	each(to, "steps", "steps made durable", true, b.steps);
	each(to, "batch_bytes", "bytes of steps made durable", true, b.payload_bytes);
	each(to, "append_us_last", "microseconds of the last append and sync", false, b.append_us_last);
	each(to, "append_us_max", "microseconds of the longest append and sync", false, b.append_us_max);
	each(to, "expire_rounds", "slices of expiry", true, b.expire_rounds);
	each(to, "memory_held", "bytes of buffers that connections hold", false, atomic_load_explicit(&s->held_bytes, memory_order_relaxed));
	each(to, "memory_max", "the bound of memory_held", false, s->config->memory_max);
	each(to, "connections", "open connections", false, atomic_load_explicit(&s->connections_open, memory_order_relaxed));
	each(to, "watchers", "connections that watch", false, f.watchers);
	each(to, "watchers_catching_up", "of these, the ones that read older changes", false, f.catching);
	each(to, "snapshots", "open snapshots of the image, of scans of one instant", false, f.snapshots);
	each(to, "feed_position", "changes are told up to here; 0: nobody watches", false, f.position);
	const struct admission *j = s->loops[0].judges;
	each(to, "holds_shut", "1: a queue is too old, new holds are refused", false,
	    j[0].state == ADMISSION_REFUSING || j[1].state == ADMISSION_REFUSING || j[2].state == ADMISSION_REFUSING);
	each(to, "gate_up", "1: the gate takes events", false, supervisor_up(s->gate, SUPERVISOR_PART_GATE));
	each(to, "gate_starts", "times the gate was started", true, supervisor_starts(s->gate, SUPERVISOR_PART_GATE));
	each(to, "gate_feed_up", "1: the gate's change feed takes subscribers", false, supervisor_up(s->gate, SUPERVISOR_PART_FEED));
	each(to, "gate_feed_starts", "times the gate's change feed was started", true, supervisor_starts(s->gate, SUPERVISOR_PART_FEED));
	each(to, "gate_port_events", "port of the gate's REP socket; 0: none", false, s->ports.events);
	each(to, "gate_port_push", "port of the gate's PULL socket; 0: none", false, s->ports.push);
	each(to, "gate_port_feed", "port of the gate's PUB socket; 0: none", false, s->ports.feed);
	for (enum counter c = 0; c < COUNTER_COUNT; c++)
		each(to, counter_name(c), counter_help(c), true, counter_sum(s, c));
}

static void
figure_count(void *context, const char *name, const char *help, bool counter, uint64_t value)
{
	++*(uint32_t *)context;
}

static void
figure_put(void *context, const char *name, const char *help, bool counter, uint64_t value)
{
	put_text(context, name);
	put_uint(context, value);
}

static void
service_status(void *host, struct buffer *out)
{
	uint32_t n = 0;
	server_figures(host, figure_count, &n);
	put_map(out, n);
	server_figures(host, figure_put, out);
}

static const char *
not_ready(void *context)
{
	struct server *s = context;
	if (batcher_failed(host_batcher(s->host)))
		return "the journal failed";
	if (s->asked_to_stop)
		return "stopping";
	if (batcher_stalled(host_batcher(s->host)))
		return "the disk does not keep up";
	if (host_pressure(s->host))
		return "the journal is short of room";
	return NULL;
}

/* ---- stopping ---- */

static void
drain(struct server *s, int how)
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
	drain(context, DRAIN_FINISH);
}

/* First the gate, which needs the server to answer what it has in flight; then everybody else. */
static void
stop_asked(int signal, short what, void *arg)
{
	struct server *s = arg;
	if (s->asked_to_stop++ > 0) {
		if (signal == SIGINT)
			_exit(128 + signal); /* a person who does not want to wait; the journal has everything */
		return;
	}
	say(s, "stopping: answering what is under way");
	if (s->gate)
		supervisor_stop(s->gate, gate_ended);
	else
		drain(s, DRAIN_FINISH);
}

static void
first_round(void *context, struct loop *l)
{
	struct server *s = context;
	if (batcher_failed(l->batcher))
		drain(s, DRAIN_LOG_FAILED);
}

static bool
may_end(void *context, const struct loop *l)
{
	struct server *s = context;
	if (l->index > 0)
		return true;
	return atomic_load_explicit(&s->extra_alive, memory_order_acquire) == 0 && batcher_settled(l->batcher);
}

/* ---- starting ---- */

static int
addresses_read(struct server *s)
{
	const struct config *c = s->config;
	bool http = strcmp(c->http, "off") != 0;
	if (address_parse(c->listen, "listen", &s->listen, &s->why) < 0 || (http && address_parse(c->http, "http", &s->http_at, &s->why) < 0))
		return -1;
	return 0;
}

/* Every connection is a descriptor. */
static void
descriptors_raise(struct server *s)
{
	struct rlimit r;
	rlim_t want = (rlim_t)s->config->connections_max + DESCRIPTORS_BESIDE;
	if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur >= want)
		return;
	r.rlim_cur = r.rlim_max < want ? r.rlim_max : want;
	if (setrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < want)
		say(s, "note: the system allows %llu open files, fewer than --connections-max asks for; the listener will pause there",
		    (unsigned long long)r.rlim_cur);
}

static int
host_start(struct server *s)
{
	const struct config *c = s->config;
	s->host_options = (struct host_options){ .data = c->data, .copy = c->image_copy[0] ? c->image_copy : NULL, .limits = c->limits,
		.engine = c->engine, .image_map_bytes = c->image_map_bytes, .checkpoint = CHECKPOINT_OPTIONS_DEFAULT,
		.progress = s->calls->progress, .say = s->calls->say, .context = s->calls->context };
	s->host_options.journal = (struct journal_options){ .segment_bytes = c->segment_bytes, .history_bytes = c->history_bytes,
		.history_age_ms = c->history_age_ms, .journal_bytes_max = c->journal_bytes_max };
	s->host_options.checkpoint.copy_dir = s->host_options.copy;
	s->host_options.checkpoint.age_ms_max = c->image_age_ms;
	s->host_options.checkpoint.copy_ms = c->image_copy_ms;
	s->host = host_open(&s->host_options, &s->why);
	if (!s->host)
		return -1;
	const struct recovery *r = host_recovery(s->host);
	if (r->tail.cut_bytes)
		say(s, "recovery: a torn tail of %llu bytes was cut; it was never acknowledged", (unsigned long long)r->tail.cut_bytes);
	if (r->tail.last_seq)
		say(s, "recovered: position %llu (image %llu with %llu records, then %llu batches of the journal)%s",
		    (unsigned long long)r->tail.last_seq, (unsigned long long)r->image.seq, (unsigned long long)r->records_loaded,
		    (unsigned long long)r->batches_replayed, r->tail.closed_cleanly ? "" : "; the last run was not stopped cleanly");
	else
		say(s, "recovered: nothing, the folder is new");
	return 0;
}

static int
loops_make(struct server *s)
{
	const char *data = realpath(s->config->data, s->data);
	s->service = (struct service){ .engine = host_engine(s->host), .server = SERVER_VERSION, .node = s->config->node, .data = data,
		.image_age_ms = s->config->image_age_ms,
		.epoch = host_recovery(s->host)->tail.epoch, .options = &s->config->engine, .durable = service_durable,
		.lost = service_lost, .status = service_status, .host = s, .room = service_room, .late = service_late, .overloaded = service_overloaded };
	const struct feed_parts parts = { .service = &s->service, .batcher = host_batcher(s->host), .log = host_log(s->host),
		.image = host_image(s->host), .oldest = feed_oldest, .context = s };
	s->feed = s->service.feed = feed_open(&parts, &s->why);
	if (!s->feed)
		return -1;
	for (unsigned i = 0; i < s->config->loops; i++) {
		struct loop *l = &s->loops[i];
		if (loop_init(l, i, s->config->connections_max, &s->why) < 0)
			return -1;
		s->loops_n++;
		l->service = &s->service;
		l->batcher = host_batcher(s->host);
		l->connections_open = &s->connections_open;
		l->held_bytes = &s->held_bytes;
		l->memory_max = s->config->memory_max;
		l->draining = &s->draining;
		l->may_end = may_end;
		l->each_round = i == 0 ? first_round : NULL;
		l->context = s;
		clock_init(&l->clock, engine_now(host_engine(s->host)));
		for (unsigned k = 0; k < sizeof l->judges / sizeof *l->judges; k++)
			admission_init(&l->judges[k], s->config->queue_age_ms);
		batcher_bell(l->batcher, l->bell);
	}
	for (unsigned i = 0; i < s->loops_n; i++) {
		s->loops[i].dispatch = dispatch_new(s->loops, s->loops_n, i);
		s->loops[i].feed = feed_join(s->feed, &s->loops[i], s->config->connections_max);
		if (!s->loops[i].dispatch || !s->loops[i].feed) {
			snprintf(s->why.text, sizeof s->why.text, "no memory for the rings between the loops");
			return -1;
		}
		if (i > 0)
			dispatch_join(s->loops[0].dispatch, s->loops[i].dispatch);
	}
	return 0;
}

/* "HOST:PORT", or "off" when there is no port. */
static const char *
place(char text[ADDRESS_TEXT_BYTES], const char *host, uint16_t port)
{
	if (port == 0)
		return "off";
	snprintf(text, ADDRESS_TEXT_BYTES, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
	return text;
}

static void
ready(void *context, const struct supervisor_setup *gate)
{
	struct server *s = context;
	char rpc[ADDRESS_TEXT_BYTES], http[ADDRESS_TEXT_BYTES], doors[SUPERVISOR_DOORS][ADDRESS_TEXT_BYTES];
	s->ports.events = gate->doors[SUPERVISOR_EVENTS].port;
	s->ports.push = gate->doors[SUPERVISOR_PUSH].port;
	s->ports.feed = gate->doors[SUPERVISOR_FEED].port;
	if (s->calls->ready(s->calls->context, &s->ports, &s->why) < 0) {
		s->not_started = true;
		drain(s, DRAIN_FINISH);
		return;
	}
	const char *at[SUPERVISOR_DOORS];
	for (int i = 0; i < SUPERVISOR_DOORS; i++)
		at[i] = place(doors[i], gate->doors[i].host, gate->doors[i].port);
	say(s, "ready: rpc %s, http %s, events %s, push %s, feed %s, data %s, position %llu", place(rpc, s->listen.host, s->ports.rpc),
	    place(http, s->http_at.host, s->ports.http), at[SUPERVISOR_EVENTS], at[SUPERVISOR_PUSH], at[SUPERVISOR_FEED], s->config->data,
	    (unsigned long long)engine_seq(host_engine(s->host)));
}

/* "on" means the program beside this one. */
static void
gate_program(const struct config *c, char *path, size_t n)
{
	ssize_t used = strcmp(c->gate, "on") == 0 ? readlink("/proc/self/exe", path, n - 1) : -1;
	if (used < 0) {
		snprintf(path, n, "%s", strcmp(c->gate, "on") == 0 ? "holdfast-gate" : c->gate);
		return;
	}
	path[used] = 0;
	char *slash = strrchr(path, '/');
	size_t at = slash ? (size_t)(slash + 1 - path) : 0;
	snprintf(path + at, n - at, "holdfast-gate");
}

static int
gate_open(struct server *s)
{
	const char *const texts[SUPERVISOR_DOORS] = { s->config->events, s->config->push, s->config->feed };
	const char *const names[SUPERVISOR_DOORS] = { "events", "push", "feed" };
	char program[512], server[ADDRESS_TEXT_BYTES];
	struct supervisor_setup setup = { .program = program, .ready = ready, .context = s };
	struct address a;
	if (strcmp(s->config->gate, "off") == 0) {
		ready(s, &setup);
		return s->not_started ? -1 : 0;
	}
	for (int i = 0; i < SUPERVISOR_DOORS; i++) {
		setup.doors[i].off = strcmp(texts[i], "off") == 0;
		if (setup.doors[i].off)
			continue;
		if (address_parse(texts[i], names[i], &a, &s->why) < 0)
			return -1;
		snprintf(setup.doors[i].host, sizeof setup.doors[i].host, "%s", a.host);
		setup.doors[i].port = a.port;
	}
	gate_program(s->config, program, sizeof program);
	setup.server = place(server, s->listen.host, s->ports.rpc);
	s->gate = supervisor_open(&s->loops[0], &setup, &s->why);
	return s->gate ? 0 : -1;
}

static int
doors_open(struct server *s)
{
	struct http_calls http = { .not_ready = not_ready, .figures = server_figures, .context = s };
	s->listener = listener_open(s->loops, s->loops_n, &s->listen, s->config->connections_max, &s->why);
	if (!s->listener)
		return -1;
	s->ports.rpc = listener_port(s->listener);
	if (strcmp(s->config->http, "off") != 0) {
		s->http = http_open(&s->loops[0], &s->http_at, &http, &s->why);
		if (!s->http)
			return -1;
		s->ports.http = http_port(s->http);
	}
	return gate_open(s);
}

static void *
extra_main(void *arg)
{
	struct loop *l = arg;
	struct server *s = l->context;
	loop_run(l);
	atomic_fetch_sub_explicit(&s->extra_alive, 1, memory_order_release);
	loop_ring(&s->loops[0]);
	return NULL;
}

static int
threads_start(struct server *s)
{
	if (feed_start(s->feed, &s->why) < 0)
		return -1;
	for (unsigned i = 1; i < s->loops_n; i++) {
		atomic_fetch_add_explicit(&s->extra_alive, 1, memory_order_relaxed);
		if (thread_start(&s->threads[s->threads_n + 1], "loop", extra_main, &s->loops[i])) {
			atomic_fetch_sub_explicit(&s->extra_alive, 1, memory_order_relaxed);
			snprintf(s->why.text, sizeof s->why.text, "loop %u did not start", i);
			return -1;
		}
		s->threads_n++;
	}
	return 0;
}

/* Signals go to the first loop only; those of the time before it ends the process, as usual. */
static int
signals_watch(struct server *s)
{
	static const int which[2] = { SIGTERM, SIGINT };
	for (int i = 0; i < 2; i++) {
		s->signals[i] = loop_signal(&s->loops[0], which[i], stop_asked, s);
		if (!s->signals[i]) {
			snprintf(s->why.text, sizeof s->why.text, "no memory for signals");
			return -1;
		}
	}
	return 0;
}

static int
server_open(struct server *s)
{
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a limit on the length of files is a full disk, not the end */
	if (addresses_read(s) < 0)
		return -1;
	descriptors_raise(s);
	return host_start(s) < 0 || loops_make(s) < 0 || signals_watch(s) < 0 || threads_start(s) < 0 ? -1 : doors_open(s);
}

/* ---- the end ---- */

static void
loops_end(struct server *s)
{
	sigset_t term;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &term, NULL); /* asked once is asked; SIGINT ends at once from here on */
	drain(s, DRAIN_FINISH);
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
	bool failed = s->host && batcher_failed(host_batcher(s->host));
	loops_end(s);
	if (s->host && opened && !failed)
		say(s, "writing the image");
	int closed = s->host ? host_close(s->host, &why) : 0;
	loops_free(s);
	if (!opened || s->not_started) {
		say(s, "%s", s->why.text);
		return SERVER_NOT_STARTED;
	}
	if (failed) {
		say(s, "the journal failed: %s. What was answered is durable; what was in flight is unknown. Start again to recover", why.text);
		return SERVER_JOURNAL_FAILED;
	}
	if (closed < 0) {
		say(s, "stopped, but the image could not be written: %s. The journal has everything", why.text);
		return SERVER_IMAGE_FAILED;
	}
	say(s, "stopped");
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
