/* gate_server.c: see gate_server.h. */
#include "net/gate_server.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#define BATCH_REQUESTS 64 /* in one system call: a head and a message each */
#define WRITES_MAX 16

void
gate_server_init(struct gate_server *s, const struct gate_address *address, struct gate_queue *queue, struct gate_counters *counters)
{
	memset(s, 0, sizeof *s);
	gate_line_init(&s->line, address, "server", SERVER_REPLY_BYTES_MAX);
	s->queue = queue;
	s->counters = counters;
}

void
gate_server_fini(struct gate_server *s)
{
	gate_line_fini(&s->line);
}

/* V1. */
static void
server_lost(struct gate_server *s, const char *what, int64_t now_ms)
{
	struct gate_queue *q = s->queue;
	char more[96];
	snprintf(more, sizeof more, "; trying again until it answers, %u messages wait", q->unanswered);
	gate_line_lost(&s->line, what, more, now_ms);
	s->pause_ms = 0;
	s->cursor[QUEUE_LIGHT] = s->cursor[QUEUE_HEAVY] = q->first;
	s->written = 0;
	for (uint64_t i = q->first; i < q->next; i++)
		if (gate_queue_at(q, i)->state == REQUEST_SENT) {
			gate_queue_turn(q, gate_queue_at(q, i), REQUEST_QUEUED);
			s->counters->resent++;
		}
}

/* It is to be looked at again. */
static void
cursor_back(struct gate_server *s, uint64_t number)
{
	uint64_t *cursor = &s->cursor[gate_queue_at(s->queue, number)->line];
	*cursor = number < *cursor ? number : *cursor;
}

/* ---- replies ---- */

static int64_t
wait_ms(const struct frame_reply *reply)
{
	int64_t ms = reply->retry_after_ms < 0 ? SERVER_WAIT_MS : reply->retry_after_ms;
	return ms < SERVER_WAIT_MS_MIN ? SERVER_WAIT_MS_MIN : ms > SERVER_WAIT_MS_MAX ? SERVER_WAIT_MS_MAX : ms;
}

/* A message of the server, gate_line's hook. NULL, or why the connection cannot go on. */
static const char *
server_reply(void *context, const uint8_t *bytes, size_t n, int64_t now_ms)
{
	static const char no_reply[] = "what it says is no answer to a post: is this the --listen address of a holdfastd?";
	struct gate_server *s = context;
	struct frame_reply reply;
	uint64_t number;
	if (!frame_reply_read(bytes, n, &reply))
		return no_reply;
	struct gate_request *request = gate_queue_sent(s->queue, reply.msgid, &number);
	if (!request) {
		s->counters->strays++;
		return NULL;
	}
	enum server_use use = s->reply(s->context, request, &reply);
	if (use == SERVER_WRONG)
		return no_reply;
	gate_line_fine(&s->line);
	if (use == SERVER_USED)
		return NULL;
	gate_queue_turn(s->queue, request, REQUEST_QUEUED);
	s->counters->resent++;
	cursor_back(s, number);
	s->pause_ms = now_ms + wait_ms(&reply);
	return NULL;
}

/* ---- requests ---- */

/*
 * The requests one system call writes: first what is left of the one in `writing`, then QUEUED ones of each line in order from its cursor
 * on. While the server asks to wait, only the first: it must be whole for anything else to follow.
 */
struct batch {
	uint64_t numbers[BATCH_REQUESTS];
	int n;
	uint32_t heavy; /* events of heavy messages in it */
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
	b->iov[b->iov_n++] = (struct iovec){ (void *)(uintptr_t)(r->body.at + skip), r->body.n - skip };
}

/* May another one of the heavy line go? One may always. */
static bool
heavy_room(const struct gate_server *s, const struct batch *b)
{
	return s->queue->heavy_sent + b->heavy < HEAVY_SENT_MAX;
}

