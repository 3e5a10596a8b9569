/*
 * codec_policy.c: policy {set: ...} to one command: cells, or one group. Parts of later versions are refused by name.
 */
#include "net/codec_params.h"

#define COUNT(list) ((int)(sizeof(list) / sizeof((list)[0])))

enum { SAFETY_STOCK, OVERSELL_LIMIT, LOW, QUOTAS };
static const struct key cell_keys[] = {
	[SAFETY_STOCK] = KEY("safety_stock"), [OVERSELL_LIMIT] = KEY("oversell_limit"), [LOW] = KEY("low"), [QUOTAS] = KEY("quotas"),
};

/* nil removes: the value is 0. */
static bool
policy_value(struct reader *r, bool *has, int64_t *value)
{
	*has = true;
	*value = 0;
	return reader_nil(r) || reader_int_in(r, 0, QTY_LINE_MAX, value);
}

static enum status
policy_values(struct reader *r, struct decode_space *space, uint32_t i, struct policy_cell *cell)
{
	uint32_t pairs;
	int hint = 0;
	if (!reader_map(r, &pairs))
		return params_refuse(space, "cells[%u] must be [sku, location, {safety_stock?, oversell_limit?}]", i);
	for (; pairs > 0; pairs--) {
		int key = reader_key(r, cell_keys, COUNT(cell_keys), &hint);
		bool read = true;
		if (key == SAFETY_STOCK)
			read = policy_value(r, &cell->has_safety_stock, &cell->safety_stock);
		else if (key == OVERSELL_LIMIT)
			read = policy_value(r, &cell->has_oversell_limit, &cell->oversell_limit);
		else if (key >= 0)
			return params_later(space, cell_keys[key].name);
		else if (key == KEY_BROKEN || !reader_skip(r))
			return params_broken(space);
		if (!read)
			return params_refuse(space, "cells[%u]: %s must be nil or an integer 0..%lld", i, cell_keys[key].name,
			    (long long)QTY_LINE_MAX);
	}
	return STATUS_OK;
}

static enum status
policy_cell(struct reader *r, struct decode_space *space, uint32_t i)
{
	struct policy_cell *cell = &space->cells[i];
	uint32_t n;
	*cell = (struct policy_cell){ .safety_stock = 0 };
	if (!reader_array(r, &n) || n != 3)
		return params_refuse(space, "cells[%u] must be [sku, location, {safety_stock?, oversell_limit?}]", i);
	if (!reader_text(r, NAME_BYTES_MAX, &cell->sku))
		return params_line_text(space, "cells", i, "sku");
	if (!reader_text(r, PLACE_BYTES_MAX, &cell->location))
		return params_line_text(space, "cells", i, "location");
	if (reader_nil(r)) {
		cell->has_safety_stock = cell->has_oversell_limit = true;
		return STATUS_OK;
	}
	return policy_values(r, space, i, cell);
}

static enum status
policy_cells(struct reader *r, struct decode_space *space, struct policy_cells_command *cells)
{
	uint32_t n;
	if (!reader_array(r, &n) || n > CELLS_POLICY_MAX)
		return params_refuse(space, "cells must be an array of at most %d cells", CELLS_POLICY_MAX);
	for (uint32_t i = 0; i < n; i++) {
		enum status status = policy_cell(r, space, i);
		if (status != STATUS_OK)
			return status;
	}
	*cells = (struct policy_cells_command){ space->cells, n };
	return STATUS_OK;
}

static enum status
group_members(struct reader *r, struct decode_space *space, struct policy_group_command *group)
{
	uint32_t n;
	if (reader_nil(r)) {
		group->members_n = 0;
		return STATUS_OK;
	}
	if (!reader_array(r, &n) || n == 0 || n > GROUP_MEMBERS_MAX)
		return params_refuse(space, "members must be an array of 1 to %d locations; nil removes the group", GROUP_MEMBERS_MAX);
	for (uint32_t i = 0; i < n; i++) {
		if (!reader_text(r, PLACE_BYTES_MAX, &space->members[i]))
			return params_line_text(space, "members", i, "location");
	}
	group->members = space->members;
	group->members_n = n;
	return STATUS_OK;
}

/* {name: {members: [...]}} or {name: nil}, one pair. */
static enum status
policy_group(struct reader *r, struct decode_space *space, struct policy_group_command *group)
{
	static const struct key members_key[] = { KEY("members") };
	uint32_t pairs;
	int hint = 0;
	bool given = false;
	*group = (struct policy_group_command){ .members_n = 0 };
	enum status status = params_text(space, r, "groups: the name", PLACE_BYTES_MAX, &group->name);
	if (status != STATUS_OK || reader_nil(r))
		return status;
	if (!reader_map(r, &pairs))
		return params_refuse(space, "groups: a group must be {members: [location, ...]} or nil");
	for (; pairs > 0 && status == STATUS_OK; pairs--) {
		int key = reader_key(r, members_key, 1, &hint);
		if (key == 0) {
			given = true;
			status = group_members(r, space, group);
		} else if (key == KEY_BROKEN || !reader_skip(r)) {
			status = params_broken(space);
		}
	}
	if (status == STATUS_OK && !given)
		return params_refuse(space, "groups: members is missing");
	return status;
}

enum { SET_CELLS, SET_GROUPS, SET_ALIASES, SET_UNITS, SET_LIMITS };
static const struct key set_keys[] = {
	[SET_CELLS] = KEY("cells"), [SET_GROUPS] = KEY("groups"), [SET_ALIASES] = KEY("aliases"), [SET_UNITS] = KEY("units"),
	[SET_LIMITS] = KEY("limits"),
};

static enum status
set_part(struct reader *r, int key, struct decode_space *space, struct command *cells, struct command *group, uint32_t *groups_n)
{
	if (key == SET_CELLS)
		return policy_cells(r, space, &cells->policy_cells);
	if (key == KEY_BROKEN)
		return params_broken(space);
	if (key != SET_GROUPS)
		return params_later(space, set_keys[key].name);
	if (!reader_map(r, groups_n))
		return params_refuse(space, "groups must be a map {name: {members: [location, ...]}}");
	if (*groups_n > 1)
		return params_refuse(space, "one group at a time for now");
	return *groups_n == 0 ? STATUS_OK : policy_group(r, space, &group->policy_group);
}

enum status
params_policy_set(struct reader *r, struct decode_space *space, struct command *command, bool *empty)
{
	struct command cells = { .kind = COMMAND_POLICY_CELLS }, group = { .kind = COMMAND_POLICY_GROUP };
	uint32_t pairs, groups_n = 0;
	int hint = 0, key;
	enum status status = STATUS_OK;
	if (!reader_map(r, &pairs))
		return params_refuse(space, "set must be a map {cells?, groups?}");
	while (status == STATUS_OK && (key = params_option(r, space, &pairs, set_keys, COUNT(set_keys), &hint)) != KEY_UNKNOWN)
		status = set_part(r, key, space, &cells, &group, &groups_n);
	if (status == STATUS_OK && groups_n > 0 && cells.policy_cells.cells_n > 0)
		return params_refuse(space, "one group at a time for now: set cells in a call of their own");
	*empty = groups_n == 0 && cells.policy_cells.cells_n == 0;
	*command = groups_n > 0 ? group : cells;
	return status;
}
