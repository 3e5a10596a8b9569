/*
 * hand.h: a reservation in the hand of a command: record, lines and extra in the engine's scratch, changed there and emitted once.
 * Shared by decide_settle.c and decide_hold.c. Private to core.
 */
#ifndef HOLDFAST_CORE_HAND_H
#define HOLDFAST_CORE_HAND_H

#include "core/state.h"

struct hand {
	uint32_t slot;
	struct reservation_record r; /* lines in scratch->lines, extra in scratch->old_extra */
	enum reservation_state state;
	uint64_t held, committed;
};

/* Takes the reservation of that id; false: there is none, refused. */
bool hand_take(struct engine *, struct bytes id, struct hand *, struct result *);
/* The same by slot, with the units not summed up: for expiry. */
void hand_take_slot(struct engine *, uint32_t slot, struct hand *);
/* Dead by the stamped time, whether or not expiry has come by. */
bool hand_is_dead(const struct engine *, const struct hand *);
/* Refuses by the state it is in: expired, or wrong_state with `message` (D17). */
void hand_wrong_state(const struct hand *, const char *message, struct result *);
/* Moves units of one line and its cell to where the drawing of D12 allows; held ones go first. */
void hand_line_move(struct engine *, struct line_record *, enum reservation_state to, uint32_t units);

#endif
