/*
 * test_image_damage.c: damage in the image's file is found or harmless, never served and never a crash. Harmless is judged by
 * the strictest means there is: LMDB loads the same records from the damaged file, takes more commits, and is sound after them.
 */
#include "tests/check.h"
#include "tests/image_rig.h"

#include "persist/image_record.h"
#include "persist/pages.h"

#include <sys/wait.h>
#include <unistd.h>

#define MIB       (UINT64_C(1) << 20)
#define FLIPS     30000 /* in memory, by pages_check alone */
#define SERVED    150 /* of those that are harmless: written out, loaded and written to by LMDB */
#define FORKED    20 /* through image_verify */
#define PAGE      4096

static const struct batch_shape shape = { .steps = 40, .entries = 4, .keys = 200, .body_max = 2500 };

/* An image of several commits, with branches, overflow pages and free pages. */
static uint8_t *whole;
static size_t whole_n;
static struct fold_twin twin;
static uint64_t seed;

static void
make_image(const char *dir, int commits, uint8_t **file, size_t *n)
{
	struct why why;
	struct image *image = image_open(dir, 64 * MIB, &why);
	ensure(image != NULL);
	for (int i = 0; i < commits; i++) {
		const struct log_batch *b = draw_batch(&seed, image_collected_seq(image), &shape);
		ensure(image_collect(image, b, &why) == 0);
		fold_twin_fold(&twin, b);
		ensure(image_commit(image, &why) == 0);
	}
	ensure(fold_twin_is(&twin, image)); /* puts the twin in the order of keys */
	image_close(image);
	*file = file_get(dir, "image", n);
}

/* A disk that is one file in memory. */
struct memory_disk {
	struct disk disk;
	const uint8_t *bytes;
	size_t n;
};

static ssize_t
memory_read_at(struct disk *disk, int file, void *to, size_t n, uint64_t offset)
{
	struct memory_disk *m = (struct memory_disk *)disk;
	size_t left = offset < m->n ? m->n - (size_t)offset : 0;
	if (n > left)
		n = left;
	memcpy(to, m->bytes + offset, n);
	return (ssize_t)n;
}

static uint64_t hints; /* pages that were announced */

static void
memory_ahead(struct disk *disk, int file, uint64_t offset, uint64_t n)
{
	hints += n / PAGE;
}

static bool
sound(const uint8_t *bytes, size_t n, struct image_findings *found, struct why *why)
{
	static const struct disk_calls calls = { .read_at = memory_read_at, .ahead = memory_ahead };
	struct memory_disk m = { { &calls }, bytes, n };
	return pages_check(&m.disk, 0, n, NULL, found, why) == 0;
}

/* What a server would do with the file, in a child: 0 when every record is right, now and after more commits. */
static int
serve(const char *dir)
{
	struct why why;
	struct image *image = image_open(dir, 64 * MIB, &why);
	if (image == NULL || !fold_twin_is(&twin, image))
		return 1;
	for (int i = 0; i < 3; i++) {
		const struct log_batch *b = draw_batch(&seed, image_collected_seq(image), &shape);
		fold_twin_fold(&twin, b);
		if (image_collect(image, b, &why) < 0 || image_commit(image, &why) < 0)
			return 2;
	}
	if (!fold_twin_is(&twin, image))
		return 3;
	image_close(image);
	return image_verify(dir, &why) == 0 ? 0 : 4;
}

