/*
 * sim_record.c: clients and their record. Facts here only bring stock, and only fulfilment takes it away, so that what must be
 * on hand is one subtraction and an ATS below zero is always an oversell.
 */
#include "tests/sim_record.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

uint64_t
sim_random(struct sim_record *r, uint64_t below)
{
	r->random += UINT64_C(0x9e3779b97f4a7c15);
	uint64_t x = r->random;
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return (x ^ x >> 31) % below;
}

static bool
wrong(struct sim_record *r, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	if (!r->failure[0])
		vsnprintf(r->failure, sizeof r->failure, format, list);
	va_end(list);
	return false;
}

/* ---- asking ---- */

void
sim_client_think(struct sim_record *r, uint32_t i)
{
	static const enum sim_ask asks[] = { SIM_RECEIPT, SIM_RECEIPT, SIM_RESERVE, SIM_RESERVE, SIM_RESERVE, SIM_RESERVE, SIM_COMMIT,
		SIM_COMMIT, SIM_RELEASE, SIM_FULFIL, SIM_SHOW, SIM_SHOW };
	struct sim_client *c = &r->clients[i];
	uint32_t cells = r->options->skus * r->options->places;
	c->ask = asks[sim_random(r, sizeof asks / sizeof asks[0])];
	if (!c->kept_n && c->ask >= SIM_COMMIT && c->ask <= SIM_FULFIL)
		c->ask = SIM_RECEIPT;
	c->asking = true;
	c->sent = false;
	c->tries = 0;
	c->lines_n = c->ask == SIM_RESERVE ? 1 + (uint32_t)sim_random(r, 3) : 1;
	for (uint32_t l = 0; l < c->lines_n; l++) {
		c->cells[l] = (uint32_t)sim_random(r, cells);
		c->qty[l] = 1 + (int64_t)sim_random(r, c->ask == SIM_RECEIPT ? 9 : 3);
	}
	c->ttl_ms = sim_random(r, 2) ? 1 + (int64_t)sim_random(r, (uint64_t)r->options->ttl_ms) : 80000000;
	if (c->ask == SIM_RECEIPT)
		c->receipts++;
	if (c->ask == SIM_RESERVE)
		c->holds++;
}

static struct bytes
put(char **at, const char *format, unsigned a, unsigned long long b)
{
	int n = sprintf(*at, format, a, b);
	struct bytes out = { (const uint8_t *)*at, (uint32_t)n };
	*at += n + 1;
	return out;
}

void
sim_client_command(const struct sim_record *r, uint32_t i, struct command *out, char *arena, struct asked_line lines[3])
{
	const struct sim_client *c = &r->clients[i];
	const struct sim_hold_record *last = c->kept_n ? &c->kept[c->kept_n - 1] : NULL;
	static const enum command_kind settle[] = { [SIM_COMMIT] = COMMAND_COMMIT, [SIM_RELEASE] = COMMAND_RELEASE, [SIM_FULFIL] = COMMAND_FULFIL };
	memset(out, 0, sizeof *out);
	for (uint32_t l = 0; l < c->lines_n; l++)
		lines[l] = (struct asked_line){ put(&arena, "S%u", c->cells[l] / r->options->places, 0),
			put(&arena, "L%u", c->cells[l] % r->options->places, 0), c->qty[l] };
	switch (c->ask) {
	case SIM_RECEIPT:
		*out = (struct command){ .kind = COMMAND_EVENT, .event = { .source = put(&arena, "s%u", i, 0), .n = c->receipts, .kind = EVENT_RECEIPT,
			.sku = lines[0].sku, .location = lines[0].location, .qty = lines[0].qty, .at = -1, .as_of = -1 } };
		break;
	case SIM_RESERVE:
		*out = (struct command){ .kind = COMMAND_RESERVE, .reserve = { .id = put(&arena, "h%u-%llu", i, c->holds), .lines = lines,
			.lines_n = c->lines_n, .ttl_ms = c->ttl_ms, .owner = put(&arena, "o%u", i, 0) } };
		break;
	case SIM_COMMIT:
	case SIM_RELEASE:
	case SIM_FULFIL:
		*out = (struct command){ .kind = settle[c->ask], .settle = { .id = put(&arena, "h%u-%llu", i, last->number) } };
		out->settle.ref = put(&arena, "f%u", c->ask, 0);
		break;
	default: break;
	}
}

void
sim_clients_ask_again(struct sim_record *r)
{
	for (uint32_t i = 0; i < r->options->clients; i++)
		r->clients[i].sent = false;
}

/* ---- being told ---- */

