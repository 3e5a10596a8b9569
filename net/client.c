/*
 * client.c: the connection of libholdfast. The socket never blocks by itself; every wait is one poll() of at most timeout_ms,
 * for writing and reading at once, so that a long pipeline cannot lock both ends up.
 */
#include "net/client.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES ((size_t)64 << 10)

enum hf_outcome
client_fail(struct hf *hf, enum hf_outcome outcome, const char *format, ...)
{
	va_list args;
	memset(&hf->failure, 0, sizeof hf->failure);
	snprintf(hf->failure.code, sizeof hf->failure.code, "%s", outcome == HF_UNKNOWN ? "unknown" : "failed");
	va_start(args, format);
	vsnprintf(hf->failure.message, sizeof hf->failure.message, format, args);
	va_end(args);
	return outcome;
}

const struct hf_failure *
hf_error(const struct hf *hf)
{
	return &hf->failure;
}

uint32_t
hf_in_flight(const struct hf *hf)
{
	return hf->in_flight;
}

/* ---- connecting ---- */

static void
connect_why(const struct hf *hf, int error, struct hf_failure *failure)
{
	memset(failure, 0, sizeof *failure);
	snprintf(failure->code, sizeof failure->code, "failed");
	char *to = failure->message;
	size_t size = sizeof failure->message;
	if (error == ECONNREFUSED)
		snprintf(to, size, "nothing listens on %s: start a server there with 'holdfastd --data DIR', or name another one", hf->peer);
	else if (error == ETIMEDOUT || error == EINPROGRESS)
		snprintf(to, size, "no connection to %s within %d ms: is the address right, is a firewall in between?", hf->peer, hf->timeout_ms);
	else
		snprintf(to, size, "no connection to %s: %s", hf->peer, strerror(error));
}

