/*
 * The codec: each form of a value is read as it was written; each request and event becomes its command, or a refusal that
 * names the field; hot replies are the same bytes that msgpack-c would make.
 */
#include "net/codec_params.h"
#include "net/codec_write.h"
#include "tests/check.h"
#include "tests/wire_text.h"

static struct decode_space space;
static struct buffer wire;

static struct reader
written(void)
{
	return (struct reader){ wire.at, wire.at + wire.used };
}

static struct reader
literal(const char *bytes, size_t n)
{
	return (struct reader){ (const uint8_t *)bytes, (const uint8_t *)bytes + n };
}

static struct reader
json(const char *text)
{
	wire.used = 0;
	wire_from_text(&wire, text);
	return written();
}

/* ---- values ---- */

static void
integers_survive_at_each_border_of_their_forms(void)
{
	static const int64_t values[] = { 0, 1, 127, 128, 255, 256, 65535, 65536, 4294967295, 4294967296, INT64_MAX, -1, -32, -33, -128,
		-129, -32768, -32769, INT32_MIN, INT64_C(-2147483649), INT64_MIN };
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		uint8_t hot[WIRE_INT_BYTES_MAX];
		int64_t got;
		wire.used = 0;
		put_int(&wire, values[i]);
		size_t n = (size_t)(wire_int(hot, values[i]) - hot);
		check_equal(n, wire.used);
		check(memcmp(hot, wire.at, n) == 0);
		struct reader r = written();
		check(reader_int(&r, &got) && r.at == r.end);
		check_equal(got, values[i]);
		for (r = written(); r.end > r.at;) {
			r.end--;
			check(!reader_int(&r, &got) && r.at == wire.at);
		}
	}
}

