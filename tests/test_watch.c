/*
 * test_watch.c: the change feed of a live server, over its socket: what a watcher is told, where it begins and goes on, what ends it.
 * With one loop and with two.
 */
#include "tests/check.h"
#include "tests/follower.h"
#include "tests/peer.h"
#include "tests/spawn.h"
#include "tests/wire_text.h"

#include "net/codec_read.h"
#include "net/feed.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

static struct server server;
static char loops_text[4] = "1", history_text[8] = "1G";
static struct peer writer = { .fd = -1 }, watcher = { .fd = -1 }, third = { .fd = -1 };
static uint64_t event_n, random_state;

static const char *const small[] = { "--gate", "off", "--cells-max", "100000", "--reservations-max", "200000", "--history-max", "100000",
	"--free-ids-max", "1000", "--extra-lines-max", "400000", "--segment-bytes", "16M", "--history-bytes", history_text, "--image-age-ms", "20ms", "--loops", loops_text, NULL };

static bool
start(void)
{
	struct why why;
	if (server_start(&server, small, &why) == 0 && peer_open(&writer, server.rpc) && peer_open(&watcher, server.rpc) &&
	    peer_open(&third, server.rpc))
		return true;
	printf("%s\n", why.text);
	return false;
}

static bool
begin(void)
{
	struct why why;
	event_n = 0;
	random_state = check_seed(88172645463325252u);
	return server_init(&server, &why) == 0 && start();
}

static void
end(void)
{
	peer_close(&writer);
	peer_close(&watcher);
	peer_close(&third);
	server_remove(&server);
}

/* One event; its position, 0 when it was not applied. */
static long
event(const char *kind, const char *sku, const char *location, int qty)
{
	long seq = 0;
	const char *answer;
	event_n++;
	answer = peer_ask(&writer, "[0,1,'post',[[{'v':1,'source':'wms','n':%llu,'kind':'%s','sku':'%s','location':'%s','qty':%d}]]]",
	    (unsigned long long)event_n, kind, sku, location, qty);
	return sscanf(answer, "[1, 1, nil, [%ld, [\"applied\"]]]", &seq) == 1 ? seq : 0;
}

/* The next message is [2, "changed", [...]] with these items and nothing else. */
#define told(...) like(peer_answer(&watcher), "[2, \"changed\", [" __VA_ARGS__)
static bool __attribute__((format(printf, 2, 3)))
like(const char *text, const char *format, ...)
{
	char pattern[512];
	va_list list;
	va_start(list, format);
	vsnprintf(pattern, sizeof pattern, format, list);
	va_end(list);
	if (wire_like(text, pattern))
		return true;
	printf("     %s\n     is not %s\n", text, pattern);
	return false;
}

/* Each test runs by itself on a fresh server. */
static void
a_watcher_is_told_what_changes(void)
{
	check(begin());
	check(event("receipt", "A", "L", 5) > 0);
	check(like(peer_ask(&watcher, "[0,7,'watch',[]]"), "[1, 7, nil, {\"seq\"=>*}]"));
	long seq = event("receipt", "A", "L", 2);
	check(told("[%ld, \"A\", \"L\", 7, 5]]]", seq));
	seq = event("sale", "A", "L", 10);
	check(told("[%ld, \"A\", \"L\", -3, 7]]]", seq));
	seq = event("receipt", "B", "M", 1);
	check(told("[%ld, \"B\", \"M\", 1, 0]]]", seq));
	check(like(peer_ask(&writer, "[0,2,'reserve',['r1',[['B','M',1]],{'ttl_ms':20}]]"), "[1, 2, nil, *"));
	check(told("[%ld, \"B\", \"M\", 0, 1]]]", seq + 1));
	check(told("[%ld, \"B\", \"M\", 1, 0]]]", seq + 2)); /* its end was nobody's command */
	end();
}

