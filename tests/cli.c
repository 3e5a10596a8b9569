/* cli.c: the contract is in cli.h. */
#define _GNU_SOURCE /* environ */
#include "tests/cli.h"

#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/clock.h"

#define PATIENCE_MS 20000

struct server cli_server;
char cli_program[512], cli_out[CLI_BYTES], cli_err[CLI_BYTES];

void
cli_slurp(const char *name, char *to, size_t size)
{
	char path[400];
	snprintf(path, sizeof path, "%s/%s", cli_server.folder, name);
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(to, 1, size - 1, f) : 0;
	to[n] = 0;
	if (f)
		fclose(f);
}

void
cli_write(const char *name, const char *text)
{
	char path[400];
	snprintf(path, sizeof path, "%s/%s", cli_server.folder, name);
	FILE *f = fopen(path, "w");
	fputs(text, f);
	fclose(f);
}

static void
shell_line(char *line, size_t size, const char *before, const char *words, const char *to)
{
	snprintf(line, size, "cd %s && HOLDFAST_SERVER=127.0.0.1:%u HOLDFAST_EVENTS=127.0.0.1:%u %s </dev/null %s %s >%s 2>%s.err",
	    cli_server.folder, cli_server.rpc, cli_server.events, before, cli_program, words, to, to);
}

int
cli(const char *format, ...)
{
	char words[2048], line[4096];
	va_list args;
	va_start(args, format);
	vsnprintf(words, sizeof words, format, args);
	va_end(args);
	shell_line(line, sizeof line, "", words, "out");
	int status = system(line);
	cli_slurp("out", cli_out, sizeof cli_out);
	cli_slurp("out.err", cli_err, sizeof cli_err);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

pid_t
cli_start(const char *format, ...)
{
	char words[2048], line[4096], shell[] = "sh", option[] = "-c", *argv[] = { shell, option, line, NULL };
	pid_t pid;
	va_list args;
	va_start(args, format);
	vsnprintf(words, sizeof words, format, args);
	va_end(args);
	cli_write("started", "");
	cli_write("started.err", "");
	shell_line(line, sizeof line, "exec env", words, "started");
	return posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ) == 0 ? pid : -1;
}

static void
slurp_started(void)
{
	cli_slurp("started", cli_out, sizeof cli_out);
	cli_slurp("started.err", cli_err, sizeof cli_err);
}

bool
cli_prints(const char *text)
{
	int64_t end_ms = clock_steady_ms() + PATIENCE_MS;
	do {
		slurp_started();
		if (strstr(cli_out, text) || strstr(cli_err, text))
			return true;
	} while (poll(NULL, 0, 2) == 0 && clock_steady_ms() < end_ms);
	return false;
}

int
cli_wait(pid_t pid)
{
	int64_t end_ms = clock_steady_ms() + PATIENCE_MS;
	int status = 0;
	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (clock_steady_ms() > end_ms)
			kill(pid, SIGKILL);
		poll(NULL, 0, 2);
	}
	slurp_started();
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

long long
cli_json_of(const char *text, const char *path)
{
	char key[64];
	json_t *all = json_loads(text, JSON_DISABLE_EOF_CHECK, NULL), *j = all;
	while (*path && j) {
		size_t n = strcspn(path, ".");
		snprintf(key, sizeof key, "%.*s", (int)n, path);
		j = json_is_array(j) ? json_array_get(j, (size_t)atoi(key)) : json_object_get(j, key);
		path += n + (path[n] == '.');
	}
	long long got = json_is_integer(j) ? json_integer_value(j) : json_is_boolean(j) ? json_is_true(j) : -999;
	json_decref(all);
	return got;
}

long long
cli_json(const char *path)
{
	return cli_json_of(cli_out, path);
}

int
cli_run(const struct check *tests, size_t n, int argc, char **argv)
{
	static const char *const words[] = { "--loops", "1", "--image-age-ms", "200ms", NULL };
	struct why why;
	int failed = 1;
	spawn_program("holdfast", cli_program, sizeof cli_program);
	if (server_init(&cli_server, &why) == 0 && server_start(&cli_server, words, &why) == 0)
		failed = check_run(argv[0], tests, n, argc, argv);
	else
		printf("%s\n0 passed, 1 failed\n", why.text);
	server_remove(&cli_server);
	return failed;
}
