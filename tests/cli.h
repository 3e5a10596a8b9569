/*
 * cli.h: the operator's command line as a person uses it, for tests: run as a program in a server's folder, with the server's addresses
 * in its environment; what it printed stands in cli_out and cli_err. One server per test program. One thread.
 */
#ifndef HOLDFAST_TESTS_CLI_H
#define HOLDFAST_TESTS_CLI_H

#include "tests/check.h"
#include "tests/spawn.h"

#define CLI_BYTES (1 << 18)

extern struct server cli_server;
extern char cli_program[512], cli_out[CLI_BYTES], cli_err[CLI_BYTES];

/* A test program's main: starts the server, runs the tests, which share it (names keep them apart, and the last one may stop it), removes it. */
int cli_run(const struct check *tests, size_t n, int argc, char **argv);

/* Runs holdfast with these words of a shell; fills cli_out and cli_err. Its exit code. */
int cli(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same without waiting for its end; one at a time; cli() may run meanwhile. The pid, or -1. */
pid_t cli_start(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Waits until it has printed this on stdout or stderr; false: not in time. Fills cli_out and cli_err. */
bool cli_prints(const char *text);
/* Waits for its end; fills cli_out and cli_err. Its exit code; -1: it was killed, by a signal or here because it took too long. */
int cli_wait(pid_t);
/* A file of the server's folder into to[size], and from text. */
void cli_slurp(const char *name, char *to, size_t size);
void cli_write(const char *name, const char *text);
/* The integer at a path of keys ("a.b", "cells.0") in a JSON text of one object, or -999. */
long long cli_json_of(const char *text, const char *path);
long long cli_json(const char *path); /* of cli_out */

#define check_says(where, text) \
	do { \
		if (!strstr(where, text)) { \
			printf("     stdout: %s     stderr: %s", cli_out, cli_err); \
			check(strstr(where, text) != NULL); \
		} \
	} while (0)
#define check_cli(code, ...) \
	do { \
		int check_code = cli(__VA_ARGS__); \
		if (check_code != (code)) { \
			printf("     stdout: %s     stderr: %s", cli_out, cli_err); \
			check_equal(check_code, code); \
		} \
	} while (0)

/* So that a test stands alone: qty units of the SKU at L1, from a source of the same name. */
#define check_stocked(sku, qty) \
	do { \
		char check_rows[256]; \
		snprintf(check_rows, sizeof check_rows, "source,n,kind,sku,location,qty\n%s,1,receipt,%s,L1,%d\n", sku, sku, qty); \
		cli_write("stock.csv", check_rows); \
		check_cli(0, "post stock.csv"); \
	} while (0)

#endif
