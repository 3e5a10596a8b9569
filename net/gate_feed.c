/* gate_feed.c: see gate_feed.h for the states. */
#include "net/gate_feed.h"

#include "net/codec_read.h"
#include "net/gate_frame.h"
#include "net/gate_raw.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

/* The numbers of the only two requests. */
#define MSGID_POSITION 1
#define MSGID_WATCH 2
#define ITEM_MEMBERS 7 /* [seq, sku, location, ats, was, on_hand, threshold] */

void
gate_feed_init(struct gate_feed *f, const struct gate_address *server, const struct gate_socket *door, struct feed_counters *counters,
    void (*say)(const char *))
{
	memset(f, 0, sizeof *f);
	gate_line_init(&f->line, server, "server, for the feed", FEED_MESSAGE_BYTES_MAX);
	f->door = door;
	f->counters = counters;
	feed_counter_set(&counters->feed_subscribers, 0); /* of a feed before this one, perhaps, which died */
	feed_counter_set(&counters->feed_seq, 0);
	f->say = say;
}

void
gate_feed_fini(struct gate_feed *f)
{
	gate_line_fini(&f->line);
}

static void
feed_lost(struct gate_feed *f, const char *what, int64_t now_ms)
{
	gate_line_lost(&f->line, what, "", now_ms);
	f->state = FEED_RESTING;
	f->has_position = f->asked_position = false;
}

/* ---- out ---- */

/* A few bytes on a connection where at most a few others wait: what the kernel does not take now it will never take. */
static void
feed_say(struct gate_feed *f, const uint8_t *bytes, size_t n, int64_t now_ms)
{
	if (send(f->line.fd, bytes, n, MSG_NOSIGNAL) != (ssize_t)n)
		feed_lost(f, "it takes no request", now_ms);
}

static void
feed_ask_position(struct gate_feed *f, int64_t now_ms)
{
	static const uint8_t hello[] = "\x94\x00\x01\xa5hello\x91\x81\xa1v\x01";
	f->asked_position = true;
	f->line.heard_ms = now_ms;
	feed_say(f, hello, sizeof hello - 1, now_ms);
}

static void
feed_ask_watch(struct gate_feed *f, int64_t now_ms)
{
	static const uint8_t live[] = "\x94\x00\x02\xa5watch\x91\x81\xa4" "full\xc3", later[] = "\x94\x00\x02\xa5watch\x91\x82\xa4" "full\xc3\xa5since\xcf";
	uint8_t request[sizeof later + 8];
	size_t n = f->has_since ? sizeof later - 1 : sizeof live - 1;
	memcpy(request, f->has_since ? later : live, n);
	for (int i = 56; f->has_since && i >= 0; i -= 8)
		request[n++] = (uint8_t)(f->since >> i);
	f->state = FEED_ASKED;
	f->line.heard_ms = now_ms;
	feed_counter_add(&f->counters->feed_watches);
	feed_say(f, request, n, now_ms);
}

/* ---- in ---- */

/* {seq, ...}: false: there is none. */
static bool
seq_read(struct bytes map, uint64_t *seq)
{
	static const struct key keys[] = { KEY("seq") };
	struct reader r = { map.at, map.at + map.n };
	uint32_t pairs;
	int64_t n;
	int hint = 0;
	if (!reader_map(&r, &pairs))
		return false;
	for (uint32_t i = 0; i < pairs; i++) {
		if (reader_key(&r, keys, 1, &hint) == 0 && reader_int_in(&r, 0, INT64_MAX, &n)) {
			*seq = (uint64_t)n;
			return true;
		}
		if (!reader_skip(&r))
			return false;
	}
	return false;
}

/* It cannot go on from `since`, or cannot be watched: told once, tried again as after any lost connection. */
static const char *
watch_refused(struct gate_feed *f, const struct frame_reply *reply)
{
	const char *gone = status_name(STATUS_GONE), *behind = status_name(STATUS_BEHIND);
	bool lost = bytes_equal(reply->code, (struct bytes){ (const uint8_t *)gone, (uint32_t)strlen(gone) }) ||
	    bytes_equal(reply->code, (struct bytes){ (const uint8_t *)behind, (uint32_t)strlen(behind) });
	char line[256];
	if (lost && f->has_since) {
		snprintf(line, sizeof line, "feed: the server's history no longer goes back to %" PRIu64 " (%.*s): it goes on live, changes in between are "
		    "left out; subscribers catch up by scan", f->since, (int)reply->code.n, (const char *)reply->code.at);
		f->say(line);
		f->has_since = false;
		feed_counter_add(&f->counters->feed_gone);
		return "the history is gone";
	}
	feed_counter_add(&f->counters->feed_refused);
	if (!f->told) {
		snprintf(line, sizeof line, "feed: the server cannot be watched: %.*s: %.*s; trying again until it can", (int)reply->code.n,
		    (const char *)reply->code.at, (int)(reply->message.n < 100 ? reply->message.n : 100), (const char *)reply->message.at);
		f->say(line);
	}
	f->told = true;
	return "it cannot be watched";
}

