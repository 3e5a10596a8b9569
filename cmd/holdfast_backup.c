/*
 * holdfast_backup.c: `backup` copies the image of a running server's folder, after it has waited until the image holds everything that
 * was answered before it was asked; `restore` makes a data folder of a backup. What is copied, checked and refused is persist/backup.
 */
#include "cmd/holdfast_bar.h"
#include "cmd/holdfast_cli.h"
#include "cmd/holdfast_page.h"
#include "net/clock.h"
#include "persist/backup.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POLL_MS    100
#define PATIENCE_MS 60000 /* beside the server's image_age_ms: as long as a large commit takes, started anew whenever one lands */

const struct cli_option cli_backup_options[] = {
	{ "data", "FOLDER", "the server's data folder (default: the server is asked); also that of a stopped server" },
	{ "now", NULL, "take the image as it is: do not wait for what it does not hold yet" },
	{ NULL, NULL, NULL },
};
const char cli_backup_more[] =
    "Copies the image of a server that runs on this machine, while it works, into DIR (new, empty, or with an earlier backup, which\n"
    "stays until the new one is checked). It waits until the image holds everything answered before the question; how long that\n"
    "takes is the server's --image-age-ms. `holdfast restore DIR --data NEW` makes a data folder of it.\n";

const struct cli_option cli_restore_options[] = {
	{ "data", "FOLDER", "the data folder to make: new or empty (needed)" },
	{ NULL, NULL, NULL },
};
const char cli_restore_more[] =
    "Checks the backup in DIR and makes a data folder of it, for `holdfastd --data FOLDER` with the same table sizes as before. Quantities,\n"
    "reservations and marks are those at the backup's position; what was answered after it is not in it: post the events of that\n"
    "time again (what the backup knows already changes nothing). Positions go on 2^40 higher, beyond all that were given\n"
    "out since; restored a second time, it begins where the first time did. DIR stays as it is.\n";

/* What a server says of its image. */
struct told {
	char data[4096];
	uint64_t durable, image;
	int64_t age_ms, failures;
};

/* CLI_OK, or another exit code after it was said why. */
static int
ask(struct cli *cli, struct told *told)
{
	const struct hf_value *v;
	if (!cli->hf && !cli_connect(cli))
		return CLI_UNREACHABLE;
	hf_begin(cli->hf, "status");
	hf_array(cli->hf, 0);
	enum hf_outcome got = hf_call(cli->hf, &v);
	if (got != HF_OK)
		return cli_failed_read(cli, got);
	words_text(told->data, sizeof told->data, hf_get(v, "data"));
	told->durable = (uint64_t)hf_int(hf_get(v, "durable"), 0);
	told->age_ms = hf_int(hf_get(v, "image_age_ms"), 0);
	told->image = (uint64_t)hf_int(hf_get(hf_get(v, "host"), "image_position"), 0);
	told->failures = hf_int(hf_get(hf_get(v, "host"), "image_failures"), 0);
	return CLI_OK;
}

/* Until the image holds everything up to `wanted`. */
static int
await_image(struct cli *cli, uint64_t wanted, struct told *told)
{
	struct bar bar;
	uint64_t from = told->image, seen = told->image;
	int64_t failures = told->failures, until = clock_steady_ns() / 1000000 + told->age_ms + PATIENCE_MS;
	int code = CLI_OK;
	if (told->image < wanted && !cli->json)
		fprintf(stderr, "holdfast backup: waiting until the image holds position %llu, at most about %lld s\n",
		    (unsigned long long)wanted, (long long)(told->age_ms / 1000 + 1));
	bar_begin(&bar, "positions", !cli->json);
	while (code == CLI_OK && told->image < wanted && clock_steady_ns() / 1000000 < until) {
		poll(NULL, 0, POLL_MS);
		code = ask(cli, told);
		bar_draw(&bar, (double)(told->image - from) / (double)(wanted - from), told->image, told->image - from);
		if (told->image > seen)
			until = clock_steady_ns() / 1000000 + told->age_ms + PATIENCE_MS;
		seen = told->image;
	}
	bar_clear(&bar);
	if (code != CLI_OK || told->image >= wanted)
		return code;
	return cli_say(cli, CLI_FILE, "image", "the server's image stays at position %llu, and %llu was asked for%s. `--now` takes it as it is; "
	    "the server's `status` and log say what is wrong with it", (unsigned long long)told->image, (unsigned long long)wanted,
	    told->failures > failures ? ": its commits fail" : "");
}

