/* holdfast-gate.c: the gate's main: port file, guardian or none, which process has which doors. The options are in cmd/gate_options.c, the work in net/gate.c. */
#include "cmd/gate_options.h"
#include "net/gate.h"
#include "net/gate_guardian.h"

#include <errno.h>
#include <poll.h>
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

/* ---- the processes ---- */

/* Who has which doors: what anybody can do to the feed stays with the feed. */
static const struct part {
	const char *name, letters[3]; /* --life-fd: ended, there again */
	bool doors[DOOR_COUNT];
} parts[] = {
	{ "the gate", "gG", { [DOOR_EVENTS] = true, [DOOR_PUSH] = true } },
	{ "the feed", "fF", { [DOOR_FEED] = true } },
};
#define PARTS (sizeof parts / sizeof parts[0])
_Static_assert(PARTS <= GUARDIAN_WORKERS_MAX, "a worker for each part");
_Static_assert(GATE_STOP_MS < GUARDIAN_END_MS, "who answers what is in flight has the time for it");

struct program {
	struct gate_options options;
	char doors[DOOR_COUNT][GATE_ADDRESS_TEXT_BYTES + 200]; /* as asked for; after the first start with the ports in force, or off */
	struct guardian guardian;
	const struct part *workers[PARTS]; /* the guardian's, in its order */
	struct feed_counters *feed_counters; /* shared by all workers */
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
gate_live(struct program *p, const struct gate_setup *setup, int said)
{
	char lines[GUARDIAN_LINES_BYTES] = "";
	struct why why;
	struct gate *gate = gate_open(setup, &why);
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

static struct gate_setup
setup_of(const struct program *p)
{
	struct gate_setup setup = { .server = p->options.server, .spool = p->options.spool,
		.spool_bytes_max = (uint64_t)p->options.spool_bytes_max, .drain_rate = (uint64_t)p->options.drain_rate, .say = say,
		.feed_counters = p->feed_counters };
	for (enum gate_door door = 0; door < DOOR_COUNT; door++)
		setup.doors[door] = p->doors[door];
	return setup;
}

/* A worker's life: the doors of its part. */
static int
work(void *context, int worker, int said)
{
	struct program *p = context;
	const struct part *part = p->workers[worker];
	struct gate_setup setup = setup_of(p);
	for (enum gate_door door = 0; door < DOOR_COUNT; door++)
		if (!part->doors[door])
			setup.doors[door] = "off";
	setup.restarts = p->guardian.restarts[worker];
	if (part->doors[DOOR_FEED]) {
		setup.spool = NULL;
		feed_counter_set(&p->feed_counters->feed_restarts, setup.restarts);
	}
	if (p->options.port_fd >= 0)
		close((int)p->options.port_fd); /* the guardian's; that of --life-fd stays open, so that it closes when all have ended */
	return gate_live(p, &setup, said);
}

/* A pipe that nobody empties gets no more letters: the guardian never waits. */
static void
changed(void *context, int worker, bool up)
{
	const struct program *p = context;
	struct pollfd life = { .fd = (int)p->options.life_fd, .events = POLLOUT };
	if (life.fd >= 0 && poll(&life, 1, 0) == 1 && (life.revents & POLLOUT) && write(life.fd, &p->workers[worker]->letters[up], 1) != 1)
		fprintf(stderr, "holdfast-gate: nobody reads from descriptor %d: %s\n", life.fd, strerror(errno));
}

/* The first workers are there: later ones get their ports, and whoever asked is told. */
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

/* Told once, and of which option, before there are processes that would each tell of it. */
static bool
addresses_fine(const struct program *p)
{
	struct gate_address address;
	struct why why;
	if (gate_address_read(p->options.server, &address, &why) < 0) {
		fprintf(stderr, "holdfast-gate: --server: %s\n", why.text);
		return false;
	}
	for (enum gate_door door = 0; door < DOOR_COUNT; door++)
		if (strcmp(p->doors[door], "off") != 0 && gate_address_read(p->doors[door], &address, &why) < 0) {
			fprintf(stderr, "holdfast-gate: --%s: %s\n", gate_door_name(door), why.text);
			return false;
		}
	return true;
}

/* A worker for each part that has an open door. */
static int
guarded(struct program *p)
{
	p->guardian = (struct guardian){ .work = work, .ready = ready, .changed = changed, .say = say, .context = p };
	p->feed_counters = feed_counters_new();
	if (!p->feed_counters) {
		fprintf(stderr, "holdfast-gate: no memory for what the feed counts: %s\n", strerror(errno));
		return 1;
	}
	for (size_t i = 0; i < PARTS; i++) {
		bool any = false;
		for (enum gate_door door = 0; door < DOOR_COUNT; door++)
			any = any || (parts[i].doors[door] && strcmp(p->doors[door], "off") != 0);
		if (!any)
			continue;
		p->workers[p->guardian.workers_n] = &parts[i];
		p->guardian.names[p->guardian.workers_n++] = parts[i].name;
	}
	return gate_guardian_run(&p->guardian);
}

int
main(int argc, char **argv)
{
	static struct program p;
	struct why why;
	setvbuf(stderr, NULL, _IOLBF, 0); /* several processes say whole lines */
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
	if (!addresses_fine(&p))
		return 1;
	/* A parent that is gone already is noticed by the descriptor for the port: nobody reads it. */
	if (p.options.die_with_parent)
		prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGPIPE, SIG_IGN);
	if (p.options.no_guardian) {
		struct gate_setup setup = setup_of(&p);
		return gate_live(&p, &setup, -1);
	}
	return guarded(&p);
}
