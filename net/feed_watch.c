/*
 * feed_watch.c: the watchers: how one begins, catches up, lives and ends.
 *
 *      watch ──▶ CATCHING ──at the live position, little unread──▶ LIVE ──▶ closed: 1 MiB unread, its connection's end, journal trouble
 *         └────▶ WAITING ──the live stream has come there──────────▶ │
 *
 * With nobody LIVE or WAITING there is no live stream: the first who has caught up with the durable position gives its own.
 */
#include "net/feed_part.h"

#include "core/view.h"
#include "net/batcher.h"
#include "net/codec_write.h"

#include <stdlib.h>

static const struct engine *
engine_of(const struct feed *f)
{
	return f->parts.service->engine;
}

/* ---- the list ---- */

/* An own reader is given up; it is opened again where it stood. */
static void
reader_give(struct feed *f, struct watcher *w)
{
	if (!w->stream.reader)
		return;
	stream_close(f, &w->stream);
	f->readers_n--;
}

static void
live_settle(struct feed *f)
{
	bool live = false;
	for (uint32_t i = 0; i < f->watchers_n; i++)
		live |= f->watchers[i]->state != WATCHER_CATCHING;
	if (f->live && !live)
		stream_close(f, &f->stream);
	f->live = live;
}

static void
watcher_end(struct feed *f, uint32_t i)
{
	struct watcher *w = f->watchers[i];
	reader_give(f, w);
	free(w->members);
	free(w);
	f->watchers[i] = f->watchers[--f->watchers_n];
}

/* Ends it and its connection. */
static void
watcher_cut(struct feed *f, uint32_t i, enum counter why)
{
	struct watcher *w = f->watchers[i];
	counters_add(&f->counters, why, 1);
	feed_put(w->road, &(struct ring_record){ .kind = RING_CUT, .token = w->token });
	watcher_end(f, i);
}

static void
gone_sweep(struct feed *f)
{
	for (uint32_t i = f->watchers_n; i-- > 0;)
		if (!feed_alive(f->watchers[i]->road, f->watchers[i]->token))
			watcher_end(f, i);
	live_settle(f);
}

void
watchers_end(struct feed *f)
{
	while (f->watchers_n > 0)
		watcher_end(f, f->watchers_n - 1);
	live_settle(f);
}

/* ---- the filter ---- */

/* A group's members may have changed since the last window. */
static void
members_look(const struct feed *f, struct watcher *w)
{
	if (w->members && view_members(engine_of(f), w->place, &w->members_version, w->members, &w->members_n))
		qsort(w->members, w->members_n, sizeof *w->members, feed_by_number);
}

static bool
wanted(const struct watcher *w, const struct merged *m)
{
	if (!w->full && !(w->threshold_only ? m->crossed : m->moved)) /* W2 */
		return false;
	if (w->full && w->threshold_only && !m->crossed)
		return false;
	if (w->sku != VIEW_NONE && w->sku != m->change.sku)
		return false;
	return !w->members || bsearch(&m->change.location, w->members, w->members_n, sizeof *w->members, feed_by_number);
}

/* ---- telling ---- */

static bool
tell(struct feed *f, struct watcher *w, const struct buffer *message)
{
	w->said_ms = f->now_ms;
	counters_add(&f->counters, COUNTER_WATCH_MESSAGES, 1);
	return feed_put(w->road, &(struct ring_record){ .kind = RING_TOLD, .token = w->token, .bytes = message->at, .n = message->used });
}

/* [2, "changed", [...]] of the window as this watcher sees it, in f->message. How many; 0: nothing to tell. */
static uint32_t
message_make(struct feed *f, struct watcher *w)
{
	struct buffer *b = &f->message;
	uint32_t n = 0;
	members_look(f, w);
	b->used = 0;
	buffer_append(b, "\x93\x02\xa7" "changed" "\xdd\0\0\0\0", 15);
	for (uint32_t i = 0; i < f->window.n; i++) {
		if (!wanted(w, &f->window.at[i]))
			continue;
		window_put(&f->window, i, w->full ? WINDOW_FULL : WINDOW_PLAIN, engine_of(f), b);
		w->said = f->window.at[i].change.seq;
		n++;
	}
	if (!b->full)
		wire_big_endian(b->at + 10, 0xdd, n, 4);
	return n;
}

/* The window, to one watcher. False: it was closed. */
static bool
window_tell(struct feed *f, uint32_t i)
{
	struct watcher *w = f->watchers[i];
	uint32_t n = message_make(f, w);
	bool live = w->state == WATCHER_LIVE;
	if (n > 0 && (f->message.full || (live && feed_unread(w->road, w->token) + f->message.used > WATCH_UNREAD_MAX))) {
		f->message.full = false;
		watcher_cut(f, i, COUNTER_WATCHERS_SLOW); /* F6 */
		return false;
	}
	w->seq = f->window.seq;
	if (n > 0)
		tell(f, w, &f->message);
	counters_add(&f->counters, COUNTER_CHANGES_TOLD, n);
	return true;
}

