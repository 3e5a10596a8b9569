/*
 * test_gate_disk.c: a gate with a spool whose disk fails under it while tills post (P9): each write and sync of the spool in each way. What
 * is not durable is not answered, the gate ends with a sentence and status 1, and the next one has everything that was answered. And a disk
 * without room: refused, never dropped, and taken again when there is some. Gate and server run in children of this program, whose file
 * calls are those of disk_faults.h.
 */
#define _GNU_SOURCE
#include "tests/check.h"
#include "tests/disk_faults.h"
#include "tests/till.h"
#include "tests/wire_text.h"

#include "holdfast/holdfast.h"
#include "net/config.h"
#include "net/gate.h"
#include "net/gate_spool.h"
#include "net/server.h"
#include "persist/spool.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define EVENTS 6 /* of a run, one a message */
#define PATIENCE_MS 20000
#define REQUEST UINT32_C(0x80000000)

static char folder[256], spool[300], log_path[300];
static pid_t server, gate;
static uint16_t rpc, events;
static struct hf *hf;

/* ---- children ---- */

static void
say_to(const char *line)
{
	FILE *f = fopen(log_path, "a");
	if (f) {
		fprintf(f, "%s\n", line);
		fclose(f);
	}
}

static void
server_says(void *context, const char *line)
{
}

static int told;

static int
server_ready(void *context, const struct server_ports *ports, struct why *why)
{
	return (int)syscall(SYS_write, told, &ports->rpc, sizeof ports->rpc) == sizeof ports->rpc ? 0 : -1;
}

_Noreturn static void
serve(void)
{
	static struct config config;
	static char data[300];
	struct why why;
	struct server_calls calls = { .say = server_says, .ready = server_ready };
	snprintf(data, sizeof data, "%s/data", folder);
	char *argv[] = { "holdfastd", "--data", data, "--listen", "127.0.0.1:0", "--http", "off", "--gate", "off", "--cells-max", "1000",
		"--reservations-max", "1000", "--history-max", "20000", "--free-ids-max", "1000", "--segment-bytes", "16M" };
	_exit(config_read(&config, sizeof argv / sizeof *argv, argv, &why) < 0 ? SERVER_USAGE : (int)server_run(&config, &calls));
}

_Noreturn static void
gate_live(void)
{
	char at[32];
	snprintf(at, sizeof at, "127.0.0.1:%u", rpc);
	struct gate_setup setup = { .server = at, .doors = { "off", "off", "off" }, .spool = spool, .spool_bytes_max = SPOOL_BYTES_MIN, .say = say_to };
	setup.doors[DOOR_EVENTS] = "127.0.0.1:0";
	struct why why;
	struct gate *g = gate_open(&setup, &why);
	uint16_t port = g ? gate_port(g, DOOR_EVENTS) : 0;
	bool good = g && syscall(SYS_write, told, &port, sizeof port) == sizeof port && gate_run(g, &why) == 0;
	if (!good)
		say_to(why.text);
	gate_close(g);
	_exit(!good);
}

/* A child that tells a port, or ends before; the port, or 0. */
static uint16_t
child(pid_t *pid, void (*live)(void))
{
	uint16_t port = 0;
	int ends[2];
	if (pipe(ends) < 0)
		return 0;
	*pid = fork();
	if (*pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		told = ends[1];
		live();
	}
	close(ends[1]);
	if (syscall(SYS_read, ends[0], &port, sizeof port) != sizeof port)
		port = 0;
	close(ends[0]);
	return port;
}

/* The exit code; -1: by a signal, or not in time. */
static int
end_of(pid_t *pid, int signal)
{
	int status = -1;
	if (signal)
		kill(*pid, signal);
	for (int ms = 0; ms < PATIENCE_MS; ms += 2) {
		if (waitpid(*pid, &status, WNOHANG) == *pid) {
			*pid = 0;
			return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
		}
		poll(NULL, 0, 2);
	}
	kill(*pid, SIGKILL);
	waitpid(*pid, &status, 0);
	*pid = 0;
	return -1;
}

static bool
gate_up(void)
{
	events = child(&gate, gate_live);
	return events != 0;
}

