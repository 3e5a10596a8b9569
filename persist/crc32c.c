/*
 * crc32c.c: eight bytes an instruction. One chain of crc32q runs at about 8 bytes in 3 cycles: a batch of 64 KiB costs 8 us
 * beside a sync of 86 us, so interleaving three chains would buy nothing that anybody could see.
 */
#include "persist/crc32c.h"

#include <string.h>

#ifdef __SSE4_2__
#include <nmmintrin.h>
#endif

#define POLYNOMIAL UINT32_C(0x82f63b78) /* 0x1edc6f41, reflected */

uint32_t
crc32c_slow(uint32_t crc, const void *data, size_t n)
{
	const uint8_t *at = data;

	crc = ~crc;
	while (n--) {
		crc ^= *at++;
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
	}
	return ~crc;
}

#ifdef __SSE4_2__

uint32_t
crc32c(uint32_t crc, const void *data, size_t n)
{
	const uint8_t *at = data;
	uint64_t sum = (uint32_t)~crc;

	for (; n >= 8; n -= 8, at += 8) {
		uint64_t word;
		memcpy(&word, at, 8);
		sum = _mm_crc32_u64(sum, word);
	}
	for (; n; n--)
		sum = _mm_crc32_u8((uint32_t)sum, *at++);
	return ~(uint32_t)sum;
}

#else

uint32_t
crc32c(uint32_t crc, const void *data, size_t n)
{
	return crc32c_slow(crc, data, n);
}

#endif
