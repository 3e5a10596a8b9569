/* server_start.c: the parts put together. The contract is in server_part.h. */
#define _GNU_SOURCE
#include "net/server_part.h"

#include "net/dispatch.h"
#include "net/thread.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define DESCRIPTORS_BESIDE 64 /* what is open beside connections */
#define ADDRESS_TEXT_BYTES 96

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
		server_say(s, "note: the system allows %llu open files, fewer than --connections-max asks for; the listener will pause there",
		    (unsigned long long)r.rlim_cur);
}

static int
host_start(struct server *s)
{
	const struct config *c = s->config;
	s->host_options = (struct host_options){ .data = c->data, .copy = c->image_copy[0] ? c->image_copy : NULL, .limits = c->limits,
		.engine = c->engine, .image_map_bytes = c->image_map_bytes,
		.reservations_ready = c->reservations_ready, .history_ready = c->history_ready, .checkpoint = CHECKPOINT_OPTIONS_DEFAULT,
		.progress = s->calls->progress, .say = s->calls->say, .context = s->calls->context };
	struct journal_options *journal = &s->host_options.journal;
	journal_options_init(journal);
	journal->segment_bytes = c->segment_bytes;
	journal->history_bytes = c->history_bytes;
	journal->history_age_ms = c->history_age_ms;
	journal->journal_bytes_max = c->journal_bytes_max;
	s->host_options.checkpoint.copy_dir = s->host_options.copy;
	s->host_options.checkpoint.age_ms_max = c->image_age_ms;
	s->host_options.checkpoint.copy_ms = c->image_copy_ms;
	s->host = host_open(&s->host_options, &s->why);
	if (!s->host)
		return -1;
	const struct recovery *r = host_recovery(s->host);
	if (r->tail.cut_bytes)
		server_say(s, "recovery: a torn tail of %llu bytes was cut; it was never acknowledged", (unsigned long long)r->tail.cut_bytes);
	if (r->tail.last_seq)
		server_say(s, "recovered: position %llu (image %llu with %llu records, then %llu batches of the journal)%s",
		    (unsigned long long)r->tail.last_seq, (unsigned long long)r->image.seq, (unsigned long long)r->records_loaded,
		    (unsigned long long)r->batches_replayed, r->tail.closed_cleanly ? "" : "; the last run was not stopped cleanly");
	else
		server_say(s, "recovered: nothing, the folder is new");
	return 0;
}

static int
loops_make(struct server *s)
{
	server_service_fill(s);
	const struct feed_parts parts = { .service = &s->service, .batcher = host_batcher(s->host), .log = host_log(s->host),
		.image = host_image(s->host), .oldest = server_oldest, .context = s };
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
		l->may_end = server_may_end;
		l->each_round = i == 0 ? server_first_round : NULL;
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
		server_drain(s, DRAIN_FINISH);
		return;
	}
	const char *at[SUPERVISOR_DOORS];
	for (int i = 0; i < SUPERVISOR_DOORS; i++)
		at[i] = place(doors[i], gate->doors[i].host, gate->doors[i].port);
	server_say(s, "ready: rpc %s, http %s, events %s, push %s, feed %s, data %s, position %llu", place(rpc, s->listen.host, s->ports.rpc),
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
	struct http_calls http = { .not_ready = server_not_ready, .figures = server_figures, .context = s };
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
		s->signals[i] = loop_signal(&s->loops[0], which[i], server_stop_asked, s);
		if (!s->signals[i]) {
			snprintf(s->why.text, sizeof s->why.text, "no memory for signals");
			return -1;
		}
	}
	return 0;
}

int
server_open(struct server *s)
{
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a limit on the length of files is a full disk, not the end */
	if (addresses_read(s) < 0)
		return -1;
	descriptors_raise(s);
	return host_start(s) < 0 || loops_make(s) < 0 || signals_watch(s) < 0 || threads_start(s) < 0 ? -1 : doors_open(s);
}