/* 0, or the errno. The socket is left non-blocking. */
static int
connect_one(struct hf *hf, const struct addrinfo *a)
{
	int on = 1, error = 0;
	socklen_t n = sizeof error;
	hf->fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);
	if (hf->fd < 0)
		return errno;
	setsockopt(hf->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (connect(hf->fd, a->ai_addr, a->ai_addrlen) < 0)
		error = errno;
	if (error == EINPROGRESS) {
		struct pollfd p = { .fd = hf->fd, .events = POLLOUT };
		int ready;
		while ((ready = poll(&p, 1, hf->timeout_ms)) < 0 && errno == EINTR)
			;
		error = ready <= 0 ? ETIMEDOUT : 0;
		if (ready > 0 && getsockopt(hf->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
			error = errno;
	}
	if (error) {
		close(hf->fd);
		hf->fd = -1;
	}
	return error;
}

static bool
connect_any(struct hf *hf, const char *host, uint16_t port, struct hf_failure *failure)
{
	char service[8];
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
	snprintf(service, sizeof service, "%u", port);
	int got = getaddrinfo(host, service, &hints, &list);
	if (got != 0) {
		memset(failure, 0, sizeof *failure);
		snprintf(failure->code, sizeof failure->code, "failed");
		snprintf(failure->message, sizeof failure->message, "no address for '%s': %s", host, gai_strerror(got));
		return false;
	}
	int error = ECONNREFUSED;
	for (const struct addrinfo *a = list; a && error; a = a->ai_next)
		error = connect_one(hf, a);
	freeaddrinfo(list);
	if (error)
		connect_why(hf, error, failure);
	return !error;
}

struct hf *
hf_connect(const char *host, uint16_t port, int timeout_ms, struct hf_failure *failure)
{
	struct hf *hf = calloc(1, sizeof *hf);
	struct client_zone *zone = client_zone_new();
	if (!hf || !zone) {
		memset(failure, 0, sizeof *failure);
		snprintf(failure->code, sizeof failure->code, "failed");
		snprintf(failure->message, sizeof failure->message, "no memory for a connection");
		client_zone_free(zone);
		free(hf);
		return NULL;
	}
	hf->fd = -1;
	hf->timeout_ms = timeout_ms;
	hf->zone = zone;
	hf->out.limit = hf->in.limit = CLIENT_QUEUE_BYTES_MAX;
	scanner_init(&hf->scanner);
	snprintf(hf->peer, sizeof hf->peer, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
	if (!connect_any(hf, host, port, failure)) {
		hf_close(hf);
		return NULL;
	}
	return hf;
}

void
hf_close(struct hf *hf)
{
	if (!hf)
		return;
	if (hf->fd >= 0)
		close(hf->fd);
	client_zone_free(hf->zone);
	buffer_fini(&hf->out);
	buffer_fini(&hf->in);
	free(hf);
}

/* ---- bytes out and in ---- */

/* C3. What was in flight is unknown, unless the peer is no Holdfast at all. */
static enum hf_outcome
broken(struct hf *hf, const char *what)
{
	hf->broken = true;
	if (hf->foreign)
		return client_fail(hf, HF_FAILED, "%s", what);
	if (hf->in_flight == 0)
		return client_fail(hf, HF_FAILED, "%s %s", hf->peer, what);
	if (!hf->answered)
		return client_fail(hf, HF_UNKNOWN, "%s %s before any answer: is that the port of --listen of a holdfastd?", hf->peer, what);
	return client_fail(hf, HF_UNKNOWN, "%s %s with %u answers open: they may or may not have happened", hf->peer, what, hf->in_flight);
}

/*
 * The first byte of every answer is 0x94 (an array of four). Others are told by what they greet with, so that a wrong port
 * gets a sentence and not a time-out.
 */
static enum hf_outcome
look_for_strangers(struct hf *hf)
{
	const uint8_t *at = hf->in.at + hf->in_at;
	size_t n = hf->in.used - hf->in_at;
	char what[sizeof hf->failure.message];
	if (n == 0 || at[0] == 0x94)
		return HF_OK;
	hf->foreign = !hf->answered;
	if (n >= 4 && memcmp(at, "HTTP", 4) == 0)
		snprintf(what, sizeof what, "%s speaks HTTP, not Holdfast's RPC: name the port of --listen (7400 unless set)", hf->peer);
	else if (n >= 3 && memcmp(at, "\0SP", 3) == 0)
		snprintf(what, sizeof what, "%s speaks nanomsg, not Holdfast's RPC: name the port of --listen (7400 unless set), not of --events",
		    hf->peer);
	else
		snprintf(what, sizeof what, "something answers on %s, but it is not Holdfast's RPC", hf->peer);
	return broken(hf, what);
}

/* HF_OK also when nothing more can be read now. */
static enum hf_outcome
read_some(struct hf *hf)
{
	uint8_t *room = buffer_room(&hf->in, READ_BYTES);
	if (!room)
		return broken(hf, "sends more than this client keeps");
	ssize_t n = recv(hf->fd, room, READ_BYTES, 0);
	if (n > 0) {
		hf->in.used += (size_t)n;
		return HF_OK;
	}
	if (n == 0)
		return broken(hf, "closed the connection");
	return errno == EAGAIN || errno == EINTR ? HF_OK : broken(hf, strerror(errno));
}

static enum hf_outcome
write_some(struct hf *hf)
{
	size_t end = hf->begun ? hf->building : hf->out.used;
	ssize_t n = send(hf->fd, hf->out.at + hf->out_at, end - hf->out_at, MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? HF_OK : broken(hf, strerror(errno));
	hf->out_at += (size_t)n;
	if (!hf->begun && hf->out_at >= hf->out.used / 2) {
		buffer_consume(&hf->out, hf->out_at);
		hf->out_at = 0;
	}
	return HF_OK;
}

static bool
unwritten(const struct hf *hf)
{
	return hf->out_at < (hf->begun ? hf->building : hf->out.used);
}

/* One wait for the socket: writes what is queued, reads what has come. */
static enum hf_outcome
turn(struct hf *hf)
{
	struct pollfd p = { .fd = hf->fd, .events = (short)(POLLIN | (unwritten(hf) ? POLLOUT : 0)) };
	int ready = poll(&p, 1, hf->timeout_ms);
	if (ready < 0)
		return errno == EINTR ? HF_OK : broken(hf, strerror(errno));
	if (ready == 0)
		return client_fail(hf, hf->in_flight ? HF_UNKNOWN : HF_FAILED, "%s does not answer within %d ms%s", hf->peer, hf->timeout_ms,
		    hf->answered ? "" : ": is that the port of --listen of a holdfastd?");
	if (p.revents & (POLLIN | POLLHUP | POLLERR)) {
		enum hf_outcome got = read_some(hf);
		/* A stranger's greeting tells more than the end that follows it. */
		if (hf->in.used > hf->in_at && look_for_strangers(hf) != HF_OK)
			return hf->foreign ? HF_FAILED : HF_UNKNOWN;
		if (got != HF_OK)
			return got;
	}
	return p.revents & POLLOUT ? write_some(hf) : HF_OK;
}

/* ---- requests and answers ---- */

/* The parameters must be one whole array within the bound; the scanner is the judge on both sides. */
uint32_t
hf_send(struct hf *hf)
{
	size_t end = 0, n = hf->out.used - hf->params;
	struct scanner s;
	scanner_init(&s);
	if (!hf->begun) {
		client_fail(hf, HF_FAILED, "hf_send() without hf_begin()");
		return 0;
	}
	const uint8_t *params = hf->out.at + hf->params;
	bool array = n > 0 && ((params[0] & 0xf0) == 0x90 || params[0] == 0xdc || params[0] == 0xdd);
	bool whole = array && scanner_scan(&s, params, n, n, &end) == SCAN_WHOLE && end == n;
	hf->begun = false;
	if (hf->broken || hf->out.full || !whole || hf->out.used - hf->building > FRAME_BYTES_MAX) {
		const char *what = hf->broken ? "the connection is closed"
		    : hf->out.full ? "too many requests are queued: receive some answers first"
		    : whole ? "the request is longer than 1 MiB" : "the parameters are not one whole array";
		client_fail(hf, HF_FAILED, "%s", what);
		hf->out.used = hf->building;
		return 0;
	}
	hf->in_flight++;
	return hf->number;
}

/* A call on a connection that broke earlier; a stranger's name is still in hf->failure. */
static enum hf_outcome
lost(struct hf *hf)
{
	if (hf->foreign)
		return HF_FAILED;
	return client_fail(hf, hf->in_flight ? HF_UNKNOWN : HF_FAILED, "the connection to %s was lost with %u answers open", hf->peer,
	    hf->in_flight);
}

enum hf_outcome
hf_flush(struct hf *hf)
{
	if (hf->broken)
		return lost(hf);
	while (unwritten(hf)) {
		enum hf_outcome got = write_some(hf);
		if (got == HF_OK && unwritten(hf))
			got = turn(hf);
		if (got != HF_OK)
			return got;
	}
	return HF_OK;
}

/* Drops what was taken, once that is most of the buffer: amortised, each byte moves at most once. */
static void
compact(struct hf *hf)
{
	if (hf->in_at == 0 || hf->in_at < hf->in.used / 2)
		return;
	buffer_consume(&hf->in, hf->in_at);
	hf->in_at = 0;
}

/* HF_OK with *end = 0: not whole yet. */
static enum hf_outcome
next_frame(struct hf *hf, size_t *end)
{
	*end = 0;
	if (hf->in.used == hf->in_at)
		return HF_OK;
	switch (scanner_scan(&hf->scanner, hf->in.at + hf->in_at, hf->in.used - hf->in_at, CLIENT_REPLY_BYTES_MAX, end)) {
	case SCAN_MORE:
		*end = 0;
		return HF_OK;
	case SCAN_WHOLE:
		return HF_OK;
	case SCAN_TOO_LONG:
		return broken(hf, "sent an answer beyond 16 MiB");
	case SCAN_TOO_DEEP:
	case SCAN_BAD:
		break;
	}
	return broken(hf, "sent bytes that are no answer");
}

static enum hf_outcome
take(struct hf *hf, size_t n, uint32_t *number, const struct hf_value **value)
{
	struct client_answer answer;
	const uint8_t *frame = hf->in.at + hf->in_at;
	hf->in_at += n;
	scanner_init(&hf->scanner);
	if (!client_decode(hf->zone, frame, n, &answer))
		return broken(hf, "sent bytes that are no answer");
	hf->answered = true;
	if (hf->in_flight > 0)
		hf->in_flight--;
	*number = answer.number;
	*value = answer.result;
	if (!answer.error)
		return HF_OK;
	client_refused(&hf->failure, answer.error);
	return strcmp(hf->failure.code, "unknown") == 0 ? HF_UNKNOWN : HF_REFUSED;
}

enum hf_outcome
hf_receive(struct hf *hf, uint32_t *number, const struct hf_value **value)
{
	*number = 0;
	*value = NULL;
	compact(hf);
	for (;;) {
		size_t end;
		enum hf_outcome got = next_frame(hf, &end);
		if (got != HF_OK)
			return got;
		if (end)
			return take(hf, end, number, value);
		if (hf->broken)
			return lost(hf);
		if (hf->in_flight == 0)
			return client_fail(hf, HF_FAILED, "nothing is in flight");
		if ((got = unwritten(hf) ? write_some(hf) : HF_OK) == HF_OK)
			got = turn(hf);
		if (got != HF_OK)
			return got;
	}
}

/* Answers of earlier calls that were given up may still come: they are passed over. */
enum hf_outcome
hf_call(struct hf *hf, const struct hf_value **value)
{
	uint32_t number = hf_send(hf), answered = 0;
	*value = NULL;
	if (number == 0)
		return HF_FAILED;
	enum hf_outcome got;
	do
		got = hf_receive(hf, &answered, value);
	while (answered != 0 && answered != number);
	return got;
}
