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

struct watch {
	struct guardian *guardian;
	sigset_t signals;
	int signals_fd;
	pid_t worker; /* 0: none */
	int said_fd; /* what it says of its ports; -1: it has said all, or there is none */
	char lines[GUARDIAN_LINES_BYTES];
	size_t lines_n;
	bool up, ever_up, stopping;
	int64_t started_ms, pause_ms, again_ms; /* no worker: the next one is started then */
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

/* ---- a worker's beginning ---- */

/* In the child: U2. The gate takes the other signals itself; until then they wait. */
_Noreturn static void
worker_begin(struct watch *w, pid_t guardian, int said)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != guardian)
		_exit(1);
	close(w->signals_fd);
	sigdelset(&w->signals, SIGCHLD);
	sigprocmask(SIG_SETMASK, &w->signals, NULL);
	exit(w->guardian->work(w->guardian->context, said));
}

static void
worker_later(struct watch *w)
{
	int64_t most_ms = w->up ? GUARDIAN_PAUSE_MS_MAX : GUARDIAN_PAUSE_MS_FAILED_MAX, now_ms = clock_steady_ms();
	if (w->pause_ms == 0 || (w->up && now_ms - w->started_ms > GUARDIAN_YOUNG_MS))
		w->pause_ms = GUARDIAN_PAUSE_MS_MIN;
	else
		w->pause_ms = w->pause_ms * 2 > most_ms ? most_ms : w->pause_ms * 2;
	w->up = false;
	w->again_ms = now_ms + w->pause_ms;
}

static void
worker_start(struct watch *w)
{
	pid_t self = getpid();
	int said[2];
	w->started_ms = clock_steady_ms();
	w->lines_n = 0;
	if (pipe2(said, O_CLOEXEC) < 0) {
		worker_later(w);
		return;
	}
	fflush(NULL); /* what is buffered belongs to one of the two */
	w->worker = fork();
	if (w->worker == 0) {
		close(said[0]);
		worker_begin(w, self, said[1]);
	}
	close(said[1]);
	w->said_fd = said[0];
	if (w->worker > 0)
		return;
	watch_say(w, "cannot start the gate: %s", strerror(errno));
	w->worker = 0;
	close(w->said_fd);
	w->said_fd = -1;
	worker_later(w);
}

/* The pipe's end: these are all its ports, or it ends before it has any. */
static void
worker_said(struct watch *w)
{
	ssize_t got = read(w->said_fd, w->lines + w->lines_n, sizeof w->lines - 1 - w->lines_n);
	if (got > 0) {
		w->lines_n += (size_t)got;
		return;
	}
	close(w->said_fd);
	w->said_fd = -1;
	w->lines[w->lines_n] = 0;
	w->up = w->lines_n > 0;
	if (!w->up || w->ever_up)
		return;
	w->ever_up = true;
	if (w->guardian->ready(w->guardian->context, w->lines) == 0)
		return;
	w->stopping = true;
	w->status = 1;
	kill(w->worker, SIGTERM);
}

/* ---- its end ---- */

/* True: the guardian's, too. */
static bool
worker_ended(struct watch *w, int status)
{
	bool exited = WIFEXITED(status);
	int code = exited ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	while (w->said_fd >= 0)
		worker_said(w);
	w->worker = 0;
	if (w->stopping || (exited && code == 0) || !w->ever_up) {
		w->status = w->status ? w->status : code;
		return true;
	}
	if (exited)
		watch_say(w, "the gate ended with status %d; it is started again", code);
	else
		watch_say(w, "the gate was ended by signal %d; it is started again", code - 128);
	w->guardian->restarts++;
	worker_later(w);
	return false;
}

/* True: the end. */
static bool
signals_take(struct watch *w)
{
	struct signalfd_siginfo signal;
	int status;
	while (read(w->signals_fd, &signal, sizeof signal) == (ssize_t)sizeof signal) {
		if (signal.ssi_signo != SIGCHLD && w->worker)
			kill(w->worker, (int)signal.ssi_signo);
		w->stopping = w->stopping || signal.ssi_signo == SIGTERM || signal.ssi_signo == SIGINT;
	}
	if (w->worker && waitpid(w->worker, &status, WNOHANG) == w->worker)
		return worker_ended(w, status);
	return w->stopping && !w->worker;
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

int
gate_guardian_run(struct guardian *guardian)
{
	struct watch w = { .guardian = guardian, .signals_fd = -1, .said_fd = -1 };
	if (!signals_open(&w)) {
		watch_say(&w, "cannot take signals: %s", strerror(errno));
		return 1;
	}
	worker_start(&w);
	if (!w.worker)
		w.status = 1;
	for (bool over = !w.worker; !over;) {
		struct pollfd fds[2] = { { .fd = w.signals_fd, .events = POLLIN }, { .fd = w.said_fd, .events = POLLIN } };
		int64_t wait_ms = w.again_ms - clock_steady_ms();
		poll(fds, 2, w.worker ? -1 : wait_ms > 0 ? (int)wait_ms : 0);
		if (fds[1].revents)
			worker_said(&w);
		over = fds[0].revents && signals_take(&w);
		if (!over && !w.worker && clock_steady_ms() >= w.again_ms)
			worker_start(&w);
	}
	close(w.signals_fd);
	return w.status;
}
