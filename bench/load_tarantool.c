/*
 * load_tarantool.c: how Tarantool is spoken to: iproto, CALL of a stored procedure, many requests in flight, matched by `sync`.
 * tarantool_reserve.lua is the server's own programme and has the procedures.
 */
#include "bench/load.h"

#include <stdio.h>
#include <unistd.h>

#include "net/codec_write.h"

#define GREETING_BYTES 128
#define ANSWER_HEAD_BYTES 22 /* length, code and sync, which stand at fixed places */

static int
tarantool_greet(const struct load_options *o, int fd, struct why *why)
{
	char greeting[GREETING_BYTES];
	if (wire_receive(fd, greeting, sizeof greeting) == 0 && memcmp(greeting, "Tarantool", 9) == 0)
		return 0;
	snprintf(why->text, sizeof why->text, "what listens is no Tarantool");
	return -1;
}

/* Length, header {0: CALL, 1: sync}, body {0x22: procedure, 0x21: arguments, the array's elements to be appended}. */
static void
call_begin(struct request *r, const char *procedure, uint8_t arguments)
{
	uint8_t head = 0xa0 | (uint8_t)strlen(procedure), array[2] = { 0x21, 0x90 | arguments };
	*r = (struct request){ .n = 0 };
	APPEND(r, "\xce\0\0\0\0\x82\x00\x0a\x01\xce");
	r->msgid_at = APPEND(r, "\0\0\0\0");
	APPEND(r, "\x82\x22");
	request_append(r, &head, 1);
	request_append(r, procedure, strlen(procedure));
	request_append(r, array, sizeof array);
}

static void
call_int(struct request *r, int64_t v)
{
	uint8_t bytes[WIRE_INT_BYTES_MAX];
	request_append(r, bytes, (size_t)(wire_int(bytes, v) - bytes));
}

static void
call_end(struct request *r)
{
	put_big_endian(r->bytes + 1, (uint32_t)r->n - 5);
}

/* Length, {0: code, 1: sync, 5: schema}, {0x30: [1 or 0]} or {0x31: error}. */
static enum answer
reserve_answer(const uint8_t *bytes, size_t n, size_t *at, uint32_t *slot, struct bytes *code)
{
	if (n < ANSWER_HEAD_BYTES)
		return ANSWER_MORE;
	*at = 5 + (size_t)big_endian(bytes + 1, 4);
	if (bytes[0] != 0xce || bytes[5] != 0x83 || bytes[7] != 0xce || bytes[13] != 0xcf)
		return ANSWER_BAD;
	if (n < *at)
		return ANSWER_MORE;
	*slot = (uint32_t)big_endian(bytes + 14, 8);
	if (big_endian(bytes + 8, 4) == 0 && bytes[*at - 1] == 1)
		return ANSWER_GRANTED;
	*code = (struct bytes){ (const uint8_t *)"error or no stock", 17 };
	return ANSWER_REFUSED;
}

static int
put_stock(int fd, uint32_t cells, struct why *why)
{
	struct request call;
	uint8_t in[4096];
	size_t end = 0;
	uint32_t slot;
	struct bytes code;
	call_begin(&call, "stock", 2);
	call_int(&call, cells);
	call_int(&call, STOCK_UNITS);
	call_end(&call);
	if (wire_send(fd, call.bytes, call.n) == 0 && wire_receive(fd, in, 5) == 0) {
		size_t n = (size_t)big_endian(in + 1, 4);
		if (n <= sizeof in - 5 && wire_receive(fd, in + 5, n) == 0 && reserve_answer(in, n + 5, &end, &slot, &code) == ANSWER_GRANTED)
			return 0;
	}
	snprintf(why->text, sizeof why->text, "Tarantool does not take the stock");
	return -1;
}

static int
tarantool_prepare(const struct load_options *o, struct request *r, struct why *why)
{
	int fd = wire_connect(o, why);
	if (fd < 0)
		return -1;
	int result = tarantool_greet(o, fd, why) == 0 && put_stock(fd, o->hot ? 1 : o->cells, why) == 0 ? 0 : -1;
	close(fd);
	call_begin(r, "reserve", 4);
	APPEND(r, "\xb0");
	r->id_at = APPEND(r, "0000000000000000");
	APPEND(r, "\xa8S");
	request_append_sku(r);
	call_int(r, 1);
	call_int(r, o->ttl_ms);
	call_end(r);
	return result;
}

const struct protocol load_tarantool_reserve = { "tarantool", WORK_RESERVE, tarantool_prepare, tarantool_greet, reserve_answer };
