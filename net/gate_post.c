/*
 * gate_post.c: a window of messages over a raw REQ socket. A message's request number on the wire is its slot (low bits) and how
 * many were sent before it (high bits), so that an answer finds its slot without a search, and a late second answer finds a slot
 * that waits for another number. order[] lists the slots that wait, oldest first.
 */
#include "net/gate_post.h"

#include "net/clock.h"
#include "net/gate_probe.h"
#include "net/gate_raw.h"
#include "net/scanner.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <nanomsg/nn.h>
#include <nanomsg/reqrep.h>
#include <nanomsg/tcp.h>

_Static_assert((POST_IN_FLIGHT_MAX & (POST_IN_FLIGHT_MAX - 1)) == 0 && POST_IN_FLIGHT_MAX <= 256, "a slot is some low bits, and a byte");
_Static_assert(POST_MESSAGE_BYTES_MAX == MESSAGE_BYTES_MAX, "the sender and the gate agree on the longest message");

#define REQUEST_BIT UINT32_C(0x80000000)
#define NOT_SENT (-1)
/* How often a wait looks whether nanomsg has connected again. */
#define LOOK_MS 100
/* Answers to so many younger messages make the oldest one's due. */
#define POST_OVERTAKEN 32
/* So many connections that never came to a greeting: the socket is replaced (post_look()). */
#define FAILED_GREETINGS_MAX 2

/* free -> (send) -> waiting -> (answer) -> free. due_ms NOT_SENT: no connection took it yet. */
struct post_slot {
	uint64_t number; /* the caller's */
	uint32_t word; /* the request number, REQUEST_BIT included */
	bool waiting, sent; /* sent: once at least */
	uint32_t overtaken; /* answers to younger messages since this one is the oldest */
	uint8_t *bytes; /* kept from use to use, grown when needed */
	size_t n, size;
	int64_t due_ms; /* sent again then */
	int again_ms;
};

struct gate_post {
	int socket; /* nanomsg's number */
	int readable_fd, writable_fd; /* readable when a message is there, when one would be taken */
	bool blocked; /* the last send was not taken: something is NOT_SENT */
	char host[256]; /* as it was opened with */
	uint16_t port;
	char address[PROBE_ADDRESS_BYTES]; /* in number form */
	uint32_t messages; /* accepted so far, from a random start */
	uint32_t in_flight;
	uint8_t order[POST_IN_FLIGHT_MAX]; /* [0, in_flight): the waiting slots, oldest first */
	bool up; /* a connection was seen since the socket was opened */
	uint64_t connections; /* that nanomsg has made on this socket; one more: what was in flight is sent again */
	uint64_t resent;
	int64_t gone_ms; /* the patience with one that is gone */
	int64_t up_ms; /* when a connection stood last, or when a probe found a gate */
	int64_t heard_ms; /* of the last answer, or of the first message after silence with nothing in flight */
	uint8_t *reply;
	struct post_slot slots[POST_IN_FLIGHT_MAX];
};

static struct post_slot *
slot_at(struct gate_post *p, uint32_t place)
{
	return &p->slots[p->order[place]];
}

/* ---- the connection ---- */

static int
post_connect(struct gate_post *p)
{
	char url[PROBE_ADDRESS_BYTES + 8];
	size_t size = sizeof p->readable_fd, other = sizeof p->writable_fd;
	int reply_bytes = POST_REPLY_BYTES_MAX, on = 1, four_only = p->address[0] != '[';
	snprintf(url, sizeof url, "tcp://%s", p->address);
	p->up = false;
	p->connections = 0;
	p->socket = nn_socket(AF_SP_RAW, NN_REQ);
	if (p->socket < 0 || nn_setsockopt(p->socket, NN_SOL_SOCKET, NN_RCVMAXSIZE, &reply_bytes, sizeof reply_bytes) < 0
	    || nn_setsockopt(p->socket, NN_SOL_SOCKET, NN_IPV4ONLY, &four_only, sizeof four_only) < 0
	    || nn_setsockopt(p->socket, NN_TCP, NN_TCP_NODELAY, &on, sizeof on) < 0)
		return -1;
	if (nn_getsockopt(p->socket, NN_SOL_SOCKET, NN_RCVFD, &p->readable_fd, &size) < 0
	    || nn_getsockopt(p->socket, NN_SOL_SOCKET, NN_SNDFD, &p->writable_fd, &other) < 0)
		return -1;
	return nn_connect(p->socket, url) < 0 ? -1 : 0;
}

