/*
 * spawn.c: child processes by posix_spawn, which is safe beside nanomsg's threads where a plain fork is not.
 */
#define _GNU_SOURCE /* nftw */
#include "tests/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "net/clock.h"

#define SERVERS_MAX 16

extern char **environ;

/* S1: who runs now, for exit(). */
static pid_t running[SERVERS_MAX];

static void
end_all(void)
{
	for (int i = 0; i < SERVERS_MAX; i++)
		if (running[i] > 0)
			kill(running[i], SIGKILL);
}

static void
remember(pid_t pid, pid_t instead)
{
	static bool at_exit;
	if (!at_exit)
		at_exit = atexit(end_all) == 0;
	for (int i = 0; i < SERVERS_MAX; i++)
		if (running[i] == instead) {
			running[i] = pid;
			return;
		}
}

void
spawn_program(const char *name, char *path, size_t n)
{
	char self[512];
	const char *bin = getenv("HOLDFAST_BIN");
	if (bin && *bin) {
		snprintf(path, n, "%s/%s", bin, name);
		return;
	}
	ssize_t used = readlink("/proc/self/exe", self, sizeof self - 1);
	self[used > 0 ? used : 0] = 0;
	char *slash = strrchr(self, '/');
	if (slash)
		*slash = 0;
	snprintf(path, n, "%s/%s", self, name);
	slash = strrchr(self, '/');
	if (access(path, X_OK) != 0 && slash) {
		*slash = 0;
		snprintf(path, n, "%s/%s", self, name);
	}
}

int
server_init(struct server *s, struct why *why)
{
	const char *tmp = getenv("TMPDIR");
	memset(s, 0, sizeof *s);
	snprintf(s->folder, sizeof s->folder, "%s/holdfast-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(s->folder)) {
		snprintf(why->text, sizeof why->text, "cannot make a folder like %s: %s", s->folder, strerror(errno));
		return -1;
	}
	return 0;
}

static bool
ports_read(struct server *s, const char *path)
{
	char name[32];
	unsigned port;
	FILE *f = fopen(path, "r");
	if (!f)
		return false;
	while (fscanf(f, " %31[^=]=%u", name, &port) == 2) {
		const char *const names[] = { "rpc", "events", "push", "feed", "http" };
		uint16_t *const to[] = { &s->rpc, &s->events, &s->push, &s->feed, &s->http };
		for (int i = 0; i < 5; i++)
			if (strcmp(name, names[i]) == 0)
				*to[i] = (uint16_t)port;
	}
	fclose(f);
	return s->rpc != 0;
}

/* The last lines of what the server said, for a start that failed. */
static void
say_log(const struct server *s, const char *what, struct why *why)
{
	char path[300], tail[384] = "";
	snprintf(path, sizeof path, "%s/log", s->folder);
	FILE *f = fopen(path, "r");
	if (f) {
		if (fseek(f, -(long)(sizeof tail - 1), SEEK_END) != 0)
			rewind(f);
		tail[fread(tail, 1, sizeof tail - 1, f)] = 0;
		fclose(f);
	}
	snprintf(why->text, sizeof why->text, "holdfastd %s: %s", what, tail);
}

static int64_t
patience_ms(const struct server *s)
{
	return s->patience_ms > 0 ? s->patience_ms : SPAWN_PATIENCE_MS;
}

static int
wait_ready(struct server *s, const char *port_file, struct why *why)
{
	int64_t start = clock_steady_ms();
	struct timespec pause = { 0, 1000000 };
	int status;
	while (!ports_read(s, port_file)) {
		if (waitpid(s->pid, &status, WNOHANG) == s->pid) {
			remember(0, s->pid);
			s->pid = 0;
			say_log(s, "ended at its start", why);
			return -1;
		}
		if (clock_steady_ms() - start > patience_ms(s)) {
			server_kill(s);
			say_log(s, "was not ready in time", why);
			return -1;
		}
		nanosleep(&pause, NULL);
	}
	s->ready_ms = clock_steady_ms() - start;
	return 0;
}

int
server_start(struct server *s, const char *const *arguments, struct why *why)
{
	char program[600], data[300], port_file[300], log[300];
	const char *argv[SPAWN_ARGS_MAX + 8] = { "holdfastd", "--data", data, "--listen", "127.0.0.1:0", "--port-file", port_file };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t how;
	int n = 7;

	spawn_program("holdfastd", program, sizeof program);
	snprintf(data, sizeof data, "%s/data", s->folder);
	snprintf(port_file, sizeof port_file, "%s/ports", s->folder);
	snprintf(log, sizeof log, "%s/log", s->folder);
	for (; arguments && *arguments && n < SPAWN_ARGS_MAX + 7; arguments++)
		argv[n++] = *arguments;
	argv[n] = NULL;
	mkdir(data, 0700);
	unlink(port_file);
	s->rpc = s->events = s->push = s->feed = s->http = 0;
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&files, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	posix_spawn_file_actions_adddup2(&files, 1, 2);
	posix_spawnattr_init(&how);
	posix_spawnattr_setflags(&how, s->apart ? POSIX_SPAWN_SETPGROUP : 0);
	int error = posix_spawn(&s->pid, program, &files, &how, (char *const *)argv, environ);
	posix_spawnattr_destroy(&how);
	posix_spawn_file_actions_destroy(&files);
	if (error) {
		s->pid = 0;
		snprintf(why->text, sizeof why->text, "cannot start %.300s: %s (build it with 'make')", program, strerror(error));
		return -1;
	}
	remember(s->pid, 0);
	return wait_ready(s, port_file, why);
}

static int
await(struct server *s)
{
	int status = 0;
	pid_t pid = s->pid;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	remember(0, pid);
	s->pid = 0;
	return status;
}

void
server_kill(struct server *s)
{
	if (s->pid <= 0)
		return;
	kill(s->pid, SIGKILL);
	await(s);
}

int
server_stop(struct server *s)
{
	int64_t start = clock_steady_ms();
	struct timespec pause = { 0, 1000000 };
	siginfo_t info;
	if (s->pid <= 0)
		return -1;
	kill(s->pid, SIGTERM);
	for (;;) {
		info.si_pid = 0;
		if (waitid(P_PID, (id_t)s->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == s->pid)
			break;
		if (clock_steady_ms() - start > patience_ms(s)) {
			server_kill(s);
			return -1;
		}
		nanosleep(&pause, NULL);
	}
	int status = await(s);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

void
server_remove(struct server *s)
{
	server_kill(s);
	if (s->folder[0])
		nftw(s->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	s->folder[0] = 0;
}
