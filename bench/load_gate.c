/*
 * load_gate.c: how the gate's door for stock events is spoken to: nanomsg's REQ over TCP, that is a greeting of eight bytes, then messages
 * with their length in front and the request's number first. Written out here, for a client as cheap as the others: what is
 * measured is the door, not nanomsg's sender. A door that answers anything else than outcomes (a bare REP socket) is content, too.
 */
#define _GNU_SOURCE /* memmem */
#include "bench/load.h"

#include <stdio.h>
#include <unistd.h>

#include "net/clock.h"
#include "net/codec_write.h"

#define FRAME_HEAD_BYTES 12 /* length, number */
#define NUMBER_TOP 0x80000000 /* the first bit of a request's number says that it is one */

static int
gate_greet(const struct load_options *o, int fd, struct why *why)
{
	uint8_t theirs[8];
	if (wire_send(fd, "\0SP\0\0\x30\0\0", 8) == 0 && wire_receive(fd, theirs, 8) == 0 && memcmp(theirs, "\0SP\0\0\x31\0\0", 8) == 0)
		return 0;
	snprintf(why->text, sizeof why->text, "what listens is no nanomsg REP socket");
	return -1;
}

static void
append_event(struct request *r, const char *run, int64_t now_ms)
{
	uint8_t at[WIRE_INT_BYTES_MAX];
	uint32_t i = r->events_n++;
	APPEND(r, "\x89\xa1v\x01\xa6source\xa9L");
	request_append(r, run, 4);
	r->source_at[i] = APPEND(r, "0000");
	APPEND(r, "\xa1n\xce");
	r->number_at[i] = APPEND(r, "\0\0\0\0");
	APPEND(r, "\xa4kind\xa4sale\xa3sku\xa8S");
	request_append_sku(r);
	APPEND(r, "\xa8location\xa2" LOCATION "\xa3qty\x01\xa3ref\xaainv-536365\xa2" "at");
	request_append(r, at, (size_t)(wire_int(at, now_ms) - at));
}

static int
gate_prepare(const struct load_options *o, struct request *r, struct why *why)
{
	char run[8];
	uint8_t events_n[3] = { 0xdc, 0, (uint8_t)o->cells_each };
	snprintf(run, sizeof run, "%04x", (unsigned)getpid() & 0xffff);
	*r = (struct request){ .n = 0 };
	APPEND(r, "\0\0\0\0\0\0\0\0");
	r->msgid_at = APPEND(r, "\0\0\0\0");
	r->msgid_bits = NUMBER_TOP;
	request_append(r, events_n, sizeof events_n);
	for (uint32_t i = 0; i < o->cells_each; i++)
		append_event(r, run, clock_wall_ms());
	put_big_endian(r->bytes + 4, (uint32_t)r->n - 8);
	return 0;
}

/* Outcomes end with the last event's. One that was refused ends in a map with a detail, or has "rejected" before. */
static enum answer
gate_answer(const uint8_t *bytes, size_t n, size_t *at, uint32_t *slot, struct bytes *code)
{
	if (n < FRAME_HEAD_BYTES)
		return ANSWER_MORE;
	*at = 8 + (size_t)big_endian(bytes, 8);
	if (*at < FRAME_HEAD_BYTES || *at > (1 << 20))
		return ANSWER_BAD;
	if (n < *at)
		return ANSWER_MORE;
	*slot = (uint32_t)big_endian(bytes + 8, 4) & ~NUMBER_TOP;
	if (!memmem(bytes + FRAME_HEAD_BYTES, *at - FRAME_HEAD_BYTES, "rejected", 8))
		return ANSWER_GRANTED;
	*code = (struct bytes){ (const uint8_t *)"rejected", 8 };
	return ANSWER_REFUSED;
}

const struct protocol load_gate_events = { "gate", WORK_EVENTS, gate_prepare, gate_greet, gate_answer };
