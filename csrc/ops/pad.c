/* Padding of the last one to three dimensions with elements of the tensor itself.
 *
 * Each padded dimension has a table that says from which place an output element comes. Forward
 * copies bytes by these tables; the gradient adds along them, one plane per parallel chunk, so that
 * sums have one order. */
#include <stdio.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/pool.h"
#include "ops/pointwise.h"
#include "ops_gen.h"

typedef enum border { REFLECT, REPLICATE } border;

typedef struct plan {
    int dims, ndim;
    int64_t planes, in[3], out[3]; /* right-aligned: unused dimensions in front are 1 long */
    int64_t sizes[5];              /* of the padded tensor */
    int64_t before[3];
} plan;

static int
make_plan(plan *p, border mode, const mt_tensor *self, const int64_t *pad, int64_t pad_n, int dims)
{
    memset(p, 0, sizeof *p);
    if (pad_n != 2 * dims)
        return mode == REFLECT ? mt_fail(MT_RUNTIME, "padding size is expected to be %d, but got: %lld",
                                         2 * dims, (long long)pad_n)
                               : mt_fail(MT_RUNTIME, "padding size is expected to be %d", 2 * dims);
    bool fits = self->ndim == dims + 1 || self->ndim == dims + 2;
    for (int d = self->ndim == dims + 2; fits && d < self->ndim; d++)
        fits = self->sizes[d] != 0;
    if (!fits)
        return mt_fail(MT_RUNTIME,
                       "Expected %dD or %dD (batch mode) tensor with possibly 0 batch size and other "
                       "non-zero dimensions for input, but got: %s",
                       dims + 1, dims + 2, mt_shape_str(self));
    int lead = self->ndim - dims;
    bool small = false;
    p->dims = dims;
    p->ndim = self->ndim;
    p->planes = 1;
    for (int d = 0; d < lead; d++)
        p->planes *= p->sizes[d] = self->sizes[d];
    for (int d = 0; d < 3; d++)
        p->in[d] = p->out[d] = 1;
    for (int d = dims - 1; d >= 0; d--) {
        int64_t n = self->sizes[lead + d], a = pad[2 * (dims - 1 - d)], b = pad[2 * (dims - 1 - d) + 1];
        if (mode == REFLECT && (a >= n || b >= n))
            return mt_fail(MT_RUNTIME,
                           "Argument #%d: Padding size should be less than the corresponding input "
                           "dimension, but got: padding (%lld, %lld) at dimension %d of input %s",
                           4 + 2 * (dims - 1 - d), (long long)a, (long long)b, lead + d,
                           mt_shape_str(self));
        p->in[3 - dims + d] = n;
        p->out[3 - dims + d] = p->sizes[lead + d] = n + a + b;
        p->before[3 - dims + d] = a;
        small = small || n + a + b < 1;
    }
    if (small && dims == 3) /* the comma is missing in PyTorch's text, too */
        return mt_fail(MT_RUNTIME,
                       "input (D: %lld H: %lld, W: %lld) is too small. Calculated output D: %lld H: "
                       "%lld W: %lld",
                       (long long)p->in[0], (long long)p->in[1], (long long)p->in[2],
                       (long long)p->out[0], (long long)p->out[1], (long long)p->out[2]);
    if (small && dims == 2)
        return mt_fail(MT_RUNTIME, "input (H: %lld, W: %lld%s) is too small. Calculated output H: %lld W: %lld",
                       (long long)p->in[1], (long long)p->in[2], mode == REPLICATE ? " " : "",
                       (long long)p->out[1], (long long)p->out[2]);
    if (small)
        return mt_fail(MT_RUNTIME, "input (W: %lld) is too small. Calculated output W: %lld",
                       (long long)p->in[2], (long long)p->out[2]);
    return 0;
}

static int
check_dtype(const mt_tensor *self, border mode, int dims, bool back)
{
    mt_dtype dtype = (mt_dtype)self->dtype;
    if (back ? mt_is_floating(dtype) || mt_is_complex(dtype) : dtype != MT_BOOL)
        return 0;
    return mt_fail(MT_NOT_IMPLEMENTED, "\"%s_pad%dd%s\" not implemented for '%s'",
                   mode == REFLECT ? "reflection" : "replication", dims, back ? "_backward" : "",
                   mt_dtypes[dtype].scalar_name);
}

/* ---- loops -------------------------------------------------------------------------------- */

