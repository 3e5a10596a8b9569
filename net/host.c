/* host.c: from a data folder to a durable engine and back. The contract is in host.h. */
#define _GNU_SOURCE
#include "net/host.h"
#include "net/host_ahead.h"
#include "net/host_load.h"
#include "net/host_tables.h"
#include "net/thread.h"
#include "persist/disk_pace.h"

#include <linux/ioprio.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define CHECKPOINTER_NICE 10
/* The checkpointer's rests while it writes: so many times as long as the work before, at most so long, and none for less work. */
#define REST_TIMES    3
#define REST_MAX_NS   INT64_C(20000000)
#define REST_LEAST_NS INT64_C(100000)
#define REST_BEHIND   500000 /* steps that wait for the image: so far behind it rests no more */

struct host {
	const struct host_options *options;
	struct disk *disk;
	struct image *image;
	struct log *log;
	void *memory;
	size_t memory_bytes;
	struct engine *engine;
	struct batcher *batcher;
	struct checkpoint *checkpoint;
	struct recovery recovery;

	struct host_ahead ahead;
	struct trouble trouble; /* the checkpointer's */
	pthread_t checkpointer;
	bool running;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop;
	bool low; /* the checkpointer's: its priority is */
	int64_t worked_ns; /* the same: since when it has worked */
	/* checkpointer -> any: figures; a stale one is 50 ms old */
	_Atomic uint64_t folded_seq, copied_seq, commits, failures, journal_bytes;
};

/* ---- the checkpointer ---- */

/*
 * Low priority as long as there is room, for the processor and for the disk: a commit of the image syncs a hundred megabytes at once, and
 * the journal's 64 KiB should not stand behind them (I/O classes are a hint that some schedulers take). At half of journal_bytes_max it
 * must keep up.
 */
static void
priority_set(struct host *h)
{
	uint64_t most = h->options->journal.journal_bytes_max;
	uint64_t bytes = h->log->calls->bytes(h->log);
	bool want = most == 0 || bytes < most / 2;
	atomic_store_explicit(&h->journal_bytes, bytes, memory_order_relaxed);
	if (want == h->low)
		return;
	h->low = want;
	syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(want ? IOPRIO_CLASS_IDLE : IOPRIO_CLASS_BE, want ? 0 : IOPRIO_NORM));
	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), want ? CHECKPOINTER_NICE : 0);
}

static void
checkpointer_publish(struct host *h)
{
	struct checkpoint_status s;
	checkpoint_status(h->checkpoint, &s);
	atomic_store_explicit(&h->folded_seq, s.committed_seq, memory_order_relaxed);
	atomic_store_explicit(&h->copied_seq, s.copied_seq, memory_order_relaxed);
	atomic_store_explicit(&h->commits, s.commits, memory_order_relaxed);
	atomic_store_explicit(&h->failures, s.failures, memory_order_relaxed);
}

/* False: the end. */
static bool
checkpointer_rest_until(struct host *h, int64_t until_ns)
{
	struct timespec until = { until_ns / 1000000000, until_ns % 1000000000 };
	pthread_mutex_lock(&h->lock);
	if (until_ns > 0 && !h->stop)
		pthread_cond_timedwait(&h->wake, &h->lock, &until);
	bool on = !h->stop;
	pthread_mutex_unlock(&h->lock);
	return on;
}

/*
 * Between two pieces of a commit: it takes a second of a processor and a hundred megabytes of the disk's time, and nobody waits for it
 * unless it falls behind.
 */
static void
checkpointer_pause(void *context)
{
	struct host *h = context;
	int64_t now_ns = clock_steady_ns(), rest_ns = (now_ns - h->worked_ns) * REST_TIMES;
	uint64_t durable = batcher_durable(h->batcher), collected = image_collected_seq(h->image);
	bool behind = durable > collected && durable - collected > REST_BEHIND;
	if (h->low && !behind && rest_ns >= REST_LEAST_NS * REST_TIMES) {
		checkpointer_rest_until(h, now_ns + (rest_ns < REST_MAX_NS ? rest_ns : REST_MAX_NS));
		now_ns = clock_steady_ns();
	}
	h->worked_ns = now_ns;
}

/*
 * A step that failed for the journal's room alone is told by host_ahead.c; one that did nothing for the image (the commit waits for its
 * next try) says neither that it is written nor that it is not.
 */
