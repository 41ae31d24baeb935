/* The row loops of attention. */
#pragma once

#include "base/dtype.h"

/* row[i] = exp(row[i] - shift) for float32 or float64; the sum of the results, added up in lanes
 * whose order does not depend on the machine's vectors. */
typedef double (*mt_exp_row)(void *row, int64_t n, double shift);
mt_exp_row mt_exp_row_of(mt_dtype dtype);
