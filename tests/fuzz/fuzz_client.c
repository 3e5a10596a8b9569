/*
 * Any bytes as what a server answers: the client's tree of values stays inside the frame and its zone, and every leaf can be read.
 */
#include "net/client.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static uint64_t sum;

static void
walk(const struct hf_value *v)
{
	switch (v->type) {
	case HF_NIL:
		break;
	case HF_BOOL:
		sum += v->boolean;
		break;
	case HF_INT:
		sum += (uint64_t)v->integer;
		break;
	case HF_STR:
	case HF_BIN:
		for (uint32_t i = 0; i < v->str.n; i++)
			sum += (uint8_t)v->str.at[i];
		break;
	case HF_ARRAY:
		for (uint32_t i = 0; i < v->array.n; i++)
			walk(&v->array.items[i]);
		break;
	case HF_MAP:
		for (uint32_t i = 0; i < 2 * v->map.n; i++)
			walk(&v->map.pairs[i]);
		sum += hf_get(v, "seq") != NULL;
		break;
	default:
		abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static struct client_zone *zone;
	struct client_answer answer;
	struct scanner s;
	size_t end = 0;
	if (!zone && !(zone = client_zone_new()))
		abort();
	scanner_init(&s);
	if (n == 0 || scanner_scan(&s, bytes, n, CLIENT_REPLY_BYTES_MAX, &end) != SCAN_WHOLE || !client_decode(zone, bytes, end, &answer))
		return 0;
	if (answer.notification) {
		if (!answer.method || !answer.params)
			abort();
		walk(answer.method), walk(answer.params);
		return 0;
	}
	if (answer.result)
		walk(answer.result);
	if (answer.error) {
		struct hf_failure failure;
		walk(answer.error);
		client_refused(&failure, answer.error);
		sum += strlen(failure.code) + strlen(failure.message);
		if (failure.detail)
			walk(failure.detail);
	}
	return 0;
}
