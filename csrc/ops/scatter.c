/* gather, scatter and their kin, take and put: an index of full rank, or flat places.
 *
 * The walk goes over the index in row-major order and turns each entry into a byte offset of the
 * indexed tensor; writes happen in that order, so the last one wins and sums have one order. */
#include "ops/determinism.h"
#include "base/alloc.h"
#include "base/error.h"
#include "base/pool.h"
#include "ops/indexing.h"
#include "ops/pointwise.h"
#include "ops_gen.h"

static int
check_index(const char *who, const mt_tensor *index)
{
    if (index->numel && index->dtype != MT_INT64 && index->dtype != MT_INT32)
        return mt_fail(MT_RUNTIME, "%s: Expected dtype int32/int64 for index", who);
    return 0;
}

/* Byte offset in `self` of every entry of index; a new block of index->numel numbers. */
static int64_t *
entry_offsets(const mt_tensor *self, int dim, mt_tensor *index)
{
    mt_tensor *x = mt_index_i64(index);
    int64_t *out = x ? mt_alloc((size_t)MT_MAX(x->numel, 1) * sizeof *out) : NULL;
    if (!out)
        goto done;
    const int64_t *v = mt_data(x);
    int64_t item = mt_itemsize(self), place[MT_MAX_DIMS] = {0};
    if (self->ndim == 0 || x->ndim == 0) {
        int64_t size = self->ndim ? self->sizes[0] : 1, step = self->ndim ? self->strides[0] : 0;
        for (int64_t i = 0; i < x->numel; i++) {
            if (v[i] < 0 || v[i] >= size) {
                mt_fail(MT_RUNTIME, "index %lld is out of bounds for dimension %d with size %lld",
                        (long long)v[i], dim, (long long)size);
                goto fail;
            }
            out[i] = v[i] * step * item;
        }
        goto done;
    }
    int last = x->ndim - 1;
    int64_t width = x->sizes[last], size = self->sizes[dim], along = self->strides[dim] * item;
    int64_t step = last == dim ? 0 : self->strides[last] * item;
    for (int64_t at = 0, base = 0; at < x->numel; at += width) {
        for (int64_t i = 0; i < width; i++) {
            int64_t k = v[at + i];
            if (MT_UNLIKELY(k < 0 || k >= size)) {
                mt_fail(MT_RUNTIME, "index %lld is out of bounds for dimension %d with size %lld",
                        (long long)k, dim, (long long)size);
                goto fail;
            }
            out[at + i] = base + i * step + k * along;
        }
        for (int d = last - 1; d >= 0; d--) {
            int64_t s = d == dim ? 0 : self->strides[d] * item;
            base += s;
            if (++place[d] < x->sizes[d])
                break;
            base -= place[d] * s;
            place[d] = 0;
        }
    }
done:
    mt_xrelease(x);
    return out;
fail:
    mt_free(out, (size_t)MT_MAX(x->numel, 1) * sizeof *out);
    mt_release(x);
    return NULL;
}

/* Along the last dimension of a contiguous tensor whose other sizes are the index's, rows of the
 * index meet rows of the tensor; when every entry is in range, they do so without offsets. */
typedef struct lines {
    int64_t rows, width, size; /* of the index; elements of a row of the tensor */
    const int64_t *index;
} lines;

static bool
as_lines(const mt_tensor *self, int dim, const mt_tensor *index, lines *l)
{
    int last = self->ndim - 1;
    if (index->dtype != MT_INT64 || last < 0 || index->ndim != self->ndim || dim != last ||
        !mt_is_contiguous(self) || !mt_is_contiguous(index) ||
        memcmp(self->sizes, index->sizes, (size_t)last * sizeof(int64_t)))
        return false;
    *l = (lines){.width = index->sizes[last], .size = self->sizes[last], .index = mt_data(index)};
    l->rows = index->numel / l->width;
    bool wrong = false;
    for (int64_t i = 0; i < index->numel; i++)
        wrong |= (uint64_t)l->index[i] >= (uint64_t)l->size;
    return !wrong;
}

typedef struct gathering {
    lines l;
    const char *from;
    char *to;
    int64_t item;
} gathering;

#define GATHER(T)                                                                                  \
    for (int64_t r = begin; r < end; r++) {                                                        \
        const T *from = (const T *)job->from + r * l.size;                                         \
        const int64_t *index = l.index + r * l.width;                                              \
        T *to = (T *)job->to + r * l.width;                                                        \
        for (int64_t i = 0; i < l.width; i++)                                                      \
            to[i] = from[index[i]];                                                                \
    }                                                                                              \
    break;

