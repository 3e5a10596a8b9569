/*
 * sim_log.c: batches in one growing array. A claim raises the store's epoch; an append compares it, as the replicated log's
 * `where epoch = $e and tail = $n - 1` does.
 */
#include "tests/sim_log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct sim_store {
	pthread_mutex_t lock;
	struct log_batch *batches; /* payloads are the store's; trimmed ones stay until the end, for readers */
	size_t n, max, trimmed; /* batches[0..trimmed) are gone */
	uint64_t epoch, appends, unknown_at, fence_at, fired;
	bool unknown_applied, closed;
};

struct sim_log {
	struct log log;
	struct sim_store *store;
	uint64_t epoch; /* 0: not claimed */
	bool broken;
};

struct log_reader {
	struct sim_store *store;
	uint64_t next_seq;
};

static struct sim_log *
sim_of(struct log *log)
{
	return (struct sim_log *)log;
}

static uint64_t
end_of(const struct log_batch *batch)
{
	return batch->first_seq + batch->steps - 1;
}

static uint64_t
last_seq(const struct sim_store *s)
{
	return s->n ? end_of(&s->batches[s->n - 1]) : 0;
}

static uint64_t
oldest_seq(const struct sim_store *s)
{
	return s->trimmed < s->n ? s->batches[s->trimmed].first_seq : last_seq(s) + 1;
}

static int
sim_claim(struct log *log, struct log_tail *tail, struct why *why)
{
	struct sim_log *l = sim_of(log);
	struct sim_store *s = l->store;

	pthread_mutex_lock(&s->lock);
	l->epoch = ++s->epoch;
	l->broken = false;
	*tail = (struct log_tail){ .epoch = s->epoch, .last_seq = last_seq(s), .oldest_seq = oldest_seq(s),
		.last_stamp_ms = s->n ? s->batches[s->n - 1].stamp_ms : 0, .closed_cleanly = s->closed };
	s->closed = false;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static void
store_put(struct sim_store *s, const struct log_batch *batch)
{
	if (s->n == s->max) {
		s->max = s->max ? s->max * 2 : 256;
		s->batches = realloc(s->batches, s->max * sizeof *s->batches);
		ensure(s->batches);
	}
	uint8_t *payload = malloc(batch->payload_n + 1);
	ensure(payload);
	if (batch->payload_n)
		memcpy(payload, batch->payload, batch->payload_n);
	s->batches[s->n] = *batch;
	s->batches[s->n++].payload = payload;
}

static enum log_outcome
append_locked(struct sim_log *l, const struct log_batch *batch, struct why *why)
{
	struct sim_store *s = l->store;

	s->appends++;
	if (s->appends == s->fence_at) {
		s->epoch++;
		s->fired++;
	}
	if (l->broken) {
		snprintf(why->text, sizeof why->text, "an earlier append had an unknown outcome");
		return LOG_UNKNOWN;
	}
	if (l->epoch != s->epoch || batch->epoch != s->epoch) {
		snprintf(why->text, sizeof why->text, "another leader has claimed the log");
		return LOG_FENCED;
	}
	ensure(batch->first_seq == last_seq(s) + 1 && batch->steps > 0);
	bool unknown = s->appends == s->unknown_at;
	if (!unknown || s->unknown_applied)
		store_put(s, batch);
	if (!unknown)
		return LOG_DURABLE;
	s->fired++;
	l->broken = true;
	snprintf(why->text, sizeof why->text, "the outcome of the append is unknown (injected)");
	return LOG_UNKNOWN;
}

static enum log_outcome
sim_append(struct log *log, const struct log_batch *batch, struct why *why)
{
	struct sim_log *l = sim_of(log);

	pthread_mutex_lock(&l->store->lock);
	enum log_outcome outcome = append_locked(l, batch, why);
	pthread_mutex_unlock(&l->store->lock);
	return outcome;
}

static enum log_outcome
sim_resolve(struct log *log, uint64_t first_seq, struct why *why)
{
	struct sim_store *s = sim_of(log)->store;
	bool there = false;

	pthread_mutex_lock(&s->lock);
	for (size_t i = s->n; i-- > 0 && !there;)
		there = s->batches[i].first_seq == first_seq;
	pthread_mutex_unlock(&s->lock);
	if (!there)
		snprintf(why->text, sizeof why->text, "no batch begins at %llu", (unsigned long long)first_seq);
	return there ? LOG_DURABLE : LOG_FENCED;
}

static struct log_reader *
sim_read_open(struct log *log, uint64_t from, bool *gone, struct why *why)
{
	struct sim_store *s = sim_of(log)->store;
	struct log_reader *r = malloc(sizeof *r);

	ensure(r);
	pthread_mutex_lock(&s->lock);
	uint64_t oldest = oldest_seq(s);
	pthread_mutex_unlock(&s->lock);
	*gone = from && from < oldest;
	*r = (struct log_reader){ .store = s, .next_seq = from ? from : oldest };
	if (*gone) {
		snprintf(why->text, sizeof why->text, "position %llu is gone", (unsigned long long)from);
		free(r);
		return NULL;
	}
	return r;
}

static int
sim_read_next(struct log_reader *r, uint64_t up_to, struct log_batch *batch, struct why *why)
{
	struct sim_store *s = r->store;
	int got = 0;

	pthread_mutex_lock(&s->lock);
	if (r->next_seq < oldest_seq(s)) {
		snprintf(why->text, sizeof why->text, "position %llu is gone", (unsigned long long)r->next_seq);
		got = -1;
	}
	size_t low = s->trimmed, high = s->n; /* the first batch that ends at or behind next_seq */
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (end_of(&s->batches[middle]) < r->next_seq)
			low = middle + 1;
		else
			high = middle;
	}
	if (got == 0 && low < s->n && end_of(&s->batches[low]) <= up_to) {
		*batch = s->batches[low];
		r->next_seq = end_of(batch) + 1;
		got = 1;
	}
	pthread_mutex_unlock(&s->lock);
	return got;
}

