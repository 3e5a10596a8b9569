/*
 * room.h: room in the pools that open reservations share with what is remembered of finished ones: extra lines, and blocks of text
 * (owners, refs, long ids, ids of counts). Who needs some takes what is free, and then what the oldest finished reservations
 * give back that have any of it: each is forgotten (D14, R3) by a blank in its slot, or by the new reservation itself.
 *
 * A new reservation stops at 7/8 of a pool. What exists already goes on to its end: commits, releases, moves and counts are never
 * refused while only new reservations are many. Who finds a pool beyond that line gives back twice what it takes, so that the
 * rest is there again when enough has finished.
 *
 * room_find() changes nothing. When it finds room, room_emit() must follow in the same command, first in its step.
 *
 * Private to core.
 */
#ifndef HOLDFAST_CORE_ROOM_H
#define HOLDFAST_CORE_ROOM_H

#include <stdbool.h>
#include <stdint.h>

struct engine;

#define ROOM_KEPT_PART  8 /* of a pool: one part in so many is not for new reservations */
#define ROOM_GIVERS_MAX 512 /* forgotten for one command; the most that one needs is 274, a block from each for 16 KiB of refs */

struct room_need {
	uint32_t lines, blocks;
	bool newcomer; /* a new reservation: needs a slot, too */
};

/* Who gives way for the command at hand. */
struct room {
	uint32_t slot; /* of the new reservation */
	uint32_t givers_n;
	uint32_t givers[ROOM_GIVERS_MAX]; /* slots */
};

/* NULL, or the table that is full although every finished reservation gave what it has. */
const char *room_find(struct engine *, const struct room_need *);
/* Inside a step: forgets the givers. */
void room_emit(struct engine *);

#endif
