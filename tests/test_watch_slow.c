/* test_watch_slow.c: watchers that do not read: closed when live, paced when they catch up, and nothing lost. With one loop and with two. */
#include "tests/watch_rig.h"

#include "net/codec_read.h"

#include <sys/socket.h>

#define WIDE 30000 /* three times as many changes are 9 MB, twice what the kernel keeps for a connection */
static int wide_ats[WIDE]; /* as told */

/* A receipt of each of so many cells with long names, so that there is little to merge and much to tell. The last position. */
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
	check(watch_begin("1G"));
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
	check(watch_anew(&watcher));
	check(like(peer_ask(&watcher, "[0,1,'watch',[{'since':%llu}]]", (unsigned long long)last), "[1, 1, nil, *"));
	while (last < seq)
		check(wide_take(&last));
	check(wide_all(passes));
	watch_end();
}

static void
who_catches_up_is_sent_as_much_as_it_reads(void)
{
	enum { PASSES = 3 };
	uint64_t seq = 0, last = 0;
	memset(wide_ats, 0, sizeof wide_ats);
	check(watch_begin("1G"));
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
	watch_end();
}

#define LOOPED(X) \
	X(who_does_not_read_is_closed_and_goes_on) \
	X(who_catches_up_is_sent_as_much_as_it_reads)
LOOPED(RIG_TWO_LOOPS)

int
main(int argc, char **argv)
{
	static const struct check tests[] = { LOOPED(RIG_CHECK_BOTH) };
	return rig_run(tests, sizeof tests / sizeof tests[0], argc, argv);
}
