/* kill_client.c: see kill_client.h. */
#include "tests/kill_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const kill_state_name[STATES] = { "", "held", "committed", "fulfilled", "released", "expired" };
const char *const kill_op_method[OPS] = { "reserve", "commit", "fulfil", "release", "post" };

uint32_t
kill_draw(struct kill_client *c, uint32_t below)
{
	c->random = c->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)((c->random >> 33) % below);
}

const char *
kill_sku(uint32_t cell)
{
	static const char *const sku[] = { "S0", "S1", "S2", "S3", "S4", "S5", "S6", "S7" };
	return sku[cell / 2];
}

const char *
kill_location(uint32_t cell)
{
	return cell % 2 ? "L1" : "L0";
}

bool
kill_guarded(uint32_t cell)
{
	return cell / 2 % 2 == 0;
}

void
kill_wrong(struct kill_client *c, const char *what, const char *detail)
{
	if (!c->wrong[0])
		snprintf(c->wrong, sizeof c->wrong, "%s: %.120s", what, detail ? detail : "");
}

/* ---- the record ---- */

static void
count(struct kill_client *c, const struct reservation *r, enum state state, int sign)
{
	for (uint32_t i = 0; i < r->lines_n; i++) {
		int64_t qty = sign * (int64_t)r->line[i].qty;
		uint32_t cell = r->line[i].cell;
		c->held[cell] += state == HELD ? qty : 0;
		c->committed[cell] += state == COMMITTED ? qty : 0;
		c->on_hand[cell] -= state == FULFILLED ? qty : 0;
	}
}

void
kill_move_to(struct kill_client *c, struct reservation *r, enum state state)
{
	count(c, r, r->state, -1);
	r->state = (uint8_t)state;
	count(c, r, state, 1);
}

void
kill_reservation_id(const struct kill_client *c, uint32_t reservation, char id[32])
{
	snprintf(id, 32, "kill-%u-%u", c->index, reservation);
}

/* ---- requests ---- */

static void
build_reserve(struct kill_client *c, const struct reservation *r)
{
	hf_array(c->hf, r->lines_n);
	for (uint32_t i = 0; i < r->lines_n; i++) {
		hf_array(c->hf, 3);
		hf_put_str(c->hf, kill_sku(r->line[i].cell));
		hf_put_str(c->hf, kill_location(r->line[i].cell));
		hf_put_int(c->hf, r->line[i].qty);
	}
	hf_map(c->hf, 1);
	hf_put_str(c->hf, "ttl_ms");
	hf_put_int(c->hf, r->brief ? KILL_TTL_SHORT_MS : KILL_TTL_LONG_MS);
}

static void
build_post(struct kill_client *c, const struct lane *lane)
{
	char source[32];
	snprintf(source, sizeof source, "till-%u", c->index);
	hf_array(c->hf, 1);
	hf_map(c->hf, 6);
	hf_put_str(c->hf, "source"), hf_put_str(c->hf, source);
	hf_put_str(c->hf, "n"), hf_put_int(c->hf, (int64_t)lane->n);
	hf_put_str(c->hf, "kind"), hf_put_str(c->hf, lane->qty < 0 ? "sale" : "receipt");
	hf_put_str(c->hf, "sku"), hf_put_str(c->hf, kill_sku(lane->cell));
	hf_put_str(c->hf, "location"), hf_put_str(c->hf, kill_location(lane->cell));
	hf_put_str(c->hf, "qty"), hf_put_int(c->hf, lane->qty < 0 ? -lane->qty : lane->qty);
}

uint32_t
kill_send(struct kill_client *c, const struct lane *lane)
{
	char id[32];
	hf_begin(c->hf, kill_op_method[lane->op]);
	if (lane->op == OP_POST) {
		hf_array(c->hf, 1);
		build_post(c, lane);
		return hf_send(c->hf);
	}
	kill_reservation_id(c, lane->reservation, id);
	hf_array(c->hf, lane->op == OP_RESERVE ? 3 : 2);
	hf_put_str(c->hf, id);
	if (lane->op == OP_RESERVE)
		build_reserve(c, &c->reservations[lane->reservation]);
	else {
		hf_map(c->hf, 1);
		hf_put_str(c->hf, "ref");
		hf_put_str(c->hf, kill_op_method[lane->op]);
	}
	return hf_send(c->hf);
}

