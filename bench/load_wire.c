/*
 * load_wire.c: how each server is spoken to. Requests are encoded once; answers are passed over, not decoded.
 */
#include "bench/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <unistd.h>

#include "holdfast/holdfast.h"
#include "net/codec_write.h"

#define LOCATION "L1"
#define STOCK_UNITS 2000000000
#define POST_EVENTS 1000
#define CALL_MS 30000
#define SCRIPT "bench/redis_reserve.lua"
#define SCRIPT_BYTES_MAX 8192

/* ---- Holdfast ---- */

static size_t
append(struct request *r, const void *bytes, size_t n)
{
	size_t at = r->n;
	ensure(r->n + n <= sizeof r->bytes);
	memcpy(r->bytes + r->n, bytes, n);
	r->n += n;
	return at;
}

#define APPEND(r, literal) append((r), (literal), sizeof(literal) - 1)

static void
holdfast_request(const struct load_options *o, struct request *r)
{
	uint8_t ttl[WIRE_INT_BYTES_MAX];
	*r = (struct request){ .n = 0 };
	APPEND(r, "\x94\x00\xce");
	r->msgid_at = APPEND(r, "\0\0\0\0");
	APPEND(r, "\xa7reserve\x93\xb0");
	r->id_at = APPEND(r, "0000000000000000");
	APPEND(r, "\x91\x93\xa8S");
	r->sku_at = APPEND(r, "0000000");
	APPEND(r, "\xa2" LOCATION "\x01\x81\xa6ttl_ms");
	append(r, ttl, (size_t)(wire_int(ttl, o->ttl_ms) - ttl));
}

static bool
holdfast_receipts(struct hf *hf, uint32_t first, uint32_t n, uint64_t run)
{
	char sku[16], source[32];
	const struct hf_value *value;
	snprintf(source, sizeof source, "load-%llx", (unsigned long long)run);
	hf_begin(hf, "post");
	hf_array(hf, 1);
	hf_array(hf, n);
	for (uint32_t i = 0; i < n; i++) {
		snprintf(sku, sizeof sku, "S%0*u", SKU_DIGITS, first + i);
		hf_map(hf, 6);
		hf_put_str(hf, "source"), hf_put_str(hf, source);
		hf_put_str(hf, "n"), hf_put_int(hf, first + i + 1);
		hf_put_str(hf, "kind"), hf_put_str(hf, "receipt");
		hf_put_str(hf, "sku"), hf_put_str(hf, sku);
		hf_put_str(hf, "location"), hf_put_str(hf, LOCATION);
		hf_put_str(hf, "qty"), hf_put_int(hf, STOCK_UNITS);
	}
	return hf_call(hf, &value) == HF_OK;
}

static int
holdfast_prepare(const struct load_options *o, struct request *r, struct why *why)
{
	struct hf_failure failure;
	uint32_t cells = o->hot ? 1 : o->cells;
	bool good = true;
	struct hf *hf = hf_connect(o->host, o->port, CALL_MS, &failure);
	if (!hf) {
		snprintf(why->text, sizeof why->text, "%s", failure.message);
		return -1;
	}
	for (uint32_t first = 0; good && first < cells; first += POST_EVENTS)
		good = holdfast_receipts(hf, first, cells - first < POST_EVENTS ? cells - first : POST_EVENTS, (uint64_t)getpid());
	if (!good)
		snprintf(why->text, sizeof why->text, "stock for the load: %s", hf_error(hf)->message);
	hf_close(hf);
	holdfast_request(o, r);
	return good ? 0 : -1;
}

static inline uint64_t
big_endian(const uint8_t *p, int n)
{
	uint64_t v = 0;
	while (n-- > 0)
		v = v << 8 | *p++;
	return v;
}

/* Passes over one object; NULL: it does not end before `end`. */
static const uint8_t *
skip(const uint8_t *p, const uint8_t *end)
{
	/* Payload bytes, and further objects, of the forms 0xc0 to 0xdf; length fields are read below. */
	static const uint8_t fixed[32] = { [10] = 4, [11] = 8, [12] = 1, [13] = 2, [14] = 4, [15] = 8, [16] = 1, [17] = 2, [18] = 4, [19] = 8 };
	for (uint64_t left = 1; left > 0; left--) {
		if (p >= end)
			return NULL;
		uint8_t c = *p++;
		if (c <= 0x7f || c >= 0xe0)
			continue;
		if (c <= 0x8f)
			left += 2 * (uint64_t)(c & 15);
		else if (c <= 0x9f)
			left += c & 15;
		else if (c <= 0xbf)
			p += c & 31;
		else if (c >= 0xd9 || (c >= 0xc4 && c <= 0xc6)) {
			static const uint8_t width[] = { 1, 2, 4, 2, 4, 2, 4 }; /* str 8, 16, 32, array 16, 32, map 16, 32 */
			int w = c >= 0xd9 ? width[c - 0xd9] : 1 << (c - 0xc4);
			if (end - p < w)
				return NULL;
			uint64_t n = big_endian(p, w);
			p += w;
			if (c >= 0xdc)
				left += c >= 0xde ? 2 * n : n;
			else if ((uint64_t)(end - p) < n)
				return NULL;
			else
				p += n;
		} else
			p += fixed[c - 0xc0];
	}
	return p <= end ? p : NULL;
}

