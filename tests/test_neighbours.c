/*
 * test_neighbours.c: what a bad neighbour may cost (T1, T2, M1), descriptors that run out, doors that are full. A holdfastd of its own
 * is asked how it counted; nothing here depends on how fast the machine is, but on what comes before what.
 */
#define _GNU_SOURCE
#include "tests/check.h"
#include "net/codec_write.h"
#include "net/http.h"
#include "tests/peer.h"
#include "tests/spawn.h"
#include "tests/wire_text.h"

#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define CELLS 20000

static struct server server;

static bool
begin(const char *loops, const char *memory_max)
{
	const char *const options[] = { "--gate", "off", "--queue-age-ms", "0" /* a slow build would rightly say `overloaded` */,
		"--cells-max", "100000", "--reservations-max", "200000", "--history-max", "100000", "--free-ids-max", "1000", "--segment-bytes", "16M", "--loops", loops, "--memory-max", memory_max, NULL };
	struct why why;
	if (server_init(&server, &why) < 0 || server_start(&server, options, &why) < 0) {
		printf("%s\n", why.text);
		return false;
	}
	return true;
}

/* One `post` of receipts: numbers from..from+n-1 of the source, each of one of `skus` SKUs in turn. */
static bool
receipts(struct peer *p, const char *source, int from, int n, int skus, int qty)
{
	char sku[16];
	put_array(&p->out, 4);
	put_uint(&p->out, 0);
	put_uint(&p->out, 5);
	put_text(&p->out, "post");
	put_array(&p->out, 1);
	put_array(&p->out, (uint32_t)n);
	for (int i = from; i < from + n; i++) {
		put_map(&p->out, 6);
		put_text(&p->out, "source"), put_text(&p->out, source);
		put_text(&p->out, "n"), put_int(&p->out, i);
		put_text(&p->out, "kind"), put_text(&p->out, "receipt");
		snprintf(sku, sizeof sku, "S%05d", (i - 1) % skus);
		put_text(&p->out, "sku"), put_text(&p->out, sku);
		put_text(&p->out, "location"), put_text(&p->out, "L");
		put_text(&p->out, "qty"), put_int(&p->out, qty);
	}
	return peer_flush(p);
}

static void
stock(struct peer *p, int cells)
{
	check(peer_open(p, server.rpc));
	for (int first = 0; first < cells; first += 500) {
		check(receipts(p, "s", first + 1, 500, cells, 10));
		check(strncmp(peer_answer(p), "[1, 5, nil,", 11) == 0);
	}
}

/* A figure of `status`; -1: not there. */
static long
figure(struct peer *p, const char *name)
{
	char key[64];
	const char *text = peer_ask(p, "[0,9,'status',[]]");
	snprintf(key, sizeof key, "\"%s\"=>", name);
	const char *at = strstr(text, key);
	return at ? strtol(at + strlen(key), NULL, 10) : -1;
}

/* ---- heavy requests ---- */

/*
 * Eight connections bring 100 scans each, which look at all cells and find nothing: all of them are there when the good one asks, and
 * they would be done before it if each read were handled whole.
 */
static void
heavy_requests_in_a_row_wait_for_light_ones_behind_them(const char *loops)
{
	enum { HEAVY = 8, SCANS = 100 };
	static struct peer heavy[HEAVY];
	struct peer good;
	int waiting = 0, unread = 0;
	check(begin(loops, "64M"));
	stock(&good, CELLS);
	check_calm();
	check(wire_like(peer_ask(&good, "[0,2,'ats',[[['S00001','L']]]]"), "[1, 2, nil, [*, [10]]]"));
	for (int i = 0; i < HEAVY; i++) {
		check(peer_open(&heavy[i], server.rpc));
		for (int k = 0; k < SCANS; k++)
			peer_write(&heavy[i], "[0,%d,'scan',[{'since':9000000000000}]]", k);
	}
	check_equal(kill(server.pid, SIGSTOP), 0);
	for (int i = 0; i < HEAVY; i++)
		check(peer_flush(&heavy[i]));
	check_equal(kill(server.pid, SIGCONT), 0);
	check(wire_like(peer_ask(&good, "[0,3,'ats',[[['S00001','L']]]]"), "[1, 3, nil, [*, [10]]]"));
	for (int i = 0; i < HEAVY; i++)
		if (ioctl(heavy[i].fd, FIONREAD, &unread) == 0 && unread < SCANS * 20) /* an answer has more than 20 bytes */
			waiting++;
	check(waiting >= HEAVY / 2);
	for (int i = 0; i < HEAVY; i++) {
		for (int k = 0; k < SCANS; k++)
			check(strstr(peer_answer(&heavy[i]), "\"cells\"=>[]"));
		peer_close(&heavy[i]);
	}
	check(figure(&good, "turns_cut") >= HEAVY);
	peer_close(&good);
	server_remove(&server);
}

