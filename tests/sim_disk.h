/*
 * sim_disk.h: a disk in memory with a memory of what is durable, for crashes and failing calls.
 *
 * What reads see (the page cache) and what survives a power cut are kept apart: a write is unsynced, by sectors of 512
 * bytes, until sync of its file; a create, rename or remove until sync_folder. A crash decides for each unsynced sector, by
 * the seed, whether it is kept, lost or torn, and for each unsynced change of the folder whether it happened. A sync that
 * fails forgets what was unsynced: later syncs do not bring it back (the fsync story), a crash may keep or lose it.
 *
 * One mutex: any thread may call.
 */
#ifndef HOLDFAST_TESTS_SIM_DISK_H
#define HOLDFAST_TESTS_SIM_DISK_H

#include "persist/disk.h"

#include <stdbool.h>

enum sim_call {
	SIM_OPEN, SIM_READ, SIM_WRITE, SIM_SYNC, SIM_SIZE, SIM_ALLOCATE, SIM_RENAME, SIM_REMOVE, SIM_SYNC_FOLDER, SIM_LIST,
	SIM_LOCK, SIM_FREE, SIM_CALL_COUNT
};
extern const char *const sim_call_names[SIM_CALL_COUNT];

/* Beside errno values: half of the write happens, then it fails. Other calls fail with EIO. */
#define SIM_SHORT (-1)

struct sim_counts {
	uint64_t calls[SIM_CALL_COUNT], faults[SIM_CALL_COUNT];
	uint64_t crashes, sectors_kept, sectors_lost, sectors_torn, names_kept, names_lost;
};

/* end() of its calls frees it. */
struct disk *sim_disk_new(void);


/* Call number k (from 1, counted from now) fails with `error` (or SIM_SHORT). k 0: no fault. */
void sim_disk_fail(struct disk *, uint64_t k, int error);
/* After k calls from now the power is off: every later call fails with EIO and changes nothing. k 0: with the next call. */
void sim_disk_stop_after(struct disk *, uint64_t k);
/* Calls since the last of the two above (or the beginning). */
uint64_t sim_disk_calls(const struct disk *);
/* Was the fault of sim_disk_fail reached? */
bool sim_disk_fired(const struct disk *);
const struct sim_counts *sim_disk_counts(const struct disk *);

/* The process dies: handles and the lock are gone, the page cache stays. Power is on again, no fault is set. */
void sim_disk_kill(struct disk *);
/* The power fails: as kill, and what was unsynced is kept, lost or torn. */
void sim_disk_crash(struct disk *, uint64_t seed);
/* As crash, but of the unsynced sectors in the order of their offsets exactly the first `keep` survive. All names survive. */
void sim_disk_crash_at(struct disk *, uint64_t keep);
/* Unsynced sectors of all files. */
uint64_t sim_disk_unsynced(const struct disk *);

/* A copy of the disk as it is, without handles, lock or faults. */
struct disk *sim_disk_clone(const struct disk *);
/* The bytes of a file, durable and cached alike after a crash. NULL: no such file. */
uint8_t *sim_disk_bytes(struct disk *, const char *name, size_t *n);
void sim_disk_flip(struct disk *, const char *name, uint64_t bit);
void sim_disk_truncate(struct disk *, const char *name, uint64_t bytes);
/* Free bytes that free_bytes tells; allocate beyond it is ENOSPC. Default: 1 TiB. */
void sim_disk_set_free(struct disk *, int64_t bytes);

#endif
