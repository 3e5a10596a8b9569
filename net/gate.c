/* gate.c: the loop: signals, nanomsg's side, the server's side. */
#include "net/gate.h"

#include "net/clock.h"
#include "net/gate_queue.h"
#include "net/gate_server.h"
#include "net/gate_socket.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct gate {
	struct gate_socket socket;
	struct gate_server server;
	struct gate_queue queue;
	int signals_fd;
	bool stopping;
	int64_t stop_ms; /* stopping: at the latest then */
	void (*say)(const char *line);
	struct gate_counters counters; /* the queue's and the server's own are added by gate_count() */
};

/* ---- from the server ---- */

static void
gate_send(struct gate *g, const struct raw_header *header, const struct raw_part *parts, int parts_n)
{
	/* Whether nanomsg has a connection for it is not said; a client without an answer asks again. */
	raw_send(g->socket.socket, header, parts, parts_n);
}

/* gate_server's reply hook. */
static bool
gate_reply(void *context, struct gate_request *request, const struct frame_reply *reply)
{
	struct gate *g = context;
	struct raw_part parts[FRAME_ANSWER_PARTS];
	uint8_t head[FRAME_REFUSAL_BYTES_MAX];
	int parts_n = FRAME_ANSWER_PARTS;
	if (reply->refused && frame_passes(reply->code))
		return false;
	if (reply->refused) {
		parts_n = frame_refusal(head, reply->code, reply->message, reply->detail, parts);
		g->counters.rejected++;
	} else {
		frame_answer(reply, parts);
		g->counters.answered++;
	}
	gate_send(g, &request->header, parts, parts_n);
	gate_queue_answered(&g->queue, request, parts, parts_n);
	return true;
}

/* ---- from nanomsg ---- */

static void
gate_refuse(struct gate *g, const struct raw_header *header, enum status status, const char *sentence)
{
	struct raw_part parts[FRAME_ANSWER_PARTS];
	uint8_t head[FRAME_REFUSAL_BYTES_MAX];
	const char *name = status_name(status);
	struct bytes code = { (const uint8_t *)name, (uint32_t)strlen(name) };
	struct bytes message = { (const uint8_t *)sentence, (uint32_t)strlen(sentence) };
	int parts_n = frame_refusal(head, code, message, (struct bytes){ NULL, 0 }, parts);
	gate_send(g, header, parts, parts_n);
	g->counters.refused++;
}

/* Came again: the answer it waits for goes to where it asks from now, or is given once more. */
static void
gate_repeat(struct gate *g, struct gate_request *known, const struct raw_header *header)
{
	struct raw_part part = { known->answer, known->answer_n };
	g->counters.repeated++;
	if (known->state == REQUEST_ANSWERED)
		gate_send(g, header, &part, 1);
	else
		known->header = *header;
}

/* Owns the message. */
static void
gate_take(struct gate *g, const struct raw_header *header, uint8_t *message, size_t n)
{
	bool wrap = false;
	const char *sentence = NULL;
	g->counters.messages++;
	g->counters.bytes += n;
	enum status status = frame_check(message, n, &wrap, &sentence);
	struct gate_request *known = status == STATUS_OK ? gate_queue_find(&g->queue, header, message, n) : NULL;
	if (status == STATUS_OK && !known) {
		gate_queue_add(&g->queue, header, message, n, wrap);
		return;
	}
	if (known)
		gate_repeat(g, known, header);
	else
		gate_refuse(g, header, status, sentence);
	raw_free(message);
}

/* 0, or -1: nanomsg broke. */
static int
gate_receive(struct gate *g)
{
	struct raw_header header;
	uint8_t *message;
	size_t n;
	for (int i = 0; i < GATE_RECEIVE_MAX && !g->stopping && gate_queue_room(&g->queue); i++) {
		int got = raw_receive(g->socket.socket, &header, &message, &n);
		if (got <= 0)
			return got;
		gate_take(g, &header, message, n);
	}
	return 0;
}

/* ---- signals ---- */

static void
gate_say_counters(const struct gate *g)
{
	struct gate_counters c;
	char line[512];
	gate_count(g, &c);
	snprintf(line, sizeof line, "messages=%" PRIu64 " bytes=%" PRIu64 " answered=%" PRIu64 " refused=%" PRIu64 " rejected=%" PRIu64
	    " repeated=%" PRIu64 " resent=%" PRIu64 " strays=%" PRIu64 " connects=%" PRIu64 " in_flight=%" PRIu64 " in_flight_bytes=%" PRIu64,
	    c.messages, c.bytes, c.answered, c.refused, c.rejected, c.repeated, c.resent, c.strays, c.connects, c.in_flight, c.in_flight_bytes);
	g->say(line);
}

