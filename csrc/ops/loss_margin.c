/* Losses with margins, and the checks of losses that are made of other operators. */
#include "base/error.h"
#include "ops/pointwise.h"
#include "ops_gen.h"

enum { NONE, MEAN, SUM };

/* ---- checks ------------------------------------------------------------------------------- */

mt_tensor *
mth_check_probabilities(mt_tensor *self)
{
    bool good = true;
    if (!mt_is_meta(self) && self->numel) {
        mt_tensor *t = mt_empty(self->ndim, self->sizes, NULL, MT_FLOAT64, self->device);
        if (!t || mt_copy_data(t, self) < 0) {
            mt_xrelease(t);
            return NULL;
        }
        const double *p = mt_data(t);
        for (int64_t i = 0; i < t->numel; i++)
            good = good && !(p[i] < 0 || p[i] > 1) && p[i] == p[i];
        mt_release(t);
    }
    return good ? mt_keep(self)
                : mt_fail_null(MT_RUNTIME, "all elements of input should be between 0 and 1");
}

mt_tensor *
op_cosine_embedding_loss(mt_tensor *input1, mt_tensor *input2, mt_tensor *target, double margin,
                         int64_t reduction)
{
    if (target->ndim > 1)
        return mt_fail_null(MT_RUNTIME, "0D or 1D target tensor expected, multi-target not supported");
    if (target->ndim == 1 ? input1->ndim != 2 : input1->ndim != 1)
        return mt_fail_null(MT_RUNTIME,
                            "%dD target tensor expects %dD input tensors, but found inputs with sizes %s "
                            "and %s.",
                            target->ndim, target->ndim + 1, mt_shape_str(input1), mt_shape_str(input2));
    return aten__cosine_embedding(input1, input2, target, margin, reduction, target->ndim);
}

mt_tensor *
op_triplet_margin_loss(mt_tensor *anchor, mt_tensor *positive, mt_tensor *negative, double margin,
                       double p, double eps, bool swap, int64_t reduction)
{
    if (anchor->ndim != positive->ndim || anchor->ndim != negative->ndim)
        return mt_fail_null(MT_RUNTIME,
                            "The anchor, positive, and negative tensors are expected to have the same "
                            "number of dimensions, but got: anchor %dD, positive %dD, and negative %dD "
                            "inputs",
                            anchor->ndim, positive->ndim, negative->ndim);
    return aten__triplet_margin(anchor, positive, negative, margin, p, eps, swap, reduction);
}

mt_tensor *
op_cosine_similarity(mt_tensor *x1, mt_tensor *x2, int64_t dim, double eps)
{
    mt_value both[2] = {mt_v_tensor(x1), mt_v_tensor(x2)};
    uint8_t which[2] = {0, 1};
    mt_dtype dtype = mt_result_type(both, which, 2);
    if (dtype == MT_DTYPE_NONE)
        return NULL;
    if (!mt_is_floating(dtype) && !mt_is_complex(dtype))
        return mt_fail_null(MT_RUNTIME, "expected common dtype to be floating point, yet common dtype is %s",
                            mt_dtypes[dtype].scalar_name);
    if (eps < 0)
        return mt_fail_null(MT_RUNTIME, "eps must be non-negative, got: %g", eps);
    int64_t sizes[MT_MAX_DIMS];
    memcpy(sizes, x1->sizes, x1->ndim * sizeof(int64_t));
    int ndim = mt_broadcast(sizes, x1->ndim, x2->sizes, x2->ndim);
    if (ndim < 0)
        return NULL;
    mt_tensor *a = aten_to_dtype(x1, dtype, false, false, MT_FORMAT_NONE);
    mt_tensor *b = a ? aten_to_dtype(x2, dtype, false, false, MT_FORMAT_NONE) : NULL;
    mt_tensor *wide = b ? aten_expand(a, sizes, ndim, false) : NULL;
    mt_tensor *other = wide ? aten_expand(b, sizes, ndim, false) : NULL;
    mt_tensor *r = other ? aten__cosine_similarity(wide, other, dim, eps) : NULL;
    mt_xrelease(a);
    mt_xrelease(b);
    mt_xrelease(wide);
    mt_xrelease(other);
    return r;
}

