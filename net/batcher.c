/*
 * batcher.c: batches, the journal thread, the durable position. The contract and B1..B4 are in batcher.h.
 *
 * Who touches what:
 *   engine's thread    open, free stack, opened count
 *   under the mutex    sealed count (engine writes, journal reads), stop; the queue's places below it are the journal's until they are done
 *   journal -> engine  `done` (release): batches below it are free again
 *   journal -> all     `durable`, `failed` (release); `append_since_ms` (0: idle), `pace_ns`
 *   follower <-> journal  `follower`: who goes to sleep stores its bell, then loads `durable`; who makes durable stores that, then takes
 *                      the bell. All four are sequentially consistent, so one of them sees the other
 * A stale `durable` delays a reply until the bell; a stale `append_since_ms` delays an `overloaded` by one look.
 */
#define _GNU_SOURCE
#include "net/batcher.h"
#include "net/clock.h"
#include "net/thread.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct batch {
	struct step_buffer steps;
	int64_t opened_ms, stamp_ms; /* the latter: in force */
};

struct batcher {
	struct engine *engine;
	struct log *log;
	uint64_t epoch;
	size_t batch_bytes;
	struct batch batches[BATCHES], merged; /* the journal's: of those that wait */

	struct batch *open; /* NULL: none */
	struct batch *idle[BATCHES]; /* a stack, so that warm memory is used again first */
	unsigned idle_n;
	uint64_t reclaimed; /* batches of `done` that are back on the stack */
	size_t waiting_bytes; /* of those that are not */
	uint64_t expire_rounds;

	/* B5 */
	uint64_t hope_done; /* `done` when the journal last came to rest */
	int64_t hope_until_ns, watch_until_ns;
	uint32_t hope_steps; /* the open batch is worth sealing from so many steps on */
	uint32_t hopeless; /* batches until hoping is tried again */
	uint32_t sealed_steps; /* of the batch sealed last */
	bool hoping;

	pthread_t journal;
	bool running;
	pthread_mutex_t lock;
	pthread_cond_t work, rest; /* something was sealed; something was done */
	struct batch *queue[BATCHES]; /* by number mod BATCHES */
	uint64_t sealed;
	bool stop;

	_Atomic uint64_t done;
	_Atomic uint64_t durable;
	_Atomic int failed;
	_Atomic int64_t append_since_ms;
	_Atomic uint64_t steps, payload_bytes, append_us_last, append_us_max;
	_Atomic int64_t pace_ns; /* of the journal's thread: a KiB in a long append, the mean of the last ones; 0: none yet */
	struct why why; /* written before `failed` */
	int bells[BELLS_MAX];
	_Atomic int follower; /* an eventfd; -1: nobody sleeps */
	_Atomic unsigned bells_n; /* engine (release, behind the bell itself) -> journal */
};

struct batcher *
batcher_new(struct engine *engine, struct log *log, const struct log_tail *tail, size_t batch_bytes, struct why *why)
{
	struct batcher *b = calloc(1, sizeof *b);
	ensure(batch_bytes >= BATCH_BYTES_MIN);
	uint8_t *room = mmap(NULL, batch_bytes * (BATCHES + 1), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!b || room == MAP_FAILED) {
		free(b);
		if (room != MAP_FAILED)
			munmap(room, batch_bytes * (BATCHES + 1));
		snprintf(why->text, sizeof why->text, "no memory for %d batches of %zu bytes", BATCHES + 1, batch_bytes);
		return NULL;
	}
	b->engine = engine;
	b->log = log;
	b->epoch = tail->epoch;
	b->batch_bytes = batch_bytes;
	for (unsigned i = 0; i < BATCHES; i++) {
		b->batches[i].steps.bytes = room + i * batch_bytes;
		b->batches[i].steps.size = batch_bytes;
		b->idle[b->idle_n++] = &b->batches[i];
	}
	b->merged.steps.bytes = room + BATCHES * batch_bytes;
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->work, NULL);
	pthread_cond_init(&b->rest, NULL);
	atomic_store_explicit(&b->durable, tail->last_seq, memory_order_relaxed);
	atomic_store_explicit(&b->follower, -1, memory_order_relaxed);
	return b;
}

void
batcher_bell(struct batcher *b, int eventfd)
{
	unsigned n = atomic_load_explicit(&b->bells_n, memory_order_relaxed);
	ensure(n < BELLS_MAX);
	b->bells[n] = eventfd;
	atomic_store_explicit(&b->bells_n, n + 1, memory_order_release);
}

