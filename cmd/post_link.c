/*
 * post_link.c: the two ways behind one face, each a row of functions.
 */
#include "cmd/post_link.h"
#include "net/client.h"
#include "net/clock.h"
#include "net/codec_write.h"
#include "net/gate_post.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define RECONNECT_PAUSE_MS 100

struct post_link {
	const struct way *way;
	struct gate_post *gate;
	struct client_zone *zone; /* answers of the gate as trees */
	struct hf *hf;
	char host[256];
	uint16_t port;
	int timeout_ms;
	uint64_t sent, resent; /* messages */
	struct {
		const struct post_message *message; /* NULL: nothing in flight */
		uint64_t order; /* resent in the order sent */
		uint32_t number; /* of the request */
	} slot[POST_SLOTS];
};

struct way {
	int (*send)(struct post_link *, int slot, struct why *);
	int (*receive)(struct post_link *, int timeout_ms, struct post_answer *, struct why *);
};

/* ---- messages ---- */

bool
post_message_init(struct post_message *m, uint32_t rows_max)
{
	*m = (struct post_message){ .rows_max = rows_max, .rows = malloc(rows_max * sizeof *m->rows) };
	m->events.limit = POST_MESSAGE_BYTES_MAX;
	post_message_clear(m);
	return m->rows && !m->events.full;
}

void
post_message_fini(struct post_message *m)
{
	buffer_fini(&m->events);
	buffer_fini(&m->lines);
	free(m->rows);
}

void
post_message_clear(struct post_message *m)
{
	m->events.used = m->lines.used = 0;
	m->events.full = m->lines.full = false;
	m->n = m->undated = 0;
	buffer_append(&m->events, "\xdc\0\0", MESSAGE_HEAD_BYTES);
}

bool
post_message_add(struct post_message *m, uint64_t number, struct bytes event, struct bytes line, bool dated)
{
	if (m->n == m->rows_max || m->events.used + event.n > m->events.limit)
		return false;
	m->rows[m->n++] = (struct post_row){ number, (uint32_t)m->events.used, event.n, (uint32_t)m->lines.used, line.n, dated };
	m->undated += !dated;
	buffer_append(&m->events, event.at, event.n);
	buffer_append(&m->lines, line.at, line.n);
	return true;
}

void
post_message_seal(struct post_message *m)
{
	wire_big_endian(m->events.at, 0xdc, m->n, 2);
}

/* ---- through the gate ---- */

static int
gate_send(struct post_link *l, int slot, struct why *why)
{
	const struct post_message *m = l->slot[slot].message;
	int got = gate_post_send(l->gate, (uint64_t)slot, m->events.at, m->events.used, why);
	if (got == 0)
		snprintf(why->text, sizeof why->text, "the gate's window is smaller than expected");
	return got == 1 ? 0 : -1;
}

static int
gate_receive(struct post_link *l, int timeout_ms, struct post_answer *answer, struct why *why)
{
	uint64_t number;
	const uint8_t *reply;
	size_t n;
	int got = gate_post_receive(l->gate, timeout_ms, &number, &reply, &n, why);
	if (got != 1)
		return got;
	const struct hf_value *v = client_parse(l->zone, reply, n);
	answer->outcomes = hf_get(v, "outcomes");
	answer->queued = !answer->outcomes && hf_get(v, "queued") != NULL;
	answer->refused = hf_get(v, "refused");
	answer->slot = (int)number;
	answer->refusal = NULL;
	if (number < POST_SLOTS && (answer->queued || (answer->outcomes && answer->outcomes->type == HF_ARRAY)))
		return 1;
	snprintf(why->text, sizeof why->text, "the gate answered something that is no list of outcomes");
	return -1;
}

static const struct way through_gate = { gate_send, gate_receive };

struct post_link *
post_link_gate(const char *host, uint16_t port, struct why *why)
{
	struct post_link *l = calloc(1, sizeof *l);
	snprintf(why->text, sizeof why->text, "out of memory");
	if (l && (l->zone = client_zone_new()) != NULL && (l->gate = gate_post_open(host, port, why)) != NULL) {
		l->way = &through_gate;
		return l;
	}
	post_link_close(l);
	return NULL;
}

/* ---- by RPC ---- */

/* `post` with [[event, ...]]: the message itself is the inner array. */
static int
rpc_queue(struct post_link *l, int slot, struct why *why)
{
	const struct post_message *m = l->slot[slot].message;
	hf_begin(l->hf, "post");
	hf_array(l->hf, 1);
	hf_put_raw(l->hf, m->events.at, m->events.used);
	l->slot[slot].number = hf_send(l->hf);
	if (l->slot[slot].number)
		return 0;
	snprintf(why->text, sizeof why->text, "%s", hf_error(l->hf)->message);
	return -1;
}

