/*
 * pages_ahead.h: tells the disk which pages a walk will read next. The trees of an image that was long in use jump all over the file, which
 * a disk answers far more slowly one by one; a hint for the whole file would read what is free, too, and a file that is longer than the
 * memory twice.
 *
 * Pure hints: of damaged bytes they are wrong, never harmful. Any thread.
 */
#ifndef HOLDFAST_PERSIST_PAGES_AHEAD_H
#define HOLDFAST_PERSIST_PAGES_AHEAD_H

#include "persist/disk.h"

/* The children of a branch page with these bytes. */
void pages_ahead(struct disk *, int file, const uint8_t *branch, uint32_t page_bytes);

#endif
