/* Distances of rows: of all pairs of two sets, of the pairs within one. One row of a result is one
 * thread's work; sums run along the columns in order. */
#include <math.h>

#include "base/error.h"
#include "base/pool.h"
#include "ops/bag.h"
#include "ops_gen.h"
#include "tensor/copy.h"

/* ORDER MODE: as torch.cdist numbers them; a product of matrices is faster, and less exact. */
enum { MM_IF_MANY, MM_ALWAYS, MM_NEVER };

typedef struct pairs {
    mt_dtype t;
    const char *a, *b, *grad, *dist;
    char *out;
    int64_t rows, columns, width; /* rows of a and of b in one batch */
    double p;
    bool within; /* pairs i < j of a alone: out is a packed triangle */
} pairs;

/* Where the pairs (i, i + 1), ... begin in a packed triangle. */
static int64_t
triangle_start(int64_t i, int64_t n)
{
    return i * n - i * (i + 1) / 2;
}

#define REAL float
#define NAME(function) function##_f32
#define M(function) function##f
#include "ops/distances.tmpl.h"
#undef REAL
#undef NAME
#undef M
#define REAL double
#define NAME(function) function##_f64
#define M(function) function
#include "ops/distances.tmpl.h"

static void
forward(void *ctx, int64_t begin, int64_t end)
{
    const pairs *s = ctx;
    if (s->t == MT_FLOAT32)
        forward_f32(s, begin, end);
    else
        forward_f64(s, begin, end);
}

static void
backward(void *ctx, int64_t begin, int64_t end)
{
    const pairs *s = ctx;
    if (s->t == MT_FLOAT32)
        backward_f32(s, begin, end);
    else
        backward_f64(s, begin, end);
}

static int
check_dtype(const char *name, mt_dtype t)
{
    if (mt_is_half(t))
        return mt_fail(MT_NOT_IMPLEMENTED, "\"%s\" not implemented for '%s'", name, mt_dtypes[t].scalar_name);
    return 0;
}

/* The last `kept` dimensions of x under the batch dimensions of a result, packed. */
static mt_tensor *
batched(mt_tensor *x, const int64_t *batch, int batch_n, int kept)
{
    int64_t sizes[MT_MAX_DIMS];
    memcpy(sizes, batch, (size_t)batch_n * sizeof *sizes);
    for (int i = 0; i < kept; i++)
        sizes[batch_n + i] = x->sizes[x->ndim - kept + i];
    mt_tensor *r = mt_empty(batch_n + kept, sizes, NULL, (mt_dtype)x->dtype, MT_CPU_DEVICE);
    if (r && mt_copy_data(r, x) < 0) {
        mt_release(r);
        return NULL;
    }
    return r;
}

/* ---- all pairs of two sets -------------------------------------------------------------------- */

static bool
many(const mt_tensor *x1, const mt_tensor *x2, double p, mt_value compute_mode)
{
    int64_t mode = mt_is_none(compute_mode) ? MM_IF_MANY : compute_mode.u.i;
    int64_t r1 = x1->sizes[x1->ndim - 2], r2 = x2->sizes[x2->ndim - 2];
    return p == 2 && (mode == MM_ALWAYS || (mode == MM_IF_MANY && (r1 > 25 || r2 > 25)));
}

