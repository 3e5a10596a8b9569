/*
 * spool_open.c: from whatever a crash left to a spool that can be written.
 *
 *   lock, sync the folder -> list and judge the files -> walk every group -> write the last header and the last group once more, sync
 *
 * The last step makes durable what an earlier process wrote and could not sync: the kernel may hold it in memory only and call it
 * clean. Only the last group can be such, because one is written at a time and nothing follows a failure (S4).
 */
#include "persist/spool_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define FILE_BYTES_MIN ((uint64_t)2 * SPOOL_BODY_OFFSET) /* no segment was ever shorter */

struct listed {
	uint64_t generation, bytes;
	bool begun;
	struct spool_segment_head head;
};

struct listing {
	struct listed *files;
	size_t n, max;
	bool new_left, memory_out;
};

static void
list_each(void *context, const char *name)
{
	struct listing *l = context;
	uint64_t generation;
	if (strcmp(name, SPOOL_NEW_NAME) == 0)
		l->new_left = true;
	if (!spool_name_parse(name, &generation))
		return;
	if (l->n == l->max) {
		size_t max = l->max ? 2 * l->max : 64;
		void *files = realloc(l->files, max * sizeof *l->files);
		if (!files) {
			l->memory_out = true;
			return;
		}
		l->files = files;
		l->max = max;
	}
	l->files[l->n++] = (struct listed){ .generation = generation };
}

static int
by_generation(const void *a, const void *b)
{
	const struct listed *l = a, *r = b;
	return (l->generation > r->generation) - (l->generation < r->generation);
}

static int
file_open(const struct spool *s, struct spool_window *w, uint64_t generation, struct why *why)
{
	char name[SPOOL_NAME_BYTES];
	spool_name(name, generation);
	w->n = 0;
	w->fd = s->disk->calls->open(s->disk, name, 0);
	return w->fd < 0 ? spool_why_disk(why, "open", generation) : 0;
}

/* S5: a file without a header that holds anything but a table of its own generation was a segment. */
static int
unbegun_judge(const struct spool *s, struct spool_window *w, const struct listed *file, struct why *why)
{
	uint8_t at[SPOOL_HEAD_BYTES];
	struct spool_group_head head;
	for (uint64_t offset = SPOOL_BODY_OFFSET;; offset += spool_group_bytes(head.payload_n)) {
		ssize_t got = s->disk->calls->read_at(s->disk, w->fd, at, sizeof at, offset);
		if (got < 0)
			return spool_why_disk(why, "read", file->generation);
		if (got < (ssize_t)sizeof at || !spool_group_decode(at, &head) || head.generation != file->generation)
			return 0;
		if (head.kind != SPOOL_TABLE)
			return spool_why_damage(why, file->generation, 0, "its header is lost, its groups are not");
	}
}

static int
listed_read(const struct spool *s, struct spool_window *w, struct listed *file, struct why *why)
{
	uint8_t block[SPOOL_BODY_OFFSET];
	if (file_open(s, w, file->generation, why))
		return -1;
	int failed = 0;
	int64_t size = s->disk->calls->size(s->disk, w->fd);
	ssize_t got = size < 0 ? -1 : s->disk->calls->read_at(s->disk, w->fd, block, sizeof block, 0);
	if (got < 0) {
		failed = spool_why_disk(why, "read", file->generation);
	} else {
		file->bytes = (uint64_t)size;
		file->begun = spool_segment_decode(block, (size_t)got, file->generation, &file->head);
		if (file->bytes < FILE_BYTES_MIN)
			failed = spool_why_damage(why, file->generation, file->bytes, "the file is shorter than any segment");
		else if (file->begun && file->bytes != file->head.bytes)
			failed = spool_why_damage(why, file->generation, file->bytes, "the file has not the length that its header tells");
		else if (!file->begun)
			failed = unbegun_judge(s, w, file, why);
	}
	s->disk->calls->close(s->disk, w->fd);
	w->fd = -1;
	return failed;
}

