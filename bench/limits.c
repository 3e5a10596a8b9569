/*
 * limits.c: what this machine can do at all, so that "how close to the limit" is a number: the disk's sync, a round trip on loopback,
 * random memory, and what msgpack-c's objects cost for one request.
 *
 *     holdfast-limits FOLDER [ROW]      a line for each row: name, figure, unit, what it is
 *
 * Each row is the median of BLOCKS blocks, so that a stall of a shared machine is no result.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <msgpack.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/clock.h"

#define BLOCKS 15
#define FILE_BYTES (64 << 20)
#define SYNCS 60 /* in a block */
#define ROUND_TRIPS 2000
#define CELL_BYTES 128
#define AHEAD 16
#define LOOKS 400000
#define REQUESTS 20000

struct limit {
	const char *name, *unit, *what;
	double (*block)(const struct limit *); /* what one operation took, in `unit` */
	size_t size; /* of the write, or cells */
	int ahead;
};

static const char *folder;
static uint64_t random_state = 88172645463325252u;
static volatile uint64_t kept; /* results go here, so that no work is left out */

static _Noreturn void
die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t
random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	return random_state ^= random_state << 17;
}

/* ---- the disk ---- */

/* Written whole before, as the journal's segments are. */
static int
file_written(void)
{
	static int fd = -1;
	static char zeros[1 << 20];
	char path[4096];
	if (fd >= 0)
		return fd;
	snprintf(path, sizeof path, "%s/limits.blocks", folder);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	for (int i = 0; fd >= 0 && i < FILE_BYTES / (int)sizeof zeros; i++)
		if (pwrite(fd, zeros, sizeof zeros, (off_t)i * (off_t)sizeof zeros) != (ssize_t)sizeof zeros)
			die(path);
	if (fd < 0 || fsync(fd) != 0)
		die(path);
	unlink(path);
	return fd;
}

static double
sync_block(const struct limit *l)
{
	static char bytes[64 << 10];
	static off_t at;
	int fd = file_written();
	int64_t begin = clock_steady_ns();
	for (int i = 0; i < SYNCS; i++) {
		memset(bytes, i, l->size);
		at = at + (off_t)l->size < FILE_BYTES ? at + (off_t)l->size : 0;
		if (pwrite(fd, bytes, l->size, at) != (ssize_t)l->size || fdatasync(fd) != 0)
			die("sync");
	}
	return (double)(clock_steady_ns() - begin) / SYNCS / 1e3;
}

/* ---- loopback ---- */

static void *
echo_main(void *fd)
{
	char bytes[64];
	ssize_t n;
	while ((n = recv(*(int *)fd, bytes, sizeof bytes, 0)) > 0)
		if (send(*(int *)fd, bytes, (size_t)n, MSG_NOSIGNAL) != n)
			break;
	close(*(int *)fd);
	return NULL;
}

static int
tcp_pair(int *other)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	if (bind(listener, (struct sockaddr *)&a, n) != 0 || listen(listener, 1) != 0 || getsockname(listener, (struct sockaddr *)&a, &n) != 0 ||
	    connect(fd, (struct sockaddr *)&a, n) != 0 || (*other = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) < 0)
		die("loopback");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(*other, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	close(listener);
	return fd;
}

static double
loopback_block(const struct limit *l)
{
	char bytes[64] = "sixty-four bytes there, and sixty-four bytes back again";
	pthread_t echo;
	int other, fd = tcp_pair(&other);
	pthread_create(&echo, NULL, echo_main, &other);
	int64_t begin = clock_steady_ns();
	for (int i = 0; i < ROUND_TRIPS; i++)
		if (send(fd, bytes, l->size, MSG_NOSIGNAL) != (ssize_t)l->size || recv(fd, bytes, l->size, MSG_WAITALL) != (ssize_t)l->size)
			die("loopback");
	double took = (double)(clock_steady_ns() - begin) / ROUND_TRIPS / 1e3;
	close(fd);
	pthread_join(echo, NULL);
	return took;
}

/* ---- memory ---- */

struct cell {
	uint64_t word[CELL_BYTES / 8];
};