static int
post_broken(struct gate_post *p, struct why *why)
{
	snprintf(why->text, sizeof why->text, "the nanomsg socket to the gate at %s broke: %s", p->address, nn_strerror(errno));
	return -1;
}

/* Everything sent on a connection that is gone is due. */
static void
post_all_due(struct gate_post *p)
{
	int64_t now_ms = clock_steady_ms();
	for (uint32_t i = 0; i < p->in_flight; i++)
		if (slot_at(p, i)->due_ms != NOT_SENT)
			slot_at(p, i)->due_ms = now_ms;
}

/*
 * Looks what became of the connection. nanomsg 1.1.5 connects again by itself, but gives the new connection what it had read ahead
 * on the old one (usock_posix: in.batch is emptied only with the endpoint): after an end in the middle of answers its greetings
 * fail, one try for every 8 bytes left, up to 256 tries. So a connection that ended is followed by a new socket.
 */
static int
post_look(struct gate_post *p, struct why *why)
{
	uint64_t connections = nn_get_statistic(p->socket, NN_STAT_ESTABLISHED_CONNECTIONS);
	bool up = nn_get_statistic(p->socket, NN_STAT_CURRENT_CONNECTIONS) > 0;
	if (up || p->in_flight == 0)
		p->up_ms = clock_steady_ms();
	if (!up && (p->up || connections > FAILED_GREETINGS_MAX)) {
		nn_close(p->socket);
		if (post_connect(p) < 0)
			return post_broken(p, why);
		post_all_due(p);
		return 0;
	}
	p->up = p->up || up;
	/* The first one of a socket ends none: what was sent by it, perhaps before it was seen here, need not be sent again. */
	if (connections != p->connections && connections != 1)
		post_all_due(p);
	p->connections = connections;
	return 0;
}

/* ---- sending ---- */

/* -1: broken. When no connection takes it now, it stays NOT_SENT and goes out by post_again(). */
static int
slot_send(struct gate_post *p, struct post_slot *slot)
{
	uint32_t word = slot->word;
	struct raw_header header = { 4, { word >> 24, word >> 16 & 255, word >> 8 & 255, word & 255 } };
	struct raw_part part = { slot->bytes, slot->n };
	int sent = raw_send(p->socket, &header, &part, 1);
	if (sent > 0) {
		slot->due_ms = clock_steady_ms() + slot->again_ms;
		slot->again_ms = slot->again_ms * 2 < POST_RESEND_MS_MAX ? slot->again_ms * 2 : POST_RESEND_MS_MAX;
		p->resent += slot->sent;
		slot->sent = true;
	} else if (sent == 0)
		slot->due_ms = NOT_SENT;
	return sent;
}

/* Sends what is due, oldest first. Stops when nothing more is taken now. */
static int
post_again(struct gate_post *p, struct why *why)
{
	if (post_look(p, why) < 0)
		return -1;
	int64_t now_ms = clock_steady_ms();
	p->blocked = false;
	for (uint32_t i = 0; i < p->in_flight; i++) {
		struct post_slot *slot = slot_at(p, i);
		if (slot->due_ms != NOT_SENT && slot->due_ms > now_ms)
			continue;
		int sent = slot_send(p, slot);
		if (sent < 0)
			return post_broken(p, why);
		if (sent == 0) {
			p->blocked = true;
			break;
		}
	}
	return 0;
}

