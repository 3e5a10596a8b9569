/*
 * post_resume.h: how far the server has come with each source, asked once per source: rows up to there need not be sent again.
 */
#ifndef HOLDFAST_CMD_POST_RESUME_H
#define HOLDFAST_CMD_POST_RESUME_H

#include "core/base.h"
#include "holdfast/holdfast.h"

#define RESUME_SOURCES_MAX 8192 /* of one file; rows of further ones are sent, which is harmless */

struct post_resume;

/* Borrows the connection. */
struct post_resume *post_resume_new(struct hf *);
void post_resume_free(struct post_resume *);
/* Has the server this number of this source, and all below it? When it cannot be asked: no, which is harmless. */
bool post_resume_has(struct post_resume *, struct bytes source, int64_t number);
/* Why positions could not be asked; NULL: they could. */
const char *post_resume_failure(const struct post_resume *);

#endif