static void
bell_ring(int eventfd)
{
	uint64_t one = 1;
	/* The counter can only refuse at 2^64: then the bell is ringing anyway. */
	ssize_t written = write(eventfd, &one, sizeof one);
	(void)written;
}

static void
bells_ring(struct batcher *b)
{
	unsigned n = atomic_load_explicit(&b->bells_n, memory_order_acquire);
	for (unsigned i = 0; i < n; i++)
		bell_ring(b->bells[i]);
	int follower = atomic_load(&b->follower);
	if (follower >= 0 && (follower = atomic_exchange(&b->follower, -1)) >= 0)
		bell_ring(follower);
}

uint64_t
batcher_follow(struct batcher *b, int eventfd)
{
	atomic_store(&b->follower, eventfd);
	return atomic_load(&b->durable);
}

/* What a long append took goes into the mean with a quarter. */
static void
pace_note(struct batcher *b, size_t bytes, uint64_t took_us)
{
	int64_t last = (int64_t)(took_us * 1000 / (bytes / 1024)), mean = atomic_load_explicit(&b->pace_ns, memory_order_relaxed);
	atomic_store_explicit(&b->pace_ns, mean == 0 ? last : mean + (last - mean) / 4, memory_order_relaxed);
}

/* Appends one batch. False: nothing may be acknowledged any more (B4). */
static bool
batch_append(struct batcher *b, const struct batch *batch)
{
	const struct step_buffer *s = &batch->steps;
	struct log_batch out = { .epoch = b->epoch, .first_seq = s->first_seq, .steps = s->steps, .stamp_ms = batch->stamp_ms,
		.payload = s->bytes, .payload_n = s->used };
	int64_t since = clock_steady_ns() / 1000;
	atomic_store_explicit(&b->append_since_ms, since / 1000 + 1, memory_order_relaxed);
	enum log_outcome outcome = b->log->calls->append(b->log, &out, &b->why);
	uint64_t took = (uint64_t)(clock_steady_ns() / 1000 - since);
	atomic_store_explicit(&b->append_since_ms, 0, memory_order_relaxed);
	atomic_store_explicit(&b->append_us_last, took, memory_order_relaxed);
	if (took > atomic_load_explicit(&b->append_us_max, memory_order_relaxed))
		atomic_store_explicit(&b->append_us_max, took, memory_order_relaxed);
	if (outcome != LOG_DURABLE)
		return false;
	if (s->used >= PACE_BYTES_MIN)
		pace_note(b, s->used, took);
	atomic_fetch_add_explicit(&b->steps, s->steps, memory_order_relaxed);
	atomic_fetch_add_explicit(&b->payload_bytes, s->used, memory_order_relaxed);
	atomic_store(&b->durable, s->first_seq + s->steps - 1);
	return true;
}

/* How many sealed batches wait; 0: the end. */
static uint64_t
journal_wait(struct batcher *b, uint64_t done)
{
	pthread_mutex_lock(&b->lock);
	while (b->sealed == done && !b->stop)
		pthread_cond_wait(&b->work, &b->lock);
	uint64_t waiting = b->sealed - done;
	pthread_mutex_unlock(&b->lock);
	return waiting;
}

/* As many of those that wait as the log takes at once (B1); *n: so many. */
static const struct batch *
batches_merge(struct batcher *b, uint64_t done, uint64_t waiting, uint64_t *n)
{
	const struct batch *first = b->queue[done % BATCHES], *next;
	struct step_buffer *all = &b->merged.steps;
	size_t bytes = first->steps.used;
	for (*n = 1; *n < waiting && bytes + (next = b->queue[(done + *n) % BATCHES])->steps.used <= b->batch_bytes; ++*n)
		bytes += next->steps.used;
	if (*n == 1)
		return first;
	all->used = 0;
	all->steps = 0;
	all->first_seq = first->steps.first_seq;
	for (uint64_t i = 0; i < *n; i++) {
		next = b->queue[(done + i) % BATCHES];
		ensure(next->steps.first_seq == all->first_seq + all->steps);
		memcpy(all->bytes + all->used, next->steps.bytes, next->steps.used);
		all->used += next->steps.used;
		all->steps += next->steps.steps;
		b->merged.stamp_ms = next->stamp_ms;
	}
	return &b->merged;
}

