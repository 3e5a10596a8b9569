/*
 * test_cli_post.c: `holdfast post` and `holdfast quarantine` as a person uses them: files that come again, come shuffled, are damaged or
 * wrong, and servers and gates that get into trouble meanwhile.
 */
#include "tests/check.h"
#include "tests/cli.h"
#include "tests/fake_server.h"
#include "tests/gate_rig.h"

#include <pthread.h>
#include <signal.h>
#include <zlib.h>

static void
a_file_posted_again_changes_nothing(void)
{
	cli_write("twice.csv", "source,n,kind,sku,location,qty\ntwice,1,receipt,T,L1,10\ntwice,2,sale,T,L1,1\ntwice,3,sale,T,L1,1\n");
	check_cli(0, "post twice.csv --json");
	check_equal(cli_json("applied"), 3);
	check_cli(0, "digest --json");
	char before[1 << 12];
	snprintf(before, sizeof before, "%s", strstr(cli_out, "\"stock\""));
	check_cli(0, "post twice.csv --json");
	check_equal(cli_json("duplicate"), 3);
	check_cli(0, "post twice.csv --rpc --json");
	check_equal(cli_json("duplicate"), 3);
	check_cli(0, "post twice.csv --resume --json");
	check_equal(cli_json("skipped"), 3);
	check_equal(cli_json("rows"), 0);
	check_cli(0, "digest --json");
	check_says(before, strstr(cli_out, "\"stock\""));
	check_cli(0, "position twice");
	check_says(cli_out, "all up to     3");
}

static void
rejected_rows_stand_beside_the_file_with_their_reasons(void)
{
	static char rejected[4096];
	cli_write("bad.csv", "source,n,kind,sku,location,qty,reason\n"
			      "till,1,receipt,A,L1,5,\n"
			      "till,2,sale,A,L1,1.5,\n"
			      "till,3,adjust,A,L1,-1,\n"
			      "till,4,sale,A,L1,1,,extra\n"
			      "till,5,adjust,A,L1,-1,\"lost, \"\"somewhere\"\"\"\n");
	check_cli(5, "post bad.csv");
	check_says(cli_out, "bad_request");
	check_says(cli_out, "bad.csv.rejected.csv");
	cli_slurp("bad.csv.rejected.csv", rejected, sizeof rejected);
	check_says(rejected, "row,code,message,line\n");
	check_says(rejected, "\n2,bad_request,\"");
	check_says(rejected, ",\"till,2,sale,A,L1,1.5,\"\n");
	check_says(rejected, "\n4,bad_request,\"the row has more fields than the header\",\"till,4,sale,A,L1,1,,extra\"\n");
	check_cli(0, "quarantine list");
	check_says(cli_out, "\"till\"");
	check_cli(0, "quarantine list --json");
	long long number = cli_json("items.0.quarantine");
	check(number > 0);
	check_cli(5, "quarantine replay %lld", number);
	check_says(cli_out, "still rejected");
	check_cli(0, "quarantine drop %lld", number);
	check_cli(0, "position till");
	check_says(cli_out, "missing       4 to 4");
	check_cli(0, "position till --skip-to 4");
	check_says(cli_out, "all up to     5");
}

/* More than one page of the server's (400), more than one call of a replay (1,000). */
static void
a_long_quarantine_is_listed_replayed_and_dropped_whole(void)
{
	enum { ROWS = 1203 };
	static char text[ROWS * 40];
	size_t used = (size_t)snprintf(text, sizeof text, "source,n,kind,sku,location,qty\n");
	for (int i = 1; i <= ROWS; i++)
		used += (size_t)snprintf(text + used, sizeof text - used, "odd,%d,sale,ODD,L1,some\n", i);
	cli_write("odd.csv", text);
	check_cli(0, "quarantine drop --all");
	check_cli(5, "post odd.csv");
	check_cli(0, "quarantine list --limit 500 --json");
	check_equal(cli_json("more"), 1);
	check(cli_json("items.499.quarantine") > 0);
	check_equal(cli_json("items.500.quarantine"), -999);
	check_cli(0, "quarantine list --limit 2");
	check_says(cli_err, "there may be more: --after");
	check_cli(5, "quarantine replay --all --timeout 60s --json >replayed.json; code=$?; (exit $code)");
	static char replayed[CLI_BYTES];
	cli_slurp("replayed.json", replayed, sizeof replayed);
	check_equal(cli_json_of(replayed, "left"), ROWS);
	check_cli(0, "quarantine drop --all --timeout 60s >dropped; grep -c dropped dropped");
	check_equal(atoi(cli_out), ROWS);
	check_cli(0, "quarantine list");
	check_says(cli_out, "the quarantine is empty");
	check_cli(5, "quarantine drop 1");
	check_says(cli_out, "1  not there, not_found");
}

