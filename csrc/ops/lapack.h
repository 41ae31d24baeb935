/* What the operators on LAPACK share: checks in PyTorch's words, packed column-major matrices, and
 * the loop over a batch. */
#pragma once

#include "dispatch/op.h"
#include "kernels/lapack.h"

/* ---- checks: 0, or -1 with the error set ------------------------------------------------------ */

/* At least two dimensions; `name` is the argument's. */
int mt_check_matrix(const mt_tensor *a, const char *who, const char *name);
/* Matrices that are square. */
int mt_check_square(const mt_tensor *a, const char *who);
/* Floating point or complex; with `wide`, no half types. */
int mt_check_inexact(const mt_tensor *a, const char *who, bool wide);
/* One of the four types that LAPACK has: "\"name\" not implemented for 'Half'". */
int mt_check_blas_type(const mt_tensor *a, const char *kernel);
/* Raises LinAlgError for the first nonzero entry of info (int32, one per matrix). */
int mt_check_info(mt_tensor *info, const char *who, bool is_matrix);

/* ---- shapes ----------------------------------------------------------------------------------- */

/* A shape being put together. */
typedef struct mt_shape {
    int ndim;
    int64_t sizes[MT_MAX_DIMS];
} mt_shape;

/* The batch dimensions of a tensor of matrices (drop = 2) or vectors (drop = 1), with `n` more
 * sizes after them. */
mt_shape mt_batch_shape(const mt_tensor *a, int drop, int n, int64_t last, int64_t next_to_last);
/* The batch dimensions of both broadcast; -1 with broadcasting's error. */
int mt_broadcast_batches(const mt_tensor *a, const mt_tensor *b, mt_shape *out);
/* Two more dimensions. */
void mt_add_matrix(mt_shape *s, int64_t rows, int64_t columns);

/* mt_set_output with packed matrices stored by columns. */
int mt_set_columns(mt_call *call, int i, const mt_shape *s, mt_dtype dtype, mt_device device);
int mt_set_rows(mt_call *call, int i, const mt_shape *s, mt_dtype dtype, mt_device device);

/* ---- memory ----------------------------------------------------------------------------------- */

/* A tensor of this shape packed by columns. */
mt_tensor *mt_empty_columns(const mt_shape *s, mt_dtype dtype);
/* `self` broadcast to the shape, as a new tensor packed by columns. */
mt_tensor *mt_copy_columns(mt_tensor *self, const mt_shape *s, mt_dtype dtype);
/* Where an output is computed: itself if it is packed by columns, else a new tensor. */
mt_tensor *mt_work_columns(mt_tensor *out);
/* The same by rows. */
mt_tensor *mt_work_rows(mt_tensor *out);
/* Copies work to out where they differ, and releases work. */
int mt_give_work(mt_tensor *out, mt_tensor *work);

/* Matrix i of packed memory; `elements` is the size of one matrix. */
MT_INLINE void *
mt_matrix(const mt_tensor *t, int64_t i, int64_t elements)
{
    return (char *)mt_data(t) + i * elements * mt_itemsize(t);
}

MT_INLINE int64_t mt_rows(const mt_tensor *a) { return a->sizes[a->ndim - 2]; }
MT_INLINE int64_t mt_columns(const mt_tensor *a) { return a->sizes[a->ndim - 1]; }
/* How many matrices, even of no elements. */
int64_t mt_batch_count(const mt_tensor *a, int drop);

/* Runs body for every matrix in parallel; `work` estimates its element-steps and decides what is
 * one task. Every body gets scratch of so many bytes. Loads the library first. */
typedef void (*mt_matrix_body)(void *ctx, int64_t i, void *scratch);
int mt_for_matrices(int64_t count, int64_t work, size_t scratch, mt_matrix_body body, void *ctx);

/* Factors A (broadcast) into lu, pivots and info, which are packed (ops/lapack_factor.c). */
int mt_lu_factor(mt_tensor *A, mt_tensor *lu, mt_tensor *pivots, mt_tensor *info);
