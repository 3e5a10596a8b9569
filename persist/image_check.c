/*
 * image_check.c: the check of a whole image. pages.c follows no offset that it has not checked; a child process is there for what follows
 * it: LMDB's own opening of the file, which maps it and trusts it. The parent trusts nothing but a whole answer. A check alone
 * (image_verify, image_inspect) runs in the child as a whole; one that feeds a load (image_inspect_into) runs here, and
 * LMDB has opened the file in a child before (image_probe).
 */
#include "persist/image_private.h"
#include "persist/pages.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* A check reads each byte once; slower than this is a loop, and ends the child. */
#define CHECK_BYTES_PER_SECOND (UINT64_C(4) << 20)
#define CHECK_SECONDS_MIN      60

int64_t
image_file_bytes(struct disk *disk, const char *name)
{
	int file = disk->calls->open(disk, name, 0);
	if (file < 0)
		return -1;
	int64_t bytes = disk->calls->size(disk, file);
	disk->calls->close(disk, file);
	return bytes;
}

int
image_check_file(struct disk *disk, const char *name, const char *path, const struct image_sink *sink, struct image_findings *found, struct why *why)
{
	struct why inner;
	int file = disk->calls->open(disk, name, 0);
	int64_t bytes = file < 0 ? -1 : disk->calls->size(disk, file);
	*found = (struct image_findings){ .exists = true };
	if (bytes < 0) {
		why_say(&inner, "it cannot be opened: %s", strerror(errno));
	} else {
		bytes = pages_check(disk, file, (uint64_t)bytes, sink, found, &inner);
	}
	if (file >= 0)
		disk->calls->close(disk, file);
	return bytes < 0 ? why_say(why, "image %.250s is damaged: %s", path, inner.text) : 0;
}

#define WATCH_RECORDS 65536 /* from one word to the next */

static void
watch_begin(void *context, const struct image_meta *meta)
{
	struct image_watch *w = context;
	w->of = meta->records;
	progress_tell(w->progress, w->phase, 0, w->of);
}

static void
watch_record(void *context, uint64_t seq, const struct entry_bytes *entry)
{
	struct image_watch *w = context;
	if (++w->records % WATCH_RECORDS == 0)
		progress_tell(w->progress, w->phase, w->records, w->of);
}

struct image_sink
image_watch(struct image_watch *w)
{
	return (struct image_sink){ watch_begin, watch_record, w };
}

/* What a child says: how far it is, and at last its answer. */
struct said {
	bool whole;
	double share;
	struct image_probe answer;
};
/* Shorter than PIPE_BUF, so written whole. */
_Static_assert(sizeof(struct said) <= 4096, "what a child says fits in one write of a pipe");

typedef int child_task(struct disk *, const char *path, const struct progress *, struct image_probe *);

static int
same_meta(const char *path, const struct image_meta *lmdb, const struct image_meta *pages, struct why *why)
{
	if (memcmp(lmdb, pages, sizeof(*lmdb)) == 0)
		return 0;
	return why_say(why, "image %.250s is damaged: LMDB reads another meta record than is there", path);
}

/* The pages first; then LMDB must see the same meta record. */
static int
check_both(struct disk *disk, const char *path, const struct progress *progress, struct image_probe *a)
{
	struct image_meta meta;
	struct image_watch watch = { .progress = progress, .phase = "" };
	struct image_sink sink = image_watch(&watch);
	if (image_check_file(disk, IMAGE_NAME, path, progress ? &sink : NULL, &a->found, &a->why) < 0)
		return -1;
	struct image *image = image_open_still(path, &a->why);
	if (image == NULL)
		return -1;
	image_meta(image, &meta);
	image_close(image);
	return same_meta(path, &meta, &a->found.meta, &a->why);
}

static int
open_only(struct disk *disk, const char *path, const struct progress *progress, struct image_probe *a)
{
	struct image *image = image_open_still(path, &a->why);
	if (image == NULL)
		return -1;
	a->found.exists = true;
	image_meta(image, &a->found.meta);
	image_key_ends(image, a->found.records_of_kind);
	image_close(image);
	return 0;
}

/* A word that is lost is none that matters. */
static void
say_share(void *context, const char *phase, double share)
{
	struct said said = { .share = share };
	if (write(*(int *)context, &said, sizeof(said)) < 0)
		return;
}

/* The child: bounded time, no core file, gone when its parent is (it holds a copy of the folder's lock). */
_Noreturn static void
run_child(int out, child_task *task, struct disk *disk, const char *path, uint64_t bytes, bool watched)
{
	struct said said;
	struct rlimit none = { 0, 0 }, seconds;
	const struct progress progress = { say_share, &out };
	memset(&said, 0, sizeof(said));
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	seconds.rlim_cur = seconds.rlim_max = CHECK_SECONDS_MIN + bytes / CHECK_BYTES_PER_SECOND;
	setrlimit(RLIMIT_CORE, &none);
	setrlimit(RLIMIT_CPU, &seconds);
	said.answer.opened = task(disk, path, watched ? &progress : NULL, &said.answer);
	said.whole = true;
	_exit(write(out, &said, sizeof(said)) == (ssize_t)sizeof(said) ? 0 : 1);
}

