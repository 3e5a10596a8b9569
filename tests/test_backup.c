/*
 * test_backup.c: backups of a running and of a stopped server, restored elsewhere: the state is that of the backup's position, and
 * nothing that was there before is harmed, whatever goes wrong.
 */
#include "tests/check.h"
#include "tests/image_rig.h"
#include "tests/journal_rig.h"
#include "tests/spawn.h"
#include "tests/twin_run.h"

#include "core/engine.h"
#include "holdfast/holdfast.h"
#include "persist/backup.h"
#include "persist/image_private.h"
#include "persist/recovery.h"

#include <jansson.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB   (UINT64_C(1) << 20)
#define CELLS 8

static const char *const small[] = { "--gate", "off", "--cells-max", "1000", "--skus-max", "100", "--locations-max", "100",
	"--sources-max", "16", "--reservations-max", "200000", "--history-max", "1000", "--free-ids-max", "1000", "--segment-bytes", "16M",
	"--extra-lines-max", "10000", "--blobs-max", "10000", "--quarantine-max", "1000", "--image-age-ms", "100ms", NULL };
static const struct engine_limits limits = { .cells_max = 1000, .skus_max = 100, .locations_max = 100, .sources_max = 16,
	.channels_max = 1024, .groups_max = 64, .reservations_max = 200000, .extra_lines_max = 10000, .blobs_max = 10000,
	.quarantine_max = 1000, .history_max = 1000, .free_ids_max = 1000 };

static struct server server;
static char out[8192], err[8192];

/* ---- the command line, beside a server of one's own -------------------------------------------------------------------- */

static bool
begin(void)
{
	struct why why;
	if (server_init(&server, &why) == 0 && server_start(&server, small, &why) == 0)
		return true;
	printf("     %s\n", why.text);
	return false;
}

static void
slurp(const char *name, char *to, size_t size)
{
	char path[400];
	snprintf(path, sizeof path, "%s/%s", server.folder, name);
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(to, 1, size - 1, f) : 0;
	to[n] = 0;
	if (f)
		fclose(f);
}

