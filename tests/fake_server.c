/* fake_server.c: one thread, one poll(), a few connections. Orders from the test come as flags under the lock and a byte in a pipe. */
#define _GNU_SOURCE
#include "tests/fake_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/buffer.h"
#include "net/clock.h"
#include "net/codec_read.h"
#include "net/scanner.h"

#define CONNECTIONS_MAX 8
#define NUMBERS_MAX 500000
#define PATIENCE_MS 20000
#define SETTLED_MS 150
#define FRAME_LIMIT ((size_t)2 << 20)

struct fake_connection {
	int fd; /* -1: free */
	bool watching;
	bool owes; /* a reply to a post is in `out`, or was since that was empty last: what fake_hold() keeps */
	struct buffer in, out;
	struct scanner scanner;
};

struct fake_state {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int wake[2];
	/* Under the lock. */
	bool stop, hold, deaf, away, breaking;
	char code[32], watch_code[32];
	uint32_t refusals, watch_refusals;
	struct buffer telling; /* for those who watch */
	uint8_t greeting[16];
	size_t greeting_n;
	struct fake_counts counts;
	int64_t last_ms; /* of the last event */
	/* The thread's own. */
	uint16_t port;
	int listener;
	uint32_t last_number;
	uint64_t seq;
	uint8_t taken[NUMBERS_MAX];
	struct fake_connection connections[CONNECTIONS_MAX];
};

/* ---- replies ---- */

static void
out_text(struct buffer *out, const char *text)
{
	uint8_t head = (uint8_t)(0xa0 | strlen(text));
	buffer_append(out, &head, 1);
	buffer_append(out, text, strlen(text));
}

static void
out_head(struct buffer *out, uint32_t msgid)
{
	const uint8_t head[] = { 0x94, 1, 0xce, msgid >> 24, msgid >> 16 & 255, msgid >> 8 & 255, msgid & 255 };
	buffer_append(out, head, sizeof head);
}

static void
out_refusal(struct buffer *out, uint32_t msgid, const char *code)
{
	out_head(out, msgid);
	buffer_append(out, "\x93", 1);
	out_text(out, code);
	out_text(out, "not now");
	buffer_append(out, "\x82\xa1x\x01", 4);
	out_text(out, "retry_after_ms");
	buffer_append(out, "\x05\xc0", 2);
}

/* Any map with an integer under "n" is an event. */
static const char *
event_outcome(struct fake_state *f, struct reader *r)
{
	static const struct key keys[] = { KEY("n") };
	struct reader map = *r;
	uint32_t pairs;
	int64_t n = -1;
	int hint = 0;
	reader_skip(r);
	if (!reader_map(&map, &pairs))
		return "bad_event";
	for (uint32_t i = 0; i < pairs; i++)
		if (reader_key(&map, keys, 1, &hint) != 0 || !reader_int(&map, &n))
			reader_skip(&map);
	if (n < 0 || n >= NUMBERS_MAX)
		return "bad_event";
	f->counts.out_of_order += n < f->last_number;
	f->last_number = (uint32_t)n;
	if (f->taken[n])
		return "duplicate";
	f->taken[n] = 1;
	f->counts.events++;
	f->last_ms = clock_steady_ms();
	return "applied";
}

static void
post_take(struct fake_state *f, uint32_t msgid, struct reader *r, struct buffer *out)
{
	uint32_t n;
	f->counts.posts++;
	if (f->refusals) {
		f->refusals--;
		out_refusal(out, msgid, f->code);
		return;
	}
	if (!reader_array(r, &n) || n != 1 || !reader_array(r, &n)) {
		out_refusal(out, msgid, "bad_request");
		return;
	}
	f->seq++;
	out_head(out, msgid);
	const uint8_t head[] = { 0xc0, 0x92, 0xce, f->seq >> 24 & 255, f->seq >> 16 & 255, f->seq >> 8 & 255, f->seq & 255, 0xdd, n >> 24,
		n >> 16 & 255, n >> 8 & 255, n & 255 };
	buffer_append(out, head, sizeof head);
	for (uint32_t i = 0; i < n; i++)
		out_text(out, event_outcome(f, r));
}

static void
out_map_seq(struct buffer *out, uint32_t msgid, uint64_t seq)
{
	uint8_t bytes[] = { 0xc0, 0x81, 0xa3, 's', 'e', 'q', 0xcf, 0, 0, 0, 0, 0, 0, 0, 0 };
	for (int i = 0; i < 8; i++)
		bytes[7 + i] = (uint8_t)(seq >> (56 - 8 * i));
	out_head(out, msgid);
	buffer_append(out, bytes, sizeof bytes);
}

