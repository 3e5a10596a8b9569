/* gate_spool_position.c: what the spool and the server know of a source, put together. */
#include "net/codec_read.h"
#include "net/codec_write.h"
#include "net/gate_spool_part.h"

#define SERVER_RANGES_MAX 100 /* of missing numbers that a server lists; when there are as many, there may be more above them */

struct answer {
	int64_t contiguous, highest, last_at;
	struct bytes missing; /* the array */
};

static bool
answer_read(struct bytes result, struct answer *a)
{
	enum { CONTIGUOUS, HIGHEST, MISSING, LAST_AT, KEYS };
	static const struct key keys[KEYS] = { KEY("contiguous"), KEY("highest"), KEY("missing"), KEY("last_at") };
	struct reader r = { result.at, result.at + result.n };
	uint32_t pairs;
	int hint = 0;
	*a = (struct answer){ .last_at = -1 };
	if (!reader_map(&r, &pairs))
		return false;
	for (; pairs > 0; pairs--) {
		int key = reader_key(&r, keys, KEYS, &hint);
		const uint8_t *from = r.at;
		bool read = (key == CONTIGUOUS && reader_int_in(&r, 0, (int64_t)SEQ_MAX, &a->contiguous))
		    || (key == HIGHEST && reader_int_in(&r, 0, (int64_t)SEQ_MAX, &a->highest))
		    || (key == LAST_AT && reader_int_in(&r, 0, INSTANT_MAX, &a->last_at));
		if (key == KEY_BROKEN || (!read && !reader_skip(&r)))
			return false;
		if (key == MISSING)
			a->missing = (struct bytes){ from, (uint32_t)(r.at - from) };
	}
	return true;
}

void
gate_spool_learn(struct gate_spool *g, struct bytes source, struct bytes result)
{
	struct accepted *accepted = spool_accepted(g->spool);
	struct answer a;
	uint32_t n = 0, two, i = 0;
	int64_t from, to = 0;
	if (!answer_read(result, &a) || !text_valid(source, PLACE_BYTES_MAX))
		return;
	struct reader r = { a.missing.at, a.missing.at + a.missing.n };
	if (a.missing.n && !reader_array(&r, &n))
		return;
	int64_t next = 1; /* the first number that is not known to be missing */
	for (; i < n && reader_array(&r, &two) && two == 2 && reader_int_in(&r, next, (int64_t)SEQ_MAX, &from)
	    && reader_int_in(&r, from, (int64_t)SEQ_MAX, &to); i++) {
		if (from > next)
			accepted_add(accepted, source, (uint64_t)next, (uint64_t)from - 1, a.last_at);
		next = to + 1;
	}
	if (i == n && n < SERVER_RANGES_MAX && a.highest >= next)
		accepted_add(accepted, source, (uint64_t)next, (uint64_t)a.highest, a.last_at);
}

uint32_t
gate_spool_position(struct gate_spool *g, struct bytes source, bool server, uint8_t at[SPOOL_POSITION_BYTES_MAX])
{
	static const struct accepted_source none = { .last_at = -1 };
	const struct accepted_source *s = text_valid(source, PLACE_BYTES_MAX) ? accepted_find(spool_accepted(g->spool), source) : NULL;
	s = s ? s : &none;
	bool from_1 = s->ranges_n && s->ranges[0].from == 1;
	uint8_t *p = WIRE(at, "\x85\xaa" "contiguous");
	p = wire_uint(p, from_1 ? s->ranges[0].to : 0);
	p = WIRE(p, "\xa7highest");
	p = wire_uint(p, s->ranges_n ? s->ranges[s->ranges_n - 1].to : 0);
	p = WIRE(p, "\xa7missing");
	p = wire_array(p, s->ranges_n - from_1);
	for (uint32_t i = from_1; i < s->ranges_n; i++) {
		p = wire_array(p, 2);
		p = wire_uint(p, i ? s->ranges[i - 1].to + 1 : 1);
		p = wire_uint(p, s->ranges[i].from - 1);
	}
	p = WIRE(p, "\xa7last_at");
	if (s->last_at < 0)
		*p++ = 0xc0;
	else
		p = wire_int(p, s->last_at);
	p = WIRE(p, "\xa6server");
	*p++ = server ? 0xc3 : 0xc2;
	ensure(p <= at + SPOOL_POSITION_BYTES_MAX);
	return (uint32_t)(p - at);
}
