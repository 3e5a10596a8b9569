/*
 * pages.c: see pages.h. The layout is that of LMDB 0.9 on a 64-bit little-endian machine:
 *
 *   page   u64 number, u16 pad, u16 kind, u16 lower, u16 upper, then u16 offsets of nodes up to lower; nodes from upper on.
 *          An overflow page has u32 pages in place of lower and upper, then the value
 *   node   u16 low, u16 high, u16 flags, u16 key bytes, key, value: in a leaf low | high << 16 = bytes of the value, in a
 *          branch low | high << 16 | flags << 32 = the child's page. Nodes stand on even offsets
 *   meta   behind the header of pages 0 and 1: struct meta. The one with the greater transaction number counts
 *   free   key = transaction, value = u64 n, then n page numbers, falling
 */
#include "persist/pages.h"

#include "persist/image_record.h"
#include "persist/pages_ahead.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { PAGE_BRANCH = 1, PAGE_LEAF = 2, PAGE_OVERFLOW = 4, PAGE_META = 8 };

#define META_MAGIC     UINT32_C(0xbeefc0de)
#define META_VERSION   1
#define META_PAGES     2
#define PAGE_HEAD      16
#define NODE_HEAD      8
#define NODE_OVERFLOW  1 /* flag: the value is the number of an overflow page */
#define TREE_INTEGERS  0x08 /* MDB_INTEGERKEY */
#define ENV_ONE_FILE   0x4000 /* MDB_NOSUBDIR, kept in the flags of the tree of free pages */
#define NO_PAGE        UINT64_MAX
#define DEPTH_MAX      32 /* as LMDB's cursors */
#define PAGE_BYTES_MIN 512
#define PAGE_BYTES_MAX 65536

struct page_head {
	uint64_t number;
	uint16_t pad, kind, lower, upper;
};
struct node_head {
	uint16_t low, high, flags, key_n;
};
struct tree {
	uint32_t page_bytes; /* of the first tree only */
	uint16_t flags, depth;
	uint64_t branches, leaves, overflows, entries, root;
};
struct meta {
	uint32_t magic, version;
	uint64_t address, map_bytes;
	struct tree free, records;
	uint64_t last_page, transaction;
};

struct walk {
	struct disk *disk;
	int file;
	uint8_t *levels; /* one page for each level of a tree, so that a branch stays while its children are read; one more to look ahead */
	uint8_t *overflow; /* the last value that was read from overflow pages */
	uint64_t overflow_size;
	uint64_t pages; /* of the file that are in use: last page + 1 */
	uint32_t page_bytes;
	uint8_t *seen; /* one bit per page */
	struct meta meta;
	const struct image_sink *sink; /* NULL: none */
	struct image_findings *found;
	struct why *why;
	/* of the tree that is walked */
	bool of_free;
	struct tree counted;
	uint64_t last_key;
	/* of the records */
	record_sum sum;
	uint64_t records;
	bool has_meta;
};

__attribute__((format(printf, 3, 4))) static int
damage(struct walk *w, uint64_t page, const char *form, ...)
{
	va_list arguments;
	int n = snprintf(w->why->text, sizeof(w->why->text), "page %llu: ", (unsigned long long)page);
	va_start(arguments, form);
	vsnprintf(w->why->text + n, sizeof(w->why->text) - (size_t)n, form, arguments);
	va_end(arguments);
	return -1;
}

/* n whole pages from `first` on. */
static int
fetch(struct walk *w, uint64_t first, uint64_t n, uint8_t *to)
{
	size_t bytes = (size_t)(n * w->page_bytes);
	ssize_t got = w->disk->calls->read_at(w->disk, w->file, to, bytes, first * w->page_bytes);
	if (got == (ssize_t)bytes)
		return 0;
	return damage(w, first, "cannot be read: %s", got < 0 ? strerror(errno) : "the file ends");
}

