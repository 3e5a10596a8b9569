/*
 * load_holdfast.c: how Holdfast is spoken to: MessagePack-RPC. Requests are encoded once; answers are passed over, not decoded.
 */
#include "bench/load.h"

#include <stdio.h>
#include <unistd.h>

#include "holdfast/holdfast.h"
#include "net/codec_write.h"

#define POST_EVENTS 1000
#define CALL_MS 30000
#define STOCK_BYTES "\xce\x77\x35\x94\x00" /* STOCK_UNITS as it is answered: how a read of stock that nobody changes ends */

static void
head(struct request *r)
{
	*r = (struct request){ .n = 0 };
	APPEND(r, "\x94\x00\xce");
	r->msgid_at = APPEND(r, "\0\0\0\0");
}

static void
reserve_request(const struct load_options *o, struct request *r)
{
	uint8_t ttl[WIRE_INT_BYTES_MAX];
	head(r);
	APPEND(r, "\xa7reserve\x93\xb0");
	r->id_at = APPEND(r, "0000000000000000");
	APPEND(r, "\x91\x93\xa8S");
	request_append_sku(r);
	APPEND(r, "\xa2" LOCATION "\x01\x81\xa6ttl_ms");
	request_append(r, ttl, (size_t)(wire_int(ttl, o->ttl_ms) - ttl));
}

static void
read_request(const struct load_options *o, struct request *r)
{
	uint8_t cells_n[3] = { 0xdc, 0, (uint8_t)o->cells_each };
	head(r);
	APPEND(r, "\xa3" "ats\x91");
	request_append(r, cells_n, sizeof cells_n);
	for (uint32_t i = 0; i < o->cells_each; i++) {
		APPEND(r, "\x92\xa8S");
		request_append_sku(r);
		APPEND(r, "\xa2" LOCATION);
	}
}

/* Counted, so that stock of another load is no matter. */
static bool
holdfast_counts(struct hf *hf, uint32_t first, uint32_t n, uint64_t run)
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
		hf_put_str(hf, "kind"), hf_put_str(hf, "count");
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
		good = holdfast_counts(hf, first, cells - first < POST_EVENTS ? cells - first : POST_EVENTS, (uint64_t)getpid());
	if (!good)
		snprintf(why->text, sizeof why->text, "stock for the load: %s", hf_error(hf)->message);
	hf_close(hf);
	(o->work == WORK_READ ? read_request : reserve_request)(o, r);
	return good ? 0 : -1;
}

/* The least server has stock for everybody. */
static int
least_prepare(const struct load_options *o, struct request *r, struct why *why)
{
	reserve_request(o, r);
	return 0;
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
answer_whole(const uint8_t *bytes, size_t n, size_t *at, uint32_t *slot, struct bytes *code)
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

static enum answer
read_answer(const uint8_t *bytes, size_t n, size_t *at, uint32_t *slot, struct bytes *code)
{
	enum answer answer = answer_whole(bytes, n, at, slot, code);
	if (answer == ANSWER_GRANTED && memcmp(bytes + *at - 5, STOCK_BYTES, 5) != 0)
		return ANSWER_BAD;
	return answer;
}

const struct protocol load_holdfast_reserve = { "holdfast", WORK_RESERVE, holdfast_prepare, NULL, answer_whole };
const struct protocol load_holdfast_read = { "holdfast", WORK_READ, holdfast_prepare, NULL, read_answer };
const struct protocol load_least_reserve = { "least", WORK_RESERVE, least_prepare, NULL, answer_whole };
