/*
 * retail_day.c: the demo. A server on embedded defaults in a temporary folder; tills and checkouts play a day against it; in
 * the middle of the load the server is killed, started again, and asked again what was left unanswered; at the end a judge
 * that knows only the input and the answers recounts everything. Exit 0 only if all of it holds.
 */
#include "bench/retail_day.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "net/clock.h"

#define KILL_AT 0.435 /* of the day: 10:26, in the busiest hours */
#define PLAY_SECONDS 30.0
#define BAR 40

struct options {
	const char *data;
	uint64_t seed;
	double scale, seconds;
	bool keep;
};

/* ---- words ---- */

/* 12,345 in one of a few buffers of its own: several fit into one printf. */
static const char *
num(int64_t v)
{
	static char text[16][32];
	static int turn;
	char digits[24], *to = text[turn++ % 16], *start = to;
	int n = snprintf(digits, sizeof digits, "%lld", (long long)(v < 0 ? -v : v));
	if (v < 0)
		*to++ = '-';
	for (int i = 0; i < n; i++) {
		if (i && (n - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = 0;
	return start;
}

static double
seconds_since(int64_t ns)
{
	return (double)(clock_steady_ns() - ns) / 1e9;
}

/* ---- what the threads share ---- */

double
play_now(struct play *p)
{
	pthread_mutex_lock(&p->lock);
	double now = (double)(clock_steady_ns() - p->began_ns - p->paused_ns) / 1e9 / p->seconds;
	pthread_mutex_unlock(&p->lock);
	return now;
}

bool
play_await(struct play *p, uint32_t *life, uint16_t *rpc, uint16_t *events)
{
	pthread_mutex_lock(&p->lock);
	while (!p->failed && !(p->up && p->life > *life))
		pthread_cond_wait(&p->changed, &p->lock);
	*life = p->life;
	*rpc = p->rpc;
	*events = p->events;
	bool good = !p->failed;
	pthread_mutex_unlock(&p->lock);
	return good;
}

void
play_fail(struct play *p, const char *format, ...)
{
	va_list args;
	pthread_mutex_lock(&p->lock);
	/* While the server is down, calls fail because of that: not a failure of the play. */
	if (!p->failed && p->up) {
		p->failed = true;
		va_start(args, format);
		vsnprintf(p->failure, sizeof p->failure, format, args);
		va_end(args);
		pthread_cond_broadcast(&p->changed);
	}
	pthread_mutex_unlock(&p->lock);
}

static void
play_up(struct play *p, const struct server *server)
{
	pthread_mutex_lock(&p->lock);
	p->up = true;
	p->life++;
	p->rpc = server->rpc;
	p->events = server->events;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

/* ---- phases ---- */

static int
stop(const char *what, const struct why *why)
{
	printf("\n  %s: %s\n\nVERDICT: the demo could not be played to its end\n", what, why->text);
	return 1;
}

static void
describe(const struct day *d)
{
	uint32_t kinds[FACT_KINDS] = { 0 };
	for (uint32_t i = d->openings; i < d->facts_n; i++)
		kinds[d->facts[i].kind]++;
	printf("Holdfast demo: a day of retail, a crash in the middle of it, and a recount\n\n");
	printf("  input     %s: %s locations, %s SKUs, %s cells\n", d->what, num(d->locations_n), num(d->skus_n), num(d->cells_n));
	printf("            %s till and warehouse events: %s sales, %s returns, %s receipts, %s adjustments, %s counts\n",
	    num(d->facts_n - d->openings), num(kinds[FACT_SALE]), num(kinds[FACT_RETURN]), num(kinds[FACT_RECEIPT]),
	    num(kinds[FACT_ADJUST]), num(kinds[FACT_COUNT]));
	printf("            %s baskets of %s lines at %d checkouts\n", num(d->baskets_n), num(d->lines_n), CHECKOUTS);
}

static int
open_stock(struct play *p)
{
	struct tills t = { .play = p, .to = p->day->openings };
	int64_t start = clock_steady_ns();
	pthread_create(&t.thread, NULL, tills_main, &t);
	pthread_join(t.thread, NULL);
	if (p->failed)
		return -1;
	double s = seconds_since(start);
	printf("  opening   %s receipts through the gate in %.2f s (%s/s)\n", num((int64_t)t.applied), s, num((int64_t)((double)t.applied / s)));
	return 0;
}

/* One group over all locations: its ATS is judged too. */
static int
make_group(struct play *p)
{
	struct hf_failure failure;
	const struct hf_value *value;
	struct day *d = p->day;
	if (d->locations_n < 2)
		return 0;
	struct hf *hf = hf_connect("127.0.0.1", p->rpc, 20000, &failure);
	if (!hf) {
		play_fail(p, "%s", failure.message);
		return -1;
	}
	hf_begin(hf, "policy");
	hf_array(hf, 1);
	hf_map(hf, 1);
	hf_put_str(hf, "set");
	hf_map(hf, 1);
	hf_put_str(hf, "groups");
	hf_map(hf, 1);
	hf_put_str(hf, GROUP_NAME);
	hf_map(hf, 1);
	hf_put_str(hf, "members");
	hf_array(hf, d->locations_n);
	for (uint32_t i = 0; i < d->locations_n; i++)
		hf_put_str(hf, d->locations[i]);
	bool good = hf_call(hf, &value) == HF_OK;
	if (!good)
		play_fail(p, "the group of all locations: %s", hf_error(hf)->message);
	hf_close(hf);
	return good ? 0 : -1;
}

static int
kill_and_restart(struct play *p, struct server *server, struct why *why)
{
	int64_t down = clock_steady_ns();
	pthread_mutex_lock(&p->lock);
	p->up = false;
	uint64_t answers = p->answers, facts = p->facts_sent;
	pthread_mutex_unlock(&p->lock);
	server_kill(server);
	if (isatty(1))
		printf("\r\033[K");
	printf("  SIGKILL   after %s answers to checkouts and %s events: the server is gone, in the middle of the load\n",
	    num((int64_t)answers), num((int64_t)facts));
	fflush(stdout);
	if (server_start(server, NULL, why) != 0)
		return -1;
	pthread_mutex_lock(&p->lock);
	p->paused_ns += clock_steady_ns() - down;
	pthread_mutex_unlock(&p->lock);
	play_up(p, server);
	printf("  restart   ready again after %lld ms: image and journal read back, ports open\n", (long long)server->ready_ms);
	fflush(stdout);
	return 0;
}

static void
show_progress(struct play *p, double now, uint64_t answers, uint64_t facts, double seconds)
{
	char bar[BAR + 1], when[16];
	now = now > 1 ? 1 : now;
	int minutes = (int)(now * 24 * 60);
	for (int i = 0; i < BAR; i++)
		bar[i] = i < (int)(now * BAR) ? '#' : '.';
	bar[BAR] = 0;
	if (p->day->by_clock)
		snprintf(when, sizeof when, "%02d:%02d", minutes / 60, minutes % 60);
	else
		snprintf(when, sizeof when, "%4.0f%%", now * 100);
	printf("%s  %s     [%s] %9s checkout answers/s %9s events/s%s", isatty(1) ? "\r\033[K" : "", when, bar,
	    num((int64_t)((double)answers / seconds)), num((int64_t)((double)facts / seconds)), isatty(1) ? "" : "\n");
	fflush(stdout);
}

/* Until all threads are through. The kill happens here. */
static int
watch_play(struct play *p, struct server *server, struct why *why)
{
	struct timespec pause = { 0, 20000000 };
	bool killed = false, over = false, failure = false;
	double every = isatty(1) ? 0.3 : p->seconds / 6, at = clock_steady_ns() / 1e9;
	uint64_t answers = 0, facts = 0;
	while (!over && !failure) {
		nanosleep(&pause, NULL);
		double now = play_now(p), s = clock_steady_ns() / 1e9;
		if (now >= KILL_AT && !killed) {
			killed = true;
			if (kill_and_restart(p, server, why) != 0)
				return -1;
		}
		pthread_mutex_lock(&p->lock);
		over = p->checkouts_over == CHECKOUTS && p->tills_done == 2;
		failure = p->failed;
		uint64_t answers_now = p->answers, facts_now = p->facts_sent;
		pthread_mutex_unlock(&p->lock);
		if (s - at >= every && !over && !failure) {
			show_progress(p, now, answers_now - answers, facts_now - facts, s - at);
			at = s, answers = answers_now, facts = facts_now;
		}
	}
	if (isatty(1))
		printf("\r\033[K");
	return 0;
}

static int
play_day(struct play *p, struct server *server, struct tills *t, struct checkout *c, struct why *why)
{
	int64_t start = clock_steady_ns();
	pthread_mutex_lock(&p->lock);
	p->began_ns = start;
	p->facts_sent = p->answers = 0;
	p->unanswered_requests = p->unanswered_events = 0;
	pthread_mutex_unlock(&p->lock);
	*t = (struct tills){ .play = p, .from = p->day->openings, .to = p->day->facts_n, .paced = true };
	pthread_create(&t->thread, NULL, tills_main, t);
	for (uint32_t i = 0; i < CHECKOUTS; i++) {
		c[i] = (struct checkout){ .play = p, .index = i };
		pthread_create(&c[i].thread, NULL, checkout_main, &c[i]);
	}
	int result = watch_play(p, server, why);
	if (result != 0) { /* the restart failed: let the threads go */
		pthread_mutex_lock(&p->lock);
		p->failed = true;
		pthread_cond_broadcast(&p->changed);
		pthread_mutex_unlock(&p->lock);
	}
	pthread_join(t->thread, NULL);
	for (uint32_t i = 0; i < CHECKOUTS; i++)
		pthread_join(c[i].thread, NULL);
	if (result == 0 && p->failed) {
		snprintf(why->text, sizeof why->text, "%.500s", p->failure);
		result = -1;
	}
	p->seconds = seconds_since(start);
	return result;
}

static void
tell_day(const struct play *p, const struct tills *t, const struct checkout *c)
{
	struct checkout sum = { .asked = 0 };
	for (uint32_t i = 0; i < CHECKOUTS; i++) {
		sum.asked += c[i].asked, sum.granted += c[i].granted, sum.refused += c[i].refused, sum.shipped += c[i].shipped;
		sum.committed += c[i].committed, sum.cancelled += c[i].cancelled, sum.abandoned += c[i].abandoned;
		sum.left_held += c[i].left_held;
	}
	double s = p->seconds - (double)p->paused_ns / 1e9;
	printf("  asked again  %s requests and %s events had no answer at the kill; sent again: %s had happened, %s happened now\n",
	    num((int64_t)p->unanswered_requests), num((int64_t)p->unanswered_events), num((int64_t)p->again), num((int64_t)p->anew));
	printf("  the day   in %.1f s: %s baskets asked for (%s/s), %s granted, %s refused as sold out\n", s, num((int64_t)sum.asked),
	    num((int64_t)((double)sum.asked / s)), num((int64_t)sum.granted), num((int64_t)sum.refused));
	printf("            then %s committed, %s shipped, %s cancelled, %s abandoned, %s still held; slowest answer %.1f ms\n",
	    num((int64_t)sum.committed), num((int64_t)sum.shipped), num((int64_t)sum.cancelled), num((int64_t)sum.abandoned),
	    num((int64_t)sum.left_held), p->slowest_ms);
	printf("            %s events in %s messages (%s/s): %s applied, %s absorbed by counts, %s duplicates of resent ones, %s rejected\n",
	    num((int64_t)p->facts_sent), num((int64_t)t->messages), num((int64_t)((double)p->facts_sent / s)), num((int64_t)t->applied),
	    num((int64_t)t->absorbed), num((int64_t)t->duplicates), num((int64_t)t->rejected));
}

/* The last abandoned hold ends a time to live after its grant: nothing to be asked, the clock does it. */
static void
let_expire(void)
{
	struct timespec ttl = { (ABANDON_TTL_MS + 100) / 1000, (ABANDON_TTL_MS + 100) % 1000 * 1000000 };
	nanosleep(&ttl, NULL);
}

static int
tell_verdict(const struct verdict *v, int stopped)
{
	bool good = v->differences == 0 && v->group_differences == 0 && v->oversold == 0 && v->reservations_lost == 0 && v->facts_lost == 0 &&
	    v->facts_more == 0 && v->misanswered == 0 && stopped == 0;
	printf("\n  recount   in %.1f s, from the input and the answers alone\n", v->seconds);
	printf("            on hand %s, reserved %s, committed %s units; %s cells are short because tills sold what was promised\n",
	    num(v->on_hand), num(v->reserved), num(v->committed), num(v->short_cells));
	printf("    cells compared         %9s   differences %s\n", num((int64_t)v->cells), num((int64_t)v->differences));
	if (v->groups)
		printf("    group totals compared  %9s   differences %s\n", num((int64_t)v->groups), num((int64_t)v->group_differences));
	printf("    grants, in their order %9s   oversold %s\n", num((int64_t)v->grants), num((int64_t)v->oversold));
	printf("    reservations asked for %9s   lost %s\n", num((int64_t)v->reservations), num((int64_t)v->reservations_lost));
	printf("    sources asked for      %9s   events lost %s, doubled %s\n", num((int64_t)v->sources), num((int64_t)v->facts_lost),
	    num((int64_t)(v->facts_more + v->doubled)));
	if (v->misanswered)
		printf("    events answered otherwise than they should have been: %s\n", num((int64_t)v->misanswered));
	if (stopped != 0)
		printf("    the server did not stop as it should (status %d)\n", stopped);
	printf("\nVERDICT: %s\n", good ? "all holds: 0 differences, 0 oversold, 0 lost, 0 doubled" : "IT DOES NOT HOLD");
	return good ? 0 : 1;
}

static int
demo(struct day *d, struct play *p, struct server *server)
{
	struct tills t;
	struct checkout c[CHECKOUTS];
	struct verdict v;
	struct why why;
	if (server_start(server, NULL, &why) != 0)
		return stop("the server did not start", &why);
	printf("  server    ready after %lld ms, on 127.0.0.1:%u (RPC) and :%u (gate), its data in %s\n", (long long)server->ready_ms,
	    server->rpc, server->events, server->folder);
	fflush(stdout);
	play_up(p, server);
	if (open_stock(p) != 0 || make_group(p) != 0) {
		snprintf(why.text, sizeof why.text, "%.500s", p->failure);
		return stop("the opening", &why);
	}
	fflush(stdout);
	if (play_day(p, server, &t, c, &why) != 0)
		return stop("the day", &why);
	tell_day(p, &t, c);
	fflush(stdout);
	let_expire();
	if (day_judge(d, server->rpc, &v, &why) != 0)
		return stop("the recount", &why);
	return tell_verdict(&v, server_stop(server));
}

static void
parse(int argc, char **argv, struct options *o)
{
	int c;
	while ((c = getopt(argc, argv, "d:s:x:t:k")) != -1)
		switch (c) {
		case 'd': o->data = optarg; break;
		case 's': o->seed = strtoull(optarg, NULL, 0); break;
		case 'x': o->scale = atof(optarg); break;
		case 't': o->seconds = atof(optarg); break;
		case 'k': o->keep = true; break;
		default:
			fprintf(stderr, "usage: %s [-d FILE.csv[.gz]] [-s SEED] [-x SCALE] [-t SECONDS] [-k (keep the folder)]\n", argv[0]);
			exit(2);
		}
}

int
main(int argc, char **argv)
{
	static struct day day;
	struct options o = { .seed = 1, .scale = 1, .seconds = PLAY_SECONDS };
	struct play play = { .day = &day, .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
	struct server server;
	struct why why;
	parse(argc, argv, &o);
	signal(SIGPIPE, SIG_IGN);
	play.seconds = o.seconds;
	if (o.data && day_read(&day, o.data, &why) != 0) {
		fprintf(stderr, "%s: %s\n", o.data, why.text);
		return 2;
	}
	if (!o.data)
		day_make(&day, o.seed, o.scale);
	describe(&day);
	if (server_init(&server, &why) != 0)
		return stop("a temporary folder", &why);
	int result = demo(&day, &play, &server);
	server_kill(&server);
	if (!o.keep && result == 0)
		server_remove(&server);
	else
		printf("the server's folder and log are kept in %s\n", server.folder);
	return result;
}
