/* gate_options.c: the table of the gate's options and the way into it. The contract is in gate_options.h. */
#include "cmd/gate_options.h"

#include <errno.h>
#include <stdlib.h>

#define AT(field) offsetof(struct gate_options, field)
#define TEXT(name, arg, field, otherwise, help) { { name, arg, otherwise, help }, GATE_OPTION_TEXT, AT(field), 0, 0 }
#define NUMBER(name, arg, field, low, high, otherwise, help) { { name, arg, otherwise, help }, GATE_OPTION_NUMBER, AT(field), low, high }
#define SIZE(name, arg, field, low, high, otherwise, help) { { name, arg, otherwise, help }, GATE_OPTION_SIZE, AT(field), low, high }
#define FLAG(name, field, help) { { name, NULL, NULL, help }, GATE_OPTION_FLAG, AT(field), 0, 0 }

/* Told from what a person typed by where they stand. */
static const char events_default[] = "127.0.0.1:7401", push_default[] = "127.0.0.1:7402", feed_default[] = "127.0.0.1:7403";

const struct gate_option gate_option_rows[] = {
	TEXT("server", "HOST:PORT", server, "127.0.0.1:7400", "the holdfastd to post to; it may be away, messages wait"),
	TEXT("events", "HOST:PORT", events, events_default, "nanomsg REP: stock events, each answered when durable; port 0: choose one; 'off': only the feed"),
	TEXT("push", "HOST:PORT", push, push_default, "nanomsg PULL: stock events, fire and forget; 'off' for none"),
	TEXT("feed", "HOST:PORT", feed, feed_default, "nanomsg PUB: every change of stock; 'off' for none"),
	TEXT("spool", "DIR", spool, NULL, "keep events there until the server has them: each is answered 'queued' when durable"),
	SIZE("spool-bytes-max", "SIZE", spool_bytes_max, 16 << 20, INT64_C(1) << 40, "1G", "of its files; a full spool refuses"),
	NUMBER("drain-rate", "EVENTS", drain_rate, 0, 100000000, "100000", "events a second out of the spool; 0: no bound"),
	TEXT("port-file", "FILE", port_file, NULL, "gets name=port, a line each, when ready"),
	NUMBER("port-file-fd", "N", port_fd, 0, 65535, NULL, "write the same to this open descriptor, and close it"),
	NUMBER("life-fd", "N", life_fd, 0, 65535, NULL, "write a letter to it when a process of this gate ends (g, f) or is back (G, F)"),
	FLAG("die-with-parent", die_with_parent, "stop when the process that started this one ends"),
	FLAG("no-guardian", no_guardian, "one process for all its doors: somebody else starts it again when it dies"),
	FLAG("help", help, "this page"),
	FLAG("version", version, "the version"),
	{ { NULL, NULL, NULL, NULL }, GATE_OPTION_FLAG, 0, 0, 0 },
};

const char gate_options_about[] = "takes stock events over nanomsg, posts them to holdfastd, answers when they are durable";

const char gate_options_more[] =
    "With another --events than the default, --push and --feed are off unless they are given, or chosen too when its port is 0.\n"
    "It runs as three processes: a guardian, the gate itself and the feed, which are started again on the same ports when they die.\n"
    "SIGTERM: takes nothing more, answers what is in flight (5 s at most), exits 0. SIGUSR1: prints the counters.\n"
    "exit: 0 stopped as asked, 1 could not start or go on (a line says why), 2 wrong usage\n";

/* Takes the letter behind a size; what is too large for any bound stays too large. */
static long long
size_scale(long long n, char **end)
{
	static const char letters[] = "KMG";
	const char *letter = **end ? strchr(letters, **end) : NULL;
	if (!letter)
		return n;
	++*end;
	int shift = 10 * (int)(letter - letters + 1);
	return n > INT64_MAX >> shift || n < 0 ? -1 : n << shift;
}

static int
option_set(void *to_fill, int which, const char *value, struct why *why)
{
	const struct gate_option *row = &gate_option_rows[which];
	uint8_t *at = (uint8_t *)to_fill + row->offset;
	char *end;
	switch (row->kind) {
	case GATE_OPTION_FLAG:
		*(bool *)(void *)at = true;
		return 0;
	case GATE_OPTION_TEXT:
		*(const char **)(void *)at = value;
		return 0;
	case GATE_OPTION_NUMBER:
	case GATE_OPTION_SIZE:
		break;
	}
	errno = 0;
	long long n = strtoll(value, &end, 10);
	if (row->kind == GATE_OPTION_SIZE)
		n = size_scale(n, &end);
	if (end == value || *end || errno || n < row->low || n > row->high) {
		snprintf(why->text, sizeof why->text, "--%s: '%s' is no %s from %lld to %lld", row->option.name, value,
		    row->kind == GATE_OPTION_SIZE ? "size (K, M, G)" : "number", (long long)row->low, (long long)row->high);
		return -1;
	}
	*(int64_t *)(void *)at = n;
	return 0;
}

/* Two gates on one machine must not meet at the default ports. */
static int
doors_settle(struct gate_options *o, struct why *why)
{
	const char *colon = strrchr(o->events, ':');
	const char *otherwise = colon && strcmp(colon, ":0") == 0 ? "127.0.0.1:0" : "off";
	bool feed_only = strcmp(o->events, "off") == 0;
	if (strcmp(o->events, events_default) == 0)
		return 0;
	o->push = o->push == push_default ? otherwise : o->push;
	o->feed = o->feed == feed_default && !feed_only ? otherwise : o->feed;
	if (!feed_only || (strcmp(o->push, "off") == 0 && strcmp(o->feed, "off") != 0 && !o->spool))
		return 0;
	snprintf(why->text, sizeof why->text, "--events off leaves only the feed: no --push, no --spool, and --feed not off");
	return -1;
}

static const struct option_table options = { gate_option_rows, sizeof *gate_option_rows, option_set };

int
gate_options_read(struct gate_options *o, int argc, char **argv, struct why *why)
{
	*o = (struct gate_options){ .port_fd = -1, .life_fd = -1 };
	int words = options_read(&options, o, argc, argv, why);
	if (words < 0)
		return -1;
	if (words < argc) {
		snprintf(why->text, sizeof why->text, "'%.200s' is no option; --help lists them", argv[words]);
		return -1;
	}
	return doors_settle(o, why);
}

void
gate_options_help(FILE *out)
{
	fprintf(out, "%s: %s\n\nusage: holdfast-gate [--server HOST:PORT] [--events HOST:PORT] [OPTIONS]\n\n", GATE_VERSION, gate_options_about);
	options_help(&options, 22, out);
	fprintf(out, "\n%s", gate_options_more);
}
