/*
 * twin_run.c: the host of the comparison: rounds of the engine as engine.h asks for them, with the twin alongside.
 */
#include "tests/twin_run.h"

#include <stdio.h>
#include <stdlib.h>

#define BUFFER_BYTES (STEP_ROOM * 2 + EXPIRE_ROOM)
#define FULL_COMPARE_EVERY 64

struct engine *
run_engine(const struct engine_limits *limits, void **memory)
{
	static uint64_t seed;
	size_t n = engine_memory_bytes(limits);
	*memory = n ? aligned_alloc(64, (n + 63) / 64 * 64) : NULL;
	if (!*memory)
		return NULL;
	memset(*memory, 0, n);
	return engine_init(*memory, limits, ++seed);
}

static bool
forgotten(void *context, struct bytes id)
{
	struct reservation_view v;
	return !engine_reservation(((struct run *)context)->engine, id, &v);
}

static void
keep_batch(struct run *r)
{
	if (!r->out.steps)
		return;
	if (r->batches_n == r->batches_cap) {
		r->batches_cap = r->batches_cap ? r->batches_cap * 2 : 256;
		r->batches = realloc(r->batches, r->batches_cap * sizeof *r->batches);
	}
	struct run_batch *b = &r->batches[r->batches_n++];
	*b = (struct run_batch){ malloc(r->out.used + 1), r->out.used, r->out.first_seq, r->out.steps, engine_now(r->engine) };
	memcpy(b->bytes, r->out.bytes, r->out.used);
}

static bool
finish_jobs(struct run *r)
{
	uint64_t number;
	while (engine_job_waiting(r->engine)) {
		if (r->out.size - r->out.used < STEP_ROOM)
			return true;
		if (!engine_job_run(r->engine, &number, &r->result))
			return true;
		uint32_t i = 0;
		while (i < r->jobs_n && r->jobs[i].engine != number)
			i++;
		if (i == r->jobs_n)
			return compare_differs(r, "a job nobody asked for ended", (long long)number, 0);
		struct run_job job = r->jobs[i];
		memmove(&r->jobs[i], &r->jobs[i + 1], (--r->jobs_n - i) * sizeof job);
		enum status verdict = job.refused;
		if (job.twin) {
			twin_job_finish(r->twin, job.twin, &r->expected);
			verdict = r->expected.r.status;
		}
		if (r->result.status != verdict)
			return compare_differs(r, "status of a group command at its end", r->result.status, verdict);
	}
	return true;
}

/* It is `now`, in the batch that begins or goes on: what is due expires before anybody is answered (D19). */
static bool
time_passes(struct run *r, int64_t now)
{
	twin_begin(r->twin, now);
	if (engine_now(r->engine) != r->now)
		return compare_differs(r, "the stamped time", engine_now(r->engine), r->now);
	for (int rounds = 0; engine_next_deadline(r->engine) <= r->now; rounds++) {
		if (rounds == 100000)
			return compare_differs(r, "expiry never ends", 1, 0);
		engine_expire(r->engine, EXPIRE_SLICE);
	}
	twin_expire(r->twin);
	return true;
}

/* Ends the open batch and starts one at `now`. */
static bool
next_batch(struct run *r, int64_t now)
{
	keep_batch(r);
	r->out.used = r->out.steps = 0;
	r->now = now > r->now ? now : r->now;
	engine_begin(r->engine, now, &r->out);
	return time_passes(r, now);
}

/* A host may do either: the batch goes on at `now`, or another one begins. */
static bool
later(struct run *r, int64_t now)
{
	if (r->out.used > BUFFER_BYTES / 2 || (r->seed + r->out.first_seq + r->out.steps) % 3)
		return next_batch(r, now);
	r->now = now > r->now ? now : r->now;
	engine_stamp(r->engine, now);
	return time_passes(r, now);
}

struct run *
run_new(const struct draw_profile *profile, uint64_t seed)
{
	struct run *r = calloc(1, sizeof *r);
	r->profile = profile;
	r->seed = seed;
	r->engine = run_engine(&profile->limits, &r->memory);
	r->twin = twin_new(&profile->limits, &profile->options);
	r->draw = (struct draw){ .profile = profile, .twin = r->twin, .seed = seed };
	r->out = (struct step_buffer){ .bytes = malloc(BUFFER_BYTES), .size = BUFFER_BYTES };
	*twin_hints(r->twin) = (struct twin_hints){ .forgotten = forgotten, .context = r };
	const char *wrong = r->engine ? engine_load_done(r->engine) : "the limits are out of range";
	if (wrong || !next_batch(r, DRAW_EPOCH)) {
		printf("no run: %s\n", wrong ? wrong : r->failure);
		abort();
	}
	wrong = engine_set_options(r->engine, &profile->options);
	if (wrong) {
		printf("no run: %s\n", wrong);
		abort();
	}
	return r;
}

void
run_adopt(struct run *r, struct engine *engine, void *memory)
{
	free(r->memory);
	r->memory = memory;
	r->engine = engine;
	r->out.used = r->out.steps = 0;
	engine_begin(engine, r->now, &r->out);
}

