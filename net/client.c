/*
 * client.c: the blocking connection of libholdfast. The socket never blocks by itself; every wait is one poll() of at most
 * timeout_ms, for writing and reading at once, so that a long pipeline cannot lock both ends up.
 */
#include "holdfast/async.h"
#include "net/client.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

struct hf *
client_new(const char *host, uint16_t port, struct hf_failure *failure)
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
	hf->zone = zone;
	hf->building.limit = CLIENT_QUEUE_BYTES_MAX;
	client_link_init(&hf->link, host, port);
	return hf;
}

static bool
connect_any(struct hf *hf, const char *host, uint16_t port, struct hf_failure *failure)
{
	bool numeric;
	struct addrinfo *list = client_link_resolve(host, port, &numeric, failure);
	if (!list)
		return false;
	int error = ECONNREFUSED;
	for (const struct addrinfo *a = list; a && error; a = a->ai_next) {
		error = client_link_start(&hf->link, a);
		if (!error)
			error = client_link_started(&hf->link, hf->timeout_ms);
	}
	freeaddrinfo(list);
	if (error)
		client_link_why(&hf->link, error, hf->timeout_ms, failure);
	return !error;
}

struct hf *
hf_connect(const char *host, uint16_t port, int timeout_ms, struct hf_failure *failure)
{
	struct hf *hf = client_new(host, port, failure);
	if (!hf)
		return NULL;
	hf->timeout_ms = timeout_ms;
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
	client_async_free(hf->async);
	client_link_fini(&hf->link);
	client_zone_free(hf->zone);
	buffer_fini(&hf->building);
	free(hf);
}

/* ---- waiting ---- */

/* C3. What was in flight is unknown, unless the peer is no Holdfast at all. */
static enum hf_outcome
broken(struct hf *hf)
{
	const struct client_link *l = &hf->link;
	if (l->foreign)
		return client_fail(hf, HF_FAILED, "%s", l->what);
	if (hf->in_flight == 0)
		return client_fail(hf, HF_FAILED, "%s %s", l->peer, l->what);
	if (!l->answered)
		return client_fail(hf, HF_UNKNOWN, "%s %s before any answer: is that the port of --listen of a holdfastd?", l->peer, l->what);
	return client_fail(hf, HF_UNKNOWN, "%s %s with %u answers open: they may or may not have happened", l->peer, l->what,
	    hf->in_flight);
}

/* One wait for the socket: writes what is queued, reads what has come. */
static enum hf_outcome
turn(struct hf *hf)
{
	struct client_link *l = &hf->link;
	struct pollfd p = { .fd = l->fd, .events = (short)(POLLIN | (client_link_unwritten(l) ? POLLOUT : 0)) };
	int ready = poll(&p, 1, hf->timeout_ms);
	if (ready < 0 && errno != EINTR)
		client_link_break(l, "%s", strerror(errno));
	if (ready == 0)
		return client_fail(hf, hf->in_flight ? HF_UNKNOWN : HF_FAILED, "%s does not answer within %d ms%s", l->peer, hf->timeout_ms,
		    l->answered ? "" : ": is that the port of --listen of a holdfastd?");
	if (ready > 0 && p.revents & (POLLIN | POLLHUP | POLLERR))
		client_link_read(l);
	if (ready > 0 && p.revents & POLLOUT)
		client_link_write(l);
	return l->broken && !client_link_look(l) ? broken(hf) : HF_OK;
}

/* ---- requests and answers ---- */

/* The parameters must be one whole array within the bound; the scanner is the judge on both sides. */
bool
client_built(struct hf *hf)
{
	size_t end = 0, n = hf->building.used - hf->params;
	struct scanner s;
	scanner_init(&s);
	if (!hf->begun) {
		client_fail(hf, HF_FAILED, "nothing was built: hf_begin() comes first");
		return false;
	}
	const uint8_t *params = hf->building.at + hf->params;
	bool array = n > 0 && ((params[0] & 0xf0) == 0x90 || params[0] == 0xdc || params[0] == 0xdd);
	bool whole = array && scanner_scan(&s, params, n, n, &end) == SCAN_WHOLE && end == n;
	hf->begun = false;
	if (!hf->building.full && whole && hf->building.used <= FRAME_BYTES_MAX)
		return true;
	client_fail(hf, HF_FAILED, whole || hf->building.full ? "the request is longer than 1 MiB" : "the parameters are not one whole array");
	return false;
}

uint32_t
hf_send(struct hf *hf)
{
	struct buffer *out = &hf->link.out;
	if (hf->async)
		return client_async_send(hf);
	if (!client_built(hf))
		return 0;
	if (!hf->link.broken)
		buffer_append(out, hf->building.at, hf->building.used);
	if (hf->link.broken || out->full) {
		client_fail(hf, HF_FAILED, "%s", hf->link.broken ? "the connection is closed"
		    : "too many requests are queued: receive some answers first");
		out->full = false;
		return 0;
	}
	hf->in_flight++;
	return hf->number;
}

/* A call on a connection that broke earlier. */
static enum hf_outcome
lost(struct hf *hf)
{
	if (hf->link.foreign)
		return broken(hf);
	return client_fail(hf, hf->in_flight ? HF_UNKNOWN : HF_FAILED, "the connection to %s was lost with %u answers open", hf->link.peer,
	    hf->in_flight);
}

enum hf_outcome
hf_flush(struct hf *hf)
{
	if (hf->async) {
		hf_async_step(hf);
		return HF_OK;
	}
	if (hf->link.broken)
		return lost(hf);
	while (client_link_unwritten(&hf->link)) {
		if (!client_link_write(&hf->link))
			return broken(hf);
		if (client_link_unwritten(&hf->link)) {
			enum hf_outcome got = turn(hf);
			if (got != HF_OK)
				return got;
		}
	}
	return HF_OK;
}

static enum hf_outcome
take(struct hf *hf, const struct client_answer *answer, uint32_t *number, const struct hf_value **value)
{
	if (hf->in_flight > 0)
		hf->in_flight--;
	*number = answer->number;
	*value = answer->result;
	if (!answer->error)
		return HF_OK;
	client_refused(&hf->failure, answer->error);
	return strcmp(hf->failure.code, "unknown") == 0 ? HF_UNKNOWN : HF_REFUSED;
}

/* A whole message, decoded; notifications are passed over: who watches has a connection that lasts. */
static bool
next_answer(struct hf *hf, struct client_answer *answer)
{
	const uint8_t *frame;
	size_t n;
	while ((frame = client_link_take(&hf->link, &n)) != NULL) {
		if (!client_decode(hf->zone, frame, n, answer)) {
			client_link_break(&hf->link, "sent bytes that are no answer");
			return false;
		}
		if (!answer->notification)
			return true;
	}
	return false;
}

enum hf_outcome
hf_receive(struct hf *hf, uint32_t *number, const struct hf_value **value)
{
	*number = 0;
	*value = NULL;
	if (hf->async)
		return client_async_receive(hf, number, value);
	for (;;) {
		struct client_answer answer;
		bool was_broken = hf->link.broken;
		if (next_answer(hf, &answer))
			return take(hf, &answer, number, value);
		if (hf->link.broken)
			return was_broken ? lost(hf) : broken(hf);
		if (hf->in_flight == 0)
			return client_fail(hf, HF_FAILED, "nothing is in flight");
		if (!client_link_write(&hf->link))
			return broken(hf);
		enum hf_outcome got = turn(hf);
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
