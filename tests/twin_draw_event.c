/*
 * twin_draw_event.c: draws stock events, skips, and the line that tells people what a command was.
 */
#include "tests/twin_draw_event.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- events ---- */

static void
defect(struct draw *d, struct event_command *e)
{
	static const enum status reasons[] = { STATUS_BAD_REQUEST, STATUS_BAD_REQUEST, STATUS_LIMIT };
	e->defect = reasons[draw_random(d, 3)];
	e->defect_message = "drawn with a defect";
	if (draw_percent(d, 50))
		e->kind = EVENT_KIND_UNKNOWN;
}

static void
odd_part(struct draw *d, struct event_command *e)
{
	switch (draw_random(d, 7)) {
	case 0: defect(d, e); break;
	case 1: e->at = DRAW_EPOCH + INT64_C(400) * 86400000; break;
	case 2: e->reason = (struct bytes){ NULL, 0 }; break;
	case 3: e->ref = (struct bytes){ NULL, 0 }; break;
	case 4: e->location = draw_name(d, d->profile->groups ? 'G' : 'L', draw_random(d, d->profile->groups + 1)); break;
	case 5: e->as_of = DRAW_EPOCH + INT64_C(400) * 86400000; break;
	default: e->sku = draw_name(d, 'N', draw_random(d, 4)); break;
	}
}

void
draw_event(struct draw *d, const struct draw_event_key *key, struct event_command *e)
{
	const struct draw_profile *p = d->profile;
	static const enum event_kind kinds[] = { EVENT_SALE, EVENT_SALE, EVENT_RETURN, EVENT_RECEIPT, EVENT_RECEIPT, EVENT_RECEIPT, EVENT_ADJUST,
		EVENT_UNSELL, EVENT_RESELL, EVENT_FULFIL };
	memset(e, 0, sizeof *e);
	e->raw = draw_keep(d, key, sizeof *key);
	e->source = draw_name(d, 's', key->source);
	e->n = key->n;
	if (key->id)
		e->id = draw_name(d, 'e', key->id);
	uint64_t before = draw_fork(d, 99 + key->source, key->n ? key->n : UINT64_C(1) << 60 | key->id, key->variant);
	e->kind = draw_percent(d, p->counts) ? EVENT_COUNT : kinds[draw_random(d, 10)];
	e->sku = draw_name(d, 'S', draw_random(d, p->skus));
	e->location = draw_name(d, 'L', draw_random(d, p->places));
	e->qty = 1 + (int64_t)draw_random(d, (uint64_t)p->qty_max * (e->kind == EVENT_RECEIPT ? 3 : 1));
	if (e->kind == EVENT_ADJUST && draw_percent(d, 50))
		e->qty = -e->qty;
	e->at = draw_percent(d, 85) ? DRAW_EPOCH + (int64_t)draw_random(d, (uint64_t)p->at_span_ms) : -1;
	e->as_of = e->kind == EVENT_COUNT && draw_percent(d, 60) ? DRAW_EPOCH + (int64_t)draw_random(d, (uint64_t)p->at_span_ms) : -1;
	if (e->kind == EVENT_COUNT) {
		e->qty = (int64_t)draw_random(d, (uint64_t)p->qty_max * 4);
		if (draw_percent(d, 50) && e->as_of >= 0)
			e->as_of -= e->as_of % 64; /* ties */
	}
	if (e->kind == EVENT_COUNT || e->kind == EVENT_ADJUST) {
		e->has_expected = draw_percent(d, 10);
		e->expected = (int64_t)draw_random(d, 4);
	}
	e->to_unsellable = e->kind == EVENT_RETURN && draw_percent(d, 30);
	if (e->kind == EVENT_ADJUST)
		e->reason = draw_name(d, 'w', 1);
	if (e->kind == EVENT_FULFIL || draw_percent(d, 10))
		e->ref = draw_name(d, 'r', draw_random(d, p->ids));
	if (draw_percent(d, p->odd))
		odd_part(d, e);
	if (e->kind == EVENT_ADJUST && draw_percent(d, p->odd / 4))
		e->qty = 0;
	d->state = before;
}

