/*
 * test_gate.c: the gate as a process between clients and a server. The server is mostly a fake in a thread (tests/fake_server.h): it can
 * hold its replies, refuse, and break off where a test wants it. Clients are gate_post, and a hand-made nanomsg peer over plain
 * TCP where a test needs wrong bytes or request numbers of its own.
 */
#define _GNU_SOURCE
#include "tests/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <holdfast/holdfast.h>

#include "core/base.h"
#include "net/clock.h"
#include "net/codec_read.h"
#include "net/gate_post.h"
#include "net/gate_queue.h"
#include "net/gate_socket.h"
#include "net/scanner.h"
#include "tests/fake_server.h"
#include "tests/spawn.h"

#define PATIENCE_MS 20000
#define REQUEST_BIT UINT32_C(0x80000000)

extern char **environ;

/* ---- the gate as a process ---- */

struct gate_process {
	pid_t pid;
	uint16_t port; /* 0: it ended before it said one */
	int errors; /* its stderr, to read */
};

static void
gate_start_with(struct gate_process *g, const char *server, const char *events, const char *more)
{
	char program[512], fd_text[16];
	int port_pipe[2], error_pipe[2];
	posix_spawn_file_actions_t actions;
	memset(g, 0, sizeof *g);
	spawn_program("holdfast-gate", program, sizeof program);
	check(pipe(port_pipe) == 0 && pipe2(error_pipe, O_CLOEXEC) == 0);
	fcntl(port_pipe[0], F_SETFD, FD_CLOEXEC);
	snprintf(fd_text, sizeof fd_text, "%d", port_pipe[1]);
	char *argv[] = { program, "--server", (char *)(uintptr_t)server, "--events", (char *)(uintptr_t)events, "--port-file-fd", fd_text,
		"--die-with-parent", (char *)(uintptr_t)more, NULL };
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, error_pipe[1], 2);
	check_equal(posix_spawn(&g->pid, program, &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	close(port_pipe[1]);
	close(error_pipe[1]);
	char line[64] = "";
	unsigned port = 0;
	if (read(port_pipe[0], line, sizeof line - 1) > 0 && sscanf(line, "events=%u\n", &port) == 1)
		g->port = (uint16_t)port;
	close(port_pipe[0]);
	g->errors = error_pipe[0];
}

static void
gate_start(struct gate_process *g, uint16_t server_port, uint16_t port)
{
	char server[32], events[32];
	snprintf(server, sizeof server, "127.0.0.1:%u", server_port);
	snprintf(events, sizeof events, "127.0.0.1:%u", port);
	gate_start_with(g, server, events, NULL);
	check(g->port != 0);
}

/* The exit status, or -1: still running after the patience, or killed. */
static int
gate_wait(struct gate_process *g)
{
	int64_t end_ms = clock_steady_ms() + PATIENCE_MS;
	int status = 0;
	pid_t ended;
	while ((ended = waitpid(g->pid, &status, WNOHANG)) == 0 && clock_steady_ms() < end_ms)
		poll(NULL, 0, 2);
	if (ended == 0) {
		kill(g->pid, SIGKILL);
		waitpid(g->pid, &status, 0);
	}
	close(g->errors);
	g->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int
gate_end(struct gate_process *g, int with)
{
	kill(g->pid, with);
	return gate_wait(g);
}

/* Waits until it has said something with `text` in it. */
static bool
gate_says(struct gate_process *g, const char *text, char *said, size_t size)
{
	int64_t end_ms = clock_steady_ms() + PATIENCE_MS;
	size_t n = 0;
	said[0] = 0;
	while (!strstr(said, text) && n + 1 < size && clock_steady_ms() < end_ms) {
		struct pollfd p = { .fd = g->errors, .events = POLLIN };
		if (poll(&p, 1, 50) <= 0)
			continue;
		ssize_t got = read(g->errors, said + n, size - 1 - n);
		if (got <= 0)
			break;
		said[n += (size_t)got] = 0;
	}
	return strstr(said, text) != NULL;
}

/* ---- messages ---- */

static size_t
put_event(uint8_t *at, uint32_t n)
{
	static const char head[] = "\x82\xa6source\xa3pos\xa1n\xce";
	memcpy(at, head, sizeof head - 1);
	at += sizeof head - 1;
	*at++ = (uint8_t)(n >> 24);
	*at++ = (uint8_t)(n >> 16);
	*at++ = (uint8_t)(n >> 8);
	*at++ = (uint8_t)n;
	return sizeof head - 1 + 4;
}

static size_t
put_events(uint8_t *at, uint32_t first, uint32_t count)
{
	size_t used = 3;
	at[0] = 0xdc;
	at[1] = (uint8_t)(count >> 8);
	at[2] = (uint8_t)count;
	for (uint32_t i = 0; i < count; i++)
		used += put_event(at + used, first + i);
	return used;
}

/* Of an answer {seq, outcomes}: how many outcomes; and the first one: a text, or the code it was rejected with. */
static int
answer_read(const uint8_t *reply, size_t n, int64_t *seq, char first[65])
{
	static const struct key keys[] = { KEY("seq"), KEY("outcomes") }, inner[] = { KEY("rejected") };
	struct reader r = { reply, reply + n };
	struct bytes text = { NULL, 0 };
	uint32_t pairs, outcomes, members;
	int hint = 0;
	if (!reader_map(&r, &pairs) || pairs != 2 || reader_key(&r, keys, 2, &hint) != 0 || !reader_int(&r, seq)
	    || reader_key(&r, keys, 2, &hint) != 1 || !reader_array(&r, &outcomes))
		return -1;
	struct reader peek = r;
	hint = 0;
	if (outcomes && !reader_str(&peek, &text) && (!reader_map(&peek, &members) || reader_key(&peek, inner, 1, &hint) != 0
	    || !reader_str(&peek, &text)))
		return -1;
	snprintf(first, 65, "%.*s", (int)text.n, text.n ? (const char *)text.at : "");
	for (uint32_t i = 0; i < outcomes; i++)
		if (!reader_skip(&r))
			return -1;
	return r.at == r.end ? (int)outcomes : -1;
}

/* ---- a hand-made nanomsg requester ---- */

static bool
read_all(int fd, uint8_t *at, size_t n)
{
	int64_t end_ms = clock_steady_ms() + PATIENCE_MS;
	for (size_t have = 0; have < n;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		if (clock_steady_ms() >= end_ms || poll(&p, 1, 100) < 0)
			return false;
		if (!p.revents)
			continue;
		ssize_t got = recv(fd, at + have, n - have, 0);
		if (got <= 0)
			return false;
		have += (size_t)got;
	}
	return true;
}

static bool
write_all(int fd, const void *bytes, size_t n)
{
	for (size_t done = 0; done < n;) {
		ssize_t sent = send(fd, (const uint8_t *)bytes + done, n - done, MSG_NOSIGNAL);
		if (sent <= 0)
			return false;
		done += (size_t)sent;
	}
	return true;
}

/* receive_bytes: what the kernel may keep of unread answers; 0: what it likes. */
static int
peer_open_with(uint16_t port, int receive_bytes)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	uint8_t greeting[8];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (receive_bytes)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0 && write_all(fd, "\0SP\0\0\x30\0\0", 8) && read_all(fd, greeting, 8)
	    && greeting[5] == 49)
		return fd;
	close(fd);
	return -1;
}

