/*
 * post_read.h: a file of rows, read in pieces: plain or gzip alike, '-' for stdin. Holds one buffer, never the file.
 * A record is one line, or several when a CSV quote spans them.
 */
#ifndef HOLDFAST_CMD_POST_READ_H
#define HOLDFAST_CMD_POST_READ_H

#include "cmd/holdfast_bar.h"
#include "core/base.h"

#define RECORD_BYTES_MAX ((size_t)64 << 10)

struct post_file;

/* NULL: *why says what is wrong with the file and the way out. */
struct post_file *post_read_open(const char *name, struct why *);
void post_read_close(struct post_file *);
/*
 * Reads a gzip file once to its end, checksum included, and goes back to its beginning, so that no row of a damaged one is sent: damage
 * shows only behind the rows that it has made. Nothing to do for a plain file; stdin cannot be read twice, its damage is told where it
 * shows. -1: *why names the line.
 */
int post_read_verify(struct post_file *, struct bar *, struct why *);
/*
 * The next line with its end of line: of a new record, or (join) one more of the present record. Borrowed until the next call.
 * 1: *line; 0: the file ends; -1: *why (unreadable, or a record beyond RECORD_BYTES_MAX).
 */
int post_read_line(struct post_file *, bool join, struct bytes *line, struct why *);
/* The present record without its end of line. Borrowed until the next line. */
struct bytes post_read_record(const struct post_file *);
/* The first bytes of the file, before the first line; at NULL: *why. */
struct bytes post_read_peek(struct post_file *, struct why *);
/* Passes over n of them. */
void post_read_pass(struct post_file *, uint32_t n);
/* How far the file is read, 0 to 1; -1: nobody knows (stdin). */
double post_read_share(const struct post_file *);

#endif