static const char *
reply_take(struct gate_feed *f, const struct frame_reply *reply)
{
	uint64_t seq;
	if (reply->msgid == MSGID_POSITION) {
		f->asked_position = false;
		f->has_position = !reply->refused && seq_read(reply->result, &f->position);
		if (f->has_position)
			gate_line_fine(&f->line);
		return NULL;
	}
	if (reply->msgid != MSGID_WATCH || f->state != FEED_ASKED)
		return "an answer to nothing";
	if (reply->refused)
		return watch_refused(f, reply);
	if (!seq_read(reply->result, &seq))
		return "no answer to a watch";
	gate_line_fine(&f->line);
	f->told = false;
	f->state = FEED_WATCHING;
	f->since = f->has_since ? f->since : seq;
	f->has_since = true;
	return NULL;
}

/* One item: its bytes go out as they are, behind the SKU and a zero. False: it is none. */
static bool
item_publish(struct gate_feed *f, struct reader *r, uint64_t *seq)
{
	struct reader item = *r;
	struct bytes sku;
	uint32_t members;
	int64_t n;
	if (!reader_array(&item, &members) || members < ITEM_MEMBERS || !reader_int_in(&item, 0, INT64_MAX, &n) || !reader_str(&item, &sku))
		return false;
	const uint8_t *from = r->at;
	if (!reader_skip(r))
		return false;
	const struct raw_part parts[] = { { sku.at, sku.n }, { "", 1 }, { from, (size_t)(r->at - from) } };
	raw_send(f->door->socket, NULL, parts, 3);
	*seq = (uint64_t)n;
	feed_counter_add(&f->counters->feed_published);
	return true;
}

static const char *
changes_take(struct gate_feed *f, struct reader *r)
{
	static const char wrong[] = "what it says is no change";
	uint32_t items;
	uint64_t seq = f->since;
	if (!reader_array(r, &items))
		return wrong;
	for (uint32_t i = 0; i < items; i++)
		if (!item_publish(f, r, &seq))
			return wrong;
	f->since = seq;
	return NULL;
}

static const char *
reached_take(struct gate_feed *f, struct reader *r)
{
	uint32_t n;
	int64_t seq;
	if (!reader_array(r, &n) || n != 1 || !reader_int_in(r, 0, INT64_MAX, &seq))
		return "what it says is no position";
	f->since = (uint64_t)seq;
	return NULL;
}

/* gate_line's hook. */
static const char *
feed_message(void *context, const uint8_t *bytes, size_t n, int64_t now_ms)
{
	struct gate_feed *f = context;
	struct reader r = { bytes, bytes + n };
	struct frame_reply reply;
	struct bytes method;
	uint32_t members;
	int64_t kind;
	if (frame_reply_read(bytes, n, &reply))
		return reply_take(f, &reply);
	if (!reader_array(&r, &members) || members != 3 || !reader_int_in(&r, 2, 2, &kind) || !reader_str(&r, &method) ||
	    f->state != FEED_WATCHING)
		return "what it says is neither an answer nor a change";
	if (method.n == 7 && memcmp(method.at, "changed", 7) == 0)
		return changes_take(f, &r);
	if (method.n == 7 && memcmp(method.at, "reached", 7) == 0)
		return reached_take(f, &r);
	return NULL; /* a notification of a later version */
}

/* ---- the look: does anybody listen? ---- */

/*
 * F1: a position becomes `since` only when nobody was connected after it had been answered; so whoever is there at a later look came
 * behind it. An older one would do too: what is published twice says the same. Who has just come gets until the next look for the
 * greeting: nanomsg counts a connection before it sends by it.
 */
static void
feed_look(struct gate_feed *f, int64_t now_ms)
{
	int subscribers = raw_connections(f->door->socket);
	feed_counter_set(&f->counters->feed_subscribers, (uint64_t)subscribers);
	f->look_ms = now_ms + FEED_LOOK_MS;
	if (subscribers == 0) {
		f->since = f->has_position ? f->position : f->since;
		f->has_since = f->has_since || f->has_position;
		if (f->line.state == LINE_UP && f->state != FEED_RESTING)
			feed_lost(f, "nobody subscribes", now_ms);
		else if (f->line.state == LINE_UP && !f->asked_position)
			feed_ask_position(f, now_ms);
	} else if (f->line.state == LINE_UP && f->state == FEED_RESTING && !f->alone) {
		feed_ask_watch(f, now_ms);
	}
	f->alone = subscribers == 0;
}

int
gate_feed_poll(const struct gate_feed *f, short *events, int64_t *until_ms)
{
	*events = 0;
	*until_ms = INT64_MAX;
	if (f->door->socket < 0)
		return -1;
	int fd = gate_line_poll(&f->line, events, until_ms);
	if (f->look_ms < *until_ms)
		*until_ms = f->look_ms;
	return fd;
}

void
gate_feed_step(struct gate_feed *f, short revents, int64_t now_ms)
{
	const char *wrong = NULL;
	bool awaits = f->asked_position || f->state == FEED_ASKED;
	if (f->door->socket < 0)
		return;
	if (f->line.state != LINE_UP) {
		if (gate_line_come(&f->line, revents, now_ms))
			f->look_ms = now_ms;
	} else {
		wrong = revents ? gate_line_read(&f->line, feed_message, f, now_ms) : NULL;
		if (!wrong && awaits && now_ms - f->line.heard_ms >= FEED_SILENCE_MS)
			wrong = "it has been silent for 30 s";
		if (wrong)
			feed_lost(f, wrong, now_ms);
	}
	if (now_ms >= f->look_ms)
		feed_look(f, now_ms);
	feed_counter_set(&f->counters->feed_seq, f->state == FEED_WATCHING ? f->since : 0);
}
