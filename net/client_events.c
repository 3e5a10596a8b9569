/* client_events.c: see client_async.h: what has happened on a connection that lasts, one event at a time. */
#include "net/client_async.h"

#include <stdio.h>
#include <string.h>

#define UNKNOWN_AGAIN_MS 100 /* refused for now, and no time said */

/* ---- what has happened ---- */

static void
told(struct hf *hf, struct client_request *r, struct hf_event *e, enum hf_outcome outcome)
{
	struct client_async *a = hf->async;
	e->kind = HF_ANSWER;
	e->outcome = outcome;
	e->number = r->number;
	e->sent_n = r->sent_n;
	e->context = r->context;
	e->failure = outcome == HF_OK ? NULL : &a->failure;
	client_queue_free(&a->queue, r);
	hf->in_flight = a->queue.n;
}

/* Q3. True: it goes on by itself. */
static bool
tried_again(struct client_async *a, struct client_request *r)
{
	const char *code = a->failure.code;
	bool unknown = strcmp(code, "unknown") == 0, by_option = strcmp(code, "overloaded") == 0 || strcmp(code, "rate_limited") == 0;
	r->doubt |= unknown;
	if (!client_is_refused_for_now(code) || !(r->doubt ? r->repeat : by_option && a->options.retry_refused))
		return false;
	int64_t due_ms = a->now_ms + hf_int(hf_get(a->failure.detail, "retry_after_ms"), UNKNOWN_AGAIN_MS);
	if (due_ms >= r->deadline_ms && !r->doubt)
		return false;
	client_queue_delay(&a->queue, r, due_ms);
	return true;
}

static bool
answered(struct hf *hf, const struct client_answer *answer, struct hf_event *e)
{
	struct client_async *a = hf->async;
	if (answer->number == CLIENT_WATCH_NUMBER)
		return client_watch_answer(&a->watch, answer, a->now_ms, e, &a->failure);
	struct client_request *r = client_queue_answered(&a->queue, answer->number);
	if (!r)
		return false;
	if (!answer->error) {
		told(hf, r, e, HF_OK);
		e->value = answer->result;
		return true;
	}
	client_refused(&a->failure, answer->error);
	if (tried_again(a, r))
		return false;
	told(hf, r, e, r->doubt && client_is_refused_for_now(a->failure.code) ? HF_UNKNOWN : HF_REFUSED);
	return true;
}

/* One message of the link; false: none, or none that is to be told. */
static bool
message(struct hf *hf, struct hf_event *e, bool *more)
{
	struct client_async *a = hf->async;
	struct client_answer answer;
	size_t n;
	const uint8_t *frame = a->state == UP ? client_link_take(&hf->link, &n) : NULL;
	*more = frame != NULL;
	if (!frame)
		return false;
	if (!client_decode(hf->zone, frame, n, &answer)) {
		hf->link.in_at = hf->link.in.used; /* nothing behind it can be believed */
		client_link_break(&hf->link, "sent bytes that are no answer");
		return false;
	}
	client_link_look(&hf->link);
	return answer.notification ? client_watch_notified(&a->watch, &answer, e) : answered(hf, &answer, e);
}

/* The end of a request that is known here. */
static void
ended(struct hf *hf, struct client_request *r, struct hf_event *e)
{
	struct client_async *a = hf->async;
	const char *trouble = a->told_down ? a->trouble.message : "";
	memset(&a->failure, 0, sizeof a->failure);
	snprintf(a->failure.code, sizeof a->failure.code, "%s", r->outcome == HF_UNKNOWN ? "unknown" : "failed");
	snprintf(a->failure.message, sizeof a->failure.message, "%.160s%s%s", trouble, *trouble ? ": " : "",
	    r->outcome == HF_UNKNOWN ? "no answer; it may or may not have happened" : "not sent before its deadline; nothing happened");
	told(hf, r, e, r->outcome);
}

static bool
line_told(struct client_async *a, struct hf_event *e)
{
	if (!a->tell_up && !a->tell_down)
		return false;
	e->kind = a->tell_up ? HF_CONNECTED : HF_DISCONNECTED;
	e->failure = a->tell_up ? NULL : &a->trouble;
	*(a->tell_up ? &a->tell_up : &a->tell_down) = false;
	return true;
}

bool
hf_async_next(struct hf *hf, struct hf_event *e)
{
	struct client_async *a = hf->async;
	struct client_request *r;
	bool more;
	memset(e, 0, sizeof *e);
	if (line_told(a, e))
		return true;
	do
		if (message(hf, e, &more))
			return true;
	while (more);
	if (a->state == UP && hf->link.broken)
		client_async_lose(hf);
	if (line_told(a, e))
		return true;
	client_queue_expire(&a->queue, a->now_ms);
	if ((r = client_queue_done(&a->queue)) == NULL)
		return false;
	ended(hf, r, e);
	return true;
}

/* ---- the blocking calls on it ---- */

enum hf_outcome
client_async_receive(struct hf *hf, uint32_t *number, const struct hf_value **value)
{
	struct hf_event e;
	if (hf->async->watch.wanted)
		return client_fail(hf, HF_FAILED, "this connection watches: take its events with hf_async_next()");
	while (hf->in_flight > 0) {
		while (hf_async_next(hf, &e)) {
			if (e.kind != HF_ANSWER)
				continue;
			*number = e.number;
			*value = e.value;
			if (e.failure)
				hf->failure = *e.failure;
			return e.outcome;
		}
		hf_async_wait(hf, -1);
	}
	return client_fail(hf, HF_FAILED, "nothing is in flight");
}
