/* Fourier transforms: lines along dimensions for the kernel, and torch.fft in terms of three
 * operators: complex to complex, real to complex (half of it or all), complex to real. */
#include <math.h>
#include <stdlib.h>

#include "autograd/formulas.h"
#include "base/error.h"
#include "kernels/fft.h"
#include "kernels/scratch.h"
#include "ops/bag.h"
#include "ops_gen.h"
#include "tensor/copy.h"

/* ORDER NORM: what the sum is divided by, as PyTorch numbers it. */
enum { NORM_NONE, NORM_ROOT_N, NORM_N };

/* ---- lines along a dimension ------------------------------------------------------------------ */

typedef struct lines {
    const mt_fft_plan *plan;
    char *data;
    int64_t n, inner, element; /* line length, how many lie side by side, bytes of a number */
    double scale;
    mt_scratch scratch;
} lines;

static void
run_lines(void *ctx, int64_t begin, int64_t end)
{
    lines *l = ctx;
    char *slot = mt_scratch_take(&l->scratch), *line = slot, *rest = slot + l->n * l->element;
    rest = (char *)(((uintptr_t)rest + 63) / 64 * 64);
    for (int64_t i = begin; i < end; i++) {
        char *from = l->data + ((i / l->inner) * l->n * l->inner + i % l->inner) * l->element;
        if (l->inner == 1) {
            mt_fft_run(l->plan, from, rest, l->scale);
            continue;
        }
        int64_t step = l->inner * l->element;
        for (int64_t k = 0; k < l->n; k++)
            memcpy(line + k * l->element, from + k * step, (size_t)l->element);
        mt_fft_run(l->plan, line, rest, l->scale);
        for (int64_t k = 0; k < l->n; k++)
            memcpy(from + k * step, line + k * l->element, (size_t)l->element);
    }
    mt_scratch_give(&l->scratch, slot);
}

/* Transforms a packed complex tensor in place along one dimension. */
static int
along(mt_tensor *x, int dim, bool forward, double scale)
{
    if (x->numel == 0)
        return 0;
    lines l = {.n = x->sizes[dim], .inner = 1, .element = mt_itemsize(x), .data = mt_data(x), .scale = scale};
    for (int d = dim + 1; d < x->ndim; d++)
        l.inner *= x->sizes[d];
    mt_fft_plan *plan = mt_fft_plan_new((mt_dtype)x->dtype, l.n, forward);
    if (!plan)
        return -1;
    l.plan = plan;
    int64_t count = x->numel / l.n, grain = MT_MAX(1, MT_GRAIN / (l.n * 8));
    int rc = mt_scratch_open(&l.scratch, mt_fft_scratch(plan) + (size_t)(l.n * l.element) + 128,
                             (count + grain - 1) / grain);
    if (rc == 0) {
        mt_parallel_for(count, grain, run_lines, &l);
        mt_scratch_close(&l.scratch);
    }
    mt_fft_plan_free(plan);
    return rc;
}

static double
scale_of(int64_t norm, const int64_t *sizes, const int64_t *dim, int64_t dim_n, int ndim)
{
    double n = 1;
    for (int64_t i = 0; i < dim_n; i++)
        n *= (double)sizes[dim[i] < 0 ? dim[i] + ndim : dim[i]];
    return norm == NORM_NONE ? 1 : norm == NORM_N ? 1 / n : 1 / sqrt(n);
}

/* All of some dimensions, the last first; the scale goes into one pass. */
static int
along_all(mt_tensor *x, const int64_t *dim, int64_t dim_n, bool forward, double scale)
{
    for (int64_t i = dim_n - 1; i >= 0; i--) {
        if (along(x, (int)(dim[i] < 0 ? dim[i] + x->ndim : dim[i]), forward, scale) < 0)
            return -1;
        scale = 1;
    }
    return 0;
}

