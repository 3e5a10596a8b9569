/*
 * test_rehearse.c: the rehearsal tool from a scenario's text to the report: a small dose of each shipped scenario against a server of its own,
 * judged good; a server whose end was tampered with, a client that is late, an end before its time, each told as such; files with faults;
 * recorded orders; the program's exit codes.
 */
#include "bench/rehearse_capacity.h"
#include "bench/rehearse_replay.h"
#include "holdfast/holdfast.h"
#include "net/clock.h"
#include "tests/check.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static struct scenario scenario;
static char folder[256];

static bool
file_write(const char *name, const char *text, char path[400])
{
	snprintf(path, 400, "%s/%s", folder, name);
	FILE *f = fopen(path, "w");
	return f && fputs(text, f) >= 0 && fclose(f) == 0;
}

/* ---- the text of a scenario ---- */

static void
a_fault_in_a_file_is_told_with_its_line(void)
{
	static const struct { const char *text, *says; } rows[] = {
		{ "[stock]\nskus = 0\n", "line 2: skus: '0' is not a whole number, 1 to 1000000" },
		{ "about = x\n\n[stock]\nunits = 1.5\n", "line 4: units" },
		{ "[shoppers]\nskus = 5\n", "line 2: 'skus' belongs below '[stock]'" },
		{ "[stock]\ncolour = red\n", "line 2: there is no key 'colour'" },
		{ "[arrivals]\ncurve = cliff\n", "steady|ramp|spike|waves|shape" },
		{ "[arrivals]\nduration = 10\n", "a time, as in 500ms" },
		{ "[shoppers]\nbasket = 1 -2\n", "up to 48 figures" },
		{ "[stock]\nskus\n", "line 2: not 'name = value'" },
		{ "[shoppers]\ncommit = nan\n", "commit" },
	};
	char path[400];
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct why why = { "" };
		check(file_write("faulty.ini", rows[i].text, path));
		int result = scenario_read(&scenario, path, &why);
		if (result == 0 || !strstr(why.text, rows[i].says))
			printf("     %s says: %s\n", rows[i].text, why.text);
		check(result == -1 && strstr(why.text, rows[i].says));
	}
	unlink(path);
}

static void
keys_that_do_not_fit_each_other_are_refused(void)
{
	static const char *const pairs[][2] = { { "commit=0.8", "cancel=0.3" }, { "skus=5", "hot_skus=6" }, { "curve=ramp", "peak=3" }, { "tills=5", "till_events=0" },
		{ "skus=1000000", "locations=3" }, { "shoppers=0", "tills=0" } };
	struct why why;
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		scenario_init(&scenario);
		check_equal(scenario_check(&scenario, &why), 0);
		check_equal(scenario_set(&scenario, pairs[i][0], &why), 0);
		check_equal(scenario_set(&scenario, pairs[i][1], &why), 0);
		check_equal(scenario_check(&scenario, &why), -1);
	}
}

/* What is printed in a report can be typed again. */
static void
every_value_reads_as_it_was_written(void)
{
	static struct scenario again;
	char value[SCENARIO_TEXT_MAX], pair[SCENARIO_TEXT_MAX + 64], value_again[SCENARIO_TEXT_MAX];
	struct why why;
	const char *name;
	check_equal(scenario_read(&scenario, "black-friday", &why), 0);
	scenario_init(&again);
	for (unsigned i = 0; (name = scenario_value(&scenario, i, value)); i++) {
		snprintf(pair, sizeof pair, "%s=%s", name, value);
		check_equal(scenario_set(&again, pair, &why), 0);
		check(scenario_value(&again, i, value_again) && strcmp(value, value_again) == 0);
	}
}

/* ---- small doses ---- */

static bool
set_all(const char *const *pairs)
{
	struct why why = { "" };
	for (; *pairs; pairs++)
		if (scenario_set(&scenario, *pairs, &why) < 0) {
			printf("     %s\n", why.text);
			return false;
		}
	return scenario_check(&scenario, &why) == 0;
}

