/*
 * post_link.c: the two ways behind one face, each a row of functions.
 */
#include "cmd/post_link.h"
#include "holdfast/async.h"
#include "net/client.h"
#include "net/clock.h"
#include "net/codec_write.h"
#include "net/gate_post.h"

#include <stdio.h>
#include <stdlib.h>

#define RECONNECT_PAUSE_MS 100
#define NO_DEADLINE_MS (INT64_C(1) << 40) /* a message waits as long as the rows' sender does */

struct post_link {
	const struct way *way;
	struct gate_post *gate;
	struct client_zone *zone; /* answers of the gate as trees */
	struct hf *hf; /* lasts: comes back by itself, and sends again what was not answered, in order (the window of a source allows no other, D28) */
	int64_t lost_ms; /* since when nothing was answered after a loss; 0: no loss */
	char lost[256]; /* why */
	uint64_t resent; /* messages by RPC */
};

struct way {
	int (*send)(struct post_link *, int slot, const struct post_message *, struct why *);
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
gate_send(struct post_link *l, int slot, const struct post_message *m, struct why *why)
{
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
rpc_send(struct post_link *l, int slot, const struct post_message *m, struct why *why)
{
	const struct hf_async_how how = { .context = (void *)(intptr_t)slot, .deadline_ms = NO_DEADLINE_MS, .repeat = HF_REPEAT_YES };
	hf_begin(l->hf, "post");
	hf_array(l->hf, 1);
	hf_put_raw(l->hf, m->events.at, m->events.used);
	if (hf_async_send(l->hf, &how) == 0) {
		snprintf(why->text, sizeof why->text, "%s", hf_error(l->hf)->message);
		return -1;
	}
	hf_async_step(l->hf);
	return 0;
}

static int
rpc_answer(struct post_link *l, const struct hf_event *e, struct post_answer *answer, struct why *why)
{
	const struct hf_value *v = e->outcome == HF_OK ? e->value : NULL;
	l->lost_ms = 0;
	l->resent += e->sent_n - 1;
	*answer = (struct post_answer){ .slot = (int)(intptr_t)e->context, .refusal = v ? NULL : e->failure };
	if (v && v->type == HF_ARRAY && v->array.n == 2)
		answer->outcomes = &v->array.items[1];
	if (answer->refusal || (answer->outcomes && answer->outcomes->type == HF_ARRAY))
		return 1;
	snprintf(why->text, sizeof why->text, "the server answered something that is no list of outcomes");
	return -1;
}

static int
rpc_receive(struct post_link *l, int timeout_ms, struct post_answer *answer, struct why *why)
{
	struct hf_event e;
	hf_async_wait(l->hf, timeout_ms);
	while (hf_async_next(l->hf, &e)) {
		if (e.kind == HF_ANSWER)
			return rpc_answer(l, &e, answer, why);
		if (e.kind == HF_DISCONNECTED && !l->lost_ms) {
			l->lost_ms = clock_steady_ms();
			snprintf(l->lost, sizeof l->lost, "%s", e.failure->message);
		}
	}
	if (!l->lost_ms || clock_steady_ms() - l->lost_ms < POST_RECONNECT_MS)
		return 0;
	snprintf(why->text, sizeof why->text, "%s, and answered nothing for %d s since", l->lost, POST_RECONNECT_MS / 1000);
	return -1;
}

static const struct way by_rpc = { rpc_send, rpc_receive };

/* A stranger on the port is known by its answer to hello, before anything is sent that could have happened. */
static bool
rpc_greet(const char *host, uint16_t port, int timeout_ms, struct why *why)
{
	struct hf_failure failure;
	const struct hf_value *value;
	struct hf *hf = hf_connect(host, port, timeout_ms, &failure);
	bool good = hf && hf_hello(hf, &value) == HF_OK;
	if (!good)
		snprintf(why->text, sizeof why->text, "%s", hf ? hf_error(hf)->message : failure.message);
	hf_close(hf);
	return good;
}

struct post_link *
post_link_rpc(const char *host, uint16_t port, int timeout_ms, struct why *why)
{
	const struct hf_async_options options = { .window_n = POST_SLOTS, .connect_ms = timeout_ms, .silence_ms = timeout_ms,
		.back_off_ms_max = RECONNECT_PAUSE_MS };
	struct hf_failure failure = { .message = "out of memory" };
	struct post_link *l = NULL;
	if (!rpc_greet(host, port, timeout_ms, why))
		return NULL;
	if ((l = calloc(1, sizeof *l)) != NULL && (l->hf = hf_async_open(host, port, &options, &failure)) != NULL) {
		l->way = &by_rpc;
		return l;
	}
	snprintf(why->text, sizeof why->text, "%s", failure.message);
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
	return l->way->send(l, slot, m, why);
}

int
post_link_receive(struct post_link *l, int timeout_ms, struct post_answer *answer, struct why *why)
{
	return l->way->receive(l, timeout_ms, answer, why);
}

uint64_t
post_link_resent(const struct post_link *l)
{
	return l->resent + (l->gate ? gate_post_resent(l->gate) : 0);
}
