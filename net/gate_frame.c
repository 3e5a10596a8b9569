/* gate_frame.c: see gate_frame.h. */
#include "net/gate_frame.h"

#include "net/codec_read.h"
#include "net/scanner.h"

/* Open levels above the events in the request: the frame, its parameters, and the list of events. */
#define LEVELS_ABOVE_LIST 2
#define LEVELS_ABOVE_EVENT 3

#define TEXT_BYTES(literal) (sizeof(literal) - 1)

/* ---- messages ---- */

static bool
is_map(uint8_t first)
{
	return (first & 0xf0) == 0x80 || first == 0xde || first == 0xdf;
}

static bool
is_array(uint8_t first)
{
	return (first & 0xf0) == 0x90 || first == 0xdc || first == 0xdd;
}

/* As the server's scanner will see it: inside the request, so that what passes here is not too deep there. */
static enum scan
scan_message(const uint8_t *message, size_t n, uint32_t levels, size_t *end)
{
	struct scanner s;
	scanner_init(&s);
	s.depth = levels;
	memset(s.left, 0, levels * sizeof s.left[0]);
	s.left[levels - 1] = 1;
	return scanner_scan(&s, message, n, MESSAGE_BYTES_MAX, end);
}

static enum status
refuse(enum status status, const char **sentence, const char *text)
{
	*sentence = text;
	return status;
}

enum status
frame_check(const uint8_t *message, size_t n, enum frame_form *form, uint32_t *events_n, const char **sentence)
{
	struct reader r = { message, message + n };
	size_t end = 0;
	*events_n = 1;
	if (n > MESSAGE_BYTES_MAX)
		return refuse(STATUS_TOO_LARGE, sentence, "the message is longer than 1 MiB: send fewer events in one");
	if (n == 0 || !(is_map(message[0]) || is_array(message[0])))
		return refuse(STATUS_BAD_REQUEST, sentence, "a message is one msgpack map (an event) or an array of them");
	*form = is_map(message[0]) ? FRAME_POST_ONE : FRAME_POST;
	if (*form == FRAME_POST && reader_array(&r, events_n) && *events_n > EVENTS_MAX)
		return refuse(STATUS_TOO_LARGE, sentence, "more than 10,000 events in one message");
	switch (scan_message(message, n, *form == FRAME_POST_ONE ? LEVELS_ABOVE_EVENT : LEVELS_ABOVE_LIST, &end)) {
	case SCAN_WHOLE:
		if (end != n)
			return refuse(STATUS_BAD_REQUEST, sentence, "bytes follow the message's msgpack object");
		return STATUS_OK;
	case SCAN_MORE:
		return refuse(STATUS_BAD_REQUEST, sentence, "the message ends inside its msgpack object");
	case SCAN_TOO_DEEP:
		return refuse(STATUS_BAD_REQUEST, sentence, "the message is nested too deeply");
	case SCAN_TOO_LONG:
		return refuse(STATUS_BAD_REQUEST, sentence, "the message claims more than 1 MiB of content");
	case SCAN_BAD:
		return refuse(STATUS_BAD_REQUEST, sentence, "the message is not msgpack");
	}
	ensure(!"a scan has one of its five results");
	return STATUS_INTERNAL;
}

uint32_t
frame_head(uint8_t head[FRAME_HEAD_BYTES_MAX], uint32_t msgid, enum frame_form form)
{
	static const struct {
		const char *bytes; /* the method, and the array of parameters as far as the body */
		uint32_t n;
	} methods[] = {
		[FRAME_POST] = { "\xa4post\x91", 6 },
		[FRAME_POST_ONE] = { "\xa4post\x91\x91", 7 },
		[FRAME_POSITION] = { "\xa8position\x91", 10 },
	};
	const uint8_t begin[] = { 0x94, 0x00, 0xce, msgid >> 24, msgid >> 16 & 255, msgid >> 8 & 255, msgid & 255 };
	_Static_assert(sizeof begin + 10 <= FRAME_HEAD_BYTES_MAX, "the head fits");
	memcpy(head, begin, sizeof begin);
	memcpy(head + sizeof begin, methods[form].bytes, methods[form].n);
	return sizeof begin + methods[form].n;
}

/* ---- replies ---- */

static struct bytes
object(struct reader *r)
{
	const uint8_t *from = r->at;
	if (!reader_skip(r))
		return (struct bytes){ NULL, 0 };
	return (struct bytes){ from, (uint32_t)(r->at - from) };
}

/* detail is whole: the reader cannot run out of bytes in it. */
static int64_t
retry_after(struct bytes detail)
{
	struct reader r = { detail.at, detail.at + detail.n };
	static const struct key keys[] = { KEY("retry_after_ms") };
	uint32_t pairs = 0;
	int64_t ms;
	int hint = 0;
	if (!reader_map(&r, &pairs))
		return -1;
	for (uint32_t i = 0; i < pairs; i++)
		if (reader_key(&r, keys, 1, &hint) == 0 && reader_int(&r, &ms))
			return ms;
		else if (!reader_skip(&r))
			return -1;
	return -1;
}