/* Those who were told nothing for a while hear how far it is. */
static void
reached_tell(struct feed *f)
{
	if (f->now_ms < f->tick_ms)
		return;
	f->tick_ms = f->now_ms + WATCH_REACHED_MS;
	for (uint32_t i = 0; i < f->watchers_n; i++) {
		struct watcher *w = f->watchers[i];
		if (w->seq <= w->said || f->now_ms - w->said_ms < WATCH_REACHED_MS)
			continue;
		struct buffer *b = &f->message;
		b->used = 0;
		buffer_append(b, "\x93\x02\xa7reached\x91", 11);
		put_uint(b, w->seq);
		w->said = w->seq;
		tell(f, w, b);
	}
}

/* ---- live ---- */

/* A watcher with much unread gets a moment to read, so that a burst does not close a good one. */
static bool
breath(struct feed *f, int64_t *sleep_ms)
{
	bool hold = false;
	for (uint32_t i = 0; i < f->watchers_n; i++) {
		struct watcher *w = f->watchers[i];
		if (w->state != WATCHER_LIVE)
			continue;
		if (feed_unread(w->road, w->token) <= WATCH_BREATH_BYTES) {
			w->breath_ms = 0;
			continue;
		}
		if (w->breath_ms == 0)
			w->breath_ms = f->now_ms;
		if (f->now_ms - w->breath_ms >= WATCH_BREATH_MS || feed_wait_taken(w->road, w->token, WATCH_BREATH_BYTES))
			continue;
		feed_sleep_until(f, w->breath_ms + WATCH_BREATH_MS, sleep_ms);
		hold = true;
	}
	return hold;
}

/* Where the next live window must end: at what is durable, or where somebody waits to begin (F4). */
static uint64_t
live_end(const struct feed *f, uint64_t durable)
{
	uint64_t end = durable;
	for (uint32_t i = 0; i < f->watchers_n; i++)
		if (f->watchers[i]->state == WATCHER_WAITING && f->watchers[i]->seq < end)
			end = f->watchers[i]->seq;
	return end;
}

static void
live_join(struct feed *f)
{
	for (uint32_t i = 0; i < f->watchers_n; i++)
		if (f->watchers[i]->state == WATCHER_WAITING && f->watchers[i]->seq == f->stream.seq)
			f->watchers[i]->state = WATCHER_LIVE;
}

/* The journal cannot be read where the live stream stands: they come again, and are told what is wrong then. */
static void
live_fail(struct feed *f)
{
	for (uint32_t i = f->watchers_n; i-- > 0;)
		if (f->watchers[i]->state != WATCHER_CATCHING)
			watcher_cut(f, i, COUNTER_WATCHERS_GONE);
	live_settle(f);
}

static bool
live_round(struct feed *f, uint64_t durable, int64_t *sleep_ms)
{
	struct why why;
	if (!f->live || f->stream.seq >= durable)
		return false;
	if (f->now_ms < f->told_ms + WATCH_GAP_MS) {
		feed_sleep_until(f, f->told_ms + WATCH_GAP_MS, sleep_ms);
		return false;
	}
	if (breath(f, sleep_ms))
		return false;
	int got = stream_window(f, &f->stream, durable, live_end(f, durable), &why);
	if (got < 0) {
		live_fail(f);
		return false;
	}
	for (uint32_t i = f->watchers_n; got > 0 && i-- > 0;)
		if (f->watchers[i]->state == WATCHER_LIVE)
			window_tell(f, i);
	live_join(f);
	live_settle(f);
	bool more = f->stream.seq < durable;
	if (!more)
		f->told_ms = f->now_ms;
	return more;
}

/* ---- catching up ---- */

/* A reader for this watcher: a free one, or that of somebody who has not read for longest. False: its turn comes later. */
static bool
reader_take(struct feed *f, struct watcher *w)
{
	struct watcher *idle = NULL;
	if (w->stream.reader)
		return true;
	for (uint32_t i = 0; f->readers_n == CATCH_READERS_MAX && i < f->watchers_n; i++) {
		struct watcher *o = f->watchers[i];
		if (o->stream.reader && o->thirsty_ms && (!idle || o->thirsty_ms < idle->thirsty_ms))
			idle = o;
	}
	if (idle)
		reader_give(f, idle);
	if (f->readers_n == CATCH_READERS_MAX)
		return false;
	f->readers_n++; /* stream_window() opens it, or fails and the watcher ends */
	return true;
}

/* It stands where the live stream does, or at the durable position while there is none. */
static void
caught_up(struct feed *f, struct watcher *w)
{
	w->state = WATCHER_LIVE;
	if (f->live) {
		reader_give(f, w);
		return;
	}
	if (w->stream.reader)
		f->readers_n--;
	w->stream.seq = w->seq; /* it may not have read at all */
	f->stream = w->stream;
	f->live = true;
	w->stream = (struct stream){ 0 };
}

/* F6: nothing more before it has read. */
static bool
thirsty(struct feed *f, struct watcher *w)
{
	if (feed_wait_taken(w->road, w->token, WATCH_PACE_BYTES)) {
		w->thirsty_ms = 0;
		return false;
	}
	if (w->thirsty_ms == 0)
		w->thirsty_ms = f->now_ms;
	return true;
}