/* The shape of the result, as the number of its dimensions; -1 with the error. */
static int
cdist_shape(const mt_tensor *x1, const mt_tensor *x2, double p, mt_value compute_mode, int64_t *sizes)
{
    const mt_tensor *both[] = {x1, x2};
    for (int i = 0; i < 2; i++)
        if (!mt_is_floating((mt_dtype)both[i]->dtype))
            return mt_fail(MT_RUNTIME, "cdist only supports floating-point dtypes, X%d got: %s", i + 1,
                           mt_dtypes[both[i]->dtype].scalar_name);
    if (p < 0)
        return mt_fail(MT_RUNTIME, "cdist only supports non-negative p values");
    int64_t mode = mt_is_none(compute_mode) ? 0 : compute_mode.u.i;
    if (mode < MM_IF_MANY || mode > MM_NEVER)
        return mt_fail(MT_RUNTIME, "possible modes: 0, 1, 2, but was: %lld", (long long)mode);
    int n = x1->ndim - 2;
    memcpy(sizes, x1->sizes, (size_t)n * sizeof *sizes);
    if ((n = mt_broadcast(sizes, n, x2->sizes, x2->ndim - 2)) < 0)
        return -1;
    sizes[n] = x1->sizes[x1->ndim - 2];
    sizes[n + 1] = x2->sizes[x2->ndim - 2];
    return n + 2;
}

mt_tensor *
op_cdist(mt_tensor *x1, mt_tensor *x2, double p, mt_value compute_mode)
{
    if (x1->ndim < 2 || x2->ndim < 2)
        return mt_fail_null(MT_RUNTIME, "cdist only supports at least 2D tensors, X%d got: %dD", x1->ndim < 2 ? 1 : 2,
                            x1->ndim < 2 ? x1->ndim : x2->ndim);
    if (x1->sizes[x1->ndim - 1] != x2->sizes[x2->ndim - 1])
        return mt_fail_null(MT_RUNTIME, "X1 and X2 must have the same number of columns. X1: %lld X2: %lld",
                            (long long)x1->sizes[x1->ndim - 1], (long long)x2->sizes[x2->ndim - 1]);
    int64_t sizes[MT_MAX_DIMS];
    int ndim = cdist_shape(x1, x2, p, compute_mode, sizes);
    if (ndim < 0)
        return NULL;
    if (!many(x1, x2, p, compute_mode) || x1->numel == 0 || x2->numel == 0)
        return aten__cdist_forward(x1, x2, p, compute_mode);
    mt_tensor *d = aten__euclidean_dist(x1, x2), *r = d ? aten_view(d, sizes, ndim) : NULL;
    mt_xrelease(d);
    return r;
}

int
_cdist_forward_meta(mt_call *call, mt_tensor *x1, mt_tensor *x2, double p, mt_value compute_mode)
{
    int64_t sizes[MT_MAX_DIMS];
    int ndim = cdist_shape(x1, x2, p, compute_mode, sizes);
    if (ndim < 0)
        return -1;
    if (x1->dtype != x2->dtype)
        return mt_fail(MT_RUNTIME, "X1 and X2 must have the same dtype, but got: %s and %s", mt_dtypes[x1->dtype].scalar_name,
                       mt_dtypes[x2->dtype].scalar_name);
    return mt_set_output(call, 0, ndim, sizes, NULL, (mt_dtype)x1->dtype, x1->device);
}

int
_cdist_forward_impl(mt_call *call, mt_tensor *x1, mt_tensor *x2, double p, mt_value compute_mode)
{
    mt_tensor *out = mt_out(call, 0);
    if (out->numel == 0)
        return 0;
    if (x1->sizes[x1->ndim - 1] == 0) {
        memset(mt_data(out), 0, (size_t)(out->numel * mt_itemsize(out)));
        return 0;
    }
    if (many(x1, x2, p, compute_mode)) {
        mt_tensor *d = aten__euclidean_dist(x1, x2);
        int rc = d ? mt_copy_data(out, d) : -1;
        mt_xrelease(d);
        return rc;
    }
    if (check_dtype("cdist", (mt_dtype)x1->dtype) < 0)
        return -1;
    int batch_n = out->ndim - 2;
    mt_tensor *a = batched(x1, out->sizes, batch_n, 2), *b = batched(x2, out->sizes, batch_n, 2);
    int rc = a && b ? 0 : -1;
    if (rc == 0) {
        pairs s = {.t = (mt_dtype)out->dtype, .a = mt_data(a), .b = mt_data(b), .out = mt_data(out), .p = p,
                   .rows = out->sizes[batch_n], .columns = out->sizes[batch_n + 1], .width = x1->sizes[x1->ndim - 1]};
        mt_parallel_for(out->numel / s.columns, MT_MAX(1, MT_GRAIN / MT_MAX(s.columns * s.width, 1)), forward, &s);
    }
    mt_xrelease(a);
    mt_xrelease(b);
    return rc;
}

