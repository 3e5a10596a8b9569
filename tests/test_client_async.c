/*
 * test_client_async.c: the connection that lasts, against a scripted peer: what is sent again and what is not, what each end of a
 * request is called, deadlines, refusals of the moment, the window, the watch, the descriptor.
 */
#include "tests/check.h"
#include "tests/scripted_peer.h"
#include "holdfast/async.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define BOUND_MS 20000 /* of a test that waits for something */
#define NOTES_MAX 64

/* What the parts saw, one line a request. */
static char notes[NOTES_MAX][128];
static int notes_n;

static void
note(const char *text)
{
	if (notes_n < NOTES_MAX)
		snprintf(notes[notes_n++], sizeof notes[0], "%.127s", text);
}

static struct hf *
opened(const struct scripted_peer *p, const struct hf_async_options *options)
{
	struct hf_failure failure;
	struct hf *hf = hf_async_open("127.0.0.1", p->port, options, &failure);
	if (!hf)
		printf("     %s\n", failure.message);
	return hf;
}

/* The next event of this kind; others are passed over. false: not within the bound. */
static bool
await(struct hf *hf, enum hf_event_kind kind, struct hf_event *e)
{
	for (int left = BOUND_MS; left > 0; left -= 10) {
		while (hf_async_next(hf, e))
			if (e->kind == kind)
				return true;
		hf_async_wait(hf, 10);
	}
	return false;
}

/* Sends `method [word]` with a number as its context. */
static uint32_t
send_word(struct hf *hf, const char *method, const char *word, struct hf_async_how how)
{
	hf_begin(hf, method);
	hf_array(hf, 1);
	hf_put_str(hf, word);
	return hf_async_send(hf, &how);
}
#define HOW(...) ((struct hf_async_how){ __VA_ARGS__ })

/* ---- parts ---- */

/* Takes three requests, answers none, and is gone. */
static void
part_take_three(struct requests *r)
{
	uint32_t number;
	for (int i = 0; i < 3; i++)
		note(request_text(r, &number));
	note("-");
}

static void
part_answer(struct requests *r)
{
	uint32_t number;
	const char *text;
	while (strcmp(text = request_text(r, &number), "gone") != 0) {
		note(text);
		answer_text(r, number, "nil", "7");
	}
}

static void
part_close(struct requests *r)
{
}

static void
part_silence(struct requests *r)
{
	request_drain(r);
}

/* ---- after a lost connection ---- */

static void
what_is_safe_is_sent_again_in_order_and_the_rest_is_unknown_at_once(void)
{
	static const peer_part parts[] = { part_take_three, part_answer, NULL };
	struct scripted_peer p;
	struct hf_event e;
	static char a, b, c;
	notes_n = 0;
	scripted_start(&p, parts);
	struct hf *hf = opened(&p, NULL);
	check(hf != NULL);
	uint32_t first = send_word(hf, "reserve", "a", HOW(.context = &a));
	send_word(hf, "policy", "b", HOW(.context = &b));
	send_word(hf, "commit", "c", HOW(.context = &c));
	check_equal(hf_in_flight(hf), 3);
	check(await(hf, HF_CONNECTED, &e));
	check(await(hf, HF_DISCONNECTED, &e));
	check(strstr(e.failure->message, "closed the connection") != NULL);
	check(await(hf, HF_ANSWER, &e));
	check(e.context == &b && e.outcome == HF_UNKNOWN && strcmp(e.failure->code, "unknown") == 0);
	check(await(hf, HF_ANSWER, &e));
	check(e.context == &a && e.outcome == HF_OK && e.number == first && e.sent_n == 2 && hf_int(e.value, 0) == 7);
	check(await(hf, HF_ANSWER, &e));
	check(e.context == &c && e.outcome == HF_OK);
	check_equal(hf_in_flight(hf), 0);
	hf_close(hf);
	scripted_stop(&p);
	static const char *const want[] = { "reserve[\"a\"]", "policy[\"b\"]", "commit[\"c\"]", "-", "reserve[\"a\"]", "commit[\"c\"]" };
	check_equal(notes_n, 6);
	for (int i = 0; i < 6; i++)
		check(strcmp(notes[i], want[i]) == 0);
}