typedef struct sixteen { uint64_t a, b; } sixteen;

static void
gather_lines(void *ctx, int64_t begin, int64_t end)
{
    const gathering *job = ctx;
    lines l = job->l;
    switch (job->item) {
    case 1: GATHER(uint8_t)
    case 2: GATHER(uint16_t)
    case 4: GATHER(uint32_t)
    case 8: GATHER(uint64_t)
    default: GATHER(sixteen)
    }
}

#define SCATTER_ADD(T)                                                                             \
    {                                                                                              \
        T *to = mt_data(self);                                                                     \
        const T *from = mt_data(src);                                                              \
        for (int64_t r = 0; r < l.rows; r++, to += l.size)                                         \
            for (int64_t i = 0; i < l.width; i++)                                                  \
                to[*l.index++] += *from++;                                                         \
        return true;                                                                               \
    }

/* True when this way was taken. */
static bool
scatter_add_lines(mt_tensor *self, int dim, const mt_tensor *index, const mt_tensor *src)
{
    lines l;
    if (self->dtype != MT_FLOAT32 && self->dtype != MT_FLOAT64 && self->dtype != MT_INT64)
        return false;
    if (!as_lines(self, dim, index, &l))
        return false;
    switch ((int)self->dtype) {
    case MT_FLOAT32: SCATTER_ADD(float)
    case MT_FLOAT64: SCATTER_ADD(double)
    default: SCATTER_ADD(uint64_t)
    }
}

/* ---- gather ------------------------------------------------------------------------------- */

mt_tensor *
op_gather(mt_tensor *self, int64_t dim, mt_tensor *index, bool sparse_grad)
{
    (void)sparse_grad;
    int d = mt_wrap_dim(dim, self->ndim);
    if (d < 0 || check_index("gather()", index) < 0)
        return NULL;
    int si = index->ndim ? index->ndim : 1, ss = self->ndim ? self->ndim : 1;
    if (index->numel && si != ss)
        return mt_fail_null(MT_RUNTIME, "Index tensor must have the same number of dimensions as input "
                                        "tensor");
    for (int k = 0; index->numel && k < self->ndim && k < index->ndim; k++)
        if (k != d && index->sizes[k] > self->sizes[k])
            return mt_fail_null(MT_RUNTIME,
                                "Size does not match at dimension %d expected index %s to be no larger "
                                "than self %s apart from dimension %d",
                                k, mt_shape_str(index), mt_shape_str(self), d);
    mt_tensor *out = mt_empty(index->ndim, index->sizes, NULL, (mt_dtype)self->dtype, self->device);
    if (!out || mt_is_meta(self) || index->numel == 0)
        return out;
    gathering job = {.from = mt_data(self), .to = mt_data(out), .item = mt_itemsize(self)};
    if (as_lines(self, d, index, &job.l)) {
        mt_parallel_for(job.l.rows, MT_MAX(1, MT_GRAIN / job.l.width), gather_lines, &job);
        return out;
    }
    int64_t *at = entry_offsets(self, d, index);
    if (!at) {
        mt_release(out);
        return NULL;
    }
    mt_places p = {.base = mt_data(self), .at = at, .nat = index->numel, .nbefore = 1, .nafter = 1,
                   .block = (size_t)mt_itemsize(self)};
    mt_places_read(&p, mt_data(out));
    mt_free(at, (size_t)index->numel * sizeof *at);
    return out;
}

/* ---- scatter ------------------------------------------------------------------------------ */

static int
check_scatter(const char *who, mt_tensor *self, int64_t *dim, mt_tensor *index, mt_tensor *src)
{
    int d = mt_wrap_dim(*dim, self->ndim);
    if (d < 0 || check_index(who, index) < 0)
        return -1;
    *dim = d;
    if (src && self->dtype != src->dtype)
        return mt_fail(MT_RUNTIME, "%s: Expected self.dtype to be equal to src.dtype", who);
    if (index->numel == 0)
        return 0;
    int ni = MT_MAX(index->ndim, 1), ns = MT_MAX(self->ndim, 1), nr = src ? MT_MAX(src->ndim, 1) : ni;
    if (ni != ns)
        return mt_fail(MT_RUNTIME,
                       "Index tensor must have the same number of dimensions as self tensor");
    if (src && ni != nr)
        return mt_fail(MT_RUNTIME,
                       "Index tensor must have the same number of dimensions as src tensor");
    for (int k = 0; k < index->ndim; k++) {
        int64_t have = self->ndim ? self->sizes[k] : 1;
        bool bad = k != d && index->sizes[k] > have;
        if (src && src->ndim && index->sizes[k] > src->sizes[k])
            bad = true;
        if (bad && src)
            return mt_fail(MT_RUNTIME,
                           "Expected index %s to be no larger than self %s apart from dimension %d "
                           "and to be no larger size than src %s",
                           mt_shape_str(index), mt_shape_str(self), d, mt_shape_str(src));
        if (bad)
            return mt_fail(MT_RUNTIME,
                           "Expected index %s to be no larger than self %s apart from dimension %d",
                           mt_shape_str(index), mt_shape_str(self), d);
    }
    return 0;
}