static void
filters_leave_out_what_is_not_asked_for(void)
{
	static const struct { const char *filter, *cell; } rows[] = {
		{ "'location':'L2'", "\"A\", \"L2\", 1, 0" },
		{ "'sku':'B'", "\"B\", \"L1\", 1, 0" },
		{ "'sku':'A','location':'L3'", "\"A\", \"L3\", 1, 0" },
		{ "'group':'G','sku':'A'", "\"A\", \"L3\", 1, 0" },
		{ "'sku':nil,'location':nil,'else':1", "\"A\", \"L1\", 1, 0" },
	};
	struct peer p[5];
	check(begin());
	check(event("receipt", "A", "L1", 1) && event("receipt", "B", "L2", 1) && event("receipt", "C", "L3", 1));
	check(event("sale", "A", "L1", 1) && event("sale", "B", "L2", 1) && event("sale", "C", "L3", 1));
	check(like(peer_ask(&writer, "[0,2,'policy',[{'set':{'groups':{'G':{'members':['L3','L1']}}}}]]"), "[1, 2, nil, *"));
	for (int i = 0; i < 5; i++) {
		check(peer_open(&p[i], server.rpc));
		check(like(peer_ask(&p[i], "[0,1,'watch',[{%s}]]", rows[i].filter), "[1, 1, nil, {\"seq\"=>*}]"));
	}
	check(event("receipt", "A", "L1", 1) && event("receipt", "A", "L2", 1) && event("receipt", "A", "L3", 1) && event("receipt", "B", "L1", 1));
	for (int i = 0; i < 5; i++) {
		const char *text = peer_answer(&p[i]);
		if (i == 3) {
			check(like(text, "[2, \"changed\", [[*, \"A\", \"L1\", 1, 0]*"));
			if (!wire_like(text, "*\"L3\"*"))
				check(like(peer_answer(&p[i]), "[2, \"changed\", [[*, %s]]]", rows[i].cell));
			else
				check(!wire_like(text, "*\"L2\"*"));
		} else {
			check(like(text, "[2, \"changed\", [[*, %s]*", rows[i].cell));
		}
		peer_close(&p[i]);
	}
	end();
}

static void
a_group_means_its_members_of_now(void)
{
	check(begin());
	check(event("receipt", "A", "L1", 1) && event("receipt", "A", "L2", 1));
	check(like(peer_ask(&writer, "[0,2,'policy',[{'set':{'groups':{'G':{'members':['L1']}}}}]]"), "[1, 2, nil, *"));
	check(like(peer_ask(&watcher, "[0,1,'watch',[{'group':'G'}]]"), "[1, 1, nil, {\"seq\"=>*}]"));
	check(event("receipt", "A", "L2", 1) && event("receipt", "A", "L1", 1));
	check(told("[*, \"A\", \"L1\", 2, 1]]]%s", ""));
	check(like(peer_ask(&writer, "[0,2,'policy',[{'set':{'groups':{'G':{'members':['L2']}}}}]]"), "[1, 2, nil, *"));
	check(event("receipt", "A", "L1", 1) && event("receipt", "A", "L2", 1));
	check(told("[*, \"A\", \"L2\", 3, 2]]]%s", ""));
	check(like(peer_ask(&writer, "[0,2,'policy',[{'set':{'groups':{'G':nil}}}]]"), "[1, 2, nil, *"));
	check(event("receipt", "A", "L2", 1));
	check(like(peer_answer(&watcher), "[2, \"reached\", [*]]")); /* no group any more: nothing is told */
	end();
}

