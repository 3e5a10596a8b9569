/*
 * holdfastd.c: the server's main: options in, lines out, port file. The work is in net/server.c; the exit codes are in --help.
 */
#include "net/config.h"
#include "net/server.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct program {
	const struct config *config;
	bool terminal; /* somebody looks on: show progress as a bar */
	bool bar; /* one stands on the last line */
};

_Noreturn void
ensure_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "holdfastd: bug: %s does not hold at %s:%d\n", what, file, line);
	abort();
}

#ifdef __SANITIZE_THREAD__
/* The sanitizer does not know openat(): a descriptor number that another thread had before looks shared to it. */
const char *__tsan_default_suppressions(void);
const char *
__tsan_default_suppressions(void)
{
	return "race:disk_posix.c\n";
}
#endif

static void
say(void *context, const char *line)
{
	struct program *p = context;
	fprintf(stderr, "%sholdfastd: %s\n", p->bar ? "\r\033[K" : "", line);
	if (p->bar) /* only before other threads are there: they never write it */
		p->bar = false;
}

static void
progress(void *context, const char *phase, double fraction)
{
	struct program *p = context;
	if (!p->terminal)
		return;
	int filled = (int)(fraction * 30);
	fprintf(stderr, "\r\033[Kholdfastd: %-18s [%.*s%.*s] %3d %%", phase, filled, "##############################", 30 - filled,
	    "..............................", (int)(fraction * 100));
	fflush(stderr);
	p->bar = true;
}

/* Written whole, then renamed, so that a reader never meets half of it. */
static int
port_file_write(const char *path, const struct server_ports *ports)
{
	char draft[CONFIG_TEXT_MAX + 8];
	snprintf(draft, sizeof draft, "%s.new", path);
	FILE *f = fopen(draft, "w");
	if (!f)
		return -1;
	const char *const names[] = { "rpc", "events", "push", "feed", "http" };
	const uint16_t numbers[] = { ports->rpc, ports->events, ports->push, ports->feed, ports->http };
	for (int i = 0; i < 5; i++)
		if (numbers[i])
			fprintf(f, "%s=%u\n", names[i], numbers[i]);
	bool good = !ferror(f);
	return fclose(f) == 0 && good && rename(draft, path) == 0 ? 0 : -1;
}

static int
ready(void *context, const struct server_ports *ports, struct why *why)
{
	struct program *p = context;
	if (!p->config->port_file[0] || port_file_write(p->config->port_file, ports) == 0)
		return 0;
	snprintf(why->text, sizeof why->text, "--port-file: cannot write %s: %s", p->config->port_file, strerror(errno));
	return -1;
}

/*
 * One heap that grows in large pieces and keeps what it has: each growth waits for a thread that is having pages made, and the engine's
 * thread would wait with all its clients. (A heap of a thread's own grows by a system call a page, which the image asks for by the ten
 * thousand.)
 */
#define HEAP_STEP_BYTES (16 << 20)
static void
heap_set_up(void)
{
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_TOP_PAD, HEAP_STEP_BYTES);
	mallopt(M_TRIM_THRESHOLD, 8 * HEAP_STEP_BYTES);
	mallopt(M_MMAP_THRESHOLD, HEAP_STEP_BYTES); /* connections' buffers come from the heap, too */
}

int
main(int argc, char **argv)
{
	static struct config config;
	struct why why;
	struct program p = { .config = &config, .terminal = isatty(STDERR_FILENO) };
	struct server_calls calls = { .say = say, .progress = progress, .ready = ready, .context = &p };
	setvbuf(stderr, NULL, _IOLBF, 0);
	if (config_read(&config, argc, argv, &why) < 0) {
		fprintf(stderr, "holdfastd: %s\n", why.text);
		return SERVER_USAGE;
	}
	if (config.help) {
		config_help(stdout);
	} else if (config.version) {
		puts(SERVER_VERSION);
	} else if (config.check) {
		config_print(&config, stdout);
	} else {
		heap_set_up();
		return server_run(&config, &calls);
	}
	return 0;
}
