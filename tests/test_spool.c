/*
 * test_spool.c: the offline queue on the simulated disk. A scripted life (commits of some events, deliveries that lag behind, rolls,
 * recycled segments, a full spool) with the power cut or a call failing at every call there is; cut files and flipped bits; what
 * is refused. Every event's bytes follow from its number, so whatever is read can be judged alone.
 */
#include "tests/check.h"
#include "tests/sim_disk.h"

#include "core/base.h"
#include "persist/spool.h"
#include "persist/spool_format.h"

#include <errno.h>
#include <inttypes.h>

#define SEGMENT_BYTES ((uint64_t)20480)
#define SEGMENTS      6
#define TILLS         3
#define ROUNDS        60

/* Under a sanitizer each open costs milliseconds (its buffers are fenced anew): every so-manieth case there. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STRIDE 13
#else
#define STRIDE 1
#endif

/* ---- events that can be judged ---- */

static uint32_t
event_make(uint64_t number, uint8_t at[EVENT_BYTES_MAX])
{
	uint32_t n = 16 + (uint32_t)(number * 7919 % 500);
	memset(at, (int)(number % 251), n);
	at[0] = (uint8_t)(number % TILLS);
	spool_put(at + 1, number / TILLS + 1, 8);
	return n;
}

static bool
event_is(const struct spool_event *event)
{
	uint8_t want[EVENT_BYTES_MAX];
	uint32_t n = event_make(event->number, want);
	return event->bytes.n == n && memcmp(event->bytes.at, want, n) == 0;
}

static struct bytes
till_name(uint64_t number)
{
	static const char *const names[TILLS] = { "till-0", "till-1", "till-2" };
	return (struct bytes){ (const uint8_t *)names[number % TILLS], 6 };
}

static void
identify(struct bytes event, struct spool_identity *identity)
{
	*identity = (struct spool_identity){ .source = till_name(event.at[0]), .n = spool_get(event.at + 1, 8), .at = 5 };
}

static const struct spool_options options = { .bytes_max = SEGMENTS * SEGMENT_BYTES, .segment_bytes = SEGMENT_BYTES, .sources_max = TILLS + 1,
	.salt = 77, .identify = identify };

/* ---- a scripted life ---- */

struct script {
	uint64_t answered; /* the last number whose commit returned 0 */
	uint64_t delivered; /* told to the spool */
	uint64_t rolls, recycled, full;
	bool opened, all; /* all: nothing failed */
	bool wrong; /* what was read is not what was put in, or out of order */
	bool false_answer; /* a commit succeeded after a failure */
	struct why why;
};

/* Adds what fits of `count` events and commits. */
static int
put_events(struct spool *s, uint32_t count, struct script *script, int64_t now_ms)
{
	uint8_t at[EVENT_BYTES_MAX];
	uint64_t number = script->answered;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t n = event_make(spool_last(s) + i + 1, at);
		if (spool_payload(s) + n + SPOOL_RECORD_BYTES > spool_payload_max(s))
			break;
		if (!spool_fits(s, n + SPOOL_RECORD_BYTES, false)) {
			script->full++;
			break;
		}
		number = spool_add(s, (struct bytes){ at, n });
		script->wrong |= number != spool_last(s) + i + 1;
	}
	if (spool_commit(s, now_ms, &script->why))
		return -1;
	script->answered = number > script->answered ? number : script->answered;
	return 0;
}

/* Reads up to `count` events and tells them as delivered, but for the last few. */
static int
get_events(struct spool *s, uint32_t count, struct script *script)
{
	struct spool_event event;
	uint64_t got_n = 0;
	int got = 1;
	for (uint32_t i = 0; i < count && (got = spool_next(s, &event, &script->why)) == 1; i++) {
		script->wrong |= !event_is(&event);
		got_n = event.number;
	}
	if (got_n > 3 && got_n - 3 > script->delivered)
		spool_delivered(s, script->delivered = got_n - 3);
	return got < 0 ? -1 : 0;
}

static void
script_run(struct disk *disk, struct script *script, uint32_t rounds)
{
	struct spool_found found;
	struct spool_figures figures;
	bool failed = false;
	struct spool *s = spool_open(disk, &options, &found, &script->why);
	script->all = false;
	script->opened = s != NULL;
	if (!s)
		return;
	for (uint32_t i = 0; i < rounds; i++) {
		int put = put_events(s, 1 + i % 13, script, 1000 * i);
		script->false_answer |= failed && put == 0;
		failed |= put != 0;
		/* Nothing is delivered for a while, so that it grows full; then much. */
		if (i % 3 == 2 && (i < 20 || i > 34))
			failed |= get_events(s, i < 20 ? 5 : 70, script) != 0;
		failed |= spool_tend(s, 1000 * i, &script->why) != 0;
	}
	spool_figures(s, &figures);
	script->rolls = figures.rolls;
	script->recycled = figures.recycled;
	script->all = !failed;
	spool_close(s);
}

