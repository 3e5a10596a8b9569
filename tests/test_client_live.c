/*
 * test_client_live.c: the client that lasts, and its examples, against a live server that is killed and started again at the same
 * address: whatever is asked with an id or a number happens once, and every request has an answer.
 */
#include "tests/check.h"
#include "tests/spawn.h"
#include "holdfast/async.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#define SALES 20000
#define HOLDS 3000

extern char **environ;

static struct server server;
static struct why why;

static void
start(void)
{
	char address[32];
	snprintf(address, sizeof address, "127.0.0.1:%u", server.rpc);
	const char *arguments[] = { "--gate", "off", "--http", "off", "--segment-bytes", "16M", "--listen", address, NULL };
	if (server_start(&server, arguments, &why) < 0)
		printf("FAIL %s\n", why.text), check_failed_now = 1;
}

static struct hf *
fresh(int64_t units)
{
	struct hf_failure failure;
	struct hf_async_options options = { .deadline_ms = 60000, .retry_refused = true, .seed = 7 };
	const struct hf_value *value;
	if (server_init(&server, &why) < 0)
		printf("FAIL %s\n", why.text), check_failed_now = 1;
	else
		start();
	struct hf *hf = check_failed_now ? NULL : hf_async_open("127.0.0.1", server.rpc, &options, &failure);
	struct hf_stock_event receipt = { .source = "dock", .n = 1, .kind = "receipt", .sku = "APPLE", .location = "L1", .qty = units };
	if (hf && hf_post(hf, &receipt, 1, &value) == HF_OK)
		return hf;
	check_failed_now = 1;
	return NULL;
}

static int64_t
apples(struct hf *hf, const char *what)
{
	struct hf_line cell = { "APPLE", "L1", 0 };
	const struct hf_value *value;
	if (hf_stock(hf, &cell, 1, &value) != HF_OK)
		return INT64_MIN;
	return hf_int(hf_get(&value->array.items[1].array.items[0], what), INT64_MIN);
}

/* Starts build/examples/NAME; its pid. */
static pid_t
example(const char *name, const char *a, const char *b, const char *c, const char *d)
{
	char path[600], port[8];
	const char *argv[] = { name, port, a, b, c, d, NULL };
	pid_t pid = 0;
	snprintf(port, sizeof port, "%u", server.rpc);
	spawn_program(name, path, sizeof path);
	return posix_spawn(&pid, path, NULL, NULL, (char *const *)argv, environ) == 0 ? pid : 0;
}

static int
ended(pid_t pid)
{
	int status = -1;
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
the_checkout_sells_once_and_can_be_run_again(void)
{
	struct hf *hf = fresh(10);
	check(hf != NULL);
	check_equal(ended(example("examples/checkout", "cart-1", "APPLE", "L1", "3")), 0);
	check_equal(ended(example("examples/checkout", "cart-1", "APPLE", "L1", "3")), 0);
	check_equal(apples(hf, "committed"), 3);
	check_equal(apples(hf, "reserved"), 0);
	check_equal(ended(example("examples/checkout", "cart-2", "APPLE", "L1", "8")), 1);
	check_equal(apples(hf, "ats"), 7);
	hf_close(hf);
	server_remove(&server);
}

/* Sales of 1, in a file; those with a number up to `first` have been posted before. */
static void
the_till_brings_every_sale_once_through_a_killed_server(void)
{
	struct hf *hf = fresh(2 * SALES);
	const struct hf_value *value;
	char file[300];
	check(hf != NULL);
	snprintf(file, sizeof file, "%s/sales", server.folder);
	FILE *f = fopen(file, "w");
	check(f != NULL);
	for (int i = 0; i < SALES; i++)
		fputs("APPLE L1 1\n", f);
	fclose(f);
	pid_t till = example("examples/till", "pos-1", file, NULL, NULL);
	int64_t seen = 0;
	for (int kills = 0; kills < 3 && seen < SALES;) {
		check_equal(hf_position(hf, "pos-1", &value), HF_OK);
		seen = hf_int(hf_get(value, "contiguous"), -1);
		if (seen >= (kills + 1) * SALES / 8) {
			server_kill(&server);
			start();
			check_calm();
			kills++;
		}
	}
	check_equal(ended(till), 0);
	check_equal(hf_position(hf, "pos-1", &value), HF_OK);
	check_equal(hf_int(hf_get(value, "contiguous"), -1), SALES);
	check_equal(apples(hf, "on_hand"), SALES);
	check_equal(ended(example("examples/till", "pos-1", file, NULL, NULL)), 0);
	check_equal(apples(hf, "on_hand"), SALES);
	hf_close(hf);
	server_remove(&server);
}

/* reserve and commit of many carts in one pipeline, the server killed in its middle: each cart exactly once, none unknown. */
static void
a_pipeline_of_carts_survives_a_kill(void)
{
	struct hf *hf = fresh(HOLDS);
	struct hf_line one = { "APPLE", "L1", 1 };
	struct hf_event e;
	uint32_t good = 0, answers = 0;
	bool killed = false;
	char id[24];
	check(hf != NULL);
	for (int i = 0; i < HOLDS; i++) {
		snprintf(id, sizeof id, "cart-%d", i);
		hf_build_reserve(hf, id, &one, 1, NULL);
		check(hf_send(hf) != 0);
		hf_build_commit(hf, id, NULL, 0, NULL);
		check(hf_send(hf) != 0);
	}
	while (answers < 2 * HOLDS) {
		hf_async_wait(hf, -1); /* has sent the next window when it returns */
		if (answers >= HOLDS && !killed) {
			server_kill(&server);
			start();
			check_calm();
			killed = true;
		}
		while (hf_async_next(hf, &e))
			if (e.kind == HF_ANSWER) {
				good += e.outcome == HF_OK;
				answers++;
			}
	}
	check_equal(good, 2 * HOLDS);
	check_equal(apples(hf, "committed"), HOLDS);
	check_equal(apples(hf, "ats"), 0);
	hf_close(hf);
	server_remove(&server);
}

static const struct check tests[] = {
	CHECK(the_checkout_sells_once_and_can_be_run_again),
	CHECK(the_till_brings_every_sale_once_through_a_killed_server),
	CHECK(a_pipeline_of_carts_survives_a_kill),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv);
}
