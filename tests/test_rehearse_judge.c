/*
 * test_rehearse_judge.c: the rehearsal's judge alone, on records made by hand: good ones are good, and each planted fault makes it say no, in the
 * right place. Who was passed over and what was a lost sale are worked out on little stories.
 */
#include "bench/rehearse_capacity.h"
#include "bench/rehearse_curve.h"
#include "bench/rehearse_judge.h"
#include "tests/check.h"

#include <stdlib.h>

#define HOLD_MS 1000
#define BEGUN_MS INT64_C(1700000000000)
#define END_MS (BEGUN_MS + 60000)
#define MS INT64_C(1000000)
#define SHOPPERS 8

/* One cell with two units, and the warm-up's; every shopper wants one unit there. */
static struct scenario scenario;
static struct plan plan;
static struct found found;
static struct verdict verdict;
static uint64_t seq;

static void
world_begin(void)
{
	scenario_init(&scenario);
	scenario.hold_ms = HOLD_MS;
	plan = (struct plan){ .scenario = &scenario, .begun_ms = BEGUN_MS, .ended_ms = BEGUN_MS + 2200, .duration_ns = 10000 * MS, .skus_n = 2, .locations_n = 1, .cells_n = 2,
		.lines_n = SHOPPERS, .tills_n = 1 };
	plan.cells = calloc(2, sizeof *plan.cells);
	plan.shoppers = calloc(SHOPPERS, sizeof *plan.shoppers);
	plan.lines = calloc(SHOPPERS, sizeof *plan.lines);
	plan.events = calloc(4, sizeof *plan.events);
	plan.messages = calloc(4, sizeof *plan.messages);
	plan.till_last = calloc(1, sizeof *plan.till_last);
	plan.cells[0].stock = 2;
	for (uint32_t i = 0; i < SHOPPERS; i++)
		plan.lines[i] = (struct plan_line){ 0, 1 };
	seq = 10;
}

static void
world_end(void)
{
	judge_fini(&verdict);
	found_fini(&found);
	plan_fini(&plan);
}

/* The next shopper comes; what becomes of it is said by the caller. */
static struct shopper *
comes(int64_t at_ms)
{
	struct shopper *s = &plan.shoppers[plan.shoppers_n];
	*s = (struct shopper){ .due_ns = at_ms * MS, .asked_ns = at_ms * MS, .answered_ns = (at_ms + 1) * MS, .line = plan.shoppers_n, .lines_n = 1 };
	plan.shoppers_n++;
	return s;
}

static struct shopper *
granted(int64_t at_ms, enum shopper_state state)
{
	struct shopper *s = comes(at_ms);
	s->state = (uint8_t)state;
	s->granted_seq = seq++;
	s->grants_n = 1;
	s->expires_at = BEGUN_MS + at_ms + HOLD_MS;
	return s;
}

static struct shopper *
refused(int64_t at_ms)
{
	struct shopper *s = comes(at_ms);
	s->state = SHOPPER_REFUSED;
	s->reason = STATUS_INSUFFICIENT;
	return s;
}

static void
ended(struct shopper *s, int64_t at_ms)
{
	s->ended_seq = seq++;
	s->think_ms = (uint32_t)(at_ms - s->answered_ns / MS - 1);
	s->ended_ns = at_ms * MS;
}

static void
till_sells(int64_t at_ms, int32_t qty)
{
	struct till_message *m = &plan.messages[plan.messages_n];
	plan.events[plan.events_n] = (struct till_event){ .cell = 0, .qty = qty, .n = ++plan.till_last[0], .kind = TILL_SALE, .applied_n = 1, .seq = seq++ };
	*m = (struct till_message){ .due_ns = at_ms * MS, .first = plan.events_n++, .events_n = 1, .answered_ns = (at_ms + 1) * MS };
	plan.messages_n++;
}

/* The server's end as it must be by these figures; reservations as their records say. */
static void
server_has(int64_t on_hand, int64_t reserved, int64_t committed)
{
	found.at_ms = END_MS;
	found.cells = calloc(2, sizeof *found.cells);
	found.states = calloc(SHOPPERS, sizeof *found.states);
	found.tills = calloc(1, sizeof *found.tills);
	found.cells[0] = (struct found_cell){ on_hand, reserved, committed };
	found.tills[0] = (struct found_till){ (int64_t)plan.till_last[0], (int64_t)plan.till_last[0] };
	for (uint32_t i = 0; i < plan.shoppers_n; i++)
		found.states[i] = judge_expired_ms(&plan.shoppers[i], END_MS) ? SHOPPER_TOO_LATE : plan.shoppers[i].state;
}

static void
judge(uint64_t unanswered)
{
	struct why why;
	check_equal(judge_run(&plan, &found, unanswered, &verdict, &why), 0);
}

