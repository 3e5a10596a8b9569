/*
 * test_cli.c: the operator's command line as a person uses it: run as a program, against a server of its own. Each test looks at
 * what is printed and at the exit code.
 */
#include "tests/check.h"
#include "tests/cli.h"
#include "tests/fake_server.h"
#include "tests/gate_rig.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

/* ---- without a server ---- */

static void
help_stands_for_each_subcommand(void)
{
	static const char *const name[] = { "status", "ats", "stock", "reserve", "commit", "release", "fulfil", "extend",
		"pin", "move", "show", "post", "position",
		"policy", "quarantine", "digest", "backup", "restore", "doctor", "scan", "watch",
		"gate", "completion", "man" };
	char usage[64];
	check_cli(0, "--help");
	for (size_t i = 0; i < sizeof name / sizeof *name; i++)
		check_says(cli_out, name[i]);
	for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
		check_cli(0, "%s --help", name[i]);
		snprintf(usage, sizeof usage, "usage: holdfast %s ", name[i]);
		check_says(cli_out, usage);
		check_says(cli_out, "--server HOST:PORT");
	}
	check_cli(0, "--version");
	check_cli(2, " ");
}

static void
the_page_lists_the_exit_codes_that_help_lists(void)
{
	char row[256], *line, *rest;
	static char page[1 << 16];
	FILE *f = fopen("cmd/DESIGN.md", "r");
	check(f != NULL);
	page[fread(page, 1, sizeof page - 1, f)] = 0;
	fclose(f);
	check_cli(0, "--help");
	int codes = 0;
	char *from = strstr(cli_out, "exit codes:\n");
	check(from != NULL);
	for (line = strtok_r(from + 12, "\n", &rest); line && line[0] == ' '; line = strtok_r(NULL, "\n", &rest), codes++) {
		snprintf(row, sizeof row, "\n| %d |", atoi(line));
		check_says(page, row);
	}
	check_equal(codes, 9);
}

static void
a_wrong_command_line_is_told_with_where_the_help_is(void)
{
	static const struct {
		const char *words, *says;
	} row[] = {
		{ "atss", "did you mean 'ats'" },
		{ "ats", "at least one location" },
		{ "ats --nonsense", "no option --nonsense" },
		{ "reserve A L", "three words each" },
		{ "reserve A L 0", "quantity '0'" },
		{ "reserve A L 1 --ttl 15", "'15' is no time" },
		{ "--server nowhere:x ats A L", "no HOST:PORT" },
		{ "extend r-1 5", "'5' is no time" },
		{ "pin r-1", "pin cart-1 10m" },
		{ "move r-1 first L1", "no number of a line" },
		{ "policy set-safety A L -- -1", "not a whole number" },
		{ "policy", "policy what?" },
		{ "quarantine mend", "no 'quarantine mend'" },
		{ "completion fish", "bash or zsh" },
		{ "man ls", "there is no page 'ls'" },
		{ "post", "one FILE" },
		{ "post x --set colour=red", "key of an event" },
	};
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		check_cli(2, "%s", row[i].words);
		check_says(cli_err, row[i].says);
		check_says(cli_err, "help: holdfast");
	}
}

static void
no_server_is_told_with_the_way_out(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0); /* bound, never listening: its port refuses */
	bind(fd, (struct sockaddr *)&a, sizeof a);
	getsockname(fd, (struct sockaddr *)&a, &n);
	check_cli(3, "--server 127.0.0.1:%u ats A L", ntohs(a.sin_port));
	check_says(cli_err, "nothing listens on 127.0.0.1:");
	check_says(cli_err, "holdfastd --data DIR");
	check_says(cli_err, "--server HOST:PORT");
	check_cli(3, "--server 127.0.0.1:%u status --json", ntohs(a.sin_port));
	check_says(cli_out, "{\"error\":{\"code\":\"unreachable\"");
	check_cli(7, "post nowhere.csv");
	check_says(cli_err, "nowhere.csv: No such file");
	cli_write("few.csv", "source,n,kind,sku,location,qty\np,1,receipt,A,L,1\n");
	check_cli(3, "post few.csv --events 127.0.0.1:%u", ntohs(a.sin_port));
	check_cli(3, "post few.csv --rpc --server 127.0.0.1:%u", ntohs(a.sin_port));
	check_cli(2, "--server 127.0.0.1:%u post few.csv --events \"\"", ntohs(a.sin_port));
	check_says(cli_err, "which gate?");
	check_cli(7, "doctor nowhere");
	close(fd);
}

/* ---- with one ---- */