static void
the_caller_may_say_otherwise(void)
{
	static const peer_part parts[] = { part_take_three, part_answer, NULL };
	struct scripted_peer p;
	struct hf_event e;
	static char yes, no;
	scripted_start(&p, parts);
	struct hf *hf = opened(&p, NULL);
	check(hf != NULL);
	send_word(hf, "policy", "get", HOW(.context = &yes, .repeat = HF_REPEAT_YES));
	send_word(hf, "reserve", "x", HOW(.context = &no, .repeat = HF_REPEAT_NO));
	send_word(hf, "ats", "x", HOW());
	check(await(hf, HF_ANSWER, &e));
	check(e.context == &no && e.outcome == HF_UNKNOWN);
	check(await(hf, HF_ANSWER, &e));
	check(e.context == &yes && e.outcome == HF_OK);
	hf_close(hf);
	scripted_stop(&p);
}

static void
part_answer_and_close(struct requests *r)
{
	uint32_t number[2];
	request_next(r, &number[0]);
	request_next(r, &number[1]);
	answer_text(r, number[1], "nil", "1");
	answer_text(r, number[0], "nil", "0");
}

static void
part_take_two(struct requests *r)
{
	uint32_t number;
	request_next(r, &number);
	request_next(r, &number);
}

static void
what_was_sent_goes_before_what_was_not(void)
{
	static const peer_part parts[] = { part_take_two, part_answer, NULL };
	static const char *const words[] = { "a", "b", "c", "d" };
	struct hf_async_options options = { .window_n = 2 };
	struct scripted_peer p;
	struct hf_event e;
	notes_n = 0;
	scripted_start(&p, parts);
	struct hf *hf = opened(&p, &options);
	check(hf != NULL);
	for (int i = 0; i < 4; i++)
		send_word(hf, "post", words[i], HOW());
	for (int i = 0; i < 4; i++) {
		check(await(hf, HF_ANSWER, &e));
		check_equal(e.sent_n, i < 2 ? 2 : 1);
	}
	hf_close(hf);
	scripted_stop(&p);
	for (int i = 0; i < 4; i++)
		check(notes[i][6] == words[i][0]);
}

static void
answers_that_came_before_the_end_count(void)
{
	static const peer_part parts[] = { part_answer_and_close, NULL };
	struct scripted_peer p;
	struct hf_event e;
	scripted_start(&p, parts);
	struct hf *hf = opened(&p, NULL);
	check(hf != NULL);
	send_word(hf, "policy", "a", HOW());
	send_word(hf, "policy", "b", HOW());
	check(await(hf, HF_CONNECTED, &e));
	hf_async_step(hf);
	scripted_played(&p, 1); /* it is gone before anything is read */
	for (int i = 0; i < 2; i++) {
		check(await(hf, HF_ANSWER, &e));
		check(e.outcome == HF_OK && hf_int(e.value, -1) == 1 - i);
	}
	hf_close(hf);
	scripted_stop(&p);
}

static void
a_peer_that_closes_at_once_is_tried_again_and_told_once(void)
{
	static const peer_part parts[] = { part_close, part_close, part_close, part_answer, NULL };
	struct hf_async_options options = { .back_off_ms = 2, .seed = 1 };
	struct scripted_peer p;
	struct hf_event e;
	scripted_start(&p, parts);
	struct hf *hf = opened(&p, &options);
	check(hf != NULL);
	send_word(hf, "reserve", "a", HOW());
	check(await(hf, HF_ANSWER, &e));
	check(e.outcome == HF_OK);
	hf_close(hf);
	scripted_stop(&p);
}

static void
a_silent_line_is_made_anew(void)
{
	static const peer_part parts[] = { part_silence, part_answer, part_answer, part_answer, NULL }; /* a busy machine may be silent, too */
	struct hf_async_options options = { .silence_ms = 50 };
	struct scripted_peer p;
	struct hf_event e;
	scripted_start(&p, parts);
	struct hf *hf = opened(&p, &options);
	check(hf != NULL);
	send_word(hf, "reserve", "a", HOW());
	check(await(hf, HF_DISCONNECTED, &e));
	check(strstr(e.failure->message, "does not answer within 50 ms") != NULL);
	check(await(hf, HF_ANSWER, &e));
	check(e.outcome == HF_OK && e.sent_n >= 2);
	hf_close(hf);
	scripted_stop(&p);
}