/* ---- the verdict ---- */

/* One buys, one gives back, one buys what was given back, one is refused, one is told by a till, one leaves its hold to expire. */
static void
good_records(void)
{
	world_begin();
	granted(10, SHOPPER_COMMITTED);
	ended(granted(20, SHOPPER_RELEASED), 500);
	refused(30);
	granted(600, SHOPPER_HELD);
	ended(granted(2000, SHOPPER_FULFILLED), 2100);
}

static void
records_that_agree_are_good(void)
{
	good_records();
	server_has(1, 0, 1);
	judge(0);
	check(judge_good(&verdict));
	check_equal(verdict.grants, 4);
	check_equal(verdict.expired_unused, 1);
	check_equal(verdict.sums[0].bought, 2);
	check_equal(verdict.sums[0].released, 1);
	check_equal(verdict.sums[0].refused_shoppers, 1);
	check_equal(verdict.sums[0].sold_out_ns, 21 * MS);
	world_end();
}

static void
a_grant_of_units_that_are_not_there_is_oversold(void)
{
	world_begin();
	granted(10, SHOPPER_COMMITTED);
	granted(20, SHOPPER_COMMITTED);
	granted(30, SHOPPER_COMMITTED);
	server_has(2, 0, 3);
	judge(0);
	check_equal(verdict.oversold, 1);
	check(!judge_good(&verdict));
	world_end();
}

static void
a_grant_just_before_the_units_came_back_is_oversold(void)
{
	world_begin();
	granted(10, SHOPPER_COMMITTED);
	struct shopper *back = granted(20, SHOPPER_RELEASED);
	granted(30, SHOPPER_COMMITTED);
	ended(back, 29); /* told as earlier, but its position is later */
	server_has(2, 0, 2);
	judge(0);
	check_equal(verdict.oversold, 1);
	world_end();
}

static void
a_grant_just_before_a_hold_expired_is_oversold(void)
{
	world_begin();
	granted(10, SHOPPER_COMMITTED);
	granted(20, SHOPPER_HELD); /* to 1020 */
	granted(1019, SHOPPER_COMMITTED);
	server_has(2, 0, 2);
	judge(0);
	check_equal(verdict.oversold, 1);
	world_end();
	world_begin();
	granted(10, SHOPPER_COMMITTED);
	granted(20, SHOPPER_HELD);
	granted(1020, SHOPPER_COMMITTED);
	server_has(2, 0, 2);
	judge(0);
	check_equal(verdict.oversold, 0);
	check(judge_good(&verdict));
	world_end();
}

static void
a_till_may_take_what_is_held_and_nobody_is_granted_after_it(void)
{
	world_begin();
	granted(10, SHOPPER_COMMITTED);
	till_sells(20, 2);
	server_has(0, 0, 1);
	judge(0);
	check(judge_good(&verdict)); /* a fact is no oversale */
	world_end();
	world_begin();
	till_sells(20, 2);
	granted(30, SHOPPER_COMMITTED);
	server_has(0, 0, 1);
	judge(0);
	check_equal(verdict.oversold, 1);
	world_end();
}

/* Each fault in the server's end or in the records, and the check that must see it. */
static void plant_reservation_gone(void) { found.states[0] = SHOPPER_TO_COME; }
static void plant_commit_forgotten(void) { found.states[0] = SHOPPER_HELD; }
static void plant_sale_forgotten(void) { found.cells[0].on_hand += 1; }
static void plant_commit_not_counted(void) { found.cells[0].committed -= 1; }
static void plant_commit_counted_twice(void) { found.cells[0].committed += 1; }
static void plant_sale_counted_twice(void) { found.cells[0].on_hand -= 1; }
static void plant_hold_left_behind(void) { found.cells[0].reserved += 1; }
static void plant_warm_cell_differs(void) { found.cells[1].on_hand -= 1; }
static void plant_granted_twice(void) { plan.shoppers[0].grants_n = 2; }
static void plant_wrong_answer(void) { plan.shoppers[2].wrong = true; }
static void plant_number_missing(void) { found.tills[0].contiguous -= 1; }
static void plant_number_never_sent(void) { found.tills[0].highest += 1; }
static void plant_applied_twice(void) { plan.events[0].applied_n = 2; }
static void plant_never_applied(void) { plan.events[0].applied_n = 0; found.cells[0].on_hand += 1; }
static void plant_unanswered(void) { plan.shoppers[2].waiting = 1; }
static void plant_nothing(void) { }

