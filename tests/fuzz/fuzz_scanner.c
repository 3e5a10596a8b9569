/*
 * Any bytes through the scanner, whole and cut anywhere: the same verdict; what it calls whole, the reader passes over, and
 * nothing is read outside.
 */
#include "net/codec_read.h"
#include "net/scanner.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct scanner whole, cut;
	size_t end = 0, cut_end = 0, limit = n > 2 ? 64 + bytes[0] * 16u : MESSAGE_BYTES_MAX, step = n > 2 ? 1 + bytes[1] % 17u : 1;
	enum scan verdict, cut_verdict = SCAN_MORE;
	scanner_init(&whole);
	scanner_init(&cut);
	verdict = scanner_scan(&whole, bytes, n, limit, &end);
	for (size_t given = 0; cut_verdict == SCAN_MORE && given < n;) {
		given = n - given < step ? n : given + step;
		cut_verdict = scanner_scan(&cut, bytes, given, limit, &cut_end);
	}
	if (n > 0 && (verdict != cut_verdict || (verdict == SCAN_WHOLE && end != cut_end)))
		abort();
	if (verdict != SCAN_WHOLE)
		return 0;
	struct reader r = { bytes, bytes + end };
	if (end > n || end > limit || !reader_skip(&r) || r.at != r.end)
		abort();
	return 0;
}
