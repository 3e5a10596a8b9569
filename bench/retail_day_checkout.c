/*
 * retail_day_checkout.c: one checkout desk: a connection, many baskets in flight. Each basket asks for a hold and then does
 * what its fate says. Every request can be repeated as it is: ids and refs make it harmless. So a lost answer is never guessed
 * about: the request is sent again in the server's next life, and the answer to that one counts.
 *
 *   new ──reserve──▶ held ──commit──▶ committed ──fulfil──▶ fulfilled
 *    └─▶ refused       ├──release──▶ released  └──release──▶ released
 *                      └──(time)───▶ expired, seen by the judge
 */
#include "bench/retail_day.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "net/clock.h"

#define IN_FLIGHT_MAX 128
#define SLOTS 1024 /* request numbers are consecutive and answers come in order or nearly so */
#define ORDINARY_TTL_MS 900000
#define LATER 0.012 /* of the day, between commit and what follows it: 17 minutes */
#define CALL_MS 20000

enum step { STEP_RESERVE, STEP_COMMIT, STEP_FULFIL, STEP_RELEASE, STEPS };
static const char *const step_method[STEPS] = { "reserve", "commit", "fulfil", "release" };

struct todo {
	uint32_t basket;
	uint8_t step;
	bool resent;
	double due;
	int64_t sent_ns;
};

/* A queue that only this desk uses. Room for a todo per basket and step. */
struct queue {
	struct todo *at;
	uint32_t head, tail, room;
};

struct desk {
	struct checkout *checkout;
	struct play *play;
	struct day *day;
	struct hf *hf;
	uint32_t life;
	uint32_t next; /* the next new basket */
	struct queue soon, later; /* commits and releases at once; shipments and cancelled orders after LATER */
	struct queue again; /* sent in an earlier life, never answered */
	struct todo slot[SLOTS]; /* by request number */
	bool used[SLOTS];
	double slowest_ms;
	uint64_t answers, repeated, anew;
};

void
basket_id(uint32_t basket, char id[24])
{
	snprintf(id, 24, "basket-%07u", basket);
}

static void
queue_put(struct queue *q, struct todo todo)
{
	q->at = day_grow(q->at, q->tail, &q->room, sizeof *q->at);
	q->at[q->tail++] = todo;
}

static bool
queue_due(const struct queue *q, double now)
{
	return q->head < q->tail && q->at[q->head].due <= now;
}

static int64_t
ttl_ms(const struct basket *b)
{
	return b->fate == FATE_ABANDON ? ABANDON_TTL_MS : ORDINARY_TTL_MS;
}

static void
build(struct desk *d, const struct todo *todo)
{
	struct hf *hf = d->hf;
	const struct basket *b = &d->day->baskets[todo->basket];
	char id[24];
	basket_id(todo->basket, id);
	hf_begin(hf, step_method[todo->step]);
	hf_array(hf, todo->step == STEP_RESERVE ? 3 : 2);
	hf_put_str(hf, id);
	if (todo->step != STEP_RESERVE) {
		hf_map(hf, 1);
		hf_put_str(hf, "ref");
		hf_put_str(hf, step_method[todo->step]);
		return;
	}
	hf_array(hf, b->lines_n);
	for (uint32_t i = 0; i < b->lines_n; i++) {
		const struct line *line = &d->day->lines[b->line + i];
		const struct cell *cell = &d->day->cells[line->cell];
		hf_array(hf, 3);
		hf_put_str(hf, d->day->skus[cell->sku]);
		hf_put_str(hf, d->day->locations[cell->location]);
		hf_put_int(hf, line->qty);
	}
	hf_map(hf, 2);
	hf_put_str(hf, "ttl_ms");
	hf_put_int(hf, ttl_ms(b));
	hf_put_str(hf, "channel");
	hf_put_str(hf, "web");
}

