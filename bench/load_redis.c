/*
 * load_redis.c: how Redis is spoken to: RESP2. A reserve is EVALSHA of redis_reserve.lua, a read is GET or MGET.
 * A cell is a string, "s:LOCATION:SKU"; a hold is a string with a time to live, "h:ID".
 */
#include "bench/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define SCRIPT "bench/redis_reserve.lua"
#define SCRIPT_BYTES_MAX 8192
#define STOCK_COMMANDS 1000
#define CELL_KEY "s:" LOCATION ":S"
#define CELL_KEY_BYTES "13" /* of CELL_KEY and SKU_DIGITS */

/* Sends the whole and reads answers until `lines` of them came; the last bytes stand in text. */
static int
ask(int fd, const char *bytes, size_t n, uint32_t lines, char *text, size_t room)
{
	size_t used = 0;
	if (wire_send(fd, bytes, n) != 0)
		return -1;
	while (lines > 0) {
		ssize_t got = recv(fd, text + used, room - 1 - used, 0);
		if (got <= 0)
			return -1;
		for (ssize_t i = 0; i < got; i++)
			lines -= lines > 0 && text[used + (size_t)i] == '\n';
		used = lines > 0 && used + (size_t)got > room / 2 ? 0 : used + (size_t)got;
	}
	text[used] = 0;
	return 0;
}

static int
put_stock(int fd, uint32_t cells)
{
	static char out[STOCK_COMMANDS * 128], in[STOCK_COMMANDS * 16];
	for (uint32_t first = 0; first < cells; first += STOCK_COMMANDS) {
		uint32_t n = cells - first < STOCK_COMMANDS ? cells - first : STOCK_COMMANDS;
		size_t used = 0;
		for (uint32_t i = 0; i < n; i++)
			used += (size_t)snprintf(out + used, sizeof out - used,
			    "*3\r\n$3\r\nSET\r\n$" CELL_KEY_BYTES "\r\n" CELL_KEY "%0*u\r\n$10\r\n" STOCK_TEXT "\r\n", SKU_DIGITS, first + i);
		if (ask(fd, out, used, n, in, sizeof in) != 0)
			return -1;
	}
	return 0;
}

static int
load_script(int fd, char sha[41], struct why *why)
{
	static char out[SCRIPT_BYTES_MAX + 128], in[256];
	size_t n;
	const char *script = wire_file(SCRIPT, &n, why);
	if (!script)
		return -1;
	int used = snprintf(out, sizeof out, "*3\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n$%zu\r\n%s\r\n", n, script);
	if (ask(fd, out, (size_t)used, 2, in, sizeof in) != 0 || strncmp(in, "$40\r\n", 5) != 0) {
		snprintf(why->text, sizeof why->text, "Redis does not take the script " SCRIPT ": %.40s", in);
		return -1;
	}
	memcpy(sha, in + 5, 40);
	sha[40] = 0;
	return 0;
}

static void
reserve_request(const struct load_options *o, const char *sha, struct request *r)
{
	char ttl[48];
	int digits = snprintf(NULL, 0, "%lld", (long long)o->ttl_ms);
	*r = (struct request){ .n = 0 };
	APPEND(r, "*7\r\n$7\r\nEVALSHA\r\n$40\r\n");
	request_append(r, sha, 40);
	APPEND(r, "\r\n$1\r\n2\r\n$18\r\nh:");
	r->id_at = APPEND(r, "0000000000000000");
	APPEND(r, "\r\n$" CELL_KEY_BYTES "\r\n" CELL_KEY);
	request_append_sku(r);
	APPEND(r, "\r\n$1\r\n1\r\n");
	request_append(r, ttl, (size_t)snprintf(ttl, sizeof ttl, "$%d\r\n%lld\r\n", digits, (long long)o->ttl_ms));
}

static void
read_request(const struct load_options *o, struct request *r)
{
	char head[64];
	int n = o->cells_each == 1 ? snprintf(head, sizeof head, "*2\r\n$3\r\nGET\r\n")
	    : snprintf(head, sizeof head, "*%u\r\n$4\r\nMGET\r\n", o->cells_each + 1);
	*r = (struct request){ .n = 0 };
	request_append(r, head, (size_t)n);
	for (uint32_t i = 0; i < o->cells_each; i++) {
		APPEND(r, "$" CELL_KEY_BYTES "\r\n" CELL_KEY);
		request_append_sku(r);
		APPEND(r, "\r\n");
	}
}

static int
redis_prepare(const struct load_options *o, struct request *r, struct why *why)
{
	char sha[41] = "";
	int fd = wire_connect(o, why), result = -1;
	if (fd < 0)
		return -1;
	if (put_stock(fd, o->hot ? 1 : o->cells) != 0)
		snprintf(why->text, sizeof why->text, "Redis does not take the stock");
	else
		result = o->work == WORK_READ ? 0 : load_script(fd, sha, why);
	close(fd);
	if (o->work == WORK_READ)
		read_request(o, r);
	else
		reserve_request(o, sha, r);
	return result;
}

/* One line: :1 granted, :0 refused, -... an error. */
static enum answer
reserve_answer(const uint8_t *bytes, size_t n, size_t *at, uint32_t *slot, struct bytes *code)
{
	const uint8_t *end = memchr(bytes, '\n', n);
	if (!end)
		return ANSWER_MORE;
	*at = (size_t)(end + 1 - bytes);
	if (bytes[0] == ':' && bytes[1] == '1')
		return ANSWER_GRANTED;
	*code = (struct bytes){ bytes, *at - 2 < 24 ? (uint32_t)*at - 2 : 24 };
	return bytes[0] == ':' || bytes[0] == '-' ? ANSWER_REFUSED : ANSWER_BAD;
}

/* "$10\r\n2000000000\r\n", one for GET, as many as were asked for behind "*N\r\n" for MGET. */
static enum answer
read_answer(const uint8_t *bytes, size_t n, size_t *at, uint32_t *slot, struct bytes *code)
{
	static const char value[] = "$10\r\n" STOCK_TEXT "\r\n";
	size_t used = 0;
	uint32_t values = 1;
	if (n > 0 && bytes[0] == '*') {
		const uint8_t *end = memchr(bytes, '\n', n);
		if (!end)
			return ANSWER_MORE;
		values = (uint32_t)strtoul((const char *)bytes + 1, NULL, 10);
		used = (size_t)(end + 1 - bytes);
	}
	*at = used + values * (sizeof value - 1);
	if (n < *at)
		return n > used && bytes[used] != '$' ? ANSWER_BAD : ANSWER_MORE;
	return memcmp(bytes + *at - (sizeof value - 1), value, sizeof value - 1) == 0 ? ANSWER_GRANTED : ANSWER_BAD;
}

const struct protocol load_redis_reserve = { "redis", WORK_RESERVE, redis_prepare, NULL, reserve_answer };
const struct protocol load_redis_read = { "redis", WORK_READ, redis_prepare, NULL, read_answer };