static void
step_told(struct host *h, const struct why *why)
{
	struct checkpoint_status s;
	checkpoint_status(h->checkpoint, &s);
	uint64_t failures = atomic_load_explicit(&h->failures, memory_order_relaxed), commits = atomic_load_explicit(&h->commits, memory_order_relaxed);
	if (s.failures > failures && why)
		trouble_image(&h->trouble, why);
	else if (s.failures == failures && s.commits > commits)
		trouble_image(&h->trouble, NULL);
}

static void *
checkpointer_main(void *arg)
{
	struct host *h = arg;
	const struct disk_pace pace = { checkpointer_pause, h };
	struct why why;
	int more = 0;
	disk_pace_set(&pace);
	while (checkpointer_rest_until(h, more > 0 ? 0 : clock_steady_ns() + CHECKPOINT_IDLE_MS * INT64_C(1000000))) {
		int64_t now = clock_steady_ms();
		h->worked_ns = clock_steady_ns();
		priority_set(h);
		more = checkpoint_step(h->checkpoint, batcher_durable(h->batcher), now, &why);
		step_told(h, more < 0 ? &why : NULL);
		checkpointer_publish(h);
	}
	return NULL;
}

static int
checkpointer_start(struct host *h, struct why *why)
{
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	int failure = thread_start(&h->checkpointer, "checkpointer", checkpointer_main, h);
	if (failure) {
		snprintf(why->text, sizeof why->text, "the checkpointer thread did not start: %s", strerror(failure));
		return -1;
	}
	h->running = true;
	return 0;
}

static void
checkpointer_stop(struct host *h)
{
	if (!h->running)
		return;
	pthread_mutex_lock(&h->lock);
	h->stop = true;
	pthread_cond_signal(&h->wake);
	pthread_mutex_unlock(&h->lock);
	pthread_join(h->checkpointer, NULL);
	pthread_cond_destroy(&h->wake);
	pthread_mutex_destroy(&h->lock);
	h->running = false;
}

/* ---- opening ---- */

static int
engine_map(struct host *h, struct why *why)
{
	h->memory_bytes = engine_memory_bytes(&h->options->limits);
	if (h->memory_bytes == 0) {
		snprintf(why->text, sizeof why->text, "a table size (--cells-max and the like) is out of its range");
		return -1;
	}
	h->memory = mmap(NULL, h->memory_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (h->memory == MAP_FAILED) {
		h->memory = NULL;
		snprintf(why->text, sizeof why->text, "cannot map %zu MiB for the tables: smaller sizes (--cells-max and the like) need less",
		    h->memory_bytes >> 20);
		return -1;
	}
	madvise(h->memory, h->memory_bytes, MADV_HUGEPAGE); /* a hint; small pages do as well */
	uint64_t seed;
	if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
		snprintf(why->text, sizeof why->text, "the system gives no random bytes for the indexes");
		return -1;
	}
	h->engine = engine_init(h->memory, &h->options->limits, seed);
	return 0;
}

static int
folder_open(struct host *h, struct why *why)
{
	const struct host_options *o = h->options;
	h->disk = disk_posix_open(o->data, why);
	if (!h->disk)
		return -1;
	h->trouble.disk = h->disk;
	if (h->disk->calls->lock(h->disk) < 0) {
		snprintf(why->text, sizeof why->text, "%s is in use: another server has its lock", o->data);
		return -1;
	}
	return 0;
}

/* The first batches: the options that differ, and what fell due while nobody was there. */
static int
first_batches(struct host *h, struct why *why)
{
	struct clock clock;
	clock_init(&clock, h->recovery.tail.last_stamp_ms);
	if (batcher_start(h->batcher, why) < 0)
		return -1;
	batcher_open(h->batcher, clock_now_ms(&clock));
	const char *wrong = engine_set_options(h->engine, &h->options->engine);
	if (wrong) {
		snprintf(why->text, sizeof why->text, "options: %s", wrong);
		return -1;
	}
	while (!batcher_begin(h->batcher, clock_now_ms(&clock)))
		if (batcher_settle(h->batcher, why) < 0)
			return -1;
	return batcher_settle(h->batcher, why);
}

/* *explain: what is wrong stands in the folder. */
static int
rest_recover(struct host *h, bool *explain, struct why *why)
{
	const struct host_options *o = h->options;
	h->image = image_open(o->data, o->image_map_bytes, why);
	if (!h->image)
		return -1;
	h->log = journal_open(h->disk, &o->journal, why);
	if (!h->log)
		return -1;
	*explain = recover(h->engine, h->image, h->log, &h->recovery, o->progress, o->context, why) < 0;
	return *explain ? -1 : 0;
}