/* ---- rows of scores ----------------------------------------------------------------------- */

/* float64 copy of a tensor, packed; what the loops below read. */
static mt_tensor *
wide_copy(const mt_tensor *t)
{
    mt_tensor *r = mt_empty(t->ndim, t->sizes, NULL, MT_FLOAT64, t->device);
    if (r && mt_copy_data(r, t) < 0) {
        mt_release(r);
        return NULL;
    }
    return r;
}

static int
check_rows(const mt_tensor *self)
{
    if (self->ndim > 2 || (self->ndim > 0 && self->sizes[self->ndim - 1] == 0))
        return mt_fail(MT_RUNTIME,
                       "Expected non-empty vector or matrix with optional 0-dim batch size, but got: %s",
                       mt_shape_str(self));
    return 0;
}

static int
check_scores(const mt_tensor *self, const mt_tensor *target, const char *kernel)
{
    if (!mt_is_floating((mt_dtype)self->dtype))
        return mt_fail(MT_NOT_IMPLEMENTED, "\"%s\" not implemented for '%s'", kernel,
                       mt_dtypes[self->dtype].scalar_name);
    if (target->dtype != MT_INT64)
        return mt_fail(MT_RUNTIME, "expected scalar type Long but found %s",
                       mt_dtypes[target->dtype].scalar_name);
    return 0;
}

static int64_t
rows_of(const mt_tensor *self)
{
    return self->ndim == 2 ? self->sizes[0] : 1;
}

static int64_t
classes_of(const mt_tensor *self)
{
    return self->ndim ? self->sizes[self->ndim - 1] : 1;
}

/* ---- multi_margin_loss -------------------------------------------------------------------- */

static int
check_multi(const mt_tensor *self, const mt_tensor *target, mt_scalar p, const mt_tensor *weight)
{
    if (check_rows(self) < 0)
        return -1;
    double power = mt_scalar_f64(p);
    if (power != 1 && power != 2)
        return mt_fail(MT_RUNTIME, "only p == 1 and p == 2 supported");
    int64_t rows = rows_of(self);
    if (target->ndim > 1 || target->numel != rows)
        return mt_fail(MT_RUNTIME,
                       "multi_margin_loss: target tensor should be 1-D with size equal to the number of "
                       "input samples (batch size). Expected target size [%lld], but got %s. Input has "
                       "shape %s.",
                       (long long)rows, mt_shape_str(target), mt_shape_str(self));
    if (weight && (weight->ndim > 1 || weight->numel != classes_of(self)))
        return mt_fail(MT_RUNTIME, "inconsistent weight size, expected %lld but got %s",
                       (long long)classes_of(self), mt_shape_str(weight));
    return 0;
}

int
multi_margin_loss_meta(mt_call *call, mt_tensor *self, mt_tensor *target, mt_scalar p,
                       mt_scalar margin, mt_tensor *weight, int64_t reduction)
{
    (void)margin;
    if (check_multi(self, target, p, weight) < 0)
        return -1;
    bool each = reduction == NONE && target->ndim == 1;
    return mt_set_output(call, 0, each ? 1 : 0, target->sizes, NULL, (mt_dtype)self->dtype, self->device);
}

/* Loss of every row, or with `grads` the gradient of the scores: grads[0] for all rows, or one per
 * row where `each`. */
