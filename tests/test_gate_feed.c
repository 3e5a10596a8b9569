/*
 * test_gate_feed.c: what the server tells is published once and as it is; after a lost connection the feed goes on where it was;
 * a subscriber that does not read holds nobody back. The server is a fake; the last test has a real one.
 */
#define _GNU_SOURCE
#include "tests/check.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "net/clock.h"
#include "net/codec_read.h"
#include "tests/fake_server.h"
#include "tests/gate_rig.h"
#include "tests/spawn.h"

#define KIND_PUB 32
#define KIND_SUB 33

static bool
feed_start(struct gate_process *gate, uint16_t server_port)
{
	char server[32];
	snprintf(server, sizeof server, "127.0.0.1:%u", server_port);
	return rig_start_with(gate, (const char *[]){ "--server", server, "--events", "127.0.0.1:0", NULL });
}

static int
subscribe(const struct gate_process *gate)
{
	return till_open_as(gate->ports[DOOR_FEED], KIND_SUB, KIND_PUB, 0);
}

/* [seq, "S<n>", "L", 5, 6, 7, nil] with n = seq % 10. */
static size_t
put_item(uint8_t *at, uint32_t seq)
{
	const uint8_t bytes[] = { 0x97, 0xce, seq >> 24, seq >> 16 & 255, seq >> 8 & 255, seq & 255, 0xa2, 'S', (uint8_t)('0' + seq % 10), 0xa1, 'L', 5,
		6, 7, 0xc0 };
	memcpy(at, bytes, sizeof bytes);
	return sizeof bytes;
}

/* [2, "changed", [items from..to]] */
static void
tell(struct fake_server *fake, uint32_t from, uint32_t to)
{
	static uint8_t message[1 << 20];
	uint32_t items = to - from + 1;
	const uint8_t head[] = { 0x93, 2, 0xa7, 'c', 'h', 'a', 'n', 'g', 'e', 'd', 0xdd, items >> 24, items >> 16 & 255, items >> 8 & 255, items & 255 };
	size_t n = sizeof head;
	memcpy(message, head, n);
	for (uint32_t seq = from; seq <= to; seq++)
		n += put_item(message + n, seq);
	fake_tell(fake, message, n);
}

static void
tell_reached(struct fake_server *fake, uint8_t seq)
{
	const uint8_t message[] = { 0x93, 2, 0xa7, 'r', 'e', 'a', 'c', 'h', 'e', 'd', 0x91, seq };
	fake_tell(fake, message, sizeof message);
}

#define MARK 9 /* the item that is told until everybody hears it: nanomsg greets before it sends */

static bool
heard(struct fake_server *fake, int fd)
{
	int64_t end_ms = clock_steady_ms() + RIG_PATIENCE_MS;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	while (fake_wait_watch(fake) && poll(&p, 1, 20) <= 0 && clock_steady_ms() < end_ms)
		tell(fake, MARK, MARK);
	return p.revents != 0;
}

/* The next message but marks is this item behind its SKU and a zero. */
static bool
published(int fd, uint32_t seq)
{
	uint8_t got[64], item[64], mark[64];
	size_t n = put_item(item, seq);
	int64_t got_n;
	put_item(mark, MARK);
	do
		got_n = till_pull(fd, got, sizeof got);
	while (got_n == (int64_t)n + 3 && memcmp(got + 3, mark, n) == 0);
	bool fine = got_n == (int64_t)n + 3 && got[0] == 'S' && got[1] == '0' + seq % 10 && got[2] == 0 && memcmp(got + 3, item, n) == 0;
	if (!fine)
		printf("     item %u did not come next (%lld bytes)\n", seq, (long long)got_n);
	return fine;
}

