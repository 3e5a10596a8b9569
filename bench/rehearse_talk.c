/* rehearse_talk.c: the contract is in rehearse_talk.h. */
#include "bench/rehearse_talk.h"
#include "net/codec_write.h"

#include <stdio.h>

static struct bytes
text(const char *s)
{
	return (struct bytes){ (const uint8_t *)s, (uint32_t)strlen(s) };
}

/* The head of a request: [0, msgid, method, and the array of params must follow. */
static uint8_t *
head(struct buffer *to, size_t room, uint32_t msgid, const char *method)
{
	uint8_t *p = buffer_room(to, room);
	ensure(p);
	p = WIRE(p, "\x94\x00");
	p = wire_uint(p, msgid);
	return wire_str(p, text(method));
}

static uint8_t *
cell_name(uint8_t *p, const struct plan *plan, uint32_t cell)
{
	const struct plan_cell *c = &plan->cells[cell];
	p = wire_str(p, text(plan->skus[c->sku]));
	return wire_str(p, text(plan->locations[c->location]));
}

#define HEAD_BYTES 64
#define CELL_BYTES (2 * (PLAN_NAME_BYTES + WIRE_STR_HEAD_MAX) + WIRE_INT_BYTES_MAX + 1)

void
talk_hold(struct buffer *to, uint32_t msgid, const struct plan *plan, uint32_t shopper)
{
	const struct shopper *s = &plan->shoppers[shopper];
	char id[PLAN_NAME_BYTES];
	uint8_t *p = head(to, HEAD_BYTES + PLAN_NAME_BYTES + s->lines_n * CELL_BYTES, msgid, "reserve");
	plan_hold_id(plan, shopper, id);
	p = wire_array(p, 3);
	p = wire_str(p, text(id));
	p = wire_array(p, s->lines_n);
	for (uint32_t i = 0; i < s->lines_n; i++) {
		p = wire_array(p, 3);
		p = cell_name(p, plan, plan->lines[s->line + i].cell);
		p = wire_int(p, plan->lines[s->line + i].qty);
	}
	p = WIRE(p, "\x81\xa6ttl_ms");
	p = wire_int(p, plan->scenario->hold_ms);
	to->used = (size_t)(p - to->at);
}

void
talk_settle(struct buffer *to, uint32_t msgid, const char *method, const struct plan *plan, uint32_t shopper)
{
	char id[PLAN_NAME_BYTES];
	uint8_t *p = head(to, HEAD_BYTES + PLAN_NAME_BYTES, msgid, method);
	plan_hold_id(plan, shopper, id);
	p = wire_array(p, 1);
	p = wire_str(p, text(id));
	to->used = (size_t)(p - to->at);
}

void
talk_look(struct buffer *to, uint32_t msgid, const struct plan *plan, const uint32_t *cells, uint32_t n)
{
	uint8_t *p = head(to, HEAD_BYTES + n * CELL_BYTES, msgid, "ats");
	p = wire_array(p, 1);
	p = wire_array(p, n);
	for (uint32_t i = 0; i < n; i++) {
		p = wire_array(p, 2);
		p = cell_name(p, plan, cells[i]);
	}
	to->used = (size_t)(p - to->at);
}

void
talk_message(struct buffer *to, const struct plan *plan, const struct till_message *m)
{
	static const char *const kinds[TILL_KINDS] = { "sale", "return", "receipt" };
	char till[PLAN_NAME_BYTES];
	plan_till_name(plan, m->till, till);
	put_array(to, m->events_n);
	for (uint32_t i = 0; i < m->events_n; i++) {
		const struct till_event *e = &plan->events[m->first + i];
		const struct plan_cell *c = &plan->cells[e->cell];
		put_map(to, 7);
		put_text(to, "v"), put_int(to, 1);
		put_text(to, "source"), put_text(to, till);
		put_text(to, "n"), put_uint(to, e->n);
		put_text(to, "kind"), put_text(to, kinds[e->kind]);
		put_text(to, "sku"), put_text(to, plan->skus[c->sku]);
		put_text(to, "location"), put_text(to, plan->locations[c->location]);
		put_text(to, "qty"), put_int(to, e->qty);
	}
}

/* ---- answers ---- */

static enum status
status_of(struct bytes code)
{
	enum status s = 0;
	while (s < STATUS_COUNT && !bytes_equal(code, text(status_name(s))))
		s++;
	return s;
}

