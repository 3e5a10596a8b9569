/*
 * backup_place.h: what there is in a folder that a backup or a restore is about to be written to. For backup.c and restore.c.
 */
#ifndef HOLDFAST_PERSIST_BACKUP_PLACE_H
#define HOLDFAST_PERSIST_BACKUP_PLACE_H

#include "core/base.h"
#include "persist/disk.h"

struct place_found {
	bool journal, image;
	char journal_name[32];
	char other[256]; /* the first file that is neither, nor a left-over of one of ours; empty: none */
};

/* `path` is for the sentence. -1: why. */
int place_look(struct disk *, const char *path, struct place_found *, struct why *);

#endif