int
_cdist_backward_meta(mt_call *call, mt_tensor *grad, mt_tensor *x1, mt_tensor *x2, double p, mt_tensor *cdist)
{
    (void)p, (void)cdist;
    int64_t sizes[MT_MAX_DIMS];
    int n = grad->ndim - 2;
    if (x1->dtype != x2->dtype)
        return mt_fail(MT_RUNTIME, "X1 and X2 must have the same dtype, but got: %s and %s", mt_dtypes[x1->dtype].scalar_name,
                       mt_dtypes[x2->dtype].scalar_name);
    memcpy(sizes, grad->sizes, (size_t)n * sizeof *sizes);
    sizes[n] = x1->sizes[x1->ndim - 2];
    sizes[n + 1] = x1->sizes[x1->ndim - 1];
    return mt_set_output(call, 0, n + 2, sizes, NULL, (mt_dtype)x1->dtype, x1->device);
}

int
_cdist_backward_impl(mt_call *call, mt_tensor *grad, mt_tensor *x1, mt_tensor *x2, double p, mt_tensor *cdist)
{
    mt_tensor *out = mt_out(call, 0);
    if (out->numel == 0)
        return 0;
    if (check_dtype("cdist_backward", (mt_dtype)x1->dtype) < 0)
        return -1;
    int n = out->ndim - 2;
    mt_tensor *a = batched(x1, out->sizes, n, 2), *b = batched(x2, out->sizes, n, 2);
    mt_tensor *g = batched(grad, out->sizes, n, 2), *d = batched(cdist, out->sizes, n, 2);
    int rc = a && b && g && d ? 0 : -1;
    if (rc == 0) {
        pairs s = {.t = (mt_dtype)out->dtype, .a = mt_data(a), .b = mt_data(b), .grad = mt_data(g), .dist = mt_data(d),
                   .out = mt_data(out), .p = p, .rows = out->sizes[n], .columns = x2->sizes[x2->ndim - 2],
                   .width = out->sizes[n + 1]};
        mt_parallel_for(out->numel / s.width, MT_MAX(1, MT_GRAIN / MT_MAX(s.columns * s.width, 1)), backward, &s);
    }
    mt_tensor *made[] = {a, b, g, d};
    for (size_t i = 0; i < MT_COUNT(made); i++)
        mt_xrelease(made[i]);
    return rc;
}

/* sqrt(|x|^2 + |y|^2 - 2 x y) as one product: [-2 x, |x|^2, 1] [y, 1, |y|^2]. */
mt_tensor *
op__euclidean_dist(mt_tensor *x1, mt_tensor *x2)
{
    bag b = {0};
    const int64_t last = -1;
    mt_tensor *n1, *n2, *one1, *one2, *left, *right, *r = NULL;
    TRY(n1, aten_mul_Tensor(x1, x1));
    TRY(n1, aten_sum_dim_IntList(n1, &last, 1, true, MT_DTYPE_NONE));
    TRY(one1, aten_ones_like(n1, MT_DTYPE_NONE, -1, MT_NO_DEVICE, mt_v_none(), MT_FORMAT_NONE));
    TRY(n2, aten_mul_Tensor(x2, x2));
    TRY(n2, aten_sum_dim_IntList(n2, &last, 1, true, MT_DTYPE_NONE));
    TRY(one2, aten_ones_like(n2, MT_DTYPE_NONE, -1, MT_NO_DEVICE, mt_v_none(), MT_FORMAT_NONE));
    TRY(left, times_number(x1, mt_v_int(-2)));
    TRY(left, aten_cat((mt_tensor *[]){left, n1, one1}, 3, -1));
    TRY(right, aten_cat((mt_tensor *[]){x2, one2, n2}, 3, -1));
    TRY(right, aten_mT(right));
    TRY(r, aten_matmul(left, right));
    TRY(r, aten_clamp_min(r, mt_v_int(0)));
    TRY(r, aten_sqrt(r));
done:
    return finish(&b, r);
}

