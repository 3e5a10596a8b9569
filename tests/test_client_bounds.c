/*
 * test_client_bounds.c: the connection that lasts, against a scripted peer: the window and the queue, the descriptor, strangers, the
 * watch, the blocking calls on it. What is sent again is in test_client_async.c.
 */
#define _GNU_SOURCE
#include "tests/check.h"
#include "tests/async_rig.h"

#include <dlfcn.h>
#include <netdb.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- bounds ---- */

/* Answers only when four are here, and notes when there is a fifth. */
static void
part_four_at_a_time(struct requests *r)
{
	uint32_t number[4];
	for (;;) {
		for (int i = 0; i < 4; i++)
			if (!request_next(r, &number[i]))
				return;
		if (r->used > r->end)
			async_note("a fifth");
		for (int i = 3; i >= 0; i--)
			answer_text(r, number[i], "nil", "1");
	}
}

static void
the_window_and_the_queue_are_bounds(void)
{
	static const peer_part parts[] = { part_four_at_a_time, NULL };
	struct hf_async_options options = { .window_n = 4, .queue_n = 100 };
	struct scripted_peer p;
	struct hf_event e;
	struct hf *hf = async_begin(&p, parts, &options);
	check(hf);
	for (int i = 0; i < 100; i++)
		check(async_send_word(hf, "reserve", "x", HOW()) != 0);
	check_equal(async_send_word(hf, "reserve", "x", HOW()), 0);
	check(strstr(hf_error(hf)->message, "too many requests") != NULL);
	for (int i = 0; i < 100; i++) {
		check(async_await(hf, HF_ANSWER, &e));
		check_equal(e.outcome, HF_OK);
	}
	check(!hf_async_next(hf, &e));
	async_end(&p, hf);
	check_equal(async_notes_n, 0);
}

static void
part_big_answers(struct requests *r)
{
	static char kilobyte[1003];
	uint32_t number;
	memset(kilobyte, 'x', sizeof kilobyte);
	kilobyte[0] = kilobyte[1001] = '\'';
	kilobyte[1002] = 0;
	while (request_next(r, &number))
		answer_text(r, number, "nil", kilobyte);
}

static void
many_answers_of_a_kilobyte_arrive_whole(void)
{
	enum { MANY = 3000 };
	static const peer_part parts[] = { part_big_answers, NULL };
	struct scripted_peer p;
	struct hf_event e;
	struct hf *hf = async_begin(&p, parts, NULL);
	check(hf);
	for (int i = 0; i < MANY; i++)
		check(async_send_word(hf, "stock", "x", HOW()) != 0);
	for (int i = 0; i < MANY; i++) {
		check(async_await(hf, HF_ANSWER, &e));
		check(e.outcome == HF_OK && e.value->str.n == 1000);
	}
	async_end(&p, hf);
}

static void
the_descriptor_stays_and_is_readable_when_there_is_work(void)
{
	static const peer_part parts[] = { part_take_one, part_answer, NULL };
	struct scripted_peer p;
	struct hf_event e = { 0 };
	struct hf *hf = async_begin(&p, parts, NULL);
	check(hf);
	int fd = hf_async_fd(hf);
	async_send_word(hf, "reserve", "a", HOW());
	for (int rounds = 0; e.kind != HF_ANSWER || e.outcome != HF_OK || e.number == 0; rounds++) {
		/* A loop that knows only the descriptor and the time. */
		struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
		int wait_ms = hf_async_wait_ms(hf);
		check(wait_ms <= 10000 && rounds < 1000);
		poll(&poll_fd, 1, wait_ms);
		hf_async_step(hf);
		while (hf_async_next(hf, &e) && e.kind != HF_ANSWER)
			;
	}
	check_equal(hf_async_fd(hf), fd);
	check(hf_async_wait_ms(hf) == -1 || hf_async_wait_ms(hf) > 1000);
	async_end(&p, hf);
}

static void
part_shell(struct requests *r)
{
	if (write(r->fd, "SSH-2.0-x\r\n", 11) == 11)
		request_drain(r);
}

static void
a_stranger_is_named_and_nothing_happened(void)
{
	static const peer_part parts[] = { part_shell, NULL };
	struct scripted_peer p;
	struct hf_event e;
	struct hf *hf = async_begin(&p, parts, NULL);
	check(hf);
	async_send_word(hf, "policy", "a", HOW(.deadline_ms = 100));
	check(async_await(hf, HF_DISCONNECTED, &e));
	check(strstr(e.failure->message, "is not Holdfast") != NULL);
	check(async_await(hf, HF_ANSWER, &e));
	check_equal(e.outcome, HF_FAILED);
	async_end(&p, hf);
}

/* ---- watching ---- */

static void
note_and_answer(struct requests *r, const char *error, const char *result)
{
	uint32_t number;
	async_note(request_text(r, &number));
	answer_text(r, number, error, result);
}

