/*
 * test_watch.c: the change feed of a live server, over its socket: what a watcher is told, where it begins and goes on, what ends it.
 * With one loop and with two.
 */
#include "tests/check.h"
#include "tests/peer.h"
#include "tests/spawn.h"
#include "tests/wire_text.h"

#include "net/feed.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>

static struct server server;
static char loops_text[4] = "1";
static struct peer writer, watcher;
static int event_n;

static const char *const small[] = { "--gate", "off", "--cells-max", "100000", "--reservations-max", "200000", "--history-max", "100000",
	"--free-ids-max", "1000", "--extra-lines-max", "400000", "--segment-bytes", "16M", "--loops", loops_text, NULL };

static bool
start(void)
{
	struct why why;
	if (server_start(&server, small, &why) == 0 && peer_open(&writer, server.rpc) && peer_open(&watcher, server.rpc))
		return true;
	printf("%s\n", why.text);
	return false;
}

static bool
begin(void)
{
	struct why why;
	event_n = 0;
	return server_init(&server, &why) == 0 && start();
}

static void
end(void)
{
	peer_close(&writer);
	peer_close(&watcher);
	server_remove(&server);
}

/* One event; its position, 0 when it was not applied. */
static long
event(const char *kind, const char *sku, const char *location, int qty)
{
	long seq = 0;
	const char *answer;
	event_n++;
	answer = peer_ask(&writer, "[0,1,'post',[[{'v':1,'source':'wms','n':%d,'kind':'%s','sku':'%s','location':'%s','qty':%d}]]]", event_n,
	    kind, sku, location, qty);
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
	end();
}

int
main(int argc, char **argv)
{
	static const struct check tests[] = {
		CHECK(a_watcher_is_told_what_changes),
	};
	int failed = check_run(argv[0], tests, sizeof tests / sizeof tests[0], argc, argv);
	snprintf(loops_text, sizeof loops_text, "2");
	return failed | check_run(argv[0], tests, sizeof tests / sizeof tests[0], argc, argv);
}
