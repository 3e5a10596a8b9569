/*
 * Methods over a live engine: one frame in, one reply out, as a client would read it. The host's part (durable position,
 * room, overload) is played here.
 */
#include "core/engine.h"
#include "core/view.h"
#include "net/codec_write.h"
#include "net/methods.h"
#include "tests/check.h"
#include "tests/wire_text.h"

#define NOW INT64_C(1700000000000)

static struct host {
	uint64_t durable;
	int room; /* 0: each batch takes one step; -1: any number */
	bool overloaded;
	const char *read_only;
} host;

static uint64_t
host_durable(void *h)
{
	return host.durable;
}

static bool
host_room(void *h)
{
	return host.room < 0;
}

static bool
host_overloaded(void *h)
{
	return host.overloaded;
}

static const char *
host_read_only(void *h)
{
	return host.read_only;
}

static void
host_status(void *h, struct buffer *out)
{
	put_map(out, 1);
	put_field(out, "loops", 1);
}

static struct service service = { .server = "holdfastd test", .data = "/srv/data", .image_age_ms = 10000, .node = "n1", .epoch = 3, .durable = host_durable, .room = host_room,
	.overloaded = host_overloaded, .read_only = host_read_only, .status = host_status };
static void *memory;
static struct step_buffer steps;
static struct buffer out, frame;
static struct handling handling;
static enum handled handled;
static int64_t now_ms;
static bool on_engine;

static void
world_end(void)
{
	free(memory);
	free(steps.bytes);
	memory = NULL;
	steps.bytes = NULL;
}

static void
world_begin(void)
{
	static const struct engine_limits limits = { .cells_max = 4096, .skus_max = 1024, .locations_max = 256, .sources_max = 64,
		.channels_max = 16, .groups_max = 8, .reservations_max = 2048, .extra_lines_max = 8192, .blobs_max = 8192,
		.quarantine_max = 64, .history_max = 4096, .free_ids_max = 1024 };
	world_end();
	size_t n = engine_memory_bytes(&limits);
	ensure(n > 0);
	memory = aligned_alloc(64, (n + 63) / 64 * 64);
	steps.size = 8 * STEP_ROOM;
	steps.bytes = malloc(steps.size);
	ensure(memory && steps.bytes);
	memset(memory, 0, n);
	service.engine = engine_init(memory, &limits);
	ensure(!engine_load_done(service.engine));
	host = (struct host){ .room = -1 };
	now_ms = NOW;
	on_engine = true;
	engine_begin(service.engine, now_ms, &steps);
	struct engine_options options = engine_options_default;
	options.value[OPTION_HISTORY_MAX] = limits.history_max;
	options.value[OPTION_FREE_IDS_MAX] = limits.free_ids_max;
	ensure(!engine_set_options(service.engine, &options));
}

/* A batch of its own, with expiry first, as the host does it. */
static void
batch_begin(void)
{
	engine_begin(service.engine, now_ms, &steps);
	while (engine_next_deadline(service.engine) <= now_ms && engine_expire(service.engine, EXPIRE_SLICE))
		;
}

/* Handles one frame made of `text`; the reply printed, or "" when there is none. Its numbers below 2^53 are durable after. */
static const char *
handle_text(const char *text)
{
	frame.used = out.used = 0;
	wire_from_text(&frame, text);
	handling = (struct handling){ 0 };
	if (on_engine)
		batch_begin();
	handled = methods_handle(&service, on_engine ? PLACE_ENGINE : PLACE_ANY_LOOP, now_ms, frame.at, frame.used, &out, &handling);
	host.durable = engine_seq(service.engine);
	return out.used ? wire_to_text(out.at, out.used) : "";
}

/* The reply to [0, 7, method, params] without its "[1, 7, " and "]". */
static const char *
ask(const char *method, const char *params)
{
	static char text[70000], request[8192];
	snprintf(request, sizeof request, "[0, 7, '%s', %s]", method, params);
	snprintf(text, sizeof text, "%s", handle_text(request));
	if (strncmp(text, "[1, 7, ", 7) != 0)
		return text;
	text[strlen(text) - 1] = 0;
	return text + 7;
}

struct row {
	const char *method, *params, *reply; /* * stands for anything */
};