/* Damage shows only behind the rows that it has made: such a file is read whole before its first row leaves. */
static void
nothing_of_a_damaged_gzip_file_is_sent(void)
{
	static char text[1 << 18];
	static uint8_t packed[1 << 18];
	static const char *const says[] = { "is damaged, at or before line", "have no end" };
	char path[400];
	size_t used = (size_t)snprintf(text, sizeof text, "source,n,kind,sku,location,qty\n");
	for (int i = 1; i <= 5000; i++)
		used += (size_t)snprintf(text + used, sizeof text - used, "gz,%d,receipt,GZ%d,L1,%d\n", i, i * 7919 % 1000, i % 9 + 1);
	snprintf(path, sizeof path, "%s/gz.csv.gz", cli_server.folder);
	gzFile gz = gzopen(path, "wb");
	check(gz && gzwrite(gz, text, (unsigned)used) == (int)used && gzclose(gz) == Z_OK);
	FILE *f = fopen(path, "rb");
	size_t n = fread(packed, 1, sizeof packed, f);
	fclose(f);
	for (int how = 0; how < 2; how++) {
		f = fopen(path, "wb");
		packed[n / 2] ^= 0x55;
		fwrite(packed, 1, how == 0 ? n : n / 2, f);
		fclose(f);
		check_cli(7, "post gz.csv.gz");
		check_says(cli_err, says[how]);
		check_says(cli_err, "Nothing of it was sent");
		check_cli(0, "position gz --json");
		check_equal(cli_json("highest"), 0);
	}
}

static void
a_shuffled_file_arrives_whole(void)
{
	enum { ROWS = 20000 };
	static char text[ROWS * 48];
	static int order[ROWS];
	unsigned long long seed = check_seed(7);
	for (int i = 0; i < ROWS; i++)
		order[i] = i + 1;
	for (int i = 0; i < ROWS; i++) { /* shifted by up to 6,000 places: beyond what a source may run ahead */
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		int k = i + (int)((seed >> 33) % 6000), held = order[i];
		if (k < ROWS) {
			order[i] = order[k];
			order[k] = held;
		}
	}
	size_t used = (size_t)snprintf(text, sizeof text, "source,n,kind,sku,location,qty,at\n");
	for (int i = 0; i < ROWS; i++)
		used += (size_t)snprintf(text + used, sizeof text - used, "mixed,%d,receipt,MIX,L1,1,%d\n", order[i], order[i]);
	cli_write("mixed.csv", text);
	check_cli(0, "post mixed.csv --json");
	check_equal(cli_json("applied"), ROWS);
	check_cli(0, "ats MIX L1 --json");
	check_equal(cli_json("cells.0.ats"), ROWS);
	check_cli(0, "post mixed.csv --rpc --json --batch 77");
	check_equal(cli_json("duplicate"), ROWS);
}

/* D28: a number that is older than the digests and has no instant cannot be told from a till that began anew. */
static void
undated_rows_that_come_again_are_told_how_to_avoid_it(void)
{
	enum { ROWS = 5000 };
	static char text[ROWS * 48];
	size_t used = (size_t)snprintf(text, sizeof text, "source,n,kind,sku,location,qty\n");
	for (int i = 1; i <= ROWS; i++)
		used += (size_t)snprintf(text + used, sizeof text - used, "undated,%d,receipt,U,L1,1\n", i);
	cli_write("undated.csv", text);
	check_cli(0, "post undated.csv --json");
	check_equal(cli_json("applied"), ROWS);
	check_cli(0, "post undated.csv --resume --json");
	check_equal(cli_json("skipped"), ROWS);
	check_cli(5, "post undated.csv");
	check_says(cli_err, "have no 'at'");
	check_says(cli_err, "--resume");
	check_cli(0, "ats U L1 --json");
	check_equal(cli_json("cells.0.ats"), ROWS);
}

