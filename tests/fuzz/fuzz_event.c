/*
 * Any bytes as a stock event: the decoder ends, stays inside, and what it calls sound has the shapes that the engine relies on.
 */
#include "net/codec_params.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void
must(bool condition)
{
	if (!condition)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct reader r = { bytes, bytes + n };
	struct event_command e;
	if (!event_decode(&r, &e))
		return 0;
	must(r.at <= r.end && e.raw.at == bytes && e.raw.n == (size_t)(r.at - bytes));
	must(e.source.n == 0 || (text_valid(e.source, PLACE_BYTES_MAX) && (e.n > 0 || text_valid(e.id, NAME_BYTES_MAX))));
	must(e.defect == STATUS_OK || e.defect_message != NULL);
	if (e.defect != STATUS_OK)
		return 0;
	must(e.source.n > 0 && e.kind < EVENT_KIND_UNKNOWN && e.n <= SEQ_MAX);
	must(text_valid(e.sku, NAME_BYTES_MAX) && text_valid(e.location, PLACE_BYTES_MAX));
	must(e.ref.n == 0 || text_valid(e.ref, NAME_BYTES_MAX));
	must(e.reason.n == 0 || text_valid(e.reason, NAME_BYTES_MAX));
	must(e.qty >= (e.kind == EVENT_ADJUST ? -QTY_LINE_MAX : e.kind == EVENT_COUNT ? 0 : 1) && e.qty <= QTY_LINE_MAX);
	must(e.at >= -1 && e.at <= INSTANT_MAX && e.as_of >= -1 && e.as_of <= INSTANT_MAX);
	return 0;
}