static bool
same_lengths(const json_t *series)
{
	size_t n = json_array_size(json_object_get(series, "t_s"));
	const char *name;
	json_t *v;
	json_object_foreach((json_t *)(uintptr_t)series, name, v)
		if (json_is_array(v) && strcmp(name, "stock_left") != 0 && json_array_size(v) != n)
			return false;
	return n > 0;
}

/* What was there, came and went makes what is left. */
static bool
balances(const json_t *cells)
{
	json_int_t at_end = 0;
	static const struct { const char *name; int sign; } terms[] = { { "stock_n", 1 }, { "returned_n", 1 }, { "sold_n", -1 }, { "held_n", -1 }, { "left_n", -1 } };
	for (size_t i = 0; i < sizeof terms / sizeof *terms; i++)
		at_end += terms[i].sign * json_integer_value(json_object_get(cells, terms[i].name));
	return at_end == 0;
}

static void
report_is_whole(const json_t *report, bool tills)
{
	const json_t *run = json_array_get(json_object_get(report, "runs"), 0), *counts = json_object_get(run, "counts");
	const json_t *latency = json_object_get(run, "latency_ms");
	check(json_is_true(json_object_get(report, "complete")));
	if (!report_good(report))
		report_print(stdout, report);
	check(report_good(report));
	check(same_lengths(json_object_get(run, "series")));
	check(json_integer_value(json_object_get(counts, "asked_n")) == json_integer_value(json_object_get(counts, "answered_n")));
	check_equal(json_integer_value(json_object_get(counts, "shoppers_n")), scenario.shoppers);
	check(json_integer_value(json_object_get(json_object_get(latency, "hold"), "n")) > 0);
	check(!tills || json_integer_value(json_object_get(json_object_get(latency, "till"), "n")) > 0);
	check(json_number_value(json_object_get(json_object_get(json_object_get(report, "summary"), "arrivals_per_s"), "median")) > 0);
	check(json_object_size(json_object_get(json_object_get(report, "scenario"), "values")) > 30);
	check(balances(json_object_get(run, "others")));
	for (size_t i = 0; i < json_array_size(json_object_get(run, "skus")); i++)
		check(balances(json_array_get(json_object_get(run, "skus"), i)));
}

static void
small_dose(const char *name, const char *const *pairs)
{
	struct why why = { "" };
	struct rehearsal r = { .command = "run", .scenario = &scenario, .quiet = true };
	check_equal(scenario_read(&scenario, name, &why), 0);
	check(scenario.about[0] != 0);
	check_equal(scenario_check(&scenario, &why), 0);
	check(set_all((const char *const[]){ "duration=400ms", "warm_up=100ms", "think=20ms", "shoppers=300", "connections=4", "runs=1", NULL }));
	check(set_all(pairs));
	json_t *report = rehearse(&r, &why);
	if (!report)
		printf("     %s\n", why.text);
	check(report != NULL);
	report_is_whole(report, scenario.tills > 0);
	json_decref(report);
}

static void steady_day_in_small_is_good(void) { small_dose("steady-day", (const char *const[]){ "skus=50", "tills=3", "till_events=500", NULL }); }
static void black_friday_in_small_is_good(void) { small_dose("black-friday", (const char *const[]){ "skus=50", "tills=3", "till_events=500", "hold=300ms", NULL }); }
static void cart_heavy_in_small_is_good(void) { small_dose("cart-heavy", (const char *const[]){ "skus=100", "units=10", "hold=200ms", NULL }); }
static void store_rush_in_small_is_good(void) { small_dose("store-rush", (const char *const[]){ "locations=5", "tills=5", "till_events=1500", "pressed_twice=0.3", NULL }); }
static void read_storm_in_small_is_good(void) { small_dose("read-storm", (const char *const[]){ "skus=100", "looking=0.8", NULL }); }

