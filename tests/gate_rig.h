/*
 * gate_rig.h: what tests of the gate share: a gate as a process, event messages, a till's question (tests/till.h), and a tally of
 * what gate_post was answered.
 *
 * Everything that waits has a bound. A function that returns false has said what is wrong. One thread.
 */
#ifndef HOLDFAST_TESTS_GATE_RIG_H
#define HOLDFAST_TESTS_GATE_RIG_H

#include <sys/types.h>

#include "net/gate_post.h"
#include "net/gate_socket.h"
#include "tests/till.h"

#define RIG_PATIENCE_MS 20000

/* ---- the gate as a process ---- */

struct gate_process {
	pid_t pid;
	uint16_t ports[DOOR_COUNT]; /* 0: off, or it ended before it said them */
	int errors; /* its stderr, to read */
};

/* With these options (NULL-terminated), --port-file-fd, --die-with-parent and --no-guardian. False: it said no ports (rig_wait() it all the same). */
bool rig_start_with(struct gate_process *, const char *const *options);
/* The same with a guardian: pid is the guardian's. */
bool rig_start_guarded(struct gate_process *, const char *const *options);
/* On 127.0.0.1, without a feed; port 0: it takes events and pushed events, on free ports; else it only has the door for events. */
bool rig_start(struct gate_process *, uint16_t server_port, uint16_t events_port);
/* The same on the ports that it had. */
bool rig_start_again(struct gate_process *, uint16_t server_port);
/* The exit status, or -1: still running after the patience (then it is killed), or killed. */
int rig_wait(struct gate_process *);
int rig_end(struct gate_process *, int signal);
/* Waits until it has said something with `text` in it; said[] is everything it said since the last call. */
bool rig_says(struct gate_process *, const char *text, char *said, size_t size);
/* Asks for its counters until the line has `text` in it. */
bool rig_counts(struct gate_process *, const char *text);

/* ---- messages ---- */

/* {source: "pos", n}: enough for the fake server. Each returns its length. */
size_t put_event(uint8_t *at, uint32_t n);
size_t put_events(uint8_t *at, uint32_t first, uint32_t count);
/* One unit of S at L received, as number n of this source (short): an event for a real server. */
size_t put_receipt(uint8_t *at, const char *source, uint32_t n);
/* Of an answer {seq, outcomes}: how many outcomes (-1: it is no answer), and the first one: a text, or the code it was rejected with. */
int answer_read(const uint8_t *reply, size_t n, int64_t *seq, char first[65]);

/* ---- a till's question ---- */

/* Sends one and checks its one outcome. */
bool till_expect(int fd, const void *, size_t n, const char *outcome);

/* ---- posting ---- */

struct posting {
	uint32_t answered, applied, duplicate, other;
	uint32_t late; /* answers that came after one to a younger message */
	uint64_t highest;
};

struct gate_post *post_open(uint16_t port);
/* Takes one answer if there is one in time. False: none can come any more, or it is wrong. */
bool post_answer(struct gate_post *, struct posting *, int timeout_ms, uint32_t outcomes);
/* Posts messages first..first+count-1 of one event each; calls half(context) once when half is answered. */
bool post_all(struct gate_post *, uint32_t first, uint32_t count, struct posting *, void (*half)(void *), void *context);

/* ---- what is told ---- */

/* A counter, as the gate on this port tells it; -1: none answers. */
int64_t rig_told(uint16_t events_port, const char *name);
/* Waits for a gate on this port with another pid than `before` (0: any). Its pid; -1: none came. */
int64_t rig_another(uint16_t events_port, int64_t before);
/* Of S at L, as the server on this port says it; -1: it does not. */
int64_t rig_on_hand(uint16_t rpc_port);

#endif
