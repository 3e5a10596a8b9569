/* gate_rig.c: see gate_rig.h. */
#define _GNU_SOURCE
#include "tests/gate_rig.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/clock.h"
#include "net/codec_read.h"
#include "tests/spawn.h"

#define OPTIONS_MAX 24

extern char **environ;

/* ---- the gate as a process ---- */

static void
ports_read(struct gate_process *g, int fd)
{
	char text[256], *at;
	size_t used = 0;
	ssize_t got;
	while (used + 1 < sizeof text && (got = read(fd, text + used, sizeof text - 1 - used)) > 0)
		used += (size_t)got;
	text[used] = 0;
	for (enum gate_door door = 0; door < DOOR_COUNT; door++) {
		char key[16];
		snprintf(key, sizeof key, "%s=", gate_door_name(door));
		if ((at = strstr(text, key)) != NULL)
			g->ports[door] = (uint16_t)strtoul(at + strlen(key), NULL, 10);
	}
}

bool
rig_start_with(struct gate_process *g, const char *const *options)
{
	char program[512], fd_text[16];
	const char *argv[OPTIONS_MAX + 8] = { program, "--port-file-fd", fd_text, "--die-with-parent" };
	int port_pipe[2], error_pipe[2], n = 4;
	posix_spawn_file_actions_t actions;
	memset(g, 0, sizeof *g);
	spawn_program("holdfast-gate", program, sizeof program);
	if (pipe(port_pipe) < 0 || pipe2(error_pipe, O_CLOEXEC) < 0)
		return false;
	fcntl(port_pipe[0], F_SETFD, FD_CLOEXEC);
	snprintf(fd_text, sizeof fd_text, "%d", port_pipe[1]);
	while (*options && n < OPTIONS_MAX)
		argv[n++] = *options++;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, error_pipe[1], 2);
	int failed = posix_spawn(&g->pid, program, &actions, NULL, (char *const *)(uintptr_t)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(port_pipe[1]);
	close(error_pipe[1]);
	ports_read(g, port_pipe[0]);
	close(port_pipe[0]);
	g->errors = error_pipe[0];
	if (failed)
		printf("     cannot start %s\n", program);
	return !failed && g->ports[DOOR_EVENTS] != 0;
}

bool
rig_start(struct gate_process *g, uint16_t server_port, uint16_t events_port)
{
	char server[32], events[32];
	snprintf(server, sizeof server, "127.0.0.1:%u", server_port);
	snprintf(events, sizeof events, "127.0.0.1:%u", events_port);
	return rig_start_with(g, (const char *[]){ "--server", server, "--events", events, "--feed", "off", NULL });
}

bool
rig_start_again(struct gate_process *g, uint16_t server_port)
{
	char server[32], doors[DOOR_COUNT][32];
	snprintf(server, sizeof server, "127.0.0.1:%u", server_port);
	for (int i = 0; i < DOOR_COUNT; i++)
		snprintf(doors[i], sizeof doors[i], g->ports[i] ? "127.0.0.1:%u" : "off", g->ports[i]);
	return rig_start_with(g, (const char *[]){ "--server", server, "--events", doors[DOOR_EVENTS], "--push", doors[DOOR_PUSH], "--feed",
	    doors[DOOR_FEED], NULL });
}