/* The part of src that index covers, packed. */
static mt_tensor *
covered(mt_tensor *src, mt_tensor *index)
{
    mt_tensor *part = src->ndim == index->ndim
                          ? mt_alias(src, src->offset, index->ndim, index->sizes, src->strides)
                          : mt_alias(src, src->offset, index->ndim, index->sizes,
                                     (const int64_t[]){src->ndim ? src->strides[0] : 0});
    mt_tensor *packed = part ? mt_packed_as(part, (mt_dtype)src->dtype, index->ndim, index->sizes)
                             : NULL;
    mt_xrelease(part);
    return packed;
}

/* self[index] = or op= src; src NULL: the number `value`. */
static int
scatter(mt_tensor *self, int64_t dim, mt_tensor *index, mt_tensor *src, mt_scalar value,
        mt_combine combine)
{
    if (mt_check_no_internal_overlap(self) < 0)
        return -1;
    if (mt_is_meta(self) || index->numel == 0)
        return 0;
    mt_tensor *packed = src ? covered(src, index) : mt_scalar_to_tensor(value, (mt_dtype)self->dtype);
    if (!packed)
        return -1;
    if (packed->storage == self->storage) {
        mt_tensor *copy = mt_contiguous_data(packed, true);
        mt_release(packed);
        if (!(packed = copy))
            return -1;
    }
    if (src && combine == mt_combiner(MT_COMBINE_ADD, (mt_dtype)self->dtype) && combine &&
        scatter_add_lines(self, (int)dim, index, packed)) {
        mt_release(packed);
        return 0;
    }
    int64_t *at = entry_offsets(self, (int)dim, index);
    if (at) {
        mt_places p = {.base = mt_data(self), .at = at, .nat = index->numel, .nbefore = 1,
                       .nafter = 1, .block = (size_t)mt_itemsize(self)};
        mt_places_write(&p, mt_data(packed), !src, combine, p.block);
        mt_free(at, (size_t)index->numel * sizeof *at);
    }
    mt_release(packed);
    return at ? 0 : -1;
}

int
op_scatter__src(mt_tensor *self, int64_t dim, mt_tensor *index, mt_tensor *src)
{
    return check_scatter("scatter()", self, &dim, index, src) < 0
               ? -1
               : scatter(self, dim, index, src, mt_v_none(), NULL);
}

int
op_scatter__value(mt_tensor *self, int64_t dim, mt_tensor *index, mt_scalar value)
{
    return check_scatter("scatter()", self, &dim, index, NULL) < 0
               ? -1
               : scatter(self, dim, index, NULL, value, NULL);
}

static int
combine_of(const char *reduce, mt_dtype dtype, mt_combine *combine)
{
    if (strcmp(reduce, "add") && strcmp(reduce, "multiply"))
        return mt_fail(MT_RUNTIME, "reduce argument must be either add or multiply.");
    *combine = mt_combiner(strcmp(reduce, "add") ? MT_COMBINE_MUL : MT_COMBINE_ADD, dtype);
    return 0;
}

int
op_scatter__reduce(mt_tensor *self, int64_t dim, mt_tensor *index, mt_tensor *src,
                   const char *reduce)
{
    static bool warned;
    if (mt_warn_once(&warned,
                     "The reduce argument of torch.scatter with Tensor src is deprecated and will be "
                     "removed in a future PyTorch release. Use torch.scatter_reduce instead for more "
                     "reduction options.") < 0)
        return -1;
    mt_combine combine = NULL;
    return combine_of(reduce, (mt_dtype)self->dtype, &combine) < 0 ||
                   check_scatter("scatter()", self, &dim, index, src) < 0
               ? -1
               : scatter(self, dim, index, src, mt_v_none(), combine);
}

int
op_scatter__value_reduce(mt_tensor *self, int64_t dim, mt_tensor *index, mt_scalar value,
                         const char *reduce)
{
    mt_combine combine = NULL;
    return combine_of(reduce, (mt_dtype)self->dtype, &combine) < 0 ||
                   check_scatter("scatter()", self, &dim, index, NULL) < 0
               ? -1
               : scatter(self, dim, index, NULL, value, combine);
}