static void
flash_sale_in_small_is_good_and_runs_out(void)
{
	struct why why = { "" };
	struct rehearsal r = { .command = "run", .scenario = &scenario, .quiet = true };
	check_equal(scenario_read(&scenario, "flash-sale", &why), 0);
	check(set_all((const char *const[]){ "duration=400ms", "warm_up=100ms", "think=20ms", "hold=150ms", "shoppers=600", "units=40", "connections=4",
	    "pressed_twice=0.5", "runs=2", NULL }));
	json_t *report = rehearse(&r, &why);
	check(report != NULL);
	report_is_whole(report, false);
	check_calm();
	const json_t *run = json_array_get(json_object_get(report, "runs"), 1), *sku = json_array_get(json_object_get(run, "skus"), 0);
	check_equal(json_array_size(json_object_get(report, "runs")), 2);
	check(json_integer_value(json_object_get(json_object_get(json_object_get(run, "counts"), "refused"), "insufficient")) > 0);
	check(json_integer_value(json_object_get(json_object_get(run, "counts"), "pressed_twice_n")) > 0);
	check(json_is_number(json_object_get(sku, "sold_out_at_s")));
	check_equal(json_integer_value(json_object_get(sku, "sold_n")) + json_integer_value(json_object_get(sku, "left_n")), 40);
	json_decref(report);
}

/* Much is on offer and the wanted is there in plenty: who was refused wanted something else. */
static void
what_was_refused_most_is_shown_first(void)
{
	struct why why = { "" };
	struct rehearsal r = { .command = "run", .scenario = &scenario, .quiet = true };
	check_equal(scenario_read(&scenario, "black-friday", &why), 0);
	check(set_all((const char *const[]){ "duration=400ms", "warm_up=100ms", "think=20ms", "shoppers=1000", "skus=100", "units=1", "tills=0", "till_events=0",
	    "connections=4", "runs=1", NULL }));
	json_t *report = rehearse(&r, &why);
	check(report != NULL);
	const json_t *run = json_array_get(json_object_get(report, "runs"), 0), *skus = json_object_get(run, "skus");
	json_int_t before = INT64_MAX;
	check(json_integer_value(json_object_get(json_object_get(run, "others"), "refused_units_n")) > 0);
	check_equal(json_array_size(skus), 20);
	for (size_t i = 0; i < 10; i++) {
		json_int_t units = json_integer_value(json_object_get(json_array_get(skus, i), "refused_units_n"));
		check(units > 0 && units <= before);
		before = units;
	}
	json_decref(report);
}

static void
a_closed_loop_keeps_its_number_under_way(void)
{
	struct why why = { "" };
	struct rehearsal r = { .command = "run", .scenario = &scenario, .quiet = true };
	scenario_init(&scenario);
	check(set_all((const char *const[]){ "loop=closed", "shoppers=400", "duration=10s", "in_flight=3", "connections=2", "think=1ms", "looking=0.5",
	    "runs=1", NULL }));
	scenario.duration_ms = 300;
	json_t *report = rehearse(&r, &why);
	check(report != NULL);
	check(report_good(report));
	const json_t *run = json_array_get(json_object_get(report, "runs"), 0);
	check(json_is_true(json_object_get(run, "closed_loop")));
	size_t i;
	json_t *v;
	json_array_foreach(json_object_get(json_object_get(run, "series"), "in_flight_n"), i, v)
		check(json_is_null(v) || json_integer_value(v) <= 6 + 6); /* and what these shoppers do next */
	json_decref(report);
}

/* ---- what goes wrong ---- */

static struct house house;
static struct plan plan;
static struct play game;
static volatile sig_atomic_t stop;

static void
game_begin(play_tell *tell)
{
	struct why why = { "" };
	scenario_init(&scenario);
	check(set_all((const char *const[]){ "skus=3", "units=500", "shoppers=300", "duration=400ms", "warm_up=0ms", "think=10ms", "connections=3", NULL }));
	stop = 0;
	check_equal(house_open(&house, &scenario, NULL, NULL, &why), 0);
	check_equal(plan_make(&plan, &scenario, 1, "", &why), 0);
	check_equal(house_stock(&house, &plan, &why), 0);
	game = (struct play){ .plan = &plan, .target = house.target, .stop = &stop, .tell = tell };
	check_equal(play_run(&game, &why), 0);
}

static void
game_end(void)
{
	play_fini(&game);
	plan_fini(&plan);
	house_close(&house);
}

