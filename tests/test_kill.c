/*
 * test_kill.c: P1, P2, P3 and P5 against a live server that is killed at random moments under mixed load.
 *
 * Threads reserve, commit, fulfil, release and post, many requests in flight, and keep a record outside the server of all that
 * they sent and all that was answered. Each round: SIGKILL, start again over the same folder, then
 *
 *   - what was answered must be there: each reservation in the state answered last, each source at its last number
 *   - what was not answered is either asked about or sent again under the same id: it has happened once or not at all, and what
 *     the server says now is added to the record
 *   - each cell must hold exactly what the record says: nothing lost, nothing doubled
 *   - cells that no till sells from have an ATS of at least 0: nothing oversold
 *   - no position that was ever seen is ahead of the server's
 *
 * HOLDFAST_ROUNDS=N rounds (40; fewer under a sanitizer); HOLDFAST_SEED=N.
 */
#include "tests/check.h"
#include "tests/kill_client.h"
#include "tests/spawn.h"

#include <time.h>

#include "net/clock.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ROUNDS 8
#else
#define ROUNDS 40
#endif
#define CALL_MS 20000
#define KILL_AFTER_MS_MAX 120

static struct server server;
static struct kill_client clients[KILL_CLIENTS];
static struct { uint64_t answers, unanswered, had_happened, rounds; } total;

/* ---- after the restart ---- */

/* What the server knows of a reservation; NEVER: nothing. */
static enum state
ask_state(struct kill_client *c, uint32_t reservation)
{
	char id[32];
	const struct hf_value *value;
	kill_reservation_id(c, reservation, id);
	if (hf_reservation(c->hf, id, &value) != HF_OK) {
		if (strcmp(hf_error(c->hf)->code, "not_found") != 0)
			kill_wrong(c, "reservation", hf_error(c->hf)->message);
		return NEVER;
	}
	for (enum state s = HELD; s < STATES; s++)
		if (kill_text_is(hf_get(value, "state"), kill_state_name[s]))
			return s;
	kill_wrong(c, "a reservation in an unknown state", id);
	return NEVER;
}

/* One request without an answer: asked about, or sent again. */
static void
settle_lane(struct kill_client *c, struct lane *lane)
{
	static const enum state after[OPS] = { HELD, COMMITTED, FULFILLED, RELEASED, NEVER };
	const struct hf_value *value;
	c->unanswered++;
	if (lane->op == OP_POST || kill_draw(c, 2) == 0) {
		uint32_t number;
		enum hf_outcome got;
		do {
			kill_send(c, lane);
			got = hf_receive(c->hf, &number, &value);
		} while (kill_busy(c, lane, got)); /* it may have happened before the kill: only a real answer counts */
		kill_take(c, lane, got, value, true);
		return;
	}
	struct reservation *r = &c->reservations[lane->reservation];
	enum state now = ask_state(c, lane->reservation);
	lane->open = false;
	c->had_happened += now == after[lane->op];
	if (now != r->state && now != after[lane->op] && !(now == EXPIRED && r->brief))
		kill_wrong(c, "an unanswered call led to another state", kill_state_name[now]);
	if (now == EXPIRED || now == HELD)
		r->expires_at = 0; /* not known here; brief ones are waited for below */
	kill_move_to(c, r, now);
}

/* A brief hold must have ended by its instant, whether the server was up or not. */
static void
settle_brief(struct kill_client *c, uint32_t reservation)
{
	struct reservation *r = &c->reservations[reservation];
	int64_t until = clock_steady_ms() + KILL_TTL_SHORT_MS + 3000;
	struct timespec pause = { 0, 2000000 };
	bool dead = r->expires_at && clock_wall_ms() > r->expires_at + 5;
	enum state now = ask_state(c, reservation);
	if (dead && now != EXPIRED)
		kill_wrong(c, "a hold outlived its instant", kill_state_name[now]);
	while (now == HELD && clock_steady_ms() < until) {
		nanosleep(&pause, NULL);
		now = ask_state(c, reservation);
	}
	if (now != EXPIRED)
		kill_wrong(c, "a brief hold is", kill_state_name[now]);
	kill_move_to(c, r, now);
}

