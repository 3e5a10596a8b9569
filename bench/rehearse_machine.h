/*
 * rehearse_machine.h: what /proc says: this machine in words, and processor and memory of processes. Functions begin with machine_.
 */
#ifndef HOLDFAST_BENCH_REHEARSE_MACHINE_H
#define HOLDFAST_BENCH_REHEARSE_MACHINE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct usage {
	double cpu_s; /* since the process began */
	int64_t rss_bytes;
};

/* Of one process (0: this one). false: there is none. */
bool machine_usage(pid_t, struct usage *);
/* The same of all its descendants together; false: it has none. */
bool machine_usage_below(pid_t, struct usage *);
/* Processor seconds of everybody on this machine since it began; below 0: not known. */
double machine_busy_s(void);
/* How long a sync of 4 KiB takes in this folder: p50, p99 and max in ms of so many. false: it cannot be said. */
bool machine_sync(const char *folder, int times, double ms[3]);
/* The report's "machine". New reference. */
json_t *machine_json(void);

#endif