/* Where the page that is being looked at on a level stands. */
static uint8_t *
level_page(const struct walk *w, unsigned level)
{
	return w->levels + (size_t)level * w->page_bytes;
}

/* Pages first..first+n-1 belong to one owner now: in the file, and nobody else's. */
static int
take(struct walk *w, uint64_t owner, uint64_t first, uint64_t n)
{
	if (first < META_PAGES || first >= w->pages || n > w->pages - first)
		return damage(w, owner, "names page %llu, which is not in the file", (unsigned long long)first);
	for (uint64_t p = first; p < first + n; p++) {
		if (w->seen[p / 8] >> (p % 8) & 1)
			return damage(w, owner, "names page %llu, which has another owner", (unsigned long long)p);
		w->seen[p / 8] |= (uint8_t)(1 << (p % 8));
	}
	return 0;
}

/* ---- what stands in leaves ---------------------------------------------------------------------------------------- */

static void
give(struct walk *w, uint64_t key, const uint8_t *value, size_t n)
{
	struct entry_bytes e;
	uint64_t seq = record_decode(key, value, n, &e);
	w->sink->record(w->sink->context, seq, &e);
}

static int
check_record(struct walk *w, uint64_t page, uint64_t key, const uint8_t *value, size_t n)
{
	if (key == RECORD_META_KEY) {
		const char *wrong = record_meta_decode(value, n, &w->found->meta);
		w->has_meta = true;
		if (wrong == NULL && w->sink != NULL)
			w->sink->begin(w->sink->context, &w->found->meta);
		return wrong ? damage(w, page, "%s", wrong) : 0;
	}
	if (!record_sound(key, value, n))
		return damage(w, page, "the checksum of record %s %llu is wrong", entry_kind_name(record_kind(key)),
		    (unsigned long long)record_entry_key(key));
	if (key >> RECORD_KIND_SHIFT < ENTRY_KIND_END)
		w->found->records_of_kind[key >> RECORD_KIND_SHIFT]++;
	w->sum += record_hash(key, value, n);
	w->records++;
	if (w->sink != NULL && w->has_meta) /* whose key is the least; without it there is damage */
		give(w, key, value, n);
	return 0;
}

static int
check_free_list(struct walk *w, uint64_t page, uint64_t key, const uint8_t *value, size_t n)
{
	uint64_t count, number, before = NO_PAGE;
	if (key > w->meta.transaction || n < 8 || n % 8 != 0)
		return damage(w, page, "a list of free pages has a wrong key or size");
	memcpy(&count, value, 8);
	if (count > n / 8 - 1)
		return damage(w, page, "a list of free pages is longer than its record");
	for (uint64_t i = 1; i <= count; i++, before = number) {
		memcpy(&number, value + i * 8, 8);
		if (number >= before)
			return damage(w, page, "a list of free pages does not fall");
		if (take(w, page, number, 1) < 0)
			return -1;
		w->found->pages_free++;
	}
	return 0;
}

/* The overflow pages that a leaf's node names. NULL: damage. */
static const uint8_t *
fetch_overflow(struct walk *w, uint64_t page, uint64_t number, size_t value_n)
{
	struct page_head head;
	uint8_t *first = level_page(w, 0);
	if (take(w, page, number, 1) < 0 || fetch(w, number, 1, first) < 0)
		return NULL;
	memcpy(&head, first, sizeof(head));
	uint64_t pages = head.lower | (uint64_t)head.upper << 16, bytes = pages * w->page_bytes;
	if (head.number != number || head.kind != PAGE_OVERFLOW || bytes < PAGE_HEAD + value_n) {
		damage(w, number, "is not the overflow page that page %llu names", (unsigned long long)page);
		return NULL;
	}
	if (pages > 1 && take(w, page, number + 1, pages - 1) < 0)
		return NULL;
	w->counted.overflows += pages;
	if (w->overflow_size < bytes) {
		uint8_t *more = realloc(w->overflow, bytes);
		if (more == NULL) {
			damage(w, number, "no memory to read it");
			return NULL;
		}
		w->overflow = more;
		w->overflow_size = bytes;
	}
	return fetch(w, number, pages, w->overflow) < 0 ? NULL : w->overflow + PAGE_HEAD;
}

