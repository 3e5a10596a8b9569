/*
 * holdfast_cli.c: the connection, the messages and the small parsers that all subcommands share.
 */
#include "cmd/holdfast_cli.h"
#include "cmd/holdfast_page.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GATE_PORT_DEFAULT 7401

const char *
cli_each(const struct cli *cli, const char *name, int *at)
{
	while (*at < cli->given_n) {
		int i = (*at)++;
		if (strcmp(cli->given[i].option->name, name) == 0)
			return cli->given[i].value ? cli->given[i].value : "";
	}
	return NULL;
}

const char *
cli_value(const struct cli *cli, const char *name)
{
	const char *last = NULL, *value;
	for (int at = 0; (value = cli_each(cli, name, &at)) != NULL;)
		last = value;
	return last;
}

/* ---- small parsers ---- */

bool
cli_number(const char *text, int64_t low, int64_t high, int64_t *n)
{
	char *end;
	errno = 0;
	long long v = strtoll(text, &end, 10);
	if (end == text || *end || errno || isspace((unsigned char)*text) || v < low || v > high)
		return false;
	*n = v;
	return true;
}

bool
cli_duration(const char *text, int64_t *ms)
{
	static const struct {
		const char *unit;
		int64_t ms;
	} unit[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "min", 60000 }, { "h", 3600000 } };
	char *end;
	errno = 0;
	long long v = strtoll(text, &end, 10);
	if (end == text || errno || v < 1 || v > INT64_C(1) << 40 || isspace((unsigned char)*text))
		return false;
	for (size_t i = 0; i < sizeof unit / sizeof *unit; i++)
		if (strcmp(end, unit[i].unit) == 0) {
			*ms = v * unit[i].ms;
			return true;
		}
	return false;
}

bool
cli_address(const char *text, char *host, uint16_t *port)
{
	const char *colon = strrchr(text, ':');
	size_t n = strlen(text);
	int64_t number;
	if (*text == '[' && (!colon || !memchr(text, ']', (size_t)(colon - text))))
		colon = NULL; /* "[::1]" */
	else if (*text != '[' && colon && memchr(text, ':', (size_t)(colon - text)))
		colon = NULL; /* "::1" */
	if (colon) {
		if (!cli_number(colon + 1, 1, 65535, &number))
			return false;
		*port = (uint16_t)number;
		n = (size_t)(colon - text);
	}
	if (n >= 2 && *text == '[' && text[n - 1] == ']') {
		text++;
		n -= 2;
	}
	if (n >= 256 || (n == 0 && !colon))
		return false;
	if (n) {
		memcpy(host, text, n);
		host[n] = 0;
	}
	return true;
}

bool
cli_gate_address(const struct cli *cli, const char *text, char host[256], uint16_t *port, bool *named)
{
	const char *from = text ? text : getenv("HOLDFAST_EVENTS");
	*named = from && *from;
	*port = GATE_PORT_DEFAULT;
	snprintf(host, 256, "127.0.0.1");
	if (!*named || cli_address(from, host, port))
		return true;
	cli_usage(cli, "'%s' is no HOST:PORT%s", from, text ? "" : ", but stands in HOLDFAST_EVENTS");
	return false;
}

int
cli_lines(struct cli *cli, int argc, char **argv, struct hf_line *lines)
{
	if (argc % 3 != 0) {
		cli_usage(cli, "lines are SKU LOCATION QTY, three words each; %d words do not divide", argc);
		return -1;
	}
	if (argc / 3 > CLI_LINES_MAX) {
		cli_usage(cli, "at most %d lines", CLI_LINES_MAX);
		return -1;
	}
	for (int i = 0; i < argc / 3; i++) {
		lines[i].sku = argv[3 * i];
		lines[i].location = argv[3 * i + 1];
		if (!cli_number(argv[3 * i + 2], 1, 2147483647, &lines[i].qty)) {
			cli_usage(cli, "the quantity '%s' is not a whole number from 1 to 2147483647", argv[3 * i + 2]);
			return -1;
		}
	}
	return argc / 3;
}

