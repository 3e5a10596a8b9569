/*
 * server_rig.h: what the tests of a whole server share: one server at a time with small tables, stock in it, each test with one
 * loop and with two. The server and its folder are gone when a test ends well; rig_run() removes what a failed one left.
 */
#ifndef HOLDFAST_TESTS_SERVER_RIG_H
#define HOLDFAST_TESTS_SERVER_RIG_H

#include "tests/check.h"
#include "tests/peer.h"
#include "tests/spawn.h"
#include "tests/wire_text.h"

extern struct server rig_server;
extern char rig_loops[4]; /* "1" or "2": for --loops */
extern const char *const rig_small[]; /* options of a server that is made in a moment */

/* A server of its own in a folder of its own; false, and why printed, when it does not start. */
bool rig_begin(const char *const *options);
/* The small one once more over its folder. */
bool rig_again(void);
/* `qty` of the SKU at location "L" by source "wms", event number n. */
bool rig_receive(struct peer *, int n, const char *sku, int qty);
/* Of the SKU at "L"; -1: no such answer. */
long rig_ats(struct peer *, const char *sku);

void rig_two_loops(void (*test)(void));
int rig_run(const struct check *tests, size_t n, int argc, char **argv);

/* For a list of tests: each once more on two loops; both in the table. */
#define RIG_TWO_LOOPS(test) \
	static void test##_with_two_loops(void) \
	{ \
		rig_two_loops(test); \
	}
#define RIG_CHECK_BOTH(test) CHECK(test), CHECK(test##_with_two_loops),

#endif