int
rig_wait(struct gate_process *g)
{
	int64_t end_ms = clock_steady_ms() + RIG_PATIENCE_MS;
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

int
rig_end(struct gate_process *g, int with)
{
	kill(g->pid, with);
	return rig_wait(g);
}

bool
rig_says(struct gate_process *g, const char *text, char *said, size_t size)
{
	int64_t end_ms = clock_steady_ms() + RIG_PATIENCE_MS;
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

bool
rig_counts(struct gate_process *gate, const char *text)
{
	static char said[4096];
	int64_t end_ms = clock_steady_ms() + RIG_PATIENCE_MS;
	bool shown = false;
	while (!shown && clock_steady_ms() < end_ms) {
		kill(gate->pid, SIGUSR1);
		shown = rig_says(gate, "in_flight_bytes=", said, sizeof said) && strstr(said, text);
	}
	if (!shown)
		printf("     the gate says '%s'\n", said);
	return shown;
}

/* ---- messages ---- */

static size_t
put_tail(uint8_t *at, const void *head, size_t head_n, uint32_t n)
{
	memcpy(at, head, head_n);
	for (int i = 0; i < 4; i++)
		at[head_n + (size_t)i] = (uint8_t)(n >> (24 - 8 * i));
	return head_n + 4;
}

size_t
put_event(uint8_t *at, uint32_t n)
{
	static const char head[] = "\x82\xa6source\xa3pos\xa1n\xce";
	return put_tail(at, head, sizeof head - 1, n);
}

size_t
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

size_t
put_receipt(uint8_t *at, const char *source, uint32_t n)
{
	char head[128];
	int used = snprintf(head, sizeof head, "\x87\xa1v\x01\xa4kind\xa7receipt\xa3sku\xa1S\xa8location\xa1L\xa3qty\x01\xa6source%c%s\xa1n\xce",
	    (int)(0xa0 | strlen(source)), source);
	return put_tail(at, head, (size_t)used, n);
}

int
answer_read(const uint8_t *reply, size_t n, int64_t *seq, char first[65])
{
	static const struct key keys[] = { KEY("seq"), KEY("outcomes") }, inner[] = { KEY("rejected") };
	struct reader r = { reply, reply + n };
	struct bytes text = { NULL, 0 };
	uint32_t pairs, outcomes, members;
	int hint = 0;
	if (!reader_map(&r, &pairs) || pairs != 2 || reader_key(&r, keys, 2, &hint) != 0 || !reader_int(&r, seq) ||
	    reader_key(&r, keys, 2, &hint) != 1 || !reader_array(&r, &outcomes))
		return -1;
	struct reader peek = r;
	hint = 0;
	if (outcomes && !reader_str(&peek, &text) && (!reader_map(&peek, &members) || reader_key(&peek, inner, 1, &hint) != 0 ||
	    !reader_str(&peek, &text)))
		return -1;
	snprintf(first, 65, "%.*s", (int)text.n, text.n ? (const char *)text.at : "");
	for (uint32_t i = 0; i < outcomes; i++)
		if (!reader_skip(&r))
			return -1;
	return r.at == r.end ? (int)outcomes : -1;
}

/* ---- a till ---- */

int
till_connect(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
		return fd;
	close(fd);
	return -1;
}

bool
till_read(int fd, uint8_t *at, size_t n)
{
	int64_t end_ms = clock_steady_ms() + RIG_PATIENCE_MS;
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

bool
till_write(int fd, const void *bytes, size_t n)
{
	for (size_t done = 0; done < n;) {
		ssize_t sent = send(fd, (const uint8_t *)bytes + done, n - done, MSG_NOSIGNAL);
		if (sent <= 0)
			return false;
		done += (size_t)sent;
	}
	return true;
}

int
till_open_as(uint16_t port, uint8_t kind, uint8_t other, int receive_bytes)
{
	const uint8_t ours[8] = { 0, 'S', 'P', 0, 0, kind, 0, 0 };
	uint8_t greeting[8];
	int fd = till_connect(port);
	if (fd < 0)
		return -1;
	if (receive_bytes)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
	if (till_write(fd, ours, sizeof ours) && till_read(fd, greeting, sizeof greeting) && greeting[5] == other)
		return fd;
	close(fd);
	return -1;
}

int
till_open(uint16_t port)
{
	return till_open_as(port, 48, 49, 0);
}

static void
put_length(uint8_t head[8], uint64_t n)
{
	for (int i = 0; i < 8; i++)
		head[i] = (uint8_t)(n >> (56 - 8 * i));
}

bool
till_send(int fd, uint32_t word, const void *bytes, size_t n)
{
	uint8_t head[12];
	put_length(head, n + 4);
	for (int i = 0; i < 4; i++)
		head[8 + i] = (uint8_t)(word >> (24 - 8 * i));
	return till_write(fd, head, sizeof head) && till_write(fd, bytes, n);
}

bool
till_push(int fd, const void *bytes, size_t n)
{
	uint8_t head[8];
	put_length(head, n);
	return till_write(fd, head, sizeof head) && till_write(fd, bytes, n);
}

int64_t
till_pull(int fd, uint8_t *body, size_t size)
{
	uint8_t head[8];
	uint64_t n = 0;
	if (!till_read(fd, head, sizeof head))
		return -1;
	for (int i = 0; i < 8; i++)
		n = n << 8 | head[i];
	return n <= size && till_read(fd, body, (size_t)n) ? (int64_t)n : -1;
}

int64_t
till_receive(int fd, uint32_t *word, uint8_t *body, size_t size)
{
	uint8_t head[12];
	uint64_t n = 0;
	if (!till_read(fd, head, sizeof head))
		return -1;
	for (int i = 0; i < 8; i++)
		n = n << 8 | head[i];
	*word = (uint32_t)head[8] << 24 | (uint32_t)head[9] << 16 | (uint32_t)head[10] << 8 | head[11];
	if (n < 4 || n - 4 > size || !till_read(fd, body, (size_t)n - 4))
		return -1;
	return (int64_t)n - 4;
}

bool
till_expect(int fd, const void *bytes, size_t n, const char *outcome)
{
	static uint32_t number = 1;
	uint8_t body[4096];
	char first[65] = "nothing";
	uint32_t word = 0;
	int64_t seq = -1;
	number++;
	int64_t got = till_send(fd, number | REQUEST_BIT, bytes, n) ? till_receive(fd, &word, body, sizeof body) : -1;
	bool fine = got > 0 && word == (number | REQUEST_BIT) && answer_read(body, (size_t)got, &seq, first) == 1;
	bool judged = strcmp(outcome, "applied") == 0 || strcmp(outcome, "duplicate") == 0 || strcmp(outcome, "bad_event") == 0;
	fine = fine && strcmp(first, outcome) == 0 && (judged ? seq > 0 : seq == 0);
	if (!fine)
		printf("     the outcome is '%s' at %lld, not '%s'\n", first, (long long)seq, outcome);
	return fine;
}

/* ---- posting ---- */

struct gate_post *
post_open(uint16_t port)
{
	struct why why = { "" };
	struct gate_post *p = gate_post_open("127.0.0.1", port, &why);
	if (!p)
		printf("     %s\n", why.text);
	return p;
}

bool
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
	if (got <= 0)
		return got == 0;
	if (answer_read(reply, n, &seq, first) != (int)outcomes)
		return false;
	tally->answered++;
	tally->applied += strcmp(first, "applied") == 0;
	tally->duplicate += strcmp(first, "duplicate") == 0;
	tally->other += strcmp(first, "applied") != 0 && strcmp(first, "duplicate") != 0;
	tally->late += number < tally->highest;
	tally->highest = number > tally->highest ? number : tally->highest;
	return true;
}

bool
post_all(struct gate_post *p, uint32_t first, uint32_t count, struct posting *tally, void (*half)(void *), void *context)
{
	int64_t end_ms = clock_steady_ms() + RIG_PATIENCE_MS;
	uint8_t message[64];
	struct why why = { "" };
	for (uint32_t sent = 0; tally->answered < count && clock_steady_ms() < end_ms;) {
		while (sent < count) {
			int taken = gate_post_send(p, first + sent, message, put_event(message, first + sent), &why);
			if (taken < 0)
				return false;
			if (taken == 0)
				break;
			sent++;
		}
		if (!post_answer(p, tally, 100, 1))
			return false;
		if (half && tally->answered >= count / 2) {
			half(context);
			half = NULL;
		}
	}
	return tally->answered == count && gate_post_in_flight(p) == 0;
}
