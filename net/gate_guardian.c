/* gate_guardian.c: see gate_guardian.h. */
#define _GNU_SOURCE /* pipe2 */
#include "net/gate_guardian.h"

#include "net/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

struct worker {
	pid_t pid; /* 0: none */
	int said_fd; /* what it says of its ports; -1: it has said all, or there is none */
	char lines[GUARDIAN_LINES_BYTES];
	size_t lines_n;
	bool up, ever_up;
	int64_t started_ms, pause_ms, again_ms; /* no worker: the next one is started then */
};

struct watch {
	struct guardian *guardian;
	sigset_t signals;
	int signals_fd;
	struct worker workers[GUARDIAN_WORKERS_MAX];
	bool told, stopping;
	int64_t kill_ms; /* stopping: who is still there then is killed; 0: that was done */
	int status; /* exit status, when it ends */
};

__attribute__((format(printf, 2, 3))) static void
watch_say(const struct watch *w, const char *format, ...)
{
	char line[256];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	w->guardian->say(line);
}

static const char *
name_of(const struct watch *w, const struct worker *worker)
{
	return w->guardian->names[worker - w->workers];
}

static void
changed(const struct watch *w, const struct worker *worker, bool up)
{
	if (w->told && w->guardian->changed)
		w->guardian->changed(w->guardian->context, (int)(worker - w->workers), up);
}

/* All end; with this status, unless there is one already. */
static void
stop(struct watch *w, int status, int with)
{
	if (!w->stopping)
		w->kill_ms = clock_steady_ms() + (w->guardian->end_ms ? w->guardian->end_ms : GUARDIAN_END_MS);
	w->stopping = true;
	w->status = w->status ? w->status : status;
	for (int i = 0; i < w->guardian->workers_n; i++)
		if (w->workers[i].pid)
			kill(w->workers[i].pid, with);
}

/* They had their time: a worker that is stopped, or hangs, hears nothing else. */
static void
stop_hard(struct watch *w)
{
	w->kill_ms = 0;
	for (int i = 0; i < w->guardian->workers_n; i++) {
		if (!w->workers[i].pid)
			continue;
		watch_say(w, "%s does not end; it is killed", name_of(w, &w->workers[i]));
		kill(w->workers[i].pid, SIGKILL);
	}
}

/* ---- a worker's beginning ---- */

/*
 * In the child: U2. SIGKILL, since one that is stopped would keep any other signal for later, and the ports with it; a guardian that could
 * ask it to end would have. The gate takes the other signals itself; until then they wait.
 */
_Noreturn static void
worker_begin(struct watch *w, const struct worker *worker, pid_t guardian, int said)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != guardian)
		_exit(1);
	close(w->signals_fd);
	sigdelset(&w->signals, SIGCHLD);
	sigprocmask(SIG_SETMASK, &w->signals, NULL);
	exit(w->guardian->work(w->guardian->context, (int)(worker - w->workers), said));
}

static void
worker_later(struct worker *worker)
{
	int64_t most_ms = worker->up ? GUARDIAN_PAUSE_MS_MAX : GUARDIAN_PAUSE_MS_FAILED_MAX, now_ms = clock_steady_ms();
	if (worker->pause_ms == 0 || (worker->up && now_ms - worker->started_ms > GUARDIAN_YOUNG_MS))
		worker->pause_ms = GUARDIAN_PAUSE_MS_MIN;
	else
		worker->pause_ms = worker->pause_ms * 2 > most_ms ? most_ms : worker->pause_ms * 2;
	worker->up = false;
	worker->again_ms = now_ms + worker->pause_ms;
}

static void
worker_start(struct watch *w, struct worker *worker)
{
	pid_t self = getpid();
	int said[2];
	worker->started_ms = clock_steady_ms();
	worker->lines_n = 0;
	if (pipe2(said, O_CLOEXEC) < 0) {
		worker_later(worker);
		return;
	}
	fflush(NULL); /* what is buffered belongs to one of the two */
	worker->pid = fork();
	if (worker->pid == 0) {
		close(said[0]);
		worker_begin(w, worker, self, said[1]);
	}
	close(said[1]);
	worker->said_fd = said[0];
	if (worker->pid > 0)
		return;
	watch_say(w, "cannot start %s: %s", name_of(w, worker), strerror(errno));
	worker->pid = 0;
	close(worker->said_fd);
	worker->said_fd = -1;
	worker_later(worker);
}

/* The first worker of each name is up: whoever asked for the ports is told, once. */
static void
ready_tell(struct watch *w)
{
	char lines[GUARDIAN_WORKERS_MAX * GUARDIAN_LINES_BYTES] = "";
	size_t n = 0;
	for (int i = 0; i < w->guardian->workers_n; i++) {
		if (!w->workers[i].ever_up)
			return;
		n += (size_t)snprintf(lines + n, sizeof lines - n, "%s", w->workers[i].lines);
	}
	w->told = true;
	if (w->guardian->ready(w->guardian->context, lines) < 0)
		stop(w, 1, SIGTERM);
}

