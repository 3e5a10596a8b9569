/*
 * test_cli.c: the operator's command line as a person uses it: run as a program, against a server of its own. Each test looks at
 * what is printed and at the exit code.
 */
#include "tests/check.h"
#include "tests/fake_server.h"
#include "tests/spawn.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct server server;
static char program[512], out[1 << 16], err[1 << 16];

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

/* Runs holdfast in the server's folder, with the server's addresses in its environment; fills out and err. Its exit code. */
__attribute__((format(printf, 1, 2))) static int
cli(const char *format, ...)
{
	char words[2048], line[4096];
	va_list args;
	va_start(args, format);
	vsnprintf(words, sizeof words, format, args);
	va_end(args);
	snprintf(line, sizeof line,
	    "cd %s && HOLDFAST_SERVER=127.0.0.1:%u HOLDFAST_EVENTS=127.0.0.1:%u %s </dev/null %s >out 2>err", server.folder, server.rpc,
	    server.events, program, words);
	int status = system(line);
	slurp("out", out, sizeof out);
	slurp("err", err, sizeof err);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
write_rows(const char *name, const char *text)
{
	char path[400];
	snprintf(path, sizeof path, "%s/%s", server.folder, name);
	FILE *f = fopen(path, "w");
	fputs(text, f);
	fclose(f);
}

/* The integer at a path of keys ("a.b") in the JSON that was printed, or -999. */
static long long
json_at(const char *path)
{
	char key[64];
	json_t *all = json_loads(out, 0, NULL), *j = all;
	while (*path && j) {
		size_t n = strcspn(path, ".");
		snprintf(key, sizeof key, "%.*s", (int)n, path);
		j = json_is_array(j) ? json_array_get(j, (size_t)atoi(key)) : json_object_get(j, key);
		path += n + (path[n] == '.');
	}
	long long got = json_is_integer(j) ? json_integer_value(j) : json_is_boolean(j) ? json_is_true(j) : -999;
	json_decref(all);
	return got;
}

#define check_says(where, text) \
	do { \
		if (!strstr(where, text)) { \
			printf("     stdout: %s     stderr: %s", out, err); \
			check(strstr(where, text) != NULL); \
		} \
	} while (0)
#define check_cli(code, ...) \
	do { \
		int check_code = cli(__VA_ARGS__); \
		if (check_code != (code)) { \
			printf("     stdout: %s     stderr: %s", out, err); \
			check_equal(check_code, code); \
		} \
	} while (0)

/* So that each test stands alone: qty units of the SKU at L1, from a source of the same name. */
static void
stock_up(const char *sku, int qty)
{
	char rows[256];
	snprintf(rows, sizeof rows, "source,n,kind,sku,location,qty\n%s,1,receipt,%s,L1,%d\n", sku, sku, qty);
	write_rows("stock.csv", rows);
	check_cli(0, "post stock.csv");
}

/* ---- without a server ---- */

static void
help_stands_for_each_subcommand(void)
{
	static const char *const name[] = { "status", "ats", "stock", "reserve", "commit", "release", "fulfil", "extend",
		"pin", "move", "show", "post", "position",
		"policy", "quarantine", "digest", "doctor" };
	char usage[64];
	check_cli(0, "--help");
	for (size_t i = 0; i < sizeof name / sizeof *name; i++)
		check_says(out, name[i]);
	for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
		check_cli(0, "%s --help", name[i]);
		snprintf(usage, sizeof usage, "usage: holdfast %s ", name[i]);
		check_says(out, usage);
		check_says(out, "--server HOST:PORT");
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
	char *from = strstr(out, "exit codes:\n");
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
		{ "post", "one FILE" },
		{ "post x --set colour=red", "key of an event" },
	};
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		check_cli(2, "%s", row[i].words);
		check_says(err, row[i].says);
		check_says(err, "help: holdfast");
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
	check_says(err, "nothing listens on 127.0.0.1:");
	check_says(err, "holdfastd --data DIR");
	check_says(err, "--server HOST:PORT");
	check_cli(3, "--server 127.0.0.1:%u status --json", ntohs(a.sin_port));
	check_says(out, "{\"error\":{\"code\":\"unreachable\"");
	check_cli(7, "post nowhere.csv");
	check_says(err, "nowhere.csv: No such file");
	write_rows("few.csv", "source,n,kind,sku,location,qty\np,1,receipt,A,L,1\n");
	check_cli(3, "post few.csv --events 127.0.0.1:%u", ntohs(a.sin_port));
	check_cli(3, "post few.csv --rpc --server 127.0.0.1:%u", ntohs(a.sin_port));
	check_cli(2, "--server 127.0.0.1:%u post few.csv --events \"\"", ntohs(a.sin_port));
	check_says(err, "which gate?");
	check_cli(7, "doctor nowhere");
	close(fd);
}

