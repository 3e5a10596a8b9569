/*
 * codec_params.c: the params of the commands. A value of nil in an option map is the same as no such key; keys of the
 * protocol that this version does not have yet are refused, never ignored, so that no answer is wrong.
 */
#include "net/codec_params.h"

#include <stdarg.h>
#include <stdio.h>

#define COUNT(list) ((int)(sizeof(list) / sizeof((list)[0])))

enum status
params_refuse(struct decode_space *space, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(space->text, sizeof space->text, format, arguments);
	va_end(arguments);
	return STATUS_BAD_REQUEST;
}

enum status
params_count(struct decode_space *space, uint32_t params_n, uint32_t low, uint32_t high)
{
	if (params_n >= low && params_n <= high)
		return STATUS_OK;
	if (low == high)
		return params_refuse(space, "params must have %u members, not %u", low, params_n);
	return params_refuse(space, "params must have %u to %u members, not %u", low, high, params_n);
}

enum status
params_text(struct decode_space *space, struct reader *r, const char *what, uint32_t most, struct bytes *s)
{
	if (reader_text(r, most, s))
		return STATUS_OK;
	return params_refuse(space, "%s must be a string of 1 to %u bytes of UTF-8 without control characters", what, most);
}

static enum status
line_refuse(struct decode_space *space, const char *what, uint32_t i, const char *field)
{
	return params_refuse(space, "%s[%u]: %s must be a string of 1 to %d bytes of UTF-8 without control characters", what, i, field,
	    field[0] == 's' ? NAME_BYTES_MAX : PLACE_BYTES_MAX);
}

static enum status
line_decode(struct reader *r, struct decode_space *space, uint32_t i)
{
	struct asked_line *line = &space->lines[i];
	uint32_t n;
	if (!reader_array(r, &n) || n != 3)
		return params_refuse(space, "lines[%u] must be [sku, location, qty]", i);
	if (!reader_text(r, NAME_BYTES_MAX, &line->sku))
		return line_refuse(space, "lines", i, "sku");
	if (!reader_text(r, PLACE_BYTES_MAX, &line->location))
		return line_refuse(space, "lines", i, "location");
	if (!reader_int_in(r, 1, QTY_LINE_MAX, &line->qty))
		return params_refuse(space, "lines[%u]: qty must be an integer 1..%lld", i, (long long)QTY_LINE_MAX);
	return STATUS_OK;
}

static enum status
lines_decode(struct reader *r, struct decode_space *space, const struct asked_line **lines, uint32_t *lines_n)
{
	uint32_t n;
	if (!reader_array(r, &n) || n == 0 || n > LINES_ASKED_MAX)
		return params_refuse(space, "lines must be an array of 1 to %d lines [sku, location, qty]", LINES_ASKED_MAX);
	for (uint32_t i = 0; i < n; i++) {
		enum status status = line_decode(r, space, i);
		if (status != STATUS_OK)
			return status;
	}
	*lines = space->lines;
	*lines_n = n;
	return STATUS_OK;
}

/* An option map, or nothing: *pairs = 0. */
static enum status
options_begin(struct reader *r, struct decode_space *space, bool given, uint32_t *pairs)
{
	*pairs = 0;
	if (!given || reader_nil(r) || reader_map(r, pairs))
		return STATUS_OK;
	return params_refuse(space, "options must be a map");
}

/* The next key whose value is not nil, with the reader at its value; KEY_UNKNOWN at the end. */
static int
options_next(struct reader *r, uint32_t *pairs, const struct key *keys, int keys_n, int *hint)
{
	while (*pairs > 0) {
		--*pairs;
		int key = reader_key(r, keys, keys_n, hint);
		if (key == KEY_BROKEN)
			return key;
		if (reader_nil(r))
			continue;
		if (key >= 0)
			return key;
		if (!reader_skip(r))
			return KEY_BROKEN;
	}
	return KEY_UNKNOWN;
}

static enum status
broken(struct decode_space *space)
{
	return params_refuse(space, "the message ends inside a map");
}

static enum status
later(struct decode_space *space, const char *what)
{
	return params_refuse(space, "%s: not supported yet", what);
}

/* ---- reserve ---- */

enum { TTL_MS, CHANNEL, OWNER, REPLACES, MODE, SOURCING, BY, REF, WAIT_MS };
static const struct key reserve_keys[] = {
	[TTL_MS] = KEY("ttl_ms"), [CHANNEL] = KEY("channel"), [OWNER] = KEY("owner"), [REPLACES] = KEY("replaces"),
	[MODE] = KEY("mode"), [SOURCING] = KEY("sourcing"), [BY] = KEY("by"), [REF] = KEY("ref"), [WAIT_MS] = KEY("wait_ms"),
};