/* Is every number up to `answered` in the table? */
static bool
accepted_whole(struct spool *s, uint64_t answered)
{
	for (uint64_t till = 0; till < TILLS; till++) {
		uint64_t last = 0;
		for (uint64_t number = 1; number <= answered; number++)
			if (number % TILLS == till)
				last = number / TILLS + 1;
		const struct accepted_source *source = accepted_find(spool_accepted(s), till_name(till));
		if (last && (!source || source->ranges[0].from > 2 || source->ranges[0].to < last))
			return false;
	}
	return true;
}

/* Everything answered and not delivered is there, in order and right; nothing is before; it goes on. */
static void
judge(struct disk *disk, const struct script *script)
{
	struct script after = { 0 };
	struct spool_found found;
	struct spool_event event;
	struct why why = { "" };
	struct spool *s = spool_open(disk, &options, &found, &why);
	if (!s)
		printf("     %s\n", why.text);
	check(s);
	check(found.last >= script->answered);
	check(found.delivered <= script->delivered);
	check(accepted_whole(s, found.last));
	for (uint64_t number = found.delivered + 1; number <= found.last; number++) {
		check_equal(spool_next(s, &event, &why), 1);
		check_equal(event.number, number);
		check(event_is(&event));
	}
	check_equal(spool_next(s, &event, &why), 0);
	spool_delivered(s, after.delivered = found.last);
	check_equal(spool_tend(s, 0, &why), 0);
	after.answered = found.last;
	check_equal(put_events(s, 4, &after, 1), 0);
	check(after.answered > found.last);
	check_equal(get_events(s, 100, &after), 0);
	check(!after.wrong);
	spool_close(s);
	sim_disk_kill(disk);
}

static struct disk *
disk_start(bool used, struct script *script)
{
	struct disk *disk = sim_disk_new();
	*script = (struct script){ 0 };
	if (used) {
		script_run(disk, script, 30);
		sim_disk_kill(disk);
	}
	return disk;
}

static uint64_t
script_calls(const struct disk *start, struct script script)
{
	struct disk *dry = sim_disk_clone(start);
	sim_disk_fail(dry, 0, 0);
	script_run(dry, &script, ROUNDS);
	uint64_t calls = script.all ? sim_disk_calls(dry) : 0;
	dry->calls->end(dry);
	return calls;
}

/* ---- tests ---- */

static void
what_goes_in_comes_out_in_order_and_segments_are_used_again(void)
{
	struct script script;
	struct disk *disk = disk_start(false, &script);
	script_run(disk, &script, ROUNDS * 4);
	if (!script.all)
		printf("     %s\n", script.why.text);
	check(script.all && !script.wrong);
	printf("     %" PRIu64 " rolls, %" PRIu64 " recycled, full %" PRIu64 " times\n", script.rolls, script.recycled, script.full);
	check(script.rolls > 10 && script.recycled > 10 && script.full > 0);
	sim_disk_kill(disk);
	judge(disk, &script);
	disk->calls->end(disk);
}

static void
a_full_spool_refuses_and_takes_again_when_drained(void)
{
	struct disk *disk = sim_disk_new();
	struct script script = { 0 };
	struct spool_found found;
	struct spool_figures figures;
	struct why why;
	struct spool *s = spool_open(disk, &options, &found, &why);
	check(s);
	for (int i = 0; i < 1000 && !script.full; i++) {
		check_equal(put_events(s, 3, &script, 0), 0);
		check_equal(spool_tend(s, 5000 * i, &why), 0);
	}
	check(script.full > 0);
	spool_figures(s, &figures);
	check(figures.bytes <= options.bytes_max);
	check(!spool_fits(s, 2000, false) && spool_fits(s, 2000, true)); /* the last segment is for what comes back */
	check_equal(get_events(s, 60, &script), 0);
	check_equal(spool_tend(s, INT32_MAX, &why), 0);
	check(spool_fits(s, 2000, false));
	check_equal(put_events(s, 3, &script, 0), 0);
	check(!script.wrong);
	spool_close(s);
	sim_disk_kill(disk);
	judge(disk, &script);
	disk->calls->end(disk);
}

