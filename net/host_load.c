/*
 * host_load.c: see host_load.h. A block is a few hundred kilobytes of records, each a head and its bytes: what two threads hand to each
 * other must be worth a wake-up.
 */
#define _GNU_SOURCE
#include "net/host_load.h"
#include "net/buffer.h"
#include "net/thread.h"

#include <stdlib.h>
#include <string.h>

#define BLOCKS      8
#define BLOCK_BYTES ((size_t)256 << 10) /* a block is handed over when it holds so much; one long record may make it longer */

struct head {
	uint64_t seq, key;
	uint32_t kind, n;
};

struct block {
	struct buffer records;
	struct image_meta meta;
	bool begins; /* the meta record comes before the records */
};

struct walk {
	const char *dir;
	const struct image_probe *probe;
	struct image_findings *found;
	struct why *why;
	int answer;
	bool no_memory; /* the reader's */
	struct block blocks[BLOCKS];
	/* under the lock: blocks [taken, filled) belong to the loader, the others to the reader */
	pthread_mutex_t lock;
	pthread_cond_t moved;
	uint64_t filled, taken;
	bool ended; /* the reader has */
};

/* ---- the reading thread ---- */

static struct block *
filling(struct walk *w)
{
	return &w->blocks[w->filled % BLOCKS];
}

/* Hands over the block that is being filled and waits for the next one. */
static void
hand_over(struct walk *w)
{
	w->no_memory |= filling(w)->records.full;
	pthread_mutex_lock(&w->lock);
	w->filled++;
	pthread_cond_signal(&w->moved);
	while (w->filled - w->taken == BLOCKS)
		pthread_cond_wait(&w->moved, &w->lock);
	pthread_mutex_unlock(&w->lock);
	filling(w)->records.used = 0;
	filling(w)->begins = false;
}

static void
note_begin(void *context, const struct image_meta *meta)
{
	struct block *b = filling(context);
	b->begins = true;
	b->meta = *meta;
}

static void
note_record(void *context, uint64_t seq, const struct entry_bytes *e)
{
	struct walk *w = context;
	struct head head = { seq, e->key, e->kind, e->body_n };
	struct buffer *to = &filling(w)->records;
	buffer_append(to, &head, sizeof head);
	buffer_append(to, e->body, e->body_n);
	if (to->used >= BLOCK_BYTES || to->full)
		hand_over(w);
}

static void *
read_main(void *arg)
{
	struct walk *w = arg;
	struct image_sink sink = { note_begin, note_record, w };
	w->answer = image_inspect_into(w->dir, w->probe, &sink, w->found, w->why);
	hand_over(w);
	pthread_mutex_lock(&w->lock);
	w->ended = true;
	pthread_cond_signal(&w->moved);
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* ---- the loading thread ---- */

static void
block_load(const struct block *b, const struct image_sink *sink)
{
	const uint8_t *at = b->records.at, *end = at + b->records.used;
	struct head head;
	if (b->begins)
		sink->begin(sink->context, &b->meta);
	for (; !b->records.full && at < end; at += head.n) {
		memcpy(&head, at, sizeof head);
		at += sizeof head;
		sink->record(sink->context, head.seq, &(struct entry_bytes){ (enum entry_kind)head.kind, head.key, at, head.n });
	}
}

/* False: the end. */
static bool
block_wait(struct walk *w)
{
	pthread_mutex_lock(&w->lock);
	while (w->filled == w->taken && !w->ended)
		pthread_cond_wait(&w->moved, &w->lock);
	bool more = w->filled > w->taken;
	pthread_mutex_unlock(&w->lock);
	return more;
}

static void
block_back(struct walk *w)
{
	pthread_mutex_lock(&w->lock);
	w->taken++;
	pthread_cond_signal(&w->moved);
	pthread_mutex_unlock(&w->lock);
}

static int
walk_end(struct walk *w)
{
	for (int i = 0; i < BLOCKS; i++)
		buffer_fini(&w->blocks[i].records);
	pthread_cond_destroy(&w->moved);
	pthread_mutex_destroy(&w->lock);
	if (w->answer == 0 && w->no_memory) {
		strcpy(w->why->text, "no memory to load the image");
		w->answer = -1;
	}
	return w->answer;
}

int
host_load_walk(const char *dir, const struct image_probe *probe, const struct image_sink *sink, struct image_findings *found, struct why *why)
{
	pthread_t reader;
	struct walk w = { .dir = dir, .probe = probe, .found = found, .why = why };
	pthread_mutex_init(&w.lock, NULL);
	pthread_cond_init(&w.moved, NULL);
	if (thread_start(&reader, "image reader", read_main, &w) != 0)
		return walk_end(&w), image_inspect_into(dir, probe, sink, found, why);
	while (block_wait(&w)) {
		block_load(&w.blocks[w.taken % BLOCKS], sink);
		block_back(&w);
	}
	pthread_join(reader, NULL);
	return walk_end(&w);
}