static int
wrap_all(const mt_tensor *self, const int64_t *dim, int64_t dim_n)
{
    for (int64_t i = 0; i < dim_n; i++)
        if (mt_wrap_dim(dim[i], self->ndim) < 0)
            return -1;
    return 0;
}

/* ---- the three operators ---------------------------------------------------------------------- */

int
_fft_c2c_meta(mt_call *call, mt_tensor *self, const int64_t *dim, int64_t dim_n, int64_t normalization, bool forward)
{
    (void)normalization, (void)forward;
    if (!mt_is_complex((mt_dtype)self->dtype))
        return mt_fail(MT_RUNTIME, "Only supports complex dtypes, but found: %s", mt_dtypes[self->dtype].scalar_name);
    if (wrap_all(self, dim, dim_n) < 0)
        return -1;
    return mt_set_output(call, 0, self->ndim, self->sizes, NULL, (mt_dtype)self->dtype, self->device);
}

int
_fft_c2c_impl(mt_call *call, mt_tensor *self, const int64_t *dim, int64_t dim_n, int64_t normalization, bool forward)
{
    mt_tensor *out = mt_out(call, 0);
    if (mt_copy_data(out, self) < 0)
        return -1;
    return along_all(out, dim, dim_n, forward, scale_of(normalization, self->sizes, dim, dim_n, self->ndim));
}

int
_fft_r2c_meta(mt_call *call, mt_tensor *self, const int64_t *dim, int64_t dim_n, int64_t normalization, bool onesided)
{
    (void)normalization;
    mt_dtype t = (mt_dtype)self->dtype;
    if (!mt_is_floating(t))
        return mt_fail(MT_RUNTIME, "Only supports floating-point dtypes, but found: %s", mt_dtypes[t].scalar_name);
    if (mt_is_half(t))
        return mt_fail(MT_RUNTIME, "Unsupported dtype %s", mt_dtypes[t].scalar_name);
    if (wrap_all(self, dim, dim_n) < 0)
        return -1;
    int64_t sizes[MT_MAX_DIMS];
    memcpy(sizes, self->sizes, (size_t)self->ndim * sizeof *sizes);
    if (onesided && dim_n) {
        int64_t last = dim[dim_n - 1] < 0 ? dim[dim_n - 1] + self->ndim : dim[dim_n - 1];
        sizes[last] = sizes[last] / 2 + 1;
    }
    return mt_set_output(call, 0, self->ndim, sizes, NULL, mt_dtypes[t].to_complex, self->device);
}

int
_fft_r2c_impl(mt_call *call, mt_tensor *self, const int64_t *dim, int64_t dim_n, int64_t normalization, bool onesided)
{
    mt_tensor *out = mt_out(call, 0);
    double scale = scale_of(normalization, self->sizes, dim, dim_n, self->ndim);
    if (!onesided || dim_n == 0)
        return mt_copy_data(out, self) < 0 ? -1 : along_all(out, dim, dim_n, true, scale);
    /* the last dimension whole, then half of it through the others */
    mt_tensor *all = mt_empty(self->ndim, self->sizes, NULL, (mt_dtype)out->dtype, self->device), *half = NULL;
    int64_t last = dim[dim_n - 1];
    int rc = all && mt_copy_data(all, self) == 0 ? along_all(all, &last, 1, true, scale) : -1;
    if (rc == 0)
        rc = (half = aten_narrow(all, last, 0, mt_size_at(out, last))) ? mt_copy_data(out, half) : -1;
    if (rc == 0)
        rc = along_all(out, dim, dim_n - 1, true, 1);
    mt_xrelease(all);
    mt_xrelease(half);
    return rc;
}