static void
a_full_disk_is_met_before_an_append_and_told(void)
{
	struct disk *disk = sim_disk_new();
	struct script script = { 0 };
	struct spool_found found;
	struct spool_figures figures;
	struct why why;
	sim_disk_set_free(disk, 2 * (int64_t)SEGMENT_BYTES + 100);
	struct spool *s = spool_open(disk, &options, &found, &why);
	check(s);
	for (int i = 0; i < 1000 && !script.full; i++) {
		check_equal(spool_tend(s, 5000 * i, &why), 0);
		check_equal(put_events(s, 3, &script, 0), 0);
	}
	spool_figures(s, &figures);
	check(script.full > 0 && figures.no_room);
	check_equal(figures.segments, 2);
	sim_disk_set_free(disk, INT64_C(1) << 40);
	check_equal(spool_tend(s, INT32_MAX, &why), 0);
	check(spool_fits(s, 2000, false));
	spool_close(s);
	sim_disk_kill(disk);
	judge(disk, &script);
	disk->calls->end(disk);
	disk = sim_disk_new();
	sim_disk_set_free(disk, 100);
	check(!spool_open(disk, &options, &found, &why));
	check(strstr(why.text, "no room"));
	disk->calls->end(disk);
}

static void
a_second_gate_on_one_folder_is_refused(void)
{
	struct disk *disk = sim_disk_new();
	struct spool_found found;
	struct why why;
	struct spool *s = spool_open(disk, &options, &found, &why);
	check(s);
	check(!spool_open(disk, &options, &found, &why));
	check(strstr(why.text, "another gate"));
	spool_close(s);
	disk->calls->end(disk);
}

static void
power_fails_at_every_call(void)
{
	for (int used = 0; used < 2; used++) {
		struct script start;
		struct disk *from = disk_start(used, &start);
		uint64_t calls = script_calls(from, start);
		check(calls > 100);
		for (uint64_t k = 0; k <= calls; k += STRIDE) {
			struct disk *disk = sim_disk_clone(from);
			struct script script = start;
			sim_disk_stop_after(disk, k);
			script_run(disk, &script, ROUNDS);
			sim_disk_crash(disk, check_seed(1) + k);
			/* Once more while it starts. */
			sim_disk_stop_after(disk, k % 40);
			struct spool_found found;
			struct why why;
			spool_close(spool_open(disk, &options, &found, &why));
			sim_disk_crash(disk, check_seed(1) + k + 1);
			judge(disk, &script);
			check(!script.wrong && !script.false_answer);
			disk->calls->end(disk);
			if (check_failed_now)
				printf("     power cut after call %" PRIu64 " of %" PRIu64 ", used %d\n", k, calls, used);
			check_calm();
		}
		from->calls->end(from);
	}
}

static void
killed_at_every_call(void)
{
	struct script start;
	struct disk *from = disk_start(true, &start);
	uint64_t calls = script_calls(from, start);
	for (uint64_t k = 0; k <= calls; k += STRIDE) {
		struct disk *disk = sim_disk_clone(from);
		struct script script = start;
		sim_disk_stop_after(disk, k);
		script_run(disk, &script, ROUNDS);
		sim_disk_kill(disk);
		judge(disk, &script);
		disk->calls->end(disk);
		if (check_failed_now)
			printf("     killed after call %" PRIu64 "\n", k);
		check_calm();
	}
	from->calls->end(from);
}

/* Then killed, started, and the power cut: what a failed sync left in memory only must not be built upon. */
static void
every_call_fails_each_way(void)
{
	static const int errors[] = { EIO, ENOSPC, SIM_SHORT };
	struct script start;
	struct disk *from = disk_start(true, &start);
	uint64_t calls = script_calls(from, start);
	uint64_t survived = 0;
	for (size_t e = 0; e < 3; e++)
		for (uint64_t k = 1; k <= calls; k += STRIDE) {
			struct disk *disk = sim_disk_clone(from);
			struct script script = start;
			sim_disk_fail(disk, k, errors[e]);
			script_run(disk, &script, ROUNDS);
			survived += script.all;
			check(!script.wrong && !script.false_answer);
			check(script.all || script.why.text[0]);
			sim_disk_kill(disk);
			struct spool_found found;
			struct why why;
			struct spool *s = spool_open(disk, &options, &found, &why);
			check(s);
			if (found.last > script.answered)
				script.answered = found.last; /* it will be delivered from now on */
			check_equal(put_events(s, 2, &script, 3), 0);
			sim_disk_stop_after(disk, 0);
			spool_close(s);
			sim_disk_crash(disk, check_seed(1) + k);
			script.delivered = script.answered;
			judge(disk, &script);
			disk->calls->end(disk);
			if (check_failed_now)
				printf("     call %" PRIu64 " failed with %d\n", k, errors[e]);
			check_calm();
		}
	check(survived > 0); /* a spare that could not be made is no failure */
	from->calls->end(from);
}

