/*
 * sim_disk_crash.c: faults, kills and crashes of the simulated disk. The fault model stands in sim_disk.h.
 */
#include "tests/sim_disk_inner.h"

static uint64_t
random_next(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

void
sim_disk_fail(struct disk *disk, uint64_t k, int error)
{
	struct sim_disk *s = sim_of(disk);

	s->calls = 0;
	s->fired = false;
	s->fail_at = k;
	s->fail_error = error;
	s->stop_after = UINT64_MAX;
}

void
sim_disk_stop_after(struct disk *disk, uint64_t k)
{
	sim_disk_fail(disk, 0, 0);
	sim_of(disk)->stop_after = k;
}

uint64_t
sim_disk_calls(const struct disk *disk)
{
	return sim_of(disk)->calls;
}

bool
sim_disk_fired(const struct disk *disk)
{
	return sim_of(disk)->fired;
}

const struct sim_counts *
sim_disk_counts(const struct disk *disk)
{
	return &sim_of(disk)->counts;
}

void
sim_disk_kill(struct disk *disk)
{
	struct sim_disk *s = sim_of(disk);

	sim_disk_fail(disk, 0, 0);
	memset(s->handles, 0, sizeof s->handles);
	s->locked = s->off = false;
}

/* The cache is gone: what is durable is what there is. */
static void
inode_restart(struct inode *inode)
{
	size_t n = sim_sectors(inode->now_n);

	inode->now_n = inode->durable_n;
	if (n) {
		memcpy(inode->now, inode->durable, n * SECTOR);
		memset(inode->dirty, 0, n);
	}
	inode->size_forgotten = false;
}

static void
restart(struct sim_disk *s)
{
	for (int i = 0; i < s->inodes_n; i++)
		inode_restart(&s->inodes[i]);
	memcpy(s->now.names, s->durable.names, s->durable.n * sizeof *s->now.names);
	s->now.n = s->durable.n;
	s->changes_n = 0;
	s->counts.crashes++;
	sim_disk_kill(&s->disk);
}

static void
sector_crash(struct sim_disk *s, struct inode *inode, size_t i, uint64_t *seed)
{
	uint64_t dice = random_next(seed);
	size_t n = dice % 5 < 2 ? SECTOR : dice % 5 < 4 ? 0 : (size_t)(dice >> 32) % SECTOR;

	memcpy(inode->durable + i * SECTOR, inode->now + i * SECTOR, n);
	s->counts.sectors_kept += n == SECTOR;
	s->counts.sectors_lost += n == 0;
	s->counts.sectors_torn += n > 0 && n < SECTOR;
}

void
sim_disk_crash(struct disk *disk, uint64_t seed)
{
	struct sim_disk *s = sim_of(disk);

	for (int i = 0; i < s->inodes_n; i++) {
		struct inode *inode = &s->inodes[i];
		for (size_t k = 0; k < sim_sectors(inode->now_n); k++)
			if (inode->dirty[k])
				sector_crash(s, inode, k, &seed);
		if (inode->durable_n != inode->now_n && random_next(&seed) % 2)
			inode->durable_n = inode->now_n;
	}
	for (size_t i = 0; i < s->changes_n; i++) {
		bool kept = random_next(&seed) % 2;
		if (kept)
			sim_change_apply(&s->durable, &s->changes[i]);
		*(kept ? &s->counts.names_kept : &s->counts.names_lost) += 1;
	}
	restart(s);
}

void
sim_disk_crash_at(struct disk *disk, uint64_t keep)
{
	struct sim_disk *s = sim_of(disk);

	for (int i = 0; i < s->inodes_n; i++) {
		struct inode *inode = &s->inodes[i];
		for (size_t k = 0; k < sim_sectors(inode->now_n) && keep; k++)
			if (inode->dirty[k]) {
				memcpy(inode->durable + k * SECTOR, inode->now + k * SECTOR, SECTOR);
				keep--;
			}
		inode->durable_n = inode->now_n;
	}
	for (size_t i = 0; i < s->changes_n; i++)
		sim_change_apply(&s->durable, &s->changes[i]);
	restart(s);
}

uint64_t
sim_disk_unsynced(const struct disk *disk)
{
	struct sim_disk *s = sim_of(disk);
	uint64_t n = 0;

	for (int i = 0; i < s->inodes_n; i++)
		for (size_t k = 0; k < sim_sectors(s->inodes[i].now_n); k++)
			n += s->inodes[i].dirty[k] != 0;
	return n;
}

uint8_t *
sim_disk_bytes(struct disk *disk, const char *name, size_t *n)
{
	struct sim_disk *s = sim_of(disk);
	int at = sim_name_find(&s->now, name);

	if (at < 0)
		return NULL;
	*n = s->inodes[s->now.names[at].inode].now_n;
	return s->inodes[s->now.names[at].inode].now;
}

void
sim_disk_flip(struct disk *disk, const char *name, uint64_t bit)
{
	struct sim_disk *s = sim_of(disk);
	int at = sim_name_find(&s->now, name);

	ensure(at >= 0);
	struct inode *inode = &s->inodes[s->now.names[at].inode];
	ensure(bit / 8 < inode->now_n);
	inode->now[bit / 8] ^= (uint8_t)(1 << bit % 8);
	inode->durable[bit / 8] ^= (uint8_t)(1 << bit % 8);
}

void
sim_disk_truncate(struct disk *disk, const char *name, uint64_t bytes)
{
	struct sim_disk *s = sim_of(disk);
	int at = sim_name_find(&s->now, name);

	ensure(at >= 0);
	struct inode *inode = &s->inodes[s->now.names[at].inode];
	if (bytes < inode->now_n)
		inode->now_n = inode->durable_n = (size_t)bytes;
}

void
sim_disk_set_free(struct disk *disk, int64_t bytes)
{
	sim_of(disk)->free_bytes = bytes;
}
