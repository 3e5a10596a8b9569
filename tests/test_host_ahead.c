/* test_host_ahead.c: a host that is told to have memory ready has it when it is open: every page, asked of the kernel. */
#define _GNU_SOURCE
#include "tests/check.h"
#include "tests/image_rig.h"

#include "core/view.h"
#include "net/config.h"
#include "net/host.h"

#include <sys/mman.h>
#include <unistd.h>

static char folder[256];
static struct config config;

static struct host *
host_with(const char *reservations, const char *history)
{
	char *argv[] = { (char *)(uintptr_t)"holdfastd", (char *)(uintptr_t)"--reservations-ready", (char *)(uintptr_t)reservations,
		(char *)(uintptr_t)"--history-ready", (char *)(uintptr_t)history, (char *)(uintptr_t)"--reservations-max",
		(char *)(uintptr_t)"200000", (char *)(uintptr_t)"--segment-bytes", (char *)(uintptr_t)"16M" };
	static struct host_options options;
	struct why why = { "" };
	if (config_read(&config, sizeof argv / sizeof *argv, argv, &why) < 0)
		return NULL;
	options = (struct host_options){ .data = folder, .limits = config.limits, .engine = config.engine, .image_map_bytes = config.image_map_bytes,
		.reservations_ready = config.reservations_ready, .history_ready = config.history_ready, .checkpoint = CHECKPOINT_OPTIONS_DEFAULT };
	journal_options_init(&options.journal);
	options.journal.segment_bytes = config.segment_bytes;
	struct host *h = host_open(&options, &why);
	if (!h)
		printf("%s\n", why.text);
	return h;
}

/* Pages of the range that nothing is behind. */
static size_t
pages_missing(struct view_range range)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t at = (uintptr_t)range.at & ~(page - 1), end = (uintptr_t)range.at + range.bytes;
	size_t missing = 0;
	for (; range.bytes && at < end; at += page) {
		unsigned char there = 0;
		missing += mincore((void *)at, page, &there) != 0 || !(there & 1);
	}
	return missing;
}

static size_t
places_missing(struct host *h, enum view_pool pool, uint32_t from, uint32_t to)
{
	struct view_range ranges[VIEW_RANGES];
	size_t missing = 0;
	view_pool_memory(host_engine(h), pool, from, to, ranges);
	for (int i = 0; i < VIEW_RANGES; i++)
		missing += pages_missing(ranges[i]);
	return missing;
}

static void
what_shall_be_ready_has_its_memory_at_the_start(void)
{
	struct view_range tables[VIEW_TABLES];
	struct why why;
	folder_new(folder);
	struct host *h = host_with("50000", "100000");
	check(h != NULL);
	check_equal(places_missing(h, VIEW_SLOTS, 0, 50000), 0);
	check_equal(places_missing(h, VIEW_HISTORY, 0, 100000), 0);
	view_tables_memory(host_engine(h), 0, 50000, tables);
	for (int i = 0; i < VIEW_TABLES; i++)
		check_equal(pages_missing(tables[i]), 0);
	check_equal(host_close(h, &why), HOST_CLOSED);
	folder_remove(folder);
}

static void
more_than_there_is_room_for_is_all_there_is(void)
{
	struct why why;
	folder_new(folder);
	struct host *h = host_with("4000000", "0");
	check(h != NULL);
	check_equal(places_missing(h, VIEW_SLOTS, 0, 200000), 0);
	check_equal(host_close(h, &why), HOST_CLOSED);
	folder_remove(folder);
}

static void
without_being_told_a_host_takes_no_memory_ahead(void)
{
	struct why why;
	folder_new(folder);
	struct host *h = host_with("0", "0");
	check(h != NULL);
	check(places_missing(h, VIEW_SLOTS, 10000, 200000) > 1000);
	check(places_missing(h, VIEW_HISTORY, 100000, 1000000) > 1000);
	check_equal(host_close(h, &why), HOST_CLOSED);
	folder_remove(folder);
}

static const struct check tests[] = {
	CHECK(what_shall_be_ready_has_its_memory_at_the_start),
	CHECK(more_than_there_is_room_for_is_all_there_is),
	CHECK(without_being_told_a_host_takes_no_memory_ahead),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv);
}