static bool
is_word(struct reader *r, const char *word)
{
	struct reader before = *r;
	struct bytes s, wanted = { (const uint8_t *)word, (uint32_t)strlen(word) };
	if (reader_str(r, &s) && bytes_equal(s, wanted))
		return true;
	*r = before;
	return false;
}

static enum status
sourcing_decode(struct reader *r, struct decode_space *space)
{
	if (is_word(r, "split"))
		return STATUS_OK;
	if (is_word(r, "single"))
		return later(space, "sourcing \"single\"");
	if (is_word(r, "cart"))
		return later(space, "sourcing \"cart\"");
	return params_refuse(space, "sourcing must be \"split\", \"single\" or \"cart\"");
}

static enum status
reserve_option(struct reader *r, int key, struct decode_space *space, struct reserve_command *reserve)
{
	switch (key) {
	case TTL_MS:
		if (reader_int_in(r, 1, INT64_MAX, &reserve->ttl_ms))
			return STATUS_OK;
		return params_refuse(space, "ttl_ms must be an integer from 1");
	case CHANNEL:
		return params_text(space, r, "channel", PLACE_BYTES_MAX, &reserve->channel);
	case OWNER:
		return params_text(space, r, "owner", NAME_BYTES_MAX, &reserve->owner);
	case REPLACES:
		return params_text(space, r, "replaces", NAME_BYTES_MAX, &reserve->replaces);
	case REF:
		return params_text(space, r, "ref", NAME_BYTES_MAX, &reserve->ref);
	case MODE:
		reserve->partial = is_word(r, "partial");
		return reserve->partial ? STATUS_OK : params_refuse(space, "mode must be \"partial\"; leave it out for all or nothing");
	case SOURCING:
		return sourcing_decode(r, space);
	default:
		return key == KEY_BROKEN ? broken(space) : later(space, reserve_keys[key].name);
	}
}

enum status
params_reserve(struct reader *r, uint32_t params_n, struct decode_space *space, struct command *command)
{
	struct reserve_command *reserve = &command->reserve;
	command->kind = COMMAND_RESERVE;
	*reserve = (struct reserve_command){ .ttl_ms = -1 };
	uint32_t pairs;
	int hint = 0, key;
	enum status status = params_count(space, params_n, 2, 3);
	if (status == STATUS_OK)
		status = params_text(space, r, "id", NAME_BYTES_MAX, &reserve->id);
	if (status == STATUS_OK)
		status = lines_decode(r, space, &reserve->lines, &reserve->lines_n);
	if (status == STATUS_OK)
		status = options_begin(r, space, params_n == 3, &pairs);
	while (status == STATUS_OK && (key = options_next(r, &pairs, reserve_keys, COUNT(reserve_keys), &hint)) != KEY_UNKNOWN)
		status = reserve_option(r, key, space, reserve);
	return status;
}

/* ---- commit, release, fulfil ---- */

enum { SETTLE_LINES, SETTLE_REF };
static const struct key settle_keys[] = { [SETTLE_LINES] = KEY("lines"), [SETTLE_REF] = KEY("ref") };

static enum status
settle_decode(struct reader *r, uint32_t params_n, struct decode_space *space, struct settle_command *settle)
{
	*settle = (struct settle_command){ .lines_n = 0 };
	uint32_t pairs;
	int hint = 0, key;
	enum status status = params_count(space, params_n, 1, 2);
	if (status == STATUS_OK)
		status = params_text(space, r, "id", NAME_BYTES_MAX, &settle->id);
	if (status == STATUS_OK)
		status = options_begin(r, space, params_n == 2, &pairs);
	while (status == STATUS_OK && (key = options_next(r, &pairs, settle_keys, COUNT(settle_keys), &hint)) != KEY_UNKNOWN) {
		if (key == SETTLE_LINES)
			status = lines_decode(r, space, &settle->lines, &settle->lines_n);
		else if (key == SETTLE_REF)
			status = params_text(space, r, "ref", NAME_BYTES_MAX, &settle->ref);
		else
			status = broken(space);
	}
	return status;
}

