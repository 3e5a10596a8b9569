/*
 * journal_segments.c: the files behind the segments. A spare is a whole file of segment_bytes that was allocated and written
 * once, so that an append overwrites (half the cost of appending, and a full disk is met here, not in a commit). It already
 * bears the name of its generation; no valid header for that generation is in it.
 *
 * Each change of the folder is synced before the next one, oldest segment first, so that a crash leaves no hole in the
 * chain. A folder sync that fails may have lost a name for good: the journal is broken then (L4).
 */
#include "persist/journal_private.h"

#include <errno.h>
#include <stdlib.h>

/*
 * Zeroes are written and synced in pieces: a batch that syncs beside waits for one piece at most. They go past the page cache; where they
 * cannot, their pages go back at once, so that all pieces use the same few: a page that is touched for the first time costs more than its
 * write, above all in a virtual machine.
 */
#define ZERO_BYTES ((size_t)1 << 20)

#define SPARES_READY  2 /* in a busy journal: one that filled its last segment within ROLLS_FAST_MS */
#define ROLLS_FAST_MS 10000

static int
zero_fill(struct disk *disk, int file, uint64_t bytes)
{
	size_t piece = bytes < ZERO_BYTES ? (size_t)bytes : ZERO_BYTES;
	uint8_t *zeroes = aligned_alloc(JOURNAL_BLOCK_BYTES, piece);
	int failed = zeroes ? 0 : -1;

	if (zeroes)
		memset(zeroes, 0, piece);

	for (uint64_t at = 0; at < bytes && !failed; at += piece) {
		size_t n = bytes - at < piece ? (size_t)(bytes - at) : piece;
		failed = disk->calls->write_past(disk, file, zeroes, n, at) || disk->calls->sync(disk, file) ? -1 : 0;
		disk->calls->forget(disk, file, at, n);
	}
	free(zeroes);
	return failed;
}

static int
file_make(struct journal *j)
{
	struct disk *disk = j->disk;
	int file = disk->calls->open(disk, JOURNAL_NEW_NAME, 1);

	/* An earlier attempt failed, and so did its removal. */
	if (file < 0 && errno == EEXIST && disk->calls->remove(disk, JOURNAL_NEW_NAME) == 0)
		file = disk->calls->open(disk, JOURNAL_NEW_NAME, 1);
	if (file < 0)
		return -1;
	int failed = disk->calls->allocate(disk, file, j->options.segment_bytes) || zero_fill(disk, file, j->options.segment_bytes);
	int error = errno;
	disk->calls->close(disk, file);
	if (failed)
		disk->calls->remove(disk, JOURNAL_NEW_NAME);
	errno = error;
	return failed ? -1 : 0;
}

static int
folder_sync(struct journal *j, struct why *why)
{
	if (j->disk->calls->sync_folder(j->disk) == 0)
		return 0;
	why_say(why, "cannot sync the journal's folder: %s", strerror(errno));
	journal_break(j, why);
	return -1;
}

/* Renames a file in no list to the next generation and lists it as a spare. */
static int
spare_add(struct journal *j, const char *from, struct why *why)
{
	char name[JOURNAL_NAME_BYTES];

	journal_name(name, j->next_generation);
	if (j->disk->calls->rename(j->disk, from, name))
		return why_say(why, "cannot rename %s to %s: %s", from, name, strerror(errno));
	if (folder_sync(j, why)) {
		/* The name may never become durable: the next claim, which may see it in memory, must not build on it. */
		j->disk->calls->remove(j->disk, name);
		return -1;
	}
	pthread_mutex_lock(&j->list);
	j->spares[j->spares_n++] = j->next_generation++;
	pthread_mutex_unlock(&j->list);
	return 0;
}

/* Of a full disk: what is needed and what is left. */
static int
say_no_segment(struct journal *j, struct why *why)
{
	unsigned long long bytes = j->options.segment_bytes;
	int error = errno;
	if (error != ENOSPC && error != EDQUOT && error != EFBIG)
		return why_say(why, "cannot make a journal segment of %llu bytes: %s", bytes, strerror(error));
	return why_say(why, "cannot make a journal segment of %llu bytes: %s. Way out: make room, the data folder's disk has %lld MiB left", bytes,
	    strerror(error), (long long)(j->disk->calls->free_bytes(j->disk) >> 20));
}

/* The folder is synced before the rename too, so that a crash cannot give the new name to a half-made file of before. */
int
journal_spare_make(struct journal *j, struct why *why)
{
	if (file_make(j))
		return say_no_segment(j, why);
	if (folder_sync(j, why) || spare_add(j, JOURNAL_NEW_NAME, why)) {
		j->disk->calls->remove(j->disk, JOURNAL_NEW_NAME);
		return -1;
	}
	return 0;
}

static bool
spare_pop(struct journal *j, uint64_t *generation)
{
	pthread_mutex_lock(&j->list);
	bool any = j->spares_n > 0;
	if (any) {
		*generation = j->spares[0];
		memmove(j->spares, j->spares + 1, --j->spares_n * sizeof *j->spares);
	}
	pthread_mutex_unlock(&j->list);
	return any;
}

int
journal_spare_take(struct journal *j, uint64_t *generation, struct why *why)
{
	if (spare_pop(j, generation))
		return 0;
	pthread_mutex_lock(&j->making);
	int failed = 0;
	if (!spare_pop(j, generation)) {
		failed = journal_spare_make(j, why);
		if (!failed)
			ensure(spare_pop(j, generation));
	}
	pthread_mutex_unlock(&j->making);
	return failed;
}