static void
what_is_no_integer_is_not_read_as_one(void)
{
	static const struct { const char *at; size_t n; } not[] = { { "\xcb\x40\0\0\0\0\0\0\0", 9 }, { "\xca\x40\0\0\0", 5 }, { "\xc0", 1 },
		{ "\xc3", 1 }, { "\xa1" "1", 2 }, { "\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 9 }, { "", 0 } };
	for (size_t i = 0; i < sizeof not / sizeof not[0]; i++) {
		struct reader r = literal(not[i].at, not[i].n);
		int64_t got;
		check(!reader_int(&r, &got));
		check(r.at == (const uint8_t *)not[i].at);
	}
}

static void
strings_and_containers_of_each_length_are_read_as_msgpack_writes_them(void)
{
	static const uint32_t lengths[] = { 0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536 };
	static char text[65536];
	memset(text, 'x', sizeof text);
	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		struct bytes s;
		uint32_t n;
		wire.used = 0;
		put_str(&wire, (struct bytes){ (const uint8_t *)text, lengths[i] });
		struct reader r = written();
		check(reader_str(&r, &s) && r.at == r.end);
		check_equal(s.n, lengths[i]);
		r = (struct reader){ wire.at, wire.at + wire.used - 1 };
		check(!reader_str(&r, &s) && r.at == wire.at);
		wire.used = 0;
		put_array(&wire, lengths[i]);
		r = written();
		check(reader_array(&r, &n) && n == lengths[i] && r.at == r.end);
		wire.used = 0;
		put_map(&wire, lengths[i]);
		r = written();
		check(!reader_array(&r, &n) && reader_map(&r, &n) && n == lengths[i] && r.at == r.end);
	}
}

static void
text_is_exact_utf8_without_control_bytes(void)
{
	static const struct { const char *text; size_t n; bool valid; } rows[] = {
		{ "a", 1, true }, { "", 0, false }, { "85123A", 6, true }, { "0123456789abcdef", 16, true }, { " ~\x7f", 3, true },
		{ "\x1f", 1, false }, { "a\n", 2, false }, { "a\0b", 3, false }, { "1234567\x1f", 8, false }, { "12345678\t", 9, false },
		{ "\xc3\xa9", 2, true }, { "\xe2\x82\xac", 3, true }, { "\xf0\x9f\x98\x80", 4, true }, { "\xf4\x8f\xbf\xbf", 4, true },
		{ "\x80", 1, false }, { "\xc3", 1, false }, { "\xc0\x80", 2, false }, { "\xc1\xbf", 2, false }, { "\xe0\x80\x80", 3, false },
		{ "\xe0\x9f\xbf", 3, false }, { "\xed\xa0\x80", 3, false }, { "\xed\xbf\xbf", 3, false }, { "\xf0\x8f\xbf\xbf", 4, false },
		{ "\xf4\x90\x80\x80", 4, false }, { "\xf5\x80\x80\x80", 4, false }, { "\xff", 1, false }, { "\xc3(", 2, false },
		{ "1234567\xc3\xa9", 9, true }, { "1234567\xc3", 8, false }, { "\xe2\x82", 2, false },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		bool valid = text_valid((struct bytes){ (const uint8_t *)rows[i].text, (uint32_t)rows[i].n }, 64);
		if (valid != rows[i].valid)
			printf("row %zu\n", i);
		check_equal(valid, rows[i].valid);
	}
	char long_text[65];
	memset(long_text, 'x', sizeof long_text);
	check(text_valid((struct bytes){ (const uint8_t *)long_text, 64 }, 64));
	check(!text_valid((struct bytes){ (const uint8_t *)long_text, 65 }, 64));
}

/* Every length, each byte bad in turn, whatever lies behind: the short way in words and the long one agree. */
static void
a_text_is_judged_by_its_own_bytes_alone(void)
{
	static const uint8_t behind[] = { 0x00, 'x', 0xff };
	for (uint32_t n = 1; n <= 34; n++)
		for (uint32_t bad = 0; bad <= n; bad++)
			for (size_t b = 0; b < sizeof behind; b++)
				for (int room = 0; room <= 40; room += 40) {
					char text[40];
					struct bytes got = { NULL, 0 };
					memset(text, 'a', sizeof text);
					if (bad < n)
						text[bad] = b == 0 ? 0x1f : b == 1 ? (char)0x80 : 0x00;
					wire.used = 0;
					put_str(&wire, (struct bytes){ (const uint8_t *)text, n });
					size_t end = wire.used;
					for (int i = 0; i < room; i++)
						buffer_append(&wire, &behind[b], 1);
					struct reader r = written();
					check_equal(reader_text(&r, 33, &got), bad == n && n <= 33);
					check(got.at == NULL ? r.at == wire.at : r.at == wire.at + end && got.n == n);
				}
}

static void
a_text_again_is_the_same_bytes_in_the_shortest_form(void)
{
	static const struct { const char *text; size_t n; bool again; } rows[] = {
		{ "\xa7ST-0001", 8, true }, { "\xa7ST-0001\xff", 9, true }, { "\xa7ST-0002", 8, false }, { "\xa6ST-000", 7, false },
		{ "\xa7ST-000", 7, false }, { "\x07ST-0001", 8, false }, { "\xd9\x07ST-0001", 9, false }, { "\xa8ST-00011", 9, false }, { "", 0, false },
	};
	struct bytes before = { (const uint8_t *)"ST-0001", 7 };
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const uint8_t *at = (const uint8_t *)rows[i].text;
		struct reader r = { at, at + rows[i].n };
		check_equal(reader_text_again(&r, before), rows[i].again);
		check(r.at == (rows[i].again ? at + 8 : at));
	}
	struct reader r = { (const uint8_t *)"\xa0", (const uint8_t *)"\xa0" + 1 };
	check(!reader_text_again(&r, (struct bytes){ NULL, 0 }));
}

