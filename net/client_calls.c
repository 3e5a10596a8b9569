/*
 * client_calls.c: the usual calls of libholdfast: the building of each request, and hf_call() behind it. No state, no sockets.
 */
#include "net/client.h"

static void
put_cells(struct hf *hf, const struct hf_line *cells, uint32_t n)
{
	hf_array(hf, n);
	for (uint32_t i = 0; i < n; i++) {
		hf_array(hf, 2);
		hf_put_str(hf, cells[i].sku);
		hf_put_str(hf, cells[i].location);
	}
}

static void
put_lines(struct hf *hf, const struct hf_line *lines, uint32_t n)
{
	hf_array(hf, n);
	for (uint32_t i = 0; i < n; i++) {
		hf_array(hf, 3);
		hf_put_str(hf, lines[i].sku);
		hf_put_str(hf, lines[i].location);
		hf_put_int(hf, lines[i].qty);
	}
}

static void
put_pair(struct hf *hf, const char *key, const char *value)
{
	if (!value)
		return;
	hf_put_str(hf, key);
	hf_put_str(hf, value);
}

static void
put_number(struct hf *hf, const char *key, int64_t value)
{
	if (value == 0)
		return;
	hf_put_str(hf, key);
	hf_put_int(hf, value);
}

/* ---- building ---- */

static void
begin_with(struct hf *hf, const char *method, uint32_t params)
{
	hf_begin(hf, method);
	hf_array(hf, params);
}

static void
build_of_name(struct hf *hf, const char *method, const char *name)
{
	begin_with(hf, method, 1);
	hf_put_str(hf, name);
}

void
hf_build_hello(struct hf *hf)
{
	begin_with(hf, "hello", 1);
	hf_map(hf, 2);
	put_number(hf, "v", 1);
	put_pair(hf, "client", "libholdfast");
}

void
hf_build_ats(struct hf *hf, const struct hf_line *cells, uint32_t n)
{
	begin_with(hf, "ats", 1);
	put_cells(hf, cells, n);
}

void
hf_build_stock(struct hf *hf, const struct hf_line *cells, uint32_t n)
{
	begin_with(hf, "stock", 1);
	put_cells(hf, cells, n);
}

static void
put_reserve_options(struct hf *hf, const struct hf_reserve_options *o)
{
	hf_map(hf, (o->ttl_ms != 0) + !!o->channel + !!o->owner + !!o->replaces + !!o->ref + o->partial);
	put_number(hf, "ttl_ms", o->ttl_ms);
	put_pair(hf, "channel", o->channel);
	put_pair(hf, "owner", o->owner);
	put_pair(hf, "replaces", o->replaces);
	put_pair(hf, "ref", o->ref);
	put_pair(hf, "mode", o->partial ? "partial" : NULL);
}

void
hf_build_reserve(struct hf *hf, const char *id, const struct hf_line *lines, uint32_t n, const struct hf_reserve_options *options)
{
	begin_with(hf, "reserve", options ? 3 : 2);
	hf_put_str(hf, id);
	put_lines(hf, lines, n);
	if (options)
		put_reserve_options(hf, options);
}

/* commit, release, fulfil */
static void
build_settle(struct hf *hf, const char *method, const char *id, const struct hf_line *lines, uint32_t n, const char *ref)
{
	begin_with(hf, method, lines || ref ? 2 : 1);
	hf_put_str(hf, id);
	if (lines || ref)
		hf_map(hf, !!lines + !!ref);
	if (lines) {
		hf_put_str(hf, "lines");
		put_lines(hf, lines, n);
	}
	put_pair(hf, "ref", ref);
}

void
hf_build_commit(struct hf *hf, const char *id, const struct hf_line *lines, uint32_t n, const char *ref)
{
	build_settle(hf, "commit", id, lines, n, ref);
}

void
hf_build_release(struct hf *hf, const char *id, const struct hf_line *lines, uint32_t n, const char *ref)
{
	build_settle(hf, "release", id, lines, n, ref);
}

void
hf_build_fulfil(struct hf *hf, const char *id, const struct hf_line *lines, uint32_t n, const char *ref)
{
	build_settle(hf, "fulfil", id, lines, n, ref);
}

void
hf_build_reservation(struct hf *hf, const char *id)
{
	build_of_name(hf, "reservation", id);
}

void
hf_build_outcome_of(struct hf *hf, const char *key)
{
	build_of_name(hf, "outcome", key);
}