/* `before`, then holdfast with these words, in the server's folder; fills out and err. The exit code. */
__attribute__((format(printf, 2, 3))) static int
cli_after(const char *before, const char *format, ...)
{
	char program[512], words[1024], line[4096];
	va_list args;
	va_start(args, format);
	vsnprintf(words, sizeof words, format, args);
	va_end(args);
	spawn_program("holdfast", program, sizeof program);
	snprintf(line, sizeof line, "cd %s && %s HOLDFAST_SERVER=127.0.0.1:%u %s %s </dev/null >out 2>err", server.folder, before, server.rpc,
	    program, words);
	int status = system(line);
	slurp("out", out, sizeof out);
	slurp("err", err, sizeof err);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
#define cli(...) cli_after("", __VA_ARGS__)

static uint64_t
number(const char *key)
{
	json_t *all = json_loads(out, 0, NULL), *at = json_object_get(all, key);
	uint64_t n = json_is_integer(at) ? (uint64_t)json_integer_value(at) : UINT64_MAX;
	json_decref(all);
	return n;
}

static void
text(const char *key, char to[64])
{
	json_t *all = json_loads(out, 0, NULL);
	const char *s = json_string_value(json_object_get(all, key));
	snprintf(to, 64, "%s", s ? s : "");
	json_decref(all);
}

static struct hf *
connected(void)
{
	struct hf_failure failure;
	struct hf *hf = hf_connect("127.0.0.1", server.rpc, 20000, &failure);
	if (!hf)
		printf("     %s\n", failure.message);
	return hf;
}

static enum hf_outcome
receipt(struct hf *hf, uint64_t n, const char *sku, int64_t qty)
{
	const struct hf_value *v;
	hf_begin(hf, "post");
	hf_array(hf, 1);
	hf_array(hf, 1);
	hf_map(hf, 7);
	hf_put_str(hf, "v");
	hf_put_int(hf, 1);
	hf_put_str(hf, "source");
	hf_put_str(hf, "till");
	hf_put_str(hf, "n");
	hf_put_int(hf, (int64_t)n);
	hf_put_str(hf, "kind");
	hf_put_str(hf, "receipt");
	hf_put_str(hf, "sku");
	hf_put_str(hf, sku);
	hf_put_str(hf, "location");
	hf_put_str(hf, "L");
	hf_put_str(hf, "qty");
	hf_put_int(hf, qty);
	return hf_call(hf, &v);
}

/* ---- load ----------------------------------------------------------------------------------------------------------------- */

static _Atomic bool load_ends;
static _Atomic uint64_t answered; /* the greatest position of any answer */
static const char *load_wrong;

/* Receipts, holds, commits and releases, one after the other, until it is told to end. */
static void *
load_main(void *arg)
{
	struct hf *hf = connected();
	const struct hf_value *v;
	char sku[16], id[32];
	for (uint64_t n = 1; hf && !load_wrong && !atomic_load(&load_ends); n++) {
		snprintf(sku, sizeof sku, "S%d", (int)(n % CELLS));
		snprintf(id, sizeof id, "load-%llu", (unsigned long long)n);
		const struct hf_line line = { sku, "L", 1 };
		const struct hf_reserve_options options = { .ttl_ms = 80000000 };
		if (receipt(hf, n, sku, 2) != HF_OK || hf_reserve(hf, id, &line, 1, &options, &v) != HF_OK ||
		    (n % 3 == 0 && hf_commit(hf, id, NULL, 0, NULL, &v) != HF_OK) || (n % 3 == 1 && hf_release(hf, id, NULL, 0, NULL, &v) != HF_OK))
			load_wrong = hf_error(hf)->message;
		else
			atomic_store(&answered, (uint64_t)hf_int(hf_get(v, "seq"), 0));
	}
	hf_close(hf);
	return NULL;
}

/* ---- what a state is ------------------------------------------------------------------------------------------------------- */

struct state {
	uint64_t digest[2], seq;
};

/* An engine with what `fill` puts into it. */
static bool
state_of(struct state *s, bool (*fill)(struct engine *, const char *dir, uint64_t up_to, struct why *), const char *dir, uint64_t up_to)
{
	struct why why = { "" };
	void *memory;
	struct engine *e = run_engine(&limits, &memory);
	bool filled = fill(e, dir, up_to, &why);
	if (filled) {
		engine_digest_state(e, s->digest);
		s->seq = engine_seq(e);
	} else {
		printf("     %s\n", why.text);
	}
	free(memory);
	return filled;
}

/* The journal alone, from position 1 up to that one. */
static bool
fill_from_journal(struct engine *e, const char *dir, uint64_t up_to, struct why *why)
{
	struct disk *disk = disk_posix_open(dir, why);
	struct journal_options options;
	struct log_tail tail;
	struct log_batch b;
	bool gone, good = true;
	journal_options_init(&options);
	options.segment_bytes = 16 * MIB;
	struct log *log = disk ? journal_open(disk, &options, why) : NULL;
	if (!log || log->calls->claim(log, &tail, why) < 0)
		return false;
	struct log_reader *reader = log->calls->read_open(log, 1, &gone, why);
	while (good && reader && log->calls->read_next(reader, up_to, &b, why) == 1) {
		const char *wrong = engine_replay(e, b.first_seq, b.steps, b.stamp_ms, b.payload, b.payload_n);
		snprintf(why->text, sizeof why->text, "%s", wrong ? wrong : "");
		good = wrong == NULL;
	}
	if (reader)
		log->calls->read_close(reader);
	log->calls->close(log);
	disk->calls->end(disk);
	return good && reader && engine_load_done(e) == NULL;
}

/* A start, as the server makes it. */
static bool
fill_by_recovery(struct engine *e, const char *dir, uint64_t up_to, struct why *why)
{
	struct journal_options options;
	struct recovery r;
	struct disk *disk = disk_posix_open(dir, why);
	journal_options_init(&options);
	options.segment_bytes = 16 * MIB;
	struct recovery_folder folder = { .dir = dir, .disk = disk, .walk = image_inspect_into };
	if (!disk || recovery_load(e, &folder, &r, NULL, NULL, why) < 0)
		return false;
	struct image *image = image_open(dir, 256 * MIB, why);
	struct log *log = image ? journal_open(disk, &options, why) : NULL;
	bool good = log && recover(e, image, log, &r, NULL, NULL, why) == 0;
	if (good && !r.tail.closed_cleanly) {
		snprintf(why->text, sizeof why->text, "the folder looks as if it had not been closed");
		good = false;
	}
	if (log)
		log->calls->close(log);
	image_close(image);
	disk->calls->end(disk);
	return good;
}

/* ---- live -------------------------------------------------------------------------------------------------------------------- */

static void
a_backup_under_load_is_the_state_of_its_position(void)
{
	char data[300], restored[300];
	struct state at_position, after;
	pthread_t loads[2];
	uint64_t before[3], seq[3];
	check(begin());
	atomic_store(&load_ends, false);
	atomic_store(&answered, 0);
	load_wrong = NULL;
	check_equal(pthread_create(&loads[0], NULL, load_main, NULL), 0);
	while (atomic_load(&answered) < 200 && !load_wrong)
		usleep(1000);
	int codes = 0;
	for (int i = 0; i < 3; i++) {
		before[i] = atomic_load(&answered);
		codes += cli("backup kept --json");
		seq[i] = number("seq");
	}
	atomic_store(&load_ends, true);
	pthread_join(loads[0], NULL);
	server_kill(&server);
	if (load_wrong)
		printf("     %s\n", load_wrong);
	check(!load_wrong && codes == 0);
	for (int i = 0; i < 3; i++)
		check(seq[i] >= before[i] && seq[i] != UINT64_MAX); /* everything answered before is in it */
	check_equal(cli("restore kept --data again --json"), 0);
	check_equal(number("backup_seq"), seq[2]);
	check_equal(number("seq"), seq[2] + RESTORE_SKIP);
	check_equal(cli("doctor again"), 0);
	snprintf(data, sizeof data, "%s/data", server.folder);
	snprintf(restored, sizeof restored, "%s/again", server.folder);
	check(state_of(&after, fill_by_recovery, restored, 0));
	check(state_of(&at_position, fill_from_journal, data, seq[2]));
	check_equal(at_position.seq, seq[2]);
	check_equal(after.seq, seq[2] + RESTORE_SKIP);
	check(after.digest[0] == at_position.digest[0] && after.digest[1] == at_position.digest[1]);
	server_remove(&server);
}

/* The restored folder takes the place of the old one. */
static bool
swap_data(const char *with)
{
	char line[1024];
	struct why why;
	snprintf(line, sizeof line, "cd %s && rm -rf data && mv %s data", server.folder, with);
	if (system(line) == 0 && server_start(&server, small, &why) == 0)
		return true;
	printf("     %s\n", why.text);
	return false;
}

static void
a_server_goes_on_from_a_restored_backup(void)
{
	const struct hf_line line = { "A", "L", 3 };
	const struct hf_reserve_options options = { .ttl_ms = 80000000 };
	const struct hf_value *v;
	char state[2][64], stock[2][64];
	check(begin());
	struct hf *hf = connected();
	check(hf && receipt(hf, 1, "A", 10) == HF_OK && hf_reserve(hf, "r", &line, 1, &options, &v) == HF_OK);
	hf_close(hf);
	check_equal(cli("backup kept --json"), 0);
	uint64_t seq = number("seq");
	check_equal(number("server_seq"), seq);
	check_equal(cli("backup kept"), 0);
	check(strstr(out, "kept, checked: every page and record of it") && strstr(out, "holdfast restore kept --data NEW-FOLDER"));
	check_equal(cli("digest --json"), 0);
	text("state", state[0]);
	text("stock", stock[0]);
	check_equal(server_stop(&server), 0);
	/* The same backup, twice over. */
	for (int round = 0; round < 2; round++) {
		check_equal(cli("restore kept --data next"), 0);
		check(strstr(out, "start     holdfastd --data next") != NULL);
		check(swap_data("next"));
		check_equal(cli("digest --json"), 0);
		text("state", state[1]);
		text("stock", stock[1]);
		check(strcmp(state[0], state[1]) == 0 && strcmp(stock[0], stock[1]) == 0 && state[0][0]);
		check_equal(number("seq"), seq + RESTORE_SKIP);
		hf = connected();
		check(hf != NULL);
		check_equal(receipt(hf, 1, "A", 10), HF_OK); /* known: nothing changes */
		check_equal(hf_reserve(hf, "r", &line, 1, &options, &v), HF_OK);
		check(hf_get(v, "again") && hf_get(v, "again")->boolean && hf_int(hf_get(v, "seq"), 0) == (int64_t)seq);
		check_equal(hf_reserve(hf, "q", &line, 1, &options, &v), HF_OK);
		check(hf_int(hf_get(v, "seq"), 0) == (int64_t)(seq + 1 + RESTORE_SKIP));
		hf_close(hf);
		server_kill(&server);
		struct why why;
		check_equal(server_start(&server, small, &why), 0);
		check_equal(cli("show q --json"), 0);
		check_equal(server_stop(&server), 0);
	}
	server_remove(&server);
}

static void
a_stopped_folder_is_copied_too(void)
{
	const struct hf_line line = { "A", "L", 1 };
	const struct hf_value *v;
	check(begin());
	struct hf *hf = connected();
	check(hf && receipt(hf, 1, "A", 10) == HF_OK);
	check_equal(cli("backup early --json"), 0);
	uint64_t seq = number("seq");
	check_equal(server_stop(&server), 0);
	check_equal(cli("backup stopped --data data --json"), 0);
	check_equal(number("seq"), seq);
	check_equal(cli("backup stopped"), 3); /* nobody to ask */
	hf_close(hf);
	/* A killed server's image is behind its journal, and nobody can wait for it. */
	struct why why;
	const char *slow[32];
	memcpy(slow, small, sizeof small);
	slow[sizeof small / sizeof *small - 2] = "1h";
	check_equal(server_start(&server, slow, &why), 0);
	hf = connected();
	check(hf != NULL);
	for (int i = 0; i < 2; i++)
		check_equal(hf_reserve(hf, i ? "a" : "b", &line, 1, NULL, &v), HF_OK);
	server_kill(&server);
	hf_close(hf);
	check_equal(cli("backup stopped --data data"), 1);
	check(strstr(err, "the image in data stands at position") && strstr(err, "--now"));
	check_equal(cli("backup stopped --data data --now --json"), 0);
	check_equal(number("seq"), seq);
	check_equal(number("server_seq"), seq + 2);
	server_remove(&server);
}

static void
a_server_that_is_not_here_is_told(void)
{
	check(begin());
	struct hf *hf = connected();
	check(hf && receipt(hf, 1, "A", 10) == HF_OK);
	hf_close(hf);
	check_equal(cli("backup early"), 0);
	char line[1024];
	snprintf(line, sizeof line, "cd %s && mv data elsewhere", server.folder);
	check_equal(system(line), 0);
	check_equal(cli("backup kept"), 7);
	check(strstr(err, "there is no folder") && strstr(err, "on another machine, run this command there"));
	snprintf(line, sizeof line, "cd %s && mkdir data && cp elsewhere/image data", server.folder);
	check_equal(system(line), 0);
	check_equal(cli("backup kept"), 7);
	check(strstr(err, "no server works in a folder of that name") != NULL);
	/* One that is, but not the one that was asked. */
	check_equal(cli("backup kept --data elsewhere"), 7);
	check(strstr(err, "works in") && strstr(err, "--now asks none"));
	check_equal(cli("backup kept --data elsewhere --now"), 0);
	server_kill(&server);
	server_remove(&server);
}

/* ---- where it must not go, and what must not be restored ------------------------------------------------------------------- */

static void
nothing_that_is_there_is_harmed(void)
{
	char line[1024];
	check(begin());
	struct hf *hf = connected();
	check(hf && receipt(hf, 1, "A", 10) == HF_OK);
	check_equal(cli("backup kept"), 0);
	snprintf(line, sizeof line, "cd %s && cp -r kept as-it-was && mkdir letters && echo dear >letters/mother", server.folder);
	check_equal(system(line), 0);
	check_equal(cli("backup data"), 7); /* locked by the server */
	check_equal(cli("backup letters"), 7);
	check(strstr(err, "holds 'mother', which is no part of a backup") != NULL);
	check_equal(cli("backup no/where"), 7);
	check(strstr(err, "No such file or directory") != NULL);
	/* A disk that fills up: the limit on a file's length stands in for it. */
	for (uint64_t n = 2; n < 200; n++) {
		char sku[16];
		snprintf(sku, sizeof sku, "S%d", (int)(n % 90));
		check_equal(receipt(hf, n, sku, 1), HF_OK);
	}
	check_equal(cli_after("trap '' XFSZ; ulimit -f 8;", "backup kept"), 7);
	check(strstr(err, "Way out: make room: up to 1 MiB are needed, the folder kept has") != NULL);
	snprintf(line, sizeof line, "cd %s && diff -r kept as-it-was", server.folder);
	check_equal(system(line), 0);
	/* An older backup gives way to a younger one, never the other way round. */
	check_equal(cli("backup kept"), 0);
	check_equal(cli("restore as-it-was --data older"), 0);
	check_equal(cli("restore kept --data older"), 7);
	check(strstr(err, "older is not empty: it holds an image and journal-0000000000000001.seg") != NULL);
	check_equal(cli("restore kept --data letters"), 7);
	check(strstr(err, "it holds mother") != NULL);
	check_equal(cli("restore data --data new"), 7);
	check(strstr(err, "is a data folder, no backup") != NULL);
	check_equal(cli("restore letters --data new"), 7);
	check_equal(cli("restore nowhere --data new"), 7);
	check_equal(cli("restore kept"), 2);
	check_equal(cli("backup"), 2);
	check_equal(server_stop(&server), 0);
	check_equal(cli("backup kept --data older"), 0); /* far ahead of what is there */
	check_equal(cli("backup kept --data data"), 7);
	check(strstr(err, "which is ahead of this one") != NULL);
	snprintf(line, sizeof line, "cd %s && test ! -e new", server.folder);
	check_equal(system(line), 0);
	hf_close(hf);
	server_remove(&server);
}

static const struct batch_shape shape = { .steps = 20, .entries = 3, .keys = 100, .body_max = 100 };

/* A backup as `backup` makes it, of records that no engine ever saw. */
static void
backup_new(const char *dir, const char *to, struct why *why)
{
	uint64_t seed = check_seed(1);
	struct image *image = image_open(dir, 16 * MIB, why);
	ensure(image != NULL);
	for (int i = 0; i < 5; i++)
		ensure(image_collect(image, draw_batch(&seed, image_collected_seq(image), &shape), why) == 0);
	ensure(image_commit(image, why) == 0);
	ensure(image_copy(image, to, NULL, why) == 0);
	image_close(image);
}

static void
a_damaged_backup_is_refused(void)
{
	char dir[256], to[300], new[300];
	struct why why = { "" };
	struct restored r;
	size_t n;
	folder_new(dir);
	snprintf(to, sizeof to, "%s/kept", dir);
	snprintf(new, sizeof new, "%s/new", dir);
	backup_new(dir, to, &why);
	uint8_t *bytes = file_get(to, "image", &n);
	for (size_t at = 4096; at < n; at += 1237) {
		bytes[at] ^= 4;
		file_put(to, "image", bytes, n);
		struct image_findings f;
		bool harmless = image_inspect(to, NULL, &f, &why) == 0;
		if (!harmless) {
			check_equal(restore(to, new, NULL, &r, &why), -1);
			check(r.damaged && !disk_posix_is_folder(new));
		}
		bytes[at] ^= 4;
	}
	file_put(to, "image", bytes, n);
	check_equal(restore(to, new, NULL, &r, &why), 0);
	free(bytes);
	folder_remove(dir);
}

static void
positions_end_before_two_to_the_53(void)
{
	char dir[256], to[300], new[300], path[400];
	struct why why = { "" };
	struct restored r;
	folder_new(dir);
	snprintf(to, sizeof to, "%s/kept", dir);
	snprintf(path, sizeof path, "%s/kept/image", dir);
	snprintf(new, sizeof new, "%s/new", dir);
	backup_new(dir, to, &why);
	check_equal(image_move_ahead(path, RESTORE_SEQ_MAX - 2 * RESTORE_SKIP - 1, &why), 0);
	check_equal(restore(to, new, NULL, &r, &why), 0);
	check(r.seq < RESTORE_SEQ_MAX - RESTORE_SKIP);
	folder_remove(new);
	check_equal(image_move_ahead(path, RESTORE_SEQ_MAX - 2 * RESTORE_SKIP, &why), 0);
	check_equal(restore(to, new, NULL, &r, &why), -1);
	check(strstr(why.text, "too near to the last one there can be (2^53)") != NULL);
	check(!disk_posix_is_folder(new) && !r.damaged);
	folder_remove(dir);
}

/* What a restore that was killed leaves is no data folder, and the next restore clears it away. */
static void
a_restore_that_broke_off_is_made_anew(void)
{
	char dir[256], to[300], new[300];
	struct why why = { "" };
	struct restored r;
	static const uint8_t half[5000];
	folder_new(dir);
	snprintf(to, sizeof to, "%s/kept", dir);
	snprintf(new, sizeof new, "%s/new", dir);
	backup_new(dir, to, &why);
	struct disk *disk = disk_posix_open(new, &why);
	check(disk != NULL);
	disk->calls->end(disk);
	file_put(new, "image.new", half, sizeof half);
	file_put(new, "journal.new", half, sizeof half);
	check_equal(restore(to, new, NULL, &r, &why), 0);
	check_equal(image_verify(new, &why), 0);
	folder_remove(dir);
}

static const struct check tests[] = {
	CHECK(a_backup_under_load_is_the_state_of_its_position),
	CHECK(a_server_goes_on_from_a_restored_backup),
	CHECK(a_stopped_folder_is_copied_too),
	CHECK(a_server_that_is_not_here_is_told),
	CHECK(nothing_that_is_there_is_harmed),
	CHECK(a_damaged_backup_is_refused),
	CHECK(positions_end_before_two_to_the_53),
	CHECK(a_restore_that_broke_off_is_made_anew),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv);
}
