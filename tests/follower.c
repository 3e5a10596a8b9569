/* follower.c: see follower.h. */
#include "tests/follower.h"

#include "net/codec_read.h"
#include "net/codec_write.h"

#include <stdio.h>
#include <string.h>

/* ---- messages ---- */

/* The last answer's bytes behind [1, msgid, nil, or none when it is an error. */
static bool
result_open(const struct peer *p, struct reader *r)
{
	uint32_t n;
	int64_t type, msgid;
	*r = (struct reader){ p->in.at, p->in.at + p->shown };
	return reader_array(r, &n) && n == 4 && reader_int(r, &type) && type == 1 && reader_int(r, &msgid) && reader_nil(r);
}

static bool
name_read(struct reader *r, char letter, int64_t most, int64_t *number)
{
	struct bytes name;
	char text[16] = "";
	if (!reader_str(r, &name) || name.n < 2 || name.n >= sizeof text || name.at[0] != letter)
		return false;
	memcpy(text, name.at + 1, name.n - 1);
	return sscanf(text, "%ld", number) == 1 && *number < most;
}

static bool
cell_read_names(struct copy *c, struct reader *r, struct copied **cell)
{
	int64_t sku, location;
	if (!name_read(r, 'S', COPY_SKUS, &sku) || !name_read(r, 'L', COPY_LOCATIONS, &location))
		return false;
	*cell = &c->cell[sku][location];
	return true;
}

static bool
broken(struct copy *c, const char *what)
{
	printf("     follower: %s\n", what);
	c->wrong = true;
	return false;
}

/* ---- scan ---- */

/* {seq, cells: [...], cursor}; *cursor 0: the end. */
static bool
page_take(struct copy *c, struct reader *r, uint64_t *seq, int64_t *cursor)
{
	uint32_t pairs, cells, parts;
	struct bytes key;
	int64_t n;
	*cursor = 0;
	if (!reader_map(r, &pairs) || pairs != 3 || !reader_str(r, &key) || !reader_int(r, &n) || !reader_str(r, &key) || !reader_array(r, &cells))
		return broken(c, "a page has another form");
	*seq = (uint64_t)n;
	for (; cells > 0; cells--) {
		struct copied *cell;
		if (!reader_array(r, &parts) || parts != 5 || !cell_read_names(c, r, &cell) || !reader_int(r, &n) || !reader_int(r, &cell->ats) ||
		    !reader_int(r, &cell->on_hand))
			return broken(c, "a cell of a page has another form");
		cell->seq = (uint64_t)n;
	}
	return reader_str(r, &key) && (reader_nil(r) || reader_int(r, cursor));
}

bool
copy_scan(struct copy *c, struct peer *p, const char *options, uint64_t *seq)
{
	struct reader r;
	int64_t cursor = 0;
	uint64_t page_seq = 0;
	for (bool first = true; first || cursor; first = false) {
		peer_ask(p, first ? "[0,1,'scan',[{%s'limit':7}]]" : "[0,1,'scan',[{%s'limit':7,'cursor':%lld}]]", options, (long long)cursor);
		if (!result_open(p, &r) || !page_take(c, &r, &page_seq, &cursor))
			return false;
		*seq = first ? page_seq : *seq;
	}
	c->since = *seq;
	return true;
}

/* ---- watch ---- */

bool
copy_watch(struct copy *c, struct peer *p)
{
	struct reader r;
	peer_ask(p, "[0,9,'watch',[{'since':%llu,'full':%s}]]", (unsigned long long)c->since, c->full ? "true" : "false");
	return result_open(p, &r);
}

/* One of [[seq, sku, location, ats, was], ...], the longer form when full. */
static bool
change_take(struct copy *c, struct reader *r, uint64_t *last)
{
	struct copied *cell, now = { 0 };
	struct bytes threshold = { NULL, 0 };
	uint32_t parts;
	int64_t seq, was;
	if (!reader_array(r, &parts) || parts != (c->full ? 7 : 5) || !reader_int(r, &seq) || !cell_read_names(c, r, &cell) ||
	    !reader_int(r, &now.ats) || !reader_int(r, &was))
		return broken(c, "a change has another form");
	if (c->full && (!reader_int(r, &now.on_hand) || (!reader_nil(r) && !reader_str(r, &threshold))))
		return broken(c, "a full change has another form");
	const char *crossed = was > 0 && now.ats <= 0 ? "out" : was <= 0 && now.ats > 0 ? "back" : "";
	if (c->full && (threshold.n != strlen(crossed) || (threshold.n > 0 && memcmp(threshold.at, crossed, threshold.n) != 0)))
		return broken(c, "a threshold that is none, or none where there is one");
	now.seq = (uint64_t)seq;
	if (now.seq < *last || now.seq <= c->since)
		return broken(c, "positions do not ascend");
	*last = now.seq;
	c->changes++;
	if (now.seq > cell->seq) /* else the scan was ahead */
		*cell = now;
	return true;
}

