/*
 * holdfast_cli.h: what the subcommands of `holdfast` share: the table they stand in, options, the connection, messages, exit
 * codes. A subcommand is a row of the table in holdfast.c and a function; help texts come from the row.
 *
 * What is asked for goes to stdout; everything said about it goes to stderr. With --json, stdout is one JSON object, also for a refusal;
 * of `scan` and `watch` it is one object a line.
 */
#ifndef HOLDFAST_CMD_HOLDFAST_CLI_H
#define HOLDFAST_CMD_HOLDFAST_CLI_H

#include "holdfast/holdfast.h"

#include <jansson.h>

/* X(name, number, what it means). Scripts rely on the numbers. */
#define CLI_EXIT_LIST(X) \
	X(OK, 0, "done") \
	X(REFUSED, 1, "the server refused it by its rules, or what was asked for is unknown") \
	X(USAGE, 2, "the command line is wrong") \
	X(UNREACHABLE, 3, "no server (or gate) there, or none that answers: nothing happened") \
	X(UNKNOWN, 4, "the answer was lost: it may or may not have happened; the same command again, with the same id, is safe") \
	X(REJECTED, 5, "post: done, but some rows were rejected (quarantine replay: some still are)") \
	X(DAMAGED, 6, "doctor, backup, restore: damage was found") \
	X(FILE, 7, "a file cannot be read or written") \
	X(INTERRUPTED, 130, "interrupted. post: what was acknowledged stands; scan: no half file is left; watch: its usual end")

enum cli_exit {
#define X(name, number, text) CLI_##name = number,
	CLI_EXIT_LIST(X)
#undef X
};

#define CLI_VERSION "0.1"
#define CLI_GIVEN_MAX 128 /* options of one command line */
#define CLI_LINES_MAX 100 /* D12 */

struct cli_option {
	const char *name; /* NULL ends a list */
	const char *arg; /* NULL: a flag */
	const char *help;
};

struct cli;

struct cli_command {
	const char *name, *args, *help;
	const struct cli_option *options; /* NULL: none of its own */
	int (*run)(struct cli *, int argc, char **argv); /* argv: what is left beside the options; returns enum cli_exit */
	const char *more; /* printed under the options; NULL: nothing */
};

struct cli {
	const struct cli_command *commands, *command; /* all, up to a NULL name; the chosen one */
	const struct cli_option *globals;
	char host[256];
	uint16_t port;
	int timeout_ms;
	bool json;
	struct hf *hf; /* after cli_connect(); closed by main */
	const char *id, *ref; /* what a repeat of this command needs, if it has one: beside the answer or the error with --json; NULL: nothing */
	struct {
		const struct cli_option *option;
		const char *value;
	} given[CLI_GIVEN_MAX];
	int given_n;
};

/* The last value of --name; NULL: not given (a flag that is given: ""). */
const char *cli_value(const struct cli *, const char *name);
/* Each value of --name in turn; *at starts at 0; NULL at the end. */
const char *cli_each(const struct cli *, const char *name, int *at);

/* "HOST:PORT", "[v6]:PORT", "HOST" or ":PORT" into host (256 bytes) and port, which keep what is not given. false: neither. */
bool cli_address(const char *text, char *host, uint16_t *port);
/* A whole decimal number in low..high. */
bool cli_number(const char *text, int64_t low, int64_t high, int64_t *);
/* "500ms", "90s", "15m", "2h". */
bool cli_duration(const char *text, int64_t *ms);

/* The gate: `text`, else HOLDFAST_EVENTS, else 127.0.0.1:7401. *named: by anybody. false: after cli_usage(). */
bool cli_gate_address(const struct cli *, const char *text, char host[256], uint16_t *port, bool *named);

/* Triples SKU LOCATION QTY from argv into lines (CLI_LINES_MAX). The number of lines, or -1 after cli_usage(). */
int cli_lines(struct cli *, int argc, char **argv, struct hf_line *lines);

/* Says what is wrong with the command line and where the help is; returns CLI_USAGE. */
int cli_usage(const struct cli *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Connects to --server. false: said why; return CLI_UNREACHABLE. */
bool cli_connect(struct cli *);
/* With --json: prints the object, with id and ref in it, on stdout, and drops the reference. */
void cli_json_out(const struct cli *, json_t *);
/* Says what hf_error() holds, with a hint for the usual mistakes, and gives the exit code of the outcome. */
int cli_failed(const struct cli *, enum hf_outcome);
/* The same for a refusal that came another way. */
int cli_refused(const struct cli *, const struct hf_failure *);
/* The same for a call that only reads: a lost answer is no harm there, the server is just not reachable. */
int cli_failed_read(const struct cli *, enum hf_outcome);
/* Says "holdfast COMMAND: ..." on stderr (or {error} on stdout with --json) with this code. */
int cli_say(const struct cli *, enum cli_exit, const char *code, const char *format, ...) __attribute__((format(printf, 4, 5)));

/* A subcommand of verbs: argv[0] is the verb; runs its row. */
struct cli_verb {
	const char *name;
	int (*run)(struct cli *, int argc, char **argv);
};
int cli_verb(struct cli *, const struct cli_verb *, size_t n, int argc, char **argv);

/* ---- the subcommands ---- */

extern const struct cli_option cli_reserve_options[], cli_settle_options[], cli_post_options[], cli_group_options[], cli_digest_options[],
    cli_position_options[], cli_quarantine_options[], cli_doctor_options[], cli_scan_options[], cli_watch_options[], cli_backup_options[], cli_restore_options[];
int cli_status(struct cli *, int argc, char **argv);
int cli_ats(struct cli *, int argc, char **argv);
int cli_stock(struct cli *, int argc, char **argv);
int cli_show(struct cli *, int argc, char **argv);
int cli_scan(struct cli *, int argc, char **argv);
int cli_watch(struct cli *, int argc, char **argv);
int cli_digest(struct cli *, int argc, char **argv);
int cli_position(struct cli *, int argc, char **argv);
int cli_reserve(struct cli *, int argc, char **argv);
int cli_commit(struct cli *, int argc, char **argv);
int cli_release(struct cli *, int argc, char **argv);
int cli_fulfil(struct cli *, int argc, char **argv);
int cli_extend(struct cli *, int argc, char **argv);
int cli_pin(struct cli *, int argc, char **argv);
int cli_move(struct cli *, int argc, char **argv);
int cli_post(struct cli *, int argc, char **argv);
int cli_policy(struct cli *, int argc, char **argv);
int cli_quarantine(struct cli *, int argc, char **argv);
int cli_doctor(struct cli *, int argc, char **argv);
int cli_backup(struct cli *, int argc, char **argv);
int cli_restore(struct cli *, int argc, char **argv);
int cli_gate(struct cli *, int argc, char **argv);
int cli_man(struct cli *, int argc, char **argv);
int cli_completion(struct cli *, int argc, char **argv);
extern const char cli_post_more[], cli_policy_more[], cli_quarantine_more[], cli_scan_more[], cli_watch_more[], cli_gate_more[], cli_completion_more[],
    cli_backup_more[], cli_restore_more[];

#endif