static void
verify_reservations(struct kill_client *c)
{
	for (uint32_t i = c->first_of_round; i < c->reservations_n; i++) {
		struct reservation *r = &c->reservations[i];
		if (r->state == HELD && r->brief)
			settle_brief(c, i);
		else if (r->state != NEVER && ask_state(c, i) != (enum state)r->state)
			kill_wrong(c, "a reservation is not in the state that was answered", kill_state_name[r->state]);
	}
	/* Those that may still change are looked at again in the next round. */
	uint32_t first = c->reservations_n;
	for (uint32_t i = 0; i < KILL_LANES; i++)
		if (c->lane[i].op != OP_POST && c->lane[i].reservation < first)
			first = c->lane[i].reservation;
	c->first_of_round = first;
}

static void
verify_source(struct kill_client *c)
{
	char source[32];
	const struct hf_value *value;
	snprintf(source, sizeof source, "till-%u", c->index);
	hf_begin(c->hf, "position");
	hf_array(c->hf, 1);
	hf_put_str(c->hf, source);
	if (hf_call(c->hf, &value) != HF_OK)
		kill_wrong(c, "position", hf_error(c->hf)->message);
	else if (hf_int(hf_get(value, "contiguous"), -1) != (int64_t)c->n || hf_int(hf_get(value, "highest"), -1) != (int64_t)c->n)
		kill_wrong(c, "the source does not stand at its last number", source);
}

static void
check_cells(struct hf *hf)
{
	struct hf_line line[KILL_CELLS];
	const struct hf_value *value;
	for (uint32_t i = 0; i < KILL_CELLS; i++)
		line[i] = (struct hf_line){ kill_sku(i), kill_location(i), 0 };
	check(hf_stock(hf, line, KILL_CELLS, &value) == HF_OK);
	for (uint32_t i = 0; i < KILL_CELLS; i++) {
		const struct hf_value *cell = &value->array.items[1].array.items[i];
		int64_t on_hand = 0, held = 0, committed = 0;
		for (uint32_t k = 0; k < KILL_CLIENTS; k++)
			on_hand += clients[k].on_hand[i], held += clients[k].held[i], committed += clients[k].committed[i];
		check_equal(hf_int(hf_get(cell, "on_hand"), INT64_MIN), on_hand);
		check_equal(hf_int(hf_get(cell, "reserved"), -1), held);
		check_equal(hf_int(hf_get(cell, "committed"), -1), committed);
		check(!kill_guarded(i) || hf_int(hf_get(cell, "ats"), -1) >= 0);
	}
}

static void
verify(void)
{
	const struct hf_value *value;
	for (uint32_t i = 0; i < KILL_CLIENTS; i++) {
		struct kill_client *c = &clients[i];
		check(hf_hello(c->hf, &value) == HF_OK);
		check((uint64_t)hf_int(hf_get(value, "seq"), 0) >= c->seq_seen);
		for (uint32_t l = 0; l < KILL_LANES; l++)
			if (c->lane[l].open)
				settle_lane(c, &c->lane[l]);
		verify_reservations(c);
		verify_source(c);
		if (c->wrong[0])
			printf("FAIL client %u: %s\n", i, c->wrong);
		check(!c->wrong[0]);
	}
	check_cells(clients[0].hf);
}

/* ---- rounds ---- */

static void
boot(uint32_t round)
{
	const char *arguments[] = { "--gate", "off", "--http", "off", "--segment-bytes", "16M", "--image-age-ms", "200", "--cells-max", "10000", "--reservations-max", "1000000",
		"--extra-lines-max", "1000000", "--blobs-max", "1000000", "--history-max", "1000000", "--free-ids-max", "1000", "--loops", round % 2 ? "2" : "1", NULL };
	struct why why;
	struct hf_failure failure;
	if (server_start(&server, arguments, &why) != 0) {
		printf("FAIL %s\n", why.text);
		check_failed_now = 1;
		return;
	}
	for (uint32_t i = 0; i < KILL_CLIENTS; i++) {
		hf_close(clients[i].hf);
		clients[i].hf = hf_connect("127.0.0.1", server.rpc, CALL_MS, &failure);
		check(clients[i].hf != NULL);
	}
}