typedef struct job {
    const plan *p;
    const int64_t *index[3]; /* place in the input of each place in the output */
    const char *from;
    char *to;
    int64_t size;
    mt_dtype dtype;
} job;

static void
copy_planes(void *ctx, int64_t begin, int64_t end)
{
    const job *j = ctx;
    const plan *p = j->p;
    int64_t size = j->size, line_in = p->in[2] * size, line_out = p->out[2] * size;
    int64_t left = MT_MAX(p->before[2], 0), skip = MT_MAX(-p->before[2], 0);
    int64_t middle = MT_MIN(p->in[2] - skip, p->out[2] - left);
    left = MT_MIN(left, p->out[2]);
    for (int64_t plane = begin; plane < end; plane++)
        for (int64_t z = 0; z < p->out[0]; z++)
            for (int64_t y = 0; y < p->out[1]; y++) {
                const char *from = j->from +
                                   ((plane * p->in[0] + j->index[0][z]) * p->in[1] + j->index[1][y]) * line_in;
                char *to = j->to + ((plane * p->out[0] + z) * p->out[1] + y) * line_out;
                for (int64_t x = 0; x < left; x++)
                    memcpy(to + x * size, from + j->index[2][x] * size, (size_t)size);
                if (middle > 0)
                    memcpy(to + left * size, from + skip * size, (size_t)(middle * size));
                for (int64_t x = left + MT_MAX(middle, 0); x < p->out[2]; x++)
                    memcpy(to + x * size, from + j->index[2][x] * size, (size_t)size);
            }
}

#define ADD_PLANES(name, T)                                                                        \
    static void add_planes_##name(void *ctx, int64_t begin, int64_t end)                           \
    {                                                                                              \
        const job *j = ctx;                                                                        \
        const plan *p = j->p;                                                                      \
        for (int64_t plane = begin; plane < end; plane++)                                          \
            for (int64_t z = 0; z < p->out[0]; z++)                                                \
                for (int64_t y = 0; y < p->out[1]; y++) {                                          \
                    T *to = (T *)j->to + ((plane * p->in[0] + j->index[0][z]) * p->in[1] +         \
                                          j->index[1][y]) * p->in[2];                              \
                    const T *from = (const T *)j->from +                                           \
                                    ((plane * p->out[0] + z) * p->out[1] + y) * p->out[2];         \
                    for (int64_t x = 0; x < p->out[2]; x++)                                        \
                        to[j->index[2][x]] += from[x];                                             \
                }                                                                                  \
    }
ADD_PLANES(f32, float)
ADD_PLANES(f64, double)
ADD_PLANES(c64, mt_complex64)
ADD_PLANES(c128, mt_complex128)

static void
fill_index(int64_t *index, border mode, int64_t in, int64_t out, int64_t before)
{
    for (int64_t o = 0; o < out; o++) {
        int64_t i = o - before;
        if (mode == REFLECT)
            i = i < 0 ? -i : i >= in ? 2 * (in - 1) - i : i;
        index[o] = MT_MAX(0, MT_MIN(i, in - 1));
    }
}

static int
run(const plan *p, border mode, const mt_tensor *from, mt_tensor *to, bool back)
{
    size_t count = (size_t)(p->out[0] + p->out[1] + p->out[2]), bytes = count * sizeof(int64_t);
    int64_t *block = mt_alloc(bytes);
    if (!block)
        return -1;
    mt_dtype dtype = (mt_dtype)to->dtype;
    job j = {.p = p, .from = mt_data(from), .to = mt_data(to), .size = mt_itemsize(to), .dtype = dtype};
    int64_t *next = block;
    for (int d = 0; d < 3; d++) {
        fill_index(next, mode, p->in[d], p->out[d], p->before[d]);
        j.index[d] = next;
        next += p->out[d];
    }
    mt_parallel_body body = !back                    ? copy_planes
                            : dtype == MT_FLOAT32    ? add_planes_f32
                            : dtype == MT_FLOAT64    ? add_planes_f64
                            : dtype == MT_COMPLEX64  ? add_planes_c64
                                                     : add_planes_c128;
    int64_t each = p->out[0] * p->out[1] * p->out[2];
    if (each > 0 && p->planes > 0)
        mt_parallel_for(p->planes, MT_MAX(1, MT_GRAIN / each), body, &j);
    mt_free(block, bytes);
    return 0;
}