int
journal_retire(struct journal *j, uint64_t generation, uint64_t bytes, struct why *why)
{
	char name[JOURNAL_NAME_BYTES];

	journal_name(name, generation);
	pthread_mutex_lock(&j->list);
	bool room = j->spares_n < (j->free_low ? 1 : j->options.spares_max); /* only who holds making adds; a full disk gets its room back */
	pthread_mutex_unlock(&j->list);
	if (room && bytes == j->options.segment_bytes)
		return spare_add(j, name, why);
	if (j->disk->calls->remove(j->disk, name))
		return journal_why_disk(why, "remove", generation);
	return folder_sync(j, why);
}

/* May the oldest segment go? list is held. The last batch of a segment ends where the next one's first begins. */
static bool
oldest_is_free(const struct journal *j, uint64_t before)
{
	uint64_t rest = 0;

	if (j->segments_n < 2 || j->segments[1].first_seq > before)
		return false;
	if (j->segments_n > JOURNAL_HISTORY_SEGMENTS_MAX)
		return true;
	for (size_t i = 1; i < j->segments_n; i++)
		rest += j->segments[i].segment_bytes;
	if (rest >= j->options.history_bytes)
		return true;
	int64_t age_ms = j->last_stamp_ms - j->segments[1].prev_stamp_ms;
	return j->options.history_age_ms && age_ms > 0 && (uint64_t)age_ms > j->options.history_age_ms;
}

/* Takes the oldest segment off the list first: readers find it gone before its bytes change. */
static bool
oldest_take(struct journal *j, uint64_t before, struct segment_head *head)
{
	pthread_mutex_lock(&j->list);
	bool yes = !j->broken && oldest_is_free(j, before);
	if (yes) {
		*head = j->segments[0];
		memmove(j->segments, j->segments + 1, --j->segments_n * sizeof *j->segments);
	}
	pthread_mutex_unlock(&j->list);
	return yes;
}

/* Its file could not be renamed or removed: it stays the oldest, so that the chain on the disk has no hole. */
static void
oldest_give_back(struct journal *j, const struct segment_head *head)
{
	pthread_mutex_lock(&j->list);
	memmove(j->segments + 1, j->segments, j->segments_n++ * sizeof *j->segments);
	j->segments[0] = *head;
	pthread_mutex_unlock(&j->list);
}

/* The oldest segment wholly below `before` whose pages are still in memory. Generations ascend: it is looked for by halves. */
static bool
unneeded_next(struct journal *j, uint64_t before, uint64_t *generation)
{
	pthread_mutex_lock(&j->list);
	size_t at = 0, end = j->segments_n;
	while (at < end) {
		size_t middle = at + (end - at) / 2;
		if (j->segments[middle].generation > j->forgotten)
			end = middle;
		else
			at = middle + 1;
	}
	bool found = at + 1 < j->segments_n && j->segments[at + 1].first_seq <= before;
	if (found)
		*generation = j->segments[at].generation;
	pthread_mutex_unlock(&j->list);
	return found;
}

/*
 * What the image holds is read again by few (a follower of the past, a replay), so its pages serve the segments to come instead of
 * filling the memory with a history of a gigabyte. Failures change nothing. making is held.
 */
static void
unneeded_forget(struct journal *j, uint64_t before)
{
	char name[JOURNAL_NAME_BYTES];

	while (unneeded_next(j, before, &j->forgotten)) {
		journal_name(name, j->forgotten);
		int file = j->disk->calls->open(j->disk, name, 0);
		if (file < 0)
			continue;
		j->disk->calls->forget(j->disk, file, 0, j->options.segment_bytes);
		j->disk->calls->close(j->disk, file);
	}
}

static void
free_measure(struct journal *j)
{
	int64_t left = j->disk->calls->free_bytes(j->disk);

	pthread_mutex_lock(&j->list);
	j->free_low = left >= 0 && left < JOURNAL_FREE_RESERVE_BYTES;
	pthread_mutex_unlock(&j->list);
}

int
journal_trim(struct log *log, uint64_t before, struct why *why)
{
	struct journal *j = journal_of(log);
	struct segment_head head;
	int failed = 0;

	pthread_mutex_lock(&j->making);
	while (!failed && oldest_take(j, before, &head))
		if ((failed = journal_retire(j, head.generation, head.segment_bytes, why)))
			oldest_give_back(j, &head);
	unneeded_forget(j, before);
	free_measure(j);
	pthread_mutex_unlock(&j->making);
	return failed;
}

/* The last segment was filled so soon that the next roll may come while a spare is being made: an append would wait for it. list is held. */
static bool
rolls_fast(const struct journal *j)
{
	const struct segment_head *last = j->segments + j->segments_n - 1;
	return j->segments_n > 1 && last->prev_stamp_ms - last[-1].prev_stamp_ms < ROLLS_FAST_MS;
}

int
journal_prepare(struct log *log, struct why *why)
{
	struct journal *j = journal_of(log);
	int failed = 0;

	pthread_mutex_lock(&j->making);
	pthread_mutex_lock(&j->list);
	bool wanted = j->claimed && !j->broken && (j->spares_n == 0 || (j->spares_n < j->options.spares_max && j->spares_n < SPARES_READY && rolls_fast(j)));
	pthread_mutex_unlock(&j->list);
	if (wanted)
		failed = journal_spare_make(j, why);
	pthread_mutex_lock(&j->list);
	j->spare_failed = failed != 0;
	pthread_mutex_unlock(&j->list);
	free_measure(j);
	pthread_mutex_unlock(&j->making);
	return failed;
}
