/*
 * record.h: the typed bodies of entries and their decoders; encode.h has the encoders, entry.h the frame around them. Fields have fixed
 * places; only what varies much is told by a form or a mask (encode.h).
 *
 * Decoders borrow from the body (arrays of lines go into the caller's scratch) and return false on bytes that are none.
 */
#ifndef HOLDFAST_CORE_RECORD_H
#define HOLDFAST_CORE_RECORD_H

#include "core/base.h"
#include "core/cells.h"
#include "core/command.h"
#include "core/engine.h"
#include "core/entry.h"

struct name_record {
	uint32_t table, id;
	struct bytes name;
};

struct option_record {
	uint32_t option;
	int64_t value;
};

struct group_record {
	uint32_t location;
	bool building; /* the definition that a job is building; else the live one */
	uint32_t members_n; /* 0: none (removed, or nothing being built) */
	const uint32_t *members; /* location ids by priority */
};

struct cell_record {
	uint32_t cell;
	struct cell_image now;
	uint64_t previous; /* position of the cell's entry before; 0: the first */
	int64_t ats_before;
};

struct floor_record {
	uint32_t cell;
	int64_t floor; /* greatest `at` of a dropped delta */
};

/* A resolved line. granted = held + committed + fulfilled + released + expired + handed_over + moved to another line. */
struct line_record {
	uint32_t cell;
	uint32_t granted, held, committed, fulfilled, released, expired, handed_over;
	uint32_t origin; /* index + 1 of the line it was moved from; 0: from the reserve itself */
};

#define RESERVATION_PARTIAL 1u
#define RESERVATION_PINNED  2u

/* A reservation beside its id, lines and extra: in the table, in the record and in the bytes the same 40 bytes. */
struct reservation_terms {
	int64_t created_at;
	uint64_t first_seq; /* position of the reserve */
	uint64_t digest; /* of the content (D13) */
	uint32_t ttl_ms; /* the first one: the first reply's expires_at = created_at + ttl_ms */
	uint32_t life_ms; /* expires_at = created_at + life_ms */
	uint16_t lines_n, extra_n;
	uint16_t channel; /* id + 1; 0: none */
	uint8_t flags, id_n;
};
_Static_assert(sizeof(struct reservation_terms) == 40, "no holes: its bytes are the format");

struct reservation_record {
	uint32_t slot;
	struct reservation_terms terms;
	const uint8_t *id;
	const struct line_record *lines;
	const uint8_t *extra; /* owner and refs: refs.h */
	uint64_t id_hash; /* no part of the bytes: the id's hash in the index where it is known already, else 0 */
};

static inline int64_t
terms_expire_at(const struct reservation_terms *t)
{
	return t->created_at + t->life_ms;
}

static inline struct bytes
record_id(const struct reservation_record *r)
{
	return (struct bytes){ r->id, r->terms.id_n };
}

static inline struct bytes
record_extra(const struct reservation_record *r)
{
	return (struct bytes){ r->extra, r->terms.extra_n };
}

struct source_record {
	uint32_t source;
	uint64_t contiguous, highest;
	int64_t last_at; /* -1: none */
};

/* One seen number, with the source's marks after it. */
struct mark_record {
	uint32_t source;
	uint64_t n;
	uint64_t digest;
	uint32_t outcome, status; /* enum event_outcome, enum status of a rejected one */
	uint64_t contiguous, highest;
	int64_t last_at;
};

struct free_id_record {
	uint64_t number; /* 0, 1, ... */
	uint32_t slot; /* number mod the ring's size */
	uint64_t id[2]; /* XXH3-128 of the id */
	uint32_t source;
	uint64_t digest;
	int64_t arrival;
	uint32_t outcome, status;
};

struct delta_record {
	uint64_t number; /* 0, 1, ... */
	uint32_t slot; /* number mod the ring's size */
	uint32_t cell;
	int64_t at, arrival;
	int64_t qty; /* signed */
	uint32_t source; /* id + 1; 0: a command */
	uint64_t n; /* 0: none */
};

struct quarantine_record {
	uint32_t slot;
	uint64_t number;
	bool kept; /* false: dropped or replayed */
	uint32_t reason; /* enum status */
	int64_t at;
	struct bytes raw;
};

bool name_decode(const struct entry_bytes *, struct name_record *);
bool option_decode(const struct entry_bytes *, struct option_record *);
bool group_decode(const struct entry_bytes *, struct group_record *, uint32_t members[GROUP_MEMBERS_MAX]);
bool cell_decode(const struct entry_bytes *, struct cell_record *);
bool floor_decode(const struct entry_bytes *, struct floor_record *);
bool reservation_decode(const struct entry_bytes *, struct reservation_record *, struct line_record lines[LINES_MAX]);
bool source_decode(const struct entry_bytes *, struct source_record *);
bool mark_decode(const struct entry_bytes *, struct mark_record *);
bool free_id_decode(const struct entry_bytes *, struct free_id_record *);
bool delta_decode(const struct entry_bytes *, struct delta_record *);
bool quarantine_decode(const struct entry_bytes *, struct quarantine_record *);

#endif