static void
json_lines_come_through_a_pipe(void)
{
	cli_write("lines.jsonl", "{\"sku\":\"J\",\"location\":\"L1\",\"qty\":4}\n{\"sku\":\"J\",\"location\":\"L1\",\"qty\":5}\n");
	check_cli(0, "post - --source web --number-from 1 --set kind=receipt --json <lines.jsonl");
	check_equal(cli_json("applied"), 2);
	check_cli(0, "ats J L1 --json");
	check_equal(cli_json("cells.0.ats"), 9);
}

static void
write_many(const char *name, int rows)
{
	static char text[1 << 20];
	size_t used = (size_t)snprintf(text, sizeof text, "source,n,kind,sku,location,qty,at\n");
	for (int i = 1; i <= rows; i++)
		used += (size_t)snprintf(text + used, sizeof text - used, "s,%d,sale,A,L1,1,%d\n", i, i);
	cli_write(name, text);
}

static void
a_refusal_for_the_moment_is_asked_again(void)
{
	struct fake_server fake;
	check(fake_start(&fake));
	write_many("many.csv", 1000);
	fake_refuse(&fake, "overloaded", 7);
	int code = cli("--server 127.0.0.1:%u post many.csv --rpc --batch 50 --json", fake.port);
	uint32_t taken = fake_settled(&fake);
	fake_stop(&fake);
	check_equal(code, 0);
	check_equal(cli_json("applied") + cli_json("duplicate"), 1000);
	check_equal(taken, 1000);
}

static void *
post_many(void *port)
{
	return (void *)(intptr_t)cli("--server 127.0.0.1:%u --timeout 20s post many.csv --rpc --batch 50 --json", *(uint16_t *)port);
}

static void
a_server_that_went_away_gets_what_it_did_not_answer_again(void)
{
	struct fake_server fake;
	pthread_t thread;
	void *code;
	check(fake_start(&fake));
	write_many("many.csv", 5000);
	fake_hold(&fake, true);
	pthread_create(&thread, NULL, post_many, &fake.port);
	bool came = fake_wait_events(&fake, 50);
	fake_away(&fake, true);
	fake_break(&fake);
	fake_hold(&fake, false);
	fake_away(&fake, false);
	pthread_join(thread, &code);
	uint32_t taken = fake_settled(&fake);
	fake_stop(&fake);
	check(came);
	check_equal((intptr_t)code, 0);
	check_equal(taken, 5000);
	check_equal(cli_json("rows"), 5000);
	check(cli_json("resent") > 0);
}

/* O11, whatever the line is doing: waiting for an answer as long as --timeout says, or for a server that went away. */
static void
ctrl_c_ends_a_post_whose_server_is_silent_or_away(void)
{
	struct fake_server fake;
	write_many("many.csv", 5000);
	for (int away = 0; away <= 1; away++) {
		check(fake_start(&fake));
		fake_hold(&fake, true);
		pid_t post = cli_start("--server 127.0.0.1:%u --timeout 1h post many.csv --rpc --batch 50 --json", fake.port);
		bool came = fake_wait_events(&fake, 50);
		fake_away(&fake, away);
		if (away)
			fake_break(&fake);
		kill(post, SIGINT);
		int code = cli_wait(post);
		fake_stop(&fake);
		check(came);
		check_equal(code, 130);
		check_equal(cli_json("interrupted"), 1);
		check(cli_json("not_answered") >= 50);
	}
}

