/*
 * twin_draw.c: draws reservations, settlements, policies and groups; events are drawn in twin_draw_event.c.
 */
#include "tests/twin_draw.h"
#include "tests/twin_draw_event.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t
mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

void
draw_begin(struct draw *d, uint64_t step)
{
	d->state = mix(d->seed * 1000003 + step);
	d->arena_n = 0;
}

uint64_t
draw_random(struct draw *d, uint64_t below)
{
	d->state = mix(d->state);
	return below ? d->state % below : 0;
}

bool
draw_percent(struct draw *d, uint32_t of_100)
{
	return draw_random(d, 100) < of_100;
}

uint64_t
draw_fork(struct draw *d, uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t before = d->state;
	d->state = mix(mix(mix(d->seed ^ a) + b) + c);
	return before;
}

struct bytes
draw_keep(struct draw *d, const void *bytes, size_t n)
{
	if (d->arena_n + n > sizeof d->arena)
		abort();
	uint8_t *at = d->arena + d->arena_n;
	memcpy(at, bytes, n);
	d->arena_n += n;
	return (struct bytes){ at, (uint32_t)n };
}

struct bytes
draw_name(struct draw *d, char letter, uint64_t number)
{
	char text[NAME_BYTES_MAX + 1];
	int n = snprintf(text, sizeof text, "%c%llu", letter, (unsigned long long)number), whole = number % 3 == 0 ? NAME_BYTES_MAX : 40;
	if (d->profile->long_names && strchr("reof", letter) && number % 3 != 2)
		for (; n < whole; n++)
			text[n] = '-';
	return draw_keep(d, text, (size_t)n);
}

/* Mostly one letter, seldom the other. Draws are never two in one expression: every compiler must draw the same run. */
static struct bytes
some_name(struct draw *d, uint32_t mostly, char usual, char seldom, uint64_t below)
{
	char letter = draw_percent(d, mostly) ? usual : seldom;
	return draw_name(d, letter, draw_random(d, below));
}

int64_t
draw_now(struct draw *d, int64_t last)
{
	if (draw_percent(d, 3))
		return last - 5; /* a clock that went back: the engine's does not */
	if (draw_percent(d, 2))
		return last + d->profile->jump_ms;
	return last + (int64_t)draw_random(d, (uint64_t)d->profile->pause_max_ms + 1);
}

/* ---- reserve ---- */

/* Ids come from a window that moves on, so that old ones are asked for again, too, but not all the time. */
static struct bytes
some_id(struct draw *d)
{
	return draw_name(d, 'r', draw_random(d, d->profile->ids));
}

static void
line(struct draw *d, struct asked_line *l)
{
	l->sku = draw_name(d, 'S', draw_random(d, d->profile->skus));
	l->location = draw_name(d, 'L', draw_random(d, d->profile->places));
	l->qty = 1 + (int64_t)draw_random(d, (uint64_t)d->profile->qty_max);
}

static void
draw_reserve(struct draw *d, struct command *c)
{
	const struct draw_profile *p = d->profile;
	uint64_t id = draw_percent(d, p->fresh) ? d->state % 1000000 : draw_random(d, p->ids);
	uint64_t variant = draw_percent(d, p->odd) ? draw_random(d, 3) : 0;
	uint64_t odd = draw_percent(d, p->odd) ? 1 + draw_random(d, 6) : 0;
	int64_t ttl = p->ttl_max_ms ? 1 + (int64_t)draw_random(d, (uint64_t)p->ttl_max_ms) : -1;
	struct reserve_command *r = &c->reserve;
	*c = (struct command){ .kind = COMMAND_RESERVE };
	r->id = draw_name(d, 'r', id);
	uint64_t before = draw_fork(d, 77, id, variant);
	r->lines = d->lines;
	r->lines_n = draw_percent(d, 60) ? 1 : 1 + (uint32_t)draw_random(d, 5);
	for (uint32_t i = 0; i < r->lines_n; i++)
		line(d, &d->lines[i]);
	r->partial = draw_percent(d, p->partial);
	if (draw_percent(d, 30))
		r->channel = draw_name(d, 'c', draw_random(d, 3));
	if (draw_percent(d, p->owned))
		r->owner = draw_name(d, 'o', draw_random(d, p->owners));
	if (r->owner.n && draw_percent(d, 60))
		r->replaces = draw_name(d, 'r', draw_random(d, p->ids));
	d->state = before;
	r->ttl_ms = ttl;
	switch (odd) {
	case 1: d->lines[0].sku = draw_name(d, 'X', draw_random(d, 3)); break;
	case 2: d->lines[r->lines_n - 1].location = draw_name(d, 'X', draw_random(d, 3)); break;
	case 3: d->lines[0].location = draw_name(d, 'G', draw_random(d, p->groups + 1)); break;
	case 4: r->ttl_ms = 86400001; break;
	case 5: r->replaces = r->id; break;
	case 6: r->replaces = some_id(d); break;
	default: break;
	}
}

/* ---- commit, release, fulfil ---- */