/* ---- deadlines ---- */

static void
nobody_there_is_failed_and_no_answer_is_unknown(void)
{
	static const peer_part parts[] = { part_silence, NULL };
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;
	struct scripted_peer p, nobody = { 0 };
	struct hf_event e;
	int fd = socket(AF_INET, SOCK_STREAM, 0); /* bound, never listening: its port refuses */
	bind(fd, (struct sockaddr *)&a, sizeof a);
	getsockname(fd, (struct sockaddr *)&a, &n);
	nobody.port = ntohs(a.sin_port);
	struct hf *hf = opened(&nobody, NULL);
	send_word(hf, "reserve", "a", HOW(.deadline_ms = 40));
	check(await(hf, HF_DISCONNECTED, &e));
	check(strstr(e.failure->message, "nothing listens on") != NULL);
	check(await(hf, HF_ANSWER, &e));
	check(e.outcome == HF_FAILED && e.sent_n == 0);
	check(strstr(e.failure->message, "nothing listens on") && strstr(e.failure->message, "nothing happened"));
	hf_close(hf);
	close(fd);

	scripted_start(&p, parts);
	hf = opened(&p, NULL);
	send_word(hf, "reserve", "a", HOW(.deadline_ms = 40));
	check(await(hf, HF_ANSWER, &e));
	check(e.outcome == HF_UNKNOWN && e.sent_n == 1);
	hf_close(hf);
	scripted_stop(&p);
}

static void
part_three_late(struct requests *r)
{
	uint32_t number[3];
	for (int i = 0; i < 3; i++)
		request_next(r, &number[i]); /* the third is sent when the first two have been given up */
	for (int i = 0; i < 3; i++)
		answer_text(r, number[i], "nil", i == 0 ? "0" : i == 1 ? "1" : "2");
	request_drain(r);
}

static void
late_answers_are_passed_over(void)
{
	static const peer_part parts[] = { part_three_late, NULL };
	struct scripted_peer p;
	struct hf_event e;
	scripted_start(&p, parts);
	struct hf *hf = opened(&p, NULL);
	check(hf != NULL);
	send_word(hf, "reserve", "a", HOW(.deadline_ms = 30));
	send_word(hf, "reserve", "b", HOW(.deadline_ms = 30));
	check(await(hf, HF_ANSWER, &e) && e.outcome == HF_UNKNOWN);
	check(await(hf, HF_ANSWER, &e) && e.outcome == HF_UNKNOWN);
	send_word(hf, "reserve", "c", HOW());
	check(await(hf, HF_ANSWER, &e));
	check(e.outcome == HF_OK && hf_int(e.value, -1) == 2);
	hf_close(hf);
	scripted_stop(&p);
}

static void
part_two_held(struct requests *r)
{
	uint32_t number[2];
	struct pollfd p = { .fd = r->fd, .events = POLLIN };
	request_next(r, &number[0]);
	request_next(r, &number[1]);
	note(r->used > r->end || poll(&p, 1, 100) > 0 ? "a third" : "two");
	request_drain(r);
}

static void
given_up_requests_keep_their_place_in_the_window(void)
{
	static const peer_part parts[] = { part_two_held, NULL };
	struct hf_async_options options = { .window_n = 2 };
	struct scripted_peer p;
	struct hf_event e;
	notes_n = 0;
	scripted_start(&p, parts);
	struct hf *hf = opened(&p, &options);
	check(hf != NULL);
	for (int i = 0; i < 4; i++)
		check(send_word(hf, "reserve", "x", HOW(.deadline_ms = i < 2 ? 30 : 90)) != 0);
	for (int i = 0; i < 4; i++) {
		check(await(hf, HF_ANSWER, &e));
		check_equal(e.outcome, i < 2 ? HF_UNKNOWN : HF_FAILED);
	}
	for (int i = 0; i < 20; i++) /* some more rounds, while the peer listens for a third */
		hf_async_wait(hf, 10);
	hf_close(hf);
	scripted_stop(&p);
	check(strcmp(notes[0], "two") == 0);
}