bool
copy_take(struct copy *c, struct peer *p)
{
	const char *text = peer_answer(p);
	struct reader r = { p->in.at, p->in.at + p->shown };
	struct bytes method;
	uint32_t n;
	int64_t type, seq;
	uint64_t last = 0;
	if (strcmp(text, "closed") == 0 || strcmp(text, "nothing") == 0)
		return false;
	if (!reader_array(&r, &n) || n != 3 || !reader_int(&r, &type) || type != 2 || !reader_str(&r, &method) || !reader_array(&r, &n))
		return broken(c, "a message has another form");
	c->messages++;
	if (method.n == 7 && memcmp(method.at, "reached", 7) == 0) {
		if (n != 1 || !reader_int(&r, &seq) || (uint64_t)seq <= c->since)
			return broken(c, "`reached` goes back, or has another form");
		c->since = (uint64_t)seq;
		return true;
	}
	for (; n > 0; n--)
		if (!change_take(c, &r, &last))
			return false;
	c->since = last;
	return true;
}

bool
copy_follow(struct copy *c, struct peer *p, uint64_t seq)
{
	while (c->since < seq)
		if (!copy_take(c, p))
			return false;
	return true;
}

bool
copy_equal(const struct copy *a, const struct copy *b)
{
	for (int s = 0; s < COPY_SKUS; s++)
		for (int l = 0; l < COPY_LOCATIONS; l++) {
			const struct copied *x = &a->cell[s][l], *y = &b->cell[s][l];
			if (x->ats == y->ats && (!a->full || !b->full || (x->on_hand == y->on_hand && x->seq == y->seq)))
				continue;
			printf("     S%d L%d: %lld of %lld at %llu, but %lld of %lld at %llu\n", s, l, (long long)x->ats, (long long)x->on_hand,
			    (unsigned long long)x->seq, (long long)y->ats, (long long)y->on_hand, (unsigned long long)y->seq);
			return false;
		}
	return true;
}

/* ---- the writer ---- */

static uint64_t
draw(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random;
}

void
writer_begin(struct peer *p, unsigned events)
{
	put_array(&p->out, 4);
	put_int(&p->out, 0);
	put_int(&p->out, 5);
	put_text(&p->out, "post");
	put_array(&p->out, 1);
	put_array(&p->out, events);
}

void
writer_event(struct peer *p, uint64_t n, const char *kind, const char *sku, const char *location, int64_t qty)
{
	struct buffer *b = &p->out;
	put_map(b, 7);
	put_field(b, "v", 1);
	put_text(b, "source");
	put_text(b, "wms");
	put_field(b, "n", (int64_t)n);
	put_text(b, "kind");
	put_text(b, kind);
	put_text(b, "sku");
	put_text(b, sku);
	put_text(b, "location");
	put_text(b, location);
	put_field(b, "qty", qty);
}

static void
event_put(struct peer *p, uint64_t *random, uint64_t n)
{
	uint64_t r = draw(random);
	char sku[16], location[16];
	/* The first few SKUs get most of it, so that windows have something to merge. */
	snprintf(sku, sizeof sku, "S%u", (unsigned)(r % 3 ? r / 7 % 4 : r / 7 % COPY_SKUS));
	snprintf(location, sizeof location, "L%u", (unsigned)(r / 1000 % COPY_LOCATIONS));
	writer_event(p, n, r / 10000 % 2 ? "sale" : "receipt", sku, location, 1 + (int64_t)(r / 100000 % 3));
}

void
writer_put(struct peer *p, uint64_t *random, uint64_t *event_n, unsigned events)
{
	writer_begin(p, events);
	for (; events > 0; events--)
		event_put(p, random, ++*event_n);
	peer_flush(p);
}

uint64_t
writer_answer(struct peer *p)
{
	struct reader r;
	uint32_t n;
	int64_t seq;
	peer_answer(p);
	return result_open(p, &r) && reader_array(&r, &n) && reader_int(&r, &seq) ? (uint64_t)seq : 0;
}