static int
peer_open(uint16_t port)
{
	return peer_open_with(port, 0);
}

/* The message's frame: its length in 64 bits, the words of the header, the body. */
static bool
peer_send(int fd, uint32_t word, const void *bytes, size_t n)
{
	uint8_t head[12];
	for (int i = 0; i < 8; i++)
		head[i] = (uint8_t)((uint64_t)(n + 4) >> (56 - 8 * i));
	for (int i = 0; i < 4; i++)
		head[8 + i] = (uint8_t)(word >> (24 - 8 * i));
	return write_all(fd, head, sizeof head) && write_all(fd, bytes, n);
}

/* The body's length, or -1. */
static int64_t
peer_receive(int fd, uint32_t *word, uint8_t *body, size_t size)
{
	uint8_t head[12];
	uint64_t n = 0;
	if (!read_all(fd, head, sizeof head))
		return -1;
	for (int i = 0; i < 8; i++)
		n = n << 8 | head[i];
	*word = (uint32_t)head[8] << 24 | (uint32_t)head[9] << 16 | (uint32_t)head[10] << 8 | head[11];
	if (n < 4 || n - 4 > size || !read_all(fd, body, (size_t)n - 4))
		return -1;
	return (int64_t)n - 4;
}

/* Sends one and checks its one outcome. */
static void
peer_expect(int fd, const void *bytes, size_t n, const char *outcome)
{
	static uint32_t number = 1;
	uint8_t body[4096];
	char first[65];
	uint32_t word;
	int64_t seq;
	number++;
	check(peer_send(fd, number | REQUEST_BIT, bytes, n));
	int64_t got = peer_receive(fd, &word, body, sizeof body);
	check(got > 0);
	check_equal(word, number | REQUEST_BIT);
	check_equal(answer_read(body, (size_t)got, &seq, first), 1);
	if (strcmp(first, outcome) != 0)
		printf("     the outcome is '%s', not '%s'\n", first, outcome);
	check(strcmp(first, outcome) == 0);
	bool judged = strcmp(outcome, "applied") == 0 || strcmp(outcome, "duplicate") == 0 || strcmp(outcome, "bad_event") == 0;
	check(judged ? seq > 0 : seq == 0);
}

/* ---- posting ---- */

struct posting {
	uint32_t answered, applied, duplicate, other;
	uint32_t late; /* answers that came after one to a younger message */
	uint64_t highest;
};

static struct gate_post *
post_open(uint16_t port)
{
	struct why why = { "" };
	struct gate_post *p = gate_post_open("127.0.0.1", port, &why);
	if (!p)
		printf("     %s\n", why.text);
	return p;
}

/* Takes one answer if there is one in time. */
static void
post_answer(struct gate_post *p, struct posting *tally, int timeout_ms, uint32_t outcomes)
{
	struct why why = { "" };
	const uint8_t *reply;
	uint64_t number;
	char first[65];
	int64_t seq;
	size_t n;
	int got = gate_post_receive(p, timeout_ms, &number, &reply, &n, &why);
	if (got < 0)
		printf("     %s\n", why.text);
	check(got >= 0);
	if (got == 0)
		return;
	check_equal(answer_read(reply, n, &seq, first), outcomes);
	tally->answered++;
	tally->applied += strcmp(first, "applied") == 0;
	tally->duplicate += strcmp(first, "duplicate") == 0;
	tally->other += strcmp(first, "applied") != 0 && strcmp(first, "duplicate") != 0;
	tally->late += number < tally->highest;
	tally->highest = number > tally->highest ? number : tally->highest;
}

