/* supervisor.c: one gate, always. The contract and the drawing are in supervisor.h. */
#define _GNU_SOURCE
#include "net/supervisor.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define PORT_FD 3 /* where the gate finds the pipe for its port */
#define LIFE_FD 4 /* inherited and never used: its other end closes when the gate ends, however it ends */

extern char **environ;

struct supervisor {
	struct loop *loop;
	char program[512], server[96], host[64];
	uint16_t port;
	void (*ready)(void *context, uint16_t port);
	void *context;
	bool told;
	pid_t pid; /* 0: down */
	int port_fd, life_fd; /* reading ends; -1 */
	struct event *port_event, *life_event, *pause_event;
	char line[64];
	size_t line_n;
	int64_t started_ms, pause_ms;
	uint64_t starts;
	bool up, stopping;
	void (*ended)(void *context); /* stopping */
};

static void gate_start(struct supervisor *s);

static void
watches_end(struct supervisor *s)
{
	loop_unwatch(s->port_event);
	loop_unwatch(s->life_event);
	s->port_event = s->life_event = NULL;
	if (s->port_fd >= 0)
		close(s->port_fd);
	if (s->life_fd >= 0)
		close(s->life_fd);
	s->port_fd = s->life_fd = -1;
}

static void
pause_over(int none, short what, void *arg)
{
	struct supervisor *s = arg;
	loop_unwatch(s->pause_event);
	s->pause_event = NULL;
	gate_start(s);
}

static void
start_later(struct supervisor *s)
{
	if (clock_steady_ms() - s->started_ms > GATE_YOUNG_MS || s->pause_ms == 0)
		s->pause_ms = GATE_PAUSE_MS_MIN;
	else
		s->pause_ms = s->pause_ms * 2 > GATE_PAUSE_MS_MAX ? GATE_PAUSE_MS_MAX : s->pause_ms * 2;
	s->pause_event = loop_after(s->loop, s->pause_ms, pause_over, s);
}

static void
stop_ended(struct supervisor *s)
{
	void (*ended)(void *) = s->ended;
	s->ended = NULL;
	if (ended)
		ended(s->context);
}

static void
stop_took_too_long(int none, short what, void *arg)
{
	stop_ended(arg);
}

void
supervisor_stop(struct supervisor *s, void (*ended)(void *))
{
	s->stopping = true;
	s->ended = ended;
	loop_unwatch(s->pause_event);
	s->pause_event = NULL;
	if (s->pid == 0) {
		stop_ended(s);
		return;
	}
	kill(s->pid, SIGTERM);
	s->pause_event = loop_after(s->loop, GATE_END_MS_MAX, stop_took_too_long, s);
}

/* The life pipe has an end: the process is gone, or as good as gone. */
static void
gate_ended(int fd, short what, void *arg)
{
	struct supervisor *s = arg;
	int status = 0;
	kill(s->pid, SIGKILL); /* it may only have closed its descriptors; SUP1 */
	waitpid(s->pid, &status, 0);
	s->pid = 0;
	s->up = false;
	watches_end(s);
	if (s->stopping) {
		stop_ended(s);
		return;
	}
	if (WIFEXITED(status))
		fprintf(stderr, "holdfastd: the gate ended with status %d; it is started again\n", WEXITSTATUS(status));
	else
		fprintf(stderr, "holdfastd: the gate was ended by signal %d; it is started again\n", WTERMSIG(status));
	start_later(s);
}

static void
port_said(int fd, short what, void *arg)
{
	struct supervisor *s = arg;
	unsigned port;
	ssize_t n = read(fd, s->line + s->line_n, sizeof s->line - 1 - s->line_n);
	if (n > 0)
		s->line[s->line_n += (size_t)n] = 0;
	bool whole = memchr(s->line, '\n', s->line_n) != NULL;
	if (n > 0 && !whole && s->line_n < sizeof s->line - 1)
		return;
	loop_unwatch(s->port_event);
	s->port_event = NULL;
	if (!whole || sscanf(s->line, "events=%u", &port) != 1 || port == 0 || port > 65535)
		return; /* it ends, or is of no use: the life pipe tells */
	s->up = true;
	s->port = (uint16_t)port;
	if (!s->told)
		s->ready(s->context, s->port);
	s->told = true;
}