int
op_scatter_add_(mt_tensor *self, int64_t dim, mt_tensor *index, mt_tensor *src)
{
    return check_scatter("scatter()", self, &dim, index, src) < 0
               ? -1
               : scatter(self, dim, index, src, mt_v_none(),
                         mt_combiner(MT_COMBINE_ADD, (mt_dtype)self->dtype));
}

static mt_scalar
identity_of(const char *reduce, mt_dtype dtype)
{
    static const int64_t low[] = {[MT_INT8] = INT8_MIN, [MT_INT16] = INT16_MIN,
                                  [MT_INT32] = INT32_MIN, [MT_INT64] = INT64_MIN};
    static const int64_t high[] = {[MT_BOOL] = 1, [MT_UINT8] = UINT8_MAX, [MT_INT8] = INT8_MAX,
                                   [MT_INT16] = INT16_MAX, [MT_INT32] = INT32_MAX,
                                   [MT_INT64] = INT64_MAX};
    if (!strcmp(reduce, "prod"))
        return mt_v_int(1);
    if (!strcmp(reduce, "amax"))
        return mt_is_floating(dtype) ? mt_v_float(-__builtin_inf())
                                     : mt_v_int(dtype < MT_COUNT(low) ? low[dtype] : 0);
    if (!strcmp(reduce, "amin"))
        return mt_is_floating(dtype) ? mt_v_float(__builtin_inf())
                                     : mt_v_int(dtype < MT_COUNT(high) ? high[dtype] : -1);
    return mt_v_int(0);
}

/* How many entries fell on each element, self itself counted where it is included. */
static mt_tensor *
counts_of(mt_tensor *self, int64_t dim, mt_tensor *index, mt_dtype dtype, bool include_self)
{
    if ((dim = mt_wrap_dim(dim, self->ndim)) < 0)
        return NULL;
    mt_tensor *t = mt_empty(self->ndim, self->sizes, NULL, dtype, self->device);
    if (!t || mt_fill_data(t, mt_v_int(include_self)) < 0 ||
        scatter(t, dim, index, NULL, mt_v_int(1), mt_combiner(MT_COMBINE_ADD, dtype)) < 0)
        goto fail;
    if (!include_self) { /* nothing fell there: divide by one */
        mt_combine max = mt_combiner(MT_COMBINE_MAX, dtype);
        mt_tensor *ones = mt_empty(self->ndim, self->sizes, NULL, dtype, self->device);
        if (!ones || mt_fill_data(ones, mt_v_int(1)) < 0) {
            mt_xrelease(ones);
            goto fail;
        }
        max(mt_data(t), mt_data(ones), t->numel);
        mt_release(ones);
    }
    return t;
fail:
    mt_xrelease(t);
    return NULL;
}

int
op_scatter_reduce__two(mt_tensor *self, int64_t dim, mt_tensor *index, mt_tensor *src,
                       const char *reduce, bool include_self)
{
    static const char *const names[] = {"sum", "mean", "prod", "amin", "amax"};
    static const int what[] = {MT_COMBINE_ADD, MT_COMBINE_ADD, MT_COMBINE_MUL, MT_COMBINE_MIN,
                               MT_COMBINE_MAX};
    size_t k = 0;
    while (k < MT_COUNT(names) && strcmp(reduce, names[k]))
        k++;
    if (k == MT_COUNT(names))
        return mt_fail(MT_RUNTIME,
                       "reduce argument must be either sum, prod, mean, amax or amin, got %s", reduce);
    if (check_scatter("scatter_reduce()", self, &dim, index, src) < 0)
        return -1;
    mt_dtype dtype = (mt_dtype)self->dtype;
    mt_combine combine = mt_combiner(what[k], dtype);
    if (!combine)
        return mt_fail(MT_NOT_IMPLEMENTED, "\"scatter_reduce\" not implemented for '%s'",
                       mt_dtypes[dtype].scalar_name);
    if (!include_self &&
        scatter(self, dim, index, NULL, identity_of(reduce, dtype), NULL) < 0)
        return -1;
    if (scatter(self, dim, index, src, mt_v_none(), combine) < 0)
        return -1;
    if (strcmp(reduce, "mean") || mt_is_meta(self))
        return 0;
    mt_tensor *count = counts_of(self, dim, index, dtype == MT_BOOL ? MT_UINT8 : dtype, include_self);
    if (!count)
        return -1;
    int rc = -1;
    if (mt_is_integral(dtype, true)) { /* rounded down */
        mt_tensor *a = mt_packed_as(self, MT_INT64, self->ndim, self->sizes),
                  *b = mt_packed_as(count, MT_INT64, self->ndim, self->sizes),
                  *q = a && b ? mt_empty(self->ndim, self->sizes, NULL, MT_INT64, self->device) : NULL;
        if (q) {
            const int64_t *x = mt_data(a), *n = mt_data(b);
            int64_t *y = mt_data(q);
            for (int64_t i = 0; i < q->numel; i++)
                y[i] = x[i] / n[i] - (x[i] % n[i] != 0 && x[i] < 0);
            rc = mt_copy_data(self, q);
        }
        mt_xrelease(q);
        mt_xrelease(b);
        mt_xrelease(a);
    } else {
        mt_tensor *q = aten_div_Tensor(self, count);
        rc = q ? mt_copy_data(self, q) : -1;
        mt_xrelease(q);
    }
    mt_release(count);
    return rc;
}

