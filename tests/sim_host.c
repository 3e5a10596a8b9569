/*
 * sim_host.c: the host of the simulation. Order of a round: decide into the open batch; append the batch before it; answer what
 * that one made durable; the open batch becomes the one before.
 */
#include "tests/sim_host.h"

#include "persist/journal.h"
#include "persist/recovery.h"
#include "tests/sim_record.h"

#include <stdio.h>
#include <stdlib.h>

#define BUFFER_BYTES  (STEP_ROOM * 2 + EXPIRE_ROOM)
#define ANSWERS_MAX   (SIM_CLIENTS_MAX * 2)
#define IMAGE_BYTES   (UINT64_C(64) << 20)
#define STAMP_OF_START INT64_C(1700000000000)

struct answer { /* decided, waits for its position */
	uint32_t client;
	bool show;
	uint64_t wait_for, seq;
	int64_t ats, line_qty[LINES_ASKED_MAX];
	struct result result;
};

struct batch_end { /* S5: what the state was at the end of each batch */
	uint64_t seq, digest[2];
};

struct sim_host {
	struct sim_options options;
	struct engine_limits limits;
	uint64_t starts; /* each with indexes of another seed: what recovery finds must not depend on it */
	struct disk *disk;
	struct log *log;
	struct image *image;
	struct engine *engine;
	void *memory;
	struct step_buffer buffers[2];
	int64_t stamps[2];
	int open; /* the buffer being filled; the other one waits for the log */
	uint64_t epoch, durable, folded;
	int64_t now;
	struct answer answers[ANSWERS_MAX];
	uint32_t answers_n;
	struct batch_end *ends;
	uint32_t ends_n, ends_cap;
	struct sim_record record;
	struct sim_figures figures;
};

/* One block of each kind is kept from host to host: hundreds of them come and go, and the system gives memory slowly. */
struct block {
	void *at;
	size_t n;
};
static struct block spare_buffers[2], spare_memory;

static void *
block_take(struct block *spare, size_t n)
{
	void *at = spare->at;
	if (!at || spare->n < n) {
		free(at);
		at = aligned_alloc(64, (n + 63) / 64 * 64);
	}
	spare->at = NULL;
	return at;
}

static void
block_give(struct block *spare, void *at, size_t n)
{
	free(spare->at);
	*spare = (struct block){ at, n };
}

static bool
broken(struct sim_host *h, const char *what, const char *detail)
{
	if (!h->record.failure[0])
		snprintf(h->record.failure, sizeof h->record.failure, "%s: %.400s", what, detail);
	return false;
}

struct sim_host *
sim_host_new(const struct sim_options *options, uint64_t seed)
{
	struct sim_host *h = calloc(1, sizeof *h);
	h->options = *options;
	h->limits = (struct engine_limits){ .cells_max = 256, .skus_max = 64, .locations_max = 16, .sources_max = options->clients + 2, .channels_max = 4,
		.groups_max = 2, .reservations_max = 4096, .extra_lines_max = 8192, .blobs_max = 16384, .quarantine_max = 64, .history_max = 2048,
		.free_ids_max = 64 };
	h->disk = sim_disk_new();
	h->now = STAMP_OF_START;
	h->record.options = &h->options;
	h->record.figures = &h->figures;
	h->record.random = seed * 7919 + 1;
	for (int i = 0; i < 2; i++)
		h->buffers[i] = (struct step_buffer){ .bytes = block_take(&spare_buffers[i], BUFFER_BYTES), .size = BUFFER_BYTES };
	return h;
}

void
sim_host_free(struct sim_host *h)
{
	if (h->log)
		sim_host_die(h);
	for (uint32_t i = 0; i < SIM_CLIENTS_MAX; i++)
		free(h->record.clients[i].kept);
	free(h->ends);
	for (int i = 0; i < 2; i++)
		block_give(&spare_buffers[i], h->buffers[i].bytes, BUFFER_BYTES);
	h->disk->calls->end(h->disk);
	free(h);
}

struct disk *
sim_host_disk(struct sim_host *h)
{
	return h->disk;
}

const char *
sim_host_failure(const struct sim_host *h)
{
	return h->record.failure;
}

const struct sim_figures *
sim_host_figures(const struct sim_host *h)
{
	return &h->figures;
}

void
sim_host_die(struct sim_host *h)
{
	sim_disk_stop_after(h->disk, 0);
	if (h->log)
		h->log->calls->close(h->log);
	if (h->image)
		image_close(h->image);
	if (h->memory)
		block_give(&spare_memory, h->memory, engine_memory_bytes(&h->limits));
	h->log = NULL;
	h->image = NULL;
	h->engine = NULL;
	h->memory = NULL;
	h->answers_n = 0;
	sim_clients_ask_again(&h->record);
}

/* ---- start ---- */

static struct log *
open_log(struct sim_host *h, struct why *why)
{
	struct journal_options o;
	journal_options_init(&o);
	o.segment_bytes = h->options.segment_bytes;
	o.history_bytes = 0;
	o.journal_bytes_max = 0;
	return journal_open(h->disk, &o, why);
}