void
hf_build_outcome_of_event(struct hf *hf, const char *source, uint64_t n)
{
	begin_with(hf, "outcome", 1);
	hf_array(hf, 2);
	hf_put_str(hf, source);
	hf_put_int(hf, (int64_t)n);
}

static void
put_event(struct hf *hf, const struct hf_stock_event *e)
{
	hf_map(hf, !!e->source + !!e->id + !!e->kind + !!e->sku + !!e->location + !!e->ref + !!e->reason + !!e->to + !!e->expected +
	    (e->n != 0) + (e->at != 0) + (e->as_of != 0) + 1);
	put_pair(hf, "source", e->source);
	put_number(hf, "n", e->n);
	put_pair(hf, "id", e->id);
	put_pair(hf, "kind", e->kind);
	put_pair(hf, "sku", e->sku);
	put_pair(hf, "location", e->location);
	hf_put_str(hf, "qty");
	hf_put_int(hf, e->qty);
	put_number(hf, "at", e->at);
	put_number(hf, "as_of", e->as_of);
	put_pair(hf, "ref", e->ref);
	put_pair(hf, "reason", e->reason);
	put_pair(hf, "to", e->to);
	if (e->expected) {
		hf_put_str(hf, "expected");
		hf_put_int(hf, *e->expected);
	}
}

void
hf_build_post(struct hf *hf, const struct hf_stock_event *events, uint32_t n)
{
	begin_with(hf, "post", 1);
	hf_array(hf, n);
	for (uint32_t i = 0; i < n; i++)
		put_event(hf, &events[i]);
}

void
hf_build_position(struct hf *hf, const char *source)
{
	build_of_name(hf, "position", source);
}

/* ---- calling ---- */

enum hf_outcome
hf_hello(struct hf *hf, const struct hf_value **value)
{
	hf_build_hello(hf);
	return hf_call(hf, value);
}

enum hf_outcome
hf_ats(struct hf *hf, const struct hf_line *cells, uint32_t n, const struct hf_value **value)
{
	hf_build_ats(hf, cells, n);
	return hf_call(hf, value);
}

enum hf_outcome
hf_stock(struct hf *hf, const struct hf_line *cells, uint32_t n, const struct hf_value **value)
{
	hf_build_stock(hf, cells, n);
	return hf_call(hf, value);
}

enum hf_outcome
hf_reserve(struct hf *hf, const char *id, const struct hf_line *lines, uint32_t n, const struct hf_reserve_options *options,
    const struct hf_value **value)
{
	hf_build_reserve(hf, id, lines, n, options);
	return hf_call(hf, value);
}

enum hf_outcome
hf_commit(struct hf *hf, const char *id, const struct hf_line *lines, uint32_t n, const char *ref, const struct hf_value **value)
{
	hf_build_commit(hf, id, lines, n, ref);
	return hf_call(hf, value);
}

enum hf_outcome
hf_release(struct hf *hf, const char *id, const struct hf_line *lines, uint32_t n, const char *ref, const struct hf_value **value)
{
	hf_build_release(hf, id, lines, n, ref);
	return hf_call(hf, value);
}

enum hf_outcome
hf_fulfil(struct hf *hf, const char *id, const struct hf_line *lines, uint32_t n, const char *ref, const struct hf_value **value)
{
	hf_build_fulfil(hf, id, lines, n, ref);
	return hf_call(hf, value);
}

enum hf_outcome
hf_reservation(struct hf *hf, const char *id, const struct hf_value **value)
{
	hf_build_reservation(hf, id);
	return hf_call(hf, value);
}

enum hf_outcome
hf_outcome_of(struct hf *hf, const char *key, const struct hf_value **value)
{
	hf_build_outcome_of(hf, key);
	return hf_call(hf, value);
}

enum hf_outcome
hf_outcome_of_event(struct hf *hf, const char *source, uint64_t n, const struct hf_value **value)
{
	hf_build_outcome_of_event(hf, source, n);
	return hf_call(hf, value);
}

enum hf_outcome
hf_post(struct hf *hf, const struct hf_stock_event *events, uint32_t n, const struct hf_value **value)
{
	hf_build_post(hf, events, n);
	return hf_call(hf, value);
}

enum hf_outcome
hf_position(struct hf *hf, const char *source, const struct hf_value **value)
{
	hf_build_position(hf, source);
	return hf_call(hf, value);
}
