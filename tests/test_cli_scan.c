/*
 * test_cli_scan.c: `holdfast scan` as a person uses it: filters, CSV that other programs read, files that are whole or not there.
 */
#include "tests/check.h"
#include "tests/cli.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/clock.h"

/* Some SKUs that CSV must quote, a group of two locations, and the position between the first rows and the later ones. */
static long long
stocked(void)
{
	static long long between;
	if (between)
		return between;
	cli_write("first.csv", "source,n,kind,sku,location,qty\n"
	    "s,1,receipt,A-1,L1,10\ns,2,receipt,A-2,L1,20\ns,3,receipt,\"B,\"\"one\"\"\",L2,30\ns,4,receipt,\"na\xc3\xafve\",L3,40\n");
	cli_write("later.csv", "source,n,kind,sku,location,qty\ns,5,sale,A-2,L1,1\ns,6,receipt,A-2,L3,5\n");
	cli("post first.csv --rpc");
	cli("policy group both L1 L3");
	cli("digest --json");
	between = cli_json("seq");
	cli("post later.csv --rpc");
	cli("reserve A-1 L1 4 --id scan-1 --ttl 1h");
	return between;
}

static int
lines_of(const char *text)
{
	int n = 0;
	for (; *text; text++)
		n += *text == '\n';
	return n;
}

/* How many files of the folder have this in their name. */
static int
files_like(const char *part)
{
	int n = 0;
	DIR *d = opendir(cli_server.folder);
	for (struct dirent *e; d && (e = readdir(d)) != NULL;)
		n += strstr(e->d_name, part) != NULL;
	if (d)
		closedir(d);
	return n;
}

static void
every_filter_lets_through_what_it_says(void)
{
	long long between = stocked();
	static const struct {
		const char *words;
		int cells; /* beside the header */
		const char *has;
	} row[] = {
		{ "", 5, "\nA-1,L1," },
		{ "--location L1", 2, "\nA-2,L1," },
		{ "--group both", 4, "\nA-2,L3," },
		{ "--sku-prefix A-", 3, "\nA-2,L3," },
		{ "--sku-prefix A- --location L3", 1, "\nA-2,L3," },
		{ "--sku-prefix nothing", 0, "sku,location,seq,ats,on_hand\n" },
		{ "--limit 2", 2, "\nA-" },
	};
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		check_cli(0, "scan %s", row[i].words);
		check_says(cli_out, row[i].has);
		check_equal(lines_of(cli_out), row[i].cells + 1);
	}
	check_cli(0, "scan --since %lld", between);
	check_equal(lines_of(cli_out), 3 + 1);
	check_says(cli_err, "3 cells, at or past position");
	check_says(cli_err, "holdfast scan --since");
}

/* The image follows; once it holds all, its pages are the live ones, and a watch goes on exactly behind them. */
static void
a_snapshot_is_all_of_one_instant_and_a_watch_goes_on_behind_it(void)
{
	static char live[CLI_BYTES];
	int64_t end_ms = clock_steady_ms() + 20000;
	stocked();
	check_cli(0, "scan");
	snprintf(live, sizeof live, "%s", cli_out);
	do {
		check_cli(0, "scan --snapshot --limit 2");
		check_cli(0, "scan --snapshot");
	} while (strcmp(cli_out, live) != 0 && poll(NULL, 0, 20) == 0 && clock_steady_ms() < end_ms);
	check(strcmp(cli_out, live) == 0);
	check_says(cli_err, "holdfast watch --since ");
	long long since = atoll(strstr(cli_err, "--since ") + strlen("--since "));
	cli_write("behind.csv", "source,n,kind,sku,location,qty\nbehind,1,receipt,A-9,L9,7\n");
	check_cli(0, "post behind.csv --rpc");
	check_cli(0, "watch --since %lld --limit 1", since);
	check_says(cli_out, "A-9  L9");
}

static void
the_csv_quotes_what_must_be_and_nothing_else(void)
{
	stocked();
	check_cli(0, "scan");
	check_says(cli_out, "sku,location,seq,ats,on_hand\n");
	check_says(cli_out, "\n\"B,\"\"one\"\"\",L2,");
	check_says(cli_out, "\nna\xc3\xafve,L3,");
	check_says(cli_out, ",6,10\n"); /* 4 of 10 are held */
}