static int
listing_read(const struct spool *s, struct spool_window *w, struct listing *l, struct why *why)
{
	if (s->disk->calls->list(s->disk, list_each, l))
		return why_say(why, "the spool cannot list its folder: %s", strerror(errno));
	if (l->memory_out)
		return why_say(why, "no memory for the list of %zu spool files", l->n);
	if (l->n)
		qsort(l->files, l->n, sizeof *l->files, by_generation);
	bool begun = false;
	for (size_t i = l->n; i-- > 0;) {
		if (listed_read(s, w, &l->files[i], why))
			return -1;
		if (begun && !l->files[i].begun)
			return spool_why_damage(why, l->files[i].generation, 0, "no valid header, and a later segment has one");
		begun |= l->files[i].begun;
	}
	return 0;
}

/* ---- the groups ---- */

struct walk {
	struct spool_found *found;
	uint64_t last_group; /* offset in the last file; 0: it has none but its table */
	uint64_t last_bytes;
};

static void
events_accept(struct spool *s, const uint8_t *payload, uint32_t n)
{
	struct bytes records = { payload, n }, event;
	struct spool_identity identity;
	while (spool_record(&records, &event)) {
		s->options.identify(event, &identity);
		if (identity.source.n && identity.n)
			accepted_add(&s->accepted, identity.source, identity.n, identity.n, identity.at);
	}
}

/* S3. NULL, or what is wrong with a group that is whole. */
static const char *
group_take(struct spool *s, struct spool_file *file, bool last, const struct spool_group_head *head, const uint8_t *payload,
    struct spool_found *found)
{
	bool first = file->end == SPOOL_BODY_OFFSET;
	if (first != (head->kind == SPOOL_TABLE))
		return first ? "the table of sources is missing" : "a table of sources where none may be";
	if (head->first != file->last + 1)
		return "the group does not follow the one before it";
	if (head->kind == SPOOL_TABLE && last && !accepted_decode(&s->accepted, payload, head->payload_n))
		return "the table of sources";
	if (head->kind == SPOOL_EVENTS && last)
		events_accept(s, payload, head->payload_n);
	if (head->delivered > found->delivered)
		found->delivered = head->delivered;
	found->closed = head->kind == SPOOL_CLOSE;
	file->last += head->kind == SPOOL_EVENTS ? head->count : 0;
	return NULL;
}

/* S4. Behind the last whole group: unused space or a torn tail, unless a whole head of this segment follows. */
static int
tail_judge(const struct spool *s, struct spool_window *w, const struct spool_file *file, const char *what, struct spool_found *found,
    struct why *why)
{
	struct spool_group_head head;
	for (uint64_t offset = file->end; offset + SPOOL_HEAD_BYTES <= file->head.bytes; offset += SPOOL_SECTOR_BYTES) {
		const uint8_t *at = spool_window_at(s, w, offset, SPOOL_HEAD_BYTES, file->head.bytes);
		if (!at)
			return spool_why_disk(why, "read", file->head.generation);
		bool whole = spool_group_decode(at, &head) && head.generation == file->head.generation && head.salt == file->head.salt;
		if (whole && offset > file->end)
			return spool_why_damage(why, file->head.generation, file->end, what);
		if (offset == file->end && spool_group_trace(at, file->head.generation))
			found->cut_bytes = whole ? spool_group_bytes(head.payload_n) : SPOOL_SECTOR_BYTES;
	}
	return 0;
}

