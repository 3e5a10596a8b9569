/*
 * test_methods.c: what each method answers: one frame in, one reply out over a live engine (tests/methods_world.h), as a client would
 * read it.
 */
#include "net/codec_read.h"
#include "tests/methods_world.h"

static void
hello_tells_version_and_limits(void)
{
	static const struct world_row rows[] = {
		{ "hello", "[{'v': 1, 'client': 'x', 'token': nil}]", "nil, {\"v\"=>1, \"server\"=>\"holdfastd test\", \"node\"=>\"n1\", \"epoch\"=>3, \"seq\"=>*, "
		  "\"limits\"=>{\"message_bytes\"=>1048576, \"lines\"=>100, \"batch\"=>1000, \"scan\"=>10000, \"source_window\"=>4096, "
		  "\"ttl_default_ms\"=>900000, \"ttl_max_ms\"=>86400000, \"pin_max_ms\"=>900000, \"count_window_ms\"=>172800000}}" },
		{ "hello", "[{'v': 2}]", "[\"version_unsupported\", *, {}], nil" },
		{ "hello", "[{}]", "[\"bad_request\", \"v is missing*, {}], nil" },
		{ "hello", "[]", "[\"bad_request\", *, {}], nil" },
	};
	world_begin();
	WORLD_ROWS(rows);
}

