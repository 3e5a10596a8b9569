/*
 * crc32c.h: the Castagnoli checksum of journal batches and image records. Pure; any thread.
 *
 * crc32c(crc32c(0, a), b) is the checksum of a followed by b.
 */
#ifndef HOLDFAST_PERSIST_CRC32C_H
#define HOLDFAST_PERSIST_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* By the processor's instruction where it was compiled in (-msse4.2), else bit by bit. */
uint32_t crc32c(uint32_t crc, const void *, size_t);
/* Bit by bit from the polynomial: slow, the judge of the fast one. */
uint32_t crc32c_slow(uint32_t crc, const void *, size_t);

#endif