/* ---- refusals ---- */

static void
part_overloaded_twice(struct requests *r)
{
	uint32_t number;
	for (int i = 0; request_next(r, &number); i++)
		if (i < 2)
			answer_text(r, number, "['overloaded', 'busy', {'retry_after_ms': 5}]", "nil");
		else
			answer_text(r, number, "nil", "3");
}

static void
overloaded_is_told_or_tried_again_by_option(void)
{
	static const peer_part parts[] = { part_overloaded_twice, NULL };
	for (int again = 0; again < 2; again++) {
		struct hf_async_options options = { .retry_refused = again };
		struct scripted_peer p;
		struct hf_event e;
		scripted_start(&p, parts);
		struct hf *hf = opened(&p, &options);
		check(hf != NULL);
		send_word(hf, "reserve", "a", HOW());
		check(await(hf, HF_ANSWER, &e));
		check_equal(e.outcome, again ? HF_OK : HF_REFUSED);
		check_equal(e.sent_n, again ? 3 : 1);
		if (!again)
			check(strcmp(e.failure->code, "overloaded") == 0 && hf_int(hf_get(e.failure->detail, "retry_after_ms"), 0) == 5);
		hf_close(hf);
		scripted_stop(&p);
	}
}

static void
part_overloaded_for_long(struct requests *r)
{
	uint32_t number;
	while (request_next(r, &number))
		answer_text(r, number, "['overloaded', 'busy', {'retry_after_ms': 60000}]", "nil");
}

static void
a_refusal_that_outlasts_the_deadline_is_told_at_once(void)
{
	static const peer_part parts[] = { part_overloaded_for_long, NULL };
	struct hf_async_options options = { .retry_refused = true };
	struct scripted_peer p;
	struct hf_event e;
	scripted_start(&p, parts);
	struct hf *hf = opened(&p, &options);
	check(hf != NULL);
	send_word(hf, "reserve", "a", HOW());
	check(await(hf, HF_ANSWER, &e));
	check_equal(e.outcome, HF_REFUSED);
	hf_close(hf);
	scripted_stop(&p);
}

static void
part_take_one(struct requests *r)
{
	uint32_t number;
	request_next(r, &number);
}

/* The first copy may have happened: that the second is not looked at says nothing about it. */
static void
a_repeat_that_is_refused_for_now_leaves_the_end_unknown(void)
{
	static const peer_part parts[] = { part_take_one, part_overloaded_twice, NULL };
	static const peer_part for_long[] = { part_take_one, part_overloaded_for_long, NULL };
	struct scripted_peer p;
	struct hf_event e;
	scripted_start(&p, parts);
	struct hf *hf = opened(&p, NULL);
	check(hf != NULL);
	send_word(hf, "reserve", "a", HOW());
	check(await(hf, HF_ANSWER, &e));
	check(e.outcome == HF_OK && e.sent_n == 4); /* also without retry_refused */
	hf_close(hf);
	scripted_stop(&p);

	scripted_start(&p, for_long);
	hf = opened(&p, NULL);
	check(hf != NULL);
	send_word(hf, "reserve", "a", HOW(.deadline_ms = 200));
	check(await(hf, HF_ANSWER, &e));
	check_equal(e.outcome, HF_UNKNOWN);
	hf_close(hf);
	scripted_stop(&p);
}

static void
part_insufficient(struct requests *r)
{
	uint32_t number;
	while (request_next(r, &number))
		answer_text(r, number, "['insufficient', 'not enough', {'lines': []}]", "nil");
}

