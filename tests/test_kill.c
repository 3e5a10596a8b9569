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
#include "tests/spawn.h"

#include <pthread.h>
#include <time.h>

#include "holdfast/holdfast.h"
#include "net/clock.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ROUNDS 8
#else
#define ROUNDS 40
#endif
#define CLIENTS 4
#define LANES 24 /* of a client, one request in flight each */
#define CELLS 16
#define LINES 3
#define CALL_MS 20000
#define KILL_AFTER_MS_MAX 120
#define TTL_SHORT_MS 150
#define TTL_LONG_MS 3600000

enum state { NEVER, HELD, COMMITTED, FULFILLED, RELEASED, EXPIRED, STATES };
static const char *const state_name[STATES] = { "", "held", "committed", "fulfilled", "released", "expired" };
enum op { OP_RESERVE, OP_COMMIT, OP_FULFIL, OP_RELEASE, OP_POST, OPS };
static const char *const op_method[OPS] = { "reserve", "commit", "fulfil", "release", "post" };

struct reservation {
	struct { uint8_t cell, qty; } line[LINES];
	uint8_t lines_n, state;
	bool brief; /* a short time to live, and left to expire */
	int64_t expires_at;
};

struct lane {
	enum op op;
	bool open; /* in flight */
	uint32_t reservation; /* of the client */
	uint64_t n; /* post: of the source */
	uint8_t cell;
	int8_t qty; /* post: what it adds to on hand */
};

struct client {
	uint32_t index;
	pthread_t thread;
	struct hf *hf;
	struct lane lane[LANES];
	uint32_t lane_of[LANES * 2]; /* by request number */
	struct reservation *reservations;
	uint32_t reservations_n, room, first_of_round;
	uint64_t n, seq_seen, answers, unanswered, had_happened;
	int64_t on_hand[CELLS], held[CELLS], committed[CELLS];
	uint64_t random;
	char wrong[200]; /* what a thread found; empty: nothing */
};

static struct server server;
static struct client clients[CLIENTS];
static struct { uint64_t answers, unanswered, had_happened, rounds; } total;

static uint32_t
draw(struct client *c, uint32_t below)
{
	c->random = c->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)((c->random >> 33) % below);
}

static const char *
sku_of(uint32_t cell)
{
	static const char *const sku[] = { "S0", "S1", "S2", "S3", "S4", "S5", "S6", "S7" };
	return sku[cell / 2];
}

static const char *
location_of(uint32_t cell)
{
	return cell % 2 ? "L1" : "L0";
}

/* Tills sell from odd SKUs only: the ATS of the others never falls below 0. */
static bool
guarded(uint32_t cell)
{
	return cell / 2 % 2 == 0;
}

static void
wrong(struct client *c, const char *what, const char *detail)
{
	if (!c->wrong[0])
		snprintf(c->wrong, sizeof c->wrong, "%s: %.120s", what, detail ? detail : "");
}

/* ---- the record ---- */

static void
count(struct client *c, const struct reservation *r, enum state state, int sign)
{
	for (uint32_t i = 0; i < r->lines_n; i++) {
		int64_t qty = sign * (int64_t)r->line[i].qty;
		uint32_t cell = r->line[i].cell;
		c->held[cell] += state == HELD ? qty : 0;
		c->committed[cell] += state == COMMITTED ? qty : 0;
		c->on_hand[cell] -= state == FULFILLED ? qty : 0;
	}
}

static void
move_to(struct client *c, struct reservation *r, enum state state)
{
	count(c, r, r->state, -1);
	r->state = (uint8_t)state;
	count(c, r, state, 1);
}

static void
reservation_id(const struct client *c, uint32_t reservation, char id[32])
{
	snprintf(id, 32, "kill-%u-%u", c->index, reservation);
}

/* ---- requests ---- */

