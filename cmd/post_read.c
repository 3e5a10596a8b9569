/*
 * post_read.c: lines out of a gzFile, which reads plain files as they are. The buffer holds the present record from its first
 * byte and what was read behind it.
 */
#include "cmd/post_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define READ_BYTES ((size_t)256 << 10)
#define BUFFER_BYTES (READ_BYTES + RECORD_BYTES_MAX)

struct post_file {
	gzFile gz;
	char name[256];
	double size_bytes; /* on disk; 0: not known */
	size_t record, end, used; /* the present record is bytes[record..end); read so far: used */
	bool ended;
	uint8_t bytes[BUFFER_BYTES];
};

static gzFile
open_gz(const char *name, double *size_bytes, struct why *why)
{
	struct stat st;
	int fd = strcmp(name, "-") == 0 ? dup(STDIN_FILENO) : open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		snprintf(why->text, sizeof why->text, "%s: %s%s", name, strerror(errno), errno == ENOENT ? ": is the path right?" : "");
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	if (S_ISDIR(st.st_mode)) {
		snprintf(why->text, sizeof why->text, "%s is a folder: name a file of rows", name);
		close(fd);
		return NULL;
	}
	*size_bytes = S_ISREG(st.st_mode) ? (double)st.st_size : 0;
	gzFile gz = gzdopen(fd, "rb");
	if (!gz) {
		snprintf(why->text, sizeof why->text, "%s: out of memory", name);
		close(fd);
		return NULL;
	}
	gzbuffer(gz, READ_BYTES);
	return gz;
}

struct post_file *
post_read_open(const char *name, struct why *why)
{
	double size_bytes = 0;
	gzFile gz = open_gz(name, &size_bytes, why);
	if (!gz)
		return NULL;
	struct post_file *f = malloc(sizeof *f);
	if (!f) {
		snprintf(why->text, sizeof why->text, "%s: out of memory", name);
		gzclose(gz);
		return NULL;
	}
	f->gz = gz;
	f->size_bytes = size_bytes;
	f->record = f->end = f->used = 0;
	f->ended = false;
	snprintf(f->name, sizeof f->name, "%s", name);
	return f;
}

void
post_read_close(struct post_file *f)
{
	if (!f)
		return;
	gzclose(f->gz);
	free(f);
}

/* What gzip says after a read of n bytes that ended badly or too soon; NULL: nothing is wrong. */
static const char *
defect(gzFile gz, int n)
{
	int code;
	const char *text = gzerror(gz, &code);
	const char *named = strstr(text, ">: "); /* zlib names the descriptor in front */
	if (strncmp(text, "<fd:", 4) == 0 && named)
		text = named + 3;
	if (n < 0)
		return code == Z_ERRNO ? strerror(errno) : *text ? text : "its gzip data are damaged";
	return n == 0 && code == Z_BUF_ERROR ? "its gzip data have no end" : NULL;
}

int
post_read_verify(struct post_file *f, struct bar *bar, struct why *why)
{
	uint64_t lines = 1;
	const char *wrong;
	int n;
	if (gzdirect(f->gz) || f->size_bytes <= 0)
		return 0;
	do {
		n = gzread(f->gz, f->bytes, (unsigned)sizeof f->bytes);
		wrong = defect(f->gz, n);
		for (int i = 0; i < n; i++)
			lines += f->bytes[i] == '\n';
		bar_draw(bar, (double)gzoffset(f->gz) / f->size_bytes, lines, lines);
	} while (n > 0);
	bar_clear(bar);
	if (!wrong && gzrewind(f->gz) == 0)
		return 0;
	snprintf(why->text, sizeof why->text, "%s is damaged, at or before line %llu: %s. Nothing of it was sent; copy the file again", f->name,
	    (unsigned long long)lines, wrong ? wrong : strerror(errno));
	return -1;
}

/* Moves the present record to the front and reads behind it. The record is below RECORD_BYTES_MAX, so there is room. */
static int
fill(struct post_file *f, struct why *why)
{
	memmove(f->bytes, f->bytes + f->record, f->used - f->record);
	f->used -= f->record;
	f->end -= f->record;
	f->record = 0;
	int n = gzread(f->gz, f->bytes + f->used, (unsigned)(sizeof f->bytes - f->used));
	const char *wrong = defect(f->gz, n);
	if (wrong) { /* what is left may be half a row */
		snprintf(why->text, sizeof why->text, "%s cannot be read further: %s; copy the file again", f->name, wrong);
		return -1;
	}
	f->ended = n == 0;
	f->used += (size_t)n;
	return 0;
}

int
post_read_line(struct post_file *f, bool join, struct bytes *line, struct why *why)
{
	size_t seen = 0; /* bytes behind `end` that hold no end of line */
	if (!join)
		f->record = f->end;
	for (;;) {
		const uint8_t *from = f->bytes + f->end + seen, *newline = memchr(from, '\n', f->used - f->end - seen);
		size_t n = newline ? (size_t)(newline + 1 - (f->bytes + f->end)) : f->used - f->end;
		if (f->end - f->record + n > RECORD_BYTES_MAX) {
			snprintf(why->text, sizeof why->text, "%s has a row longer than 64 KiB: is a quote never closed, or is it no text?", f->name);
			return -1;
		}
		if (newline || (f->ended && n > 0)) {
			*line = (struct bytes){ f->bytes + f->end, (uint32_t)n };
			f->end += n;
			return 1;
		}
		if (f->ended)
			return 0;
		seen = n;
		if (fill(f, why) < 0)
			return -1;
	}
}

struct bytes
post_read_record(const struct post_file *f)
{
	struct bytes b = { f->bytes + f->record, (uint32_t)(f->end - f->record) };
	while (b.n > 0 && (b.at[b.n - 1] == '\n' || b.at[b.n - 1] == '\r'))
		b.n--;
	return b;
}

struct bytes
post_read_peek(struct post_file *f, struct why *why)
{
	if (f->used == 0 && fill(f, why) < 0)
		return (struct bytes){ NULL, 0 };
	return (struct bytes){ f->bytes, (uint32_t)(f->used < RECORD_BYTES_MAX ? f->used : RECORD_BYTES_MAX) };
}

void
post_read_pass(struct post_file *f, uint32_t n)
{
	f->record = f->end = n;
}

double
post_read_share(const struct post_file *f)
{
	double at = (double)gzoffset(f->gz) - (gzdirect(f->gz) ? (double)(f->used - f->end) : 0);
	if (f->size_bytes <= 0)
		return -1;
	return at < 0 ? 0 : at > f->size_bytes ? 1 : at / f->size_bytes;
}
