/* gate_spool_refused.c: see gate_spool_refused.h. */
#include "net/gate_spool_refused.h"

#include "net/codec_write.h"
#include "net/scanner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define NIL 0xc0
#define RECORD_BYTES_MAX (EVENT_BYTES_MAX + REFUSED_TEXT_BYTES_MAX + NAME_BYTES_MAX + 64)

#define RECORD 0x95 /* an array of 5 */

/* Where the last whole record ends, and how many there are. What is neither a record nor nil is what a torn write left. */
static void
records_count(struct gate_refused *f, const uint8_t *at, size_t n)
{
	struct scanner scanner;
	size_t from = 0, end;
	while (from < n) {
		scanner_init(&scanner);
		if ((at[from] != NIL && at[from] != RECORD) || scanner_scan(&scanner, at + from, n - from, n, &end) != SCAN_WHOLE)
			break;
		from += end;
		if (at[from - end] == NIL)
			continue;
		f->end = from;
		f->count++;
	}
}

/* What is left of a torn write becomes nils. */
static int
rest_clear(struct gate_refused *f, uint8_t *at, size_t n)
{
	bool clear = true;
	for (size_t i = f->end; i < n; i++)
		clear &= at[i] == NIL;
	if (clear)
		return 0;
	memset(at + f->end, NIL, n - f->end);
	if (f->disk->calls->write_at(f->disk, f->fd, at + f->end, n - f->end, f->end))
		return -1;
	return f->disk->calls->sync(f->disk, f->fd);
}

static int
refused_read(struct gate_refused *f)
{
	int64_t size = f->disk->calls->size(f->disk, f->fd);
	uint8_t *at = size > 0 ? malloc((size_t)size) : NULL;
	if (size <= 0 || !at)
		return size == 0 ? 0 : -1;
	int failed = f->disk->calls->read_at(f->disk, f->fd, at, (size_t)size, 0) == size ? 0 : -1;
	if (!failed) {
		records_count(f, at, (size_t)size);
		failed = rest_clear(f, at, (size_t)size);
	}
	free(at);
	return failed;
}

int
refused_open(struct gate_refused *f, struct disk *disk, struct why *why)
{
	*f = (struct gate_refused){ .disk = disk, .fd = disk->calls->open(disk, REFUSED_NAME, 0), .pending.limit = REFUSED_BYTES_MAX };
	bool made = f->fd < 0 && errno == ENOENT;
	if (made)
		f->fd = disk->calls->open(disk, REFUSED_NAME, 1);
	if (f->fd >= 0 && (made ? disk->calls->sync_folder(disk) : refused_read(f)) == 0)
		return 0;
	snprintf(why->text, sizeof why->text, "cannot open the file %s of the spool: %s", REFUSED_NAME, strerror(errno));
	refused_close(f);
	return -1;
}

void
refused_close(struct gate_refused *f)
{
	if (f->fd >= 0)
		f->disk->calls->close(f->disk, f->fd);
	f->fd = -1;
	buffer_fini(&f->pending);
}

static uint8_t *
text_put(uint8_t *p, struct bytes text, uint32_t most)
{
	uint32_t n = text.n <= most ? text.n : 0;
	p = wire_big_endian(p, 0xda, n, 2);
	if (n)
		memcpy(p, text.at, n);
	return p + n;
}

bool
refused_add(struct gate_refused *f, uint64_t number, int64_t wall_ms, struct bytes code, struct bytes message, struct bytes event)
{
	if (f->end + f->pending.used + RECORD_BYTES_MAX > REFUSED_BYTES_MAX)
		return false;
	uint8_t *at = buffer_room(&f->pending, RECORD_BYTES_MAX);
	if (!at)
		return false;
	uint8_t *p = wire_array(at, 5);
	p = wire_uint(p, number);
	p = wire_int(p, wall_ms);
	p = text_put(p, code, NAME_BYTES_MAX);
	p = text_put(p, message, REFUSED_TEXT_BYTES_MAX);
	memcpy(p, event.at, event.n);
	f->pending.used += (size_t)(p - at) + event.n;
	f->pending_n++;
	return true;
}

/* What a failed write may have left behind the records that go there now becomes nils with them. False: no memory. */
static bool
left_clear(struct gate_refused *f)
{
	uint64_t end = f->end + f->pending.used, left = f->left > end ? f->left - end : 0;
	uint8_t *at = left ? buffer_room(&f->pending, left) : NULL;
	if (at)
		memset(at, NIL, left);
	f->pending.used += at ? left : 0;
	return left == 0 || at;
}

bool
refused_write(struct gate_refused *f)
{
	size_t records_n = f->pending.used;
	bool written = f->pending_n == 0 || (left_clear(f) && f->disk->calls->write_at(f->disk, f->fd, f->pending.at, f->pending.used, f->end) == 0
	    && f->disk->calls->sync(f->disk, f->fd) == 0);
	if (written && f->pending_n) {
		f->end += records_n;
		f->count += f->pending_n;
		f->left = 0;
	} else if (!written && f->end + f->pending.used > f->left) {
		f->left = f->end + f->pending.used;
	}
	f->pending.used = 0;
	f->pending.full = false;
	f->pending_n = 0;
	return written;
}
