/* gate.c: the loop: signals, the doors, the server's side. */
#include "net/gate.h"

#include "net/clock.h"
#include "net/gate_feed.h"
#include "net/gate_intake.h"
#include "net/gate_spool.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct gate {
	struct gate_socket doors[DOOR_COUNT];
	struct gate_intake intake;
	struct gate_server server;
	struct gate_feed feed;
	struct gate_queue queue;
	struct gate_spool *spool; /* NULL: none */
	int signals_fd;
	bool stopping;
	int64_t stop_ms; /* stopping: at the latest then */
	void (*say)(const char *line);
	struct gate_counters counters; /* those as of now are filled in by gate_count() */
	struct feed_counters feed_counters; /* when no other process is told them */
};

/* ---- signals ---- */

static void
gate_signals(struct gate *g, int64_t now_ms)
{
	struct signalfd_siginfo signal;
	while (read(g->signals_fd, &signal, sizeof signal) == (ssize_t)sizeof signal) {
		if (signal.ssi_signo == SIGUSR1) {
			struct gate_counters c;
			char line[GATE_COUNTERS_LINE_BYTES];
			gate_count(g, &c);
			gate_counters_line(&c, line);
			g->say(line);
		} else if (!g->stopping) {
			g->stopping = true;
			g->stop_ms = now_ms + GATE_STOP_MS;
		}
	}
}

