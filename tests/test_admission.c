/* test_admission.c: the judge of new holds (A1..A3) with a clock of its own: no server, no time. */
#include "tests/check.h"

#include "net/admission.h"

#define MS INT64_C(1000000)
#define LOW (QUEUE_AGE_MS / REFUSING_DIVISOR)

static struct admission a;
static int64_t now, ahead_ms;

/* One request a millisecond for so long, each of that age, before it ahead_ms of the disk's work. How many were refused. */
static int
come(int64_t for_ms, int64_t age_ms)
{
	int refused = 0;
	for (int64_t end = now + for_ms * MS; now < end; now += MS)
		refused += admission_refuses(&a, now, age_ms * MS, ahead_ms * MS);
	return refused;
}

static void
begin(void)
{
	now = 1000 * MS;
	ahead_ms = 0;
	admission_init(&a, QUEUE_AGE_MS);
}

static void
overload(void)
{
	begin();
	come(1000, 2 * QUEUE_AGE_MS);
}

static void
a_queue_is_refused_so_soon_after_it_has_grown_old(void)
{
	begin();
	check_equal(come(1000, QUEUE_AGE_MS), 0);
	check_equal(come(OLD_NS / MS, QUEUE_AGE_MS + 1), 0);
	check_equal(come(1000, QUEUE_AGE_MS + 1), 1000);
}

static void
without_a_limit_nothing_is_refused(void)
{
	admission_init(&a, 0);
	check_equal(come(1000, 100000), 0);
}

/* A1. */
static void
a_thread_without_a_core_and_a_burst_are_no_old_queue(void)
{
	begin();
	for (int i = 0; i < 50; i++) {
		now += 30 * MS;
		check_equal(come(1, 100), 0);
		check_equal(come(OLD_NS / MS - 2, 30), 0);
		check_equal(come(1, 15), 0);
	}
}

static void
a_few_late_requests_are_no_queue(void)
{
	begin();
	for (int i = 0; i < 1000; i++) {
		check_equal(come(1, 100), 0);
		now += CALM_NS - MS;
		if (i % (OLD_LOOKS_MIN - 2) == 0)
			now += CALM_NS;
	}
}

/* A2. */
static void
while_it_refuses_what_waited_an_eighth_of_the_limit_is_taken(void)
{
	overload();
	check_equal(come(100, LOW + 1), 100);
	check_equal(come(1, LOW), 0);
	check_equal(come(100, LOW + 1), 100);
}

static void
while_it_refuses_no_more_is_taken_than_the_disk_does_in_half_the_limit(void)
{
	begin();
	ahead_ms = 1000;
	check_equal(come(1000, 1), 0); /* a slow disk alone is no queue */
	overload();
	ahead_ms = QUEUE_AGE_MS / AHEAD_DIVISOR + 1;
	check_equal(come(1000, 1), 1000);
	ahead_ms--;
	check_equal(come(1000, 1), 0);
	ahead_ms = 1000; /* the load had ended in that second */
	check_equal(come(1000, 1), 0);
}

static void
the_whole_limit_is_back_a_moment_after_the_load_ended(void)
{
	overload();
	come(CALM_NS / MS, 1);
	check_equal(come(1000, QUEUE_AGE_MS / 2), 0);
	come(1000, 2 * QUEUE_AGE_MS);
	now += CALM_NS; /* nobody came at all */
	check_equal(come(1000, QUEUE_AGE_MS / 2), 0);
}

/* A3. Clients that ask again at once keep a queue of 10 ms: refused under the lowered limit, it is taken for good after a probe. */
static void
clients_that_the_whole_limit_suffices_for_are_not_refused_for_ever(void)
{
	overload();
	int refused = come(PROBE_NS_MIN / MS + 200, QUEUE_AGE_MS / 2);
	check(refused > 0 && refused < PROBE_NS_MIN / MS);
	check_equal(come(100000, QUEUE_AGE_MS / 2), 0);
}

static void
a_probe_under_load_is_short_and_they_grow_rare(void)
{
	overload();
	int refused = come(PROBE_NS_MIN / MS, 2 * QUEUE_AGE_MS);
	check(refused >= PROBE_NS_MIN / MS - PROBE_OLD_NS / MS - 2);
	refused = come(100000, 2 * QUEUE_AGE_MS); /* at 40 and 80 s */
	check(refused >= 100000 - 5 * (PROBE_OLD_NS / MS + 2));
}

static const struct check tests[] = {
	CHECK(a_queue_is_refused_so_soon_after_it_has_grown_old),
	CHECK(without_a_limit_nothing_is_refused),
	CHECK(a_thread_without_a_core_and_a_burst_are_no_old_queue),
	CHECK(a_few_late_requests_are_no_queue),
	CHECK(while_it_refuses_what_waited_an_eighth_of_the_limit_is_taken),
	CHECK(while_it_refuses_no_more_is_taken_than_the_disk_does_in_half_the_limit),
	CHECK(the_whole_limit_is_back_a_moment_after_the_load_ended),
	CHECK(clients_that_the_whole_limit_suffices_for_are_not_refused_for_ever),
	CHECK(a_probe_under_load_is_short_and_they_grow_rare),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv);
}
