/* Elementwise functions that are more than one loop. */
#include <math.h>

#include "base/error.h"
#include "base/pool.h"
#include "ops/pointwise.h"
#include "ops_gen.h"

/* ---- complex numbers of parts ------------------------------------------------------------- */

static int
check_parts(const mt_tensor *a, const mt_tensor *b)
{
    for (int i = 0; i < 2; i++) {
        mt_dtype d = (mt_dtype)(i ? b : a)->dtype;
        if (d != MT_FLOAT16 && d != MT_FLOAT32 && d != MT_FLOAT64)
            return mt_fail(MT_RUNTIME,
                           "Expected both inputs to be Half, Float or Double tensors but got %s and %s",
                           mt_dtypes[a->dtype].scalar_name, mt_dtypes[b->dtype].scalar_name);
    }
    if (a->dtype != b->dtype)
        return mt_fail(MT_RUNTIME,
                       "Expected object of scalar type %s but got scalar type %s for second argument",
                       mt_dtypes[a->dtype].scalar_name, mt_dtypes[b->dtype].scalar_name);
    if (a->dtype == MT_FLOAT16)
        return mt_fail(MT_NOT_IMPLEMENTED, "\"complex\" not implemented for 'Half': complex32 is not built");
    return 0;
}

/* One of the two parts of `whole` as a strided real tensor. */
static mt_tensor *
part_of(mt_tensor *whole, int which, mt_dtype real)
{
    int64_t strides[MT_MAX_DIMS];
    for (int d = 0; d < whole->ndim; d++)
        strides[d] = 2 * whole->strides[d];
    return mt_tensor_on(whole->storage, real, 2 * whole->offset + which, whole->ndim, whole->sizes,
                        strides, whole->keys, whole->device);
}

mt_tensor *
op_complex(mt_tensor *real, mt_tensor *imag)
{
    if (check_parts(real, imag) < 0)
        return NULL;
    int64_t sizes[MT_MAX_DIMS];
    memcpy(sizes, real->sizes, (size_t)real->ndim * sizeof *sizes);
    int ndim = mt_broadcast(sizes, real->ndim, imag->sizes, imag->ndim);
    if (ndim < 0)
        return NULL;
    mt_dtype dtype = (mt_dtype)real->dtype;
    int64_t strides[MT_MAX_DIMS];
    mt_tensor *operands[2] = {real, imag};
    bool packed = mt_elementwise_strides(operands, 2, ndim, sizes, strides);
    mt_tensor *out = mt_empty(ndim, sizes, packed ? NULL : strides,
                              dtype == MT_FLOAT32 ? MT_COMPLEX64 : MT_COMPLEX128, real->device);
    if (!out || mt_is_meta(out))
        return out;
    for (int i = 0; i < 2; i++) {
        mt_tensor *part = part_of(out, i, dtype);
        int rc = part ? mt_copy_data(part, operands[i]) : -1;
        mt_xrelease(part);
        if (rc < 0) {
            mt_release(out);
            return NULL;
        }
    }
    return out;
}

mt_tensor *
op_polar(mt_tensor *abs, mt_tensor *angle)
{
    if (check_parts(abs, angle) < 0)
        return NULL;
    mt_tensor *cosine = aten_cos(angle), *sine = aten_sin(angle), *x = NULL, *y = NULL, *out = NULL;
    if (cosine && sine && (x = aten_mul_Tensor(abs, cosine)) && (y = aten_mul_Tensor(abs, sine)))
        out = op_complex(x, y);
    mt_xrelease(cosine);
    mt_xrelease(sine);
    mt_xrelease(x);
    mt_xrelease(y);
    return out;
}

/* ---- numbers that are not finite ---------------------------------------------------------- */

static double
largest_of(mt_dtype dtype)
{
    switch (dtype) {
    case MT_FLOAT16: return 65504.0;
    case MT_BFLOAT16: return 3.3895313892515355e38;
    case MT_FLOAT32:
    case MT_COMPLEX64: return 3.4028234663852886e38;
    default: return 1.7976931348623157e308;
    }
}

