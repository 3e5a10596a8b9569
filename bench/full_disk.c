/*
 * full_disk.c: a disk that is really full: a server's data and a spooling gate's queue on a tmpfs of their own, in a user and mount
 * namespace that ends with this program. Requests go on one after the other while a file takes the room away and gives it back:
 *
 *   room    everything is answered
 *   low     less than the reserve of 256 MiB is free: new holds are `overloaded`; events are applied, the gate queues
 *   none    nothing is free: the gate answers `capacity`, the server ends with status 3 when its file is full (or lasts: then it refuses)
 *   again   the room is back, the server started again: everything is answered
 *
 * A record is kept of every answer, outside that disk. In the end it is compared with what the server says:
 *
 *   FD1 each phase had its documented answers and no other
 *   FD2 what was acknowledged is there: every hold, every event posted, every event queued; nothing twice: on hand is the sum, and
 *       what is available is on hand less the holds
 *
 *   holdfast-full_disk [REQUESTS]     of each kind, in each phase (500)
 *
 * The exit code is the verdict; where user namespaces are forbidden it says SKIPPED and ends with 0. One thread.
 */
#define _GNU_SOURCE
#include "holdfast/holdfast.h"
#include "net/clock.h"
#include "tests/gate_rig.h"
#include "tests/spawn.h"
#include "tests/wire_text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define DISK_BYTES "400m"
#define LOW_BYTES ((int64_t)200 << 20) /* below the server's reserve of 256 MiB, above what it needs to go on */
#define STOCK 1000000
#define HOLDS_MAX 200000
#define PHASE_MS 60000 /* what a phase waits for must come in that time */
#define CALL_MS 20000

enum answer { ACKNOWLEDGED, OVERLOADED, CAPACITY, UNKNOWN, AWAY, OTHER, ANSWERS };
static const char *const answer_names[ANSWERS] = { "acknowledged", "overloaded", "capacity", "unknown", "away", "other" };
enum kind { HOLD, EVENT, QUEUED, KINDS };
static const char *const kind_names[KINDS] = { "holds", "events posted", "events queued" };

static struct {
	struct server server;
	struct gate_process gate;
	struct hf *hf; /* NULL: away */
	int line; /* to the gate; -1 */
	uint32_t number; /* of its last request */
	uint16_t rpc;
	char disk[300], ballast[320], spool[320];
	uint8_t held[HOLDS_MAX]; /* of each hold's number, 1: acknowledged */
	uint32_t holds;
	uint64_t events, queued; /* acknowledged: of their sources, the numbers up to there */
	char other[256]; /* the first answer that is none of the others */
	bool right;
} f = { .line = -1, .right = true };

static void
verdict(bool holds, const char *what)
{
	printf("%s %s\n", holds ? "ok" : "FAIL", what);
	f.right &= holds;
}

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "full_disk: %s\n", what);
	if (f.gate.pid)
		rig_end(&f.gate, SIGKILL);
	exit(2);
}

/* ---- the disk ---- */

static bool
file_say(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool said = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	if (fd >= 0)
		close(fd);
	return said;
}