int
_fft_c2r_meta(mt_call *call, mt_tensor *self, const int64_t *dim, int64_t dim_n, int64_t normalization,
              int64_t last_dim_size)
{
    (void)normalization;
    mt_dtype t = (mt_dtype)self->dtype;
    if (!mt_is_complex(t))
        return mt_fail(MT_RUNTIME, "Only supports complex dtypes, but found: %s", mt_dtypes[t].scalar_name);
    if (wrap_all(self, dim, dim_n) < 0)
        return -1;
    int64_t sizes[MT_MAX_DIMS];
    memcpy(sizes, self->sizes, (size_t)self->ndim * sizeof *sizes);
    sizes[dim[dim_n - 1] < 0 ? dim[dim_n - 1] + self->ndim : dim[dim_n - 1]] = last_dim_size;
    return mt_set_output(call, 0, self->ndim, sizes, NULL, mt_dtypes[t].to_real, self->device);
}

/* Fills the second half of each packed line with the conjugates of the first; the imaginary parts
 * that symmetry rules out are dropped. */
#define MIRROR(R)                                                                                  \
    for (int64_t i = 0; i < count; i++) {                                                          \
        R *x = (R *)mt_data(all) + i * 2 * n;                                                      \
        x[1] = 0;                                                                                  \
        if (n % 2 == 0)                                                                            \
            x[n + 1] = 0;                                                                          \
        for (int64_t k = n / 2 + 1; k < n; k++) {                                                  \
            x[2 * k] = x[2 * (n - k)];                                                             \
            x[2 * k + 1] = -x[2 * (n - k) + 1];                                                    \
        }                                                                                          \
    }

int
_fft_c2r_impl(mt_call *call, mt_tensor *self, const int64_t *dim, int64_t dim_n, int64_t normalization,
              int64_t last_dim_size)
{
    mt_tensor *out = mt_out(call, 0), *first = NULL, *all = NULL, *view = NULL, *half = NULL, *part = NULL;
    int rc = -1, last = mt_wrap_dim(dim[dim_n - 1], self->ndim);
    int64_t n = last_dim_size, kept = MT_MIN(n / 2 + 1, self->sizes[last]);
    if (out->numel == 0)
        return 0;
    double scale = scale_of(normalization, out->sizes, dim, dim_n, out->ndim);
    if (!(first = mt_contiguous_data(self, true)) || along_all(first, dim, dim_n - 1, false, 1) < 0)
        goto done;
    /* the last transformed dimension is moved to the end, so that its lines are packed */
    int64_t sizes[MT_MAX_DIMS];
    int m = 0;
    for (int d = 0; d < self->ndim; d++)
        if (d != last)
            sizes[m++] = self->sizes[d];
    sizes[m] = n;
    int64_t count = out->numel / n;
    if (!(all = mt_empty(self->ndim, sizes, NULL, (mt_dtype)self->dtype, self->device)))
        goto done;
    memset(mt_data(all), 0, (size_t)(all->numel * mt_itemsize(all)));
    if (!(part = aten_narrow(all, -1, 0, kept)) || !(view = aten_movedim_int(first, last, -1)) ||
        !(half = aten_narrow(view, -1, 0, kept)) || mt_copy_data(part, half) < 0)
        goto done;
    if (self->dtype == MT_COMPLEX64)
        MIRROR(float)
    else
        MIRROR(double)
    if (along(all, m, false, scale) < 0)
        goto done;
    mt_release(view);
    mt_release(half);
    half = NULL;
    view = aten_movedim_int(all, -1, last);
    half = view ? aten_real(view) : NULL;
    rc = half ? mt_copy_data(out, half) : -1;
done:
    mt_xrelease(first);
    mt_xrelease(all);
    mt_xrelease(view);
    mt_xrelease(half);
    mt_xrelease(part);
    return rc;
}

/* ---- arguments of torch.fft ------------------------------------------------------------------- */

static int64_t
norm_of(const char *norm, bool forward)
{
    if (!norm || !strcmp(norm, "backward"))
        return forward ? NORM_NONE : NORM_N;
    if (!strcmp(norm, "forward"))
        return forward ? NORM_N : NORM_NONE;
    if (!strcmp(norm, "ortho"))
        return NORM_ROOT_N;
    return mt_fail(MT_RUNTIME, "Invalid normalization mode: \"%s\"", norm);
}

