/*
 * Any bytes as a till's message and as a server's reply: what the gate lets pass is a request that the server's scanner takes, what it
 * refuses is refused in whole msgpack, and nothing is read outside.
 */
#include "net/buffer.h"
#include "net/codec_read.h"
#include "net/gate_frame.h"
#include "net/scanner.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void
must(bool condition)
{
	if (!condition)
		abort();
}

static bool
is_whole(const uint8_t *bytes, size_t n, size_t limit)
{
	struct scanner s;
	size_t end = 0;
	scanner_init(&s);
	return n > 0 && scanner_scan(&s, bytes, n, limit, &end) == SCAN_WHOLE && end == n;
}

/* The same, however deep: a detail stands one level deeper in the answer than it stood in the reply. */
static bool
is_object(const uint8_t *bytes, size_t n)
{
	struct reader r = { bytes, bytes + n };
	return reader_skip(&r) && r.at == r.end;
}

static void
message_fuzz(const uint8_t *bytes, size_t n)
{
	struct buffer request = { 0 };
	uint8_t head[FRAME_HEAD_BYTES_MAX];
	enum frame_form form;
	const char *sentence = NULL;
	uint32_t events_n;
	if (frame_check(bytes, n, &form, &events_n, &sentence) != STATUS_OK) {
		must(sentence && *sentence);
		return;
	}
	buffer_append(&request, head, frame_head(head, UINT32_MAX, form));
	buffer_append(&request, bytes, n);
	must(is_whole(request.at, request.used, FRAME_BYTES_MAX));
	buffer_fini(&request);
}

static void
parts_check(const struct raw_part *parts, int n)
{
	struct buffer whole = { 0 };
	for (int i = 0; i < n; i++)
		buffer_append(&whole, parts[i].at, parts[i].n);
	must(is_object(whole.at, whole.used));
	buffer_fini(&whole);
}

static void
reply_fuzz(const uint8_t *bytes, size_t n)
{
	uint8_t head[FRAME_REFUSAL_BYTES_MAX];
	struct raw_part parts[RAW_PARTS_MAX];
	struct frame_reply reply;
	struct frame_outcomes outcomes;
	if (!is_whole(bytes, n, SIZE_MAX) || !frame_reply_read(bytes, n, &reply))
		return;
	if (reply.refused) {
		frame_passes(reply.code);
		parts_check(parts, frame_refusal(head, n % 2, reply.code, reply.message, reply.detail, parts));
	} else if (frame_outcomes_read(reply.result, &outcomes)) {
		frame_answer(&outcomes, parts);
		parts_check(parts, FRAME_ANSWER_PARTS);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	message_fuzz(bytes, n);
	reply_fuzz(bytes, n);
	return 0;
}