static void
a_hold_goes_its_way_from_reserve_to_fulfil(void)
{
	static const struct world_row rows[] = {
		{ "ats", "[[['a', 'l1'], ['b', 'l1'], ['a', 'l2'], ['x', 'l1'], ['a', 'x']]]", "nil, [*, [10, 5, 3, nil, nil]]" },
		{ "reserve", "['r1', [['a', 'l1', 4], ['b', 'l1', 5]], {'ttl_ms': 60000, 'channel': 'web', 'owner': 'ann'}]",
		  "nil, {\"seq\"=>*, \"state\"=>\"held\", \"expires_at\"=>1700000060000, \"lines\"=>[[\"a\", \"l1\", 4], [\"b\", \"l1\", 5]], \"again\"=>false}" },
		{ "reserve", "['r1', [['a', 'l1', 4], ['b', 'l1', 5]], {'ttl_ms': 5, 'channel': 'web', 'owner': 'ann'}]",
		  "nil, {*\"expires_at\"=>1700000060000, *\"again\"=>true}" },
		{ "reserve", "['r1', [['a', 'l1', 4]]]", "[\"conflict\", *, {}], nil" },
		{ "ats", "[[['a', 'l1'], ['b', 'l1']], {'channel': 'web'}]", "nil, [*, [6, 0]]" },
		{ "reserve", "['r2', [['a', 'l1', 1], ['b', 'l1', 1]]]", "[\"insufficient\", *, {\"lines\"=>[{\"line\"=>1, \"sku\"=>\"b\", \"location\"=>\"l1\", "
		  "\"asked\"=>1, \"available\"=>0, \"next_release_at\"=>1700000060000, \"next_release_qty\"=>5, \"next_inbound_at\"=>nil}]}], nil" },
		{ "reserve", "['r2', [['x', 'l1', 1]]]", "[\"unknown_sku\", *" },
		{ "reserve", "['r2', [['a', 'x', 1]]]", "[\"unknown_location\", *" },
		{ "reserve", "['r2', [['a', 'l1', 1]], {'ttl_ms': 86400001}]", "[\"limit\", *, {\"which\"=>\"ttl\"}], nil" },
		{ "extend", "['r1', 120000]", "nil, {\"seq\"=>*, \"expires_at\"=>1700000120000}" },
		{ "pin", "['r1', 180000]", "nil, {\"seq\"=>*, \"expires_at\"=>1700000180000}" },
		{ "pin", "['r1', 180000]", "[\"limit\", *, {\"which\"=>\"pin\"}], nil" },
		{ "commit", "['r1', {'lines': [['a', 'l1', 1]]}]", "[\"bad_request\", *" },
		{ "commit", "['r1', {'lines': [['a', 'l1', 9]], 'ref': 'p0'}]", "[\"bad_request\", *, {\"left\"=>4}], nil" },
		{ "commit", "['r1', {'lines': [['a', 'l1', 1]], 'ref': 'p1'}]", "nil, {\"seq\"=>*, \"state\"=>\"held\", \"lines\"=>[[\"a\", \"l1\", 1]], \"again\"=>false}" },
		{ "commit", "['r1', {'lines': [['a', 'l1', 1]], 'ref': 'p1'}]", "nil, {*\"lines\"=>[[\"a\", \"l1\", 1]], \"again\"=>true}" },
		{ "commit", "['r1']", "nil, {*\"state\"=>\"committed\", \"lines\"=>[[\"a\", \"l1\", 3], [\"b\", \"l1\", 5]], \"again\"=>false}" },
		{ "move", "['r1', 0, 'l2']", "[\"insufficient\", *" },
		{ "release", "['r1', {'lines': [['a', 'l1', 1]], 'ref': 'p2'}]", "nil, {*\"lines\"=>[[\"a\", \"l1\", 1]], \"again\"=>false}" },
		{ "move", "['r1', 0, 'l2']", "nil, {\"seq\"=>*, \"lines\"=>[[\"a\", \"l2\", 3]]}" },
		{ "move", "['r1', 0, 'l2']", "nil, {\"seq\"=>*, \"lines\"=>[[\"a\", \"l2\", 3]], \"again\"=>true}" },
		{ "fulfil", "['r1']", "nil, {*\"state\"=>\"fulfilled\", \"lines\"=>[[\"b\", \"l1\", 5], [\"a\", \"l2\", 3]], \"again\"=>false}" },
		{ "extend", "['r1', 1000]", "[\"wrong_state\", *, {\"state\"=>\"fulfilled\"}], nil" },
		{ "stock", "[[['a', 'l2'], ['x', 'l1']]]", "nil, [*, [{\"on_hand\"=>0, \"unsellable\"=>0, \"reserved\"=>0, \"committed\"=>0, \"promised\"=>0, "
		  "\"safety_stock\"=>0, \"oversell_limit\"=>0, \"ats\"=>0, \"short\"=>0, \"inbound\"=>0, \"last_event_at\"=>1700000000000, "
		  "\"last_count_at\"=>nil}, nil]]" },
		{ "reservation", "['r1']", "nil, {\"seq\"=>*, \"id\"=>\"r1\", \"state\"=>\"fulfilled\", \"owner\"=>\"ann\", \"channel\"=>\"web\", "
		  "\"created_at\"=>1700000000000, \"expires_at\"=>1700000180000, \"pinned\"=>true, \"lines\"=>[{\"sku\"=>\"a\", \"location\"=>\"l1\", *" },
		{ "reservation", "['r9']", "[\"not_found\", *, {}], nil" },
		{ "commit", "['r9']", "[\"not_found\", *, {}], nil" },
		{ "outcome", "['r1']", "nil, {\"known\"=>true, \"seq\"=>*, \"status\"=>\"fulfilled\", \"result\"=>{\"seq\"=>*\"expires_at\"=>1700000060000, *" },
		{ "outcome", "['r2']", "nil, {\"known\"=>false, \"seq\"=>*, \"status\"=>nil, \"result\"=>nil}" },
		{ "reserve", "['r3', [['a', 'l1', 99]], {'mode': 'partial'}]", "nil, {*\"lines\"=>[[\"a\", \"l1\", 10]], *" },
	};
	world_stock();
	check_calm();
	WORLD_ROWS(rows);
}

static void
many_reservations_are_each_decided_alone(void)
{
	static const struct world_row rows[] = {
		{ "reserve_many", "[[['r1', [['a', 'l1', 1]]], ['r2', [['a', 'l1', 99]]], 5, ['r3', [['a', 'l1', 0]]], ['r4', [['a', 'l2', 3]], {'ttl_ms': 9}]]]",
		  "nil, [*, [{\"seq\"=>*\"lines\"=>[[\"a\", \"l1\", 1]], \"again\"=>false}, [\"insufficient\", *], [\"bad_request\", \"a reservation must be "
		  "[id, lines, options?]\", {}], [\"bad_request\", \"lines[0]: qty must be an integer 1..2147483647\", {}], {\"seq\"=>*]]" },
		{ "reserve_many", "[[]]", "nil, [*, []]" },
		{ "reserve_many", "[7]", "[\"bad_request\", *" },
		{ "ats", "[[['a', 'l1'], ['a', 'l2']]]", "nil, [*, [9, 0]]" },
	};
	world_stock();
	check_calm();
	WORLD_ROWS(rows);
}

