/*
 * test_loop_rounds.c: two loops whose rounds the test makes, over a feed world's engine and log. What goes between them: when the other one
 * is woken, since when a frame has waited. And how long a connection's output may wait, at a time of the test's.
 */
#include "tests/check.h"
#include "tests/feed_world.h"
#include "tests/wire_text.h"

#include <sys/socket.h>
#include <unistd.h>

#include "net/clock.h"
#include "net/dispatch.h"
#include "net/feed.h"

#define SLOTS 4
#define RESERVE(id) "[0, 7, 'reserve', ['" id "', [['S1', 'L', 1]]]]"

static struct loop loops[2];
static _Atomic uint64_t open_n, held_bytes;
static struct connection *client; /* of the extra loop */
static int peer;
static struct buffer frame;

static uint64_t
durable(void *none)
{
	return batcher_durable(feed_world.batcher);
}

static bool
begin(void)
{
	struct why why;
	int ends[2];
	feed_world_begin();
	feed_world.service.durable = durable;
	if (batcher_start(feed_world.batcher, &why) < 0)
		return false;
	for (unsigned i = 0; i < 2; i++) {
		struct loop *l = &loops[i];
		if (loop_init(l, i, SLOTS, &why) < 0)
			return false;
		l->service = &feed_world.service;
		l->batcher = feed_world.batcher;
		l->connections_open = &open_n;
		l->held_bytes = &held_bytes;
		l->memory_max = UINT64_MAX;
		l->dispatch = dispatch_new(loops, 2, i);
		l->feed = feed_join(feed_world.feed, l, SLOTS);
		if (!l->dispatch || !l->feed)
			return false;
	}
	dispatch_join(loops[0].dispatch, loops[1].dispatch);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
		return false;
	peer = ends[1];
	open_n = 1;
	connection_open(&loops[1], ends[0]);
	client = loops[1].slots[0];
	return client != NULL;
}

static void
end(void)
{
	for (int i = 1; i >= 0; i--) {
		struct dispatch *d = loops[i].dispatch;
		loop_fini(&loops[i]);
		dispatch_free(d);
	}
	close(peer);
	buffer_fini(&frame);
	feed_world_end();
}

static bool
rung(const struct loop *l)
{
	uint64_t times;
	return read(l->bell, &times, sizeof times) == sizeof times;
}

/* The client asks; its loop hands the frame over, and the engine's loop handles it. */
static enum dispatched
asked(const char *text)
{
	frame.used = 0;
	wire_from_text(&frame, text);
	enum dispatched how = dispatch_frame(client, frame.at, frame.used, NULL);
	dispatch_round(&loops[0]);
	return how;
}

static void
a_reply_that_becomes_durable_on_its_way_wakes_the_other_loop(void)
{
	struct why why;
	check(begin());
	uint64_t before = batcher_durable(feed_world.batcher);
	check_equal(asked(RESERVE("r1")), DISPATCH_DONE);
	dispatch_bells(&loops[0]);
	check(!rung(&loops[1])); /* it waits for the log, whose bell wakes that loop */
	check_equal(asked(RESERVE("r2")), DISPATCH_DONE);
	check_equal(batcher_settle(feed_world.batcher, &why), 0);
	check(batcher_durable(feed_world.batcher) > before);
	dispatch_bells(&loops[0]);
	check(rung(&loops[1])); /* the log's bell may have come before the reply was put */
	dispatch_bells(&loops[0]);
	check(!rung(&loops[1]));
	check_equal(client->owed, 2);
	dispatch_round(&loops[1]);
	check_equal(client->owed, 0);
	end();
}

static void
a_reply_that_waits_for_nothing_wakes_the_other_loop(void)
{
	check(begin());
	check_equal(asked("[0, 7, 'reserve', []]"), DISPATCH_DONE);
	dispatch_bells(&loops[0]);
	check(rung(&loops[1]));
	end();
}

/* Asked again is as good as just come: what waited before was the log, not this server's queue. */
static void
a_read_that_is_asked_again_at_the_engine_has_waited_since_then(void)
{
	check(begin());
	int64_t before_ns = clock_steady_ns();
	wire_from_text(&frame, RESERVE("r1")); /* of all that the other loop cannot answer */
	dispatch_ask_again(client, &(struct asked){ .since_ms = clock_wall_ms(), .frame = frame.at, .n = frame.used });
	dispatch_round(&loops[1]);
	dispatch_round(&loops[0]);
	check(loops[0].turn.since_ns >= before_ns && loops[0].turn.since_ns <= loops[0].turn.now_ns);
	end();
}

static void
output_that_waits_has_its_time_from_when_it_began_to_wait(void)
{
	static char junk[65536];
	check(begin());
	connection_reply(client, (const uint8_t *)"a", 1, 0, NULL);
	connection_flush(client, durable(NULL));
	check(!client->blocked && client->sent == 1);
	client->progress_ms = clock_steady_ms() - 2 * PROGRESS_MS_MAX; /* that was long ago */
	while (send(client->fd, junk, sizeof junk, MSG_DONTWAIT) > 0)
		;
	connection_reply(client, (const uint8_t *)"b", 1, 0, NULL);
	connection_flush(client, durable(NULL));
	check(client->blocked && client->sent == 1);
	connection_sweep(client, clock_steady_ms());
	check(loops[1].connections_n == 1);
	connection_sweep(client, clock_steady_ms() + PROGRESS_MS_MAX + 1);
	check(loops[1].connections_n == 0);
	end();
}

int
main(int argc, char **argv)
{
	static const struct check tests[] = {
		CHECK(a_reply_that_becomes_durable_on_its_way_wakes_the_other_loop),
		CHECK(a_reply_that_waits_for_nothing_wakes_the_other_loop),
		CHECK(output_that_waits_has_its_time_from_when_it_began_to_wait),
		CHECK(a_read_that_is_asked_again_at_the_engine_has_waited_since_then),
	};
	return check_run(argv[0], tests, sizeof tests / sizeof tests[0], argc, argv);
}
