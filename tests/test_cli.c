/*
 * test_cli.c: the operator's command line as a person uses it: run as a program, against a server of its own. Each test looks at
 * what is printed and at the exit code.
 */
#define _GNU_SOURCE /* posix_openpt */
#include "tests/check.h"
#include "tests/cli.h"
#include "tests/scripted_peer.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

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
		snprintf(usage, sizeof usage, "usage: holdfast %s", name[i]);
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
		{ "policy", "what? set-safety, set-oversell, group or get" },
		{ "quarantine mend", "no 'quarantine mend'" },
		{ "completion fish", "bash or zsh" },
		{ "man ls", "there is no page 'ls'" },
		{ "post", "one FILE" },
		{ "post x --set colour=red", "key of an event" },
		{ "post x --set reason=$(printf %02048d 7)", "--set reason=0000000000000... is longer than a whole event may be" },
		{ "post x --source $(printf %02049d 7)", "--source is longer than a whole event may be" },
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
	check_cli(3, "post few.csv --events 127.0.0.1:%u", cli_server.push);
	check_says(cli_err, "not one that acknowledges");
	check_cli(3, "post few.csv --rpc --server 127.0.0.1:%u", cli_server.events);
	check_says(cli_err, "speaks nanomsg");
	check_cli(3, "--timeout 300ms post few.csv --rpc --server 127.0.0.1:%u", cli_server.http);
	check_says(cli_err, "--listen");
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
answer_lost(struct requests *r)
{
	uint32_t number;
	request_next(r, &number);
}

/* Nobody but this program knows an id that it made up: lost with the answer, a script's repeat would hold the units twice. */
static void
what_a_repeat_needs_is_shown_when_the_answer_is_lost(void)
{
	static const struct {
		const char *words, *out, *err;
	} row[] = {
		{ "reserve A L1 2 --json", "\"id\":\"cli-", "id cli-" },
		{ "commit r-1 A L1 1 --json", "\"ref\":\"cli-", "ref cli-" },
		{ "release r-1 A L1 1 --ref mine --json", "\"id\":\"r-1\",\"ref\":\"mine\"}", "" },
		{ "reserve A L1 2", "", "with this --id, does nothing twice" },
		{ "pin r-1 5m", "", "refused if it is" },
		{ "policy set-safety A L1 2", "", "'holdfast policy get' tells" },
		{ "quarantine drop 1", "", "'holdfast quarantine list' tells" },
	};
	enum { ROWS = sizeof row / sizeof *row };
	peer_part parts[ROWS + 2] = { NULL };
	struct scripted_peer peer;
	int code[ROWS];
	static char out[ROWS][1024], err[ROWS][1024];
	for (int i = 0; i < ROWS; i++)
		parts[i] = answer_lost;
	parts[ROWS] = request_drain;
	scripted_start(&peer, parts);
	for (int i = 0; i < ROWS; i++) {
		code[i] = cli("--server 127.0.0.1:%u %s", peer.port, row[i].words);
		snprintf(out[i], sizeof out[i], "%.1023s", cli_out);
		snprintf(err[i], sizeof err[i], "%.1023s", cli_err);
	}
	pid_t waits = cli_start("--server 127.0.0.1:%u reserve A L1 2", peer.port);
	bool shown = cli_prints("id cli-");
	kill(waits, SIGINT);
	cli_wait(waits);
	scripted_stop(&peer);
	for (int i = 0; i < ROWS; i++) {
		check_equal(code[i], 4);
		check_says(out[i], row[i].out);
		check_says(err[i], row[i].err);
	}
	check(shown);
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
	char ports[96];
	snprintf(ports, sizeof ports, "takes events on port %u", cli_server.events);
	check_says(cli_out, ports);
	check(!strstr(cli_out, "gate_port") && !strstr(cli_out, "memory_max"));
	check_cli(0, "status --json");
	check(cli_json("tables.cells.0") > 0);
}

