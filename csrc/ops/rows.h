/* Tensors as rows for the row kernels: the kept dimensions number the rows, the dropped ones run
 * along them. */
#pragma once

#include "kernels/reduce.h"
#include "ops/pointwise.h"

/* What the kernels compute a dtype in: int64 for integers and bool, float32 for halves. */
mt_dtype mt_row_dtype(mt_dtype dtype);

/* Marks the dimensions of a list; NULL or empty marks all of them. Fails with PyTorch's texts for
 * dimensions out of range and repeated ones. */
int mt_mark_dims(const mt_tensor *self, const int64_t *dim, int64_t dim_n, bool *drop);
void mt_mark_all(const mt_tensor *self, bool *drop);
/* Shape without the marked dimensions (1 in their place with keepdim); returns its length. */
int mt_shape_without(const mt_tensor *self, const bool *drop, bool keepdim, int64_t *sizes);
/* Elements along the marked dimensions. */
int64_t mt_dropped_numel(const mt_tensor *self, const bool *drop);

/* Contiguous tensor of the dtype with the kept dimensions in front of the dropped ones; new
 * reference, an alias of self where that needs no copy. */
mt_tensor *mt_rows_of(mt_tensor *self, const bool *drop, mt_dtype dtype);
/* The same for writing: the rows are copied into `out` by mt_rows_close (which releases them). */
mt_tensor *mt_rows_for(mt_tensor *out, const bool *drop, mt_dtype dtype);
int mt_rows_close(mt_tensor *out, const bool *drop, mt_tensor *rows, int rc);

/* One kernel over all rows: `out` holds out_bytes per row, the first result of row 0 in front. */
void mt_rows_run(mt_row_kernel kernel, const mt_tensor *rows, int64_t n, void *out,
                 size_t out_bytes, double param);
/* Reduces self to the contiguous tensor out of any dtype; the kernel's results have dtype `made`. */
int mt_rows_reduce(mt_tensor *self, const bool *drop, mt_row_op op, mt_dtype compute,
                   mt_dtype made, double param, mt_tensor *out);
/* values[r] = element indices[r] of row r; both contiguous, values of any dtype. */
int mt_rows_pick(const mt_tensor *rows, int64_t n, const mt_tensor *indices, mt_tensor *values);

/* "max(): Expected reduction dim 0 to have non-zero size." for an empty dimension. */
int mt_check_not_empty(const mt_tensor *self, int dim, const char *who);

/* unique_consecutive along a dimension. */
int mt_unique_neighbours(mt_tensor *self, int64_t dim, bool return_inverse, bool return_counts,
                         mt_tensor **values, mt_tensor **inverse, mt_tensor **counts);
