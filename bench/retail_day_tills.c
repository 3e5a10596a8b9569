/*
 * retail_day_tills.c: tills, back doors and clerks: their events go through the gate in messages of up to a hundred, many
 * messages in flight. A message whose answer was lost is sent again whole; what the server had taken already it calls
 * "duplicate", and then it is asked where that event stands.
 */
#include "bench/retail_day.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "net/clock.h"
#include "net/codec_read.h"
#include "net/codec_write.h"
#include "net/gate_post.h"

#define MESSAGE_FACTS 100
#define IN_FLIGHT 32 /* x MESSAGE_FACTS stays inside the window of 4,096 numbers of a source (D28) */
#define CALL_MS 20000

struct message {
	uint32_t first, n; /* facts; n = 0: free */
	bool resent;
};

struct sender {
	struct tills *tills;
	struct play *play;
	struct day *day;
	struct gate_post *post;
	struct hf *hf; /* asks for positions of duplicates */
	uint32_t life, next;
	struct message message[IN_FLIGHT];
	struct buffer bytes;
};

static void
put_fact(struct sender *s, const struct fact *f)
{
	static const char *const kind[FACT_KINDS] = { "receipt", "sale", "return", "adjust", "count" };
	struct buffer *b = &s->bytes;
	const struct cell *cell = &s->day->cells[f->cell];
	put_map(b, 8 + (f->kind == FACT_ADJUST));
	put_text(b, "v"), put_int(b, 1);
	put_text(b, "source"), put_text(b, s->day->sources[f->source]);
	put_text(b, "n"), put_uint(b, f->n);
	put_text(b, "kind"), put_text(b, kind[f->kind]);
	put_text(b, "sku"), put_text(b, s->day->skus[cell->sku]);
	put_text(b, "location"), put_text(b, s->day->locations[cell->location]);
	put_text(b, "qty"), put_int(b, f->qty);
	put_text(b, "at"), put_int(b, f->at); /* of a count also its as-of */
	if (f->kind == FACT_ADJUST)
		put_text(b, "reason"), put_text(b, "found by the clerk");
}

static bool
send_message(struct sender *s, uint32_t slot)
{
	struct why why;
	struct message *m = &s->message[slot];
	s->bytes.used = 0;
	put_array(&s->bytes, m->n);
	for (uint32_t i = 0; i < m->n; i++)
		put_fact(s, &s->day->facts[m->first + i]);
	if (gate_post_send(s->post, slot, s->bytes.at, s->bytes.used, &why) == 1)
		return true;
	play_fail(s->play, "the gate's sender: %s", why.text);
	return false;
}

/* A duplicate was taken before: the server says where, and what came of it then. */
static bool
ask_where(struct sender *s, struct fact *f)
{
	const struct hf_value *value;
	if (hf_outcome_of_event(s->hf, s->day->sources[f->source], f->n, &value) != HF_OK)
		return false;
	const struct hf_value *status = hf_get(value, "status");
	f->seq = (uint64_t)hf_int(hf_get(value, "seq"), 0);
	f->outcome = FACT_APPLIED;
	if (status && status->type == HF_STR && status->str.n == 8)
		f->outcome = memcmp(status->str.at, "rejected", 8) == 0 ? FACT_REJECTED
		    : memcmp(status->str.at, "absorbed", 8) == 0 ? FACT_ABSORBED : FACT_APPLIED;
	return f->seq != 0;
}

/* One outcome. false: no sense in it. */
static bool
take_outcome(struct sender *s, struct reader *r, struct fact *f, bool *duplicate)
{
	struct bytes word;
	uint32_t pairs;
	f->outcome = FACT_APPLIED;
	if (reader_str(r, &word)) {
		*duplicate = word.n == 9 && memcmp(word.at, "duplicate", 9) == 0;
		f->outcome = word.n == 8 && memcmp(word.at, "absorbed", 8) == 0 ? FACT_ABSORBED : FACT_APPLIED;
		s->tills->duplicates += *duplicate;
		s->tills->absorbed += f->outcome == FACT_ABSORBED;
		s->tills->applied += f->outcome == FACT_APPLIED && !*duplicate;
		return true;
	}
	if (!reader_map(r, &pairs) || pairs == 0 || !reader_str(r, &word))
		return false;
	if (word.n == 10 && memcmp(word.at, "reconciled", 10) == 0)
		s->tills->applied++;
	else {
		f->outcome = FACT_REJECTED;
		s->tills->rejected++;
	}
	for (uint32_t i = 0; i < 2 * pairs - 1; i++)
		if (!reader_skip(r))
			return false;
	return true;
}

/*
 * {seq, outcomes}. The events of one message take consecutive positions and seq is the last one's, unless some were
 * duplicates: then each is asked for.
 */
