/*
 * host_tables.h: pages for the tables that recovery is about to fill, given by a thread of its own beside it: the first touch of a page
 * costs as much as loading dozens of cells. A hint: what it does not do, or not in time, the loading thread's touch does.
 *
 * Between host_tables_begin() and host_tables_end() the engine belongs to the thread that loads; this one writes nothing of it.
 */
#ifndef HOLDFAST_NET_HOST_TABLES_H
#define HOLDFAST_NET_HOST_TABLES_H

#include "core/engine.h"
#include "persist/image.h"

struct host_tables;

/* For what LMDB's child saw in the image: a hint. NULL: there is little to do, or no thread; nothing is wrong then. */
struct host_tables *host_tables_begin(const struct engine *, const struct image_findings *);
/* Stops it, done or not. May be NULL. */
void host_tables_end(struct host_tables *);

#endif
