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
params_count_refuse(struct decode_space *space, uint32_t params_n, uint32_t low, uint32_t high)
{
	if (low == high)
		return params_refuse(space, "params must have %u members, not %u", low, params_n);
	return params_refuse(space, "params must have %u to %u members, not %u", low, high, params_n);
}

enum status
params_text_refuse(struct decode_space *space, const char *what, uint32_t most)
{
	return params_refuse(space, "%s must be a string of 1 to %u bytes of UTF-8 without control characters", what, most);
}

enum status
params_line_text(struct decode_space *space, const char *what, uint32_t i, const char *field)
{
	return params_refuse(space, "%s[%u]: %s must be a string of 1 to %d bytes of UTF-8 without control characters", what, i, field,
	    field[0] == 's' ? NAME_BYTES_MAX : PLACE_BYTES_MAX);
}

static inline enum status
line_decode(struct reader *r, struct decode_space *space, uint32_t i)
{
	struct asked_line *line = &space->lines[i];
	uint32_t n;
	if (!reader_array(r, &n) || n != 3)
		return params_refuse(space, "lines[%u] must be [sku, location, qty]", i);
	if (!reader_text(r, NAME_BYTES_MAX, &line->sku))
		return params_line_text(space, "lines", i, "sku");
	if (!reader_text(r, PLACE_BYTES_MAX, &line->location))
		return params_line_text(space, "lines", i, "location");
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

int
params_option(struct reader *r, const struct decode_space *space, uint32_t *pairs, const struct key *keys, int keys_n, int *hint)
{
	while (*pairs > 0) {
		--*pairs;
		int key = reader_key(r, keys, keys_n, hint);
		if (key == KEY_BROKEN || (key == KEY_UNKNOWN && space->fresh))
			return KEY_BROKEN;
		if (reader_nil(r))
			continue;
		if (key >= 0)
			return key;
		if (!reader_skip(r))
			return KEY_BROKEN;
	}
	return KEY_UNKNOWN;
}

enum status
params_broken(struct decode_space *space)
{
	return params_refuse(space, "the message ends inside a map");
}

enum status
params_later(struct decode_space *space, const char *what)
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
		return params_later(space, "sourcing \"single\"");
	if (is_word(r, "cart"))
		return params_later(space, "sourcing \"cart\"");
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
		return key == KEY_BROKEN ? params_broken(space) : params_later(space, reserve_keys[key].name);
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
	while (status == STATUS_OK && (key = params_option(r, space, &pairs, reserve_keys, COUNT(reserve_keys), &hint)) != KEY_UNKNOWN)
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
	while (status == STATUS_OK && (key = params_option(r, space, &pairs, settle_keys, COUNT(settle_keys), &hint)) != KEY_UNKNOWN) {
		if (key == SETTLE_LINES)
			status = lines_decode(r, space, &settle->lines, &settle->lines_n);
		else if (key == SETTLE_REF)
			status = params_text(space, r, "ref", NAME_BYTES_MAX, &settle->ref);
		else
			status = params_broken(space);
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
	while (status == STATUS_OK && (key = params_option(r, space, &pairs, keys, COUNT(keys), &hint)) != KEY_UNKNOWN) {
		if (key == KEY_BROKEN)
			return params_broken(space);
		status = params_text(space, r, keys[key].name, key == 0 ? PLACE_BYTES_MAX : NAME_BYTES_MAX, into[key]);
	}
	return status;
}
