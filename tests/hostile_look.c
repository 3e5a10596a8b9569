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

unsigned
process_children(pid_t parent, pid_t *children, unsigned most)
{
	unsigned n = 0;
	DIR *d = opendir("/proc");
	if (!d)
		return 0;
	for (struct dirent *e; n < most && (e = readdir(d)) != NULL;)
		if (isdigit((unsigned char)e->d_name[0]) && is_living_child(atoi(e->d_name), parent))
			children[n++] = atoi(e->d_name);
	closedir(d);
	return n;
}

pid_t
process_gate(pid_t server)
{
	pid_t found = 0;
	return process_children(server, &found, 1) ? found : 0;
}

/* The processes of the gate; those that were not there before have been started meanwhile. */
static void
gates_find(struct look *l)
{
	pid_t guardian = process_gate(l->server), now[LOOK_GATES_N] = { 0 };
	unsigned n = guardian ? process_children(guardian, now, LOOK_GATES_N) : 0;
	for (unsigned i = 0; i < n; i++)
		l->gates += now[i] != l->gates_now[0] && now[i] != l->gates_now[1];
	memcpy(l->gates_now, now, sizeof now);
}

static void
look_at_gates(struct look *l)
{
	uint64_t bytes = 0;
	if (l->gates_now[0] == 0 || l->gates_now[1] == 0 || process_bytes(l->gates_now[0]) == 0 || process_bytes(l->gates_now[1]) == 0)
		gates_find(l);
	for (unsigned i = 0; i < LOOK_GATES_N; i++)
		bytes += l->gates_now[i] ? process_bytes(l->gates_now[i]) : 0;
	if (bytes > l->gate_bytes_max)
		l->gate_bytes_max = bytes;
}

void
look_init(struct look *l, const struct server *s)
{
	*l = (struct look){ .server = s->pid };
	look_now(l);
	l->gates_first = l->gates;
}

bool
look_now(struct look *l)
{
	uint64_t bytes = process_bytes(l->server);
	if (bytes > l->server_bytes_max)
		l->server_bytes_max = bytes;
	look_at_gates(l);
	return process_bytes(l->server) > 0;
}