/* The value behind a leaf's node: in place, or on overflow pages. */
static int
check_value(struct walk *w, uint64_t page, uint64_t key, const struct node_head *node, const uint8_t *value)
{
	size_t n = node->low | (size_t)node->high << 16;
	if (node->flags == NODE_OVERFLOW) {
		uint64_t number;
		memcpy(&number, value, 8);
		value = fetch_overflow(w, page, number, n);
		if (value == NULL)
			return -1;
	}
	return w->of_free ? check_free_list(w, page, key, value, n) : check_record(w, page, key, value, n);
}

/* ---- trees -------------------------------------------------------------------------------------------------------- */

/* The node at index i and how many bytes it takes, all of them inside the page. -1: damage. */
static int
read_node(struct walk *w, uint64_t page, const uint8_t *at, uint32_t i, struct node_head *node, const uint8_t **key)
{
	struct page_head head;
	uint16_t offset;
	memcpy(&head, at, sizeof(head));
	memcpy(&offset, at + PAGE_HEAD + i * 2, 2);
	if (offset < head.upper || offset % 2 != 0 || offset + (uint32_t)NODE_HEAD > w->page_bytes)
		return damage(w, page, "node %u is outside the page", i);
	memcpy(node, at + offset, NODE_HEAD);
	*key = at + offset + NODE_HEAD;
	uint64_t n = NODE_HEAD + (uint64_t)node->key_n;
	bool leaf = head.kind == PAGE_LEAF;
	/* The leftmost key of a branch is never read and may be missing. */
	if (node->key_n != 8 && (leaf || i > 0 || node->key_n != 0))
		return damage(w, page, "node %u has a key of %u bytes", i, node->key_n);
	if (leaf && node->flags > NODE_OVERFLOW)
		return damage(w, page, "node %u has unknown flags", i);
	if (leaf)
		n += node->flags == NODE_OVERFLOW ? 8 : (node->low | (uint64_t)node->high << 16);
	n = (n + 1) & ~UINT64_C(1);
	if (n > w->page_bytes - offset)
		return damage(w, page, "node %u does not end in the page", i);
	return (int)n;
}

static int
check_leaf(struct walk *w, uint64_t page, const struct page_head *head, uint32_t nodes, uint64_t low, uint64_t high)
{
	const uint8_t *bytes_at = level_page(w, 1);
	uint64_t bytes = 0;
	w->counted.leaves++;
	for (uint32_t i = 0; i < nodes; i++) {
		struct node_head node;
		const uint8_t *at;
		uint64_t key;
		int n = read_node(w, page, bytes_at, i, &node, &at);
		if (n < 0)
			return -1;
		bytes += (uint64_t)n;
		memcpy(&key, at, 8);
		if (key < low || key >= high || (w->counted.entries > 0 && key <= w->last_key))
			return damage(w, page, "key %u is out of order", i);
		w->last_key = key;
		w->counted.entries++;
		if (check_value(w, page, key, &node, at + 8) < 0)
			return -1;
	}
	if (bytes != w->page_bytes - head->upper)
		return damage(w, page, "the nodes do not fill their part of the page");
	return 0;
}

static int check_page(struct walk *, uint64_t owner, uint64_t page, unsigned level, uint64_t low, uint64_t high);

/* Of a page that leads to leaves and will be read soon. What is wrong with it is told when it is. */
static void
look_ahead(struct walk *w, uint64_t page)
{
	uint8_t *at = level_page(w, DEPTH_MAX + 1);
	if (page < w->pages && w->disk->calls->read_at(w->disk, w->file, at, w->page_bytes, page * w->page_bytes) == (ssize_t)w->page_bytes)
		pages_ahead(w->disk, w->file, at, w->page_bytes);
}

