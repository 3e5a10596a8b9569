/*
 * load_postgres.c: how PostgreSQL is spoken to: its protocol 3.0, as libpq does in pipeline mode, with a statement that is prepared
 * once per connection: Bind, Execute and Sync for each request, so that each is a transaction of its own. Trusts the server.
 */
#include "bench/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define SCHEMA "bench/postgres_reserve.sql"
#define MESSAGE_BYTES_MAX 16384

/* type 0: the first message of a connection has none. */
static int
send_message(int fd, uint8_t type, const void *body, size_t n)
{
	uint8_t head[5] = { type };
	put_big_endian(head + 1, (uint32_t)n + 4);
	return wire_send(fd, head + !type, 4 + !!type) == 0 && wire_send(fd, body, n) == 0 ? 0 : -1;
}

/* Reads messages up to ReadyForQuery. -1: the connection ended or something failed; *why says what. */
static int
until_ready(int fd, struct why *why)
{
	static uint8_t body[MESSAGE_BYTES_MAX];
	uint8_t head[5] = { 0 };
	int result = 0;
	while (head[0] != 'Z') {
		if (wire_receive(fd, head, 5) != 0)
			break;
		size_t n = big_endian(head + 1, 4) - 4;
		if (n > sizeof body || wire_receive(fd, body, n) != 0)
			break;
		if (head[0] != 'E')
			continue;
		/* Fields, each a letter and a text; M is the message. */
		const uint8_t *field = body;
		while (*field && *field != 'M')
			field += strlen((const char *)field) + 1;
		snprintf(why->text, sizeof why->text, "PostgreSQL: %.120s", *field ? (const char *)field + 1 : "an error");
		result = -1;
	}
	if (head[0] != 'Z' && result == 0)
		snprintf(why->text, sizeof why->text, "PostgreSQL ended the connection");
	return head[0] == 'Z' ? result : -1;
}

static int
start_up(int fd, struct why *why)
{
	static const char hello[] = "\0\3\0\0user\0holdfast\0database\0postgres\0";
	send_message(fd, 0, hello, sizeof hello);
	return until_ready(fd, why);
}

static int
query(int fd, const char *text, struct why *why)
{
	send_message(fd, 'Q', text, strlen(text) + 1);
	return until_ready(fd, why);
}

static int
postgres_greet(const struct load_options *o, int fd, struct why *why)
{
	char parse[128] = "r"; /* the statement's name, its text, no types */
	int n = 2 + snprintf(parse + 2, sizeof parse - 5, "select reserve($1, $2, 1, %lld)", (long long)o->ttl_ms);
	if (start_up(fd, why) != 0)
		return -1;
	send_message(fd, 'P', parse, (size_t)n + 3);
	send_message(fd, 'S', "", 0);
	return until_ready(fd, why);
}

static void
reserve_request(struct request *r)
{
	/* Bind: portal "", statement "r", parameters in text, both with their lengths; the result in binary. */
	static const char bind[] = "B\0\0\0\0\0r\0\0\0\0\2\0\0\0\20";
	*r = (struct request){ .n = 0 };
	request_append(r, bind, sizeof bind - 1);
	r->id_at = APPEND(r, "0000000000000000");
	APPEND(r, "\0\0\0\10S");
	request_append_sku(r);
	APPEND(r, "\0\1\0\1");
	put_big_endian(r->bytes + 1, (uint32_t)r->n - 1);
	APPEND(r, "E\0\0\0\11\0\0\0\0\0S\0\0\0\4");
}

static int
postgres_prepare(const struct load_options *o, struct request *r, struct why *why)
{
	char fill[160];
	size_t n;
	const char *schema = wire_file(SCHEMA, &n, why);
	int fd = schema ? wire_connect(o, why) : -1;
	if (fd < 0)
		return -1;
	snprintf(fill, sizeof fill, "insert into stock select 'S' || lpad(i::text, %d, '0'), " STOCK_TEXT " from generate_series(0, %u) i",
	    SKU_DIGITS, o->hot ? 0 : o->cells - 1);
	int result = start_up(fd, why) == 0 && query(fd, schema, why) == 0 && query(fd, fill, why) == 0 &&
	    query(fd, "vacuum analyze stock", why) == 0 && query(fd, "checkpoint", why) == 0 ? 0 : -1;
	close(fd);
	reserve_request(r);
	return result;
}

/* BindComplete, DataRow, CommandComplete, ReadyForQuery, in this order: the last one is the end. */
static enum answer
reserve_answer(const uint8_t *bytes, size_t n, size_t *at, uint32_t *slot, struct bytes *code)
{
	enum answer answer = ANSWER_BAD;
	for (size_t used = 0; used + 5 <= n;) {
		const uint8_t *p = bytes + used;
		size_t end = used + 1 + big_endian(p + 1, 4);
		if (end > n)
			return ANSWER_MORE;
		if (*p == 'D') /* one column of four bytes: 1 or 0 */
			answer = bytes[end - 1] ? ANSWER_GRANTED : ANSWER_REFUSED;
		if (*p == 'E') {
			answer = ANSWER_REFUSED;
			*code = (struct bytes){ p + 6, 5 };
		}
		*at = used = end;
		if (*p == 'Z')
			return answer;
	}
	return ANSWER_MORE;
}

const struct protocol load_postgres_reserve = { "postgres", WORK_RESERVE, postgres_prepare, postgres_greet, reserve_answer };