static int
pad_forward(mt_call *call, mt_tensor *self, const plan *p, border mode)
{
    if (check_dtype(self, mode, p->dims, false) < 0)
        return -1;
    mt_tensor *x = mt_contiguous_data(self, false);
    int rc = x ? run(p, mode, x, mt_out(call, 0), false) : -1;
    mt_xrelease(x);
    return rc;
}

static int
pad_backward(mt_call *call, mt_tensor *grad, mt_tensor *self, const plan *p, border mode)
{
    mt_tensor *out = mt_out(call, 0), *g = NULL, *sum = NULL;
    mt_dtype dtype = (mt_dtype)self->dtype, work = mt_is_half(dtype) ? MT_FLOAT32 : dtype;
    if (check_dtype(self, mode, p->dims, true) < 0)
        return -1;
    int rc = -1;
    if (work == dtype) {
        g = mt_contiguous_data(grad, false);
        sum = mt_keep(out);
    } else {
        g = mt_empty(grad->ndim, grad->sizes, NULL, work, grad->device);
        sum = mt_empty(self->ndim, self->sizes, NULL, work, self->device);
        if (!g || !sum || mt_copy_data(g, grad) < 0)
            goto done;
    }
    if (!g || mt_fill_data(sum, mt_v_int(0)) < 0 || run(p, mode, g, sum, true) < 0)
        goto done;
    rc = sum == out ? 0 : mt_copy_data(out, sum);
done:
    mt_xrelease(g);
    mt_xrelease(sum);
    return rc;
}

static int
check_grad(const plan *p, const mt_tensor *grad)
{
    static const char *const said[] = {"gradOutput width", "gradOutput height", "gradOutput depth"};
    for (int d = 0; d < p->dims; d++) {
        int at = p->ndim - 1 - d;
        if (grad->ndim != p->ndim || grad->sizes[at] != p->sizes[at])
            return mt_fail(MT_RUNTIME, "%s unexpected. Expected: %lld, Got: %lld",
                           p->dims == 1 ? "grad_output width" : said[d],
                           (long long)p->sizes[at],
                           (long long)(grad->ndim > at ? grad->sizes[at] : 0));
    }
    return 0;
}

#define PADDING(name, MODE, N)                                                                     \
    int name##_pad##N##d_meta(mt_call *call, mt_tensor *self, const int64_t *padding, int64_t n)   \
    {                                                                                              \
        plan p;                                                                                    \
        if (make_plan(&p, MODE, self, padding, n, N) < 0)                                          \
            return -1;                                                                             \
        return mt_set_output_format(call, 0, p.ndim, p.sizes, (mt_dtype)self->dtype, self); \
    }                                                                                              \
    int name##_pad##N##d_impl(mt_call *call, mt_tensor *self, const int64_t *padding, int64_t n)   \
    {                                                                                              \
        plan p;                                                                                    \
        if (make_plan(&p, MODE, self, padding, n, N) < 0)                                          \
            return -1;                                                                             \
        return pad_forward(call, self, &p, MODE);                                                  \
    }                                                                                              \
    int name##_pad##N##d_backward_meta(mt_call *call, mt_tensor *grad, mt_tensor *self,            \
                                       const int64_t *padding, int64_t n)                          \
    {                                                                                              \
        plan p;                                                                                    \
        if (make_plan(&p, MODE, self, padding, n, N) < 0 || check_grad(&p, grad) < 0)              \
            return -1;                                                                             \
        return mt_set_output(call, 0, self->ndim, self->sizes, NULL, (mt_dtype)self->dtype,        \
                             self->device);                                                        \
    }                                                                                              \
    int name##_pad##N##d_backward_impl(mt_call *call, mt_tensor *grad, mt_tensor *self,            \
                                       const int64_t *padding, int64_t n)                          \
    {                                                                                              \
        plan p;                                                                                    \
        if (make_plan(&p, MODE, self, padding, n, N) < 0)                                          \
            return -1;                                                                             \
        return pad_backward(call, grad, self, &p, MODE);                                           \
    }
PADDING(reflection, REFLECT, 1)
PADDING(reflection, REFLECT, 2)
PADDING(reflection, REFLECT, 3)
PADDING(replication, REPLICATE, 1)
PADDING(replication, REPLICATE, 2)
PADDING(replication, REPLICATE, 3)

/* ---- with a number ------------------------------------------------------------------------ */