static void
a_refusal_is_final_and_has_code_and_detail(void)
{
	static const peer_part parts[] = { part_insufficient, NULL };
	struct hf_async_options options = { .retry_refused = true };
	struct scripted_peer p;
	struct hf_event e;
	scripted_start(&p, parts);
	struct hf *hf = opened(&p, &options);
	check(hf != NULL);
	send_word(hf, "reserve", "a", HOW());
	check(await(hf, HF_ANSWER, &e));
	check(e.outcome == HF_REFUSED && e.sent_n == 1 && strcmp(e.failure->code, "insufficient") == 0);
	check(hf_get(e.failure->detail, "lines") != NULL);
	hf_close(hf);
	scripted_stop(&p);
}

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
			note("a fifth");
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
	notes_n = 0;
	scripted_start(&p, parts);
	struct hf *hf = opened(&p, &options);
	check(hf != NULL);
	for (int i = 0; i < 100; i++)
		check(send_word(hf, "reserve", "x", HOW()) != 0);
	check_equal(send_word(hf, "reserve", "x", HOW()), 0);
	check(strstr(hf_error(hf)->message, "too many requests") != NULL);
	for (int i = 0; i < 100; i++) {
		check(await(hf, HF_ANSWER, &e));
		check_equal(e.outcome, HF_OK);
	}
	check(!hf_async_next(hf, &e));
	hf_close(hf);
	scripted_stop(&p);
	check_equal(notes_n, 0);
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
	scripted_start(&p, parts);
	struct hf *hf = opened(&p, NULL);
	check(hf != NULL);
	for (int i = 0; i < MANY; i++)
		check(send_word(hf, "stock", "x", HOW()) != 0);
	for (int i = 0; i < MANY; i++) {
		check(await(hf, HF_ANSWER, &e));
		check(e.outcome == HF_OK && e.value->str.n == 1000);
	}
	hf_close(hf);
	scripted_stop(&p);
}

static void
the_descriptor_stays_and_is_readable_when_there_is_work(void)
{
	static const peer_part parts[] = { part_take_one, part_answer, NULL };
	struct scripted_peer p;
	struct hf_event e = { 0 };
	scripted_start(&p, parts);
	struct hf *hf = opened(&p, NULL);
	check(hf != NULL);
	int fd = hf_async_fd(hf);
	send_word(hf, "reserve", "a", HOW());
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
	hf_close(hf);
	scripted_stop(&p);
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
	scripted_start(&p, parts);
	struct hf *hf = opened(&p, NULL);
	check(hf != NULL);
	send_word(hf, "policy", "a", HOW(.deadline_ms = 100));
	check(await(hf, HF_DISCONNECTED, &e));
	check(strstr(e.failure->message, "is not Holdfast") != NULL);
	check(await(hf, HF_ANSWER, &e));
	check_equal(e.outcome, HF_FAILED);
	hf_close(hf);
	scripted_stop(&p);
}

/* ---- watching ---- */

static void
part_watch_and_close(struct requests *r)
{
	uint32_t number;
	note(request_text(r, &number));
	answer_text(r, number, "nil", "{'seq': 100}");
	notify_text(r, "'changed'", "[[101, 'A', 'L', 4, 5], [103, 'B', 'L', 0, 1]]");
	notify_text(r, "'reached'", "[107]");
}

static void
part_watch_gone(struct requests *r)
{
	uint32_t number;
	note(request_text(r, &number));
	answer_text(r, number, "['overloaded', 'busy', {'retry_after_ms': 1}]", "nil");
	note(request_text(r, &number));
	answer_text(r, number, "['gone', 'not kept', {'oldest': 500}]", "nil");
	note(request_text(r, &number));
	answer_text(r, number, "nil", "{'seq': 600}");
	notify_text(r, "'changed'", "[[601, 'A', 'L', 4, 5]]");
	request_drain(r);
}

