#include "core/room.h"

#include "core/state.h"

/* What a command lacks of a pool: to be granted at all, and to leave the pool as it should be. */
struct lack {
	uint32_t needed, wanted;
};

static struct lack
lack_of(uint32_t used, uint32_t max, uint32_t need, bool newcomer)
{
	uint32_t line = max - max / ROOM_KEPT_PART, free = max - used;
	uint32_t below = used < line ? line - used : 0, beyond = used > line ? used - line : 0;
	struct lack lack = { .wanted = need > below ? need - below : 0 };
	lack.needed = newcomer ? lack.wanted : need > free ? need - free : 0;
	lack.wanted += beyond < need ? beyond : need;
	return lack;
}

/* The finished lists, each read from its oldest on. */
struct walk {
	uint32_t next[FINISHED_BLANK]; /* slot + 1 */
	uint32_t lines, blocks; /* given so far */
};

/* The oldest of those that give what `gives` asks for (0: a slot is enough) gives way too; false: there is none. */
static bool
one_more(struct engine *e, struct walk *w, unsigned gives)
{
	const struct reservations *v = &e->reservations;
	struct room *room = &e->scratch->room;
	unsigned oldest = FINISHED_BLANK;
	for (unsigned list = 0; list < FINISHED_BLANK; list++)
		if ((list & gives) == gives && w->next[list] &&
		    (oldest == FINISHED_BLANK || v->at[w->next[list] - 1].seq < v->at[w->next[oldest] - 1].seq))
			oldest = list;
	if (oldest == FINISHED_BLANK || room->givers_n == ROOM_GIVERS_MAX)
		return false;
	uint32_t slot = w->next[oldest] - 1;
	const struct reservation *r = &v->at[slot];
	w->next[oldest] = r->timer.next;
	w->lines += r->terms.lines_n - 1u;
	w->blocks += reservation_blobs(&r->terms);
	room->givers[room->givers_n++] = slot;
	return true;
}

/* A slot that nobody has to give. */
static bool
slot_free(struct engine *e)
{
	const struct reservations *v = &e->reservations;
	uint32_t blank = v->finished[FINISHED_BLANK].head;
	e->scratch->room.slot = blank ? blank - 1 : v->high;
	return blank || v->high < v->max;
}

/* A giver's slot before all others: then it needs no blank. */
static bool
slot_find(struct engine *e, struct walk *w)
{
	struct room *room = &e->scratch->room;
	if (room->givers_n == 0 && slot_free(e))
		return true;
	if (room->givers_n == 0 && !one_more(e, w, 0))
		return false;
	room->slot = room->givers[--room->givers_n];
	return true;
}

static const char *
find(struct engine *e, struct walk *w, const struct room_need *need)
{
	const struct reservations *v = &e->reservations;
	struct lack lines = lack_of(v->extra_used, v->extra_max, need->lines, need->newcomer);
	struct lack blocks = lack_of(e->blobs.used, e->blobs.max, need->blocks, need->newcomer);
	while (w->lines < lines.wanted && one_more(e, w, GIVES_LINES))
		;
	if (w->lines < lines.needed)
		return "extra_lines";
	while (w->blocks < blocks.wanted && one_more(e, w, GIVES_BLOBS))
		;
	if (w->blocks < blocks.needed)
		return "blobs";
	return need->newcomer && !slot_find(e, w) ? "reservations" : NULL;
}

const char *
room_find(struct engine *e, const struct room_need *need)
{
	struct walk w = { .lines = 0 };
	e->scratch->room.givers_n = 0;
	if ((need->lines | need->blocks) == 0 && (!need->newcomer || slot_free(e)))
		return NULL;
	for (unsigned list = 0; list < FINISHED_BLANK; list++)
		w.next[list] = e->reservations.finished[list].head;
	const char *full = find(e, &w, need);
	if (full)
		e->scratch->room.givers_n = 0;
	return full;
}

void
room_emit(struct engine *e)
{
	struct room *room = &e->scratch->room;
	for (uint32_t i = 0; i < room->givers_n; i++) {
		uint32_t slot = room->givers[i];
		struct line_record line = { .cell = e->reservations.lines[slot].is.cell };
		struct reservation_record blank = { .slot = slot, .id = (const uint8_t *)"", .lines = &line,
			.terms = { .created_at = e->reservations.at[slot].terms.created_at, .lines_n = 1, .id_n = 1 } };
		emit_reservation(e, &blank);
	}
	room->givers_n = 0;
}
