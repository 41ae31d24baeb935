/* CRC-32 as zip uses it (polynomial 0x04C11DB7 reflected, ISO 3309): as fast as memory is read
 * where the CPU has carry-less multiplication, eight bytes a step by tables elsewhere. */
#pragma once

#include "base/base.h"

/* The checksum of the bytes seen so far (`crc`, 0 for none) followed by data[0..n). */
uint32_t mt_crc32(uint32_t crc, const void *data, size_t n);

/* The table-driven path alone, on any CPU: the reference of the tests. */
uint32_t mt_crc32_portable(uint32_t crc, const void *data, size_t n);
