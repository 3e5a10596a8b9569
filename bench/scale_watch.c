/*
 * scale_watch.c: see scale.h. The thread has a connection of its own, so that a look never holds up the client that loads the server.
 */
#define _GNU_SOURCE
#include "bench/scale.h"
#include "net/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#define SIGHTS_MAX 65536
#define LOOK_MS    500
#define IDLE_MS    50
#define CALL_MS    60000

struct watch {
	const struct server *server;
	struct hf *hf;
	int64_t start_ns;
	struct sight *sights;
	_Atomic uint32_t n; /* the thread -> the measurement: whole sights */
	pthread_t thread;
	bool running;
	_Atomic bool stop; /* the measurement -> the thread; seen late is 500 ms late */
};

static uint64_t
file_bytes(const struct watch *w, const char *name)
{
	char path[400];
	struct stat st;
	snprintf(path, sizeof path, "%s/data/%s", w->server->folder, name);
	return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static void
memory_look(const struct watch *w, struct sight *s)
{
	char path[64], line[128];
	unsigned long long kib;
	snprintf(path, sizeof path, "/proc/%d/status", (int)w->server->pid);
	FILE *f = fopen(path, "r");
	if (!f)
		scale_die("the server is gone");
	while (fgets(line, sizeof line, f)) {
		if (sscanf(line, "RssAnon: %llu", &kib) == 1)
			s->anon_bytes = kib << 10;
		if (sscanf(line, "RssFile: %llu", &kib) == 1)
			s->file_bytes = kib << 10;
	}
	fclose(f);
}

/* When `durable` was what the image is now: the last sight before that. */
static double
lag_of(const struct watch *w, const struct sight *now)
{
	if (now->image >= now->durable)
		return 0;
	for (uint32_t i = atomic_load_explicit(&w->n, memory_order_relaxed); i-- > 0;)
		if (w->sights[i].durable <= now->image)
			return now->at_s - w->sights[i].at_s;
	return now->at_s;
}

/* A server whose disk stalls says nothing for a while (`overloaded`). */
static const struct hf_value *
status_ask(struct watch *w)
{
	const struct timespec pause = { 0, IDLE_MS * 1000000 };
	const struct hf_value *status;
	for (int left_ms = CALL_MS; left_ms > 0; left_ms -= IDLE_MS, nanosleep(&pause, NULL)) {
		hf_begin(w->hf, "status");
		hf_array(w->hf, 0);
		enum hf_outcome outcome = hf_call(w->hf, &status);
		if (outcome == HF_OK)
			return status;
		if (outcome != HF_REFUSED)
			break;
	}
	scale_die("the server does not say its status: %s", hf_error(w->hf)->message);
}

void
watch_look(struct watch *w, struct sight *s)
{
	const struct hf_value *status = status_ask(w);
	*s = (struct sight){ 0 };
	const struct hf_value *host = hf_get(status, "host");
	s->at_s = (double)(clock_steady_ns() - w->start_ns) / 1e9;
	s->position = (uint64_t)hf_int(hf_get(host, "position"), 0);
	s->durable = (uint64_t)hf_int(hf_get(host, "durable"), 0);
	s->image = (uint64_t)hf_int(hf_get(host, "image_position"), 0);
	s->journal_bytes = (uint64_t)hf_int(hf_get(host, "journal_bytes"), 0);
	s->commits = (uint64_t)hf_int(hf_get(host, "image_commits"), 0);
	s->image_bytes = file_bytes(w, "image");
	s->lag_s = lag_of(w, s);
	memory_look(w, s);
}

struct watch *
watch_open(const struct server *server)
{
	struct hf_failure failure;
	struct watch *w = calloc(1, sizeof *w);
	if (!w || !(w->sights = malloc(SIGHTS_MAX * sizeof *w->sights)))
		scale_die("no memory");
	w->server = server;
	w->hf = hf_connect("127.0.0.1", server->rpc, CALL_MS, &failure);
	if (!w->hf)
		scale_die("%s", failure.message);
	w->start_ns = clock_steady_ns();
	return w;
}

static void *
watch_main(void *arg)
{
	const struct timespec pause = { 0, LOOK_MS * 1000000 };
	struct watch *w = arg;
	for (uint32_t n = 0; !atomic_load_explicit(&w->stop, memory_order_relaxed) && n < SIGHTS_MAX; nanosleep(&pause, NULL)) {
		watch_look(w, &w->sights[n]);
		atomic_store_explicit(&w->n, ++n, memory_order_release);
	}
	return NULL;
}

void
watch_start(struct watch *w)
{
	w->start_ns = clock_steady_ns();
	if (pthread_create(&w->thread, NULL, watch_main, w) != 0)
		scale_die("the watching thread did not start");
	w->running = true;
}

uint32_t
watch_sights(const struct watch *w, const struct sight **sights)
{
	*sights = w->sights;
	return atomic_load_explicit(&w->n, memory_order_acquire);
}

void
watch_stop(struct watch *w)
{
	atomic_store(&w->stop, true);
	if (w->running)
		pthread_join(w->thread, NULL);
	w->running = false;
}

double
watch_image(struct watch *w, double most_s)
{
	const struct timespec pause = { 0, IDLE_MS * 1000000 };
	struct sight s;
	watch_look(w, &s);
	double since_s = s.at_s;
	for (uint64_t wanted = s.durable; s.image < wanted && s.at_s - since_s < most_s; watch_look(w, &s))
		nanosleep(&pause, NULL);
	return s.at_s - since_s;
}

void
watch_close(struct watch *w)
{
	watch_stop(w);
	hf_close(w->hf);
	free(w->sights);
	free(w);
}
