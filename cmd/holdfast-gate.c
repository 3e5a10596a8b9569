/* holdfast-gate.c: the gate's main: port file, guardian or none. The options are in cmd/gate_options.c, the work in net/gate.c. */
#include "cmd/gate_options.h"
#include "net/gate.h"
#include "net/gate_guardian.h"

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

/* Where the ports are asked for: the file and the descriptor of the options. Over the descriptor its closing is the end. */
static int
ports_say(const struct gate_options *o, const char *lines)
{
	size_t n = strlen(lines);
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

/* ---- the gate ---- */

struct program {
	struct gate_options options;
	char doors[DOOR_COUNT][GATE_ADDRESS_TEXT_BYTES + 200]; /* as asked for; after the first start with the ports in force, or off */
	struct guardian guardian;
};

/* name=port, a line for each open door. */
static void
ports_write(const struct gate *gate, char *lines, size_t size)
{
	size_t n = 0;
	for (enum gate_door door = 0; door < DOOR_COUNT; door++)
		if (gate_port(gate, door))
			n += (size_t)snprintf(lines + n, size - n, "%s=%u\n", gate_door_name(door), gate_port(gate, door));
}

/* said: where the guardian waits for the ports; -1: there is none. */
static int
work(void *context, int said)
{
	struct program *p = context;
	struct gate_setup setup = { .server = p->options.server, .spool = p->options.spool,
		.spool_bytes_max = (uint64_t)p->options.spool_bytes_max, .drain_rate = (uint64_t)p->options.drain_rate, .say = say,
		.restarts = p->guardian.restarts };
	char lines[GUARDIAN_LINES_BYTES] = "";
	struct why why;
	for (enum gate_door door = 0; door < DOOR_COUNT; door++)
		setup.doors[door] = p->doors[door];
	if (said >= 0 && p->options.port_fd >= 0)
		close((int)p->options.port_fd); /* the guardian's */
	struct gate *gate = gate_open(&setup, &why);
	if (!gate) {
		say(why.text);
		return 1;
	}
	ports_write(gate, lines, sizeof lines);
	int result = said < 0 ? ports_say(&p->options, lines) : write(said, lines, strlen(lines)) < 0 ? -1 : close(said);
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

/* The first gate is there: later ones get its ports, and whoever asked is told. */
static int
ready(void *context, const char *lines)
{
	struct program *p = context;
	struct gate_address address;
	struct why why;
	for (enum gate_door door = 0; door < DOOR_COUNT; door++) {
		const char *at = strstr(lines, gate_door_name(door));
		if (!at || gate_address_read(p->doors[door], &address, &why) < 0)
			continue;
		address.port = (uint16_t)strtoul(at + strlen(gate_door_name(door)) + 1, NULL, 10);
		gate_address_text(&address, p->doors[door]);
	}
	return ports_say(&p->options, lines);
}

int
main(int argc, char **argv)
{
	static struct program p;
	struct why why;
	setvbuf(stderr, NULL, _IOLBF, 0); /* two processes say whole lines */
	if (gate_options_read(&p.options, argc, argv, &why) < 0) {
		say(why.text);
		return EXIT_USAGE;
	}
	if (p.options.help || p.options.version) {
		p.options.help ? gate_options_help(stdout) : (void)puts(GATE_VERSION);
		return 0;
	}
	const char *const doors[DOOR_COUNT] = { p.options.events, p.options.push, p.options.feed };
	for (enum gate_door door = 0; door < DOOR_COUNT; door++)
		snprintf(p.doors[door], sizeof p.doors[door], "%s", doors[door]);
	/* A parent that is gone already is noticed by the descriptor for the port: nobody reads it. */
	if (p.options.die_with_parent)
		prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGPIPE, SIG_IGN);
	if (p.options.no_guardian)
		return work(&p, -1);
	p.guardian = (struct guardian){ .work = work, .ready = ready, .say = say, .context = &p };
	return gate_guardian_run(&p.guardian);
}
