/*
 * test_client_async.c: the connection that lasts, against a scripted peer: what is sent again and what is not, what each end of a
 * request is called, deadlines, refusals of the moment. Its bounds and its watch are in test_client_bounds.c.
 */
#include "tests/check.h"
#include "tests/async_rig.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- parts ---- */

/* Takes three requests, answers none, and is gone. */
static void
part_take_three(struct requests *r)
{
	uint32_t number;
	for (int i = 0; i < 3; i++)
		async_note(request_text(r, &number));
	async_note("-");
}

/* Begins with one reservation and waits for its answer, which is valid until the end. NULL: none came. */
static struct hf *
reserve_answered(struct scripted_peer *p, const peer_part *parts, const struct hf_async_options *options, struct hf_async_how how,
    struct hf_event *answer)
{
	struct hf *hf = async_begin(p, parts, options);
	return hf && async_send_word(hf, "reserve", "a", how) && async_await(hf, HF_ANSWER, answer) ? hf : NULL;
}

/* ---- after a lost connection ---- */

static void
what_is_safe_is_sent_again_in_order_and_the_rest_is_unknown_at_once(void)
{
	static const peer_part parts[] = { part_take_three, part_answer, NULL };
	struct scripted_peer p;
	struct hf_event e;
	static char a, b, c;
	struct hf *hf = async_begin(&p, parts, NULL);
	check(hf);
	uint32_t first = async_send_word(hf, "reserve", "a", HOW(.context = &a));
	async_send_word(hf, "policy", "b", HOW(.context = &b));
	async_send_word(hf, "commit", "c", HOW(.context = &c));
	check_equal(hf_in_flight(hf), 3);
	check(async_await(hf, HF_CONNECTED, &e));
	check(async_await(hf, HF_DISCONNECTED, &e));
	check(strstr(e.failure->message, "closed the connection") != NULL);
	check(async_await(hf, HF_ANSWER, &e));
	check(e.context == &b && e.outcome == HF_UNKNOWN && strcmp(e.failure->code, "unknown") == 0);
	check(async_await(hf, HF_ANSWER, &e));
	check(e.context == &a && e.outcome == HF_OK && e.number == first && e.sent_n == 2 && hf_int(e.value, 0) == 7);
	check(async_await(hf, HF_ANSWER, &e));
	check(e.context == &c && e.outcome == HF_OK);
	check_equal(hf_in_flight(hf), 0);
	async_end(&p, hf);
	static const char *const want[] = { "reserve[\"a\"]", "policy[\"b\"]", "commit[\"c\"]", "-", "reserve[\"a\"]", "commit[\"c\"]" };
	check_equal(async_notes_n, 6);
	for (int i = 0; i < 6; i++)
		check(strcmp(async_notes[i], want[i]) == 0);
}

static void
the_caller_may_say_otherwise(void)
{
	static const peer_part parts[] = { part_take_three, part_answer, NULL };
	struct scripted_peer p;
	struct hf_event e;
	static char yes, no;
	struct hf *hf = async_begin(&p, parts, NULL);
	check(hf);
	async_send_word(hf, "policy", "get", HOW(.context = &yes, .repeat = HF_REPEAT_YES));
	async_send_word(hf, "reserve", "x", HOW(.context = &no, .repeat = HF_REPEAT_NO));
	async_send_word(hf, "ats", "x", HOW());
	check(async_await(hf, HF_ANSWER, &e));
	check(e.context == &no && e.outcome == HF_UNKNOWN);
	check(async_await(hf, HF_ANSWER, &e));
	check(e.context == &yes && e.outcome == HF_OK);
	async_end(&p, hf);
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
	struct hf *hf = async_begin(&p, parts, &options);
	check(hf);
	for (int i = 0; i < 4; i++)
		async_send_word(hf, "post", words[i], HOW());
	for (int i = 0; i < 4; i++) {
		check(async_await(hf, HF_ANSWER, &e));
		check_equal(e.sent_n, i < 2 ? 2 : 1);
	}
	async_end(&p, hf);
	for (int i = 0; i < 4; i++)
		check(async_notes[i][6] == words[i][0]);
}

static void
answers_that_came_before_the_end_count(void)
{
	static const peer_part parts[] = { part_answer_and_close, NULL };
	struct scripted_peer p;
	struct hf_event e;
	struct hf *hf = async_begin(&p, parts, NULL);
	check(hf);
	async_send_word(hf, "policy", "a", HOW());
	async_send_word(hf, "policy", "b", HOW());
	check(async_await(hf, HF_CONNECTED, &e));
	hf_async_step(hf);
	scripted_played(&p, 1); /* it is gone before anything is read */
	for (int i = 0; i < 2; i++) {
		check(async_await(hf, HF_ANSWER, &e));
		check(e.outcome == HF_OK && hf_int(e.value, -1) == 1 - i);
	}
	async_end(&p, hf);
}

static void
a_peer_that_closes_at_once_is_tried_again_and_told_once(void)
{
	static const peer_part parts[] = { part_close, part_close, part_close, part_answer, NULL };
	struct hf_async_options options = { .back_off_ms = 2, .seed = 1 };
	struct scripted_peer p;
	struct hf_event e;
	struct hf *hf = reserve_answered(&p, parts, &options, HOW(), &e);
	check(hf);
	check(e.outcome == HF_OK);
	async_end(&p, hf);
}

