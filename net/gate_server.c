/* gate_server.c: see gate_server.h for the states. */
#include "net/gate_server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES ((size_t)128 << 10)
#define READS_MAX 16 /* in one step, so that the other side of the gate gets its turn */
#define BATCH_REQUESTS 64 /* in one system call: a head and a message each */
#define WRITES_MAX 16

void
gate_server_init(struct gate_server *s, const struct gate_address *address, struct gate_queue *queue, struct gate_counters *counters)
{
	memset(s, 0, sizeof *s);
	s->address = *address;
	s->queue = queue;
	s->counters = counters;
	s->fd = -1;
	s->backoff_ms = SERVER_BACKOFF_MS;
	s->in.limit = SERVER_REPLY_BYTES_MAX + READ_BYTES;
	scanner_init(&s->scanner);
}

void
gate_server_fini(struct gate_server *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	buffer_fini(&s->in);
}

/* ---- coming and going ---- */

__attribute__((format(printf, 2, 3))) static void
server_say(const struct gate_server *s, const char *format, ...)
{
	char line[256], address[GATE_ADDRESS_TEXT_BYTES];
	va_list args;
	gate_address_text(&s->address, address);
	int n = snprintf(line, sizeof line, "server %s: ", address);
	va_start(args, format);
	vsnprintf(line + n, sizeof line - (size_t)n, format, args);
	va_end(args);
	if (s->say)
		s->say(line);
}

/* V1. The next try waits; the wait doubles until a reply comes. */
static void
server_lost(struct gate_server *s, const char *what, int64_t now_ms)
{
	struct gate_queue *q = s->queue;
	if (!s->said)
		server_say(s, "%s; trying again until it answers, %u messages wait", what, q->unanswered);
	s->said = true;
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->state = SERVER_AWAY;
	s->due_ms = now_ms + s->backoff_ms;
	s->backoff_ms = s->backoff_ms * 2 < SERVER_BACKOFF_MS_MAX ? s->backoff_ms * 2 : SERVER_BACKOFF_MS_MAX;
	s->pause_ms = 0;
	s->cursor = q->first;
	s->written = 0;
	s->in.used = 0;
	s->in.full = false;
	scanner_init(&s->scanner);
	for (uint64_t i = q->first; i < q->next; i++)
		if (gate_queue_at(q, i)->state == REQUEST_SENT) {
			gate_queue_at(q, i)->state = REQUEST_QUEUED;
			s->counters->resent++;
		}
}

static void
server_up(struct gate_server *s, int64_t now_ms)
{
	s->state = SERVER_UP;
	s->heard_ms = now_ms;
	s->counters->connects++;
}

static void
server_call(struct gate_server *s, int64_t now_ms)
{
	struct sockaddr_storage address;
	socklen_t address_n = gate_address_socket(&s->address, &address);
	int on = 1;
	s->fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0) {
		server_lost(s, strerror(errno), now_ms);
		return;
	}
	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (connect(s->fd, (struct sockaddr *)&address, address_n) == 0) {
		server_up(s, now_ms);
		return;
	}
	if (errno != EINPROGRESS) {
		server_lost(s, strerror(errno), now_ms);
		return;
	}
	s->state = SERVER_CALLING;
	s->due_ms = now_ms + SERVER_CALL_MS;
}

static void
server_called(struct gate_server *s, int64_t now_ms)
{
	int error = 0;
	socklen_t n = sizeof error;
	getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &n);
	if (error)
		server_lost(s, strerror(error), now_ms);
	else
		server_up(s, now_ms);
}

/* ---- replies ---- */

static int64_t
wait_ms(const struct frame_reply *reply)
{
	int64_t ms = reply->retry_after_ms < 0 ? SERVER_WAIT_MS : reply->retry_after_ms;
	return ms < SERVER_WAIT_MS_MIN ? SERVER_WAIT_MS_MIN : ms > SERVER_WAIT_MS_MAX ? SERVER_WAIT_MS_MAX : ms;
}

/* False: not an answer to a post. */
static bool
server_reply(struct gate_server *s, const uint8_t *bytes, size_t n, int64_t now_ms)
{
	struct frame_reply reply;
	uint64_t number;
	if (!frame_reply_read(bytes, n, &reply))
		return false;
	struct gate_request *request = gate_queue_sent(s->queue, reply.msgid, &number);
	if (!request) {
		s->counters->strays++;
		return true;
	}
	enum server_use use = s->reply(s->context, request, &reply);
	if (use == SERVER_WRONG)
		return false;
	if (s->said)
		server_say(s, "answers");
	s->said = false;
	s->backoff_ms = SERVER_BACKOFF_MS;
	if (use == SERVER_USED)
		return true;
	request->state = REQUEST_QUEUED;
	s->counters->resent++;
	s->cursor = number < s->cursor ? number : s->cursor;
	s->pause_ms = now_ms + wait_ms(&reply);
	return true;
}

/* Handles every whole reply in the buffer; NULL, or why the connection cannot go on. */
static const char *
server_replies(struct gate_server *s, int64_t now_ms)
{
	size_t from = 0, end;
	enum scan scan = SCAN_MORE;
	const char *wrong = NULL;
	while (!wrong && from < s->in.used) {
		scan = scanner_scan(&s->scanner, s->in.at + from, s->in.used - from, SERVER_REPLY_BYTES_MAX, &end);
		if (scan == SCAN_MORE)
			break;
		if (scan != SCAN_WHOLE || !server_reply(s, s->in.at + from, end, now_ms))
			wrong = "what it says is no answer to a post: is this the --listen address of a holdfastd?";
		else
			from += end;
		scanner_init(&s->scanner);
	}
	buffer_consume(&s->in, from);
	return wrong;
}