static bool
says(const char *what)
{
	static char lines[8192];
	FILE *f = fopen(log_path, "r");
	size_t n = f ? fread(lines, 1, sizeof lines - 1, f) : 0;
	lines[n] = 0;
	if (f)
		fclose(f);
	if (!strstr(lines, what))
		printf("     it does not say '%s', but: %s\n", what, lines);
	return strstr(lines, what) != NULL;
}

/* ---- a till ---- */

/* Event n of that source: one unit of a SKU of the same name. Answered `queued`? */
static bool
post(int till, const char *source, unsigned n, const char *wanted)
{
	static uint8_t body[4096];
	struct buffer message = { 0 };
	char text[200];
	uint32_t word;
	snprintf(text, sizeof text, "{'source': '%s', 'n': %u, 'kind': 'receipt', 'sku': '%s', 'location': 'L', 'qty': 1}", source, n, source);
	wire_from_text(&message, text);
	bool sent = till >= 0 && till_send(till, n | REQUEST, message.at, message.used);
	buffer_fini(&message);
	int64_t got = sent ? till_receive(till, &word, body, sizeof body) : -1;
	return got > 0 && word == (n | REQUEST) && wire_like(wire_to_text(body, (size_t)got), wanted);
}

#define QUEUED "{\"queued\"=>*}"

/* What the server has of that SKU; -1: it does not answer. */
static int64_t
on_hand(const char *sku)
{
	const struct hf_line cell = { sku, "L", 0 };
	const struct hf_value *v;
	if (hf_stock(hf, &cell, 1, &v) != HF_OK)
		return -1;
	const struct hf_value *view = &v->array.items[1].array.items[0];
	return view->type == HF_NIL ? 0 : hf_int(hf_get(view, "on_hand"), -1);
}

static bool
arrives(const char *sku, int64_t qty)
{
	int64_t there = -1;
	for (int ms = 0; ms < PATIENCE_MS && (there = on_hand(sku)) < qty; ms += 2)
		poll(NULL, 0, 2);
	return there == qty;
}

/* ---- a failing disk ---- */

static bool
tell(bool good, const char *what, long long a)
{
	if (!good)
		printf("     call %llu (%s) of the spool fails: %s%s: %s (%lld)\n", (unsigned long long)faults->fail_at,
		    fault_call_names[atomic_load(&faults->last)], fault_way_names[faults->way], faults->stuck ? ", and all later ones" : "", what, a);
	return good;
}

/* The next gate has all that was answered, and takes all of it again: nothing is there twice. */
static bool
all_is_there(const char *source, int64_t answered)
{
	bool good = tell(gate_up(), "the next start", 0) && tell(arrives(source, answered) || on_hand(source) == answered + 1, "what arrives", on_hand(source));
	int till = good ? till_open(events) : -1;
	for (unsigned n = 1; good && n <= EVENTS; n++)
		good = tell(post(till, source, n, QUEUED), "a repeat", n);
	close(till);
	good = good && tell(arrives(source, EVENTS), "after the repeats", on_hand(source));
	int code = end_of(&gate, SIGTERM);
	return good && tell(code == 0, "its end", code);
}

static bool
gate_with(const char *source, uint64_t k, enum fault_way way, bool stuck)
{
	int64_t answered = 0;
	char segments[64];
	snprintf(spool, sizeof spool, "%s/spool-of-%s", folder, source);
	snprintf(log_path, sizeof log_path, "%s/log-of-%s", folder, source);
	bool good = tell(gate_up(), "the start", 0);
	int till = good ? till_open(events) : -1;
	faults->appends = true;
	snprintf(segments, sizeof segments, "spool-of-%s/spool-", source); /* not the spare, which may just be made and may fail */
	faults_arm(segments, k, way, stuck);
	while (good && answered < EVENTS && post(till, source, (unsigned)answered + 1, QUEUED))
		answered++;
	close(till);
	good = good && tell(answered < EVENTS && atomic_load(&faults->fired) > 0, "it goes on", answered);
	int code = end_of(&gate, 0);
	good = good && tell(code == 1, "its exit code", code) && says("the spool cannot write to spool-");
	if (good && stuck && way != FAULT_FORGET) {
		good = tell(!gate_up(), "a start on the same disk", 0);
		code = end_of(&gate, 0);
		good = good && tell(code == 1, "the exit code of that start", code);
	}
	faults_disarm();
	faults->appends = false;
	return good && all_is_there(source, answered);
}