static void
each_change_is_published_behind_its_sku(void)
{
	struct fake_server fake;
	struct gate_process gate;
	check(fake_start(&fake));
	check(feed_start(&gate, fake.port));
	int one = subscribe(&gate), two = subscribe(&gate);
	check(one >= 0 && two >= 0);
	check(heard(&fake, one) && heard(&fake, two));
	tell(&fake, 15, 15);
	tell(&fake, 16, 515);
	for (uint32_t seq = 15; seq <= 515; seq++)
		check(published(one, seq) && published(two, seq));
	check(rig_counts(&gate, "feed_watches=1 feed_gone=0 feed_refused=0 feed_subscribers=2 feed_seq=515 "));
	close(one);
	close(two);
	check_equal(rig_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

/* The position is taken while nobody is there, so what changes between a subscriber's arrival and the watch is told. */
static void
the_server_is_watched_while_somebody_subscribes_from_before_they_came(void)
{
	struct fake_server fake;
	struct gate_process gate;
	check(fake_start(&fake));
	fake_stand(&fake, 40);
	check(feed_start(&gate, fake.port));
	int64_t looks_ms = clock_steady_ms() + RIG_PATIENCE_MS;
	while (fake_count(&fake).hellos < 3 && clock_steady_ms() < looks_ms)
		poll(NULL, 0, 5);
	check(fake_count(&fake).hellos >= 3);
	check_equal(fake_count(&fake).watches, 0);
	int fd = subscribe(&gate);
	check(fd >= 0);
	check(heard(&fake, fd));
	check_equal(fake_count(&fake).since, 40);
	tell(&fake, 50, 60);
	check(published(fd, 50));
	close(fd);
	int64_t end_ms = clock_steady_ms() + RIG_PATIENCE_MS;
	while (fake_count(&fake).watching > 0 && clock_steady_ms() < end_ms)
		poll(NULL, 0, 5);
	check_equal(fake_count(&fake).watching, 0);
	check_equal(rig_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

static void
after_a_lost_connection_it_goes_on_where_it_was(void)
{
	struct fake_server fake;
	struct gate_process gate;
	check(fake_start(&fake));
	check(feed_start(&gate, fake.port));
	int fd = subscribe(&gate);
	check(fd >= 0);
	check(heard(&fake, fd));
	for (uint32_t round = 2; round <= 6; round++) {
		check(fake_wait_watch(&fake));
		if (round > 2)
			check_equal(fake_count(&fake).since, round * 10 - 1);
		tell(&fake, round * 10, round * 10 + 9);
		for (uint32_t seq = round * 10; seq <= round * 10 + 9; seq++)
			check(published(fd, seq));
		fake_break(&fake);
	}
	check(fake_wait_watch(&fake));
	tell_reached(&fake, 99);
	check(rig_counts(&gate, "feed_seq=99 "));
	fake_break(&fake);
	check(fake_wait_watch(&fake));
	check_equal(fake_count(&fake).since, 99);
	close(fd);
	check_equal(rig_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

static void
history_that_is_gone_is_told_and_the_feed_goes_on_live(void)
{
	struct fake_server fake;
	struct gate_process gate;
	char said[2048];
	check(fake_start(&fake));
	check(feed_start(&gate, fake.port));
	int fd = subscribe(&gate);
	check(fd >= 0);
	check(heard(&fake, fd));
	tell(&fake, 10, 10);
	check(published(fd, 10));
	fake_refuse_watch(&fake, "gone", 1);
	fake_break(&fake);
	check(rig_says(&gate, "changes in between are left out", said, sizeof said));
	check(fake_wait_watch(&fake));
	check_equal(fake_count(&fake).since, UINT64_MAX);
	tell(&fake, 20, 20);
	check(published(fd, 20));
	check(rig_counts(&gate, "feed_gone=1 feed_refused=0 "));
	close(fd);
	check_equal(rig_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

static void
a_server_that_cannot_be_watched_is_told_once_and_tried_again(void)
{
	struct fake_server fake;
	struct gate_process gate;
	char said[2048];
	check(fake_start(&fake));
	fake_refuse_watch(&fake, "unknown_method", 3);
	check(feed_start(&gate, fake.port));
	int fd = subscribe(&gate), events = till_open(gate.ports[DOOR_EVENTS]);
	check(fd >= 0 && events >= 0);
	check(rig_says(&gate, "cannot be watched: unknown_method", said, sizeof said));
	check(fake_wait_watch(&fake));
	check(rig_counts(&gate, "feed_watches=4 feed_gone=0 feed_refused=3 "));
	uint8_t event[64];
	check(till_expect(events, event, put_event(event, 1), "applied"));
	close(fd);
	close(events);
	check_equal(rig_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

/* One reads nothing, one reads all: the second misses nothing, and events are answered meanwhile. */
static void
a_subscriber_that_does_not_read_holds_nobody_back(void)
{
	enum { CHANGES = 120, OF_MESSAGE = 500 };
	struct fake_server fake;
	struct gate_process gate;
	uint8_t event[64];
	check(fake_start(&fake));
	check(feed_start(&gate, fake.port));
	int lazy = till_open_as(gate.ports[DOOR_FEED], KIND_SUB, KIND_PUB, 1 << 14), keen = subscribe(&gate);
	int events = till_open(gate.ports[DOOR_EVENTS]);
	check(lazy >= 0 && keen >= 0 && events >= 0);
	check(heard(&fake, keen) && heard(&fake, lazy));
	for (uint32_t i = 0; i < CHANGES; i++) {
		tell(&fake, i * OF_MESSAGE + 10, i * OF_MESSAGE + 509);
		for (uint32_t seq = i * OF_MESSAGE + 10; seq < i * OF_MESSAGE + 510; seq++)
			check(published(keen, seq));
		check(i % 20 || till_expect(events, event, put_event(event, i + 1), "applied"));
	}
	check(rig_counts(&gate, "feed_seq=60009 "));
	close(lazy);
	close(keen);
	close(events);
	check_equal(rig_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

/* [seq, sku, location, ats, was, on_hand, threshold]: the next one of S at L. */
static bool
change_next(int fd, int64_t *seq, int64_t *ats, int64_t *was, int64_t *on_hand)
{
	uint8_t got[256];
	struct bytes sku, location;
	uint32_t members;
	int64_t n = till_pull(fd, got, sizeof got);
	struct reader r = { got + 2, got + n };
	return n > 2 && got[0] == 'S' && got[1] == 0 && reader_array(&r, &members) && members == 7 && reader_int(&r, seq) &&
	    reader_str(&r, &sku) && reader_str(&r, &location) && reader_int(&r, ats) && reader_int(&r, was) && reader_int(&r, on_hand);
}

static void
a_real_server_s_changes_are_published_also_after_its_death(void)
{
	enum { RECEIPTS = 60 };
	struct server server;
	struct gate_process gate;
	struct why why = { "" };
	char rpc[32];
	uint8_t event[128];
	int64_t seq = 0, ats, was, on_hand = 0, last_seq = 0, known = 0;
	const char *first[] = { "--gate", "off", "--cells-max", "1000", NULL };
	const char *again[] = { "--gate", "off", "--http", "off", "--cells-max", "1000", "--listen", rpc, NULL };
	check(server_init(&server, &why) == 0);
	if (server_start(&server, first, &why) < 0)
		printf("     %s\n", why.text);
	check(server.rpc);
	snprintf(rpc, sizeof rpc, "127.0.0.1:%u", server.rpc);
	check(feed_start(&gate, server.rpc));
	int fd = subscribe(&gate), events = till_open(gate.ports[DOOR_EVENTS]);
	check(fd >= 0 && events >= 0);
	check(rig_counts(&gate, "feed_watches=1 "));
	for (uint32_t i = 1; i <= RECEIPTS; i++) {
		check(till_expect(events, event, put_receipt(event, "pos", i), "applied"));
		if (i != RECEIPTS / 2)
			continue;
		server_kill(&server);
		check(server_start(&server, again, &why) == 0);
	}
	while (on_hand < RECEIPTS) {
		check(change_next(fd, &seq, &ats, &was, &on_hand));
		check(seq >= last_seq && was == known && ats == on_hand);
		last_seq = seq;
		known = ats;
	}
	check(rig_counts(&gate, "feed_gone=0 feed_refused=0 "));
	close(fd);
	close(events);
	check_equal(rig_end(&gate, SIGTERM), 0);
	check_equal(server_stop(&server), 0);
	server_remove(&server);
}

static const struct check tests[] = {
	CHECK(each_change_is_published_behind_its_sku),
	CHECK(the_server_is_watched_while_somebody_subscribes_from_before_they_came),
	CHECK(after_a_lost_connection_it_goes_on_where_it_was),
	CHECK(history_that_is_gone_is_told_and_the_feed_goes_on_live),
	CHECK(a_server_that_cannot_be_watched_is_told_once_and_tried_again),
	CHECK(a_subscriber_that_does_not_read_holds_nobody_back),
	CHECK(a_real_server_s_changes_are_published_also_after_its_death),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof tests[0], argc, argv);
}