/* ---- gradients of scatter_reduce ---------------------------------------------------------- */

/* grad times d result / d (self or src), with `mine` the operand in question at the places of the
 * result (self) or of the entries (src). Every step is an operator, so it can be recorded. */
static mt_tensor *
mul3(mt_tensor *a_take, mt_tensor *b_take)
{
    mt_tensor *r = a_take && b_take ? aten_mul_Tensor(a_take, b_take) : NULL;
    mt_xrelease(a_take);
    mt_xrelease(b_take);
    return r;
}

static mt_tensor *
div3(mt_tensor *a_take, mt_tensor *b_take)
{
    mt_tensor *r = a_take && b_take ? aten_div_Tensor(a_take, b_take) : NULL;
    mt_xrelease(a_take);
    mt_xrelease(b_take);
    return r;
}

/* 1 where two tensors agree, else 0, in the dtype of the first; not differentiated. */
static mt_tensor *
agree(mt_tensor *a, mt_tensor *b)
{
    mt_tensor *t = mt_empty(a->ndim, a->sizes, NULL, MT_FLOAT64, a->device),
              *x = mt_packed_as(a, MT_FLOAT64, a->ndim, a->sizes),
              *y = mt_packed_as(b, MT_FLOAT64, a->ndim, a->sizes), *r = NULL;
    if (t && x && y) {
        const double *p = mt_data(x), *q = mt_data(y);
        double *out = mt_data(t);
        for (int64_t i = 0; i < t->numel; i++)
            out[i] = p[i] == q[i];
        r = mt_packed_as(t, (mt_dtype)a->dtype, a->ndim, a->sizes);
    }
    mt_xrelease(t);
    mt_xrelease(x);
    mt_xrelease(y);
    return r;
}

/* How the gradient of an extremum is shared: 1 / (number of operands that equal it). */
static mt_tensor *
shared_extremum(mt_tensor *grad, mt_tensor *self, int64_t dim, mt_tensor *index, mt_tensor *src,
                mt_tensor *result, mt_tensor **self_hit, mt_tensor **src_hit)
{
    mt_tensor *here = aten_gather(result, dim, index, false), *part = here ? covered(src, index) : NULL;
    mt_tensor *count = NULL, *r = NULL;
    *self_hit = agree(self, result);
    *src_hit = part ? agree(part, here) : NULL;
    if (*self_hit && *src_hit) {
        /* PyTorch counts self even where the result leaves it out */
        count = aten_scatter_add(*self_hit, dim, index, *src_hit);
    }
    r = count ? aten_div_Tensor(grad, count) : NULL;
    mt_xrelease(count);
    mt_xrelease(part);
    mt_xrelease(here);
    return r;
}

static bool
is(const char *a, const char *b)
{
    return !strcmp(a, b);
}

static bool
has_zero(mt_tensor *t)
{
    mt_tensor *x = mt_packed_as(t, MT_FLOAT64, t->ndim, t->sizes);
    bool zero = false;
    for (int64_t i = 0; x && i < x->numel; i++)
        zero |= ((double *)mt_data(x))[i] == 0;
    mt_xrelease(x);
    return zero;
}

