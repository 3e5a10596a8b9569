/* micro_wire.c: rows of the protocol: where a request ends, what it says, what is answered, and the whole way between. */
#define _GNU_SOURCE
#include "bench/micro.h"

#include "net/codec_params.h"
#include "net/codec_write.h"
#include "net/lookahead.h"

static void
frame_make(struct world *w)
{
	static const char frame[] = "\x94\x00\xce\x00\x00\x00\x01\xa7reserve\x93\xb0order-0000000000\x91\x93\xa8s0000000\xa7ST-0001\x01"
	    "\x81\xa6ttl_ms\xce\x00\x36\xee\x80";
	w->frame_n = sizeof frame - 1;
	memcpy(w->frame, frame, w->frame_n);
	w->frame_id_at = (size_t)((uint8_t *)memmem(w->frame, w->frame_n, "order-", 6) - w->frame) + 6;
	w->frame_sku_at = (size_t)((uint8_t *)memmem(w->frame, w->frame_n, "s0000000", 8) - w->frame) + 1;
}

void
run_scan(struct world *w, uint64_t n)
{
	struct scanner scanner;
	size_t end;
	frame_make(w);
	for (uint64_t i = 0; i < n; i++) {
		scanner_init(&scanner);
		w->wrong += scanner_scan(&scanner, w->frame, w->frame_n, FRAME_BYTES_MAX, &end) != SCAN_WHOLE;
	}
}

/* From the frame's bytes to a command. */
void
run_decode(struct world *w, uint64_t n)
{
	static struct decode_space space;
	frame_make(w);
	for (uint64_t i = 0; i < n; i++) {
		struct reader r = { w->frame, w->frame + w->frame_n };
		struct command command;
		struct bytes method;
		uint32_t members, params_n;
		int64_t type, msgid;
		bool head = reader_array(&r, &members) && reader_int(&r, &type) && reader_int(&r, &msgid) && reader_str(&r, &method) &&
		    reader_array(&r, &params_n);
		w->wrong += !head || params_reserve(&r, params_n, &space, &command) != STATUS_OK || command.reserve.lines_n != 1;
	}
}

/* From a grant to the reply's bytes. */
void
run_encode(struct world *w, uint64_t n)
{
	struct result_line line = { text("s0000000", 8), text("ST-0001", 7), 1 };
	struct result result = { .seq = 123456789, .state = RESERVATION_HELD, .expires_at = w->now_ms, .lines = &line, .lines_n = 1 };
	for (uint64_t i = 0; i < n; i++) {
		w->reply.used = 0;
		result.seq++;
		put_head(&w->reply, (uint32_t)i);
		put_reservation(&w->reply, true, &result);
		w->wrong += w->reply.full || w->reply.used < 40;
	}
}

/* The frames of one read the whole way but sockets and disk: looked at, walked ahead for, decided, evolved, answered. */
#define READ_FRAMES 100

static void
read_handle(struct world *w, const uint8_t *bytes, size_t n)
{
	static struct lookahead ahead;
	struct scanner scanner;
	const struct request *request;
	size_t at = 0, end;
	scanner_init(&scanner);
	lookahead_begin(&ahead, w->engine, PLACE_ENGINE, &scanner, bytes, n);
	for (; lookahead_next(&ahead, &end, &request) == SCAN_WHOLE; at = end) {
		struct handling handling = { 0 };
		batch_ready(w);
		enum handled handled = request ? methods_execute(&w->service, PLACE_ENGINE, w->now_ms, request, &w->reply, &handling)
		                               : methods_handle(&w->service, PLACE_ENGINE, w->now_ms, bytes + at, end - at, &w->reply, &handling);
		w->wrong += handled != HANDLED_REPLY || handling.refused;
	}
	w->wrong += at != n;
}

void
run_frame(struct world *w, uint64_t n)
{
	static uint8_t frames[READ_FRAMES * sizeof w->frame];
	frame_make(w);
	for (uint64_t i = 0; i < n; i += READ_FRAMES) {
		for (unsigned k = 0; k < READ_FRAMES; k++) {
			uint8_t *frame = frames + k * w->frame_n;
			memcpy(frame, w->frame, w->frame_n);
			digits_put((char *)frame + w->frame_id_at, 10, (uint32_t)w->next_id++);
			digits_put((char *)frame + w->frame_sku_at, 7, random_cell(w));
		}
		w->reply.used = 0;
		read_handle(w, frames, READ_FRAMES * w->frame_n);
	}
}

/* A read of 100 cells, from bytes to reply. One operation is one cell. */
void
run_ats_many(struct world *w, uint64_t n)
{
	static uint8_t frame[4096] = "\x94\x00\x01\xa3" "ats\x91\xdc\x00\x64";
	size_t head = 11, used = head;
	for (unsigned i = 0; i < 100; i++, used += 18)
		memcpy(frame + used, "\x92\xa8s0000000\xa7ST-0001", 18);
	for (uint64_t i = 0; i < n; i += 100) {
		struct handling handling = { 0 };
		for (unsigned k = 0; k < 100; k++)
			digits_put((char *)frame + head + k * 18 + 3, 7, random_cell(w));
		w->reply.used = 0;
		w->wrong += methods_handle(&w->service, PLACE_ENGINE, w->now_ms, frame, used, &w->reply, &handling) != HANDLED_REPLY || handling.refused;
	}
}
