/*
 * test_methods_host.c: methods and their host: full batches, positions that a reply waits for, overload, other loops, bounds. One frame
 * in, one reply out over a live engine (tests/methods_world.h).
 */
#include "tests/methods_world.h"

#include "net/codec_write.h"

/* ---- the host's side of the bargain ---- */

static void
a_full_batch_interrupts_a_post_and_nothing_is_done_twice(void)
{
	static const char post[] = "[[{'source': 'pos', 'n': 1, 'kind': 'sale', 'sku': 'a', 'location': 'l1', 'qty': 1}, {'source': 'pos', 'n': 2, "
	    "'kind': 'sale', 'sku': 'a', 'location': 'l1', 'qty': 1}, {'source': 'pos', 'n': 3, 'kind': 'sale', 'sku': 'a', 'location': 'l1', 'qty': 1}]]";
	int rounds = 0;
	world_stock();
	check_calm();
	world.host.room = 0;
	world_ask("post", post);
	for (; world.handled == HANDLED_AGAIN; rounds++) {
		check_equal(world.handling.resume, rounds + 1);
		/* The world.host may send what stood before the partial reply: it moves. */
		buffer_append(&world.out, "........", 8);
		memmove(world.out.at + world.handling.reply_at + 8, world.out.at + world.handling.reply_at, world.out.used - 8 - world.handling.reply_at);
		world.handling.reply_at += 8;
		world_batch();
		world.handled = methods_handle(&world.service, PLACE_ENGINE, world.now_ms, world.frame.at, world.frame.used, &world.out, &world.handling);
	}
	check_equal(rounds, 2);
	check_equal(world.handled, HANDLED_REPLY);
	check_equal(world.handling.wait_for, engine_seq(world.service.engine));
	check(wire_like(wire_to_text(world.out.at + 16, world.out.used - 16), "[1, 7, nil, [*, [\"applied\", \"applied\", \"applied\"]]]"));
	world.host.durable = engine_seq(world.service.engine);
	world.host.room = -1;
	check(wire_like(world_ask("ats", "[[['a', 'l1']]]"), "nil, [*, [7]]"));
}

static bool
late(void *context)
{
	return true;
}

static void
a_long_request_gives_way_to_others_every_few_parts(void)
{
	char text[8192];
	size_t used = (size_t)snprintf(text, sizeof text, "[[");
	int rounds = 0;
	world_stock();
	check_calm();
	for (int i = 1; i <= 70; i++)
		used += (size_t)snprintf(text + used, sizeof text - used, "%s['r%d', [['a', 'l1', 1]]]", i > 1 ? "," : "", i);
	snprintf(text + used, sizeof text - used, "]]");
	world.service.late = late;
	world_ask("reserve_many", text);
	for (; world.handled == HANDLED_AGAIN; rounds++)
		world.handled = methods_handle(&world.service, PLACE_ENGINE, world.now_ms, world.frame.at, world.frame.used, &world.out, &world.handling);
	world.service.late = NULL;
	check_equal(world.handled, HANDLED_REPLY);
	check_equal(rounds, 2);
	const char *said = wire_to_text(world.out.at, world.out.used);
	int answers = 0, granted = 0;
	for (const char *at = said; (at = strstr(at, "\"held\"")); at++)
		granted++;
	for (const char *at = said; (at = strstr(at, "\"insufficient\"")); at++)
		answers++;
	check_equal(granted, 10);
	check_equal(granted + answers, 70);
}

/* It may have to walk over 65,536 deltas. */
static void
a_post_gives_way_to_others_behind_each_count(void)
{
	int rounds = 0;
	world_stock();
	check_calm();
	world.service.late = late;
	world_ask("post", "[[{'source': 'c', 'n': 1, 'kind': 'count', 'sku': 'a', 'location': 'l1', 'qty': 5}, "
	    "{'source': 'c', 'n': 2, 'kind': 'count', 'sku': 'a', 'location': 'l1', 'qty': 6}, "
	    "{'source': 'c', 'n': 3, 'kind': 'receipt', 'sku': 'a', 'location': 'l1', 'qty': 1}, "
	    "{'source': 'c', 'n': 4, 'kind': 'receipt', 'sku': 'a', 'location': 'l1', 'qty': 1}]]");
	for (; world.handled == HANDLED_AGAIN; rounds++)
		world.handled = methods_handle(&world.service, PLACE_ENGINE, world.now_ms, world.frame.at, world.frame.used, &world.out, &world.handling);
	world.service.late = NULL;
	check_equal(world.handled, HANDLED_REPLY);
	check_equal(rounds, 2);
	check(wire_like(wire_to_text(world.out.at, world.out.used), "[1, *, nil, [*, [{\"reconciled\"=>*}, {\"reconciled\"=>*}, \"absorbed\", \"absorbed\"]]]"));
}