mt_tensor *
mth_scatter_reduce_self_backward(mt_tensor *grad, mt_tensor *self, int64_t dim, mt_tensor *index,
                                 mt_tensor *src, const char *reduce, bool include_self,
                                 mt_tensor *result)
{
    mt_tensor *r = NULL;
    if (index->numel == 0)
        return mt_keep(grad);
    if (is(reduce, "sum"))
        r = mt_keep(grad);
    else if (is(reduce, "mean"))
        r = div3(mt_keep(grad), counts_of(self, dim, index, (mt_dtype)grad->dtype, include_self));
    else if (is(reduce, "prod")) {
        if (!include_self)
            r = mt_keep(grad);
        else { /* the product of what fell there, without self */
            mt_tensor *ones = aten_ones_like(self, MT_DTYPE_NONE, -1, MT_NO_DEVICE, mt_v_none(),
                                             MT_FORMAT_NONE);
            r = mul3(mt_keep(grad),
                     ones ? aten_scatter_reduce_two(ones, dim, index, src, "prod", true) : NULL);
            mt_xrelease(ones);
        }
    } else {
        mt_tensor *mine, *theirs,
            *part = shared_extremum(grad, self, dim, index, src, result, &mine, &theirs);
        r = part && mine ? aten_mul_Tensor(part, mine) : NULL;
        mt_xrelease(part);
        mt_xrelease(mine);
        mt_xrelease(theirs);
    }
    if (r && !include_self) {
        mt_tensor *rest = aten_scatter_value(r, dim, index, mt_v_int(0));
        mt_release(r);
        r = rest;
    }
    return r;
}

/* Gradient of products where some factors are zero: a factor that is the only zero of its product gets
 * the product of the others, the rest gets grad * result / src. */
static mt_tensor *
product_slope_at_zeros(mt_tensor *grad, mt_tensor *self, int64_t dim, mt_tensor *index, mt_tensor *src,
                       bool include_self, mt_tensor *weighted)
{
    mt_tensor *zero = aten_eq_Scalar(src, mt_v_int(0)), *count = NULL, *none = NULL, *zeros = NULL,
              *here = NULL, *single = NULL, *alone = NULL, *filled = NULL, *others = NULL, *slope = NULL,
              *at = NULL, *plain = NULL, *rest = NULL, *r = NULL;
    if (!zero || !(count = aten_to_dtype(zero, (mt_dtype)grad->dtype, false, false, MT_FORMAT_NONE)) ||
        !(none = aten_zeros_like(grad, MT_DTYPE_NONE, -1, MT_NO_DEVICE, mt_v_none(), MT_FORMAT_NONE)) ||
        !(zeros = aten_scatter_add(none, dim, index, count)) ||
        !(here = aten_gather(zeros, dim, index, false)) ||
        !(single = aten_eq_Scalar(here, mt_v_int(1))) || !(alone = aten_logical_and(zero, single)) ||
        !(filled = aten_masked_fill_Scalar(src, zero, mt_v_int(1))) ||
        !(others = aten_scatter_reduce_two(self, dim, index, filled, "prod", include_self)) ||
        !(slope = aten_mul_Tensor(grad, others)) || !(at = aten_gather(slope, dim, index, false)) ||
        !(plain = aten_gather(weighted, dim, index, false)) || !(rest = aten_div_Tensor(plain, filled)))
        goto done;
    r = aten_where_self(alone, at, rest);
done:;
    mt_tensor *all[] = {zero, count, none, zeros, here, single, alone, filled, others, slope, at, plain, rest};
    for (size_t i = 0; i < MT_COUNT(all); i++)
        mt_xrelease(all[i]);
    return r;
}

mt_tensor *
mth_scatter_reduce_src_backward(mt_tensor *grad, mt_tensor *self, int64_t dim, mt_tensor *index,
                                mt_tensor *src, const char *reduce, bool include_self,
                                mt_tensor *result)
{
    if (index->numel == 0)
        return aten_zeros_like(src, MT_DTYPE_NONE, -1, MT_NO_DEVICE, mt_v_none(), MT_FORMAT_NONE);
    mt_tensor *r = NULL;
    if (is(reduce, "sum"))
        r = aten_gather(grad, dim, index, false);
    else if (is(reduce, "mean")) {
        mt_tensor *count = counts_of(self, dim, index, (mt_dtype)grad->dtype, include_self);
        r = div3(aten_gather(grad, dim, index, false),
                 count ? aten_gather(count, dim, index, false) : NULL);
        mt_xrelease(count);
    } else if (is(reduce, "prod")) {
        mt_tensor *weighted = aten_mul_Tensor(grad, result);
        if (has_zero(src))
            r = product_slope_at_zeros(grad, self, dim, index, src, include_self, weighted);
        else
            r = div3(weighted ? aten_gather(weighted, dim, index, false) : NULL, mt_keep(src));
        mt_xrelease(weighted);
    } else {
        mt_tensor *mine, *theirs,
            *part = shared_extremum(grad, self, dim, index, src, result, &mine, &theirs);
        r = part && theirs ? mul3(aten_gather(part, dim, index, false), mt_keep(theirs)) : NULL;
        mt_xrelease(part);
        mt_xrelease(mine);
        mt_xrelease(theirs);
    }
    return r;
}