static int
serve_in_child(const uint8_t *bytes, size_t n)
{
	char dir[256];
	int status;
	folder_new(dir);
	file_put(dir, "image", bytes, n);
	fflush(stdout);
	pid_t child = fork();
	if (child == 0)
		_exit(serve(dir));
	waitpid(child, &status, 0);
	folder_remove(dir);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void
an_undamaged_image_accounts_for_every_page(void)
{
	struct image_findings found;
	struct why why = { "" };
	hints = 0;
	check(sound(whole, whole_n, &found, &why));
	check(hints > 0);
	check_equal(found.meta.records, twin.n);
	check_equal(found.pages_lost, 0);
	check(found.pages_free > 0);
	check(found.records_of_kind[ENTRY_CELL] > 0 && found.records_of_kind[ENTRY_FLOOR] == 0);
	check_equal(serve_in_child(whole, whole_n), 0);
}

static void
each_flipped_bit_is_found_or_harmless(void)
{
	struct image_findings found, before;
	struct why why;
	int served = 0, found_n = 0, apart = 0;
	check(sound(whole, whole_n, &before, &why));
	/* All bits that say something in the two meta pages, then any bits. */
	size_t meta_bits = (16 + 136) * 8;
	for (size_t i = 0; i < 2 * meta_bits + FLIPS; i++) {
		size_t bit = i < 2 * meta_bits ? i / meta_bits * PAGE * 8 + i % meta_bits : draw(&seed) % (whole_n * 8);
		whole[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (!sound(whole, whole_n, &found, &why)) {
			found_n++;
		} else {
			/*
			 * A flip that makes the older meta page the later one gives the whole commit before: the journal behind it
			 * is replayed, or recovery says that it is gone.
			 */
			bool other = memcmp(&found.meta, &before.meta, sizeof(found.meta)) != 0;
			apart += other;
			check(!other || found.meta.seq == before.meta.seq - shape.steps);
			if (!other && served < SERVED && i % (i < 2 * meta_bits ? 23 : 50) == 0) {
				served++;
				int rc = serve_in_child(whole, whole_n);
				if (rc != 0)
					printf("     bit %zu of page %zu, byte %zu: %d\n", bit % 8, bit / 8 / PAGE, bit / 8 % PAGE, rc);
				check_equal(rc, 0);
			}
		}
		whole[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	printf("     %d flips found, %d of the harmless ones served, %d gave the commit before\n", found_n, served, apart);
	check(found_n > FLIPS / 10);
	check(served > SERVED / 4);
	check(apart <= 2);
	check(sound(whole, whole_n, &found, &why));
}

/* The pages that lead to others, LMDB's branches: nothing in them is harmless but what is named here. */
static void
each_flipped_bit_of_the_structure_is_found(void)
{
	struct image_findings found;
	struct why why;
	size_t flips = 0;
	for (size_t page = 2 * PAGE; page < whole_n; page += PAGE) {
		uint8_t *at = whole + page;
		uint16_t kind, lower, upper;
		bool key[PAGE] = { false };
		memcpy(&kind, at + 10, 2);
		memcpy(&lower, at + 12, 2);
		memcpy(&upper, at + 14, 2);
		/* A page that is in use: without it the file is damaged. */
		at[0] ^= 1;
		bool used = !sound(whole, whole_n, &found, &why);
		at[0] ^= 1;
		if (!used || kind != 1)
			continue;
		for (uint16_t i = 16, offset, key_n; i < lower; i += 2) {
			memcpy(&offset, at + i, 2);
			memcpy(&key_n, at + offset + 6, 2); /* 0 in the leftmost node, if that has none */
			memset(key + offset + 8, true, key_n);
		}
		for (size_t byte = 0; byte < PAGE; byte++) {
			if (byte == 8 || byte == 9 || (byte >= lower && byte < upper))
				continue; /* padding; the gap */
			if (key[byte])
				continue; /* may be any number between the last key on its left and the first on its right */
			for (int bit = 0; bit < 8; bit++, flips++) {
				at[byte] ^= (uint8_t)(1 << bit);
				bool missed = sound(whole, whole_n, &found, &why);
				at[byte] ^= (uint8_t)(1 << bit);
				if (missed)
					printf("     bit %d of page %zu, byte %zu\n", bit, page / PAGE, byte);
				check(!missed);
			}
		}
	}
	printf("     %zu flips, all found\n", flips);
	check(flips > 1000);
}

/* A sink that takes note of what it gets. */
struct given {
	struct fold_twin twin;
	struct image_meta meta;
};

static void
given_begin(void *context, const struct image_meta *meta)
{
	((struct given *)context)->meta = *meta;
}

static void
given_record(void *context, uint64_t seq, const struct entry_bytes *e)
{
	fold_twin_put(&((struct given *)context)->twin, seq, e);
}

static bool
same_records(const struct fold_twin *a, const struct fold_twin *b)
{
	bool same = a->n == b->n;
	for (uint32_t i = 0; same && i < a->n; i++) {
		const struct twin_record *x = &a->records[i], *y = &b->records[i];
		same = x->kind == y->kind && x->key == y->key && x->seq == y->seq && x->body_n == y->body_n && memcmp(x->body, y->body, x->body_n) == 0;
	}
	return same;
}

/*
 * A start's way: LMDB in a child, then check and load in one pass. 0 or -1 as image_verify; -2: it was taken, but what was given is not
 * what is there.
 */
static int
verify_by_load(const char *dir, bool probed, struct why *why)
{
	struct given given = { 0 };
	struct image_sink sink = { given_begin, given_record, &given };
	struct image_probe probe;
	struct image_findings found;
	if (probed)
		image_probe(dir, &probe);
	fold_twin_init(&given.twin);
	int rc = image_inspect_into(dir, probed ? &probe : NULL, &sink, &found, why);
	bool right = given.twin.n == found.meta.records && memcmp(&given.meta, &found.meta, sizeof found.meta) == 0;
	if (probed)
		right &= probe.found.records_of_kind[ENTRY_CELL] >= found.records_of_kind[ENTRY_CELL] && probe.found.records_of_kind[ENTRY_FLOOR] == 0;
	if (found.meta.records == twin.n)
		right &= same_records(&twin, &given.twin);
	fold_twin_fini(&given.twin);
	return rc == 0 && !right ? -2 : rc;
}

static void
a_load_gets_every_record_once_and_in_order(void)
{
	char dir[256];
	struct why why = { "" };
	folder_new(dir);
	check_equal(verify_by_load(dir, true, &why), 0);
	file_put(dir, "image", whole, whole_n);
	check_equal(verify_by_load(dir, true, &why), 0);
	check_equal(verify_by_load(dir, false, &why), 0);
	folder_remove(dir);
}

/* What LMDB's child complains of alone, a start is told, too: here of a meta record that is another one than the pages hold. */
static void
what_lmdb_reads_otherwise_stops_a_load(void)
{
	char dir[256];
	struct image_probe probe;
	struct image_findings found;
	struct given given = { 0 };
	struct image_sink sink = { given_begin, given_record, &given };
	struct why why = { "" };
	folder_new(dir);
	file_put(dir, "image", whole, whole_n);
	image_probe(dir, &probe);
	fold_twin_init(&given.twin);
	check_equal(probe.opened, 0);
	probe.found.meta.seq++;
	check_equal(image_inspect_into(dir, &probe, &sink, &found, &why), -1);
	check(strstr(why.text, "LMDB reads another meta record") != NULL);
	probe.found.meta.seq--;
	probe.opened = -1;
	strcpy(probe.why.text, "the process that read it ended");
	check_equal(image_inspect_into(dir, &probe, &sink, &found, &why), -1);
	check(strcmp(why.text, probe.why.text) == 0);
	fold_twin_fini(&given.twin);
	folder_remove(dir);
}

static void
a_flipped_bit_is_found_through_the_file_too(void)
{
	char dir[256];
	struct why why;
	folder_new(dir);
	int found_n = 0;
	for (int i = 0; i < FORKED; i++) {
		struct image_findings found;
		size_t bit = draw(&seed) % (whole_n * 8);
		whole[bit / 8] ^= (uint8_t)(1 << bit % 8);
		file_put(dir, "image", whole, whole_n);
		bool is_sound = sound(whole, whole_n, &found, &why);
		check_equal(image_verify(dir, &why), is_sound ? 0 : -1);
		found_n += !is_sound;
		check(is_sound || strstr(why.text, "damaged: page ") != NULL);
		struct why same;
		check_equal(verify_by_load(dir, true, &same), is_sound ? 0 : -1);
		check(is_sound || strcmp(same.text, why.text) == 0);
		whole[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	check(found_n > 0);
	folder_remove(dir);
}

static void
a_truncated_file_is_found(void)
{
	struct image_findings found;
	struct why why;
	for (size_t n = 0; n < whole_n; n += n % PAGE < 200 ? 1 : 997)
		check(!sound(whole, n, &found, &why));
}

static void
exchanged_zeroed_and_stale_pages_are_found(void)
{
	char dir[256];
	struct image_findings found;
	struct why why;
	uint8_t kept[PAGE], *later;
	size_t later_n, stale_found = 0, unread = 0;
	for (size_t a = 0; a < whole_n; a += PAGE) {
		memcpy(kept, whole + a, PAGE);
		memset(whole + a, 0, PAGE);
		bool zeroed = sound(whole, whole_n, &found, &why) && found.meta.seq == 400 && found.meta.records == twin.n;
		size_t b = draw(&seed) % (whole_n / PAGE) * PAGE;
		memcpy(whole + a, whole + b, PAGE);
		bool copied = sound(whole, whole_n, &found, &why) && found.meta.seq == 400 && found.meta.records == twin.n;
		memcpy(whole + a, kept, PAGE);
		/* Only what nothing reads may be other bytes: a free page, which both replacements leave sound. */
		check_equal(zeroed, copied || (a == b && zeroed));
	}
	/* Writes that the disk forgot: one page of the file as it was a commit ago. */
	folder_new(dir);
	file_put(dir, "image", whole, whole_n);
	make_image(dir, 1, &later, &later_n);
	for (size_t a = 2 * PAGE; a < whole_n; a += PAGE) {
		if (memcmp(later + a, whole + a, PAGE) == 0)
			continue;
		memcpy(kept, later + a, PAGE);
		memcpy(later + a, whole + a, PAGE);
		bool stale = sound(later, later_n, &found, &why);
		memset(later + a, 0, PAGE);
		bool zeroed = sound(later, later_n, &found, &why);
		memcpy(later + a, kept, PAGE);
		check_equal(stale, zeroed); /* sound only where nothing is read */
		stale_found += !stale;
		unread += stale;
	}
	printf("     %zu stale pages found, %zu that nothing reads\n", stale_found, unread);
	check(stale_found > 20);
	free(later);
	folder_remove(dir);
}

static uint64_t
number_at(size_t offset, size_t n)
{
	uint64_t number = 0;
	memcpy(&number, whole + offset, n);
	return number;
}

/* Offset of a leaf's first node; 0 when the page is no leaf in use. */
static size_t
first_node(size_t page)
{
	struct image_findings found;
	struct why why;
	whole[page] ^= 1;
	bool used = !sound(whole, whole_n, &found, &why);
	whole[page] ^= 1;
	return used && number_at(page + 10, 2) == 2 ? page + number_at(page + 16, 2) : 0;
}

/* Bytes that are wrong, and bytes that are whole but not those of the last commit, as when the disk forgot a write. */
static void
a_wrong_record_is_found_by_its_checksum_and_an_old_one_by_the_sum(void)
{
	struct image_findings found;
	struct why why;
	int tried = 0;
	for (size_t page = 2 * PAGE; page < whole_n; page += PAGE) {
		size_t node = first_node(page), n = number_at(node, 4), value = node + 16;
		uint64_t key = number_at(node + 8, 8);
		if (node == 0 || number_at(node + 4, 2) != 0 || key >> RECORD_KIND_SHIFT == 0 || n <= RECORD_HEAD_BYTES)
			continue;
		uint32_t before = (uint32_t)number_at(value, 4);
		whole[value + 4] ^= 1;
		check(!sound(whole, whole_n, &found, &why) && strstr(why.text, "the checksum of record") != NULL);
		uint32_t crc = record_crc(key, whole + value, n);
		memcpy(whole + value, &crc, 4);
		check(!sound(whole, whole_n, &found, &why) && strstr(why.text, "their sum is not") != NULL);
		memcpy(whole + value, &before, 4);
		whole[value + 4] ^= 1;
		tried++;
	}
	check(tried > 10);
}

static void
a_page_that_is_free_and_used_is_found(void)
{
	struct image_findings found;
	struct why why;
	size_t meta = number_at(144, 8) > number_at(PAGE + 144, 8) ? 0 : PAGE;
	size_t node = first_node(number_at(meta + 80, 8) * PAGE), list = node + 16;
	check(node != 0 && number_at(list, 8) > 0);
	size_t last = list + number_at(list, 8) * 8;
	uint64_t before = number_at(last, 8), tried = 0;
	for (uint64_t page = 2; page < before; page++, tried++) {
		memcpy(whole + last, &page, 8);
		check(!sound(whole, whole_n, &found, &why) && strstr(why.text, "which has another owner") != NULL);
	}
	memcpy(whole + last, &before, 8);
	check(tried > 0);
}

/* Two records of a leaf exchanged: each is whole, and the sum is right, but no search finds them. */
static void
records_out_of_order_in_a_leaf_are_found(void)
{
	struct image_findings found;
	struct why why;
	int tried = 0;
	for (size_t page = 2 * PAGE; page < whole_n; page += PAGE) {
		uint16_t nodes[2], turned[2];
		if (first_node(page) == 0 || number_at(page + 12, 2) < 16 + sizeof nodes)
			continue;
		memcpy(nodes, whole + page + 16, sizeof nodes);
		turned[0] = nodes[1], turned[1] = nodes[0];
		memcpy(whole + page + 16, turned, sizeof turned);
		check(!sound(whole, whole_n, &found, &why) && strstr(why.text, "is out of order") != NULL);
		memcpy(whole + page + 16, nodes, sizeof nodes);
		tried++;
	}
	check(tried > 10);
}

/* The separators of branches, too large and too small. */
static void
branch_keys_out_of_order_are_found(void)
{
	struct image_findings found;
	struct why why;
	int tried = 0;
	for (size_t page = 2 * PAGE; page < whole_n; page += PAGE) {
		whole[page] ^= 1;
		bool used = !sound(whole, whole_n, &found, &why);
		whole[page] ^= 1;
		if (!used || number_at(page + 10, 2) != 1)
			continue;
		size_t last = page + number_at(page + number_at(page + 12, 2) - 2, 2) + 8, second = page + number_at(page + 18, 2) + 8;
		uint64_t wrong[] = { UINT64_MAX, 0 };
		for (int i = 0; i < 2; i++) {
			size_t at = i ? second : last;
			uint64_t before = number_at(at, 8);
			memcpy(whole + at, &wrong[i], 8);
			check(!sound(whole, whole_n, &found, &why) && strstr(why.text, "is out of order") != NULL);
			memcpy(whole + at, &before, 8);
			tried++;
		}
	}
	check(tried >= 2);
}

/* Branch, leaf and overflow pages and entries of both trees, as the meta page in force tells them. */
static void
wrong_counts_of_a_tree_are_found(void)
{
	struct image_findings found;
	struct why why;
	size_t meta = number_at(144, 8) > number_at(PAGE + 144, 8) ? 0 : PAGE;
	for (size_t tree = 0; tree < 2; tree++)
		for (size_t field = 0; field < 4; field++) {
			size_t at = meta + 40 + tree * 48 + 8 + field * 8;
			for (int by = -1; by <= 1; by += 2) {
				uint64_t before = number_at(at, 8), wrong = before + (uint64_t)by;
				memcpy(whole + at, &wrong, 8);
				check(!sound(whole, whole_n, &found, &why) && strstr(why.text, "the counts of a tree are wrong") != NULL);
				memcpy(whole + at, &before, 8);
			}
		}
	check(sound(whole, whole_n, &found, &why));
}

static const struct check tests[] = {
	CHECK(an_undamaged_image_accounts_for_every_page),
	CHECK(each_flipped_bit_is_found_or_harmless),
	CHECK(each_flipped_bit_of_the_structure_is_found),
	CHECK(a_flipped_bit_is_found_through_the_file_too),
	CHECK(a_load_gets_every_record_once_and_in_order),
	CHECK(what_lmdb_reads_otherwise_stops_a_load),
	CHECK(a_truncated_file_is_found),
	CHECK(exchanged_zeroed_and_stale_pages_are_found),
	CHECK(a_wrong_record_is_found_by_its_checksum_and_an_old_one_by_the_sum),
	CHECK(a_page_that_is_free_and_used_is_found),
	CHECK(records_out_of_order_in_a_leaf_are_found),
	CHECK(branch_keys_out_of_order_are_found),
	CHECK(wrong_counts_of_a_tree_are_found),
};

int
main(int argc, char **argv)
{
	char dir[256];
	seed = check_seed(7);
	fold_twin_init(&twin);
	folder_new(dir);
	make_image(dir, 10, &whole, &whole_n);
	folder_remove(dir);
	int rc = check_run(argv[0], tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
	free(whole);
	fold_twin_fini(&twin);
	return rc;
}