/* [1, msgid, error or nil, result] */
static enum answer
holdfast_answer(const uint8_t *bytes, size_t n, size_t *at, uint32_t *slot, struct bytes *code)
{
	const uint8_t *end = bytes + n, *p = bytes + 2, *after;
	if (n < 5)
		return ANSWER_MORE;
	if (bytes[0] != 0x94 || bytes[1] != 1)
		return ANSWER_BAD;
	after = skip(bytes, end);
	if (!after)
		return ANSWER_MORE;
	int width = *p <= 0x7f ? 0 : *p == 0xcc ? 1 : *p == 0xcd ? 2 : 4;
	*slot = (uint32_t)(width ? big_endian(p + 1, width) : *p);
	p += 1 + width;
	*at = (size_t)(after - bytes);
	if (*p == 0xc0)
		return ANSWER_GRANTED;
	*code = (p[0] & 0xf0) == 0x90 && (p[1] & 0xe0) == 0xa0 ? (struct bytes){ p + 2, p[1] & 31 } : (struct bytes){ NULL, 0 };
	return ANSWER_REFUSED;
}

const struct protocol protocol_holdfast = { "holdfast", holdfast_prepare, holdfast_answer };

/* ---- Redis ---- */

static int
redis_connect(const struct load_options *o, struct why *why)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(o->port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (inet_pton(AF_INET, o->host, &a.sin_addr) == 1 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
		return fd;
	snprintf(why->text, sizeof why->text, "no Redis at %s:%u", o->host, o->port);
	close(fd);
	return -1;
}

/* Sends the whole and reads answers until `lines` of them came; the last bytes stand in text. */
static int
redis_ask(int fd, const char *bytes, size_t n, uint32_t lines, char *text, size_t room)
{
	size_t used = 0;
	while (n > 0) {
		ssize_t written = send(fd, bytes, n, MSG_NOSIGNAL);
		if (written <= 0)
			return -1;
		bytes += written, n -= (size_t)written;
	}
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
redis_stock(int fd, uint32_t cells)
{
	static char out[POST_EVENTS * 128], in[POST_EVENTS * 16];
	for (uint32_t first = 0; first < cells; first += POST_EVENTS) {
		uint32_t n = cells - first < POST_EVENTS ? cells - first : POST_EVENTS;
		size_t used = 0;
		for (uint32_t i = 0; i < n; i++)
			used += (size_t)snprintf(out + used, sizeof out - used, "*4\r\n$4\r\nHSET\r\n$8\r\nstock:" LOCATION "\r\n$8\r\nS%0*u\r\n$10\r\n%d\r\n",
			    SKU_DIGITS, first + i, STOCK_UNITS);
		if (redis_ask(fd, out, used, n, in, sizeof in) != 0)
			return -1;
	}
	return 0;
}

static int
redis_script(int fd, char sha[41])
{
	static char script[SCRIPT_BYTES_MAX], out[SCRIPT_BYTES_MAX + 128], in[256];
	FILE *f = fopen(SCRIPT, "r");
	size_t n = f ? fread(script, 1, sizeof script, f) : 0;
	if (f)
		fclose(f);
	int used = snprintf(out, sizeof out, "*3\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n$%zu\r\n%.*s\r\n", n, (int)n, script);
	if (n == 0 || redis_ask(fd, out, (size_t)used, 2, in, sizeof in) != 0 || strncmp(in, "$40\r\n", 5) != 0)
		return -1;
	memcpy(sha, in + 5, 40);
	sha[40] = 0;
	return 0;
}

static void
redis_request(const struct load_options *o, const char *sha, struct request *r)
{
	char ttl[24];
	*r = (struct request){ .n = 0 };
	int digits = snprintf(ttl, sizeof ttl, "%lld", (long long)o->ttl_ms);
	r->n = (size_t)snprintf((char *)r->bytes, sizeof r->bytes, "*8\r\n$7\r\nEVALSHA\r\n$40\r\n%s\r\n$1\r\n2\r\n$18\r\nh:", sha);
	r->id_at = APPEND(r, "0000000000000000");
	APPEND(r, "\r\n$8\r\nstock:" LOCATION "\r\n$8\r\nS");
	r->sku_at = APPEND(r, "0000000");
	r->n += (size_t)snprintf((char *)r->bytes + r->n, sizeof r->bytes - r->n, "\r\n$1\r\n1\r\n$%d\r\n%s\r\n", digits, ttl);
}

static int
redis_prepare(const struct load_options *o, struct request *r, struct why *why)
{
	char sha[41] = "";
	int fd = redis_connect(o, why);
	if (fd < 0)
		return -1;
	int result = redis_stock(fd, o->hot ? 1 : o->cells) == 0 && redis_script(fd, sha) == 0 ? 0 : -1;
	if (result != 0)
		snprintf(why->text, sizeof why->text, "Redis does not take the stock or the script %s (run it from the project's folder)", SCRIPT);
	close(fd);
	redis_request(o, sha, r);
	return result;
}

/* One line: :1 granted, :0 refused, -... an error. */
static enum answer
redis_answer(const uint8_t *bytes, size_t n, size_t *at, uint32_t *slot, struct bytes *code)
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

const struct protocol protocol_redis = { "redis", redis_prepare, redis_answer };
