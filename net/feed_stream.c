/* feed_stream.c: from the log to windows. The contract is in feed_part.h. */
#include "net/feed_part.h"

static int
stream_open(struct feed *f, struct stream *s, struct why *why)
{
	bool gone;
	s->inside = false;
	s->reader = f->parts.log->calls->read_open(f->parts.log, s->seq + 1, &gone, why);
	return s->reader ? 0 : -1;
}

static const struct log_calls *
calls_of(const struct feed *f)
{
	return f->parts.log->calls;
}

void
stream_close(struct feed *f, struct stream *s)
{
	if (s->reader)
		calls_of(f)->read_close(s->reader);
	s->reader = NULL;
	s->inside = false;
}

/* Stands in front of the step behind s->seq. 1; 0: it is not there yet; -1: why. */
static int
batch_enter(struct feed *f, struct stream *s, uint64_t durable, struct why *why)
{
	struct log_batch batch;
	if (!s->reader && stream_open(f, s, why) < 0)
		return -1;
	int got = calls_of(f)->read_next(s->reader, durable, &batch, why);
	if (got <= 0)
		return got;
	change_walk_begin(&s->walk, &batch);
	s->inside = true;
	return 1;
}

/* One step into the window. 1; 0: the window is full, or the batch ends; -1: why. */
static int
step_take(struct feed *f, struct stream *s, bool *full, struct why *why)
{
	struct change_walk before = s->walk;
	uint32_t n;
	int got = change_walk_step(&s->walk, f->step, &n, why);
	if (got <= 0) {
		s->inside = false;
		return got;
	}
	if (before.seq <= s->seq) /* the batch began before the position asked for */
		return 1;
	*full = !window_add(&f->window, before.seq, f->step, n);
	if (*full) {
		s->walk = before;
		return 0;
	}
	s->seq = before.seq;
	return 1;
}

int
stream_window(struct feed *f, struct stream *s, uint64_t durable, uint64_t end, struct why *why)
{
	bool full = false;
	int got = 1;
	window_clear(&f->window, s->seq);
	while (s->seq < end && !full && got >= 0) {
		if (!s->inside && (got = batch_enter(f, s, durable, why)) == 0)
			break;
		if (got > 0)
			got = step_take(f, s, &full, why);
	}
	if (got < 0) {
		stream_close(f, s);
		return -1;
	}
	window_sort(&f->window);
	return f->window.steps > 0;
}
