/*
 * test_client.c: libholdfast against a scripted peer: a thread that accepts one connection and plays one part. The real server
 * is tested end to end elsewhere; here stand the cases a healthy server never shows.
 */
#include "tests/check.h"
#include "holdfast/holdfast.h"
#include "net/scanner.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 5000

/* ---- the peer ---- */

struct peer {
	int listener;
	uint16_t port;
	pthread_t thread;
	void (*play)(int fd);
};

static void *
peer_main(void *arg)
{
	struct peer *p = arg;
	int fd = accept(p->listener, NULL, NULL);
	if (fd >= 0) {
		p->play(fd);
		close(fd);
	}
	return NULL;
}

static void
peer_start(struct peer *p, void (*play)(int fd))
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;
	p->play = play;
	p->listener = socket(AF_INET, SOCK_STREAM, 0);
	bind(p->listener, (struct sockaddr *)&a, sizeof a);
	listen(p->listener, 4);
	getsockname(p->listener, (struct sockaddr *)&a, &n);
	p->port = ntohs(a.sin_port);
	pthread_create(&p->thread, NULL, peer_main, p);
}

static void
peer_stop(struct peer *p)
{
	shutdown(p->listener, SHUT_RDWR);
	pthread_join(p->thread, NULL);
	close(p->listener);
}

/* Whole requests of one connection, one after another. */
struct requests {
	int fd;
	size_t used, end;
	uint8_t bytes[1 << 16];
};

/* Its number, or 0 when the client has gone. The bytes are r->bytes[0..r->end). */
static uint32_t
next_request(struct requests *r)
{
	struct scanner s;
	memmove(r->bytes, r->bytes + r->end, r->used - r->end);
	r->used -= r->end;
	r->end = 0;
	scanner_init(&s);
	while (r->used == 0 || scanner_scan(&s, r->bytes, r->used, sizeof r->bytes, &r->end) != SCAN_WHOLE) {
		ssize_t n = read(r->fd, r->bytes + r->used, sizeof r->bytes - r->used);
		if (n <= 0)
			return 0;
		r->used += (size_t)n;
	}
	return (uint32_t)r->bytes[3] << 24 | (uint32_t)r->bytes[4] << 16 | (uint32_t)r->bytes[5] << 8 | r->bytes[6];
}