/*
 * Child i holds the keys from its own up to the next one's; the first child from `low` on. A key out of order leaves a child
 * no key to hold, and its leaf, which has at least one, says so.
 */
static int
check_branch(struct walk *w, uint64_t page, const struct page_head *head, uint32_t nodes, unsigned level, uint64_t low, uint64_t high)
{
	uint64_t bytes = 0, child = 0, from = low;
	w->counted.branches++;
	for (uint32_t i = 0; i < nodes; i++) {
		struct node_head node;
		const uint8_t *at;
		uint64_t key = low;
		int n = read_node(w, page, level_page(w, level), i, &node, &at);
		if (n < 0)
			return -1;
		uint64_t next = node.low | (uint64_t)node.high << 16 | (uint64_t)node.flags << 32;
		bytes += (uint64_t)n;
		if (level == 3) /* while the leaves of one child are checked, the disk reads those of the next */
			look_ahead(w, next);
		if (i > 0) {
			memcpy(&key, at, 8);
			if (check_page(w, page, child, level - 1, from, key) < 0)
				return -1;
		}
		from = key;
		child = next;
	}
	if (bytes != w->page_bytes - head->upper)
		return damage(w, page, "the nodes do not fill their part of the page");
	return check_page(w, page, child, level - 1, from, high);
}

/* level: 1 at the leaves. Keys of the page are in [low, high). */
static int
check_page(struct walk *w, uint64_t owner, uint64_t page, unsigned level, uint64_t low, uint64_t high)
{
	struct page_head head;
	if (take(w, owner, page, 1) < 0 || fetch(w, page, 1, level_page(w, level)) < 0)
		return -1;
	memcpy(&head, level_page(w, level), sizeof(head));
	if (head.number != page || head.kind != (level == 1 ? PAGE_LEAF : PAGE_BRANCH))
		return damage(w, page, "is not the %s page that page %llu names", level == 1 ? "leaf" : "branch",
		    (unsigned long long)owner);
	uint32_t nodes = head.lower >= PAGE_HEAD ? (head.lower - PAGE_HEAD) / 2u : 0;
	/* LMDB asserts two children in a branch of the records; its own tree of free pages may have one for a while. */
	uint32_t least = level > 1 && !w->of_free ? 2 : 1;
	if (nodes < least || head.lower % 2 != 0 || head.lower > head.upper || head.upper > w->page_bytes)
		return damage(w, page, "its bounds are wrong");
	return level == 1 ? check_leaf(w, page, &head, nodes, low, high)
	                  : check_branch(w, page, &head, nodes, level, low, high);
}

static int
check_tree(struct walk *w, const struct tree *tree, bool of_free)
{
	w->of_free = of_free;
	w->counted = (struct tree){ 0 };
	if (tree->depth > DEPTH_MAX || (tree->root == NO_PAGE) != (tree->depth == 0))
		return damage(w, w->meta.transaction & 1, "a tree's depth is wrong");
	if (tree->depth == 2)
		look_ahead(w, tree->root);
	if (tree->depth > 0 && check_page(w, w->meta.transaction & 1, tree->root, tree->depth, 0, UINT64_MAX) < 0)
		return -1;
	if (w->counted.branches != tree->branches || w->counted.leaves != tree->leaves ||
	    w->counted.overflows != tree->overflows || w->counted.entries != tree->entries)
		return damage(w, w->meta.transaction & 1, "the counts of a tree are wrong");
	w->found->pages_used += tree->branches + tree->leaves + tree->overflows;
	return 0;
}

/* ---- the whole ---------------------------------------------------------------------------------------------------- */