/* Recovery from the log alone. 1: recovered; 0: the disk died, or a fault that the journal told; -1: a promise is broken. */
static int
replay(struct sim_host *h, struct log_tail *tail, struct why *why)
{
	struct log_batch b;
	bool gone;
	int got = 1;
	if (h->log->calls->claim(h->log, tail, why) < 0)
		return 0;
	struct log_reader *reader = tail->last_seq ? h->log->calls->read_open(h->log, 0, &gone, why) : NULL;
	if (!reader && tail->last_seq)
		return 0;
	while (reader && (got = h->log->calls->read_next(reader, tail->last_seq, &b, why)) > 0) {
		const char *said = engine_replay(h->engine, b.first_seq, b.steps, b.stamp_ms, b.payload, b.payload_n);
		if (said) {
			h->log->calls->read_close(reader);
			return broken(h, "replay", said), -1;
		}
		h->figures.replayed_steps += b.steps;
	}
	if (reader)
		h->log->calls->read_close(reader);
	const char *said = got < 0 ? NULL : engine_load_done(h->engine);
	if (said)
		return broken(h, "end of replay", said), -1;
	return got < 0 ? 0 : 1;
}

static int
recover_with_image(struct sim_host *h, struct log_tail *tail, struct why *why)
{
	struct recovery recovery;
	struct recovery_folder folder = { .dir = h->options.image_dir, .disk = h->disk, .walk = image_inspect_into };
	if (recovery_load(h->engine, &folder, &recovery, NULL, NULL, why) < 0)
		return broken(h, "image", why->text), -1;
	h->image = image_open(h->options.image_dir, IMAGE_BYTES, why);
	if (!h->image)
		return broken(h, "image", why->text), -1;
	int rc = recover(h->engine, h->image, h->log, &recovery, NULL, NULL, why);
	*tail = recovery.tail;
	h->figures.replayed_steps += recovery.steps_replayed;
	h->folded = recovery.image.seq;
	return rc == 0;
}

/* S5: the state is one that was there at the end of a batch, at or past all that was answered. */
static bool
known_state(struct sim_host *h)
{
	uint64_t digest[2], seq = engine_seq(h->engine);
	engine_digest_state(h->engine, digest);
	if (!seq) {
		h->figures.lost_unanswered += h->ends_n;
		h->ends_n = 0;
		return true;
	}
	for (uint32_t i = h->ends_n; i-- > 0;)
		if (h->ends[i].seq == seq) {
			h->figures.lost_unanswered += h->ends_n - 1 - i;
			h->ends_n = i + 1;
			if (h->ends[i].digest[0] == digest[0] && h->ends[i].digest[1] == digest[1])
				return true;
			return broken(h, "recovery", "the state is not the one that was there at this position");
		}
	return broken(h, "recovery", "the engine stands at a position where no batch ever ended");
}

static void
note_end(struct sim_host *h)
{
	if (h->ends_n == h->ends_cap)
		h->ends = realloc(h->ends, (h->ends_cap = h->ends_cap ? h->ends_cap * 2 : 256) * sizeof *h->ends);
	struct batch_end *end = &h->ends[h->ends_n++];
	end->seq = engine_seq(h->engine);
	engine_digest_state(h->engine, end->digest);
}

static void
begin(struct sim_host *h)
{
	struct step_buffer *out = &h->buffers[h->open];
	out->used = out->steps = 0;
	engine_begin(h->engine, h->now, out);
	h->stamps[h->open] = engine_now(h->engine);
	while (engine_next_deadline(h->engine) <= engine_now(h->engine)) {
		uint64_t before = engine_seq(h->engine);
		engine_expire(h->engine, EXPIRE_SLICE);
		h->figures.expired += engine_seq(h->engine) - before;
	}
}

bool
sim_host_start(struct sim_host *h)
{
	struct why why = { "" };
	struct log_tail tail;
	size_t n = engine_memory_bytes(&h->limits);
	h->memory = block_take(&spare_memory, n);
	memset(h->memory, 0, n);
	h->engine = engine_init(h->memory, &h->limits, ++h->starts);
	h->log = open_log(h, &why);
	if (!h->log)
		return broken(h, "open", why.text);
	int done = h->options.image_dir ? recover_with_image(h, &tail, &why) : replay(h, &tail, &why);
	if (done <= 0)
		return false;
	if (engine_seq(h->engine) != tail.last_seq)
		return broken(h, "recovery", "the engine does not stand where the log ends");
	if (!known_state(h) || !sim_record_check(&h->record, h->engine, false))
		return false;
	h->epoch = tail.epoch;
	h->durable = tail.last_seq;
	h->figures.recoveries++;
	h->buffers[0].steps = h->buffers[1].steps = 0;
	begin(h);
	return true;
}

/* ---- rounds ---- */

static void
wait_for(struct sim_host *h, struct answer *a)
{
	ensure(h->answers_n < ANSWERS_MAX);
	h->answers[h->answers_n++] = *a;
}