static void
each_event_has_its_outcome(void)
{
#define AT_A "'sku': 'a', 'location': 'l1'"
	static const struct world_row rows[] = {
		{ "post", "[[{'source': 'pos', 'n': 1, 'kind': 'sale', " AT_A ", 'qty': 2}, {'source': 'pos', 'n': 1, 'kind': 'sale', " AT_A ", 'qty': 2}, "
		  "{'source': 'pos', 'n': 1, 'kind': 'sale', " AT_A ", 'qty': 3}]]",
		  "nil, [*, [\"applied\", \"duplicate\", {\"rejected\"=>\"conflict\", \"message\"=>*, \"detail\"=>{}, \"quarantine\"=>1}]]" },
		{ "post", "[{'source': 'pos', 'id': 'e1', 'kind': 'count', " AT_A ", 'qty': 7, 'as_of': 1700000000000}]",
		  "nil, [*, [{\"reconciled\"=>{\"was\"=>8, \"counted\"=>7, \"reapplied\"=>0, \"variance\"=>-1, \"ambiguous\"=>[]}}]]" },
		{ "post", "[[{'source': 'pos', 'n': 2, 'kind': 'sale', " AT_A ", 'qty': 1, 'at': 1699999999999}]]", "nil, [*, [\"absorbed\"]]" },
		{ "post", "[[{'source': 'pos', 'n': 3, 'kind': 'sale', " AT_A ", 'qty': 2.0}]]",
		  "nil, [*, [{\"rejected\"=>\"bad_request\", \"message\"=>\"qty must be an integer 1..2147483647\", \"detail\"=>{}, \"quarantine\"=>2}]]" },
		{ "post", "[[{'kind': 'sale'}, 5, [1]]]", "nil, [*, [{\"rejected\"=>\"bad_request\", \"message\"=>\"source is missing\", \"detail\"=>{}}, "
		  "{\"rejected\"=>\"bad_request\", \"message\"=>\"an event must be a map\", \"detail\"=>{}}, {*}]]" },
		{ "post", "[[{'source': 'pos', 'n': 4, 'kind': 'adjust', " AT_A ", 'qty': 2, 'expected': 5, 'reason': 'x'}]]",
		  "nil, [*, [{\"rejected\"=>\"mismatch\", \"message\"=>*, \"detail\"=>{\"on_hand\"=>7}}]]" },
		{ "post", "[[{'source': 'pos', 'n': 9000, 'kind': 'sale', " AT_A ", 'qty': 2}]]", "nil, [*, [{\"rejected\"=>\"gap_too_wide\", *}]]" },
		{ "post", "[[{'source': 'pos', 'n': 4, 'kind': 'adjust', " AT_A ", 'qty': 2}]]", "nil, [*, [{\"rejected\"=>\"bad_request\", *\"quarantine\"=>3}]]" },
		{ "post", "[[{'source': 'pos', 'n': 7, 'kind': 'inbound', " AT_A ", 'qty': 2, 'ref': 'po'}]]",
		  "nil, [*, [{\"rejected\"=>\"bad_request\", \"message\"=>\"kind \"inbound\": not supported yet\", \"detail\"=>{}, \"quarantine\"=>4}]]" },
		{ "post", "[[]]", "nil, [*, []]" },
		{ "post", "[5]", "[\"bad_request\", *" },
		{ "outcome", "[['pos', 1]]", "nil, {\"known\"=>true, \"seq\"=>5, \"status\"=>\"applied\", \"result\"=>nil}" },
		{ "outcome", "[['pos', 2]]", "nil, {\"known\"=>true, \"seq\"=>*, \"status\"=>\"absorbed\", \"result\"=>nil}" },
		{ "outcome", "[['pos', 3]]", "nil, {\"known\"=>true, \"seq\"=>*, \"status\"=>\"rejected\", \"result\"=>{\"rejected\"=>\"bad_request\"}}" },
		{ "outcome", "[['pos', 5]]", "nil, {\"known\"=>false, *" },
		{ "outcome", "['e1']", "nil, {\"known\"=>true, \"seq\"=>*, \"status\"=>\"reconciled\", \"result\"=>nil}" },
		{ "outcome", "[['pos']]", "[\"bad_request\", *" },
		{ "position", "['pos']", "nil, {\"seq\"=>*, \"contiguous\"=>4, \"highest\"=>7, \"missing\"=>[[5, 6]], \"last_at\"=>1700000000000}" },
		{ "position", "['pos', {'skip_to': 6}]", "nil, {\"seq\"=>*, \"contiguous\"=>7, \"highest\"=>7, \"missing\"=>[], *" },
		{ "position", "['none']", "nil, {\"seq\"=>*, \"contiguous\"=>0, \"highest\"=>0, \"missing\"=>[], \"last_at\"=>nil}" },
		{ "quarantine", "[{'op': 'list', 'limit': 2}]", "nil, {\"seq\"=>*, \"items\"=>[{\"quarantine\"=>1, \"reason\"=>\"conflict\", \"at\"=>1700000000000, "
		  "\"event\"=>{\"source\"=>\"pos\", \"n\"=>1, *}}, {\"quarantine\"=>2, *}]}" },
		{ "quarantine", "[{'op': 'list', 'after': 3}]", "nil, {\"seq\"=>*, \"items\"=>[{\"quarantine\"=>4, *}]}" },
		{ "quarantine", "[{'op': 'replay', 'ids': [1, 2, 99]}]", "nil, [*, [\"a*\", {\"rejected\"=>\"bad_request\", *}, {\"rejected\"=>\"not_found\", *}]]" },
		{ "quarantine", "[{'op': 'drop', 'ids': [2, 2]}]", "nil, [*, [\"dropped\", {\"rejected\"=>\"not_found\", *}]]" },
		{ "quarantine", "[{'op': 'replay', 'ids': [2, 0]}]", "nil, [*, [{\"rejected\"=>\"not_found\", *}, {\"rejected\"=>\"not_found\", *}]]" },
		{ "quarantine", "[{'op': 'drop', 'ids': [3, 'x']}]", "[\"bad_request\", \"ids[1] must be *" },
		{ "quarantine", "[{'op': 'list'}]", "nil, {\"seq\"=>*, \"items\"=>[{\"quarantine\"=>3, *}, {\"quarantine\"=>4, *}]}" },
		{ "quarantine", "[{'op': 'mend', 'id': 3}]", "[\"bad_request\", \"op \"mend\": not supported yet\", {}], nil" },
		{ "quarantine", "[{'op': 'drop'}]", "[\"bad_request\", \"ids is missing\", {}], nil" },
	};
	world_stock();
	check_calm();
	WORLD_ROWS(rows);
}

