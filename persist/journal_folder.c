/*
 * journal_folder.c: reads the folder and gives every segment file its part: segment, spare, superseded or damaged.
 */
#include "persist/journal_folder.h"

#include "persist/journal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int
journal_why_disk(struct why *why, const char *what, uint64_t generation)
{
	char name[JOURNAL_NAME_BYTES];

	journal_name(name, generation);
	return why_say(why, "cannot %s %s: %s", what, name, strerror(errno));
}

int
journal_why_damage(struct why *why, uint64_t generation, uint64_t offset, const char *what)
{
	char name[JOURNAL_NAME_BYTES];

	journal_name(name, generation);
	return why_say(why, "%s is damaged at offset %llu: %s", name, (unsigned long long)offset, what);
}

static void
folder_each(void *context, const char *name)
{
	struct journal_folder *folder = context;
	uint64_t generation;

	if (strcmp(name, JOURNAL_NEW_NAME) == 0)
		folder->new_left = true;
	if (!journal_name_parse(name, &generation))
		return;
	if (folder->files_n == folder->files_max) {
		size_t max = folder->files_max ? folder->files_max * 2 : 64;
		void *files = realloc(folder->files, max * sizeof *folder->files);
		if (!files) {
			folder->memory_out = true;
			return;
		}
		folder->files = files;
		folder->files_max = max;
	}
	folder->files[folder->files_n++] = (struct journal_file){ .generation = generation };
}

static int
by_generation(const void *a, const void *b)
{
	const struct journal_file *l = a, *r = b;
	return (l->generation > r->generation) - (l->generation < r->generation);
}

/*
 * J9: batches stand behind headers only, since a header is durable before the first batch, but for one: a claim writes its
 * copy first. So in a file without a header a copy alone is an unfinished claim, and anything more is a lost header.
 */
static int
unbegun_judge(struct disk *disk, int fd, struct journal_file *file)
{
	uint8_t bytes[BATCH_HEAD_BYTES];
	uint64_t offset = JOURNAL_BLOCK_BYTES;

	if (file->bytes < JOURNAL_SEGMENT_BYTES_MIN) {
		file->damage = "the file is shorter than any segment";
		file->damage_at = file->bytes;
		return 0;
	}
	for (int i = 0; i < 2; i++) {
		struct batch_head head;
		ssize_t got = disk->calls->read_at(disk, fd, bytes, sizeof bytes, offset);
		if (got < 0)
			return -1;
		if (got != sizeof bytes || !batch_head_decode(bytes, file->generation, &head))
			return 0;
		if (i > 0 || !(head.flags & BATCH_COPY)) {
			file->damage = "the segment's header is lost, its batches are not";
			file->damage_at = 0;
			return 0;
		}
		file->copied = true;
		offset += batch_disk_bytes(head.payload_n);
	}
	return 0;
}

static int
file_read(struct disk *disk, struct journal_file *file)
{
	char name[JOURNAL_NAME_BYTES];
	uint8_t block[JOURNAL_BLOCK_BYTES];
	int fd, failed = 0;

	journal_name(name, file->generation);
	if ((fd = disk->calls->open(disk, name, 0)) < 0)
		return -1;
	int64_t size = disk->calls->size(disk, fd);
	ssize_t got = size < 0 ? -1 : disk->calls->read_at(disk, fd, block, sizeof block, 0);
	if (got < 0) {
		failed = -1;
	} else {
		file->bytes = (uint64_t)size;
		file->begun = segment_head_decode(block, (size_t)got, file->generation, &file->head);
		file->foreign = file->begun ? 0 : segment_head_version(block, (size_t)got, file->generation);
		if (!file->begun && !file->foreign)
			failed = unbegun_judge(disk, fd, file);
	}
	int error = errno;
	disk->calls->close(disk, fd);
	errno = error;
	return failed;
}

/* J7, J8, J10, from the last file to the first. */
static void
folder_judge(struct journal_folder *folder)
{
	uint64_t least = UINT64_MAX; /* first position of any later segment */
	bool begun = false; /* any later file is */
	size_t oldest = 0; /* the first begun file */

	while (oldest < folder->files_n && !folder->files[oldest].begun)
		oldest++;

	for (size_t i = folder->files_n; i-- > 0;) {
		struct journal_file *file = &folder->files[i];
		if (!file->begun) {
			file->out_of_place = begun;
			if (begun && i < oldest && least > 1 && !file->damage)
				file->damage = "no valid segment header, and nothing before it";
			continue;
		}
		begun = true;
		file->superseded = file->head.first_seq >= least;
		if (file->superseded)
			continue;
		least = file->head.first_seq;
		if (file->bytes != file->head.segment_bytes) {
			file->damage = "the file has not the length its header tells";
			file->damage_at = file->bytes;
		}
	}
}

static int
why_foreign(struct why *why, const struct journal_file *file)
{
	char name[JOURNAL_NAME_BYTES];

	journal_name(name, file->generation);
	return why_say(why, "%s is whole, but of format %u, and this Holdfast reads format %u. Way out: the Holdfast that wrote it starts on this folder "
	    "(holdfast scan there gives its stock as CSV), this one on an empty one", name, file->foreign, JOURNAL_VERSION);
}

int
journal_folder_read(struct journal_folder *folder, struct disk *disk, struct why *why)
{
	*folder = (struct journal_folder){ 0 };
	if (disk->calls->list(disk, folder_each, folder))
		return why_say(why, "cannot list the journal's folder: %s", strerror(errno));
	if (folder->memory_out)
		return why_say(why, "no memory for the list of %zu journal files", folder->files_n);
	if (folder->files_n)
		qsort(folder->files, folder->files_n, sizeof *folder->files, by_generation);
	for (size_t i = 0; i < folder->files_n; i++)
		if (file_read(disk, &folder->files[i]))
			return journal_why_disk(why, "read", folder->files[i].generation);
	for (size_t i = 0; i < folder->files_n; i++)
		if ((folder->foreign = folder->files[i].foreign != 0))
			return why_foreign(why, &folder->files[i]);
	folder_judge(folder);
	return 0;
}

bool
journal_is_foreign(struct disk *disk, struct why *why)
{
	struct journal_folder folder;
	bool foreign = journal_folder_read(&folder, disk, why) < 0 && folder.foreign;
	journal_folder_free(&folder);
	return foreign;
}

void
journal_folder_free(struct journal_folder *folder)
{
	free(folder->files);
	*folder = (struct journal_folder){ 0 };
}

const struct journal_file *
journal_folder_after(const struct journal_folder *folder, size_t i)
{
	while (++i < folder->files_n)
		if (folder->files[i].begun && !folder->files[i].superseded)
			return &folder->files[i];
	return NULL;
}
