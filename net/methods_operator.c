/*
 * methods_operator.c: what an operator looks at: policies and groups, the quarantine, the use of tables. Engine's thread only.
 */
#include "net/methods_part.h"

/* ---- policy {get: {cells?, groups?}} ---- */

enum { GET_CELLS, GET_GROUPS, GET_ALIASES, GET_UNITS, GET_LIMITS };

struct policy_get {
	struct reader cells, groups;
	bool has_cells, has_groups;
	uint32_t cells_n, groups_n;
};

/* The list is read twice: here for its shape, later for its answers. */
static enum status
get_list(struct call *call, int key, struct policy_get *get)
{
	struct reader *r = &call->params;
	struct bytes name;
	bool cells = key == GET_CELLS;
	uint32_t *n = cells ? &get->cells_n : &get->groups_n, pair, most = cells ? CELLS_POLICY_MAX : GROUPS_GET_MAX;
	if (!reader_array(r, n) || *n > most)
		return params_refuse(call->space, "%s must be an array of at most %u", cells ? "cells" : "groups", most);
	*(cells ? &get->has_cells : &get->has_groups) = true;
	*(cells ? &get->cells : &get->groups) = *r;
	for (uint32_t i = 0; i < *n; i++) {
		bool good = !cells || (reader_array(r, &pair) && pair == 2 && reader_text(r, NAME_BYTES_MAX, &name));
		if (!good || !reader_text(r, PLACE_BYTES_MAX, &name))
			return params_refuse(call->space, cells ? "cells[%u] must be [sku, location]" : "groups[%u] must be a name", i);
	}
	return STATUS_OK;
}

static enum status
get_decode(struct call *call, struct policy_get *get)
{
	static const struct key keys[] = { [GET_CELLS] = KEY("cells"), [GET_GROUPS] = KEY("groups"), [GET_ALIASES] = KEY("aliases"),
		[GET_UNITS] = KEY("units"), [GET_LIMITS] = KEY("limits") };
	uint32_t pairs;
	int hint = 0;
	enum status status = STATUS_OK;
	if (!reader_map(&call->params, &pairs))
		return params_refuse(call->space, "get must be a map {cells?, groups?}");
	for (; pairs > 0 && status == STATUS_OK; pairs--) {
		int key = reader_key(&call->params, keys, 5, &hint);
		if (reader_nil(&call->params))
			continue;
		if (key == GET_CELLS || key == GET_GROUPS)
			status = get_list(call, key, get);
		else if (key >= 0)
			status = params_refuse(call->space, "%s: not supported yet", keys[key].name);
		else if (!reader_skip(&call->params))
			status = params_refuse(call->space, "the message ends inside a map");
	}
	return status;
}

static void
put_policy_cell(struct call *call, struct reader *r)
{
	struct buffer *b = call->out;
	struct bytes sku = { NULL, 0 }, location = { NULL, 0 };
	struct policy_view view;
	uint32_t n;
	reader_array(r, &n);
	reader_str(r, &sku);
	reader_str(r, &location);
	put_array(b, 3);
	put_str(b, sku);
	put_str(b, location);
	if (engine_policy_cell(call->service->engine, sku, location, &view) != STATUS_OK) {
		put_nil(b);
		return;
	}
	put_map(b, 2);
	put_field(b, "safety_stock", view.safety_stock);
	put_field(b, "oversell_limit", view.oversell_limit);
}

static void
put_policy_group(struct call *call, struct reader *r)
{
	struct buffer *b = call->out;
	struct bytes name = { NULL, 0 }, *members = call->space->members;
	reader_str(r, &name);
	put_str(b, name);
	int n = engine_group(call->service->engine, name, members, GROUP_MEMBERS_MAX);
	if (n < 0) {
		put_nil(b);
		return;
	}
	put_map(b, 1);
	put_text(b, "members");
	put_array(b, (uint32_t)n);
	for (int i = 0; i < n; i++)
		put_str(b, members[i]);
}