static void
build_reserve(struct client *c, const struct reservation *r)
{
	hf_array(c->hf, r->lines_n);
	for (uint32_t i = 0; i < r->lines_n; i++) {
		hf_array(c->hf, 3);
		hf_put_str(c->hf, sku_of(r->line[i].cell));
		hf_put_str(c->hf, location_of(r->line[i].cell));
		hf_put_int(c->hf, r->line[i].qty);
	}
	hf_map(c->hf, 1);
	hf_put_str(c->hf, "ttl_ms");
	hf_put_int(c->hf, r->brief ? TTL_SHORT_MS : TTL_LONG_MS);
}

static void
build_post(struct client *c, const struct lane *lane)
{
	char source[32];
	snprintf(source, sizeof source, "till-%u", c->index);
	hf_array(c->hf, 1);
	hf_map(c->hf, 6);
	hf_put_str(c->hf, "source"), hf_put_str(c->hf, source);
	hf_put_str(c->hf, "n"), hf_put_int(c->hf, (int64_t)lane->n);
	hf_put_str(c->hf, "kind"), hf_put_str(c->hf, lane->qty < 0 ? "sale" : "receipt");
	hf_put_str(c->hf, "sku"), hf_put_str(c->hf, sku_of(lane->cell));
	hf_put_str(c->hf, "location"), hf_put_str(c->hf, location_of(lane->cell));
	hf_put_str(c->hf, "qty"), hf_put_int(c->hf, lane->qty < 0 ? -lane->qty : lane->qty);
}

static uint32_t
send_op(struct client *c, const struct lane *lane)
{
	char id[32];
	hf_begin(c->hf, op_method[lane->op]);
	if (lane->op == OP_POST) {
		hf_array(c->hf, 1);
		build_post(c, lane);
		return hf_send(c->hf);
	}
	reservation_id(c, lane->reservation, id);
	hf_array(c->hf, lane->op == OP_RESERVE ? 3 : 2);
	hf_put_str(c->hf, id);
	if (lane->op == OP_RESERVE)
		build_reserve(c, &c->reservations[lane->reservation]);
	else {
		hf_map(c->hf, 1);
		hf_put_str(c->hf, "ref");
		hf_put_str(c->hf, op_method[lane->op]);
	}
	return hf_send(c->hf);
}

static void
draw_reserve(struct client *c, struct lane *lane)
{
	if (c->reservations_n == c->room) {
		c->room = c->room ? c->room * 2 : 1024;
		c->reservations = realloc(c->reservations, c->room * sizeof *c->reservations);
	}
	struct reservation *r = &c->reservations[c->reservations_n];
	*r = (struct reservation){ .lines_n = (uint8_t)(1 + draw(c, LINES)), .brief = draw(c, 8) == 0 };
	for (uint32_t i = 0; i < r->lines_n; i++) {
		r->line[i].cell = (uint8_t)draw(c, CELLS);
		r->line[i].qty = (uint8_t)(1 + draw(c, 4));
	}
	*lane = (struct lane){ .op = OP_RESERVE, .reservation = c->reservations_n++ };
}

static void
draw_post(struct client *c, struct lane *lane)
{
	*lane = (struct lane){ .op = OP_POST, .n = ++c->n, .cell = (uint8_t)draw(c, CELLS), .qty = (int8_t)(1 + draw(c, 5)) };
	if (!guarded(lane->cell) && draw(c, 2) == 0)
		lane->qty = (int8_t)-lane->qty;
}

/* What a lane does after its last answer. */
static void
draw_next(struct client *c, struct lane *lane)
{
	struct reservation *r = lane->op == OP_POST ? NULL : &c->reservations[lane->reservation];
	if (r && r->state == HELD && !r->brief)
		lane->op = draw(c, 3) ? OP_COMMIT : OP_RELEASE;
	else if (r && r->state == COMMITTED && draw(c, 4))
		lane->op = draw(c, 2) ? OP_FULFIL : OP_RELEASE;
	else if (draw(c, 3) == 0)
		draw_post(c, lane);
	else
		draw_reserve(c, lane);
}

