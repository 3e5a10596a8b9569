/*
 * Any bytes as a file that `holdfast post` reads: what becomes of each row is a sentence, or one whole map that is no longer than an
 * event may be. The first three bytes say what stands in front of the text, so that rows of 64 KiB come from inputs of 4: a list of
 * numbers, or nothing; and whether rows get values that they lack.
 */
#define _GNU_SOURCE /* memfd_create */
#include "cmd/post_row.h"
#include "net/scanner.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define FILE_BYTES_MAX (RECORD_BYTES_MAX + 8192)
#define NUMBERS_MAX    7500 /* nine bytes each in an event, and four in a row */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void
must(bool condition)
{
	if (!condition)
		abort();
}

static size_t
make_file(uint8_t *to, int numbers, const uint8_t *bytes, size_t n)
{
	size_t used = 0;
	if (numbers > 0) {
		used = (size_t)sprintf((char *)to, "{\"x\":[1.0");
		for (int i = 1; i < numbers; i++)
			used += (size_t)sprintf((char *)to + used, ",1.0");
		used += (size_t)sprintf((char *)to + used, "],");
	}
	if (n > FILE_BYTES_MAX - used)
		n = FILE_BYTES_MAX - used;
	memcpy(to + used, bytes, n);
	return used + n;
}

static void
look(const struct post_event *e)
{
	struct scanner s;
	size_t end = 0;
	if (e->defect)
		return;
	scanner_init(&s);
	must(e->n <= EVENT_BYTES_MAX);
	must(scanner_scan(&s, e->bytes, e->n, e->n, &end) == SCAN_WHOLE && end == e->n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static uint8_t file[FILE_BYTES_MAX];
	static char path[64];
	static int fd = -1;
	struct post_event e;
	struct why why;
	if (n < 3)
		return 0;
	if (fd < 0) {
		must((fd = memfd_create("rows", MFD_CLOEXEC)) >= 0);
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	}
	size_t size = make_file(file, (bytes[0] << 8 | bytes[1]) % NUMBERS_MAX, bytes + 3, n - 3);
	must(ftruncate(fd, 0) == 0 && pwrite(fd, file, size, 0) == (ssize_t)size);
	struct post_file *f = post_read_open(path, &why);
	struct post_rows *r = post_rows_new();
	must(f && r);
	if (bytes[2] & 1)
		must(post_rows_default(r, "source", 6, "till") && post_rows_default(r, "kind", 4, "sale"));
	if (bytes[2] & 2)
		post_rows_number(r, INT64_C(1) << 52);
	if (post_rows_begin(r, f, &why) == 0)
		while (post_rows_next(r, f, &e, &why) == 1)
			look(&e);
	post_rows_free(r);
	post_read_close(f);
	return 0;
}
