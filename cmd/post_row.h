/*
 * post_row.h: a row of a file becomes the msgpack map of one stock event. CSV rows by their columns, JSON lines by their keys;
 * what a row does not say comes from defaults and the numbering.
 */
#ifndef HOLDFAST_CMD_POST_ROW_H
#define HOLDFAST_CMD_POST_ROW_H

#include "cmd/post_key.h"
#include "cmd/post_read.h"

#define POST_COLUMNS_MAX 64
#define POST_EVENT_ROOM (RECORD_BYTES_MAX + 1024) /* what needs more is too long, too */
#define POST_TOO_LONG "the event is longer than 2,048 bytes"

enum post_format { POST_UNDECIDED, POST_CSV, POST_JSON };

struct post_rows;

struct post_event {
	const uint8_t *bytes; /* the msgpack map */
	uint32_t n;
	struct bytes source; /* for --resume; empty when the row names none */
	int64_t number; /* its n; 0: none */
	bool dated; /* it says when it happened */
	uint8_t kept[PLACE_BYTES_MAX]; /* where the source of a JSON row outlives its parsed line */
	const char *defect; /* not NULL: it cannot be sent at all; a static sentence, bytes hold nothing */
};

struct post_rows *post_rows_new(void);
void post_rows_free(struct post_rows *);
/* false: no such key. The text is borrowed. */
bool post_rows_default(struct post_rows *, const char *key, size_t key_n, const char *value);
/* CSV: the column `from` holds `key`; key NULL: it is passed over. Borrowed. false: no such key, or too many. */
bool post_rows_column(struct post_rows *, const char *from, size_t from_n, const char *key);
/* Rows without n get first, first + 1, ... by their place in the file. */
void post_rows_number(struct post_rows *, int64_t first);
void post_rows_format(struct post_rows *, enum post_format);

/* Reads the header of a CSV file or finds that it holds JSON lines. -1: *why. Before the first next. */
int post_rows_begin(struct post_rows *, struct post_file *, struct why *);
/* The next row as an event, borrowed until the next call. 1; 0: the file ends; -1: *why. The raw row: post_read_record(). */
int post_rows_next(struct post_rows *, struct post_file *, struct post_event *, struct why *);
/* Rows seen so far, the header not counted. */
uint64_t post_rows_count(const struct post_rows *);

/* Shared with post_json.c: one event from one line of JSON. */
void post_json_event(const struct post_defaults *, struct bytes line, uint8_t *room, struct post_event *);

#endif
