/* hostile_look.c: what /proc says of a server and of its gate. */
#include "tests/hostile.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint64_t
process_bytes(pid_t pid)
{
	char path[64];
	unsigned long long pages = 0;
	snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
	FILE *f = fopen(path, "r");
	if (!f)
		return 0;
	if (fscanf(f, "%*u %llu", &pages) != 1)
		pages = 0;
	fclose(f);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

unsigned
process_descriptors(pid_t pid)
{
	char path[64];
	unsigned n = 0;
	snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	DIR *d = opendir(path);
	if (!d)
		return 0;
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static bool
is_living_child(pid_t pid, pid_t parent)
{
	char path[64], line[256], state = 0;
	int of = 0;
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	FILE *f = fopen(path, "r");
	if (!f)
		return false;
	const char *after = fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL;
	fclose(f);
	return after && sscanf(after + 1, " %c %d", &state, &of) == 2 && of == parent && state != 'Z';
}

pid_t
process_gate(pid_t server)
{
	pid_t found = 0;
	DIR *d = opendir("/proc");
	if (!d)
		return 0;
	for (struct dirent *e; !found && (e = readdir(d)) != NULL;)
		if (isdigit((unsigned char)e->d_name[0]) && is_living_child(atoi(e->d_name), server))
			found = atoi(e->d_name);
	closedir(d);
	return found;
}

void
look_init(struct look *l, const struct server *s)
{
	*l = (struct look){ .server = s->pid };
	look_now(l);
}

bool
look_now(struct look *l)
{
	uint64_t bytes = process_bytes(l->server);
	if (bytes > l->server_bytes_max)
		l->server_bytes_max = bytes;
	if (!l->gate || process_bytes(l->gate) == 0) {
		l->gate = process_gate(l->server);
		l->gates += l->gate != 0;
	}
	bytes = l->gate ? process_bytes(l->gate) : 0;
	if (bytes > l->gate_bytes_max)
		l->gate_bytes_max = bytes;
	return process_bytes(l->server) > 0;
}
