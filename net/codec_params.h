/*
 * codec_params.h: from the params of a request, and from one stock event, to a struct command. The shapes that command.h
 * promises the engine (lengths, UTF-8, counts, integer ranges) are checked here and nowhere else.
 *
 * Each params_x() stands behind the head of the params array, which has params_n members. STATUS_OK: *command is filled, the reader is
 * behind the params, which were all looked at (so that they are whole, even of a message that nobody has scanned: `fresh`); its
 * strings are borrowed from the message, its lists from the space. Otherwise the refusal, worded in space->text.
 * Nothing is allocated. A space belongs to one thread and one message at a time.
 */
#ifndef HOLDFAST_NET_CODEC_PARAMS_H
#define HOLDFAST_NET_CODEC_PARAMS_H

#include "core/command.h"
#include "net/codec_read.h"

struct decode_space {
	char text[192];
	bool fresh; /* the scanner has not seen the message: what is not known is not passed over either, it counts as broken */
	struct asked_line lines[LINES_ASKED_MAX];
	struct policy_cell cells[CELLS_POLICY_MAX];
	struct bytes members[GROUP_MEMBERS_MAX];
};

/* Words a refusal: always STATUS_BAD_REQUEST. */
enum status params_refuse(struct decode_space *, const char *format, ...) __attribute__((cold, format(printf, 2, 3)));
/* low <= params_n <= high, or a refusal that says so. */
enum status params_count_refuse(struct decode_space *, uint32_t params_n, uint32_t low, uint32_t high) __attribute__((cold));
static inline enum status
params_count(struct decode_space *space, uint32_t params_n, uint32_t low, uint32_t high)
{
	return params_n >= low && params_n <= high ? STATUS_OK : params_count_refuse(space, params_n, low, high);
}
/* Refusals that many decoders need: bytes that end too soon, a part of a later version, a text in what[i]. */
enum status params_broken(struct decode_space *);
enum status params_later(struct decode_space *, const char *what);
enum status params_line_text(struct decode_space *, const char *what, uint32_t i, const char *field);
/*
 * Walks an option map of *pairs pairs: the index of the next key whose value is not nil, with the reader at its value;
 * KEY_UNKNOWN at the end; KEY_BROKEN. Unknown keys are passed over.
 */
int params_option(struct reader *, const struct decode_space *, uint32_t *pairs, const struct key *keys, int keys_n, int *hint);
/* One string under `what`, at most `most` bytes (D7). */
enum status params_text_refuse(struct decode_space *, const char *what, uint32_t most) __attribute__((cold));
static inline enum status
params_text(struct decode_space *space, struct reader *r, const char *what, uint32_t most, struct bytes *s)
{
	return reader_text(r, most, s) ? STATUS_OK : params_text_refuse(space, what, most);
}

enum status params_reserve(struct reader *, uint32_t params_n, struct decode_space *, struct command *);
enum status params_commit(struct reader *, uint32_t params_n, struct decode_space *, struct command *);
enum status params_release(struct reader *, uint32_t params_n, struct decode_space *, struct command *);
enum status params_fulfil(struct reader *, uint32_t params_n, struct decode_space *, struct command *);
enum status params_extend(struct reader *, uint32_t params_n, struct decode_space *, struct command *);
enum status params_pin(struct reader *, uint32_t params_n, struct decode_space *, struct command *);
enum status params_move(struct reader *, uint32_t params_n, struct decode_space *, struct command *);
enum status params_digest(struct reader *, uint32_t params_n, struct decode_space *, struct command *);
/* The value under `set`, one map. *empty: it asks for nothing. */
enum status params_policy_set(struct reader *, struct decode_space *, struct command *, bool *empty);

/*
 * One stock event, any object. Always fills *event; what is wrong with it is event->defect. An event without an identity
 * has an empty source. event->raw is its own bytes, of any length: the caller refuses what is longer than EVENT_BYTES_MAX.
 * false: the bytes end inside it.
 */
bool event_decode(struct reader *, struct event_command *event);

#endif