static void
draw_reserve(struct kill_client *c, struct lane *lane)
{
	if (c->reservations_n == c->room) {
		c->room = c->room ? c->room * 2 : 1024;
		c->reservations = realloc(c->reservations, c->room * sizeof *c->reservations);
	}
	struct reservation *r = &c->reservations[c->reservations_n];
	*r = (struct reservation){ .lines_n = (uint8_t)(1 + kill_draw(c, KILL_LINES)), .brief = kill_draw(c, 8) == 0 };
	for (uint32_t i = 0; i < r->lines_n; i++) {
		r->line[i].cell = (uint8_t)kill_draw(c, KILL_CELLS);
		r->line[i].qty = (uint8_t)(1 + kill_draw(c, 4));
	}
	*lane = (struct lane){ .op = OP_RESERVE, .reservation = c->reservations_n++ };
}

static void
draw_post(struct kill_client *c, struct lane *lane)
{
	*lane = (struct lane){ .op = OP_POST, .n = ++c->n, .cell = (uint8_t)kill_draw(c, KILL_CELLS), .qty = (int8_t)(1 + kill_draw(c, 5)) };
	if (!kill_guarded(lane->cell) && kill_draw(c, 2) == 0)
		lane->qty = (int8_t)-lane->qty;
}

/* What a lane does after its last answer. */
static void
draw_next(struct kill_client *c, struct lane *lane)
{
	struct reservation *r = lane->op == OP_POST ? NULL : &c->reservations[lane->reservation];
	if (r && r->state == HELD && !r->brief)
		lane->op = kill_draw(c, 3) ? OP_COMMIT : OP_RELEASE;
	else if (r && r->state == COMMITTED && kill_draw(c, 4))
		lane->op = kill_draw(c, 2) ? OP_FULFIL : OP_RELEASE;
	else if (kill_draw(c, 3) == 0)
		draw_post(c, lane);
	else
		draw_reserve(c, lane);
}

bool
kill_text_is(const struct hf_value *v, const char *text)
{
	return v && v->type == HF_STR && v->str.n == strlen(text) && memcmp(v->str.at, text, v->str.n) == 0;
}

/* An answer to a post: [seq, [outcome]]. */
static void
took_post(struct kill_client *c, struct lane *lane, const struct hf_value *value, bool resent)
{
	const struct hf_value *outcome = value->type == HF_ARRAY && value->array.n == 2 && value->array.items[1].type == HF_ARRAY &&
	    value->array.items[1].array.n == 1 ? &value->array.items[1].array.items[0] : NULL;
	if (!kill_text_is(outcome, "applied") && !(resent && kill_text_is(outcome, "duplicate"))) {
		kill_wrong(c, "an event was neither applied nor, sent again, a duplicate", lane->qty < 0 ? "sale" : "receipt");
		return;
	}
	c->had_happened += kill_text_is(outcome, "duplicate");
	c->on_hand[lane->cell] += lane->qty;
}

static void
took(struct kill_client *c, struct lane *lane, const struct hf_value *value, bool resent)
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
		kill_wrong(c, "a first call was answered as a repeated one", kill_op_method[lane->op]);
	c->had_happened += resent && again && again->boolean;
	struct reservation *r = &c->reservations[lane->reservation];
	if (lane->op == OP_RESERVE)
		r->expires_at = hf_int(hf_get(value, "expires_at"), 0);
	kill_move_to(c, r, after[lane->op]);
}

bool
kill_busy(struct kill_client *c, const struct lane *lane, enum hf_outcome got)
{
	return got == HF_REFUSED && lane->op == OP_RESERVE && strcmp(hf_error(c->hf)->code, "overloaded") == 0;
}

void
kill_take(struct kill_client *c, struct lane *lane, enum hf_outcome got, const struct hf_value *value, bool resent)
{
	lane->open = false;
	c->answers++;
	if (got == HF_OK)
		took(c, lane, value, resent);
	else if (!kill_busy(c, lane, got) && (got != HF_REFUSED || lane->op != OP_RESERVE || strcmp(hf_error(c->hf)->code, "insufficient") != 0))
		kill_wrong(c, kill_op_method[lane->op], hf_error(c->hf)->message);
}

void *
kill_client_main(void *arg)
{
	struct kill_client *c = arg;
	uint32_t number;
	const struct hf_value *value;
	for (;;) {
		for (uint32_t i = 0; i < KILL_LANES; i++) {
			struct lane *lane = &c->lane[i];
			if (lane->open)
				continue;
			draw_next(c, lane);
			number = kill_send(c, lane);
			lane->open = true; /* also when it could not be sent: then it never happened, which is one of the two */
			if (number)
				c->lane_of[number % (KILL_LANES * 2)] = i;
		}
		enum hf_outcome got = hf_receive(c->hf, &number, &value);
		if (number == 0)
			return NULL;
		if (got == HF_UNKNOWN) /* the server itself says so; the lane stays open */
			return NULL;
		kill_take(c, &c->lane[c->lane_of[number % (KILL_LANES * 2)]], got, value, false);
	}
}