static void *
journal_main(void *arg)
{
	struct batcher *b = arg;
	uint64_t waiting, n;
	thread_prompt();
	for (uint64_t done = 0; (waiting = journal_wait(b, done)) > 0; done += n) {
		bool durable = batch_append(b, batches_merge(b, done, waiting, &n));
		if (!durable)
			atomic_store_explicit(&b->failed, 1, memory_order_release);
		pthread_mutex_lock(&b->lock);
		atomic_store_explicit(&b->done, done + n, memory_order_release);
		pthread_cond_signal(&b->rest);
		pthread_mutex_unlock(&b->lock);
		bells_ring(b);
		if (!durable)
			break;
	}
	return NULL;
}

int
batcher_start(struct batcher *b, struct why *why)
{
	int failure = thread_start(&b->journal, "journal", journal_main, b);
	if (failure) {
		snprintf(why->text, sizeof why->text, "the journal thread did not start: %s", strerror(failure));
		return -1;
	}
	b->running = true;
	return 0;
}

void
batcher_free(struct batcher *b)
{
	if (!b)
		return;
	if (b->running) {
		pthread_mutex_lock(&b->lock);
		b->stop = true;
		pthread_cond_signal(&b->work);
		pthread_mutex_unlock(&b->lock);
		pthread_join(b->journal, NULL);
	}
	pthread_cond_destroy(&b->rest);
	pthread_cond_destroy(&b->work);
	pthread_mutex_destroy(&b->lock);
	munmap(b->batches[0].steps.bytes, b->batch_bytes * (BATCHES + 1));
	free(b);
}

/* Takes back the batches that are durable. A failed one stays: its bytes are the evidence. */
static void
batches_reclaim(struct batcher *b)
{
	uint64_t done = atomic_load_explicit(&b->done, memory_order_acquire);
	for (; b->reclaimed < done; b->reclaimed++) {
		b->idle[b->idle_n++] = b->queue[b->reclaimed % BATCHES];
		b->waiting_bytes -= b->queue[b->reclaimed % BATCHES]->steps.used;
	}
}

int64_t
batcher_ahead_ns(struct batcher *b)
{
	batches_reclaim(b);
	size_t bytes = b->waiting_bytes + (b->open ? b->open->steps.used : 0);
	return (int64_t)(bytes / 1024) * atomic_load_explicit(&b->pace_ns, memory_order_relaxed);
}

/* May another one be opened, as far as the disk goes, behind `sealing` more of so many bytes? */
static bool
batch_free(struct batcher *b, unsigned sealing, size_t bytes)
{
	batches_reclaim(b);
	return b->idle_n > 0 && (b->sealed + sealing - b->reclaimed < WAITING_FEW || b->waiting_bytes + bytes <= WAITING_BYTES_MAX);
}

static void
batch_seal(struct batcher *b)
{
	ensure(b->open && b->open->steps.steps > 0);
	pthread_mutex_lock(&b->lock);
	b->waiting_bytes += b->open->steps.used;
	b->queue[b->sealed++ % BATCHES] = b->open;
	pthread_cond_signal(&b->work);
	pthread_mutex_unlock(&b->lock);
	b->open = NULL;
}

/* False: none is free. */
static bool
batch_open(struct batcher *b, int64_t now_ms)
{
	if (!batch_free(b, 0, 0))
		return false;
	b->open = b->idle[--b->idle_n];
	engine_begin(b->engine, now_ms, &b->open->steps);
	b->open->opened_ms = b->open->stamp_ms = engine_now(b->engine);
	return true;
}

static bool
open_takes(const struct batcher *b, size_t bytes)
{
	return b->open->steps.used + bytes <= b->open->steps.size;
}

/* Ends every due hold, over as many batches as it takes (B3). False: no batch is free for the rest. */
static bool
expire_due(struct batcher *b, int64_t now_ms)
{
	while (engine_next_deadline(b->engine) <= now_ms) {
		if (!open_takes(b, EXPIRE_ROOM)) {
			batch_seal(b);
			if (!batch_open(b, now_ms))
				return false;
		}
		b->expire_rounds++;
		if (!engine_expire(b->engine, EXPIRE_SLICE))
			break; /* the deadline was a lower bound */
	}
	return true;
}

void
batcher_open(struct batcher *b, int64_t now_ms)
{
	bool opened = batch_open(b, now_ms);
	ensure(opened);
}