/* [{full: true, since?: n}] */
static void
watch_take(struct fake_state *f, struct fake_connection *c, uint32_t msgid, struct reader *r)
{
	static const struct key keys[] = { KEY("full"), KEY("since") };
	uint32_t n, pairs;
	int64_t since = -1;
	int hint = 0;
	f->counts.watches++;
	if (!reader_array(r, &n) || n != 1 || !reader_map(r, &pairs)) {
		out_refusal(&c->out, msgid, "bad_request");
		return;
	}
	for (uint32_t i = 0; i < pairs; i++)
		if (reader_key(r, keys, 2, &hint) != 1 || !reader_int(r, &since))
			reader_skip(r);
	f->counts.since = (uint64_t)since;
	if (f->watch_refusals) {
		f->watch_refusals--;
		out_refusal(&c->out, msgid, f->watch_code);
		return;
	}
	c->watching = true;
	out_map_seq(&c->out, msgid, since < 0 ? f->seq : (uint64_t)since);
}

/* {contiguous: 5, highest: 9, missing: [[6, 8]], last_at: 1} */
static void
position_take(struct fake_state *f, struct fake_connection *c, uint32_t msgid, struct reader *r)
{
	static const char reply[] = "\xc0\x84\xaa" "contiguous\x05\xa7highest\x09\xa7missing\x91\x92\x06\x08\xa7last_at\x01";
	struct bytes source;
	uint32_t n;
	f->counts.positions++;
	if (f->refusals) {
		f->refusals--;
		out_refusal(&c->out, msgid, f->code);
	} else if (!reader_array(r, &n) || n != 1 || !reader_text(r, 32, &source)) {
		out_refusal(&c->out, msgid, "bad_request");
	} else {
		out_head(&c->out, msgid);
		buffer_append(&c->out, reply, sizeof reply - 1);
	}
}

static bool
is(struct bytes method, const char *name)
{
	return method.n == strlen(name) && memcmp(method.at, name, method.n) == 0;
}

/* False: close it. */
static bool
frame_take(struct fake_state *f, struct fake_connection *c, size_t n)
{
	struct reader r = { c->in.at, c->in.at + n };
	struct bytes method = { NULL, 0 };
	uint32_t members;
	int64_t kind, msgid;
	if (!reader_array(&r, &members) || members != 4 || !reader_int(&r, &kind) || kind != 0 || !reader_int(&r, &msgid)
	    || !reader_str(&r, &method))
		return false;
	c->owes = c->owes || is(method, "post");
	f->counts.hellos += is(method, "hello");
	if (is(method, "post"))
		post_take(f, (uint32_t)msgid, &r, &c->out);
	else if (is(method, "hello"))
		out_map_seq(&c->out, (uint32_t)msgid, f->seq);
	else if (is(method, "watch"))
		watch_take(f, c, (uint32_t)msgid, &r);
	else if (is(method, "position"))
		position_take(f, c, (uint32_t)msgid, &r);
	else
		return false;
	return true;
}

/* ---- connections ---- */

static void
connection_close(struct fake_connection *c)
{
	close(c->fd);
	c->fd = -1;
	c->watching = c->owes = false;
	buffer_fini(&c->in);
	buffer_fini(&c->out);
}

static bool
connection_read(struct fake_state *f, struct fake_connection *c)
{
	uint8_t *room = buffer_room(&c->in, 1 << 16);
	ssize_t got = recv(c->fd, room, 1 << 16, MSG_DONTWAIT);
	if (got <= 0)
		return got < 0 && (errno == EAGAIN || errno == EINTR);
	c->in.used += (size_t)got;
	for (;;) {
		size_t end;
		enum scan scan = c->in.used ? scanner_scan(&c->scanner, c->in.at, c->in.used, FRAME_LIMIT, &end) : SCAN_MORE;
		if (scan == SCAN_MORE)
			return true;
		if (scan != SCAN_WHOLE || !frame_take(f, c, end))
			return false;
		buffer_consume(&c->in, end);
		scanner_init(&c->scanner);
	}
}

