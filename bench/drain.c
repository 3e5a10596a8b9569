/*
 * drain.c: a store comes back with a backlog, and others sell on meanwhile. It starts a server of its own with a gate, and a store's gate
 * with a spool that it fills with BACKLOG events (1,000,000) while it cannot reach the server. Then live events go through the
 * server's own gate at a steady rate LIVE (5,000/s), in an open loop: each leaves when it is due, whether answers come or not, and
 * latency counts from when it was due. For SECONDS alone, until the backlog is delivered, and for SECONDS alone again.
 *
 *   DN1 everything is applied once: every source's position has no gap and is as high as what was acknowledged; on hand is the sum
 *   DN2 the backlog is delivered at 5 times the live rate or more
 *   DN3 the p99 of live events beside it is within twice the better one without, before or after, or within 5 ms
 *
 *   holdfast-drain [BACKLOG [LIVE [SECONDS [DRAIN-RATE]]]]
 *
 * DN1 is judged always, DN2 and DN3 unless HOLDFAST_DRAIN_TIMES=no (a busy machine). The exit code is the verdict. One thread.
 */
#define _GNU_SOURCE
#include "bench/histogram.h"
#include "holdfast/holdfast.h"
#include "net/clock.h"
#include "net/codec_read.h"
#include "net/codec_write.h"
#include "tests/gate_rig.h"
#include "tests/spawn.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TILLS 10 /* of the store */
#define SKUS 1000
#define FILL_EVENTS 1000 /* in a message, while the spool is filled */
#define LIVE_WINDOW 65536 /* live events without an answer */
#define TICK_NS 300000 /* so long it sleeps between two looks: a client that spins would take the server's processor */
#define LOOK_NS 100000000 /* how far the delivery is is asked so often */
#define IN_BYTES (1 << 18)
#define CALL_MS 20000

struct phase {
	const char *name;
	uint64_t sent, answered, late;
	double took_s;
	struct histogram waited;
};

static struct {
	struct server server;
	struct gate_process gate;
	char spool[300];
	uint16_t rpc;
	int status_line, live_line;
	uint64_t backlog, live_rate, tills_n[TILLS], live_n, live_answered;
	double seconds;
	const char *drain_rate;
	struct { int64_t due_ns; struct phase *phase; } due[LIVE_WINDOW];
	struct buffer out;
	size_t out_at, in_n;
	uint8_t in[IN_BYTES];
	struct phase before, beside, after;
	double drained_s;
} b = { .status_line = -1, .live_line = -1 };

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "drain: %s\n", what);
	if (b.gate.pid) {
		kill(b.gate.pid, SIGCONT);
		rig_end(&b.gate, SIGKILL);
	}
	exit(2);
}

/* ---- events ---- */

static void
put_receipt_of(struct buffer *to, const char *source, uint64_t n, uint64_t sku)
{
	char name[16];
	snprintf(name, sizeof name, "S%04u", (unsigned)(sku % SKUS));
	put_map(to, 7);
	put_text(to, "v"), put_int(to, 1);
	put_text(to, "source"), put_text(to, source);
	put_text(to, "n"), put_uint(to, n);
	put_text(to, "kind"), put_text(to, "receipt");
	put_text(to, "sku"), put_text(to, name);
	put_text(to, "location"), put_text(to, strncmp(source, "live", 4) == 0 ? "ST-LIVE" : "ST-0001");
	put_text(to, "qty"), put_int(to, 1);
}

