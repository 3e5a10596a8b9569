/*
 * pages.h: checks the image's file page by page, without LMDB: the bytes are read as what LMDB 0.9 writes (data version 1, one
 * unnamed database with integer keys), and every offset is checked before it is followed, so that no damage can crash it.
 *
 * Checked:
 *   - both meta pages: kind, magic, version, page size, equal flags; their transaction numbers are neighbours and in their places
 *   - the tree of records and LMDB's tree of free pages: each page's own number and kind, its bounds, that its nodes fill it
 *     exactly, depth, keys rising and inside what the branches above promise (so that every search finds its key), the counts
 *     of branch, leaf and overflow pages and of entries
 *   - each page is in one tree once, or free once, never both
 *   - each record: its checksum; then the meta record's: number of records and the sum over all
 * Not checked, because nothing ever reads it: bytes of free pages, gaps inside pages, the older meta page's trees. Pages that
 * are neither used nor free are counted only: they are lost room.
 *
 * Reads only, a page at a time; takes a bit of memory per page. Any thread.
 */
#ifndef HOLDFAST_PERSIST_PAGES_H
#define HOLDFAST_PERSIST_PAGES_H

#include "persist/disk.h"
#include "persist/image.h"

/*
 * A file of so many bytes, open. 0: sound, findings are filled; -1: why, findings hold what was found before. Each record goes to the sink
 * (may be NULL) as soon as its page and its checksum are right.
 */
int pages_check(struct disk *, int file, uint64_t bytes, const struct image_sink *, struct image_findings *, struct why *);

#endif
