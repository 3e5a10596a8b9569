/* gate_spool_split.c: see gate_spool_split.h. */
#include "net/gate_spool_split.h"

#include "net/codec_read.h"

#define DEFECT_PLACE " must be a string of 1 to 32 bytes of UTF-8 without control characters"
#define DEFECT_TEXT " must be a string of 1 to 64 bytes of UTF-8 without control characters"

enum { SOURCE, N, ID, AT, KEYS };
static const struct key keys[KEYS] = { [SOURCE] = KEY("source"), [N] = KEY("n"), [ID] = KEY("id"), [AT] = KEY("at") };

/* One value that is not nil; NULL, or what is wrong with it. */
static const char *
identity_field(struct reader *r, int key, struct spool_identity *identity, bool *has_id)
{
	struct bytes id;
	int64_t n;
	switch (key) {
	case SOURCE:
		return reader_text(r, PLACE_BYTES_MAX, &identity->source) ? NULL : "source" DEFECT_PLACE;
	case N:
		if (!reader_int_in(r, 1, (int64_t)SEQ_MAX, &n))
			return "n must be an integer 1..2^53-1";
		identity->n = (uint64_t)n;
		return NULL;
	case ID:
		*has_id = reader_text(r, NAME_BYTES_MAX, &id);
		return *has_id ? NULL : "id" DEFECT_TEXT;
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
		return "an event must be a map";
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
	if (!wrong && identity->source.n == 0)
		return "source is missing";
	return wrong || identity->n || has_id ? wrong : "n or id is missing";
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
