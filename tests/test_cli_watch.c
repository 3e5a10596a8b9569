/*
 * test_cli_watch.c: `holdfast watch` as a person uses it: live and from a position on, across a server that is killed, and what it says at
 * its end.
 */
#include "tests/check.h"
#include "tests/cli.h"

#include <signal.h>

static int
lines_of(const char *text)
{
	int n = 0;
	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static long long
position_now(void)
{
	cli("digest --json");
	return cli_json("seq");
}

/* The last line of what was printed. */
static const char *
last_line(void)
{
	char *at = cli_out + strlen(cli_out);
	for (int ends = 0; at > cli_out && (ends += at[-1] == '\n') < 2;)
		at--;
	return at;
}

static void
what_happens_from_now_on_is_told_until_ctrl_c(void)
{
	check_stocked("live", 10);
	pid_t pid = cli_start("watch --sku live");
	check(cli_prints("watching from position "));
	check_cli(0, "reserve live L1 3");
	check(cli_prints("10 -> 7"));
	check_stocked("other", 1);
	check_cli(0, "reserve live L1 7");
	check(cli_prints("7 -> 0"));
	kill(pid, SIGINT);
	check_equal(cli_wait(pid), 130);
	check_equal(lines_of(cli_out), 2);
	check_says(cli_out, "live  L1");
	check_says(cli_err, "go on with: holdfast watch --since ");
}

static void
what_happened_since_a_position_is_told_and_the_end_goes_on_there(void)
{
	check_stocked("since", 10);
	long long from = position_now();
	check_cli(0, "reserve since L1 1");
	check_cli(0, "reserve since L1 2");
	check_cli(0, "watch --since %lld --limit 1 --json --full", from);
	check_equal(cli_json("ats"), 7);
	check_equal(cli_json("on_hand"), 10);
	check_equal(lines_of(cli_out), 2);
	long long next = cli_json_of(last_line(), "since");
	check_equal(next, from + 2);
	check_cli(0, "reserve since L1 3");
	check_cli(0, "watch --since %lld --limit 1 --json", next);
	check_equal(cli_json("was"), 7);
	check_equal(cli_json("ats"), 4);
	check(strstr(cli_out, "on_hand") == NULL);
}

static void
filters_and_thresholds_let_through_what_they_say(void)
{
	cli_write("t.csv", "source,n,kind,sku,location,qty\nthr,1,receipt,T1,M1,2\nthr,2,receipt,T1,M2,2\nthr,3,receipt,T2,M2,2\n");
	check_cli(0, "post t.csv");
	check_cli(0, "policy group ms M1 M2");
	long long from = position_now();
	check_cli(0, "reserve T1 M1 1");
	check_cli(0, "reserve T1 M2 2 --id thr-1");
	check_cli(0, "reserve T2 M2 1");
	static const struct {
		const char *words, *first;
	} row[] = {
		{ "--location M1", "T1  M1" },
		{ "--group ms --sku T2", "T2  M2" },
		{ "--threshold-only --full", "2 -> 0  on hand 2  out" },
	};
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		check_cli(0, "watch --since %lld --limit 1 %s", from, row[i].words);
		check_says(cli_out, row[i].first);
	}
	check_cli(0, "release thr-1");
	check_cli(0, "watch --since %lld --limit 1 --threshold-only --full --json --sku T1", position_now() - 1);
	check_says(cli_out, "\"threshold\":\"back\"");
}

/* The position after the loss is the proof: what was told before is not told again, and nothing is passed over. */
static void
a_killed_server_is_waited_for_and_nothing_is_lost(void)
{
	struct why why;
	char listen[32];
	snprintf(listen, sizeof listen, "127.0.0.1:%u", cli_server.rpc);
	const char *const again[] = { "--loops", "1", "--listen", listen, "--events", "127.0.0.1:0", "--http", "127.0.0.1:0", NULL };
	check_stocked("lost", 10);
	pid_t pid = cli_start("watch --sku lost");
	check(cli_prints("watching from position "));
	check_cli(0, "reserve lost L1 1");
	check(cli_prints("10 -> 9"));
	server_kill(&cli_server);
	check(cli_prints("trying again until it is back"));
	check_equal(server_start(&cli_server, again, &why), 0);
	check_cli(0, "reserve lost L1 2");
	check(cli_prints("going on without a gap"));
	check(cli_prints("9 -> 7"));
	kill(pid, SIGTERM);
	check_equal(cli_wait(pid), 130);
	check_equal(lines_of(cli_out), 2);
}

static void
what_cannot_be_watched_says_the_way_out(void)
{
	static const struct {
		int code;
		const char *words, *says;
	} row[] = {
		{ 2, "watch APPLE", "--sku 'APPLE'" },
		{ 2, "watch --since now", "--since takes a position" },
		{ 2, "watch --limit none", "from 1 on" },
		{ 2, "watch --location L1 --group g", "not both" },
		{ 1, "watch --location nowhere", "unknown_location" },
		{ 1, "watch --sku nothing", "unknown_sku" },
		{ 1, "watch --since 99999999", "lies in the future" },
		{ 3, "watch --server 127.0.0.1:1", "nothing listens" },
	};
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		check_cli(row[i].code, "%s", row[i].words);
		check_says(cli_err, row[i].says);
	}
	check_cli(1, "watch --since 99999999 --json");
	check_says(cli_out, "{\"error\":{\"code\":\"behind\"");
	check_cli(3, "watch --server 127.0.0.1:%u", cli_server.events);
	check_says(cli_err, "speaks nanomsg");
}

static const struct check tests[] = {
	CHECK(what_happens_from_now_on_is_told_until_ctrl_c),
	CHECK(what_happened_since_a_position_is_told_and_the_end_goes_on_there),
	CHECK(filters_and_thresholds_let_through_what_they_say),
	CHECK(what_cannot_be_watched_says_the_way_out),
	CHECK(a_killed_server_is_waited_for_and_nothing_is_lost),
};

int
main(int argc, char **argv)
{
	return cli_run(tests, sizeof tests / sizeof *tests, argc, argv);
}