/* Posts messages first..first+count-1 of one event each; calls `at`(context) once when half is answered. */
static void
post_all(struct gate_post *p, uint32_t first, uint32_t count, struct posting *tally, void (*half)(void *), void *context)
{
	int64_t end_ms = clock_steady_ms() + PATIENCE_MS;
	uint8_t message[64];
	struct why why = { "" };
	for (uint32_t sent = 0; tally->answered < count && clock_steady_ms() < end_ms;) {
		while (sent < count) {
			size_t n = put_event(message, first + sent);
			int taken = gate_post_send(p, first + sent, message, n, &why);
			check(taken >= 0);
			if (taken == 0)
				break;
			sent++;
		}
		post_answer(p, tally, 100, 1);
		check_calm();
		if (half && tally->answered >= count / 2) {
			half(context);
			half = NULL;
		}
	}
	check_equal(tally->answered, count);
	check_equal(gate_post_in_flight(p), 0);
}

/* ---- what passes ---- */

static void
many_in_flight_are_answered_and_reach_the_server_in_order(void)
{
	struct fake_server fake;
	struct gate_process gate;
	struct posting tally = { 0 };
	check(fake_start(&fake));
	gate_start(&gate, fake.port, 0);
	check_calm();
	struct gate_post *p = post_open(gate.port);
	check(p);
	post_all(p, 1, 5000, &tally, NULL, NULL);
	gate_post_close(p);
	check_calm();
	check_equal(tally.applied, 5000);
	check_equal(tally.late, 0);
	check_equal(fake_count(&fake).events, 5000);
	check_equal(fake_count(&fake).out_of_order, 0);
	check_equal(gate_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

static void
a_map_and_an_array_of_maps_pass_as_they_are(void)
{
	static uint8_t message[1 << 18];
	struct fake_server fake;
	struct gate_process gate;
	struct posting tally = { 0 };
	struct why why;
	check(fake_start(&fake));
	gate_start(&gate, fake.port, 0);
	check_calm();
	struct gate_post *p = post_open(gate.port);
	check(p);
	check_equal(gate_post_send(p, 1, message, put_event(message, 1), &why), 1);
	post_answer(p, &tally, PATIENCE_MS, 1);
	check_equal(gate_post_send(p, 2, message, put_events(message, 2, 100), &why), 1);
	post_answer(p, &tally, PATIENCE_MS, 100);
	check_equal(gate_post_send(p, 3, message, put_events(message, 102, 10000), &why), 1);
	post_answer(p, &tally, PATIENCE_MS, 10000);
	check_equal(gate_post_send(p, 4, message, put_events(message, 1, 0), &why), 1);
	post_answer(p, &tally, PATIENCE_MS, 0);
	gate_post_close(p);
	check_calm();
	check_equal(tally.applied, 3);
	check_equal(fake_count(&fake).events, 10101);
	check_equal(gate_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

static void
two_clients_at_once_get_their_own_answers(void)
{
	struct fake_server fake;
	struct gate_process gate;
	struct posting a = { 0 }, b = { 0 };
	struct why why;
	uint8_t message[64];
	check(fake_start(&fake));
	gate_start(&gate, fake.port, 0);
	check_calm();
	struct gate_post *one = post_open(gate.port), *two = post_open(gate.port);
	check(one && two);
	for (uint32_t i = 0; i < 2000; i++) {
		check_equal(gate_post_send(one, i, message, put_event(message, 1 + i), &why), 1);
		check_equal(gate_post_send(two, i, message, put_event(message, 100001 + i), &why), 1);
		while (gate_post_in_flight(one) >= 32 || gate_post_in_flight(two) >= 32) {
			post_answer(one, &a, 10, 1);
			post_answer(two, &b, 10, 1);
			check_calm();
		}
	}
	int64_t end_ms = clock_steady_ms() + PATIENCE_MS;
	while (a.answered + b.answered < 4000 && clock_steady_ms() < end_ms) {
		post_answer(one, &a, 10, 1);
		post_answer(two, &b, 10, 1);
		check_calm();
	}
	gate_post_close(one);
	gate_post_close(two);
	check_equal(a.applied, 2000);
	check_equal(b.applied, 2000);
	check_equal(gate_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

/* ---- what does not ---- */

static void
undecodable_bytes_are_answered_and_the_gate_lives(void)
{
	static const struct row {
		const char *name;
		const char *bytes;
		size_t n;
	} rows[] = {
		{ "nothing", "", 0 },
		{ "reserved byte", "\xc1", 1 },
		{ "a text", "\xa3" "abc", 4 },
		{ "a number", "\x07", 1 },
		{ "nil", "\xc0", 1 },
		{ "cut inside a map", "\x82\xa1n", 3 },
		{ "cut inside a head", "\xde\x00", 2 },
		{ "bytes behind", "\x80\x80", 2 },
		{ "reserved byte inside", "\x81\xa1n\xc1", 4 },
		{ "an array of 4 G", "\xdd\xff\xff\xff\xff", 5 },
		{ "a map of 4 G", "\xdf\xff\xff\xff\xff", 5 },
		{ "a text of 4 G", "\x81\xa1n\xdb\xff\xff\xff\xff", 8 },
		{ "too deep", "\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\xc0", 16 },
	};
	struct fake_server fake;
	struct gate_process gate;
	uint8_t event[64];
	check(fake_start(&fake));
	gate_start(&gate, fake.port, 0);
	check_calm();
	int fd = peer_open(gate.port);
	check(fd >= 0);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		peer_expect(fd, rows[i].bytes, rows[i].n, rows[i].bytes[0] == '\xdd' ? "too_large" : "bad_request");
		if (check_failed_now)
			printf("     in row '%s'\n", rows[i].name);
		check_calm();
	}
	/* Fourteen levels in the message are sixteen with the request around it: the deepest that passes. */
	peer_expect(fd, "\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\xc0", 15, "bad_event");
	peer_expect(fd, event, put_event(event, 1), "applied");
	check_equal(fake_count(&fake).connects, 1);
	close(fd);
	check_equal(gate_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

static void
what_is_too_large_is_answered_so(void)
{
	static uint8_t message[(2 << 20) + 1];
	struct fake_server fake;
	struct gate_process gate;
	uint8_t event[64];
	uint32_t word;
	check(fake_start(&fake));
	gate_start(&gate, fake.port, 0);
	check_calm();
	int fd = peer_open(gate.port);
	check(fd >= 0);
	/* {n: 1, x: a binary that fills the message to exactly 1 MiB} */
	static const uint8_t head[] = { 0x82, 0xa1, 'n', 1, 0xa1, 'x', 0xc6 };
	memcpy(message, head, sizeof head);
	size_t fill = MESSAGE_BYTES_MAX - sizeof head - 4;
	for (int i = 0; i < 4; i++)
		message[sizeof head + i] = (uint8_t)(fill >> (24 - 8 * i));
	peer_expect(fd, message, MESSAGE_BYTES_MAX, "applied");
	peer_expect(fd, message, MESSAGE_BYTES_MAX + 1, "too_large");
	peer_expect(fd, message, SOCKET_MESSAGE_BYTES_MAX - 4, "too_large"); /* nanomsg counts the header's word */
	peer_expect(fd, message, put_events(message, 1, 10001), "too_large");
	check_calm();
	/* Longer than the socket takes: nanomsg closes this connection, and only this one. */
	peer_send(fd, 77 | REQUEST_BIT, message, SOCKET_MESSAGE_BYTES_MAX + 1);
	check_equal(peer_receive(fd, &word, event, sizeof event), -1);
	close(fd);
	fd = peer_open(gate.port);
	check(fd >= 0);
	peer_expect(fd, event, put_event(event, 2), "applied");
	close(fd);
	check_equal(gate_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

static void
wrong_nanomsg_bytes_harm_only_their_connection(void)
{
	static const struct row {
		const char *bytes;
		size_t n;
	} rows[] = {
		{ "GET / HTTP/1.1\r\n\r\n", 18 },
		{ "\0SP\0\0\x50\0\0", 8 }, /* a PUSH peer */
		{ "\0SP\0\0\x30\0\0\xff\xff\xff\xff\xff\xff\xff\xff", 16 }, /* a message of 16 EiB */
		{ "\0SP\0\0\x30\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", 16 },
		{ "\0SP\0\0\x30\0\0\0\0\0\0\0\0\0\0", 16 }, /* an empty one, without even a header */
		{ "\0SP\0\0\x30\0\0\0\0\0\0\0\0\0\3abc", 19 },
		{ "\0SP\0\0\x30\0\0\0\0\0\0\0\0\0\10\0\0\0\1\0\0\0\2", 24 }, /* a header without its end */
	};
	struct fake_server fake;
	struct gate_process gate;
	uint8_t event[64];
	check(fake_start(&fake));
	gate_start(&gate, fake.port, 0);
	check_calm();
	int good = peer_open(gate.port);
	check(good >= 0);
	for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(gate.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		check(connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
		check(write_all(fd, rows[i].bytes, rows[i].n));
		peer_expect(good, event, put_event(event, 1 + i), "applied");
		close(fd);
		check_calm();
	}
	close(good);
	check_equal(gate_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

/* ---- what comes again ---- */

static void
a_request_that_comes_again_is_posted_once_and_answered_again(void)
{
	struct fake_server fake;
	struct gate_process gate;
	uint8_t event[64], body[256];
	char first[65];
	uint32_t word;
	int64_t seq;
	check(fake_start(&fake));
	gate_start(&gate, fake.port, 0);
	check_calm();
	int fd = peer_open(gate.port), other = peer_open(gate.port);
	check(fd >= 0 && other >= 0);
	size_t n = put_event(event, 5);
	fake_hold(&fake, true);
	check(peer_send(fd, 9 | REQUEST_BIT, event, n) && fake_wait_events(&fake, 1));
	/* While it is unanswered, also from a new connection: the answer goes where it was asked last. */
	check(peer_send(other, 9 | REQUEST_BIT, event, n));
	peer_expect(other, "\xc0", 1, "bad_request");
	fake_hold(&fake, false);
	int64_t got = peer_receive(other, &word, body, sizeof body);
	check(got > 0 && answer_read(body, (size_t)got, &seq, first) == 1 && strcmp(first, "applied") == 0);
	/* After it was answered, on the same connection: the same answer. */
	check(peer_send(other, 9 | REQUEST_BIT, event, n));
	got = peer_receive(other, &word, body, sizeof body);
	check(got > 0 && answer_read(body, (size_t)got, &seq, first) == 1 && strcmp(first, "applied") == 0);
	check_equal(fake_count(&fake).posts, 1);
	/* Another number, another connection, or other bytes under the same number: posted. */
	peer_expect(other, event, n, "duplicate");
	check(peer_send(fd, 9 | REQUEST_BIT, event, n));
	got = peer_receive(fd, &word, body, sizeof body);
	check(got > 0 && answer_read(body, (size_t)got, &seq, first) == 1 && strcmp(first, "duplicate") == 0);
	n = put_event(event, 6);
	check(peer_send(other, 9 | REQUEST_BIT, event, n));
	got = peer_receive(other, &word, body, sizeof body);
	check(got > 0 && answer_read(body, (size_t)got, &seq, first) == 1 && strcmp(first, "applied") == 0);
	check_equal(fake_count(&fake).posts, 4);
	close(fd);
	close(other);
	check_equal(gate_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

/* The peer reads nothing until all is answered: nanomsg drops what does not fit. Then it asks for what it misses. */
static void
answers_that_nanomsg_dropped_are_given_again(void)
{
	enum { MESSAGES = 4000, EVENTS = 100, UNREAD_BYTES = 1 << 16 };
	static uint8_t message[1 << 14], body[1 << 14];
	static bool have[MESSAGES];
	struct fake_server fake;
	struct gate_process gate;
	int dropped = 0;
	char first[65];
	uint32_t word;
	int64_t seq;
	check(fake_start(&fake));
	gate_start(&gate, fake.port, 0);
	check_calm();
	int fd = peer_open_with(gate.port, UNREAD_BYTES);
	check(fd >= 0);
	for (uint32_t i = 0; i < MESSAGES; i++)
		check(peer_send(fd, i | REQUEST_BIT, message, put_events(message, i * EVENTS, EVENTS)));
	check(fake_wait_events(&fake, MESSAGES * EVENTS));
	struct pollfd p = { .fd = fd, .events = POLLIN };
	memset(have, 0, sizeof have);
	while (poll(&p, 1, 300) > 0) {
		check(peer_receive(fd, &word, body, sizeof body) > 0);
		have[word & ~REQUEST_BIT] = true;
	}
	for (uint32_t i = 0; i < MESSAGES; i++) {
		if (have[i])
			continue;
		dropped++;
		check(peer_send(fd, i | REQUEST_BIT, message, put_events(message, i * EVENTS, EVENTS)));
		int64_t got = peer_receive(fd, &word, body, sizeof body);
		check(got > 0 && word == (i | REQUEST_BIT));
		check_equal(answer_read(body, (size_t)got, &seq, first), EVENTS);
		check(strcmp(first, "applied") == 0);
	}
	check(dropped > 0);
	check_equal(fake_count(&fake).posts, MESSAGES);
	close(fd);
	check_equal(gate_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

/* ---- a server in trouble ---- */

static void
a_refusal_for_now_is_posted_again_and_another_one_is_the_answer(void)
{
	static const struct row {
		const char *code;
		const char *outcome;
	} rows[] = {
		{ "overloaded", "applied" },
		{ "rate_limited", "applied" },
		{ "unknown", "applied" },
		{ "not_leader", "applied" },
		{ "read_only", "applied" },
		{ "internal", "internal" },
		{ "forbidden", "forbidden" },
		{ "bad_request", "bad_request" },
	};
	struct fake_server fake;
	struct gate_process gate;
	uint8_t event[64];
	check(fake_start(&fake));
	gate_start(&gate, fake.port, 0);
	check_calm();
	int fd = peer_open(gate.port);
	check(fd >= 0);
	for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		fake_refuse(&fake, rows[i].code, 2);
		peer_expect(fd, event, put_event(event, 1 + i), rows[i].outcome);
		fake_refuse(&fake, rows[i].code, 0);
		if (check_failed_now)
			printf("     in row '%s'\n", rows[i].code);
		check_calm();
	}
	close(fd);
	struct posting tally = { 0 };
	struct gate_post *p = post_open(gate.port);
	check(p);
	fake_refuse(&fake, "overloaded", 300);
	post_all(p, 100, 2000, &tally, NULL, NULL);
	gate_post_close(p);
	check_calm();
	check_equal(tally.applied, 2000);
	check_equal(fake_count(&fake).connects, 1);
	check_equal(gate_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

/* ---- the real server ---- */

#define RECEIPTS_OF_MESSAGE 20

/* One unit of S at L received, as number n of the source "pos". */
static size_t
put_receipt(uint8_t *at, uint32_t n)
{
	static const char head[] = "\x87\xa1v\x01\xa6source\xa3pos\xa4kind\xa7receipt\xa3sku\xa1S\xa8location\xa1L\xa3qty\x01\xa1n\xce";
	memcpy(at, head, sizeof head - 1);
	for (int i = 0; i < 4; i++)
		at[sizeof head - 1 + i] = (uint8_t)(n >> (24 - 8 * i));
	return sizeof head - 1 + 4;
}

/* Posts receipts 1..RECEIPTS_OF_MESSAGE * messages, and calls half() when half is answered. */
static void
post_receipts(uint16_t port, uint32_t messages, struct posting *tally, void (*half)(void *), void *context)
{
	int64_t end_ms = clock_steady_ms() + 2 * PATIENCE_MS;
	static uint8_t message[8192];
	struct why why = { "" };
	uint32_t sent = 0;
	struct gate_post *p = post_open(port);
	check(p);
	while (tally->answered < messages && !check_failed_now && clock_steady_ms() < end_ms) {
		while (sent < messages && gate_post_in_flight(p) < 16) {
			size_t n = 3;
			memcpy(message, "\xdc\x00\x14", 3);
			for (uint32_t i = 1; i <= RECEIPTS_OF_MESSAGE; i++)
				n += put_receipt(message + n, sent * RECEIPTS_OF_MESSAGE + i);
			check_equal(gate_post_send(p, sent, message, n, &why), 1);
			sent++;
		}
		post_answer(p, tally, 100, RECEIPTS_OF_MESSAGE);
		if (half && tally->answered >= messages / 2) {
			half(context);
			half = NULL;
		}
	}
	gate_post_close(p);
	check_equal(tally->answered, messages);
	check_equal(tally->other, 0);
}

static int64_t
on_hand(uint16_t rpc)
{
	struct hf_failure failure;
	struct hf_line cell = { "S", "L", 0 };
	const struct hf_value *value;
	int64_t n = -1;
	struct hf *hf = hf_connect("127.0.0.1", rpc, PATIENCE_MS, &failure);
	/* [seq, [{on_hand, ...}]] */
	if (hf && hf_stock(hf, &cell, 1, &value) == HF_OK && value->type == HF_ARRAY && value->array.n == 2
	    && value->array.items[1].type == HF_ARRAY && value->array.items[1].array.n == 1)
		n = hf_int(hf_get(&value->array.items[1].array.items[0], "on_hand"), -1);
	if (hf)
		hf_close(hf);
	return n;
}

struct life {
	struct server *server;
	const char *const *arguments;
	bool started;
};

static void
kill_and_restart(void *context)
{
	struct life *life = context;
	struct why why = { "" };
	server_kill(life->server);
	life->started = server_start(life->server, life->arguments, &why) == 0;
	if (!life->started)
		printf("     %s\n", why.text);
}

static void
a_server_killed_and_restarted_has_every_event_once(void)
{
	char address[32];
	const char *first[] = { "--gate", "off", "--cells-max", "1000", NULL };
	const char *again[] = { "--gate", "off", "--cells-max", "1000", "--listen", address, NULL };
	struct server server;
	struct life life = { &server, again, false };
	struct gate_process gate;
	struct posting tally = { 0 };
	struct why why = { "" };
	check(server_init(&server, &why) == 0);
	if (server_start(&server, first, &why) < 0)
		printf("     %s\n", why.text);
	check(server.rpc != 0);
	snprintf(address, sizeof address, "127.0.0.1:%u", server.rpc);
	gate_start(&gate, server.rpc, 0);
	if (!check_failed_now)
		post_receipts(gate.port, 400, &tally, kill_and_restart, &life);
	if (!check_failed_now && life.started)
		check_equal(on_hand(server.rpc), 400 * RECEIPTS_OF_MESSAGE);
	check_equal(gate_end(&gate, SIGTERM), 0);
	server_remove(&server);
	check(life.started);
}

static void
a_server_that_takes_its_gate_with_it_has_every_event_once(void)
{
	char address[32];
	const char *first[] = { "--cells-max", "1000", NULL };
	const char *again[] = { "--cells-max", "1000", "--events", address, NULL };
	struct server server;
	struct life life = { &server, again, false };
	struct posting tally = { 0 };
	struct why why = { "" };
	check(server_init(&server, &why) == 0);
	if (server_start(&server, first, &why) < 0)
		printf("     %s\n", why.text);
	check(server.events != 0);
	snprintf(address, sizeof address, "127.0.0.1:%u", server.events);
	post_receipts(server.events, 400, &tally, kill_and_restart, &life);
	if (!check_failed_now && life.started)
		check_equal(on_hand(server.rpc), 400 * RECEIPTS_OF_MESSAGE);
	check_equal(server_stop(&server), 0);
	server_remove(&server);
	check(life.started);
}

static void
break_off(void *context)
{
	fake_break(context);
}

static void
a_server_that_breaks_off_loses_nothing(void)
{
	struct fake_server fake;
	struct gate_process gate;
	struct posting tally = { 0 };
	check(fake_start(&fake));
	gate_start(&gate, fake.port, 0);
	check_calm();
	struct gate_post *p = post_open(gate.port);
	check(p);
	for (uint32_t round = 0; round < 10; round++) {
		memset(&tally, 0, sizeof tally);
		post_all(p, 1 + round * 400, 400, &tally, break_off, &fake);
		check_calm();
		check_equal(tally.other, 0);
	}
	gate_post_close(p);
	check_equal(fake_count(&fake).events, 4000);
	check(fake_count(&fake).connects >= 11);
	check_equal(gate_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

/* Big messages to a server that does not read end in the middle of one; the connection then goes on, or breaks off just there. */
static void
a_request_half_written_is_finished_or_sent_anew(void)
{
	enum { MESSAGES = 24, EVENTS = 10000 };
	static uint8_t message[1 << 19];
	struct fake_server fake;
	struct gate_process gate;
	struct why why;
	check(fake_start(&fake));
	gate_start(&gate, fake.port, 0);
	check_calm();
	struct gate_post *p = post_open(gate.port);
	check(p);
	for (uint32_t round = 0; round < 4; round++) {
		struct posting tally = { 0 };
		fake_deaf(&fake, true);
		for (uint32_t i = 0; i < MESSAGES; i++)
			check_equal(gate_post_send(p, i, message, put_events(message, (round * MESSAGES + i) * 100, EVENTS), &why), 1);
		/* By then it has written what fits, or it does so in a moment: both are fine. */
		post_answer(p, &tally, 100, EVENTS);
		check_equal(tally.answered, 0);
		if (round % 2)
			fake_break(&fake);
		fake_deaf(&fake, false);
		int64_t end_ms = clock_steady_ms() + PATIENCE_MS;
		while (tally.answered < MESSAGES && !check_failed_now && clock_steady_ms() < end_ms)
			post_answer(p, &tally, 100, EVENTS);
		check_equal(tally.answered, MESSAGES);
		check_equal(tally.other, 0);
	}
	gate_post_close(p);
	check_equal(fake_count(&fake).events, (4 * MESSAGES - 1) * 100 + EVENTS);
	check_equal(fake_count(&fake).connects, 3);
	check_equal(gate_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

static void
messages_wait_for_a_server_that_is_away(void)
{
	struct fake_server fake;
	struct gate_process gate;
	struct posting tally = { 0 };
	char said[1024];
	struct why why;
	uint8_t message[64];
	check(fake_start(&fake));
	fake_away(&fake, true);
	gate_start(&gate, fake.port, 0);
	check_calm();
	check(gate_says(&gate, "trying again", said, sizeof said));
	struct gate_post *p = post_open(gate.port);
	check(p);
	for (uint32_t i = 0; i < POST_IN_FLIGHT_MAX; i++)
		check_equal(gate_post_send(p, i, message, put_event(message, i + 1), &why), 1);
	check_equal(gate_post_send(p, 99, message, put_event(message, 99), &why), 0);
	post_answer(p, &tally, 50, 1);
	check_equal(tally.answered, 0);
	fake_away(&fake, false);
	int64_t end_ms = clock_steady_ms() + PATIENCE_MS;
	while (tally.answered < POST_IN_FLIGHT_MAX && !check_failed_now && clock_steady_ms() < end_ms)
		post_answer(p, &tally, 100, 1);
	gate_post_close(p);
	check_equal(tally.applied, POST_IN_FLIGHT_MAX);
	check_equal(fake_count(&fake).out_of_order, 0);
	check_equal(gate_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

static void
what_is_in_flight_is_bounded_and_the_rest_waits(void)
{
	static uint8_t body[4096];
	struct fake_server fake;
	struct gate_process gate;
	uint8_t event[64];
	uint32_t word;
	check(fake_start(&fake));
	gate_start(&gate, fake.port, 0);
	check_calm();
	int fd = peer_open(gate.port);
	check(fd >= 0);
	fake_hold(&fake, true);
	for (uint32_t i = 1; i <= GATE_MESSAGES_MAX + 500; i++)
		check(peer_send(fd, i | REQUEST_BIT, event, put_event(event, i)));
	check(fake_wait_events(&fake, GATE_MESSAGES_MAX));
	check_equal(fake_settled(&fake), GATE_MESSAGES_MAX);
	fake_hold(&fake, false);
	for (uint32_t i = 1; i <= GATE_MESSAGES_MAX + 500; i++)
		check(peer_receive(fd, &word, body, sizeof body) > 0);
	check_equal(fake_count(&fake).events, GATE_MESSAGES_MAX + 500);
	close(fd);
	check_equal(gate_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

/* ---- life and death ---- */

static void
gate_restart(void *context)
{
	struct { struct gate_process *gate; uint16_t server_port; } *both = context;
	uint16_t port = both->gate->port;
	gate_end(both->gate, SIGKILL);
	gate_start(both->gate, both->server_port, port);
}

static void
a_gate_that_is_killed_and_restarted_loses_nothing(void)
{
	struct fake_server fake;
	struct gate_process gate;
	struct posting tally = { 0 };
	check(fake_start(&fake));
	gate_start(&gate, fake.port, 0);
	check_calm();
	struct gate_post *p = post_open(gate.port);
	check(p);
	struct { struct gate_process *gate; uint16_t server_port; } both = { &gate, fake.port };
	post_all(p, 1, 3000, &tally, gate_restart, &both);
	gate_post_close(p);
	check_calm();
	check_equal(tally.other, 0);
	check_equal(fake_count(&fake).events, 3000);
	check_equal(gate_end(&gate, SIGTERM), 0);
	fake_stop(&fake);
}

static void
sigterm_answers_what_is_in_flight_and_ends_with_0(void)
{
	struct fake_server fake;
	struct gate_process gate;
	uint8_t event[64], body[256];
	char said[1024];
	uint32_t word;
	check(fake_start(&fake));
	gate_start(&gate, fake.port, 0);
	check_calm();
	int fd = peer_open(gate.port);
	check(fd >= 0);
	fake_hold(&fake, true);
	for (uint32_t i = 1; i <= 100; i++)
		check(peer_send(fd, i | REQUEST_BIT, event, put_event(event, i)));
	check(fake_wait_events(&fake, 100));
	kill(gate.pid, SIGTERM);
	kill(gate.pid, SIGUSR1);
	check(gate_says(&gate, "in_flight=100 ", said, sizeof said));
	check(strstr(said, "messages=100 "));
	/* What comes now is not taken any more. */
	check(peer_send(fd, 101 | REQUEST_BIT, event, put_event(event, 101)));
	fake_hold(&fake, false);
	for (uint32_t i = 1; i <= 100; i++)
		check(peer_receive(fd, &word, body, sizeof body) > 0);
	check_equal(gate_wait(&gate), 0);
	check_equal(fake_count(&fake).events, 100);
	close(fd);
	fake_stop(&fake);
}

static void
sigterm_does_not_wait_for_a_server_that_is_away(void)
{
	struct fake_server fake;
	struct gate_process gate;
	uint8_t event[64];
	check(fake_start(&fake));
	gate_start(&gate, fake.port, 0);
	check_calm();
	int fd = peer_open(gate.port);
	check(fd >= 0);
	fake_hold(&fake, true);
	check(peer_send(fd, 1 | REQUEST_BIT, event, put_event(event, 1)) && fake_wait_events(&fake, 1));
	fake_away(&fake, true);
	fake_break(&fake);
	int64_t from_ms = clock_steady_ms();
	check_equal(gate_end(&gate, SIGTERM), 0);
	check(clock_steady_ms() - from_ms < 3000);
	close(fd);
	fake_stop(&fake);
}

static void
a_start_that_cannot_be_says_why(void)
{
	static const struct row {
		const char *server, *events, *more;
		int status;
		const char *says;
	} rows[] = {
		{ "127.0.0.1:7400", "0.0.0.0:0", NULL, 1, "only loopback" },
		{ "192.0.2.1:7400", "127.0.0.1:0", NULL, 1, "only loopback" },
		{ "127.0.0.1:7400", "127.0.0.1", NULL, 1, "HOST:PORT is needed" },
		{ "127.0.0.1:7400", "127.0.0.1:70000", NULL, 1, "from 0 to 65535" },
		{ "127.0.0.1:7400", "127.0.0.1:0", "--frobnicate", 2, "--help" },
		{ "127.0.0.1:7400", "127.0.0.1:0", "word", 2, "'word' is no option" },
		{ "127.0.0.1:7400", "127.0.0.1:0", "--port-file=/nowhere/there", 1, "/nowhere/there" },
	};
	struct gate_process gate, second;
	char said[1024], taken[32];
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		gate_start_with(&gate, rows[i].server, rows[i].events, rows[i].more);
		bool says = gate_says(&gate, rows[i].says, said, sizeof said);
		if (!says)
			printf("     row %zu says '%s'\n", i, said);
		check_equal(gate_wait(&gate), rows[i].status);
		check(says);
	}
	gate_start(&gate, 1, 0);
	check_calm();
	snprintf(taken, sizeof taken, "127.0.0.1:%u", gate.port);
	gate_start_with(&second, "localhost:1", taken, NULL);
	check(gate_says(&second, "another gate runs there", said, sizeof said));
	check_equal(gate_wait(&second), 1);
	check_equal(gate_end(&gate, SIGTERM), 0);
}

static void
the_port_file_is_written_when_ready(void)
{
	char folder[256], option[512], line[64] = "";
	struct gate_process gate;
	snprintf(folder, sizeof folder, "%s/holdfast-gate.XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	check(mkdtemp(folder));
	snprintf(option, sizeof option, "--port-file=%s/port", folder);
	gate_start_with(&gate, "127.0.0.1:1", "localhost:0", option);
	check(gate.port != 0);
	FILE *f = fopen(option + strlen("--port-file="), "r");
	check(f);
	unsigned port = 0;
	check(fgets(line, sizeof line, f) && sscanf(line, "events=%u", &port) == 1);
	fclose(f);
	check_equal(port, gate.port);
	check_equal(gate_end(&gate, SIGINT), 0);
	remove(option + strlen("--port-file="));
	check(rmdir(folder) == 0);
}

static void
the_gate_ends_with_the_process_that_started_it(void)
{
	int fds[2];
	pid_t pid = 0;
	check(pipe(fds) == 0);
	pid_t parent = fork();
	if (parent == 0) {
		struct gate_process gate;
		gate_start(&gate, 1, 0);
		ssize_t written = write(fds[1], &gate.pid, sizeof gate.pid);
		_exit(written == sizeof gate.pid && gate.port ? 0 : 1);
	}
	check(read(fds[0], &pid, sizeof pid) == sizeof pid);
	waitpid(parent, NULL, 0);
	close(fds[0]);
	close(fds[1]);
	/* Somebody else reaps it: it is gone, or a zombie with nothing in its command line. */
	int64_t end_ms = clock_steady_ms() + PATIENCE_MS;
	bool gone = false;
	while (!gone && clock_steady_ms() < end_ms) {
		char path[64], c;
		snprintf(path, sizeof path, "/proc/%ld/cmdline", (long)pid);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		gone = fd < 0 || read(fd, &c, 1) <= 0;
		if (fd >= 0)
			close(fd);
		poll(NULL, 0, 2);
	}
	check(gone);
}

/* ---- who listens there ---- */

static void
the_sender_says_what_listens_instead_of_a_gate(void)
{
	struct fake_server fake;
	struct gate_process gate;
	struct why why = { "" };
	uint8_t byte = 0;
	check(!gate_post_open("127.0.0.1", 1, &why) && strstr(why.text, "nothing listens on 127.0.0.1:1"));
	check(!gate_post_open("no.such.host.invalid", 7401, &why) && strstr(why.text, "no.such.host.invalid"));
	check(fake_start(&fake));
	check(!gate_post_open("127.0.0.1", fake.port, &why) && strstr(why.text, "not a Holdfast gate"));
	fake_greet(&fake, "\0SP\0\0\x51\0\0", 8); /* a PULL socket */
	check(!gate_post_open("127.0.0.1", fake.port, &why) && strstr(why.text, "not one that acknowledges"));
	fake_stop(&fake);
	gate_start(&gate, 1, 0);
	check_calm();
	struct gate_post *p = gate_post_open("127.0.0.1", gate.port, &why);
	check(p);
	check_equal(gate_post_send(p, 1, &byte, POST_MESSAGE_BYTES_MAX + 1, &why), -1);
	check(strstr(why.text, "1048576"));
	gate_post_close(p);
	check_equal(gate_end(&gate, SIGTERM), 0);
}

static const struct check tests[] = {
	CHECK(many_in_flight_are_answered_and_reach_the_server_in_order),
	CHECK(a_map_and_an_array_of_maps_pass_as_they_are),
	CHECK(two_clients_at_once_get_their_own_answers),
	CHECK(undecodable_bytes_are_answered_and_the_gate_lives),
	CHECK(what_is_too_large_is_answered_so),
	CHECK(wrong_nanomsg_bytes_harm_only_their_connection),
	CHECK(a_request_that_comes_again_is_posted_once_and_answered_again),
	CHECK(answers_that_nanomsg_dropped_are_given_again),
	CHECK(a_refusal_for_now_is_posted_again_and_another_one_is_the_answer),
	CHECK(a_server_that_breaks_off_loses_nothing),
	CHECK(a_server_killed_and_restarted_has_every_event_once),
	CHECK(a_server_that_takes_its_gate_with_it_has_every_event_once),
	CHECK(a_request_half_written_is_finished_or_sent_anew),
	CHECK(messages_wait_for_a_server_that_is_away),
	CHECK(what_is_in_flight_is_bounded_and_the_rest_waits),
	CHECK(a_gate_that_is_killed_and_restarted_loses_nothing),
	CHECK(sigterm_answers_what_is_in_flight_and_ends_with_0),
	CHECK(sigterm_does_not_wait_for_a_server_that_is_away),
	CHECK(a_start_that_cannot_be_says_why),
	CHECK(the_port_file_is_written_when_ready),
	CHECK(the_gate_ends_with_the_process_that_started_it),
	CHECK(the_sender_says_what_listens_instead_of_a_gate),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof tests[0], argc, argv);
}
