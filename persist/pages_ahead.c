/* pages_ahead.c: see pages_ahead.h. The layout of a branch page is that of pages.c. */
#include "persist/pages_ahead.h"

#include <stdlib.h>
#include <string.h>

#define PAGE_HEAD      16
#define LOWER_AT       12
#define NODE_HEAD      8
#define CHILDREN_MAX   512 /* of a page; more are read without a hint */
#define GAP_PAGES      8 /* neighbours so near are one read */

static int
ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

static uint32_t
children_get(const uint8_t *branch, uint32_t page_bytes, uint64_t children[CHILDREN_MAX])
{
	uint16_t lower, offset, part[3];
	uint32_t n = 0;
	memcpy(&lower, branch + LOWER_AT, sizeof(lower));
	for (uint32_t at = PAGE_HEAD; at + 2 <= lower && at + 2 <= page_bytes && n < CHILDREN_MAX; at += 2) {
		memcpy(&offset, branch + at, sizeof(offset));
		if (offset + (uint32_t)NODE_HEAD > page_bytes)
			continue;
		memcpy(part, branch + offset, sizeof(part));
		children[n++] = part[0] | (uint64_t)part[1] << 16 | (uint64_t)part[2] << 32;
	}
	return n;
}

void
pages_ahead(struct disk *disk, int file, const uint8_t *branch, uint32_t page_bytes)
{
	uint64_t children[CHILDREN_MAX];
	uint32_t n = children_get(branch, page_bytes, children), first = 0;
	qsort(children, n, sizeof(children[0]), ascending);
	for (uint32_t i = 1; i <= n; i++)
		if (i == n || children[i] - children[i - 1] > GAP_PAGES) {
			disk->calls->ahead(disk, file, children[first] * page_bytes, (children[i - 1] - children[first] + 1) * page_bytes);
			first = i;
		}
}