/* False: errno says why it is forbidden. */
static bool
namespaces_enter(void)
{
	char map[2][64];
	snprintf(map[0], sizeof map[0], "0 %u 1", (unsigned)getuid());
	snprintf(map[1], sizeof map[1], "0 %u 1", (unsigned)getgid());
	return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && file_say("/proc/self/uid_map", map[0]) && file_say("/proc/self/setgroups", "deny")
	    && file_say("/proc/self/gid_map", map[1]) && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

/* Only the data and the spool are on it: the server's log and its port file are not. */
static bool
disk_make(void)
{
	char data[320], link[320];
	struct why why;
	if (server_init(&f.server, &why) < 0)
		die(why.text);
	snprintf(f.disk, sizeof f.disk, "%s/disk", f.server.folder);
	snprintf(f.ballast, sizeof f.ballast, "%s/ballast", f.disk);
	snprintf(f.spool, sizeof f.spool, "%s/spool", f.disk);
	snprintf(data, sizeof data, "%s/data", f.disk);
	snprintf(link, sizeof link, "%s/data", f.server.folder);
	return mkdir(f.disk, 0700) == 0 && mount("tmpfs", f.disk, "tmpfs", 0, "size=" DISK_BYTES) == 0 && mkdir(data, 0700) == 0
	    && symlink("disk/data", link) == 0;
}

static int64_t
free_bytes(void)
{
	struct statvfs s;
	return statvfs(f.disk, &s) < 0 ? -1 : (int64_t)s.f_bavail * (int64_t)s.f_frsize;
}

/* The ballast grows until so much is left; to the last page when `left` is 0. */
static void
disk_fill(int64_t left)
{
	int fd = open(f.ballast, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	struct stat s;
	if (fd < 0 || fstat(fd, &s) < 0)
		die("the ballast cannot be opened");
	for (int64_t at = s.st_size, step = free_bytes() - left; step > 0; step = free_bytes() - left) {
		step -= step % 4096;
		if (step == 0 || posix_fallocate(fd, at, step) != 0) /* somebody took it in between */
			break;
		at += step;
	}
	close(fd);
}

/* ---- requests ---- */

static enum answer
of_outcome(enum hf_outcome outcome)
{
	const struct hf_failure *e = hf_error(f.hf);
	enum answer answer = outcome == HF_OK ? ACKNOWLEDGED : outcome == HF_FAILED ? AWAY : outcome == HF_UNKNOWN ? UNKNOWN :
	    strcmp(e->code, "overloaded") == 0 ? OVERLOADED : strcmp(e->code, "unknown") == 0 ? UNKNOWN : OTHER;
	if (answer == OTHER && !f.other[0])
		snprintf(f.other, sizeof f.other, "%.32s: %.200s", e->code, e->message);
	if (outcome == HF_FAILED || outcome == HF_UNKNOWN) {
		hf_close(f.hf);
		f.hf = NULL;
	}
	return answer;
}

static bool
connected(void)
{
	struct hf_failure failure;
	f.hf = f.hf ? f.hf : hf_connect("127.0.0.1", f.rpc, CALL_MS, &failure);
	return f.hf != NULL;
}

static enum answer
hold_ask(void)
{
	const struct hf_line line = { "S", "L", 1 };
	const struct hf_reserve_options options = { .ttl_ms = 80000000 };
	const struct hf_value *value;
	char id[32];
	if (!connected())
		return AWAY;
	if (f.holds + 1 >= HOLDS_MAX)
		die("too many holds");
	snprintf(id, sizeof id, "hold-%u", ++f.holds);
	enum answer answer = of_outcome(hf_reserve(f.hf, id, &line, 1, &options, &value));
	f.held[f.holds] = answer == ACKNOWLEDGED;
	return answer;
}

/* The number that is not acknowledged is sent again. */
static enum answer
event_ask(void)
{
	const struct hf_stock_event event = { .source = "direct", .n = (int64_t)f.events + 1, .kind = "receipt", .sku = "S", .location = "L",
		.qty = f.events ? 1 : STOCK };
	const struct hf_value *value;
	if (!connected())
		return AWAY;
	enum answer answer = of_outcome(hf_post(f.hf, &event, 1, &value));
	if (answer == ACKNOWLEDGED && value->array.items[1].array.items[0].type != HF_STR)
		answer = OTHER; /* rejected: with room for it in the tables there is no reason */
	f.events += answer == ACKNOWLEDGED;
	return answer;
}

static enum answer
queue_ask(void)
{
	uint8_t event[128], body[512];
	uint32_t word;
	f.line = f.line >= 0 ? f.line : till_open(f.gate.ports[DOOR_EVENTS]);
	size_t n = put_receipt(event, "spooled", (uint32_t)f.queued + 1);
	int64_t got = f.line >= 0 && till_send(f.line, ++f.number | REQUEST_BIT, event, n) ? till_receive(f.line, &word, body, sizeof body) : -1;
	if (got > 9 && memcmp(body, "\x81\xa6queued\x92", 9) == 0) {
		f.queued++;
		return ACKNOWLEDGED;
	}
	if (got > 0 && memmem(body, (size_t)got, "capacity", 8) && memmem(body, (size_t)got, "spool", 5))
		return CAPACITY;
	if (!f.other[0])
		snprintf(f.other, sizeof f.other, "the gate: %.240s", got > 0 ? wire_to_text(body, (size_t)got) : "nothing");
	return OTHER;
}

static enum answer (*const asks[KINDS])(void) = { hold_ask, event_ask, queue_ask };

/* ---- phases ---- */

struct phase {
	const char *name;
	uint32_t counts[KINDS][ANSWERS];
};

static void
phase_round(struct phase *p)
{
	for (int kind = 0; kind < KINDS; kind++)
		p->counts[kind][asks[kind]()]++;
}

/* Until one of the kind is answered so, which may take a look at the disk. False: it was not. */
static bool
phase_begins(struct phase *p, enum kind kind, enum answer answer)
{
	int64_t end_ms = clock_steady_ms() + PHASE_MS;
	while (p->counts[kind][answer] == 0 && clock_steady_ms() < end_ms)
		phase_round(p);
	return p->counts[kind][answer] > 0;
}

static void
phase_show(const struct phase *p, int64_t free)
{
	for (int kind = 0; kind < KINDS; kind++) {
		printf("     %-6s %4" PRIi64 " MiB free  %-14s", kind ? "" : p->name, free >> 20, kind_names[kind]);
		for (int answer = 0; answer < ANSWERS; answer++)
			if (p->counts[kind][answer])
				printf(" %s %u", answer_names[answer], p->counts[kind][answer]);
		printf("\n");
	}
}

/* So many of each kind, from now on, all answered so. */
static bool
phase_all(const char *name, uint32_t rounds, enum answer hold, enum answer event, enum answer queued)
{
	struct phase p = { .name = name };
	for (uint32_t i = 0; i < rounds; i++)
		phase_round(&p);
	phase_show(&p, free_bytes());
	return p.counts[HOLD][hold] == rounds && p.counts[EVENT][event] == rounds && p.counts[QUEUED][queued] == rounds;
}

/* Its exit status; -1: it runs, or was killed. It stays for server_kill() to reap. */
static int
server_status(void)
{
	siginfo_t info = { .si_pid = 0 };
	bool ended = waitid(P_PID, (id_t)f.server.pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0;
	return ended && info.si_code == CLD_EXITED ? info.si_status : -1;
}

static bool
server_up(struct why *why)
{
	char listen[32];
	const char *const words[] = { "--gate", "off", "--http", "off", "--cells-max", "1000", "--reservations-max", "262144", "--history-max", "1000",
		"--free-ids-max", "1000", "--segment-bytes", "16M", f.rpc ? "--listen" : NULL, listen, NULL };
	snprintf(listen, sizeof listen, "127.0.0.1:%u", f.rpc);
	bool up = server_start(&f.server, words, why) == 0;
	f.rpc = up ? f.server.rpc : f.rpc;
	return up;
}

/* Nothing is free. Each kind is asked until the gate refuses and the server has ended; or, when it has room to last, refuses so long. */
static bool
phase_none(uint32_t rounds)
{
	struct phase p = { .name = "none" };
	struct why why = { "" };
	int64_t end_ms = clock_steady_ms() + PHASE_MS;
	while ((p.counts[EVENT][AWAY] < rounds || p.counts[QUEUED][CAPACITY] < rounds) && clock_steady_ms() < end_ms) {
		disk_fill(0);
		phase_round(&p);
	}
	int status = server_status();
	phase_show(&p, free_bytes());
	printf("     the server ended with status %d; the gate %s\n", status, kill(f.gate.pid, 0) == 0 ? "lives" : "is gone");
	bool fine = status == 3 && p.counts[HOLD][ACKNOWLEDGED] == 0 && p.counts[HOLD][OTHER] + p.counts[EVENT][OTHER] + p.counts[QUEUED][OTHER] == 0
	    && p.counts[EVENT][UNKNOWN] + p.counts[HOLD][UNKNOWN] <= 2 && p.counts[QUEUED][CAPACITY] > 0;
	server_kill(&f.server);
	if (server_up(&why))
		printf("     started on the full disk it comes up\n");
	else
		printf("     started on the full disk it says: %s", why.text);
	bool low = f.server.pid == 0 || hold_ask() == OVERLOADED;
	if (f.server.pid == 0)
		fine = fine && strstr(why.text, "room");
	if (f.hf)
		hf_close(f.hf);
	f.hf = NULL;
	if (f.server.pid)
		server_kill(&f.server);
	return fine && low;
}

/* ---- what is there in the end ---- */

static int64_t
contiguous(const char *source)
{
	const struct hf_value *value;
	return connected() && hf_position(f.hf, source, &value) == HF_OK ? hf_int(hf_get(value, "contiguous"), -1) : -1;
}

static bool
all_is_there(void)
{
	const struct hf_line cell = { "S", "L", 1 };
	const struct hf_value *value;
	int64_t end_ms = clock_steady_ms() + PHASE_MS, on_hand, ats, open = 0;
	uint32_t lost = 0, unasked = 0;
	char id[32];
	while (contiguous("spooled") < (int64_t)f.queued && clock_steady_ms() < end_ms)
		poll(NULL, 0, 10);
	for (uint32_t i = 1; i <= f.holds && connected(); i++) {
		snprintf(id, sizeof id, "hold-%u", i);
		bool there = hf_reservation(f.hf, id, &value) == HF_OK;
		open += there;
		lost += f.held[i] && !there;
		unasked += there && !f.held[i];
	}
	if (!connected() || hf_stock(f.hf, &cell, 1, &value) != HF_OK)
		return false;
	on_hand = hf_int(hf_get(&value->array.items[1].array.items[0], "on_hand"), -1);
	ats = hf_int(hf_get(&value->array.items[1].array.items[0], "ats"), -1);
	printf("     %u holds asked for, %u acknowledged ones lost, %u there without an answer; posted %" PRIu64 ", there up to %" PRIi64 "; queued %" PRIu64
	    ", there up to %" PRIi64 "; on hand %" PRIi64 ", available %" PRIi64 "\n", f.holds, lost, unasked, f.events, contiguous("direct"), f.queued,
	    contiguous("spooled"), on_hand, ats);
	return lost == 0 && unasked <= 2 && contiguous("direct") == (int64_t)f.events && contiguous("spooled") == (int64_t)f.queued
	    && on_hand == STOCK + (int64_t)(f.events - 1 + f.queued) && ats == on_hand - open;
}

static void
play(uint32_t rounds)
{
	struct phase low = { .name = "" }, again = { .name = "" };
	struct why why = { "" };
	event_ask();
	bool room = phase_all("room", rounds, ACKNOWLEDGED, ACKNOWLEDGED, ACKNOWLEDGED);
	verdict(room, "FD1 room: everything is answered");
	disk_fill(LOW_BYTES);
	bool begins = phase_begins(&low, HOLD, OVERLOADED);
	verdict(begins && phase_all("low", rounds, OVERLOADED, ACKNOWLEDGED, ACKNOWLEDGED), "FD1 low: new holds are overloaded, events are taken");
	verdict(phase_none(rounds), "FD1 none: the gate refuses and lives, the server ends with 3 or refuses, nothing else is said");
	unlink(f.ballast);
	if (!server_up(&why))
		die(why.text);
	begins = phase_begins(&again, HOLD, ACKNOWLEDGED) && phase_begins(&again, QUEUED, ACKNOWLEDGED);
	verdict(begins && phase_all("again", rounds, ACKNOWLEDGED, ACKNOWLEDGED, ACKNOWLEDGED), "FD1 again: with room everything is answered as before");
	verdict(all_is_there(), "FD2 what was acknowledged is there, once");
	if (f.other[0])
		printf("     an answer that is none of those: %s\n", f.other);
}

int
main(int argc, char **argv)
{
	uint32_t rounds = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 500;
	char where[32];
	struct why why = { "" };
	if (rounds == 0 || rounds > HOLDS_MAX / 10) {
		fprintf(stderr, "usage: holdfast-full_disk [REQUESTS]\n");
		return 2;
	}
	if (!namespaces_enter() || !disk_make()) {
		printf("SKIPPED: this machine lets nobody have a disk of his own (user and mount namespaces: %s); nothing is proved\n", strerror(errno));
		server_remove(&f.server);
		return 0;
	}
	if (!server_up(&why))
		die(why.text);
	snprintf(where, sizeof where, "127.0.0.1:%u", f.rpc);
	if (!rig_start_with(&f.gate, (const char *[]){ "--server", where, "--events", "127.0.0.1:0", "--push", "off", "--feed", "off", "--spool", f.spool,
	    "--spool-bytes-max", "16M", NULL }))
		die("the gate does not start");
	play(rounds);
	if (f.hf)
		hf_close(f.hf);
	rig_end(&f.gate, SIGTERM);
	server_stop(&f.server);
	umount(f.disk);
	server_remove(&f.server);
	return f.right ? 0 : 1;
}
