/* holdfast-gate.c: the gate's main: options, port file, life and death. The work is in net/gate.c. */
#include "net/gate.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#define VERSION "holdfast-gate 0.1"
#define EXIT_USAGE 2

static const char page[] =
    VERSION ": takes stock events over nanomsg, posts them to holdfastd, answers when they are durable\n"
    "\n"
    "usage: holdfast-gate [--server HOST:PORT] [--events HOST:PORT] [OPTIONS]\n"
    "\n"
    "  --server HOST:PORT   the holdfastd to post to (127.0.0.1:7400); it may be away, messages wait\n"
    "  --events HOST:PORT   where the nanomsg REP socket listens (127.0.0.1:7401); port 0: choose one\n"
    "  --port-file FILE     write 'events=PORT' there when ready\n"
    "  --port-file-fd N     write the same line to this open descriptor, and close it\n"
    "  --die-with-parent    stop when the process that started this one ends\n"
    "  --help, --version\n"
    "\n"
    "SIGTERM: takes nothing more, answers what is in flight (5 s at most), exits 0. SIGUSR1: prints the counters.\n"
    "exit: 0 stopped as asked, 1 could not start or go on (a line says why), 2 wrong usage\n";

struct options {
	const char *server, *events, *port_file;
	int port_fd;
	bool die_with_parent;
};

static void
say(const char *line)
{
	fprintf(stderr, "holdfast-gate: %s\n", line);
}

_Noreturn static void
usage(const char *what, const char *argument)
{
	fprintf(stderr, "holdfast-gate: %s '%s'; holdfast-gate --help lists the options\n", what, argument);
	exit(EXIT_USAGE);
}

static int
descriptor(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);
	if (end == text || *end || n < 0 || n > 65535)
		usage("--port-file-fd needs the number of an open descriptor, not", text);
	return (int)n;
}

static void
options_read(struct options *o, int argc, char **argv)
{
	enum { SERVER, EVENTS, PORT_FILE, PORT_FD, DIE, HELP, VERSION_ASKED };
	static const struct option table[] = {
		{ "server", required_argument, NULL, SERVER },
		{ "events", required_argument, NULL, EVENTS },
		{ "port-file", required_argument, NULL, PORT_FILE },
		{ "port-file-fd", required_argument, NULL, PORT_FD },
		{ "die-with-parent", no_argument, NULL, DIE },
		{ "help", no_argument, NULL, HELP },
		{ "version", no_argument, NULL, VERSION_ASKED },
		{ 0 },
	};
	int option;
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":", table, NULL)) != -1)
		switch (option) {
		case SERVER: o->server = optarg; break;
		case EVENTS: o->events = optarg; break;
		case PORT_FILE: o->port_file = optarg; break;
		case PORT_FD: o->port_fd = descriptor(optarg); break;
		case DIE: o->die_with_parent = true; break;
		case HELP: fputs(page, stdout); exit(0);
		case VERSION_ASKED: puts(VERSION); exit(0);
		case ':': usage("a value is missing after", argv[optind - 1]);
		default: usage("no such option:", argv[optind - 1]);
		}
	if (optind < argc)
		usage("what is meant by", argv[optind]);
}

/* Whole or not at all: written beside it, then renamed. */
static int
port_file_write(const char *file, uint16_t port)
{
	char beside[4096];
	if (snprintf(beside, sizeof beside, "%s.%ld", file, (long)getpid()) >= (int)sizeof beside) {
		errno = ENAMETOOLONG;
		return -1;
	}
	FILE *f = fopen(beside, "w");
	if (!f)
		return -1;
	bool written = fprintf(f, "events=%u\n", port) > 0;
	written = fclose(f) == 0 && written;
	if (written && rename(beside, file) == 0)
		return 0;
	remove(beside);
	return -1;
}

static int
port_say(const struct options *o, uint16_t port)
{
	char line[32];
	int n = snprintf(line, sizeof line, "events=%u\n", port);
	if (o->port_file && port_file_write(o->port_file, port) < 0) {
		fprintf(stderr, "holdfast-gate: cannot write the port file %s: %s\n", o->port_file, strerror(errno));
		return -1;
	}
	if (o->port_fd < 0)
		return 0;
	bool written = write(o->port_fd, line, (size_t)n) == n;
	close(o->port_fd);
	if (!written)
		fprintf(stderr, "holdfast-gate: nobody reads the port from descriptor %d: %s\n", o->port_fd, strerror(errno));
	return written ? 0 : -1;
}

int
main(int argc, char **argv)
{
	struct options o = { "127.0.0.1:7400", "127.0.0.1:7401", NULL, -1, false };
	struct why why;
	options_read(&o, argc, argv);
	/* A parent that is gone already is noticed by the descriptor for the port: nobody reads it. */
	if (o.die_with_parent)
		prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGPIPE, SIG_IGN);
	struct gate *gate = gate_open(o.server, o.events, say, &why);
	if (!gate) {
		say(why.text);
		return 1;
	}
	int result = port_say(&o, gate_port(gate));
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
