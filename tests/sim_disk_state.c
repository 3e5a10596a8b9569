/*
 * sim_disk_state.c: see sim_disk_inner.h.
 */
#include "tests/sim_disk_inner.h"

#include <stdio.h>
#include <stdlib.h>

int
sim_name_find(const struct folder *folder, const char *text)
{
	for (size_t i = 0; i < folder->n; i++)
		if (strcmp(folder->names[i].text, text) == 0)
			return (int)i;
	return -1;
}

static void
name_put(struct folder *folder, const char *text, int inode)
{
	int at = sim_name_find(folder, text);

	if (at < 0) {
		ensure(folder->n < NAMES && strlen(text) < NAME_MAX_);
		at = (int)folder->n++;
		snprintf(folder->names[at].text, NAME_MAX_, "%s", text);
	}
	folder->names[at].inode = inode;
}

static void
name_drop(struct folder *folder, const char *text)
{
	int at = sim_name_find(folder, text);

	if (at >= 0)
		folder->names[at] = folder->names[--folder->n];
}

void
sim_change_apply(struct folder *folder, const struct change *change)
{
	int at;

	switch (change->kind) {
	case CHANGE_CREATE:
		name_put(folder, change->to, change->inode);
		break;
	case CHANGE_RENAME:
		if ((at = sim_name_find(folder, change->from)) >= 0) {
			int inode = folder->names[at].inode;
			name_drop(folder, change->from);
			name_put(folder, change->to, inode);
		}
		break;
	case CHANGE_REMOVE:
		name_drop(folder, change->from);
		break;
	}
}

void
sim_change_add(struct sim_disk *s, enum change_kind kind, const char *from, const char *to, int inode)
{
	ensure(s->changes_n < CHANGES);
	struct change *change = &s->changes[s->changes_n++];
	*change = (struct change){ .kind = kind, .inode = inode };
	snprintf(change->from, NAME_MAX_, "%s", from);
	snprintf(change->to, NAME_MAX_, "%s", to);
	sim_change_apply(&s->now, change);
}

void
sim_inode_size(struct inode *inode, size_t n)
{
	if (n <= inode->now_n)
		return;
	size_t old = sim_sectors(inode->now_n), new = sim_sectors(n);
	inode->now = realloc(inode->now, new * SECTOR);
	inode->durable = realloc(inode->durable, new * SECTOR);
	inode->dirty = realloc(inode->dirty, new);
	ensure(inode->now && inode->durable && inode->dirty);
	memset(inode->now + old * SECTOR, 0, (new - old) * SECTOR);
	memset(inode->durable + old * SECTOR, 0, (new - old) * SECTOR);
	memset(inode->dirty + old, 0, new - old);
	inode->now_n = n;
}

void
sim_inode_write(struct inode *inode, const uint8_t *bytes, size_t n, uint64_t offset)
{
	sim_inode_size(inode, (size_t)offset + n);
	memcpy(inode->now + offset, bytes, n);
	for (uint64_t at = offset / SECTOR; at * SECTOR < offset + n; at++)
		inode->dirty[at] = 1;
}

void
sim_inode_sync(struct inode *inode)
{
	for (size_t i = 0; i < sim_sectors(inode->now_n); i++)
		if (inode->dirty[i] == 1) {
			memcpy(inode->durable + i * SECTOR, inode->now + i * SECTOR, SECTOR);
			inode->dirty[i] = 0;
		}
	if (!inode->size_forgotten)
		inode->durable_n = inode->now_n;
}

void
sim_inode_forget(struct inode *inode)
{
	for (size_t i = 0; i < sim_sectors(inode->now_n); i++)
		if (inode->dirty[i])
			inode->dirty[i] = 2;
	inode->size_forgotten |= inode->durable_n != inode->now_n;
}
