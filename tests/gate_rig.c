/* gate_rig.c: see gate_rig.h. */
#define _GNU_SOURCE
#include "tests/gate_rig.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <holdfast/holdfast.h>

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

static bool
start(struct gate_process *g, const char *const *options, bool guarded)
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
	if (!guarded)
		argv[n++] = "--no-guardian";
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
rig_start_with(struct gate_process *g, const char *const *options)
{
	return start(g, options, false);
}

bool
rig_start_guarded(struct gate_process *g, const char *const *options)
{
	return start(g, options, true);
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
		poll(NULL, 0, shown ? 0 : 5);
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

/* ---- a till's question ---- */

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

/* ---- what is told ---- */

int64_t
rig_told(uint16_t port, const char *name)
{
	static const char ask[] = "\x81\xa3" "ask\xa6status";
	static uint8_t body[4096];
	struct reader r;
	struct bytes key;
	uint32_t word, pairs;
	int64_t value = -1, got = -1;
	int fd = till_open(port);
	if (fd >= 0 && till_send(fd, 5 | REQUEST_BIT, ask, sizeof ask - 1))
		got = till_receive(fd, &word, body, sizeof body);
	if (fd >= 0)
		close(fd);
	if (got < 0)
		return -1;
	r = (struct reader){ body, body + got };
	if (!reader_map(&r, &pairs) || !reader_str(&r, &key) || !reader_map(&r, &pairs))
		return -1;
	while (pairs-- > 0 && reader_str(&r, &key) && reader_int(&r, &value))
		if (key.n == strlen(name) && memcmp(key.at, name, key.n) == 0)
			return value;
	return -1;
}

int64_t
rig_another(uint16_t port, int64_t before)
{
	int64_t end_ms = clock_steady_ms() + RIG_PATIENCE_MS, pid;
	do {
		pid = rig_told(port, "pid");
		if (pid > 0 && pid != before)
			return pid;
		poll(NULL, 0, 2);
	} while (clock_steady_ms() < end_ms);
	return -1;
}

int64_t
rig_on_hand(uint16_t rpc)
{
	struct hf_failure failure;
	struct hf_line cell = { "S", "L", 0 };
	const struct hf_value *value;
	int64_t n = -1;
	struct hf *hf = hf_connect("127.0.0.1", rpc, RIG_PATIENCE_MS, &failure);
	/* [seq, [{on_hand, ...}]] */
	if (hf && hf_stock(hf, &cell, 1, &value) == HF_OK && value->type == HF_ARRAY && value->array.n == 2
	    && value->array.items[1].type == HF_ARRAY && value->array.items[1].array.n == 1)
		n = hf_int(hf_get(&value->array.items[1].array.items[0], "on_hand"), -1);
	if (hf)
		hf_close(hf);
	return n;
}