/* ---- what is said ---- */

static const char *
name_of(const struct cli *cli)
{
	return cli->command ? cli->command->name : "";
}

int
cli_usage(const struct cli *cli, const char *format, ...)
{
	va_list args;
	const char *space = cli->command ? " " : "";
	fprintf(stderr, "holdfast%s%s: ", space, name_of(cli));
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\nhelp: holdfast%s%s --help\n", space, name_of(cli));
	return CLI_USAGE;
}

void
cli_json_out(const struct cli *cli, json_t *j)
{
	if (cli->id)
		json_object_set_new(j, "id", page_json_name(cli->id));
	if (cli->ref)
		json_object_set_new(j, "ref", page_json_name(cli->ref));
	page_json_out(j);
}

static void
say(const struct cli *cli, const char *code, const char *message, const struct hf_value *detail)
{
	if (!cli->json) {
		fprintf(stderr, "holdfast %s: %s\n", name_of(cli), message);
		return;
	}
	json_t *error = json_pack("{s:o, s:o}", "code", page_json_text(code), "message", page_json_text(message));
	if (detail)
		json_object_set_new(error, "detail", page_json(detail));
	cli_json_out(cli, json_pack("{s:o}", "error", error));
}

int
cli_say(const struct cli *cli, enum cli_exit exit, const char *code, const char *format, ...)
{
	char message[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(message, sizeof message, format, args);
	va_end(args);
	say(cli, code, message, NULL);
	return exit;
}

bool
cli_connect(struct cli *cli)
{
	struct hf_failure failure;
	if (cli->hf)
		return true;
	cli->hf = hf_connect(cli->host, cli->port, cli->timeout_ms, &failure);
	if (cli->hf)
		return true;
	say(cli, "unreachable", failure.message, NULL);
	if (!cli->json)
		fputs("hint: another server is named with --server HOST:PORT, or once for all in HOLDFAST_SERVER\n", stderr);
	return false;
}

/* D23: what a refused line would need, in words. */
static void
hint_insufficient(const struct hf_value *detail)
{
	const struct hf_value *lines = hf_get(detail, "lines");
	char sku[80], location[80], asked[WORDS], has[WORDS], when[WORDS], units[WORDS];
	for (uint32_t i = 0; lines && lines->type == HF_ARRAY && i < lines->array.n && i < 20; i++) {
		const struct hf_value *l = &lines->array.items[i];
		int64_t at = hf_int(hf_get(l, "next_release_at"), -1);
		fprintf(stderr, "  %s at %s: asked %s, available %s", words_text(sku, sizeof sku, hf_get(l, "sku")),
		    words_text(location, sizeof location, hf_get(l, "location")), words_count(asked, hf_int(hf_get(l, "asked"), 0)),
		    words_count(has, hf_int(hf_get(l, "available"), 0)));
		if (at > 0)
			fprintf(stderr, "; %s more if the holds that end at %s are not committed",
			    words_count(units, hf_int(hf_get(l, "next_release_qty"), 0)), words_instant(when, at));
		fputc('\n', stderr);
	}
}

/* One sentence that leads on from a refusal. `which` narrows a bound down; NULL: any. */
static const struct {
	const char *code, *which, *hint;
} hint[] = {
	{ "limit", "ttl", "the server's --ttl-max-ms bounds how long a hold may last (24h unless set)" },
	{ "limit", "life", "the server's --ttl-max-ms bounds the whole life of a hold (24h unless set): commit it, or release it and reserve anew" },
	{ "limit", "pin_ttl", "the server's --pin-max-ms bounds a pin (15m unless set)" },
	{ "limit", "pin", "a hold is pinned once: commit it, or let it end" },
	{ "capacity", NULL, "a table of the server is full: 'holdfast status' says which, its --...-max options make room" },
	{ "unknown_sku", NULL, "stock events create SKUs: was anything posted for it yet? Case and leading zeros count" },
	{ "unknown_location", NULL, "stock events create locations: was anything posted there yet? Case and leading zeros count" },
	{ "not_found", NULL, "an id is the one given at 'reserve'; finished ones are forgotten after a time" },
	{ "conflict", NULL, "the same id or number with another content: give a new id for a new wish" },
	{ "overloaded", NULL, "the server is busy: the same command again in a moment" },
	{ "read_only", NULL, "the server takes no commands now: 'holdfast status' says why" },
	{ "unknown_method", NULL, "this server does not know it: 'holdfast status' shows its version" },
};

static void
hint_refused(const struct hf_failure *f)
{
	char which[32];
	words_text(which, sizeof which, hf_get(f->detail, "which"));
	hint_insufficient(f->detail);
	for (size_t i = 0; i < sizeof hint / sizeof *hint; i++)
		if (strcmp(hint[i].code, f->code) == 0 && (!hint[i].which || strcmp(hint[i].which, which) == 0)) {
			fprintf(stderr, "hint: %s\n", hint[i].hint);
			return;
		}
}

int
cli_refused(const struct cli *cli, const struct hf_failure *f)
{
	char message[512];
	if (f->message[0] && !cli->json)
		snprintf(message, sizeof message, "%s (%s)", f->message, f->code);
	else
		snprintf(message, sizeof message, "%s", f->message[0] ? f->message : f->code);
	say(cli, f->code, message, f->detail);
	if (!cli->json)
		hint_refused(f);
	return CLI_REFUSED;
}

/* How to go on when the answer of a subcommand was lost. */
static const struct {
	const char *command, *hint;
} lost_hint[] = {
	{ "reserve", "the same command again, with this --id, does nothing twice; 'holdfast show ID' tells what is" },
	{ "commit", "the same command again (in part: with the same --ref) does nothing twice; 'holdfast show ID' tells what is" },
	{ "release", "the same command again (in part: with the same --ref) does nothing twice; 'holdfast show ID' tells what is" },
	{ "fulfil", "the same command again (in part: with the same --ref) does nothing twice; 'holdfast show ID' tells what is" },
	{ "extend", "the same command again never shortens; 'holdfast show ID' tells until when it holds" },
	{ "pin", "'holdfast show ID' tells whether it is pinned: the same command again is refused if it is" },
	{ "move", "the same command again does nothing twice; 'holdfast show ID' tells where the line is" },
	{ "policy", "'holdfast policy get' tells what is set; the same command again sets the same" },
	{ "quarantine", "'holdfast quarantine list' tells what is left; the same command again says not_found of what is gone" },
	{ "position", "the same command again does nothing twice; 'holdfast position SOURCE' tells what is missing" },
};

static void
hint_lost(const struct cli *cli)
{
	for (size_t i = 0; i < sizeof lost_hint / sizeof *lost_hint; i++)
		if (strcmp(lost_hint[i].command, name_of(cli)) == 0)
			fprintf(stderr, "hint: %s\n", lost_hint[i].hint);
}

int
cli_failed(const struct cli *cli, enum hf_outcome outcome)
{
	const struct hf_failure *f = hf_error(cli->hf);
	if (outcome == HF_REFUSED)
		return cli_refused(cli, f);
	say(cli, f->code, f->message[0] ? f->message : f->code, f->detail);
	if (!cli->json && outcome == HF_UNKNOWN)
		hint_lost(cli);
	return outcome == HF_UNKNOWN ? CLI_UNKNOWN : CLI_UNREACHABLE;
}

int
cli_failed_read(const struct cli *cli, enum hf_outcome outcome)
{
	if (outcome == HF_REFUSED)
		return cli_failed(cli, outcome);
	say(cli, "unreachable", hf_error(cli->hf)->message, NULL);
	return CLI_UNREACHABLE;
}