enum handled
read_policy(struct call *call)
{
	struct policy_get get = { .cells_n = 0 };
	if (get_decode(call, &get) != STATUS_OK)
		return call_bad(call);
	query_head(call, 1u + get.has_cells + get.has_groups);
	if (get.has_cells) {
		put_text(call->out, "cells");
		put_array(call->out, get.cells_n);
	}
	for (uint32_t i = 0; i < get.cells_n; i++)
		put_policy_cell(call, &get.cells);
	if (get.has_groups) {
		put_text(call->out, "groups");
		put_map(call->out, get.groups_n);
	}
	for (uint32_t i = 0; i < get.groups_n; i++)
		put_policy_group(call, &get.groups);
	return HANDLED_REPLY;
}

/* ---- quarantine {op: "list"} ---- */

enum handled
read_quarantine(struct call *call, uint64_t after, uint32_t limit)
{
	struct engine *engine = call->service->engine;
	struct buffer *b = call->out;
	struct quarantine_view item;
	uint32_t n = 0;
	query_head(call, 2);
	put_text(b, "items");
	size_t count_at = b->used;
	buffer_append(b, "\xdd\0\0\0\0", 5); /* an array whose count is known at the end */
	for (; n < limit && engine_quarantine_next(engine, after, &item); n++) {
		after = item.number;
		put_map(b, 4);
		put_text(b, "quarantine");
		put_uint(b, item.number);
		put_text(b, "reason");
		put_text(b, status_name(item.reason));
		put_field(b, "at", item.at);
		put_text(b, "event");
		put_raw(b, item.raw);
	}
	if (!b->full)
		wire_big_endian(b->at + count_at, 0xdd, n, 4);
	return HANDLED_REPLY;
}

/* ---- status ---- */

static void
put_table(struct buffer *b, const char *name, uint64_t used, uint64_t most)
{
	put_text(b, name);
	put_array(b, 2);
	put_uint(b, used);
	put_uint(b, most);
}

static void
put_tables(struct buffer *b, const struct engine_usage *usage, const struct engine_limits *limits)
{
	put_map(b, 12);
	put_table(b, "cells", usage->cells, limits->cells_max);
	put_table(b, "skus", usage->skus, limits->skus_max);
	put_table(b, "locations", usage->locations, limits->locations_max);
	put_table(b, "groups", usage->groups, limits->groups_max);
	put_table(b, "sources", usage->sources, limits->sources_max);
	put_table(b, "channels", usage->channels, limits->channels_max);
	put_table(b, "reservations", usage->reservations_kept, limits->reservations_max);
	put_table(b, "extra_lines", usage->extra_lines, limits->extra_lines_max);
	put_table(b, "blobs", usage->blobs, limits->blobs_max);
	put_table(b, "history", usage->history, limits->history_max);
	put_table(b, "free_ids", usage->free_ids, limits->free_ids_max);
	put_table(b, "quarantine", usage->quarantined, limits->quarantine_max);
}

enum handled
handle_status(struct call *call)
{
	const struct service *service = call->service;
	struct buffer *b = call->out;
	struct engine_usage usage;
	if (params_count(call->space, call->params_n, 0, 0) != STATUS_OK)
		return call_bad(call);
	engine_usage(service->engine, &usage);
	query_head(call, 12);
	put_text(b, "durable");
	put_uint(b, service->durable(service->host));
	put_text(b, "epoch");
	put_uint(b, service->epoch);
	put_text(b, "node");
	put_text(b, service->node);
	put_text(b, "server");
	put_text(b, service->server);
	put_text(b, "data");
	if (service->data)
		put_text(b, service->data);
	else
		put_nil(b);
	put_text(b, "image_age_ms");
	put_int(b, service->image_age_ms);
	put_text(b, "tables");
	put_tables(b, &usage, engine_limits_of(service->engine));
	put_text(b, "reservations_open");
	put_uint(b, usage.reservations_open);
	put_text(b, "missing");
	put_uint(b, usage.missing);
	put_text(b, "youngest_forgotten_age_ms");
	put_instant(b, usage.youngest_forgotten_age_ms);
	put_text(b, "host");
	if (service->status)
		service->status(service->host, b);
	else
		put_map(b, 0);
	return HANDLED_REPLY;
}