bool
batcher_begin(struct batcher *b, int64_t now_ms)
{
	struct batch *open = b->open;
	if (batcher_failed(b))
		return false;
	if (open && open->steps.steps > 0 && now_ms - open->opened_ms > OPEN_MS_MAX && batch_free(b, 1, open->steps.used))
		batch_seal(b);
	if (!b->open && !batch_open(b, now_ms))
		return false;
	if (now_ms > b->open->stamp_ms) {
		engine_stamp(b->engine, now_ms);
		b->open->stamp_ms = now_ms;
		if (b->open->steps.steps == 0)
			b->open->opened_ms = now_ms;
	}
	return expire_due(b, now_ms);
}

bool
batcher_room(const struct batcher *b)
{
	return b->open && open_takes(b, STEP_ROOM + EXPIRE_ROOM);
}

/* The journal came to rest: the clients whose replies leave now are likely to ask again at once (B5). */
static void
hope_begin(struct batcher *b, uint64_t done)
{
	uint32_t open = b->open ? b->open->steps.steps : 0;
	int64_t most = (int64_t)atomic_load_explicit(&b->append_us_last, memory_order_relaxed) * 3000; /* three appends */
	b->hope_done = done;
	b->hope_until_ns = clock_steady_ns() + (most < HOPE_NS_MAX ? most : HOPE_NS_MAX);
	b->hope_steps = open + b->sealed_steps - b->sealed_steps / 8;
	if (b->hopeless > 0)
		b->hopeless--;
}

/* Worth waiting a moment for more steps before the open batch is sealed? */
static bool
hope(struct batcher *b)
{
	if (b->hopeless > 0 || b->open->steps.steps >= b->hope_steps || b->hope_steps > HOPE_STEPS_MAX)
		return false;
	if (clock_steady_ns() < b->hope_until_ns)
		return true;
	b->hopeless = b->open->steps.steps < b->hope_steps / 2 ? HOPELESS_BATCHES : 0;
	return false;
}

void
batcher_end(struct batcher *b)
{
	uint64_t done = atomic_load_explicit(&b->done, memory_order_acquire);
	bool rests = b->sealed == done;
	b->hoping = false;
	if (rests && b->hope_done != done)
		hope_begin(b, done);
	if (!rests)
		b->hoping = b->sealed_steps >= WATCH_STEPS_MIN && b->sealed_steps <= HOPE_STEPS_MAX && clock_steady_ns() < b->watch_until_ns;
	if (!b->open || b->open->steps.steps == 0)
		return;
	if (batcher_room(b) && (!rests || (b->hoping = hope(b))))
		return;
	b->sealed_steps = b->open->steps.steps;
	b->watch_until_ns = clock_steady_ns() + HOPE_NS_MAX;
	batch_seal(b);
}

bool
batcher_hoping(const struct batcher *b)
{
	return b->hoping;
}

bool
batcher_settled(struct batcher *b)
{
	if (batcher_failed(b))
		return true;
	batcher_end(b);
	return (!b->open || b->open->steps.steps == 0) && b->sealed == atomic_load_explicit(&b->done, memory_order_acquire);
}

int
batcher_settle(struct batcher *b, struct why *why)
{
	if (b->open && b->open->steps.steps > 0)
		batch_seal(b);
	pthread_mutex_lock(&b->lock);
	while (atomic_load_explicit(&b->done, memory_order_acquire) < b->sealed && !batcher_failed(b))
		pthread_cond_wait(&b->rest, &b->lock);
	pthread_mutex_unlock(&b->lock);
	if (!batcher_failed(b))
		return 0;
	*why = b->why;
	return -1;
}

uint64_t
batcher_durable(const struct batcher *b)
{
	return atomic_load_explicit(&b->durable, memory_order_acquire);
}

bool
batcher_failed(const struct batcher *b)
{
	return atomic_load_explicit(&b->failed, memory_order_acquire);
}

const char *
batcher_failure(const struct batcher *b)
{
	return b->why.text;
}

bool
batcher_stalled(const struct batcher *b)
{
	int64_t since = atomic_load_explicit(&b->append_since_ms, memory_order_relaxed);
	return since != 0 && clock_steady_ms() - since > STALL_MS;
}

void
batcher_figures(const struct batcher *b, struct batcher_figures *f)
{
	f->batches = atomic_load_explicit(&b->done, memory_order_relaxed);
	f->steps = atomic_load_explicit(&b->steps, memory_order_relaxed);
	f->payload_bytes = atomic_load_explicit(&b->payload_bytes, memory_order_relaxed);
	f->expire_rounds = b->expire_rounds;
	f->append_us_last = atomic_load_explicit(&b->append_us_last, memory_order_relaxed);
	f->append_us_max = atomic_load_explicit(&b->append_us_max, memory_order_relaxed);
}
