/*
 * test_crash_sim.c: the engine over the journal over a disk that loses power or whose process dies, at every call and at random
 * (P1, P5, P6 in small). What the clients were told is held against what comes back; sim_host.h has the promises S1 to S5.
 *
 *   HOLDFAST_SEED=N   the first seed       HOLDFAST_CRASHES=N   more random crashes
 */
#include "tests/check.h"
#include "tests/sim_host.h"

#include <unistd.h>

static const struct sim_options usual = { .clients = 12, .skus = 3, .places = 2, .segment_bytes = 32 << 10, .ttl_ms = 60 };

static struct {
	uint64_t crashes, cuts, kills, answered, again, lost_unanswered, shown, expired, recoveries, replayed, images;
	uint64_t sectors_kept, sectors_lost, sectors_torn;
} sum;

static void
add_up(struct sim_host *h)
{
	const struct sim_figures *f = sim_host_figures(h);
	const struct sim_counts *c = sim_disk_counts(sim_host_disk(h));
	sum.answered += f->answered;
	sum.again += f->again;
	sum.lost_unanswered += f->lost_unanswered;
	sum.shown += f->shown;
	sum.expired += f->expired;
	sum.recoveries += f->recoveries;
	sum.replayed += f->replayed_steps;
	sum.images += f->images;
	sum.sectors_kept += c->sectors_kept;
	sum.sectors_lost += c->sectors_lost;
	sum.sectors_torn += c->sectors_torn;
}

static bool
failed(struct sim_host *h, const char *test, uint64_t seed, uint64_t k)
{
	if (!sim_host_failure(h)[0])
		return false;
	printf("     seed %llu, call %llu: %s\n     again: HOLDFAST_SEED=%llu test_crash_sim %s\n", (unsigned long long)seed,
	    (unsigned long long)k, sim_host_failure(h), (unsigned long long)seed, test);
	return true;
}

/* The machine goes: one time in three only the process. */
static void
go_down(struct sim_host *h, uint64_t seed)
{
	sim_host_die(h);
	sum.crashes++;
	if (seed % 3 == 0) {
		sim_disk_kill(sim_host_disk(h));
		sum.kills++;
	} else {
		sim_disk_crash(sim_host_disk(h), seed);
		sum.cuts++;
	}
}

/* Up again, however often it goes down on the way. False: a promise is broken. */
static bool
come_up(struct sim_host *h, uint64_t seed, bool fragile)
{
	for (int tries = 0; tries < 20; tries++) {
		if (fragile && tries < 3)
			sim_disk_stop_after(sim_host_disk(h), (seed + (uint64_t)tries * 31) % 60);
		if (sim_host_start(h)) {
			sim_disk_fail(sim_host_disk(h), 0, 0);
			return true;
		}
		if (sim_host_failure(h)[0])
			return false;
		go_down(h, seed * 7 + (uint64_t)tries);
	}
	printf("     it never came up again\n");
	return false;
}

static bool
run_rounds(struct sim_host *h, int rounds)
{
	while (rounds-- > 0)
		if (!sim_host_round(h))
			return false;
	return true;
}

/* ---- tests ---- */

static void
every_answer_adds_up_when_nothing_breaks(void)
{
	struct sim_host *h = sim_host_new(&usual, check_seed(1));
	bool fine = sim_host_start(h) && run_rounds(h, 300) && sim_host_finish(h);
	bool bad = failed(h, __func__, check_seed(1), 0);
	const struct sim_figures *f = sim_host_figures(h);
	bool busy = f->answered > 1000 && f->shown > 200 && f->expired > 20 && f->refused > 20;
	if (!busy)
		printf("     %llu answers, %llu shown, %llu expired, %llu refused\n", (unsigned long long)f->answered, (unsigned long long)f->shown,
		    (unsigned long long)f->expired, (unsigned long long)f->refused);
	sim_host_free(h);
	check(fine && !bad);
	check(busy);
}

/* Call numbers 1, 2, 3, ... until a whole scripted run needs fewer. */
static void
a_crash_at_every_disk_call_loses_nothing_answered(void)
{
	uint64_t seed = check_seed(5), points = 0;
	for (uint64_t k = 0;; k++) {
		struct sim_host *h = sim_host_new(&usual, seed);
		sim_disk_stop_after(sim_host_disk(h), k);
		bool up = sim_host_start(h), through = up && run_rounds(h, 40);
		if (!through && !failed(h, __func__, seed, k)) {
			go_down(h, seed + k);
			if (come_up(h, seed + k, false))
				(void)(run_rounds(h, 8) && sim_host_finish(h));
		}
		bool bad = failed(h, __func__, seed, k);
		add_up(h);
		sim_host_free(h);
		check(!bad);
		if (through)
			break;
		points++;
	}
	check(points > 40);
}

static void
random_crashes_one_after_another(void)
{
	uint64_t first = check_seed(100);
	const char *more = getenv("HOLDFAST_CRASHES");
	uint64_t runs = (more ? strtoull(more, NULL, 0) : 200) / 5;
	for (uint64_t seed = first; seed < first + runs; seed++) {
		struct sim_options o = usual;
		o.clients = 1 + (uint32_t)(seed % 40);
		struct sim_host *h = sim_host_new(&o, seed);
		bool fine = come_up(h, seed, seed % 2);
		for (uint64_t crash = 1; fine && crash <= 5; crash++) {
			sim_disk_stop_after(sim_host_disk(h), (seed * 13 + crash * 101) % 90);
			while (sim_host_round(h))
				;
			fine = !sim_host_failure(h)[0];
			if (fine) {
				go_down(h, seed * 5 + crash);
				fine = come_up(h, seed * 5 + crash, crash % 2);
			}
		}
		fine = fine && sim_host_finish(h);
		bool bad = failed(h, __func__, seed, 0);
		add_up(h);
		sim_host_free(h);
		check(fine && !bad);
	}
}