/* The next thing that it says. true: there is nothing more to come. */
static bool
listen_to(int in, const struct progress *progress, struct said *said)
{
	ssize_t n = read(in, said, sizeof(*said));
	if (n < 0 && errno == EINTR)
		return false;
	if (n != (ssize_t)sizeof(*said)) {
		said->whole = false;
		return true;
	}
	if (!said->whole && progress != NULL)
		progress->tell(progress->context, "checking the image", said->share);
	return said->whole;
}

/* Runs the task in a child. What counts is a whole answer: a child that crashed on a page has given none. */
static int
forked(child_task *task, struct disk *disk, const char *path, uint64_t bytes, const struct progress *progress, struct image_probe *a,
    struct why *why)
{
	int ends[2], status = 0;
	struct said said = { 0 };
	if (pipe(ends) < 0)
		return why_say(why, "cannot make a pipe to check the image: %s", strerror(errno));
	pid_t child = fork();
	if (child == 0) {
		close(ends[0]);
		run_child(ends[1], task, disk, path, bytes, progress != NULL);
	}
	close(ends[1]);
	while (!listen_to(ends[0], progress, &said))
		;
	close(ends[0]);
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	*a = said.answer;
	if (said.whole)
		return 0;
	a->found = (struct image_findings){ .exists = true, .bytes = bytes };
	if (child < 0)
		return why_say(why, "cannot start a process to check the image: %s", strerror(errno));
	return why_say(why, "image %.250s is damaged: the process that read it ended by signal %d", path,
	    WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

/*
 * A file that is no longer than its meta pages holds no record. Without a whole tree behind them it was never committed to;
 * whether the journal can do without an image is recovery's question. 1: there are records to look at; 0: none.
 */
static int
has_records(struct disk *disk, const char *path, int64_t *bytes, struct why *why)
{
	*bytes = image_file_bytes(disk, IMAGE_NAME);
	if (*bytes < 0 && errno == ENOENT)
		return 0;
	if (*bytes < 0)
		return why_say(why, "image %s: cannot be looked at: %s", path, strerror(errno));
	return (uint64_t)*bytes > IMAGE_EMPTY_BYTES;
}

static int
inspect_forked(struct disk *disk, const char *path, child_task *task, const struct progress *progress, struct image_findings *found,
    struct why *why)
{
	struct image_probe a = { 0 };
	int64_t bytes;
	int rc = has_records(disk, path, &bytes, why);
	if (rc <= 0)
		return rc;
	rc = forked(task, disk, path, (uint64_t)bytes, progress, &a, why);
	*found = a.found;
	if (rc == 0 && a.opened < 0)
		*why = a.why;
	return rc < 0 || a.opened < 0 ? -1 : 0;
}

/* The folder's disk and the image's path in it. 1: open; 0: no such folder; -1: why. */
static int
folder_look(const char *dir, struct disk **disk, char path[IMAGE_PATH_MAX], struct why *why)
{
	if (image_path(path, dir, IMAGE_NAME, why) < 0)
		return -1;
	if (!disk_posix_is_folder(dir))
		return 0;
	*disk = disk_posix_open(dir, why);
	return *disk == NULL ? -1 : 1;
}

static int
inspect(const char *dir, child_task *task, const struct progress *progress, struct image_findings *found, struct why *why)
{
	char path[IMAGE_PATH_MAX];
	struct disk *disk;
	*found = (struct image_findings){ 0 };
	int rc = folder_look(dir, &disk, path, why);
	if (rc <= 0)
		return rc;
	rc = inspect_forked(disk, path, task, progress, found, why);
	disk->calls->end(disk);
	return rc;
}

int
image_inspect(const char *dir, const struct progress *progress, struct image_findings *found, struct why *why)
{
	return inspect(dir, check_both, progress, found, why);
}

int
image_verify(const char *dir, struct why *why)
{
	struct image_findings found;
	return image_inspect(dir, NULL, &found, why);
}

void
image_probe(const char *dir, struct image_probe *probe)
{
	probe->opened = inspect(dir, open_only, NULL, &probe->found, &probe->why);
}

/* Damage that a page shows is told before what LMDB made of it. */
static int
inspect_here(struct disk *disk, const char *path, const struct image_probe *probe, const struct image_sink *sink, struct image_findings *found,
    struct why *why)
{
	int64_t bytes;
	int rc = has_records(disk, path, &bytes, why);
	if (rc <= 0)
		return rc;
	if (image_check_file(disk, IMAGE_NAME, path, sink, found, why) < 0)
		return -1;
	if (probe != NULL && probe->opened < 0) {
		*why = probe->why;
		return -1;
	}
	return probe == NULL ? 0 : same_meta(path, &probe->found.meta, &found->meta, why);
}

int
image_inspect_into(const char *dir, const struct image_probe *probe, const struct image_sink *sink, struct image_findings *found, struct why *why)
{
	char path[IMAGE_PATH_MAX];
	struct disk *disk;
	*found = (struct image_findings){ 0 };
	int rc = folder_look(dir, &disk, path, why);
	if (rc <= 0)
		return rc;
	rc = inspect_here(disk, path, probe, sink, found, why);
	disk->calls->end(disk);
	return rc;
}