static void
each_planted_fault_is_seen(void)
{
	static const struct { const char *name; void (*plant)(void); const uint64_t *sees; } faults[] = {
		{ "nothing", plant_nothing, NULL }, { "a reservation is gone", plant_reservation_gone, &verdict.lost },
		{ "a commit is forgotten", plant_commit_forgotten, &verdict.lost }, { "a sale is forgotten", plant_sale_forgotten, &verdict.lost },
		{ "a commit is not counted", plant_commit_not_counted, &verdict.lost }, { "a commit counts twice", plant_commit_counted_twice, &verdict.doubled },
		{ "a sale counts twice", plant_sale_counted_twice, &verdict.doubled }, { "a hold is left behind", plant_hold_left_behind, &verdict.doubled },
		{ "another cell differs", plant_warm_cell_differs, &verdict.doubled }, { "one id was granted twice", plant_granted_twice, &verdict.doubled },
		{ "a wrong answer", plant_wrong_answer, &verdict.wrong }, { "a number is missing", plant_number_missing, &verdict.lost },
		{ "a number was never sent", plant_number_never_sent, &verdict.doubled }, { "an event was applied twice", plant_applied_twice, &verdict.doubled },
		{ "an event was never applied", plant_never_applied, &verdict.lost }, { "a request is unanswered", plant_unanswered, &verdict.unanswered },
	};
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
		good_records();
		till_sells(2500, 1);
		server_has(0, 0, 1);
		faults[i].plant();
		judge(faults[i].plant == plant_unanswered);
		check_calm();
		bool seen = faults[i].sees ? *faults[i].sees > 0 && !judge_good(&verdict) : judge_good(&verdict);
		if (!seen)
			printf("     %s: lost %llu doubled %llu wrong %llu\n", faults[i].name, (unsigned long long)verdict.lost,
			    (unsigned long long)verdict.doubled, (unsigned long long)verdict.wrong);
		world_end();
		check(seen);
	}
}

static void
what_was_not_compared_is_not_good(void)
{
	good_records();
	found = (struct found){ .at_ms = 0 };
	judge(0);
	check(!judge_good(&verdict));
	check_equal(verdict.oversold + verdict.lost + verdict.doubled + verdict.wrong, 0);
	check_equal(verdict.expired_unused, 1); /* before the end of the run */
	world_end();
	world_begin();
	granted(1500, SHOPPER_HELD);
	judge(0);
	check_equal(verdict.expired_unused, 0);
	check_equal(verdict.sums[0].held, 1);
	world_end();
}

/* ---- fairness and lost sales ---- */

static void
who_came_before_is_passed_over_only_without_a_reason(void)
{
	world_begin();
	granted(10, SHOPPER_COMMITTED);
	refused(20);
	granted(30, SHOPPER_COMMITTED);
	server_has(2, 0, 2);
	judge(0);
	check_equal(verdict.fairness.passed_over, 1);
	check_equal(verdict.fairness.unexplained, 1);
	check_equal(verdict.fairness.worst_ms, 10);
	world_end();

	world_begin();
	struct shopper *back = granted(10, SHOPPER_RELEASED);
	granted(11, SHOPPER_COMMITTED);
	refused(20);
	ended(back, 25);
	granted(30, SHOPPER_COMMITTED);
	server_has(2, 0, 2);
	judge(0);
	check_equal(verdict.fairness.passed_over, 1);
	check_equal(verdict.fairness.unexplained, 0);
	check_equal(verdict.lost_sales.shoppers, 1);
	check_equal(verdict.lost_sales.came_back, 1);
	check_equal(verdict.lost_sales.unsold_units, 0); /* another had it */
	world_end();
}

static void
who_wanted_more_than_the_next_one_is_not_passed_over(void)
{
	world_begin();
	granted(10, SHOPPER_COMMITTED);
	plan.lines[1].qty = 2;
	refused(20);
	granted(30, SHOPPER_COMMITTED);
	server_has(2, 0, 2);
	judge(0);
	check_equal(verdict.fairness.passed_over, 0);
	world_end();
}

static void
units_that_come_back_and_stay_are_lost_sales(void)
{
	world_begin();
	struct shopper *one = granted(10, SHOPPER_RELEASED);
	granted(11, SHOPPER_HELD);
	refused(20);
	refused(21);
	refused(22);
	ended(one, 100);
	server_has(2, 0, 0);
	judge(0);
	check(judge_good(&verdict));
	check_equal(verdict.lost_sales.came_back, 2);
	check_equal(verdict.lost_sales.shoppers, 2);
	check_equal(verdict.lost_sales.unsold_units, 2);
	check_equal(verdict.expired_unused, 1);
	world_end();
}

static void
grants_against_the_order_of_arrival_are_counted_in_pairs(void)
{
	world_begin();
	plan.cells[0].stock = 3;
	granted(30, SHOPPER_COMMITTED); /* positions in this order */
	granted(20, SHOPPER_COMMITTED);
	granted(40, SHOPPER_COMMITTED);
	refused(50);
	server_has(3, 0, 3);
	judge(0);
	check_equal(verdict.fairness.granted, 3);
	check_equal(verdict.fairness.out_of_order_share * 3, 1);
	world_end();
}