/* Runs the engine until the job of the last request ends, a batch per slice; its reply. */
static const char *
finish_job(void)
{
	struct result result;
	uint64_t job = 0;
	for (int i = 0; i < 100 && job == 0; i++) {
		world_batch();
		if (!engine_job_run(world.service.engine, &job, &result))
			job = 0;
	}
	if (world.handled != HANDLED_LATER || job == 0 || job != world.handling.job)
		return "no job";
	world.out.used = 0;
	methods_finish(&world.service, world.handling.msgid, world.handling.method, &result, &world.out);
	world.host.durable = engine_seq(world.service.engine);
	return wire_to_text(world.out.at, world.out.used);
}

static void
policies_and_groups_are_set_and_shown(void)
{
	static const struct world_row rows[] = {
		{ "policy", "[{'set': {'cells': [['a', 'l1', {'safety_stock': 2, 'oversell_limit': 1}]]}}]", "nil, {\"seq\"=>*}" },
		{ "ats", "[[['a', 'l1']]]", "nil, [*, [9]]" },
		{ "policy", "[{'set': {'cells': [['a', 'l1', {'oversell_limit': nil}], ['x', 'l1', {'safety_stock': 1}]]}}]", "[\"unknown_sku\", *" },
		{ "policy", "[{'set': {'cells': [['a', 'l1', {'oversell_limit': nil}]]}}]", "nil, {\"seq\"=>*}" },
		{ "policy", "[{'set': {}}]", "nil, {\"seq\"=>*}" },
		{ "policy", "[{}]", "[\"bad_request\", *" },
		{ "policy", "[{'set': {'groups': {'g': {'members': ['l1', 'nowhere']}}}}]", "[\"unknown_location\", *" },
	};
	static const struct world_row later[] = {
		{ "policy", "[{'get': {'cells': [['a', 'l1'], ['x', 'l1']], 'groups': ['g', 'h']}}]", "nil, {\"seq\"=>*, \"cells\"=>[[\"a\", \"l1\", "
		  "{\"safety_stock\"=>2, \"oversell_limit\"=>0}], [\"x\", \"l1\", nil]], \"groups\"=>{\"g\"=>{\"members\"=>[\"l2\", \"l1\"]}, \"h\"=>nil}}" },
		{ "policy", "[{'set': nil, 'get': {'groups': ['h']}}]", "nil, {\"seq\"=>*, \"groups\"=>*" },
		{ "policy", "[{'get': nil, 'note': nil, 'set': {}}]", "nil, {\"seq\"=>*}" },
		{ "policy", "[{'set': nil, 'get': nil}]", "[\"bad_request\", *" },
		{ "policy", "[{'get': {'units': []}}]", "[\"bad_request\", \"units: not supported yet\", {}], nil" },
		{ "ats", "[[['a', 'g'], ['b', 'g']]]", "nil, [*, [11, 5]]" },
		{ "scan", "[{'group': 'g', 'sku_prefix': 'a'}]", "nil, {\"seq\"=>*, \"cells\"=>[[\"a\", \"l*\", *], [\"a\", \"l*\", *]], \"cursor\"=>nil}" },
		{ "reserve", "['r1', [['a', 'g', 1]]]", "[\"bad_request\", *not supported yet*" },
	};
	world_stock();
	check_calm();
	WORLD_ROWS(rows);
	check_calm();
	check(strcmp(world_ask("policy", "[{'set': {'groups': {'g': {'members': ['l2', 'l1']}}}}]"), "") == 0);
	check_equal(world.handled, HANDLED_LATER);
	check(world.handling.job != 0 && world.handling.msgid == 7 && strcmp(world.handling.method, "policy") == 0);
	check(wire_like(finish_job(), "[1, 7, nil, {\"seq\"=>*}]"));
	WORLD_ROWS(later);
}