static void
full_tells_every_change_and_thresholds(void)
{
	check(begin());
	check(like(peer_ask(&watcher, "[0,1,'watch',[{'full':true}]]"), "[1, 1, nil, {\"seq\"=>*}]"));
	check(like(peer_ask(&third, "[0,1,'watch',[{'threshold_only':true}]]"), "[1, 1, nil, {\"seq\"=>*}]"));
	check(event("receipt", "A", "L", 2));
	check(told("[*, \"A\", \"L\", 2, 0, 2, \"back\"]]]%s", ""));
	check(like(peer_answer(&third), "[2, \"changed\", [[*, \"A\", \"L\", 2, 0]]]"));
	check(event("unsell", "A", "L", 1) && event("sale", "A", "L", 1));
	const char *text = peer_answer(&watcher);
	if (wire_like(text, "[2, \"changed\", [[*, \"A\", \"L\", 1, 2, 2, nil]]]")) /* or merged with the next */
		text = peer_answer(&watcher);
	check(like(text, "[2, \"changed\", [[*, \"A\", \"L\", 0, *, 1, \"out\"]]]"));
	check(like(peer_answer(&third), "[2, \"changed\", [[*, \"A\", \"L\", 0, *]]]"));
	/* A fulfilment moves on_hand and leaves the ATS: only full tells it. */
	check(event("receipt", "A", "L", 3));
	check(told("[*, \"A\", \"L\", 3, 0, 4, \"back\"]]]%s", ""));
	check(like(peer_answer(&third), "[2, \"changed\", [[*, \"A\", \"L\", 3, 0]]]"));
	check(like(peer_ask(&writer, "[0,2,'reserve',['r1',[['A','L',1]]]]"), "[1, 2, nil, *"));
	check(told("[*, \"A\", \"L\", 2, 3, 4, nil]]]%s", ""));
	check(like(peer_ask(&writer, "[0,2,'commit',['r1']]"), "[1, 2, nil, *"));
	check(told("[*, \"A\", \"L\", 2, 2, 4, nil]]]%s", ""));
	check(like(peer_ask(&writer, "[0,2,'fulfil',['r1']]"), "[1, 2, nil, *"));
	check(told("[*, \"A\", \"L\", 2, 2, 3, nil]]]%s", ""));
	check(like(peer_answer(&third), "[2, \"reached\", [*]]"));
	end();
}

static void
a_quiet_watcher_hears_how_far_it_is(void)
{
	check(begin());
	check(event("receipt", "A", "L", 1) && event("receipt", "B", "L", 1));
	check(like(peer_ask(&watcher, "[0,1,'watch',[{'sku':'A'}]]"), "[1, 1, nil, *"));
	long seq = event("receipt", "B", "L", 1);
	check(like(peer_answer(&watcher), "[2, \"reached\", [%ld]]", seq));
	seq = event("receipt", "A", "L", 1);
	check(told("[%ld, \"A\", \"L\", 2, 1]]]", seq));
	end();
}

static void
since_goes_on_and_says_when_it_cannot(void)
{
	check(begin());
	long first = event("receipt", "A", "L", 1);
	long second = event("receipt", "A", "L", 2);
	check(like(peer_ask(&watcher, "[0,1,'watch',[{'since':%ld}]]", first), "[1, 1, nil, {\"seq\"=>%ld}]", first));
	check(told("[%ld, \"A\", \"L\", 3, 1]]]", second));
	check(like(peer_ask(&watcher, "[0,2,'watch',[]]"), "[1, 2, [\"limit\", *, {\"which\"=>\"watch\"}], nil]"));
	check(like(peer_ask(&third, "[0,1,'watch',[{'since':%ld}]]", second + 5), "[1, 1, [\"behind\", *, {\"seq\"=>%ld}], nil]", second));
	check(like(peer_ask(&third, "[0,1,'watch',[{'sku':'X'}]]"), "[1, 1, [\"unknown_sku\", *"));
	check(like(peer_ask(&third, "[0,1,'watch',[{'location':'X'}]]"), "[1, 1, [\"unknown_location\", *"));
	check(like(peer_ask(&third, "[0,1,'watch',[{'location':'L','group':'L'}]]"), "[1, 1, [\"bad_request\", *"));
	check(like(peer_ask(&third, "[0,1,'watch',[{'since':1.5}]]"), "[1, 1, [\"bad_request\", *"));
	check(like(peer_ask(&third, "[0,1,'watch',[{'full':1}]]"), "[1, 1, [\"bad_request\", *"));
	check(like(peer_ask(&third, "[0,1,'watch',[7]]"), "[1, 1, [\"bad_request\", *"));
	check(like(peer_ask(&third, "[0,1,'watch',[{'since':0}]]"), "[1, 1, nil, *")); /* what was refused is no watch */
	check(like(peer_answer(&third), "[2, \"changed\", [[%ld, \"A\", \"L\", 3, 0]]]", second)); /* merged */
	long now = event("sale", "A", "L", 1); /* both are live now */
	check(told("[%ld, \"A\", \"L\", 2, 3]]]", now));
	check(like(peer_answer(&third), "[2, \"changed\", [[%ld, \"A\", \"L\", 2, 3]]]", now));
	end();
}