static int
multi_margin(mt_tensor *out, mt_tensor *self, mt_tensor *target, mt_scalar p, mt_scalar margin,
             mt_tensor *weight, int64_t reduction, const mt_tensor *grad)
{
    if (check_scores(self, target, grad ? "multi_margin_loss_backward_cpu_kernel"
                                        : "multi_margin_loss_cpu_kernel") < 0)
        return -1;
    int64_t rows = rows_of(self), n = classes_of(self);
    double m = mt_scalar_f64(margin), scale = (reduction == MEAN ? 1.0 / (double)rows : 1) / (double)n, sum = 0;
    bool square = mt_scalar_f64(p) == 2, each = reduction == NONE && target->ndim == 1;
    mt_tensor *x = wide_copy(self), *w = weight ? wide_copy(weight) : NULL, *t = mt_contiguous_data(target, false);
    mt_tensor *g = grad ? wide_copy(grad) : NULL, *r = mt_empty(out->ndim, out->sizes, NULL, MT_FLOAT64, out->device);
    int rc = x && t && r && (w || !weight) && (g || !grad) ? 0 : -1;
    for (int64_t i = 0; rc == 0 && i < rows; i++) {
        int64_t c = ((const int64_t *)mt_data(t))[i];
        if (c < 0 || c >= n) {
            rc = mt_fail(MT_RUNTIME, "target out of range");
            break;
        }
        const double *row = (const double *)mt_data(x) + i * n;
        double factor = scale * (w ? ((const double *)mt_data(w))[c] : 1), loss = 0, back = 0;
        double by = g ? ((const double *)mt_data(g))[each ? i : 0] * factor : 0;
        double *to = g ? (double *)mt_data(r) + i * n : NULL;
        for (int64_t k = 0; k < n; k++) {
            double z = m - row[c] + row[k];
            bool active = k != c && z > 0;
            loss += active ? (square ? z * z : z) : 0;
            double slope = active ? (square ? 2 * z : 1) * by : 0;
            back += slope;
            if (to)
                to[k] = slope;
        }
        if (to)
            to[c] = -back;
        else if (each)
            ((double *)mt_data(r))[i] = loss * factor;
        sum += loss * factor;
    }
    if (rc == 0 && !g && !each)
        *(double *)mt_data(r) = sum;
    if (rc == 0)
        rc = mt_copy_data(out, r);
    mt_xrelease(x);
    mt_xrelease(w);
    mt_xrelease(t);
    mt_xrelease(g);
    mt_xrelease(r);
    return rc;
}

int
multi_margin_loss_impl(mt_call *call, mt_tensor *self, mt_tensor *target, mt_scalar p,
                       mt_scalar margin, mt_tensor *weight, int64_t reduction)
{
    return multi_margin(mt_out(call, 0), self, target, p, margin, weight, reduction, NULL);
}

int
multi_margin_loss_backward_meta(mt_call *call, mt_tensor *grad_output, mt_tensor *self,
                                mt_tensor *target, mt_scalar p, mt_scalar margin, mt_tensor *weight,
                                int64_t reduction)
{
    (void)grad_output;
    (void)margin;
    (void)reduction;
    if (check_multi(self, target, p, weight) < 0)
        return -1;
    return mt_set_output(call, 0, self->ndim, self->sizes, NULL, (mt_dtype)self->dtype, self->device);
}

int
multi_margin_loss_backward_impl(mt_call *call, mt_tensor *grad_output, mt_tensor *self,
                                mt_tensor *target, mt_scalar p, mt_scalar margin, mt_tensor *weight,
                                int64_t reduction)
{
    return multi_margin(mt_out(call, 0), self, target, p, margin, weight, reduction, grad_output);
}

/* ---- multilabel_margin_loss --------------------------------------------------------------- */

static int
check_multilabel(const mt_tensor *self, const mt_tensor *target)
{
    if (check_rows(self) < 0)
        return -1;
    bool fits = self->ndim == 2 ? mt_same_shape(self, target)
                                : target->ndim <= 1 && target->numel == self->numel;
    if (!fits)
        return mt_fail(MT_RUNTIME, "inconsistent target size: %s for input of size: %s",
                       mt_shape_str(target), mt_shape_str(self));
    return 0;
}

