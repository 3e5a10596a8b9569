/* holdfast-gate.c: the gate's main: port file, life and death. The options are in cmd/gate_options.c, the work in net/gate.c. */
#include "cmd/gate_options.h"
#include "net/gate.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#define EXIT_USAGE 2

static void
say(const char *line)
{
	fprintf(stderr, "holdfast-gate: %s\n", line);
}

/* Whole or not at all: written beside it, then renamed. */
static int
port_file_write(const char *file, const char *lines)
{
	char beside[4096];
	if (snprintf(beside, sizeof beside, "%s.%ld", file, (long)getpid()) >= (int)sizeof beside) {
		errno = ENAMETOOLONG;
		return -1;
	}
	FILE *f = fopen(beside, "w");
	if (!f)
		return -1;
	bool written = fputs(lines, f) >= 0;
	written = fclose(f) == 0 && written;
	if (written && rename(beside, file) == 0)
		return 0;
	remove(beside);
	return -1;
}

/* name=port, a line for each open door. Over the descriptor its closing is the end. */
static int
ports_say(const struct gate_options *o, const struct gate *gate)
{
	char lines[128];
	size_t n = 0;
	for (enum gate_door door = 0; door < DOOR_COUNT; door++)
		if (gate_port(gate, door))
			n += (size_t)snprintf(lines + n, sizeof lines - n, "%s=%u\n", gate_door_name(door), gate_port(gate, door));
	if (o->port_file && port_file_write(o->port_file, lines) < 0) {
		fprintf(stderr, "holdfast-gate: cannot write the port file %s: %s\n", o->port_file, strerror(errno));
		return -1;
	}
	if (o->port_fd < 0)
		return 0;
	bool written = write((int)o->port_fd, lines, n) == (ssize_t)n;
	close((int)o->port_fd);
	if (!written)
		fprintf(stderr, "holdfast-gate: nobody reads the ports from descriptor %d: %s\n", (int)o->port_fd, strerror(errno));
	return written ? 0 : -1;
}

int
main(int argc, char **argv)
{
	struct gate_options o;
	struct why why;
	if (gate_options_read(&o, argc, argv, &why) < 0) {
		say(why.text);
		return EXIT_USAGE;
	}
	if (o.help || o.version) {
		o.help ? gate_options_help(stdout) : (void)puts(GATE_VERSION);
		return 0;
	}
	/* A parent that is gone already is noticed by the descriptor for the port: nobody reads it. */
	if (o.die_with_parent)
		prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGPIPE, SIG_IGN);
	struct gate_setup setup = { .server = o.server, .doors = { o.events, o.push, o.feed }, .say = say };
	struct gate *gate = gate_open(&setup, &why);
	if (!gate) {
		say(why.text);
		return 1;
	}
	int result = ports_say(&o, gate);
	if (result == 0 && (result = gate_run(gate, &why)) < 0)
		say(why.text);
	struct gate_counters c;
	gate_count(gate, &c);
	if (c.in_flight)
		fprintf(stderr, "holdfast-gate: stopped with %llu messages not answered; their clients send them again\n",
		    (unsigned long long)c.in_flight);
	gate_close(gate);
	return result ? 1 : 0;
}