/* ---- take, put ---------------------------------------------------------------------------- */

static int64_t *
flat_offsets(mt_tensor *self, mt_tensor *index)
{
    int64_t n = index->numel, item = mt_itemsize(self);
    mt_tensor *x = mt_index_i64(index);
    int64_t *out = x ? mt_alloc((size_t)MT_MAX(n, 1) * sizeof *out) : NULL;
    for (int64_t i = 0; out && i < n; i++) {
        int64_t v = ((const int64_t *)mt_data(x))[i], at = 0;
        if (v < -self->numel || v >= self->numel) {
            mt_fail(MT_INDEX, "out of range: tried to access index %lld on a tensor of %lld elements.",
                    (long long)v, (long long)self->numel);
            mt_free(out, (size_t)MT_MAX(n, 1) * sizeof *out);
            out = NULL;
            break;
        }
        v = v < 0 ? v + self->numel : v;
        if (mt_is_contiguous(self))
            at = v;
        else
            for (int d = self->ndim - 1; d >= 0; d--) {
                at += v % self->sizes[d] * self->strides[d];
                v /= self->sizes[d];
            }
        out[i] = at * item;
    }
    mt_xrelease(x);
    return out;
}

mt_tensor *
op_take(mt_tensor *self, mt_tensor *index)
{
    if (index->dtype != MT_INT64)
        return mt_fail_null(MT_RUNTIME, "take(): Expected a long tensor for index, but got %s",
                            mt_dtypes[index->dtype].scalar_name);
    if (self->numel == 0 && index->numel)
        return mt_fail_null(MT_INDEX, "take(): tried to take from an empty tensor");
    mt_tensor *out = mt_empty(index->ndim, index->sizes, NULL, (mt_dtype)self->dtype, self->device);
    if (!out || mt_is_meta(self) || index->numel == 0)
        return out;
    int64_t *at = flat_offsets(self, index);
    if (!at) {
        mt_release(out);
        return NULL;
    }
    mt_places p = {.base = mt_data(self), .at = at, .nat = index->numel, .nbefore = 1, .nafter = 1,
                   .block = (size_t)mt_itemsize(self)};
    mt_places_read(&p, mt_data(out));
    mt_free(at, (size_t)index->numel * sizeof *at);
    return out;
}

int
op_put_(mt_tensor *self, mt_tensor *index, mt_tensor *source, bool accumulate)
{
    if (!accumulate && mt_alert_nondeterministic("put_") < 0)
        return -1;
    if (index->dtype != MT_INT64)
        return mt_fail(MT_RUNTIME, "put_(): Expected a long tensor for index, but got %s",
                       mt_dtypes[index->dtype].scalar_name);
    if (self->dtype != source->dtype)
        return mt_fail(MT_RUNTIME,
                       "put_(): self and source expected to have the same dtype, but got self.dtype = "
                       "%s and source.dtype = %s",
                       mt_dtypes[self->dtype].scalar_name, mt_dtypes[source->dtype].scalar_name);
    if (source->numel != index->numel)
        return mt_fail(MT_INDEX,
                       "put_(): Expected source and index to have the same number of elements, but got "
                       "source.numel() = %lld, index.numel() = %lld",
                       (long long)source->numel, (long long)index->numel);
    if (self->numel == 0 && index->numel)
        return mt_fail(MT_INDEX, "put_(): Expected self to be non-empty when index is non-empty");
    if (mt_check_no_internal_overlap(self) < 0)
        return -1;
    if (mt_is_meta(self) || index->numel == 0)
        return 0;
    mt_tensor *packed = mt_contiguous_data(source, source->storage == self->storage);
    int64_t *at = packed ? flat_offsets(self, index) : NULL;
    if (at) {
        mt_places p = {.base = mt_data(self), .at = at, .nat = index->numel, .nbefore = 1,
                       .nafter = 1, .block = (size_t)mt_itemsize(self)};
        mt_places_write(&p, mt_data(packed), false,
                        accumulate ? mt_combiner(MT_COMBINE_ADD, (mt_dtype)self->dtype) : NULL,
                        p.block);
        mt_free(at, (size_t)index->numel * sizeof *at);
    }
    mt_xrelease(packed);
    return at ? 0 : -1;
}