static void
the_wrong_port_of_the_right_server_is_named(void)
{
	check_cli(3, "--server 127.0.0.1:%u ats A L", cli_server.events);
	check_says(cli_err, "speaks nanomsg");
	check_cli(3, "--timeout 300ms --server 127.0.0.1:%u ats A L", cli_server.http);
	check_says(cli_err, "--listen");
	cli_write("few.csv", "source,n,kind,sku,location,qty\np,1,receipt,A,L,1\n");
	check_cli(3, "post few.csv --events 127.0.0.1:%u", cli_server.rpc);
}

static void
stock_is_posted_held_committed_and_seen(void)
{
	cli_write("day.csv", "source,n,kind,sku,location,qty,ref\n"
			      "wms,1,receipt,0042,L1,10,\nwms,2,receipt,0042,L2,5,\nwms,3,sale,0042,L1,3,inv-1\n");
	check_cli(0, "post day.csv");
	check_says(cli_out, "day.csv: 3 rows");
	check_cli(0, "ats 0042 L1 L2");
	check_says(cli_out, "L1          7\n");
	check_cli(0, "--json ats 0042 L1 L2");
	check_equal(cli_json("cells.0.ats"), 7);
	check_equal(cli_json("cells.1.ats"), 5);
	check_cli(0, "reserve 0042 L1 2 0042 L2 1 --id r-1 --ttl 10m --owner anna");
	check_says(cli_out, "held r-1, until 20");
	check_cli(0, "reserve 0042 L1 2 0042 L2 1 --id r-1 --ttl 10m --owner anna");
	check_says(cli_out, "again");
	check_cli(0, "commit r-1 0042 L1 1 --ref part");
	check_cli(0, "commit r-1 0042 L1 1 --ref part");
	check_says(cli_out, "again");
	check_cli(0, "--json show r-1");
	check_equal(cli_json("lines.0.committed"), 1);
	check_equal(cli_json("lines.0.held"), 1);
	check_cli(0, "commit r-1");
	check_cli(0, "fulfil r-1 0042 L2 1 --ref parcel");
	check_cli(0, "release r-1 --json");
	check_cli(0, "show r-1");
	check_says(cli_out, "owner    anna");
	check_cli(0, "stock 0042 L2 --json");
	check_equal(cli_json("cells.0.stock.on_hand"), 4);
	check_cli(0, "stock 0042 L1");
	check_says(cli_out, "ATS");
	check_cli(0, "reserve 0042 L1 1");
	check_says(cli_out, "held cli-");
}

static void
a_hold_is_extended_pinned_and_moved(void)
{
	check_stocked("longer", 5);
	cli_write("there.csv", "source,n,kind,sku,location,qty\nlonger,2,receipt,longer,L2,5\n");
	check_cli(0, "post there.csv");
	check_cli(0, "reserve longer L1 2 --id longer-1 --ttl 10m --json");
	long long first = cli_json("expires_at");
	check_cli(0, "extend longer-1 1h --json");
	check(cli_json("expires_at") >= first + 49 * 60000);
	check_cli(0, "extend longer-1 5m");
	check_says(cli_out, "longer-1 now holds until 20");
	check_cli(0, "pin longer-1 5m");
	check_says(cli_out, "longer-1 is pinned");
	check_cli(1, "pin longer-1 5m");
	check_cli(0, "move longer-1 0 L2");
	check_says(cli_out, "line 0 of longer-1 is at L2\n");
	check_cli(0, "move longer-1 0 L2");
	check_says(cli_out, "again");
	check_cli(0, "ats longer L1 L2 --json");
	check_equal(cli_json("cells.0.ats"), 5);
	check_equal(cli_json("cells.1.ats"), 3);
	check_cli(1, "extend longer-1 100h");
	check_says(cli_err, "--ttl-max-ms");
	check_cli(1, "extend longer-none 5m --json");
	check_says(cli_out, "\"not_found\"");
}

static void
what_is_refused_says_what_there_is(void)
{
	check_stocked("few", 6);
	check_cli(1, "reserve few L1 1000 --id r-2");
	check_says(cli_err, "insufficient");
	check_says(cli_err, "asked 1,000, available 6");
	check_cli(1, "--json reserve few L1 1000 --id r-2");
	check_equal(cli_json("error.detail.lines.0.available"), 6);
	check_cli(0, "reserve few L1 1000 --id r-2 --partial --json");
	check_equal(cli_json("lines.0.2"), 6);
	check_cli(0, "release r-2");
	check_cli(1, "commit r-none");
	check_says(cli_err, "not_found");
}