static void
batch_line(struct gate_server *s, struct batch *b, enum gate_line_of line)
{
	struct gate_queue *q = s->queue;
	uint64_t *at = &s->cursor[line];
	for (*at = *at < q->first ? q->first : *at; *at < q->next && b->n < BATCH_REQUESTS; ++*at) {
		struct gate_request *r = gate_queue_at(q, *at);
		if (r->line != line || r->state != REQUEST_QUEUED || (s->written && *at == s->writing))
			continue;
		if (line == QUEUE_HEAVY && !heavy_room(s, b))
			return;
		b->heavy += line == QUEUE_HEAVY ? r->events_n : 0;
		batch_add(s, b, *at, 0);
	}
}

static void
batch_fill(struct gate_server *s, struct batch *b, bool paused)
{
	b->n = b->iov_n = 0;
	b->heavy = 0;
	if (s->written)
		batch_add(s, b, s->writing, s->written);
	for (enum gate_line_of line = 0; !paused && line < QUEUE_LINES; line++)
		batch_line(s, b, line);
}

/* `sent` bytes of the batch are written: whole requests are SENT, the first one that is not stays in `writing`, those behind it wait. */
static void
batch_sent(struct gate_server *s, const struct batch *b, size_t sent)
{
	size_t before = s->written;
	int i = 0;
	for (; i < b->n; i++) {
		struct gate_request *r = gate_queue_at(s->queue, b->numbers[i]);
		size_t left = r->head_n + r->body.n - before;
		if (sent < left)
			break;
		gate_queue_turn(s->queue, r, REQUEST_SENT);
		sent -= left;
		before = 0;
	}
	s->written = 0;
	if (i < b->n) {
		s->writing = b->numbers[i];
		s->written = before + sent;
	}
	for (; i < b->n; i++)
		cursor_back(s, b->numbers[i]);
}

/* False: the connection is gone. */
static bool
server_write(struct gate_server *s, int64_t now_ms)
{
	struct batch b;
	for (int i = 0; i < WRITES_MAX; i++) {
		batch_fill(s, &b, s->pause_ms > now_ms);
		if (b.n == 0)
			return true;
		struct msghdr message = { .msg_iov = b.iov, .msg_iovlen = (size_t)b.iov_n };
		ssize_t sent = sendmsg(s->line.fd, &message, MSG_NOSIGNAL);
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
	const struct gate_queue *q = s->queue;
	bool light = s->cursor[QUEUE_LIGHT] < q->next, heavy = s->cursor[QUEUE_HEAVY] < q->next && q->heavy_sent < HEAVY_SENT_MAX;
	return s->written || (s->pause_ms <= now_ms && (light || heavy));
}

int
gate_server_poll(const struct gate_server *s, int64_t now_ms, short *events, int64_t *until_ms)
{
	int fd = gate_line_poll(&s->line, events, until_ms);
	if (s->line.state != LINE_UP)
		return fd;
	if (s->queue->unanswered)
		*until_ms = s->line.heard_ms + SERVER_SILENCE_MS;
	if (wants_write(s, now_ms))
		*events |= POLLOUT;
	if (s->pause_ms > now_ms && s->pause_ms < *until_ms)
		*until_ms = s->pause_ms;
	return fd;
}

static void
server_up_step(struct gate_server *s, short revents, int64_t now_ms)
{
	const char *wrong = revents & ~POLLOUT ? gate_line_read(&s->line, server_reply, s, now_ms) : NULL;
	if (wrong) {
		server_lost(s, wrong, now_ms);
		return;
	}
	if (wants_write(s, now_ms) && !server_write(s, now_ms))
		return;
	if (s->queue->unanswered == 0 || s->pause_ms > now_ms)
		s->line.heard_ms = now_ms;
	else if (now_ms - s->line.heard_ms >= SERVER_SILENCE_MS)
		server_lost(s, "it has been silent for 30 s", now_ms);
}

void
gate_server_step(struct gate_server *s, short revents, int64_t now_ms)
{
	if (s->line.state == LINE_UP)
		server_up_step(s, revents, now_ms);
	else
		gate_line_come(&s->line, revents, now_ms);
	s->counters->connects = s->line.connects;
	s->counters->server_up = s->line.state == LINE_UP;
}