static void
gate_signals(struct gate *g, int64_t now_ms)
{
	struct signalfd_siginfo signal;
	while (read(g->signals_fd, &signal, sizeof signal) == (ssize_t)sizeof signal) {
		if (signal.ssi_signo == SIGUSR1) {
			gate_say_counters(g);
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

/* Nothing to wait for: all is answered, or the time is over, or nobody is there to answer. */
static bool
gate_done(const struct gate *g, int64_t now_ms)
{
	return g->stopping && (g->queue.unanswered == 0 || now_ms >= g->stop_ms || g->server.state != SERVER_UP);
}

/* How many are ready; 0 also when a signal came in between; -1: errno. */
static int
gate_wait(struct gate *g, struct pollfd fds[3])
{
	int64_t now_ms = clock_steady_ms(), until_ms;
	bool listen = !g->stopping && gate_queue_room(&g->queue);
	fds[0] = (struct pollfd){ .fd = g->signals_fd, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = listen ? g->socket.fd : -1, .events = POLLIN };
	fds[2] = (struct pollfd){ 0 };
	fds[2].fd = gate_server_poll(&g->server, now_ms, &fds[2].events, &until_ms);
	if (g->stopping && g->stop_ms < until_ms)
		until_ms = g->stop_ms;
	int64_t wait_ms = until_ms <= now_ms ? 0 : until_ms - now_ms;
	int ready = poll(fds, 3, until_ms == INT64_MAX ? -1 : wait_ms > INT32_MAX ? INT32_MAX : (int)wait_ms);
	return ready < 0 && errno == EINTR ? 0 : ready;
}

int
gate_run(struct gate *g, struct why *why)
{
	struct pollfd fds[3];
	for (;;) {
		int ready = gate_wait(g, fds);
		int64_t now_ms = clock_steady_ms();
		if (ready < 0) {
			snprintf(why->text, sizeof why->text, "the gate cannot wait for its sockets: %s", strerror(errno));
			return -1;
		}
		gate_server_step(&g->server, ready > 0 ? fds[2].revents : 0, now_ms);
		if (ready > 0 && fds[0].revents)
			gate_signals(g, now_ms);
		if (gate_done(g, now_ms))
			return 0;
		if (ready > 0 && fds[1].revents && gate_receive(g) < 0) {
			snprintf(why->text, sizeof why->text, "nanomsg's socket for stock events broke: %s", strerror(errno));
			return -1;
		}
	}
}

/* ---- opening and closing ---- */

struct gate *
gate_open(const char *server, const char *events, void (*say)(const char *line), struct why *why)
{
	struct sockaddr_in server_address, events_address;
	if (gate_address(server, &server_address, why) < 0 || gate_address(events, &events_address, why) < 0)
		return NULL;
	struct gate *g = calloc(1, sizeof *g);
	if (!g || gate_queue_init(&g->queue) < 0) {
		snprintf(why->text, sizeof why->text, "no memory for the gate's queue");
		free(g);
		return NULL;
	}
	gate_server_init(&g->server, &server_address, &g->queue);
	g->server.reply = gate_reply;
	g->server.say = g->say = say;
	g->server.context = g;
	g->socket.socket = -1;
	g->signals_fd = signals_open();
	if (g->signals_fd < 0)
		snprintf(why->text, sizeof why->text, "cannot take signals: %s", strerror(errno));
	if (g->signals_fd < 0 || gate_socket_open(&g->socket, &events_address, why) < 0) {
		gate_close(g);
		return NULL;
	}
	return g;
}

uint16_t
gate_port(const struct gate *g)
{
	return g->socket.port;
}

void
gate_count(const struct gate *g, struct gate_counters *counters)
{
	*counters = g->counters;
	counters->resent = g->server.resent;
	counters->strays = g->server.strays;
	counters->connects = g->server.connects;
	counters->in_flight = g->queue.unanswered;
	counters->in_flight_bytes = g->queue.bytes;
}

void
gate_close(struct gate *g)
{
	if (!g)
		return;
	gate_queue_fini(&g->queue);
	gate_server_fini(&g->server);
	gate_socket_close(&g->socket);
	if (g->signals_fd >= 0)
		close(g->signals_fd);
	free(g);
}
