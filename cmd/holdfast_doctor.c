/*
 * holdfast_doctor.c: shows what the doctor of a data folder finds. No server is asked; a folder in use is refused by its lock.
 */
#include "cmd/holdfast_bar.h"
#include "cmd/holdfast_cli.h"
#include "cmd/holdfast_page.h"
#include "persist/doctor.h"

#include <stdio.h>

const struct cli_option cli_doctor_options[] = {
	{ "copy", "DIR", "check the image's verified copy there, too" },
	{ "files", NULL, "a line for each journal file" },
	{ NULL, NULL, NULL },
};

struct page {
	struct table table;
	json_t *files;
};

static void
add_file(void *context, const struct journal_finding *f)
{
	struct page *p = context;
	char words[WORDS];
	json_array_append_new(p->files,
	    json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:o}", "file", f->name, "state", journal_state_name(f->state), "first_seq",
		(json_int_t)f->first_seq, "last_seq", (json_int_t)f->last_seq, "batches", (json_int_t)f->batches, "bytes",
		(json_int_t)f->bytes, "offset", (json_int_t)f->offset, "detail", page_json_text(f->detail)));
	table_cell(&p->table, "%s", f->name);
	table_cell(&p->table, "%s", journal_state_name(f->state));
	table_cell(&p->table, "%s", words_count(words, (int64_t)f->first_seq));
	table_cell(&p->table, "%s", words_count(words, (int64_t)f->last_seq));
	table_cell(&p->table, "%s", words_count(words, (int64_t)f->batches));
	table_cell(&p->table, "%s", words_bytes(words, (int64_t)f->bytes));
	table_cell(&p->table, "%s", f->detail);
}

static json_t *
image_json(const struct doctor_image *i)
{
	return json_pack("{s:b, s:b, s:I, s:I, s:o}", "exists", i->found.exists, "sound", i->sound, "seq", (json_int_t)i->found.meta.seq,
	    "bytes", (json_int_t)i->found.bytes, "damage", page_json_text(i->damage.text));
}

static void
as_json(const struct doctor_report *r, json_t *files)
{
	const struct doctor_journal *j = &r->journal;
	json_t *journal = json_pack("{s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:b, s:o, s:O}", "segments", (json_int_t)j->segments, "batches",
	    (json_int_t)j->batches, "oldest_seq", (json_int_t)j->oldest_seq, "last_seq", (json_int_t)j->last_seq, "epoch",
	    (json_int_t)j->epoch, "torn", j->torn, "damaged", j->damaged, "closed", j->closed, "damage", page_json_text(j->damage.text), "files", files);
	json_t *all = json_pack("{s:s, s:b, s:o, s:o, s:o, s:o}", "verdict", doctor_verdict_name(r->verdict), "good",
	    doctor_verdict_good(r->verdict), "summary", page_json_text(r->summary.text), "way_out", page_json_text(r->way_out.text), "journal", journal, "image",
	    image_json(&r->image));
	if (r->copy_asked)
		json_object_set_new(all, "copy", image_json(&r->copy));
	page_json_out(all);
}

static void
print_image(const char *name, const struct doctor_image *i)
{
	char seq[WORDS], size[WORDS], records[WORDS];
	uint64_t n = 0;
	for (int k = 0; k < ENTRY_KIND_END; k++)
		n += i->found.records_of_kind[k];
	if (!i->sound)
		printf("%-8s damaged: %s\n", name, i->damage.text);
	else if (!i->found.exists)
		printf("%-8s none yet\n", name);
	else
		printf("%-8s sound, up to position %s: %s records, %s\n", name, words_count(seq, (int64_t)i->found.meta.seq),
		    words_count(records, (int64_t)n), words_bytes(size, (int64_t)i->found.bytes));
}

static void
for_people(const struct doctor_report *r)
{
	const struct doctor_journal *j = &r->journal;
	char a[WORDS], b[WORDS], n[WORDS], size[WORDS];
	if (j->segments == 0)
		puts("journal  empty");
	else if (!j->damaged && j->last_seq < j->oldest_seq)
		printf("journal  sound, no batch yet: it begins at position %s, epoch %llu\n", words_count(a, (int64_t)j->oldest_seq),
		    (unsigned long long)j->epoch);
	else
		printf("journal  %s, positions %s to %s: %s batches, %s in %llu file%s, epoch %llu\n",
		    j->damaged ? "damaged" : j->torn ? "sound with a torn tail" : j->closed ? "sound, closed" : "sound",
		    words_count(a, (int64_t)j->oldest_seq), words_count(b, (int64_t)j->last_seq), words_count(n, (int64_t)j->batches),
		    words_bytes(size, (int64_t)j->bytes), (unsigned long long)j->segments, j->segments == 1 ? "" : "s",
		    (unsigned long long)j->epoch);
	if (j->damaged)
		printf("         %s\n", j->damage.text);
	print_image("image", &r->image);
	if (r->copy_asked)
		print_image("copy", &r->copy);
	printf("\n%s\n", r->summary.text);
	if (r->way_out.text[0])
		printf("what to do: %s\n", r->way_out.text);
}

int
cli_doctor(struct cli *cli, int argc, char **argv)
{
	static const char *const heads[] = { "FILE", "STATE", ">FIRST", ">LAST", ">BATCHES", ">SIZE", "DETAIL" };
	struct doctor_report report;
	struct why why;
	struct bar bar;
	const struct progress progress = { bar_tell, &bar };
	struct page page = { .files = json_array() };
	if (argc != 1)
		return cli_usage(cli, "the data folder is needed: the one given to holdfastd with --data");
	table_begin(&page.table, heads, 7);
	bar_begin(&bar, "", !cli->json);
	int got = doctor_examine(argv[0], cli_value(cli, "copy"), add_file, &page, &progress, &report, &why);
	bar_clear(&bar);
	if (got == 0 && cli_value(cli, "files") && !cli->json) {
		table_end(&page.table);
		puts("");
	} else {
		table_drop(&page.table);
	}
	if (got == 0 && cli->json)
		as_json(&report, page.files);
	else if (got == 0)
		for_people(&report);
	json_decref(page.files);
	if (got < 0)
		return cli_say(cli, CLI_FILE, "file", "%s", why.text);
	return doctor_verdict_good(report.verdict) ? CLI_OK : CLI_DAMAGED;
}