/* The store sells on while its line is down: the tills in turn. */
static void
spool_fill(void)
{
	uint8_t answer[512];
	char source[32];
	struct buffer message = { 0 };
	uint32_t word, number = 0;
	int line = till_open(b.gate.ports[DOOR_EVENTS]);
	int64_t start_ns = clock_steady_ns();
	if (line < 0)
		die("the store's gate is not there");
	for (uint64_t done = 0; done < b.backlog; number++) {
		uint32_t count = (uint32_t)(b.backlog - done < FILL_EVENTS ? b.backlog - done : FILL_EVENTS), till = number % TILLS;
		snprintf(source, sizeof source, "till-%u", till);
		message.used = 0;
		put_array(&message, count);
		for (uint32_t i = 0; i < count; i++)
			put_receipt_of(&message, source, ++b.tills_n[till], done + i);
		if (!till_send(line, number | REQUEST_BIT, message.at, message.used) || till_receive(line, &word, answer, sizeof answer) < 9
		    || memcmp(answer, "\x81\xa6queued", 8) != 0)
			die("the spool did not take its events");
		done += count;
	}
	double took_s = (double)(clock_steady_ns() - start_ns) / 1e9;
	printf("     %" PRIu64 " events are queued in the spool, in messages of %d: %.0f/s, each durable before its answer\n", b.backlog, FILL_EVENTS,
	    (double)b.backlog / took_s);
	buffer_fini(&message);
	close(line);
}

/* ---- live events, open loop ---- */

static void
live_put(int64_t due_ns, struct phase *phase)
{
	static const uint8_t frame[12] = { 0 };
	struct buffer *o = &b.out;
	size_t at = o->used;
	uint32_t word = (uint32_t)(b.live_n % LIVE_WINDOW) | REQUEST_BIT;
	if (b.live_n - b.live_answered >= LIVE_WINDOW)
		die("live events are not answered any more");
	b.due[b.live_n % LIVE_WINDOW].due_ns = due_ns;
	b.due[b.live_n % LIVE_WINDOW].phase = phase;
	phase->sent++;
	buffer_append(o, frame, sizeof frame);
	b.live_n++;
	put_receipt_of(o, "live", b.live_n, b.live_n);
	wire_big_endian(o->at + at - 1, o->at[at - 1], o->used - at - 8, 8);
	for (int i = 0; i < 4; i++)
		o->at[at + 8 + (size_t)i] = (uint8_t)(word >> (24 - 8 * i));
}

static void
live_flush(void)
{
	while (b.out_at < b.out.used) {
		ssize_t sent = send(b.live_line, b.out.at + b.out_at, b.out.used - b.out_at, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && errno == EAGAIN)
			return;
		if (sent < 0)
			die("the server's gate closed the live connection");
		b.out_at += (size_t)sent;
	}
	b.out.used = 8; /* live_put() writes a length over the byte before it */
	b.out_at = 8;
}

static void
live_read(void)
{
	for (;;) {
		ssize_t got = recv(b.live_line, b.in + b.in_n, IN_BYTES - b.in_n, MSG_DONTWAIT);
		if (got < 0 && errno == EAGAIN)
			return;
		if (got <= 0)
			die("the server's gate closed the live connection");
		b.in_n += (size_t)got;
		int64_t now_ns = clock_steady_ns();
		size_t at = 0;
		while (b.in_n - at >= 12) {
			size_t n = 0;
			uint32_t word = 0;
			for (int i = 0; i < 8; i++)
				n = n << 8 | b.in[at + (size_t)i];
			if (b.in_n - at < 8 + n)
				break;
			for (int i = 8; i < 12; i++)
				word = word << 8 | b.in[at + (size_t)i];
			if (!memmem(b.in + at + 12, n - 4, "applied", 7))
				die("a live event was not applied");
			struct phase *phase = b.due[(word & ~REQUEST_BIT) % LIVE_WINDOW].phase;
			histogram_add(&phase->waited, (uint64_t)(now_ns - b.due[(word & ~REQUEST_BIT) % LIVE_WINDOW].due_ns));
			phase->answered++;
			b.live_answered++;
			at += 8 + n;
		}
		memmove(b.in, b.in + at, b.in_n - at);
		b.in_n -= at;
	}
}