static void
scan_goes_through_all_cells_in_pages(void)
{
	static const struct world_row rows[] = {
		{ "scan", "[]", "nil, {\"seq\"=>*, \"cells\"=>[[\"*\", \"l*\", *, *, *], [*], [*]], \"cursor\"=>nil}" },
		{ "scan", "[{'location': 'l1'}]", "nil, {\"seq\"=>*, \"cells\"=>[[\"a\", \"l1\", *, 10, 10], [\"b\", \"l1\", *, 5, 5]], \"cursor\"=>nil}" },
		{ "scan", "[{'location': 'l1', 'limit': 1}]", "nil, {\"seq\"=>*, \"cells\"=>[[\"a\", *]], \"cursor\"=>*}" },
		{ "scan", "[{'location': 'nowhere'}]", "[\"unknown_location\", *" },
		{ "scan", "[{'location': 'l1', 'group': 'l1'}]", "[\"bad_request\", *" },
		{ "scan", "[{'limit': 0}]", "[\"bad_request\", \"limit must be an integer 1..10000\", {}], nil" },
		{ "scan", "[{'limit': 10001}]", "[\"bad_request\", *" },
		{ "scan", "[{'snapshot': 1}]", "[\"bad_request\", \"snapshot must be true or false\", {}], nil" },
		{ "scan", "[{'cursor': 'x'}]", "[\"bad_request\", *" },
		{ "scan", "[{'since': 9007199254740991}]", "nil, {\"seq\"=>*, \"cells\"=>[], \"cursor\"=>nil}" },
	};
	char next[64] = "[{'limit': 1}]";
	int cells = 0;
	world_stock();
	check_calm();
	WORLD_ROWS(rows);
	check_calm();
	for (int page = 0; page < 10 && next[0]; page++) {
		const char *reply = world_ask("scan", next), *cursor = strstr(reply, "\"cursor\"=>");
		check(cursor != NULL);
		cells += strstr(reply, "\"cells\"=>[]") == NULL;
		next[0] = 0;
		if (strncmp(cursor + 10, "nil", 3) != 0)
			snprintf(next, sizeof next, "[{'limit': 1, 'cursor': %llu}]", strtoull(cursor + 10, NULL, 10));
	}
	check_equal(cells, 3);
}