static bool
slot_keep(struct post_slot *slot, const uint8_t *bytes, size_t n)
{
	if (slot->size < n) {
		uint8_t *more = realloc(slot->bytes, n);
		if (!more)
			return false;
		slot->bytes = more;
		slot->size = n;
	}
	if (n)
		memcpy(slot->bytes, bytes, n);
	slot->n = n;
	return true;
}

int
gate_post_send(struct gate_post *p, uint64_t number, const uint8_t *bytes, size_t n, struct why *why)
{
	uint32_t free = 0;
	if (n > POST_MESSAGE_BYTES_MAX) {
		snprintf(why->text, sizeof why->text, "a message of %zu bytes: a gate takes %zu at most; put fewer events into one", n,
		    POST_MESSAGE_BYTES_MAX);
		return -1;
	}
	if (p->in_flight == POST_IN_FLIGHT_MAX)
		return 0;
	while (p->slots[free].waiting)
		free++;
	struct post_slot *slot = &p->slots[free];
	if (!slot_keep(slot, bytes, n)) {
		snprintf(why->text, sizeof why->text, "no memory for a message of %zu bytes", n);
		return -1;
	}
	slot->number = number;
	slot->word = p->messages++ * POST_IN_FLIGHT_MAX | free | REQUEST_BIT;
	slot->waiting = true;
	slot->sent = false;
	slot->overtaken = 0;
	slot->due_ms = NOT_SENT;
	slot->again_ms = POST_RESEND_MS;
	if (p->in_flight == 0)
		p->heard_ms = clock_steady_ms();
	p->order[p->in_flight++] = (uint8_t)free;
	/* An older one that no connection took yet goes first. */
	return post_again(p, why) < 0 ? -1 : 1;
}

/* ---- receiving ---- */

/* The slot an answer belongs to; NULL: nobody waits for it (a second answer after a resend, or no number of ours). */
static struct post_slot *
answer_slot(struct gate_post *p, const struct raw_header *header)
{
	if (header->n != 4)
		return NULL;
	uint32_t word = (uint32_t)header->at[0] << 24 | (uint32_t)header->at[1] << 16 | (uint32_t)header->at[2] << 8 | header->at[3];
	struct post_slot *slot = &p->slots[word % POST_IN_FLIGHT_MAX];
	return slot->waiting && slot->word == word ? slot : NULL;
}

/*
 * A gate answers in the order it was asked, but nanomsg drops an answer for a client whose connection is full. So an oldest message
 * that many younger ones were answered before has probably lost its answer: it is due at once, once.
 */
static void
look_overtaken(struct gate_post *p)
{
	struct post_slot *oldest = slot_at(p, 0);
	if (++oldest->overtaken == POST_OVERTAKEN && oldest->due_ms != NOT_SENT)
		oldest->due_ms = clock_steady_ms();
}

static void
slot_answered(struct gate_post *p, struct post_slot *slot)
{
	uint32_t place = 0;
	while (slot_at(p, place) != slot)
		place++;
	if (place > 0)
		look_overtaken(p);
	slot->waiting = false;
	p->in_flight--;
	memmove(p->order + place, p->order + place + 1, p->in_flight - place);
	p->heard_ms = clock_steady_ms();
}

/* 1: an answer, 0: none now, -1: broken. */
static int
post_take(struct gate_post *p, uint64_t *number, const uint8_t **reply, size_t *n, struct why *why)
{
	struct raw_header header;
	for (;;) {
		if (p->reply)
			raw_free(p->reply);
		p->reply = NULL;
		int got = raw_receive(p->socket, &header, &p->reply, n);
		if (got < 0)
			return post_broken(p, why);
		if (got == 0)
			return 0;
		struct post_slot *slot = answer_slot(p, &header);
		if (slot) {
			*number = slot->number;
			*reply = p->reply;
			slot_answered(p, slot);
			return 1;
		}
	}
}