/* How many events of the spool are not done with. */
static uint64_t
spool_waiting(void)
{
	static const char status[] = "\x82\xa1v\x01\xa3" "ask\xa6status";
	static const char name[] = "\xad" "spool_waiting";
	uint8_t body[8192];
	uint32_t word;
	int64_t waiting = -1;
	if (b.status_line < 0)
		b.status_line = till_open(b.gate.ports[DOOR_EVENTS]);
	int64_t n = till_send(b.status_line, REQUEST_BIT | 1, status, sizeof status - 1) ? till_receive(b.status_line, &word, body, sizeof body) : -1;
	uint8_t *at = n > 0 ? memmem(body, (size_t)n, name, sizeof name - 1) : NULL;
	struct reader r = { at ? at + sizeof name - 1 : body, body + (n > 0 ? n : 0) };
	if (!at || !reader_int(&r, &waiting) || waiting < 0)
		die("the store's gate does not say its status");
	return (uint64_t)waiting;
}

/* For so many seconds, or (0) until the backlog is delivered. */
static void
phase_run(struct phase *p, double seconds)
{
	const struct timespec tick = { 0, TICK_NS };
	int64_t start_ns = clock_steady_ns(), now_ns, look_ns = start_ns;
	int64_t end_ns = seconds > 0 ? start_ns + (int64_t)(seconds * 1e9) : INT64_MAX;
	while ((now_ns = clock_steady_ns()) < end_ns) {
		uint64_t due = (uint64_t)((double)(now_ns - start_ns) * (double)b.live_rate / 1e9);
		while (p->sent < due)
			live_put(start_ns + (int64_t)((double)p->sent * 1e9 / (double)b.live_rate), p);
		live_flush();
		live_read();
		if (seconds <= 0 && now_ns >= look_ns) {
			look_ns = now_ns + LOOK_NS;
			if (spool_waiting() == 0)
				break;
		}
		nanosleep(&tick, NULL);
	}
	p->took_s = (double)(clock_steady_ns() - start_ns) / 1e9;
	for (int64_t give_up_ns = clock_steady_ns() + INT64_C(20000000000); b.live_answered < b.live_n && clock_steady_ns() < give_up_ns;) {
		live_flush();
		live_read();
		nanosleep(&tick, NULL);
	}
}

/* ---- processes ---- */

static void
server_up(bool gate)
{
	char listen[32];
	const char *arguments[] = { "--http", "off", b.rpc ? "--listen" : "--loops", b.rpc ? listen : "1", gate ? NULL : "--gate", "off", NULL };
	struct why why = { "" };
	snprintf(listen, sizeof listen, "127.0.0.1:%u", b.rpc);
	if (server_start(&b.server, arguments, &why) < 0)
		die(why.text);
	b.rpc = b.server.rpc;
}

static void
everything_up(void)
{
	struct why why = { "" };
	char where[32];
	if (server_init(&b.server, &why) < 0)
		die(why.text);
	server_up(false);
	server_kill(&b.server);
	snprintf(where, sizeof where, "127.0.0.1:%u", b.rpc);
	snprintf(b.spool, sizeof b.spool, "%s/spool", b.server.folder);
	if (!rig_start_with(&b.gate, (const char *[]){ "--server", where, "--events", "127.0.0.1:0", "--push", "off", "--feed", "off", "--spool", b.spool,
	    "--drain-rate", b.drain_rate, NULL }))
		die("the store's gate does not start");
	spool_fill();
	kill(b.gate.pid, SIGSTOP);
	server_up(true);
	b.live_line = till_open(b.server.events);
	if (b.live_line < 0)
		die("the server's gate is not there");
	b.out.used = b.out_at = 8;
	if (!buffer_room(&b.out, 1 << 20))
		die("no memory");
}

static void
everything_down(void)
{
	char command[400];
	rig_end(&b.gate, SIGTERM);
	snprintf(command, sizeof command, "rm -rf '%s'", b.spool);
	if (system(command) != 0)
		fprintf(stderr, "drain: %s stays\n", b.spool);
	server_remove(&b.server);
}

/* ---- the verdict ---- */

static bool
verdict(bool holds, const char *what)
{
	printf("%s %s\n", holds ? "ok" : "FAIL", what);
	return holds;
}

