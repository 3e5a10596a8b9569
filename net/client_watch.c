/* client_watch.c: see client_watch.h. */
#include "net/client_watch.h"
#include "net/client_queue.h"

#include <stdlib.h>
#include <string.h>

#define WATCH_AGAIN_MS 100 /* refused for now, and no time said */

static bool
copy(char **to, const char *from)
{
	free(*to);
	*to = from ? strdup(from) : NULL;
	return !from || *to;
}

bool
client_watch_set(struct client_watch *w, const struct hf_watch *want)
{
	w->wanted = copy(&w->location, want->location) && copy(&w->group, want->group) && copy(&w->sku, want->sku);
	w->threshold_only = want->threshold_only;
	w->full = want->full;
	w->since = want->since;
	w->due_ms = 0;
	return w->wanted;
}

void
client_watch_fini(struct client_watch *w)
{
	free(w->location);
	free(w->group);
	free(w->sku);
}

static void
put_name(struct hf *hf, const char *key, const char *name)
{
	if (!name)
		return;
	hf_put_str(hf, key);
	hf_put_str(hf, name);
}

static void
put_true(struct hf *hf, const char *key, bool is)
{
	if (!is)
		return;
	hf_put_str(hf, key);
	hf_put_bool(hf, true);
}

static void
build(struct client_watch *w, struct hf *hf)
{
	hf_begin(hf, "watch");
	hf_array(hf, 1);
	hf_map(hf, !!w->location + !!w->group + !!w->sku + w->threshold_only + w->full + (w->since != HF_FROM_NOW));
	put_name(hf, "location", w->location);
	put_name(hf, "group", w->group);
	put_name(hf, "sku", w->sku);
	put_true(hf, "threshold_only", w->threshold_only);
	put_true(hf, "full", w->full);
	if (w->since != HF_FROM_NOW) {
		hf_put_str(hf, "since");
		hf_put_int(hf, w->since);
	}
	memset(hf->building.at + CLIENT_NUMBER_AT, 0xff, 4);
}

/* The program may be in the middle of building a request: that is put aside. */
void
client_watch_ask(struct client_watch *w, struct hf *hf)
{
	struct buffer theirs = hf->building;
	size_t params = hf->params;
	uint32_t number = hf->number;
	bool begun = hf->begun;
	hf->building = (struct buffer){ .limit = FRAME_BYTES_MAX };
	build(w, hf);
	if (!hf->building.full) {
		buffer_append(&hf->link.out, hf->building.at, hf->building.used);
		w->asked = !hf->link.out.full;
		hf->link.out.full = false;
	}
	buffer_fini(&hf->building);
	hf->building = theirs;
	hf->params = params;
	hf->number = number;
	hf->begun = begun;
}

bool
client_watch_answer(struct client_watch *w, const struct client_answer *answer, int64_t now_ms, struct hf_event *event,
    struct hf_failure *failure)
{
	if (!w->wanted || !w->asked)
		return false;
	if (!answer->error) {
		event->kind = HF_WATCHING;
		event->seq = (uint64_t)hf_int(hf_get(answer->result, "seq"), 0);
		if (w->since == HF_FROM_NOW)
			w->since = (int64_t)event->seq;
		return true;
	}
	client_refused(failure, answer->error);
	if (client_is_refused_for_now(failure->code)) {
		w->asked = false;
		w->due_ms = now_ms + hf_int(hf_get(failure->detail, "retry_after_ms"), WATCH_AGAIN_MS);
		return false;
	}
	w->wanted = w->asked = false;
	event->kind = HF_WATCH_ENDED;
	event->failure = failure;
	return true;
}

static bool
is(const struct hf_value *v, const char *name)
{
	return v->str.n == strlen(name) && memcmp(v->str.at, name, v->str.n) == 0;
}

bool
client_watch_notified(struct client_watch *w, const struct client_answer *note, struct hf_event *event)
{
	uint32_t n = note->params->array.n;
	const struct hf_value *last = n ? &note->params->array.items[n - 1] : NULL;
	if (!w->wanted || !w->asked || !last)
		return false;
	if (is(note->method, "changed") && last->type == HF_ARRAY && last->array.n > 0) {
		event->kind = HF_CHANGED;
		event->value = note->params;
		last = &last->array.items[0];
	} else if (is(note->method, "reached")) {
		event->kind = HF_REACHED;
	} else {
		return false;
	}
	int64_t seq = hf_int(last, 0);
	if (seq > w->since)
		w->since = seq;
	event->seq = (uint64_t)seq;
	return true;
}