static int
file_walk(struct spool *s, struct spool_window *w, uint32_t i, struct walk *walk, struct why *why)
{
	struct spool_file *file = &s->files[i];
	struct spool_group_head head;
	const uint8_t *payload;
	const char *what;
	bool last = i == s->files_n - 1;
	int got;
	file->last = file->head.first - 1;
	file->end = SPOOL_BODY_OFFSET;
	while ((got = spool_group_read(s, w, file, file->end, file->head.bytes, &head, &payload, &what)) > 0) {
		if ((what = group_take(s, file, last, &head, payload, walk->found)))
			return spool_why_damage(why, file->head.generation, file->end, what);
		if (last && head.kind != SPOOL_TABLE)
			walk->last_group = file->end;
		walk->last_bytes = spool_group_bytes(head.payload_n);
		file->end += walk->last_bytes;
	}
	if (got < 0)
		return spool_why_disk(why, "read", file->head.generation);
	if (file->end == SPOOL_BODY_OFFSET)
		return spool_why_damage(why, file->head.generation, file->end, "the table of sources is missing");
	if (!last && file->last + 1 != s->files[i + 1].head.first)
		return spool_why_damage(why, file->head.generation, file->end, what);
	return last ? tail_judge(s, w, file, what, walk->found, why) : 0;
}

/* What the walk read is written once more, then synced. */
static int
tail_secure(struct spool *s, struct spool_window *w, const struct walk *walk, struct why *why)
{
	const struct spool_file *file = spool_current(s);
	uint8_t block[SPOOL_BODY_OFFSET];
	spool_segment_encode(block, &file->head);
	int failed = s->disk->calls->write_at(s->disk, w->fd, block, sizeof block, 0);
	if (!failed && walk->last_group) {
		ssize_t got = s->disk->calls->read_at(s->disk, w->fd, w->buffer, walk->last_bytes, walk->last_group);
		failed = got != (ssize_t)walk->last_bytes
		    || s->disk->calls->write_at(s->disk, w->fd, w->buffer, walk->last_bytes, walk->last_group);
	}
	if (failed || s->disk->calls->sync(s->disk, w->fd))
		return spool_why_disk(why, "write to", file->head.generation);
	return 0;
}

static int
files_walk(struct spool *s, struct spool_window *w, struct spool_found *found, struct why *why)
{
	struct walk walk = { .found = found };
	for (uint32_t i = 0; i < s->files_n; i++) {
		if (file_open(s, w, s->files[i].head.generation, why))
			return -1;
		int failed = file_walk(s, w, i, &walk, why);
		bool last = i == s->files_n - 1;
		if (!failed && last)
			failed = tail_secure(s, w, &walk, why);
		if (!failed && last) {
			s->fd = w->fd;
			w->fd = -1;
			return 0;
		}
		s->disk->calls->close(s->disk, w->fd);
		w->fd = -1;
		if (failed)
			return -1;
	}
	return 0;
}

/* ---- putting it together ---- */

/* The segments stay; of what has none the last one of the right length becomes the spare, the rest goes. */
static int
listing_take(struct spool *s, const struct listing *l, struct why *why)
{
	char name[SPOOL_NAME_BYTES];
	bool changed = l->new_left;
	s->files_max = (uint32_t)(l->n + s->options.bytes_max / s->options.segment_bytes + 2);
	s->files = calloc(s->files_max, sizeof *s->files);
	if (!s->files)
		return why_say(why, "no memory for the spool");
	if (l->new_left && s->disk->calls->remove(s->disk, SPOOL_NEW_NAME))
		return why_say(why, "the spool cannot remove %s: %s", SPOOL_NEW_NAME, strerror(errno));
	s->generation_next = l->n ? l->files[l->n - 1].generation + 1 : 1;
	for (size_t i = 0; i < l->n; i++) {
		const struct listed *file = &l->files[i];
		if (file->begun) {
			s->files[s->files_n++] = (struct spool_file){ .head = file->head };
		} else if (!s->spare && file->bytes == s->options.segment_bytes) {
			s->spare = file->generation;
			s->spare_bytes = file->bytes;
		} else {
			spool_name(name, file->generation);
			if (s->disk->calls->remove(s->disk, name))
				return spool_why_disk(why, "remove", file->generation);
			changed = true;
		}
	}
	if (changed && s->disk->calls->sync_folder(s->disk))
		return why_say(why, "the spool cannot sync its folder: %s", strerror(errno));
	return 0;
}

