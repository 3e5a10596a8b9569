/*
 * scripted_peer.h: the other end of a client under test: a thread that accepts one connection after another and plays a part on
 * each. Its helpers take whole requests and give whole answers.
 *
 * The parts run in the peer's thread; a test looks at what they have noted behind scripted_stop().
 */
#ifndef HOLDFAST_TESTS_SCRIPTED_PEER_H
#define HOLDFAST_TESTS_SCRIPTED_PEER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whole requests of one connection, one after another. */
struct requests {
	int fd;
	size_t used, end;
	uint8_t bytes[1 << 16];
};

typedef void (*peer_part)(struct requests *);

struct scripted_peer {
	int listener;
	uint16_t port;
	pthread_t thread;
	const peer_part *parts; /* of the first connection, the second, ...; NULL ends the list, and further ones are refused */
	pthread_mutex_t lock;
	pthread_cond_t ended;
	int played; /* parts that have ended, under the lock */
};

void scripted_start(struct scripted_peer *, const peer_part *parts);
/* Waits until the part that is being played has ended. */
void scripted_stop(struct scripted_peer *);

/* Waits until so many parts have ended, their connections closed. */
void scripted_played(struct scripted_peer *, int n);

/* The number of the next request, which is r->bytes[0..r->end); false when the client has gone. */
bool request_next(struct requests *r, uint32_t *number);
/* Its method and params as text: "reserve[\"a\"]"; "gone" when the client has. Static. */
const char *request_text(struct requests *r, uint32_t *number);
/* An answer's error and result, a notification's params, as wire_text.h reads them. */
void answer_text(struct requests *r, uint32_t number, const char *error, const char *result);
void notify_text(struct requests *r, const char *method, const char *params);
/* Reads until the client closes. */
void request_drain(struct requests *r);

#endif
