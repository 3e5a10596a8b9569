/*
 * test_last_unit.c: P2 against a live server: many connections want the last unit, or all of a pile, at the same moment.
 */
#include "tests/check.h"
#include "tests/spawn.h"

#include "holdfast/holdfast.h"

#define CALL_MS 20000
#define BUYERS 200
#define PILE 10000
#define PIPES 64
#define ATTEMPTS_EACH 313 /* x PIPES = 20,032 */

static struct server server;
static struct why why;

static bool
start(const char *loops)
{
	/* Everything is sent at once, more than can be done in 20 ms under a sanitizer: no queue is too old here. */
	const char *arguments[] = { "--gate", "off", "--http", "off", "--segment-bytes", "16M", "--loops", loops, "--queue-age-ms", "0", NULL };
	if (server_init(&server, &why) == 0 && server_start(&server, arguments, &why) == 0)
		return true;
	printf("FAIL %s\n", why.text);
	check_failed_now = 1;
	return false;
}

static struct hf *
dial(void)
{
	struct hf_failure failure;
	struct hf *hf = hf_connect("127.0.0.1", server.rpc, CALL_MS, &failure);
	if (!hf) {
		printf("FAIL %s\n", failure.message);
		check_failed_now = 1;
	}
	return hf;
}

static void
stock_up(struct hf *hf, int64_t units)
{
	const struct hf_value *value;
	hf_begin(hf, "post");
	hf_array(hf, 1);
	hf_array(hf, 1);
	hf_map(hf, 6);
	hf_put_str(hf, "source"), hf_put_str(hf, "test");
	hf_put_str(hf, "n"), hf_put_int(hf, 1);
	hf_put_str(hf, "kind"), hf_put_str(hf, "receipt");
	hf_put_str(hf, "sku"), hf_put_str(hf, "LAST");
	hf_put_str(hf, "location"), hf_put_str(hf, "L1");
	hf_put_str(hf, "qty"), hf_put_int(hf, units);
	check(hf_call(hf, &value) == HF_OK);
}

static void
want_one(struct hf *hf, uint32_t buyer, uint32_t attempt)
{
	char id[40];
	snprintf(id, sizeof id, "want-%u-%u", buyer, attempt);
	hf_begin(hf, "reserve");
	hf_array(hf, 2);
	hf_put_str(hf, id);
	hf_array(hf, 1);
	hf_array(hf, 3);
	hf_put_str(hf, "LAST");
	hf_put_str(hf, "L1");
	hf_put_int(hf, 1);
	check(hf_send(hf) != 0);
}

/* All answers of a connection: granted ones counted, any refusal but insufficient is a failure. */
static uint32_t
count_grants(struct hf *hf)
{
	uint32_t number, granted = 0;
	const struct hf_value *value;
	while (hf_in_flight(hf) > 0) {
		enum hf_outcome got = hf_receive(hf, &number, &value);
		granted += got == HF_OK;
		if (got != HF_OK && (got != HF_REFUSED || strcmp(hf_error(hf)->code, "insufficient") != 0)) {
			printf("FAIL answer %s: %s\n", hf_error(hf)->code, hf_error(hf)->message);
			check_failed_now = 1;
			break;
		}
	}
	return granted;
}

static void
check_cell(struct hf *hf, int64_t on_hand)
{
	const struct hf_value *value, *cell;
	struct hf_line line = { "LAST", "L1", 0 };
	check(hf_stock(hf, &line, 1, &value) == HF_OK);
	cell = &value->array.items[1].array.items[0];
	check_equal(hf_int(hf_get(cell, "on_hand"), -1), on_hand);
	check_equal(hf_int(hf_get(cell, "reserved"), -1), on_hand);
	check_equal(hf_int(hf_get(cell, "ats"), -1), 0);
}

/* Everybody's requests are written before anybody's answers are read. */
static void
rush(uint32_t buyers, uint32_t attempts, int64_t units)
{
	static struct hf *hf[BUYERS];
	uint32_t granted = 0;
	for (uint32_t i = 0; i < buyers; i++)
		hf[i] = dial();
	check_calm();
	stock_up(hf[0], units);
	for (uint32_t i = 0; i < buyers; i++)
		for (uint32_t a = 0; a < attempts; a++)
			want_one(hf[i], i, a);
	for (uint32_t i = 0; i < buyers; i++)
		check_equal(hf_flush(hf[i]), HF_OK);
	for (uint32_t i = 0; i < buyers; i++)
		granted += count_grants(hf[i]);
	check_equal(granted, units);
	check_cell(hf[0], units);
	for (uint32_t i = 0; i < buyers; i++)
		hf_close(hf[i]);
}

static void
rush_with_loops(const char *loops, uint32_t buyers, uint32_t attempts, int64_t units)
{
	if (start(loops)) {
		rush(buyers, attempts, units);
		if (!check_failed_now && server_stop(&server) != 0) {
			printf("FAIL the server did not stop with status 0\n");
			check_failed_now = 1;
		}
	}
	server_remove(&server);
}

static void
one_unit_and_200_connections_have_one_winner(void)
{
	rush_with_loops("1", BUYERS, 1, 1);
}

static void
one_unit_and_200_connections_have_one_winner_with_two_loops(void)
{
	rush_with_loops("2", BUYERS, 1, 1);
}

static void
ten_thousand_units_in_full_pipeline_are_granted_exactly(void)
{
	rush_with_loops("1", PIPES, ATTEMPTS_EACH, PILE);
}

static void
ten_thousand_units_in_full_pipeline_are_granted_exactly_with_two_loops(void)
{
	rush_with_loops("2", PIPES, ATTEMPTS_EACH, PILE);
}

static const struct check tests[] = {
	CHECK(one_unit_and_200_connections_have_one_winner),
	CHECK(one_unit_and_200_connections_have_one_winner_with_two_loops),
	CHECK(ten_thousand_units_in_full_pipeline_are_granted_exactly),
	CHECK(ten_thousand_units_in_full_pipeline_are_granted_exactly_with_two_loops),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv);
}