/* Every cell gets something before anybody asks for it. */
static void
open_stock(struct kill_client *c)
{
	uint32_t number;
	const struct hf_value *value;
	for (uint8_t i = 0; i < KILL_CELLS; i++) {
		struct lane lane = { .op = OP_POST, .n = ++c->n, .cell = i, .qty = 60 };
		kill_send(c, &lane);
		enum hf_outcome got = hf_receive(c->hf, &number, &value);
		kill_take(c, &lane, got, value, false);
	}
	check(!c->wrong[0]);
}

static void
load_and_kill(void)
{
	uint32_t us = kill_draw(&clients[0], KILL_AFTER_MS_MAX * 1000);
	struct timespec pause = { 0, (long)us * 1000 };
	for (uint32_t i = 0; i < KILL_CLIENTS; i++)
		pthread_create(&clients[i].thread, NULL, kill_client_main, &clients[i]);
	nanosleep(&pause, NULL); /* the moment of the kill, not a wait for anything */
	server_kill(&server);
	for (uint32_t i = 0; i < KILL_CLIENTS; i++)
		pthread_join(clients[i].thread, NULL);
}

/* SIGTERM instead: the stock must be the same after it. */
static void
stop_and_compare(uint32_t round)
{
	const struct hf_value *value;
	char before[128], after[128];
	for (int i = 0; i < 2; i++) {
		hf_begin(clients[0].hf, "digest");
		hf_array(clients[0].hf, 0);
		check(hf_call(clients[0].hf, &value) == HF_OK);
		const struct hf_value *stock = hf_get(value, "stock");
		check(stock && (stock->type == HF_STR || stock->type == HF_BIN));
		snprintf(i ? after : before, sizeof before, "%.*s", (int)stock->str.n, stock->str.at);
		if (i)
			break;
		check_equal(server_stop(&server), 0);
		boot(round);
		check_calm();
	}
	check(strcmp(before, after) == 0);
}

static void
rounds(uint32_t n)
{
	struct why why;
	check(server_init(&server, &why) == 0);
	boot(0);
	check_calm();
	open_stock(&clients[0]);
	for (uint32_t round = 1; round <= n && !check_failed_now; round++) {
		load_and_kill();
		boot(round);
		check_calm();
		verify();
		total.rounds++;
	}
	check_calm();
	stop_and_compare(n);
	check_calm();
	check_cells(clients[0].hf);
}

static void
nothing_answered_is_lost_doubled_or_oversold_by_kill_9(void)
{
	const char *asked = getenv("HOLDFAST_ROUNDS");
	uint64_t seed = check_seed((uint64_t)clock_wall_ms());
	for (uint32_t i = 0; i < KILL_CLIENTS; i++)
		clients[i] = (struct kill_client){ .index = i, .random = seed + i * UINT64_C(0x9e3779b97f4a7c15) };
	for (uint32_t i = 0; i < KILL_CLIENTS; i++)
		for (uint32_t l = 0; l < KILL_LANES; l++)
			clients[i].lane[l].op = OP_POST; /* no reservation behind it yet */
	rounds(asked ? (uint32_t)strtoul(asked, NULL, 10) : ROUNDS);
	for (uint32_t i = 0; i < KILL_CLIENTS; i++) {
		total.answers += clients[i].answers;
		total.unanswered += clients[i].unanswered;
		total.had_happened += clients[i].had_happened;
		hf_close(clients[i].hf);
		free(clients[i].reservations);
	}
	printf("     seed %llu: %llu kills, %llu answers checked, %llu requests unanswered at a kill of which %llu had happened\n",
	    (unsigned long long)seed, (unsigned long long)total.rounds, (unsigned long long)total.answers,
	    (unsigned long long)total.unanswered, (unsigned long long)total.had_happened);
	if (check_failed_now)
		printf("     the server's folder and log are kept in %s\n", server.folder);
	else
		server_remove(&server);
	server_kill(&server);
}

static const struct check tests[] = {
	CHECK(nothing_answered_is_lost_doubled_or_oversold_by_kill_9),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv);
}