/* Every page touched, huge ones if the kernel gives them, as the engine's tables. */
static struct cell *
cells_touched(size_t n)
{
	static struct cell *cells;
	static size_t have;
	if (have == n)
		return cells;
	if (have)
		munmap(cells, have * sizeof *cells);
	cells = mmap(NULL, n * sizeof *cells, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (cells == MAP_FAILED)
		die("memory");
	madvise(cells, n * sizeof *cells, MADV_HUGEPAGE);
	for (size_t i = 0; i < n; i++)
		cells[i].word[0] = i;
	have = n;
	return cells;
}

static double
memory_block(const struct limit *l)
{
	static uint32_t next[LOOKS + AHEAD];
	struct cell *cells = cells_touched(l->size);
	uint64_t sum = 0;
	for (size_t i = 0; i < LOOKS + AHEAD; i++)
		next[i] = (uint32_t)(random_next() % l->size);
	int64_t begin = clock_steady_ns();
	for (size_t i = 0; i < LOOKS; i++) {
		if (l->ahead)
			__builtin_prefetch(&cells[next[i + AHEAD]], 1);
		sum += cells[next[i]].word[0]++;
	}
	double took = (double)(clock_steady_ns() - begin) / LOOKS;
	kept = sum;
	return took;
}

/* ---- msgpack-c ---- */

static void
pack_text(msgpack_packer *p, const char *text)
{
	msgpack_pack_str(p, strlen(text));
	msgpack_pack_str_body(p, text, strlen(text));
}

static void
pack_reserve(msgpack_packer *p, uint32_t msgid)
{
	msgpack_pack_array(p, 4);
	msgpack_pack_int(p, 0);
	msgpack_pack_uint32(p, msgid);
	pack_text(p, "reserve");
	msgpack_pack_array(p, 3);
	pack_text(p, "0123456789abcdef");
	msgpack_pack_array(p, 1);
	msgpack_pack_array(p, 3);
	pack_text(p, "S0000001"), pack_text(p, "L1"), msgpack_pack_int(p, 1);
	msgpack_pack_map(p, 1);
	pack_text(p, "ttl_ms"), msgpack_pack_int(p, 900000);
}

static double
encode_block(const struct limit *l)
{
	msgpack_sbuffer out;
	msgpack_packer packer;
	msgpack_sbuffer_init(&out);
	msgpack_packer_init(&packer, &out, msgpack_sbuffer_write);
	int64_t begin = clock_steady_ns();
	for (uint32_t i = 0; i < REQUESTS; i++) {
		out.size = 0;
		pack_reserve(&packer, i + 1000000);
	}
	double took = (double)(clock_steady_ns() - begin) / REQUESTS;
	msgpack_sbuffer_destroy(&out);
	return took;
}

static double
decode_block(const struct limit *l)
{
	msgpack_sbuffer out;
	msgpack_packer packer;
	msgpack_sbuffer_init(&out);
	msgpack_packer_init(&packer, &out, msgpack_sbuffer_write);
	pack_reserve(&packer, 1000000);
	int64_t begin = clock_steady_ns();
	for (uint32_t i = 0; i < REQUESTS; i++) {
		msgpack_unpacked object;
		msgpack_unpacked_init(&object);
		if (msgpack_unpack_next(&object, out.data, out.size, NULL) != MSGPACK_UNPACK_SUCCESS)
			die("msgpack");
		kept += object.data.via.array.size;
		msgpack_unpacked_destroy(&object);
	}
	double took = (double)(clock_steady_ns() - begin) / REQUESTS;
	msgpack_sbuffer_destroy(&out);
	return took;
}

static const struct limit limits[] = {
	{ "sync_4k", "us", "write and fdatasync of 4 KiB over old ones", sync_block, 4 << 10, 0 },
	{ "sync_64k", "us", "write and fdatasync of 64 KiB over old ones", sync_block, 64 << 10, 0 },
	{ "loopback", "us", "64 bytes there and back by TCP, two threads", loopback_block, 64, 0 },
	{ "memory_1m", "ns", "change a random one of 1 M cells of 128 bytes", memory_block, 1 << 20, 0 },
	{ "memory_1m_ahead", "ns", "change a random one of 1 M cells, prefetched 16 ahead", memory_block, 1 << 20, 1 },
	{ "memory_8m", "ns", "change a random one of 8 M cells of 128 bytes", memory_block, 8 << 20, 0 },
	{ "memory_8m_ahead", "ns", "change a random one of 8 M cells, prefetched 16 ahead", memory_block, 8 << 20, 1 },
	{ "objects_decode", "ns", "a reserve request into msgpack-c's objects", decode_block, 0, 0 },
	{ "objects_encode", "ns", "a reserve request with msgpack-c's packer", encode_block, 0, 0 },
};
#define LIMITS (sizeof limits / sizeof *limits)

static int
by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

int
main(int argc, char **argv)
{
	if (argc < 2) {
		fputs("usage: holdfast-limits FOLDER [ROW]   (the folder's disk is measured)\n", stderr);
		return 2;
	}
	folder = argv[1];
	for (size_t i = 0; i < LIMITS; i++) {
		double took[BLOCKS];
		if (argc > 2 && strcmp(argv[2], limits[i].name) != 0)
			continue;
		for (int b = 0; b < BLOCKS; b++)
			took[b] = limits[i].block(&limits[i]);
		qsort(took, BLOCKS, sizeof *took, by_size);
		printf("%s %.1f %s %s\n", limits[i].name, took[BLOCKS / 2], limits[i].unit, limits[i].what);
		fflush(stdout);
	}
	return 0;
}
