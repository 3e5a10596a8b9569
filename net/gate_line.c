/* gate_line.c: see gate_line.h for the states. */
#include "net/gate_line.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES ((size_t)128 << 10)
#define READS_MAX 4 /* in one step, so that the other sides of the gate get their turn */

void
gate_line_init(struct gate_line *l, const struct gate_address *address, const char *name, size_t message_bytes_max)
{
	memset(l, 0, sizeof *l);
	l->address = *address;
	l->name = name;
	l->message_bytes_max = message_bytes_max;
	l->fd = -1;
	l->backoff_ms = LINE_BACKOFF_MS;
	l->in.limit = message_bytes_max + READ_BYTES;
	scanner_init(&l->scanner);
}

void
gate_line_fini(struct gate_line *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	buffer_fini(&l->in);
}

/* ---- coming and going ---- */

static void
line_say(const struct gate_line *l, const char *what, const char *more)
{
	char line[384], address[GATE_ADDRESS_TEXT_BYTES];
	gate_address_text(&l->address, address);
	snprintf(line, sizeof line, "%s %s: %s%s", l->name, address, what, more);
	if (l->say)
		l->say(line);
}

/* The next try waits; the wait doubles until all is fine. */
void
gate_line_lost(struct gate_line *l, const char *what, const char *more, int64_t now_ms)
{
	if (!l->said)
		line_say(l, what, more);
	l->said = true;
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	l->state = LINE_AWAY;
	l->due_ms = now_ms + l->backoff_ms;
	l->backoff_ms = l->backoff_ms * 2 < LINE_BACKOFF_MS_MAX ? l->backoff_ms * 2 : LINE_BACKOFF_MS_MAX;
	l->in.used = 0;
	l->in.full = false;
	scanner_init(&l->scanner);
}

void
gate_line_fine(struct gate_line *l)
{
	if (l->said)
		line_say(l, "answers", "");
	l->said = false;
	l->backoff_ms = LINE_BACKOFF_MS;
}

static bool
line_up(struct gate_line *l, int64_t now_ms)
{
	l->state = LINE_UP;
	l->heard_ms = now_ms;
	l->connects++;
	return true;
}

static bool
line_call(struct gate_line *l, int64_t now_ms)
{
	struct sockaddr_storage address;
	socklen_t address_n = gate_address_socket(&l->address, &address);
	int on = 1;
	l->fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd >= 0)
		setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (l->fd >= 0 && connect(l->fd, (struct sockaddr *)&address, address_n) == 0)
		return line_up(l, now_ms);
	if (l->fd < 0 || errno != EINPROGRESS) {
		gate_line_lost(l, strerror(errno), "; trying again until it answers", now_ms);
		return false;
	}
	l->state = LINE_CALLING;
	l->due_ms = now_ms + LINE_CALL_MS;
	return false;
}

static bool
line_called(struct gate_line *l, int64_t now_ms)
{
	int error = 0;
	socklen_t n = sizeof error;
	getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &n);
	if (!error)
		return line_up(l, now_ms);
	gate_line_lost(l, strerror(error), "; trying again until it answers", now_ms);
	return false;
}

bool
gate_line_come(struct gate_line *l, short revents, int64_t now_ms)
{
	if (l->state == LINE_AWAY && now_ms >= l->due_ms)
		return line_call(l, now_ms);
	if (l->state == LINE_CALLING && revents)
		return line_called(l, now_ms);
	if (l->state == LINE_CALLING && now_ms >= l->due_ms)
		gate_line_lost(l, "no connection in 5 s", "; trying again until it answers", now_ms);
	return false;
}

int
gate_line_poll(const struct gate_line *l, short *events, int64_t *until_ms)
{
	*events = l->state == LINE_CALLING ? POLLOUT : POLLIN;
	*until_ms = l->state == LINE_UP ? INT64_MAX : l->due_ms;
	return l->fd;
}

/* ---- messages ---- */

/* Hands on every whole message in the buffer. */
static const char *
line_messages(struct gate_line *l, const char *(*message)(void *, const uint8_t *, size_t, int64_t), void *context, int64_t now_ms)
{
	size_t from = 0, end;
	const char *wrong = NULL;
	while (!wrong && from < l->in.used) {
		enum scan scan = scanner_scan(&l->scanner, l->in.at + from, l->in.used - from, l->message_bytes_max, &end);
		if (scan == SCAN_MORE)
			break;
		if (scan == SCAN_WHOLE) {
			wrong = message(context, l->in.at + from, end, now_ms);
			from += end;
		} else {
			wrong = "what it says is no MessagePack-RPC: is this the --listen address of a holdfastd?";
		}
		scanner_init(&l->scanner);
	}
	buffer_consume(&l->in, from);
	return wrong;
}

const char *
gate_line_read(struct gate_line *l, const char *(*message)(void *, const uint8_t *, size_t, int64_t), void *context, int64_t now_ms)
{
	for (int i = 0; i < READS_MAX; i++) {
		uint8_t *room = buffer_room(&l->in, READ_BYTES);
		if (!room)
			return "no memory for its answer";
		ssize_t got = recv(l->fd, room, READ_BYTES, 0);
		if (got < 0)
			return errno == EAGAIN || errno == EINTR ? NULL : strerror(errno);
		if (got == 0)
			return "it closed the connection";
		l->heard_ms = now_ms;
		l->in.used += (size_t)got;
		const char *wrong = line_messages(l, message, context, now_ms);
		if (wrong || (size_t)got < READ_BYTES)
			return wrong;
	}
	return NULL;
}