static void
a_refused_hold_is_answered_and_nothing_else_is(void)
{
	static const struct { const char *frame; const char *reply; } rows[] = {
		{ "[0, 7, 'reserve', 5]", "[1, 7, [\"overloaded\", *, {\"retry_after_ms\"=>*}], nil]" },
		{ "[0, 7, 'reserve_many', []]", "[1, 7, [\"overloaded\", *" },
		{ "[0, 7, 'extend', []]", "[1, 7, [\"overloaded\", *" },
		{ "[0, 7, 'pin', []]", "[1, 7, [\"overloaded\", *" },
		{ "[0, 7, 'commit', []]", NULL }, { "[0, 7, 'release', []]", NULL }, { "[0, 7, 'fulfil', []]", NULL },
		{ "[0, 7, 'post', []]", NULL }, { "[0, 7, 'ats', []]", NULL }, { "[0, 7, 'move', []]", NULL },
		{ "[2, 'reserve', []]", NULL }, { "[0, 7, 'reserve']", NULL }, { "{}", NULL },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		world.out.used = world.frame.used = 0;
		wire_from_text(&world.frame, rows[i].frame);
		check_equal(methods_refuse_hold(world.frame.at, world.frame.used, &world.out), rows[i].reply != NULL);
		check(rows[i].reply ? wire_like(wire_to_text(world.out.at, world.out.used), rows[i].reply) : world.out.used == 0);
	}
}

static void
a_reply_waits_for_what_it_shows(void)
{
	world_stock();
	check_calm();
	uint64_t before = world.host.durable;
	world_ask("reserve", "['r1', [['a', 'l1', 1]]]");
	check_equal(world.handling.wait_for, before + 1);
	world_ask("reserve", "['r2', [['a', 'l1', 100]]]");
	check_equal(world.handling.wait_for, before + 1);
	world_ask("ats", "[[['a', 'l1'], ['b', 'l1']]]");
	check_equal(world.handling.wait_for, before + 1);
	world_ask("ats", "[[['b', 'l1']]]");
	check_equal(world.handling.wait_for, before); /* not its own position, but that of the last name */
	world_ask("stock", "[[['a', 'l1']]]");
	check_equal(world.handling.wait_for, before + 1);
	world_ask("scan", "[]");
	check_equal(world.handling.wait_for, before + 1);
	world_ask("reservation", "['r1']");
	check_equal(world.handling.wait_for, before + 1);
	world_ask("reserve", "['r1']");
	check_equal(world.handling.wait_for, 0);
}

/* P5: nil and 0 are shown of names and groups, and a crash must not take those back. */
static void
what_is_not_there_waits_for_the_names_and_groups_it_was_judged_by(void)
{
	world_stock();
	check_calm();
	uint64_t before = world.host.durable;
	world_ask("post", "[{'source': 'pos', 'n': 70, 'kind': 'receipt', 'sku': 'new', 'location': 'l9', 'qty': 1}]");
	check_equal(world.handling.wait_for, before + 1);
	world_ask("ats", "[[['new', 'l1']]]"); /* known names, no cell: 0 */
	check_equal(world.handling.wait_for, before + 1);
	world_ask("stock", "[[['newer', 'l1']]]");
	check_equal(world.handling.wait_for, before + 1);
	world_ask("scan", "[{'location': 'l77'}]");
	check(world.handling.refused);
	check_equal(world.handling.wait_for, before + 1);
	world_ask("reserve", "['r1', [['a', 'l1', 1]]]");
	world_ask("ats", "[[['newer', 'l1']]]"); /* what named nothing does not hold it up */
	check_equal(world.handling.wait_for, before + 1);
	world_ask("policy", "[{'set': {'groups': {'g': {'members': ['l1']}}}}]");
	uint64_t job = world.handling.job, number;
	struct result result;
	world_batch();
	while (!engine_job_run(world.service.engine, &number, &result))
		;
	check_equal(number, job);
	world_ask("policy", "[{'set': {'groups': {'g': nil}}}]");
	uint64_t gone = engine_seq(world.service.engine);
	world_ask("ats", "[[['a', 'g']]]");
	check(gone > before + 3);
	check_equal(world.handling.wait_for, gone);
}