static void
draw_settle(struct draw *d, struct command *c)
{
	static const enum command_kind kinds[] = { COMMAND_COMMIT, COMMAND_RELEASE, COMMAND_FULFIL };
	struct reservation_view v;
	*c = (struct command){ .kind = kinds[draw_random(d, 3)] };
	struct settle_command *s = &c->settle;
	s->id = some_id(d);
	bool known = twin_reservation(d->twin, s->id, &v);
	for (int tries = 0; !known && tries < 8; tries++) {
		s->id = some_id(d);
		known = twin_reservation(d->twin, s->id, &v);
	}
	if (draw_percent(d, 60))
		s->ref = draw_name(d, 'f', draw_random(d, 40));
	if (draw_percent(d, d->profile->whole))
		return;
	s->lines = d->lines;
	s->lines_n = 1 + (uint32_t)draw_random(d, 2);
	for (uint32_t i = 0; i < s->lines_n; i++) {
		line(d, &d->lines[i]);
		if (!known || draw_percent(d, d->profile->odd))
			continue;
		const struct line_view *l = &v.lines[draw_random(d, v.lines_n)];
		d->lines[i].sku = draw_keep(d, l->sku.at, l->sku.n);
		d->lines[i].location = draw_keep(d, l->location.at, l->location.n);
		d->lines[i].qty = 1 + (int64_t)draw_random(d, d->profile->whole < 10 ? 1 : (uint64_t)(l->held + l->committed + 1) * 2 / 3);
	}
}

static void
draw_extend(struct draw *d, struct command *c, enum command_kind kind)
{
	static const int64_t wild[] = { 900000, 900001, 86400000, 86400001 };
	*c = (struct command){ .kind = kind };
	c->extend.id = some_id(d);
	c->extend.ttl_ms = 1 + (int64_t)draw_random(d, d->profile->ttl_max_ms ? (uint64_t)d->profile->ttl_max_ms * 2 : 2000000);
	if (draw_percent(d, d->profile->odd))
		c->extend.ttl_ms = wild[draw_random(d, 4)];
}

static void
draw_move(struct draw *d, struct command *c)
{
	*c = (struct command){ .kind = COMMAND_MOVE };
	c->move.id = some_id(d);
	c->move.line = (uint32_t)draw_random(d, 3);
	c->move.to_location = some_name(d, 97, 'L', draw_percent(d, 50) ? 'X' : 'G', d->profile->places);
}

/* ---- policies ---- */

static void
draw_policy(struct draw *d, struct command *c)
{
	*c = (struct command){ .kind = COMMAND_POLICY_CELLS };
	c->policy_cells.cells = d->cells;
	c->policy_cells.cells_n = 1 + (uint32_t)draw_random(d, 4);
	for (uint32_t i = 0; i < c->policy_cells.cells_n; i++) {
		struct policy_cell *p = &d->cells[i];
		*p = (struct policy_cell){ .has_safety_stock = false };
		p->sku = some_name(d, 98, 'S', 'X', d->profile->skus);
		p->location = some_name(d, 98, 'L', 'G', d->profile->places);
		p->has_safety_stock = draw_percent(d, 60);
		p->has_oversell_limit = draw_percent(d, 40);
		p->safety_stock = (int64_t)draw_random(d, (uint64_t)d->profile->qty_max);
		p->oversell_limit = (int64_t)draw_random(d, (uint64_t)d->profile->qty_max / 2 + 1);
	}
}

static void
draw_group(struct draw *d, struct command *c)
{
	*c = (struct command){ .kind = COMMAND_POLICY_GROUP };
	c->policy_group.name = some_name(d, 97, 'G', 'L', d->profile->groups + 1);
	c->policy_group.members = d->members;
	if (draw_percent(d, 20))
		return;
	c->policy_group.members_n = 1 + (uint32_t)draw_random(d, d->profile->places);
	uint64_t first = draw_random(d, d->profile->places);
	for (uint32_t i = 0; i < c->policy_group.members_n; i++) {
		char letter = draw_percent(d, 99) ? 'L' : 'G';
		d->members[i] = draw_name(d, letter, (first + (draw_percent(d, 98) ? i : 0)) % d->profile->places);
	}
}

static void
draw_quarantine(struct draw *d, struct command *c)
{
	struct quarantine_view v, w;
	uint64_t after = 0;
	*c = (struct command){ .kind = draw_percent(d, 50) ? COMMAND_QUARANTINE_DROP : COMMAND_QUARANTINE_REPLAY };
	if (!twin_quarantine_next(d->twin, 0, &v)) {
		*c = (struct command){ .kind = COMMAND_QUARANTINE_DROP };
		c->quarantine.number = 1 + draw_random(d, 3);
		return;
	}
	for (uint64_t steps = draw_random(d, 6); steps && twin_quarantine_next(d->twin, after, &w); steps--) {
		v = w;
		after = w.number;
	}
	struct draw_event_key key;
	memcpy(&key, v.raw.at, sizeof key);
	draw_event(d, &key, &d->event);
	c->quarantine.number = v.number;
	c->quarantine.event = &d->event;
}

/* ---- the table ---- */

void
draw_command(struct draw *d, struct command *c)
{
	const struct draw_profile *p = d->profile;
	const uint32_t weights[] = { p->reserve, p->settle, p->extend, p->pin, p->move, p->event, p->skip, p->policy, p->group, p->quarantine };
	uint32_t sum = 0, k = 0;
	for (uint32_t i = 0; i < sizeof weights / sizeof weights[0]; i++)
		sum += weights[i];
	uint32_t at = (uint32_t)draw_random(d, sum);
	while (at >= weights[k])
		at -= weights[k++];
	switch (k) {
	case 0: draw_reserve(d, c); break;
	case 1: draw_settle(d, c); break;
	case 2: draw_extend(d, c, COMMAND_EXTEND); break;
	case 3: draw_extend(d, c, COMMAND_PIN); break;
	case 4: draw_move(d, c); break;
	case 5: draw_event_command(d, c); break;
	case 6: draw_skip(d, c); break;
	case 7: draw_policy(d, c); break;
	case 8: draw_group(d, c); break;
	default: draw_quarantine(d, c); break;
	}
}