/* Reads go past the engine's batch, as on another loop: what they saw waits until it is durable. */
static void
show(struct sim_host *h, uint32_t client)
{
	char arena[512];
	struct command c;
	struct asked_line lines[3];
	struct answer a = { .client = client, .show = true };
	sim_client_command(&h->record, client, &c, arena, lines);
	struct cell_view v;
	if (view_cell(h->engine, lines[0].sku, lines[0].location, &v) != VIEW_OK)
		v.seq = 0, v.ats = 0;
	a.seq = a.wait_for = v.seq;
	a.ats = v.ats;
	wait_for(h, &a);
}

static void
ask(struct sim_host *h, uint32_t client)
{
	char arena[512];
	struct command c;
	struct asked_line lines[3];
	struct answer a = { .client = client };
	sim_client_command(&h->record, client, &c, arena, lines);
	engine_execute(h->engine, &c, &a.result);
	for (uint32_t l = 0; l < a.result.lines_n; l++)
		a.line_qty[l] = a.result.lines[l].qty;
	a.wait_for = a.result.seq;
	wait_for(h, &a);
}

static void
decide(struct sim_host *h)
{
	for (uint32_t i = 0; i < h->options.clients; i++) {
		struct sim_client *c = &h->record.clients[i];
		if (!c->asking)
			sim_client_think(&h->record, i);
		if (c->sent || sim_random(&h->record, 3) == 0)
			continue;
		c->sent = true;
		h->figures.resent += c->tries++ > 0;
		if (c->ask == SIM_SHOW)
			show(h, i);
		else
			ask(h, i);
	}
}

static bool
append(struct sim_host *h, int buffer)
{
	struct step_buffer *b = &h->buffers[buffer];
	struct why why = { "" };
	if (!b->steps)
		return true;
	struct log_batch batch = { .epoch = h->epoch, .first_seq = b->first_seq, .steps = b->steps, .stamp_ms = h->stamps[buffer],
		.payload = b->bytes, .payload_n = b->used };
	enum log_outcome outcome = h->log->calls->append(h->log, &batch, &why);
	if (outcome == LOG_FENCED)
		return broken(h, "append", "fenced although nobody else claimed");
	if (outcome != LOG_DURABLE)
		return false;
	h->durable = b->first_seq + b->steps - 1;
	h->figures.batches++;
	b->steps = 0;
	return true;
}

/* Answers go out once the position they wait for is durable, and only then. */
static void
answer(struct sim_host *h)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < h->answers_n; i++) {
		struct answer *a = &h->answers[i];
		if (a->wait_for > h->durable)
			h->answers[kept++] = *a;
		else if (a->show)
			sim_client_shown(&h->record, a->client, a->seq, a->ats);
		else
			sim_client_told(&h->record, a->client, &a->result, a->line_qty);
	}
	h->answers_n = kept;
}

/* The image follows the durable position; the journal behind it is given back. */
static bool
fold(struct sim_host *h)
{
	struct why why = { "" };
	struct log_batch b;
	bool gone;
	struct log_reader *reader = h->log->calls->read_open(h->log, h->folded + 1, &gone, &why);
	int got = reader ? 1 : -1;
	while (got > 0 && (got = h->log->calls->read_next(reader, h->durable, &b, &why)) > 0)
		if (b.first_seq > h->folded && image_collect(h->image, &b, &why) < 0)
			got = -1;
	if (reader)
		h->log->calls->read_close(reader);
	if (got < 0)
		return false;
	if (image_collected(h->image) && image_commit(h->image, &why) < 0)
		return broken(h, "image commit", why.text);
	h->folded = h->durable;
	h->figures.images++;
	return h->log->calls->trim(h->log, h->folded + 1, &why) == 0;
}

bool
sim_host_round(struct sim_host *h)
{
	struct why why;
	h->figures.rounds++;
	decide(h);
	if (h->buffers[h->open].steps)
		note_end(h);
	if (!append(h, !h->open))
		return false;
	answer(h);
	if (h->figures.rounds % 16 == 0 && (h->log->calls->prepare(h->log, &why) < 0))
		return false;
	if (h->image && h->figures.rounds % 12 == 0 && h->durable > h->folded && !fold(h))
		return false;
	h->open = !h->open;
	h->now += (int64_t)sim_random(&h->record, 12);
	begin(h);
	return h->record.failure[0] == 0;
}

bool
sim_host_finish(struct sim_host *h)
{
	uint32_t waiting = 1;
	for (int rounds = 0; waiting && rounds < 1000; rounds++) {
		waiting = 0;
		/* nobody asks anything new: what is under way comes to its end */
		for (uint32_t i = 0; i < h->options.clients; i++) {
			struct sim_client *c = &h->record.clients[i];
			if (c->asking && !c->sent) {
				c->sent = true;
				h->figures.resent += c->tries++ > 0;
				c->ask == SIM_SHOW ? show(h, i) : ask(h, i);
			}
			waiting += c->asking;
		}
		if (h->buffers[h->open].steps)
			note_end(h);
		if (!append(h, !h->open))
			return false;
		answer(h);
		h->open = !h->open;
		h->now++;
		begin(h);
	}
	if (waiting)
		return broken(h, "finish", "a client never got its answer");
	return sim_record_check(&h->record, h->engine, true);
}