static void
sim_read_close(struct log_reader *r)
{
	free(r);
}

static int
sim_trim(struct log *log, uint64_t before, struct why *why)
{
	struct sim_store *s = sim_of(log)->store;

	pthread_mutex_lock(&s->lock);
	while (s->trimmed < s->n && end_of(&s->batches[s->trimmed]) < before)
		s->trimmed++;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int
sim_prepare(struct log *log, struct why *why)
{
	return 0;
}

static uint64_t
sim_bytes(struct log *log)
{
	struct sim_store *s = sim_of(log)->store;
	uint64_t bytes = 0;

	pthread_mutex_lock(&s->lock);
	for (size_t i = s->trimmed; i < s->n; i++)
		bytes += s->batches[i].payload_n;
	pthread_mutex_unlock(&s->lock);
	return bytes;
}

static void
sim_close(struct log *log)
{
	struct sim_log *l = sim_of(log);

	pthread_mutex_lock(&l->store->lock);
	if (l->epoch && l->epoch == l->store->epoch && !l->broken)
		l->store->closed = true;
	pthread_mutex_unlock(&l->store->lock);
	free(l);
}

static const struct log_calls sim_calls = {
	.claim = sim_claim,
	.append = sim_append,
	.resolve = sim_resolve,
	.read_open = sim_read_open,
	.read_next = sim_read_next,
	.read_close = sim_read_close,
	.trim = sim_trim,
	.prepare = sim_prepare,
	.bytes = sim_bytes,
	.close = sim_close,
};

struct log *
sim_log_open(struct sim_store *store)
{
	struct sim_log *l = calloc(1, sizeof *l);

	ensure(l);
	l->log.calls = &sim_calls;
	l->store = store;
	return &l->log;
}

struct sim_store *
sim_store_new(void)
{
	struct sim_store *s = calloc(1, sizeof *s);

	ensure(s);
	pthread_mutex_init(&s->lock, NULL);
	return s;
}

void
sim_store_free(struct sim_store *s)
{
	for (size_t i = 0; i < s->n; i++)
		free((void *)s->batches[i].payload);
	free(s->batches);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

void
sim_log_unknown_at(struct sim_store *s, uint64_t k, bool applied)
{
	pthread_mutex_lock(&s->lock);
	s->unknown_at = s->appends + k;
	s->unknown_applied = applied;
	pthread_mutex_unlock(&s->lock);
}

void
sim_log_fence_at(struct sim_store *s, uint64_t k)
{
	pthread_mutex_lock(&s->lock);
	s->fence_at = s->appends + k;
	pthread_mutex_unlock(&s->lock);
}

uint64_t
sim_log_fired(const struct sim_store *s)
{
	return s->fired;
}
