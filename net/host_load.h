/*
 * host_load.h: the image is read and checked by a thread of its own while the caller's loads what was found sound: the two take about as
 * long, and neither waits for the other but at the ends of a short line of blocks.
 *
 * HL1 The sink is called on the caller's thread, with the same records in the same order as by image_inspect_into.
 * HL2 What the sink got counts only when 0 is returned (image.h).
 *
 * The engine belongs to the caller; the reading thread touches nothing but the file and the blocks, and has ended on return.
 */
#ifndef HOLDFAST_NET_HOST_LOAD_H
#define HOLDFAST_NET_HOST_LOAD_H

#include "persist/image.h"

/* As image_inspect_into, which it is where no thread can be had. */
int host_load_walk(const char *dir, const struct image_probe *, const struct image_sink *, struct image_findings *, struct why *);

#endif
