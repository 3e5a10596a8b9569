/* holdfast_out.c: the contract is in holdfast_out.h. */
#include "cmd/holdfast_out.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define OUT_BUFFER_BYTES ((size_t)256 << 10)

static int
failed(const char *path, const char *what, struct why *why)
{
	snprintf(why->text, sizeof why->text, "%.200s cannot be written: %s", path, what);
	return -1;
}

/* A link is followed, so that it still is one afterwards. A device or a pipe must not be replaced by a file. */
static int
place_find(struct out *out, const char *path, struct why *why)
{
	char real[PATH_MAX];
	struct stat st;
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return failed(path, "it is a folder: name a file", why);
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return failed(path, "it is no regular file; without --out the rows go to stdout", why);
	if (realpath(path, real))
		path = real;
	if (snprintf(out->path, sizeof out->path, "%s", path) >= (int)sizeof out->path)
		return failed(path, strerror(ENAMETOOLONG), why);
	snprintf(out->draft, sizeof out->draft, "%s.%ld.part", out->path, (long)getpid());
	return 0;
}

int
out_open(struct out *out, const char *path, struct why *why)
{
	*out = (struct out){ .file = stdout };
	if (path && place_find(out, path, why) < 0)
		return -1;
	if (path && !(out->file = fopen(out->draft, "w"))) {
		out->draft[0] = 0;
		return failed(path, errno == ENOENT ? "there is no such folder" : strerror(errno), why);
	}
	setvbuf(out->file, NULL, _IOFBF, OUT_BUFFER_BYTES);
	return 0;
}

int
out_keep(struct out *out, struct why *why)
{
	const char *name = out->path[0] ? out->path : "stdout";
	errno = 0;
	bool good = fflush(out->file) == 0 && !ferror(out->file);
	if (out->path[0]) {
		good = good && fsync(fileno(out->file)) == 0;
		good = fclose(out->file) == 0 && good;
		out->file = NULL;
		good = good && rename(out->draft, out->path) == 0;
		if (good)
			out->draft[0] = 0;
	}
	if (good)
		return 0;
	failed(name, errno ? strerror(errno) : "an earlier write failed", why);
	if (out->file == stdout)
		clearerr(stdout); /* it is told; the program's end would tell it again */
	out_drop(out);
	return -1;
}

void
out_drop(struct out *out)
{
	if (out->file && out->file != stdout)
		fclose(out->file);
	out->file = NULL;
	out_drop_now(out);
	out->draft[0] = 0;
}

void
out_drop_now(const struct out *out)
{
	if (out->draft[0])
		unlink(out->draft);
}
