/*
 * test_gate_carry.c: carrying (DR1, DR2): what a spool does with events that the server refuses for now, when there are too many of them or
 * when they stand in the way of its oldest segment. The delivery over a spool on the simulated disk; the test is the gate around it, the
 * server and the clock. An event is its number with the till, so the server's side knows which it has and which it had before.
 */
#include "tests/check.h"
#include "tests/image_rig.h"
#include "tests/sim_disk.h"

#include <errno.h>
#include <inttypes.h>

#include "net/codec_write.h"
#include "net/gate_spool_drain.h"
#include "persist/spool_format.h"

#define EVENT_N 24
#define SERVED_MAX 200000
#define SEGMENT_BYTES ((uint64_t)20480)
#define SEGMENTS 6
#define IN_SPOOL (SEGMENTS * SEGMENT_BYTES / (EVENT_N + SPOOL_RECORD_BYTES)) /* events, and some less */

/* Under a sanitizer each open costs milliseconds: every so-manieth case there. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STRIDE 13
#else
#define STRIDE 1
#endif

static void
identify(struct bytes event, struct spool_identity *identity)
{
	*identity = (struct spool_identity){ .source = { (const uint8_t *)"till", 4 }, .n = spool_get(event.at, 8), .at = -1 };
}

/* ---- the world ---- */

static struct {
	struct disk *disk;
	struct spool *spool;
	struct drain drain;
	struct gate_queue queue;
	struct gate_refused refused;
	struct gate_counters counters;
	struct why why;
	int64_t now_ms;
	uint64_t asked; /* the till's numbers up to here are durable */
	/* the server's side */
	uint64_t stuck_from, stuck_to; /* refused for now */
	uint8_t has[SERVED_MAX];
	uint64_t has_n, refused_n;
} w;

static bool
gate_begin(uint64_t segment_bytes, uint32_t segments)
{
	const struct spool_options options = { .bytes_max = segments * segment_bytes, .segment_bytes = segment_bytes, .sources_max = 2, .salt = 77,
		.identify = identify };
	struct spool_found found;
	w.spool = spool_open(w.disk, &options, &found, &w.why);
	if (!w.spool || gate_queue_init(&w.queue, 1) < 0)
		return false;
	w.refused = (struct gate_refused){ .fd = -1 };
	if (refused_open(&w.refused, w.disk, &w.why) < 0)
		return false;
	drain_init(&w.drain, w.spool, found.delivered, 0, &w.refused, &w.queue, &w.counters);
	return true;
}

static void
gate_end(void)
{
	if (w.drain.queue) {
		drain_fini(&w.drain);
		refused_close(&w.refused);
		gate_queue_fini(&w.queue);
	}
	w.drain = (struct drain){ 0 };
	spool_close(w.spool);
	w.spool = NULL;
}

static void
world_begin(void)
{
	memset(&w, 0, sizeof w);
	w.disk = sim_disk_new();
	w.now_ms = 1000000;
}

static void
world_end(void)
{
	gate_end();
	w.disk->calls->end(w.disk);
}

/* The till: so many more events, as far as they fit. 0; -1: the disk failed. */
static int
till_asks(uint64_t n)
{
	uint8_t event[EVENT_N] = { 0 };
	uint64_t number = w.asked;
	while (n-- > 0 && spool_payload(w.spool) + SPOOL_RECORD_BYTES + EVENT_N <= spool_payload_max(w.spool)
	    && spool_fits(w.spool, SPOOL_RECORD_BYTES + EVENT_N, false)) {
		spool_put(event, ++number, 8);
		spool_add(w.spool, (struct bytes){ event, EVENT_N });
	}
	if (spool_commit(w.spool, w.now_ms, &w.why) < 0)
		return -1;
	w.asked = number;
	return 0;
}

/* `post` of one batch: [seq, [outcome, ...]]. */
static void
server_answers(struct gate_request *request, struct buffer *reply)
{
	const struct bytes all = request->body;
	uint32_t n = (all.n - 3) / EVENT_N;
	reply->used = 0;
	put_array(reply, 2);
	put_uint(reply, 1);
	put_array(reply, n);
	for (uint32_t i = 0; i < n; i++) {
		uint64_t number = spool_get(all.at + 3 + i * EVENT_N, 8);
		ensure(number > 0 && number < SERVED_MAX);
		if (number >= w.stuck_from && number < w.stuck_to) {
			w.refused_n++;
			put_map(reply, 1);
			put_text(reply, "rejected");
			put_text(reply, "gap_too_wide");
			continue;
		}
		put_text(reply, w.has[number] ? "duplicate" : "applied");
		w.has_n += w.has[number] == 0;
		w.has[number] = 1;
	}
}