static bool
text_is(const struct hf_value *v, const char *text)
{
	return v && v->type == HF_STR && v->str.n == strlen(text) && memcmp(v->str.at, text, v->str.n) == 0;
}

/* An answer to a post: [seq, [outcome]]. */
static void
took_post(struct client *c, struct lane *lane, const struct hf_value *value, bool resent)
{
	const struct hf_value *outcome = value->type == HF_ARRAY && value->array.n == 2 && value->array.items[1].type == HF_ARRAY &&
	    value->array.items[1].array.n == 1 ? &value->array.items[1].array.items[0] : NULL;
	if (!text_is(outcome, "applied") && !(resent && text_is(outcome, "duplicate"))) {
		wrong(c, "an event was neither applied nor, sent again, a duplicate", lane->qty < 0 ? "sale" : "receipt");
		return;
	}
	c->had_happened += text_is(outcome, "duplicate");
	c->on_hand[lane->cell] += lane->qty;
}

static void
took(struct client *c, struct lane *lane, const struct hf_value *value, bool resent)
{
	static const enum state after[OPS] = { HELD, COMMITTED, FULFILLED, RELEASED, NEVER };
	const struct hf_value *again = hf_get(value, "again");
	int64_t seq = hf_int(value->type == HF_MAP ? hf_get(value, "seq") : &value->array.items[0], 0);
	c->seq_seen = (uint64_t)seq > c->seq_seen ? (uint64_t)seq : c->seq_seen;
	if (lane->op == OP_POST) {
		took_post(c, lane, value, resent);
		return;
	}
	if (again && again->boolean && !resent)
		wrong(c, "a first call was answered as a repeated one", op_method[lane->op]);
	c->had_happened += resent && again && again->boolean;
	struct reservation *r = &c->reservations[lane->reservation];
	if (lane->op == OP_RESERVE)
		r->expires_at = hf_int(hf_get(value, "expires_at"), 0);
	move_to(c, r, after[lane->op]);
}

/* A hold refused for the moment: the disk stood still (machines are shared). Nothing happened. */
static bool
busy(struct client *c, const struct lane *lane, enum hf_outcome got)
{
	return got == HF_REFUSED && lane->op == OP_RESERVE && strcmp(hf_error(c->hf)->code, "overloaded") == 0;
}

/* The answer to the lane's request. Sold out and, for a moment, overloaded are the only refusals that may come. */
static void
take_answer(struct client *c, struct lane *lane, enum hf_outcome got, const struct hf_value *value, bool resent)
{
	lane->open = false;
	c->answers++;
	if (got == HF_OK)
		took(c, lane, value, resent);
	else if (!busy(c, lane, got) && (got != HF_REFUSED || lane->op != OP_RESERVE || strcmp(hf_error(c->hf)->code, "insufficient") != 0))
		wrong(c, op_method[lane->op], hf_error(c->hf)->message);
}

/* Load, until the connection dies with the server. */
static void *
client_main(void *arg)
{
	struct client *c = arg;
	uint32_t number;
	const struct hf_value *value;
	for (;;) {
		for (uint32_t i = 0; i < LANES; i++) {
			struct lane *lane = &c->lane[i];
			if (lane->open)
				continue;
			draw_next(c, lane);
			number = send_op(c, lane);
			lane->open = true; /* also when it could not be sent: then it never happened, which is one of the two */
			if (number)
				c->lane_of[number % (LANES * 2)] = i;
		}
		enum hf_outcome got = hf_receive(c->hf, &number, &value);
		if (number == 0)
			return NULL;
		if (got == HF_UNKNOWN) /* the server itself says so; the lane stays open */
			return NULL;
		take_answer(c, &c->lane[c->lane_of[number % (LANES * 2)]], got, value, false);
	}
}

