/*
 * test_disk_faults.c: the whole server over a disk that fails (P9): each call of the journal in each way, while a client works. What was
 * acknowledged is there after the next start, what was not answered is `unknown`, and the exit code is the documented one. And the
 * image: its failures cost nothing but room. The server runs in a child of this program, whose file calls are those of disk_faults.h.
 */
#define _GNU_SOURCE
#include "tests/check.h"
#include "tests/disk_faults.h"

#include "holdfast/holdfast.h"
#include "net/config.h"
#include "net/host.h"
#include "net/server.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define COMMANDS    6
#define PATIENCE_MS 20000
#define STALL_TEST_MS 1500 /* beyond STALL_MS */

static char folder[256], data[300], lines[8192];
static pid_t child;
static struct hf *hf;

/* ---- the server -------------------------------------------------------------------------------------------------------------- */

static void
say(void *context, const char *line)
{
	FILE *f = fopen(context, "a");
	if (f) {
		fprintf(f, "%s\n", line);
		fclose(f);
	}
}

static int told;

static int
ready(void *context, const struct server_ports *ports, struct why *why)
{
	return (int)syscall(SYS_write, told, &ports->rpc, sizeof ports->rpc) == sizeof ports->rpc ? 0 : -1;
}

static bool
config_make(struct config *config)
{
	struct why why;
	char *argv[] = { "holdfastd", "--data", data, "--listen", "127.0.0.1:0", "--http", "off", "--gate", "off", "--cells-max", "1000",
		"--reservations-max", "1000", "--history-max", "1000", "--free-ids-max", "1000", "--segment-bytes", "16M", "--image-age-ms", "50ms" };
	return config_read(config, sizeof argv / sizeof *argv, argv, &why) == 0;
}

_Noreturn static void
serve(void)
{
	static struct config config;
	static char log[300];
	snprintf(log, sizeof log, "%s/log", folder);
	struct server_calls calls = { .say = say, .ready = ready, .context = log };
	_exit(config_make(&config) ? (int)server_run(&config, &calls) : SERVER_USAGE);
}

/* True: it serves, and `hf` is connected. False: it has ended (wait_end says how). */
static bool
server_up(void)
{
	struct hf_failure failure;
	int ends[2];
	uint16_t port = 0;
	if (pipe(ends) < 0)
		return false;
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		told = ends[1];
		serve();
	}
	close(ends[1]);
	bool up = syscall(SYS_read, ends[0], &port, sizeof port) == sizeof port;
	close(ends[0]);
	hf = up ? hf_connect("127.0.0.1", port, PATIENCE_MS, &failure) : NULL;
	return hf != NULL;
}

/* The exit code; -1: by a signal. */
static int
wait_end(void)
{
	int status = -1;
	hf_close(hf);
	hf = NULL;
	for (int ms = 0; ms < PATIENCE_MS; ms += 5) {
		if (waitpid(child, &status, WNOHANG) == child)
			return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
		poll(NULL, 0, 5);
	}
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	return -1;
}

static int
server_down(void)
{
	kill(child, SIGTERM);
	return wait_end();
}

