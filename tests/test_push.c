/*
 * test_push.c: what is pushed and lost is found by `position` and repaired by sending again. A source with numbered events pushes over a
 * nanomsg PUSH socket, the gate is killed with SIGKILL at random moments; now and then, and at the end, the source asks for its position and
 * sends again what is missing. Each time it is checked that `position` names exactly what is missing: the units on hand are
 * those of all events sent but the missing ones.
 *
 * HOLDFAST_PUSH_EVENTS=N: so many events instead of a small dose (make prove-push). HOLDFAST_SEED=N: other moments.
 */
#define _GNU_SOURCE
#include "tests/check.h"

#include <errno.h>
#include <nanomsg/nn.h>
#include <nanomsg/pipeline.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "net/clock.h"
#include "net/codec_read.h"
#include "tests/gate_rig.h"
#include "tests/spawn.h"

#define SOURCE "pos-17"
#define EVENTS_SMALL 12000
#define EVENTS_OF_MESSAGE_MAX 8
#define SETTLE_EVENTS 3000 /* the source asks after so many: below the window of 4,096 */
#define KILL_EVENTS 2500 /* a kill for so many events, on average */
#define RANGES_MAX 100

struct position {
	uint64_t contiguous, highest;
	uint32_t ranges_n;
	uint64_t from[RANGES_MAX], to[RANGES_MAX];
};

struct source {
	uint16_t events_port, rpc_port;
	int socket; /* nanomsg's */
	uint64_t random;
	uint64_t sent; /* 1..sent were sent at least once */
	pid_t worker; /* the gate; 0: killed, not seen again yet */
	uint64_t kills, lost, repaired, rounds; /* what was found missing, and sent again, in so many rounds */
};

static uint64_t
draw(struct source *s, uint64_t below)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return s->random % below;
}

/* ---- asking ---- */

static bool
position_read(const uint8_t *body, size_t n, struct position *p)
{
	static const struct key keys[] = { KEY("contiguous"), KEY("highest"), KEY("missing") };
	struct reader r = { body, body + n };
	struct bytes name;
	uint32_t pairs, two;
	int64_t v, w;
	int hint = 0;
	memset(p, 0, sizeof *p);
	if (!reader_map(&r, &pairs) || !reader_str(&r, &name) || name.n != 8 || !reader_map(&r, &pairs))
		return false;
	while (pairs-- > 0) {
		int key = reader_key(&r, keys, 3, &hint);
		bool fine = key < 0 ? reader_skip(&r) : key == 2 ? reader_array(&r, &p->ranges_n) : reader_int(&r, &v);
		if (!fine || p->ranges_n > RANGES_MAX)
			return false;
		if (key == 0 || key == 1)
			*(key ? &p->highest : &p->contiguous) = (uint64_t)v;
		for (uint32_t i = 0; key == 2 && i < p->ranges_n; i++) {
			if (!reader_array(&r, &two) || two != 2 || !reader_int(&r, &v) || !reader_int(&r, &w))
				return false;
			p->from[i] = (uint64_t)v;
			p->to[i] = (uint64_t)w;
		}
	}
	return true;
}

/* Through the gate, however often it takes until one answers. */
static bool
position_ask(const struct source *s, struct position *p)
{
	static const char ask[] = "\x83\xa1v\x01\xa3" "ask\xa8position\xa6source\xa6" SOURCE;
	int64_t end_ms = clock_steady_ms() + RIG_PATIENCE_MS, got = -1;
	static uint8_t body[8192];
	uint32_t word;
	while (got < 0 && clock_steady_ms() < end_ms) {
		int fd = till_open(s->events_port);
		if (fd >= 0 && till_send(fd, 9 | REQUEST_BIT, ask, sizeof ask - 1))
			got = till_receive(fd, &word, body, sizeof body);
		if (fd >= 0)
			close(fd);
		else
			poll(NULL, 0, 2);
	}
	return got >= 0 && position_read(body, (size_t)got, p);
}

/* Waits until nothing that was pushed is under way any more: two answers with the same position and units, around nothing new. */
static bool
position_quiet(const struct source *s, struct position *p, int64_t *on_hand)
{
	int64_t end_ms = clock_steady_ms() + RIG_PATIENCE_MS, pushed = -1, before;
	struct position again;
	do {
		before = pushed;
		poll(NULL, 0, 5);
		if (!position_ask(s, p))
			return false;
		*on_hand = rig_on_hand(s->rpc_port);
		pushed = rig_told(s->events_port, "pushed") + rig_told(s->events_port, "restarts");
		if (!position_ask(s, &again))
			return false;
	} while ((pushed != before || memcmp(p, &again, sizeof again) != 0) && clock_steady_ms() < end_ms);
	return true;
}

/* ---- pushing ---- */

static void
kill_now_and_then(struct source *s, uint64_t events)
{
	if (draw(s, KILL_EVENTS) >= events)
		return;
	int64_t pid = rig_another(s->events_port, s->worker);
	check(pid > 0 && kill((pid_t)pid, SIGKILL) == 0);
	s->worker = (pid_t)pid;
	s->kills++;
}

