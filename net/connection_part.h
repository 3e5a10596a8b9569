/*
 * connection_part.h: what connection.c (in) and connection_output.c (out) share; nobody else includes it.
 */
#ifndef HOLDFAST_NET_CONNECTION_PART_H
#define HOLDFAST_NET_CONNECTION_PART_H

#include "net/connection.h"

/* ---- frames (connection.c) ---- */
/* Handles the whole frames in bytes[0..n); returns how many bytes are done with. */
size_t connection_parse(struct connection *, const uint8_t *bytes, size_t n);
/* bytes[done..n) stay until more comes, or until the stall is over, or for the next turn. */
void connection_tail_keep(struct connection *, const uint8_t *bytes, size_t done, size_t n);

void connection_stall_clear(struct connection *);

/* ---- turns (connection_turn.c) ---- */
/* Whether libevent reports the socket. False: no memory. */
bool connection_report(struct connection *, bool on);
void connection_line_leave(struct connection *);
/* libevent's callback: there are bytes, or an end. */
void connection_readable(int fd, short what, void *connection);

/* ---- output (connection_output.c) ---- */
/* On the loop's list of those whose output may go out in this round. */
void connection_dirty_add(struct connection *);
void connection_dirty_remove(struct connection *);
bool connection_output_is_long(const struct connection *, size_t bound);
/* `out` has a buffer and its limit. */
void connection_out_ready(struct connection *);
/* Counts the buffers in loop->held_bytes; the end of the round looks whether they are too many. */
void connection_held_count(struct connection *);
/* libevent's callback: the socket takes bytes again. */
void connection_writable(int fd, short what, void *connection);

#endif