static void
json_is_one_object_a_line_and_a_last_one_that_counts(void)
{
	stocked();
	check_cli(0, "scan --json --location L1");
	check_equal(lines_of(cli_out), 3);
	check_equal(cli_json("on_hand"), 10);
	check_equal(cli_json("ats"), 6);
	char *last = strrchr(cli_out, '{');
	check_equal(cli_json_of(last, "cells"), 2);
	check(cli_json_of(last, "seq") > 0);
	check_equal(cli_json_of(last, "more"), 0);
	check(*cli_err == 0);
}

static void
a_file_is_replaced_only_by_a_whole_one(void)
{
	static char text[4096];
	stocked();
	cli_write("stock.out", "what stood there\n");
	check_cli(0, "scan --out stock.out");
	check(*cli_out == 0);
	cli_slurp("stock.out", text, sizeof text);
	check_equal(lines_of(text), 6);
	check_cli(1, "scan --location nowhere --out stock.out");
	check_says(cli_err, "unknown_location");
	char after[4096];
	cli_slurp("stock.out", after, sizeof after);
	check(strcmp(text, after) == 0);
	check_equal(files_like(".part"), 0);
	check_cli(7, "scan --out data");
	check_says(cli_err, "it is a folder");
	check_cli(7, "scan --out /dev/null");
	check_says(cli_err, "no regular file");
	check_cli(7, "scan --out nowhere/x.csv");
	check_says(cli_err, "no such folder");
	check_cli(7, "scan >/dev/full; code=$?; (exit $code)");
}

static void
a_link_stays_a_link_to_the_new_file(void)
{
	char link[400], to[16] = "";
	stocked();
	cli_write("real.out", "old\n");
	snprintf(link, sizeof link, "%s/link.out", cli_server.folder);
	check(symlink("real.out", link) == 0);
	check_cli(0, "scan --out link.out");
	check_equal(readlink(link, to, sizeof to - 1), 8);
	static char text[4096];
	cli_slurp("real.out", text, sizeof text);
	check_says(text, "sku,location");
}

/* ---- an export that does not come to its end ---- */

/* A port where connections are taken by the kernel and nobody ever answers. */
static int
silent_port(uint16_t *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 4) < 0 || getsockname(fd, (struct sockaddr *)&a, &n) < 0)
		abort();
	*port = ntohs(a.sin_port);
	return fd;
}

static void
an_interrupted_export_leaves_no_file(void)
{
	uint16_t port;
	int fd = silent_port(&port);
	for (int signals = 1; signals <= 2; signals++) {
		pid_t pid = cli_start("scan --out never.out --server 127.0.0.1:%u --timeout 1s", port);
		while (files_like("never.out") == 0)
			poll(NULL, 0, 1);
		for (int i = 0; i < signals; i++)
			kill(pid, SIGINT);
		check_equal(cli_wait(pid), 130);
		check_equal(files_like("never.out"), 0);
	}
	close(fd);
}

static void
a_server_that_does_not_answer_leaves_no_file(void)
{
	uint16_t port;
	int fd = silent_port(&port);
	check_cli(3, "scan --out never.out --server 127.0.0.1:%u --timeout 100ms", port);
	check_says(cli_err, "does not answer within 100 ms");
	check_equal(files_like("never.out"), 0);
	close(fd);
}

static void
what_is_wrong_on_the_command_line_is_told(void)
{
	static const struct {
		const char *words, *says;
	} row[] = {
		{ "scan L1", "it takes no words" },
		{ "scan --since yesterday", "--since takes a position" },
		{ "scan --limit 0", "from 1 on" },
		{ "scan --location L1 --group both", "not both" },
	};
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		check_cli(2, "%s", row[i].words);
		check_says(cli_err, row[i].says);
	}
}

static const struct check tests[] = {
	CHECK(every_filter_lets_through_what_it_says),
	CHECK(the_csv_quotes_what_must_be_and_nothing_else),
	CHECK(json_is_one_object_a_line_and_a_last_one_that_counts),
	CHECK(a_file_is_replaced_only_by_a_whole_one),
	CHECK(a_link_stays_a_link_to_the_new_file),
	CHECK(an_interrupted_export_leaves_no_file),
	CHECK(a_server_that_does_not_answer_leaves_no_file),
	CHECK(a_snapshot_is_all_of_one_instant_and_a_watch_goes_on_behind_it),
	CHECK(what_is_wrong_on_the_command_line_is_told),
};

int
main(int argc, char **argv)
{
	return cli_run(tests, sizeof tests / sizeof *tests, argc, argv);
}
