/*
 * Any groups, with right checksums, in a spool's only segment: the folder is opened or refused with a sentence; what is opened gives
 * its events in the order of their numbers, takes more, and is opened again with them.
 *
 * Each group of the input: a byte of kind and wishes, a byte of count, a byte of length, then the payload.
 */
#include "persist/crc32c.h"
#include "persist/spool.h"
#include "persist/spool_format.h"
#include "tests/sim_disk.h"

#include <stdlib.h>
#include <string.h>

#define SEGMENT_BYTES 20480
#define SALT 77

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void
must(bool condition)
{
	if (!condition)
		abort();
}

static void
identify(struct bytes event, struct spool_identity *identity)
{
	*identity = (struct spool_identity){ .source = { event.at, event.n < 6 ? event.n : 6 }, .n = event.at[event.n - 1], .at = 5 };
}

static const struct spool_options options = { .bytes_max = 6 * SEGMENT_BYTES, .segment_bytes = SEGMENT_BYTES, .sources_max = 4, .salt = SALT,
	.identify = identify };

/* Lays one group at `at`; returns the bytes it takes of the file, and moves the input on. */
static uint64_t
group_lay(uint8_t *at, const uint8_t **bytes, size_t *n, uint64_t *first)
{
	uint8_t wish = (*bytes)[0], count = (*bytes)[1], length = (*bytes)[2];
	uint32_t payload_n = (uint32_t)(length < *n - 3 ? length : *n - 3);
	struct spool_group_head head = { .kind = (enum spool_kind)(wish & 7), .generation = 1, .salt = SALT, .first = *first + (wish >> 6),
		.delivered = wish & 8 ? *first - 1 : wish & 16 ? UINT64_MAX : 0, .stamp_ms = wish & 32 ? -1 : 5, .count = count,
		.payload_n = payload_n };
	if (length == 255 && count == 255)
		head.payload_n = UINT32_MAX; /* a length that is not there */
	memcpy(at + SPOOL_HEAD_BYTES, *bytes + 3, payload_n);
	head.payload_crc = crc32c(0, *bytes + 3, payload_n);
	spool_group_encode(at, &head);
	*bytes += 3 + payload_n;
	*n -= 3 + payload_n;
	*first += head.kind == SPOOL_EVENTS ? count : 0;
	return spool_group_bytes(payload_n);
}

static void
folder_lay(struct disk *disk, const uint8_t *bytes, size_t n)
{
	static uint8_t file[SEGMENT_BYTES];
	char name[SPOOL_NAME_BYTES];
	uint64_t at = SPOOL_BODY_OFFSET, first = 1;
	memset(file, 0, sizeof file);
	spool_segment_encode(file, &(struct spool_segment_head){ .generation = 1, .first = 1, .bytes = SEGMENT_BYTES, .salt = SALT });
	while (n > 3 && at + spool_group_bytes(255) <= SEGMENT_BYTES)
		at += group_lay(file + at, &bytes, &n, &first);
	spool_name(name, 1);
	int handle = disk->calls->open(disk, name, 1);
	must(handle >= 0 && disk->calls->write_at(disk, handle, file, sizeof file, 0) == 0 && disk->calls->sync(disk, handle) == 0);
	disk->calls->close(disk, handle);
	must(disk->calls->sync_folder(disk) == 0);
}

/* How many events were read; each one more than the last. */
static uint64_t
events_read(struct spool *s, struct why *why)
{
	struct spool_event event;
	uint64_t last = 0, n = 0;
	int got;
	while ((got = spool_next(s, &event, why)) > 0) {
		must(event.number > last && event.bytes.n > 0 && event.bytes.n <= EVENT_BYTES_MAX && (n == 0 || event.number == last + 1));
		last = event.number;
		n++;
	}
	must(got == 0 || why->text[0]);
	return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct disk *disk = sim_disk_new();
	struct spool_found found;
	struct why why = { "" };
	must(disk);
	folder_lay(disk, bytes, n);
	struct spool *s = spool_open(disk, &options, &found, &why);
	must(s || why.text[0]);
	if (s) {
		static const struct bytes one = { (const uint8_t *)"one more", 8 };
		uint64_t before = events_read(s, &why), last = 0;
		if (spool_fits(s, one.n + SPOOL_RECORD_BYTES, false))
			last = spool_add(s, one);
		must(last == 0 || spool_commit(s, 6, &why) == 0);
		spool_close(s);
		sim_disk_kill(disk); /* the lock is for the life of a process */
		s = spool_open(disk, &options, &found, &why);
		must(s && found.last >= last && events_read(s, &why) >= (last ? 1 : 0) && before < UINT64_MAX);
		spool_close(s);
	}
	disk->calls->end(disk);
	return 0;
}
