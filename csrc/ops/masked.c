/* Masks: filling, selecting and scattering where one is true; the places of what is not zero. */
#include <complex.h>

#include "base/error.h"
#include "base/pool.h"
#include "ops/indexing.h"
#include "ops/pointwise.h"
#include "ops_gen.h"
#include "tensor/iter.h"

/* C's names of element types, as PyTorch prints them in texts on masks. */
static const char *
c_name(mt_dtype d)
{
    switch (d) {
    case MT_UINT8: return "unsigned char";
    case MT_INT8: return "signed char";
    case MT_INT16: return "short int";
    case MT_INT32: return "int";
    case MT_INT64: return "long int";
    case MT_FLOAT32: return "float";
    case MT_FLOAT64: return "double";
    case MT_FLOAT16: return "c10::Half";
    case MT_BFLOAT16: return "c10::BFloat16";
    case MT_COMPLEX64: return "c10::complex<float>";
    case MT_COMPLEX128: return "c10::complex<double>";
    default: return mt_dtypes[d].name;
    }
}

/* ---- masked_fill -------------------------------------------------------------------------- */

typedef struct filling {
    char value[16];
    size_t size;
} filling;

#define FILL(T)                                                                                    \
    {                                                                                              \
        T v;                                                                                       \
        memcpy(&v, f->value, sizeof v);                                                            \
        for (int64_t i = 0; i < n; i++)                                                            \
            if (*(const uint8_t *)(ptrs[1] + i * strides[1]))                                      \
                memcpy(ptrs[0] + i * strides[0], &v, sizeof v);                                    \
        return;                                                                                    \
    }

static void
run_fill(void *ctx, char **ptrs, const int64_t *strides, int64_t n)
{
    const filling *f = ctx;
    switch (f->size) {
    case 1: FILL(uint8_t)
    case 2: FILL(uint16_t)
    case 4: FILL(uint32_t)
    case 8: FILL(uint64_t)
    default:
        for (int64_t i = 0; i < n; i++)
            if (*(const uint8_t *)(ptrs[1] + i * strides[1]))
                memcpy(ptrs[0] + i * strides[0], f->value, f->size);
    }
}

static int
fill(mt_tensor *self, mt_tensor *mask, mt_tensor *value)
{
    if (mask->dtype != MT_BOOL)
        return mt_fail(MT_RUNTIME, "masked_fill_ only supports boolean masks, but got mask with dtype %s",
                       c_name((mt_dtype)mask->dtype));
    int64_t sizes[MT_MAX_DIMS];
    memcpy(sizes, mask->sizes, mask->ndim * sizeof(int64_t));
    int ndim = mt_broadcast(sizes, mask->ndim, self->sizes, self->ndim);
    if (ndim < 0)
        return -1;
    if (ndim != self->ndim || memcmp(sizes, self->sizes, (size_t)ndim * sizeof(int64_t)))
        return mt_fail(MT_RUNTIME, "output with shape %s doesn't match the broadcast shape %s",
                       mt_shape_str(self), mt_str_ints(sizes, ndim));
    if (mt_check_no_internal_overlap(self) < 0)
        return -1;
    if (mt_is_complex((mt_dtype)value->dtype) && !mt_is_complex((mt_dtype)self->dtype) &&
        cimag(*(mt_complex128 *)mt_data(value)) != 0)
        return mt_fail(MT_RUNTIME, "value cannot be converted to type %s without overflow",
                       c_name((mt_dtype)self->dtype));
    if (mt_is_meta(self) || self->numel == 0)
        return 0;
    mt_tensor *one = mt_packed_as(value, (mt_dtype)self->dtype, 0, NULL), *safe = NULL;
    if (!one)
        return -1;
    filling f = {.size = (size_t)mt_itemsize(self)};
    memcpy(f.value, mt_data(one), f.size);
    mt_release(one);
    if (mask->storage == self->storage && !(safe = mt_contiguous_data(mask, true)))
        return -1;
    mt_tensor *operands[2] = {self, safe ? safe : mask};
    mt_iter it;
    mt_iter_init(&it, 2, operands, self->ndim, self->sizes);
    mt_iter_simplify(&it);
    mt_iter_run(&it, run_fill, &f, MT_GRAIN);
    mt_xrelease(safe);
    return 0;
}

int
op_masked_fill__Scalar(mt_tensor *self, mt_tensor *mask, mt_scalar value)
{
    mt_tensor *t = mt_scalar_to_tensor(value, value.tag == MT_V_COMPLEX ? MT_COMPLEX128
                                              : value.tag == MT_V_FLOAT ? MT_FLOAT64
                                                                        : MT_INT64);
    int rc = t ? fill(self, mask, t) : -1;
    mt_xrelease(t);
    return rc;
}

int
op_masked_fill__Tensor(mt_tensor *self, mt_tensor *mask, mt_tensor *value)
{
    if (value->ndim)
        return mt_fail(MT_RUNTIME,
                       "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with "
                       "%d dimension(s).",
                       value->ndim);
    mt_tensor *wide = value;
    if (mt_is_complex((mt_dtype)value->dtype) && value->dtype != MT_COMPLEX128 && !mt_is_meta(value) &&
        !(wide = mt_packed_as(value, MT_COMPLEX128, 0, NULL)))
        return -1;
    int rc = fill(self, mask, wide);
    if (wide != value)
        mt_release(wide);
    return rc;
}

