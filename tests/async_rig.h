/*
 * async_rig.h: what the tests of the connection that lasts share: a connection to a scripted peer, its events, notes of what the peer
 * saw, and the parts that most scripts are made of.
 *
 * The peer notes in its own thread; a test reads the notes once it has stopped it, or has the answer to what was noted. One test at a time.
 */
#ifndef HOLDFAST_TESTS_ASYNC_RIG_H
#define HOLDFAST_TESTS_ASYNC_RIG_H

#include "tests/scripted_peer.h"
#include "holdfast/async.h"

#define ASYNC_BOUND_MS 20000 /* of a test that waits for something */
#define ASYNC_NOTES_MAX 64

/* What the parts saw, one line a request; what is beyond the bounds is cut. */
extern char async_notes[ASYNC_NOTES_MAX][128];
extern int async_notes_n;
void async_note(const char *text);

/* NULL: it has said why. The caller closes it. */
struct hf *async_opened(const struct scripted_peer *, const struct hf_async_options *);
/* Starts the peer, without notes, and opens a connection to it; async_end() closes and stops both. NULL: it has said why. */
struct hf *async_begin(struct scripted_peer *, const peer_part *parts, const struct hf_async_options *);
void async_end(struct scripted_peer *, struct hf *);
/* The next event of this kind; others are passed over. false: not within the bound. */
bool async_await(struct hf *, enum hf_event_kind, struct hf_event *);
/* Sends `method [word]`. Its number; 0: refused here. */
uint32_t async_send_word(struct hf *, const char *method, const char *word, struct hf_async_how);
#define HOW(...) ((struct hf_async_how){ __VA_ARGS__ })

/* Notes and answers with 7 until the client has gone. */
void part_answer(struct requests *);
void part_close(struct requests *); /* at once */
void part_silence(struct requests *); /* takes all, answers nothing */
void part_take_one(struct requests *); /* and is gone */

#endif