static void
told_hold(struct sim_client *c, const struct result *a, const int64_t *line_qty)
{
	if (c->kept_n == c->kept_cap)
		c->kept = realloc(c->kept, (c->kept_cap = c->kept_cap ? c->kept_cap * 2 : 16) * sizeof *c->kept);
	struct sim_hold_record *h = &c->kept[c->kept_n++];
	*h = (struct sim_hold_record){ .number = c->holds, .lines_n = a->lines_n, .seq = a->seq, .expires_at = a->expires_at };
	for (uint32_t l = 0; l < a->lines_n; l++) {
		h->cells[l] = c->cells[l];
		h->granted[l] = line_qty[l];
	}
}

static void
told_settled(struct sim_record *r, struct sim_client *c, const struct result *a, const int64_t *line_qty)
{
	struct sim_hold_record *h = &c->kept[c->kept_n - 1];
	bool first = c->ask == SIM_FULFIL && !h->fulfilled && a->lines_n;
	h->committed |= c->ask == SIM_COMMIT;
	h->released |= c->ask == SIM_RELEASE && a->state == RESERVATION_RELEASED;
	h->fulfilled |= c->ask == SIM_FULFIL;
	for (uint32_t l = 0; first && l < a->lines_n; l++)
		r->cells[h->cells[l]].fulfilled += line_qty[l];
}

void
sim_client_told(struct sim_record *r, uint32_t i, const struct result *a, const int64_t *line_qty)
{
	struct sim_client *c = &r->clients[i];
	bool happened = a->status == STATUS_OK;
	c->asking = false;
	r->figures->answered++;
	r->figures->again += a->again || a->outcome == OUTCOME_DUPLICATE;
	r->figures->refused += !happened;
	if (a->seq > r->answered_seq)
		r->answered_seq = a->seq;
	if (c->ask == SIM_RECEIPT && happened)
		r->cells[c->cells[0]].received += c->qty[0];
	else if (c->ask == SIM_RECEIPT)
		wrong(r, "a receipt was refused: %s", status_name(a->status));
	else if (c->ask == SIM_RESERVE && happened)
		told_hold(c, a, line_qty);
	else if (happened)
		told_settled(r, c, a, line_qty);
	if ((a->again || a->outcome == OUTCOME_DUPLICATE) && c->tries < 2 && c->ask <= SIM_RESERVE)
		wrong(r, "client %u asked once and is told it was a repeat", i);
}

void
sim_client_shown(struct sim_record *r, uint32_t i, uint64_t seq, int64_t ats)
{
	struct sim_client *c = &r->clients[i];
	struct sim_cell_record *cell = &r->cells[c->cells[0]];
	c->asking = false;
	r->figures->shown++;
	if (ats < 0)
		wrong(r, "oversold: cell %u shows an ATS of %lld", c->cells[0], (long long)ats);
	if (seq < cell->shown_seq || (seq == cell->shown_seq && ats != cell->shown_ats))
		wrong(r, "cell %u was shown with %lld at position %llu, then %lld at %llu", c->cells[0], (long long)cell->shown_ats,
		    (unsigned long long)cell->shown_seq, (long long)ats, (unsigned long long)seq);
	cell->shown_seq = seq;
	cell->shown_ats = ats;
}

/* ---- checking ---- */

static bool
check_hold(struct sim_record *r, struct engine *e, uint32_t i, const struct sim_hold_record *h)
{
	char id[32];
	struct reservation_view v;
	struct result first;
	struct bytes b = { (const uint8_t *)id, (uint32_t)sprintf(id, "h%u-%llu", i, (unsigned long long)h->number) };
	if (!engine_reservation(e, b, &v))
		return wrong(r, "lost: reservation %s was granted", id);
	int64_t held = 0, committed = 0, fulfilled = 0, expired = 0, released = 0;
	for (uint32_t l = 0; l < v.lines_n; l++) {
		held += v.lines[l].held;
		committed += v.lines[l].committed;
		fulfilled += v.lines[l].fulfilled;
		expired += v.lines[l].expired;
		released += v.lines[l].released;
		if (v.lines[l].qty != h->granted[l])
			return wrong(r, "reservation %s has another quantity than was granted", id);
	}
	if (v.lines_n != h->lines_n || v.first_seq != h->seq || v.first_expires_at != h->expires_at)
		return wrong(r, "reservation %s is not the one that was granted", id);
	if (h->fulfilled && !fulfilled)
		return wrong(r, "lost: reservation %s was fulfilled", id);
	if (h->committed && !committed && !fulfilled && !released)
		return wrong(r, "lost: reservation %s was committed", id);
	if (h->released && !released)
		return wrong(r, "lost: reservation %s was released", id);
	if (held && v.expires_at <= engine_now(e) && engine_next_deadline(e) > engine_now(e))
		return wrong(r, "reservation %s is past its end and still held", id);
	if (expired && h->expires_at > engine_now(e))
		return wrong(r, "reservation %s expired before its end", id);
	if (!engine_first_reply(e, b, &first) || first.seq != h->seq || first.lines_n != h->lines_n)
		return wrong(r, "reservation %s does not repeat its first answer", id);
	return true;
}