static void
part_watch_and_close(struct requests *r)
{
	note_and_answer(r, "nil", "{'seq': 100}");
	notify_text(r, "'changed'", "[[101, 'A', 'L', 4, 5], [103, 'B', 'L', 0, 1]]");
	notify_text(r, "'reached'", "[107]");
}

static void
part_watch_gone(struct requests *r)
{
	note_and_answer(r, "['overloaded', 'busy', {'retry_after_ms': 1}]", "nil");
	note_and_answer(r, "['gone', 'not kept', {'oldest': 500}]", "nil");
	note_and_answer(r, "nil", "{'seq': 600}");
	notify_text(r, "'changed'", "[[601, 'A', 'L', 4, 5]]");
	request_drain(r);
}

static void
a_watch_goes_on_behind_the_last_change_and_says_when_it_is_gone(void)
{
	static const peer_part parts[] = { part_watch_and_close, part_watch_gone, NULL };
	struct scripted_peer p;
	struct hf_event e;
	struct hf *hf = async_begin(&p, parts, NULL);
	check(hf);
	hf_async_watch(hf, &(struct hf_watch){ .location = "L", .since = HF_FROM_NOW, .full = true });
	check(async_await(hf, HF_WATCHING, &e));
	check_equal(e.seq, 100);
	check(async_await(hf, HF_CHANGED, &e));
	check(e.seq == 103 && e.value->array.n == 2 && hf_int(&e.value->array.items[1].array.items[3], -1) == 0);
	check(async_await(hf, HF_REACHED, &e));
	check_equal(e.seq, 107);
	hf_begin(hf, "half"); /* a request is being built while the watch is asked for again */
	hf_array(hf, 0);
	check(async_await(hf, HF_WATCH_ENDED, &e));
	check(strcmp(e.failure->code, "gone") == 0 && hf_int(hf_get(e.failure->detail, "oldest"), 0) == 500);
	hf_async_watch(hf, &(struct hf_watch){ .sku = "A", .since = 555 });
	check(async_await(hf, HF_CHANGED, &e));
	check_equal(e.seq, 601);
	hf_put_nil(hf);
	check_equal(hf_send(hf), 0); /* no longer one array */
	async_end(&p, hf);
	check_equal(async_notes_n, 4);
	check(strcmp(async_notes[0], "watch[{\"location\"=>\"L\", \"full\"=>true}]") == 0);
	check(strcmp(async_notes[1], "watch[{\"location\"=>\"L\", \"full\"=>true, \"since\"=>107}]") == 0);
	check(strcmp(async_notes[2], async_notes[1]) == 0);
	check(strcmp(async_notes[3], "watch[{\"sku\"=>\"A\", \"since\"=>555}]") == 0);
}

static void
part_watch_far_ahead(struct requests *r)
{
	note_and_answer(r, "nil", "{'seq': 5000}");
	notify_text(r, "'changed'", "[[5001, 'A', 'L', 4, 5]]");
	notify_text(r, "'changed'", "[[5002, 'A', 'L', 4, 6]]");
	notify_text(r, "'reached'", "[5003]");
}

static void
part_watch_refused(struct requests *r)
{
	note_and_answer(r, "['gone', 'not kept', {'oldest': 500}]", "nil");
}

static void
part_watch_from_100(struct requests *r)
{
	note_and_answer(r, "nil", "{'seq': 100}");
	notify_text(r, "'changed'", "[[101, 'B', 'L', 4, 5]]");
	request_drain(r);
}

/* The next thing that is said of a watch. */
static bool
watch_says(struct hf *hf, enum hf_event_kind kind, uint64_t seq)
{
	struct hf_event e;
	for (int left = ASYNC_BOUND_MS; left > 0; left -= 10) {
		while (hf_async_next(hf, &e))
			if (e.kind != HF_CONNECTED && e.kind != HF_DISCONNECTED)
				return e.kind == kind && e.seq == seq;
		hf_async_wait(hf, 10);
	}
	return false;
}

/* Everything of the first part is here, and nothing of it taken. */
static struct hf *
watching_with_all_read(struct scripted_peer *p, const peer_part *parts)
{
	struct hf_event e;
	struct hf *hf = async_begin(p, parts, NULL);
	if (!hf)
		return NULL;
	hf_async_watch(hf, &(struct hf_watch){ .group = "A", .since = 5000 });
	if (!async_await(hf, HF_CONNECTED, &e))
		return NULL;
	scripted_played(p, 1);
	hf_async_step(hf);
	return hf;
}