mt_tensor *
mth_put_self_backward(mt_tensor *grad, mt_tensor *index, bool accumulate)
{
    if (accumulate)
        return mt_keep(grad);
    mt_tensor *zeros = aten_zeros(index->sizes, index->ndim, (mt_dtype)grad->dtype, -1, grad->device,
                                  mt_v_none());
    mt_tensor *r = zeros ? aten_put(grad, index, zeros, false) : NULL;
    mt_xrelease(zeros);
    return r;
}

/* Negative places count from the end: a packed copy without them. */
static mt_tensor *
without_negative(mt_tensor *index, int64_t size)
{
    mt_tensor *packed = mt_index_i64(index),
              *t = packed ? mt_contiguous_data(packed, true) : NULL;
    int64_t *v = t && !mt_is_meta(t) ? mt_data(t) : NULL;
    for (int64_t i = 0; v && i < t->numel; i++)
        v[i] += v[i] < 0 ? size : 0;
    mt_xrelease(packed);
    return t;
}

mt_tensor *
op_take_along_dim(mt_tensor *self, mt_tensor *indices, mt_value dim)
{
    if (indices->dtype != MT_INT64 && indices->dtype != MT_INT32)
        return mt_fail_null(MT_RUNTIME, "gather(): Expected dtype int32/int64 for index");
    mt_tensor *a = NULL, *b = NULL, *r = NULL, *wrapped = NULL;
    const int64_t flat[] = {-1};
    if (mt_is_none(dim)) {
        if ((wrapped = without_negative(indices, self->numel)) &&
            (a = aten_reshape(self, flat, 1)) && (b = aten_reshape(wrapped, flat, 1)))
            r = aten_gather(a, 0, b, false);
        goto done;
    }
    if (self->ndim != indices->ndim)
        return mt_fail_null(MT_RUNTIME,
                            "torch.take_along_dim(): input and indices should have the same number of "
                            "dimensions, but got %d dimensions for input, and %d dimensions for "
                            "indices",
                            self->ndim, indices->ndim);
    int d = mt_wrap_dim(dim.u.i, self->ndim), n = self->ndim;
    if (d < 0)
        return NULL;
    int64_t sa[MT_MAX_DIMS], sb[MT_MAX_DIMS];
    memcpy(sa, self->sizes, (size_t)n * sizeof *sa);
    memcpy(sb, indices->sizes, (size_t)n * sizeof *sb);
    if (n) {
        sb[d] = self->sizes[d];
        if (mt_broadcast(sa, n, sb, n) < 0)
            return NULL;
        memcpy(sb, sa, (size_t)n * sizeof *sb);
        sb[d] = indices->sizes[d];
    }
    if ((wrapped = without_negative(indices, n ? self->sizes[d] : 1)) &&
        (a = aten_expand(self, sa, n, false)) && (b = aten_expand(wrapped, sb, n, false)))
        r = aten_gather(a, d, b, false);
done:
    mt_xrelease(wrapped);
    mt_xrelease(a);
    mt_xrelease(b);
    return r;
}

/* ---- the forms that leave self alone ------------------------------------------------------ */

#define COPIED(name, inplace, params, ...)                                                         \
    mt_tensor *name params                                                                         \
    {                                                                                              \
        mt_tensor *t = aten_clone(self, MT_PRESERVE);                                              \
        if (t && inplace(t, __VA_ARGS__) < 0) {                                                    \
            mt_release(t);                                                                         \
            return NULL;                                                                           \
        }                                                                                          \
        return t;                                                                                  \
    }
#define ENTRIES mt_tensor *self, int64_t dim, mt_tensor *index
COPIED(op_scatter_src, op_scatter__src, (ENTRIES, mt_tensor *src), dim, index, src)
COPIED(op_scatter_value, op_scatter__value, (ENTRIES, mt_scalar value), dim, index, value)
COPIED(op_scatter_reduce, op_scatter__reduce, (ENTRIES, mt_tensor *src, const char *reduce), dim,
       index, src, reduce)
COPIED(op_scatter_value_reduce, op_scatter__value_reduce,
       (ENTRIES, mt_scalar value, const char *reduce), dim, index, value, reduce)
COPIED(op_scatter_add, op_scatter_add_, (ENTRIES, mt_tensor *src), dim, index, src)
COPIED(op_scatter_reduce_two, op_scatter_reduce__two,
       (ENTRIES, mt_tensor *src, const char *reduce, bool include_self), dim, index, src, reduce,
       include_self)
COPIED(op_put, op_put_, (mt_tensor * self, mt_tensor *index, mt_tensor *source, bool accumulate),
       index, source, accumulate)