static void
keys_are_found_in_any_order_and_unknown_ones_are_passed_over(void)
{
	static const struct key keys[] = { KEY("a"), KEY("bb"), KEY("ccc") };
	static const int expected[] = { 2, 0, KEY_UNKNOWN, 1, KEY_UNKNOWN, KEY_BROKEN };
	struct reader r = json("['ccc', 'a', 'zz', 'bb', [1, 2]]");
	uint32_t n;
	int hint = 0;
	check(reader_array(&r, &n));
	for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
		check_equal(reader_key(&r, keys, 3, &hint), expected[i]);
}

/* ---- requests ---- */

struct params_row {
	const char *params;
	const char *refusal; /* NULL: taken */
};
typedef enum status decoder(struct reader *, uint32_t, struct decode_space *, struct command *);

static void
check_params(decoder *decode, const struct params_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct reader r = json(rows[i].params);
		struct command command;
		uint32_t params_n;
		space.text[0] = 0;
		check(reader_array(&r, &params_n));
		enum status status = decode(&r, params_n, &space, &command);
		if (strcmp(space.text, rows[i].refusal ? rows[i].refusal : "") != 0)
			printf("%s: \"%s\"\n", rows[i].params, space.text);
		check_equal(status, rows[i].refusal ? STATUS_BAD_REQUEST : STATUS_OK);
		check(strcmp(space.text, rows[i].refusal ? rows[i].refusal : "") == 0);
	}
}
#define CHECK_PARAMS(decode, rows) check_params(decode, rows, sizeof rows / sizeof rows[0])
#define TEXT(what, most) what " must be a string of 1 to " most " bytes of UTF-8 without control characters"

static void
a_reserve_is_taken_or_refused_with_the_field_that_is_wrong(void)
{
	static const struct params_row rows[] = {
		{ "['r1', [['s', 'l', 1]]]", NULL },
		{ "['r1', [['s', 'l', 2147483647]], nil]", NULL },
		{ "['r1', [['s', 'l', 1]], {'sourcing': 'split', 'new': [1, {'a': 2}], 'by': nil, 1: 2}]", NULL },
		{ "['r1']", "params must have 2 to 3 members, not 1" },
		{ "['r1', [['s', 'l', 1]], {}, 1]", "params must have 2 to 3 members, not 4" },
		{ "[1, [['s', 'l', 1]]]", TEXT("id", "64") },
		{ "['', [['s', 'l', 1]]]", TEXT("id", "64") },
		{ "['r1', []]", "lines must be an array of 1 to 100 lines [sku, location, qty]" },
		{ "['r1', [['s', 'l', 1], ['s', 'l']]]", "lines[1] must be [sku, location, qty]" },
		{ "['r1', [['s', 'l', 1], ['s', 'l', 1], ['s', 'l', 0]]]", "lines[2]: qty must be an integer 1..2147483647" },
		{ "['r1', [['s', 'l', 2147483648]]]", "lines[0]: qty must be an integer 1..2147483647" },
		{ "['r1', [['s', 'l', 2.0]]]", "lines[0]: qty must be an integer 1..2147483647" },
		{ "['r1', [[1, 'l', 2]]]", TEXT("lines[0]: sku", "64") },
		{ "['r1', [['s', 'a location whose name is too long...', 2]]]", TEXT("lines[0]: location", "32") },
		{ "['r1', [['s', 'l', 1]], [1]]", "options must be a map" },
		{ "['r1', [['s', 'l', 1]], {'ttl_ms': 0}]", "ttl_ms must be an integer from 1" },
		{ "['r1', [['s', 'l', 1]], {'ttl_ms': 2.0}]", "ttl_ms must be an integer from 1" },
		{ "['r1', [['s', 'l', 1]], {'channel': 7}]", TEXT("channel", "32") },
		{ "['r1', [['s', 'l', 1]], {'mode': 'all'}]", "mode must be \"partial\"; leave it out for all or nothing" },
		{ "['r1', [['s', 'l', 1]], {'sourcing': 'single'}]", "sourcing \"single\": not supported yet" },
		{ "['r1', [['s', 'l', 1]], {'sourcing': 'cart'}]", "sourcing \"cart\": not supported yet" },
		{ "['r1', [['s', 'l', 1]], {'sourcing': 'x'}]", "sourcing must be \"split\", \"single\" or \"cart\"" },
		{ "['r1', [['s', 'l', 1]], {'by': 1}]", "by: not supported yet" },
		{ "['r1', [['s', 'l', 1]], {'wait_ms': 1}]", "wait_ms: not supported yet" },
	};
	CHECK_PARAMS(params_reserve, rows);
}