static void
place_new(void)
{
	snprintf(folder, sizeof folder, "%s/holdfast-faults.XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(folder))
		abort();
	snprintf(data, sizeof data, "%s/data", folder);
}

static void
place_remove(void)
{
	char line[300];
	snprintf(line, sizeof line, "rm -rf '%s'", folder);
	if (system(line) != 0)
		printf("     %s stays behind\n", folder);
}

/* What the server has said so far. */
static const char *
said(void)
{
	char path[300];
	snprintf(path, sizeof path, "%s/log", folder);
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(lines, 1, sizeof lines - 1, f) : 0;
	lines[n] = 0;
	if (f)
		fclose(f);
	return lines;
}

static bool
says(const char *what)
{
	for (int ms = 0; ms < PATIENCE_MS; ms += 5) {
		if (strstr(said(), what))
			return true;
		poll(NULL, 0, 5);
	}
	printf("     it does not say '%s', but:\n%s", what, lines);
	return false;
}

/* ---- what is asked ------------------------------------------------------------------------------------------------------------ */

/* Event number n: one more apple. */
static enum hf_outcome
receipt(uint64_t n)
{
	static const char *const keys[] = { "source", "kind", "sku", "location" }, *const values[] = { "till", "receipt", "A", "L" };
	const struct hf_value *v;
	hf_begin(hf, "post");
	hf_array(hf, 1);
	hf_array(hf, 1);
	hf_map(hf, 7);
	for (int i = 0; i < 4; i++) {
		hf_put_str(hf, keys[i]);
		hf_put_str(hf, values[i]);
	}
	hf_put_str(hf, "v");
	hf_put_int(hf, 1);
	hf_put_str(hf, "n");
	hf_put_int(hf, (int64_t)n);
	hf_put_str(hf, "qty");
	hf_put_int(hf, 1);
	return hf_call(hf, &v);
}

static int64_t
on_hand(void)
{
	const struct hf_line cell = { "A", "L", 0 };
	const struct hf_value *v;
	if (hf_stock(hf, &cell, 1, &v) != HF_OK || v->array.items[1].array.items[0].type == HF_NIL)
		return 0;
	return hf_int(hf_get(&v->array.items[1].array.items[0], "on_hand"), -1);
}

static int64_t
figure(const char *name)
{
	const struct hf_value *v;
	hf_begin(hf, "status");
	hf_array(hf, 0);
	if (hf_call(hf, &v) != HF_OK)
		return -1;
	const struct hf_value *at = hf_get(hf_get(v, "host"), name);
	return hf_int(at ? at : hf_get(v, name), -1);
}

static bool
figure_becomes(const char *name, int64_t least)
{
	for (int ms = 0; ms < PATIENCE_MS; ms += 5) {
		if (figure(name) >= least)
			return true;
		poll(NULL, 0, 5);
	}
	printf("     %s stays at %lld\n", name, (long long)figure(name));
	return false;
}

static bool
hold(const char *id, const char *code)
{
	const struct hf_line line = { "A", "L", 1 };
	const struct hf_value *v;
	enum hf_outcome got = hf_reserve(hf, id, &line, 1, NULL, &v);
	return code ? got == HF_REFUSED && strcmp(hf_error(hf)->code, code) == 0 : got == HF_OK;
}

/* ---- the journal: each call, each way ------------------------------------------------------------------------------------------ */

static bool
tell(bool good, const char *what, long long a, long long b)
{
	if (!good)
		printf("     call %llu (%s) of %s fails: %s%s: %s (%lld, %lld)\n", (unsigned long long)faults->fail_at,
		    fault_call_names[atomic_load(&faults->last)], faults->only, fault_way_names[faults->way], faults->stuck ? ", and all later ones" : "",
		    what, a, b);
	return good;
}

/* After whatever happened: a start without faults has all that was acknowledged, each once, and nothing that was never sent. */
static bool
all_is_there(uint64_t acknowledged, uint64_t sent)
{
	bool up = server_up();
	int64_t there = up ? on_hand() : -1;
	bool good = tell(up, "the next start", 0, 0) && tell(there >= (int64_t)acknowledged && there <= (int64_t)sent, "what is there", there, (long long)acknowledged);
	/* The source sends all again: nothing is done twice. */
	for (uint64_t n = 1; good && n <= COMMANDS; n++)
		good = tell(receipt(n) == HF_OK, "a repeat", (long long)n, 0);
	good = good && tell(on_hand() == COMMANDS, "after the repeats", on_hand(), COMMANDS);
	int code = server_down();
	return good && tell(code == 0, "its end", code, 0);
}

/* The spare that is made behind its back is there: from here on only appends write to the journal; the checkpointer reads it. */
static bool
spare_is_made(void)
{
	char path[400];
	snprintf(path, sizeof path, "%s/journal-0000000000000002.seg", data);
	for (int ms = 0; ms < PATIENCE_MS && access(path, F_OK) != 0; ms += 5)
		poll(NULL, 0, 5);
	return access(path, F_OK) == 0;
}

/* Call k of the journal's files while it serves. *reached: it was. */
static bool
append_with(uint64_t k, enum fault_way way, bool stuck, bool *reached)
{
	uint64_t acknowledged = 0, sent = 0;
	bool over = false;
	place_new();
	bool good = tell(server_up() && spare_is_made(), "the start", 0, 0);
	faults->appends = true;
	faults_arm("journal-", k, way, stuck);
	for (; good && !over && sent < COMMANDS; over = atomic_load(&faults->fired) > 0 && way != FAULT_STALL) {
		enum hf_outcome got = receipt(++sent);
		acknowledged += got == HF_OK;
		good = tell(got == HF_OK || got == HF_UNKNOWN, hf_error(hf)->code, (long long)got, (long long)sent);
		good = good && tell(got == HF_OK || atomic_load(&faults->fired) > 0, "unknown without a fault", 0, 0);
	}
	*reached = faults_disarm();
	faults->appends = false;
	/* A journal that failed takes nothing more (L4), and the server ends by itself. */
	if (good && *reached && way != FAULT_STALL)
		good = tell(receipt(COMMANDS) != HF_OK, "it acknowledges after a failure", 0, 0);
	int code = *reached && way != FAULT_STALL ? wait_end() : server_down();
	good = good && tell(code == (*reached && way != FAULT_STALL ? SERVER_JOURNAL_FAILED : 0), "its exit code", code, 0);
	good = good && (!*reached || way == FAULT_STALL || tell(says("What was answered is durable; what was in flight is unknown"), "what it says", 0, 0));
	good = good && all_is_there(acknowledged, sent);
	place_remove();
	return good;
}

static void
a_journal_that_fails_at_any_call_of_an_append_acknowledges_nothing_false(void)
{
	uint64_t runs = 0;
	for (enum fault_way way = FAULT_EIO; way <= FAULT_DONE; way++) {
		bool reached = true;
		/* Batches are alike: three of them, the first of a segment included. */
		for (uint64_t k = 1; k <= (way == FAULT_EIO ? 6 : 3); k++, runs++) {
			check(append_with(k, way, k % 2 == 0, &reached));
			check(reached);
		}
	}
	printf("     %llu servers met a failing journal\n", (unsigned long long)runs);
}

/* While a sync takes longer than a second: no new hold, but an answer; what was sent before is answered when it is durable. */
static void
a_sync_that_stalls_is_waited_for(void)
{
	bool reached;
	faults->stall_ms = STALL_TEST_MS;
	check(append_with(2, FAULT_STALL, false, &reached));
	check(reached);
}

/* Any call of a start on a folder with a journal: it says why and ends, or serves; the next one has everything. */
static void
a_start_that_fails_at_any_call_loses_nothing(void)
{
	uint64_t failed = 0;
	place_new();
	check(server_up());
	for (uint64_t n = 1; n <= COMMANDS - 1; n++)
		check_equal(receipt(n), HF_OK);
	check_equal(server_down(), 0);
	bool reached = true;
	for (uint64_t k = 1; reached; k += k < 12 ? 1 : 7) {
		faults_arm("journal", k, k % 3 == 1 ? FAULT_ENOSPC : FAULT_EIO, k % 2);
		bool up = server_up();
		reached = faults_disarm();
		int code = up ? server_down() : wait_end();
		failed += !up;
		/* One that came up met the fault behind its back (a spare) or at its end (the close marker). */
		check(up || code == SERVER_NOT_STARTED);
		check(!up || code == SERVER_STOPPED || code == SERVER_JOURNAL_FAILED);
		check(up || says("journal"));
	}
	check(failed > 5);
	check(all_is_there(COMMANDS - 1, COMMANDS - 1));
	place_remove();
}

/* ---- no room ------------------------------------------------------------------------------------------------------------------- */

/* The journal's next file cannot be made: holds are refused, facts pass, and all is well again by itself. */
static void
without_room_for_the_journal_holds_are_refused_and_facts_pass(void)
{
	place_new();
	faults_arm("journal.new", 40, FAULT_ENOSPC, true); /* the first file, which the claim needs, is made by then */
	check(server_up());
	check(figure_becomes("journal_low", 1));
	check(says("cannot make a journal segment of 16777216 bytes: No space left on device. Way out: make room, the data folder's disk has"));
	check(says("events, commits and releases pass"));
	check_equal(receipt(1), HF_OK);
	check(hold("a", "overloaded"));
	check_equal(receipt(2), HF_OK);
	faults_disarm();
	check(says("there is room for the journal again: holds are taken"));
	check_equal(figure("journal_low"), 0);
	check(hold("a", NULL));
	check_equal(server_down(), 0);
	place_remove();
}

static void
an_image_that_cannot_be_written_costs_nothing_but_room(void)
{
	static const enum fault_way ways[] = { FAULT_ENOSPC, FAULT_EIO, FAULT_SHORT, FAULT_FORGET };
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		place_new();
		check(server_up());
		check_equal(receipt(1), HF_OK);
		check(figure_becomes("image_position", figure("durable")));
		faults_arm("data/image", 1, ways[i], true);
		check_equal(receipt(2), HF_OK);
		check(figure_becomes("image_failures", 1));
		check(hold("a", NULL));
		check_equal(receipt(3), HF_OK);
		check(figure("image_position") < figure("durable"));
		check(says("the image is not written, and tried again each second"));
		check(ways[i] != FAULT_ENOSPC || says("Way out: make room: up to"));
		faults_disarm();
		check(figure_becomes("image_position", figure("durable")));
		check(says("the image is written again"));
		check_equal(server_down(), 0);
		check(all_is_there(3, 3));
		place_remove();
	}
}