/* Integers become floats, and floats complex on request. A new reference. */
static mt_tensor *
promoted(mt_tensor *self, bool to_complex)
{
    mt_dtype t = (mt_dtype)self->dtype;
    if (mt_is_half(t))
        return mt_fail_null(MT_RUNTIME, "Unsupported dtype %s", mt_dtypes[t].scalar_name);
    if (mt_is_integral(t, true))
        t = mt_default_dtype;
    if (to_complex && !mt_is_complex(t))
        t = mt_dtypes[t].to_complex;
    return t == self->dtype ? mt_keep(self) : aten_to_dtype(self, t, false, false, MT_FORMAT_NONE);
}

/* Cut, or filled up with zeros, to n along a dimension. Takes x. */
static mt_tensor *
resized_take(mt_tensor *x, int64_t dim, int64_t n)
{
    if (!x)
        return NULL;
    int64_t have = mt_size_at(x, dim);
    if (have == n)
        return x;
    mt_tensor *r;
    if (have > n)
        r = aten_narrow(x, dim, 0, n);
    else {
        int64_t pad[2 * MT_MAX_DIMS] = {0};
        int d = (int)(dim < 0 ? dim + x->ndim : dim);
        pad[2 * (x->ndim - 1 - d) + 1] = n - have;
        r = aten_constant_pad_nd(x, pad, 2 * (x->ndim - d), mt_v_int(0));
    }
    mt_release(x);
    return r;
}

static int
check_points(int64_t n)
{
    return n < 1 ? mt_fail(MT_RUNTIME, "Invalid number of data points (%lld) specified", (long long)n) : 0;
}

/* A dimension of a tensor that must have one. */
static int
wrap_dim(const mt_tensor *self, int64_t dim)
{
    if (self->ndim == 0)
        return mt_fail(MT_INDEX, "Dimension specified as %lld but tensor has no dimensions", (long long)dim);
    return mt_wrap_dim(dim, self->ndim);
}

/* dim and n of a transform of one dimension. */
static int
line_of(const mt_tensor *self, mt_value n, int64_t dim, int64_t fallback, int64_t *length)
{
    if (wrap_dim(self, dim) < 0)
        return -1;
    *length = mt_is_none(n) ? (fallback < 0 ? mt_size_at(self, dim) : 2 * (mt_size_at(self, dim) - 1)) : n.u.i;
    return check_points(*length);
}

static mt_tensor *
conj_take(mt_tensor *x)
{
    mt_tensor *r = x ? aten_conj(x) : NULL;
    mt_xrelease(x);
    return r;
}

/* fft, ifft. */
static mt_tensor *
complex_line(mt_tensor *self, mt_value n, int64_t dim, const char *norm, bool forward)
{
    int64_t length = 0, mode;
    mt_tensor *x = promoted(self, false), *r = NULL;
    if (!x)
        return NULL;
    if (line_of(x, n, dim, -1, &length) < 0 || (mode = norm_of(norm, forward)) < 0) {
        mt_release(x);
        return NULL;
    }
    if (!(x = resized_take(x, dim, length)))
        return NULL;
    if (mt_is_complex((mt_dtype)x->dtype))
        r = aten__fft_c2c(x, &dim, 1, mode, forward);
    else {
        r = aten__fft_r2c(x, &dim, 1, mode, false);
        if (!forward)
            r = conj_take(r);
    }
    mt_release(x);
    return r;
}

/* rfft, ihfft. */
static mt_tensor *
real_line(const char *name, mt_tensor *self, mt_value n, int64_t dim, const char *norm, bool forward)
{
    int64_t length = 0, mode;
    if (mt_is_complex((mt_dtype)self->dtype))
        return mt_fail_null(MT_RUNTIME, "%s expects a real input tensor, but got %s", name,
                            mt_dtypes[self->dtype].scalar_name);
    mt_tensor *x = promoted(self, false), *r;
    if (!x)
        return NULL;
    if (line_of(x, n, dim, -1, &length) < 0 || (mode = norm_of(norm, forward)) < 0) {
        mt_release(x);
        return NULL;
    }
    if (!(x = resized_take(x, dim, length)))
        return NULL;
    r = aten__fft_r2c(x, &dim, 1, mode, true);
    mt_release(x);
    return forward ? r : conj_take(r);
}