/* ---- with one ---- */

static void
the_wrong_port_of_the_right_server_is_named(void)
{
	check_cli(3, "--server 127.0.0.1:%u ats A L", server.events);
	check_says(err, "speaks nanomsg");
	check_cli(3, "--timeout 300ms --server 127.0.0.1:%u ats A L", server.http);
	check_says(err, "--listen");
	write_rows("few.csv", "source,n,kind,sku,location,qty\np,1,receipt,A,L,1\n");
	check_cli(3, "post few.csv --events 127.0.0.1:%u", server.rpc);
}

static void
stock_is_posted_held_committed_and_seen(void)
{
	write_rows("day.csv", "source,n,kind,sku,location,qty,ref\n"
			      "wms,1,receipt,0042,L1,10,\nwms,2,receipt,0042,L2,5,\nwms,3,sale,0042,L1,3,inv-1\n");
	check_cli(0, "post day.csv");
	check_says(out, "day.csv: 3 rows");
	check_cli(0, "ats 0042 L1 L2");
	check_says(out, "L1          7\n");
	check_cli(0, "--json ats 0042 L1 L2");
	check_equal(json_at("cells.0.ats"), 7);
	check_equal(json_at("cells.1.ats"), 5);
	check_cli(0, "reserve 0042 L1 2 0042 L2 1 --id r-1 --ttl 10m --owner anna");
	check_says(out, "held r-1, until 20");
	check_cli(0, "reserve 0042 L1 2 0042 L2 1 --id r-1 --ttl 10m --owner anna");
	check_says(out, "again");
	check_cli(0, "commit r-1 0042 L1 1 --ref part");
	check_cli(0, "commit r-1 0042 L1 1 --ref part");
	check_says(out, "again");
	check_cli(0, "--json show r-1");
	check_equal(json_at("lines.0.committed"), 1);
	check_equal(json_at("lines.0.held"), 1);
	check_cli(0, "commit r-1");
	check_cli(0, "fulfil r-1 0042 L2 1 --ref parcel");
	check_cli(0, "release r-1 --json");
	check_cli(0, "show r-1");
	check_says(out, "owner    anna");
	check_cli(0, "stock 0042 L2 --json");
	check_equal(json_at("cells.0.stock.on_hand"), 4);
	check_cli(0, "stock 0042 L1");
	check_says(out, "ATS");
	check_cli(0, "reserve 0042 L1 1");
	check_says(out, "held cli-");
}

static void
a_hold_is_extended_pinned_and_moved(void)
{
	stock_up("longer", 5);
	write_rows("there.csv", "source,n,kind,sku,location,qty\nlonger,2,receipt,longer,L2,5\n");
	check_cli(0, "post there.csv");
	check_calm();
	check_cli(0, "reserve longer L1 2 --id longer-1 --ttl 10m --json");
	long long first = json_at("expires_at");
	check_cli(0, "extend longer-1 1h --json");
	check(json_at("expires_at") >= first + 49 * 60000);
	check_cli(0, "extend longer-1 5m");
	check_says(out, "longer-1 now holds until 20");
	check_cli(0, "pin longer-1 5m");
	check_says(out, "longer-1 is pinned");
	check_cli(1, "pin longer-1 5m");
	check_cli(0, "move longer-1 0 L2");
	check_says(out, "line 0 of longer-1 is at L2\n");
	check_cli(0, "move longer-1 0 L2");
	check_says(out, "again");
	check_cli(0, "ats longer L1 L2 --json");
	check_equal(json_at("cells.0.ats"), 5);
	check_equal(json_at("cells.1.ats"), 3);
	check_cli(1, "extend longer-1 100h");
	check_says(err, "--ttl-max-ms");
	check_cli(1, "extend longer-none 5m --json");
	check_says(out, "\"not_found\"");
}