/* ---- from where ---- */

struct source {
	const char *data; /* the folder */
	bool asked; /* a server was, and `told` is what it said first */
	struct told told;
	struct backup *backup;
	struct bar bar; /* of what takes long */
	struct progress progress; /* draws it */
};

/* Whether what the server says and what there is on this machine are one thing. */
static int
check_same(struct cli *cli, const struct source *s)
{
	char path[4096];
	if (!s->asked || !cli_value(cli, "data"))
		return CLI_OK;
	if (realpath(s->data, path) && strcmp(path, s->told.data) == 0)
		return CLI_OK;
	return cli_say(cli, CLI_FILE, "data", "the server on %s:%u works in %s, another one in %s: --server says which to ask, --now asks none",
	    cli->host, cli->port, s->told.data, s->data);
}

static int
open_source(struct cli *cli, struct source *s)
{
	struct why why;
	bool now = cli_value(cli, "now") != NULL;
	int code = CLI_OK;
	s->data = cli_value(cli, "data");
	if (!s->data) {
		if ((code = ask(cli, &s->told)) != CLI_OK)
			return code;
		s->asked = true;
		s->data = s->told.data;
		if (!s->data[0])
			return cli_say(cli, CLI_FILE, "data", "the server does not say where its data folder is: give it with --data");
	}
	s->backup = backup_open(s->data, &s->progress, &why);
	bar_clear(&s->bar);
	if (s->asked && (!s->backup || !backup_in_use(s->backup)))
		return cli_say(cli, CLI_FILE, "data", "the server on %s:%u works in its folder %s, and on this machine %s. If it runs on another machine, "
		    "run this command there", cli->host, cli->port, s->data, s->backup ? "no server works in a folder of that name" : why.text);
	if (!s->backup)
		return cli_say(cli, CLI_FILE, "data", "%s", why.text);
	if (backup_in_use(s->backup) && !s->asked && !now) {
		if ((code = ask(cli, &s->told)) != CLI_OK)
			return code;
		s->asked = true;
	}
	return check_same(cli, s);
}

/* What there is must be what is wanted: everything that was answered, unless --now. */
static int
make_ready(struct cli *cli, struct source *s)
{
	bool now = cli_value(cli, "now") != NULL;
	uint64_t image = backup_seq(s->backup), journal = backup_journal_seq(s->backup);
	if (s->asked && !now) {
		struct told told = s->told;
		if (s->told.durable == 0)
			return cli_say(cli, CLI_REFUSED, "empty", "the server has nothing yet");
		return await_image(cli, s->told.durable, &told);
	}
	if (image == 0)
		return cli_say(cli, CLI_REFUSED, "empty", "nothing was ever written to the image in %s", s->data);
	if (!now && backup_journal_damage(s->backup))
		return cli_say(cli, CLI_DAMAGED, "damaged", "%s. `holdfast doctor %s` says what can be done; `--now` takes the image as it is, at position "
		    "%llu", backup_journal_damage(s->backup), s->data, (unsigned long long)image);
	if (!now && image < journal)
		return cli_say(cli, CLI_REFUSED, "behind", "the image in %s stands at position %llu, the journal at %llu: the server was not stopped "
		    "cleanly. Start it and ask it, or take the image as it is with --now", s->data, (unsigned long long)image,
		    (unsigned long long)journal);
	return CLI_OK;
}

/* ---- what was done ---- */