static bool
error_read(struct reader *r, struct frame_reply *reply)
{
	uint32_t n;
	if (!reader_array(r, &n) || n != 3 || !reader_str(r, &reply->code) || !reader_str(r, &reply->message))
		return false;
	if (r->at == r->end || !is_map(*r->at))
		return false;
	reply->refused = true;
	reply->detail = object(r);
	reply->retry_after_ms = reply->detail.n ? retry_after(reply->detail) : -1;
	return reply->detail.n > 0 && reader_nil(r);
}

bool
frame_reply_read(const uint8_t *bytes, size_t n, struct frame_reply *reply)
{
	struct reader r = { bytes, bytes + n };
	int64_t kind, msgid;
	uint32_t members;
	memset(reply, 0, sizeof *reply);
	reply->retry_after_ms = -1;
	if (!reader_array(&r, &members) || members != 4 || !reader_int_in(&r, 1, 1, &kind) || !reader_int_in(&r, 0, UINT32_MAX, &msgid))
		return false;
	reply->msgid = (uint32_t)msgid;
	if (!reader_nil(&r))
		return error_read(&r, reply) && r.at == r.end;
	reply->result = object(&r);
	return reply->result.n > 0 && r.at == r.end;
}

bool
frame_outcomes_read(struct bytes result, struct frame_outcomes *o)
{
	struct reader r = { result.at, result.at + result.n }, peek;
	uint32_t n;
	int64_t seq;
	if (!reader_array(&r, &n) || n != 2)
		return false;
	peek = r;
	if (!reader_int(&peek, &seq))
		return false;
	o->seq = object(&r);
	if (r.at == r.end || !is_array(*r.at))
		return false;
	o->outcomes = object(&r);
	return o->outcomes.n > 0;
}

bool
frame_is_map(struct bytes result)
{
	return result.n > 0 && is_map(result.at[0]);
}

bool
frame_passes(struct bytes code)
{
	static const enum status passing[] = { STATUS_OVERLOADED, STATUS_RATE_LIMITED, STATUS_UNKNOWN, STATUS_NOT_LEADER, STATUS_READ_ONLY };
	for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++) {
		const char *name = status_name(passing[i]);
		if (code.n == strlen(name) && memcmp(code.at, name, code.n) == 0)
			return true;
	}
	return false;
}

/* ---- answers ---- */

void
frame_answer(const struct frame_outcomes *o, struct raw_part parts[FRAME_ANSWER_PARTS])
{
	static const char seq[] = "\x82\xa3seq", outcomes[] = "\xa8outcomes";
	parts[0] = (struct raw_part){ seq, TEXT_BYTES(seq) };
	parts[1] = (struct raw_part){ o->seq.at, o->seq.n };
	parts[2] = (struct raw_part){ outcomes, TEXT_BYTES(outcomes) };
	parts[3] = (struct raw_part){ o->outcomes.at, o->outcomes.n };
}

static uint8_t *
put(uint8_t *at, const void *bytes, size_t n)
{
	memcpy(at, bytes, n);
	return at + n;
}

/* At most `most` bytes of the text, as a string; cut in front of a whole UTF-8 character. */
static uint8_t *
put_text(uint8_t *at, struct bytes text, uint32_t most)
{
	uint32_t n = text.n < most ? text.n : most;
	while (n > 0 && n < text.n && (text.at[n] & 0xc0) == 0x80)
		n--;
	*at++ = 0xda;
	*at++ = (uint8_t)(n >> 8);
	*at++ = (uint8_t)n;
	return n ? put(at, text.at, n) : at;
}

int
frame_told(const char *name, struct bytes result, struct raw_part parts[FRAME_ANSWER_PARTS])
{
	static const uint8_t heads[] = { 0x81, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa };
	size_t n = strlen(name);
	ensure(n < sizeof heads - 1);
	parts[0] = (struct raw_part){ heads, 1 };
	parts[1] = (struct raw_part){ heads + 1 + n, 1 };
	parts[2] = (struct raw_part){ name, n };
	parts[3] = (struct raw_part){ result.at, result.n };
	return 4;
}

int
frame_refusal(uint8_t head[FRAME_REFUSAL_BYTES_MAX], bool events, struct bytes code, struct bytes message, struct bytes detail,
    struct raw_part parts[FRAME_ANSWER_PARTS])
{
	static const char before[] = "\x82\xa3seq\x00\xa8outcomes\x91", begin[] = "\x83\xa8rejected", text[] = "\xa7message", last[] = "\xa6" "detail";
	uint8_t *at = events ? put(head, before, TEXT_BYTES(before)) : head;
	at = put(at, begin, TEXT_BYTES(begin));
	at = put_text(at, code, NAME_BYTES_MAX);
	at = put(at, text, TEXT_BYTES(text));
	at = put_text(at, message, FRAME_MESSAGE_BYTES_MAX);
	at = put(at, last, TEXT_BYTES(last));
	if (detail.n == 0)
		*at++ = 0x80;
	ensure(at <= head + FRAME_REFUSAL_BYTES_MAX);
	parts[0] = (struct raw_part){ head, (size_t)(at - head) };
	parts[1] = (struct raw_part){ detail.at, detail.n };
	return detail.n ? 2 : 1;
}