/* The verdict of what was played. */
static bool
game_good(struct verdict *v)
{
	struct found found = { .at_ms = 0 };
	struct why why = { "" };
	bool asked = game.broke_off || game.interrupted || house_ask(&house, &plan, &stop, &found, &why) == 0;
	bool good = asked && judge_run(&plan, &found, game.counts.unanswered, v, &why) == 0 && judge_good(v);
	found_fini(&found);
	if (!good)
		printf("     oversold %llu lost %llu doubled %llu unanswered %llu wrong %llu%s %s\n", (unsigned long long)v->oversold, (unsigned long long)v->lost,
		    (unsigned long long)v->doubled, (unsigned long long)v->unanswered, (unsigned long long)v->wrong, v->compared ? "" : ", not compared", why.text);
	return good;
}

static void
a_unit_that_moves_behind_the_clients_backs_is_seen(void)
{
	struct verdict v = { 0 };
	struct hf_failure failure;
	const struct hf_value *value;
	game_begin(NULL);
	check_calm();
	struct hf *hf = hf_connect(house.target.host, house.target.rpc, 10000, &failure);
	struct hf_line line = { plan.skus[1], plan.locations[0], 1 };
	struct hf_reserve_options options = { .ttl_ms = 600000 };
	check(hf != NULL);
	hf_build_reserve(hf, "stranger", &line, 1, &options);
	check_equal(hf_call(hf, &value), HF_OK);
	hf_close(hf);
	check(!game_good(&v));
	check_equal(v.doubled, 1);
	check_equal(v.oversold + v.lost + v.wrong + v.unanswered, 0);
	judge_fini(&v);
	game_end();
}

/* Takes away the client's time, as a busy machine would. */
static void
be_late(const struct play *p, double at_s, void *context)
{
	int64_t end_ns = clock_steady_ns() + 200000000;
	while (clock_steady_ns() < end_ns)
		;
}

/* The report's words about the client, had all its requests been so late and waited so long. */
static bool
is_bottleneck(const struct verdict *v, int64_t late_ms, int64_t waited_ms)
{
	memset(&game.series.all_late, 0, sizeof game.series.all_late);
	memset(game.series.all_waited, 0, sizeof game.series.all_waited);
	for (int i = 0; i < 100; i++) {
		spread_add(&game.series.all_late, late_ms * 1000000);
		spread_add(&game.series.all_waited[WORK_HOLD], waited_ms * 1000000);
	}
	json_t *report = report_new("run", &scenario, &house);
	report_add(report, &game, v, 1);
	const json_t *client = json_object_get(json_array_get(json_object_get(report, "runs"), 0), "client");
	bool is = json_is_true(json_object_get(client, "bottleneck"));
	bool says = strstr(json_string_value(json_object_get(client, "text")), "late against its own schedule") != NULL;
	json_decref(report);
	return is && says;
}

static void
a_client_that_is_late_says_so(void)
{
	struct verdict v = { 0 };
	game_begin(be_late);
	check_calm();
	check(game_good(&v));
	check(game.series.all_late.max_ns >= 100000000);
	check(is_bottleneck(&v, 50, 60));
	check(!is_bottleneck(&v, 50, 1000)); /* the server was slower by far */
	check(!is_bottleneck(&v, 1, 2)); /* nobody minds */
	judge_fini(&v);
	game_end();
}

static void
stop_early(const struct play *p, double at_s, void *context)
{
	stop = at_s > 0.15;
}

static void
an_interrupted_run_has_a_report_that_says_so(void)
{
	struct verdict v = { 0 };
	game_begin(stop_early);
	check_calm();
	check(game.interrupted);
	check(game.counts.answered > 0 && game.counts.answered < 300);
	check(!game_good(&v));
	check_equal(v.oversold + v.lost + v.doubled + v.wrong + v.unanswered, 0);
	json_t *report = report_new("run", &scenario, &house);
	report_add(report, &game, &v, 1);
	report_finish(report, false, "");
	check(!report_good(report));
	check(json_is_false(json_object_get(report, "complete")));
	check(same_lengths(json_object_get(json_array_get(json_object_get(report, "runs"), 0), "series")));
	json_decref(report);
	judge_fini(&v);
	game_end();
}