/* The pipe's end: these are all its ports, or it ends before it has any. */
static void
worker_said(struct watch *w, struct worker *worker)
{
	ssize_t got = read(worker->said_fd, worker->lines + worker->lines_n, sizeof worker->lines - 1 - worker->lines_n);
	if (got > 0) {
		worker->lines_n += (size_t)got;
		return;
	}
	close(worker->said_fd);
	worker->said_fd = -1;
	worker->lines[worker->lines_n] = 0;
	worker->up = worker->lines_n > 0;
	worker->ever_up = worker->ever_up || worker->up;
	if (worker->up && w->told)
		changed(w, worker, true);
	else if (worker->up)
		ready_tell(w);
}

/* ---- its end ---- */

static void
worker_ended(struct watch *w, struct worker *worker, int status)
{
	bool exited = WIFEXITED(status);
	int code = exited ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	while (worker->said_fd >= 0)
		worker_said(w, worker);
	worker->pid = 0;
	if (worker->up)
		changed(w, worker, false);
	if (w->stopping || (exited && code == 0) || !worker->ever_up) {
		stop(w, code, SIGTERM);
		return;
	}
	if (exited)
		watch_say(w, "%s ended with status %d; it is started again", name_of(w, worker), code);
	else
		watch_say(w, "%s was ended by signal %d; it is started again", name_of(w, worker), code - 128);
	w->guardian->restarts[worker - w->workers]++;
	worker_later(worker);
}

static void
signals_take(struct watch *w)
{
	struct signalfd_siginfo signal;
	int status;
	while (read(w->signals_fd, &signal, sizeof signal) == (ssize_t)sizeof signal) {
		if (signal.ssi_signo == SIGTERM || signal.ssi_signo == SIGINT)
			stop(w, 0, (int)signal.ssi_signo);
		else if (signal.ssi_signo == SIGUSR1 && w->workers[0].pid)
			kill(w->workers[0].pid, SIGUSR1);
	}
	for (int i = 0; i < w->guardian->workers_n; i++)
		if (w->workers[i].pid && waitpid(w->workers[i].pid, &status, WNOHANG) == w->workers[i].pid)
			worker_ended(w, &w->workers[i], status);
}

static bool
signals_open(struct watch *w)
{
	sigemptyset(&w->signals);
	sigaddset(&w->signals, SIGTERM);
	sigaddset(&w->signals, SIGINT);
	sigaddset(&w->signals, SIGUSR1);
	sigaddset(&w->signals, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &w->signals, NULL) < 0)
		return false;
	w->signals_fd = signalfd(-1, &w->signals, SFD_NONBLOCK | SFD_CLOEXEC);
	return w->signals_fd >= 0;
}

/* ---- the loop ---- */

/* Until something is said, something ended, or a worker is due: to be started again, or killed. */
static void
watch_wait(struct watch *w, struct pollfd fds[1 + GUARDIAN_WORKERS_MAX])
{
	int64_t now_ms = clock_steady_ms(), wait_ms = -1;
	if (w->kill_ms)
		wait_ms = w->kill_ms > now_ms ? w->kill_ms - now_ms : 0;
	fds[0] = (struct pollfd){ .fd = w->signals_fd, .events = POLLIN };
	for (int i = 0; i < w->guardian->workers_n; i++) {
		const struct worker *worker = &w->workers[i];
		int64_t left_ms = worker->again_ms > now_ms ? worker->again_ms - now_ms : 0;
		fds[1 + i] = (struct pollfd){ .fd = worker->said_fd, .events = POLLIN };
		if (worker->pid == 0 && !w->stopping && (wait_ms < 0 || left_ms < wait_ms))
			wait_ms = left_ms;
	}
	if (poll(fds, 1 + (nfds_t)w->guardian->workers_n, (int)wait_ms) <= 0)
		for (int i = 0; i <= w->guardian->workers_n; i++)
			fds[i].revents = 0;
}

/* False: it is over. */
static bool
watch_step(struct watch *w)
{
	struct pollfd fds[1 + GUARDIAN_WORKERS_MAX];
	bool any = false;
	watch_wait(w, fds);
	for (int i = 0; i < w->guardian->workers_n; i++)
		if (fds[1 + i].revents)
			worker_said(w, &w->workers[i]);
	if (fds[0].revents)
		signals_take(w);
	if (w->kill_ms && clock_steady_ms() >= w->kill_ms)
		stop_hard(w);
	for (int i = 0; i < w->guardian->workers_n; i++) {
		struct worker *worker = &w->workers[i];
		if (worker->pid == 0 && !w->stopping && clock_steady_ms() >= worker->again_ms)
			worker_start(w, worker);
		any = any || worker->pid || !w->stopping;
	}
	return any;
}

int
gate_guardian_run(struct guardian *guardian)
{
	struct watch w = { .guardian = guardian, .signals_fd = -1 };
	ensure(guardian->workers_n > 0 && guardian->workers_n <= GUARDIAN_WORKERS_MAX);
	if (!signals_open(&w)) {
		watch_say(&w, "cannot take signals: %s", strerror(errno));
		return 1;
	}
	for (int i = 0; i < guardian->workers_n; i++)
		w.workers[i].said_fd = -1;
	for (int i = 0; i < guardian->workers_n && !w.stopping; i++) {
		worker_start(&w, &w.workers[i]);
		if (!w.workers[i].pid)
			stop(&w, 1, SIGTERM);
	}
	while (watch_step(&w))
		;
	close(w.signals_fd);
	return w.status;
}