static void
check_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *reply = ask(rows[i].method, rows[i].params);
		if (!wire_like(reply, rows[i].reply))
			printf("%s %s\n  is     %s\n  not    %s\n", rows[i].method, rows[i].params, reply, rows[i].reply);
		check(wire_like(reply, rows[i].reply));
		check_equal(handled, HANDLED_REPLY);
		check_equal(handling.refused, strncmp(reply, "nil, ", 5) != 0);
	}
}
#define CHECK_ROWS(rows) check_rows(rows, sizeof rows / sizeof rows[0])

/* 10 of sku a and 5 of sku b at l1, 3 of a at l2. */
static void
stock_some(void)
{
	static const struct row rows[] = {
		{ "post", "[[{'source': 'wms', 'n': 1, 'kind': 'receipt', 'sku': 'a', 'location': 'l1', 'qty': 10}, {'source': 'wms', 'n': 2, "
		  "'kind': 'receipt', 'sku': 'b', 'location': 'l1', 'qty': 5}, {'source': 'wms', 'n': 3, 'kind': 'receipt', 'sku': 'a', "
		  "'location': 'l2', 'qty': 3}]]", "nil, [*, [\"applied\", \"applied\", \"applied\"]]" },
	};
	world_begin();
	CHECK_ROWS(rows);
}

static void
hello_tells_version_and_limits(void)
{
	static const struct row rows[] = {
		{ "hello", "[{'v': 1, 'client': 'x', 'token': nil}]", "nil, {\"v\"=>1, \"server\"=>\"holdfastd test\", \"node\"=>\"n1\", \"epoch\"=>3, \"seq\"=>*, "
		  "\"limits\"=>{\"message_bytes\"=>1048576, \"lines\"=>100, \"batch\"=>1000, \"scan\"=>10000, \"source_window\"=>4096, "
		  "\"ttl_default_ms\"=>900000, \"ttl_max_ms\"=>86400000, \"pin_max_ms\"=>900000, \"count_window_ms\"=>172800000}}" },
		{ "hello", "[{'v': 2}]", "[\"version_unsupported\", *, {}], nil" },
		{ "hello", "[{}]", "[\"bad_request\", \"v is missing*, {}], nil" },
		{ "hello", "[]", "[\"bad_request\", *, {}], nil" },
	};
	world_begin();
	CHECK_ROWS(rows);
}