static int
signals_open(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -1;
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

/* ---- the loop ---- */

enum { POLL_SIGNALS, POLL_EVENTS, POLL_PUSH, POLL_SERVER, POLL_FEED, POLL_COUNT };

/* Nothing to wait for: all is answered, or the time is over, or nobody is there to answer. What a spool has taken is answered already. */
static bool
gate_done(const struct gate *g, int64_t now_ms)
{
	return g->stopping && g->spool ? true : g->stopping && (g->queue.unanswered == 0 || now_ms >= g->stop_ms || g->server.line.state != LINE_UP);
}

/* Else it only has the feed, and the server need not hear of it. */
static bool
gate_posts(const struct gate *g)
{
	return g->doors[DOOR_EVENTS].socket >= 0;
}

/* How many are ready; 0 also when a signal came in between; -1: errno. */
static int
gate_wait(struct gate *g, struct pollfd fds[POLL_COUNT])
{
	int64_t now_ms = clock_steady_ms(), until_ms, feed_ms;
	bool listen = !g->stopping && gate_intake_room(&g->intake);
	fds[POLL_SIGNALS] = (struct pollfd){ .fd = g->signals_fd, .events = POLLIN };
	fds[POLL_EVENTS] = (struct pollfd){ .fd = listen ? g->doors[DOOR_EVENTS].fd : -1, .events = POLLIN };
	fds[POLL_PUSH] = (struct pollfd){ .fd = listen ? g->doors[DOOR_PUSH].fd : -1, .events = POLLIN };
	fds[POLL_SERVER] = (struct pollfd){ 0 };
	fds[POLL_SERVER].fd = -1;
	until_ms = INT64_MAX;
	if (gate_posts(g))
		fds[POLL_SERVER].fd = gate_server_poll(&g->server, now_ms, &fds[POLL_SERVER].events, &until_ms);
	fds[POLL_FEED] = (struct pollfd){ 0 };
	fds[POLL_FEED].fd = gate_feed_poll(&g->feed, &fds[POLL_FEED].events, &feed_ms);
	until_ms = feed_ms < until_ms ? feed_ms : until_ms;
	int64_t spool_ms = g->spool ? gate_spool_due_ms(g->spool, g->server.line.state == LINE_UP, now_ms) : INT64_MAX;
	until_ms = spool_ms < until_ms ? spool_ms : until_ms;
	if (g->stopping && g->stop_ms < until_ms)
		until_ms = g->stop_ms;
	int64_t wait_ms = until_ms <= now_ms ? 0 : until_ms - now_ms;
	int ready = poll(fds, POLL_COUNT, until_ms == INT64_MAX ? -1 : wait_ms > INT32_MAX ? INT32_MAX : (int)wait_ms);
	if (ready < 0 && errno != EINTR)
		return -1;
	if (ready <= 0)
		for (int i = 0; i < POLL_COUNT; i++)
			fds[i].revents = 0;
	return 0;
}

/* What came is made durable and answered, and what may be delivered leaves at once. */
static int
gate_spooled(struct gate *g, int64_t now_ms, struct why *why)
{
	const struct gate_line *line = &g->server.line;
	if (!g->spool)
		return 0;
	gate_intake_line(&g->intake);
	if (gate_spool_step(g->spool, line->state == LINE_UP, line->said, now_ms, why) < 0)
		return -1;
	gate_server_step(&g->server, 0, now_ms);
	return 0;
}

int
gate_run(struct gate *g, struct why *why)
{
	struct pollfd fds[POLL_COUNT];
	for (;;) {
		if (gate_wait(g, fds) < 0) {
			snprintf(why->text, sizeof why->text, "the gate cannot wait for its sockets: %s", strerror(errno));
			return -1;
		}
		int64_t now_ms = clock_steady_ms();
		if (gate_posts(g))
			gate_server_step(&g->server, fds[POLL_SERVER].revents, now_ms);
		gate_feed_step(&g->feed, fds[POLL_FEED].revents, now_ms);
		if (fds[POLL_SIGNALS].revents)
			gate_signals(g, now_ms);
		if (gate_done(g, now_ms))
			return 0;
		if (!g->stopping && (fds[POLL_EVENTS].revents || fds[POLL_PUSH].revents) && gate_intake_receive(&g->intake) < 0) {
			snprintf(why->text, sizeof why->text, "nanomsg's socket for stock events broke: %s", strerror(errno));
			return -1;
		}
		if (gate_spooled(g, now_ms, why) < 0)
			return -1;
	}
}

/* ---- opening and closing ---- */

static int
door_open(struct gate *g, enum gate_door door, const char *text, struct why *why)
{
	struct gate_address address;
	if (strcmp(text, "off") == 0)
		return 0;
	return gate_address_read(text, &address, why) < 0 ? -1 : gate_socket_open(&g->doors[door], door, &address, why);
}

/* gate_spool's answers go where the others go. */
static void
spool_answer(void *context, const struct raw_header *to, const struct raw_part *parts, int parts_n)
{
	const struct gate *g = context;
	raw_send(g->doors[DOOR_EVENTS].socket, to, parts, parts_n);
}

/* What nobody who sends to the gate can guess. */
static int
secret_draw(uint64_t *secret, struct why *why)
{
	if (getrandom(secret, sizeof *secret, 0) == (ssize_t)sizeof *secret)
		return 0;
	snprintf(why->text, sizeof why->text, "the system gives no random bytes");
	return -1;
}

static int
spool_open_for(struct gate *g, const struct gate_setup *setup, struct why *why)
{
	struct gate_spool_setup spool = { .folder = setup->spool, .bytes_max = setup->spool_bytes_max, .drain_rate = setup->drain_rate,
		.queue = &g->queue, .counters = &g->counters, .answer = spool_answer, .context = g, .say = setup->say };
	if (!setup->spool)
		return 0;
	if (secret_draw(&spool.salt, why) < 0)
		return -1;
	g->spool = g->intake.spool = gate_spool_open(&spool, why);
	return g->spool ? 0 : -1;
}

static int
gate_start(struct gate *g, const struct gate_setup *setup, struct why *why)
{
	struct gate_address server;
	uint64_t secret;
	if (gate_address_read(setup->server, &server, why) < 0 || secret_draw(&secret, why) < 0)
		return -1;
	if (gate_queue_init(&g->queue, secret) < 0) {
		snprintf(why->text, sizeof why->text, "no memory for the gate's queue");
		return -1;
	}
	g->intake = (struct gate_intake){ .queue = &g->queue, .events = &g->doors[DOOR_EVENTS], .push = &g->doors[DOOR_PUSH],
		.counters = &g->counters, .feed_counters = setup->feed_counters ? setup->feed_counters : &g->feed_counters };
	gate_server_init(&g->server, &server, &g->queue, &g->counters);
	gate_feed_init(&g->feed, &server, &g->doors[DOOR_FEED], g->intake.feed_counters, setup->say);
	g->server.reply = gate_intake_reply;
	g->server.context = &g->intake;
	g->server.line.say = g->say = setup->say;
	g->counters.restarts = setup->restarts;
	g->counters.pid = (uint64_t)getpid();
	g->signals_fd = signals_open();
	if (g->signals_fd < 0) {
		snprintf(why->text, sizeof why->text, "cannot take signals: %s", strerror(errno));
		return -1;
	}
	if (spool_open_for(g, setup, why) < 0)
		return -1;
	for (enum gate_door door = 0; door < DOOR_COUNT; door++)
		if (door_open(g, door, setup->doors[door], why) < 0)
			return -1;
	return 0;
}

struct gate *
gate_open(const struct gate_setup *setup, struct why *why)
{
	struct gate *g = calloc(1, sizeof *g);
	if (!g) {
		snprintf(why->text, sizeof why->text, "no memory for the gate");
		return NULL;
	}
	g->signals_fd = g->server.line.fd = g->feed.line.fd = -1;
	for (enum gate_door door = 0; door < DOOR_COUNT; door++)
		g->doors[door] = (struct gate_socket){ .socket = -1, .fd = -1 };
	if (gate_start(g, setup, why) == 0)
		return g;
	gate_close(g);
	return NULL;
}

uint16_t
gate_port(const struct gate *g, enum gate_door door)
{
	return g->doors[door].port;
}

void
gate_count(const struct gate *g, struct gate_counters *counters)
{
	gate_intake_count(&g->intake, counters);
}

void
gate_close(struct gate *g)
{
	if (!g)
		return;
	gate_spool_close(g->spool);
	gate_queue_fini(&g->queue);
	gate_server_fini(&g->server);
	gate_feed_fini(&g->feed);
	for (enum gate_door door = 0; door < DOOR_COUNT; door++)
		gate_socket_close(&g->doors[door]);
	if (g->signals_fd >= 0)
		close(g->signals_fd);
	free(g);
}