/* self broadcast against the mask, as a new packed tensor. */
static mt_tensor *
expanded_copy(mt_tensor *self, mt_tensor *mask)
{
    int64_t sizes[MT_MAX_DIMS];
    memcpy(sizes, mask->sizes, mask->ndim * sizeof(int64_t));
    int ndim = mt_broadcast(sizes, mask->ndim, self->sizes, self->ndim);
    if (ndim < 0)
        return NULL;
    if (ndim == self->ndim && !memcmp(sizes, self->sizes, (size_t)ndim * sizeof(int64_t)))
        return aten_clone(self, MT_PRESERVE);
    mt_tensor *view = aten_expand(self, sizes, ndim, false),
              *copy = view ? aten_clone(view, MT_CONTIGUOUS) : NULL;
    mt_xrelease(view);
    return copy;
}

#define COPIED(name, inplace, type)                                                                \
    mt_tensor *name(mt_tensor *self, mt_tensor *mask, type value)                                  \
    {                                                                                              \
        mt_tensor *t = expanded_copy(self, mask);                                                  \
        if (t && inplace(t, mask, value) < 0) {                                                    \
            mt_release(t);                                                                         \
            return NULL;                                                                           \
        }                                                                                          \
        return t;                                                                                  \
    }
COPIED(op_masked_fill_Scalar, op_masked_fill__Scalar, mt_scalar)
COPIED(op_masked_fill_Tensor, op_masked_fill__Tensor, mt_tensor *)

mt_tensor *
mth_masked_fill_value_backward(mt_tensor *grad, mt_tensor *mask)
{
    mt_tensor *view = aten_expand(mask, grad->sizes, grad->ndim, false),
              *kept = view ? aten_masked_select(grad, view) : NULL,
              *r = kept ? aten_sum(kept, MT_DTYPE_NONE) : NULL;
    mt_xrelease(view);
    mt_xrelease(kept);
    return r;
}

/* ---- masked_select, masked_scatter -------------------------------------------------------- */

mt_tensor *
op_masked_select(mt_tensor *self, mt_tensor *mask)
{
    if (mask->dtype != MT_BOOL)
        return mt_fail_null(MT_RUNTIME, "masked_select: expected BoolTensor for mask");
    int64_t sizes[MT_MAX_DIMS];
    memcpy(sizes, mask->sizes, mask->ndim * sizeof(int64_t));
    int ndim = mt_broadcast(sizes, mask->ndim, self->sizes, self->ndim);
    if (ndim < 0)
        return NULL;
    mt_tensor *flags = mt_packed_as(mask, MT_BOOL, ndim, sizes),
              *values = flags ? mt_packed_as(self, (mt_dtype)self->dtype, ndim, sizes) : NULL,
              *out = NULL;
    if (values) {
        const uint8_t *m = mt_data(flags);
        int64_t count = 0;
        for (int64_t i = 0; i < flags->numel; i++)
            count += m[i] != 0;
        if ((out = mt_empty(1, &count, NULL, (mt_dtype)self->dtype, self->device))) {
            size_t size = (size_t)mt_itemsize(self);
            const char *from = mt_data(values);
            char *to = mt_data(out);
            for (int64_t i = 0; i < flags->numel; i++)
                if (m[i]) {
                    memcpy(to, from + i * (int64_t)size, size);
                    to += size;
                }
        }
    }
    mt_xrelease(values);
    mt_xrelease(flags);
    return out;
}

mt_tensor *
mth_masked_select_backward(mt_tensor *grad, const int64_t *shape, int64_t shape_n, mt_tensor *mask)
{
    int64_t sizes[MT_MAX_DIMS];
    memcpy(sizes, shape, (size_t)shape_n * sizeof *sizes);
    int ndim = mt_broadcast(sizes, (int)shape_n, mask->sizes, mask->ndim);
    if (ndim < 0)
        return NULL;
    mt_tensor *zeros = aten_zeros(sizes, ndim, (mt_dtype)grad->dtype, -1, grad->device, mt_v_none());
    mt_tensor *r = zeros ? aten_masked_scatter(zeros, mask, grad) : NULL;
    mt_xrelease(zeros);
    return r;
}