static void
a_new_watch_is_told_nothing_of_the_one_before(void)
{
	static const peer_part changes[] = { part_watch_far_ahead, part_watch_from_100, NULL };
	static const peer_part refusal[] = { part_watch_refused, part_watch_from_100, NULL };
	static const struct hf_watch b = { .group = "B", .since = 100 };
	struct scripted_peer p;
	for (int refused = 0; refused < 2; refused++) {
		struct hf *hf = watching_with_all_read(&p, refused ? refusal : changes);
		check(hf != NULL);
		check(refused || (watch_says(hf, HF_WATCHING, 5000) && watch_says(hf, HF_CHANGED, 5001)));
		hf_async_watch(hf, &b);
		check(watch_says(hf, HF_WATCHING, 100));
		check(watch_says(hf, HF_CHANGED, 101));
		async_end(&p, hf);
		check_equal(async_notes_n, 2);
		check(strcmp(async_notes[1], "watch[{\"group\"=>\"B\", \"since\"=>100}]") == 0);
	}
}

/* ---- the blocking calls on it ---- */

static void
blocking_calls_wait_through_a_lost_connection(void)
{
	static const peer_part parts[] = { part_take_one, part_close, part_answer, NULL };
	struct scripted_peer p;
	const struct hf_value *v;
	uint32_t number;
	struct hf *hf = async_begin(&p, parts, NULL);
	check(hf);
	check_equal(hf_reservation(hf, "r", &v), HF_OK);
	check_equal(hf_int(v, 0), 7);
	check_equal(hf_receive(hf, &number, &v), HF_FAILED);
	hf_async_watch(hf, &(struct hf_watch){ .since = HF_FROM_NOW });
	check_equal(hf_reservation(hf, "r", &v), HF_FAILED);
	check(strstr(hf_error(hf)->message, "watches") != NULL);
	async_end(&p, hf);
}

static void
what_cannot_be_opened_says_why(void)
{
	struct hf_failure failure;
	check(hf_async_open("no.such.host.invalid", 1, NULL, &failure) == NULL);
	check(strstr(failure.message, "no address for 'no.such.host.invalid'") != NULL);
}

static int looked_up; /* names and numbers */

/* In front of the C library's. */
int
getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **list)
{
	static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	looked_up++;
	return real(host, service, hints, list);
}

static void
part_answer_one(struct requests *r)
{
	uint32_t number;
	if (request_next(r, &number))
		answer_text(r, number, "nil", "7");
}

/* Looking up blocks. */
static void
a_name_is_looked_up_again_only_when_none_of_its_addresses_answers(void)
{
	static const peer_part parts[] = { part_take_one, part_answer_one, NULL };
	struct hf_async_options options = { .back_off_ms = 2 };
	struct scripted_peer p;
	struct hf_failure failure;
	struct hf_event e;
	scripted_start(&p, parts);
	struct hf *hf = hf_async_open("localhost", p.port, &options, &failure);
	check(hf != NULL);
	int before = looked_up;
	async_send_word(hf, "reserve", "a", HOW());
	check(async_await(hf, HF_ANSWER, &e));
	check(e.outcome == HF_OK && e.sent_n == 2);
	check_equal(looked_up, before);
	scripted_stop(&p); /* nobody listens any more */
	for (int left = ASYNC_BOUND_MS; left > 0 && looked_up == before; left -= 10) {
		while (hf_async_next(hf, &e))
			;
		hf_async_wait(hf, 10);
	}
	check(looked_up > before);
	hf_close(hf);
}

/* Both headers as a C++ program sees them. */
static void
the_headers_compile_as_cplusplus(void)
{
	if (system("command -v g++ >/dev/null") != 0) {
		printf("     no g++ here: passed over\n");
		return;
	}
	int got = system("printf '#include <holdfast/async.h>\\n"
	    "bool f(hf *h) { hf_async_how how{}; hf_watch w{}; hf_event e; w.since = HF_FROM_NOW;\\n"
	    "hf_async_watch(h, &w); hf_build_position(h, \"s\"); hf_async_send(h, &how); hf_async_wait(h, -1);\\n"
	    "return hf_async_next(h, &e) && e.kind == HF_ANSWER && e.outcome == HF_OK; }\\n'"
	    " | g++ -Wall -Wextra -Werror -std=c++17 -fsyntax-only -Iinclude -x c++ -");
	check(WIFEXITED(got) && WEXITSTATUS(got) == 0);
}

static const struct check tests[] = {
	CHECK(the_window_and_the_queue_are_bounds),
	CHECK(many_answers_of_a_kilobyte_arrive_whole),
	CHECK(the_descriptor_stays_and_is_readable_when_there_is_work),
	CHECK(a_stranger_is_named_and_nothing_happened),
	CHECK(a_watch_goes_on_behind_the_last_change_and_says_when_it_is_gone),
	CHECK(a_new_watch_is_told_nothing_of_the_one_before),
	CHECK(blocking_calls_wait_through_a_lost_connection),
	CHECK(what_cannot_be_opened_says_why),
	CHECK(a_name_is_looked_up_again_only_when_none_of_its_addresses_answers),
	CHECK(the_headers_compile_as_cplusplus),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv);
}
