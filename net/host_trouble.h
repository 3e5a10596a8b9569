/*
 * host_trouble.h: what the host's threads have to tell an operator about the disk: one line when a trouble begins or its
 * reason changes, one when it is over. The figures beside it are `journal_low` and `image_failures`.
 *
 * One for each thread: trouble_journal() where room is made ahead, trouble_image() on the checkpointer's.
 */
#ifndef HOLDFAST_NET_HOST_TROUBLE_H
#define HOLDFAST_NET_HOST_TROUBLE_H

#include "core/base.h"
#include "persist/disk.h"
#include "persist/journal.h"

struct trouble {
	const char *data; /* the folder */
	struct disk *disk; /* of it */
	const struct journal_options *journal;
	void (*say)(void *context, const char *line); /* NULL: nobody listens */
	void *context;
	bool low, image;
	struct why image_why; /* said last */
};

/* After each prepare of the journal. why: it failed; NULL: it did not. */
void trouble_journal(struct trouble *, bool low, uint64_t journal_bytes, const struct why *);
/* After each step of the checkpointer, likewise. */
void trouble_image(struct trouble *, const struct why *);

#endif