static int
spool_start(struct spool *s, struct spool_found *found, struct why *why)
{
	struct listing listing = { .files = NULL };
	struct spool_window *w = &s->cursor.window;
	int failed = listing_read(s, w, &listing, why) || listing_take(s, &listing, why);
	free(listing.files);
	if (failed || files_walk(s, w, found, why))
		return -1;
	if (s->files_n == 0) {
		if (!s->spare && spool_spare_make(s, why))
			return -1;
		if (!s->spare)
			return why_say(why, "there is no room for a spool: it needs %llu bytes at once", (unsigned long long)s->options.segment_bytes);
		if (spool_roll(s, why))
			return -1;
	}
	s->last = spool_current(s)->last;
	if (found->delivered < s->files[0].head.first - 1)
		found->delivered = s->files[0].head.first - 1;
	if (found->delivered > s->last)
		return spool_why_damage(why, spool_current(s)->head.generation, spool_current(s)->end, "more was delivered than there is");
	found->last = s->last;
	s->delivered = s->delivered_written = found->delivered;
	s->cursor.next = s->delivered + 1;
	return 0;
}

/* Two full groups fit behind the largest table, so that what spool_fits() promised fits in one fresh segment. */
static int
sizes_set(struct spool *s, struct why *why)
{
	const struct spool_options *o = &s->options;
	uint64_t besides = SPOOL_BODY_OFFSET + spool_group_bytes(accepted_bytes_max(&s->accepted)) + 4 * SPOOL_SECTOR_BYTES;
	uint64_t most = o->segment_bytes > besides ? (o->segment_bytes - besides) / 2 : 0;
	most = most > SPOOL_SECTOR_BYTES + SPOOL_HEAD_BYTES ? most - SPOOL_SECTOR_BYTES - SPOOL_HEAD_BYTES : 0;
	s->payload_max = most < SPOOL_PAYLOAD_BYTES_MAX ? (size_t)most : SPOOL_PAYLOAD_BYTES_MAX;
	if (s->payload_max < EVENT_BYTES_MAX + SPOOL_RECORD_BYTES || o->segment_bytes % SPOOL_BODY_OFFSET || o->bytes_max < 4 * o->segment_bytes)
		return why_say(why, "a spool of %llu bytes in segments of %llu is too small", (unsigned long long)o->bytes_max,
		    (unsigned long long)o->segment_bytes);
	return 0;
}

static int
folder_lock(struct disk *disk, struct why *why)
{
	if (disk->calls->lock(disk))
		return errno == EWOULDBLOCK ? why_say(why, "another gate uses this spool folder (it is locked)")
		    : why_say(why, "the spool cannot lock its folder: %s", strerror(errno));
	/* What an earlier process renamed or removed before a sync failed must be durable before anything builds on it. */
	if (disk->calls->sync_folder(disk))
		return why_say(why, "the spool cannot sync its folder: %s", strerror(errno));
	return 0;
}

struct spool *
spool_open(struct disk *disk, const struct spool_options *options, struct spool_found *found, struct why *why)
{
	struct spool *s = calloc(1, sizeof *s);
	*found = (struct spool_found){ 0 };
	if (!s || accepted_init(&s->accepted, options->sources_max, options->salt) < 0) {
		why_say(why, "no memory for the spool");
		free(s);
		return NULL;
	}
	s->disk = disk;
	s->options = *options;
	s->fd = s->cursor.window.fd = -1;
	s->group = malloc(spool_window_size());
	s->cursor.window.buffer = malloc(spool_window_size());
	if (!s->group || !s->cursor.window.buffer)
		why_say(why, "no memory for the spool");
	else if (sizes_set(s, why) == 0 && folder_lock(disk, why) == 0 && spool_start(s, found, why) == 0)
		return s;
	s->failed = true; /* writes no close */
	spool_close(s);
	return NULL;
}
