/*
 * post_tally.h: what became of the rows: counts by outcome and code, the file of rejected rows, the summary, the progress bar.
 */
#ifndef HOLDFAST_CMD_POST_TALLY_H
#define HOLDFAST_CMD_POST_TALLY_H

#include "cmd/holdfast_bar.h"
#include "cmd/post_link.h"

#define TALLY_CODES_MAX 40 /* there are fewer codes than that */

struct post_tally {
	const char *file, *rejected_path;
	void *rejected_file; /* opened by the first rejected row */
	uint64_t applied, absorbed, duplicate, reconciled, off, queued, rejected, skipped, lost;
	struct {
		char code[32];
		uint64_t n;
	} codes[TALLY_CODES_MAX];
	int codes_n;
	struct bar bar;
	bool unwritable; /* rejected rows cannot be kept: said once */
	struct why why;
};

void post_tally_begin(struct post_tally *, const char *file, const char *rejected_path);
/* false: the file of rejected rows cannot be written, tally->why says why. */
bool post_tally_end(struct post_tally *);
void post_tally_rejected(struct post_tally *, uint64_t row, const char *code, const char *message, struct bytes line);
/* Rows rejected with this code. */
uint64_t post_tally_code(const struct post_tally *, const char *code);
/* Rows that are done with: have an outcome. */
uint64_t post_tally_done(const struct post_tally *);
/* share: of the file, 0 to 1, or -1. */
void post_tally_bar(struct post_tally *, double share);
void post_tally_for_people(const struct post_tally *, uint64_t resent, bool interrupted);
void post_tally_as_json(const struct post_tally *, uint64_t resent, bool interrupted, const char *failure);

#endif