static void
kill_the_server(const struct play *p, double at_s, void *context)
{
	if (at_s > 0.15)
		server_kill(&house.server);
}

static void
a_server_that_dies_breaks_the_run_off_with_a_reason(void)
{
	struct verdict v = { 0 };
	game_begin(kill_the_server);
	check_calm();
	check(game.broke_off);
	check(strstr(game.why.text, "closed a connection") != NULL);
	check(!game_good(&v));
	judge_fini(&v);
	game_end();
}

/* ---- recorded orders ---- */

static const char orders[] =
    "ts,txn,sku,loc,qty,kind\n"
    "2024-05-01T10:00:00,1,A,web,2,sale\n"
    "2024-05-01T10:00:00,1,B,web,1,sale\n"
    "2024-05-01T10:01:00,2,A,web,3,sale\n"
    "2024-05-01T10:02:00,3,A,web,1,return\n"
    "2024-05-01T10:03:00,4,B,web,-2,adjust\n"
    "2024-05-01T10:03:00,5,A,web,1,sale\n"
    "2024-05-01T10:03:00,,B,web,9,in_stock\n";

static void
recorded_orders_are_played_at_their_speed(void)
{
	char path[400];
	struct why why = { "" };
	struct rehearsal r = { .command = "replay", .scenario = &scenario, .quiet = true, .make = replay_plan };
	check(file_write("orders.csv", orders, path));
	scenario_replay(&scenario);
	check(set_all((const char *const[]){ "think=10ms", NULL }));
	check_equal(replay_open(path, 240, 1, &scenario, &why), 0);
	check_equal(scenario.duration_ms, 1000); /* four minutes */
	check_equal(scenario.shoppers, 3);
	json_t *report = rehearse(&r, &why);
	check(report != NULL);
	check(report_good(report));
	const json_t *counts = json_object_get(json_array_get(json_object_get(report, "runs"), 0), "counts");
	check_equal(json_integer_value(json_object_get(counts, "fulfilled_n")), 3);
	check_equal(json_integer_value(json_object_get(counts, "till_events_n")), 2);
	json_decref(report);
	check_equal(replay_open(path, 0.01, 1, &scenario, &why), -1);
	check(strstr(why.text, "--speed") != NULL);
	check_equal(replay_open("/nowhere.csv", 1, 1, &scenario, &why), -1);
	replay_close();
	unlink(path);
}

/* ---- the program ---- */

static char said[1 << 16];