/* The last append as the medium may have it: its first k sectors and no more, for every k. */
static void
a_tail_torn_at_every_sector_is_cut_at_a_whole_batch(void)
{
	uint64_t seed = check_seed(9), sectors = 1;
	for (uint64_t keep = 0; keep <= sectors; keep++) {
		struct sim_host *h = sim_host_new(&usual, seed);
		struct disk *d = sim_host_disk(h);
		bool fine = sim_host_start(h) && run_rounds(h, 30);
		for (uint64_t k = 1; fine && k < 40; k++) { /* find a round that dies between write and sync */
			sim_disk_stop_after(d, k);
			if (!sim_host_round(h) && sim_disk_unsynced(d))
				break;
			fine = !sim_host_failure(h)[0];
		}
		sectors = sim_disk_unsynced(d);
		sim_host_die(h);
		sim_disk_crash_at(d, keep);
		sum.crashes++;
		fine = fine && come_up(h, seed, false) && run_rounds(h, 8) && sim_host_finish(h);
		bool bad = failed(h, __func__, seed, keep);
		add_up(h);
		sim_host_free(h);
		check(fine && !bad);
	}
	check(sectors > 0);
}

/* A failing call (not a crash) ends acknowledging for good; the next start finds everything that was answered. */
static void
a_failing_call_is_never_answered_over(void)
{
	static const int errors[] = { 5 /* EIO */, 28 /* ENOSPC */, SIM_SHORT };
	uint64_t seed = check_seed(21);
	for (uint64_t k = 1; k < 150; k += 2) {
		struct sim_host *h = sim_host_new(&usual, seed + k);
		bool fine = sim_host_start(h);
		sim_disk_fail(sim_host_disk(h), k, errors[k % 3]);
		if (fine && run_rounds(h, 60))
			sim_disk_fail(sim_host_disk(h), 0, 0);
		bool bad = failed(h, __func__, seed + k, k);
		if (!bad) {
			go_down(h, seed + k);
			if (come_up(h, seed + k, false))
				(void)sim_host_finish(h);
			bad = failed(h, __func__, seed + k, k);
		}
		add_up(h);
		sim_host_free(h);
		check(fine && !bad);
	}
}

static void
remove_folder(const char *path)
{
	char command[400];
	snprintf(command, sizeof command, "rm -rf '%s'", path);
	if (system(command) != 0)
		printf("     %s stays behind\n", path);
}

/* The image on a real disk, the journal behind it trimmed and recycled, the start through persist/recovery.h. */
static void
crashes_with_an_image_and_recycled_segments(void)
{
	const char *tmp = getenv("TMPDIR");
	for (uint64_t seed = check_seed(300), end = seed + 6; seed < end; seed++) {
		char path[256];
		snprintf(path, sizeof path, "%s/holdfast-sim-XXXXXX", tmp ? tmp : "/tmp");
		check(mkdtemp(path));
		struct sim_options o = usual;
		o.image_dir = path;
		struct sim_host *h = sim_host_new(&o, seed);
		bool fine = come_up(h, seed, false);
		for (uint64_t crash = 1; fine && crash <= 6; crash++) {
			sim_disk_stop_after(sim_host_disk(h), 60 + (seed * 17 + crash * 37) % 240);
			while (sim_host_round(h))
				;
			fine = !sim_host_failure(h)[0];
			if (fine) {
				go_down(h, seed * 3 + crash);
				fine = come_up(h, seed * 3 + crash, false);
			}
		}
		fine = fine && sim_host_finish(h);
		bool bad = failed(h, __func__, seed, 0);
		add_up(h);
		sim_host_free(h);
		remove_folder(path);
		check(fine && !bad);
	}
}

/* A proof that tried nothing is a defect: every kind of fault really fired. */
static void
the_faults_really_fired(void)
{
	printf("     %llu crashes (%llu power cuts, %llu kills), %llu recoveries, %llu steps replayed, %llu images\n",
	    (unsigned long long)sum.crashes, (unsigned long long)sum.cuts, (unsigned long long)sum.kills, (unsigned long long)sum.recoveries,
	    (unsigned long long)sum.replayed, (unsigned long long)sum.images);
	printf("     %llu answers, %llu of them repeats after a lost one, %llu batches lost unanswered, %llu reads shown, %llu expiries\n",
	    (unsigned long long)sum.answered, (unsigned long long)sum.again, (unsigned long long)sum.lost_unanswered,
	    (unsigned long long)sum.shown, (unsigned long long)sum.expired);
	printf("     sectors at power cuts: %llu kept, %llu lost, %llu torn\n", (unsigned long long)sum.sectors_kept,
	    (unsigned long long)sum.sectors_lost, (unsigned long long)sum.sectors_torn);
	check(sum.crashes == 0 || (sum.cuts > 10 && sum.kills > 5 && sum.again > 5 && sum.lost_unanswered > 5 && sum.sectors_torn > 5));
}

int
main(int argc, char **argv)
{
	static const struct check tests[] = {
		CHECK(every_answer_adds_up_when_nothing_breaks),
		CHECK(a_crash_at_every_disk_call_loses_nothing_answered),
		CHECK(random_crashes_one_after_another),
		CHECK(a_tail_torn_at_every_sector_is_cut_at_a_whole_batch),
		CHECK(a_failing_call_is_never_answered_over),
		CHECK(crashes_with_an_image_and_recycled_segments),
		CHECK(the_faults_really_fired),
	};
	return check_run(argv[0], tests, sizeof tests / sizeof tests[0], argc, argv);
}