enum status
params_commit(struct reader *r, uint32_t params_n, struct decode_space *space, struct command *command)
{
	command->kind = COMMAND_COMMIT;
	return settle_decode(r, params_n, space, &command->settle);
}

enum status
params_release(struct reader *r, uint32_t params_n, struct decode_space *space, struct command *command)
{
	command->kind = COMMAND_RELEASE;
	return settle_decode(r, params_n, space, &command->settle);
}

enum status
params_fulfil(struct reader *r, uint32_t params_n, struct decode_space *space, struct command *command)
{
	command->kind = COMMAND_FULFIL;
	return settle_decode(r, params_n, space, &command->settle);
}

/* ---- extend, pin, move ---- */

static enum status
extend_decode(struct reader *r, uint32_t params_n, struct decode_space *space, struct extend_command *extend)
{
	enum status status = params_count(space, params_n, 2, 2);
	if (status == STATUS_OK)
		status = params_text(space, r, "id", NAME_BYTES_MAX, &extend->id);
	if (status == STATUS_OK && !reader_int_in(r, 1, INT64_MAX, &extend->ttl_ms))
		status = params_refuse(space, "ttl_ms must be an integer from 1");
	return status;
}

enum status
params_extend(struct reader *r, uint32_t params_n, struct decode_space *space, struct command *command)
{
	command->kind = COMMAND_EXTEND;
	return extend_decode(r, params_n, space, &command->extend);
}

enum status
params_pin(struct reader *r, uint32_t params_n, struct decode_space *space, struct command *command)
{
	command->kind = COMMAND_PIN;
	return extend_decode(r, params_n, space, &command->extend);
}

enum status
params_move(struct reader *r, uint32_t params_n, struct decode_space *space, struct command *command)
{
	struct move_command *move = &command->move;
	int64_t line = 0;
	command->kind = COMMAND_MOVE;
	enum status status = params_count(space, params_n, 3, 3);
	if (status == STATUS_OK)
		status = params_text(space, r, "id", NAME_BYTES_MAX, &move->id);
	if (status == STATUS_OK && !reader_int_in(r, 0, UINT32_MAX, &line))
		status = params_refuse(space, "index must be the number of a line, from 0");
	if (status == STATUS_OK)
		status = params_text(space, r, "to_location", PLACE_BYTES_MAX, &move->to_location);
	move->line = (uint32_t)line;
	return status;
}

/* ---- digest ---- */

enum status
params_digest(struct reader *r, uint32_t params_n, struct decode_space *space, struct command *command)
{
	static const struct key keys[] = { KEY("location"), KEY("sku_from"), KEY("sku_to") };
	struct digest_command *digest = &command->digest;
	struct bytes *const into[] = { &digest->location, &digest->sku_from, &digest->sku_to };
	uint32_t pairs;
	int hint = 0, key;
	command->kind = COMMAND_DIGEST;
	*digest = (struct digest_command){ .location = { NULL, 0 } };
	enum status status = params_count(space, params_n, 0, 1);
	if (status == STATUS_OK)
		status = options_begin(r, space, params_n == 1, &pairs);
	while (status == STATUS_OK && (key = options_next(r, &pairs, keys, COUNT(keys), &hint)) != KEY_UNKNOWN) {
		if (key == KEY_BROKEN)
			return broken(space);
		status = params_text(space, r, keys[key].name, key == 0 ? PLACE_BYTES_MAX : NAME_BYTES_MAX, into[key]);
	}
	return status;
}

/* ---- policy set ---- */

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
			return later(space, cell_keys[key].name);
		else if (key == KEY_BROKEN || !reader_skip(r))
			return broken(space);
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
		return line_refuse(space, "cells", i, "sku");
	if (!reader_text(r, PLACE_BYTES_MAX, &cell->location))
		return line_refuse(space, "cells", i, "location");
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
			return line_refuse(space, "members", i, "location");
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
			status = broken(space);
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
		return broken(space);
	if (key != SET_GROUPS)
		return later(space, set_keys[key].name);
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
	while (status == STATUS_OK && (key = options_next(r, &pairs, set_keys, COUNT(set_keys), &hint)) != KEY_UNKNOWN)
		status = set_part(r, key, space, &cells, &group, &groups_n);
	if (status == STATUS_OK && groups_n > 0 && cells.policy_cells.cells_n > 0)
		return params_refuse(space, "one group at a time for now: set cells in a call of their own");
	*empty = groups_n == 0 && cells.policy_cells.cells_n == 0;
	*command = groups_n > 0 ? group : cells;
	return status;
}