/* A small spool: closed, of one segment. */
static struct disk *
disk_small(struct script *script, bool closed)
{
	struct disk *disk = sim_disk_new();
	struct spool_found found;
	struct why why;
	struct spool *s = spool_open(disk, &options, &found, &why);
	*script = (struct script){ 0 };
	for (int i = 0; i < 6; i++)
		put_events(s, 3, script, 0);
	if (!closed)
		sim_disk_stop_after(disk, 0);
	spool_close(s);
	sim_disk_kill(disk);
	return disk;
}

/* False: the start was stopped with a sentence. True: it says what it has, and all of it is right. */
static bool
opens(struct disk *disk, uint64_t *last, uint64_t *cut, struct why *why)
{
	struct spool_found found;
	struct spool_event event;
	struct spool *s = spool_open(disk, &options, &found, why);
	if (!s)
		return false;
	*last = found.last;
	*cut = found.cut_bytes;
	while (spool_next(s, &event, why) == 1)
		if (!event_is(&event))
			*last = 0;
	spool_close(s);
	return true;
}

static void
a_file_cut_at_any_byte_is_found(void)
{
	struct script script;
	struct disk *from = disk_small(&script, false);
	for (uint64_t n = 0; n < SEGMENT_BYTES; n += STRIDE) {
		struct disk *disk = sim_disk_clone(from);
		struct why why = { "" };
		uint64_t last, cut;
		sim_disk_truncate(disk, "spool-0000000000000001.seg", n);
		bool opened = opens(disk, &last, &cut, &why);
		if (opened || !strstr(why.text, "damaged at offset") || !strstr(why.text, "Way out"))
			printf("     cut at %" PRIu64 ": %s\n", n, why.text);
		check(!opened && strstr(why.text, "spool-0000000000000001.seg is damaged at offset") && strstr(why.text, "Way out"));
		disk->calls->end(disk);
	}
	from->calls->end(from);
}

/* Of a closed spool every flip in what is used is found or changes nothing that is read. */
static void
a_flipped_bit_is_found_or_harmless(void)
{
	struct script script;
	struct disk *from = disk_small(&script, true);
	uint64_t stopped = 0, cut_n = 0;
	size_t n;
	uint8_t *bytes = sim_disk_bytes(from, "spool-0000000000000001.seg", &n);
	size_t used = n;
	while (used > 0 && bytes[used - 1] == 0)
		used--;
	for (uint64_t bit = 0; bit < 8 * (uint64_t)used; bit += 1 + 2 * (STRIDE - 1)) {
		struct disk *disk = sim_disk_clone(from);
		struct why why = { "" };
		uint64_t last = 0, cut = 0;
		sim_disk_flip(disk, "spool-0000000000000001.seg", bit);
		bool opened = opens(disk, &last, &cut, &why);
		stopped += !opened;
		cut_n += opened && cut;
		/* The close is the last group: losing it loses no event. */
		if (opened && last != script.answered)
			printf("     bit %" PRIu64 ": %" PRIu64 " of %" PRIu64 " events\n", bit, last, script.answered);
		check(!opened || last == script.answered);
		disk->calls->end(disk);
	}
	check(stopped > 1000 / STRIDE && cut_n > 0);
	from->calls->end(from);
}

/* What was cut by a power failure is told; what was answered is whole. */
static void
a_torn_tail_is_cut_and_told(void)
{
	uint64_t told = 0;
	for (uint64_t keep = 0; keep < 8; keep++) {
		struct script script;
		struct disk *disk = disk_small(&script, false);
		uint64_t last, cut;
		struct spool_found found;
		struct why why;
		struct spool *s = spool_open(disk, &options, &found, &why);
		check(s);
		sim_disk_stop_after(disk, 1); /* the write, not the sync */
		uint64_t answered = script.answered;
		check(put_events(s, 9, &script, 0) < 0);
		check_equal(script.answered, answered);
		spool_close(s);
		sim_disk_crash_at(disk, keep);
		check(opens(disk, &last, &cut, &why));
		check(last >= answered);
		told += cut > 0;
		sim_disk_kill(disk);
		judge(disk, &script);
		disk->calls->end(disk);
	}
	check(told > 0);
}