/* Its exit code; what it said on both ends into said[]. */
static int
program(const char *words)
{
	char path[512], command[1024];
	spawn_program("holdfast-bench", path, sizeof path);
	snprintf(command, sizeof command, "%s %s 2>&1", path, words);
	FILE *f = popen(command, "r");
	size_t n = f ? fread(said, 1, sizeof said - 1, f) : 0;
	said[n] = 0;
	int status = f ? pclose(f) : -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
the_program_answers_by_its_exit_code(void)
{
	static const struct { const char *words, *says; int code; } rows[] = {
		{ "--help", "usage: holdfast-bench", 0 }, { "list", "store-rush", 0 }, { "show flash-sale", "curve = spike", 0 }, { "keys", "[arrivals]", 0 },
		{ "", "what is to be done?", 2 }, { "dance", "there is no command 'dance'", 2 }, { "run", "takes SCENARIO", 2 }, { "list x", "takes no argument", 2 },
		{ "run flash-sale --bogus", "there is no option --bogus", 2 }, { "run nosuch", "'holdfast-bench list' shows", 2 },
		{ "run flash-sale --set peak=0", "peak", 2 }, { "capacity flash-sale --p99 0", "no number above 0", 2 },
		{ "run flash-sale --events 127.0.0.1:1", "--events goes with --server", 2 },
		{ "run flash-sale --server 127.0.0.1:1", "nothing listens on 127.0.0.1:1", 3 },
		{ "run store-rush --server 127.0.0.1:1", "--events HOST:PORT", 3 },
		{ "run flash-sale --server 127.0.0.1:1 --json /nowhere/there", "cannot write /nowhere/there", 7 }, /* before it begins */
		{ "run flash-sale --server 127.0.0.1:1 --page /nowhere/there", "cannot write /nowhere/there", 7 },
		{ "run flash-sale --server 127.0.0.1:1 --json /", "cannot write /: Is a directory", 7 },
		{ "replay /nowhere.csv", "cannot open", 7 }, { "page /nowhere.json", "is no report", 7 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int code = program(rows[i].words);
		if (code != rows[i].code || !strstr(said, rows[i].says))
			printf("     %s: %d, says: %s\n", rows[i].words, code, said);
		check(code == rows[i].code && strstr(said, rows[i].says));
	}
}

/* Beside a server of somebody else's, twice on the same one: names do not meet. */
static void
a_given_server_can_be_rehearsed_again_and_again(void)
{
	static const char small[] = "--set shoppers=60 --set skus=4 --set duration=200ms --set warm_up=0ms --set think=5ms --set tills=2 --set till_events=200 "
	    "--set locations=2 --runs 2";
	struct server server;
	struct why why = { "" };
	char words[900], path[400];
	check_equal(server_init(&server, &why), 0);
	check_equal(server_start(&server, (const char *const[]){ "--http", "off", NULL }, &why), 0);
	snprintf(path, sizeof path, "%s/report.json", folder);
	snprintf(words, sizeof words, "run steady-day %s --server 127.0.0.1:%u --events 127.0.0.1:%u --json %s", small, server.rpc, server.events, path);
	int code = program(words);
	if (code != 0)
		printf("     %s\n", said);
	check_equal(code, 0);
	check(strstr(said, "VERDICT: good") != NULL);
	json_t *report = json_load_file(path, 0, NULL);
	check(report != NULL);
	check(json_is_false(json_object_get(json_object_get(report, "server"), "own")));
	check(json_object_get(json_object_get(report, "summary"), "server_cpu") == NULL);
	json_decref(report);
	unlink(path);
	server_stop(&server);
	server_remove(&server);
}

static void
capacity_says_how_much_and_what_gave_way(void)
{
	int code = program("capacity flash-sale --quiet --p99 0.0001 --set shoppers=250 --set duration=100ms --set warm_up=0ms --set think=1ms --set hold=50ms "
	    "--set units=20 --set connections=2");
	check_equal(code, 1); /* nothing answers within 100 ns */
	check(strstr(said, "CAPACITY: no rate that was tried keeps a p99 of 0.0001 ms") != NULL);
}

int
main(int argc, char **argv)
{
	static const struct check tests[] = {
		CHECK(a_fault_in_a_file_is_told_with_its_line),
		CHECK(keys_that_do_not_fit_each_other_are_refused),
		CHECK(every_value_reads_as_it_was_written),
		CHECK(steady_day_in_small_is_good),
		CHECK(flash_sale_in_small_is_good_and_runs_out),
	CHECK(what_was_refused_most_is_shown_first),
		CHECK(black_friday_in_small_is_good),
		CHECK(cart_heavy_in_small_is_good),
		CHECK(store_rush_in_small_is_good),
		CHECK(read_storm_in_small_is_good),
		CHECK(a_closed_loop_keeps_its_number_under_way),
		CHECK(a_unit_that_moves_behind_the_clients_backs_is_seen),
		CHECK(a_client_that_is_late_says_so),
		CHECK(an_interrupted_run_has_a_report_that_says_so),
		CHECK(a_server_that_dies_breaks_the_run_off_with_a_reason),
		CHECK(recorded_orders_are_played_at_their_speed),
		CHECK(the_program_answers_by_its_exit_code),
		CHECK(a_given_server_can_be_rehearsed_again_and_again),
		CHECK(capacity_says_how_much_and_what_gave_way),
	};
	const char *tmp = getenv("TMPDIR");
	snprintf(folder, sizeof folder, "%s/holdfast-rehearse-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(folder))
		return 1;
	int result = check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv);
	rmdir(folder);
	return result;
}