mt_tensor *
op_nan_to_num(mt_tensor *self, mt_value nan, mt_value posinf, mt_value neginf)
{
    if (!mt_is_floating(self->dtype) && !mt_is_complex(self->dtype))
        return aten_clone(self, MT_FORMAT_NONE);
    double largest = largest_of((mt_dtype)self->dtype);
    mt_scalar a = mt_v_float(mt_is_none(nan) ? 0 : mt_scalar_f64(nan));
    mt_scalar b = mt_v_float(mt_is_none(posinf) ? largest : mt_scalar_f64(posinf));
    mt_scalar c = mt_v_float(mt_is_none(neginf) ? -largest : mt_scalar_f64(neginf));
    if (!mt_is_complex(self->dtype))
        return aten__nan_values(self, a, b, c);
    mt_tensor *plain = aten_resolve_conj(self), *parts = plain ? aten_view_as_real(plain) : NULL;
    mt_tensor *made = parts ? aten__nan_values(parts, a, b, c) : NULL;
    mt_tensor *out = made ? aten_view_as_complex(made) : NULL;
    mt_xrelease(plain);
    mt_xrelease(parts);
    mt_xrelease(made);
    return out;
}

/* ---- fills -------------------------------------------------------------------------------- */

int
op_fill__Tensor(mt_tensor *self, mt_tensor *value)
{
    if (value->ndim)
        return mt_fail(MT_RUNTIME,
                       "fill_ only supports 0-dimension value tensor but got tensor with %d dimensions.",
                       value->ndim);
    return mt_is_meta(self) ? 0 : mt_copy_data(self, value);
}

int
op_fill_diagonal_(mt_tensor *self, mt_scalar fill_value, bool wrap)
{
    if (self->ndim < 2)
        return mt_fail(MT_RUNTIME, "dimensions must larger than 1");
    int64_t height = self->sizes[0], width = self->sizes[1], shortest = height, stride = 0;
    for (int d = 0; d < self->ndim; d++) {
        if (self->ndim > 2 && self->sizes[d] != height)
            return mt_fail(MT_RUNTIME, "all dimensions of input must be of equal length");
        shortest = MT_MIN(shortest, self->sizes[d]);
        stride += self->strides[d];
    }
    mt_tensor *line = mt_alias(self, self->offset, 1, &shortest, &stride);
    int rc = line ? mt_fill_data(line, fill_value) : -1;
    mt_xrelease(line);
    /* a tall matrix: the diagonal starts again, one row below each block */
    if (rc == 0 && wrap && self->ndim == 2 && height > width + 1) {
        int64_t step = width + 1, left = ((self->numel + width) / step) - shortest;
        for (int64_t k = 0; k < left && rc == 0; k++) {
            int64_t at = (shortest + k) * step, row = at / width, column = at % width;
            if (row >= height)
                break;
            line = mt_alias(self, self->offset + row * self->strides[0] + column * self->strides[1], 0,
                            NULL, NULL);
            rc = line ? mt_fill_data(line, fill_value) : -1;
            mt_xrelease(line);
        }
    }
    return rc;
}

/* ---- integrals ---------------------------------------------------------------------------- */

/* Sums of neighbours along d. */
static mt_tensor *
neighbours(mt_tensor *y, int d, bool difference)
{
    mt_tensor *a = aten_slice_Tensor(y, d, mt_v_int(0), mt_v_int(-1), 1);
    mt_tensor *b = aten_slice_Tensor(y, d, mt_v_int(1), mt_v_none(), 1);
    mt_tensor *r = a && b ? difference ? aten_sub_Tensor(b, a, mt_v_int(1))
                                       : aten_add_Tensor(a, b, mt_v_int(1))
                          : NULL;
    mt_xrelease(a);
    mt_xrelease(b);
    return r;
}