static uint64_t
draw_number(struct draw *d, struct bytes source)
{
	const struct draw_profile *p = d->profile;
	struct position_view v;
	static const int64_t from_contiguous[] = { 4094, 4095, 4096, 4097, 4098, 8192 };
	static const int64_t from_highest[] = { 0, 1, 4094, 4095, 4096, 4097 };
	twin_position(d->twin, source, &v);
	if (draw_percent(d, p->odd) && draw_percent(d, 50))
		return v.contiguous + (uint64_t)from_contiguous[draw_random(d, 6)];
	if (draw_percent(d, p->odd) && draw_percent(d, 50)) {
		uint64_t back = (uint64_t)from_highest[draw_random(d, 6)];
		return v.highest > back ? v.highest - back : 1;
	}
	if (v.highest && draw_percent(d, p->repeated))
		return 1 + (draw_percent(d, 70) && v.highest > 20 ? v.highest - 1 - draw_random(d, 20) : draw_random(d, v.highest));
	return v.contiguous + 1 + (draw_percent(d, p->shuffled) ? draw_random(d, 12) : 0);
}

void
draw_event_command(struct draw *d, struct command *c)
{
	const struct draw_profile *p = d->profile;
	struct draw_event_key key = { .source = (uint32_t)draw_random(d, p->sources) };
	*c = (struct command){ .kind = COMMAND_EVENT };
	if (draw_percent(d, p->odd) && draw_percent(d, 10))
		key.source = p->sources + (uint32_t)draw_random(d, 3);
	if (draw_percent(d, 25))
		key.id = 1 + (uint32_t)draw_random(d, p->ids * 8);
	if (!key.id || draw_percent(d, 4))
		key.n = draw_number(d, draw_name(d, 's', key.source));
	key.variant = draw_percent(d, p->odd) ? (uint32_t)draw_random(d, 3) : 0;
	draw_event(d, &key, &c->event);
	if (draw_percent(d, p->odd) && draw_percent(d, 5))
		c->event.source = (struct bytes){ NULL, 0 };
	/* half of the compare-and-sets are right */
	struct cell_view v;
	if (c->event.has_expected && !c->event.n && draw_percent(d, 50) && twin_cell(d->twin, c->event.sku, c->event.location, &v))
		c->event.expected = v.on_hand;
}

void
draw_skip(struct draw *d, struct command *c)
{
	static const uint64_t ahead[] = { 0, 1, 2, 9, 4095, 4096, 5000 };
	struct position_view v;
	*c = (struct command){ .kind = COMMAND_SKIP_TO };
	c->skip.source = draw_name(d, 's', draw_random(d, d->profile->sources));
	twin_position(d->twin, c->skip.source, &v);
	c->skip.skip_to = v.contiguous + ahead[draw_random(d, draw_percent(d, d->profile->odd) ? 7 : 4)];
	if (!c->skip.skip_to)
		c->skip.skip_to = 1;
}

/* ---- for people ---- */

static void
say(char *text, size_t n, const char *format, ...)
{
	size_t used = strlen(text);
	va_list list;
	va_start(list, format);
	vsnprintf(text + used, n - used, format, list);
	va_end(list);
}

#define B(b) (int)(b).n, (const char *)((b).n ? (b).at : (const uint8_t *)"")

static void
say_lines(char *text, size_t n, const struct asked_line *lines, uint32_t lines_n)
{
	for (uint32_t i = 0; i < lines_n; i++)
		say(text, n, " %.*s@%.*s:%lld", B(lines[i].sku), B(lines[i].location), (long long)lines[i].qty);
}

