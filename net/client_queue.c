/* client_queue.c: see client_queue.h. */
#include "net/client_queue.h"
#include "net/client.h"

#include <stdlib.h>
#include <string.h>

bool
client_queue_init(struct client_queue *q, uint32_t window_n, uint32_t n_max)
{
	memset(q, 0, sizeof *q);
	TAILQ_INIT(&q->waiting);
	TAILQ_INIT(&q->sent);
	TAILQ_INIT(&q->delayed);
	TAILQ_INIT(&q->done);
	q->window_n = window_n;
	q->n_max = n_max;
	q->next_deadline_ms = q->next_due_ms = INT64_MAX;
	q->slots = calloc(window_n, sizeof(struct client_request *));
	q->free_slots = calloc(window_n, sizeof *q->free_slots);
	for (uint32_t i = 0; q->free_slots && i < window_n; i++)
		q->free_slots[q->free_n++] = window_n - 1 - i;
	return q->slots && q->free_slots;
}

static void
list_free(struct client_queue *q, struct client_requests *list)
{
	struct client_request *r;
	while ((r = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, r, next);
		client_queue_free(q, r);
	}
}

void
client_queue_fini(struct client_queue *q)
{
	list_free(q, &q->waiting);
	list_free(q, &q->sent);
	list_free(q, &q->delayed);
	list_free(q, &q->done);
	free(q->slots);
	free(q->free_slots);
}

struct client_request *
client_queue_add(struct client_queue *q, const uint8_t *bytes, size_t n, int64_t deadline_ms)
{
	if (q->n >= q->n_max || q->bytes + n > CLIENT_QUEUE_BYTES_MAX)
		return NULL;
	struct client_request *r = malloc(sizeof *r + n);
	if (!r)
		return NULL;
	*r = (struct client_request){ .deadline_ms = deadline_ms, .n = n };
	memcpy(r->bytes, bytes, n);
	TAILQ_INSERT_TAIL(&q->waiting, r, next);
	q->n++;
	q->bytes += n;
	if (deadline_ms < q->next_deadline_ms)
		q->next_deadline_ms = deadline_ms;
	return r;
}

void
client_queue_free(struct client_queue *q, struct client_request *r)
{
	q->n--;
	q->bytes -= r->n;
	free(r);
}

/* ---- to the server and back ---- */

void
client_queue_due(struct client_queue *q, int64_t now_ms)
{
	struct client_request *r, *after;
	if (now_ms < q->next_due_ms)
		return;
	q->next_due_ms = INT64_MAX;
	for (r = TAILQ_FIRST(&q->delayed); r; r = after) {
		after = TAILQ_NEXT(r, next);
		if (r->due_ms <= now_ms) {
			TAILQ_REMOVE(&q->delayed, r, next);
			TAILQ_INSERT_HEAD(&q->waiting, r, next);
		} else if (r->due_ms < q->next_due_ms) {
			q->next_due_ms = r->due_ms;
		}
	}
}

bool
client_queue_sendable(const struct client_queue *q)
{
	return q->free_n > 0 && !TAILQ_EMPTY(&q->waiting);
}

void
client_queue_send(struct client_queue *q, struct client_link *l)
{
	while (client_queue_sendable(q) && l->out.used - l->out_at < CLIENT_OUT_BYTES) {
		struct client_request *r = TAILQ_FIRST(&q->waiting);
		uint8_t *number = r->bytes + CLIENT_NUMBER_AT;
		uint64_t starts_at = l->written + (l->out.used - l->out_at);
		uint32_t slot = q->free_slots[q->free_n - 1];
		number[0] = (uint8_t)(slot >> 24), number[1] = (uint8_t)(slot >> 16), number[2] = (uint8_t)(slot >> 8), number[3] = (uint8_t)slot;
		buffer_append(&l->out, r->bytes, r->n);
		if (l->out.full) { /* no memory now: later */
			l->out.full = false;
			return;
		}
		q->free_n--;
		q->slots[slot] = r;
		r->slot = slot;
		r->starts_at = starts_at;
		r->sent_n++;
		TAILQ_REMOVE(&q->waiting, r, next);
		TAILQ_INSERT_TAIL(&q->sent, r, next);
	}
}

uint32_t
client_queue_on_wire(const struct client_queue *q)
{
	return q->window_n - q->free_n;
}