mt_tensor *
op_constant_pad_nd(mt_tensor *self, const int64_t *pad, int64_t pad_n, mt_scalar value)
{
    if (pad_n % 2)
        return mt_fail_null(MT_RUNTIME, "Length of pad must be even but instead it equals %lld",
                            (long long)pad_n);
    int half = (int)(pad_n / 2), lead = self->ndim - half;
    if (lead < 0)
        return mt_fail_null(MT_RUNTIME,
                            "Length of pad should be no more than twice the number of dimensions of "
                            "the input. Pad length is %lld while the input has %d dimensions.",
                            (long long)pad_n, self->ndim);
    int64_t sizes[MT_MAX_DIMS], from[MT_MAX_DIMS];
    int64_t in_at = self->offset, out_at = 0;
    memcpy(sizes, self->sizes, self->ndim * sizeof(int64_t));
    memcpy(from, self->sizes, self->ndim * sizeof(int64_t));
    for (int d = lead; d < self->ndim; d++) {
        int64_t a = pad[2 * (self->ndim - 1 - d)], b = pad[2 * (self->ndim - 1 - d) + 1];
        sizes[d] = self->sizes[d] + a + b;
        if (sizes[d] < 0)
            return mt_fail_null(MT_RUNTIME,
                                "The input size %lld, plus negative padding %lld and %lld, resulted in "
                                "a negative output size, which is invalid. Check dimension %d of your "
                                "input.",
                                (long long)self->sizes[d], (long long)a, (long long)b, d);
        from[d] = MT_MAX(self->sizes[d] + MT_MIN(a, 0) + MT_MIN(b, 0), 0);
        in_at += MT_MAX(-a, 0) * self->strides[d];
    }
    mt_memory_format format = mt_suggest_format(self);
    mt_tensor *out = mt_empty_format(self->ndim, sizes, (mt_dtype)self->dtype, self->device, format);
    if (!out || mt_is_meta(self))
        return out;
    for (int d = lead; d < self->ndim; d++)
        out_at += MT_MAX(pad[2 * (self->ndim - 1 - d)], 0) * out->strides[d];
    int rc = mt_fill_data(out, value);
    mt_tensor *source = rc == 0 ? mt_alias(self, in_at, self->ndim, from, self->strides) : NULL;
    mt_tensor *place = source ? mt_alias(out, out_at, self->ndim, from, out->strides) : NULL;
    rc = place ? mt_copy_data(place, source) : -1;
    mt_xrelease(source);
    mt_xrelease(place);
    if (rc < 0) {
        mt_release(out);
        return NULL;
    }
    return out;
}

mt_tensor *
mth_constant_pad_backward(mt_tensor *grad, const int64_t *pad, int64_t pad_n)
{
    int64_t negated[MT_MAX_DIMS * 2];
    for (int64_t i = 0; i < pad_n; i++)
        negated[i] = -pad[i];
    return aten_constant_pad_nd(grad, negated, pad_n, mt_v_int(0));
}

/* ---- circular ----------------------------------------------------------------------------- */

/* to[dim: at, at + n] = from[dim: start, start + n] */
static int
copy_part(mt_tensor *to, int64_t at, mt_tensor *from, int64_t start, int64_t n, int dim)
{
    mt_tensor *target = aten_narrow(to, dim, at, n);
    mt_tensor *source = target ? aten_narrow(from, dim, start, n) : NULL;
    int rc = source ? aten_copy_(target, source, false) : -1;
    mt_xrelease(target);
    mt_xrelease(source);
    return rc;
}

/* The middle first, then the borders dimension by dimension, each from what already stands there:
 * so corners come out right. */