/* Meta page i: its bytes start with `at`. */
static int
read_meta(struct walk *w, uint64_t i, const uint8_t *at, struct meta *m)
{
	struct page_head head;
	memcpy(&head, at, sizeof(head));
	memcpy(m, at + PAGE_HEAD, sizeof(*m));
	if (head.number != i || head.kind != PAGE_META || m->magic != META_MAGIC || m->version != META_VERSION)
		return damage(w, i, "is not a meta page of this version of LMDB");
	if (i == 0)
		w->page_bytes = m->free.page_bytes;
	if (m->free.page_bytes != w->page_bytes || w->page_bytes < PAGE_BYTES_MIN || w->page_bytes > PAGE_BYTES_MAX ||
	    (w->page_bytes & (w->page_bytes - 1)) != 0)
		return damage(w, i, "the size of a page is wrong");
	if (m->free.flags != (ENV_ONE_FILE | TREE_INTEGERS) || (m->records.flags & ~TREE_INTEGERS) != 0)
		return damage(w, i, "the flags of a tree are wrong");
	/* Transaction n is written to page n mod 2; before the first, both have 0. */
	if (m->transaction != 0 && m->transaction % 2 != i)
		return damage(w, i, "the number of its transaction belongs to the other meta page");
	return 0;
}

/* Picks as LMDB does: the later of the two transactions. */
static int
read_metas(struct walk *w, uint64_t bytes)
{
	struct meta m[META_PAGES];
	uint8_t at[PAGE_HEAD + sizeof(m[0])];
	for (uint64_t i = 0; i < META_PAGES; i++) {
		ssize_t got = w->disk->calls->read_at(w->disk, w->file, at, sizeof(at), i * w->page_bytes);
		if (got != (ssize_t)sizeof(at))
			return damage(w, i, "cannot be read: %s", got < 0 ? strerror(errno) : "the file ends");
		if (read_meta(w, i, at, &m[i]) < 0)
			return -1;
	}
	bool second = m[0].transaction < m[1].transaction;
	w->meta = m[second];
	if (m[second].transaction - m[!second].transaction > 1)
		return damage(w, second, "the transactions of the two meta pages are not neighbours");
	if (w->meta.last_page < META_PAGES - 1 || w->meta.last_page >= bytes / w->page_bytes)
		return damage(w, second, "the file is shorter than its last page says");
	if (w->meta.records.entries > 0 && w->meta.records.flags != TREE_INTEGERS)
		return damage(w, second, "the flags of a tree are wrong");
	w->pages = w->meta.last_page + 1;
	return 0;
}

static int
check_sum(struct walk *w)
{
	record_sum sum;
	const struct image_meta *meta = &w->found->meta;
	if (!w->has_meta)
		return w->records == 0 ? 0 : damage(w, 0, "there are records but no meta record");
	memcpy(&sum, meta->sum, sizeof(sum));
	if (meta->records != w->records)
		return damage(w, 0, "%llu records, but the meta record says %llu", (unsigned long long)w->records,
		    (unsigned long long)meta->records);
	return sum == w->sum ? 0 : damage(w, 0, "every record is whole, but their sum is not the meta record's");
}

static int
check_all(struct walk *w)
{
	if (check_tree(w, &w->meta.free, true) < 0 || check_tree(w, &w->meta.records, false) < 0 || check_sum(w) < 0)
		return -1;
	w->found->exists = w->has_meta;
	w->found->pages_lost = w->pages - META_PAGES - w->found->pages_used - w->found->pages_free;
	return 0;
}

int
pages_check(struct disk *disk, int file, uint64_t bytes, const struct image_sink *sink, struct image_findings *found, struct why *why)
{
	struct walk w = { .disk = disk, .file = file, .sink = sink, .found = found, .why = why };
	*found = (struct image_findings){ .bytes = bytes, .exists = true };
	if (read_metas(&w, bytes) < 0)
		return -1;
	w.seen = calloc(1, (size_t)(w.pages / 8 + 1));
	w.levels = malloc((DEPTH_MAX + 2) * (size_t)w.page_bytes);
	int sound = w.seen == NULL || w.levels == NULL ? damage(&w, 0, "no memory to check the image") : check_all(&w);
	free(w.seen);
	free(w.levels);
	free(w.overflow);
	return sound;
}