static int
recover_all(struct host *h, struct why *why)
{
	const struct host_options *o = h->options;
	struct image_probe probe;
	image_probe(o->data, &probe);
	struct recovery_folder folder = { .dir = o->data, .copy = o->copy, .disk = h->disk, .probe = &probe, .walk = host_load_walk };
	struct host_tables *tables = host_tables_begin(h->engine, &probe.found);
	int rc = recovery_load(h->engine, &folder, &h->recovery, o->progress, o->context, why);
	bool explain = false;
	if (rc == 0)
		rc = rest_recover(h, &explain, why);
	host_tables_end(tables);
	if (explain) /* starts a process, so no thread may run any more */
		recovery_explain(o->data, h->disk, o->copy, why);
	return rc;
}

static int
ahead_start(struct host *h, struct why *why)
{
	h->ahead.engine = h->engine;
	h->ahead.log = h->log;
	h->ahead.trouble = h->trouble;
	h->ahead.ready[VIEW_SLOTS] = h->options->reservations_ready;
	h->ahead.ready[VIEW_HISTORY] = h->options->history_ready;
	return host_ahead_start(&h->ahead, why);
}

struct host *
host_open(const struct host_options *options, struct why *why)
{
	struct host *h = calloc(1, sizeof *h);
	struct why ignored;
	if (!h) {
		snprintf(why->text, sizeof why->text, "no memory");
		return NULL;
	}
	h->options = options;
	h->trouble = (struct trouble){ .data = options->data, .journal = &options->journal, .say = options->say, .context = options->context };
	if (folder_open(h, why) < 0 || engine_map(h, why) < 0 || recover_all(h, why) < 0 ||
	    !(h->checkpoint = checkpoint_open(h->log, h->image, &options->checkpoint, why)) ||
	    !(h->batcher = batcher_new(h->engine, h->log, &h->recovery.tail, journal_payload_max(&options->journal), why)) ||
	    first_batches(h, why) < 0 || ahead_start(h, why) < 0 || checkpointer_start(h, why) < 0) {
		host_close(h, &ignored);
		return NULL;
	}
	return h;
}

struct engine *
host_engine(struct host *h)
{
	return h->engine;
}

struct batcher *
host_batcher(struct host *h)
{
	return h->batcher;
}

const struct recovery *
host_recovery(const struct host *h)
{
	return &h->recovery;
}

struct log *
host_log(struct host *h)
{
	return h->log;
}

struct image *
host_image(struct host *h)
{
	return h->image;
}

uint64_t
host_oldest(struct host *h)
{
	struct journal_status status;
	journal_status(h->log, &status);
	return status.oldest_seq;
}

bool
host_pressure(const struct host *h)
{
	return host_ahead_journal_low(&h->ahead) || batcher_stalled(h->batcher);
}

void
host_figures(const struct host *h, struct host_figures *f)
{
	f->folded_seq = atomic_load_explicit(&h->folded_seq, memory_order_relaxed);
	f->copied_seq = atomic_load_explicit(&h->copied_seq, memory_order_relaxed);
	f->image_commits = atomic_load_explicit(&h->commits, memory_order_relaxed);
	f->image_failures = atomic_load_explicit(&h->failures, memory_order_relaxed);
	f->journal_low = host_ahead_journal_low(&h->ahead);
	f->journal_bytes = atomic_load_explicit(&h->journal_bytes, memory_order_relaxed);
}

enum host_end
host_close(struct host *h, struct why *why)
{
	enum host_end end = HOST_CLOSED;
	bool served = h->running;
	checkpointer_stop(h);
	host_ahead_stop(&h->ahead);
	if (served && batcher_settle(h->batcher, why) < 0)
		end = HOST_JOURNAL_FAILED;
	else if (served && checkpoint_finish(h->checkpoint, batcher_durable(h->batcher), why) < 0)
		end = HOST_IMAGE_FAILED;
	batcher_free(h->batcher);
	if (h->checkpoint)
		checkpoint_close(h->checkpoint);
	if (h->log)
		h->log->calls->close(h->log);
	if (h->image)
		image_close(h->image);
	if (h->memory)
		munmap(h->memory, h->memory_bytes);
	if (h->disk)
		h->disk->calls->end(h->disk);
	free(h);
	return end;
}