/* Takes the reply of a scan apart: its cells; *cursor: where it goes on, 0 for nowhere. */
static uint32_t
page_cells(int64_t *cursor)
{
	struct reader r = { world.out.at, world.out.at + world.out.used };
	uint32_t parts, cells = 0;
	bool sound = reader_array(&r, &parts) && reader_skip(&r) && reader_skip(&r) && reader_nil(&r) && reader_map(&r, &parts) &&
	    reader_skip(&r) && reader_skip(&r) && reader_skip(&r) && reader_array(&r, &cells);
	for (uint32_t i = 0; i < cells; i++)
		sound = sound && reader_skip(&r);
	sound = sound && reader_skip(&r) && (reader_int(&r, cursor) || reader_nil(&r));
	ensure(sound);
	return cells;
}

/* Everybody waits while a page is filled. 4,000 cells with the longest names would be 430,000 bytes. */
static void
a_page_of_long_names_ends_early_and_goes_on(void)
{
	enum { SKUS = 1000, PLACES = 4, PAGE_BYTES = 256 << 10 };
	char text[400];
	uint32_t cells = 0;
	int pages = 0;
	world_begin();
	for (int i = 0; i < SKUS * PLACES; i++) {
		snprintf(text, sizeof text, "[[{'source': 'w', 'n': %d, 'kind': 'receipt', 'sku': '%064d', 'location': '%032d', 'qty': 1}]]", i + 1,
		    i / PLACES, i % PLACES);
		check(wire_like(world_ask("post", text), "nil, [*, [\"applied\"]]"));
	}
	check_calm();
	snprintf(text, sizeof text, "[{'limit': 10000}]");
	for (int64_t cursor = 1; cursor > 0 && pages < 10; pages++) {
		world_ask("scan", text);
		cursor = 0;
		cells += page_cells(&cursor);
		check(world.out.used <= PAGE_BYTES + 100);
		snprintf(text, sizeof text, "[{'limit': 10000, 'cursor': %lld}]", (long long)cursor);
	}
	check_equal(cells, SKUS * PLACES);
	check_equal(pages, 2);
}

static void
digest_and_status_are_whole(void)
{
	static const struct world_row rows[] = {
		{ "digest", "[{'location': 'nowhere'}]", "[\"unknown_location\", *" },
		{ "digest", "[{'location': 5}]", "[\"bad_request\", *" },
		{ "status", "[]", "nil, {\"seq\"=>*, \"durable\"=>*, \"epoch\"=>3, \"node\"=>\"n1\", \"server\"=>\"holdfastd test\", \"data\"=>\"/srv/data\", \"image_age_ms\"=>10000, \"tables\"=>{\"cells\"=>[3, 4096], "
		  "\"skus\"=>[2, 1024], \"locations\"=>[2, 256], *\"quarantine\"=>[0, 64]}, \"reservations_open\"=>0, \"missing\"=>0, "
		  "\"youngest_forgotten_age_ms\"=>nil, \"host\"=>{\"loops\"=>1}}" },
	};
	char whole[256];
	world_stock();
	check_calm();
	WORLD_ROWS(rows);
	check_calm();
	world_ask("digest", "[]");
	snprintf(whole, sizeof whole, "%s", finish_job());
	check(wire_like(whole, "[1, 7, nil, {\"seq\"=>*, \"state\"=>\"*\", \"stock\"=>\"*\", \"cells\"=>3}]"));
	world_ask("digest", "[{'location': 'l1', 'sku_from': 'a', 'sku_to': 'b'}]");
	check(wire_like(finish_job(), "[1, 7, nil, {\"seq\"=>*, \"stock\"=>\"*\", \"cells\"=>1}]"));
	world.host.read_only = "no";
	world_ask("digest", "[nil]");
	check(strcmp(finish_job(), whole) == 0);
}