static void
a_silent_line_is_made_anew(void)
{
	static const peer_part parts[] = { part_silence, part_answer, part_answer, part_answer, NULL }; /* a busy machine may be silent, too */
	struct hf_async_options options = { .silence_ms = 50 };
	struct scripted_peer p;
	struct hf_event e;
	struct hf *hf = async_begin(&p, parts, &options);
	check(hf);
	async_send_word(hf, "reserve", "a", HOW());
	check(async_await(hf, HF_DISCONNECTED, &e));
	check(strstr(e.failure->message, "does not answer within 50 ms") != NULL);
	check(async_await(hf, HF_ANSWER, &e));
	check(e.outcome == HF_OK && e.sent_n >= 2);
	async_end(&p, hf);
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
	struct hf *hf = async_opened(&nobody, NULL);
	async_send_word(hf, "reserve", "a", HOW(.deadline_ms = 40));
	check(async_await(hf, HF_DISCONNECTED, &e));
	check(strstr(e.failure->message, "nothing listens on") != NULL);
	check(async_await(hf, HF_ANSWER, &e));
	check(e.outcome == HF_FAILED && e.sent_n == 0);
	check(strstr(e.failure->message, "nothing listens on") && strstr(e.failure->message, "nothing happened"));
	hf_close(hf);
	close(fd);

	hf = reserve_answered(&p, parts, NULL, HOW(.deadline_ms = 40), &e);
	check(hf);
	check(e.outcome == HF_UNKNOWN && e.sent_n == 1);
	async_end(&p, hf);
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
	struct hf *hf = async_begin(&p, parts, NULL);
	check(hf);
	async_send_word(hf, "reserve", "a", HOW(.deadline_ms = 30));
	async_send_word(hf, "reserve", "b", HOW(.deadline_ms = 30));
	check(async_await(hf, HF_ANSWER, &e) && e.outcome == HF_UNKNOWN);
	check(async_await(hf, HF_ANSWER, &e) && e.outcome == HF_UNKNOWN);
	async_send_word(hf, "reserve", "c", HOW());
	check(async_await(hf, HF_ANSWER, &e));
	check(e.outcome == HF_OK && hf_int(e.value, -1) == 2);
	async_end(&p, hf);
}

static void
part_two_held(struct requests *r)
{
	uint32_t number[2];
	struct pollfd p = { .fd = r->fd, .events = POLLIN };
	request_next(r, &number[0]);
	request_next(r, &number[1]);
	async_note(r->used > r->end || poll(&p, 1, 100) > 0 ? "a third" : "two");
	request_drain(r);
}

static void
given_up_requests_keep_their_place_in_the_window(void)
{
	static const peer_part parts[] = { part_two_held, NULL };
	struct hf_async_options options = { .window_n = 2 };
	struct scripted_peer p;
	struct hf_event e;
	struct hf *hf = async_begin(&p, parts, &options);
	check(hf);
	for (int i = 0; i < 4; i++)
		check(async_send_word(hf, "reserve", "x", HOW(.deadline_ms = i < 2 ? 30 : 90)) != 0);
	for (int i = 0; i < 4; i++) {
		check(async_await(hf, HF_ANSWER, &e));
		check_equal(e.outcome, i < 2 ? HF_UNKNOWN : HF_FAILED);
	}
	for (int i = 0; i < 20; i++) /* some more rounds, while the peer listens for a third */
		hf_async_wait(hf, 10);
	async_end(&p, hf);
	check(strcmp(async_notes[0], "two") == 0);
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
		struct hf *hf = reserve_answered(&p, parts, &options, HOW(), &e);
		check(hf);
		check_equal(e.outcome, again ? HF_OK : HF_REFUSED);
		check_equal(e.sent_n, again ? 3 : 1);
		if (!again)
			check(strcmp(e.failure->code, "overloaded") == 0 && hf_int(hf_get(e.failure->detail, "retry_after_ms"), 0) == 5);
		async_end(&p, hf);
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
	struct hf *hf = reserve_answered(&p, parts, &options, HOW(), &e);
	check(hf);
	check_equal(e.outcome, HF_REFUSED);
	async_end(&p, hf);
}

/* The first copy may have happened: that the second is not looked at says nothing about it. */
static void
a_repeat_that_is_refused_for_now_leaves_the_end_unknown(void)
{
	static const peer_part parts[] = { part_take_one, part_overloaded_twice, NULL };
	static const peer_part for_long[] = { part_take_one, part_overloaded_for_long, NULL };
	struct scripted_peer p;
	struct hf_event e;
	struct hf *hf = reserve_answered(&p, parts, NULL, HOW(), &e);
	check(hf);
	check(e.outcome == HF_OK && e.sent_n == 4); /* also without retry_refused */
	async_end(&p, hf);

	hf = reserve_answered(&p, for_long, NULL, HOW(.deadline_ms = 200), &e);
	check(hf);
	check_equal(e.outcome, HF_UNKNOWN);
	async_end(&p, hf);
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
	struct hf *hf = reserve_answered(&p, parts, &options, HOW(), &e);
	check(hf);
	check(e.outcome == HF_REFUSED && e.sent_n == 1 && strcmp(e.failure->code, "insufficient") == 0);
	check(hf_get(e.failure->detail, "lines") != NULL);
	async_end(&p, hf);
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
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv);
}
