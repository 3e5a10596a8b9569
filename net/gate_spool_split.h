/*
 * gate_spool_split.h: the events of one message, each with the identity that lets it be queued. Pure; the bytes are whole msgpack
 * (frame_check() has passed them). The same readings as the server's own decoder of events: what it would never keep for want of
 * an identity is told to the sender now.
 */
#ifndef HOLDFAST_NET_GATE_SPOOL_SPLIT_H
#define HOLDFAST_NET_GATE_SPOOL_SPLIT_H

#include "net/gate_frame.h"
#include "persist/spool.h"

struct split_event {
	struct bytes bytes; /* borrowed from the message */
	enum status status; /* OK: may be queued; else BAD_REQUEST or TOO_LARGE and why */
	const char *sentence;
};

/* Fills events[] (room for EVENTS_MAX); returns how many. *bytes: what the good ones take in a spool. */
uint32_t split_message(const uint8_t *message, size_t n, struct split_event events[], size_t *bytes);

/* struct spool_options' hook: source.n 0 for an event without a good identity. */
void split_identify(struct bytes event, struct spool_identity *);

#endif