/* 0, or -1: no gate for too long. */
static int
post_gone(struct gate_post *p, struct why *why)
{
	struct why found;
	char address[PROBE_ADDRESS_BYTES];
	if (p->in_flight == 0 || clock_steady_ms() - p->up_ms < p->gone_ms)
		return 0;
	p->up_ms = clock_steady_ms();
	if (gate_probe(p->host, p->port, POST_GONE_PROBE_MS, address, &found) == 0)
		return 0;
	snprintf(why->text, sizeof why->text, "the gate is gone: %.300s. What became of %u messages is unknown; posting them again changes nothing "
	    "twice", found.text, p->in_flight);
	return -1;
}

static int
post_silent(const struct gate_post *p, struct why *why)
{
	snprintf(why->text, sizeof why->text, "the gate at %s has answered nothing for %d s with %u messages in flight: is holdfastd behind it "
	    "running? What became of them is unknown; posting them again changes nothing twice", p->address, POST_SILENCE_MS / 1000,
	    p->in_flight);
	return -1;
}

int
gate_post_receive(struct gate_post *p, int timeout_ms, uint64_t *number, const uint8_t **reply, size_t *n, struct why *why)
{
	int64_t end_ms = clock_steady_ms() + timeout_ms;
	for (;;) {
		int got = post_take(p, number, reply, n, why);
		if (got != 0)
			return got;
		if (post_again(p, why) < 0)
			return -1;
		int64_t now_ms = clock_steady_ms(), left_ms = end_ms - now_ms;
		if (p->in_flight && now_ms - p->heard_ms >= POST_SILENCE_MS)
			return post_silent(p, why);
		if (post_gone(p, why) < 0)
			return -1;
		if (left_ms <= 0)
			return 0;
		struct pollfd fds[2] = { { .fd = p->readable_fd, .events = POLLIN }, { .fd = p->writable_fd, .events = POLLIN } };
		poll(fds, p->blocked ? 2 : 1, left_ms < LOOK_MS ? (int)left_ms : LOOK_MS);
	}
}

void
gate_post_patience(struct gate_post *p, int64_t gone_ms)
{
	p->gone_ms = gone_ms;
}

uint32_t
gate_post_in_flight(const struct gate_post *p)
{
	return p->in_flight;
}

uint64_t
gate_post_resent(const struct gate_post *p)
{
	return p->resent;
}

/* ---- opening ---- */

/* Numbers differ from run to run: a gate that remembers an earlier run's must not meet them again. */
static uint32_t
random_start(void)
{
	uint32_t start = 0;
	if (getentropy(&start, sizeof start) < 0)
		start = (uint32_t)getpid() << 16 ^ (uint32_t)clock_steady_ms();
	return start;
}

struct gate_post *
gate_post_open(const char *host, uint16_t port, struct why *why)
{
	struct gate_post *p = calloc(1, sizeof *p);
	if (!p) {
		snprintf(why->text, sizeof why->text, "no memory for the sender's window");
		return NULL;
	}
	p->socket = -1;
	p->messages = random_start();
	p->up_ms = clock_steady_ms();
	p->gone_ms = POST_GONE_MS;
	p->port = port;
	snprintf(p->host, sizeof p->host, "%s", host);
	if (gate_probe(host, port, POST_CONNECT_MS, p->address, why) < 0)
		goto fail;
	if (post_connect(p) < 0) {
		snprintf(why->text, sizeof why->text, "cannot open a nanomsg socket to %s: %s", p->address, nn_strerror(errno));
		goto fail;
	}
	return p;
fail:
	gate_post_close(p);
	return NULL;
}

void
gate_post_close(struct gate_post *p)
{
	if (!p)
		return;
	if (p->reply)
		raw_free(p->reply);
	if (p->socket >= 0)
		nn_close(p->socket);
	for (uint32_t i = 0; i < POST_IN_FLIGHT_MAX; i++)
		free(p->slots[i].bytes);
	free(p);
}