static void
heavy_reads_wait_for_light_ones_behind_them(void)
{
	heavy_requests_in_a_row_wait_for_light_ones_behind_them("1");
}

static void
so_they_do_with_two_loops(void)
{
	heavy_requests_in_a_row_wait_for_light_ones_behind_them("2");
}

/* A million bytes of events in one message, handled in slices between which the good one is answered; nothing is done twice. */
static void
a_long_post_is_handled_in_slices_and_counted_once(void)
{
	enum { EVENTS = 9000 };
	struct peer good, bulk;
	check(begin("1", "64M"));
	stock(&good, 500);
	check_calm();
	check(peer_open(&bulk, server.rpc));
	check(receipts(&bulk, "b", 1, EVENTS, 500, 1));
	check(wire_like(peer_ask(&good, "[0,3,'ats',[[['S00001','L']]]]"), "[1, 3, nil, [*"));
	int applied = 0;
	check(strncmp(peer_answer(&bulk), "[1, 5, nil,", 11) == 0);
	for (const uint8_t *at = bulk.in.at, *end = at + bulk.shown; (at = memmem(at, (size_t)(end - at), "applied", 7)); at++)
		applied++;
	check_equal(applied, EVENTS);
	char wanted[64];
	snprintf(wanted, sizeof wanted, "[1, 4, nil, [*, [%d]]]", 10 + EVENTS / 500);
	check(wire_like(peer_ask(&good, "[0,4,'ats',[[['S00001','L']]]]"), wanted));
	peer_close(&bulk);
	peer_close(&good);
	server_remove(&server);
}

/* ---- memory ---- */

/*
 * 40 readers that read nothing want 20 MiB and more where 4 MiB may be held: some are closed, the good one never, and what is held is
 * bounded: by memory-max at a round's end, within a round by that and what the round adds (net/DESIGN.md; `status` looks from within).
 */
static void
the_greediest_are_closed_when_memory_ends(void)
{
	enum { LAZY = 40, ASKS = 12, ROUND_ADDS = 10 << 20 };
	static struct peer lazy[LAZY];
	struct peer good;
	check(begin("1", "4M"));
	stock(&good, 1000);
	check_calm();
	for (int i = 0; i < LAZY; i++) {
		int small_window = 4096;
		check(peer_open(&lazy[i], server.rpc));
		setsockopt(lazy[i].fd, SOL_SOCKET, SO_RCVBUF, &small_window, sizeof small_window);
		for (int k = 0; k < ASKS; k++)
			peer_write(&lazy[i], "[0,%d,'scan',[{'limit':1000}]]", k);
		for (int k = 0; k < 40 * ASKS; k++)
			peer_write(&lazy[i], "[0,%d,'scan',[{'limit':1000}]]", k);
		peer_flush(&lazy[i]); /* may be closed already */
		check(wire_like(peer_ask(&good, "[0,3,'ats',[[['S00001','L']]]]"), "[1, 3, nil, [*, [10]]]"));
		check(figure(&good, "memory_held") <= (4 << 20) + ROUND_ADDS);
	}
	for (int i = 0; i < 2000 && figure(&good, "memory_closed") == 0; i++)
		usleep(1000);
	check(figure(&good, "memory_closed") > 0);
	check(wire_like(peer_ask(&good, "[0,3,'reserve',['r',[['S00001','L',1]]]]"), "[1, 3, nil, *\"held\"*"));
	for (int i = 0; i < LAZY; i++)
		peer_close(&lazy[i]);
	peer_close(&good);
	server_remove(&server);
}