/* A connection that broke is found by the next receive, which mends it. */
static int
rpc_send(struct post_link *l, int slot, struct why *why)
{
	if (l->hf && rpc_queue(l, slot, why) == 0)
		hf_flush(l->hf);
	return 0;
}

/* A stranger on the port is known by its answer to hello, before anything is sent that could have happened. */
static bool
rpc_connect(struct post_link *l, struct why *why)
{
	struct hf_failure failure;
	const struct hf_value *value;
	hf_close(l->hf);
	l->hf = hf_connect(l->host, l->port, l->timeout_ms, &failure);
	if (l->hf && hf_hello(l->hf, &value) != HF_OK) {
		snprintf(why->text, sizeof why->text, "%s", hf_error(l->hf)->message);
		hf_close(l->hf);
		l->hf = NULL;
	} else if (!l->hf) {
		snprintf(why->text, sizeof why->text, "%s", failure.message);
	}
	return l->hf != NULL;
}

/* Everything in flight goes out again, in the order of the first time: the window of a source allows no other (D28). */
static int
rpc_resend(struct post_link *l, struct why *why)
{
	for (uint64_t done = 0;;) {
		int next = -1;
		for (int i = 0; i < POST_SLOTS; i++)
			if (l->slot[i].message && l->slot[i].order > done && (next < 0 || l->slot[i].order < l->slot[next].order))
				next = i;
		if (next < 0)
			return 0;
		if (rpc_queue(l, next, why) < 0)
			return -1;
		done = l->slot[next].order;
		l->resent++;
	}
}

static int
rpc_mend(struct post_link *l, struct why *why)
{
	int64_t until_ms = clock_steady_ms() + POST_RECONNECT_MS;
	while (!rpc_connect(l, why)) {
		if (clock_steady_ms() >= until_ms)
			return -1;
		poll(NULL, 0, RECONNECT_PAUSE_MS);
	}
	return rpc_resend(l, why);
}

static int
rpc_receive(struct post_link *l, int timeout_ms, struct post_answer *answer, struct why *why)
{
	const struct hf_value *v = NULL;
	uint32_t number = 0;
	enum hf_outcome got = l->hf ? hf_receive(l->hf, &number, &v) : HF_UNKNOWN;
	if (number == 0)
		return rpc_mend(l, why);
	answer->slot = -1;
	for (int i = 0; i < POST_SLOTS; i++)
		if (l->slot[i].message && l->slot[i].number == number)
			answer->slot = i;
	if (answer->slot < 0)
		return 0;
	answer->queued = false;
	answer->refusal = got == HF_OK ? NULL : hf_error(l->hf);
	answer->outcomes = got == HF_OK && v->type == HF_ARRAY && v->array.n == 2 ? &v->array.items[1] : NULL;
	if (answer->refusal || (answer->outcomes && answer->outcomes->type == HF_ARRAY))
		return 1;
	snprintf(why->text, sizeof why->text, "the server answered something that is no list of outcomes");
	return -1;
}

static const struct way by_rpc = { rpc_send, rpc_receive };

struct post_link *
post_link_rpc(const char *host, uint16_t port, int timeout_ms, struct why *why)
{
	struct post_link *l = calloc(1, sizeof *l);
	snprintf(why->text, sizeof why->text, "out of memory");
	if (l) {
		l->way = &by_rpc;
		l->port = port;
		l->timeout_ms = timeout_ms;
		snprintf(l->host, sizeof l->host, "%s", host);
		if (rpc_connect(l, why))
			return l;
	}
	post_link_close(l);
	return NULL;
}

/* ---- either way ---- */

void
post_link_close(struct post_link *l)
{
	if (!l)
		return;
	gate_post_close(l->gate);
	client_zone_free(l->zone);
	hf_close(l->hf);
	free(l);
}

int
post_link_send(struct post_link *l, int slot, const struct post_message *m, struct why *why)
{
	l->slot[slot].message = m;
	l->slot[slot].order = ++l->sent;
	return l->way->send(l, slot, why);
}

int
post_link_receive(struct post_link *l, int timeout_ms, struct post_answer *answer, struct why *why)
{
	int got = l->way->receive(l, timeout_ms, answer, why);
	if (got == 1)
		l->slot[answer->slot].message = NULL;
	return got;
}

uint64_t
post_link_resent(const struct post_link *l)
{
	return l->resent + (l->gate ? gate_post_resent(l->gate) : 0);
}
