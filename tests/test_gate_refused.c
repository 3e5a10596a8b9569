/*
 * test_gate_refused.c: the file of events that were acknowledged and that the server will never keep: full, torn at every byte, on a disk
 * that does not take it. Nothing that was written whole is lost by any of it, and what does not fit is left to be tried again.
 */
#include "tests/check.h"
#include "tests/image_rig.h"

#include <stdlib.h>
#include <unistd.h>

#include "net/gate_spool_refused.h"
#include "net/scanner.h"

static struct bytes
text(const char *s)
{
	return (struct bytes){ (const uint8_t *)s, (uint32_t)strlen(s) };
}

/* An event of so many bytes: one msgpack string. */
static struct bytes
event_of(uint32_t n)
{
	static uint8_t at[EVENT_BYTES_MAX];
	memset(at, 'e', n);
	at[0] = 0xda;
	at[1] = (uint8_t)((n - 3) >> 8);
	at[2] = (uint8_t)(n - 3);
	return (struct bytes){ at, n };
}

static bool
add(struct gate_refused *f, uint64_t number, uint32_t bytes)
{
	return refused_add(f, number, 1700000000000, text("stale"), text("too old"), event_of(bytes));
}

static struct disk *
disk_of(const char *dir)
{
	struct why why;
	struct disk *disk = disk_posix_open(dir, &why);
	if (!disk)
		printf("     %s\n", why.text);
	return disk;
}

/* Objects in the file, as any reader of msgpack counts them; nils left out. UINT64_MAX: there is something else. */
static uint64_t
objects(const char *dir)
{
	size_t n, from = 0, end;
	uint64_t count = 0;
	uint8_t *at = file_get(dir, REFUSED_NAME, &n);
	while (from < n) {
		struct scanner scanner;
		scanner_init(&scanner);
		if (scanner_scan(&scanner, at + from, n - from, n, &end) != SCAN_WHOLE) {
			count = UINT64_MAX;
			break;
		}
		count += at[from] != 0xc0;
		from += end;
	}
	free(at);
	return count;
}

static void
a_full_file_takes_no_more_and_keeps_what_it_has(void)
{
	char dir[256];
	struct gate_refused f;
	struct why why;
	uint64_t n = 0, kept;
	folder_new(dir);
	struct disk *disk = disk_of(dir);
	check(disk && refused_open(&f, disk, &why) == 0);
	while (add(&f, n + 1, EVENT_BYTES_MAX)) {
		n++;
		check(n % 100 || refused_write(&f));
	}
	check(refused_write(&f));
	check(n > 7000 && f.count == n && f.end <= REFUSED_BYTES_MAX && REFUSED_BYTES_MAX - f.end < 4096);
	check(!add(&f, n + 1, EVENT_BYTES_MAX) && refused_write(&f) && f.count == n);
	kept = f.end;
	refused_close(&f);
	check_equal(objects(dir), n);
	check_equal(refused_open(&f, disk, &why), 0);
	check(f.count == n && f.end == kept && !add(&f, n + 1, EVENT_BYTES_MAX));
	refused_close(&f);
	/* The operator moves it away: the next start has a new one. */
	char line[600];
	snprintf(line, sizeof line, "mv %s/%s %s/away", dir, REFUSED_NAME, dir);
	check_equal(system(line), 0);
	check_equal(refused_open(&f, disk, &why), 0);
	check(f.count == 0 && f.end == 0 && add(&f, n + 1, EVENT_BYTES_MAX) && refused_write(&f) && f.count == 1);
	refused_close(&f);
	disk->calls->end(disk);
	folder_remove(dir);
}

static void
a_record_torn_at_any_byte_is_cleared_and_the_next_one_goes_behind_the_last_whole_one(void)
{
	enum { WHOLE = 3 };
	char dir[256];
	struct gate_refused f;
	struct why why;
	size_t n;
	folder_new(dir);
	struct disk *disk = disk_of(dir);
	check(disk && refused_open(&f, disk, &why) == 0);
	for (uint64_t i = 1; i <= WHOLE; i++)
		check(add(&f, i, 40) && refused_write(&f));
	uint64_t before = f.end;
	check(add(&f, WHOLE + 1, 90) && refused_write(&f));
	refused_close(&f);
	uint8_t *bytes = file_get(dir, REFUSED_NAME, &n);
	check(bytes && n > before + 90);
	for (size_t cut = before; cut <= n; cut++) {
		file_put(dir, REFUSED_NAME, bytes, cut);
		check_equal(refused_open(&f, disk, &why), 0);
		check_equal(f.count, cut == n ? WHOLE + 1 : WHOLE);
		check_equal(f.end, cut == n ? n : before);
		check(add(&f, 9, 10) && refused_write(&f));
		refused_close(&f);
		check_equal(objects(dir), (cut == n ? WHOLE + 1 : WHOLE) + 1); /* a shorter one: nils stand behind it */
		check_equal(refused_open(&f, disk, &why), 0);
		check_equal(f.count, (cut == n ? WHOLE + 1 : WHOLE) + 1);
		refused_close(&f);
	}
	free(bytes);
	disk->calls->end(disk);
	folder_remove(dir);
}

/* ---- a disk whose writes or syncs fail when the test says so ---- */

static struct disk_calls failing;
static bool write_fails, sync_fails;
static const struct disk_calls *real;

static int
write_at(struct disk *d, int fd, const void *at, size_t n, uint64_t offset)
{
	return write_fails ? -1 : real->write_at(d, fd, at, n, offset);
}

static int
sync_file(struct disk *d, int fd)
{
	return sync_fails ? -1 : real->sync(d, fd);
}

static void
what_the_disk_does_not_take_is_not_counted_and_is_taken_the_next_time(void)
{
	char dir[256];
	struct gate_refused f;
	struct why why;
	folder_new(dir);
	struct disk *disk = disk_of(dir);
	check(disk);
	real = disk->calls;
	failing = *real;
	failing.write_at = write_at;
	failing.sync = sync_file;
	disk->calls = &failing;
	check_equal(refused_open(&f, disk, &why), 0);
	check(add(&f, 1, 40) && refused_write(&f));
	uint64_t before = f.end;
	for (int round = 0; round < 2; round++) {
		write_fails = round == 0;
		sync_fails = round == 1;
		check(add(&f, 2, 200) && !refused_write(&f));
		check(f.count == 1 && f.end == before && f.pending_n == 0);
	}
	write_fails = sync_fails = false;
	check(add(&f, 2, 60) && refused_write(&f) && f.count == 2); /* over what the failed sync may have left */
	refused_close(&f);
	check_equal(refused_open(&f, disk, &why), 0);
	check_equal(f.count, 2);
	refused_close(&f);
	check_equal(objects(dir), 2);
	disk->calls = real;
	disk->calls->end(disk);
	folder_remove(dir);
}

static const struct check tests[] = {
	CHECK(a_full_file_takes_no_more_and_keeps_what_it_has),
	CHECK(a_record_torn_at_any_byte_is_cleared_and_the_next_one_goes_behind_the_last_whole_one),
	CHECK(what_the_disk_does_not_take_is_not_counted_and_is_taken_the_next_time),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof tests[0], argc, argv);
}