static void
print_done(const struct cli *cli, const struct source *s, const char *to, const struct image_findings *found, double seconds)
{
	char a[WORDS], b[WORDS], c[WORDS];
	uint64_t of = s->asked ? s->told.durable : backup_in_use(s->backup) ? 0 : backup_journal_seq(s->backup);
	if (cli->json) {
		page_json_out(json_pack("{s:o, s:o, s:I, s:o, s:I, s:I, s:I, s:f}", "backup", page_json_text(to), "data", page_json_text(s->data), "seq",
		    (json_int_t)found->meta.seq, "server_seq", of ? json_integer((json_int_t)of) : json_null(), "epoch", (json_int_t)found->meta.epoch, "records",
		    (json_int_t)found->meta.records, "bytes", (json_int_t)found->bytes, "seconds", seconds));
		return;
	}
	printf("backup    %s, checked: every page and record of it\n", to);
	printf("position  %s", words_count(a, (int64_t)found->meta.seq));
	if (of)
		printf(s->asked ? " (the server stood at %s when it was asked)" : " (the journal ends at %s)", words_count(b, (int64_t)of));
	printf("\nrecords   %s, %s, in %.1f s\n", words_count(b, (int64_t)found->meta.records), words_bytes(c, (int64_t)found->bytes), seconds);
	printf("restore   holdfast restore %s --data NEW-FOLDER\n", to);
}

int
cli_backup(struct cli *cli, int argc, char **argv)
{
	struct source s = { .progress = { bar_tell, &s.bar } };
	struct image_findings found;
	struct why why;
	int64_t begun = clock_steady_ns();
	if (argc != 1)
		return cli_usage(cli, "one folder is needed: where the backup goes");
	bar_begin(&s.bar, "", !cli->json);
	int code = open_source(cli, &s);
	if (code == CLI_OK)
		code = make_ready(cli, &s);
	bool made = code == CLI_OK && backup_copy(s.backup, argv[0], &s.progress, &found, &why) == 0;
	bar_clear(&s.bar);
	if (code == CLI_OK && !made)
		code = cli_say(cli, CLI_FILE, "backup", "%s", why.text);
	if (made)
		print_done(cli, &s, argv[0], &found, (double)(clock_steady_ns() - begun) / 1e9);
	backup_close(s.backup);
	return code;
}

static void
print_restored(const struct cli *cli, const char *data, const struct restored *r, double seconds)
{
	char a[WORDS], b[WORDS], c[WORDS];
	const struct image_findings *f = &r->backup;
	if (cli->json) {
		page_json_out(json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:f}", "data", page_json_text(data), "backup_seq", (json_int_t)f->meta.seq, "seq",
		    (json_int_t)r->seq, "epoch", (json_int_t)r->epoch, "records", (json_int_t)f->meta.records, "bytes", (json_int_t)f->bytes,
		    "seconds", seconds));
		return;
	}
	printf("restored  %s: %s records, %s, checked, in %.1f s\n", data, words_count(a, (int64_t)f->meta.records),
	    words_bytes(b, (int64_t)f->bytes), seconds);
	printf("state     of position %s, made at %s\n", words_count(a, (int64_t)f->meta.seq), words_instant(b, f->meta.stamp_ms));
	printf("position  %s: 2^40 further, beyond all that were given out since\n", words_count(c, (int64_t)r->seq));
	printf("start     holdfastd --data %s\n", data);
}

int
cli_restore(struct cli *cli, int argc, char **argv)
{
	const char *data = cli_value(cli, "data");
	struct restored r;
	struct bar bar;
	const struct progress progress = { bar_tell, &bar };
	struct why why;
	int64_t begun = clock_steady_ns();
	if (argc != 1)
		return cli_usage(cli, "one folder is needed: that of the backup");
	if (!data)
		return cli_usage(cli, "--data is needed: the data folder to make");
	bar_begin(&bar, "", !cli->json);
	int got = restore(argv[0], data, &progress, &r, &why);
	bar_clear(&bar);
	if (got < 0)
		return cli_say(cli, r.damaged ? CLI_DAMAGED : CLI_FILE, r.damaged ? "damaged" : "restore", "%s", why.text);
	print_restored(cli, data, &r, (double)(clock_steady_ns() - begun) / 1e9);
	return CLI_OK;
}