static void
ranges_grow_merge_and_are_bounded(void)
{
	struct accepted a, b;
	struct bytes pos = { (const uint8_t *)"pos", 3 };
	check_equal(accepted_init(&a, 2, 1), 0);
	accepted_add(&a, pos, 5, 7, 10);
	accepted_add(&a, pos, 1, 2, -1);
	accepted_add(&a, pos, 9, 9, 3);
	accepted_add(&a, pos, 6, 8, 3);
	const struct accepted_source *s = accepted_find(&a, pos);
	check(s && s->ranges_n == 2 && s->last_at == 10);
	check(s->ranges[0].from == 1 && s->ranges[0].to == 2 && s->ranges[1].from == 5 && s->ranges[1].to == 9);
	accepted_add(&a, pos, 3, 4, -1);
	check(s->ranges_n == 1 && s->ranges[0].to == 9);
	for (uint64_t n = 0; n < 100; n++)
		accepted_add(&a, pos, 20 + 2 * n, 20 + 2 * n, -1);
	check(s->ranges_n == ACCEPTED_RANGES_MAX && s->ranges[0].from == 1 && s->ranges[0].to == 9);
	for (uint32_t i = 1; i < s->ranges_n; i++)
		check(s->ranges[i].from > s->ranges[i - 1].to + 1);
	accepted_add(&a, (struct bytes){ (const uint8_t *)"x", 1 }, 1, 1, -1);
	accepted_add(&a, pos, 10, 10, -1);
	accepted_add(&a, (struct bytes){ (const uint8_t *)"y", 1 }, 1, 1, -1);
	check(accepted_find(&a, pos) && !accepted_find(&a, (struct bytes){ (const uint8_t *)"x", 1 }));
	uint8_t image[2 * ACCEPTED_SOURCE_BYTES_MAX];
	size_t n = accepted_encode(&a, image);
	check(n <= accepted_bytes_max(&a));
	check_equal(accepted_init(&b, 2, 2), 0);
	check(accepted_decode(&b, image, n));
	check(accepted_find(&b, pos)->ranges_n == ACCEPTED_RANGES_MAX && accepted_find(&b, pos)->ranges[0].to == 10);
	for (size_t less = 1; less < n; less++) {
		accepted_fini(&b);
		check_equal(accepted_init(&b, 2, 2), 0);
		accepted_decode(&b, image, less); /* whatever it says, it reads nothing beyond */
	}
	accepted_fini(&a);
	accepted_fini(&b);
}

/* The longest row of places in use: whoever is put at its first one is looked for along all of it. */
static uint32_t
longest_row(const struct accepted *a)
{
	uint32_t longest = 0, row = 0;
	for (uint32_t i = 0; i < a->index_n; i++) {
		row = a->index[i] ? row + 1 : 0;
		longest = row > longest ? row : longest;
	}
	return longest;
}

/* Names of which the public hash makes one place, as anybody finds them within a second. */
static void
names_chosen_for_one_place_of_the_public_hash_stand_apart(void)
{
	struct accepted a;
	for (uint64_t secret = 1; secret <= 20; secret++) {
		check_equal(accepted_init(&a, SPOOL_SOURCES_MAX, secret), 0);
		for (uint32_t i = 0; a.n < SPOOL_SOURCES_MAX / 4; i++) {
			struct bytes name = { (const uint8_t *)&i, sizeof i };
			if (hash_bytes(name) % a.index_n == 0 || (hash_bytes(name) >> 32) % a.index_n == 0)
				accepted_add(&a, name, 1, 1, -1);
		}
		check(longest_row(&a) < 16);
		accepted_fini(&a);
	}
}

int
main(int argc, char **argv)
{
	static const struct check tests[] = {
		CHECK(what_goes_in_comes_out_in_order_and_segments_are_used_again),
		CHECK(a_full_spool_refuses_and_takes_again_when_drained),
		CHECK(a_full_disk_is_met_before_an_append_and_told),
		CHECK(a_second_gate_on_one_folder_is_refused),
		CHECK(power_fails_at_every_call),
		CHECK(killed_at_every_call),
		CHECK(every_call_fails_each_way),
		CHECK(a_file_cut_at_any_byte_is_found),
		CHECK(a_flipped_bit_is_found_or_harmless),
		CHECK(a_torn_tail_is_cut_and_told),
		CHECK(ranges_grow_merge_and_are_bounded),
		CHECK(names_chosen_for_one_place_of_the_public_hash_stand_apart),
	};
	return check_run("tests/test_spool", tests, sizeof tests / sizeof tests[0], argc, argv);
}