/* [1, number, error, result], the last two given as msgpack. */
static void
answer(int fd, uint32_t number, const char *rest, size_t n)
{
	uint8_t head[7] = { 0x94, 1, 0xce, (uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number };
	if (write(fd, head, sizeof head) < 0 || write(fd, rest, n) < 0)
		return;
}
#define ANSWER(fd, number, rest) answer(fd, number, rest, sizeof rest - 1)

static struct hf *
connected(const struct peer *p, int timeout_ms)
{
	struct hf_failure failure;
	struct hf *hf = hf_connect("127.0.0.1", p->port, timeout_ms, &failure);
	if (!hf)
		printf("     %s\n", failure.message);
	return hf;
}

/* ---- what a healthy peer answers ---- */

static void
play_stock(int fd)
{
	static struct requests r;
	r = (struct requests){ .fd = fd };
	uint32_t number = next_request(&r);
	static const char want[] = "\x94\x00\xce\x00\x00\x00\x01\xa5stock\x91\x91\x92\xa2S1\xa2L1";
	if (r.end != sizeof want - 1 || memcmp(r.bytes, want, r.end) != 0)
		return;
	/* nil, [7, [{ats: -3, short: 2^40, ok: true, note: "x"}, nil]] */
	ANSWER(fd, number, "\xc0\x92\x07\x92\x84\xa3" "ats\xfd\xa5short\xcf\x00\x00\x01\x00\x00\x00\x00\x00\xa2ok\xc3\xa4note\xa1x\xc0");
}

static void
an_answer_comes_back_as_a_tree(void)
{
	struct peer p;
	peer_start(&p, play_stock);
	struct hf *hf = connected(&p, PATIENCE_MS);
	check(hf != NULL);
	const struct hf_value *v;
	struct hf_line cell = { "S1", "L1", 0 };
	check_equal(hf_stock(hf, &cell, 1, &v), HF_OK);
	check(v->type == HF_ARRAY && v->array.n == 2);
	check_equal(hf_int(&v->array.items[0], 0), 7);
	const struct hf_value *cells = &v->array.items[1];
	check_equal(cells->array.n, 2);
	check_equal(hf_int(hf_get(&cells->array.items[0], "ats"), 0), -3);
	check_equal(hf_int(hf_get(&cells->array.items[0], "short"), 0), 1LL << 40);
	check(hf_get(&cells->array.items[0], "ok")->boolean);
	check(memcmp(hf_get(&cells->array.items[0], "note")->str.at, "x", 1) == 0);
	check(hf_get(&cells->array.items[0], "not") == NULL);
	check_equal(cells->array.items[1].type, HF_NIL);
	check_equal(hf_in_flight(hf), 0);
	hf_close(hf);
	peer_stop(&p);
}

static void
play_backwards(int fd)
{
	static struct requests r;
	uint32_t number[8];
	r = (struct requests){ .fd = fd };
	for (int i = 0; i < 8; i++)
		number[i] = next_request(&r);
	for (int i = 7; i >= 0; i--) {
		char rest[2] = { (char)0xc0, (char)i };
		answer(fd, number[i], rest, 2);
	}
}

static void
answers_in_any_order_find_their_request(void)
{
	struct peer p;
	uint32_t sent[8];
	peer_start(&p, play_backwards);
	struct hf *hf = connected(&p, PATIENCE_MS);
	check(hf != NULL);
	for (int i = 0; i < 8; i++) {
		hf_begin(hf, "digest");
		hf_array(hf, 0);
		sent[i] = hf_send(hf);
	}
	check_equal(hf_in_flight(hf), 8);
	for (int i = 7; i >= 0; i--) {
		uint32_t number;
		const struct hf_value *v;
		check_equal(hf_receive(hf, &number, &v), HF_OK);
		check_equal(number, sent[i]);
		check_equal(hf_int(v, -1), i);
	}
	hf_close(hf);
	peer_stop(&p);
}

static void
play_refusal_in_crumbs(int fd)
{
	static struct requests r;
	r = (struct requests){ .fd = fd };
	uint32_t number = next_request(&r);
	static const char rest[] = "\x93\xabwrong_state\xa8too late\x81\xa5state\xa9""committed\xc0";
	ANSWER(fd, number, "");
	for (size_t i = 0; i < sizeof rest - 1; i++)
		if (write(fd, rest + i, 1) < 0)
			return;
}

static void
a_refusal_in_crumbs_has_code_message_and_detail(void)
{
	struct peer p;
	peer_start(&p, play_refusal_in_crumbs);
	struct hf *hf = connected(&p, PATIENCE_MS);
	check(hf != NULL);
	const struct hf_value *v;
	check_equal(hf_commit(hf, "r1", NULL, 0, NULL, &v), HF_REFUSED);
	check(strcmp(hf_error(hf)->code, "wrong_state") == 0);
	check(strcmp(hf_error(hf)->message, "too late") == 0);
	const struct hf_value *state = hf_get(hf_error(hf)->detail, "state");
	check(state && state->type == HF_STR && state->str.n == 9);
	hf_close(hf);
	peer_stop(&p);
}

/* Answers each request with four times its bytes and never reads ahead: it stops reading while its own output waits. */
static void
play_echo(int fd)
{
	static struct requests r;
	static char rest[1 + 3 + 4000];
	r = (struct requests){ .fd = fd };
	memcpy(rest, "\xc0\xc5\x0f\xa0", 4); /* nil, bin of 4,000 */
	for (uint32_t number; (number = next_request(&r)) != 0;)
		answer(fd, number, rest, sizeof rest);
}

static void
a_deep_pipeline_does_not_lock_both_ends_up(void)
{
	enum { MANY = 5000 };
	static char kilobyte[1000];
	struct peer p;
	peer_start(&p, play_echo);
	struct hf *hf = connected(&p, PATIENCE_MS);
	check(hf != NULL);
	for (int i = 0; i < MANY; i++) {
		hf_begin(hf, "post");
		hf_array(hf, 1);
		hf_put_bytes(hf, kilobyte, sizeof kilobyte);
		check(hf_send(hf) != 0);
	}
	check_equal(hf_flush(hf), HF_OK);
	for (int i = 0; i < MANY; i++) {
		uint32_t number;
		const struct hf_value *v;
		check_equal(hf_receive(hf, &number, &v), HF_OK);
		check_equal(number, i + 1);
		check_equal(v->str.n, 4000);
	}
	hf_close(hf);
	peer_stop(&p);
}

/* ---- what goes wrong ---- */

static void
play_one_of_three(int fd)
{
	static struct requests r;
	r = (struct requests){ .fd = fd };
	uint32_t number = next_request(&r);
	next_request(&r);
	next_request(&r);
	ANSWER(fd, number, "\xc0\x01");
}

static void
a_closed_connection_leaves_the_rest_unknown(void)
{
	struct peer p;
	uint32_t number;
	const struct hf_value *v;
	peer_start(&p, play_one_of_three);
	struct hf *hf = connected(&p, PATIENCE_MS);
	check(hf != NULL);
	for (int i = 0; i < 3; i++) {
		hf_begin(hf, "reserve");
		hf_array(hf, 0);
		check(hf_send(hf) != 0);
	}
	check_equal(hf_receive(hf, &number, &v), HF_OK);
	check_equal(hf_receive(hf, &number, &v), HF_UNKNOWN);
	check_equal(number, 0);
	check(strcmp(hf_error(hf)->code, "unknown") == 0);
	check_equal(hf_receive(hf, &number, &v), HF_UNKNOWN);
	check_equal(hf_in_flight(hf), 2);
	hf_begin(hf, "ats");
	hf_array(hf, 0);
	check_equal(hf_call(hf, &v), HF_FAILED);
	hf_close(hf);
	peer_stop(&p);
}

static void
play_late(int fd)
{
	static struct requests r;
	r = (struct requests){ .fd = fd };
	uint32_t first = next_request(&r), second = next_request(&r);
	ANSWER(fd, first, "\xc0\x01");
	for (; second != 0; second = next_request(&r)) /* a client on a busy machine may have given this one up, too */
		ANSWER(fd, second, "\xc0\x02");
}

static void
silence_is_unknown_and_a_late_answer_is_passed_over(void)
{
	struct peer p;
	const struct hf_value *v;
	peer_start(&p, play_late);
	struct hf *hf = connected(&p, 100);
	check(hf != NULL);
	check_equal(hf_commit(hf, "r1", NULL, 0, NULL, &v), HF_UNKNOWN);
	check(strstr(hf_error(hf)->message, "does not answer") != NULL);
	enum hf_outcome status = HF_UNKNOWN;
	for (int i = 0; i < 100 && status == HF_UNKNOWN; i++)
		status = hf_commit(hf, "r1", NULL, 0, NULL, &v);
	check_equal(status, HF_OK);
	check_equal(hf_int(v, -1), 2);
	hf_close(hf);
	peer_stop(&p);
}

static void
nothing_listening_is_told_with_the_way_out(void)
{
	struct hf_failure failure;
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0); /* bound, never listening: its port refuses */
	bind(fd, (struct sockaddr *)&a, sizeof a);
	getsockname(fd, (struct sockaddr *)&a, &n);
	check(hf_connect("127.0.0.1", ntohs(a.sin_port), 1000, &failure) == NULL);
	check(strstr(failure.message, "nothing listens on 127.0.0.1:") != NULL);
	check(strstr(failure.message, "holdfastd --data") != NULL);
	close(fd);
}