/* One window of one watcher. True: there is more for it now. */
static bool
catch_step(struct feed *f, uint32_t i, uint64_t durable)
{
	struct watcher *w = f->watchers[i];
	struct why why;
	if (thirsty(f, w))
		return false;
	uint64_t end = f->live ? f->stream.seq : durable;
	if (w->seq == end) {
		caught_up(f, w);
		return true; /* perhaps the live stream goes on now */
	}
	if (!reader_take(f, w))
		return false;
	w->stream.seq = w->seq;
	int got = stream_window(f, &w->stream, durable, end, &why);
	if (got < 0) {
		f->readers_n--;
		watcher_cut(f, i, COUNTER_WATCHERS_GONE);
		return false;
	}
	return got > 0 && window_tell(f, i);
}

/* Each who catches up gets a window in turn, the live ones in between. */
static bool
catch_round(struct feed *f, uint64_t durable)
{
	bool more = false;
	for (uint32_t n = f->watchers_n; n > 0 && f->watchers_n > 0; n--) {
		uint32_t i = f->turn++ % f->watchers_n;
		if (f->watchers[i]->state == WATCHER_CATCHING && catch_step(f, i, durable)) {
			more = true;
			break;
		}
	}
	return more;
}

bool
watchers_round(struct feed *f, uint64_t durable, int64_t *sleep_ms)
{
	if (f->watchers_n == 0)
		return false;
	gone_sweep(f);
	bool more = live_round(f, durable, sleep_ms);
	more |= catch_round(f, durable);
	reached_tell(f);
	if (f->watchers_n > 0)
		feed_sleep_until(f, f->tick_ms, sleep_ms);
	return more;
}

/* ---- the request ---- */

static void
refuse(struct watch_answer *a, enum status status, const char *message, uint64_t number)
{
	*a = (struct watch_answer){ .status = status, .message = message, .number = number };
}

/* What the request names. False: the answer says what is unknown. */
static bool
filter_find(const struct feed *f, const struct watch_ask *ask, struct watcher *w, struct watch_answer *a)
{
	w->sku = w->place = VIEW_NONE;
	if (ask->sku.n > 0 && (w->sku = view_sku_id(engine_of(f), ask->sku)) == VIEW_NONE) {
		refuse(a, STATUS_UNKNOWN_SKU, "no SKU has this name", 0);
		return false;
	}
	if (ask->place.n > 0 && (w->place = view_place_id(engine_of(f), ask->place)) == VIEW_NONE) {
		refuse(a, STATUS_UNKNOWN_LOCATION, "no location or group has this name", 0);
		return false;
	}
	if (w->place != VIEW_NONE && !(w->members = calloc(GROUP_MEMBERS_MAX, sizeof *w->members))) {
		refuse(a, STATUS_INTERNAL, "no memory", 0);
		return false;
	}
	return true;
}

/* Where it begins. False: the answer says why it cannot. */
static bool
place_find(const struct feed *f, const struct watch_ask *ask, struct watcher *w, struct watch_answer *a)
{
	uint64_t durable = batcher_durable(f->parts.batcher), oldest = f->parts.oldest(f->parts.context);
	w->seq = ask->has_since ? ask->since : durable;
	if (w->seq > durable) {
		refuse(a, STATUS_BEHIND, "the server has not come that far", durable);
		return false;
	}
	if (w->seq + 1 < oldest) {
		refuse(a, STATUS_GONE, "the journal no longer goes back to that position: scan again", oldest);
		return false;
	}
	w->state = f->live && w->seq >= f->stream.seq ? WATCHER_WAITING : WATCHER_CATCHING;
	return true;
}

/* The bounds. False: the answer names the one that is reached. */
static bool
bounds_keep(struct feed *f, struct watch_answer *a)
{
	gone_sweep(f);
	for (uint32_t i = 0; i < f->watchers_n; i++)
		if (f->watchers[i]->road == f->asking && f->watchers[i]->token == f->asking_token) {
			refuse(a, STATUS_LIMIT, "one watch a connection", 0);
			a->which = "watch";
			return false;
		}
	if (f->watchers_n < WATCHERS_MAX)
		return true;
	refuse(a, STATUS_LIMIT, "the server has as many watchers as it takes", 0);
	a->which = "watchers";
	return false;
}

void
feed_watch(struct feed *f, const struct watch_ask *ask, struct watch_answer *a)
{
	struct watcher *w = calloc(1, sizeof *w);
	if (!w) {
		refuse(a, STATUS_INTERNAL, "no memory", 0);
		return;
	}
	if (!bounds_keep(f, a) || !filter_find(f, ask, w, a) || !place_find(f, ask, w, a)) {
		free(w->members);
		free(w);
		return;
	}
	w->road = f->asking;
	w->token = f->asking_token;
	w->said = w->seq;
	w->said_ms = f->now_ms;
	w->threshold_only = ask->threshold_only;
	w->full = ask->full;
	f->watchers[f->watchers_n++] = w;
	live_join(f);
	counters_add(&f->counters, COUNTER_WATCHES, 1);
	*a = (struct watch_answer){ .status = STATUS_OK, .number = w->seq };
}
