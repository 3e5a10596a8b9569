/*
 * hostile_attack.c: the table of attacks, and the thread that carries one out. A pool of non-blocking sockets is looked through
 * every TICK_MS; each goes its way by the manner of the attack.
 *
 * A peer that vanishes is a socket with a filter that drops all that arrives (SO_ATTACH_FILTER; no privilege needed): its kernel
 * acknowledges nothing any more and answers nothing, as after a cable was cut. With the filter there before connect(), the server's
 * half of the handshake is never answered: a half-open connection in the narrow sense.
 */
#define _GNU_SOURCE
#include "tests/hostile.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "net/clock.h"

#define TICK_MS 5
#define SPRAY_MS 100 /* so long a sprayed connection listens */
#define SLOW_MS 50 /* between the bytes of who drips or sips */
#define SIP_BYTES 16
#define SMALL_WINDOW 4096
#define NICEST 19

const char *const door_names[DOOR_COUNT] = { "rpc", "events", "push", "feed", "http" };

#define ALL (DOOR_BIT(DOOR_COUNT) - 1)
#define ANSWERS (ALL & ~DOOR_BIT(DOOR_PUSH)) /* doors that say something */

const struct attack attacks[] = {
	{ "truncated", MANNER_SPRAY, 200, 500, bytes_truncated, ALL },
	{ "nested 10,000 deep", MANNER_SPRAY, 200, 500, bytes_nested, ALL },
	{ "length of 4 GiB", MANNER_SPRAY, 200, 500, bytes_length, ALL },
	{ "float quantity", MANNER_SPRAY, 200, 500, bytes_float, ALL & ~DOOR_BIT(DOOR_HTTP) },
	{ "invalid UTF-8", MANNER_SPRAY, 200, 500, bytes_text, ALL },
	{ "random bytes", MANNER_SPRAY, 200, 500, bytes_garbage, ALL },
	{ "slow sender", MANNER_DRIP, 500, 1000, bytes_request, ALL },
	{ "slow reader", MANNER_SIP, 200, 500, bytes_hungry, ANSWERS },
	{ "idle", MANNER_HOLD, 2000, 2000, NULL, ALL },
	{ "half a message", MANNER_HOLD, 2000, 2000, bytes_half, ALL },
	{ "vanished", MANNER_DEAF, 2000, 2000, bytes_request, ALL },
	{ "half-open", MANNER_SYN, 2000, 2000, NULL, ALL },
	{ "comes and goes", MANNER_SPRAY, 200, 1000, NULL, ALL },
};
const unsigned attacks_n = sizeof attacks / sizeof *attacks;

struct foe {
	int fd; /* 0: none */
	struct buffer out;
	size_t sent;
	int64_t opened_ms, next_ms;
	bool vanished;
};

struct assault {
	const struct attack *attack;
	enum door door;
	uint16_t port;
	unsigned most;
	struct foe *foes;
	pthread_t thread;
	_Atomic bool over;
	_Atomic unsigned now;
	_Atomic uint64_t opened, ended;
};

uint16_t
door_port(const struct server *s, enum door door)
{
	const uint16_t ports[DOOR_COUNT] = { s->rpc, s->events, s->push, s->feed, s->http };
	return ports[door];
}

/* ---- one bad neighbour ---- */

static void
vanish(struct foe *f)
{
	struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog program = { 1, &drop };
	f->vanished = setsockopt(f->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
}

static void
leave(struct assault *a, struct foe *f, bool reset)
{
	struct linger at_once = { 1, 0 };
	if (reset)
		setsockopt(f->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	close(f->fd);
	buffer_fini(&f->out);
	*f = (struct foe){ .fd = 0 };
	atomic_fetch_sub(&a->now, 1);
}

static void
come(struct assault *a, struct foe *f, int64_t now_ms)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(a->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int small = SMALL_WINDOW, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	*f = (struct foe){ .fd = fd, .opened_ms = now_ms };
	if (a->attack->manner == MANNER_SIP)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
	if (a->attack->manner == MANNER_SYN)
		vanish(f);
	atomic_fetch_add(&a->now, 1);
	if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) {
		leave(a, f, false);
		return;
	}
	if (a->attack->bytes)
		a->attack->bytes(&f->out, a->door, (unsigned)atomic_load(&a->opened));
	atomic_fetch_add(&a->opened, 1);
}

/* False: the server has ended it. */
static bool
say(struct foe *f, size_t most)
{
	size_t n = f->out.used - f->sent < most ? f->out.used - f->sent : most;
	ssize_t sent = n ? send(f->fd, f->out.at + f->sent, n, MSG_NOSIGNAL) : 0;
	if (sent < 0)
		return errno == EAGAIN || errno == ENOTCONN;
	f->sent += (size_t)sent;
	return true;
}

static bool
listen_to(struct foe *f, size_t most)
{
	char bytes[4096];
	ssize_t n = recv(f->fd, bytes, most < sizeof bytes ? most : sizeof bytes, 0);
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == ENOTCONN));
}

