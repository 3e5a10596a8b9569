/*
 * post_resume.c: a small open table of sources, never above half full.
 */
#include "cmd/post_resume.h"

#include <stdio.h>
#include <stdlib.h>

#define TABLE (RESUME_SOURCES_MAX * 2)

struct source {
	uint8_t name[PLACE_BYTES_MAX];
	uint32_t n; /* 0: free */
	int64_t contiguous;
};

struct post_resume {
	struct hf *hf;
	bool failed;
	char failure[300];
	uint32_t used;
	const struct source *last; /* rows of one source often follow each other */
	struct source table[TABLE];
};

struct post_resume *
post_resume_new(struct hf *hf)
{
	struct post_resume *r = calloc(1, sizeof *r);
	if (r)
		r->hf = hf;
	return r;
}

void
post_resume_free(struct post_resume *r)
{
	free(r);
}

const char *
post_resume_failure(const struct post_resume *r)
{
	return r->failed ? r->failure : NULL;
}

static int64_t
ask(struct post_resume *r, struct bytes name)
{
	const struct hf_value *v;
	if (r->failed)
		return 0;
	hf_begin(r->hf, "position");
	hf_array(r->hf, 1);
	hf_put_bytes(r->hf, (const char *)name.at, name.n);
	enum hf_outcome got = hf_call(r->hf, &v);
	if (got == HF_OK)
		return hf_int(hf_get(v, "contiguous"), 0);
	if (got != HF_REFUSED) {
		r->failed = true;
		snprintf(r->failure, sizeof r->failure, "--resume could not ask any further: %.250s", hf_error(r->hf)->message);
	}
	return 0;
}

static const struct source *
find(struct post_resume *r, struct bytes name)
{
	uint32_t h = 2166136261u; /* FNV-1a */
	for (uint32_t i = 0; i < name.n; i++)
		h = (h ^ name.at[i]) * 16777619u;
	for (uint32_t i = h % TABLE;; i = (i + 1) % TABLE) {
		struct source *s = &r->table[i];
		if (s->n && bytes_equal((struct bytes){ s->name, s->n }, name))
			return s;
		if (s->n)
			continue;
		if (r->used == RESUME_SOURCES_MAX)
			return NULL;
		r->used++;
		memcpy(s->name, name.at, name.n);
		s->n = name.n;
		s->contiguous = ask(r, name);
		return s;
	}
}

bool
post_resume_has(struct post_resume *r, struct bytes name, int64_t number)
{
	if (number < 1 || name.n == 0 || name.n > PLACE_BYTES_MAX)
		return false;
	if (!r->last || !bytes_equal((struct bytes){ r->last->name, r->last->n }, name))
		r->last = find(r, name);
	return r->last && number <= r->last->contiguous;
}