/* False: the connection is gone. What was read before its end is used. */
static bool
server_read(struct gate_server *s, int64_t now_ms)
{
	for (int i = 0; i < READS_MAX; i++) {
		uint8_t *room = buffer_room(&s->in, READ_BYTES);
		ssize_t got = room ? recv(s->fd, room, READ_BYTES, 0) : 0;
		const char *wrong = room ? "it closed the connection" : "no memory for its answer";
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (got < 0)
			wrong = strerror(errno);
		if (got > 0) {
			s->heard_ms = now_ms;
			s->in.used += (size_t)got;
			wrong = server_replies(s, now_ms);
		}
		if (wrong) {
			server_lost(s, wrong, now_ms);
			return false;
		}
		if ((size_t)got < READ_BYTES)
			return true;
	}
	return true;
}

/* ---- requests ---- */

/*
 * The requests one system call writes: first what is left of the one in `writing`, then QUEUED ones in order from the cursor on.
 * While the server asks to wait, only the first: it must be whole for anything else to follow.
 */
struct batch {
	uint64_t numbers[BATCH_REQUESTS];
	int n;
	uint64_t cursor; /* behind the last one looked at */
	struct iovec iov[2 * BATCH_REQUESTS];
	int iov_n;
};

static void
batch_add(struct gate_server *s, struct batch *b, uint64_t number, size_t skip)
{
	struct gate_request *r = gate_queue_at(s->queue, number);
	b->numbers[b->n++] = number;
	if (skip < r->head_n)
		b->iov[b->iov_n++] = (struct iovec){ r->head + skip, r->head_n - skip };
	skip -= skip < r->head_n ? skip : r->head_n;
	b->iov[b->iov_n++] = (struct iovec){ r->message + skip, r->n - skip };
}

static void
batch_fill(struct gate_server *s, struct batch *b, bool paused)
{
	struct gate_queue *q = s->queue;
	b->n = b->iov_n = 0;
	if (s->written)
		batch_add(s, b, s->writing, s->written);
	if (s->cursor < q->first)
		s->cursor = q->first;
	for (b->cursor = s->cursor; !paused && b->cursor < q->next && b->n < BATCH_REQUESTS; b->cursor++)
		if (gate_queue_at(q, b->cursor)->state == REQUEST_QUEUED && !(s->written && b->cursor == s->writing))
			batch_add(s, b, b->cursor, 0);
}

/* `sent` bytes of the batch are written: whole requests are SENT, the first one that is not stays in `writing`. */
static void
batch_sent(struct gate_server *s, const struct batch *b, size_t sent)
{
	size_t before = s->written;
	uint64_t cursor = s->cursor;
	s->cursor = b->cursor;
	s->written = 0;
	for (int i = 0; i < b->n; i++) {
		struct gate_request *r = gate_queue_at(s->queue, b->numbers[i]);
		size_t left = r->head_n + r->n - before;
		if (sent < left) {
			s->writing = b->numbers[i];
			s->written = before + sent;
			s->cursor = i == 0 && before ? cursor : s->writing;
			return;
		}
		r->state = REQUEST_SENT;
		sent -= left;
		before = 0;
	}
}

/* False: the connection is gone. */
static bool
server_write(struct gate_server *s, int64_t now_ms)
{
	struct batch b;
	for (int i = 0; i < WRITES_MAX; i++) {
		batch_fill(s, &b, s->pause_ms > now_ms);
		if (b.n == 0) {
			s->cursor = b.cursor;
			return true;
		}
		struct msghdr message = { .msg_iov = b.iov, .msg_iovlen = (size_t)b.iov_n };
		ssize_t sent = sendmsg(s->fd, &message, MSG_NOSIGNAL);
		if (sent < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (sent < 0) {
			server_lost(s, strerror(errno), now_ms);
			return false;
		}
		batch_sent(s, &b, (size_t)sent);
	}
	return true;
}

/* ---- the step ---- */

/* Something may be written now; what only waits for the end of a pause may not. */
static bool
wants_write(const struct gate_server *s, int64_t now_ms)
{
	return s->written || (s->pause_ms <= now_ms && s->cursor < s->queue->next);
}

int
gate_server_poll(const struct gate_server *s, int64_t now_ms, short *events, int64_t *until_ms)
{
	*events = POLLIN;
	*until_ms = s->due_ms;
	if (s->state == SERVER_CALLING)
		*events = POLLOUT;
	if (s->state != SERVER_UP)
		return s->fd;
	*until_ms = s->queue->unanswered ? s->heard_ms + SERVER_SILENCE_MS : INT64_MAX;
	if (wants_write(s, now_ms))
		*events |= POLLOUT;
	if (s->pause_ms > now_ms && s->pause_ms < *until_ms)
		*until_ms = s->pause_ms;
	return s->fd;
}

static void
server_up_step(struct gate_server *s, short revents, int64_t now_ms)
{
	if ((revents & ~POLLOUT) && !server_read(s, now_ms))
		return;
	if (wants_write(s, now_ms) && !server_write(s, now_ms))
		return;
	if (s->queue->unanswered == 0 || s->pause_ms > now_ms)
		s->heard_ms = now_ms;
	else if (now_ms - s->heard_ms >= SERVER_SILENCE_MS)
		server_lost(s, "it has been silent for 30 s", now_ms);
}

void
gate_server_step(struct gate_server *s, short revents, int64_t now_ms)
{
	switch (s->state) {
	case SERVER_AWAY:
		if (now_ms >= s->due_ms)
			server_call(s, now_ms);
		break;
	case SERVER_CALLING:
		if (revents)
			server_called(s, now_ms);
		else if (now_ms >= s->due_ms)
			server_lost(s, "no connection in 5 s", now_ms);
		break;
	case SERVER_UP:
		server_up_step(s, revents, now_ms);
		break;
	}
}