static void
what_is_refused_says_what_there_is(void)
{
	stock_up("few", 6);
	check_calm();
	check_cli(1, "reserve few L1 1000 --id r-2");
	check_says(err, "insufficient");
	check_says(err, "asked 1,000, available 6");
	check_cli(1, "--json reserve few L1 1000 --id r-2");
	check_equal(json_at("error.detail.lines.0.available"), 6);
	check_cli(0, "reserve few L1 1000 --id r-2 --partial --json");
	check_equal(json_at("lines.0.2"), 6);
	check_cli(0, "release r-2");
	check_cli(1, "commit r-none");
	check_says(err, "not_found");
}

static void
unknown_skus_and_locations_are_told_apart(void)
{
	stock_up("007", 1);
	check_calm();
	check_cli(1, "ats 7 L1");
	check_says(err, "unknown SKU '7'");
	check_cli(1, "stock 007 L9");
	check_says(err, "unknown location or group 'L9'");
	check_cli(1, "ats --json 007 L1 L9");
	check_says(out, "\"location\":\"L9\",\"ats\":null");
	check_cli(1, "reserve 7 L1 1");
	check_says(err, "unknown_sku");
}

static void
a_file_posted_again_changes_nothing(void)
{
	write_rows("twice.csv", "source,n,kind,sku,location,qty\ntwice,1,receipt,T,L1,10\ntwice,2,sale,T,L1,1\ntwice,3,sale,T,L1,1\n");
	check_cli(0, "post twice.csv --json");
	check_equal(json_at("applied"), 3);
	check_cli(0, "digest --json");
	char before[1 << 12];
	snprintf(before, sizeof before, "%s", strstr(out, "\"stock\""));
	check_cli(0, "post twice.csv --json");
	check_equal(json_at("duplicate"), 3);
	check_cli(0, "post twice.csv --rpc --json");
	check_equal(json_at("duplicate"), 3);
	check_cli(0, "post twice.csv --resume --json");
	check_equal(json_at("skipped"), 3);
	check_equal(json_at("rows"), 0);
	check_cli(0, "digest --json");
	check_says(before, strstr(out, "\"stock\""));
	check_cli(0, "position twice");
	check_says(out, "all up to     3");
}

static void
rejected_rows_stand_beside_the_file_with_their_reasons(void)
{
	static char rejected[4096];
	write_rows("bad.csv", "source,n,kind,sku,location,qty,reason\n"
			      "till,1,receipt,A,L1,5,\n"
			      "till,2,sale,A,L1,1.5,\n"
			      "till,3,adjust,A,L1,-1,\n"
			      "till,4,sale,A,L1,1,,extra\n"
			      "till,5,adjust,A,L1,-1,\"lost, \"\"somewhere\"\"\"\n");
	check_cli(5, "post bad.csv");
	check_says(out, "bad_request");
	check_says(out, "bad.csv.rejected.csv");
	slurp("bad.csv.rejected.csv", rejected, sizeof rejected);
	check_says(rejected, "row,code,message,line\n");
	check_says(rejected, "\n2,bad_request,\"");
	check_says(rejected, ",\"till,2,sale,A,L1,1.5,\"\n");
	check_says(rejected, "\n4,bad_request,\"the row has more fields than the header\",\"till,4,sale,A,L1,1,,extra\"\n");
	check_cli(0, "quarantine list");
	check_says(out, "\"till\"");
	check_cli(0, "quarantine list --json");
	long long number = json_at("items.0.quarantine");
	check(number > 0);
	check_cli(5, "quarantine replay %lld", number);
	check_says(out, "still rejected");
	check_cli(0, "quarantine drop %lld", number);
	check_cli(0, "position till");
	check_says(out, "missing       4 to 4");
	check_cli(0, "position till --skip-to 4");
	check_says(out, "all up to     5");
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
	write_rows("mixed.csv", text);
	check_cli(0, "post mixed.csv --json");
	check_equal(json_at("applied"), ROWS);
	check_cli(0, "ats MIX L1 --json");
	check_equal(json_at("cells.0.ats"), ROWS);
	check_cli(0, "post mixed.csv --rpc --json --batch 77");
	check_equal(json_at("duplicate"), ROWS);
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
	write_rows("undated.csv", text);
	check_cli(0, "post undated.csv --json");
	check_equal(json_at("applied"), ROWS);
	check_cli(0, "post undated.csv --resume --json");
	check_equal(json_at("skipped"), ROWS);
	check_cli(5, "post undated.csv");
	check_says(err, "have no 'at'");
	check_says(err, "--resume");
	check_cli(0, "ats U L1 --json");
	check_equal(json_at("cells.0.ats"), ROWS);
}