static void
a_reserve_keeps_all_it_was_given(void)
{
	struct reader r = json("['r1', [['s1', 'l1', 3], ['s2', 'l2', 4]], {'ref': 'f', 'ttl_ms': 5000, 'channel': 'web', 'owner': 'o', "
	    "'replaces': 'r0', 'mode': 'partial'}]");
	struct command command;
	uint32_t n;
	check(reader_array(&r, &n));
	check_equal(params_reserve(&r, n, &space, &command), STATUS_OK);
	check_equal(command.kind, COMMAND_RESERVE);
	check(command.reserve.id.n == 2 && memcmp(command.reserve.id.at, "r1", 2) == 0);
	check_equal(command.reserve.lines_n, 2);
	check(memcmp(command.reserve.lines[1].sku.at, "s2", 2) == 0 && memcmp(command.reserve.lines[1].location.at, "l2", 2) == 0);
	check_equal(command.reserve.lines[1].qty, 4);
	check_equal(command.reserve.ttl_ms, 5000);
	check(command.reserve.partial);
	check(memcmp(command.reserve.channel.at, "web", 3) == 0 && memcmp(command.reserve.owner.at, "o", 1) == 0);
	check(memcmp(command.reserve.replaces.at, "r0", 2) == 0 && memcmp(command.reserve.ref.at, "f", 1) == 0);
}

static void
the_other_commands_are_taken_or_refused_with_the_field_that_is_wrong(void)
{
	static const struct params_row settle[] = {
		{ "['r1']", NULL }, { "['r1', nil]", NULL }, { "['r1', {}]", NULL }, { "['r1', {'ref': 'x', 'lines': [['s', 'l', 1]]}]", NULL },
		{ "[]", "params must have 1 to 2 members, not 0" },
		{ "['r1', {'ref': 1}]", TEXT("ref", "64") },
		{ "['r1', {'lines': []}]", "lines must be an array of 1 to 100 lines [sku, location, qty]" },
	};
	static const struct params_row extend[] = {
		{ "['r1', 1]", NULL }, { "['r1', 0]", "ttl_ms must be an integer from 1" }, { "['r1']", "params must have 2 members, not 1" },
	};
	static const struct params_row move[] = {
		{ "['r1', 0, 'l']", NULL }, { "['r1', -1, 'l']", "index must be the number of a line, from 0" },
		{ "['r1', 0, 1]", TEXT("to_location", "32") },
	};
	CHECK_PARAMS(params_commit, settle);
	CHECK_PARAMS(params_release, settle);
	CHECK_PARAMS(params_fulfil, settle);
	CHECK_PARAMS(params_extend, extend);
	CHECK_PARAMS(params_pin, extend);
	CHECK_PARAMS(params_move, move);
}