static void
unknown_skus_and_locations_are_told_apart(void)
{
	check_stocked("007", 1);
	check_cli(1, "ats 7 L1");
	check_says(cli_err, "unknown SKU '7'");
	check_cli(1, "stock 007 L9");
	check_says(cli_err, "unknown location or group 'L9'");
	check_cli(1, "ats --json 007 L1 L9");
	check_says(cli_out, "\"location\":\"L9\",\"ats\":null");
	check_cli(1, "reserve 7 L1 1");
	check_says(cli_err, "unknown_sku");
}

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

/* ---- with one that gets into trouble ---- */

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

static void
a_gate_says_how_it_is(void)
{
	check_cli(0, "gate --json");
	check_equal(cli_json("server_up"), 1);
	check_equal(cli_json("spool_bytes_max"), 0);
	check_cli(0, "gate");
	check_says(cli_out, "server       connected");
	check_says(cli_out, "spool        none");
	check_cli(3, "gate 127.0.0.1:%u", cli_server.rpc);
	check_says(cli_err, "not a Holdfast gate");
	check_cli(2, "gate nowhere:x");
	check_cli(2, "gate a b");
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

static void
policies_are_set_and_seen(void)
{
	cli_write("both.csv", "source,n,kind,sku,location,qty\nboth,1,receipt,P,L1,9\nboth,2,receipt,other,L2,1\n");
	check_cli(0, "post both.csv");
	check_cli(0, "policy set-safety P L1 2");
	check_cli(0, "policy set-oversell P L1 1");
	check_cli(0, "policy get P L1");
	check_says(cli_out, "safety stock    2");
	check_cli(0, "--json ats P L1");
	check_equal(cli_json("cells.0.ats"), 8);
	check_cli(0, "policy group ALL L1 L2");
	check_cli(0, "policy get ALL");
	check_says(cli_out, "  1  L1\n  2  L2\n");
	check_cli(0, "--json ats P ALL");
	check_equal(cli_json("cells.0.ats"), 8);
	check_cli(0, "policy group ALL --remove");
	check_cli(1, "ats P ALL");
	check_says(cli_err, "unknown location or group 'ALL'");
	check_cli(1, "policy group L1 L2");
}

static void
status_is_a_page_and_an_object(void)
{
	cli_write("odd.csv", "source,n,kind,sku,location,qty\nodd,1,receipt,O,L1,x\n");
	check_cli(5, "post odd.csv --rejected odd.out");
	check_cli(0, "status");
	check_says(cli_out, "TABLE");
	check_says(cli_out, "in quarantine: 'holdfast quarantine list'");
	check_cli(0, "status --json");
	check(cli_json("tables.cells.0") > 0);
}

static void
the_doctor_looks_at_a_folder_at_rest(void)
{
	check_stocked("doc", 1);
	check_cli(7, "doctor data");
	check_equal(server_stop(&cli_server), 0);
	check_cli(0, "doctor data");
	check_says(cli_out, "sound");
	check_cli(0, "doctor data --files");
	check_cli(0, "doctor data --json");
	check_equal(cli_json("good"), 1);
}

static const struct check tests[] = {
	CHECK(help_stands_for_each_subcommand),
	CHECK(the_page_lists_the_exit_codes_that_help_lists),
	CHECK(a_wrong_command_line_is_told_with_where_the_help_is),
	CHECK(no_server_is_told_with_the_way_out),
	CHECK(the_wrong_port_of_the_right_server_is_named),
	CHECK(stock_is_posted_held_committed_and_seen),
	CHECK(a_hold_is_extended_pinned_and_moved),
	CHECK(what_is_refused_says_what_there_is),
	CHECK(unknown_skus_and_locations_are_told_apart),
	CHECK(a_file_posted_again_changes_nothing),
	CHECK(rejected_rows_stand_beside_the_file_with_their_reasons),
	CHECK(nothing_of_a_damaged_gzip_file_is_sent),
	CHECK(a_shuffled_file_arrives_whole),
	CHECK(undated_rows_that_come_again_are_told_how_to_avoid_it),
	CHECK(json_lines_come_through_a_pipe),
	CHECK(a_gate_says_how_it_is),
	CHECK(a_spool_takes_rows_and_the_gate_says_how_many_wait),
	CHECK(policies_are_set_and_seen),
	CHECK(a_refusal_for_the_moment_is_asked_again),
	CHECK(a_server_that_went_away_gets_what_it_did_not_answer_again),
	CHECK(status_is_a_page_and_an_object),
	CHECK(the_doctor_looks_at_a_folder_at_rest),
};

/* The tests share one server, and names keep them apart; the last one stops it. */
int
main(int argc, char **argv)
{
	if (!cli_begin())
		return 1;
	int failed = check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv);
	cli_end();
	return failed;
}
