/* rehearse_machine.c: the contract is in rehearse_machine.h. */
#include "bench/rehearse_machine.h"
#include "net/clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define LINE_BYTES 512
#define DEPTH_MAX 4
#define SYNCS_MAX 200

bool
machine_usage(pid_t pid, struct usage *u)
{
	char path[64], line[LINE_BYTES], *rest = NULL;
	unsigned long user, kernel;
	long pages;
	snprintf(path, sizeof path, pid ? "/proc/%ld/stat" : "/proc/self/stat", (long)pid);
	FILE *f = fopen(path, "r");
	if (f && fgets(line, sizeof line, f))
		rest = strrchr(line, ')'); /* the name before it may have spaces */
	if (f)
		fclose(f);
	/* Fields 14, 15 and 24 of proc(5); the third is the first behind the name. */
	if (!rest || sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d %*d %*u %*u %ld", &user, &kernel, &pages) != 3)
		return false;
	*u = (struct usage){ (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK), (int64_t)pages * sysconf(_SC_PAGESIZE) };
	return true;
}

static bool
add_below(pid_t pid, struct usage *sum, int depth)
{
	char path[96];
	struct usage one;
	int child;
	bool any = false;
	snprintf(path, sizeof path, "/proc/%ld/task/%ld/children", (long)pid, (long)pid);
	FILE *f = depth < DEPTH_MAX ? fopen(path, "r") : NULL;
	while (f && fscanf(f, "%d", &child) == 1) {
		if (machine_usage(child, &one)) {
			sum->cpu_s += one.cpu_s;
			sum->rss_bytes += one.rss_bytes;
			any = true;
		}
		add_below(child, sum, depth + 1);
	}
	if (f)
		fclose(f);
	return any;
}

bool
machine_usage_below(pid_t pid, struct usage *u)
{
	*u = (struct usage){ 0, 0 };
	return add_below(pid, u, 0);
}

double
machine_busy_s(void)
{
	unsigned long long user, nice, system, idle, iowait, irq, softirq;
	FILE *f = fopen("/proc/stat", "r");
	int n = f ? fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle, &iowait, &irq, &softirq) : 0;
	if (f)
		fclose(f);
	return n == 7 ? (double)(user + nice + system + irq + softirq) / (double)sysconf(_SC_CLK_TCK) : -1;
}

static int
double_order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

bool
machine_sync(const char *folder, int times, double ms[3])
{
	static const char block[4096];
	double took[SYNCS_MAX];
	char path[512];
	int n = 0;
	snprintf(path, sizeof path, "%s/sync", folder);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	/* Overwritten in place, as the journal does it: the first two make the file. */
	for (int i = -2; fd >= 0 && i < times && i < SYNCS_MAX; i++) {
		int64_t start_ns = clock_steady_ns();
		if (pwrite(fd, block, sizeof block, 0) != sizeof block || fdatasync(fd) != 0)
			break;
		if (i >= 0)
			took[n++] = (double)(clock_steady_ns() - start_ns) / 1e6;
	}
	if (fd >= 0) {
		close(fd);
		unlink(path);
	}
	qsort(took, (size_t)n, sizeof *took, double_order);
	if (n > 0)
		ms[0] = took[n / 2], ms[1] = took[n * 99 / 100], ms[2] = took[n - 1];
	return n > 0;
}

/* The value of the first line "name<tabs>: value" or NAME=value. */
static void
file_value(const char *path, const char *name, char *to, size_t n)
{
	char line[LINE_BYTES];
	FILE *f = fopen(path, "r");
	to[0] = 0;
	while (f && !to[0] && fgets(line, sizeof line, f))
		if (strncmp(line, name, strlen(name)) == 0) {
			char *at = line + strlen(name);
			at += strspn(at, "\t :=\"");
			at[strcspn(at, "\"\n")] = 0;
			snprintf(to, n, "%s", at);
		}
	if (f)
		fclose(f);
}

json_t *
machine_json(void)
{
	struct utsname u;
	char cpu[128], system[128], memory[64];
	long long kib = 0;
	file_value("/proc/cpuinfo", "model name", cpu, sizeof cpu);
	file_value("/etc/os-release", "PRETTY_NAME", system, sizeof system);
	file_value("/proc/meminfo", "MemTotal", memory, sizeof memory);
	sscanf(memory, "%lld", &kib);
	uname(&u);
	return json_pack("{s:s, s:s, s:i, s:I, s:s, s:s}", "name", u.nodename, "cpu", cpu[0] ? cpu : u.machine, "cpus_n",
	    (int)sysconf(_SC_NPROCESSORS_ONLN), "memory_bytes", (json_int_t)kib * 1024, "system", system, "kernel", u.release);
}