/* Posts so many messages of 500 events, a few in flight. The last position. */
static uint64_t
load(unsigned posts)
{
	uint64_t seq = 0, answered = 0;
	for (unsigned i = 0; i < posts + 4; i++) {
		if (i < posts)
			writer_put(&writer, &random_state, &event_n, 500);
		if (i >= 4 && (answered = writer_answer(&writer)) == 0)
			return 0;
		seq = answered > seq ? answered : seq;
	}
	return seq;
}

/* A scan without anybody writing. */
static bool
fresh(struct copy *c)
{
	uint64_t seq;
	*c = (struct copy){ .full = true };
	return copy_scan(c, &third, "", &seq);
}

static void
history_that_is_gone_is_said(void)
{
	static struct copy copy, truth;
	uint64_t seq = 0;
	long oldest = 1;
	strcpy(history_text, "0");
	check(begin());
	strcpy(history_text, "1G");
	copy = (struct copy){ .full = true };
	check(copy_scan(&copy, &third, "", &seq));
	/* Until the journal has been trimmed: no history is kept, a segment has 16 MiB. */
	for (int i = 0; i < 2000 && oldest == 1; i++) {
		check(load(20) > 0);
		const char *answer = peer_ask(&watcher, "[0,1,'watch',[{'since':0}]]");
		if (sscanf(answer, "[1, 1, [\"gone\", %*[^{]{\"oldest\"=>%ld}], nil]", &oldest) != 1) {
			peer_close(&watcher);
			check(peer_open(&watcher, server.rpc));
		}
	}
	check(oldest > 1);
	check(like(peer_ask(&watcher, "[0,1,'watch',[{'since':%ld}]]", oldest - 2), "[1, 1, [\"gone\", *"));
	/* What is left: the cells that have changed since, and watch from there. */
	char since[48];
	snprintf(since, sizeof since, "'since':%llu,", (unsigned long long)copy.since);
	check(copy_scan(&copy, &third, since, &seq));
	check(copy_watch(&copy, &watcher));
	seq = load(2);
	check(copy_follow(&copy, &watcher, seq));
	check(!copy.wrong && fresh(&truth) && copy_equal(&copy, &truth));
	end();
}

/* The copy follows over ends of the connection and of the server; W1 and F4 with every since there may be. */
static void
a_copy_goes_on_over_kills_of_both_sides(void)
{
	static struct copy plain, full, truth;
	check(begin());
	plain = (struct copy){ 0 };
	full = (struct copy){ .full = true };
	for (int round = 0; round < 12; round++) {
		check(copy_watch(&plain, &watcher) && copy_watch(&full, &third));
		for (int i = 0; i < 6; i++) {
			writer_put(&writer, &random_state, &event_n, 200);
			check(copy_take(&plain, &watcher) && copy_take(&full, &third));
			check(writer_answer(&writer) > 0);
		}
		peer_close(&watcher);
		peer_close(&third);
		if (round % 4 == 3) {
			peer_close(&writer);
			server_kill(&server);
			check(start());
		} else {
			check(peer_open(&watcher, server.rpc) && peer_open(&third, server.rpc));
		}
	}
	uint64_t seq = load(3);
	check(copy_watch(&plain, &watcher) && copy_watch(&full, &third));
	check(copy_follow(&plain, &watcher, seq) && copy_follow(&full, &third, seq));
	check(!plain.wrong && !full.wrong);
	peer_close(&third);
	check(peer_open(&third, server.rpc) && fresh(&truth));
	check(copy_equal(&full, &truth) && copy_equal(&plain, &truth));
	check(full.changes < event_n); /* something was merged */
	end();
}

/* W2: the scan's clock is another than the watch's. */
static void
a_scan_under_load_and_a_watch_make_a_whole_copy(void)
{
	static struct copy copy, truth;
	uint64_t seq = 0, last = 0;
	check(begin());
	check(load(2) > 0);
	for (int round = 0; round < 10; round++) {
		copy = (struct copy){ .full = round % 2 == 0 };
		for (int i = 0; i < 4; i++)
			writer_put(&writer, &random_state, &event_n, 300);
		check(copy_scan(&copy, &watcher, "", &seq));
		check(copy_watch(&copy, &watcher));
		for (int i = 0; i < 4; i++)
			check((last = writer_answer(&writer)) > 0);
		check(copy_follow(&copy, &watcher, last));
		check(!copy.wrong && fresh(&truth) && copy_equal(&copy, &truth));
		peer_close(&watcher);
		check(peer_open(&watcher, server.rpc));
	}
	end();
}