static bool
send_one(struct desk *d, struct todo todo)
{
	build(d, &todo);
	uint32_t number = hf_send(d->hf);
	todo.sent_ns = clock_steady_ns();
	if (number == 0) { /* the connection broke: to be sent in the next life */
		queue_put(&d->again, todo);
		return false;
	}
	d->slot[number % SLOTS] = todo;
	d->used[number % SLOTS] = true;
	if (todo.step == STEP_RESERVE && !todo.resent)
		d->checkout->asked++;
	return true;
}

/* Takes the next thing to do, oldest duty first. false: nothing is due. */
static bool
next_todo(struct desk *d, double now, struct todo *todo)
{
	struct queue *q = queue_due(&d->again, 2) ? &d->again : queue_due(&d->later, now) ? &d->later : &d->soon;
	if (queue_due(q, q == &d->later ? now : 2)) {
		*todo = q->at[q->head++];
		return true;
	}
	if (d->next >= d->day->baskets_n || d->day->baskets[d->next].due > now)
		return false;
	*todo = (struct todo){ .basket = d->next, .step = STEP_RESERVE };
	d->next += CHECKOUTS;
	return true;
}

static void
granted(struct desk *d, const struct todo *todo, struct basket *b, uint64_t seq, int64_t expires_at)
{
	b->granted_seq = seq;
	b->expires_at = expires_at;
	b->stamp = expires_at - ttl_ms(b);
	b->state = BASKET_HELD;
	d->checkout->granted++;
	switch ((enum fate)b->fate) {
	case FATE_SHIP:
	case FATE_LEAVE_COMMITTED:
	case FATE_CANCEL_ORDER:
		queue_put(&d->soon, (struct todo){ .basket = todo->basket, .step = STEP_COMMIT });
		return;
	case FATE_CANCEL_CART:
		queue_put(&d->soon, (struct todo){ .basket = todo->basket, .step = STEP_RELEASE });
		return;
	case FATE_ABANDON:
		d->checkout->abandoned++;
		return;
	case FATE_LEAVE_HELD:
	case FATES:
		d->checkout->left_held++;
		return;
	}
}

static void
committed(struct desk *d, const struct todo *todo, struct basket *b)
{
	b->state = BASKET_COMMITTED;
	d->checkout->committed++;
	if (b->fate != FATE_LEAVE_COMMITTED)
		queue_put(&d->later, (struct todo){ .basket = todo->basket, .due = play_now(d->play) + LATER,
			.step = b->fate == FATE_SHIP ? STEP_FULFIL : STEP_RELEASE });
}

static void
took(struct desk *d, const struct todo *todo, const struct hf_value *value)
{
	struct basket *b = &d->day->baskets[todo->basket];
	uint64_t seq = (uint64_t)hf_int(hf_get(value, "seq"), 0);
	const struct hf_value *again = hf_get(value, "again");
	if (todo->resent)
		*(again && again->type == HF_BOOL && again->boolean ? &d->repeated : &d->anew) += 1;
	switch ((enum step)todo->step) {
	case STEP_RESERVE:
		granted(d, todo, b, seq, hf_int(hf_get(value, "expires_at"), 0));
		return;
	case STEP_COMMIT:
		committed(d, todo, b);
		return;
	case STEP_FULFIL:
		b->state = BASKET_FULFILLED;
		d->checkout->shipped++;
		break;
	case STEP_RELEASE:
	case STEPS:
		b->state = BASKET_RELEASED;
		d->checkout->cancelled++;
		break;
	}
	b->ended_seq = seq;
}

/* A refusal that time heals is asked again; sold out is an answer; any other is a failure of the demo. */
static bool
refused(struct desk *d, const struct todo *todo, const struct hf_failure *failure)
{
	if (strcmp(failure->code, "overloaded") == 0 || strcmp(failure->code, "unknown") == 0) {
		struct todo again = *todo;
		again.resent |= strcmp(failure->code, "unknown") == 0;
		queue_put(&d->again, again);
		return true;
	}
	if (todo->step == STEP_RESERVE && strcmp(failure->code, "insufficient") == 0) {
		d->day->baskets[todo->basket].state = BASKET_REFUSED;
		d->checkout->refused++;
		d->anew += todo->resent;
		return true;
	}
	play_fail(d->play, "%s of basket %u was refused: %s: %s", step_method[todo->step], todo->basket, failure->code, failure->message);
	return false;
}