/* At the end the image cannot be written: the exit code says so, and the journal has everything. */
static void
an_end_without_the_image_says_so(void)
{
	place_new();
	check(server_up());
	check_equal(receipt(1), HF_OK);
	check(figure_becomes("image_position", figure("durable")));
	faults_arm("data/image", 1, FAULT_ENOSPC, true);
	check_equal(receipt(2), HF_OK);
	check_equal(server_down(), SERVER_IMAGE_FAILED);
	faults_disarm();
	check(says("but the image could not be written"));
	check(all_is_there(2, 2));
	place_remove();
}

/* What is decided in the last moment is appended when nothing else runs any more. The same of the image. */
static void
a_host_that_closes_says_which_of_the_two_failed(void)
{
	static const struct { const char *only; enum host_end end; } rows[] = { { "journal-", HOST_JOURNAL_FAILED }, { "data/image", HOST_IMAGE_FAILED },
		{ "no such file", HOST_CLOSED } };
	static struct config config;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct why why = { "" };
		struct result result;
		place_new();
		check(config_make(&config));
		struct host_options options = { .data = data, .limits = config.limits, .engine = config.engine, .image_map_bytes = config.image_map_bytes,
			.checkpoint = CHECKPOINT_OPTIONS_DEFAULT };
		journal_options_init(&options.journal);
		options.journal.segment_bytes = config.segment_bytes;
		struct host *h = host_open(&options, &why);
		check(h != NULL);
		check(spare_is_made());
		struct command c = { .kind = COMMAND_EVENT, .event = { .source = { (const uint8_t *)"till", 4 }, .n = 1, .kind = EVENT_RECEIPT,
			.sku = { (const uint8_t *)"A", 1 }, .location = { (const uint8_t *)"L", 1 }, .qty = 1, .at = -1, .as_of = -1 } };
		check(batcher_begin(host_batcher(h), clock_wall_ms()));
		engine_execute(host_engine(h), &c, &result);
		check_equal(result.status, STATUS_OK);
		faults->appends = i == 0;
		faults_arm(rows[i].only, 1, FAULT_EIO, true);
		check_equal(host_close(h, &why), rows[i].end);
		check_equal(faults_disarm(), rows[i].end != HOST_CLOSED);
		check_equal(why.text[0] != 0, rows[i].end != HOST_CLOSED);
		faults->appends = false;
		place_remove();
	}
}

static const struct check tests[] = {
	CHECK(a_journal_that_fails_at_any_call_of_an_append_acknowledges_nothing_false),
	CHECK(a_sync_that_stalls_is_waited_for),
	CHECK(a_start_that_fails_at_any_call_loses_nothing),
	CHECK(without_room_for_the_journal_holds_are_refused_and_facts_pass),
	CHECK(an_image_that_cannot_be_written_costs_nothing_but_room),
	CHECK(an_end_without_the_image_says_so),
	CHECK(a_host_that_closes_says_which_of_the_two_failed),
};

int
main(int argc, char **argv)
{
	faults_init();
	return faults == MAP_FAILED ? 1 : check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv);
}