static void
play_http(int fd)
{
	static const char page[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
	if (write(fd, page, sizeof page - 1) < 0)
		return;
}

static void
play_nanomsg(int fd)
{
	char bytes[8];
	if (write(fd, "\0SP\0\0\x30\0\0", 8) < 0 || read(fd, bytes, sizeof bytes) < 0)
		return;
}

static void
play_shell(int fd)
{
	if (write(fd, "SSH-2.0-x\r\n", 11) < 0)
		return;
}

static void
a_stranger_on_the_port_is_named(void)
{
	static const struct {
		void (*play)(int fd);
		const char *said;
	} row[] = {
		{ play_http, "speaks HTTP" },
		{ play_nanomsg, "speaks nanomsg" },
		{ play_shell, "is not Holdfast" },
	};
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		struct peer p;
		const struct hf_value *v;
		peer_start(&p, row[i].play);
		struct hf *hf = connected(&p, PATIENCE_MS);
		check(hf != NULL);
		check_equal(hf_hello(hf, &v), HF_FAILED);
		check(strstr(hf_error(hf)->message, row[i].said) != NULL);
		hf_close(hf);
		peer_stop(&p);
	}
}

static void
play_nothing(int fd)
{
	char byte;
	while (read(fd, &byte, 1) > 0)
		;
}