/* The server's answers to all that was sent. How many requests. */
static int
answers(void)
{
	static struct buffer reply;
	int n = 0;
	for (uint64_t number = w.queue.first; number < w.queue.next; number++, n++) {
		struct gate_request *request = gate_queue_at(&w.queue, number);
		gate_queue_turn(&w.queue, request, REQUEST_SENT);
		server_answers(request, &reply);
		ensure(drain_result(&w.drain, request, (struct bytes){ reply.at, (uint32_t)reply.used }, w.now_ms, w.now_ms));
		gate_queue_answered(&w.queue, request, NULL, 0);
	}
	buffer_fini(&reply);
	return n;
}

/* What the gate does when it wakes up. How many requests; -1: the disk failed. */
static int
wake(void)
{
	if (drain_step(&w.drain, w.now_ms, w.now_ms, &w.why) < 0)
		return -1;
	int n = answers();
	return spool_tend(w.spool, w.now_ms, &w.why) < 0 ? -1 : n;
}

/* Until it has nothing to do at this moment. The wake-ups; -1: the disk failed; bound: it never comes to rest. */
static int
rest(int bound)
{
	int n = 0, sent = 1;
	while (sent > 0 && n < bound) {
		sent = wake();
		n++;
	}
	return sent < 0 ? -1 : n;
}

/* The server takes everything now. Does all that was acknowledged reach it? */
static bool
all_arrives(void)
{
	struct spool_figures f = { .waiting = 1 };
	w.stuck_to = 0;
	for (int i = 0; i < 1000 && f.waiting; i++) {
		w.now_ms += DRAIN_LAP_MS_MAX;
		if (rest(10000) < 0)
			return false;
		spool_figures(w.spool, &f);
	}
	for (uint64_t number = 1; number <= w.asked; number++)
		if (!w.has[number]) {
			printf("     number %" PRIu64 " of %" PRIu64 " never came\n", number, w.asked);
			return false;
		}
	return f.waiting == 0 && later_count(&w.drain.later) == 0;
}

/* ---- tests ---- */

static void
what_is_refused_for_now_does_not_hold_the_oldest_segment(void)
{
	struct spool_figures f;
	world_begin();
	check(gate_begin(SEGMENT_BYTES, SEGMENTS));
	w.stuck_from = 3, w.stuck_to = 10;
	/* Ten times what the spool holds goes through it beside seven events that do not. */
	for (int i = 0; i < 2000 && w.asked < 10 * IN_SPOOL; i++) {
		check_equal(till_asks(100), 0);
		check(rest(1000) > 0);
		w.now_ms += 1000;
	}
	check(w.asked >= 10 * IN_SPOOL);
	check_equal(w.has_n, w.asked - 7);
	check(w.counters.spool_carried >= 7 && w.counters.spool_carried % 7 == 0);
	spool_figures(w.spool, &f);
	check(f.bytes <= f.bytes_max);
	check(f.recycled > 2 * SEGMENTS);
	check_equal(later_count(&w.drain.later), 7);
	check(all_arrives());
	world_end();
}

/* Two fifths of a small spool waits to be tried again: the last segment is theirs alone, so the rest goes round all the same. */
static void
much_that_is_refused_for_now_leaves_room_for_others(void)
{
	enum { SMALL = 4, ROOM = SMALL * SEGMENT_BYTES / (EVENT_N + SPOOL_RECORD_BYTES), STUCK = ROOM * 2 / 5 };
	world_begin();
	check(gate_begin(SEGMENT_BYTES, SMALL));
	w.stuck_from = 3, w.stuck_to = 3 + STUCK;
	for (int i = 0; i < 1000 && w.asked < 3 * ROOM; i++) {
		int wakes;
		check_equal(till_asks(100), 0);
		check((wakes = rest(500)) > 0 && wakes < 500);
		w.now_ms += 1000;
	}
	check(w.asked >= 3 * ROOM);
	check(all_arrives());
	world_end();
}

/* A third of it, and few others or none: it is not carried again and again. */
static void
what_is_refused_for_now_is_carried_seldom_when_little_else_comes(void)
{
	enum { SMALL = 4, ROOM = SMALL * SEGMENT_BYTES / (EVENT_N + SPOOL_RECORD_BYTES), STUCK = ROOM / 3, SECONDS = 300 };
	world_begin();
	check(gate_begin(SEGMENT_BYTES, SMALL));
	w.stuck_from = 3, w.stuck_to = 3 + STUCK;
	for (int i = 0; i < 1000 && w.asked < STUCK + 10; i++, w.now_ms += 1000) {
		check_equal(till_asks(100), 0);
		check(rest(500) > 0);
	}
	uint64_t carried = w.counters.spool_carried;
	for (int i = 0; i < SECONDS; i++) {
		check_equal(till_asks(1), 0);
		for (int k = 0; k < 10; k++, w.now_ms += 100) {
			int wakes = rest(500);
			check(wakes > 0 && wakes < 500);
		}
	}
	check_equal(w.has_n, w.asked - STUCK);
	check(w.counters.spool_carried - carried < (uint64_t)STUCK * SECONDS * 1000 / DRAIN_LAP_MS_MAX + 10 * STUCK);
	check(all_arrives());
	world_end();
}