/* ---- curves ---- */

static void
a_curve_has_its_shape_and_its_number(void)
{
	static const struct { const char *set; double first, last; } rows[] = { /* shares of arrivals in the first and the last tenth */
		{ "curve=steady", .1, .1 }, { "curve=ramp", .019, .181 }, { "curve=waves", .079, .079 }, { "curve=shape", .25, 0 }, { "curve=spike", .394, .0045 } };
	enum { N = 100000 };
	int64_t *due_ns = calloc(N, sizeof *due_ns);
	struct why why;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint64_t random = 7;
		double first = 0, last = 0;
		scenario_init(&scenario);
		check_equal(scenario_set(&scenario, rows[i].set, &why), 0);
		scenario.peak = scenario.curve == CURVE_SPIKE ? 5 : 1.9;
		check_equal(scenario_set(&scenario, "shape=5 0 0 3 2 0 0 4 6 0", &why), 0);
		curve_draw(&scenario, &random, due_ns, N);
		for (int k = 0; k < N; k++) {
			check(due_ns[k] >= (k ? due_ns[k - 1] : 0) && due_ns[k] <= scenario.duration_ms * MS);
			first += due_ns[k] < scenario.duration_ms * MS / 10;
			last += due_ns[k] >= scenario.duration_ms * MS / 10 * 9;
		}
		if (first / N < rows[i].first - .01 || first / N > rows[i].first + .01 || last / N < rows[i].last - .01 || last / N > rows[i].last + .01)
			printf("     %s: %.4f %.4f\n", rows[i].set, first / N, last / N);
		check(first / N > rows[i].first - .01 && first / N < rows[i].first + .01 && last / N > rows[i].last - .01 && last / N < rows[i].last + .01);
	}
	free(due_ns);
}

/* ---- what gave way ---- */

static void
what_gave_way_is_told_by_the_figures(void)
{
	static const struct { double late, server, client, sync, others; bool bottleneck; const char *what; } rows[] = {
		{ 80, .5, .9, .3, .1, true, "the load generator" }, { 1, 1.2, .7, .3, .1, false, "the machine's processors" },
		{ 1, .95, .3, .3, .1, false, "the server's threads" }, { 1, .4, .3, 8, .1, false, "the disk" }, { 1, .4, .3, .3, .1, false, "stalls" },
		{ 80, .5, .9, .3, .9, true, "other programs" } };
	char text[300];
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		json_t *report = json_pack("{s:b, s:{s:i}, s:{s:{s:f}}, s:{s:{s:s}}, s:{s:b}, s:[{s:{s:{s:f}}, s:{s:b, s:f, s:{s:f}}, s:{s:[f], s:[f]}, s:{s:i, s:i}}]}",
		    "complete", 1, "machine", "cpus_n", 2, "server", "disk_sync_ms", "p99", rows[i].sync, "scenario", "values", "loops", "1", "verdict", "good", 1,
		    "runs", "latency_ms", "hold", "p99", 12.5, "client", "bottleneck", rows[i].bottleneck, "others_cpu", rows[i].others,
		    "late_ms", "p99", rows[i].late, "series",
		    "server_cpu", rows[i].server, "client_cpu", rows[i].client, "counts", "asked_n", 10, "answered_n", 10);
		check(report != NULL);
		check(strcmp(capacity_gave_way(report, 10, text, sizeof text), rows[i].what) == 0);
		check(!capacity_kept(report, 10));
		check(capacity_kept(report, 13));
		json_object_set_new(json_object_get(report, "verdict"), "good", json_false());
		check(!capacity_kept(report, 13));
		json_decref(report);
	}
}

int
main(int argc, char **argv)
{
	static const struct check tests[] = {
		CHECK(records_that_agree_are_good),
		CHECK(a_grant_of_units_that_are_not_there_is_oversold),
		CHECK(a_grant_just_before_the_units_came_back_is_oversold),
		CHECK(a_grant_just_before_a_hold_expired_is_oversold),
		CHECK(a_till_may_take_what_is_held_and_nobody_is_granted_after_it),
		CHECK(each_planted_fault_is_seen),
		CHECK(what_was_not_compared_is_not_good),
		CHECK(who_came_before_is_passed_over_only_without_a_reason),
		CHECK(who_wanted_more_than_the_next_one_is_not_passed_over),
		CHECK(units_that_come_back_and_stay_are_lost_sales),
		CHECK(grants_against_the_order_of_arrival_are_counted_in_pairs),
		CHECK(a_curve_has_its_shape_and_its_number),
		CHECK(what_gave_way_is_told_by_the_figures),
	};
	return check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv);
}
