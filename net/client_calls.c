/*
 * client_calls.c: the usual calls of libholdfast, each the building of one request and hf_call(). No state, no sockets.
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

enum hf_outcome
hf_hello(struct hf *hf, const struct hf_value **value)
{
	hf_begin(hf, "hello");
	hf_array(hf, 1);
	hf_map(hf, 2);
	hf_put_str(hf, "v");
	hf_put_int(hf, 1);
	put_pair(hf, "client", "libholdfast");
	return hf_call(hf, value);
}

enum hf_outcome
hf_ats(struct hf *hf, const struct hf_line *cells, uint32_t n, const struct hf_value **value)
{
	hf_begin(hf, "ats");
	hf_array(hf, 1);
	put_cells(hf, cells, n);
	return hf_call(hf, value);
}

enum hf_outcome
hf_stock(struct hf *hf, const struct hf_line *cells, uint32_t n, const struct hf_value **value)
{
	hf_begin(hf, "stock");
	hf_array(hf, 1);
	put_cells(hf, cells, n);
	return hf_call(hf, value);
}

static void
put_reserve_options(struct hf *hf, const struct hf_reserve_options *o)
{
	hf_map(hf, (o->ttl_ms > 0) + !!o->channel + !!o->owner + !!o->replaces + !!o->ref + o->partial);
	if (o->ttl_ms > 0) {
		hf_put_str(hf, "ttl_ms");
		hf_put_int(hf, o->ttl_ms);
	}
	put_pair(hf, "channel", o->channel);
	put_pair(hf, "owner", o->owner);
	put_pair(hf, "replaces", o->replaces);
	put_pair(hf, "ref", o->ref);
	put_pair(hf, "mode", o->partial ? "partial" : NULL);
}

enum hf_outcome
hf_reserve(struct hf *hf, const char *id, const struct hf_line *lines, uint32_t n, const struct hf_reserve_options *options,
    const struct hf_value **value)
{
	hf_begin(hf, "reserve");
	hf_array(hf, options ? 3 : 2);
	hf_put_str(hf, id);
	put_lines(hf, lines, n);
	if (options)
		put_reserve_options(hf, options);
	return hf_call(hf, value);
}

/* commit, release, fulfil */
static enum hf_outcome
settle(struct hf *hf, const char *method, const char *id, const struct hf_line *lines, uint32_t n, const char *ref,
    const struct hf_value **value)
{
	hf_begin(hf, method);
	hf_array(hf, lines || ref ? 2 : 1);
	hf_put_str(hf, id);
	if (lines || ref)
		hf_map(hf, !!lines + !!ref);
	if (lines) {
		hf_put_str(hf, "lines");
		put_lines(hf, lines, n);
	}
	put_pair(hf, "ref", ref);
	return hf_call(hf, value);
}

enum hf_outcome
hf_commit(struct hf *hf, const char *id, const struct hf_line *lines, uint32_t n, const char *ref, const struct hf_value **value)
{
	return settle(hf, "commit", id, lines, n, ref, value);
}

enum hf_outcome
hf_release(struct hf *hf, const char *id, const struct hf_line *lines, uint32_t n, const char *ref, const struct hf_value **value)
{
	return settle(hf, "release", id, lines, n, ref, value);
}

enum hf_outcome
hf_fulfil(struct hf *hf, const char *id, const struct hf_line *lines, uint32_t n, const char *ref, const struct hf_value **value)
{
	return settle(hf, "fulfil", id, lines, n, ref, value);
}

static enum hf_outcome
ask(struct hf *hf, const char *method, const char *key, const struct hf_value **value)
{
	hf_begin(hf, method);
	hf_array(hf, 1);
	hf_put_str(hf, key);
	return hf_call(hf, value);
}

enum hf_outcome
hf_reservation(struct hf *hf, const char *id, const struct hf_value **value)
{
	return ask(hf, "reservation", id, value);
}

enum hf_outcome
hf_outcome_of(struct hf *hf, const char *key, const struct hf_value **value)
{
	return ask(hf, "outcome", key, value);
}

enum hf_outcome
hf_outcome_of_event(struct hf *hf, const char *source, uint64_t n, const struct hf_value **value)
{
	hf_begin(hf, "outcome");
	hf_array(hf, 1);
	hf_array(hf, 2);
	hf_put_str(hf, source);
	hf_put_int(hf, (int64_t)n);
	return hf_call(hf, value);
}
