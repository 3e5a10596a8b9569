/*
 * codec_identity.h: who a stock event is: its source, and n or id. One place for what is asked of them, so that a gate's spool never keeps
 * an event that the server can never take.
 *
 * Each reads one value that is not nil. NULL: it is good; else the sentence, and the reader stands where it was.
 */
#ifndef HOLDFAST_NET_CODEC_IDENTITY_H
#define HOLDFAST_NET_CODEC_IDENTITY_H

#include "core/command.h"
#include "net/codec_read.h"

#define DEFECT_TEXT " must be a string of 1 to 64 bytes of UTF-8 without control characters"
#define DEFECT_PLACE " must be a string of 1 to 32 bytes of UTF-8 without control characters"
#define EVENT_NO_MAP "an event must be a map"

static inline const char *
event_source(struct reader *r, struct bytes *source)
{
	return reader_text(r, PLACE_BYTES_MAX, source) ? NULL : "source" DEFECT_PLACE;
}

static inline const char *
event_n(struct reader *r, uint64_t *n)
{
	int64_t got;
	if (!reader_int_in(r, 1, (int64_t)SEQ_MAX, &got))
		return "n must be an integer 1..2^53-1";
	*n = (uint64_t)got;
	return NULL;
}

static inline const char *
event_id(struct reader *r, struct bytes *id)
{
	return reader_text(r, NAME_BYTES_MAX, id) ? NULL : "id" DEFECT_TEXT;
}

/* Once all pairs are read and none was wrong. */
static inline const char *
event_anonymous(bool has_source, bool has_n_or_id)
{
	return !has_source ? "source is missing" : !has_n_or_id ? "n or id is missing" : NULL;
}

#endif