/* The child gets the two writing ends under fixed numbers and nothing else of ours (all else is close-on-exec). */
static int
gate_spawn(struct supervisor *s, int port_end, int life_end)
{
	char events[96], fd_text[8];
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t none, defaults;
	snprintf(events, sizeof events, strchr(s->host, ':') ? "[%s]:%u" : "%s:%u", s->host, s->port);
	snprintf(fd_text, sizeof fd_text, "%d", PORT_FD);
	char *argv[] = { s->program, "--server", s->server, "--events", events, "--port-file-fd", fd_text, "--die-with-parent", NULL };
	sigemptyset(&none);
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGTERM);
	sigaddset(&defaults, SIGINT);
	sigaddset(&defaults, SIGPIPE);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, port_end, PORT_FD);
	posix_spawn_file_actions_adddup2(&files, life_end, LIFE_FD);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &defaults);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	int failure = posix_spawn(&s->pid, s->program, &files, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	if (failure) {
		fprintf(stderr, "holdfastd: the gate %s did not start: %s\n", s->program, strerror(failure));
		s->pid = 0;
	}
	return failure ? -1 : 0;
}

/* A pipe whose ends stay clear of the fixed numbers, so that adddup2 never meets its own target. */
static int
pipe_high(int ends[2])
{
	int low[2];
	if (pipe2(low, O_CLOEXEC) < 0)
		return -1;
	for (int i = 0; i < 2; i++)
		ends[i] = fcntl(low[i], F_DUPFD_CLOEXEC, LIFE_FD + 1);
	close(low[0]);
	close(low[1]);
	if (ends[0] >= 0 && ends[1] >= 0)
		return 0;
	for (int i = 0; i < 2; i++)
		if (ends[i] >= 0)
			close(ends[i]);
	return -1;
}

static void
gate_start(struct supervisor *s)
{
	int port[2], life[2];
	s->starts++;
	s->started_ms = clock_steady_ms();
	s->line_n = 0;
	if (pipe_high(port) < 0) {
		start_later(s);
		return;
	}
	if (pipe_high(life) < 0) {
		close(port[0]);
		close(port[1]);
		start_later(s);
		return;
	}
	int spawned = gate_spawn(s, port[1], life[1]);
	close(port[1]);
	close(life[1]);
	s->port_fd = port[0];
	s->life_fd = life[0];
	if (spawned == 0) {
		s->port_event = loop_watch(s->loop, s->port_fd, port_said, s);
		s->life_event = loop_watch(s->loop, s->life_fd, gate_ended, s);
		if (s->port_event && s->life_event)
			return;
		kill(s->pid, SIGKILL);
		waitpid(s->pid, NULL, 0);
		s->pid = 0;
	}
	watches_end(s);
	start_later(s);
}

struct supervisor *
supervisor_open(struct loop *loop, const char *program, const char *server, const char *events_host, uint16_t events_port,
    void (*ready)(void *, uint16_t), void *context, struct why *why)
{
	struct supervisor *s = calloc(1, sizeof *s);
	if (!s) {
		snprintf(why->text, sizeof why->text, "no memory for the gate's supervisor");
		return NULL;
	}
	if (access(program, X_OK) < 0) {
		snprintf(why->text, sizeof why->text, "--gate: cannot run %s: %s (--gate off does without)", program, strerror(errno));
		free(s);
		return NULL;
	}
	*s = (struct supervisor){ .loop = loop, .port = events_port, .ready = ready, .context = context, .port_fd = -1, .life_fd = -1 };
	snprintf(s->program, sizeof s->program, "%s", program);
	snprintf(s->server, sizeof s->server, "%s", server);
	snprintf(s->host, sizeof s->host, "%s", events_host);
	gate_start(s);
	return s;
}

uint64_t
supervisor_starts(const struct supervisor *s)
{
	return s ? s->starts : 0;
}

bool
supervisor_up(const struct supervisor *s)
{
	return s && s->up;
}

void
supervisor_close(struct supervisor *s)
{
	if (!s)
		return;
	if (s->pid > 0) {
		struct pollfd life = { .fd = s->life_fd, .events = POLLIN };
		kill(s->pid, SIGTERM);
		if (poll(&life, 1, s->stopping ? 0 : GATE_END_MS_MAX) <= 0)
			kill(s->pid, SIGKILL);
		waitpid(s->pid, NULL, 0);
	}
	watches_end(s);
	loop_unwatch(s->pause_event);
	free(s);
}