/* Takes one answer. false: the connection is gone (or the play has failed). */
static bool
receive_one(struct desk *d)
{
	uint32_t number;
	const struct hf_value *value;
	enum hf_outcome got = hf_receive(d->hf, &number, &value);
	if (number == 0)
		return false;
	struct todo *todo = &d->slot[number % SLOTS];
	double ms = (double)(clock_steady_ns() - todo->sent_ns) / 1e6;
	d->used[number % SLOTS] = false;
	d->slowest_ms = ms > d->slowest_ms ? ms : d->slowest_ms;
	d->answers++;
	if (got == HF_OK)
		took(d, todo, value);
	else
		return refused(d, todo, hf_error(d->hf));
	return true;
}

static void
report(struct desk *d)
{
	struct play *p = d->play;
	pthread_mutex_lock(&p->lock);
	p->answers += d->answers;
	p->again += d->repeated;
	p->anew += d->anew;
	p->slowest_ms = d->slowest_ms > p->slowest_ms ? d->slowest_ms : p->slowest_ms;
	pthread_mutex_unlock(&p->lock);
	d->answers = d->repeated = d->anew = 0;
	d->slowest_ms = 0;
}

/* After a broken connection: what was in flight comes first in the next life. */
static bool
begin_life(struct desk *d)
{
	struct hf_failure failure;
	uint16_t rpc, events;
	uint64_t unanswered = 0;
	for (uint32_t i = 0; i < SLOTS; i++)
		if (d->used[i]) {
			struct todo todo = d->slot[i];
			todo.resent = true;
			d->day->baskets[todo.basket].resent = true;
			queue_put(&d->again, todo);
			d->used[i] = false;
			unanswered++;
		}
	hf_close(d->hf);
	d->hf = NULL;
	pthread_mutex_lock(&d->play->lock);
	d->play->unanswered_requests += unanswered;
	pthread_mutex_unlock(&d->play->lock);
	if (!play_await(d->play, &d->life, &rpc, &events))
		return false;
	d->hf = hf_connect("127.0.0.1", rpc, CALL_MS, &failure);
	if (!d->hf)
		play_fail(d->play, "%s", failure.message);
	return d->hf != NULL;
}

static bool
finished(const struct desk *d)
{
	return d->next >= d->day->baskets_n && d->soon.head == d->soon.tail && d->later.head == d->later.tail &&
	    d->again.head == d->again.tail && hf_in_flight(d->hf) == 0;
}

/* Sends what is due and takes half of the answers; false: the connection is gone. */
static bool
turn(struct desk *d)
{
	struct timespec pause = { 0, 500000 };
	struct todo todo;
	double now = play_now(d->play);
	while (hf_in_flight(d->hf) < IN_FLIGHT_MAX && next_todo(d, now, &todo))
		if (!send_one(d, todo))
			return false;
	uint32_t target = hf_in_flight(d->hf) / 2;
	if (hf_in_flight(d->hf) == 0)
		nanosleep(&pause, NULL);
	while (hf_in_flight(d->hf) > target)
		if (!receive_one(d))
			return false;
	return true;
}

void *
checkout_main(void *checkout)
{
	struct desk *d = calloc(1, sizeof *d);
	d->checkout = checkout;
	d->play = d->checkout->play;
	d->day = d->play->day;
	d->next = d->checkout->index;
	bool going = begin_life(d);
	while (going && !finished(d)) {
		if (!turn(d))
			going = begin_life(d);
		if (d->answers >= 256)
			report(d);
	}
	report(d);
	hf_close(d->hf);
	pthread_mutex_lock(&d->play->lock);
	d->play->checkouts_over++;
	pthread_mutex_unlock(&d->play->lock);
	free(d->soon.at);
	free(d->later.at);
	free(d->again.at);
	free(d);
	return NULL;
}