/* ---- after the restart ---- */

/* What the server knows of a reservation; NEVER: nothing. */
static enum state
ask_state(struct client *c, uint32_t reservation)
{
	char id[32];
	const struct hf_value *value;
	reservation_id(c, reservation, id);
	if (hf_reservation(c->hf, id, &value) != HF_OK) {
		if (strcmp(hf_error(c->hf)->code, "not_found") != 0)
			wrong(c, "reservation", hf_error(c->hf)->message);
		return NEVER;
	}
	for (enum state s = HELD; s < STATES; s++)
		if (text_is(hf_get(value, "state"), state_name[s]))
			return s;
	wrong(c, "a reservation in an unknown state", id);
	return NEVER;
}

/* One request without an answer: asked about, or sent again. */
static void
settle_lane(struct client *c, struct lane *lane)
{
	static const enum state after[OPS] = { HELD, COMMITTED, FULFILLED, RELEASED, NEVER };
	const struct hf_value *value;
	c->unanswered++;
	if (lane->op == OP_POST || draw(c, 2) == 0) {
		uint32_t number;
		enum hf_outcome got;
		do {
			send_op(c, lane);
			got = hf_receive(c->hf, &number, &value);
		} while (busy(c, lane, got)); /* it may have happened before the kill: only a real answer counts */
		take_answer(c, lane, got, value, true);
		return;
	}
	struct reservation *r = &c->reservations[lane->reservation];
	enum state now = ask_state(c, lane->reservation);
	lane->open = false;
	c->had_happened += now == after[lane->op];
	if (now != r->state && now != after[lane->op] && !(now == EXPIRED && r->brief))
		wrong(c, "an unanswered call led to another state", state_name[now]);
	if (now == EXPIRED || now == HELD)
		r->expires_at = 0; /* not known here; brief ones are waited for below */
	move_to(c, r, now);
}

/* A brief hold must have ended by its instant, whether the server was up or not. */
static void
settle_brief(struct client *c, uint32_t reservation)
{
	struct reservation *r = &c->reservations[reservation];
	int64_t until = clock_steady_ms() + TTL_SHORT_MS + 3000;
	struct timespec pause = { 0, 2000000 };
	bool dead = r->expires_at && clock_wall_ms() > r->expires_at + 5;
	enum state now = ask_state(c, reservation);
	if (dead && now != EXPIRED)
		wrong(c, "a hold outlived its instant", state_name[now]);
	while (now == HELD && clock_steady_ms() < until) {
		nanosleep(&pause, NULL);
		now = ask_state(c, reservation);
	}
	if (now != EXPIRED)
		wrong(c, "a brief hold is", state_name[now]);
	move_to(c, r, now);
}

static void
verify_reservations(struct client *c)
{
	for (uint32_t i = c->first_of_round; i < c->reservations_n; i++) {
		struct reservation *r = &c->reservations[i];
		if (r->state == HELD && r->brief)
			settle_brief(c, i);
		else if (r->state != NEVER && ask_state(c, i) != (enum state)r->state)
			wrong(c, "a reservation is not in the state that was answered", state_name[r->state]);
	}
	/* Those that may still change are looked at again in the next round. */
	uint32_t first = c->reservations_n;
	for (uint32_t i = 0; i < LANES; i++)
		if (c->lane[i].op != OP_POST && c->lane[i].reservation < first)
			first = c->lane[i].reservation;
	c->first_of_round = first;
}

static void
verify_source(struct client *c)
{
	char source[32];
	const struct hf_value *value;
	snprintf(source, sizeof source, "till-%u", c->index);
	hf_begin(c->hf, "position");
	hf_array(c->hf, 1);
	hf_put_str(c->hf, source);
	if (hf_call(c->hf, &value) != HF_OK)
		wrong(c, "position", hf_error(c->hf)->message);
	else if (hf_int(hf_get(value, "contiguous"), -1) != (int64_t)c->n || hf_int(hf_get(value, "highest"), -1) != (int64_t)c->n)
		wrong(c, "the source does not stand at its last number", source);
}