static void
a_hold_goes_its_way_from_reserve_to_fulfil(void)
{
	static const struct row rows[] = {
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
	stock_some();
	check_calm();
	CHECK_ROWS(rows);
}

static void
many_reservations_are_each_decided_alone(void)
{
	static const struct row rows[] = {
		{ "reserve_many", "[[['r1', [['a', 'l1', 1]]], ['r2', [['a', 'l1', 99]]], 5, ['r3', [['a', 'l1', 0]]], ['r4', [['a', 'l2', 3]], {'ttl_ms': 9}]]]",
		  "nil, [*, [{\"seq\"=>*\"lines\"=>[[\"a\", \"l1\", 1]], \"again\"=>false}, [\"insufficient\", *], [\"bad_request\", \"a reservation must be "
		  "[id, lines, options?]\", {}], [\"bad_request\", \"lines[0]: qty must be an integer 1..2147483647\", {}], {\"seq\"=>*]]" },
		{ "reserve_many", "[[]]", "nil, [*, []]" },
		{ "reserve_many", "[7]", "[\"bad_request\", *" },
		{ "ats", "[[['a', 'l1'], ['a', 'l2']]]", "nil, [*, [9, 0]]" },
	};
	stock_some();
	check_calm();
	CHECK_ROWS(rows);
}

static void
each_event_has_its_outcome(void)
{
#define AT_A "'sku': 'a', 'location': 'l1'"
	static const struct row rows[] = {
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
	stock_some();
	check_calm();
	CHECK_ROWS(rows);
}

/* Runs the engine until the job of the last request ends, a batch per slice; its reply. */
static const char *
finish_job(void)
{
	struct result result;
	uint64_t job = 0;
	for (int i = 0; i < 100 && job == 0; i++) {
		batch_begin();
		if (!engine_job_run(service.engine, &job, &result))
			job = 0;
	}
	if (handled != HANDLED_LATER || job == 0 || job != handling.job)
		return "no job";
	out.used = 0;
	methods_finish(&service, handling.msgid, handling.method, &result, &out);
	host.durable = engine_seq(service.engine);
	return wire_to_text(out.at, out.used);
}

static void
policies_and_groups_are_set_and_shown(void)
{
	static const struct row rows[] = {
		{ "policy", "[{'set': {'cells': [['a', 'l1', {'safety_stock': 2, 'oversell_limit': 1}]]}}]", "nil, {\"seq\"=>*}" },
		{ "ats", "[[['a', 'l1']]]", "nil, [*, [9]]" },
		{ "policy", "[{'set': {'cells': [['a', 'l1', {'oversell_limit': nil}], ['x', 'l1', {'safety_stock': 1}]]}}]", "[\"unknown_sku\", *" },
		{ "policy", "[{'set': {'cells': [['a', 'l1', {'oversell_limit': nil}]]}}]", "nil, {\"seq\"=>*}" },
		{ "policy", "[{'set': {}}]", "nil, {\"seq\"=>*}" },
		{ "policy", "[{}]", "[\"bad_request\", *" },
		{ "policy", "[{'set': {'groups': {'g': {'members': ['l1', 'nowhere']}}}}]", "[\"unknown_location\", *" },
	};
	static const struct row later[] = {
		{ "policy", "[{'get': {'cells': [['a', 'l1'], ['x', 'l1']], 'groups': ['g', 'h']}}]", "nil, {\"seq\"=>*, \"cells\"=>[[\"a\", \"l1\", "
		  "{\"safety_stock\"=>2, \"oversell_limit\"=>0}], [\"x\", \"l1\", nil]], \"groups\"=>{\"g\"=>{\"members\"=>[\"l2\", \"l1\"]}, \"h\"=>nil}}" },
		{ "policy", "[{'get': {'units': []}}]", "[\"bad_request\", \"units: not supported yet\", {}], nil" },
		{ "ats", "[[['a', 'g'], ['b', 'g']]]", "nil, [*, [11, 5]]" },
		{ "scan", "[{'group': 'g', 'sku_prefix': 'a'}]", "nil, {\"seq\"=>*, \"cells\"=>[[\"a\", \"l*\", *], [\"a\", \"l*\", *]], \"cursor\"=>nil}" },
		{ "reserve", "['r1', [['a', 'g', 1]]]", "[\"bad_request\", *not supported yet*" },
	};
	stock_some();
	check_calm();
	CHECK_ROWS(rows);
	check_calm();
	check(strcmp(ask("policy", "[{'set': {'groups': {'g': {'members': ['l2', 'l1']}}}}]"), "") == 0);
	check_equal(handled, HANDLED_LATER);
	check(handling.job != 0 && handling.msgid == 7 && strcmp(handling.method, "policy") == 0);
	check(wire_like(finish_job(), "[1, 7, nil, {\"seq\"=>*}]"));
	CHECK_ROWS(later);
}

static void
scan_goes_through_all_cells_in_pages(void)
{
	static const struct row rows[] = {
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
	stock_some();
	check_calm();
	CHECK_ROWS(rows);
	check_calm();
	for (int page = 0; page < 10 && next[0]; page++) {
		const char *reply = ask("scan", next), *cursor = strstr(reply, "\"cursor\"=>");
		check(cursor != NULL);
		cells += strstr(reply, "\"cells\"=>[]") == NULL;
		next[0] = 0;
		if (strncmp(cursor + 10, "nil", 3) != 0)
			snprintf(next, sizeof next, "[{'limit': 1, 'cursor': %llu}]", strtoull(cursor + 10, NULL, 10));
	}
	check_equal(cells, 3);
}

static void
digest_and_status_are_whole(void)
{
	static const struct row rows[] = {
		{ "digest", "[{'location': 'nowhere'}]", "[\"unknown_location\", *" },
		{ "digest", "[{'location': 5}]", "[\"bad_request\", *" },
		{ "status", "[]", "nil, {\"seq\"=>*, \"durable\"=>*, \"epoch\"=>3, \"node\"=>\"n1\", \"server\"=>\"holdfastd test\", \"data\"=>\"/srv/data\", \"image_age_ms\"=>10000, \"tables\"=>{\"cells\"=>[3, 4096], "
		  "\"skus\"=>[2, 1024], \"locations\"=>[2, 256], *\"quarantine\"=>[0, 64]}, \"reservations_open\"=>0, \"missing\"=>0, "
		  "\"youngest_forgotten_age_ms\"=>nil, \"host\"=>{\"loops\"=>1}}" },
	};
	char whole[256];
	stock_some();
	check_calm();
	CHECK_ROWS(rows);
	check_calm();
	ask("digest", "[]");
	snprintf(whole, sizeof whole, "%s", finish_job());
	check(wire_like(whole, "[1, 7, nil, {\"seq\"=>*, \"state\"=>\"*\", \"stock\"=>\"*\", \"cells\"=>3}]"));
	ask("digest", "[{'location': 'l1', 'sku_from': 'a', 'sku_to': 'b'}]");
	check(wire_like(finish_job(), "[1, 7, nil, {\"seq\"=>*, \"stock\"=>\"*\", \"cells\"=>1}]"));
	host.read_only = "no";
	ask("digest", "[nil]");
	check(strcmp(finish_job(), whole) == 0);
}

static void
what_is_not_there_yet_says_so(void)
{
	static const struct row rows[] = {
		{ "atp", "['a', 'l1']", "[\"bad_request\", \"atp: not supported yet\", {}], nil" },
		{ "explain", "['a', 'l1']", "[\"bad_request\", \"explain: not supported yet\", {}], nil" },
		{ "buy", "[]", "[\"unknown_method\", \"there is no method \"buy\"\", {}], nil" },
		{ "reserve", "5", "[\"bad_request\", \"params must be an array\", {}], nil" },
	};
	world_begin();
	CHECK_ROWS(rows);
}

static void
what_is_no_request_ends_the_connection(void)
{
	static const struct { const char *frame; enum handled handled; const char *reply; } rows[] = {
		{ "[2, 'ats', [[]]]", HANDLED_NOTHING, "" },
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
		const char *reply = handle_text(rows[i].frame);
		check_equal(handled, rows[i].handled);
		check(wire_like(reply, rows[i].reply));
	}
}

/* ---- the host's side of the bargain ---- */

static void
a_full_batch_interrupts_a_post_and_nothing_is_done_twice(void)
{
	static const char post[] = "[[{'source': 'pos', 'n': 1, 'kind': 'sale', 'sku': 'a', 'location': 'l1', 'qty': 1}, {'source': 'pos', 'n': 2, "
	    "'kind': 'sale', 'sku': 'a', 'location': 'l1', 'qty': 1}, {'source': 'pos', 'n': 3, 'kind': 'sale', 'sku': 'a', 'location': 'l1', 'qty': 1}]]";
	int rounds = 0;
	stock_some();
	check_calm();
	host.room = 0;
	ask("post", post);
	for (; handled == HANDLED_AGAIN; rounds++) {
		check_equal(handling.resume, rounds + 1);
		/* The host may send what stood before the partial reply: it moves. */
		buffer_append(&out, "........", 8);
		memmove(out.at + handling.reply_at + 8, out.at + handling.reply_at, out.used - 8 - handling.reply_at);
		handling.reply_at += 8;
		batch_begin();
		handled = methods_handle(&service, PLACE_ENGINE, now_ms, frame.at, frame.used, &out, &handling);
	}
	check_equal(rounds, 2);
	check_equal(handled, HANDLED_REPLY);
	check_equal(handling.wait_for, engine_seq(service.engine));
	check(wire_like(wire_to_text(out.at + 16, out.used - 16), "[1, 7, nil, [*, [\"applied\", \"applied\", \"applied\"]]]"));
	host.durable = engine_seq(service.engine);
	host.room = -1;
	check(wire_like(ask("ats", "[[['a', 'l1']]]"), "nil, [*, [7]]"));
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
	stock_some();
	check_calm();
	for (int i = 1; i <= 70; i++)
		used += (size_t)snprintf(text + used, sizeof text - used, "%s['r%d', [['a', 'l1', 1]]]", i > 1 ? "," : "", i);
	snprintf(text + used, sizeof text - used, "]]");
	service.late = late;
	ask("reserve_many", text);
	for (; handled == HANDLED_AGAIN; rounds++)
		handled = methods_handle(&service, true, now_ms, frame.at, frame.used, &out, &handling);
	service.late = NULL;
	check_equal(handled, HANDLED_REPLY);
	check_equal(rounds, 2);
	const char *said = wire_to_text(out.at, out.used);
	int answers = 0, granted = 0;
	for (const char *at = said; (at = strstr(at, "\"held\"")); at++)
		granted++;
	for (const char *at = said; (at = strstr(at, "\"insufficient\"")); at++)
		answers++;
	check_equal(granted, 10);
	check_equal(granted + answers, 70);
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
		out.used = frame.used = 0;
		wire_from_text(&frame, rows[i].frame);
		check_equal(methods_refuse_hold(frame.at, frame.used, &out), rows[i].reply != NULL);
		check(rows[i].reply ? wire_like(wire_to_text(out.at, out.used), rows[i].reply) : out.used == 0);
	}
}

static void
a_reply_waits_for_what_it_shows(void)
{
	stock_some();
	check_calm();
	uint64_t before = host.durable;
	ask("reserve", "['r1', [['a', 'l1', 1]]]");
	check_equal(handling.wait_for, before + 1);
	ask("reserve", "['r2', [['a', 'l1', 100]]]");
	check_equal(handling.wait_for, before + 1);
	ask("ats", "[[['a', 'l1'], ['b', 'l1']]]");
	check_equal(handling.wait_for, before + 1);
	ask("ats", "[[['b', 'l1']]]");
	check_equal(handling.wait_for, before); /* not its own position, but that of the last name */
	ask("stock", "[[['a', 'l1']]]");
	check_equal(handling.wait_for, before + 1);
	ask("scan", "[]");
	check_equal(handling.wait_for, before + 1);
	ask("reservation", "['r1']");
	check_equal(handling.wait_for, before + 1);
	ask("reserve", "['r1']");
	check_equal(handling.wait_for, 0);
}

/* P5: nil and 0 are shown of names and groups, and a crash must not take those back. */
static void
what_is_not_there_waits_for_the_names_and_groups_it_was_judged_by(void)
{
	stock_some();
	check_calm();
	uint64_t before = host.durable;
	ask("post", "[{'source': 'pos', 'n': 70, 'kind': 'receipt', 'sku': 'new', 'location': 'l9', 'qty': 1}]");
	check_equal(handling.wait_for, before + 1);
	ask("ats", "[[['new', 'l1']]]"); /* known names, no cell: 0 */
	check_equal(handling.wait_for, before + 1);
	ask("stock", "[[['newer', 'l1']]]");
	check_equal(handling.wait_for, before + 1);
	ask("scan", "[{'location': 'l77'}]");
	check(handling.refused);
	check_equal(handling.wait_for, before + 1);
	ask("reserve", "['r1', [['a', 'l1', 1]]]");
	ask("ats", "[[['newer', 'l1']]]"); /* what named nothing does not hold it up */
	check_equal(handling.wait_for, before + 1);
	ask("policy", "[{'set': {'groups': {'g': {'members': ['l1']}}}}]");
	uint64_t job = handling.job, number;
	struct result result;
	batch_begin();
	while (!engine_job_run(service.engine, &number, &result))
		;
	check_equal(number, job);
	ask("policy", "[{'set': {'groups': {'g': nil}}}]");
	uint64_t gone = engine_seq(service.engine);
	ask("ats", "[[['a', 'g']]]");
	check(gone > before + 3);
	check_equal(handling.wait_for, gone);
}

static void
a_read_behind_min_seq_waits_or_says_where_it_is(void)
{
	char params[128];
	stock_some();
	check_calm();
	unsigned long long next = host.durable + 1;
	snprintf(params, sizeof params, "[[['a', 'l1']], {'min_seq': %llu}]", next - 1);
	check(wire_like(ask("ats", params), "nil, *"));
	snprintf(params, sizeof params, "[[['a', 'l1']], {'min_seq': %llu}]", next);
	check(wire_like(ask("ats", params), "[\"behind\", *, {\"seq\"=>*}], nil"));
	snprintf(params, sizeof params, "[[['a', 'l1']], {'min_seq': %llu, 'wait_ms': 500}]", next);
	check(strcmp(ask("ats", params), "") == 0);
	check_equal(handled, HANDLED_WAIT);
	check(handling.wait_for == next && handling.wait_ms == 500);
	handling.waited = true;
	handled = methods_handle(&service, PLACE_ENGINE, now_ms, frame.at, frame.used, &out, &handling);
	check_equal(handled, HANDLED_REPLY);
	check(wire_like(wire_to_text(out.at, out.used), "[1, 7, [\"behind\", *"));
	check(wire_like(ask("ats", "[[], {'min_seq': 1, 'wait_ms': 1001}]"), "[\"bad_request\", \"wait_ms must be an integer 0..1000\", {}], nil"));
	snprintf(params, sizeof params, "['wms', {'min_seq': %llu}]", next);
	check(wire_like(ask("position", params), "[\"behind\", *"));
}

static void
other_loops_read_views_until_a_deadline_is_due(void)
{
	stock_some();
	check_calm();
	ask("reserve", "['r1', [['a', 'l1', 1]], {'ttl_ms': 1000}]");
	on_engine = false;
	check(wire_like(ask("ats", "[[['a', 'l1']]]"), "nil, [*, [9]]"));
	check(wire_like(ask("hello", "[{'v': 1}]"), "nil, *"));
	check(strcmp(ask("reserve", "['r2', [['a', 'l1', 1]]]"), "") == 0);
	check_equal(handled, HANDLED_ENGINE);
	check(strcmp(ask("status", "[]"), "") == 0);
	check_equal(handled, HANDLED_ENGINE);
	now_ms += 1000;
	for (int i = 0; i < 3; i++) {
		static const struct row reads[] = { { "ats", "[[['a', 'l1']]]", NULL }, { "stock", "[[['a', 'l1']]]", NULL }, { "scan", "[]", NULL } };
		check(strcmp(ask(reads[i].method, reads[i].params), "") == 0);
		check_equal(handled, HANDLED_ENGINE);
	}
	on_engine = true;
	check(wire_like(ask("ats", "[[['a', 'l1']]]"), "nil, [*, [10]]"));
	check(wire_like(ask("commit", "['r1']"), "[\"expired\", *"));
}

static void
overload_sheds_holds_and_lets_the_rest_pass(void)
{
	static const struct row rows[] = {
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
	stock_some();
	check_calm();
	ask("reserve", "['r1', [['a', 'l1', 1]]]");
	host.overloaded = true;
	CHECK_ROWS(rows);
}

static void
read_only_refuses_changes_and_answers_reads(void)
{
	static const struct row rows[] = {
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
	stock_some();
	check_calm();
	host.read_only = "the disk is full";
	CHECK_ROWS(rows);
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
	stock_some();
	check_calm();
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char expected[128];
		frame.used = out.used = 0;
		put_array(&frame, 4);
		put_int(&frame, 0);
		put_int(&frame, 7);
		put_text(&frame, rows[i].method);
		put_array(&frame, 1);
		put_array(&frame, rows[i].n);
		for (uint32_t k = 0; k < rows[i].n; k++)
			wire_from_text(&frame, rows[i].part);
		handling = (struct handling){ 0 };
		check_equal(methods_handle(&service, PLACE_ENGINE, now_ms, frame.at, frame.used, &out, &handling), HANDLED_REPLY);
		snprintf(expected, sizeof expected, "[1, 7, [\"too_large\", \"%s\", {}], nil]", rows[i].message);
		check(wire_like(wire_to_text(out.at, out.used), expected));
	}
	static char event[EVENT_BYTES_MAX + 1], post[8192];
	memset(event, 'x', EVENT_BYTES_MAX);
	snprintf(post, sizeof post, "[[{'source': 'pos', 'n': 1, 'kind': 'sale', 'sku': 'a', 'location': 'l1', 'qty': 1, 'note': '%s'}]]", event);
	check(wire_like(ask("post", post), "nil, [*, [{\"rejected\"=>\"too_large\", \"message\"=>*, \"detail\"=>{}}]]"));
}

static void
an_answer_that_does_not_fit_is_taken_back_whole(void)
{
	struct buffer narrow = { .limit = 200 };
	stock_some();
	check_calm();
	frame.used = 0;
	wire_from_text(&frame, "[0, 7, 'stock', [[['a', 'l1'], ['a', 'l1'], ['a', 'l1']]]]");
	handling = (struct handling){ 0 };
	buffer_append(&narrow, "....", 4);
	check_equal(methods_handle(&service, PLACE_ENGINE, now_ms, frame.at, frame.used, &narrow, &handling), HANDLED_REPLY);
	check(!narrow.full && handling.refused);
	check(wire_like(wire_to_text(narrow.at + 4, narrow.used - 4), "[1, 7, [\"too_large\", *"));
	narrow.used = 4;
	narrow.limit = narrow.size = 20;
	check_equal(methods_handle(&service, PLACE_ENGINE, now_ms, frame.at, frame.used, &narrow, &handling), HANDLED_CLOSE);
	buffer_fini(&narrow);
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
		CHECK(digest_and_status_are_whole),
		CHECK(what_is_not_there_yet_says_so),
		CHECK(what_is_no_request_ends_the_connection),
		CHECK(a_full_batch_interrupts_a_post_and_nothing_is_done_twice),
	CHECK(a_long_request_gives_way_to_others_every_few_parts),
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
	buffer_fini(&out);
	buffer_fini(&frame);
	world_end();
	return failed;
}