/* Paths are bytes, and what a script needs must not be lost for one of them. */
static void
json_stands_whatever_bytes_a_name_has(void)
{
	check_cli(1, "reserve A L1 1 --id $(printf 'r\\351') --json");
	check_says(cli_out, "{\"error\":{\"code\":\"");
	check_says(cli_out, "\"id\":\"72e9\"}\n");
	check_cli(7, "post $(printf 'no\\351.csv') --json");
	check_says(cli_out, "{\"error\":{\"code\":\"file\",\"message\":\"no\xef\xbf\xbd.csv: No such file");
	cli_write("caf\xe9.csv", "source,n,kind,sku,location,qty\ncafe,1,receipt,A,L1,1\ncafe,2,sale,A,L1,x\n");
	check_cli(5, "post $(printf 'caf\\351.csv') --json");
	check_equal(cli_json("applied"), 1);
	check_says(cli_out, "\"rejected_file\":\"caf\xef\xbf\xbd.csv.rejected.csv\"");
	check_cli(0, "backup $(printf 'b\\351') --json");
	check_says(cli_out, "{\"backup\":\"b\xef\xbf\xbd\"");
	check_cli(0, "restore $(printf 'b\\351') --data $(printf 'd\\351') --json");
	check_says(cli_out, "{\"data\":\"d\xef\xbf\xbd\"");
	check_cli(7, "doctor $(printf 'none\\351') --json");
	check_says(cli_out, "there is no folder none\xef\xbf\xbd\"");
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

/* What a person sees on a terminal while this runs; its exit code. Static. */
static const char *
on_a_terminal(const char *words, int *code)
{
	static char seen[1 << 14];
	static const char mark[] = "that was all";
	int terminal = posix_openpt(O_RDWR | O_NOCTTY), line = -1;
	size_t used = 0;
	ssize_t n;
	*code = -1;
	if (terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0 && (line = open(ptsname(terminal), O_RDWR | O_NOCTTY)) >= 0) {
		setenv("TERM", "xterm", 1);
		*code = cli("%s 2>%s >shown; (exit $?)", words, ptsname(terminal));
		n = write(line, mark, sizeof mark - 1);
		while (n > 0 && !memmem(seen, used, mark, sizeof mark - 1) && used < sizeof seen - 1 &&
		    (n = read(terminal, seen + used, sizeof seen - 1 - used)) > 0)
			used += (size_t)n;
	}
	seen[used < sizeof mark ? 0 : used - (sizeof mark - 1)] = 0;
	close(line);
	close(terminal);
	return seen;
}

/* An image may have 64 GB: a person should see that something is done, and how long it takes. */
static void
long_work_on_files_shows_how_far_it_is(void)
{
	static const struct {
		const char *words, *says;
	} row[] = {
		{ "backup seen", "%  copying" },
		{ "backup seen", "%  checking the copy" },
		{ "restore seen --data seen-again", "%  checking the copy" },
		{ "doctor seen-again", "%  reading the journal" },
		{ "doctor seen-again", "%  checking the image" },
	};
	int code;
	check_stocked("seen", 1);
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		const char *seen = on_a_terminal(row[i].words, &code);
		check_equal(code, 0);
		if (!strstr(seen, row[i].says))
			printf("     row %zu, seen: %s\n", i, seen);
		check_says(seen, row[i].says);
		check(strcmp(seen + strlen(seen) - 4, "\r\033[K") == 0); /* nothing of it is left */
	}
	check(!strstr(on_a_terminal("doctor seen-again --json", &code), "%"));
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
	CHECK(what_a_repeat_needs_is_shown_when_the_answer_is_lost),
	CHECK(unknown_skus_and_locations_are_told_apart),
	CHECK(a_gate_says_how_it_is),
	CHECK(policies_are_set_and_seen),
	CHECK(status_is_a_page_and_an_object),
	CHECK(json_stands_whatever_bytes_a_name_has),
	CHECK(long_work_on_files_shows_how_far_it_is),
	CHECK(the_doctor_looks_at_a_folder_at_rest),
};

int
main(int argc, char **argv)
{
	return cli_run(tests, sizeof tests / sizeof *tests, argc, argv);
}
