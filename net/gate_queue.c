/* gate_queue.c: a ring by number, and chains by digest through it. A chain ends at the first number that is no longer kept. */
#include "net/gate_queue.h"

#include <stdlib.h>

#define WORD_BYTES 4

int
gate_queue_init(struct gate_queue *q, uint64_t secret)
{
	*q = (struct gate_queue){ .seed = hash_seed(secret) };
	q->slots = calloc(GATE_SLOTS, sizeof *q->slots);
	q->buckets = calloc(GATE_SLOTS, sizeof *q->buckets);
	if (q->slots && q->buckets)
		return 0;
	gate_queue_fini(q);
	return -1;
}

void
gate_queue_fini(struct gate_queue *q)
{
	for (uint32_t i = 0; q->slots && i < GATE_SLOTS; i++) {
		if (q->slots[i].message)
			raw_free(q->slots[i].message);
		free(q->slots[i].answer);
	}
	free(q->slots);
	free(q->buckets);
	memset(q, 0, sizeof *q);
}

bool
gate_queue_room(const struct gate_queue *q)
{
	return q->next - q->first < GATE_MESSAGES_MAX && q->bytes < GATE_BYTES_MAX;
}

/* Of the request's own number (the header's last word; devices on the way do not change it) and the message. */
static uint64_t
digest_of(const struct gate_queue *q, const struct gate_message *m)
{
	uint32_t word = 0;
	if (m->header.n >= WORD_BYTES)
		memcpy(&word, m->header.at + m->header.n - WORD_BYTES, WORD_BYTES);
	return hash_placed(&q->seed, (struct bytes){ m->at, (uint32_t)m->n }) ^ hash_placed_pair(&q->seed, word, (uint32_t)m->n);
}

static uint64_t *
bucket_of(struct gate_queue *q, uint64_t digest)
{
	return &q->buckets[(digest >> 32) % GATE_SLOTS]; /* the half that counts: hash_seed */
}

/* Only what was answered is ever forgotten: kept stays behind first. */
static void
forget_oldest(struct gate_queue *q)
{
	struct gate_request *r = gate_queue_at(q, q->kept++);
	ensure(r->state == REQUEST_ANSWERED);
	q->kept_bytes -= r->answer_n;
	free(r->answer);
	r->answer = NULL;
	r->answer_n = 0;
}

/* The first word of a header is the connection's key. What has none came by PUSH or from the spool. */
static uint16_t
peer_of(const struct raw_header *header)
{
	return header->n < WORD_BYTES ? 0 : (uint16_t)(hash_bytes((struct bytes){ header->at, WORD_BYTES }) % GATE_PEERS);
}

static void
line_choose(struct gate_queue *q, struct gate_request *r)
{
	r->peer = peer_of(&r->header);
	r->line = r->events_n >= HEAVY_EVENTS_MIN || q->heavy_of[r->peer] > 0 ? QUEUE_HEAVY : QUEUE_LIGHT;
	q->heavy_of[r->peer] += r->line == QUEUE_HEAVY;
}

void
gate_queue_turn(struct gate_queue *q, struct gate_request *r, enum gate_request_state state)
{
	uint32_t events = r->line == QUEUE_HEAVY ? r->events_n : 0;
	q->heavy_sent -= r->state == REQUEST_SENT ? events : 0;
	q->heavy_sent += state == REQUEST_SENT ? events : 0;
	r->state = state;
}

void
gate_queue_add(struct gate_queue *q, const struct gate_message *m)
{
	ensure(gate_queue_room(q));
	if (q->next - q->kept == GATE_SLOTS)
		forget_oldest(q);
	struct gate_request *r = gate_queue_at(q, q->next);
	*r = (struct gate_request){ .state = REQUEST_QUEUED, .origin = m->origin, .header = m->header, .message = m->at, .n = m->n,
		.body = m->body, .number = m->number, .events_n = m->events_n };
	line_choose(q, r);
	r->head_n = frame_head(r->head, (uint32_t)q->next, m->form);
	q->next++;
	q->unanswered++;
	q->bytes += m->n;
	if (m->header.n == 0)
		return;
	r->digest = m->digest;
	uint64_t *bucket = bucket_of(q, r->digest);
	r->next_alike = *bucket;
	*bucket = q->next;
}

static bool
same_connection(const struct raw_header *a, const struct raw_header *b)
{
	return a->n == b->n && memcmp(a->at, b->at, a->n) == 0;
}

struct gate_request *
gate_queue_find(struct gate_queue *q, struct gate_message *m)
{
	if (m->header.n == 0)
		return NULL;
	uint64_t digest = m->digest = digest_of(q, m);
	uint64_t link = *bucket_of(q, digest);
	while (link > q->kept) {
		struct gate_request *r = gate_queue_at(q, link - 1);
		if (r->digest == digest && r->state != REQUEST_ANSWERED && r->n == m->n && memcmp(r->message, m->at, m->n) == 0)
			return r;
		if (r->digest == digest && r->answer && same_connection(&r->header, &m->header))
			return r;
		link = r->next_alike;
	}
	return NULL;
}

struct gate_request *
gate_queue_sent(struct gate_queue *q, uint32_t msgid, uint64_t *number)
{
	uint64_t ahead = (uint32_t)(msgid - (uint32_t)q->first);
	struct gate_request *r = gate_queue_at(q, q->first + ahead);
	if (ahead >= q->next - q->first || r->state != REQUEST_SENT)
		return NULL;
	*number = q->first + ahead;
	return r;
}

static void
answer_keep(struct gate_queue *q, struct gate_request *r, const struct raw_part *parts, int parts_n)
{
	size_t n = 0, at = 0;
	for (int i = 0; i < parts_n; i++)
		n += parts[i].n;
	r->answer = n > 0 && n <= GATE_KEPT_BYTES_MAX / 4 ? malloc(n) : NULL;
	if (!r->answer)
		return;
	for (int i = 0; i < parts_n; at += parts[i++].n)
		memcpy(r->answer + at, parts[i].at, parts[i].n);
	r->answer_n = n;
	q->kept_bytes += n;
}

void
gate_queue_answered(struct gate_queue *q, struct gate_request *r, const struct raw_part *parts, int parts_n)
{
	ensure(r->state != REQUEST_ANSWERED && q->unanswered > 0);
	raw_free(r->message);
	r->message = NULL;
	q->bytes -= r->n;
	q->unanswered--;
	q->heavy_of[r->peer] -= r->line == QUEUE_HEAVY;
	gate_queue_turn(q, r, REQUEST_ANSWERED);
	answer_keep(q, r, parts, parts_n);
	while (q->first < q->next && gate_queue_at(q, q->first)->state == REQUEST_ANSWERED)
		q->first++;
	while (q->kept < q->first && q->kept_bytes > GATE_KEPT_BYTES_MAX)
		forget_oldest(q);
}