static bool
position_is(struct hf *hf, const char *source, uint64_t n)
{
	const struct hf_value *value;
	hf_begin(hf, "position");
	hf_array(hf, 1);
	hf_put_str(hf, source);
	return hf_call(hf, &value) == HF_OK && hf_int(hf_get(value, "contiguous"), -1) == (int64_t)n && hf_int(hf_get(value, "highest"), -1) == (int64_t)n
	    && hf_get(value, "missing")->array.n == 0;
}

static bool
applied_once(void)
{
	struct hf_failure failure;
	const struct hf_value *value;
	char name[32];
	int64_t sum = 0;
	struct hf *hf = hf_connect("127.0.0.1", b.rpc, CALL_MS, &failure);
	if (!hf)
		return false;
	bool right = position_is(hf, "live", b.live_n);
	for (uint32_t t = 0; t < TILLS; t++) {
		snprintf(name, sizeof name, "till-%u", t);
		right &= position_is(hf, name, b.tills_n[t]);
	}
	for (uint32_t i = 0; i < SKUS; i++) {
		snprintf(name, sizeof name, "S%04u", i);
		struct hf_line cell = { name, "ST-0001", 1 };
		if (hf_stock(hf, &cell, 1, &value) == HF_OK)
			sum += hf_int(hf_get(&value->array.items[1].array.items[0], "on_hand"), 0);
	}
	hf_close(hf);
	return right && sum == (int64_t)b.backlog;
}

static void
phase_tell(const struct phase *p)
{
	printf("     %-28s %8" PRIu64 " %9.0f %10.2f %10.2f %10.2f\n", p->name, p->answered, (double)p->answered / p->took_s,
	    histogram_ms(&p->waited, .5), histogram_ms(&p->waited, .99), histogram_ms(&p->waited, .999));
}

int
main(int argc, char **argv)
{
	const char *times = getenv("HOLDFAST_DRAIN_TIMES");
	b.backlog = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
	b.live_rate = argc > 2 ? strtoull(argv[2], NULL, 10) : 5000;
	b.seconds = argc > 3 ? strtod(argv[3], NULL) : 5;
	b.drain_rate = argc > 4 ? argv[4] : "100000";
	if (b.backlog == 0 || b.live_rate == 0 || b.seconds <= 0) {
		fprintf(stderr, "usage: holdfast-drain [BACKLOG [LIVE [SECONDS [DRAIN-RATE]]]]\n");
		return 2;
	}
	b.before.name = "live events alone";
	b.beside.name = "beside the backlog";
	b.after.name = "alone again";
	everything_up();
	phase_run(&b.before, b.seconds);
	kill(b.gate.pid, SIGCONT);
	phase_run(&b.beside, 0);
	phase_run(&b.after, b.seconds);
	double rate = (double)b.backlog / b.beside.took_s, beside_ms = histogram_ms(&b.beside.waited, .99);
	double before_ms = histogram_ms(&b.before.waited, .99), after_ms = histogram_ms(&b.after.waited, .99);
	double alone_ms = before_ms < after_ms ? before_ms : after_ms; /* one stall of the machine must not excuse the backlog */
	printf("     %-28s %8s %9s %10s %10s %10s\n", "", "answered", "a second", "p50 ms", "p99 ms", "p99.9 ms");
	phase_tell(&b.before);
	phase_tell(&b.beside);
	phase_tell(&b.after);
	printf("     the backlog of %" PRIu64 " was delivered in %.1f s: %.0f/s, %.1f times the live rate (--drain-rate %s)\n", b.backlog, b.beside.took_s,
	    rate, rate / (double)b.live_rate, b.drain_rate);
	bool right = verdict(applied_once(), "DN1 every event is applied once: positions without a gap, on hand is the sum");
	if (!times || strcmp(times, "no") != 0) {
		right &= verdict(rate >= 5 * (double)b.live_rate, "DN2 the backlog is delivered at 5 times the live rate or more");
		right &= verdict(beside_ms <= 2 * alone_ms || beside_ms <= 5, "DN3 live events keep their p99: within twice the better one without, or 5 ms");
	}
	everything_down();
	return right ? 0 : 1;
}