struct client_request *
client_queue_answered(struct client_queue *q, uint32_t slot)
{
	if (slot >= q->window_n)
		return NULL;
	struct client_request *r = q->slots[slot];
	for (uint32_t i = 0; !r && i < q->free_n; i++)
		if (q->free_slots[i] == slot)
			return NULL; /* an answer to nothing */
	q->slots[slot] = NULL;
	q->free_slots[q->free_n++] = slot;
	if (r)
		TAILQ_REMOVE(&q->sent, r, next);
	return r;
}

void
client_queue_delay(struct client_queue *q, struct client_request *r, int64_t due_ms)
{
	r->due_ms = due_ms;
	TAILQ_INSERT_TAIL(&q->delayed, r, next);
	if (due_ms < q->next_due_ms)
		q->next_due_ms = due_ms;
}

/* ---- ends that are known here ---- */

static void
finish(struct client_queue *q, struct client_request *r, enum hf_outcome outcome)
{
	r->outcome = outcome;
	TAILQ_INSERT_TAIL(&q->done, r, next);
}

void
client_queue_lost(struct client_queue *q, const struct client_link *l)
{
	struct client_requests again = TAILQ_HEAD_INITIALIZER(again);
	struct client_request *r;
	while ((r = TAILQ_FIRST(&q->sent)) != NULL) {
		TAILQ_REMOVE(&q->sent, r, next);
		bool written = r->starts_at < l->written && !l->foreign;
		r->doubt |= written;
		r->sent_n -= !written;
		if (written && !r->repeat)
			finish(q, r, HF_UNKNOWN);
		else
			TAILQ_INSERT_TAIL(&again, r, next);
	}
	TAILQ_CONCAT(&again, &q->waiting, next);
	TAILQ_CONCAT(&q->waiting, &again, next);
	q->free_n = 0;
	for (uint32_t i = 0; i < q->window_n; i++) {
		q->slots[i] = NULL;
		q->free_slots[q->free_n++] = q->window_n - 1 - i;
	}
}

/* Q2: a sent one leaves its slot taken. */
static void
expire_list(struct client_queue *q, struct client_requests *list, int64_t now_ms)
{
	struct client_request *r, *after;
	for (r = TAILQ_FIRST(list); r; r = after) {
		after = TAILQ_NEXT(r, next);
		if (r->deadline_ms > now_ms) {
			if (r->deadline_ms < q->next_deadline_ms)
				q->next_deadline_ms = r->deadline_ms;
			continue;
		}
		TAILQ_REMOVE(list, r, next);
		if (list == &q->sent)
			q->slots[r->slot] = NULL;
		finish(q, r, r->doubt || list == &q->sent ? HF_UNKNOWN : HF_FAILED);
	}
}

void
client_queue_expire(struct client_queue *q, int64_t now_ms)
{
	if (now_ms < q->next_deadline_ms)
		return;
	q->next_deadline_ms = INT64_MAX;
	expire_list(q, &q->sent, now_ms);
	expire_list(q, &q->delayed, now_ms);
	expire_list(q, &q->waiting, now_ms);
}

struct client_request *
client_queue_done(struct client_queue *q)
{
	struct client_request *r = TAILQ_FIRST(&q->done);
	if (r)
		TAILQ_REMOVE(&q->done, r, next);
	return r;
}

/* ---- what may be sent again ---- */

bool
client_is_refused_for_now(const char *code)
{
	static const char *const codes[] = { "overloaded", "rate_limited", "read_only", "unknown" };
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
		if (strcmp(code, codes[i]) == 0)
			return true;
	return false;
}

bool
client_repeats(const uint8_t *request, size_t n)
{
	static const char *const methods[] = { "ats", "stock", "scan", "reservation", "outcome", "digest", "status", "hello", "explain", "atp",
		"reserve", "reserve_many", "commit", "release", "fulfil", "extend", "move", "post", "position" };
	size_t length = n > CLIENT_METHOD_AT ? request[CLIENT_METHOD_AT] & 0x1f : 0; /* longer names are in no table */
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
		if (strlen(methods[i]) == length && CLIENT_METHOD_AT + 1 + length <= n && request[CLIENT_METHOD_AT] == (0xa0 | length) &&
		    memcmp(request + CLIENT_METHOD_AT + 1, methods[i], length) == 0)
			return true;
	return false;
}