static bool
connection_write(struct fake_connection *c)
{
	ssize_t sent = c->out.used ? send(c->fd, c->out.at, c->out.used, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
	if (sent < 0)
		return errno == EAGAIN || errno == EINTR;
	if (sent > 0)
		buffer_consume(&c->out, (size_t)sent);
	c->owes = c->owes && c->out.used > 0;
	return true;
}

static void
connection_open(struct fake_state *f)
{
	int fd = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
	for (int i = 0; fd >= 0 && i < CONNECTIONS_MAX; i++) {
		struct fake_connection *c = &f->connections[i];
		if (c->fd >= 0)
			continue;
		*c = (struct fake_connection){ .fd = fd };
		scanner_init(&c->scanner);
		buffer_append(&c->out, f->greeting, f->greeting_n);
		f->counts.connects++;
		return;
	}
	if (fd >= 0)
		close(fd);
}

/* ---- the thread ---- */

static void
listen_again(struct fake_state *f)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(f->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;
	int on = 1;
	f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(f->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(f->listener, (struct sockaddr *)&a, sizeof a) < 0 || listen(f->listener, 16) < 0) {
		close(f->listener);
		f->listener = -1;
		return;
	}
	getsockname(f->listener, (struct sockaddr *)&a, &n);
	f->port = ntohs(a.sin_port);
}

static void
orders_obey(struct fake_state *f)
{
	if (f->away && f->listener >= 0) {
		close(f->listener);
		f->listener = -1;
	}
	if (!f->away && f->listener < 0)
		listen_again(f);
	for (int i = 0; f->breaking && i < CONNECTIONS_MAX; i++)
		if (f->connections[i].fd >= 0)
			connection_close(&f->connections[i]);
	f->breaking = false;
	pthread_cond_broadcast(&f->changed);
}

static bool
held(const struct fake_state *f, const struct fake_connection *c)
{
	return f->hold && c->owes;
}

static void
connections_serve(struct fake_state *f, const struct pollfd *fds)
{
	for (int i = 0; i < CONNECTIONS_MAX; i++) {
		struct fake_connection *c = &f->connections[i];
		if (c->fd < 0 || c->fd != fds[i].fd)
			continue;
		if (c->watching)
			buffer_append(&c->out, f->telling.at, f->telling.used);
		/* What is to be said is said before a wrong request can end it. */
		bool fine = held(f, c) || connection_write(c);
		fine = fine && (f->deaf || !(fds[i].revents & ~POLLOUT) || connection_read(f, c));
		if (fine && !held(f, c))
			fine = connection_write(c);
		if (!fine)
			connection_close(c);
	}
	f->telling.used = 0;
}

static void *
fake_thread(void *context)
{
	struct fake_state *f = context;
	struct pollfd fds[CONNECTIONS_MAX + 2];
	uint8_t bytes[64];
	pthread_mutex_lock(&f->lock);
	while (!f->stop) {
		for (int i = 0; i < CONNECTIONS_MAX; i++)
			fds[i] = (struct pollfd){ .fd = f->connections[i].fd,
				.events = (f->deaf ? 0 : POLLIN) | (f->connections[i].out.used && !held(f, &f->connections[i]) ? POLLOUT : 0) };
		fds[CONNECTIONS_MAX] = (struct pollfd){ .fd = f->listener, .events = POLLIN };
		fds[CONNECTIONS_MAX + 1] = (struct pollfd){ .fd = f->wake[0], .events = POLLIN };
		pthread_mutex_unlock(&f->lock);
		poll(fds, CONNECTIONS_MAX + 2, -1);
		pthread_mutex_lock(&f->lock);
		if (fds[CONNECTIONS_MAX + 1].revents && read(f->wake[0], bytes, sizeof bytes) < 0)
			break;
		orders_obey(f);
		connections_serve(f, fds);
		if (fds[CONNECTIONS_MAX].revents && f->listener >= 0)
			connection_open(f);
	}
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

/* ---- orders ---- */

bool
fake_start(struct fake_server *server)
{
	struct fake_state *f = calloc(1, sizeof *f);
	if (!f || pipe2(f->wake, O_CLOEXEC) < 0)
		return false;
	for (int i = 0; i < CONNECTIONS_MAX; i++)
		f->connections[i].fd = -1;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->changed, NULL);
	listen_again(f);
	server->state = f;
	server->port = f->port;
	return f->listener >= 0 && pthread_create(&f->thread, NULL, fake_thread, f) == 0;
}

/* Called with the lock held; gives it back. */
static void
order_given(struct fake_state *f)
{
	ssize_t written = write(f->wake[1], "", 1);
	pthread_mutex_unlock(&f->lock);
	if (written != 1)
		abort();
}

void
fake_stop(struct fake_server *server)
{
	struct fake_state *f = server->state;
	pthread_mutex_lock(&f->lock);
	f->stop = true;
	order_given(f);
	pthread_join(f->thread, NULL);
	for (int i = 0; i < CONNECTIONS_MAX; i++)
		if (f->connections[i].fd >= 0)
			connection_close(&f->connections[i]);
	if (f->listener >= 0)
		close(f->listener);
	buffer_fini(&f->telling);
	close(f->wake[0]);
	close(f->wake[1]);
	pthread_mutex_destroy(&f->lock);
	pthread_cond_destroy(&f->changed);
	free(f);
}

void
fake_hold(struct fake_server *server, bool hold)
{
	pthread_mutex_lock(&server->state->lock);
	server->state->hold = hold;
	order_given(server->state);
}

void
fake_deaf(struct fake_server *server, bool deaf)
{
	pthread_mutex_lock(&server->state->lock);
	server->state->deaf = deaf;
	order_given(server->state);
}

void
fake_refuse(struct fake_server *server, const char *code, uint32_t times)
{
	pthread_mutex_lock(&server->state->lock);
	snprintf(server->state->code, sizeof server->state->code, "%s", code);
	server->state->refusals = times;
	order_given(server->state);
}

void
fake_refuse_watch(struct fake_server *server, const char *code, uint32_t times)
{
	pthread_mutex_lock(&server->state->lock);
	snprintf(server->state->watch_code, sizeof server->state->watch_code, "%s", code);
	server->state->watch_refusals = times;
	order_given(server->state);
}

void
fake_stand(struct fake_server *server, uint64_t seq)
{
	pthread_mutex_lock(&server->state->lock);
	server->state->seq = seq;
	order_given(server->state);
}

void
fake_tell(struct fake_server *server, const void *bytes, size_t n)
{
	pthread_mutex_lock(&server->state->lock);
	buffer_append(&server->state->telling, bytes, n);
	order_given(server->state);
}

bool
fake_wait_watch(struct fake_server *server)
{
	int64_t end_ms = clock_steady_ms() + PATIENCE_MS;
	while (fake_count(server).watching == 0 && clock_steady_ms() < end_ms)
		poll(NULL, 0, 1);
	return fake_count(server).watching > 0;
}

void
fake_away(struct fake_server *server, bool away)
{
	struct fake_state *f = server->state;
	pthread_mutex_lock(&f->lock);
	f->away = away;
	order_given(f);
	pthread_mutex_lock(&f->lock);
	while ((f->listener < 0) != away)
		pthread_cond_wait(&f->changed, &f->lock);
	pthread_mutex_unlock(&f->lock);
}

void
fake_break(struct fake_server *server)
{
	struct fake_state *f = server->state;
	pthread_mutex_lock(&f->lock);
	f->breaking = true;
	order_given(f);
	pthread_mutex_lock(&f->lock);
	while (f->breaking)
		pthread_cond_wait(&f->changed, &f->lock);
	pthread_mutex_unlock(&f->lock);
}

void
fake_greet(struct fake_server *server, const char *bytes, size_t n)
{
	pthread_mutex_lock(&server->state->lock);
	memcpy(server->state->greeting, bytes, n);
	server->state->greeting_n = n;
	order_given(server->state);
}

struct fake_counts
fake_count(struct fake_server *server)
{
	pthread_mutex_lock(&server->state->lock);
	struct fake_counts counts = server->state->counts;
	for (int i = 0; i < CONNECTIONS_MAX; i++)
		counts.watching += server->state->connections[i].fd >= 0 && server->state->connections[i].watching;
	pthread_mutex_unlock(&server->state->lock);
	return counts;
}

bool
fake_wait_events(struct fake_server *server, uint32_t events)
{
	int64_t end_ms = clock_steady_ms() + PATIENCE_MS;
	while (fake_count(server).events < events && clock_steady_ms() < end_ms)
		poll(NULL, 0, 1);
	return fake_count(server).events >= events;
}

uint32_t
fake_settled(struct fake_server *server)
{
	struct fake_state *f = server->state;
	for (;;) {
		pthread_mutex_lock(&f->lock);
		int64_t quiet_ms = clock_steady_ms() - f->last_ms;
		pthread_mutex_unlock(&f->lock);
		if (quiet_ms >= SETTLED_MS)
			return fake_count(server).events;
		poll(NULL, 0, 5);
	}
}