/* irfft, hfft. */
static mt_tensor *
back_to_real_line(mt_tensor *self, mt_value n, int64_t dim, const char *norm, bool forward)
{
    int64_t length = 0, mode;
    mt_tensor *x = promoted(self, true), *r;
    if (!x)
        return NULL;
    if (line_of(x, n, dim, 2, &length) < 0 || (mode = norm_of(norm, forward)) < 0) {
        mt_release(x);
        return NULL;
    }
    x = resized_take(x, dim, length / 2 + 1);
    if (forward)
        x = conj_take(x);
    r = x ? aten__fft_c2r(x, &dim, 1, mode, length) : NULL;
    mt_xrelease(x);
    return r;
}

#define LINE(name, call)                                                                           \
    mt_tensor *op_fft_##name(mt_tensor *self, mt_value n, int64_t dim, const char *norm)           \
    {                                                                                              \
        return call;                                                                               \
    }
LINE(fft, complex_line(self, n, dim, norm, true))
LINE(ifft, complex_line(self, n, dim, norm, false))
LINE(rfft, real_line("rfft", self, n, dim, norm, true))
LINE(ihfft, real_line("ihfft", self, n, dim, norm, false))
LINE(irfft, back_to_real_line(self, n, dim, norm, false))
LINE(hfft, back_to_real_line(self, n, dim, norm, true))

/* Dimensions and sizes of a transform of several dimensions. */
typedef struct box {
    int64_t n;
    int64_t dims[MT_MAX_DIMS], sizes[MT_MAX_DIMS];
} box;

static int
box_of(const mt_tensor *self, const int64_t *s, int64_t s_n, const int64_t *dim, int64_t dim_n, box *b)
{
    if (dim) {
        bool seen[MT_MAX_DIMS] = {0};
        b->n = dim_n;
        for (int64_t i = 0; i < dim_n; i++) {
            int d = wrap_dim(self, dim[i]);
            if (d < 0)
                return -1;
            if (seen[d])
                return mt_fail(MT_RUNTIME, "FFT dims must be unique");
            seen[d] = true;
            b->dims[i] = d;
        }
    }
    if (s) {
        if (dim && dim_n != s_n)
            return mt_fail(MT_RUNTIME, "When given, dim and shape arguments must have the same length");
        if (s_n > self->ndim)
            return mt_fail(MT_RUNTIME, "Got shape with %lld values but input tensor only has %d dimensions.",
                           (long long)s_n, self->ndim);
        b->n = s_n;
        for (int64_t i = 0; i < s_n; i++) {
            if (!dim)
                b->dims[i] = self->ndim - s_n + i;
            b->sizes[i] = s[i] == -1 ? self->sizes[b->dims[i]] : s[i];
        }
    } else {
        if (!dim) {
            b->n = self->ndim;
            for (int64_t i = 0; i < b->n; i++)
                b->dims[i] = i;
        }
        for (int64_t i = 0; i < b->n; i++)
            b->sizes[i] = self->sizes[b->dims[i]];
    }
    for (int64_t i = 0; i < b->n; i++)
        if (check_points(b->sizes[i]) < 0)
            return -1;
    return 0;
}

static mt_tensor *
resize_box_take(mt_tensor *x, const box *b)
{
    for (int64_t i = 0; i < b->n && x; i++)
        x = resized_take(x, b->dims[i], b->sizes[i]);
    return x;
}

