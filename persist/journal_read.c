/*
 * journal_read.c: readers. A reader has its own handle and buffer and asks the journal only which segment holds a position;
 * a segment ends where the next one's first position begins, so a reader that stands there moves on and never looks at what
 * is behind (a torn tail that claim left).
 *
 * It reads nothing past the durable position. Up to there every batch must be valid: what is not, is damage, or was
 * recycled meanwhile, which the list of segments tells.
 */
#include "persist/journal_private.h"

#include <errno.h>
#include <stdlib.h>

struct log_reader {
	struct journal *journal;
	struct journal_cursor cursor;
	bool inside; /* the cursor is in a segment */
	bool chained; /* hash is that of the batch that ends at next_seq - 1 */
	uint64_t next_seq, hash;
};

static void
durable_get(struct journal *j, uint64_t *oldest, uint64_t *last)
{
	pthread_mutex_lock(&j->list);
	*last = j->last_seq;
	*oldest = j->segments_n ? j->segments[0].first_seq : *last + 1;
	pthread_mutex_unlock(&j->list);
}

struct log_reader *
journal_read_open(struct log *log, uint64_t from, bool *gone, struct why *why)
{
	struct journal *j = journal_of(log);
	uint64_t oldest, last;

	durable_get(j, &oldest, &last);
	*gone = from && from < oldest;
	if (*gone) {
		why_say(why, "position %llu is gone, the journal begins at %llu", (unsigned long long)from, (unsigned long long)oldest);
		return NULL;
	}
	struct log_reader *r = malloc(sizeof *r);
	if (!r || journal_cursor_init(&r->cursor, j->disk)) {
		free(r);
		why_say(why, "no memory for a reader of the journal");
		return NULL;
	}
	r->journal = j;
	r->inside = r->chained = false;
	r->next_seq = from ? from : oldest;
	r->hash = 0;
	return r;
}

void
journal_read_close(struct log_reader *r)
{
	journal_cursor_fini(&r->cursor);
	free(r);
}

static int
gone_now(struct log_reader *r, struct why *why)
{
	return why_say(why, "position %llu is gone: its segment was recycled while it was read", (unsigned long long)r->next_seq);
}

/* J8: a segment that begins at the next position must continue the chain there; one that begins earlier begins with the
 * copy, whose hash the reader compares when it has passed it. */
static int
segment_enter(struct log_reader *r, const struct segment_head *head, struct why *why)
{
	struct segment_head again;

	r->inside = false;
	if (journal_cursor_open(&r->cursor, head)) {
		int error = errno;
		if (!journal_segment_of(r->journal, r->next_seq, &again) || again.generation != head->generation)
			return gone_now(r, why);
		errno = error;
		return journal_why_disk(why, "open", head->generation);
	}
	if (r->chained && head->first_seq == r->next_seq && head->prev_hash != r->hash)
		return journal_why_damage(why, head->generation, 0, "the segment does not continue the one before it");
	r->inside = true;
	return 0;
}

/* The bytes at the cursor are no batch though one is durable there. 0: the list moved on, look again. */
static int
invalid_judge(struct log_reader *r, enum cursor_found found, struct why *why)
{
	uint64_t generation = r->cursor.head.generation;
	struct segment_head head;
	int error = errno;

	if (!journal_segment_of(r->journal, r->next_seq, &head))
		return gone_now(r, why);
	if (head.generation != generation)
		return 0;
	errno = error;
	if (found == CURSOR_FAILED)
		return journal_why_disk(why, "read", generation);
	return journal_why_damage(why, generation, r->cursor.offset, "no valid batch where one was durable");
}

/* A batch was found: deliver it (1), skip it because it ends before next_seq (0), or damage (-1). */
static int
batch_judge(struct log_reader *r, const struct batch_head *head, struct why *why)
{
	uint64_t behind = head->first_seq + head->steps;

	if (behind == r->next_seq && r->chained && head->hash != r->hash)
		return journal_why_damage(why, r->cursor.head.generation, r->cursor.offset, "the copy is not the batch that was copied");
	if (behind <= r->next_seq)
		return 0;
	if (r->chained && head->first_seq != r->next_seq)
		return journal_why_damage(why, r->cursor.head.generation, r->cursor.offset, "batches overlap");
	r->next_seq = behind;
	r->hash = head->hash;
	r->chained = true;
	return 1;
}

int
journal_read_next(struct log_reader *r, uint64_t up_to, struct log_batch *batch, struct why *why)
{
	uint64_t oldest, last;
	struct segment_head segment;
	struct batch_head head;
	const uint8_t *payload;

	durable_get(r->journal, &oldest, &last);
	if (up_to > last)
		up_to = last;
	while (r->next_seq <= up_to) {
		if (!journal_segment_of(r->journal, r->next_seq, &segment))
			return gone_now(r, why);
		if ((!r->inside || r->cursor.head.generation != segment.generation) && segment_enter(r, &segment, why))
			return -1;
		uint64_t offset = r->cursor.offset, next_seq = r->cursor.next_seq, hash = r->cursor.hash;
		enum cursor_found found = journal_cursor_next(&r->cursor, &head, &payload);
		if (found != CURSOR_BATCH) {
			if (invalid_judge(r, found, why))
				return -1;
			continue;
		}
		if (head.first_seq + head.steps - 1 > up_to) { /* in two parts durable? no: asked for less than a batch */
			r->cursor.offset = offset;
			r->cursor.next_seq = next_seq;
			r->cursor.hash = hash;
			return 0;
		}
		int verdict = batch_judge(r, &head, why);
		if (verdict < 0)
			return -1;
		if (verdict == 0)
			continue;
		*batch = (struct log_batch){ .epoch = head.epoch, .first_seq = head.first_seq, .steps = head.steps,
			.stamp_ms = head.stamp_ms, .payload = payload, .payload_n = head.payload_n };
		return 1;
	}
	return 0;
}

enum log_outcome
journal_resolve(struct log *log, uint64_t first_seq, struct why *why)
{
	struct journal *j = journal_of(log);
	uint64_t oldest, last;

	durable_get(j, &oldest, &last);
	if (first_seq > last) {
		why_say(why, "the log ends at position %llu", (unsigned long long)last);
		return LOG_FENCED;
	}
	if (first_seq < oldest)
		return LOG_DURABLE; /* recycled, so it was there */
	bool gone;
	struct log_batch batch;
	struct log_reader *r = journal_read_open(log, first_seq, &gone, why);
	if (!r)
		return LOG_UNKNOWN;
	int found = journal_read_next(r, last, &batch, why);
	bool same = found > 0 && batch.first_seq == first_seq;
	journal_read_close(r);
	if (found <= 0)
		return LOG_UNKNOWN;
	if (!same)
		why_say(why, "another batch holds position %llu", (unsigned long long)first_seq);
	return same ? LOG_DURABLE : LOG_FENCED;
}