/* At a quiet moment on_hand is exactly what was answered; under way at most one unanswered command a client is in it. */
static bool
check_cell(struct sim_record *r, struct engine *e, uint32_t i, bool quiet)
{
	char sku[16], place[16];
	struct cell_view v;
	const struct sim_cell_record *cell = &r->cells[i];
	struct bytes s = { (const uint8_t *)sku, (uint32_t)sprintf(sku, "S%u", i / r->options->places) };
	struct bytes p = { (const uint8_t *)place, (uint32_t)sprintf(place, "L%u", i % r->options->places) };
	bool known = view_cell(e, s, p, &v) == VIEW_OK;
	if (!known)
		return !cell->received || wrong(r, "lost: %s at %s had a receipt", sku, place);
	if (v.ats < 0 || v.reserved + v.committed > v.on_hand)
		return wrong(r, "oversold: %s at %s has %lld on hand, %lld reserved, %lld committed", sku, place, (long long)v.on_hand,
		    (long long)v.reserved, (long long)v.committed);
	if (v.seq < cell->shown_seq || (v.seq == cell->shown_seq && v.seq && v.ats != cell->shown_ats))
		return wrong(r, "taken back: %s at %s was shown with ATS %lld at position %llu, now %lld at %llu", sku, place,
		    (long long)cell->shown_ats, (unsigned long long)cell->shown_seq, (long long)v.ats, (unsigned long long)v.seq);
	if (quiet && v.on_hand != cell->received - cell->fulfilled)
		return wrong(r, "%s at %s has %lld on hand; the answers add up to %lld received less %lld fulfilled", sku, place,
		    (long long)v.on_hand, (long long)cell->received, (long long)cell->fulfilled);
	return true;
}

/* Nobody is under way: the open units of a cell are those of the granted holds, no more. */
static bool
check_open(struct sim_record *r, struct engine *e, uint32_t i)
{
	char sku[16], place[16], id[32];
	struct cell_view v;
	struct bytes s = { (const uint8_t *)sku, (uint32_t)sprintf(sku, "S%u", i / r->options->places) };
	struct bytes p = { (const uint8_t *)place, (uint32_t)sprintf(place, "L%u", i % r->options->places) };
	int64_t held = 0, committed = 0;
	for (uint32_t c = 0; c < r->options->clients; c++)
		for (uint32_t h = 0; h < r->clients[c].kept_n; h++) {
			struct reservation_view x;
			struct bytes b = { (const uint8_t *)id, (uint32_t)sprintf(id, "h%u-%llu", c, (unsigned long long)r->clients[c].kept[h].number) };
			if (!engine_reservation(e, b, &x))
				return wrong(r, "lost: reservation %s", id);
			for (uint32_t l = 0; l < x.lines_n; l++) {
				held += bytes_equal(x.lines[l].sku, s) && bytes_equal(x.lines[l].location, p) ? x.lines[l].held : 0;
				committed += bytes_equal(x.lines[l].sku, s) && bytes_equal(x.lines[l].location, p) ? x.lines[l].committed : 0;
			}
		}
	if (view_cell(e, s, p, &v) == VIEW_OK && (v.reserved != held || v.committed != committed))
		return wrong(r, "doubled: %s at %s counts %lld reserved and %lld committed, the granted holds %lld and %lld", sku, place,
		    (long long)v.reserved, (long long)v.committed, (long long)held, (long long)committed);
	return true;
}

bool
sim_record_check(struct sim_record *r, struct engine *e, bool quiet)
{
	if (engine_seq(e) < r->answered_seq)
		return wrong(r, "lost: an answer stood at position %llu, the engine stands at %llu", (unsigned long long)r->answered_seq,
		    (unsigned long long)engine_seq(e));
	for (uint32_t i = 0; i < r->options->skus * r->options->places; i++)
		if (!check_cell(r, e, i, quiet) || (quiet && !check_open(r, e, i)))
			return false;
	for (uint32_t c = 0; c < r->options->clients; c++)
		for (uint32_t h = 0; h < r->clients[c].kept_n; h++)
			if (!check_hold(r, e, c, &r->clients[c].kept[h]))
				return false;
	return r->failure[0] == 0;
}