int
op_masked_scatter_(mt_tensor *self, mt_tensor *mask, mt_tensor *source)
{
    if (self->dtype != source->dtype)
        return mt_fail(MT_RUNTIME,
                       "masked_scatter: expected self and source to have same dtypes but got%s and %s",
                       mt_dtypes[self->dtype].scalar_name, mt_dtypes[source->dtype].scalar_name);
    if (mask->dtype != MT_BOOL)
        return mt_fail(MT_RUNTIME,
                       "masked_scatter_ only supports boolean masks, but got mask with dtype %s",
                       mt_dtypes[mask->dtype].scalar_name);
    int64_t sizes[MT_MAX_DIMS];
    memcpy(sizes, mask->sizes, mask->ndim * sizeof(int64_t));
    int ndim = mt_broadcast(sizes, mask->ndim, self->sizes, self->ndim);
    if (ndim < 0)
        return -1;
    if (ndim != self->ndim || memcmp(sizes, self->sizes, (size_t)ndim * sizeof(int64_t)))
        return mt_fail(MT_RUNTIME,
                       "The expanded size of the tensor (%lld) must match the existing size",
                       (long long)self->numel);
    if (mt_check_no_internal_overlap(self) < 0)
        return -1;
    if (mt_is_meta(self))
        return 0;
    mt_tensor *flags = mt_packed_as(mask, MT_BOOL, ndim, sizes),
              *from = flags ? mt_contiguous_data(source, source->storage == self->storage) : NULL,
              *out = from ? mt_contiguous_data(self, false) : NULL;
    int rc = -1;
    if (out) {
        size_t size = (size_t)mt_itemsize(self);
        const uint8_t *m = mt_data(flags);
        const char *s = mt_data(from);
        char *to = mt_data(out);
        int64_t used = 0;
        rc = 0;
        for (int64_t i = 0; i < flags->numel; i++)
            if (m[i]) {
                if (used == from->numel) {
                    rc = mt_fail(MT_RUNTIME, "Number of elements of source < number of ones in mask");
                    break;
                }
                memcpy(to + i * (int64_t)size, s + used++ * (int64_t)size, size);
            }
        if (rc == 0 && out != self)
            rc = mt_copy_data(self, out);
    }
    mt_xrelease(out);
    mt_xrelease(from);
    mt_xrelease(flags);
    return rc;
}
COPIED(op_masked_scatter, op_masked_scatter_, mt_tensor *)

mt_tensor *
op_masked_scatter_backward(mt_tensor *grad_output, mt_tensor *mask, const int64_t *sizes,
                           int64_t sizes_n)
{
    int64_t wanted = 1;
    for (int64_t d = 0; d < sizes_n; d++)
        wanted *= sizes[d];
    mt_tensor *view = aten_expand(mask, grad_output->sizes, grad_output->ndim, false),
              *kept = view ? aten_masked_select(grad_output, view) : NULL, *whole = NULL, *r = NULL;
    if (kept && kept->numel < wanted) { /* elements that were not used get no gradient */
        mt_tensor *zeros = aten_zeros(&wanted, 1, (mt_dtype)kept->dtype, -1, kept->device, mt_v_none()),
                  *part = zeros ? aten_slice_Tensor(zeros, 0, mt_v_int(0), mt_v_int(kept->numel), 1)
                                : NULL;
        if (part && aten_copy_(part, kept, false) == 0)
            whole = mt_keep(zeros);
        mt_xrelease(part);
        mt_xrelease(zeros);
    } else if (kept)
        whole = aten_slice_Tensor(kept, 0, mt_v_int(0), mt_v_int(wanted), 1);
    r = whole ? aten_reshape(whole, sizes, sizes_n) : NULL;
    mt_xrelease(whole);
    mt_xrelease(kept);
    mt_xrelease(view);
    return r;
}

/* ---- nonzero ------------------------------------------------------------------------------ */

mt_tensor *
op_nonzero(mt_tensor *self)
{
    mt_tensor *columns = mt_nonzero_columns(self);
    if (!columns)
        return NULL;
    int64_t n = columns->sizes[1], ndim = columns->sizes[0];
    mt_tensor *t;
    if (self->ndim == 0) {
        mt_tensor *flag = mt_packed_as(self, MT_BOOL, 0, NULL);
        int64_t sizes[2] = {flag && *(uint8_t *)mt_data(flag) ? 1 : 0, 0};
        t = flag ? mt_alias(columns, 0, 2, sizes, (const int64_t[]){1, sizes[0]}) : NULL;
        mt_xrelease(flag);
    } else
        t = mt_alias(columns, 0, 2, (const int64_t[]){n, ndim}, (const int64_t[]){1, n});
    mt_release(columns);
    return t;
}

mt_tensor *
op_argwhere(mt_tensor *self)
{
    return aten_nonzero(self);
}

int
op_nonzero_numpy(mt_tensor *self, mt_list *ret0)
{
    mt_tensor *flat = NULL, *places = NULL;
    if (self->ndim == 0) {
        if (!(flat = aten_reshape(self, (const int64_t[]){1}, 1)))
            return -1;
        self = flat;
    }
    int rc = -1;
    mt_list list = {0};
    if (!(places = aten_nonzero(self)) || !(list = mt_list_new(self->ndim)).items)
        goto done;
    for (int d = 0; d < self->ndim; d++)
        if (!(list.items[d] = aten_select_int(places, 1, d))) {
            mt_list_free(&list);
            goto done;
        }
    *ret0 = list;
    rc = 0;
done:
    mt_xrelease(places);
    mt_xrelease(flat);
    return rc;
}

int
op_where(mt_tensor *condition, mt_list *ret0)
{
    return op_nonzero_numpy(condition, ret0);
}