/* Its next step; false: it leaves, because the server ended it or its time is over. */
static bool
go_on(struct assault *a, struct foe *f, int64_t now_ms)
{
	switch (a->attack->manner) {
	case MANNER_SPRAY:
		return say(f, SIZE_MAX) && listen_to(f, SIZE_MAX) && now_ms - f->opened_ms < SPRAY_MS;
	case MANNER_HOLD:
		return say(f, SIZE_MAX);
	case MANNER_DEAF:
		if (!f->vanished && f->sent == f->out.used && now_ms > f->opened_ms)
			vanish(f);
		return say(f, SIZE_MAX);
	case MANNER_DRIP:
	case MANNER_SIP:
		if (now_ms < f->next_ms)
			return true;
		f->next_ms = now_ms + SLOW_MS;
		if (a->attack->manner == MANNER_SIP)
			return say(f, SIZE_MAX) && listen_to(f, SIP_BYTES);
		if (f->sent == f->out.used && a->door != DOOR_FEED)
			f->sent = 0;
		return say(f, 1) && listen_to(f, SIZE_MAX);
	case MANNER_SYN:
		return true;
	}
	return false;
}

static void *
assault_run(void *arg)
{
	struct assault *a = arg;
	struct timespec tick = { 0, TICK_MS * 1000000 };
	int64_t start_ms = clock_steady_ms();
	setpriority(PRIO_PROCESS, 0, NICEST); /* of this thread: Linux counts them one by one */
	while (!atomic_load(&a->over)) {
		int64_t now_ms = clock_steady_ms();
		uint64_t due = (uint64_t)(now_ms - start_ms) * a->attack->a_second / 1000 + 1;
		for (unsigned i = 0; i < a->most; i++) {
			struct foe *f = &a->foes[i];
			if (!f->fd && atomic_load(&a->opened) < due)
				come(a, f, now_ms);
			if (f->fd && !go_on(a, f, now_ms)) {
				atomic_fetch_add(&a->ended, now_ms - f->opened_ms < SPRAY_MS);
				leave(a, f, i & 1);
			}
		}
		nanosleep(&tick, NULL);
	}
	unsigned a_tick = 1 + a->attack->a_second * TICK_MS / 1000, gone = 0;
	for (unsigned i = 0; i < a->most; i++)
		if (a->foes[i].fd) {
			leave(a, &a->foes[i], true);
			if (++gone % a_tick == 0)
				nanosleep(&tick, NULL);
		}
	return NULL;
}

struct assault *
assault_start(const struct attack *attack, const struct server *s, enum door door, unsigned most, struct why *why)
{
	struct assault *a = calloc(1, sizeof *a);
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	if (a) {
		*a = (struct assault){ .attack = attack, .door = door, .port = door_port(s, door),
			.most = attack->connections < most ? attack->connections : most };
		a->foes = calloc(a->most, sizeof *a->foes);
	}
	if (!a || !a->foes || pthread_create(&a->thread, NULL, assault_run, a) != 0) {
		snprintf(why->text, sizeof why->text, "no memory or no thread for an attack");
		if (a)
			free(a->foes);
		free(a);
		return NULL;
	}
	return a;
}

void
assault_figures(const struct assault *a, unsigned *now, uint64_t *opened, uint64_t *ended)
{
	*now = atomic_load(&a->now);
	*opened = atomic_load(&a->opened);
	*ended = atomic_load(&a->ended);
}

void
assault_stop(struct assault *a)
{
	atomic_store(&a->over, true);
	pthread_join(a->thread, NULL);
	free(a->foes);
	free(a);
}