static void
a_read_behind_min_seq_waits_or_says_where_it_is(void)
{
	char params[128];
	world_stock();
	check_calm();
	unsigned long long next = world.host.durable + 1;
	snprintf(params, sizeof params, "[[['a', 'l1']], {'min_seq': %llu}]", next - 1);
	check(wire_like(world_ask("ats", params), "nil, *"));
	snprintf(params, sizeof params, "[[['a', 'l1']], {'min_seq': %llu}]", next);
	check(wire_like(world_ask("ats", params), "[\"behind\", *, {\"seq\"=>*}], nil"));
	snprintf(params, sizeof params, "[[['a', 'l1']], {'min_seq': %llu, 'wait_ms': 500}]", next);
	check(strcmp(world_ask("ats", params), "") == 0);
	check_equal(world.handled, HANDLED_WAIT);
	check(world.handling.wait_for == next && world.handling.wait_ms == 500);
	world.handling.waited = true;
	world.handled = methods_handle(&world.service, PLACE_ENGINE, world.now_ms, world.frame.at, world.frame.used, &world.out, &world.handling);
	check_equal(world.handled, HANDLED_REPLY);
	check(wire_like(wire_to_text(world.out.at, world.out.used), "[1, 7, [\"behind\", *"));
	check(wire_like(world_ask("ats", "[[], {'min_seq': 1, 'wait_ms': 1001}]"), "[\"bad_request\", \"wait_ms must be an integer 0..1000\", {}], nil"));
	snprintf(params, sizeof params, "['wms', {'min_seq': %llu}]", next);
	check(wire_like(world_ask("position", params), "[\"behind\", *"));
}

static void
other_loops_read_views_until_a_deadline_is_due(void)
{
	world_stock();
	check_calm();
	world_ask("reserve", "['r1', [['a', 'l1', 1]], {'ttl_ms': 1000}]");
	world.on_engine = false;
	check(wire_like(world_ask("ats", "[[['a', 'l1']]]"), "nil, [*, [9]]"));
	check(wire_like(world_ask("hello", "[{'v': 1}]"), "nil, *"));
	check(strcmp(world_ask("reserve", "['r2', [['a', 'l1', 1]]]"), "") == 0);
	check_equal(world.handled, HANDLED_ENGINE);
	check(strcmp(world_ask("status", "[]"), "") == 0);
	check_equal(world.handled, HANDLED_ENGINE);
	world.now_ms += 1000;
	for (int i = 0; i < 3; i++) {
		static const struct world_row reads[] = { { "ats", "[[['a', 'l1']]]", NULL }, { "stock", "[[['a', 'l1']]]", NULL }, { "scan", "[]", NULL } };
		check(strcmp(world_ask(reads[i].method, reads[i].params), "") == 0);
		check_equal(world.handled, HANDLED_ENGINE);
	}
	world.on_engine = true;
	check(wire_like(world_ask("ats", "[[['a', 'l1']]]"), "nil, [*, [10]]"));
	check(wire_like(world_ask("commit", "['r1']"), "[\"expired\", *"));
}

static void
overload_sheds_holds_and_lets_the_rest_pass(void)
{
	static const struct world_row rows[] = {
		{ "reserve", "['r2', [['a', 'l1', 1]]]", "[\"overloaded\", *, {\"retry_after_ms\"=>50}], nil" },
		{ "reserve_many", "[[]]", "[\"overloaded\", *" },
		{ "extend", "['r1', 1000]", "[\"overloaded\", *" },
		{ "pin", "['r1', 1000]", "[\"overloaded\", *" },
		{ "reserve", "['r2', []]", "[\"bad_request\", *" },
		{ "post", "[[]]", "nil, *" },
		{ "commit", "['r1']", "nil, *" },
		{ "fulfil", "['r1']", "nil, *" },
		{ "ats", "[[['a', 'l1']]]", "nil, [*, [9]]" },
	};
	world_stock();
	check_calm();
	world_ask("reserve", "['r1', [['a', 'l1', 1]]]");
	world.host.overloaded = true;
	WORLD_ROWS(rows);
}

static void
read_only_refuses_changes_and_answers_reads(void)
{
	static const struct world_row rows[] = {
		{ "reserve", "['r2', [['a', 'l1', 1]]]", "[\"read_only\", *, {\"why\"=>\"the disk is full\"}], nil" },
		{ "release", "['r2']", "[\"read_only\", *" },
		{ "post", "[[]]", "[\"read_only\", *" },
		{ "policy", "[{'set': {}}]", "[\"read_only\", *" },
		{ "quarantine", "[{'op': 'drop', 'ids': []}]", "[\"read_only\", *" },
		{ "position", "['wms', {'skip_to': 9}]", "[\"read_only\", *" },
		{ "position", "['wms']", "nil, *" },
		{ "policy", "[{'get': {}}]", "nil, *" },
		{ "quarantine", "[{'op': 'list'}]", "nil, *" },
		{ "stock", "[[['a', 'l1']]]", "nil, *" },
	};
	world_stock();
	check_calm();
	world.host.read_only = "the disk is full";
	WORLD_ROWS(rows);
}