static void
more_than_memory_takes_is_carried_and_holds_up_nobody(void)
{
	enum { STUCK = LATER_EVENTS_MAX + 20000, GOOD = 5000 };
	uint64_t refused = 0;
	world_begin();
	check(gate_begin(SPOOL_SEGMENT_BYTES_MIN, 4));
	w.stuck_from = 1, w.stuck_to = STUCK + 1;
	while (w.asked < STUCK + GOOD)
		check_equal(till_asks(STUCK + GOOD - w.asked), 0);
	/* It comes to rest, although what was carried comes again: at one moment it is tried once. */
	int wakes = rest(3000);
	check(wakes > 0 && wakes < 3000);
	check(w.counters.spool_carried >= STUCK - LATER_EVENTS_MAX);
	check(later_count(&w.drain.later) <= LATER_EVENTS_MAX + DRAIN_BATCHES_MAX * DRAIN_BATCH_EVENTS);
	check_equal(w.has_n, GOOD);
	/* Ever more seldom, in the end each of them about every five seconds. */
	for (int i = 0; i < 60; i++) {
		refused = i == 40 ? w.refused_n : refused;
		w.now_ms += 1000;
		check(rest(3000) > 0);
	}
	check(w.refused_n - refused < 8 * (uint64_t)STUCK);
	check(all_arrives());
	world_end();
}

/* As when there is no memory to remember what the server refused for now: only the spool still has it. */
static void
a_delivery_that_failed_says_nothing_more_is_delivered(void)
{
	struct spool_figures f;
	world_begin();
	check(gate_begin(SEGMENT_BYTES, SEGMENTS));
	check_equal(till_asks(10), 0);
	check_equal(drain_step(&w.drain, w.now_ms, w.now_ms, &w.why), 0);
	w.drain.failed = true;
	check_equal(answers(), 1);
	spool_figures(w.spool, &f);
	check_equal(f.waiting, 10);
	check_equal(drain_step(&w.drain, w.now_ms, w.now_ms, &w.why), -1);
	gate_end();
	sim_disk_kill(w.disk);
	check(gate_begin(SEGMENT_BYTES, SEGMENTS));
	check(all_arrives());
	world_end();
}

/* A life with stuck events, up to the end or the disk's. */
static void
life(uint64_t rounds)
{
	w.stuck_from = 3, w.stuck_to = 40;
	for (uint64_t i = 0; i < rounds; i++) {
		if (till_asks(150) < 0 || rest(1000) < 0)
			return;
		w.now_ms += 1000;
	}
}

static void
life_with(void (*trouble)(struct disk *, uint64_t k), uint64_t k, bool power)
{
	world_begin();
	check(gate_begin(SEGMENT_BYTES, SEGMENTS));
	trouble(w.disk, k);
	life(60);
	if (power)
		sim_disk_stop_after(w.disk, 0);
	gate_end();
	if (power)
		sim_disk_crash(w.disk, check_seed(1) + k);
	else
		sim_disk_kill(w.disk);
	/* The till asks again for what it has no answer to: numbers it used before, with the same bytes. */
	check(gate_begin(SEGMENT_BYTES, SEGMENTS));
	check(all_arrives());
	check_equal(till_asks(10), 0);
	check(all_arrives());
	world_end();
}

static uint64_t
life_calls(void)
{
	world_begin();
	if (!gate_begin(SEGMENT_BYTES, SEGMENTS))
		return 0;
	sim_disk_fail(w.disk, 0, 0);
	life(60);
	uint64_t calls = w.counters.spool_carried >= 3 * 37 ? sim_disk_calls(w.disk) : 0;
	world_end();
	return calls;
}

static void
fail_once(struct disk *disk, uint64_t k)
{
	sim_disk_fail(disk, k, EIO);
}

static void
a_disk_that_ends_at_any_call_loses_nothing_that_was_carried(void)
{
	uint64_t calls = life_calls();
	check(calls > 200);
	printf("     %" PRIu64 " calls\n", calls);
	for (uint64_t k = 1; k <= calls && !check_failed_now; k += STRIDE) {
		life_with(sim_disk_stop_after, k, true);
		if (!check_failed_now)
			life_with(fail_once, k, false);
		if (check_failed_now)
			printf("     at call %" PRIu64 " of %" PRIu64 "\n", k, calls);
	}
}

int
main(int argc, char **argv)
{
	static const struct check tests[] = {
		CHECK(what_is_refused_for_now_does_not_hold_the_oldest_segment),
		CHECK(much_that_is_refused_for_now_leaves_room_for_others),
		CHECK(what_is_refused_for_now_is_carried_seldom_when_little_else_comes),
		CHECK(more_than_memory_takes_is_carried_and_holds_up_nobody),
		CHECK(a_delivery_that_failed_says_nothing_more_is_delivered),
		CHECK(a_disk_that_ends_at_any_call_loses_nothing_that_was_carried),
	};
	return check_run("tests/test_gate_carry", tests, sizeof tests / sizeof tests[0], argc, argv);
}
