/*
 * gate_ask.h: questions over REP, beside events: a map with the key "ask". Pure.
 *
 *   {v: 1, ask: "position", source: "pos-17"}  ->  [0, msgid, "position", ["pos-17"]]  ->  {position: {...}}
 *   {v: 1, ask: "status"}                      ->  {gate: {counter: value, ...}}, from here
 */
#ifndef HOLDFAST_NET_GATE_ASK_H
#define HOLDFAST_NET_GATE_ASK_H

#include "core/base.h"

enum ask {
	ASK_NOTHING, /* an event */
	ASK_POSITION,
	ASK_STATUS,
	ASK_WRONG, /* another question, or without what it needs */
};

struct ask_read {
	struct bytes source; /* ASK_POSITION: its name */
	struct bytes source_object; /* ... and the whole msgpack string; both borrowed from the message */
	const char *sentence; /* ASK_WRONG: what is wrong */
};

/* message[0..n) is one whole msgpack map. */
enum ask gate_ask_read(const uint8_t *message, size_t n, struct ask_read *);

#endif