static void
a_watch_goes_on_behind_the_last_change_and_says_when_it_is_gone(void)
{
	static const peer_part parts[] = { part_watch_and_close, part_watch_gone, NULL };
	struct scripted_peer p;
	struct hf_event e;
	notes_n = 0;
	scripted_start(&p, parts);
	struct hf *hf = opened(&p, NULL);
	check(hf != NULL);
	hf_async_watch(hf, &(struct hf_watch){ .location = "L", .since = HF_FROM_NOW, .full = true });
	check(await(hf, HF_WATCHING, &e));
	check_equal(e.seq, 100);
	check(await(hf, HF_CHANGED, &e));
	check(e.seq == 103 && e.value->array.n == 2 && hf_int(&e.value->array.items[1].array.items[3], -1) == 0);
	check(await(hf, HF_REACHED, &e));
	check_equal(e.seq, 107);
	hf_begin(hf, "half"); /* a request is being built while the watch is asked for again */
	hf_array(hf, 0);
	check(await(hf, HF_WATCH_ENDED, &e));
	check(strcmp(e.failure->code, "gone") == 0 && hf_int(hf_get(e.failure->detail, "oldest"), 0) == 500);
	hf_async_watch(hf, &(struct hf_watch){ .sku = "A", .since = 555 });
	check(await(hf, HF_CHANGED, &e));
	check_equal(e.seq, 601);
	hf_put_nil(hf);
	check_equal(hf_send(hf), 0); /* no longer one array */
	hf_close(hf);
	scripted_stop(&p);
	check_equal(notes_n, 4);
	check(strcmp(notes[0], "watch[{\"location\"=>\"L\", \"full\"=>true}]") == 0);
	check(strcmp(notes[1], "watch[{\"location\"=>\"L\", \"full\"=>true, \"since\"=>107}]") == 0);
	check(strcmp(notes[2], notes[1]) == 0);
	check(strcmp(notes[3], "watch[{\"sku\"=>\"A\", \"since\"=>555}]") == 0);
}

/* ---- the blocking calls on it ---- */

static void
blocking_calls_wait_through_a_lost_connection(void)
{
	static const peer_part parts[] = { part_take_one, part_close, part_answer, NULL };
	struct scripted_peer p;
	const struct hf_value *v;
	uint32_t number;
	scripted_start(&p, parts);
	struct hf *hf = opened(&p, NULL);
	check(hf != NULL);
	check_equal(hf_reservation(hf, "r", &v), HF_OK);
	check_equal(hf_int(v, 0), 7);
	check_equal(hf_receive(hf, &number, &v), HF_FAILED);
	hf_async_watch(hf, &(struct hf_watch){ .since = HF_FROM_NOW });
	check_equal(hf_reservation(hf, "r", &v), HF_FAILED);
	check(strstr(hf_error(hf)->message, "watches") != NULL);
	hf_close(hf);
	scripted_stop(&p);
}

static void
what_cannot_be_opened_says_why(void)
{
	struct hf_failure failure;
	check(hf_async_open("no.such.host.invalid", 1, NULL, &failure) == NULL);
	check(strstr(failure.message, "no address for 'no.such.host.invalid'") != NULL);
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
	CHECK(what_is_safe_is_sent_again_in_order_and_the_rest_is_unknown_at_once),
	CHECK(the_caller_may_say_otherwise),
	CHECK(what_was_sent_goes_before_what_was_not),
	CHECK(answers_that_came_before_the_end_count),
	CHECK(a_peer_that_closes_at_once_is_tried_again_and_told_once),
	CHECK(a_silent_line_is_made_anew),
	CHECK(nobody_there_is_failed_and_no_answer_is_unknown),
	CHECK(late_answers_are_passed_over),
	CHECK(given_up_requests_keep_their_place_in_the_window),
	CHECK(overloaded_is_told_or_tried_again_by_option),
	CHECK(a_refusal_that_outlasts_the_deadline_is_told_at_once),
	CHECK(a_repeat_that_is_refused_for_now_leaves_the_end_unknown),
	CHECK(a_refusal_is_final_and_has_code_and_detail),
	CHECK(the_window_and_the_queue_are_bounds),
	CHECK(many_answers_of_a_kilobyte_arrive_whole),
	CHECK(the_descriptor_stays_and_is_readable_when_there_is_work),
	CHECK(a_stranger_is_named_and_nothing_happened),
	CHECK(a_watch_goes_on_behind_the_last_change_and_says_when_it_is_gone),
	CHECK(blocking_calls_wait_through_a_lost_connection),
	CHECK(what_cannot_be_opened_says_why),
	CHECK(the_headers_compile_as_cplusplus),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv);
}