static void
what_is_not_there_yet_says_so(void)
{
	static const struct world_row rows[] = {
		{ "atp", "['a', 'l1']", "[\"bad_request\", \"atp: not supported yet\", {}], nil" },
		{ "explain", "['a', 'l1']", "[\"bad_request\", \"explain: not supported yet\", {}], nil" },
		{ "buy", "[]", "[\"unknown_method\", \"there is no method \"buy\"\", {}], nil" },
		{ "reserve", "5", "[\"bad_request\", \"params must be an array\", {}], nil" },
	};
	world_begin();
	WORLD_ROWS(rows);
}

static void
what_is_no_request_ends_the_connection(void)
{
	static const struct { const char *frame; enum handled handled; const char *reply; } rows[] = {
		{ "[2, 'ats', [[]]]", HANDLED_NOTHING, "" },
		{ "[2, {'odd': 2.5}, nil]", HANDLED_NOTHING, "" },
		{ "[1, 7, nil, 5]", HANDLED_CLOSE, "" },
		{ "[0, 7, 'ats']", HANDLED_CLOSE, "[1, 7, [\"bad_request\", *, {}], nil]" },
		{ "[0, 7]", HANDLED_CLOSE, "[1, 7, [\"bad_request\", *, {}], nil]" },
		{ "[0, 7, 'ats', [], 1]", HANDLED_CLOSE, "[1, 7, [\"bad_request\", *, {}], nil]" },
		{ "[3, 7, 'ats', []]", HANDLED_CLOSE, "[1, 7, [\"bad_request\", *, {}], nil]" },
		{ "['0', 7, 'ats', []]", HANDLED_CLOSE, "[1, 7, [\"bad_request\", *, {}], nil]" },
		{ "[[1, 2], 7, 'ats', []]", HANDLED_CLOSE, "[1, 7, [\"bad_request\", *, {}], nil]" },
		{ "[2, 7, 'ats', []]", HANDLED_CLOSE, "" },
		{ "[0]", HANDLED_CLOSE, "" },
		{ "[]", HANDLED_CLOSE, "" },
		{ "[0, -1, 'ats', []]", HANDLED_CLOSE, "" },
		{ "[0, 4294967296, 'ats', []]", HANDLED_CLOSE, "" },
		{ "{}", HANDLED_CLOSE, "" },
		{ "5", HANDLED_CLOSE, "" },
		{ "[0, 7, 5, []]", HANDLED_CLOSE, "[1, 7, [\"bad_request\", *, {}], nil]" },
		{ "[0, 4294967295, 'ats', [[]]]", HANDLED_REPLY, "[1, 4294967295, nil, [*, []]]" },
	};
	world_begin();
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const char *reply = world_text(rows[i].frame);
		check_equal(world.handled, rows[i].handled);
		check(wire_like(reply, rows[i].reply));
	}
}

int
main(int argc, char **argv)
{
	static const struct check tests[] = {
		CHECK(hello_tells_version_and_limits),
		CHECK(a_hold_goes_its_way_from_reserve_to_fulfil),
		CHECK(many_reservations_are_each_decided_alone),
		CHECK(each_event_has_its_outcome),
		CHECK(policies_and_groups_are_set_and_shown),
		CHECK(scan_goes_through_all_cells_in_pages),
		CHECK(a_page_of_long_names_ends_early_and_goes_on),
		CHECK(digest_and_status_are_whole),
		CHECK(what_is_not_there_yet_says_so),
		CHECK(what_is_no_request_ends_the_connection),
	};
	int failed = check_run(argv[0], tests, sizeof tests / sizeof tests[0], argc, argv);
	world_end();
	return failed;
}
