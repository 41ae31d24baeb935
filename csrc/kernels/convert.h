/* Arrays from one dtype to another, and between strided and packed memory. */
#pragma once

#include "base/cpu.h"
#include "base/dtype.h"

typedef void (*mt_convert)(void *to, const void *from, int64_t n);

/* Contiguous conversion loop; to == from is a plain copy. Values convert as C casts do, floats to
 * small integers through int64, anything to bool as != 0, complex to real by dropping the
 * imaginary part. */
mt_convert mt_converter(mt_dtype to, mt_dtype from);

/* n elements of `size` bytes (1, 2, 4, 8 or 16) from strided to packed memory and back; strides in
 * bytes, 0 allowed for gather. */
void mt_gather(void *packed, const char *from, int64_t stride, int64_t n, size_t size);
void mt_scatter(char *to, int64_t stride, const void *packed, int64_t n, size_t size);