static void
check_cells(struct hf *hf)
{
	struct hf_line line[CELLS];
	const struct hf_value *value;
	for (uint32_t i = 0; i < CELLS; i++)
		line[i] = (struct hf_line){ sku_of(i), location_of(i), 0 };
	check(hf_stock(hf, line, CELLS, &value) == HF_OK);
	for (uint32_t i = 0; i < CELLS; i++) {
		const struct hf_value *cell = &value->array.items[1].array.items[i];
		int64_t on_hand = 0, held = 0, committed = 0;
		for (uint32_t k = 0; k < CLIENTS; k++)
			on_hand += clients[k].on_hand[i], held += clients[k].held[i], committed += clients[k].committed[i];
		check_equal(hf_int(hf_get(cell, "on_hand"), INT64_MIN), on_hand);
		check_equal(hf_int(hf_get(cell, "reserved"), -1), held);
		check_equal(hf_int(hf_get(cell, "committed"), -1), committed);
		check(!guarded(i) || hf_int(hf_get(cell, "ats"), -1) >= 0);
	}
}

static void
verify(void)
{
	const struct hf_value *value;
	for (uint32_t i = 0; i < CLIENTS; i++) {
		struct client *c = &clients[i];
		check(hf_hello(c->hf, &value) == HF_OK);
		check((uint64_t)hf_int(hf_get(value, "seq"), 0) >= c->seq_seen);
		for (uint32_t l = 0; l < LANES; l++)
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
	const char *arguments[] = { "--gate", "off", "--http", "off", "--segment-bytes", "16M", "--image-age-ms", "200", "--loops", round % 2 ? "2" : "1", NULL };
	struct why why;
	struct hf_failure failure;
	if (server_start(&server, arguments, &why) != 0) {
		printf("FAIL %s\n", why.text);
		check_failed_now = 1;
		return;
	}
	for (uint32_t i = 0; i < CLIENTS; i++) {
		hf_close(clients[i].hf);
		clients[i].hf = hf_connect("127.0.0.1", server.rpc, CALL_MS, &failure);
		check(clients[i].hf != NULL);
	}
}

/* Every cell gets something before anybody asks for it. */
static void
open_stock(struct client *c)
{
	uint32_t number;
	const struct hf_value *value;
	for (uint8_t i = 0; i < CELLS; i++) {
		struct lane lane = { .op = OP_POST, .n = ++c->n, .cell = i, .qty = 60 };
		send_op(c, &lane);
		enum hf_outcome got = hf_receive(c->hf, &number, &value);
		take_answer(c, &lane, got, value, false);
	}
	check(!c->wrong[0]);
}

static void
load_and_kill(void)
{
	uint32_t us = draw(&clients[0], KILL_AFTER_MS_MAX * 1000);
	struct timespec pause = { 0, (long)us * 1000 };
	for (uint32_t i = 0; i < CLIENTS; i++)
		pthread_create(&clients[i].thread, NULL, client_main, &clients[i]);
	nanosleep(&pause, NULL); /* the moment of the kill, not a wait for anything */
	server_kill(&server);
	for (uint32_t i = 0; i < CLIENTS; i++)
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
	for (uint32_t i = 0; i < CLIENTS; i++)
		clients[i] = (struct client){ .index = i, .random = seed + i * UINT64_C(0x9e3779b97f4a7c15) };
	for (uint32_t i = 0; i < CLIENTS; i++)
		for (uint32_t l = 0; l < LANES; l++)
			clients[i].lane[l].op = OP_POST; /* no reservation behind it yet */
	rounds(asked ? (uint32_t)strtoul(asked, NULL, 10) : ROUNDS);
	for (uint32_t i = 0; i < CLIENTS; i++) {
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