static bool
take_answer(struct sender *s, struct message *m, const uint8_t *reply, size_t n)
{
	struct reader r = { reply, reply + n };
	struct bytes key;
	uint32_t pairs, outcomes = 0;
	int64_t seq = 0;
	uint64_t known = 0;
	bool duplicate, any = false;
	if (!reader_map(&r, &pairs))
		return false;
	for (uint32_t p = 0; p < pairs; p++) {
		if (!reader_str(&r, &key))
			return false;
		if (key.n == 3 && memcmp(key.at, "seq", 3) == 0 && reader_int(&r, &seq))
			continue;
		if (key.n != 8 || memcmp(key.at, "outcomes", 8) != 0 || !reader_array(&r, &outcomes) || outcomes != m->n)
			return false;
		for (uint32_t i = 0; i < m->n; i++) {
			duplicate = false;
			if (!take_outcome(s, &r, &s->day->facts[m->first + i], &duplicate))
				return false;
			s->day->facts[m->first + i].resent = m->resent;
			any |= duplicate;
			known += duplicate;
		}
	}
	for (uint32_t i = 0; i < m->n && seq > 0; i++)
		if (!any)
			s->day->facts[m->first + i].seq = (uint64_t)seq - (m->n - 1 - i);
		else if (s->day->facts[m->first + i].outcome != FACT_REJECTED && !ask_where(s, &s->day->facts[m->first + i]))
			return false;
	pthread_mutex_lock(&s->play->lock);
	s->play->facts_sent += m->n;
	s->play->again += known;
	s->play->anew += m->resent ? m->n - known : 0;
	pthread_mutex_unlock(&s->play->lock);
	return seq > 0;
}

static uint32_t
free_slot(const struct sender *s)
{
	uint32_t slot = 0;
	while (slot < IN_FLIGHT && s->message[slot].n > 0)
		slot++;
	return slot;
}

static bool
send_due(struct sender *s)
{
	double now = s->tills->paced ? play_now(s->play) : 2;
	uint32_t slot, end = s->next;
	while ((slot = free_slot(s)) < IN_FLIGHT) {
		while (end < s->tills->to && end - s->next < MESSAGE_FACTS && s->day->facts[end].due <= now)
			end++;
		if (end == s->next)
			return true;
		s->message[slot] = (struct message){ .first = s->next, .n = end - s->next };
		s->next = end;
		s->tills->messages++;
		if (!send_message(s, slot))
			return false;
	}
	return true;
}

/* false: the server is down (or the play has failed). */
static bool
receive_some(struct sender *s)
{
	uint64_t slot;
	const uint8_t *reply;
	size_t n;
	struct why why;
	int got, timeout_ms = gate_post_in_flight(s->post) == IN_FLIGHT || s->next == s->tills->to ? 50 : 1;
	bool up;
	while ((got = gate_post_receive(s->post, timeout_ms, &slot, &reply, &n, &why)) == 1) {
		if (!take_answer(s, &s->message[slot], reply, n)) {
			play_fail(s->play, "the gate answered something else than outcomes");
			return false;
		}
		s->message[slot].n = 0;
		timeout_ms = 0;
	}
	if (got < 0)
		play_fail(s->play, "the gate: %s", why.text);
	pthread_mutex_lock(&s->play->lock);
	up = s->play->up && !s->play->failed && s->play->life == s->life;
	pthread_mutex_unlock(&s->play->lock);
	return up && got >= 0;
}

static bool
begin_life(struct sender *s)
{
	uint16_t rpc, events;
	struct why why;
	struct hf_failure failure;
	uint64_t unanswered = 0;
	gate_post_close(s->post);
	hf_close(s->hf);
	s->post = NULL;
	s->hf = NULL;
	for (uint32_t i = 0; i < IN_FLIGHT; i++)
		unanswered += s->message[i].n;
	pthread_mutex_lock(&s->play->lock);
	s->play->unanswered_events += unanswered;
	pthread_mutex_unlock(&s->play->lock);
	if (!play_await(s->play, &s->life, &rpc, &events))
		return false;
	s->post = gate_post_open("127.0.0.1", events, &why);
	s->hf = hf_connect("127.0.0.1", rpc, CALL_MS, &failure);
	if (!s->post || !s->hf) {
		play_fail(s->play, "%s", s->post ? failure.message : why.text);
		return false;
	}
	for (uint32_t i = 0; i < IN_FLIGHT; i++) {
		s->message[i].resent = true;
		if (s->message[i].n > 0 && !send_message(s, i))
			return false;
	}
	return true;
}

void *
tills_main(void *tills)
{
	struct sender *s = calloc(1, sizeof *s);
	s->tills = tills;
	s->play = s->tills->play;
	s->day = s->play->day;
	s->next = s->tills->from;
	bool going = begin_life(s);
	while (going && (s->next < s->tills->to || gate_post_in_flight(s->post) > 0))
		if (!send_due(s) || !receive_some(s))
			going = begin_life(s);
	gate_post_close(s->post);
	hf_close(s->hf);
	buffer_fini(&s->bytes);
	free(s);
	pthread_mutex_lock(&((struct tills *)tills)->play->lock);
	((struct tills *)tills)->play->tills_done++;
	pthread_mutex_unlock(&((struct tills *)tills)->play->lock);
	return NULL;
}