static void
pages_of_a_snapshot_are_of_one_instant(void)
{
	static struct copy snapshot, truth;
	uint64_t seq = 0, last = 0;
	check(begin());
	check(load(3) > 0);
	for (int round = 0; round < 6; round++) {
		snapshot = (struct copy){ .full = true };
		for (int i = 0; i < 4; i++)
			writer_put(&writer, &random_state, &event_n, 300);
		do { /* until the image holds something, and not by a hair */
			check(copy_scan(&snapshot, &watcher, "'snapshot':true,", &seq));
		} while (seq < 200);
		struct copy keep = snapshot;
		check(copy_watch(&snapshot, &watcher)); /* what is behind it */
		for (int i = 0; i < 4; i++)
			check((last = writer_answer(&writer)) > 0);
		check(copy_follow(&snapshot, &watcher, last));
		check(!snapshot.wrong && fresh(&truth) && copy_equal(&snapshot, &truth));
		for (int s = 0; s < COPY_SKUS; s++)
			for (int l = 0; l < COPY_LOCATIONS; l++)
				check(keep.cell[s][l].seq <= seq); /* nothing of a later instant */
		peer_close(&watcher);
		check(peer_open(&watcher, server.rpc));
	}
	do /* and with nobody writing it is what there is */
		check(copy_scan(&snapshot, &watcher, "'snapshot':true,", &seq));
	while (seq < last);
	check(copy_equal(&snapshot, &truth));
	end();
}

static void
a_snapshot_belongs_to_its_connection_and_there_are_eight(void)
{
	struct peer p[SNAPSHOTS_MAX];
	long long cursor = 0;
	long seq = 0;
	check(begin());
	check(event("receipt", "A", "L", 1) && event("receipt", "B", "L", 1));
	for (int i = 0; i < SNAPSHOTS_MAX; i++) {
		check(peer_open(&p[i], server.rpc));
		do
			sscanf(peer_ask(&p[i], "[0,1,'scan',[{'snapshot':true,'limit':1}]]"), "[1, 1, nil, {\"seq\"=>%ld, \"cells\"=>[[\"A\", \"L\", %*d, 1, 1]], \"cursor\"=>%lld}", &seq, &cursor);
		while (cursor == 0);
	}
	check(like(peer_ask(&watcher, "[0,1,'scan',[{'snapshot':true}]]"), "[1, 1, [\"limit\", *, {\"which\"=>\"snapshots\"}], nil]"));
	check(like(peer_ask(&watcher, "[0,2,'scan',[{'snapshot':true,'cursor':%lld}]]", cursor), "[1, 2, [\"gone\", *, {}], nil]"));
	/* The cursor alone says what it is of. */
	check(like(peer_ask(&p[SNAPSHOTS_MAX - 1], "[0,3,'scan',[{'cursor':%lld}]]", cursor),
	    "[1, 3, nil, {\"seq\"=>%ld, \"cells\"=>[[\"B\", \"L\", *, 1, 1]], \"cursor\"=>nil}]", seq));
	check(like(peer_ask(&p[SNAPSHOTS_MAX - 1], "[0,3,'scan',[{'cursor':%lld}]]", cursor), "[1, 3, [\"gone\", *"));
	check(like(peer_ask(&watcher, "[0,1,'scan',[{'snapshot':true,'min_seq':%ld}]]", seq + 100), "[1, 1, [\"behind\", *"));
	check(like(peer_ask(&watcher, "[0,1,'scan',[{'snapshot':true,'location':'X'}]]"), "[1, 1, [\"unknown_location\", *"));
	check(like(peer_ask(&watcher, "[0,1,'scan',[{'snapshot':true,'sku_prefix':'B','location':'L','since':1}]]"),
	    "[1, 1, nil, {\"seq\"=>*, \"cells\"=>[[\"B\", *]], \"cursor\"=>nil}]"));
	for (int i = 0; i < SNAPSHOTS_MAX; i++)
		peer_close(&p[i]);
	/* With their connections they are gone. */
	for (int i = 0; i < SNAPSHOTS_MAX; i++) {
		check(peer_open(&p[i], server.rpc));
		while (wire_like(peer_ask(&p[i], "[0,1,'scan',[{'snapshot':true,'limit':1}]]"), "*\"limit\"*"))
			;
	}
	for (int i = 0; i < SNAPSHOTS_MAX; i++)
		peer_close(&p[i]);
	end();
}

