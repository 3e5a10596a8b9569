/*
 * config.h: every option of holdfastd, once, in one table: flag and file key (the same name), kind, bounds, default, help. Flags
 * win over the file, the file over the defaults.
 *
 * A plain struct; one thread, at start.
 */
#ifndef HOLDFAST_NET_CONFIG_H
#define HOLDFAST_NET_CONFIG_H

#include "core/engine.h"

#include <stdio.h>

#define CONFIG_TEXT_MAX 256

struct config {
	char data[CONFIG_TEXT_MAX], listen[CONFIG_TEXT_MAX], events[CONFIG_TEXT_MAX], http[CONFIG_TEXT_MAX];
	char push[CONFIG_TEXT_MAX], feed[CONFIG_TEXT_MAX];
	char port_file[CONFIG_TEXT_MAX], gate[CONFIG_TEXT_MAX], node[CONFIG_TEXT_MAX], image_copy[CONFIG_TEXT_MAX];
	uint32_t loops, connections_max, reservations_ready, history_ready;
	struct engine_limits limits;
	struct engine_options engine;
	uint64_t memory_max, segment_bytes, history_bytes, history_age_ms, journal_bytes_max, image_map_bytes;
	int64_t image_age_ms, image_copy_ms, queue_age_ms;

	char file[CONFIG_TEXT_MAX]; /* --config; not a key of the file */
	bool check, help, version; /* what the command line asked for instead of a server */
	bool given_events, given_push, given_feed, given_http; /* set by anybody: then port 0 of --listen does not change them */
};

/* Defaults, then the file that --config names, then the flags. 0; -1: why names the option or the file's line. */
int config_read(struct config *, int argc, char **argv, struct why *);
/* The page of --help, with bounds and defaults. */
void config_help(FILE *);
/* The values in force, as a file that --config would take. */
void config_print(const struct config *, FILE *);

/* One row by index, for checks of documents and names; NULL behind the last. */
const char *config_name(unsigned i);
/* One flag of the command line, those that are no keys included, for the manual and completion. false: behind the last. */
struct config_flag {
	const char *name, *value_name; /* value_name NULL: takes no value */
	const char *otherwise; /* the default; "": none */
	const char *help;
};
bool config_flag(unsigned i, struct config_flag *);
extern const char config_about[], config_more[]; /* what stands above and below the options on the page of --help */
/* Sets one option by its name. -1: why. */
int config_set(struct config *, const char *name, const char *value, struct why *);

#endif