/* The server is away: what the spool takes is counted as queued, what it cannot take is rejected with its reason. */
static void
a_spool_takes_rows_and_the_gate_says_how_many_wait(void)
{
	char server[32], spool[300];
	struct gate_process gate;
	snprintf(server, sizeof server, "127.0.0.1:%d", 1);
	snprintf(spool, sizeof spool, "%s/spool", cli_server.folder);
	const char *const options[] = { "--server", server, "--events", "127.0.0.1:0", "--feed", "off", "--spool", spool, NULL };
	cli_write("queued.csv", "source,n,kind,sku,location,qty\nq,1,receipt,A,L1,1\nq,2,sale,A,L1,1\nq,,sale,A,L1,1\n");
	check(rig_start_with(&gate, options));
	int posted = cli("post queued.csv --json --events 127.0.0.1:%u", gate.ports[DOOR_EVENTS]);
	long long queued = cli_json("queued"), rejected = cli_json("rejected");
	cli("gate 127.0.0.1:%u", gate.ports[DOOR_EVENTS]);
	check_equal(rig_end(&gate, SIGTERM), 0);
	check_equal(posted, 5);
	check_equal(queued, 2);
	check_equal(rejected, 1);
	check_says(cli_out, "server       away");
	check_says(cli_out, "2 events wait, the oldest for");
}

/*
 * The server does not answer and the spool is full: post waits, says so, and rejects what is left with the reason and the way out. When the
 * server is back the same file goes through whole by another gate, and nothing of it counts twice.
 */
static void
a_full_spool_is_waited_for_and_the_rest_is_kept_for_another_time(void)
{
	enum { ROWS = 60000 }; /* of 267 bytes: 16 MB, and what fits are 12.6 */
	static char text[ROWS * 256], rejected[1 << 16];
	char server[32], spool[300], wide[65];
	struct gate_process gate;
	memset(wide, 'w', 64);
	wide[64] = 0;
	size_t used = (size_t)snprintf(text, sizeof text, "source,n,kind,sku,location,qty,at,ref,reason\n");
	for (int i = 1; i <= ROWS; i++)
		used += (size_t)snprintf(text + used, sizeof text - used, "full,%d,receipt,F%.61s,L1,1,%d,%s,%s\n", i, wide, i, wide, wide);
	cli_write("full.csv", text);
	snprintf(server, sizeof server, "127.0.0.1:%u", cli_server.rpc);
	snprintf(spool, sizeof spool, "%s/spool-full", cli_server.folder);
	const char *const options[] = { "--server", server, "--events", "127.0.0.1:0", "--feed", "off", "--spool", spool, "--spool-bytes-max", "16M", NULL };
	check_equal(kill(cli_server.pid, SIGSTOP), 0);
	check(rig_start_with(&gate, options));
	int posted = cli("post full.csv --patience 300ms --events 127.0.0.1:%u", gate.ports[DOOR_EVENTS]);
	check_equal(kill(cli_server.pid, SIGCONT), 0);
	check_equal(posted, 5);
	check_says(cli_err, "the gate's spool is full: its rows are tried again");
	check_says(cli_err, "'holdfast gate' shows whether its server is away. Post the file again");
	check_says(cli_out, "queued");
	check_says(cli_out, "capacity");
	cli_slurp("full.csv.rejected.csv", rejected, sizeof rejected);
	check_says(rejected, ",capacity,\"the gate's spool is full and did not drain\",\"full,");
	check_equal(rig_end(&gate, SIGTERM), 0);
	check_cli(0, "post full.csv --json");
	check_equal(cli_json("rejected"), 0);
	check_cli(0, "ats F%.61s L1 --json", wide);
	check_equal(cli_json("cells.0.ats"), ROWS);
}

static const struct check tests[] = {
	CHECK(a_file_posted_again_changes_nothing),
	CHECK(rejected_rows_stand_beside_the_file_with_their_reasons),
	CHECK(a_long_quarantine_is_listed_replayed_and_dropped_whole),
	CHECK(nothing_of_a_damaged_gzip_file_is_sent),
	CHECK(a_shuffled_file_arrives_whole),
	CHECK(undated_rows_that_come_again_are_told_how_to_avoid_it),
	CHECK(json_lines_come_through_a_pipe),
	CHECK(a_refusal_for_the_moment_is_asked_again),
	CHECK(a_server_that_went_away_gets_what_it_did_not_answer_again),
	CHECK(ctrl_c_ends_a_post_whose_server_is_silent_or_away),
	CHECK(a_spool_takes_rows_and_the_gate_says_how_many_wait),
	CHECK(a_full_spool_is_waited_for_and_the_rest_is_kept_for_another_time),
};

int
main(int argc, char **argv)
{
	return cli_run(tests, sizeof tests / sizeof *tests, argc, argv);
}