static void
more_than_a_request_may_have_is_too_large(void)
{
	static const struct { const char *method; uint32_t n; const char *part; const char *message; } rows[] = {
		{ "ats", 10001, "['a', 'l1']", "at most 10000 cells in one ats" },
		{ "stock", 4001, "['a', 'l1']", "at most 4000 cells in one stock" },
		{ "reserve_many", 1001, "5", "at most 1000 reservations in one reserve_many" },
		{ "post", 10001, "5", "at most 10000 events in one post" },
	};
	world_stock();
	check_calm();
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char expected[128];
		world.frame.used = world.out.used = 0;
		put_array(&world.frame, 4);
		put_int(&world.frame, 0);
		put_int(&world.frame, 7);
		put_text(&world.frame, rows[i].method);
		put_array(&world.frame, 1);
		put_array(&world.frame, rows[i].n);
		for (uint32_t k = 0; k < rows[i].n; k++)
			wire_from_text(&world.frame, rows[i].part);
		world.handling = (struct handling){ 0 };
		check_equal(methods_handle(&world.service, PLACE_ENGINE, world.now_ms, world.frame.at, world.frame.used, &world.out, &world.handling), HANDLED_REPLY);
		snprintf(expected, sizeof expected, "[1, 7, [\"too_large\", \"%s\", {}], nil]", rows[i].message);
		check(wire_like(wire_to_text(world.out.at, world.out.used), expected));
	}
	static char event[EVENT_BYTES_MAX + 1], post[8192];
	memset(event, 'x', EVENT_BYTES_MAX);
	snprintf(post, sizeof post, "[[{'source': 'pos', 'n': 1, 'kind': 'sale', 'sku': 'a', 'location': 'l1', 'qty': 1, 'note': '%s'}]]", event);
	check(wire_like(world_ask("post", post), "nil, [*, [{\"rejected\"=>\"too_large\", \"message\"=>*, \"detail\"=>{}}]]"));
}

static void
an_answer_that_does_not_fit_is_taken_back_whole(void)
{
	struct buffer narrow = { .limit = 200 };
	world_stock();
	check_calm();
	world.frame.used = 0;
	wire_from_text(&world.frame, "[0, 7, 'stock', [[['a', 'l1'], ['a', 'l1'], ['a', 'l1']]]]");
	world.handling = (struct handling){ 0 };
	buffer_append(&narrow, "....", 4);
	check_equal(methods_handle(&world.service, PLACE_ENGINE, world.now_ms, world.frame.at, world.frame.used, &narrow, &world.handling), HANDLED_REPLY);
	check(!narrow.full && world.handling.refused);
	check(wire_like(wire_to_text(narrow.at + 4, narrow.used - 4), "[1, 7, [\"too_large\", *"));
	narrow.used = 4;
	narrow.limit = narrow.size = 20;
	check_equal(methods_handle(&world.service, PLACE_ENGINE, world.now_ms, world.frame.at, world.frame.used, &narrow, &world.handling), HANDLED_CLOSE);
	buffer_fini(&narrow);
}

int
main(int argc, char **argv)
{
	static const struct check tests[] = {
		CHECK(a_full_batch_interrupts_a_post_and_nothing_is_done_twice),
		CHECK(a_long_request_gives_way_to_others_every_few_parts),
	CHECK(a_post_gives_way_to_others_behind_each_count),
		CHECK(a_refused_hold_is_answered_and_nothing_else_is),
		CHECK(a_reply_waits_for_what_it_shows),
		CHECK(what_is_not_there_waits_for_the_names_and_groups_it_was_judged_by),
		CHECK(a_read_behind_min_seq_waits_or_says_where_it_is),
		CHECK(other_loops_read_views_until_a_deadline_is_due),
		CHECK(overload_sheds_holds_and_lets_the_rest_pass),
		CHECK(read_only_refuses_changes_and_answers_reads),
		CHECK(more_than_a_request_may_have_is_too_large),
		CHECK(an_answer_that_does_not_fit_is_taken_back_whole),
	};
	int failed = check_run(argv[0], tests, sizeof tests / sizeof tests[0], argc, argv);
	world_end();
	return failed;
}