static mt_tensor *
complex_box(mt_tensor *self, const int64_t *s, int64_t s_n, const int64_t *dim, int64_t dim_n, const char *norm,
            bool forward)
{
    box b;
    int64_t mode;
    if (box_of(self, s, s_n, dim, dim_n, &b) < 0 || (mode = norm_of(norm, forward)) < 0)
        return NULL;
    mt_tensor *x = resize_box_take(promoted(self, true), &b);
    mt_tensor *r = x ? aten__fft_c2c(x, b.dims, b.n, mode, forward) : NULL;
    mt_xrelease(x);
    return r;
}

static mt_tensor *
real_box(const char *name, mt_tensor *self, const int64_t *s, int64_t s_n, const int64_t *dim, int64_t dim_n,
         const char *norm, bool forward)
{
    box b;
    int64_t mode;
    if (mt_is_complex((mt_dtype)self->dtype))
        return mt_fail_null(MT_RUNTIME, "%s expects a real-valued input tensor, but got %s", name,
                            mt_dtypes[self->dtype].scalar_name);
    if (box_of(self, s, s_n, dim, dim_n, &b) < 0 || (mode = norm_of(norm, forward)) < 0)
        return NULL;
    if (b.n == 0)
        return mt_fail_null(MT_RUNTIME, "%s must transform at least one axis", name);
    mt_tensor *x = resize_box_take(promoted(self, false), &b), *r = NULL;
    if (x && forward)
        r = aten__fft_r2c(x, b.dims, b.n, mode, true);
    else if (x) {
        /* ihfftn: half of the conjugate along the last, then the inverse along the rest */
        r = conj_take(aten__fft_r2c(x, &b.dims[b.n - 1], 1, mode, true));
        if (r && b.n > 1) {
            mt_tensor *all = aten__fft_c2c(r, b.dims, b.n - 1, mode, false);
            mt_release(r);
            r = all;
        }
    }
    mt_xrelease(x);
    return r;
}

static mt_tensor *
back_to_real_box(const char *name, mt_tensor *self, const int64_t *s, int64_t s_n, const int64_t *dim, int64_t dim_n,
                 const char *norm, bool forward)
{
    box b;
    int64_t mode, last;
    if (box_of(self, s, s_n, dim, dim_n, &b) < 0 || (mode = norm_of(norm, forward)) < 0)
        return NULL;
    if (b.n == 0)
        return mt_fail_null(MT_RUNTIME, "%s must transform at least one axis", name);
    last = s && s[s_n - 1] != -1 ? s[s_n - 1] : 2 * (self->sizes[b.dims[b.n - 1]] - 1);
    if (check_points(last) < 0)
        return NULL;
    b.sizes[b.n - 1] = last / 2 + 1;
    mt_tensor *x = resize_box_take(promoted(self, true), &b), *r = NULL;
    if (x && !forward)
        r = aten__fft_c2r(x, b.dims, b.n, mode, last);
    else if (x) {
        /* hfftn: forward along all but the last */
        if (b.n > 1) {
            mt_tensor *y = aten__fft_c2c(x, b.dims, b.n - 1, mode, true);
            mt_release(x);
            x = y;
        }
        x = conj_take(x);
        r = x ? aten__fft_c2r(x, &b.dims[b.n - 1], 1, mode, last) : NULL;
    }
    mt_xrelease(x);
    return r;
}

#define BOX(name, call)                                                                            \
    mt_tensor *op_fft_##name(mt_tensor *self, const int64_t *s, int64_t s_n, const int64_t *dim,   \
                             int64_t dim_n, const char *norm)                                      \
    {                                                                                              \
        return call;                                                                               \
    }