static long
figure(const char *name)
{
	long n = -1;
	const char *at = strstr(peer_ask(&third, "[0,1,'status',[]]"), name);
	if (at)
		sscanf(at + strlen(name), "\"=>%ld", &n);
	return n;
}

/* A receipt of each of so many cells with long names, so that there is little to merge and much to tell. The last position. */
#define WIDE 60000 /* three times as many changes are 20 MB, twice what the kernel keeps for a connection */
static int wide_ats[WIDE]; /* as told */

static uint64_t
load_wide(void)
{
	uint64_t seq = 0;
	for (unsigned at = 0; at < WIDE; at += 1000) {
		writer_begin(&writer, 1000);
		for (unsigned i = 0; i < 1000; i++) {
			char sku[64];
			snprintf(sku, sizeof sku, "S%058u", at + i);
			writer_event(&writer, ++event_n, "receipt", sku, "L0", 1);
		}
		if (!peer_flush(&writer) || (seq = writer_answer(&writer)) == 0)
			return 0;
	}
	return seq;
}

static bool
wide_all(int ats)
{
	for (unsigned i = 0; i < WIDE; i++)
		if (wide_ats[i] != ats) {
			printf("     S%u is %d, not %d\n", i, wide_ats[i], ats);
			return false;
		}
	return true;
}

/* [seq, sku, location, ats, was] of load_wide(), where each step is one change. */
static bool
wide_change(struct reader *r, uint64_t *last)
{
	struct bytes sku, location;
	char text[64] = "";
	uint32_t parts;
	int64_t seq, ats, was;
	unsigned at;
	if (!reader_array(r, &parts) || parts != 5 || !reader_int(r, &seq) || (uint64_t)seq <= *last || !reader_str(r, &sku) || sku.n > 60 ||
	    !reader_str(r, &location) || !reader_int(r, &ats) || !reader_int(r, &was))
		return false;
	memcpy(text, sku.at, sku.n);
	if (sscanf(text, "S%u", &at) == 1 && at < WIDE && sku.n > 30)
		wide_ats[at] = (int)ats;
	*last = (uint64_t)seq;
	return true;
}

/* Takes a message of the watcher. False: the end, or wrong. */
static bool
wide_take(uint64_t *last)
{
	const char *text = peer_answer(&watcher); /* of a long one, the beginning */
	struct reader r = { watcher.in.at + 10, watcher.in.at + watcher.shown }; /* behind [2, "changed" or "reached" */
	uint32_t items;
	int64_t seq;
	if (wire_like(text, "[2, \"reached\", *"))
		return reader_array(&r, &items) && reader_int(&r, &seq) && (uint64_t)seq > *last && (*last = (uint64_t)seq);
	if (!wire_like(text, "[2, \"changed\", *") || !reader_array(&r, &items))
		return false;
	for (; items > 0; items--)
		if (!wide_change(&r, last))
			return false;
	return true;
}

/* The client's kernel keeps little of what it does not read. */
static void
watcher_narrow(void)
{
	int little = 65536;
	setsockopt(watcher.fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof little);
}

static void
watcher_wide(void)
{
	int much = 4 << 20; /* a small window that was shut opens again at a crawl */
	setsockopt(watcher.fd, SOL_SOCKET, SO_RCVBUF, &much, sizeof much);
}