static void
a_policy_is_taken_or_refused_with_the_field_that_is_wrong(void)
{
	static const struct { const char *set; const char *refusal; bool empty; enum command_kind kind; } rows[] = {
		{ "{}", NULL, true, COMMAND_POLICY_CELLS },
		{ "{'cells': []}", NULL, true, COMMAND_POLICY_CELLS },
		{ "{'cells': [['s', 'l', {'safety_stock': 3}]]}", NULL, false, COMMAND_POLICY_CELLS },
		{ "{'cells': [['s', 'l', nil]], 'groups': nil}", NULL, false, COMMAND_POLICY_CELLS },
		{ "{'groups': {'g': {'members': ['a', 'b']}}}", NULL, false, COMMAND_POLICY_GROUP },
		{ "{'groups': {'g': nil}}", NULL, false, COMMAND_POLICY_GROUP },
		{ "{'groups': {}, 'cells': [['s', 'l', {}]]}", NULL, false, COMMAND_POLICY_CELLS },
		{ "[]", "set must be a map {cells?, groups?}", false, 0 },
		{ "{'cells': [['s', 'l', {'safety_stock': -1}]]}", "cells[0]: safety_stock must be nil or an integer 0..2147483647", false, 0 },
		{ "{'cells': [['s', 'l', {'low': 1}]]}", "low: not supported yet", false, 0 },
		{ "{'cells': [['s', 'l', {'quotas': {}}]]}", "quotas: not supported yet", false, 0 },
		{ "{'groups': {'g': {'members': []}}}", "members must be an array of 1 to 1024 locations; nil removes the group", false, 0 },
		{ "{'groups': {'g': {}}}", "groups: members is missing", false, 0 },
		{ "{'groups': {'g': nil, 'h': nil}}", "one group at a time for now", false, 0 },
		{ "{'groups': {'g': nil}, 'cells': [['s', 'l', {}]]}", "one group at a time for now: set cells in a call of their own", false, 0 },
		{ "{'aliases': {}}", "aliases: not supported yet", false, 0 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct reader r = json(rows[i].set);
		struct command command;
		bool empty = false;
		space.text[0] = 0;
		enum status status = params_policy_set(&r, &space, &command, &empty);
		if (strcmp(space.text, rows[i].refusal ? rows[i].refusal : "") != 0)
			printf("%s: \"%s\"\n", rows[i].set, space.text);
		check(strcmp(space.text, rows[i].refusal ? rows[i].refusal : "") == 0);
		check_equal(status, rows[i].refusal ? STATUS_BAD_REQUEST : STATUS_OK);
		if (!rows[i].refusal)
			check(empty == rows[i].empty && command.kind == rows[i].kind);
	}
}

/* ---- events ---- */

#define SALE "'source': 'pos', 'n': 1, 'kind': 'sale', 'sku': 's', 'location': 'l'"

static void
an_event_is_taken_or_says_its_defect(void)
{
	static const struct { const char *event; const char *defect; bool identity; } rows[] = {
		{ "{" SALE ", 'qty': 2}", NULL, true },
		{ "{'v': 1, " SALE ", 'qty': 2, 'at': 1291795560000, 'ref': 'x', 'reason': nil, 'unit': nil, 'color': 'red'}", NULL, true },
		{ "{'source': 'pos', 'id': 'e1', 'kind': 'return', 'sku': 's', 'location': 'l', 'qty': 1, 'to': 'unsellable'}", NULL, true },
		{ "{'source': 'pos', 'n': 1, 'kind': 'adjust', 'sku': 's', 'location': 'l', 'qty': -4, 'reason': 'r', 'expected': -1}", NULL, true },
		{ "{'source': 'pos', 'n': 1, 'kind': 'count', 'sku': 's', 'location': 'l', 'qty': 0, 'as_of': 5}", NULL, true },
		{ "{" SALE "}", "qty must be an integer 1..2147483647", true },
		{ "{" SALE ", 'qty': 0}", "qty must be an integer 1..2147483647", true },
		{ "{" SALE ", 'qty': -1}", "qty must be an integer 1..2147483647", true },
		{ "{" SALE ", 'qty': 2.0}", "qty must be an integer 1..2147483647", true },
		{ "{" SALE ", 'qty': 2147483648}", "qty must be an integer 1..2147483647", true },
		{ "{" SALE ", 'qty': 1, 'at': -5}", "at must be milliseconds since 1970, an integer", true },
		{ "{" SALE ", 'qty': 1, 'at': 99999999999999999}", "at must be milliseconds since 1970, an integer", true },
		{ "{" SALE ", 'qty': 1, 'v': 2}", "v must be 1", true },
		{ "{" SALE ", 'qty': 1, 'as_of': 2}", "as_of is only for a count", true },
		{ "{" SALE ", 'qty': 1, 'expected': 2}", "expected is only for a count or an adjust", true },
		{ "{" SALE ", 'qty': 1, 'to': 'unsellable'}", "to is only for a return", true },
		{ "{" SALE ", 'qty': 1, 'to': 'x'}", "to must be \"unsellable\"", true },
		{ "{" SALE ", 'qty': 1, 'ref': ''}", TEXT("ref", "64"), true },
		{ "{" SALE ", 'qty': 1, 'unit': 'CASE'}", "unit: not supported yet", true },
		{ "{" SALE ", 'qty': 1, 'retires': 'r1'}", "retires: not supported yet", true },
		{ "{" SALE ", 'qty': 1, 'sig': 'x'}", "sig: not supported yet", true },
		{ "{'source': 'pos', 'n': 1, 'kind': 'adjust', 'sku': 's', 'location': 'l', 'qty': 0, 'reason': 'r'}",
		    "qty must be an integer -2147483647..2147483647, not 0", true },
		{ "{'source': 'pos', 'n': 1, 'kind': 'adjust', 'sku': 's', 'location': 'l', 'qty': 1}", "an adjust needs a reason", true },
		{ "{'source': 'pos', 'n': 1, 'kind': 'fulfil', 'sku': 's', 'location': 'l', 'qty': 1}",
		    "a fulfil needs the reservation as its ref", true },
		{ "{'source': 'pos', 'n': 1, 'kind': 'transfer', 'to_location': 'x'}", "kind \"transfer\": not supported yet", true },
		{ "{'source': 'pos', 'n': 1, 'kind': 'zap'}", "kind is none of sale, return, receipt, adjust, unsell, resell, count, fulfil", true },
		{ "{'source': 'pos', 'n': 1, 'sku': 's'}", "kind is missing", true },
		{ "{'source': 'pos', 'n': 1, 'kind': 'sale', 'sku': '\xff', 'location': 'l', 'qty': 1}", TEXT("sku", "64"), true },
		{ "{'source': 'pos', 'n': 1, 'kind': 'sale', 'qty': 1}", "sku is missing", true },
		{ "{'source': 'pos', 'kind': 'sale'}", "n or id is missing", false },
		{ "{'n': 1, 'kind': 'sale'}", "source is missing", false },
		{ "{'source': 'pos', 'n': 0}", "n must be an integer 1..2^53-1", false },
		{ "{'source': 'pos', 'n': 2.0, 'id': 'x'}", "n must be an integer 1..2^53-1", false },
		{ "{'source': 5, 'n': 1}", TEXT("source", "32"), false },
		{ "[1]", "an event must be a map", false },
		{ "7", "an event must be a map", false },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct event_command event;
		struct reader r = json(rows[i].event);
		check(event_decode(&r, &event) && r.at == r.end);
		const char *got = event.defect == STATUS_OK ? NULL : event.defect_message;
		if ((got == NULL) != (rows[i].defect == NULL) || (got && strcmp(got, rows[i].defect) != 0))
			printf("%s: \"%s\"\n", rows[i].event, got ? got : "taken");
		check((got == NULL) == (rows[i].defect == NULL));
		check(!got || strcmp(got, rows[i].defect) == 0);
		check_equal(event.source.n > 0, rows[i].identity);
		check(event.raw.at == wire.at && event.raw.n == wire.used);
	}
}

static void
an_event_keeps_all_it_was_given(void)
{
	struct event_command event;
	struct reader r = json("{'kind': 'count', 'qty': 7, 'source': 'wms', 'n': 9, 'id': 'e', 'sku': 'S', 'location': 'L', 'at': 11, "
	    "'as_of': 12, 'expected': 13, 'ref': 'f', 'reason': 'why'}");
	check(event_decode(&r, &event));
	check_equal(event.defect, STATUS_OK);
	check_equal(event.kind, EVENT_COUNT);
	check_equal(event.qty, 7);
	check_equal(event.n, 9);
	check_equal(event.at, 11);
	check_equal(event.as_of, 12);
	check(event.has_expected && event.expected == 13);
	check(memcmp(event.source.at, "wms", 3) == 0 && memcmp(event.id.at, "e", 1) == 0 && memcmp(event.sku.at, "S", 1) == 0);
	check(memcmp(event.location.at, "L", 1) == 0 && memcmp(event.ref.at, "f", 1) == 0 && memcmp(event.reason.at, "why", 3) == 0);
	r = json("{" SALE ", 'qty': 2}");
	check(event_decode(&r, &event));
	check(event.at == -1 && event.as_of == -1 && !event.has_expected && event.ref.n == 0);
}

/* ---- replies ---- */

static const char *
printed(void)
{
	return wire_to_text(wire.at, wire.used);
}

#define BYTES(literal) { (const uint8_t *)literal, sizeof(literal) - 1 }

static void
a_granted_reservation_reads_as_the_protocol_says(void)
{
	const struct result_line lines[] = { { BYTES("s"), BYTES("l"), 300 } };
	const struct result result = { .seq = 70000, .state = RESERVATION_HELD, .expires_at = 1700000000000, .lines = lines, .lines_n = 1 };
	wire.used = 0;
	put_reservation(&wire, true, &result);
	check(strcmp(printed(), "{\"seq\"=>70000, \"state\"=>\"held\", \"expires_at\"=>1700000000000, \"lines\"=>[[\"s\", \"l\", 300]], "
	    "\"again\"=>false}") == 0);
	wire.used = 0;
	put_reservation(&wire, false, &result);
	check(strcmp(printed(), "{\"seq\"=>70000, \"state\"=>\"held\", \"lines\"=>[[\"s\", \"l\", 300]], \"again\"=>false}") == 0);
}

static void
a_refusal_carries_the_detail_of_its_code(void)
{
	const struct short_line shorts[] = { { 1, BYTES("s"), BYTES("l"), 5, 2, 1000, 3 } };
	static const struct { enum status status; const char *detail; } rows[] = {
		{ STATUS_INSUFFICIENT, "{\"lines\"=>[{\"line\"=>1, \"sku\"=>\"s\", \"location\"=>\"l\", \"asked\"=>5, \"available\"=>2, "
		    "\"next_release_at\"=>1000, \"next_release_qty\"=>3, \"next_inbound_at\"=>nil}]}" },
		{ STATUS_WRONG_STATE, "{\"state\"=>\"committed\"}" }, { STATUS_LIMIT, "{\"which\"=>\"ttl\"}" },
		{ STATUS_CAPACITY, "{\"which\"=>\"ttl\"}" }, { STATUS_MISMATCH, "{\"on_hand\"=>42}" }, { STATUS_STALE, "{\"oldest\"=>42}" },
		{ STATUS_BAD_REQUEST, "{\"left\"=>42}" }, { STATUS_CONFLICT, "{}" }, { STATUS_OVERLOADED, "{\"retry_after_ms\"=>100}" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char expected[512];
		struct result result = { .status = rows[i].status, .message = "m", .state = RESERVATION_COMMITTED, .which = "ttl", .number = 42,
			.shorts = shorts, .shorts_n = 1 };
		snprintf(expected, sizeof expected, "[1, 9, [\"%s\", \"m\", %s], nil]", status_name(rows[i].status), rows[i].detail);
		wire.used = 0;
		put_error_reply(&wire, 9, rows[i].status, "m", &result);
		check(strcmp(printed(), expected) == 0);
	}
}

static void
an_outcome_reads_as_the_protocol_says(void)
{
	static const struct { struct result result; const char *text; } rows[] = {
		{ { .outcome = OUTCOME_APPLIED }, "\"applied\"" }, { { .outcome = OUTCOME_DUPLICATE }, "\"duplicate\"" },
		{ { .outcome = OUTCOME_ABSORBED }, "\"absorbed\"" },
		{ { .outcome = OUTCOME_RECONCILED, .was = 9, .counted = 7, .reapplied = -1, .variance = -3 },
		    "{\"reconciled\"=>{\"was\"=>9, \"counted\"=>7, \"reapplied\"=>-1, \"variance\"=>-3, \"ambiguous\"=>[]}}" },
		{ { .status = STATUS_MISMATCH, .message = "m", .outcome = OUTCOME_REJECTED, .number = 3 },
		    "{\"rejected\"=>\"mismatch\", \"message\"=>\"m\", \"detail\"=>{\"on_hand\"=>3}}" },
		{ { .status = STATUS_BAD_REQUEST, .outcome = OUTCOME_REJECTED, .number = -1, .quarantine = 12 },
		    "{\"rejected\"=>\"bad_request\", \"message\"=>\"bad_request\", \"detail\"=>{}, \"quarantine\"=>12}" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		wire.used = 0;
		put_outcome(&wire, &rows[i].result);
		check(strcmp(printed(), rows[i].text) == 0);
	}
}

static void
a_buffer_ends_at_its_limit_and_says_so(void)
{
	struct buffer b = { .limit = 10000 };
	uint8_t bytes[6000] = { 0 };
	buffer_append(&b, bytes, sizeof bytes);
	check(!b.full && b.used == 6000);
	buffer_append(&b, bytes, sizeof bytes);
	check(b.full && b.used == 6000 && b.size <= 10000);
	check(!buffer_room(&b, 1));
	b.full = false;
	check(buffer_room(&b, 4000) && !buffer_room(&b, 4001));
	b.at[5999] = 7;
	buffer_consume(&b, 5999);
	check(b.used == 1 && b.at[0] == 7);
	buffer_fini(&b);
	check(!b.at && b.used == 0 && b.limit == 10000);
}

int
main(int argc, char **argv)
{
	static const struct check tests[] = {
		CHECK(integers_survive_at_each_border_of_their_forms),
		CHECK(what_is_no_integer_is_not_read_as_one),
		CHECK(strings_and_containers_of_each_length_are_read_as_msgpack_writes_them),
		CHECK(text_is_exact_utf8_without_control_bytes),
		CHECK(a_text_is_judged_by_its_own_bytes_alone),
	CHECK(a_text_again_is_the_same_bytes_in_the_shortest_form),
	CHECK(keys_are_found_in_any_order_and_unknown_ones_are_passed_over),
		CHECK(a_reserve_is_taken_or_refused_with_the_field_that_is_wrong),
		CHECK(a_reserve_keeps_all_it_was_given),
		CHECK(the_other_commands_are_taken_or_refused_with_the_field_that_is_wrong),
		CHECK(a_policy_is_taken_or_refused_with_the_field_that_is_wrong),
		CHECK(an_event_is_taken_or_says_its_defect),
		CHECK(an_event_keeps_all_it_was_given),
		CHECK(a_granted_reservation_reads_as_the_protocol_says),
		CHECK(a_refusal_carries_the_detail_of_its_code),
		CHECK(an_outcome_reads_as_the_protocol_says),
		CHECK(a_buffer_ends_at_its_limit_and_says_so),
	};
	int failed = check_run(argv[0], tests, sizeof tests / sizeof tests[0], argc, argv);
	buffer_fini(&wire);
	return failed;
}
