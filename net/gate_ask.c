/* gate_ask.c: see gate_ask.h. */
#include "net/gate_ask.h"

#include "net/codec_read.h"

static const struct key keys[] = { KEY("ask"), KEY("source") };

/* One pair. False: the value under a key of ours is of the wrong kind. */
static bool
pair_read(struct reader *r, int *hint, struct bytes *ask, struct ask_read *a)
{
	const uint8_t *from;
	switch (reader_key(r, keys, 2, hint)) {
	case 0:
		return reader_str(r, ask);
	case 1:
		from = r->at;
		if (!reader_text(r, PLACE_BYTES_MAX, &a->source))
			return reader_skip(r); /* of an event: the server judges it */
		a->source_object = (struct bytes){ from, (uint32_t)(r->at - from) };
		return true;
	default:
		return reader_skip(r);
	}
}

enum ask
gate_ask_read(const uint8_t *message, size_t n, struct ask_read *a)
{
	static const struct bytes position = { (const uint8_t *)"position", 8 }, status = { (const uint8_t *)"status", 6 };
	struct reader r = { message, message + n };
	struct bytes ask = { NULL, 0 };
	uint32_t pairs = 0;
	int hint = 0;
	*a = (struct ask_read){ .sentence = "an ask is \"position\" or \"status\"" };
	reader_map(&r, &pairs);
	for (uint32_t i = 0; i < pairs; i++)
		if (!pair_read(&r, &hint, &ask, a))
			return ASK_WRONG;
	if (!ask.at)
		return ASK_NOTHING;
	if (bytes_equal(ask, status))
		return ASK_STATUS;
	if (bytes_equal(ask, position) && a->source.n)
		return ASK_POSITION;
	if (bytes_equal(ask, position))
		a->sentence = "a position is asked for a source: a text of at most 32 bytes";
	return ASK_WRONG;
}
