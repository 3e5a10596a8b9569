/*
 * post_tally.c: the bar goes to stderr, the summary to stdout, rejected rows into their file.
 */
#include "cmd/post_tally.h"
#include "cmd/holdfast_page.h"

#include <csv.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

void
post_tally_begin(struct post_tally *t, const char *file, const char *rejected_path)
{
	*t = (struct post_tally){ .file = file, .rejected_path = rejected_path };
	bar_begin(&t->bar, "rows", true);
}

bool
post_tally_end(struct post_tally *t)
{
	if (t->rejected_file && (fflush(t->rejected_file) != 0 || ferror(t->rejected_file))) {
		t->unwritable = true;
		snprintf(t->why.text, sizeof t->why.text, "%s cannot be written: %s", t->rejected_path, strerror(errno));
	}
	if (t->rejected_file)
		fclose(t->rejected_file);
	t->rejected_file = NULL;
	return !t->unwritable;
}

static void
count_code(struct post_tally *t, const char *code)
{
	int i = 0;
	while (i < t->codes_n && strcmp(t->codes[i].code, code) != 0)
		i++;
	if (i == TALLY_CODES_MAX)
		return;
	if (i == t->codes_n)
		snprintf(t->codes[t->codes_n++].code, sizeof t->codes[i].code, "%s", code);
	t->codes[i].n++;
}

void
post_tally_rejected(struct post_tally *t, uint64_t row, const char *code, const char *message, struct bytes line)
{
	t->rejected++;
	count_code(t, code);
	if (!t->rejected_file && !t->unwritable) {
		t->rejected_file = fopen(t->rejected_path, "w");
		if (t->rejected_file) {
			fputs("row,code,message,line\n", t->rejected_file);
		} else {
			t->unwritable = true;
			snprintf(t->why.text, sizeof t->why.text, "%s cannot be written: %s", t->rejected_path, strerror(errno));
		}
	}
	if (!t->rejected_file)
		return;
	fprintf(t->rejected_file, "%llu,%s,", (unsigned long long)row, code);
	csv_fwrite(t->rejected_file, message, strlen(message));
	fputc(',', t->rejected_file);
	csv_fwrite(t->rejected_file, line.at, line.n);
	fputc('\n', t->rejected_file);
}

uint64_t
post_tally_code(const struct post_tally *t, const char *code)
{
	for (int i = 0; i < t->codes_n; i++)
		if (strcmp(t->codes[i].code, code) == 0)
			return t->codes[i].n;
	return 0;
}

uint64_t
post_tally_done(const struct post_tally *t)
{
	return t->applied + t->absorbed + t->duplicate + t->reconciled + t->queued + t->rejected;
}

void
post_tally_bar(struct post_tally *t, double share)
{
	uint64_t done = post_tally_done(t);
	bar_draw(&t->bar, share, done + t->skipped, done);
}

static void
row(const char *name, uint64_t n, const char *note)
{
	char words[WORDS];
	if (n)
		printf("  %-14s%14s%s\n", name, words_count(words, (int64_t)n), note);
}

void
post_tally_for_people(const struct post_tally *t, uint64_t resent, bool interrupted)
{
	char rows[WORDS], rate[WORDS], note[512], off[WORDS];
	double s = bar_seconds(&t->bar);
	uint64_t done = post_tally_done(t);
	printf("%s%s: %s %s in %.1f s, %s/s\n", strcmp(t->file, "-") == 0 ? "stdin" : t->file, interrupted ? ", interrupted" : "",
	    words_count(rows, (int64_t)done), done == 1 ? "row" : "rows", s,
	    words_count(rate, (int64_t)((double)done / s)));
	row("applied", t->applied, "");
	row("absorbed", t->absorbed, "  already inside a later count");
	snprintf(note, sizeof note, "  %s with a variance", words_count(off, (int64_t)t->off));
	row("reconciled", t->reconciled, t->off ? note : "");
	row("queued", t->queued, "  in the gate's spool; 'holdfast gate' shows how it drains");
	row("duplicate", t->duplicate, "  seen before, nothing changed");
	snprintf(note, sizeof note, "  with their reasons in %s", t->rejected_path);
	row("rejected", t->rejected, t->unwritable ? "" : note);
	for (int i = 0; i < t->codes_n; i++)
		printf("    %-20s%6s\n", t->codes[i].code, words_count(rows, (int64_t)t->codes[i].n));
	row("skipped", t->skipped, "  the server had them already");
	row("not answered", t->lost, "  may or may not have happened; posting again is safe");
	row("sent again", resent, "  messages");
}

void
post_tally_as_json(const struct post_tally *t, uint64_t resent, bool interrupted, const char *failure)
{
	double s = bar_seconds(&t->bar);
	uint64_t done = post_tally_done(t);
	json_t *codes = json_object();
	for (int i = 0; i < t->codes_n; i++)
		json_object_set_new(codes, t->codes[i].code, json_integer((json_int_t)t->codes[i].n));
	json_t *j = json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:I, s:I, s:f, s:f, s:b}", "file", page_json_text(t->file),
	    "rows", (json_int_t)done, "applied", (json_int_t)t->applied, "absorbed", (json_int_t)t->absorbed,
	    "duplicate", (json_int_t)t->duplicate, "reconciled", (json_int_t)t->reconciled, "queued", (json_int_t)t->queued, "rejected", (json_int_t)t->rejected,
	    "codes", codes, "skipped", (json_int_t)t->skipped, "not_answered", (json_int_t)t->lost, "resent", (json_int_t)resent,
	    "seconds", s, "events_per_second", (double)done / s, "interrupted", interrupted);
	if (t->rejected && !t->unwritable)
		json_object_set_new(j, "rejected_file", page_json_text(t->rejected_path));
	if (failure)
		json_object_set_new(j, "error", json_pack("{s:s, s:o}", "code", "failed", "message", page_json_text(failure)));
	page_json_out(j);
}