static void
a_spool_that_fails_at_any_write_or_sync_answers_nothing_false(void)
{
	unsigned runs = 0;
	for (enum fault_way way = FAULT_EIO; way <= FAULT_DONE; way++)
		for (uint64_t k = 1; k <= (way == FAULT_EIO ? 8 : 3); k++) {
			char source[32];
			snprintf(source, sizeof source, "T%u", ++runs);
			check(gate_with(source, k, way, k % 2 == 0));
		}
	printf("     %u gates met a failing disk\n", runs);
}

/* ---- a disk without room ---- */

/* Messages of 100 long events, numbered from+1.., until one is not queued or `most` are. The last number that was; 0: another answer. */
static unsigned
fill(int till, unsigned from, unsigned most)
{
	static uint8_t message[1 << 20], body[4096];
	struct buffer out = { 0 };
	char text[2000], note[1801];
	unsigned n = from;
	uint32_t word;
	memset(note, 'x', sizeof note - 1);
	note[sizeof note - 1] = 0;
	for (bool queued = true; queued && n < most;) {
		size_t used = 3;
		message[0] = 0xdc;
		message[1] = 0;
		message[2] = 100;
		for (unsigned i = 1; i <= 100; i++) {
			out.used = 0;
			snprintf(text, sizeof text, "{'source': 'full', 'n': %u, 'kind': 'receipt', 'sku': 'full', 'location': 'L', 'qty': 1, 'note': '%s'}", n + i, note);
			wire_from_text(&out, text);
			memcpy(message + used, out.at, out.used);
			used += out.used;
		}
		int64_t got = till_send(till, n | REQUEST, message, used) ? till_receive(till, &word, body, sizeof body) : -1;
		queued = got > 0 && wire_like(wire_to_text(body, (size_t)got), QUEUED);
		n += queued ? 100 : 0;
		if (!queued && (got <= 0 || !wire_like(wire_to_text(body, (size_t)got), "{\"seq\"=>0, \"outcomes\"=>[{\"rejected\"=>\"capacity\", *\"spool\"}}]}")))
			n = 0;
	}
	buffer_fini(&out);
	return n;
}

static void
without_room_for_a_segment_messages_are_refused_and_taken_again_later(void)
{
	snprintf(spool, sizeof spool, "%s/spool-of-full", folder);
	snprintf(log_path, sizeof log_path, "%s/log-of-full", folder);
	faults_arm("spool.new", 5, FAULT_ENOSPC, true); /* the first segment and one spare are made by then */
	check_equal(kill(server, SIGSTOP), 0); /* nothing is delivered, so nothing is given back */
	check(gate_up());
	int till = till_open(events);
	check(till >= 0);
	unsigned full = fill(till, 0, 10000), queued = full;
	check(full >= 1000 && full < 10000);
	check(atomic_load(&faults->fired) > 0);
	faults_disarm();
	for (int ms = 0; ms < PATIENCE_MS && queued == full; ms += 50) {
		queued = fill(till, full, full + 500);
		poll(NULL, 0, 50);
	}
	check_equal(queued, full + 500);
	check_equal(kill(server, SIGCONT), 0);
	check(arrives("full", queued));
	close(till);
	check_equal(end_of(&gate, SIGTERM), 0);
}

int
main(int argc, char **argv)
{
	static const struct check tests[] = {
		CHECK(a_spool_that_fails_at_any_write_or_sync_answers_nothing_false),
		CHECK(without_room_for_a_segment_messages_are_refused_and_taken_again_later),
	};
	struct hf_failure failure;
	faults_init();
	snprintf(folder, sizeof folder, "%s/holdfast-gate-disk.XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (faults == MAP_FAILED || !mkdtemp(folder))
		return 1;
	rpc = child(&server, serve);
	hf = rpc ? hf_connect("127.0.0.1", rpc, PATIENCE_MS, &failure) : NULL;
	int result = hf ? check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv) : 1;
	hf_close(hf);
	if (gate > 0)
		end_of(&gate, SIGKILL);
	end_of(&server, SIGKILL);
	char line[300];
	snprintf(line, sizeof line, "rm -rf '%s'", folder);
	return system(line) == 0 ? result : 1;
}