mt_tensor *
op__pad_circular(mt_tensor *self, const int64_t *pad, int64_t pad_n)
{
    int dims = (int)(pad_n / 2), lead = self->ndim - dims;
    if (lead < 0)
        return mt_fail_null(MT_RUNTIME, "Padding length too large");
    int64_t sizes[MT_MAX_DIMS];
    memcpy(sizes, self->sizes, self->ndim * sizeof(int64_t));
    for (int d = self->ndim - 1; d >= lead; d--) {
        int64_t a = pad[2 * (self->ndim - 1 - d)], b = pad[2 * (self->ndim - 1 - d) + 1];
        if (a > sizes[d] || b > sizes[d])
            return mt_fail_null(MT_RUNTIME, "Padding value causes wrapping around more than once.");
        sizes[d] += a + b;
        if (sizes[d] < 0)
            return mt_fail_null(MT_RUNTIME, "Negative padding value is resulting in an empty dimension");
    }
    mt_tensor *out = aten_new_empty(self, sizes, self->ndim, MT_DTYPE_NONE, -1, MT_NO_DEVICE, mt_v_none());
    mt_tensor *to = out ? mt_keep(out) : NULL, *from = out ? mt_keep(self) : NULL;
    int rc = out ? 0 : -1;
    for (int d = lead; rc == 0 && d < self->ndim; d++) {
        int64_t a = pad[2 * (self->ndim - 1 - d)], b = pad[2 * (self->ndim - 1 - d) + 1];
        int64_t n = sizes[d] - MT_MAX(a, 0) - MT_MAX(b, 0);
        mt_tensor *t = aten_narrow(to, d, MT_MAX(a, 0), n), *f = aten_narrow(from, d, MT_MAX(-a, 0), n);
        mt_release(to);
        mt_release(from);
        to = t;
        from = f;
        rc = t && f ? 0 : -1;
    }
    if (rc == 0)
        rc = aten_copy_(to, from, false);
    for (int d = self->ndim - 1; rc == 0 && d >= lead; d--) {
        int64_t a = pad[2 * (self->ndim - 1 - d)], b = pad[2 * (self->ndim - 1 - d) + 1];
        if (a > 0)
            rc = copy_part(out, 0, out, sizes[d] - a - MT_MAX(b, 0), a, d);
        if (rc == 0 && b > 0)
            rc = copy_part(out, sizes[d] - b, out, MT_MAX(a, 0), b, d);
    }
    mt_xrelease(to);
    mt_xrelease(from);
    if (rc < 0) {
        mt_xrelease(out);
        return NULL;
    }
    return out;
}

/* ---- by mode ------------------------------------------------------------------------------ */

enum { MODE_CONSTANT, MODE_REFLECT, MODE_REPLICATE, MODE_CIRCULAR };
static const char *const mode_names[] = {"constant", "reflect", "replicate", "circular"};

mt_tensor *
op__pad_enum(mt_tensor *self, const int64_t *pad, int64_t pad_n, int64_t mode, mt_value value)
{
    if (pad_n % 2)
        return mt_fail_null(MT_RUNTIME, "Padding length must be divisible by 2");
    if (pad_n > 2 * self->ndim)
        return mt_fail_null(MT_RUNTIME,
                            "Padding length should be less than or equal to two times the input "
                            "dimension but got padding length %lld and input of dimension %d",
                            (long long)pad_n, self->ndim);
    if (mode == MODE_CONSTANT)
        return aten_constant_pad_nd(self, pad, pad_n, mt_is_none(value) ? mt_v_float(0) : value);
    if (!mt_is_none(value) && mt_scalar_f64(value) != 0)
        return mt_fail_null(MT_RUNTIME, "Padding mode \"%s\" doesn't take in value argument",
                            mode >= 0 && mode < 4 ? mode_names[mode] : "unknown");
    int dims = (int)(pad_n / 2);
    if (dims >= 1 && dims <= 3 && (self->ndim == dims + 1 || self->ndim == dims + 2)) {
        if (mode == MODE_REFLECT)
            return dims == 1   ? aten_reflection_pad1d(self, pad, pad_n)
                   : dims == 2 ? aten_reflection_pad2d(self, pad, pad_n)
                               : aten_reflection_pad3d(self, pad, pad_n);
        if (mode == MODE_REPLICATE)
            return dims == 1   ? aten_replication_pad1d(self, pad, pad_n)
                   : dims == 2 ? aten_replication_pad2d(self, pad, pad_n)
                               : aten_replication_pad3d(self, pad, pad_n);
        if (mode == MODE_CIRCULAR)
            return aten__pad_circular(self, pad, pad_n);
    }
    return mt_fail_null(MT_NOT_IMPLEMENTED,
                        "Padding size %lld is not supported for %dD input tensor.\n"
                        "Supported combinations for non-constant padding:\n"
                        "  - 2D or 3D input: padding size = 2 (pads last dimension)\n"
                        "  - 3D or 4D input: padding size = 4 (pads last 2 dimensions)\n"
                        "  - 4D or 5D input: padding size = 6 (pads last 3 dimensions)",
                        (long long)pad_n, self->ndim);
}

mt_tensor *
op_pad(mt_tensor *self, const int64_t *pad, int64_t pad_n, const char *mode, mt_value value)
{
    for (int i = 0; i < 4; i++)
        if (!strcmp(mode, mode_names[i]))
            return aten__pad_enum(self, pad, pad_n, i, value);
    return mt_fail_null(MT_NOT_IMPLEMENTED, "Unrecognised padding mode %s", mode);
}
