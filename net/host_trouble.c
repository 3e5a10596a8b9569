/* host_trouble.c: the contract is in host_trouble.h. */
#include "net/host_trouble.h"

#include <stdarg.h>
#include <stdio.h>

__attribute__((format(printf, 2, 3))) static void
say(struct trouble *t, const char *form, ...)
{
	char line[1024];
	va_list list;
	if (!t->say)
		return;
	va_start(list, form);
	vsnprintf(line, sizeof line, form, list);
	va_end(list);
	t->say(t->context, line);
}

/* Which of the three reasons of journal_free_low it is. */
void
trouble_journal(struct trouble *t, bool low, uint64_t journal_bytes, const struct why *why)
{
	static const char passes[] = "Meanwhile new holds are answered `overloaded`; events, commits and releases pass as long as there is room";
	int64_t left = t->disk->calls->free_bytes(t->disk);
	unsigned long long reserve = JOURNAL_FREE_RESERVE_BYTES >> 20, segment = t->journal->segment_bytes >> 20;
	bool began = low && !t->low, ended = !low && t->low;
	t->low = low;
	if (ended)
		say(t, "there is room for the journal again: holds are taken");
	if (!began)
		return;
	if (why)
		say(t, "%.300s. The data folder is %.200s; %llu MiB beside what is needed are kept in reserve. %s", why->text, t->data, reserve, passes);
	else if (left >= 0 && left < JOURNAL_FREE_RESERVE_BYTES)
		say(t, "the disk is nearly full: %lld MiB are left for %.200s. Way out: make room until there are %llu MiB. %s", (long long)(left >> 20),
		    t->data, reserve + segment, passes);
	else
		say(t, "the journal in %.200s takes %llu MiB and may take %llu. It shrinks behind the image (`image_position`, `image_failures` and "
		    "`copy_position` in status); or start with a greater --journal-bytes-max. %s", t->data, (unsigned long long)(journal_bytes >> 20),
		    (unsigned long long)(t->journal->journal_bytes_max >> 20), passes);
}

void
trouble_image(struct trouble *t, const struct why *why)
{
	if (!why && t->image)
		say(t, "the image is written again");
	if (why && (!t->image || strcmp(why->text, t->image_why.text) != 0))
		say(t, "the image is not written, and tried again each second: %.500s. The journal keeps everything meanwhile and grows", why->text);
	t->image = why != NULL;
	if (why)
		t->image_why = *why;
}
