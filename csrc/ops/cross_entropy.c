/* Cross entropy: softmax and negative log likelihood in one, by class index or probability. */
#include "base/error.h"
#include "ops/pointwise.h"
#include "ops_gen.h"

enum { NONE, MEAN, SUM };

/* Class probabilities, or label smoothing: -sum p log q. */
mt_tensor *
op_cross_entropy_loss(mt_tensor *self, mt_tensor *target, mt_tensor *weight, int64_t reduction,
                      int64_t ignore_index, double label_smoothing)
{
    int64_t dim = self->ndim == 1 ? 0 : 1;
    bool probabilities = mt_same_shape(self, target) && self->ndim > 0;
    if (label_smoothing < 0 || label_smoothing > 1)
        return mt_fail_null(MT_RUNTIME, "label_smoothing must be between 0.0 and 1.0. Got: %g",
                            label_smoothing);
    if (probabilities && !mt_is_floating((mt_dtype)target->dtype))
        return mt_fail_null(MT_RUNTIME, "Expected floating point type for target with class "
                                        "probabilities, got %s",
                            mt_dtypes[target->dtype].scalar_name);
    if (probabilities && ignore_index >= 0)
        return mt_fail_null(MT_RUNTIME, "ignore_index is not supported for floating point target");
    if (self->ndim == 0)
        return mt_fail_null(MT_RUNTIME, "cross_entropy: expected input with at least one dimension");
    mt_tensor *logs = aten_log_softmax_int(self, dim, MT_DTYPE_NONE);
    if (!logs)
        return NULL;
    mt_tensor *r = NULL;
    if (!probabilities && label_smoothing == 0)
        r = aten_nll_loss_nd(logs, target, weight, reduction, ignore_index);
    else if (probabilities)
        r = aten__cross_entropy_probabilities(logs, target, weight, reduction, label_smoothing, dim);
    else
        r = aten__cross_entropy_smooth(logs, target, weight, reduction, ignore_index, label_smoothing,
                                       dim);
    mt_release(logs);
    return r;
}

/* ---- label smoothing ---------------------------------------------------------------------- */

mt_tensor *
mth__class_weight(mt_tensor *weight, mt_tensor *like, int64_t dim)
{
    int64_t shape[MT_MAX_DIMS];
    for (int d = 0; d < like->ndim; d++)
        shape[d] = d == dim ? -1 : 1;
    return aten_reshape(weight, shape, like->ndim);
}

/* The uniform part: -sum over classes of w log q, ignored positions out, weighted mean by the
 * weights of the target classes. */
mt_tensor *
mth__smooth_loss(mt_tensor *logs, mt_tensor *target, mt_tensor *weight, int64_t reduction,
                 int64_t ignore_index, int64_t dim)
{
    mt_tensor *w = weight ? mth__class_weight(weight, logs, dim) : NULL;
    mt_tensor *weighted = weight ? (w ? aten_mul_Tensor(logs, w) : NULL) : mt_keep(logs);
    mt_tensor *sum = weighted ? aten_sum_dim_IntList(weighted, &dim, 1, false, MT_DTYPE_NONE) : NULL;
    mt_tensor *loss = sum ? aten_neg(sum) : NULL, *kept = NULL, *r = NULL, *zero = NULL, *skip = NULL;
    if (loss && (skip = aten_eq_Scalar(target, mt_v_int(ignore_index))) &&
        (zero = aten_zeros_like(loss, MT_DTYPE_NONE, -1, MT_NO_DEVICE, mt_v_none(), MT_FORMAT_NONE)))
        kept = aten_where_self(skip, zero, loss);
    if (kept && reduction == NONE)
        r = mt_keep(kept);
    else if (kept && reduction == SUM)
        r = aten_sum(kept, MT_DTYPE_NONE);
    else if (kept) {
        /* the mean divides by what nll_loss divides by */
        mt_tensor *ones = aten_ones_like(logs, MT_DTYPE_NONE, -1, MT_NO_DEVICE, mt_v_none(),
                                         MT_FORMAT_NONE);
        mt_tensor *total = ones ? aten_nll_loss_nd(ones, target, weight, SUM, ignore_index) : NULL;
        mt_tensor *denominator = total ? aten_neg(total) : NULL;
        mt_tensor *all = denominator ? aten_sum(kept, MT_DTYPE_NONE) : NULL;
        r = all ? aten_div_Tensor(all, denominator) : NULL;
        mt_xrelease(ones);
        mt_xrelease(total);
        mt_xrelease(denominator);
        mt_xrelease(all);
    }
    mt_tensor *made[] = {w, weighted, sum, loss, kept, zero, skip};
    for (size_t i = 0; i < MT_COUNT(made); i++)
        mt_xrelease(made[i]);
    return r;
}
