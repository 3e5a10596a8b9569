/* gate_spool_split.c: see gate_spool_split.h. */
#include "net/gate_spool_split.h"

#include "net/codec_identity.h"

enum { SOURCE, N, ID, AT, KEYS };
static const struct key keys[KEYS] = { [SOURCE] = KEY("source"), [N] = KEY("n"), [ID] = KEY("id"), [AT] = KEY("at") };

/* One value that is not nil; NULL, or what is wrong with it. */
static const char *
identity_field(struct reader *r, int key, struct spool_identity *identity, bool *has_id)
{
	struct bytes id;
	const char *wrong;
	switch (key) {
	case SOURCE:
		return event_source(r, &identity->source);
	case N:
		return event_n(r, &identity->n);
	case ID:
		wrong = event_id(r, &id);
		*has_id = !wrong;
		return wrong;
	default:
		reader_int_in(r, 0, INSTANT_MAX, &identity->at); /* a bad one is for the server to judge */
		return NULL;
	}
}

/* NULL, or why the event has no identity. */
static const char *
identity_read(struct bytes event, struct spool_identity *identity)
{
	struct reader r = { event.at, event.at + event.n };
	const char *wrong = NULL;
	bool has_id = false;
	uint32_t pairs;
	int hint = 0;
	*identity = (struct spool_identity){ .at = -1 };
	if (!reader_map(&r, &pairs))
		return EVENT_NO_MAP;
	for (; pairs > 0 && !wrong; pairs--) {
		int key = reader_key(&r, keys, KEYS, &hint);
		if (key == KEY_BROKEN)
			return "the event is not msgpack";
		if (reader_nil(&r))
			continue;
		const uint8_t *value = r.at;
		if (key >= 0)
			wrong = identity_field(&r, key, identity, &has_id);
		if (r.at == value && !reader_skip(&r))
			return "the event is not msgpack";
	}
	return wrong ? wrong : event_anonymous(identity->source.n > 0, identity->n > 0 || has_id);
}

void
split_identify(struct bytes event, struct spool_identity *identity)
{
	if (identity_read(event, identity))
		*identity = (struct spool_identity){ .at = -1 };
}

static void
event_judge(struct split_event *event)
{
	struct spool_identity identity;
	event->status = STATUS_OK;
	event->sentence = NULL;
	if (event->bytes.n > EVENT_BYTES_MAX) {
		event->status = STATUS_TOO_LARGE;
		event->sentence = "an event is at most 2,048 bytes";
	} else if ((event->sentence = identity_read(event->bytes, &identity))) {
		event->status = STATUS_BAD_REQUEST;
	}
}

uint32_t
split_message(const uint8_t *message, size_t n, struct split_event events[], size_t *bytes)
{
	struct reader r = { message, message + n };
	uint32_t count = 1, i;
	*bytes = 0;
	if (!reader_array(&r, &count))
		count = 1;
	for (i = 0; i < count && i < EVENTS_MAX; i++) {
		const uint8_t *from = r.at;
		if (!reader_skip(&r))
			break;
		events[i].bytes = (struct bytes){ from, (uint32_t)(r.at - from) };
		event_judge(&events[i]);
		*bytes += events[i].status == STATUS_OK ? SPOOL_RECORD_BYTES + events[i].bytes.n : 0;
	}
	return i;
}
