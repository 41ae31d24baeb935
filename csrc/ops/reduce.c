/* Sums. */
#include "base/error.h"
#include "ops/pointwise.h"
#include "ops_gen.h"

static mt_dtype
sum_dtype(const mt_tensor *self, mt_dtype dtype)
{
    if (dtype != MT_DTYPE_NONE)
        return dtype;
    return mt_is_integral((mt_dtype)self->dtype, true) ? MT_INT64 : (mt_dtype)self->dtype;
}

int
sum_dim_IntList_meta(mt_call *call, mt_tensor *self, const int64_t *dim, int64_t dim_n,
                     bool keepdim, mt_dtype dtype)
{
    bool drop[MT_MAX_DIMS] = {false};
    for (int64_t i = 0; i < dim_n; i++) {
        int d = mt_wrap_dim(dim[i], self->ndim);
        if (d < 0)
            return -1;
        if (drop[d])
            return mt_fail(MT_RUNTIME, "dim %d appears multiple times in the list of dims", d);
        drop[d] = true;
    }
    int64_t sizes[MT_MAX_DIMS];
    int n = 0;
    for (int d = 0; d < self->ndim; d++) {
        if (dim_n == 0 || drop[d]) {
            if (keepdim)
                sizes[n++] = 1;
        } else
            sizes[n++] = self->sizes[d];
    }
    return mt_set_output(call, 0, n, sizes, NULL, sum_dtype(self, dtype), self->device);
}

int
sum_dim_IntList_impl(mt_call *call, mt_tensor *self, const int64_t *dim, int64_t dim_n,
                     bool keepdim, mt_dtype dtype)
{
    (void)keepdim;
    (void)dtype;
    mt_tensor *out = mt_out(call, 0), *source = NULL;
    bool drop[MT_MAX_DIMS] = {false};
    for (int64_t i = 0; i < dim_n; i++)
        drop[mt_wrap_dim(dim[i], self->ndim)] = true;
    if (mt_fill_data(out, mt_v_int(0)) < 0)
        return -1;
    if (self->numel == 0)
        return 0;
    mt_tensor *wide = mt_empty(self->ndim, self->sizes, NULL,
                               out->dtype == MT_INT64 ? MT_INT64
                               : mt_is_complex((mt_dtype)out->dtype) ? MT_COMPLEX128
                                                                     : MT_FLOAT64,
                               self->device);
    if (!wide || mt_copy_data(wide, self) < 0)
        return -1;
    int64_t strides[MT_MAX_DIMS], acc_sizes[MT_MAX_DIMS], n = 1;
    for (int d = self->ndim - 1; d >= 0; d--) {
        bool gone = dim_n == 0 || drop[d];
        strides[d] = gone ? 0 : n;
        acc_sizes[d] = gone ? 1 : self->sizes[d];
        n *= acc_sizes[d];
    }
    source = mt_empty(1, &n, NULL, (mt_dtype)wide->dtype, self->device);
    if (!source || mt_fill_data(source, mt_v_int(0)) < 0)
        return -1;
    int64_t index[MT_MAX_DIMS] = {0};
    for (int64_t k = 0; k < wide->numel; k++) {
        int64_t at = 0;
        for (int d = 0; d < self->ndim; d++)
            at += index[d] * strides[d];
        if (wide->dtype == MT_INT64)
            ((int64_t *)mt_data(source))[at] += ((int64_t *)mt_data(wide))[k];
        else if (wide->dtype == MT_FLOAT64)
            ((double *)mt_data(source))[at] += ((double *)mt_data(wide))[k];
        else
            ((mt_complex128 *)mt_data(source))[at] += ((mt_complex128 *)mt_data(wide))[k];
        for (int d = self->ndim - 1; d >= 0; d--) {
            if (++index[d] < self->sizes[d])
                break;
            index[d] = 0;
        }
    }
    mt_release(wide);
    mt_tensor *shaped = mt_alias(source, 0, out->ndim, out->sizes, NULL);
    mt_release(source);
    int rc = shaped ? mt_copy_data(out, shaped) : -1;
    mt_xrelease(shaped);
    return rc;
}

int
sum_meta(mt_call *call, mt_tensor *self, mt_dtype dtype)
{
    return mt_set_output(call, 0, 0, NULL, NULL, sum_dtype(self, dtype), self->device);
}

int
sum_impl(mt_call *call, mt_tensor *self, mt_dtype dtype)
{
    return sum_dim_IntList_impl(call, self, NULL, 0, false, dtype);
}

int
any_meta(mt_call *call, mt_tensor *self)
{
    return mt_set_output(call, 0, 0, NULL, NULL, self->dtype == MT_UINT8 ? MT_UINT8 : MT_BOOL,
                         self->device);
}

int
any_impl(mt_call *call, mt_tensor *self)
{
    mt_tensor *flags = mt_empty(self->ndim, self->sizes, NULL, MT_BOOL, self->device);
    if (!flags || mt_copy_data(flags, self) < 0)
        return -1;
    uint8_t any = 0;
    const uint8_t *p = mt_data(flags);
    for (int64_t i = 0; i < self->numel; i++)
        any |= p[i];
    mt_release(flags);
    return mt_fill_data(mt_out(call, 0), mt_v_bool(any));
}

mt_tensor *
mth_sum_backward(mt_tensor *grad, mt_tensor *self, const int64_t *dim, int64_t dim_n, bool keepdim)
{
    if (keepdim || self->ndim == 0)
        return aten_expand(grad, self->sizes, self->ndim, false);
    int64_t sizes[MT_MAX_DIMS];
    bool all = dim_n == 0;
    for (int d = 0; d < self->ndim; d++)
        sizes[d] = all ? 1 : self->sizes[d];
    for (int64_t i = 0; i < dim_n; i++)
        sizes[dim[i] < 0 ? dim[i] + self->ndim : dim[i]] = 1;
    mt_tensor *view = aten_reshape(grad, sizes, self->ndim);
    if (!view)
        return NULL;
    mt_tensor *r = aten_expand(view, self->sizes, self->ndim, false);
    mt_release(view);
    return r;
}
