/* async_rig.c: see async_rig.h. */
#include "tests/async_rig.h"

#include <stdio.h>
#include <string.h>

char async_notes[ASYNC_NOTES_MAX][128];
int async_notes_n;

void
async_note(const char *text)
{
	if (async_notes_n < ASYNC_NOTES_MAX)
		snprintf(async_notes[async_notes_n++], sizeof async_notes[0], "%.127s", text);
}

struct hf *
async_opened(const struct scripted_peer *p, const struct hf_async_options *options)
{
	struct hf_failure failure;
	struct hf *hf = hf_async_open("127.0.0.1", p->port, options, &failure);
	if (!hf)
		printf("     %s\n", failure.message);
	return hf;
}

struct hf *
async_begin(struct scripted_peer *p, const peer_part *parts, const struct hf_async_options *options)
{
	async_notes_n = 0;
	scripted_start(p, parts);
	return async_opened(p, options);
}

void
async_end(struct scripted_peer *p, struct hf *hf)
{
	hf_close(hf);
	scripted_stop(p);
}

bool
async_await(struct hf *hf, enum hf_event_kind kind, struct hf_event *e)
{
	for (int left = ASYNC_BOUND_MS; left > 0; left -= 10) {
		while (hf_async_next(hf, e))
			if (e->kind == kind)
				return true;
		hf_async_wait(hf, 10);
	}
	return false;
}

uint32_t
async_send_word(struct hf *hf, const char *method, const char *word, struct hf_async_how how)
{
	hf_begin(hf, method);
	hf_array(hf, 1);
	hf_put_str(hf, word);
	return hf_async_send(hf, &how);
}

/* ---- parts ---- */

void
part_answer(struct requests *r)
{
	uint32_t number;
	const char *text;
	while (strcmp(text = request_text(r, &number), "gone") != 0) {
		async_note(text);
		answer_text(r, number, "nil", "7");
	}
}

void
part_close(struct requests *r)
{
}

void
part_silence(struct requests *r)
{
	request_drain(r);
}

void
part_take_one(struct requests *r)
{
	uint32_t number;
	request_next(r, &number);
}