BOX(fftn, complex_box(self, s, s_n, dim, dim_n, norm, true))
BOX(ifftn, complex_box(self, s, s_n, dim, dim_n, norm, false))
BOX(rfftn, real_box("rfftn", self, s, s_n, dim, dim_n, norm, true))
BOX(ihfftn, real_box("ihfftn", self, s, s_n, dim, dim_n, norm, false))
BOX(irfftn, back_to_real_box("irfftn", self, s, s_n, dim, dim_n, norm, false))
BOX(hfftn, back_to_real_box("hfftn", self, s, s_n, dim, dim_n, norm, true))
BOX(fft2, aten_fft_fftn(self, s, s_n, dim, dim_n, norm))
BOX(ifft2, aten_fft_ifftn(self, s, s_n, dim, dim_n, norm))
BOX(rfft2, aten_fft_rfftn(self, s, s_n, dim, dim_n, norm))
BOX(irfft2, aten_fft_irfftn(self, s, s_n, dim, dim_n, norm))
BOX(hfft2, aten_fft_hfftn(self, s, s_n, dim, dim_n, norm))
BOX(ihfft2, aten_fft_ihfftn(self, s, s_n, dim, dim_n, norm))

/* ---- shifts and frequencies ------------------------------------------------------------------- */

static mt_tensor *
shift(mt_tensor *self, const int64_t *dim, int64_t dim_n, bool back)
{
    int64_t dims[MT_MAX_DIMS], by[MT_MAX_DIMS], n = dim ? dim_n : self->ndim;
    for (int64_t i = 0; i < n; i++) {
        int64_t d = dim ? wrap_dim(self, dim[i]) : i;
        if (d < 0)
            return NULL;
        dims[i] = d;
        int64_t size = mt_size_at(self, d);
        by[i] = back ? (size + 1) / 2 : size / 2;
    }
    return n ? aten_roll(self, by, n, dims, n) : mt_fail_null(MT_RUNTIME, "`shifts` required");
}

mt_tensor *
op_fft_fftshift(mt_tensor *self, const int64_t *dim, int64_t dim_n)
{
    return shift(self, dim, dim_n, false);
}

mt_tensor *
op_fft_ifftshift(mt_tensor *self, const int64_t *dim, int64_t dim_n)
{
    return shift(self, dim, dim_n, true);
}

/* k / (n d) for k = 0, 1, ..., and negative ones after the middle unless `half`. */
static mt_tensor *
frequencies(const char *name, int64_t n, double d, bool half, mt_dtype dtype, mt_device device)
{
    mt_dtype t = dtype == MT_DTYPE_NONE ? mt_default_dtype : dtype;
    if (!mt_is_floating(t) && !mt_is_complex(t))
        return mt_fail_null(MT_RUNTIME, "%s requires a floating point or complex dtype", name);
    int64_t count = half ? n / 2 + 1 : n;
    mt_tensor *k = aten_arange(mt_v_int(count), t, -1, device, mt_v_none()), *r = NULL;
    if (k && !half && n > 0) {
        mt_tensor *right = aten_narrow(k, 0, (n + 1) / 2, n / 2);
        mt_tensor *values = right ? aten_arange_start(mt_v_int(-(n / 2)), mt_v_int(0), t, -1, device, mt_v_none()) : NULL;
        int rc = values ? aten_copy_(right, values, false) : -1;
        mt_xrelease(right);
        mt_xrelease(values);
        if (rc < 0) {
            mt_release(k);
            return NULL;
        }
    }
    r = k ? times_number(k, mt_v_float(1.0 / ((double)n * d))) : NULL;
    mt_xrelease(k);
    return r;
}

mt_tensor *
op_fft_fftfreq(int64_t n, double d, mt_dtype dtype, int64_t layout, mt_device device, mt_value pin_memory)
{
    (void)layout, (void)pin_memory;
    return frequencies("fftfreq", n, d, false, dtype, device);
}

mt_tensor *
op_fft_rfftfreq(int64_t n, double d, mt_dtype dtype, int64_t layout, mt_device device, mt_value pin_memory)
{
    (void)layout, (void)pin_memory;
    return frequencies("rfftfreq", n, d, true, dtype, device);
}

/* Zeros behind x along a dimension up to a size. */
mt_tensor *
mth_pad_end(mt_tensor *x, int64_t dim, int64_t size)
{
    return resized_take(mt_keep(x), dim, size);
}