/* The index of the first failing line: [{line, ...}, ...] */
static bool
failing_lines(struct reader *r, uint32_t *line)
{
	static const struct key keys[] = { KEY("line") };
	struct reader rest = *r;
	uint32_t n, pairs;
	int hint = 0;
	int64_t v = 0;
	if (!reader_skip(r) || !reader_array(&rest, &n) || n == 0 || !reader_map(&rest, &pairs))
		return false;
	for (; pairs > 0; pairs--) {
		int key = reader_key(&rest, keys, 1, &hint);
		if (key == 0 ? !reader_int(&rest, &v) : key == KEY_BROKEN || !reader_skip(&rest))
			return false;
	}
	*line = (uint32_t)v;
	return true;
}

/* [code, message, detail] */
static bool
take_error(struct reader *r, struct answer *a)
{
	static const struct key keys[] = { KEY("lines"), KEY("retry_after_ms") };
	struct bytes code;
	uint32_t n, pairs = 0;
	int hint = 0;
	if (!reader_array(r, &n) || n != 3 || !reader_str(r, &code) || !reader_skip(r))
		return false;
	a->status = status_of(code);
	if (!reader_map(r, &pairs))
		return reader_skip(r);
	for (; pairs > 0; pairs--) {
		int key = reader_key(r, keys, 2, &hint);
		bool fine = key == 0 ? failing_lines(r, &a->failing_line) : key == 1 ? reader_int(r, &a->retry_after_ms)
		    : key != KEY_BROKEN && reader_skip(r);
		if (!fine)
			return false;
	}
	return true;
}

static bool
take_result(struct reader *r, struct answer *a)
{
	static const struct key keys[] = { KEY("seq"), KEY("expires_at"), KEY("again") };
	uint32_t pairs;
	int hint = 0;
	int64_t v = 0;
	if (!reader_map(r, &pairs))
		return true; /* of a read */
	for (; pairs > 0; pairs--) {
		int key = reader_key(r, keys, 3, &hint);
		bool fine = key == 0 ? reader_int(r, &v) : key == 1 ? reader_int(r, &a->expires_at) || reader_nil(r)
		    : key == 2 ? reader_bool(r, &a->again) : key != KEY_BROKEN && reader_skip(r);
		if (!fine)
			return false;
		a->seq = key == 0 ? (uint64_t)v : a->seq;
	}
	return true;
}

bool
talk_answer(const uint8_t *bytes, size_t n, struct answer *a)
{
	struct reader r = { bytes, bytes + n };
	uint32_t parts;
	int64_t type, msgid;
	if (!reader_array(&r, &parts) || parts != 4 || !reader_int_in(&r, 1, 1, &type) || !reader_int_in(&r, 0, UINT32_MAX, &msgid))
		return false;
	*a = (struct answer){ .msgid = (uint32_t)msgid };
	if (!reader_nil(&r))
		return take_error(&r, a);
	a->result = r;
	return take_result(&r, a);
}

bool
talk_ats(struct reader r, int64_t *ats, uint32_t n)
{
	uint32_t parts, cells;
	if (!reader_array(&r, &parts) || parts != 2 || !reader_skip(&r) || !reader_array(&r, &cells) || cells != n)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		ats[i] = 0;
		if (!reader_nil(&r) && !reader_int(&r, &ats[i]))
			return false;
	}
	return true;
}

bool
talk_outcomes(const uint8_t *bytes, size_t n, uint64_t *seq, enum told *outcomes, uint32_t events_n)
{
	static const struct key keys[] = { KEY("seq"), KEY("outcomes") };
	struct reader r = { bytes, bytes + n };
	struct bytes word;
	uint32_t pairs, n_outcomes = 0;
	int hint = 0;
	int64_t v = 0;
	if (!reader_map(&r, &pairs))
		return false;
	for (; pairs > 0; pairs--) {
		int key = reader_key(&r, keys, 2, &hint);
		if (key == 0 && !reader_int(&r, &v))
			return false;
		if (key == 1 && (!reader_array(&r, &n_outcomes) || n_outcomes != events_n))
			return false;
		for (uint32_t i = 0; key == 1 && i < n_outcomes; i++) {
			bool said = reader_str(&r, &word);
			outcomes[i] = said && bytes_equal(word, text("applied")) ? TOLD_APPLIED
			    : said && bytes_equal(word, text("duplicate")) ? TOLD_DUPLICATE : TOLD_OTHER;
			if (!said && !reader_skip(&r))
				return false;
		}
		if (key == KEY_BROKEN || (key == KEY_UNKNOWN && !reader_skip(&r)))
			return false;
	}
	*seq = (uint64_t)v;
	return n_outcomes == events_n;
}
