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
#define LIFE_FD 4 /* its guardian tells of its processes; the other end closes when all of them have ended, however they end */

extern char **environ;

struct supervisor {
	struct loop *loop;
	struct supervisor_setup setup; /* with the ports, once they are known (SUP2); its texts are the two below */
	char program[512], server[96];
	bool told;
	pid_t pid; /* 0: down */
	int port_fd, life_fd; /* reading ends; -1 */
	struct event *port_event, *life_event, *pause_event;
	char lines[128]; /* what it said of its ports so far */
	size_t lines_n;
	int64_t started_ms, pause_ms;
	struct {
		uint64_t starts;
		bool up;
	} parts[SUPERVISOR_PARTS];
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

/* A gate that had come up is back soon; one that does not come up at all (its port is taken) is tried more and more seldom. */
static void
start_later(struct supervisor *s)
{
	int64_t most_ms = s->up ? GATE_PAUSE_MS_MAX : GATE_PAUSE_MS_FAILED_MAX;
	if (s->pause_ms == 0 || (s->up && clock_steady_ms() - s->started_ms > GATE_YOUNG_MS))
		s->pause_ms = GATE_PAUSE_MS_MIN;
	else
		s->pause_ms = s->pause_ms * 2 > most_ms ? most_ms : s->pause_ms * 2;
	s->up = false;
	s->pause_event = loop_after(s->loop, s->pause_ms, pause_over, s);
}

static void
stop_ended(struct supervisor *s)
{
	void (*ended)(void *) = s->ended;
	s->ended = NULL;
	if (ended)
		ended(s->setup.context);
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

/* ---- its life ---- */

/* A letter for each process that ended or is there again (--life-fd). */
static void
life_letter(struct supervisor *s, char letter)
{
	static const char ended[SUPERVISOR_PARTS] = "gf", again[SUPERVISOR_PARTS] = "GF";
	for (int i = 0; i < SUPERVISOR_PARTS; i++) {
		s->parts[i].up = (s->parts[i].up || letter == again[i]) && letter != ended[i];
		s->parts[i].starts += letter == again[i];
	}
}

/* The life pipe has an end: the processes are gone, or as good as gone. */
static void
gate_ended(struct supervisor *s)
{
	int status = 0;
	kill(s->pid, SIGKILL); /* it may only have closed its descriptors; SUP1 */
	waitpid(s->pid, &status, 0);
	s->pid = 0;
	watches_end(s);
	for (int i = 0; i < SUPERVISOR_PARTS; i++)
		s->parts[i].up = false;
	if (s->stopping) {
		s->up = false;
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
life_said(int fd, short what, void *arg)
{
	struct supervisor *s = arg;
	char letters[64];
	ssize_t n = read(fd, letters, sizeof letters);
	for (ssize_t i = 0; i < n; i++)
		life_letter(s, letters[i]);
	if (n <= 0)
		gate_ended(s);
}

/* ---- its ports ---- */

static const char *const door_names[SUPERVISOR_DOORS] = { "events", "push", "feed" };

/* The port of the line "name=port"; 0: no such line. */
static uint16_t
port_of(const char *lines, const char *name)
{
	size_t n = strlen(name);
	for (const char *at = lines; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, name, n) == 0 && at[n] == '=')
			return (uint16_t)strtoul(at + n + 1, NULL, 10);
	}
	return 0;
}

/* It has closed its end: these are all. False: it ends, or is of no use; the life pipe tells. */
static bool
ports_take(struct supervisor *s)
{
	uint16_t ports[SUPERVISOR_DOORS];
	s->lines[s->lines_n] = 0;
	for (int i = 0; i < SUPERVISOR_DOORS; i++) {
		ports[i] = port_of(s->lines, door_names[i]);
		if (ports[i] == 0 && !s->setup.doors[i].off)
			return false;
	}
	for (int i = 0; i < SUPERVISOR_DOORS; i++)
		s->setup.doors[i].port = ports[i];
	return true;
}

static void
ports_said(int fd, short what, void *arg)
{
	struct supervisor *s = arg;
	ssize_t n = read(fd, s->lines + s->lines_n, sizeof s->lines - 1 - s->lines_n);
	if (n > 0) {
		s->lines_n += (size_t)n;
		return;
	}
	loop_unwatch(s->port_event);
	s->port_event = NULL;
	s->up = ports_take(s);
	s->parts[SUPERVISOR_PART_GATE].up = s->up;
	s->parts[SUPERVISOR_PART_FEED].up = s->up && !s->setup.doors[SUPERVISOR_FEED].off;
	if (!s->up || s->told)
		return;
	s->told = true;
	s->setup.ready(s->setup.context, &s->setup);
}

/* The child gets the two writing ends under fixed numbers and nothing else of ours (all else is close-on-exec). */
static int
gate_spawn(struct supervisor *s, int port_end, int life_end)
{
	char doors[SUPERVISOR_DOORS][96], fd_text[8], life_text[8];
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t none, defaults;
	for (int i = 0; i < SUPERVISOR_DOORS; i++) {
		const char *host = s->setup.doors[i].host;
		snprintf(doors[i], sizeof doors[i], s->setup.doors[i].off ? "off" : strchr(host, ':') ? "[%s]:%u" : "%s:%u", host,
		    s->setup.doors[i].port);
	}
	snprintf(fd_text, sizeof fd_text, "%d", PORT_FD);
	snprintf(life_text, sizeof life_text, "%d", LIFE_FD);
	char *argv[] = { s->program, "--server", s->server, "--events", doors[SUPERVISOR_EVENTS], "--push", doors[SUPERVISOR_PUSH],
		"--feed", doors[SUPERVISOR_FEED], "--port-file-fd", fd_text, "--life-fd", life_text, "--die-with-parent", NULL };
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
	s->parts[SUPERVISOR_PART_GATE].starts++;
	s->parts[SUPERVISOR_PART_FEED].starts += !s->setup.doors[SUPERVISOR_FEED].off;
	s->started_ms = clock_steady_ms();
	s->lines_n = 0;
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
		s->port_event = loop_watch(s->loop, s->port_fd, ports_said, s);
		s->life_event = loop_watch(s->loop, s->life_fd, life_said, s);
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
supervisor_open(struct loop *loop, const struct supervisor_setup *setup, struct why *why)
{
	struct supervisor *s = calloc(1, sizeof *s);
	if (!s) {
		snprintf(why->text, sizeof why->text, "no memory for the gate's supervisor");
		return NULL;
	}
	if (access(setup->program, X_OK) < 0) {
		snprintf(why->text, sizeof why->text, "--gate: cannot run %s: %s (--gate off does without)", setup->program, strerror(errno));
		free(s);
		return NULL;
	}
	*s = (struct supervisor){ .loop = loop, .setup = *setup, .port_fd = -1, .life_fd = -1 };
	snprintf(s->program, sizeof s->program, "%s", setup->program);
	snprintf(s->server, sizeof s->server, "%s", setup->server);
	s->setup.program = s->program;
	s->setup.server = s->server;
	gate_start(s);
	return s;
}

uint64_t
supervisor_starts(const struct supervisor *s, enum supervisor_part part)
{
	return s ? s->parts[part].starts : 0;
}

bool
supervisor_up(const struct supervisor *s, enum supervisor_part part)
{
	return s && s->parts[part].up;
}

/* Waits for the life pipe's end, past the letters before it: one of two processes may have ended and the other hang. */
static void
life_end_wait(struct supervisor *s, int64_t most_ms)
{
	int64_t until_ms = clock_steady_ms() + most_ms;
	struct pollfd life = { .fd = s->life_fd, .events = POLLIN };
	char letters[64];
	for (int64_t left_ms = most_ms; left_ms >= 0; left_ms = until_ms - clock_steady_ms())
		if (poll(&life, 1, (int)left_ms) > 0 && read(s->life_fd, letters, sizeof letters) == 0)
			return;
}

void
supervisor_close(struct supervisor *s)
{
	if (!s)
		return;
	if (s->pid > 0) {
		kill(s->pid, SIGTERM);
		life_end_wait(s, s->stopping ? 0 : GATE_END_MS_MAX);
		kill(s->pid, SIGKILL); /* as in gate_ended() */
		waitpid(s->pid, NULL, 0);
	}
	watches_end(s);
	loop_unwatch(s->pause_event);
	free(s);
}
