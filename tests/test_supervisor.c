/*
 * test_supervisor.c: the end of a gate that holdfastd keeps (SUP1), however the gate takes it. The gate is this program, started a second
 * time: it stops itself, so that the test knows where it stands. Its starts and deaths are in test_gate_guardian.c.
 */
#include "tests/check.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/supervisor.h"

#define PATIENCE_S 20
#define LIFE_FD 4
#define LETTERS ((size_t)200 << 10) /* more than a pipe holds: the last one is written when the first ones were read */

#define ENDED "HOLDFAST_TEST_ENDED" /* in the gate's environment: the file that it makes when it has said all */

static const char *program;
static volatile sig_atomic_t gate, late;

/* ---- the gate ---- */

/* One of its processes has ended, the other one hangs. */
static void
play_half_an_end(void)
{
	if (write(LIFE_FD, "f", 1) == 1)
		raise(SIGSTOP);
}

static void
play_a_long_end(void)
{
	static char letters[LETTERS];
	memset(letters, 'g', sizeof letters);
	for (size_t at = 0; at < sizeof letters;) {
		ssize_t n = write(LIFE_FD, letters + at, sizeof letters - at);
		if (n <= 0)
			_exit(1);
		at += (size_t)n;
	}
	FILE *f = fopen(getenv(ENDED), "w");
	if (f)
		fclose(f);
}

static int
play(const char *how)
{
	sigset_t term;
	int signal;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	raise(SIGSTOP); /* ready */
	sigwait(&term, &signal);
	if (strcmp(how, "long") == 0)
		play_a_long_end();
	else
		play_half_an_end();
	_exit(0);
}

/* ---- its keeper ---- */

/* The test is lost; the gate goes, so that nothing waits for it. */
static void
too_late(int signal)
{
	(void)signal;
	late = 1;
	if (gate > 0)
		kill(gate, SIGKILL);
}

static bool
gate_stopped(void)
{
	siginfo_t info = { 0 };
	if (waitid(P_ALL, 0, &info, WSTOPPED) < 0 || info.si_code != CLD_STOPPED)
		return false;
	gate = info.si_pid;
	return true;
}

static struct supervisor *
supervised(struct loop *loop, const char *how)
{
	struct supervisor_setup setup = { .program = program, .server = how };
	struct why why = { "" };
	late = 0;
	gate = 0;
	signal(SIGALRM, too_late);
	alarm(PATIENCE_S);
	if (loop_init(loop, 0, 1, &why) < 0)
		return NULL;
	struct supervisor *s = supervisor_open(loop, &setup, &why);
	if (s && gate_stopped())
		kill(gate, SIGCONT);
	return s;
}

static bool
gate_is_gone(void)
{
	alarm(0);
	return !late && gate > 0 && kill(gate, 0) < 0;
}

static void
a_gate_that_hangs_behind_its_first_letter_is_killed(void)
{
	struct loop loop;
	struct supervisor *s = supervised(&loop, "half");
	check(s && gate > 0);
	supervisor_stop(s, NULL);
	check(gate_stopped());
	supervisor_close(s);
	check(gate_is_gone());
	loop_fini(&loop);
}

static void
a_gate_that_ends_by_itself_is_given_the_time_whatever_it_says(void)
{
	struct loop loop;
	char path[512];
	snprintf(path, sizeof path, "%s/holdfast-supervisor.XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	int fd = mkstemp(path);
	check(fd >= 0);
	close(fd);
	unlink(path);
	setenv(ENDED, path, 1);
	struct supervisor *s = supervised(&loop, "long");
	check(s && gate > 0);
	supervisor_close(s);
	check(gate_is_gone());
	check_equal(unlink(path), 0);
	loop_fini(&loop);
}

int
main(int argc, char **argv)
{
	static const struct check tests[] = {
		CHECK(a_gate_that_hangs_behind_its_first_letter_is_killed),
		CHECK(a_gate_that_ends_by_itself_is_given_the_time_whatever_it_says),
	};
	if (argc > 2 && strcmp(argv[1], "--server") == 0)
		return play(argv[2]);
	program = argv[0];
	return check_run(argv[0], tests, sizeof tests / sizeof tests[0], argc, argv);
}
