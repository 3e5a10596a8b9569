/* methods_watch.c: `watch`: the params to a struct watch_ask, the feed's answer to a reply. */
#include "net/methods_part.h"
#include "net/feed.h"

enum { LOCATION, GROUP, SKU, THRESHOLD_ONLY, SINCE, FULL };
static const struct key watch_keys[] = {
	[LOCATION] = KEY("location"), [GROUP] = KEY("group"), [SKU] = KEY("sku"), [THRESHOLD_ONLY] = KEY("threshold_only"),
	[SINCE] = KEY("since"), [FULL] = KEY("full"),
};

static enum status
watch_flag(struct call *call, int key, bool *flag)
{
	if (reader_bool(&call->params, flag))
		return STATUS_OK;
	return params_refuse(call->space, "%s must be true or false", watch_keys[key].name);
}

static enum status
watch_field(struct call *call, int key, struct watch_ask *ask)
{
	int64_t since;
	switch (key) {
	case LOCATION:
	case GROUP:
		if (ask->place.n > 0)
			return params_refuse(call->space, "location or group, not both");
		return params_text(call->space, &call->params, watch_keys[key].name, PLACE_BYTES_MAX, &ask->place);
	case SKU:
		return params_text(call->space, &call->params, "sku", NAME_BYTES_MAX, &ask->sku);
	case THRESHOLD_ONLY:
		return watch_flag(call, key, &ask->threshold_only);
	case FULL:
		return watch_flag(call, key, &ask->full);
	case SINCE:
		if (!reader_int_in(&call->params, 0, (int64_t)SEQ_MAX, &since))
			return params_refuse(call->space, "since must be an integer 0..2^53-1");
		ask->has_since = true;
		ask->since = (uint64_t)since;
		return STATUS_OK;
	}
	return params_broken(call->space);
}

static enum status
watch_decode(struct call *call, struct watch_ask *ask)
{
	const int keys_n = sizeof watch_keys / sizeof watch_keys[0];
	uint32_t pairs;
	int hint = 0, key;
	enum status status = params_count(call->space, call->params_n, 0, 1);
	if (status != STATUS_OK || call->params_n == 0 || reader_nil(&call->params))
		return status;
	if (!reader_map(&call->params, &pairs))
		return params_refuse(call->space, "params[0] must be a map");
	while (status == STATUS_OK && (key = params_option(&call->params, call->space, &pairs, watch_keys, keys_n, &hint)) != KEY_UNKNOWN)
		status = key == KEY_BROKEN ? params_broken(call->space) : watch_field(call, key, ask);
	return status;
}

static enum handled
watch_refuse(struct call *call, const struct watch_answer *a)
{
	const struct result detail = { .status = a->status, .which = a->which, .number = (int64_t)a->number };
	if (a->status == STATUS_BEHIND)
		put_error_number(call->out, call->msgid, a->status, a->message, "seq", (int64_t)a->number);
	else
		put_error_reply(call->out, call->msgid, a->status, a->message, &detail);
	call->handling->refused = true;
	return HANDLED_REPLY;
}

enum handled
handle_watch(struct call *call)
{
	struct watch_ask ask = { .since = 0 };
	struct watch_answer answer;
	if (watch_decode(call, &ask) != STATUS_OK)
		return call_bad(call);
	feed_watch(call->service->feed, &ask, &answer);
	call->handling->wait_for = view_named(call->service->engine); /* P5: of the names it knew, or did not */
	if (answer.status != STATUS_OK)
		return watch_refuse(call, &answer);
	put_head(call->out, call->msgid);
	put_map(call->out, 1);
	put_text(call->out, "seq");
	put_uint(call->out, answer.number);
	return HANDLED_REPLY;
}