static void
who_does_not_read_is_closed_and_goes_on(void)
{
	uint64_t seq = 0, last = 0;
	int passes = 0;
	memset(wide_ats, 0, sizeof wide_ats);
	check(begin());
	check(like(peer_ask(&watcher, "[0,1,'watch',[{'since':0}]]"), "[1, 1, nil, *"));
	watcher_narrow();
	for (; passes < 20 && figure("watchers_closed_slow") == 0; passes++)
		check((seq = load_wide()) > 0);
	check_equal(figure("watchers_closed_slow"), 1);
	check_equal(figure("\"watchers"), 0);
	watcher_wide();
	while (wide_take(&last)) /* what was on its way, whole messages of it */
		;
	check(last > 0 && last < seq && strcmp(peer_answer(&watcher), "closed") == 0);
	peer_close(&watcher);
	check(peer_open(&watcher, server.rpc));
	check(like(peer_ask(&watcher, "[0,1,'watch',[{'since':%llu}]]", (unsigned long long)last), "[1, 1, nil, *"));
	while (last < seq)
		check(wide_take(&last));
	check(wide_all(passes));
	end();
}

static void
who_catches_up_is_sent_as_much_as_it_reads(void)
{
	enum { PASSES = 3 };
	uint64_t seq = 0, last = 0;
	memset(wide_ats, 0, sizeof wide_ats);
	check(begin());
	for (int i = 0; i < PASSES; i++)
		check((seq = load_wide()) > 0);
	watcher_narrow();
	check(like(peer_ask(&watcher, "[0,1,'watch',[{'since':0}]]"), "[1, 1, nil, {\"seq\"=>0}]"));
	long told = -1, before = -2;
	for (int calm = 0; calm < 20; before = told) { /* until it has stopped */
		check(event("receipt", "S0", "L0", 1) > 0);
		calm = (told = figure("changes_told")) == before ? calm + 1 : 0;
	}
	check(told < WIDE * PASSES);
	check_equal(figure("watchers_closed_slow"), 0);
	check_equal(figure("watchers_catching_up"), 1);
	seq = (uint64_t)event("receipt", "S1", "L0", 1);
	watcher_wide();
	while (last < seq)
		check(wide_take(&last));
	check(wide_all(PASSES));
	check_equal(figure("watchers_catching_up"), 0);
	seq = (uint64_t)event("receipt", "S2", "L0", 1);
	while (last < seq)
		check(wide_take(&last));
	end();
}

static void
a_stop_ends_the_watchers(void)
{
	check(begin());
	check(like(peer_ask(&watcher, "[0,1,'watch',[]]"), "[1, 1, nil, *"));
	check(event("receipt", "A", "L", 1));
	check(told("[*, \"A\", \"L\", 1, 0]]]%s", ""));
	check_equal(server_stop(&server), 0);
	check(strcmp(peer_answer(&watcher), "closed") == 0);
	end();
}

#define LOOPED(X) \
	X(a_watcher_is_told_what_changes) \
	X(filters_leave_out_what_is_not_asked_for) \
	X(a_group_means_its_members_of_now) \
	X(full_tells_every_change_and_thresholds) \
	X(a_quiet_watcher_hears_how_far_it_is) \
	X(since_goes_on_and_says_when_it_cannot) \
	X(history_that_is_gone_is_said) \
	X(a_copy_goes_on_over_kills_of_both_sides) \
	X(a_scan_under_load_and_a_watch_make_a_whole_copy) \
	X(pages_of_a_snapshot_are_of_one_instant) \
	X(a_snapshot_belongs_to_its_connection_and_there_are_eight) \
	X(who_does_not_read_is_closed_and_goes_on) \
	X(who_catches_up_is_sent_as_much_as_it_reads) \
	X(a_stop_ends_the_watchers)

#define X(test) \
	static void test##_with_two_loops(void) \
	{ \
		snprintf(loops_text, sizeof loops_text, "2"); \
		test(); \
		snprintf(loops_text, sizeof loops_text, "1"); \
	}
LOOPED(X)
#undef X

int
main(int argc, char **argv)
{
	static const struct check tests[] = {
#define X(test) CHECK(test), CHECK(test##_with_two_loops),
		LOOPED(X)
#undef X
	};
	setvbuf(stdout, NULL, _IOLBF, 0);
	int status = check_run(argv[0], tests, sizeof tests / sizeof tests[0], argc, argv);
	server_remove(&server);
	return status;
}