static void
what_cannot_be_a_request_is_never_sent(void)
{
	struct peer p;
	static char mebibyte[1 << 20];
	peer_start(&p, play_nothing);
	struct hf *hf = connected(&p, PATIENCE_MS);
	check(hf != NULL);
	check_equal(hf_send(hf), 0);
	hf_begin(hf, "ats");
	check_equal(hf_send(hf), 0); /* no parameters */
	hf_begin(hf, "ats");
	hf_array(hf, 2);
	hf_put_int(hf, 1);
	check_equal(hf_send(hf), 0); /* one of two is missing */
	hf_begin(hf, "ats");
	hf_map(hf, 0);
	check_equal(hf_send(hf), 0); /* no array */
	hf_begin(hf, "ats");
	hf_array(hf, 2);
	hf_put_bytes(hf, mebibyte, sizeof mebibyte);
	hf_put_bytes(hf, mebibyte, 2000);
	check_equal(hf_send(hf), 0); /* too long */
	check(strstr(hf_error(hf)->message, "1 MiB") != NULL);
	check_equal(hf_in_flight(hf), 0);
	hf_close(hf);
	peer_stop(&p);
}

/* The public header alone, as a C++ program sees it. */
static void
the_header_compiles_as_cplusplus(void)
{
	if (system("command -v g++ >/dev/null") != 0) {
		printf("     no g++ here: passed over\n");
		return;
	}
	int got = system("printf '#include \"holdfast/holdfast.h\"\\n"
	    "bool f(struct hf *h) { const hf_value *v; hf_line l = {\"a\", \"b\", 1}; return hf_ats(h, &l, 1, &v) == HF_OK && v->array.n; }\\n'"
	    " | g++ -Wall -Wextra -Werror -std=c++11 -fsyntax-only -Iinclude -x c++ -");
	check(WIFEXITED(got) && WEXITSTATUS(got) == 0);
}

static const struct check tests[] = {
	CHECK(an_answer_comes_back_as_a_tree),
	CHECK(answers_in_any_order_find_their_request),
	CHECK(a_refusal_in_crumbs_has_code_message_and_detail),
	CHECK(a_deep_pipeline_does_not_lock_both_ends_up),
	CHECK(a_closed_connection_leaves_the_rest_unknown),
	CHECK(silence_is_unknown_and_a_late_answer_is_passed_over),
	CHECK(nothing_listening_is_told_with_the_way_out),
	CHECK(a_stranger_on_the_port_is_named),
	CHECK(what_cannot_be_a_request_is_never_sent),
	CHECK(the_header_compiles_as_cplusplus),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv);
}