/* Events from..to, some in a message. nanomsg waits while it has no connection. */
static void
push(struct source *s, uint64_t from, uint64_t to)
{
	static uint8_t message[EVENTS_OF_MESSAGE_MAX * 128];
	while (from <= to) {
		uint64_t events = 1 + draw(s, EVENTS_OF_MESSAGE_MAX);
		if (events > to - from + 1)
			events = to - from + 1;
		size_t n = 1;
		message[0] = (uint8_t)(0x90 | events);
		for (uint64_t i = 0; i < events; i++)
			n += put_receipt(message + n, SOURCE, (uint32_t)(from + i));
		int sent = nn_send(s->socket, message, n, 0);
		if (sent < 0 && errno != EAGAIN && errno != ETIMEDOUT)
			printf("     cannot push: %s\n", nn_strerror(errno));
		check(sent >= 0);
		from += events;
		kill_now_and_then(s, events);
		if (check_failed_now)
			return;
	}
}

/* What is missing between the first gap and the last number sent; checked against the units on hand. Sends it again: how much. */
static uint64_t
repair(struct source *s)
{
	struct position p;
	int64_t on_hand = -1;
	uint64_t missing = 0;
	if (!position_quiet(s, &p, &on_hand))
		check_failed_now = 1;
	for (uint32_t i = 0; i < p.ranges_n; i++)
		missing += p.to[i] - p.from[i] + 1;
	missing += s->sent - p.highest;
	if (p.ranges_n < RANGES_MAX && (int64_t)(s->sent - missing) != on_hand) {
		printf("     %llu sent, %llu named as missing, but %lld on hand\n", (unsigned long long)s->sent, (unsigned long long)missing,
		    (long long)on_hand);
		check_failed_now = 1;
	}
	for (uint32_t i = 0; i < p.ranges_n && !check_failed_now; i++)
		push(s, p.from[i], p.to[i]);
	if (!check_failed_now && p.highest < s->sent)
		push(s, p.highest + 1, s->sent);
	s->rounds += missing > 0;
	return missing;
}

static void
push_and_repair(struct source *s, uint64_t events)
{
	while (s->sent < events && !check_failed_now) {
		uint64_t to = s->sent + SETTLE_EVENTS < events ? s->sent + SETTLE_EVENTS : events, from = s->sent + 1, missing;
		s->sent = to;
		push(s, from, to);
		for (bool first = true; !check_failed_now && (missing = repair(s)) > 0; first = false) {
			s->lost += first ? missing : 0;
			s->repaired += missing;
		}
	}
}

static bool
push_open(struct source *s, uint16_t port)
{
	char url[64];
	int patience_ms = RIG_PATIENCE_MS, again_ms = 10;
	snprintf(url, sizeof url, "tcp://127.0.0.1:%u", port);
	s->socket = nn_socket(AF_SP, NN_PUSH);
	return s->socket >= 0 && nn_setsockopt(s->socket, NN_SOL_SOCKET, NN_SNDTIMEO, &patience_ms, sizeof patience_ms) == 0 &&
	    nn_setsockopt(s->socket, NN_SOL_SOCKET, NN_RECONNECT_IVL, &again_ms, sizeof again_ms) == 0 && nn_connect(s->socket, url) >= 0;
}

static void
everything_pushed_and_lost_is_found_by_position_and_repaired(void)
{
	const char *dose = getenv("HOLDFAST_PUSH_EVENTS");
	uint64_t events = dose ? strtoull(dose, NULL, 10) : EVENTS_SMALL;
	struct source s = { .random = check_seed(88172645463325252u) };
	struct server server;
	struct gate_process gate;
	struct position p;
	struct why why = { "" };
	char rpc[32];
	check(server_init(&server, &why) == 0);
	if (server_start(&server, (const char *[]){ "--gate", "off", "--cells-max", "1000", NULL }, &why) < 0)
		printf("     %s\n", why.text);
	check(server.rpc != 0);
	snprintf(rpc, sizeof rpc, "127.0.0.1:%u", server.rpc);
	check(rig_start_guarded(&gate, (const char *[]){ "--server", rpc, "--events", "127.0.0.1:0", NULL }));
	s.events_port = gate.ports[DOOR_EVENTS];
	s.rpc_port = server.rpc;
	check(push_open(&s, gate.ports[DOOR_PUSH]));
	push_and_repair(&s, events);
	printf("     %llu events pushed, %llu kills of the gate: %llu events lost, all found; %llu sent again in %llu rounds\n",
	    (unsigned long long)s.sent, (unsigned long long)s.kills, (unsigned long long)s.lost, (unsigned long long)s.repaired,
	    (unsigned long long)s.rounds);
	check(!check_failed_now && position_ask(&s, &p));
	check_equal(p.contiguous, events);
	check_equal(p.highest, events);
	check_equal(p.ranges_n, 0);
	check_equal(rig_on_hand(server.rpc), events);
	check(s.lost > 0);
	nn_close(s.socket);
	check_equal(rig_end(&gate, SIGTERM), 0);
	check_equal(server_stop(&server), 0);
	server_remove(&server);
}

static const struct check tests[] = {
	CHECK(everything_pushed_and_lost_is_found_by_position_and_repaired),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof tests[0], argc, argv);
}