/* ---- pairs within a set ----------------------------------------------------------------------- */

int
_pdist_forward_meta(mt_call *call, mt_tensor *self, double p)
{
    (void)p;
    int64_t n = self->sizes[0], size = n <= 1 ? 0 : n * (n - 1) / 2;
    return mt_set_output(call, 0, 1, &size, NULL, (mt_dtype)self->dtype, self->device);
}

int
_pdist_forward_impl(mt_call *call, mt_tensor *self, double p)
{
    mt_tensor *out = mt_out(call, 0);
    if (out->numel == 0)
        return 0;
    if (self->sizes[1] == 0) {
        memset(mt_data(out), 0, (size_t)(out->numel * mt_itemsize(out)));
        return 0;
    }
    if (check_dtype("pdist", (mt_dtype)self->dtype) < 0)
        return -1;
    mt_tensor *a = mt_contiguous_data(self, false);
    if (!a)
        return -1;
    pairs s = {.t = (mt_dtype)out->dtype, .a = mt_data(a), .b = mt_data(a), .out = mt_data(out), .p = p, .within = true,
               .rows = self->sizes[0], .columns = self->sizes[0], .width = self->sizes[1]};
    mt_parallel_for(s.rows, MT_MAX(1, MT_GRAIN / MT_MAX(s.columns * s.width, 1)), forward, &s);
    mt_release(a);
    return 0;
}

int
_pdist_backward_meta(mt_call *call, mt_tensor *grad, mt_tensor *self, double p, mt_tensor *pdist)
{
    (void)grad, (void)p, (void)pdist;
    return mt_set_output(call, 0, self->ndim, self->sizes, NULL, (mt_dtype)self->dtype, self->device);
}

int
_pdist_backward_impl(mt_call *call, mt_tensor *grad, mt_tensor *self, double p, mt_tensor *pdist)
{
    mt_tensor *out = mt_out(call, 0);
    if (out->numel == 0)
        return 0;
    mt_tensor *a = mt_contiguous_data(self, false), *g = mt_contiguous_data(grad, false), *d = mt_contiguous_data(pdist, false);
    int rc = a && g && d ? 0 : -1;
    if (rc == 0) {
        pairs s = {.t = (mt_dtype)out->dtype, .a = mt_data(a), .b = mt_data(a), .grad = mt_data(g), .dist = mt_data(d),
                   .out = mt_data(out), .p = p, .within = true, .rows = self->sizes[0], .columns = self->sizes[0],
                   .width = self->sizes[1]};
        mt_parallel_for(s.rows, MT_MAX(1, MT_GRAIN / MT_MAX(s.columns * s.width, 1)), backward, &s);
    }
    mt_xrelease(a);
    mt_xrelease(g);
    mt_xrelease(d);
    return rc;
}

mt_tensor *
op_pdist(mt_tensor *self, double p)
{
    if (self->ndim != 2)
        return mt_fail_null(MT_RUNTIME, "pdist only supports 2D tensors, got: %dD", self->ndim);
    if (!mt_is_floating((mt_dtype)self->dtype))
        return mt_fail_null(MT_RUNTIME, "pdist only supports floating-point dtypes");
    if (p < 0)
        return mt_fail_null(MT_RUNTIME, "pdist only supports non-negative p values");
    return aten__pdist_forward(self, p);
}