/* y's areas between samples: halves of sums of neighbours times the distance (a tensor, or dx). */
static mt_tensor *
areas(mt_tensor *y, int d, mt_tensor *x, double dx, const char *who)
{
    mt_tensor *pairs = NULL, *widths = NULL, *shaped = NULL, *r = NULL, *half = NULL, *factor = NULL;
    if (x) {
        if (x->ndim == 0)
            return mt_fail_null(MT_RUNTIME, "%s: There must be one `x` value for each sample point", who);
        int64_t shape[MT_MAX_DIMS], n = x->ndim;
        if (x->ndim == 1) {
            if (x->sizes[0] != y->sizes[d])
                return mt_fail_null(MT_RUNTIME, "%s: There must be one `x` value for each sample point",
                                    who);
            for (int k = 0; k < y->ndim; k++)
                shape[k] = k == d ? -1 : 1;
            n = y->ndim;
        } else {
            int lead = MT_MAX(0, y->ndim - x->ndim);
            for (int k = 0; k < lead; k++)
                shape[k] = 1;
            memcpy(shape + lead, x->sizes, (size_t)x->ndim * sizeof *shape);
            n = x->ndim + lead;
        }
        if (!(shaped = aten_reshape(x, shape, n)) ||
            !(widths = neighbours(shaped, MT_MIN(d, shaped->ndim - 1), true)))
            goto done;
    }
    if (!(pairs = neighbours(y, d, false)))
        goto done;
    if (widths)
        factor = mt_keep(widths);
    else if (!(factor = mt_wrap_scalar(mt_v_float(dx))))
        goto done;
    half = mt_wrap_scalar(mt_v_float(2));
    mt_tensor *product = half ? aten_mul_Tensor(factor, pairs) : NULL;
    r = product ? aten_div_Tensor(product, half) : NULL;
    mt_xrelease(product);
done:
    mt_xrelease(shaped);
    mt_xrelease(widths);
    mt_xrelease(pairs);
    mt_xrelease(half);
    mt_xrelease(factor);
    return r;
}

static mt_tensor *
integrate(mt_tensor *y, mt_tensor *x, double dx, int64_t dim, bool running)
{
    const char *who = running ? "cumulative_trapezoid" : "trapezoid";
    int d = mt_wrap_dim(dim, y->ndim);
    if (d < 0)
        return NULL;
    if (y->dtype == MT_BOOL || (x && x->dtype == MT_BOOL))
        return mt_fail_null(MT_RUNTIME, "%s: received a bool input for `%s`, but bool is not supported",
                            who, y->dtype == MT_BOOL ? "y" : "x");
    int64_t at = d;
    if (!running && y->ndim && y->sizes[d] == 0) {
        int64_t sizes[MT_MAX_DIMS];
        int n = 0;
        for (int k = 0; k < y->ndim; k++)
            if (k != d)
                sizes[n++] = y->sizes[k];
        return aten_zeros(sizes, n, (mt_dtype)y->dtype, -1, y->device, mt_v_none());
    }
    mt_tensor *a = areas(y, d, x, dx, who);
    mt_tensor *r = !a ? NULL
                   : running ? aten_cumsum(a, d, MT_DTYPE_NONE)
                             : aten_sum_dim_IntList(a, &at, 1, false, MT_DTYPE_NONE);
    mt_xrelease(a);
    return r;
}

mt_tensor *
op_trapezoid_x(mt_tensor *y, mt_tensor *x, int64_t dim)
{
    return integrate(y, x, 0, dim, false);
}

mt_tensor *
op_trapezoid_dx(mt_tensor *y, mt_scalar dx, int64_t dim)
{
    return integrate(y, NULL, mt_scalar_f64(dx), dim, false);
}

mt_tensor *
op_trapz_dx(mt_tensor *y, double dx, int64_t dim)
{
    return integrate(y, NULL, dx, dim, false);
}

mt_tensor *
op_cumulative_trapezoid_x(mt_tensor *y, mt_tensor *x, int64_t dim)
{
    return integrate(y, x, 0, dim, true);
}

mt_tensor *
op_cumulative_trapezoid_dx(mt_tensor *y, mt_scalar dx, int64_t dim)
{
    return integrate(y, NULL, mt_scalar_f64(dx), dim, true);
}