static void
json_lines_come_through_a_pipe(void)
{
	write_rows("lines.jsonl", "{\"sku\":\"J\",\"location\":\"L1\",\"qty\":4}\n{\"sku\":\"J\",\"location\":\"L1\",\"qty\":5}\n");
	check_cli(0, "post - --source web --number-from 1 --set kind=receipt --json <lines.jsonl");
	check_equal(json_at("applied"), 2);
	check_cli(0, "ats J L1 --json");
	check_equal(json_at("cells.0.ats"), 9);
}

/* ---- with one that gets into trouble ---- */

static void
write_many(const char *name, int rows)
{
	static char text[1 << 20];
	size_t used = (size_t)snprintf(text, sizeof text, "source,n,kind,sku,location,qty,at\n");
	for (int i = 1; i <= rows; i++)
		used += (size_t)snprintf(text + used, sizeof text - used, "s,%d,sale,A,L1,1,%d\n", i, i);
	write_rows(name, text);
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
	check_equal(json_at("applied") + json_at("duplicate"), 1000);
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
	check_equal(json_at("rows"), 5000);
	check(json_at("resent") > 0);
}

static void
policies_are_set_and_seen(void)
{
	write_rows("both.csv", "source,n,kind,sku,location,qty\nboth,1,receipt,P,L1,9\nboth,2,receipt,other,L2,1\n");
	check_cli(0, "post both.csv");
	check_cli(0, "policy set-safety P L1 2");
	check_cli(0, "policy set-oversell P L1 1");
	check_cli(0, "policy get P L1");
	check_says(out, "safety stock    2");
	check_cli(0, "--json ats P L1");
	check_equal(json_at("cells.0.ats"), 8);
	check_cli(0, "policy group ALL L1 L2");
	check_cli(0, "policy get ALL");
	check_says(out, "  1  L1\n  2  L2\n");
	check_cli(0, "--json ats P ALL");
	check_equal(json_at("cells.0.ats"), 8);
	check_cli(0, "policy group ALL --remove");
	check_cli(1, "ats P ALL");
	check_says(err, "unknown location or group 'ALL'");
	check_cli(1, "policy group L1 L2");
}

static void
status_is_a_page_and_an_object(void)
{
	write_rows("odd.csv", "source,n,kind,sku,location,qty\nodd,1,receipt,O,L1,x\n");
	check_cli(5, "post odd.csv --rejected odd.out");
	check_cli(0, "status");
	check_says(out, "TABLE");
	check_says(out, "in quarantine: 'holdfast quarantine list'");
	check_cli(0, "status --json");
	check(json_at("tables.cells.0") > 0);
}

static void
the_doctor_looks_at_a_folder_at_rest(void)
{
	stock_up("doc", 1);
	check_calm();
	check_cli(7, "doctor data");
	check_equal(server_stop(&server), 0);
	check_cli(0, "doctor data");
	check_says(out, "sound");
	check_cli(0, "doctor data --files");
	check_cli(0, "doctor data --json");
	check_equal(json_at("good"), 1);
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
	CHECK(a_shuffled_file_arrives_whole),
	CHECK(undated_rows_that_come_again_are_told_how_to_avoid_it),
	CHECK(json_lines_come_through_a_pipe),
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
	static const char *const words[] = { "--loops", "1", NULL };
	struct why why;
	spawn_program("holdfast", program, sizeof program);
	if (server_init(&server, &why) < 0 || server_start(&server, words, &why) < 0) {
		printf("%s\n0 passed, 1 failed\n", why.text);
		server_remove(&server);
		return 1;
	}
	int failed = check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv);
	server_remove(&server);
	return failed;
}