static void
say_event(char *text, size_t n, const struct event_command *e)
{
	static const char *const kinds[] = { "sale", "return", "receipt", "adjust", "unsell", "resell", "count", "fulfil", "unknown" };
	say(text, n, "%s %.*s@%.*s:%lld source=%.*s n=%llu id=%.*s", kinds[e->kind], B(e->sku), B(e->location), (long long)e->qty, B(e->source),
	    (unsigned long long)e->n, B(e->id));
	say(text, n, " at=%lld", e->at < 0 ? -1LL : (long long)(e->at - DRAW_EPOCH));
	if (e->kind == EVENT_COUNT)
		say(text, n, " as_of=%lld", e->as_of < 0 ? -1LL : (long long)(e->as_of - DRAW_EPOCH));
	if (e->has_expected)
		say(text, n, " expected=%lld", (long long)e->expected);
	if (e->ref.n)
		say(text, n, " ref=%.*s", B(e->ref));
	say(text, n, "%s%s%s", e->to_unsellable ? " to unsellable" : "", e->defect ? " defect=" : "", e->defect ? status_name(e->defect) : "");
}

void
draw_print(const struct command *c, char *text, size_t n)
{
	static const char *const names[] = { "reserve", "commit", "release", "fulfil", "extend", "pin", "move", "event", "skip_to", "policy",
		"group", "drop", "replay", "digest" };
	text[0] = 0;
	say(text, n, "%s ", names[c->kind]);
	switch (c->kind) {
	case COMMAND_RESERVE:
		say(text, n, "%.*s ttl=%lld owner=%.*s replaces=%.*s%s", B(c->reserve.id), (long long)c->reserve.ttl_ms, B(c->reserve.owner),
		    B(c->reserve.replaces), c->reserve.partial ? " partial" : "");
		say_lines(text, n, c->reserve.lines, c->reserve.lines_n);
		break;
	case COMMAND_COMMIT:
	case COMMAND_RELEASE:
	case COMMAND_FULFIL:
		say(text, n, "%.*s ref=%.*s", B(c->settle.id), B(c->settle.ref));
		say_lines(text, n, c->settle.lines, c->settle.lines_n);
		break;
	case COMMAND_EXTEND:
	case COMMAND_PIN: say(text, n, "%.*s ttl=%lld", B(c->extend.id), (long long)c->extend.ttl_ms); break;
	case COMMAND_MOVE: say(text, n, "%.*s line=%u to=%.*s", B(c->move.id), c->move.line, B(c->move.to_location)); break;
	case COMMAND_EVENT: say_event(text, n, &c->event); break;
	case COMMAND_SKIP_TO: say(text, n, "%.*s %llu", B(c->skip.source), (unsigned long long)c->skip.skip_to); break;
	case COMMAND_POLICY_CELLS:
		for (uint32_t i = 0; i < c->policy_cells.cells_n; i++)
			say(text, n, " %.*s@%.*s safety=%lld oversell=%lld", B(c->policy_cells.cells[i].sku), B(c->policy_cells.cells[i].location),
			    c->policy_cells.cells[i].has_safety_stock ? (long long)c->policy_cells.cells[i].safety_stock : -1LL,
			    c->policy_cells.cells[i].has_oversell_limit ? (long long)c->policy_cells.cells[i].oversell_limit : -1LL);
		break;
	case COMMAND_POLICY_GROUP:
		say(text, n, "%.*s =", B(c->policy_group.name));
		for (uint32_t i = 0; i < c->policy_group.members_n; i++)
			say(text, n, " %.*s", B(c->policy_group.members[i]));
		break;
	case COMMAND_QUARANTINE_REPLAY:
		say(text, n, "%llu: ", (unsigned long long)c->quarantine.number);
		say_event(text, n, c->quarantine.event);
		break;
	case COMMAND_QUARANTINE_DROP: say(text, n, "%llu", (unsigned long long)c->quarantine.number); break;
	case COMMAND_DIGEST: break;
	}
}
