/*
 * connection_part.h: what connection.c (in) and connection_output.c (out) share; nobody else includes it.
 */
#ifndef HOLDFAST_NET_CONNECTION_PART_H
#define HOLDFAST_NET_CONNECTION_PART_H

#include "net/connection.h"

/* On the loop's list of those whose output may go out in this round. */
void connection_dirty_add(struct connection *);
void connection_dirty_remove(struct connection *);
bool connection_output_is_long(const struct connection *, size_t bound);
/* `out` has a buffer and its limit. */
void connection_out_ready(struct connection *);
/* Counts the buffers. False: the loop holds too much, and this connection was closed for it. */
bool connection_held_count(struct connection *);
/* libevent's callback: the socket takes bytes again. */
void connection_writable(int fd, short what, void *connection);

#endif