/* ---- descriptors, doors ---- */

static unsigned
descriptors(void)
{
	char path[64];
	unsigned n = 0;
	snprintf(path, sizeof path, "/proc/%d/fd", (int)server.pid);
	DIR *d = opendir(path);
	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n > 2 ? n - 2 : 0;
}

/* Five more descriptors and no sixth: who comes later waits, nobody is thrown out, and all is as before when there are more again. */
static void
who_finds_no_descriptor_waits_for_one(void)
{
	enum { MANY = 12 };
	static struct peer p[MANY];
	struct peer good;
	struct rlimit limit, few;
	int served = 0;
	check(begin("1", "64M"));
	stock(&good, 500);
	check_calm();
	check_equal(prlimit(server.pid, RLIMIT_NOFILE, NULL, &limit), 0);
	few = (struct rlimit){ descriptors() + 5, limit.rlim_max };
	check_equal(prlimit(server.pid, RLIMIT_NOFILE, &few, NULL), 0);
	for (int i = 0; i < MANY; i++) {
		check(peer_open(&p[i], server.rpc)); /* the kernel takes it */
		peer_write(&p[i], "[0,%d,'ats',[[['S00001','L']]]]", i);
		check(peer_flush(&p[i]));
	}
	for (int i = 0; i < 5000 && figure(&good, "accept_pauses") == 0; i++)
		usleep(1000);
	check(figure(&good, "accept_pauses") > 0);
	check(wire_like(peer_ask(&good, "[0,3,'ats',[[['S00001','L']]]]"), "[1, 3, nil, [*, [10]]]"));
	check_equal(prlimit(server.pid, RLIMIT_NOFILE, &limit, NULL), 0);
	for (int i = 0; i < MANY; i++) {
		served += strstr(peer_answer(&p[i]), "nil, [") != NULL;
		peer_close(&p[i]);
	}
	check_equal(served, MANY);
	peer_close(&good);
	server_remove(&server);
}

/* Twice as many as have a place at the HTTP door say nothing; one that asks is answered when a place is free, and RPC never waits. */
static void
the_http_door_takes_so_many_and_no_more(void)
{
	enum { MANY = 2 * HTTP_CONNECTIONS_MAX };
	static struct peer p[MANY];
	struct peer good, asking;
	check(begin("1", "64M"));
	stock(&good, 500);
	check_calm();
	unsigned before = descriptors();
	for (int i = 0; i < MANY; i++)
		check(peer_open(&p[i], server.http));
	for (int i = 0; i < 5000 && figure(&good, "accept_pauses") == 0; i++)
		usleep(1000);
	check(figure(&good, "accept_pauses") > 0);
	check(descriptors() <= before + HTTP_CONNECTIONS_MAX + 2);
	check(peer_open(&asking, server.http));
	check(peer_send_bytes(&asking, "GET /healthz HTTP/1.1\r\n\r\n", 25));
	for (int i = 0; i < MANY; i++)
		peer_close(&p[i]);
	check(peer_is_closed(&asking)); /* after its answer */
	peer_close(&asking);
	peer_close(&good);
	server_remove(&server);
}

static const struct check tests[] = {
	CHECK(heavy_reads_wait_for_light_ones_behind_them),
	CHECK(so_they_do_with_two_loops),
	CHECK(a_long_post_is_handled_in_slices_and_counted_once),
	CHECK(the_greediest_are_closed_when_memory_ends),
	CHECK(who_finds_no_descriptor_waits_for_one),
	CHECK(the_http_door_takes_so_many_and_no_more),
};

int
main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	int status = check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv);
	server_remove(&server);
	return status;
}