/* Targets of a row end with the first -1. Calls are the same for loss and gradient. */
static int
multilabel_margin(mt_tensor *out, mt_tensor *self, mt_tensor *target, int64_t reduction,
                  mt_tensor *is_target, const mt_tensor *grad)
{
    if (check_scores(self, target, grad ? "multilabel_margin_loss_backward_out_frame"
                                        : "multilabel_margin_loss_forward_out_frame") < 0)
        return -1;
    int64_t rows = rows_of(self), n = classes_of(self);
    double scale = (reduction == MEAN ? 1.0 / (double)rows : 1) / (double)n, sum = 0;
    bool each = reduction == NONE && self->ndim == 2;
    mt_tensor *x = wide_copy(self), *t = mt_contiguous_data(target, false), *g = grad ? wide_copy(grad) : NULL;
    mt_tensor *r = mt_empty(out->ndim, out->sizes, NULL, MT_FLOAT64, out->device);
    mt_tensor *is = mt_empty(target->ndim, target->sizes, NULL, MT_FLOAT64, self->device);
    int rc = x && t && r && is && (g || !grad) && mt_fill_data(is, mt_v_int(0)) == 0 ? 0 : -1;
    if (rc == 0)
        rc = mt_fill_data(r, mt_v_int(0));
    for (int64_t i = 0; rc == 0 && i < rows; i++) {
        const double *row = (const double *)mt_data(x) + i * n;
        const int64_t *labels = (const int64_t *)mt_data(t) + i * n;
        double *marks = (double *)mt_data(is) + i * n, loss = 0;
        double by = g ? ((const double *)mt_data(g))[each ? i : 0] * scale : 0;
        double *to = g ? (double *)mt_data(r) + i * n : NULL;
        for (int64_t k = 0; k < n; k++)
            if (labels[k] < -1 || labels[k] >= n)
                rc = mt_fail(MT_RUNTIME, "argument #2 'target' is out of range");
        for (int64_t k = 0; rc == 0 && k < n && labels[k] >= 0; k++)
            marks[labels[k]] = 1;
        for (int64_t k = 0; rc == 0 && k < n && labels[k] >= 0; k++)
            for (int64_t other = 0; other < n; other++) {
                double z = 1 - row[labels[k]] + row[other];
                if (marks[other] != 0 || !(z > 0))
                    continue;
                loss += z;
                if (to) {
                    to[labels[k]] -= by;
                    to[other] += by;
                }
            }
        if (!g && each)
            ((double *)mt_data(r))[i] = loss * scale;
        sum += loss * scale;
    }
    if (rc == 0 && !g && !each && r->numel)
        *(double *)mt_data(r) = sum;
    if (rc == 0)
        rc = mt_copy_data(out, r);
    if (rc == 0 && is_target)
        rc = mt_copy_data(is_target, is);
    mt_xrelease(x);
    mt_xrelease(t);
    mt_xrelease(g);
    mt_xrelease(r);
    mt_xrelease(is);
    return rc;
}

int
multilabel_margin_loss_forward_meta(mt_call *call, mt_tensor *self, mt_tensor *target,
                                    int64_t reduction)
{
    if (check_multilabel(self, target) < 0)
        return -1;
    bool each = reduction == NONE && self->ndim == 2;
    mt_dtype dtype = (mt_dtype)self->dtype;
    if (mt_set_output(call, 0, each ? 1 : 0, self->sizes, NULL, dtype, self->device) < 0)
        return -1;
    return mt_set_output(call, 1, target->ndim, target->sizes, NULL, dtype, self->device);
}

int
multilabel_margin_loss_forward_impl(mt_call *call, mt_tensor *self, mt_tensor *target,
                                    int64_t reduction)
{
    return multilabel_margin(mt_out(call, 0), self, target, reduction, mt_out(call, 1), NULL);
}

int
multilabel_margin_loss_backward_meta(mt_call *call, mt_tensor *grad_output, mt_tensor *self,
                                     mt_tensor *target, int64_t reduction, mt_tensor *is_target)
{
    (void)grad_output;
    (void)reduction;
    (void)is_target;
    if (check_multilabel(self, target) < 0)
        return -1;
    return mt_set_output(call, 0, self->ndim, self->sizes, NULL, (mt_dtype)self->dtype, self->device);
}