void
run_free(struct run *r)
{
	for (uint32_t i = 0; i < r->batches_n; i++)
		free(r->batches[i].bytes);
	free(r->batches);
	twin_free(r->twin);
	free(r->memory);
	free(r->out.bytes);
	free(r);
}

static void
count_up(struct run *r)
{
	r->statuses[r->result.status]++;
	r->outcomes[r->result.outcome]++;
	for (int i = 0; r->result.which && i < 32; i++)
		if (!r->bounds[i].which || strcmp(r->bounds[i].which, r->result.which) == 0) {
			r->bounds[i].which = r->result.which;
			r->bounds[i].times++;
			break;
		}
	r->again += r->result.again;
	r->refused += r->result.status != STATUS_OK;
	r->granted += r->result.status == STATUS_OK && !r->result.again;
}

/* How many blocks the texts take is the engine's own: that they are full is its word. */
static void
take_hint(struct run *r)
{
	bool full = r->result.status == STATUS_CAPACITY && r->result.which && strcmp(r->result.which, "blobs") == 0;
	twin_hints(r->twin)->pool_full = full ? "blobs" : NULL;
	twin_hints(r->twin)->quarantine = r->result.job ? 0 : r->result.quarantine;
}

/* A group command is refused at once, done at once (removal), or answered when its job ends. */
static bool
accept_job(struct run *r)
{
	struct run_job job = { r->result.job, r->expected.r.job, r->expected.r.status };
	if (r->result.status == STATUS_OVERLOADED) { /* many jobs, or this very group is under way */
		if (job.twin)
			twin_job_forget(r->twin, job.twin);
		return r->jobs_n > 0 || compare_differs(r, "overloaded with so many jobs", r->jobs_n, 1);
	}
	if (!job.engine) {
		if (job.twin)
			twin_job_finish(r->twin, job.twin, &r->expected);
		return compare_results(r, NULL);
	}
	if (r->jobs_n == 32)
		return compare_differs(r, "jobs waiting", 33, 16);
	r->jobs[r->jobs_n++] = job;
	return true;
}

static bool
execute(struct run *r, const struct command *c)
{
	uint64_t before = engine_seq(r->engine);
	memset(&r->result, 0xa5, sizeof r->result);
	engine_execute(r->engine, c, &r->result);
	take_hint(r);
	twin_execute(r->twin, c, &r->expected);
	if (r->trace)
		printf("        -> %s%s, position %llu\n", r->result.job ? "later" : status_name(r->result.status), r->result.again ? " again" : "",
		    (unsigned long long)engine_seq(r->engine));
	if (c->kind == COMMAND_POLICY_GROUP)
		return accept_job(r);
	uint64_t steps = engine_seq(r->engine) - before;
	if (steps > 1 || (r->expected.effect == TWIN_STEP && !steps) || (r->expected.effect == TWIN_NOTHING && steps))
		if (!(r->result.status != r->expected.r.status)) /* a differing status says more */
			return compare_differs(r, "steps made", (long long)steps, r->expected.effect == TWIN_STEP);
	count_up(r);
	if (!compare_results(r, c))
		return false;
	if (steps)
		twin_note(r->twin, engine_seq(r->engine));
	return compare_touched(r, c);
}

bool
run_step(struct run *r, uint64_t step)
{
	struct command c;
	char text[512];
	draw_begin(&r->draw, step);
	if (r->out.size - r->out.used < STEP_ROOM + EXPIRE_ROOM || draw_random(&r->draw, r->profile->batch) == 0) {
		if (!later(r, draw_now(&r->draw, r->now)))
			return false;
		if (r->trace)
			printf("        now %lld\n", (long long)(r->now - DRAW_EPOCH));
	}
	if (r->profile->create_off_later && step == 300) {
		struct engine_options options = r->profile->options;
		options.value[OPTION_CREATE_UNKNOWN] = 0;
		if (!next_batch(r, r->now) || engine_set_options(r->engine, &options))
			return compare_differs(r, "options could not be set", 1, 0);
		twin_set_options(r->twin, &options);
	}
	if (draw_percent(&r->draw, 30) && !finish_jobs(r))
		return false;
	draw_command(&r->draw, &c);
	draw_print(&c, text, sizeof text);
	if (r->trace)
		printf("%7llu %s\n", (unsigned long long)step, text);
	if (execute(r, &c) && (step % FULL_COMPARE_EVERY || compare_all(r)))
		return true;
	size_t used = strlen(r->failure);
	snprintf(r->failure + used, sizeof r->failure - used, "; step %llu: %s", (unsigned long long)step, text);
	return false;
}

bool
run_settle_down(struct run *r)
{
	for (int rounds = 0; rounds < 1000 && r->jobs_n; rounds++)
		if (!finish_jobs(r) || !next_batch(r, r->now))
			return false;
	return next_batch(r, r->now) && compare_all(r);
}