int
multilabel_margin_loss_backward_impl(mt_call *call, mt_tensor *grad_output, mt_tensor *self,
                                     mt_tensor *target, int64_t reduction, mt_tensor *is_target)
{
    (void)is_target;
    return multilabel_margin(mt_out(call, 0), self, target, reduction, NULL, grad_output);
}

/* ---- nll_loss of images ------------------------------------------------------------------- */

static int
check_images(const mt_tensor *self, const mt_tensor *target, const mt_tensor *weight)
{
    if (target->ndim != 3)
        return mt_fail(MT_RUNTIME,
                       "only batches of spatial targets supported (3D tensors) but got targets of "
                       "dimension: %d",
                       target->ndim);
    if (self->ndim != 4)
        return mt_fail(MT_RUNTIME,
                       "only batches of spatial inputs supported (4D tensors), but got input of "
                       "dimension: %d",
                       self->ndim);
    if (self->sizes[0] != target->sizes[0] || self->sizes[2] != target->sizes[1] ||
        self->sizes[3] != target->sizes[2]) /* PyTorch's text does not close the parenthesis */
        return mt_fail(MT_RUNTIME, "size mismatch (got input: %s , target: %s", mt_shape_str(self),
                       mt_shape_str(target));
    if (weight && weight->numel != self->sizes[1])
        return mt_fail(MT_RUNTIME, "weight tensor should be defined either for all or no classes");
    return 0;
}

/* [N, C, H, W] as [N * H * W, C]. */
static mt_tensor *
as_rows(mt_tensor *self)
{
    int64_t order[4] = {0, 2, 3, 1}, shape[2] = {self->sizes[0] * self->sizes[2] * self->sizes[3], self->sizes[1]};
    mt_tensor *p = aten_permute(self, order, 4), *r = p ? aten_reshape(p, shape, 2) : NULL;
    mt_xrelease(p);
    return r;
}

int
op_nll_loss2d_forward(mt_tensor *self, mt_tensor *target, mt_tensor *weight, int64_t reduction,
                      int64_t ignore_index, mt_tensor **ret0, mt_tensor **ret1)
{
    if (check_images(self, target, weight) < 0)
        return -1;
    int64_t line = target->numel;
    mt_tensor *x = as_rows(self), *t = x ? aten_reshape(target, &line, 1) : NULL;
    int rc = t ? aten_nll_loss_forward(x, t, weight, reduction, ignore_index, ret0, ret1) : -1;
    if (rc == 0 && reduction == NONE) {
        mt_tensor *shaped = aten_view(*ret0, target->sizes, 3);
        mt_release(*ret0);
        *ret0 = shaped;
        rc = shaped ? 0 : -1;
    }
    mt_xrelease(x);
    mt_xrelease(t);
    return rc;
}

mt_tensor *
op_nll_loss2d_backward(mt_tensor *grad_output, mt_tensor *self, mt_tensor *target,
                       mt_tensor *weight, int64_t reduction, int64_t ignore_index,
                       mt_tensor *total_weight)
{
    if (check_images(self, target, weight) < 0)
        return NULL;
    int64_t line = target->numel, order[4] = {0, 3, 1, 2};
    int64_t shape[4] = {self->sizes[0], self->sizes[2], self->sizes[3], self->sizes[1]};
    mt_tensor *x = as_rows(self), *t = x ? aten_reshape(target, &line, 1) : NULL, *g = NULL, *r = NULL;
    if (t)
        g = reduction == NONE ? aten_reshape(grad_output, &line, 1) : mt_keep(grad_output);
    mt_tensor *rows = g ? aten_nll_loss_backward(g, x, t, weight, reduction, ignore_index, total_weight) : NULL;
    mt_tensor *shaped = rows ? aten_view(rows, shape, 4) : NULL, *p = shaped ? aten_permute(shaped, order, 4) : NULL;
    if (p)
        r = aten_contiguous(p, MT_CONTIGUOUS);
    mt_tensor *made[] = {x, t, g, rows, shaped, p};
    for (size_t i = 0; i < MT_COUNT(made); i++)
        mt_xrelease(made[i]);
    return r;
}
